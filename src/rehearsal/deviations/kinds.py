"""What the deviations share: the list of all of them, and the kinds in which a Docker Hub can be otherwise."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import flask
from flask import Response, request

from rehearsal.docker_hub import HUB, DockerHub, Standing, Token

DEVIATIONS: dict[str, type[DockerHub]] = {}

# How long what is late takes.
LATE_SECONDS = 10

_TOKENS = "/v2/access-tokens"


def deviates(name: str) -> Callable[[type[DockerHub]], type[DockerHub]]:
    """Enter a Docker Hub under the name of the assumption in which it is otherwise."""

    def enter(hub: type[DockerHub]) -> type[DockerHub]:
        DEVIATIONS[name] = hub
        return hub

    return enter


def refusal(status: int, message: str) -> Response:
    """Refuse in Docker Hub's form."""
    return flask.make_response({"message": message, "errinfo": {}}, status)


class OfJwts(DockerHub):
    """A Docker Hub whose logins claim something else."""

    def claim(self, claims: dict[str, Any], account: dict[str, Any], *, by_token: bool) -> None:
        """Change what is claimed at the Hub API."""

    def _sign(self, issuer: str, audience: str, lifetime: float, **claims: object) -> str:
        account = claims.get(HUB)
        if isinstance(account, dict):
            self.claim(claims, account, by_token=claims["jti"] not in self._password_sessions)
        return super()._sign(issuer, audience, lifetime, **claims)


class OfTokens(DockerHub):
    """A Docker Hub that tells something else of its tokens."""

    def tell(self, token: dict[str, Any]) -> None:
        """Change what is told of a token."""

    def tell_page(self, page: dict[str, Any]) -> None:
        """Change what is told on a page of the list."""

    def _after_request(self, response: Response) -> Response:
        answer = super()._after_request(response)
        body = answer.get_json(silent=True) if request.path.startswith(_TOKENS) else None
        if isinstance(body, dict) and answer.status_code < 300:
            for token in body.get("results", [body]):
                self.tell(token)
            if "results" in body:
                self.tell_page(body)
            answer.set_data(json.dumps(body))
        return answer

    def is_younger(self, token: dict[str, Any] | Token, seconds: float) -> bool:
        """Tell whether a token was made so lately."""
        uuid = token.uuid if isinstance(token, Token) else token["uuid"]
        return uuid in self.tokens and self.clock() - self.tokens[uuid].created_at.timestamp() < seconds


class TakesDisabledTokens(DockerHub, ABC):
    """A Docker Hub that may take a token that is disabled."""

    @abstractmethod
    def takes(self, token: Token, at_the_hub: bool) -> bool:
        """Tell whether it takes this one."""

    def _standing(self, username: str, secret: str, *, token_under_any_name: bool = False) -> Token | Standing:
        for token in self.tokens.values():
            if token.value == secret and not token.active and self.takes(token, token_under_any_name):
                return token
        return super()._standing(username, secret, token_under_any_name=token_under_any_name)
