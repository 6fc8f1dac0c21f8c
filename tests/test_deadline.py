"""Waiting takes its time, and leaves enough of it for a request."""

from typing import TYPE_CHECKING

import pytest

from dockerhub_rotation.deadline import Deadline
from dockerhub_rotation.errors import OutOfTime

if TYPE_CHECKING:
    from tests.conftest import Clock


def deadline(clock: "Clock", seconds: float) -> Deadline:
    """Return the deadline of an invocation that may work for some seconds, those for its report not counted."""
    ends_at = clock.now + seconds + 5
    return Deadline(lambda: round((ends_at - clock.now) * 1000))


def test_waiting_takes_its_time(clock: "Clock") -> None:
    deadline(clock, 6).wait(5, "A reason")

    assert clock.sleeps == [5]


def test_any_pause_is_a_wait_and_none_before_the_moment_is(clock: "Clock") -> None:
    invocation = deadline(clock, 60)
    invocation.pause(0)
    moment = invocation.moment()
    assert not invocation.has_waited_since(moment)
    assert invocation.has_waited_since(invocation.began)

    invocation.pause(0)

    assert invocation.has_waited_since(moment)


def test_a_pause_for_which_there_is_no_time_is_no_wait(clock: "Clock") -> None:
    invocation = deadline(clock, 6)

    assert not invocation.pause(6)

    assert not invocation.has_waited_since(invocation.began)


def test_what_takes_more_than_five_seconds_without_a_pause_is_a_wait_as_well(clock: "Clock") -> None:
    invocation = deadline(clock, 60)

    clock.tick(5)
    assert not invocation.has_waited_since(invocation.began)

    clock.tick(0.1)
    assert invocation.has_waited_since(invocation.began)


def test_a_wait_that_leaves_no_time_for_a_request_is_none(clock: "Clock") -> None:
    with pytest.raises(OutOfTime, match="^A reason"):
        deadline(clock, 5.9).wait(5, "A reason")

    assert clock.sleeps == []
