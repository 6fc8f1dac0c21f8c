"""`status`: how every secret of the project is, or one, worst first. It asks AWS, with the operator's credentials."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from operate.function_log import Line, failures, of_rotation
from operate.names import Deployment
from operate.secret import Secret, about, again, is_ours, require_ours
from operate.session import Aws, Refused
from operate.show import Problem, Show
from operate.standing import Known, Standing, State, judge
from operate.times import readable, stamp
from operate.typed import command, says
from operate.versions import made
from operate.watch import Watch, watch

# How far back to look for what has failed: a schedule of a month has its last window in there.
_FAILURES_SECONDS = 32 * 86_400


def status(aws: Aws, show: Show, wanted: Deployment, *, every: bool) -> dict[str, object]:
    """Say how the secrets are.

    Args:
        every: whether all secrets of the project are meant; else the one that is wanted, in full.

    Returns:
        each secret and the caretaker; `ok` says whether nothing needs somebody, and all could be looked at.

    Raises:
        Problem: it is not known which secrets there are, or the one that is named is none of the project's.
    """
    now = time.time()
    with show.waiting("AWS: looking"):
        secrets, undescribed = _all(aws, wanted) if every else ([require_ours(aws, wanted)], [])
        seen = watch(aws, wanted, now)
        known, unlogged = _known(aws, secrets, seen, now)
    standings = sorted((judge(it) for it in known), key=lambda it: (it.state, it.known.secret.name))
    unread = [*undescribed, *unlogged, *seen.unread]
    if every:
        _show_all(show, wanted, standings, undescribed)
    else:
        _show_one(show, standings[0], seen)
    for trouble in seen.troubles:
        show.step("ATTENTION", trouble)
    for it in unread:
        show.step("UNKNOWN", f"could not be read: {it}")
    ok = bool(standings) and not (unread or seen.troubles or any(it.needs_somebody for it in standings))
    rows = [_row(standing) for standing in standings]
    return {"ok": ok, "caretaker": seen.row(), "unread": unread, "secrets": rows}


def _all(aws: Aws, wanted: Deployment) -> tuple[list[Secret], list[str]]:
    """Return every secret that names the project's function, and which of them could not be described."""
    try:
        pages = list(aws.pages("secretsmanager", "list_secrets"))
    except Refused as refused:
        raise Problem(
            f"Which secrets there are is not known: {refused} One whose name you know is shown: SECRET=..."
        ) from None
    listed = [Secret(it) for page in pages for it in page["SecretList"]]
    found, unread = [], []
    for listing in listed:
        if not is_ours(aws, wanted, listing.function):
            continue
        try:
            secret = again(aws, listing)
        except Refused as refused:
            if refused.code != "ResourceNotFoundException":  # it was deleted meanwhile
                unread.append(f"{listing.name}: {refused}")
            continue
        # The list may be late.
        if is_ours(aws, wanted, secret.function) and "DeletedDate" not in secret.described:
            found.append(secret)
    return found, unread


def _known(aws: Aws, secrets: Sequence[Secret], seen: Watch, now: float) -> tuple[list[Known], list[str]]:
    """Return what is known of each secret, and what could not be read in the log of the function."""
    unread: list[str] = []
    failed: dict[str, Line] = {}
    groups = sorted({secret.log_group for secret in secrets})
    for group in groups:
        try:
            lines = failures(aws, group, now - _FAILURES_SECONDS)
            failed |= {str(line.said.get("secret")): line for line in lines}
        except Refused as refused:
            unread.append(f"what has failed, in {group}: {refused}")
    known = []
    for secret in secrets:
        failure = failed.get(secret.arn)
        made_current = secret.current if failure and failure.version == secret.current else ""
        told: list[Line] | None = []
        if version := secret.pending or made_current:
            try:
                told = of_rotation(aws, secret.log_group, version)
            except Refused as refused:
                told = None
                unread.append(f"the rotation of {secret.name}: {refused}")
        known.append(_dated(aws, Known(secret, failure, told, seen.cares.get(secret.arn), now), unread))
    return known, unread


def _dated(aws: Aws, known: Known, unread: list[str]) -> Known:
    """Return it with the date of the current version, where the caretaker has not told its token's age."""
    if known.looked_since and "token_age_days" in known.facts:
        return known
    try:
        return replace(known, made=made(aws, known.secret).get(known.secret.current))
    except Refused as refused:
        unread.append(f"the age of {known.secret.name}'s token: {refused}")
        return known


def _show_all(show: Show, wanted: Deployment, standings: Sequence[Standing], undescribed: Sequence[str]) -> None:
    if not standings and not undescribed:
        show.line(
            f"No secret here names the function {wanted.project}. Is another project meant, PROJECT=..., or another "
            f"Region, AWS_REGION=...? If not, `{command('deploy')}` makes a secret, and attaches the function."
        )
    if not standings:
        return
    show.table([("STATE", "SECRET", "TOKEN", "NEXT ROTATION", "WHY"), *map(_cells, standings)])
    if standings[0].needs_somebody:
        first = command("status", **about(standings[0].known.secret))
        show.line(f"`{first}` says all of the first, and what to do.")


def _cells(standing: Standing) -> tuple[str, ...]:
    secret, age = standing.known.secret, standing.known.age_days
    due = f"by {stamp(secret.next_rotation.timestamp())[:10]}" if secret.next_rotation and secret.rotates else "-"
    return standing.state.word, secret.name, "-" if age is None else f"{age} d", due, standing.short


def _show_one(show: Show, standing: Standing, seen: Watch) -> None:
    known = standing.known
    secret, age = known.secret, known.age_days
    show.step(standing.state.word, secret.arn)
    show.detail(
        f"current    version {secret.current or '-'}, token {'of unknown age' if age is None else f'{age} d old'}"
    )
    for what, text in _dates(known):
        show.detail(f"{what:<10} {text}")
    for token in _superseded(known):
        show.detail(f"superseded {token}")
    for reason in standing.reasons:
        show.step(reason.state.word if reason.state != State.WELL else "noted", reason.text)
    told = " ".join(reason.text for reason in standing.reasons)
    if known.failure and known.failure.told not in told:
        show.detail(f"An earlier rotation failed in {known.failure.step}, {known.failure.time}: {known.failure.told}")
    if known.care is None and not seen.unread:
        show.detail("The caretaker has said nothing of it in the last two hours.")
    elif known.care and not known.looked_since:
        look = "" if says(told, "reconcile") else f" `{command('reconcile', **about(secret))}` has it look now."
        show.detail(
            "The caretaker has not looked at it since AWSCURRENT was moved: which superseded tokens still work is not "
            f"known.{look}"
        )


def _dates(known: Known) -> Iterator[tuple[str, str]]:
    secret = known.secret
    if secret.rotated_at:
        yield "rotated", f"last {stamp(secret.rotated_at.timestamp())}"
    if secret.next_rotation and secret.rotates:
        yield "next", f"by {stamp(secret.next_rotation.timestamp())}"
    if known.looked_since and "token_expires" in known.facts:
        yield "expires", f"the token, {known.facts['token_expires']}"
    for label in ("AWSPENDING", "AWSPREVIOUS"):
        for version in [it for it, labels in secret.labels.items() if label in labels and it != secret.current]:
            yield label.removeprefix("AWS").lower(), f"version {version}"


def _superseded(known: Known) -> Iterator[str]:
    """Yield the superseded tokens that still work, as the caretaker has seen them."""
    if not known.looked_since:
        return
    for token in known.facts.get("superseded", ()):
        used = readable(token["last_used"]) if token.get("last_used") else "never, as far as Docker Hub tells"
        ends = readable(token["until"]) if token.get("until") else "nobody knows when"
        yield f"token {token['token']} of version {token['version']}: works until {ends}; last used: {used}"


def _row(standing: Standing) -> dict[str, Any]:
    """Return it for JSON."""
    known, secret = standing.known, standing.known.secret
    reasons = [{"state": it.state.name.lower(), "short": it.short, "text": it.text} for it in standing.reasons]
    care = known.care
    return {
        "secret": secret.arn,
        "name": secret.name,
        "state": standing.state.name.lower(),
        "needs_somebody": standing.needs_somebody,
        "reasons": reasons,
        "staging_labels": secret.labels,
        "current": secret.current or None,
        "pending": secret.pending or None,
        "token_age_days": known.age_days,
        "last_rotation": stamp(secret.rotated_at.timestamp()) if secret.rotated_at else None,
        "next_rotation": stamp(secret.next_rotation.timestamp()) if secret.next_rotation else None,
        "last_failure": known.failure.row() if known.failure else None,
        "superseded": list(known.facts.get("superseded", ())) if known.looked_since else None,
        "found": {"at": care.time, "findings": care.said["findings"], "message": care.message} if care else None,
    }
