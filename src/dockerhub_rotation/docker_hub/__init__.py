"""Docker Hub, in rooms: who wants what of it is wired here.

Two kinds of login, never to be mixed up: the *management login* (the account's password) makes, changes and deletes
tokens; *logging in with a token* is what consumers do, and tells whether a token works and which one it is.
"""

from copy import copy
from dataclasses import dataclass, field

from dockerhub_rotation.deadline import Deadline
from dockerhub_rotation.docker_hub.http import Http, Pool
from dockerhub_rotation.docker_hub.management_login import ManagementLogin, Remembered
from dockerhub_rotation.docker_hub.personal_tokens import PersonalTokens
from dockerhub_rotation.docker_hub.token_login import TokenLogin
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
        tokens: the account's tokens.
        login: logging in with a token.
    """

    def __init__(self, settings: Settings, parameters: Parameters, connection: Connection, deadline: Deadline) -> None:
        self.connection = connection
        self.http = Http(connection.pool, deadline)
        self.management = ManagementLogin(settings, parameters, self.http, connection.management, deadline)
        self.tokens = PersonalTokens(self.management, settings.scopes)
        self.login = TokenLogin(settings, self.http, connection.known)
        self._known = connection.known

    def going_by(self, settings: Settings) -> "DockerHub":
        """Return the same, which makes and tests tokens by other settings. To be asked for before anything is sent."""
        other = copy(self)
        other.tokens = PersonalTokens(self.management, settings.scopes)
        other.login = TokenLogin(settings, self.http, self._known)
        return other
