"""CloudWatch Logs: what the functions print, event by event, and the requests with which people read it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import RLock
from typing import Any

from rehearsal.secret_descriptions import Refused
from rehearsal.served import filter_pattern

# So few that a reader who takes an empty page for the end, or forgets the next one, is found out soon. The real ones
# are bound by bytes: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
_EVENTS_SEARCHED = 50
_MOST_EVENTS = 10_000
# Of Lambda's context, as `sandbox.Context` has it.
_REQUEST = "RequestId: 00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True)
class Event:
    """One event of a log group. Times are milliseconds since 1970."""

    id: str
    timestamp: int
    ingested: int
    stream: str
    message: str


@dataclass
class Group:
    """A log group, and the function that writes into it.

    Attributes:
        printed: returns all that the function has printed so far.
        read: how much of that stands in the events.
        begun: whether an invocation has begun to write, and not ended.
    """

    name: str
    printed: Callable[[], str]
    made: int
    events: list[Event] = field(default_factory=list)
    read: int = 0
    begun: bool = False


class LogGroups:
    """The log groups of the functions.

    Args:
        printed: by the name of the function, what returns all that it has printed so far.
        clock: the time, in seconds since 1970.
        passed: returns by how many seconds that clock is ahead of the one that the functions go by.
    """

    def __init__(
        self, printed: Mapping[str, Callable[[], str]], clock: Callable[[], float], passed: Callable[[], float]
    ) -> None:
        self._clock = clock
        self._passed = passed
        self._lock = RLock()
        names = {f"/aws/lambda/{name}": read for name, read in printed.items()}
        self._groups = {name: Group(name, read, self._now()) for name, read in names.items()}
        self.operations = {"FilterLogEvents": self._filter, "DescribeLogGroups": self._describe}

    def end_invocation(self, function: str, seconds: float) -> None:
        """Write what the Lambda service writes when an invocation has ended."""
        with self._lock:
            group = self._groups[f"/aws/lambda/{function}"]
            self._ingest(group)
            self._begin(group)
            self._append(group, f"END {_REQUEST}\n")
            took = f"Duration: {seconds * 1000:.2f} ms\tBilled Duration: {seconds * 1000 + 1:.0f} ms"
            self._append(group, f"REPORT {_REQUEST}\t{took}\tMemory Size: 128 MB\tMax Memory Used: 90 MB\t\n")
            group.begun = False

    def messages(self, function: str) -> list[str]:
        """Return the messages of a function's log so far, in order."""
        with self._lock:
            group = self._groups[f"/aws/lambda/{function}"]
            self._ingest(group)
            return [event.message for event in sorted(group.events, key=lambda event: event.timestamp)]

    def _ingest(self, group: Group) -> None:
        """Make events of what was printed since the last look: of each whole line one."""
        new = group.printed()[group.read :]
        whole = new[: new.rfind("\n") + 1]
        group.read += len(whole)
        for line in whole.splitlines(keepends=True):
            self._begin(group)
            self._append(group, line)

    def _begin(self, group: Group) -> None:
        if not group.begun:
            group.begun = True
            self._append(group, f"START {_REQUEST} Version: $LATEST\n")

    def _append(self, group: Group, message: str) -> None:
        now = self._now()
        said = _said_at(message)
        timestamp = now if said is None else min(now, said + round(self._passed() * 1000))
        day = datetime.fromtimestamp(timestamp / 1000, UTC)
        event_id = f"{timestamp:014}{len(group.events):042}"
        stream = f"{day:%Y/%m/%d}/[$LATEST]{'0' * 32}"
        group.events.append(Event(event_id, timestamp, now, stream, message))

    def _filter(self, call: dict[str, Any]) -> dict[str, Any]:
        """Answer https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html."""
        name = str(call.get("logGroupName") or call.get("logGroupIdentifier", "")).rpartition(":log-group:")[2]
        with self._lock:
            if name not in self._groups:
                raise Refused("ResourceNotFoundException", "The specified log group does not exist.")
            group = self._groups[name]
            self._ingest(group)
            events = sorted(group.events, key=lambda event: event.timestamp)
        matches = filter_pattern.read(call.get("filterPattern", ""))
        since, until = call.get("startTime", 0), call.get("endTime", float("inf"))
        streams = call.get("logStreamNames")
        asked = [
            event for event in events if since <= event.timestamp < until and (not streams or event.stream in streams)
        ]
        start, limit = _start(call), call.get("limit", _MOST_EVENTS)
        if not 1 <= limit <= _MOST_EVENTS:
            raise Refused("InvalidParameterException", f"limit must be between 1 and {_MOST_EVENTS}.")
        found: list[Event] = []
        end = start
        while end < len(asked) and end < start + _EVENTS_SEARCHED and len(found) < limit:
            found += [asked[end]] if matches(asked[end].message) else []
            end += 1
        more = {"nextToken": f"event-{end}"} if end < len(asked) else {}
        return {"events": [_shown(event) for event in found], "searchedLogStreams": [], **more}

    def _describe(self, call: dict[str, Any]) -> dict[str, Any]:
        """Answer https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogGroups.html."""
        prefix, part = call.get("logGroupNamePrefix", ""), call.get("logGroupNamePattern", "")
        with self._lock:
            groups = [group for group in self._groups.values() if group.name.startswith(prefix) and part in group.name]
        return {
            "logGroups": [
                {"logGroupName": group.name, "creationTime": group.made, "metricFilterCount": 0, "storedBytes": 0}
                for group in groups
            ]
        }

    def _now(self) -> int:
        return round(self._clock() * 1000)


def _start(call: Mapping[str, Any]) -> int:
    number = str(call.get("nextToken", "event-0")).removeprefix("event-")
    if not number.isdigit():
        raise Refused("InvalidParameterException", "The specified nextToken is invalid.")
    return int(number)


def _shown(event: Event) -> dict[str, Any]:
    return {
        "eventId": event.id,
        "timestamp": event.timestamp,
        "ingestionTime": event.ingested,
        "logStreamName": event.stream,
        "message": event.message,
    }


def _said_at(message: str) -> int | None:
    """Return when a line says that it was written, in milliseconds by the function's clock, if it does."""
    try:
        return round(datetime.strptime(json.loads(message)["timestamp"], "%Y-%m-%d %H:%M:%S,%f%z").timestamp() * 1000)
    except (ValueError, TypeError, KeyError):
        return None
