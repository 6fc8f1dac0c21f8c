"""The time an invocation has left."""

import time
from collections.abc import Callable

from dockerhub_rotation.errors import OutOfTime

# Kept for the log line, the metrics and the Slack message, in seconds.
_RESERVE = 5.0


class Deadline:
    """How long this invocation may still work, with enough kept to report a failure.

    Args:
        remaining_milliseconds: asked anew each time; Lambda's `context.get_remaining_time_in_millis`.
    """

    def __init__(self, remaining_milliseconds: Callable[[], int]) -> None:
        self._remaining_milliseconds = remaining_milliseconds

    def seconds_left(self) -> float:
        """Return the seconds that may be spent before the report is due; negative if it is overdue."""
        return self._remaining_milliseconds() / 1000 - _RESERVE

    def wait(self, seconds: float, reason: str) -> None:
        """Wait.

        Raises:
            OutOfTime: at once, if the wait would leave no second for a request after it.
        """
        if seconds + 1 > self.seconds_left():
            raise OutOfTime(
                f"{reason}: that takes {seconds:.0f} s, and this invocation has not that long. Secrets Manager tries "
                "again by itself; a longer function timeout avoids it."
            )
        time.sleep(seconds)
