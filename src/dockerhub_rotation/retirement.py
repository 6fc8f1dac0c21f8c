"""What becomes of each token: which stay, which are disabled, which are deleted. Nothing else decides that.

Every token made here carries a label that names the secret and the version it was made for. From the staging labels
follows what each should be:

===================================  =====================================================
the version in the token's label is  the token becomes
===================================  =====================================================
AWSCURRENT                           active
AWSPENDING, not current              active
AWSPREVIOUS                          disabled: deleting it would take away the way back
any other                            deleted, unless it is younger than the current token
===================================  =====================================================

A token younger than the current one belongs to a rotation that began after the staging labels were read.

Two tokens of one version are the work of a twin or of a crash. The one whose value is stored is real, the others are
deleted; logging in with the stored value tells which it is. The same question finds the token under AWSPREVIOUS that
was not made here: the hand-made first one, or one that somebody has put there.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from dockerhub_rotation import credential
from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.errors import LoginRefused, RotationError, SecretUnusable
from dockerhub_rotation.invocation import Invocation
from dockerhub_rotation.secrets_manager import CURRENT, PENDING, PREVIOUS, SecretVersions
from dockerhub_rotation.token_labels import is_anothers, label_for, version_of

logger = logging.getLogger(__name__)

Fate = Literal["active", "disabled", "deleted"]

_NOT_FOUND = (
    "The token under AWSPREVIOUS (version %s) is not one that the account's list shows; if it still works, disable it "
    "by hand in the account settings"
)
_NOT_TOLD = "Which of the account's tokens version %s holds can't be told; its tokens are left for the next rotation"


@dataclass(frozen=True)
class Change:
    """What is to be done to one token, and the label it gets with it (None: it keeps its own)."""

    token: Token
    becomes: Fate
    label: str | None = None


@dataclass(frozen=True)
class Retired:
    """What was done.

    Attributes:
        disabled: tokens disabled because their version became AWSPREVIOUS.
        deleted: disabled tokens deleted because their version is neither current nor previous any more.
        orphans: active tokens deleted because no version holds their value.
        unidentified: stored values whose token could not be found; a superseded one may still be active.
    """

    disabled: int = 0
    deleted: int = 0
    orphans: int = 0
    unidentified: int = 0


# The plan: pure, from tokens, staging labels and what stored values told


@dataclass(frozen=True)
class _Group:
    """The tokens that belong to one version of the secret.

    Attributes:
        labels: the version's staging labels.
        tokens: made for the version, or named by its stored value.
        named: the uuid of the token that its stored value holds; None if it was not asked, or did not tell.
    """

    labels: frozenset[str]
    tokens: tuple[Token, ...]
    named: str | None

    def is_twin(self, token: Token) -> bool:
        """Tell whether a token of this version is known not to be the one that is stored."""
        return self.named is not None and token.uuid != self.named

    @property
    def real_is_known(self) -> bool:
        """Whether it is known which token is the one that is stored."""
        return self.named is not None or len(self.tokens) == 1

    @property
    def has_to_be_asked(self) -> bool:
        """Whether only the stored value can tell which token it is.

        It can't if none of several works. A version without a token may hold a value that somebody has put there.
        """
        if self.tokens:
            return bool(self.labels) and len(self.tokens) > 1 and any(token.active for token in self.tokens)
        return bool(self.labels & {CURRENT, PREVIOUS})

    @property
    def born(self) -> datetime | None:
        """When the first token was made that may be the one that is stored."""
        return min((t.created_at for t in self.tokens if t.created_at and not self.is_twin(t)), default=None)


def ambiguous(tokens: Iterable[Token], versions: SecretVersions) -> list[str]:
    """Return the versions whose stored value has to be asked which token it is."""
    return [version for version, group in _grouped(tokens, versions, {}).items() if group.has_to_be_asked]


def plan(tokens: Iterable[Token], versions: SecretVersions, stored: Mapping[str, str]) -> list[Change]:
    """Return what has to change so that every token is what the staging labels say.

    A pure function; the plan for an account to which it has been applied is empty.

    Args:
        tokens: every token of the account.
        versions: the staging labels.
        stored: version id to the uuid of the token whose value it holds, for the versions that were ambiguous and
            whose value told.
    """
    groups = _grouped(tokens, versions, stored)
    current = groups.get(versions.holder(CURRENT) or "", _Group(frozenset(), (), None))
    changes = []
    for version, group in groups.items():
        label = label_for(versions.arn, version)
        for token in group.tokens:
            becomes = _fate(token, group, current)
            if becomes == "deleted" or (becomes == "disabled" and label != token.label):
                changes.append(Change(token, becomes, None if becomes == "deleted" else label))
            elif becomes is not None and token.active != (becomes == "active"):
                changes.append(Change(token, becomes))
    # What is needed is enabled before anything is taken away.
    return sorted(changes, key=lambda change: ("active", "disabled", "deleted").index(change.becomes))


def _fate(token: Token, group: _Group, current: _Group) -> Fate | None:
    """Return what a token should be, or None if it is to be left as it is."""
    if group.is_twin(token):
        return "deleted"
    if group.labels & {CURRENT, PENDING}:
        return "active" if group.real_is_known else None
    if PREVIOUS in group.labels:
        return "disabled" if current.tokens else None  # else it may be the token that AWSCURRENT holds
    older = token.created_at is not None and current.born is not None and token.created_at < current.born
    return "deleted" if older else None


def _grouped(tokens: Iterable[Token], versions: SecretVersions, stored: Mapping[str, str]) -> dict[str, _Group]:
    """Return the tokens that this secret's rotation may touch, by the version to which they belong.

    A token that a stored value has named belongs to that version, unless it was made for one that is in use, or by
    the rotation of another secret.
    """
    holders = {uuid: version for version, uuid in stored.items()}
    current = versions.holder(CURRENT)
    if current is not None and current in stored:
        holders[stored[current]] = current  # if AWSPREVIOUS holds the same token, it is not superseded
    by_version: defaultdict[str, list[Token]] = defaultdict(list, {version: [] for version in versions.labels})
    for token in tokens:
        version = version_of(token, versions.arn)
        in_use = version is not None and versions.labels.get(version, frozenset()) & {CURRENT, PENDING}
        if token.uuid in holders and not in_use and not is_anothers(token, versions.arn):
            version = holders[token.uuid]
        if version is not None:
            by_version[version].append(token)
    return {
        version: _Group(versions.labels.get(version, frozenset()), tuple(found), stored.get(version))
        for version, found in by_version.items()
    }


# The plan, applied


def retire(invocation: Invocation, versions: SecretVersions, tokens: list[Token]) -> Retired:
    """Make every token what the staging labels say. Doing it again changes nothing.

    Args:
        versions: the staging labels after the promotion.
        tokens: every token of the account.

    Raises:
        RotationError: of the client or the gateway; what was done until then stays done.
    """
    changes, unidentified = _settle(invocation, versions, tokens, "active", "disabled", "deleted")
    for version in unidentified:
        logger.warning(_NOT_FOUND if version == versions.holder(PREVIOUS) else _NOT_TOLD, version)
    return Retired(
        disabled=sum(change.becomes == "disabled" for change in changes),
        deleted=sum(change.becomes == "deleted" and not change.token.active for change in changes),
        orphans=sum(change.becomes == "deleted" and change.token.active for change in changes),
        unidentified=len(unidentified),
    )


def catch_up(invocation: Invocation, versions: SecretVersions, tokens: list[Token]) -> list[Token]:
    """Disable and label the token under AWSPREVIOUS, if the rotation that superseded it did not get that far.

    To be called before a promotion: it takes AWSPREVIOUS away, and nothing else names a token that has no label of
    ours. One that can't be identified was reported when it was superseded. Where it was no rotation that superseded it
    but somebody who stored another value, it is left alone: it may have been replaced because others use it, too.

    Args:
        versions: the staging labels before the promotion.
        tokens: every token of the account.

    Returns:
        The tokens as they are then.

    Raises:
        RotationError: of the client or the gateway.
    """
    made_for = {version_of(token, versions.arn) for token in tokens}
    if versions.holder(PREVIOUS) in {None, *made_for} or versions.holder(CURRENT) not in made_for:
        return tokens
    versions = invocation.secrets_manager.versions(versions.arn)  # somebody may have moved AWSCURRENT back meanwhile
    changes, _ = _settle(invocation, versions, tokens, "disabled")
    disabled = {
        change.token.uuid: replace(change.token, active=False, label=change.label or change.token.label)
        for change in changes
    }
    return [disabled.get(token.uuid, token) for token in tokens]


def _settle(
    invocation: Invocation, versions: SecretVersions, tokens: list[Token], *allowed: Fate
) -> tuple[list[Change], list[str]]:
    """Ask, plan and apply, as far as it is allowed now.

    Returns:
        What was changed, and the versions whose value did not tell which token it is.
    """
    stored: dict[str, str] = {}
    unidentified = []
    for version in ambiguous(tokens, versions):
        token = _stored_token(invocation, versions.arn, version)
        if token is not None and not credential.looks_like_token(token):
            continue  # a placeholder: there is nothing to retire
        uuid = _identified(invocation, token) if token else None
        if uuid in {token.uuid for token in tokens}:
            stored[version] = uuid
        else:
            unidentified.append(version)

    changes = [change for change in plan(tokens, versions, stored) if change.becomes in allowed]
    failures = []
    for change in changes:
        try:
            _apply(invocation, change)
        except RotationError as failure:
            failures.append(failure)  # one token that can't be changed must not keep the others
    if failures:
        raise failures[0]
    return changes, unidentified


def _apply(invocation: Invocation, change: Change) -> None:
    tokens = invocation.docker_hub.tokens
    match change.becomes:
        case "active":
            tokens.enable(change.token.uuid)
        case "disabled":
            tokens.disable(change.token.uuid, change.label)
        case "deleted":
            tokens.delete(change.token.uuid)


def _stored_token(invocation: Invocation, arn: str, version: str) -> str | None:
    """Return the token in a version's value, or None if it has none or one that can't be read."""
    try:
        value = invocation.secrets_manager.value(arn, version)
        return None if value is None else credential.parse(value).token
    except SecretUnusable:
        return None


def _identified(invocation: Invocation, token: str) -> str | None:
    """Return the uuid of a token, or None if logging in with it does not tell."""
    try:
        return invocation.docker_hub.login.identify(invocation.account.username, token).token_uuid
    except LoginRefused:
        return None
