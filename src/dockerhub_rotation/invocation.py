"""What an invocation works with: what its sandbox has kept, and what is its own."""

from dataclasses import dataclass, replace
from typing import Self

from dockerhub_rotation import credential
from dockerhub_rotation.credential import Credential
from dockerhub_rotation.deadline import Deadline
from dockerhub_rotation.docker_hub import Connection, DockerHub
from dockerhub_rotation.parameters import Parameters
from dockerhub_rotation.secrets_manager import SecretsManager
from dockerhub_rotation.settings import Settings


@dataclass(frozen=True)
class Invocation:
    """The two outside worlds, the account, the settings, and the time there is."""

    settings: Settings
    parameters: Parameters
    secrets_manager: SecretsManager
    docker_hub: DockerHub
    deadline: Deadline

    def going_by(self, settings: Settings) -> Self:
        """Return the same with other settings: a secret's own."""
        return replace(self, settings=settings, docker_hub=self.docker_hub.going_by(settings))

    @property
    def username(self) -> str:
        """The name with which the secret's tokens log in. Raises what `Parameters.account` raises."""
        return self.settings.organization or self.parameters.account().username

    def may_be(self, username: str | None) -> bool:
        """Tell whether a user name may be that one; none at all (None) speaks for any."""
        return username is None or username.lower() == self.username.lower()

    def parse(self, value: str) -> Credential:
        """Take a secret's value apart, which holds a token of the kind that is made. Raises SecretUnusable."""
        return credential.parse(value, self.settings.token_kind)


@dataclass(frozen=True)
class Sandbox:
    """What is made once and kept while Lambda keeps the process."""

    settings: Settings
    parameters: Parameters
    secrets_manager: SecretsManager
    connection: Connection

    def begin(self, deadline: Deadline) -> Invocation:
        """Return what the next invocation works with."""
        docker_hub = DockerHub(self.settings, self.parameters, self.connection, deadline)
        return Invocation(self.settings, self.parameters, self.secrets_manager, docker_hub, deadline)
