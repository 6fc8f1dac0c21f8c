"""Somebody at the command line, and an AWS account behind it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from botocore import loaders
from botocore.httpsession import URLLib3Session

from operate import credentials, package
from operate.__main__ import main
from operate.show import Show
from operate.stacks import TEMPLATES

from .aws import Account, caretaker_outputs, function_outputs
from .cloudformation import Stack
from .operated import Operated

PROJECT = "dockerhub-rotation"
# The descriptions of services, read once for all tests.
_LOADERS = cache(loaders.create_loader)
NONE: Mapping[str, str] = MappingProxyType({})


@dataclass
class Run:
    """A command that has ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What a program reads."""
        return json.loads(self.out)


class Stdin(io.StringIO):
    """What is entered, at a terminal or through a pipe."""

    def __init__(self, text: str, *, at_a_terminal: bool) -> None:
        super().__init__(text)
        self._at_a_terminal = at_a_terminal

    def isatty(self) -> bool:
        return self._at_a_terminal


Command = Callable[..., Run]


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: object) -> Account:
    """Return the account that every request of boto3 goes to; nobody waits, and no program is started."""
    account = Account()
    monkeypatch.setattr(subprocess.Popen, "__init__", lambda *words, **more: pytest.fail("it starts a program"))
    monkeypatch.setattr(loaders, "create_loader", _LOADERS)
    monkeypatch.setattr(URLLib3Session, "send", lambda session, request: account.send(request))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    configured = tmp_path / "configured"
    configured.write_text("[default]\nregion = eu-central-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(configured))
    monkeypatch.setattr(credentials, "try_login", lambda show, settings, lines: account.tried.append(tuple(lines)))
    archive = tmp_path / "dockerhub-rotation.zip"
    archive.write_bytes(b"package")
    monkeypatch.setattr(package, "ARCHIVE", archive)
    monkeypatch.setattr(package, "ROOT", tmp_path)
    return account


@pytest.fixture
def run(aws: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return what runs a command, with lines on its standard input."""

    def run(*arguments: str, stdin: str = "", at_a_terminal: bool = False) -> Run:
        monkeypatch.setattr(sys, "stdin", Stdin(stdin, at_a_terminal=at_a_terminal))
        capsys.readouterr()
        status = main(arguments)
        said = capsys.readouterr()
        return Run(status, said.out, said.err)

    return run


@pytest.fixture
def deployed(aws: Account, run: Command) -> Account:
    """Return the account once everything is there, for any secret; what was asked on the way is forgotten."""
    assert run("credentials", stdin="acme\ncorrect-horse\n").status == 0
    assert run("deploy", "--function-parameters", "Secrets=*").status == 0
    forget(aws)
    return aws


def forget(aws: Account) -> None:
    """Forget what was asked until now."""
    aws.requests.clear()
    aws.bodies.clear()


def template(name: str) -> str:
    """Return a template's text."""
    return (TEMPLATES / f"{name}.yaml").read_text(encoding="utf-8")


def add_function(aws: Account, project: str = PROJECT, parameters: Mapping[str, str] = NONE) -> Stack:
    """Have the function's stack, made by somebody earlier."""
    named = {"ProjectName": project, "ArtifactBucket": "b", "ArtifactKey": "k", **parameters}
    aws.functions[project] = "of an older package"
    return aws.formation.add(f"{project}-function", parameters=named, outputs=function_outputs(project))


def add_caretaker(aws: Account, project: str = PROJECT) -> Stack:
    """Have the caretaker's stack, made by somebody earlier."""
    named = {"ProjectName": project, "ArtifactBucket": "b", "ArtifactKey": "k", "RotationFunctionArn": "its"}
    aws.functions[f"{project}-caretaker"] = "of an older package"
    return aws.formation.add(f"{project}-caretaker", parameters=named, outputs=caretaker_outputs(project))


def add_secret_stack(aws: Account, name: str, parameters: Mapping[str, str], project: str = PROJECT) -> Stack:
    """Have a secret with its stack, made by somebody earlier."""
    secret = aws.add_secret(parameters.get("NamePrefix", "") + parameters["SecretName"])
    named = {"ProjectName": project, "NamePrefix": "", "Shape": "plain", "Username": "", **parameters}
    return aws.formation.add(name, parameters=named, outputs={"SecretArn": secret.arn})


def add_account(aws: Account, project: str = PROJECT) -> None:
    """Have the account's credential in Parameter Store."""
    for name in (f"/{project}/DOCKER_HUB_USERNAME", f"/{project}/DOCKER_HUB_PASSWORD"):
        aws.parameters[name] = {"Name": name}
        aws.parameter_tags[name] = {"ProjectName": project}


@pytest.fixture
def operated(aws: Account) -> Operated:
    """Return a deployment in operation, without a secret yet."""
    return Operated(aws)


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what has something happen while somebody is asked, who then answers."""

    def meanwhile(act: Callable[[], object], *answers: str) -> None:
        given = iter(answers or ("y",))

        def ask(show: Show, question: str) -> str:
            act()
            return next(given)

        monkeypatch.setattr(Show, "ask", ask)

    return meanwhile
