"""What an answer says: is it Docker Hub's, is it of the expected shape, what does it hold. Asks nobody.

API reference: https://docs.docker.com/reference/api/hub/latest/. Where the Hub is known to answer otherwise than
documented, the code says so.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dockerhub_rotation.errors import DockerHubRefused, DockerHubUnavailable


@dataclass(frozen=True)
class Token:
    """A personal access token as the Hub lists it: everything but its value.

    Attributes:
        created_at: None if the Hub does not say.
        used: whether anybody has ever logged in with it, as far as the Hub says.
    """

    uuid: str
    label: str
    active: bool
    created_at: datetime | None
    used: bool = False


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


@dataclass(frozen=True)
class Answer:
    """What came back for a request.

    Attributes:
        what: what was asked for, as messages call it.
        headers: by their names in lower case.
        body: read whole, unpacked.
    """

    what: str
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def success(self) -> bool:
        """Whether Docker Hub has done what was asked."""
        return 200 <= self.status < 300

    @property
    def page(self) -> bool:
        """Whether it is a web page, as a proxy or firewall answers, and so says nothing of what Docker Hub thinks."""
        return bool(self.body) and self.headers.get("content-type", "").startswith("text/html")

    def json(self) -> Any:
        """Return what it says in JSON, or None."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):  # the latter for what is nested too deep
            return None

    def object(self) -> dict[str, Any]:
        """Return the JSON object that it is.

        Raises:
            DockerHubUnavailable: it is none.
        """
        answer = self.json()
        if not isinstance(answer, dict):
            raise self.unexpected()
        return answer

    def text(self, key: str) -> str:
        """Return a text of the JSON object that it is, fit for a header.

        Raises:
            DockerHubUnavailable: there is none.
        """
        value = self.object().get(key)
        if not isinstance(value, str) or not value or not value.isascii() or not value.isprintable():
            raise self.unexpected()
        return value

    def said(self) -> str:
        """Return what an error says, in lower case, to be looked at and not to be shown.

        It is under `message`, `detail` or, at the token service, `details`; abuse limits answer in plain text.
        """
        answer = self.json()
        if not isinstance(answer, dict):
            return self.body.decode(errors="replace").lower()
        return " ".join(str(answer.get(key, "")) for key in ("message", "detail", "details", "errors")).lower()

    def refuses_login(self, *statuses: int) -> bool:
        """Tell whether a login was refused with one of these.

        Raises:
            DockerHubUnavailable: by the page of a proxy or firewall, and not by Docker Hub.
        """
        if self.status not in statuses:
            return False
        if self.page:
            raise self.unexpected()
        return True

    def error(self, remedy: str) -> DockerHubRefused | DockerHubUnavailable:
        """Return the error for an answer that is not the one that was hoped for, to be raised."""
        if self.status < 400:
            return self.unexpected()  # a redirect
        return DockerHubRefused(f"{self.what}: Docker Hub answered {self.status}. {remedy}")

    def unexpected(self) -> DockerHubUnavailable:
        """Return the error for an answer that is not Docker Hub's, to be raised."""
        return DockerHubUnavailable(
            f"{self.what}: the answer is not Docker Hub's API. Secrets Manager tries again by itself; check "
            "DOCKERHUB_API_URL, DOCKERHUB_AUTH_URL and any proxy."
        )


def uuid(answer: Answer, item: Mapping[str, Any]) -> str:
    """Return a token's uuid, which becomes part of a path and of messages."""
    value = item.get("uuid")
    if not isinstance(value, str) or not re.fullmatch("[0-9A-Za-z-]{1,64}", value):
        raise answer.unexpected()
    return value


def token(answer: Answer, item: object) -> Token:
    """Read an entry of the list of tokens."""
    if not isinstance(item, dict):
        raise answer.unexpected()
    try:
        created_at = datetime.fromisoformat(item["created_at"])
    except (KeyError, TypeError, ValueError):
        created_at = None
    if created_at is not None and created_at.tzinfo is None:
        created_at = None
    label, active = item.get("token_label"), item.get("is_active")
    if not isinstance(active, bool):
        raise answer.unexpected()  # taken for disabled, an active token would be left alone
    return Token(
        uuid=uuid(answer, item),
        label=label if isinstance(label, str) else "",
        active=active,
        used=bool(item.get("last_used")),
        created_at=created_at,
    )


def second_factor_token(answer: Answer) -> str | None:
    """Return what the second step of a login is to be sent with, or None if no second step is asked for."""
    if answer.status != 401:
        return None
    said = answer.json()
    value = said.get("login_2fa_token") if isinstance(said, dict) else None
    return value if isinstance(value, str) and value else None


def seconds_to_wait(answer: Answer, now: float) -> float:
    """Return how long the request limit lasts, or 0. Both names and both units, seconds and unix time, have been seen.

    https://github.com/docker/hub-feedback/issues/2459

    Args:
        now: seconds since 1970.
    """
    for name in ("retry-after", "x-retry-after"):
        try:
            value = float(answer.headers[name])
        except (KeyError, ValueError):
            continue
        return max(0.0, value - now if value > 1e9 else value)
    return 0.0


def requests_left(answer: Answer) -> int | None:
    """Return how many requests are left in the current minute, or None if it does not say."""
    remaining = answer.headers.get("x-ratelimit-remaining", "")
    return int(remaining) if re.fullmatch("[0-9]{1,9}", remaining) else None


def claims(jwt: str) -> dict[str, Any]:
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
    """Read a Hub login's claims, as published in https://github.com/mongodb/kingfisher/issues/202."""
    hub = claims.get("https://hub.docker.com")
    hub = hub if isinstance(hub, dict) else {}
    username, source, scope = hub.get("username"), hub.get("source"), claims.get("scope")
    kind, _, token_uuid = source.partition("|") if isinstance(source, str) else ("", "", "")
    return Identity(
        username=username if isinstance(username, str) and username else None,
        token_uuid=token_uuid if kind == "docker_pat" and token_uuid else None,
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
