"""The wire numbers every request, spoils the ones it is told to spoil, and leaves nothing behind."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from werkzeug.wrappers import Request as WebRequest
from werkzeug.wrappers import Response

from rehearsal.wire import Fault, FaultKind, Party, Request, Server, Wire

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

UUID = "11111111-2222-4333-8444-555555555555"


class Counter:
    """A party that counts what it has done and answers with the count; it keeps the path and body it was sent."""

    def __init__(self) -> None:
        self.done = 0
        self.bodies: list[str] = []

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        request = WebRequest(environ)
        if request.path == "/broken":
            raise ZeroDivisionError
        self.done += 1
        self.bodies.append(request.get_data(as_text=True))
        answer = Response(status=204) if request.method == "DELETE" else Response(f"done {self.done}")
        return answer(environ, start_response)


@pytest.fixture
def hub() -> Counter:
    return Counter()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def client(stack: ExitStack, wire: Wire, party: Counter, name: Party = "Docker Hub") -> httpx.Client:
    """A client of a party behind a door of the wire."""
    server = stack.enter_context(Server(wire.door(party, name)))
    return stack.enter_context(httpx.Client(base_url=server.url, trust_env=False, timeout=10))


# The ledger


def test_requests_are_numbered_in_the_order_of_their_arrival_at_any_door(stack: ExitStack, hub: Counter) -> None:
    wire = Wire()
    docker_hub, aws = client(stack, wire, hub), client(stack, wire, Counter(), "AWS")

    docker_hub.post("/v2/auth/token")
    aws.post("/", headers={"X-Amz-Target": "secretsmanager.PutSecretValue"})
    docker_hub.get("/v2/access-tokens")

    assert [(request.number, request.party, request.name, request.status) for request in wire.requests] == [
        (1, "Docker Hub", "POST /v2/auth/token", 200),
        (2, "AWS", "PutSecretValue", 200),
        (3, "Docker Hub", "GET /v2/access-tokens", 200),
    ]


def test_a_name_holds_no_id_and_no_query(stack: ExitStack, hub: Counter) -> None:
    wire = Wire()

    client(stack, wire, hub).patch(f"/v2/access-tokens/{UUID}?secret=1", content="secret")

    assert wire.requests[0].name == "PATCH /v2/access-tokens/{uuid}"


def test_the_ledger_says_how_long_a_party_took(stack: ExitStack, hub: Counter) -> None:
    ticks = iter([10.0, 12.5])
    wire = Wire(clock=lambda: next(ticks))

    client(stack, wire, hub).get("/")

    assert wire.requests[0].seconds == 2.5


@pytest.mark.parametrize("kind", [None, *FaultKind])
def test_every_request_is_looked_at_after_its_effect_and_before_its_answer(
    stack: ExitStack, hub: Counter, kind: FaultKind | None
) -> None:
    seen: list[tuple[int, FaultKind | None, int]] = []
    answered = False

    def look(request: Request) -> None:
        assert not answered
        seen.append((request.number, request.fault, hub.done))

    wire = Wire(faults=[Fault(1, kind)] if kind else [], on_request=look)
    wire.kill = lambda: seen.append((0, None, 0))
    docker_hub = client(stack, wire, hub)

    with suppress(httpx.RemoteProtocolError, httpx.ReadTimeout):
        docker_hub.get("/", timeout=0.1 if kind is FaultKind.SLOW else 5)
    answered = True

    assert seen[0] == (1, kind, hub.done)
    assert wire.requests[0].fault is kind


# Faults


@pytest.mark.parametrize(("after", "struck"), [(0, 1), (1, 3), (2, 3), (3, None)])
def test_a_fault_by_name_befalls_the_first_request_of_that_name_after_a_number(
    stack: ExitStack, hub: Counter, after: int, struck: int | None
) -> None:
    wire = Wire(faults=[Fault(0, FaultKind.UNAVAILABLE_BEFORE, "GET /token", after=after)])
    docker_hub = client(stack, wire, hub)

    for path in ("/token", "/v2/", "/token"):
        docker_hub.get(path)

    assert [request.number for request in wire.requests if request.fault] == ([struck] if struck else [])


@pytest.mark.parametrize(
    ("kind", "effects"),
    [
        (FaultKind.KILLED_BEFORE, 0),
        (FaultKind.KILLED_AFTER, 1),
        (FaultKind.LOST_BEFORE, 0),
        (FaultKind.LOST_AFTER, 1),
    ],
)
def test_a_dropped_connection_never_answers(stack: ExitStack, hub: Counter, kind: FaultKind, effects: int) -> None:
    deaths: list[int] = []
    wire = Wire(faults=[Fault(1, kind)])
    wire.kill = lambda: deaths.append(hub.done)
    docker_hub = client(stack, wire, hub)

    with pytest.raises(httpx.RemoteProtocolError, match="disconnected without sending a response"):
        docker_hub.post("/", content="body")

    assert hub.done == effects
    assert wire.requests[0].status is None
    assert deaths == ([effects] if "killed" in kind else [])


@pytest.mark.parametrize(
    ("kind", "status", "effects"),
    [
        (FaultKind.UNAVAILABLE_BEFORE, 503, 0),
        (FaultKind.UNAVAILABLE_AFTER, 503, 1),
        (FaultKind.RATE_LIMITED, 429, 0),
        (FaultKind.RATE_LIMITED_UNTIL, 429, 0),
        (FaultKind.HTML, 200, 0),
    ],
)
def test_a_spoilt_answer_comes_instead_of_the_real_one(
    stack: ExitStack, hub: Counter, monkeypatch: pytest.MonkeyPatch, kind: FaultKind, status: int, effects: int
) -> None:
    monkeypatch.setattr("rehearsal.wire.time.time", lambda: 1_800_000_009.5)
    wire = Wire(faults=[Fault(1, kind)])

    answer = client(stack, wire, hub).post("/", content="body")

    assert answer.status_code == wire.requests[0].status == status
    assert "done" not in answer.text
    assert hub.done == effects
    waits = {FaultKind.RATE_LIMITED: "1", FaultKind.RATE_LIMITED_UNTIL: "1800000011"}
    assert answer.headers.get("Retry-After") == waits.get(kind)
    assert answer.headers["Content-Type"].startswith("text/html" if kind is FaultKind.HTML else "application/json")


def test_a_slow_answer_is_held_back_until_the_caller_hangs_up(stack: ExitStack, hub: Counter) -> None:
    wire = Wire(faults=[Fault(1, FaultKind.SLOW)])
    docker_hub = client(stack, wire, hub)

    with pytest.raises(httpx.ReadTimeout):
        docker_hub.post("/", content="body", timeout=0.1)

    assert hub.done == 1
    assert wire.requests[0].status is None
    assert docker_hub.get("/").status_code == 200


def test_a_fault_happens_once_and_only_to_its_request(stack: ExitStack, hub: Counter) -> None:
    docker_hub = client(stack, Wire(faults=[Fault(2, FaultKind.UNAVAILABLE_BEFORE)]), hub)

    assert [docker_hub.get("/").status_code for _ in range(4)] == [200, 503, 200, 200]


def test_aws_throttles_in_its_own_words(stack: ExitStack) -> None:
    server = stack.enter_context(Server(Wire(faults=[Fault(1, FaultKind.RATE_LIMITED)]).door(Counter(), "AWS")))
    secrets = boto3.Session("rehearsal", "rehearsal", region_name="eu-central-1").client(
        "secretsmanager", endpoint_url=server.url, config=Config(retries={"total_max_attempts": 1})
    )

    with closing(secrets), pytest.raises(ClientError) as caught:
        secrets.list_secrets()

    assert caught.value.response["Error"]["Code"] == "ThrottlingException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_kill_that_nobody_can_carry_out_is_an_error_of_the_rehearsal(hub: Counter) -> None:
    with (
        pytest.raises(RuntimeError, match=r"nobody has set Wire\.kill"),
        Server(Wire(faults=[Fault(1, FaultKind.KILLED_BEFORE)]).door(hub, "Docker Hub")) as server,
    ):
        assert httpx.get(server.url, trust_env=False).status_code == 500


# The server


def test_a_connection_is_kept_alive_between_requests(hub: Counter) -> None:
    ports: set[str] = set()

    def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        ports.add(environ["REMOTE_PORT"])
        answer = Response.from_app(hub, environ)
        start_response(answer.status, [])  # not even a length
        return answer.iter_encoded()

    with Server(app) as server, httpx.Client(base_url=server.url, trust_env=False) as docker_hub:
        answers = [docker_hub.post("/", content=body).text for body in ("first", "second", "")]
        gone = docker_hub.delete("/")
        head = docker_hub.head("/")
        last = docker_hub.post("/", content="last")

    assert answers == ["done 1", "done 2", "done 3"]
    assert hub.bodies == ["first", "second", "", "", "", "last"]
    assert (gone.status_code, gone.text, head.text, last.text) == (204, "", "", "done 6")
    assert len(ports) == 1


def test_a_server_ends_its_threads_and_connections(hub: Counter) -> None:
    before = threading.active_count()

    with httpx.Client(trust_env=False) as docker_hub:
        with Server(hub) as server:
            docker_hub.get(server.url)
            assert threading.active_count() > before
        assert threading.active_count() == before
        with pytest.raises(httpx.ConnectError):
            docker_hub.get(server.url)


def test_an_app_that_crashes_answers_500_and_the_crash_comes_out_at_the_end(hub: Counter) -> None:
    block = ExitStack()
    server = block.enter_context(Server(hub))

    assert httpx.get(f"{server.url}/broken", trust_env=False).status_code == 500
    assert httpx.get(server.url, trust_env=False).status_code == 200

    with pytest.raises(ZeroDivisionError):
        block.close()


def test_a_crash_of_the_app_does_not_hide_why_the_block_failed(hub: Counter) -> None:
    def block() -> None:
        with Server(hub) as server:
            httpx.get(f"{server.url}/broken", trust_env=False)
            raise LookupError

    with pytest.raises(LookupError):
        block()
