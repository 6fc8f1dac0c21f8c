"""What both functions of the package begin with: wiring, a report whatever comes of it, and the error raised again."""

import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from threading import Event, Thread, get_ident
from typing import Protocol, TypeVar

from dockerhub_rotation import aws, logs, settings
from dockerhub_rotation.aws import CLIENT_CONFIG
from dockerhub_rotation.deadline import Deadline
from dockerhub_rotation.docker_hub import Connection
from dockerhub_rotation.errors import OutOfTime, RotationError, UnexpectedError
from dockerhub_rotation.invocation import Invocation, Sandbox
from dockerhub_rotation.parameters import Parameters
from dockerhub_rotation.report import Report
from dockerhub_rotation.secrets_manager import SecretsManager

_HERE = Path(__file__).parent

_Asked = TypeVar("_Asked")
_Result = TypeVar("_Result")


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


def enter(
    event: object,
    context: LambdaContext,
    report: Report[_Result],
    parse: Callable[[object], _Asked],
    do: Callable[[_Asked, Invocation], _Result],
) -> _Result:
    """Do what an event asks for, report what comes of it, and return it.

    Args:
        report: begun for this invocation.
        parse: checks the event, before anything else is done.
        do: does what it asks for.

    Raises:
        RotationError: it failed, or was refused.
    """
    deadline = Deadline(context.get_remaining_time_in_millis)
    with _watched(report, deadline):
        result = _result(event, report, deadline, parse, do)
    said = report.write(result)
    if isinstance(said, RotationError):
        raise said  # outside of any except: what a library has raised must not become its context
    return said


def _result(
    event: object,
    report: Report[_Result],
    deadline: Deadline,
    parse: Callable[[object], _Asked],
    do: Callable[[_Asked, Invocation], _Result],
) -> _Result | RotationError:
    try:
        asked = parse(event)
        invocation = sandbox().begin(deadline)
        report.hub = invocation.docker_hub.http
        return do(asked, invocation)
    except RotationError as failure:
        return failure
    except Exception as defect:  # noqa: BLE001 - whatever it is, it is reported
        return UnexpectedError(
            f"A defect in the function: {type(defect).__name__} at "
            f"{_places(traceback.extract_tb(defect.__traceback__))}. Please report it with this line; AWSCURRENT is "
            "what DescribeSecret says it is, and the next rotation repairs the rest."
        )


@contextmanager
def _watched(report: Report[_Result], deadline: Deadline) -> Iterator[None]:
    """See to it that there is a report before Lambda ends the invocation, whatever the work hangs in.

    No timeout is enough for that: a socket's begins anew with each piece of an answer and each address of a host, and
    none holds for the resolution of a name. What has been reported then is how the invocation ends, also if the work
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
                f"The invocation's time is used up while {_places(ours)} waits. A later try may get through; "
                "a longer function timeout avoids it, unless no answer ever comes: in a VPC, check the route."
            )
        )

    with suppress(RuntimeError):  # no thread is to be had: the work is done unwatched
        Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def _places(frames: Iterable[traceback.FrameSummary]) -> str:
    return " > ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
