"""A fault at every request of a rotation of an organization's token, as for personal ones; a sample in `make test`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rehearsal.invariants import Invariants
from rehearsal.sandbox import Function
from rehearsal.wire import Fault, FaultKind
from rehearsal.world import Scene, World
from tests.organization.seen import ROTATED, scene
from tests.rotation.test_faults import EXPIRED, FIRST, GRACE, LOUD, STEADY, brought_to, rotated_with
from tests.rotation.test_faults import REQUESTS as OF_PERSONAL_TOKENS

PAGE = (Path(__file__).parents[2] / "docs/testing.md").read_text(encoding="utf-8")

WatchedWorld = Callable[..., tuple[World, Invariants]]

SCENES: dict[str, Scene] = dict.fromkeys((FIRST, STEADY), scene(others=12, environment=LOUD)) | {
    GRACE: scene(others=12, environment=LOUD, grace="1h"),
    EXPIRED: scene(others=12, environment=LOUD | {"DOCKERHUB_TOKEN_EXPIRY": "60"}, grace="1h"),
}
# Where the list has not been read by then, it is; and what the superseded token may do, which no first one tells.
_LIST, _ONE, _LOG_IN = "GET TOKENS", "GET TOKENS/{uuid}", "POST /v2/auth/token"
_KILLED = (FaultKind.KILLED_BEFORE, FaultKind.KILLED_AFTER)
_REST = tuple(kind for kind in FaultKind if kind not in (*_KILLED, FaultKind.SLOW))
# Drawn by hand: each of what an organization's token alone asks for, and each kind of fault.
_SAMPLE = {
    *((STEADY, name, kind) for name in (_LIST, _ONE, "POST TOKENS") for kind in (FaultKind.LOST_AFTER, FaultKind.HTML)),
    (STEADY, "POST TOKENS", FaultKind.KILLED_AFTER),
    (STEADY, "PATCH TOKENS/{uuid}", FaultKind.UNAVAILABLE_AFTER),
    (GRACE, "DELETE TOKENS/{uuid}", FaultKind.GATEWAY),
    (FIRST, "PutSecretValue", FaultKind.KILLED_BEFORE),
}


def _requests(situation: str) -> list[str]:
    """Return what a rotation asks for, in a fresh sandbox."""
    personal = [name.replace("/v2/access-tokens", "TOKENS") for name in OF_PERSONAL_TOKENS[situation]]
    made, promoted = personal.index("POST TOKENS"), personal.index("UpdateSecretVersionStage") + 1
    if situation != FIRST:
        return [*personal[:made], _LIST, _ONE, *personal[made:]]
    # The hand-made token logs in before the account has to be known. It is asked once more, and does not tell.
    asked = ["DescribeSecret", "GetSecretValue", "GetSecretValue", _LOG_IN, "GetParameters", _LOG_IN]
    return [*asked, _LIST, *personal[made:promoted], "GetSecretValue", _LOG_IN]


def cells(*kinds: FaultKind) -> pytest.MarkDecorator:
    """Run a test once for each situation, request and kind of fault."""
    return pytest.mark.parametrize(
        ("situation", "number", "kind"),
        [
            pytest.param(
                *(situation, number, kind),
                id=f"{situation}, {kind} at {number} {name}",
                marks=[] if (situation, name, kind) in _SAMPLE else pytest.mark.long,
            )
            for situation in SCENES
            for number, name in enumerate(_requests(situation), 1)
            for kind in kinds
        ],
    )


@pytest.mark.parametrize("situation", SCENES)
def test_the_requests_of_a_rotation_are_those_at_which_faults_strike(
    watched_world: WatchedWorld, situation: str
) -> None:
    world = brought_to(situation, watched_world(SCENES[situation])[0])
    world.function.discard()
    asked = len(world.wire.requests)

    assert world.rotate() == ROTATED

    sent = [request.name.replace(world.tokens_path, "TOKENS") for request in world.wire.requests[asked:]]
    assert sent == _requests(situation)


def test_the_page_says_how_many_faults_there_are() -> None:
    number = sum(len(_requests(situation)) for situation in SCENES) * len((*_KILLED, *_REST))
    said = f"{number} more with an organization's token, in four of these situations"
    assert (len(SCENES), f"{said} and in all ways but too slow, of which `make test` has {len(_SAMPLE)}" in PAGE) == (
        4,
        True,
    )


@cells(*_KILLED)
def test_a_process_killed_at_any_request_costs_one_more_attempt(
    watched_world: WatchedWorld,
    process_of_its_own: Callable[..., Function],
    situation: str,
    number: int,
    kind: FaultKind,
) -> None:
    world, invariants = watched_world(SCENES[situation], run_function=process_of_its_own)

    assert rotated_with([Fault(number, kind)], brought_to(situation, world), invariants) == "2"


@cells(*_REST)
def test_a_fault_at_any_request_costs_at_most_one_more_attempt(
    watched_world: WatchedWorld, clock: Any, situation: str, number: int, kind: FaultKind
) -> None:
    world, invariants = watched_world(SCENES[situation])

    assert rotated_with([Fault(number, kind)], brought_to(situation, world), invariants) in "12"
