"""The Docker Hub client: the only module that speaks HTTP to Docker Hub.

API reference: https://docs.docker.com/reference/api/hub/latest/. Where the Hub is known to behave otherwise than
documented, the code says so.

Two kinds of login, never to be mixed up: the *management login* (the account's password) makes, changes and deletes
tokens; *logging in with a token* is what consumers do, and tells whether a token works and which one it is.
"""

import base64
import hmac
import json
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, NoReturn

import httpx

from dockerhub_rotation import __version__
from dockerhub_rotation.deadline import Deadline
from dockerhub_rotation.errors import (
    CredentialRefused,
    DockerHubRefused,
    DockerHubUnavailable,
    LockedOut,
    LoginRefused,
    OutOfTime,
    RateLimited,
    RotationError,
)
from dockerhub_rotation.parameters import Account, Parameters
from dockerhub_rotation.settings import Settings

_CONNECT_SECONDS = 5.0
# A host's addresses are tried one after the other, each for so long: this many fit into half of the time left.
_ADDRESSES = 8
_READ_SECONDS = 10.0
_TRIES = 4
_PAGE_SIZE = 100
_SECONDS_TO_STORE_A_TOKEN = 10
_TOTP_SECONDS = 30
# A management login is renewed when this little of it is left: enough for a request.
_LOGIN_MARGIN_SECONDS = 60
# How long failed logins count towards a lockout is not published; a lockout takes 10 to 15 minutes.
_REFUSED_SECONDS = 900
# What would come together is spread over this at most.
_MAX_JITTER_SECONDS = 60
# Assumed where a login does not say when it ends; the shortest that is documented is ten minutes.
_LOGIN_SECONDS = 300

_TOKENS_MANAGE_NO_TOKENS = (
    "Parameter {password} holds an access token, and Docker Hub lets no token make or change tokens. Store the "
    "account's password there. An account for which single sign-on is enforced has no password: rotate the tokens of "
    "an account without it (a machine account)."
)
_SSO_ENFORCED = (
    "Docker Hub enforces single sign-on for this account, and such an account has no password with which tokens could "
    "be made. Rotate the tokens of an account without single sign-on (a machine account): put its name and password "
    "into parameters {username} and {password}."
)
_ORGANIZATION = (
    "Parameter {username} names an organization, and an organization has no password. Store the user name and "
    "password of an account that may pull what is needed."
)
_SECOND_FACTOR_MISSING = (
    "The account has two-factor login, and no seed for its codes is configured. Store its TOTP seed as a SecureString "
    "and name that parameter in DOCKERHUB_TOTP_PARAMETER."
)
_CODE_REFUSED = (
    "Docker Hub accepted the password but not the one-time code. A code works once, so rotations of several secrets of "
    "one account at the same time take turns: a later attempt may get through. This sandbox sends no other code for 15 "
    "minutes, because refused ones add up to a lockout. If none gets through, check the TOTP seed in parameter {totp}; "
    "else let the secrets rotate in different hours."
)
_LOGIN_REFUSED = (
    "Docker Hub refused the account's user name or password. Check parameters {username} and {password}. If the "
    "account has two-factor login, set DOCKERHUB_TOTP_PARAMETER; if single sign-on is enforced for it, it has no "
    "password: use an account without it (a machine account)."
)
_OTHER_ACCOUNT = (
    "Parameter {username} is not the user name of the account that its password opens (an e-mail address also logs "
    "in, but is no user name). Store the user name as Docker Hub shows it."
)
_LOCKED_OUT = (
    "Docker Hub has locked this user name for 10 to 15 minutes after too many failed logins, for every consumer too. "
    "Secrets Manager tries again by itself; look for whoever still logs in with an old token or password."
)


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
class NewToken:
    """A token just made. Its value is shown this once."""

    uuid: str
    value: str = field(repr=False)


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
class _ManagementLogin:
    """A bearer token for the Hub API, and whose it is."""

    account: Account
    bearer: str = field(repr=False)
    ends_at: float


@dataclass(frozen=True)
class _Refusal:
    """That a management login was refused: whose, when it was tried (seconds since 1970), and how that was told."""

    account: Account
    at: float
    kind: type[CredentialRefused | LockedOut]
    message: str


class Connection:
    """What outlives an invocation.

    Args:
        transport: how requests travel; None for the network. A rehearsal of many sandboxes needs another.

    Attributes:
        http: open connections.
        login: the management login.
        last_code: which one-time code was used last.
        refusal: the latest refusal of a management login.
        spread: since the request limit was used up here, over how many seconds to spread those who wait for it.
    """

    def __init__(self, transport: httpx.BaseTransport | None = None) -> None:
        self.http = httpx.Client(
            transport=transport,
            headers={"User-Agent": f"dockerhub-rotation/{__version__}"},
            # One login must not speak for another: no cookie is kept.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
        )
        self.login: _ManagementLogin | None = None
        self.last_code = -1
        self.refusal: _Refusal | None = None
        self.spread = 0.0


class DockerHub:
    """Docker Hub, for one invocation.

    Besides what their own docstrings say, all methods raise DockerHubUnavailable, DockerHubRefused, RateLimited,
    LockedOut and OutOfTime; those that manage tokens also CredentialRefused and what `Parameters.account` raises.

    Attributes:
        requests: how many requests were made.
        rate_limit_remaining: requests left in the current minute, as the Hub last said.
    """

    def __init__(self, settings: Settings, parameters: Parameters, connection: Connection, deadline: Deadline) -> None:
        self.requests = 0
        self.rate_limit_remaining: int | None = None
        self._settings = settings
        self._parameters = parameters
        self._connection = connection
        self._deadline = deadline

    @property
    def username(self) -> str:
        """The account's user name."""
        return self._parameters.account().username

    # Managing tokens

    def create_token(self, label: str) -> NewToken:
        """Make a token with the scopes of the settings.

        Never repeated unless it surely had no effect: after an error there may be a token with this label.
        """
        what = "Creating a token"
        response = self._manage(
            what,
            "POST",
            "/v2/access-tokens",
            repeatable=False,
            spare_seconds=_SECONDS_TO_STORE_A_TOKEN,
            json={"token_label": label, "scopes": list(self._settings.scopes)},
        )
        if not response.is_success:
            self._refuse(
                what,
                response,
                "The account may have reached its number of tokens (delete those that nobody uses), or its e-mail "
                "address may not be verified. Try it by hand in the account settings.",
            )
        answer = _object(what, response)
        token = NewToken(_uuid(what, answer), _text(what, answer, "token"))
        if not token.value.startswith("dckr_pat_"):
            self.delete(token.uuid)
            raise DockerHubRefused(
                f"{what}: what Docker Hub made is no personal access token as it is known (dckr_pat_...), so it is "
                "deleted again. A newer version of this function may know it."
            )
        return token

    def tokens(self, *expected: str) -> list[Token]:
        """Return every token of the account, whoever made it, in no particular order.

        A token that is deleted meanwhile moves those behind it forward, some of them to a page that has been read. So a
        list of several pages is read once more if it lacks a token that may have moved.

        Args:
            expected: labels that should be there.
        """
        tokens: dict[str, Token] = {}  # by uuid: a token that moves back is shown twice
        pages = self._read_tokens(tokens)
        if pages > 1 and not {token.label for token in tokens.values()}.issuperset(expected):
            self._read_tokens(tokens)
        return list(tokens.values())

    def _read_tokens(self, tokens: dict[str, Token]) -> int:
        """Add what the list shows; return how many pages were asked for."""
        what = "Listing the tokens"
        for page in range(1, 1_000):
            response = self._manage(what, "GET", "/v2/access-tokens", params={"page": page, "page_size": _PAGE_SIZE})
            if response.status_code == 404 and page > 1:
                break  # tokens that were deleted meanwhile have left this page empty
            if not response.is_success:
                self._refuse(what, response, "Try again later.")
            answer = _object(what, response)
            results = answer.get("results")
            if not isinstance(results, list):
                raise _unexpected(what)
            tokens |= {token.uuid: token for token in (_token(what, item) for item in results)}
            if not answer.get("next"):
                break
        return page

    def set_active(self, uuid: str, active: bool, label: str | None = None) -> None:
        """Enable or disable a token and, if asked, label it anew. Disabling one that is gone is done."""
        what = f"{'Enabling' if active else 'Disabling'} token {uuid}"
        change: dict[str, Any] = {"is_active": active} | ({} if label is None else {"token_label": label})
        response = self._manage(what, "PATCH", f"/v2/access-tokens/{uuid}", json=change)
        if response.status_code == 404 and not active:
            return
        if not response.is_success:
            self._refuse(what, response, "Do it by hand in the account settings.")
        if _object(what, response).get("is_active") is not active:
            raise _unexpected(what)  # taken at its word, a proxy's page would leave a superseded token active

    def delete(self, uuid: str) -> None:
        """Delete a token. Deleting one that is gone is done."""
        what = f"Deleting token {uuid}"
        response = self._manage(what, "DELETE", f"/v2/access-tokens/{uuid}")
        # 204 is documented; 202 has been seen.
        if not response.is_success and response.status_code != 404:
            self._refuse(what, response, "Do it by hand in the account settings.")

    # Using a token as consumers do

    def identify(self, token: str) -> Identity:
        """Log in at the Hub API with a token and return what the login says of itself.

        Raises:
            LoginRefused: the token is disabled, deleted, expired, or none at all.
        """
        what = "Logging in with the token"
        response = self._send(
            what,
            "POST",
            f"{self._settings.api_url}/v2/auth/token",
            json={"identifier": self.username, "secret": token},
        )
        if _refused(what, response, 400, 401):
            raise LoginRefused
        if not response.is_success:
            self._refuse(what, response, "Try again later.")
        return _identity(_claims(_text(what, _object(what, response), "access_token")))

    def is_account(self, identity: Identity) -> bool:
        """Tell whether a login is one of the account whose tokens are managed; a login that does not say may be."""
        return identity.username is None or identity.username.lower() == self.username.lower()

    def log_in_to_registry(self, token: str, probe: str | None) -> None:
        """Log in at the registry's token service, as `docker login` does.

        https://distribution.github.io/distribution/spec/auth/token/

        Args:
            probe: a repository for which to ask what the scopes promise and to show the answer to the registry; None to
                log in only.

        Raises:
            LoginRefused: the token is disabled, deleted, expired, or none at all.
            DockerHubRefused: the token is not granted what its scopes promise.
        """
        what = "Logging in to the registry"
        actions = _registry_actions(self._settings.scopes)
        wanted = {"scope": f"repository:{probe}:{','.join(actions)}"} if probe else {}
        response = self._send(
            what,
            "GET",
            f"{self._settings.auth_url}/token",
            params={"service": "registry.docker.io", "client_id": "dockerhub-rotation", "account": self.username}
            | wanted,
            auth=(self.username, token),
        )
        if _refused(what, response, 401, 403):
            if probe and "insufficient scopes" in _said(response):
                raise _probe_failed(probe, actions)
            raise LoginRefused
        if not response.is_success:
            self._refuse(what, response, "Try again later.")
        answer = _object(what, response)
        pass_on = _text(what, answer, "token" if "token" in answer else "access_token")
        if probe:
            self._probe(probe, actions, pass_on)

    def _probe(self, repository: str, actions: tuple[str, ...], registry_token: str) -> None:
        """Check what the registry token grants, and that the registry takes it."""
        access = _claims(registry_token).get("access")
        granted = {
            action
            for entry in (access if isinstance(access, list) else [])
            if isinstance(entry, dict) and entry.get("name") == repository
            for action in _texts(entry.get("actions"))
        }
        if not granted.issuperset(actions):
            raise _probe_failed(repository, actions)
        what = "Showing the registry its token"
        response = self._send(
            what, "GET", f"{self._settings.registry_url}/v2/", headers={"Authorization": f"Bearer {registry_token}"}
        )
        if not response.is_success:
            self._refuse(what, response, "Check DOCKERHUB_AUTH_URL and DOCKERHUB_REGISTRY_URL.")

    def wait(self, seconds: float, reason: str) -> None:
        """Wait, unless the invocation has not that long (OutOfTime)."""
        self._deadline.wait(seconds, reason)

    # The management login

    def presume_code_used(self, at: float) -> None:
        """Take the one-time code of a moment as used.

        A step in a fresh sandbox can't know of the login that an earlier step made in another. It knows when that
        step stored its result, so it waits for the next code instead of burning an attempt.

        Args:
            at: seconds since 1970.
        """
        self._connection.last_code = max(self._connection.last_code, int(at // _TOTP_SECONDS))

    def _manage(self, what: str, method: str, path: str, **request: Any) -> httpx.Response:
        """Make a request with the management login."""
        login, remembered = self._management_login()
        url = self._settings.api_url + path
        headers = {"Authorization": f"Bearer {login.bearer}"}
        response = self._send(what, method, url, headers=headers, **request)
        if response.status_code == 401 and remembered and not _is_page(response):
            # It ended before its time, as after a change of password.
            self._connection.login = None
            login, _ = self._management_login()
            headers = {"Authorization": f"Bearer {login.bearer}"}
            response = self._send(what, method, url, headers=headers, **request)
        if _is_page(response):
            raise _unexpected(what)  # taken at its word, a firewall's 404 would be a token retired or a list that ends
        if response.status_code == 403 and "token issued from" in response.text:
            self._refuse_credential(_TOKENS_MANAGE_NO_TOKENS)
        if response.status_code == 401:
            self._connection.login = None
            self._refuse(what, response, "It does not take the login that it has just made; try again later.")
        return response

    def _management_login(self) -> tuple[_ManagementLogin, bool]:
        """Return the management login, and whether it is one from before that may have ended."""
        account = self._parameters.account()
        login = self._connection.login
        if login and login.account == account and login.ends_at - time.time() > _LOGIN_MARGIN_SECONDS:
            return login, True
        self._respect_refusal(account)
        asked_at = time.time()
        try:
            bearer = self._log_in(account)
            claims = _claims(bearer)
            identity = _identity(claims)
            if identity.token_uuid is not None:
                self._refuse_credential(_TOKENS_MANAGE_NO_TOKENS)
            if not self.is_account(identity):
                self._refuse_credential(_OTHER_ACCOUNT)
        except (CredentialRefused, LockedOut) as refused:
            self._connection.refusal = _Refusal(account, asked_at, type(refused), str(refused))
            raise
        ends_at = claims.get("exp")
        if not isinstance(ends_at, int | float):
            ends_at = time.time() + _LOGIN_SECONDS
        self._connection.login = _ManagementLogin(account, bearer, ends_at)
        return self._connection.login, False

    def _log_in(self, account: Account) -> str:
        """Log in with the password and return the bearer token."""
        if account.password.startswith(("dckr_pat_", "dckr_oat_")):
            self._refuse_credential(_TOKENS_MANAGE_NO_TOKENS)
        what = "The management login"
        if self._settings.login == "auth-token":
            credential = {"identifier": account.username, "secret": account.password}
            response = self._send(what, "POST", f"{self._settings.api_url}/v2/auth/token", json=credential)
            return self._bearer(what, response, "access_token", _LOGIN_REFUSED)

        if account.totp_seed:
            self._await_unused_code()
        credential = {"username": account.username, "password": account.password}
        response = self._send(what, "POST", f"{self._settings.api_url}/v2/users/login", json=credential)
        second_factor = _second_factor_token(response)
        if second_factor is None:
            return self._bearer(what, response, "token", _LOGIN_REFUSED)
        if account.totp_seed is None:
            self._refuse_credential(_SECOND_FACTOR_MISSING)
        response = self._send_code(second_factor, account.totp_seed)
        if _refused(what, response, 400, 401, 403):
            self._fail_out_of_step()
        return self._bearer(what, response, "token", _CODE_REFUSED)

    def _respect_refusal(self, account: Account) -> None:
        """Fail if this account was refused here lately: another try would count towards the lockout of its user name.

        A password that was changed meanwhile makes it another account, and is tried at once.
        """
        refusal = self._connection.refusal
        if refusal and refusal.account == account and time.time() - refusal.at < _REFUSED_SECONDS:
            self._parameters.forget()
            if account.totp_seed:
                self._fail_out_of_step()
            raise refusal.kind(refusal.message)

    def _fail_out_of_step(self) -> None:
        """Let failing for want of a one-time code take a while.

        So the next attempts of those that fail together come one after the other, and a sandbox that has a login serves
        them.
        """
        time.sleep(_jitter(_MAX_JITTER_SECONDS, self._deadline.seconds_left()))

    def _await_unused_code(self) -> None:
        now = time.time()
        next_code_at = (self._connection.last_code + 1) * _TOTP_SECONDS
        if now < next_code_at:
            self.wait(next_code_at - now, "A one-time code works once, and the next login needs the next code")

    def _send_code(self, second_factor: str, seed: str) -> httpx.Response:
        step = self._connection.last_code = int(time.time() // _TOTP_SECONDS)
        return self._send(
            "The management login's second step",
            "POST",
            f"{self._settings.api_url}/v2/users/2fa-login",
            tries=1,  # a code that was taken is refused the second time, and so is one that has got old
            json={"login_2fa_token": second_factor, "code": _one_time_code(seed, step)},
        )

    def _bearer(self, what: str, response: httpx.Response, key: str, refusal: str) -> str:
        """Return the bearer token of a login's answer, or tell why there is none."""
        if _refused(what, response, 400, 401, 403):
            said = _said(response)
            if re.search(r"\bsso\b|single sign", said):  # first, for it may speak of the user's organization
                refusal = _SSO_ENFORCED
            elif "organization" in said:
                refusal = _ORGANIZATION
            self._refuse_credential(refusal)
        if not response.is_success:
            self._refuse(what, response, "Try again later.")
        return _text(what, _object(what, response), key)

    def _refuse_credential(self, message: str) -> NoReturn:
        self._parameters.forget()
        raise CredentialRefused(
            message.format(
                username=self._settings.username_parameter,
                password=self._settings.password_parameter,
                totp=self._settings.totp_parameter,
            )
        )

    # One request

    def _send(
        self,
        what: str,
        method: str,
        url: str,
        *,
        repeatable: bool = True,
        tries: int = _TRIES,
        spare_seconds: float = 1,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str | int] | None = None,
        json: Mapping[str, Any] | None = None,
        auth: tuple[str, str] | None = None,
    ) -> httpx.Response:
        """Make a request and return its answer: anything below 500 but 429.

        Transport errors, 5xx and 429 are repeated with jittered back-off, as long as the invocation has time. What is
        not repeatable is repeated only if it surely had no effect: no connection was made, or the answer is 429.

        Args:
            spare_seconds: no try begins with less time left.
        """
        self._keep_out_of_step()
        for attempt in range(1, tries + 1):
            seconds_left = self._deadline.seconds_left()
            if seconds_left < spare_seconds:
                raise OutOfTime(
                    f"{what}: the invocation's time is used up. Secrets Manager tries again by itself; a longer "
                    "function timeout avoids it."
                )
            pause, spread = random.uniform(0.1, 0.5) * 2**attempt, 0.0  # noqa: S311 - jitter, not cryptography
            try:
                self.requests += 1
                response = self._connection.http.request(
                    method,
                    url,
                    headers=headers,
                    params=params,
                    json=json,
                    auth=auth,
                    # Per phase, and for each piece of an answer: one that drips is ended by Lambda, not by this.
                    timeout=httpx.Timeout(
                        min(_READ_SECONDS, seconds_left / 2),
                        connect=min(_CONNECT_SECONDS, seconds_left / 2 / _ADDRESSES),
                    ),
                )
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict) as error:
                # The cause is left out: a protocol error may quote the answer.
                failure: RotationError = DockerHubUnavailable(
                    f"{what}: no answer from Docker Hub ({type(error).__name__}). Secrets Manager tries again by "
                    "itself; in a VPC, check the route to the internet."
                )
                may_repeat = repeatable or isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            else:
                self._note_rate_limit(response)
                if response.status_code in (401, 403, 429) and re.search("too many (failed )?login", _said(response)):
                    raise LockedOut(_LOCKED_OUT)
                if response.status_code == 429:
                    # The earlier in a minute its requests are used up, the longer is the wait, and the more wait.
                    told = _retry_after(response)
                    spread = self._connection.spread = min(told / 4, _MAX_JITTER_SECONDS)
                    pause = max(pause, told)
                    failure = RateLimited(
                        f"{what}: Docker Hub's request limit is used up, for {pause:.0f} s more. Secrets Manager tries "
                        "again by itself; spread the rotations of an account over the day."
                    )
                    may_repeat = True
                elif response.status_code >= 500:
                    failure = DockerHubUnavailable(
                        f"{what}: Docker Hub answered {response.status_code}. Secrets Manager tries again by itself; "
                        "see https://www.dockerstatus.com."
                    )
                    may_repeat = repeatable
                else:
                    self._connection.spread = 0.0
                    return response
            time_to_wait = self._deadline.seconds_left() - spare_seconds
            if not may_repeat or attempt == tries or pause > time_to_wait:
                break
            time.sleep(pause + _jitter(spread, time_to_wait - pause))
        raise failure

    def _keep_out_of_step(self) -> None:
        """Begin at a moment of its own, if a step failed here that could not wait for the request limit.

        The rotation's next attempt may begin when those of the others do that failed with it. Without this, they would
        use the limit up together once more, and none would get to its end.
        """
        if self.requests == 0 and self._connection.spread:
            time.sleep(_jitter(self._connection.spread, self._deadline.seconds_left()))

    def _note_rate_limit(self, response: httpx.Response) -> None:
        remaining = response.headers.get("X-RateLimit-Remaining", "")
        if re.fullmatch("[0-9]{1,9}", remaining):
            self.rate_limit_remaining = int(remaining)

    def _refuse(self, what: str, response: httpx.Response, remedy: str) -> NoReturn:
        if response.status_code < 400:
            raise _unexpected(what)  # a redirect
        raise DockerHubRefused(f"{what}: Docker Hub answered {response.status_code}. {remedy}")


def _jitter(at_most: float, seconds_left: float) -> float:
    """Return a time drawn by lot, no longer than half of the time left."""
    return random.uniform(0, max(0.0, min(at_most, seconds_left / 2)))  # noqa: S311 - jitter, not cryptography


def _probe_failed(repository: str, actions: tuple[str, ...]) -> DockerHubRefused:
    return DockerHubRefused(
        f"The token is not granted {' and '.join(actions)} on {repository}. Check what the account may do there, "
        "DOCKERHUB_TOKEN_SCOPES and DOCKERHUB_PROBE_REPOSITORY."
    )


# Shapes and types of answers


def _unexpected(what: str) -> DockerHubUnavailable:
    return DockerHubUnavailable(
        f"{what}: the answer is not Docker Hub's API. Secrets Manager tries again by itself; check DOCKERHUB_API_URL, "
        "DOCKERHUB_AUTH_URL and any proxy."
    )


def _object(what: str, response: httpx.Response) -> dict[str, Any]:
    answer = _json(response)
    if not isinstance(answer, dict):
        raise _unexpected(what)
    return answer


def _json(response: httpx.Response) -> Any:
    """Return what an answer says in JSON, or None."""
    try:
        return response.json()
    except (ValueError, RecursionError):  # the latter for what is nested too deep
        return None


def _text(what: str, answer: Mapping[str, Any], key: str) -> str:
    value = answer.get(key)
    if not isinstance(value, str) or not value or not value.isascii() or not value.isprintable():
        raise _unexpected(what)
    return value


def _uuid(what: str, answer: Mapping[str, Any]) -> str:
    """Return a token's uuid, which becomes part of a path and of messages."""
    uuid = _text(what, answer, "uuid")
    if not re.fullmatch("[0-9A-Za-z-]{1,64}", uuid):
        raise _unexpected(what)
    return uuid


def _texts(value: object) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _token(what: str, item: object) -> Token:
    if not isinstance(item, dict):
        raise _unexpected(what)
    try:
        created_at = datetime.fromisoformat(item["created_at"])
    except (KeyError, TypeError, ValueError):
        created_at = None
    if created_at is not None and created_at.tzinfo is None:
        created_at = None
    label, active = item.get("token_label"), item.get("is_active")
    if not isinstance(active, bool):
        raise _unexpected(what)  # taken for disabled, an active token would be left alone
    return Token(
        uuid=_uuid(what, item),
        label=label if isinstance(label, str) else "",
        active=active,
        used=bool(item.get("last_used")),
        created_at=created_at,
    )


def _said(response: httpx.Response) -> str:
    """Return what an error says, in lower case, to be looked at and not to be shown.

    It is under `message`, `detail` or, at the token service, `details`; abuse limits answer in plain text.
    """
    answer = _json(response)
    if not isinstance(answer, dict):
        return response.text.lower()
    return " ".join(str(answer.get(key, "")) for key in ("message", "detail", "details", "errors")).lower()


def _refused(what: str, response: httpx.Response, *statuses: int) -> bool:
    """Tell whether a login was refused, by Docker Hub and not by the page of a proxy or firewall."""
    if response.status_code not in statuses:
        return False
    if _is_page(response):
        raise _unexpected(what)
    return True


def _is_page(response: httpx.Response) -> bool:
    return bool(response.content) and str(response.headers.get("Content-Type", "")).startswith("text/html")


def _second_factor_token(response: httpx.Response) -> str | None:
    """Return what the second step of a login is to be sent with, or None if no second step is asked for."""
    if response.status_code != 401:
        return None
    answer = _json(response)
    token = answer.get("login_2fa_token") if isinstance(answer, dict) else None
    return token if isinstance(token, str) and token else None


def _retry_after(response: httpx.Response) -> float:
    """Return the seconds to wait, or 0. Both names and both units, seconds and unix time, have been seen.

    https://github.com/docker/hub-feedback/issues/2459
    """
    for name in ("Retry-After", "X-Retry-After"):
        try:
            value = float(response.headers[name])
        except (KeyError, ValueError):
            continue
        return max(0.0, value - time.time() if value > 1e9 else value)
    return 0.0


def _claims(jwt: str) -> dict[str, Any]:
    """Return a JWT's claims, or none if it has no readable ones.

    Its signature is not checked: it came over TLS from the service that made it, in answer to our own login.
    """
    try:
        payload = jwt.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _identity(claims: Mapping[str, Any]) -> Identity:
    """Read a Hub login's claims, as published in https://github.com/mongodb/kingfisher/issues/202."""
    hub = claims.get("https://hub.docker.com")
    hub = hub if isinstance(hub, dict) else {}
    username, source, scope = hub.get("username"), hub.get("source"), claims.get("scope")
    kind, _, uuid = source.partition("|") if isinstance(source, str) else ("", "", "")
    return Identity(
        username=username if isinstance(username, str) and username else None,
        token_uuid=uuid if kind == "docker_pat" and uuid else None,
        scopes=frozenset(scope.split()) if isinstance(scope, str) and scope else None,
    )


def _one_time_code(seed: str, step: int) -> str:
    """Return the code of a time step: https://www.rfc-editor.org/rfc/rfc6238, with SHA-1 and six digits.

    Written out because it is short and nothing else would need the dependency.
    """
    digest = hmac.digest(base64.b32decode(seed + "=" * (-len(seed) % 8)), step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 15
    return f"{(int.from_bytes(digest[offset : offset + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06}"


def _registry_actions(scopes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the registry actions that a token's scopes promise."""
    return ("pull", "push") if {"repo:write", "repo:admin"} & set(scopes) else ("pull",)
