"""A secret's tags say of its new tokens what the function's settings allow: fewer scopes, and one more probe."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from rehearsal.docker_hub import Token
from rehearsal.world import REPOSITORY, Scene, World
from tests.rotation.cared import findings, messages, names
from tests.rotation.seen import asked, finished, holder, token_under, warnings

HOUR = 3600
ROTATED = ["RotationStarted", "RotationSucceeded"]
REFUSED = ["RotationStarted"] + ["RotationFailed"] * 5
ANOTHER, NOT_OURS = "acme/another", "globex/app"
WRITES = {"DOCKERHUB_TOKEN_SCOPES": "repo:read repo:write"}
PROBED = {"DOCKERHUB_PROBE_REPOSITORY": REPOSITORY}

MakeWorld = Callable[..., World]


def tag(world: World, **tags: str) -> None:
    keys = {key: f"dockerhub-rotation:{key.replace('_', '-')}" for key in tags}
    world.client.tag_resource(
        SecretId=world.secret_arn, Tags=[{"Key": keys[key], "Value": value} for key, value in tags.items()]
    )


def error_of(world: World) -> str:
    return next(run.error for run in reversed(world.steps) if run.error) or ""


def test_a_tag_makes_a_new_token_with_fewer_scopes_and_it_is_tested_by_these(make_world: MakeWorld) -> None:
    """Asked for more than its own scopes, the token service would refuse it."""
    world = make_world(Scene(environment=WRITES | PROBED))
    tag(world, scopes="repo:public_read repo:read")

    assert world.rotate() == ROTATED

    assert token_under(world).scopes == ("repo:public_read", "repo:read")


def test_scopes_beyond_the_functions_are_refused_before_anything_is_asked_of_docker_hub(make_world: MakeWorld) -> None:
    world = make_world()
    tag(world, scopes="repo:write")
    before = world.state()

    assert world.rotate() == REFUSED

    assert world.state().tokens == before.tokens
    assert asked(world) == []
    assert "dockerhub-rotation:scopes allows more than DOCKERHUB_TOKEN_SCOPES, the function's most" in error_of(world)


def test_a_tags_probe_is_asked_beside_the_functions_in_one_request(make_world: MakeWorld) -> None:
    world = make_world(Scene(environment=PROBED))
    world.hub.repositories = {**world.hub.repositories, ANOTHER: {"pull"}}
    world.rotate()
    sent = names(world)
    tag(world, probe_repository=ANOTHER)

    assert world.rotate() == ROTATED

    assert [sent.count(name) for name in ("GET /token", "GET /v2/")] == [1, 1]
    assert [names(world).count(name) for name in ("GET /token", "GET /v2/")] == [2, 2]


@pytest.mark.parametrize("environment", [{}, PROBED])
def test_a_token_that_is_not_granted_a_tags_repository_is_not_promoted(
    make_world: MakeWorld, environment: dict[str, str]
) -> None:
    world = make_world(Scene(environment=environment))
    tag(world, probe_repository=NOT_OURS)
    current = holder(world, "AWSCURRENT")

    assert world.rotate() == REFUSED

    assert holder(world, "AWSCURRENT") == current
    assert f"The token is not granted pull on {NOT_OURS}." in error_of(world)


def test_a_tags_probe_spares_nobody_the_functions(make_world: MakeWorld) -> None:
    world = make_world(Scene(environment={"DOCKERHUB_PROBE_REPOSITORY": NOT_OURS}))
    tag(world, probe_repository=REPOSITORY)

    assert world.rotate() == REFUSED

    assert f"The token is not granted pull on {NOT_OURS}." in error_of(world)


@pytest.mark.parametrize("wrong", [{"typo": "1"}, {"scopes": "repo:everything"}])
def test_a_token_made_by_a_tag_is_promoted_though_the_tags_are_wrong_by_then(
    make_world: MakeWorld, wrong: dict[str, str]
) -> None:
    """By the function's own scopes it would do too little."""
    world = make_world(Scene(environment=WRITES | PROBED, grace="1h"))
    tag(world, scopes="repo:read", grace="2h")
    world.hold_before = "testSecret"
    world.rotate()
    tag(world, **wrong)
    world.hold_before = None

    world.aws.retry(world.secret_arn)
    world.aws.wait()

    assert world.aws.events[-1].name == "RotationSucceeded"
    assert token_under(world).scopes == ("repo:read",)
    assert finished(world)[1] == {"in_grace": 1}
    assert len([line for line in warnings(world) if line.startswith("This step goes by the function's own")]) == 3


def test_the_caretaker_knows_what_the_function_allows(make_world: MakeWorld) -> None:
    world = make_world(Scene(environment=WRITES | {"DOCKERHUB_TOKEN_EXPIRY": "90"}))
    tag(world, scopes="repo:write", expiry="60", probe_repository=ANOTHER)
    world.hub.repositories = {**world.hub.repositories, ANOTHER: {"pull", "push"}}
    world.rotate()
    world.rotate()
    assert findings(world.care()) == []

    tag(world, scopes="repo:admin", expiry="91")

    answer = world.care()
    assert findings(answer) == ["TagsInvalid"]
    assert "dockerhub-rotation:expiry is later than DOCKERHUB_TOKEN_EXPIRY" in messages(answer)
    assert "dockerhub-rotation:scopes allows more than DOCKERHUB_TOKEN_SCOPES" in messages(answer)


def test_retire_reads_no_tags(make_world: MakeWorld) -> None:
    world = make_world(Scene(grace="2h"))
    world.rotate()
    world.rotate()
    previous = token_under(world, "AWSPREVIOUS")
    tag(world, grace="24h", typo="1")

    answer = world.care("Retire", SecretId=world.secret_arn)

    assert "tags" not in str(answer) + world.caretaker.log()
    assert not previous.active


# How long a superseded token lives


def without_a_deadline(world: World) -> Token:
    """Return the superseded token, whose label somebody has cut short."""
    token = token_under(world, "AWSPREVIOUS")
    token.label = token.label.partition(" until ")[0]
    return token


def ends_in(world: World, token: Token) -> float:
    written = token.label.partition(" until ")[2]
    return datetime.strptime(written, "%Y%m%dT%H%M%S%z").timestamp() - world.now()


@pytest.mark.parametrize(("grace", "hours", "in_doubt"), [("24h", 24, 24), ("1h", 1, 2)])
def test_where_any_tag_is_wrong_the_longer_grace_counts_for_steps_and_caretaker(
    make_world: MakeWorld, grace: str, hours: int, in_doubt: int
) -> None:
    world = make_world(Scene(grace="2h"))
    world.rotate()
    tag(world, grace=grace)
    world.rotate()
    assert ends_in(world, token_under(world, "AWSPREVIOUS")) == pytest.approx(hours * HOUR, abs=10)
    cut = without_a_deadline(world)
    world.care()
    assert ends_in(world, cut) == pytest.approx(hours * HOUR, abs=10)

    world.hold_before = "finishSecret"
    world.rotate()
    tag(world, typo="1")
    world.hold_before = None
    world.aws.retry(world.secret_arn)
    world.aws.wait()

    assert ends_in(world, token_under(world, "AWSPREVIOUS")) == pytest.approx(in_doubt * HOUR, abs=10)
    cut = without_a_deadline(world)
    world.care()
    assert ends_in(world, cut) == pytest.approx(in_doubt * HOUR, abs=10)


def test_a_tags_grace_has_to_be_over_before_the_token_expires(make_world: MakeWorld) -> None:
    world = make_world()
    world.rotate()
    world.rotate(RotationRules={"AutomaticallyAfterDays": 30})
    planned = world.client.describe_secret(SecretId=world.secret_arn)["NextRotationDate"]
    token_under(world).expires_at = planned + timedelta(hours=12)
    assert findings(world.care()) == []

    tag(world, grace="24h")

    assert findings(world.care()) == ["ExpiresBeforeRotation"]
