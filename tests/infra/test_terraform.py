"""What docs/terraform-and-cdk.md shows in Terraform: read as Terraform reads it, and held against the templates."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import hcl2
import pytest

from .stacks import load

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "terraform-and-cdk.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```hcl\n(.*?)```", PAGE, re.DOTALL)
TEMPLATES = {name: load(ROOT / "infra" / f"{name}.yaml") for name in ("bucket", "function", "caretaker", "secret")}
PAIR = r'(\w+) = ("[^"]*"|[\w.]+(?:\["\w+"\])?)'


def resources(text: str) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the resources of a text by kind and name."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for block in hcl2.loads(text)["resource"]:
        for kind, named in block.items():
            for name, body in named.items():
                found.setdefault(kind.strip('"'), {})[name.strip('"')] = body
    return found


def settings() -> dict[str, str]:
    """Return what the snippet gives function and caretaker alike."""
    (variables,) = hcl2.loads(SNIPPETS[0])["locals"]
    return {key: value for key, value in variables["settings"].items() if re.fullmatch("[A-Z]\\w+", key)}


def parameters(stack: dict[str, Any]) -> dict[str, str]:
    """Return the parameters that a stack is given, written as a map or as one merged into the settings."""
    given = stack["parameters"]
    if isinstance(given, dict):
        return {key: value for key, value in given.items() if re.fullmatch("[A-Z]\\w+", key)}
    merged = re.fullmatch(r"\$\{merge\(local\.settings, \{(.*)\}\)\}", given)
    assert merged, given
    return settings() | dict(re.findall(PAIR, merged[1]))


STACKS = resources(SNIPPETS[0])["aws_cloudformation_stack"]


def test_there_is_a_stack_of_each_template_named_as_the_commands_name_it() -> None:
    assert {name: stack["template_body"] for name, stack in STACKS.items()} == {
        name: f'${{file("${{local.release}}/{name}.yaml")}}' for name in TEMPLATES
    }
    names = {name: stack["name"].strip('"') for name, stack in STACKS.items()}
    assert names == {
        **{name: f"${{local.project}}-{name}" for name in ("bucket", "function", "caretaker")},
        "secret": "${local.project}-secret-${local.secret}",
    }


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_stack_is_given_parameters_that_its_template_has_and_all_that_it_needs(name: str) -> None:
    declared, given = TEMPLATES[name]["Parameters"], parameters(STACKS[name])

    assert set(given) <= set(declared)
    assert {key for key, it in declared.items() if "Default" not in it} <= set(given)
    for key, value in given.items():
        if value.startswith('"'):
            written = value.strip('"')
            assert re.fullmatch(declared[key].get("AllowedPattern", ".*"), written), (key, written)
            assert written in declared[key].get("AllowedValues", [written])


def test_every_output_that_is_named_is_one_of_that_stack() -> None:
    named = re.findall(r'aws_cloudformation_stack\.(\w+)\.outputs\["(\w+)"\]', PAGE)

    assert named
    assert [(name, it) for name, it in named if it not in TEMPLATES[name]["Outputs"]] == []


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_stack_that_makes_roles_says_so(name: str) -> None:
    roles = [it for it in TEMPLATES[name]["Resources"].values() if it["Type"] == "AWS::IAM::Role"]

    assert [it.strip('"') for it in STACKS[name].get("capabilities", [])] == ["CAPABILITY_NAMED_IAM"] * bool(roles)


def test_function_and_caretaker_can_not_be_configured_apart() -> None:
    function, caretaker = parameters(STACKS["function"]), parameters(STACKS["caretaker"])
    both = set(TEMPLATES["function"]["Parameters"]) & set(TEMPLATES["caretaker"]["Parameters"])

    assert {key: it for key, it in function.items() if key in both} == {
        key: it for key, it in caretaker.items() if key in both and key != "AlarmTopicArn"
    }


def test_no_snippet_has_terraform_hold_a_secrets_value() -> None:
    kinds = {kind for text in SNIPPETS for kind in resources(text)}

    assert len(SNIPPETS) == 2
    assert "aws_secretsmanager_secret_rotation" in kinds
    assert "aws_secretsmanager_secret_version" not in kinds
