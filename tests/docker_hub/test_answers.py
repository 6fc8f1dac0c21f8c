"""An answer is read for what it holds, and one that is not Docker Hub's is told from one that is."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest

from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.errors import (
    DockerHubRefused,
    DockerHubUnavailable,
    LoginRefused,
    RotationError,
)
from tests.docker_hub.wire import (
    AUTH_TOKEN,
    CREATE,
    DOCKER_LOGIN,
    IDENTIFY,
    LIST,
    LOG_IN,
    PLAIN,
    PROBE,
    REGISTRY,
    REGISTRY_TOKEN,
    REPOSITORY,
    SEND_CODE,
    SIGNING_KEY,
    TOKEN,
    USERNAME,
    USERS_LOG_IN,
    UUID,
    Deed,
    World,
    answer,
    each,
    granted,
    item,
    page,
    registry_token,
)

if TYPE_CHECKING:
    from tests.conftest import Clock

# Tokens


USUAL = Token(UUID, "ours", active=True, created_at=datetime(2026, 11, 24, 3, tzinfo=UTC))
OF_OURS = "dockerhub-rotation/0123456789abcdef/00000001-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("fields", "token"),
    [
        ({}, USUAL),
        ({"is_active": False}, replace(USUAL, active=False)),
        ({"token_label": None}, replace(USUAL, label="")),
        *(({"is_active": odd}, replace(USUAL, active=None)) for odd in (None, "true", 1)),
        ({"a_new_field": {"of": ["Docker Hub's"]}}, USUAL),
        ({"created_at": "2026-11-24T04:00:00.000000+01:00"}, USUAL),
        ({"created_at": None}, replace(USUAL, created_at=None)),
        ({"created_at": 1800000000}, replace(USUAL, created_at=None)),
        ({"created_at": "yesterday"}, replace(USUAL, created_at=None)),
        ({"created_at": "2026-11-24T03:00:00"}, replace(USUAL, created_at=None)),
        ({"created_at": "0001-01-01T00:00:00Z"}, replace(USUAL, created_at=None)),
        ({"expires_at": "2027-11-24T03:00:00Z"}, replace(USUAL, expires_at=datetime(2027, 11, 24, 3, tzinfo=UTC))),
        *(({"expires_at": never}, USUAL) for never in (None, "", 7, "0001-01-01T00:00:00Z")),
        ({"scopes": ["repo:read", "repo:write"]}, replace(USUAL, scopes=frozenset({"repo:read", "repo:write"}))),
        ({"scopes": [7, None, "repo:read"]}, replace(USUAL, scopes=frozenset({"repo:read"}))),
        *(({"scopes": odd}, USUAL) for odd in (None, "repo:read", 7)),
    ],
    ids=lambda given: str(given) if isinstance(given, dict) else "",
)
def test_a_listed_token_is_read(fields: dict[str, object], token: Token, world: World) -> None:
    LIST.replies(world, page(item(**fields)))

    assert world.invoke().tokens.listed() == [token]


NO_UUIDS: list[object] = [None, "", 7, [], {}, "..", "a/../b", "a?b=c", "a b", "x" * 65]


@pytest.mark.parametrize("uuid", NO_UUIDS, ids=repr)
def test_a_token_of_ours_without_a_uuid_is_not_passed_over(uuid: object, world: World) -> None:
    """It may be a superseded one."""
    LIST.replies(world, page(item(), item(uuid, token_label=OF_OURS)))

    with pytest.raises(DockerHubUnavailable, match="the answer is not Docker Hub's API"):
        world.invoke().tokens.listed()


@pytest.mark.parametrize(
    "odd",
    [None, "text", 7, [], {}, *(item(uuid, token_label=label) for uuid in NO_UUIDS for label in ("laptop", None))],
    ids=repr,
)
def test_a_strangers_odd_token_keeps_ours_from_nothing(odd: Any, world: World) -> None:
    LIST.replies(world, page(odd, item(token_label=OF_OURS), odd))

    assert world.invoke().tokens.listed() == [replace(USUAL, label=OF_OURS)]


@pytest.mark.parametrize("uuid", NO_UUIDS, ids=repr)
def test_the_uuid_of_a_new_token_is_nothing_but_a_uuid(uuid: object, world: World) -> None:
    """It becomes part of a path."""
    CREATE.replies(world, answer(201, uuid=uuid, token=TOKEN))

    with pytest.raises(DockerHubUnavailable):
        world.invoke().tokens.create("ours")


@pytest.mark.parametrize(("listed", "told"), [(UUID, UUID.upper()), (UUID.upper(), UUID)])
def test_a_token_is_known_by_its_uuid_in_either_case(listed: str, told: str) -> None:
    assert replace(USUAL, uuid=listed).is_called(told)
    assert not replace(USUAL, uuid=listed).is_called(told[:-1] + "0")


@pytest.mark.parametrize(("at", "expired"), [(0, True), (0.001, False), (-1, True), (None, False)])
def test_a_token_expires_at_its_end(at: float | None, expired: bool, clock: "Clock") -> None:
    end = None if at is None else datetime.fromtimestamp(clock.now + at, UTC)

    assert replace(USUAL, expires_at=end).expired(clock.now) is expired


# Claims


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
        pytest.param(
            {"https://hub.docker.com": {"source": f"docker_oat|{UUID}"}}, (None, UUID, None), id="an organization's"
        ),
        pytest.param({"https://hub.docker.com": {"source": f"docker_password|{UUID}"}}, NOBODY, id="no token's"),
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


def test_grants_for_a_repository_add_up(world: World) -> None:
    grant = registry_token(granted("pull"), granted("push", "delete"), granted("pull", name="acme/other"))
    world.on("GET", REGISTRY_TOKEN, answer(200, token=grant))
    world.on("GET", REGISTRY, 200)

    world.invoke(replace(PLAIN, scopes=("repo:write",))).login.log_in_to_registry(USERNAME, TOKEN, REPOSITORY)


@pytest.mark.parametrize("actions", [5, "pull", {"pull": True}, [["pull"]], [{}], [None]], ids=str)
def test_actions_of_another_type_grant_nothing(actions: object, world: World) -> None:
    PROBE.replies(world, answer(200, token=registry_token({"name": REPOSITORY, "actions": actions})))

    with pytest.raises(DockerHubRefused):
        world.invoke().login.log_in_to_registry(USERNAME, TOKEN, REPOSITORY)


# Headers


@pytest.mark.parametrize("remaining", ["", "many", "-1", "1.5"])
def test_a_count_of_requests_left_that_is_none_is_ignored(remaining: str, world: World) -> None:
    DOCKER_LOGIN.replies(world, answer(200, {"X-RateLimit-Remaining": remaining}, token="a bearer"))
    docker_hub = world.invoke()

    docker_hub.login.log_in_to_registry(USERNAME, TOKEN)

    assert docker_hub.http.requests_left is None


@pytest.mark.parametrize("remaining", [b"\xb2", b"9" * 5000])
def test_a_count_of_requests_left_that_only_looks_like_one_is_ignored(remaining: bytes, world: World) -> None:
    headers = [(b"X-RateLimit-Remaining", remaining)]
    DOCKER_LOGIN.replies(world, httpx.Response(200, headers=headers, json={"token": "a bearer"}))
    docker_hub = world.invoke()

    docker_hub.login.log_in_to_registry(USERNAME, TOKEN)

    assert docker_hub.http.requests_left is None


# Answers that are not Docker Hub's


def with_odd(field: str, *values: object, **others: Any) -> list[httpx.Response]:
    """Return answers that lack a field, and answers with each of the values in it."""
    return [answer(200, **others), *(answer(200, **others | {field: value}) for value in values)]


ODD: tuple[object, ...] = (None, "", 7, [], {})
ODD_ANSWERS = {
    CREATE: with_odd("uuid", *ODD, token=TOKEN),
    LIST: with_odd("results", None, "", 7, {}, count=1),
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
        for reply in replies
    ],
)
def test_an_answer_in_another_shape_is_not_docker_hubs(deed: Deed, reply: httpx.Response, world: World) -> None:
    deed.replies(world, reply)

    with pytest.raises(DockerHubUnavailable, match="the answer is not Docker Hub's API"):
        deed.do(world.invoke(deed.settings))


@pytest.mark.parametrize("bearer", ["\u00e4", "a\nb", "a\r\nX-Other: b", "\x7f"], ids=ascii)
@pytest.mark.parametrize("deed", [LOG_IN, PROBE], ids=["log in", "probe"])
def test_a_bearer_that_fits_into_no_header_is_not_docker_hubs(deed: Deed, bearer: str, world: World) -> None:
    deed.replies(world, answer(200, access_token=bearer))

    with pytest.raises(DockerHubUnavailable):
        deed.do(world.invoke())


DEEP = "[" * 100_000


@pytest.mark.parametrize("text", [DEEP, '{"token":' + DEEP])
@pytest.mark.parametrize("status", [200, 401, 429])
@each(LOG_IN, IDENTIFY, DOCKER_LOGIN)
def test_an_answer_nested_too_deep_is_no_defect(deed: Deed, status: int, text: str, world: World) -> None:
    deed.replies(world, lambda: httpx.Response(status, text=text))

    with pytest.raises((RotationError, LoginRefused)):
        deed.do(world.invoke())
