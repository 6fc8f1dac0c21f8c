"""The lines of a function's log, as it writes them: JSON, an object a line, beside the Lambda service's own."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from operate.session import Aws, Refused
from operate.show import Problem, in_one_line
from operate.times import stamp
from operate.typed import without_commands

# What a version id is made of, as far as a pattern of CloudWatch Logs can hold it: in its texts * is any other.
_VERSION = re.compile(r"[A-Za-z0-9_.:/+=@-]{1,64}")

# As a function says it that remembers a refusal of Docker Hub's: the day is that of the line, or the next one.
_NOT_YET = re.compile(
    r"Not asked again until (?P<until>\d\d:\d\d) UTC, because it was refused at (?P<at>\d\d:\d\d), for they add up to "
    r"a lockout\."
)


@dataclass(frozen=True)
class Line:
    """One line.

    Attributes:
        at: when, in seconds since 1970.
        said: what it says, by field.
    """

    at: float
    said: Mapping[str, Any]

    @property
    def level(self) -> str:
        """How urgent: INFO, WARNING, ERROR."""
        return self._text("level")

    @property
    def step(self) -> str:
        """Of a rotation; empty in lines of none."""
        return self._text("step")

    @property
    def message(self) -> str:
        """What it says to people."""
        return self._text("message")

    @property
    def told(self) -> str:
        """What it says, for people who read it now: a time that it speaks of as one to come may have passed."""
        return _NOT_YET.sub(self._passed, self.message)

    def told_after(self, earlier: Sequence[Line]) -> str:
        """What it says, after others: what one of them has said, with the commands that mend it, is not said again."""
        told, before = without_commands(self.told), [without_commands(it.message) for it in earlier if it.failed]
        said = next((it for it in before if it and told.endswith(it)), None)
        return f"{told.removesuffix(said)}the same as before" if said else self.told

    @property
    def version(self) -> str:
        """The version that it is about."""
        return str(self.said.get("correlation_id", ""))

    @property
    def failed(self) -> bool:
        """Whether it tells of a failure."""
        return self.level == "ERROR"

    @property
    def time(self) -> str:
        """When, as people read it."""
        return stamp(self.at)

    def _passed(self, found: re.Match[str]) -> str:
        """Return a sentence that says until when something is not done, as one of what has been, if that is over."""
        hours, minutes = int(found["until"][:2]), int(found["until"][3:])
        until = datetime.fromtimestamp(self.at, UTC).replace(hour=hours, minute=minutes, second=0, microsecond=0)
        if until.timestamp() < self.at:
            until += timedelta(days=1)
        if time.time() < until.timestamp():
            return found[0]
        return f"It was refused at {found['at']} UTC, and not asked again until {found['until']} UTC, which has passed."

    def _text(self, name: str) -> str:
        """Return a field, in one line: whatever it quotes must not look like lines of the log."""
        return in_one_line(str(self.said.get(name, "")))

    def row(self) -> dict[str, Any]:
        """Return it for JSON."""
        more = {key: self.said[key] for key in ("error", "to_do", "consumers_affected") if key in self.said}
        told = {"at": self.time, "version": self.version, "step": self.step, "level": self.level}
        return {**told, "message": self.message, **more}


def last_step(lines: Sequence[Line]) -> Line | None:
    """Return the last line that tells how a step has ended, if any does: warnings around it are of no step."""
    return next((it for it in reversed(lines) if it.step or it.failed), None)


def has_failed(lines: Sequence[Line]) -> bool:
    """Tell whether the last step that has ended failed."""
    last = last_step(lines)
    return last is not None and last.failed


def check_version(version: str) -> None:
    """Look at a version id that somebody has typed.

    Raises:
        Problem: none is like that.
    """
    if not _VERSION.fullmatch(version):
        raise Problem(f"VERSION={version} is no id of a version: `aws secretsmanager describe-secret` shows them.")


def of_rotation(aws: Aws, group: str, version: str, since: float = 0) -> list[Line]:
    """Return what the log has about a version, across all steps and attempts, oldest first.

    Args:
        group: of the rotation function.
        since: in seconds since 1970; 0 for all that is there.

    Raises:
        Refused: AWS said no, or could not be asked.
    """
    return [it for it in _lines(aws, group, _is("correlation_id", version), since) if it.version == version]


def failures(aws: Aws, group: str, since: float) -> list[Line]:
    """Return what has failed, oldest first.

    Raises:
        Refused: AWS said no, or could not be asked.
    """
    return [it for it in _lines(aws, group, _is("level", "ERROR"), since) if it.failed]


def of_task(aws: Aws, group: str, task: str) -> list[Line]:
    """Return what the caretaker's log has about a task, of whatever secrets, oldest first.

    Raises:
        Refused: AWS said no, or could not be asked.
    """
    return [it for it in _lines(aws, group, _is("task", task), 0) if it.said.get("task") == task]


def everything(aws: Aws, group: str, since: float) -> list[Line]:
    """Return all lines, oldest first.

    Raises:
        Refused: AWS said no, or could not be asked.
    """
    return _lines(aws, group, "", since)


def _is(name: str, text: str) -> str:
    """Return the pattern for one field. What is not of letters and digits alone has to stand in quotation marks.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax-JSON.html
    """
    return f'{{ $.{name} = "{text}" }}'


def _lines(aws: Aws, group: str, pattern: str, since: float) -> list[Line]:
    """Return the lines that a pattern lets through, oldest first; a group that is not there has none.

    It is made by the function's first line, if not by its stack.
    """
    request: dict[str, Any] = {"logGroupName": group}
    request |= {"filterPattern": pattern} if pattern else {}
    request |= {"startTime": int(since * 1000)} if since else {}
    try:
        events = [it for page in aws.pages("logs", "filter_log_events", **request) for it in page["events"]]
    except Refused as refused:
        if refused.code == "ResourceNotFoundException":
            return []
        raise
    return list(_read(sorted(events, key=lambda it: int(it["timestamp"]))))


def _read(events: list[dict[str, Any]]) -> Iterator[Line]:
    """Yield the function's own lines. Those of the Lambda service are no JSON, and metrics have no level."""
    for event in events:
        try:
            said = json.loads(event["message"])
        except ValueError:
            continue
        if isinstance(said, dict) and "level" in said:
            yield Line(int(event["timestamp"]) / 1000, said)
