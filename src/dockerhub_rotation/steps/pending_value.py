"""The pending version's value: taking it apart, logging in with it, and what to do about one that can't be used."""

from dockerhub_rotation.credential import Credential
from dockerhub_rotation.docker_hub.claims import Identity
from dockerhub_rotation.errors import PendingTokenUnusable, SecretUnusable
from dockerhub_rotation.secrets_manager import CURRENT
from dockerhub_rotation.steps.step import Rotation

NOT_LET_IN = "a token that Docker Hub does not let in"


def parse(value: str, rotation: Rotation) -> Credential:
    """Take a value apart.

    Raises:
        SecretUnusable: it can't be, or it is another account's.
    """
    found = rotation.parse(value)
    if not rotation.may_be(found.username):
        raise SecretUnusable(
            "The secret's username is not that of the account whose tokens this function makes. Correct the secret or "
            f"{rotation.settings.named_by}."
        )
    return found


def identify(rotation: Rotation, value: str, token: str) -> Identity:
    """Log in at the Hub API with the token of a value, and return what the login says of itself.

    Raises:
        LoginRefused: Docker Hub does not accept the token.
        PendingTokenUnusable: it is another account's.
    """
    identity = rotation.docker_hub.login.identify(rotation.username, token)
    if not rotation.may_be(identity.username):
        raise unusable(rotation, value, "a token of another account")
    return identity


def is_copy_of_current(rotation: Rotation, value: str) -> bool:
    """Tell whether the pending version is a copy of the current one."""
    return rotation.value_of(rotation.versions.holder(CURRENT)) == value


def unusable(rotation: Rotation, value: str, what: str, refused: bool = False) -> PendingTokenUnusable:
    """Return the error for a value that can't be made to work, with the command that mends it.

    Args:
        what: what the value holds.
        refused: whether Docker Hub has refused it, and so refuses consumers that have the same value.
    """
    if is_copy_of_current(rotation, value):
        consumers = ", so consumers can't log in with it" if refused else ""
        message = f"The secret's current value holds {what}{consumers}. Make a new token."
        error = PendingTokenUnusable(message, verbs=("rotate",))
        error.consumers_affected = refused
        return error
    return PendingTokenUnusable(f"The pending version holds {what}. Drop it, and rotate again.")
