"""`make fleet`: many secrets of one account, all due at the same moment, in virtual time.

What one rotation alone never meets: Docker Hub's limit of requests per minute, used up by the others; sandboxes that
log in all at once; waiting that ends for everybody in the same second.

No request leaves the process. Each is a call of the simulator's WSGI application, and takes its time on the virtual
clock, during which the others go on. The handler's reports are left out, because they are one per process.
"""

from __future__ import annotations

import io
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import httpx
import pyotp
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from rich.console import Console
from rich.table import Table
from werkzeug.test import Client

from dockerhub_rotation import request, rotation, settings, token_labels
from dockerhub_rotation.aws import CLIENT_CONFIG
from dockerhub_rotation.deadline import Deadline
from dockerhub_rotation.docker_hub import Connection
from dockerhub_rotation.docker_hub.http import Pool
from dockerhub_rotation.errors import RotationError
from dockerhub_rotation.invocation import Sandbox
from dockerhub_rotation.parameters import Parameters
from dockerhub_rotation.secrets_manager import SecretsManager
from rehearsal import docker_hub
from rehearsal.invariants import NO_LEAK, NO_REMAINS, ONLY_OURS, WORKS
from rehearsal.sandbox import FunctionError
from rehearsal.secrets_manager import Aws
from rehearsal.virtual_time import VirtualTime
from rehearsal.wire import Request, Wire
from rehearsal.world import FUNCTION_ARN, PLACEHOLDER, REGION

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

NOT_LOCKED = "Docker Hub has not locked the user name"

# From the function to a party and back, in seconds.
_LATENCY = (0.03, 0.07)


@dataclass(frozen=True)
class Scene:
    """What a fleet is like.

    Attributes:
        secrets: how many. A quarter hold a hand-made token, a quarter a placeholder; the others have been rotated
            before.
        per_minute: Docker Hub's limit of requests. 600 were seen with a login, 180 without
            (https://github.com/badges/shields/issues/9342, https://github.com/goodwithtech/dockertags/issues/28).
        timeout: seconds that Lambda gives an invocation.
        attempts: how often Secrets Manager tries a rotation. This and the next are assumptions: AWS says "multiple
            times" (https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda.html).
        pause: seconds between two attempts; the same for all, so that those that failed together come together.
        two_factor: whether the account logs in with one-time codes.
        others: tokens of other people and programs.
        second: of the minute, at which all rotations start.
        seed: of everything random.
    """

    secrets: int = 200
    per_minute: int = 600
    timeout: float = 120
    attempts: int = 5
    pause: float = 300
    two_factor: bool = False
    others: int = 12
    second: float = 0
    seed: int = 1


@dataclass(frozen=True)
class Report:
    """What it took.

    Attributes:
        rotated: how many rotations succeeded.
        requests: to each party.
        logins: successful logins with the account's password.
        rate_limited: answers 429.
        sandboxes: how many Lambda made.
        failed_attempts: attempts of Secrets Manager that failed, by the error.
        retries: attempts that it made after a failed one.
        seconds: from the start to the last end.
        broken: how often each invariant was found broken.
    """

    rotated: int
    requests: Mapping[str, int]
    logins: int
    rate_limited: int
    sandboxes: int
    failed_attempts: Mapping[str, int]
    retries: int
    seconds: float
    broken: Mapping[str, int]


class Fleet:
    """A world of many secrets.

    Attributes:
        time: everybody's clock.
        hub: Docker Hub.
        aws: Secrets Manager and Parameter Store.
        wire: what the function's requests pass.
        secrets: the secrets' ARNs.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.time = VirtualTime(1_800_000_000.0 + scene.second)
        self.hub = docker_hub.DockerHub(
            totp_seed=pyotp.random_base32() if scene.two_factor else None,
            rate_limit_per_minute=scene.per_minute,
            clock=lambda: self.time.now,
        )
        self.wire = Wire(on_request=self._look, clock=lambda: self.time.now)
        self._lot = random.Random(scene.seed)  # noqa: S311 - chance, not cryptography
        self._retries = 0
        self._broken: Counter[str] = Counter()
        self._current: frozenset[str] = frozenset()  # the tokens under AWSCURRENT
        self.aws = Aws(
            invoke=lambda event: self._lambda.invoke(event),
            attempts=scene.attempts,
            pause=self._pause,
            clock=lambda: self.time.now,
            thread=self.time.thread,
        )
        self._lambda = _Lambda(
            scene,
            self.time,
            self._lot,
            aws=self._far_away(self.wire.door(self.aws.app, "AWS")),
            hub=self._far_away(self.wire.door(self.hub.app, "Docker Hub")),
        )
        self._client = _in_process(boto3.client("secretsmanager", **_ACCOUNT), self.aws.app)
        with self.time.everywhere():
            for number in range(scene.others):
                self.hub.add_token(f"build-farm-{number + 1}", active=number % 4 != 3)
            self._others = {token.uuid: (token.label, token.active) for token in self.hub.tokens.values()}
            self.aws.put_parameter("DOCKER_HUB_USERNAME", self.hub.username)
            self.aws.put_parameter("DOCKER_HUB_PASSWORD", self.hub.password)
            self.aws.put_parameter("DOCKER_HUB_TOTP", self.hub.totp_seed or "unused")
            self.secrets = [self._furnish(number) for number in range(scene.secrets)]

    def _furnish(self, number: int) -> str:
        name = f"team-{number + 1}/docker-hub-token"
        if number % 4 == 0:
            return self.aws.create_secret(name, self.hub.add_token(f"made by hand for {name}").value)
        arn = self.aws.create_secret(name, PLACEHOLDER)
        if number % 4 == 1:
            return arn
        (previous,) = self.aws.labels(arn)
        self.hub.add_token(token_labels.label_for(arn, previous), active=False)
        token = self.hub.add_token("to be labelled")
        answer = self._client.put_secret_value(SecretId=arn, SecretString=token.value)
        token.label = token_labels.label_for(arn, answer["VersionId"])
        return arn

    def rotate(self) -> Report:
        """Start the rotation of every secret at once, and let time pass until the last has ended."""
        began = self.time.now
        with self.time.everywhere(), _random_from(self.scene.seed):
            self._remember_current()
            for arn in self.secrets:
                self._client.rotate_secret(SecretId=arn, RotationLambdaARN=FUNCTION_ARN)
            self.time.run()
        self.aws.wait()
        if self._lambda.crash:
            raise self._lambda.crash
        rotated = sum(event.name == "RotationSucceeded" for event in self.aws.events)
        if rotated == len(self.secrets):
            self._look_at_the_end()
        return Report(
            rotated=rotated,
            requests=Counter(request.party for request in self.wire.requests),
            logins=self.hub.password_logins,
            rate_limited=sum(request.status == 429 for request in self.wire.requests),
            sandboxes=self._lambda.sandboxes,
            failed_attempts=self._lambda.failures,
            retries=self._retries,
            seconds=self.time.now - began,
            broken=self._broken,
        )

    def _pause(self, _attempt: int) -> None:
        self._retries += 1
        self.time.sleep(self.scene.pause)

    def _far_away(self, app: WSGIApplication) -> WSGIApplication:
        """Return an application that takes as long to ask as the real one."""

        def door(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            self.time.sleep(self._lot.uniform(*_LATENCY) / 2)
            answer = app(environ, start_response)
            self.time.sleep(self._lot.uniform(*_LATENCY) / 2)
            return answer

        return door

    # What must hold after every request, and at the end.

    def _remember_current(self) -> None:
        values = {self.aws.value(arn) for arn in self.secrets}
        self._current = frozenset(value for value in values if value is not None and value != PLACEHOLDER)

    def _look(self, request: Request) -> None:
        if request.party == "AWS" and request.name in ("PutSecretValue", "UpdateSecretVersionStage"):
            self._remember_current()
        tokens = self.hub.tokens
        live = {token.value for token in tokens.values() if token.active}
        self._check(WORKS, live >= self._current and not self.hub.locked)
        now = {uuid: (token.label, token.active) for uuid, token in tokens.items() if uuid in self._others}
        self._check(ONLY_OURS, now == self._others)
        self._check(NOT_LOCKED, not self.hub.locked)

    def _look_at_the_end(self) -> None:
        self._remember_current()
        self._check(WORKS, len(self._current) == len(self.secrets))
        by_label = {token.label: token for token in self.hub.tokens.values()}
        expected = dict(self._others)
        for arn in self.secrets:
            for version, labels in self.aws.labels(arn).items():
                token = by_label.get(token_labels.label_for(arn, version))
                if token and "AWSCURRENT" in labels:
                    expected[token.uuid] = (token.label, token.value == self.aws.value(arn))
                elif "AWSPREVIOUS" in labels and self.aws.value(arn, "AWSPREVIOUS") != PLACEHOLDER:
                    expected[token.uuid if token else f"the token of {version}"] = (
                        token_labels.label_for(arn, version),
                        False,
                    )
        # After a failed attempt disabled ones may stay for one more rotation.
        found = {
            token.uuid: (token.label, token.active)
            for token in self.hub.tokens.values()
            if token.active or token.uuid in expected or not self._retries
        }
        self._check(NO_REMAINS, found == expected)
        secrets = {token.value for token in self.hub.tokens.values()} | self.hub.issued | {self.hub.password}
        self._check(NO_LEAK, not any(secret in said for said in self._lambda.said for secret in secrets))

    def _check(self, invariant: str, holds: bool) -> None:
        self._broken[invariant] += not holds


class _Lambda:
    """Lambda: takes an idle sandbox, which of them is not published, or makes a new one.

    The AWS clients are made once: each takes longer to make than a rotation.
    """

    def __init__(
        self, scene: Scene, time: VirtualTime, lot: random.Random, *, aws: WSGIApplication, hub: WSGIApplication
    ) -> None:
        self.sandboxes = 0
        self.failures: Counter[str] = Counter()
        self.said: list[str] = []
        self.crash: Exception | None = None
        self._scene = scene
        self._time = time
        self._lot = lot
        self._idle: list[Sandbox] = []
        self._settings = settings.read({"DOCKERHUB_TOTP_PARAMETER": "DOCKER_HUB_TOTP"} if scene.two_factor else {})
        self._ssm = _in_process(boto3.client("ssm", config=CLIENT_CONFIG, **_ACCOUNT), aws)
        self._secrets_manager = _in_process(boto3.client("secretsmanager", config=CLIENT_CONFIG, **_ACCOUNT), aws)
        self._hub = httpx.WSGITransport(app=hub)

    def invoke(self, event: Mapping[str, str]) -> None:
        """Call the function. Raises FunctionError if it fails."""
        sandbox = self._idle.pop(self._lot.randrange(len(self._idle))) if self._idle else self._start()
        ends_at = self._time.now + self._scene.timeout
        deadline = Deadline(lambda: max(0, round((ends_at - self._time.now) * 1000)))
        try:
            rotation.rotate(request.parse(event), sandbox.begin(deadline))
            assert self._time.now <= ends_at, "the function has overstayed its timeout"
        except RotationError as failure:
            self.failures[type(failure.__cause__ or failure).__name__] += 1  # rather than RetirementFailed, its cause
            self.said.extend(f"{error!r} {error}" for error in (failure, failure.__cause__, failure.__context__))
            raise FunctionError(f"{type(failure).__name__}: {failure}") from failure
        except Exception as crash:
            self.crash = self.crash or crash
            raise
        finally:
            self._idle.append(sandbox)

    def _start(self) -> Sandbox:
        self.sandboxes += 1
        return Sandbox(
            self._settings,
            Parameters(self._settings, self._ssm),
            SecretsManager(self._secrets_manager),
            Connection(Pool(self._hub)),
        )


@contextmanager
def _random_from(seed: int) -> Iterator[None]:
    """Let what the function draws by lot be the same every time."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)


_ACCOUNT: dict[str, Any] = {
    "region_name": REGION,
    "aws_access_key_id": "rehearsal",
    "aws_secret_access_key": "rehearsal",
}


class _Body(io.BytesIO):
    """The body of an answer, as botocore reads it."""

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()


def _in_process(client: Any, app: WSGIApplication) -> Any:
    """Return an AWS client whose requests are calls of a WSGI application."""
    http = Client(app)

    def send(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        sent: Any = request.headers
        headers = {name: value.decode() if isinstance(value, bytes) else value for name, value in sent.items()}
        answer = http.open(request.url, method=request.method, headers=headers, data=request.body)
        received = HTTPHeaders.from_pairs(answer.headers)
        return AWSResponse(request.url, answer.status_code, received, _Body(answer.get_data()))

    client.meta.events.register("before-send", send)
    return client


def show(scenes: Iterable[Scene], console: Console) -> bool:
    """Let fleets rotate, show what it took, and return whether every secret was rotated and every invariant held."""
    scenes = tuple(scenes)
    reports = []
    for scene in scenes:
        console.print(_described(scene))
        reports.append(Fleet(scene).rotate())
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for scene in scenes:
        table.add_column(f"{scene.per_minute} a minute", justify="right")

    def row(name: str, *values: object) -> None:
        table.add_row(name, *(str(value) for value in values))

    row("secrets rotated", *(report.rotated for report in reports))
    row("virtual time", *(f"{report.seconds // 60:.0f} min {report.seconds % 60:02.0f} s" for report in reports))
    row("requests", *(sum(report.requests.values()) for report in reports))
    row("  to AWS", *(report.requests["AWS"] for report in reports))
    row("  to Docker Hub", *(report.requests["Docker Hub"] for report in reports))
    row("  answered 429", *(report.rate_limited for report in reports))
    row("logins with the password", *(report.logins for report in reports))
    row("sandboxes", *(report.sandboxes for report in reports))
    row("failed attempts", *(sum(report.failed_attempts.values()) for report in reports))
    for error in dict.fromkeys(error for report in reports for error in report.failed_attempts):
        row(f"  {error}", *(report.failed_attempts[error] for report in reports))
    row("native retries", *(report.retries for report in reports))
    for invariant in (WORKS, ONLY_OURS, NOT_LOCKED, NO_REMAINS, NO_LEAK):
        row(invariant, *(_held(report, invariant) for report in reports))
    console.print()
    console.print(table)
    return all(
        report.rotated == scene.secrets and not sum(report.broken.values())
        for scene, report in zip(scenes, reports, strict=True)
    )


def _described(scene: Scene) -> str:
    second = ", with two-factor login" if scene.two_factor else ""
    return (
        f"{scene.secrets} secrets of one account{second} rotate at once. Docker Hub answers {scene.per_minute} "
        f"requests a minute,\nthe function has {scene.timeout:g} s, Secrets Manager tries {scene.attempts} times, "
        f"{scene.pause:g} s apart."
    )


def _held(report: Report, invariant: str) -> str:
    times = report.broken.get(invariant, 0)
    if times:
        return f"[red]broken {times} times[/]"
    return "[green]holds[/]" if invariant in report.broken else "-"
