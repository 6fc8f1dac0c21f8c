"""The Lambda entry point: wiring, a report whatever becomes of the step, and the error raised again."""

import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from threading import Event, Thread, get_ident
from typing import Any, Protocol

from dockerhub_rotation import aws, logs, request, rotation, settings
from dockerhub_rotation.aws import CLIENT_CONFIG
from dockerhub_rotation.deadline import Deadline
from dockerhub_rotation.docker_hub import Connection
from dockerhub_rotation.errors import OutOfTime, RotationError, UnexpectedError
from dockerhub_rotation.invocation import Sandbox
from dockerhub_rotation.parameters import Parameters
from dockerhub_rotation.report import About, Report
from dockerhub_rotation.secrets_manager import SecretsManager
from dockerhub_rotation.steps.step import Outcome

logger = logs.configure()

_HERE = Path(__file__).parent


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
    about = About.of(event)
    logger.set_correlation_id(about.version)
    report = Report(about, lambda: sandbox().parameters)
    deadline = Deadline(context.get_remaining_time_in_millis)
    with _watched(report, deadline):
        result = _result(event, report, deadline)
    said = report.write(result)
    if isinstance(said, RotationError):
        raise said  # outside of any except: what a library has raised must not become its context


def _result(event: Any, report: Report, deadline: Deadline) -> Outcome | RotationError:
    try:
        asked = request.parse(event)
        invocation = sandbox().begin(deadline)
        report.hub = invocation.docker_hub.http
        return rotation.rotate(asked, invocation)
    except RotationError as failure:
        return failure
    except Exception as defect:  # noqa: BLE001 - whatever it is, it is reported
        return UnexpectedError(
            f"A defect in the function: {type(defect).__name__} at "
            f"{_places(traceback.extract_tb(defect.__traceback__))}. Please report it with this line; AWSCURRENT is "
            "what DescribeSecret says it is, and the next rotation repairs the rest."
        )


@contextmanager
def _watched(report: Report, deadline: Deadline) -> Iterator[None]:
    """See to it that there is a report before Lambda ends the invocation, whatever the step hangs in.

    No timeout is enough for that: a socket's begins anew with each piece of an answer and each address of a host, and
    none holds for the resolution of a name. What has been reported then is how the invocation ends, also if the step
    should still come to another end.
    """
    ended, watched = Event(), get_ident()

    def watch() -> None:
        while (seconds := deadline.seconds_until_report()) > 0:
            if ended.wait(seconds):
                return
        frame = sys._current_frames()[watched]  # noqa: SLF001 - it is for this: what a thread is at
        ours = [at for at in traceback.extract_stack(frame) if Path(at.filename).is_relative_to(_HERE)]
        report.write(
            OutOfTime(
                f"The invocation's time is used up while {_places(ours)} waits. Secrets Manager tries again by itself; "
                "a longer function timeout avoids it, unless no answer ever comes: in a VPC, check the route."
            )
        )

    with suppress(RuntimeError):  # no thread is to be had: the step is done unwatched
        Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def _places(frames: Iterable[traceback.FrameSummary]) -> str:
    return " > ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
