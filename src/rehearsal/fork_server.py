"""A fork server: a process that has read all that the function imports, but not the function, and copies itself.

To start Python, to import the AWS SDK and to parse its models takes many times as long as a rotation. A copy is a
process of its own like any other, which loads the function with the environment it is given, and which SIGKILL ends.

This module run as a program is the server: it takes orders on a socket, one at a time, and answers each with a number.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import IO, Any, Self

from rehearsal import sandbox
from rehearsal.read_once import read_once

_SOURCES = Path(__file__).resolve().parent.parent
_LONGEST_ORDER = 64 * 1024


class ForkServer:
    """The server, for the length of a `with` block."""

    def __enter__(self) -> Self:
        self._socket, theirs = socket.socketpair()
        self._server = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", __name__, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(_SOURCES)},
            pass_fds=(theirs.fileno(),),
        )
        theirs.close()
        self._lock = Lock()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._server.wait()

    def order(self, order: dict[str, Any], *descriptors: int) -> int:
        """Have the server do something, and return what it says. From any thread."""
        with self._lock:
            socket.send_fds(self._socket, [json.dumps(order).encode()], descriptors)
            return int(self._socket.recv(_LONGEST_ORDER))

    def function(self, environment: Mapping[str, str], **options: Any) -> ForkedFunction:
        """Return a function whose processes this server starts; for `World`."""
        return ForkedFunction(self, environment, **options)


class ForkedFunction(sandbox.Function):
    """The function, in processes that a fork server starts."""

    def __init__(self, server: ForkServer, environment: Mapping[str, str], **options: Any) -> None:
        super().__init__(environment, **options)
        self._server = server

    def launch(self, environment: Mapping[str, str], log: IO[bytes], results: int) -> sandbox.Process:
        """Order the process from the server."""
        events, stdin = os.pipe()
        pid = self._server.order({"environment": dict(environment)}, events, log.fileno(), results)
        os.close(events)
        return _Copy(self._server, pid, os.fdopen(stdin, "wb"))


class _Copy:
    """A process that the server has started. Until `wait` it keeps its id, which no other process gets meanwhile."""

    def __init__(self, server: ForkServer, pid: int, stdin: IO[bytes]) -> None:
        self.stdin = stdin
        self._server = server
        self._pid = pid

    def poll(self) -> int | None:
        return 0 if self._server.order({"ended": self._pid}) else None

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)

    def wait(self) -> int:
        return self._server.order({"reap": self._pid})


def _serve(orders: socket.socket) -> None:
    _import_what_the_function_imports()
    while True:
        message, descriptors, _, _ = socket.recv_fds(orders, _LONGEST_ORDER, 3)
        if not message:
            return
        order = json.loads(message)
        if "environment" in order:
            answer = os.fork()
            if answer == 0:
                orders.close()
                _become_the_function(order["environment"], *descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
        elif "ended" in order:
            answer = int(os.waitid(os.P_PID, order["ended"], os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None)
        else:
            _, answer = os.waitpid(order["reap"], 0)
        orders.send(str(answer).encode())


def _import_what_the_function_imports() -> None:
    """Import the libraries, and keep the models that botocore parses; nothing of the function, which reads settings."""
    import aws_lambda_powertools.metrics  # noqa: F401
    import httpx
    from botocore.session import get_session

    read_once()
    httpx.Client().close()
    for service in ("secretsmanager", "ssm"):
        get_session().create_client(service, region_name="eu-central-1").close()
    gc.freeze()  # so that collecting garbage does not make each process copy all that


def _become_the_function(environment: dict[str, str], events: int, log: int, results: int) -> None:
    os.dup2(events, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.clear()
    os.environ.update(environment)
    try:
        sandbox.serve(os.fdopen(results, "w"))
    except BaseException:  # noqa: BLE001 - as Python does when a program ends
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(0)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt), socket.socket(fileno=int(sys.argv[1])) as connection:
        _serve(connection)
