"""Rollback: AWSCURRENT goes back to the version before, whose token is made to work, and proven, first."""

from collections.abc import Mapping
from dataclasses import asdict

from dockerhub_rotation import changes, remedies, retirement, token_labels
from dockerhub_rotation.changes import Look
from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.errors import EventRefused, RetirementFailed, RollbackFailed, RotationError
from dockerhub_rotation.groups import grouped
from dockerhub_rotation.plan import Grace
from dockerhub_rotation.remedies import Place, region_option
from dockerhub_rotation.retirement import Retirement
from dockerhub_rotation.secrets_manager import CURRENT, PENDING, PREVIOUS, SecretVersions
from dockerhub_rotation.tasks import way_back
from dockerhub_rotation.tasks.task import Result, Task
from dockerhub_rotation.tasks.way_back import WayBack
from dockerhub_rotation.token_labels import said, written

_NOT_MOVED = "AWSCURRENT was not moved; the caretaker disables again what was enabled for it."


def rollback(task: Task, versions: SecretVersions, version: str) -> Result:
    """Move AWSCURRENT back to the version that a rotation has replaced. Doing it again changes nothing.

    1. The version is AWSCURRENT already: go on where an earlier attempt has died, after the move.
    2. It is not AWSPREVIOUS either: refused. So it is while any version is AWSPENDING: Secrets Manager would promote
       that, also one that AWSCURRENT has just left.
    3. Nothing shows that the parameters are those of the right account: refused.
    4. Make its token work: enable it, with a deadline after this invocation. Then neither a reconcile takes it away
       before the move, nor does it stay if there is none. A token that is gone or has expired can't be brought back.
    5. Log in as consumers do. With a grace, write the deadline of the token that is to be replaced, as a rotation does.
    6. Look at the staging labels again, and move AWSCURRENT.
    7. Log in once more. Refused: somebody has taken the token away between; move AWSCURRENT back where it was.
    8. Retire what is superseded, by the same plan as a rotation: the replaced token lives for the grace of the
       settings, without one it is disabled now; for replicas it lives on. It is the way back from there. Tags are not
       read.

    Args:
        versions: the secret's staging labels.
        version: the version that is to be AWSCURRENT.

    Raises:
        EventRefused: case 2; nothing was changed. Or somebody has moved AWSCURRENT meanwhile, and it was left there.
        SecretUnusable: case 3, or the version's value is another account's; nothing was changed.
        RollbackFailed: cases 4, 5 and 7; AWSCURRENT is where it was, unless the message says otherwise.
        RetirementFailed: moved, but the replaced token may have no deadline. Doing it again goes on from there.
        RotationError: of the client or the gateway. Doing it again goes on from there.
    """
    task.docker_hub.management.presume_code_used(versions.changed_at)
    former = versions.holder(CURRENT)
    if former != version:
        _require_way_back(task, versions, version)
    back = WayBack(version, way_back.value_of(task, versions, version))
    tokens = retirement.listed(task, versions)
    if former == version:  # case 1
        return _resume(task, back, changes.look(task, versions.arn), tokens)
    way_back.require_our_account(task, versions, back, tokens)  # case 3
    made = grouped(tokens, versions)[version].tokens
    held = way_back.held(task, versions, version, made)  # case 4
    way_back.prove(task, versions, back, tokens, listed=bool(made))  # case 5
    tokens = [held.get(token.uuid, token) for token in tokens]
    grace = Grace.of(task.settings, versions)
    tokens = retirement.set_deadline(task, Look(versions, task.deadline.began), tokens, grace)
    look = changes.look(task, versions.arn)
    if look.versions.holder(CURRENT) == version:
        return _resume(task, back, look, tokens)  # a twin was faster
    _require_way_back(task, look.versions, version, _NOT_MOVED)
    if not task.secrets_manager.move_current(versions.arn, version, former):
        raise _moved_by_others(versions.arn)  # case 6
    _prove_moved(task, back, versions.arn, former)  # case 7
    return _settle(task, back, Look(look.versions.promoted(version), look.at), tokens, moved=True)  # case 8


def _resume(task: Task, back: WayBack, look: Look, tokens: list[Token]) -> Result:
    """Go on where an earlier attempt, or a twin, has moved AWSCURRENT."""
    if look.versions.holder(CURRENT) != back.version:
        raise _moved_by_others(look.versions.arn)
    if not way_back.logs_in(task, back):
        error = RollbackFailed(
            f"AWSCURRENT is on version {back.version} already, and Docker Hub does not let its token in, so consumers "
            "are refused. Nothing was changed. If it was disabled by mistake, enable it in the account settings; else "
            "make a new one."
        )
        error.consumers_affected = True
        raise error
    return _settle(task, back, look, tokens, moved=False)


def _require_way_back(task: Task, versions: SecretVersions, version: str, so_far: str = "Nothing was changed.") -> None:
    """Refuse what is not AWSPREVIOUS, and to disturb a rotation that has not ended. The id is not quoted if unknown."""
    pending = versions.holder(PENDING)
    if versions.holder(PREVIOUS) != version:
        previous = versions.holder(PREVIOUS)
        which = f"that is version {previous}" if previous else "there is none"
        raise EventRefused(
            "The event's VersionId is neither that of AWSCURRENT nor that of AWSPREVIOUS, which alone is a way back: "
            f"{which}. {so_far}"
        )
    if pending is not None:
        promoted = pending == versions.holder(CURRENT)
        place = Place.of(task.function, versions.arn, pending)
        how = f"`{remedies.take_off(place)}`" if promoted else remedies.drop(place)  # `unblock` leaves a promoted one
        raise EventRefused(
            f"Version {pending} is {'promoted' if promoted else 'AWSPENDING'}, but its rotation has not ended, and "
            f"Secrets Manager may promote it at any time. {so_far} Wait for its end; or drop it, and send "
            f"the task again: {how}."
        )


def _prove_moved(task: Task, back: WayBack, arn: str, former: str | None) -> None:
    """Log in once more; where that is refused, move AWSCURRENT back where it was.

    An answer that is none proves nothing against a token that has logged in a moment ago: AWSCURRENT stays, nothing is
    taken away, and the task, sent again, goes on.
    """
    try:
        works = way_back.logs_in(task, back)
    except RotationError as failure:
        unproven = failure
    else:
        if works:
            return
        raise _taken_away(task, back, arn, former)
    raise _not_settled(back, [unproven], {}) from unproven


def _taken_away(task: Task, back: WayBack, arn: str, former: str | None) -> RollbackFailed:
    """Move AWSCURRENT back where it was, and return the error that says so, to be raised."""
    what = (
        f"The token of version {back.version} logged in before AWSCURRENT was moved there and is refused since: "
        "somebody has taken it away meanwhile. AWSCURRENT"
    )
    try:
        moved = former is not None and task.secrets_manager.move_current(arn, former, back.version)
    except RotationError:
        moved = False
    if moved:
        then = f"is moved back to version {former}. If the token there does not do, make a new one."
        return RollbackFailed(f"{what} {then}")
    then = "could not be moved back, so consumers may be refused. Make a new token."
    error = RollbackFailed(f"{what} {then}")
    error.consumers_affected = True
    return error


def _settle(task: Task, back: WayBack, look: Look, tokens: list[Token], *, moved: bool) -> Result:
    """Retire what is superseded, and return what came of the task."""
    done = retirement.retire(task, look, tokens, Grace.of(task.settings, look.versions), enables=False)
    if done.failures:
        raise _not_settled(back, done.failures, asdict(done.retired)) from done.failures[0]
    if done.versions.holder(CURRENT) != back.version:
        raise _moved_by_others(look.versions.arn)
    return _result(task, back, done, moved=moved)


def _not_settled(back: WayBack, failures: list[RotationError], retired: Mapping[str, int]) -> RetirementFailed:
    """Return the error for a rollback that has moved AWSCURRENT and not come to its end, to be raised."""
    error = RetirementFailed(
        f"AWSCURRENT is version {back.version}, but the token that it replaces may be without a deadline. "
        + " ".join(dict.fromkeys(str(failure) for failure in failures)),
        verbs=("again",),
    )
    error.consumers_affected = any(failure.consumers_affected for failure in failures)
    error.retired = retired
    return error


def _result(task: Task, back: WayBack, done: Retirement, *, moved: bool) -> Result:
    replaced = done.versions.holder(PREVIOUS)
    until = _until(done, replaced)
    message = f"AWSCURRENT {'is' if moved else 'was'} version {back.version} {'again' if moved else 'already'}"
    if replaced is not None:
        message += f", in place of {replaced}"
    if until is not None:
        is_over = until <= task.docker_hub.http.now() + 1
        message += f", whose token {'is disabled' if is_over else f'stays active until {said(until)}'}"
    left = [f"Token {one.token.uuid} of version {one.version} is left active: {one.why}." for one in done.remains.left]
    doubts = [f"{sentence % version}." for version, sentence in done.asked.unidentified.items()]
    answer = {
        "Task": "Rollback",
        "SecretId": done.versions.arn,
        "VersionId": back.version,
        "Message": " ".join([f"{message}.", *left, *doubts]),
        "Moved": moved,
        "Replaced": replaced,
        "ReplacedUntil": None if until is None else written(until),
    }
    return Result(message=str(answer["Message"]), answer=answer, at=task.docker_hub.http.now())


def _until(done: Retirement, replaced: str | None) -> float | None:
    """Return until when the replaced token works, or has worked; None if that is not known, or left to people."""
    if replaced is None or any(one.version == replaced for one in done.remains.left):
        return None
    tokens = grouped(done.tokens, done.versions, done.asked.stored)[replaced].tokens
    return max((until for token in tokens if (until := token_labels.until(token)) is not None), default=None)


def _moved_by_others(arn: str) -> EventRefused:
    """Return the error for an AWSCURRENT that somebody else has moved, to be raised."""
    return EventRefused(
        "AWSCURRENT was moved to another version meanwhile, and is left there. Look where it is, and send the task "
        f"again if that is not as wanted: `aws secretsmanager describe-secret --secret-id {arn}{region_option(arn)}`."
    )
