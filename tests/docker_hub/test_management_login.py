"""The management login is asked for as documented, serves until it ends, and is renewed once."""

import base64
import json

import pytest

from dockerhub_rotation.errors import DockerHubRefused
from tests.docker_hub.wire import (
    AUTH_TOKEN,
    CREATE,
    DELETE,
    DISABLE,
    LEGACY,
    LIST,
    PASSWORD,
    TOKENS,
    TWO_FACTOR,
    USERNAME,
    USERS_LOGIN,
    Deed,
    World,
    answer,
    authorizations,
    dated,
    each,
    page,
    sent,
)

# Logging in


def test_auth_token_logs_in_with_identifier_and_secret(world: World) -> None:
    route = world.lets_in()
    world.holds_nothing()

    world.invoke().tokens.listed()

    assert sent(route) == [{"identifier": USERNAME, "secret": PASSWORD}]


def test_users_login_logs_in_with_username_and_password(world: World) -> None:
    login = world.on("POST", USERS_LOGIN, answer(200, token="the bearer"))
    tokens = world.holds_nothing()

    world.invoke(LEGACY).tokens.listed()

    assert sent(login) == [{"username": USERNAME, "password": PASSWORD}]
    assert authorizations(tokens) == ["Bearer the bearer"]


# A login that serves again


@pytest.mark.parametrize(("seconds_left", "logins"), [(61, 1), (60, 2)])
def test_a_login_serves_later_invocations_until_a_minute_before_it_ends(
    seconds_left: int, logins: int, world: World
) -> None:
    login = world.lets_in(seconds=600)
    world.holds_nothing()

    world.invoke().tokens.listed()
    world.clock.tick(600 - seconds_left)
    world.invoke().tokens.listed()

    assert len(login.calls) == logins


@pytest.mark.parametrize("claims", [{}, {"exp": "soon"}, {"exp": None}, []], ids=str)
@pytest.mark.parametrize(("seconds_later", "logins"), [(239, 1), (240, 2)])
def test_a_login_that_does_not_say_when_it_ends_serves_for_five_minutes(
    claims: object, seconds_later: int, logins: int, world: World
) -> None:
    bearer = f"header.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.signature"
    login = world.on("POST", AUTH_TOKEN, lambda: answer(200, access_token=bearer))
    world.holds_nothing()

    world.invoke().tokens.listed()
    world.clock.tick(seconds_later)
    world.invoke().tokens.listed()

    assert len(login.calls) == logins


@pytest.mark.parametrize("ahead", [-3600, 3600])
def test_a_login_lives_by_the_clock_of_docker_hub(ahead: int, world: World) -> None:
    """By this machine's clock it may have ended before it began."""
    login = world.on("POST", AUTH_TOKEN, lambda: answer(200, dated(world.clock.now + ahead), access_token=bearer))
    bearer = world.bearer(seconds=ahead + 600)
    world.on("GET", TOKENS, lambda: answer(200, dated(world.clock.now + ahead), count=0, results=[]))
    docker_hub = world.invoke(seconds=900)

    for seconds in (539, 1):
        docker_hub.tokens.listed()
        world.clock.tick(seconds)
        assert len(login.calls) == 1

    docker_hub.tokens.listed()
    assert len(login.calls) == 2


@pytest.mark.parametrize(
    ("parameter", "value"), [("/acme/user", "acme-other"), ("/acme/password", "another"), ("/acme/totp", "ABCDEFGH")]
)
def test_the_login_of_another_account_is_not_used(parameter: str, value: str, world: World) -> None:
    login = world.on("POST", USERS_LOGIN, lambda: answer(200, token=world.bearer(username=None)))
    world.holds_nothing()

    world.invoke(TWO_FACTOR).tokens.listed()
    world.store.values[parameter] = value
    world.clock.tick(300)  # the parameters are read anew, the login is still good
    world.invoke(TWO_FACTOR).tokens.listed()

    assert len(login.calls) == 2
    assert sent(login)[1] == {
        "username": world.store.values["/acme/user"],
        "password": world.store.values["/acme/password"],
    }


@each(CREATE, DISABLE, DELETE)
def test_a_remembered_login_that_is_refused_is_renewed_once(deed: Deed, world: World) -> None:
    """As after a change of the account's password."""
    world.holds_nothing()
    login = world.lets_in()
    world.invoke().tokens.listed()
    world.clock.tick(1)
    route = world.on(deed.method, deed.url, 401, deed.reply)

    deed.do(world.invoke())

    old, new = authorizations(route)
    assert len(login.calls) == 2
    assert old != new == f"Bearer {world.bearer()}"


def test_a_renewed_login_that_is_refused_is_not_renewed_again(world: World) -> None:
    login = world.lets_in()
    world.on("GET", TOKENS, page(), 401, 401)
    world.invoke().tokens.listed()

    with pytest.raises(DockerHubRefused):
        world.invoke().tokens.listed()

    assert len(login.calls) == 2


def test_a_login_just_made_that_is_refused_is_not_renewed(world: World) -> None:
    login = world.lets_in()
    world.on("GET", TOKENS, 401)

    with pytest.raises(DockerHubRefused):
        world.invoke().tokens.listed()

    assert len(login.calls) == 1


@each(CREATE, LIST, DELETE)
def test_a_new_login_that_is_refused_is_forgotten_and_named(deed: Deed, world: World) -> None:
    deed.replies(world, 401)

    with pytest.raises(DockerHubRefused, match="does not take the login that it has just made"):
        deed.do(world.invoke())

    assert world.connection.management.login is None
