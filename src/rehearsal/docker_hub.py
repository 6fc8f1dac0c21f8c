"""Docker Hub in memory: its API, the registry's token service and the registry's front door.

The paths of the three hosts do not collide, so one Flask app carries them all::

    hub.docker.com          POST /v2/users/login  /v2/users/2fa-login  /v2/auth/token
                            GET, POST /v2/access-tokens    GET, PATCH, DELETE /v2/access-tokens/<uuid>
    auth.docker.io          GET /token
    registry-1.docker.io    GET /v2/

It behaves as Docker documents (https://docs.docker.com/reference/api/hub/latest/ and
https://docs.docker.com/reference/api/registry/auth/) and, where the documents are silent, as users have
reported of the real one; each such place names its report. Where nothing at all is known it takes the reading
that is harder on a client.
"""

import base64
import math
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import Enum
from fnmatch import fnmatchcase
from hashlib import sha256
from threading import RLock
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from uuid import uuid4

import flask
import jwt
import pyotp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from flask import Flask, Response, request

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# What a token of each scope may ask the registry for; asking for more is refused, not trimmed.
# https://docs.docker.com/reference/api/hub/latest/ and https://github.com/docker/cli/pull/4511
ACTIONS: Mapping[str, frozenset[str]] = {
    "repo:public_read": frozenset({"pull"}),
    "repo:read": frozenset({"pull"}),
    "repo:write": frozenset({"pull", "push"}),
    "repo:admin": frozenset({"pull", "push", "delete"}),
}

HUB = "https://hub.docker.com"
HUB_PATHS = ("/v2/users/", "/v2/auth/", "/v2/access-tokens")
REGISTRY = "registry.docker.io"

AUTH_TOKEN_SECONDS = 600
REGISTRY_TOKEN_SECONDS = 300
SECOND_FACTOR_SECONDS = 300

INCORRECT = "Incorrect authentication credentials"
LOCKED = "toomanyrequests: too many failed login attempts for username or IP address"
BODY_IS_INVALID = "body is invalid"


@dataclass(kw_only=True)
class Token:
    """One personal access token of the account, as Docker Hub keeps it. Times are aware and in UTC."""

    uuid: str
    label: str
    scopes: tuple[str, ...]
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


@dataclass(frozen=True)
class Fault:
    """A wrong answer for the next request that matches, once.

    Args:
        method: HTTP method; `*` stands for any.
        path: Path without the query, exact or with the wildcards of `fnmatch`: `/v2/access-tokens/*`.
        status: HTTP status to answer with.
        body: What to answer: a string is sent as HTML, anything else as JSON.
        headers: Headers to add.
        after_effect: Whether the request is served first, so that only its answer is lost.
    """

    method: str
    path: str
    status: int
    body: object = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    after_effect: bool = False

    def matches(self, method: str, path: str) -> bool:
        """Whether a request with this method and path is the one to spoil."""
        return fnmatchcase(method, self.method) and fnmatchcase(path, self.path)

    def answer(self) -> Response:
        """Build the wrong answer, inside Flask's application context."""
        as_html = isinstance(self.body, str)
        response = Response(str(self.body), mimetype="text/html") if as_html else flask.jsonify(self.body)
        response.status_code = self.status
        response.headers.update(self.headers)
        return response


class Served(NamedTuple):
    """One line of the ledger: what was asked for, without query or body, and the status the client saw."""

    method: str
    path: str
    status: int


class Standing(Enum):
    """What the credential of a login turned out to be, when it is not a token in good order."""

    PASSWORD = "the account's password, and nothing else is needed"
    CODE_NEEDED = "the account's password, but a one-time code is needed too"
    PASSWORD_BARRED = "the account's password, but single sign-on is enforced"
    TOKEN_EXPIRED = "a token past its expiry date"
    WRONG = "nothing this account knows"
    LOCKED = "not looked at: the user name is locked"


REGISTRY_REFUSALS: Mapping[Standing, str] = {
    # https://github.com/docker/hub-feedback/issues/1981
    Standing.CODE_NEEDED: "please use personal access token to login",
    # https://github.com/docker/hub-feedback/issues/2181
    Standing.PASSWORD_BARRED: "please use personal access token to login when SSO is enforced",
    # https://github.com/sailor-sh/CK-X/issues/60
    Standing.TOKEN_EXPIRED: "unauthorized: personal access token is expired",
    Standing.WRONG: "incorrect username or password",
}


@dataclass(kw_only=True, eq=False, repr=False)
class DockerHub:
    """An in-memory Docker Hub that knows one account.

    Serve `app` over HTTP, or call it in-process through `httpx.WSGITransport(app=hub.app)`. Requests are
    served one at a time, under `lock`; another thread that walks through `tokens` meanwhile should hold it too.
    Every attribute may be changed at any time, and the world has changed.

    Args:
        username: The account's user name.
        password: The account's password.
        totp_seed: Base32 seed of the account's one-time codes (SHA-1, 6 digits, 30 seconds); None without 2FA.
        sso_enforced: Whether single sign-on is enforced, so that the password is refused everywhere.
        repositories: What the account may do, by repository: `{"acme/app": {"pull", "push"}}`.
        public_repositories: Repositories that anybody may pull, beside those of library/.
        organisations: Names of organisations, which cannot log in with a user's credentials.
        clock: Tells the unix time in seconds.
        login_lifetime: Seconds that a JWT from `/v2/users/login` lives. About a month has been seen:
            https://github.com/docker/hub-feedback/issues/1157
        lockout_after: Failed logins of one user name within `lockout_seconds` that lock it.
        lockout_seconds: How long a user name stays locked, right credentials included. Ten minutes, says
            https://github.com/docker/hub-feedback/issues/2201; the threshold is not published.
        rate_limit_per_minute: Requests to the Hub API answered in one minute.
        retry_after: What a rate-limited answer carries: `Retry-After` in seconds, `Retry-After` as unix time
            (https://github.com/docker/hub-feedback/issues/2459), or `X-Retry-After` as unix time.
        max_page_size: Largest page of the token list; a larger `page_size` is cut down to it.
        max_tokens: How many tokens the account may have; None for no limit.
        jwt_names_source: Whether a JWT of the Hub API says which credential it was issued for.

    Attributes:
        app: The Flask application.
        certificate: Its own, whose key signs every JWT: what a registry must trust to take the tokens of `/token`.
        tokens: The account's tokens by uuid.
        faults: Wrong answers waiting for their request; the first that matches is used up.
        requests: Every request answered so far, oldest first.
        issued: Every JWT handed out so far; the token between the two steps of a login is one, too.
        codes: Every one-time code that was sent so far.
        refused_logins: How many logins failed, and counted towards a lockout of their user name.
        lockouts: How often a user name was locked.
        lock: Held while a request is served.
    """

    username: str = "acme"
    password: str = "correct-horse-battery-staple"
    totp_seed: str | None = None
    sso_enforced: bool = False
    repositories: Mapping[str, Collection[str]] = field(default_factory=dict)
    public_repositories: Collection[str] = ()
    organisations: Collection[str] = ()
    clock: Callable[[], float] = time.time
    login_lifetime: float = 30 * 24 * 3600
    lockout_after: int = 10
    lockout_seconds: float = 600
    rate_limit_per_minute: int = 600
    retry_after: Literal["seconds", "unix time", "x-header"] = "seconds"
    max_page_size: int = 100
    max_tokens: int | None = None
    jwt_names_source: bool = True

    def __post_init__(self) -> None:
        self.tokens: dict[str, Token] = {}
        self.faults: list[Fault] = []
        self.requests: list[Served] = []
        self.issued: set[str] = set()
        self.codes: set[str] = set()
        self.refused_logins = 0
        self.lockouts = 0
        self.lock = RLock()
        self.app = self._build_app()
        self._account_uuid = str(uuid4())
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = _self_signed(self._key)
        self._password_sessions: set[str] = set()  # the JWTs that may manage tokens, by `jti`
        self._verified: dict[tuple[str, str], dict[str, Any]] = {}  # claims by JWT and audience, which last for ever
        self._second_factors: dict[str, float] = {}  # when each login_2fa_token ends
        self._last_code_step = -1
        self._failures: defaultdict[str, list[float]] = defaultdict(list)
        self._locked_until: dict[str, float] = {}
        self._hub_requests: Counter[int] = Counter()  # by minute since the epoch
        self._last_created = datetime.min.replace(tzinfo=UTC)

    def add_token(
        self,
        label: str,
        *,
        scopes: Iterable[str] = ("repo:admin",),
        active: bool = True,
        expires_at: datetime | None = None,
        generated_by: str = "manual",
    ) -> Token:
        """Give the account one more token, as its owner would on the web site, and return it."""
        with self.lock:
            self._last_created = max(self._now(), self._last_created + timedelta(microseconds=1))
            token = Token(
                uuid=str(uuid4()),
                label=label,
                scopes=tuple(scopes),
                value="dckr_pat_" + secrets.token_urlsafe(20),  # 20 bytes make 27 characters
                created_at=self._last_created,
                active=active,
                expires_at=expires_at,
                generated_by=generated_by,
            )
            self.tokens[token.uuid] = token
            return token

    def authenticates(self, secret: str) -> bool:
        """Whether a login with this token would succeed now.

        A question about the state of the world: no request, no lockout, nothing is counted.
        """
        with self.lock:
            return not self._locked(self.username) and isinstance(self._standing(self.username, secret), Token)

    @property
    def locked(self) -> bool:
        """Whether the user name is locked now, for everybody."""
        with self.lock:
            return self._locked(self.username)

    @property
    def moment(self) -> datetime:
        """The time at Docker Hub."""
        return self._now()

    @property
    def password_logins(self) -> int:
        """How many logins with the account's password were let in."""
        return len(self._password_sessions)

    def _build_app(self) -> Flask:
        app = Flask(__name__, static_folder=None)
        app.testing = True  # a mistake in here is an exception, not a 500 that looks like Docker Hub's
        app.before_request(self._before_request)
        app.after_request(self._after_request)
        app.post("/v2/auth/token")(self._auth_token)
        app.post("/v2/users/login")(self._users_login)
        app.post("/v2/users/2fa-login")(self._second_factor_login)
        app.post("/v2/access-tokens")(self._create_token)
        app.get("/v2/access-tokens")(self._list_tokens)
        app.get("/v2/access-tokens/<uuid>")(self._get_token)
        app.patch("/v2/access-tokens/<uuid>")(self._patch_token)
        app.delete("/v2/access-tokens/<uuid>")(self._delete_token)
        app.get("/token")(self._registry_token)
        app.get("/v2/")(self._registry)
        serve = app.wsgi_app

        def one_at_a_time(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
            with self.lock:
                return serve(environ, start_response)

        app.wsgi_app = one_at_a_time  # type: ignore[method-assign]  # where Flask wants middleware
        return app

    def _before_request(self) -> Response | None:
        fault = next((fault for fault in self.faults if fault.matches(request.method, request.path)), None)
        flask.g.fault = fault
        if fault is not None:
            self.faults.remove(fault)
            if not fault.after_effect:
                return fault.answer()
        return self._rate_limit_refusal() if request.path.startswith(HUB_PATHS) else None

    def _after_request(self, response: Response) -> Response:
        fault: Fault | None = flask.g.fault
        if fault is not None:
            response = fault.answer()
        elif request.path.startswith(HUB_PATHS):
            minute = self._minute()
            remaining = max(0, self.rate_limit_per_minute - self._hub_requests[minute])
            response.headers["X-RateLimit-Limit"] = str(self.rate_limit_per_minute)
            response.headers["X-RateLimit-Remaining"] = str(remaining)
            response.headers["X-RateLimit-Reset"] = str((minute + 1) * 60)
        response.headers["Date"] = format_datetime(self._now(), usegmt=True)
        self.requests.append(Served(request.method, request.path, response.status_code))
        return response

    def _rate_limit_refusal(self) -> Response | None:
        minute = self._minute()
        self._hub_requests[minute] += 1
        if self._hub_requests[minute] <= self.rate_limit_per_minute:
            return None
        reset = (minute + 1) * 60
        wait = math.ceil(reset - self.clock()) if self.retry_after == "seconds" else reset
        response = _json(429, detail="Rate limit exceeded", error=False)
        response.headers["X-Retry-After" if self.retry_after == "x-header" else "Retry-After"] = str(wait)
        return response

    def _auth_token(self) -> Response:
        body = _json_body()
        identifier, secret = _text(body, "identifier"), _text(body, "secret")
        problems = {name: "value is required" for name in ("identifier", "secret") if not _text(body, name)}
        if 0 < len(secret) < 9:
            problems["secret"] = "must be at least 9 characters"
        if problems:
            return _json(400, message=BODY_IS_INVALID, errinfo=problems)
        login = self._log_in(identifier, secret, token_under_any_name=True)
        if login is Standing.LOCKED:
            return _json(429, message=LOCKED, errinfo={})
        if isinstance(login, Token) or login is Standing.PASSWORD:
            return _json(200, access_token=self._hub_jwt(login, AUTH_TOKEN_SECONDS))
        return _json(401, message="unauthorized", errinfo={})

    def _users_login(self) -> Response:
        body = _json_body()
        username, password = _text(body, "username"), _text(body, "password")
        if username in self.organisations:  # https://github.com/docker/hub-feedback/issues/2445
            return _json(401, detail="Cannot log into an organization account")
        login = self._log_in(username, password, token_under_any_name=True, code_follows=True)
        if login is Standing.LOCKED:
            return _json(429, detail=LOCKED)
        if login is Standing.CODE_NEEDED:
            token = self._sign(HUB, f"{HUB}/2fa", SECOND_FACTOR_SECONDS, jti=str(uuid4()))
            self._second_factors[token] = self.clock() + SECOND_FACTOR_SECONDS
            detail = "Require secondary authentication on MFA enabled account"
            return _json(401, detail=detail, login_2fa_token=token)
        if isinstance(login, Token) or login is Standing.PASSWORD:
            return _json(200, token=self._hub_jwt(login, self.login_lifetime))
        return _json(401, detail=INCORRECT)

    def _second_factor_login(self) -> Response:
        body = _json_body()
        self.codes.add(_text(body, "code"))
        # Spent by its first use, right or wrong: whether the real one survives a wrong code is not published.
        ends = self._second_factors.pop(_text(body, "login_2fa_token"), 0)
        if ends <= self.clock():
            return _json(401, detail=INCORRECT)
        if self._locked(self.username):
            return _json(429, detail=LOCKED)
        if not self._spend_code(_text(body, "code")):
            self._count_failure(self.username)
            return _json(401, detail=INCORRECT)
        return _json(200, token=self._hub_jwt(Standing.PASSWORD, self.login_lifetime))

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
        """Look a credential up; the Hub API, unlike the registry, takes a token under any user name.

        https://github.com/trufflesecurity/trufflehog/issues/4099
        """
        ours = username == self.username
        token = next((token for token in self.tokens.values() if token.value == secret), None)
        if token is not None and token.active and (ours or token_under_any_name):
            return Standing.TOKEN_EXPIRED if token.expired(self._now()) else token
        if not ours or secret != self.password:
            return Standing.WRONG
        if self.sso_enforced:
            return Standing.PASSWORD_BARRED
        return Standing.PASSWORD if self.totp_seed is None else Standing.CODE_NEEDED

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

    def _sign(self, issuer: str, audience: str, lifetime: float, **claims: object) -> str:
        """Sign in a way that a registry can check: https://distribution.github.io/distribution/spec/auth/jwt/."""
        now = int(self.clock())
        claims |= {"iss": issuer, "aud": audience, "iat": now, "exp": now + int(lifetime)}
        chain = [base64.b64encode(self.certificate.public_bytes(Encoding.DER)).decode()]
        signed = jwt.encode(claims, self._key, "ES256", {"x5c": chain})
        self.issued.add(signed)
        return signed

    def _bearer_claims(self, audience: str) -> dict[str, Any] | None:
        bearer = request.authorization
        if bearer is None or bearer.type != "bearer" or bearer.token is None:
            return None
        options: jwt.types.Options = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
        seen = (bearer.token, audience)
        try:
            if seen not in self._verified:
                claims = jwt.decode(bearer.token, self._key.public_key(), ["ES256"], options, audience=audience)
                self._verified[seen] = claims
        except jwt.InvalidTokenError:
            return None
        claims = self._verified[seen]
        return claims if claims["exp"] > self.clock() else None  # PyJWT would ask the machine's clock

    def _require_manager(self) -> None:
        """Let only a login with the password through: https://github.com/docker/hub-feedback/issues/2478."""
        claims = self._bearer_claims(HUB)
        if claims is None:
            flask.abort(_json(401, message="unauthorized", errinfo={}))
        if claims["jti"] not in self._password_sessions:
            message = "token issued from personal access token is not allowed"
            flask.abort(_json(403, message=message, errinfo={}))

    def _existing_token(self, uuid: str) -> Token:
        if uuid not in self.tokens:
            flask.abort(_json(404, message="not found", errinfo={}))
        return self.tokens[uuid]

    def _create_token(self) -> Response:
        self._require_manager()
        body = _json_body()
        label, scopes = _text(body, "token_label"), body.get("scopes", [])
        problems, expires_at = {}, None
        if not 1 <= len(label) <= 100:
            problems["token_label"] = "must be 1 to 100 characters"
        if not (isinstance(scopes, list) and scopes and all(scope in list(ACTIONS) for scope in scopes)):
            problems["scopes"] = "must be a list of valid scopes"
        try:
            expires_at = _expiry(body.get("expires_at"), self._now())
        except ValueError:
            problems["expires_at"] = "must be a date and time in the future"
        if problems:
            return _json(400, message=BODY_IS_INVALID, errinfo=problems)
        if self.max_tokens is not None and len(self.tokens) >= self.max_tokens:
            return _json(400, message="access token limit reached", errinfo={})
        token = self.add_token(label, scopes=scopes, expires_at=expires_at)
        token.creator_ua = request.user_agent.string
        return _json(201, **_token_body(token, token.value))

    def _list_tokens(self) -> Response:
        self._require_manager()
        page, size = request.args.get("page", "1"), request.args.get("page_size", "10")
        if not (page.isdecimal() and size.isdecimal() and int(page) and int(size)):
            return _json(400, message="bad request", errinfo={})
        number, length = int(page), min(int(size), self.max_page_size)
        tokens = sorted(self.tokens.values(), key=_shuffled)
        now, end = self._now(), number * length
        if number > 1 and end - length >= len(tokens):
            return _json(404, message="not found", errinfo={})  # not published; an empty page is the easier case
        address = f"{request.base_url}?page_size={length}&page="
        return _json(
            200,
            count=len(tokens),
            next=f"{address}{number + 1}" if end < len(tokens) else None,
            previous=f"{address}{number - 1}" if number > 1 else None,
            active_count=sum(token.active and not token.expired(now) for token in tokens),
            results=[_token_body(token) for token in tokens[end - length : end]],
        )

    def _get_token(self, uuid: str) -> Response:
        self._require_manager()
        return _json(200, **_token_body(self._existing_token(uuid)))

    def _patch_token(self, uuid: str) -> Response:
        self._require_manager()
        token = self._existing_token(uuid)
        if token.expired(self._now()):
            # It "can only be deleted": https://docs.docker.com/security/access-tokens/. In what words is not known.
            return _json(400, message="access token is expired", errinfo={})
        body = {"token_label": token.label, "is_active": token.active} | _json_body()
        label, active = _text(body, "token_label"), body["is_active"]
        if not 1 <= len(label) <= 100 or not isinstance(active, bool):
            return _json(400, message=BODY_IS_INVALID, errinfo={})
        token.label, token.active = label, active
        return _json(200, **_token_body(token))

    def _delete_token(self, uuid: str) -> Response:
        self._require_manager()
        del self.tokens[self._existing_token(uuid).uuid]
        return Response(status=204)

    def _registry_token(self) -> Response:
        login: Token | Standing | None = None
        if "Authorization" in request.headers:
            basic = request.authorization
            username, password = (basic.username, basic.password) if basic else (None, None)
            login = self._log_in(username or "", password or "")
        if login is Standing.LOCKED:
            return _json(429, details=LOCKED)
        if isinstance(login, Standing) and login in REGISTRY_REFUSALS:
            return _json(401, details=REGISTRY_REFUSALS[login])
        wanted = _requested_access(request.args.getlist("scope"))
        if isinstance(login, Token):
            may_ask = {action for scope in login.scopes for action in ACTIONS[scope]}
            if any(not may_ask.issuperset(actions) for _, actions in wanted):
                return _json(401, details="access token has insufficient scopes")
        token = self._sign(
            "auth.docker.io",
            request.args.get("service", ""),
            REGISTRY_TOKEN_SECONDS,
            sub="" if login is None else self._account_uuid,
            nbf=int(self.clock()) - 300,
            jti="dckr_jti_" + secrets.token_urlsafe(20),
            access=self._granted_access(wanted, login),
        )
        issued_at, lifetime = _rfc3339(self._now()), REGISTRY_TOKEN_SECONDS
        return _json(200, token=token, access_token=token, expires_in=lifetime, issued_at=issued_at)

    def _granted_access(
        self, wanted: Iterable[tuple[str, list[str]]], login: Token | Standing | None
    ) -> list[dict[str, object]]:
        """Grant what is wanted and allowed; a repository with nothing to grant is left out.

        https://github.com/docker/hub-feedback/issues/1771
        """
        access: list[dict[str, object]] = []
        public_only = login is None or (isinstance(login, Token) and set(login.scopes) == {"repo:public_read"})
        pull_limit = "100" if login is None else "200"
        for name, actions in wanted:
            allowed = set() if public_only else set(self.repositories.get(name, ()))
            if name in self.public_repositories or name.startswith("library/"):  # Docker's own images are everybody's
                allowed.add("pull")
            granted = [action for action in actions if action in allowed]
            if granted:
                parameters = {"pull_limit": pull_limit, "pull_limit_interval": "21600"}
                access.append({"type": "repository", "name": name, "actions": granted, "parameters": parameters})
        return access

    def _registry(self) -> Response:
        if self._bearer_claims(REGISTRY) is not None:
            return _json(200)
        response = _json(401, errors=[{"code": "UNAUTHORIZED", "message": "authentication required"}])
        # Under its real name the registry points to another host; anywhere else this host is all three.
        real = request.host == "registry-1.docker.io"
        realm = "https://auth.docker.io/token" if real else f"{request.host_url}token"
        response.headers["WWW-Authenticate"] = f'Bearer realm="{realm}",service="{REGISTRY}"'
        return response

    def _minute(self) -> int:
        return int(self.clock() // 60)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.clock(), UTC)


def _json(status: int, /, **body: object) -> Response:
    response = flask.jsonify(body)
    response.status_code = status
    return response


def _json_body() -> dict[str, Any]:
    body = request.get_json(silent=True)
    return body if isinstance(body, dict) else {}


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """Certify a key as Docker's, for all times: a registry goes by the machine's clock, Docker Hub by its own."""
    docker = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "auth.docker.io")])
    return (
        x509.CertificateBuilder(docker, docker, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime(1970, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(9999, 12, 31, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    return value if isinstance(value, str) else ""


def _expiry(value: object, now: datetime) -> datetime | None:
    if value is None:
        return None
    expires_at = datetime.fromisoformat(str(value))
    if expires_at.tzinfo is None or expires_at <= now:
        raise ValueError
    return expires_at.astimezone(UTC)


def _rfc3339(moment: datetime, timespec: str = "auto") -> str:
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")


def _shuffled(token: Token) -> bytes:
    """Sort key of the token list, whose order Docker leaves open: stable, and not that of creation."""
    return sha256(token.created_at.isoformat().encode()).digest()


def _token_body(token: Token, value: str = "***") -> dict[str, object]:
    return {
        "uuid": token.uuid,
        "client_id": "HUB",
        "creator_ip": "127.0.0.1",
        "creator_ua": token.creator_ua,
        "created_at": _rfc3339(token.created_at, "microseconds"),
        "last_used": token.last_used and _rfc3339(token.last_used, "microseconds"),
        "generated_by": token.generated_by,
        "is_active": token.active,
        "token": value,
        "token_label": token.label,
        "scopes": list(token.scopes),
        "expires_at": token.expires_at and _rfc3339(token.expires_at),
    }


def _requested_access(scopes: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Read `repository:namespace/name:pull,push`; several may come, in one parameter or in many."""
    parts = [scope.split(":") for scope in " ".join(scopes).split()]
    return [(part[1], part[2].split(",")) for part in parts if len(part) == 3 and part[0] == "repository"]
