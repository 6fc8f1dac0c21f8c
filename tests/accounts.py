"""An account with one secret's tokens in it, as the plan meets it: versions, staging labels, and when all that was."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.plan import Change
from dockerhub_rotation.secrets_manager import CURRENT, PENDING, PREVIOUS, SecretVersions
from dockerhub_rotation.token_labels import label_for

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:docker-hub-AbCdEf"
FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:dockerhub-rotation"
OTHER_ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:docker-hub-GhIjKl"

# Version ids, in the order in which they were made.
OLDEST, OLD, NOW, NEXT = (f"0000000{n}-0000-4000-8000-000000000000" for n in range(1, 5))
BIRTHDAY = {
    version: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=30 * n)
    for n, version in enumerate((OLDEST, OLD, NOW, NEXT))
}


# Half an hour after the youngest of them: that long an invocation may not have ended, and that young a token is spared.
AT = BIRTHDAY[NEXT].timestamp() + 1800

STAGING_LABELS = {
    "current": CURRENT,
    "pending": PENDING,
    "previous": PREVIOUS,
    "pinned": "keep",
    "pinned_too": "known-good",
    "new_to_us": "AWSFUTURE",
}


def versions(**labels: str) -> SecretVersions:
    """Return staging labels: `versions(current=NOW, previous=OLD)`."""
    by_version: dict[str, frozenset[str]] = {}
    for name, version in labels.items():
        by_version[version] = by_version.get(version, frozenset()) | {STAGING_LABELS[name]}
    return SecretVersions(ARN, rotation_enabled=True, labels=by_version, changed_at=0.0, rotation_function=FUNCTION)


ROTATED = versions(current=NOW, previous=OLD)


def made(
    version: str, uuid: str = "", *, active: bool = True, arn: str = ARN, later: float = 0, born: bool = True
) -> Token:
    """Return a token made for a version, so many seconds after the version was."""
    created_at = BIRTHDAY[version] + timedelta(seconds=later) if born else None
    return Token(uuid or f"token of {version[:8]}", label_for(arn, version), active, created_at)


def foreign(uuid: str = "foreign", label: str = "laptop", *, active: bool = True) -> Token:
    """Return a token that somebody has made by hand, long ago."""
    return Token(uuid, label, active, datetime(2020, 1, 1, tzinfo=UTC))


def apply(changes: Iterable[Change], tokens: Iterable[Token]) -> list[Token]:
    """Return the account's tokens after a plan has been carried out."""
    account = {token.uuid: token for token in tokens}
    for change in changes:
        token = account[change.token.uuid]
        if change.becomes == "deleted":
            del account[token.uuid]
        else:
            account[token.uuid] = replace(token, active=change.becomes == "active", label=change.label or token.label)
    return list(account.values())


def outcome(changes: Iterable[Change]) -> dict[str, str]:
    return {change.token.uuid: change.becomes for change in changes}
