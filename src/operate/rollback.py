"""`rollback`: consumers get the token again that they had before; the caretaker tries it first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from operate.caretaker import Caretaker
from operate.confirm import require_yes
from operate.function_log import check_version, last_step, of_rotation
from operate.names import Deployment
from operate.pending import by_hand, take_off
from operate.secret import PENDING, Secret, again, require_ours
from operate.session import Aws, Refused
from operate.show import Problem, Show
from operate.times import readable
from operate.typed import command
from operate.versions import made


def rollback(aws: Aws, show: Show, wanted: Deployment, *, version: str, sure: bool) -> dict[str, object]:
    """Have the caretaker move AWSCURRENT back, once it has tried the token that is under there then.

    Args:
        version: back to which; empty for the one under AWSPREVIOUS.
        sure: whether to do it without asking.

    Returns:
        the secret, the version that is current then, and the caretaker's answer, if it was asked.

    Raises:
        Problem: there is nothing to go back to, nobody confirmed it, or it could not be done.
    """
    secret = require_ours(aws, wanted)
    named = bool(version)
    version = _chosen(secret, version) if named else secret.previous
    if not version:
        raise Problem(
            f"{secret.name} has no version under AWSPREVIOUS: there is nothing to go back to. "
            f"`{command('rotate')}` makes a new token."
        )
    finished = version != secret.current and _has_left_pending(aws, secret)
    if not named and _is_rolled_back(aws, secret):
        said = (
            f"Version {secret.current} is older than {version}, which is AWSPREVIOUS: it has been rolled back already"
        )
        return _nothing(show, secret, f"{said}. To go forward again: `{command('rollback', version=version)}`")
    caretaker = Caretaker(aws, show, f"{secret.function}-caretaker")
    caretaker.require_there()
    confirmed = command("rollback", version=version, yes="1")
    if version != secret.current:  # an earlier attempt that has died after the move goes on unasked
        _say_what(show, secret, version)
        if finished:
            show.line(
                f"AWSPENDING stayed on version {secret.current}, whose rotation has ended: it is taken off first."
            )
        require_yes(show, "Move AWSCURRENT back?", "Nothing is moved", sure=sure, confirmed=confirmed)
    if finished:
        take_off(aws, secret, secret.current)
    task = {"Task": "Rollback", "SecretId": secret.arn, "VersionId": version}
    undone = "The rollback has not ended well, as far as is known"
    try:
        answer = caretaker.send(task, "it tries the earlier token, then moves AWSCURRENT", undone, confirmed)
    except Problem as problem:
        failed = str(problem)
    else:
        return _rolled_back(show, secret, version, answer)
    raise Problem(f"{failed}\n{_where_it_is(aws, secret)}")


def _rolled_back(show: Show, secret: Secret, version: str, answer: Mapping[str, Any]) -> dict[str, object]:
    show.step("current" if not answer.get("Moved") else "moved", str(answer.get("Message")))
    if answer.get("Replaced") and answer.get("ReplacedUntil"):
        until = readable(str(answer["ReplacedUntil"]))
        show.detail(f"the deadline of the token of version {answer['Replaced']}: {until}")
    show.line(f"`{command('reconcile')}` has all of it looked at now. The next rotation makes another token as usual.")
    return {"secret": secret.arn, "version": version, "rolled_back": answer}


def _where_it_is(aws: Aws, secret: Secret) -> str:
    """Say where AWSCURRENT is once the task has failed, or its answer was lost: AWS alone knows."""
    try:
        return f"AWSCURRENT is on version {again(aws, secret).current} now."
    except Refused as refused:
        return f"Where AWSCURRENT is now is not known: {refused}"


def _chosen(secret: Secret, version: str) -> str:
    """Return the version that somebody has typed.

    Raises:
        Problem: the secret has none of that id.
    """
    check_version(version)
    if version not in secret.labels:
        raise Problem(f"{secret.name} has no version {version} with a staging label. It has {secret.listed}.")
    return version


def _has_left_pending(aws: Aws, secret: Secret) -> bool:
    """Whether AWSPENDING stayed on the current version after its rotation; AWS takes it off, as a rule.

    Raises:
        Problem: a rotation is under way, which would put its version in place of the one that is gone back to.
    """
    if secret.pending:
        raise Problem(
            f"A rotation of {secret.name} has not ended: version {secret.pending} is AWSPENDING, and would take the "
            f"place of what you go back to. `{command('logs')}` shows how it goes; `{command('unblock')}` drops it. "
            "Then run this again."
        )
    if PENDING not in secret.labels.get(secret.current, ()):
        return False
    if not _has_ended(aws, secret):
        raise Problem(
            f"The rotation that has made version {secret.current} has promoted it, but not ended: AWSPENDING is there, "
            f"too. `{command('logs', follow='1')}` shows how it goes on. If it does not end, take the label off, and "
            f"run this again:\n  {by_hand(secret, secret.current)}"
        )
    return True


def _has_ended(aws: Aws, secret: Secret) -> bool:
    """Whether the rotation that has made the current version has ended, by its date or by the function's log."""
    try:
        made_at, lines = made(aws, secret).get(secret.current), of_rotation(aws, secret.log_group, secret.current)
    except Refused:
        return False
    by_date = bool(made_at and secret.rotated_at and secret.rotated_at >= made_at)
    last = last_step(lines)
    return by_date or (last is not None and last.step == "finishSecret" and not last.failed)


def _nothing(show: Show, secret: Secret, why: str) -> dict[str, object]:
    show.line(f"{why}. Nothing is moved.")
    return {"secret": secret.arn, "version": secret.current, "rolled_back": None}


def _is_rolled_back(aws: Aws, secret: Secret) -> bool:
    """Whether the current version was made before the one under AWSPREVIOUS: then somebody has moved it back.

    Without a look, a second rollback would undo the first.

    Raises:
        Problem: it may not be looked at.
    """
    try:
        dates = made(aws, secret)
    except Refused as refused:
        named = command("rollback", version=secret.previous)
        raise Problem(
            f"Whether {secret.name} has been rolled back already is not known: {refused} If it has not, name the "
            f"version: `{named}`"
        ) from None
    current, previous = dates.get(secret.current), dates.get(secret.previous)
    return bool(current and previous and current < previous)


def _say_what(show: Show, secret: Secret, version: str) -> None:
    show.line(f"AWSCURRENT of {secret.arn} will move")
    show.line(f"  from version {secret.current or 'none'}")
    show.line(f"  to   version {version} ({' '.join(secret.labels[version])})")
    show.line(
        "This is for a new token that consumers can't work with. The caretaker enables the earlier token if it is "
        "disabled, and logs in with it first; if that fails, nothing is moved. The token that is replaced stays active "
        "for the function's Grace, and is disabled at once without one. If a token has leaked, this is not the "
        f"way: `{command('rotate', leaked='1')}`"
    )
