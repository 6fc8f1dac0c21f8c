"""The version to go back to: its value, whose it is, and making its token work before AWSCURRENT moves there."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from dockerhub_rotation import credential, token_labels
from dockerhub_rotation.credential import Credential
from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.errors import LoginRefused, RollbackFailed, SecretUnusable
from dockerhub_rotation.secrets_manager import SecretVersions
from dockerhub_rotation.tasks.task import Task
from dockerhub_rotation.token_labels import label_for, version_of

# An invocation lives 15 minutes at most: so long nobody is to take away what this one enables.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_INVOCATION_SECONDS = 900
_HELD_SECONDS = 1200
# A token that was enabled a moment ago may need one until it is known everywhere.
_PAUSE_SECONDS = 3


@dataclass(frozen=True)
class WayBack:
    """What there is to go back to.

    Attributes:
        version: its id.
        value: what it stores.
    """

    version: str
    value: Credential


def value_of(task: Task, versions: SecretVersions, version: str) -> Credential:
    """Return a version's value, taken apart. Raises SecretUnusable and RollbackFailed."""
    stored = task.secrets_manager.value(versions.arn, version)
    found = credential.parse(stored.text) if stored else None
    if found is None or not credential.looks_like_token(found.token):
        raise RollbackFailed(
            f"Version {version} holds no token, so there is nothing to go back to. Nothing was changed. If the current "
            f"token does not do, make a new one."
        )
    if not task.account.may_be(found.username):
        raise SecretUnusable(
            f"The user name in version {version} is not that of the account whose tokens this function makes. Nothing "
            f"was changed. Look whether parameter {task.settings.username_parameter} is another project's.",
            verbs=("credentials", "again"),
            names=(task.settings.username_parameter,),
        )
    return found


def require_our_account(task: Task, versions: SecretVersions, back: WayBack, tokens: Iterable[Token]) -> None:
    """Refuse to go on if nothing shows that the account is the one that has made this secret's tokens."""
    if back.value.username is not None or any(version_of(token, versions.arn) is not None for token in tokens):
        return
    raise SecretUnusable(
        "Nothing shows that this account has made the secret's tokens: its list has none of them, and the value names "
        f"no user. Nothing was changed. Look whether parameters {task.settings.username_parameter} and "
        f"{task.settings.password_parameter} are another project's; else move AWSCURRENT by hand.",
        verbs=("credentials", "again"),
        names=(task.settings.username_parameter, task.settings.password_parameter),
    )


def held(task: Task, versions: SecretVersions, version: str, made: Collection[Token]) -> dict[str, Token]:
    """Let the version's token work for longer than this invocation lives. Return those that were changed, by uuid.

    Several that were made for it are twins: the login tells which is real, and the others are deleted in the end. One
    that its value alone names is not known before it logs in, which it does not while it is disabled.

    Args:
        made: the tokens that were made for the version.
    """
    now = task.docker_hub.http.now()
    alive = [token for token in made if not token.expired(now)]
    if made and not alive:
        raise RollbackFailed(
            f"The token of version {version} has expired, and nobody can bring it back. Nothing was changed. Make a "
            f"new one."
        )
    label = label_for(versions.arn, version, now + _HELD_SECONDS)
    changed: dict[str, Token] = {}
    for token in alive:
        if not token.active or (token_labels.until(token) or 0) < now + _INVOCATION_SECONDS:
            task.docker_hub.tokens.enable(token.uuid, label)
            changed[token.uuid] = replace(token, active=True, label=label)
    return changed


def prove(task: Task, back: WayBack, *, listed: bool) -> None:
    """Log in as consumers do, and refuse to go on with a value that does not.

    Args:
        listed: whether its token is known, and may have been enabled a moment ago.
    """
    if _works(task, back):
        return
    if listed:
        task.deadline.wait(_PAUSE_SECONDS, "Docker Hub refuses the token, which may have been enabled a moment ago")
        if _works(task, back):
            return
        what = "is listed and enabled, and Docker Hub does not let it in all the same; the caretaker disables it again"
    else:
        what = (
            "is not let in by Docker Hub, and not in the account's list under this version: it was deleted, and nobody "
            "can bring it back, or somebody has disabled it under another name, and can enable it in the account "
            "settings before the task is sent again"
        )
    raise RollbackFailed(
        f"The token of version {back.version} {what}. AWSCURRENT is where it was. If the current token does not do, "
        f"make a new one."
    )


def _works(task: Task, back: WayBack) -> bool:
    """Tell whether a value logs in at the Hub API and at the registry."""
    if not logs_in(task, back):
        return False
    try:
        task.docker_hub.login.log_in_to_registry(task.account.username, back.value.token)
    except LoginRefused:
        return False
    return True


def logs_in(task: Task, back: WayBack) -> bool:
    """Tell whether a value logs in at the Hub API."""
    try:
        identity = task.docker_hub.login.identify(task.account.username, back.value.token)
    except LoginRefused:
        return False
    if not task.account.may_be(identity.username):
        raise SecretUnusable(
            f"Version {back.version} holds a token of another account than the one whose tokens this function makes. "
            f"Look whether parameter {task.settings.username_parameter} is another project's.",
            verbs=("credentials", "again"),
            names=(task.settings.username_parameter,),
        )
    return True
