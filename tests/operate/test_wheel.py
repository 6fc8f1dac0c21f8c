"""The wheel: the commands with all they deploy, in an environment of their own, which is small."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import boto3
import pytest

from rehearsal.docker_hub import DockerHub
from rehearsal.runtime import UV
from rehearsal.wire import Server

from .test_story import ACCOUNT, REGION, emulator

pytestmark = pytest.mark.xdist_group("wheel")  # they share what is built once

ROOT = Path(__file__).parents[2]
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel as `make wheel` does."""
    clone = tmp_path_factory.mktemp("clone")
    for name in ("infra", "src"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("LICENSE", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, clone)
    archive = clone / "dist" / "dockerhub-rotation.zip"
    subprocess.run([sys.executable, ROOT / "infra" / "package.py", archive], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel"], cwd=clone, check=True)
    (built,) = (clone / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel and what is locked for it, and nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    python = folder / "bin" / "python"
    lock = ROOT / "requirements" / "operate.txt"
    subprocess.run([UV, "venv", "-q", "--allow-existing", "--python", sys.executable, folder], check=True)
    into = (UV, "pip", "install", "-q", "--link-mode", "copy", "--python", python)
    subprocess.run([*into, "--require-hashes", "-r", lock], check=True)
    subprocess.run([*into, "--no-deps", wheel], check=True)
    return folder


def test_the_wheel_holds_the_commands_the_templates_and_the_package_and_none_of_the_function(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        names = set(content.namelist())
        made = ("bucket", "function", "caretaker", "secret")
        templates = {name: content.read(f"operate/infra/{name}.yaml") for name in made}
        (entry,) = (content.read(name).decode() for name in names if name.endswith("entry_points.txt"))

    assert templates == {name: (ROOT / "infra" / f"{name}.yaml").read_bytes() for name in templates}
    assert "operate/dist/dockerhub-rotation.zip" in names
    assert "dockerhub-rotation = operate.__main__:main" in entry
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"operate"}


def test_what_deploys_is_smaller_than_60_megabytes(environment: Path) -> None:
    """As `du` counts it, after every part was used once; `make deploy` has the same, without the package in it."""
    program = environment / "bin" / "dockerhub-rotation"
    told = subprocess.run([program, "--help"], check=True, capture_output=True, text=True).stdout
    installed = [path for path in environment.rglob("*") if path.is_file() and not path.is_symlink()]
    package = [path for path in installed if path.name == "dockerhub-rotation.zip"]

    assert "make everything, or bring it up to date" in " ".join(told.split())
    assert len(package) == 1
    assert sum(path.stat().st_blocks * 512 for path in {*installed} - {*package}) < 60 * MEGABYTE


def test_the_installed_command_deploys_without_a_clone(environment: Path, wheel: Path, tmp_path: Path) -> None:
    """All but the secret, whose schedule the emulator does not know; at the end, the package of a release."""
    release = tmp_path / "dockerhub-rotation.zip"
    with zipfile.ZipFile(wheel) as content:
        release.write_bytes(content.read("operate/dist/dockerhub-rotation.zip"))
    digest = hashlib.sha256(release.read_bytes())
    release.with_name(f"{release.name}.sha256").write_text(f"{digest.hexdigest()}  {release.name}\n")
    with emulator(tmp_path, {}) as url:
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": url,
        }
        results = []
        for words, entered in (
            (("deploy", "--only", "secret"), ""),
            (("credentials", "--no-try"), "acme\ncorrect-horse\n\n\n"),
            *((("deploy", "--only", it), "") for it in ("bucket", "package", "function", "caretaker")),
            (("deploy", "--only", "function", "--release", str(release)), ""),
        ):
            done = subprocess.run(
                [environment / "bin" / "dockerhub-rotation", *words, "--json"],
                cwd=tmp_path,
                env=variables,
                input=entered,
                capture_output=True,
                text=True,
                check=False,
            )
            results.append(json.loads(done.stdout))
        runs = boto3.client(
            "lambda", endpoint_url=url, region_name=REGION, aws_access_key_id=ACCOUNT, aws_secret_access_key="test"
        )
        codes = {it["FunctionName"]: it["CodeSha256"] for it in runs.list_functions()["Functions"]}

    assert [result["ok"] for result in results] == [False, *[True] * 6], results
    assert f"run `AWS_REGION={REGION} dockerhub-rotation credentials` first" in results[0]["problem"]
    assert results[3]["package"]["package"].startswith(f"s3://dockerhub-rotation-{ACCOUNT}-{REGION}/")
    names = ("dockerhub-rotation", "dockerhub-rotation-caretaker")
    assert codes == dict.fromkeys(names, base64.b64encode(digest.digest()).decode())
    assert {results[-1][step]["change"] for step in ("function", "caretaker")} == {"up to date"}


def test_the_installed_command_measures_docker_hub_with_the_package_that_it_has(
    environment: Path, tmp_path: Path
) -> None:
    hub = DockerHub()
    nobody = {"AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "test", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    with Server(hub.app) as server:
        done = subprocess.run(
            [environment / "bin" / "dockerhub-rotation", "preflight", "--local", "--json"],
            cwd=tmp_path,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "AWS_REGION": REGION,
                **nobody,
                **{f"DOCKERHUB_{name}_URL": server.url for name in ("API", "AUTH", "REGISTRY")},
            },
            input=f"{hub.username}\n{hub.password}\n",
            capture_output=True,
            text=True,
            check=False,
        )

    report = json.loads(done.stdout)
    assert (done.returncode, report["ok"]) == (1, False)  # nobody answers for AWS
    assert [row["name"] for row in report["aws"] if row["verdict"] == "otherwise"] == ["identity"]
    assert report["docker_hub"]["holds"] is True
    assert hub.tokens == {}
    assert hub.password not in done.stdout + done.stderr
