"""Retiring superseded tokens: asks what only stored values can tell, plans, applies the plan, and says what is left.

What should become of a token is decided in `plan` alone. What may be done about it now, each function here says.
"""

import logging
from collections.abc import Callable
from dataclasses import astuple, dataclass, field, replace
from functools import partial

from dockerhub_rotation import asking, changes, credential, remaining
from dockerhub_rotation.asking import Asked
from dockerhub_rotation.changes import Look
from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.errors import RotationError
from dockerhub_rotation.groups import grouped
from dockerhub_rotation.invocation import Invocation
from dockerhub_rotation.plan import Change, Grace, plan
from dockerhub_rotation.remaining import InGrace, Left
from dockerhub_rotation.secrets_manager import CURRENT, PENDING, PREVIOUS, SecretVersions, StoredValue
from dockerhub_rotation.token_labels import carries_time, label_for, said, version_of

logger = logging.getLogger(__name__)

_REPLACED_BY_HAND = (
    "Version %s was replaced by hand, and not by a rotation. Its token is left alone, for others may use it, too; if "
    "it is of no more use, disable it by hand in the account settings"
)
_ENDLESS = (
    "it does not take the label that says until when, so no deadline ends its grace; disable it by hand once no "
    "consumer needs it any more"
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
class Remains:
    """What a plan leaves active although the secret has no use for it any more.

    Attributes:
        left: known to be active and left so, and why.
        in_grace: superseded, and active until their deadlines.
        used: superseded, and used so late that somebody seems to hold an old copy.
    """

    left: list[Left] = field(default_factory=list)
    in_grace: list[InGrace] = field(default_factory=list)
    used: list[Token] = field(default_factory=list)


@dataclass(frozen=True)
class Retirement:
    """What came of retiring.

    Attributes:
        retired: what was done.
        failures: why the rest could not be done; empty if every token is what the staging labels say.
        versions: the staging labels by which it was done.
        asked: what stored values told, with every token of the account as it was before.
        done: the changes that were made.
        remains: what stays active.
    """

    retired: Retired
    failures: list[RotationError]
    versions: SecretVersions
    asked: Asked
    done: list[Change] = field(default_factory=list)
    remains: Remains = field(default_factory=Remains)

    @property
    def until(self) -> float | None:
        """When the last token in grace is disabled, in seconds since 1970; None if there is none."""
        return max((one.until for one in self.remains.in_grace), default=None)

    @property
    def tokens(self) -> list[Token]:
        """Every token of the account, as they are now."""
        return _after(self.done, self.asked.tokens)


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


def retire(
    invocation: Invocation,
    look: Look,
    tokens: list[Token],
    grace: Grace,
    *,
    enables: bool = True,
    spares: bool = False,
    ask: Callable[[SecretVersions, list[Token]], Asked] | None = None,
) -> Retirement:
    """Make every token what the staging labels say. Doing it again changes nothing.

    Args:
        look: the staging labels after the promotion.
        tokens: every token of the account.
        grace: how long superseded tokens live.
        enables: whether a token that is needed and was disabled may be enabled; else it stays as it is.
        spares: as for `plan`.
        ask: asks stored values in another way than `asking.ask`.
    """
    ask = ask or partial(asking.ask, invocation)
    retired = Retired()
    done: list[Change] = []
    try:
        while True:
            asked = ask(look.versions, tokens)
            now = invocation.docker_hub.http.now()
            planned = plan(asked.tokens, look.versions, asked.stored, now, grace, spares=spares)
            wanted = [change for change in planned if enables or not change.enables]
            made = changes.make(invocation, _since(look, asked), wanted)
            done, retired = made.done, retired.plus(_counted(made.done))
            if made.interrupted is None:
                break
            tokens = listed(invocation, look.versions)
            look = changes.look(invocation, look.versions.arn)
    except RotationError as failure:
        return Retirement(retired, [failure], look.versions, Asked(tokens))
    in_grace = list(remaining.in_grace(asked.tokens, look.versions, asked.stored, now, grace))
    remains = Remains(
        left=[
            *remaining.left_active(asked.tokens, look.versions, asked.stored, now, grace, spares=spares),
            *(Left(one.token, one.version, _ENDLESS) for one in in_grace if one.token in made.unlabelled),
        ],
        in_grace=[one for one in in_grace if one.token not in made.unlabelled],
        used=list(remaining.still_used(asked.tokens, look.versions, asked.stored, now, grace)),
    )
    retired = replace(
        retired,
        unidentified=len(asked.unidentified),
        gone=len(asked.gone),
        left=len(remains.left),
        in_grace=len(remains.in_grace),
        still_used=len(remains.used),
    )
    return Retirement(retired, made.failures, look.versions, asked, done, remains)


def say(done: Retirement) -> None:
    """Write into the log what stays active, and what could not be told."""
    for version, sentence in done.asked.unidentified.items():
        logger.warning(sentence, version)
    for version in done.asked.gone:
        logger.warning(asking.GONE, version)
    for one in done.remains.left:
        logger.warning("Token %s of version %s is left active: %s", one.token.uuid, one.version, one.why)
    for superseded in done.remains.in_grace:
        logger.info(
            "Token %s of version %s is superseded, and active until %s",
            *(superseded.token.uuid, superseded.version, said(superseded.until)),
        )
    for token in done.remains.used:
        logger.warning(
            "Token %s is superseded, and somebody still logs in with it: look for a consumer that has kept a copy for "
            "longer than its grace",
            token.uuid,
        )


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
        # What superseded it ended well: its token is gone, or was reported then. Unless it was stored since.
        return CaughtUp(tokens, retired=_say_stored_since(invocation, versions, previous, superseding))
    look = changes.look(invocation, versions.arn)  # somebody may have moved AWSCURRENT back meanwhile
    asked = asking.ask(invocation, look.versions, tokens)
    superseded = grouped(asked.tokens, look.versions, asked.stored)[previous].tokens
    planned = plan(asked.tokens, look.versions, asked.stored, invocation.docker_hub.http.now(), grace)
    wanted = [one for one in planned if one.token in superseded and one.becomes != "deleted"]
    made = changes.make(invocation, _since(look, asked), wanted)
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

    One that has expired gets none: consumers have nothing to lose, and no label could be changed.

    Args:
        look: the staging labels before the promotion.
        tokens: every token of the account.

    Raises:
        RotationError: of the client; a token without its deadline must not be superseded. Where Docker Hub keeps the
            old label and says so, no try helps: the promotion goes on, and `retire` says that the grace is endless.
    """
    current = look.versions.holder(CURRENT)
    if current is None:
        return tokens
    now = invocation.docker_hub.http.now()
    until = now + grace.seconds if grace.seconds else None
    label = label_for(look.versions.arn, current, until)
    made = grouped(tokens, look.versions)[current].tokens
    superseded = [token for token in made if token.active and not token.expired(now)]
    planned = [Change(token, "active", label) for token in superseded if until is not None or carries_time(token)]
    written = changes.make(invocation, look, planned)
    if written.failures:
        raise written.failures[0]
    return _after(written.done, tokens)


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


def _since(look: Look, asked: Asked) -> Look:
    """Return a look at the staging labels as one that is to be repeated, if stored values were read since."""
    return replace(look, at=None) if asked.values_read else look


def _orphans(tokens: list[Token], versions: SecretVersions, empty: str, now: float) -> list[Change]:
    """Return the deletion of each orphan. Arguments as for `plan` and `sweep`."""
    versions = replace(versions, labels={v: labels for v, labels in versions.labels.items() if v != empty})
    groups = grouped(tokens, versions)
    # A staged value may be a copy of an older one, made by hand: then the token of that is in use.
    all_known = all(groups[version].tokens for version in versions.labels)
    return [
        change
        for change in plan(tokens, versions, {}, now, empty=empty)
        if change.becomes == "deleted" and (all_known or version_of(change.token, versions.arn, [empty]) == empty)
    ]


def _say_superseded_by_others(
    invocation: Invocation, versions: SecretVersions, version: str, by: StoredValue | None
) -> Retired:
    """Say that the token of a version may be active, and count it, if that holds one that nothing else holds."""
    if not _holds_another_token(invocation, asking.stored_value(invocation, versions.arn, version), by):
        return Retired()
    if versions.rotated_since(by):
        logger.warning(asking.GONE, version)
        return Retired(gone=1)
    logger.warning(_REPLACED_BY_HAND, version)
    return Retired(unidentified=1)


def _say_stored_since(
    invocation: Invocation, versions: SecretVersions, version: str, by: StoredValue | None
) -> Retired:
    """Say that the token of a version may be active, and count it, if somebody stored that after the last rotation.

    AWSCURRENT was then moved back to what the rotation had made.
    """
    stored = asking.stored_value(invocation, versions.arn, version)
    if versions.rotated_since(stored) or not _holds_another_token(invocation, stored, by):
        return Retired()
    logger.warning(_REPLACED_BY_HAND, version)
    return Retired(unidentified=1)


def _holds_another_token(invocation: Invocation, stored: StoredValue | None, by: StoredValue | None) -> bool:
    token = asking.token_in(invocation, stored)
    return token is not None and credential.looks_like_token(token) and token != asking.token_in(invocation, by)


def _after(done: list[Change], tokens: list[Token]) -> list[Token]:
    """Return the tokens as they are after changes."""
    changed = {
        change.token.uuid: replace(
            change.token, active=change.becomes == "active", label=change.label or change.token.label
        )
        for change in done
    }
    gone = {change.token.uuid for change in done if change.becomes == "deleted"}
    return [changed.get(token.uuid, token) for token in tokens if token.uuid not in gone]


def _counted(done: list[Change]) -> Retired:
    deleted = [change for change in done if change.becomes == "deleted"]
    orphans = sum(bool(change.token.active) for change in deleted)
    disabled = sum(change.becomes == "disabled" for change in done)
    return Retired(disabled=disabled, deleted=len(deleted) - orphans, orphans=orphans)
