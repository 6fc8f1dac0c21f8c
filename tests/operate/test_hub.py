"""Docker Hub as the package asks it: in a process of its own, with the secrets on its standard input."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from operate import hub, package
from operate.show import Problem, Show
from rehearsal.docker_hub import DockerHub
from rehearsal.wire import Request, Server, Wire
from tests.preflight.stage import PASSWORD, USERNAME, seed

SOURCES = Path(__file__).parents[2] / "src"
LINES = (USERNAME, PASSWORD, "")
NAMES = {"UsernameParameter": "/p/NAME", "PasswordParameter": "/p/PASSWORD", "TotpParameter": "/p/TOTP"}


def furnished(kind: type[DockerHub] = DockerHub, **options: str) -> DockerHub:
    public = {"library/hello-world"}
    return kind(username=USERNAME, password=PASSWORD, public_repositories=public, **options)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the sources in the package's place: Python imports from either."""
    monkeypatch.setattr(package, "ARCHIVE", SOURCES)


def settings(url: str) -> dict[str, str]:
    return {**NAMES, "Login": "auth-token", "ApiUrl": url, "AuthUrl": url, "RegistryUrl": url}


def test_what_docker_hub_takes_is_told_and_costs_one_login_and_no_token(
    capfd: pytest.CaptureFixture[str],
) -> None:
    account = furnished()
    with Server(account.app) as server:
        hub.try_login(Show(sys.stdout), settings(server.url), LINES)

    assert capfd.readouterr().out == "tried     Docker Hub takes it\n"
    assert (account.password_logins, len(account.tokens)) == (1, 0)


def test_a_seed_is_tried_with_a_code() -> None:
    code = seed()
    with Server(furnished(totp_seed=code).app) as server:
        hub.try_login(Show(sys.stdout), settings(server.url), (USERNAME, PASSWORD, code))


@pytest.mark.parametrize(
    ("entered", "said"),
    [
        (
            (USERNAME, "wrong-horse", ""),
            "user name or password. Enter both again. If the account has two-factor login, enter its TOTP",
        ),
        ((USERNAME, "{token}", ""), "holds an access token"),
    ],
)
def test_what_docker_hub_does_not_take_is_a_problem_that_says_why(entered: tuple[str, ...], said: str) -> None:
    account = furnished()
    token = account.add_token("somebody's").value
    with Server(account.app) as server, pytest.raises(Problem) as raised:
        hub.try_login(Show(sys.stdout), settings(server.url), [line.format(token=token) for line in entered])

    assert "Docker Hub does not take it, so nothing is stored" in str(raised.value)
    assert said in str(raised.value)
    assert "`make credentials TRY=no` stores it untried" in str(raised.value)
    assert token not in str(raised.value)
    assert account.password_logins <= 1


def test_a_docker_hub_that_cannot_be_asked_says_nothing_of_the_password() -> None:
    with pytest.raises(Problem, match="could not be asked, so nothing is stored.*TRY=no"):
        hub.try_login(Show(sys.stdout), settings("http://127.0.0.1:9"), LINES)


def test_what_to_do_is_said_to_somebody_at_a_terminal() -> None:
    with pytest.raises(Problem, match="could not be asked, so nothing is stored") as raised:
        hub.try_login(Show(sys.stdout), settings("http://127.0.0.1:9"), LINES)

    assert [word for word in ("Secrets Manager", "VPC", "/p/") if word in str(raised.value)] == []


def test_a_docker_hub_that_does_not_come_to_an_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "_LOGIN_SECONDS", 0.01)

    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Problem, match="not answered in 0.01 seconds"):
        hub.try_login(Show(sys.stdout), settings(f"http://127.0.0.1:{silent.getsockname()[1]}"), LINES)


def test_the_package_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(package, "ARCHIVE", tmp_path / "none.zip")

    with pytest.raises(Problem, match="`make package` builds it"):
        hub.measure({}, try_both=False)


def test_the_package_gets_no_credential_of_aws_and_the_settings_of_the_function_unless_the_environment_has_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKERHUB_API_URL", "https://mine.example.com")
    monkeypatch.setenv("AWS_CA_BUNDLE", "/ca.pem")

    passed = hub._environment(settings("https://theirs.example.com"))

    assert {name for name in passed if name.startswith("AWS_")} == {"AWS_CA_BUNDLE"}
    assert passed["DOCKERHUB_API_URL"] == "https://mine.example.com"
    assert passed["DOCKERHUB_AUTH_URL"] == "https://theirs.example.com"
    assert passed["DOCKERHUB_PASSWORD_PARAMETER"] == "/p/PASSWORD"


# --- The whole preflight, as the command runs it ---

COMMAND = """
import sys
from pathlib import Path
from operate import hub, package
package.ARCHIVE = Path({sources!r})
print(hub.measure({settings!r}, try_both=False)["holds"])
"""


def started(url: str) -> subprocess.Popen[str]:
    program = COMMAND.format(sources=str(SOURCES), settings=settings(url))
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCES)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,  # which its child has, too
        text=True,
    )
    assert process.stdin
    process.stdin.write(f"{USERNAME}\n{PASSWORD}\n")
    return process


def test_it_measures_with_what_comes_through_the_pipe() -> None:
    account = furnished()
    with Server(account.app) as server:
        out, _ = started(server.url).communicate()

    assert out == "True\n"
    assert account.tokens == {}


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
@pytest.mark.parametrize("at", [3, 6, 12])
def test_a_command_that_is_ended_waits_until_its_token_is_deleted(number: signal.Signals, status: int, at: int) -> None:
    account = furnished()

    def strike(request: Request) -> None:
        if request.number == at:
            os.kill(process.pid, number)

    with Server(Wire(on_request=strike).door(account.app, "Docker Hub")) as server:
        process = started(server.url)
        process.communicate()

    assert process.returncode == status
    assert account.tokens == {}


def test_a_command_that_is_killed_leaves_the_rest_to_its_child() -> None:
    """Or to the next run, which sweeps it: that is tested with the package's own command."""
    account = furnished()

    def strike(request: Request) -> None:
        if request.number == 6:
            os.kill(process.pid, signal.SIGKILL)

    with Server(Wire(on_request=strike).door(account.app, "Docker Hub")) as server:
        process = started(server.url)
        process.communicate()  # waits for both

    assert account.tokens == {}
