"""`make replay`: one event against the situation it belongs to, and what it changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from rehearsal.sandbox import FunctionError
from rehearsal.world import Scene, State, World, changes

# In which situation a sample event arrives: a rotation held up before a step. Any other file's event arrives
# when its step is due.
_HELD_BEFORE = {
    "create_secret_again": "setSecret",
    "test_secret_alone": "createSecret",
    "finish_secret_again": "finishSecret",
    "unknown_step": "finishSecret",
    "missing_field": "finishSecret",
}


@dataclass(frozen=True)
class Replayed:
    """What a replay showed.

    Attributes:
        error: what the function raised, or None.
    """

    error: str | None
    before: State
    after: State


def replay(path: Path) -> Replayed:
    """Replay the event in a file, as it is, in the situation it belongs to.

    Raises:
        ValueError: the file does not hold JSON.
    """
    event = json.loads(path.read_text())
    with World(Scene()) as world:
        _arrange(world, path.stem, event if isinstance(event, dict) else {})
        before, error = world.state(), None
        try:
            world.function.invoke(event)
        except FunctionError as refused:
            error = str(refused)
        return Replayed(error, before, world.state())


def show(path: Path, console: Console) -> None:
    """Replay the event in a file and print what changed."""
    replayed = replay(path)
    if replayed.error:
        console.print(f"[red]refused[/] {replayed.error}", soft_wrap=True)
    for change in changes(replayed.before, replayed.after) or ["nothing changed"]:
        console.print(change)


def _arrange(world: World, name: str, event: Mapping[str, object]) -> None:
    """Bring the world to where the event belongs."""
    version, step = event.get("ClientRequestToken"), event.get("Step")
    world.hold_before = _HELD_BEFORE.get(name) or str(step)
    options = {"ClientRequestToken": version} if isinstance(version, str) else {}
    world.rotate(**options)
    if name == "test_secret_alone":
        # As with RotateImmediately=false: the pending version is a copy of the current one.
        world.client.put_secret_value(
            SecretId=world.secret_arn,
            ClientRequestToken=str(version),
            SecretString=world.aws.value(world.secret_arn) or "",
            VersionStages=["AWSPENDING"],
        )
    if name == "finish_secret_again":
        # As if the first try had died between the promotion and retiring the old token.
        current = next(v for v, labels in world.state().labels.items() if "AWSCURRENT" in labels)
        world.client.update_secret_version_stage(
            SecretId=world.secret_arn,
            VersionStage="AWSCURRENT",
            MoveToVersionId=str(version),
            RemoveFromVersionId=current,
        )
