"""Logging in: who comes with what, lockouts, and the logins of the Hub API."""

from __future__ import annotations

from collections import defaultdict
from enum import Enum
from uuid import uuid4

import flask
import pyotp
from flask import Response

from rehearsal.docker_hub.answers import BODY_IS_INVALID, json_answer, json_body, text
from rehearsal.docker_hub.jwts import Jwts
from rehearsal.docker_hub.tokens import OrganizationToken, Token

HUB = "https://hub.docker.com"

AUTH_TOKEN_SECONDS = 600
SECOND_FACTOR_SECONDS = 300

INCORRECT = "Incorrect authentication credentials"
LOCKED = "toomanyrequests: too many failed login attempts for username or IP address"


class Standing(Enum):
    """What the credential of a login turned out to be, when it is not a token in good order."""

    PASSWORD = "the account's password, and nothing else is needed"
    CODE_NEEDED = "the account's password, but a one-time code is needed too"
    PASSWORD_BARRED = "the account's password, but single sign-on is enforced"
    TOKEN_EXPIRED = "a token past its expiry date"
    ORGANIZATION_TOKEN_EXPIRED = "a token of an organization past its expiry date"
    WRONG = "nothing this account knows"
    LOCKED = "not looked at: the user name is locked"


class Logins(Jwts):
    """The account's logins, and who may manage tokens after one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._password_sessions: set[str] = set()  # the JWTs that may manage tokens, by `jti`
        self._organization_sessions: set[str] = set()  # those that were issued for an organization's token
        self._second_factors: dict[str, float] = {}  # when each login_2fa_token ends
        self._last_code_step = -1
        self._failures: defaultdict[str, list[float]] = defaultdict(list)
        self._locked_until: dict[str, float] = {}

    def authenticates(self, secret: str) -> bool:
        """Whether a login with this token would succeed now.

        A question about the state of the world: no request, no lockout, nothing is counted.
        """
        with self.lock:
            token = self._token_of(secret)
            name = token.organization if isinstance(token, OrganizationToken) else self.username
            return not self._locked(name) and isinstance(self._standing(name, secret), Token)

    @property
    def locked(self) -> bool:
        """Whether the user name is locked now, for everybody, or the name of an organization."""
        with self.lock:
            return any(self._locked(name) for name in (self.username, *self.organizations))

    @property
    def password_logins(self) -> int:
        """How many logins with the account's password were let in."""
        return len(self._password_sessions)

    def _auth_token(self) -> Response:
        body = json_body()
        identifier, secret = text(body, "identifier"), text(body, "secret")
        problems = {name: "value is required" for name in ("identifier", "secret") if not text(body, name)}
        if 0 < len(secret) < 9:
            problems["secret"] = "must be at least 9 characters"
        if problems:
            return json_answer(400, message=BODY_IS_INVALID, errinfo=problems)
        login = self._log_in(identifier, secret, token_under_any_name=True)
        if login is Standing.LOCKED:
            return json_answer(429, message=LOCKED, errinfo={})
        if isinstance(login, Token) or login is Standing.PASSWORD:
            return json_answer(200, access_token=self._hub_jwt(login, AUTH_TOKEN_SECONDS))
        return json_answer(401, message="unauthorized", errinfo={})

    def _users_login(self) -> Response:
        body = json_body()
        username, password = text(body, "username"), text(body, "password")
        if username in self.organizations:  # https://github.com/docker/hub-feedback/issues/2445
            return json_answer(401, detail="Cannot log into an organization account")
        login = self._log_in(username, password, token_under_any_name=True, code_follows=True)
        if login is Standing.LOCKED:
            return json_answer(429, detail=LOCKED)
        if login is Standing.CODE_NEEDED:
            token = self._sign(HUB, f"{HUB}/2fa", SECOND_FACTOR_SECONDS, jti=str(uuid4()))
            self._second_factors[token] = self.clock() + SECOND_FACTOR_SECONDS
            detail = "Require secondary authentication on MFA enabled account"
            return json_answer(401, detail=detail, login_2fa_token=token)
        if isinstance(login, Token) or login is Standing.PASSWORD:
            return json_answer(200, token=self._hub_jwt(login, self.login_lifetime))
        return json_answer(401, detail=INCORRECT)

    def _second_factor_login(self) -> Response:
        body = json_body()
        self.codes.add(text(body, "code"))
        # Spent by its first use, right or wrong: whether the real one survives a wrong code is not published.
        ends = self._second_factors.pop(text(body, "login_2fa_token"), 0)
        if ends <= self.clock():
            return json_answer(401, detail=INCORRECT)
        if self._locked(self.username):
            return json_answer(429, detail=LOCKED)
        if not self._spend_code(text(body, "code")):
            self._count_failure(self.username)
            return json_answer(401, detail=INCORRECT)
        return json_answer(200, token=self._hub_jwt(Standing.PASSWORD, self.login_lifetime))

    def _spend_code(self, code: str) -> bool:
        """Accept a one-time code of this or the last 30 seconds, if neither it nor a later one has been used.

        One step of delay and no code twice: https://www.rfc-editor.org/rfc/rfc6238#section-5.2
        """
        if self.totp_seed is None:
            return False
        totp = pyotp.TOTP(self.totp_seed)
        now = int(self.clock() // totp.interval)
        step = next((step for step in (now, now - 1) if totp.generate_otp(step) == code), -1)
        if step <= self._last_code_step:
            return False
        self._last_code_step = step
        return True

    def _log_in(
        self, username: str, secret: str, *, token_under_any_name: bool = False, code_follows: bool = False
    ) -> Token | Standing:
        """Look a credential up, note the use of a token, and count the attempt if it fails."""
        if self._locked(username):
            return Standing.LOCKED
        login = self._standing(username, secret, token_under_any_name=token_under_any_name)
        if isinstance(login, Token):
            login.last_used = self._now()
        elif login is not Standing.PASSWORD and not (login is Standing.CODE_NEEDED and code_follows):
            self._count_failure(username)
        return login

    def _standing(self, username: str, secret: str, *, token_under_any_name: bool = False) -> Token | Standing:
        """Look a credential up; the Hub API, unlike the registry, takes a personal token under any user name.

        https://github.com/trufflesecurity/trufflehog/issues/4099. Whether it takes an organization's token under
        another name than the organization's is not known: this one does not.
        """
        ours = username == self.username
        token = self._token_of(secret)
        if isinstance(token, OrganizationToken):
            return self._standing_of(token, username)
        if token is not None and token.active and (ours or token_under_any_name):
            return Standing.TOKEN_EXPIRED if token.expired(self._now()) else token
        if not ours or secret != self.password:
            return Standing.WRONG
        if self.sso_enforced:
            return Standing.PASSWORD_BARRED
        return Standing.PASSWORD if self.totp_seed is None else Standing.CODE_NEEDED

    def _standing_of(self, token: OrganizationToken, username: str) -> Token | Standing:
        if not token.active or username != token.organization:
            return Standing.WRONG
        return Standing.ORGANIZATION_TOKEN_EXPIRED if token.expired(self._now()) else token

    def _token_of(self, value: str) -> Token | None:
        return next((token for token in self.tokens.values() if token.value == value), None)

    def _count_failure(self, username: str) -> None:
        now = self.clock()
        recent = [at for at in self._failures[username] if at > now - self.lockout_seconds]
        self._failures[username] = [*recent, now]
        self.refused_logins += 1
        if len(recent) + 1 >= self.lockout_after:
            self.lockouts += 1
            self._locked_until[username] = now + self.lockout_seconds

    def _locked(self, username: str) -> bool:
        return self._locked_until.get(username, 0) > self.clock()

    def _hub_jwt(self, login: Token | Standing, lifetime: float) -> str:
        """Issue a JWT with the claims seen in https://github.com/mongodb/kingfisher/issues/202."""
        session = str(uuid4())
        if isinstance(login, OrganizationToken):
            return self._organization_jwt(login, session, lifetime)
        if isinstance(login, Token):
            kind, origin, scope = "pat", login.uuid, " ".join(login.scopes)
        else:
            kind, origin, scope = "password", session, ""
            self._password_sessions.add(session)
        account: dict[str, object] = {
            "username": self.username,
            "uuid": self._account_uuid,
            "email": f"{self.username}@example.com",
            "roles": [],
            "session_id": session,
        }
        claims: dict[str, object] = {HUB: account, "jti": session, "scope": scope}
        if self.jwt_names_source:
            account["source"] = f"docker_{kind}|{origin}"
            claims["source"] = {"type": kind, "id": origin}
        return self._sign("https://api.docker.com/", HUB, lifetime, **claims)

    def _organization_jwt(self, login: OrganizationToken, session: str, lifetime: float) -> str:
        """Issue a JWT for an organization's token. Of its claims nothing is known; see `jwt_names_organization`."""
        self._organization_sessions.add(session)
        account: dict[str, object] = {"roles": [], "session_id": session}
        claims: dict[str, object] = {HUB: account, "jti": session}
        if self.jwt_names_organization:
            account["username"] = login.organization
        if self.jwt_names_organization_token:
            account["source"] = f"docker_oat|{login.uuid}"
            claims["source"] = {"type": "oat", "id": login.uuid}
        return self._sign("https://api.docker.com/", HUB, lifetime, **claims)

    def _require_manager(self) -> None:
        """Let only a login with the password through.

        For personal tokens: https://github.com/docker/hub-feedback/issues/2478; for those of an organization:
        https://docs.docker.com/security/access-tokens/
        """
        claims = self._bearer_claims(HUB)
        if claims is None:
            flask.abort(json_answer(401, message="unauthorized", errinfo={}))
        if claims["jti"] not in self._password_sessions:
            kind = "organization" if claims["jti"] in self._organization_sessions else "personal"
            message = f"token issued from {kind} access token is not allowed"
            flask.abort(json_answer(403, message=message, errinfo={}))
