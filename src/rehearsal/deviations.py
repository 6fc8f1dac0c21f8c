"""A Docker Hub that is otherwise than assumed, in one thing at a time: what preflight is to find.

By the name of the assumption (`dockerhub_rotation.preflight.assumptions`), the simulator that breaks it and no other.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import flask
from flask import Response, request

from rehearsal.docker_hub import HUB, DockerHub, Standing, Token

DEVIATIONS: dict[str, type[DockerHub]] = {}

# How long what is late takes.
_LATE_SECONDS = 10

_TOKENS = "/v2/access-tokens"


def _deviates(name: str) -> Callable[[type[DockerHub]], type[DockerHub]]:
    def enter(hub: type[DockerHub]) -> type[DockerHub]:
        DEVIATIONS[name] = hub
        return hub

    return enter


def _refusal(status: int, message: str) -> Response:
    """Refuse in Docker Hub's form."""
    return flask.make_response({"message": message, "errinfo": {}}, status)


class OfJwts(DockerHub):
    """A Docker Hub whose logins claim something else."""

    def claim(self, claims: dict[str, Any], account: dict[str, Any], *, by_token: bool) -> None:
        """Change what is claimed at the Hub API."""

    def _sign(self, issuer: str, audience: str, lifetime: float, **claims: object) -> str:
        account = claims.get(HUB)
        if isinstance(account, dict):
            self.claim(claims, account, by_token=str(account["source"]).startswith("docker_pat"))
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


@_deviates("configured-login")
class _AuthTokenTakesNoPassword(DockerHub):
    def _auth_token(self) -> Response:
        if flask.request.get_json().get("secret") != self.password:
            return super()._auth_token()
        self._count_failure(self.username)
        return _refusal(401, "unauthorized")


@_deviates("other-login")
class _UsersLoginIsNoMore(DockerHub):
    def _users_login(self) -> Response:
        self._count_failure(self.username)
        return _refusal(401, "unauthorized")


@_deviates("login-names-account")
class _PasswordsLoginNamesNobody(OfJwts):
    def claim(self, claims: dict[str, Any], account: dict[str, Any], *, by_token: bool) -> None:
        if not by_token:
            del account["username"]


@_deviates("login-ends")
class _LoginsAreShort(DockerHub):
    def _sign(self, issuer: str, audience: str, lifetime: float, **claims: object) -> str:
        return super()._sign(issuer, audience, 100, **claims)


@_deviates("date")
class _TellsNoTime(DockerHub):
    def _after_request(self, response: Response) -> Response:
        answer = super()._after_request(response)
        del answer.headers["Date"]
        return answer


@_deviates("requests-left")
class _TellsNoLimit(DockerHub):
    def _after_request(self, response: Response) -> Response:
        answer = super()._after_request(response)
        answer.headers.pop("X-RateLimit-Remaining", None)
        return answer


@_deviates("creation")
class _MakesTokensOfAnotherForm(OfTokens):
    def tell(self, token: dict[str, Any]) -> None:
        if token["token"] != "***":
            self.tokens[token["uuid"]].value = token["token"] = token["token"].replace("dckr_pat_", "dckr_new_")


@_deviates("scopes-kept")
class _TellsNoScopes(OfTokens):
    def tell(self, token: dict[str, Any]) -> None:
        token["scopes"] = []


@_deviates("creation-time")
class _TellsTimesWithoutZone(OfTokens):
    def tell(self, token: dict[str, Any]) -> None:
        token["created_at"] = token["created_at"].removesuffix("Z")


@_deviates("expiry")
class _TakesNoExpiry(DockerHub):
    def _create_token(self) -> Response:
        if "expires_at" in flask.request.get_json():
            return _refusal(400, "body is invalid")
        return super()._create_token()


@_deviates("list-shows-new-token")
class _ListIsBehind(OfTokens):
    def tell_page(self, page: dict[str, Any]) -> None:
        page["results"] = [token for token in page["results"] if not self.is_younger(token, _LATE_SECONDS)]


@_deviates("value-shown-once")
class _ListShowsValues(OfTokens):
    def tell(self, token: dict[str, Any]) -> None:
        token["token"] = self.tokens[token["uuid"]].value


@_deviates("single-token")
class _NoTokenIsReadAlone(DockerHub):
    def _get_token(self, uuid: str) -> Response:
        self._require_manager()
        return _refusal(404, "not found")


@_deviates("page-size")
class _PagesAreShort(DockerHub):
    def __post_init__(self) -> None:
        super().__post_init__()
        self.max_page_size = 10


@_deviates("page-fits")
class _TokensAreLong(OfTokens):
    def tell(self, token: dict[str, Any]) -> None:
        token["creator_ua"] = "x" * 12_000


@_deviates("list-order")
class _OrderIsAnotherEachTime(OfTokens):
    def tell_page(self, page: dict[str, Any]) -> None:
        if len(self.requests) % 2:
            page["results"].reverse()


@_deviates("list-pages")
class _NoPageNamesTheNext(OfTokens):
    def tell_page(self, page: dict[str, Any]) -> None:
        page["next"] = None


@_deviates("list-beyond-its-end")
class _NoPageBeyondTheEnd(DockerHub):
    def _list_tokens(self) -> Response:
        answer = super()._list_tokens()
        return answer if answer.status_code != 404 else _refusal(400, "bad request")


@_deviates("token-login")
class _NewTokensAreNotKnownYet(OfTokens):
    def _auth_token(self) -> Response:
        secret = flask.request.get_json().get("secret")
        if any(token.value == secret and self.is_younger(token, _LATE_SECONDS) for token in self.tokens.values()):
            self._count_failure(self.username)
            return _refusal(401, "unauthorized")
        return super()._auth_token()


@_deviates("token-login-names-token")
class _TokensLoginNamesNoToken(OfJwts):
    def claim(self, claims: dict[str, Any], account: dict[str, Any], *, by_token: bool) -> None:
        if by_token:
            del account["source"]


@_deviates("token-login-names-account")
class _TokensLoginNamesNobody(OfJwts):
    def claim(self, claims: dict[str, Any], account: dict[str, Any], *, by_token: bool) -> None:
        if by_token:
            del account["username"]


@_deviates("token-login-names-scopes")
class _TokensLoginNamesNoScopes(OfJwts):
    def claim(self, claims: dict[str, Any], account: dict[str, Any], *, by_token: bool) -> None:
        if by_token:
            claims["scope"] = ""


@_deviates("token-manages-no-tokens")
class _TokensManageTokens(DockerHub):
    def _require_manager(self) -> None:
        if self._bearer_claims(HUB) is None:
            super()._require_manager()


@_deviates("last-used")
class _TellsNoUse(OfTokens):
    def tell(self, token: dict[str, Any]) -> None:
        token["last_used"] = None


@_deviates("registry-login")
class _RegistryTakesNoTokens(DockerHub):
    def _registry_token(self) -> Response:
        self._count_failure(self.username)
        return flask.make_response({"details": "incorrect username or password"}, 401)


@_deviates("registry-grants")
class _RegistryGrantsNothing(DockerHub):
    def _granted_access(self, *_: object) -> list[dict[str, object]]:
        return []


@_deviates("registry-takes-its-token")
class _RegistryTakesNoJwt(DockerHub):
    def _registry(self) -> Response:
        return flask.make_response({"errors": [{"code": "UNAUTHORIZED"}]}, 401)


@_deviates("change-answer")
class _ChangesWithoutAWord(DockerHub):
    def _patch_token(self, uuid: str) -> Response:
        super()._patch_token(uuid)
        return Response(status=204)


@_deviates("change-takes-effect")
class _DisablesNoToken(DockerHub):
    def _patch_token(self, uuid: str) -> Response:
        answer = super()._patch_token(uuid)
        self.tokens[uuid].active = True
        return answer


@_deviates("change-keeps-the-rest")
class _ChangesScopesAsWell(DockerHub):
    def _patch_token(self, uuid: str) -> Response:
        self._require_manager()
        self._existing_token(uuid).scopes = ("repo:read",)
        return super()._patch_token(uuid)


@_deviates("label-kept")
class _LabelsAreCutOff(DockerHub):
    def _patch_token(self, uuid: str) -> Response:
        answer = super()._patch_token(uuid)
        self.tokens[uuid].label = self.tokens[uuid].label[:64]
        return answer


@_deviates("change-again")
class _RefusesWhatChangesNothing(DockerHub):
    def _patch_token(self, uuid: str) -> Response:
        self._require_manager()
        token = self._existing_token(uuid)
        before = token.label, token.active
        answer = super()._patch_token(uuid)
        return answer if (token.label, token.active) != before else _refusal(400, "nothing to change")


class _TakesDisabledTokens(DockerHub):
    """A Docker Hub that may take a token that is disabled."""

    def takes(self, token: Token, at_the_hub: bool) -> bool:
        """Tell whether it takes this one."""
        raise NotImplementedError

    def _standing(self, username: str, secret: str, *, token_under_any_name: bool = False) -> Token | Standing:
        for token in self.tokens.values():
            if token.value == secret and not token.active and self.takes(token, token_under_any_name):
                return token
        return super()._standing(username, secret, token_under_any_name=token_under_any_name)


@_deviates("disabled-at-hub")
class _HubTakesDisabledTokens(_TakesDisabledTokens):
    def takes(self, token: Token, at_the_hub: bool) -> bool:
        return at_the_hub


@_deviates("disabled-at-registry")
class _RegistryTakesDisabledTokens(_TakesDisabledTokens):
    def takes(self, token: Token, at_the_hub: bool) -> bool:
        return not at_the_hub


@_deviates("disabled-at-once")
class _DisablesSlowly(_TakesDisabledTokens):
    def __post_init__(self) -> None:
        super().__post_init__()
        self._disabled_at: dict[str, float] = {}

    def takes(self, token: Token, at_the_hub: bool) -> bool:
        return self.clock() - self._disabled_at[token.uuid] < _LATE_SECONDS

    def _patch_token(self, uuid: str) -> Response:
        answer = super()._patch_token(uuid)
        self._disabled_at[uuid] = self.clock()
        return answer


@_deviates("enabled-again")
class _DisablesForGood(DockerHub):
    def _patch_token(self, uuid: str) -> Response:
        was_active = self.tokens[uuid].active if uuid in self.tokens else True
        answer = super()._patch_token(uuid)
        if not was_active:
            self.tokens[uuid].expires_at = self._now()
        return answer


@_deviates("deletion")
class _DeletesWithABody(DockerHub):
    def _delete_token(self, uuid: str) -> Response:
        super()._delete_token(uuid)
        return flask.make_response({"deleted": True}, 200)


@_deviates("list-forgets")
class _ListRemembers(OfTokens):
    def __post_init__(self) -> None:
        super().__post_init__()
        self._deleted: list[tuple[float, Token]] = []

    def _delete_token(self, uuid: str) -> Response:
        token = self.tokens.get(uuid)
        answer = super()._delete_token(uuid)
        if token is not None:
            self._deleted.append((self.clock(), token))
        return answer

    def _list_tokens(self) -> Response:
        late = {token.uuid: token for at, token in self._deleted if self.clock() - at < _LATE_SECONDS}
        there, self.tokens = self.tokens, self.tokens | late
        try:
            return super()._list_tokens()
        finally:
            self.tokens = there


@_deviates("deletion-again")
class _RefusesASecondDeletion(DockerHub):
    def _delete_token(self, uuid: str) -> Response:
        self._require_manager()
        return super()._delete_token(uuid) if uuid in self.tokens else _refusal(400, "bad request")


@_deviates("change-of-gone")
class _RefusesToChangeWhatIsGone(DockerHub):
    def _patch_token(self, uuid: str) -> Response:
        self._require_manager()
        return super()._patch_token(uuid) if uuid in self.tokens else _refusal(400, "bad request")


@_deviates("gone-token")
class _RefusesToReadWhatIsGone(DockerHub):
    def _get_token(self, uuid: str) -> Response:
        self._require_manager()
        return super()._get_token(uuid) if uuid in self.tokens else _refusal(410, "gone")
