"""A function as Lambda runs it: in a process of its own, which is kept warm and may be killed at any time.

`Function` is the side of the Lambda service. This module run as a program is the side of the runtime: it takes events
on standard input, calls the handler, and says how that went on a pipe of its own, so that everything the function
prints on standard output and standard error is its log and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self

_SOURCES = Path(__file__).resolve().parent.parent

# What a process runs that has no _HANDLER in its environment, in which Lambda's runtime finds it, too:
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
HANDLER = "dockerhub_rotation.handler.lambda_handler"


class FunctionError(Exception):
    """The function raised, ran into its timeout, or its process died."""


class Process(Protocol):
    """A process of the function, as far as `subprocess.Popen` is asked here."""

    @property
    def stdin(self) -> IO[bytes] | None:
        """Takes the events."""

    def poll(self) -> int | None:
        """Return None as long as it runs."""

    def kill(self) -> None:
        """Send it SIGKILL, if it runs."""

    def wait(self) -> int:
        """Return when it has ended."""


class Function:
    """The deployed function.

    Args:
        environment: its environment variables; it sees no others.
        cold: whether every invocation gets a fresh process, as after a long pause; else the process stays warm.
        timeout_seconds: when the service ends an invocation.
    """

    def __init__(self, environment: Mapping[str, str], *, cold: bool = False, timeout_seconds: float = 60) -> None:
        self._environment = {
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": str(_SOURCES),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            **environment,
        }
        self._cold = cold
        self._timeout_seconds = timeout_seconds
        # Append mode: reading here does not move the place at which the function writes.
        self._log: IO[bytes] = tempfile.TemporaryFile("a+b")  # noqa: SIM115 - closed on exit
        self._process: Process | None = None
        self._results: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()
        self._log.close()

    def invoke(self, event: object) -> object:
        """Call the handler with an event, and return what it answers.

        Raises:
            FunctionError: with what the handler raised, or how the process ended.
        """
        if self._process is None or self._process.poll() is not None:
            self._start()
        process, results = self._process, self._results
        assert process is not None  # just started
        assert process.stdin is not None
        assert results is not None
        with contextlib.suppress(BrokenPipeError):  # it has died; what follows notices
            process.stdin.write(json.dumps({"event": event, "seconds": self._timeout_seconds}).encode() + b"\n")
            process.stdin.flush()
        answered, _, _ = select.select([results], [], [], self._timeout_seconds)
        line = results.readline() if answered else b""
        if self._cold or not line:
            self.discard()
        if not answered:
            raise FunctionError(f"timed out after {self._timeout_seconds:g} seconds")
        if not line:
            raise FunctionError("the process of the function died")
        result = json.loads(line)
        if error := result.get("error"):
            raise FunctionError(f"{error['type']}: {error['message']}")
        return result["answer"]

    @property
    def environment(self) -> Mapping[str, str]:
        """Its environment variables, as they are configured now."""
        return self._environment

    @property
    def timeout_seconds(self) -> float:
        """When the service ends an invocation, as it is configured now."""
        return self._timeout_seconds

    def configure(self, environment: Mapping[str, str], timeout_seconds: float | None = None) -> None:
        """Change some of its environment variables, and its timeout, as a deployment does.

        The next invocation gets a fresh process.
        """
        self._environment = {**self._environment, **environment}
        self._timeout_seconds = timeout_seconds or self._timeout_seconds
        self.discard()

    def kill(self) -> None:
        """End the process at once, in whatever it is doing; the next invocation starts another. From any thread."""
        if self._process:
            self._process.kill()

    def log(self) -> str:
        """Return everything the function has printed so far."""
        self._log.seek(0)
        return self._log.read().decode()

    def _start(self) -> None:
        self.discard()
        read_end, write_end = os.pipe()
        self._process = self.launch(self._environment, self._log, write_end)
        os.close(write_end)
        self._results = os.fdopen(read_end, "rb")

    def launch(self, environment: Mapping[str, str], log: IO[bytes], results: int) -> Process:
        """Start the process: this module as a program.

        Args:
            log: takes what the process prints.
            results: the file descriptor of the pipe on which it says how an invocation went.
        """
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", __name__, str(results)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            pass_fds=(results,),
        )

    def discard(self) -> None:
        """End the process, if there is one; the next invocation starts another."""
        if self._process is not None and self._process.stdin is not None and self._results is not None:
            self._process.kill()
            self._process.wait()
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
            self._results.close()
        self._process = self._results = None


class Context:
    """The part of Lambda's context object that a Python function sees.

    https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
    """

    function_name = "dockerhub-rotation"
    function_version = "$LATEST"
    memory_limit_in_mb = 128
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:dockerhub-rotation"
    aws_request_id = "00000000-0000-4000-8000-000000000000"

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the service ends the invocation."""
        return max(0, round((self._ends_at - time.monotonic()) * 1000))


def serve(results: IO[str]) -> None:
    """Call the handler with every event that comes on standard input, and say on `results` how that went."""
    module, _, name = os.environ.get("_HANDLER", HANDLER).rpartition(".")
    handle = getattr(import_module(module), name)

    for line in sys.stdin:
        call: dict[str, Any] = json.loads(line)
        result: dict[str, object] = {}
        try:
            result["answer"] = handle(call["event"], Context(call["seconds"]))
        except Exception as raised:  # noqa: BLE001 - Lambda's runtime catches, prints and reports whatever it is
            traceback.print_exc()
            result["error"] = {"type": type(raised).__name__, "message": str(raised)}
        sys.stdout.flush()
        results.write(json.dumps(result) + "\n")
        results.flush()


if __name__ == "__main__":
    with os.fdopen(int(sys.argv[1]), "w") as pipe:
        serve(pipe)
