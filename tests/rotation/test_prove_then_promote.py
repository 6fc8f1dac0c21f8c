"""A value is promoted when it has just logged in; or when Docker Hub has locked the user name, and its list vouches."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dockerhub_rotation.token_labels import label_for
from rehearsal.docker_hub import Fault, personal_tokens
from rehearsal.sandbox import FunctionError
from rehearsal.wire import Request
from rehearsal.world import Scene, World
from tests.rotation.seen import event, hand_made, holder, ours, token_under, warnings

TOO_MANY_LOGINS = "toomanyrequests: too many failed login attempts for username or IP address"
LOCKED = Fault("POST", "/v2/auth/token", 429, {"message": TOO_MANY_LOGINS, "errinfo": {}})
YEAR_ONE = "0001-01-01T00:00:00Z"


def deleted(world: World) -> None:
    del world.hub.tokens[token_under(world, "AWSPENDING").uuid]


def disabled(world: World) -> None:
    token_under(world, "AWSPENDING").active = False


def expired(world: World) -> None:
    token = token_under(world, "AWSPENDING")
    token.expires_at = token.created_at - timedelta(minutes=1)


def expired_by_docker_hubs_clock(world: World) -> None:
    """Docker Hub's clock is an hour ahead of the function's."""
    world.hub.clock = lambda: time.time() + 3600
    token_under(world, "AWSPENDING").expires_at = datetime.fromtimestamp(time.time() + 1800, UTC)


def two_of_them(world: World) -> None:
    world.hub.add_token(token_under(world, "AWSPENDING").label)


def made_for_another_secret(world: World) -> None:
    pending = holder(world, "AWSPENDING")
    token_under(world, "AWSPENDING").label = label_for(world.secret_arn + "2", pending)


def ready(make_world: Callable[..., World], **how: Any) -> World:
    """Bring a world, which has rotated before, to where finishSecret begins."""
    world = make_world(**how)
    world.rotate()
    world.hold_before = "finishSecret"
    world.rotate()
    return world


@pytest.mark.parametrize("lose", [deleted, disabled, expired])
def test_a_token_that_is_lost_after_it_was_tested_is_never_promoted(
    make_world: Callable[..., World], lose: Callable[[World], None]
) -> None:
    world = ready(make_world)
    current = world.current_token()
    lose(world)
    before = world.state()

    with pytest.raises(FunctionError, match="PendingTokenUnusable: .*does not let in.*--remove-from-version-id"):
        world.function.invoke(event(world, "finishSecret"))

    assert world.state() == before
    assert world.current_token() == current
    assert world.hub.authenticates(current)


@pytest.mark.parametrize("lose", [deleted, disabled, expired])
def test_a_token_that_is_lost_between_the_list_and_the_login_is_never_promoted(
    make_world: Callable[..., World], lose: Callable[[World], None]
) -> None:
    """The list shows it in good order."""

    def lost(request: Request) -> None:
        if due and request.name == "GET /v2/access-tokens":
            due.clear()
            lose(world)

    due: list[bool] = []
    world = ready(make_world, on_request=lost)
    labels = world.state().labels
    due.append(True)

    with pytest.raises(FunctionError, match="PendingTokenUnusable"):
        world.function.invoke(event(world, "finishSecret"))

    assert not due
    assert world.state().labels == labels
    assert world.hub.authenticates(world.current_token())


def test_a_token_that_was_never_used_by_docker_hubs_list_is_promoted(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The year 1 is how a program in Go says that there is no such time, and is not an age."""
    body = personal_tokens.token_body
    never = {"last_used": YEAR_ONE, "expires_at": YEAR_ONE}
    monkeypatch.setattr(personal_tokens, "token_body", lambda *token: body(*token) | never)
    world = ready(make_world)
    world.hub.faults.append(LOCKED)  # so that it is the list that vouches for it
    pending = holder(world, "AWSPENDING")

    world.function.invoke(event(world, "finishSecret"))

    assert ours(world) == {pending: True, holder(world, "AWSPREVIOUS"): False}
    assert holder(world, "AWSCURRENT") == pending


def test_a_lockout_keeps_a_tested_token_that_the_list_shows_in_good_order_from_nothing(
    make_world: Callable[..., World],
) -> None:
    """Consumers of a dead token may be what keeps the user name locked, and the promotion what ends it."""
    world = make_world()
    first = hand_made(world)
    world.rotate()
    world.hold_before = "finishSecret"
    world.rotate()
    pending = holder(world, "AWSPENDING")
    world.hub._locked_until[world.hub.username] = world.hub.clock() + 600

    world.function.invoke(event(world, "finishSecret"))

    assert world.hub.locked
    assert holder(world, "AWSCURRENT") == pending
    assert ours(world) == {pending: True, holder(world, "AWSPREVIOUS"): False}
    assert first.uuid not in world.hub.tokens
    assert [said for said in warnings(world) if "locked the user name" in said] != []


@pytest.mark.parametrize(
    "but",
    [deleted, disabled, expired, expired_by_docker_hubs_clock, two_of_them, made_for_another_secret],
    ids=lambda but: but.__name__,
)
def test_a_lockout_promotes_nothing_that_the_list_does_not_vouch_for(
    make_world: Callable[..., World], clock: Any, but: Callable[[World], None]
) -> None:
    password_logs_in_elsewhere = Scene(environment={"DOCKERHUB_LOGIN": "users-login"})
    world = ready(make_world, scene=password_logs_in_elsewhere)
    but(world)
    before = world.state()
    world.hub.faults.append(LOCKED)

    with pytest.raises(FunctionError, match="LockedOut: "):
        world.function.invoke(event(world, "finishSecret"))

    assert world.hub.faults == []
    assert world.state() == before


def test_a_lockout_promotes_nothing_where_there_is_no_login_with_which_to_list(
    make_world: Callable[..., World],
) -> None:
    world = ready(make_world)
    world.function.discard()
    world.hub._locked_until[world.hub.username] = world.hub.clock() + 600
    before = world.state()

    with pytest.raises(FunctionError, match="LockedOut: "):
        world.function.invoke(event(world, "finishSecret"))

    assert world.state() == before


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        pytest.param([Fault("POST", "/v2/auth/token", 503)] * 4, "DockerHubUnavailable", id="an outage"),
        pytest.param(
            [Fault("POST", "/v2/auth/token", 429, {"detail": "Rate limit exceeded"}, {"Retry-After": "1000"})],
            "RateLimited",
            id="the request limit",
        ),
        pytest.param([Fault("POST", "/v2/auth/token", 403, "<html>Forbidden</html>")], "AnswerUnknown", id="a page"),
        pytest.param(
            [Fault("POST", "/v2/auth/token", 401, {"message": "Unauthorized"})], "AnswerUnknown", id="a gateway"
        ),
    ],
)
def test_whatever_else_is_answered_to_the_login_promotes_nothing_however_good_the_list_looks(
    make_world: Callable[..., World], clock: Any, faults: list[Fault], error: str
) -> None:
    world = ready(make_world)
    before = world.state()
    world.hub.faults += faults

    with pytest.raises(FunctionError, match=f"^{error}: "):
        world.function.invoke(event(world, "finishSecret"))

    assert world.hub.faults == []
    assert world.state() == before

    world.hold_before = None
    world.aws.retry(world.secret_arn)
    world.aws.wait()
    assert world.aws.events[-1].name == "RotationSucceeded"
    assert ours(world) == {holder(world, "AWSCURRENT"): True, holder(world, "AWSPREVIOUS"): False}
