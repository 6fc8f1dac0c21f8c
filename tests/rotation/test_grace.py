"""With a grace, superseded tokens work until the deadline in their labels, and no longer."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from dockerhub_rotation.token_labels import label_for
from rehearsal.consumer import Keeper
from rehearsal.docker_hub import Fault, Token
from rehearsal.docker_hub.answers import json_answer
from rehearsal.docker_hub.personal_tokens import token_body
from rehearsal.invariants import Invariants
from rehearsal.world import Scene, World
from tests.rotation.cared import findings
from tests.rotation.seen import event, finished, hand_made, holder, lines, ours, token_under, warnings

HOUR = 3600
ROTATED = ["RotationStarted", "RotationSucceeded"]
PATCH, PROMOTION = "PATCH /v2/access-tokens/{uuid}", "UpdateSecretVersionStage"
NO = (400, {"message": "no", "errinfo": {}})

WatchedWorld = Callable[..., tuple[World, Invariants]]


@pytest.fixture
def watched(watched_world: WatchedWorld) -> tuple[World, Invariants]:
    return watched_world(Scene(grace="2h"))


@pytest.fixture
def world(watched: tuple[World, Invariants]) -> World:
    return watched[0]


def deadline(token: Token) -> float:
    """Return the time in a label, in seconds since 1970."""
    written = token.label.partition(" until ")[2]
    return datetime.strptime(written, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()


def tag(world: World, **tags: str) -> None:
    world.client.tag_resource(
        SecretId=world.secret_arn, Tags=[{"Key": f"dockerhub-rotation:{key}", "Value": tags[key]} for key in tags]
    )


def names(world: World, since: int = 0) -> list[str]:
    return [request.name for request in world.wire.requests[since:]]


def test_the_hand_made_token_lives_on_and_its_label_says_until_when(watched: tuple[World, Invariants]) -> None:
    world, invariants = watched
    first = hand_made(world)

    assert world.rotate() == ROTATED

    assert first.active
    assert first.label.startswith(label_for(world.secret_arn, holder(world, "AWSPREVIOUS")) + " until ")
    assert deadline(first) == pytest.approx(world.now() + 2 * HOUR, abs=10)
    assert names(world).count(PATCH) == 1
    message, counts = finished(world)
    assert message.startswith("The new token is AWSCURRENT, and what it supersedes stays active until 20")
    assert counts == {"in_grace": 1}
    invariants.at_rest(world)
    assert invariants.broken == []


@pytest.mark.parametrize(("grace", "refused"), [("0", 11), ("2h", 0)])
def test_a_consumer_that_reads_once_an_hour_is_refused_until_its_next_look_unless_there_is_a_grace(
    make_world: Callable[..., World], grace: str, refused: int
) -> None:
    world = make_world(Scene(grace=grace))
    world.rotate()
    keeper = Keeper(world)

    for _ in range(2):
        world.rotate()
        keeper.live(3 * HOUR)

    assert keeper.logins == 72
    assert keeper.refused == 2 * refused


def test_a_deadline_is_written_before_the_promotion_that_supersedes_the_token(world: World) -> None:
    world.rotate()
    superseded, asked = token_under(world), len(world.wire.requests)

    assert world.rotate() == ROTATED

    assert superseded.active
    assert deadline(superseded) == pytest.approx(world.now() + 2 * HOUR, abs=10)
    assert [name for name in names(world, asked) if name in (PATCH, PROMOTION)] == [PATCH, PROMOTION]
    assert finished(world)[1] == {"in_grace": 2}


def test_each_token_is_disabled_after_its_own_deadline_and_deleted_a_rotation_later(
    watched: tuple[World, Invariants],
) -> None:
    world, invariants = watched
    tokens = [hand_made(world)]
    for _ in range(3):
        world.rotate()
        tokens.append(token_under(world))
        world.passed += 0.9 * HOUR

    assert [token.active for token in tokens] == [True] * 4
    world.passed += HOUR / 2  # the first two deadlines have passed
    assert world.rotate() == ROTATED
    assert [token.active for token in tokens] == [False, False, True, True]
    assert finished(world)[1] == {"disabled": 2, "in_grace": 2}
    assert all(world.now() - 60 < deadline(token) < world.now() + 60 for token in tokens[:2])
    assert all(token.uuid in world.hub.tokens for token in tokens)

    assert world.rotate() == ROTATED
    assert [token.uuid in world.hub.tokens for token in tokens] == [False, False, True, True]
    invariants.at_rest(world)
    assert invariants.broken == []


def test_a_tag_of_the_secret_makes_its_grace_longer_or_shorter_without_a_request(world: World) -> None:
    tag(world, grace="24h")
    world.rotate()
    assert deadline(hand_made_once(world)) == pytest.approx(world.now() + 24 * HOUR, abs=10)

    superseded = token_under(world)
    tag(world, grace="0")
    world.rotate()
    assert not superseded.active
    assert hand_made_once(world).active  # its own deadline stays
    assert names(world).count("DescribeSecret") == 8  # one for each step


def hand_made_once(world: World) -> Token:
    """Return the token with which the secret began, now that its label has changed."""
    return next(t for t in world.hub.tokens.values() if t.label.startswith("dockerhub-rotation/") and not t.creator_ua)


def test_wrong_tags_are_refused_all_at_once_before_anything_is_made(world: World) -> None:
    tag(world, grace="31d", grase="1h")
    before = world.state()

    assert world.rotate() == ["RotationStarted"] + ["RotationFailed"] * 5

    assert world.state().tokens == before.tokens
    assert "TagsInvalid" in world.function.log()
    for problem in (
        "dockerhub-rotation:grace is longer than DOCKERHUB_GRACE_LIMIT, the function's longest",
        "dockerhub-rotation:grase is no tag that this version of the function knows",
    ):
        assert problem in world.function.log()
    world.client.untag_resource(SecretId=world.secret_arn, TagKeys=["dockerhub-rotation:grase"])
    tag(world, grace="1h")
    world.aws.retry(world.secret_arn)
    world.aws.wait()
    assert world.aws.events[-1].name == "RotationSucceeded"


def test_a_rotation_that_has_begun_goes_on_with_the_functions_own_settings_and_says_so(world: World) -> None:
    world.hold_before = "testSecret"
    world.rotate()
    tag(world, grace="forever")
    world.hold_before = None

    world.aws.retry(world.secret_arn)
    world.aws.wait()

    assert world.aws.events[-1].name == "RotationSucceeded"
    assert deadline(hand_made_once(world)) == pytest.approx(world.now() + 2 * HOUR, abs=10)
    said = [line for line in warnings(world) if line.startswith("This step goes by the function's own settings.")]
    assert len(said) == 3  # setSecret, testSecret, finishSecret
    assert "dockerhub-rotation:grace must be 0 or a number" in said[0]


def test_awscurrent_moved_back_by_hand_takes_the_deadline_off_and_the_other_one_gets_one(
    watched: tuple[World, Invariants],
) -> None:
    world, invariants = watched
    world.rotate()
    world.rotate()
    back, forth = holder(world, "AWSPREVIOUS"), holder(world, "AWSCURRENT")
    restored, superseded = token_under(world, "AWSPREVIOUS"), token_under(world)
    world.client.update_secret_version_stage(
        SecretId=world.secret_arn, VersionStage="AWSCURRENT", MoveToVersionId=back, RemoveFromVersionId=forth
    )
    invariants.begin(world)

    world.function.invoke(event(world, "finishSecret", "AWSCURRENT"))

    assert restored.label == label_for(world.secret_arn, back)
    assert (restored.active, superseded.active) == (True, True)
    assert deadline(superseded) == pytest.approx(world.now() + 2 * HOUR, abs=10)
    assert invariants.broken == []


def test_nothing_is_promoted_if_the_deadline_can_not_be_written(world: World) -> None:
    world.rotate()
    current = holder(world, "AWSCURRENT")
    world.hub.faults += [Fault("PATCH", "/v2/access-tokens/*", *NO)] * 5

    assert world.rotate() == ["RotationStarted"] + ["RotationFailed"] * 5

    assert holder(world, "AWSCURRENT") == current
    assert PROMOTION not in names(world)[-10:]
    assert {line["error"] for line in lines(world) if "error" in line} == {"DockerHubRefused"}


def test_a_current_token_that_somebody_has_disabled_is_not_enabled_for_its_grace(world: World) -> None:
    """It may have leaked."""
    world.rotate()
    leaked = token_under(world)
    leaked.active = False

    assert world.rotate() == ROTATED

    assert not leaked.active


@pytest.mark.parametrize("grace", ["2h", "0"])
def test_a_deadline_of_a_rotation_that_was_given_up_counts_no_more(world: World, grace: str) -> None:
    world.rotate()
    current = token_under(world)
    world.aws.refuse[PROMOTION] = ("AccessDeniedException", "no")
    world.rotate()
    assert deadline(current) < world.now() + 2 * HOUR + 10
    assert current.active
    del world.aws.refuse[PROMOTION]
    world.passed += 1.5 * HOUR
    tag(world, grace=grace)

    world.aws.retry(world.secret_arn)
    world.aws.wait()

    assert world.aws.events[-1].name == "RotationSucceeded"
    assert world.state().tokens[current.uuid][1] == (grace == "2h")
    assert deadline(current) == pytest.approx(world.now() + {"2h": 2 * HOUR, "0": 0}[grace], abs=10)


def test_a_crash_after_the_promotion_forgets_no_deadline(world: World) -> None:
    """The hand-made token gets its deadline after the promotion. The next rotation gives it one before it promotes."""
    first = hand_made(world)
    world.hub.faults += [Fault("PATCH", "/v2/access-tokens/*", *NO)] * 5
    assert world.rotate() == ["RotationStarted"] + ["RotationFailed"] * 5
    assert first.label == "made by hand"
    world.passed += 24 * HOUR

    assert world.rotate() == ROTATED

    assert first.active
    assert deadline(first) == pytest.approx(world.now() + 2 * HOUR, abs=10)
    assert ours(world)[holder(world, "AWSPREVIOUS")] is True


def test_a_token_without_a_deadline_is_no_orphan_while_a_version_holds_it(world: World) -> None:
    """Somebody has renamed the superseded token's label in Docker Hub; only its version is left to read."""
    world.rotate()
    world.rotate()
    superseded = token_under(world, "AWSPREVIOUS")
    superseded.label = superseded.label.partition(" ")[0] + " until further notice"

    world.function.invoke(event(world, "finishSecret", "AWSCURRENT"))

    assert superseded.active
    assert deadline(superseded) == pytest.approx(world.now() + 2 * HOUR, abs=10)


def test_a_token_that_is_used_late_in_its_grace_is_named_and_counted(world: World) -> None:
    world.rotate()
    world.rotate()
    superseded = token_under(world, "AWSPREVIOUS")
    world.passed += 1.5 * HOUR
    assert world.hub.authenticates(superseded.value)
    superseded.last_used = datetime.fromtimestamp(world.now(), UTC)

    world.function.invoke(event(world, "finishSecret", "AWSCURRENT"))

    assert finished(world)[1] == {"in_grace": 2, "still_used": 1}
    assert any(superseded.uuid in line and "still logs in with it" in line for line in warnings(world))
    assert superseded.active


def test_a_token_that_did_not_take_its_deadline_is_warned_of_and_stays_for_now(world: World) -> None:
    world.rotate()
    superseded = token_under(world)
    label = superseded.label
    world.hub.faults += [Fault("PATCH", "/v2/access-tokens/*", 200, {"is_active": True, "token_label": label})]

    assert world.rotate() == ROTATED

    assert superseded.active
    assert any(f"Token {superseded.uuid} did not take its label" in line for line in warnings(world))


def test_without_a_grace_a_leftover_deadline_does_not_keep_a_superseded_token(
    watched_world: WatchedWorld,
) -> None:
    world, _ = watched_world(Scene())
    world.rotate()
    superseded = token_under(world)
    superseded.label += " until 20990101T000000Z"

    assert world.rotate() == ROTATED

    assert not superseded.active


def keep_labels(world: World) -> None:
    """Let Docker Hub keep each token's label from now on, and say so."""
    patch = world.hub.app.view_functions["_patch_token"]

    def keep_the_label(uuid: str) -> Any:
        label = world.hub.tokens[uuid].label
        patch(uuid)
        world.hub.tokens[uuid].label = label
        return json_answer(200, **token_body(world.hub.tokens[uuid]))

    world.hub.app.view_functions["_patch_token"] = keep_the_label


def test_a_deadline_that_docker_hub_does_not_take_is_said_after_the_promotion_and_every_hour(
    make_world: Callable[..., World], clock: Any
) -> None:
    """No label ends that grace, so somebody has to."""
    world = make_world(Scene(grace="2h"))
    world.rotate()
    clock.tick(86400)
    token = token_under(world)
    keep_labels(world)

    assert world.rotate() == ["RotationStarted", "RotationSucceeded"]
    assert finished(world)[1] == {"disabled": 1, "left": 1}
    clock.tick(3 * 3600)
    assert findings(world.care()) == ["TokenLeftActive"]
    assert token.active
