"""What a plan leaves active although the secret has no use for it any more: until when, why, and whether it is used."""

from collections.abc import Iterator
from dataclasses import dataclass

from dockerhub_rotation import token_labels
from dockerhub_rotation.counting import counted
from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.groups import NOTHING, Group, Stored, grouped, holders, in_use
from dockerhub_rotation.plan import Grace, fates
from dockerhub_rotation.secrets_manager import CURRENT, PREVIOUS, SecretVersions
from dockerhub_rotation.token_labels import is_anothers


@dataclass(frozen=True)
class Left:
    """A token that is left active although no consumer is known to need it, and why."""

    token: Token
    version: str
    why: str


@dataclass(frozen=True)
class InGrace:
    """A superseded token that is active until its deadline or its own end, in seconds since 1970."""

    token: Token
    version: str
    until: float


def left_active(
    tokens: list[Token], versions: SecretVersions, stored: Stored, now: float, grace: Grace, *, spares: bool = False
) -> Iterator[Left]:
    """Yield the tokens that the plan leaves active, although no consumer is known to need them.

    Args:
        tokens, versions, stored, now, grace, spares: as for `plan`.
    """
    for one in fates(tokens, versions, stored, now, grace, spares=spares):
        works = one.token.active and not one.token.expired(now)
        if one.fate is None and works and (one.doubt or not one.group.in_use):
            why = one.doubt or _why_left(one.token, one.group, now)
            if why is not None:
                yield Left(one.token, one.version, why)
    held_by = holders(versions, stored)
    for token in tokens:
        holder = held_by.get(token.uuid.lower())
        if holder is None or in_use(versions, holder) or not is_anothers(token, versions.arn):
            continue
        if token.active and not token.expired(now):
            yield Left(token, holder, "it was made for another secret, to which it is left")


def in_grace(
    tokens: list[Token], versions: SecretVersions, stored: Stored, now: float, grace: Grace
) -> Iterator[InGrace]:
    """Yield the superseded tokens that stay active until their deadline. Arguments as for `plan`."""
    for one in fates(tokens, versions, stored, now, grace):
        if one.fate is not None and one.fate.becomes == "active" and one.fate.until is not None:
            ends = one.token.expires_at.timestamp() if one.token.expires_at else one.fate.until
            yield InGrace(one.token, one.version, min(one.fate.until, ends))


def still_used(
    tokens: list[Token], versions: SecretVersions, stored: Stored, now: float, grace: Grace
) -> Iterator[Token]:
    """Yield the superseded tokens with which somebody logs in who should have read the new value by now.

    Used later than in the middle between the creation of the current token and the deadline, or after the deadline: by
    then, a consumer for which the grace is long enough has read the secret again. All three moments are of one clock.
    And later than in the middle of a grace that ends then: a rotation that hung was promoted long after it had made its
    token, and a rollback brings back one that is older than what it replaces.
    While a replica is behind, those who read it are not to blame, and nothing is said.
    It is a hint: how soon Docker Hub shows a use, and what counts as one, is not documented.

    Args:
        tokens, versions, stored, now, grace: as for `plan`. Tokens that were asked are left out: the use may be ours.
    """
    if grace.waits is not None:
        return
    groups, ours = grouped(tokens, versions, stored), {uuid.lower() for uuid in stored.values() if uuid}
    born = groups.get(versions.holder(CURRENT) or "", NOTHING).born
    for group in groups.values():
        if group.in_use or group.pins:
            continue
        for token in group.tokens:
            deadline, used = token_labels.until(token), token.last_used
            works = token.active and not token.expired(now)
            if not works or deadline is None or used is None or token.uuid.lower() in ours:
                continue
            middle = (born.timestamp() + deadline) / 2 if born else deadline
            if used.timestamp() > min(max(middle, deadline - grace.seconds / 2), deadline):
                yield token


def _why_left(token: Token, group: Group, now: float) -> str | None:
    """Return why a token that may be superseded is left, or None if that it may belong to a rotation that goes on."""
    if group.pins:
        return f"its version is pinned by {_named(group.pins)}, and it is {_age(token, now)}"
    if PREVIOUS in group.labels:
        return "it may be the one that AWSCURRENT holds"
    if token.created_at is None and not token_labels.carries_time(token):
        return "its age can't be read"
    return "it may be the one that AWSCURRENT holds" if token_labels.carries_time(token) else None


def _named(pins: frozenset[str]) -> str:
    return "the staging label " + " and ".join(sorted(pins))


def _age(token: Token, now: float) -> str:
    if token.created_at is None:
        return "of unknown age"
    return f"{counted(round(max(0.0, now - token.created_at.timestamp()) / 86400), 'day')} old"
