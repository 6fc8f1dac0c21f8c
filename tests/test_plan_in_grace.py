"""A superseded token lives until the time in its label, which somebody always sets and nobody sets for ever."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.plan import HELD_SECONDS, NO_GRACE, Change, Grace, plan
from dockerhub_rotation.remaining import in_grace, left_active, still_used
from dockerhub_rotation.replicas import Replica
from dockerhub_rotation.secrets_manager import SecretVersions
from dockerhub_rotation.settings import Disposal, Settings
from dockerhub_rotation.token_labels import label_for, until
from tests.accounts import ARN, AT, BIRTHDAY, NEXT, NOW, OLD, OLDEST, ROTATED, apply, foreign, made, outcome, versions

HOUR, DAY = 3600.0, 86_400.0
GRACE = Grace(seconds=DAY, limit=30 * DAY)
LONG = "a-version-id-of-64-characters-" + "x" * 34
BORN = BIRTHDAY[NOW].timestamp()


def dated(token: Token, moment: float) -> Token:
    """Return a token whose label carries a time."""
    version = token.label.rpartition("/")[2]
    return replace(token, label=label_for(ARN, version, moment))


def garbled(token: Token) -> Token:
    return replace(token, label=token.label + " until friday")


@pytest.mark.parametrize(
    ("token", "labels", "grace", "change"),
    [
        pytest.param(
            dated(made(NOW), AT + HOUR), ROTATED, GRACE, ("active", None), id="current: its deadline is taken off"
        ),
        pytest.param(dated(made(NOW), AT - HOUR), ROTATED, NO_GRACE, ("active", None), id="current: so is one passed"),
        pytest.param(garbled(made(NOW)), ROTATED, GRACE, ("active", None), id="current: so is a garbled one"),
        pytest.param(
            dated(made(NEXT), AT - HOUR),
            versions(current=NOW, pending=NEXT),
            GRACE,
            ("active", None),
            id="pending: too",
        ),
        pytest.param(
            dated(made(OLDEST), AT - HOUR), versions(current=NOW, pinned=OLDEST), GRACE, None, id="pinned: stays"
        ),
        pytest.param(dated(made(OLD), AT + HOUR), ROTATED, GRACE, None, id="previous, before its deadline: stays"),
        pytest.param(dated(made(OLD), AT), ROTATED, GRACE, ("disabled", AT), id="previous, at its deadline: disabled"),
        pytest.param(
            dated(made(OLD), AT - HOUR), ROTATED, GRACE, ("disabled", AT), id="previous, after its deadline: disabled"
        ),
        pytest.param(made(OLD), ROTATED, GRACE, ("active", AT + DAY), id="previous, without one: gets one"),
        pytest.param(
            garbled(made(OLD)), ROTATED, GRACE, ("active", AT + DAY), id="previous, a garbled one: gets another"
        ),
        pytest.param(made(OLD), ROTATED, NO_GRACE, ("disabled", AT), id="previous, without a grace: disabled"),
        pytest.param(garbled(made(OLD)), ROTATED, NO_GRACE, ("disabled", AT), id="previous, garbled, without a grace"),
        pytest.param(
            dated(made(OLD), AT + HOUR), ROTATED, NO_GRACE, ("disabled", AT), id="previous, of a limit of 0: disabled"
        ),
        pytest.param(
            dated(made(OLD), AT + HOUR), ROTATED, Grace(0, DAY), None, id="previous, its grace outlives its setting"
        ),
        pytest.param(
            dated(made(OLD), AT + 31 * DAY),
            ROTATED,
            GRACE,
            ("active", AT + 30 * DAY),
            id="previous, a deadline beyond the limit: brought back to it",
        ),
        pytest.param(
            dated(made(OLD), AT + 30 * DAY + 5),
            ROTATED,
            GRACE,
            None,
            id="previous, at the limit by another clock: stays",
        ),
        pytest.param(
            dated(made(OLD, active=False), AT + HOUR), ROTATED, GRACE, None, id="previous and disabled: the way back"
        ),
        pytest.param(dated(made(OLDEST), AT + HOUR), ROTATED, GRACE, None, id="none, before its deadline: stays"),
        pytest.param(dated(made(OLDEST), AT), ROTATED, GRACE, ("disabled", AT), id="none, at its deadline: disabled"),
        pytest.param(
            garbled(made(OLDEST)), ROTATED, GRACE, ("active", AT + DAY), id="none, a garbled one: gets another"
        ),
        pytest.param(
            dated(made(OLDEST, active=False), BORN - 2), ROTATED, GRACE, ("deleted", None), id="none, disabled before"
        ),
        pytest.param(
            dated(made(OLDEST, active=False), BORN - 1), ROTATED, GRACE, None, id="none, disabled in that second: stays"
        ),
        pytest.param(
            dated(made(OLDEST, active=False), BORN), ROTATED, GRACE, None, id="none, disabled by this rotation: stays"
        ),
        pytest.param(
            garbled(made(OLDEST, active=False)),
            ROTATED,
            GRACE,
            ("deleted", None),
            id="none, disabled at a garbled time",
        ),
        pytest.param(
            made(OLDEST, active=False), ROTATED, GRACE, ("deleted", None), id="none, disabled by an older version"
        ),
        pytest.param(made(OLDEST), ROTATED, GRACE, ("deleted", None), id="none, without a time: an orphan"),
    ],
)
def test_a_token_becomes_what_the_table_says(
    token: Token, labels: SecretVersions, grace: Grace, change: tuple[str, float | None] | None
) -> None:
    others = [made(NOW)] if token.uuid != made(NOW).uuid else []
    version = next(version for version in (OLDEST, OLD, NOW, NEXT) if version in token.label)

    changes = [one for one in plan([*others, token], labels, {OLD: None}, AT, grace) if one.token.uuid == token.uuid]

    if change is None:
        assert changes == []
    else:
        becomes, moment = change
        label = None if becomes == "deleted" else label_for(ARN, version, moment)
        assert [(one.becomes, one.label) for one in changes] == [(becomes, label)]
        assert changes[0].enables is False


DELETES = Grace(seconds=DAY, limit=30 * DAY, deletes=True)
LONG_AGO, LATELY = AT - 2 * DAY - 60, AT - 2 * DAY + 60


@pytest.mark.parametrize(
    ("token", "labels", "becomes"),
    [
        pytest.param(
            dated(made(OLD, active=False), LONG_AGO), ROTATED, "deleted", id="previous, disabled two days ago"
        ),
        pytest.param(dated(made(OLD, active=False), LATELY), ROTATED, None, id="previous, disabled later: stays"),
        pytest.param(dated(made(OLD, active=False), AT + DAY), ROTATED, None, id="previous, disabled by hand: stays"),
        pytest.param(made(OLD, active=False), ROTATED, None, id="previous, nobody knows when: stays"),
        pytest.param(garbled(made(OLD, active=False)), ROTATED, None, id="previous, a garbled time: stays"),
        pytest.param(dated(made(OLD), LONG_AGO), ROTATED, "disabled", id="previous, active: disabled first"),
        pytest.param(
            dated(made(NOW, active=False), LONG_AGO),
            versions(current=OLD, previous=NOW),
            "deleted",
            id="younger than the current one, as a rollback leaves it",
        ),
        pytest.param(
            dated(made(NEXT, active=False), LONG_AGO), versions(current=NOW, previous=OLD), "deleted", id="none"
        ),
        pytest.param(
            dated(made(NEXT, active=False), LATELY), versions(current=NOW, previous=OLD), None, id="none, later: stays"
        ),
        pytest.param(
            dated(made(OLD, active=False), LONG_AGO),
            versions(current=NOW, previous=OLD, pinned=OLD),
            None,
            id="pinned: stays",
        ),
        pytest.param(
            dated(made(NEXT, active=False), LONG_AGO),
            versions(current=NOW, pending=NEXT),
            "active",
            id="pending: enabled",
        ),
    ],
)
def test_where_the_settings_say_so_a_disabled_token_is_deleted_after_two_days(
    token: Token, labels: SecretVersions, becomes: str | None
) -> None:
    others = [one for one in (made(NOW), made(OLD)) if one.uuid != token.uuid]

    assert outcome(plan([*others, token], labels, {}, AT, DELETES)).get(token.uuid) == becomes


def test_without_the_setting_it_stays_as_the_way_back() -> None:
    previous = dated(made(OLD, active=False), LONG_AGO)

    assert plan([made(NOW), previous], ROTATED, {}, AT, GRACE) == []


@pytest.mark.parametrize("stored", [{}, {OLD: "by hand"}])
def test_nothing_is_deleted_after_two_days_while_the_token_in_use_is_unknown_or_another_is_somebodys(
    stored: dict[str, str | None],
) -> None:
    previous = dated(made(OLD, active=False), LONG_AGO)
    tokens = [previous] if not stored else [made(NOW), foreign(uuid="by hand", active=False)]

    assert "deleted" not in outcome(plan(tokens, ROTATED, stored, AT, DELETES)).values()


@pytest.mark.parametrize(("superseded", "deletes"), [("disable", False), ("delete", True)])
def test_the_setting_is_what_a_plan_goes_by(superseded: Disposal, deletes: bool) -> None:
    assert Grace.of(Settings(superseded=superseded), ROTATED).deletes is deletes


def test_a_disabled_token_in_use_is_enabled_and_its_time_taken_off_at_once() -> None:
    (change,) = plan([dated(made(NOW, active=False), AT)], ROTATED, {}, AT, GRACE)

    assert change == Change(dated(made(NOW, active=False), AT), "active", label_for(ARN, NOW))
    assert change.enables


def test_a_superseded_token_is_not_disabled_where_it_may_be_the_one_that_awscurrent_holds() -> None:
    for token in (dated(made(OLD), AT - HOUR), dated(made(OLDEST), AT - HOUR)):
        assert plan([token], ROTATED, {}, AT, GRACE) == []
        assert [one.why for one in left_active([token], ROTATED, {}, AT, GRACE)] == [
            "it may be the one that AWSCURRENT holds"
        ]


def test_while_a_pinned_value_may_be_a_copy_a_token_in_grace_stays_after_its_deadline_and_is_said() -> None:
    labels = versions(current=NOW, previous=OLD, pinned=NEXT)
    late, early = dated(made(OLDEST, "late"), AT - HOUR), dated(made(OLDEST, "early"), AT + HOUR)

    assert plan([made(NOW), late, early], labels, {}, AT, GRACE) == []
    assert [(one.token, one.why) for one in left_active([made(NOW), late, early], labels, {}, AT, GRACE)] == [
        (late, "a pinned version may hold it")
    ]
    assert [one.token for one in in_grace([made(NOW), late, early], labels, {}, AT, GRACE)] == [early]
    assert plan([made(NOW), garbled(late)], labels, {}, AT, NO_GRACE) == []


def test_a_hand_made_token_gets_our_label_with_its_deadline() -> None:
    by_hand = foreign("by hand")

    changes = plan([made(NOW), by_hand], ROTATED, {OLD: "by hand"}, AT, GRACE)

    assert changes == [Change(by_hand, "active", label_for(ARN, OLD, AT + DAY))]
    assert [one.token for one in in_grace([made(NOW), by_hand], ROTATED, {OLD: "by hand"}, AT, GRACE)] == [by_hand]


def test_a_deadline_that_was_made_for_another_version_counts_and_gets_the_right_name() -> None:
    """The superseded value is a copy of the oldest one, whose token is in grace."""
    copied = dated(made(OLDEST), AT + HOUR)

    assert plan([made(NOW), copied], ROTATED, {OLD: copied.uuid}, AT, GRACE) == [
        Change(copied, "active", label_for(ARN, OLD, AT + HOUR))
    ]


def test_any_number_of_superseded_tokens_is_in_grace_each_until_its_own_deadline() -> None:
    older = [dated(made(OLDEST, f"older {n}"), AT + n * HOUR) for n in range(3)]
    tokens = [made(NOW), dated(made(OLD), AT + 3 * HOUR), *older]

    assert outcome(plan(tokens, ROTATED, {}, AT, GRACE)) == {"older 0": "disabled"}
    assert {one.until for one in in_grace(tokens, ROTATED, {}, AT, GRACE)} == {AT + n * HOUR for n in (1, 2, 3)}
    assert outcome(plan(tokens, ROTATED, {}, AT + 1.5 * HOUR, GRACE)) == {"older 0": "disabled", "older 1": "disabled"}


def test_a_token_that_is_in_grace_is_not_said_to_be_left() -> None:
    tokens = [made(NOW), made(OLD), dated(made(OLDEST), AT + HOUR)]

    assert list(left_active(tokens, ROTATED, {}, AT, GRACE)) == []
    assert {(one.token.uuid, one.version, one.until) for one in in_grace(tokens, ROTATED, {}, AT, GRACE)} == {
        (made(OLD).uuid, OLD, AT + DAY),
        (made(OLDEST).uuid, OLDEST, AT + HOUR),
    }


def test_a_rollback_takes_the_deadline_off_and_gives_one_to_what_it_supersedes() -> None:
    tokens = [made(NOW), dated(made(OLD), AT + HOUR)]

    after = apply(plan(tokens, versions(current=OLD, previous=NOW), {}, AT, GRACE), tokens)

    assert {token.label for token in after} == {label_for(ARN, OLD), label_for(ARN, NOW, AT + DAY)}
    assert all(token.active for token in after)


def test_by_a_clock_that_is_behind_a_token_is_not_disabled_before_the_current_one_was_made() -> None:
    """Else the next try of the same rotation would take it for one that an earlier rotation has disabled."""
    tokens = [made(NOW), dated(made(OLDEST), BORN - DAY)]

    after = apply(plan(tokens, ROTATED, {}, BORN - 5, GRACE), tokens)

    assert until(after[1]) == BORN
    assert plan(after, ROTATED, {}, BORN - 5, GRACE) == []


def test_a_long_version_id_is_known_by_its_digest() -> None:
    labels = replace(ROTATED, labels={NOW: ROTATED.labels[NOW], LONG: ROTATED.labels[OLD]})
    token = replace(made(OLD), label=label_for(ARN, LONG, AT + HOUR))

    assert plan([made(NOW), token], labels, {}, AT, GRACE) == []
    assert plan([made(NOW), replace(token, active=False)], labels, {}, AT, GRACE) == []
    back = replace(ROTATED, labels={NOW: ROTATED.labels[OLD], LONG: ROTATED.labels[NOW]})
    assert Change(token, "active", label_for(ARN, LONG)) in plan([made(NOW), token], back, {}, AT, GRACE)


# Whether it drains


def used(token: Token, moment: float) -> Token:
    return replace(token, last_used=datetime.fromtimestamp(moment, UTC))


DEADLINE = BORN + DAY
MIDDLE = BORN + DAY / 2


@pytest.mark.parametrize(
    ("token", "said"),
    [
        pytest.param(used(dated(made(OLD), DEADLINE), MIDDLE + 1), True, id="in the second half of its grace"),
        pytest.param(used(dated(made(OLD), DEADLINE), MIDDLE), False, id="in the first half"),
        pytest.param(dated(made(OLD), DEADLINE), False, id="never"),
        pytest.param(used(made(OLD), MIDDLE + 1), False, id="without a deadline"),
        pytest.param(used(dated(made(OLDEST), DEADLINE), MIDDLE + 1), True, id="of a version without a label"),
        pytest.param(used(dated(made(OLD, active=False), DEADLINE), MIDDLE + 1), False, id="disabled"),
        pytest.param(used(dated(made(NOW, "too"), DEADLINE), MIDDLE + 1), False, id="in use"),
        pytest.param(used(dated(made(OLDEST), BORN - DAY), BORN - DAY + 1), True, id="after its deadline"),
        pytest.param(used(dated(made(OLDEST), BORN - DAY), BORN - DAY - 1), False, id="before a deadline long ago"),
    ],
)
def test_a_use_in_the_second_half_of_a_grace_means_that_somebody_holds_an_old_copy(token: Token, said: bool) -> None:
    assert list(still_used([made(NOW), token], ROTATED, {}, AT, GRACE)) == ([token] if said else [])


def test_a_use_early_in_a_grace_that_began_late_is_none_of_an_old_copy() -> None:
    """The rotation hung for longer than its grace, or a rollback has brought back a token that is older than that."""
    promoted = BORN + 3 * DAY
    token, middle = dated(made(OLD), promoted + DAY), promoted + DAY / 2

    assert list(still_used([made(NOW), used(token, middle)], ROTATED, {}, AT, GRACE)) == []
    assert list(still_used([made(NOW), used(token, middle + 1)], ROTATED, {}, AT, GRACE)) == [used(token, middle + 1)]


def test_a_login_of_ours_is_no_use_and_a_pinned_token_may_be_used() -> None:
    token = used(dated(made(OLD), DEADLINE), MIDDLE + 1)

    assert list(still_used([made(NOW), token], ROTATED, {OLD: token.uuid.upper()}, AT, GRACE)) == []
    assert list(still_used([made(NOW), token], versions(current=NOW, pinned=OLD), {}, AT, GRACE)) == []


@pytest.mark.parametrize("labels", [ROTATED, versions(previous=OLD)], ids=["of unknown age", "no current version"])
def test_without_a_current_token_of_known_age_a_use_after_the_deadline_counts(labels: SecretVersions) -> None:
    tokens = [made(NOW, born=False), used(dated(made(OLD), DEADLINE), DEADLINE + 1)]

    assert list(still_used(tokens, labels, {}, AT, GRACE)) == tokens[1:]
    assert list(still_used([tokens[0], used(tokens[1], DEADLINE - 1)], labels, {}, AT, GRACE)) == []


def test_a_token_of_the_same_version_that_nobody_uses_hides_no_other() -> None:
    idle, busy = (dated(made(OLD, uuid), DEADLINE) for uuid in ("idle", "busy"))
    busy = used(busy, MIDDLE + 1)

    assert list(still_used([made(NOW), idle, busy], ROTATED, {}, AT, GRACE)) == [busy]


def test_a_twin_that_is_not_stored_begins_no_grace() -> None:
    """It was made before the one that consumers have."""
    tokens = [made(NOW, "stored"), made(NOW, "twin", later=-HOUR), used(dated(made(OLD), DEADLINE), MIDDLE - 1)]
    longer = replace(GRACE, seconds=2 * DAY)

    assert list(still_used(tokens, ROTATED, {NOW: "stored"}, AT, longer)) == []
    assert list(still_used(tokens, ROTATED, {}, AT, longer)) == tokens[2:]


def test_a_copy_of_an_older_value_is_planned_for_once() -> None:
    """Its token gets the label of the version that holds it now, which tells no more of rotations than its own did."""
    copied = dated(made(OLD), AT + DAY)
    long_disabled = dated(made(OLDEST, active=False), BIRTHDAY[OLD].timestamp() - DAY)
    labels, stored = versions(current=NOW), {NOW: copied.uuid}
    changes = plan([copied, long_disabled], labels, stored, AT, GRACE)

    assert outcome(changes) == {copied.uuid: "active", long_disabled.uuid: "deleted"}
    assert plan(apply(changes, [copied, long_disabled]), labels, stored, AT, GRACE) == []


# Replicas


BEHIND = Grace.of(Settings(), replace(ROTATED, replicas=(Replica("eu-west-1", "Failed"),)))
WHY = "the replica in eu-west-1 is Failed"


@pytest.mark.parametrize(
    ("replicas", "settings", "grace"),
    [
        ((), Settings(), Grace(0, 30 * DAY)),
        ((), Settings(grace=60, grace_limit=60), Grace(60, HELD_SECONDS)),
        ((Replica("eu-west-1", "InSync"),), Settings(), Grace(HOUR, 30 * DAY)),
        ((Replica("eu-west-1", "InSync"),), Settings(grace=60, grace_limit=60), Grace(HOUR, HOUR)),
        ((Replica("eu-west-1", "InSync"),), Settings(grace=7200), Grace(2 * HOUR, 30 * DAY)),
        ((Replica("eu-west-1", "Failed"),), Settings(), Grace(HOUR, 30 * DAY, WHY)),
    ],
)
def test_with_replicas_a_grace_is_an_hour_at_least(
    replicas: tuple[Replica, ...], settings: Settings, grace: Grace
) -> None:
    assert Grace.of(settings, replace(ROTATED, replicas=replicas)) == grace


@pytest.mark.parametrize("labels", [ROTATED, versions(current=NOW)])
def test_while_a_replica_is_behind_a_token_is_not_disabled_at_its_deadline_and_that_is_said(
    labels: SecretVersions,
) -> None:
    tokens = [made(NOW), dated(made(OLD), AT - HOUR)]

    assert plan(tokens, labels, {}, AT, BEHIND) == []
    assert [left.why for left in left_active(tokens, labels, {}, AT, BEHIND)] == [WHY]
    assert list(in_grace(tokens, labels, {}, AT, BEHIND)) == []
    assert [change.becomes for change in plan(tokens, labels, {}, AT, NO_GRACE)] == ["disabled"]


def test_a_replica_keeps_no_label_from_a_token_that_is_disabled_already() -> None:
    by_hand = foreign(active=False)

    (change,) = plan([made(NOW), by_hand], ROTATED, {OLD: by_hand.uuid}, AT, BEHIND)

    assert (change.token, change.becomes, change.label) == (by_hand, "disabled", label_for(ARN, OLD, AT))


def test_a_replica_keeps_no_deadline_from_being_written_no_orphan_and_nothing_that_is_disabled() -> None:
    unlabelled, orphan = made(OLD), made(OLDEST)
    gone = replace(dated(made(NEXT), BORN - DAY), active=False)

    changes = plan([made(NOW), unlabelled, orphan, gone], ROTATED, {}, AT, BEHIND)

    assert [(change.token.uuid, change.becomes) for change in changes] == [
        (unlabelled.uuid, "active"),
        (orphan.uuid, "deleted"),
        (gone.uuid, "deleted"),
    ]
