"""An older version of this function, to which somebody has gone back, deletes no token of a version that is in use."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from dockerhub_rotation import plan as today
from dockerhub_rotation import token_labels
from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.plan import Grace
from dockerhub_rotation.secrets_manager import SecretVersions
from dockerhub_rotation.token_labels import label_for
from tests.accounts import ARN, AT, NEXT, NOW, OLD, OLDEST, apply, foreign, made, versions

RELEASED = Path(__file__).parent / "released"
DAY = 86_400.0
LONG = "a-version-id-of-64-characters-" + "x" * 34


def _load(name: str, instead_of: str, **imported: ModuleType) -> ModuleType:
    """Run a released file as the module that it was, with what it imported."""
    module = ModuleType(instead_of)
    with mock.patch.dict(sys.modules, {instead_of: module, **imported}):
        exec(compile((RELEASED / name).read_text(encoding="utf-8"), name, "exec"), vars(module))  # noqa: S102 - ours
    return module


LABELS = _load("token_labels.txt", "dockerhub_rotation.token_labels")
PLAN = _load("plan.txt", "dockerhub_rotation.plan", **{"dockerhub_rotation.token_labels": LABELS})


@dataclass(frozen=True)
class InGrace:
    """An account whose rotations had a grace, and were interrupted anywhere.

    Attributes:
        truth: the token of each version.
    """

    tokens: list[Token]
    labels: SecretVersions
    truth: dict[str, str]

    def planned(self) -> list[today.Change]:
        """Return what the older version does. The versions that it asks tell it the truth."""
        groups = PLAN.grouped(self.tokens, self.labels)
        stored = {version: self.truth[version] for version, group in groups.items() if group.has_to_be_asked}
        changes: list[today.Change] = PLAN.plan(self.tokens, self.labels, stored, AT)
        return changes

    def outcome(self) -> dict[str, str]:
        return {change.token.uuid: change.becomes for change in self.planned()}


def test_the_older_version_takes_a_label_with_a_time_for_a_strangers() -> None:
    token = replace(made(OLD), label=label_for(ARN, OLD, AT))

    assert LABELS.version_of(token, ARN) is None
    assert not LABELS.is_anothers(token, ARN)


def test_a_version_that_is_asked_is_known_by_its_value_and_retired_at_once() -> None:
    """It knows no grace. What it disables gets the label that it knows, without a time."""
    tokens = [made(NOW), replace(made(OLD, "it"), label=label_for(ARN, OLD, AT + DAY))]
    account = InGrace(tokens, versions(current=NOW, previous=OLD), {OLD: "it"})

    (change,) = account.planned()

    assert (change.token.uuid, change.becomes, change.label) == ("it", "disabled", label_for(ARN, OLD))


def test_it_would_delete_what_carries_a_digest_without_a_time_so_nothing_does() -> None:
    labels = versions(current=NOW, previous=OLD)
    labels = replace(labels, labels={NOW: labels.labels[NOW], LONG: labels.labels[OLD]})
    digest = label_for(ARN, LONG, AT).partition(" ")[0]
    account = InGrace([made(NOW), made(OLD), replace(made(OLD, "it"), label=digest)], labels, {LONG: "another"})

    assert account.outcome()["it"] == "deleted"
    assert digest not in {label_for(ARN, LONG), label_for(ARN, LONG, AT)}


@st.composite
def accounts(draw: st.DrawFn) -> InGrace:
    every = (OLDEST, OLD, NOW, NEXT)
    current, previous = draw(st.sampled_from([(NOW, OLD), (OLD, NOW), (NEXT, NOW), (NOW, None)]))
    holders = {"current": current} | ({"previous": previous} if previous else {})
    for name in draw(st.sets(st.sampled_from(["pending", "pinned"]))):
        holders[name] = draw(st.sampled_from(every))
    times = st.none() | st.sampled_from([AT + days * DAY for days in (-40, -1, 0, 1, 20)])
    tokens = [
        replace(made(version), label=label_for(ARN, version, draw(times)), active=draw(st.booleans()))
        for version in every
    ]
    return InGrace([*tokens, foreign()], versions(**holders), {version: made(version).uuid for version in every})


@settings(max_examples=300)
@given(accounts())
def test_no_token_of_a_version_with_a_staging_label_is_deleted(account: InGrace) -> None:
    changes = account.outcome()

    staged = {account.truth[version] for version in account.labels.labels}
    assert not staged & {uuid for uuid, becomes in changes.items() if becomes == "deleted"}
    assert changes.get(account.truth[account.labels.holder("AWSCURRENT") or ""]) in (None, "active")


@settings(max_examples=300)
@given(accounts())
def test_after_going_back_and_forth_nothing_in_use_is_lost_and_nothing_lives_for_ever(account: InGrace) -> None:
    between = apply(account.planned(), account.tokens)

    after = apply(today.plan(between, account.labels, {}, AT, Grace(DAY, 30 * DAY)), between)

    uuids = {token.uuid: token for token in after}
    for version, labels in account.labels.labels.items():
        if labels & {"AWSCURRENT", "AWSPENDING"}:
            assert uuids[account.truth[version]].active
    for token in after:
        staged = account.labels.labels.get(token_labels.version_of(token, ARN) or "", frozenset())
        if token.active and token.label != "laptop" and not staged - {"AWSPREVIOUS"}:
            young = token.created_at is not None and AT - token.created_at.timestamp() <= 3600
            assert young or token_labels.until(token) is not None
