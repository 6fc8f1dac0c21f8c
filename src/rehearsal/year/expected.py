"""What should have become of tokens and logins, worked out and not simulated.

It goes by when AWSCURRENT moved, the deadlines of superseded tokens, the hours of the caretaker, what it said of them,
and each consumer's schedule. It asks nobody whether a token works.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator

from rehearsal.year.almanac import Almanac, Trouble
from rehearsal.year.chronicle import Chronicle, Phase, State
from rehearsal.year.consumers import Consumer
from rehearsal.year.moments import DAY, HOUR

# Between a deadline and the promotion there may be all the time that an invocation has; a retirement takes seconds.
_INVOCATION_SECONDS = 180
_AT_WORK_SECONDS = 120


class Expected:
    """What follows from what happened.

    Args:
        almanac: what was to happen, for the caretaker's hours and the consumers' schedules.
        chronicle: what happened; of it the rotations, pins and moves of AWSCURRENT, the deadlines, and what the
            caretaker said.
    """

    def __init__(self, almanac: Almanac, chronicle: Chronicle) -> None:
        in_vain = {mark.at for mark in chronicle.in_vain}
        looks = [at for at, _ in almanac.looks if at not in in_vain]
        self._chronicle = chronicle
        self._swept = sorted([*looks, *(rotation.end for rotation in chronicle.rotations)])
        self._moved = [at for at, _ in chronicle.current]
        self._ends: dict[int, list[tuple[float, float]]] = {}
        for token, phase, _ in chronicle.phases(State.GRACE):
            self._ends.setdefault(token, []).append((phase.at, self._end(token, phase.deadline)))

    def refusals(self, consumer: Consumer) -> list[float]:
        """Return when a consumer is refused."""
        return [use.login for use in consumer.uses if self._is_refused(use.read, use.login)]

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
        for token, phase, end in self._chronicle.phases(State.ORPHAN):
            rotation = next((one for one in self._chronicle.rotations if one.begin <= phase.at < one.end), None)
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
        if end is not None and end < deadline and self._current_at(end + 1) != token:
            yield f"it ended {deadline - end:.0f} s before its deadline"

    def _lingers(self, end: float | None, due: float) -> Iterator[str]:
        kept = self._chronicle.stretch.seconds if end is None else end
        if kept > due + _AT_WORK_SECONDS:
            yield f"it was to end at {due:.0f}, and lingered for {kept - due:.0f} s"

    def _is_refused(self, read: float, login: float) -> bool:
        if self.is_down(login):
            return False
        held = self._current_at(read)
        if login >= self._expires(held):
            return True
        if held == self._current_at(login):
            return False
        superseded = [end for at, end in self._ends.get(held, ()) if at <= login]
        return bool(superseded) and login >= superseded[-1]

    def _expires(self, token: int) -> float:
        """Return when a token ends by itself."""
        life, days = self._chronicle.lives[token], self._chronicle.stretch.expiry
        return math.inf if days is None or life.origin != "made by a rotation" else life.phases[0].at + days * DAY

    def _current_at(self, moment: float) -> int:
        return self._chronicle.current[bisect.bisect(self._moved, moment) - 1][1]

    def _end(self, token: int, deadline: float | None) -> float:
        """Return when a superseded token is disabled: as soon as somebody looks who sees that it is due."""
        due = deadline
        for pin in self._chronicle.pins:
            if due is not None and pin.token == token and pin.begin <= self._next_sweep(due) and due < pin.end:
                due = pin.end
        return math.inf if due is None else self._next_sweep(due)

    def _next_sweep(self, moment: float) -> float:
        number = bisect.bisect_left(self._swept, moment)
        return self._swept[number] if number < len(self._swept) else math.inf
