"""Where it is not known which token a version holds, or none works that consumers have, no token is taken away."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from rehearsal import secret_descriptions
from rehearsal.docker_hub import Fault as HubFault
from rehearsal.wire import Request
from rehearsal.world import Scene, World, token_in
from tests.rotation.cared import DAY, HOUR, findings, messages, rotated_secret, store_by_hand
from tests.rotation.seen import finished, hand_made, holder, token_under
from tests.rotation.test_labels_that_move import move_awscurrent_to
from tests.rotation.test_reconcile import rotated

MakeWorld = Callable[..., World]


def reshape(world: World, times: int = 1) -> None:
    """Store the current token in another shape, by hand: the version for which it was made loses its labels."""
    for number in range(times):
        token = token_in(world.aws.value(world.secret_arn) or "")
        store_by_hand(world, world.secret_arn, json.dumps({"password": token, "reshaped": number}))


# The token under AWSCURRENT is unknown


def nameless(world: World) -> None:
    """Have logins tell of no token, in sandboxes that have met none."""
    world.hub.jwt_names_source = False
    world.caretaker.discard()
    world.function.discard()


@pytest.mark.parametrize("task", ["Reconcile", "Retire"])
def test_a_copy_by_hand_whose_login_names_no_token_keeps_it(make_world: MakeWorld, clock: Any, task: str) -> None:
    world = rotated(make_world())
    clock.tick(DAY)
    reshape(world, times=2)
    clock.tick(2 * HOUR)
    nameless(world)

    answer = world.care(task, SecretId=world.secret_arn)

    assert world.hub.authenticates(world.current_token())
    assert "it may be the one that AWSCURRENT holds" in json.dumps(answer)


def test_a_copy_by_hand_keeps_its_token_where_no_login_is_left(make_world: MakeWorld, clock: Any) -> None:
    world = rotated(make_world(Scene(cold=True)))
    clock.tick(DAY)
    reshape(world, times=2)
    for number in range(3):
        arn = rotated_secret(world, f"aaa-{number}/token")
        store_by_hand(world, arn, f"dckr_pat_{number}" + "x" * 26)

    for _ in range(6):  # the secrets come in another order
        clock.tick(HOUR)
        world.care()
        assert world.hub.authenticates(world.current_token())


def test_an_answer_without_staging_labels_takes_nothing_away(
    make_world: MakeWorld, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = rotated(make_world())
    clock.tick(DAY)
    before, describe = dict(world.hub.tokens), secret_descriptions.describe
    monkeypatch.setattr(secret_descriptions, "describe", lambda *how: describe(*how) | {"VersionIdsToStages": {}})

    said = world.care()

    assert world.hub.tokens == before
    assert "TokenLeftActive" in findings(said)


# The token under AWSPREVIOUS is unknown


@pytest.mark.parametrize("tells", [True, False], ids=["told", "not told"])
def test_a_copy_by_hand_that_is_superseded_has_its_grace(make_world: MakeWorld, clock: Any, tells: bool) -> None:
    world = rotated(make_world(Scene(grace="24h")))
    clock.tick(3 * DAY)
    token = token_under(world)
    reshape(world, times=2)
    clock.tick(3 * DAY)
    if not tells:
        nameless(world)

    rotated(world, times=1)

    assert token.uuid in world.hub.tokens
    assert token.active
    assert finished(world)[1].get("left" if not tells else "in_grace")


def test_a_copy_by_hand_has_its_grace_where_a_rotation_died_after_the_promotion(
    make_world: MakeWorld, clock: Any
) -> None:
    world = rotated(make_world(Scene(grace="24h")))
    clock.tick(3 * DAY)
    token = token_under(world)
    reshape(world)
    clock.tick(3 * DAY)
    world.hub.faults += [HubFault("PATCH", "/v2/access-tokens/*", 400, {"message": "no", "errinfo": {}})] * 40
    world.rotate()
    world.hub.faults.clear()
    assert token_under(world) is not token

    answer = world.care()

    assert token.uuid in world.hub.tokens
    assert token.active
    assert "it may be the one that AWSPREVIOUS holds" in messages(answer)


# A staging label moves while a stored value is asked


@pytest.mark.parametrize("task", ["Reconcile", "Retire"])
@pytest.mark.parametrize("at", ["GetSecretValue", "POST /v2/auth/token"])
def test_a_label_that_is_moved_while_a_value_is_asked_keeps_its_token(
    make_world: MakeWorld, clock: Any, task: str, at: str
) -> None:
    acts: list[Callable[[], object]] = []

    def act(request: Request) -> None:
        if request.name == at and acts:
            acts.pop()()

    world = rotated(make_world(on_request=act))
    clock.tick(DAY)
    was, superseded = holder(world, "AWSCURRENT"), token_under(world)
    store_by_hand(world, world.secret_arn, world.hub.add_token("by hand").value)
    clock.tick(HOUR)
    world.care("Retire", SecretId=rotated_secret(world, "another/token"))  # the management login is not to be it
    acts.append(lambda: move_awscurrent_to(world, was))

    world.care(task, SecretId=world.secret_arn)

    assert acts == []
    assert token_under(world) is superseded
    assert superseded.active


def test_a_promotion_that_is_taken_back_while_the_superseded_value_is_asked_keeps_its_token(
    make_world: MakeWorld,
) -> None:
    acts: list[Callable[[], object]] = []
    promoted: list[str] = []
    dead: list[str] = []

    def act(request: Request) -> None:
        if holder(world, "AWSCURRENT") == was and not first.active:
            dead.append(request.name)
        if request.name == "UpdateSecretVersionStage":
            promoted.append(request.name)
        elif request.name == "GetSecretValue" and promoted and acts:
            acts.pop()()

    world = make_world(Scene(cold=True), on_request=act)
    first, was = hand_made(world), holder(world, "AWSCURRENT")
    acts.append(lambda: move_awscurrent_to(world, was))

    world.rotate()

    assert acts == []
    assert dead == []


# The token under AWSCURRENT does not work


def test_the_last_token_that_works_is_not_taken_away_where_awscurrent_went_back_to_a_disabled_one(
    make_world: MakeWorld, clock: Any
) -> None:
    world = rotated(make_world(), times=3)
    clock.tick(DAY)
    good, version = token_under(world), holder(world, "AWSCURRENT")
    move_awscurrent_to(world, holder(world, "AWSPREVIOUS"))
    pending = world.state().holder("AWSPENDING")
    if pending:
        world.client.update_secret_version_stage(
            SecretId=world.secret_arn, VersionStage="AWSPENDING", RemoveFromVersionId=pending
        )
    clock.tick(HOUR)

    answer = world.care()

    assert good.active
    assert findings(answer) == ["CurrentTokenDisabled", "TokenLeftActive"]
    move_awscurrent_to(world, version)
    assert world.hub.authenticates(world.current_token())


@pytest.mark.parametrize("task", ["Reconcile", "Retire"])
def test_a_deadline_takes_nothing_away_while_the_current_token_is_disabled_but_a_person_does(
    make_world: MakeWorld, clock: Any, task: str
) -> None:
    world = rotated(make_world(Scene(grace="2h")))
    superseded = token_under(world, "AWSPREVIOUS")
    token_under(world).active = False
    clock.tick(3 * HOUR)

    world.care(task, SecretId=world.secret_arn)

    assert superseded.active == (task == "Reconcile")
