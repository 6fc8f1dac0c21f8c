"""createSecret, case by case: what becomes of tokens and versions."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from rehearsal.docker_hub import Fault as HubFault
from rehearsal.sandbox import Function, FunctionError
from rehearsal.wire import Fault, FaultKind, Request
from rehearsal.world import FUNCTION_ARN, Scene, Shape, World, token_in


def event(world: World) -> dict[str, object]:
    pending = next(v for v, labels in world.aws.labels(world.secret_arn).items() if "AWSPENDING" in labels)
    return {"Step": "createSecret", "SecretId": world.secret_arn, "ClientRequestToken": pending}


def held_before_create(world: World) -> None:
    """A pending version without a value: where createSecret begins."""
    world.hold_before = "createSecret"
    world.rotate()


def ours(world: World) -> list[str]:
    """The tokens that the function has made, by value."""
    return [token.value for token in world.hub.tokens.values() if token.label.startswith("dockerhub-rotation/")]


def staged(world: World) -> str | None:
    return world.aws.value(world.secret_arn, "AWSPENDING")


def test_a_pending_version_with_a_value_is_left_as_it_is(make_world: Callable[..., World]) -> None:
    world = make_world()
    held_before_create(world)
    world.function.invoke(event(world))
    before = world.state(), staged(world)

    world.function.invoke(event(world))

    assert (world.state(), staged(world)) == before
    assert len(ours(world)) == 1


@pytest.mark.parametrize("shape", list(Shape))
def test_an_empty_pending_version_gets_a_new_token_and_the_shape_of_the_current_value(
    make_world: Callable[..., World], shape: Shape
) -> None:
    world = make_world(Scene(shape=shape))
    held_before_create(world)

    world.function.invoke(event(world))

    value = staged(world)
    assert value is not None
    assert [token_in(value)] == ours(world)
    assert value == shape.compose("acme", ours(world)[0])


def test_the_new_token_is_labelled_for_this_secret_and_version_and_has_the_configured_scopes(
    make_world: Callable[..., World],
) -> None:
    world = make_world(Scene(environment={"DOCKERHUB_TOKEN_SCOPES": "repo:write repo:read"}))
    held_before_create(world)

    world.function.invoke(event(world))

    made = next(token for token in world.hub.tokens.values() if token.value in ours(world))
    assert made.label.endswith(f"/{event(world)['ClientRequestToken']}")
    assert len(made.label) <= 100
    assert made.scopes == ("repo:write", "repo:read")
    assert made.creator_ua.startswith("dockerhub-rotation/")


@pytest.mark.parametrize("faults", [(), (Fault(8, FaultKind.LOST_BEFORE),), (Fault(8, FaultKind.LOST_AFTER),)])
def test_when_a_twin_has_stored_its_token_ours_is_deleted(
    make_world: Callable[..., World], faults: tuple[Fault, ...]
) -> None:
    """Also when the first answer to storing is lost: the twin's token is the stored one all the same."""

    def twin(request: Request) -> None:
        if request.name == "POST /v2/access-tokens":
            world.client.put_secret_value(
                SecretId=world.secret_arn,
                ClientRequestToken=str(event(world)["ClientRequestToken"]),
                SecretString=world.hub.add_token("the twin's").value,
                VersionStages=["AWSPENDING"],
            )

    world = make_world(Scene(faults=faults), on_request=twin)
    held_before_create(world)

    world.function.invoke(event(world))

    assert world.hub.authenticates(staged(world) or "")
    assert ours(world) == []


def test_when_storing_is_refused_the_token_is_deleted_and_the_error_names_the_permissions(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    held_before_create(world)
    world.aws.refuse["PutSecretValue"] = ("AccessDeniedException", "Access to KMS is not allowed")

    with pytest.raises(FunctionError, match="AwsRefused: secretsmanager:PutSecretValue .*kms:GenerateDataKey"):
        world.function.invoke(event(world))

    assert ours(world) == []
    assert staged(world) is None


def test_when_neither_storing_nor_deleting_works_the_orphan_goes_with_the_next_rotation(
    make_world: Callable[..., World], clock: Any
) -> None:
    world = make_world()
    held_before_create(world)
    world.aws.refuse["PutSecretValue"] = ("AccessDeniedException", "Access to KMS is not allowed")
    world.hub.faults += [HubFault("DELETE", "/v2/access-tokens/*", 503)] * 4
    with pytest.raises(FunctionError, match="AwsRefused"):
        world.function.invoke(event(world))
    orphan = ours(world)
    assert len(orphan) == 1

    world.aws.refuse.clear()
    world.hold_before = None
    world.aws.retry(world.secret_arn)
    world.aws.wait()

    assert ours(world) != orphan
    assert world.hub.authenticates(world.current_token())
    assert sum(world.hub.authenticates(value) for value in ours(world)) == 1


def test_when_it_is_unknown_whether_the_value_was_stored_the_stored_token_stays_and_is_rotated_in(
    make_world: Callable[..., World], clock: Any
) -> None:
    """AWS stores the value at the first of three tries, and every answer is lost."""
    world = make_world(Scene(faults=tuple(Fault(at, FaultKind.UNAVAILABLE_AFTER) for at in (8, 9, 10))))

    events = world.rotate()

    assert events == ["RotationStarted", "RotationFailed", "RotationSucceeded"]
    assert [request.name for request in world.wire.requests[7:10]] == ["PutSecretValue"] * 3
    assert [request.name for request in world.wire.requests].count("POST /v2/access-tokens") == 1
    assert [value for value in ours(world) if world.hub.authenticates(value)] == [world.current_token()]


def test_when_it_is_unknown_whether_the_value_was_stored_and_it_was_not_the_orphan_goes_with_the_next_attempt(
    make_world: Callable[..., World],
) -> None:
    world = make_world(Scene(faults=(Fault(8, FaultKind.HTML),)))

    events = world.rotate()

    assert events == ["RotationStarted", "RotationFailed", "RotationSucceeded"]
    assert world.wire.requests[7].name == "PutSecretValue"
    assert [run.error is None for run in world.steps] == [False, True, True, True, True]
    assert world.hub.authenticates(world.current_token())
    assert sum(world.hub.authenticates(value) for value in ours(world)) == 1


def test_a_lost_answer_to_storing_is_asked_again_by_itself_and_harmless(make_world: Callable[..., World]) -> None:
    world = make_world(Scene(faults=(Fault(8, FaultKind.LOST_AFTER),)))

    events = world.rotate()

    assert events == ["RotationStarted", "RotationSucceeded"]
    assert [request.name for request in world.wire.requests[7:9]] == ["PutSecretValue", "PutSecretValue"]
    assert sum(world.hub.authenticates(value) for value in ours(world)) == 1


@pytest.mark.parametrize(
    ("kind", "orphans"), [(FaultKind.KILLED_BEFORE, 1), (FaultKind.KILLED_AFTER, 0)], ids=lambda value: str(value)
)
def test_a_process_killed_while_storing_leaves_at_most_an_orphan_which_finish_secret_deletes(
    make_world: Callable[..., World], kind: FaultKind, orphans: int
) -> None:
    world = make_world(Scene(faults=(Fault(8, kind),)), run_function=Function)

    world.rotate()

    made = sum(request.name == "POST /v2/access-tokens" for request in world.wire.requests)
    assert made == 1 + orphans
    assert world.hub.authenticates(world.current_token())
    assert [token_in(world.current_token())] == [value for value in ours(world) if world.hub.authenticates(value)]


@pytest.mark.parametrize("kind", [FaultKind.LOST_AFTER, FaultKind.UNAVAILABLE_AFTER, FaultKind.HTML])
def test_making_a_token_is_not_repeated_when_its_answer_is_lost(
    make_world: Callable[..., World], kind: FaultKind
) -> None:
    world = make_world(Scene(faults=(Fault(7, kind),)))
    world.hub.add_token("unused")
    held_before_create(world)

    with pytest.raises(FunctionError, match="DockerHubUnavailable: Creating a token"):
        world.function.invoke(event(world))

    assert [request.name for request in world.wire.requests].count("POST /v2/access-tokens") == 1
    assert staged(world) is None


@pytest.mark.parametrize(
    ("value", "error"),
    [
        pytest.param('{"username": "acme", "password": "a", "accessToken": "b"}', "different values", id="two tokens"),
        pytest.param('{"user": "acme", "secret": "a"}', "without a place", id="no known key"),
        pytest.param('{"username": "somebody", "password": "a"}', "not that of the account", id="other account"),
        pytest.param('{"password": 5}', "is not a text", id="number"),
        pytest.param('["a"]', "not an object", id="list"),
        pytest.param('{"password": "a"', "can't be read", id="broken"),
    ],
)
def test_a_value_that_cannot_be_kept_in_shape_is_refused_before_anything_has_changed(
    make_world: Callable[..., World], value: str, error: str
) -> None:
    world = make_world()
    world.client.put_secret_value(SecretId=world.secret_arn, SecretString=value)
    held_before_create(world)
    before = world.state()

    with pytest.raises(FunctionError, match=f"SecretUnusable: .*{error}"):
        world.function.invoke(event(world))

    assert world.state() == before
    assert world.hub.requests == []


def test_a_secret_without_a_current_value_is_refused_before_anything_has_changed(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    empty = world.client.create_secret(Name="without-a-value")["ARN"]
    world.client.rotate_secret(SecretId=empty, RotationLambdaARN=FUNCTION_ARN)
    world.aws.wait()

    assert "SecretUnusable: The secret has no current value" in (world.steps[0].error or "")
    assert world.hub.requests == []


def test_a_binary_value_is_refused_before_anything_has_changed(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.client.put_secret_value(SecretId=world.secret_arn, SecretBinary=b"dckr_pat_binary")
    held_before_create(world)

    with pytest.raises(FunctionError, match="SecretUnusable: The secret is binary"):
        world.function.invoke(event(world))

    assert world.hub.requests == []


def test_what_is_not_the_token_stays_with_its_order_and_types(make_world: Callable[..., World]) -> None:
    world = make_world()
    value = '{"z": 1, "username": "ACME", "a": [null, true, 1.5, {"password": "nested"}], "token": "x", "ü": "é"}'
    world.client.put_secret_value(SecretId=world.secret_arn, SecretString=value)
    held_before_create(world)

    world.function.invoke(event(world))

    now = staged(world)
    assert now == value.replace('"x"', json.dumps(ours(world)[0]))
