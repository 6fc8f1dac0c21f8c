"""A fault at every request of what is rarer: a heal, a look while a replica is behind, a rotation by all tags.

`make faults` runs every request with every kind of fault, and prints the tables; `make test` a cell for each request of
a heal, and some of the others. A cell says what came of the task, as in `test_caretaker_faults`, and whether it has
begun a rotation; or at which attempt the rotation succeeded, as in `test_faults`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from itertools import cycle
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
from rehearsal.sandbox import Function
from rehearsal.wire import Fault, FaultKind
from rehearsal.world import REPOSITORY, Scene, Shape, World
from tests.rotation.cared import DAY, HOUR, names, of_version
from tests.rotation.seen import holder, token_under
from tests.rotation.test_caretaker_faults import cared
from tests.rotation.test_faults import GRACE as _GRACE
from tests.rotation.test_faults import LOUD, brought_to, rotated_with
from tests.rotation.test_heal import HEALING, disabled, started, with_dead_token, works
from tests.rotation.test_orphans import orphan
from tests.rotation.test_replicas import left_behind
from tests.rotation.test_tags_of_a_secret import tag

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"

WatchedWorld = Callable[..., tuple[World, Invariants]]
Matrix = dict[tuple[str, int, FaultKind], str]

HEAL, BEHIND, TAGGED = "a heal", "a look while a replica is behind", "a rotation by all tags"
_LOG_IN, _LIST, _DELETE = "POST /v2/auth/token", "GET /v2/access-tokens", "DELETE /v2/access-tokens/{uuid}"
_PROBE = ("GetSecretValue", "GET /token", "GET /v2/")
REQUESTS = {
    HEAL: tuple(HEALING),
    # What is due waits, and an orphan is deleted.
    BEHIND: ("ListSecrets", "GetParameters", _LOG_IN, _LIST, "DescribeSecret", _DELETE),
    TAGGED: (
        *("DescribeSecret", "GetSecretValue", "GetSecretValue", "GetParameters", _LOG_IN, _LIST),
        *("POST /v2/access-tokens", "PutSecretValue", "DescribeSecret", "DescribeSecret", "GetSecretValue"),
        *(_LOG_IN, *_PROBE, "DescribeSecret", _LIST, "PATCH /v2/access-tokens/{uuid}", "GetSecretValue", _LOG_IN),
        *("UpdateSecretVersionStage", "PATCH /v2/access-tokens/{uuid}", _DELETE),
    ),
}
SCENES = {
    HEAL: Scene(shape=Shape.ECS, environment=LOUD | {"DOCKERHUB_HEAL": "rotate"}),
    BEHIND: Scene(environment=LOUD),
    TAGGED: Scene(
        environment=LOUD | {"DOCKERHUB_TOKEN_SCOPES": "repo:read repo:write", "DOCKERHUB_TOKEN_EXPIRY": "90"},
        grace="2h",
    ),
}
KILLS = (FaultKind.KILLED_BEFORE, FaultKind.KILLED_AFTER)
THEN = ("a look", "a rotation")


def cells(situation: str, sample: int) -> list[Any]:
    """Return every cell of a situation; all are long but one of so many requests, each of the next kind.

    Where a process of its own would have to be started, or an answer to be waited for, that is left to the long ones.
    """
    quick = cycle(kind for kind in FaultKind if kind not in (*KILLS, FaultKind.SLOW))
    short = {(at, next(quick)) for at in range(1, len(REQUESTS[situation]) + 1, sample)}
    return [
        pytest.param(at, kind, id=f"{kind} at {at} {name}", marks=[] if (at, kind) in short else [pytest.mark.long])
        for at, name in enumerate(REQUESTS[situation], 1)
        for kind in FaultKind
    ]


def at_every_request(situation: str, sample: int) -> pytest.MarkDecorator:
    """Run a test once for each request and each kind of fault."""
    return pytest.mark.parametrize(("at", "kind"), cells(situation, sample))


@pytest.fixture(scope="module")
def matrix(report: list[RenderableType]) -> Iterator[Matrix]:
    outcomes: Matrix = {}
    yield outcomes
    for situation, requests in REQUESTS.items():
        report.append(_table(situation, requests, outcomes))
    report.append(f"\n{len(outcomes)} faults in what is rarer: each was put right, no invariant was broken")


def _table(situation: str, requests: Iterable[str], outcomes: Matrix) -> Table:
    table = Table(title=f"\nA fault in {situation}", title_justify="left", box=None, pad_edge=False)
    table.add_column("request")
    for kind in FaultKind:
        table.add_column(kind.replace("-", "\n"), justify="center")
    for at, name in enumerate(requests, 1):
        table.add_row(f"{at:2} {name}", *(outcomes.get((situation, at, kind), "") for kind in FaultKind))
    return table


Watched = Callable[[str, FaultKind], tuple[World, Invariants]]


@pytest.fixture
def watched(watched_world: WatchedWorld, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """Return what makes the world of a situation, as a kind of fault needs it.

    What is killed is a real process; a process here waits a second for an answer, and no time passes while it sleeps.
    """

    def make(situation: str, kind: FaultKind) -> tuple[World, Invariants]:
        if kind in KILLS:
            process: Callable[..., Function] = request.getfixturevalue("process_of_its_own")
            return watched_world(SCENES[situation], run_function=process)
        request.getfixturevalue("clock")
        if kind is FaultKind.SLOW:
            monkeypatch.setattr(http, "_READ_SECONDS", 1.0)
            monkeypatch.setattr(entrance, "CLIENT_CONFIG", CLIENT_CONFIG.merge(Config(read_timeout=1)))
        return watched_world(SCENES[situation])

    return make


def struck(world: World, at: int, kind: FaultKind) -> str:
    """Have the caretaker look with a fault at a request, and tell in a word what came of it."""
    world.wire.faults.append(Fault(len(world.wire.requests) + at, kind))
    outcome = cared(world, "Reconcile", {})
    world.aws.wait()
    assert any(request.fault for request in world.wire.requests)
    world.wire.faults.clear()
    return "died" if "died" in outcome else outcome


# A heal


def dying(world: World, invariants: Invariants) -> World:
    """Bring a world to where the next look begins a rotation: the token in use has leaked, and was disabled."""
    with_dead_token(world, invariants, disabled)
    world.caretaker.discard()
    return world


def behind(world: World, invariants: Invariants) -> World:
    """Bring a world to where a token is due that the replica may hold, and an orphan is to be deleted."""
    left_behind(world, invariants, "hangs")
    orphan(world).creator_ua = "dockerhub-rotation/0.1.0"
    invariants.begin(world)
    return world


def tagged(world: World, _invariants: Invariants) -> World:
    """Bring a world to the steady state of a secret that is tagged in every way."""
    tag(world, grace="1h", expiry="60", scopes="repo:read", probe_repository=REPOSITORY)
    return brought_to(_GRACE, world)


@pytest.mark.parametrize(("situation", "bring"), [(HEAL, dying), (BEHIND, behind), (TAGGED, tagged)])
def test_the_requests_are_those_at_which_faults_strike(
    watched_world: WatchedWorld, situation: str, bring: Callable[[World, Invariants], World]
) -> None:
    world = bring(*watched_world(SCENES[situation]))
    world.function.discard()
    asked = len(world.wire.requests)

    if situation == TAGGED:
        world.rotate()
    else:
        assert cared(world, "Reconcile", {}) == "done"

    assert tuple(names(world, asked)[: len(REQUESTS[situation])]) == REQUESTS[situation]
    if situation != HEAL:  # which a rotation follows
        assert len(names(world, asked)) == len(REQUESTS[situation])


def test_the_page_says_how_many_faults_there_are() -> None:
    heal, behind, tagged = (len(requests) * len(FaultKind) for requests in REQUESTS.values())
    assert f"and of a rotation by all tags: {heal * len(THEN) + behind + tagged}." in PAGE.read_text()


@pytest.mark.parametrize(
    ("at", "kind", "then"),
    [
        pytest.param(*cell.values, then, id=f"{cell.id}, then {then}", marks=cell.marks or long)
        for cell in cells(HEAL, sample=1)
        for number, then in enumerate(THEN)
        for long in [[pytest.mark.long] if cell.values[0] % 2 == number else []]
    ],
)
def test_after_a_fault_in_a_heal_a_look_or_somebodys_rotation_puts_it_right_and_none_is_begun_twice(
    watched: Watched, matrix: Matrix, at: int, kind: FaultKind, then: str
) -> None:
    world, invariants = watched(HEAL, kind)
    dying(world, invariants)
    began = len(world.aws.events)

    outcome = struck(world, at, kind)

    begun = started(world, began)
    assert begun <= 1
    assert works(world) is bool(begun)
    assert not begun or world.aws.events[-1].name == "RotationSucceeded"
    assert outcome in ("done", "unknown", "AwsRefused", "died")
    world.passed += HOUR
    if then == "a look":
        assert cared(world, "Reconcile", {}) == "done"
        world.aws.wait()
        assert started(world, began) == 1
    else:
        assert world.rotate() == ["RotationStarted", "RotationSucceeded"]
        assert cared(world, "Reconcile", {}) == "done"
        assert started(world, began) == begun + 1
    assert works(world)
    invariants.at_rest(world)
    invariants.search_output(world)
    assert invariants.broken == []
    matrix[HEAL, at, kind] = f"{outcome}, {'begun' if begun else 'not'}"


@at_every_request(BEHIND, sample=3)
def test_a_fault_in_a_look_takes_nothing_from_a_replica_that_is_behind_nor_keeps_it_once_that_is_mended(
    watched: Watched, matrix: Matrix, at: int, kind: FaultKind
) -> None:
    world, invariants = watched(BEHIND, kind)
    behind(world, invariants)
    superseded, (replica,) = of_version(world, holder(world, "AWSPREVIOUS")), world.aws.replicas.of(world.secret_arn)

    outcome = struck(world, at, kind)

    kept = [superseded.active]
    assert cared(world, "Reconcile", {}) == "done"
    kept.append(superseded.active)
    replica.mend(world.now())
    world.passed += HOUR
    assert cared(world, "Reconcile", {}) == "done"
    assert [*kept, superseded.active] == [True, True, False]
    assert [it for it in world.hub.tokens.values() if "rotation" in it.label and it.active] == [token_under(world)]
    invariants.at_rest(world)
    invariants.search_output(world)
    assert invariants.broken == []
    matrix[BEHIND, at, kind] = outcome


@at_every_request(TAGGED, sample=5)
def test_a_fault_in_a_rotation_by_tags_costs_at_most_one_more_attempt_and_the_token_is_as_they_say(
    watched: Watched, matrix: Matrix, at: int, kind: FaultKind
) -> None:
    world, invariants = watched(TAGGED, kind)
    tagged(world, invariants)

    outcome = rotated_with([Fault(at, kind)], world, invariants)

    assert outcome in "12" or kind is FaultKind.SLOW
    for token in (token_under(world), token_under(world, "AWSPREVIOUS")):
        assert token.scopes == ("repo:read",)
        assert token.expires_at is not None
        assert token.expires_at - token.created_at < timedelta(seconds=60 * DAY + HOUR)
    matrix[TAGGED, at, kind] = outcome
