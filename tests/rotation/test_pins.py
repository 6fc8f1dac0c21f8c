"""A version that people have pinned by a staging label of their own keeps its token, which is said each time."""

from collections.abc import Callable
from typing import Any

import pytest

from rehearsal.docker_hub import Token
from rehearsal.world import World
from tests.rotation.seen import asked, finished, hand_made, holder, ours, token_under, warnings

NOT_ALL = "The new token is AWSCURRENT, but a token that no consumer needs may still be active."
MONTH = 30


def pin(world: World, version: str) -> None:
    world.client.update_secret_version_stage(SecretId=world.secret_arn, VersionStage="blue", MoveToVersionId=version)


def unpin(world: World, version: str) -> None:
    world.client.update_secret_version_stage(
        SecretId=world.secret_arn, VersionStage="blue", RemoveFromVersionId=version
    )


def pinned(world: World) -> tuple[Token, str]:
    """Pin what a rotation has made current, and return its token and version."""
    world.rotate()
    version = holder(world, "AWSCURRENT")
    pin(world, version)
    return token_under(world), version


def rotate_a_month_later(world: World, clock: Any) -> None:
    clock.tick(MONTH * 86400)
    assert world.rotate() == ["RotationStarted", "RotationSucceeded"]


def test_its_active_token_survives_any_rotation_and_is_said_with_its_age_and_counted_each_time(
    make_world: Callable[..., World], clock: Any
) -> None:
    world = make_world()
    token, version = pinned(world)
    label = token.label

    for months in (1, 2, 3):
        told = len(warnings(world))
        rotate_a_month_later(world, clock)

        assert (token.active, token.label) == (True, label)
        message, counts = finished(world)
        assert (message, counts["left"]) == (NOT_ALL, 1)
        (said,) = warnings(world)[told:]
        assert said.startswith(f"Token {token.uuid} of version {version} is left active: ")
        assert said.endswith(f"its version is pinned by the staging label blue, and it is {months * MONTH} days old")
    assert world.state().labels[version] == {"blue"}
    assert ours(world) == {
        holder(world, "AWSCURRENT"): True,
        holder(world, "AWSPREVIOUS"): False,
        version: True,
    }


def test_its_disabled_token_is_never_enabled_and_is_nothing_to_be_said(
    make_world: Callable[..., World], clock: Any
) -> None:
    """Somebody may have disabled it because it leaked."""
    world = make_world()
    token, version = pinned(world)
    rotate_a_month_later(world, clock)
    token.active = False
    told = len(warnings(world))

    for _ in range(2):
        rotate_a_month_later(world, clock)

        assert ours(world)[version] is False
        assert "left" not in finished(world)[1]
    assert warnings(world)[told:] == []


def test_while_it_is_awsprevious_its_token_stays_active_and_is_said(make_world: Callable[..., World]) -> None:
    world = make_world()
    token, version = pinned(world)

    world.rotate()

    assert world.state().labels[version] == {"AWSPREVIOUS", "blue"}
    assert token.active
    assert finished(world) == (NOT_ALL, {"left": 1, "deleted": 1})


def test_a_hand_made_token_under_a_pinned_awsprevious_stays_as_it_is_and_is_said(
    make_world: Callable[..., World],
) -> None:
    """No label names it, so only its value tells which it is."""
    world = make_world()
    token, version = hand_made(world), holder(world, "AWSCURRENT")
    pin(world, version)

    world.rotate()

    assert (token.active, token.label) == (True, "made by hand")
    assert finished(world) == (NOT_ALL, {"left": 1})
    assert [said for said in warnings(world) if f"Token {token.uuid} of version {version}" in said] == warnings(world)

    world.rotate()
    assert (token.active, token.label) == (True, "made by hand")


@pytest.mark.parametrize("rotations", [1, 2], ids=["while it is AWSPREVIOUS", "when nothing else names it any more"])
def test_once_the_pin_is_taken_off_its_token_is_retired_by_the_next_rotation(
    make_world: Callable[..., World], clock: Any, rotations: int
) -> None:
    world = make_world()
    token, version = pinned(world)
    for _ in range(rotations):
        rotate_a_month_later(world, clock)
    assert token.active
    unpin(world, version)

    rotate_a_month_later(world, clock)

    assert not world.hub.authenticates(token.value)
    assert "left" not in finished(world)[1]
    rotate_a_month_later(world, clock)
    assert token.uuid not in world.hub.tokens
    assert ours(world) == {holder(world, "AWSCURRENT"): True, holder(world, "AWSPREVIOUS"): False}


@pytest.mark.parametrize(("is_pinned", "pages"), [(True, 2), (False, 4)])
def test_a_list_of_several_pages_is_not_read_again_for_the_missing_token_of_a_pinned_version(
    make_world: Callable[..., World], is_pinned: bool, pages: int
) -> None:
    """It may have been deleted long ago, and would be looked for in vain by every rotation."""
    world = make_world()
    token, version = pinned(world)
    if not is_pinned:
        unpin(world, version)
    world.rotate()
    assert version == holder(world, "AWSPREVIOUS")
    del world.hub.tokens[token.uuid]
    world.hub.max_page_size = len(world.hub.tokens) - 1
    world.hold_before = "finishSecret"
    world.rotate()
    before = len(world.wire.requests)

    world.function.invoke(
        {"Step": "finishSecret", "SecretId": world.secret_arn, "ClientRequestToken": holder(world, "AWSPENDING")}
    )

    assert asked(world, before).count("GET /v2/access-tokens") == pages
