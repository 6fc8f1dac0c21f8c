"""Each one-time code is sent once, in its time, and after a refused one no other for a while."""

import base64

import httpx
import pytest

from dockerhub_rotation.errors import CredentialRefused, DockerHubUnavailable, LockedOut, OutOfTime, RateLimited
from tests.docker_hub.wire import (
    SECOND_FACTOR_TOKEN,
    SECOND_STEP,
    SEED,
    TWO_FACTOR,
    USERS_LOGIN,
    Reply,
    World,
    answer,
    dated,
    name,
    sent,
)

# Sending codes


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


@pytest.mark.parametrize("lost", [500, httpx.ReadTimeout, httpx.RemoteProtocolError], ids=name)
def test_a_code_whose_answer_is_lost_is_not_sent_again(lost: Reply, world: World) -> None:
    """If it was taken, it is refused the second time."""
    world.asks_for_code()
    world.on("POST", SECOND_STEP, lost)

    with pytest.raises(DockerHubUnavailable):
        world.invoke(TWO_FACTOR).tokens.listed()


@pytest.mark.parametrize("failure", [answer(429, {"Retry-After": "60"}), httpx.ConnectError, httpx.ConnectTimeout])
def test_a_code_is_not_kept_for_later(failure: Reply, world: World) -> None:
    """By then it is too old."""
    world.asks_for_code()
    second_step = world.on("POST", SECOND_STEP, failure)

    with pytest.raises((RateLimited, DockerHubUnavailable)):
        world.invoke(TWO_FACTOR).tokens.listed()

    assert len(second_step.calls) == 1


# Docker Hub's clock


@pytest.mark.parametrize("ahead", [-3600, -60, -29, -4, 4, 29, 60, 3600])
def test_a_code_is_made_for_docker_hubs_time(ahead: int, world: World) -> None:
    """It is Docker Hub that looks at it."""
    world.asks_for_code(lambda: dated(world.clock.now + ahead))
    second_step = world.on("POST", SECOND_STEP, lambda: answer(200, token=world.bearer()))
    world.holds_nothing()

    world.invoke(TWO_FACTOR).tokens.listed()

    assert [body["code"] for body in sent(second_step)] == [world.code_at(1_800_000_010 + ahead)]


@pytest.mark.parametrize(("at", "ahead"), [(1_800_000_029, 3), (1_800_000_029.9, 1), (1_800_000_001, -3)])
def test_a_few_seconds_between_the_clocks_are_none(at: float, ahead: int, world: World) -> None:
    """Docker Hub tells whole seconds, and an answer is on its way for a moment."""
    world.clock.now = at
    world.asks_for_code(lambda: dated(world.clock.now + ahead))
    second_step = world.on("POST", SECOND_STEP, lambda: answer(200, token=world.bearer()))
    world.holds_nothing()

    world.invoke(TWO_FACTOR).tokens.listed()

    assert [body["code"] for body in sent(second_step)] == [world.code_at(at)]


def test_a_code_that_was_used_by_docker_hubs_clock_is_not_sent_again(world: World) -> None:
    """By this machine's clock, which is a minute ahead, it is the next but one's turn."""
    used_at = world.clock.now - 60
    world.asks_for_code(lambda: dated(world.clock.now - 60))
    second_step = world.on("POST", SECOND_STEP, lambda: answer(200, token=world.bearer()))
    world.holds_nothing()
    docker_hub = world.invoke(TWO_FACTOR)

    docker_hub.management.presume_code_used(used_at)
    docker_hub.tokens.listed()

    assert world.clock.sleeps == [20]
    assert [body["code"] for body in sent(second_step)] == [world.code_at(used_at + 20)]


@pytest.mark.parametrize("ahead", [-90, 90])
def test_a_refused_code_names_the_difference_between_the_clocks(ahead: int, world: World) -> None:
    world.asks_for_code(lambda: dated(world.clock.now + ahead))
    world.on("POST", SECOND_STEP, 401)

    for said in ("^Docker Hub accepted", "^Not asked again"):
        with pytest.raises(CredentialRefused, match=f"{said}.* This machine's clock and Docker Hub's differ by 90 s"):
            world.invoke(TWO_FACTOR).tokens.listed()


@pytest.mark.parametrize("headers", [{}, dated(1_800_000_010), dated(1_800_000_008)], ids=str)
def test_a_refused_code_blames_no_clock_that_is_right(headers: dict[str, str], world: World) -> None:
    world.asks_for_code(lambda: headers)
    world.on("POST", SECOND_STEP, 401)

    with pytest.raises(CredentialRefused, match=r"different hours\.$"):
        world.invoke(TWO_FACTOR).tokens.listed()


# Refused codes


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


def test_after_a_lockout_this_sandbox_sends_no_code_for_ten_minutes(world: World) -> None:
    world.asks_for_code()
    second_step = world.on(
        "POST",
        SECOND_STEP,
        answer(429, detail="too many failed login attempts"),
        lambda: answer(200, token=world.bearer()),
    )
    world.holds_nothing()
    until = world.clock.now + 600

    with pytest.raises(LockedOut):
        world.invoke(TWO_FACTOR).tokens.listed()
    for earlier in (300, 0.5):
        world.clock.now = until - earlier
        with pytest.raises(LockedOut):
            world.invoke(TWO_FACTOR, seconds=0.5).tokens.listed()
    assert len(second_step.calls) == 1

    world.clock.now = until
    world.invoke(TWO_FACTOR).tokens.listed()
    assert len(second_step.calls) == 2
