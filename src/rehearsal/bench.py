"""`make bench`: what a rotation costs, in one table, beside a plain function where there is something to compare.

Absolute times say more about the machine than about the function: compare within one run. What is compared is measured
in turns, so that whatever else the machine does meets both.
"""

from __future__ import annotations

import json
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import LifoQueue
from time import perf_counter
from types import TracebackType
from typing import Self

import certifi
from rich.console import Console
from rich.table import Table
from werkzeug.serving import make_ssl_devcert

from rehearsal import first_step
from rehearsal.runtime import ROOT, UV, interpreter
from rehearsal.sandbox import Function
from rehearsal.shown import saying
from rehearsal.wire import Request, Server
from rehearsal.world import FUNCTION_ARN, PLACEHOLDER, Scene, World

_SANDBOXES = 4


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        pythons: versions of Python for cold starts; those that this machine has not are left out.
        starts: cold starts of each function on each of them.
        rotations: rotations for each round trip.
        round_trips: seconds.
        tokens: in the account.
        secrets: rotated at once.
    """

    pythons: Sequence[str] = ("3.12", "3.13")
    starts: int = 15
    rotations: int = 5
    round_trips: Sequence[float] = (0.0, 0.05, 0.15)
    tokens: Sequence[int] = (10, 100, 1_000, 10_000)
    secrets: Sequence[int] = (1, 10, 200)


@dataclass(frozen=True)
class Start:
    """What one cold start took: a fresh process, from its first import to the end of createSecret.

    Attributes:
        cpu: processor seconds.
        cpu_of_invocation: those of them after the import, for which Lambda gives the share that goes with the memory.
        seconds: of the clock.
        megabytes: most memory at any time.
    """

    cpu: float
    cpu_of_invocation: float
    seconds: float
    megabytes: float


@dataclass(frozen=True)
class Code:
    """A function as it lies in Lambda: which module has the handler, and the folder with all that it brings."""

    module: str
    folder: Path


def bench(console: Console, sizes: Sizes = Sizes()) -> None:
    """Measure everything and print the table."""
    table = Table(title="What a rotation costs: medians, with quartiles in brackets", title_justify="left")
    table.add_column("")  # which wraps where a terminal is narrow, and no figure does
    for column in ("ratio", "this function", "compared with", "target"):
        table.add_column(column, justify="right", no_wrap=True)
    with tempfile.TemporaryDirectory() as scratch, saying(console) as say:
        say("1 of 5: cold starts, some minutes")
        _add_cold_starts(table, sizes, Path(scratch))
        say("2 of 5: the requests of a rotation")
        _add_requests(table)
        say("3 of 5: rotations with round trips of different lengths")
        _add_round_trips(table, sizes)
        say("4 of 5: rotations beside many tokens")
        _add_tokens(table, sizes)
        say("5 of 5: many secrets at once")
        _add_secrets(table, sizes)
    console.print(table)


# Cold starts


def package(folder: Path) -> Code:
    """Build the package and unpack it."""
    archive = folder / "package.zip"
    subprocess.run(  # noqa: S603 - our own program
        [sys.executable, ROOT / "infra" / "package.py", archive], check=True, stdout=subprocess.DEVNULL
    )
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder / "function")
    return Code("dockerhub_rotation.handler", _read_only(folder / "function"))


def plain_function(folder: Path, python: Path) -> Code:
    """Lay out the plain function with what `pip install --target` gives it for an interpreter."""
    target = folder / "plain"
    subprocess.run(  # noqa: S603 - the uv of this environment
        [
            *(UV, "pip", "install", "--quiet", "--no-compile-bytecode", "--python", python, "--target", target),
            *("--require-hashes", "--requirements", ROOT / "requirements" / "baseline.txt"),
        ],
        check=True,
    )
    shutil.copy(Path(__file__).with_name("baseline.py"), target)
    return Code("baseline", _read_only(target))


def _read_only(folder: Path) -> Path:
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    return folder


def size(code: Code) -> int:
    """Return the bytes of a function's files."""
    return sum(file.stat().st_size for file in code.folder.rglob("*") if file.is_file())


def start(python: Path, code: Code, tls: Tls) -> Start:
    """Start a function in a fresh process and let it do createSecret, over TLS as in the real world."""
    with World(Scene()) as world:
        event = _first_step_due(world)
        with Server(world.aws.app, tls.context) as aws, Server(world.hub.app, tls.context) as hub:
            done = subprocess.run(  # noqa: S603 - an interpreter of ours
                [python, first_step.__file__, code.module, json.dumps(event)],
                check=True,
                cwd=code.folder,
                env={
                    **world.environment,
                    **tls.environment,
                    "AWS_ENDPOINT_URL": aws.url,
                    "DOCKERHUB_API_URL": hub.url,
                    "DOCKERHUB_AUTH_URL": hub.url,
                    "DOCKERHUB_REGISTRY_URL": hub.url,
                    "AWS_LAMBDA_FUNCTION_NAME": "dockerhub-rotation",
                    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
                    "PYTHONPATH": str(code.folder),
                    "PYTHONDONTWRITEBYTECODE": "1",  # read-only says nothing to root
                },
                capture_output=True,
                text=True,
            )
        staged = world.aws.value(world.secret_arn, "AWSPENDING")
        if staged is None or not world.hub.authenticates(staged):
            raise RuntimeError(f"{code.module} has staged no token")
    return Start(**json.loads(done.stdout.splitlines()[-1]))


def _first_step_due(world: World) -> dict[str, str]:
    """Start a rotation, hold it up before its first step, and return that step's event."""
    world.hold_before = "createSecret"
    world.rotate()
    pending = next(version for version, labels in world.state().labels.items() if labels == {"AWSPENDING"})
    return {"Step": "createSecret", "SecretId": world.secret_arn, "ClientRequestToken": pending}


class Tls:
    """A certificate for localhost, and what lets a function trust it beside all that it trusts anyway."""

    def __init__(self, folder: Path) -> None:
        certificate, key = make_ssl_devcert(str(folder / "localhost"), cn="localhost")
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(certificate, key)
        trusted = folder / "trusted.pem"
        trusted.write_text(Path(certifi.where()).read_text() + Path(certificate).read_text())
        names = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
        self.environment = dict.fromkeys(names, str(trusted))


def _add_cold_starts(table: Table, sizes: Sizes, scratch: Path) -> None:
    tls = Tls(scratch)
    function = package(scratch)
    for version in sizes.pythons:
        folder = scratch / version
        python = interpreter(version, folder)
        if python is None:
            continue
        plain = plain_function(folder, python)
        ours, others = [], []
        for _ in range(sizes.starts):
            ours.append(start(python, function, tls))
            others.append(start(python, plain, tls))
        table.add_section()
        table.add_row(f"[bold]Cold start to the end of createSecret, Python {version}[/]", "", "", "a plain function")
        for name, attribute, unit, target in (
            ("processor time", "cpu", _MILLISECONDS, "1.00"),
            ("of it in the invocation", "cpu_of_invocation", _MILLISECONDS, ""),
            ("clock time", "seconds", _MILLISECONDS, ""),
            ("peak memory", "megabytes", _MEGABYTES, "1.10"),
        ):
            mine, theirs = ([getattr(start, attribute) for start in starts] for starts in (ours, others))
            table.add_row(name, _ratio(mine, theirs), unit.show(mine), unit.show(theirs), target)
        mine, theirs = [size(function) / 1e6], [size(plain) / 1e6]
        table.add_row("unpacked size", _ratio(mine, theirs), _MEGABYTES.show(mine), _MEGABYTES.show(theirs))


# Requests and waiting


@dataclass(frozen=True)
class Rotation:
    """What one rotation took.

    Attributes:
        seconds: in the four steps; what Secrets Manager takes between them is not the function's.
        aws: requests to AWS.
        docker_hub: requests to Docker Hub.
        round_trips: of these requests and their connections.
    """

    seconds: float
    aws: int
    docker_hub: int
    round_trips: int

    @property
    def requests(self) -> int:
        """All requests."""
        return self.aws + self.docker_hub


_SANDBOX_KINDS = {
    "kept": "in a sandbox that has rotated before",
    "fresh": "in a fresh sandbox for all four steps",
    "cold": "in a fresh sandbox for each step",
}


def rotate(world: World, kind: str = "kept") -> Rotation:
    """Rotate once, in one of the kinds of sandboxes."""
    if kind == "fresh":
        world.function.discard()
    steps, asked = len(world.steps), len(world.wire.requests)
    if world.rotate()[-1] != "RotationSucceeded":
        raise RuntimeError(f"a rotation failed: {world.steps[-1].error}")
    return _rotation(sum(step.seconds for step in world.steps[steps:]), world.wire.requests[asked:])


def _rotation(seconds: float, requests: Iterable[Request]) -> Rotation:
    requests = list(requests)
    aws = sum(request.party == "AWS" for request in requests)
    return Rotation(seconds, aws, len(requests) - aws, sum(request.round_trips for request in requests))


@contextmanager
def steady(kind: str = "kept", tokens: int = 10) -> Iterator[World]:
    """Give a world after two rotations: from then on each leaves as many tokens behind as it found.

    Args:
        kind: of the sandboxes.
        tokens: how many the account has when a rotation lists them, three of them this secret's.
    """
    with World(Scene(others=tokens - 3, cold=kind == "cold")) as world:
        world.hub.rate_limit_per_minute = 1_000_000  # what is measured is the function, not its patience
        rotate(world)
        rotate(world)
        yield world


def _add_requests(table: Table) -> None:
    table.add_section()
    table.add_row("[bold]Requests of a rotation[/]", "", "", "AWS + Docker Hub")
    for kind, name in _SANDBOX_KINDS.items():
        with steady(kind) as world:
            rotation = rotate(world, kind)
        target = "24" if kind == "cold" else "18"
        table.add_row(name, "", str(rotation.requests), f"{rotation.aws} + {rotation.docker_hub}", target)


def _add_round_trips(table: Table, sizes: Sizes) -> None:
    for kind, name in _SANDBOX_KINDS.items():
        rotations: dict[float, list[Rotation]] = {round_trip: [] for round_trip in sizes.round_trips}
        with steady(kind) as world:
            for _ in range(sizes.rotations):
                for round_trip, done in rotations.items():
                    world.wire.round_trip = round_trip
                    done.append(rotate(world, kind))
        table.add_section()
        table.add_row(f"[bold]A rotation {name}[/]", "", "", "of it waiting")
        first: list[float] = []
        for round_trip, done in rotations.items():
            seconds = [rotation.seconds for rotation in done]
            first = first or seconds
            waiting = statistics.median(rotation.round_trips for rotation in done) * round_trip
            target = "1.20 s" if kind != "cold" and round_trip == 0.05 else ""
            name = f"{round_trip * 1000:.0f} ms round trip"
            table.add_row(name, _ratio(seconds, first), _SECONDS.show(seconds), f"{waiting:.2f} s", target)


# Growth


def _add_tokens(table: Table, sizes: Sizes) -> None:
    table.add_section()
    table.add_row("[bold]Requests of a rotation, by the tokens in the account[/]", "", "", "AWS + Docker Hub")
    first = 0
    for tokens in sizes.tokens:
        with steady(tokens=tokens) as world:
            rotation = rotate(world)
        first = first or rotation.requests
        table.add_row(
            f"{tokens:,} tokens",
            f"{rotation.requests / first:.2f}",
            str(rotation.requests),
            f"{rotation.aws} + {rotation.docker_hub}",
            f"{first + -(-tokens // 100) - 1}",
        )


class Sandboxes(Function):
    """The function in a few sandboxes, each of which does one step at a time, as with a reserved concurrency."""

    def __init__(self, environment: Mapping[str, str], *, cold: bool = False, timeout_seconds: float = 60) -> None:
        self._all = [Function(environment, cold=cold, timeout_seconds=timeout_seconds) for _ in range(_SANDBOXES)]
        self._free: LifoQueue[Function] = LifoQueue()  # a warm one rather than a cold one
        for sandbox in self._all:
            self._free.put(sandbox)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sandbox in self._all:
            sandbox.__exit__(kind, error, trace)

    def invoke(self, event: object) -> None:
        """Call the handler in a sandbox that is free, or as soon as one is."""
        sandbox = self._free.get()
        try:
            sandbox.invoke(event)
        finally:
            self._free.put(sandbox)


def rotate_at_once(secrets: int) -> Rotation:
    """Rotate that many secrets of one account at once, and return what they took together."""
    with World(Scene(), run_function=Sandboxes) as world:
        world.hub.rate_limit_per_minute = 1_000_000
        for number in range(secrets):
            world.aws.create_secret(f"secret-{number}", PLACEHOLDER)
        began = perf_counter()
        for number in range(secrets):
            world.client.rotate_secret(SecretId=f"secret-{number}", RotationLambdaARN=FUNCTION_ARN)
        world.aws.wait(timeout=600)
        seconds = perf_counter() - began
        names = [event.name for event in world.aws.events]
        if names.count("RotationSucceeded") != secrets or "RotationFailed" in names:
            raise RuntimeError(f"{secrets} rotations at once: {sorted(names)}")
        return _rotation(seconds, world.wire.requests)


def _add_secrets(table: Table, sizes: Sizes) -> None:
    table.add_section()
    table.add_row(f"[bold]First rotations at once, in {_SANDBOXES} sandboxes[/]", "", "for each", "requests for each")
    first = 0.0
    for secrets in sizes.secrets:
        rotation = rotate_at_once(secrets)
        each = rotation.seconds / secrets
        first = first or each
        table.add_row(
            f"{secrets} secret{'s' if secrets > 1 else ''}",
            f"{each / first:.2f}",
            f"{each:.2f} s",
            f"{rotation.aws / secrets:.1f} + {rotation.docker_hub / secrets:.1f}",
        )


# Figures


@dataclass(frozen=True)
class _Unit:
    name: str
    factor: float
    digits: int

    def show(self, values: Sequence[float]) -> str:
        """Return median and quartiles."""
        first, third = _quartiles(values)
        median, low, high = (f"{value * self.factor:.{self.digits}f}" for value in (_median(values), first, third))
        return f"{median} {self.name}" + (f" ({low}-{high})" if len(values) > 1 else "")


_MILLISECONDS = _Unit("ms", 1000, 0)
_MEGABYTES = _Unit("MB", 1, 1)
_SECONDS = _Unit("s", 1, 2)


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)


def _quartiles(values: Sequence[float]) -> tuple[float, float]:
    if len(values) == 1:
        return values[0], values[0]
    quartiles = statistics.quantiles(values, n=4, method="inclusive")
    return quartiles[0], quartiles[2]


def _ratio(mine: Sequence[float], theirs: Sequence[float]) -> str:
    return f"{_median(mine) / _median(theirs):.2f}"
