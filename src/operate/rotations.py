"""`rotate`: a rotation, started or joined, and followed to its end by staging labels and the function's log."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from operate.following import pauses
from operate.names import ECR_PREFIX, Deployment, check_any_secret
from operate.session import Aws, Refused
from operate.show import Problem, Show
from operate.typed import aws_command, command

ROTATION_SECONDS = 600
# How long to wait for the last line of the log once the new version is current: lines arrive late, and superseded
# tokens are retired after that.
_LOG_SECONDS = 20
# How long a secret's first rotation may take to begin.
_BEGIN_SECONDS = 60
# How far back to look for what kept a rotation from its end that is joined.
_EARLIER_SECONDS = 24 * 60 * 60
# By how much this machine's clock may be fast, for AWS to take its signatures.
_SKEW_SECONDS = 5 * 60


@dataclass(frozen=True)
class _Line:
    """One line of the function's log."""

    level: str
    step: str
    message: str


@dataclass(frozen=True)
class _Rotation:
    """A rotation that is under way.

    Attributes:
        secret: its ARN.
        version: which is being made.
        group: the function's log group.
        joined: whether somebody else, or an earlier command, has begun it.
        seen: the messages of the log that have been read.
    """

    aws: Aws
    show: Show
    secret: str
    version: str
    group: str
    joined: bool
    seen: set[str] = field(default_factory=set)

    def new_lines(self, since: float) -> list[_Line]:
        """Return the lines about the version that have not been read yet, oldest first."""
        request = {"logGroupName": self.group, "startTime": int(since * 1000)}
        try:
            events = [it for page in self.aws.pages("logs", "filter_log_events", **request) for it in page["events"]]
        except Refused as refused:
            if refused.code == "ResourceNotFoundException":
                return []  # the group is made by the function's first line, if not by its stack
            raise
        lines = []
        for event in sorted(events, key=lambda it: int(it["timestamp"])):
            entry = _entry(event["message"])
            if entry.get("correlation_id") == self.version and event["message"] not in self.seen:
                self.seen.add(event["message"])
                lines.append(_Line(entry.get("level", ""), entry.get("step", ""), entry.get("message", "")))
        return lines

    def tell_past(self) -> str:
        """Tell why the last attempt failed, if one did, and return what to say should no other succeed."""
        lines = self.new_lines(time.time() - _EARLIER_SECONDS)
        failed = [f"An earlier attempt failed in {it.step}: {it.message}" for it in lines if it.level == "ERROR"][-1:]
        for last in failed:
            self.show.detail(last)
        return "\n".join(["", *failed, "The next attempt may wait for the next rotation window."])

    def labels(self) -> dict[str, list[str]]:
        """Return the staging labels by version id."""
        return labels_of(self.aws.ask("secretsmanager", "describe_secret", SecretId=self.secret))

    def is_current(self) -> bool:
        """Whether the version has been promoted by now."""
        return "AWSCURRENT" in self.labels().get(self.version, ())

    def drop(self) -> str:
        """Return the command that drops it."""
        return aws_command(
            f"secretsmanager update-secret-version-stage --secret-id {shlex.quote(self.secret)} "
            f"--version-stage AWSPENDING --remove-from-version-id {self.version}"
        )


def rotate(aws: Aws, show: Show, wanted: Deployment, seconds: float) -> dict[str, object]:
    """Start a rotation, or join the one that is under way, and follow it to its end.

    Args:
        seconds: how long to follow it.

    Returns:
        the secret, and the version that is current now.

    Raises:
        Problem: it failed, or has not ended in time.
    """
    # A secret whose stack has been given its name alone: what is asked for by name is what is rotated.
    name = wanted.secret_name
    check_any_secret(name)
    since = time.time() - _SKEW_SECONDS
    rotation = _start(aws, show, require_rotating(aws, name))
    past = rotation.tell_past() if rotation.joined else ""
    with show.waiting(f"{name}: the function is at it"):
        _follow(rotation, since, seconds, past)
    show.step("rotated", f"{rotation.secret}: version {rotation.version} is current")
    return {"secret": rotation.secret, "version": rotation.version, "joined": rotation.joined}


def follow_first(aws: Aws, show: Show, wanted: Deployment) -> dict[str, object]:
    """Follow the rotation that a secret's schedule begins when it is made, and return the version that is current then.

    Raises:
        Problem: it has not begun, it failed (which may have been before this began), or it has not ended in time.
    """
    name, since = wanted.secret_name, time.time() - _EARLIER_SECONDS
    try:
        described = _begun(aws, show, name)
        if begun := pending(described):
            version = begun[0]
            rotation = _Rotation(aws, show, described["ARN"], version, _log_group(described), joined=True)
            with show.waiting(f"{name}: the function is at it"):
                _follow(rotation, since, ROTATION_SECONDS, "")
        else:
            (version,) = (it for it, labels in labels_of(described).items() if "AWSCURRENT" in labels)
    except Problem as problem:
        raise Problem(f"All is deployed, but the secret's rotation has not succeeded. {problem}") from None
    show.step("rotated", f"{described['ARN']}: version {version} is current")
    return {"version": version}


def _begun(aws: Aws, show: Show, name: str) -> Mapping[str, Any]:
    """Return what AWS says of a secret once its first rotation has begun, or is over."""
    ends_at = time.monotonic() + _BEGIN_SECONDS
    with show.waiting(f"{name}: the first rotation begins"):
        for pause in pauses():
            described = require_rotating(aws, name)
            if pending(described) or has_superseded(described):
                break
            if time.monotonic() > ends_at:
                raise Problem(
                    f"It has not begun in {_BEGIN_SECONDS} seconds: `{command('rotate')}` starts one. Look at the log "
                    f"group {_log_group(described)}; if it is empty, Secrets Manager may not invoke the function."
                )
            time.sleep(pause)
    return described


def require_rotating(aws: Aws, name: str) -> dict[str, Any]:
    """Return what AWS says of a secret that the function rotates."""
    try:
        described: dict[str, Any] = aws.ask("secretsmanager", "describe_secret", SecretId=name)
    except Refused as refused:
        if refused.code != "ResourceNotFoundException":
            raise
        raise Problem(
            f"There is no secret {name} in {aws.region}: run `{command('deploy')}`, or name it, with the prefix "
            f"{ECR_PREFIX} if it has that: SECRET=..."
        ) from None
    # Part of an ARN finds a secret, too: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html
    if name not in (described["Name"], described["ARN"]):
        raise Problem(f"There is no secret {name} in {aws.region}, but {described['Name']}: is that meant? SECRET=...")
    if "DeletedDate" in described:
        raise Problem(
            f"{name} is to be deleted: if it is still needed, run "
            f"`{aws_command(f'secretsmanager restore-secret --secret-id {shlex.quote(name)}')}` first."
        )
    if not described.get("RotationEnabled"):
        raise Problem(
            f"Rotation is not configured for {name}: run `{command('deploy')}`, or attach the function (see README)."
        )
    if "RotationLambdaARN" not in described:
        raise Problem(f"{name} is rotated by AWS itself, not by this function: name another secret, SECRET=...")
    return described


def _start(aws: Aws, show: Show, described: Mapping[str, Any]) -> _Rotation:
    """Start a rotation, unless one is under way."""
    secret = described["ARN"]
    group = _log_group(described)
    # Sent again, it must not start a second one.
    request = {"SecretId": secret, "ClientRequestToken": str(uuid4())}
    try:
        version = str(aws.ask("secretsmanager", "rotate_secret", **request)["VersionId"])
    except Refused as refused:
        if refused.code != "InvalidRequestException":
            raise
        # That code has other reasons, too, but none beside which a version is pending. The rotation may have begun
        # after the first look, and have promoted it by the second.
        again = aws.ask("secretsmanager", "describe_secret", SecretId=secret)
        begun = [*pending(again), *pending(described)]
        if not begun:
            raise
        show.step("rotation", f"{secret}: an earlier one has not ended; following that, version {begun[0]}")
        return _Rotation(aws, show, secret, begun[0], group, joined=True)
    show.step("rotation", f"{secret}: version {version}")
    return _Rotation(aws, show, secret, version, group, joined=False)


def _log_group(described: Mapping[str, Any]) -> str:
    """Return the log group of the function that rotates a secret."""
    return f"/aws/lambda/{described['RotationLambdaARN'].partition(':function:')[2].partition(':')[0]}"


def pending(described: Mapping[str, Any]) -> list[str]:
    """Return the version that a rotation is making. After it, the label may stay on the one that is current now."""
    held = labels_of(described)
    return [version for version, labels in held.items() if "AWSPENDING" in labels and "AWSCURRENT" not in labels]


def has_superseded(described: Mapping[str, Any]) -> bool:
    """Whether a version has been superseded: AWS keeps the last one."""
    return any("AWSPREVIOUS" in it for it in labels_of(described).values())


def _follow(rotation: _Rotation, since: float, seconds: float, past: str) -> None:
    """Show how a rotation goes until it has ended.

    Raises:
        Problem: it failed, was given up, or has not ended in time.
    """
    labels: Mapping[str, Sequence[str]] = {}
    done: set[str] = set()
    ends_at, promoted_at = time.monotonic() + seconds, None
    for pause in pauses():
        before, labels = labels, rotation.labels()
        _show_labels(rotation.show, before, labels)
        for line in rotation.new_lines(since):
            rotation.show.detail(f"{line.level:<8} {line.step:<13} {line.message}")
            if line.level == "ERROR":
                raise _failure(rotation, line)
            done.add(line.step)
        ours = labels.get(rotation.version, ())
        now = time.monotonic()
        if "AWSCURRENT" in ours:
            promoted_at = promoted_at or now
            if "finishSecret" in done or now - promoted_at > _LOG_SECONDS:
                return
        elif "AWSPENDING" not in ours:
            raise Problem(
                f"Secrets Manager has given version {rotation.version} up: meanwhile, somebody stored another value or "
                f"removed its staging label. Run `{command('rotate')}` again."
            )
        if now > ends_at:
            raise Problem(
                f"The rotation has not ended in {seconds:g} seconds.{past} Look at the log group {rotation.group}; if "
                f"it is empty, Secrets Manager may not invoke the function. `{command('rotate')}` follows it further, "
                f"and this drops it:\n  {rotation.drop()}"
            )
        time.sleep(pause)


def _show_labels(show: Show, before: Mapping[str, Sequence[str]], after: Mapping[str, Sequence[str]]) -> None:
    for version, labels in sorted(after.items()):
        if labels != before.get(version):
            show.detail(f"version  {version} {' '.join(labels)}")


def _failure(rotation: _Rotation, line: _Line) -> Problem:
    if rotation.is_current():  # the labels may have moved since they were read
        return Problem(
            f"{line.step} failed after the promotion: the new token is current and works, an old one is still active. "
            "Mend what the message names; Secrets Manager tries again by itself, and "
            f"`{command('rotate')}` follows that."
        )
    return Problem(
        f"The rotation failed in {line.step}; AWSCURRENT is what it was. Mend what the message names; Secrets Manager "
        f"tries again by itself while the rotation window is open, and `{command('rotate')}` follows that. This drops "
        f"it:\n  {rotation.drop()}"
    )


def labels_of(described: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return a secret's staging labels by version id, as AWS describes it."""
    return {version: sorted(labels) for version, labels in described.get("VersionIdsToStages", {}).items()}


def _entry(message: str) -> dict[str, Any]:
    """Return a line of the function's log as what it says; nothing for the Lambda service's own."""
    try:
        entry = json.loads(message)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}
