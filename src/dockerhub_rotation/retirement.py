"""Which tokens stay, which are disabled, which are deleted.

Every token made here carries a label that names the secret and the version it was made for. From the staging labels
follows what each should be:

===================================  =====================================================
the version in the token's label is  the token becomes
===================================  =====================================================
AWSCURRENT                           active
AWSPENDING, not current              active
AWSPREVIOUS                          disabled: deleting it would take away the way back
any other                            deleted, unless it is younger than the current token
===================================  =====================================================

A token younger than the current one belongs to a rotation that began after the staging labels were read.

Two tokens of one version are the work of a twin or of a crash. The one whose value is stored is real, the others are
deleted; logging in with the stored value tells which it is. The same question finds the token under AWSPREVIOUS that
was not made here: the hand-made first one, or one that somebody has put there.
"""

import hashlib
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from dockerhub_rotation import credential
from dockerhub_rotation.docker_hub import DockerHub, Token
from dockerhub_rotation.errors import LoginRefused, RotationError, SecretUnusable
from dockerhub_rotation.secrets_manager import CURRENT, PENDING, PREVIOUS, SecretsManager, SecretVersions

logger = logging.getLogger(__name__)

# 18 + 1 + 16 + 1 characters and a version id of at most 64: the Hub takes 100. Version ids have at least 32:
# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
_LABEL = re.compile(r"dockerhub-rotation/(?P<secret>[0-9a-f]{16})/(?P<version>[!-~]{32,64})")


_NOT_FOUND = (
    "The token under AWSPREVIOUS (version %s) is not one that the account's list shows; if it still works, disable it "
    "by hand in the account settings"
)
_NOT_TOLD = "Which of the account's tokens version %s holds can't be told; its tokens are left for the next rotation"


@dataclass(frozen=True)
class Change:
    """What is to be done to one token, and the label it gets with it (None: it keeps its own)."""

    token: Token
    becomes: Literal["active", "disabled", "deleted"]
    label: str | None = None


@dataclass(frozen=True)
class Retired:
    """What was done.

    Attributes:
        disabled: tokens disabled because their version became AWSPREVIOUS.
        deleted: disabled tokens deleted because their version is neither current nor previous any more.
        orphans: active tokens deleted because no version holds their value.
        unidentified: stored values whose token could not be found; a superseded one may still be active.
    """

    disabled: int = 0
    deleted: int = 0
    orphans: int = 0
    unidentified: int = 0


def label_for(secret_arn: str, version_id: str) -> str:
    """Return the label of the token that is made for a version of a secret."""
    return f"dockerhub-rotation/{hashlib.sha256(secret_arn.encode()).hexdigest()[:16]}/{version_id}"


def version_of(token: Token, secret_arn: str) -> str | None:
    """Return the version of this secret for which a token was made, or None if it was not made for this secret."""
    parts = _LABEL.fullmatch(token.label)
    if parts and token.label == label_for(secret_arn, parts["version"]):
        return parts["version"]
    return None


def ambiguous(tokens: Iterable[Token], versions: SecretVersions) -> list[str]:
    """Return the versions whose stored value has to be asked which token it is.

    Those with several tokens, as long as one of them works; and AWSPREVIOUS and AWSCURRENT if no token was made for
    them: both may hold a value that somebody has put there, even the same one.
    """
    active_by_version: dict[str, list[bool]] = {}
    for token in tokens:
        version = version_of(token, versions.arn)
        if version is not None and version in versions.labels:
            active_by_version.setdefault(version, []).append(token.active)
    asked = [version for version, active in active_by_version.items() if len(active) > 1 and any(active)]
    holders = (versions.holder(PREVIOUS), versions.holder(CURRENT))
    return asked + [version for version in holders if version is not None and version not in active_by_version]


def plan(tokens: Iterable[Token], versions: SecretVersions, stored: Mapping[str, str]) -> list[Change]:
    """Return what has to change so that every token is what the staging labels say.

    A pure function; the plan for an account to which it has been applied is empty.

    Args:
        tokens: every token of the account.
        versions: the staging labels.
        stored: version id to the uuid of the token whose value it holds, for the versions that were ambiguous and
            whose value told.
    """
    current = versions.holder(CURRENT)
    holders = {uuid: version for version, uuid in stored.items()}
    if current is not None and current in stored:
        holders[stored[current]] = current  # if AWSPREVIOUS holds the same token, it is not superseded
    ours = _ours(tokens, versions, holders)
    made_for = [version for _, version in ours]
    twins = {token.uuid for token, version in ours if stored.get(version, token.uuid) != token.uuid}
    current_born = min(
        (token.created_at for token, v in ours if v == current and token.uuid not in twins and token.created_at),
        default=None,
    )

    def should_become(token: Token, version: str) -> Literal["active", "disabled", "deleted"] | None:
        labels = versions.labels.get(version, frozenset())
        if token.uuid in twins:
            return "deleted"
        if labels & {CURRENT, PENDING}:
            return "active" if version in stored or made_for.count(version) == 1 else None
        if PREVIOUS in labels:
            return "disabled" if current in made_for else None  # else it may be the token that AWSCURRENT holds
        older = token.created_at is not None and current_born is not None and token.created_at < current_born
        return "deleted" if older else None

    changes = []
    for token, version in ours:
        becomes = should_become(token, version)
        label = label_for(versions.arn, version)
        if becomes == "deleted" or (becomes == "disabled" and label != token.label):
            changes.append(Change(token, becomes, None if becomes == "deleted" else label))
        elif becomes is not None and token.active != (becomes == "active"):
            changes.append(Change(token, becomes))
    # What is needed is enabled before anything is taken away.
    return sorted(changes, key=lambda change: ("active", "disabled", "deleted").index(change.becomes))


def _ours(tokens: Iterable[Token], versions: SecretVersions, holders: Mapping[str, str]) -> list[tuple[Token, str]]:
    """Return the tokens that this secret's rotation may touch, each with the version it belongs to.

    A token that a stored value has named belongs to that version, unless it was made for one that is in use, or by
    the rotation of another secret.
    """
    ours = []
    for token in tokens:
        version = version_of(token, versions.arn)
        in_use = versions.labels.get(version or "", frozenset()) & {CURRENT, PENDING}
        if token.uuid in holders and not in_use and (version or not _LABEL.fullmatch(token.label)):
            version = holders[token.uuid]
        if version is not None:
            ours.append((token, version))
    return ours


def retire(
    versions: SecretVersions, tokens: list[Token], secrets_manager: SecretsManager, docker_hub: DockerHub
) -> Retired:
    """Make every token what the staging labels say. Doing it again changes nothing.

    Args:
        versions: the staging labels after the promotion.
        tokens: every token of the account.

    Raises:
        RotationError: of the client or the gateway; what was done until then stays done.
    """
    stored, unidentified = _ask(versions, tokens, secrets_manager, docker_hub)
    for version in unidentified:
        logger.warning(_NOT_FOUND if version == versions.holder(PREVIOUS) else _NOT_TOLD, version)

    changes = plan(tokens, versions, stored)
    failures = []
    for change in changes:
        try:
            _apply(change, docker_hub)
        except RotationError as failure:
            failures.append(failure)  # one token that can't be changed must not keep the others
    if failures:
        raise failures[0]
    return Retired(
        disabled=sum(change.becomes == "disabled" for change in changes),
        deleted=sum(change.becomes == "deleted" and not change.token.active for change in changes),
        orphans=sum(change.becomes == "deleted" and change.token.active for change in changes),
        unidentified=len(unidentified),
    )


def catch_up(
    versions: SecretVersions, tokens: list[Token], secrets_manager: SecretsManager, docker_hub: DockerHub
) -> list[Token]:
    """Disable and label the token under AWSPREVIOUS, if the rotation that superseded it did not get that far.

    To be called before a promotion: it takes AWSPREVIOUS away, and nothing else names a token that has no label of
    ours. One that can't be identified was reported when it was superseded. Where it was no rotation that superseded it
    but somebody who stored another value, it is left alone: it may have been replaced because others use it, too.

    Args:
        versions: the staging labels before the promotion.
        tokens: every token of the account.

    Returns:
        The tokens as they are then.

    Raises:
        RotationError: of the client or the gateway.
    """
    made_for = {version_of(token, versions.arn) for token in tokens}
    if versions.holder(PREVIOUS) in {None, *made_for} or versions.holder(CURRENT) not in made_for:
        return tokens
    versions = secrets_manager.versions(versions.arn)  # somebody may have moved AWSCURRENT back to it meanwhile
    stored, _ = _ask(versions, tokens, secrets_manager, docker_hub)
    disabled = {}
    for change in plan(tokens, versions, stored):
        if change.becomes == "disabled":
            _apply(change, docker_hub)
            disabled[change.token.uuid] = replace(change.token, active=False, label=change.label or change.token.label)
    return [disabled.get(token.uuid, token) for token in tokens]


def _ask(
    versions: SecretVersions, tokens: list[Token], secrets_manager: SecretsManager, docker_hub: DockerHub
) -> tuple[dict[str, str], list[str]]:
    """Ask the ambiguous versions' values which token they hold: version to uuid, and the versions that did not tell."""
    stored: dict[str, str] = {}
    unidentified = []
    for version in ambiguous(tokens, versions):
        token = _stored_token(versions.arn, version, secrets_manager)
        if token is not None and not credential.looks_like_token(token):
            continue  # a placeholder: there is nothing to retire
        uuid = _identify(token, docker_hub) if token else None
        if uuid in {token.uuid for token in tokens}:
            stored[version] = uuid
        else:
            unidentified.append(version)
    return stored, unidentified


def _apply(change: Change, docker_hub: DockerHub) -> None:
    if change.becomes == "deleted":
        docker_hub.delete(change.token.uuid)
    else:
        docker_hub.set_active(change.token.uuid, change.becomes == "active", change.label)


def _stored_token(arn: str, version: str, secrets_manager: SecretsManager) -> str | None:
    """Return the token in a version's value, or None if it has none or one that can't be read."""
    try:
        value = secrets_manager.value(arn, version)
        return None if value is None else credential.parse(value).token
    except SecretUnusable:
        return None


def _identify(token: str, docker_hub: DockerHub) -> str | None:
    """Return the uuid of a token, or None if logging in with it does not tell."""
    try:
        return docker_hub.identify(token).token_uuid
    except LoginRefused:
        return None
