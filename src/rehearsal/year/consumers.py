"""Consumers of every kind: when each logs in at Docker Hub, and when it read the copy with which it does."""

from __future__ import annotations

import bisect
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rehearsal.year.moments import DAY, HOUR, MINUTE, away_from_the_caretaker

_Lot = random.Random
_Reader = Callable[[list[float], float, _Lot], Iterator[float]]


@dataclass(frozen=True)
class Use:
    """A login, and when the secret was read for it, in seconds since the beginning."""

    read: float
    login: float


@dataclass(frozen=True)
class Consumer:
    """Somebody who logs in with the secret's token.

    Attributes:
        name: as people know it.
        interval: the longest time that it keeps a copy, in seconds; None for one that keeps it until it is restarted.
        uses: its logins, in order.
        far: whether it is in another Region, and reads the replica there.
    """

    name: str
    interval: float | None
    uses: tuple[Use, ...]
    far: bool = False


@dataclass(frozen=True)
class _Kind:
    """How a kind of consumer reads and logs in.

    Attributes:
        interval: as for `Consumer`.
        every: seconds between two logins, on average.
        reader: yields for each login when the copy was read with which it is made.
        far: as for `Consumer`.
    """

    name: str
    interval: float | None
    every: float
    reader: _Reader
    far: bool = False


def draw(lot: _Lot, seconds: float, *, replica: bool) -> tuple[Consumer, ...]:
    """Draw when consumers of all kinds read and log in, in so many seconds.

    Args:
        replica: whether there is one to read.
    """
    return tuple(_draw(kind, lot, seconds) for kind in _KINDS if replica or not kind.far)


def _draw(kind: _Kind, lot: _Lot, seconds: float) -> Consumer:
    steps = int(seconds / kind.every)
    logins = sorted(away_from_the_caretaker((step + lot.random()) * kind.every) for step in range(steps))
    logins = [login for login in logins if login < seconds]
    reads = kind.reader(logins, seconds, lot)
    return Consumer(kind.name, kind.interval, tuple(Use(*pair) for pair in zip(reads, logins, strict=True)), kind.far)


def _for_each(logins: list[float], _seconds: float, _lot: _Lot) -> Iterator[float]:
    """Read for each login."""
    yield from logins


def _when_older_than(interval: float) -> _Reader:
    """Read for the login for which the copy would be too old: caches do so."""

    def reads(logins: list[float], _seconds: float, _lot: _Lot) -> Iterator[float]:
        read = 0.0
        for login in logins:
            if login - read >= interval:
                read = login
            yield read

    return reads


def _regularly(interval: float, late: float = 0.0) -> _Reader:
    """Read at a regular interval, and up to some seconds later than that."""

    def reads(logins: list[float], seconds: float, lot: _Lot) -> Iterator[float]:
        begin = lot.random() * interval
        moments = [begin + number * interval + lot.random() * late for number in range(int(seconds / interval) + 1)]
        yield from _latest(moments, logins)

    return reads


def _by_restarts(logins: list[float], seconds: float, lot: _Lot) -> Iterator[float]:
    """Read when it is restarted, which happens every three weeks or so."""
    moments, moment = [], 0.0
    while moment < seconds:
        moment += lot.uniform(3 * DAY, 40 * DAY)
        moments.append(moment)
    yield from _latest(moments, logins)


def _latest(moments: list[float], logins: list[float]) -> Iterator[float]:
    """Yield for each login the latest moment before it, and the beginning if there is none."""
    for login in logins:
        before = bisect.bisect(moments, login)
        yield moments[before - 1] if before else 0.0


# How long each keeps a copy by default, as docs/consumers.md has it: External Secrets' refreshInterval; what the AWS
# provider of the Secrets Store CSI driver advises, with the minutes by which a synced Secret lags behind; some
# spec.interval of Flux; the list of secrets of Jenkins's AWS plugin; the times of the extension and the caching
# libraries. How soon ECR reads a new value is not documented: a day is what that page advises for it. Argo CD Image
# Updater keeps credentials until it restarts.
_KINDS = (
    _Kind("ECS and Batch", 0, 3 * HOUR, _for_each),
    _Kind("CodeBuild", 0, 5 * HOUR, _for_each),
    _Kind("Lambda extension", 300, 2 * HOUR, _when_older_than(300)),
    _Kind("Jenkins", 300, 4 * HOUR, _when_older_than(300)),
    _Kind("Flux image reflector", 10 * MINUTE, 2 * HOUR, _regularly(10 * MINUTE)),
    _Kind("External Secrets", HOUR, 2 * HOUR, _regularly(HOUR)),
    _Kind("caching library", HOUR, 2 * HOUR, _when_older_than(HOUR)),
    _Kind("Secrets Store CSI driver", 65 * MINUTE, 2 * HOUR, _regularly(HOUR, late=5 * MINUTE)),
    _Kind("ECR pull-through cache", DAY, 2 * HOUR, _when_older_than(DAY)),
    _Kind("docker login, daily", 25 * HOUR, HOUR, _regularly(DAY, late=HOUR)),
    _Kind("docker login, weekly", 7 * DAY, HOUR, _regularly(7 * DAY)),
    _Kind("Argo CD Image Updater", None, HOUR, _by_restarts),
    _Kind("ECS in another Region", 0, 3 * HOUR, _for_each, far=True),
)
