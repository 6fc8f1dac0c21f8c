"""`make package`: build dist/dockerhub-rotation.zip, which is what Lambda runs.

The archive holds the function and its dependencies, in the versions and with the hashes of requirements/runtime.txt,
and nothing else. Python's own pip brings them, from wherever PIP_INDEX_URL or pip.conf say; what has been brought once
is kept in dist/wheels, and taken from there as long as its hash is that of the lock. Two builds are byte-identical, on
any machine:

- Only wheels in pure Python go in. They are the same files for every runtime and both architectures.
- Entries are sorted and carry one date, one permission and no compression: what DEFLATE makes of a file depends on the
  zlib of the machine.
- The wheels' own RECORD stays out, which names files that do so, too. The rest of each `dist-info` stays in, for its
  licence and for scanners that look for known vulnerabilities.
- There is no bytecode. It would save a third of the processor time of a cold start; but whoever builds would need
  every one of Lambda's interpreters, and Python promises no two patch releases that compile alike. AWS advises against
  `__pycache__`, too.

The AWS SDK stays out because the runtime has it: with it the package would be 30 MB instead of 6. All of it stays out,
also what Powertools needs of it (`jmespath`): of one piece it stays right, while a single part of it in the package,
such as `urllib3`, may fail when Lambda renews the others. requirements/lambda.txt names what the runtime has.

https://docs.aws.amazon.com/lambda/latest/dg/python-package.html
"""

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
import zipfile
from collections.abc import Iterable, Mapping
from email.parser import BytesParser
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

ROOT = Path(__file__).resolve().parent.parent
ARCHIVE = ROOT / "dist" / "dockerhub-rotation.zip"
WHEELS = ROOT / "dist" / "wheels"

# The runtimes and architectures that infra/function.yaml offers.
PYTHONS = ("3.12", "3.13", "3.14")
MACHINES = ("aarch64", "x86_64")

# The zip format's first moment; it knows no time zone.
_DATE = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE_READABLE_BY_ALL = 0o100644 << 16
_POSIX = 3

_NEVER_IMPORTED = {"__pycache__", "tests"}


class Unbuildable(Exception):
    """A dependency can't go into the package as it is locked, in a sentence that says what to do."""


def build(archive: Path) -> None:
    """Write the package.

    Raises:
        Unbuildable: a dependency is not in pure Python, or not locked.
        subprocess.CalledProcessError: pip could not bring a dependency, and has said why on standard error.
    """
    files = {**dependencies(), **function(), "LICENSE": (ROOT / "LICENSE").read_bytes()}
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w") as package:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system = _POSIX
            entry.external_attr = _REGULAR_FILE_READABLE_BY_ALL
            package.writestr(entry, content, zipfile.ZIP_STORED)


def function() -> dict[str, bytes]:
    """Return the function's own files, by their names in the archive."""
    sources = ROOT / "src"
    files = [*sources.glob("dockerhub_rotation/**/*.py"), sources / "dockerhub_rotation" / "py.typed"]
    return {file.relative_to(sources).as_posix(): file.read_bytes() for file in files}


def dependencies() -> dict[str, bytes]:
    """Return the files of the dependencies, by their names in the archive.

    Raises:
        Unbuildable: a dependency is not in pure Python, or not locked.
        subprocess.CalledProcessError: pip could not bring a dependency, and has said why on standard error.
    """
    left_out = set(locked("lambda.txt"))
    wanted = {name: pin for name, pin in locked("runtime.txt").items() if name not in left_out}
    wheels = {name: wheel for name, wheel in _kept().items() if _is_locked(wheel, wanted.get(name, ""))}
    if missing := {name: pin for name, pin in wanted.items() if name not in wheels}:
        wheels |= _brought(missing)
    _require_complete(wheels, left_out)
    files: dict[str, bytes] = {}
    for wheel in wheels.values():
        with zipfile.ZipFile(wheel) as content:
            files |= {name: content.read(name) for name in content.namelist() if _is_wanted(name)}
    return files


def locked(lock: str) -> dict[str, str]:
    """Return the lines of a lock in requirements/, with their hashes, by the name of what they lock.

    What a line says about interpreters is left out: the package is the same for all.
    """
    text = (ROOT / "requirements" / lock).read_text(encoding="utf-8").replace("\\\n", " ")
    pins = re.findall(r"^([\w.-]+)(==[^\s;]+)[^#\n]*?((?: +--hash=\S+)+)", text, re.MULTILINE)
    return {canonicalize_name(name): f"{name}{version}{hashes}" for name, version, hashes in pins}


def _kept() -> dict[str, Path]:
    return {_name(wheel): wheel for wheel in WHEELS.glob("*.whl")}


def _name(wheel: Path) -> str:
    return parse_wheel_filename(wheel.name)[0]


def _is_locked(wheel: Path, pin: str) -> bool:
    return f"--hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}" in pin.split()


def _brought(pins: Mapping[str, str]) -> dict[str, Path]:
    """Have pip download these, look at each, and keep them in place of older ones.

    The pip is one that is made for that and thrown away: the environment that deploys has none.
    """
    WHEELS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WHEELS) as folder:
        here = Path(folder)
        (here / "requirements.txt").write_text("\n".join(pins.values()), encoding="utf-8")
        venv.create(here / "pip", with_pip=True, symlinks=os.name != "nt")
        subprocess.run(  # noqa: S603 - the pip of Python itself
            [
                *(here / "pip" / "bin" / "python", "-m", "pip", "download", "-qq", "--disable-pip-version-check"),
                *(
                    "--no-deps",
                    "--require-hashes",
                    "--only-binary",
                    ":all:",
                    "--requirement",
                    here / "requirements.txt",
                ),
                *("--python-version", PYTHONS[0], "--implementation", "cp"),
                *(word for machine in MACHINES for word in ("--platform", f"manylinux2014_{machine}")),
                *("--dest", here),
            ],
            check=True,
        )
        for wheel in here.glob("*.whl"):
            if [(tag.abi, tag.platform) for tag in parse_wheel_filename(wheel.name)[3]] != [("none", "any")]:
                name = "-".join(wheel.name.split("-")[:2])
                raise Unbuildable(f"{name} is not in pure Python. Pin a version of which there is such a wheel.")
        for old in [wheel for name, wheel in _kept().items() if name in pins]:
            old.unlink(missing_ok=True)
        return {_name(wheel): wheel.replace(WHEELS / wheel.name) for wheel in here.glob("*.whl")}


def _require_complete(wheels: Mapping[str, Path], left_out: Iterable[str]) -> None:
    """Look whether everything is there that the function needs, and that its dependencies need.

    Raises:
        Unbuildable: something is not.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    needed = {"pyproject.toml": project["dependency-groups"]["function"]}
    needed |= {wheel.name: _requirements(wheel) for wheel in wheels.values()}
    for whose, requirements in needed.items():
        for requirement in map(Requirement, requirements):
            name = canonicalize_name(requirement.name)
            if name not in wheels and name not in left_out and _applies(requirement):
                raise Unbuildable(
                    f"{whose} needs {name}, which requirements/runtime.txt does not lock: run `make lock`."
                )


def _requirements(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as content:
        (metadata,) = (name for name in content.namelist() if name.endswith(".dist-info/METADATA"))
        return BytesParser().parsebytes(content.read(metadata)).get_all("Requires-Dist", [])


def _applies(requirement: Requirement) -> bool:
    """Whether it is needed in one of the runtimes."""
    runtime = {"extra": "", "sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
    return requirement.marker is None or any(
        requirement.marker.evaluate({**runtime, "python_version": python, "platform_machine": machine})
        for python in PYTHONS
        for machine in MACHINES
    )


def _is_wanted(name: str) -> bool:
    parts = Path(name).parts
    return not (name.endswith(("/", ".dist-info/RECORD")) or _NEVER_IMPORTED & set(parts))


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ARCHIVE
    try:
        build(target)
    except Unbuildable as refused:
        sys.exit(str(refused))
    except subprocess.CalledProcessError as failed:
        sys.exit(failed.returncode)  # pip has said why
    content = target.read_bytes()
    print(f"{target}  {len(content) / 1e6:.1f} MB  sha256 {hashlib.sha256(content).hexdigest()}")  # noqa: T201
