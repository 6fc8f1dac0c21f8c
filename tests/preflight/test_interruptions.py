"""Whatever becomes of a run, it leaves nothing behind, or the next one takes it away."""

import os
import signal
import threading
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

import pytest

from dockerhub_rotation.docker_hub import Connection
from dockerhub_rotation.docker_hub.http import Pool
from rehearsal.docker_hub import DockerHub, Fault
from tests.preflight.stage import Dead, Travel, furnished, killed_at, leaked, run, seed, signalled_at, spoiled_at, state

if TYPE_CHECKING:
    from tests.conftest import Clock

pytestmark = pytest.mark.usefixtures("clock")

HOUR = 3600


@cache
def requests() -> int:
    """Return how many requests a run takes."""
    hub = furnished()
    run(hub)
    return len(hub.requests)


def each_request() -> Iterator[tuple[int, str]]:
    for number in range(1, requests() + 1):
        yield number, "before"
        yield number, "after"


def travelling(hub: DockerHub) -> tuple[Travel, Connection]:
    travel = Travel(hub)
    return travel, Connection(Pool(travel))


def test_a_run_that_is_killed_at_any_request_leaves_one_token_at_most_and_the_next_sweeps_it(clock: "Clock") -> None:
    left = []
    for number, moment in each_request():
        hub = furnished()
        before = state(hub)
        travel, connection = travelling(hub)
        travel.happens = killed_at(number, moment)
        with pytest.raises(Dead):
            run(hub, connection)
        rest = [label for uuid, (label, _) in state(hub).items() if uuid not in before]
        assert len(rest) <= 1
        assert all(label.startswith("dockerhub-rotation/preflight/") for label in rest)
        assert all(token.expires_at for token in hub.tokens.values() if token.uuid not in before)

        clock.tick(HOUR + 1)
        report = run(hub)

        assert report.holds
        assert report.swept == len(rest)
        assert state(hub) == before
        left.append(len(rest))
    assert 0 < sum(left) < len(left)


def test_what_a_run_of_this_hour_has_made_is_left_to_it(clock: "Clock") -> None:
    hub = furnished()
    travel, connection = travelling(hub)
    travel.happens = killed_at(10, "after")
    with pytest.raises(Dead):
        run(hub, connection)
    rest = state(hub)

    clock.tick(HOUR - 60)
    report = run(hub)

    assert report.holds
    assert report.swept == 0
    assert state(hub) == rest


def test_tokens_that_are_labelled_by_others_are_left_however_they_look(clock: "Clock") -> None:
    hub = furnished()
    for label in (
        "dockerhub-rotation/preflight",
        "dockerhub-rotation/preflight/",
        "dockerhub-rotation/preflight/mine",
        "dockerhub-rotation/preflight/99999999T999999Z",
        "dockerhub-rotation/0123456789abcdef/00000001-0000-4000-8000-000000000000",
        "my dockerhub-rotation/preflight/20260101T000000Z",
    ):
        hub.add_token(label)
    before = state(hub)

    clock.tick(2 * HOUR)

    assert run(hub).swept == 0
    assert state(hub) == before


@pytest.mark.parametrize(
    ("number", "raised"),
    [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit), (signal.SIGHUP, SystemExit)],
)
def test_a_signal_at_any_request_ends_the_run_and_the_token_is_deleted_all_the_same(
    number: signal.Signals, raised: type[BaseException]
) -> None:
    handler = signal.getsignal(number)
    for at, moment in each_request():
        hub = furnished()
        before = state(hub)
        travel, connection = travelling(hub)
        travel.happens = signalled_at(at, moment, number)

        with pytest.raises(raised):
            run(hub, connection)

        assert state(hub) == before
        assert signal.getsignal(number) is handler


def test_a_signal_does_not_disturb_the_deletion() -> None:
    hub = furnished()
    before = state(hub)
    travel, connection = travelling(hub)

    def strike(number: int, moment: str) -> None:
        if (number, moment) == (12, "before"):
            raise ZeroDivisionError  # a defect, after which there is nothing left but the deletion
        if number > 12:
            os.kill(os.getpid(), signal.SIGTERM)

    travel.happens = strike
    with pytest.raises(ZeroDivisionError):
        run(hub, connection)

    assert travel.count > 12
    assert state(hub) == before


@pytest.mark.parametrize("after_effect", [False, True])
def test_an_answer_that_gets_lost_at_any_request_leaves_nothing_behind(after_effect: bool) -> None:
    for number in range(1, requests() + 1):
        hub = furnished()
        before = state(hub)
        travel, connection = travelling(hub)
        travel.happens = spoiled_at(number, hub, Fault("*", "*", 503, {"message": "no"}, after_effect=after_effect))

        report = run(hub, connection)

        assert report.left == []
        assert state(hub) == before
        assert hub.refused_logins <= 2


def test_a_login_that_ends_early_is_made_anew_also_after_two_others_were_refused() -> None:
    for number in range(3, requests() + 1):
        hub = furnished()
        before = state(hub)
        travel, connection = travelling(hub)
        travel.happens = spoiled_at(
            number, hub, Fault("*", "/v2/access-tokens*", 401, {"message": "no", "errinfo": {}})
        )

        report = run(hub, connection)

        assert report.left == []
        assert state(hub) == before
        assert hub.refused_logins <= 2


def test_a_firewall_at_any_request_leaves_nothing_behind() -> None:
    for number in range(1, requests() + 1):
        hub = furnished()
        before = state(hub)
        travel, connection = travelling(hub)
        travel.happens = spoiled_at(number, hub, Fault("*", "*", 403, "error code: 1020"))

        report = run(hub, connection)

        assert report.left == []
        assert state(hub) == before


def test_a_docker_hub_that_is_not_to_be_reached_any_more_is_said_with_the_token_that_is_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hub = furnished(totp_seed=seed())
    travel, connection = travelling(hub)

    def unreachable(count: int, moment: str) -> None:
        if count > 15 and moment == "before":
            hub.faults.append(Fault("*", "*", 503, {"message": "no"}))

    travel.happens = unreachable
    report = run(hub, connection)

    (label,) = report.left
    assert not report.holds
    assert label in [token.label for token in hub.tokens.values()]
    assert label in caplog.text
    values = [token.value for token in hub.tokens.values()]
    assert leaked(caplog.text + str(report.document()), hub, *values) == []


def test_a_run_in_another_thread_is_a_run_like_any_other() -> None:
    hub, reports = furnished(), []

    thread = threading.Thread(target=lambda: reports.append(run(hub)))
    thread.start()
    thread.join()

    assert reports[0].holds
