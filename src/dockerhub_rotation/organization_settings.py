"""What is set of organizations whose tokens are made: their names, what a first token may do, how many may be there."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# https://github.com/distribution/reference/blob/main/reference.go: the first part of a repository's name
_NAME = r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*"
# A repository, a glob of those of a namespace, or every public one:
# https://docs.docker.com/reference/api/hub/latest/#tag/org-access-tokens
_PATHS = {
    "TYPE_REPO": re.compile(rf"{_NAME}/(?:\*|{_NAME}\*?)|\*/\*/public"),
    "TYPE_ORG": re.compile(_NAME),
}
# https://docs.docker.com/security/access-tokens/
_SCOPE = re.compile(r"scope(?:-[a-z_]+)+")
_MOST = 100_000


@dataclass(frozen=True)
class Resource:
    """What a token may do, and where.

    Attributes:
        type: TYPE_REPO or TYPE_ORG.
        path: of a repository, or of several; of TYPE_ORG, the organization.
        scopes: what it may do there.
    """

    type: str
    path: str
    scopes: frozenset[str]

    @classmethod
    def read(cls, item: object) -> "Resource":
        """Return the resource that an object of JSON is. Whatever else it tells is left out.

        Raises:
            ValueError: it is none.
        """
        told = item if isinstance(item, dict) else {}
        kind, path, scopes = told.get("type"), told.get("path"), told.get("scopes")
        if not (isinstance(kind, str) and isinstance(path, str) and isinstance(scopes, list) and scopes):
            raise ValueError
        if not all(isinstance(scope, str) for scope in scopes):
            raise ValueError
        return cls(kind, path, frozenset(scopes))

    def document(self) -> dict[str, Any]:
        """Return it as the API takes it."""
        return {"type": self.type, "path": self.path, "scopes": sorted(self.scopes)}

    def belongs_to(self, organization: str) -> bool:
        """Tell whether it is about an organization, or about nobody's in particular."""
        return self.path.partition("/")[0] in (organization, "*")


def may_pull(organization: str) -> tuple[Resource, ...]:
    """Return what a first token may do if nothing else is set: pull from every repository of the organization."""
    return (Resource("TYPE_REPO", f"{organization}/*", frozenset({"scope-image-pull"})),)


def names(text: str) -> tuple[str, ...]:
    """Return names of organizations, as they are written with commas or spaces between them.

    Raises:
        ValueError: they are none.
    """
    found = tuple(dict.fromkeys(text.replace(",", " ").split()))
    if not found or not all(re.fullmatch(_NAME, name) for name in found):
        raise ValueError("must be names of organizations, as the paths of their repositories begin")
    return found


def resources(text: str) -> tuple[Resource, ...]:
    """Return what a first token may do, from JSON.

    Raises:
        ValueError: it is none.
    """
    try:
        items = json.loads(text)
        found = [Resource.read(item) for item in items] if isinstance(items, list) else []
        keys = {key for item in items for key in item} if found else set()
    except (ValueError, RecursionError):
        found, keys = [], set()
    if not found or keys != {"type", "path", "scopes"} or not all(map(_is_known, found)):
        raise ValueError(
            'must be a JSON list of objects with type (TYPE_REPO or TYPE_ORG), path and scopes, like [{"type": '
            '"TYPE_REPO", "path": "acme/*", "scopes": ["scope-image-pull"]}]'
        )
    return tuple(dict.fromkeys(found))


def _is_known(resource: Resource) -> bool:
    path = _PATHS.get(resource.type)
    return (
        path is not None and path.fullmatch(resource.path) is not None and all(map(_SCOPE.fullmatch, resource.scopes))
    )


def strangers(resources: Iterable[Resource], organizations: Iterable[str]) -> list[str]:
    """Return the paths of resources that belong to none of the organizations."""
    known = tuple(organizations)
    return [resource.path for resource in resources if not any(map(resource.belongs_to, known))]


def quota(text: str) -> int:
    """Return how many tokens an organization may have.

    Raises:
        ValueError: it is no such number.
    """
    if not re.fullmatch("[0-9]{1,6}", text) or not 1 <= int(text) <= _MOST:
        raise ValueError(f"must be a number of tokens from 1 to {_MOST}")
    return int(text)
