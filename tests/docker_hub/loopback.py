"""Servers on this machine, for what only a real connection shows."""

import socket
import socketserver
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread

Talk = Callable[[socket.socket], None]


@contextmanager
def listening(talk: Talk) -> Iterator[int]:
    """Hold one talk with everybody who connects, each in a thread that ends with it; yield the port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):  # the other side has heard enough
                talk(self.request)

    class Server(socketserver.ThreadingTCPServer):
        block_on_close = False  # a connection that is kept open may stay so until its other side is closed
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def heard(connection: socket.socket) -> bytes:
    """Return the head of a request, and what came with it."""
    request = b""
    while b"\r\n\r\n" not in request and (piece := connection.recv(65_536)):
        request += piece
    return request


def reply(body: bytes, *headers: str, status: int = 200) -> bytes:
    """Return an answer after which the connection stays open."""
    lines = (f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers)
    return "\r\n".join((*lines, "", "")).encode() + body
