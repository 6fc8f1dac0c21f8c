"""Healing: a dead current token has the secret rotated, once, where that is switched on and nothing is against it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dockerhub_rotation import secrets_manager
from rehearsal.docker_hub import Fault as HubFault
from rehearsal.docker_hub import Token
from rehearsal.invariants import Invariants
from rehearsal.sandbox import Function, FunctionError
from rehearsal.secret_descriptions import Refused
from rehearsal.wire import Fault, FaultKind, Request, Server
from rehearsal.world import FUNCTION_ARN, SECRET_NAME, Scene, Shape, World
from tests.rotation.cared import DAY, HOUR, counts, findings, messages, names, rotated_secret, store_by_hand
from tests.rotation.seen import holder, token_under
from tests.rotation.test_reports import Slack
from tests.rotation.test_right_account import another_account, store_parameters_of

MakeWorld = Callable[..., World]
WatchedWorld = Callable[..., tuple[World, Invariants]]

HEALS = Scene(environment={"DOCKERHUB_HEAL": "rotate"})
LOGIN, LIST, ROTATE = "POST /v2/auth/token", "GET /v2/access-tokens", "RotateSecret"
LOOKING = ["ListSecrets", "GetParameters", LOGIN, LIST, "DescribeSecret"]
HEALING = [*LOOKING, "GetSecretValue", LOGIN, "DescribeSecret", ROTATE]  # of a token that the list calls dead


def deleted(world: World, token: Token) -> None:
    del world.hub.tokens[token.uuid]


def disabled(_world: World, token: Token) -> None:
    token.active = False


def expired(world: World, token: Token) -> None:
    token.expires_at = datetime.fromtimestamp(world.now(), UTC) - timedelta(minutes=1)


DEATHS = {it.__name__: it for it in (deleted, disabled, expired)}


def of_days(world: World, invariants: Invariants | None = None) -> World:
    """Rotate, and let two days pass. All of the account's other tokens are older, so none may be the one in use."""
    world.passed += DAY
    world.rotate(RotationRules={"AutomaticallyAfterDays": 30})
    world.rotate()
    world.passed += 2 * DAY
    if invariants:
        invariants.begin(world)
    return world


def with_dead_token(
    world: World, invariants: Invariants | None = None, death: Callable[[World, Token], None] = deleted
) -> World:
    of_days(world, invariants)
    death(world, token_under(world))
    if invariants:
        invariants.begin(world)
    return world


def started(world: World, since: int = 0) -> int:
    return sum(event.name == "RotationStarted" for event in world.aws.events[since:])


def works(world: World) -> bool:
    world.aws.wait()
    return world.hub.authenticates(world.current_token())


# It heals


@pytest.mark.parametrize("death", DEATHS.values(), ids=DEATHS)
def test_a_dead_token_is_replaced_by_one_rotation_as_the_secret_has_it(
    watched_world: WatchedWorld, death: Callable[[World, Token], None]
) -> None:
    world, invariants = watched_world(HEALS)
    with_dead_token(world, invariants, death)
    dead, schedule = token_under(world).uuid if death is not deleted else "", described(world)
    asked, began = len(world.wire.requests), len(world.aws.events)

    answer = world.care()

    looking = [*LOOKING, "GetSecretValue"] if death is deleted else LOOKING  # which says which token it would be
    assert names(world, asked)[: names(world, asked).index(ROTATE) + 1] == [*looking, *HEALING[len(LOOKING) :]]
    assert works(world)
    assert [event.name for event in world.aws.events[began:]] == ["RotationStarted", "RotationSucceeded"]
    kind = "CurrentTokenDisabled" if death is disabled else "CurrentTokenDead"
    assert findings(answer) == [kind, "HealStarted"]
    assert holder(world, "AWSCURRENT") in messages(answer)
    assert described(world) == schedule
    if death is disabled:  # it may have leaked
        assert not world.hub.tokens[dead].active
    invariants.search_output(world)
    assert invariants.broken == []
    assert findings(world.care()) == []


def described(world: World) -> tuple[object, ...]:
    secret = world.client.describe_secret(SecretId=SECRET_NAME)
    return secret["RotationLambdaARN"], secret["RotationRules"], secret["RotationEnabled"]


def test_where_healing_is_not_switched_on_it_is_reported_and_no_login_is_spent(make_world: MakeWorld) -> None:
    world = with_dead_token(make_world())
    asked = len(world.wire.requests)

    assert findings(world.care()) == ["CurrentTokenDead"]
    assert names(world, asked) == [*LOOKING, "GetSecretValue"]


def test_a_token_that_works_is_left_alone_and_asks_for_nothing_more(make_world: MakeWorld) -> None:
    world = of_days(make_world(HEALS))
    asked = len(world.wire.requests)

    assert findings(world.care()) == []
    assert names(world, asked) == LOOKING


def test_a_value_that_was_stored_by_hand_and_is_refused_costs_one_login_in_all(make_world: MakeWorld) -> None:
    world = of_days(make_world(HEALS))
    store_by_hand(world, world.secret_arn, "dckr_pat_" + "x" * 27)
    world.passed += 2 * DAY

    assert "HealStarted" in findings(world.care())
    assert world.hub.refused_logins == 1


@pytest.fixture
def slack() -> Iterator[tuple[Slack, str]]:
    slack = Slack()
    with Server(slack.app) as server:
        yield slack, f"{server.url}/services/T0/B0/webhook-secret"


def test_slack_is_told_of_each_heal(make_world: MakeWorld, slack: tuple[Slack, str]) -> None:
    webhook = {"SLACK_WEBHOOK_PARAMETER": "SLACK"}
    world = make_world(Scene(environment={**HEALS.environment, **webhook}))
    world.aws.put_parameter("SLACK", slack[1])
    with_dead_token(world)

    world.care()
    world.aws.wait()

    (told,) = map(str, slack[0].messages)
    assert "HealStarted" in told
    assert f"version {holder(world, 'AWSCURRENT')}" in told
    assert "Where it says that a rotation was started, wait for its end first." in told
    assert "mends nothing of it by itself" not in told


@pytest.mark.parametrize("why", ["HealBlocked", "HealTooSoon"])
def test_slack_is_told_each_time_why_no_rotation_was_started(
    make_world: MakeWorld, slack: tuple[Slack, str], why: str
) -> None:
    world = make_world(Scene(environment={**HEALS.environment, "SLACK_WEBHOOK_PARAMETER": "SLACK"}))
    world.aws.put_parameter("SLACK", slack[1])
    of_days(world)
    if why == "HealTooSoon":
        world.rotate()
        world.passed += HOUR
    else:
        world.client.cancel_rotate_secret(SecretId=SECRET_NAME)
        world.aws._find(SECRET_NAME).rotation_lambda_arn = FUNCTION_ARN
    deleted(world, token_under(world))

    world.care()
    world.care()

    assert [why in str(told) for told in slack[0].messages] == [True, True]


def test_with_one_time_codes_each_heal_leaves_a_code_of_its_own_to_its_rotation(
    make_world: MakeWorld, clock: Any
) -> None:
    codes: list[int] = []

    def note(request: Request) -> None:
        if request.name in ("POST /v2/users/2fa-login", ROTATE):
            codes.append(int(world.now() // 30))

    world = make_world(replace(HEALS, two_factor=True, shape=Shape.ECS), on_request=note)
    world.rotate()
    another = rotated_secret(world, "another/token")
    clock.tick(2 * DAY)
    deleted(world, token_under(world))
    disabled(world, next(it for it in world.hub.tokens.values() if it.value == world.aws.value(another)))
    codes.clear()

    answer = world.care()

    assert findings(answer, world.secret_arn)[-1] == findings(answer, another)[-1] == "HealStarted"
    login, first, second = codes
    assert (first, second) == (login + 1, login + 2)


# It does not


def test_in_the_wrong_account_nothing_is_ever_started(make_world: MakeWorld) -> None:
    world, other = of_days(make_world(HEALS)), another_account()
    store_parameters_of(world, other)
    began = len(world.aws.events)
    deleted(world, token_under(world))

    for _ in range(3):
        assert findings(world.care()) == ["AccountDoubtful"]
        world.passed += 2 * DAY

    assert started(world, began) == 0


def test_a_token_of_another_account_that_was_stored_is_not_replaced(make_world: MakeWorld) -> None:
    world, other = of_days(make_world(HEALS)), another_account()
    store_by_hand(world, world.secret_arn, other.add_token("theirs").value)
    world.hub.tokens.clear()
    world.passed += 2 * DAY
    began = len(world.aws.events)

    assert findings(world.care()) == ["AccountDoubtful"]
    assert started(world, began) == 0


@pytest.mark.parametrize("listed", [True, False])
def test_a_value_that_names_another_user_is_not_replaced_though_this_account_has_tokens_of_the_secret(
    make_world: MakeWorld, listed: bool
) -> None:
    """As ours its token is refused; as theirs it may work. And createSecret would refuse it, and block the next one."""
    world, other = of_days(make_world(replace(HEALS, shape=Shape.ECS))), another_account()
    if listed:
        world.aws.put_parameter("DOCKER_HUB_USERNAME", "acme-renamed")
        world.hub.username = "acme-renamed"
        token_under(world).active = False
    else:
        value = json.dumps({"username": other.username, "password": other.add_token("theirs").value})
        store_by_hand(world, world.secret_arn, value)
    world.caretaker.discard()
    world.passed += 2 * DAY
    began = len(world.aws.events)

    answer = world.care()

    assert started(world, began) == 0
    assert findings(answer)[0] == ("CurrentTokenDisabled" if listed else "AccountDoubtful")
    assert ("HealBlocked" in findings(answer)) is listed
    assert "names another user than the account" in messages(answer)
    assert world.hub.refused_logins == 0


@pytest.mark.parametrize(("age", "heals"), [(DAY - 1, False), (DAY + 1, True)])
def test_a_version_younger_than_a_day_is_not_healed_for_the_next_one_would_die_too(
    make_world: MakeWorld, clock: Any, age: int, heals: bool
) -> None:
    world = of_days(make_world(HEALS))
    world.rotate()
    clock.tick(age - (world.now() - rotated_at(world)))
    deleted(world, token_under(world))
    began = len(world.aws.events)

    answer = world.care()

    assert ("HealTooSoon" in findings(answer)) is not heals
    assert started(world, began) == heals
    if not heals:
        assert "whatever has killed its token may kill the next one" in messages(answer)


def rotated_at(world: World) -> float:
    at: datetime = world.client.describe_secret(SecretId=SECRET_NAME)["LastRotatedDate"]
    return at.timestamp()


def test_a_version_that_somebody_has_stored_today_is_young_though_its_rotation_is_old(make_world: MakeWorld) -> None:
    world = of_days(make_world(HEALS))
    store_by_hand(world, world.secret_arn, "dckr_pat_" + "x" * 27)

    assert "HealTooSoon" in findings(world.care())


def test_a_version_that_was_made_long_ago_is_young_if_its_rotation_has_ended_today(make_world: MakeWorld) -> None:
    world = of_days(make_world(HEALS))
    world.hold_before = "finishSecret"
    world.rotate()
    world.passed += 2 * DAY
    world.hold_before = None
    world.aws.retry(world.secret_arn)
    world.aws.wait()
    deleted(world, token_under(world))

    assert "HealTooSoon" in findings(world.care())


def test_where_aws_dates_nothing_a_version_is_young(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """It promises no field. Else each hour would heal what the hour before has made."""
    world = with_dead_token(make_world(HEALS))
    monkeypatch.setattr(secrets_manager, "_seconds", lambda moment: 0.0)
    began = len(world.aws.events)

    assert "HealTooSoon" in findings(world.care())
    assert started(world, began) == 0


def acting(make_world: MakeWorld, at: str, scene: Scene = HEALS) -> tuple[World, list[Callable[[], object]]]:
    """Return a world, and a list: what is put there is done, once, after the next request of this name."""
    acts: list[Callable[[], object]] = []

    def act(request: Request) -> None:
        if request.name == at and acts:
            acts.pop()()

    return make_world(scene, on_request=act), acts


def test_a_login_that_works_shows_that_the_list_is_wrong_and_nothing_is_started(make_world: MakeWorld) -> None:
    world, acts = acting(make_world, "GetSecretValue")
    with_dead_token(world, death=disabled)
    token, began = token_under(world), len(world.aws.events)
    acts.append(lambda: setattr(token, "active", True))

    answer = world.care()

    assert findings(answer) == ["ListDoubtful"]
    assert (counts(answer), started(world, began)) == ((1, 0, 1), 0)
    assert findings(world.care()) == []


def test_a_list_that_shows_less_than_it_counts_is_no_ground_for_a_rotation(make_world: MakeWorld) -> None:
    world = with_dead_token(make_world(HEALS))
    began, tokens = len(world.aws.events), [token for token in world.hub.tokens.values() if "dockerhub" in token.label]
    shown = [{"uuid": token.uuid, "token_label": token.label, "is_active": token.active} for token in tokens]
    world.hub.faults += [HubFault("GET", "/v2/access-tokens", 200, {"count": 99, "next": None, "results": shown})] * 2

    answer = world.care()

    assert findings(answer)[:2] == ["CurrentTokenDead", "HealBlocked"]
    assert "counts more tokens than it shows" in messages(answer)
    assert started(world, began) == 0


def test_where_rotation_is_switched_off_none_is_started_for_that_would_switch_it_on(make_world: MakeWorld) -> None:
    world = with_dead_token(make_world(HEALS))
    world.client.cancel_rotate_secret(SecretId=SECRET_NAME)
    world.aws._find(SECRET_NAME).rotation_lambda_arn = FUNCTION_ARN  # AWS does not say that it forgets it
    began = len(world.aws.events)

    answer = world.care()

    assert findings(answer) == ["CurrentTokenDead", "HealBlocked"]
    assert "rotation is switched off" in messages(answer)
    assert started(world, began) == 0


def test_where_tags_are_wrong_none_is_started_until_they_are_mended(make_world: MakeWorld) -> None:
    """A rotation would not get past createSecret, and its version would be in the way of every other one."""
    world = with_dead_token(make_world(HEALS))
    began, key = len(world.aws.events), "dockerhub-rotation:grace"
    world.client.tag_resource(SecretId=SECRET_NAME, Tags=[{"Key": key, "Value": "for ever"}])

    answer = world.care()

    assert findings(answer) == ["CurrentTokenDead", "HealBlocked", "TagsInvalid"]
    assert answer["Secrets"][0]["Findings"][1]["Message"] == (
        "No rotation was started for the token under AWSCURRENT that does not work: by the secret's tags none is made. "
        "Mend them, and the caretaker's next look starts one."
    )
    assert started(world, began) == 0
    world.client.untag_resource(SecretId=SECRET_NAME, TagKeys=[key])
    assert "HealStarted" in findings(world.care())
    assert works(world)


def test_a_secret_that_another_function_is_to_rotate_meanwhile_is_left_to_that(make_world: MakeWorld) -> None:
    world, acts = acting(make_world, LOGIN)
    with_dead_token(world)
    began, secret = len(world.aws.events), world.aws._find(SECRET_NAME)
    acts.append(lambda: acts.append(lambda: setattr(secret, "rotation_lambda_arn", f"{FUNCTION_ARN}-another")))

    assert findings(world.care()) == ["CurrentTokenDead"]
    assert started(world, began) == 0


def test_a_lockout_is_no_refusal_and_the_next_hour_heals(make_world: MakeWorld) -> None:
    world, acts = acting(make_world, "GetSecretValue")
    with_dead_token(world, death=disabled)
    began = len(world.aws.events)
    acts.append(lambda: world.hub._locked_until.update({world.hub.username: world.now() + 600}))

    answer = world.care()

    assert findings(answer) == ["CurrentTokenDisabled", "LockedOut"]
    assert (counts(answer), started(world, began)) == ((0, 1, 1), 0)
    world.passed += HOUR
    assert "HealStarted" in findings(world.care())
    assert works(world)


def test_a_role_that_may_not_rotate_is_told_so_beside_what_was_found(make_world: MakeWorld) -> None:
    world = with_dead_token(make_world(HEALS))
    world.aws.refuse["RotateSecret"] = ("AccessDeniedException", "no")

    answer = world.care()

    assert findings(answer) == ["CurrentTokenDead", "AwsRefused"]
    assert "lambda:InvokeFunction on the rotation function" in messages(answer)


def test_once_no_token_of_a_secret_is_left_its_value_has_to_name_the_account(make_world: MakeWorld) -> None:
    """The heal before has left nothing else: the dead token is gone, and was the one under AWSPREVIOUS."""
    for shape, found in ((Shape.PLAIN, "AccountDoubtful"), (Shape.ECS, "HealStarted")):
        world = with_dead_token(make_world(replace(HEALS, shape=shape)))
        world.care()
        world.aws.wait()
        world.passed += 2 * DAY
        deleted(world, token_under(world))

        assert findings(world.care())[-1] == found
        assert works(world) is (shape is Shape.ECS)


# Beside another rotation


def test_a_heal_whose_first_step_met_a_503_is_gone_on_with_by_secrets_manager_and_then_reported(
    make_world: MakeWorld,
) -> None:
    world = with_dead_token(make_world(HEALS))
    began = len(world.aws.events)
    world.hold_before = "createSecret"  # as if each of its attempts met one

    first = world.care()
    world.aws.wait()
    world.passed += HOUR - 60
    second = world.care()
    world.aws.wait()

    assert findings(first) == ["CurrentTokenDead", "HealStarted"]
    assert findings(second) == ["CurrentTokenDead", "HealBlocked"]
    assert f"version {holder(world, 'AWSPENDING')} is AWSPENDING since" in messages(second)
    assert "aws secretsmanager update-secret-version-stage" in messages(second)
    assert started(world, began) == 1
    world.hold_before = None
    world.aws.retry(world.secret_arn)
    assert works(world)
    assert findings(world.care()) == []


def test_a_503_in_the_first_step_of_a_heal_is_put_right_by_the_next_attempt(watched_world: WatchedWorld) -> None:
    world, invariants = watched_world(HEALS)
    with_dead_token(world, invariants)
    began, asked = len(world.aws.events), len(world.wire.requests) + len(HEALING)
    world.wire.faults += [Fault(asked + at, FaultKind.UNAVAILABLE_AFTER) for at in range(1, 16)]

    world.care()

    assert works(world)
    said = [event.name for event in world.aws.events[began:]]
    assert said[0] == "RotationStarted"
    assert (said.count("RotationFailed") > 0, said[-1]) == (True, "RotationSucceeded")
    assert invariants.broken == []


@pytest.mark.parametrize("at", [LIST, "GetSecretValue", LOGIN, "DescribeSecret"])
def test_beside_a_persons_own_rotation_no_second_one_is_started(make_world: MakeWorld, at: str) -> None:
    """Whichever request it begins after; it may go through at once, or go on."""
    for holds in (None, "finishSecret"):
        world, acts = acting(make_world, at)
        with_dead_token(world)
        world.function.discard()
        began, world.hold_before = len(world.aws.events), holds
        acts.append(world.rotate)

        world.care()
        world.aws.wait()

        assert started(world, began) == 1
        world.hold_before = None
        if holds:
            world.aws.retry(world.secret_arn)
        assert works(world)


def test_a_rotation_that_begins_after_the_last_look_at_the_labels_is_not_said_to_be_the_caretakers(
    make_world: MakeWorld,
) -> None:
    world, acts = acting(make_world, "DescribeSecret")
    with_dead_token(world)
    began, world.hold_before = len(world.aws.events), "createSecret"
    acts += [world.rotate, lambda: None]  # at the second one

    answer = world.care()

    assert findings(answer) == ["CurrentTokenDead"]
    assert started(world, began) == 1


def test_rotation_that_is_switched_off_meanwhile_stays_so(make_world: MakeWorld) -> None:
    def switch_off() -> None:
        world.client.cancel_rotate_secret(SecretId=SECRET_NAME)
        world.aws._find(SECRET_NAME).rotation_lambda_arn = FUNCTION_ARN

    world, acts = acting(make_world, LOGIN)
    with_dead_token(world, death=disabled)
    began = len(world.aws.events)
    acts += [switch_off, lambda: None]  # the second login is the one with the token

    assert findings(world.care()) == ["CurrentTokenDisabled"]
    assert started(world, began) == 0
    assert described(world)[-1] is False


def test_a_rotation_that_began_since_the_last_look_is_not_reported_as_a_hindrance(make_world: MakeWorld) -> None:
    world = with_dead_token(make_world(HEALS))
    world.hold_before = "testSecret"
    world.rotate()
    world.passed += 1500

    assert findings(world.care()) == ["CurrentTokenDead"]
    world.passed += 600
    assert findings(world.care()) == ["CurrentTokenDead", "HealBlocked"]


@pytest.mark.parametrize(("age", "found"), [(1800, []), (1801, ["HealBlocked"])])
def test_a_rotation_hangs_once_half_an_hour_has_passed_since_it_made_its_token(
    make_world: MakeWorld, clock: Any, age: int, found: list[str]
) -> None:
    world = with_dead_token(make_world(HEALS))
    world.hold_before = "testSecret"
    world.rotate()
    staged = token_under(world, "AWSPENDING")
    staged.created_at = datetime.fromtimestamp(world.now() - age, UTC)

    assert findings(world.care()) == ["CurrentTokenDead", *found]


def test_what_was_seen_tells_which_version_is_asked_for_so_that_nobody_starts_it_twice(make_world: MakeWorld) -> None:
    """A caretaker may be late: the rotation that another has started may be at its end."""
    world, asked = with_dead_token(make_world(HEALS)), list[str]()

    def refuse(call: dict[str, Any], _moto: object) -> Any:
        asked.append(call["ClientRequestToken"])
        raise Refused("InvalidParameterException", "no")

    world.aws._rules["RotateSecret"] = refuse
    world.care()
    world.care()
    world.client.tag_resource(SecretId=SECRET_NAME, Tags=[{"Key": "changed", "Value": "since"}])
    world.care()

    first, second, third = asked
    assert first == second != third


# Whatever fails


@pytest.mark.parametrize(
    "kind",
    [FaultKind.LOST_BEFORE, FaultKind.LOST_AFTER, FaultKind.RATE_LIMITED, FaultKind.HTML],
)
def test_a_fault_at_any_request_of_a_heal_leaves_one_rotation_and_the_next_look_puts_it_right(
    watched_world: WatchedWorld, clock: Any, kind: FaultKind
) -> None:
    world, invariants = watched_world(replace(HEALS, shape=Shape.ECS))  # which names the account
    of_days(world, invariants)
    for at in range(1, len(HEALING) + 1):
        world.passed += 2 * DAY
        deleted(world, token_under(world))
        invariants.begin(world)
        world.caretaker.discard()
        began = len(world.aws.events)
        world.wire.faults.append(Fault(len(world.wire.requests) + at, kind))

        with suppress(FunctionError):
            world.care()
        world.aws.wait()
        world.passed += HOUR
        world.wire.faults.clear()
        world.care()

        assert works(world), at
        assert started(world, began) == 1, at
    invariants.search_output(world)
    assert invariants.broken == []


@pytest.mark.parametrize("kind", [FaultKind.KILLED_BEFORE, FaultKind.KILLED_AFTER])
def test_a_caretaker_killed_at_its_last_request_leaves_one_rotation(
    watched_world: WatchedWorld, process_of_its_own: Callable[..., Function], kind: FaultKind
) -> None:
    world, invariants = watched_world(HEALS, run_function=process_of_its_own)
    with_dead_token(world, invariants)
    began = len(world.aws.events)
    world.wire.faults.append(Fault(len(world.wire.requests) + len(HEALING), kind))

    with pytest.raises(FunctionError, match="died"):
        world.care()
    world.aws.wait()
    world.passed += HOUR
    world.care()

    assert works(world)
    assert started(world, began) == 1
    assert invariants.broken == []
