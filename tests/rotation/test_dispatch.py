"""What the dispatcher refuses, and what a version that is AWSCURRENT already means for each step."""

from collections.abc import Callable

import pytest

from rehearsal.sandbox import FunctionError
from rehearsal.world import Scene, World

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
UNKNOWN = "11111111-2222-4333-8444-555555555555"


def current(world: World) -> str:
    return next(v for v, labels in world.aws.labels(world.secret_arn).items() if "AWSCURRENT" in labels)


@pytest.mark.parametrize("step", STEPS)
def test_a_secret_without_rotation_is_refused(make_world: Callable[..., World], step: str) -> None:
    world = make_world()
    before = world.state()

    with pytest.raises(FunctionError, match=f"EventRefused: .* rotate-secret --secret-id {world.secret_arn} "):
        world.function.invoke({"Step": step, "SecretId": world.secret_arn, "ClientRequestToken": current(world)})

    assert world.state() == before
    assert world.hub.requests == []


@pytest.mark.parametrize("step", STEPS)
def test_an_unknown_version_is_refused(make_world: Callable[..., World], step: str) -> None:
    world = make_world()
    world.rotate()
    before = world.state()

    with pytest.raises(
        FunctionError,
        match=f"EventRefused: Version {UNKNOWN} .* rotate-secret --secret-id {world.secret_arn} ",
    ):
        world.function.invoke({"Step": step, "SecretId": world.secret_arn, "ClientRequestToken": UNKNOWN})

    assert world.state() == before


@pytest.mark.parametrize("step", STEPS)
def test_a_version_that_is_neither_pending_nor_current_is_refused(make_world: Callable[..., World], step: str) -> None:
    world = make_world()
    superseded = current(world)
    world.rotate()
    before = world.state()

    with pytest.raises(
        FunctionError,
        match=f"EventRefused: Version {superseded} .* rotate-secret --secret-id {world.secret_arn} ",
    ):
        world.function.invoke({"Step": step, "SecretId": world.secret_arn, "ClientRequestToken": superseded})

    assert world.state() == before


def test_an_unknown_secret_is_refused(make_world: Callable[..., World]) -> None:
    world = make_world()

    with pytest.raises(FunctionError, match="EventRefused: The event names a secret that does not exist"):
        world.function.invoke({"Step": "createSecret", "SecretId": "another", "ClientRequestToken": UNKNOWN})


@pytest.mark.parametrize("step", STEPS)
def test_a_secret_that_is_not_served_is_refused_before_anything_is_asked(
    make_world: Callable[..., World], step: str
) -> None:
    world = make_world(Scene(environment={"DOCKERHUB_SECRETS": "team-a/*,dockerhub"}))
    before = world.state()

    with pytest.raises(
        FunctionError,
        match=f"SecretNotServed: {world.secret_arn} .* --secret-id {world.secret_arn} --region eu-central-1`",
    ):
        world.function.invoke({"Step": step, "SecretId": world.secret_arn, "ClientRequestToken": current(world)})

    assert world.state() == before
    assert list(world.wire.requests) == []


def test_a_secret_that_is_not_served_can_not_be_named_by_a_part_of_its_arn(make_world: Callable[..., World]) -> None:
    """Without AWS's six characters it looks like the ARN of a secret with a shorter name."""
    world = make_world(Scene(environment={"DOCKERHUB_SECRETS": "dockerhu"}))
    partial = world.secret_arn[: -len("-AbCdEf")]
    before = world.state()

    with pytest.raises(FunctionError, match=f"SecretNotServed: {world.secret_arn} "):
        world.function.invoke({"Step": "createSecret", "SecretId": partial, "ClientRequestToken": current(world)})

    assert world.state() == before
    assert world.hub.requests == []


@pytest.mark.parametrize("secrets", ["dockerhub-token", "team-a/*, dockerhub*"])
def test_a_secret_that_is_served_is_rotated(make_world: Callable[..., World], secrets: str) -> None:
    world = make_world(Scene(environment={"DOCKERHUB_SECRETS": secrets}))

    world.rotate()

    assert world.hub.authenticates(world.current_token())
    assert [step.error for step in world.steps] == [None] * len(STEPS)


@pytest.mark.parametrize("step", STEPS)
def test_once_the_version_is_current_each_step_changes_nothing_more(
    make_world: Callable[..., World], step: str
) -> None:
    world = make_world()
    world.rotate()
    before = world.state()

    world.function.invoke({"Step": step, "SecretId": world.secret_arn, "ClientRequestToken": current(world)})

    assert world.state() == before


@pytest.mark.parametrize("step", STEPS[:3])
def test_once_the_version_is_current_the_first_three_steps_do_not_even_ask_docker_hub(
    make_world: Callable[..., World], step: str
) -> None:
    world = make_world()
    world.rotate()
    asked = len(world.hub.requests)

    world.function.invoke({"Step": step, "SecretId": world.secret_arn, "ClientRequestToken": current(world)})

    assert len(world.hub.requests) == asked


def test_finish_secret_goes_on_where_an_earlier_try_died_between_promotion_and_retirement(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.hold_before = "finishSecret"
    world.rotate()
    superseded, token = current(world), world.current_token()
    pending = next(v for v, labels in world.aws.labels(world.secret_arn).items() if "AWSPENDING" in labels)
    world.client.update_secret_version_stage(
        SecretId=world.secret_arn, VersionStage="AWSCURRENT", MoveToVersionId=pending, RemoveFromVersionId=superseded
    )
    assert world.hub.authenticates(token)

    world.function.invoke({"Step": "finishSecret", "SecretId": world.secret_arn, "ClientRequestToken": pending})

    assert not world.hub.authenticates(token)
    assert world.hub.authenticates(world.current_token())
