"""What docs/terraform-and-cdk.md shows for CDK, synthesized by CDK itself: `make synth`, for it needs Node.js."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv" / "cdk" / "bin" / "python"
STACKS = {
    "dockerhub-rotation-function": "function",
    "dockerhub-rotation-caretaker": "caretaker",
    "dockerhub-rotation-secret-dockerhub-token": "secret",
}


class _Names(yaml.SafeLoader):
    """Reads a template for the names in it; what a function of CloudFormation makes of them is left out."""


_Names.add_multi_constructor("!", lambda *_: None)


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synthesize the page's program beside a release, and return the folder with what came of it."""
    if not PYTHON.exists():
        pytest.skip("`make synth` sets up .venv/cdk")
    folder = tmp_path_factory.mktemp("app")
    release, out = folder / "release", folder / "out"
    release.mkdir()
    for template in (ROOT / "infra").glob("*.yaml"):
        shutil.copy(template, release)
    with zipfile.ZipFile(release / "dockerhub-rotation.zip", "w") as package:
        package.writestr("dockerhub_rotation/handler.py", "")
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/terraform-and-cdk.md").read_text(), re.DOTALL)
    (folder / "app.py").write_text(program)
    # CDK's own look at the templates takes a minute or two, and finds nothing that cfn-lint does not know better.
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [PYTHON, "app.py"],
        cwd=folder,
        env={**kept, "CDK_OUTDIR": str(out), "CDK_VALIDATION": "false", "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return out


def synthesized(assembly: Path, stack: str) -> dict[str, Any]:
    template: dict[str, Any] = json.loads((assembly / f"{stack}.template.json").read_text())
    return template


def test_there_is_a_stack_of_each_template_but_the_buckets_named_as_the_commands_name_it(assembly: Path) -> None:
    assert {it.name.removesuffix(".template.json") for it in assembly.glob("*.template.json")} == set(STACKS)


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_has_every_resource_and_output_of_its_template(assembly: Path, stack: str) -> None:
    told = synthesized(assembly, stack)
    written = yaml.load((ROOT / f"infra/{STACKS[stack]}.yaml").read_text(), _Names)  # noqa: S506 - a SafeLoader

    kinds = {name: it["Type"] for name, it in told["Resources"].items() if it["Type"] != "AWS::CDK::Metadata"}
    assert kinds == {name: it["Type"] for name, it in written["Resources"].items()}
    assert set(written["Outputs"]) <= set(told["Outputs"])
    for name, resource in written["Resources"].items():
        assert set(resource["Properties"]) == set(told["Resources"][name]["Properties"]), name


@pytest.mark.parametrize("stack", STACKS)
def test_whatever_has_to_be_given_is_given(assembly: Path, stack: str) -> None:
    asked = {key for key, it in synthesized(assembly, stack)["Parameters"].items() if "Default" not in it}

    assert asked == set()


def test_function_and_caretaker_run_one_package_which_is_uploaded_as_it_is(assembly: Path) -> None:
    codes = [
        synthesized(assembly, stack)["Resources"]["Function"]["Properties"]["Code"]
        for stack, template in STACKS.items()
        if template != "secret"
    ]

    assert codes[0] == codes[1]
    assert str(codes[0]["S3Key"]).endswith(".zip")


def test_function_caretaker_and_secret_are_deployed_in_this_order(assembly: Path) -> None:
    tree = json.loads((assembly / "manifest.json").read_text())["artifacts"]
    needs = {stack: set(tree[stack].get("dependencies", ())) & set(STACKS) for stack in STACKS}

    assert needs["dockerhub-rotation-function"] == set()
    assert all("dockerhub-rotation-function" in needs[it] for it in STACKS if it != "dockerhub-rotation-function")
