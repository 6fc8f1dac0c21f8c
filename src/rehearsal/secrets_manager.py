"""AWS as it behaves: moto's Secrets Manager and Parameter Store, with what moto leaves out in front.

moto keeps the secrets, versions and parameters and answers most actions. This module refuses what AWS refuses and moto
allows; `native_rotation` rotates (moto has a rotation of its own, with other rules), and `secret_descriptions` says
what AWS shows of a secret. Each trap of moto that is worked around here has a `test_moto_...`
beside its rule in the tests.
"""

from __future__ import annotations

import functools
import io
import json
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from threading import RLock, Thread
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from moto.backends import get_backend
from moto.moto_server.werkzeug_app import BackendRequest, DomainDispatcherApplication, create_backend_app
from moto.secretsmanager.models import FakeSecret
from moto.secretsmanager.responses import SecretsManagerResponse
from moto.ssm.responses import SimpleSystemManagerResponse
from werkzeug.wrappers import Response

from rehearsal import replicas, secret_descriptions
from rehearsal.native_rotation import Engine, Rotation, detach, holder_of
from rehearsal.replicas import Replica, Replicas
from rehearsal.secret_descriptions import Refused, require_taggable

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_MOTO = {"secretsmanager": SecretsManagerResponse, "AmazonSSM": SimpleSystemManagerResponse}  # by x-amz-target


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
        engine: what does the rotations.
        events: what CloudTrail would show, oldest first.
        replicas: those of the secrets, in other Regions.
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
        self.refuse: dict[str, tuple[str, str]] = {}
        self.replicas = Replicas()
        self._account_id = account_id
        self._empty_test_version = empty_test_version
        self._clock = clock
        moto = DomainDispatcherApplication(create_backend_app)
        moto.get_backend_for_host = functools.cache(moto.get_backend_for_host)  # type: ignore[method-assign]  # reads a folder
        self._moto: WSGIApplication = moto
        self._secrets_manager = get_backend("secretsmanager")[account_id][region]
        self._ssm = get_backend("ssm")[account_id][region]
        self._lock = RLock()  # requests are handled one at a time, and never in the middle of the service's own work
        self.engine = Engine(
            invoke=invoke,
            attempts=attempts,
            pause=pause,
            thread=thread,
            lock=self._lock,
            changed=self._changed,
            succeeded=lambda secret: self.mark_rotated(secret.arn),
        )
        self.events = self.engine.events
        self._rotation_rules: dict[str, dict[str, Any]] = {}
        self._last_moment = 0.0
        self._rules = {
            "CancelRotateSecret": self._change,
            "CreateSecret": self._create_secret,
            "DescribeSecret": self._describe_secret,
            "ListSecretVersionIds": self._list_versions,
            "ListSecrets": self._list_secrets,
            "PutSecretValue": self._put_secret_value,
            "RotateSecret": self._rotate_secret,
            "TagResource": self._tag_resource,
            "UntagResource": self._change,
            "UpdateSecret": self._update_secret,
            "UpdateSecretVersionStage": self._update_secret_version_stage,
        }
        self.reset()

    def reset(self) -> None:
        """Wait for running rotations, then forget everything: secrets, parameters, events, refusals."""
        self.wait()
        self._secrets_manager.reset()
        self._ssm.reset()
        for memory in (self.events, self.refuse, self.replicas, self.engine.rotations, self._rotation_rules):
            memory.clear()

    # The world, without requests.

    def create_secret(self, name: str, value: str, tags: Mapping[str, str] | None = None) -> str:
        """Create a secret with a string as its first, current version; return its ARN.

        The ARN ends in `-AbCdEf`, where AWS has six random characters, so that sample events can name it.
        """
        with self._lock:
            written = [{"Key": key, "Value": content} for key, content in (tags or {}).items()]
            self._secrets_manager.create_secret(name, value, None, None, written, None, None, [], False)
            secret = self._find(name)
            secret.arn = f"{secret.arn[:-6]}AbCdEf"
            for version in secret.versions.values():
                version["createdate"] = self._moment()
            self._changed(secret)
            secret.created_date = secret.last_changed_date
            return secret.arn

    def put_parameter(self, name: str, value: str) -> None:
        """Create a SecureString parameter, or overwrite it."""
        with self._lock:
            self._ssm.put_parameter(name, "", value, "SecureString", "", "", True, [], "text", None, None)

    def tag_parameter(self, name: str, key: str, value: str) -> None:
        """Give a parameter a tag."""
        with self._lock:
            self._ssm.add_tags_to_resource("Parameter", name, {key: value})

    def drop_parameter(self, name: str) -> None:
        """Delete a parameter."""
        with self._lock:
            self._ssm.delete_parameter(name)

    def labels(self, secret_id: str) -> dict[str, set[str]]:
        """Return the staging labels of every version, deprecated ones (no label) included, by version id."""
        with self._lock:
            return {key: set(version["version_stages"]) for key, version in self._find(secret_id).versions.items()}

    def value(self, secret_id: str, label: str = "AWSCURRENT") -> str | None:
        """Return the string under a staging label; None if no version has the label, or one without a value."""
        with self._lock:
            secret = self._find(secret_id)
            return secret.versions.get(holder_of(secret, label) or "", {}).get("secret_string")

    def attach(self, secret_id: str, function_arn: str | None, rules: dict[str, Any] | None = None) -> None:
        """Let a secret name a function as the one that rotates it, without a rotation; or none.

        Args:
            rules: its RotationRules; None for those that it has.
        """
        with self._lock:
            secret = self._find(secret_id)
            secret.rotation_lambda_arn = function_arn or ""
            secret.rotation_enabled = secret.rotation_requested = True
            if rules:
                self._rotation_rules[secret.arn] = rules

    def mark_made_by(self, secret_id: str, stack: str) -> None:
        """Let a secret carry the tag by which CloudFormation knows what a stack has made."""
        with self._lock:
            secret = self._find(secret_id)
            secret.tags = [*(secret.tags or []), {"Key": "aws:cloudformation:stack-name", "Value": stack}]

    def mark_rotated(self, secret_id: str) -> None:
        """Let a rotation of a secret have ended well now, by its LastRotatedDate."""
        with self._lock:
            secret = self._find(secret_id)
            self._changed(secret)
            secret.last_rotation_date = secret.last_changed_date

    def replicate(self, secret_id: str, region: str) -> Replica:
        """Make a replica of a secret in another Region, which has all it holds, and return it."""
        with self._lock:
            secret, replica = self._find(secret_id), Replica(region)
            replica.change(float("-inf"), replicas.values(secret))
            self.replicas.of(secret.arn).append(replica)
            return replica

    def retry(self, secret_id: str) -> None:
        """Open the next rotation window: start the rotation that was given up again, with the same pending version.

        Raises LookupError if no rotation of this secret is waiting for that.
        """
        with self._lock:
            secret = self._find(secret_id)
            rotation = self.engine.rotations.get(secret.arn)
            if rotation is None or rotation.state == "running" or not rotation.is_open:
                raise LookupError(f"no rotation of {secret.name} is waiting to be tried again")
            self.engine.start(rotation)

    def wait(self, timeout: float = 60.0) -> None:
        """Block until no rotation is running. Raises TimeoutError after `timeout` seconds."""
        self.engine.wait(timeout)

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
                    raise Refused(*self.refuse[action])
                rule = self._rules.get(action) if service == "secretsmanager" else None
                answer = rule(json.loads(body), moto) if rule else moto()
            except Refused as refused:
                answer = _json({"__type": refused.code, "message": refused.message}, 400)
                answer.headers["x-amzn-errortype"] = refused.code
        answer.date = datetime.fromtimestamp(self._clock(), UTC)
        return answer(environ, start_response)

    def _create_secret(self, call: dict[str, Any], moto: Callable[[], Response]) -> Response:
        """Date the secret and its version as AWS does, and take no tag that AWS refuses."""
        require_taggable(None, call.get("Tags") or [])
        answer = moto()
        if answer.status_code == 200:
            secret = self._find(json.loads(answer.get_data())["ARN"])
            for version in secret.versions.values():
                version["createdate"] = self._moment()
            self._changed(secret)
        return answer

    def _describe_secret(self, call: dict[str, Any], _moto: Callable[[], Response]) -> Response:
        """Leave deprecated versions out, and show the whole schedule."""
        secret = self._find(call["SecretId"])
        described = secret_descriptions.describe(secret, self._rotation_rules.get(secret.arn))
        return _json(described | self.replicas.described(secret.arn, self._clock()))

    def _list_versions(self, call: dict[str, Any], _moto: Callable[[], Response]) -> Response:
        """Tell when each version was made, a page at a time."""
        secret = self._find(call["SecretId"])
        entries = secret_descriptions.versions(secret, deprecated=call.get("IncludeDeprecated", False))
        page = secret_descriptions.page(call, "Versions", entries)
        return _json({"ARN": secret.arn, "Name": secret.name, **page})

    def _list_secrets(self, call: dict[str, Any], _moto: Callable[[], Response]) -> Response:
        """Describe the secrets that moto finds for the filters, a page at a time."""
        deleted = call.get("IncludePlannedDeletion", False)
        found, _ = self._secrets_manager.list_secrets(call.get("Filters", []), 10_000, None, deleted)
        secrets = [self._find(secret["ARN"]) for secret in found]
        described = [secret_descriptions.describe(one, self._rotation_rules.get(one.arn)) for one in secrets]
        entries = [secret_descriptions.in_list(it) for it in described]
        return _json(secret_descriptions.page(call, "SecretList", entries))

    def _tag_resource(self, call: dict[str, Any], moto: Callable[[], Response]) -> Response:
        """Set tags, all or none. https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_TagResource.html."""
        secret = self._find(call["SecretId"])
        require_taggable(secret, call["Tags"])
        return self._change(call, moto)

    def _change(self, call: dict[str, Any], moto: Callable[[], Response]) -> Response:
        """Let moto change something, and date it: LastChangedDate is that of any change."""
        answer = moto()
        if answer.status_code == 200:
            self._changed(self._find(call["SecretId"]))
        return answer

    def _changed(self, secret: FakeSecret) -> None:
        secret.last_changed_date = self._moment()  # type: ignore[assignment]  # moto has no fractions
        self.replicas.changed(secret, self._clock())

    def _put_secret_value(self, call: dict[str, Any], moto: Callable[[], Response]) -> Response:
        """Let nobody but the running attempt fill its version, and nobody change a value that is there.

        https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html (both), and
        https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot_rotation.html (the first one's words).
        """
        secret = self._find(call["SecretId"])
        version_id = call.get("ClientRequestToken", "")
        rotation = self.engine.rotations.get(secret.arn)
        if (
            rotation
            and rotation.version_id == version_id
            and rotation.state == "running"
            and rotation.token != call.get("RotationToken")
        ):
            raise Refused(
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
            return self._change(call, moto)
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
            self._changed(secret)
            _settle(secret)
            rotation = self.engine.rotations.get(secret.arn)
            if rotation and rotation.is_open and rotation.version_id != version_id:
                self.engine.abandon(rotation, "a new version of the secret was created during rotation")
        return answer

    def _update_secret_version_stage(self, call: dict[str, Any], moto: Callable[[], Response]) -> Response:
        """Move a label only from the version that has it, and only if the whole move is possible.

        https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html
        """
        secret = self._find(call["SecretId"])
        label, source, target = call["VersionStage"], call.get("RemoveFromVersionId"), call.get("MoveToVersionId")
        holder = holder_of(secret, label)
        if target is not None and target not in secret.versions:
            raise Refused("InvalidParameterException", f"Not a valid version: {target}")
        if source is None and holder is not None:
            raise Refused(
                "InvalidParameterException",
                f"The parameter RemoveFromVersionId can't be empty. Staging label {label} is currently attached to "
                f"version {holder}, so you must explicitly reference that version in RemoveFromVersionId.",
            )
        answer = self._change(call, moto)
        if answer.status_code == 200:
            _settle(secret)
        return answer

    # Rotation.

    def _rotate_secret(self, call: dict[str, Any], _moto: Callable[[], Response]) -> Response:
        """Configure rotation, make the pending version and start; moto's own rotation stays out of it."""
        secret = self._find(call["SecretId"])
        function = call.get("RotationLambdaARN") or secret.rotation_lambda_arn
        if not function:
            raise Refused("InvalidRequestException", "No Lambda rotation function ARN is associated with this secret.")
        earlier = self.engine.rotations.get(secret.arn)
        current, pending = holder_of(secret, "AWSCURRENT"), holder_of(secret, "AWSPENDING")
        if (earlier and earlier.state == "running") or pending not in (None, current):
            raise Refused(
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
        detach(secret, "AWSPENDING")
        secret.versions[version_id] = version
        self._changed(secret)

        rotation = Rotation(secret, version_id)
        if rotate:
            self.engine.start(rotation)
        else:
            self.engine.start_test(rotation)
        return _json(_identity(secret, version_id))

    def _moment(self) -> float:
        """Return the time, with its fraction of a second as AWS has it, and never the same one twice.

        What was made before a rotation ended, and what after it, is told by that.
        """
        self._last_moment = max(self._clock(), self._last_moment + 1e-5)
        return self._last_moment

    def _find(self, secret_id: str) -> FakeSecret:
        secret = self._secrets_manager.secrets.get(secret_id)
        if not isinstance(secret, FakeSecret):
            raise Refused("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
        return secret


def _from_moto(service: str, environ: WSGIEnvironment) -> Response | None:
    """Have moto answer a request to one of the two services, without the Flask application it puts around each.

    That takes as long as all that moto does. Return None for another service.
    """
    if service not in _MOTO:
        return None
    status, headers, body = _MOTO[service].dispatch(BackendRequest(environ))
    return Response(body, status, headers)


def _settle(secret: FakeSecret) -> None:
    """Tell moto which version is the current one, which it keeps twice and forgets to change when labels move."""
    secret.default_version_id = holder_of(secret, "AWSCURRENT")


def _value(holder: dict[str, Any], string: str, binary: str) -> tuple[str | None, str | None]:
    return holder.get(string), holder.get(binary)


def _token_in_use(secret: FakeSecret, version_id: str) -> Refused:
    return Refused(
        "ResourceExistsException",
        f"You can't use ClientRequestToken {version_id} because that value is already in use for a version of secret "
        f"{secret.arn}.",
    )


def _identity(secret: FakeSecret, version_id: str) -> dict[str, Any]:
    return {"ARN": secret.arn, "Name": secret.name, "VersionId": version_id}


def _json(body: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(body), status, content_type="application/x-amz-json-1.1")
