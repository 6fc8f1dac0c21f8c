"""testSecret, case by case: what it accepts, what it mends, and what it says when it can't."""

import re
import shlex
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import jwt
import pytest

from dockerhub_rotation.token_labels import label_for
from rehearsal.docker_hub import Fault, Standing
from rehearsal.docker_hub import Token as HubToken
from rehearsal.sandbox import FunctionError
from rehearsal.world import FUNCTION_ARN, PLACEHOLDER, REPOSITORY, Scene, Shape, World

UNAUTHORIZED = Fault("POST", "/v2/auth/token", 401, {"message": "unauthorized", "errinfo": {}})


def event(world: World) -> dict[str, object]:
    pending = next(v for v, labels in world.aws.labels(world.secret_arn).items() if "AWSPENDING" in labels)
    return {"Step": "testSecret", "SecretId": world.secret_arn, "ClientRequestToken": pending}


def staged(world: World) -> World:
    """Bring a world to where testSecret begins."""
    world.hold_before = "testSecret"
    world.rotate()
    return world


def pending_token(world: World) -> HubToken:
    value = world.aws.value(world.secret_arn, "AWSPENDING")
    return next(token for token in world.hub.tokens.values() if token.value == value)


@pytest.mark.parametrize("shape", list(Shape))
def test_a_staged_token_that_works_passes_and_nothing_changes(make_world: Callable[..., World], shape: Shape) -> None:
    world = staged(make_world(Scene(shape=shape)))
    before = world.state()

    world.function.invoke(event(world))

    assert world.state() == before


def test_a_staged_token_that_was_disabled_by_hand_is_enabled(make_world: Callable[..., World], clock: Any) -> None:
    world = staged(make_world())
    pending_token(world).active = False

    world.function.invoke(event(world))

    assert pending_token(world).active


def test_a_staged_token_is_known_also_where_its_label_shortens_the_id_of_its_version(
    make_world: Callable[..., World], clock: Any
) -> None:
    """Somebody has staged a superseded version again, whose label says since when it does not work."""
    world, version = make_world(), "a-version-id-of-64-characters-" + "x" * 34
    world.hold_before = "testSecret"
    world.rotate(ClientRequestToken=version)
    staged = pending_token(world)
    staged.active, staged.label = False, label_for(world.secret_arn, version, world.now())

    world.function.invoke(event(world))

    assert staged.active


@pytest.mark.parametrize(("refusals", "passes"), [(0, True), (10, False)])
def test_a_token_that_was_disabled_when_not_fresh_any_more_is_enabled_and_tried_once_more(
    make_world: Callable[..., World], clock: Any, refusals: int, passes: bool
) -> None:
    world = staged(make_world())
    clock.tick(60)
    pending_token(world).active = False
    world.hub.faults += [UNAUTHORIZED] * refusals

    with nullcontext() if passes else pytest.raises(FunctionError, match="PendingTokenUnusable"):
        world.function.invoke(event(world))

    assert pending_token(world).active
    assert clock.sleeps == [3]


def test_a_fresh_token_that_is_refused_at_first_is_tried_again_slowly(
    make_world: Callable[..., World], clock: Any
) -> None:
    world = staged(make_world())
    world.hub.faults += [UNAUTHORIZED, UNAUTHORIZED]

    world.function.invoke(event(world))

    assert world.hub.faults == []
    assert clock.sleeps == [3, 9]


def test_a_fresh_token_that_is_never_let_in_fails_after_three_tries(
    make_world: Callable[..., World], clock: Any
) -> None:
    world = staged(make_world())
    world.hub.faults += [UNAUTHORIZED] * 10

    with pytest.raises(FunctionError, match="PendingTokenUnusable: .*does not let in"):
        world.function.invoke(event(world))

    assert len(world.hub.faults) == 7


def test_a_listed_token_that_is_never_let_in_locks_nobody_out_however_often_the_rotation_is_repeated(
    make_world: Callable[..., World], clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world()
    looked_up = world.hub._standing

    def standing(*asked: Any, **how: Any) -> HubToken | Standing:
        found = looked_up(*asked, **how)
        new = isinstance(found, HubToken) and found.label.startswith("dockerhub-rotation/")
        return Standing.WRONG if new else found

    monkeypatch.setattr(world.hub, "_standing", standing)

    events = world.rotate()

    assert events == ["RotationStarted"] + ["RotationFailed"] * 5
    assert [request.status for request in world.hub.requests].count(401) == 3 + 1 + 1 + 1 + 1
    assert clock.sleeps == [3, 9]
    assert world.hub.authenticates(world.current_token())


def test_enabling_a_token_waits_for_a_one_time_code_that_create_secret_has_not_used(
    make_world: Callable[..., World], clock: Any
) -> None:
    world = staged(make_world(Scene(two_factor=True, cold=True)))
    pending_token(world).active = False

    world.function.invoke(event(world))

    assert pending_token(world).active
    codes = [request.status for request in world.hub.requests if request.path == "/v2/users/2fa-login"]
    assert codes == [200, 200]


def test_a_fresh_token_is_tried_again_also_when_the_list_had_to_wait_for_a_one_time_code(
    make_world: Callable[..., World], clock: Any
) -> None:
    world = staged(make_world(Scene(two_factor=True, cold=True)))
    world.hub.faults += [UNAUTHORIZED]

    world.function.invoke(event(world))

    assert clock.sleeps == [15, 3]


def test_a_staged_token_that_was_deleted_is_reported_with_the_commands_that_unblock_the_rotation(
    make_world: Callable[..., World],
) -> None:
    world = staged(make_world())
    del world.hub.tokens[pending_token(world).uuid]

    with pytest.raises(FunctionError, match="PendingTokenUnusable") as raised:
        world.function.invoke(event(world))

    (plain,) = re.findall("without a clone: `(.*?)`", str(raised.value))
    world.hold_before = None
    for typed in plain.split("; "):
        world.aws_cli(*shlex.split(typed)[1:])
    world.aws.wait()
    assert world.aws.events[-1].name == "RotationSucceeded"
    assert world.hub.authenticates(world.current_token())


def test_a_dead_pending_value_of_a_secret_without_a_current_one_is_no_copy_of_it(
    make_world: Callable[..., World],
) -> None:
    """Somebody has stored it by hand, in the version that createSecret has refused to fill."""
    world = make_world()
    empty = world.client.create_secret(Name="without-a-value")["ARN"]
    world.client.rotate_secret(SecretId=empty, RotationLambdaARN=FUNCTION_ARN)
    world.aws.wait()
    (pending,) = world.aws.labels(empty)
    world.client.put_secret_value(
        SecretId=empty, SecretString="dckr_pat_dead", ClientRequestToken=pending, VersionStages=["AWSPENDING"]
    )

    with pytest.raises(FunctionError, match=f"PendingTokenUnusable: .*--remove-from-version-id {pending}"):
        world.function.invoke({"Step": "testSecret", "SecretId": empty, "ClientRequestToken": pending})


def test_an_empty_pending_version_is_refused_with_what_to_do(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.hold_before = "createSecret"
    world.rotate()

    with pytest.raises(FunctionError, match="PendingTokenUnusable: .*staged but empty.*createSecret"):
        world.function.invoke(event(world))


@pytest.mark.parametrize("scope", ["repo:public_read", "repo:read", "repo:admin"])
def test_alone_on_a_copy_of_a_hand_made_token_it_passes_whatever_the_tokens_scope(
    make_world: Callable[..., World], scope: str
) -> None:
    world = make_world()
    hand_made = next(token for token in world.hub.tokens.values() if token.label == "made by hand")
    hand_made.scopes = (scope,)
    before = world.state()

    events = world.rotate(RotateImmediately=False)

    assert events == ["TestRotationStarted", "TestRotationSucceeded"]
    assert [run.step for run in world.steps] == ["testSecret"]
    assert world.state() == before


def test_alone_on_a_copy_of_a_dead_token_it_says_that_consumers_are_affected(make_world: Callable[..., World]) -> None:
    world = make_world()
    hand_made = next(token for token in world.hub.tokens.values() if token.label == "made by hand")
    hand_made.active = False

    events = world.rotate(RotateImmediately=False)

    assert events == ["TestRotationStarted", "TestRotationFailed"]
    assert "consumers can't log in" in (world.steps[0].error or "")
    assert not hand_made.active


def test_alone_on_a_copy_of_a_dead_token_it_says_so_even_if_nothing_else_works(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    next(token for token in world.hub.tokens.values() if token.label == "made by hand").active = False
    world.aws.put_parameter("DOCKER_HUB_PASSWORD", "an old password")

    world.rotate(RotateImmediately=False)

    assert "consumers can't log in" in (world.steps[0].error or "")
    assert '"consumers_affected":true' in world.function.log()


def test_alone_on_a_copy_of_a_placeholder_it_asks_for_a_rotation_and_burns_no_login(
    make_world: Callable[..., World],
) -> None:
    world = make_world(Scene(placeholder=True))

    events = world.rotate(RotateImmediately=False)

    assert events == ["TestRotationStarted", "TestRotationFailed"]
    assert "rotate-secret" in (world.steps[0].error or "")
    assert PLACEHOLDER not in (world.steps[0].error or "")
    assert "consumers" not in (world.steps[0].error or "")
    assert "--remove-from-version-id" not in (world.steps[0].error or "")
    assert '"consumers_affected":false' in world.function.log()
    assert world.hub.requests == []


def test_with_a_probe_repository_the_token_must_be_granted_what_its_scopes_promise(
    make_world: Callable[..., World],
) -> None:
    probe = {"DOCKERHUB_PROBE_REPOSITORY": REPOSITORY, "DOCKERHUB_TOKEN_SCOPES": "repo:write"}
    world = staged(make_world(Scene(environment=probe)))
    world.function.invoke(event(world))
    assert ("GET", "/v2/", 200) in world.hub.requests

    world.hub.repositories = {REPOSITORY: {"pull"}}
    with pytest.raises(FunctionError, match=f"DockerHubRefused: .*pull and push on {REPOSITORY}"):
        world.function.invoke(event(world))


def test_with_a_probe_repository_a_token_with_too_small_a_scope_is_refused(make_world: Callable[..., World]) -> None:
    """The login at the Hub does not say what the token may do."""
    probe = {"DOCKERHUB_PROBE_REPOSITORY": REPOSITORY, "DOCKERHUB_TOKEN_SCOPES": "repo:write"}
    world = staged(make_world(Scene(environment=probe)))
    pending_token(world).scopes = ("repo:read",)
    claims = {"https://hub.docker.com": {"username": world.hub.username}}
    terse = jwt.encode(claims, "key-of-at-least-thirty-two-bytes!", "HS256")
    world.hub.faults.append(Fault("POST", "/v2/auth/token", 200, {"access_token": terse}))

    with pytest.raises(FunctionError, match="DockerHubRefused: .*not granted pull and push"):
        world.function.invoke(event(world))


@pytest.mark.parametrize("probe", [{}, {"DOCKERHUB_PROBE_REPOSITORY": REPOSITORY}])
def test_a_staged_token_that_may_do_less_than_configured_is_refused_with_the_commands_that_unblock_the_rotation(
    make_world: Callable[..., World], probe: dict[str, str]
) -> None:
    """Its scopes were set when it was made: to mend the setting is not enough."""
    world = staged(make_world(Scene(environment={"DOCKERHUB_TOKEN_SCOPES": "repo:read repo:write"} | probe)))
    pending_token(world).scopes = ("repo:read",)

    with pytest.raises(
        FunctionError,
        match=r"PendingTokenUnusable: .*less than .* \(repo:read, repo:write\).*--remove-from-version-id",
    ):
        world.function.invoke(event(world))


def test_a_token_of_another_account_is_refused(make_world: Callable[..., World]) -> None:
    world = staged(make_world())
    claims = {"https://hub.docker.com": {"username": "somebody", "source": "docker_pat|1"}}
    stranger = jwt.encode(claims, "key-of-at-least-thirty-two-bytes!", "HS256")
    world.hub.faults.append(Fault("POST", "/v2/auth/token", 200, {"access_token": stranger}))

    with pytest.raises(FunctionError, match="PendingTokenUnusable: .*another account"):
        world.function.invoke(event(world))


def test_alone_on_a_copy_of_a_token_of_another_account_it_asks_for_a_rotation(make_world: Callable[..., World]) -> None:
    world = make_world()
    claims = {"https://hub.docker.com": {"username": "somebody", "source": "docker_pat|1"}}
    stranger = jwt.encode(claims, "key-of-at-least-thirty-two-bytes!", "HS256")
    world.hub.faults.append(Fault("POST", "/v2/auth/token", 200, {"access_token": stranger}))

    world.rotate(RotateImmediately=False)

    assert f"rotate-secret --secret-id {world.secret_arn} " in (world.steps[0].error or "")
    assert "--remove-from-version-id" not in (world.steps[0].error or "")  # without it the current value is as bad
    assert '"consumers_affected":false' in world.function.log()


def test_a_token_that_the_registry_alone_refuses_does_not_pass(make_world: Callable[..., World], clock: Any) -> None:
    world = staged(make_world())
    world.hub.faults += [Fault("GET", "/token", 401, {"details": "incorrect username or password"})] * 4

    with pytest.raises(FunctionError, match="PendingTokenUnusable"):
        world.function.invoke(event(world))


def test_nothing_is_written_at_aws_whatever_happens(make_world: Callable[..., World], clock: Any) -> None:
    world = staged(make_world())
    world.hub.faults += [UNAUTHORIZED]
    asked = len(world.wire.requests)

    world.function.invoke(event(world))

    names = {request.name for request in world.wire.requests[asked:] if request.party == "AWS"}
    assert names <= {"DescribeSecret", "GetSecretValue", "GetParameters"}


def test_a_token_that_is_refused_and_not_fresh_is_tried_once_for_refused_logins_lock_the_account(
    make_world: Callable[..., World], clock: Any
) -> None:
    world = staged(make_world())
    expired = pending_token(world)
    expired.expires_at = expired.created_at + timedelta(minutes=1)
    clock.tick(600)

    with pytest.raises(FunctionError, match="PendingTokenUnusable: .*--remove-from-version-id"):
        world.function.invoke(event(world))

    assert [request.status for request in world.hub.requests if request.path == "/v2/auth/token"].count(401) == 1


def test_alone_on_a_hand_made_token_the_probe_asks_nothing_that_only_new_tokens_must_do(
    make_world: Callable[..., World],
) -> None:
    probe = {"DOCKERHUB_PROBE_REPOSITORY": REPOSITORY, "DOCKERHUB_TOKEN_SCOPES": "repo:write"}
    world = make_world(Scene(environment=probe))
    next(token for token in world.hub.tokens.values() if token.label == "made by hand").scopes = ("repo:read",)

    assert world.rotate(RotateImmediately=False) == ["TestRotationStarted", "TestRotationSucceeded"]


def test_alone_on_a_hand_made_token_the_probe_asks_nothing_of_what_the_account_may_do(
    make_world: Callable[..., World],
) -> None:
    probe = {"DOCKERHUB_PROBE_REPOSITORY": REPOSITORY, "DOCKERHUB_TOKEN_SCOPES": "repo:write"}
    world = make_world(Scene(environment=probe))
    next(token for token in world.hub.tokens.values() if token.label == "made by hand").scopes = ("repo:write",)
    world.hub.repositories = {REPOSITORY: {"pull"}}

    assert world.rotate(RotateImmediately=False) == ["TestRotationStarted", "TestRotationSucceeded"]
