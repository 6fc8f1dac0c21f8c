"""What a login's JWT claims: who has logged in, with which token, and what is granted. Asks nobody."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Identity:
    """What Docker Hub says of whoever has logged in; None where it says nothing.

    Attributes:
        username: the account.
        token_uuid: the token that was used.
        scopes: what the token may do.
    """

    username: str | None
    token_uuid: str | None
    scopes: frozenset[str] | None


def read(jwt: str) -> dict[str, Any]:
    """Return a JWT's claims, or none if it has no readable ones.

    Its signature is not checked: it came over TLS from the service that made it, in answer to our own login.
    """
    try:
        payload = jwt.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def identity(claims: Mapping[str, Any]) -> Identity:
    """Read a Hub login's claims, as published in https://github.com/mongodb/kingfisher/issues/202.

    Those of a login with an organization's token are not; its source is believed to be called like this, too:
    https://github.com/docker/cli/blob/master/cli/internal/oauth/jwt.go.
    """
    hub = claims.get("https://hub.docker.com")
    hub = hub if isinstance(hub, dict) else {}
    username, source, scope = hub.get("username"), hub.get("source"), claims.get("scope")
    kind, _, token_uuid = source.partition("|") if isinstance(source, str) else ("", "", "")
    return Identity(
        username=username if isinstance(username, str) and username else None,
        token_uuid=token_uuid
        if kind in ("docker_pat", "docker_oat") and re.fullmatch("[0-9A-Za-z-]{1,64}", token_uuid)
        else None,
        scopes=frozenset(scope.split()) if isinstance(scope, str) and scope else None,
    )


def granted(claims: Mapping[str, Any], repository: str) -> frozenset[str]:
    """Return the actions on a repository that a registry token's claims grant.

    https://distribution.github.io/distribution/spec/auth/jwt/
    """
    access = claims.get("access")
    return frozenset(
        action
        for entry in (access if isinstance(access, list) else [])
        if isinstance(entry, dict) and entry.get("name") == repository
        for action in (entry["actions"] if isinstance(entry.get("actions"), list) else [])
        if isinstance(action, str)
    )
