"""The wire between the function and its two parties: loopback servers, a ledger of requests, faults on order.

Every request of the function passes a door of one `Wire`, which numbers it, lets the party behind the door handle it
and writes it down. A `Fault` names a request by its number: a run repeated with the fault at 1, 2, 3, ... has failed
at every point at which the world can fail.
"""

from __future__ import annotations

import bisect
import contextlib
import io
import itertools
import math
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Party = Literal["AWS", "Docker Hub"]

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class FaultKind(StrEnum):
    """What goes wrong with a request: *before* its party acts on it, or *after*, before the answer is on its way."""

    KILLED_BEFORE = "killed-before"  # the function's process dies
    KILLED_AFTER = "killed-after"
    LOST_BEFORE = "lost-before"  # the connection is dropped
    LOST_AFTER = "lost-after"
    UNAVAILABLE_BEFORE = "unavailable-before"  # 503
    UNAVAILABLE_AFTER = "unavailable-after"
    RATE_LIMITED = "rate-limited"  # 429 with Retry-After in seconds; AWS says ThrottlingException instead
    RATE_LIMITED_UNTIL = "rate-limited-until"  # the same with Retry-After as unix time
    HTML = "html"  # 200 with a web page, as from a captive portal or a maintenance page
    GATEWAY = "gateway"  # 404 with a gateway's JSON, as where a route is missing
    FIREWALL = "firewall"  # 403 with a firewall's plain text
    SLOW = "slow"  # acted upon, but the answer is not there before the function gives up waiting


@dataclass(frozen=True)
class Fault:
    """One fault, which befalls the request with the number `at` (the first request is 1).

    Attributes:
        name: if `at` is 0, the first request of this name is meant,
        after: of those with a number above this one.
    """

    at: int
    kind: FaultKind
    name: str = ""
    after: int = 0


@dataclass(frozen=True)
class Request:
    """One line of the ledger.

    Attributes:
        number: 1..n, in the order in which requests arrived at any door.
        party: who was asked.
        name: an AWS action, or method and path of a Docker Hub request; holds no id, query value or secret.
        status: the HTTP status of the answer; None if the connection was dropped instead.
        seconds: how long the party took.
        fault: what went wrong on order.
        round_trips: how often something went to the party and back: once, and for the first request on a connection
            three times, because TCP and TLS 1.3 take a round trip each.
    """

    number: int
    party: Party
    name: str
    status: int | None
    seconds: float
    fault: FaultKind | None = None
    round_trips: int = 1


def _nobody_to_kill() -> None:
    raise RuntimeError("a killed-* fault is due, but nobody has set Wire.kill")


class Wire:
    """The function's doorway to the world.

    Args:
        faults: what is to go wrong; more may be added to `faults` while the wire is in use.
        on_request: called with each request after it has been handled and before the function hears of it. Runs in the
            request's own thread, so requests that overlap call it at the same time.
        clock: a monotonic clock, in seconds.

    Attributes:
        kill: ends the process that runs the function; whoever runs it sets this before a killed-* fault is due.
        round_trip: how long each round trip takes, in seconds.
    """

    def __init__(
        self,
        *,
        faults: Iterable[Fault] = (),
        on_request: Callable[[Request], None] | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.faults = list(faults)
        self.kill: Callable[[], None] = _nobody_to_kill
        self.round_trip = 0.0
        self._on_request = on_request
        self._clock = clock
        self._numbers = itertools.count(1)
        self._requests: list[Request] = []  # by number
        self._named: dict[str, int] = {}  # the last request of each name
        self._writing = Lock()
        self._connections: set[Any] = set()

    @property
    def requests(self) -> list[Request]:
        """The requests handled so far, by number."""
        return self._requests.copy()

    def door(self, app: WSGIApplication, party: Party) -> WSGIApplication:
        """Return `app` behind this wire: the same service, its requests numbered, written down and hit by faults."""

        def doorway(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            round_trips = self._travel(environ)
            number, started, name = next(self._numbers), self._clock(), _name(environ)
            fault = self._fault(number, name)
            answer = _answer(app, party, environ, fault)
            status = None if answer is None else answer.status_code
            request = Request(number, party, name, status, self._clock() - started, fault, round_trips)
            with self._writing:
                bisect.insort(self._requests, request, key=lambda handled: handled.number)
            if self._on_request:
                self._on_request(request)
            if fault in (FaultKind.KILLED_BEFORE, FaultKind.KILLED_AFTER):
                self.kill()
            if fault is FaultKind.SLOW:
                _await_hanging_up(environ["werkzeug.socket"])
            if answer is None:
                raise ConnectionAbortedError  # the server hangs up without a word
            return answer(environ, start_response)

        return doorway

    def _fault(self, number: int, name: str) -> FaultKind | None:
        """Return what befalls a request."""
        with self._writing:
            last = self._named.get(name, 0)
            self._named[name] = number
        meant = (
            fault
            for fault in self.faults
            if fault.at == number or (not fault.at and fault.name == name and last <= fault.after < number)
        )
        return next((fault.kind for fault in meant), None)

    def _travel(self, environ: WSGIEnvironment) -> int:
        """Wait as long as a request and its answer are under way, and return how many round trips that was."""
        connection = environ.get("SERVER_PORT"), environ.get("REMOTE_PORT")
        round_trips = 1 if connection in self._connections else 3
        self._connections.add(connection)
        if self.round_trip:
            time.sleep(round_trips * self.round_trip)
        return round_trips


def _name(environ: WSGIEnvironment) -> str:
    """Name a request without its ids, query and body, in which secrets travel."""
    target = environ.get("HTTP_X_AMZ_TARGET")  # e.g. "secretsmanager.PutSecretValue"
    if target is not None:
        return str(target).rpartition(".")[2]
    return f"{environ['REQUEST_METHOD']} {_UUID.sub('{uuid}', environ['PATH_INFO'])}"


def _answer(app: WSGIApplication, party: Party, environ: WSGIEnvironment, fault: FaultKind | None) -> Response | None:
    """Let the party handle the request, or the fault spoil it; None means that no answer goes back."""

    def handled() -> Response:
        return Response.from_app(app, environ, buffered=True)

    if fault is None:
        return handled()
    if fault in _ACTED_UPON:
        handled()
    return _spoiled(party, fault)


# What befalls a request after its party has acted on it; before it, all others.
_ACTED_UPON = {FaultKind.KILLED_AFTER, FaultKind.LOST_AFTER, FaultKind.SLOW, FaultKind.UNAVAILABLE_AFTER}


def _spoiled(party: Party, fault: FaultKind) -> Response | None:
    """Return what comes back instead of the party's answer."""
    match fault:
        case FaultKind.UNAVAILABLE_BEFORE | FaultKind.UNAVAILABLE_AFTER:
            return _unavailable()
        case FaultKind.RATE_LIMITED:
            return _throttled(party, "1")
        case FaultKind.RATE_LIMITED_UNTIL:
            return _throttled(party, str(math.ceil(time.time()) + 1))
        case FaultKind.HTML:
            return Response("<!doctype html><title>Be right back</title>", 200, content_type="text/html")
        case FaultKind.GATEWAY:
            return Response('{"message": "no Route matched with those values"}', 404, content_type="application/json")
        case FaultKind.FIREWALL:
            return Response("error code: 1020", 403, content_type="text/plain")
        case _:
            return None


def _unavailable() -> Response:
    return Response('{"message": "Service Unavailable"}', 503, content_type="application/json")


def _throttled(party: Party, retry_after: str) -> Response:
    """Refuse as each party does.

    https://docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html and, for Docker Hub's two units,
    https://github.com/docker/hub-feedback/issues/2459
    """
    if party == "AWS":
        body = '{"__type": "ThrottlingException", "message": "Rate exceeded"}'
        return Response(body, 400, content_type="application/x-amz-json-1.1")
    return Response(
        '{"detail": "Rate limit exceeded"}', 429, {"Retry-After": retry_after}, content_type="application/json"
    )


def _await_hanging_up(connection: socket.socket) -> None:
    """Return when the caller has closed the connection, or `Server` has ended it."""
    with contextlib.suppress(OSError):
        connection.recv(1)  # a caller that waits for an answer sends nothing more


class Server:
    """A WSGI app on a free loopback port, for the length of a `with` block.

    With a TLS context it is called by the name of localhost, which its certificate has to hold.

    Connections are kept alive between requests, as AWS and Docker Hub do. When the block ends, so have all threads and
    sockets. An exception that the app let through was answered with a 500 and is raised at the end of the block, so
    that a broken simulator cannot pass for a broken world.

    Attributes:
        url: where the server listens, without a slash at the end; known inside the block.
    """

    url: str

    def __init__(self, app: WSGIApplication, tls: ssl.SSLContext | None = None) -> None:
        self._app = app
        self._tls = tls

    def __enter__(self) -> Self:
        self._server = _LoopbackServer(self._app, self._tls)
        self._thread = Thread(target=self._server.serve_until_it_ends, daemon=True)
        self._thread.start()
        self.url = f"{'https://localhost' if self._tls else 'http://127.0.0.1'}:{self._server.port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.end()
        self._thread.join()
        self._server.hang_up()
        if error is None and self._server.crashes:
            raise self._server.crashes[0]


class _LoopbackServer(ThreadedWSGIServer):
    """werkzeug's threaded server, which also remembers its connections, to be able to end them."""

    def __init__(self, app: WSGIApplication, tls: ssl.SSLContext | None) -> None:
        super().__init__("127.0.0.1", 0, app, _Handler, ssl_context=tls)
        self.crashes: list[Exception] = []
        self._connections: list[tuple[Thread, socket.socket]] = []
        self._ended = False

    def serve_until_it_ends(self) -> None:
        """Do as `serve_forever`, which looks many times a second whether it is to end, or ends late."""
        with contextlib.closing(self.socket):
            while not self._ended:
                self.handle_request()

    def end(self) -> None:
        self._ended = True
        with contextlib.suppress(OSError):  # nobody else needs to come
            socket.create_connection(("127.0.0.1", self.port)).close()

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._ended:
            self.shutdown_request(request)
            return
        thread = Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        self._connections.append((thread, request))
        thread.start()

    def hang_up(self) -> None:
        for _, connection in self._connections:
            with contextlib.suppress(OSError):  # closed long ago
                connection.shutdown(socket.SHUT_RDWR)
        for thread, _ in self._connections:
            thread.join()


class _Handler(WSGIRequestHandler):
    """werkzeug's request handler, silent and with keep-alive, which werkzeug itself never grants."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _LoopbackServer

    def run_wsgi(self) -> None:
        environ = self.make_environ()
        # Read whole, so that the next request on this connection starts where this one ends.
        environ["wsgi.input"] = io.BytesIO(self.rfile.read(int(environ.get("CONTENT_LENGTH") or 0)))
        try:
            answer = Response.from_app(self.server.app, environ, buffered=True)
        except ConnectionAbortedError:
            raise  # a connection lost on order: werkzeug closes it
        except Exception as crash:  # noqa: BLE001 - whatever it is, Server raises it
            self.server.crashes.append(crash)
            answer = Response("the simulator crashed", 500)
        self.send_response_only(answer.status_code)
        for name, value in answer.get_wsgi_headers(environ):
            self.send_header(name, value)
        self.end_headers()
        for part in answer.get_app_iter(environ):
            self.wfile.write(part)

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """Say nothing: the ledger is the log."""
