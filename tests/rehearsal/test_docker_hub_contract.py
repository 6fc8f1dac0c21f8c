"""The simulated Docker Hub answers in the shapes that Docker's OpenAPI document promises."""

from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker, ValidationError

from rehearsal.docker_hub import DockerHub, Organization, Role

DOCUMENT = Path(__file__).parents[2].parent / "shared" / "reference" / "dockerhub-openapi.yaml"
SEED = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"

pytestmark = pytest.mark.skipif(not DOCUMENT.exists(), reason=f"Docker's OpenAPI document is not at {DOCUMENT}")

formats = FormatChecker(formats=())


@formats.checks("date-time", raises=ValueError)
def is_date_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


class Contract:
    """Docker's document, as a judge of answers."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def judge(self, path: str, answer: httpx.Response) -> None:
        """Raise if an answer is not the one documented for its path, method and status."""
        operation = self.document["paths"][path][answer.request.method.lower()]
        documented = self.resolve(operation["responses"][str(answer.status_code)])
        if "content" not in documented:
            assert answer.content == b""
            return
        schema = self.closed(documented["content"]["application/json"]["schema"], whole=answer.is_success)
        Draft202012Validator(schema, format_checker=formats).validate(answer.json())

    def resolve(self, node: dict[str, Any]) -> dict[str, Any]:
        """Follow a `$ref`, and make one schema of an `allOf`."""
        if "$ref" in node:
            found: Any = self.document
            for step in node["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            return self.resolve(found)
        if "allOf" in node:
            parts = [self.resolve(part) for part in node["allOf"]]
            properties = {name: value for part in parts for name, value in part["properties"].items()}
            return {"type": "object", "properties": properties}
        return node

    def closed(self, schema: dict[str, Any], *, whole: bool) -> dict[str, Any]:
        """Turn an OpenAPI schema into a JSON schema that takes no unknown property.

        The document requires hardly anything; `whole` requires every property, as the real answers have them.
        """
        schema = dict(self.resolve(schema))
        if schema.pop("nullable", False):
            schema["type"] = [schema["type"], "null"]
        if "items" in schema:
            schema["items"] = self.closed(schema["items"], whole=whole)
        if "properties" in schema:
            properties = schema["properties"]
            schema["properties"] = {name: self.closed(value, whole=whole) for name, value in properties.items()}
            schema["additionalProperties"] = False
            if whole:
                schema["required"] = list(properties)
        return schema


@pytest.fixture(scope="module")
def contract() -> Contract:
    return Contract(yaml.safe_load(DOCUMENT.read_text()))


@pytest.fixture
def hub() -> DockerHub:
    return DockerHub(clock=lambda: 1_800_000_000.0)


@pytest.fixture
def client(hub: DockerHub) -> httpx.Client:
    return httpx.Client(transport=httpx.WSGITransport(app=hub.app), base_url="https://hub.docker.com")


def log_in(client: httpx.Client, hub: DockerHub) -> None:
    answer = client.post("/v2/auth/token", json={"identifier": hub.username, "secret": hub.password})
    client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


@pytest.mark.parametrize("secret", ["correct-horse-battery-staple", "not-the-password"])
def test_the_documented_login_answers_as_documented(contract: Contract, client: httpx.Client, secret: str) -> None:
    answer = client.post("/v2/auth/token", json={"identifier": "acme", "secret": secret})
    contract.judge("/v2/auth/token", answer)


@pytest.mark.parametrize("password", ["correct-horse-battery-staple", "not-the-password"])
@pytest.mark.parametrize("username", ["acme", "acme-inc"])
@pytest.mark.parametrize("totp_seed", [None, SEED])
def test_the_old_login_answers_as_documented(
    contract: Contract,
    hub: DockerHub,
    client: httpx.Client,
    username: str,
    password: str,
    totp_seed: str | None,
) -> None:
    hub.organizations, hub.totp_seed = {"acme-inc": Organization(members={})}, totp_seed

    answer = client.post("/v2/users/login", json={"username": username, "password": password})

    contract.judge("/v2/users/login", answer)


def test_the_second_factor_answers_as_documented(contract: Contract, hub: DockerHub, client: httpx.Client) -> None:
    hub.totp_seed = SEED

    for code, status in ((pyotp.TOTP(SEED).at(hub.clock()), 200), ("000000", 401)):
        asked = client.post("/v2/users/login", json={"username": "acme", "password": hub.password})
        body = {"login_2fa_token": asked.json()["login_2fa_token"], "code": code}
        answer = client.post("/v2/users/2fa-login", json=body)
        assert answer.status_code == status
        contract.judge("/v2/users/2fa-login", answer)


@pytest.mark.parametrize("expires_at", [None, "2029-12-31T23:59:59Z"])
def test_a_token_is_documented_through_its_whole_life(
    contract: Contract, hub: DockerHub, client: httpx.Client, expires_at: str | None
) -> None:
    log_in(client, hub)
    hub.add_token("another", active=False)
    wanted = {"token_label": "ci", "scopes": ["repo:read"]} | ({"expires_at": expires_at} if expires_at else {})

    created = client.post("/v2/access-tokens", json=wanted)
    path = f"/v2/access-tokens/{created.json()['uuid']}"
    client.post("/v2/auth/token", json={"identifier": "acme", "secret": created.json()["token"]})
    listed = client.get("/v2/access-tokens", params={"page_size": 1})
    shown = client.get(path)
    changed = client.patch(path, json={"token_label": "ci, retired", "is_active": False})
    deleted, deleted_again, shown_again = client.delete(path), client.delete(path), client.get(path)

    one = "/v2/access-tokens/{uuid}"
    for documented, answer, status in (
        ("/v2/access-tokens", created, 201),
        ("/v2/access-tokens", listed, 200),
        (one, shown, 200),
        (one, changed, 200),
        (one, deleted, 204),
        (one, deleted_again, 404),
        (one, shown_again, 404),
    ):
        assert answer.status_code == status
        contract.judge(documented, answer)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v2/access-tokens"),
        ("GET", "/v2/access-tokens"),
        ("GET", "/v2/access-tokens/{uuid}"),
        ("PATCH", "/v2/access-tokens/{uuid}"),
        ("DELETE", "/v2/access-tokens/{uuid}"),
    ],
)
def test_a_stranger_is_turned_away_as_documented(
    contract: Contract, hub: DockerHub, client: httpx.Client, method: str, path: str
) -> None:
    answer = client.request(method, path.format(uuid=hub.add_token("ci").uuid))

    assert answer.status_code == 401
    contract.judge(path, answer)


def test_a_bad_request_is_refused_as_documented(contract: Contract, hub: DockerHub, client: httpx.Client) -> None:
    log_in(client, hub)
    uuid = hub.add_token("ci").uuid

    created = client.post("/v2/access-tokens", json={"token_label": "", "scopes": []})
    listed = client.get("/v2/access-tokens", params={"page": 0})
    changed = client.patch(f"/v2/access-tokens/{uuid}", json={"is_active": "no"})

    assert {created.status_code, listed.status_code, changed.status_code} == {400}
    contract.judge("/v2/access-tokens", created)
    contract.judge("/v2/access-tokens", listed)
    contract.judge("/v2/access-tokens/{uuid}", changed)


# Organizations

TOKENS, ONE_TOKEN = "/v2/orgs/{name}/access-tokens", "/v2/orgs/{org_name}/access-tokens/{access_token_id}"
PULL = {"type": "TYPE_REPO", "path": "acme-inc/*", "scopes": ["scope-image-pull"]}


def join(hub: DockerHub, role: Role) -> None:
    hub.organizations = {"acme-inc": Organization(members={"acme": role})}


@pytest.mark.parametrize("expires_at", [None, "2029-12-31T23:59:59Z"])
def test_an_organizations_token_is_documented_through_its_whole_life(
    contract: Contract, hub: DockerHub, client: httpx.Client, expires_at: str | None
) -> None:
    join(hub, Role.TOKEN_MANAGER)
    log_in(client, hub)
    hub.add_organization_token("acme-inc", "another", active=False)
    collection = TOKENS.format(name="acme-inc")

    created = client.post(collection, json={"label": "ci", "resources": [PULL], "expires_at": expires_at})
    path = f"{collection}/{created.json()['id']}"
    used = client.post("/v2/auth/token", json={"identifier": "acme-inc", "secret": created.json()["token"]})
    listed = client.get(collection, params={"page_size": 1})
    shown = client.get(path)
    changed = client.patch(path, json={"label": "ci, retired", "is_active": False})
    refused = client.post("/v2/auth/token", json={"identifier": "acme-inc", "secret": created.json()["token"]})
    deleted, deleted_again, shown_again = client.delete(path), client.delete(path), client.get(path)

    for documented, answer, status in (
        (TOKENS, created, 201),
        ("/v2/auth/token", used, 200),
        (TOKENS, listed, 200),
        (ONE_TOKEN, shown, 200),
        (ONE_TOKEN, changed, 200),
        ("/v2/auth/token", refused, 401),
        (ONE_TOKEN, deleted, 204),
        (ONE_TOKEN, deleted_again, 404),
        (ONE_TOKEN, shown_again, 404),
    ):
        assert answer.status_code == status
        contract.judge(documented, answer)


@pytest.mark.parametrize(
    ("method", "documented"),
    [("POST", TOKENS), ("GET", TOKENS), ("GET", ONE_TOKEN), ("PATCH", ONE_TOKEN), ("DELETE", ONE_TOKEN)],
)
@pytest.mark.parametrize("who", ["nobody", "a member", "a stranger", "a token"])
def test_whoever_may_not_manage_an_organizations_tokens_is_turned_away_as_documented(
    contract: Contract, hub: DockerHub, client: httpx.Client, method: str, documented: str, who: str
) -> None:
    join(hub, Role.MEMBER)
    token = hub.add_organization_token("acme-inc", "ci")
    if who == "a token":
        answer = client.post("/v2/auth/token", json={"identifier": "acme-inc", "secret": token.value})
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    elif who != "nobody":
        log_in(client, hub)
    name = "elsewhere" if who == "a stranger" else "acme-inc"
    path = documented.format(name=name, org_name=name, access_token_id=token.uuid)

    answer = client.request(method, path)

    assert answer.status_code == {"nobody": 401, "a member": 403, "a stranger": 404, "a token": 403}[who]
    contract.judge(documented, answer)


def test_an_organizations_token_that_cannot_be_made_is_refused_as_documented(
    contract: Contract, hub: DockerHub, client: httpx.Client
) -> None:
    join(hub, Role.OWNER)
    log_in(client, hub)
    hub.organizations["acme-inc"].quota = 0

    for resources in ([], [PULL | {"path": "acme-inc/no-such-repository"}], [PULL]):
        answer = client.post(TOKENS.format(name="acme-inc"), json={"label": "ci", "resources": resources})
        assert answer.status_code == 400
        contract.judge(TOKENS, answer)


def test_the_judge_is_strict(contract: Contract, hub: DockerHub, client: httpx.Client) -> None:
    """A property missing, unknown, of another type or null without leave does not pass."""
    log_in(client, hub)
    created = client.post("/v2/access-tokens", json={"token_label": "ci", "scopes": ["repo:read"]})
    body = created.json()

    for spoiled in (
        {name: value for name, value in body.items() if name != "uuid"},
        body | {"colour": "blue"},
        body | {"is_active": "yes"},
        body | {"token": None},
        body | {"expires_at": "tomorrow"},
    ):
        answer = httpx.Response(201, json=spoiled, request=created.request)
        with pytest.raises(ValidationError):
            contract.judge("/v2/access-tokens", answer)
