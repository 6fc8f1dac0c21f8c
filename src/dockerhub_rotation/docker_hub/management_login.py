"""The management login: the account's password opens what makes, changes and deletes tokens.

With two-factor login it takes one-time codes, each of which works once. A refused login counts towards a lockout of the
user name, for every consumer too, so one is remembered and not repeated.
"""

import base64
import hmac
import re
import time
from dataclasses import dataclass, field
from typing import Any

from dockerhub_rotation.deadline import Deadline
from dockerhub_rotation.docker_hub import answers, claims
from dockerhub_rotation.docker_hub.answers import Answer
from dockerhub_rotation.docker_hub.http import Http
from dockerhub_rotation.errors import CredentialRefused, LockedOut
from dockerhub_rotation.parameters import Account, Accounts
from dockerhub_rotation.settings import Settings

_TOTP_SECONDS = 30
# A management login is renewed when this little of it is left: enough for a request.
_LOGIN_MARGIN_SECONDS = 60
# Assumed where a login does not say when it ends; the shortest that is documented is ten minutes.
_LOGIN_SECONDS = 300
# How long failed logins count towards a lockout is not published; a lockout takes 10 to 15 minutes
# (https://github.com/docker/hub-feedback/issues/2201, https://github.com/docker/hub-feedback/issues/2217).
_REFUSED_SECONDS = 900
_LOCKED_SECONDS = 600
# Those who fail for want of a one-time code do so at moments spread over this.
_OUT_OF_STEP_SECONDS = 60

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


@dataclass(frozen=True)
class _Login:
    """A bearer token for the Hub API, whose it is, and when it ends (seconds since 1970, by Docker Hub's clock)."""

    account: Account
    bearer: str = field(repr=False)
    ends_at: float


@dataclass(frozen=True)
class _FailedLogin:
    """A login that was refused: whose, when it was tried (seconds since 1970), how that was told, and of what names."""

    account: Account
    at: float
    kind: type[CredentialRefused | LockedOut]
    message: str
    names: tuple[str, ...]

    @property
    def until(self) -> float:
        """When it may be tried again: a lockout is remembered no longer than it lasts."""
        return self.at + (_LOCKED_SECONDS if self.kind is LockedOut else _REFUSED_SECONDS)

    def error(self) -> CredentialRefused | LockedOut:
        """Return the error that says so, to be raised."""
        # The minute in which it has ended, not the one in which it ends.
        at, until = (time.strftime("%H:%M", time.gmtime(moment)) for moment in (self.at, self.until + 59))
        return self.kind(
            f"Not asked again until {until} UTC, because it was refused at {at}, for they add up to a lockout. "
            f"What was said then: {self.message}",
            names=self.names,
        )


@dataclass
class Remembered:
    """What outlives an invocation.

    Attributes:
        login: the login that serves until it ends.
        last_code: which one-time code was used last.
        failed: the latest login that was refused.
    """

    login: _Login | None = None
    last_code: int = -1
    failed: _FailedLogin | None = None


class ManagementLogin:
    """Requests in the name of the account's owner, for one invocation.

    Every method that asks Docker Hub raises what `Http.send` and `Parameters.account` raise, and CredentialRefused.
    """

    def __init__(
        self, settings: Settings, parameters: Accounts, http: Http, remembered: Remembered, deadline: Deadline
    ) -> None:
        self._settings = settings
        self._parameters = parameters
        self._http = http
        self._remembered = remembered
        self._deadline = deadline
        self._began_at = time.time()

    def now(self) -> float:
        """Return the time by Docker Hub's clock, in seconds since 1970."""
        return self._http.now()

    def presume_code_used(self, at: float) -> None:
        """Take the one-time code of a moment as used.

        A step in a fresh sandbox can't know of the login that an earlier step made in another. It knows when that
        step stored its result, so it waits for the next code instead of burning an attempt.

        Args:
            at: seconds since 1970.
        """
        self._remembered.last_code = max(self._remembered.last_code, int(at // _TOTP_SECONDS))

    def leave_the_next_code(self) -> None:
        """Wait, if need be, until the one-time code is none that was used: somebody else is about to log in.

        Without two-factor login there is nothing to wait for.

        Raises:
            OutOfTime: that takes longer than this invocation lives.
        """
        if self._parameters.account().totp_seed:
            self._await_unused_code()

    def send(self, what: str, method: str, path: str, **request: Any) -> Answer:
        """Make a request with the management login, as `Http.send` does.

        Raises:
            AnswerUnknown: also for a 401 or 403 that may be anybody's: a firewall's must not end the login.
        """
        login, from_before = self._login()
        answer = self._send(login, what, method, path, **request)
        if answer.status == 401 and answer.refusal_is_known and from_before:
            self._remembered.login = None  # it ended before its time, as after a change of password
            login, _ = self._login()
            answer = self._send(login, what, method, path, **request)
        if answer.status == 403 and "token issued from" in answer.said():  # in whatever form: nobody else says that
            raise self._credential_error(_TOKENS_MANAGE_NO_TOKENS)
        if answer.status in (401, 403) and not answer.refusal_is_known:
            raise answer.unknown()
        if answer.status == 401:
            self._remembered.login = None
            raise answer.error("It does not take the login that it has just made. " + answers.CHECK_URLS)
        return answer

    def _send(self, login: _Login, what: str, method: str, path: str, **request: Any) -> Answer:
        headers = {"Authorization": f"Bearer {login.bearer}"}
        return self._http.send(what, method, self._settings.api_url + path, headers=headers, **request)

    def _login(self) -> tuple[_Login, bool]:
        """Return the login, and whether it is one from before that may have ended."""
        account = self._parameters.account()
        login = self._remembered.login
        if login and login.account == account and login.ends_at - self._http.now() > _LOGIN_MARGIN_SECONDS:
            return login, True
        # A password that was read before this invocation may have been changed since, on both sides.
        account = self._parameters.account(read_since=self._began_at)
        self._fail_as_lately(account)
        asked_at = time.time()
        try:
            bearer = self._log_in(account)
            claimed = claims.read(bearer)
            identity = claims.identity(claimed)
            if identity.token_uuid is not None:
                raise self._credential_error(_TOKENS_MANAGE_NO_TOKENS)
            if not account.may_be(identity.username):
                raise self._credential_error(_OTHER_ACCOUNT)
        except (CredentialRefused, LockedOut) as refused:
            self._remembered.failed = _FailedLogin(account, asked_at, type(refused), str(refused), refused.names)
            raise
        ends_at = claimed.get("exp")
        if not isinstance(ends_at, int | float):
            ends_at = self._http.now() + _LOGIN_SECONDS
        self._remembered.login = _Login(account, bearer, ends_at)
        return self._remembered.login, False

    def _fail_as_lately(self, account: Account) -> None:
        """Fail if this account was refused here lately: another try would count towards the lockout of its user name.

        A password that was changed meanwhile makes it another account, and is tried at once.
        """
        failed = self._remembered.failed
        if failed and failed.account == account and time.time() < failed.until:
            self._parameters.forget()
            if account.totp_seed:
                self._fail_out_of_step()
            raise failed.error()

    def _log_in(self, account: Account) -> str:
        """Log in with the password and return the bearer token."""
        if account.password.startswith(("dckr_pat_", "dckr_oat_")):
            raise self._credential_error(_TOKENS_MANAGE_NO_TOKENS)
        if self._settings.login == "auth-token":
            answer = self._ask("/v2/auth/token", {"identifier": account.username, "secret": account.password})
            return self._bearer(answer, "access_token", _LOGIN_REFUSED)
        if account.totp_seed:
            self._await_unused_code()
        answer = self._ask("/v2/users/login", {"username": account.username, "password": account.password})
        second_factor = answers.second_factor_token(answer)
        if second_factor is None:
            return self._bearer(answer, "token", _LOGIN_REFUSED)
        if account.totp_seed is None:
            raise self._credential_error(_SECOND_FACTOR_MISSING)
        answer = self._send_code(second_factor, account.totp_seed)
        if answer.refuses_login(400, 401, 403):
            self._fail_out_of_step()
        return self._bearer(answer, "token", _CODE_REFUSED + self._said_of_clocks())

    def _said_of_clocks(self) -> str:
        ahead = round(self._http.clock_ahead)
        if not ahead:
            return ""
        return (
            f" This machine's clock and Docker Hub's differ by {abs(ahead)} s; the code was made for the time that its "
            "answers tell."
        )

    def _ask(self, path: str, credential: dict[str, str]) -> Answer:
        return self._http.send("The management login", "POST", self._settings.api_url + path, json=credential)

    def _await_unused_code(self) -> None:
        now = self._http.now()
        next_code_at = (self._remembered.last_code + 1) * _TOTP_SECONDS
        if now < next_code_at:
            self._deadline.wait(
                next_code_at - now, "A one-time code works once, and the next login needs the next code"
            )

    def _send_code(self, second_factor: str, seed: str) -> Answer:
        self._await_unused_code()  # the first step's answer may have told another time
        step = self._remembered.last_code = int(self._http.now() // _TOTP_SECONDS)
        return self._http.send(
            "The management login's second step",
            "POST",
            f"{self._settings.api_url}/v2/users/2fa-login",
            tries=1,  # a code that was taken is refused the second time, and so is one that has got old
            json={"login_2fa_token": second_factor, "code": _one_time_code(seed, step)},
        )

    def _fail_out_of_step(self) -> None:
        """Let failing for want of a one-time code take a while.

        So the next attempts of those that fail together come one after the other, and a sandbox that has a login serves
        them.
        """
        self._deadline.pause(0, spread=_OUT_OF_STEP_SECONDS, spare=0)

    def _bearer(self, answer: Answer, key: str, if_refused: str) -> str:
        """Return the bearer token of a login's answer, or tell why there is none."""
        if answer.refuses_login(400, 401, 403):
            said = answer.said()
            if re.search(r"\bsso\b|single sign", said):  # first, for it may speak of the user's organization
                if_refused = _SSO_ENFORCED
            elif "organization" in said:
                if_refused = _ORGANIZATION
            raise self._credential_error(if_refused)
        if not answer.success:
            raise answer.error(answers.CHECK_URLS)
        return answer.text(key)

    def _credential_error(self, message: str) -> CredentialRefused:
        """Return the error for a credential that does not do, to be raised; it is read anew next time."""
        self._parameters.forget()
        parameters = {
            "username": self._settings.username_parameter,
            "password": self._settings.password_parameter,
            "totp": self._settings.totp_parameter,
        }
        named = tuple(name for key, name in parameters.items() if name and f"{{{key}}}" in message)
        return CredentialRefused(message.format(**parameters), names=named)


def _one_time_code(seed: str, step: int) -> str:
    """Return the code of a time step: https://www.rfc-editor.org/rfc/rfc6238, with SHA-1 and six digits.

    Written out because it is short and nothing else would need the dependency.
    """
    digest = hmac.digest(base64.b32decode(seed + "=" * (-len(seed) % 8)), step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 15
    return f"{(int.from_bytes(digest[offset : offset + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06}"
