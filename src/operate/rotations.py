"""`rotate`: a rotation, started or joined, and followed to its end by staging labels and the function's log."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import uuid4

from operate.following import pauses
from operate.function_log import Line, of_rotation
from operate.names import Deployment
from operate.pending import by_hand, take_off
from operate.secret import CURRENT, PENDING, Secret, again, require_rotating
from operate.session import Aws, Refused
from operate.show import Problem, Show
from operate.typed import command, says, without_commands

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
class _Rotation:
    """A rotation that is under way.

    Attributes:
        secret: as AWS described it when it was begun.
        version: which is being made.
        joined: whether somebody else, or an earlier command, has begun it.
        seen: the lines of the log that have been read.
    """

    aws: Aws
    show: Show
    secret: Secret
    version: str
    joined: bool
    seen: list[Line] = field(default_factory=list)

    def new_lines(self, since: float) -> list[Line]:
        """Return the lines about the version that have not been read yet, oldest first."""
        lines = of_rotation(self.aws, self.secret.log_group, self.version, since)
        new = [line for line in lines if line not in self.seen]
        self.seen.extend(new)
        return new

    def past_failure(self) -> Line | None:
        """Say why the last attempt failed, if one did, and return its line."""
        failed = [it for it in self.new_lines(0) if it.failed]
        if not failed:
            return None
        # To drop it and to begin another is what is asked next.
        why = without_commands(failed[-1].told, "unblock", "rotate")
        self.show.detail(f"An earlier attempt failed in {failed[-1].step}, {failed[-1].time}: {why}")
        return failed[-1]

    def labels(self) -> dict[str, list[str]]:
        """Return the staging labels by version id, as they are now."""
        return again(self.aws, self.secret).labels

    def is_current(self) -> bool:
        """Whether the version has been promoted by now."""
        return CURRENT in self.labels().get(self.version, ())

    def drop(self) -> str:
        """Return what says how to drop it."""
        plain = by_hand(self.secret, self.version)
        return f"`{command('unblock')}` drops it. Without these commands:\n  {plain}"


def rotate(
    aws: Aws, show: Show, wanted: Deployment, seconds: float, *, sure: bool = False, **options: str
) -> dict[str, object]:
    """Start a rotation, or join the one that is under way, and follow it to its end.

    One that has failed may wait for the next rotation window: whoever is there is asked whether to begin another in its
    place. Where nobody is, it is followed only if waiting may help, by what the function has said.

    Args:
        seconds: how long to follow it.
        sure: whether to begin another in place of one that has failed without asking.
        options: what else the command was given that has this done, as for `typed.command`.

    Returns:
        the secret, and the version that is current now.

    Raises:
        Problem: it failed, or has not ended in time.
    """
    # A secret whose stack has been given its name alone: what is asked for by name is what is rotated.
    since = time.time() - _SKEW_SECONDS
    rotation = _start(aws, show, require_rotating(aws, wanted))
    failed, past = rotation.past_failure() if rotation.joined else None, ""
    in_its_place = command("rotate", **options, yes="1")
    if failed and _is_given_up(rotation, failed, in_its_place, sure=sure):
        take_off(aws, rotation.secret, rotation.version)
        show.step("dropped", f"{rotation.secret.arn}: version {rotation.version} is not pending any more")
        rotation, failed = replace(_start(aws, show, again(aws, rotation.secret)), seen=[failed]), None
    if rotation.joined:
        past = " The next attempt may wait for the next rotation window."
    if failed:
        past = f" {failed.step} has failed before, as is said above.{past}"
        show.line(f"So it is followed, for {seconds:g} seconds at most. Ctrl-C ends that, and nothing else.")
    with show.waiting(f"{wanted.secret_name}: the function is at it"):
        _follow(rotation, since, seconds, past, f"`{in_its_place}` drops it, and begins another." if failed else "")
    show.step("rotated", f"{rotation.secret.arn}: version {rotation.version} is current")
    return {"secret": rotation.secret.arn, "version": rotation.version, "joined": rotation.joined}


def _is_given_up(rotation: _Rotation, failed: Line, in_its_place: str, *, sure: bool) -> bool:
    """Whether a rotation that has failed is to be dropped, so that another can begin.

    Raises:
        Problem: it gets no further by itself, and nobody is there to say whether what kept it is mended.
    """
    question = "Mended what kept it? Drop it, and begin another now? [y/N]"
    if sure:
        return not rotation.is_current()
    if sys.stdin.isatty():
        return rotation.show.ask(question).strip().lower() in ("y", "yes") and not rotation.is_current()
    if failed.said.get("to_do") in ("mend", "look") and not rotation.is_current():
        raise Problem(
            f"Nothing is begun: the rotation of version {rotation.version} has failed, as is said above, and nobody is "
            f"there to say whether what kept it is mended. Once it is, run `{in_its_place}`, which drops it and begins "
            f"another. `{command('logs', follow='1')}` follows what Secrets Manager may still try."
        )
    return False


def follow_first(aws: Aws, show: Show, wanted: Deployment) -> dict[str, object]:
    """Follow the rotation that a secret's schedule begins when it is made, and return the version that is current then.

    Raises:
        Problem: it has not begun, it failed (which may have been before this began), or it has not ended in time.
    """
    name, since = wanted.secret_name, time.time() - _EARLIER_SECONDS
    try:
        secret = _begun(aws, show, wanted)
        version = secret.pending or secret.current
        if secret.pending:
            rotation = _Rotation(aws, show, secret, version, joined=True)
            with show.waiting(f"{name}: the function is at it"):
                _follow(rotation, since, ROTATION_SECONDS, "")
    except Problem as problem:
        raise Problem(f"All is deployed, but the secret's rotation has not succeeded. {problem}") from None
    show.step("rotated", f"{secret.arn}: version {version} is current")
    return {"version": version}


def _begun(aws: Aws, show: Show, wanted: Deployment) -> Secret:
    """Return what AWS says of a secret once its first rotation has begun, or is over."""
    ends_at = time.monotonic() + _BEGIN_SECONDS
    with show.waiting(f"{wanted.secret_name}: the first rotation begins"):
        for pause in pauses():
            secret = require_rotating(aws, wanted)
            if secret.pending or secret.previous:
                break
            if time.monotonic() > ends_at:
                raise Problem(
                    f"It has not begun in {_BEGIN_SECONDS} seconds: `{command('rotate')}` starts one. Look at the log "
                    f"group {secret.log_group}; if it is empty, Secrets Manager may not invoke the function."
                )
            time.sleep(pause)
    return secret


def _start(aws: Aws, show: Show, secret: Secret) -> _Rotation:
    """Start a rotation, unless one is under way."""
    # Sent again, it must not start a second one.
    request = {"SecretId": secret.arn, "ClientRequestToken": str(uuid4())}
    try:
        version = str(aws.ask("secretsmanager", "rotate_secret", **request)["VersionId"])
    except Refused as refused:
        if refused.code != "InvalidRequestException":
            raise
        # That code has other reasons, too, but none beside which a version is pending. The rotation may have begun
        # after the first look, and have promoted it by the second.
        begun = again(aws, secret).pending or secret.pending
        if not begun:
            raise
        show.step("rotation", f"{secret.arn}: an earlier one has not ended; following that, version {begun}")
        return _Rotation(aws, show, secret, begun, joined=True)
    show.step("rotation", f"{secret.arn}: version {version}")
    return _Rotation(aws, show, secret, version, joined=False)


def _follow(rotation: _Rotation, since: float, seconds: float, past: str, otherwise: str = "") -> None:
    """Show how a rotation goes until it has ended.

    Args:
        past: what is to be said of it, if it does not end in time, and then what else can be done; empty for the usual.

    Raises:
        Problem: it failed, was given up, or has not ended in time.
    """
    labels: Mapping[str, Sequence[str]] = {}
    done: set[str] = set()
    shown = list(rotation.seen)
    ends_at, promoted_at = time.monotonic() + seconds, None
    for pause in pauses():
        before, labels = labels, rotation.labels()
        _show_labels(rotation.show, before, labels)
        for line in rotation.new_lines(since):
            told = line.told_after(shown)
            rotation.show.detail(f"{line.level:<8} {line.step:<13} {told}")
            shown.append(line)
            if line.failed:
                raise _failure(rotation, line.step, told)
            done.add(line.step)
        ours = labels.get(rotation.version, ())
        now = time.monotonic()
        if CURRENT in ours:
            promoted_at = promoted_at or now
            if "finishSecret" in done or now - promoted_at > _LOG_SECONDS:
                return
        elif PENDING not in ours:
            raise Problem(
                f"Secrets Manager has given version {rotation.version} up: meanwhile, somebody stored another value or "
                f"removed its staging label. Run `{command('rotate')}` again."
            )
        if now > ends_at:
            look = (
                f"Look at the log group {rotation.secret.log_group}; if it is empty, Secrets Manager may not invoke "
                "the function. "
            )
            raise Problem(
                f"The rotation has not ended in {seconds:g} seconds.{past} {'' if otherwise else look}"
                f"`{command('rotate')}` follows it further, {otherwise or rotation.drop()}"
            )
        time.sleep(pause)


def _show_labels(show: Show, before: Mapping[str, Sequence[str]], after: Mapping[str, Sequence[str]]) -> None:
    for version, labels in sorted(after.items()):
        if labels != before.get(version):
            show.detail(f"version  {version} {' '.join(labels)}")


def _failure(rotation: _Rotation, step: str, told: str) -> Problem:
    if rotation.is_current():  # the labels may have moved since they were read
        return Problem(
            f"{step} failed after the promotion: the new token is current and works, an old one is still active. "
            f"Mend what the message names; Secrets Manager tries again by itself.{_then(told)}"
        )
    return Problem(
        f"The rotation failed in {step}; AWSCURRENT is what it was. Mend what the message names; Secrets Manager "
        f"tries again by itself while the rotation window is open.{_then(told)}"
    )


def _then(told: str) -> str:
    # As a rule the message has said it.
    if says(told, "rotate") or says(told, "unblock"):
        return ""
    return f" `{command('rotate')}` follows that, or begins another."
