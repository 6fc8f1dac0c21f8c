"""A fault at every request of a rotation: what becomes of it, request by request and fault by fault.

`make faults` prints the tables. A cell says at which attempt the rotation succeeded: 1 means that the step itself asked
again, 2 that Secrets Manager repeated the rotation. All invariants are checked after every request; that nothing is
left, after the rotation and after one more.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from rich.console import RenderableType
from rich.table import Table

from dockerhub_rotation import entrance
from dockerhub_rotation.aws import CLIENT_CONFIG
from dockerhub_rotation.docker_hub import http
from rehearsal.docker_hub import Fault as HubFault
from rehearsal.invariants import Invariants
from rehearsal.sandbox import Function
from rehearsal.wire import Fault, FaultKind
from rehearsal.world import REPOSITORY, Scene, Shape, World

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"

WatchedWorld = Callable[..., tuple[World, Invariants]]

HOUR, DAY = 3600, 86_400
LOUD = {"POWERTOOLS_LOG_LEVEL": "DEBUG", "POWERTOOLS_LOGGER_LOG_EVENT": "true"}

# The situations, and what a rotation asks for in each. createSecret meets a fresh sandbox, the later steps a warm one.
_READ = ("DescribeSecret", "GetSecretValue", "GetSecretValue", "GetParameters")
_LIST, _LOG_IN = "GET /v2/access-tokens", "POST /v2/auth/token"
_CREATE = ("POST /v2/access-tokens", "PutSecretValue")
_SET_TO_LIST = ("DescribeSecret", "DescribeSecret", "GetSecretValue", _LOG_IN, "GET /token", "DescribeSecret", _LIST)
_PROMOTE = ("GetSecretValue", _LOG_IN, "UpdateSecretVersionStage")
FIRST = "the first rotation"
STEADY = "the steady state"
CATCHING_UP = "the rotation after one that could not retire the hand-made token"
GRACE = "the steady state with a grace"
EXPIRED = "the rotation after the current token has expired"
_PATCH, _DELETE = "PATCH /v2/access-tokens/{uuid}", "DELETE /v2/access-tokens/{uuid}"
# With the token that is to be superseded, where no rotation has made it and ended well; and with the password.
_ASK_IT = (*_READ, _LOG_IN, _LOG_IN, *_CREATE, *_SET_TO_LIST)
REQUESTS = {
    FIRST: (*_ASK_IT, *_PROMOTE, "GetSecretValue", "DescribeSecret", _PATCH),
    STEADY: (*_READ, _LOG_IN, _LIST, *_CREATE, *_SET_TO_LIST, *_PROMOTE, _PATCH, _DELETE),
    CATCHING_UP: (
        *(*_ASK_IT, "GetSecretValue", "DescribeSecret", "GetSecretValue", _LOG_IN, "DescribeSecret", _PATCH),
        *(*_PROMOTE, _PATCH),
    ),
    # A deadline for what is superseded, then the end of a grace, and of a token whose grace has ended a rotation ago.
    GRACE: (*_READ, _LOG_IN, _LIST, *_CREATE, *_SET_TO_LIST, _PATCH, *_PROMOTE, _PATCH, _DELETE),
    # No deadline, for no label could be changed; and two are deleted, one of which was disabled before it expired.
    EXPIRED: (*_READ, _LOG_IN, _LIST, *_CREATE, *_SET_TO_LIST, *_PROMOTE, _DELETE, _DELETE),
}
# At which request the faults begin: until the list of tokens, catching up and a grace are like the others; an expiry
# until the promotion.
_TO_THE_LIST = len((*_READ, *_CREATE, *_SET_TO_LIST)) + 2
BEGIN_AT = {FIRST: 1, STEADY: 1, CATCHING_UP: len(_ASK_IT), GRACE: _TO_THE_LIST, EXPIRED: _TO_THE_LIST + len(_PROMOTE)}
SCENES = dict.fromkeys(REQUESTS, Scene(environment=LOUD)) | {
    GRACE: Scene(environment=LOUD, grace="1h"),
    EXPIRED: Scene(environment=LOUD | {"DOCKERHUB_TOKEN_EXPIRY": "60"}, grace="1h"),
}

COMPLETED = "each was completed, no invariant was broken"

Matrix = dict[tuple[str, int, FaultKind], str]


def at_every_request(*kinds: FaultKind) -> pytest.MarkDecorator:
    """Run a test once for each situation, request and kind of fault."""
    cells = [
        pytest.param(situation, number, kind, id=f"{situation}, {kind} at {number} {name}")
        for situation, names in REQUESTS.items()
        for number, name in enumerate(names, 1)
        if number >= BEGIN_AT[situation]
        for kind in kinds
    ]
    return pytest.mark.parametrize(("situation", "number", "kind"), cells)


@pytest.fixture(scope="module")
def matrix(report: list[RenderableType]) -> Iterator[Matrix]:
    outcomes: Matrix = {}
    yield outcomes
    report += [
        *tables(outcomes),
        f"\n{len(outcomes)} rotations with a fault: each was completed, no invariant was broken",
    ]


def tables(outcomes: Matrix) -> Iterator[Table]:
    for situation, names in REQUESTS.items():
        table = Table(title=f"\nA fault in {situation}", title_justify="left", box=None, pad_edge=False)
        table.add_column("request")
        for kind in FaultKind:
            table.add_column(kind.replace("-", "\n"), justify="center")
        for number, name in list(enumerate(names, 1))[BEGIN_AT[situation] - 1 :]:
            table.add_row(f"{number:2} {name}", *(outcomes.get((situation, number, kind), "") for kind in FaultKind))
        yield table


def brought_to(situation: str, world: World) -> World:
    """Return a world to which has happened what precedes a situation."""
    if situation == STEADY:
        world.rotate()
        world.rotate()
    elif situation in (GRACE, EXPIRED):
        for _ in range(3):
            world.rotate()
            world.passed += 2 * HOUR
        world.passed += 60 * DAY if situation == EXPIRED else 0
    elif situation == CATCHING_UP:
        world.hub.faults += [HubFault("PATCH", "/v2/access-tokens/*", 400, {"message": "no", "errinfo": {}})] * 5
        assert world.rotate().count("RotationFailed") == 5
    return world


def rotated_with(
    faults: list[Fault], world: World, invariants: Invariants, pause: Callable[[], None] = lambda: None
) -> str:
    """Rotate with faults at requests that are counted from the beginning of this rotation, and tell what came of it.

    Args:
        pause: lets time pass between two rotations.
    """
    world.function.discard()
    asked = len(world.wire.requests)
    world.wire.faults += [Fault(asked + fault.at, fault.kind) for fault in faults]

    events = world.rotate()

    assert events[-1] == "RotationSucceeded"
    invariants.at_rest(world)
    assert [request.number - asked for request in world.wire.requests if request.fault] == [f.at for f in faults]
    pause()
    assert world.rotate() == ["RotationStarted", "RotationSucceeded"]
    invariants.at_rest(world)
    pause()
    invariants.repeat_steps(world)
    invariants.search_output(world)
    assert invariants.broken == []
    return str(events.count("RotationFailed") + 1)


@pytest.mark.parametrize("situation", REQUESTS)
def test_the_requests_of_a_rotation_are_those_at_which_faults_strike(
    watched_world: WatchedWorld, situation: str
) -> None:
    world = brought_to(situation, watched_world(SCENES[situation])[0])
    world.function.discard()
    asked = len(world.wire.requests)

    world.rotate()

    assert tuple(request.name for request in world.wire.requests[asked:]) == REQUESTS[situation]


@at_every_request(FaultKind.KILLED_BEFORE, FaultKind.KILLED_AFTER)
def test_a_process_killed_at_any_request_costs_one_more_attempt(
    watched_world: WatchedWorld,
    process_of_its_own: Callable[..., Function],
    matrix: Matrix,
    situation: str,
    number: int,
    kind: FaultKind,
) -> None:
    """The process is a real one and gets SIGKILL."""
    world, invariants = watched_world(SCENES[situation], run_function=process_of_its_own)

    outcome = rotated_with([Fault(number, kind)], brought_to(situation, world), invariants)

    assert outcome == "2"
    matrix[situation, number, kind] = outcome


@at_every_request(
    *(FaultKind.LOST_BEFORE, FaultKind.LOST_AFTER),
    *(FaultKind.UNAVAILABLE_BEFORE, FaultKind.UNAVAILABLE_AFTER),
    *(FaultKind.RATE_LIMITED, FaultKind.RATE_LIMITED_UNTIL),
    *(FaultKind.HTML, FaultKind.GATEWAY, FaultKind.FIREWALL),
)
def test_a_fault_at_any_request_costs_at_most_one_more_attempt(
    watched_world: WatchedWorld, matrix: Matrix, clock: Any, situation: str, number: int, kind: FaultKind
) -> None:
    world, invariants = watched_world(SCENES[situation])

    outcome = rotated_with([Fault(number, kind)], brought_to(situation, world), invariants)

    assert outcome in "12"
    matrix[situation, number, kind] = outcome


@at_every_request(FaultKind.SLOW)
def test_an_answer_slower_than_the_timeout_is_survived_at_any_request(
    watched_world: WatchedWorld,
    matrix: Matrix,
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
    situation: str,
    number: int,
    kind: FaultKind,
) -> None:
    """The function waits one second, where it waits ten or five. A busy machine may need more attempts."""
    monkeypatch.setattr(http, "_READ_SECONDS", 1.0)
    monkeypatch.setattr(entrance, "CLIENT_CONFIG", CLIENT_CONFIG.merge(Config(read_timeout=1)))
    world, invariants = watched_world(SCENES[situation])

    matrix[situation, number, kind] = rotated_with([Fault(number, kind)], brought_to(situation, world), invariants)


# Two faults at once, in situations in which more requests are made: drawn once, the same for everybody.
_DRAWN = random.Random(1)  # noqa: S311 - a draw, not cryptography
_PROBE = {"DOCKERHUB_PROBE_REPOSITORY": REPOSITORY}
_SCENES = (
    *(Scene(cold=True), Scene(placeholder=True), Scene(two_factor=True), Scene(two_factor=True, cold=True)),
    Scene(environment=_PROBE, shape=Shape.DOCKERCONFIG),
)


@pytest.fixture(scope="module")
def pairs(report: list[RenderableType]) -> Iterator[Counter[str]]:
    outcomes: Counter[str] = Counter()
    yield outcomes
    report.append(f"{outcomes.total()} rotations with two faults drawn by lot: {COMPLETED}")


def _drawn_pair() -> list[Fault]:
    kinds = [kind for kind in FaultKind if "killed" not in kind and kind is not FaultKind.SLOW]
    # About half of the pairs strike a rotation's end, where it promotes and retires.
    anywhere, end = range(1, 18), range(14, 18)
    second = _DRAWN.choice(_DRAWN.choice((anywhere, end)))
    first = _DRAWN.choice([at for at in anywhere if at != second])
    return [Fault(at, _DRAWN.choice(kinds)) for at in sorted((first, second))]


PAIRS = [(_DRAWN.choice(_SCENES), _drawn_pair()) for _ in range(60)]


@pytest.mark.parametrize(
    ("scene", "faults"),
    PAIRS,
    ids=lambda given: " ".join(f"{fault.kind}@{fault.at}" for fault in given) if isinstance(given, list) else "",
)
def test_two_faults_in_one_rotation_are_survived(
    watched_world: WatchedWorld, pairs: Counter[str], clock: Any, scene: Scene, faults: list[Fault]
) -> None:
    world, invariants = watched_world(replace(scene, environment={**LOUD, **scene.environment}))

    def a_quarter_of_an_hour() -> None:
        clock.tick(901)  # so long a sandbox whose one-time code was refused sends no other

    world.aws.engine.pause = lambda _: a_quarter_of_an_hour()
    world.rotate()
    a_quarter_of_an_hour()
    outcome = rotated_with(faults, world, invariants, a_quarter_of_an_hour)

    assert outcome in "123"
    pairs[outcome] += 1


def test_the_page_says_how_many_faults_there_are() -> None:
    cells = len(FaultKind) * sum(len(names) - BEGIN_AT[situation] + 1 for situation, names in REQUESTS.items())

    assert f"{cells} rotations, each completed. {len(PAIRS)} more with two faults" in PAGE.read_text()
