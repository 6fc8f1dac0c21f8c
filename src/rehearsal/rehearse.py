"""`make rehearse`: a rotation from start to end, shown while it happens."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from threading import Event

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rehearsal.consumer import Consumer, Keeper
from rehearsal.invariants import Invariants
from rehearsal.wire import Request
from rehearsal.world import FUNCTION_ARN, PLACEHOLDER, SECRET_NAME, Scene, State, StepRun, World, changes

_SERVE_SECONDS = 3600


def rehearse(scene: Scene, rotations: int, console: Console) -> bool:
    """Show rotations in a scene, and return whether all succeeded and every invariant held."""
    invariants = Invariants()

    def on_request(request: Request) -> None:
        invariants.look(world, request)
        if request.fault:
            console.print(f"  [yellow]fault[/] {request.fault.value} at request {request.number}, {request.name}")

    def on_step(run: StepRun) -> None:
        console.print(step_line(run), soft_wrap=True)

    with World(scene, on_request=on_request, on_step=on_step) as world:
        invariants.begin(world)
        console.print(the_world(world))
        before, succeeded, keeper = world.state(), True, Keeper(world)
        with Consumer(world) as consumer:
            for number in range(1, rotations + 1):
                of = f" {number} of {rotations}" if rotations > 1 else ""
                console.print(f"\n[bold]Rotation{of}[/]: aws secretsmanager rotate-secret --secret-id {SECRET_NAME}")
                events = world.rotate_by_command()
                failed = events.count("RotationFailed")
                if "RotationSucceeded" in events:
                    tries = f", after {_counted(failed, 'failed attempt')}" if failed else ""
                    console.print(f"  rotated{tries}")
                    invariants.at_rest(world)
                    if number < rotations:
                        _pass_the_grace(world, keeper, console)
                else:
                    console.print(f"  [red]not rotated[/], given up after {_counted(failed, 'attempt')}")
                    succeeded = False
                    break
        after, asked = world.state(), world.wire.requests
        if succeeded and not (scene.two_factor and scene.cold):  # where it would wait for one-time codes
            invariants.repeat_steps(world)
        invariants.search_output(world)
        _pass_the_grace(world, keeper, console)

        console.print()
        _show(console, _tokens(before, after, invariants.others or {}))
        _show(console, _labels(before, after))
        _show(console, _summary(consumer, keeper, asked, rotations, invariants))
        missed = [fault for fault in scene.faults if fault.at > len(asked)]
        for fault in missed:
            console.print(f"[red]missed[/]    fault {fault.kind}@{fault.at}: there were {len(asked)} requests")
    refused = consumer.failures + keeper.refused
    return succeeded and not (invariants.broken or missed or refused) and consumer.logins > 0


def _pass_the_grace(world: World, keeper: Keeper, console: Console) -> None:
    """Let time pass until an hour after the latest deadline, for a consumer that keeps a copy."""
    if world.scene.grace_seconds:
        keeper.live(world.scene.grace_seconds + 3600)
        world.function.discard()  # Lambda has ended the sandbox by then
        refused = f"{keeper.refused} of {keeper.logins} logins with a copy refused"
        console.print(f"  {world.scene.grace} and an hour pass; {refused}")


def serve(scene: Scene, console: Console) -> None:
    """Keep the world up until Ctrl-C, and print the environment with which `aws` commands work against it."""

    def on_step(run: StepRun) -> None:
        console.print(step_line(run), soft_wrap=True)

    with World(scene, on_step=on_step) as world:
        console.print(the_world(world))
        console.print("\nIn another terminal:\n")
        console.out("unset AWS_PROFILE AWS_SESSION_TOKEN")
        for name, value in world.environment.items():
            console.out(f"export {name}={value}", highlight=False)
        rotate = f"aws secretsmanager rotate-secret --secret-id {SECRET_NAME}"
        console.out(
            f"{rotate} \\\n  --rotation-lambda-arn {FUNCTION_ARN} \\\n  --rotation-rules AutomaticallyAfterDays=30"
        )
        console.out(f"aws secretsmanager get-secret-value --secret-id {SECRET_NAME}")
        if shutil.which("aws") is None:
            console.print("\nThere is no aws on your PATH; .venv/bin/aws is one.")
        console.print(f"\nDocker Hub is at {world.hub_url}. Steps are shown here as they happen.")
        console.print(f"Ctrl-C ends it; it ends by itself after {_SERVE_SECONDS // 60} minutes.\n")
        with suppress(KeyboardInterrupt):
            Event().wait(_SERVE_SECONDS)


def the_world(world: World) -> Text:
    """Say who is there."""
    scene = world.scene
    holds = "a placeholder" if world.current_token() == PLACEHOLDER else "a token made by hand"
    second = ", with two-factor login" if scene.two_factor else ""
    return Text(
        f"Docker Hub   account {world.hub.username}{second}, {scene.others} tokens of other people and programs\n"
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


def _show(console: Console, table: Table) -> None:
    """Print a table without the blanks that fill its last column."""
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        console.out(line.rstrip(), highlight=False)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _tokens(before: State, after: State, others: Mapping[str, object]) -> Table:
    table = Table(title="Tokens at Docker Hub", title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in ("token", "made for", "before", "after"):
        table.add_column(column, no_wrap=True)
    for uuid in (uuid for uuid in {**before.tokens, **after.tokens} if uuid not in others):
        was, now = before.tokens.get(uuid), after.tokens.get(uuid)
        label = (now or was or ("", False))[0]
        made_for = f"version {label.rpartition('/')[2][:8]}" if "/" in label else label
        table.add_row(uuid[:8], made_for, _standing(was), _standing(now))
    untouched = sum(before.tokens[uuid] == after.tokens.get(uuid) for uuid in others)
    table.add_row("", f"{_counted(untouched, 'other')}, untouched", "", "")
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


def _summary(
    consumer: Consumer, keeper: Keeper, asked: Iterable[Request], rotations: int, invariants: Invariants
) -> Table:
    parties = [request.party for request in asked]
    each = f" for {rotations} rotations" if rotations > 1 else ""
    table = Table(title="Summary", title_justify="left", box=None, pad_edge=False, show_header=False)
    table.add_row("requests", f"{len(parties)}{each}, {parties.count('Docker Hub')} of them to Docker Hub")
    overtaken = f", {consumer.overtaken} after reading AWSCURRENT again" if consumer.overtaken else ""
    failed = Text(f"{consumer.failures} failed", "red" if consumer.failures else "green")
    table.add_row(
        "consumer", Text(f"{_counted(consumer.logins, 'login')} with AWSCURRENT meanwhile{overtaken}, ") + failed
    )
    if keeper.logins:
        refused = Text(f"{keeper.refused} refused", "red" if keeper.refused else "green")
        table.add_row("consumer", Text(f"{keeper.logins} logins with a copy that it reads once an hour, ") + refused)
    for invariant, times in invariants.checked.items():
        checked = "once" if times == 1 else f"{times} times"
        table.add_row(Text("holds", "green"), f"{invariant} (checked {checked})")
    for broken in invariants.broken:
        table.add_row(Text("BROKEN", "red"), broken)
    return table
