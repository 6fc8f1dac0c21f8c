"""Nobody else's code runs in the checks unless somebody has looked at it, and it finds no credential there."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

GITHUB = Path(__file__).parents[1] / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda it: it.name)


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values():
        yield from job["steps"]


@each_workflow
def test_every_action_is_named_by_its_commit_with_the_version_beside_it(path: Path) -> None:
    uses = re.findall(r"uses:\s*(.*)", path.read_text(encoding="utf-8"))

    assert len(uses) == len([step for step in steps(path) if "uses" in step])
    assert [it for it in uses if not re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", it)] == []


@each_workflow
def test_no_checkout_leaves_its_credential_behind(path: Path) -> None:
    checkouts = [step for step in steps(path) if step.get("uses", "").startswith("actions/checkout@")]

    assert checkouts
    assert [step["with"]["persist-credentials"] for step in checkouts] == [False] * len(checkouts)


@each_workflow
def test_the_checks_may_read_and_nothing_else(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))

    assert workflow["permissions"] == {"contents": "read"}
    assert [job for job in workflow["jobs"].values() if "permissions" in job] == []
    assert "secrets." not in path.read_text(encoding="utf-8")
    assert "pull_request_target" not in workflow[True]  # which YAML makes of `on`


def test_somebody_is_told_of_new_versions_of_everything_that_is_pinned() -> None:
    told = yaml.safe_load((GITHUB / "dependabot.yml").read_text(encoding="utf-8"))["updates"]

    assert {(it["package-ecosystem"], it["directory"]) for it in told} == {
        ("github-actions", "/"),
        ("pip", "/requirements"),
    }
