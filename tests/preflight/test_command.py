"""`python -m dockerhub_rotation.preflight`, as it is called: in a process of its own, over HTTP."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal.deviations import DEVIATIONS
from rehearsal.docker_hub import DockerHub
from rehearsal.wire import Request, Server, Wire
from tests.preflight.stage import OTHERS, PASSWORD, USERNAME, leaked, seed

SOURCES = Path(__file__).parents[2] / "src"
ENTERED = f"{USERNAME}\n{PASSWORD}\n"


def account(kind: type[DockerHub] = DockerHub, totp_seed: str | None = None) -> DockerHub:
    hub = kind(
        username=USERNAME,
        password=PASSWORD,
        totp_seed=totp_seed,
    )
    for number in range(OTHERS):
        hub.add_token(f"laptop-{number}")
    return hub


def environment(url: str) -> dict[str, str]:
    urls = {f"DOCKERHUB_{name}_URL": url for name in ("API", "AUTH", "REGISTRY")}
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCES), **urls}


def started(url: str, *options: str, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "dockerhub_rotation.preflight", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(url) | variables,
    )


def ended(url: str, *options: str, entered: str = ENTERED, **variables: str) -> tuple[int, str, str]:
    process = started(url, *options, **variables)
    out, err = process.communicate(entered)
    return process.returncode, out, err


@pytest.fixture
def hub() -> DockerHub:
    return account()


@pytest.fixture
def url(hub: DockerHub) -> Iterator[str]:
    with Server(hub.app) as server:
        yield server.url


def test_the_document_can_be_pasted_and_the_status_says_that_all_is_as_assumed(hub: DockerHub, url: str) -> None:
    status, out, err = ended(url)

    document = json.loads(out)
    assert (status, err) == (0, "")
    assert document["holds"] is True
    assert document["preflight"]["api_url"] == url
    assert leaked(out, hub) == []
    assert len(hub.tokens) == OTHERS


def test_the_document_has_what_is_assumed_and_seen_and_where_it_differs_what_that_means() -> None:
    hub = account(DEVIATIONS["gone-token"])
    with Server(hub.app) as server:
        status, out, _ = ended(server.url)

    document = json.loads(out)
    rows = {row["name"]: row for row in document["measured"]}
    assert (status, document["holds"]) == (1, False)
    assert rows["deletion"]["verdict"] == "as assumed"
    assert [name for name, row in rows.items() if row["verdict"] == "otherwise"] == ["gone-token"]
    assert [name for name, row in rows.items() if row["means"]] == ["gone-token"]
    assert all(row["assumed"] and row["seen"] for row in rows.values())
    assert leaked(out, hub) == []


def test_what_is_otherwise_and_not_relied_on_is_told_and_does_no_harm() -> None:
    with Server(account(DEVIATIONS["deletion"]).app) as server:
        status, out, _ = ended(server.url)

    (differs,) = (row for row in json.loads(out)["measured"] if row["verdict"] == "otherwise")
    assert status == 0
    assert (differs["name"], differs["relied_on"]) == ("deletion", False)


def test_the_other_login_is_tried_only_if_asked_for_and_what_that_may_cost_is_said_before(
    hub: DockerHub, url: str
) -> None:
    status, _, err = ended(url, "--try-both")

    assert status == 0
    assert "10 to 15 minutes" in err
    assert hub.password_logins == 2


def test_a_seed_is_the_third_line() -> None:
    entered = seed()
    with Server(account(totp_seed=entered).app) as server:
        status, out, _ = ended(server.url, entered=f"{ENTERED}{entered}\n")

    assert status == 0
    assert json.loads(out)["preflight"]["login"] == "users-login"


@pytest.mark.parametrize("entered", ["", "\n", f"{USERNAME}\n", f"{ENTERED}123456 is no seed\n"])
def test_what_is_no_account_is_refused_before_anything_is_asked(hub: DockerHub, url: str, entered: str) -> None:
    status, out, err = ended(url, entered=entered)

    assert (status, out) == (2, "")
    assert "needed" in err
    assert hub.requests == []


def test_a_wrong_setting_is_named_before_anything_is_asked(hub: DockerHub, url: str) -> None:
    status, _, err = ended(url, DOCKERHUB_LOGIN="password")

    assert status == 1
    assert "DOCKERHUB_LOGIN" in err
    assert hub.requests == []


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)]
)
@pytest.mark.parametrize("at", [4, 5, 20])
def test_a_process_that_is_ended_leaves_nothing_or_what_the_next_one_sweeps(
    hub: DockerHub, number: signal.Signals, status: int, at: int
) -> None:
    before = set(hub.tokens)

    def strike(request: Request) -> None:
        if request.number == at:
            os.kill(process.pid, number)

    with Server(Wire(on_request=strike).door(hub.app, "Docker Hub")) as server:
        process = started(server.url)
        process.communicate(ENTERED)

    assert process.returncode == status
    rest = set(hub.tokens) - before
    assert len(rest) <= (number == signal.SIGKILL)
    hub.clock = lambda now=hub.clock: now() + 3601  # type: ignore[misc]
    with Server(hub.app) as server:
        assert ended(server.url)[0] == 0
    assert set(hub.tokens) == before
