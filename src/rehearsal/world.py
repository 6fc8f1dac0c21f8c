"""One machine's whole world: an account at Docker Hub, a secret with native rotation, the function, the wires between.

The function reaches both parties through the doors of one `Wire`, which numbers its requests and hurts them on order.
Everybody else (the AWS CLI, the consumer, the reader of `--serve`) comes through doors of their own.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from threading import Event, Thread, local
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import boto3
import pyotp

from dockerhub_rotation import duration
from rehearsal.docker_hub import DockerHub, Organization, Role, Token
from rehearsal.sandbox import Function, FunctionError
from rehearsal.secrets_manager import Aws
from rehearsal.wire import Fault, Request, Server, Wire

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

REGION = "eu-central-1"
SECRET_NAME = "dockerhub-token"
CARETAKER = "dockerhub_rotation.caretaker.lambda_handler"
FUNCTION_ARN = f"arn:aws:lambda:{REGION}:123456789012:function:dockerhub-rotation"
REPOSITORY = "acme/app"
ORGANIZATION = "acme-inc"
QUOTA = 100
MADE_BY_HAND = "made by hand"
PLACEHOLDER = "placeholder-until-the-first-rotation"

_BETWEEN_ROTATIONS_SECONDS = 5

TASKS = ("Reconcile", "Retire", "Rollback", "Preflight")

_ACCOUNT = {
    "AWS_ACCESS_KEY_ID": "rehearsal",
    "AWS_SECRET_ACCESS_KEY": "rehearsal",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
}


class Shape(StrEnum):
    """What the secret looks like, by whom it is read."""

    PLAIN = "plain"
    ECS = "ecs"
    ECR = "ecr"
    MIXED = "mixed"
    DOCKERCONFIG = "dockerconfigjson"
    KEYED_DOCKERCONFIG = "dockerconfigjson-key"

    def compose(self, username: str, token: str) -> str:
        """Return a secret's value of this shape."""
        auth = base64.b64encode(f"{username}:{token}".encode()).decode()
        match self:
            case Shape.PLAIN:
                return token
            case Shape.ECS:
                return json.dumps({"username": username, "password": token})
            case Shape.ECR:
                return json.dumps({"username": username, "accessToken": token})
            case Shape.MIXED:
                extra = {"email": "ops@example.com", "port": 443, "tags": ["pull", None, 1.5]}
                return json.dumps({"username": username, **extra, "password": token, "accessToken": token})
            case Shape.DOCKERCONFIG:
                hub = {"username": username, "password": token, "auth": auth}
                return json.dumps(
                    {"auths": {"ghcr.io": {"auth": "b3RoZXI6b3RoZXI="}, "https://index.docker.io/v1/": hub}}
                )
            case Shape.KEYED_DOCKERCONFIG:
                auths = {"https://index.docker.io/v1/": {"auth": auth}, "dhi.io": {"auth": auth}}
                return json.dumps({".dockerconfigjson": json.dumps({"auths": auths})})


def token_in(value: str) -> str:
    """Read the token out of a secret's value as consumers do, each knowing its own key."""
    if not value.startswith("{"):
        return value
    document = json.loads(value)
    if ".dockerconfigjson" in document:
        document = json.loads(document[".dockerconfigjson"])
    if "auths" in document:
        entry = document["auths"]["https://index.docker.io/v1/"]
        return base64.b64decode(entry["auth"]).decode().partition(":")[2]
    return str(document.get("password") or document["accessToken"])


@dataclass(frozen=True)
class Scene:
    """What the world is like before the first rotation.

    Attributes:
        shape: of the secret.
        two_factor: whether the account logs in with one-time codes.
        others: how many tokens of other people and programs the account has.
        placeholder: whether the secret holds no token yet; else a hand-made one.
        faults: what goes wrong.
        cold: whether each invocation gets a fresh process.
        environment: further environment variables of the function.
        grace: how long a superseded token lives, as DOCKERHUB_GRACE has it.
        organization: the name of the organization whose token the secret holds; None for a personal token.
    """

    shape: Shape = Shape.PLAIN
    two_factor: bool = False
    others: int = 12
    placeholder: bool = False
    faults: tuple[Fault, ...] = ()
    cold: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    grace: str = "0"
    organization: str | None = None

    @property
    def repository(self) -> str:
        """A repository that the secret's token may pull."""
        return f"{self.organization}/app" if self.organization else REPOSITORY

    @property
    def grace_seconds(self) -> int:
        """The grace in seconds."""
        return duration.parse(self.grace)


@dataclass(frozen=True)
class State:
    """What is so at one moment.

    Attributes:
        tokens: uuid to label and whether it is active, of every token at Docker Hub.
        labels: version id to staging labels.
        filled: versions that have a value.
    """

    tokens: Mapping[str, tuple[str, bool]]
    labels: Mapping[str, frozenset[str]]
    filled: frozenset[str]

    def holder(self, label: str) -> str | None:
        """Return the version that carries a staging label, or None."""
        return next((version for version, labels in self.labels.items() if label in labels), None)


@dataclass(frozen=True)
class StepRun:
    """One invocation of the function, and what came of it.

    Attributes:
        error: what the function raised, or None.
        requests: what it asked of the world.
    """

    step: str
    seconds: float
    error: str | None
    requests: tuple[Request, ...]
    before: State
    after: State


class World:
    """Everything, for the length of a `with` block.

    Args:
        scene: the world before the first rotation.
        on_request: called after each request of the function, before it hears of the answer.
        on_step: called after each invocation.
        run_function: how the function is run; by default as Lambda does, in a process of its own.

    Attributes:
        hub: Docker Hub.
        aws: Secrets Manager and Parameter Store.
        wire: what the function's requests pass.
        function: the rotation function's process.
        caretaker: the caretaker's.
        answers: what the caretaker has answered so far.
        secret_arn: the secret.
        client: a Secrets Manager client of somebody else than the function.
        steps: every invocation so far.
        step: the step or task that is under way, or None.
        hold_before: the step at which rotations are held up, as if the function were broken from then on; None for
            rotations that go through.
        passed: seconds that have passed at Docker Hub and AWS, beside those that the machine's clock shows. With each
            rotation they become some more: one never begins in the second in which another has ended.
        environment: with which the reader's own `aws` commands work against this world.
    """

    def __init__(
        self,
        scene: Scene,
        *,
        on_request: Callable[[Request], None] = lambda request: None,  # noqa: ARG005 - the argument is the contract
        on_step: Callable[[StepRun], None] = lambda run: None,  # noqa: ARG005
        run_function: Callable[..., Function] = Function,
        passed: float = 0.0,
    ) -> None:
        self.scene = scene
        self.steps: list[StepRun] = []
        self.step: str | None = None
        self.hold_before: str | None = None
        self._held = False
        self._asking = local()
        self._rests = Event()
        self._rests.set()
        self.passed = passed
        self.secrets: set[str] = set()
        self.answers: list[object] = []
        self._on_request = on_request
        self._on_step = on_step
        self._run_function = run_function
        self._stack = ExitStack()
        seed = pyotp.random_base32() if scene.two_factor else None
        self.hub = DockerHub(
            totp_seed=seed,
            repositories={REPOSITORY: {"pull", "push"}},
            organizations=organizations(scene.organization),
            clock=self.now,
        )
        self.aws = Aws(invoke=self.invoke, clock=self.now, thread=self._thread)
        self.wire = Wire(faults=scene.faults, on_request=self._look)
        self._furnish(seed)

    def now(self) -> float:
        """Return the time at Docker Hub and AWS, in seconds since 1970."""
        return time.time() + self.passed  # looked up at each call, so that a test's clock is everybody's

    def _furnish(self, seed: str | None) -> None:
        hub, aws = self.hub, self.aws
        for number in range(self.scene.others):
            label, active = f"{('ci-runner', 'laptop', 'build-farm')[number % 3]}-{number + 1}", number % 4 != 3
            if number % 4 == 1:  # the account has its own, whatever the secret holds
                hub.add_token(label, active=active)
            else:
                self.add_token(label, active=active)
        token = PLACEHOLDER if self.scene.placeholder else self.add_token(MADE_BY_HAND).value
        value = self.scene.shape.compose(self.login_name, token)
        self.secret_arn = aws.create_secret(SECRET_NAME, value, organization_tags(self.scene.organization))
        for variable, value in (("USERNAME", hub.username), ("PASSWORD", hub.password)):
            named = self.scene.environment.get(f"DOCKERHUB_{variable}_PARAMETER", f"DOCKER_HUB_{variable}")
            aws.put_parameter(named, value)
        self.secrets.add(hub.password)
        if seed:
            aws.put_parameter("DOCKER_HUB_TOTP", seed)
            self.secrets.add(seed)
        self._remember_secrets()

    @property
    def login_name(self) -> str:
        """The name under which the secret's token logs in."""
        return self.scene.organization or self.hub.username

    @property
    def tokens_path(self) -> str:
        """The path at the Hub API of the tokens that are of the same kind as the secret's."""
        organization = self.scene.organization
        return f"/v2/orgs/{organization}/access-tokens" if organization else "/v2/access-tokens"

    def add_token(self, label: str, **how: Any) -> Token:
        """Make one more token by hand, of the same kind as the secret's, and return it.

        Args:
            label: what it is called.
            how: as `DockerHub.add_token` or `DockerHub.add_organization_token` has it.
        """
        if self.scene.organization:
            return self.hub.add_organization_token(self.scene.organization, label, **how)
        return self.hub.add_token(label, **how)

    def __enter__(self) -> Self:
        front_aws, front_hub, door_aws, door_hub = (
            self._stack.enter_context(Server(app))
            for app in (
                self.aws.app,
                self.hub.app,
                self.wire.door(self._asked_by_a_function, "AWS"),
                self.wire.door(self.hub.app, "Docker Hub"),
            )
        )
        self.hub_url = front_hub.url
        self.environment = {**_ACCOUNT, "AWS_ENDPOINT_URL": front_aws.url}
        self.function = self._stack.enter_context(
            self._run_function(self.function_environment(door_aws.url, door_hub.url), cold=self.scene.cold)
        )
        self.caretaker = self._stack.enter_context(
            self._run_function(
                {
                    **self.function_environment(door_aws.url, door_hub.url),
                    "_HANDLER": CARETAKER,
                    "ROTATION_FUNCTION_ARN": FUNCTION_ARN,
                },
                cold=self.scene.cold,
            )
        )
        self.wire.kill = lambda: (self.caretaker if self.step in TASKS else self.function).kill()
        self.client = boto3.client(
            "secretsmanager",
            region_name=REGION,
            endpoint_url=front_aws.url,
            aws_access_key_id="rehearsal",
            aws_secret_access_key="rehearsal",
        )
        self._stack.callback(self.client.close)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(TimeoutError):
            self.aws.wait()  # nobody may have waited for what the caretaker has started
        self._stack.close()

    def function_environment(self, aws_url: str, hub_url: str) -> dict[str, str]:
        """Return the environment variables of a function that finds the two parties at these places."""
        return {
            **_ACCOUNT,
            "AWS_ENDPOINT_URL": aws_url,
            "DOCKERHUB_API_URL": hub_url,
            "DOCKERHUB_AUTH_URL": hub_url,
            "DOCKERHUB_REGISTRY_URL": hub_url,
            **({"DOCKERHUB_TOTP_PARAMETER": "DOCKER_HUB_TOTP"} if self.scene.two_factor else {}),
            **organization_environment(self.scene.organization),
            "DOCKERHUB_GRACE": self.scene.grace,
            **self.scene.environment,
        }

    def invoke(self, event: object) -> None:
        """Call the function as Secrets Manager does, and write down what came of it.

        Raises:
            FunctionError: it failed.
        """
        fields = event if isinstance(event, dict) else {}
        self._held = self.hold_before is not None and (self._held or fields.get("Step") == self.hold_before)
        if self._held:
            raise FunctionError("held up")
        if token := fields.get("RotationToken"):
            self.secrets.add(str(token))
        before, asked, began = self.state(), len(self.wire.requests), time.perf_counter()
        error: FunctionError | None = None
        self.step = str(fields.get("Step", "no step"))
        try:
            self.function.invoke(event)
        except FunctionError as raised:
            error = raised
        run = StepRun(
            step=self.step,
            seconds=time.perf_counter() - began,
            error=str(error) if error else None,
            requests=tuple(self.wire.requests[asked:]),
            before=before,
            after=self.state(),
        )
        self.step = None
        self.steps.append(run)
        self._on_step(run)
        if error:
            raise error

    def care(self, task: str = "Reconcile", **fields: object) -> Any:
        """Send the caretaker a task, write down what came of it, and return the answer.

        Args:
            fields: further fields of the event.

        Raises:
            FunctionError: it failed.
        """
        self.step = task
        self._rests.clear()
        try:
            answer = self.caretaker.invoke({"Task": task, **fields})
        finally:
            self.step = None
            self._rests.set()
        self.answers.append(answer)
        return answer

    def _asked_by_a_function(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as AWS, and remember meanwhile that no person is asking."""
        self._asking.function = True
        try:
            return self.aws.app(environ, start_response)
        finally:
            self._asking.function = False

    def _thread(self, target: Callable[..., None], **how: Any) -> Thread:
        """Make the thread of a rotation, which comes after the task that has started it: it is asynchronous."""

        def later(*args: Any) -> None:
            self._rests.wait()
            target(*args)

        return Thread(target=later if getattr(self._asking, "function", False) else target, **how)

    def rotate(self, **options: Any) -> list[str]:
        """Start a rotation, wait for its end, and return the names of the events it caused.

        Args:
            options: further fields of the RotateSecret request.
        """
        seen = len(self.aws.events)
        self.passed += _BETWEEN_ROTATIONS_SECONDS
        self.client.rotate_secret(SecretId=SECRET_NAME, RotationLambdaARN=FUNCTION_ARN, **options)
        self.aws.wait(timeout=600)
        return [event.name for event in self.aws.events[seen:]]

    def rotate_by_command(self) -> list[str]:
        """Do as `rotate`, with the real AWS CLI."""
        seen = len(self.aws.events)
        self.passed += _BETWEEN_ROTATIONS_SECONDS
        self.aws_cli(
            *("secretsmanager", "rotate-secret", "--secret-id", SECRET_NAME),
            *("--rotation-lambda-arn", FUNCTION_ARN, "--rotation-rules", "AutomaticallyAfterDays=30"),
        )
        self.aws.wait(timeout=600)
        return [event.name for event in self.aws.events[seen:]]

    def aws_cli(self, *arguments: str) -> str:
        """Run the real AWS CLI against this world and return what it printed."""
        nobody = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        done = subprocess.run(  # noqa: S603 - the AWS CLI of this environment
            [Path(sys.executable).with_name("aws"), *arguments],
            env={"PATH": os.environ.get("PATH", ""), **nobody, **self.environment},
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise RuntimeError(f"aws {' '.join(arguments[:2])} failed: {done.stderr.strip()}")
        return done.stdout

    def state(self) -> State:
        """Return what is so now."""
        return state_of(self.hub, self.aws, self.secret_arn)

    def current_token(self) -> str:
        """Return the token under AWSCURRENT, read as a consumer reads it."""
        value = self.aws.value(self.secret_arn)
        assert value is not None
        return token_in(value)

    def leaked(self, text: str) -> list[str]:
        """Return each secret value that a text holds: of the account, of its tokens and logins, and of the rotations.

        Also in disguise: without a token's prefix, in a URL, in JSON, or in base64, which credentials travel in. A
        one-time code has to stand by itself: six digits may be part of any id.
        """
        with self.hub.lock:
            values, codes = self.secrets | self.hub.issued, set(self.hub.codes)
        shown = [code for code in codes if re.search(rf"(?<!\w){re.escape(code)}(?!\w)", text)]
        return [value for value in values if any(form in text for form in _forms(value))] + shown

    def _look(self, request: Request) -> None:
        self._remember_secrets()
        self._on_request(request)

    def _remember_secrets(self) -> None:
        with self.hub.lock:
            self.secrets |= {token.value for token in self.hub.tokens.values()}


def organizations(name: str | None) -> dict[str, Organization]:
    """Return the organization, if there is one; the account has the least role in it that a rotation needs."""
    if name is None:
        return {}
    members = {"acme": Role.TOKEN_MANAGER, "the-owner": Role.OWNER}
    return {name: Organization(members=members, repositories={f"{name}/app"}, quota=QUOTA)}


def organization_environment(name: str | None) -> dict[str, str]:
    """Return the environment variables of a function that serves it."""
    return {"DOCKERHUB_ORGANIZATIONS": name, "DOCKERHUB_ORGANIZATION_QUOTA": str(QUOTA)} if name else {}


def organization_tags(name: str | None) -> dict[str, str]:
    """Return the tags of a secret that holds a token of it."""
    return {"dockerhub-rotation:organization": name} if name else {}


def state_of(hub: DockerHub, aws: Aws, secret_arn: str) -> State:
    """Return what is so now."""
    with hub.lock:
        tokens = {token.uuid: (token.label, token.active) for token in hub.tokens.values()}
    labels = {version: frozenset(labels) for version, labels in aws.labels(secret_arn).items()}
    pending = next((version for version, stages in labels.items() if "AWSPENDING" in stages), None)
    empty = pending is not None and aws.value(secret_arn, "AWSPENDING") is None
    return State(tokens, labels, frozenset(labels) - ({pending} if empty and pending else frozenset()))


def _forms(value: str) -> set[str]:
    """Return a value as it may be written."""
    # Base64 of a text that a value is part of has the same characters wherever the value begins at the same third byte,
    # but for those that it shares with its neighbours.
    encoded = {
        base64.b64encode(b"." * before + value.encode())[4 if before else 0 : -4].decode() for before in range(3)
    }
    bare = value.removeprefix("dckr_pat_").removeprefix("dckr_oat_")
    plain = {value, bare, quote(value, safe=""), json.dumps(value)[1:-1]}
    return plain | encoded | {form.replace("+", "-").replace("/", "_") for form in encoded}


def changes(before: State, after: State) -> list[str]:
    """Say in words what is different."""
    said = [f"version {version[:8]} got its value" for version in after.filled - before.filled]
    for label in ("AWSCURRENT", "AWSPREVIOUS", "AWSPENDING"):
        old_holder, new_holder = before.holder(label), after.holder(label)
        if new_holder is None and old_holder is not None:
            said.append(f"{label} removed from {old_holder[:8]}")
        elif new_holder is not None and new_holder != old_holder:
            said.append(f"{label} moved to {new_holder[:8]}")
    for uuid, (label, active) in after.tokens.items():
        old_label, was_active = before.tokens.get(uuid, (label, None))
        done = []
        if was_active is None:
            done.append("made" if active else "made, disabled")
        elif was_active != active:
            done.append("enabled" if active else "disabled")
        if old_label != label:
            done += _labelled(old_label, label, active)
        if done:
            said.append(f"token {uuid[:8]} {' and '.join(done)}")
    return said + [f"token {uuid[:8]} deleted" for uuid in before.tokens if uuid not in after.tokens]


def _labelled(old: str, new: str, active: bool) -> list[str]:
    """Say what a label was changed for. That of a disabled token says since when, which goes without saying."""
    if not old.startswith("dockerhub-rotation/"):
        return ["labelled as ours"]
    if not active:
        return []
    return ["given a deadline" if " until " in new else "its deadline taken off"]
