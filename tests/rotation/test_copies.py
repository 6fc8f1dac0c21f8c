"""Values that somebody has stored again by hand: their token is that of an older version, and may be in use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rehearsal.docker_hub import Fault
from rehearsal.world import Scene, Shape, World, token_in
from tests.rotation.seen import finished

NO = {"message": "access token limit reached", "errinfo": {}}


def edit(world: World, number: int) -> None:
    """Store the current token once more, as somebody does who changes another key."""
    value = world.scene.shape.compose(world.hub.username, token_in(world.aws.value(world.secret_arn) or ""))
    world.client.put_secret_value(SecretId=world.secret_arn, SecretString=value[:-1] + f', "edit": {number}}}')


def test_making_room_takes_no_token_that_a_copied_value_still_holds(
    make_world: Callable[..., World], clock: Any
) -> None:
    world = make_world(Scene(shape=Shape.ECS))
    world.rotate()
    clock.tick(2 * 3600)
    for number in range(2):
        edit(world, number)
    world.hub.faults += [Fault("POST", "/v2/access-tokens", 403, NO)] * 50

    assert world.rotate()[-1] == "RotationFailed"

    assert world.hub.authenticates(world.current_token())


def test_a_pin_keeps_the_token_of_the_version_from_which_its_value_was_copied(
    make_world: Callable[..., World], clock: Any
) -> None:
    world = make_world(Scene(shape=Shape.ECS))
    world.rotate()
    clock.tick(3600)
    edit(world, 1)
    pinned = world.current_token()
    version = world.state().holder("AWSCURRENT")
    world.client.update_secret_version_stage(
        SecretId=world.secret_arn, VersionStage="stable", MoveToVersionId=version or ""
    )

    for _ in range(3):
        clock.tick(2 * 3600)
        assert world.rotate()[-1] == "RotationSucceeded"
        assert world.hub.authenticates(pinned)
        assert finished(world)[1]["left"] >= 1


def test_a_value_that_was_edited_before_its_first_rotation_was_not_replaced_by_another_token(
    make_world: Callable[..., World],
) -> None:
    world = make_world(Scene(shape=Shape.ECS))
    first = token_in(world.aws.value(world.secret_arn) or "")
    edit(world, 1)

    world.rotate()

    assert not world.hub.authenticates(first)
    assert "unidentified" not in finished(world)[1]


def test_a_token_that_was_disabled_by_hand_as_the_error_says_blocks_no_rotation(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    first = next(token for token in world.hub.tokens.values() if token.label == "made by hand")
    world.hub.faults += [Fault("PATCH", f"/v2/access-tokens/{first.uuid}", 403, NO)] * 50
    assert world.rotate()[-1] == "RotationFailed"
    first.active = False

    world.aws.retry(world.secret_arn) if world.aws.events[-1].name != "RotationSucceeded" else None
    world.aws.wait()

    assert world.aws.events[-1].name == "RotationSucceeded"


def test_clocks_that_disagree_leave_no_heap_of_disabled_tokens(make_world: Callable[..., World], clock: Any) -> None:
    world = make_world()
    world.hub.clock = lambda: clock.now + 3 * 3600
    for _ in range(5):
        world.rotate()
        clock.tick(3600)

    ours = [token for token in world.hub.tokens.values() if token.label.startswith("dockerhub-rotation/")]
    assert sorted(token.active for token in ours) == [False, True]
