"""`make rehearse ARGS="--heal"`: a token is deleted at Docker Hub, and the caretaker has the secret rotated."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.text import Text

from rehearsal.invariants import Invariants
from rehearsal.shown import fault_line, show_step, the_world, verdicts
from rehearsal.wire import Request
from rehearsal.world import SECRET_NAME, Scene, StepRun, World

# A version younger than a day is not healed.
_DAYS = 2


def heal(scene: Scene, console: Console) -> bool:
    """Show a heal in a scene, and return whether consumers worked again and every invariant held."""
    invariants = Invariants()

    def on_request(request: Request) -> None:
        invariants.look(world, request)
        if request.fault:
            console.print(fault_line(request, request.fault))

    def on_step(run: StepRun) -> None:
        show_step(run, console)

    scene = replace(scene, environment={**scene.environment, "DOCKERHUB_HEAL": "rotate"})
    with World(scene, on_request=on_request, on_step=on_step) as world:
        invariants.begin(world)
        console.print(the_world(world))
        console.print(f"\n[bold]Rotation[/]: aws secretsmanager rotate-secret --secret-id {SECRET_NAME}")
        world.rotate_by_command()
        if (
            scene.organization
        ):  # its first token has no label of ours, and no other shows that this account is the right one
            world.rotate_by_command()
        _delete_the_token(world, console)
        invariants.begin(world)
        refused = _consumers(world, console)
        for look in ("The caretaker's next look", "The look after that"):
            console.print(f'\n[bold]{look}[/]: {{"Task": "Reconcile"}}')
            found = _look(world, console)
            world.aws.wait()
            works = _consumers(world, console)
        invariants.search_output(world)
        console.print()
        for word, invariant in verdicts(invariants):
            console.print(Text.assemble(word, " " * (8 - len(word)), invariant))
    return works and not refused and not found and not invariants.broken


def _delete_the_token(world: World, console: Console) -> None:
    """Let days pass, and have somebody delete the token under AWSCURRENT."""
    world.passed += _DAYS * 86_400
    for function in (world.function, world.caretaker):
        function.discard()  # Lambda has ended the sandbox by then
    value = world.current_token()
    with world.hub.lock:
        token = next(token for token in world.hub.tokens.values() if token.value == value)
        del world.hub.tokens[token.uuid]
    console.print(f"\n{_DAYS} days later somebody deletes token {token.uuid[:8]} at Docker Hub: AWSCURRENT holds it")


def _look(world: World, console: Console) -> list[str]:
    """Have the caretaker look, show what it found, and return the names of that."""
    answer: Any = world.care()
    found = [finding for secret in answer["Secrets"] for finding in secret["Findings"]]
    for finding in found:
        console.print(f"  [yellow]{finding['Finding']}[/] {finding['Message'].partition(': `')[0]}", soft_wrap=True)
    if not found:
        console.print(f"  {answer['Message']}")
    return [str(finding["Finding"]) for finding in found]


def _consumers(world: World, console: Console) -> bool:
    works = world.hub.authenticates(world.current_token())
    console.print(f"  consumers {'[green]work[/]' if works else '[red]are refused[/]'}")
    return works
