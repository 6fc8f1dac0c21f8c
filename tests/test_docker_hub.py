"""What the Docker Hub client sends, how it takes each answer, and what it never says."""

import base64
import json
import logging
import re
import socket
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, cast

import httpx
import jwt
import pyotp
import pytest
import respx

from dockerhub_rotation import __version__
from dockerhub_rotation.deadline import Deadline
from dockerhub_rotation.docker_hub import Connection, DockerHub
from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.docker_hub.http import Pool
from dockerhub_rotation.docker_hub.personal_tokens import NewToken
from dockerhub_rotation.errors import (
    CredentialRefused,
    DockerHubRefused,
    DockerHubUnavailable,
    LockedOut,
    LoginRefused,
    OutOfTime,
    RateLimited,
    RotationError,
)
from dockerhub_rotation.parameters import Parameters
from dockerhub_rotation.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient
    from tests.conftest import Clock

HUB = "https://hub.docker.com"
AUTH_TOKEN, USERS_LOGIN, SECOND_STEP = f"{HUB}/v2/auth/token", f"{HUB}/v2/users/login", f"{HUB}/v2/users/2fa-login"
TOKENS = f"{HUB}/v2/access-tokens"
REGISTRY_TOKEN = "https://auth.docker.io/token"
REGISTRY = "https://registry-1.docker.io/v2/"

UUID = "b30bbf97-506c-4ecd-aabc-842f3cb484fb"

# Each value that must not be told is one that appears nowhere else.
USERNAME = "acme-bot"
PASSWORD = "correct-horse-marker"
SEED = "MARKERJBSWY3DPEHPK3PXPJBSWY3DPEH"
TOKEN = "dckr_pat_marker-Xy_0123456789abcdefg"
SECOND_FACTOR_TOKEN = "second-factor-marker"
SIGNING_KEY = "a key of thirty-two bytes or more"

PLAIN = Settings(username_parameter="/acme/user", password_parameter="/acme/password")
LEGACY = replace(PLAIN, login="users-login")
TWO_FACTOR = replace(LEGACY, totp_parameter="/acme/totp")
REPOSITORY = "acme/app"

Reply = httpx.Response | int | type[Exception] | Exception | Callable[[], httpx.Response]


class ParameterStore:
    """Parameter Store, as far as it is asked here."""

    def __init__(self) -> None:
        self.values = {"/acme/user": USERNAME, "/acme/password": PASSWORD, "/acme/totp": SEED}

    def get_parameters(self, *, Names: list[str], WithDecryption: bool) -> dict[str, Any]:  # noqa: N803 - AWS's names
        assert WithDecryption
        return {"Parameters": [{"Name": name, "Value": self.values[name]} for name in Names]}


@cache
def pool() -> Pool:
    """Return one pool for all tests: each new one reads every certificate authority there is."""
    return Pool()


class World:
    """Docker Hub on the wire, Parameter Store, and one sandbox that lives through the invocations of a test."""

    def __init__(self, router: respx.MockRouter, clock: "Clock") -> None:
        self.router = router
        self.clock = clock
        self.store = ParameterStore()
        self.connection = Connection(pool())
        self.connection.pool.spread = 0.0
        self._parameters: dict[Settings, Parameters] = {}

    def invoke(self, settings: Settings = PLAIN, *, seconds: float = 300) -> DockerHub:
        """Begin an invocation that may work for some seconds, those for its report not counted."""
        parameters = self._parameters.setdefault(settings, Parameters(settings, cast("SSMClient", self.store)))
        return DockerHub(settings, parameters, self.connection, self.deadline(seconds))

    def deadline(self, seconds: float) -> Deadline:
        """Return the deadline of an invocation that may work for some seconds."""
        ends_at = self.clock.now + seconds + 5
        return Deadline(lambda: round((ends_at - self.clock.now) * 1000))

    def on(self, method: str, url: str, *replies: Reply, params: Mapping[str, Any] | None = None) -> respx.Route:
        """Announce the replies to a request, one after the other; a function goes on for ever if it is the last."""
        last = replies[-1]
        left = chain(replies, repeat(last) if callable(last) and not isinstance(last, type) else ())
        return self.router.request(method, url, params=params).mock(side_effect=lambda _: _given(next(left)))

    def bearer(self, username: str | None = USERNAME, source: str | None = None, *, seconds: int = 600) -> str:
        """Return a login as the Hub hands it out."""
        hub = {key: value for key, value in (("username", username), ("source", source)) if value is not None}
        return jwt.encode({"exp": int(self.clock.now) + seconds, "https://hub.docker.com": hub}, SIGNING_KEY)

    def lets_in(self, *, seconds: int = 600) -> respx.Route:
        """Announce that every login at the Hub API succeeds."""
        return self.on("POST", AUTH_TOKEN, lambda: answer(200, access_token=self.bearer(seconds=seconds)))

    def asks_for_code(self) -> respx.Route:
        """Announce the first step of a login with two factors; return its route."""
        return self.on("POST", USERS_LOGIN, lambda: answer(401, detail="Require", login_2fa_token=SECOND_FACTOR_TOKEN))

    def lets_in_with_code(self) -> respx.Route:
        """Announce that every login with a code succeeds, for a minute and a second; return the second step's route."""
        self.asks_for_code()
        return self.on("POST", SECOND_STEP, lambda: answer(200, token=self.bearer(seconds=61)))

    def holds_nothing(self) -> respx.Route:
        """Announce an account without any token."""
        return self.on("GET", TOKENS, page)

    def code_at(self, at: float | None = None) -> str:
        """Return the one-time code of a moment, or of now."""
        return pyotp.TOTP(SEED).at(int(self.clock.now if at is None else at))


@pytest.fixture
def world(clock: "Clock") -> Iterator[World]:
    """A world in which nothing is asked but what a test has announced, and everything announced is asked."""
    with respx.mock(assert_all_called=True, assert_all_mocked=True) as router:
        yield World(router, clock)


def _given(reply: Reply) -> httpx.Response:
    match reply:
        case httpx.Response():
            return reply
        case int():
            return answer(reply)
        case Exception():
            raise reply
        case type():
            raise reply("no answer")
        case _:
            return reply()


def answer(status: int, headers: Mapping[str, str] | None = None, **body: Any) -> httpx.Response:
    return httpx.Response(status, headers=headers, json=body)


def page(*items: dict[str, Any], following: str | None = None) -> httpx.Response:
    return answer(200, count=len(items), next=following, previous=None, results=list(items))


def item(uuid: object = UUID, **fields: object) -> dict[str, Any]:
    usual = {"uuid": uuid, "token_label": "ours", "is_active": True, "created_at": "2026-11-24T03:00:00Z"}
    return usual | {"last_used": None} | fields


def registry_token(*access: object) -> str:
    return jwt.encode({"access": list(access)}, SIGNING_KEY)


def granted(*actions: str, name: str = REPOSITORY) -> dict[str, Any]:
    return {"type": "repository", "name": name, "actions": list(actions)}


def sent(route: respx.Route) -> list[dict[str, Any]]:
    """Return the JSON bodies that were sent on a route."""
    return [json.loads(call.request.content) for call in route.calls]


def authorizations(route: respx.Route) -> list[str]:
    return [call.request.headers["Authorization"] for call in route.calls]


# What the client does, each with the one request that it is about and how that is answered when all is well.


@dataclass(frozen=True)
class Deed:
    name: str
    do: Callable[[DockerHub], object]
    method: str
    url: str
    reply: httpx.Response

    def replies(self, world: World, *replies: Reply) -> respx.Route:
        """Announce the replies to this deed's request, and the management login if it needs one."""
        if self.url.startswith(TOKENS):
            world.lets_in()
        return world.on(self.method, self.url, *replies)


MADE = answer(201, uuid=UUID, token=TOKEN)
CREATE = Deed("create", lambda hub: hub.tokens.create("ours"), "POST", TOKENS, MADE)
LIST = Deed("list", lambda hub: hub.tokens.listed(), "GET", TOKENS, page())
ENABLE = Deed("enable", lambda hub: hub.tokens.enable(UUID), "PATCH", f"{TOKENS}/{UUID}", answer(200, is_active=True))
DISABLE = Deed(
    "disable",
    lambda hub: hub.tokens.disable(UUID),
    "PATCH",
    f"{TOKENS}/{UUID}",
    answer(200, is_active=False),
)
RELABEL = Deed(
    "relabel",
    lambda hub: hub.tokens.disable(UUID, "ours"),
    "PATCH",
    f"{TOKENS}/{UUID}",
    answer(200, is_active=False),
)
DELETE = Deed("delete", lambda hub: hub.tokens.delete(UUID), "DELETE", f"{TOKENS}/{UUID}", httpx.Response(204))
LOG_IN = Deed("log in", lambda hub: hub.tokens.listed(), "POST", AUTH_TOKEN, answer(200, access_token="a bearer"))
IDENTIFY = Deed(
    "identify",
    lambda hub: hub.login.identify(USERNAME, TOKEN),
    "POST",
    AUTH_TOKEN,
    answer(200, access_token="a bearer"),
)
DOCKER_LOGIN = Deed(
    "docker login",
    lambda hub: hub.login.log_in_to_registry(USERNAME, TOKEN, None),
    "GET",
    REGISTRY_TOKEN,
    answer(200, token="a bearer"),
)
PROBE = replace(DOCKER_LOGIN, name="probe", do=lambda hub: hub.login.log_in_to_registry(USERNAME, TOKEN, REPOSITORY))
REPEATABLE = [LIST, ENABLE, DISABLE, DELETE, IDENTIFY, DOCKER_LOGIN]


def each(*deeds: Deed) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("deed", deeds, ids=[deed.name for deed in deeds])


def name(value: object) -> str:
    return value.__name__ if isinstance(value, type) else str(value)


# Requests


@pytest.mark.parametrize(
    ("deed", "query", "body"),
    [
        pytest.param(CREATE, "", {"token_label": "ours", "scopes": ["repo:read"]}, id="create"),
        pytest.param(LIST, "?page=1&page_size=100", None, id="list"),
        pytest.param(ENABLE, "", {"is_active": True}, id="enable"),
        pytest.param(DISABLE, "", {"is_active": False}, id="disable"),
        pytest.param(RELABEL, "", {"is_active": False, "token_label": "ours"}, id="relabel"),
        pytest.param(DELETE, "", None, id="delete"),
    ],
)
def test_a_request_that_manages_tokens_has_the_documented_shape(
    deed: Deed, query: str, body: object, world: World
) -> None:
    """No slash ends a path: a redirect would lose the body."""
    route = deed.replies(world, deed.reply)

    deed.do(world.invoke())

    request = route.calls.last.request
    assert str(request.url) == deed.url + query
    assert (json.loads(request.content) if request.content else None) == body
    assert request.headers["Authorization"] == f"Bearer {world.bearer()}"
    assert request.headers["User-Agent"] == f"dockerhub-rotation/{__version__}"


def test_a_token_is_made_with_every_scope_of_the_settings(world: World) -> None:
    route = CREATE.replies(world, MADE)

    made = world.invoke(replace(PLAIN, scopes=("repo:read", "repo:write"))).tokens.create("ours")

    assert made == NewToken(UUID, TOKEN)
    assert sent(route)[0]["scopes"] == ["repo:read", "repo:write"]


def test_logging_in_with_a_token_shows_it_to_the_hub_api(world: World) -> None:
    route = world.lets_in()

    world.invoke().login.identify(USERNAME, TOKEN)

    request = route.calls.last.request
    assert str(request.url) == AUTH_TOKEN
    assert sent(route) == [{"identifier": USERNAME, "secret": TOKEN}]
    assert "Authorization" not in request.headers
    assert request.headers["User-Agent"] == f"dockerhub-rotation/{__version__}"


def test_logging_in_to_the_registry_is_basic_authentication_without_a_scope(world: World) -> None:
    """As `docker login` does it: the credential is proven, nothing is asked for."""
    route = DOCKER_LOGIN.replies(world, DOCKER_LOGIN.reply)

    world.invoke().login.log_in_to_registry(USERNAME, TOKEN, None)

    request = route.calls.last.request
    asked = f"?service=registry.docker.io&client_id=dockerhub-rotation&account={USERNAME}"
    assert str(request.url) == REGISTRY_TOKEN + asked
    assert request.headers["Authorization"] == "Basic " + base64.b64encode(f"{USERNAME}:{TOKEN}".encode()).decode()
    assert request.headers["User-Agent"] == f"dockerhub-rotation/{__version__}"


def test_the_hosts_of_the_settings_are_asked(world: World) -> None:
    here = replace(
        PLAIN, api_url="http://127.0.0.1:1/a", auth_url="http://127.0.0.1:2/b", registry_url="http://127.0.0.1:3/c"
    )
    world.on("POST", "http://127.0.0.1:1/a/v2/auth/token", lambda: answer(200, access_token=world.bearer()))
    world.on("GET", "http://127.0.0.1:1/a/v2/access-tokens", page())
    world.on("GET", "http://127.0.0.1:2/b/token", answer(200, token=registry_token(granted("pull"))))
    world.on("GET", "http://127.0.0.1:3/c/v2/", 200)
    docker_hub = world.invoke(here)

    docker_hub.tokens.listed()
    docker_hub.login.identify(USERNAME, TOKEN)
    docker_hub.login.log_in_to_registry(USERNAME, TOKEN, REPOSITORY)


# The management login


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


# The last six of the eight digits in https://www.rfc-editor.org/rfc/rfc6238#appendix-B
@pytest.mark.parametrize(
    ("at", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_the_second_step_sends_the_code_of_rfc_6238(at: float, code: str, world: World) -> None:
    world.clock.now = at
    world.store.values["/acme/totp"] = base64.b32encode(b"12345678901234567890").decode()
    second_step = world.lets_in_with_code()
    world.holds_nothing()

    world.invoke(TWO_FACTOR).tokens.listed()

    assert sent(second_step) == [{"login_2fa_token": SECOND_FACTOR_TOKEN, "code": code}]


def test_the_code_is_the_one_of_the_moment_it_is_sent(world: World) -> None:
    """However long the first step takes."""
    second_step = world.lets_in_with_code()
    world.holds_nothing()

    def slowly() -> httpx.Response:
        world.clock.tick(25)
        return answer(401, login_2fa_token=SECOND_FACTOR_TOKEN)

    world.on("POST", USERS_LOGIN, slowly)

    world.invoke(TWO_FACTOR).tokens.listed()

    assert [body["code"] for body in sent(second_step)] == [world.code_at(1_800_000_035)]


def test_an_account_without_a_second_factor_logs_in_although_a_seed_is_configured(world: World) -> None:
    world.on("POST", USERS_LOGIN, answer(200, token=world.bearer()))
    world.holds_nothing()

    assert world.invoke(TWO_FACTOR).tokens.listed() == []


def test_a_second_login_within_the_life_of_a_code_waits_for_the_next(world: World) -> None:
    second_step = world.lets_in_with_code()
    world.holds_nothing()

    world.invoke(TWO_FACTOR).tokens.listed()
    world.clock.tick(1)  # the login has a minute left
    world.invoke(TWO_FACTOR).tokens.listed()

    assert world.clock.sleeps == [19]
    assert [body["code"] for body in sent(second_step)] == [world.code_at(1_800_000_010), world.code_at(1_800_000_030)]


def test_a_second_login_after_the_life_of_a_code_does_not_wait(world: World) -> None:
    second_step = world.lets_in_with_code()
    world.holds_nothing()

    world.invoke(TWO_FACTOR).tokens.listed()
    world.clock.tick(20)
    world.invoke(TWO_FACTOR).tokens.listed()

    assert world.clock.sleeps == []
    assert [body["code"] for body in sent(second_step)] == [world.code_at(1_800_000_010), world.code_at(1_800_000_030)]


@pytest.mark.parametrize(
    ("at", "slept"),
    [
        pytest.param(1_800_000_010, [20], id="now"),
        pytest.param(1_800_000_000, [20], id="at the beginning of this code's life"),
        pytest.param(1_799_999_999, [], id="in the life of the code before"),
        pytest.param(0, [], id="long ago"),
    ],
)
def test_a_code_that_another_sandbox_presumably_used_is_not_sent(at: float, slept: list[float], world: World) -> None:
    second_step = world.lets_in_with_code()
    world.holds_nothing()
    docker_hub = world.invoke(TWO_FACTOR)

    docker_hub.management.presume_code_used(at)
    docker_hub.tokens.listed()

    assert world.clock.sleeps == slept
    assert [body["code"] for body in sent(second_step)] == [world.code_at()]


def test_presuming_an_older_code_used_does_not_free_the_last_one(world: World) -> None:
    world.lets_in_with_code()
    world.holds_nothing()
    world.invoke(TWO_FACTOR).tokens.listed()
    world.clock.tick(1)
    docker_hub = world.invoke(TWO_FACTOR)

    docker_hub.management.presume_code_used(0)
    docker_hub.tokens.listed()

    assert world.clock.sleeps == [19]


def test_no_login_begins_if_the_next_code_comes_too_late(world: World) -> None:
    docker_hub = world.invoke(TWO_FACTOR, seconds=20.9)
    docker_hub.management.presume_code_used(world.clock.now)

    with pytest.raises(OutOfTime):
        docker_hub.tokens.listed()

    assert docker_hub.http.requests == 0
    assert world.clock.sleeps == []


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
    route = world.on(deed.method, deed.url, answer(401, message="unauthorized"), deed.reply)

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


def test_no_cookie_of_one_login_speaks_for_another(world: World) -> None:
    cookie = {"Set-Cookie": "token=a-session; Path=/; Secure"}
    for method, url in (("POST", AUTH_TOKEN), ("GET", REGISTRY_TOKEN), ("GET", TOKENS)):
        world.on(method, url, lambda: answer(200, cookie, access_token=world.bearer(), results=[]))

    for _ in range(2):
        docker_hub = world.invoke()
        for login in (LIST, IDENTIFY, DOCKER_LOGIN):
            login.do(docker_hub)

    assert not any("Cookie" in call.request.headers for call in world.router.calls)


# Refused credentials


def test_a_refused_password_is_not_tried_twice_in_an_invocation(world: World) -> None:
    """Every refused login counts towards locking the account for all its consumers."""
    world.on("POST", AUTH_TOKEN, answer(401, message="unauthorized"))
    docker_hub = world.invoke()

    for deed in (LIST, CREATE, DELETE, LIST):
        with pytest.raises(CredentialRefused):
            deed.do(docker_hub)

    assert docker_hub.http.requests == 1


def test_a_refused_password_is_read_anew_by_the_next_invocation(world: World) -> None:
    login = world.on("POST", AUTH_TOKEN, 401, lambda: answer(200, access_token=world.bearer()))
    world.holds_nothing()
    with pytest.raises(CredentialRefused):
        world.invoke().tokens.listed()
    world.store.values["/acme/password"] = "mended"

    assert world.invoke().tokens.listed() == []
    assert [body["secret"] for body in sent(login)] == [PASSWORD, "mended"]


def test_a_password_that_no_longer_renews_its_login_is_tried_once(world: World) -> None:
    login = world.on("POST", AUTH_TOKEN, answer(200, access_token=world.bearer()), 401)
    world.on("GET", TOKENS, page(), 401)
    world.invoke().tokens.listed()
    docker_hub = world.invoke()

    for _ in range(2):
        with pytest.raises(CredentialRefused):
            docker_hub.tokens.listed()

    assert len(login.calls) == 2


WRONG_PASSWORD = (
    "Docker Hub refused the account's user name or password. Check parameters /acme/user and /acme/password."
)
TOKENS_MANAGE_NO_TOKENS = "Parameter /acme/password holds an access token, and Docker Hub lets no token make or change"
SSO_ENFORCED = "Docker Hub enforces single sign-on for this account"
ORGANIZATION = "Parameter /acme/user names an organization, and an organization has no password."
NO_SEED = "The account has two-factor login, and no seed for its codes is configured."
OTHER_ACCOUNT = "Parameter /acme/user is not the user name of the account that its password opens"


@pytest.mark.parametrize(
    ("settings", "url", "reply", "says"),
    [
        (PLAIN, AUTH_TOKEN, answer(401, message="unauthorized", errinfo={}), WRONG_PASSWORD),
        (PLAIN, AUTH_TOKEN, answer(400, message="body is invalid", errinfo={"secret": "at least 9"}), WRONG_PASSWORD),
        (LEGACY, USERS_LOGIN, answer(401, detail="Incorrect authentication credentials"), WRONG_PASSWORD),
        (LEGACY, USERS_LOGIN, answer(401, detail="Require secondary", login_2fa_token=SECOND_FACTOR_TOKEN), NO_SEED),
        (
            LEGACY,
            USERS_LOGIN,
            answer(401, detail="Please use personal access token to login when SSO is enforced"),
            SSO_ENFORCED,
        ),
        (PLAIN, AUTH_TOKEN, answer(403, message="Single sign-on required"), SSO_ENFORCED),
        (LEGACY, USERS_LOGIN, answer(401, detail="Cannot log into an organization account"), ORGANIZATION),
    ],
    ids=["password", "too short", "password, users-login", "second factor", "SSO", "single sign-on", "organization"],
)
def test_a_refused_login_says_what_to_mend(
    settings: Settings, url: str, reply: httpx.Response, says: str, world: World
) -> None:
    world.on("POST", url, reply)
    docker_hub = world.invoke(settings)

    for _ in range(2):
        with pytest.raises(CredentialRefused, match=f"^{re.escape(says)}"):
            docker_hub.tokens.listed()


@pytest.mark.parametrize("settings", [PLAIN, LEGACY], ids=["auth-token", "users-login"])
@pytest.mark.parametrize("password", [TOKEN, "dckr_oat_0123456789"])
def test_a_token_in_the_passwords_place_is_not_even_tried(settings: Settings, password: str, world: World) -> None:
    world.store.values["/acme/password"] = password
    docker_hub = world.invoke(settings)

    with pytest.raises(CredentialRefused, match=TOKENS_MANAGE_NO_TOKENS):
        docker_hub.tokens.listed()

    assert docker_hub.http.requests == 0


def test_a_token_in_the_passwords_place_is_told_by_its_login(world: World) -> None:
    """Tokens from before 2021 have no prefix."""
    world.on("POST", AUTH_TOKEN, answer(200, access_token=world.bearer(USERNAME, f"docker_pat|{UUID}")))
    docker_hub = world.invoke()

    for _ in range(2):
        with pytest.raises(CredentialRefused, match=TOKENS_MANAGE_NO_TOKENS):
            docker_hub.tokens.listed()


@pytest.mark.parametrize("allowed", [" is not allowed", ""])
@pytest.mark.parametrize("owner", ["personal", "organization"])
@each(CREATE, LIST, DISABLE, DELETE)
def test_a_token_in_the_passwords_place_is_told_by_what_it_may_not_do(
    deed: Deed, owner: str, allowed: str, world: World
) -> None:
    deed.replies(world, answer(403, message=f"token issued from {owner} access token{allowed}", errinfo={}))

    with pytest.raises(CredentialRefused, match=TOKENS_MANAGE_NO_TOKENS):
        deed.do(world.invoke())


def test_an_account_by_another_name_is_refused(world: World) -> None:
    """An e-mail address logs in, too; another account's name with a token did once."""
    world.on("POST", AUTH_TOKEN, answer(200, access_token=world.bearer("acme-other")))
    docker_hub = world.invoke()

    for _ in range(2):
        with pytest.raises(CredentialRefused, match=OTHER_ACCOUNT):
            docker_hub.tokens.listed()


def test_an_account_may_be_named_in_another_case(world: World) -> None:
    world.on("POST", AUTH_TOKEN, answer(200, access_token=world.bearer(USERNAME.upper())))
    world.holds_nothing()

    assert world.invoke().tokens.listed() == []


@pytest.mark.parametrize("status", [401, 400, 403])
def test_a_refused_code_is_followed_by_no_other_for_a_quarter_of_an_hour(status: int, world: World) -> None:
    """Refused codes add up to a lockout. Another sandbox may have used this one, and may use the next."""
    world.asks_for_code()
    second_step = world.on("POST", SECOND_STEP, status, lambda: answer(200, token=world.bearer()))
    world.holds_nothing()

    for _ in range(3):
        with pytest.raises(CredentialRefused, match="check the TOTP seed in parameter /acme/totp"):
            world.invoke(TWO_FACTOR).tokens.listed()
    assert len(second_step.calls) == 1

    world.clock.tick(900)
    world.invoke(TWO_FACTOR).tokens.listed()
    assert len(second_step.calls) == 2


def test_a_step_that_gets_past_no_code_fails_at_a_moment_of_its_own(world: World) -> None:
    """So the next attempts of those that fail together come one after the other."""
    world.asks_for_code()
    world.on("POST", SECOND_STEP, 401)

    for _ in range(20):
        with pytest.raises(CredentialRefused):
            world.invoke(TWO_FACTOR, seconds=45).tokens.listed()

    assert len(set(world.clock.sleeps)) == 20
    assert all(0 <= slept <= 22.5 for slept in world.clock.sleeps)


def test_a_code_of_another_seed_is_sent_at_once(world: World) -> None:
    world.asks_for_code()
    second_step = world.on("POST", SECOND_STEP, 401, lambda: answer(200, token=world.bearer()))
    world.holds_nothing()
    with pytest.raises(CredentialRefused):
        world.invoke(TWO_FACTOR).tokens.listed()

    world.store.values["/acme/totp"] = SEED[::-1]
    world.invoke(TWO_FACTOR).tokens.listed()

    assert len(second_step.calls) == 2


def test_after_a_lockout_this_sandbox_sends_no_code_for_a_quarter_of_an_hour(world: World) -> None:
    world.asks_for_code()
    second_step = world.on("POST", SECOND_STEP, answer(429, detail="too many failed login attempts"))
    with pytest.raises(LockedOut):
        world.invoke(TWO_FACTOR).tokens.listed()

    with pytest.raises(LockedOut):
        world.invoke(TWO_FACTOR).tokens.listed()

    assert len(second_step.calls) == 1


@pytest.mark.parametrize("lost", [500, httpx.ReadTimeout, httpx.RemoteProtocolError], ids=name)
def test_a_code_whose_answer_is_lost_is_not_sent_again(lost: Reply, world: World) -> None:
    """If it was taken, it is refused the second time."""
    world.asks_for_code()
    world.on("POST", SECOND_STEP, lost)

    with pytest.raises(DockerHubUnavailable):
        world.invoke(TWO_FACTOR).tokens.listed()


@pytest.mark.parametrize(
    "body",
    [
        {"text": "toomanyrequests: too many failed login attempts for username or IP address"},
        {"json": {"message": "Too many login attempts"}},
        {"json": {"detail": "Too many login attempts"}},
        {"json": {"details": "too many failed login attempts for username"}},
        {"json": {"errors": [{"code": "TOOMANYREQUESTS", "message": "too many failed login attempts"}]}},
    ],
    ids=["text", "message", "detail", "details", "errors"],
)
@each(LOG_IN, IDENTIFY, DOCKER_LOGIN)
def test_a_lockout_is_no_rate_limit_and_is_not_tried_again(deed: Deed, body: dict[str, Any], world: World) -> None:
    """Another try would make it longer."""
    world.on(deed.method, deed.url, httpx.Response(429, headers={"Retry-After": "1"}, **body))

    with pytest.raises(LockedOut, match="look for whoever still logs in with an old token or password"):
        deed.do(world.invoke())


# Making a token is not idempotent


LOST: list[type[httpx.TransportError] | type[httpx.DecodingError]] = [
    httpx.ReadTimeout,
    httpx.ReadError,
    httpx.WriteTimeout,
    httpx.WriteError,
    httpx.RemoteProtocolError,
    httpx.ProxyError,
    httpx.DecodingError,
]


@pytest.mark.parametrize("lost", [500, 502, 503, 504, *LOST], ids=name)
def test_making_a_token_is_not_repeated_when_it_may_have_been_made(lost: Reply, world: World) -> None:
    CREATE.replies(world, lost)

    with pytest.raises(DockerHubUnavailable):
        world.invoke().tokens.create("ours")


@pytest.mark.parametrize("refused", [429, httpx.ConnectError, httpx.ConnectTimeout], ids=name)
def test_making_a_token_is_repeated_when_it_was_surely_not_made(refused: Reply, world: World) -> None:
    CREATE.replies(world, refused, refused, refused, MADE)

    assert world.invoke().tokens.create("ours") == NewToken(UUID, TOKEN)


def test_making_a_token_is_not_repeated_once_a_repetition_may_have_made_it(world: World) -> None:
    CREATE.replies(world, httpx.ConnectError, 429, httpx.ReadTimeout)

    with pytest.raises(DockerHubUnavailable):
        world.invoke().tokens.create("ours")


@pytest.mark.parametrize("status", [400, 402, 403, 409, 422])
def test_a_refusal_to_make_a_token_says_what_may_be_the_reason(status: int, world: World) -> None:
    CREATE.replies(world, answer(status, message="no"))

    with pytest.raises(DockerHubRefused, match=f"answered {status}. The account may have reached its number of tokens"):
        world.invoke().tokens.create("ours")


@pytest.mark.parametrize("value", ["***", "dckr_oat_0123456789", "a-token"])
def test_what_was_made_and_is_no_personal_token_is_deleted(value: str, world: World) -> None:
    CREATE.replies(world, answer(201, uuid=UUID, token=value))
    deleted = world.on("DELETE", f"{TOKENS}/{UUID}", 204)

    with pytest.raises(DockerHubRefused, match="is no personal access token"):
        world.invoke().tokens.create("ours")

    assert len(deleted.calls) == 1


# Everything else is


@pytest.mark.parametrize(
    "failure", [429, 500, 503, httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, *LOST], ids=name
)
@each(*REPEATABLE)
def test_what_may_be_repeated_is_tried_four_times_with_growing_pauses(deed: Deed, failure: Reply, world: World) -> None:
    deed.replies(world, failure, failure, failure, deed.reply)

    deed.do(world.invoke())

    assert len(world.clock.sleeps) == 3
    for attempt, pause in enumerate(world.clock.sleeps, start=1):
        assert 0.1 * 2**attempt <= pause <= 0.5 * 2**attempt


@pytest.mark.parametrize(
    ("failure", "error"),
    [(429, RateLimited), (500, DockerHubUnavailable), (httpx.ReadTimeout, DockerHubUnavailable)],
    ids=name,
)
@each(*REPEATABLE)
def test_the_fourth_failure_is_the_last(deed: Deed, failure: Reply, error: type[RotationError], world: World) -> None:
    route = deed.replies(world, failure, failure, failure, failure)

    with pytest.raises(error):
        deed.do(world.invoke())

    assert len(route.calls) == 4
    assert len(world.clock.sleeps) == 3


def test_pauses_are_jittered(world: World) -> None:
    """Functions that failed together must not come back together."""
    DOCKER_LOGIN.replies(world, lambda: answer(500))

    for _ in range(10):
        with pytest.raises(DockerHubUnavailable):
            world.invoke().login.log_in_to_registry(USERNAME, TOKEN, None)

    assert len(set(world.clock.sleeps)) == 30


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 422])
@each(*REPEATABLE)
def test_a_refusal_is_not_repeated(deed: Deed, status: int, world: World) -> None:
    deed.replies(world, status)

    if status == 404 and deed in (DISABLE, DELETE):
        deed.do(world.invoke())  # it is gone: done
    else:
        with pytest.raises((DockerHubRefused, LoginRefused)):
            deed.do(world.invoke())


# Rate limits


DATE = "Wed, 25 Nov 2026 07:28:00 GMT"


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "1800000022"}, 12),
        ({"X-Retry-After": "1800000022"}, 12),
        ({"X-Retry-After": "9"}, 9),
        ({"Retry-After": "7", "X-Retry-After": "1800000022"}, 7),
        ({"Retry-After": DATE, "X-Retry-After": "1800000022"}, 12),
    ],
    ids=str,
)
def test_a_rate_limit_is_waited_out_as_told(headers: dict[str, str], pause: float, world: World) -> None:
    DOCKER_LOGIN.replies(world, answer(429, headers), DOCKER_LOGIN.reply)

    world.invoke().login.log_in_to_registry(USERNAME, TOKEN, None)

    assert pause <= world.clock.sleeps[0] <= pause * 1.25
    assert len(world.clock.sleeps) == 1


def test_those_who_wait_for_the_same_minute_do_not_go_on_in_the_same_second(world: World) -> None:
    DOCKER_LOGIN.replies(world, *[answer(429, {"Retry-After": "40"}), DOCKER_LOGIN.reply] * 20)

    for _ in range(20):
        world.connection.pool.spread = 0.0  # another sandbox
        world.invoke().login.log_in_to_registry(USERNAME, TOKEN, None)

    assert len(set(world.clock.sleeps)) == 20
    assert min(world.clock.sleeps) < 43 < 47 < max(world.clock.sleeps)


def test_what_fails_for_another_reason_waits_no_longer_for_the_request_limit(world: World) -> None:
    DOCKER_LOGIN.replies(world, answer(429, {"Retry-After": "60"}), answer(503), answer(503), DOCKER_LOGIN.reply)

    world.invoke().login.log_in_to_registry(USERNAME, TOKEN, None)

    assert [slept <= longest for slept, longest in zip(world.clock.sleeps, (75, 2, 4), strict=True)] == [True] * 3


def test_waiting_for_a_moment_of_its_own_takes_no_time_that_is_needed(world: World) -> None:
    CREATE.replies(world, *[answer(429, {"Retry-After": "40"}), CREATE.reply] * 20)

    for _ in range(20):
        world.connection.pool.spread = 0.0
        world.invoke(seconds=51).tokens.create("ours")

    assert all(40 <= slept <= 40.5 for slept in world.clock.sleeps)


def test_a_sandbox_that_was_turned_away_begins_its_next_step_at_a_moment_of_its_own(world: World) -> None:
    """It could not wait for the next minute, and the rotation's next attempt begins when those of the others do."""
    DOCKER_LOGIN.replies(world, *[answer(429, {"Retry-After": "60"}), DOCKER_LOGIN.reply, DOCKER_LOGIN.reply] * 20)

    for _ in range(20):
        with pytest.raises(RateLimited):
            world.invoke(seconds=50).login.log_in_to_registry(USERNAME, TOKEN, None)
        for _ in range(2):
            world.invoke().login.log_in_to_registry(USERNAME, TOKEN, None)

    assert len(set(world.clock.sleeps)) == 20
    assert min(world.clock.sleeps) < 5 < 10 < max(world.clock.sleeps) < 15


@pytest.mark.parametrize(
    "headers",
    [{}, *({"Retry-After": value} for value in ("soon", DATE, "0", "-5", "1700000000", "nan"))],
    ids=str,
)
def test_a_rate_limit_that_says_nothing_useful_gets_the_usual_pause(headers: dict[str, str], world: World) -> None:
    DOCKER_LOGIN.replies(world, answer(429, headers), DOCKER_LOGIN.reply)

    world.invoke().login.log_in_to_registry(USERNAME, TOKEN, None)

    assert 0.2 <= world.clock.sleeps[0] <= 1


@pytest.mark.parametrize("header", ["Retry-After", "X-Retry-After"])
@pytest.mark.parametrize("until", ["3600", "1800003610"])
def test_a_rate_limit_longer_than_the_invocation_is_reported_at_once(until: str, header: str, world: World) -> None:
    DOCKER_LOGIN.replies(world, answer(429, {header: until}, detail="Rate limit exceeded"))

    with pytest.raises(RateLimited, match="for 3600 s more"):
        world.invoke().login.log_in_to_registry(USERNAME, TOKEN, None)

    assert world.clock.sleeps == []


def test_the_last_count_of_requests_left_is_kept(world: World) -> None:
    some, none = ({"X-RateLimit-Remaining": count} for count in ("178", "0"))
    LIST.replies(world, answer(200, some, results=[]), answer(429, none), page())
    docker_hub = world.invoke()

    counts = [docker_hub.http.requests_left]
    for _ in range(2):
        docker_hub.tokens.listed()
        counts.append(docker_hub.http.requests_left)

    assert counts == [None, 178, 0]


@pytest.mark.parametrize("remaining", ["", "many", "-1", "1.5"])
def test_a_count_of_requests_left_that_is_none_is_ignored(remaining: str, world: World) -> None:
    DOCKER_LOGIN.replies(world, answer(200, {"X-RateLimit-Remaining": remaining}, token="a bearer"))
    docker_hub = world.invoke()

    docker_hub.login.log_in_to_registry(USERNAME, TOKEN, None)

    assert docker_hub.http.requests_left is None


def test_every_request_is_counted_also_those_without_an_answer(world: World) -> None:
    LIST.replies(world, httpx.ConnectError, 500, 429, page())
    docker_hub = world.invoke()

    docker_hub.tokens.listed()

    assert docker_hub.http.requests == 5  # the login is one of them


# The invocation's time


def slow(world: World, reply: Reply, seconds: float = 8.5) -> Callable[[], httpx.Response]:
    """Return a reply that takes its time."""

    def slowly() -> httpx.Response:
        world.clock.tick(seconds)
        return _given(reply)

    return slowly


@each(*REPEATABLE)
def test_nothing_begins_in_the_last_second(deed: Deed, world: World) -> None:
    docker_hub = world.invoke(seconds=0.99)

    with pytest.raises(OutOfTime, match="the invocation's time is used up"):
        deed.do(docker_hub)

    assert docker_hub.http.requests == 0


def test_no_token_is_made_that_there_is_no_time_to_store(world: World) -> None:
    world.lets_in()

    with pytest.raises(OutOfTime):
        world.invoke(seconds=9.9).tokens.create("ours")


def test_a_token_is_made_that_there_is_time_to_store(world: World) -> None:
    CREATE.replies(world, MADE)

    assert world.invoke(seconds=10).tokens.create("ours") == NewToken(UUID, TOKEN)


def test_nothing_follows_in_the_last_second(world: World) -> None:
    world.on("POST", AUTH_TOKEN, slow(world, answer(200, access_token=world.bearer())))
    docker_hub = world.invoke(seconds=9)

    with pytest.raises(OutOfTime):
        docker_hub.tokens.listed()

    assert docker_hub.http.requests == 1


@pytest.mark.parametrize(
    ("failure", "error"),
    [(500, DockerHubUnavailable), (429, RateLimited), (httpx.ConnectError, DockerHubUnavailable)],
    ids=name,
)
def test_nothing_is_repeated_that_could_end_past_the_deadline(
    failure: Reply, error: type[RotationError], world: World
) -> None:
    """The failure is reported instead, while there is time."""
    route = DOCKER_LOGIN.replies(world, slow(world, failure))

    with pytest.raises(error):
        world.invoke(seconds=9.6).login.log_in_to_registry(USERNAME, TOKEN, None)

    assert len(route.calls) == 1
    assert world.clock.sleeps == []


def test_the_deadline_is_looked_at_before_each_try(world: World) -> None:
    route = DOCKER_LOGIN.replies(world, slow(world, httpx.ReadTimeout))

    with pytest.raises(DockerHubUnavailable):
        world.invoke(seconds=18.4).login.log_in_to_registry(USERNAME, TOKEN, None)

    assert len(route.calls) == 2


@pytest.mark.parametrize(
    ("seconds", "connect", "others"), [(90, 5, 10), (32, 2, 10), (16, 1, 8), (8, 0.5, 4), (1, 0.0625, 0.5)]
)
def test_no_timeout_is_longer_than_the_time_left(seconds: float, connect: float, others: float, world: World) -> None:
    route = DOCKER_LOGIN.replies(world, DOCKER_LOGIN.reply)

    world.invoke(seconds=seconds).login.log_in_to_registry(USERNAME, TOKEN, None)

    timeouts = {"connect": connect, "read": others, "write": others, "pool": others}
    assert route.calls.last.request.extensions["timeout"] == timeouts


@pytest.mark.parametrize("seconds", [25, 55])
def test_a_host_none_of_whose_eight_addresses_answers_is_reported_in_time(
    seconds: float, clock: "Clock", monkeypatch: pytest.MonkeyPatch
) -> None:
    """https://docs.python.org/3/library/socket.html#socket.create_connection tries them all, each with the timeout."""

    class BlackHole(socket.socket):
        def connect(self, _address: object) -> None:
            clock.tick(self.gettimeout() or 0)
            raise TimeoutError

    black_hole = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("192.0.2.1", 443))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [black_hole] * 8)
    monkeypatch.setattr(socket, "socket", BlackHole)
    due = clock.now + seconds

    with pytest.raises(DockerHubUnavailable):
        World(respx.MockRouter(), clock).invoke(seconds=seconds).login.log_in_to_registry(USERNAME, TOKEN, None)

    assert clock.now <= due


def test_waiting_takes_its_time(world: World) -> None:
    world.deadline(6).wait(5, "A reason")

    assert world.clock.sleeps == [5]


def test_a_wait_that_leaves_no_time_for_a_request_is_none(world: World) -> None:
    with pytest.raises(OutOfTime, match="^A reason"):
        world.deadline(5.9).wait(5, "A reason")

    assert world.clock.sleeps == []


# Listing


def test_every_page_is_listed_and_a_token_shown_twice_is_one(world: World) -> None:
    """A token made between two requests pushes another one onto the next page."""
    following = "https://elsewhere.example/?page=9"  # counted and not followed: no answer says where to go
    pages = [
        page(item("a"), item("b"), following=following),
        page(item("b", is_active=False), item("c"), following=following),
        page(item("d")),
    ]
    world.lets_in()
    for number, reply in enumerate(pages, start=1):
        world.on("GET", TOKENS, reply, params={"page": number, "page_size": 100})

    tokens = world.invoke().tokens.listed()

    assert sorted(token.uuid for token in tokens) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    "second", [[], [item("c", token_label="other")]], ids=["the second page is gone", "the list is as long as before"]
)
def test_a_token_that_was_deleted_meanwhile_hides_no_other(second: list[dict[str, Any]], world: World) -> None:
    """What is behind it moves forward, here from the second page to the first, which has been read."""
    last = page(*second) if second else answer(404, detail="Invalid page.")
    world.lets_in()
    world.on(
        "GET",
        TOKENS,
        page(item("a", token_label="other"), following="yes"),
        page(item("b", token_label="ours")),
        params={"page": 1, "page_size": 100},
    )
    world.on("GET", TOKENS, last, params={"page": 2, "page_size": 100})

    tokens = world.invoke().tokens.listed("ours")

    assert "b" in [token.uuid for token in tokens]


@pytest.mark.parametrize(
    ("pages", "expected"), [(1, "yours"), (2, "ours")], ids=["it has one page", "what is expected is there"]
)
def test_the_list_is_not_read_again_without_need(pages: int, expected: str, world: World) -> None:
    LIST.replies(world, *[page(item("a"), following="yes"), page(item("b"))][-pages:])
    docker_hub = world.invoke()

    docker_hub.tokens.listed(expected)

    assert docker_hub.http.requests == 1 + pages


def test_a_page_may_be_empty(world: World) -> None:
    LIST.replies(world, page(following=TOKENS), page(item()))

    assert [token.uuid for token in world.invoke().tokens.listed()] == [UUID]


USUAL = Token(UUID, "ours", active=True, used=False, created_at=datetime(2026, 11, 24, 3, tzinfo=UTC))


@pytest.mark.parametrize(
    ("fields", "token"),
    [
        ({}, USUAL),
        ({"is_active": False}, replace(USUAL, active=False)),
        ({"token_label": None}, replace(USUAL, label="")),
        ({"last_used": "2026-11-24T03:00:01Z"}, replace(USUAL, used=True)),
        ({"last_used": ""}, USUAL),
        ({"created_at": "2026-11-24T04:00:00.000000+01:00"}, USUAL),
        ({"created_at": None}, replace(USUAL, created_at=None)),
        ({"created_at": 1800000000}, replace(USUAL, created_at=None)),
        ({"created_at": "yesterday"}, replace(USUAL, created_at=None)),
        ({"created_at": "2026-11-24T03:00:00"}, replace(USUAL, created_at=None)),
    ],
    ids=str,
)
def test_a_listed_token_is_read(fields: dict[str, object], token: Token, world: World) -> None:
    LIST.replies(world, page(item(**fields)))

    assert world.invoke().tokens.listed() == [token]


# Changing and deleting


@pytest.mark.parametrize("status", [200, 202, 204, 404])
def test_a_token_is_deleted(status: int, world: World) -> None:
    """204 is documented, 202 has been seen, and with 404 there is nothing left to do."""
    DELETE.replies(world, httpx.Response(status))

    world.invoke().tokens.delete(UUID)


@each(DISABLE, RELABEL)
def test_disabling_a_token_that_is_gone_is_done(deed: Deed, world: World) -> None:
    deed.replies(world, answer(404, message="not found"))

    deed.do(world.invoke())


@pytest.mark.parametrize(
    ("deed", "status", "says"),
    [
        (ENABLE, 404, f"Enabling token {UUID}: Docker Hub answered 404"),
        (DISABLE, 403, f"Disabling token {UUID}: Docker Hub answered 403"),
        (DELETE, 403, f"Deleting token {UUID}: Docker Hub answered 403"),
    ],
    ids=["enable", "disable", "delete"],
)
def test_what_is_refused_is_named(deed: Deed, status: int, says: str, world: World) -> None:
    deed.replies(world, answer(status, message="no"))

    with pytest.raises(DockerHubRefused, match=says):
        deed.do(world.invoke())


# Logging in with a token


NOBODY = (None, None, None)


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        pytest.param(
            {
                "iss": "https://api.docker.com/",
                "aud": "https://hub.docker.com",
                "scope": "repo:public_read repo:read",
                "https://hub.docker.com": {"username": USERNAME, "uuid": "an-account", "source": f"docker_pat|{UUID}"},
                "source": {"type": "pat", "id": UUID},
            },
            (USERNAME, UUID, {"repo:public_read", "repo:read"}),
            id="everything",
        ),
        pytest.param({"https://hub.docker.com": {"username": USERNAME}}, (USERNAME, None, None), id="the name alone"),
        pytest.param({}, NOBODY, id="nothing"),
        pytest.param({"https://hub.docker.com": "hub"}, NOBODY, id="claims of another type"),
        pytest.param({"https://hub.docker.com": {"username": ""}, "scope": ""}, NOBODY, id="empty texts"),
        pytest.param({"https://hub.docker.com": {"username": 7, "source": [1]}, "scope": [1]}, NOBODY, id="no texts"),
        pytest.param({"https://hub.docker.com": {"source": f"docker_oat|{UUID}"}}, NOBODY, id="an organization's"),
        pytest.param({"https://hub.docker.com": {"source": "docker_pat"}}, NOBODY, id="no uuid"),
        pytest.param({"https://hub.docker.com": {"source": "docker_pat|"}}, NOBODY, id="an empty uuid"),
    ],
)
def test_a_login_with_a_token_tells_whose_and_which_it_is_and_what_it_may_do(
    claims: dict[str, Any], told: tuple[str | None, str | None, set[str] | None], world: World
) -> None:
    world.on("POST", AUTH_TOKEN, answer(200, access_token=jwt.encode(claims, SIGNING_KEY)))

    identity = world.invoke().login.identify(USERNAME, TOKEN)

    assert (identity.username, identity.token_uuid, identity.scopes) == told


@pytest.mark.parametrize("bearer", ["opaque", "a.b", "a.b.c", "a.bm90IGpzb24.c", "a.W10.c", "a.gICA.c"], ids=ascii)
def test_a_login_with_a_token_whose_claims_cannot_be_read_tells_nothing(bearer: str, world: World) -> None:
    world.on("POST", AUTH_TOKEN, answer(200, access_token=bearer))

    identity = world.invoke().login.identify(USERNAME, TOKEN)

    assert (identity.username, identity.token_uuid, identity.scopes) == NOBODY


@pytest.mark.parametrize(
    ("deed", "reply"),
    [
        (IDENTIFY, answer(401, message="unauthorized", errinfo={})),
        (IDENTIFY, answer(400, message="body is invalid", errinfo={"secret": "must be at least 9 characters"})),
        (DOCKER_LOGIN, answer(401, details="incorrect username or password")),
        (DOCKER_LOGIN, answer(403, details="no")),
        (PROBE, answer(401, details="incorrect username or password")),
        (DOCKER_LOGIN, answer(401, details="access token has insufficient scopes")),
    ],
    ids=["identify", "no token at all", "docker login", "docker login, 403", "probe", "scopes nobody asked for"],
)
def test_a_token_that_does_not_log_in_is_refused(deed: Deed, reply: httpx.Response, world: World) -> None:
    deed.replies(world, reply)

    with pytest.raises(LoginRefused):
        deed.do(world.invoke())


def test_a_refused_token_does_not_hinder_the_management_login(world: World) -> None:
    world.on("POST", AUTH_TOKEN, 401, answer(200, access_token=world.bearer()))
    world.holds_nothing()
    docker_hub = world.invoke()

    with pytest.raises(LoginRefused):
        docker_hub.login.identify(USERNAME, TOKEN)

    assert docker_hub.tokens.listed() == []


@pytest.mark.parametrize(("deed", "status"), [(IDENTIFY, 403), (IDENTIFY, 404), (DOCKER_LOGIN, 400), (PROBE, 404)])
def test_another_refusal_does_not_condemn_the_token(deed: Deed, status: int, world: World) -> None:
    deed.replies(world, status)

    with pytest.raises(DockerHubRefused):
        deed.do(world.invoke())


# The registry, with a probe repository


@pytest.mark.parametrize(
    ("scopes", "actions"),
    [
        (("repo:public_read",), ["pull"]),
        (("repo:read",), ["pull"]),
        (("repo:write",), ["pull", "push"]),
        (("repo:admin",), ["pull", "push"]),
        (("repo:read", "repo:write"), ["pull", "push"]),
    ],
    ids=" ".join,
)
def test_what_the_scopes_promise_is_asked_for_and_the_grant_is_shown_to_the_registry(
    scopes: tuple[str, ...], actions: list[str], world: World
) -> None:
    """Asking for more than the scopes allow would be refused as a whole."""
    grant = registry_token(granted(*actions))
    token = world.on("GET", REGISTRY_TOKEN, answer(200, token=grant))
    registry = world.on("GET", REGISTRY, 200)

    world.invoke(replace(PLAIN, scopes=scopes)).login.log_in_to_registry(USERNAME, TOKEN, REPOSITORY)

    assert token.calls.last.request.url.params["scope"] == f"repository:acme/app:{','.join(actions)}"
    assert authorizations(registry) == [f"Bearer {grant}"]


def test_the_registry_token_may_go_by_its_other_name(world: World) -> None:
    grant = registry_token(granted("pull"))
    world.on("GET", REGISTRY_TOKEN, answer(200, access_token=grant))
    registry = world.on("GET", REGISTRY, 200)

    world.invoke().login.log_in_to_registry(USERNAME, TOKEN, REPOSITORY)

    assert authorizations(registry) == [f"Bearer {grant}"]


@pytest.mark.parametrize(
    "claims",
    [
        {"access": []},
        {"access": [granted()]},
        {"access": [granted("push")]},
        {"access": [granted("pull")]},
        {"access": [granted("pull", "push", name="acme/other")]},
        {"access": [granted("pull"), granted("push", name="acme/other")]},
        {"access": [{"name": "acme/app"}]},
        {"access": ["acme/app"]},
        {"access": granted("pull", "push")},
        {"access": None},
        {},
    ],
    ids=str,
)
def test_a_registry_token_that_grants_less_than_asked_for_is_refused(claims: dict[str, Any], world: World) -> None:
    """The token service answers 200 also where an account has no right."""
    world.on("GET", REGISTRY_TOKEN, answer(200, token=jwt.encode(claims, SIGNING_KEY)))

    with pytest.raises(DockerHubRefused, match="The token is not granted pull and push on acme/app"):
        world.invoke(replace(PLAIN, scopes=("repo:write",))).login.log_in_to_registry(USERNAME, TOKEN, REPOSITORY)


def test_grants_for_a_repository_add_up(world: World) -> None:
    grant = registry_token(granted("pull"), granted("push", "delete"), granted("pull", name="acme/other"))
    world.on("GET", REGISTRY_TOKEN, answer(200, token=grant))
    world.on("GET", REGISTRY, 200)

    world.invoke(replace(PLAIN, scopes=("repo:write",))).login.log_in_to_registry(USERNAME, TOKEN, REPOSITORY)


@pytest.mark.parametrize("status", [401, 403])
def test_too_small_a_scope_is_no_refusal_of_the_token(status: int, world: World) -> None:
    world.on("GET", REGISTRY_TOKEN, answer(status, details="access token has insufficient scopes"))

    with pytest.raises(DockerHubRefused, match="DOCKERHUB_TOKEN_SCOPES and DOCKERHUB_PROBE_REPOSITORY"):
        world.invoke().login.log_in_to_registry(USERNAME, TOKEN, REPOSITORY)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_the_registry_may_refuse_what_the_token_service_grants(status: int, world: World) -> None:
    world.on("GET", REGISTRY_TOKEN, answer(200, token=registry_token(granted("pull"))))
    world.on("GET", REGISTRY, status)

    with pytest.raises(DockerHubRefused, match="Check DOCKERHUB_AUTH_URL and DOCKERHUB_REGISTRY_URL"):
        world.invoke().login.log_in_to_registry(USERNAME, TOKEN, REPOSITORY)


# Answers that are not Docker Hub's


def with_odd(field: str, *values: object, **others: Any) -> list[httpx.Response]:
    """Return answers that lack a field, and answers with each of the values in it."""
    return [answer(200, **others), *(answer(200, **others | {field: value}) for value in values)]


ODD: tuple[object, ...] = (None, "", 7, [], {})
NO_OBJECT = [
    httpx.Response(200, html="<html><body>Welcome to the guest network</body></html>"),
    *(httpx.Response(200, content=content) for content in (b'["a", "list"]', b'"text"', b"null", b"", b"\xff\xfe\xfa")),
]
USERS_LOG_IN = replace(LOG_IN, name="users-login", url=USERS_LOGIN)
SEND_CODE = replace(LOG_IN, name="second step", url=SECOND_STEP)
ODD_ANSWERS = {
    CREATE: [
        *with_odd("token", *ODD, uuid=UUID),
        *with_odd("uuid", *ODD, token=TOKEN),
    ],
    LIST: [
        *with_odd("results", None, "", 7, {}, [None], ["text"], [7], [[]], [{}], count=1),
        *(page(item(), item(uuid)) for uuid in ODD),
    ],
    LOG_IN: with_odd("access_token", *ODD),
    USERS_LOG_IN: with_odd("token", *ODD),
    SEND_CODE: with_odd("token", *ODD),
    IDENTIFY: with_odd("access_token", *ODD),
    DOCKER_LOGIN: [*with_odd("token", *ODD), *with_odd("access_token", *ODD)],
}


@pytest.mark.parametrize(
    ("deed", "reply"),
    [
        pytest.param(deed, reply, id=f"{deed.name}: {reply.text!a}")
        for deed, replies in ODD_ANSWERS.items()
        for reply in (*NO_OBJECT, *replies)
    ],
)
def test_an_answer_in_another_shape_is_not_docker_hubs(deed: Deed, reply: httpx.Response, world: World) -> None:
    settings = {USERS_LOGIN: LEGACY, SECOND_STEP: TWO_FACTOR}.get(deed.url, PLAIN)
    if deed is SEND_CODE:
        world.asks_for_code()
    deed.replies(world, reply)

    with pytest.raises(DockerHubUnavailable, match="the answer is not Docker Hub's API"):
        deed.do(world.invoke(settings))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@each(CREATE, LOG_IN, *REPEATABLE)
def test_a_redirect_is_not_followed(deed: Deed, status: int, world: World) -> None:
    """It would carry a credential to wherever it points."""
    deed.replies(world, httpx.Response(status, headers={"Location": "https://elsewhere.example"}))

    with pytest.raises(DockerHubUnavailable, match="the answer is not Docker Hub's API"):
        deed.do(world.invoke())


# What is never said


BODY = "body-marker"
BODIES: list[dict[str, Any]] = [
    {"text": f"<p>{BODY} {PASSWORD} {TOKEN}"},
    {"json": {"message": f"{BODY} organization", "detail": f"{TOKEN} sso", "token": BODY, "access_token": BODY}},
    {"json": {"details": f"{BODY} insufficient scopes, token issued from {PASSWORD}", "results": [BODY]}},
    {"json": {"errors": f"too many failed login attempts for {BODY} {PASSWORD}"}},
]
REPLIES: list[Reply] = [
    *(
        httpx.Response(status, headers={"Location": f"https://{BODY}.example", "X-Other": BODY}, **body)
        for status in (200, 201, 301, 400, 401, 403, 404, 422, 429, 500)
        for body in BODIES
    ),
    *(kind(f"{BODY} {PASSWORD} {TOKEN} {SEED}") for kind in (httpx.ReadTimeout, httpx.LocalProtocolError)),
]


def told_by(raised: BaseException | None) -> str:
    """Return whatever a report of an exception could show, its hidden contexts included."""
    told = []
    while raised is not None:
        told += [str(raised), repr(raised), repr(vars(raised)), *traceback.format_exception(raised)]
        raised = raised.__cause__ or raised.__context__
    return "\n".join(told)


@pytest.mark.parametrize("reply", REPLIES, ids=lambda reply: str(getattr(reply, "status_code", name(type(reply)))))
@pytest.mark.parametrize(
    ("deed", "settings"),
    [
        *(pytest.param(deed, PLAIN, id=deed.name) for deed in (CREATE, LIST, ENABLE, DELETE, LOG_IN, IDENTIFY)),
        pytest.param(USERS_LOG_IN, LEGACY, id=USERS_LOG_IN.name),
        pytest.param(SEND_CODE, TWO_FACTOR, id=SEND_CODE.name),
        pytest.param(DOCKER_LOGIN, PLAIN, id=DOCKER_LOGIN.name),
        pytest.param(PROBE, PLAIN, id=PROBE.name),
        pytest.param(replace(PROBE, url=REGISTRY), PLAIN, id="registry"),
    ],
)
def test_no_failure_tells_a_secret_or_an_answer(
    deed: Deed, settings: Settings, reply: Reply, clock: "Clock", caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with respx.mock(assert_all_called=False) as router:  # what is asked depends on the reply
        world = World(router, clock)
        bearer, grant = world.bearer(), registry_token(granted("pull"))
        world.lets_in_with_code()
        world.on("GET", REGISTRY_TOKEN, lambda: answer(200, token=grant))
        world.lets_in()
        world.holds_nothing()
        world.on(deed.method, deed.url, lambda: _given(reply))
        docker_hub = world.invoke(settings)
        try:
            told = repr(deed.do(docker_hub))
        except (RotationError, LoginRefused) as failure:
            told = told_by(failure)
        told += caplog.text + repr(vars(docker_hub)) + repr(vars(world.connection))

    codes = (world.code_at(1_800_000_010), world.code_at(1_800_000_030))
    for secret in (PASSWORD, SEED, TOKEN, SECOND_FACTOR_TOKEN, bearer, grant, BODY, *codes):
        assert secret not in told


def test_no_value_shows_its_secret(world: World) -> None:
    world.lets_in_with_code()
    world.on("POST", TOKENS, MADE)
    docker_hub = world.invoke(TWO_FACTOR)

    made = docker_hub.tokens.create("ours")

    rooms = [docker_hub, *vars(docker_hub).values(), world.connection, *vars(world.connection).values()]
    account = docker_hub.management._parameters.account()
    shown = repr([made, account, *rooms, *(vars(room) for room in rooms)])
    for secret in (TOKEN, world.bearer(seconds=61), PASSWORD, SEED):
        assert secret not in shown


# Odd answers and tight times


PAGE_OF_A_FIREWALL = "<h1>403</h1><p>Access denied by your organization's policy. single sign-on"


@pytest.mark.parametrize("status", [400, 401, 403])
@each(LOG_IN, IDENTIFY, DOCKER_LOGIN)
def test_the_page_of_a_firewall_refuses_nothing(deed: Deed, status: int, world: World) -> None:
    """It says nothing about the password or the token."""
    deed.replies(world, httpx.Response(status, html=PAGE_OF_A_FIREWALL))

    with pytest.raises((DockerHubUnavailable, DockerHubRefused)) as failure:
        deed.do(world.invoke())

    assert not isinstance(failure.value, CredentialRefused)


@pytest.mark.parametrize("status", [403, 404])
@each(CREATE, LIST, ENABLE, DISABLE, RELABEL, DELETE)
def test_the_page_of_a_firewall_retires_nothing(deed: Deed, status: int, world: World) -> None:
    """Its 404 would be a token that is gone."""
    deed.replies(world, httpx.Response(status, html=PAGE_OF_A_FIREWALL))

    with pytest.raises(DockerHubUnavailable, match="the answer is not Docker Hub's API"):
        deed.do(world.invoke())


def test_the_page_of_a_firewall_ends_no_login(world: World) -> None:
    """Another login, for which an account may need its next one-time code, would meet the same firewall."""
    logins = world.lets_in()
    world.on("GET", TOKENS, page(item()), httpx.Response(401, html=PAGE_OF_A_FIREWALL), page(item()))
    world.invoke().tokens.listed()

    with pytest.raises(DockerHubUnavailable, match="the answer is not Docker Hub's API"):
        world.invoke().tokens.listed()
    world.invoke().tokens.listed()

    assert len(logins.calls) == 1


def test_the_page_of_a_firewall_refuses_no_code(world: World) -> None:
    """A sandbox that took it for a refusal would send no code for a quarter of an hour."""
    world.asks_for_code()
    world.on(
        "POST", SECOND_STEP, httpx.Response(403, html=PAGE_OF_A_FIREWALL), lambda: answer(200, token=world.bearer())
    )
    world.holds_nothing()
    with pytest.raises(DockerHubUnavailable, match="the answer is not Docker Hub's API"):
        world.invoke(TWO_FACTOR).tokens.listed()

    assert world.invoke(TWO_FACTOR).tokens.listed() == []


def test_the_page_of_a_firewall_ends_no_list(world: World) -> None:
    LIST.replies(world, page(item(), following=TOKENS), httpx.Response(404, html=PAGE_OF_A_FIREWALL))

    with pytest.raises(DockerHubUnavailable, match="the answer is not Docker Hub's API"):
        world.invoke().tokens.listed()


def test_single_sign_on_is_not_taken_for_an_organizations_name(world: World) -> None:
    world.on("POST", AUTH_TOKEN, answer(401, message="SSO is enforced by your organization"))

    with pytest.raises(CredentialRefused, match=SSO_ENFORCED):
        world.invoke().tokens.listed()


@pytest.mark.parametrize("status", [401, 403])
def test_a_lockout_may_come_as_a_refusal(status: int, world: World) -> None:
    LOG_IN.replies(world, answer(status, message="too many failed login attempts"))

    with pytest.raises(LockedOut):
        world.invoke().tokens.listed()


def test_too_many_requests_at_the_login_are_no_lockout(world: World) -> None:
    LOG_IN.replies(world, answer(429, {"Retry-After": "3600"}, message="Too many requests to /v2/users/login"))

    with pytest.raises(RateLimited):
        world.invoke().tokens.listed()


def test_no_token_is_made_after_a_wait_that_leaves_no_time_to_store_it(world: World) -> None:
    world.lets_in_with_code()
    docker_hub = world.invoke(TWO_FACTOR, seconds=29)
    docker_hub.management.presume_code_used(world.clock.now)  # 20 seconds until the next

    with pytest.raises(OutOfTime):
        docker_hub.tokens.create("ours")


def test_making_a_token_is_not_repeated_when_there_is_no_time_to_store_it(world: World) -> None:
    CREATE.replies(world, answer(429, {"Retry-After": "10"}))

    with pytest.raises(RateLimited):
        world.invoke(seconds=19).tokens.create("ours")


@pytest.mark.parametrize("failure", [answer(429, {"Retry-After": "60"}), httpx.ConnectError, httpx.ConnectTimeout])
def test_a_code_is_not_kept_for_later(failure: Reply, world: World) -> None:
    """By then it is too old."""
    world.asks_for_code()
    second_step = world.on("POST", SECOND_STEP, failure)

    with pytest.raises((RateLimited, DockerHubUnavailable)):
        world.invoke(TWO_FACTOR).tokens.listed()

    assert len(second_step.calls) == 1


@pytest.mark.parametrize("active", [None, "true", 1])
def test_a_token_that_does_not_say_whether_it_is_active_is_not_taken_for_disabled(active: object, world: World) -> None:
    LIST.replies(world, page(item(is_active=active)))

    with pytest.raises(DockerHubUnavailable):
        world.invoke().tokens.listed()


@pytest.mark.parametrize("uuid", ["..", "a/../b", "a?b=c", "a b", "x" * 65])
@pytest.mark.parametrize("deed", [CREATE, LIST], ids=["create", "list"])
def test_a_uuid_is_nothing_but_a_uuid(deed: Deed, uuid: str, world: World) -> None:
    """It becomes part of a path."""
    deed.replies(world, page(item(uuid)) if deed is LIST else answer(201, uuid=uuid, token=TOKEN))

    with pytest.raises(DockerHubUnavailable):
        deed.do(world.invoke())


def test_a_page_that_is_gone_is_empty(world: World) -> None:
    LIST.replies(world, page(item(), following=TOKENS), answer(404, detail="Invalid page."))

    assert [token.uuid for token in world.invoke().tokens.listed()] == [UUID]


def test_the_first_page_cannot_be_gone(world: World) -> None:
    LIST.replies(world, answer(404, detail="Not found."))

    with pytest.raises(DockerHubRefused):
        world.invoke().tokens.listed()


@each(CREATE, LIST, DELETE)
def test_a_new_login_that_is_refused_is_forgotten_and_named(deed: Deed, world: World) -> None:
    deed.replies(world, 401)

    with pytest.raises(DockerHubRefused, match="does not take the login that it has just made"):
        deed.do(world.invoke())

    assert world.connection.management.login is None


DEEP = "[" * 100_000


@pytest.mark.parametrize("text", [DEEP, '{"token":' + DEEP])
@pytest.mark.parametrize("status", [200, 401, 429])
@each(LOG_IN, IDENTIFY, DOCKER_LOGIN)
def test_an_answer_nested_too_deep_is_no_defect(deed: Deed, status: int, text: str, world: World) -> None:
    deed.replies(world, lambda: httpx.Response(status, text=text))

    with pytest.raises((RotationError, LoginRefused)):
        deed.do(world.invoke())


@pytest.mark.parametrize("bearer", ["\u00e4", "a\nb", "a\r\nX-Other: b", "\x7f"], ids=ascii)
@pytest.mark.parametrize("deed", [LOG_IN, PROBE], ids=["log in", "probe"])
def test_a_bearer_that_fits_into_no_header_is_not_docker_hubs(deed: Deed, bearer: str, world: World) -> None:
    deed.replies(world, answer(200, access_token=bearer))

    with pytest.raises(DockerHubUnavailable):
        deed.do(world.invoke())


@pytest.mark.parametrize("remaining", [b"\xb2", b"9" * 5000])
def test_a_count_of_requests_left_that_only_looks_like_one_is_ignored(remaining: bytes, world: World) -> None:
    headers = [(b"X-RateLimit-Remaining", remaining)]
    DOCKER_LOGIN.replies(world, httpx.Response(200, headers=headers, json={"token": "a bearer"}))
    docker_hub = world.invoke()

    docker_hub.login.log_in_to_registry(USERNAME, TOKEN, None)

    assert docker_hub.http.requests_left is None


@pytest.mark.parametrize("actions", [5, "pull", {"pull": True}, [["pull"]], [{}], [None]], ids=str)
def test_actions_of_another_type_grant_nothing(actions: object, world: World) -> None:
    PROBE.replies(world, answer(200, token=registry_token({"name": REPOSITORY, "actions": actions})))

    with pytest.raises(DockerHubRefused):
        world.invoke().login.log_in_to_registry(USERNAME, TOKEN, REPOSITORY)
