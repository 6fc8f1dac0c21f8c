"""A superseded token is deleted no earlier than one rotation after it was disabled, however often that was tried."""

from collections.abc import Callable

import pytest

from rehearsal.docker_hub import Fault, Token
from rehearsal.sandbox import Function
from rehearsal.wire import Fault as WireFault
from rehearsal.wire import FaultKind, Request
from rehearsal.world import World
from tests.rotation.seen import hand_made, holder, ours, token_under

NO = (400, {"message": "no", "errinfo": {}})
PROMOTION = "UpdateSecretVersionStage"


def rotates(world: World) -> None:
    assert world.rotate() == ["RotationStarted", "RotationSucceeded"]


def is_the_way_back(world: World, token: Token) -> bool:
    """Tell whether a token waits, disabled, for somebody who wants it back."""
    return world.hub.tokens.get(token.uuid) is token and not token.active


def with_one_to_catch_up_on(world: World) -> Token:
    """Let the first rotation promote but not retire, and return the token that it should have disabled."""
    first = hand_made(world)
    world.hub.faults += [Fault("PATCH", "/v2/access-tokens/*", *NO)] * 5
    assert world.rotate() == ["RotationStarted"] + ["RotationFailed"] * 5
    assert first.active
    return first


def the_next_rotation_deletes(world: World, token: Token) -> None:
    """Rotate once more: then that is gone, and nothing is left but one current token and one way back."""
    rotates(world)
    assert token.uuid not in world.hub.tokens
    ends_with_one_current_and_one_way_back(world)


def ends_with_one_current_and_one_way_back(world: World) -> None:
    assert ours(world) == {holder(world, "AWSCURRENT"): True, holder(world, "AWSPREVIOUS"): False}
    assert world.hub.authenticates(world.current_token())


def test_without_a_failure_it_is_deleted_by_the_rotation_after_the_one_that_disabled_it(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    first = hand_made(world)

    rotates(world)
    assert is_the_way_back(world, first)
    the_next_rotation_deletes(world, first)


def test_what_is_caught_up_on_stays_for_one_rotation_more(make_world: Callable[..., World]) -> None:
    world = make_world()
    first = with_one_to_catch_up_on(world)

    rotates(world)
    assert is_the_way_back(world, first)
    the_next_rotation_deletes(world, first)


def test_what_is_caught_up_on_stays_also_if_that_attempt_dies_before_the_promotion(
    make_world: Callable[..., World],
) -> None:
    def no_promotion(request: Request) -> None:
        if due and request.name == "PATCH /v2/access-tokens/{uuid}":
            due.clear()
            world.aws.refuse[PROMOTION] = ("AccessDeniedException", "no")

    due: list[bool] = []
    world = make_world(on_request=no_promotion)
    first = with_one_to_catch_up_on(world)
    current = holder(world, "AWSCURRENT")
    due.append(True)
    assert world.rotate() == ["RotationStarted"] + ["RotationFailed"] * 5
    assert holder(world, "AWSCURRENT") == current
    assert is_the_way_back(world, first)

    del world.aws.refuse[PROMOTION]
    world.aws.retry(world.secret_arn)
    world.aws.wait()

    assert world.aws.events[-1].name == "RotationSucceeded"
    assert holder(world, "AWSPREVIOUS") == current
    assert is_the_way_back(world, first)
    the_next_rotation_deletes(world, first)


@pytest.mark.parametrize("kind", [FaultKind.KILLED_BEFORE, FaultKind.KILLED_AFTER])
def test_what_is_caught_up_on_stays_also_if_the_process_is_killed_at_the_promotion(
    make_world: Callable[..., World], process_of_its_own: Callable[..., Function], kind: FaultKind
) -> None:
    def kill_at_the_promotion(request: Request) -> None:
        if due and request.name == "PATCH /v2/access-tokens/{uuid}":
            due.clear()
            # GetSecretValue, login, UpdateSecretVersionStage
            world.wire.faults.append(WireFault(request.number + 3, kind))

    due: list[bool] = []
    world = make_world(on_request=kill_at_the_promotion, run_function=process_of_its_own)
    first = with_one_to_catch_up_on(world)
    due.append(True)

    assert world.rotate() == ["RotationStarted", "RotationFailed", "RotationSucceeded"]

    (hurt,) = [request for request in world.wire.requests if request.fault]
    assert hurt.name == PROMOTION
    assert is_the_way_back(world, first)
    the_next_rotation_deletes(world, first)


def test_what_is_caught_up_on_stays_also_if_that_attempt_fails_after_the_promotion(
    make_world: Callable[..., World],
) -> None:
    def no_retirement(request: Request) -> None:
        if due and request.name == PROMOTION:
            due.clear()
            world.hub.faults.append(Fault("PATCH", "/v2/access-tokens/*", *NO))

    due: list[bool] = []
    world = make_world(on_request=no_retirement)
    first = with_one_to_catch_up_on(world)
    due.append(True)

    assert world.rotate() == ["RotationStarted", "RotationFailed", "RotationSucceeded"]

    assert not due
    assert is_the_way_back(world, first)
    the_next_rotation_deletes(world, first)


@pytest.mark.parametrize("failures", [1, 5], ids=["once", "in every attempt"])
def test_after_a_failed_deletion_what_this_rotation_has_disabled_stays_for_the_next(
    make_world: Callable[..., World], failures: int
) -> None:
    """What the failed attempt has disabled is told from what it should have deleted by the times in their labels."""
    world = make_world()
    first = hand_made(world)
    rotates(world)
    second = token_under(world)
    world.hub.faults += [Fault("DELETE", "/v2/access-tokens/*", *NO)] * failures

    events = world.rotate()

    assert events[:2] == ["RotationStarted", "RotationFailed"]
    assert (first.uuid in world.hub.tokens) == (failures == 5)
    assert is_the_way_back(world, second)
    world.hub.faults.clear()
    rotates(world)
    third = holder(world, "AWSPREVIOUS")
    assert first.uuid not in world.hub.tokens
    rotates(world)
    assert second.uuid not in world.hub.tokens
    assert third not in world.state().labels or not world.state().labels[third]
    ends_with_one_current_and_one_way_back(world)


def test_a_retirement_that_runs_again_by_itself_deletes_nothing_that_it_has_disabled(
    make_world: Callable[..., World],
) -> None:
    """Secrets Manager may call finishSecret once more for a version that is AWSCURRENT."""
    world = make_world()
    rotates(world)
    rotates(world)
    before = world.state()

    for _ in range(2):
        world.function.invoke(
            {"Step": "finishSecret", "SecretId": world.secret_arn, "ClientRequestToken": holder(world, "AWSCURRENT")}
        )

    assert world.state() == before
