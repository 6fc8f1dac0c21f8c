"""Retire: what to do first when a token has leaked. Disables every superseded token of a secret now."""

from dataclasses import asdict

from dockerhub_rotation import changes, retirement
from dockerhub_rotation.counting import counted
from dockerhub_rotation.errors import RetirementFailed
from dockerhub_rotation.groups import grouped
from dockerhub_rotation.plan import NO_GRACE
from dockerhub_rotation.retirement import Retirement
from dockerhub_rotation.secrets_manager import CURRENT, SecretVersions
from dockerhub_rotation.tasks.task import Result, Task


def retire(task: Task, versions: SecretVersions) -> Result:
    """Disable every superseded token of a secret, whatever grace is left to it, and say which still work.

    The token that has leaked may be the one under AWSCURRENT: rotate first. Those that people's own staging labels pin
    are left, and named. Tags are not read: none makes this gentler.

    Args:
        versions: the secret's staging labels.

    Raises:
        RetirementFailed: not all could be disabled; those that could are. Doing it again goes on from there.
        RotationError: of the client or the gateway; nothing was changed.
    """
    task.docker_hub.management.presume_code_used(versions.changed_at)
    tokens = retirement.listed(task, versions)
    look = changes.look(task, versions.arn)
    done = retirement.retire(task, look, tokens, NO_GRACE, enables=False)
    if done.failures:
        raise _not_retired(done) from done.failures[0]
    return _result(task, done)


def _not_retired(done: Retirement) -> RetirementFailed:
    error = RetirementFailed(
        "Not every superseded token could be disabled, so one may still work. Send the task again. "
        + " ".join(dict.fromkeys(str(failure) for failure in done.failures)),
        verbs=("again",),
    )
    error.retired = asdict(done.retired)
    return error


def _result(task: Task, done: Retirement) -> Result:
    groups, now = grouped(done.tokens, done.versions, done.asked.stored), task.docker_hub.http.now()
    works = [
        {
            "Token": token.uuid,
            "Version": version,
            "StagingLabels": sorted(group.labels),
            "PinnedBy": sorted(group.pins) if CURRENT not in group.labels else [],
        }
        for version, group in groups.items()
        for token in group.tokens
        if token.active and not token.expired(now)
    ]
    left = [{"Token": one.token.uuid, "Version": one.version, "Why": one.why} for one in done.remains.left]
    doubts = [f"{sentence % version}." for version, sentence in done.asked.unidentified.items()]
    counts = done.retired
    message = (
        f"{counted(counts.disabled, 'superseded token')} disabled, {counts.deleted + counts.orphans} deleted; "
        f"{len(works)} of the secret's tokens still work{'s' * (len(works) == 1)}."
    )
    answer = {
        "Task": "Retire",
        "SecretId": done.versions.arn,
        "Message": " ".join([message, *doubts]),
        "Disabled": counts.disabled,
        "Deleted": counts.deleted + counts.orphans,
        "StillWork": works,
        "LeftActive": left,
        "NotFound": doubts,
    }
    return Result(message=str(answer["Message"]), answer=answer, at=task.docker_hub.http.now())
