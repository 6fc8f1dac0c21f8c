"""No answer takes more than its share of memory or time, whatever it is and however it comes."""

import gzip
import socket
from collections.abc import Callable, Iterator
from threading import Event
from typing import TYPE_CHECKING

import httpx
import pytest
from httpcore._backends.sync import SyncStream

from dockerhub_rotation.deadline import Deadline
from dockerhub_rotation.docker_hub.answers import Answer
from dockerhub_rotation.docker_hub.http import Http, Pool
from dockerhub_rotation.errors import DockerHubUnavailable
from tests.docker_hub.loopback import Talk, answering, heard, listening, reply
from tests.docker_hub.wire import page

if TYPE_CHECKING:
    from tests.conftest import Clock

MIB = 1 << 20
LARGEST = page(*({"token_label": "x" * 500} for _ in range(100))).content


def without_end(head: bytes, piece: bytes) -> Talk:
    """Return a talk that goes on for so long that whoever listens to its end has lost."""

    def talk(connection: socket.socket) -> None:
        heard(connection)
        connection.sendall(head)
        for _ in range(64):
            connection.sendall(piece * (MIB // len(piece)))

    return talk


ENDLESS = without_end(b"HTTP/1.1 200 OK\r\n\r\n", b"x")
CHUNKED = without_end(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"400\r\n" + b"x" * 1024 + b"\r\n")
ENDLESS_HEADERS = without_end(b"HTTP/1.1 200 OK\r\n", b"X-Header: one more\r\n")
PACKED = answering(reply(gzip.compress(b"[" + b" " * 64 * MIB + b"]"), "Content-Encoding: gzip"))
TOO_LARGE = answering(reply(b"x" * (MIB + 1)))
FAULTS = {
    "endless": ENDLESS,
    "chunked": CHUNKED,
    "endless headers": ENDLESS_HEADERS,
    "packed": PACKED,
    "too large": TOO_LARGE,
}
each_fault = pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool()
    yield pool
    pool.close()


def ask(pool: Pool, url: str, remaining_milliseconds: Callable[[], int] = lambda: 65_000) -> Answer:
    return Http(pool, Deadline(remaining_milliseconds)).send("Asking", "GET", url, tries=1)


@each_fault
def test_an_answer_without_measure_is_refused(fault: Talk, pool: Pool, clock: "Clock") -> None:
    with listening(fault) as port, pytest.raises(DockerHubUnavailable):
        ask(pool, f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("body", [LARGEST, b"", b"x" * MIB], ids=["a page of 100", "nothing", "1 MiB"])
def test_an_answer_of_a_size_that_there_is_comes_whole(body: bytes, pool: Pool, clock: "Clock") -> None:
    with listening(answering(reply(body))) as port:
        assert ask(pool, f"http://127.0.0.1:{port}").body == body


@pytest.mark.parametrize("headers", [["Content-Encoding: identity"], ["Content-Type: text/html; charset=\udce9\udcff"]])
def test_what_is_not_packed_is_read_whatever_its_headers_say(headers: list[str], pool: Pool, clock: "Clock") -> None:
    data = reply(b"{}", "X-Mark: y").replace(b"X-Mark: y", headers[0].encode(errors="surrogateescape"))
    with listening(answering(data)) as port:
        assert ask(pool, f"http://127.0.0.1:{port}").object() == {}


def test_nothing_is_left_of_an_answer_without_content(pool: Pool, clock: "Clock") -> None:
    """What says that nothing is packed has said nothing."""
    with listening(answering(b"HTTP/1.1 204 No Content\r\nContent-Encoding: gzip\r\n\r\n")) as port:
        assert ask(pool, f"http://127.0.0.1:{port}").status == 204


def test_docker_hub_is_asked_not_to_pack(pool: Pool, clock: "Clock") -> None:
    asked: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        asked.append(heard(connection))
        connection.sendall(reply(b""))

    with listening(talk) as port:
        ask(pool, f"http://127.0.0.1:{port}")

    assert [line for line in asked[0].lower().split(b"\r\n") if b"accept-encoding" in line] == [
        b"accept-encoding: identity"
    ]


@each_fault
def test_no_fault_takes_a_connection_out_of_the_pool(fault: Talk, pool: Pool, clock: "Clock") -> None:
    """It has a hundred."""
    with listening(fault) as port:
        for _ in range(101):
            with pytest.raises(DockerHubUnavailable, match="not Docker Hub's API|RemoteProtocolError"):
                ask(pool, f"http://127.0.0.1:{port}")

    with listening(answering(reply(b"{}"))) as port:
        assert ask(pool, f"http://127.0.0.1:{port}").object() == {}


# Time


class Dripping(httpx.BaseTransport, httpx.SyncByteStream):
    """Sends a body of which every piece comes in the last moment, and counts those who have heard enough."""

    def __init__(self, clock: "Clock", seconds_to_headers: float) -> None:
        self.closed = 0
        self._clock = clock
        self._seconds_to_headers = seconds_to_headers

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._clock.tick(self._seconds_to_headers)
        self._timeouts = request.extensions["timeout"]
        return httpx.Response(200, stream=self)

    def __iter__(self) -> Iterator[bytes]:
        while True:
            self._clock.tick(self._timeouts["read"] * 0.99)
            yield b"x"

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize(
    ("seconds", "to_headers"), [(110, 0), (60, 0), (60, 59), (20, 9), (3, 0), (3, 2.5), (1.5, 0)], ids=str
)
def test_a_body_that_drips_ends_before_the_time_does(seconds: float, to_headers: float, clock: "Clock") -> None:
    dripping = Dripping(clock, to_headers)
    due = clock.now + seconds

    with pytest.raises(DockerHubUnavailable, match="TimeoutError, it took too long"):
        ask(Pool(dripping), "https://hub.docker.com", lambda: round((due + 5 - clock.now) * 1000))

    assert clock.now <= due
    assert dripping.closed == 1


def test_the_timeout_for_a_body_is_of_the_time_that_the_headers_have_left(
    pool: Pool, clock: "Clock", monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the connection has it, which gets it in a way that httpcore does not promise."""
    timeouts: list[float | None] = []
    asked, looked = Event(), Event()
    due = clock.now + 24
    read = SyncStream.read

    def recorded(stream: SyncStream, max_bytes: int, timeout: float | None = None) -> bytes:
        timeouts.append(timeout)
        return read(stream, max_bytes, timeout)

    def talk(connection: socket.socket) -> None:
        heard(connection)
        clock.tick(16)
        asked.set()
        head, _, body = reply(b"{}").partition(b"\r\n\r\n")
        connection.sendall(head + b"\r\n\r\n")
        looked.wait(10)
        connection.sendall(body)

    def remaining_milliseconds() -> int:
        if asked.is_set():
            looked.set()
        return round((due + 5 - clock.now) * 1000)

    monkeypatch.setattr(SyncStream, "read", recorded)
    with listening(talk) as port:
        ask(pool, f"http://127.0.0.1:{port}", remaining_milliseconds)

    assert timeouts == [10, 4]
