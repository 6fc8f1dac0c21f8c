"""Moments of a stretch of time, in seconds since its beginning, which is the beginning of an hour."""

from __future__ import annotations

MINUTE, HOUR, DAY = 60, 3600, 86_400

# So long a change takes to the replica, which says nothing of it before. What changes away from the caretaker's minutes
# has got there when it comes.
REPLICA_LAGS = 100

# When the caretaker comes, each hour, and the minutes in which it may be at work. Nobody else logs in then, and no
# rotation begins: so what a consumer meets can be told by the hour of the caretaker's look, without its seconds.
CARETAKER_COMES = 17 * MINUTE
_AT_WORK = (15 * MINUTE, 25 * MINUTE)


def away_from_the_caretaker(moment: float) -> float:
    """Return a moment, or one some minutes later if the caretaker may be at work then."""
    begin, end = _AT_WORK
    return moment + end - begin if begin <= moment % HOUR < end else moment


def hourly(seconds: float) -> list[float]:
    """Return when the caretaker comes in so many seconds."""
    return [hour * HOUR + CARETAKER_COMES for hour in range(int(seconds // HOUR))]
