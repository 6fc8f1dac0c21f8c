"""From staging labels and Hub labels follows what each token should be."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.retirement import Change, ambiguous, plan
from dockerhub_rotation.secrets_manager import CURRENT, PENDING, PREVIOUS, SecretVersions
from dockerhub_rotation.token_labels import label_for, version_of

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:docker-hub-AbCdEf"
OTHER_ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:docker-hub-GhIjKl"

# Version ids, in the order in which they were made.
OLDEST, OLD, NOW, NEXT = (f"0000000{n}-0000-4000-8000-000000000000" for n in range(1, 5))
BIRTHDAY = {
    version: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=30 * n)
    for n, version in enumerate((OLDEST, OLD, NOW, NEXT))
}


def versions(**labels: str | tuple[str, ...]) -> SecretVersions:
    """Return staging labels: `versions(current=NOW, previous=OLD)`."""
    holders = {"current": CURRENT, "pending": PENDING, "previous": PREVIOUS, "custom": "mine"}
    by_version: dict[str, frozenset[str]] = {}
    for name, version in labels.items():
        assert isinstance(version, str)
        by_version[version] = by_version.get(version, frozenset()) | {holders[name]}
    return SecretVersions(ARN, rotation_enabled=True, labels=by_version, changed_at=0.0)


ROTATED = versions(current=NOW, previous=OLD)


def made(
    version: str, uuid: str = "", *, active: bool = True, arn: str = ARN, later: float = 0, born: bool = True
) -> Token:
    """Return a token made for a version, so many seconds after the version was."""
    created_at = BIRTHDAY[version] + timedelta(seconds=later) if born else None
    return Token(uuid or f"token of {version[:8]}", label_for(arn, version), active, created_at)


def foreign(uuid: str = "foreign", label: str = "laptop", *, active: bool = True) -> Token:
    """Return a token that somebody has made by hand, long ago."""
    return Token(uuid, label, active, datetime(2020, 1, 1, tzinfo=UTC))


def apply(changes: Iterable[Change], tokens: Iterable[Token]) -> list[Token]:
    """Return the account's tokens after a plan has been carried out."""
    account = {token.uuid: token for token in tokens}
    for change in changes:
        token = account[change.token.uuid]
        if change.becomes == "deleted":
            del account[token.uuid]
        else:
            account[token.uuid] = replace(token, active=change.becomes == "active", label=change.label or token.label)
    return list(account.values())


def outcome(changes: Iterable[Change]) -> dict[str, str]:
    return {change.token.uuid: change.becomes for change in changes}


# The table


@dataclass(frozen=True)
class Row:
    labels: SecretVersions
    token: Token
    becomes: str | None


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
            Row(versions(current=NOW, previous=OLD, custom=OLDEST), made(OLDEST), "deleted"),
            id="a staging label of somebody's own keeps no token",
        ),
        pytest.param(Row(ROTATED, made(NEXT), None), id="younger than current: a rotation that has begun since"),
        pytest.param(
            Row(ROTATED, made(NEXT, active=False), None), id="younger than current and disabled: not ours to judge yet"
        ),
        pytest.param(
            Row(ROTATED, replace(made(OLDEST), created_at=BIRTHDAY[NOW]), None), id="as old as the current one: left"
        ),
        pytest.param(Row(ROTATED, made(OLDEST, born=False), None), id="of unknown age: left"),
        pytest.param(Row(ROTATED, foreign(), None), id="foreign: untouched"),
        pytest.param(Row(ROTATED, foreign(active=False), None), id="foreign and disabled: untouched"),
        pytest.param(Row(ROTATED, made(OLDEST, arn=OTHER_ARN), None), id="of another secret: untouched"),
        pytest.param(Row(ROTATED, made(OLD, arn=OTHER_ARN), None), id="of another secret, same version id: untouched"),
    ],
)
def test_a_token_becomes_what_its_version_says(row: Row) -> None:
    tokens = [row.token, made(NOW, "current")] if row.token.label != label_for(ARN, NOW) else [row.token]

    changes = plan(tokens, row.labels, {})

    assert outcome(changes) == ({row.token.uuid: row.becomes} if row.becomes else {})
    assert [change.label for change in changes if change.label] == []


def test_a_whole_account_is_put_in_order_at_once() -> None:
    tokens = [
        made(OLDEST),
        made(OLD),
        made(NOW, active=False),
        made(NEXT),
        foreign(),
        made(OLDEST, "others", arn=OTHER_ARN),
    ]

    changes = plan(tokens, ROTATED, {})

    assert outcome(changes) == {tokens[0].uuid: "deleted", tokens[1].uuid: "disabled", tokens[2].uuid: "active"}
    assert [change.becomes for change in changes] == ["active", "disabled", "deleted"]


def test_without_a_current_token_of_known_age_nothing_is_deleted() -> None:
    assert plan([made(NOW, born=False), made(OLDEST)], ROTATED, {}) == []
    assert plan([made(OLDEST)], ROTATED, {}) == []


def test_a_secret_that_was_never_rotated_has_no_plan() -> None:
    assert plan([foreign()], versions(current=OLD), {}) == []
    assert plan([], ROTATED, {}) == []


# Several tokens of one version


TWINS = [made(NOW, "stored"), made(NOW, "unstored", later=1)]


@pytest.mark.parametrize("labels", [ROTATED, versions(current=OLD, pending=NOW)], ids=["current", "pending"])
def test_of_twins_the_stored_one_is_real(labels: SecretVersions) -> None:
    assert outcome(plan(TWINS, labels, {NOW: "stored"})) == {"unstored": "deleted"}
    assert outcome(plan(TWINS, labels, {NOW: "unstored"})) == {"stored": "deleted"}


def test_of_twins_the_stored_one_is_enabled() -> None:
    tokens = [replace(TWINS[0], active=False), TWINS[1]]

    assert outcome(plan(tokens, ROTATED, {NOW: "stored"})) == {"stored": "active", "unstored": "deleted"}


@pytest.mark.parametrize("labels", [ROTATED, versions(current=OLD, pending=NOW)], ids=["current", "pending"])
@pytest.mark.parametrize("active", [(True, True), (True, False), (False, False)])
def test_twins_of_a_version_in_use_are_left_alone_while_it_is_unknown_which_is_stored(
    labels: SecretVersions, active: tuple[bool, bool]
) -> None:
    tokens = [replace(twin, active=state) for twin, state in zip(TWINS, active, strict=True)]

    assert plan(tokens, labels, {}) == []


def test_twins_of_the_previous_version_are_both_disabled_while_it_is_unknown_which_is_stored() -> None:
    tokens = [made(NOW), made(OLD, "stored"), made(OLD, "unstored", later=1)]

    assert outcome(plan(tokens, ROTATED, {})) == {"stored": "disabled", "unstored": "disabled"}


def test_of_twins_of_the_previous_version_the_stored_one_is_the_way_back() -> None:
    tokens = [made(NOW), made(OLD, "stored"), made(OLD, "unstored", later=1)]

    assert outcome(plan(tokens, ROTATED, {OLD: "stored"})) == {"stored": "disabled", "unstored": "deleted"}


def test_a_late_twin_of_the_current_token_makes_no_other_rotation_look_old() -> None:
    """Between the two a rotation may have begun that the staging labels, read before it, don't know."""
    late = made(NOW, "late", later=(BIRTHDAY[NEXT] - BIRTHDAY[NOW]).total_seconds() + 60)

    assert outcome(plan([made(NOW, "stored"), late, made(NEXT)], ROTATED, {NOW: "stored"})) == {"late": "deleted"}
    assert plan([made(NOW, "stored"), late, made(NEXT)], ROTATED, {}) == []


# Values that were not made here


def test_a_superseded_token_made_by_hand_is_disabled_and_gets_our_label() -> None:
    by_hand = foreign("by hand")

    changes = plan([made(NOW), by_hand, foreign()], ROTATED, {OLD: "by hand"})

    assert changes == [Change(by_hand, "disabled", label_for(ARN, OLD))]


def test_a_superseded_token_made_by_hand_is_deleted_one_rotation_later() -> None:
    first = [made(NOW), foreign("by hand"), foreign()]
    then = [*apply(plan(first, ROTATED, {OLD: "by hand"}), first), made(NEXT)]

    changes = plan(then, versions(current=NEXT, previous=NOW), {})

    assert outcome(changes) == {made(NOW).uuid: "disabled"} | {"by hand": "deleted"}


def test_a_superseded_token_that_is_disabled_already_gets_our_label() -> None:
    by_hand = foreign("by hand", active=False)

    assert plan([made(NOW), by_hand], ROTATED, {OLD: "by hand"}) == [
        Change(by_hand, "disabled", label_for(ARN, OLD)),
    ]


def test_a_superseded_copy_of_an_older_token_of_ours_is_disabled_and_not_deleted() -> None:
    """Somebody has put the oldest value back by hand, as a version of its own."""
    assert plan([made(NOW), made(OLDEST)], ROTATED, {OLD: made(OLDEST).uuid}) == [
        Change(made(OLDEST), "disabled", label_for(ARN, OLD)),
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

    assert plan(tokens, labels, {OLD: in_use.uuid}) == []


def test_a_superseded_copy_of_another_secrets_token_does_not_touch_it() -> None:
    others = made(OLDEST, "others", arn=OTHER_ARN)

    assert plan([made(NOW), others], ROTATED, {OLD: "others"}) == []


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
    changes = plan(tokens, ROTATED, stored)

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
        pytest.param([made(OLD)], ROTATED, {NOW}, id="no token of the current version"),
        pytest.param([foreign()], ROTATED, {NOW, OLD}, id="no token of ours at all"),
    ],
)
def test_a_stored_value_is_asked_only_where_labels_do_not_tell(
    tokens: list[Token], labels: SecretVersions, asked: set[str]
) -> None:
    answer = ambiguous(tokens, labels)

    assert set(answer) == asked
    assert len(answer) == len(asked)


# Of any account


@dataclass(frozen=True)
class Account:
    tokens: list[Token]
    labels: SecretVersions
    stored: Mapping[str, str]


@st.composite
def accounts(draw: st.DrawFn) -> Account:
    """Any account around a secret, with answers for some of the versions that are ambiguous."""
    holders = {name: draw(st.sampled_from([OLDEST, OLD, NOW, NEXT])) for name in ("current", "previous")}
    if draw(st.booleans()):
        holders["pending"] = draw(st.sampled_from([OLDEST, OLD, NOW, NEXT]))
    labels = versions(**holders)
    ours = st.sampled_from([label_for(ARN, version) for version in BIRTHDAY])
    others = st.sampled_from(
        [*(label_for(OTHER_ARN, version) for version in (OLD, NOW)), "laptop", "dockerhub-rotation/"]
    )
    born = st.sampled_from([*BIRTHDAY.values(), BIRTHDAY[NOW] + timedelta(seconds=1), None])
    fields = draw(st.lists(st.tuples(ours | ours | others, st.booleans(), born), min_size=1, max_size=8))
    tokens = [Token(f"uuid {n}", *rest) for n, rest in enumerate(fields)]
    answers = st.none() | st.sampled_from([token.uuid for token in tokens])
    told = {version: draw(answers) for version in ambiguous(tokens, labels)}
    return Account(tokens, labels, {version: uuid for version, uuid in told.items() if uuid is not None})


def test_a_token_that_awscurrent_and_awsprevious_hold_is_not_superseded() -> None:
    """Whatever was made for the current version besides; and what is older than it was abandoned."""
    held = replace(foreign("held"), created_at=BIRTHDAY[NOW])
    tokens = [held, made(NOW, "unheld"), made(OLDEST, "abandoned"), made(NEXT)]

    changes = plan(tokens, ROTATED, {NOW: "held", OLD: "held"})

    assert outcome(changes) == {"unheld": "deleted", "abandoned": "deleted"}


@given(accounts())
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(account: Account) -> None:
    after = apply(plan(account.tokens, account.labels, account.stored), account.tokens)
    known = {version: uuid for version, uuid in account.stored.items() if version in ambiguous(after, account.labels)}

    assert plan(after, account.labels, known) == []


@given(accounts())
def test_only_our_tokens_and_the_superseded_one_are_ever_changed(account: Account) -> None:
    for change in plan(account.tokens, account.labels, account.stored):
        ours = version_of(change.token, ARN) is not None
        named = change.token.uuid in account.stored.values()
        assert ours or named
        assert not change.token.label.startswith(label_for(OTHER_ARN, ""))
        assert change.becomes != "deleted" or ours


@given(accounts())
def test_the_token_of_the_current_value_is_never_disabled_nor_deleted(account: Account) -> None:
    current = account.labels.holder(CURRENT)
    assert current is not None
    mine = [token for token in account.tokens if version_of(token, ARN) == current]
    certain = account.stored.get(current) or (mine[0].uuid if len(mine) == 1 else None)
    for change in plan(account.tokens, account.labels, account.stored):
        if change.becomes != "active":
            assert change.token.uuid != certain
            assert certain is not None or change.token not in mine


@given(accounts())
def test_what_is_needed_is_enabled_before_anything_is_taken_away(account: Account) -> None:
    order = [change.becomes for change in plan(account.tokens, account.labels, account.stored)]

    assert order == sorted(order, key=["active", "disabled", "deleted"].index)


@given(accounts())
def test_a_token_is_changed_at_most_once_and_only_if_it_changes(account: Account) -> None:
    changes = plan(account.tokens, account.labels, account.stored)

    assert len({change.token.uuid for change in changes}) == len(changes)
    for change in changes:
        same_state = change.becomes == ("active" if change.token.active else "disabled")
        assert not same_state or (change.label is not None and change.label != change.token.label)


@given(accounts(), st.randoms(use_true_random=False))
def test_the_order_in_which_tokens_are_listed_means_nothing(account: Account, random: Random) -> None:
    shuffled = list(account.tokens)
    random.shuffle(shuffled)

    assert set(plan(shuffled, account.labels, account.stored)) == set(
        plan(account.tokens, account.labels, account.stored)
    )
