"""The account: what it is like and what it has, before anybody asks for anything."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from threading import RLock
from typing import Literal
from uuid import uuid4

from rehearsal.docker_hub.faults import Fault, Served
from rehearsal.docker_hub.tokens import OrganizationToken, Resource, Token


class Role(Enum):
    """What a member of an organization may do there."""

    OWNER = "everything"
    TOKEN_MANAGER = "manage organization access tokens, and nothing else: a custom role"
    MEMBER = "pull and push, but manage nothing"


# The path that stands for all public repositories, whoever they belong to.
EVERYTHING_PUBLIC = "*/*/public"


@dataclass(kw_only=True)
class Organization:
    """An organization.

    Attributes:
        members: their roles by user name.
        repositories: the private ones that exist: `{"acme-inc/app"}`.
        quota: how many tokens it may have: 10 in a Team, 100 in a Business organization, disabled and expired ones
            among them. https://docs.docker.com/security/access-tokens/
    """

    members: Mapping[str, Role]
    repositories: Collection[str] = ()
    quota: int = 100


@dataclass(kw_only=True, eq=False, repr=False)
class Account:
    """One account, and the organizations that it may belong to.

    Every attribute may be changed at any time, and the world has changed.

    Args:
        username: The account's user name.
        password: The account's password.
        totp_seed: Base32 seed of the account's one-time codes (SHA-1, 6 digits, 30 seconds); None without 2FA.
        sso_enforced: Whether single sign-on is enforced, so that the password is refused everywhere.
        repositories: What the account may do, by repository: `{"acme/app": {"pull", "push"}}`.
        public_repositories: Repositories that anybody may pull, beside those of library/.
        organizations: Organizations by name, with the account among their members or not.
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
        jwt_names_organization: Whether one that was issued for an organization's token names the organization. What
            such a JWT claims is not published; by default it names nothing.
        jwt_names_organization_token: Whether it names the token.

    Attributes:
        tokens: The tokens by uuid: the account's own, and those of the organizations.
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
    organizations: Mapping[str, Organization] = field(default_factory=dict)
    clock: Callable[[], float] = time.time
    login_lifetime: float = 30 * 24 * 3600
    lockout_after: int = 10
    lockout_seconds: float = 600
    rate_limit_per_minute: int = 600
    retry_after: Literal["seconds", "unix time", "x-header"] = "seconds"
    max_page_size: int = 100
    max_tokens: int | None = None
    jwt_names_source: bool = True
    jwt_names_organization: bool = False
    jwt_names_organization_token: bool = False

    def __post_init__(self) -> None:
        self.tokens: dict[str, Token] = {}
        self.faults: list[Fault] = []
        self.requests: list[Served] = []
        self.issued: set[str] = set()
        self.codes: set[str] = set()
        self.refused_logins = 0
        self.lockouts = 0
        self.lock = RLock()
        self._account_uuid = str(uuid4())
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
            token = Token(
                uuid=str(uuid4()),
                label=label,
                scopes=tuple(scopes),
                value="dckr_pat_" + secrets.token_urlsafe(20),  # 20 bytes make 27 characters
                created_at=self._next_moment(),
                active=active,
                expires_at=expires_at,
                generated_by=generated_by,
            )
            self.tokens[token.uuid] = token
            return token

    def add_organization_token(
        self,
        organization: str,
        label: str,
        *,
        resources: Iterable[Resource] | None = None,
        active: bool = True,
        expires_at: datetime | None = None,
        created_by: str = "the-owner",
        description: str = "",
    ) -> OrganizationToken:
        """Give an organization one more token, as its owner would on the web site, and return it.

        Args:
            resources: what it may do; by default pull whatever the organization has.
        """
        pull = Resource("TYPE_REPO", f"{organization}/*", ("scope-image-pull",))
        with self.lock:
            token = OrganizationToken(
                uuid=str(uuid4()),
                label=label,
                value="dckr_oat_" + secrets.token_urlsafe(24),  # 24 bytes make 32 characters
                created_at=self._next_moment(),
                active=active,
                expires_at=expires_at,
                organization=organization,
                resources=(pull,) if resources is None else tuple(resources),
                created_by=created_by,
                description=description,
            )
            self.tokens[token.uuid] = token
            return token

    @property
    def moment(self) -> datetime:
        """The time at Docker Hub."""
        return self._now()

    def _is_of(self, repository: str, organization: str) -> bool:
        """Tell whether an organization has a repository."""
        known = {*self.organizations[organization].repositories, *self.public_repositories}
        return repository in known and repository.startswith(f"{organization}/")

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.clock(), UTC)

    def _next_moment(self) -> datetime:
        """Return a time of creation, which no other token has."""
        self._last_created = max(self._now(), self._last_created + timedelta(microseconds=1))
        return self._last_created
