"""The native rotation: which versions it makes, which steps it calls, and how it ends, again and again if need be."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from threading import Thread
from typing import Any, Literal
from uuid import uuid4

from moto.secretsmanager.models import FakeSecret

_log = logging.getLogger(__name__)

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


@dataclass(eq=False)
class Rotation:
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


class Engine:
    """Secrets Manager's own work on rotations.

    Args:
        invoke, attempts, pause, thread: as for `Aws`.
        lock: held while it changes something.
        changed: called with a secret that it has changed.
        succeeded: called with a secret whose rotation has ended well.

    Attributes:
        events: what CloudTrail would show, oldest first.
        rotations: the latest rotation of each secret that had one, by ARN.
        attempts, pause: as given; both can be changed at any time.
        heard: called with each event, while the service is at work. Does nothing, but can be changed at any time.
    """

    def __init__(
        self,
        *,
        invoke: Callable[[dict[str, str]], None],
        attempts: int,
        pause: Callable[[int], None],
        thread: Callable[..., Thread],
        lock: AbstractContextManager[Any],
        changed: Callable[[FakeSecret], None],
        succeeded: Callable[[FakeSecret], None],
    ) -> None:
        self.events: list[Event] = []
        self.rotations: dict[str, Rotation] = {}
        self._invoke = invoke
        self.attempts = attempts
        self.pause = pause
        self._thread = thread
        self._lock = lock
        self._changed = changed
        self._succeeded = succeeded
        self._threads: list[Thread] = []
        self.heard: Callable[[Event], None] = lambda _event: None

    def start(self, rotation: Rotation) -> None:
        """Begin a rotation, or go on with one that was given up."""
        self.rotations[rotation.secret.arn] = rotation
        rotation.state = "running"
        self._start(self._rotate, rotation, "RotationStarted")

    def start_test(self, rotation: Rotation) -> None:
        """Begin what RotateImmediately=false asks for."""
        self.rotations[rotation.secret.arn] = rotation
        self._start(self._test, rotation, "TestRotationStarted")

    def wait(self, timeout: float) -> None:
        """Block until no rotation is running. Raises TimeoutError after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while self._threads:
            self._threads[0].join(max(0.0, deadline - time.monotonic()))
            if self._threads[0].is_alive():
                raise TimeoutError(f"a rotation is still running after {timeout} seconds")
            del self._threads[0]

    def _start(self, run: Callable[[Rotation], None], rotation: Rotation, event: str) -> None:
        self._record(event, rotation)
        thread = self._thread(target=run, args=(rotation,), name=f"rotation of {rotation.secret.name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _rotate(self, rotation: Rotation) -> None:
        """Try the whole rotation again and again, until it succeeds, is abandoned, or is left behind as pending."""
        for attempt in range(1, self.attempts + 1):
            if attempt > 1:
                self.pause(attempt)
            failure = self._attempt(rotation, _STEPS)
            with self._lock:
                if rotation.state == "abandoned":
                    return
                failure = failure or _shortfall(rotation)
                if failure is None:
                    detach(rotation.secret, "AWSPENDING")
                    self._succeeded(rotation.secret)
                    rotation.state = "done"
                    self._record("RotationSucceeded", rotation)
                    return
                self._record("RotationFailed", rotation, failure)
                if not rotation.labels & {"AWSPENDING", "AWSCURRENT"}:
                    self.abandon(rotation, "the version lost its staging label AWSPENDING during rotation")
                    return
                if attempt == self.attempts:
                    rotation.state = "stuck"

    def _test(self, rotation: Rotation) -> None:
        """Try the testSecret step alone, and take the version that was made for it away again."""
        failure = self._attempt(rotation, ("testSecret",))
        with self._lock:
            detach(rotation.secret, "AWSPENDING", rotation.version_id)
            if not rotation.labels:
                del rotation.secret.versions[rotation.version_id]
            if rotation.state == "running":
                rotation.state = "done"
                self._changed(rotation.secret)
                self._record("TestRotationFailed" if failure else "TestRotationSucceeded", rotation, failure or "")

    def _attempt(self, rotation: Rotation, steps: tuple[str, ...]) -> str | None:
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

    def abandon(self, rotation: Rotation, reason: str) -> None:
        """End a rotation for good; moto then refuses to fill its version, which is no longer pending."""
        detach(rotation.secret, "AWSPENDING", rotation.version_id)
        self._changed(rotation.secret)
        rotation.state = "abandoned"
        self._record("RotationAbandoned", rotation, reason)

    def _record(self, name: str, rotation: Rotation, message: str = "") -> None:
        self.events.append(Event(name, rotation.secret.arn, message))
        self.heard(self.events[-1])


def holder_of(secret: FakeSecret, label: str) -> str | None:
    """Return the id of the version that has a staging label."""
    return next((key for key, version in secret.versions.items() if label in version["version_stages"]), None)


def detach(secret: FakeSecret, label: str, version_id: str | None = None) -> None:
    """Take a staging label away from the version that has it, or only if that is `version_id`."""
    holder = holder_of(secret, label)
    if holder is not None and version_id in (None, holder):
        secret.versions[holder]["version_stages"].remove(label)


def _shortfall(rotation: Rotation) -> str | None:
    """Say what is missing from the end state that counts as a success, if anything.

    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html
    """
    if holder_of(rotation.secret, "AWSCURRENT") != rotation.version_id:
        return f"AWSCURRENT is not on version {rotation.version_id} after the finishSecret step"
    if holder_of(rotation.secret, "AWSPENDING") not in (None, rotation.version_id):
        return f"AWSPENDING is not on version {rotation.version_id} after the finishSecret step"
    return None
