"""What the simulated Docker Hub is asked, and by whose clock."""

from typing import Any

import httpx
import jwt

from rehearsal.docker_hub import DockerHub


class Clock:
    """A clock that moves only when told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def client_of(hub: DockerHub) -> httpx.Client:
    return httpx.Client(transport=httpx.WSGITransport(app=hub.app), base_url="https://hub.docker.com")


def auth_token(hub: DockerHub, identifier: str, secret: str) -> httpx.Response:
    return client_of(hub).post("/v2/auth/token", json={"identifier": identifier, "secret": secret})


def users_login(hub: DockerHub, username: str, password: str) -> httpx.Response:
    return client_of(hub).post("/v2/users/login", json={"username": username, "password": password})


def second_factor(hub: DockerHub, code: str) -> httpx.Response:
    token = users_login(hub, hub.username, hub.password).json()["login_2fa_token"]
    return client_of(hub).post("/v2/users/2fa-login", json={"login_2fa_token": token, "code": code})


def registry_token(hub: DockerHub, *scopes: str, auth: tuple[str, str] | None = None) -> httpx.Response:
    params = {"service": "registry.docker.io", "scope": list(scopes)}
    return client_of(hub).get("https://auth.docker.io/token", params=params, auth=auth)


def granted(response: httpx.Response) -> dict[str, list[str]]:
    assert response.status_code == 200
    return {entry["name"]: entry["actions"] for entry in claims_of(response.json()["token"])["access"]}


def claims_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def manager(hub: DockerHub) -> httpx.Client:
    """A client that logged in with the password, so that it may manage tokens."""
    client = client_of(hub)
    token = auth_token(hub, hub.username, hub.password).json()["access_token"]
    client.headers["Authorization"] = f"Bearer {token}"
    return client
