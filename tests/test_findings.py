"""What is found of a secret between its rotations, from what is known of it."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from dockerhub_rotation.findings import Current, Finding, Kind, Known, Standing, find
from dockerhub_rotation.remaining import Left
from dockerhub_rotation.remedies import Place, command
from dockerhub_rotation.replicas import Replica, why_waiting
from dockerhub_rotation.token_labels import label_for
from tests.accounts import ARN, AT, NEXT, NOW, OLD, ROTATED, foreign, made, versions

DAY, HOUR = 86_400, 3_600
CURRENT = made(NOW)
ROTATE = command("rotate", Place("dockerhub-rotation", "eu-central-1", ARN))
WORKS = Current(Standing.WORKS, CURRENT)
LONG = "a-version-id-of-64-characters-" + "x" * 34
IN_GRACE = replace(made(OLD, "old"), label=label_for(ARN, OLD, AT + HOUR), last_used=datetime.fromtimestamp(AT, UTC))


def known(**what: Any) -> Known:
    """Return what is known of a secret with which all is well, but for what is given."""
    usual: dict[str, Any] = {
        "versions": ROTATED,
        "tokens": [CURRENT, made(OLD, active=False)],
        "current": WORKS,
        "left": [],
        "used": [],
        "unidentified": {},
        "now": AT,
        "grace": 0.0,
    }
    return Known(**usual | what)


def kinds(found: Iterable[Finding]) -> list[str]:
    return [str(one.kind) for one in found]


def only(**what: Any) -> Finding:
    (found,) = find(known(**what))
    return found


def test_there_is_nothing_to_say_where_all_is_well() -> None:
    assert find(known()) == ()


def test_a_placeholder_under_awscurrent_is_left_to_its_first_rotation() -> None:
    assert find(known(current=Current(Standing.PLACEHOLDER), tokens=[])) == ()


# The token under AWSCURRENT


@pytest.mark.parametrize("standing", [Standing.GONE, Standing.REFUSED])
def test_a_token_that_is_not_in_the_list_of_the_right_account_is_dead(standing: Standing) -> None:
    found = only(current=Current(standing), tokens=[made(OLD, active=False)])

    assert found.kind == Kind.CURRENT_TOKEN_DEAD
    assert (found.needs_attention, found.consumers_affected) == (True, True)
    assert ROTATE in found.message


def test_how_sure_it_is_that_a_token_is_dead_is_said() -> None:
    by_list = only(current=Current(Standing.GONE), tokens=[made(OLD, active=False)])
    by_login = only(current=Current(Standing.REFUSED), tokens=[made(OLD, active=False)])

    assert by_list.message == (
        "The token under AWSCURRENT is not in the account's list, so consumers are refused. The list shows it, no "
        "login was tried; it is the list of the right account, which has other tokens of this secret. Make a new "
        f"token: {ROTATE}."
    )
    assert by_login.message == (
        "The token under AWSCURRENT is refused by Docker Hub, so consumers are refused. A login has shown it; it is "
        f"the list of the right account, which has other tokens of this secret. Make a new token: {ROTATE}."
    )


def test_the_user_name_in_the_value_shows_the_right_account_too() -> None:
    found = only(current=Current(Standing.GONE, names_account=True), tokens=[foreign()])

    assert found.kind == Kind.CURRENT_TOKEN_DEAD
    assert "it is the list of the right account, which the secret's value names." in found.message


def test_an_account_without_a_token_of_the_secret_may_be_the_wrong_one() -> None:
    found = only(current=Current(Standing.GONE), tokens=[foreign()])

    assert found.kind == Kind.ACCOUNT_DOUBTFUL
    assert found.consumers_affected
    assert found.message.startswith(
        "The token under AWSCURRENT is not in the account's list, and nothing shows that this account has made the "
        "secret's tokens. "
    )


def test_the_token_under_awscurrent_itself_does_not_show_that_the_account_is_the_right_one() -> None:
    """It is another that must be there, where this one is said to be gone."""
    found = only(current=Current(Standing.REFUSED), tokens=[made(NOW, "a twin's")])

    assert found.kind == Kind.ACCOUNT_DOUBTFUL


def test_nor_does_it_where_its_label_shortens_the_id_of_its_version() -> None:
    dated = replace(CURRENT, label=label_for(ARN, LONG, AT + HOUR))
    found = only(current=Current(Standing.REFUSED), versions=versions(current=LONG), tokens=[dated])

    assert found.kind == Kind.ACCOUNT_DOUBTFUL


def test_a_value_that_logs_in_as_another_account_leaves_consumers_alone() -> None:
    found = only(current=Current(Standing.OTHER_ACCOUNT))

    assert (found.kind, found.needs_attention, found.consumers_affected) == (Kind.ACCOUNT_DOUBTFUL, True, False)
    assert found.message.startswith(
        "The value under AWSCURRENT logs in as another account than the one whose tokens are managed, and nothing shows"
    )


def test_a_value_that_names_another_user_is_said_as_that_whatever_tokens_the_list_shows() -> None:
    found = only(current=Current(Standing.OTHER_NAME), tokens=[made(OLD, active=False)])

    assert (found.kind, found.needs_attention, found.consumers_affected) == (Kind.ACCOUNT_DOUBTFUL, True, False)
    assert found.message.startswith("The value under AWSCURRENT names another user than the account")


def test_an_expired_token_is_dead_and_its_own_account_is_the_right_one() -> None:
    found = only(current=Current(Standing.EXPIRED, CURRENT), tokens=[CURRENT])

    assert found.kind == Kind.CURRENT_TOKEN_DEAD
    assert f"({CURRENT.uuid}) has expired, so consumers are refused." in found.message
    assert "it is the list of the right account, which shows the token itself." in found.message


def test_a_disabled_token_is_reported_as_that_for_it_may_have_leaked() -> None:
    found = only(current=Current(Standing.DISABLED, replace(CURRENT, active=False)))

    assert (found.kind, found.consumers_affected) == (Kind.CURRENT_TOKEN_DISABLED, True)
    assert CURRENT.uuid in found.message
    assert "if it has leaked" in found.message


def test_what_could_not_be_told_is_not_called_dead() -> None:
    assert find(known(current=Current(Standing.UNKNOWN))) == ()


# A rotation that hangs


def pending(changed_at: float = 0.0) -> Any:
    return replace(versions(current=NOW, previous=OLD, pending=NEXT), changed_at=changed_at)


def test_a_version_that_is_pending_for_more_than_a_day_is_named_with_the_command_that_unblocks_it() -> None:
    staged = made(NEXT)
    found = only(versions=pending(), tokens=[CURRENT, staged], now=AT + DAY)

    assert found.kind == Kind.PENDING_TOO_LONG
    assert (
        f"aws secretsmanager update-secret-version-stage --secret-id {ARN} --version-stage AWSPENDING "
        f"--remove-from-version-id {NEXT}" in found.message
    )
    assert staged.created_at is not None
    assert found.moment == staged.created_at.timestamp() + DAY


def test_the_token_of_a_pending_version_is_known_also_where_its_label_shortens_the_versions_id() -> None:
    """Somebody has staged a superseded version again."""
    staged = replace(made(NEXT), label=label_for(ARN, LONG, AT))
    found = only(versions=versions(current=NOW, pending=LONG), tokens=[CURRENT, staged], now=AT + DAY)

    assert found.kind == Kind.PENDING_TOO_LONG
    assert found.moment == AT - 1800 + DAY


def test_a_pending_version_without_a_token_is_as_old_as_the_latest_change_of_the_secret() -> None:
    now = AT + 2 * DAY

    assert kinds(find(known(versions=pending(changed_at=now - DAY - 1), now=now))) == [Kind.PENDING_TOO_LONG]
    assert find(known(versions=pending(changed_at=now - DAY), now=now)) == ()
    assert find(known(versions=pending(changed_at=0.0), now=now)) == ()


def test_a_rotation_of_today_may_go_on() -> None:
    assert find(known(versions=pending(), tokens=[CURRENT, made(NEXT)], now=AT)) == ()


def test_the_label_of_a_rotation_that_has_ended_is_no_rotation() -> None:
    done = versions(current=NOW, pending=NOW, previous=OLD)

    assert find(known(versions=done, now=AT + 9 * DAY)) == ()


# A schedule that has stopped


@pytest.mark.parametrize(("late", "found"), [(DAY, []), (DAY + 1, [Kind.ROTATION_OVERDUE]), (-DAY, [])])
def test_a_rotation_is_overdue_when_its_date_is_a_day_in_the_past(late: float, found: list[str]) -> None:
    assert kinds(find(known(versions=replace(ROTATED, next_rotation_at=AT - late)))) == found


def test_an_overdue_rotation_counts_from_a_day_after_its_date() -> None:
    assert only(versions=replace(ROTATED, next_rotation_at=AT - 2 * DAY)).moment == AT - DAY


def test_no_rotation_is_overdue_where_none_is_planned() -> None:
    planned = replace(ROTATED, next_rotation_at=AT - 9 * DAY)

    assert find(known(versions=replace(planned, rotation_enabled=False))) == ()
    assert find(known(versions=replace(planned, next_rotation_at=0.0))) == ()


# A token that expires


def expires(at: float, **what: Any) -> dict[str, Any]:
    """Return what is known where the token under AWSCURRENT expires, and the next rotation is a month away."""
    token = replace(CURRENT, expires_at=datetime.fromtimestamp(at, UTC))
    planned = replace(ROTATED, next_rotation_at=AT + 30 * DAY, changed_at=AT - 600)
    return {"current": Current(Standing.WORKS, token), "tokens": [token], "versions": planned} | what


def test_a_token_that_expires_before_the_next_rotation_is_said_with_both_times_and_what_mends_it() -> None:
    found = only(**expires(AT + 20 * DAY))

    assert (found.kind, found.needs_attention, found.consumers_affected) == (Kind.EXPIRES_BEFORE_ROTATION, True, False)
    assert found.message == (
        f"The token under AWSCURRENT ({CURRENT.uuid}) expires at 2026-04-21 00:30:00 UTC, and the secret is to be "
        "rotated by 2026-05-01 00:30:00 UTC. Let tokens live longer (DOCKERHUB_TOKEN_EXPIRY, or the tag "
        f"dockerhub-rotation:expiry) or rotate more often, and rotate it before that: {ROTATE}."
    )


def test_it_is_news_once_since_the_secret_last_changed() -> None:
    """By a rotation, or because somebody has set another schedule or grace."""
    found = only(**expires(AT + 20 * DAY))

    assert found.moment == AT - 600
    assert (found.is_news(AT), found.is_news(AT + 2 * HOUR)) == (True, False)
    unknown = replace(ROTATED, next_rotation_at=AT + 30 * DAY)
    assert only(**expires(AT + 20 * DAY, versions=unknown)).moment is None


@pytest.mark.parametrize(("later", "grace", "said"), [(-1, 0, 1), (0, 0, 0), (DAY - 1, DAY, 1), (DAY, DAY, 0)])
def test_it_has_to_outlive_the_next_rotation_and_the_grace_after_that(later: float, grace: float, said: int) -> None:
    found = find(known(**expires(AT + 30 * DAY + later, grace=grace)))

    assert kinds(found) == [Kind.EXPIRES_BEFORE_ROTATION] * said
    assert all(("after which consumers may keep it for 24 hours" in one.message) is (grace > 0) for one in found)


@pytest.mark.parametrize("off", [{"next_rotation_at": 0.0}, {"rotation_enabled": False}])
@pytest.mark.parametrize(("days", "said"), [(7.001, 0), (7, 1), (1, 1)])
def test_where_no_rotation_is_planned_it_is_said_in_the_last_week(off: dict[str, Any], days: float, said: int) -> None:
    known_of_it = expires(AT + days * DAY)
    found = find(known(**known_of_it | {"versions": replace(known_of_it["versions"], **off)}))

    assert kinds(found) == [Kind.EXPIRES_BEFORE_ROTATION] * said
    assert [one.moment for one in found] == [AT + days * DAY - 7 * DAY] * said
    assert all("the secret has no date for its next rotation. Let" in one.message for one in found)


@pytest.mark.parametrize(("days", "said"), [(7.001, 0), (7, 1), (1, 1)])
def test_where_the_next_rotation_is_overdue_it_is_said_in_the_last_week_too(days: float, said: int) -> None:
    """A date that has passed bounds nothing: no rotation may come before the token's end."""
    late = replace(ROTATED, next_rotation_at=AT - HOUR)
    found = find(known(**expires(AT + days * DAY, versions=late, grace=DAY)))

    assert kinds(found) == [Kind.EXPIRES_BEFORE_ROTATION] * said
    assert [one.moment for one in found] == [AT + days * DAY - 7 * DAY] * said
    assert all("should have been rotated by 2026-03-31 23:30:00 UTC. Let" in one.message for one in found)


@pytest.mark.parametrize("standing", [standing for standing in Standing if standing is not Standing.WORKS])
def test_of_a_token_that_does_not_work_its_end_is_not_said(standing: Standing) -> None:
    token = expires(AT + DAY)["tokens"][0]

    assert Kind.EXPIRES_BEFORE_ROTATION not in kinds(find(known(**expires(AT + DAY, current=Current(standing, token)))))


def test_a_token_that_is_not_listed_or_does_not_expire_is_not_said_to() -> None:
    assert find(known(**expires(AT + DAY, current=Current(Standing.WORKS)))) == ()
    assert find(known(**expires(AT + DAY, current=WORKS))) == ()


# Tokens that stay active


def test_a_token_that_is_left_active_is_named_with_the_reason() -> None:
    found = only(left=[Left(made(OLD, "old"), OLD, "its age can't be read")])

    assert (found.kind, found.needs_attention) == (Kind.TOKEN_LEFT_ACTIVE, True)
    assert found.message == f"Token old of version {OLD} is left active: its age can't be read."


def test_a_token_that_people_have_pinned_is_said_and_needs_nobody() -> None:
    found = only(versions=versions(current=NOW, pinned=OLD), left=[Left(made(OLD), OLD, "its version is pinned")])

    assert (found.kind, found.needs_attention) == (Kind.TOKEN_LEFT_ACTIVE, False)


def behind(changed_at: float = AT - DAY) -> Any:
    replicas = (Replica("eu-west-1", "Failed", explained=True), Replica("us-east-1", "InSync"))
    return replace(ROTATED, replicas=replicas, changed_at=changed_at, seen_at=AT)


WAITS = Left(IN_GRACE, OLD, "the replica in eu-west-1 is Failed, for which AWS gives a reason")


def test_a_token_that_waits_for_a_replica_is_said_with_what_mends_it() -> None:
    found = only(versions=behind(), left=[WAITS])

    assert (found.kind, found.needs_attention, found.consumers_affected) == (Kind.REPLICA_BEHIND, True, False)
    assert found.moment == AT + HOUR
    assert found.message == (
        "Superseded tokens (1) stay active although their grace is over, for consumers in other Regions may still get "
        "them: the replica in eu-west-1 is Failed, for which AWS gives a reason (`aws secretsmanager describe-secret "
        f"--secret-id {ARN} --region eu-central-1` shows more). Mend the replica, or remove it: `aws secretsmanager "
        f"remove-regions-from-replication --secret-id {ARN} --remove-replica-regions eu-west-1 --region eu-central-1`. "
        f"To disable the tokens all the same: {command('retire', Place('dockerhub-rotation', 'eu-central-1', ARN))}."
    )


def test_what_is_left_for_another_reason_is_said_beside_it() -> None:
    other = Left(made(OLD, "old"), OLD, "its age can't be read")

    for left in ([other, WAITS], [WAITS, other]):
        assert kinds(find(known(versions=behind(), left=left))) == [Kind.REPLICA_BEHIND, Kind.TOKEN_LEFT_ACTIVE]


@pytest.mark.parametrize(("ago", "attention"), [(899, False), (900, True)])
def test_a_replica_has_a_while_to_take_over_a_change_before_anybody_is_called(ago: float, attention: bool) -> None:
    over = replace(WAITS, token=replace(IN_GRACE, label=label_for(ARN, OLD, AT - 2 * HOUR)))
    found = only(versions=behind(changed_at=AT - ago), left=[over])

    assert found.needs_attention is attention
    assert found.moment == AT - ago + 900  # whoever is not called now is told as soon as it counts


def test_every_replica_that_is_behind_stands_in_the_command_that_removes_it() -> None:
    late = tuple(Replica(region, "Failed") for region in ("eu-west-1", "us-east-1"))
    found = only(versions=replace(behind(), replicas=late), left=[replace(WAITS, why=str(why_waiting(late)))])

    assert f"--secret-id {ARN} --remove-replica-regions eu-west-1 us-east-1 --region eu-central-1`" in found.message


def test_a_token_that_waits_without_a_deadline_counts_from_when_the_replica_is_behind() -> None:
    assert only(versions=behind(changed_at=AT - 5), left=[replace(WAITS, token=made(OLD))]).moment == AT - 5 + 900


def test_a_replica_that_is_behind_is_nothing_to_say_while_no_token_waits_for_it() -> None:
    assert find(known(versions=behind())) == ()


def test_tokens_that_could_not_be_told_apart_are_said() -> None:
    found = only(unidentified={NOW: "Which of the tokens version %s holds can't be told"})

    assert (found.kind, found.message) == (
        Kind.TOKEN_UNIDENTIFIED,
        f"Which of the tokens version {NOW} holds can't be told.",
    )


def test_a_copy_that_is_still_in_use_is_said_with_its_end() -> None:
    found = only(used=[IN_GRACE])

    assert (found.kind, found.needs_attention, found.consumers_affected) == (Kind.COPY_IN_USE, True, False)
    assert found.moment == AT + HOUR
    assert found.message == (
        "Token old is superseded, and active until 2026-04-01 01:30:00 UTC, and somebody still logs in with it (last "
        "at 2026-04-01 00:30:00 UTC). Look for a consumer that has kept a copy for longer than its grace, and let it "
        "read the secret again."
    )


def test_a_copy_that_was_in_use_until_its_end_is_said_in_the_past_from_that_very_second_on() -> None:
    (before,), (found,) = (find(known(used=[IN_GRACE], now=AT + HOUR - ago)) for ago in (1, 0))

    assert "and somebody still logs in with it" in before.message
    assert found.message.startswith(
        "Token old is superseded, and was active until 2026-04-01 01:30:00 UTC, and somebody still logged in with it "
        "(last at 2026-04-01 00:30:00 UTC)."
    )


def test_a_copy_of_which_neither_end_nor_use_is_known_is_said_without_them() -> None:
    found = only(used=[made(OLD, "old")])

    assert found.message.startswith("Token old is superseded, and somebody still logs in with it. Look for a consumer")
    assert found.moment is None


def test_everything_is_said_at_once() -> None:
    late = replace(pending(changed_at=AT - 2 * DAY), next_rotation_at=AT - 2 * DAY)
    found = find(known(versions=late, current=Current(Standing.GONE), used=[IN_GRACE]))

    assert kinds(found) == [Kind.CURRENT_TOKEN_DEAD, Kind.PENDING_TOO_LONG, Kind.ROTATION_OVERDUE, Kind.COPY_IN_USE]


# When it is news


@pytest.mark.parametrize(
    ("ago", "news"), [(-1, False), (0, True), (HOUR, True), (HOUR + 59, True), (HOUR + 60, False), (DAY, False)]
)
def test_what_has_begun_to_count_since_the_last_look_is_news(ago: float, news: bool) -> None:
    """Which may have been a minute early."""
    assert Finding(Kind.ROTATION_OVERDUE, "It is late.", moment=AT - ago).is_news(AT) is news


def test_what_began_nobody_knows_when_is_left_to_the_alarm() -> None:
    assert not Finding(Kind.TOKEN_LEFT_ACTIVE, "It is active.").is_news(AT)


def test_it_is_said_each_time_that_consumers_are_refused() -> None:
    assert Finding(Kind.CURRENT_TOKEN_DEAD, "It is dead.", consumers_affected=True).is_news(AT)


def test_what_needs_nobody_is_never_news() -> None:
    assert not Finding("RateLimited", "Later.", needs_attention=False, moment=AT - HOUR).is_news(AT)
