"""The simulated Docker Hub keeps what is known of organizations and their access tokens."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from rehearsal.docker_hub import DockerHub, Fault, Organization, OrganizationToken, Resource, Role, Token
from tests.rehearsal.asked import (
    Clock,
    auth_token,
    claims_of,
    client_of,
    granted,
    manager,
    registry_token,
    users_login,
)

PATH = "/v2/orgs/acme-inc/access-tokens"
PULL = {"type": "TYPE_REPO", "path": "acme-inc/app", "scopes": ["scope-image-pull"]}
NOT_FOUND = {"message": "not found", "errinfo": {}}
LOCKED = "toomanyrequests: too many failed login attempts for username or IP address"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hub(clock: Clock) -> DockerHub:
    hub = DockerHub(clock=clock, repositories={"acme/app": {"pull", "push"}}, public_repositories={"acme-inc/site"})
    hub.organizations = {
        "acme-inc": Organization(members={"acme": Role.TOKEN_MANAGER}, repositories={"acme-inc/app", "acme-inc/base"}),
        "elsewhere": Organization(members={}, repositories={"elsewhere/app"}),
    }
    return hub


def create(client: httpx.Client, **fields: object) -> httpx.Response:
    return client.post(PATH, json={"label": "ci", "resources": [PULL], **fields})


def pulled_by(hub: DockerHub, token: Token, *wanted: str) -> dict[str, list[str]]:
    return granted(registry_token(hub, *wanted, auth=("acme-inc", token.value)))


def resource(path: str = "acme-inc/app", *scopes: str, type: str = "TYPE_REPO") -> Resource:  # noqa: A002 - the API's
    return Resource(type, path, scopes or ("scope-image-pull",))


# Who may manage them

REQUESTS = [("GET", PATH), ("POST", PATH), *((method, f"{PATH}/{{id}}") for method in ("GET", "PATCH", "DELETE"))]
each_request = pytest.mark.parametrize(("method", "path"), REQUESTS, ids=lambda value: str(value).replace(PATH, ""))


def ask(client: httpx.Client, token: Token, method: str, path: str) -> httpx.Response:
    body = {"label": "another", "resources": [PULL]} if method in ("POST", "PATCH") else None
    return client.request(method, path.format(id=token.uuid), json=body)


@each_request
@pytest.mark.parametrize("role", [Role.OWNER, Role.TOKEN_MANAGER])
def test_an_owner_and_who_has_the_role_may_do_everything_with_them(
    hub: DockerHub, method: str, path: str, role: Role
) -> None:
    hub.organizations["acme-inc"].members = {"acme": role}
    token = hub.add_organization_token("acme-inc", "ci")

    assert ask(manager(hub), token, method, path).is_success


@each_request
@pytest.mark.parametrize(
    ("members", "path_of", "status"),
    [
        pytest.param({"acme": Role.MEMBER}, "acme-inc", 403, id="a member without the role"),
        pytest.param({"somebody-else": Role.OWNER}, "acme-inc", 404, id="a stranger"),
        pytest.param({"acme": Role.OWNER}, "nobody-inc", 404, id="an organization that is not"),
        pytest.param({"acme": Role.OWNER}, "elsewhere", 404, id="somebody else's organization"),
    ],
)
def test_nobody_else_may_do_anything_and_nothing_changes(
    hub: DockerHub, method: str, path: str, members: dict[str, Role], path_of: str, status: int
) -> None:
    hub.organizations["acme-inc"].members = members
    token = hub.add_organization_token("acme-inc", "ci")

    answer = ask(manager(hub), token, method, path.replace("acme-inc", path_of))

    assert answer.status_code == status
    assert answer.json().keys() == {"message", "errinfo"}
    assert hub.tokens == {token.uuid: token}
    assert token.label == "ci"


@each_request
def test_a_login_with_a_token_of_either_kind_manages_none_of_them(hub: DockerHub, method: str, path: str) -> None:
    theirs, mine = hub.add_organization_token("acme-inc", "ci"), hub.add_token("laptop")

    for name, token, kind in (("acme-inc", theirs, "organization"), ("acme", mine, "personal")):
        client = client_of(hub)
        client.headers["Authorization"] = f"Bearer {auth_token(hub, name, token.value).json()['access_token']}"
        answer = ask(client, theirs, method, path)
        assert answer.status_code == 403
        assert answer.json() == {"message": f"token issued from {kind} access token is not allowed", "errinfo": {}}
    assert ask(client_of(hub), theirs, method, path).status_code == 401
    assert hub.tokens == {theirs.uuid: theirs, mine.uuid: mine}


def test_a_login_with_one_of_them_manages_no_personal_tokens_either(hub: DockerHub) -> None:
    token = hub.add_organization_token("acme-inc", "ci")
    headers = {"Authorization": f"Bearer {auth_token(hub, 'acme-inc', token.value).json()['access_token']}"}

    answer = client_of(hub).get("/v2/access-tokens", headers=headers)

    assert answer.status_code == 403
    assert answer.json()["message"] == "token issued from organization access token is not allowed"


def test_the_two_kinds_do_not_see_each_other(hub: DockerHub) -> None:
    theirs, mine = hub.add_organization_token("acme-inc", "ci"), hub.add_token("laptop")
    client = manager(hub)

    assert [token["id"] for token in client.get(PATH).json()["results"]] == [theirs.uuid]
    assert [token["uuid"] for token in client.get("/v2/access-tokens").json()["results"]] == [mine.uuid]
    for path in (f"{PATH}/{mine.uuid}", f"/v2/access-tokens/{theirs.uuid}"):
        assert client.get(path).status_code == 404
        assert client.patch(path, json={"is_active": False}).status_code == 404
        assert client.delete(path).status_code == 404
    assert hub.tokens.keys() == {theirs.uuid, mine.uuid}
    assert theirs.active
    assert mine.active


def test_an_organization_does_not_see_anothers_tokens(hub: DockerHub) -> None:
    hub.organizations["elsewhere"].members = {"acme": Role.OWNER}
    token = hub.add_organization_token("elsewhere", "ci")
    client = manager(hub)

    assert client.get(PATH).json()["total"] == 0
    assert client.delete(f"{PATH}/{token.uuid}").status_code == 404
    assert client.get(f"/v2/orgs/elsewhere/access-tokens/{token.uuid}").status_code == 200


# What is told of them


def test_its_value_is_told_once_and_what_it_may_do_is_not_told_by_the_list(hub: DockerHub, clock: Clock) -> None:
    client = manager(hub)

    made = create(client, expires_at="2029-12-31T23:59:59Z")
    body = made.json()
    path = f"{PATH}/{body['id']}"
    common = {name: body[name] for name in ("id", "label", "is_active", "created_at", "expires_at", "last_used_at")}

    assert made.status_code == 201
    assert common == {
        "id": body["id"],
        "label": "ci",
        "is_active": True,
        "created_at": "2027-01-15T08:00:00Z",
        "expires_at": "2029-12-31T23:59:59Z",
        "last_used_at": None,
    }
    assert body == common | {"token": body["token"], "resources": [PULL]}
    assert body["token"].startswith("dckr_oat_")
    assert client.get(PATH).json() == {
        "total": 1,
        "next": None,
        "previous": None,
        "results": [common | {"created_by": "acme"}],
    }
    assert client.get(path).json() == common | {"created_by": "acme", "resources": [PULL]}
    assert client.patch(path, json={}).json() == client.get(path).json()


def test_a_description_is_told_when_it_was_given(hub: DockerHub) -> None:
    answer = create(manager(hub), description="pulls for the cluster")

    assert answer.json()["description"] == "pulls for the cluster"


def test_its_last_use_is_told(hub: DockerHub, clock: Clock) -> None:
    token = hub.add_organization_token("acme-inc", "ci")
    clock.now += 7

    pulled_by(hub, token)

    (listed,) = manager(hub).get(PATH).json()["results"]
    assert listed["last_used_at"] == "2027-01-15T08:00:07Z"


def test_two_that_were_made_in_one_second_seem_to_be_of_one_age(hub: DockerHub) -> None:
    client = manager(hub)

    assert create(client).json()["created_at"] == create(client).json()["created_at"]


def test_the_list_comes_in_pages_of_ten_that_point_to_each_other(hub: DockerHub) -> None:
    ids = {hub.add_organization_token("acme-inc", f"token {n}").uuid for n in range(23)}
    client = manager(hub)

    pages = [client.get(PATH).json()]
    while pages[-1]["next"]:
        pages.append(client.get(pages[-1]["next"]).json())

    assert [len(page["results"]) for page in pages] == [10, 10, 3]
    assert {token["id"] for page in pages for token in page["results"]} == ids
    assert [page["total"] for page in pages] == [23, 23, 23]
    assert client.get(pages[1]["previous"]).json() == pages[0]
    assert len(client.get(PATH, params={"page_size": 100}).json()["results"]) == 23
    assert client.get(PATH, params={"page": 9}).status_code == 404
    assert client.get(PATH, params={"page": 0}).status_code == 400


# Making, changing and deleting them


@pytest.mark.parametrize(
    "fields",
    [
        {"label": ""},
        {"label": "x" * 101},
        {"label": 7},
        {"description": 7},
        {"resources": []},
        {"resources": "acme-inc/app"},
        {"resources": ["acme-inc/app"]},
        {"resources": [PULL, PULL | {"path": "acme-inc/no-such-repository"}]},
        {"resources": [PULL | {"path": "elsewhere/app"}]},
        {"resources": [PULL | {"path": "elsewhere/*"}]},
        {"resources": [PULL | {"path": "*"}]},
        {"resources": [PULL | {"path": 7}]},
        {"resources": [PULL | {"scopes": []}]},
        {"resources": [PULL | {"scopes": ["image-pull"]}]},
        {"resources": [PULL | {"scopes": ["repo:read"]}]},
        {"resources": [PULL | {"scopes": ["scope-member-read"]}]},
        {"resources": [PULL | {"scopes": [["scope-image-pull"]]}]},
        {"resources": [PULL | {"type": "TYPE_ORG", "path": "acme-inc"}]},
        {"resources": [PULL | {"type": "repository"}]},
        {"resources": [{"path": "acme-inc/app", "scopes": ["scope-image-pull"]}]},
        {"expires_at": "tomorrow"},
        {"expires_at": "2029-12-31T23:59:59"},
        {"expires_at": "2020-12-31T23:59:59Z"},
    ],
    ids=str,
)
def test_one_that_cannot_be_is_not_made(hub: DockerHub, fields: dict[str, object]) -> None:
    answer = create(manager(hub), **fields)

    assert answer.status_code == 400
    assert answer.json()["message"] == "body is invalid"
    assert answer.json()["errinfo"].keys() == fields.keys()
    assert not hub.tokens


@pytest.mark.parametrize("missing", ["label", "resources"])
def test_one_without_a_label_or_resources_is_not_made(hub: DockerHub, missing: str) -> None:
    body = {name: value for name, value in {"label": "ci", "resources": [PULL]}.items() if name != missing}

    answer = manager(hub).post(PATH, json=body)

    assert (answer.status_code, answer.json()["errinfo"].keys()) == (400, {missing})
    assert not hub.tokens


@pytest.mark.parametrize(
    "wanted",
    [
        PULL,
        PULL | {"path": "acme-inc/site"},
        PULL | {"path": "acme-inc/*", "scopes": ["scope-image-push", "scope-repository-read"]},
        PULL | {"path": "*/*/public"},
        {"type": "TYPE_ORG", "path": "acme-inc", "scopes": ["scope-member-read", "scope-repository-list"]},
    ],
    ids=str,
)
def test_one_may_be_made_for_repositories_that_are_for_globs_and_for_the_organization(
    hub: DockerHub, wanted: dict[str, object]
) -> None:
    answer = create(manager(hub), resources=[wanted], expires_at=None)

    assert answer.status_code == 201
    assert answer.json()["resources"] == [wanted]
    assert answer.json()["expires_at"] is None


def end_disabled(hub: DockerHub, token: Token) -> None:
    token.active = False


def end_deleted(hub: DockerHub, token: Token) -> None:
    del hub.tokens[token.uuid]


def end_expired(hub: DockerHub, token: Token) -> None:
    token.expires_at = hub.moment


@pytest.mark.parametrize("quota", [10, 100])
@pytest.mark.parametrize("end", [end_disabled, end_expired])
def test_the_quota_counts_disabled_and_expired_ones_until_they_are_deleted(
    hub: DockerHub, quota: int, end: Callable[[DockerHub, Token], None]
) -> None:
    hub.organizations["acme-inc"].quota = quota
    tokens = [hub.add_organization_token("acme-inc", f"token {n}") for n in range(quota)]
    hub.add_organization_token("elsewhere", "not counted")
    hub.add_token("not counted")
    for token in tokens:
        end(hub, token)
    client = manager(hub)

    refused = create(client)

    assert (refused.status_code, refused.json()) == (400, {"message": "access token limit reached", "errinfo": {}})
    assert client.delete(f"{PATH}/{tokens[0].uuid}").status_code == 204
    assert create(client).status_code == 201
    assert create(client).status_code == 400


def test_personal_tokens_have_a_limit_of_their_own(hub: DockerHub) -> None:
    hub.max_tokens = 1
    hub.add_organization_token("acme-inc", "not counted")
    client = manager(hub)

    answers = [client.post("/v2/access-tokens", json={"token_label": "ci", "scopes": ["repo:read"]}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 400]


def test_everything_but_its_expiry_can_change_together_or_alone(hub: DockerHub) -> None:
    token = hub.add_organization_token("acme-inc", "by hand", description="old")
    client, path = manager(hub), f"{PATH}/{token.uuid}"
    push = PULL | {"scopes": ["scope-image-push"]}

    def now() -> tuple[Any, ...]:
        return token.label, token.active, token.description, [it.body() for it in token.resources], token.expires_at

    everything = {"label": "ours", "is_active": False, "description": "new", "resources": [push]}
    answer = client.patch(path, json=everything | {"expires_at": "2029-12-31T23:59:59Z"})
    assert answer.status_code == 200
    assert {name: answer.json()[name] for name in ("label", "is_active", "resources")} == {
        "label": "ours",
        "is_active": False,
        "resources": [push],
    }
    assert now() == ("ours", False, "new", [push], None)
    client.patch(path, json={"is_active": True})
    assert now() == ("ours", True, "new", [push], None)
    client.patch(path, json={"label": "theirs"})
    assert now() == ("theirs", True, "new", [push], None)
    client.patch(path, json={"resources": [PULL]})
    assert now() == ("theirs", True, "new", [PULL], None)


@pytest.mark.parametrize(
    "change",
    [{"label": ""}, {"is_active": "no"}, {"resources": []}, {"resources": [PULL | {"path": "acme-inc/nothing"}]}],
    ids=str,
)
def test_a_bad_change_changes_nothing(hub: DockerHub, change: dict[str, object]) -> None:
    token = hub.add_organization_token("acme-inc", "ci")
    resources = token.resources

    answer = manager(hub).patch(f"{PATH}/{token.uuid}", json={"label": "another", "is_active": False} | change)

    assert (answer.status_code, answer.json()["errinfo"].keys()) == (400, change.keys())
    assert (token.label, token.active, token.resources) == ("ci", True, resources)


def test_one_whose_repository_is_gone_can_be_disabled(hub: DockerHub) -> None:
    token = hub.add_organization_token("acme-inc", "ci", resources=[resource("acme-inc/base")])
    hub.organizations["acme-inc"].repositories = {"acme-inc/app"}

    assert manager(hub).patch(f"{PATH}/{token.uuid}", json={"is_active": False}).status_code == 200
    assert not token.active


def test_an_expired_one_takes_no_change_and_can_be_deleted(hub: DockerHub) -> None:
    token = hub.add_organization_token("acme-inc", "ci", expires_at=hub.moment)
    client = manager(hub)

    assert client.patch(f"{PATH}/{token.uuid}", json={"is_active": False}).status_code == 400
    assert token.active
    assert client.get(PATH).json()["total"] == 1
    assert client.delete(f"{PATH}/{token.uuid}").status_code == 204


def test_it_is_deleted_once_and_unknown_from_then_on(hub: DockerHub) -> None:
    token = hub.add_organization_token("acme-inc", "ci")
    client, path = manager(hub), f"{PATH}/{token.uuid}"

    assert client.delete(path).status_code == 204
    for again in (client.delete(path), client.get(path), client.patch(path, json={"is_active": False})):
        assert (again.status_code, again.json()) == (404, NOT_FOUND)
    assert not hub.tokens


# Logging in with them


@pytest.mark.parametrize("secret", ["the token", "the password"])
def test_no_organization_logs_in_with_the_old_login(hub: DockerHub, secret: str) -> None:
    token = hub.add_organization_token("acme-inc", "ci")

    answer = users_login(hub, "acme-inc", token.value if secret == "the token" else hub.password)

    assert (answer.status_code, answer.json()) == (401, {"detail": "Cannot log into an organization account"})


def test_it_logs_in_under_the_organizations_name_alone(hub: DockerHub) -> None:
    token = hub.add_organization_token("acme-inc", "ci")

    assert auth_token(hub, "acme-inc", token.value).status_code == 200
    assert registry_token(hub, auth=("acme-inc", token.value)).status_code == 200
    for name in ("acme", "elsewhere", "nobody"):
        assert auth_token(hub, name, token.value).status_code == 401
        assert registry_token(hub, auth=(name, token.value)).status_code == 401
    assert users_login(hub, "acme", token.value).status_code == 401
    assert hub.refused_logins == 7


def test_a_password_does_not_log_in_under_the_organizations_name(hub: DockerHub) -> None:
    assert auth_token(hub, "acme-inc", hub.password).status_code == 401
    assert registry_token(hub, auth=("acme-inc", hub.password)).status_code == 401


def test_its_login_claims_nothing_of_the_token_or_the_organization(hub: DockerHub) -> None:
    token = hub.add_organization_token("acme-inc", "ci")

    claims = claims_of(auth_token(hub, "acme-inc", token.value).json()["access_token"])

    assert claims.keys() == {"iss", "aud", "iat", "exp", "jti", "https://hub.docker.com"}
    assert claims["exp"] - claims["iat"] == 600
    assert claims["https://hub.docker.com"].keys() == {"roles", "session_id"}
    assert not any(told in str(claims) for told in (token.uuid, "acme-inc", "oat"))


@pytest.mark.parametrize("organization", [False, True])
@pytest.mark.parametrize("names_token", [False, True])
def test_its_login_may_be_made_to_name_the_one_or_the_other(
    hub: DockerHub, organization: bool, names_token: bool
) -> None:
    hub.jwt_names_organization, hub.jwt_names_organization_token = organization, names_token
    token = hub.add_organization_token("acme-inc", "ci")

    claims = claims_of(auth_token(hub, "acme-inc", token.value).json()["access_token"])

    account = claims["https://hub.docker.com"]
    assert account.get("username") == ("acme-inc" if organization else None)
    assert account.get("source") == (f"docker_oat|{token.uuid}" if names_token else None)
    assert claims.get("source") == ({"type": "oat", "id": token.uuid} if names_token else None)


@pytest.mark.parametrize("end", [end_disabled, end_deleted, end_expired])
def test_one_that_came_to_its_end_is_refused_everywhere(
    hub: DockerHub, end: Callable[[DockerHub, Token], None]
) -> None:
    token = hub.add_organization_token("acme-inc", "ci")
    assert hub.authenticates(token.value)

    end(hub, token)

    assert not hub.authenticates(token.value)
    assert auth_token(hub, "acme-inc", token.value).status_code == 401
    refused = registry_token(hub, auth=("acme-inc", token.value))
    words = "unauthorized: org access token is expired" if end is end_expired else "incorrect username or password"
    assert (refused.status_code, refused.json()) == (401, {"details": words})


def test_too_many_failed_logins_lock_the_organizations_name_and_not_the_persons(hub: DockerHub, clock: Clock) -> None:
    hub.lockout_after = 2
    token, mine = hub.add_organization_token("acme-inc", "ci"), hub.add_token("laptop")
    for _ in range(2):
        registry_token(hub, auth=("acme-inc", "dckr_oat_no-such-token"))

    answer = auth_token(hub, "acme-inc", token.value)

    assert (answer.status_code, answer.json()) == (429, {"message": LOCKED, "errinfo": {}})
    assert not hub.authenticates(token.value)
    assert hub.authenticates(mine.value)
    assert manager(hub).get(PATH).status_code == 200
    clock.now += 600
    assert hub.authenticates(token.value)


# What the registry grants


@pytest.mark.parametrize(
    ("resources", "grants"),
    [
        ([resource()], {"acme-inc/app": ["pull"]}),
        ([resource("acme-inc/app", "scope-image-push")], {"acme-inc/app": ["pull", "push"]}),
        ([resource("acme-inc/app", "scope-image-delete")], {"acme-inc/app": ["pull", "push", "delete"]}),
        ([resource("acme-inc/app", "scope-repository-admin", "scope-tag-read")], {}),
        (
            [resource("acme-inc/*")],
            {"acme-inc/app": ["pull"], "acme-inc/base": ["pull"], "acme-inc/site": ["pull"]},
        ),
        ([resource("*/*/public")], {"acme-inc/site": ["pull"], "library/alpine": ["pull"]}),
        (
            [resource("acme-inc/base"), resource("acme-inc/app", "scope-image-push"), resource()],
            {"acme-inc/base": ["pull"], "acme-inc/app": ["pull", "push"]},
        ),
        ([resource("acme-inc", "scope-repository-list", type="TYPE_ORG")], {}),
        ([resource("elsewhere/app")], {}),
        ([resource("acme-inc/deleted")], {}),
    ],
    ids=str,
)
def test_the_registry_grants_what_its_resources_allow_and_nothing_else(
    hub: DockerHub, resources: list[Resource], grants: dict[str, list[str]]
) -> None:
    token = hub.add_organization_token("acme-inc", "ci", resources=resources)
    names = ("app", "base", "site", "deleted", "nothing")
    wanted = [*(f"acme-inc/{name}" for name in names), "acme/app", "elsewhere/app", "library/alpine"]

    assert pulled_by(hub, token, *(f"repository:{name}:pull,push,delete" for name in wanted)) == grants


def test_an_access_that_it_has_not_is_an_empty_one_and_no_failed_login(hub: DockerHub) -> None:
    hub.lockout_after = 1
    token = hub.add_organization_token("acme-inc", "ci", resources=[resource("acme-inc/base")])

    assert pulled_by(hub, token, "repository:acme-inc/app:pull") == {}
    assert pulled_by(hub, token, "repository:acme-inc/base:pull") == {"acme-inc/base": ["pull"]}


def test_its_registry_token_is_the_organizations_and_opens_the_registry(hub: DockerHub) -> None:
    token, mine = hub.add_organization_token("acme-inc", "ci"), hub.add_token("laptop")
    theirs = registry_token(hub, auth=("acme-inc", token.value)).json()["token"]
    persons = registry_token(hub, auth=("acme", mine.value)).json()["token"]

    assert claims_of(theirs)["sub"]
    assert claims_of(theirs)["sub"] != claims_of(persons)["sub"]
    assert client_of(hub).get("/v2/", headers={"Authorization": f"Bearer {theirs}"}).status_code == 200


# As all of Docker Hub


@each_request
def test_faults_befall_their_requests_before_and_after_their_effect(hub: DockerHub, method: str, path: str) -> None:
    token = hub.add_organization_token("acme-inc", "ci")
    client = manager(hub)
    pattern = path.replace("{id}", "*")

    def state() -> dict[str, str]:
        return {token.uuid: token.label for token in hub.tokens.values()}

    before = state()
    hub.faults = [Fault(method, pattern, 503), Fault(method, pattern, 503, after_effect=True)]
    assert ask(client, token, method, path).status_code == 503
    assert state() == before
    assert ask(client, token, method, path).status_code == 503
    assert (state() == before) is (method == "GET")
    assert hub.faults == []


@each_request
def test_its_requests_count_towards_the_limit_of_the_minute(
    hub: DockerHub, clock: Clock, method: str, path: str
) -> None:
    token = hub.add_organization_token("acme-inc", "ci")
    client = manager(hub)
    hub.rate_limit_per_minute = 1

    answer = ask(client, token, method, path)

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
    assert answer.headers["X-RateLimit-Remaining"] == "0"
    assert hub.tokens == {token.uuid: token}


def test_no_printed_token_shows_its_value(hub: DockerHub) -> None:
    token = hub.add_organization_token("acme-inc", "ci", expires_at=datetime.now(UTC) + timedelta(days=365))

    assert isinstance(token, OrganizationToken)
    assert token.value not in repr([hub, hub.tokens, token])
