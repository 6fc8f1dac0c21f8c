"""The time an invocation has left, and all waiting for Docker Hub that is done in it."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from dockerhub_rotation.errors import OutOfTime

# Kept for the log line, the metrics and the Slack message, in seconds.
_RESERVE = 5.0
# What takes longer between two moments counts as waiting, also if nobody has paused: an answer was slow.
_UNNOTICED_SECONDS = 5.0


@dataclass(frozen=True)
class Moment:
    """A moment of an invocation: how often it had paused by then, and how many seconds were left."""

    pauses: int
    seconds_left: float


class Deadline:
    """How long this invocation may still work, with enough kept to report a failure.

    Args:
        remaining_milliseconds: asked anew each time; Lambda's `context.get_remaining_time_in_millis`.

    Attributes:
        began: the moment at which the invocation began.
    """

    def __init__(self, remaining_milliseconds: Callable[[], int]) -> None:
        self._remaining_milliseconds = remaining_milliseconds
        self._kept_for_report = min(_RESERVE, remaining_milliseconds() / 2000)
        self._pauses = 0
        self.began = self.moment()

    def moment(self) -> Moment:
        """Return the moment that it is now."""
        return Moment(self._pauses, self.seconds_left())

    def has_waited_since(self, moment: Moment) -> bool:
        """Tell whether anything had to wait since a moment: somebody has paused, or it took longer than it should."""
        now = self.moment()
        return now.pauses > moment.pauses or moment.seconds_left - now.seconds_left > _UNNOTICED_SECONDS

    def seconds_left(self) -> float:
        """Return the seconds that may be spent before the report is due; negative if it is overdue."""
        return self._remaining_milliseconds() / 1000 - _RESERVE

    def seconds_until_report(self) -> float:
        """Return the seconds after which there has to be a report; negative if they are over.

        As `seconds_left`; but where the function's timeout is hardly longer than what is kept for the report, as
        Lambda's default is, half of it may be worked.
        """
        return self._remaining_milliseconds() / 1000 - self._kept_for_report

    def require(self, seconds: float, what: str) -> None:
        """Raise OutOfTime if less time than this is left for what is to be done."""
        if self.seconds_left() < seconds:
            raise OutOfTime(
                f"{what}: the invocation's time is used up. A later try may get through; a longer function "
                "timeout avoids it."
            )

    def wait(self, seconds: float, reason: str) -> None:
        """Wait.

        Raises:
            OutOfTime: at once, if the wait would leave no second for a request after it.
        """
        if not self.pause(seconds):
            raise OutOfTime(
                f"{reason}: that takes {seconds:.0f} s, and this invocation has not that long. A later try may get "
                "through; a longer function timeout avoids it."
            )

    def pause(self, seconds: float, *, spread: float = 0.0, spare: float = 1.0) -> bool:
        """Wait and return True; or, if that would leave too little time, return False at once.

        Args:
            spread: wait as much longer as is drawn by lot, at most so many seconds and half of the time left, so that
                those who began together go on one after the other.
            spare: how many seconds must be left after it, unless the lot wants some of them.
        """
        time_to_wait = self.seconds_left() - spare
        if seconds > time_to_wait:
            return False
        self._pauses += 1
        time.sleep(seconds + jitter(min(spread, (time_to_wait - seconds) / 2)))
        return True


def jitter(at_most: float, at_least: float = 0.0) -> float:
    """Return a number of seconds drawn by lot."""
    return random.uniform(at_least, at_most)  # noqa: S311 - jitter, not cryptography
