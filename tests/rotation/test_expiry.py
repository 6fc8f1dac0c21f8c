"""New tokens expire if they are to, not before their successor is everywhere, and an expired one stops no rotation."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dockerhub_rotation.token_labels import label_for
from rehearsal.docker_hub import Token, personal_tokens
from rehearsal.invariants import Invariants
from rehearsal.sandbox import FunctionError
from rehearsal.wire import Request
from rehearsal.world import Scene, World
from tests.rotation.cared import facts, findings, messages, names
from tests.rotation.seen import asked, event, finished, holder, ours, token_under, warnings

DAY = 86_400
ROTATED = ["RotationStarted", "RotationSucceeded"]
REFUSED = ["RotationStarted"] + ["RotationFailed"] * 5
PATCH = "PATCH /v2/access-tokens/{uuid}"

MakeWorld = Callable[..., World]
WatchedWorld = Callable[..., tuple[World, Invariants]]


def expiring(days: int = 60, grace: str = "0") -> Scene:
    return Scene(grace=grace, environment={"DOCKERHUB_TOKEN_EXPIRY": str(days)})


def tag(world: World, **tags: str) -> None:
    keys = {key: f"dockerhub-rotation:{key.replace('_', '-')}" for key in tags}
    world.client.tag_resource(
        SecretId=world.secret_arn, Tags=[{"Key": keys[key], "Value": value} for key, value in tags.items()]
    )


def lives_for(token: Token) -> timedelta:
    assert token.expires_at is not None
    return token.expires_at - token.created_at


def expire(world: World, token: Token) -> None:
    """Let a token have expired some seconds ago: the function knows Docker Hub's clock to the second."""
    token.expires_at = datetime.fromtimestamp(world.now() - 5, UTC)


def error_of(world: World) -> str:
    return next(run.error for run in reversed(world.steps) if run.error) or ""


# A new token


def test_a_new_token_expires_as_set_to_the_second(make_world: MakeWorld) -> None:
    world = make_world(expiring(days=60))

    assert world.rotate() == ROTATED

    token = token_under(world)
    assert lives_for(token).total_seconds() == pytest.approx(60 * DAY, abs=10)
    assert token.expires_at is not None
    assert token.expires_at.microsecond == 0


def test_without_an_expiry_a_token_has_none_and_an_expiry_costs_no_request(make_world: MakeWorld) -> None:
    world = make_world()
    sent = []
    for number in range(4):
        if number == 3:
            assert token_under(world).expires_at is None
            tag(world, expiry="60")
        since = len(world.wire.requests)
        assert world.rotate() == ROTATED
        sent.append(names(world, since))

    assert token_under(world).expires_at is not None
    assert sent[3] == sent[2]


@pytest.mark.parametrize("scene", [Scene(), expiring(days=90)])
def test_a_secrets_tag_makes_it_earlier_or_sets_it(make_world: MakeWorld, scene: Scene) -> None:
    world = make_world(scene)
    tag(world, expiry="45")

    assert world.rotate() == ROTATED

    assert lives_for(token_under(world)).total_seconds() == pytest.approx(45 * DAY, abs=10)


def test_a_token_that_docker_hub_makes_with_another_expiry_is_deleted_again(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(expiring())
    before, body = world.state(), personal_tokens.token_body
    monkeypatch.setattr(personal_tokens, "token_body", lambda *token: body(*token) | {"expires_at": None})

    assert world.rotate() == REFUSED

    assert world.state().tokens == before.tokens
    assert "AnswerUnknown" in error_of(world)
    assert "a token that does not expire when it was to" in error_of(world)


# An expiry that leaves no time


@pytest.mark.parametrize(
    ("days", "grace", "takes"),
    [
        (36, "0", False),
        (37, "0", True),
        (37, "1s", False),
        (37, "24h", False),
        (38, "24h", True),
        (38, "25h", False),
        (39, "25h", True),
    ],
)
def test_it_has_to_leave_time_for_the_next_rotation_its_grace_and_a_week(
    make_world: MakeWorld, days: int, grace: str, takes: bool
) -> None:
    world = make_world(expiring(days, grace))
    before = world.state()

    events = world.rotate(RotationRules={"AutomaticallyAfterDays": 30})

    assert events == (ROTATED if takes else REFUSED)
    if not takes:
        assert world.state().tokens == before.tokens
        assert asked(world) == []
        assert {run.step for run in world.steps} == {"createSecret"}


@pytest.mark.parametrize(("grace", "least"), [("0", 37), ("1s", 38), ("24h", 38), ("25h", 39)])
def test_the_error_says_how_long_it_has_to_be_and_what_sets_it(make_world: MakeWorld, grace: str, least: int) -> None:
    world = make_world(expiring(10, grace))
    world.rotate(RotationRules={"AutomaticallyAfterDays": 30})

    assert error_of(world).startswith(
        f"ExpiryTooSoon: A new token would expire after 10 days, and has to live for {least}: 30 until the next "
        "rotation, its grace, and 7 to mend what may fail. Set DOCKERHUB_TOKEN_EXPIRY (TokenExpiry in "
        "infra/function.yaml) or the secret's tag dockerhub-rotation:expiry to more days, or rotate more often. Run "
        "`AWS_REGION=eu-central-1 make deploy-function "
    )


@pytest.mark.parametrize(("days", "takes"), [(37, False), (38, True)])
def test_the_grace_that_replicas_ask_for_counts(make_world: MakeWorld, days: int, takes: bool) -> None:
    world = make_world(expiring(days))
    world.aws.replicate(world.secret_arn, "eu-west-1")

    assert world.rotate(RotationRules={"AutomaticallyAfterDays": 30}) == (ROTATED if takes else REFUSED)
    assert takes or "has to live for 38: 30 until the next rotation" in error_of(world)


def test_a_tags_grace_counts_and_what_was_refused_is_made_once_it_is_mended(make_world: MakeWorld) -> None:
    world = make_world(Scene())
    tag(world, expiry="38", grace="2d")
    assert world.rotate(RotationRules={"AutomaticallyAfterDays": 30}) == REFUSED

    tag(world, grace="1d")
    world.aws.retry(world.secret_arn)
    world.aws.wait()

    assert world.aws.events[-1].name == "RotationSucceeded"


def test_it_is_refused_together_with_every_wrong_tag(make_world: MakeWorld) -> None:
    world = make_world(expiring())
    tag(world, expiry="20", scopes="repo:admin", typo="1")

    assert world.rotate(RotationRules={"AutomaticallyAfterDays": 30}) == REFUSED

    assert error_of(world).startswith("TagsInvalid: The secret's tags are wrong: dockerhub-rotation:scopes allows more")
    assert "dockerhub-rotation:typo is no tag" in error_of(world)
    assert "A new token would expire after 20 days" in error_of(world)


def test_where_aws_does_not_tell_the_interval_it_is_not_guessed_but_found_afterwards(make_world: MakeWorld) -> None:
    """From a schedule it works out the days once the secret has been rotated."""
    world = make_world(expiring(days=20))
    assert world.rotate(RotationRules={"ScheduleExpression": "rate(30 days)"}) == ROTATED

    answer = world.care()
    assert findings(answer) == ["ExpiresBeforeRotation"]
    assert token_under(world).uuid in messages(answer)
    assert world.rotate() == REFUSED
    assert "ExpiryTooSoon" in error_of(world)


def test_a_rotation_that_has_begun_is_brought_to_its_end_whatever_the_expiry_is_by_then(make_world: MakeWorld) -> None:
    world = make_world(expiring())
    world.hold_before = "testSecret"
    world.rotate(RotationRules={"AutomaticallyAfterDays": 30})
    tag(world, expiry="1", grace="2h")
    world.hold_before = None

    world.aws.retry(world.secret_arn)
    world.aws.wait()

    assert world.aws.events[-1].name == "RotationSucceeded"
    assert finished(world)[1] == {"in_grace": 1}


# A token that has expired


@pytest.fixture(params=["0", "2h"])
def watched(request: pytest.FixtureRequest, watched_world: WatchedWorld) -> tuple[World, Invariants]:
    """A world in which each token has been rotated in, and retired, in its turn."""
    world, invariants = watched_world(expiring(grace=request.param))
    for _ in range(3):
        assert world.rotate() == ROTATED
        world.passed += 3 * 3600
    return world, invariants


def test_a_rotation_cures_an_expired_current_token_and_the_next_one_deletes_it(
    watched: tuple[World, Invariants],
) -> None:
    world, invariants = watched
    dead, label = token_under(world), token_under(world).label
    world.passed += 60 * DAY
    assert not world.hub.authenticates(dead.value)
    invariants.begin(world)

    assert world.rotate() == ROTATED
    invariants.at_rest(world)
    assert (dead.label, dead.active, token_under(world, "AWSPREVIOUS")) == (label, True, dead)
    assert warnings(world) == []
    assert finished(world)[0] == "The new token is AWSCURRENT, and what it supersedes is retired."

    assert world.rotate() == ROTATED
    invariants.at_rest(world)
    invariants.repeat_steps(world)
    assert dead.uuid not in world.hub.tokens
    assert invariants.broken == []


def test_what_was_superseded_and_has_expired_in_its_grace_is_deleted(watched_world: WatchedWorld) -> None:
    world, invariants = watched_world(expiring(days=20, grace="30d"))
    for _ in range(3):
        world.rotate()
        world.passed += DAY
    oldest, previous = (
        token
        for token in world.hub.tokens.values()
        if token.expires_at and token.active and (token is not token_under(world))
    )
    expire(world, oldest)
    expire(world, previous)

    answer = world.care()

    assert oldest.uuid not in world.hub.tokens
    assert previous.uuid in world.hub.tokens
    assert findings(answer) == []
    assert "in_grace_until" in facts(answer)  # the hand-made one
    assert facts(answer)["in_grace"] == 1
    assert invariants.broken == []


@pytest.mark.parametrize("active", [True, False])
def test_an_expired_pending_token_is_dropped_as_the_message_says(make_world: MakeWorld, active: bool) -> None:
    world = make_world(expiring())
    world.rotate()
    world.hold_before = "testSecret"
    world.rotate()
    world.hold_before = None
    pending, since = token_under(world, "AWSPENDING"), len(world.wire.requests)
    pending.active = active
    expire(world, pending)

    with pytest.raises(FunctionError, match="PendingTokenUnusable: .*Drop it, and rotate again") as raised:
        world.function.invoke(event(world, "testSecret"))

    version = holder(world, "AWSPENDING")
    assert f"--version-stage AWSPENDING --remove-from-version-id {version} " in str(raised.value)
    assert PATCH not in names(world, since)
    world.client.update_secret_version_stage(
        SecretId=world.secret_arn, VersionStage="AWSPENDING", RemoveFromVersionId=version
    )
    assert world.rotate() == ROTATED
    assert pending.uuid not in world.hub.tokens
    assert ours(world) == {holder(world, "AWSCURRENT"): True, holder(world, "AWSPREVIOUS"): False}


@pytest.mark.parametrize("active", [True, False])
def test_an_expired_current_token_is_dead_to_the_caretaker_and_nothing_is_taken_away(
    make_world: MakeWorld, active: bool
) -> None:
    """A disabled one, too: nobody could enable it."""
    world = make_world(expiring())
    world.rotate()
    world.rotate(RotationRules={"AutomaticallyAfterDays": 30})
    expire(world, token_under(world))
    token_under(world).active = active
    before = world.state()

    answer = world.care()

    assert findings(answer) == ["CurrentTokenDead"]
    assert facts(answer)["current_token"] == "expired"
    assert world.state() == before


def test_a_pinned_token_that_has_expired_is_left_and_not_said_to_be_active(make_world: MakeWorld) -> None:
    world = make_world(expiring())
    world.rotate()
    pinned = token_under(world)
    world.client.update_secret_version_stage(
        SecretId=world.secret_arn, VersionStage="known-good", MoveToVersionId=holder(world, "AWSCURRENT")
    )
    for _ in range(2):
        world.rotate()
    assert findings(world.care()) == ["TokenLeftActive"]
    expire(world, pinned)

    assert findings(world.care()) == []
    assert pinned.uuid in world.hub.tokens


def test_retire_counts_no_expired_token_among_those_that_still_work(make_world: MakeWorld) -> None:
    world = make_world(expiring(grace="2h"))
    world.rotate()
    world.rotate()
    previous = token_under(world, "AWSPREVIOUS")
    expire(world, previous)

    answer = world.care("Retire", SecretId=world.secret_arn)

    assert [one["Token"] for one in answer["StillWork"]] == [token_under(world).uuid]
    assert answer["LeftActive"] == []
    assert previous.active


def test_no_login_is_tried_with_a_value_all_of_whose_tokens_have_expired(make_world: MakeWorld) -> None:
    """Twins of one version, of which only the stored value tells which is real."""
    world = make_world(expiring())
    world.rotate()
    world.rotate()
    twin = world.hub.add_token(label_for(world.secret_arn, holder(world, "AWSPREVIOUS")))
    token_under(world, "AWSPREVIOUS").active = True
    for token in (twin, token_under(world, "AWSPREVIOUS")):
        expire(world, token)
    since = len(world.wire.requests)

    world.function.invoke(event(world, "finishSecret", "AWSCURRENT"))

    assert asked(world, since) == ["GET /v2/access-tokens"]
    assert world.hub.refused_logins == 0


def test_a_token_that_expires_between_the_list_and_the_promotion_costs_one_more_attempt(
    make_world: MakeWorld, clock: Any
) -> None:
    """Its deadline is refused then. The next attempt knows better."""

    def end(request: Request) -> None:
        if rotated and world.step == "finishSecret" and request.name == "GET /v2/access-tokens":
            expire(world, current)

    rotated = False
    world = make_world(expiring(grace="2h"), on_request=end)
    rotated = world.rotate() == ROTATED
    current = token_under(world)

    assert world.rotate() == ["RotationStarted", "RotationFailed", "RotationSucceeded"]
    assert current.active
