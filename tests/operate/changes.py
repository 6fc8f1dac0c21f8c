"""What a change set would do, as CloudFormation tells it: found by evaluating both templates.

https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ResourceChange.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import yaml

from tests.infra.stacks import REPLACED_BY, Loader, Stack


@cache
def read(text: str) -> dict[str, Any]:
    """Return a template by its text."""
    template: dict[str, Any] = yaml.load(text, Loader)  # noqa: S506 - a SafeLoader
    return template


def evaluated(text: str, parameters: Mapping[str, str]) -> Stack:
    """Return what CloudFormation makes of a template; of its parameters those that it has."""
    template = read(text)
    return Stack(template, {key: value for key, value in parameters.items() if key in template["Parameters"]})


def changes(
    before: tuple[str, Mapping[str, str]], after: tuple[str, Mapping[str, str]], tags: tuple[object, object]
) -> list[dict[str, Any]]:
    """Return the changes from one template, with its parameters, to another."""
    was, becomes = evaluated(*before), evaluated(*after)
    kinds = {**_kinds(was), **_kinds(becomes)}
    found = [_change(name, kinds[name], "Add") for name in becomes.resources.keys() - was.resources.keys()]
    found += [_change(name, kinds[name], "Remove") for name in was.resources.keys() - becomes.resources.keys()]
    touched = {change["ResourceChange"]["LogicalResourceId"] for change in found}
    details = {name: list(_static(was, becomes, name)) for name in was.resources.keys() & becomes.resources.keys()}
    touched |= {name for name, those in details.items() if those}
    for name, those in details.items():
        those += _dynamic(read(after[0])["Resources"][name], becomes, touched)
        if tags[0] != tags[1]:
            those.append({"Target": {"Attribute": "Tags", "RequiresRecreation": "Never"}, "Evaluation": "Static"})
        if those:
            found.append(_change(name, kinds[name], "Modify", those))
    return found


def _kinds(stack: Stack) -> dict[str, str]:
    return {name: it["Type"] for name, it in stack.resources.items()}


def _change(name: str, kind: str, action: str, details: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    change = {"Action": action, "LogicalResourceId": name, "ResourceType": kind, "Details": details or []}
    if details:
        needs = {it["Target"]["RequiresRecreation"] for it in details if it["Evaluation"] == "Static"}
        change["Replacement"] = "True" if "Always" in needs else "False"
        change["Scope"] = sorted({it["Target"]["Attribute"] for it in details})
    return {"Type": "Resource", "ResourceChange": change}


def _static(was: Stack, becomes: Stack, name: str) -> Iterator[dict[str, Any]]:
    before, after = (it.resources[name].get("Properties", {}) for it in (was, becomes))
    always = REPLACED_BY.get(becomes.resources[name]["Type"], ())
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            target = {
                "Attribute": "Properties",
                "Name": key,
                "RequiresRecreation": "Always" if key in always else "Never",
            }
            if key != "SecretString":  # what must not be seen is not told
                target |= {"BeforeValue": json.dumps(before.get(key)), "AfterValue": json.dumps(after.get(key))}
            yield {"Target": target, "Evaluation": "Static", "ChangeSource": "DirectModification"}


def _dynamic(definition: Mapping[str, Any], stack: Stack, touched: set[str]) -> Iterator[dict[str, Any]]:
    """Yield each property that refers to a resource that is touched: AWS can't tell whether it changes."""
    for key, value in definition.get("Properties", {}).items():
        for source, cause in sorted(set(_references(value))):
            if cause.partition(".")[0] in touched & stack.resources.keys():
                target = {"Attribute": "Properties", "Name": key, "RequiresRecreation": "Never"}
                yield {"Target": target, "Evaluation": "Dynamic", "ChangeSource": source, "CausingEntity": cause}


def _references(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        if isinstance(value.get("Ref"), str):
            yield "ResourceReference", value["Ref"]
        if isinstance(value.get("Fn::GetAtt"), list):
            yield "ResourceAttribute", ".".join(value["Fn::GetAtt"])
        for it in value.values():
            yield from _references(it)
    elif isinstance(value, list):
        for it in value:
            yield from _references(it)
