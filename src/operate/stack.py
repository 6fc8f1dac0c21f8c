"""A stack as AWS describes it, and what to do about the state it is in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from operate.session import Aws, Refused
from operate.show import Problem


@dataclass(frozen=True)
class Stack:
    """A stack as AWS describes it.

    Attributes:
        parameters: by name; a NoEcho parameter's value is asterisks.
        outputs: by name.
    """

    name: str
    id: str
    status: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]


def describe(aws: Aws, name: str = "") -> Iterator[Stack]:
    """Yield the stack with this name or id, if it is there, or all stacks. A deleted one is not."""
    which = {"StackName": name} if name else {}
    try:
        for page in aws.pages("cloudformation", "describe_stacks", **which):
            yield from (_stack(it) for it in page["Stacks"] if it["StackStatus"] != "DELETE_COMPLETE")
    except Refused as refused:
        # There is no other code for a stack that is not there; botocore's waiter StackExists goes by it, too.
        if not (which and refused.code == "ValidationError"):
            raise


def _stack(described: Mapping[str, Any]) -> Stack:
    return Stack(
        name=described["StackName"],
        id=described["StackId"],
        status=described["StackStatus"],
        parameters={it["ParameterKey"]: it.get("ParameterValue", "") for it in described.get("Parameters", [])},
        outputs={it["OutputKey"]: it["OutputValue"] for it in described.get("Outputs", [])},
    )


def require_changeable(stack: Stack) -> None:
    """Refuse a stack that AWS would not let us change.

    Raises:
        Problem: saying what to do.
    """
    if way := way_out(stack.name, stack.status):
        raise Problem(f"Stack {stack.name} is in state {stack.status}. {way}")


def way_out(name: str, status: str) -> str:
    """Say what to do about a stack's state; nothing, if it can be changed as it is.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
    """
    if status.endswith("_IN_PROGRESS"):
        return "Somebody is changing it: wait until that has ended, then run this again."
    if status == "UPDATE_ROLLBACK_FAILED":
        return (
            "Mend what its events name, bring it back with "
            f"`aws cloudformation continue-update-rollback --stack-name {name}`, then run this again."
        )
    if status in ("CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"):
        return (
            "Mend what its events name (`aws cloudformation describe-stack-events`), delete it with "
            f"`aws cloudformation delete-stack --stack-name {name}`, then run this again."
        )
    return ""
