"""A secret's tags: what they say instead of the function's settings, within those.

Each begins with `dockerhub-rotation:`. They take no request: DescribeSecret, which is read anyway, shows them.
"""

from collections.abc import Mapping
from dataclasses import replace

from dockerhub_rotation import duration
from dockerhub_rotation.errors import TagsInvalid
from dockerhub_rotation.settings import Settings

_PREFIX = "dockerhub-rotation:"


def apply(tags: Mapping[str, str], settings: Settings) -> Settings:
    """Return the settings that hold for a secret with these tags. A grace may be different, up to the function's limit.

    Raises:
        TagsInvalid: naming every tag of ours that is wrong or unknown, not only the first.
    """
    problems = []
    for tag in sorted(tags):
        if not tag.startswith(_PREFIX):
            continue
        try:
            settings = _apply(tag.removeprefix(_PREFIX), tags[tag], settings)
        except ValueError as problem:
            problems.append(f"{tag} {problem}")
    if problems:
        raise TagsInvalid(f"The secret's tags are wrong: {'; '.join(problems)}. Mend them.")
    return settings


def _apply(name: str, value: str, settings: Settings) -> Settings:
    if name != "grace":
        raise ValueError("is no tag that this version of the function knows")
    grace = duration.parse(value.strip())
    if grace > settings.grace_limit:
        raise ValueError("is longer than DOCKERHUB_GRACE_LIMIT, the function's longest")
    return replace(settings, grace=grace)
