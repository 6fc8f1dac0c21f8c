"""How long something lasts, as people write it: `0`, `45s`, `90m`, `24h`, `7d`, or whole days."""

import re

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_MOST_DAYS = 3650
_LONGEST = _MOST_DAYS * _SECONDS["d"]


def parse(text: str) -> int:
    """Return a duration in seconds.

    Raises:
        ValueError: it is none, or longer than ten years. The sentence goes on after the name of what was set.
    """
    written = re.fullmatch(r"0|(?P<number>[0-9]{1,9})(?P<unit>[smhd])", text)
    seconds = int(written["number"] or 0) * _SECONDS.get(written["unit"], 0) if written else _LONGEST + 1
    if seconds > _LONGEST:
        raise ValueError("must be 0 or a number with s, m, h or d, like 45s, 90m, 24h or 7d, and at most 3650d")
    return seconds


def days(text: str) -> int:
    """Return a number of days.

    Raises:
        ValueError: it is none, or more than ten years. The sentence goes on after the name of what was set.
    """
    number = int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0
    if not 1 <= number <= _MOST_DAYS:
        raise ValueError(f"must be a number of days from 1 to {_MOST_DAYS}, without a unit")
    return number
