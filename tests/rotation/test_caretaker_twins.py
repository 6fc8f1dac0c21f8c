"""The caretaker at work at the same time as itself, or as a step of a rotation, in every order of their requests.

The orders are those of `test_twins`. Each pair meets a token that is due; a step, besides, the rotation to which it
belongs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest
from rich.console import RenderableType

from rehearsal.invariants import Invariants
from rehearsal.sandbox import Function
from rehearsal.wire import Request
from rehearsal.world import CARETAKER, FUNCTION_ARN, TASKS, Scene, Shape, World
from tests.rotation.cared import DAY, HOUR
from tests.rotation.seen import token_under
from tests.rotation.test_histories import STEPS
from tests.rotation.test_twins import LOUD, Pair, Turns, event_of, every_order

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"

# In how many orders the requests of two can arrive. The steps that change nothing are left out, and of a rollback those
# that would take an hour: `test_rollback` runs its twin, and a rotation to its end, between any two of its requests.
ORDERS = {
    ("Reconcile", "Reconcile"): 8,
    ("Retire", "Retire"): 8,
    ("Retire", "Reconcile"): 8,
    ("Reconcile", "createSecret"): 47,
    ("Reconcile", "finishSecret"): 352,
    ("Retire", "finishSecret"): 59,
    ("Rollback", "Reconcile"): 103,
    ("Rollback", "createSecret"): 75,
}
# Two that heal the same secret.
ORDERS_OF_A_HEAL = 14
# One that heals, by how many of its requests come before somebody begins a rotation: all but the one that would begin
# another.
ORDERS_BESIDE_A_HEAL = {6: 8}

# Two minutes of processor time are more than `make test` has for one test: `make faults` runs those with more orders.
_SHORT = 100

_CARETAKERS = {"_HANDLER": CARETAKER, "ROTATION_FUNCTION_ARN": FUNCTION_ARN}


@pytest.fixture(scope="module")
def seen(report: list[RenderableType]) -> Iterator[Counter[tuple[str, str]]]:
    orders: Counter[tuple[str, str]] = Counter()
    yield orders
    for (task, other), count in orders.items():
        report.append(f"{count:3} orders of the requests of {task} and {other} at once: no invariant was broken")


def asking_for(work: str, world: World, version: str | None) -> dict[str, object]:
    match work:
        case "Reconcile":
            return {"Task": work}
        case "Retire":
            return {"Task": work, "SecretId": world.secret_arn}
        case "Rollback":
            return {"Task": work, "SecretId": world.secret_arn, "VersionId": world.state().holder("AWSPREVIOUS")}
    return event_of(work, world, version)


def begin(world: World, step: str | None, **options: str) -> None:
    """Begin a rotation that comes to a step and no further, if there is one."""
    if step:
        world.hold_before = step
        world.rotate(**options)
        world.hold_before = None
        world.passed += 5


def are_refusals(errors: list[str]) -> bool:
    """Tell whether one was refused because the other was faster."""
    return len(errors) == 1 and errors[0].startswith(("EventRefused: ", "RollbackFailed: "))


@pytest.mark.parametrize(
    ("works", "orders"),
    [
        pytest.param(*it, marks=[pytest.mark.long] if it[1] > _SHORT else [], id=" ".join(it[0]))
        for it in ORDERS.items()
    ],
)
def test_the_caretaker_beside_whatever_else_is_at_work_breaks_nothing(
    make_world: Callable[..., World],
    process_of_its_own: Callable[..., Function],
    seen: Counter[tuple[str, str]],
    works: tuple[str, str],
    orders: int,
) -> None:
    invariants, turns = Invariants(), Turns()
    step = works[1] if works[1] not in TASKS else None
    going_back = "Rollback" in works
    to_begin: list[str] = []  # the version of a rotation that is to begin after the next request

    def look(request: Request) -> None:
        invariants.look(world, request)
        if world.step is not None:
            return  # it is that of the rotation's own
        if to_begin:
            begin(world, step, ClientRequestToken=to_begin.pop())
        turns.served()

    with ExitStack() as stack:
        world = make_world(Scene(grace="2h", environment=LOUD), on_request=look)
        world.hub.rate_limit_per_minute = 1_000_000
        pair = Pair(world, process_of_its_own, turns, stack, [_CARETAKERS if it in TASKS else {} for it in works])
        invariants.begin(world)
        world.rotate()
        current = world.state().holder("AWSCURRENT")
        invariants.at_work = frozenset({*works, "Reconcile"})
        warm = {"Rollback": "Reconcile"} | dict.fromkeys(STEPS, "finishSecret")
        pair.warm_up([asking_for(warm.get(work, work), world, current) for work in works])
        invariants.at_work = frozenset(works)

        def prepare() -> list[dict[str, object]]:
            world.rotate()
            world.passed += 2 * HOUR + 60 if "Reconcile" in works or going_back else HOUR
            if going_back:
                world.care()  # what is due is disabled: also the token that is wanted back
            if step and going_back:  # while a rotation is under way it is refused
                to_begin.append(str(uuid4()))
                return [asking_for(work, world, to_begin[0]) for work in works]
            begin(world, step)
            return [asking_for(work, world, world.state().holder("AWSPENDING")) for work in works]

        def run(choices: list[int]) -> list[int]:
            made, errors = pair.invoke(prepare(), choices)
            assert errors == [] or (going_back and step and are_refusals(errors))
            if step:
                world.aws.retry(world.secret_arn)
                world.aws.wait()
                assert world.aws.events[-1].name == "RotationSucceeded"
            assert world.hub.authenticates(world.current_token())
            assert invariants.broken == []
            return made

        first = (0,) if going_back and step else ()
        for _ in range(3):
            run([*first])  # from then on each finds as many tokens as the one before
        found = sum(not turns.repeated for _ in every_order(run, first))
        seen[works] += found
        assert [world.leaked(one.log()) for one in pair.functions] == [[], []]
        assert found == orders


def test_two_caretakers_that_find_the_same_token_dead_start_one_rotation(
    make_world: Callable[..., World], process_of_its_own: Callable[..., Function], seen: Counter[tuple[str, str]]
) -> None:
    invariants, turns = Invariants(), Turns()

    def look(request: Request) -> None:
        invariants.look(world, request)
        turns.served()

    heals = {**_CARETAKERS, "DOCKERHUB_HEAL": "rotate"}
    with ExitStack() as stack:
        # Its value names the account: what shows that it is the right one is not taken away with the dead token.
        world = make_world(Scene(shape=Shape.ECS, environment=LOUD), on_request=look)
        world.hub.rate_limit_per_minute = 1_000_000
        pair = Pair(world, process_of_its_own, turns, stack, [heals, heals])
        invariants.begin(world)
        world.passed += DAY
        world.rotate()
        invariants.at_work = frozenset({"Reconcile"})
        pair.warm_up([{"Task": "Reconcile"}] * 2)

        def run(choices: list[int]) -> list[int]:
            world.passed += 2 * DAY
            del world.hub.tokens[token_under(world).uuid]
            invariants.begin(world)
            world.hold_before, began = "createSecret", len(world.aws.events)
            made, errors = pair.invoke([{"Task": "Reconcile"}] * 2, choices)
            world.aws.wait()
            assert errors == []
            assert [event.name for event in world.aws.events[began:]].count("RotationStarted") == 1
            world.hold_before = None
            world.aws.retry(world.secret_arn)
            world.aws.wait()
            assert world.aws.events[-1].name == "RotationSucceeded"
            assert world.hub.authenticates(world.current_token())
            assert invariants.broken == []
            return made

        for _ in range(2):
            run([])
        found = sum(not turns.repeated for _ in every_order(run, ()))
        seen["Reconcile", "Reconcile"] += found
        assert found == ORDERS_OF_A_HEAL


@pytest.mark.long
@pytest.mark.parametrize(("after", "orders"), ORDERS_BESIDE_A_HEAL.items())
def test_a_heal_beside_the_first_step_of_somebodys_rotation_begins_no_second_one(
    make_world: Callable[..., World], process_of_its_own: Callable[..., Function], after: int, orders: int
) -> None:
    """Somebody rotates after so many requests of the heal, when that has found the token dead."""
    invariants, turns = Invariants(), Turns()
    to_begin: list[str] = []
    asked = 0

    def look(request: Request) -> None:
        invariants.look(world, request)
        if world.step is not None:
            return  # it is that of the rotation's own
        if to_begin and request.number == asked + after:
            begin(world, "createSecret", ClientRequestToken=to_begin.pop())
        turns.served()

    with ExitStack() as stack:
        world = make_world(Scene(shape=Shape.ECS, environment=LOUD), on_request=look)
        world.hub.rate_limit_per_minute = 1_000_000
        pair = Pair(world, process_of_its_own, turns, stack, [{**_CARETAKERS, "DOCKERHUB_HEAL": "rotate"}, {}])
        invariants.begin(world)
        world.passed += DAY
        world.rotate()
        current = world.state().holder("AWSCURRENT")
        invariants.at_work = frozenset({"Reconcile", "createSecret", "finishSecret"})
        pair.warm_up([{"Task": "Reconcile"}, event_of("finishSecret", world, current)])

        def run(choices: list[int]) -> list[int]:
            nonlocal asked
            world.passed += 2 * DAY
            del world.hub.tokens[token_under(world).uuid]
            invariants.begin(world)
            asked, began = len(world.wire.requests), len(world.aws.events)
            to_begin.append(str(uuid4()))
            events = [asking_for("Reconcile", world, None), event_of("createSecret", world, to_begin[0])]
            made, errors = pair.invoke(events, choices)
            assert errors == []
            world.aws.wait()
            assert [event.name for event in world.aws.events[began:]].count("RotationStarted") == 1
            world.aws.retry(world.secret_arn)
            world.aws.wait()
            assert world.aws.events[-1].name == "RotationSucceeded"
            assert world.hub.authenticates(world.current_token())
            invariants.at_rest(world)
            assert invariants.broken == []
            return made

        first = (0,) * after
        for _ in range(2):
            run([*first])
        assert sum(not turns.repeated for _ in every_order(run, first)) == orders


def test_the_page_says_how_many_orders_there_are() -> None:
    page, beside = PAGE.read_text(), sum(ORDERS_BESIDE_A_HEAL.values())
    assert f"in all {sum(ORDERS.values()) + ORDERS_OF_A_HEAL} orders of the caretaker's" in page
    assert f"A heal beside the first step of somebody's rotation: {beside} orders" in page
