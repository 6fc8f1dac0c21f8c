"""What has expired never works again and takes no change: it is left if a staging label speaks for it, or deleted."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.plan import NO_GRACE, Change, Grace, plan
from dockerhub_rotation.remaining import in_grace, left_active, still_used
from dockerhub_rotation.secrets_manager import SecretVersions
from dockerhub_rotation.token_labels import label_for
from tests.accounts import ARN, AT, NEXT, NOW, OLD, OLDEST, OTHER_ARN, ROTATED, foreign, made, outcome, versions

HOUR, DAY = 3600.0, 86_400.0
GRACE = Grace(seconds=DAY, limit=30 * DAY)


def expired(token: Token, at: float = AT) -> Token:
    return replace(token, expires_at=datetime.fromtimestamp(at, UTC))


def dated(token: Token, moment: float) -> Token:
    return replace(token, label=label_for(ARN, token.label.rpartition("/")[2], moment))


LEFT = [
    pytest.param(expired(made(NOW)), ROTATED, id="current"),
    pytest.param(expired(made(NOW, active=False)), ROTATED, id="current and disabled: not enabled"),
    pytest.param(expired(dated(made(NOW), AT + HOUR)), ROTATED, id="current: its deadline stays on its label"),
    pytest.param(expired(made(NEXT)), versions(current=NOW, pending=NEXT), id="pending"),
    pytest.param(
        expired(made(NEXT, active=False)), versions(current=NOW, pending=NEXT), id="pending, disabled: not enabled"
    ),
    pytest.param(expired(made(OLDEST)), versions(current=NOW, pinned=OLDEST), id="pinned"),
    pytest.param(expired(made(OLD)), ROTATED, id="previous: not disabled, and no deadline is written"),
    pytest.param(expired(dated(made(OLD), AT - HOUR)), ROTATED, id="previous, after its deadline: not disabled"),
    pytest.param(expired(dated(made(OLD, active=False), AT - HOUR)), ROTATED, id="previous and disabled"),
]
DELETED = [
    pytest.param(expired(made(OLDEST)), id="without a time"),
    pytest.param(expired(made(NEXT)), id="without a time, younger than the current one"),
    pytest.param(expired(made(OLDEST, born=False)), id="of unknown age"),
    pytest.param(expired(dated(made(OLDEST), AT + HOUR)), id="in its grace"),
    pytest.param(expired(dated(made(OLDEST), AT - HOUR)), id="after its deadline"),
    pytest.param(expired(dated(made(OLDEST, active=False), AT - HOUR)), id="disabled by this rotation"),
]


@pytest.mark.parametrize("grace", [GRACE, NO_GRACE])
@pytest.mark.parametrize(("token", "labels"), LEFT)
def test_where_a_staging_label_speaks_for_it_it_is_left(token: Token, labels: SecretVersions, grace: Grace) -> None:
    tokens = [token] if token.label.startswith(label_for(ARN, NOW)) else [made(NOW), token]

    assert plan(tokens, labels, {OLD: None}, AT, grace) == []
    assert list(left_active(tokens, labels, {OLD: None}, AT, grace)) == []
    assert list(in_grace(tokens, labels, {OLD: None}, AT, grace)) == []


@pytest.mark.parametrize("grace", [GRACE, NO_GRACE])
@pytest.mark.parametrize("token", DELETED)
def test_where_none_does_it_is_deleted_whatever_its_deadline_and_age(token: Token, grace: Grace) -> None:
    assert plan([made(NOW), token], ROTATED, {OLD: None}, AT, grace) == [Change(token, "deleted")]


def test_it_has_expired_in_the_second_in_which_it_ends_and_not_before() -> None:
    token = made(OLDEST)

    ended, ends = (expired(dated(token, AT + HOUR), at) for at in (AT, AT + 1))

    assert outcome(plan([made(NOW), ended], ROTATED, {OLD: None}, AT, GRACE)) == {token.uuid: "deleted"}
    assert plan([made(NOW), ends], ROTATED, {OLD: None}, AT, GRACE) == []


def test_an_expired_twin_is_deleted_and_the_stored_one_that_has_expired_is_left() -> None:
    tokens = [expired(made(NOW, "stored")), expired(made(NOW, "twin"))]

    assert outcome(plan(tokens, ROTATED, {NOW: "stored"}, AT, GRACE)) == {"twin": "deleted"}


def test_a_hand_made_one_under_awsprevious_is_neither_labelled_nor_disabled() -> None:
    by_hand = expired(foreign("by hand"))

    assert plan([made(NOW), by_hand], ROTATED, {OLD: "by hand"}, AT, GRACE) == []


def test_what_is_not_ours_is_left_alone() -> None:
    others = [expired(foreign()), expired(made(OLD, "another secret's", arn=OTHER_ARN))]

    assert plan([made(NOW), *others], ROTATED, {OLD: "another secret's"}, AT, GRACE) == []
    assert list(left_active([made(NOW), *others], ROTATED, {OLD: "another secret's"}, AT, GRACE)) == []


def test_in_doubt_it_is_left_and_nobody_is_told_that_it_is_active() -> None:
    tokens = [expired(made(OLDEST))]

    assert plan(tokens, ROTATED, {}, AT, GRACE) == []
    assert list(left_active(tokens, ROTATED, {}, AT, GRACE)) == []


def test_a_grace_is_said_to_end_when_its_token_expires() -> None:
    token = expired(dated(made(OLD), AT + 3 * HOUR), AT + HOUR)

    assert [one.until for one in in_grace([made(NOW), token], ROTATED, {}, AT, GRACE)] == [AT + HOUR]
    later = replace(token, expires_at=datetime.fromtimestamp(AT + 9 * HOUR, UTC))
    assert [one.until for one in in_grace([made(NOW), later], ROTATED, {}, AT, GRACE)] == [AT + 3 * HOUR]


def test_nobody_logs_in_with_it_however_late_it_was_used() -> None:
    used = replace(dated(made(OLD), AT + HOUR), last_used=datetime.fromtimestamp(AT - 1, UTC))

    assert list(still_used([made(NOW), used], ROTATED, {}, AT, GRACE)) == [used]
    assert list(still_used([made(NOW), expired(used)], ROTATED, {}, AT, GRACE)) == []


def test_what_is_due_is_taken_away_where_the_current_token_has_expired_but_by_a_caretaker() -> None:
    """To whom a superseded one may be all that consumers have."""
    tokens = [expired(made(NOW)), dated(made(OLD), AT - HOUR)]

    assert outcome(plan(tokens, ROTATED, {}, AT, GRACE)) == {made(OLD).uuid: "disabled"}
    assert plan(tokens, ROTATED, {}, AT, GRACE, spares=True) == []
