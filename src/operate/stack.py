"""A stack as AWS describes it, and what to do about the state it is in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from operate.session import Aws, Refused
from operate.show import Problem
from operate.typed import aws_command

# Of a stack that never was: its creation failed, and AWS takes no change of it.
_NEVER_WAS = ("ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED")


@dataclass(frozen=True)
class Stack:
    """A stack as AWS describes it.

    Attributes:
        parameters: by name; a NoEcho parameter's value is asterisks.
        outputs: by name.
        protected: whether AWS refuses to delete it.
        tags: those that somebody has given it.
    """

    name: str
    id: str
    status: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]
    protected: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)


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
        protected=described.get("EnableTerminationProtection", False),
        tags={it["Key"]: it["Value"] for it in described.get("Tags", []) if not it["Key"].startswith("aws:")},
    )


def never_was(aws: Aws, stack: Stack) -> bool:
    """Whether a stack is what a creation that failed has left, with nothing in it that is still there."""
    if stack.status not in _NEVER_WAS:
        return False
    if stack.status == "ROLLBACK_COMPLETE":
        return True
    pages = aws.pages("cloudformation", "list_stack_resources", StackName=stack.id)
    return all(it["ResourceStatus"] == "DELETE_COMPLETE" for page in pages for it in page["StackResourceSummaries"])


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
            f"`{aws_command(f'cloudformation continue-update-rollback --stack-name {name}')}`, then run this again."
        )
    if status == "ROLLBACK_COMPLETE":
        return "Mend what its events name, then run this again: what is left of the stack is deleted then."
    if status in ("CREATE_FAILED", "ROLLBACK_FAILED", "DELETE_FAILED"):
        events = aws_command(f"cloudformation describe-stack-events --stack-name {name}")
        delete = aws_command(f"cloudformation delete-stack --stack-name {name}")
        return f"Mend what its events name (`{events}`), delete it with `{delete}`, then run this again."
    return ""
