"""Lengths of time in words."""

from __future__ import annotations

from rehearsal.year.moments import DAY, HOUR, MINUTE


def interval_in_words(seconds: float | None) -> str:
    """Say how long a consumer keeps a copy."""
    match seconds:
        case None:
            return "until restarted"
        case 0:
            return "not at all"
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds % unit == 0:
            return f"{seconds / unit:g} {name}"
    return f"{seconds:g} s"
