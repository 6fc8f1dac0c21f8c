"""Retiring superseded tokens: asks what only stored values can tell, plans, applies the plan, and says what is left.

What should become of a token is decided in `plan` alone. What may be done about it now, each function here says.
"""

import logging
from dataclasses import astuple, dataclass, field, replace

from dockerhub_rotation import asking, changes, credential, remaining
from dockerhub_rotation.asking import Asked
from dockerhub_rotation.changes import Look
from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.errors import RotationError
from dockerhub_rotation.groups import grouped
from dockerhub_rotation.invocation import Invocation
from dockerhub_rotation.plan import Change, Grace, plan
from dockerhub_rotation.secrets_manager import CURRENT, PENDING, PREVIOUS, SecretVersions, StoredValue
from dockerhub_rotation.token_labels import carries_time, label_for, said, version_of

logger = logging.getLogger(__name__)

_REPLACED_BY_HAND = (
    "Version %s was replaced by a value that somebody stored, and not by a rotation. Its token is left alone, for "
    "others may use it, too; if it is of no more use, disable it by hand in the account settings"
)


@dataclass(frozen=True)
class Retired:
    """What was done, in numbers of tokens.

    Attributes:
        disabled: disabled because their version became AWSPREVIOUS.
        deleted: disabled before, and deleted because their version is neither current nor previous any more.
        orphans: active, and deleted because no version holds their value.
        unidentified: stored values whose token could not be found; a superseded one may still be active.
        left: known to be active and left so, each with its reason in the log.
        gone: superseded, and not in the account's list; deleted by hand, or never this function's.
        in_grace: superseded, and active until their deadlines.
        still_used: superseded, and used so late that somebody seems to hold an old copy.
    """

    disabled: int = 0
    deleted: int = 0
    orphans: int = 0
    unidentified: int = 0
    left: int = 0
    gone: int = 0
    in_grace: int = 0
    still_used: int = 0

    def plus(self, other: "Retired") -> "Retired":
        """Return the sum of both."""
        return Retired(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    @property
    def complete(self) -> bool:
        """Whether nothing that was superseded may still be active."""
        return not (self.unidentified or self.left or self.gone)


@dataclass(frozen=True)
class CaughtUp:
    """What was made up for before the promotion, and every token of the account, as they are then."""

    tokens: list[Token]
    retired: Retired = field(default_factory=Retired)


@dataclass(frozen=True)
class Retirement:
    """What came of retiring.

    Attributes:
        retired: what was done.
        failures: why the rest could not be done; empty if every token is what the staging labels say.
        versions: the staging labels by which it was done.
        until: when the last token in grace is disabled, in seconds since 1970; None if there is none.
    """

    retired: Retired
    failures: list[RotationError]
    versions: SecretVersions
    until: float | None = None


def listed(invocation: Invocation, versions: SecretVersions) -> list[Token]:
    """Return every token of the account, and look twice for those that should be there."""
    expected = {
        version
        for version, labels in versions.labels.items()
        if labels & {CURRENT, PENDING, PREVIOUS} and not versions.pins(version)
    }
    return invocation.docker_hub.tokens.listed(
        lambda tokens: expected <= {version_of(token, versions.arn, expected) for token in tokens}
    )


def retire(invocation: Invocation, look: Look, tokens: list[Token], grace: Grace) -> Retirement:
    """Make every token what the staging labels say. Doing it again changes nothing.

    Args:
        look: the staging labels after the promotion.
        tokens: every token of the account.
        grace: how long superseded tokens live.
    """
    retired = Retired()
    try:
        while True:
            now = invocation.docker_hub.http.now()
            asked = asking.ask(invocation, look.versions, tokens)
            planned = plan(asked.tokens, look.versions, asked.stored, now, grace)
            made = changes.make(invocation, look, planned)
            retired = retired.plus(_counted(made.done))
            if made.interrupted is None:
                break
            tokens = listed(invocation, look.versions)
            look = changes.look(invocation, look.versions.arn)
    except RotationError as failure:
        return Retirement(retired, [failure], look.versions)
    for version, sentence in asked.unidentified.items():
        logger.warning(sentence, version)
    for version in asked.gone:
        logger.warning(asking.GONE, version)
    remains = _say_what_remains(asked, look.versions, now, grace)
    retired = replace(retired.plus(remains.retired), unidentified=len(asked.unidentified), gone=len(asked.gone))
    return Retirement(retired, made.failures, look.versions, remains.until)


def catch_up(invocation: Invocation, versions: SecretVersions, tokens: list[Token], grace: Grace) -> CaughtUp:
    """Label the token under AWSPREVIOUS, and disable it unless it has a grace, if its rotation did not get that far.

    To be called before a promotion: it takes AWSPREVIOUS away, and nothing else names a token that has no label of
    ours. Where it was no rotation of ours that superseded it, it is left alone, and said: somebody may have replaced it
    because others use it, too, and a rotation of another function may have left it active.

    Args:
        versions: the staging labels before the promotion.
        tokens: every token of the account.

    Raises:
        RotationError: of the client or the gateway.
    """
    groups = grouped(tokens, versions)
    previous, current = versions.holder(PREVIOUS), versions.holder(CURRENT)
    if previous is None or groups[previous].tokens or groups[previous].pins or current is None:
        return CaughtUp(tokens)
    superseding = asking.stored_value(invocation, versions.arn, current)
    if not groups[current].tokens:
        return CaughtUp(tokens, retired=_say_superseded_by_others(invocation, versions, previous, superseding))
    if versions.rotated_since(superseding):
        return CaughtUp(tokens)  # what superseded it ended well: its token is gone, or was reported then
    look = changes.look(invocation, versions.arn)  # somebody may have moved AWSCURRENT back meanwhile
    asked = asking.ask(invocation, look.versions, tokens)
    superseded = grouped(asked.tokens, look.versions, asked.stored)[previous].tokens
    planned = plan(asked.tokens, look.versions, asked.stored, invocation.docker_hub.http.now(), grace)
    made = changes.make(
        invocation, look, [one for one in planned if one.token in superseded and one.becomes != "deleted"]
    )
    if made.interrupted:
        tokens = listed(invocation, look.versions)
        caught_up = catch_up(invocation, invocation.secrets_manager.versions(versions.arn), tokens, grace)
        return replace(caught_up, retired=caught_up.retired.plus(_counted(made.done)))
    if made.failures:
        raise made.failures[0]
    return CaughtUp(_after(made.done, asked.tokens), _counted(made.done))


def set_deadline(invocation: Invocation, look: Look, tokens: list[Token], grace: Grace) -> list[Token]:
    """Write on the current token's label until when it lives, and return the tokens as they are then.

    To be called before the promotion that supersedes it: whatever happens after that, its grace is neither forgotten
    nor cut short. What an earlier rotation has written there that did not promote counts no more. Without a grace there
    is nothing to write.

    Args:
        look: the staging labels before the promotion.
        tokens: every token of the account.

    Raises:
        RotationError: of the client; a token without its deadline must not be superseded.
    """
    current = look.versions.holder(CURRENT)
    if current is None:
        return tokens
    until = invocation.docker_hub.http.now() + grace.seconds if grace.seconds else None
    label = label_for(look.versions.arn, current, until)
    superseded = [token for token in grouped(tokens, look.versions)[current].tokens if token.active]
    planned = [Change(token, "active", label) for token in superseded if until is not None or carries_time(token)]
    made = changes.make(invocation, look, planned)
    if made.failures:
        raise made.failures[0]
    return _after(made.done, tokens)


def sweep(invocation: Invocation, arn: str, empty: str) -> bool:
    """Delete this secret's orphans, and return whether there were any.

    An orphan is labelled for a version that carries no staging label in a look at them that comes after the list, or
    has no value to which it could belong; and it is older than the current token, or than an hour: a rotation that has
    begun since, or a twin, has made none of those.

    Args:
        empty: the version that is to get a value, and had none in this invocation.

    Raises:
        RotationError: of the client or the gateway.
    """
    swept: list[Change] = []
    while True:
        tokens, now = invocation.docker_hub.tokens.listed(), invocation.docker_hub.http.now()
        look = changes.look(invocation, arn)
        made = changes.make(invocation, look, _orphans(tokens, look.versions, empty, now))
        for change in made.done:
            logger.warning("Token %s was an orphan, and is deleted to make room", change.token.uuid)
        swept += made.done
        if made.interrupted is None:
            break
    if made.failures and not swept:
        raise made.failures[0]
    return bool(swept)


def _orphans(tokens: list[Token], versions: SecretVersions, empty: str, now: float) -> list[Change]:
    """Return the deletion of each orphan. Arguments as for `plan` and `sweep`."""
    versions = replace(versions, labels={v: labels for v, labels in versions.labels.items() if v != empty})
    groups = grouped(tokens, versions)
    # A staged value may be a copy of an older one, made by hand: then the token of that is in use.
    all_known = all(groups[version].tokens for version in versions.labels)
    return [
        change
        for change in plan(tokens, versions, {}, now)
        if change.becomes == "deleted" and (all_known or version_of(change.token, versions.arn, [empty]) == empty)
    ]


def _say_superseded_by_others(
    invocation: Invocation, versions: SecretVersions, version: str, by: StoredValue | None
) -> Retired:
    """Say that the token of a version may be active, and count it, if that holds one that nothing else holds."""
    token = asking.token_in(asking.stored_value(invocation, versions.arn, version))
    if token is None or not credential.looks_like_token(token) or token == asking.token_in(by):
        return Retired()
    if versions.rotated_since(by):
        logger.warning(asking.GONE, version)
        return Retired(gone=1)
    logger.warning(_REPLACED_BY_HAND, version)
    return Retired(unidentified=1)


def _after(done: list[Change], tokens: list[Token]) -> list[Token]:
    """Return the tokens as they are after changes that delete none."""
    changed = {
        change.token.uuid: replace(
            change.token, active=change.becomes == "active", label=change.label or change.token.label
        )
        for change in done
    }
    return [changed.get(token.uuid, token) for token in tokens]


@dataclass(frozen=True)
class _Remains:
    """What stays active: in numbers, and until when the last token in grace does."""

    retired: Retired
    until: float | None


def _say_what_remains(asked: Asked, versions: SecretVersions, now: float, grace: Grace) -> _Remains:
    left = list(remaining.left_active(asked.tokens, versions, asked.stored, now, grace))
    for one in left:
        logger.warning("Token %s of version %s is left active: %s", one.token.uuid, one.version, one.why)
    in_grace = list(remaining.in_grace(asked.tokens, versions, asked.stored, now, grace))
    for superseded in in_grace:
        logger.info(
            "Token %s of version %s is superseded, and active until %s",
            *(superseded.token.uuid, superseded.version, said(superseded.until)),
        )
    used = list(remaining.still_used(asked.tokens, versions, asked.stored))
    for token in used:
        logger.warning(
            "Token %s is superseded, and somebody still logs in with it: look for a consumer that has kept a copy for "
            "longer than its grace",
            token.uuid,
        )
    return _Remains(
        Retired(left=len(left), in_grace=len(in_grace), still_used=len(used)),
        max((one.until for one in in_grace), default=None),
    )


def _counted(done: list[Change]) -> Retired:
    deleted = [change for change in done if change.becomes == "deleted"]
    orphans = sum(bool(change.token.active) for change in deleted)
    disabled = sum(change.becomes == "disabled" for change in done)
    return Retired(disabled=disabled, deleted=len(deleted) - orphans, orphans=orphans)
