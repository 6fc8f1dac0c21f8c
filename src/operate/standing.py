"""How one secret is: a judgement of what AWS, the rotation function's log and the caretaker's tell of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any

from operate.function_log import Line, has_failed, last_step
from operate.secret import Secret, about
from operate.times import stamp
from operate.typed import aws_command, command, says

_DAY = 86_400
# As the caretaker calls it.
_OVERDUE = "RotationOverdue"
# A step that was called is over after this, and the next one called at once.
_STEP_SECONDS = 15 * 60
# Refused logins lock a user name for no longer, for every consumer: docs/assumptions.md
_LOCK_SECONDS = 15 * 60


class State(IntEnum):
    """How it is, worst first."""

    BROKEN = 0
    ATTENTION = 1
    UNKNOWN = 2
    ROTATING = 3
    OFF = 4
    WELL = 5

    @property
    def word(self) -> str:
        """It as it is shown: in capitals, if somebody has to look."""
        return self.name if self <= State.UNKNOWN else self.name.lower()


@dataclass(frozen=True)
class Reason:
    """Why a secret is not simply well.

    Attributes:
        short: in a few words, for a line of a table.
        text: in sentences; the last one says what mends it, if anything has to be.
    """

    state: State
    short: str
    text: str


@dataclass(frozen=True)
class Known:
    """What is known of a secret.

    Attributes:
        failure: the last line of the function's that tells of a failure with this secret.
        lines: of the rotation that is under way or, if that has failed once, of the one that made the current version;
            None if they could not be read.
        care: what the caretaker said last of it, within two hours.
        now: in seconds since 1970.
        made: when the current version was made; None if that is not known, or the caretaker has told more.
    """

    secret: Secret
    failure: Line | None
    lines: Sequence[Line] | None
    care: Line | None
    now: float
    made: datetime | None = None

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the caretaker has told of it beside findings."""
        return self.care.said if self.care else {}

    @property
    def looked_since(self) -> bool:
        """Whether the caretaker has looked since the last rotation or rollback: what it found before may be over.

        A rollback moves no date that AWS shows, but the version that the caretaker has seen as current is another.
        """
        rotated = self.secret.rotated_at
        if self.care is None or self.facts.get("current_version", self.secret.current) != self.secret.current:
            return False
        return rotated is None or self.care.at >= rotated.timestamp()

    @property
    def found(self) -> Sequence[str]:
        """What the caretaker has found, unless that may be over."""
        return self.facts.get("findings", ()) if self.looked_since else ()

    @property
    def age_days(self) -> int | None:
        """The age of the current token; None if nobody knows."""
        if self.looked_since and "token_age_days" in self.facts:
            return int(self.facts["token_age_days"])
        return int(max(0.0, self.now - self.made.timestamp()) // _DAY) if self.made else None


@dataclass(frozen=True)
class Standing:
    """How a secret is.

    Attributes:
        reasons: worst first.
    """

    known: Known
    reasons: Sequence[Reason] = field(default_factory=tuple)

    @property
    def state(self) -> State:
        """The worst of it."""
        return min((reason.state for reason in self.reasons), default=State.WELL)

    @property
    def needs_somebody(self) -> bool:
        """Whether somebody has to see to it, or nobody can tell."""
        return self.state <= State.UNKNOWN

    @property
    def short(self) -> str:
        """Why, in one line."""
        return "; ".join(reason.short for reason in self.reasons)


def judge(known: Known) -> Standing:
    """Return how a secret is."""
    reasons = [*_of_care(known), *_of_rotation(known), *_of_schedule(known)]
    return Standing(known, tuple(sorted(reasons, key=lambda it: it.state)))


def _of_care(known: Known) -> Iterator[Reason]:
    """What the caretaker has found."""
    if known.care is not None and _may_not_work(known, known.care):
        text = (
            f"Found {known.care.time}, that consumers are refused, and AWSCURRENT was moved since, which no rotation "
            f"has done. Whether it works now is not known: `{command('reconcile', **about(known.secret))}` tells."
        )
        yield Reason(State.UNKNOWN, "not looked at since AWSCURRENT was moved", text)
    if known.care is None or not known.found:
        return
    said = known.facts
    if said.get("consumers_affected"):
        state = State.BROKEN
    elif said.get("needs_attention", known.care.level == "WARNING"):
        state = State.ATTENTION
    elif known.care.level == "WARNING":
        state = State.UNKNOWN
    else:
        state = State.WELL
    yield Reason(state, ", ".join(dict.fromkeys(known.found)), f"Found {known.care.time}: {known.care.told}")


def _may_not_work(known: Known, care: Line) -> bool:
    """Whether it was seen not to work, and AWSCURRENT moved since without the proof that a rotation gives."""
    rotated = known.secret.rotated_at
    by_a_rotation = rotated is not None and rotated.timestamp() > care.at
    return bool(known.facts.get("consumers_affected")) and not known.looked_since and not by_a_rotation


def _of_rotation(known: Known) -> Iterator[Reason]:
    """What is under way, hangs, or was not brought to its end."""
    secret, failure = known.secret, known.failure
    if secret.pending:
        yield _of_pending(known)
    elif not secret.current:
        begin = f"no version has a value. `{command('rotate', **about(secret))}` makes the first token."
        yield Reason(State.ATTENTION, "no value", f"There is nothing for consumers to read: {begin}")
    elif failure and has_failed(known.lines or ()) and not (known.care and known.care.at > failure.at):
        text = f"The rotation was not brought to its end, {failure.time}: {failure.told}"
        text += _unsaid(failure, secret, logs="shows all of it")
        yield Reason(State.ATTENTION, f"{_called(failure)} after the promotion", text)


def _of_pending(known: Known) -> Reason:
    secret = known.secret
    version, lines = secret.pending, known.lines
    unblock, logs = (f"`{command(verb, **about(secret))}`" for verb in ("unblock", "logs"))
    if lines is None:
        return Reason(State.UNKNOWN, "pending", f"Version {version} is pending; its log could not be read.")
    if not lines:
        return _of_nothing_logged(known, unblock)
    last, since = last_step(lines) or lines[-1], f"since {stamp(lines[0].at)}"
    waits = last.said.get("to_do") == "wait" and known.now - lines[0].at < _DAY
    if last.failed and not waits:
        text = f"Version {version} is pending {since}. {last.step} failed, {last.time}: {last.told}"
        text += _unsaid(last, secret, unblock="drops it", logs="shows all")
        return Reason(State.ATTENTION, f"stuck in {last.step} {since}: {_called(last)}", text)
    if last.failed:
        text = f"Version {version} is pending {since}. {last.step} failed, {last.time}: {last.told}"
        affected = last.said.get("consumers_affected") and known.now - last.at < _LOCK_SECONDS
        state = State.BROKEN if affected else State.ROTATING
        return Reason(state, f"tries again {since}: {_called(last)}", text)
    if known.now - lines[-1].at > _STEP_SECONDS:
        step = last.step or "its first lines"
        text = f"Version {version} is pending {since}, and nothing was heard of it after {step}, {lines[-1].time}."
        return Reason(State.ATTENTION, f"stuck after {step} {since}", f"{text} {unblock} drops it.")
    return Reason(
        State.ROTATING, f"{last.step or 'begins'} {since}", f"Version {version} is being made {since}: {logs}"
    )


def _unsaid(line: Line, secret: Secret, **ways: str) -> str:
    """Return what these verbs do, as far as the line's message has not named them."""
    left = [f"`{command(verb, **about(secret))}` {does}" for verb, does in ways.items() if not says(line.message, verb)]
    return f" {', '.join(left)}." if left else ""


def _of_nothing_logged(known: Known, unblock: str) -> Reason:
    """Of a version that is pending, and the log has no line about: nothing says since when, but for the last change."""
    secret = known.secret
    changed = secret.described.get("LastChangedDate")
    if changed and known.now - changed.timestamp() < _STEP_SECONDS:
        return Reason(State.ROTATING, "begins", f"Version {secret.pending} is pending; no step has ended yet.")
    since = f"since {stamp(changed.timestamp())} or longer" if changed else "for nobody knows how long"
    allowed = aws_command(f"lambda get-policy --function-name {secret.function}")
    return Reason(
        State.ATTENTION,
        f"pending {since}, no line in the log",
        f"Version {secret.pending} is pending {since}, and {secret.log_group} has no line about it: look whether "
        f"Secrets Manager may invoke the function (`{allowed}`). {unblock} drops it.",
    )


def _of_schedule(known: Known) -> Iterator[Reason]:
    secret, due = known.secret, known.secret.next_rotation
    if not secret.rotates:
        # https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CancelRotateSecret.html
        on = aws_command(f"secretsmanager rotate-secret --secret-id {secret.arn}")
        text = (
            f"Its rotation is off, so that it gets no new token. If nobody meant that, this turns it on again: `{on}`"
        )
        yield Reason(State.OFF, "rotation is off", text)
    elif due and not secret.pending and known.now - due.timestamp() > _DAY and _OVERDUE not in known.found:
        rotate = command("rotate", **about(secret))
        text = f"It should have been rotated by {stamp(due.timestamp())}: `{rotate}`"
        yield Reason(State.ATTENTION, _OVERDUE, text)


def _called(line: Line) -> str:
    return str(line.said.get("error") or line.step)
