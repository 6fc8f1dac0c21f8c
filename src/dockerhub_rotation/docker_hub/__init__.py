"""Docker Hub, in rooms: who wants what of it is wired here.

Two kinds of login, never to be mixed up: the *management login* (the account's password) makes, changes and deletes
tokens; *logging in with a token* is what consumers do, and tells whether a token works and which one it is.
"""

from copy import copy
from dataclasses import dataclass, field

from dockerhub_rotation.deadline import Deadline
from dockerhub_rotation.docker_hub.http import Http, Pool
from dockerhub_rotation.docker_hub.management_login import ManagementLogin, Remembered
from dockerhub_rotation.docker_hub.organization_tokens import OrganizationTokens
from dockerhub_rotation.docker_hub.personal_tokens import PersonalTokens
from dockerhub_rotation.docker_hub.token_login import TokenLogin
from dockerhub_rotation.docker_hub.tokens import Tokens
from dockerhub_rotation.parameters import Parameters
from dockerhub_rotation.settings import Settings


@dataclass(frozen=True)
class Connection:
    """What outlives an invocation.

    Attributes:
        pool: the open connections.
        management: the login with the account's password.
        known: tokens that have told their uuid.
    """

    pool: Pool = field(default_factory=Pool)
    management: Remembered = field(default_factory=Remembered)
    known: dict[bytes, str] = field(default_factory=dict, repr=False)


class DockerHub:
    """Docker Hub, for one invocation.

    Attributes:
        connection: what outlives the invocation.
        http: its requests, counted.
        management: the login with the account's password.
        tokens: those of the account, or of an organization.
        login: logging in with a token.
    """

    def __init__(self, settings: Settings, parameters: Parameters, connection: Connection, deadline: Deadline) -> None:
        self.connection = connection
        self.http = Http(connection.pool, deadline)
        self.management = ManagementLogin(settings, parameters, self.http, connection.management, deadline)
        self.tokens = tokens_of(self.management, settings)
        self.login = TokenLogin(settings, self.http, connection.known)
        self._settings = settings

    def going_by(self, settings: Settings) -> "DockerHub":
        """Return the same, which makes and tests tokens by other settings, perhaps those of another owner."""
        if settings == self._settings:
            return self
        other = copy(self)
        other.tokens = tokens_of(self.management, settings)
        other.login = self.login.going_by(settings)
        other._settings = settings  # noqa: SLF001
        return other


def tokens_of(management: ManagementLogin, settings: Settings) -> Tokens:
    """Return the tokens of which the settings say whose they are."""
    if settings.organization is None:
        return PersonalTokens(management, settings.scopes)
    return OrganizationTokens(management, settings.organization, settings)
