"""`unblock`: a rotation that can't end is dropped, so that another can begin."""

from __future__ import annotations

import sys
import time

from operate.confirm import require_yes
from operate.function_log import Line, has_failed, last_step, of_rotation
from operate.names import Deployment
from operate.pending import take_off
from operate.rotations import ROTATION_SECONDS, rotate
from operate.secret import Secret, again, require_ours
from operate.session import Aws, Refused
from operate.show import Problem, Show
from operate.typed import command, without_commands

# A step that was called is over after this: Lambda gives it no longer.
_STEP_SECONDS = 15 * 60


def unblock(aws: Aws, show: Show, wanted: Deployment, *, sure: bool) -> dict[str, object]:
    """Say why a rotation hangs, and take AWSPENDING off its version, if that is not current.

    Args:
        sure: whether to do it without asking.

    Returns:
        the secret, the version that was dropped (None, if nothing was pending), and what its last failure was.

    Raises:
        Problem: nobody confirmed it, the labels have moved meanwhile, or it could not be done.
    """
    secret = require_ours(aws, wanted)
    version = secret.pending
    if not version:
        show.line(f"No rotation of {secret.name} is pending: there is nothing to unblock.")
        return {"secret": secret.arn, "dropped": None, "failure": None}
    failure = _say_why(aws, show, secret, version)
    show.line(
        f"AWSPENDING will be taken off version {version}. AWSCURRENT stays where it is. A token that was made for the "
        "version is cleared away by the next rotation, or by the caretaker within an hour or two."
    )
    confirmed = command("unblock", yes="1")
    require_yes(show, "Drop this rotation?", "Nothing is dropped", sure=sure, confirmed=confirmed)
    told: dict[str, object] = {"secret": secret.arn, "failure": failure.row() if failure else None}
    if not _drop(aws, show, secret, version):
        return {**told, "dropped": None}
    show.step("dropped", f"{secret.arn}: version {version} is not pending any more")
    return {**told, "dropped": version, **_rotate_again(aws, show, wanted, secret)}


def _say_why(aws: Aws, show: Show, secret: Secret, version: str) -> Line | None:
    """Say what is known of a rotation that is pending, and return its last failure."""
    show.line(f"{secret.arn}: version {version} is pending.")
    try:
        lines = of_rotation(aws, secret.log_group, version)
    except Refused as refused:
        show.line(f"Why it has not ended can't be told: {refused}")
        return None
    failed = [line for line in lines if line.failed]
    if failed:
        # To drop it and to rotate is what is asked here.
        why = without_commands(failed[-1].told, "unblock", "rotate")
        show.line(f"Its last failure was in {failed[-1].step}, {failed[-1].time}:\n  {why}")
    elif lines:
        show.line(f"No step of it has failed. {_last_of(last_step(lines))}")
    else:
        show.line(
            f"The log group {secret.log_group} has no line about it: Secrets Manager may not invoke the function, or "
            "has just begun."
        )
    if lines and time.time() - lines[-1].at < _STEP_SECONDS and not has_failed(lines):
        show.line(f"It may be at work just now. `{command('logs', follow='1')}` shows how it goes on.")
    return failed[-1] if failed else None


def _last_of(line: Line | None) -> str:
    return f"The last that the log has is {line.step}, {line.time}." if line else "None has ended."


def _drop(aws: Aws, show: Show, secret: Secret, version: str) -> bool:
    """Take AWSPENDING off a version, unless it has become current; return whether it was still pending.

    Raises:
        Problem: another rotation has begun, or it could not be done.
    """
    now = again(aws, secret)
    if now.pending != version:
        if now.pending:
            raise Problem(
                f"Nothing is dropped: meanwhile another rotation has begun, version {now.pending}. "
                f"`{command('logs')}` shows how it goes."
            )
        became = "is current" if now.current == version else "is not pending any more"
        show.line(f"Nothing is dropped: meanwhile version {version} {became}.")
        return False
    take_off(aws, secret, version)
    return True


def _rotate_again(aws: Aws, show: Show, wanted: Deployment, secret: Secret) -> dict[str, object]:
    """Offer to rotate, where somebody is there to say so."""
    if not secret.rotates:
        return {}
    if sys.stdin.isatty() and show.ask("Mended what kept it? Rotate again now? [y/N]").strip().lower() in ("y", "yes"):
        return {"rotated": rotate(aws, show, wanted, ROTATION_SECONDS)}
    show.line(f"Once what kept it is mended: `{command('rotate')}`")
    return {}
