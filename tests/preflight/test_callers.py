"""Who calls preflight: the caretaker with what the function has, or somebody with an account that was entered."""

from typing import TYPE_CHECKING, cast

import pytest

from dockerhub_rotation.docker_hub import Connection
from dockerhub_rotation.docker_hub.http import Pool
from dockerhub_rotation.errors import ParameterUnreadable
from dockerhub_rotation.parameters import Parameters
from dockerhub_rotation.preflight.run import measure
from dockerhub_rotation.settings import Settings
from rehearsal.deviations import DEVIATIONS
from rehearsal.docker_hub import DockerHub
from tests.docker_hub.wire import PLAIN, TWO_FACTOR, ParameterStore
from tests.preflight.stage import PASSWORD, USERNAME, Travel, differing, furnished, seed, state, unmeasured

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

    from tests.conftest import Clock

SEED = seed()


@pytest.fixture
def store() -> ParameterStore:
    store = ParameterStore()
    store.values = {"/acme/user": USERNAME, "/acme/password": PASSWORD, "/acme/totp": SEED}
    return store


def parameters(settings: Settings, store: ParameterStore) -> Parameters:
    return Parameters(settings, cast("SSMClient", store))


def connection(hub: DockerHub) -> Connection:
    return Connection(Pool(Travel(hub)))


@pytest.mark.usefixtures("clock")
def test_the_functions_own_parameters_are_all_it_needs(store: ParameterStore) -> None:
    hub = furnished()

    report = measure(PLAIN, parameters(PLAIN, store), connection(hub), lambda: 900_000)

    assert report.holds
    assert unmeasured(report) == {"other-login"}


def test_a_sandbox_that_has_just_used_a_one_time_code_sends_the_next_one(clock: "Clock", store: ParameterStore) -> None:
    hub = furnished(totp_seed=SEED)
    kept = connection(hub)

    for _ in range(2):
        assert measure(TWO_FACTOR, parameters(TWO_FACTOR, store), kept, lambda: 900_000).holds

    assert hub.password_logins == 2
    assert hub.refused_logins == 4
    assert len(hub.codes) == 2
    assert clock.sleeps


@pytest.mark.usefixtures("clock")
def test_a_password_that_this_sandbox_was_refused_lately_is_not_tried_again(store: ParameterStore) -> None:
    hub = furnished()
    kept = connection(hub)
    store.values["/acme/password"] = "not the password"

    reports = [measure(PLAIN, parameters(PLAIN, store), kept, lambda: 900_000) for _ in range(3)]

    assert hub.refused_logins == 1
    assert all(differing(report).keys() == {"configured-login"} for report in reports)


@pytest.mark.usefixtures("clock")
def test_a_parameter_that_is_empty_is_named_and_nothing_is_asked(store: ParameterStore) -> None:
    hub = furnished()
    store.values["/acme/password"] = ""

    with pytest.raises(ParameterUnreadable, match="/acme/password"):
        measure(PLAIN, parameters(PLAIN, store), connection(hub), lambda: 900_000)

    assert hub.requests == []


@pytest.mark.parametrize("name", ["last-used", "disabled-at-hub", "disabled-at-registry"])
def test_when_the_callers_time_is_short_the_token_is_deleted_in_what_is_kept_of_it(
    clock: "Clock", store: ParameterStore, name: str
) -> None:
    hub = furnished(DEVIATIONS[name])
    before, ends_at = state(hub), clock.now + 90

    report = measure(PLAIN, parameters(PLAIN, store), connection(hub), lambda: round((ends_at - clock.now) * 1000))

    assert not report.holds
    assert "time" in report.failures[0]
    assert report.left == []
    assert state(hub) == before
    assert clock.now < ends_at - 30


def test_a_docker_hub_that_has_used_up_the_time_is_left_a_minute_for_the_deletion(
    clock: "Clock", store: ParameterStore
) -> None:
    hub = furnished()
    before, ends_at = state(hub), clock.now + 90
    travel = Travel(hub)

    def dawdle(number: int, moment: str) -> None:
        if (number, moment) == (12, "after"):
            clock.tick(40)

    travel.happens = dawdle
    settings = parameters(PLAIN, store)
    report = measure(PLAIN, settings, Connection(Pool(travel)), lambda: round((ends_at - clock.now) * 1000))

    assert any("time is used up" in failure for failure in report.failures)
    assert report.left == []
    assert state(hub) == before
