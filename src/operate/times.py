"""Times, as they are said everywhere."""

from __future__ import annotations

from datetime import UTC, datetime


def stamp(at: float) -> str:
    """Return a time, in seconds since 1970, as people read it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def readable(written: str) -> str:
    """Return a time as people read it that is written as in the labels of tokens; what is no such time, as it is."""
    try:
        return stamp(datetime.strptime(written, "%Y%m%dT%H%M%S%z").timestamp())
    except ValueError:
        return written
