"""Preflight finds at the simulator what is assumed, and at one that is otherwise in one thing just that."""

import flask
import pytest
from flask import Response

from dockerhub_rotation.docker_hub import Connection
from dockerhub_rotation.docker_hub.http import Pool
from dockerhub_rotation.preflight.assumptions import ASSUMPTIONS
from rehearsal.deviations import DEVIATIONS
from rehearsal.docker_hub import DockerHub
from tests.preflight.stage import OTHERS, Travel, differing, furnished, run, seed, state, unmeasured

pytestmark = pytest.mark.usefixtures("clock")

MEANS = {it.name: it.otherwise for it in ASSUMPTIONS}
RELIED_ON = {it.name for it in ASSUMPTIONS if it.relied_on}


def asked(hub: DockerHub) -> list[tuple[str, str]]:
    return [(request.method, request.path) for request in hub.requests]


def test_everything_is_as_assumed() -> None:
    hub = furnished()

    report = run(hub, try_both=True)

    assert differing(report) == {}
    assert unmeasured(report) == set()
    assert report.holds
    assert len(hub.tokens) == OTHERS
    assert hub.refused_logins == 2


@pytest.mark.parametrize("login", ["auth-token", "users-login"])
def test_only_the_configured_login_is_made_with_the_password(login: str) -> None:
    hub = furnished()

    report = run(hub, login=login)

    assert differing(report) == {}
    assert unmeasured(report) == {"other-login"}
    assert hub.password_logins == 1
    assert (("POST", "/v2/users/login") in asked(hub)) is (login == "users-login")


def test_everything_is_as_assumed_of_an_account_with_two_factor_login() -> None:
    hub = furnished(totp_seed=seed())

    report = run(hub)

    assert differing(report) == {}
    assert unmeasured(report) == {"other-login"}
    assert report.about["login"] == "users-login"


def test_the_other_login_is_assumed_to_take_no_password_of_an_account_with_two_factor_login() -> None:
    hub = furnished(totp_seed=seed())

    report = run(hub, try_both=True)

    assert differing(report) == {}
    assert unmeasured(report) == {"disabled-at-registry", "disabled-at-once", "enabled-again"}
    assert hub.refused_logins == 2


@pytest.mark.parametrize(("expiry", "holds"), [(None, True), (60, False)])
def test_the_expiry_is_relied_on_where_tokens_are_to_expire(expiry: int | None, holds: bool) -> None:
    """Each of them would be deleted again."""
    hub = furnished(DEVIATIONS["expiry"])

    report = run(hub, expiry=expiry)

    assert set(differing(report)) == {"expiry"}
    assert report.holds is holds
    assert [row["relied_on"] for row in report.document()["measured"] if row["name"] == "expiry"] == [not holds]


def test_an_account_without_any_other_token_has_no_pages_to_measure() -> None:
    hub = furnished()
    hub.tokens.clear()

    report = run(hub)

    assert differing(report) == {}
    assert unmeasured(report) == {"other-login", "page-size", "list-pages"}


def test_a_list_of_several_pages_is_measured_as_well() -> None:
    hub = furnished()
    for number in range(230):
        hub.add_token(f"ci-{number}")

    report = run(hub)

    assert differing(report) == {}
    assert unmeasured(report) == {"other-login"}


@pytest.mark.parametrize("name", DEVIATIONS)
def test_whatever_is_otherwise_is_named_and_nothing_else(name: str) -> None:
    hub = furnished(DEVIATIONS[name])
    before = state(hub)

    report = run(hub, try_both=True)

    assert differing(report) == {name: MEANS[name]}
    assert report.holds is (name not in RELIED_ON)
    assert report.failures == []
    assert state(hub) == before
    assert hub.refused_logins <= 2


@pytest.mark.parametrize("name", sorted(DEVIATIONS.keys() - {"other-login"}))
def test_whatever_is_otherwise_is_found_without_the_other_login(name: str) -> None:
    hub = furnished(DEVIATIONS[name])

    report = run(hub)

    assert set(differing(report)) == {name}
    assert hub.password_logins <= 1
    assert hub.refused_logins <= 2


def test_a_configured_login_that_is_refused_is_told_from_the_other_that_is_not() -> None:
    hub = furnished(DEVIATIONS["configured-login"])

    report = run(hub, try_both=True)

    verdicts = {found.assumption.name: found.verdict for found in report.findings}
    assert (verdicts["configured-login"], verdicts["other-login"]) == ("otherwise", "as assumed")
    assert len(unmeasured(report)) == len(ASSUMPTIONS) - 2


@pytest.mark.parametrize("name", ["disabled-at-hub", "disabled-at-registry"])
@pytest.mark.parametrize("body", [{"message": "token is deactivated"}, {"reason": "inactive"}, "error code: 1020"])
def test_a_refusal_in_another_form_is_told_by_its_keys(name: str, body: dict[str, str] | str) -> None:
    def odd(answer: Response) -> Response:
        return answer if answer.status_code != 401 else flask.make_response(body, 401)

    class Hub(DockerHub):
        def _auth_token(self) -> Response:
            answer = super()._auth_token()
            return odd(answer) if name == "disabled-at-hub" else answer

        def _registry_token(self) -> Response:
            answer = super()._registry_token()
            return odd(answer) if name == "disabled-at-registry" else answer

    report = run(furnished(Hub))

    (found,) = (it for it in report.findings if it.differs)
    assert (found.assumption.name, found.verdict) == (name, "otherwise")
    assert "401" in found.seen
    assert ("no JSON" if isinstance(body, str) else "".join(body)) in found.seen


def test_a_locked_user_name_ends_the_run_before_anything_is_made() -> None:
    hub = furnished(lockout_after=1)
    hub._count_failure(hub.username)

    report = run(hub, try_both=True)

    assert not report.holds
    assert "locked" in report.failures[0]
    assert ("POST", "/v2/access-tokens") not in asked(hub)
    assert len(hub.requests) == 1


def test_a_lockout_in_the_midst_of_a_run_ends_it_and_the_token_is_deleted() -> None:
    hub = furnished(lockout_after=1)

    report = run(hub)

    assert not report.holds
    assert report.left == []
    assert len(hub.tokens) == OTHERS
    assert hub.refused_logins == 1


def test_an_account_that_may_have_no_more_tokens_is_told() -> None:
    hub = furnished(max_tokens=OTHERS)

    report = run(hub)

    assert set(differing(report)) == {"creation"}
    assert not report.holds


def test_a_run_begins_with_a_login_of_its_own_and_leaves_it_to_the_sandbox() -> None:
    hub = furnished()
    connection = Connection(Pool(Travel(hub)))

    for _ in range(2):
        assert run(hub, connection).holds

    assert hub.password_logins == 2
    assert connection.management.login is not None
