"""The four steps. Each may run any number of times, also twice at once, and may die between any two lines.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
"""

import logging
from dataclasses import dataclass, field

from dockerhub_rotation import credential, retirement
from dockerhub_rotation.credential import Credential
from dockerhub_rotation.docker_hub import DockerHub
from dockerhub_rotation.errors import (
    AwsRefused,
    DockerHubRefused,
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

# A token made a moment ago may need one until it is known everywhere. Few and slow: refused logins add up to a lockout.
_PAUSES_SECONDS = (2, 5, 10)


@dataclass(frozen=True)
class World:
    """What a step works with: the two outside worlds, and the settings."""

    secrets_manager: SecretsManager
    docker_hub: DockerHub
    settings: Settings


@dataclass(frozen=True)
class Outcome:
    """What a step has to report: one sentence, and what it did to superseded tokens."""

    message: str
    retired: Retired = field(default_factory=Retired)


def create_secret(request: RotationRequest, versions: SecretVersions, world: World) -> Outcome:
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
    if world.secrets_manager.value(request.secret_id, request.version_id) is not None:  # case 1
        return Outcome("The pending version has a value already, from an earlier try.")

    current = versions.holder(CURRENT)
    value = world.secrets_manager.value(request.secret_id, current) if current else None
    if value is None:
        raise SecretUnusable("The secret has no current value. Store one, a placeholder will do, then rotate again.")
    found = _parse(value, world)

    token = world.docker_hub.create_token(retirement.label_for(versions.arn, request.version_id))  # cases 2 and 5
    try:
        world.secrets_manager.store_pending(request, found.with_token(token.value))
    except VersionAlreadyStored:  # case 3
        _delete_unstored(token.uuid, world)
        return Outcome("A twin of this step has stored its token; ours is deleted.")
    except AwsRefused:  # case 4
        _delete_unstored(token.uuid, world)
        raise
    return Outcome(f"Token {token.uuid} is made and staged.")


def set_secret(request: RotationRequest, versions: SecretVersions, world: World) -> Outcome:  # noqa: ARG001 - all steps are called alike
    """Do nothing: Docker Hub knows a token from the moment it is made, so there is no place to set it."""
    return Outcome("Nothing to set: a Docker Hub token works from the moment it is made.")


def test_secret(request: RotationRequest, versions: SecretVersions, world: World) -> Outcome:
    """Prove that the pending value works, by using it as its consumers will. Stores nothing.

    1. It logs in at the Hub API and at the registry: proven.
    2. It was made for this version and is disabled: enable it, then as 1.
    3. It was made for this version and is active: it may be too fresh. Try again a few times, slowly.
    4. No token of this version exists: it was deleted. The error holds the command that unblocks the rotation.
    5. The pending value is a copy of the current one: Secrets Manager calls this step alone when rotation is
       configured with RotateImmediately=false. Then a refusal means that consumers are refused, too.
    6. The pending version is empty: createSecret has to run first.

    Raises:
        PendingTokenUnusable: cases 4 to 6.
        DockerHubRefused: the token works but may do less than the settings ask for.
        RotationError: of the client or the gateway.
    """
    value = world.secrets_manager.value(request.secret_id, request.version_id)
    if value is None:  # case 6
        raise PendingTokenUnusable(
            f"Version {request.version_id} is staged but empty, so there is nothing to test. createSecret gives it its "
            "value: rotate the secret, without RotateImmediately=false."
        )
    pending = _parse(value, world)
    if not credential.looks_like_token(pending.token):
        raise _unusable(request, versions, value, world, "holds a placeholder or something else that is no token")

    for pause in (0, *_PAUSES_SECONDS):
        if pause:
            world.docker_hub.wait(pause, "Docker Hub refuses the new token, which may be too fresh")
        try:
            _prove(pending, request, versions, value, world)
        except LoginRefused:
            if not pause:
                _enable_if_disabled(request, versions, value, world)
        else:
            return Outcome("The pending token logs in at Docker Hub and at its registry.")
    raise _unusable(request, versions, value, world, "holds a token that Docker Hub lists but does not let in")


def finish_secret(request: RotationRequest, versions: SecretVersions, world: World) -> Outcome:
    """Promote the pending version, then retire what it supersedes.

    1. Not promoted yet: look whether its token is there and active, promote, retire.
    2. Promoted by an earlier try that died before or while retiring, or by a twin: retire.
    3. The token to be promoted is not listed as active: ask by logging in with it. Refused: raise, promote nothing.

    Raises:
        PendingTokenUnusable: case 3; AWSCURRENT is as it was.
        RetirementFailed: promoted, but the old token may still be active. The next try goes on from there.
        RotationError: of the client or the gateway, before the promotion; AWSCURRENT is as it was.
    """
    world.docker_hub.presume_code_used(versions.changed_at)
    promoted = versions.holder(CURRENT) == request.version_id
    try:
        tokens = world.docker_hub.tokens()
        if not promoted:
            if not any(t.active and retirement.version_of(t, versions.arn) == request.version_id for t in tokens):
                _ask_pending_value(request, versions, world)  # case 3
            world.secrets_manager.promote(request.secret_id, request.version_id, versions.holder(CURRENT))
            versions = versions.promoted(request.version_id)
            promoted = True
        retired = retirement.retire(versions, tokens, world.secrets_manager, world.docker_hub)
    except RotationError as failure:
        if not promoted:
            raise
        raise RetirementFailed(
            f"Promoted: AWSCURRENT is the new token and works, but an old token is still active. {failure}"
        ) from failure
    return Outcome("The new token is AWSCURRENT, and what it supersedes is retired.", retired)


def _parse(value: str, world: World) -> Credential:
    """Take a value apart, and refuse one that is another account's."""
    found = credential.parse(value)
    if found.username is not None and found.username.lower() != world.docker_hub.username.lower():
        raise SecretUnusable(
            "The secret's username is not that of the account whose tokens this function makes. Correct the secret or "
            f"parameter {world.settings.username_parameter}."
        )
    return found


def _delete_unstored(uuid: str, world: World) -> None:
    """Delete a token that no version holds. If that fails, a later finishSecret finds it by its label."""
    try:
        world.docker_hub.delete(uuid)
    except RotationError as failure:
        logger.warning("Token %s is not stored and could not be deleted; finishSecret will. %s", uuid, failure)


def _prove(pending: Credential, request: RotationRequest, versions: SecretVersions, value: str, world: World) -> None:
    """Log in as consumers do and compare what the login says of itself."""
    identity = world.docker_hub.identify(pending.token)
    if identity.username is not None and identity.username.lower() != world.docker_hub.username.lower():
        raise _unusable(request, versions, value, world, "holds a token of another account")
    world.docker_hub.log_in_to_registry(pending.token)
    wanted = max(SCOPES.index(scope) for scope in world.settings.scopes)
    granted = [SCOPES.index(scope) for scope in identity.scopes or () if scope in SCOPES]
    if granted and max(granted) < wanted and not _is_copy_of_current(request, versions, value, world):
        raise DockerHubRefused(
            f"The new token may do less than DOCKERHUB_TOKEN_SCOPES asks for ({', '.join(world.settings.scopes)}). "
            "Check what the account may do."
        )


def _enable_if_disabled(request: RotationRequest, versions: SecretVersions, value: str, world: World) -> None:
    tokens = [
        token for token in world.docker_hub.tokens() if retirement.version_of(token, versions.arn) == request.version_id
    ]
    if not tokens:
        raise _unusable(request, versions, value, world, "holds a token that Docker Hub does not know any more")
    for token in tokens:
        if not token.active:
            logger.warning("Token %s is staged but was disabled; enabling it", token.uuid)
            world.docker_hub.set_active(token.uuid, True)


def _ask_pending_value(request: RotationRequest, versions: SecretVersions, world: World) -> None:
    """Refuse to promote a version whose value does not log in."""
    value = world.secrets_manager.value(request.secret_id, request.version_id)
    if value is None:
        raise PendingTokenUnusable(
            f"Version {request.version_id} is empty and must not become AWSCURRENT. Start a rotation with aws "
            "secretsmanager rotate-secret; Secrets Manager then calls createSecret first."
        )
    try:
        world.docker_hub.identify(credential.parse(value).token)
    except LoginRefused:
        raise _unusable(request, versions, value, world, "holds a token that Docker Hub does not let in") from None


def _is_copy_of_current(request: RotationRequest, versions: SecretVersions, value: str, world: World) -> bool:
    current = versions.holder(CURRENT)
    return current is not None and world.secrets_manager.value(request.secret_id, current) == value


def _unusable(
    request: RotationRequest, versions: SecretVersions, value: str, world: World, what: str
) -> PendingTokenUnusable:
    """Return the error for a pending value that can't be made to work, with the command that mends it."""
    if _is_copy_of_current(request, versions, value, world):
        error = PendingTokenUnusable(
            f"The secret's current value {what}, so consumers can't log in with it. Make a new token: "
            f"aws secretsmanager rotate-secret --secret-id {versions.arn}"
        )
        error.consumers_affected = True
        return error
    return PendingTokenUnusable(
        f"The pending version {what}. Drop it: aws secretsmanager update-secret-version-stage --secret-id "
        f"{versions.arn} --version-stage AWSPENDING --remove-from-version-id {request.version_id} and then rotate "
        f"again: aws secretsmanager rotate-secret --secret-id {versions.arn}"
    )
