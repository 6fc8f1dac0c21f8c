"""What should have become of tokens and logins, worked out and not simulated.

It goes by when AWSCURRENT moved, the deadlines of superseded tokens, the hours of the caretaker, what it said of them,
what people did, how the replica was, and each consumer's schedule. It asks nobody whether a token works.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterator

from rehearsal.year.almanac import Almanac, Trouble
from rehearsal.year.chronicle import Chronicle, Phase, Span, State
from rehearsal.year.consumers import Consumer, Use
from rehearsal.year.moments import DAY, HOUR, REPLICA_LAGS

# Between a deadline and the promotion there may be all the time that an invocation has; a retirement takes seconds.
_INVOCATION_SECONDS = 180
_AT_WORK_SECONDS = 120


class Expected:
    """What follows from what happened.

    Args:
        almanac: what was to happen, for the caretaker's hours and the consumers' schedules.
        chronicle: what happened; of it the rotations, pins, deaths and moves of AWSCURRENT, the deadlines, from when to
            when the replica was behind, and what the caretaker said.
    """

    def __init__(self, almanac: Almanac, chronicle: Chronicle) -> None:
        in_vain = {mark.at for mark in chronicle.in_vain}
        looks = [at for at, _ in almanac.looks if at not in in_vain]
        self._chronicle = chronicle
        self._looks = looks
        self._rotated = sorted([*chronicle.rotations, *chronicle.heals], key=lambda rotation: rotation.begin)
        self._swept = sorted([*looks, *(rotation.end for rotation in self._rotated)])
        self._moved = [at for at, _ in chronicle.current]
        self._dead = list(self._dead_in_use())
        self._ends: dict[int, list[tuple[float, float]]] = {}
        for token, phase, _ in chronicle.phases(State.GRACE):
            self._ends.setdefault(token, []).append((phase.at, self._end(token, phase.deadline)))

    def refusals(self, consumer: Consumer) -> list[float]:
        """Return when a consumer is refused."""
        return [use.login for use in consumer.uses if self._is_refused(consumer, use)]

    def whatever_the_grace(self, consumer: Consumer) -> list[float]:
        """Return when a consumer is refused because its token was taken away in use, or has expired."""
        return [
            use.login
            for use in consumer.uses
            if not self.is_down(use.login) and self._is_dead(self._held(consumer, use.read), use.login)
        ]

    def refused_for(self) -> list[float]:
        """Return for how many seconds nobody could log in who reads for each login, once for each dead token."""
        return [until - since for _, since, until in self._dead]

    def is_down(self, moment: float) -> bool:
        """Tell whether Docker Hub gives no answer."""
        return any(
            trouble.begin <= moment < trouble.end
            for trouble in self._chronicle.troubles
            if trouble.what == Trouble.OUTAGE
        )

    def wrong(self) -> Iterator[str]:
        """Say of each token that lives too long or too short, and of each deadline that is none."""
        for token, phase, end in self._chronicle.phases(State.GRACE):
            if phase.at >= self._expires(token):
                continue  # nobody has anything of it
            since = f"token {token + 1}, superseded at {phase.at:.0f}"
            yield from (f"{since}: {wrong}" for wrong in self._wrong_with_grace(token, phase, end))
            yield from (f"{since}: {wrong}" for wrong in self._lingers(end, self._end(token, phase.deadline)))
        yield from self._wrong_with_heals()
        for token, phase, end in self._chronicle.phases(State.ORPHAN):
            rotation = next((one for one in self._rotated if one.begin <= phase.at < one.end), None)
            due = max(phase.at + HOUR, rotation.end if rotation else 0.0)
            yield from (f"token {token + 1}, left over: {wrong}" for wrong in self._lingers(end, self._next_sweep(due)))

    def _wrong_with_grace(self, token: int, phase: Phase, end: float | None) -> Iterator[str]:
        grace, deadline = self._chronicle.stretch.grace_seconds, phase.deadline
        if deadline is None:
            if self._next_sweep(phase.at) + _AT_WORK_SECONDS < self._chronicle.stretch.seconds:
                yield "it has no deadline"
            return
        earliest = phase.at + grace - _INVOCATION_SECONDS
        if end is not None and end >= self._expires(token):
            return
        if not earliest <= deadline <= self._next_sweep(phase.at) + grace + _AT_WORK_SECONDS:
            yield f"its deadline is {deadline:.0f}"
        if end is None or self._current_at(end + 1) == token:
            return
        if end < deadline:
            yield f"it ended {deadline - end:.0f} s before its deadline"
        if self._is_kept(token, end) and not any(one.begin <= end <= one.end for one in self._rotated):
            yield "it ended while it was to be kept: for a pin, a replica, or a token in use that did not work"

    def _wrong_with_heals(self) -> Iterator[str]:
        """Say of each dead token in use that the first look that could did not have it replaced, and of other heals."""
        for token, since, until in self._dead:
            due = self._healed_from(token, since)
            begun = any(due <= heal.begin <= due + _AT_WORK_SECONDS for heal in self._chronicle.heals)
            if until > due + _AT_WORK_SECONDS and not begun:
                yield f"token {token + 1}, dead since {since:.0f}: it was to be replaced from {due:.0f} on"
        for heal in self._chronicle.heals:
            if not any(self._healed_from(token, since) <= heal.begin < until for token, since, until in self._dead):
                yield f"a rotation was begun at {heal.begin:.0f}, for no dead token or too soon"
        said = self._chronicle.findings.get("HealStarted", 0)
        if said != len(self._chronicle.heals):
            yield f"{said} heals were begun, and {len(self._chronicle.heals)} ended well"

    def _dead_in_use(self) -> Iterator[tuple[int, float, float]]:
        """Yield each token that was dead under AWSCURRENT, from when on, and until when."""
        moves = [*self._chronicle.current, (self._chronicle.stretch.seconds, -1)]
        for (at, token), (until, _) in itertools.pairwise(moves):
            # Who goes back to a token enables it in the same moment.
            died = [max(at, death.begin) for death in self._deaths(token) if death.end > at + 1]
            since = min([*died, max(at, self._expires(token))])
            if since < until:
                yield token, since, until

    def _healed_from(self, token: int, since: float) -> float:
        """Return when the caretaker has a token replaced that is dead since then."""
        ends = [rotation.end for rotation in self._rotated if rotation.end <= since]
        young_until = DAY + max([*ends, next(at for at, one in self._chronicle.current if one == token)])
        hindered = [*self._rotated, *(one for one in self._chronicle.troubles if one.what == Trouble.TAG)]
        can = (at for at in self._looks if not any(one.begin < at < one.end for one in hindered))
        return next((at for at in can if at >= max(since, young_until)), math.inf)

    def _lingers(self, end: float | None, due: float) -> Iterator[str]:
        kept = self._chronicle.stretch.seconds if end is None else end
        if kept > due + _AT_WORK_SECONDS:
            yield f"it was to end at {due:.0f}, and lingered for {kept - due:.0f} s"

    def _is_refused(self, consumer: Consumer, use: Use) -> bool:
        if self.is_down(use.login):
            return False
        held = self._held(consumer, use.read)
        if self._is_dead(held, use.login):
            return True
        if held == self._current_at(use.login):
            return False
        superseded = [end for at, end in self._ends.get(held, ()) if at <= use.login]
        return bool(superseded) and use.login >= superseded[-1]

    def _held(self, consumer: Consumer, read: float) -> int:
        """Return which token a consumer has read."""
        if not consumer.far:
            return self._current_at(read)
        missed = next((span.begin for span in self._chronicle.behind if span.begin <= read < span.end), math.inf)
        return self._current_at(min(read, missed - 1) - REPLICA_LAGS)

    def _is_dead(self, token: int, moment: float) -> bool:
        """Tell whether a token has expired by itself, or somebody has taken it away."""
        taken_away = any(death.begin <= moment < death.end for death in self._deaths(token))
        return taken_away or moment >= self._expires(token)

    def _deaths(self, token: int) -> Iterator[Span]:
        return (death for death in self._chronicle.deaths if death.token == token)

    def _expires(self, token: int) -> float:
        """Return when a token ends by itself."""
        life, days = self._chronicle.lives[token], self._chronicle.stretch.expiry
        return math.inf if days is None or life.origin != "made by a rotation" else life.phases[0].at + days * DAY

    def _current_at(self, moment: float) -> int:
        return self._chronicle.current[max(0, bisect.bisect(self._moved, moment) - 1)][1]

    def _end(self, token: int, deadline: float | None) -> float:
        """Return when a superseded token is disabled: as soon as somebody looks who sees that it is due."""
        due = math.inf if deadline is None else deadline
        looks = self._swept[bisect.bisect_left(self._swept, due) :]
        return next((at for at in looks if not self._is_kept(token, at)), math.inf)

    def _is_kept(self, token: int, moment: float) -> bool:
        """Tell whether somebody has pinned a token, a replica may hold it, or the one in use does not work."""
        pins = (pin for pin in self._chronicle.pins if pin.token == token)
        dead = any(since <= moment < until for _, since, until in self._dead)
        return dead or any(span.begin <= moment < span.end for span in (*pins, *self._chronicle.behind))

    def _next_sweep(self, moment: float) -> float:
        number = bisect.bisect_left(self._swept, moment)
        return self._swept[number] if number < len(self._swept) else math.inf
