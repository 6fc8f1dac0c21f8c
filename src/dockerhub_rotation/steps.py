"""The four steps. Each may run any number of times, also twice at once, and may die between any two lines.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
"""

import logging
import time
from dataclasses import dataclass, field

from dockerhub_rotation import credential, retirement
from dockerhub_rotation.credential import Credential
from dockerhub_rotation.docker_hub import DockerHub, NewToken, Token
from dockerhub_rotation.errors import (
    AwsRefused,
    LoginRefused,
    PendingTokenUnusable,
    RetirementFailed,
    RotationError,
    SecretUnusable,
    VersionAlreadyStored,
)
from dockerhub_rotation.request import RotationRequest
from dockerhub_rotation.retirement import Retired
from dockerhub_rotation.secrets_manager import CURRENT, SecretsManager, SecretVersions
from dockerhub_rotation.settings import SCOPES, Settings

logger = logging.getLogger(__name__)

# A token made a moment ago may need one until it is known everywhere. Few tries, and slow ones, for refused logins add
# up to a lockout of the user name. Secrets Manager repeats the whole rotation: once the first attempt has paused, the
# token is not fresh any more, so each further attempt tries it once.
_PAUSES_SECONDS = (3, 9)
_FRESH_SECONDS = 10


@dataclass(frozen=True)
class Rotation:
    """What a step works with: what is asked of it, the staging labels as they were then, and the two outside worlds."""

    request: RotationRequest
    versions: SecretVersions
    secrets_manager: SecretsManager
    docker_hub: DockerHub
    settings: Settings

    def value_of(self, version: str | None) -> str | None:
        """Return the value of a version, or None if there is no such version or it has no value."""
        return self.secrets_manager.value(self.request.secret_id, version) if version else None

    def is_for_pending(self, token: Token) -> bool:
        """Tell whether a token was made for the version that is rotated in."""
        return retirement.version_of(token, self.versions.arn) == self.request.version_id


@dataclass(frozen=True)
class Outcome:
    """What a step has to report: one sentence, and what it did to superseded tokens."""

    message: str
    retired: Retired = field(default_factory=Retired)


def create_secret(rotation: Rotation) -> Outcome:
    """Stage a new token as the pending version's value.

    1. The pending version has a value: it is ours from an earlier try. Return.
    2. It has none: make a token that is labelled for this secret and version, and store it.
    3. Another value was stored meanwhile: a twin was faster. Delete our token, return.
    4. Storing is refused: delete our token, raise. If it is unknown whether it was stored, the token stays: it may be
       the stored one, and if it is not, finishSecret finds it by its label. So it is after a crash between the two.
    5. The answer to making a token is lost: raise. A token that was made all the same carries our label.

    Raises:
        SecretUnusable: the current value can't be kept in shape; nothing was changed.
        RotationError: of the client or the gateway.
    """
    request, versions = rotation.request, rotation.versions
    if rotation.value_of(request.version_id) is not None:  # case 1
        return Outcome("The pending version has a value already, from an earlier try.")

    value = rotation.value_of(versions.holder(CURRENT))
    if value is None:
        raise SecretUnusable("The secret has no current value. Store one, a placeholder will do, then rotate again.")
    current = _parse(value, rotation)

    token = rotation.docker_hub.create_token(retirement.label_for(versions.arn, request.version_id))  # cases 2 and 5
    try:
        rotation.secrets_manager.store_pending(request, current.with_token(token.value))
    except VersionAlreadyStored:  # case 3
        _delete_unstored(token, rotation)
        return Outcome("A twin of this step has stored its token; ours is deleted.")
    except AwsRefused:  # case 4
        _delete_unstored(token, rotation)
        raise
    return Outcome(f"Token {token.uuid} is made and staged.")


def set_secret(_rotation: Rotation) -> Outcome:
    """Do nothing: Docker Hub knows a token from the moment it is made, so there is no place to set it."""
    return Outcome("Nothing to set: a Docker Hub token works from the moment it is made.")


def test_secret(rotation: Rotation) -> Outcome:
    """Prove that the pending value works, by using it as its consumers will. Stores nothing.

    1. It logs in at the Hub API and at the registry: proven.
    2. It was made for this version and is disabled: enable it, then as 1.
    3. It was made for this version a moment ago: it may be too fresh. Try again a few times, slowly.
    4. It is refused for any other reason: it was deleted or has expired. The error holds the command that unblocks the
       rotation.
    5. The pending value is a copy of the current one: Secrets Manager calls this step alone when rotation is
       configured with RotateImmediately=false. Then a refusal means that consumers are refused, too.
    6. The pending version is empty: createSecret has to run first.

    Raises:
        PendingTokenUnusable: cases 4 to 6; or the token may do less than the settings ask for, and only another could.
        DockerHubRefused: the token is not granted what is asked for on the probe repository.
        RotationError: of the client or the gateway.
    """
    value = rotation.value_of(rotation.request.version_id)
    if value is None:  # case 6
        raise PendingTokenUnusable(
            f"Version {rotation.request.version_id} is staged but empty, so there is nothing to test. createSecret "
            "gives it its value: rotate the secret, without RotateImmediately=false."
        )
    token = _parse(value, rotation).token
    if not credential.looks_like_token(token):
        raise _unusable(rotation, value, "a placeholder or something else that is no token")

    try:
        _prove(rotation, value, token)
    except LoginRefused:
        if _is_copy_of_current(rotation, value):  # case 5
            raise _unusable(rotation, value, "a token that Docker Hub does not let in", refused=True) from None
        for pause in _pauses(rotation):  # cases 2 and 3
            rotation.docker_hub.wait(pause, "Docker Hub refuses the new token, which may be too fresh")
            try:
                _prove(rotation, value, token)
                break
            except LoginRefused:
                continue
        else:
            raise _unusable(rotation, value, "a token that Docker Hub does not let in") from None
    return Outcome("The pending token logs in at Docker Hub and at its registry.")


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
    rotation.docker_hub.presume_code_used(versions.changed_at)
    promoted = versions.holder(CURRENT) == request.version_id
    try:
        tokens = rotation.docker_hub.tokens(
            *(retirement.label_for(versions.arn, version) for version in versions.labels)
        )
        if promoted:  # case 3
            versions = rotation.secrets_manager.versions(request.secret_id)
        else:
            if not any(rotation.is_for_pending(token) and token.active and token.used for token in tokens):
                _ask_pending_value(rotation)  # case 2
            tokens = retirement.catch_up(versions, tokens, rotation.secrets_manager, rotation.docker_hub)
            rotation.secrets_manager.promote(request.secret_id, request.version_id, versions.holder(CURRENT))
            promoted, versions = True, versions.promoted(request.version_id)
        retired = retirement.retire(versions, tokens, rotation.secrets_manager, rotation.docker_hub)
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


def _parse(value: str, rotation: Rotation) -> Credential:
    """Take a value apart, and refuse one that is another account's."""
    found = credential.parse(value)
    if found.username is not None and found.username.lower() != rotation.docker_hub.username.lower():
        raise SecretUnusable(
            "The secret's username is not that of the account whose tokens this function makes. Correct the secret or "
            f"parameter {rotation.settings.username_parameter}."
        )
    return found


def _delete_unstored(token: NewToken, rotation: Rotation) -> None:
    """Delete a token that no version holds. If that fails, a later finishSecret finds it by its label."""
    try:
        rotation.docker_hub.delete(token.uuid)
    except RotationError as failure:
        logger.warning("Token %s is not stored and could not be deleted; finishSecret will. %s", token.uuid, failure)


def _prove(rotation: Rotation, value: str, token: str) -> None:
    """Log in as consumers do and compare what the login says of itself.

    A copy of the current value, which may be a hand-made token, need not do what new tokens are asked for.
    """
    docker_hub, settings = rotation.docker_hub, rotation.settings
    identity = docker_hub.identify(token)
    if not docker_hub.is_account(identity):
        raise _unusable(rotation, value, "a token of another account")
    granted = [SCOPES.index(scope) for scope in identity.scopes or () if scope in SCOPES]
    too_little = bool(granted) and max(granted) < max(SCOPES.index(scope) for scope in settings.scopes)
    copy = (too_little or settings.probe_repository is not None) and _is_copy_of_current(rotation, value)
    if too_little and not copy:
        asked = f"{', '.join(settings.scopes)}; see that the account may do so"
        raise _unusable(rotation, value, f"a token that may do less than DOCKERHUB_TOKEN_SCOPES asks for ({asked})")
    docker_hub.log_in_to_registry(token, None if copy else settings.probe_repository)


def _pauses(rotation: Rotation) -> tuple[int, ...]:
    """Enable the refused token if it was disabled, and return how many seconds to wait before each further try."""
    refused_at = time.time()  # the list may have to wait for a one-time code
    rotation.docker_hub.presume_code_used(rotation.versions.changed_at)
    label = retirement.label_for(rotation.versions.arn, rotation.request.version_id)
    tokens = [token for token in rotation.docker_hub.tokens(label) if rotation.is_for_pending(token)]
    for token in tokens:
        if not token.active:
            logger.warning("Token %s is staged but was disabled; enabling it", token.uuid)
            rotation.docker_hub.set_active(token.uuid, True)
    disabled = any(not token.active for token in tokens)
    fresh = any(
        token.created_at and abs(refused_at - token.created_at.timestamp()) < _FRESH_SECONDS for token in tokens
    )
    return _PAUSES_SECONDS if fresh else _PAUSES_SECONDS[:1] if disabled else ()


def _ask_pending_value(rotation: Rotation) -> None:
    """Refuse to promote a version whose value does not log in."""
    value = rotation.value_of(rotation.request.version_id)
    if value is None:
        raise PendingTokenUnusable(
            f"Version {rotation.request.version_id} is empty and must not become AWSCURRENT. Start a rotation with aws "
            "secretsmanager rotate-secret; Secrets Manager then calls createSecret first."
        )
    try:
        identity = rotation.docker_hub.identify(_parse(value, rotation).token)
    except LoginRefused:
        raise _unusable(rotation, value, "a token that Docker Hub does not let in", refused=True) from None
    if not rotation.docker_hub.is_account(identity):
        raise _unusable(rotation, value, "a token of another account")


def _is_copy_of_current(rotation: Rotation, value: str) -> bool:
    return rotation.value_of(rotation.versions.holder(CURRENT)) == value


def _unusable(rotation: Rotation, value: str, what: str, refused: bool = False) -> PendingTokenUnusable:
    """Return the error for a pending value that can't be made to work, with the command that mends it.

    Args:
        what: what the value holds.
        refused: whether Docker Hub has refused it, and so refuses consumers that have the same value.
    """
    arn = rotation.versions.arn
    rotate = f"aws secretsmanager rotate-secret --secret-id {arn}"
    if _is_copy_of_current(rotation, value):
        consumers = ", so consumers can't log in with it" if refused else ""
        error = PendingTokenUnusable(f"The secret's current value holds {what}{consumers}. Make a new token: {rotate}")
        error.consumers_affected = refused
        return error
    return PendingTokenUnusable(
        f"The pending version holds {what}. Drop it: aws secretsmanager update-secret-version-stage --secret-id {arn} "
        f"--version-stage AWSPENDING --remove-from-version-id {rotation.request.version_id} and then rotate again: "
        f"{rotate}"
    )
