"""Every broken world: the commands that its error prints, typed as printed, and a healthy world in the end."""

from __future__ import annotations

import getpass
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import pytest

from dockerhub_rotation import findings, remedies
from dockerhub_rotation.errors import Verb
from dockerhub_rotation.remedies import Place
from operate import package
from operate.typed import without_commands
from rehearsal.fork_server import ForkServer
from rehearsal.invariants import Invariants
from rehearsal.served.broken import BROKEN
from rehearsal.served.world import PASSWORD, PROJECT, USERNAME, Served
from rehearsal.wire import Request
from rehearsal.world import FUNCTION_ARN, PLACEHOLDER, SECRET_NAME, State

from .typed_commands import ROOT, Typed, somebody_elses_shell, type_in

pytestmark = pytest.mark.xdist_group("broken worlds")  # they share a fork server and a package

OF_THE_CARETAKER = {*map(str, findings.Kind), "RollbackFailed"}
# What these print needs nothing of anybody else.
ENOUGH = [name for name, broken in BROKEN.items() if broken.end_it is None and name != "TagsInvalid"]
# A command as it is typed in a clone and, beside it, with the AWS CLI alone; or the latter, where no verb does it. A
# secret that the function does not serve may be taken from it instead, which ends its rotations.
BESIDE = r"`(?P<typed>AWS_REGION=[^`]+)` \(without a clone: `(?P<plain>[^`]+)`"
COMMAND = re.compile(rf"{BESIDE}|`(?P<alone>aws (?!secretsmanager cancel-rotate-secret)[^`]+)`")
NAMED = re.compile(r"\bmake ([\w-]+)")


class Command(NamedTuple):
    """A command that a message prints: as it is typed in a clone, which may be missing, and with the AWS CLI."""

    typed: str
    plain: str


def commands(message: str) -> list[Command]:
    return [Command(found["typed"] or "", found["plain"] or found["alone"]) for found in COMMAND.finditer(message)]


@dataclass
class Operator:
    """Somebody in a served world, who types what is printed. What it makes of the world is looked at all the time.

    Attributes:
        name: of the error or the finding.
        tag: what they have a tag say that is wrong.
    """

    name: str
    served: Served
    folder: Path
    tag: str = "value"
    invariants: Invariants = field(default_factory=Invariants)

    def told(self, name: str = "") -> str:
        """Return the last message of the error or the finding; without a name, that of the last error of a rotation."""
        function = f"{PROJECT}-caretaker" if name in OF_THE_CARETAKER else PROJECT
        lines = [json.loads(line) for line in self.served.logs.messages(function) if line.startswith("{")]
        told = [it for it in lines if "error" in it or "findings" in it]
        return [str(it["message"]) for it in told if not name or name in (it.get("error"), *it.get("findings", ()))][-1]

    def do(self, command: Command) -> Typed:
        """Do what is printed, in a clone if a verb does it."""
        return self.type(command.typed) if command.typed else self.enter(command.plain)

    def type(self, command: str, answer: str | None = "y") -> Typed:
        """Type a command, and say the same to whatever it asks; None has a program type it, without a terminal."""
        typed = type_in(command, None if answer is None else repeat(answer), self.folder)
        self.served.world.aws.wait(timeout=600)
        assert self.served.world.leaked(typed.printed) == []
        return typed

    def enter(self, plain: str) -> Typed:
        """Enter a command of the AWS CLI in a shell, and then what it reads."""
        ran = subprocess.run(
            ["bash", "-c", plain.replace("Value=...", f"Value={self.tag}")],
            input=self._value_for(plain),
            cwd=self.folder,
            env={**os.environ, "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        self.served.world.aws.wait(timeout=600)
        if "put-secret-value" in plain:  # somebody's own act
            self.invariants.begin(self.served.world)
        return Typed(ran.returncode, ran.stdout + ran.stderr)

    def _value_for(self, plain: str) -> str:
        """Return what somebody stores: the account's, or the token alone, or a placeholder if there is none."""
        hub, stored = self.served.world.hub, self.served.world.current_token()
        for name, value in ((USERNAME, hub.username), (PASSWORD, hub.password)):
            if f"--name {name} " in plain:
                return f"{value}\n"
        ours = (token.value for token in hub.tokens.values() if token.active and ":" not in token.value)
        return next((value for value in ours if stored.endswith(value)), PLACEHOLDER)

    def mend(self) -> None:
        """Mend what no command mends, and let sandboxes be gone that remember it."""
        if end_it := BROKEN[self.name].end_it:
            end_it(self.served)
        self.served.configure({})
        self.tag = "0"
        self.invariants.begin(self.served.world)

    @property
    def works(self) -> bool:
        """Whether consumers can log in."""
        return self.served.world.hub.authenticates(self.served.world.current_token())

    def look(self, request: Request) -> None:
        """Look what a request has made of the world. What Preflight makes, it deletes by itself."""
        if self.served.world.step == "Preflight":
            self.invariants.begin(self.served.world)
        else:
            self.invariants.look(self.served.world, request)

    def require_shown(self) -> None:
        """Look whether the console shows the error whole, and each of its commands once.

        Who unblocks is about to drop the rotation, and to begin another: these commands are not told then.
        """
        if self.name in OF_THE_CARETAKER:
            return
        message, state = self.told(self.name), self.served.world.state()
        hangs = state.holder("AWSPENDING") != state.holder("AWSCURRENT")
        status = self.type(f"make status SECRET={SECRET_NAME}").printed
        logs = self.type("make logs").printed
        unblock = self.type("make unblock", answer="n").printed
        said = without_commands(message).rpartition("What was said then: ")[2]
        assert (message in status, logs.count(said), said in unblock) == (True, 1, hangs)
        typed = [it.typed or it.plain for it in commands(message)]
        assert [it for it in typed if logs.count(f"`{it}`") != 1] == []
        left = [it for it in typed if not NAMED.findall(it) or NAMED.findall(it)[0] not in ("unblock", "rotate")]
        assert [it for it in typed if f"`{it}`" in unblock] == (left if hangs else [])
        assert [verb for verb in NAMED.findall(message) if NAMED.findall(status).count(verb) > 1] == []
        assert self.served.world.state() == state

    def require_healthy(self) -> None:
        """Look at everything, as people do and as the invariants have it."""
        status = self.type("make status")
        assert (status.status, status.printed.splitlines()[-1].split()[0]) == (0, "well"), status.printed
        (found,) = self.served.reconcile()["Secrets"]
        assert found["Findings"] == []
        self.invariants.at_rest(self.served.world)
        self.invariants.search_output(self.served.world)
        assert self.invariants.broken == []


@pytest.fixture(scope="module")
def processes() -> Iterator[ForkServer]:
    with ForkServer() as server:
        yield server


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the package, as far as a login takes it."""
    made = tmp_path_factory.mktemp("package") / "package"
    return Path(shutil.make_archive(str(made), "zip", ROOT / "src", "dockerhub_rotation"))


@pytest.fixture
def operator(
    request: pytest.FixtureRequest,
    processes: ForkServer,
    archive: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Operator]:
    """Return somebody in the world that the test names, once it is broken."""
    name: str = request.param
    with (
        Served(rotations=BROKEN[name].rotations, run_function=processes.function) as served,
        somebody_elses_shell(served),
    ):
        world = served.world
        somebody = Operator(name, served, tmp_path)
        BROKEN[name].break_it(served)
        somebody.invariants.begin(world)
        monkeypatch.setattr(world, "_on_request", somebody.look)
        monkeypatch.setattr(package, "ARCHIVE", archive)
        # Whoever waits for a rotation waits until it has ended.
        monkeypatch.setattr(time, "sleep", lambda seconds: world.aws.wait(timeout=600))
        known = {"Docker Hub user name: ": world.hub.username, "Docker Hub password: ": world.hub.password}
        monkeypatch.setattr(getpass, "getpass", lambda prompt: known.get(prompt, ""))
        yield somebody


def others(state: State) -> dict[str, tuple[str, bool]]:
    return {uuid: it for uuid, it in state.tokens.items() if not it[0].startswith("dockerhub-rotation/")}


@pytest.mark.parametrize("operator", ENOUGH, indirect=True)
def test_what_is_printed_makes_the_world_healthy(operator: Operator) -> None:
    operator.require_shown()
    done = [operator.do(command) for command in commands(operator.told(operator.name))]

    assert done
    assert [it.printed for it in done if it.status] == []
    operator.require_healthy()


@pytest.mark.parametrize("operator", [name for name in BROKEN if name not in ENOUGH], indirect=True)
def test_what_is_printed_does_no_harm_before_the_cause_is_mended_and_ends_it_afterwards(operator: Operator) -> None:
    operator.require_shown()
    before, worked = operator.served.world.state(), operator.works
    at_once = [operator.do(command) for command in commands(operator.told(operator.name))]
    after = operator.served.world.state()

    assert at_once[-1].status == 1
    assert "Traceback" not in "".join(it.printed for it in at_once)
    assert operator.works is worked
    assert (after.holder("AWSCURRENT"), others(after)) == (before.holder("AWSCURRENT"), others(before))
    assert operator.invariants.broken == []

    operator.mend()
    mended = [operator.do(command) for command in commands(operator.told())]

    assert mended[-1].status == 0, mended[-1].printed
    operator.require_healthy()


@pytest.mark.parametrize("operator", ["CredentialRefused", "PendingTokenUnusable"], indirect=True)
def test_without_a_terminal_it_is_said_what_confirms_it_and_that_makes_the_world_healthy(operator: Operator) -> None:
    before = operator.served.world.state()
    *mending, last = commands(operator.told(operator.name))
    refused = operator.type(last.typed, answer=None)
    assert (refused.status, operator.served.world.state()) == (1, before)

    assert [it.printed for it in map(operator.do, mending) if it.status] == []
    (confirmed,) = re.findall(r"`([^`]* YES=1)`", refused.printed)
    assert operator.type(confirmed, answer=None).status == 0
    assert operator.type("make rotate", answer=None).status == 0
    operator.require_healthy()


# --- Without a clone: the worlds whose errors name a command of the AWS CLI that no other one does ---


@pytest.mark.parametrize(
    "operator",
    ["SettingsInvalid", "TagsInvalid", "SecretUnusable", "CredentialRefused", "AnswerUnknown", "PendingTokenUnusable"],
    indirect=True,
)
def test_without_a_clone_the_plain_commands_make_it_healthy_too(operator: Operator) -> None:
    operator.mend()
    for command in commands(operator.told(operator.name)):
        for plain in command.plain.split("; "):  # each reads what is entered until Ctrl-D
            done = operator.enter(plain)
            # A version that is not pending any more can't be dropped.
            assert done.status == 0 or "--remove-from-version-id" in plain, done.printed

    operator.require_healthy()


@pytest.mark.parametrize("operator", ["RotationOverdue"], indirect=True)
def test_without_a_clone_tasks_are_sent_and_logs_read(operator: Operator) -> None:
    world = operator.served.world
    current = world.state().holder("AWSCURRENT")
    previous = world.state().holder("AWSPREVIOUS")
    (logs,) = commands(remedies.command("logs", Place.of(FUNCTION_ARN, world.secret_arn, current)))
    read = operator.enter(logs.plain)
    assert (read.status, "createSecret" in read.printed) == (0, True)

    place = Place.of(FUNCTION_ARN, world.secret_arn, previous)
    then: tuple[tuple[Verb, str | None], ...] = (("reconcile", current), ("retire", current), ("rollback", previous))
    for verb, holder in then:
        (command,) = commands(remedies.command(verb, place))
        sent = operator.enter(command.plain)
        answer = json.loads((operator.folder / "answer.json").read_text())
        assert (sent.status, answer["Task"], world.state().holder("AWSCURRENT")) == (0, verb.title(), holder)
    assert operator.invariants.broken == []
