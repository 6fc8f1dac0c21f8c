"""Whatever an account holds, the plan takes nothing that is needed, comes to an end, and leaves nothing unsaid."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from random import Random
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.groups import grouped
from dockerhub_rotation.plan import NO_GRACE, Change, Grace, plan
from dockerhub_rotation.remaining import Left, in_grace, left_active
from dockerhub_rotation.secrets_manager import CURRENT, PENDING, PREVIOUS, SecretVersions
from dockerhub_rotation.token_labels import carries_time, is_anothers, label_for, until, version_of
from tests.accounts import ARN, AT, BIRTHDAY, NEXT, NOW, OLD, OLDEST, OTHER_ARN, apply, foreign, made, versions

A_DAY = Grace(86400, 86400 * 30)
GRACES = (A_DAY, Grace(0, 86400 * 30), A_DAY, NO_GRACE)


@dataclass(frozen=True)
class Account:
    tokens: list[Token]
    labels: SecretVersions
    stored: Mapping[str, str]
    at: float
    grace: Grace = NO_GRACE

    @cached_property
    def changes(self) -> list[Change]:
        return plan(self.tokens, self.labels, self.stored, self.at, self.grace)

    @cached_property
    def left(self) -> list[Left]:
        return list(left_active(self.tokens, self.labels, self.stored, self.at, self.grace))

    @cached_property
    def in_grace(self) -> dict[str, float]:
        """Until when the tokens live that are in grace, by uuid."""
        remaining = in_grace(self.tokens, self.labels, self.stored, self.at, self.grace)
        return {one.token.uuid: one.until for one in remaining}

    @cached_property
    def after(self) -> "Account":
        """The account after its plan has been carried out; what was told is told again where it is asked again."""
        tokens = apply(self.changes, self.tokens)
        again = asked(tokens, self.labels)
        return replace(self, tokens=tokens, stored={v: uuid for v, uuid in self.stored.items() if v in again})

    def works(self, token: Token) -> bool:
        return bool(token.active) and not token.expired(self.at)

    def is_in_use(self, version: str | None) -> bool:
        return bool(self.labels.labels.get(version or "", frozenset()) & {CURRENT, PENDING})

    @cached_property
    def held_in_use(self) -> set[str]:
        """Return the uuids of the tokens that a value told of which consumers have, or are about to."""
        return {uuid.lower() for version, uuid in self.stored.items() if self.is_in_use(version)}


def asked(tokens: list[Token], labels: SecretVersions) -> set[str]:
    return {version for version, group in grouped(tokens, labels).items() if group.has_to_be_asked}


@st.composite
def accounts(draw: st.DrawFn) -> Account:
    """Any account around a secret, with answers for some of the versions that have to be asked."""
    some_version = st.sampled_from([OLDEST, OLD, NOW, NEXT])
    holders = {name: draw(some_version) for name in ("current", "previous")}
    for name in draw(st.sets(st.sampled_from(["pending", "pinned", "pinned_too", "new_to_us"]))):
        holders[name] = draw(some_version)
    labels = versions(**holders)
    made_for = draw(st.sets(some_version, min_size=2))  # the values of the others have to be asked
    at = draw(st.sampled_from([AT, AT - 86400 * 15, AT + 86400]))
    times = st.sampled_from([*(at + hours * 3600 for hours in (30, 1, 0, -1, -30, -2000, 2000)), None, None, None])
    ours = st.builds(label_for, st.just(ARN), st.sampled_from(sorted(made_for)), times) | st.sampled_from(
        [f"{label_for(ARN, version)} until friday" for version in sorted(made_for)]
    )
    others = st.sampled_from(
        [*(label_for(OTHER_ARN, version) for version in (OLD, NOW)), "laptop", "dockerhub-rotation/"]
    )
    born = st.sampled_from([*BIRTHDAY.values(), BIRTHDAY[NOW] + timedelta(seconds=1), None])
    ends = st.sampled_from(
        [None, None, None, *(datetime.fromtimestamp(at + days * 86400, UTC) for days in (-1, 0, 10))]
    )
    fields = draw(st.lists(st.tuples(ours | ours | others, st.booleans(), born, ends), min_size=1, max_size=6))
    tokens = [Token(f"uuid {n}", *rest) for n, rest in enumerate(fields)]
    answers = st.none() | st.sampled_from([spelt(token.uuid) for token in tokens for spelt in (str.lower, str.upper)])
    told = {version: draw(answers) for version in sorted(asked(tokens, labels))}
    known = {version: uuid for version, uuid in told.items() if uuid is not None}
    return Account(tokens, labels, known, at, draw(st.sampled_from(GRACES)))


@given(accounts())
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(account: Account) -> None:
    assert account.after.changes == []


@given(accounts())
def test_what_is_left_is_left_and_said_again(account: Account) -> None:
    """Applying a plan neither takes away what it leaves, nor makes it forget to say so."""
    again = {left.token.uuid for left in account.after.left}

    assert {left.token.uuid for left in account.left} <= again | account.held_in_use


@given(accounts())
def test_only_our_tokens_and_the_superseded_one_are_ever_changed(account: Account) -> None:
    told = {uuid.lower() for uuid in account.stored.values()}
    for change in account.changes:
        ours = version_of(change.token, ARN) is not None
        assert ours or change.token.uuid in told
        assert not change.token.label.startswith(label_for(OTHER_ARN, ""))
        assert change.becomes != "deleted" or ours


@given(accounts())
def test_the_token_of_the_current_value_is_never_disabled_nor_deleted(account: Account) -> None:
    current = account.labels.holder(CURRENT)
    assert current is not None
    mine = [token for token in account.tokens if version_of(token, ARN) == current]
    told = account.stored.get(current)
    certain = told.lower() if told else mine[0].uuid if len(mine) == 1 else None
    for change in account.changes:
        if change.becomes != "active":
            assert change.token.uuid != certain
            assert certain is not None or change.token not in mine


ANY = Random(1)  # noqa: S311 - it shuffles
# The superseded value is a copy of the pinned one: too much of a coincidence to be drawn.
COPIES = Account(
    [made(NOW), made(OLDEST, "uuid 0"), made(OLDEST, "uuid 1"), foreign("uuid 2")],
    versions(current=NOW, previous=OLD, pending=NEXT, pinned=OLDEST),
    {OLD: "UUID 0", NEXT: "uuid 2"},
    AT,
)


@given(accounts())
@example(COPIES)
def test_the_token_of_a_pinned_version_is_never_changed(account: Account) -> None:
    """Unless the version is in use besides, or a value is that holds the same token: then that row counts."""
    for change in account.changes:
        version = version_of(change.token, ARN)
        if version is not None and account.labels.pins(version) and not account.is_in_use(version):
            assert change.token.uuid in account.held_in_use
            assert change.becomes == "active"


@given(accounts())
def test_a_pinned_token_that_is_active_is_said_or_in_use(account: Account) -> None:
    said = {left.token.uuid for left in account.left if "is pinned by" in left.why}
    for token in account.tokens:
        version = version_of(token, ARN)
        pinned = version is not None and account.labels.pins(version) and not account.is_in_use(version)
        if account.works(token) and pinned:
            assert token.uuid in said | account.held_in_use


@given(accounts())
def test_nothing_of_ours_stays_active_unsaid(account: Account) -> None:
    """But what is in use, or may be: of twins whose value did not tell, or of a rotation that has just begun."""
    said = {left.token.uuid for left in account.left}
    for token in account.after.tokens:
        version = version_of(token, ARN)
        if account.works(token) and version is not None and not account.is_in_use(version):
            young = token.created_at is not None and account.at - token.created_at.timestamp() <= 3600
            assert young or token.uuid in said | account.held_in_use | account.in_grace.keys()


@given(accounts())
def test_what_is_said_to_be_left_is_active_and_in_no_plan(account: Account) -> None:
    changed = {change.token.uuid for change in account.changes}
    for left in account.left:
        assert account.works(left.token)
        assert left.token.uuid not in changed | account.held_in_use
        # One of two tokens of a version in use that is not the stored one may be what another version holds.
        assert not account.is_in_use(left.version) or left.why.startswith("it may be the one that")
        assert is_anothers(left.token, ARN) == ("another secret" in left.why)


@given(accounts())
def test_nothing_young_is_deleted_that_may_belong_to_a_rotation(account: Account) -> None:
    """Younger than every token that the current version may hold, and than an hour.

    One that was disabled has a time of its own, which is before the creation of such a token.
    """
    current = account.labels.holder(CURRENT)
    born = [token.created_at for token in account.tokens if version_of(token, ARN) == current and token.created_at]
    for change in account.changes:
        version = version_of(change.token, ARN)
        gone = change.becomes == "deleted" and not change.token.expired(account.at)
        if gone and version not in account.labels.labels:
            held = {token.uuid: token for token in account.tokens if token.uuid in account.held_in_use}
            moments = [*born, *(token.created_at for token in held.values() if token.created_at)]
            disabled_at = None if change.token.active else until(change.token)
            if disabled_at is not None and any(disabled_at < moment.timestamp() for moment in moments):
                continue
            at = change.token.created_at
            assert at is not None
            assert any(at < moment for moment in moments) or account.at - at.timestamp() > 3600


@given(accounts())
def test_what_is_needed_is_enabled_before_anything_is_taken_away(account: Account) -> None:
    order = [change.becomes for change in account.changes]

    assert order == sorted(order, key=["active", "disabled", "deleted"].index)


@given(accounts())
def test_a_token_is_changed_at_most_once_and_only_if_it_changes(account: Account) -> None:
    changes = account.changes

    assert len({change.token.uuid for change in changes}) == len(changes)
    for change in changes:
        same_state = change.becomes == ("active" if change.token.active else "disabled")
        assert not same_state or (change.label is not None and change.label != change.token.label)


@given(accounts(), st.randoms(use_true_random=False))
@example(replace(COPIES, stored={NEXT: "uuid 2", OLD: "uuid 2"}), ANY)
@example(replace(COPIES, stored={OLD: "uuid 2", NEXT: "uuid 2"}), ANY)
def test_no_order_means_anything(account: Account, random: Random) -> None:
    """Neither that of the list, nor that of the staging labels, nor that in which values were asked."""

    def shuffled(items: list[Any]) -> list[Any]:
        return random.sample(items, len(items))

    other = replace(
        account,
        tokens=shuffled(account.tokens),
        labels=replace(account.labels, labels=dict(shuffled(list(account.labels.labels.items())))),
        stored=dict(shuffled(list(account.stored.items()))),
    )

    assert set(other.changes) == set(account.changes)
    assert set(other.left) == set(account.left)


@given(accounts())
def test_a_superseded_token_is_disabled_or_in_grace_wherever_the_current_one_is_known(account: Account) -> None:
    """In the row of AWSPREVIOUS, the table has no ifs."""
    groups = grouped(account.tokens, account.labels, account.stored)
    current, previous = (account.labels.holder(label) or "" for label in (CURRENT, PREVIOUS))
    unknown = any(group.is_unknown for group in groups.values() if group.in_use)
    if groups[current].tokens and not unknown and not groups[previous].in_use and not groups[previous].pins:
        after = {token.uuid: token for token in account.after.tokens}
        for token in groups[previous].tokens:
            assert token.uuid not in after or not account.works(after[token.uuid]) or token.uuid in account.in_grace


@settings(max_examples=400)  # few of them have a token in grace
@given(accounts())
def test_a_grace_ends_and_not_before_its_deadline(account: Account) -> None:
    """What is in grace has its deadline on its label then, within the limit; and at that time, it is disabled."""
    grace, after = account.grace, {token.uuid: token for token in account.after.tokens}
    for uuid, deadline in account.in_grace.items():
        written = until(after[uuid])
        assert account.works(after[uuid])
        assert written is not None
        if after[uuid].expired(written):
            continue
        assert deadline <= written <= deadline + 10
        assert account.at < deadline <= account.at + grace.limit
        later = replace(account.after, at=written)
        groups = grouped(later.tokens, later.labels, later.stored).values()
        unknown = any(group.holds_an_unknown_token or (group.in_use and group.is_unknown) for group in groups)
        assert unknown or {change.becomes for change in later.changes if change.token.uuid == uuid} == {"disabled"}
    for change in account.changes:
        if change.becomes == "disabled":
            written, then = (until(token) for token in (change.token, replace(change.token, label=change.label or "")))
            assert then is not None
            assert then >= account.at
            assert not change.token.active or not grace.limit or written is None or written <= account.at


@given(accounts())
def test_nothing_is_taken_away_while_a_token_in_use_is_unknown(account: Account) -> None:
    groups = grouped(account.tokens, account.labels, account.stored).values()
    if any(group.is_unknown for group in groups if group.in_use):
        assert {change.becomes for change in account.changes} <= {"active"}


@given(accounts())
def test_what_was_disabled_in_this_rotation_is_not_deleted_in_it(account: Account) -> None:
    disabled = {change.token.uuid for change in account.changes if change.becomes == "disabled"}
    for at in (account.at, account.at + 900, account.at + 86400):
        later = replace(account.after, at=at)
        assert not disabled & {change.token.uuid for change in later.changes if change.becomes == "deleted"}


@given(accounts())
def test_no_active_token_in_use_keeps_a_time(account: Account) -> None:
    left = {left.token.uuid for left in account.after.left}  # a twin that is not deleted in doubt
    for token in account.after.tokens:
        if account.works(token) and account.is_in_use(version_of(token, ARN)) and token.uuid not in left:
            assert not carries_time(token)


@given(accounts())
def test_what_has_expired_is_left_or_deleted_and_only_where_no_staging_label_speaks_for_it(account: Account) -> None:
    groups = grouped(account.tokens, account.labels, account.stored).values()
    for change in account.changes:
        if change.token.expired(account.at):
            assert change.becomes == "deleted"
            (group,) = [group for group in groups if change.token in group.tokens]
            assert group.is_twin(change.token) or not group.labels & {CURRENT, PENDING, PREVIOUS} | group.pins


@given(accounts())
def test_a_longer_grace_never_takes_away_more(account: Account) -> None:
    longer = replace(account, grace=replace(account.grace, seconds=account.grace.limit))
    taken = {change.token.uuid for change in account.changes if change.becomes != "active"}

    assert {change.token.uuid for change in longer.changes if change.becomes != "active"} <= taken
