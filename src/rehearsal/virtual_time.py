"""Virtual time: threads that take turns, and a clock that moves on when all of them sleep.

Exactly one thread runs at a time, until it sleeps or ends. Then the one that is to wake first runs, and the clock
shows its time. So hours pass in seconds, and a run repeated is the same run.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock


class VirtualTime:
    """One clock for everybody.

    Attributes:
        now: seconds since 1970, and the monotonic clock, too.
    """

    def __init__(self, now: float = 1_800_000_010.0) -> None:
        self.now = now
        self._numbers = itertools.count()
        self._asleep: list[tuple[float, int, threading.Lock]] = []  # when each wakes, and what it waits for
        self._all_done = threading.Semaphore(0)
        self._crash: BaseException | None = None

    def thread(self, target: Callable[..., object], **options: Any) -> threading.Thread:
        """Make a thread that takes turns with the others, for `threading.Thread`. It runs in `run`."""
        turn = self._wakes_in(0)

        def take_turns(*args: object) -> None:
            turn.acquire()
            try:
                target(*args)
            except BaseException as crash:  # noqa: BLE001 - whatever it is, `run` raises it
                self._crash = self._crash or crash
            finally:
                self._wake_next()

        return threading.Thread(target=take_turns, **options)

    def sleep(self, seconds: float) -> None:
        """Let all the others go on until it is so much later: `time.sleep`."""
        turn = self._wakes_in(seconds)
        self._wake_next()
        turn.acquire()

    def run(self) -> None:
        """Let the threads go on until each has ended. Raises what one of them has raised."""
        self._wake_next()
        self._all_done.acquire()
        if self._crash:
            raise self._crash

    @contextmanager
    def everywhere(self) -> Iterator[None]:
        """Make it the time of this process."""

        def tell() -> float:
            return self.now

        with mock.patch.multiple(time, time=tell, monotonic=tell, perf_counter=tell, sleep=self.sleep):
            yield

    def _wakes_in(self, seconds: float) -> threading.Lock:
        turn = threading.Lock()
        turn.acquire()
        heapq.heappush(self._asleep, (self.now + max(0.0, seconds), next(self._numbers), turn))
        return turn

    def _wake_next(self) -> None:
        if not self._asleep:
            self._all_done.release()
            return
        self.now, _, turn = heapq.heappop(self._asleep)
        turn.release()
