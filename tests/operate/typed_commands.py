"""A command that is typed as it was printed, in a clone: the Makefile turns it into words, and a terminal answers."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from operate.__main__ import main
from rehearsal.served.world import Served

ROOT = Path(__file__).parents[2]


class Nobody:
    """No terminal, and nothing to read."""

    def isatty(self) -> bool:
        return False

    def readline(self) -> str:
        return ""


class Terminal:
    """Somebody at a terminal who enters these lines, and sees them."""

    def __init__(self, answers: Iterable[str]) -> None:
        self._answers = iter(answers)

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        entered = f"{next(self._answers)}\n"
        sys.stdout.write(entered)
        return entered


@dataclass(frozen=True)
class Typed:
    """A command that was typed.

    Attributes:
        printed: all that it said.
    """

    status: int
    printed: str


def words_of(command: list[str], folder: Path) -> list[str]:
    """Return the arguments with which a make verb calls the commands, as the Makefile has it."""
    (folder / "bin").mkdir(exist_ok=True)
    python = folder / "bin" / "python"  # builds the package, where a verb needs one
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    (folder / ".ready").touch()
    told = subprocess.run(
        [*command, f"OPERATE={folder}", r"DEPLOY=printf '%s\n'"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    return told.stdout.removesuffix("\n").split("\n")


def type_in(command: str, answers: Iterable[str] | None, folder: Path) -> Typed:
    """Type a command, and answer what it asks; None has a program type it, without a terminal."""
    words = shlex.split(command)
    make = words.index("make")
    variables = dict(word.split("=", 1) for word in words[:make])
    printed = io.StringIO()
    with (
        mock.patch.object(sys, "stdin", Nobody() if answers is None else Terminal(answers)),
        mock.patch.dict(os.environ, variables),
        redirect_stdout(printed),
        redirect_stderr(printed),
    ):
        status = main(words_of(words[make:], folder))
    return Typed(status, printed.getvalue())


@contextmanager
def somebody_elses_shell(served: Served) -> Iterator[None]:
    """Have nothing in the environment that is about AWS, but what `make rehearse ARGS="--serve"` prints."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    nobody = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    with mock.patch.dict(os.environ, {**ours, **nobody, **served.environment}, clear=True):
        yield
