"""AWS as it behaves: moto's Secrets Manager and Parameter Store, with what moto leaves out in front.

moto keeps the secrets, versions and parameters and answers most actions. This module adds the native rotation (moto
runs one of its own, with other rules) and refuses what AWS refuses and moto allows. Each trap of moto that is worked
around here has a `test_moto_...` beside its rule in the tests.
"""

from __future__ import annotations

import functools
import io
import json
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import RLock, Thread
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from moto.backends import get_backend
from moto.moto_server.werkzeug_app import BackendRequest, DomainDispatcherApplication, create_backend_app
from moto.secretsmanager.models import FakeSecret
from moto.secretsmanager.responses import SecretsManagerResponse
from moto.ssm.responses import SimpleSystemManagerResponse
from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_log = logging.getLogger(__name__)

_MOTO = {"secretsmanager": SecretsManagerResponse, "AmazonSSM": SimpleSystemManagerResponse}  # by x-amz-target
_STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")


@dataclass(frozen=True)
class Event:
    """A service event of Secrets Manager, as CloudTrail would show it.

    https://docs.aws.amazon.com/secretsmanager/latest/userguide/cloudtrail_log_entries.html

    Attributes:
        name: RotationStarted, RotationSucceeded, RotationFailed (once per failed attempt), RotationAbandoned,
            TestRotationStarted, TestRotationSucceeded or TestRotationFailed.
        secret: the ARN of the secret.
        message: why, for an event that needs a reason; else empty.
    """

    name: str
    secret: str
    message: str = ""


class _RefusedError(Exception):
    """A request that AWS refuses, with the name and message of its error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@dataclass(eq=False)
class _Rotation:
    """The latest rotation of a secret: of which version, how far it came, and the token of the attempt under way."""

    secret: FakeSecret
    version_id: str
    state: Literal["running", "done", "stuck", "abandoned"] = "running"
    token: str = ""

    @property
    def labels(self) -> set[str]:
        """The staging labels of the version."""
        return set(self.secret.versions[self.version_id]["version_stages"])

    @property
    def is_open(self) -> bool:
        """Whether the service still means to complete it, now or in the next rotation window."""
        return self.state == "running" or (self.state == "stuck" and "AWSPENDING" in self.labels)


class Aws:
    """Secrets Manager with native rotation, and Parameter Store, in one account and region.

    moto keeps one world per process, account and region; a new `Aws` starts with an empty one.

    Args:
        invoke: calls the rotation function with an event: `Step`, `SecretId` (the ARN), `ClientRequestToken` and
            `RotationToken`. Raises, whatever it likes, when the function failed. Called in a thread of the rotation.
        account_id: the account of every request, whatever its credentials.
        region: the region, which clients must name.
        attempts: how often a failing rotation is tried before it stays behind as pending. AWS does not say how often
            it does (https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda.html).
        pause: called between two attempts with the number of the next one.
        empty_test_version: whether the pending version of a `RotateImmediately=false` test has no value. By default
            it is a copy of the current one (https://github.com/getmoto/moto/pull/8547).
        clock: the time, in seconds since the epoch.
        thread: makes the thread of a rotation.

    Attributes:
        events: what CloudTrail would show, oldest first.
        refuse: actions that are refused until they are taken out again, with the error's name and message:
            `aws.refuse["PutSecretValue"] = ("AccessDeniedException", "Access to KMS is not allowed")`.
    """

    def __init__(
        self,
        *,
        invoke: Callable[[dict[str, str]], None],
        account_id: str = "123456789012",
        region: str = "eu-central-1",
        attempts: int = 5,
        pause: Callable[[int], None] = lambda attempt: None,  # noqa: ARG005 - the argument is the contract
        empty_test_version: bool = False,
        clock: Callable[[], float] = time.time,
        thread: Callable[..., Thread] = Thread,
    ) -> None:
        self.events: list[Event] = []
        self.refuse: dict[str, tuple[str, str]] = {}
        self._invoke = invoke
        self._account_id = account_id
        self._attempts = attempts
        self._pause = pause
        self._empty_test_version = empty_test_version
        self._clock = clock
        self._thread = thread
        moto = DomainDispatcherApplication(create_backend_app)
        moto.get_backend_for_host = functools.cache(moto.get_backend_for_host)  # type: ignore[method-assign]  # reads a folder
        self._moto: WSGIApplication = moto
        self._secrets_manager = get_backend("secretsmanager")[account_id][region]
        self._ssm = get_backend("ssm")[account_id][region]
        self._lock = RLock()  # requests are handled one at a time, and never in the middle of the service's own work
        self._rotations: dict[str, _Rotation] = {}
        self._rotation_rules: dict[str, dict[str, Any]] = {}
        self._last_moment = 0.0
        self._threads: list[Thread] = []
        self._rules = {
            "DescribeSecret": self._describe_secret,
            "PutSecretValue": self._put_secret_value,
            "RotateSecret": self._rotate_secret,
            "UpdateSecret": self._update_secret,
            "UpdateSecretVersionStage": self._update_secret_version_stage,
        }
        self.reset()

    def reset(self) -> None:
        """Wait for running rotations, then forget everything: secrets, parameters, events, refusals."""
        self.wait()
        self._secrets_manager.reset()
        self._ssm.reset()
        for memory in (self.events, self.refuse, self._rotations, self._rotation_rules):
            memory.clear()

    # The world, without requests.

    def create_secret(self, name: str, value: str) -> str:
        """Create a secret with a string as its first, current version; return its ARN.

        The ARN ends in `-AbCdEf`, where AWS has six random characters, so that sample events can name it.
        """
        with self._lock:
            self._secrets_manager.create_secret(name, value, None, None, None, None, None, [], False)
            secret = self._find(name)
            secret.arn = f"{secret.arn[:-6]}AbCdEf"
            for version in secret.versions.values():
                version["createdate"] = self._moment()
            return secret.arn

    def put_parameter(self, name: str, value: str) -> None:
        """Create a SecureString parameter, or overwrite it."""
        with self._lock:
            self._ssm.put_parameter(name, "", value, "SecureString", "", "", True, [], "text", None, None)

    def labels(self, secret_id: str) -> dict[str, set[str]]:
        """Return the staging labels of every version, deprecated ones (no label) included, by version id."""
        with self._lock:
            return {key: set(version["version_stages"]) for key, version in self._find(secret_id).versions.items()}

    def value(self, secret_id: str, label: str = "AWSCURRENT") -> str | None:
        """Return the string under a staging label; None if no version has the label, or one without a value."""
        with self._lock:
            secret = self._find(secret_id)
            return secret.versions.get(_holder(secret, label) or "", {}).get("secret_string")

    def mark_rotated(self, secret_id: str) -> None:
        """Let a rotation of a secret have ended well now, by its LastRotatedDate."""
        with self._lock:
            self._find(secret_id).last_rotation_date = self._moment()  # type: ignore[assignment]  # moto has no fractions

    def wait(self, timeout: float = 60.0) -> None:
        """Block until no rotation is running. Raises TimeoutError after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while self._threads:
            self._threads[0].join(max(0.0, deadline - time.monotonic()))
            if self._threads[0].is_alive():
                raise TimeoutError(f"a rotation is still running after {timeout} seconds")
            del self._threads[0]

    def retry(self, secret_id: str) -> None:
        """Open the next rotation window: start the rotation that was given up again, with the same pending version.

        Raises LookupError if no rotation of this secret is waiting for that.
        """
        with self._lock:
            secret = self._find(secret_id)
            rotation = self._rotations.get(secret.arn)
            if rotation is None or rotation.state == "running" or not rotation.is_open:
                raise LookupError(f"no rotation of {secret.name} is waiting to be tried again")
            rotation.state = "running"
            self._start(self._rotate, rotation, "RotationStarted")

    # The doors: moto's, and the rules in front of it.

    def app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request to Secrets Manager, Parameter Store or STS: a WSGI application."""
        service, _, action = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        forwarded = {**environ, "wsgi.input": io.BytesIO(body), "HTTP_X_MOTO_ACCOUNT_ID": self._account_id}

        def moto() -> Response:
            answer = _from_moto(service, forwarded) or Response.from_app(self._moto, forwarded, buffered=True)
            if answer.status_code == 404:
                answer.status_code = 400  # JSON 1.1: every refusal is a 400
            return answer

        with self._lock:
            try:
                if action in self.refuse:
                    raise _RefusedError(*self.refuse[action])
                rule = self._rules.get(action) if service == "secretsmanager" else None
                answer = rule(json.loads(body), moto) if rule else moto()
            except _RefusedError as refused:
                answer = _json({"__type": refused.code, "message": refused.message}, 400)
                answer.headers["x-amzn-errortype"] = refused.code
        return answer(environ, start_response)

    def _describe_secret(self, call: dict[str, Any], moto: Callable[[], Response]) -> Response:
        """Leave deprecated versions out, and show the whole schedule."""
        answer = moto()
        if answer.status_code != 200:
            return answer
        secret = self._find(call["SecretId"])
        description = json.loads(answer.get_data())
        labels = description.get("VersionIdsToStages", {})
        description["VersionIdsToStages"] = {version_id: stages for version_id, stages in labels.items() if stages}
        if secret.arn in self._rotation_rules:
            description["RotationRules"] = self._rotation_rules[secret.arn]
        return _json(description)

    def _put_secret_value(self, call: dict[str, Any], moto: Callable[[], Response]) -> Response:
        """Let nobody but the running attempt fill its version, and nobody change a value that is there.

        https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html (both), and
        https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot_rotation.html (the first one's words).
        """
        secret = self._find(call["SecretId"])
        version_id = call.get("ClientRequestToken", "")
        rotation = self._rotations.get(secret.arn)
        if (
            rotation
            and rotation.version_id == version_id
            and rotation.state == "running"
            and rotation.token != call.get("RotationToken")
        ):
            raise _RefusedError(
                "InvalidRequestException",
                f"Pending secret version {version_id} for Secret {secret.arn} was not created by Lambda "
                f"{secret.rotation_lambda_arn}. Remove the AWSPENDING staging label and restart rotation.",
            )
        version = secret.versions.get(version_id, {})
        stored = _value(version, "secret_string", "secret_binary")
        if not any(stored):
            return self._store(secret, version_id, moto)
        if stored != _value(call, "SecretString", "SecretBinary"):
            raise _token_in_use(secret, version_id)
        return _json(_identity(secret, version_id) | {"VersionStages": version["version_stages"]})

    def _update_secret(self, call: dict[str, Any], moto: Callable[[], Response]) -> Response:
        """Refuse a version id that is taken, even with the same value: unlike PutSecretValue, this never repeats.

        https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecret.html
        """
        if not any(_value(call, "SecretString", "SecretBinary")):
            return moto()
        secret = self._find(call["SecretId"])
        version_id = call.get("ClientRequestToken", "")
        if version_id in secret.versions:
            raise _token_in_use(secret, version_id)
        return self._store(secret, version_id, moto)

    def _store(self, secret: FakeSecret, version_id: str, moto: Callable[[], Response]) -> Response:
        """Store a value; a version beside the pending one ends the rotation.

        https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot_rotation.html
        """
        known = secret.versions.get(version_id, {}).get("createdate")
        answer = moto()
        if answer.status_code == 200:
            version_id = json.loads(answer.get_data())["VersionId"]
            secret.versions[version_id]["createdate"] = known or self._moment()
            _settle(secret)
            rotation = self._rotations.get(secret.arn)
            if rotation and rotation.is_open and rotation.version_id != version_id:
                self._abandon(rotation, "a new version of the secret was created during rotation")
        return answer

    def _update_secret_version_stage(self, call: dict[str, Any], moto: Callable[[], Response]) -> Response:
        """Move a label only from the version that has it, and only if the whole move is possible.

        https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html
        """
        secret = self._find(call["SecretId"])
        label, source, target = call["VersionStage"], call.get("RemoveFromVersionId"), call.get("MoveToVersionId")
        holder = _holder(secret, label)
        if target is not None and target not in secret.versions:
            raise _RefusedError("InvalidParameterException", f"Not a valid version: {target}")
        if source is None and holder is not None:
            raise _RefusedError(
                "InvalidParameterException",
                f"The parameter RemoveFromVersionId can't be empty. Staging label {label} is currently attached to "
                f"version {holder}, so you must explicitly reference that version in RemoveFromVersionId.",
            )
        answer = moto()
        if answer.status_code == 200:
            _settle(secret)
        return answer

    # Rotation.

    def _rotate_secret(self, call: dict[str, Any], _moto: Callable[[], Response]) -> Response:
        """Configure rotation, make the pending version and start; moto's own rotation stays out of it."""
        secret = self._find(call["SecretId"])
        function = call.get("RotationLambdaARN") or secret.rotation_lambda_arn
        if not function:
            raise _RefusedError(
                "InvalidRequestException", "No Lambda rotation function ARN is associated with this secret."
            )
        earlier = self._rotations.get(secret.arn)
        current, pending = _holder(secret, "AWSCURRENT"), _holder(secret, "AWSPENDING")
        if (earlier and earlier.state == "running") or pending not in (None, current):
            raise _RefusedError(
                "InvalidRequestException",
                "A previous rotation isn't complete. That rotation will be reattempted.",
            )
        version_id = call.get("ClientRequestToken") or str(uuid4())
        if version_id in secret.versions:
            raise _token_in_use(secret, version_id)

        secret.rotation_requested = secret.rotation_enabled = True
        secret.rotation_lambda_arn = function
        if "RotationRules" in call:
            self._rotation_rules[secret.arn] = call["RotationRules"]
        rotate = call.get("RotateImmediately", True)
        version = {"createdate": self._moment(), "version_id": version_id, "version_stages": ["AWSPENDING"]}
        if not rotate and not self._empty_test_version:
            version = secret.versions.get(current or "", {}) | version
        _detach(secret, "AWSPENDING")
        secret.versions[version_id] = version

        rotation = self._rotations[secret.arn] = _Rotation(secret, version_id)
        if rotate:
            self._start(self._rotate, rotation, "RotationStarted")
        else:
            self._start(self._test, rotation, "TestRotationStarted")
        return _json(_identity(secret, version_id))

    def _start(self, run: Callable[[_Rotation], None], rotation: _Rotation, event: str) -> None:
        self._record(event, rotation)
        thread = self._thread(target=run, args=(rotation,), name=f"rotation of {rotation.secret.name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _rotate(self, rotation: _Rotation) -> None:
        """Try the whole rotation again and again, until it succeeds, is abandoned, or is left behind as pending."""
        for attempt in range(1, self._attempts + 1):
            if attempt > 1:
                self._pause(attempt)
            failure = self._attempt(rotation, _STEPS)
            with self._lock:
                if rotation.state == "abandoned":
                    return
                failure = failure or _shortfall(rotation)
                if failure is None:
                    _detach(rotation.secret, "AWSPENDING")
                    self.mark_rotated(rotation.secret.arn)
                    rotation.state = "done"
                    self._record("RotationSucceeded", rotation)
                    return
                self._record("RotationFailed", rotation, failure)
                if not rotation.labels & {"AWSPENDING", "AWSCURRENT"}:
                    self._abandon(rotation, "the version lost its staging label AWSPENDING during rotation")
                    return
                if attempt == self._attempts:
                    rotation.state = "stuck"

    def _test(self, rotation: _Rotation) -> None:
        """Try the testSecret step alone, and take the version that was made for it away again."""
        failure = self._attempt(rotation, ("testSecret",))
        with self._lock:
            _detach(rotation.secret, "AWSPENDING", rotation.version_id)
            if not rotation.labels:
                del rotation.secret.versions[rotation.version_id]
            if rotation.state == "running":
                rotation.state = "done"
                self._record("TestRotationFailed" if failure else "TestRotationSucceeded", rotation, failure or "")

    def _attempt(self, rotation: _Rotation, steps: tuple[str, ...]) -> str | None:
        """Invoke the function for one step after the other, while the rotation is on; say which step failed, if any."""
        rotation.token = str(uuid4())
        for step in steps:
            if rotation.state != "running":
                break
            event = {
                "Step": step,
                "SecretId": rotation.secret.arn,
                "ClientRequestToken": rotation.version_id,
                "RotationToken": rotation.token,
            }
            try:
                self._invoke(event)
            except Exception:  # noqa: BLE001 - any failure of the function fails the step
                _log.debug("%s failed", step, exc_info=True)
                return f"Error when executing lambda {rotation.secret.rotation_lambda_arn} during {step} step"
        return None

    def _abandon(self, rotation: _Rotation, reason: str) -> None:
        """End a rotation for good; moto then refuses to fill its version, which is no longer pending."""
        _detach(rotation.secret, "AWSPENDING", rotation.version_id)
        rotation.state = "abandoned"
        self._record("RotationAbandoned", rotation, reason)

    def _record(self, name: str, rotation: _Rotation, message: str = "") -> None:
        self.events.append(Event(name, rotation.secret.arn, message))

    def _moment(self) -> float:
        """Return the time, with its fraction of a second as AWS has it, and never the same one twice.

        What was made before a rotation ended, and what after it, is told by that.
        """
        self._last_moment = max(self._clock(), self._last_moment + 1e-5)
        return self._last_moment

    def _find(self, secret_id: str) -> FakeSecret:
        secret = self._secrets_manager.secrets.get(secret_id)
        if not isinstance(secret, FakeSecret):
            raise _RefusedError("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
        return secret


def _from_moto(service: str, environ: WSGIEnvironment) -> Response | None:
    """Have moto answer a request to one of the two services, without the Flask application it puts around each.

    That takes as long as all that moto does. Return None for another service.
    """
    if service not in _MOTO:
        return None
    status, headers, body = _MOTO[service].dispatch(BackendRequest(environ))
    return Response(body, status, headers)


def _holder(secret: FakeSecret, label: str) -> str | None:
    """Return the id of the version that has a staging label."""
    return next((key for key, version in secret.versions.items() if label in version["version_stages"]), None)


def _detach(secret: FakeSecret, label: str, version_id: str | None = None) -> None:
    """Take a staging label away from the version that has it, or only if that is `version_id`."""
    holder = _holder(secret, label)
    if holder is not None and version_id in (None, holder):
        secret.versions[holder]["version_stages"].remove(label)


def _settle(secret: FakeSecret) -> None:
    """Tell moto which version is the current one, which it keeps twice and forgets to change when labels move."""
    secret.default_version_id = _holder(secret, "AWSCURRENT")


def _shortfall(rotation: _Rotation) -> str | None:
    """Say what is missing from the end state that counts as a success, if anything.

    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html
    """
    if _holder(rotation.secret, "AWSCURRENT") != rotation.version_id:
        return f"AWSCURRENT is not on version {rotation.version_id} after the finishSecret step"
    if _holder(rotation.secret, "AWSPENDING") not in (None, rotation.version_id):
        return f"AWSPENDING is not on version {rotation.version_id} after the finishSecret step"
    return None


def _value(holder: dict[str, Any], string: str, binary: str) -> tuple[str | None, str | None]:
    return holder.get(string), holder.get(binary)


def _token_in_use(secret: FakeSecret, version_id: str) -> _RefusedError:
    return _RefusedError(
        "ResourceExistsException",
        f"You can't use ClientRequestToken {version_id} because that value is already in use for a version of secret "
        f"{secret.arn}.",
    )


def _identity(secret: FakeSecret, version_id: str) -> dict[str, Any]:
    return {"ARN": secret.arn, "Name": secret.name, "VersionId": version_id}


def _json(body: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(body), status, content_type="application/x-amz-json-1.1")
