"""Whole rotations, started by Secrets Manager: what is left at the end, and what it cost."""

from collections.abc import Callable
from typing import Any

import pytest

from rehearsal.docker_hub import Fault as HubFault
from rehearsal.invariants import Invariants
from rehearsal.sandbox import Function
from rehearsal.wire import Fault, FaultKind, Request
from rehearsal.world import Scene, Shape, World

WatchedWorld = Callable[..., tuple[World, Invariants]]

SCENES = {
    **{f"a {shape} secret": Scene(shape=shape) for shape in Shape},
    **{f"a placeholder in a {shape} secret": Scene(shape=shape, placeholder=True) for shape in Shape},
    "no other token in the account": Scene(others=0),
    "250 other tokens in the account": Scene(others=250),
    "a login by /v2/users/login": Scene(environment={"DOCKERHUB_LOGIN": "users-login"}),
}


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_three_rotations_in_a_row_keep_every_invariant(watched_world: WatchedWorld, scene: Scene) -> None:
    world, invariants = watched_world(scene)

    for _ in range(3):
        assert world.rotate() == ["RotationStarted", "RotationSucceeded"]
        invariants.at_rest(world)
    invariants.repeat_steps(world)

    assert invariants.broken == []


@pytest.mark.parametrize("cold", [False, True], ids=["warm", "a fresh process for each step"])
def test_an_account_with_two_factor_login_rotates_without_burning_a_code(
    watched_world: WatchedWorld, clock: Any, cold: bool
) -> None:
    world, invariants = watched_world(Scene(two_factor=True, cold=cold))

    assert world.rotate() == ["RotationStarted", "RotationSucceeded"]

    invariants.at_rest(world)
    assert invariants.broken == []
    codes = [request.status for request in world.hub.requests if request.path == "/v2/users/2fa-login"]
    assert codes == ([200, 200] if cold else [200])


def test_a_code_that_another_sandbox_has_used_fails_the_attempt_and_the_next_one_gets_through(
    watched_world: WatchedWorld, clock: Any
) -> None:
    world, invariants = watched_world(Scene(two_factor=True, cold=True))
    world.aws.engine.pause = lambda attempt: clock.tick(60)
    world.rotate()

    assert world.rotate() == ["RotationStarted", "RotationFailed", "RotationSucceeded"]

    invariants.at_rest(world)
    assert invariants.broken == []
    codes = [request.status for request in world.hub.requests if request.path == "/v2/users/2fa-login"]
    assert codes == [200, 200, 401, 200, 200]


@pytest.mark.parametrize(("cold", "requests"), [(False, (18, 8)), (True, (23, 10))], ids=["warm", "cold"])
def test_in_the_steady_state_a_rotation_makes_so_many_requests_so_many_of_them_to_docker_hub(
    watched_world: WatchedWorld,
    process_of_its_own: Callable[..., Function],
    cold: bool,
    requests: tuple[int, int],
) -> None:
    world, invariants = watched_world(Scene(cold=cold), run_function=process_of_its_own)
    world.rotate()
    world.rotate()
    before = len(world.wire.requests)

    world.rotate()

    parties = [request.party for request in world.wire.requests[before:]]
    assert (len(parties), parties.count("Docker Hub")) == requests
    invariants.at_rest(world)
    assert invariants.broken == []


def test_each_hundred_tokens_in_the_account_cost_finish_secret_one_request_and_create_secret_no_more(
    watched_world: WatchedWorld,
) -> None:
    """CreateSecret reads the list no further than to a token of this secret."""
    world, _ = watched_world(Scene(others=250))
    world.rotate()
    world.rotate()

    lists = {
        run.step: [request.name for request in run.requests].count("GET /v2/access-tokens") for run in world.steps[-4:]
    }

    assert lists["finishSecret"] == 3
    assert lists["createSecret"] in {1, 2, 3}
    assert sum(lists.values()) == lists["finishSecret"] + lists["createSecret"]


def test_a_second_rotation_is_refused_while_one_is_pending_and_goes_through_afterwards(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.hold_before = "testSecret"
    world.rotate()
    with pytest.raises(world.client.exceptions.InvalidRequestException, match="previous rotation"):
        world.rotate()

    world.hold_before = None
    world.aws.retry(world.secret_arn)
    world.aws.wait()

    assert world.aws.events[-1].name == "RotationSucceeded"
    assert world.rotate() == ["RotationStarted", "RotationSucceeded"]


@pytest.mark.parametrize("kind", [FaultKind.KILLED_BEFORE, FaultKind.KILLED_AFTER])
@pytest.mark.parametrize("at", [6, 7, 14, 15, 17], ids=lambda at: f"request {at}")
def test_a_process_killed_at_a_change_is_repaired_by_the_next_attempt(
    watched_world: WatchedWorld, process_of_its_own: Callable[..., Function], at: int, kind: FaultKind
) -> None:
    """Requests 6, 7, 14, 15 and 17 make the token, store it, list, promote, and disable the superseded one."""
    world, invariants = watched_world(Scene(faults=(Fault(at, kind),)), run_function=process_of_its_own)

    events = world.rotate()
    world.rotate()

    assert events == ["RotationStarted", "RotationFailed", "RotationSucceeded"]
    invariants.at_rest(world)
    assert invariants.broken == []


@pytest.mark.parametrize("step", ["createSecret", "testSecret", "finishSecret"])
def test_a_step_that_runs_twice_at_once_ends_as_if_it_had_run_once(
    watched_world: WatchedWorld, process_of_its_own: Callable[..., Function], step: str
) -> None:
    """At every request of the step, a twin in a process of its own does the whole step first."""
    world, invariants = watched_world(Scene())
    world.rotate()
    world.hold_before = step
    world.rotate()
    pending = next(v for v, labels in world.aws.labels(world.secret_arn).items() if "AWSPENDING" in labels)
    event = {"Step": step, "SecretId": world.secret_arn, "ClientRequestToken": pending}
    world.hold_before = None

    with process_of_its_own(world.function._environment) as twin:
        at_first = len(world.wire.requests) + 1

        def overtake(request: Request) -> None:
            if request.number == at_first:
                twin.invoke(event)

        world._on_request = overtake
        world.function.invoke(event)
    world._on_request = lambda _: None
    world.aws.retry(world.secret_arn)
    world.aws.wait()

    assert world.aws.events[-1].name == "RotationSucceeded"
    invariants.at_rest(world)
    assert invariants.broken == []


def test_a_refused_password_is_tried_once_in_a_sandbox_and_a_new_one_at_once(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.aws.put_parameter("DOCKER_HUB_PASSWORD", "an old password")

    events = world.rotate()

    assert set(events) == {"RotationStarted", "RotationFailed"}
    refusals = [request for request in world.hub.requests if request.status == 401]
    assert len(refusals) == 1
    assert all("CredentialRefused" in (step.error or "") for step in world.steps)

    world.aws.put_parameter("DOCKER_HUB_PASSWORD", world.hub.password)
    world.aws.retry(world.secret_arn)
    world.aws.wait()

    assert world.aws.events[-1].name == "RotationSucceeded"


def test_a_rate_limited_rotation_waits_as_long_as_it_is_told(make_world: Callable[..., World], clock: Any) -> None:
    world = make_world()
    world.hub.faults.append(HubFault("POST", "/v2/access-tokens", 429, {"detail": "slow down"}, {"Retry-After": "7"}))

    assert world.rotate() == ["RotationStarted", "RotationSucceeded"]
    (slept,) = clock.sleeps
    assert 7 <= slept <= 7 * 1.25
