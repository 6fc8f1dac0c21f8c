"""What an answer says: is it Docker Hub's, is it of the expected shape, what does it hold. Asks nobody.

Gateways, firewalls and outages speak JSON and plain text, too. Taken at its word, the 404 of one would be a token
retired or a list that ends, its 401 or 403 a dead token or a wrong password. So a refusal counts only in a form that is
Docker Hub's own: `Answer.refusal_is_known` decides that for everybody.

API reference: https://docs.docker.com/reference/api/hub/latest/. Where the Hub is known to answer otherwise than
documented, the code says so.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from math import nan
from typing import Any

from dockerhub_rotation.errors import AnswerUnknown, DockerHubRefused, DockerHubUnavailable

# No request limit of Docker Hub lasts longer than hours; whoever tells of more is not understood.
_MAX_SECONDS_TO_WAIT = 86_400


@dataclass(frozen=True)
class Names:
    """How the API calls what a token has, and how many there are: each kind of token has names of its own."""

    uuid: str
    label: str
    last_used: str
    count: str


# https://docs.docker.com/reference/api/hub/latest/#tag/access-tokens
PERSONAL = Names(uuid="uuid", label="token_label", last_used="last_used", count="count")

# So begins the label of every token that was made here.
OURS = "dockerhub-rotation/"

# For a refusal for which no reason is known.
CHECK_URLS = "Check the DOCKERHUB_ URLs; if they are right, please report this line."


@dataclass(frozen=True)
class Token:
    """A token as the Hub lists it: everything but its value.

    Attributes:
        active: None if the Hub does not say; nobody may act on that, but it need not matter either.
        created_at: None if the Hub does not say.
        expires_at: None if it does not expire.
        scopes: what it may do; None if the list does not say.
        last_used: when somebody last logged in with it, as far as the Hub says.
    """

    uuid: str
    label: str
    active: bool | None
    created_at: datetime | None
    expires_at: datetime | None = None
    scopes: frozenset[str] | None = None
    last_used: datetime | None = None

    def is_called(self, uuid: str) -> bool:
        """Tell whether this is the token of a uuid, which may be written in either case."""
        return self.uuid.lower() == uuid.lower()

    def expired(self, now: float) -> bool:
        """Tell whether its own end has come, at a time in seconds since 1970."""
        return self.expires_at is not None and self.expires_at.timestamp() <= now


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
        """Whether the request was granted, if the answer is Docker Hub's."""
        return 200 <= self.status < 300

    @property
    def refusal_is_known(self) -> bool:
        """Whether this is a refusal in a form that is Docker Hub's own.

        It has `message` beside `errinfo`, or `detail`; the token service has `details`, the registry `errors`
        (https://distribution.github.io/distribution/spec/api/#errors). A `message` alone is a gateway's.
        """
        said = self.json
        return (
            self.status >= 400
            and isinstance(said, dict)
            and "title" not in said  # https://www.rfc-editor.org/rfc/rfc9457 has `detail`, too
            and ({"message", "errinfo"} <= said.keys() or bool({"detail", "details", "errors"} & said.keys()))
        )

    @property
    def gone(self) -> bool:
        """Whether Docker Hub says that there is no such thing."""
        return self.status == 404 and self.refusal_is_known

    @cached_property
    def json(self) -> Any:
        """What it says in JSON, or None. Read once, for a page of the list is long."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):  # the latter for what is nested too deep
            return None

    def object(self) -> dict[str, Any]:
        """Return the JSON object that it is.

        Raises:
            DockerHubUnavailable: it is none.
        """
        answer = self.json
        if not isinstance(answer, dict):
            raise self.unexpected()
        return answer

    def says(self, key: str) -> Any:
        """Return what it says under a key, or None if it is no JSON object or does not have it."""
        answer = self.json
        return answer.get(key) if isinstance(answer, dict) else None

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
        answer = self.json
        if not isinstance(answer, dict):
            return self.body.decode(errors="replace").lower()
        return " ".join(str(answer.get(key, "")) for key in ("message", "detail", "details", "errors")).lower()

    def refuses_login(self, *statuses: int) -> bool:
        """Tell whether Docker Hub has refused a login with one of these.

        Raises:
            AnswerUnknown: somebody has, but not in a form that is Docker Hub's.
        """
        if self.status not in statuses:
            return False
        if not self.refusal_is_known:
            raise self.unknown()
        return True

    def error(self, remedy: str) -> DockerHubRefused | DockerHubUnavailable | AnswerUnknown:
        """Return the error for an answer that is not the one that was hoped for, to be raised."""
        if self.status < 400:
            return self.unexpected()  # a redirect
        if not self.refusal_is_known:
            return self.unknown()
        return DockerHubRefused(f"{self.what}: Docker Hub answered {self.status}. {remedy}")

    def unknown(self) -> AnswerUnknown:
        """Return the error for a refusal that may be anybody's, to be raised. Names the body's keys, never values."""
        said = self.json
        if isinstance(said, dict):
            keys = ", ".join(sorted(key for key in said if re.fullmatch("[A-Za-z_][A-Za-z0-9_-]{0,31}", key))[:8])
            body = f"a JSON object with {keys or 'no key that could be shown'}"
        else:
            body = "other JSON" if said is not None else "no JSON" if self.body else "nothing"
        return AnswerUnknown(
            f"{self.what}: the answer {self.status} holds {body}, which is no refusal of Docker Hub as it is known, so "
            "it is taken neither for one nor for an outage. Look for a proxy, firewall or gateway in between, and at "
            "DOCKERHUB_API_URL, DOCKERHUB_AUTH_URL and DOCKERHUB_REGISTRY_URL; if there is none, please report this "
            "line."
        )

    def unexpected(self) -> DockerHubUnavailable:
        """Return the error for an answer that is not Docker Hub's, to be raised."""
        return DockerHubUnavailable(
            f"{self.what}: the answer is not Docker Hub's API. Check DOCKERHUB_API_URL, DOCKERHUB_AUTH_URL and "
            "any proxy."
        )


def uuid(answer: Answer, item: Mapping[str, Any], names: Names = PERSONAL) -> str:
    """Return a token's uuid, which becomes part of a path and of messages."""
    value = item.get(names.uuid)
    if not isinstance(value, str) or not re.fullmatch("[0-9A-Za-z-]{1,64}", value):
        raise answer.unexpected()
    return value


def tokens(answer: Answer, names: Names) -> list[Token]:
    """Read a page of the list of tokens, without entries that nothing could be done about.

    Raises:
        DockerHubUnavailable: it is none, or an entry that carries a label of ours can't be read.
    """
    results = answer.object().get("results")
    if not isinstance(results, list):
        raise answer.unexpected()
    found = []
    for item in results:
        label = item.get(names.label) if isinstance(item, dict) else None
        if isinstance(label, str) and label.startswith(OURS):
            found.append(token(answer, item, names))
        else:  # somebody else's odd token must not keep ours from being rotated
            with suppress(DockerHubUnavailable):
                found.append(token(answer, item, names))
    return found


def token(answer: Answer, item: object, names: Names) -> Token:
    """Read a token.

    Raises:
        DockerHubUnavailable: it is none, or has no uuid.
    """
    if not isinstance(item, dict):
        raise answer.unexpected()
    label, active, scopes = item.get(names.label), item.get("is_active"), item.get("scopes")
    return Token(
        uuid=uuid(answer, item, names),
        label=label if isinstance(label, str) else "",
        active=active if isinstance(active, bool) else None,
        created_at=_time(item.get("created_at")),
        expires_at=_time(item.get("expires_at")),
        scopes=frozenset(scope for scope in scopes if isinstance(scope, str)) if isinstance(scopes, list) else None,
        last_used=_time(item.get(names.last_used)),
    )


def _time(value: object) -> datetime | None:
    """Return a time, or None: without a zone it could be hours off, and the year 1 stands for no time at all.

    Nor is one that lies outside the calendar in UTC: nobody could say it.
    """
    try:
        read = datetime.fromisoformat(value) if isinstance(value, str) else None
        return read.astimezone(UTC) if read is not None and read.tzinfo is not None and read.year > 1 else None
    except (ValueError, OverflowError):
        return None


def second_factor_token(answer: Answer) -> str | None:
    """Return what the second step of a login is to be sent with, or None if no second step is asked for."""
    if answer.status != 401:
        return None
    value = answer.says("login_2fa_token")
    return value if isinstance(value, str) and value else None


def seconds_to_wait(answer: Answer, now: float) -> float:
    """Return how long the request limit lasts, or 0 if the answer does not say so in a way that can be meant.

    Seconds and unix time have been seen under both of the first names, https://github.com/docker/hub-feedback/issues/2459;
    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after also has a date. When the limit begins anew is a second
    choice: https://docs.docker.com/reference/api/hub/latest/#tag/rate-limiting.

    Args:
        now: Docker Hub's time, in seconds since 1970.
    """
    for name in ("retry-after", "x-retry-after", "x-ratelimit-reset"):
        seconds = _seconds_until(answer.headers.get(name, ""), now)
        if 0 <= seconds <= _MAX_SECONDS_TO_WAIT:
            return seconds
    return 0.0


def _seconds_until(told: str, now: float) -> float:
    """Return the seconds that are told as such, as unix time or as a date; if they are not, what is out of range."""
    try:
        value = float(told)
    except ValueError:
        moment = _http_date(told)
        return nan if moment is None else moment - now
    return value - now if value > 1e9 else value


def requests_left(answer: Answer) -> int | None:
    """Return how many requests are left in the current minute, or None if it does not say."""
    remaining = answer.headers.get("x-ratelimit-remaining", "")
    return int(remaining) if re.fullmatch("[0-9]{1,9}", remaining) else None


def date(answer: Answer) -> float | None:
    """Return Docker Hub's time, in whole seconds since 1970, or None if the answer does not tell."""
    return _http_date(answer.headers.get("date", ""))


def _http_date(text: str) -> float | None:
    """Return a date of https://www.rfc-editor.org/rfc/rfc9110#http.date in seconds since 1970, or None."""
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
