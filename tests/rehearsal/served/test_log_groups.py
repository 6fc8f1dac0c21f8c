"""CloudWatch Logs, as programs read them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from rehearsal.secret_descriptions import Refused
from rehearsal.served.log_groups import LogGroups

NOW = 1_795_000_000.0
GROUP = "/aws/lambda/rotates"


@dataclass
class Printing:
    """A function that prints, and its log group."""

    printed: str = ""
    passed: float = 0.0
    logs: LogGroups = field(init=False)

    def __post_init__(self) -> None:
        self.logs = LogGroups({"rotates": lambda: self.printed}, lambda: NOW + self.passed, lambda: self.passed)

    def filtered(self, **how: Any) -> list[str]:
        """Return the messages of all pages."""
        found: list[str] = []
        more: dict[str, Any] = {}
        while True:
            page = self.logs.operations["FilterLogEvents"]({"logGroupName": GROUP, **how, **more})
            found += [event["message"] for event in page["events"]]
            if "nextToken" not in page:
                return found
            more = {"nextToken": page["nextToken"]}


def line(number: int, at: str = "2026-11-18 18:26:00,123+0000") -> str:
    return json.dumps({"message": f"line {number}", "timestamp": at}) + "\n"


def test_what_a_function_prints_is_there_at_once_each_whole_line_once() -> None:
    function = Printing()
    function.printed += line(1) + '{"message": "not y'
    assert [message for message in function.filtered() if message.startswith("{")] == [line(1)]

    function.printed += 'et whole"}\n'

    assert [message for message in function.filtered() if message.startswith("{")] == [
        line(1),
        '{"message": "not yet whole"}\n',
    ]


def test_an_invocation_stands_between_the_services_own_lines() -> None:
    function = Printing()
    for number in (1, 2):
        function.printed += json.dumps({"number": number}) + "\n"
        function.logs.end_invocation("rotates", 0.25)

    words = [message.split()[0] for message in function.logs.messages("rotates")]
    assert words == ["START", '{"number":', "END", "REPORT"] * 2
    assert "Duration: 250.00 ms" in function.logs.messages("rotates")[-1]


def test_an_event_carries_the_time_that_its_line_tells_by_the_clock_of_aws() -> None:
    function = Printing(passed=-3600)
    function.printed = line(1, at="2026-11-18 10:00:00,123+0000") + '{"no": "time"}\n' + line(2, at="soon")
    events = function.logs.operations["FilterLogEvents"]({"logGroupName": GROUP})["events"]

    times = {event["message"]: event["timestamp"] for event in events}
    assert times[line(1, at="2026-11-18 10:00:00,123+0000")] == 1_794_996_000_123 - 3_600_000
    assert times['{"no": "time"}\n'] == times[line(2, at="soon")] == round((NOW - 3600) * 1000)


def test_events_are_found_by_time_and_pattern_over_all_pages() -> None:
    function = Printing()
    function.printed = "".join(line(number, at="2026-11-18 10:00:00,000+0000") for number in range(120))
    function.printed += line(120, at="2026-11-18 10:00:01,000+0000")
    began = 1_794_996_001_000

    assert len(function.filtered()) == 122
    assert function.filtered(filterPattern='{ $.message = "line 119" }') == [line(119, "2026-11-18 10:00:00,000+0000")]
    assert function.filtered(endTime=began, filterPattern='{ $.message = "line 120" }') == []
    assert len(function.filtered(startTime=began, filterPattern='{ $.message = "*" }')) == 1
    first = function.logs.operations["FilterLogEvents"]({"logGroupName": GROUP, "filterPattern": '"line 119"'})
    assert first["events"] == []
    assert "nextToken" in first
    assert len(function.logs.operations["FilterLogEvents"]({"logGroupName": GROUP, "limit": 3})["events"]) == 3


@pytest.mark.parametrize(
    "wrong",
    [{"logGroupName": "/aws/lambda/other"}, {"limit": 0}, {"nextToken": "first"}, {"filterPattern": "{ nothing }"}],
)
def test_what_cannot_be_read_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Refused, match=r"ResourceNotFoundException|InvalidParameterException"):
        Printing().logs.operations["FilterLogEvents"]({"logGroupName": GROUP, **wrong})


def test_groups_are_found_by_what_their_names_begin_with() -> None:
    describe = Printing().logs.operations["DescribeLogGroups"]

    assert [it["logGroupName"] for it in describe({"logGroupNamePrefix": "/aws/lambda/rot"})["logGroups"]] == [GROUP]
    assert describe({"logGroupNamePrefix": "/aws/lambda/other"})["logGroups"] == []
