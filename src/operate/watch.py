"""What the caretaker's log tells of it, and of each secret: whether it has looked lately, and what it has found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from operate.function_log import Line, everything, of_task
from operate.names import Deployment
from operate.session import Aws, Refused
from operate.times import stamp
from operate.typed import command

# It looks every hour: one look may fail or come late, two have been missed.
SILENT_SECONDS = 2 * 60 * 60
_TASK = "Reconcile"
# What somebody hears who asks for a secret that is none of its own: no look at all secrets ends like that.
_OF_ONE = ("EventRefused", "SecretNotServed")


@dataclass(frozen=True)
class Watch:
    """The caretaker.

    Attributes:
        cares: what it has said last of each secret, by ARN, if that was within two hours.
        last_look: when it has last gone through all secrets, in seconds since 1970; None if that is not known.
        troubles: what needs somebody, a sentence each.
        unread: what could not be looked at, and why.
    """

    cares: Mapping[str, Line]
    last_look: float | None
    troubles: Sequence[str]
    unread: Sequence[str]

    def row(self) -> dict[str, Any]:
        """Return it for JSON."""
        looked = stamp(self.last_look) if self.last_look is not None else None
        return {"last_look": looked, "troubles": list(self.troubles)}


def watch(aws: Aws, wanted: Deployment, now: float) -> Watch:
    """Return what there is to tell of the project's caretaker.

    Args:
        now: in seconds since 1970.
    """
    unread: list[str] = []
    try:
        made = aws.ask("lambda", "get_function_configuration", FunctionName=wanted.caretaker)
    except Refused as refused:
        if refused.code == "ResourceNotFoundException":
            missing = (
                f"There is no {wanted.caretaker}: no superseded token is disabled at its deadline, and nobody is told "
                f"of a token that does not work. Run `{command('deploy', only='caretaker')}`"
            )
            return Watch({}, None, [missing], [])
        made = {}
        unread.append(f"Whether there is a caretaker: {refused}")
    group = f"/aws/lambda/{wanted.caretaker}"
    try:
        lines = everything(aws, group, now - SILENT_SECONDS)
        looks = [line for line in lines if _is_look(line)]
        earlier = [] if looks else [line for line in of_task(aws, group, _TASK) if _is_look(line)]
    except Refused as refused:
        return Watch({}, None, [], [*unread, f"What the caretaker has found, in {group}: {refused}"])
    cares = {str(line.said["secret"]): line for line in lines if {"secret", "findings"} <= line.said.keys()}
    last = next(iter([*looks, *earlier][::-1]), None)
    troubles = _failed(lines, last)
    if not looks and not troubles and not _is_new(made, now):
        ever = f"its last look was {last.time}" if last is not None else f"{group} shows no look at all"
        silent = (
            f"The caretaker has been silent for more than two hours; {ever}. `{command('reconcile')}` has it look now, "
            "and says what keeps it from that. If it can, its schedule is disabled or may not invoke it."
        )
        troubles = [silent]
    return Watch(cares, last.at if last is not None else None, troubles, unread)


def _is_look(line: Line) -> bool:
    """Whether it tells of a look at all secrets; one that somebody has asked for of one secret counts nothing."""
    return line.said.get("task") == _TASK and "SecretsChecked" in line.said


def _failed(lines: Sequence[Line], last: Line | None) -> list[str]:
    """Say why the caretaker has failed, if it has not looked since."""
    looks = [line for line in lines if line.failed and line.said.get("task") == _TASK]
    failed = [line for line in looks if line.said.get("error") not in _OF_ONE]
    if not failed or (last is not None and last.at > failed[-1].at):
        return []
    return [f"The caretaker's look failed, {failed[-1].time}: {failed[-1].told}"]


def _is_new(made: Mapping[str, Any], now: float) -> bool:
    """Whether the caretaker was made, or changed, so lately that it need not have looked since."""
    try:
        changed = datetime.strptime(str(made.get("LastModified")), "%Y-%m-%dT%H:%M:%S.%f%z")
    except ValueError:
        return False
    return now - changed.timestamp() < SILENT_SECONDS
