"""The tokens, as Docker Hub keeps them. Times are aware and in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

# What a token of each scope may ask the registry for; asking for more is refused, not trimmed.
# https://docs.docker.com/reference/api/hub/latest/ and https://github.com/docker/cli/pull/4511
ACTIONS: Mapping[str, frozenset[str]] = {
    "repo:public_read": frozenset({"pull"}),
    "repo:read": frozenset({"pull"}),
    "repo:write": frozenset({"pull", "push"}),
    "repo:admin": frozenset({"pull", "push", "delete"}),
}


@dataclass(kw_only=True)
class Token:
    """A personal access token of the account; an `OrganizationToken` is one of an organization."""

    uuid: str
    label: str
    scopes: tuple[str, ...] = ()
    value: str = field(repr=False)
    created_at: datetime
    active: bool = True
    expires_at: datetime | None = None
    last_used: datetime | None = None
    generated_by: str = "manual"
    creator_ua: str = ""

    def expired(self, now: datetime) -> bool:
        """Whether the token's own expiry date has come."""
        return self.expires_at is not None and self.expires_at <= now


class Resource(NamedTuple):
    """What a token of an organization may do with what: one entry of its `resources`."""

    type: str
    path: str
    scopes: tuple[str, ...]

    def body(self) -> dict[str, Any]:
        """Return it as the API tells it."""
        return {"type": self.type, "path": self.path, "scopes": list(self.scopes)}


@dataclass(kw_only=True)
class OrganizationToken(Token):
    """An organization access token. Its `uuid` is what the API calls `id`, and it has `resources` instead of scopes.

    Attributes:
        organization: the organization's name, under which it logs in.
        created_by: the user name of whoever has made it.
    """

    organization: str
    resources: tuple[Resource, ...]
    created_by: str
    description: str = ""
