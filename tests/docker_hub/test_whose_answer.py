"""An answer that may be anybody's refuses nothing, retires nothing, ends nothing, and is named without its values."""

from itertools import product

import httpx
import pytest

from dockerhub_rotation.errors import AnswerUnknown, DockerHubUnavailable, LoginRefused
from tests.docker_hub.wire import (
    CREATE,
    DELETE,
    DISABLE,
    DOCKER_LOGIN,
    ENABLE,
    IDENTIFY,
    LABEL,
    LIST,
    LOG_IN,
    PAGE_OF_A_FIREWALL,
    PASSWORD,
    PROBE,
    RELABEL,
    SEND_CODE,
    SHOW,
    TOKEN,
    TOKENS,
    USERNAME,
    USERS_LOG_IN,
    UUID,
    Deed,
    Reply,
    World,
    answer,
    each,
    item,
    page,
    refused,
)

# As gateways, firewalls, load balancers and guest networks answer.
REFUSALS = {
    "an API gateway without a route": answer(404, message="no Route matched with those values"),
    "a web server's 404": httpx.Response(404, text="404 page not found"),
    "an empty 404": httpx.Response(404),
    "a firewall's text": httpx.Response(403, text="error code: 1020"),
    "a firewall's JSON": answer(403, message="Forbidden"),
    "a firewall's page": httpx.Response(403, html=PAGE_OF_A_FIREWALL),
    "an API gateway's authorizer": answer(401, message="Unauthorized"),
    "an API gateway's validation": answer(400, message="Invalid request body"),
    "a list": httpx.Response(401, json=[]),
    "a text in JSON": httpx.Response(403, json="denied"),
    "null": httpx.Response(400, content=b"null"),
}
PAGES = {
    "a page that calls itself JSON": httpx.Response(
        200, headers={"Content-Type": "application/json"}, text="<html><body>Welcome to the guest network"
    ),
    "null": httpx.Response(200, content=b"null"),
    "a list": httpx.Response(200, json=[]),
    "a text in JSON": httpx.Response(200, json="ok"),
    "no text": httpx.Response(200, content=b"\xff\xfe\xfa"),
}

MANAGING = (CREATE, LIST, ENABLE, DISABLE, RELABEL, LABEL, DELETE)
LOGGING_IN = (LOG_IN, USERS_LOG_IN, SEND_CODE, IDENTIFY, DOCKER_LOGIN, PROBE)
TAKING_AWAY = (DISABLE, RELABEL, LABEL, DELETE)  # or leaving it, which is as well if it is gone


def answered(deeds: tuple[Deed, ...], replies: dict[str, httpx.Response]) -> pytest.MarkDecorator:
    """Let each deed be answered by each of these, but not taking away by a 404, and not DELETE as Docker Hub does."""
    return pytest.mark.parametrize(
        ("deed", "reply"),
        [
            pytest.param(deed, reply, id=f"{deed.name}: {who}")
            for deed, (who, reply) in product(deeds, replies.items())
            if not (deed in TAKING_AWAY and reply.status_code == 404)
            and not (deed is DELETE and reply.is_success and not reply.content)
        ],
    )


# Refusals


@answered((*MANAGING, *LOGGING_IN, SHOW), REFUSALS)
def test_a_refusal_that_may_be_anybodys_is_neither_docker_hubs_nor_an_outage(
    deed: Deed, reply: httpx.Response, world: World
) -> None:
    deed.replies(world, reply)

    with pytest.raises(AnswerUnknown, match=f"the answer {reply.status_code} holds .* no refusal of Docker Hub"):
        deed.do(world.invoke(deed.settings))


@answered(LOGGING_IN[:3], REFUSALS)
def test_it_condemns_no_password_and_no_code(deed: Deed, reply: httpx.Response, world: World) -> None:
    """What is condemned is not tried again for a quarter of an hour."""
    route = deed.replies(world, lambda: reply)

    for _ in range(2):
        with pytest.raises(AnswerUnknown):
            deed.do(world.invoke(deed.settings))
        world.clock.tick(30)  # the next code's time

    assert world.connection.management.failed is None
    assert len(route.calls) == 2


@answered(LOGGING_IN[3:], REFUSALS)
def test_it_counts_for_no_refused_token(deed: Deed, reply: httpx.Response, world: World) -> None:
    """Three of those end an invocation's logins."""
    deed.replies(world, lambda: reply)
    docker_hub = world.invoke()

    for _ in range(4):
        with pytest.raises(AnswerUnknown):
            deed.do(docker_hub)


@answered(MANAGING, {who: reply for who, reply in REFUSALS.items() if reply.status_code in (401, 403)})
def test_it_ends_no_management_login(deed: Deed, reply: httpx.Response, world: World) -> None:
    """Another login, for which an account may need its next one-time code, would meet the same firewall."""
    login = world.lets_in()
    world.holds_nothing()
    world.invoke().tokens.listed()
    world.on(deed.method, deed.url, reply, deed.reply)

    with pytest.raises(AnswerUnknown):
        deed.do(world.invoke())
    deed.do(world.invoke())

    assert len(login.calls) == 1


def test_a_login_that_docker_hub_ends_is_not_taken_for_ended_by_anybody_else(world: World) -> None:
    login = world.lets_in()
    world.on("GET", TOKENS, page(), 401, answer(401, message="Unauthorized"))
    world.invoke().tokens.listed()

    with pytest.raises(AnswerUnknown):
        world.invoke().tokens.listed()

    assert len(login.calls) == 2
    assert world.connection.management.login is not None


# Successes


@answered((*MANAGING, *LOGGING_IN), PAGES | {"nothing": httpx.Response(200)})
def test_a_success_that_may_be_anybodys_is_none(deed: Deed, reply: httpx.Response, world: World) -> None:
    deed.replies(world, reply)
    if deed in (ENABLE, DISABLE, RELABEL, LABEL):
        world.on("GET", deed.url, reply)
    elif deed is DELETE:
        world.on("GET", TOKENS, page(item()))

    with pytest.raises(DockerHubUnavailable, match="the answer is not Docker Hub's API"):
        deed.do(world.invoke(deed.settings))


# A token's end

GONE = {who: reply for who, reply in REFUSALS.items() if reply.status_code == 404}
ENDS = pytest.mark.parametrize(
    ("deed", "reply"),
    [
        pytest.param(deed, reply, id=f"{deed.name}: {who}")
        for deed in TAKING_AWAY
        for who, reply in (GONE | PAGES if deed is DELETE else GONE).items()
    ],
)


@pytest.mark.parametrize("listed", [UUID, UUID.upper()], ids=["in the same case", "in the other case"])
@ENDS
def test_a_token_that_anybody_calls_gone_is_not_if_the_list_shows_it(
    deed: Deed, reply: httpx.Response, listed: str, world: World
) -> None:
    deed.replies(world, reply)
    world.on("GET", TOKENS, page(item("another"), item(listed)))

    with pytest.raises(DockerHubUnavailable, match="the answer is not Docker Hub's API"):
        deed.do(world.invoke())


def test_a_token_is_looked_for_in_either_case(world: World) -> None:
    world.lets_in()
    world.on("DELETE", f"{TOKENS}/{UUID.upper()}", REFUSALS["an empty 404"])
    world.on("GET", TOKENS, page(item(UUID)))

    with pytest.raises(DockerHubUnavailable):
        world.invoke().tokens.delete(UUID.upper())


@ENDS
def test_a_token_that_anybody_calls_gone_is_if_the_list_does_not_show_it(
    deed: Deed, reply: httpx.Response, world: World
) -> None:
    deed.replies(world, reply)
    world.on("GET", TOKENS, page(item("another")))

    deed.do(world.invoke())


def test_the_list_is_looked_at_once_in_an_invocation(world: World) -> None:
    """A gateway that knows no DELETE answers each of them so."""
    world.lets_in()
    world.on("DELETE", f"{TOKENS}/gone", lambda: REFUSALS["an empty 404"])
    world.on("DELETE", f"{TOKENS}/{UUID}", lambda: REFUSALS["an empty 404"])
    looks = world.on("GET", TOKENS, lambda: page(item()))

    for invocation in (1, 2):
        docker_hub = world.invoke()
        docker_hub.tokens.delete("gone")
        with pytest.raises(DockerHubUnavailable):
            docker_hub.tokens.delete(UUID)
        docker_hub.tokens.delete("gone")
        assert len(looks.calls) == invocation


def test_a_token_made_since_the_list_was_looked_at_is_looked_for_again(world: World) -> None:
    """The list from before does not show it, and says nothing of it."""
    world.lets_in()
    world.on("DELETE", f"{TOKENS}/gone", REFUSALS["an empty 404"])
    world.on("GET", TOKENS, page(), page(item()))
    world.on("POST", TOKENS, CREATE.reply)
    world.on("DELETE", f"{TOKENS}/{UUID}", REFUSALS["an empty 404"])
    docker_hub = world.invoke()
    docker_hub.tokens.delete("gone")
    docker_hub.tokens.create("ours")

    with pytest.raises(DockerHubUnavailable):
        docker_hub.tokens.delete(UUID)


# The list's end


@pytest.mark.parametrize("gone", GONE.values(), ids=GONE)
def test_a_page_that_anybody_calls_gone_ends_no_list(gone: httpx.Response, world: World) -> None:
    first = page(item("a"), following=TOKENS)
    LIST.replies(world, first, gone, first, gone)

    with pytest.raises(AnswerUnknown):
        world.invoke().tokens.listed()


@pytest.mark.parametrize("gone", GONE.values(), ids=GONE)
def test_a_page_that_anybody_calls_gone_hides_no_token(gone: httpx.Response, world: World) -> None:
    first = page(item("a"), following=TOKENS)
    LIST.replies(world, first, gone, first, page(item("b")))

    assert [token.uuid for token in world.invoke().tokens.listed()] == ["a", "b"]


@pytest.mark.parametrize("gone", GONE.values(), ids=GONE)
def test_a_list_ends_where_the_page_before_says_so(gone: httpx.Response, world: World) -> None:
    LIST.replies(world, page(item("a"), following=TOKENS), gone, page(item("b")))

    assert [token.uuid for token in world.invoke().tokens.listed()] == ["a", "b"]


# Docker Hub's own forms


OWN: dict[str, Reply] = {
    "message and errinfo": refused(401),
    "message and no errinfo to tell": answer(401, message="unauthorized", errinfo=None),
    "detail": answer(401, detail="Incorrect authentication credentials"),
    "details": answer(401, details="incorrect username or password"),
    "errors": answer(401, errors=[{"code": "UNAUTHORIZED", "message": "authentication required", "detail": None}]),
}


@pytest.mark.parametrize("reply", OWN.values(), ids=OWN)
@each(IDENTIFY, DOCKER_LOGIN, PROBE)
def test_a_refusal_in_a_form_of_docker_hubs_own_is_one(deed: Deed, reply: Reply, world: World) -> None:
    deed.replies(world, reply)

    with pytest.raises(LoginRefused):
        deed.do(world.invoke())


@pytest.mark.parametrize("status", [200, 302])
def test_a_form_of_a_refusal_makes_no_refusal_of_another_status(status: int, world: World) -> None:
    IDENTIFY.replies(world, answer(status, message="unauthorized", errinfo={}))

    with pytest.raises(DockerHubUnavailable):
        world.invoke().login.identify(USERNAME, TOKEN)


# What the message tells


JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtYXJrZXIifQ.marker"


ODD_KEYS = [TOKEN, JWT, UUID, f"{PASSWORD}!", f'{{"secret":"{PASSWORD}"}}', "x\n\x1b[2J", "\u00e4", "a b", "", "b" * 33]


@pytest.mark.parametrize(
    ("reply", "holds"),
    [
        (answer(401, message="a value", request_id="a value"), "a JSON object with message, request_id,"),
        (httpx.Response(401, json=dict.fromkeys("ihgfedcba", 1)), "a JSON object with a, b, c, d, e, f, g, h,"),
        (httpx.Response(401, json=dict.fromkeys([*ODD_KEYS, "a" * 32], 1)), f"a JSON object with {'a' * 32},"),
        (httpx.Response(401, json=dict.fromkeys(ODD_KEYS, 1)), "a JSON object with no key that could be shown,"),
        (answer(401), "a JSON object with no key that could be shown,"),
        (httpx.Response(401, json=["a value"]), "other JSON,"),
        (httpx.Response(401, text="a value"), "no JSON,"),
        (httpx.Response(401), "nothing,"),
    ],
    ids=["keys", "many keys", "odd keys and a long one", "odd keys", "no keys", "a list", "text", "nothing"],
)
def test_an_unknown_answer_is_told_by_its_keys_and_by_no_value(reply: httpx.Response, holds: str, world: World) -> None:
    IDENTIFY.replies(world, reply)

    with pytest.raises(AnswerUnknown) as failure:
        world.invoke().login.identify(USERNAME, TOKEN)

    told = str(failure.value)
    assert f"Logging in with the token: the answer 401 holds {holds} which is no refusal of Docker Hub" in told
    assert told.isprintable()
    assert "a value" not in told
