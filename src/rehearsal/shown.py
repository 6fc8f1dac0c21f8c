"""What several commands show of a world: its beginning, and each step in a line."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from rehearsal.invariants import Invariants
from rehearsal.wire import FaultKind, Request
from rehearsal.world import PLACEHOLDER, SECRET_NAME, StepRun, World, changes


def the_world(world: World) -> Text:
    """Say what is there: the account, the secret, the function."""
    scene = world.scene
    rotated = world.state().holder("AWSPREVIOUS") is not None
    token = "a token that a rotation has made" if rotated else "a token made by hand"
    holds = "a placeholder" if world.current_token() == PLACEHOLDER else token
    second = ", with two-factor login" if scene.two_factor else ""
    role = f", which manages the tokens of organization {scene.organization}" if scene.organization else ""
    return Text(
        f"Docker Hub   account {world.hub.username}{second}{role}, {scene.others} tokens of other people and programs\n"
        f"AWS          secret {SECRET_NAME} ({scene.shape.value}), which holds {holds}\n"
        f"Function     the real handler, in a process of its own, {'cold for each step' if scene.cold else 'kept warm'}"
    )


def step_line(run: StepRun) -> Text:
    """Show an invocation in one line."""
    aws = sum(request.party == "AWS" for request in run.requests)
    line = Text("  ")
    line.append(f"{run.step:<13}", "red" if run.error else "green")
    line.append(f"{run.seconds * 1000:6.0f} ms  {aws} AWS + {len(run.requests) - aws} Hub  ", "dim")
    proven = run.step == "testSecret" and any(request.party == "Docker Hub" for request in run.requests)
    nothing = "the staged token logs in" if proven else "nothing to change"
    line.append(run.error or ", ".join(changes(run.before, run.after)) or nothing, "red" if run.error else "")
    return line


def counted(number: int, what: str) -> str:
    """Return a number of things in words."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def fault_line(request: Request, fault: FaultKind) -> Text:
    """Show what befalls a request."""
    line = Text("  ")
    line.append("fault", "yellow")
    return line.append(f" {fault.value} at request {request.number}, {request.name}")


def verdicts(invariants: Invariants) -> Iterator[tuple[Text, str]]:
    """Yield what held, how often it was looked at, and what did not hold."""
    for invariant, times in invariants.checked.items():
        yield Text("holds", "green"), f"{invariant} (checked {'once' if times == 1 else f'{times} times'})"
    for broken in invariants.broken:
        yield Text("BROKEN", "red"), broken
