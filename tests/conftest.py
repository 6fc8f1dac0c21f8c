"""The sealed world of every test: nobody's environment, nobody's account, nobody's time."""

import os
import random
import socket
import subprocess
import time
from pathlib import Path

import hypothesis
import pytest

from rehearsal.read_once import read_once

read_once()

# The same examples every time: a test that fails must fail for everybody.
hypothesis.settings.register_profile("everybody", derandomize=True, deadline=None)
hypothesis.settings.load_profile("everybody")

# Where servers and programs are started, or hundreds of rotations run. `make check` leaves that out; what is not named
# here is part of it, and starts none.
_SERVED = (
    *("e2e", "examples", "fleet", "infra", "operate", "organization", "rehearsal", "rotation", "synth", "year"),
    *("docker_hub/test_bounds.py", "docker_hub/test_network.py", "docker_hub/test_no_answer.py"),
    "operate/test_preflight_aws.py",
    *("preflight/test_command.py", "preflight/test_interruptions.py", "preflight/test_report.py"),
    *("test_notifications.py", "test_parameters.py", "test_secrets_manager.py"),
)

_OURS = ("AWS_", "DOCKERHUB_", "POWERTOOLS_", "SLACK_")
_PROXIES = {"ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--without-servers", action="store_true", help="only the tests that start no server and no program"
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what `make check` has no time for."""
    return True if config.getoption("--without-servers") and _is_served(collection_path) else None


def _is_served(path: Path) -> bool:
    return any(path.is_relative_to(Path(__file__).parent / place) for place in _SERVED)


@pytest.fixture(autouse=True)
def no_server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test of `make check` fail that starts a server or a program."""
    if _is_served(request.path):
        return

    def refuse(*_: object, **__: object) -> None:
        pytest.fail(f"it starts a server or a program, so its place is one of {', '.join(_SERVED)}")

    monkeypatch.setattr(socket.socket, "listen", refuse)
    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)


@pytest.fixture(autouse=True)
def the_same_lots() -> None:
    """Let jitter draw the same lots in every run."""
    random.seed(1)


@pytest.fixture(autouse=True)
def sealed_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what the environment might say, and put an account there that does not exist."""
    for name in list(os.environ):
        if name.startswith(_OURS) or name.upper() in _PROXIES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


class Clock:
    """A clock that moves only when somebody sleeps or a test says so.

    Attributes:
        now: seconds since 1970, and the monotonic clock, too.
        sleeps: how long everybody slept, in seconds.
    """

    def __init__(self) -> None:
        self.now = 1_800_000_010.0  # ten seconds into the life of a one-time code
        self.sleeps: list[float] = []

    def tick(self, seconds: float) -> None:
        """Let time pass without anybody having slept."""
        self.now += seconds

    def sleep(self, seconds: float) -> None:
        """Do what `time.sleep` does, but at once."""
        self.sleeps.append(seconds)
        self.tick(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock that this test's process now goes by."""
    clock = Clock()
    monkeypatch.setattr(time, "time", lambda: clock.now)
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    monkeypatch.setattr(time, "sleep", clock.sleep)
    return clock
