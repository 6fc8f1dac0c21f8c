"""What the measurements of one run work with: the function's client, watched, and the one token."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from dockerhub_rotation.deadline import Deadline
from dockerhub_rotation.docker_hub import Connection, answers, tokens_of
from dockerhub_rotation.docker_hub.answers import Answer
from dockerhub_rotation.docker_hub.http import Http
from dockerhub_rotation.docker_hub.management_login import ManagementLogin, Remembered
from dockerhub_rotation.docker_hub.token_login import TokenLogin
from dockerhub_rotation.errors import DockerHubUnavailable, LockedOut, LoginsUsedUp
from dockerhub_rotation.organization_settings import Resource
from dockerhub_rotation.parameters import Accounts
from dockerhub_rotation.preflight.findings import Findings
from dockerhub_rotation.settings import SCOPES, Settings

LABEL = "dockerhub-rotation/preflight/"
# The least that an organization's token may do, and of use to nobody: what anybody may.
_PULL_PUBLIC = Resource("TYPE_REPO", "*/*/public", frozenset({"scope-image-pull"}))
# How the API calls what an organization's token has, by what it calls the same of a personal one.
_NAMES = {"id": "uuid", "label": "token_label", "last_used_at": "last_used"}
PAGE_SIZE = 100

# What no rotation of an organization's token relies on: its login may tell, and need not.
_NOT_OF_ORGANIZATIONS = ("token-login-names-token", "token-login-names-account")

MAX_REFUSED_LOGINS = 2
_LOGINS = ("/v2/auth/token", "/v2/users/login", "/v2/users/2fa-login", "/token")

BOUND_SECONDS = 60
_PAUSES_SECONDS = (0, 1, 2, 4, 8, 15, 30)


class Watched(Http):
    """The function's requests. No login is made any more once two were refused, whoever wants to, and none is repeated.

    Attributes:
        login: the latest answer to a login of any kind, or None.
        refused_logins: how many were refused, or may have been: the answer was lost.
        password_is_taken: whether the management login was let in. It may be made anew then, to delete the token.
    """

    login: Answer | None = None
    refused_logins = 0
    password_is_taken = False

    def send(self, what: str, method: str, url: str, **options: Any) -> Answer:
        """Do as `Http.send`, and raise what it raises.

        Raises:
            LoginsUsedUp: it would be a login too many; it was not made.
        """
        is_login = url.endswith(_LOGINS)
        is_renewed = self.password_is_taken and what.startswith("The management login")
        if is_login and self.refused_logins >= MAX_REFUSED_LOGINS and not is_renewed:
            raise LoginsUsedUp(
                f"{what}: {MAX_REFUSED_LOGINS} logins were refused in this run, which makes no more, as they can lock "
                "the user name."
            )
        if not is_login:
            return super().send(what, method, url, **options)
        try:
            answer = super().send(what, method, url, **options | {"tries": 1})
        except (LockedOut, DockerHubUnavailable):
            self.refused_logins += 1  # what became of it is not known
            raise
        self.login = answer
        self.refused_logins += 400 <= answer.status < 500 and answers.second_factor_token(answer) is None
        return answer


@dataclass(frozen=True)
class Made:
    """The token, as the answer to its making has it.

    Attributes:
        told: what the answer says of it beside its value.
    """

    uuid: str
    value: str = field(repr=False)
    told: dict[str, Any] = field(repr=False)


class Bench:
    """What the measurements of one run work with.

    Args:
        accounts: whose tokens are looked at.
        connection: the sandbox's. A login that it remembers is made anew, for a login is what is measured.

    Attributes:
        settings: the function's, for the least token there is.
        username: with which the token logs in.
        path: of the tokens that are measured, at the Hub API.
        asked: what the token is made with, beside its end.
        label: of the token; names the run.
        begun: whether making the token was begun, so that there may be one.
        made: the token, if there is one.
        gone: whether it is known to be deleted.
    """

    def __init__(self, settings: Settings, accounts: Accounts, connection: Connection, deadline: Deadline) -> None:
        self.account = accounts.account()
        login = "users-login" if self.account.totp_seed else settings.login  # the only one that takes a code
        self.settings = replace(settings, scopes=SCOPES[:1], login=login)
        organization = settings.organization
        self.username = organization or self.account.username
        self.path = f"/v2/orgs/{organization}/access-tokens" if organization else "/v2/access-tokens"
        self.deadline = deadline
        also = {"expiry"} if settings.expiry is not None else set()
        self.findings = Findings(also, () if organization is None else _NOT_OF_ORGANIZATIONS)
        self.http = Watched(connection.pool, deadline)
        connection.management.login = None
        self.management = ManagementLogin(self.settings, accounts, self.http, connection.management, deadline)
        self.tokens = tokens_of(self.management, self.settings)
        self.login = TokenLogin(self.settings, self.http, {})
        self.label = f"{LABEL}{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
        self.asked: dict[str, Any] = {"token_label": self.label, "scopes": list(self.settings.scopes)}
        if organization is not None:
            self.asked = {"label": self.label, "resources": [_PULL_PUBLIC.document()]}
        self.begun = False
        self.made: Made | None = None
        self.gone = False
        self._accounts = accounts
        self._last_code = connection.management

    def other_login(self) -> ManagementLogin:
        """Return the management login that is not configured."""
        other = replace(self.settings, login="auth-token" if self.settings.login == "users-login" else "users-login")
        # It may need a code as well, and no code works twice.
        remembered = Remembered(last_code=self._last_code.last_code)
        return ManagementLogin(other, self._accounts, self.http, remembered, self.deadline)

    @property
    def token(self) -> Made:
        """The token, to be asked for only where there is one."""
        if self.made is None:
            raise AssertionError("unreachable")
        return self.made

    def ask(self, what: str, method: str, **request: Any) -> Answer:
        """Make a request for the token, with the management login."""
        return self.management.send(what, method, f"{self.path}/{self.token.uuid}", **request)

    def labelled(self, label: str) -> dict[str, str]:
        """Return a change of the token's label."""
        return {"token_label" if "token_label" in self.asked else "label": label}

    def is_owner(self, username: str) -> bool:
        """Tell whether a user name is the one with which the token logs in."""
        return username.lower() == self.username.lower()

    def keeps_rights(self, made: dict[str, Any]) -> bool:
        """Tell whether a token is told to may do what it was asked for."""
        if "scopes" in self.asked:
            return made.get("scopes") is not None and set(made["scopes"]) == set(self.asked["scopes"])
        try:
            return [Resource.read(item) for item in made["resources"]] == [_PULL_PUBLIC]
        except (KeyError, TypeError, ValueError):
            return False

    def page(self, number: int, size: int = PAGE_SIZE) -> Answer:
        """Return a page of the list."""
        return self.management.send("Listing the tokens", "GET", self.path, params={"page": number, "page_size": size})

    def pages(self, size: int = PAGE_SIZE) -> Iterator[Answer]:
        """Yield the pages of the list, up to the one that names no next.

        Raises:
            DockerHubUnavailable: one is none.
        """
        for number in range(1, 1_000):
            page = self.page(number, size)
            if not page.success:
                raise page.error(answers.CHECK_URLS)
            yield page
            if not page.says("next"):
                return

    def listed(self) -> dict[str, Any] | None:
        """Return what the list says of the token, or None if it is not there."""
        for page in self.pages():
            for item in items(page):
                if item["uuid"] == self.token.uuid:
                    return item
        return None

    def seconds_until(self, is_so: Callable[[], bool]) -> int | None:
        """Return after how many seconds something was so, at least; None if it was not in the time there is for it.

        Raises:
            OutOfTime: the time that the caller has is over before.
        """
        waited = 0
        for pause in _PAUSES_SECONDS:
            if pause:
                self.deadline.wait(pause, "A measurement waits")
            waited += pause
            if is_so():
                return waited
        return None


def items(page: Answer) -> list[dict[str, Any]]:
    """Return the tokens on a page of the list, as `told` has them, as far as they have a uuid."""
    results = page.object().get("results")
    if not isinstance(results, list):
        raise page.unexpected()
    return [item for item in map(told, results) if isinstance(item.get("uuid"), str)]


def told(item: object) -> dict[str, Any]:
    """Return what is told of a token, by the names that a personal one's have."""
    if not isinstance(item, dict):
        return {}
    return item | {name: item[key] for key, name in _NAMES.items() if key in item and name not in item}


def not_seen(what: str) -> str:
    """Say that something has not come."""
    return f"{what}: not seen in {BOUND_SECONDS} s"


def after(seconds: int) -> str:
    """Say when something was so."""
    return "at once" if seconds == 0 else f"after {seconds} s"
