"""Which tokens belong to which version of the secret: those made for it, and the one that its value holds."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.secrets_manager import CURRENT, PENDING, PREVIOUS, SecretVersions
from dockerhub_rotation.token_labels import is_anothers, version_of

# What stored values told: version id to the uuid of the token that its value holds, or None if it holds none. Versions
# that were not asked, or did not tell, are not in it.
Stored = Mapping[str, str | None]


@dataclass(frozen=True)
class Group:
    """The tokens that belong to one version of the secret.

    Attributes:
        labels: the version's staging labels.
        pins: those of them that are people's own.
        tokens: made for the version, or named by its stored value.
        named: the uuid of the token that its stored value holds; None if it was not asked, did not tell, or holds none.
        told: whether its stored value was asked, and told.
    """

    labels: frozenset[str]
    pins: frozenset[str]
    tokens: tuple[Token, ...]
    named: str | None
    told: bool = False

    @property
    def in_use(self) -> bool:
        """Whether consumers have the version, or are about to."""
        return bool(self.labels & {CURRENT, PENDING})

    @property
    def is_pending(self) -> bool:
        """Whether the version is to become AWSCURRENT, and is not yet."""
        return PENDING in self.labels and CURRENT not in self.labels

    @property
    def has_to_be_asked(self) -> bool:
        """Whether only the stored value can tell which token it is.

        It can't if none of several works. A version without a token may hold a value that somebody has put there.
        Where it is pinned that is asked once, when it is superseded: its token stays, but it is said. One that is
        AWSPENDING has no value yet, or one that somebody has put there.
        """
        if self.pins and not self.in_use:
            return PREVIOUS in self.labels and not self.tokens
        if self.tokens:
            return bool(self.labels) and len(self.tokens) > 1 and any(token.active for token in self.tokens)
        return bool(self.labels & {CURRENT, PENDING, PREVIOUS})

    @property
    def is_unknown(self) -> bool:
        """Whether the value may hold any token, for nothing tells which."""
        return not self.tokens and not self.told

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


def grouped(tokens: Iterable[Token], versions: SecretVersions, stored: Stored | None = None) -> dict[str, Group]:
    """Return the tokens that this secret's rotation may touch, by the version to which they belong.

    A token that a stored value has named belongs to that version, unless it was made for one that is in use or, where
    the naming one is not, pinned; or by the rotation of another secret. Where both are in use, it belongs to the one
    that is known to hold it.

    Args:
        tokens: every token of the account.
        versions: the staging labels. Each version that has one is there, with or without tokens.
        stored: what stored values told.
    """
    stored = stored or {}
    held_by = holders(versions, stored)
    by_version: defaultdict[str, list[Token]] = defaultdict(list, {version: [] for version in versions.labels})
    for token in tokens:
        version, holder = version_of(token, versions.arn, versions.labels), held_by.get(token.uuid.lower())
        is_twin = version is not None and not token.is_called(stored.get(version) or token.uuid)
        if (
            holder is not None
            and not is_anothers(token, versions.arn)
            and not _keeps(versions, version, holder, is_twin)
        ):
            version = holder
        if version is not None:
            by_version[version].append(token)
    return {
        version: Group(
            versions.labels.get(version, frozenset()),
            versions.pins(version),
            tuple(found),
            named=stored.get(version),
            told=version in stored,
        )
        for version, found in by_version.items()
    }


def holders(versions: SecretVersions, stored: Stored) -> dict[str, str]:
    """Return by uuid, in lower case, the version whose value holds the token.

    If several versions hold the same, it is that of the one that needs it most.
    """

    def need(version: str) -> tuple[int, str]:
        labels = versions.labels.get(version, frozenset())
        return max((n for n, label in enumerate((PREVIOUS, PENDING, CURRENT)) if label in labels), default=-1), version

    told = ((version, stored[version]) for version in sorted(stored, key=need))
    return {uuid.lower(): version for version, uuid in told if uuid is not None}


def _keeps(versions: SecretVersions, version: str | None, holder: str, is_twin: bool) -> bool:
    """Tell whether a version keeps the token that was made for it, although another one's value holds that, too.

    Not so if it holds another one itself, and consumers have that other version: as a twin here, it would go there.
    """
    if version is None or (is_twin and in_use(versions, holder)):
        return False
    return in_use(versions, version) or (bool(versions.pins(version)) and not in_use(versions, holder))


def in_use(versions: SecretVersions, version: str) -> bool:
    """Tell whether consumers have a version, or are about to."""
    return bool(versions.labels.get(version, frozenset()) & {CURRENT, PENDING})
