"""`logs`: what one rotation has logged, across its steps and attempts, in order."""

from __future__ import annotations

import time
from collections.abc import Sequence

from operate.following import pauses
from operate.function_log import Line, check_version, has_failed, of_rotation
from operate.names import Deployment
from operate.secret import CURRENT, PENDING, Secret, again, require_ours
from operate.session import Aws
from operate.show import Problem, Show
from operate.typed import command

# How long to wait for the last line once the rotation has ended: lines arrive late.
_LATE_SECONDS = 20


def logs(aws: Aws, show: Show, wanted: Deployment, *, version: str, follow: bool) -> dict[str, object]:
    """Show the lines of one rotation.

    Args:
        version: of which; empty for the one that is under way, or else the one that is current.
        follow: whether to go on until the rotation has ended.

    Returns:
        the lines; `ok` says whether there are any and, if it was followed, whether the version is current.

    Raises:
        Problem: it can't be told which rotation is meant.
    """
    secret = require_ours(aws, wanted)
    if version:
        check_version(version)
    version = version or secret.pending or secret.current
    if not version:
        raise Problem(f"{secret.name} has no version yet, so no rotation has begun: `{command('rotate')}` starts one.")
    labels = " ".join(secret.labels.get(version, ())) or "no label"
    show.line(f"{secret.arn}: version {version} ({labels})")
    lines = of_rotation(aws, secret.log_group, version)
    _show(show, lines)
    ended_well = True
    if follow and PENDING in labels.split():
        labels = _follow(aws, show, secret, version, lines)
        ended_well = CURRENT in labels.split() and not has_failed(lines)
    if not lines:
        show.line(f"The log group {secret.log_group} has no line about it. {_why_none(secret, version)}")
    told = {"secret": secret.arn, "version": version, "staging_labels": labels.split() if labels != "no label" else []}
    return {**told, "ok": bool(lines) and ended_well, "lines": [line.row() for line in lines]}


def _why_none(secret: Secret, version: str) -> str:
    if version not in secret.labels:
        return f"Nor has the secret a version of that id with a staging label. It has {secret.listed}."
    return (
        "They are kept for as long as LogRetentionDays says; if the rotation is under way, Secrets Manager may not "
        "invoke the function."
    )


def _show(show: Show, lines: Sequence[Line], earlier: Sequence[Line] = ()) -> None:
    shown = list(earlier)
    for line in lines:
        show.entry(f"{line.time}  {line.level:<8} {line.step:<13} ", line.told_after(shown))
        shown.append(line)


def _follow(aws: Aws, show: Show, secret: Secret, version: str, lines: list[Line]) -> str:
    """Show new lines until the rotation has ended, add them to those that are known, and return the labels then.

    Each step may have a log stream of its own, and a line of an earlier one may arrive after those of a later.
    """
    since = lines[0].at if lines else 0.0
    ended_at = None
    with show.waiting(f"{secret.name}: the function is at it"):
        for pause in pauses():
            labels = again(aws, secret).labels.get(version, [])
            new = [line for line in of_rotation(aws, secret.log_group, version, since) if line not in lines]
            _show(show, new, lines)
            lines[:] = sorted([*lines, *new], key=lambda line: line.at)
            finished = any(line.step == "finishSecret" and not line.failed for line in lines)
            if CURRENT in labels or PENDING not in labels:
                ended_at = ended_at or time.monotonic()
                if finished or PENDING not in labels or time.monotonic() - ended_at > _LATE_SECONDS:
                    break
            time.sleep(pause)
    if CURRENT in labels:
        show.step("ended", f"version {version} is current")
    else:
        show.step("ended", f"version {version} was given up: it is neither pending nor current")
    return " ".join(labels) or "no label"
