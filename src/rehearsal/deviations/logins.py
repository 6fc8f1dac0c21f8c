"""Logins that are otherwise than assumed."""

from __future__ import annotations

from typing import Any

import flask
from flask import Response

from rehearsal.deviations.kinds import LATE_SECONDS, OfJwts, OfTokens, deviates, refusal
from rehearsal.docker_hub import HUB, DockerHub


@deviates("configured-login")
class _AuthTokenTakesNoPassword(DockerHub):
    def _auth_token(self) -> Response:
        if flask.request.get_json().get("secret") != self.password:
            return super()._auth_token()
        self._count_failure(self.username)
        return refusal(401, "unauthorized")


@deviates("other-login")
class _UsersLoginIsNoMore(DockerHub):
    def _users_login(self) -> Response:
        self._count_failure(self.username)
        return refusal(401, "unauthorized")


@deviates("login-names-account")
class _PasswordsLoginNamesNobody(OfJwts):
    def claim(self, claims: dict[str, Any], account: dict[str, Any], *, by_token: bool) -> None:
        if not by_token:
            del account["username"]


@deviates("login-ends")
class _LoginsAreShort(DockerHub):
    def _sign(self, issuer: str, audience: str, lifetime: float, **claims: object) -> str:
        return super()._sign(issuer, audience, 100, **claims)


@deviates("date")
class _TellsNoTime(DockerHub):
    def _after_request(self, response: Response) -> Response:
        answer = super()._after_request(response)
        del answer.headers["Date"]
        return answer


@deviates("requests-left")
class _TellsNoLimit(DockerHub):
    def _after_request(self, response: Response) -> Response:
        answer = super()._after_request(response)
        answer.headers.pop("X-RateLimit-Remaining", None)
        return answer


@deviates("token-login")
class _NewTokensAreNotKnownYet(OfTokens):
    def _auth_token(self) -> Response:
        secret = flask.request.get_json().get("secret")
        if any(token.value == secret and self.is_younger(token, LATE_SECONDS) for token in self.tokens.values()):
            self._count_failure(self.username)
            return refusal(401, "unauthorized")
        return super()._auth_token()


@deviates("token-login-names-token")
class _TokensLoginNamesNoToken(OfJwts):
    def claim(self, claims: dict[str, Any], account: dict[str, Any], *, by_token: bool) -> None:
        if by_token:
            del account["source"]


@deviates("token-login-names-account")
class _TokensLoginNamesNobody(OfJwts):
    def claim(self, claims: dict[str, Any], account: dict[str, Any], *, by_token: bool) -> None:
        if by_token:
            del account["username"]


@deviates("token-login-names-scopes")
class _TokensLoginNamesNoScopes(OfJwts):
    def claim(self, claims: dict[str, Any], account: dict[str, Any], *, by_token: bool) -> None:
        if by_token:
            claims["scope"] = ""


@deviates("token-manages-no-tokens")
class _TokensManageTokens(DockerHub):
    def _require_manager(self) -> None:
        if self._bearer_claims(HUB) is None:
            super()._require_manager()


@deviates("registry-login")
class _RegistryTakesNoTokens(DockerHub):
    def _registry_token(self) -> Response:
        self._count_failure(self.username)
        return flask.make_response({"details": "incorrect username or password"}, 401)


@deviates("registry-grants")
class _RegistryGrantsNothing(DockerHub):
    def _granted_access(self, *_: object) -> list[dict[str, object]]:
        return []


@deviates("registry-takes-its-token")
class _RegistryTakesNoJwt(DockerHub):
    def _registry(self) -> Response:
        return flask.make_response({"errors": [{"code": "UNAUTHORIZED"}]}, 401)
