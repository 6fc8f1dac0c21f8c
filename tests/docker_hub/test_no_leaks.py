"""Nothing that the client raises, logs or shows holds a secret or a piece of an answer."""

import logging
import traceback
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import respx

from dockerhub_rotation.docker_hub import Connection, DockerHub
from dockerhub_rotation.errors import LoginRefused, RotationError
from tests.docker_hub.wire import (
    CREATE,
    DELETE,
    DOCKER_LOGIN,
    ENABLE,
    IDENTIFY,
    LIST,
    LOG_IN,
    MADE,
    PASSWORD,
    PROBE,
    REGISTRY_TOKEN,
    SECOND_FACTOR_TOKEN,
    SEED,
    SEND_CODE,
    SHOW,
    TOKEN,
    TOKENS,
    TWO_FACTOR,
    USERS_LOG_IN,
    UUID,
    Deed,
    Reply,
    World,
    answer,
    each,
    given,
    granted,
    name,
    registry_token,
)

if TYPE_CHECKING:
    from tests.conftest import Clock

BODY = "body-marker"
BODIES: list[dict[str, Any]] = [
    {"text": f"<p>{BODY} {PASSWORD} {TOKEN}"},
    {"json": {"message": f"{BODY} organization", "detail": f"{TOKEN} sso", "token": BODY, "access_token": BODY}},
    {"json": {"details": f"{BODY} insufficient scopes, token issued from {PASSWORD}", "results": [BODY]}},
    {"json": {"uuid": UUID, "token": BODY, TOKEN: BODY, "message": BODY}},
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


def shown_by(docker_hub: DockerHub, connection: Connection) -> str:
    """Return whatever a look at the client's rooms, and at what outlives them, could show."""
    rooms = [docker_hub, *vars(docker_hub).values(), connection, *vars(connection).values()]
    return repr([*rooms, *(vars(room) for room in rooms if hasattr(room, "__dict__"))])


@pytest.mark.parametrize("reply", REPLIES, ids=lambda reply: str(getattr(reply, "status_code", name(type(reply)))))
@each(CREATE, LIST, ENABLE, DELETE, LOG_IN, IDENTIFY, USERS_LOG_IN, SEND_CODE, DOCKER_LOGIN, PROBE, SHOW)
def test_no_failure_tells_a_secret_or_an_answer(
    deed: Deed, reply: Reply, clock: "Clock", caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with respx.mock(assert_all_called=False) as router:  # what is asked depends on the reply
        world = World(router, clock)
        bearer, grant = world.bearer(), registry_token(granted("pull"))
        world.lets_in_with_code()
        world.on("GET", REGISTRY_TOKEN, lambda: answer(200, token=grant))
        world.lets_in()
        world.holds_nothing()
        world.on("GET", f"{TOKENS}/{UUID}", lambda: given(reply))
        world.on("DELETE", f"{TOKENS}/{UUID}", 204)
        world.on(deed.method, deed.url, lambda: given(reply))
        docker_hub = world.invoke(deed.settings)
        try:
            told = repr(deed.do(docker_hub))
        except (RotationError, LoginRefused) as failure:
            told = told_by(failure)
        told += caplog.text + shown_by(docker_hub, world.connection)

    codes = (world.code_at(1_800_000_010), world.code_at(1_800_000_030))
    for secret in (PASSWORD, SEED, TOKEN, SECOND_FACTOR_TOKEN, bearer, grant, BODY, *codes):
        assert secret not in told


def test_no_value_shows_its_secret(world: World) -> None:
    world.lets_in_with_code()
    world.on("POST", TOKENS, MADE)
    docker_hub = world.invoke(TWO_FACTOR)

    made = docker_hub.tokens.create("ours")

    shown = repr([made, docker_hub.management._parameters.account()]) + shown_by(docker_hub, world.connection)
    for secret in (TOKEN, world.bearer(seconds=61), PASSWORD, SEED):
        assert secret not in shown
