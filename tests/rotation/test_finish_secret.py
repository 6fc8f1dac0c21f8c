"""finishSecret, case by case: which tokens live, are disabled, are gone, and where the staging labels sit."""

import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from dockerhub_rotation.errors import PendingTokenUnusable, RetirementFailed
from dockerhub_rotation.token_labels import label_for
from rehearsal.docker_hub import Fault as HubFault
from rehearsal.docker_hub import Token, personal_tokens
from rehearsal.sandbox import FunctionError
from rehearsal.wire import Fault, FaultKind, Request
from rehearsal.world import FUNCTION_ARN, Scene, Shape, World, token_in
from tests.rotation.seen import hand_made, ours

STRANGER = {"https://hub.docker.com": {"username": "somebody", "source": "docker_pat|1"}}
LOGIN_OF_A_STRANGER = HubFault(
    "POST", "/v2/auth/token", 200, {"access_token": jwt.encode(STRANGER, "key-of-at-least-thirty-two-bytes!", "HS256")}
)


def label_holder(world: World, label: str) -> str:
    return next(v for v, labels in world.aws.labels(world.secret_arn).items() if label in labels)


def event(world: World, label: str = "AWSPENDING") -> dict[str, object]:
    return {"Step": "finishSecret", "SecretId": world.secret_arn, "ClientRequestToken": label_holder(world, label)}


def move_awscurrent_back(world: World) -> None:
    """Do as a person who wants the previous value back."""
    world.client.update_secret_version_stage(
        SecretId=world.secret_arn,
        VersionStage="AWSCURRENT",
        MoveToVersionId=label_holder(world, "AWSPREVIOUS"),
        RemoveFromVersionId=label_holder(world, "AWSCURRENT"),
    )


def ready_to_finish(world: World) -> World:
    """Bring a world to where finishSecret begins."""
    world.hold_before = "finishSecret"
    world.rotate()
    return world


def test_the_new_token_becomes_current_and_the_hand_made_one_is_disabled_and_labelled(
    make_world: Callable[..., World],
) -> None:
    world = ready_to_finish(make_world())
    first = hand_made(world)

    world.function.invoke(event(world))

    assert not first.active
    assert ours(world) == {label_holder(world, "AWSCURRENT"): True, label_holder(world, "AWSPREVIOUS"): False}
    assert world.hub.authenticates(world.current_token())


def test_a_hand_made_token_is_deleted_a_rotation_later_like_any_other(make_world: Callable[..., World]) -> None:
    world = make_world()
    first = hand_made(world)
    world.rotate()
    assert first.uuid in world.hub.tokens

    world.rotate()

    assert first.uuid not in world.hub.tokens
    assert ours(world) == {label_holder(world, "AWSCURRENT"): True, label_holder(world, "AWSPREVIOUS"): False}
    assert [request.name for request in world.steps[-1].requests].count("DescribeSecret") == 1  # nothing to catch up on


def test_an_empty_version_is_never_promoted(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.hold_before = "createSecret"
    world.rotate()
    before = world.state()

    with pytest.raises(FunctionError, match="PendingTokenUnusable: .*empty and must not become AWSCURRENT"):
        world.function.invoke(event(world))

    assert world.state() == before


def test_a_version_whose_token_is_gone_is_never_promoted(make_world: Callable[..., World]) -> None:
    world = ready_to_finish(make_world())
    value = world.aws.value(world.secret_arn, "AWSPENDING")
    del world.hub.tokens[next(token.uuid for token in world.hub.tokens.values() if token.value == value)]
    before = world.state()

    with pytest.raises(FunctionError, match="PendingTokenUnusable: .*--remove-from-version-id"):
        world.function.invoke(event(world))

    assert world.state() == before


def test_a_dead_copy_of_the_current_value_is_never_promoted_and_consumers_are_affected(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    hand_made(world).active = False
    world.rotate(RotateImmediately=False)
    world.client.put_secret_value(
        SecretId=world.secret_arn,
        SecretString=world.aws.value(world.secret_arn) or "",
        VersionStages=["AWSPENDING"],
    )
    before = world.state()

    with pytest.raises(FunctionError, match=f"rotate-secret --secret-id {world.secret_arn} ") as raised:
        world.function.invoke(event(world))

    assert isinstance(raised.value.__cause__, PendingTokenUnusable)
    assert raised.value.__cause__.consumers_affected
    assert world.state() == before


def test_a_token_of_another_account_is_never_promoted(make_world: Callable[..., World]) -> None:
    world = ready_to_finish(make_world())
    pending = next(
        token for token in world.hub.tokens.values() if token.value == world.aws.value(world.secret_arn, "AWSPENDING")
    )
    pending.label = "renamed by hand"
    before = world.state()
    world.hub.faults.append(LOGIN_OF_A_STRANGER)

    with pytest.raises(FunctionError, match="PendingTokenUnusable: .*another account.*--remove-from-version-id"):
        world.function.invoke(event(world))

    assert world.state() == before


def test_a_copy_of_the_current_value_that_is_another_accounts_is_never_promoted(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.rotate()
    world.client.put_secret_value(
        SecretId=world.secret_arn,
        SecretString=world.aws.value(world.secret_arn) or "",
        VersionStages=["AWSPENDING"],
    )
    before = world.state()
    world.hub.faults.append(LOGIN_OF_A_STRANGER)

    with pytest.raises(FunctionError, match=f"rotate-secret --secret-id {world.secret_arn} ") as raised:
        world.function.invoke(event(world))

    assert "--remove-from-version-id" not in str(raised.value)  # without it the current value is as bad
    assert isinstance(raised.value.__cause__, PendingTokenUnusable)
    assert not raised.value.__cause__.consumers_affected
    assert world.state() == before


@pytest.mark.parametrize("shape", list(Shape))
def test_a_token_whose_label_somebody_has_changed_is_promoted_all_the_same(
    make_world: Callable[..., World], shape: Shape
) -> None:
    world = ready_to_finish(make_world(Scene(shape=shape)))
    value = world.aws.value(world.secret_arn, "AWSPENDING") or ""
    next(token for token in world.hub.tokens.values() if token.value == token_in(value)).label = "renamed by hand"

    world.function.invoke(event(world))

    assert world.aws.value(world.secret_arn) == value
    assert world.hub.authenticates(world.current_token())


def test_with_docker_hub_down_nothing_is_promoted(make_world: Callable[..., World], clock: Any) -> None:
    world = ready_to_finish(make_world())
    before = world.state()
    world.hub.faults += [HubFault("GET", "/v2/access-tokens", 503)] * 4

    with pytest.raises(FunctionError, match="DockerHubUnavailable"):
        world.function.invoke(event(world))

    assert world.state() == before


def test_when_retiring_fails_the_error_says_so_and_the_next_try_retires(
    make_world: Callable[..., World], clock: Any
) -> None:
    world = ready_to_finish(make_world())
    first = hand_made(world)
    world.hub.faults += [HubFault("PATCH", "/v2/access-tokens/*", 503)] * 4

    with pytest.raises(FunctionError, match="RetirementFailed: Promoted: .*an old token may still be active"):
        world.function.invoke(event(world))
    assert first.active
    assert world.hub.authenticates(world.current_token())
    assert world.current_token() != first.value

    world.function.invoke(event(world, "AWSCURRENT"))
    assert not first.active


def test_native_retries_end_up_at_the_retirement_that_failed(make_world: Callable[..., World], clock: Any) -> None:
    world = make_world()
    first = hand_made(world)
    world.hub.faults += [HubFault("PATCH", "/v2/access-tokens/*", 503)] * 4

    events = world.rotate()

    assert events == ["RotationStarted", "RotationFailed", "RotationSucceeded"]
    assert not first.active


def test_a_current_token_that_was_disabled_by_hand_before_the_retirement_is_enabled(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.rotate()
    current = next(token for token in world.hub.tokens.values() if token.value == world.current_token())
    current.active = False

    world.function.invoke(event(world, "AWSCURRENT"))

    assert world.hub.authenticates(world.current_token())


@pytest.mark.parametrize("kind", [FaultKind.LOST_AFTER, FaultKind.UNAVAILABLE_AFTER, FaultKind.HTML])
def test_a_promotion_whose_answer_is_lost_is_looked_up(make_world: Callable[..., World], kind: FaultKind) -> None:
    world = ready_to_finish(make_world())
    pending = label_holder(world, "AWSPENDING")
    asked = len(world.wire.requests)
    # DescribeSecret, list, GetSecretValue, login, UpdateSecretVersionStage
    world.wire.faults.append(Fault(asked + 5, kind))

    try:
        world.function.invoke(event(world))
    except FunctionError:
        assert kind is FaultKind.HTML  # this one had no effect
        world.function.invoke(event(world))

    assert world.wire.requests[asked + 4].name == "UpdateSecretVersionStage"
    assert label_holder(world, "AWSCURRENT") == pending
    assert sum(ours(world).values()) == 1


def test_a_twin_that_promotes_first_does_no_harm(make_world: Callable[..., World]) -> None:
    def twin(request: Request) -> None:
        if late and request.name == "GET /v2/access-tokens":
            late.clear()
            world.client.update_secret_version_stage(
                SecretId=world.secret_arn,
                VersionStage="AWSCURRENT",
                MoveToVersionId=label_holder(world, "AWSPENDING"),
                RemoveFromVersionId=label_holder(world, "AWSCURRENT"),
            )

    late: list[bool] = []
    world = ready_to_finish(make_world(on_request=twin))
    late.append(True)

    world.function.invoke(event(world))

    assert not late
    assert ours(world) == {label_holder(world, "AWSCURRENT"): True, label_holder(world, "AWSPREVIOUS"): False}


def test_of_two_tokens_for_the_new_version_the_stored_one_stays(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.wire.faults.append(Fault(7, FaultKind.LOST_AFTER))  # makes a token whose value nobody knows

    events = world.rotate()

    assert events == ["RotationStarted", "RotationFailed", "RotationSucceeded"]
    assert ours(world) == {label_holder(world, "AWSCURRENT"): True, label_holder(world, "AWSPREVIOUS"): False}


def test_of_two_tokens_neither_is_touched_if_the_login_names_nobody_and_the_next_rotation_clears_up(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.hub.jwt_names_source = False
    world.wire.faults.append(Fault(7, FaultKind.LOST_AFTER))

    events = world.rotate()

    made = [token for token in world.hub.tokens.values() if token.label.startswith("dockerhub-rotation/")]
    assert events[-1] == "RotationSucceeded"
    assert [token.active for token in made] == [True, True]

    world.hub.jwt_names_source = True
    world.rotate()
    assert ours(world) == {label_holder(world, "AWSCURRENT"): True, label_holder(world, "AWSPREVIOUS"): False}


def test_the_token_of_an_abandoned_version_is_deleted_by_the_next_rotation(make_world: Callable[..., World]) -> None:
    world = ready_to_finish(make_world())
    abandoned = label_holder(world, "AWSPENDING")
    world.client.update_secret_version_stage(
        SecretId=world.secret_arn, VersionStage="AWSPENDING", RemoveFromVersionId=abandoned
    )
    assert ours(world) == {abandoned: True}

    world.hold_before = None
    world.rotate()

    assert ours(world) == {label_holder(world, "AWSCURRENT"): True, label_holder(world, "AWSPREVIOUS"): False}


def test_a_value_set_by_hand_between_two_rotations_is_retired_like_the_first_one(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.rotate()
    token = world.hub.add_token("set by hand")
    world.client.put_secret_value(SecretId=world.secret_arn, SecretString=token.value)

    world.rotate()

    assert not token.active
    assert ours(world) == {label_holder(world, "AWSCURRENT"): True, label_holder(world, "AWSPREVIOUS"): False}


def test_the_same_value_stored_again_by_hand_does_not_confuse_which_version_the_token_belongs_to(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.rotate()
    world.client.put_secret_value(SecretId=world.secret_arn, SecretString=world.aws.value(world.secret_arn) or "")

    world.rotate()

    assert ours(world) == {label_holder(world, "AWSCURRENT"): True, label_holder(world, "AWSPREVIOUS"): False}


def test_after_awscurrent_was_moved_back_by_hand_a_rotation_puts_everything_right(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.rotate()
    world.rotate()
    move_awscurrent_back(world)

    world.rotate()

    assert world.hub.authenticates(world.current_token())
    assert ours(world) == {label_holder(world, "AWSCURRENT"): True, label_holder(world, "AWSPREVIOUS"): False}


def test_a_superseded_token_that_was_deleted_by_hand_does_not_stop_the_rotation(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    del world.hub.tokens[hand_made(world).uuid]

    events = world.rotate()

    assert events == ["RotationStarted", "RotationSucceeded"]
    assert ours(world) == {label_holder(world, "AWSCURRENT"): True}


# A superseded token that only AWSPREVIOUS names, and that the rotation which superseded it did not retire


def retirement_refused(world: World) -> None:
    world.hub.faults += [HubFault("PATCH", "/v2/access-tokens/*", 400, {"message": "no", "errinfo": {}})] * 5
    assert world.rotate() == ["RotationStarted"] + ["RotationFailed"] * 5
    assert world.hub.faults == []


def new_token_not_listed_yet(world: World) -> None:
    """As where the list comes from a copy of the account that lags behind."""
    ready_to_finish(world)
    staged = world.aws.value(world.secret_arn, "AWSPENDING")
    listed = [personal_tokens.token_body(token) for token in world.hub.tokens.values() if token.value != staged]
    page = {"count": len(listed), "next": None, "previous": None, "results": listed}
    world.hub.faults.append(HubFault("GET", "/v2/access-tokens", 200, page))
    world.hold_before = None
    world.aws.retry(world.secret_arn)
    world.aws.wait()
    assert world.hub.faults == []


def test_a_token_that_the_first_rotation_could_not_retire_is_retired_by_the_next_one(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    first = hand_made(world)
    retirement_refused(world)
    assert world.hub.authenticates(first.value)
    assert world.current_token() != first.value

    assert world.rotate() == ["RotationStarted", "RotationSucceeded"]

    assert not first.active
    assert counted(world) == {"Retired": 2, "Orphans": 0, "Unidentified": 0}
    in_between = first.label.rpartition("/")[2].partition(" ")[0]
    assert ours(world) == {
        label_holder(world, "AWSCURRENT"): True,
        label_holder(world, "AWSPREVIOUS"): False,
        in_between: False,  # disabled by this very rotation: it stays for one more
    }

    world.rotate()
    assert first.uuid not in world.hub.tokens
    assert ours(world) == {label_holder(world, "AWSCURRENT"): True, label_holder(world, "AWSPREVIOUS"): False}


def test_a_token_whose_login_names_nobody_is_said_once_and_costs_no_login_later(
    make_world: Callable[..., World],
) -> None:
    """Secret by secret these logins would be refused, once somebody has tidied up, and lock the user name."""
    world = make_world()
    world.hub.jwt_names_source = False
    world.rotate()
    assert counted(world)["Unidentified"] == 1
    world.hub.jwt_names_source = True
    asked = len(world.wire.requests)

    world.rotate()

    names = [request.name for request in world.wire.requests[asked:]]
    assert names.count("POST /v2/auth/token") == 2  # testSecret's and finishSecret's, of the new token
    assert hand_made(world).active


def test_a_list_that_lags_behind_hides_no_token_from_its_retirement(make_world: Callable[..., World]) -> None:
    world = make_world()
    first = hand_made(world)

    new_token_not_listed_yet(world)

    assert not first.active
    assert ours(world) == {label_holder(world, "AWSCURRENT"): True, label_holder(world, "AWSPREVIOUS"): False}


def test_a_token_that_somebody_has_replaced_by_hand_is_left_alone_for_others_may_use_it(
    make_world: Callable[..., World],
) -> None:
    """As the README advises for secrets that share a token: give each its own before rotation is switched on."""
    world = make_world()
    shared, own = hand_made(world), world.hub.add_token("of this secret alone")
    world.client.put_secret_value(SecretId=world.secret_arn, SecretString=own.value)

    world.rotate()

    assert shared.active
    assert shared.label == "made by hand"
    assert not own.active
    world.rotate()
    assert shared.active
    assert ours(world) == {label_holder(world, "AWSCURRENT"): True, label_holder(world, "AWSPREVIOUS"): False}


def test_nothing_is_promoted_while_a_token_superseded_before_that_cannot_be_retired(
    make_world: Callable[..., World], clock: Any
) -> None:
    """After the promotion nothing would name it any more."""
    world = make_world()
    first = hand_made(world)
    retirement_refused(world)
    current = label_holder(world, "AWSCURRENT")

    retirement_refused(world)

    assert label_holder(world, "AWSCURRENT") == current
    assert f"DockerHubRefused: Disabling token {first.uuid}" in (world.steps[-1].error or "")
    assert "by hand" in (world.steps[-1].error or "")

    first.active = False  # as the message says
    world.aws.retry(world.secret_arn)
    world.aws.wait()
    assert world.aws.events[-1].name == "RotationSucceeded"
    in_between = first.label.rpartition("/")[2].partition(" ")[0]
    assert ours(world) == {
        label_holder(world, "AWSCURRENT"): True,
        label_holder(world, "AWSPREVIOUS"): False,
        in_between: False,
    }


def test_a_token_superseded_before_that_somebody_makes_current_again_is_not_retired(
    make_world: Callable[..., World],
) -> None:
    """It happens between reading the labels and reading them again."""

    def roll_back(request: Request) -> None:
        if late and request.name == "GET /v2/access-tokens":
            late.clear()
            move_awscurrent_back(world)

    late: list[bool] = []
    world = make_world(on_request=roll_back)
    first = hand_made(world)
    retirement_refused(world)
    ready_to_finish(world)
    late.append(True)

    with pytest.raises(FunctionError, match="EventRefused: AWSCURRENT was moved"):
        world.function.invoke(event(world))

    assert world.current_token() == first.value
    assert first.active


def test_a_twin_that_has_retired_a_token_superseded_before_does_no_harm(make_world: Callable[..., World]) -> None:
    """It retires and promotes between our login with that token's value and our disabling it."""

    def twin(request: Request) -> None:
        if late and request.name == "POST /v2/auth/token":
            late.clear()
            world.aws.retry(world.secret_arn)
            world.aws.wait()

    late: list[bool] = []
    world = make_world(on_request=twin)
    first = hand_made(world)
    retirement_refused(world)
    ready_to_finish(world)
    world.hold_before = None
    finish = event(world)
    late.append(True)

    world.function.invoke(finish)

    assert not first.active
    assert sorted(ours(world).values()) == [False, False, True]  # the one that was made up for stays for one more
    world.rotate()
    assert first.uuid not in world.hub.tokens


def test_a_retired_token_that_somebody_has_deleted_is_not_looked_for_aloud(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.rotate()
    world.rotate()
    del world.hub.tokens[
        next(t.uuid for t in world.hub.tokens.values() if label_holder(world, "AWSPREVIOUS") in t.label)
    ]

    assert world.rotate() == ["RotationStarted", "RotationSucceeded"]

    assert counted(world) == {"Retired": 1, "Orphans": 0, "Unidentified": 0}
    assert '"level":"WARNING"' not in world.function.log()


def test_tokens_of_others_are_never_touched(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.hub.add_token(label_for(world.secret_arn, "my laptop"))
    others = {u: (t.label, t.active) for u, t in world.hub.tokens.items() if t.label != "made by hand"}

    for _ in range(3):
        world.rotate()

    assert {u: (t.label, t.active) for u, t in world.hub.tokens.items() if u in others} == others


def test_two_secrets_of_one_account_leave_each_others_tokens_alone(make_world: Callable[..., World]) -> None:
    world = make_world()
    first = world.hub.add_token("for the second secret")
    second = world.aws.create_secret("second", first.value)
    for _ in range(3):
        for secret in (world.secret_arn, second):
            world.passed += 5
            world.client.rotate_secret(SecretId=secret, RotationLambdaARN=FUNCTION_ARN)
            world.aws.wait()

    for secret in (world.secret_arn, second):
        assert world.hub.authenticates(world.aws.value(secret) or "")
    assert sorted(ours(world).values()) == [False, False, True, True]


def test_a_value_copied_from_another_secret_is_not_retired_for_that_secret_still_uses_it(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.rotate()
    copy = world.aws.create_secret("copy", world.current_token())

    world.client.rotate_secret(SecretId=copy, RotationLambdaARN=FUNCTION_ARN)
    world.aws.wait()

    assert world.aws.events[-1].name == "RotationSucceeded"
    assert world.hub.authenticates(world.current_token())


def test_a_token_made_by_a_rotation_that_began_meanwhile_is_left_alone(make_world: Callable[..., World]) -> None:
    """A finishSecret that runs late sees a token whose version was not staged when it read the labels."""

    def a_new_rotation_begins(request: Request) -> None:
        if late and request.name == "DescribeSecret":
            late.clear()
            label = f"{made.label.rpartition('/')[0]}/99999999-2222-4333-8444-555555555555"
            newer.append(world.hub.add_token(label))

    late: list[bool] = []
    newer: list[Token] = []
    world = make_world(on_request=a_new_rotation_begins)
    world.rotate()
    made = next(token for token in world.hub.tokens.values() if token.value == world.current_token())
    late.append(True)

    world.function.invoke(event(world, "AWSCURRENT"))

    assert [token.uuid in world.hub.tokens and token.active for token in newer] == [True]


def test_an_empty_version_is_not_promoted_on_the_strength_of_an_orphan(make_world: Callable[..., World]) -> None:
    """The answer to making a token was lost: it is active and labelled for the version, but nobody knows its value."""
    world = make_world()
    world.hold_before = "setSecret"
    world.wire.faults.append(Fault(7, FaultKind.LOST_AFTER))
    world.aws.engine.attempts = 1
    world.rotate()
    before = world.state()

    with pytest.raises(FunctionError, match="PendingTokenUnusable: .*empty"):
        world.function.invoke(event(world))

    assert world.state() == before


def test_a_dead_token_is_not_promoted_on_the_strength_of_an_orphan(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.wire.faults.append(Fault(7, FaultKind.LOST_AFTER))
    ready_to_finish(world)
    value = world.aws.value(world.secret_arn, "AWSPENDING")
    next(token for token in world.hub.tokens.values() if token.value == value).active = False

    with pytest.raises(FunctionError, match="PendingTokenUnusable"):
        world.function.invoke(event(world))

    assert world.hub.authenticates(world.current_token())


@pytest.mark.parametrize("rotated", [False, True], ids=["a hand-made token", "a token of ours"])
def test_a_value_that_was_only_reshaped_by_hand_keeps_its_token(
    make_world: Callable[..., World], rotated: bool
) -> None:
    """AWSCURRENT and AWSPREVIOUS then hold the same token, which is not superseded."""
    world = make_world()
    world.rotate()
    token = world.current_token() if rotated else world.hub.add_token("by hand").value
    for value in ([] if rotated else [token]) + [f'{{"username": "acme", "password": "{token}"}}']:
        world.client.put_secret_value(SecretId=world.secret_arn, SecretString=value)

    world.function.invoke(event(world, "AWSCURRENT"))

    assert world.hub.authenticates(token)


def test_a_try_that_runs_late_goes_by_the_labels_as_they_are_when_it_has_listed_the_tokens(
    make_world: Callable[..., World],
) -> None:
    """Between reading the labels and retiring, a person moves AWSCURRENT back."""

    def roll_back(request: Request) -> None:
        if late and request.name == "DescribeSecret":
            late.clear()
            move_awscurrent_back(world)
            next(t for t in world.hub.tokens.values() if t.value == world.current_token()).active = True

    late: list[bool] = []
    world = make_world(on_request=roll_back)
    world.rotate()
    late.append(True)

    with pytest.raises(
        FunctionError, match="EventRefused: .*promoted, and then AWSCURRENT was moved to another version"
    ):
        world.function.invoke(event(world, "AWSCURRENT"))

    assert world.hub.authenticates(world.current_token())


def test_one_token_that_cannot_be_changed_does_not_keep_the_others(make_world: Callable[..., World]) -> None:
    world = make_world()
    first = hand_made(world)
    world.rotate()
    world.hub.faults.append(HubFault("PATCH", "/v2/access-tokens/*", 400, {"message": "no", "errinfo": {}}))

    events = world.rotate()

    assert events == ["RotationStarted", "RotationFailed", "RotationSucceeded"]
    finished = [run for run in world.steps if run.step == "finishSecret"]
    assert first.uuid not in finished[-2].after.tokens
    assert ours(world) == {label_holder(world, "AWSCURRENT"): True, label_holder(world, "AWSPREVIOUS"): False}


def asked_in_a_fresh_sandbox(make_world: Callable[..., World], fault: HubFault) -> tuple[World, Token]:
    """Return a world in which the login that tells which token is superseded meets a fault, and that token.

    A sandbox that has served createSecret knows it already.
    """

    def answer_badly(request: Request) -> None:
        if request.name == "UpdateSecretVersionStage":
            world.hub.faults.append(fault)

    world = ready_to_finish(make_world(on_request=answer_badly))
    world.function.discard()
    return world, hand_made(world)


def test_a_superseded_token_is_not_taken_for_dead_because_of_a_firewall(
    make_world: Callable[..., World], clock: Any
) -> None:
    page = HubFault("POST", "/v2/auth/token", 403, "<html>Forbidden</html>")
    world, first = asked_in_a_fresh_sandbox(make_world, page)

    with pytest.raises(FunctionError, match="RetirementFailed: .* the answer 403 holds no JSON"):
        world.function.invoke(event(world))
    assert first.active
    world.function.invoke(event(world, "AWSCURRENT"))

    assert not first.active


def test_a_lockout_while_retiring_is_reported_as_affecting_consumers(make_world: Callable[..., World]) -> None:
    locked = HubFault("POST", "/v2/auth/token", 429, {"detail": "toomanyrequests: too many failed login attempts"})
    world, _ = asked_in_a_fresh_sandbox(make_world, locked)

    with pytest.raises(FunctionError, match="RetirementFailed") as raised:
        world.function.invoke(event(world))

    assert isinstance(raised.value.__cause__, RetirementFailed)
    assert raised.value.__cause__.consumers_affected


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_web_page_is_not_taken_for_a_token_retired(
    make_world: Callable[..., World], method: str, status: int
) -> None:
    world = make_world()
    first = hand_made(world)
    if method == "DELETE":
        world.rotate()
    world.hub.faults.append(HubFault(method, "/v2/access-tokens/*", status, "<html>Be right back</html>"))

    events = world.rotate()

    assert events == ["RotationStarted", "RotationFailed", "RotationSucceeded"]
    assert not first.active
    if method == "DELETE":
        assert first.uuid not in world.hub.tokens  # its label says that an earlier rotation has disabled it
    assert ours(world) == {label_holder(world, "AWSCURRENT"): True, label_holder(world, "AWSPREVIOUS"): False}


def counted(world: World) -> dict[str, int]:
    """Read from the log how many tokens the last finishSecret has retired, deleted as orphans, and not identified."""
    line = next(line for line in reversed(world.function.log().splitlines()) if "TokensRetired" in line)
    return {name: json.loads(line)[f"Tokens{name}"][0] for name in ("Retired", "Unidentified")} | {
        "Orphans": json.loads(line)["OrphansDeleted"][0]
    }


def test_what_was_retired_is_counted(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.rotate()
    assert counted(world) == {"Retired": 1, "Orphans": 0, "Unidentified": 0}  # the hand-made one is disabled

    world.hub.faults.append(HubFault("POST", "/v2/access-tokens", 503, after_effect=True))
    world.rotate()  # one is disabled and one deleted; and one of which nobody knows the value
    assert counted(world) == {"Retired": 2, "Orphans": 1, "Unidentified": 0}

    world.rotate()
    assert counted(world) == {"Retired": 2, "Orphans": 0, "Unidentified": 0}


def test_each_stored_value_whose_token_is_not_found_is_counted(make_world: Callable[..., World]) -> None:
    """The superseded token is disabled already, and the label of the new one was changed by hand."""
    world = ready_to_finish(make_world())
    world.function.discard()
    hand_made(world).active = False
    world.hub.jwt_names_source = False
    next(t for t in world.hub.tokens.values() if t.value == world.aws.value(world.secret_arn, "AWSPENDING")).label = "x"

    world.function.invoke(event(world))

    assert counted(world) == {"Retired": 0, "Orphans": 0, "Unidentified": 2}
    assert f"(version {label_holder(world, 'AWSPREVIOUS')}) is not one that the account's list" in world.function.log()
    assert f"version {label_holder(world, 'AWSCURRENT')} holds can't be told" in world.function.log()


def test_a_superseded_placeholder_is_no_token_to_look_for(make_world: Callable[..., World]) -> None:
    world = make_world(Scene(placeholder=True))

    world.rotate()

    assert counted(world) == {"Retired": 0, "Orphans": 0, "Unidentified": 0}
    assert {request.status for request in world.hub.requests if request.path == "/v2/auth/token"} == {200}


def test_a_superseded_placeholder_does_not_keep_the_current_value_from_being_asked(
    make_world: Callable[..., World],
) -> None:
    """The label of the new token was changed by hand, so its value has to tell that what is older can go."""
    world = make_world(Scene(placeholder=True))
    abandoned = world.hub.add_token(label_for(world.secret_arn, "99999999-2222-4333-8444-555555555555"))
    ready_to_finish(world)
    next(t for t in world.hub.tokens.values() if t.value == world.aws.value(world.secret_arn, "AWSPENDING")).label = "x"

    world.function.invoke(event(world))

    assert abandoned.uuid not in world.hub.tokens
    assert world.hub.authenticates(world.current_token())


def test_a_superseded_value_that_cannot_be_read_is_left_without_a_login(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.rotate()
    for value in ('{"password": "broken"', world.current_token()):
        world.client.put_secret_value(SecretId=world.secret_arn, SecretString=value)
    asked = len(world.hub.requests)

    world.function.invoke(event(world, "AWSCURRENT"))

    assert world.hub.authenticates(world.current_token())
    assert counted(world)["Unidentified"] == 1
    assert [r.status for r in world.hub.requests[asked:] if r.path == "/v2/auth/token" and r.status != 200] == []


def test_of_two_tokens_for_a_version_that_is_still_empty_neither_is_touched(make_world: Callable[..., World]) -> None:
    """The answers to making them were lost, and the last rotation's finishSecret runs once more."""
    world = make_world()
    world.rotate()
    world.hub.faults += [HubFault("POST", "/v2/access-tokens", 503, after_effect=True)] * 5
    world.rotate()
    before = world.state()
    assert world.aws.value(world.secret_arn, "AWSPENDING") is None

    world.function.invoke(event(world, "AWSCURRENT"))

    assert world.state() == before
