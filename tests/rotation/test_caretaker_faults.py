"""A fault, or somebody's act, at every request of the caretaker: the next look, or the task once more, puts it right.

`make faults` prints the table. A cell says what came of the task with the fault: done (it has asked again), unknown
(the next hour looks again), or the error that whoever has sent it gets. All invariants are checked after every request.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from rich.console import RenderableType
from rich.table import Table

from dockerhub_rotation import entrance
from dockerhub_rotation.aws import CLIENT_CONFIG
from dockerhub_rotation.docker_hub import http
from rehearsal.invariants import Invariants
from rehearsal.sandbox import Function, FunctionError
from rehearsal.wire import Fault, FaultKind, Request
from rehearsal.world import Scene, World
from tests.rotation.cared import HOUR, names, of_version
from tests.rotation.seen import holder, token_under
from tests.rotation.test_histories import ACTS
from tests.rotation.test_orphans import orphan

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"

WatchedWorld = Callable[..., tuple[World, Invariants]]

_LOG_IN = ("GetParameters", "POST /v2/auth/token", "GET /v2/access-tokens", "DescribeSecret")
_PATCH, _DELETE = "PATCH /v2/access-tokens/{uuid}", "DELETE /v2/access-tokens/{uuid}"
# What each asks for where a token is due, or disabled and wanted back, and another is an orphan.
REQUESTS = {
    "Reconcile": ("ListSecrets", *_LOG_IN, _PATCH, _DELETE),
    "Retire": ("DescribeSecret", *_LOG_IN, _PATCH, _DELETE),
    "Rollback": (
        *("DescribeSecret", "GetSecretValue", "GetParameters", "POST /v2/auth/token", "GET /v2/access-tokens"),
        *(_PATCH, "POST /v2/auth/token", "GET /token", _PATCH, "DescribeSecret", "UpdateSecretVersionStage"),
        *("POST /v2/auth/token", _PATCH, _DELETE),
    ),
}
SCENE = Scene(grace="2h", environment={"POWERTOOLS_LOG_LEVEL": "DEBUG", "POWERTOOLS_LOGGER_LOG_EVENT": "true"})
# Retire takes the rest of a grace away, Reconcile waits for its end, and after that a rollback has to enable the token.
SECONDS_SINCE = {"Reconcile": 2 * HOUR + 60, "Retire": HOUR, "Rollback": 2 * HOUR + 60}

Matrix = dict[tuple[str, int, FaultKind], str]


def at_every_request(*kinds: FaultKind) -> pytest.MarkDecorator:
    """Run a test once for each task, request and kind of fault."""
    return pytest.mark.parametrize(
        ("task", "at", "kind"),
        [
            pytest.param(task, at, kind, id=f"{task}, {kind} at {at} {name}")
            for task, requests in REQUESTS.items()
            for at, name in enumerate(requests, 1)
            for kind in kinds
        ],
    )


@pytest.fixture(scope="module")
def matrix(report: list[RenderableType]) -> Iterator[Matrix]:
    outcomes: Matrix = {}
    yield outcomes
    for task, requests in REQUESTS.items():
        table = Table(title=f"\nA fault in {task}", title_justify="left", box=None, pad_edge=False)
        table.add_column("request")
        for kind in FaultKind:
            table.add_column(kind.replace("-", "\n"), justify="center")
        for at, name in enumerate(requests, 1):
            table.add_row(f"{at:2} {name}", *(outcomes.get((task, at, kind), "") for kind in FaultKind))
        report.append(table)
    report.append(f"\n{len(outcomes)} tasks with a fault: each was put right, no invariant was broken")


def with_something_due(world: World, invariants: Invariants, task: str) -> World:
    """Bring a world to where a superseded token is to be taken away or brought back, and an orphan to be deleted."""
    world.rotate()
    token = orphan(world)
    token.creator_ua = "dockerhub-rotation/0.1.0"
    world.passed += SECONDS_SINCE[task]
    if task == "Rollback":
        of_version(world, holder(world, "AWSPREVIOUS")).active = False
    invariants.begin(world)
    return world


def event_for(world: World, task: str) -> dict[str, object]:
    """Return what a task is sent beside its name."""
    match task:
        case "Retire":
            return {"SecretId": world.secret_arn}
        case "Rollback":
            return {"SecretId": world.secret_arn, "VersionId": holder(world, "AWSPREVIOUS")}
    return {}


def cared(world: World, task: str, fields: dict[str, object]) -> str:
    """Send a task, and tell in a word what came of it."""
    try:
        answer = world.care(task, **fields)
    except FunctionError as failure:
        return str(failure).partition(":")[0]
    return "unknown" if answer.get("SecretsUnknown") else "done"


def is_settled(world: World, task: str) -> bool:
    """Tell whether what was due is done, and nothing else."""
    previous = of_version(world, holder(world, "AWSPREVIOUS"))
    current = token_under(world)
    ours = [token for token in world.hub.tokens.values() if token.label.startswith("dockerhub-rotation/")]
    if task == "Rollback":
        works = (current.active, " until " in current.label, previous.active, " until " in previous.label)
        return ours == [current, previous] and works == (True, False, True, True)
    return ours == [previous, current] and (previous.active, current.active) == (False, True)


def put_right(world: World, invariants: Invariants, task: str, fields: dict[str, object]) -> None:
    """Send the task once more: then everything is as it should be."""
    assert cared(world, task, fields) == "done"
    assert is_settled(world, task)
    invariants.search_output(world)
    assert invariants.broken == []


@pytest.mark.parametrize("task", REQUESTS)
def test_the_requests_of_a_task_are_those_at_which_faults_strike(watched_world: WatchedWorld, task: str) -> None:
    world = with_something_due(*watched_world(SCENE), task)
    asked = len(world.wire.requests)

    assert cared(world, task, event_for(world, task)) == "done"

    assert tuple(names(world, asked)) == REQUESTS[task]
    assert is_settled(world, task)


def with_a_fault(world: World, invariants: Invariants, task: str, fault: Fault) -> str:
    with_something_due(world, invariants, task)
    world.wire.faults.append(Fault(len(world.wire.requests) + fault.at, fault.kind))
    fields = event_for(world, task)
    outcome = cared(world, task, fields)
    assert any(request.fault for request in world.wire.requests)
    world.wire.faults.clear()
    put_right(world, invariants, task, fields)
    return outcome


@at_every_request(
    *(FaultKind.LOST_BEFORE, FaultKind.LOST_AFTER),
    *(FaultKind.UNAVAILABLE_BEFORE, FaultKind.UNAVAILABLE_AFTER),
    *(FaultKind.RATE_LIMITED, FaultKind.RATE_LIMITED_UNTIL),
    *(FaultKind.HTML, FaultKind.GATEWAY, FaultKind.FIREWALL),
)
def test_a_fault_at_any_request_is_put_right_by_the_same_task(
    watched_world: WatchedWorld, matrix: Matrix, clock: Any, task: str, at: int, kind: FaultKind
) -> None:
    outcome = with_a_fault(*watched_world(SCENE), task, Fault(at, kind))

    if task == "Reconcile":
        assert outcome in ("done", "unknown", "AwsRefused")
    matrix[task, at, kind] = outcome


@at_every_request(FaultKind.KILLED_BEFORE, FaultKind.KILLED_AFTER)
def test_a_process_killed_at_any_request_is_put_right_by_the_same_task(
    watched_world: WatchedWorld,
    process_of_its_own: Callable[..., Function],
    matrix: Matrix,
    task: str,
    at: int,
    kind: FaultKind,
) -> None:
    outcome = with_a_fault(*watched_world(SCENE, run_function=process_of_its_own), task, Fault(at, kind))

    assert "died" in outcome
    matrix[task, at, kind] = "died"


@at_every_request(FaultKind.SLOW)
def test_an_answer_slower_than_the_timeout_is_put_right_by_the_same_task(
    watched_world: WatchedWorld,
    matrix: Matrix,
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
    task: str,
    at: int,
    kind: FaultKind,
) -> None:
    monkeypatch.setattr(http, "_READ_SECONDS", 1.0)
    monkeypatch.setattr(entrance, "CLIENT_CONFIG", CLIENT_CONFIG.merge(Config(read_timeout=1)))

    matrix[task, at, kind] = with_a_fault(*watched_world(SCENE), task, Fault(at, kind))


# Somebody's act

# At which request they are read last: the rotation that is under way has changed the secret since the list was read, so
# Reconcile reads both once more.
LABELS_READ = {"Reconcile": 7, "Retire": 5}
# Nothing stops the caretaker from taking away what the labels, read a moment ago, have called superseded.
UNPREVENTABLE = {(task, "AWSCURRENT is moved back", at) for task, at in LABELS_READ.items()}
# Nor from moving AWSCURRENT to what has just logged in; `test_rollback` shows that it moves it back.
UNPREVENTABLE |= {("Rollback", "the previous token is deleted", at) for at in (8, 9, 10)}
# What is done before the list is read is all the same to it, and Retire differs in what becomes of labels alone. While
# a rotation is under way there is no rollback.
_MOVES_LABELS = ("the secret is overwritten", "AWSCURRENT is moved back", "AWSPENDING is dropped")
CASES = [
    (task, act, at)
    for task, acts in (
        ("Reconcile", tuple(ACTS)),
        ("Retire", _MOVES_LABELS),
        ("Rollback", tuple(act for act in ACTS if "pending" not in act.lower() and "labels like" not in act)),
    )
    for act in acts
    for at in range(3, len(REQUESTS[task]) + 1)
    if (task, act, at) not in UNPREVENTABLE
]


@pytest.fixture(scope="module")
def acts(report: list[RenderableType]) -> Iterator[Counter[str]]:
    done: Counter[str] = Counter()
    yield done
    report.append(
        f"{done.total()} requests of a task at which somebody does something by hand: no invariant was broken"
    )


@pytest.mark.parametrize(("task", "act", "at"), CASES)
def test_what_somebody_does_by_hand_at_any_request_of_a_task_breaks_nothing(
    make_world: Callable[..., World], acts: Counter[str], clock: Any, task: str, act: str, at: int
) -> None:
    invariants, due = Invariants(), 0

    def look(request: Request) -> None:
        invariants.look(world, request)
        if request.number == due:
            ACTS[act](world)
            invariants.begin(world)

    world = make_world(SCENE, on_request=look)
    invariants.begin(world)
    with_something_due(world, invariants, task)
    if task != "Rollback":
        world.hold_before = "finishSecret"
        world.rotate()
    due, fields = len(world.wire.requests) + at, event_for(world, task)

    cared(world, task, fields)

    assert len(world.wire.requests) >= due
    cared(world, task, fields)
    cared(world, "Reconcile", {})
    assert invariants.broken == []
    acts[task] += 1


def test_the_page_says_how_many_faults_and_acts_there_are() -> None:
    cells = len(FaultKind) * sum(map(len, REQUESTS.values()))

    assert f"every request, {cells} in all; somebody's acts, {len(CASES)};" in PAGE.read_text()
