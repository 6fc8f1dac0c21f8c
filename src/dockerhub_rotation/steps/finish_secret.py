"""finishSecret: promote the staged token, then retire what it supersedes."""

import logging
from collections.abc import Iterable
from dataclasses import asdict

from dockerhub_rotation import changes, retirement
from dockerhub_rotation.changes import Look
from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.errors import (
    EventRefused,
    LockedOut,
    LoginRefused,
    PendingTokenUnusable,
    RetirementFailed,
    RotationError,
)
from dockerhub_rotation.plan import Grace
from dockerhub_rotation.retirement import CaughtUp, Retired
from dockerhub_rotation.secrets_manager import CURRENT
from dockerhub_rotation.steps import pending_value
from dockerhub_rotation.steps.pending_value import NOT_LET_IN
from dockerhub_rotation.steps.step import Outcome, Rotation
from dockerhub_rotation.token_labels import said

logger = logging.getLogger(__name__)


def finish_secret(rotation: Rotation) -> Outcome:
    """Promote the pending version, then retire what it supersedes.

    1. Not promoted yet: log in with the pending value, directly before the promotion. Refused: raise, promote nothing.
       Answered by a lockout: promote if the list shows its one token in good order, for testSecret has proven the
       value, and consumers of a dead one may be what keeps the user name locked.
    2. Promoted by an earlier try that died before or while retiring, or by a twin: retire.

    The tokens are listed before the promotion. So a Docker Hub that is down changes nothing, and no token is seen that
    belongs to a rotation which began after it. In case 2 the labels are read again after the list, for the same reason.
    A superseded token that an earlier rotation could not retire, and that only AWSPREVIOUS names, is disabled before
    the promotion takes AWSPREVIOUS away; if that fails, nothing is promoted.

    If anything in this invocation had to wait, the staging labels are read again before a token is taken away, and if
    somebody has moved one, it is planned anew. In the steady state nothing has, and the promotion has just confirmed
    where AWSCURRENT is.

    With a grace, the current token's label gets its deadline before the promotion supersedes it. A crash between any
    two lines makes a grace longer, never shorter. Who disables a token writes the time on its label, which keeps it for
    one more rotation.

    Raises:
        PendingTokenUnusable: case 1; AWSCURRENT is as it was.
        RetirementFailed: promoted, but an old token may still be active. The next try goes on from there.
        EventRefused: AWSCURRENT was moved to another version before the promotion or after it.
        RotationError: of the client or the gateway; this version is not promoted, or it is not known whether it is.
    """
    request, versions = rotation.request, rotation.versions
    rotation.docker_hub.management.presume_code_used(versions.changed_at)
    if versions.holder(CURRENT) == request.version_id:  # case 2
        return _resume(rotation)
    caught_up = retirement.catch_up(rotation, versions, retirement.listed(rotation, versions), _grace(rotation))
    before = Look(versions, rotation.deadline.began)
    tokens = retirement.set_deadline(rotation, before, caught_up.tokens, _grace(rotation))
    _prove(rotation, tokens)
    rotation.secrets_manager.promote(request.secret_id, request.version_id, versions.holder(CURRENT))
    after = Look(versions.promoted(request.version_id), rotation.deadline.began)
    return _retire(rotation, after, CaughtUp(tokens, caught_up.retired))


def _grace(rotation: Rotation) -> Grace:
    return Grace.of(rotation.settings, rotation.versions)


def _resume(rotation: Rotation) -> Outcome:
    """Go on where an earlier try has died, or could not retire."""
    try:
        tokens = retirement.listed(rotation, rotation.versions)
        look = changes.look(rotation, rotation.versions.arn)
    except RotationError as failure:
        failed = failure
    else:
        return _retire(rotation, look, CaughtUp(tokens))
    raise _not_retired([failed], Retired()) from failed


def _prove(rotation: Rotation, tokens: Iterable[Token]) -> None:
    """Refuse to promote a version whose value does not log in now."""
    value = rotation.value_of(rotation.request.version_id)
    if value is None:
        raise PendingTokenUnusable(
            f"Version {rotation.request.version_id} is empty and must not become AWSCURRENT. Start a rotation: "
            "Secrets Manager then calls createSecret first.",
            verbs=("rotate",),
        )
    token = pending_value.parse(value, rotation).token
    refused = False
    try:
        pending_value.identify(rotation, value, token)
    except LoginRefused:
        refused = True
    except LockedOut:
        if not _is_in_good_order(rotation, tokens):
            raise
        logger.warning("Docker Hub has locked the user name; the staged token is listed, and testSecret has proven it")
    if refused:
        raise pending_value.unusable(rotation, value, NOT_LET_IN, refused=True)


def _is_in_good_order(rotation: Rotation, tokens: Iterable[Token]) -> bool:
    """Tell whether exactly one token was made for the pending version, and that it is active and has not expired."""
    made = [token for token in tokens if rotation.is_for_pending(token)]
    now = rotation.docker_hub.http.now()
    return len(made) == 1 and made[0].active is True and not made[0].expired(now)


def _retire(rotation: Rotation, look: Look, caught_up: CaughtUp) -> Outcome:
    result = retirement.retire(rotation, look, caught_up.tokens, _grace(rotation))
    retirement.say(result)
    retired = result.retired.plus(caught_up.retired)
    if result.failures:
        raise _not_retired(result.failures, retired) from result.failures[0]
    if result.versions.holder(CURRENT) != rotation.request.version_id:
        raise _moved_away(rotation, retired)
    if not retired.complete:
        message = "The new token is AWSCURRENT, but a token that no consumer needs may still be active."
    elif result.until is None:
        message = "The new token is AWSCURRENT, and what it supersedes is retired."
    else:
        message = f"The new token is AWSCURRENT, and what it supersedes stays active until {said(result.until)}."
    return Outcome(message, retired)


def _moved_away(rotation: Rotation, retired: Retired) -> EventRefused:
    """Return the error for a promotion that somebody has taken back, to be raised."""
    request = rotation.request
    error = EventRefused(
        f"Version {request.version_id} was promoted, and then AWSCURRENT was moved to another version, whose token is "
        "left as it is. Secrets Manager promotes this version again while it is pending: to keep it from that, drop "
        "it.",
        verbs=("unblock",),
    )
    error.retired = asdict(retired)
    return error


def _not_retired(failures: list[RotationError], retired: Retired) -> RetirementFailed:
    """Return the error that names everything that failed, to be raised."""
    error = RetirementFailed(
        "Promoted: AWSCURRENT is the new token, but an old token may still be active. "
        + " ".join(dict.fromkeys(str(failure) for failure in failures))
    )
    error.consumers_affected = any(failure.consumers_affected for failure in failures)
    error.retired = asdict(retired)
    return error
