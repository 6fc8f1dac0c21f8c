"""What there is to say of a secret between its rotations: a pure function of what is known of it, and of the time."""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum

from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.remaining import Left
from dockerhub_rotation.remedies import Place, command
from dockerhub_rotation.replicas import behind, why_waiting
from dockerhub_rotation.secrets_manager import CURRENT, PENDING, SecretVersions
from dockerhub_rotation.token_labels import said, until, version_of

_DAY = 86_400
_WEEK = 7 * _DAY
# How often the caretaker looks at everything, and how late it may be (EventBridge Scheduler is to the minute): rather
# something is said twice than not at all. https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
_INTERVAL = 3600 + 60
# A change reaches a replica within seconds, people say; until then it is behind, and nothing is wrong.
_REPLICATES_SECONDS = 900


class Kind(StrEnum):
    """What is found. Names of errors stand beside them where a secret could not be looked at."""

    CURRENT_TOKEN_DEAD = "CurrentTokenDead"  # noqa: S105 - a name
    CURRENT_TOKEN_DISABLED = "CurrentTokenDisabled"  # noqa: S105
    ACCOUNT_DOUBTFUL = "AccountDoubtful"
    PENDING_TOO_LONG = "PendingTooLong"
    ROTATION_OVERDUE = "RotationOverdue"
    EXPIRES_BEFORE_ROTATION = "ExpiresBeforeRotation"
    TOKEN_LEFT_ACTIVE = "TokenLeftActive"  # noqa: S105
    TOKEN_UNIDENTIFIED = "TokenUnidentified"  # noqa: S105
    COPY_IN_USE = "CopyInUse"
    REPLICA_BEHIND = "ReplicaBehind"
    HEAL_STARTED = "HealStarted"
    HEAL_BLOCKED = "HealBlocked"
    HEAL_TOO_SOON = "HealTooSoon"
    LIST_DOUBTFUL = "ListDoubtful"


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        kind: of `Kind`, or the name of the error for which the secret could not be looked at.
        message: what is so and, in its last sentence, what mends it.
        needs_attention: whether somebody has to see to it.
        consumers_affected: whether AWSCURRENT does not work, as far as can be told.
        moment: from when on it counts, in seconds since 1970; None if nobody knows.
    """

    kind: str
    message: str
    needs_attention: bool = True
    consumers_affected: bool = False
    moment: float | None = None

    def is_news(self, now: float) -> bool:
        """Tell whether to say it now, and not only to count it.

        Where consumers are refused it is said each time; else once, as soon as it has begun to count. The alarms tell
        the rest.
        """
        began = self.moment is not None and now - _INTERVAL < self.moment <= now
        return self.needs_attention and (self.consumers_affected or began)


class Standing(Enum):
    """What became of the token under AWSCURRENT, as far as can be told."""

    WORKS = "it is listed as active, or has logged in"
    PLACEHOLDER = "the value holds none yet"
    DISABLED = "it is listed as disabled"
    EXPIRED = "it is listed as expired"
    GONE = "a rotation has made it, and it is not listed"
    REFUSED = "it is not listed, and Docker Hub refuses it"
    OTHER_ACCOUNT = "it logs in as another account"
    OTHER_NAME = "its value names the user of another account"
    UNKNOWN = "it could not be told"


@dataclass(frozen=True)
class Current:
    """The token under AWSCURRENT.

    Attributes:
        token: as the list shows it; None if it does not, or it is not known which.
        names_account: whether the value is known to carry the user name of the account; looked at where no token is.
    """

    standing: Standing
    token: Token | None = None
    names_account: bool = False


@dataclass(frozen=True)
class Known:
    """What is known of a secret.

    Attributes:
        versions: the staging labels and dates.
        tokens: every token of the account, read before the labels.
        current: the token under AWSCURRENT.
        left: what a plan leaves active, and why.
        used: superseded tokens with which somebody still logs in.
        unidentified: versions whose tokens could not be told apart, each with the sentence that says so.
        now: seconds since 1970, by Docker Hub's clock.
        grace: how many seconds a superseded token of it lives.
    """

    versions: SecretVersions
    tokens: Iterable[Token]
    current: Current
    left: Iterable[Left]
    used: Iterable[Token]
    unidentified: Mapping[str, str]
    now: float
    grace: float


def find(known: Known) -> tuple[Finding, ...]:
    """Return everything there is to say."""
    return (
        *_of_current(known),
        *_of_pending(known),
        *_of_schedule(known),
        *_of_expiry(known),
        *_of_left(known),
        *(Finding(Kind.TOKEN_UNIDENTIFIED, f"{why % version}.") for version, why in known.unidentified.items()),
        *(_copy_in_use(token, known.now) for token in known.used),
    )


def _of_current(known: Known) -> Iterator[Finding]:
    """A dead token is one that the right account does not list as active; what tells the right account is told."""
    current, rotate = known.current, command("rotate", place(known.versions))
    match current.standing:
        case Standing.DISABLED:
            yield Finding(
                Kind.CURRENT_TOKEN_DISABLED,
                f"The token under AWSCURRENT{_called(current)} is disabled, so consumers are refused. If that was a "
                f"mistake, enable it in the account settings; if it has leaked, make a new one: {rotate}.",
                consumers_affected=True,
            )
        case Standing.EXPIRED | Standing.GONE | Standing.REFUSED:
            yield _dead(known, rotate)
        case Standing.OTHER_ACCOUNT:
            yield _doubtful(
                known,
                "The value under AWSCURRENT logs in as another account than the one whose tokens are managed",
                affected=False,
            )
        case Standing.OTHER_NAME:
            yield Finding(
                Kind.ACCOUNT_DOUBTFUL,
                "The value under AWSCURRENT names another user than the account whose tokens are managed, so its token "
                "is not looked at, and not replaced. Correct the user name in it, or look whether the parameters of "
                "user name and password are another project's.",
            )


_DEAD = {
    Standing.EXPIRED: "has expired",
    Standing.GONE: "is not in the account's list",
    Standing.REFUSED: "is refused by Docker Hub",
}


def _dead(known: Known, rotate: str) -> Finding:
    current = known.current
    what = f"The token under AWSCURRENT{_called(current)} {_DEAD[current.standing]}"
    if current.token is not None:
        sure = "which shows the token itself"
    elif any(_made_for_another_version(token, known.versions) for token in known.tokens):
        sure = "which has other tokens of this secret"
    elif current.names_account:
        sure = "which the secret's value names"
    else:
        return _doubtful(known, what, affected=True)
    proof = "A login has shown it" if current.standing is Standing.REFUSED else "The list shows it, no login was tried"
    return Finding(
        Kind.CURRENT_TOKEN_DEAD,
        f"{what}, so consumers are refused. {proof}; it is the list of the right account, {sure}. Make a new token: "
        f"{rotate}.",
        consumers_affected=True,
    )


def _doubtful(known: Known, what: str, *, affected: bool) -> Finding:
    about = place(known.versions)
    return Finding(
        Kind.ACCOUNT_DOUBTFUL,
        f"{what}, and nothing shows that this account has made the secret's tokens. Look whether the parameters of "
        f"user name and password are another project's: {command('credentials', about)}. If all the secret's tokens "
        f"were deleted by hand, store a placeholder as its value: {command('store', about)}, then "
        f"{command('rotate', about)}.",
        consumers_affected=affected,
    )


def _called(current: Current) -> str:
    return f" ({current.token.uuid})" if current.token else ""


def _made_for_another_version(token: Token, versions: SecretVersions) -> bool:
    made_for = version_of(token, versions.arn, versions.labels)
    return made_for is not None and made_for != versions.holder(CURRENT)


def place(versions: SecretVersions, version: str | None = None) -> Place:
    """Return the place of the commands that mend a secret, or one of its versions."""
    return Place.of(versions.rotation_function or "", versions.arn, version)


def _of_pending(known: Known) -> Iterator[Finding]:
    """An unfinished rotation keeps Secrets Manager from beginning another."""
    versions = known.versions
    pending, since = versions.holder(PENDING), pending_since(known)
    if not since or known.now - since <= _DAY:
        return
    yield Finding(
        Kind.PENDING_TOO_LONG,
        f"Version {pending} is AWSPENDING since {said(since)} or longer: its rotation has not ended, and no other can "
        "begin. Mend what the rotation function's log names, or drop the version and rotate again: "
        f"{command('unblock', place(versions, pending))}.",
        moment=since + _DAY,
    )


def pending_since(known: Known) -> float:
    """Return when the rotation that goes on, or hangs, has begun at the latest, in seconds since 1970; 0 if none does.

    It has made its token by then, or the secret has not changed since.
    """
    versions = known.versions
    pending = versions.holder(PENDING)
    if pending is None or not versions.is_rotating:
        return 0.0
    born = [token.created_at for token in known.tokens if version_of(token, versions.arn, [pending]) == pending]
    return min((moment.timestamp() for moment in born if moment), default=versions.changed_at)


def _of_schedule(known: Known) -> Iterator[Finding]:
    versions = known.versions
    due = versions.next_rotation_at
    if not versions.rotation_enabled or not due or known.now - due <= _DAY:
        return
    yield Finding(
        Kind.ROTATION_OVERDUE,
        f"The secret should have been rotated by {said(due)}. If nothing is wrong in the rotation function's log, look "
        f"for a rotation that could not begin in CloudTrail, and rotate it: {command('rotate', place(versions))}.",
        moment=due + _DAY,
    )


def _of_expiry(known: Known) -> Iterator[Finding]:
    """The token under AWSCURRENT has to outlive its own rotation, and what consumers keep of it after that.

    Where no rotation is planned, or its date is past, it is said in the last week. What has expired is dead, and
    said as that.
    """
    token, versions = known.current.token, known.versions
    if known.current.standing is not Standing.WORKS or token is None or token.expires_at is None:
        return
    ends = token.expires_at.timestamp()
    planned = versions.next_rotation_at if versions.rotation_enabled else 0.0
    ahead = planned > known.now
    if ends >= planned + known.grace if ahead else known.now < ends - _WEEK:
        return
    late = f"should have been rotated by {said(planned)}" if planned else "has no date for its next rotation"
    when = f"is to be rotated by {said(planned)}" if ahead else late
    kept = f", after which consumers may keep it for {_hours(known.grace)}" if ahead and known.grace else ""
    yield Finding(
        Kind.EXPIRES_BEFORE_ROTATION,
        f"The token under AWSCURRENT{_called(known.current)} expires at {said(ends)}, and the secret {when}{kept}. Let "
        "tokens live longer (DOCKERHUB_TOKEN_EXPIRY, or the tag dockerhub-rotation:expiry) or rotate more often, and "
        f"rotate it before that: {command('rotate', place(versions))}.",
        moment=(versions.changed_at or None) if ahead else ends - _WEEK,
    )


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:g} hour{'' if seconds == 3600 else 's'}"


def _of_left(known: Known) -> Iterator[Finding]:
    """What people have pinned they know of. For all that wait for replicas there is one thing to do."""
    waits = why_waiting(known.versions.replicas)
    if waiting := [one.token for one in known.left if one.why == waits]:
        yield _replica_behind(known.versions, waiting)
    for left in known.left:
        if left.token in waiting:
            continue
        yield Finding(
            Kind.TOKEN_LEFT_ACTIVE,
            f"Token {left.token.uuid} of version {left.version} is left active: {left.why}.",
            needs_attention=not known.versions.pins(left.version),
        )


def _replica_behind(versions: SecretVersions, waiting: list[Token]) -> Finding:
    late = behind(versions.replicas)
    where, regions = place(versions), " ".join(shlex.quote(one.region) for one in late)
    remove = f"aws secretsmanager remove-regions-from-replication --secret-id {shlex.quote(versions.arn)}"
    lately = versions.seen_at - versions.changed_at < _REPLICATES_SECONDS
    over = min((moment for moment in map(until, waiting) if moment), default=0.0)
    return Finding(
        Kind.REPLICA_BEHIND,
        f"Superseded tokens ({len(waiting)}) stay active although their grace is over, for consumers in other Regions "
        f"may still get them: {why_waiting(late)} (`aws secretsmanager describe-secret --secret-id "
        f"{shlex.quote(versions.arn)} --region {where.region}` shows more). Mend the replica, or remove it: `{remove} "
        f"--remove-replica-regions {regions} --region {where.region}`. To disable the tokens all the same: "
        f"{command('retire', where)}.",
        needs_attention=not lately,
        moment=max(over, versions.changed_at + _REPLICATES_SECONDS),
    )


def _copy_in_use(token: Token, now: float) -> Finding:
    deadline = until(token)
    over = deadline is not None and deadline <= now
    logs_in = "logged in" if over else "logs in"
    ends = f", and {'was ' * over}active until {said(deadline)}" if deadline else ""
    used = f" (last at {said(token.last_used.timestamp())})" if token.last_used else ""
    return Finding(
        Kind.COPY_IN_USE,
        f"Token {token.uuid} is superseded{ends}, and somebody still {logs_in} with it{used}. Look for a consumer that "
        "has kept a copy for longer than its grace, and let it read the secret again.",
        moment=deadline,
    )
