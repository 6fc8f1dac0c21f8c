"""What should become of each token: a pure function of tokens, staging labels, what stored values told, and the time.

Every token made here carries a label that names the secret and the version it was made for. From the staging labels
follows what each should be; the first row that fits counts:

=====================================  ===================================================================
the version in the token's label is    the token becomes
=====================================  ===================================================================
AWSCURRENT, or AWSPENDING              active; a time in its label is taken off
pinned by a staging label of people's  left as it is, and said: it may be in use
AWSPREVIOUS                            disabled at its deadline: deleting it would take away the way back. Where that
                                       is what the settings say, it is deleted two days after it was disabled
any other, with a time in the label    disabled at its deadline; a disabled one is deleted once its time lies before
                                       the creation of the current token, or two days ago where the settings say so
any other                              an orphan: deleted, if it is older than the current token, or than an hour
=====================================  ===================================================================

A token that has expired works never again, whatever the list calls it, and takes no change: it can only be deleted
(https://docs.docker.com/security/access-tokens/). So it is left where a staging label speaks for its version, and its
label stays as it is; in the last two rows it is deleted, whatever its deadline and age.

The deadline of a superseded token is the time in its label. An active one without a time that can be read gets one: now
and the grace. Whoever disables a token sets its time to that moment; one without a time was disabled long ago. So each
doubt makes a grace longer, none makes it shorter, and none endless.

A value may be a copy of an older one, made by hand, whose token it then holds. So a doubt keeps tokens as they are, and
is said:

- While it is not known which token AWSCURRENT holds, or AWSPENDING if that has a value, none is disabled or deleted.
- While a replica in another Region may hold one, none that is active is disabled at its deadline.
- Where a pinned version may hold one, none of the last two rows is disabled or deleted.
- Where AWSPREVIOUS may hold one, none of the last two rows is deleted: it may have been promised a grace, and is the
  way back.

A reconcile also takes nothing away while no token of AWSCURRENT works: another may be all that consumers have.

A young orphan may belong to a rotation that began after the staging labels were read. One whose age can't be read is
left and said.

Two tokens of one version are the work of a twin or of a crash. The one whose value is stored is real, the others are
deleted; logging in with the stored value tells which it is. The same question finds the token under AWSPREVIOUS that
was not made here: the hand-made first one, or one that somebody has put there.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from dockerhub_rotation import token_labels
from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.groups import NOTHING, Group, Stored, grouped
from dockerhub_rotation.replicas import LEAST_GRACE_SECONDS, why_waiting
from dockerhub_rotation.secrets_manager import CURRENT, PENDING, PREVIOUS, SecretVersions
from dockerhub_rotation.settings import Settings

State = Literal["active", "disabled", "deleted"]

# An invocation lives 15 minutes at most: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_YOUNG_SECONDS = 3600
# Docker Hub's clock is known to the second, by the date of its answers; its tokens are dated more finely.
_CLOCK_SECONDS = 1
# For so long a rollback keeps a token that it has enabled from being taken away before AWSCURRENT is moved to it.
HELD_SECONDS = 1200
# So much later than it may be is a deadline for which the grace was as long as it may be: by another clock, rounded up.
_CLOCKS_AGREE_SECONDS = 10

# Where disabled tokens are deleted, people have so long to find out that they need one.
_DELETED_AFTER_SECONDS = 2 * 86_400

_DEAD = "the token under AWSCURRENT does not work, and this one may be all that consumers have"


@dataclass(frozen=True)
class Grace:
    """How long a superseded token lives.

    Attributes:
        seconds: from now on, if its label does not say until when.
        limit: at most, whatever its label says.
        waits: why it lives on although that is over, or None.
        deletes: whether it is deleted some time after it was disabled, though AWSPREVIOUS may need it.
    """

    seconds: float = 0.0
    limit: float = 0.0
    waits: str | None = None
    deletes: bool = False

    @classmethod
    def of(cls, settings: Settings, versions: SecretVersions) -> "Grace":
        """Return what holds for a secret. With replicas it is longer, and has no end while one may be behind.

        No limit cuts short for how long a rollback keeps what it has enabled.
        """
        least = LEAST_GRACE_SECONDS if versions.replicas else 0
        seconds = max(settings.grace, least)
        return cls(
            seconds,
            max(settings.grace_limit, seconds, HELD_SECONDS),
            why_waiting(versions.replicas),
            deletes=settings.superseded == "delete",
        )


NO_GRACE = Grace()


@dataclass(frozen=True)
class Change:
    """What is to be done to one token, and the label it gets with it (None: it keeps its own)."""

    token: Token
    becomes: State
    label: str | None = None

    @property
    def enables(self) -> bool:
        """Whether the token is disabled now, and is to work again."""
        return self.becomes == "active" and not self.token.active


@dataclass(frozen=True)
class Fate:
    """What a token should be, and the time that its label should carry, in seconds since 1970.

    For one that is active that is its deadline, or None if consumers have it; for one that is disabled, the moment.
    """

    becomes: State
    until: float | None = None


@dataclass(frozen=True)
class _Account:
    """What a token's fate depends on, beside itself and its version.

    Attributes:
        arn: the secret's.
        current: the tokens of AWSCURRENT.
        in_use: these and those of AWSPENDING.
        doubt: why no token is taken away at all, or None.
        doubt_of_copies: why none is taken away that no staging label speaks of, or None.
        doubt_of_previous: why none of these is deleted, or None.
        now, grace, empty: as for `plan`.
    """

    arn: str
    current: Group
    in_use: tuple[Token, ...]
    doubt: str | None
    doubt_of_copies: str | None
    doubt_of_previous: str | None
    now: float
    grace: Grace
    empty: str | None

    @property
    def rotated_at(self) -> float | None:
        """When a rotation made the token of AWSCURRENT; None if that is none of a rotation's, or it is unknown.

        It need not have been made for that version: somebody may have stored a copy of an older value.
        """
        own = [token for token in self.current.tokens if token_labels.version_of(token, self.arn) is not None]
        made = [it.created_at.timestamp() for it in own if it.created_at and not self.current.is_twin(it)]
        return min(made, default=None)

    @property
    def disabled_at(self) -> float:
        """The time for the label of a token that is disabled now: not before those in use were made, by any clock."""
        made = [token.created_at.timestamp() for token in self.in_use if token.created_at]
        return max([self.now, *made])


@dataclass(frozen=True)
class Planned:
    """A token, the version and group to which it belongs, and what it should be; None if it is to be left as it is.

    Attributes:
        doubt: for one that is left although the table takes it away: why.
    """

    token: Token
    version: str
    group: Group
    fate: Fate | None
    doubt: str | None = None


def plan(
    tokens: list[Token],
    versions: SecretVersions,
    stored: Stored,
    now: float,
    grace: Grace = NO_GRACE,
    *,
    spares: bool = False,
    empty: str | None = None,
) -> list[Change]:
    """Return what has to change so that every token is what the staging labels say.

    The plan for an account to which it has been applied is empty.

    Args:
        tokens: every token of the account.
        versions: the staging labels.
        stored: as for `grouped`.
        now: seconds since 1970, by the clock that dated the tokens.
        grace: how long superseded tokens live. Without one, none lives on, whatever its label says.
        spares: whether nothing is taken away while no token of AWSCURRENT works.
        empty: a version that has never had a value, if there is one: no value anywhere holds a token made for it.
    """
    changes = []
    for planned in fates(tokens, versions, stored, now, grace, spares=spares, empty=empty):
        token, fate = planned.token, planned.fate
        if fate is None:
            continue
        label = _label(versions.arn, planned.version, token, fate)
        stays_active = token.active and fate.becomes == "active"
        if label is not None or not stays_active:
            changes.append(Change(token, fate.becomes, label))
    # What is needed is enabled before anything is taken away.
    return sorted(changes, key=lambda change: ("active", "disabled", "deleted").index(change.becomes))


def fates(
    tokens: list[Token],
    versions: SecretVersions,
    stored: Stored,
    now: float,
    grace: Grace,
    *,
    spares: bool = False,
    empty: str | None = None,
) -> Iterator[Planned]:
    """Yield what each token that this secret's rotation may touch should be. Arguments as for `plan`."""
    groups = grouped(tokens, versions, stored)
    current = groups.get(versions.holder(CURRENT) or "", NOTHING)
    copied = any(group.holds_an_unknown_token for group in groups.values())
    account = _Account(
        arn=versions.arn,
        current=current,
        in_use=tuple(token for group in groups.values() if group.in_use for token in group.tokens),
        doubt=_doubt_of_those_in_use(groups.values())
        or (_DEAD if spares and not _works(current, tokens, now) else None),
        doubt_of_copies="a pinned version may hold it" if copied else None,
        doubt_of_previous=_may_hold(PREVIOUS) if _is_unknown(PREVIOUS, groups.values()) else None,
        now=now,
        grace=grace,
        empty=empty,
    )
    for version, group in groups.items():
        for token in group.tokens:
            fate = _by_the_table(token, version, group, account)
            doubt = _doubt(fate, token, version, group, account) if fate is not None else None
            yield Planned(token, version, group, None if doubt else fate, doubt)


def _doubt(fate: Fate, token: Token, version: str, group: Group, account: _Account) -> str | None:
    """Return why a token is not taken away although the table says so, or None if nothing speaks against it."""
    if fate.becomes == "active" or version == account.empty:
        return None
    of_no_label = account.doubt_of_copies or (account.doubt_of_previous if fate.becomes == "deleted" else None)
    of_replicas = account.grace.waits if fate.becomes == "disabled" and token.active else None
    return account.doubt or of_replicas or (None if group.labels else of_no_label)


def _doubt_of_those_in_use(groups: Iterable[Group]) -> str | None:
    """Return why any token may be the one that consumers have, or are about to, or None if theirs are known."""
    groups = list(groups)
    if not any(CURRENT in group.labels for group in groups) or _is_unknown(CURRENT, groups):
        return _may_hold(CURRENT)
    return _may_hold(PENDING) if _is_unknown(PENDING, groups) else None


def _is_unknown(label: str, groups: Iterable[Group]) -> bool:
    return any(label in group.labels and group.is_unknown for group in groups)


def _may_hold(label: str) -> str:
    return f"it may be the one that {label} holds"


def _works(current: Group, tokens: Iterable[Token], now: float) -> bool:
    """Tell whether AWSCURRENT holds a token that works: the one that it was told to hold, whosever that is."""
    candidates = current.tokens if current.named is None else tokens
    return any(token.active and not token.expired(now) and not current.is_twin(token) for token in candidates)


def _by_the_table(token: Token, version: str, group: Group, account: _Account) -> Fate | None:
    if group.pins and not group.in_use:
        return None
    if group.is_twin(token):
        return Fate("deleted")
    expired = token.expired(account.now)
    if group.in_use:
        return Fate("active") if (group.real_is_known or token.active) and not expired else None
    if PREVIOUS in group.labels:
        return _superseded(token, version, account) if not expired else None
    if expired:
        return Fate("deleted")
    if not token_labels.carries_time(token):
        return _orphan(token, account)
    if token.active:
        return _superseded(token, version, account)
    return _disabled(token, account)


def _superseded(token: Token, version: str, account: _Account) -> Fate | None:
    """A token that consumers may still hold lives until its deadline, and is disabled then."""
    if not account.current.tokens and account.current.named is None:
        return None  # it may be the token that AWSCURRENT holds
    if not token.active:
        if _had_its_days(token, account):
            return Fate("deleted")
        labelled = token_labels.version_of(token, account.arn, [version]) == version
        return None if labelled else Fate("disabled", account.disabled_at)
    now, grace, written = account.now, account.grace, token_labels.until(token)
    until = now + grace.seconds if written is None else min(written, now + grace.limit)
    return Fate("active", until) if until > now else Fate("disabled", account.disabled_at)


def _disabled(token: Token, account: _Account) -> Fate | None:
    """A disabled token is deleted no earlier than one rotation after it was disabled."""
    since, rotated = token_labels.until(token), account.rotated_at
    if since is None:
        return _orphan(token, account)
    if _had_its_days(token, account):
        return Fate("deleted")
    return Fate("deleted") if rotated is not None and since + _CLOCK_SECONDS < rotated else None


def _had_its_days(token: Token, account: _Account) -> bool:
    """Tell whether a disabled token is to be deleted because it was disabled for long enough.

    One without a label of ours is somebody's, and one without a time was disabled nobody knows when.
    """
    since = token_labels.until(token)
    is_ours = token_labels.version_of(token, account.arn) is not None
    return account.grace.deletes and is_ours and since is not None and since + _DELETED_AFTER_SECONDS < account.now


def _orphan(token: Token, account: _Account) -> Fate | None:
    """A token that no version can need is deleted, unless a rotation that has just begun may have made it.

    One without a label of ours, which a stored value has named, is somebody's.
    """
    if token.created_at is None or token_labels.version_of(token, account.arn) is None:
        return None
    older = account.current.born is not None and token.created_at < account.current.born
    return Fate("deleted") if older or account.now - token.created_at.timestamp() > _YOUNG_SECONDS else None


def _label(arn: str, version: str, token: Token, fate: Fate) -> str | None:
    """Return the label that a token gets, or None if it keeps its own."""
    written = token_labels.until(token)
    match fate:
        case Fate("active", None):
            return token_labels.label_for(arn, version) if token_labels.carries_time(token) else None
        case Fate("active", until) if until is not None:
            fits = written is not None and until <= written <= until + _CLOCKS_AGREE_SECONDS
            ours = token_labels.version_of(token, arn, [version]) == version
            return None if fits and ours else token_labels.label_for(arn, version, until)
        case Fate("disabled", moment):
            return token_labels.label_for(arn, version, moment)
    return None
