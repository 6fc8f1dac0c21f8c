"""Docker Hub on the wire, as its client meets it: what a test announces, what is asked of it, and what is sent."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, cast

import httpx
import jwt
import pyotp
import pytest
import respx

from dockerhub_rotation.deadline import Deadline
from dockerhub_rotation.docker_hub import Connection, DockerHub
from dockerhub_rotation.docker_hub.http import Pool
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
        self.reads = 0

    def get_parameters(self, *, Names: list[str], WithDecryption: bool) -> dict[str, Any]:  # noqa: N803 - AWS's names
        assert WithDecryption
        self.reads += 1
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
        ends_at = self.clock.now + seconds + 5
        deadline = Deadline(lambda: round((ends_at - self.clock.now) * 1000))
        return DockerHub(settings, parameters, self.connection, deadline)

    def on(self, method: str, url: str, *replies: Reply, params: Mapping[str, Any] | None = None) -> respx.Route:
        """Announce the replies to a request, one after the other; a function goes on for ever if it is the last."""
        last = replies[-1]
        left = chain(replies, repeat(last) if callable(last) and not isinstance(last, type) else ())
        return self.router.request(method, url, params=params).mock(side_effect=lambda _: given(next(left)))

    def bearer(self, username: str | None = USERNAME, source: str | None = None, *, seconds: int = 600) -> str:
        """Return a login as the Hub hands it out."""
        hub = {key: value for key, value in (("username", username), ("source", source)) if value is not None}
        return jwt.encode({"exp": int(self.clock.now) + seconds, "https://hub.docker.com": hub}, SIGNING_KEY)

    def lets_in(self, *, seconds: int = 600) -> respx.Route:
        """Announce that every login at the Hub API succeeds."""
        return self.on("POST", AUTH_TOKEN, lambda: answer(200, access_token=self.bearer(seconds=seconds)))

    def asks_for_code(self, headers: Callable[[], dict[str, str]] = dict) -> respx.Route:
        """Announce the first step of a login with two factors; return its route."""
        second_factor = {"detail": "Require", "login_2fa_token": SECOND_FACTOR_TOKEN}
        return self.on("POST", USERS_LOGIN, lambda: answer(401, headers(), **second_factor))

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


def given(reply: Reply) -> httpx.Response:
    """Return the response that a reply is, or raise what it is instead."""
    match reply:
        case httpx.Response():
            return reply
        case int() if 400 <= reply < 500:
            return refused(reply)
        case 204:
            return httpx.Response(reply)
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


def refused(status: int, message: str = "refused") -> httpx.Response:
    """Return a refusal in a form that is Docker Hub's own."""
    return answer(status, message=message, errinfo={})


def dated(at: float) -> dict[str, str]:
    """Return the header that tells a time, as every answer of Docker Hub has it: in whole seconds."""
    return {"Date": format_datetime(datetime.fromtimestamp(int(at), UTC), usegmt=True)}


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
    settings: Settings = PLAIN

    def replies(self, world: World, *replies: Reply) -> respx.Route:
        """Announce the replies to this deed's request, and whatever comes before it."""
        if self.url.startswith(TOKENS):
            world.lets_in()
        elif self.url == SECOND_STEP:
            world.asks_for_code()
        elif self.url == REGISTRY:
            world.on("GET", REGISTRY_TOKEN, answer(200, token=registry_token(granted("pull"))))
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
LABEL = Deed(
    "label", lambda hub: hub.tokens.relabel(UUID, "ours"), "PATCH", f"{TOKENS}/{UUID}", answer(200, token_label="ours")
)
DELETE = Deed("delete", lambda hub: hub.tokens.delete(UUID), "DELETE", f"{TOKENS}/{UUID}", httpx.Response(204))
LOG_IN = Deed("log in", lambda hub: hub.tokens.listed(), "POST", AUTH_TOKEN, answer(200, access_token="a bearer"))
USERS_LOG_IN = replace(LOG_IN, name="users-login", url=USERS_LOGIN, settings=LEGACY)
SEND_CODE = replace(LOG_IN, name="second step", url=SECOND_STEP, settings=TWO_FACTOR)
IDENTIFY = Deed(
    "identify",
    lambda hub: hub.login.identify(USERNAME, TOKEN),
    "POST",
    AUTH_TOKEN,
    answer(200, access_token="a bearer"),
)
DOCKER_LOGIN = Deed(
    "docker login",
    lambda hub: hub.login.log_in_to_registry(USERNAME, TOKEN),
    "GET",
    REGISTRY_TOKEN,
    answer(200, token="a bearer"),
)
PROBE = replace(DOCKER_LOGIN, name="probe", do=lambda hub: hub.login.log_in_to_registry(USERNAME, TOKEN, REPOSITORY))
SHOW = replace(PROBE, name="registry", url=REGISTRY, reply=answer(200))
REPEATABLE = [LIST, ENABLE, DISABLE, LABEL, DELETE, IDENTIFY, DOCKER_LOGIN]

# How an answer can fail to arrive although the request may have had its effect.
LOST: list[type[httpx.TransportError] | type[httpx.DecodingError]] = [
    httpx.ReadTimeout,
    httpx.ReadError,
    httpx.WriteTimeout,
    httpx.WriteError,
    httpx.RemoteProtocolError,
    httpx.DecodingError,
]

# It has the words of a refusal in it, and is none.
PAGE_OF_A_FIREWALL = "<h1>403</h1><p>Access denied by your organization's policy. single sign-on"


def each(*deeds: Deed) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("deed", deeds, ids=[deed.name for deed in deeds])


def name(value: object) -> str:
    return value.__name__ if isinstance(value, type) else str(value)
