"""What AWS shows of a secret beside its values: dates, tags, its schedule, and the list of all secrets.

moto keeps tags and hands out what it has: whole seconds, an empty list of tags, no date of the next rotation that a
schedule expression sets, and tags that AWS does not take. Every version was made just now, by its list of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from moto.secretsmanager.models import FakeSecret

_DAY = 86400
_HOUR = 3600
_PAGE_SIZE = 100
_MOST_TAGS = 50

# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Tag.html and API_TagResource.html: letters, spaces
# and digits of any alphabet, and these.
_TAG_TEXT = re.compile(r"[\w\s+\-=.:/@]*")
_RATE = re.compile(r"rate\((?P<number>[0-9]+) (?P<unit>day|hour)s?\)")


class Refused(Exception):
    """A request that AWS refuses, with the name and message of its error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


def describe(secret: FakeSecret, rules: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what DescribeSecret answers. What there is none of is left out.

    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html

    Args:
        rules: the RotationRules with which rotation was configured.
    """
    shown = {name: value for name, value in secret.to_dict().items() if value not in (None, [], {}, "")}
    shown.pop("SecretVersionsToStages", None)  # a secret that never had a value has none
    labels = shown.pop("VersionIdsToStages", {})
    shown["VersionIdsToStages"] = {version: stages for version, stages in labels.items() if stages}
    shown.pop("RotationRules", None)
    if rules:
        days = _days(rules) if secret.last_rotation_date else rules.get("AutomaticallyAfterDays")
        shown["RotationRules"] = {**rules, **({"AutomaticallyAfterDays": days} if days else {})}
    shown.pop("NextRotationDate", None)
    if not secret.rotation_enabled:
        shown.pop("LastRotatedDate", None)
    elif (moment := _next_rotation(secret, rules or {})) is not None:
        shown["NextRotationDate"] = moment
    return shown


def in_list(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry of ListSecrets for a secret that is described so.

    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_SecretListEntry.html
    """
    entry = dict(described)
    entry["SecretVersionsToStages"] = entry.pop("VersionIdsToStages")
    return entry


def page(call: Mapping[str, Any], what: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the page of a list that is asked for: 100 entries at most, and the token of the next page, if any.

    Args:
        what: the entries are called in the answer.
    """
    size, start = call.get("MaxResults", _PAGE_SIZE), call.get("NextToken", "page-0").removeprefix("page-")
    if not 1 <= size <= _PAGE_SIZE:
        raise Refused("InvalidParameterException", "MaxResults must be between 1 and 100.")
    if not start.isdigit():
        raise Refused("InvalidNextTokenException", "The NextToken value is invalid.")
    end = int(start) + size
    more = {"NextToken": f"page-{end}"} if end < len(entries) else {}
    return {what: entries[int(start) : end], **more}


def versions(secret: FakeSecret, *, deprecated: bool) -> list[dict[str, Any]]:
    """Return the entries of ListSecretVersionIds.

    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_SecretVersionsListEntry.html

    Args:
        deprecated: whether those are meant, too, that carry no label.
    """
    return [
        {"VersionId": key, "CreatedDate": version["createdate"], **({"VersionStages": stages} if stages else {})}
        for key, version in secret.versions.items()
        if (stages := version["version_stages"]) or deprecated
    ]


def require_taggable(secret: FakeSecret | None, tags: Iterable[Mapping[str, str]]) -> None:
    """Refuse tags that AWS does not take; then none of them is set.

    Args:
        secret: which has some already, or None if it is about to be made.
    """
    for tag in tags:
        key, value = tag["Key"], tag.get("Value", "")
        if not 1 <= len(key) <= 128 or len(value) > 256:
            raise Refused("InvalidParameterException", "A tag's key has 1 to 128 characters, its value 256 at most.")
        if not _TAG_TEXT.fullmatch(key) or not _TAG_TEXT.fullmatch(value):
            raise Refused("InvalidParameterException", f"The tag {key} has characters that are not allowed.")
        if key.lower().startswith("aws:"):
            raise Refused("InvalidParameterException", "Tag keys that begin with aws: are reserved.")
    kept = {tag["Key"] for tag in (secret.tags if secret else None) or []}
    if len(kept | {tag["Key"] for tag in tags}) > _MOST_TAGS:
        raise Refused("InvalidParameterException", "A secret can have 50 tags at most.")


def _days(rules: Mapping[str, Any]) -> int | None:
    """Return the days between rotations, which AWS works out from a schedule expression after each rotation, too."""
    rate = _RATE.fullmatch(rules.get("ScheduleExpression", ""))
    if rate is None:
        return rules.get("AutomaticallyAfterDays")
    return int(rate["number"]) if rate["unit"] == "day" else max(1, int(rate["number"]) // 24)


def _next_rotation(secret: FakeSecret, rules: Mapping[str, Any]) -> float | None:
    """Return the end of the next rotation window. The windows of a cron expression are not worked out here.

    https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_schedule.html: that of a schedule in
    days begins at midnight UTC, that of one in hours with the hour, and it ends with the day or the hour, unless a
    Duration is set.
    """
    since = secret.last_rotation_date or secret.last_changed_date
    rate = _RATE.fullmatch(rules.get("ScheduleExpression", ""))
    if rate is not None:
        unit, number = (_DAY if rate["unit"] == "day" else _HOUR), int(rate["number"])
    else:
        unit, number = _DAY, rules.get("AutomaticallyAfterDays", 0)
    if not number or since is None:
        return None
    begins = since // unit * unit + number * unit
    hours = rules.get("Duration", "").removesuffix("h")
    return float(begins + (int(hours) * _HOUR if hours else unit - 1))
