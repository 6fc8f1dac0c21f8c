"""The event that Secrets Manager sends, as a value: a dict comes in, a checked request goes on.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda.html
"""

from dataclasses import dataclass, field
from enum import Enum

from dockerhub_rotation.errors import EventRefused


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


def parse(event: object) -> RotationRequest:
    """Check an event and return it as a request.

    Raises:
        EventRefused: it is not an object, lacks a field, or names an unknown step.
    """
    if not isinstance(event, dict):
        raise EventRefused(
            "The event is not an object. This function is called by Secrets Manager; start a rotation with "
            "aws secretsmanager rotate-secret."
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


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
