"""A secret's tags: what they say instead of the function's settings, within those.

Each begins with `dockerhub-rotation:`. They take no request: DescribeSecret, which is read anyway, shows them. A tag's
value can't hold a comma, so several scopes stand apart by spaces.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from dockerhub_rotation import duration
from dockerhub_rotation import settings as values
from dockerhub_rotation.errors import TagsInvalid
from dockerhub_rotation.settings import Settings, fall_short

_PREFIX = "dockerhub-rotation:"


@dataclass(frozen=True)
class Applied:
    """What came of a secret's tags.

    Attributes:
        settings: the function's, as the tags change them that are right.
        problems: what is wrong with the others, a sentence for each that begins with its name.
        wrong: their names.
    """

    settings: Settings
    problems: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()

    def instead(self, own: Settings) -> Settings:
        """Return the settings for what goes on although tags are wrong: the function's own.

        But for the grace, which every doubt makes longer: the tag that is wrong may be another.
        """
        return replace(own, grace=max(own.grace, self.settings.grace)) if self.problems else self.settings

    @property
    def error(self) -> TagsInvalid | None:
        """What is wrong with them, all at once, or None."""
        if not self.problems:
            return None
        return TagsInvalid(f"The secret's tags are wrong: {'; '.join(self.problems)}. Mend them.", names=self.wrong)


def apply(tags: Mapping[str, str], settings: Settings) -> Applied:
    """Return the settings for a secret with these tags, and every tag of ours that is wrong or unknown.

    A tag makes scopes fewer and an expiry earlier, and a grace different up to the function's limit. Its repository is
    asked beside the function's own.
    """
    problems, wrong = [], []
    for tag in sorted(tags):
        if not tag.startswith(_PREFIX):
            continue
        try:
            settings = _KNOWN.get(tag.removeprefix(_PREFIX), _unknown)(tags[tag].strip(), settings)
        except ValueError as problem:
            problems.append(f"{tag} {problem}")
            wrong.append(tag)
    return Applied(settings, tuple(problems), tuple(wrong))


def _unknown(_: str, __: Settings) -> Settings:
    raise ValueError("is no tag that this version of the function knows")


def _grace(text: str, settings: Settings) -> Settings:
    grace = duration.parse(text)
    if grace > settings.grace_limit:
        raise ValueError("is longer than DOCKERHUB_GRACE_LIMIT, the function's longest")
    return replace(settings, grace=grace)


def _expiry(text: str, settings: Settings) -> Settings:
    expiry = duration.days(text)
    if settings.expiry is not None and expiry > settings.expiry:
        raise ValueError("is later than DOCKERHUB_TOKEN_EXPIRY, the function's latest")
    return replace(settings, expiry=expiry)


def _scopes(text: str, settings: Settings) -> Settings:
    scopes = values.scopes(text)
    if fall_short(settings.scopes, scopes):
        raise ValueError("allows more than DOCKERHUB_TOKEN_SCOPES, the function's most")
    return replace(settings, scopes=scopes)


def _probe_repository(text: str, settings: Settings) -> Settings:
    asked = dict.fromkeys([*settings.probe_repositories, values.repository(text)])
    return replace(settings, probe_repositories=tuple(asked))


_KNOWN: Mapping[str, Callable[[str, Settings], Settings]] = {
    "expiry": _expiry,
    "grace": _grace,
    "probe-repository": _probe_repository,
    "scopes": _scopes,
}
