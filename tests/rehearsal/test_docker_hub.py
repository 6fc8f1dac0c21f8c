"""The simulated Docker Hub keeps the habits of the real one that a rotation depends on."""

import threading
from base64 import b64decode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import jwt
import pyotp
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from rehearsal.docker_hub import DockerHub, Fault, Organization, Token
from tests.rehearsal.asked import (
    Clock,
    auth_token,
    claims_of,
    client_of,
    granted,
    manager,
    registry_token,
    second_factor,
    users_login,
)

SEED = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
WRONG = "not-the-password"
LOCKED = "toomanyrequests: too many failed login attempts for username or IP address"
APP = {"acme/app": {"pull", "push"}}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hub(clock: Clock) -> DockerHub:
    return DockerHub(clock=clock, repositories=APP)


def create(client: httpx.Client, **fields: object) -> httpx.Response:
    return client.post("/v2/access-tokens", json={"token_label": "ci", "scopes": ["repo:read"], **fields})


# One way to log in for each place a credential can be shown, and where its refusal is worded.
LOGINS: dict[str, tuple[Callable[[DockerHub, str, str], httpx.Response], str]] = {
    "auth token": (auth_token, "message"),
    "users login": (users_login, "detail"),
    "registry": (lambda hub, name, secret: registry_token(hub, auth=(name, secret)), "details"),
}
every_login = pytest.mark.parametrize(("log_in", "worded_in"), LOGINS.values(), ids=LOGINS.keys())
LogIn = Callable[[DockerHub, str, str], httpx.Response]


def test_the_documented_login_lives_ten_minutes(hub: DockerHub, clock: Clock) -> None:
    claims = claims_of(auth_token(hub, "acme", hub.password).json()["access_token"])

    assert claims["iat"] == clock.now
    assert claims["exp"] == clock.now + 600


def test_a_login_with_a_token_names_the_account_the_token_and_its_scopes(hub: DockerHub) -> None:
    token = hub.add_token("ci", scopes=("repo:read", "repo:write"))

    claims = claims_of(auth_token(hub, "acme", token.value).json()["access_token"])

    account = claims["https://hub.docker.com"]
    assert (claims["iss"], claims["aud"]) == ("https://api.docker.com/", "https://hub.docker.com")
    assert claims["scope"] == "repo:read repo:write"
    assert claims["source"] == {"type": "pat", "id": token.uuid}
    assert account["source"] == f"docker_pat|{token.uuid}"
    assert account["username"] == "acme"
    assert account.keys() == {"username", "uuid", "session_id", "roles", "email", "source"}


def test_a_login_with_the_password_names_no_token(hub: DockerHub) -> None:
    claims = claims_of(auth_token(hub, "acme", hub.password).json()["access_token"])

    assert claims["https://hub.docker.com"]["source"].startswith("docker_password|")


def test_a_hub_may_keep_the_source_of_a_login_to_itself_and_still_enforce_it(hub: DockerHub) -> None:
    hub.jwt_names_source = False
    token = hub.add_token("ci")

    issued = auth_token(hub, "acme", token.value).json()["access_token"]

    assert "source" not in claims_of(issued)
    assert "source" not in claims_of(issued)["https://hub.docker.com"]
    headers = {"Authorization": f"Bearer {issued}"}
    assert client_of(hub).get("/v2/access-tokens", headers=headers).status_code == 403
    assert manager(hub).get("/v2/access-tokens").status_code == 200


def test_the_hub_api_takes_a_token_under_any_user_name_and_the_registry_does_not(hub: DockerHub) -> None:
    token = hub.add_token("ci")

    answer = auth_token(hub, "somebody-else", token.value)

    assert claims_of(answer.json()["access_token"])["https://hub.docker.com"]["username"] == "acme"
    assert users_login(hub, "somebody-else", token.value).status_code == 200
    assert registry_token(hub, auth=("somebody-else", token.value)).status_code == 401


def test_the_password_works_only_under_its_own_user_name(hub: DockerHub) -> None:
    for log_in, _ in LOGINS.values():
        assert log_in(hub, "acme", hub.password).status_code == 200
        assert log_in(hub, "somebody-else", hub.password).status_code == 401


def test_a_wrong_password_is_refused_in_the_words_of_each_endpoint(hub: DockerHub) -> None:
    answers = [log_in(hub, "acme", WRONG) for log_in, _ in LOGINS.values()]

    assert [answer.status_code for answer in answers] == [401, 401, 401]
    assert [answer.json() for answer in answers] == [
        {"message": "unauthorized", "errinfo": {}},
        {"detail": "Incorrect authentication credentials"},
        {"details": "incorrect username or password"},
    ]


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({"identifier": "acme", "secret": "8 chars."}, {"secret": "must be at least 9 characters"}),
        ({"identifier": "acme"}, {"secret": "value is required"}),
        ({"secret": "long enough"}, {"identifier": "value is required"}),
        (["no object"], {"identifier": "value is required", "secret": "value is required"}),
    ],
)
def test_an_incomplete_login_is_a_bad_request(hub: DockerHub, body: object, problems: object) -> None:
    answer = client_of(hub).post("/v2/auth/token", json=body)

    assert answer.status_code == 400
    assert answer.json() == {"message": "body is invalid", "errinfo": problems}


def test_the_old_login_lives_a_month_or_as_told(clock: Clock) -> None:
    for hub, lifetime in (
        (DockerHub(clock=clock), 30 * 24 * 3600),
        (DockerHub(clock=clock, login_lifetime=60), 60),
    ):
        assert claims_of(users_login(hub, "acme", hub.password).json()["token"])["exp"] == clock.now + lifetime


def test_an_organization_cannot_log_in_with_the_old_login(hub: DockerHub) -> None:
    hub.organizations = {"acme-inc": Organization(members={})}

    answer = users_login(hub, "acme-inc", hub.password)

    assert answer.status_code == 401
    assert answer.json() == {"detail": "Cannot log into an organization account"}


def test_with_single_sign_on_the_password_is_refused_and_a_token_is_not(hub: DockerHub) -> None:
    hub.sso_enforced = True
    token = hub.add_token("ci")

    for log_in, _ in LOGINS.values():
        assert log_in(hub, "acme", hub.password).status_code == 401
        assert log_in(hub, "acme", token.value).status_code == 200
    assert registry_token(hub, auth=("acme", hub.password)).json() == {
        "details": "please use personal access token to login when SSO is enforced"
    }


def test_the_password_of_a_two_factor_account_needs_a_code_and_only_the_old_login_takes_one(
    hub: DockerHub,
) -> None:
    hub.totp_seed = SEED

    asked = users_login(hub, "acme", hub.password)
    answer = second_factor(hub, pyotp.TOTP(SEED).at(hub.clock()))

    assert asked.status_code == 401
    assert asked.json()["detail"] == "Require secondary authentication on MFA enabled account"
    assert answer.status_code == 200
    headers = {"Authorization": f"Bearer {answer.json()['token']}"}
    assert client_of(hub).get("/v2/access-tokens", headers=headers).status_code == 200
    assert auth_token(hub, "acme", hub.password).status_code == 401
    refusal = registry_token(hub, auth=("acme", hub.password))
    assert refusal.status_code == 401
    assert refusal.json() == {"details": "please use personal access token to login"}


@every_login
def test_a_token_of_a_two_factor_account_needs_no_code(hub: DockerHub, log_in: LogIn, worded_in: str) -> None:
    hub.totp_seed = SEED
    assert log_in(hub, "acme", hub.add_token("ci").value).status_code == 200


def test_a_one_time_code_works_once(hub: DockerHub, clock: Clock) -> None:
    hub.totp_seed = SEED
    code = pyotp.TOTP(SEED).at(clock.now)

    first, second = second_factor(hub, code), second_factor(hub, code)
    clock.now += 30
    third = second_factor(hub, pyotp.TOTP(SEED).at(clock.now))

    assert [first.status_code, second.status_code, third.status_code] == [200, 401, 200]
    assert second.json() == {"detail": "Incorrect authentication credentials"}


def test_a_one_time_code_may_be_one_step_late_and_no_more(hub: DockerHub, clock: Clock) -> None:
    hub.totp_seed = SEED

    assert second_factor(hub, pyotp.TOTP(SEED).at(clock.now - 60)).status_code == 401
    assert second_factor(hub, pyotp.TOTP(SEED).at(clock.now + 30)).status_code == 401
    assert second_factor(hub, pyotp.TOTP(SEED).at(clock.now - 30)).status_code == 200


def test_a_code_older_than_the_last_one_used_is_refused(hub: DockerHub, clock: Clock) -> None:
    hub.totp_seed = SEED

    assert second_factor(hub, pyotp.TOTP(SEED).at(clock.now)).status_code == 200
    assert second_factor(hub, pyotp.TOTP(SEED).at(clock.now - 30)).status_code == 401


@pytest.mark.parametrize("use", ["right code before", "wrong code before", "too late"])
def test_the_token_between_the_two_factors_is_short_lived_and_works_once(
    hub: DockerHub, clock: Clock, use: str
) -> None:
    hub.totp_seed = SEED
    client = client_of(hub)
    token = users_login(hub, "acme", hub.password).json()["login_2fa_token"]

    def send(code: str) -> int:
        return client.post("/v2/users/2fa-login", json={"login_2fa_token": token, "code": code}).status_code

    if use == "too late":
        clock.now += 300
    else:
        send(pyotp.TOTP(SEED).at(clock.now) if use.startswith("right") else "000000")
        clock.now += 60

    assert send(pyotp.TOTP(SEED).at(clock.now)) == 401
    assert second_factor(hub, pyotp.TOTP(SEED).at(clock.now)).status_code == 200


def test_only_a_login_with_the_password_may_manage_tokens(hub: DockerHub, clock: Clock) -> None:
    token = hub.add_token("ci")
    old = hub.add_token("old")
    by_token = auth_token(hub, "acme", token.value).json()["access_token"]
    old_style = users_login(hub, "acme", token.value).json()["token"]
    registry = registry_token(hub, auth=("acme", hub.password)).json()["token"]
    by_password = auth_token(hub, "acme", hub.password).json()["access_token"]

    def delete(authorization: str) -> httpx.Response:
        headers = {"Authorization": authorization} if authorization else {}
        return client_of(hub).delete(f"/v2/access-tokens/{old.uuid}", headers=headers)

    for bearer in (by_token, old_style):
        assert delete(f"Bearer {bearer}").status_code == 403
        assert delete(f"Bearer {bearer}").json() == {
            "message": "token issued from personal access token is not allowed",
            "errinfo": {},
        }
    for authorization in (
        "",
        f"Bearer {token.value}",
        f"Bearer {registry}",
        f"Bearer {by_password}x",
        "Bearer e30.e30.e30",
        f"Basic {by_password}",
        f"Token {by_password}",
    ):
        assert delete(authorization).status_code == 401
        assert delete(authorization).json() == {"message": "unauthorized", "errinfo": {}}
    clock.now += 600
    assert delete(f"Bearer {by_password}").status_code == 401
    assert old.uuid in hub.tokens
    clock.now -= 1
    assert delete(f"Bearer {by_password}").status_code == 204
    assert old.uuid not in hub.tokens


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2/access-tokens"),
        ("POST", "/v2/access-tokens"),
        ("GET", "/v2/access-tokens/nobody"),
        ("PATCH", "/v2/access-tokens/nobody"),
        ("DELETE", "/v2/access-tokens/nobody"),
    ],
)
def test_no_token_operation_is_open_to_strangers(hub: DockerHub, method: str, path: str) -> None:
    assert client_of(hub).request(method, path).status_code == 401


def test_a_created_token_shows_its_value_once_and_logs_in(hub: DockerHub) -> None:
    client = manager(hub)
    client.headers["User-Agent"] = "dockerhub-rotation"

    created = create(client, scopes=["repo:read", "repo:write"])
    body = created.json()
    shown_later = [
        client.get(f"/v2/access-tokens/{body['uuid']}").json(),
        client.patch(f"/v2/access-tokens/{body['uuid']}", json={"is_active": True}).json(),
        *client.get("/v2/access-tokens").json()["results"],
    ]

    assert created.status_code == 201
    assert body["token"].startswith("dckr_pat_")
    assert len(body["token"]) == len("dckr_pat_") + 27
    assert body["scopes"] == ["repo:read", "repo:write"]
    assert (body["token_label"], body["is_active"], body["generated_by"]) == ("ci", True, "manual")
    assert body["creator_ua"] == "dockerhub-rotation"
    assert [again["token"] for again in shown_later] == ["***"] * 3
    assert all({**again, "token": body["token"]} == body for again in shown_later)
    assert hub.authenticates(body["token"])


@pytest.mark.parametrize(
    "fields",
    [
        {"token_label": ""},
        {"token_label": "x" * 101},
        {"token_label": 7},
        {"scopes": []},
        {"scopes": "repo:read"},
        {"scopes": ["repo:everything"]},
        {"scopes": [["repo:read"]]},
        {"expires_at": "tomorrow"},
        {"expires_at": "2029-12-31T23:59:59"},
        {"expires_at": "2020-12-31T23:59:59Z"},
    ],
    ids=str,
)
def test_a_token_that_cannot_be_is_not_created(hub: DockerHub, fields: dict[str, object]) -> None:
    answer = create(manager(hub), **fields)

    assert answer.status_code == 400
    assert answer.json()["errinfo"].keys() == fields.keys()
    assert not hub.tokens


def test_a_label_may_have_a_hundred_characters(hub: DockerHub) -> None:
    assert create(manager(hub), token_label="x" * 100).status_code == 201


def test_an_expiry_date_is_echoed_unchanged(hub: DockerHub) -> None:
    answer = create(manager(hub), expires_at="2029-12-31T23:59:59Z")

    assert answer.json()["expires_at"] == "2029-12-31T23:59:59Z"


def test_an_account_may_be_allowed_only_so_many_tokens(hub: DockerHub) -> None:
    hub.max_tokens = 1

    answers = [create(manager(hub)).status_code for _ in range(2)]

    assert answers == [201, 400]
    assert len(hub.tokens) == 1


def test_creation_times_have_microseconds_and_rise_even_when_the_clock_stands_still(hub: DockerHub) -> None:
    client = manager(hub)

    times = [create(client).json()["created_at"] for _ in range(3)]

    assert times == [f"2027-01-15T08:00:00.00000{n}Z" for n in range(3)]


def test_label_and_activity_can_change_in_one_request_or_each_alone(hub: DockerHub) -> None:
    token = hub.add_token("by hand")
    client = manager(hub)
    path = f"/v2/access-tokens/{token.uuid}"

    both = client.patch(path, json={"token_label": "ours", "is_active": False})
    assert (both.status_code, token.label, token.active) == (200, "ours", False)
    assert (both.json()["token_label"], both.json()["is_active"]) == ("ours", False)
    client.patch(path, json={"is_active": True})
    assert (token.label, token.active) == ("ours", True)
    client.patch(path, json={"token_label": "theirs"})
    assert (token.label, token.active) == ("theirs", True)


@pytest.mark.parametrize("change", [{"token_label": ""}, {"token_label": "x" * 101}, {"is_active": "no"}])
def test_a_bad_change_changes_nothing(hub: DockerHub, change: dict[str, object]) -> None:
    token = hub.add_token("ci")

    answer = manager(hub).patch(f"/v2/access-tokens/{token.uuid}", json=change)

    assert answer.status_code == 400
    assert (token.label, token.active) == ("ci", True)


def test_a_token_is_deleted_once_and_unknown_from_then_on(hub: DockerHub) -> None:
    token = hub.add_token("ci")
    client = manager(hub)
    path = f"/v2/access-tokens/{token.uuid}"

    assert client.delete(path).status_code == 204
    assert client.delete(path).status_code == 404
    assert client.get(path).status_code == 404
    assert client.patch(path, json={"is_active": False}).status_code == 404
    assert not hub.tokens


def test_the_list_comes_in_pages_of_ten_that_point_to_each_other(hub: DockerHub) -> None:
    uuids = {hub.add_token(f"token {n}").uuid for n in range(23)}
    client = manager(hub)

    pages = [client.get("/v2/access-tokens").json()]
    while pages[-1]["next"]:
        pages.append(client.get(pages[-1]["next"]).json())

    assert [len(page["results"]) for page in pages] == [10, 10, 3]
    assert {token["uuid"] for page in pages for token in page["results"]} == uuids
    assert [page["count"] for page in pages] == [23, 23, 23]
    assert pages[0]["next"].startswith("https://hub.docker.com/v2/access-tokens?")
    assert pages[0]["previous"] is None
    assert client.get(pages[1]["previous"]).json() == pages[0]
    assert client.get("/v2/access-tokens", params={"page": 9}).status_code == 404


def test_a_full_page_is_the_last_one_if_nothing_follows(hub: DockerHub) -> None:
    for n in range(10):
        hub.add_token(f"token {n}")

    assert manager(hub).get("/v2/access-tokens").json()["next"] is None


def test_a_page_is_no_larger_than_the_hub_allows(hub: DockerHub) -> None:
    for n in range(23):
        hub.add_token(f"token {n}")
    hub.max_page_size = 20

    page = manager(hub).get("/v2/access-tokens", params={"page_size": 100}).json()

    assert len(page["results"]) == 20
    assert "page_size=20" in page["next"]


@pytest.mark.parametrize("params", [{"page": "0"}, {"page": "-1"}, {"page_size": "0"}, {"page_size": "all"}])
def test_a_page_that_cannot_be_is_a_bad_request(hub: DockerHub, params: dict[str, str]) -> None:
    assert manager(hub).get("/v2/access-tokens", params=params).status_code == 400


def test_the_list_is_in_a_stable_order_that_is_not_that_of_creation(hub: DockerHub) -> None:
    created = [hub.add_token(f"token {n}").uuid for n in range(20)]
    client = manager(hub)

    def listed() -> list[str]:
        results = client.get("/v2/access-tokens", params={"page_size": 100}).json()["results"]
        return [token["uuid"] for token in results]

    assert listed() == listed()
    assert sorted(listed()) == sorted(created)
    assert listed() not in (created, created[::-1])


def test_the_list_counts_the_tokens_that_still_work(hub: DockerHub, clock: Clock) -> None:
    hub.add_token("in use")
    hub.add_token("disabled", active=False)
    hub.add_token("expired", expires_at=datetime.fromtimestamp(clock.now, UTC))

    page = manager(hub).get("/v2/access-tokens").json()

    assert (page["count"], page["active_count"]) == (3, 1)


def disable(hub: DockerHub, token: Token) -> None:
    token.active = False


def delete(hub: DockerHub, token: Token) -> None:
    del hub.tokens[token.uuid]


def expire(hub: DockerHub, token: Token) -> None:
    token.expires_at = datetime.fromtimestamp(hub.clock(), UTC)


@every_login
@pytest.mark.parametrize("end", [disable, delete, expire])
def test_a_token_that_came_to_its_end_is_refused_everywhere(
    hub: DockerHub, end: Callable[[DockerHub, Token], None], log_in: LogIn, worded_in: str
) -> None:
    token = hub.add_token("ci")
    assert hub.authenticates(token.value)
    assert log_in(hub, "acme", token.value).status_code == 200

    end(hub, token)

    assert not hub.authenticates(token.value)
    assert log_in(hub, "acme", token.value).status_code == 401


def test_an_expired_token_stays_listed_and_the_registry_says_what_is_wrong(hub: DockerHub, clock: Clock) -> None:
    token = hub.add_token("ci", expires_at=datetime.fromtimestamp(clock.now, UTC) + timedelta(hours=1))
    clock.now += 3600

    assert manager(hub).get("/v2/access-tokens").json()["count"] == 1
    assert registry_token(hub, auth=("acme", token.value)).json() == {
        "details": "unauthorized: personal access token is expired"
    }


@pytest.mark.parametrize("change", [{"is_active": False}, {"is_active": True}, {"token_label": "ci 2"}])
def test_an_expired_token_takes_no_change_and_can_be_deleted(
    hub: DockerHub, clock: Clock, change: dict[str, object]
) -> None:
    """https://docs.docker.com/security/access-tokens/."""
    token = hub.add_token("ci", expires_at=datetime.fromtimestamp(clock.now, UTC) + timedelta(hours=1))
    assert manager(hub).patch(f"/v2/access-tokens/{token.uuid}", json={}).status_code == 200
    clock.now += 3600
    session = manager(hub)

    assert session.patch(f"/v2/access-tokens/{token.uuid}", json=change).status_code == 400
    assert (token.active, token.label) == (True, "ci")
    assert session.delete(f"/v2/access-tokens/{token.uuid}").status_code == 204


@every_login
def test_a_login_is_noted_as_the_tokens_last_use(hub: DockerHub, clock: Clock, log_in: LogIn, worded_in: str) -> None:
    token = hub.add_token("ci")
    assert token.last_used is None

    clock.now += 7
    log_in(hub, "acme", token.value)

    shown = manager(hub).get(f"/v2/access-tokens/{token.uuid}").json()
    assert shown["last_used"] == "2027-01-15T08:00:07.000000Z"


def test_asking_whether_a_token_authenticates_leaves_no_trace(hub: DockerHub) -> None:
    token = hub.add_token("ci")
    hub.lockout_after = 1

    assert hub.authenticates(token.value)
    assert not hub.authenticates(WRONG)
    assert not hub.authenticates(hub.password)

    assert token.last_used is None
    assert hub.requests == []
    assert auth_token(hub, "acme", token.value).status_code == 200


def test_the_registry_grants_what_is_requested_and_allowed(hub: DockerHub) -> None:
    hub.repositories = {"acme/app": {"pull", "push"}, "acme/base": {"pull"}}
    token = hub.add_token("ci", scopes=("repo:write",))

    answer = registry_token(
        hub,
        "repository:acme/app:pull,push",
        "repository:acme/base:pull,push",
        "repository:stranger/app:pull",
        auth=("acme", token.value),
    )

    assert granted(answer) == {"acme/app": ["pull", "push"], "acme/base": ["pull"]}


def test_several_scopes_may_share_one_parameter(hub: DockerHub) -> None:
    hub.public_repositories = {"library/alpine"}
    both = "repository:acme/app:pull repository:library/alpine:pull"

    answer = registry_token(hub, both, auth=("acme", hub.password))

    assert granted(answer) == {"acme/app": ["pull"], "library/alpine": ["pull"]}


@pytest.mark.parametrize(
    ("scopes", "actions", "status"),
    [
        (("repo:public_read",), "pull", 200),
        (("repo:public_read",), "push", 401),
        (("repo:read",), "pull", 200),
        (("repo:read",), "pull,push", 401),
        (("repo:read", "repo:write"), "pull,push", 200),
        (("repo:write",), "delete", 401),
        (("repo:admin",), "pull,push,delete", 200),
    ],
)
def test_a_token_whose_scope_is_too_small_for_the_action_is_refused_rather_than_trimmed(
    hub: DockerHub, scopes: tuple[str, ...], actions: str, status: int
) -> None:
    token = hub.add_token("ci", scopes=scopes)

    answer = registry_token(hub, f"repository:acme/app:{actions}", auth=("acme", token.value))

    assert answer.status_code == status
    if status == 401:
        assert answer.json() == {"details": "access token has insufficient scopes"}


def test_too_small_a_scope_is_not_a_failed_login(hub: DockerHub) -> None:
    hub.lockout_after = 1
    token = hub.add_token("ci", scopes=("repo:read",))

    registry_token(hub, "repository:acme/app:push", auth=("acme", token.value))

    assert auth_token(hub, "acme", token.value).status_code == 200


def test_a_repository_without_any_right_is_granted_nothing_and_no_error(hub: DockerHub) -> None:
    token = hub.add_token("ci", scopes=("repo:read",))

    assert granted(registry_token(hub, "repository:other/app:pull", auth=("acme", token.value))) == {}


def test_what_is_no_repository_is_passed_over(hub: DockerHub) -> None:
    token = hub.add_token("ci", scopes=("repo:read",))

    for scope in ("registry:catalog:*", "repository:acme/app", "nonsense"):
        assert granted(registry_token(hub, scope, auth=("acme", token.value))) == {}


def test_a_token_for_public_repositories_pulls_nothing_private(hub: DockerHub) -> None:
    hub.public_repositories = {"library/alpine"}
    token = hub.add_token("ci", scopes=("repo:public_read",))
    scopes = ("repository:acme/app:pull", "repository:library/alpine:pull")

    assert granted(registry_token(hub, *scopes, auth=("acme", token.value))) == {"library/alpine": ["pull"]}


def test_anybody_may_pull_what_is_public_and_stays_nameless(hub: DockerHub) -> None:
    hub.public_repositories = {"library/alpine"}

    answer = registry_token(hub, "repository:acme/app:pull", "repository:library/alpine:pull,push")

    assert granted(answer) == {"library/alpine": ["pull"]}
    assert claims_of(answer.json()["token"])["sub"] == ""


def test_a_registry_token_lives_five_minutes_and_opens_the_registry(hub: DockerHub, clock: Clock) -> None:
    login = {"account": "acme", "client_id": "docker", "offline_token": "true"}
    answer = (
        client_of(hub)
        .get("/token", params={"service": "registry.docker.io", **login}, auth=("acme", hub.password))
        .json()
    )
    headers = {"Authorization": f"Bearer {answer['token']}"}
    claims = claims_of(answer["token"])

    assert answer.keys() == {"token", "access_token", "expires_in", "issued_at"}
    assert answer["token"] == answer["access_token"]
    assert (answer["expires_in"], answer["issued_at"]) == (300, "2027-01-15T08:00:00Z")
    assert (claims["iss"], claims["aud"]) == ("auth.docker.io", "registry.docker.io")
    assert (claims["nbf"], claims["exp"]) == (claims["iat"] - 300, claims["iat"] + 300)
    assert claims["sub"]
    assert claims["access"] == []
    assert client_of(hub).get("/v2/", headers=headers).status_code == 200
    clock.now += 300
    assert client_of(hub).get("/v2/", headers=headers).status_code == 401


def test_a_registry_token_is_signed_with_the_key_of_the_certificate_that_it_carries(hub: DockerHub) -> None:
    token = registry_token(hub).json()["token"]

    chain = jwt.get_unverified_header(token)["x5c"]
    key = hub.certificate.public_key()

    assert [b64decode(link) for link in chain] == [hub.certificate.public_bytes(Encoding.DER)]
    assert isinstance(key, ec.EllipticCurvePublicKey)
    options: jwt.types.Options = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}
    assert jwt.decode(token, key, ["ES256"], options)["iss"] == "auth.docker.io"


def test_the_registry_challenges_whoever_brings_no_token_of_its_own(hub: DockerHub) -> None:
    hub_token = auth_token(hub, "acme", hub.password).json()["access_token"]
    elsewhere = client_of(hub).get("/token", params={"service": "elsewhere"}).json()["token"]

    for bearer in ("", hub_token, elsewhere):
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        answer = client_of(hub).get("https://registry-1.docker.io/v2/", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == (
            'Bearer realm="https://auth.docker.io/token",service="registry.docker.io"'
        )


def test_served_on_one_host_the_challenge_points_to_that_host(hub: DockerHub) -> None:
    challenge = client_of(hub).get("http://127.0.0.1:8123/v2/").headers["WWW-Authenticate"]

    assert 'realm="http://127.0.0.1:8123/token"' in challenge


def test_credentials_that_cannot_be_read_are_wrong_credentials(hub: DockerHub) -> None:
    for authorization in ("Basic", "Basic !", "Bearer abc"):
        answer = client_of(hub).get("/token", headers={"Authorization": authorization})
        assert answer.status_code == 401


@every_login
def test_a_user_name_with_too_many_failed_logins_is_locked_everywhere_for_ten_minutes(
    clock: Clock, log_in: LogIn, worded_in: str
) -> None:
    hub = DockerHub(clock=clock, lockout_after=3)
    token = hub.add_token("ci")
    for _ in range(3):
        assert log_in(hub, "acme", WRONG).status_code == 401

    for right in (hub.password, token.value):
        for try_again, words in LOGINS.values():
            refusal = try_again(hub, "acme", right)
            assert refusal.status_code == 429
            assert refusal.json()[words] == LOCKED
    clock.now += 599
    assert log_in(hub, "acme", token.value).status_code == 429
    assert not hub.authenticates(token.value)
    clock.now += 1
    assert hub.authenticates(token.value)
    assert log_in(hub, "acme", token.value).status_code == 200


def test_failed_logins_count_together_whichever_endpoint_refused_them(clock: Clock) -> None:
    hub = DockerHub(clock=clock, lockout_after=3)

    answers = [log_in(hub, "acme", WRONG).status_code for log_in, _ in LOGINS.values()]

    assert answers == [401, 401, 401]
    assert auth_token(hub, "acme", hub.password).status_code == 429


def test_wrong_codes_lock_the_user_name_and_the_right_password_alone_does_not(clock: Clock) -> None:
    hub = DockerHub(clock=clock, totp_seed=SEED, lockout_after=3)
    ready = users_login(hub, "acme", hub.password).json()["login_2fa_token"]

    answers = [second_factor(hub, "000000").status_code for _ in range(3)]
    locked = client_of(hub).post(
        "/v2/users/2fa-login",
        json={"login_2fa_token": ready, "code": pyotp.TOTP(SEED).at(clock.now)},
    )

    assert answers == [401, 401, 401]
    assert (locked.status_code, locked.json()) == (429, {"detail": LOCKED})
    assert users_login(hub, "acme", hub.password).status_code == 429


def test_a_password_that_the_documented_login_refuses_for_want_of_a_code_is_a_failed_login(
    clock: Clock,
) -> None:
    hub = DockerHub(clock=clock, totp_seed=SEED, lockout_after=1)

    assert auth_token(hub, "acme", hub.password).status_code == 401
    assert users_login(hub, "acme", hub.password).status_code == 429


def test_the_lock_is_on_the_name_that_was_given(clock: Clock) -> None:
    hub = DockerHub(clock=clock, lockout_after=1)
    token = hub.add_token("ci")
    auth_token(hub, "somebody-else", WRONG)

    assert auth_token(hub, "somebody-else", token.value).status_code == 429
    assert auth_token(hub, "acme", token.value).status_code == 200


def test_failed_logins_are_forgotten_after_ten_minutes(clock: Clock) -> None:
    hub = DockerHub(clock=clock, lockout_after=2)
    auth_token(hub, "acme", WRONG)

    clock.now += 600
    auth_token(hub, "acme", WRONG)

    assert auth_token(hub, "acme", hub.password).status_code == 200


def test_right_logins_in_between_do_not_forgive_the_failed_ones(clock: Clock) -> None:
    hub = DockerHub(clock=clock, lockout_after=2)

    answers = [auth_token(hub, "acme", secret).status_code for secret in (WRONG, hub.password, WRONG)]

    assert answers == [401, 200, 401]
    assert auth_token(hub, "acme", hub.password).status_code == 429


def test_every_answer_of_the_hub_api_tells_what_is_left_of_the_minute(hub: DockerHub, clock: Clock) -> None:
    hub.rate_limit_per_minute = 2
    clock.now = 1_800_000_015.0

    answers = [auth_token(hub, "acme", hub.password) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
    assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {"2"}
    assert {answer.headers["X-RateLimit-Reset"] for answer in answers} == {"1800000060"}
    assert answers[2].json() == {"detail": "Rate limit exceeded", "error": False}
    clock.now = 1_800_000_060.0
    assert auth_token(hub, "acme", hub.password).status_code == 200


def test_the_registry_knows_nothing_of_the_api_limit(hub: DockerHub) -> None:
    hub.rate_limit_per_minute = 0

    answer = registry_token(hub)

    assert answer.status_code == 200
    assert "X-RateLimit-Limit" not in answer.headers


def test_a_rate_limited_answer_says_when_to_come_back_in_one_of_three_ways(clock: Clock) -> None:
    clock.now = 1_800_000_015.5

    def waits(hub: DockerHub) -> dict[str, str]:
        headers = auth_token(hub, "acme", hub.password).headers
        return {name: headers[name] for name in ("Retry-After", "X-Retry-After") if name in headers}

    assert waits(DockerHub(clock=clock, rate_limit_per_minute=0)) == {"Retry-After": "45"}
    assert waits(DockerHub(clock=clock, rate_limit_per_minute=0, retry_after="unix time")) == {
        "Retry-After": "1800000060"
    }
    assert waits(DockerHub(clock=clock, rate_limit_per_minute=0, retry_after="x-header")) == {
        "X-Retry-After": "1800000060"
    }


def test_a_request_can_fail_before_it_takes_effect_or_after(hub: DockerHub) -> None:
    client = manager(hub)
    hub.faults = [
        Fault("POST", "/v2/access-tokens", 503),
        Fault("POST", "/v2/access-tokens", 503, after_effect=True),
    ]

    assert create(client, token_label="lost on the way there").status_code == 503
    assert [token.label for token in hub.tokens.values()] == []
    assert create(client, token_label="lost on the way back").status_code == 503
    assert [token.label for token in hub.tokens.values()] == ["lost on the way back"]
    assert create(client, token_label="all is well again").status_code == 201


def test_a_fault_waits_for_the_request_it_is_meant_for(hub: DockerHub) -> None:
    token = hub.add_token("ci")
    client = manager(hub)
    hub.faults = [Fault("DELETE", "/v2/access-tokens/*", 500)]

    assert client.get(f"/v2/access-tokens/{token.uuid}").status_code == 200
    assert client.get("/v2/access-tokens").status_code == 200
    assert client.delete(f"/v2/access-tokens/{token.uuid}").status_code == 500
    assert client.delete(f"/v2/access-tokens/{token.uuid}").status_code == 204
    assert hub.faults == []


def test_a_fault_can_say_anything(hub: DockerHub) -> None:
    hub.faults = [
        Fault("*", "/v2/auth/token", 200, body="<html>maintenance</html>"),
        Fault("POST", "*", 429, body={"detail": "slow down"}, headers={"Retry-After": "9"}),
    ]

    page, limited = (auth_token(hub, "acme", hub.password) for _ in range(2))

    assert (page.status_code, page.text) == (200, "<html>maintenance</html>")
    assert page.headers["Content-Type"].startswith("text/html")
    assert (limited.status_code, limited.json()) == (429, {"detail": "slow down"})
    assert limited.headers["Retry-After"] == "9"


def test_the_ledger_tells_what_was_asked_and_answered_and_no_secret(hub: DockerHub) -> None:
    hub.totp_seed = SEED
    token = hub.add_token("ci")
    hub.faults = [Fault("GET", "/token", 502, body={"token": token.value}, after_effect=True)]
    faults = list(hub.faults)

    auth_token(hub, "acme", token.value)
    second_factor(hub, "000000")
    registry_token(hub, "repository:acme/app:pull", auth=("acme", token.value))

    assert hub.requests == [
        ("POST", "/v2/auth/token", 200),
        ("POST", "/v2/users/login", 401),
        ("POST", "/v2/users/2fa-login", 401),
        ("GET", "/token", 502),
    ]
    printed = repr([hub, hub.requests, hub.tokens, faults])
    for secret in (token.value, hub.password, SEED):
        assert secret not in printed


def test_two_requests_are_never_served_at_the_same_time() -> None:
    """Each request waits, inside, for another one to be inside as well, and none ever comes."""
    meeting = threading.Barrier(2)
    met = []

    def clock() -> float:
        try:
            met.append(meeting.wait(timeout=0.05))
        except threading.BrokenBarrierError:
            meeting.reset()
        return 1_800_000_000.0

    hub = DockerHub(clock=clock)
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda _: registry_token(hub).status_code, range(2)))

    assert answers == [200, 200]
    assert met == []
