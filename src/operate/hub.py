"""Docker Hub, asked by the code that ships: preflight of the built package, in a process of its own.

The commands know nothing of the function, but have its package, and the Python they run on can run it: whatever logs in
here is what logs in later. What is secret goes through standard input, or is asked for over there.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from operate import package
from operate.show import Problem, Show
from operate.typed import command

# Parameters of function.yaml, and the function's variables that they set.
_VARIABLES = {
    "UsernameParameter": "DOCKERHUB_USERNAME_PARAMETER",
    "PasswordParameter": "DOCKERHUB_PASSWORD_PARAMETER",
    "TotpParameter": "DOCKERHUB_TOTP_PARAMETER",
    "Login": "DOCKERHUB_LOGIN",
    "ApiUrl": "DOCKERHUB_API_URL",
    "AuthUrl": "DOCKERHUB_AUTH_URL",
    "RegistryUrl": "DOCKERHUB_REGISTRY_URL",
}
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# A login takes seconds, and half a minute more if it waits for the next one-time code.
_LOGIN_SECONDS = 60
# What the function says in a log is not always what somebody at a terminal can do.
_SAID_HERE = (
    (r"Check parameters \S+ and \S+\.(?= |$)", "Enter both again."),
    ("set DOCKERHUB_TOTP_PARAMETER", "enter its TOTP seed, too"),
    ("in a VPC, check the route to the internet", "check this machine's route to the internet"),
)


def try_login(show: Show, settings: Mapping[str, str], lines: Sequence[str]) -> None:
    """Log in once with what was entered, as the function will.

    Args:
        settings: of the function's stack, with the names of its parameters.
        lines: user name, password and, if there is one, the TOTP seed.

    Raises:
        Problem: Docker Hub does not take it, or could not be asked.
    """
    untried = f"`{command('credentials', no_try='1')}` stores it untried"
    with show.waiting("Docker Hub: logging in once"):
        try:
            document = _run(["--login-only"], settings, entered="\n".join(lines), seconds=_LOGIN_SECONDS)
        except subprocess.TimeoutExpired:
            raise Problem(
                f"Docker Hub has not answered in {_LOGIN_SECONDS} seconds, so nothing is stored. Try it again later; "
                f"{untried}."
            ) from None
    told = next(row for row in document["measured"] if row["name"] == "configured-login")
    if told["verdict"] == "as assumed":
        show.step("tried", "Docker Hub takes it")
        return
    seen = str(told["seen"])
    for pattern, here in _SAID_HERE:
        seen = re.sub(pattern, here, seen)
    if told["verdict"] == "not measured":
        raise Problem(f"Docker Hub could not be asked, so nothing is stored. {seen} {untried}.")
    raise Problem(f"Docker Hub does not take it, so nothing is stored. {seen} If you know better, {untried}.")


def measure(settings: Mapping[str, str], *, try_both: bool, organization: str = "") -> dict[str, Any]:
    """Run the whole preflight, which asks for an account or reads standard input, and return its report.

    Args:
        organization: whose tokens are measured; empty for the account's own.

    Raises:
        Problem: it could not begin.
    """
    measured = ["--organization", organization] if organization else []
    return _run([*measured, *(["--try-both"] if try_both else [])], settings)


def _run(
    arguments: Sequence[str], settings: Mapping[str, str], entered: str | None = None, seconds: float | None = None
) -> dict[str, Any]:
    """Run it, and return the document it prints.

    A signal is passed on: it deletes its token first, and only then both end.

    Args:
        seconds: after which it is killed, for what makes no token.

    Raises:
        TimeoutExpired: it was.
    """
    if not package.ARCHIVE.exists():
        raise Problem(f"The package is missing, whose preflight this runs: `{command('package')}` builds it.")
    program = [sys.executable, "-P", "-m", "dockerhub_rotation.preflight", *arguments]
    process = subprocess.Popen(  # noqa: S603 - this Python, and nothing that was entered
        program,
        env=_environment(settings),
        stdin=None if entered is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    out = ""
    with _passing_on(process) as stopped:
        try:
            out, _ = process.communicate(entered, timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            if not stopped:
                raise
    if stopped:
        raise KeyboardInterrupt if stopped[0] == signal.SIGINT else SystemExit(128 + stopped[0])
    try:
        document: dict[str, Any] = json.loads(out)
    except ValueError:
        raise Problem("Preflight at Docker Hub has no result; what it said stands above.") from None
    return document


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the package's surroundings: the function's settings, those that are set here first, and nothing of AWS."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_") or name == "AWS_CA_BUNDLE"}
    named = {variable: settings[key] for key, variable in _VARIABLES.items() if settings.get(key)}
    return named | kept | {"PYTHONPATH": str(package.ARCHIVE)}


@contextmanager
def _passing_on(process: subprocess.Popen[str]) -> Iterator[list[int]]:
    """Pass on what ends this process, and note it."""
    stopped: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        stopped.append(number)
        process.send_signal(number)

    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
