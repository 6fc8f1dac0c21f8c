"""The stacks of the account: found, brought up to date, deleted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from operate import ROOT
from operate.change_sets import change
from operate.following import follow
from operate.session import Aws
from operate.show import Problem, Show
from operate.stack import Stack, describe, never_was, require_changeable
from operate.typed import command

TEMPLATES = ROOT / "infra"


@dataclass(frozen=True)
class Ways:
    """How stacks are made, whatever is in them.

    Attributes:
        tags: of the stacks, and so of what is in them, beside those that they have.
        service_role: with which CloudFormation makes and deletes what is in them; empty for the one that they have.
        protect: whether AWS is to refuse their deletion from now on.
    """

    tags: Mapping[str, str] = field(default_factory=dict)
    service_role: str = ""
    protect: bool = False


@dataclass(frozen=True)
class Deployed:
    """What has become of a stack.

    Attributes:
        change: created, updated, or up to date.
    """

    stack: Stack
    change: str


class Stacks:
    """The stacks of the account and Region, each asked for once, and again when it has been changed."""

    def __init__(self, aws: Aws, show: Show) -> None:
        self._aws = aws
        self._show = show
        self._found: dict[str, Stack | None] = {}
        self._declared: dict[str, dict[str, str]] = {}

    def find(self, name: str) -> Stack | None:
        """Return the stack with this name, or None. One that has only a change set is still to be created."""
        if name not in self._found:
            self._found[name] = next(
                (stack for stack in describe(self._aws, name) if stack.status != "REVIEW_IN_PROGRESS"), None
            )
        return self._found[name]

    def find_ours(self, name: str, project: str) -> Stack | None:
        """Return the project's stack with this name, or None.

        Raises:
            Problem: it is another project's. PROJECT=a has a secret "function" where PROJECT=a-secret has its function.
        """
        stack = self.find(name)
        if stack and stack.parameters.get("ProjectName") != project:
            raise Problem(
                f"Stack {name} is not project {project}'s, but {stack.parameters.get('ProjectName') or 'nobody'}'s: "
                "choose another PROJECT."
            )
        return stack

    def clear(self, stack: Stack | None) -> Stack | None:
        """Delete what a creation that failed has left of a stack, and return what is there then.

        Raises:
            Problem: something in it could not be deleted.
        """
        if not stack or not never_was(self._aws, stack):
            return stack
        self._show.detail(f"{stack.name}: its creation has failed ({stack.status}), nothing is in it")
        self.delete(stack)
        self._found[stack.name] = None
        return None

    def require(self, name: str, project: str, step: str) -> Stack:
        """Return the project's stack that a step made.

        Raises:
            Problem: it is not there, or in a state that allows no change.
        """
        if stack := self.clear(self.find_ours(name, project)):
            require_changeable(stack)
            return stack
        raise Problem(f"There is no stack {name} in {self._aws.region}: run `{command('deploy', only=step)}` first.")

    def all(self) -> list[Stack]:
        """Return all stacks that are there."""
        return list(describe(self._aws))

    def declared_parameters(self, template: str) -> dict[str, str]:
        """Return the parameters of a template in infra/, with their default values (empty if they have none)."""
        if template not in self._declared:
            summary = self._aws.ask("cloudformation", "get_template_summary", TemplateBody=_body(template))
            self._declared[template] = {it["ParameterKey"]: it.get("DefaultValue", "") for it in summary["Parameters"]}
        return self._declared[template]

    def require_declared(self, template: str, parameters: Mapping[str, str]) -> None:
        """Look whether a template in infra/ has these parameters.

        Raises:
            Problem: it has not.
        """
        declared = self.declared_parameters(template)
        if unknown := sorted(set(parameters) - set(declared)):
            raise Problem(
                f"infra/{template}.yaml has no parameter {' or '.join(unknown)}: it has {', '.join(declared)}."
            )

    def deploy(self, name: str, template: str, parameters: Mapping[str, str], ways: Ways) -> Deployed:
        """Create a stack or bring it up to date, follow it to its end, and show its outputs.

        A parameter or a tag that is not given keeps the value the stack has.

        Args:
            template: its file in infra/, without .yaml.

        Raises:
            Problem: the stack is in a state that allows no change, or the change failed.
        """
        stack = self.clear(self.find(name))
        if stack:
            require_changeable(stack)
        self.require_declared(template, parameters)
        kept = set(self.declared_parameters(template)).intersection(stack.parameters if stack else ()) - set(parameters)
        tags = {**(stack.tags if stack else {}), **ways.tags}
        request = {
            "StackName": name,
            "TemplateBody": _body(template),
            "Parameters": [
                *({"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()),
                *({"ParameterKey": key, "UsePreviousValue": True} for key in sorted(kept)),
            ],
            **({"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]} if tags else {}),
            **({"RoleARN": ways.service_role} if ways.service_role else {}),
        }
        changed = change(self._aws, self._show, request, update=stack is not None)
        outcome = ("updated" if changed else "up to date") if stack else "created"
        self._show.step(template, f"{name} is {outcome}")
        if changed or not stack:
            self._found.pop(name, None)
            self._found[name] = stack = next(describe(self._aws, name))
        if ways.protect and not stack.protected:
            protected = {"StackName": name, "EnableTerminationProtection": True}
            self._aws.ask("cloudformation", "update_termination_protection", **protected)
            self._show.detail(f"{name}: AWS refuses to delete it from now on")
        for key, value in sorted(stack.outputs.items()):
            self._show.detail(f"{key:<15} {value}")
        return Deployed(stack, outcome)

    def delete(self, stack: Stack) -> None:
        """Delete a stack, unless that has begun already, and follow it to its end.

        Raises:
            Problem: something in it could not be deleted.
        """
        if stack.status == "DELETE_IN_PROGRESS":
            self._show.detail(f"{stack.name}: is being deleted already")
            follow(self._aws, self._show, stack.name, stack.id)
            return
        token = str(uuid4())
        self._show.detail(f"{stack.name}: deleting")
        self._aws.ask("cloudformation", "delete_stack", StackName=stack.name, ClientRequestToken=token)
        if stack.status != "REVIEW_IN_PROGRESS":  # in that one there is nothing to delete
            follow(self._aws, self._show, stack.name, stack.id, token)


def _body(template: str) -> str:
    return (TEMPLATES / f"{template}.yaml").read_text(encoding="utf-8")
