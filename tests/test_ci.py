"""Nobody else's code runs in the checks unless somebody has looked at it, and it finds no credential there."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

GITHUB = Path(__file__).parents[1] / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
RELEASE = GITHUB / "workflows" / "release.yml"

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
def test_whatever_runs_code_of_the_repository_may_read_and_nothing_else(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))

    assert workflow["permissions"] == {"contents": "read"}
    assert {name for name, job in workflow["jobs"].items() if "permissions" in job} <= {"publish"}
    assert "secrets." not in path.read_text(encoding="utf-8")
    assert "pull_request_target" not in workflow[True]  # which YAML makes of `on`


def test_a_tag_publishes_what_was_built_once_all_checks_have_passed_and_runs_nothing_else_there() -> None:
    jobs = yaml.safe_load(RELEASE.read_text(encoding="utf-8"))["jobs"]
    publish = jobs["publish"]

    assert set(jobs) == {"check", "build", "publish"}
    assert publish["needs"] == ["check", "build"]
    assert [step["run"] for step in jobs["check"]["steps"] if "run" in step] == [".ci/run"]
    assert [step["run"] for step in jobs["build"]["steps"] if "run" in step] == [
        'make release-files TAG="$GITHUB_REF_NAME"'
    ]
    assert publish["permissions"] == {"contents": "write", "id-token": "write", "attestations": "write"}
    assert {step["uses"].partition("@")[0] for step in publish["steps"] if "uses" in step} == {
        "actions/download-artifact",
        "actions/attest",
    }
    (run,) = [step["run"] for step in publish["steps"] if "run" in step]
    assert run.startswith('gh release create "$GITHUB_REF_NAME" release/* ')
    assert run.endswith(" --notes-file release-notes.md")


def test_an_action_is_the_same_commit_wherever_it_is_used() -> None:
    uses = {it for path in WORKFLOWS for it in re.findall(r"uses:\s*(.*)", path.read_text(encoding="utf-8"))}

    assert len(uses) == len({it.partition("@")[0] for it in uses})


def test_somebody_is_told_of_new_versions_of_everything_that_is_pinned() -> None:
    told = yaml.safe_load((GITHUB / "dependabot.yml").read_text(encoding="utf-8"))["updates"]

    assert {(it["package-ecosystem"], it["directory"]) for it in told} == {
        ("github-actions", "/"),
        ("pip", "/requirements"),
    }
