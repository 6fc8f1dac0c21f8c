"""Retiring superseded tokens: asks what only stored values can tell, plans, applies the plan, and says what is left.

What should become of a token is decided in `plan` alone. What may be done about it now, each function here says.
"""

import logging
from collections.abc import Collection, Iterable
from dataclasses import astuple, dataclass, field, replace

from dockerhub_rotation import credential
from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.errors import DockerHubUnavailable, LoginRefused, LoginsUsedUp, RotationError, SecretUnusable
from dockerhub_rotation.invocation import Invocation
from dockerhub_rotation.plan import Change, grouped, left_active, plan
from dockerhub_rotation.secrets_manager import CURRENT, PREVIOUS, SecretVersions, StoredValue
from dockerhub_rotation.token_labels import version_of

logger = logging.getLogger(__name__)

_NOT_FOUND = (
    "The token under AWSPREVIOUS (version %s) is not one that the account's list shows; if it still works, disable it "
    "by hand in the account settings"
)
_NOT_TOLD = "Which of the account's tokens version %s holds can't be told; its tokens are left for the next rotation"
_PLACEHOLDER = (
    "The value under AWSPREVIOUS (version %s) is no token; if it stood for one that still works, disable that by hand "
    "in the account settings"
)
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
    """

    disabled: int = 0
    deleted: int = 0
    orphans: int = 0
    unidentified: int = 0
    left: int = 0

    def plus(self, other: "Retired") -> "Retired":
        """Return the sum of both."""
        return Retired(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    @property
    def complete(self) -> bool:
        """Whether nothing that was superseded may still be active."""
        return not self.unidentified and not self.left


@dataclass(frozen=True)
class CaughtUp:
    """What was made up for before the promotion.

    Attributes:
        tokens: every token of the account, as they are then.
        disabled: the uuids of those that were disabled; they stay for one more rotation.
    """

    tokens: list[Token]
    disabled: frozenset[str] = frozenset()
    retired: Retired = field(default_factory=Retired)


class NotAllRetired(Exception):
    """Some tokens could not be changed.

    Attributes:
        retired: what was done all the same.
        failures: what failed, one for each token.
    """

    def __init__(self, retired: Retired, failures: list[RotationError]) -> None:
        super().__init__()
        self.retired = retired
        self.failures = failures


@dataclass(frozen=True)
class _Asked:
    """What stored values told.

    Attributes:
        stored: version to the uuid of the token that it holds.
        unidentified: versions whose value did not tell, each with the sentence that says so.
        tokens: every token of the account, with those that were told and are not listed yet.
    """

    tokens: list[Token]
    stored: dict[str, str] = field(default_factory=dict)
    unidentified: dict[str, str] = field(default_factory=dict)


def retire(
    invocation: Invocation, versions: SecretVersions, tokens: list[Token], keep: Collection[str] = ()
) -> Retired:
    """Make every token what the staging labels say. Doing it again changes nothing.

    Args:
        versions: the staging labels after the promotion.
        tokens: every token of the account.
        keep: uuids of tokens that are not to be deleted now.

    Raises:
        NotAllRetired: some tokens could not be changed; the others were.
        RotationError: of the client or the gateway, before anything was changed.
    """
    now = invocation.docker_hub.http.now()
    asked = _ask(invocation, versions, tokens)
    for version, sentence in asked.unidentified.items():
        logger.warning(sentence, version)
    left = list(left_active(asked.tokens, versions, asked.stored, now))
    for one in left:
        logger.warning("Token %s of version %s is left active: %s", one.token.uuid, one.version, one.why)
    changes = plan(asked.tokens, versions, asked.stored, now)
    done, failures = _apply(invocation, [c for c in changes if c.becomes != "deleted" or c.token.uuid not in keep])
    retired = replace(_counted(done), unidentified=len(asked.unidentified), left=len(left))
    if failures:
        raise NotAllRetired(retired, failures)
    return retired


def catch_up(invocation: Invocation, versions: SecretVersions, tokens: list[Token]) -> CaughtUp:
    """Disable and label the token under AWSPREVIOUS, if the rotation that superseded it did not get that far.

    To be called before a promotion: it takes AWSPREVIOUS away, and nothing else names a token that has no label of
    ours. Where it was no rotation that superseded it but somebody who stored another value, it is left alone, and said:
    it may have been replaced because others use it, too.

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
    superseding = _stored(invocation, versions.arn, current)
    if versions.rotated_since(superseding):
        return CaughtUp(tokens)  # what superseded it ended well: its token is gone, or was reported then
    if not groups[current].tokens:
        return CaughtUp(tokens, retired=_say_replaced_by_hand(invocation, versions.arn, previous, superseding))
    versions = invocation.secrets_manager.versions(versions.arn)  # somebody may have moved AWSCURRENT back meanwhile
    asked = _ask(invocation, versions, tokens)
    changes = plan(asked.tokens, versions, asked.stored, invocation.docker_hub.http.now())
    done, failures = _apply(invocation, [change for change in changes if change.becomes == "disabled"])
    if failures:
        raise failures[0]
    disabled = {
        change.token.uuid: replace(change.token, active=False, label=change.label or change.token.label)
        for change in done
    }
    return CaughtUp([disabled.get(token.uuid, token) for token in asked.tokens], frozenset(disabled), _counted(done))


def sweep(invocation: Invocation, arn: str, empty: str) -> int:
    """Delete this secret's orphans, and return how many there were.

    An orphan is labelled for a version that carries no staging label in a look at them that comes after the list, or
    has no value to which it could belong; and it is older than the current token, or than an hour: a rotation that has
    begun since, or a twin, has made none of those.

    Args:
        empty: the version that is to get a value, and had none in this invocation.

    Raises:
        RotationError: of the client or the gateway.
    """
    tokens, now = invocation.docker_hub.tokens.listed(), invocation.docker_hub.http.now()
    versions = invocation.secrets_manager.versions(arn)
    versions = replace(versions, labels={v: labels for v, labels in versions.labels.items() if v != empty})
    groups = grouped(tokens, versions)
    # A staged value may be a copy of an older one, made by hand: then the token of that is in use.
    all_known = all(groups[version].tokens for version in versions.labels)
    orphans = [
        change
        for change in plan(tokens, versions, {}, now)
        if change.becomes == "deleted" and (all_known or version_of(change.token, arn) == empty)
    ]
    done, failures = _apply(invocation, orphans)
    for change in done:
        logger.warning("Token %s was an orphan, and is deleted to make room", change.token.uuid)
    if failures and not done:
        raise failures[0]
    return len(done)


def require_readable(tokens: Iterable[Token]) -> None:
    """Refuse to go on if a token that matters is not said to be active or not.

    Taken for disabled, an active one would be left alone.

    Raises:
        DockerHubUnavailable: naming the token.
    """
    for token in tokens:
        if token.active is None:
            raise DockerHubUnavailable(
                f"Docker Hub does not say whether token {token.uuid} is active. Secrets Manager tries again by itself; "
                "if that fails too, delete the token by hand in the account settings."
            )


def _ask(invocation: Invocation, versions: SecretVersions, tokens: list[Token]) -> _Asked:
    """Ask the stored values that alone can tell which token is theirs."""
    groups = grouped(tokens, versions)
    require_readable(token for group in groups.values() for token in group.tokens)
    rotated_before = any(group.tokens for group in groups.values() if not group.in_use)
    asked = _Asked(list(tokens))
    for version, group in groups.items():
        if not group.has_to_be_asked:
            continue
        is_previous = version == versions.holder(PREVIOUS)
        stored = _stored(invocation, versions.arn, version)
        if not group.tokens and rotated_before and versions.rotated_since(stored):
            continue  # a rotation made it and ended well, so its token was listed then, and is gone
        token = _token_in(stored)
        if token is not None and not credential.looks_like_token(token):
            if is_previous and rotated_before:  # else it is the placeholder with which the secret began
                asked.unidentified[version] = _PLACEHOLDER
            continue
        found = _found(invocation, token, asked.tokens)
        if found is None:
            asked.unidentified[version] = _NOT_FOUND if is_previous else _NOT_TOLD
            continue
        require_readable([found])
        asked.stored[version] = found.uuid
        if found not in asked.tokens:
            asked.tokens.append(found)
    return asked


def _stored(invocation: Invocation, arn: str, version: str) -> StoredValue | None:
    """Return what a version stores, or None if it has no value, or one that is no text."""
    try:
        return invocation.secrets_manager.value(arn, version)
    except SecretUnusable:
        return None


def _token_in(stored: StoredValue | None) -> str | None:
    """Return the token in a value, or what stands in its place; None if there is no telling."""
    try:
        return credential.parse(stored.text).token if stored else None
    except SecretUnusable:
        return None


def _found(invocation: Invocation, value: str | None, tokens: list[Token]) -> Token | None:
    """Return the token that has a value, or None if its login does not tell, or names one that is gone."""
    try:
        uuid = invocation.docker_hub.login.whose(invocation.account.username, value) if value else None
    except (LoginRefused, LoginsUsedUp):
        return None
    if uuid is None:
        return None
    listed = next((token for token in tokens if token.is_called(uuid)), None)
    return listed or invocation.docker_hub.tokens.find(uuid)


def _say_replaced_by_hand(invocation: Invocation, arn: str, version: str, by: StoredValue | None) -> Retired:
    token = _token_in(_stored(invocation, arn, version))
    if token is None or not credential.looks_like_token(token) or token == _token_in(by):
        return Retired()
    logger.warning(_REPLACED_BY_HAND, version)
    return Retired(unidentified=1)


def _apply(invocation: Invocation, changes: list[Change]) -> tuple[list[Change], list[RotationError]]:
    """Make changes, and return those that were made and what the others failed with: none must keep the others."""
    done, failures = [], []
    for change in changes:
        try:
            _make(invocation, change)
            done.append(change)
        except RotationError as failure:
            if change.becomes == "disabled" and change.token.active is False:
                logger.warning("Token %s is disabled, but could not be labelled. %s", change.token.uuid, failure)
            else:
                failures.append(failure)
    return done, failures


def _make(invocation: Invocation, change: Change) -> None:
    tokens = invocation.docker_hub.tokens
    match change.becomes:
        case "active":
            tokens.enable(change.token.uuid)
        case "disabled":
            tokens.disable(change.token.uuid, change.label)
        case "deleted":
            tokens.delete(change.token.uuid)


def _counted(done: list[Change]) -> Retired:
    deleted = [change for change in done if change.becomes == "deleted"]
    orphans = sum(bool(change.token.active) for change in deleted)
    disabled = sum(change.becomes == "disabled" for change in done)
    return Retired(disabled=disabled, deleted=len(deleted) - orphans, orphans=orphans)
