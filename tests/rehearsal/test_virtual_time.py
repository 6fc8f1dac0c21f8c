import time

import pytest

from rehearsal.virtual_time import VirtualTime


def test_who_is_to_wake_first_runs_first_and_hours_take_no_time() -> None:
    clock = VirtualTime(now=0)
    seen: list[tuple[str, float]] = []

    def sleeper(name: str, seconds: float) -> None:
        for _ in range(2):
            time.sleep(seconds)
            seen.append((name, time.time()))

    with clock.everywhere():
        threads = [clock.thread(sleeper, args=args) for args in (("slow", 5000), ("quick", 3000))]
        for thread in threads:
            thread.start()
        clock.run()

    assert seen == [("quick", 3000), ("slow", 5000), ("quick", 6000), ("slow", 10000)]


def test_one_runs_at_a_time_and_those_of_the_same_moment_in_the_order_in_which_they_came() -> None:
    clock = VirtualTime()
    seen: list[int] = []

    def turn(number: int) -> None:
        for _ in range(3):
            seen.append(number)
            clock.sleep(0)

    threads = [clock.thread(turn, args=(number,)) for number in range(20)]
    for thread in reversed(threads):
        thread.start()
    clock.run()

    assert seen == [*range(20)] * 3


def test_what_a_thread_raises_is_raised_and_the_others_go_on_to_their_end() -> None:
    clock = VirtualTime()
    seen: list[str] = []

    def broken() -> None:
        raise LookupError("broken")

    def whole() -> None:
        clock.sleep(1)
        seen.append("end")

    for target in (broken, whole):
        clock.thread(target).start()
    with pytest.raises(LookupError, match="broken"):
        clock.run()

    assert seen == ["end"]


def test_nobody_else_goes_by_it() -> None:
    clock = VirtualTime(now=0)
    with clock.everywhere():
        time.sleep(10)
        assert (time.time(), time.monotonic(), time.perf_counter()) == (10, 10, 10)

    assert time.time() > 1e9
