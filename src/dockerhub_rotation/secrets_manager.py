"""The Secrets Manager gateway: staging labels and values of one account's secrets, in the domain's words."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

from dockerhub_rotation import replicas
from dockerhub_rotation.aws import ask
from dockerhub_rotation.errors import (
    AwsUnavailable,
    EventRefused,
    RotationError,
    SecretUnusable,
    VersionAlreadyStored,
)
from dockerhub_rotation.replicas import Replica
from dockerhub_rotation.request import RotationRequest

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

_T = TypeVar("_T")

# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html
_PAGE_SIZE = 100

CURRENT, PENDING, PREVIOUS = "AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"


@dataclass(frozen=True)
class StoredValue:
    """The value of a version, and when the version was made (seconds since 1970; 0 if AWS does not say)."""

    text: str = field(repr=False)
    created_at: float


@dataclass(frozen=True)
class SecretVersions:
    """The staging labels of a secret at one moment.

    Attributes:
        arn: the secret's ARN.
        rotation_enabled: False if rotation was never configured or is switched off.
        labels: version id to its staging labels; versions without a label are not listed.
        changed_at: when the secret last changed in any way, in seconds since 1970.
        rotated_at: when a rotation of it last ended well, in seconds since 1970; 0 if none has.
        tags: the secret's tags.
        rotation_function: ARN of the function that rotates it; None if none does.
        next_rotation_at: until when it is to be rotated, in seconds since 1970; 0 if that is not planned.
        replicas: those in other Regions.
        seen_at: the moment, by the clock of AWS that dates the changes, in seconds since 1970.
        rotated_every_days: days from one rotation to the next; 0 if AWS does not tell. It works them out after each
            rotation: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotationRulesType.html
    """

    arn: str
    rotation_enabled: bool
    labels: Mapping[str, frozenset[str]]
    changed_at: float
    rotated_at: float = 0.0
    tags: Mapping[str, str] = field(default_factory=dict)
    rotation_function: str | None = None
    next_rotation_at: float = 0.0
    replicas: tuple[Replica, ...] = ()
    seen_at: float = 0.0
    rotated_every_days: int = 0

    def holder(self, label: str) -> str | None:
        """Return the version that carries a staging label, or None."""
        return next((version for version, labels in self.labels.items() if label in labels), None)

    @property
    def is_rotating(self) -> bool:
        """Whether a version waits to become AWSCURRENT: its rotation goes on, or has stopped on its way."""
        return self.holder(PENDING) not in (None, self.holder(CURRENT))

    def rotated_since(self, stored: StoredValue | None) -> bool:
        """Tell whether a rotation has ended well since a value was stored: then one has made it, or superseded it."""
        return stored is not None and 0 < stored.created_at <= self.rotated_at

    def pins(self, version_id: str) -> frozenset[str]:
        """Return the staging labels of people's own that a version carries: AWS's begin with AWS."""
        return frozenset(label for label in self.labels.get(version_id, ()) if not label.startswith("AWS"))

    def promoted(self, version_id: str) -> "SecretVersions":
        """Return these labels as they are once AWSCURRENT has moved to a version.

        AWSPREVIOUS goes to the version that lost AWSCURRENT, and whoever had it keeps its other labels
        (https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html).
        """
        former = self.holder(CURRENT)
        moved = {version: labels - {CURRENT, PREVIOUS} for version, labels in self.labels.items()}
        if former is not None:
            moved[former] |= {PREVIOUS}
        moved[version_id] |= {CURRENT}
        return replace(self, labels={version: labels for version, labels in moved.items() if labels})


@dataclass(frozen=True)
class Listed:
    """What the list of secrets says of one.

    Attributes:
        changed_at: when it last changed in any way, in seconds since 1970; 0 if the list does not say.
        tags: its tags.
    """

    changed_at: float
    tags: Mapping[str, str]


class SecretsManager:
    """Secrets Manager, as far as a rotation step needs it.

    Every method raises AwsRefused or AwsUnavailable (see `aws.ask`) if AWS does not do as asked.
    """

    def __init__(self, client: "SecretsManagerClient") -> None:
        self._client = client

    def versions(self, secret_id: str) -> SecretVersions:
        """Return the staging labels as they are now.

        Raises:
            EventRefused: there is no such secret.
        """
        answer = ask(
            "secretsmanager:DescribeSecret",
            _permission("DescribeSecret"),
            lambda: _unless(
                self._client.exceptions.ResourceNotFoundException,
                lambda: self._client.describe_secret(SecretId=secret_id),
            ),
        )
        if answer is None:
            raise EventRefused("The event names a secret that does not exist in this account and Region.")
        arn = _expect(answer, "ARN", "secretsmanager:DescribeSecret")
        changed, rotated = answer.get("LastChangedDate"), answer.get("LastRotatedDate")  # AWS promises no field
        return SecretVersions(
            arn=arn,
            rotation_enabled=answer.get("RotationEnabled", False),  # absent if it was never configured
            labels={version: frozenset(labels) for version, labels in answer.get("VersionIdsToStages", {}).items()},
            changed_at=_seconds(changed),
            rotated_at=_seconds(rotated),
            tags=_tags(answer),
            rotation_function=answer.get("RotationLambdaARN"),
            next_rotation_at=_seconds(answer.get("NextRotationDate")),
            replicas=replicas.read(answer),
            seen_at=_told_at(answer),
            rotated_every_days=answer.get("RotationRules", {}).get("AutomaticallyAfterDays", 0),
        )

    def rotated_by(self, function_arn: str) -> dict[str, Listed]:
        """Return the secrets that name a function as the one that rotates them, by and in the order of their ARNs.

        The list of secrets says so of each, and may lag behind what DescribeSecret says.
        """
        found: dict[str, Listed] = {}
        page: dict[str, Any] = {}
        while True:
            answer = self._list(page)
            secrets = answer.get("SecretList")
            if not isinstance(secrets, list):
                raise _not_secrets_manager("secretsmanager:ListSecrets")
            ours = (secret for secret in secrets if secret.get("RotationLambdaARN") == function_arn)
            found |= {secret["ARN"]: Listed(_seconds(secret.get("LastChangedDate")), _tags(secret)) for secret in ours}
            if not answer.get("NextToken"):
                return dict(sorted(found.items()))
            page = {"NextToken": answer["NextToken"]}

    def _list(self, page: dict[str, Any]) -> Mapping[str, Any]:
        return ask(
            "secretsmanager:ListSecrets",
            "Check that the function's role allows secretsmanager:ListSecrets.",
            lambda: self._client.list_secrets(MaxResults=_PAGE_SIZE, **page),
        )

    def value(self, secret_id: str, version_id: str) -> StoredValue | None:
        """Return the value of a version, or None if the version has none (yet).

        Secrets Manager makes a pending version first and leaves it to createSecret to give it a value.

        Raises:
            SecretUnusable: the value is binary.
        """
        answer = ask(
            "secretsmanager:GetSecretValue",
            _permission("GetSecretValue", "kms:Decrypt"),
            lambda: _unless(
                self._client.exceptions.ResourceNotFoundException,
                lambda: self._client.get_secret_value(SecretId=secret_id, VersionId=version_id),
            ),
        )
        if answer is None:
            return None
        _expect(answer, "VersionId", "secretsmanager:GetSecretValue")
        if "SecretString" not in answer:
            raise SecretUnusable("The secret is binary. Store its value as text (SecretString).")
        return StoredValue(answer["SecretString"], _seconds(answer.get("CreatedDate")))

    def store_pending(self, request: RotationRequest, value: str) -> None:
        """Give the pending version its value. Storing the same value again changes nothing.

        Raises:
            VersionAlreadyStored: the version has another value.
            AwsRefused: it was not stored.
            AwsUnavailable: it may have been stored.
        """
        token: dict[str, Any] = {"RotationToken": request.rotation_token} if request.rotation_token else {}
        answer = ask(
            "secretsmanager:PutSecretValue",
            _permission("PutSecretValue", "kms:Decrypt, kms:GenerateDataKey"),
            lambda: _unless(
                self._client.exceptions.ResourceExistsException,
                lambda: self._client.put_secret_value(
                    SecretId=request.secret_id,
                    ClientRequestToken=request.version_id,
                    SecretString=value,
                    VersionStages=[PENDING],
                    **token,
                ),
            ),
        )
        if answer is None:
            raise VersionAlreadyStored
        _expect(answer, "VersionId", "secretsmanager:PutSecretValue")

    def promote(self, secret_id: str, version_id: str, former: str | None) -> None:
        """Move AWSCURRENT to the pending version. Done before is done.

        Args:
            former: the version that carries AWSCURRENT now.

        Raises:
            EventRefused: AWSCURRENT has moved to a third version meanwhile.
        """
        if not self.move_current(secret_id, version_id, former):
            raise EventRefused(
                "AWSCURRENT was moved to another version during the rotation, so this version is not promoted. Drop "
                "it, and start a new rotation.",
                verbs=("unblock",),
            )

    def move_current(self, secret_id: str, version_id: str, former: str | None) -> bool:
        """Move AWSCURRENT to a version; Secrets Manager moves AWSPREVIOUS itself. Done before is done.

        Return False, and move nothing, if it has moved to a third version meanwhile.

        Args:
            former: the version that carries AWSCURRENT now.
        """
        lock: dict[str, Any] = {"RemoveFromVersionId": former} if former else {}
        try:
            answer = ask(
                "secretsmanager:UpdateSecretVersionStage",
                _permission("UpdateSecretVersionStage"),
                lambda: self._client.update_secret_version_stage(
                    SecretId=secret_id, VersionStage=CURRENT, MoveToVersionId=version_id, **lock
                ),
            )
            _expect(answer, "ARN", "secretsmanager:UpdateSecretVersionStage")
        except RotationError as failure:
            unclear = failure
        else:
            return True
        # A twin, or an earlier try whose answer was lost, may have moved it; or somebody else, elsewhere.
        holder = self.versions(secret_id).holder(CURRENT)
        if holder == former:
            raise unclear
        return holder == version_id

    def start_rotation(self, arn: str, version_id: str) -> bool:
        """Start a rotation by the function and the schedule that the secret has. Started before is started.

        https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html: without further parameters
        it takes the values that are stored. It would switch rotation on where that is off. AWS refuses it while a
        version is AWSPENDING, and never makes a version twice.

        Args:
            version_id: of the version that is to be rotated in; it must not be there yet.

        Returns:
            Whether that version is being rotated in, or has been; False if it is another one that is.
        """
        try:
            answer = ask(
                "secretsmanager:RotateSecret",
                "Check that the caretaker's role allows secretsmanager:RotateSecret on this secret, and "
                "lambda:InvokeFunction on the rotation function: Heal=rotate in its stack does both.",
                lambda: self._client.rotate_secret(SecretId=arn, ClientRequestToken=version_id),
            )
            _expect(answer, "VersionId", "secretsmanager:RotateSecret")
        except RotationError as failure:
            unclear = failure
        else:
            return True
        # A twin, or an earlier try whose answer was lost, may have started it; or somebody else another.
        versions = self.versions(arn)
        if version_id in versions.labels:
            return True
        if versions.is_rotating:
            return False
        raise unclear


def _unless(refusal: type[Exception], call: Callable[[], _T]) -> _T | None:
    """Make a call and return its answer, or None if AWS refuses it in the way that the caller expects."""
    try:
        return call()
    except refusal:
        return None


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0


def _tags(answer: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in answer.get("Tags", [])}  # absent if there are none


def _told_at(answer: Mapping[str, Any]) -> float:
    """Return when AWS has answered, by its own clock, in whole seconds since 1970; by this machine's if it is not said.

    https://www.rfc-editor.org/rfc/rfc9110#field.date
    """
    try:
        return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]).timestamp()
    except (KeyError, TypeError, ValueError, OverflowError):
        return time.time()


def _permission(action: str, kms: str = "") -> str:
    key = f" (and {kms} on the secret's own key, if it has one)" if kms else ""
    return f"Check that the function's role allows secretsmanager:{action} on this secret{key}."


def _expect(answer: Mapping[str, Any], field: str, action: str) -> str:
    """Return a field that every true answer has: botocore makes a dict even of a proxy's HTML page."""
    value = answer.get(field)
    if not isinstance(value, str):
        raise _not_secrets_manager(action)
    return value


def _not_secrets_manager(action: str) -> AwsUnavailable:
    return AwsUnavailable(f"{action} was answered by something that is not Secrets Manager. Check proxy and endpoint.")
