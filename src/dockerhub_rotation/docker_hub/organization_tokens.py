"""An organization's access tokens: each says what it may do where, and all count towards the organization's quota.

https://docs.docker.com/reference/api/hub/latest/#tag/org-access-tokens; https://docs.docker.com/security/access-tokens/
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from dockerhub_rotation.docker_hub.answers import OURS, Answer, Names, Token
from dockerhub_rotation.docker_hub.management_login import ManagementLogin
from dockerhub_rotation.docker_hub.tokens import NewToken, Superseded, Tokens, no_token
from dockerhub_rotation.errors import AnswerUnknown, DockerHubRefused, DockerHubUnavailable
from dockerhub_rotation.organization_settings import Resource, may_pull
from dockerhub_rotation.settings import Settings

_MOST_NAMED = 10

_Resources = frozenset[Resource]


class OrganizationTokens(Tokens):
    """An organization's tokens.

    Args:
        organization: its name, as the paths of its repositories begin.
        settings: how many tokens it may have, and what a first one may do.
    """

    _names = Names(uuid="id", label="label", last_used="last_used_at", count="total")
    _prefix = "dckr_oat_"
    _called = "organization access token"
    # Whether a 404 speaks of the token, or of an organization that this account is none of any more, is not documented.
    _missing_is_gone = False

    def __init__(self, login: ManagementLogin, organization: str, settings: Settings) -> None:
        super().__init__(login)
        self._path = f"/v2/orgs/{organization}/access-tokens"
        self.not_found = (
            "not named by logging in with it, so it is left alone; if it still works, disable it by hand, with its id "
            'and a management login as docs/organizations.md has them: `curl -X PATCH -H "Authorization: Bearer '
            "$LOGIN\" -H 'Content-Type: application/json' -d '{\"is_active\": false}' "
            f"{settings.api_url}{self._path}/ID`"
        )
        self._by_hand = f"Do it by hand in the settings of organization {organization}."
        self._if_not_listed = (
            f"The account that logs in has to be a member of organization {organization} with the role to manage its "
            "access tokens, and the organization's name has to be spelled as the paths of its repositories begin. Look "
            "at the account's role, at DOCKERHUB_ORGANIZATIONS and at the secret's tag."
        )
        self._organization = organization
        self._quota = settings.organization_quota
        self._first = frozenset(
            [one for one in settings.organization_resources if one.belongs_to(organization)] or may_pull(organization)
        )

    def create(self, label: str, expires_at: datetime | None = None, superseded: Superseded = no_token) -> NewToken:
        """Make a token that may do what the one does that it supersedes, and a first one what the settings say.

        Arguments and errors as for every kind. It is refused before it is asked for if the organization would have more
        tokens than its quota.
        """
        tokens = self.listed()
        self._require_room(tokens)
        resources = self._of_superseded(superseded(tokens)) or self._first
        documents = sorted((one.document() for one in resources), key=lambda one: (one["type"], one["path"]))
        answer = self._create({"label": label, "resources": documents}, expires_at)
        if not answer.success:
            raise answer.error(
                f"Organization {self._organization} may have reached its number of tokens (disabled and expired ones "
                f"count), or have none of the repositories {', '.join(sorted({one.path for one in resources}))}, or "
                "the account's role may not manage its tokens. Try it by hand in the organization's settings."
            )
        made = self._made(answer, expires_at, lambda _: _differs(answer, resources))
        # Once another is stored, no login may tell any more which of them that is.
        return replace(made, abandoned=tuple(token.uuid for token in tokens if token.label == label))

    def _require_room(self, tokens: list[Token]) -> None:
        """Refuse one token more than there may be: disabled and expired ones count, until they are deleted."""
        if not self.shows_all:
            raise DockerHubUnavailable(
                f"The list of organization {self._organization}'s tokens counts more than it shows, so it is not known "
                "whether there is room for one more."
            )
        if len(tokens) < self._quota:
            return
        ours = [token for token in tokens if token.label.startswith(OURS)]
        now = self._login.now()
        idle = [token.uuid for token in tokens if token.active is False or token.expired(now)]
        may_go = f"those that are disabled or expired: {_named(idle)}" if idle else "none is disabled or expired"
        raise DockerHubRefused(
            f"Organization {self._organization} has {len(tokens)} access tokens, and DOCKERHUB_ORGANIZATION_QUOTA is "
            f"{self._quota}, so none is made. {len(ours)} of them are this function's. What may go: {may_go}. Deleting "
            "a secret's last disabled one ends its way back. Delete what nobody needs, let DOCKERHUB_SUPERSEDED=delete "
            "do it, or set the quota to what the organization's plan allows.",
            verbs=("set", "again"),
        )

    def _of_superseded(self, superseded: list[Token]) -> _Resources | None:
        """Return what the token may do that is superseded, or None if there is none.

        Raises:
            AnswerUnknown: it may be one of several, and they do not agree.
        """
        told = {self._resources(token) for token in superseded}
        if len(told) > 1:
            raise AnswerUnknown(
                f"Any of the tokens {_named(token.uuid for token in superseded)} may be the one that is superseded, "
                "and they may do different things, so it is not known what a new one may do. Delete those that no "
                "consumer has, by hand in the organization's settings."
            )
        return next(iter(told), None)

    def _resources(self, token: Token) -> _Resources:
        """Return what a token may do: its own answer tells, and not the list."""
        answer = self._login.send(f"Reading token {token.uuid}", "GET", f"{self._path}/{token.uuid}")
        if not answer.success:
            raise answer.error(self._by_hand)
        found = _told(answer)
        if not found:
            raise AnswerUnknown(
                f"{answer.what}: the answer does not say what the token may do, so it is not known what a new one may. "
                "If it is so at the next attempt, please report this line."
            )
        return found


def _differs(answer: Answer, asked: _Resources) -> str | None:
    told = _told(answer)
    if told == asked:
        return None
    if told is None:
        return "a token without saying what it may do"
    return "a token that may do something else than was asked for"


def _told(answer: Answer) -> _Resources | None:
    """Return what an answer says that its token may do, whatever the order; None if that can't be read."""
    told = answer.says("resources")
    try:
        return frozenset(map(Resource.read, told)) if isinstance(told, list) else None
    except ValueError:
        return None


def _named(uuids: Iterable[str]) -> str:
    named = list(uuids)
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    return ", ".join(named[:_MOST_NAMED]) + more
