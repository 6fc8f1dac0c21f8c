"""Docker Hub's clock counts where its answers tell another time than this machine's."""

import time

import pytest

from tests.docker_hub.wire import (
    DOCKER_LOGIN,
    LIST,
    TOKEN,
    USERNAME,
    World,
    answer,
    dated,
)


@pytest.mark.parametrize("ahead", [-86_400, -4, 4, 86_400])
def test_the_time_is_docker_hubs_where_its_answers_tell_another(ahead: int, world: World) -> None:
    LIST.replies(world, answer(200, dated(world.clock.now + ahead), count=0, results=[]))
    docker_hub = world.invoke()
    assert docker_hub.http.now() == world.clock.now

    docker_hub.tokens.listed()
    world.clock.tick(7.5)

    assert docker_hub.http.now() == world.clock.now + ahead


@pytest.mark.parametrize("ahead", [-3, -1, 0, 3])
def test_clocks_that_differ_by_a_few_seconds_agree(ahead: int, world: World) -> None:
    LIST.replies(world, answer(200, dated(world.clock.now + ahead), count=0, results=[]))
    docker_hub = world.invoke()

    docker_hub.tokens.listed()

    assert docker_hub.http.now() == world.clock.now


@pytest.mark.parametrize("date", [None, "", "soon", "1800000100", "Fri, 15 Jan 2027", "Fri, 99 Jan 2027 08:01:50 GMT"])
def test_an_answer_that_tells_no_time_takes_none_back(date: str | None, world: World) -> None:
    told = dated(world.clock.now + 100)
    LIST.replies(
        world,
        answer(200, told, count=0, results=[]),
        answer(200, {} if date is None else {"Date": date}, count=0, results=[]),
    )
    docker_hub = world.invoke()

    for _ in range(2):
        docker_hub.tokens.listed()

    assert docker_hub.http.now() == world.clock.now + 100


def test_clocks_that_agree_again_do(world: World) -> None:
    LIST.replies(world, *(answer(200, dated(world.clock.now + ahead), count=0, results=[]) for ahead in (100, 0)))
    docker_hub = world.invoke()

    for _ in range(2):
        docker_hub.tokens.listed()

    assert docker_hub.http.now() == world.clock.now


@pytest.mark.parametrize(
    "date", ["Fri, 15 Jan 2027 08:01:50 GMT", "Friday, 15-Jan-27 08:01:50 GMT", "Fri Jan 15 08:01:50 2027"]
)
def test_a_time_is_utc_in_every_form_that_http_knows(date: str, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """https://www.rfc-editor.org/rfc/rfc9110#http.date: the third names no zone."""
    LIST.replies(world, answer(200, {"Date": date}, count=0, results=[]))
    docker_hub = world.invoke()
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        docker_hub.tokens.listed()
    finally:
        monkeypatch.undo()
        time.tzset()

    assert docker_hub.http.clock_ahead == 100


def test_a_request_limit_that_ends_at_a_time_ends_by_docker_hubs_clock(world: World) -> None:
    limited = answer(429, dated(world.clock.now - 50) | {"Retry-After": str(int(world.clock.now) - 38)})
    DOCKER_LOGIN.replies(world, limited, DOCKER_LOGIN.reply)

    world.invoke().login.log_in_to_registry(USERNAME, TOKEN)

    assert 12 <= world.clock.sleeps[0] <= 15
