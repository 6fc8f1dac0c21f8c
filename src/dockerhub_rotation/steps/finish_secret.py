"""finishSecret: promote the staged token, then retire what it supersedes."""

import logging
from collections.abc import Iterable
from dataclasses import asdict, replace

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
from dockerhub_rotation.retirement import CaughtUp, Retired
from dockerhub_rotation.secrets_manager import CURRENT, SecretVersions
from dockerhub_rotation.steps import pending_value
from dockerhub_rotation.steps.pending_value import NOT_LET_IN
from dockerhub_rotation.steps.step import Outcome, Rotation
from dockerhub_rotation.token_labels import version_of

logger = logging.getLogger(__name__)

_CLOCKS_AGREE_SECONDS = 60


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

    A token is deleted no earlier than one rotation after it was disabled. Where a rotation was interrupted it can't be
    told which it has disabled, so all that are disabled stay for one more.

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
    listed = retirement.listed(rotation, versions)
    caught_up = retirement.catch_up(rotation, versions, listed)
    if _was_given_up(versions, listed, rotation.docker_hub.http.clock_ahead):
        # An earlier try of this rotation may have disabled some, to make up for it.
        caught_up = replace(caught_up, disabled=caught_up.disabled | _disabled(listed))
    _prove(rotation, caught_up.tokens)
    rotation.secrets_manager.promote(request.secret_id, request.version_id, versions.holder(CURRENT))
    return _retire(rotation, Look(versions.promoted(request.version_id), rotation.deadline.began), caught_up)


def _resume(rotation: Rotation) -> Outcome:
    """Go on where an earlier try has died, or could not retire."""
    try:
        tokens = retirement.listed(rotation, rotation.versions)
        look = changes.look(rotation, rotation.versions.arn)
    except RotationError as failure:
        failed = failure
    else:
        return _retire(rotation, look, CaughtUp(tokens, _disabled(tokens)))
    raise _not_retired([failed], Retired()) from failed


def _disabled(tokens: Iterable[Token]) -> frozenset[str]:
    return frozenset(token.uuid for token in tokens if token.active is False)


def _was_given_up(versions: SecretVersions, tokens: Iterable[Token], clock_ahead: float) -> bool:
    """Tell whether the rotation that made the current token has not ended well since.

    Docker Hub dates the token, and AWS the end of the rotation, so a minute more or less tells nothing.
    """
    current, ended = versions.holder(CURRENT), versions.rotated_at + clock_ahead + _CLOCKS_AGREE_SECONDS
    born = [token.created_at for token in tokens if current and version_of(token, versions.arn) == current]
    return any(moment is None or moment.timestamp() > ended for moment in born)


def _prove(rotation: Rotation, tokens: Iterable[Token]) -> None:
    """Refuse to promote a version whose value does not log in now."""
    value = rotation.value_of(rotation.request.version_id)
    if value is None:
        raise PendingTokenUnusable(
            f"Version {rotation.request.version_id} is empty and must not become AWSCURRENT. Start a rotation with aws "
            "secretsmanager rotate-secret; Secrets Manager then calls createSecret first."
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
    result = retirement.retire(rotation, look, caught_up.tokens, keep=caught_up.disabled)
    retired = result.retired.plus(caught_up.retired)
    if result.failures:
        raise _not_retired(result.failures, retired) from result.failures[0]
    if result.versions.holder(CURRENT) != rotation.request.version_id:
        raise _moved_away(rotation, retired)
    if retired.complete:
        return Outcome("The new token is AWSCURRENT, and what it supersedes is retired.", retired)
    return Outcome("The new token is AWSCURRENT, but a token that no consumer needs may still be active.", retired)


def _moved_away(rotation: Rotation, retired: Retired) -> EventRefused:
    """Return the error for a promotion that somebody has taken back, to be raised."""
    request = rotation.request
    error = EventRefused(
        f"Version {request.version_id} was promoted, and then AWSCURRENT was moved to another version, whose token is "
        "left as it is. Secrets Manager promotes this version again while it is pending. To keep it from that: aws "
        f"secretsmanager update-secret-version-stage --secret-id {rotation.versions.arn} --version-stage AWSPENDING "
        f"--remove-from-version-id {request.version_id}"
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
