"""The operating page, followed word by word in one served world: what it shows is what is printed, and what becomes so."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest
from markdown_it import MarkdownIt

from dockerhub_rotation import errors, findings
from operate.__main__ import main
from operate.arguments import parser
from rehearsal.fork_server import ForkServer
from rehearsal.served.broken import BROKEN
from rehearsal.served.world import Served
from rehearsal.world import Scene, State

pytestmark = pytest.mark.xdist_group("operating page")  # they share one walk

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
_SERVE = re.compile(r'make rehearse ARGS="--serve(?: --rotations (?P<rotations>\d+))?(?: --grace (?P<grace>\w+))?"')
_BREAK = re.compile(r'make rehearse ARGS="--serve --broken (?P<name>\w+)"')
_VERSION = r"[0-9a-f]{8}-(?:[0-9a-f-]{27}|\.\.\.)"


@dataclass(frozen=True)
class Shown:
    """A command of the page, and the lines that it shows of what is printed."""

    command: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Ran:
    """A command of the page that was run.

    Attributes:
        before, after: the world.
        current: whether the value under AWSCURRENT logs in afterwards.
        leaked: secret values in what was printed.
    """

    shown: Shown
    status: int
    printed: str
    before: State
    after: State
    current: bool
    leaked: list[str]


def shown() -> Iterator[Shown]:
    """Yield the commands of the page's console blocks, in order."""
    for token in MarkdownIt("commonmark").parse(PAGE):
        if token.type == "fence" and token.info == "console":
            for part in re.split(r"^\$ ", token.content, flags=re.MULTILINE)[1:]:
                command, *lines = part.splitlines()
                yield Shown(command, tuple(lines))


class Terminal(io.StringIO):
    """Somebody at a terminal who enters what the page shows, and sees it."""

    def isatty(self) -> bool:
        return True

    def readline(self, size: int | None = -1, /) -> str:
        entered = super().readline(size or -1)
        sys.stdout.write(entered)
        return entered


def words_of(command: str, folder: Path) -> list[str]:
    """Return the arguments with which a make verb calls the commands, as the Makefile has it."""
    (folder / "bin").mkdir(exist_ok=True)
    python = folder / "bin" / "python"  # builds the package, where a verb needs one
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    (folder / ".ready").touch()
    verb = ["make", *re.findall(r"[\w=-]+", command.removeprefix("make "))]
    told = subprocess.run(
        [*verb, f"OPERATE={folder}", r"DEPLOY=printf '%s\n'"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    return told.stdout.removesuffix("\n").split("\n")


def run(served: Served, one: Shown, folder: Path) -> Ran:
    entered = "".join(f"{answer}\n" for answer in re.findall(r"\[y/N\] (\w)$", "\n".join(one.lines), re.MULTILINE))
    printed = io.StringIO()
    before = served.world.state()
    with (
        mock.patch.object(sys, "stdin", Terminal(entered)),
        redirect_stdout(printed),
        redirect_stderr(printed),
    ):
        status = main(words_of(one.command, folder))
    served.world.aws.wait()
    works = served.world.hub.authenticates(served.world.current_token())
    said = printed.getvalue()
    return Ran(one, status, said, before, served.world.state(), works, served.world.leaked(said))


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Ran]]:
    """Run all that the page shows, in the world that it begins with, and return what came of each command."""
    first, *rest = shown()
    begun = _SERVE.fullmatch(first.command)
    assert begun, "the page begins with the world that it is followed in"
    scene, folder = Scene(grace=begun["grace"]), tmp_path_factory.mktemp("operate")
    ours = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    nobody = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    ran: list[Ran] = []
    with (
        ForkServer() as processes,
        Served(scene, rotations=int(begun["rotations"]), run_function=processes.function) as served,
        mock.patch.dict(os.environ, {**ours, **nobody, **served.environment}, clear=True),
    ):
        for one in rest:
            if broken := _BREAK.fullmatch(one.command):
                BROKEN[broken["name"]].break_it(served)
            else:
                ran.append(run(served, one, folder))
    yield ran


def pattern(line: str) -> str:
    """Return what a line of the page matches: ids, days and times are others each time, and `...` is any text."""
    spots = [
        (_VERSION, "[0-9a-f]{8}.*" if line.endswith("-...") else _VERSION),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", r"\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d"),
        (r"\d{4}-\d\d-\d\d", r"\\d{4}-\\d\\d-\\d\\d"),
    ]
    del spots
    parts = re.split(rf"({_VERSION}|\d{{4}}-\d\d-\d\d(?: \d\d:\d\d:\d\d)?|\.\.\.)", line)
    return "".join(_part(part) for part in parts)


def _part(part: str) -> str:
    if part == "...":
        return ".*"
    if re.fullmatch(_VERSION, part):
        return r"[0-9a-f]{8}-[0-9a-f-]{27}.*?" if part.endswith("...") else r"[0-9a-f]{8}-[0-9a-f-]{27}"
    return re.sub(r"\d", r"\\d", part) if re.fullmatch(r"\d{4}-.*", part) else re.escape(part)


def test_every_line_that_the_page_shows_is_printed_in_that_order(walk: list[Ran]) -> None:
    missing = []
    for ran in walk:
        printed = iter(ran.printed.splitlines())
        for line in ran.shown.lines:
            if line.strip() != "..." and not any(re.fullmatch(pattern(line), it.rstrip()) for it in printed):
                missing.append((ran.shown.command, line, ran.printed))

    assert missing == []
