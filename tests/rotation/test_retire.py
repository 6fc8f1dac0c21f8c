"""Retire: every superseded token of a secret is disabled now, and what still works is said."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from rehearsal.docker_hub import Fault as HubFault
from rehearsal.invariants import Invariants
from rehearsal.sandbox import FunctionError
from rehearsal.world import Scene, World
from tests.rotation.cared import HOUR, lines, names, of_version, rotated_secret, store_by_hand
from tests.rotation.seen import hand_made, holder, token_under
from tests.rotation.test_orphans import orphan
from tests.rotation.test_pins import pin

MakeWorld = Callable[..., World]
WatchedWorld = Callable[..., tuple[World, Invariants]]

GRACE = Scene(grace="24h")


def retire(world: World) -> Any:
    return world.care("Retire", SecretId=world.secret_arn)


def test_every_token_in_grace_is_disabled_at_once_and_its_time_is_now(watched_world: WatchedWorld, clock: Any) -> None:
    world, invariants = watched_world(GRACE)
    world.rotate()
    world.rotate()
    first, second = hand_made_and_superseded(world)
    before = [first.active, second.active]
    clock.tick(HOUR)

    answer = retire(world)

    assert (before, [first.active, second.active]) == ([True, True], [False, False])
    assert answer["Disabled"] == 2
    now = world.now()
    for token in (first, second):
        until = token.label.rpartition(" until ")[2]
        assert abs(_seconds(until) - now) < 60
    assert [token["Token"] for token in answer["StillWork"]] == [token_under(world).uuid]
    assert invariants.broken == []


def hand_made_and_superseded(world: World) -> tuple[Any, Any]:
    version = holder(world, "AWSPREVIOUS")
    superseded = of_version(world, version)
    (first,) = (
        token
        for token in world.hub.tokens.values()
        if " until " in token.label and token is not superseded and token.label.startswith("dockerhub-rotation/")
    )
    return first, superseded


def _seconds(until: str) -> float:
    return datetime.strptime(until, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()


def test_doing_it_again_changes_nothing(make_world: MakeWorld) -> None:
    world = make_world(GRACE)
    world.rotate()
    retire(world)
    before = world.state()

    answer = retire(world)

    assert world.state() == before
    assert answer["Disabled"] == 0


def test_no_tag_makes_it_gentler(make_world: MakeWorld) -> None:
    world = make_world(GRACE)
    world.client.tag_resource(SecretId=world.secret_arn, Tags=[{"Key": "dockerhub-rotation:grace", "Value": "7d"}])
    world.rotate()

    retire(world)

    assert not of_version(world, holder(world, "AWSPREVIOUS")).active


def test_what_people_have_pinned_still_works_and_is_named(make_world: MakeWorld) -> None:
    world = make_world(GRACE)
    world.rotate()
    version = holder(world, "AWSCURRENT")
    pinned = token_under(world)
    pin(world, version)
    world.rotate()

    answer = retire(world)

    assert pinned.active
    (named,) = (token for token in answer["StillWork"] if token["PinnedBy"])
    assert named == {
        "Token": pinned.uuid,
        "Version": version,
        "StagingLabels": ["AWSPREVIOUS", "blue"],
        "PinnedBy": ["blue"],
    }
    assert [left["Token"] for left in answer["LeftActive"]] == [pinned.uuid]


def test_the_whole_answer_is_plain_data(make_world: MakeWorld) -> None:
    world = make_world(GRACE)
    world.rotate()
    version = holder(world, "AWSCURRENT")
    pinned = token_under(world)
    pin(world, version)
    world.rotate()
    current = holder(world, "AWSCURRENT")
    world.client.update_secret_version_stage(SecretId=world.secret_arn, VersionStage="green", MoveToVersionId=current)

    orphan(world)

    answer = retire(world)

    assert answer["Message"] in [line["message"] for line in lines(world)]
    answer["StillWork"].sort(key=lambda token: token["StagingLabels"])
    assert answer == {
        "Task": "Retire",
        "SecretId": world.secret_arn,
        "Message": "1 superseded token disabled, 1 deleted; 2 of the secret's tokens still work.",
        "Disabled": 1,
        "Deleted": 1,
        "StillWork": [
            {
                "Token": token_under(world).uuid,
                "Version": current,
                "StagingLabels": ["AWSCURRENT", "green"],
                "PinnedBy": [],  # it is the one that consumers have
            },
            {
                "Token": pinned.uuid,
                "Version": version,
                "StagingLabels": ["AWSPREVIOUS", "blue"],
                "PinnedBy": ["blue"],
            },
        ],
        "LeftActive": [
            {
                "Token": pinned.uuid,
                "Version": version,
                "Why": "its version is pinned by the staging label blue, and it is 0 days old",
            }
        ],
        "NotFound": [],
    }


def test_a_current_token_that_somebody_has_stored_still_works_and_is_named(make_world: MakeWorld) -> None:
    world = make_world(GRACE)
    world.rotate()
    by_hand = world.hub.add_token("by hand")
    store_by_hand(world, world.secret_arn, by_hand.value)

    answer = retire(world)

    assert [token["Token"] for token in answer["StillWork"]] == [by_hand.uuid]


def test_the_token_of_a_running_rotation_still_works_and_is_named(make_world: MakeWorld) -> None:
    world = make_world(GRACE)
    world.rotate()
    world.hold_before = "finishSecret"
    world.rotate()

    answer = retire(world)

    labels = {label for token in answer["StillWork"] for label in token["StagingLabels"]}
    assert labels == {"AWSCURRENT", "AWSPENDING"}


def test_a_superseded_token_without_a_label_of_ours_is_found_by_its_value(make_world: MakeWorld) -> None:
    """It may be the one that has leaked."""
    world = make_world()
    world.hub.faults += [HubFault("PATCH", "/v2/access-tokens/*", 400, {"message": "no", "errinfo": {}})] * 5
    world.rotate()

    answer = retire(world)

    assert answer["Disabled"] == 1
    assert not any(token.active for token in world.hub.tokens.values() if token.label == "made by hand")
    assert world.hub.authenticates(world.current_token())


def test_a_superseded_token_that_cannot_be_found_is_said(make_world: MakeWorld) -> None:
    world = make_world()
    world.hub.faults += [HubFault("PATCH", "/v2/access-tokens/*", 400, {"message": "no", "errinfo": {}})] * 5
    world.rotate()
    world.hub.tokens.pop(hand_made(world).uuid)

    answer = retire(world)

    (doubt,) = answer["NotFound"]
    assert "disable it by hand" in doubt
    assert answer["Message"] == (
        f"0 superseded tokens disabled, 0 deleted; 1 of the secret's tokens still works. {doubt}"
    )


def test_a_disabled_current_token_stays_disabled(make_world: MakeWorld) -> None:
    world = make_world(GRACE)
    world.rotate()
    token_under(world).active = False

    answer = retire(world)

    assert not token_under(world).active
    assert answer["StillWork"] == []


def test_other_secrets_tokens_stay_as_they_are(watched_world: WatchedWorld) -> None:
    world, invariants = watched_world(GRACE)
    world.rotate()
    rotated_secret(world, "another/token")
    invariants.begin(world)

    retire(world)

    assert invariants.broken == []


def test_what_could_not_be_disabled_is_an_error_and_the_rest_is_done(make_world: MakeWorld) -> None:
    world = make_world(GRACE)
    world.rotate()
    world.rotate()
    first, second = hand_made_and_superseded(world)
    world.hub.faults.append(HubFault("PATCH", "/v2/access-tokens/*", 400, {"message": "no", "errinfo": {}}))

    with pytest.raises(
        FunctionError, match="RetirementFailed: Not every superseded token could be disabled.* make retire "
    ):
        retire(world)

    assert [first.active, second.active].count(True) == 1
    retire(world)
    assert not first.active
    assert not second.active


def test_it_asks_for_little(make_world: MakeWorld) -> None:
    world = make_world(GRACE)
    world.rotate()
    asked = len(world.wire.requests)

    retire(world)

    assert names(world, asked) == [
        "DescribeSecret",
        "GetParameters",
        "POST /v2/auth/token",
        "GET /v2/access-tokens",
        "DescribeSecret",
        "PATCH /v2/access-tokens/{uuid}",
    ]


def test_with_one_time_codes_it_does_not_burn_the_code_that_the_rotation_has_used(
    make_world: MakeWorld, clock: Any
) -> None:
    world = make_world(Scene(two_factor=True))
    world.rotate()

    retire(world)

    assert world.hub.refused_logins == 0
