"""An operation on a stack, followed to its end by the stack's events."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, repeat
from typing import Any

from operate.session import Aws
from operate.show import Problem, Show
from operate.stack import describe, way_out

_ENDED_WELL = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE")


def pauses() -> Iterator[float]:
    """Yield, for ever, how many seconds to wait before the next look."""
    return chain((0.5, 1), repeat(2))


def follow(aws: Aws, show: Show, name: str, stack_id: str, token: str = "") -> None:
    """Show what happens in a stack until an operation has ended.

    Args:
        token: of the operation; empty for the stack's deletion by whomever, whose token nobody may know.

    Raises:
        Problem: it failed; the reasons, first cause first.
    """
    shown: set[str] = set()
    with show.waiting(f"{name}: AWS is at it"):
        for pause in pauses():
            events = _events(aws, stack_id, token)
            for event in events:
                if event["EventId"] not in shown and not event["ResourceStatus"].endswith("_IN_PROGRESS"):
                    show.detail(f"{event['ResourceStatus']:<15} {event['LogicalResourceId']}")
                shown.add(event["EventId"])
            ended = [it["ResourceStatus"] for it in events if it.get("PhysicalResourceId") == stack_id]
            if ended and not ended[-1].endswith("_IN_PROGRESS"):
                break
            # Somebody else may have deleted it, with a token of theirs.
            if not any(describe(aws, stack_id)):
                return
            time.sleep(pause)
    if ended[-1] not in _ENDED_WELL:
        raise Problem(f"Stack {name} failed ({ended[-1]}):{_causes(events)}\n{way_out(name, ended[-1])}".rstrip())


def _events(aws: Aws, stack_id: str, token: str) -> list[dict[str, Any]]:
    """Return the operation's events, oldest first, and ask for no more pages than it takes to reach its beginning."""
    newest_first: list[dict[str, Any]] = []
    for page in aws.pages("cloudformation", "describe_stack_events", StackName=stack_id):
        newest_first += page["StackEvents"]
        if any(_begins(event, stack_id, token) for event in page["StackEvents"]):
            break
    if token:
        return [it for it in reversed(newest_first) if it.get("ClientRequestToken") == token]
    return _since_deletion(newest_first[::-1], stack_id)


def _begins(event: Mapping[str, Any], stack_id: str, token: str) -> bool:
    """Whether an event is an operation's first one, or older than that."""
    if token and event.get("ClientRequestToken") != token:
        return True
    return event.get("PhysicalResourceId") == stack_id and event["ResourceStatus"] == "DELETE_IN_PROGRESS"


def _since_deletion(events: Sequence[dict[str, Any]], stack_id: str) -> list[dict[str, Any]]:
    """Return the events from the stack's last deletion on."""
    begun = [
        number
        for number, event in enumerate(events)
        if (event.get("PhysicalResourceId"), event["ResourceStatus"]) == (stack_id, "DELETE_IN_PROGRESS")
    ]
    return list(events[begun[-1] :]) if begun else []


def _causes(events: Sequence[Mapping[str, Any]]) -> str:
    """List why resources failed, oldest first; those that failed because another did are left out."""
    causes = [
        f"\n  {event['LogicalResourceId']} ({event['ResourceType']}): {event['ResourceStatusReason']}"
        for event in events
        if event["ResourceStatus"].endswith("_FAILED")
        and event.get("ResourceStatusReason")
        and "cancelled" not in event["ResourceStatusReason"]
    ]
    return "".join(causes) or "\n  no event says why"
