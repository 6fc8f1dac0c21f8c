"""Logging in with a token, as its consumers do: whether it works, and which one it is."""

from copy import copy
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from dockerhub_rotation.docker_hub import answers, claims
from dockerhub_rotation.docker_hub.answers import Answer
from dockerhub_rotation.docker_hub.claims import Identity
from dockerhub_rotation.docker_hub.http import Http
from dockerhub_rotation.errors import DockerHubRefused, LockedOut, LoginRefused, LoginsUsedUp
from dockerhub_rotation.settings import Settings

# A lockout of the user name takes more than these, from all who log in with it together; how many is not published.
_MAX_REFUSED = 3
# Which token a value is does not change. A sandbox that serves many secrets meets as many values in an hour.
_MAX_KNOWN = 256


@dataclass
class _Seen:
    """What the logins of one invocation have met.

    Attributes:
        refused: digests of values that were refused.
        refused_logins: how many were.
        locked_out: how a lockout was told, if there was one.
    """

    refused: set[bytes] = field(default_factory=set)
    refused_logins: int = 0
    locked_out: LockedOut | None = None


class TokenLogin:
    """Logins with tokens, for one invocation. Every method raises what `Http.send` raises, and LoginsUsedUp.

    Args:
        known: what outlives the invocation: by the digest of a value, the uuid of its token.
    """

    def __init__(self, settings: Settings, http: Http, known: dict[bytes, str]) -> None:
        self._settings = settings
        self._http = http
        self._known = known
        self._seen = _Seen()

    def going_by(self, settings: Settings) -> "TokenLogin":
        """Return the same, by other settings. What was refused, and how often, is of one invocation."""
        other = copy(self)
        other._settings = settings  # noqa: SLF001
        return other

    def known(self, token: str) -> str | None:
        """Return the uuid of a token that has logged in in this sandbox before, or None."""
        return self._known.get(_digest(token))

    def was_refused(self, token: str) -> bool:
        """Tell whether a login with a token was refused in this invocation; only a fresh one is worth another."""
        return _digest(token) in self._seen.refused

    def whose(self, username: str, token: str) -> str | None:
        """Return the uuid of a token, or None if logging in with it does not tell. Says nothing of whether it works.

        Raises:
            LoginRefused: it could not be asked.
        """
        if self.was_refused(token):
            raise LoginRefused
        return self.known(token) or self.identify(username, token).token_uuid

    def identify(self, username: str, token: str) -> Identity:
        """Log in at the Hub API with a token and return what the login says of itself.

        Raises:
            LoginRefused: the token is disabled, deleted, expired, or none at all.
        """
        answer = self._log_in(
            "Logging in with the token",
            "POST",
            f"{self._settings.api_url}/v2/auth/token",
            json={"identifier": username, "secret": token},
        )
        if answer.refuses_login(400, 401):
            self._seen.refused.add(_digest(token))
            self._seen.refused_logins += 1
            raise LoginRefused
        if not answer.success:
            raise answer.error(answers.CHECK_URLS)
        identity = claims.identity(claims.read(answer.text("access_token")))
        if identity.token_uuid is not None:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[_digest(token)] = identity.token_uuid
        return identity

    def log_in_to_registry(self, username: str, token: str, *probes: str) -> None:
        """Log in at the registry's token service, as `docker login` does.

        https://distribution.github.io/distribution/spec/auth/token/

        Args:
            probes: repositories for which to ask what the scopes promise, all in one request, and to show the answer to
                the registry; without any it logs in only.

        Raises:
            LoginRefused: the token is disabled, deleted, expired, or none at all.
            DockerHubRefused: the token is not granted what its scopes promise.
        """
        actions = _registry_actions(self._settings.scopes)
        wanted = {"scope": [f"repository:{probe}:{','.join(actions)}" for probe in probes]} if probes else {}
        answer = self._log_in(
            "Logging in to the registry",
            "GET",
            f"{self._settings.auth_url}/token",
            params={"service": "registry.docker.io", "client_id": "dockerhub-rotation", "account": username} | wanted,
            auth=(username, token),
        )
        if answer.refuses_login(401, 403):
            if probes and "insufficient scopes" in answer.said():
                raise _probe_failed(" and ".join(probes), actions)
            self._seen.refused_logins += 1
            raise LoginRefused
        if not answer.success:
            raise answer.error(answers.CHECK_URLS)
        registry_token = answer.text("token" if "token" in answer.object() else "access_token")
        for probe in probes:
            if not claims.granted(claims.read(registry_token), probe).issuperset(actions):
                raise _probe_failed(probe, actions)
        if probes:
            self._show_to_registry(registry_token)

    def _log_in(self, what: str, method: str, url: str, **how: Any) -> Answer:
        """Send a login, unless it could lock the user name, or that is locked: a login more keeps it so."""
        if self._seen.locked_out is not None:
            raise LockedOut(str(self._seen.locked_out))
        self._spare_the_user_name()
        try:
            return self._http.send(what, method, url, **how)
        except LockedOut as locked_out:
            self._seen.locked_out = locked_out
            raise

    def _spare_the_user_name(self) -> None:
        if self._seen.refused_logins >= _MAX_REFUSED:
            raise LoginsUsedUp(
                f"Docker Hub has refused {_MAX_REFUSED} logins of this invocation, which makes no more, as they can "
                "lock the user name. Look which of the secret's versions hold tokens that are gone."
            )

    def _show_to_registry(self, registry_token: str) -> None:
        answer = self._http.send(
            "Showing the registry its token",
            "GET",
            f"{self._settings.registry_url}/v2/",
            headers={"Authorization": f"Bearer {registry_token}"},
        )
        if not answer.success:
            raise answer.error("Check DOCKERHUB_AUTH_URL and DOCKERHUB_REGISTRY_URL.")
        if answer.body:
            answer.object()  # a guest network's page says nothing of the registry


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()


def _registry_actions(scopes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the registry actions that a token's scopes promise."""
    return ("pull", "push") if {"repo:write", "repo:admin"} & set(scopes) else ("pull",)


def _probe_failed(repository: str, actions: tuple[str, ...]) -> DockerHubRefused:
    return DockerHubRefused(
        f"The token is not granted {' and '.join(actions)} on {repository}. Check what the account may do there, "
        "DOCKERHUB_TOKEN_SCOPES and DOCKERHUB_PROBE_REPOSITORY, and the secret's tags that stand beside them."
    )
