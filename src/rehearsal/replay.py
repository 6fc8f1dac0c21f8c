"""`make replay`: one event in the situation it belongs to, and what it changed."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from rich.console import Console

from rehearsal.sandbox import FunctionError
from rehearsal.shown import show_step
from rehearsal.world import REGION, SECRET_NAME, Scene, StepRun, World

_ARN = f"arn:aws:secretsmanager:{REGION}:123456789012:secret:{SECRET_NAME}-AbCdEf"
_STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")

# The situation in which a sample event arrives: the step before which a rotation is held up, and what was done by hand
# then. Any other file's event arrives when its step is due.
_SITUATIONS = {
    "create_secret_again": ("setSecret", ""),
    "test_secret_alone": ("createSecret", "the pending version got a copy of the current value"),
    "finish_secret_again": ("finishSecret", "the pending version was promoted"),
    "unknown_step": ("finishSecret", ""),
    "missing_field": ("finishSecret", ""),
}


def replay(path: Path) -> StepRun:
    """Replay the event in a file, as it is, in the situation it belongs to.

    Raises:
        OSError, ValueError: the file can't be read, or does not hold JSON.
    """
    event = json.loads(path.read_text())
    with World(Scene()) as world:
        _arrange(world, path.stem, event)
        with contextlib.suppress(FunctionError):  # it is part of what is shown
            world.invoke(event)
        return world.steps[-1]


def show(path: Path, console: Console) -> bool:
    """Replay the event in a file, print what changed, and return whether the function did as asked."""
    run = replay(path)
    held_before, by_hand = _SITUATIONS.get(path.stem, (run.step, ""))
    held = f"was held up before {held_before}" if held_before in _STEPS else "had ended"
    console.print(f"A rotation {held}{'; ' + by_hand if by_hand else ''}. Then came {path.name}:")
    show_step(run, console)
    event = json.loads(path.read_text())
    if run.error and isinstance(event, dict) and event.get("SecretId", _ARN) != _ARN:
        console.print(f"The secret that is here is {_ARN}: let SecretId name it.")
    return run.error is None


def _arrange(world: World, name: str, event: object) -> None:
    """Bring the world to where the event belongs."""
    fields = event if isinstance(event, dict) else {}
    version, step = fields.get("ClientRequestToken"), fields.get("Step")
    world.hold_before, _ = _SITUATIONS.get(name, (str(step), ""))
    world.rotate(**({"ClientRequestToken": version} if isinstance(version, str) else {}))
    world.hold_before = None
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
        world.client.update_secret_version_stage(
            SecretId=world.secret_arn,
            VersionStage="AWSCURRENT",
            MoveToVersionId=str(version),
            RemoveFromVersionId=world.state().holder("AWSCURRENT") or "",
        )
