"""What several commands show of a world: its beginning, and each step in a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.text import Text

from rehearsal.invariants import WORKS, Invariants
from rehearsal.wire import FaultKind, Request
from rehearsal.world import PLACEHOLDER, SECRET_NAME, Shape, StepRun, World, changes

# As a terminal is at least; what is said of a step goes on below itself.
_LEAST_WIDTH = 20


def the_world(world: World) -> Text:
    """Say what is there: the account, the secret, the function."""
    scene = world.scene
    rotated = world.state().holder("AWSPREVIOUS") is not None
    token = "a token that a rotation has made" if rotated else "a token made by hand"
    holds = "a placeholder" if world.current_token() == PLACEHOLDER else token
    second = ", with two-factor login" if scene.two_factor else ""
    looks = scene.shape.compose(world.login_name, "<token>")
    shape = f"Its shape    {looks}\n" if scene.shape is not Shape.PLAIN else ""
    role = f", which manages the tokens of organization {scene.organization}" if scene.organization else ""
    return Text(
        f"Docker Hub   account {world.hub.username}{second}{role}, {scene.others} tokens of other people and programs\n"
        f"AWS          secret {SECRET_NAME} ({scene.shape.value}), which holds {holds}\n{shape}"
        f"Function     the real handler, in a process of its own, {'cold for each step' if scene.cold else 'kept warm'}"
    )


def step_line(run: StepRun) -> Text:
    """Show an invocation in one line."""
    return Text.assemble(_counts(run), _became(run))


def show_step(run: StepRun, console: Console) -> None:
    """Print an invocation; what became of it goes on below itself where the console is narrow, and breaks no id."""
    counts, became = _counts(run), _became(run)
    for part in became.wrap(console, max(_LEAST_WIDTH, console.width - len(counts))):
        part.rstrip()
        console.print(Text.assemble(counts, part), soft_wrap=True)
        counts = Text(" " * len(counts))


def _counts(run: StepRun) -> Text:
    aws = sum(request.party == "AWS" for request in run.requests)
    line = Text("  ")
    line.append(f"{run.step:<13}", "red" if run.error else "green")
    line.append(f"{run.seconds * 1000:6.0f} ms  {aws} AWS + {len(run.requests) - aws} Hub  ", "dim")
    return line


def _became(run: StepRun) -> Text:
    proven = run.step == "testSecret" and any(request.party == "Docker Hub" for request in run.requests)
    nothing = "the staged token logs in" if proven else "nothing to change"
    became = run.error or ", ".join(changes(run.before, run.after)) or nothing
    return Text(became, "red" if run.error else "")


def counted(number: int, what: str) -> str:
    """Return a number of things in words."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def fault_line(request: Request, fault: FaultKind) -> Text:
    """Show what befalls a request."""
    line = Text("  ")
    line.append("fault", "yellow")
    return line.append(f" {fault.value} at request {request.number}, {request.name}")


def verdicts(invariants: Invariants) -> Iterator[tuple[Text, str]]:
    """Yield how often was looked, what held, with how often if that was another number, and what did not hold."""
    each = invariants.checked[WORKS]
    yield Text("looked"), f"after each request, {each} in all, before the function heard of the answer"
    for invariant, times in invariants.checked.items():
        often = "" if times == each else f" (looked at {'once' if times == 1 else f'{times} times'})"
        yield Text("holds", "green"), f"{invariant}{often}"
    for broken in invariants.broken:
        yield Text("BROKEN", "red"), broken


def show(renderable: RenderableType, console: Console) -> None:
    """Print a table or the like without the blanks that fill its last column."""
    with console.capture() as capture:
        console.print(renderable)
    for line in capture.get().splitlines():
        text = Text.from_ansi(line)
        text.rstrip()
        console.print(text, soft_wrap=True)


@contextmanager
def saying(console: Console) -> Iterator[Callable[[str], None]]:
    """Yield what says what is being done: beside a spinner at a terminal, else as a line beside the result."""
    if not console.is_terminal:
        yield Console(stderr=True, soft_wrap=True, highlight=False).print
        return
    with console.status("") as status:
        yield status.update
