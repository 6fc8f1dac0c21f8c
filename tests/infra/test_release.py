"""A release: what its tag's workflow publishes is what anybody gets who makes it, and its notes are the changelog's."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.xdist_group("package")  # the wheels of the package are brought once

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
WHEEL = f"dockerhub_rotation-{VERSION}-py3-none-any.whl"
CHANGELOG = f"""# Changelog

## [Unreleased]

### Added

- What comes.

## [{VERSION}] - 2026-12-01

### Added

- What is there: [a page](docs/operating.md#one), [another](https://example.com/x), and [a place](#here).

## [0.0.1] - 2026-01-01

- What was.
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a clone of which a release has been built, or of what stands for its parts."""
    root = tmp_path / "clone"
    shutil.copytree(ROOT / "infra", root / "infra", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    (root / "CHANGELOG.md").write_text(CHANGELOG)
    for name in ("dockerhub-rotation.zip", "dockerhub-rotation.zip.sha256", "dockerhub-rotation.cdx.json", WHEEL):
        (root / "dist").mkdir(exist_ok=True)
        (root / "dist" / name).write_text(f"what is in {name}")
    return root


def release(clone: Path, *words: str, **environment: str) -> Any:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")}
    return subprocess.run(
        [sys.executable, clone / "infra" / "release.py", *words],
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def notes(clone: Path) -> str:
    return (clone / "dist" / "release-notes.md").read_text()


def test_the_notes_are_the_section_of_the_version(clone: Path) -> None:
    done = release(clone, "--tag", f"v{VERSION}")

    assert done.returncode == 0, done.stderr
    assert notes(clone) == CHANGELOG.partition("2026-12-01\n\n")[2].partition("\n## [0.0.1]")[0]


def test_links_of_the_notes_lead_to_the_tag_where_github_shows_them(clone: Path) -> None:
    server = {"GITHUB_SERVER_URL": "https://github.example", "GITHUB_REPOSITORY": "acme/rotation"}
    release(clone, "--tag", f"v{VERSION}", **server)

    assert re.findall(r"\]\((.*?)\)", notes(clone)) == [
        f"https://github.example/acme/rotation/blob/v{VERSION}/docs/operating.md#one",
        "https://example.com/x",
        "#here",
    ]


def test_without_a_tag_a_version_without_a_section_has_the_notes_of_what_is_unreleased(clone: Path) -> None:
    (clone / "CHANGELOG.md").write_text(CHANGELOG.replace(f"[{VERSION}]", "[9.9.9]"))

    assert release(clone).returncode == 0
    assert notes(clone) == "### Added\n\n- What comes.\n"


@pytest.mark.parametrize(
    ("tag", "changelog", "said"),
    [
        ("v99.0.0", CHANGELOG, f"The tag is v99.0.0, and the project's version is {VERSION}: tag v{VERSION}."),
        (VERSION, CHANGELOG, f"The tag is {VERSION}, and the project's version is {VERSION}: tag v{VERSION}."),
        (f"v{VERSION}", CHANGELOG.replace(f"[{VERSION}]", "[9.9.9]"), f"CHANGELOG.md says nothing under [{VERSION}]"),
        (f"v{VERSION}", f"## [{VERSION}]\n\n## [0.0.1]\n\n- x\n", f"CHANGELOG.md says nothing under [{VERSION}]"),
    ],
    ids=("another version", "no v", "no section", "an empty section"),
)
def test_a_tag_that_does_not_fit_the_version_or_the_changelog_releases_nothing(
    clone: Path, tag: str, changelog: str, said: str
) -> None:
    (clone / "CHANGELOG.md").write_text(changelog)

    done = release(clone, "--tag", tag)

    assert (done.returncode, said in done.stderr) == (1, True), done.stderr
    assert not (clone / "dist" / "release").exists()


def test_a_release_has_package_templates_and_wheel_and_a_checksum_of_each_and_nothing_older(clone: Path) -> None:
    (clone / "dist" / "release").mkdir()
    (clone / "dist" / "release" / "of-an-older-release.whl").touch()

    release(clone)

    files = {file.name: file.read_bytes() for file in (clone / "dist" / "release").iterdir()}
    sums = dict(line.split("  ")[::-1] for line in files.pop("SHA256SUMS").decode().splitlines())
    assert sums == {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    assert set(files) == {
        *("dockerhub-rotation.zip", "dockerhub-rotation.zip.sha256", "dockerhub-rotation.cdx.json", WHEEL),
        *(template.name for template in (ROOT / "infra").glob("*.yaml")),
    }


def test_the_files_of_a_release_are_the_same_bytes_each_time_they_are_made(tmp_path: Path) -> None:
    """By what the workflow runs, in two clones, at two times, by two people."""
    elsewhere = {"TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "1", "LC_ALL": "C"}
    here, there = whole_clone(tmp_path / "here"), whole_clone(tmp_path / "there")
    for number, path in enumerate(sorted((*there.glob("[!.]*.*"), *there.glob("[!.]*/**/*.*")))):
        if path.is_file() and "wheels" not in path.parts:
            path.chmod(0o600)
            os.utime(path, (number, number))
    for root, more in ((here, {}), (there, elsewhere)):
        done = subprocess.run(
            ["make", "release-files"], cwd=root, env={**os.environ, **more}, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr

    made = [{it.name: it.read_bytes() for it in (root / "dist" / "release").iterdir()} for root in (here, there)]
    assert WHEEL in made[0]
    assert made[0] == made[1]
    assert json.loads(made[0]["dockerhub-rotation.cdx.json"])["metadata"]["component"]["version"] == VERSION


def whole_clone(root: Path) -> Path:
    """Return a clone with the packages that were downloaded once, and this environment in place of its own."""
    for folder in ("infra", "requirements", "src"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("CHANGELOG.md", "LICENSE", "Makefile", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / file, root)
    (ROOT / "dist" / "wheels").mkdir(parents=True, exist_ok=True)
    (root / "dist").mkdir()
    (root / "dist" / "wheels").symlink_to(ROOT / "dist" / "wheels")
    for environment in (".venv", ".venv/operate"):
        python = root / environment / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        (root / environment / ".ready").touch()
    return root
