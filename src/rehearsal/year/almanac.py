"""What is to happen in a stretch of time, drawn by lot: rotations, faults, outages, what people do, and who logs in.

Whoever takes AWSCURRENT's own token away does so long after a rotation, mostly: a version younger than a day is not
healed.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from dockerhub_rotation import duration
from rehearsal.wire import FaultKind
from rehearsal.year import consumers
from rehearsal.year.consumers import Consumer
from rehearsal.year.moments import DAY, HOUR, MINUTE, away_from_the_caretaker, hourly


class Act(StrEnum):
    """What somebody does by hand."""

    MOVE_BACK = "goes back to the previous version"
    OVERWRITE = "stores a token made by hand"
    PIN = "pins the current version"
    TAKE_PIN_OFF = "takes the pin off"
    TIDY_UP = "deletes the disabled tokens"
    IMITATE = "makes a token with a label like ours"
    DISABLE = "disables the token in use"
    DELETE = "deletes the token in use"


class Trouble(StrEnum):
    """What lasts for hours."""

    OUTAGE = "Docker Hub is down"
    PASSWORD = "the account's password was changed, and Parameter Store not told"
    TAG = "a tag of the secret is wrong"
    REPLICA_FAILS = "the replica fails"
    REPLICA_HANGS = "the replica hangs"


AILMENTS = (Trouble.REPLICA_FAILS, Trouble.REPLICA_HANGS)


# A request that is too slow needs a real connection that hangs.
_KINDS = tuple(kind for kind in FaultKind if kind is not FaultKind.SLOW)
# Requests of a rotation, some of which are repeated; and those of the caretaker's that come before its first change.
_OF_A_ROTATION, _BEFORE_A_CHANGE = 24, 5


@dataclass(frozen=True)
class Stretch:
    """A stretch of time.

    Attributes:
        seed: of everything random.
        grace: of superseded tokens: by default the one that `infra/secret.yaml` sets.
        expiry: days after which a new token expires; None if it does not.
        deaths: how often somebody takes the token under AWSCURRENT away.
        replica: whether the secret has one in another Region.
    """

    seed: int = 1
    days: int = 365
    rotations: int = 12
    grace: str = "24h"
    expiry: int | None = None
    deaths: int = 3
    replica: bool = True

    @property
    def seconds(self) -> float:
        """How long it is."""
        return float(self.days * DAY)

    @property
    def grace_seconds(self) -> int:
        """The grace in seconds: with a replica an hour at least."""
        return max(duration.parse(self.grace), HOUR if self.replica else 0)

    @property
    def gap(self) -> float:
        """Seconds from one rotation to the next, more or less."""
        return self.seconds / self.rotations

    @property
    def window(self) -> float:
        """Seconds until Secrets Manager tries a rotation again that it has given up: a day or so."""
        return min(20 * HOUR, self.gap / 8)


@dataclass(frozen=True)
class Flaw:
    """One request that goes wrong.

    Attributes:
        at: which it is, of the rotation or of the caretaker's look.
    """

    at: int
    kind: FaultKind


@dataclass(frozen=True)
class Rotation:
    """A rotation that Secrets Manager begins."""

    at: float
    flaws: tuple[Flaw, ...]


@dataclass(frozen=True)
class Deed:
    """Somebody does something.

    Attributes:
        flaws: of the rotation that heals what was done.
    """

    at: float
    act: Act
    flaws: tuple[Flaw, ...] = ()


@dataclass(frozen=True)
class Spell:
    """A trouble, from when to when."""

    begin: float
    end: float
    trouble: Trouble


@dataclass(frozen=True)
class Almanac:
    """All that is to happen. Times are seconds since the beginning.

    Attributes:
        looks: when the caretaker comes, and what goes wrong then.
    """

    stretch: Stretch
    rotations: tuple[Rotation, ...]
    looks: tuple[tuple[float, Flaw | None], ...]
    deeds: tuple[Deed, ...]
    spells: tuple[Spell, ...]
    consumers: tuple[Consumer, ...]


def draw(stretch: Stretch) -> Almanac:
    """Draw what is to happen."""
    lot = random.Random(stretch.seed)  # noqa: S311 - chance, not cryptography
    starts = [_in_half_hour((number + lot.uniform(0.3, 0.5)) * stretch.gap) for number in range(stretch.rotations)]
    rotations = tuple(Rotation(at, tuple(_flaws(lot, lot.choice((0, 0, 1, 1, 2)), _OF_A_ROTATION))) for at in starts)
    looks = hourly(stretch.seconds)
    # As many looks meet a fault in a short stretch as in a month.
    often = min(0.1, 8 * HOUR / stretch.gap)
    return Almanac(
        stretch=stretch,
        rotations=rotations,
        looks=tuple((at, next(_flaws(lot, 1, _BEFORE_A_CHANGE)) if lot.random() < often else None) for at in looks),
        deeds=tuple(sorted([*_deeds(lot, stretch, starts), *_deaths(lot, stretch, starts)], key=lambda deed: deed.at)),
        spells=(*_spells(lot, stretch, starts), *_ailments(lot, stretch, starts)),
        consumers=consumers.draw(lot, stretch.seconds, replica=stretch.replica),
    )


def _in_half_hour(moment: float) -> float:
    """Return a moment in the second half of its hour, when nobody is at work who comes each hour."""
    return moment // HOUR * HOUR + 40 * MINUTE


def _flaws(lot: random.Random, number: int, requests: int) -> Iterator[Flaw]:
    for _ in range(number):
        yield Flaw(lot.randint(1, requests), lot.choice(_KINDS))


def _deeds(lot: random.Random, stretch: Stretch, starts: list[float]) -> Iterator[Deed]:
    """Between any two rotations somebody does something, and something that should be of no importance."""
    pinned = False
    for start in starts:
        at = away_from_the_caretaker(start + lot.uniform(0.15, 0.5) * stretch.gap)
        act = Act.TAKE_PIN_OFF if pinned else lot.choice((Act.MOVE_BACK, Act.OVERWRITE, Act.PIN, Act.TIDY_UP))
        pinned = act is Act.PIN
        yield Deed(at, act)
        yield Deed(away_from_the_caretaker(start + lot.uniform(0.1, 0.5) * stretch.gap), Act.IMITATE)


def _deaths(lot: random.Random, stretch: Stretch, starts: list[float]) -> Iterator[Deed]:
    """Now and then somebody takes the token in use away, in one way after the other."""
    acts = itertools.cycle((Act.DISABLE, Act.DELETE))
    for start in sorted(lot.sample(starts, min(stretch.deaths, len(starts)))):
        at = away_from_the_caretaker(start + lot.uniform(0.2, 0.75) * stretch.gap)
        yield Deed(at, next(acts), tuple(_flaws(lot, lot.choice((0, 1, 2)), _OF_A_ROTATION)))


def _spells(lot: random.Random, stretch: Stretch, starts: list[float]) -> Iterator[Spell]:
    """Now and then it goes wrong for hours: at any time, from before a rotation on, or from before a deadline on."""
    longest = min(30 * HOUR, stretch.gap / 6)
    outages, others = max(1, stretch.rotations // 3), max(1, stretch.rotations // 4)
    for trouble, number in ((Trouble.OUTAGE, outages), (Trouble.PASSWORD, others), (Trouble.TAG, others)):
        end = 0.0
        for start in sorted(lot.sample(starts, number)):
            begin = start + lot.choice((-HOUR, stretch.grace_seconds - HOUR, lot.uniform(-0.2, 0.3) * stretch.gap))
            begin = max(begin, end + HOUR)
            end = begin + lot.uniform(HOUR, longest)
            yield Spell(begin, end, trouble)


def _ailments(lot: random.Random, stretch: Stretch, starts: list[float]) -> Iterator[Spell]:
    """A replica that follows no more has to be seen to by somebody, which takes days, past the end of a grace."""
    if not stretch.replica:
        return
    troubles, end = itertools.cycle(AILMENTS if stretch.seed % 2 else reversed(AILMENTS)), 0.0
    for start in sorted(lot.sample(starts, max(1, stretch.rotations // 4))):
        begin = max(start - HOUR, end + HOUR)
        end = away_from_the_caretaker(begin + stretch.grace_seconds + lot.uniform(0.1, 0.5) * stretch.gap)
        yield Spell(begin, end, next(troubles))
