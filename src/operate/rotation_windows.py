"""When a secret rotates: its window has to end by midnight in UTC and before the next one begins, or AWS takes none.

A template can't take the hour out of a cron expression, and AWS says it when all else of the stack is made.
https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_schedule.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

from operate.show import Problem

_DAY = 24
_STEP = re.compile(r"(?:\*|(\d+)(?:-(\d+))?)?/(\d+)")


def require_window_that_fits(settings: Mapping[str, str]) -> None:
    """Look whether a secret's rotation window fits its schedule.

    Args:
        settings: RotationSchedule and RotationWindow of secret.yaml, which looks at their form.

    Raises:
        Problem: saying which to change.
    """
    schedule, window = settings["RotationSchedule"], settings["RotationWindow"]
    hours = re.fullmatch(r"(\d+)h", window)
    if not hours:
        return  # which the template refuses
    length = int(hours[1])
    if every := re.fullmatch(r"rate\((\d+) hours?\)", schedule):
        if length > int(every[1]):
            raise _does_not_fit(schedule, window, "the next one begins before it ends")
        return
    starts = _starts(schedule)
    if starts and starts[-1] + length > _DAY:
        raise _does_not_fit(schedule, window, f"one that begins at {starts[-1]} o'clock is not over by midnight in UTC")
    if any(after - before < length for before, after in pairwise(starts)):
        raise _does_not_fit(schedule, window, "the next one begins before it ends")


def _does_not_fit(schedule: str, window: str, why: str) -> Problem:
    return Problem(
        f"RotationWindow={window} does not fit RotationSchedule='{schedule}': {why}. Give a shorter one, or another "
        "schedule, in SECRET_PARAMETERS."
    )


def _starts(schedule: str) -> list[int]:
    """Return the hours at which windows begin; none if they can't be read, or begin whenever AWS likes."""
    words = schedule.removeprefix("cron(").split()
    if not schedule.startswith("cron(") or len(words) < len(("minute", "hour")):
        return []
    hour = words[1]
    if step := _STEP.fullmatch(hour):
        first, last = int(step[1] or 0), int(step[2] or _DAY - 1)
        return list(range(first, last + 1, int(step[3]))) if int(step[3]) else []
    each = hour.split(",")
    return sorted(int(it) for it in each) if all(it.isdecimal() for it in each) else []
