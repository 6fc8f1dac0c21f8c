"""Lambda's Python runtimes, as far as this machine has their interpreters."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).with_name("uv")
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"


def interpreter(version: str, folder: Path) -> Path | None:
    """Make an interpreter of a version that has the AWS SDK and Lambda's runtime client, and nothing else.

    As in Lambda, it has its SDK's bytecode. Return None if this machine has no such Python.
    """
    base = sys.executable if version == RUNNING else _find(version)
    if base is None:
        return None
    python = folder / "bin" / "python"
    locked = ROOT / "requirements" / "lambda.txt"
    _uv("venv", "--python", base, folder)
    _uv("pip", "install", "--compile-bytecode", "--python", python, "--require-hashes", "--requirements", locked)
    return python


def _find(version: str) -> str | None:
    # Else pyenv's shims refuse to run a version that is installed but not chosen.
    env = {**os.environ, "PYENV_VERSION": version}
    found = subprocess.run(  # noqa: S603 - the uv of this environment
        [UV, "python", "find", "--no-python-downloads", version],
        check=False,
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
    )
    return found.stdout.strip() if found.returncode == 0 else None


def _uv(*arguments: str | Path) -> None:
    subprocess.run([UV, "--quiet", *arguments], check=True, cwd=ROOT)  # noqa: S603 - the uv of this environment
