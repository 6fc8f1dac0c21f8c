"""`make rehearse ARGS="--serve"`: a world to work on, and what is done in it, shown as it happens."""

from __future__ import annotations

import shutil
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from threading import Event as Signal

from rich.console import Console
from rich.markup import escape

from rehearsal.native_rotation import Event
from rehearsal.served.broken import Broken
from rehearsal.served.world import Served
from rehearsal.shown import counted, step_line, the_world
from rehearsal.world import SECRET_NAME, TASKS, Scene, StepRun

_SERVE_SECONDS = 3600
_DAY = 86_400


def serve(scene: Scene, rotations: int, broken: Broken | None, console: Console) -> None:
    """Keep a world up until Ctrl-C, and print the environment with which commands work against it.

    Args:
        rotations: how many its secret has had.
        broken: what is wrong with it, if anything is.
    """
    screen = _Screen(console)
    served = Served(scene, rotations=rotations, on_step=screen.show_step, on_event=screen.show_event)
    screen.served = served
    with suppress(KeyboardInterrupt), served:
        if broken:
            console.print(f"\n[bold]{broken.name}[/]: {escape(broken.what)}")
            broken.break_it(served)
        _explain(served, console)
        Signal().wait(_SERVE_SECONDS)


def _explain(served: Served, console: Console) -> None:
    console.print()
    console.print(the_world(served.world))
    console.print("\nIn another terminal:\n")
    console.out("unset AWS_PROFILE AWS_SESSION_TOKEN")
    for name, value in served.environment.items():
        console.out(f"export {name}={value}", highlight=False)
    console.out("make status", highlight=False)
    console.print(
        "\nNo verb of make needs the AWS CLI, and docs/operating.md has them all. Only a deployment can't be tried "
        "here. With the AWS CLI, this rotates as well:\n"
    )
    console.out(f"aws secretsmanager rotate-secret --secret-id {SECRET_NAME}", highlight=False)
    if shutil.which("aws") is None:
        console.print("\nThere is no aws on your PATH: any version will do, and .venv/bin/aws is one.")
    hub = served.world.hub
    console.print(f"\nDocker Hub is at {served.world.hub_url}.")
    console.print(f"Its account is {hub.username}, with the password {hub.password}: `make credentials` asks for them.")
    console.print("Rotations and tasks are shown here as they happen.")
    console.print(f"Ctrl-C ends it; it ends by itself after {_SERVE_SECONDS // 60} minutes.")


class _Screen:
    """What is shown of a world: a heading for each rotation and task, its steps, and how it ended.

    Attributes:
        served: the world.
    """

    served: Served

    def __init__(self, console: Console) -> None:
        self._console = console
        self._failed: Counter[str] = Counter()
        self._last_error: str | None = None

    def show_step(self, run: StepRun) -> None:
        """Show a step, or a task."""
        if run.step in TASKS:
            self._console.print(f"\n[bold]Caretaker[/] {run.step}")
        again = run.error is not None and run.error == self._last_error
        self._last_error = run.error or self._last_error
        self._console.print(step_line(replace(run, error="the same again") if again else run), soft_wrap=True)
        while self.served.crashes:
            self._console.print(f"  [red]not answered[/] {escape(repr(self.served.crashes.pop()))}")

    def show_event(self, event: Event) -> None:
        """Show how a rotation begins, and how it ends."""
        world = self.served.world
        engine = world.aws.engine
        version = engine.rotations[event.secret].version_id
        match event.name:
            case "RotationStarted" | "TestRotationStarted":
                self._failed[version], self._last_error = 0, None
                what = "Rotation" if event.name == "RotationStarted" else "Test of the rotation"
                name = event.secret.rpartition(":")[2][: -len("-AbCdEf")]
                ago = f", {-world.passed / _DAY:.0f} days ago" if world.passed < 0 else ""
                self._console.print(f"\n[bold]{what}[/] of {name}, version {version[:8]}{ago}")
            case "RotationSucceeded" | "TestRotationSucceeded":
                failed = self._failed[version]
                after = f", after {counted(failed, 'failed attempt')}" if failed else ""
                self._console.print(f"  {'rotated' if event.name == 'RotationSucceeded' else 'tested'}{after}")
            case "RotationFailed":
                self._failed[version] += 1
                if self._failed[version] == engine.attempts:
                    tried = counted(engine.attempts, "attempt")
                    self._console.print(f"  [red]gave up[/] after {tried}: version {version[:8]} has not been finished")
            case _:
                self._console.print(f"  [red]{event.name}[/] {escape(event.message)}")
