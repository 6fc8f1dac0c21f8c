"""Logging in with a token is done as its consumers do it, and tells a refused token from everything else."""

import base64
from dataclasses import replace
from typing import Any

import httpx
import jwt
import pytest
import respx

from dockerhub_rotation import __version__
from dockerhub_rotation.docker_hub import DockerHub
from dockerhub_rotation.errors import DockerHubRefused, LoginRefused, LoginsUsedUp
from tests.docker_hub.wire import (
    AUTH_TOKEN,
    DOCKER_LOGIN,
    IDENTIFY,
    PLAIN,
    PROBE,
    REGISTRY,
    REGISTRY_TOKEN,
    REPOSITORY,
    SIGNING_KEY,
    TOKEN,
    USERNAME,
    UUID,
    Deed,
    World,
    answer,
    authorizations,
    each,
    granted,
    page,
    refused,
    registry_token,
    sent,
)

# Requests


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

    world.invoke().login.log_in_to_registry(USERNAME, TOKEN)

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


# Refusals


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


# The user name must not be locked


def use_up(docker_hub: DockerHub, world: World, *deeds: Deed) -> None:
    """Have each of these refused."""
    for deed in deeds:
        deed.replies(world, lambda: refused(401))
        with pytest.raises(LoginRefused):
            deed.do(docker_hub)


@pytest.mark.parametrize(
    "deeds",
    [[IDENTIFY] * 3, [DOCKER_LOGIN] * 3, [PROBE, IDENTIFY, DOCKER_LOGIN]],
    ids=["at the Hub API", "at the registry", "at both"],
)
@each(IDENTIFY, DOCKER_LOGIN, PROBE)
def test_after_three_refused_logins_an_invocation_makes_no_more(deed: Deed, deeds: list[Deed], world: World) -> None:
    """However many stored values hold tokens that are gone: refused logins lock the user name for every consumer."""
    docker_hub = world.invoke()
    use_up(docker_hub, world, *deeds)

    with pytest.raises(LoginsUsedUp, match="has refused 3 logins of this invocation, which makes no more"):
        deed.do(docker_hub)

    assert docker_hub.http.requests == 3


def test_the_next_invocation_may_log_in_again(world: World) -> None:
    use_up(world.invoke(), world, IDENTIFY, IDENTIFY, IDENTIFY)

    use_up(world.invoke(), world, IDENTIFY, IDENTIFY, IDENTIFY)


def test_what_is_no_refused_login_does_not_count_for_one(world: World) -> None:
    docker_hub = world.invoke()
    use_up(docker_hub, world, IDENTIFY, DOCKER_LOGIN)

    DOCKER_LOGIN.replies(world, *[answer(401, details="access token has insufficient scopes"), DOCKER_LOGIN.reply] * 3)
    for _ in range(3):
        with pytest.raises(DockerHubRefused):
            PROBE.do(docker_hub)
        DOCKER_LOGIN.do(docker_hub)

    use_up(docker_hub, world, IDENTIFY)
    with pytest.raises(LoginsUsedUp):
        IDENTIFY.do(docker_hub)


# Which token a value is


def names(world: World, *uuids: str | None) -> respx.Route:
    """Let logins tell which token they were made with, one after the other."""
    sources = [uuid and f"docker_pat|{uuid}" for uuid in uuids]
    return world.on("POST", AUTH_TOKEN, *(answer(200, access_token=world.bearer(source=source)) for source in sources))


def test_which_token_a_value_is_is_asked_once_in_a_sandbox(world: World) -> None:
    """It does not change, and each login could be one that is refused."""
    names(world, UUID)

    told = [world.invoke().login.whose(USERNAME, TOKEN) for _ in range(3)]

    assert told == [UUID] * 3


def test_another_value_is_another_token(world: World) -> None:
    names(world, "one", "another")
    docker_hub = world.invoke()

    told = [docker_hub.login.whose(USERNAME, value) for value in (TOKEN, TOKEN[:-1], TOKEN)]

    assert told == ["one", "another", "one"]


def test_a_login_that_does_not_tell_is_asked_again(world: World) -> None:
    names(world, None, UUID)

    assert [world.invoke().login.whose(USERNAME, TOKEN) for _ in range(2)] == [None, UUID]


def test_what_is_remembered_of_a_token_does_not_say_that_it_works(world: World) -> None:
    names(world, UUID)
    world.invoke().login.whose(USERNAME, TOKEN)
    IDENTIFY.replies(world, 401)

    with pytest.raises(LoginRefused):
        world.invoke().login.identify(USERNAME, TOKEN)


def test_the_memory_of_tokens_is_bounded_and_holds_none_of_their_values(world: World) -> None:
    names(world, *(str(number) for number in range(300)))
    docker_hub = world.invoke()

    for number in range(300):
        assert docker_hub.login.whose(USERNAME, f"dckr_pat_{number}") == str(number)

    assert len(world.connection.known) <= 256
    assert docker_hub.login.whose(USERNAME, "dckr_pat_299") == "299"
    assert "dckr_pat_" not in repr([world.connection, *world.connection.known])


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


BOTH = (REPOSITORY, "acme/another")


def test_several_repositories_are_asked_for_in_one_login_and_shown_once(world: World) -> None:
    grant = registry_token(granted("pull"), granted("pull", name="acme/another"))
    token = world.on("GET", REGISTRY_TOKEN, answer(200, token=grant))
    registry = world.on("GET", REGISTRY, 200)

    world.invoke().login.log_in_to_registry(USERNAME, TOKEN, *BOTH)

    (asked,) = token.calls
    assert asked.request.url.params.get_list("scope") == [f"repository:{name}:pull" for name in BOTH]
    assert authorizations(registry) == [f"Bearer {grant}"]


@pytest.mark.parametrize(("refused", "other"), [BOTH, BOTH[::-1]])
def test_each_of_several_repositories_has_to_be_granted(refused: str, other: str, world: World) -> None:
    world.on("GET", REGISTRY_TOKEN, answer(200, token=registry_token(granted("pull", name=other))))

    with pytest.raises(DockerHubRefused, match=f"is not granted pull on {refused}[.]"):
        world.invoke().login.log_in_to_registry(USERNAME, TOKEN, *BOTH)


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
