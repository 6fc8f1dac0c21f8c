"""`make rehearse`: a rotation from start to end, shown while it happens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rehearsal.consumer import Consumer, Keeper
from rehearsal.docker_hub import OrganizationToken
from rehearsal.invariants import Invariants
from rehearsal.shown import counted, fault_line, show, show_step, the_world, verdicts
from rehearsal.wire import Request
from rehearsal.world import MADE_BY_HAND, SECRET_NAME, Scene, State, StepRun, World

# What is waited for, at a terminal.
_BEGINS = "Setting up Docker Hub, Secrets Manager and the function"
_STARTS = "The AWS CLI asks for a rotation, and the function's process starts"
_BETWEEN = "Secrets Manager calls the next step"
_AFTER = {"finishSecret": "The rotation has ended"}


def rehearse(scene: Scene, rotations: int, console: Console) -> bool:
    """Show rotations in a scene, and return whether all succeeded and every invariant held."""
    invariants = Invariants()

    def on_request(request: Request) -> None:
        invariants.look(world, request)
        if request.fault:
            console.print(fault_line(request, request.fault))

    def on_step(run: StepRun) -> None:
        show_step(run, console)
        waiting.update(_AFTER.get(run.step, _BETWEEN))

    with console.status(_BEGINS) as waiting, World(scene, on_request=on_request, on_step=on_step) as world:
        invariants.begin(world)
        console.print(the_world(world))
        before, succeeded, keeper = world.state(), True, Keeper(world)
        with Consumer(world) as consumer:
            for number in range(1, rotations + 1):
                of = f" {number} of {rotations}" if rotations > 1 else ""
                console.print(f"\n[bold]Rotation{of}[/]: aws secretsmanager rotate-secret --secret-id {SECRET_NAME}")
                waiting.update(_STARTS)
                events = world.rotate_by_command()
                failed = events.count("RotationFailed")
                if "RotationSucceeded" in events:
                    tries = f", after {counted(failed, 'failed attempt')}" if failed else ""
                    console.print(f"  rotated{tries}")
                    invariants.at_rest(world)
                    if number < rotations:
                        _pass_the_grace(world, keeper, console)
                else:
                    console.print(f"  [red]not rotated[/], given up after {counted(failed, 'attempt')}")
                    succeeded = False
                    break
        after, asked = world.state(), world.wire.requests
        waiting.update("Every step runs once more, which must change nothing")
        if succeeded and not (scene.two_factor and scene.cold):  # where it would wait for one-time codes
            invariants.repeat_steps(world)
        invariants.search_output(world)
        _pass_the_grace(world, keeper, console)

        waiting.stop()
        console.print()
        show(_tokens([before, *(run.after for run in world.steps), after], invariants.others or {}), console)
        show(_labels(before, after), console)
        more = len(world.wire.requests) - len(asked)
        show(_summary(consumer, keeper, asked, more, rotations, invariants, _left(world)), console)
        named = {request.name for request in asked}
        missed = [fault for fault in scene.faults if fault.at > len(asked) or not (fault.at or fault.name in named)]
        for fault in missed:
            spot = fault.at or fault.name
            console.print(f"[red]missed[/]    fault {fault.kind}@{spot}: there were {len(asked)} requests")
        if missed:
            console.print("  " + ", ".join(f"{request.number} {request.name}" for request in asked), soft_wrap=True)
    refused = consumer.failures + keeper.refused
    return succeeded and not (invariants.broken or missed or refused) and consumer.logins > 0


def _pass_the_grace(world: World, keeper: Keeper, console: Console) -> None:
    """Let time pass until an hour after the latest deadline, for a consumer that keeps a copy."""
    if world.scene.grace_seconds:
        keeper.live(world.scene.grace_seconds + 3600)
        world.function.discard()  # Lambda has ended the sandbox by then
        refused = f"{keeper.refused} of {keeper.logins} logins with a copy refused"
        console.print(f"  {world.scene.grace} and an hour pass; {refused}")


def _tokens(states: Sequence[State], others: Mapping[str, object]) -> Table:
    """Show the tokens that there were at any time, and what became of them."""
    before, after = states[0], states[-1]
    table = Table(title="Tokens at Docker Hub", title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in ("token", "made for", "before", "after"):
        table.add_column(column, no_wrap=True)
    first: dict[str, str] = {}
    for state in states:
        for uuid, (label, _) in state.tokens.items():
            if uuid not in others:
                first.setdefault(uuid, label)
    for uuid, label in first.items():
        made_for = f"version {label.rpartition('/')[2][:8]}" if "/" in label else label
        was, now = _standing(before.tokens.get(uuid)), _standing(after.tokens.get(uuid))
        table.add_row(uuid[:8], made_for, was, "deleted" if now == "-" else now)
    untouched = sum(before.tokens[uuid] == after.tokens.get(uuid) for uuid in others)
    table.add_row("", f"{counted(untouched, 'other')}, untouched", "", "")
    return table


def _standing(token: tuple[str, bool] | None) -> str:
    return "-" if token is None else "active" if token[1] else "disabled"


def _labels(before: State, after: State) -> Table:
    table = Table(title="Staging labels", title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in ("version", "before", "after"):
        table.add_column(column, no_wrap=True)
    for version in {**before.labels, **after.labels}:
        was, now = (", ".join(sorted(state.labels.get(version, ()))) or "-" for state in (before, after))
        table.add_row(version[:8], was, now)
    return table


def _left(world: World) -> str:
    """Say what is left active, and why: an organization's token that was made by hand."""
    current = world.current_token()
    left = any(
        isinstance(token, OrganizationToken) and token.label == MADE_BY_HAND and token.active and token.value != current
        for token in world.hub.tokens.values()
    )
    return "the token made by hand, because no login tells that it is the superseded one" if left else ""


def _summary(
    consumer: Consumer,
    keeper: Keeper,
    asked: Iterable[Request],
    more: int,
    rotations: int,
    invariants: Invariants,
    left: str,
) -> Table:
    parties = [request.party for request in asked]
    each = f" for {rotations} rotations" if rotations > 1 else ""
    again = f", and {more} by every step once more" if more else ""
    table = Table(title="Summary", title_justify="left", box=None, pad_edge=False, show_header=False)
    table.add_row("requests", f"{len(parties)}{each}, {parties.count('Docker Hub')} of them to Docker Hub{again}")
    overtaken = f", {consumer.overtaken} after reading AWSCURRENT again" if consumer.overtaken else ""
    failed = Text(f"{consumer.failures} failed", "red" if consumer.failures else "green")
    table.add_row(
        "consumer", Text(f"{counted(consumer.logins, 'login')} with AWSCURRENT meanwhile{overtaken}, ") + failed
    )
    if keeper.logins:
        refused = Text(f"{keeper.refused} refused", "red" if keeper.refused else "green")
        table.add_row("consumer", Text(f"{keeper.logins} logins with a copy that it reads once an hour, ") + refused)
    if left:
        table.add_row("left", left)
    for word, invariant in verdicts(invariants):
        table.add_row(word, invariant)
    return table
