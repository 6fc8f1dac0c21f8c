"""Reconcile: look at every secret, take away what is due, and say what somebody has to see to."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from dockerhub_rotation import findings, retirement, tags
from dockerhub_rotation.counting import counted
from dockerhub_rotation.errors import (
    AnswerUnknown,
    EventRefused,
    OutOfTime,
    RotationError,
    SecretNotServed,
    TagsInvalid,
    TemporaryError,
)
from dockerhub_rotation.findings import Finding, Known
from dockerhub_rotation.groups import grouped
from dockerhub_rotation.plan import Grace
from dockerhub_rotation.retirement import Retirement
from dockerhub_rotation.secrets_manager import CURRENT, Listed, SecretVersions
from dockerhub_rotation.tasks.current_token import CurrentToken
from dockerhub_rotation.tasks.heal import heal
from dockerhub_rotation.tasks.task import Care, Result, Task
from dockerhub_rotation.tasks.token_lists import TokenLists
from dockerhub_rotation.token_labels import said, until, written

_HOUR = 3600
# Less is not enough to begin with another secret.
_SECONDS_A_SECRET = 15
# Of a number that no fraction comes near: its multiples, hour by hour, soon begin everywhere.
_GOLDEN = (5**0.5 - 1) / 2


def reconcile(task: Task, versions: SecretVersions | None = None) -> Result:
    """Look after all secrets that the rotation function rotates, or after the one that is named.

    What is due is retired, and orphans are deleted, by the same plan as in a rotation. Nothing is enabled, made, or
    moved: somebody may have disabled a token because it leaked. At most a rotation is started, which makes a token
    where the one in use is dead. What is found is the result; what could not be looked
    at, because Docker Hub is down or time was up, is counted. There is one management login, and one list of tokens for
    each owner whom tags name, whatever the number of secrets; it is read again only where it may be too old to tell.

    Args:
        versions: the staging labels of the one that is named, read just now; None for all.

    Raises:
        ConfigurationError: of settings, parameters or permissions without which nothing can be looked at.
        UnexpectedError: a defect.
    """
    try:
        listed = _of_one(versions) if versions else task.secrets_manager.rotated_by(task.function)
    except TemporaryError as failure:
        return _result(task, [], unknown=1, why=failure)
    arns, lists = list(listed), TokenLists(task)
    try:
        if arns:
            task.docker_hub.management.presume_code_used(max(secret.changed_at for secret in listed.values()))
            lists.read(secret.tags for secret in listed.values())
    except (TemporaryError, AnswerUnknown) as failure:
        return _result(task, [], unknown=len(arns), why=failure)
    cares: list[Care] = []
    for number, arn in enumerate(_from_a_place_that_moves(arns, task.docker_hub.http.now())):
        if task.deadline.seconds_left() < _SECONDS_A_SECRET:
            why = OutOfTime("The invocation's time is used up; the next one begins at another secret.")
            return _result(task, cares, unknown=len(arns) - number, why=why)
        cares += _look_after(task, arn, listed[arn].tags, lists)
    return _result(task, cares)


def _of_one(versions: SecretVersions) -> dict[str, Listed]:
    return {versions.arn: Listed(versions.changed_at, versions.tags)}


def _from_a_place_that_moves(arns: list[str], now: float) -> list[str]:
    """Return all, beginning elsewhere each hour: where time is short for all, none is left out for long."""
    begin = int(len(arns) * (now // _HOUR * _GOLDEN % 1))
    return [*arns[begin:], *arns[:begin]]


def _look_after(task: Task, arn: str, seen: Mapping[str, str], lists: TokenLists) -> list[Care]:
    """Return what came of one secret, or nothing if it is none of this project's any more.

    Where its tags do not tell of which kind its tokens are, none is touched: that is said.

    Args:
        seen: its tags, as the list of secrets shows them.
    """
    try:
        task.settings.require_served(arn)
        listed, look = lists.look(arn, seen)
        task = listed.task
        if look.versions.rotation_function != task.function:
            return []
        applied = tags.apply(look.versions.tags, task.settings)
        settings = applied.instead(task.settings)
        grace = Grace.of(settings, look.versions)
        current = CurrentToken(task)
        done = retirement.retire(task, look, listed.tokens, grace, enables=False, spares=True, ask=current.ask)
        return [_care(task, done, current, grace, applied.error)]
    except EventRefused:  # it was deleted meanwhile
        return []
    except SecretNotServed as stranger:  # which the rotation function refuses, too
        return [Care(arn, checked=True, findings=(_unknown(stranger),))]
    except RotationError as failure:
        return [Care(arn, checked=False, findings=(_unknown(failure),))]


def _care(task: Task, done: Retirement, current: CurrentToken, grace: Grace, wrong_tags: TagsInvalid | None) -> Care:
    now = task.docker_hub.http.now()
    wrong = [] if wrong_tags is None else [Finding(type(wrong_tags).__name__, str(wrong_tags))]
    failures = [*done.failures, *([current.not_asked] if current.not_asked else [])]
    known = Known(
        versions=done.versions,
        tokens=done.tokens,
        current=current.seen,
        left=done.remains.left,
        used=done.remains.used,
        unidentified=done.asked.unidentified,
        now=now,
        grace=grace.seconds,
    )
    found = findings.find(known)
    try:
        found = heal(task, known, found, wrong_tags)
    except RotationError as failure:
        failures.append(failure)
    said_of_all = (*found, *wrong, *map(_unknown, failures))
    return Care(done.versions.arn, not failures, said_of_all, _facts(done, current, now))


def _unknown(failure: RotationError) -> Finding:
    """Return what is said of a secret that could not be looked at, or not be brought to rest.

    Whatever passes by itself needs nobody's attention: it is counted.
    """
    passes = isinstance(failure, TemporaryError | AnswerUnknown)
    return Finding(type(failure).__name__, str(failure), needs_attention=not passes)


def _facts(done: Retirement, current: CurrentToken, now: float) -> dict[str, object]:
    """Return ages, dates and counts of a secret."""
    token, versions = current.seen.token, done.versions
    facts: dict[str, object] = {"current_token": current.seen.standing.name.lower(), **asdict(done.retired)}
    facts["current_version"] = versions.holder(CURRENT)
    if token is not None and token.created_at is not None:
        facts["token_age_days"] = int(max(0.0, now - token.created_at.timestamp()) / 86_400)
    if token is not None and token.expires_at is not None:
        facts["token_expires"] = said(token.expires_at.timestamp())
    facts["superseded"] = list(_superseded(done))
    if done.until is not None:
        facts["in_grace_until"] = said(done.until)
    if versions.next_rotation_at:
        facts["next_rotation"] = said(versions.next_rotation_at)
    return facts


def _superseded(done: Retirement) -> Iterator[dict[str, object]]:
    """Yield what is active of versions that consumers neither have nor are about to have."""
    for version, group in grouped(done.tokens, done.versions, done.asked.stored).items():
        for token in group.tokens:
            if token.active and not group.in_use:
                deadline, used = until(token), token.last_used
                yield {
                    "token": token.uuid,
                    "version": version,
                    "until": written(deadline) if deadline is not None else None,
                    "last_used": written(used.timestamp()) if used is not None else None,
                }


def _result(task: Task, cares: list[Care], *, unknown: int = 0, why: RotationError | None = None) -> Result:
    checked = sum(care.checked for care in cares)
    unknown += len(cares) - checked
    attention = sum(care.needs_attention for care in cares)
    metrics = {
        "SecretsChecked": checked,
        "SecretsUnknown": unknown,
        "SecretsNeedAttention": attention,
        "SupersededTokensStillUsed": sum(int(str(care.facts.get("still_used", 0))) for care in cares),
    }
    message = (
        f"{counted(checked, 'secret')} checked, {unknown} unknown; {attention} need{'s' * (attention == 1)} attention."
    )
    if why is not None:
        message += f" {type(why).__name__}: {why}"
    answer = {
        "Task": "Reconcile",
        "Message": message,
        **metrics,
        "Secrets": [
            {
                "SecretId": care.arn,
                "Checked": care.checked,
                "Findings": [
                    {"Finding": str(one.kind), "NeedsAttention": one.needs_attention, "Message": one.message}
                    for one in care.findings
                ],
                "Facts": dict(care.facts),
            }
            for care in cares
        ],
    }
    return Result(
        message=message,
        answer=answer,
        at=task.docker_hub.http.now(),
        cares=tuple(cares),
        metrics={} if task.secret_arn else metrics,  # one that somebody has asked for is no heartbeat
    )
