"""Logging in with a token, as its consumers do: whether it works, and which one it is."""

from dockerhub_rotation.docker_hub import answers
from dockerhub_rotation.docker_hub.answers import Identity
from dockerhub_rotation.docker_hub.http import Http
from dockerhub_rotation.errors import DockerHubRefused, LoginRefused
from dockerhub_rotation.settings import Settings


class TokenLogin:
    """Logins with tokens, for one invocation. Every method raises what `Http.send` raises."""

    def __init__(self, settings: Settings, http: Http) -> None:
        self._settings = settings
        self._http = http

    def identify(self, username: str, token: str) -> Identity:
        """Log in at the Hub API with a token and return what the login says of itself.

        Raises:
            LoginRefused: the token is disabled, deleted, expired, or none at all.
        """
        answer = self._http.send(
            "Logging in with the token",
            "POST",
            f"{self._settings.api_url}/v2/auth/token",
            json={"identifier": username, "secret": token},
        )
        if answer.refuses_login(400, 401):
            raise LoginRefused
        if not answer.success:
            raise answer.error("Try again later.")
        return answers.identity(answers.claims(answer.text("access_token")))

    def log_in_to_registry(self, username: str, token: str, probe: str | None) -> None:
        """Log in at the registry's token service, as `docker login` does.

        https://distribution.github.io/distribution/spec/auth/token/

        Args:
            probe: a repository for which to ask what the scopes promise and to show the answer to the registry; None to
                log in only.

        Raises:
            LoginRefused: the token is disabled, deleted, expired, or none at all.
            DockerHubRefused: the token is not granted what its scopes promise.
        """
        actions = _registry_actions(self._settings.scopes)
        wanted = {"scope": f"repository:{probe}:{','.join(actions)}"} if probe else {}
        answer = self._http.send(
            "Logging in to the registry",
            "GET",
            f"{self._settings.auth_url}/token",
            params={"service": "registry.docker.io", "client_id": "dockerhub-rotation", "account": username} | wanted,
            auth=(username, token),
        )
        if answer.refuses_login(401, 403):
            if probe and "insufficient scopes" in answer.said():
                raise _probe_failed(probe, actions)
            raise LoginRefused
        if not answer.success:
            raise answer.error("Try again later.")
        registry_token = answer.text("token" if "token" in answer.object() else "access_token")
        if probe:
            if not answers.granted(answers.claims(registry_token), probe).issuperset(actions):
                raise _probe_failed(probe, actions)
            self._show_to_registry(registry_token)

    def _show_to_registry(self, registry_token: str) -> None:
        answer = self._http.send(
            "Showing the registry its token",
            "GET",
            f"{self._settings.registry_url}/v2/",
            headers={"Authorization": f"Bearer {registry_token}"},
        )
        if not answer.success:
            raise answer.error("Check DOCKERHUB_AUTH_URL and DOCKERHUB_REGISTRY_URL.")


def _registry_actions(scopes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the registry actions that a token's scopes promise."""
    return ("pull", "push") if {"repo:write", "repo:admin"} & set(scopes) else ("pull",)


def _probe_failed(repository: str, actions: tuple[str, ...]) -> DockerHubRefused:
    return DockerHubRefused(
        f"The token is not granted {' and '.join(actions)} on {repository}. Check what the account may do there, "
        "DOCKERHUB_TOKEN_SCOPES and DOCKERHUB_PROBE_REPOSITORY."
    )
