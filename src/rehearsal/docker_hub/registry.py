"""The registry's token service and its front door."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from uuid import NAMESPACE_DNS, uuid5

from flask import Response, request

from rehearsal.docker_hub.account import EVERYTHING_PUBLIC
from rehearsal.docker_hub.answers import json_answer, rfc3339
from rehearsal.docker_hub.logins import LOCKED, Logins, Standing
from rehearsal.docker_hub.tokens import ACTIONS, OrganizationToken, Token

# What a token of an organization may do with the images of a repository; each scope includes the lower ones.
# https://docs.docker.com/security/access-tokens/
IMAGE_ACTIONS: Mapping[str, frozenset[str]] = {
    "scope-image-pull": frozenset({"pull"}),
    "scope-image-push": frozenset({"pull", "push"}),
    "scope-image-delete": frozenset({"pull", "push", "delete"}),
}

REGISTRY = "registry.docker.io"
REGISTRY_TOKEN_SECONDS = 300

REGISTRY_REFUSALS: Mapping[Standing, str] = {
    # https://github.com/docker/hub-feedback/issues/1981
    Standing.CODE_NEEDED: "please use personal access token to login",
    # https://github.com/docker/hub-feedback/issues/2181
    Standing.PASSWORD_BARRED: "please use personal access token to login when SSO is enforced",
    # https://github.com/sailor-sh/CK-X/issues/60
    Standing.TOKEN_EXPIRED: "unauthorized: personal access token is expired",
    # https://github.com/linuxarena/control-tower/issues/1007
    Standing.ORGANIZATION_TOKEN_EXPIRED: "unauthorized: org access token is expired",
    Standing.WRONG: "incorrect username or password",
}


class Registry(Logins):
    """What a token opens for image pulls."""

    def _registry_token(self) -> Response:
        login: Token | Standing | None = None
        if "Authorization" in request.headers:
            basic = request.authorization
            username, password = (basic.username, basic.password) if basic else (None, None)
            login = self._log_in(username or "", password or "")
        if login is Standing.LOCKED:
            return json_answer(429, details=LOCKED)
        if isinstance(login, Standing) and login in REGISTRY_REFUSALS:
            return json_answer(401, details=REGISTRY_REFUSALS[login])
        wanted = _requested_access(request.args.getlist("scope"))
        if isinstance(login, Token) and not isinstance(login, OrganizationToken):
            may_ask = {action for scope in login.scopes for action in ACTIONS[scope]}
            if any(not may_ask.issuperset(actions) for _, actions in wanted):
                return json_answer(401, details="access token has insufficient scopes")
        token = self._sign(
            "auth.docker.io",
            request.args.get("service", ""),
            REGISTRY_TOKEN_SECONDS,
            sub=self._subject(login),
            nbf=int(self.clock()) - 300,
            jti="dckr_jti_" + secrets.token_urlsafe(20),
            access=self._granted_access(wanted, login),
        )
        issued_at, lifetime = rfc3339(self._now()), REGISTRY_TOKEN_SECONDS
        return json_answer(200, token=token, access_token=token, expires_in=lifetime, issued_at=issued_at)

    def _subject(self, login: Token | Standing | None) -> str:
        """Return whose the login is, as an id; who has not logged in is nobody."""
        if login is None:
            return ""
        return (
            str(uuid5(NAMESPACE_DNS, login.organization))
            if isinstance(login, OrganizationToken)
            else self._account_uuid
        )

    def _granted_access(
        self, wanted: Iterable[tuple[str, list[str]]], login: Token | Standing | None
    ) -> list[dict[str, object]]:
        """Grant what is wanted and allowed; a repository with nothing to grant is left out.

        https://github.com/docker/hub-feedback/issues/1771
        """
        access: list[dict[str, object]] = []
        pull_limit = "100" if login is None else "200"
        for name, actions in wanted:
            allowed = self._allowed(name, login)
            granted = [action for action in actions if action in allowed]
            if granted:
                parameters = {"pull_limit": pull_limit, "pull_limit_interval": "21600"}
                access.append({"type": "repository", "name": name, "actions": granted, "parameters": parameters})
        return access

    def _allowed(self, name: str, login: Token | Standing | None) -> set[str]:
        """Return what a login may do with a repository."""
        if isinstance(login, OrganizationToken):
            return {
                action
                for resource in login.resources
                if resource.type == "TYPE_REPO" and self._covers(resource.path, name, login.organization)
                for scope in resource.scopes
                for action in IMAGE_ACTIONS.get(scope, ())
            }
        public_only = login is None or (isinstance(login, Token) and set(login.scopes) == {"repo:public_read"})
        allowed = set() if public_only else set(self.repositories.get(name, ()))
        return allowed | {"pull"} if self._is_public(name) else allowed

    def _covers(self, path: str, name: str, organization: str) -> bool:
        """Tell whether a path of an organization's token holds a repository that there is."""
        if path == EVERYTHING_PUBLIC:
            return self._is_public(name)
        return path in (name, f"{organization}/*") and self._is_of(name, organization)

    def _is_public(self, name: str) -> bool:
        return name in self.public_repositories or name.startswith("library/")  # Docker's own images are everybody's

    def _registry(self) -> Response:
        if self._bearer_claims(REGISTRY) is not None:
            return json_answer(200)
        response = json_answer(401, errors=[{"code": "UNAUTHORIZED", "message": "authentication required"}])
        # Under its real name the registry points to another host; anywhere else this host is all three.
        real = request.host == "registry-1.docker.io"
        realm = "https://auth.docker.io/token" if real else f"{request.host_url}token"
        response.headers["WWW-Authenticate"] = f'Bearer realm="{realm}",service="{REGISTRY}"'
        return response


def _requested_access(scopes: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Read `repository:namespace/name:pull,push`; several may come, in one parameter or in many."""
    parts = [scope.split(":") for scope in " ".join(scopes).split()]
    return [(part[1], part[2].split(",")) for part in parts if len(part) == 3 and part[0] == "repository"]
