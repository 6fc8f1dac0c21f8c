"""Tokens are made, listed, changed and deleted as documented, and none is made twice."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from dockerhub_rotation import __version__
from dockerhub_rotation.docker_hub.tokens import NewToken
from dockerhub_rotation.errors import AnswerUnknown, DockerHubRefused, DockerHubUnavailable, OutOfTime, RateLimited
from tests.docker_hub.wire import (
    CREATE,
    DELETE,
    DISABLE,
    ENABLE,
    LABEL,
    LIST,
    LOST,
    MADE,
    PLAIN,
    RELABEL,
    TOKEN,
    TOKENS,
    TWO_FACTOR,
    UUID,
    Deed,
    Reply,
    World,
    answer,
    each,
    item,
    name,
    page,
    sent,
)

# Requests


@pytest.mark.parametrize(
    ("deed", "query", "body"),
    [
        pytest.param(CREATE, "", {"token_label": "ours", "scopes": ["repo:read"]}, id="create"),
        pytest.param(LIST, "?page=1&page_size=100", None, id="list"),
        pytest.param(ENABLE, "", {"is_active": True}, id="enable"),
        pytest.param(DISABLE, "", {"is_active": False}, id="disable"),
        pytest.param(RELABEL, "", {"is_active": False, "token_label": "ours"}, id="relabel"),
        pytest.param(LABEL, "", {"token_label": "ours"}, id="label, and leave it as it is"),
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


EXPIRES_AT = datetime(2027, 3, 1, 12, 0, 7, tzinfo=UTC)


@pytest.mark.parametrize("told", ["2027-03-01T12:00:07Z", "2027-03-01T12:00:07.000000Z", "2027-03-01T14:00:07+02:00"])
def test_a_token_that_is_to_expire_is_asked_for_so_and_told_so(told: str, world: World) -> None:
    route = CREATE.replies(world, answer(201, uuid=UUID, token=TOKEN, expires_at=told))

    assert world.invoke().tokens.create("ours", EXPIRES_AT) == NewToken(UUID, TOKEN)
    assert sent(route)[0]["expires_at"] == "2027-03-01T12:00:07Z"


def test_without_an_expiry_none_is_asked_for_and_none_is_looked_at(world: World) -> None:
    route = CREATE.replies(world, answer(201, uuid=UUID, token=TOKEN, expires_at="2027-03-01T12:00:07Z"))

    assert world.invoke().tokens.create("ours") == NewToken(UUID, TOKEN)
    assert sent(route)[0].keys() == {"token_label", "scopes"}


@pytest.mark.parametrize(
    "told", [None, "", "2027-03-01T12:00:08Z", "2027-03-01T12:00:06Z", "2027-03-01T12:00:07", "0001-01-01T00:00:00Z"]
)
def test_a_token_that_expires_at_another_time_than_it_was_to_is_deleted(told: str | None, world: World) -> None:
    """It would end in the midst of its life, or never."""
    CREATE.replies(world, answer(201, uuid=UUID, token=TOKEN, expires_at=told))
    deleted = world.on("DELETE", f"{TOKENS}/{UUID}", 204)

    with pytest.raises(AnswerUnknown, match="made a token that does not expire when it was to .* It is deleted again"):
        world.invoke().tokens.create("ours", EXPIRES_AT)

    assert len(deleted.calls) == 1


def test_a_refusal_to_make_a_token_that_expires_says_that_this_may_be_the_reason(world: World) -> None:
    CREATE.replies(world, 400)

    with pytest.raises(DockerHubRefused, match=r"it may have no token that expires at 2027-03-01 12:00:07\+00:00, or"):
        world.invoke().tokens.create("ours", EXPIRES_AT)


# Making a token is not idempotent


@pytest.mark.parametrize("lost", [500, 502, 503, 504, *LOST], ids=name)
def test_making_a_token_is_not_repeated_when_it_may_have_been_made(lost: Reply, world: World) -> None:
    CREATE.replies(world, lost)

    with pytest.raises(DockerHubUnavailable):
        world.invoke().tokens.create("ours")


@pytest.mark.parametrize("refused", [429, httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError], ids=name)
def test_making_a_token_is_repeated_when_it_was_surely_not_made(refused: Reply, world: World) -> None:
    CREATE.replies(world, refused, refused, refused, MADE)

    assert world.invoke().tokens.create("ours") == NewToken(UUID, TOKEN)


def test_making_a_token_is_not_repeated_once_a_repetition_may_have_made_it(world: World) -> None:
    CREATE.replies(world, httpx.ConnectError, 429, httpx.ReadTimeout)

    with pytest.raises(DockerHubUnavailable):
        world.invoke().tokens.create("ours")


@pytest.mark.parametrize("status", [400, 402, 403, 409, 422])
def test_a_refusal_to_make_a_token_says_what_may_be_the_reason(status: int, world: World) -> None:
    CREATE.replies(world, status)

    with pytest.raises(DockerHubRefused, match=f"answered {status}. The account may have reached its number of tokens"):
        world.invoke().tokens.create("ours")


@pytest.mark.parametrize(
    "value",
    [None, "", 7, [], {}, "***", "dckr_oat_0123456789", "a-token", "dckr_pat_\u00e4", "dckr_pat_a\nb"],
    ids=ascii,
)
def test_what_was_made_and_is_no_personal_token_is_deleted(value: object, world: World) -> None:
    """Only this answer shows it, so it is of use to nobody, and it would live on."""
    CREATE.replies(world, answer(201, uuid=UUID, token=value))
    deleted = world.on("DELETE", f"{TOKENS}/{UUID}", 204)

    with pytest.raises(AnswerUnknown, match="made no personal access token"):
        world.invoke().tokens.create("ours")

    assert len(deleted.calls) == 1


def test_a_token_whose_value_is_not_told_is_deleted(world: World) -> None:
    CREATE.replies(world, answer(201, uuid=UUID))
    deleted = world.on("DELETE", f"{TOKENS}/{UUID}", 204)

    with pytest.raises(AnswerUnknown, match="made no personal access token"):
        world.invoke().tokens.create("ours")

    assert len(deleted.calls) == 1


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        (("repo:read",), ["repo:public_read"]),
        (("repo:write",), ["repo:read", "repo:public_read"]),
        (("repo:public_read", "repo:admin"), ["repo:write"]),
        (("repo:write",), ["repo:read", "scope-image-push"]),
    ],
    ids=str,
)
def test_a_token_that_may_do_less_than_was_asked_for_is_deleted(
    asked: tuple[str, ...], made: list[str], world: World
) -> None:
    """Staged, it would be dropped by testSecret, and so would the next, for ever."""
    CREATE.replies(world, answer(201, uuid=UUID, token=TOKEN, scopes=made))
    deleted = world.on("DELETE", f"{TOKENS}/{UUID}", 204)

    with pytest.raises(AnswerUnknown, match="may do less than DOCKERHUB_TOKEN_SCOPES asks for"):
        world.invoke(replace(PLAIN, scopes=asked)).tokens.create("ours")

    assert len(deleted.calls) == 1


@pytest.mark.parametrize(
    "scopes",
    [["repo:read"], ["repo:admin"], [], ["scope-image-pull"], [7], [None], None, "repo:public_read", {"repo": "read"}],
    ids=str,
)
def test_scopes_that_are_enough_or_unknown_speak_against_no_token(scopes: object, world: World) -> None:
    """What Docker Hub may call its scopes one day says nothing of what they allow."""
    CREATE.replies(world, answer(201, uuid=UUID, token=TOKEN, scopes=scopes))

    assert world.invoke().tokens.create("ours") == NewToken(UUID, TOKEN)


# A token needs time to be stored


def test_no_token_is_made_that_there_is_no_time_to_store(world: World) -> None:
    world.lets_in()

    with pytest.raises(OutOfTime):
        world.invoke(seconds=9.9).tokens.create("ours")


def test_a_token_is_made_that_there_is_time_to_store(world: World) -> None:
    CREATE.replies(world, MADE)

    assert world.invoke(seconds=10).tokens.create("ours") == NewToken(UUID, TOKEN)


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

    tokens = world.invoke().tokens.listed(lambda tokens: "ours" in {token.label for token in tokens})

    assert "b" in [token.uuid for token in tokens]


@pytest.mark.parametrize(
    ("pages", "expected"), [(1, "yours"), (2, "ours")], ids=["it has one page", "what is expected is there"]
)
def test_the_list_is_not_read_again_without_need(pages: int, expected: str, world: World) -> None:
    LIST.replies(world, *[page(item("a"), following="yes"), page(item("b"))][-pages:])
    docker_hub = world.invoke()

    docker_hub.tokens.listed(lambda tokens: expected in {token.label for token in tokens})

    assert docker_hub.http.requests == 1 + pages


def test_a_page_may_be_empty(world: World) -> None:
    LIST.replies(world, page(following=TOKENS), page(item()))

    assert [token.uuid for token in world.invoke().tokens.listed()] == [UUID]


def test_a_list_may_have_become_shorter_by_a_page(world: World) -> None:
    """What was on the page that is gone may have moved to the one before it, which now says that it is the last."""
    LIST.replies(world, page(item("a"), following=TOKENS), answer(404, detail="Invalid page."), page(item("b")))

    assert [token.uuid for token in world.invoke().tokens.listed()] == ["a", "b"]


def test_a_page_may_have_been_gone_for_a_moment(world: World) -> None:
    first, gone = page(item("a"), following=TOKENS), answer(404, detail="Invalid page.")
    LIST.replies(world, first, gone, first, page(item("b"), following=TOKENS), page(item("c")))

    assert [token.uuid for token in world.invoke().tokens.listed()] == ["a", "b", "c"]


def test_a_page_that_is_gone_is_not_the_end_of_a_list_that_goes_on(world: World) -> None:
    first, gone = page(item("a"), following=TOKENS), answer(404, detail="Invalid page.")
    LIST.replies(world, first, gone, first, gone)

    with pytest.raises(DockerHubRefused, match="Listing the tokens: Docker Hub answered 404"):
        world.invoke().tokens.listed()


def test_the_first_page_cannot_be_gone(world: World) -> None:
    LIST.replies(world, answer(404, detail="Not found."))

    with pytest.raises(DockerHubRefused):
        world.invoke().tokens.listed()


# Changing and deleting


@pytest.mark.parametrize("status", [200, 202, 204, 404])
def test_a_token_is_deleted(status: int, world: World) -> None:
    """204 is documented, 202 has been seen, and with 404 there is nothing left to do. No list is asked."""
    DELETE.replies(world, status if status == 404 else httpx.Response(status))

    world.invoke().tokens.delete(UUID)


@each(DISABLE, RELABEL, LABEL)
def test_disabling_or_labelling_a_token_that_is_gone_is_done(deed: Deed, world: World) -> None:
    deed.replies(world, 404)

    deed.do(world.invoke())


UNSAID = [httpx.Response(204), httpx.Response(202), answer(200), answer(200, is_active=None), answer(200, uuid=UUID)]


@pytest.mark.parametrize("reply", UNSAID, ids=lambda reply: f"{reply.status_code} {reply.text}")
@each(ENABLE, DISABLE, RELABEL, LABEL)
def test_a_change_whose_answer_does_not_show_it_is_looked_up(deed: Deed, reply: httpx.Response, world: World) -> None:
    deed.replies(world, reply)
    looked = world.on("GET", deed.url, deed.reply)

    deed.do(world.invoke())

    assert len(looked.calls) == 1


@pytest.mark.parametrize("says", [None, "yes", {}], ids=str)
@pytest.mark.parametrize("reply", UNSAID, ids=lambda reply: f"{reply.status_code} {reply.text}")
@each(ENABLE, DISABLE, RELABEL)
def test_a_change_that_nothing_shows_is_not_taken_for_made(
    deed: Deed, reply: httpx.Response, says: object, world: World
) -> None:
    deed.replies(world, reply)
    world.on("GET", deed.url, answer(200, is_active=deed is not ENABLE if says is None else says))

    with pytest.raises(DockerHubUnavailable, match="the answer is not Docker Hub's API"):
        deed.do(world.invoke())


@pytest.mark.parametrize("reply", UNSAID, ids=lambda reply: f"{reply.status_code} {reply.text}")
def test_a_label_that_nothing_shows_is_not_taken_for_written(reply: httpx.Response, world: World) -> None:
    LABEL.replies(world, reply)
    world.on("GET", LABEL.url, answer(200, is_active=True, token_label="theirs"))

    with pytest.raises(DockerHubUnavailable, match="the answer is not Docker Hub's API"):
        LABEL.do(world.invoke())


def test_a_token_that_is_said_to_have_kept_its_label_is_told_apart(world: World) -> None:
    LABEL.replies(world, answer(200, token_label="theirs"), LABEL.reply)

    assert world.invoke().tokens.relabel(UUID, "ours") is False
    assert world.invoke().tokens.relabel(UUID, "ours") is True


def test_a_token_can_be_enabled_and_labelled_in_one_request(world: World) -> None:
    route = ENABLE.replies(world, answer(200, is_active=True, token_label="ours"))

    world.invoke().tokens.enable(UUID, "ours")

    assert sent(route) == [{"is_active": True, "token_label": "ours"}]


@pytest.mark.parametrize(
    ("deed", "status", "says"),
    [
        (LABEL, 403, f"Labelling token {UUID}: Docker Hub answered 403"),
        (ENABLE, 404, f"Enabling token {UUID}: Docker Hub answered 404"),
        (DISABLE, 403, f"Disabling token {UUID}: Docker Hub answered 403"),
        (DELETE, 403, f"Deleting token {UUID}: Docker Hub answered 403"),
    ],
    ids=["label", "enable", "disable", "delete"],
)
def test_what_is_refused_is_named(deed: Deed, status: int, says: str, world: World) -> None:
    deed.replies(world, status)

    with pytest.raises(DockerHubRefused, match=says):
        deed.do(world.invoke())
