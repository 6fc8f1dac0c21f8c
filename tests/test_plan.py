"""From staging labels, Hub labels, stored values and the time follows what each token should be, and what is said."""

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.groups import grouped
from dockerhub_rotation.plan import Change, plan
from dockerhub_rotation.secrets_manager import SecretVersions
from dockerhub_rotation.token_labels import label_for
from tests.accounts import (
    ARN,
    AT,
    BIRTHDAY,
    NEXT,
    NOW,
    OLD,
    OLDEST,
    OTHER_ARN,
    ROTATED,
    apply,
    foreign,
    made,
    outcome,
    versions,
)

# The table


@dataclass(frozen=True)
class Row:
    labels: SecretVersions
    token: Token
    becomes: str | None
    at: float = AT


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(Row(ROTATED, made(NOW), None), id="current and active: stays"),
        pytest.param(Row(ROTATED, made(NOW, active=False), "active"), id="current but disabled: enabled"),
        pytest.param(
            Row(versions(current=OLD, pending=NOW), made(NOW), None), id="pending and active: stays, it comes next"
        ),
        pytest.param(
            Row(versions(current=OLD, pending=NOW), made(NOW, active=False), "active"),
            id="pending but disabled: enabled",
        ),
        pytest.param(
            Row(versions(current=NOW, pending=NOW, previous=OLD), made(NOW), None), id="current and pending: stays"
        ),
        pytest.param(
            Row(versions(current=NOW, pending=OLD, previous=OLD), made(OLD), None),
            id="previous and pending: stays, it comes next",
        ),
        pytest.param(
            Row(versions(current=NOW, previous=NOW), made(NOW), None),
            id="current and previous: stays, consumers need it",
        ),
        pytest.param(Row(ROTATED, made(OLD), "disabled"), id="previous and active: disabled"),
        pytest.param(Row(ROTATED, made(OLD, active=False), None), id="previous and disabled: stays as the way back"),
        pytest.param(Row(ROTATED, made(OLDEST), "deleted"), id="older than previous and active: deleted"),
        pytest.param(Row(ROTATED, made(OLDEST, active=False), "deleted"), id="older than previous, disabled: deleted"),
        pytest.param(
            Row(versions(current=NOW, previous=OLD, pinned=OLDEST), made(OLDEST), None), id="pinned and active: stays"
        ),
        pytest.param(
            Row(versions(current=NOW, previous=OLD, pinned=OLDEST), made(OLDEST, active=False), None),
            id="pinned but disabled: not enabled, somebody may have done that",
        ),
        pytest.param(
            Row(versions(current=NOW, previous=OLD, pinned=OLD), made(OLD), None),
            id="previous and pinned: stays, it may be in use",
        ),
        pytest.param(
            Row(versions(current=NOW, previous=OLD, pinned=OLD), made(OLD, active=False), None),
            id="previous and pinned, disabled: left",
        ),
        pytest.param(
            Row(versions(current=NOW, previous=OLD, pinned=NOW), made(NOW, active=False), "active"),
            id="current and pinned: enabled as the current one",
        ),
        pytest.param(
            Row(versions(current=OLD, pending=NOW, pinned=NOW), made(NOW, active=False), "active"),
            id="pending and pinned: enabled as the pending one",
        ),
        pytest.param(
            Row(versions(current=NOW, previous=OLD, new_to_us=OLDEST), made(OLDEST), "deleted"),
            id="a staging label of AWS's that is not known yet pins nothing",
        ),
        pytest.param(
            Row(versions(current=NOW, previous=OLD, new_to_us=OLD), made(OLD), "disabled"),
            id="previous, with one more label of AWS's: disabled",
        ),
        pytest.param(Row(ROTATED, made(NEXT), None), id="younger than current: a rotation that has begun since"),
        pytest.param(
            Row(ROTATED, made(NEXT, active=False), None), id="younger than current and disabled: not ours to judge yet"
        ),
        pytest.param(
            Row(ROTATED, made(NEXT), None, at=BIRTHDAY[NEXT].timestamp() + 3600),
            id="younger than current, an hour old: may be a rotation that has begun since",
        ),
        pytest.param(
            Row(ROTATED, made(NEXT), "deleted", at=BIRTHDAY[NEXT].timestamp() + 3600.001),
            id="younger than current, older than an hour: no rotation takes that long, deleted",
        ),
        pytest.param(
            Row(ROTATED, made(NEXT, active=False), "deleted", at=BIRTHDAY[NEXT].timestamp() + 3601),
            id="younger than current, disabled, older than an hour: deleted",
        ),
        pytest.param(
            Row(ROTATED, replace(made(OLDEST), created_at=BIRTHDAY[NOW]), None, at=BIRTHDAY[NOW].timestamp() + 60),
            id="as old as the current one: left",
        ),
        pytest.param(
            Row(ROTATED, made(NOW, "abandoned", later=-1), None, at=BIRTHDAY[NOW].timestamp() + 60),
            id="of the current version, older: left while it is unknown which is stored",
        ),
        pytest.param(
            Row(
                ROTATED,
                replace(made(OLDEST), created_at=BIRTHDAY[NOW] - timedelta(seconds=1)),
                "deleted",
                at=BIRTHDAY[NOW].timestamp() + 60,
            ),
            id="a second older than the current one: deleted, however young",
        ),
        pytest.param(
            Row(ROTATED, made(NEXT), None, at=BIRTHDAY[NOW].timestamp()), id="of a time that is yet to come: left"
        ),
        pytest.param(Row(ROTATED, made(OLDEST, born=False), None), id="of unknown age: left"),
        pytest.param(Row(ROTATED, made(OLD, born=False), "disabled"), id="previous and of unknown age: disabled"),
        pytest.param(Row(ROTATED, foreign(), None), id="foreign: untouched"),
        pytest.param(Row(ROTATED, foreign(active=False), None), id="foreign and disabled: untouched"),
        pytest.param(Row(ROTATED, made(OLDEST, arn=OTHER_ARN), None), id="of another secret: untouched"),
        pytest.param(Row(ROTATED, made(OLD, arn=OTHER_ARN), None), id="of another secret, same version id: untouched"),
    ],
)
def test_a_token_becomes_what_its_version_says(row: Row) -> None:
    tokens = [row.token, made(NOW, "current")] if row.token.label != label_for(ARN, NOW) else [row.token]

    changes = plan(tokens, row.labels, {OLD: None}, row.at)

    assert outcome(changes) == ({row.token.uuid: row.becomes} if row.becomes else {})
    assert [change.label for change in changes] == [
        f"{change.token.label} until 20260401T003000Z" if change.becomes == "disabled" else None for change in changes
    ]


def test_a_whole_account_is_put_in_order_at_once() -> None:
    tokens = [
        made(OLDEST),
        made(OLD),
        made(NOW, active=False),
        made(NEXT),
        foreign(),
        made(OLDEST, "others", arn=OTHER_ARN),
    ]

    changes = plan(tokens, ROTATED, {}, AT)

    assert outcome(changes) == {tokens[0].uuid: "deleted", tokens[1].uuid: "disabled", tokens[2].uuid: "active"}
    assert [change.becomes for change in changes] == ["active", "disabled", "deleted"]


@pytest.mark.parametrize(
    ("others", "told"),
    [([made(NOW, born=False)], {OLD: None}), ([], {NOW: None, OLD: None})],
    ids=["of unknown age", "a placeholder"],
)
def test_without_a_current_token_of_known_age_only_what_is_older_than_an_hour_is_deleted(
    others: list[Token], told: dict[str, str | None]
) -> None:
    assert outcome(plan([*others, made(OLDEST, "old"), made(NEXT)], ROTATED, told, AT)) == {"old": "deleted"}


# Who holds which token is not known


TO_GO = [made(OLD, "previous"), made(OLDEST, "orphan"), replace(made(OLDEST, "ended"), label=label_for(ARN, OLDEST, 1))]


@pytest.mark.parametrize(
    ("labels", "stored"),
    [
        pytest.param(ROTATED, {}, id="AWSCURRENT was not told"),
        pytest.param(versions(previous=OLD), {}, id="nobody holds AWSCURRENT"),
        pytest.param(versions(current=NOW, previous=OLD, pending=NEXT), {NOW: "foreign"}, id="AWSPENDING was not told"),
    ],
)
@pytest.mark.parametrize("active", [True, False])
def test_nothing_is_taken_away_while_the_token_in_use_is_unknown(
    labels: SecretVersions, stored: dict[str, str | None], active: bool
) -> None:
    """A value that somebody has reshaped by hand holds the token of an older version: any of them may be the one."""
    tokens = [foreign(), *(replace(token, active=active) for token in TO_GO)]

    assert plan(tokens, labels, stored, AT) == []


def test_once_the_token_in_use_is_known_the_others_go() -> None:
    labels = versions(current=NOW, previous=OLD, pending=NEXT)

    changes = plan([foreign(), *TO_GO], labels, {NOW: "foreign", NEXT: None}, AT)

    assert outcome(changes) == {"previous": "disabled", "ended": "disabled", "orphan": "deleted"}


def test_nothing_that_awsprevious_may_hold_is_deleted() -> None:
    """It is the way back, and a grace may have been promised to it; at a deadline that is written it is disabled."""
    tokens = [made(NOW), *TO_GO[1:], replace(made(OLDEST, "long ago", active=False), label=label_for(ARN, OLDEST, 2))]

    assert outcome(plan(tokens, ROTATED, {}, AT)) == {"ended": "disabled"}
    assert outcome(plan(tokens, ROTATED, {OLD: None}, AT)) == {
        "ended": "disabled",
        "orphan": "deleted",
        "long ago": "deleted",
    }


def test_what_was_made_for_a_version_that_never_had_a_value_goes_whatever_is_unknown() -> None:
    labels = versions(current=OLD)

    assert outcome(plan([made(OLDEST), made(NOW, "empty")], labels, {}, AT, empty=NOW)) == {"empty": "deleted"}


@pytest.mark.parametrize(
    "current",
    [made(NOW, active=False), replace(made(NOW), expires_at=BIRTHDAY[NOW])],
    ids=["disabled", "expired"],
)
def test_a_plan_that_spares_takes_nothing_away_while_the_current_token_does_not_work(current: Token) -> None:
    """Somebody may be about to go back to one of them."""
    tokens = [current, *TO_GO]

    assert not {change.becomes for change in plan(tokens, ROTATED, {}, AT, spares=True)} - {"active"}
    assert {change.becomes for change in plan(tokens, ROTATED, {}, AT)} >= {"disabled", "deleted"}
    assert plan([made(NOW), *TO_GO], ROTATED, {}, AT, spares=True) == plan([made(NOW), *TO_GO], ROTATED, {}, AT)


@pytest.mark.parametrize("works", [True, False])
def test_what_awscurrent_is_told_to_hold_supersedes_the_others_whosever_token_that_is(works: bool) -> None:
    theirs = made(NOW, "theirs", arn=OTHER_ARN, active=works)
    tokens = [made(OLD, "previous"), theirs]

    changes = plan(tokens, ROTATED, {NOW: "theirs"}, AT, spares=True)

    assert [(change.token.uuid, change.becomes) for change in changes] == [("previous", "disabled")] * works


def test_without_a_current_version_nothing_is_taken_away() -> None:
    tokens = [made(OLDEST, "orphan"), made(OLD, "previous"), made(NEXT)]

    assert plan(tokens, versions(previous=OLD), {}, AT) == []


def test_a_token_that_is_left_keeps_no_other_from_what_it_should_be() -> None:
    tokens = [made(OLDEST, "pinned"), made(OLD, "previous"), made(NOW)]

    assert outcome(plan(tokens, versions(pinned=OLDEST, previous=OLD, current=NOW), {}, AT)) == {"previous": "disabled"}


def test_a_secret_that_was_never_rotated_has_no_plan() -> None:
    assert plan([foreign()], versions(current=OLD), {}, AT) == []
    assert plan([], ROTATED, {}, AT) == []


# Several tokens of one version


TWINS = [made(NOW, "stored"), made(NOW, "unstored", later=1)]


@pytest.mark.parametrize("labels", [ROTATED, versions(current=OLD, pending=NOW)], ids=["current", "pending"])
def test_of_twins_the_stored_one_is_real(labels: SecretVersions) -> None:
    others = [] if labels is ROTATED else [made(OLD)]

    assert outcome(plan([*TWINS, *others], labels, {NOW: "stored"}, AT)) == {"unstored": "deleted"}
    assert outcome(plan([*TWINS, *others], labels, {NOW: "unstored"}, AT)) == {"stored": "deleted"}


def test_of_twins_the_stored_one_is_enabled() -> None:
    tokens = [replace(TWINS[0], active=False), TWINS[1]]

    assert outcome(plan(tokens, ROTATED, {NOW: "stored"}, AT)) == {"stored": "active", "unstored": "deleted"}


@pytest.mark.parametrize("labels", [ROTATED, versions(current=OLD, pending=NOW)], ids=["current", "pending"])
@pytest.mark.parametrize("active", [(True, True), (True, False), (False, False)])
def test_twins_of_a_version_in_use_are_left_alone_while_it_is_unknown_which_is_stored(
    labels: SecretVersions, active: tuple[bool, bool]
) -> None:
    tokens = [replace(twin, active=state) for twin, state in zip(TWINS, active, strict=True)]

    assert plan(tokens, labels, {}, AT) == []


def test_twins_of_the_previous_version_are_both_disabled_while_it_is_unknown_which_is_stored() -> None:
    tokens = [made(NOW), made(OLD, "stored"), made(OLD, "unstored", later=1)]

    assert outcome(plan(tokens, ROTATED, {}, AT)) == {"stored": "disabled", "unstored": "disabled"}


def test_of_twins_of_the_previous_version_the_stored_one_is_the_way_back() -> None:
    tokens = [made(NOW), made(OLD, "stored"), made(OLD, "unstored", later=1)]

    assert outcome(plan(tokens, ROTATED, {OLD: "stored"}, AT)) == {"stored": "disabled", "unstored": "deleted"}


def test_a_late_twin_of_the_current_token_makes_no_other_rotation_look_old() -> None:
    """Between the two a rotation may have begun that the staging labels, read before it, don't know."""
    late = made(NOW, "late", later=(BIRTHDAY[NEXT] - BIRTHDAY[NOW]).total_seconds() + 60)

    assert outcome(plan([made(NOW, "stored"), late, made(NEXT)], ROTATED, {NOW: "stored"}, AT)) == {"late": "deleted"}
    assert plan([made(NOW, "stored"), late, made(NEXT)], ROTATED, {}, AT) == []


# Values that were not made here


def test_a_superseded_token_made_by_hand_is_disabled_and_gets_our_label() -> None:
    by_hand = foreign("by hand")

    changes = plan([made(NOW), by_hand, foreign()], ROTATED, {OLD: "by hand"}, AT)

    assert changes == [Change(by_hand, "disabled", label_for(ARN, OLD, AT))]


def test_a_superseded_token_made_by_hand_is_deleted_one_rotation_later() -> None:
    first = [made(NOW), foreign("by hand"), foreign()]
    then = [*apply(plan(first, ROTATED, {OLD: "by hand"}, BIRTHDAY[NOW].timestamp() + 60), first), made(NEXT)]

    changes = plan(then, versions(current=NEXT, previous=NOW), {}, AT)

    assert outcome(changes) == {made(NOW).uuid: "disabled"} | {"by hand": "deleted"}


def test_a_superseded_token_that_is_disabled_already_gets_our_label() -> None:
    by_hand = foreign("by hand", active=False)

    assert plan([made(NOW), by_hand], ROTATED, {OLD: "by hand"}, AT) == [
        Change(by_hand, "disabled", label_for(ARN, OLD, AT)),
    ]


def test_a_superseded_copy_of_an_older_token_of_ours_is_disabled_and_not_deleted() -> None:
    """Somebody has put the oldest value back by hand, as a version of its own."""
    assert plan([made(NOW), made(OLDEST)], ROTATED, {OLD: made(OLDEST).uuid}, AT) == [
        Change(made(OLDEST), "disabled", label_for(ARN, OLD, AT)),
    ]


@pytest.mark.parametrize(
    ("labels", "in_use"),
    [
        pytest.param(ROTATED, made(NOW), id="the token of the current version"),
        pytest.param(versions(current=NOW, previous=OLD, pending=NEXT), made(NEXT), id="the token of the pending one"),
    ],
)
def test_a_superseded_copy_of_a_token_in_use_does_not_disable_it(labels: SecretVersions, in_use: Token) -> None:
    tokens = [made(NOW), in_use] if in_use != made(NOW) else [in_use]

    assert plan(tokens, labels, {OLD: in_use.uuid}, AT) == []


def test_a_superseded_copy_of_another_secrets_token_does_not_touch_it() -> None:
    others = made(OLDEST, "others", arn=OTHER_ARN)

    assert plan([made(NOW), others], ROTATED, {OLD: "others"}, AT) == []


@pytest.mark.parametrize(
    ("tokens", "stored"),
    [
        pytest.param([made(OLD, "shared")], {NOW: "shared"}, id="the token was made for the previous version"),
        pytest.param([foreign("shared")], {OLD: "shared", NOW: "shared"}, id="the token was made by hand"),
        pytest.param([foreign("shared")], {NOW: "shared", OLD: "shared"}, id="the token was made by hand (asked last)"),
        pytest.param([made(OLDEST, "shared")], {OLD: "shared", NOW: "shared"}, id="the token was made long ago"),
        pytest.param([made(OLD, "shared")], {}, id="the token may be the current one, for nothing tells"),
    ],
)
def test_a_token_that_the_current_value_holds_is_never_taken_away(tokens: list[Token], stored: dict[str, str]) -> None:
    """The current value may be a copy of the previous one: edited by hand, or staged by a test of the configuration."""
    changes = plan(tokens, ROTATED, stored, AT)

    assert [change for change in changes if change.becomes != "active"] == []


# Which values have to be asked


@pytest.mark.parametrize(
    ("tokens", "labels", "asked"),
    [
        pytest.param([made(NOW), made(OLD)], ROTATED, set(), id="one token for each version: nobody"),
        pytest.param([made(NOW), made(OLD, active=False)], ROTATED, set(), id="a disabled previous token: nobody"),
        pytest.param([*TWINS, made(OLD)], ROTATED, {NOW}, id="two tokens of the current version"),
        pytest.param(
            [replace(TWINS[0], active=False), TWINS[1], made(OLD)], ROTATED, {NOW}, id="two of which one is disabled"
        ),
        pytest.param(
            [made(NOW), made(OLD, "a"), made(OLD, "b", active=False)], ROTATED, {OLD}, id="two of the previous version"
        ),
        pytest.param(
            [made(NOW), made(OLD, "a", active=False), made(OLD, "b", active=False)],
            ROTATED,
            set(),
            id="two that are both disabled, so that no login would tell",
        ),
        pytest.param(
            [made(OLD), made(NOW, "a"), made(NOW, "b")],
            versions(current=OLD, pending=NOW),
            {NOW},
            id="two of the pending version",
        ),
        pytest.param(
            [made(NOW), made(OLD), made(OLDEST, "a"), made(OLDEST, "b")],
            ROTATED,
            set(),
            id="two of a version without a staging label, which are both to go",
        ),
        pytest.param([made(NOW), foreign()], ROTATED, {OLD}, id="no token of the previous version"),
        pytest.param(
            [made(NOW), made(OLD, arn=OTHER_ARN)], ROTATED, {OLD}, id="no token but another secret's with its id"
        ),
        pytest.param([made(NOW)], versions(current=NOW), set(), id="no previous version"),
        pytest.param(
            [made(NOW)], versions(current=NOW, previous=OLDEST, pinned=OLD), {OLDEST}, id="nor of a pinned one"
        ),
        pytest.param(
            [made(NOW)],
            versions(current=NOW, previous=OLD, pinned=OLD),
            {OLD},
            id="no token of the previous and pinned",
        ),
        pytest.param(
            [made(NOW), made(OLDEST, "a"), made(OLDEST, "b")],
            versions(current=NOW, pinned=OLDEST),
            set(),
            id="two of a pinned version, which are both left",
        ),
        pytest.param([*TWINS], versions(current=NOW, pinned=NOW), {NOW}, id="two of a current one that is pinned"),
        pytest.param([foreign()], versions(current=NOW, pinned=NOW), {NOW}, id="no token of a current one that is"),
        pytest.param([made(OLD)], versions(current=OLD, pending=NOW), {NOW}, id="no token of the pending version"),
        pytest.param([made(OLD)], ROTATED, {NOW}, id="no token of the current version"),
        pytest.param([foreign()], ROTATED, {NOW, OLD}, id="no token of ours at all"),
    ],
)
def test_a_stored_value_is_asked_only_where_labels_do_not_tell(
    tokens: list[Token], labels: SecretVersions, asked: set[str]
) -> None:
    assert {version for version, group in grouped(tokens, labels).items() if group.has_to_be_asked} == asked


def test_a_token_that_awscurrent_and_awsprevious_hold_is_not_superseded() -> None:
    """Whatever was made for the current version besides; and what is older than it was abandoned."""
    held = replace(foreign("held"), created_at=BIRTHDAY[NOW])
    tokens = [held, made(NOW, "unheld"), made(OLDEST, "abandoned"), made(NEXT)]

    changes = plan(tokens, ROTATED, {NOW: "held", OLD: "held"}, AT)

    assert outcome(changes) == {"unheld": "deleted", "abandoned": "deleted"}


@pytest.mark.parametrize("labels", [ROTATED, versions(current=NOW, previous=OLD, new_to_us=OLDEST)])
def test_a_version_without_a_label_that_is_known_needs_its_token_least(labels: SecretVersions) -> None:
    """The token is the superseded one: it is the way back, and not an orphan."""
    held = {OLDEST: "held", OLD: "held"}

    assert outcome(plan([made(NOW), foreign("held")], labels, held, AT)) == {"held": "disabled"}


def test_a_stored_value_names_its_token_in_either_case() -> None:
    tokens = [made(NOW), foreign("AB-CD"), foreign("EF-GH")]

    assert outcome(plan(tokens, ROTATED, {OLD: "ab-cd"}, AT)) == {"AB-CD": "disabled"}
    assert outcome(plan([made(NOW, "AB"), made(NOW, "CD")], ROTATED, {NOW: "ab"}, AT)) == {"CD": "deleted"}


@pytest.mark.parametrize(("pending", "previous"), [(NEXT, OLD), (OLD, NEXT)], ids=["the younger", "the older"])
def test_a_token_that_awspending_and_awsprevious_hold_is_not_superseded(pending: str, previous: str) -> None:
    """In whatever order they were asked."""
    labels = versions(current=NOW, previous=previous, pending=pending)

    for stored in ({pending: "held", previous: "held"}, {previous: "held", pending: "held"}):
        assert plan([made(NOW), foreign("held")], labels, stored, AT) == []


# Pinned versions


def test_a_pinned_token_is_left_where_the_superseded_value_is_a_copy_of_it() -> None:
    """Somebody has rolled back to it, under a new version id, and has rotated since."""
    labels = versions(current=NOW, previous=OLD, pinned=OLDEST)

    assert plan([made(NOW), made(OLDEST, "pinned")], labels, {OLD: "pinned"}, AT) == []


def test_a_pinned_token_is_the_current_one_where_the_current_value_is_a_copy_of_it() -> None:
    """So it is known, and what it supersedes may be disabled."""
    labels = versions(current=NOW, previous=OLD, pinned=OLDEST)
    tokens = [made(OLDEST, "pinned"), made(OLD, "previous")]

    assert outcome(plan(tokens, labels, {NOW: "pinned"}, AT)) == {"previous": "disabled"}
    assert outcome(plan([*tokens, made(NOW, "twin")], labels, {NOW: "pinned"}, AT)) == {
        "previous": "disabled",
        "twin": "deleted",
    }


def test_twins_of_a_pinned_version_are_both_left() -> None:
    """Which of them is stored is not asked, for nothing follows from it."""
    labels = versions(current=NOW, previous=OLD, pinned=OLDEST)
    twins = [made(OLDEST, "a"), made(OLDEST, "b", later=1)]

    assert plan([made(NOW), made(OLD, active=False), *twins], labels, {}, AT) == []


def test_a_pin_that_was_taken_off_spares_nothing_any_more() -> None:
    tokens = [made(NOW), made(OLDEST, "was pinned")]

    assert outcome(plan(tokens, ROTATED, {OLD: None}, AT)) == {"was pinned": "deleted"}


def test_a_twin_of_a_pending_version_that_awscurrent_holds_is_no_twin() -> None:
    """Somebody has stored it by hand, before the rotation went on with another."""
    labels = versions(current=NOW, pending=NEXT)
    stored, held = made(NEXT, "uuid 0"), made(NEXT, "uuid 1")

    changes = plan([stored, held], labels, {NEXT: "uuid 0", NOW: "uuid 1"}, AT)

    assert [change for change in changes if change.becomes != "active"] == []


def test_a_strangers_token_in_a_version_without_a_label_of_awss_is_left() -> None:
    labels = versions(current=NOW)
    unknown = replace(labels, labels={**labels.labels, OLD: frozenset({"AWSFUTURE"})})

    assert plan([made(NOW), foreign("uuid 1")], unknown, {OLD: "uuid 1"}, AT + 86_400) == []
