"""A package that was released: whether it is whole, ours, and of the version of these commands and templates."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from operate import IN_A_CLONE, __version__
from operate.show import Problem

# What no other archive has at its top: what Lambda is told to run, and which version it is.
_ABOUT = "dockerhub_rotation/__init__.py"
_OURS = {_ABOUT, "dockerhub_rotation/handler.py", "dockerhub_rotation/caretaker.py"}
_VERSION = re.compile(r'^__version__ = "([^"]+)"$', re.MULTILINE)


@dataclass(frozen=True)
class Released:
    """A released package.

    Attributes:
        content: its bytes.
        digest: its SHA-256 in hexadecimal.
        checked: whether a checksum beside it says the same.
    """

    content: bytes
    digest: str
    checked: bool


def read_released(path: Path) -> Released:
    """Read a released package, and look at it before anybody gets it.

    Args:
        path: of the package; where `<path>.sha256` is beside it, as it is in a release, it has to say the same.

    Raises:
        Problem: it can't be read, is damaged, is no package of this project, or belongs to another version.
    """
    content = _read(path)
    digest = hashlib.sha256(content).hexdigest()
    checksum = path.with_name(f"{path.name}.sha256")
    checked = checksum.exists()
    if checked and (stated := _read(checksum).decode("utf-8", "replace").partition(" ")[0].strip().lower()) != digest:
        raise Problem(
            f"{path} is not what was released: its SHA-256 is {digest}, and {checksum.name} beside it says "
            f"{stated[:64] or 'nothing'}. Download both again."
        )
    version = _version(path, content)
    if version != __version__:
        same = f"check out v{version}" if IN_A_CLONE else "install the wheel of the same release"
        raise Problem(
            f"{path} is of version {version}, these commands and their templates are of {__version__}, and they belong "
            f"together: {same}, or take the package of {__version__}."
        )
    return Released(content, digest, checked)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Problem(f"{path} can't be read: {error.strerror}. Name the package of a release.") from None


def _version(path: Path, content: bytes) -> str:
    """Return the version of a package of ours."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            damaged = archive.testzip()
            is_ours = not damaged and set(archive.namelist()) >= _OURS
            about = archive.read(_ABOUT).decode("utf-8", "replace") if is_ours else ""
    # Beside its own error, zipfile raises these for what it can't read: an entry cut short, another format, a password.
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError):
        raise Problem(f"{path} is no zip archive, or not the whole of one. Download the package again.") from None
    if damaged:
        raise Problem(f"{path} is damaged ({damaged}). Download it again.")
    if not (stated := _VERSION.search(about)):
        raise Problem(
            f"{path} is no package of this project: it lacks {', '.join(sorted(_OURS))}, or a version in the first. "
            "Name the dockerhub-rotation.zip of a release, not its source."
        )
    return stated[1]
