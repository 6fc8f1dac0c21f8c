"""A fleet: many secrets of one account, rotated together, and what must hold meanwhile and at the end.

Each request takes its time on the virtual clock, during which the others go on.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyotp

from dockerhub_rotation import token_labels
from dockerhub_rotation.errors import RotationError
from rehearsal import docker_hub
from rehearsal.fleet import past
from rehearsal.fleet.sandboxes import Lambda, aws_client, far_away
from rehearsal.fleet.scenes import Day, Report, Scene
from rehearsal.invariants import NO_LEAK, NO_REMAINS, ONLY_OURS, WORKS
from rehearsal.secrets_manager import Aws
from rehearsal.virtual_time import VirtualTime
from rehearsal.wire import Request, Wire
from rehearsal.world import FUNCTION_ARN, ORGANIZATION, PLACEHOLDER, organizations

if TYPE_CHECKING:
    pass

NOT_LOCKED = "Docker Hub has not locked the user name"

# When the secrets are rotated together: a whole minute. What happened before began so much earlier.
_BEGINS = 1_800_000_000.0
_PAST_SECONDS = 90 * 86400
_HOUR = 3600


@dataclass(frozen=True)
class _Look:
    """What the caretaker took in one hour, as `Day` has it."""

    requests: Mapping[str, int]
    refused_logins: int
    unknown: int
    attention: int
    failed: str | None
    seconds: float


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
        self.time = VirtualTime(_BEGINS - _PAST_SECONDS)
        self.hub = docker_hub.DockerHub(
            totp_seed=pyotp.random_base32() if scene.two_factor else None,
            rate_limit_per_minute=scene.per_minute,
            organizations=organizations(ORGANIZATION if scene.mixed else None),
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
        self._client = aws_client("secretsmanager", self.aws.app)
        with self.time.everywhere():
            for number in range(scene.others):
                self.hub.add_token(f"build-farm-{number + 1}", active=number % 4 != 3)
            self._others = {token.uuid: (token.label, token.active) for token in self.hub.tokens.values()}
            self.aws.put_parameter("DOCKER_HUB_USERNAME", self.hub.username)
            self.aws.put_parameter("DOCKER_HUB_PASSWORD", self.hub.password)
            self.aws.put_parameter("DOCKER_HUB_TOTP", self.hub.totp_seed or "unused")
            self.secrets = past.furnish(scene, self.aws, self.hub, self._client)
            self._rotate_at_hours_of_their_own()
        self._dead = past.delete_by_hand(scene.past, self.hub)
        self.time.now = _BEGINS + scene.second
        self._lambda = Lambda(
            scene,
            self.time,
            self._lot,
            aws=far_away(self.wire.door(self.aws.app, "AWS"), self.time, self._lot),
            hub=far_away(self.wire.door(self.hub.app, "Docker Hub"), self.time, self._lot),
        )

    def _rotate_at_hours_of_their_own(self) -> None:
        """Do the rotations that are past, in sandboxes that are gone by now, and forget what they took."""
        rotations = self.scene.past.rotations * self.secrets
        if rotations:
            self._lambda = Lambda(self.scene, self.time, self._lot, aws=self.aws.app, hub=self.hub.app)
        for arn in rotations:
            self._client.rotate_secret(SecretId=arn, RotationLambdaARN=FUNCTION_ARN)
            self.time.run()
            self.time.now += _HOUR
        self.aws.wait()
        assert self.time.now < _BEGINS, "the past has not room for so many secrets"
        assert [event.name for event in self.aws.events] == ["RotationStarted", "RotationSucceeded"] * len(rotations)
        self.aws.events.clear()
        self._logins_before = self.hub.password_logins
        self.hub.refused_logins = self.hub.lockouts = 0

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
            logins=self.hub.password_logins - self._logins_before,
            refused_logins=self.hub.refused_logins,
            lockouts=self.hub.lockouts,
            rate_limited=sum(request.status == 429 for request in self.wire.requests),
            sandboxes=self._lambda.sandboxes,
            failed_attempts=self._lambda.failures,
            retries=self._retries,
            seconds=self.time.now - began,
            broken=self._broken,
        )

    def watch(self, hours: int = 24) -> Day:
        """Let the caretaker look after the secrets every hour, at 17 past."""
        looks: list[_Look] = []

        def day() -> None:
            for hour in range(hours):
                self.time.sleep(_BEGINS + hour * _HOUR + 17 * 60 - self.time.now)
                looks.append(self._look_after_all())

        with self.time.everywhere(), _random_from(self.scene.seed):
            self._remember_current()
            self.time.thread(target=day, daemon=True).start()
            self.time.run()
        return Day(
            requests=tuple(look.requests for look in looks),
            refused_logins=tuple(look.refused_logins for look in looks),
            lockouts=self.hub.lockouts,
            unknown=tuple(look.unknown for look in looks),
            attention=tuple(look.attention for look in looks),
            failed=tuple(look.failed for look in looks),
            seconds=tuple(look.seconds for look in looks),
        )

    def _look_after_all(self) -> _Look:
        began, asked, refused = self.time.now, len(self.wire.requests), self.hub.refused_logins
        failed, metrics = None, {"SecretsUnknown": 0, "SecretsNeedAttention": 0}
        try:
            metrics |= self._lambda.care().metrics
        except RotationError as failure:
            failed = type(failure).__name__
        return _Look(
            requests=Counter(request.party for request in self.wire.requests[asked:]),
            refused_logins=self.hub.refused_logins - refused,
            unknown=metrics["SecretsUnknown"],
            attention=metrics["SecretsNeedAttention"],
            failed=failed,
            seconds=self.time.now - began,
        )

    def _pause(self, _attempt: int) -> None:
        self._retries += 1
        self.time.sleep(self.scene.pause)

    # What must hold after every request, and at the end.

    def _remember_current(self) -> None:
        values = {self.aws.value(arn) for arn in self.secrets}
        self._current = frozenset(value for value in values if value is not None and value != PLACEHOLDER)

    def _look(self, request: Request) -> None:
        if request.party == "AWS" and request.name in ("PutSecretValue", "UpdateSecretVersionStage"):
            self._remember_current()
        tokens = self.hub.tokens
        live = {token.value for token in tokens.values() if token.active}
        self._check(WORKS, live >= self._current - self._dead and not self.hub.locked)
        now = {uuid: (token.label, token.active) for uuid, token in tokens.items() if uuid in self._others}
        self._check(ONLY_OURS, now == self._others)
        self._check(NOT_LOCKED, not self.hub.locked)

    def _look_at_the_end(self) -> None:
        self._remember_current()
        self._check(WORKS, len(self._current - self._dead) == len(self.secrets))
        by_label = {_without_time(token.label): token for token in self.hub.tokens.values()}
        left = self._left_alone()
        expected = self._others | left
        excused = {PLACEHOLDER, *self._dead, *(self.hub.tokens[uuid].value for uuid in left)}
        for arn in self.secrets:
            for version, labels in self.aws.labels(arn).items():
                token = by_label.get(token_labels.label_for(arn, version))
                if token and "AWSCURRENT" in labels:
                    expected[token.uuid] = (token.label, token.value == self.aws.value(arn))
                elif "AWSPREVIOUS" in labels and self.aws.value(arn, "AWSPREVIOUS") not in excused:
                    expected[token.uuid if token else f"the token of {version}"] = (
                        token_labels.label_for(arn, version),
                        False,
                    )
        # After a failed attempt disabled ones may stay for one more rotation.
        found = {
            token.uuid: (_without_time(token.label), token.active)
            for token in self.hub.tokens.values()
            if token.active or token.uuid in expected or not self._retries
        }
        self._check(NO_REMAINS, found == expected)
        secrets = {token.value for token in self.hub.tokens.values()} | self.hub.issued | {self.hub.password}
        self._check(NO_LEAK, not any(secret in said for said in self._lambda.said for secret in secrets))

    def _left_alone(self) -> dict[str, tuple[str, bool]]:
        """Return the organization's tokens that were made by hand, of which no login tells that they are superseded."""
        return {
            token.uuid: (token.label, True)
            for token in self.hub.tokens.values()
            if isinstance(token, docker_hub.OrganizationToken) and not token.label.startswith("dockerhub-rotation/")
        }

    def _check(self, invariant: str, holds: bool) -> None:
        self._broken[invariant] += not holds


def _without_time(label: str) -> str:
    return label.partition(" until ")[0]


@contextmanager
def _random_from(seed: int) -> Iterator[None]:
    """Let what the function draws by lot be the same every time."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)
