"""A secret's tags: what they say instead of the function's settings, within those.

Each begins with `dockerhub-rotation:`. They take no request: DescribeSecret, which is read anyway, shows them. A tag's
value can't hold a comma, so several scopes stand apart by spaces.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from dockerhub_rotation import duration
from dockerhub_rotation import settings as values
from dockerhub_rotation.errors import TagsInvalid
from dockerhub_rotation.settings import SCOPES, Settings, fall_short

_PREFIX = "dockerhub-rotation:"
_KIND = f"{_PREFIX}organization"


@dataclass(frozen=True)
class Applied:
    """What came of a secret's tags.

    Attributes:
        settings: the function's, as the tags change them that are right.
        problems: what is wrong with the others, a sentence for each that begins with its name.
        wrong: their names.

    Whoever goes on although tags are wrong has to ask first whether the kind of token is known: no setting of the
    function's own stands for that.
    """

    settings: Settings
    problems: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()

    @property
    def kind_is_known(self) -> bool:
        """Whether it is known of which kind the secret's tokens are."""
        return _KIND not in self.wrong

    def instead(self, own: Settings) -> Settings:
        """Return the settings for what goes on although tags are wrong: the function's own.

        But for the grace, which every doubt makes longer: the tag that is wrong may be another.
        """
        if not self.problems:
            return self.settings
        of_kind = own if self.settings.organization is None else _of_organization(self.settings.organization, own)
        return replace(of_kind, grace=max(own.grace, self.settings.grace))

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
    for tag in sorted(tags, key=lambda tag: (tag != _KIND, tag)):  # what others may say depends on the kind
        if not tag.startswith(_PREFIX):
            continue
        try:
            settings = _KNOWN.get(tag.removeprefix(_PREFIX), _unknown)(tags[tag].strip(), settings)
        except ValueError as problem:
            problems.append(f"{tag} {problem}")
            wrong.append(tag)
    return Applied(settings, tuple(problems), tuple(wrong))


def of_kind(tags: Mapping[str, str], settings: Settings) -> Settings:
    """Return the function's own settings for the kind of token that a secret gets, whatever its other tags say.

    Raises:
        TagsInvalid: that can't be told.
    """
    applied = apply({tag: text for tag, text in tags.items() if tag == _KIND}, settings)
    if applied.error is not None:
        raise TagsInvalid(
            f"{applied.error} Until then it is not known of which kind the secret's tokens are, and none is touched.",
            names=applied.wrong,
        )
    return applied.settings


def _organization(text: str, settings: Settings) -> Settings:
    """Whoever may tag a secret must not choose who makes its tokens."""
    if text not in settings.organizations:
        raise ValueError("is none of DOCKERHUB_ORGANIZATIONS, whose tokens this function makes")
    return _of_organization(text, settings)


def _of_organization(name: str, settings: Settings) -> Settings:
    """Return the settings for an organization's tokens, which know no such scopes: any of them lets pull, at least."""
    return replace(settings, organization=name, scopes=SCOPES[:1], compare_scopes=False)


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
    if settings.organization is not None:
        raise ValueError("is for personal tokens; what an organization's may do is copied from the one it supersedes")
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
    "organization": _organization,
    "probe-repository": _probe_repository,
    "scopes": _scopes,
}
