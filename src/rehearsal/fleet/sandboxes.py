"""The function in many sandboxes, and AWS's clients without a network.

No request leaves the process. Each is a call of a WSGI application. The handler's reports are left out, because they
are one per process.
"""

from __future__ import annotations

import io
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import boto3
import httpx
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError
from werkzeug.test import Client

from dockerhub_rotation import request, rotation, settings
from dockerhub_rotation.aws import CLIENT_CONFIG
from dockerhub_rotation.deadline import Deadline
from dockerhub_rotation.docker_hub import Connection
from dockerhub_rotation.docker_hub.http import Pool
from dockerhub_rotation.errors import RotationError
from dockerhub_rotation.invocation import Sandbox
from dockerhub_rotation.parameters import Parameters
from dockerhub_rotation.secrets_manager import SecretsManager
from dockerhub_rotation.tasks import dispatcher
from dockerhub_rotation.tasks.task import Result
from rehearsal.fleet.scenes import Scene
from rehearsal.sandbox import FunctionError
from rehearsal.virtual_time import VirtualTime
from rehearsal.world import FUNCTION_ARN, ORGANIZATION, REGION, organization_environment

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# From the function to a party and back, in seconds.
_LATENCY = (0.03, 0.07)
_CARETAKERS_TIMEOUT = 900


def far_away(app: WSGIApplication, time: VirtualTime, lot: random.Random) -> WSGIApplication:
    """Return an application that takes as long to ask as the real one."""

    def door(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        time.sleep(lot.uniform(*_LATENCY) / 2)
        answer = app(environ, start_response)
        time.sleep(lot.uniform(*_LATENCY) / 2)
        return answer

    return door


class Killed(BaseException):
    """The process of a sandbox has died. No `except Exception` of the function's takes it."""


class Lambda:
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
        self._settings = settings.read(
            {
                **({"DOCKERHUB_TOTP_PARAMETER": "DOCKER_HUB_TOTP"} if scene.two_factor else {}),
                **({"DOCKERHUB_HEAL": "rotate"} if scene.heals else {}),
                **organization_environment(ORGANIZATION if scene.mixed else None),
            }
        )
        self._ssm = aws_client("ssm", aws, config=CLIENT_CONFIG)
        self._secrets_manager = aws_client("secretsmanager", aws, config=CLIENT_CONFIG)
        self._hub = _Transport(app=hub)

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
            self._idle.append(sandbox)
            raise FunctionError(f"{type(failure).__name__}: {failure}") from failure
        except Killed as killed:
            raise FunctionError("killed") from killed
        except Exception as crash:
            self.crash = self.crash or crash
            raise
        self._idle.append(sandbox)

    def end_idle(self) -> None:
        """End the idle sandboxes, as Lambda does after a while."""
        self._idle.clear()

    def care(self) -> Result:
        """Let the caretaker look after all secrets, in a fresh sandbox, as its sandboxes are after an hour.

        Raises what the task raises, and Killed.
        """
        sandbox = replace(self._start(), settings=replace(self._settings, rotation_function=FUNCTION_ARN))
        ends_at = self._time.now + _CARETAKERS_TIMEOUT
        deadline = Deadline(lambda: max(0, round((ends_at - self._time.now) * 1000)))
        result = dispatcher.do(request.parse_task({"Task": "Reconcile"}), sandbox.begin(deadline))
        assert self._time.now <= ends_at, "the caretaker has overstayed its timeout"
        return result

    def _start(self) -> Sandbox:
        self.sandboxes += 1
        return Sandbox(
            self._settings,
            Parameters(self._settings, self._ssm),
            SecretsManager(self._secrets_manager),
            Connection(Pool(self._hub)),
        )


_ACCOUNT: dict[str, Any] = {
    "region_name": REGION,
    "aws_access_key_id": "rehearsal",
    "aws_secret_access_key": "rehearsal",
}


class _Transport(httpx.WSGITransport):
    """Requests to Docker Hub, whose connections may be dropped."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return super().handle_request(request)
        except ConnectionAbortedError as dropped:
            raise httpx.RemoteProtocolError("the connection was dropped", request=request) from dropped


class _Body(io.BytesIO):
    """The body of an answer, as botocore reads it."""

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()


def aws_client(service: Literal["secretsmanager", "ssm"], app: WSGIApplication, config: Config | None = None) -> Any:
    """Return an AWS client whose requests are calls of a WSGI application."""
    client: Any = boto3.client(service, config=config, **_ACCOUNT)
    http = Client(app)

    def send(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        sent: Any = request.headers
        headers = {name: value.decode() if isinstance(value, bytes) else value for name, value in sent.items()}
        try:
            answer = http.open(request.url, method=request.method, headers=headers, data=request.body)
        except ConnectionAbortedError as dropped:
            raise ConnectionClosedError(endpoint_url=request.url) from dropped
        received = HTTPHeaders.from_pairs(answer.headers)
        return AWSResponse(request.url, answer.status_code, received, _Body(answer.get_data()))

    client.meta.events.register("before-send", send)
    return client
