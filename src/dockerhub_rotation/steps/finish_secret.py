"""finishSecret: promote the staged token, then retire what it supersedes."""

from dockerhub_rotation import retirement, token_labels
from dockerhub_rotation.errors import LoginRefused, PendingTokenUnusable, RetirementFailed, RotationError
from dockerhub_rotation.secrets_manager import CURRENT
from dockerhub_rotation.steps import pending_value
from dockerhub_rotation.steps.pending_value import NOT_LET_IN
from dockerhub_rotation.steps.step import Outcome, Rotation


def finish_secret(rotation: Rotation) -> Outcome:
    """Promote the pending version, then retire what it supersedes.

    1. Not promoted yet, and the token that was made for it is listed as active and has been used: promote, retire.
    2. Not promoted yet, and no such token is listed: ask by logging in with the pending value. Refused: raise, promote
       nothing. (A token that was never used may be one whose value nobody has stored.)
    3. Promoted by an earlier try that died before or while retiring, or by a twin: retire.

    The tokens are listed before the promotion. So a Docker Hub that is down changes nothing, and no token is seen that
    belongs to a rotation which began after it. In case 3 the labels are read again after the list, for the same reason.
    A superseded token that an earlier rotation could not retire, and that only AWSPREVIOUS names, is disabled before
    the promotion takes AWSPREVIOUS away; if that fails, nothing is promoted.

    Raises:
        PendingTokenUnusable: case 2; AWSCURRENT is as it was.
        RetirementFailed: promoted, but the old token may still be active. The next try goes on from there.
        RotationError: of the client or the gateway; this version is not promoted, or it is not known whether it is.
    """
    request, versions = rotation.request, rotation.versions
    rotation.docker_hub.management.presume_code_used(versions.changed_at)
    promoted = versions.holder(CURRENT) == request.version_id
    try:
        tokens = rotation.docker_hub.tokens.listed(
            *(token_labels.label_for(versions.arn, version) for version in versions.labels)
        )
        if promoted:  # case 3
            versions = rotation.secrets_manager.versions(request.secret_id)
        else:
            if not any(rotation.is_for_pending(token) and token.active and token.used for token in tokens):
                _ask_pending_value(rotation)  # case 2
            tokens = retirement.catch_up(rotation, versions, tokens)
            rotation.secrets_manager.promote(request.secret_id, request.version_id, versions.holder(CURRENT))
            promoted, versions = True, versions.promoted(request.version_id)
        retired = retirement.retire(rotation, versions, tokens)
    except RotationError as failure:
        if not promoted:
            raise
        error = RetirementFailed(
            f"Promoted: AWSCURRENT is the new token, but an old token may still be active. {failure}"
        )
        error.consumers_affected = failure.consumers_affected
        raise error from failure
    if retired.unidentified:
        return Outcome("The new token is AWSCURRENT, but a token that it supersedes was not found.", retired)
    return Outcome("The new token is AWSCURRENT, and what it supersedes is retired.", retired)


def _ask_pending_value(rotation: Rotation) -> None:
    """Refuse to promote a version whose value does not log in."""
    value = rotation.value_of(rotation.request.version_id)
    if value is None:
        raise PendingTokenUnusable(
            f"Version {rotation.request.version_id} is empty and must not become AWSCURRENT. Start a rotation with aws "
            "secretsmanager rotate-secret; Secrets Manager then calls createSecret first."
        )
    token = pending_value.parse(value, rotation).token
    try:
        pending_value.identify(rotation, value, token)
    except LoginRefused:
        refused = True
    else:
        refused = False
    if refused:
        raise pending_value.unusable(rotation, value, NOT_LET_IN, refused=True)
