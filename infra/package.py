"""`make package`: build dist/dockerhub-rotation.zip, which is what Lambda runs.

The archive holds the function and its dependencies, in the versions and with the hashes of requirements/runtime.txt,
and nothing else. Two builds are byte-identical, on any machine:

- Only wheels in pure Python go in. They are the same files for every runtime and both architectures.
- Entries are sorted and carry one date, one permission and no compression: what DEFLATE makes of a file depends on the
  zlib of the machine.
- What an installer writes on the way (RECORD, INSTALLER, scripts with the path of an interpreter) stays out.
  The rest of each `dist-info` stays in, for its licence and for scanners that look for known vulnerabilities.
- There is no bytecode. It would save a third of the processor time of a cold start; but whoever builds would need
  every one of Lambda's interpreters, and Python promises no two patch releases that compile alike. AWS advises against
  `__pycache__`, too.

The AWS SDK stays out because the runtime has it: with it the package would be 30 MB instead of 6. All of it stays out,
also what Powertools needs of it (`jmespath`): of one piece it stays right, while a single part of it in the package,
such as `urllib3`, may fail when Lambda renews the others. requirements/lambda.in names what the runtime has.

https://docs.aws.amazon.com/lambda/latest/dg/python-package.html
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ARCHIVE = ROOT / "dist" / "dockerhub-rotation.zip"

# The runtimes and architectures that infra/function.yaml offers.
PYTHONS = ("3.12", "3.13", "3.14")
MACHINES = ("aarch64", "x86_64")

# The zip format's first moment; it knows no time zone.
_DATE = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE_READABLE_BY_ALL = 0o100644 << 16
_POSIX = 3

_WRITTEN_BY_THE_INSTALLER = {".lock", "INSTALLER", "RECORD", "REQUESTED"}
_NEVER_IMPORTED = {"__pycache__", "tests"}


class NotPure(Exception):
    """A dependency has compiled parts, so it would tie the package to one architecture and Python version."""


def build(archive: Path) -> None:
    """Write the package.

    Raises:
        NotPure: a dependency is not in pure Python.
        subprocess.CalledProcessError: uv could not install a dependency, and has said why on standard error.
    """
    files = {**dependencies(PYTHONS[0], MACHINES[0]), **function(), "LICENSE": (ROOT / "LICENSE").read_bytes()}
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


def dependencies(python: str, machine: str) -> dict[str, bytes]:
    """Return the files of the dependencies as installed for a runtime, by their names in the archive.

    Args:
        python: the runtime's version, as in "3.13".
        machine: its architecture, as `uname -m` calls it.

    Raises:
        NotPure: a dependency is not in pure Python.
        subprocess.CalledProcessError: uv could not install a dependency, and has said why on standard error.
    """
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(  # noqa: S603 - the uv of this environment
            [
                *(Path(sys.executable).with_name("uv"), "pip", "install", "--quiet", "--target", folder),
                *("--requirements", "pyproject.toml", "--excludes", "requirements/lambda.in"),
                *("--constraints", "requirements/runtime.txt", "--require-hashes", "--only-binary", ":all:"),
                *("--python-version", python, "--python-platform", f"{machine}-manylinux2014"),
            ],
            cwd=ROOT,
            check=True,
        )
        installed = {file.relative_to(folder): file for file in Path(folder).rglob("*") if file.is_file()}
        for name, file in installed.items():
            if name.name == "WHEEL" and "\nTag: py3-none-any\n" not in file.read_text(encoding="utf-8"):
                raise NotPure(
                    f"{name.parent.stem} is not in pure Python. Pin a version of which there is such a wheel."
                )
        return {
            name.as_posix(): file.read_bytes()
            for name, file in installed.items()
            if name.name not in _WRITTEN_BY_THE_INSTALLER
            and not _NEVER_IMPORTED & set(name.parts)
            and name.parts[0] != "bin"
        }


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ARCHIVE
    try:
        build(target)
    except NotPure as refused:
        sys.exit(str(refused))
    except subprocess.CalledProcessError as failed:
        sys.exit(failed.returncode)  # uv has said why
    content = target.read_bytes()
    print(f"{target}  {len(content) / 1e6:.1f} MB  sha256 {hashlib.sha256(content).hexdigest()}")  # noqa: T201
