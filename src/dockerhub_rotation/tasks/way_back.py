"""The version to go back to: its value, whose it is, and making its token work before AWSCURRENT moves there."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from dockerhub_rotation import credential, token_labels
from dockerhub_rotation.credential import Credential
from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.errors import DockerHubUnavailable, LoginRefused, RollbackFailed, SecretUnusable
from dockerhub_rotation.plan import HELD_SECONDS
from dockerhub_rotation.secrets_manager import SecretVersions
from dockerhub_rotation.tasks.task import Task
from dockerhub_rotation.token_labels import carries_time, is_anothers, label_for, said, version_of

# An invocation lives 15 minutes at most: so long nobody is to take away what this one enables.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_INVOCATION_SECONDS = 900
# A token that was enabled a moment ago may need one until it is known everywhere.
_PAUSE_SECONDS = 3
_CUT_SHORT = "The list of the account's tokens counts more than it shows, and none of those shown is this version's"


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
    found = task.parse(stored.text) if stored else None
    if found is None or not credential.looks_like_token(found.token):
        raise RollbackFailed(
            f"Version {version} holds no token, so there is nothing to go back to. Nothing was changed. If the current "
            "token does not do, make a new one."
        )
    if not task.may_be(found.username):
        raise _another_accounts(
            task, f"Nothing was changed: the user name in version {version} is not that of the account"
        )
    return found


def require_our_account(task: Task, versions: SecretVersions, back: WayBack, tokens: Iterable[Token]) -> None:
    """Refuse to go on if nothing shows that the account is the one that has made this secret's tokens.

    Raises:
        SecretUnusable: nothing does.
        DockerHubUnavailable: the list may, but not all of it came.
    """
    if back.value.username is not None or any(version_of(token, versions.arn) is not None for token in tokens):
        return
    if not task.docker_hub.tokens.shows_all:
        raise DockerHubUnavailable(f"{_CUT_SHORT}, so nothing shows that it is the right account. Nothing was changed.")
    verbs, names = task.settings.owner_mended_by
    raise SecretUnusable(
        "Nothing shows that this account has made the secret's tokens: its list has none of them, and the value names "
        f"no user. Nothing was changed. Look whether {task.settings.set_by} another project's; else move AWSCURRENT by "
        "hand.",
        verbs=verbs,
        names=names,
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
            "new one."
        )
    label = label_for(versions.arn, version, now + HELD_SECONDS)
    changed: dict[str, Token] = {}
    for token in alive:
        if not token.active or (token_labels.until(token) or 0) < now + _INVOCATION_SECONDS:
            task.docker_hub.tokens.enable(token.uuid, label)
            changed[token.uuid] = replace(token, active=True, label=label)
    return changed


def prove(task: Task, versions: SecretVersions, back: WayBack, tokens: Collection[Token], *, listed: bool) -> None:
    """Log in as consumers do, and refuse to go on with a value that does not, or whose token is about to be taken away.

    Args:
        tokens: every token of the account.
        listed: whether its token is known, and may have been enabled a moment ago.

    Raises:
        RollbackFailed: it does not work, or not for long.
        DockerHubUnavailable: it does not, and the list, of which not all came, may tell why.
    """
    if _works(task, back):
        _require_nobody_elses(task, versions, back, tokens)
        return
    if listed:
        task.deadline.wait(_PAUSE_SECONDS, "Docker Hub refuses the token, which may have been enabled a moment ago")
        if _works(task, back):
            return
        pins = " and ".join(sorted(versions.pins(back.version)))
        by_hand = f"disable it by hand, for your staging label {pins} keeps it"
        then = by_hand if pins else "the caretaker disables it again"
        what = f"is listed and enabled, and Docker Hub does not let it in all the same; {then}"
    elif not task.docker_hub.tokens.shows_all:
        raise DockerHubUnavailable(
            f"The token of version {back.version} is not let in by Docker Hub. {_CUT_SHORT}: it may be there, "
            "disabled. Nothing was changed."
        )
    else:
        what = (
            "is not let in by Docker Hub, and not in the account's list under this version: it was deleted, and nobody "
            "can bring it back, or somebody has disabled it under another name, and can enable it in the account "
            "settings before the task is sent again"
        )
    raise RollbackFailed(
        f"The token of version {back.version} {what}. AWSCURRENT is where it was. If the current token does not do, "
        "make a new one."
    )


def _require_nobody_elses(task: Task, versions: SecretVersions, back: WayBack, tokens: Iterable[Token]) -> None:
    """Refuse a token that the rotation of another secret, which held it too, has superseded and is about to disable."""
    uuid = task.docker_hub.login.known(back.value.token)
    named = next((token for token in tokens if uuid is not None and token.is_called(uuid)), None)
    if named is None or not is_anothers(named, versions.arn) or not carries_time(named):
        return
    until = token_labels.until(named)
    raise RollbackFailed(
        f"The token of version {back.version} was made for another secret, or is shared with it, and is superseded "
        f"there: it is disabled{f' at {said(until)}' if until is not None else ''}, whoever holds it. Nothing was "
        "changed. If the current token does not do, make a new one."
    )


def _works(task: Task, back: WayBack) -> bool:
    """Tell whether a value logs in at the Hub API and at the registry."""
    if not logs_in(task, back):
        return False
    try:
        task.docker_hub.login.log_in_to_registry(task.username, back.value.token)
    except LoginRefused:
        return False
    return True


def logs_in(task: Task, back: WayBack) -> bool:
    """Tell whether a value logs in at the Hub API."""
    try:
        identity = task.docker_hub.login.identify(task.username, back.value.token)
    except LoginRefused:
        return False
    if not task.may_be(identity.username):
        raise _another_accounts(task, f"Version {back.version} holds a token of another account than the one")
    return True


def _another_accounts(task: Task, what: str) -> SecretUnusable:
    """Return the error for a version of another account, to be raised."""
    verbs, (name, *_) = task.settings.owner_mended_by
    return SecretUnusable(
        f"{what} whose tokens this function makes. Look whether {task.settings.named_by} is another project's.",
        verbs=verbs,
        names=(name,),
    )
