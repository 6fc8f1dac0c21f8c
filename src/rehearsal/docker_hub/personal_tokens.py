"""Personal access tokens: `/v2/access-tokens`."""

from __future__ import annotations

import flask
from flask import Response, request

from rehearsal.docker_hub.answers import (
    BODY_IS_INVALID,
    expiry,
    json_answer,
    json_body,
    not_found,
    page_of,
    rfc3339,
    text,
)
from rehearsal.docker_hub.logins import Logins
from rehearsal.docker_hub.tokens import ACTIONS, OrganizationToken, Token


class PersonalTokens(Logins):
    """The account's own tokens, for whoever has logged in with its password."""

    def _personal_tokens(self) -> list[Token]:
        return [token for token in self.tokens.values() if not isinstance(token, OrganizationToken)]

    def _existing_token(self, uuid: str) -> Token:
        token = self.tokens.get(uuid)
        if token is None or isinstance(token, OrganizationToken):
            flask.abort(not_found())
        return token

    def _create_token(self) -> Response:
        self._require_manager()
        body = json_body()
        label, scopes = text(body, "token_label"), body.get("scopes", [])
        problems, expires_at = {}, None
        if not 1 <= len(label) <= 100:
            problems["token_label"] = "must be 1 to 100 characters"
        if not (isinstance(scopes, list) and scopes and all(scope in list(ACTIONS) for scope in scopes)):
            problems["scopes"] = "must be a list of valid scopes"
        try:
            expires_at = expiry(body.get("expires_at"), self._now())
        except ValueError:
            problems["expires_at"] = "must be a date and time in the future"
        if problems:
            return json_answer(400, message=BODY_IS_INVALID, errinfo=problems)
        if self.max_tokens is not None and len(self._personal_tokens()) >= self.max_tokens:
            return json_answer(400, message="access token limit reached", errinfo={})
        token = self.add_token(label, scopes=scopes, expires_at=expires_at)
        token.creator_ua = request.user_agent.string
        return json_answer(201, **token_body(token, token.value))

    def _list_tokens(self) -> Response:
        self._require_manager()
        tokens, now = self._personal_tokens(), self._now()
        active = sum(token.active and not token.expired(now) for token in tokens)
        return page_of(tokens, token_body, self.max_page_size, {"count": len(tokens), "active_count": active})

    def _get_token(self, uuid: str) -> Response:
        self._require_manager()
        return json_answer(200, **token_body(self._existing_token(uuid)))

    def _patch_token(self, uuid: str) -> Response:
        self._require_manager()
        token = self._existing_token(uuid)
        if token.expired(self._now()):
            # It "can only be deleted": https://docs.docker.com/security/access-tokens/. In what words is not known.
            return json_answer(400, message="access token is expired", errinfo={})
        body = {"token_label": token.label, "is_active": token.active} | json_body()
        label, active = text(body, "token_label"), body["is_active"]
        if not 1 <= len(label) <= 100 or not isinstance(active, bool):
            return json_answer(400, message=BODY_IS_INVALID, errinfo={})
        token.label, token.active = label, active
        return json_answer(200, **token_body(token))

    def _delete_token(self, uuid: str) -> Response:
        self._require_manager()
        del self.tokens[self._existing_token(uuid).uuid]
        return Response(status=204)


def token_body(token: Token, value: str = "***") -> dict[str, object]:
    """Return what the API tells of a token. Its value is told once."""
    return {
        "uuid": token.uuid,
        "client_id": "HUB",
        "creator_ip": "127.0.0.1",
        "creator_ua": token.creator_ua,
        "created_at": rfc3339(token.created_at, "microseconds"),
        "last_used": token.last_used and rfc3339(token.last_used, "microseconds"),
        "generated_by": token.generated_by,
        "is_active": token.active,
        "token": value,
        "token_label": token.label,
        "scopes": list(token.scopes),
        "expires_at": token.expires_at and rfc3339(token.expires_at),
    }
