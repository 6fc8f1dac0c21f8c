"""Organization access tokens: `/v2/orgs/<name>/access-tokens`.

The fields are those of Docker's OpenAPI document, which has none for a token's value but in the answer to its making.
A real answer to the making was seen with the description as well: https://github.com/docker/docs/issues/24406.

Not published, and so decided here: what the refusals for the quota, for a repository that there is not and for a
stranger look like (they come in Docker Hub's usual form), how long a label may be (as long as that of a personal
token), what the path of a `TYPE_ORG` resource is (the organization's name), and whether times have fractions of a
second (the document's examples have none, so that two tokens may seem to be of the same age).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flask
from flask import Response, request

from rehearsal.docker_hub.account import EVERYTHING_PUBLIC, Role
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
from rehearsal.docker_hub.tokens import OrganizationToken, Resource

# https://docs.docker.com/security/access-tokens/
SCOPES: Mapping[str, frozenset[str]] = {
    "TYPE_REPO": frozenset(
        {
            *("scope-image-pull", "scope-image-push", "scope-image-delete"),
            *("scope-repository-read", "scope-repository-edit", "scope-repository-admin"),
            *("scope-tag-read", "scope-tag-admin"),
            *("scope-webhook-read", "scope-webhook-edit", "scope-webhook-admin"),
            *("scope-repo-group-read", "scope-repo-group-edit", "scope-repo-group-admin"),
            "scope-repository-settings-admin",
        }
    ),
    "TYPE_ORG": frozenset(
        {
            *("scope-member-read", "scope-member-edit", "scope-invite-read", "scope-invite-edit"),
            *("scope-group-read", "scope-group-edit", "scope-activity-read", "scope-siem_credentials-read"),
            *("scope-ram-read", "scope-ram-write", "scope-report-read", "scope-registry-usage-read"),
            *("scope-repository-create", "scope-repository-list"),
            *("scope-cloud-connect", "scope-audit_events-read"),
            *("scope-governance-policy-read", "scope-governance-policy-write"),
        }
    ),
}

_MANAGERS = {Role.OWNER, Role.TOKEN_MANAGER}


class OrganizationTokens(Logins):
    """The organizations' tokens, for a member who may manage them and has logged in with the password."""

    def _require_role(self, organization: str) -> None:
        """Let only an owner and the role through: https://docs.docker.com/security/access-tokens/."""
        self._require_manager()
        known = self.organizations.get(organization)
        role = known.members.get(self.username) if known else None
        if role is None:  # a stranger does not learn whether there is such an organization
            flask.abort(not_found())
        if role not in _MANAGERS:
            flask.abort(json_answer(403, message="forbidden", errinfo={}))

    def _tokens_of(self, organization: str) -> list[OrganizationToken]:
        return [
            token
            for token in self.tokens.values()
            if isinstance(token, OrganizationToken) and token.organization == organization
        ]

    def _existing_organization_token(self, organization: str, uuid: str) -> OrganizationToken:
        token = next((token for token in self._tokens_of(organization) if token.uuid == uuid), None)
        if token is None:
            flask.abort(not_found())
        return token

    def _create_organization_token(self, organization: str) -> Response:
        self._require_role(organization)
        expires_at, body = None, {"label": "", "resources": []} | json_body()
        problems = self._problems(organization, body)
        try:
            expires_at = expiry(body.get("expires_at"), self._now())
        except ValueError:
            problems["expires_at"] = "must be a date and time in the future"
        if problems:
            return json_answer(400, message=BODY_IS_INVALID, errinfo=problems)
        if len(self._tokens_of(organization)) >= self.organizations[organization].quota:
            return json_answer(400, message="access token limit reached", errinfo={})
        token = self.add_organization_token(
            organization,
            text(body, "label"),
            resources=_resources(body),
            expires_at=expires_at,
            created_by=self.username,
            description=text(body, "description"),
        )
        token.creator_ua = request.user_agent.string
        return json_answer(201, **made_body(token))

    def _problems(self, organization: str, body: Mapping[str, Any]) -> dict[str, str]:
        """Tell what is wrong with the fields that are there."""
        problems = {}
        if "label" in body and not 1 <= len(text(body, "label")) <= 100:
            problems["label"] = "must be 1 to 100 characters"
        if not isinstance(body.get("description", ""), str):
            problems["description"] = "must be a text"
        if not isinstance(body.get("is_active", True), bool):
            problems["is_active"] = "must be true or false"
        if "resources" in body and not _are_resources(body["resources"]):
            problems["resources"] = "must be a list of resources with a type, a path and valid scopes"
        elif not all(self._has_path(organization, resource) for resource in _resources(body)):
            problems["resources"] = "must be repositories that exist"
        return problems

    def _has_path(self, organization: str, resource: Resource) -> bool:
        """Tell whether a resource is of this organization, and exists."""
        if resource.type == "TYPE_ORG":
            return resource.path == organization
        return resource.path in (f"{organization}/*", EVERYTHING_PUBLIC) or self._is_of(resource.path, organization)

    def _list_organization_tokens(self, organization: str) -> Response:
        self._require_role(organization)
        tokens = self._tokens_of(organization)
        return page_of(tokens, listed_body, self.max_page_size, {"total": len(tokens)})

    def _get_organization_token(self, organization: str, uuid: str) -> Response:
        self._require_role(organization)
        return json_answer(200, **token_body(self._existing_organization_token(organization, uuid)))

    def _patch_organization_token(self, organization: str, uuid: str) -> Response:
        self._require_role(organization)
        token = self._existing_organization_token(organization, uuid)
        if token.expired(self._now()):
            # It "can only be deleted": https://docs.docker.com/security/access-tokens/. In what words is not known.
            return json_answer(400, message="access token is expired", errinfo={})
        body = json_body()
        if problems := self._problems(organization, body):
            return json_answer(400, message=BODY_IS_INVALID, errinfo=problems)
        token.label = body.get("label", token.label)
        token.description = body.get("description", token.description)
        token.active = body.get("is_active", token.active)
        token.resources = _resources(body) or token.resources
        return json_answer(200, **token_body(token))

    def _delete_organization_token(self, organization: str, uuid: str) -> Response:
        self._require_role(organization)
        del self.tokens[self._existing_organization_token(organization, uuid).uuid]
        return Response(status=204)


def _are_resources(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(_is_resource(resource) for resource in value)


def _is_resource(value: object) -> bool:
    """Tell whether this is a resource as the document has it."""
    if not isinstance(value, dict) or value.get("type") not in list(SCOPES) or not isinstance(value.get("path"), str):
        return False
    scopes = value.get("scopes")
    return isinstance(scopes, list) and bool(scopes) and all(scope in list(SCOPES[value["type"]]) for scope in scopes)


def _resources(body: Mapping[str, Any]) -> tuple[Resource, ...]:
    return tuple(Resource(it["type"], it["path"], tuple(it["scopes"])) for it in body.get("resources", ()))


def _common(token: OrganizationToken) -> dict[str, object]:
    """Return what is told of a token always."""
    return {
        "id": token.uuid,
        "label": token.label,
        "is_active": token.active,
        "created_at": rfc3339(token.created_at, "seconds"),
        "expires_at": token.expires_at and rfc3339(token.expires_at),
        "last_used_at": token.last_used and rfc3339(token.last_used, "seconds"),
    }


def listed_body(token: OrganizationToken) -> dict[str, object]:
    """Return what the list tells of a token: not what it may do."""
    return _common(token) | {"created_by": token.created_by}


def token_body(token: OrganizationToken) -> dict[str, object]:
    """Return what is told of one token, when it is asked for or was changed."""
    return listed_body(token) | {"resources": [resource.body() for resource in token.resources]}


def made_body(token: OrganizationToken) -> dict[str, object]:
    """Return what is told of a token once, when it is made: its value as well, and not who has made it."""
    described = {"description": token.description} if token.description else {}
    resources = [resource.body() for resource in token.resources]
    return _common(token) | {"token": token.value, "resources": resources} | described
