"""What the list of tokens lacks is not always gone: no consumer is said to be refused who is let in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.docker_hub.personal_tokens import PersonalTokens
from dockerhub_rotation.token_labels import label_for
from rehearsal.docker_hub import Fault as HubFault
from rehearsal.invariants import Invariants
from rehearsal.wire import Request
from rehearsal.world import FUNCTION_ARN, Scene, World
from tests.rotation.cared import (
    DAY,
    HOUR,
    counts,
    facts,
    findings,
    messages,
    names,
    of_version,
    rotated_secret,
    store_by_hand,
)
from tests.rotation.seen import finished, hand_made, holder, token_under, warnings

MakeWorld = Callable[..., World]
WatchedWorld = Callable[..., tuple[World, Invariants]]

LOGIN = "POST /v2/auth/token"
LIST = "GET /v2/access-tokens"
ORIGIN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:dockerhub-token-AbCdEf"
UNKNOWN_VERSION = "11111111-2222-4333-8444-555555555555"
NOT_ALL = "The new token is AWSCURRENT, but a token that no consumer needs may still be active."


def aged(world: World, clock: Any) -> World:
    """Rotate twice, a day apart, and let a day pass: no stranger's token is as old as the current one."""
    for _ in range(2):
        clock.tick(DAY)
        assert world.rotate() == ["RotationStarted", "RotationSucceeded"]
    clock.tick(DAY)
    return world


def move_back(world: World) -> None:
    """Move AWSCURRENT back by hand, to the version that it came from."""
    world.client.update_secret_version_stage(
        SecretId=world.secret_arn,
        VersionStage="AWSCURRENT",
        MoveToVersionId=holder(world, "AWSPREVIOUS"),
        RemoveFromVersionId=holder(world, "AWSCURRENT"),
    )


def label_as_of(world: World, arn: str) -> None:
    """Let every token of the secret be one that was made for the same version of another."""
    for label in ("AWSCURRENT", "AWSPREVIOUS"):
        version = holder(world, label)
        of_version(world, version).label = label_for(arn, version)


def list_otherwise(monkeypatch: pytest.MonkeyPatch, otherwise: Callable[[list[Token]], list[Token]]) -> None:
    whole = PersonalTokens.listed
    monkeypatch.setattr(PersonalTokens, "listed", lambda self, *how: otherwise(whole(self, *how)))


def logins(world: World, since: int) -> int:
    """Return how many logins with values the caretaker has made, whose sandbox logs in once with the password."""
    return names(world, since).count(LOGIN) - names(world, since).count("GetParameters")


# The token is listed, and its label does not say so


def test_a_promoted_replica_holds_its_origins_token(make_world: MakeWorld, clock: Any) -> None:
    """It has another ARN, and the versions of its origin, with whose label the token is listed."""
    world = aged(make_world(), clock)
    label_as_of(world, ORIGIN)
    before, asked = world.state(), len(world.wire.requests)

    first, second = world.care(), world.care()

    assert findings(first) == findings(second) == []
    assert facts(first)["current_token"] == "works"
    assert logins(world, asked) == 1
    assert world.state() == before


def test_a_token_that_several_secrets_hold_and_another_has_labelled_works_during_its_grace(
    make_world: MakeWorld, clock: Any
) -> None:
    world = aged(make_world(), clock)
    token = token_under(world)
    token.label = label_for(ORIGIN, UNKNOWN_VERSION, world.now() + HOUR)

    answer = world.care()

    assert (findings(answer), facts(answer)["current_token"]) == ([], "works")
    assert "until" in token.label


@pytest.mark.parametrize("dated", [True, False], ids=["dated", "of unknown age"])
def test_a_token_whose_label_somebody_has_changed_works(
    make_world: MakeWorld, clock: Any, dated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = aged(make_world(), clock)
    token = token_under(world)
    token.label = "renamed"
    if not dated:
        list_otherwise(monkeypatch, lambda listed: [replace(one, created_at=None) for one in listed])
    asked = len(world.wire.requests)

    first, second = world.care(), world.care()

    assert findings(first) == findings(second) == []
    assert facts(first)["current_token"] == facts(second)["current_token"] == "works"
    assert logins(world, asked) == 1
    assert (token.active, token.label) == (True, "renamed")


def test_what_another_function_has_made_before_this_one_was_attached_works(make_world: MakeWorld, clock: Any) -> None:
    """Long before that, for several secrets."""
    world = make_world()
    clock.tick(30 * DAY)
    store_by_hand(world, world.secret_arn, hand_made(world).value)
    world.aws.attach(world.secret_arn, FUNCTION_ARN)
    world.aws.mark_rotated(world.secret_arn)
    clock.tick(DAY)

    assert findings(world.care()) == []


def test_a_value_to_which_awscurrent_was_moved_back_may_be_anybodys(watched_world: WatchedWorld, clock: Any) -> None:
    """A rotation has ended well since somebody stored it, and has not made it."""
    world, invariants = watched_world()
    aged(world, clock)
    other = world.hub.add_token(label_for(ORIGIN, UNKNOWN_VERSION))
    clock.tick(DAY)
    store_by_hand(world, world.secret_arn, other.value)
    clock.tick(DAY)
    world.rotate()
    move_back(world)
    clock.tick(DAY)
    invariants.begin(world)

    answer = world.care()

    assert (findings(answer), facts(answer)["current_token"]) == ([], "works")
    assert other.active
    assert not of_version(world, holder(world, "AWSPREVIOUS")).active
    assert invariants.broken == []


def test_where_another_token_might_have_been_it_a_dead_one_is_told_by_one_login(
    make_world: MakeWorld, clock: Any
) -> None:
    world = aged(make_world(), clock)
    dead = token_under(world)
    world.hub.tokens.pop(dead.uuid)
    world.hub.add_token("a stranger's").created_at = dead.created_at + timedelta(minutes=1)

    answer = world.care()

    assert findings(answer) == ["CurrentTokenDead"]
    assert "A login has shown it" in messages(answer)
    assert world.hub.refused_logins == 1


@pytest.mark.parametrize(
    ("age", "active", "logins"),
    [(-1200, True, 1), (-1201, True, 0), (300, True, 1), (301, True, 0), (0, False, 0)],
)
def test_a_strangers_token_might_be_it_if_it_works_and_was_made_when_the_rotation_made_one(
    make_world: MakeWorld, clock: Any, age: int, active: bool, logins: int
) -> None:
    """In the quarter of an hour before the value was stored, or until the rotation ended, by clocks that may differ."""
    world = aged(make_world(), clock)
    del world.hub.tokens[token_under(world).uuid]
    secret = world.client.describe_secret(SecretId=world.secret_arn)
    stored = world.client.get_secret_value(SecretId=world.secret_arn)["CreatedDate"]
    since = stored if age < 0 else secret["LastRotatedDate"]
    stranger = world.hub.add_token("a stranger's", active=active)
    stranger.created_at = since.astimezone(UTC) + timedelta(seconds=age)

    assert findings(world.care()) == ["CurrentTokenDead"]
    assert world.hub.refused_logins == logins


def test_a_token_of_another_version_cannot_be_it_however_old_it_is(make_world: MakeWorld, clock: Any) -> None:
    world = aged(make_world(), clock)
    dead = token_under(world)
    del world.hub.tokens[dead.uuid]
    other = world.hub.add_token(label_for(world.secret_arn, UNKNOWN_VERSION))
    other.created_at = dead.created_at + timedelta(minutes=1)

    assert findings(world.care())[0] == "CurrentTokenDead"

    assert world.hub.refused_logins == 0


@pytest.mark.parametrize("label", ["a stranger's", label_for(ORIGIN, UNKNOWN_VERSION)])
def test_a_token_that_cannot_be_it_costs_no_login(make_world: MakeWorld, clock: Any, label: str) -> None:
    world = aged(make_world(), clock)
    dead = token_under(world)
    world.hub.tokens.pop(dead.uuid)
    others_current = label.startswith("dockerhub-rotation/")
    for hours in (-1, 1):
        world.hub.add_token(label).created_at = dead.created_at + timedelta(hours=0 if others_current else hours)

    assert findings(world.care()) == ["CurrentTokenDead"]
    assert world.hub.refused_logins == 0


def test_a_dead_value_that_several_secrets_hold_is_tried_once(make_world: MakeWorld, clock: Any) -> None:
    world = aged(make_world(), clock)
    arns = [rotated_secret(world, f"team-{number}/token") for number in range(4)]
    for arn in arns:
        store_by_hand(world, arn, "dckr_pat_" + "x" * 27)

    answer = world.care()

    assert [findings(answer, arn)[0] for arn in arns] == ["CurrentTokenDead"] * 4
    assert world.hub.refused_logins == 1


# The list does not show all


def test_a_list_that_lags_behind_a_rotation_that_has_just_ended_shows_no_dead_token(
    make_world: MakeWorld, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = aged(make_world(Scene(grace="24h")), clock)
    superseded = token_under(world)
    world.rotate()
    late = token_under(world).uuid
    list_otherwise(monkeypatch, lambda listed: [one for one in listed if one.uuid != late])
    asked = len(world.wire.requests)

    answer = world.care()

    assert (findings(answer), facts(answer)["current_token"]) == ([], "works")
    assert (superseded.active, facts(answer)["in_grace"]) == (True, 1)
    assert logins(world, asked) == 1
    assert world.hub.refused_logins == 0


@pytest.mark.parametrize(("ago", "believed"), [(299, False), (301, True)])
def test_a_list_is_believed_from_five_minutes_after_a_rotation_on(
    make_world: MakeWorld, clock: Any, monkeypatch: pytest.MonkeyPatch, ago: int, believed: bool
) -> None:
    world = aged(make_world(), clock)
    world.rotate()
    late = token_under(world).uuid
    list_otherwise(monkeypatch, lambda listed: [one for one in listed if one.uuid != late])
    rotated_at = world.client.describe_secret(SecretId=world.secret_arn)["LastRotatedDate"].timestamp()
    clock.tick(rotated_at + ago - world.now())

    assert findings(world.care()) == ["CurrentTokenDead"] * believed


def test_a_list_that_lags_for_an_hour_is_believed(
    make_world: MakeWorld, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = aged(make_world(), clock)
    late = token_under(world).uuid
    list_otherwise(monkeypatch, lambda listed: [one for one in listed if one.uuid != late])

    assert findings(world.care()) == ["CurrentTokenDead"]


@pytest.mark.parametrize("page", [{"results": []}, {"results": [], "next": None, "count": "none"}])
def test_an_empty_page_that_counts_nothing_is_not_believed(make_world: MakeWorld, clock: Any, page: object) -> None:
    world = aged(make_world(), clock)
    world.hub.faults.append(HubFault("GET", "/v2/access-tokens", 200, page))

    answer = world.care()

    assert counts(answer) == (0, 1, 0)
    assert "DockerHubUnavailable: Listing the tokens: the answer is not Docker Hub's API" in answer["Message"]


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("shown", [0, 1])
def test_a_list_that_counts_more_tokens_than_it_shows_is_read_again_and_proves_nothing(
    make_world: MakeWorld, clock: Any, times: int, shown: int
) -> None:
    world = aged(make_world(), clock)
    one = {"uuid": UNKNOWN_VERSION, "token_label": "one", "is_active": False}
    page = {"count": 2, "next": None, "previous": None, "results": [one] * shown}
    world.hub.faults += [HubFault("GET", "/v2/access-tokens", 200, page)] * times
    asked = len(world.wire.requests)

    answer = world.care()

    assert (findings(answer), facts(answer)["current_token"]) == ([], "works")
    assert (names(world, asked).count(LIST), logins(world, asked)) == (2, times - 1)


def test_docker_hubs_clock_does_not_tell_whether_a_secret_has_changed_since_the_list_was_read(
    make_world: MakeWorld, clock: Any
) -> None:
    acts: list[Callable[[], object]] = []

    def act(request: Request) -> None:
        if request.name == LIST and acts:
            acts.pop()()

    world = aged(make_world(on_request=act), clock)
    world.hub.clock = lambda: world.now() + 600
    lists: list[int] = []

    def rotate() -> None:
        world.rotate()
        lists.append(names(world).count(LIST))

    acts.append(rotate)

    answer = world.care()

    assert findings(answer) == []
    assert names(world).count(LIST) == lists[0] + 1
    assert "GetSecretValue" not in names(world)[-3:]


def test_a_token_that_the_list_lacks_tells_all_the_same_since_when_the_one_before_is_superseded(
    make_world: MakeWorld, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has logged in, and is looked up. A copy of the one before it that is used late in its grace is found."""
    world = aged(make_world(Scene(grace="10h")), clock)
    superseded = token_under(world)
    clock.tick(DAY)
    world.rotate()
    late = token_under(world).uuid
    list_otherwise(monkeypatch, lambda listed: [one for one in listed if one.uuid != late])
    clock.tick(240)
    superseded.label = label_for(world.secret_arn, holder(world, "AWSPREVIOUS"), world.now() + 120)
    superseded.last_used = datetime.fromtimestamp(world.now(), UTC)

    assert findings(world.care()) == ["CopyInUse"]


# What is said of an outage


def test_nobody_is_told_that_secrets_manager_repeats_a_look(make_world: MakeWorld, clock: Any) -> None:
    world = aged(make_world(), clock)
    world.hub.faults += [HubFault("*", "/v2/*", 503)] * 9

    answer = world.care()

    assert counts(answer) == (0, 1, 0)
    assert "Secrets Manager" not in answer["Message"]


# One-time codes


@pytest.mark.parametrize("named", [False, True], ids=["all secrets", "one secret"])
def test_right_after_a_rotation_its_one_time_code_is_not_used_again(
    make_world: MakeWorld, clock: Any, named: bool
) -> None:
    world = make_world(Scene(two_factor=True))
    world.rotate()

    answer = world.care(**({"SecretId": world.secret_arn} if named else {}))

    assert counts(answer) == (1, 0, 0)
    assert world.hub.refused_logins == 0


# What somebody stored, and took back


def stored_and_taken_back(world: World, clock: Any, value: str) -> str:
    """Store a value by hand, move AWSCURRENT back by hand, and return the version that has the value."""
    store_by_hand(world, world.secret_arn, value)
    clock.tick(60)
    move_back(world)
    clock.tick(60)
    return holder(world, "AWSPREVIOUS")


def test_a_token_that_was_stored_by_hand_and_taken_back_is_said_and_counted(
    watched_world: WatchedWorld, clock: Any
) -> None:
    world, invariants = watched_world()
    aged(world, clock)
    token = world.hub.add_token("by hand")
    version = stored_and_taken_back(world, clock, token.value)
    invariants.begin(world)
    told = len(warnings(world))

    world.rotate()

    assert finished(world)[0] == NOT_ALL
    assert finished(world)[1]["unidentified"] == 1
    (said,) = warnings(world)[told:]
    assert said.startswith(f"Version {version} was replaced by hand, and not by a rotation.")
    assert (token.active, token.label) == (True, "by hand")
    assert invariants.broken == []


@pytest.mark.parametrize("what", ["a placeholder", "a copy of the current value"])
def test_what_was_taken_back_and_holds_no_other_token_is_not_counted(
    make_world: MakeWorld, clock: Any, what: str
) -> None:
    world = aged(make_world(), clock)
    stored_and_taken_back(world, clock, "changeme" if what == "a placeholder" else token_under(world).value)
    told = len(warnings(world))

    world.rotate()

    assert "unidentified" not in finished(world)[1]
    assert warnings(world)[told:] == []
