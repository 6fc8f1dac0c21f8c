"""What should become of each token: a pure function of tokens, staging labels, what stored values told, and the time.

Every token made here carries a label that names the secret and the version it was made for. From the staging labels
follows what each should be; the first row that fits counts:

=====================================  ===================================================================
the version in the token's label is    the token becomes
=====================================  ===================================================================
AWSCURRENT, or AWSPENDING              active
pinned by a staging label of people's  left as it is, and said: it may be in use
AWSPREVIOUS                            disabled: deleting it would take away the way back
any other                              deleted, if it is older than the current token, or than an hour
=====================================  ===================================================================

Where the value of a pinned version may be a copy of an older one, made by hand, the last row is left out.

A younger one may belong to a rotation that began after the staging labels were read. One whose age can't be read is
left and said.

Two tokens of one version are the work of a twin or of a crash. The one whose value is stored is real, the others are
deleted; logging in with the stored value tells which it is. The same question finds the token under AWSPREVIOUS that
was not made here: the hand-made first one, or one that somebody has put there.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.secrets_manager import CURRENT, PENDING, PREVIOUS, SecretVersions
from dockerhub_rotation.token_labels import is_anothers, label_for, version_of

Fate = Literal["active", "disabled", "deleted"]

# An invocation lives 15 minutes at most: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_YOUNG_SECONDS = 3600


@dataclass(frozen=True)
class Change:
    """What is to be done to one token, and the label it gets with it (None: it keeps its own)."""

    token: Token
    becomes: Fate
    label: str | None = None


@dataclass(frozen=True)
class Left:
    """A token that is left active although no consumer is known to need it, and why."""

    token: Token
    version: str
    why: str


@dataclass(frozen=True)
class Group:
    """The tokens that belong to one version of the secret.

    Attributes:
        labels: the version's staging labels.
        pins: those of them that are people's own.
        tokens: made for the version, or named by its stored value.
        named: the uuid of the token that its stored value holds; None if it was not asked, or did not tell.
    """

    labels: frozenset[str]
    pins: frozenset[str]
    tokens: tuple[Token, ...]
    named: str | None

    @property
    def in_use(self) -> bool:
        """Whether consumers have the version, or are about to."""
        return bool(self.labels & {CURRENT, PENDING})

    @property
    def has_to_be_asked(self) -> bool:
        """Whether only the stored value can tell which token it is.

        It can't if none of several works. A version without a token may hold a value that somebody has put there.
        Where it is pinned that is asked once, when it is superseded: its token stays, but it is said.
        """
        if self.pins and not self.in_use:
            return PREVIOUS in self.labels and not self.tokens
        if self.tokens:
            return bool(self.labels) and len(self.tokens) > 1 and any(token.active for token in self.tokens)
        return bool(self.labels & {CURRENT, PREVIOUS})

    @property
    def holds_an_unknown_token(self) -> bool:
        """Whether people have pinned the version, and its value may be a copy of an older one: that token is in use."""
        return bool(self.pins) and not self.in_use and not self.tokens

    @property
    def real_is_known(self) -> bool:
        """Whether it is known which token is the one that is stored."""
        return self.named is not None or len(self.tokens) == 1

    @property
    def born(self) -> datetime | None:
        """When the first token was made that may be the one that is stored."""
        return min((t.created_at for t in self.tokens if t.created_at and not self.is_twin(t)), default=None)

    def is_twin(self, token: Token) -> bool:
        """Tell whether a token of this version is known not to be the one that is stored."""
        return self.named is not None and not token.is_called(self.named)


NOTHING = Group(frozenset(), frozenset(), (), None)


def grouped(
    tokens: Iterable[Token], versions: SecretVersions, stored: Mapping[str, str] | None = None
) -> dict[str, Group]:
    """Return the tokens that this secret's rotation may touch, by the version to which they belong.

    A token that a stored value has named belongs to that version, unless it was made for one that is in use or, where
    the naming one is not, pinned; or by the rotation of another secret.

    Args:
        tokens: every token of the account.
        versions: the staging labels. Each version that has one is there, with or without tokens.
        stored: version id to the uuid of the token whose value it holds, for the versions that were asked and told.
    """
    stored = stored or {}
    holders = _holders(versions, stored)
    by_version: defaultdict[str, list[Token]] = defaultdict(list, {version: [] for version in versions.labels})
    for token in tokens:
        version, holder = version_of(token, versions.arn), holders.get(token.uuid.lower())
        if holder is not None and not is_anothers(token, versions.arn) and not _keeps(versions, version, holder):
            version = holder
        if version is not None:
            by_version[version].append(token)
    return {
        version: Group(
            versions.labels.get(version, frozenset()), versions.pins(version), tuple(found), stored.get(version)
        )
        for version, found in by_version.items()
    }


def _holders(versions: SecretVersions, stored: Mapping[str, str]) -> dict[str, str]:
    """Return by uuid, in lower case, the version whose value holds the token.

    If several versions hold the same, it is that of the one that needs it most.
    """

    def need(version: str) -> tuple[int, str]:
        labels = versions.labels.get(version, frozenset())
        return max((n for n, label in enumerate((PREVIOUS, PENDING, CURRENT)) if label in labels), default=-1), version

    return {stored[version].lower(): version for version in sorted(stored, key=need)}


def _keeps(versions: SecretVersions, version: str | None, holder: str) -> bool:
    """Tell whether a version keeps the token that was made for it, although another one's value holds that, too."""
    if version is None:
        return False
    return _in_use(versions, version) or (bool(versions.pins(version)) and not _in_use(versions, holder))


def _in_use(versions: SecretVersions, version: str) -> bool:
    return bool(versions.labels.get(version, frozenset()) & {CURRENT, PENDING})


def plan(tokens: Iterable[Token], versions: SecretVersions, stored: Mapping[str, str], now: float) -> list[Change]:
    """Return what has to change so that every token is what the staging labels say.

    The plan for an account to which it has been applied is empty.

    Args:
        tokens: every token of the account.
        versions: the staging labels.
        stored: as for `grouped`.
        now: seconds since 1970, by the clock that dated the tokens.
    """
    groups = grouped(tokens, versions, stored)
    current = groups.get(versions.holder(CURRENT) or "", NOTHING)
    if any(group.holds_an_unknown_token for group in groups.values()):
        groups = {version: group for version, group in groups.items() if group.labels}
    changes = []
    for version, group in groups.items():
        label = label_for(versions.arn, version)
        for token in group.tokens:
            becomes = _fate(token, group, current, now)
            if becomes == "deleted" or (becomes == "disabled" and label != token.label):
                changes.append(Change(token, becomes, None if becomes == "deleted" else label))
            elif becomes is not None and token.active != (becomes == "active"):
                changes.append(Change(token, becomes))
    # What is needed is enabled before anything is taken away.
    return sorted(changes, key=lambda change: ("active", "disabled", "deleted").index(change.becomes))


def _fate(token: Token, group: Group, current: Group, now: float) -> Fate | None:
    """Return what a token should be, or None if it is to be left as it is."""
    if group.pins and not group.in_use:
        return None
    if group.is_twin(token):
        return "deleted"
    if group.in_use:
        return "active" if group.real_is_known else None
    if PREVIOUS in group.labels:
        return "disabled" if current.tokens else None  # else it may be the token that AWSCURRENT holds
    if token.created_at is None:
        return None
    older = current.born is not None and token.created_at < current.born
    return "deleted" if older or now - token.created_at.timestamp() > _YOUNG_SECONDS else None


def left_active(
    tokens: list[Token], versions: SecretVersions, stored: Mapping[str, str], planned: Iterable[Change], now: float
) -> Iterator[Left]:
    """Yield the tokens that the plan leaves active, although no consumer is known to need them.

    Args:
        tokens, versions, stored, now: as for `plan`.
        planned: the plan.
    """
    changed = {change.token.uuid for change in planned}
    groups = grouped(tokens, versions, stored)
    unknown = any(group.holds_an_unknown_token for group in groups.values())
    for version, group in groups.items():
        for token in group.tokens:
            if group.in_use or token.uuid in changed or not token.active:
                continue
            why = _why_left(token, group, now, unknown)
            if why is not None:
                yield Left(token, version, why)
    holders = _holders(versions, stored)
    for token in tokens:
        holder = holders.get(token.uuid.lower())
        if holder is not None and not _in_use(versions, holder) and token.active and is_anothers(token, versions.arn):
            yield Left(token, holder, "it was made for another secret, to which it is left")


def _why_left(token: Token, group: Group, now: float, unknown: bool) -> str | None:
    """Return why a token that may be superseded is left, or None if that it may belong to a rotation that goes on."""
    if group.pins:
        return f"its version is pinned by {_named(group.pins)}, and it is {_age(token, now)}"
    if PREVIOUS in group.labels:
        return "it may be the one that AWSCURRENT holds"
    return "its age can't be read" if token.created_at is None else "a pinned version may hold it" if unknown else None


def _named(pins: frozenset[str]) -> str:
    return "the staging label " + " and ".join(sorted(pins))


def _age(token: Token, now: float) -> str:
    if token.created_at is None:
        return "of unknown age"
    return f"{max(0.0, now - token.created_at.timestamp()) / 86400:.0f} days old"
