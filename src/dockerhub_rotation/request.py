"""What an event asks for, as a value: a dict comes in, a checked request goes on.

Secrets Manager sends steps (https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda.html),
which are the rotation function's. Tasks are the caretaker's: a schedule sends them, and people.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from dockerhub_rotation.errors import EventRefused

# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html
_SECRET_ARN = re.compile(
    r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]{1,512}-[A-Za-z0-9]{6}"
)
# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html
_VERSION_ID = re.compile("[!-~]{32,64}")


class Step(Enum):
    """The four steps of a rotation, spelled as Secrets Manager sends them."""

    CREATE = "createSecret"
    SET = "setSecret"
    TEST = "testSecret"
    FINISH = "finishSecret"


@dataclass(frozen=True)
class RotationRequest:
    """One step to do.

    Attributes:
        step: which of the four.
        secret_id: the secret's ARN (its name in events made by hand).
        version_id: the version that is being rotated in; the event calls it ClientRequestToken.
        rotation_token: to be passed on with PutSecretValue. A credential of the caller: never to be shown.
            Absent in events made by hand.
    """

    step: Step
    secret_id: str
    version_id: str
    rotation_token: str | None = field(default=None, repr=False)


class TaskName(Enum):
    """What the caretaker does."""

    RECONCILE = "Reconcile"
    RETIRE = "Retire"
    ROLLBACK = "Rollback"
    PREFLIGHT = "Preflight"


@dataclass(frozen=True)
class TaskRequest:
    """One task to do.

    Attributes:
        task: which.
        secret_arn: the secret that it is about; None for all that the rotation function rotates, or for none.
        version_id: the version that is to be AWSCURRENT again; None but for a rollback.
    """

    task: TaskName
    secret_arn: str | None = None
    version_id: str | None = None


_ABOUT_ONE_SECRET = (TaskName.RETIRE, TaskName.ROLLBACK)


def parse(event: object) -> RotationRequest:
    """Check an event of the rotation function and return it as a request.

    Raises:
        EventRefused: it is not an object, lacks a field, names an unknown step, or is one of the caretaker's.
    """
    if not isinstance(event, dict):
        raise EventRefused(
            "The event is not an object. This function is called by Secrets Manager; start a rotation with "
            "aws secretsmanager rotate-secret."
        )
    if "Task" in event:
        raise EventRefused(
            "The event asks for a task, and this function does the steps of a rotation. Send it to the caretaker, "
            "whose name ends in -caretaker."
        )
    missing = [name for name in ("Step", "SecretId", "ClientRequestToken") if not _is_text(event.get(name))]
    if missing:
        raise EventRefused(f"The event has no {' and no '.join(missing)}. See events/ for what a step looks like.")
    step = next((step for step in Step if step.value == event["Step"]), None)
    if step is None:
        raise EventRefused(f"The event's Step is none of {', '.join(step.value for step in Step)}.")
    token = event.get("RotationToken")
    if token is not None and not _is_text(token):
        raise EventRefused("The event's RotationToken is not a text. Pass it on as Secrets Manager sent it.")
    return RotationRequest(step, event["SecretId"], event["ClientRequestToken"], token)


def parse_task(event: object) -> TaskRequest:
    """Check an event of the caretaker and return it as a request.

    Raises:
        EventRefused: it is not an object, has a field that is not known, names an unknown task, lacks a field that the
            task needs or has one that is another's, does not name a secret by its whole ARN, or is one of the rotation
            function's. No field is quoted: somebody may have pasted a token there.
    """
    if not isinstance(event, dict):
        raise EventRefused('The event is not an object. Send one like {"Task": "Reconcile"}.')
    if "Step" in event:
        raise EventRefused(
            "The event asks for a step of a rotation, and this is the caretaker. Start a rotation with aws "
            "secretsmanager rotate-secret."
        )
    if unknown := event.keys() - {"Task", "SecretId", "VersionId"}:
        raise EventRefused(
            f"The event has {_number(unknown)} that no task knows, beside Task, SecretId and VersionId. Leave it out."
        )
    task = next((task for task in TaskName if task.value == event.get("Task")), None)
    if task is None:
        raise EventRefused(f"The event's Task is none of {', '.join(task.value for task in TaskName)}.")
    return TaskRequest(task, _secret_of(task, event), _version_of(task, event))


def _secret_of(task: TaskName, event: Mapping[str, object]) -> str | None:
    if "SecretId" not in event:
        if task in _ABOUT_ONE_SECRET:
            raise EventRefused(f"{task.value} is about one secret: name it in SecretId, by its whole ARN.")
        return None
    if task is TaskName.PREFLIGHT:
        raise EventRefused("Preflight is about no secret. Leave SecretId out.")
    arn = event["SecretId"]
    if not isinstance(arn, str) or not _SECRET_ARN.fullmatch(arn):
        raise EventRefused(
            "The event's SecretId is not the whole ARN of a secret. aws secretsmanager describe-secret shows it."
        )
    return arn


def _version_of(task: TaskName, event: Mapping[str, object]) -> str | None:
    if "VersionId" not in event:
        if task is TaskName.ROLLBACK:
            raise EventRefused(
                "Rollback goes back to one version: name it in VersionId. aws secretsmanager describe-secret shows "
                "which one carries AWSPREVIOUS."
            )
        return None
    if task is not TaskName.ROLLBACK:
        raise EventRefused(f"{task.value} is about no version. Leave VersionId out.")
    version = event["VersionId"]
    if not isinstance(version, str) or not _VERSION_ID.fullmatch(version):
        raise EventRefused(
            "The event's VersionId is not the id of a version. aws secretsmanager describe-secret shows them."
        )
    return version


def _number(fields: set[object]) -> str:
    return "a field" if len(fields) == 1 else f"{len(fields)} fields"


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
