"""Whoever moves a staging label while the function waits keeps the token that the label then holds."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from dockerhub_rotation.token_labels import label_for
from rehearsal.docker_hub import Fault, Token
from rehearsal.sandbox import FunctionError
from rehearsal.wire import Fault as WireFault
from rehearsal.wire import FaultKind, Request
from rehearsal.world import World
from tests.rotation.seen import event, finished, hand_made, holder, token_under, warnings

PATCH, DELETE = "PATCH /v2/access-tokens/{uuid}", "DELETE /v2/access-tokens/{uuid}"
LIST, LOGIN = "GET /v2/access-tokens", "POST /v2/auth/token"
MOVED_AWAY = "^EventRefused: Version .* was promoted, and then AWSCURRENT was moved to another version"
NO = (400, {"message": "no", "errinfo": {}})

pytestmark = pytest.mark.usefixtures("clock")


class Person:
    """Somebody who does something, once, as soon as a request has been answered; by default with 429, wait 8 seconds.

    Attributes:
        acts: what is done at which request; it is taken out when it is done.
    """

    def __init__(self) -> None:
        self.acts: dict[str, Callable[[], None]] = {}

    def __call__(self, request: Request) -> None:
        if act := self.acts.pop(request.name, None):
            act()

    def during_the_wait_at(self, world: World, name: str, act: Callable[[], None]) -> None:
        method, _, path = name.partition(" ")
        world.hub.faults.append(
            Fault(method, path.replace("{uuid}", "*"), 429, {"detail": "Rate limit exceeded"}, {"Retry-After": "8"})
        )
        self.acts[name] = act


@pytest.fixture
def person() -> Person:
    return Person()


@pytest.fixture
def world(make_world: Callable[..., World], person: Person, clock: Any) -> World:
    """Return a world in which finishSecret is due, and has a token to disable and one to delete."""
    world = make_world(on_request=person)
    for _ in range(2):
        world.rotate()
        clock.tick(86400)
    world.hold_before = "finishSecret"
    world.rotate()
    return world


def finish(world: World, label: str = "AWSPENDING") -> None:
    world.function.invoke(event(world, "finishSecret", label))


def move_awscurrent_to(world: World, version: str) -> None:
    world.client.update_secret_version_stage(
        SecretId=world.secret_arn,
        VersionStage="AWSCURRENT",
        MoveToVersionId=version,
        RemoveFromVersionId=holder(world, "AWSCURRENT"),
    )


def pin(world: World, version: str) -> None:
    world.client.update_secret_version_stage(SecretId=world.secret_arn, VersionStage="blue", MoveToVersionId=version)


def looks(world: World, since: int) -> int:
    """Return how often the staging labels were read since the ledger had a length."""
    return [request.name for request in world.wire.requests[since:]].count("DescribeSecret")


def as_it_was(token: Token, world: World) -> bool:
    return world.hub.tokens.get(token.uuid) is token and token.active


# Before a token is disabled


def test_a_token_that_becomes_current_again_while_its_disabling_waits_is_not_disabled(
    world: World, person: Person
) -> None:
    superseded, version = token_under(world), holder(world, "AWSCURRENT")
    label = superseded.label
    person.during_the_wait_at(world, PATCH, lambda: move_awscurrent_to(world, version))

    with pytest.raises(FunctionError, match=MOVED_AWAY) as raised:
        finish(world)

    assert not person.acts
    assert holder(world, "AWSCURRENT") == version
    assert as_it_was(superseded, world)
    assert superseded.label == label
    assert f"--version-stage AWSPENDING --remove-from-version-id {holder(world, 'AWSPENDING')}" in str(raised.value)


def test_a_token_that_is_pinned_while_its_disabling_waits_is_left_and_said(world: World, person: Person) -> None:
    superseded, version = token_under(world), holder(world, "AWSCURRENT")
    person.during_the_wait_at(world, PATCH, lambda: pin(world, version))

    finish(world)

    assert not person.acts
    assert as_it_was(superseded, world)
    assert finished(world)[1] == {"deleted": 1, "left": 1}
    assert "Staging labels have changed meanwhile; what becomes of the tokens is planned anew" in warnings(world)


def test_what_is_disabled_by_a_try_without_an_answer_is_enabled_where_it_becomes_current_again_meanwhile(
    world: World, person: Person
) -> None:
    superseded, version = token_under(world), holder(world, "AWSCURRENT")
    person.acts["UpdateSecretVersionStage"] = lambda: world.wire.faults.append(
        WireFault(len(world.wire.requests) + 1, FaultKind.LOST_AFTER)
    )
    person.acts[PATCH] = lambda: move_awscurrent_to(world, version)

    with pytest.raises(FunctionError, match=MOVED_AWAY):
        finish(world)

    assert [request.name for request in world.wire.requests if request.fault] == [PATCH]
    assert as_it_was(superseded, world)
    assert world.hub.authenticates(world.current_token())


# Before a token is deleted


def test_a_token_that_becomes_current_again_while_its_deletion_waits_is_not_deleted(
    world: World, person: Person
) -> None:
    oldest, version = token_under(world, "AWSPREVIOUS"), holder(world, "AWSPREVIOUS")

    def roll_back() -> None:
        move_awscurrent_to(world, version)
        oldest.active = True

    person.during_the_wait_at(world, DELETE, roll_back)

    with pytest.raises(FunctionError, match=MOVED_AWAY):
        finish(world)

    assert not person.acts
    assert world.current_token() == oldest.value
    assert as_it_was(oldest, world)


def test_a_token_disabled_a_moment_ago_is_enabled_where_it_becomes_current_again_while_another_is_to_be_deleted(
    world: World, person: Person
) -> None:
    superseded, version = token_under(world), holder(world, "AWSCURRENT")
    person.during_the_wait_at(world, DELETE, lambda: move_awscurrent_to(world, version))

    with pytest.raises(FunctionError, match=MOVED_AWAY):
        finish(world)

    assert not person.acts
    assert world.current_token() == superseded.value
    assert as_it_was(superseded, world)
    assert finished(world)[1] == {"disabled": 1}  # of the other one, the next rotation knows that it may go


def test_a_token_that_is_pinned_while_its_deletion_waits_is_not_deleted(world: World, person: Person) -> None:
    oldest, version = token_under(world, "AWSPREVIOUS"), holder(world, "AWSPREVIOUS")
    superseded = token_under(world)
    person.during_the_wait_at(world, DELETE, lambda: pin(world, version))

    finish(world)

    assert not person.acts
    assert world.hub.tokens[oldest.uuid] is oldest
    assert not superseded.active
    assert finished(world)[1] == {"disabled": 1}


def test_what_this_rotation_has_disabled_is_not_deleted_by_it_after_planning_anew(world: World, person: Person) -> None:
    superseded, oldest = token_under(world), token_under(world, "AWSPREVIOUS")

    def store_another() -> None:
        by_hand = world.hub.add_token("stored by hand")
        world.client.put_secret_value(SecretId=world.secret_arn, SecretString=by_hand.value)

    person.during_the_wait_at(world, DELETE, store_another)

    with pytest.raises(FunctionError, match=MOVED_AWAY):
        finish(world)

    assert not person.acts
    for token in (oldest, superseded):  # a value stored by hand is no rotation
        assert world.hub.tokens[token.uuid] is token
        assert not token.active


# While something waits before


@pytest.mark.parametrize("name", [LOGIN, LIST])
def test_a_version_that_is_pinned_while_anything_waits_before_the_promotion_keeps_its_token(
    world: World, person: Person, name: str
) -> None:
    superseded, version = token_under(world), holder(world, "AWSCURRENT")
    world.function.discard()
    person.during_the_wait_at(world, name, lambda: pin(world, version))

    finish(world)

    assert not person.acts
    assert as_it_was(superseded, world)
    assert finished(world)[1] == {"deleted": 1, "left": 1}


@pytest.mark.parametrize("name", [LOGIN, LIST])
def test_a_version_that_is_pinned_while_an_answer_takes_its_time_keeps_its_token(
    world: World, person: Person, clock: Any, name: str
) -> None:
    superseded, version = token_under(world), holder(world, "AWSCURRENT")

    def slowly() -> None:
        pin(world, version)
        clock.tick(6)

    person.acts[name] = slowly

    finish(world)

    assert clock.sleeps == []
    assert as_it_was(superseded, world)


def test_where_nothing_had_to_wait_the_staging_labels_are_read_once(world: World, clock: Any) -> None:
    since = len(world.wire.requests)

    finish(world)

    assert clock.sleeps == []
    assert looks(world, since) == 1


def test_after_a_wait_they_are_read_once_more_for_all_that_follows_it(world: World, person: Person) -> None:
    """And where they are as before, nothing is planned anew."""
    since = len(world.wire.requests)
    person.during_the_wait_at(world, PATCH, lambda: None)

    finish(world)

    assert looks(world, since) == 2
    assert warnings(world) == []
    assert finished(world)[1] == {"disabled": 1, "deleted": 1}


def test_where_they_cannot_be_read_nothing_is_taken_away(world: World, person: Person) -> None:
    superseded, oldest = token_under(world), token_under(world, "AWSPREVIOUS")

    def no_more_looks() -> None:
        world.aws.refuse["DescribeSecret"] = ("AccessDeniedException", "no")

    person.during_the_wait_at(world, PATCH, no_more_looks)

    with pytest.raises(FunctionError, match="RetirementFailed: .*secretsmanager:DescribeSecret"):
        finish(world)

    assert as_it_was(superseded, world)
    assert oldest.uuid in world.hub.tokens


def test_where_they_cannot_be_read_to_plan_anew_what_was_done_is_counted(world: World, person: Person) -> None:
    oldest, version = token_under(world, "AWSPREVIOUS"), holder(world, "AWSPREVIOUS")

    def pin_and_hide_the_list() -> None:
        pin(world, version)
        world.hub.faults += [Fault("GET", "/v2/access-tokens", *NO)]

    person.during_the_wait_at(world, DELETE, pin_and_hide_the_list)

    with pytest.raises(FunctionError, match="RetirementFailed: .*Listing the tokens"):
        finish(world)

    assert not person.acts
    assert oldest.uuid in world.hub.tokens
    assert finished(world)[1] == {"disabled": 1}


# What else takes a token away


def test_a_retirement_that_goes_on_after_a_failure_looks_again_as_well(world: World, person: Person) -> None:
    superseded, version = token_under(world), holder(world, "AWSCURRENT")
    world.hub.faults.append(Fault("PATCH", "/v2/access-tokens/*", *NO))
    with pytest.raises(FunctionError, match="RetirementFailed"):
        finish(world)
    person.during_the_wait_at(world, PATCH, lambda: pin(world, version))

    finish(world, "AWSCURRENT")

    assert not person.acts
    assert as_it_was(superseded, world)


def test_a_token_that_is_caught_up_on_is_not_disabled_where_it_becomes_current_again_meanwhile(
    make_world: Callable[..., World], person: Person
) -> None:
    world = make_world(on_request=person)
    first, version = hand_made(world), holder(world, "AWSCURRENT")
    world.hub.faults += [Fault("PATCH", "/v2/access-tokens/*", *NO)] * 5
    world.rotate()
    assert first.active
    world.hold_before = "finishSecret"
    world.rotate()
    person.during_the_wait_at(world, PATCH, lambda: move_awscurrent_to(world, version))

    with pytest.raises(FunctionError, match="EventRefused: AWSCURRENT was moved to another version during the"):
        finish(world)

    assert not person.acts
    assert as_it_was(first, world)
    assert first.label == "made by hand"
    assert world.current_token() == first.value


def test_an_orphan_whose_version_is_pinned_while_its_deletion_waits_is_not_swept(
    make_world: Callable[..., World], person: Person
) -> None:
    """What was swept before makes room all the same."""
    world = make_world(on_request=person)
    versions = []
    for _ in range(4):
        versions.append(holder(world, "AWSCURRENT"))
        world.rotate()
    world.hold_before = "createSecret"
    world.rotate()
    orphans = {version: world.hub.add_token(label_for(world.secret_arn, version)) for version in versions[:2]}
    for orphan in orphans.values():
        orphan.created_at -= timedelta(hours=2)
    world.hub.max_tokens = len(world.hub.tokens)

    def left() -> list[str]:
        return [version for version, orphan in orphans.items() if as_it_was(orphan, world)]

    person.acts[DELETE] = lambda: person.during_the_wait_at(world, DELETE, lambda: pin(world, left()[0]))

    world.function.invoke(event(world, "createSecret"))

    assert not person.acts
    assert [world.state().labels[version] for version in left()] == [{"blue"}]
    assert world.aws.value(world.secret_arn, "AWSPENDING") is not None
