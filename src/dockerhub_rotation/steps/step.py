"""What a step works with, and what it reports."""

from dataclasses import dataclass, field

from dockerhub_rotation import token_labels
from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.invocation import Invocation
from dockerhub_rotation.request import RotationRequest
from dockerhub_rotation.retirement import Retired
from dockerhub_rotation.secrets_manager import SecretVersions, StoredValue
from dockerhub_rotation.tags import Applied


@dataclass(frozen=True)
class Rotation(Invocation):
    """An invocation that is about one version of a secret.

    Attributes:
        request: what is asked for.
        versions: the staging labels, as they were when the invocation began.
        tags: what came of the secret's tags. If any is wrong, the settings are the function's own.
    """

    request: RotationRequest
    versions: SecretVersions
    tags: Applied

    def value_of(self, version: str | None) -> str | None:
        """Return the value of a version, or None if there is no such version or it has no value."""
        stored = self.stored(version)
        return stored.text if stored else None

    def stored(self, version: str | None) -> StoredValue | None:
        """Return what a version stores, or None if there is no such version or it has no value."""
        return self.secrets_manager.value(self.request.secret_id, version) if version else None

    @property
    def label(self) -> str:
        """The label of the token that is made for the version that is rotated in."""
        return token_labels.label_for(self.versions.arn, self.request.version_id)

    def is_for_pending(self, token: Token) -> bool:
        """Tell whether a token was made for the version that is rotated in."""
        version = self.request.version_id
        return token_labels.version_of(token, self.versions.arn, [version]) == version


@dataclass(frozen=True)
class Outcome:
    """What a step has to report: one sentence, and what it did to superseded tokens."""

    message: str
    retired: Retired = field(default_factory=Retired)
