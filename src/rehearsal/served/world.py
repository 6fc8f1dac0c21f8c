"""A deployed world: the secret attached to the function, the caretaker beside it, and AWS as operators ask it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from rehearsal.native_rotation import Event
from rehearsal.sandbox import HANDLER, Function, FunctionError
from rehearsal.served.front import Front, json_service, query_service, wsgi_service
from rehearsal.served.functions import Deployed, Functions
from rehearsal.served.log_groups import LogGroups
from rehearsal.served.stacks import Bucket, Stacks
from rehearsal.wire import Server
from rehearsal.world import CARETAKER, FUNCTION_ARN, QUOTA, REGION, SECRET_NAME, Scene, StepRun, World

PROJECT = FUNCTION_ARN.rpartition(":")[2]
ACCOUNT = FUNCTION_ARN.split(":")[4]
SECRET_STACK = f"{PROJECT}-secret"
USERNAME, PASSWORD = f"/{PROJECT}/DOCKER_HUB_USERNAME", f"/{PROJECT}/DOCKER_HUB_PASSWORD"

_HOUR, _DAY = 3600, 86_400
_DAYS_BETWEEN = 30
# How long ago the last rotation was that the world has had: what hangs since yesterday can begin after it.
_SECONDS_AGO = 3 * _DAY + _HOUR
_CARETAKER_SECONDS = 900
# And how long ago the caretaker has looked, as it does each hour.
_MINUTES_SINCE_A_LOOK = 20


class Served:
    """The world, for the length of a `with` block.

    Args:
        scene: the world before the first rotation. What it says of the function's environment comes on top of what a
            deployment sets.
        rotations: how many the secret has had, a month apart, the last one three days ago. The caretaker has looked
            since.
        on_step: called after each step and each task.
        on_event: called with each event of Secrets Manager.
        run_function: makes the processes of the two functions.

    Attributes:
        world: the parties themselves, whose state may be read and changed.
        logs: what the functions have printed.
        environment: with which commands work against this world.
        crashes: requests that this world could not answer, to which it should have had an answer.
    """

    def __init__(
        self,
        scene: Scene = Scene(),  # noqa: B008 - frozen
        *,
        rotations: int = 0,
        on_step: Callable[[StepRun], None] = lambda run: None,  # noqa: ARG005 - the argument is the contract
        on_event: Callable[[Event], None] = lambda event: None,  # noqa: ARG005
        run_function: Callable[..., Function] = Function,
    ) -> None:
        deployed = {
            "DOCKERHUB_USERNAME_PARAMETER": USERNAME,
            "DOCKERHUB_PASSWORD_PARAMETER": PASSWORD,
            "DOCKERHUB_SECRETS": SECRET_NAME,
            "AWS_LAMBDA_FUNCTION_NAME": PROJECT,
        }
        self._rotations = rotations
        self._on_step = on_step
        self._stack = ExitStack()
        self.world = World(
            replace(scene, environment={**deployed, **scene.environment}),
            on_step=self._end_step,
            run_function=run_function,
            passed=-(rotations * _DAYS_BETWEEN * _DAY + _SECONDS_AGO),
        )

        self.world.aws.engine.heard = on_event

    def __enter__(self) -> Self:
        world = self._stack.enter_context(self.world)
        self.logs = LogGroups(
            {PROJECT: world.function.log, f"{PROJECT}-caretaker": world.caretaker.log},
            world.now,
            lambda: world.passed,
        )
        front = Front(self._services())
        self.crashes = front.crashes
        door = self._stack.enter_context(Server(front.app))
        self.environment = {**world.environment, "AWS_ENDPOINT_URL": door.url}
        for parameter in (USERNAME, PASSWORD):
            world.aws.tag_parameter(parameter, "ProjectName", PROJECT)
        world.caretaker.configure({}, timeout_seconds=_CARETAKER_SECONDS)
        world.aws.mark_made_by(world.secret_arn, SECRET_STACK)
        world.aws.attach(world.secret_arn, FUNCTION_ARN, {"AutomaticallyAfterDays": _DAYS_BETWEEN})
        for number in range(self._rotations, 0, -1):
            with self.ago(_SECONDS_AGO + (number - 1) * _DAYS_BETWEEN * _DAY):
                self.rotate()
        with self.ago(_MINUTES_SINCE_A_LOOK * 60):
            self.reconcile()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.world.aws.wait()
        self._stack.close()
        if error is None and self.crashes:
            raise self.crashes[0]

    @contextmanager
    def ago(self, seconds: float) -> Iterator[None]:
        """Let what is done inside be done so long ago. Nothing happens before what has happened already."""
        self.world.passed = -seconds
        yield
        self.world.aws.wait()
        self.world.passed = 0.0
        for function in (self.world.function, self.world.caretaker):
            function.discard()  # Lambda has ended the sandbox by now

    def rotate(self) -> None:
        """Rotate, and wait for the end, whichever it is."""
        self.world.client.rotate_secret(SecretId=SECRET_NAME)
        self.world.aws.wait(timeout=600)

    def reconcile(self) -> Any:
        """Have the caretaker look at everything, as its schedule does, and return its answer.

        Raises:
            FunctionError: it failed.
        """
        return self.send({"Task": "Reconcile"})

    def send(self, event: object) -> Any:
        """Send the caretaker a task, write down what came of it, and return its answer.

        Raises:
            FunctionError: it failed.
        """
        world, task = self.world, str(event.get("Task", "no task")) if isinstance(event, dict) else "no task"
        before, asked, began = world.state(), len(world.wire.requests), time.perf_counter()
        error: str | None = None
        world.step = task
        try:
            return world.caretaker.invoke(event)
        except FunctionError as failed:
            error = str(failed)
            raise
        finally:
            world.step = None
            seconds, requests = time.perf_counter() - began, tuple(world.wire.requests[asked:])
            self.logs.end_invocation(f"{PROJECT}-caretaker", seconds)
            self._on_step(StepRun(task, seconds, error, requests, before, world.state()))

    def configure(self, environment: Mapping[str, str], timeout_seconds: float | None = None) -> None:
        """Change variables of both functions, and the timeout of the one that rotates, as a deployment does."""
        self.world.function.configure(environment, timeout_seconds)
        self.world.caretaker.configure(environment)

    def _services(self) -> dict[str, Any]:
        world = self.world
        functions = Functions(
            {
                PROJECT: Deployed(FUNCTION_ARN, HANDLER, world.function, world.invoke),
                f"{PROJECT}-caretaker": Deployed(f"{FUNCTION_ARN}-caretaker", CARETAKER, world.caretaker, self.send),
            }
        )
        urls = dict.fromkeys(("ApiUrl", "AuthUrl", "RegistryUrl"), world.hub_url)
        named = {"ProjectName": PROJECT, "Secrets": SECRET_NAME}
        two_factor = {"TotpParameter": "DOCKER_HUB_TOTP"} if world.scene.two_factor else {}
        organization = world.scene.organization
        theirs = {"Organizations": organization, "OrganizationQuota": str(QUOTA)} if organization else {}
        of_theirs = {"Organization": organization} if organization else {}
        stacks = {
            f"{PROJECT}-bucket": {"ProjectName": PROJECT},
            f"{PROJECT}-function": named | urls | two_factor | theirs,
            f"{PROJECT}-caretaker": {"ProjectName": PROJECT, "RotationFunctionArn": FUNCTION_ARN},
            SECRET_STACK: {"ProjectName": PROJECT, "SecretName": SECRET_NAME} | of_theirs,
        }
        bucket = f"{PROJECT}-{ACCOUNT}-{REGION}"
        outputs = {
            f"{PROJECT}-bucket": {"BucketName": bucket},
            f"{PROJECT}-function": {"FunctionArn": FUNCTION_ARN},
            SECRET_STACK: {"SecretArn": world.secret_arn},
        }
        return {
            "cloudformation": query_service("CloudFormation", Stacks(stacks, outputs, REGION, ACCOUNT).operations),
            "lambda": functions.answer,
            "logs": json_service("CloudWatch Logs", self.logs.operations),
            "s3": Bucket(bucket, REGION).answer,
            "secretsmanager": wsgi_service("Secrets Manager", world.aws.app),
            "ssm": wsgi_service("Parameter Store", world.aws.app),
            "sts": query_service("STS", {"GetCallerIdentity": _caller}),
        }

    def _end_step(self, run: StepRun) -> None:
        self.logs.end_invocation(PROJECT, run.seconds)
        self._on_step(run)


def _caller(_form: Mapping[str, str]) -> str:
    """Answer https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html."""
    arn = f"arn:aws:iam::{ACCOUNT}:user/operator"
    return f"<Arn>{arn}</Arn><UserId>AIDAREHEARSAL</UserId><Account>{ACCOUNT}</Account>"
