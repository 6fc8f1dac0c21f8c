"""The package of a release, deployed without a build: looked at first, and nothing happens to one that is not ours."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import operate
from operate import package

from .aws import Account
from .conftest import PROJECT, Command, add_account
from .storage import checksum

FUNCTION = f"{PROJECT}-function"


def packed(version: str = operate.__version__, folder: str = "", without: str = "") -> bytes:
    """Return what looks like a package of this project, as far as the commands look."""
    files = {"__init__.py": f'"""Ours."""\n\n__version__ = "{version}"\n', "handler.py": "", "caretaker.py": ""}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            if name != without:
                archive.writestr(zipfile.ZipInfo(f"{folder}dockerhub_rotation/{name}"), text)
    return content.getvalue()


def beside(path: Path, content: bytes) -> None:
    """Write the checksum of something beside a package, as `make package` does."""
    path.with_name(f"{path.name}.sha256").write_text(f"{hashlib.sha256(content).hexdigest()}  {path.name}\n")


@pytest.fixture
def release(aws: Account, tmp_path: Path) -> Path:
    """Return a released package in an account in which all is ready for it, and none that was built."""
    add_account(aws)
    package.ARCHIVE.unlink()
    path = tmp_path / "downloads" / "dockerhub-rotation.zip"
    path.parent.mkdir()
    path.write_bytes(packed())
    beside(path, packed())
    return path


def test_a_release_is_deployed_where_nothing_was_built(aws: Account, run: Command, release: Path) -> None:
    done = run("deploy", "--release", str(release))

    assert done.status == 0, done.err
    assert aws.functions[PROJECT] == aws.functions[f"{PROJECT}-caretaker"] == checksum(packed())
    assert f"{release}, SHA-256 {hashlib.sha256(packed()).hexdigest()}, as its checksum says" in done.out


def test_a_release_without_its_checksum_is_deployed_and_that_is_said(aws: Account, run: Command, release: Path) -> None:
    release.with_name(f"{release.name}.sha256").unlink()

    done = run("deploy", "--release", str(release))

    assert done.status == 0, done.err
    assert "no checksum is beside it" in done.out
    assert aws.functions[PROJECT] == checksum(packed())


def test_home_is_found_where_the_shell_has_left_it_to_others(
    aws: Account, run: Command, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(release.parents[1]))

    assert run("deploy", "--only", "bucket", "--release", f"~/downloads/{release.name}").status == 0
    assert "can't be read" in run("deploy", "--release", "~nobody-of-that-name/it.zip").err


def _cut_short(path: Path) -> None:
    path.write_bytes(packed()[:-40])


def _bit_flipped(path: Path) -> None:
    content = bytearray(packed())
    content[content.index(b"Ours")] ^= 1
    path.write_bytes(content)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "another checksum": (lambda path: beside(path, b"other"), "is not what was released"),
    "no checksum in the file": (
        lambda path: path.with_name(f"{path.name}.sha256").write_bytes(b"\xff\n"),
        "is not what was released",
    ),
    "cut short": (_cut_short, "is no zip archive, or not the whole of one"),
    "a bit flipped": (_bit_flipped, "is damaged (dockerhub_rotation/__init__.py)"),
    "a web page": (lambda path: path.write_text("<html>Not found</html>"), "is no zip archive"),
    "the source": (lambda path: path.write_bytes(packed(folder="acme-1234/src/")), "is no package of this project"),
    "no caretaker": (lambda path: path.write_bytes(packed(without="caretaker.py")), "is no package of this project"),
    "another version": (lambda path: path.write_bytes(packed("99.0.0")), "is of version 99.0.0, these commands"),
    "not there": (lambda path: path.unlink(), "can't be read: No such file or directory"),
    "a folder": (_folder, "can't be read: Is a directory"),
}


@pytest.mark.parametrize("spoil", REFUSED)
def test_what_is_no_release_of_ours_is_refused_before_anything_has_changed(
    aws: Account, run: Command, release: Path, spoil: str
) -> None:
    spoilt, said = REFUSED[spoil]
    if "checksum" not in spoil:
        release.with_name(f"{release.name}.sha256").unlink()
    spoilt(release)

    done = run("deploy", "--release", str(release))

    assert (done.status, said in done.err) == (1, True), done.err
    assert (aws.formation.stacks, aws.buckets, aws.functions) == ({}, {}, {})


def test_a_step_that_is_to_be_run_first_is_told_with_the_release(
    aws: Account, run: Command, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("deploy", "--only", "bucket").status == 0
    monkeypatch.chdir(release.parent)

    done = run("deploy", "--only", "function", "--release", release.name)

    assert done.status == 1
    assert f"make deploy-package RELEASE={release}" in done.err
