"""The Lambda entry point: wiring, one log line, metrics, notification, and the error raised again."""

import os
import time
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Any, Protocol

from dockerhub_rotation import aws, logs, request, rotation, settings
from dockerhub_rotation.aws import CLIENT_CONFIG
from dockerhub_rotation.deadline import Deadline
from dockerhub_rotation.docker_hub import Connection
from dockerhub_rotation.docker_hub.http import Http
from dockerhub_rotation.errors import RotationError, UnexpectedError
from dockerhub_rotation.invocation import Sandbox
from dockerhub_rotation.notifications import Failure, notify
from dockerhub_rotation.parameters import Parameters
from dockerhub_rotation.secrets_manager import SecretsManager
from dockerhub_rotation.steps.step import Outcome

logger = logs.configure()
metrics = logs.metrics()

# Out of what `Deadline` keeps for the report; the log line and the metrics, which come first, take next to nothing.
_SLACK_SECONDS = 4


@cache
def sandbox() -> Sandbox:
    """Read the settings and build the clients. A failure is not kept: the next invocation tries again.

    Raises:
        SettingsInvalid: environment variables are wrong.
    """
    read = settings.read({**os.environ, **logs.SET_ASIDE})
    ssm, secrets_manager = aws.clients(CLIENT_CONFIG, "ssm", "secretsmanager")
    return Sandbox(read, Parameters(read, ssm), SecretsManager(secrets_manager), Connection())


# While Lambda loads this module it gives it whole processors; an invocation gets its memory's share, at 128 MB a
# fourteenth of one. https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
if "AWS_LAMBDA_INITIALIZATION_TYPE" in os.environ:
    with suppress(Exception):  # the invocation meets it again, and reports it
        sandbox()


class LambdaContext(Protocol):
    """What this module asks of https://docs.aws.amazon.com/lambda/latest/dg/python-context.html."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda ends the invocation."""


# An explicit log_event=False also wins over POWERTOOLS_LOGGER_LOG_EVENT: the event holds the RotationToken.
@logger.inject_lambda_context(log_event=False, clear_state=True)
def lambda_handler(event: Any, context: LambdaContext) -> None:
    """Do one step of a rotation, as Secrets Manager asks for it.

    https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda.html

    Raises:
        RotationError: the step failed, which is how Secrets Manager learns of it.
    """
    began = time.monotonic()
    about = _About.of(event)
    hub: Http | None = None
    logger.set_correlation_id(about.version)
    result: Outcome | RotationError
    try:
        asked = request.parse(event)
        invocation = sandbox().begin(Deadline(context.get_remaining_time_in_millis))
        hub = invocation.docker_hub.http
        result = rotation.rotate(asked, invocation)
    except RotationError as failure:
        result = failure
    except Exception as defect:  # noqa: BLE001 - whatever it is, it is reported
        result = _unexpected(defect)
    _report(about, began, hub, result)
    if isinstance(result, RotationError):
        raise result


@dataclass(frozen=True)
class _About:
    """What an event is about, as far as it says: for reports, before anything is checked."""

    step: str
    secret: str
    version: str | None

    @classmethod
    def of(cls, event: object) -> "_About":
        fields = event if isinstance(event, dict) else {}
        step, secret, version = (fields.get(name) for name in ("Step", "SecretId", "ClientRequestToken"))
        return cls(
            step=step if step in [known.value for known in request.Step] else "unknown step",
            secret=secret if isinstance(secret, str) else "unknown secret",
            version=version if isinstance(version, str) else None,
        )


def _report(about: _About, began: float, hub: Http | None, result: Outcome | RotationError) -> None:
    """Write the one log line and the metrics of an invocation; then, as it may take long, tell Slack of a failure."""
    milliseconds = round((time.monotonic() - began) * 1000)
    requests = hub.requests if hub else 0
    failed = isinstance(result, RotationError)
    metrics.add_dimension("step", about.step)
    metrics.add_metric("StepsFailed" if failed else "StepsSucceeded", "Count", 1)
    metrics.add_metric("Duration", "Milliseconds", milliseconds)
    metrics.add_metric("DockerHubRequests", "Count", requests)
    if hub and hub.requests_left is not None:
        metrics.add_metric("RateLimitRemaining", "Count", hub.requests_left)

    facts = {"step": about.step, "secret": about.secret, "milliseconds": milliseconds, "docker_hub_requests": requests}
    if isinstance(result, RotationError):
        kind = type(result).__name__
        logger.error(str(result), extra=facts | {"error": kind, "consumers_affected": result.consumers_affected})
        metrics.flush_metrics()
        _tell_slack(result, Failure(about.secret, about.step, kind, str(result), result.consumers_affected))
        return
    retired = result.retired
    metrics.add_metric("TokensRetired", "Count", retired.disabled + retired.deleted)
    metrics.add_metric("OrphansDeleted", "Count", retired.orphans)
    metrics.add_metric("TokensUnidentified", "Count", retired.unidentified)
    logger.info(result.message, extra=facts | asdict(retired))
    metrics.flush_metrics()


def _tell_slack(error: RotationError, failure: Failure) -> None:
    """Tell Slack, and wait no longer than the report may take: an answer that drips ends no timeout of a socket.

    What is left of it then goes on in the sandbox's next invocation.
    """
    telling = Thread(target=_notify, args=(error, failure), daemon=True)
    try:
        telling.start()
    except RuntimeError:  # no thread is to be had
        logger.warning("Slack was not told: no thread could be started.")
        return
    telling.join(_SLACK_SECONDS)
    if telling.is_alive():
        logger.warning("Slack may not have been told: it took more than %d s.", _SLACK_SECONDS)


def _notify(error: RotationError, failure: Failure) -> None:
    try:
        parameters = sandbox().parameters
        if parameters.failure and parameters.failure in (error, error.__cause__):
            return  # it is Parameter Store that has failed, and it holds the webhook
        if webhook := parameters.webhook():
            notify(webhook, failure)
    except Exception as trouble:  # noqa: BLE001 - whatever it is, it must not hide the failure
        text = str(trouble) if isinstance(trouble, RotationError) else type(trouble).__name__
        logger.warning("Slack was not told: %s", text)


def _unexpected(defect: Exception) -> UnexpectedError:
    """Return a defect as an error that tells its type and place, but not its text."""
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(defect.__traceback__)]
    return UnexpectedError(
        f"A defect in the function: {type(defect).__name__} at {' > '.join(places)}. Please report it with this line; "
        "AWSCURRENT is what DescribeSecret says it is, and the next rotation repairs the rest."
    )
