"""What the plan leaves active although nobody is known to need it is said, with the reason, and nothing else is."""

import pytest

from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.plan import NO_GRACE
from dockerhub_rotation.remaining import left_active
from dockerhub_rotation.secrets_manager import SecretVersions
from tests.accounts import (
    AT,
    BIRTHDAY,
    NEXT,
    NOW,
    OLD,
    OLDEST,
    OTHER_ARN,
    ROTATED,
    foreign,
    made,
    versions,
)


def said(
    tokens: list[Token], labels: SecretVersions, stored: dict[str, str] | None = None
) -> list[tuple[str, str, str]]:
    """Return what is said of which token: its uuid, the version, and why."""
    return [
        (left.token.uuid, left.version, left.why) for left in left_active(tokens, labels, stored or {}, AT, NO_GRACE)
    ]


DAYS = f"it is {(BIRTHDAY[NEXT] - BIRTHDAY[OLDEST]).days} days old"


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        pytest.param(
            versions(current=NOW, pinned=OLDEST),
            f"its version is pinned by the staging label keep, and {DAYS}",
            id="one",
        ),
        pytest.param(
            versions(current=NOW, previous=OLDEST, pinned=OLDEST, new_to_us=OLDEST),
            f"its version is pinned by the staging label keep, and {DAYS}",
            id="one of people's, beside AWS's own",
        ),
        pytest.param(
            versions(current=NOW, pinned=OLDEST, pinned_too=OLDEST),
            f"its version is pinned by the staging label keep and known-good, and {DAYS}",
            id="two",
        ),
    ],
)
def test_a_pinned_token_is_said_with_its_pins_and_its_age(labels: SecretVersions, why: str) -> None:
    assert said([made(NOW), made(OLDEST, "pinned")], labels) == [("pinned", OLDEST, why)]


def test_a_pinned_token_is_said_where_the_superseded_value_is_a_copy_of_it() -> None:
    labels = versions(current=NOW, previous=OLD, pinned=OLDEST)
    why = f"its version is pinned by the staging label keep, and {DAYS}"

    assert said([made(NOW), made(OLDEST, "pinned")], labels, {OLD: "pinned"}) == [("pinned", OLDEST, why)]


def test_a_pinned_value_that_has_told_its_token_makes_no_other_doubtful() -> None:
    """Neither the one that a rotation has just made."""
    labels = versions(current=NOW, previous=OLD, pinned=OLD)

    (left,) = said([made(NOW), foreign("by hand"), made(NEXT)], labels, {OLD: "by hand"})

    assert left[:2] == ("by hand", OLD)
    assert left[2].startswith("its version is pinned by the staging label keep")


@pytest.mark.parametrize(
    ("token", "age"),
    [
        (made(OLDEST, "pinned", born=False), "of unknown age"),
        (made(NEXT, "pinned"), "0 days old"),
        (made(NEXT, "pinned", later=86400), "0 days old"),
    ],
    ids=["unknown", "young", "yet to come, by another clock"],
)
def test_the_age_of_a_pinned_token_is_said_as_far_as_it_is_known(token: Token, age: str) -> None:
    version = NEXT if token.created_at else OLDEST

    (left,) = said([made(NOW), token], versions(current=NOW, pinned=version))

    assert left == ("pinned", version, f"its version is pinned by the staging label keep, and it is {age}")


def test_an_orphan_whose_age_cannot_be_read_is_said() -> None:
    """It is not deleted, for it may belong to a rotation that has begun; and it would live on for ever."""
    assert said([made(NOW), made(OLDEST, "orphan", born=False)], ROTATED) == [
        ("orphan", OLDEST, "its age can't be read")
    ]


def test_a_superseded_token_of_another_secret_is_said() -> None:
    """Somebody has copied the value of one secret into the other."""
    others = made(OLDEST, "others", arn=OTHER_ARN)

    assert said([made(NOW), others], ROTATED, {OLD: "OTHERS"}) == [
        ("others", OLD, "it was made for another secret, to which it is left")
    ]


def test_a_superseded_token_is_said_where_it_may_be_the_one_that_awscurrent_holds() -> None:
    assert said([made(OLD, "previous")], ROTATED) == [("previous", OLD, "it may be the one that AWSCURRENT holds")]


@pytest.mark.parametrize(
    ("tokens", "labels", "holder"),
    [
        pytest.param([made(OLDEST, "orphan")], versions(current=NOW), "AWSCURRENT", id="current"),
        pytest.param(
            [made(NOW), made(OLDEST, "orphan")], versions(current=NOW, pending=NEXT), "AWSPENDING", id="pending"
        ),
        pytest.param([made(NOW), made(OLDEST, "orphan")], ROTATED, "AWSPREVIOUS", id="previous"),
    ],
)
def test_an_orphan_is_said_that_a_version_may_hold(tokens: list[Token], labels: SecretVersions, holder: str) -> None:
    assert said(tokens, labels) == [("orphan", OLDEST, f"it may be the one that {holder} holds")]


def test_what_is_spared_is_said() -> None:
    tokens = [made(NOW, active=False), made(OLD, "previous")]

    (left,) = left_active(tokens, ROTATED, {}, AT, NO_GRACE, spares=True)

    assert (left.token.uuid, left.why.partition(",")[0]) == ("previous", "the token under AWSCURRENT does not work")


@pytest.mark.parametrize(
    ("tokens", "labels", "stored"),
    [
        pytest.param([made(NOW)], versions(current=NOW, pinned=NOW), {}, id="current and pinned: in use"),
        pytest.param([made(NEXT)], versions(current=NOW, pending=NEXT, pinned=NEXT), {}, id="pending and pinned"),
        pytest.param(
            [made(NOW), made(OLDEST, active=False)], versions(current=NOW, pinned=OLDEST), {}, id="pinned and disabled"
        ),
        pytest.param([made(NOW), made(OLD)], ROTATED, {}, id="previous: is disabled"),
        pytest.param([made(NOW), made(OLD, born=False)], ROTATED, {}, id="previous, of unknown age: is disabled"),
        pytest.param([made(NOW), made(OLD, active=False), made(OLDEST)], ROTATED, {}, id="an orphan: is deleted"),
        pytest.param([made(NOW), made(NEXT)], ROTATED, {}, id="a young one: belongs to a rotation"),
        pytest.param(
            [made(NOW, "stored"), made(NOW, "unstored", born=False)], ROTATED, {NOW: "stored"}, id="a twin: is deleted"
        ),
        pytest.param(
            [made(NOW), made(OLD, "stored"), made(OLD, "unstored", born=False)],
            ROTATED,
            {OLD: "stored"},
            id="a twin of the previous one, of unknown age: is deleted",
        ),
        pytest.param(
            [made(NOW), made(OLDEST, "others", active=False, arn=OTHER_ARN)],
            ROTATED,
            {OLD: "others"},
            id="another secret's, disabled",
        ),
        pytest.param(
            [made(OLDEST, "others", arn=OTHER_ARN)],
            ROTATED,
            {OLD: "others", NOW: "others"},
            id="another secret's, which AWSCURRENT holds, too",
        ),
        pytest.param([made(NOW), foreign()], ROTATED, {}, id="a stranger's"),
        pytest.param([made(NOW), foreign("first")], ROTATED, {OLD: "first"}, id="the hand-made first: disabled"),
    ],
)
def test_nothing_is_said_of_what_is_in_use_or_is_taken_away_or_is_not_ours(
    tokens: list[Token], labels: SecretVersions, stored: dict[str, str]
) -> None:
    assert said(tokens, labels, stored) == []
