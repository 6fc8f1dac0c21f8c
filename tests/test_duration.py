"""A duration is read as people write it, and nothing else is taken for one."""

import pytest

from dockerhub_rotation import duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("0s", 0), ("45s", 45), ("90m", 5400), ("24h", 86_400), ("7d", 604_800), ("3650d", 315_360_000)],
)
def test_a_duration_is_read(text: str, seconds: int) -> None:
    assert duration.parse(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "24",
        "h",
        "24 h",
        " 24h",
        "24H",
        "24hours",
        "1.5h",
        "-1h",
        "1h30m",
        "1w",
        "٤h",
        "24h\n",
        "3651d",
        "9" * 30,
    ],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="^must be 0 or a number with s, m, h or d"):
        duration.parse(text)


@pytest.mark.parametrize(("text", "days"), [("1", 1), ("90", 90), ("3650", 3650), ("007", 7)])
def test_a_number_of_days_is_read(text: str, days: int) -> None:
    assert duration.days(text) == days


@pytest.mark.parametrize("text", ["", "0", "3651", "90d", "-1", "1.5", " 90", "90\n", "٣", "9" * 30])
def test_what_is_no_number_of_days_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="^must be a number of days from 1 to 3650, without a unit$"):
        duration.days(text)
