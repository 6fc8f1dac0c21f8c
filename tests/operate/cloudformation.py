"""CloudFormation as the commands meet it: stacks that change by change sets, slowly, and leave events behind.

What AWS does and a kinder double would not:

- A change set takes a while, and so does an operation; both can be looked at meanwhile.
- One that can't be made is FAILED. What early validation has found stands in its events alone, which are gone with it.
- A change set of type CREATE makes a stack, in REVIEW_IN_PROGRESS, which has no parameters yet.
- A stack that is not there is a ValidationError, in words; a deleted one is still there under its id.
- Lists come in pages, events newest first, and with the events of earlier operations.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from .changes import changes, read

ACCOUNT = "123456789012"
REGION = "eu-central-1"
NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."
EARLY_VALIDATION = (
    "The following hook(s)/validation failed: [AWS::EarlyValidation::PropertyValidation]. To troubleshoot Early "
    "Validation errors, use the DescribeEvents API for detailed failure information."
)
_PAGE = 3
_CHANGE_SET_SECONDS = 3
_OPERATION_SECONDS = 9


class AwsError(Exception):
    """What AWS answers with a code."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status_code = code, message, status


@dataclass
class Stack:
    """A stack.

    Attributes:
        parameters: with a NoEcho one as it was given.
        before: template and parameters before the last operation.
        role: with which CloudFormation works on it.
        resources: the status of each that a creation that failed has left.
        ends: when the operation that is under way is over, and what happens then.
    """

    name: str
    id: str
    status: str
    template: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    before: tuple[str, dict[str, str]] = ("", {})
    tags: list[dict[str, str]] = field(default_factory=list)
    role: str = ""
    protected: bool = False
    resources: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    ends: tuple[float, Callable[[], None]] | None = None


@dataclass
class ChangeSet:
    """A change set, which is ready at some time."""

    id: str
    stack: Stack
    kind: str
    template: str
    parameters: dict[str, str]
    tags: list[dict[str, str]]
    role: str
    ready: float
    reason: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)


class CloudFormation:
    """The service, in one account and Region.

    Attributes:
        stacks: those that are there, by name.
        gone: those that have been deleted.
        change_sets: by id.
        no_changes: how AWS says that there is nothing to change.
        early_validation: the events with which the next change set fails; None, if it does not.
        refusal: why the next change set fails; empty, if it does not.
        failing: resources that the next operation can't make, and why, in this order.
        made, unmade: what happens to the world when a stack has been made or deleted.
    """

    def __init__(self) -> None:
        self.stacks: dict[str, Stack] = {}
        self.gone: list[Stack] = []
        self.change_sets: dict[str, ChangeSet] = {}
        self.no_changes = NO_CHANGES
        self.early_validation: list[dict[str, Any]] | None = None
        self.refusal = ""
        self.failing: dict[str, str] = {}
        self.made: Callable[[Stack], None] = lambda stack: None
        self.unmade: Callable[[Stack], None] = lambda stack: None
        self._numbers = count(1)

    def add(self, name: str, template: str = "", status: str = "CREATE_COMPLETE", **more: Mapping[str, str]) -> Stack:
        """Have a stack that somebody has made earlier."""
        parameters, outputs = dict(more.get("parameters", {})), dict(more.get("outputs", {}))
        stack = Stack(name, self._arn("stack", name), status, template, parameters, outputs=outputs)
        self.stacks[name] = stack
        self.record(stack, "CREATE_COMPLETE", "earlier")
        return stack

    def record(self, stack: Stack, status: str, token: str, resource: str = "", reason: str = "") -> None:
        """Note an event of a resource, or of the stack itself."""
        event = {
            "EventId": f"event-{next(self._numbers)}",
            "StackId": stack.id,
            "StackName": stack.name,
            "Timestamp": time.time(),
            "LogicalResourceId": resource or stack.name,
            "PhysicalResourceId": f"physical-{resource}" if resource else stack.id,
            "ResourceType": "AWS::Some::Thing" if resource else "AWS::CloudFormation::Stack",
            "ResourceStatus": status,
            "ClientRequestToken": token,
        }
        stack.events.insert(0, event | ({"ResourceStatusReason": reason} if reason else {}))

    def _arn(self, kind: str, name: str) -> str:
        number = next(self._numbers)
        return f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:{kind}/{name}/{number:08}-0000-4000-8000-000000000000"

    def _settle(self) -> None:
        for stack in [*self.stacks.values()]:
            if stack.ends and time.time() >= stack.ends[0]:
                end, stack.ends = stack.ends[1], None
                end()

    def _find(self, name: str) -> Stack:
        self._settle()
        known = [*self.stacks.values(), *self.gone]
        found = next((it for it in known if it.id == name), None) or self.stacks.get(name)
        if not found:
            raise AwsError("ValidationError", f"Stack with id {name} does not exist")
        return found

    # --- The operations ---

    def describe_stacks(self, asked: dict[str, Any]) -> dict[str, Any]:
        """DescribeStacks."""
        self._settle()
        those = [self._find(asked["StackName"])] if "StackName" in asked else list(self.stacks.values())
        return _page("Stacks", [_described(it) for it in those], asked)

    def get_template_summary(self, asked: dict[str, Any]) -> dict[str, Any]:
        """GetTemplateSummary."""
        return {
            "Parameters": [
                {"ParameterKey": key, **({"DefaultValue": str(it["Default"])} if "Default" in it else {})}
                for key, it in _declared(asked["TemplateBody"]).items()
            ]
        }

    def create_change_set(self, asked: dict[str, Any]) -> dict[str, Any]:
        """CreateChangeSet."""
        self._settle()
        name, kind = asked["StackName"], asked["ChangeSetType"]
        if not re.fullmatch("[a-zA-Z][-a-zA-Z0-9]{0,127}", name):
            raise AwsError("ValidationError", f"1 validation error detected: Value '{name}' at 'stackName' failed")
        if "CAPABILITY_NAMED_IAM" not in asked.get("Capabilities", []):
            raise AwsError("InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_NAMED_IAM]")
        there = self.stacks.get(name)
        if kind == "CREATE" and there and there.status != "REVIEW_IN_PROGRESS":
            raise AwsError("AlreadyExistsException", f"Stack [{name}] already exists")
        if kind == "UPDATE" and not there:
            raise AwsError("ValidationError", f"Stack [{name}] does not exist")
        stack = there or self.add(name, status="REVIEW_IN_PROGRESS")
        if not there:
            stack.events.clear()
        template = asked["TemplateBody"]
        parameters = _resolved(_declared(template), asked.get("Parameters", []), stack.parameters)
        made = ChangeSet(
            self._arn("changeSet", asked["ChangeSetName"]),
            stack,
            kind,
            template,
            parameters,
            asked.get("Tags", stack.tags),
            asked.get("RoleARN", stack.role),
            time.time() + _CHANGE_SET_SECONDS,
        )
        if self.refusal:
            made.reason, self.refusal = self.refusal, ""
        elif self.early_validation is not None:
            made.reason, made.events, self.early_validation = EARLY_VALIDATION, self.early_validation, None
        elif (stack.template, stack.parameters, stack.tags) == (template, parameters, made.tags):
            made.reason = self.no_changes
        self.change_sets[made.id] = made
        return {"Id": made.id, "StackId": stack.id}

    def _change_set(self, asked: dict[str, Any]) -> ChangeSet:
        try:
            return self.change_sets[asked["ChangeSetName"]]
        except KeyError:
            raise AwsError("ChangeSetNotFound", f"ChangeSet [{asked['ChangeSetName']}] does not exist", 404) from None

    def describe_change_set(self, asked: dict[str, Any]) -> dict[str, Any]:
        """DescribeChangeSet."""
        made = self._change_set(asked)
        if time.time() < made.ready:
            return {"Status": "CREATE_PENDING"}
        if made.reason:
            return {"Status": "FAILED", "StatusReason": made.reason}
        stack = made.stack
        if not stack.template:
            new = {"Action": "Add", "LogicalResourceId": "Resource", "ResourceType": "AWS::Some::Thing"}
            return {"Status": "CREATE_COMPLETE", "Changes": [{"Type": "Resource", "ResourceChange": new}]}
        before, after = (stack.template, stack.parameters), (made.template, made.parameters)
        told = changes(before, after, (stack.tags, made.tags))
        return {"Status": "CREATE_COMPLETE", **_page("Changes", told, asked)}

    def describe_events(self, asked: dict[str, Any]) -> dict[str, Any]:
        """DescribeEvents, of a change set."""
        return _page("OperationEvents", self._change_set(asked).events, asked)

    def delete_change_set(self, asked: dict[str, Any]) -> dict[str, Any]:
        """DeleteChangeSet: its events go with it."""
        del self.change_sets[self._change_set(asked).id]
        return {}

    def execute_change_set(self, asked: dict[str, Any]) -> dict[str, Any]:
        """ExecuteChangeSet: begins an operation."""
        made = self._change_set(asked)
        assert not made.reason
        self.change_sets = {key: it for key, it in self.change_sets.items() if it.stack is not made.stack}
        stack, token, kind = made.stack, asked["ClientRequestToken"], made.kind
        self.record(stack, f"{kind}_IN_PROGRESS", token)
        stack.status, before = f"{kind}_IN_PROGRESS", (stack.template, dict(stack.parameters))
        stack.template, stack.parameters, stack.before = made.template, made.parameters, before
        stack.tags, stack.role = made.tags, made.role
        failing, self.failing = self.failing, {}

        def end() -> None:
            for resource, reason in failing.items():
                self.record(stack, f"{kind}_FAILED", token, resource, reason)
            if failing:
                if kind == "UPDATE":
                    stack.template, stack.parameters = before
                stack.status = "ROLLBACK_COMPLETE" if kind == "CREATE" else "UPDATE_ROLLBACK_COMPLETE"
            else:
                self.record(stack, f"{kind}_COMPLETE", token, "Resource")
                stack.status = f"{kind}_COMPLETE"
                self.made(stack)
            self.record(stack, stack.status, token)

        stack.ends = (time.time() + _OPERATION_SECONDS, end)
        return {}

    def describe_stack_events(self, asked: dict[str, Any]) -> dict[str, Any]:
        """DescribeStackEvents."""
        return _page("StackEvents", self._find(asked["StackName"]).events, asked)

    def list_stack_resources(self, asked: dict[str, Any]) -> dict[str, Any]:
        """ListStackResources."""
        told = [
            {
                "LogicalResourceId": name,
                "ResourceType": "AWS::Some::Thing",
                "LastUpdatedTimestamp": 0,
                "ResourceStatus": status,
            }
            for name, status in self._find(asked["StackName"]).resources.items()
        ]
        return _page("StackResourceSummaries", told, asked)

    def update_termination_protection(self, asked: dict[str, Any]) -> dict[str, Any]:
        """UpdateTerminationProtection."""
        stack = self._find(asked["StackName"])
        stack.protected = asked["EnableTerminationProtection"]
        return {"StackId": stack.id}

    def delete_stack(self, asked: dict[str, Any]) -> dict[str, Any]:
        """DeleteStack: begins an operation, unless there is nothing to delete."""
        try:
            stack = self._find(asked["StackName"])
        except AwsError:
            return {}
        if stack.protected:
            raise AwsError(
                "ValidationError", f"Stack [{stack.name}] cannot be deleted while TerminationProtection is on"
            )
        self.begin_deletion(stack, asked.get("ClientRequestToken", ""))
        return {}

    def begin_deletion(self, stack: Stack, token: str) -> None:
        """Delete a stack in a while."""
        if stack.status == "DELETE_IN_PROGRESS":
            return

        def end() -> None:
            self.record(stack, "DELETE_COMPLETE", token, "Resource")
            self.record(stack, "DELETE_COMPLETE", token)
            stack.status = "DELETE_COMPLETE"
            self.gone.append(self.stacks.pop(stack.name))
            self.unmade(stack)

        if stack.status == "REVIEW_IN_PROGRESS":
            end()
            return
        self.record(stack, "DELETE_IN_PROGRESS", token)
        stack.status, stack.ends = "DELETE_IN_PROGRESS", (time.time() + _OPERATION_SECONDS, end)


def _declared(template: str) -> dict[str, dict[str, Any]]:
    declared: dict[str, dict[str, Any]] = read(template)["Parameters"]
    return declared


def _resolved(
    declared: Mapping[str, Mapping[str, Any]], given: list[dict[str, Any]], before: Mapping[str, str]
) -> dict[str, str]:
    """Return the value of each parameter."""
    if unknown := {it["ParameterKey"] for it in given} - set(declared):
        raise AwsError("ValidationError", f"Parameters: {sorted(unknown)} do not exist in the template")
    values = {key: str(it["Default"]) for key, it in declared.items() if "Default" in it}
    for it in given:
        key = it["ParameterKey"]
        values[key] = before[key] if it.get("UsePreviousValue") else it["ParameterValue"]
    if missing := set(declared) - set(values):
        raise AwsError("ValidationError", f"Parameters: {sorted(missing)} must have values")
    for key, value in values.items():
        if not re.fullmatch(declared[key].get("AllowedPattern", ".*"), value):
            raise AwsError("ValidationError", f"Parameter '{key}' must match pattern {declared[key]['AllowedPattern']}")
    return values


def _described(stack: Stack) -> dict[str, Any]:
    secret = {key for key, it in (_declared(stack.template) if stack.template else {}).items() if it.get("NoEcho")}
    shown = {key: "****" if key in secret else value for key, value in stack.parameters.items()}
    return {
        "StackName": stack.name,
        "StackId": stack.id,
        "StackStatus": stack.status,
        "CreationTime": 0,
        "EnableTerminationProtection": stack.protected,
        "Tags": stack.tags,
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in shown.items()],
        "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in stack.outputs.items()],
    }


def _page(name: str, everything: list[dict[str, Any]], asked: Mapping[str, Any]) -> dict[str, Any]:
    begin = int(asked.get("NextToken", 0))
    more = {"NextToken": str(begin + _PAGE)} if begin + _PAGE < len(everything) else {}
    return {name: everything[begin : begin + _PAGE], **more}
