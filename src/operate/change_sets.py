"""Change sets: made, read, carried out.

With one, a second run finds nothing to change and says so. What AWS says about one that can't be made is fetched before
anything is tidied away.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from operate.following import follow, pauses
from operate.guard import losses
from operate.session import Aws, Refused
from operate.show import Problem, Show
from operate.stack import describe
from operate.typed import aws_command


def change(aws: Aws, show: Show, request: Mapping[str, Any], *, update: bool) -> bool:
    """Make a change set, carry it out and follow it to its end; return whether there was anything to change.

    Args:
        request: what is asked for: the stack's name, its template and parameters.
        update: whether the stack is there.

    Raises:
        Problem: AWS cannot make the change set, it would take a secret's live value away, or the change failed.
    """
    token, stack = str(uuid4()), request["StackName"]
    made = aws.ask(
        "cloudformation",
        "create_change_set",
        ChangeSetName=f"deploy-{token}",
        ChangeSetType="UPDATE" if update else "CREATE",
        Capabilities=["CAPABILITY_NAMED_IAM"],
        ClientToken=token,  # so that one whose answer was lost is asked for again, and not made twice
        **request,
    )
    found = _await(aws, show, made["Id"], stack)
    if found["Status"] == "FAILED":
        if _has_nothing_to_change(found):
            aws.ask("cloudformation", "delete_change_set", ChangeSetName=made["Id"])
            return False
        raise _why_not(aws, stack, made, found, update=update)
    changes = _changes(aws, made["Id"])
    show.detail(f"{stack}: {len(changes)} changes")
    if lost := losses(changes):
        raise _too_much(aws, stack, made["Id"], lost)
    aws.ask("cloudformation", "execute_change_set", ChangeSetName=made["Id"], ClientRequestToken=token)
    follow(aws, show, stack, made["StackId"], token)
    return True


def _await(aws: Aws, show: Show, change_set: str, stack: str) -> Any:
    pause = pauses()
    with show.waiting(f"{stack}: AWS looks for what changes"):
        while True:
            found = aws.ask("cloudformation", "describe_change_set", ChangeSetName=change_set)
            if found["Status"] in ("CREATE_COMPLETE", "FAILED"):
                return found
            if not found["Status"].startswith("CREATE_"):
                raise Problem(f"Somebody has deleted the change set of stack {stack}: run this again.")
            time.sleep(next(pause))


def _changes(aws: Aws, change_set: str) -> list[Any]:
    """Return what a change set would do, of every page of it."""
    pages = aws.pages("cloudformation", "describe_change_set", ChangeSetName=change_set, IncludePropertyValues=True)
    return [change for page in pages for change in page.get("Changes", [])]


def _too_much(aws: Aws, stack: str, change_set: str, lost: Sequence[str]) -> Problem:
    """Delete a change set that must not be carried out, and return what is said of it."""
    said = "\n  ".join(
        [
            f"Stack {stack} is left as it is, for this would take away a value that is in use:",
            *lost,
            "Put the template, and what you gave of its parameters, back to what they were.",
        ]
    )
    try:
        aws.ask("cloudformation", "delete_change_set", ChangeSetName=change_set)
    except Refused as refused:
        return Problem(f"{said}\nThe change set could not be deleted, do not carry it out: {refused}")
    return Problem(said)


def _why_not(aws: Aws, stack: str, made: Mapping[str, str], found: Mapping[str, Any], *, update: bool) -> Problem:
    """Fetch why a change set could not be made, and only then delete it, and the empty stack that it has made."""
    reason = found.get("StatusReason", "AWS does not say why")
    said = f"AWS cannot change stack {stack}: {reason}"
    look = aws_command(f"cloudformation describe-events --change-set-name {made['Id']} --filters FailedEvents=true")
    try:
        causes = _causes(aws, made["Id"])
    except Refused as refused:
        return Problem(f"{said}\n  The events, which say more, can't be read: {refused}\n{_kept(look)}")
    if not causes and "DescribeEvents" in reason:
        return Problem(f"{said}\n  There are no events yet, which say more.\n{_kept(look)}")
    said = "\n".join([said, *causes])
    try:
        aws.ask("cloudformation", "delete_change_set", ChangeSetName=made["Id"])
        if not update and _is_empty(aws, made["StackId"]):
            aws.ask("cloudformation", "delete_stack", StackName=made["StackId"])
    except Refused as refused:
        return Problem(f"{said}\nThe change set could not be deleted: {refused}")
    return Problem(said)


def _causes(aws: Aws, change_set: str) -> list[str]:
    """Return what failed in a change set that could not be made: resource, type and reason, a line each."""
    request = {"ChangeSetName": change_set, "Filters": {"FailedEvents": True}}
    pages = aws.pages("cloudformation", "describe_events", **request)
    events = [event for page in pages for event in page.get("OperationEvents", [])]
    lines = []
    for event in events:
        reasons = (event.get(f"{part}StatusReason") for part in ("Validation", "Hook", "Resource"))
        reason = next(filter(None, reasons), "")
        if reason and event.get("LogicalResourceId"):
            place = f" at {event['ValidationPath']}" if event.get("ValidationPath") else ""
            kind = event.get("ResourceType", "of unknown type")
            lines.append(f"  {event['LogicalResourceId']} ({kind}){place}: {reason}")
    return list(dict.fromkeys(lines))


def _is_empty(aws: Aws, stack_id: str) -> bool:
    """Whether a stack has nothing but change sets. A twin may have begun to create it."""
    return [stack.status for stack in describe(aws, stack_id)] == ["REVIEW_IN_PROGRESS"]


def _has_nothing_to_change(change_set: Mapping[str, Any]) -> bool:
    """Whether a change set failed because there is nothing to change, for which AWS has two sentences and no code."""
    reason = re.sub("[^a-z ]", "", change_set.get("StatusReason", "").lower())
    said = "didnt contain changes" in reason or "did not contain changes" in reason or "no updates are to be" in reason
    return said and not change_set.get("Changes")


def _kept(look: str) -> str:
    return f"So the change set is left as it is. Look at it, delete it, then run this again:\n  {look}"
