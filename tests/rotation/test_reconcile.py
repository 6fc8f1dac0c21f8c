"""Reconcile: it takes away what is due, enables, makes and moves nothing, and says what somebody has to see to."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from dockerhub_rotation.docker_hub.personal_tokens import PersonalTokens
from dockerhub_rotation.token_labels import label_for
from rehearsal.docker_hub import Fault as HubFault
from rehearsal.invariants import Invariants
from rehearsal.sandbox import FunctionError
from rehearsal.wire import Request
from rehearsal.world import FUNCTION_ARN, Scene, Shape, World, token_in
from tests.rotation.cared import (
    DAY,
    HOUR,
    counts,
    facts,
    findings,
    lines,
    messages,
    metrics,
    names,
    of_version,
    rotated_secret,
    store_by_hand,
)
from tests.rotation.seen import hand_made, holder, ours, token_under
from tests.rotation.test_grace import keep_labels
from tests.rotation.test_no_false_alarm import list_otherwise
from tests.rotation.test_orphans import orphan
from tests.rotation.test_pins import pin
from tests.rotation.test_right_account import another_account, store_parameters_of

MakeWorld = Callable[..., World]
WatchedWorld = Callable[..., tuple[World, Invariants]]

COLD = ["ListSecrets", "GetParameters", "POST /v2/auth/token", "GET /v2/access-tokens"]
LOGIN = "POST /v2/auth/token"
GRACE = Scene(grace="2h")


def rotated(world: World, times: int = 2) -> World:
    for _ in range(times):
        assert world.rotate() == ["RotationStarted", "RotationSucceeded"]
    return world


# With nothing to do


@pytest.mark.parametrize("more", [0, 11])
def test_one_management_login_and_one_list_do_for_any_number_of_secrets(make_world: MakeWorld, more: int) -> None:
    world = rotated(make_world())
    for number in range(more):
        rotated_secret(world, f"team-{number}/token")
    asked, before = len(world.wire.requests), world.state()

    answer = world.care()

    assert names(world, asked) == [*COLD, *["DescribeSecret"] * (more + 1)]
    assert counts(answer) == (more + 1, 0, 0)
    assert world.state() == before


def test_a_warm_sandbox_that_looked_a_moment_ago_needs_no_login(make_world: MakeWorld) -> None:
    world = rotated(make_world())
    world.care()
    asked = len(world.wire.requests)

    world.care()

    assert names(world, asked) == ["ListSecrets", "GET /v2/access-tokens", "DescribeSecret"]


def test_without_a_secret_nothing_is_asked_of_docker_hub(make_world: MakeWorld) -> None:
    world = make_world()

    assert counts(world.care()) == (0, 0, 0)
    assert names(world) == ["ListSecrets"]


def test_other_peoples_secrets_are_not_looked_at(make_world: MakeWorld) -> None:
    world = rotated(make_world())
    theirs = rotated_secret(world, "another-project/token")
    world.aws.attach(theirs, "arn:aws:lambda:eu-central-1:123456789012:function:another-project")
    world.aws.create_secret("nobodys", "value")

    answer = world.care()

    assert [secret["SecretId"] for secret in answer["Secrets"]] == [world.secret_arn]


def test_a_secret_that_was_attached_by_hand_is_looked_after(make_world: MakeWorld) -> None:
    world = rotated(make_world())
    arn = rotated_secret(world, "attached/by-hand")

    assert {secret["SecretId"] for secret in world.care()["Secrets"]} == {world.secret_arn, arn}


def test_a_strangers_secret_is_reported_and_nothing_is_asked_of_it(make_world: MakeWorld) -> None:
    world = rotated(make_world(Scene(environment={"DOCKERHUB_SECRETS": "dockerhub-token"})))
    arn = rotated_secret(world, "a-strangers/token")
    asked = len(world.wire.requests)

    answer = world.care()

    assert findings(answer, arn) == ["SecretNotServed"]
    assert arn in messages(answer)
    assert counts(answer) == (2, 0, 1)
    assert names(world, asked) == [*COLD, "DescribeSecret"]


def test_one_secret_may_be_named(make_world: MakeWorld) -> None:
    world = rotated(make_world())
    rotated_secret(world, "another/token")
    asked = len(world.wire.requests)

    answer = world.care(SecretId=world.secret_arn)

    assert [secret["SecretId"] for secret in answer["Secrets"]] == [world.secret_arn]
    assert names(world, asked) == ["DescribeSecret", *COLD[1:], "DescribeSecret"]


# Taking away


def test_a_token_in_grace_is_disabled_at_its_deadline_and_not_before(watched_world: WatchedWorld, clock: Any) -> None:
    world, invariants = watched_world(GRACE)
    rotated(world, times=1)
    superseded = of_version(world, holder(world, "AWSPREVIOUS"))

    clock.tick(2 * HOUR - 60)
    early = world.care()
    was_active = superseded.active
    clock.tick(120)
    late = world.care()

    assert (was_active, superseded.active) == (True, False)
    assert (facts(early)["in_grace"], facts(early)["disabled"]) == (1, 0)
    assert (facts(late)["in_grace"], facts(late)["disabled"]) == (0, 1)
    assert invariants.broken == []


def test_orphans_are_deleted(watched_world: WatchedWorld) -> None:
    world, invariants = watched_world()
    rotated(world)
    token = orphan(world)
    token.creator_ua = "dockerhub-rotation/0.1.0"
    invariants.begin(world)

    answer = world.care()

    assert token.uuid not in world.hub.tokens
    assert facts(answer)["orphans"] == 1
    assert invariants.broken == []


def test_of_several_tokens_for_the_version_in_use_those_that_are_not_stored_go(watched_world: WatchedWorld) -> None:
    world, invariants = watched_world()
    rotated(world)
    current = token_under(world)
    twins = [world.hub.add_token(current.label) for _ in range(2)]
    for twin, later in zip(twins, (-60, 60), strict=True):
        twin.created_at = current.created_at + timedelta(seconds=later)
        twin.expires_at = twin.created_at + timedelta(days=90)
    invariants.begin(world)

    answer = world.care()

    assert not {twin.uuid for twin in twins} & set(world.hub.tokens)
    assert current.active
    assert findings(answer) == []
    assert "token_expires" not in facts(answer)  # it is the others'
    assert invariants.broken == []


def test_a_deadline_that_was_written_after_the_list_was_read_holds(make_world: MakeWorld, clock: Any) -> None:
    """A rotation that failed left one on the current token, and its retry promotes while others are looked at."""
    acts: list[Callable[[], object]] = []

    def act(request: Request) -> None:
        if request.name == "GET /v2/access-tokens" and acts:
            acts.pop()()

    world = rotated(make_world(Scene(grace="30m"), on_request=act))
    clock.tick(DAY)
    superseded = token_under(world)
    world.aws.refuse["UpdateSecretVersionStage"] = ("InternalServiceError", "no")
    world.rotate()
    del world.aws.refuse["UpdateSecretVersionStage"]
    clock.tick(45 * 60)

    def retry() -> None:
        world.aws.retry(world.secret_arn)
        world.aws.wait()

    acts.append(retry)

    answer = world.care()

    assert token_under(world) is not superseded
    assert superseded.active
    assert facts(answer)["in_grace"] == 1


def test_what_cannot_be_taken_away_is_tried_an_hour_later(make_world: MakeWorld, clock: Any) -> None:
    world = rotated(make_world(GRACE), times=1)
    superseded = of_version(world, holder(world, "AWSPREVIOUS"))
    clock.tick(2 * HOUR + 60)
    world.hub.faults += [HubFault("PATCH", "/v2/access-tokens/*", 503)] * 4

    failed = world.care()
    was_active = superseded.active
    world.care()

    assert (counts(failed), findings(failed)) == ((0, 1, 0), ["DockerHubUnavailable"])
    assert (was_active, superseded.active) == (True, False)


def test_a_refusal_to_take_it_away_needs_attention(make_world: MakeWorld, clock: Any) -> None:
    world = rotated(make_world(GRACE))
    clock.tick(2 * HOUR + 60)
    world.hub.faults.append(HubFault("PATCH", "/v2/access-tokens/*", 400, {"message": "no", "errinfo": {}}))

    answer = world.care()

    assert (counts(answer), findings(answer)) == ((0, 1, 1), ["DockerHubRefused"])


def test_a_label_that_was_moved_meanwhile_keeps_its_token(make_world: MakeWorld, clock: Any) -> None:
    """AWSCURRENT goes back between the look at the labels and a change that has to wait."""
    world: World
    acts: list[Callable[[], object]] = []

    def act(request: Request) -> None:
        if request.name.startswith("PATCH") and acts:
            acts.pop()()

    world = rotated(make_world(GRACE, on_request=act))
    current, previous = holder(world, "AWSCURRENT"), holder(world, "AWSPREVIOUS")
    superseded = of_version(world, previous)
    clock.tick(2 * HOUR + 60)
    world.hub.faults.append(HubFault("PATCH", "/v2/access-tokens/*", 503))
    acts.append(
        lambda: world.client.update_secret_version_stage(
            SecretId=world.secret_arn,
            VersionStage="AWSCURRENT",
            MoveToVersionId=previous,
            RemoveFromVersionId=current,
        )
    )

    world.care()

    assert superseded.active
    assert token_under(world) is superseded


# What it never does


@pytest.mark.parametrize("label", ["AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"])
def test_nothing_is_enabled_whichever_label_its_version_carries(make_world: MakeWorld, label: str) -> None:
    world = rotated(make_world())
    world.hold_before = "testSecret"
    world.rotate()
    token = of_version(world, holder(world, label))
    token.active = False
    before = world.state()

    answer = world.care()

    assert not token.active
    assert world.state() == before
    assert findings(answer) == (["CurrentTokenDisabled"] if label == "AWSCURRENT" else [])


def test_the_value_under_awsprevious_is_never_read(make_world: MakeWorld) -> None:
    """Not even where it alone could name its token."""
    world = make_world()
    world.hub.faults += [HubFault("PATCH", "/v2/access-tokens/*", 400, {"message": "no", "errinfo": {}})] * 5
    world.rotate()
    asked = len(world.wire.requests)

    world.care()

    assert "GetSecretValue" not in names(world, asked)
    assert hand_made(world).active


# The token under AWSCURRENT


def test_a_current_token_that_was_deleted_is_dead_by_the_list_alone(make_world: MakeWorld, clock: Any) -> None:
    world = rotated(make_world(), times=1)
    clock.tick(DAY)
    rotated(world, times=1)
    clock.tick(HOUR)
    world.hub.tokens.pop(token_under(world).uuid)
    asked = len(world.wire.requests)

    answer = world.care()

    assert findings(answer) == ["CurrentTokenDead"]
    assert counts(answer) == (1, 0, 1)
    assert facts(answer)["current_token"] == "gone"
    assert names(world, asked).count(LOGIN) == 1  # with the password
    assert world.hub.refused_logins == 0


def test_a_current_token_that_has_expired_is_dead(make_world: MakeWorld) -> None:
    world = rotated(make_world())
    token = token_under(world)
    token.expires_at = token.created_at - timedelta(hours=1)

    answer = world.care()

    assert findings(answer) == ["CurrentTokenDead"]
    assert facts(answer)["token_expires"].endswith(" UTC")


@pytest.mark.parametrize(
    ("shape", "found"), [(Shape.PLAIN, "AccountDoubtful"), (Shape.ECS, "CurrentTokenDead")], ids=str
)
def test_where_no_token_of_the_secret_is_left_the_value_has_to_name_the_account(
    make_world: MakeWorld, shape: Shape, found: str
) -> None:
    world = rotated(make_world(Scene(shape=shape)))
    for version in ours(world):
        world.hub.tokens.pop(of_version(world, version).uuid)

    assert findings(world.care()) == [found]


@pytest.mark.parametrize(
    ("shape", "found"), [(Shape.PLAIN, "AccountDoubtful"), (Shape.ECS, "CurrentTokenDead")], ids=str
)
def test_where_no_token_at_all_is_left_the_list_says_that_it_is_gone_and_the_value_whose_it_is(
    make_world: MakeWorld, clock: Any, shape: Shape, found: str
) -> None:
    world = rotated(make_world(Scene(shape=shape)))
    clock.tick(HOUR)
    world.hub.tokens.clear()

    answer = world.care()

    assert (findings(answer), facts(answer)["current_token"]) == ([found], "gone")
    assert world.hub.refused_logins == 0


def test_while_the_current_token_does_not_work_a_superseded_one_outlives_its_deadline(
    make_world: MakeWorld, clock: Any
) -> None:
    """It may be the only one that does: whoever comes has a way back."""
    world = rotated(make_world(GRACE))
    superseded = of_version(world, holder(world, "AWSPREVIOUS"))
    clock.tick(3 * HOUR)
    token_under(world).active = False

    world.care()
    lived_on = superseded.active
    token_under(world).active = True
    world.care()

    assert (lived_on, superseded.active) == (True, False)


def test_parameters_of_another_account_are_no_dead_token(make_world: MakeWorld) -> None:
    world, other = rotated(make_world()), another_account()
    store_parameters_of(world, other)
    theirs = dict(other.tokens)

    answer = world.care()

    assert findings(answer) == ["AccountDoubtful"]
    assert "another project's" in messages(answer)
    assert other.tokens == theirs


def test_a_token_of_another_account_that_somebody_has_stored_is_doubtful_and_works(make_world: MakeWorld) -> None:
    world, other = rotated(make_world()), another_account()
    token = other.add_token("theirs").value
    store_by_hand(world, world.secret_arn, token)
    ours_app, theirs_app = world.hub.app.wsgi_app, other.app.wsgi_app

    def either(environ: Any, start_response: Any) -> Any:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        app = theirs_app if token.encode() in body else ours_app
        return app(environ | {"wsgi.input": io.BytesIO(body)}, start_response)

    world.hub.app.wsgi_app = either  # type: ignore[method-assign]

    answer = world.care()

    assert findings(answer) == ["AccountDoubtful", "TokenLeftActive"]
    assert "logs in as another account" in messages(answer)


def test_a_value_that_somebody_has_stored_is_asked_by_one_login_and_not_again(
    make_world: MakeWorld, clock: Any
) -> None:
    world = rotated(make_world())
    world.hub.tokens.clear()
    store_by_hand(world, world.secret_arn, world.hub.add_token("by hand").value)
    clock.tick(DAY)
    asked = len(world.wire.requests)

    first = world.care()
    assert names(world, asked) == [*COLD, "DescribeSecret", "GetSecretValue", LOGIN]
    asked = len(world.wire.requests)
    second = world.care()

    assert LOGIN not in names(world, asked)
    assert findings(first) == findings(second) == []
    assert facts(second)["current_token"] == "works"


def test_a_stored_value_that_is_refused_is_dead(make_world: MakeWorld) -> None:
    world = rotated(make_world())
    store_by_hand(world, world.secret_arn, "dckr_pat_" + "x" * 27)

    answer = world.care()

    assert findings(answer) == ["CurrentTokenDead", "TokenLeftActive"]  # the one before it, which others may use
    assert world.hub.refused_logins == 1


def test_a_token_that_has_told_its_name_before_and_was_disabled_since_costs_no_login(make_world: MakeWorld) -> None:
    world = rotated(make_world())
    token = world.hub.add_token("by hand")
    store_by_hand(world, world.secret_arn, token.value)
    world.care()
    token.active = False

    answer = world.care()

    assert findings(answer) == ["CurrentTokenDisabled"]
    assert f"The token under AWSCURRENT ({token.uuid}) is disabled" in messages(answer)
    assert world.hub.refused_logins == 0


def test_a_disabled_token_with_which_nobody_has_logged_in_is_told_by_its_label(make_world: MakeWorld) -> None:
    world = rotated(make_world())
    token = token_under(world)
    token.active = False

    answer = world.care()

    assert f"The token under AWSCURRENT ({token.uuid}) is disabled" in messages(answer)
    assert facts(answer)["token_age_days"] == 0


def test_a_current_token_among_twins_that_the_list_lacks_is_not_told_by_the_twins(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = rotated(make_world())
    current = token_under(world)
    for _ in range(2):
        world.hub.add_token(current.label)
    list_otherwise(monkeypatch, lambda listed: [one for one in listed if one.uuid != current.uuid])

    answer = world.care()

    assert facts(answer)["current_token"] == "unknown"
    assert current.uuid in world.hub.tokens
    assert current.active


def test_after_a_login_with_a_value_the_labels_are_looked_at_again_before_anything_is_taken_away(
    make_world: MakeWorld, clock: Any
) -> None:
    world = rotated(make_world(GRACE))
    superseded = of_version(world, holder(world, "AWSPREVIOUS"))
    clock.tick(3 * HOUR)
    token_under(world).label = "renamed"
    asked = len(world.wire.requests)

    world.care()

    assert not superseded.active
    at = names(world, asked).index("PATCH /v2/access-tokens/{uuid}")
    assert names(world, asked)[at - 3 : at] == ["GetSecretValue", LOGIN, "DescribeSecret"]


def test_a_placeholder_is_no_token_and_costs_no_login(make_world: MakeWorld) -> None:
    world = make_world(Scene(placeholder=True))
    world.hold_before = "createSecret"
    world.rotate()
    asked = len(world.wire.requests)

    assert findings(world.care()) == []
    assert names(world, asked).count(LOGIN) == 1


def test_a_secret_that_never_had_a_value_holds_no_token_yet(make_world: MakeWorld) -> None:
    world = rotated(make_world())
    arn = world.client.create_secret(Name="still/empty")["ARN"]
    world.aws.attach(arn, FUNCTION_ARN)

    answer = world.care()

    (empty,) = (secret for secret in answer["Secrets"] if secret["SecretId"] == arn)
    assert (empty["Findings"], empty["Facts"]["current_token"]) == ([], "placeholder")


def test_a_value_that_cannot_be_read_costs_no_login(make_world: MakeWorld) -> None:
    world = rotated(make_world())
    store_by_hand(world, world.secret_arn, '{"neither": "nor"}')

    assert facts(world.care())["current_token"] == "placeholder"


def test_a_value_that_the_caretaker_may_not_read_leaves_open_what_it_is(make_world: MakeWorld) -> None:
    world = rotated(make_world())
    store_by_hand(world, world.secret_arn, world.hub.add_token("by hand").value)
    world.aws.refuse["GetSecretValue"] = ("AccessDeniedException", "no")

    answer = world.care()

    assert (findings(answer), facts(answer)["current_token"]) == (["AwsRefused"], "unknown")


def test_after_three_refused_logins_no_other_is_made_and_that_is_said(make_world: MakeWorld) -> None:
    world = rotated(make_world())
    for number in range(5):
        arn = rotated_secret(world, f"team-{number}/token")
        store_by_hand(world, arn, f"dckr_pat_{number}" + "x" * 26)

    answer = world.care()

    assert world.hub.refused_logins == 3
    found = [finding["Finding"] for secret in answer["Secrets"] for finding in secret["Findings"]]
    assert found.count("LoginsUsedUp") == 2
    assert counts(answer) == (4, 2, 5)


def test_once_the_user_name_is_locked_no_stored_value_is_tried_any_more(make_world: MakeWorld) -> None:
    world = rotated(make_world())
    for number in range(5):
        arn = rotated_secret(world, f"team-{number}/token")
        store_by_hand(world, arn, world.hub.add_token(f"by hand {number}").value)

    def lock(request: Request) -> None:
        if request.name == "GET /v2/access-tokens":
            world.hub._locked_until[world.hub.username] = world.now() + 600

    world._on_request = lock
    asked = len(world.wire.requests)

    answer = world.care()

    assert counts(answer) == (1, 5, 0)
    assert names(world, asked).count(LOGIN) == 2  # with the password, and with the first value


def test_two_tokens_of_a_pending_version_without_a_value_are_nothing_to_see_to(
    make_world: MakeWorld, clock: Any
) -> None:
    world = rotated(make_world())
    clock.tick(DAY)
    world.hold_before = "createSecret"
    world.rotate()
    for _ in range(2):
        world.hub.add_token(label_for(world.secret_arn, holder(world, "AWSPENDING")))

    assert findings(world.care()) == []


def test_a_rotation_between_the_list_and_the_labels_is_no_dead_token(make_world: MakeWorld) -> None:
    """The list does not show the new token, which was made after it was read."""
    acts: list[Callable[[], object]] = []

    def act(request: Request) -> None:
        if request.name == "GET /v2/access-tokens" and acts:
            acts.pop()()

    world = rotated(make_world(on_request=act))
    acts.append(world.rotate)

    answer = world.care()

    assert findings(answer) == []
    assert facts(answer)["current_token"] == "works"
    assert token_under(world).active
    assert not of_version(world, holder(world, "AWSPREVIOUS")).active


def test_a_token_that_has_moved_between_two_pages_of_the_list_is_no_dead_token(
    make_world: MakeWorld, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = rotated(make_world(Scene(others=150)))
    clock.tick(DAY)
    whole, lists = PersonalTokens.listed, []

    def lacking(self: PersonalTokens, *how: Any) -> Any:
        lists.append(whole(self, *how))
        return [token for token in lists[-1] if len(lists) > 1 or token.uuid != token_under(world).uuid]

    monkeypatch.setattr(PersonalTokens, "listed", lacking)

    assert findings(world.care()) == []
    assert len(lists) == 2


@pytest.mark.parametrize(("tokens", "pages"), [(100, 1), (101, 2 + 2 * 2)], ids=["one page", "two pages"])
def test_a_dead_token_has_the_list_read_once_more_where_one_may_have_moved_and_not_for_each_secret(
    make_world: MakeWorld, clock: Any, tokens: int, pages: int
) -> None:
    """Then for a token that it should show, so that it is looked at twice."""
    world = rotated(make_world())
    arns = [rotated_secret(world, f"team-{number}/token") for number in range(4)]
    for arn in arns:
        value = token_in(world.aws.value(arn) or "")
        world.hub.tokens.pop(next(token.uuid for token in world.hub.tokens.values() if token.value == value))
        world.aws.mark_rotated(arn)
    while len(world.hub.tokens) < tokens:
        world.hub.add_token("another", active=False)
    clock.tick(DAY)
    asked = len(world.wire.requests)

    world.care()

    assert names(world, asked).count("GET /v2/access-tokens") == pages


# A rotation that hangs, a schedule that has stopped, tokens that stay


def test_a_rotation_that_hangs_for_more_than_a_day_is_found_with_the_command_that_unblocks_it(
    make_world: MakeWorld, clock: Any
) -> None:
    world = rotated(make_world())
    world.hold_before = "testSecret"
    world.rotate()
    clock.tick(DAY - 60)
    assert findings(world.care()) == []
    clock.tick(120)

    answer = world.care()

    assert findings(answer) == ["PendingTooLong"]
    assert f"--version-stage AWSPENDING --remove-from-version-id {holder(world, 'AWSPENDING')}" in messages(answer)


def test_a_pending_version_that_never_got_a_value_is_found_too(make_world: MakeWorld, clock: Any) -> None:
    world = rotated(make_world())
    world.hold_before = "createSecret"
    world.rotate()
    clock.tick(DAY + 60)

    assert findings(world.care()) == ["PendingTooLong"]


def test_a_schedule_that_has_stopped_is_found(make_world: MakeWorld, clock: Any) -> None:
    world = make_world()
    world.rotate(RotationRules={"AutomaticallyAfterDays": 30})
    clock.tick(31 * DAY)
    assert findings(world.care()) == []
    clock.tick(2 * DAY)

    answer = world.care()

    assert findings(answer) == ["RotationOverdue"]
    assert facts(answer)["next_rotation"].endswith(" UTC")


def test_what_people_have_pinned_is_said_and_needs_nobody(make_world: MakeWorld) -> None:
    world = rotated(make_world(), times=1)
    pin(world, holder(world, "AWSCURRENT"))
    rotated(world, times=1)

    answer = world.care()

    assert findings(answer) == ["TokenLeftActive"]
    assert counts(answer) == (1, 0, 0)
    assert "staging label blue" in messages(answer)


def test_a_token_that_was_stored_again_is_in_use_though_its_label_names_a_superseded_version(
    make_world: MakeWorld,
) -> None:
    world = rotated(make_world(GRACE), times=3)
    previous, replaced = of_version(world, holder(world, "AWSPREVIOUS")), token_under(world)
    store_by_hand(world, world.secret_arn, previous.value)
    keep_labels(world)

    superseded = facts(world.care())["superseded"]

    told = [it["token"] for it in superseded]
    assert replaced.uuid in told
    assert previous.uuid not in told


def test_a_copy_that_is_used_late_in_its_grace_is_found(make_world: MakeWorld, clock: Any) -> None:
    world = rotated(make_world(GRACE))
    superseded = of_version(world, holder(world, "AWSPREVIOUS"))
    clock.tick(HOUR + 600)
    superseded.last_used = superseded.created_at + timedelta(seconds=HOUR + 600)

    answer = world.care()

    assert (findings(answer), answer["SupersededTokensStillUsed"]) == (["CopyInUse"], 1)
    assert superseded.uuid in messages(answer)


def test_a_copy_that_was_used_until_its_deadline_is_not_said_to_be_active(make_world: MakeWorld, clock: Any) -> None:
    world = rotated(make_world(GRACE))
    superseded = of_version(world, holder(world, "AWSPREVIOUS"))
    clock.tick(HOUR + 1800)
    superseded.last_used = datetime.fromtimestamp(world.now(), UTC)
    clock.tick(HOUR)

    answer = world.care()

    assert not superseded.active
    assert findings(answer) == ["CopyInUse"]
    assert "was active until" in messages(answer)


def test_a_pull_before_a_promotion_that_came_late_is_no_copy_in_use(make_world: MakeWorld, clock: Any) -> None:
    world = rotated(make_world(Scene(grace="24h")))
    clock.tick(DAY)
    superseded = token_under(world)
    world.hold_before = "testSecret"
    world.rotate()
    world.hold_before = None
    clock.tick(3 * DAY)
    superseded.last_used = datetime.fromtimestamp(world.now(), UTC)
    clock.tick(60)
    world.aws.retry(world.secret_arn)
    world.aws.wait()

    assert findings(world.care()) == []
    assert token_under(world, "AWSPREVIOUS") is superseded


def test_a_time_that_no_calendar_has_stops_nothing(make_world: MakeWorld, clock: Any) -> None:
    world = rotated(make_world(GRACE))
    west = timezone(timedelta(hours=-5))
    of_version(world, holder(world, "AWSPREVIOUS")).last_used = datetime(9999, 12, 31, 23, 59, 59, tzinfo=west)
    token_under(world).expires_at = datetime(9999, 12, 31, 23, 59, 59, tzinfo=west)

    assert counts(world.care()) == (1, 0, 0)


def test_wrong_tags_are_said_and_the_functions_own_settings_hold(make_world: MakeWorld, clock: Any) -> None:
    world = rotated(make_world(GRACE))
    superseded = of_version(world, holder(world, "AWSPREVIOUS"))
    world.client.tag_resource(
        SecretId=world.secret_arn, Tags=[{"Key": "dockerhub-rotation:grace", "Value": "for ever"}]
    )
    clock.tick(2 * HOUR + 60)

    answer = world.care()

    assert findings(answer) == ["TagsInvalid"]
    assert "dockerhub-rotation:grace must be 0 or a number" in messages(answer)
    assert not superseded.active


# What could not be looked at


def test_an_outage_of_docker_hub_is_no_error_and_counts_every_secret_as_unknown(make_world: MakeWorld) -> None:
    world = rotated(make_world())
    rotated_secret(world, "another/token")
    world.hub.faults += [HubFault("*", "/v2/*", 503)] * 9

    answer = world.care()

    assert counts(answer) == (0, 2, 0)
    assert answer["Message"].startswith("0 secrets checked, 2 unknown; 0 need attention. DockerHubUnavailable: ")
    assert [metric["SecretsUnknown"] for metric in metrics(world)] == [[2]]


def test_an_answer_that_nobody_knows_is_no_error_either(make_world: MakeWorld) -> None:
    world = rotated(make_world())
    world.hub.faults.append(HubFault("GET", "/v2/access-tokens", 403, "error code: 1020"))

    answer = world.care()

    assert counts(answer) == (0, 1, 0)
    assert "AnswerUnknown: " in answer["Message"]


def test_a_list_of_secrets_that_is_throttled_leaves_all_unknown(make_world: MakeWorld, clock: Any) -> None:
    world = rotated(make_world())
    world.aws.refuse["ListSecrets"] = ("ThrottlingException", "Rate exceeded")

    answer = world.care()

    assert counts(answer) == (0, 1, 0)
    assert "AwsUnavailable: " in answer["Message"]


@pytest.mark.parametrize("action", ["ListSecrets", "GetParameters"])
def test_a_missing_permission_is_an_error(make_world: MakeWorld, action: str) -> None:
    world = rotated(make_world())
    world.aws.refuse[action] = ("AccessDeniedException", "no")

    with pytest.raises(FunctionError, match=f"AwsRefused: .*{action}"):
        world.care()

    assert metrics(world) == []


def test_a_wrong_password_is_an_error_and_costs_one_refused_login(make_world: MakeWorld) -> None:
    world = rotated(make_world())
    world.aws.put_parameter("DOCKER_HUB_PASSWORD", "not the password")

    with pytest.raises(FunctionError, match="CredentialRefused"):
        world.care()

    assert (world.hub.refused_logins, metrics(world)) == (1, [])


def test_one_secret_that_cannot_be_read_keeps_no_other_from_being_looked_at(make_world: MakeWorld) -> None:
    world = rotated(make_world())
    rotated_secret(world, "another/token")
    asked = len(world.wire.requests)
    at = asked + len(COLD) + 1

    def refuse(request: Request) -> None:
        world.aws.refuse.clear()
        if request.number == at - 1:
            world.aws.refuse["DescribeSecret"] = ("AccessDeniedException", "no")

    world._on_request = refuse
    answer = world.care()

    assert answer["SupersededTokensStillUsed"] == 0
    assert counts(answer) == (1, 1, 1)
    assert "AwsRefused" in str(answer["Secrets"])


def test_a_secret_that_was_detached_or_deleted_meanwhile_is_passed_over(make_world: MakeWorld) -> None:
    world = rotated(make_world())
    detached, deleted = (rotated_secret(world, f"{name}/token") for name in ("detached", "deleted"))

    def after_the_list(request: Request) -> None:
        if request.name == "GET /v2/access-tokens":
            world.aws.attach(detached, "arn:aws:lambda:eu-central-1:123456789012:function:another-project")
            world.client.delete_secret(SecretId=deleted, ForceDeleteWithoutRecovery=True)

    world._on_request = after_the_list
    answer = world.care()

    assert [secret["SecretId"] for secret in answer["Secrets"]] == [world.secret_arn]
    assert counts(answer) == (1, 0, 0)


def test_what_was_not_reached_in_time_is_unknown_and_comes_first_another_hour(
    make_world: MakeWorld, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = rotated(make_world())
    for number in range(5):
        rotated_secret(world, f"team-{number}/token")
    world.caretaker._timeout_seconds = 60

    def slow(request: Request) -> None:
        if request.name == "DescribeSecret":
            clock.tick(25)

    world._on_request = slow
    reached: list[str] = []
    for _ in range(6):
        answer = world.care()
        assert counts(answer) == (2, 4, 0)
        assert "OutOfTime: The invocation's time is used up" in answer["Message"]
        reached += [secret["SecretId"] for secret in answer["Secrets"]]
        clock.tick(HOUR)

    assert len(set(reached)) == 6


# What is said


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def said(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def test_the_whole_answer_is_plain_data(make_world: MakeWorld, clock: Any) -> None:
    world = make_world(Scene(grace="7d"))
    world.rotate(RotationRules={"AutomaticallyAfterDays": 30})
    world.rotate()
    pin(world, holder(world, "AWSPREVIOUS"))
    current, pinned = token_under(world), of_version(world, holder(world, "AWSPREVIOUS"))
    current.expires_at = current.created_at + timedelta(days=90)
    (in_grace,) = (token for token in world.hub.tokens.values() if " until " in token.label and token is not pinned)
    deadline = in_grace.label.rpartition(" until ")[2]
    next_rotation = world.client.describe_secret(SecretId=world.secret_arn)["NextRotationDate"]
    clock.tick(3 * DAY + 1)

    answer = world.care()

    answer["Secrets"][0]["Facts"]["superseded"].sort(key=lambda one: one["token"] != pinned.uuid)
    numbers = {
        "SecretsChecked": 1,
        "SecretsUnknown": 0,
        "SecretsNeedAttention": 0,
        "SupersededTokensStillUsed": 0,
    }
    nothing = dict.fromkeys(("disabled", "deleted", "orphans", "unidentified", "gone", "still_used"), 0)
    assert answer == {
        "Task": "Reconcile",
        "Message": "1 secret checked, 0 unknown; 0 need attention.",
        **numbers,
        "Secrets": [
            {
                "SecretId": world.secret_arn,
                "Checked": True,
                "Findings": [
                    {
                        "Finding": "TokenLeftActive",
                        "NeedsAttention": False,
                        "Message": f"Token {pinned.uuid} of version {holder(world, 'AWSPREVIOUS')} is left active: its "
                        "version is pinned by the staging label blue, and it is 3 days old.",
                    }
                ],
                "Facts": {
                    "current_token": "works",
                    "current_version": holder(world, "AWSCURRENT"),
                    **nothing,
                    "left": 1,
                    "in_grace": 1,
                    "token_age_days": 3,
                    "token_expires": said(current.expires_at),
                    "superseded": [
                        {
                            "token": token.uuid,
                            "version": token.label.rpartition("/")[2].partition(" ")[0],
                            "until": iso(datetime.strptime(token.label.rpartition(" ")[2], "%Y%m%dT%H%M%S%z")),
                            "last_used": iso(token.last_used) if token.last_used else None,
                        }
                        for token in (pinned, in_grace)
                    ],
                    "in_grace_until": said(datetime.strptime(deadline, "%Y%m%dT%H%M%S%z")),
                    "next_rotation": said(next_rotation),
                },
            }
        ],
    }


def test_what_is_superseded_and_active_is_told_in_the_answer_and_in_the_log(make_world: MakeWorld) -> None:
    world = make_world(Scene(grace="2h"))
    world.rotate()
    version = holder(world, "AWSPREVIOUS")
    token = of_version(world, version)
    until = datetime.strptime(token.label.rpartition(" ")[2], "%Y%m%dT%H%M%S%z")
    world.hold_before = "finishSecret"
    world.rotate()

    (fresh,) = facts(world.care())["superseded"]
    world.hub.authenticates(token.value)
    token.last_used = datetime.fromtimestamp(world.now(), UTC)
    (used,) = facts(world.care())["superseded"]
    token.label = token.label.partition(" ")[0] + " until nobody knows"
    world.passed += 3 * HOUR

    assert fresh == {"token": token.uuid, "version": version, "until": iso(until), "last_used": fresh["last_used"]}
    assert used == fresh | {"last_used": iso(token.last_used)}
    line = [line for line in lines(world) if "superseded" in line][-1]
    assert line["superseded"] == [used]
    assert facts(world.care())["superseded"][0]["token"] == token.uuid  # it has got another deadline
    world.passed += 3 * HOUR
    assert facts(world.care())["superseded"] == []


def test_each_secret_has_its_line_and_the_heartbeat_is_by_function_alone(make_world: MakeWorld) -> None:
    world = rotated(make_world())
    arn = rotated_secret(world, "another/token")
    world.hub.tokens.pop(token_under(world).uuid)

    world.care()

    said = {line["secret"]: line for line in lines(world) if "secret" in line}
    assert (said[arn]["level"], said[arn]["findings"], said[arn]["token_age_days"]) == ("INFO", [], 0)
    assert said[world.secret_arn]["level"] == "WARNING"
    assert said[world.secret_arn]["findings"] == ["CurrentTokenDead"]
    assert [said[it]["needs_attention"] for it in (arn, world.secret_arn)] == [False, True]
    assert [said[it]["consumers_affected"] for it in (arn, world.secret_arn)] == [False, True]
    (metric,) = metrics(world)
    (definition,) = metric["_aws"]["CloudWatchMetrics"]
    assert definition["Dimensions"] == [["service"]]
    assert {name["Name"]: metric[name["Name"]] for name in definition["Metrics"]} == {
        "SecretsChecked": [2],
        "SecretsUnknown": [0],
        "SecretsNeedAttention": [1],
        "SupersededTokensStillUsed": [0],
    }


def test_a_look_at_one_secret_is_no_heartbeat(make_world: MakeWorld) -> None:
    world = rotated(make_world())

    world.care(SecretId=world.secret_arn)

    assert metrics(world) == []
