"""Asking stored values which token is theirs: only a login with them tells.

A version whose token bears its label need not be asked. Refused logins lock the user name, so none is made with a value
whose token is known to be gone.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from dockerhub_rotation import credential
from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.errors import DockerHubUnavailable, LoginRefused, LoginsUsedUp, SecretUnusable
from dockerhub_rotation.groups import Group, grouped
from dockerhub_rotation.invocation import Invocation
from dockerhub_rotation.secrets_manager import PREVIOUS, SecretVersions, StoredValue

_NOT_FOUND = "The token under AWSPREVIOUS (version %s) is "
GONE = (
    "No token of version %s is in the account's list; if a rotation of another function made it, disable it by hand in "
    "the account settings"
)
_NOT_TOLD = "Which of the account's tokens version %s holds can't be told; its tokens are left for the next rotation"
_PLACEHOLDER = (
    "The value under AWSPREVIOUS (version %s) is no token; if it stood for one that still works, disable that by hand "
    "in the account settings"
)


@dataclass(frozen=True)
class Asked:
    """What stored values told.

    Attributes:
        stored: version to the uuid of the token that it holds, or None if it holds none of the account's.
        unidentified: versions whose value did not tell, each with the sentence that says so.
        gone: superseded versions whose token a rotation must have made, and which the list does not show.
        tokens: every token of the account, with those that were told and are not listed yet.
        values_read: whether any stored value had to be read: meanwhile somebody may have moved a staging label.
    """

    tokens: list[Token]
    stored: dict[str, str | None] = field(default_factory=dict)
    unidentified: dict[str, str] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    values_read: bool = False


def ask(
    invocation: Invocation, versions: SecretVersions, tokens: list[Token], leave_out: Collection[str] = ()
) -> Asked:
    """Ask the stored values that alone can tell which token is theirs.

    Args:
        leave_out: versions that are not to be asked.
    """
    groups, now = grouped(tokens, versions), invocation.docker_hub.http.now()
    _require_readable(token for group in groups.values() for token in group.tokens)
    rotated_before = any(group.tokens for group in groups.values() if not group.in_use)
    to_ask = {v: group for v, group in groups.items() if v not in leave_out and _can_tell(group, now)}
    asked = Asked(list(tokens), values_read=bool(to_ask))
    for version, group in to_ask.items():
        is_previous = version == versions.holder(PREVIOUS)
        value = stored_value(invocation, versions.arn, version)
        if value is None and group.is_pending:  # createSecret has yet to give it one
            asked.stored[version] = None
            continue
        if not group.tokens and rotated_before and versions.rotated_since(value):
            # A rotation made it and ended well. If that was one of ours, its token was listed then, and is gone.
            if is_previous:
                asked.gone.append(version)
                asked.stored[version] = None
            continue
        token = token_in(invocation, value)
        if token is not None and not credential.looks_like_token(token):
            asked.stored[version] = None
            if is_previous and rotated_before:  # else it is the placeholder with which the secret began
                asked.unidentified[version] = _PLACEHOLDER
            continue
        found = _found(invocation, token, asked.tokens)
        if found is None:
            asked.unidentified[version] = (
                _NOT_FOUND + invocation.docker_hub.tokens.not_found if is_previous else _NOT_TOLD
            )
            continue
        _require_readable([found])
        asked.stored[version] = found.uuid
        if found not in asked.tokens:
            asked.tokens.append(found)
    return asked


def _can_tell(group: Group, now: float) -> bool:
    """Tell whether a value has to be asked, and may log in: it does not if all its tokens have expired."""
    has_expired = bool(group.tokens) and all(token.expired(now) for token in group.tokens if token.active)
    return group.has_to_be_asked and not has_expired


def stored_value(invocation: Invocation, arn: str, version: str) -> StoredValue | None:
    """Return what a version stores, or None if it has no value, or one that is no text."""
    try:
        return invocation.secrets_manager.value(arn, version)
    except SecretUnusable:
        return None


def token_in(invocation: Invocation, stored: StoredValue | None) -> str | None:
    """Return the token in a value, or what stands in its place; None if there is no telling."""
    try:
        return invocation.parse(stored.text).token if stored else None
    except SecretUnusable:
        return None


def _require_readable(tokens: Iterable[Token]) -> None:
    """Refuse to go on if a token that matters is not said to be active or not.

    Taken for disabled, an active one would be left alone.

    Raises:
        DockerHubUnavailable: naming the token.
    """
    for token in tokens:
        if token.active is None:
            raise DockerHubUnavailable(
                f"Docker Hub does not say whether token {token.uuid} is active. If it still does not say so at the "
                "next attempt, delete the token by hand in the account settings."
            )


def _found(invocation: Invocation, value: str | None, tokens: list[Token]) -> Token | None:
    """Return the token that has a value, or None if its login does not tell, or names one that is gone."""
    try:
        uuid = invocation.docker_hub.login.whose(invocation.username, value) if value else None
    except (LoginRefused, LoginsUsedUp):
        return None
    if uuid is None:
        return None
    listed = next((token for token in tokens if token.is_called(uuid)), None)
    return listed or invocation.docker_hub.tokens.find(uuid)
