"""What an invocation works with: what its sandbox has kept, and what is its own."""

from dataclasses import dataclass, replace

from dockerhub_rotation.deadline import Deadline
from dockerhub_rotation.docker_hub import Connection, DockerHub
from dockerhub_rotation.parameters import Account, Parameters
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

    def going_by(self, settings: Settings) -> "Invocation":
        """Return the same with other settings: a secret's own. To be asked for before Docker Hub is."""
        return replace(self, settings=settings, docker_hub=self.docker_hub.going_by(settings))

    @property
    def account(self) -> Account:
        """The account whose tokens are managed. Raises what `Parameters.account` raises."""
        return self.parameters.account()


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
