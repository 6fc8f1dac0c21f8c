"""A request is repeated where that can do no harm, waits out a request limit, and ends within the invocation's time."""

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import respx

from dockerhub_rotation.errors import (
    DockerHubRefused,
    DockerHubUnavailable,
    LockedOut,
    LoginRefused,
    OutOfTime,
    RateLimited,
    RotationError,
)
from tests.docker_hub.wire import (
    AUTH_TOKEN,
    CREATE,
    DELETE,
    DISABLE,
    DOCKER_LOGIN,
    IDENTIFY,
    LABEL,
    LIST,
    LOG_IN,
    LOST,
    REGISTRY_TOKEN,
    REPEATABLE,
    TOKEN,
    TOKENS,
    USERNAME,
    UUID,
    Deed,
    Reply,
    World,
    answer,
    each,
    given,
    name,
    page,
)

if TYPE_CHECKING:
    from tests.conftest import Clock

# Repetitions


@pytest.mark.parametrize(
    "failure",
    [429, 500, 503, httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.PoolTimeout, *LOST],
    ids=name,
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
            world.invoke().login.log_in_to_registry(USERNAME, TOKEN)

    assert len(set(world.clock.sleeps)) == 30


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 422])
@each(*REPEATABLE)
def test_a_refusal_is_not_repeated(deed: Deed, status: int, world: World) -> None:
    deed.replies(world, status)

    if status == 404 and deed in (DISABLE, LABEL, DELETE):
        deed.do(world.invoke())  # it is gone: done
    else:
        with pytest.raises((DockerHubRefused, LoginRefused)):
            deed.do(world.invoke())


# Request limits


# It is Fri, 15 Jan 2027 08:00:10 GMT.
PAST = "Wed, 25 Nov 2026 07:28:00 GMT"


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "1800000022"}, 12),
        ({"X-Retry-After": "1800000022"}, 12),
        ({"X-Retry-After": "9"}, 9),
        ({"Retry-After": "7", "X-Retry-After": "1800000022"}, 7),
        ({"Retry-After": PAST, "X-Retry-After": "1800000022"}, 12),
        ({"Retry-After": "Fri, 15 Jan 2027 08:00:22 GMT"}, 12),
        ({"Retry-After": "Friday, 15-Jan-27 08:00:22 GMT"}, 12),
        ({"Retry-After": "Fri Jan 15 08:00:22 2027"}, 12),
        ({"X-Retry-After": "Fri, 15 Jan 2027 08:00:22 GMT"}, 12),
        ({"X-RateLimit-Reset": "1800000022"}, 12),
        ({"Retry-After": "7", "X-RateLimit-Reset": "1800000022"}, 7),
        *(
            ({"Retry-After": meaningless, "X-RateLimit-Reset": "1800000022"}, 12)
            for meaningless in ("inf", "nan", "-5", "1e400", "86401", "1800000022000", "Fri, 15 Jan 9999 08:00:22 GMT")
        ),
    ],
    ids=str,
)
def test_a_rate_limit_is_waited_out_as_told(headers: dict[str, str], pause: float, world: World) -> None:
    DOCKER_LOGIN.replies(world, answer(429, headers), DOCKER_LOGIN.reply)

    world.invoke().login.log_in_to_registry(USERNAME, TOKEN)

    assert pause <= world.clock.sleeps[0] <= pause * 1.25
    assert len(world.clock.sleeps) == 1


@each(DISABLE, DELETE)
def test_what_takes_a_token_away_is_preceded_by_a_last_look_each_time_and_ended_by_what_that_raises(
    deed: Deed, world: World
) -> None:
    def look() -> None:
        looked.append(len(world.clock.sleeps))
        if len(looked) == 3:
            raise KeyError("enough")

    looked: list[int] = []
    asked = deed.replies(world, answer(429, {"Retry-After": "8"}), answer(503), deed.reply)
    tokens = world.invoke().tokens

    with pytest.raises(KeyError, match="enough"):
        tokens.delete(UUID, before=look) if deed is DELETE else tokens.disable(UUID, before=look)

    assert looked == [0, 1, 2]
    assert len(asked.calls) == 2


def test_those_who_wait_for_the_same_minute_do_not_go_on_in_the_same_second(world: World) -> None:
    DOCKER_LOGIN.replies(world, *[answer(429, {"Retry-After": "40"}), DOCKER_LOGIN.reply] * 20)

    for _ in range(20):
        world.connection.pool.spread = 0.0  # another sandbox
        world.invoke().login.log_in_to_registry(USERNAME, TOKEN)

    assert len(set(world.clock.sleeps)) == 20
    assert min(world.clock.sleeps) < 43 < 47 < max(world.clock.sleeps)


def test_what_fails_for_another_reason_waits_no_longer_for_the_request_limit(world: World) -> None:
    DOCKER_LOGIN.replies(world, answer(429, {"Retry-After": "60"}), answer(503), answer(503), DOCKER_LOGIN.reply)

    world.invoke().login.log_in_to_registry(USERNAME, TOKEN)

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
            world.invoke(seconds=50).login.log_in_to_registry(USERNAME, TOKEN)
        for _ in range(2):
            world.invoke().login.log_in_to_registry(USERNAME, TOKEN)

    assert len(set(world.clock.sleeps)) == 20
    assert min(world.clock.sleeps) < 5 < 10 < max(world.clock.sleeps) < 15


@pytest.mark.parametrize(
    "headers",
    [
        {},
        *({"Retry-After": value} for value in ("soon", PAST, "0", "-5", "1700000000", "nan", "-inf")),
        # Taken at their word, they would end the step, and say that it may go on in a thousand years.
        *({"Retry-After": value} for value in ("inf", "1e12", "999999999", "Fri, 15 Jan 9999 08:00:22 GMT")),
        *({"X-RateLimit-Reset": value} for value in ("soon", "inf", "1700000000", "1800000022000")),
    ],
    ids=str,
)
def test_a_rate_limit_that_says_nothing_useful_gets_the_usual_pause(headers: dict[str, str], world: World) -> None:
    DOCKER_LOGIN.replies(world, answer(429, headers), DOCKER_LOGIN.reply)

    world.invoke().login.log_in_to_registry(USERNAME, TOKEN)

    assert 0.2 <= world.clock.sleeps[0] <= 1


def test_a_date_is_held_against_docker_hubs_clock(world: World) -> None:
    ahead = {"Date": "Fri, 15 Jan 2027 08:05:10 GMT", "Retry-After": "Fri, 15 Jan 2027 08:05:22 GMT"}
    DOCKER_LOGIN.replies(world, answer(429, ahead), DOCKER_LOGIN.reply)

    world.invoke().login.log_in_to_registry(USERNAME, TOKEN)

    assert 12 <= world.clock.sleeps[0] <= 15


@pytest.mark.parametrize("header", ["Retry-After", "X-Retry-After"])
@pytest.mark.parametrize("until", ["3600", "1800003610"])
def test_a_rate_limit_longer_than_the_invocation_is_reported_at_once(until: str, header: str, world: World) -> None:
    DOCKER_LOGIN.replies(world, answer(429, {header: until}, detail="Rate limit exceeded"))

    with pytest.raises(RateLimited, match="for 3600 s more"):
        world.invoke().login.log_in_to_registry(USERNAME, TOKEN)

    assert world.clock.sleeps == []


# Lockouts


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

    with pytest.raises(LockedOut, match="Look for whoever still logs in with an old token or password"):
        deed.do(world.invoke())


@pytest.mark.parametrize("status", [401, 403])
def test_a_lockout_may_come_as_a_refusal(status: int, world: World) -> None:
    LOG_IN.replies(world, answer(status, message="too many failed login attempts"))

    with pytest.raises(LockedOut):
        world.invoke().tokens.listed()


def test_too_many_requests_at_the_login_are_no_lockout(world: World) -> None:
    LOG_IN.replies(world, answer(429, {"Retry-After": "3600"}, message="Too many requests to /v2/users/login"))

    with pytest.raises(RateLimited):
        world.invoke().tokens.listed()


# Counters


def test_the_last_count_of_requests_left_is_kept(world: World) -> None:
    some, none = ({"X-RateLimit-Remaining": count} for count in ("178", "0"))
    LIST.replies(world, answer(200, some, count=0, results=[]), answer(429, none), page())
    docker_hub = world.invoke()

    counts = [docker_hub.http.requests_left]
    for _ in range(2):
        docker_hub.tokens.listed()
        counts.append(docker_hub.http.requests_left)

    assert counts == [None, 178, 0]


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
        return given(reply)

    return slowly


@each(*REPEATABLE)
def test_nothing_begins_in_the_last_second(deed: Deed, world: World) -> None:
    docker_hub = world.invoke(seconds=0.99)

    with pytest.raises(OutOfTime, match="the invocation's time is used up"):
        deed.do(docker_hub)

    assert docker_hub.http.requests == 0


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
        world.invoke(seconds=9.6).login.log_in_to_registry(USERNAME, TOKEN)

    assert len(route.calls) == 1
    assert world.clock.sleeps == []


def test_the_deadline_is_looked_at_before_each_try(world: World) -> None:
    route = DOCKER_LOGIN.replies(world, slow(world, httpx.ReadTimeout))

    with pytest.raises(DockerHubUnavailable):
        world.invoke(seconds=18.4).login.log_in_to_registry(USERNAME, TOKEN)

    assert len(route.calls) == 2


@pytest.mark.parametrize(
    ("seconds", "connect", "others"), [(90, 5, 10), (32, 2, 10), (16, 1, 8), (8, 0.5, 4), (1, 0.0625, 0.5)]
)
def test_no_timeout_is_longer_than_the_time_left(seconds: float, connect: float, others: float, world: World) -> None:
    route = DOCKER_LOGIN.replies(world, DOCKER_LOGIN.reply)

    world.invoke(seconds=seconds).login.log_in_to_registry(USERNAME, TOKEN)

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
        World(respx.MockRouter(), clock).invoke(seconds=seconds).login.log_in_to_registry(USERNAME, TOKEN)

    assert clock.now <= due


# Cookies and redirects


def test_no_cookie_of_one_login_speaks_for_another(world: World) -> None:
    cookie = {"Set-Cookie": "token=a-session; Path=/; Secure"}
    for method, url in (("POST", AUTH_TOKEN), ("GET", REGISTRY_TOKEN), ("GET", TOKENS)):
        world.on(method, url, lambda: answer(200, cookie, access_token=world.bearer(), count=0, results=[]))

    for _ in range(2):
        docker_hub = world.invoke()
        for login in (LIST, IDENTIFY, DOCKER_LOGIN):
            login.do(docker_hub)

    assert not any("Cookie" in call.request.headers for call in world.router.calls)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@each(CREATE, LOG_IN, *REPEATABLE)
def test_a_redirect_is_not_followed(deed: Deed, status: int, world: World) -> None:
    """It would carry a credential to wherever it points."""
    deed.replies(world, httpx.Response(status, headers={"Location": "https://elsewhere.example"}))

    with pytest.raises(DockerHubUnavailable, match="the answer is not Docker Hub's API"):
        deed.do(world.invoke())
