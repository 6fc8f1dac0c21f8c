"""A secret's tags change the function's settings, within those; wrong ones are named all at once."""

from dataclasses import replace

import pytest

from dockerhub_rotation import tags
from dockerhub_rotation.errors import TagsInvalid
from dockerhub_rotation.settings import Settings

OWN = Settings(grace=3600, grace_limit=7 * 86_400)


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("45s", 45), ("24h", 86_400), (" 24h ", 86_400), ("7d", 604_800)]
)
def test_a_tag_makes_a_grace_shorter_or_longer_up_to_the_limit(text: str, seconds: int) -> None:
    assert tags.apply({"dockerhub-rotation:grace": text}, OWN) == replace(OWN, grace=seconds)


def test_tags_of_others_mean_nothing() -> None:
    assert tags.apply({"team": "a", "grace": "1h", "dockerhub-rotation": "1h", "Dockerhub-Rotation:x": ""}, OWN) == OWN


def test_every_wrong_tag_is_named_and_no_value_is_shown() -> None:
    with pytest.raises(TagsInvalid) as caught:
        tags.apply({"dockerhub-rotation:grace": "hunter2", "dockerhub-rotation:grase": "hunter3", "a": "b"}, OWN)

    assert str(caught.value) == (
        "The secret's tags are wrong: dockerhub-rotation:grace must be 0 or a number with s, m, h or d, like 45s, 90m, "
        "24h or 7d, and at most 3650d; dockerhub-rotation:grase is no tag that this version of the function knows. "
        "Mend them."
    )


def test_a_grace_beyond_the_limit_names_the_setting_that_limits_it() -> None:
    with pytest.raises(TagsInvalid, match="grace is longer than DOCKERHUB_GRACE_LIMIT, the function's longest[.] Mend"):
        tags.apply({"dockerhub-rotation:grace": "8d"}, OWN)


@pytest.mark.parametrize("text", ["", "8d", "169h", "24", "a day"])
def test_a_wrong_grace_is_refused(text: str) -> None:
    with pytest.raises(TagsInvalid, match="^The secret's tags are wrong: dockerhub-rotation:grace "):
        tags.apply({"dockerhub-rotation:grace": text}, OWN)
