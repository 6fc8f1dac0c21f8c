"""What testSecret makes of a login that tells small scopes, and of a refusal of a token that may be too fresh."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from rehearsal.docker_hub import Fault, Standing, Token, personal_tokens
from rehearsal.sandbox import FunctionError
from rehearsal.world import Scene, World
from tests.rotation.conftest import FunctionHere
from tests.rotation.seen import asked, event, holder, ours, token_under, warnings

UNAUTHORIZED = Fault("POST", "/v2/auth/token", 401, {"message": "unauthorized", "errinfo": {}})
HOUR = 3600


def ready_to_test(world: World) -> World:
    """Bring a world to where testSecret begins."""
    world.hold_before = "testSecret"
    world.rotate()
    return world


# A fresh token


def set_docker_hubs_clock(world: World, ahead: float) -> None:
    world.hub.clock = lambda: time.time() + ahead
    world.hub._last_created = datetime.fromtimestamp(world.hub.clock(), UTC)  # what is made next is not older than this


@pytest.mark.parametrize("ahead", [-HOUR, 0, HOUR])
def test_a_token_is_fresh_by_docker_hubs_clock_and_is_tried_again_slowly(
    make_world: Callable[..., World], clock: Any, ahead: float
) -> None:
    world = make_world()
    set_docker_hubs_clock(world, ahead)
    ready_to_test(world)
    clock.tick(5)
    world.hub.faults += [UNAUTHORIZED] * 2

    world.function.invoke(event(world, "testSecret"))

    assert world.hub.faults == []
    assert clock.sleeps == [3, 9]


@pytest.mark.parametrize("ahead", [-HOUR, 0, HOUR])
@pytest.mark.parametrize("age", [60, HOUR])
def test_a_token_that_is_old_by_docker_hubs_clock_is_tried_once_for_refused_logins_lock_the_account(
    make_world: Callable[..., World], clock: Any, ahead: float, age: float
) -> None:
    """An hour is when a token of a clock that is an hour off would look fresh."""
    world = make_world(Scene(environment={"DOCKERHUB_LOGIN": "users-login"}))
    set_docker_hubs_clock(world, ahead)
    ready_to_test(world)
    clock.tick(age)
    world.hub.faults += [UNAUTHORIZED] * 3

    with pytest.raises(FunctionError, match="PendingTokenUnusable: .*does not let in"):
        world.function.invoke(event(world, "testSecret"))

    assert len(world.hub.faults) == 2
    assert clock.sleeps == []


# A login that tells small scopes


def let_logins_tell(world: World, monkeypatch: pytest.MonkeyPatch, *scopes: str) -> None:
    """Let the login with any token tell these scopes, whatever the token may do."""
    issue = world.hub._hub_jwt

    def issue_less(login: Token | Standing, lifetime: float) -> str:
        return issue(replace(login, scopes=scopes) if isinstance(login, Token) else login, lifetime)

    monkeypatch.setattr(world.hub, "_hub_jwt", issue_less)


@pytest.mark.parametrize("listed", [["repo:read"], ["repo:admin"], ["scope-image-pull"], [], None])
def test_a_login_that_tells_less_than_the_token_was_made_with_is_believed_and_warned_of(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, listed: list[str] | None
) -> None:
    """To drop the token would bring another one like it, for ever."""
    world = make_world()
    let_logins_tell(world, monkeypatch, "repo:public_read")
    body = personal_tokens.token_body
    monkeypatch.setattr(personal_tokens, "token_body", lambda *token: body(*token) | {"scopes": listed})

    assert world.rotate() == ["RotationStarted", "RotationSucceeded"]

    assert ours(world) == {holder(world, "AWSCURRENT"): True, holder(world, "AWSPREVIOUS"): False}
    assert token_under(world).label.endswith(holder(world, "AWSCURRENT"))
    (said,) = warnings(world)
    assert "login tells smaller scopes than repo:read" in said
    assert "DOCKERHUB_COMPARE_SCOPES=false" in said


def test_with_the_comparison_switched_off_small_scopes_are_not_looked_at(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(environment={"DOCKERHUB_COMPARE_SCOPES": "false", "DOCKERHUB_TOKEN_SCOPES": "repo:write"})
    world = ready_to_test(make_world(scene))
    let_logins_tell(world, monkeypatch, "repo:public_read")
    token_under(world, "AWSPENDING").scopes = ("repo:public_read",)
    since = len(world.wire.requests)

    world.function.invoke(event(world, "testSecret"))

    assert asked(world, since) == ["POST /v2/auth/token", "GET /token"]
    assert warnings(world) == []


def test_a_token_made_before_the_scopes_were_widened_is_dropped_as_the_message_says_and_the_next_one_has_them(
    make_world: Callable[..., World],
) -> None:
    world = ready_to_test(make_world())
    small = token_under(world, "AWSPENDING")
    function = world.function
    assert isinstance(function, FunctionHere)
    function._environment["DOCKERHUB_TOKEN_SCOPES"] = "repo:read repo:write"
    function.discard()

    with pytest.raises(FunctionError, match="PendingTokenUnusable") as raised:
        function.invoke(event(world, "testSecret"))

    pending = holder(world, "AWSPENDING")
    assert "less than DOCKERHUB_TOKEN_SCOPES asks for (repo:read, repo:write)" in str(raised.value)
    assert f"--version-stage AWSPENDING --remove-from-version-id {pending} " in str(raised.value)
    world.client.update_secret_version_stage(
        SecretId=world.secret_arn, VersionStage="AWSPENDING", RemoveFromVersionId=pending
    )
    world.hold_before = None
    assert world.rotate() == ["RotationStarted", "RotationSucceeded"]
    assert token_under(world).scopes == ("repo:read", "repo:write")
    assert small.uuid not in world.hub.tokens
    assert ours(world) == {holder(world, "AWSCURRENT"): True, holder(world, "AWSPREVIOUS"): False}
