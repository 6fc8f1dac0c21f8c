"""The report can be pasted as it is."""

import json
from collections.abc import Callable

import httpx
import pytest

from dockerhub_rotation.docker_hub import Connection
from dockerhub_rotation.docker_hub.http import Pool
from dockerhub_rotation.preflight.assumptions import ASSUMPTIONS
from rehearsal.deviations import DEVIATIONS
from rehearsal.deviations.kinds import OfJwts, OfTokens
from rehearsal.docker_hub import DockerHub, Fault
from tests.preflight.stage import USERNAME, Travel, furnished, leaked, run, seed, spoiled_at

pytestmark = pytest.mark.usefixtures("clock")

MARKER = "marker-of-a-value"


class Remembering(Travel):
    """A way on which every token's value is remembered, also of those that are deleted."""

    def __init__(self, hub: DockerHub) -> None:
        super().__init__(hub)
        self._hub = hub
        self.values: set[str] = set()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        self.values |= {token.value for token in self._hub.tokens.values()}
        return answer


def pasted(hub: DockerHub, happens: Callable[[int, str], None] | None = None, *, try_both: bool = True) -> str:
    """Return the document of a run as text, after looking for secrets in it."""
    travel = Remembering(hub)
    if happens:
        travel.happens = happens
    text = json.dumps(run(hub, Connection(Pool(travel)), try_both=try_both).document())
    assert leaked(text, hub, *travel.values) == []
    assert [code for code in hub.codes if f" {code} " in text] == []
    assert USERNAME not in text
    return text


def test_the_document_has_a_row_for_each_assumption_in_their_order() -> None:
    document = json.loads(pasted(furnished()))

    assert [row["name"] for row in document["measured"]] == [it.name for it in ASSUMPTIONS]
    assert document["preflight"].keys() == {
        *("version", "began", "seconds", "api_url", "auth_url", "registry_url", "login", "requests", "refused_logins")
    }
    assert document["preflight"]["refused_logins"] == 2
    assert document["holds"] is True
    assert (document["failures"], document["swept"], document["left"]) == ([], 0, [])


@pytest.mark.parametrize("name", DEVIATIONS)
def test_no_secret_is_in_the_document_whatever_is_otherwise(name: str) -> None:
    text = pasted(furnished(DEVIATIONS[name]))

    (row,) = (row for row in json.loads(text)["measured"] if row["name"] == name)
    assert row["means"]
    assert row["seen"]


def test_no_secret_is_in_the_document_of_an_account_with_two_factor_login() -> None:
    pasted(furnished(totp_seed=seed()))


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404])
def test_no_value_of_a_body_is_in_the_document_whatever_is_answered_whenever(status: int) -> None:
    whole = furnished()
    run(whole, try_both=True)
    body = {"message": MARKER, "errinfo": {MARKER: MARKER}, "details": MARKER}
    for number in range(1, len(whole.requests) + 1):
        hub = furnished()
        fault = Fault("*", "*", status, MARKER if status == 403 else body, {"X-RateLimit-Limit": MARKER})

        assert MARKER not in pasted(hub, spoiled_at(number, hub, fault))
        assert len(hub.tokens) == 12


def test_what_is_told_in_place_of_what_was_asked_for_is_not_shown() -> None:
    class Hub(OfTokens):
        def tell(self, token: dict[str, object]) -> None:
            token |= {"scopes": [MARKER], "created_at": MARKER, "expires_at": MARKER, "last_used": MARKER}

    class Jwts(OfJwts):
        def claim(self, claims: dict[str, object], account: dict[str, object], *, by_token: bool) -> None:
            claims |= {"scope": MARKER, "exp": claims.get("exp")}
            account |= {"username": MARKER, "source": f"docker_pat|{MARKER}"} if by_token else {}

    for kind in (Hub, Jwts):
        assert MARKER not in pasted(furnished(kind))
