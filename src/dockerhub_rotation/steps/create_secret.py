"""createSecret: stage a new token."""

import logging

from dockerhub_rotation.docker_hub.personal_tokens import NewToken
from dockerhub_rotation.errors import AwsRefused, RotationError, SecretUnusable, VersionAlreadyStored
from dockerhub_rotation.secrets_manager import CURRENT
from dockerhub_rotation.steps import pending_value
from dockerhub_rotation.steps.step import Outcome, Rotation

logger = logging.getLogger(__name__)


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
    request = rotation.request
    if rotation.value_of(request.version_id) is not None:  # case 1
        return Outcome("The pending version has a value already, from an earlier try.")

    value = rotation.value_of(rotation.versions.holder(CURRENT))
    if value is None:
        raise SecretUnusable("The secret has no current value. Store one, a placeholder will do, then rotate again.")
    current = pending_value.parse(value, rotation)

    token = rotation.docker_hub.tokens.create(rotation.label)  # cases 2 and 5
    try:
        rotation.secrets_manager.store_pending(request, current.with_token(token.value))
    except VersionAlreadyStored:  # case 3
        _delete_unstored(token, rotation)
        return Outcome("A twin of this step has stored its token; ours is deleted.")
    except AwsRefused:  # case 4
        _delete_unstored(token, rotation)
        raise
    return Outcome(f"Token {token.uuid} is made and staged.")


def _delete_unstored(token: NewToken, rotation: Rotation) -> None:
    """Delete a token that no version holds. If that fails, a later finishSecret finds it by its label."""
    try:
        rotation.docker_hub.tokens.delete(token.uuid)
    except RotationError as failure:
        logger.warning("Token %s is not stored and could not be deleted; finishSecret will. %s", token.uuid, failure)
