"""A Docker Hub in this process, and a run of preflight against it."""

import json
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import httpx
import pyotp

from dockerhub_rotation.docker_hub import Connection
from dockerhub_rotation.docker_hub.http import Pool
from dockerhub_rotation.parameters import Account
from dockerhub_rotation.preflight.run import Entered, Report, measure
from dockerhub_rotation.settings import Settings
from rehearsal.docker_hub import DockerHub, Fault
from rehearsal.world import _forms

USERNAME = "acme-marker"
PASSWORD = "correct-horse-marker"
OTHERS = 12


def furnished(kind: type[DockerHub] = DockerHub, **options: Any) -> DockerHub:
    """Return a Docker Hub with an account that has tokens of other people and programs, two of them of a rotation."""
    hub = kind(
        username=USERNAME,
        password=PASSWORD,
        clock=lambda: time.time(),  # looked up at each call, so that a test's clock is everybody's
        **options,
    )
    for number in range(OTHERS):
        hub.add_token(f"laptop-{number}", active=number % 4 != 3)
    return hub


def seed() -> str:
    return pyotp.random_base32()


class Travel(httpx.BaseTransport):
    """The way to a Docker Hub, on which something may happen to a request.

    Attributes:
        happens: called with each request's number, from 1, before it arrives and after it has had its effect.
    """

    def __init__(self, hub: DockerHub) -> None:
        self._way = httpx.WSGITransport(app=hub.app)
        self.count = 0
        self.happens: Callable[[int, str], None] = lambda number, moment: None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.count += 1
        number = self.count
        self.happens(number, "before")
        answer = self._way.handle_request(request)
        self.happens(number, "after")
        return answer


def run(hub: DockerHub, connection: Connection | None = None, *, try_both: bool = False, **settings: Any) -> Report:
    """Measure, with an account that somebody has entered."""
    account = Account(USERNAME, PASSWORD, hub.totp_seed)
    connection = connection or Connection(Pool(Travel(hub)))
    return measure(Settings(**settings), Entered(account), connection, lambda: 900_000, try_both=try_both)


def state(hub: DockerHub) -> dict[str, tuple[str, bool]]:
    """Return the account's tokens: uuid to label and whether it is active."""
    return {token.uuid: (token.label, token.active) for token in hub.tokens.values()}


def leaked(text: str, hub: DockerHub, *more: str) -> list[str]:
    """Return each secret value that a text holds: of the account, its tokens, logins and codes."""
    values = {PASSWORD, *hub.issued, *more, *((hub.totp_seed,) if hub.totp_seed else ())}
    return [value for value in values if any(form in text for form in _forms(value))]


def differing(report: Report) -> dict[str, str]:
    """Return what was found to be otherwise, and what that means."""
    rows = json.loads(json.dumps(report.document()))["measured"]
    return {row["name"]: row["means"] for row in rows if row["verdict"] in ("otherwise", "not seen")}


def unmeasured(report: Report) -> set[str]:
    return {found.assumption.name for found in report.findings if found.verdict == "not measured"}


class Dead(BaseException):
    """The process has been killed: nothing in it goes on, and no request of it arrives."""


def killed_at(at: int, moment: str) -> Callable[[int, str], None]:
    """Let nothing travel any more from a request on. To the world that is what SIGKILL is."""

    def happens(number: int, now: str) -> None:
        if number > at or (number == at and now == moment):
            raise Dead

    return happens


def signalled_at(at: int, moment: str, number: signal.Signals) -> Callable[[int, str], None]:
    """Send this process a signal at a request, and once more at each that follows."""

    def happens(count: int, now: str) -> None:
        if count > at or (count == at and now == moment):
            os.kill(os.getpid(), number)

    return happens


def spoiled_at(at: int, hub: DockerHub, fault: Fault) -> Callable[[int, str], None]:
    """Let a request be answered wrongly."""

    def happens(number: int, moment: str) -> None:
        if (number, moment) == (at, "before"):
            hub.faults.append(fault)

    return happens
