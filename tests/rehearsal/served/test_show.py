"""What somebody sees who keeps a world up to work on it."""

from __future__ import annotations

import io
import re
from functools import partial

import pytest
from rich.console import Console

from rehearsal.command_line import main
from rehearsal.served import show
from rehearsal.served.broken import BROKEN, Broken
from rehearsal.served.world import Served
from rehearsal.world import Scene
from tests.rotation.conftest import FunctionHere


def shown(monkeypatch: pytest.MonkeyPatch, rotations: int = 0, broken: Broken | None = None) -> list[str]:
    """Return the lines that are printed until the world is left alone."""
    monkeypatch.setattr(show, "Served", partial(Served, run_function=FunctionHere))
    monkeypatch.setattr(show, "_SERVE_SECONDS", 0)
    printed = io.StringIO()
    show.serve(Scene(), rotations, broken, Console(file=printed, width=200))
    return re.sub(r"\b[0-9a-f]{8}\b", "<id>", printed.getvalue()).splitlines()


def test_each_rotation_has_a_heading_that_says_when_it_was_and_ends_with_what_came_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = shown(monkeypatch, rotations=2)

    assert [line for line in lines if line.startswith("Rotation of") or "rotated" in line] == [
        *("Rotation of dockerhub-token, version <id>, 33 days ago", "  rotated"),
        *("Rotation of dockerhub-token, version <id>, 3 days ago", "  rotated"),
    ]
    assert any("which holds a token that a rotation has made" in line for line in lines)


def test_a_rotation_that_is_given_up_says_so_and_its_error_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, 1, BROKEN["SettingsInvalid"])

    assert sum("DOCKERHUB_TOKEN_SCOPES must be" in line for line in lines) == 1
    assert sum("the same again" in line for line in lines) == 4
    assert "  gave up after 5 attempts: version <id> has not been finished" in lines
    assert "SettingsInvalid: the function was deployed with a scope that Docker Hub does not have." in lines


def test_a_look_of_the_caretaker_has_a_heading_too(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, 1, BROKEN["CurrentTokenDisabled"])

    assert "Caretaker Reconcile" in lines
    assert any(re.match(r"  Reconcile +[0-9]+ ms  [0-9]+ AWS \+ [0-9]+ Hub  nothing to change", line) for line in lines)


def test_broken_is_for_a_world_that_is_served(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["rotate", "--broken", "LockedOut"])

    assert "it needs --serve" in capsys.readouterr().err
