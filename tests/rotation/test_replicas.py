"""Replicas in other Regions: whoever reads one is never refused, and what keeps a token active for it is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rehearsal.invariants import REPLICAS_WORK, Invariants
from rehearsal.replicas import Replica
from rehearsal.wire import Fault, FaultKind
from rehearsal.world import Scene, World, token_in
from tests.rotation.cared import DAY, HOUR, counts, facts, findings, messages, names, of_version
from tests.rotation.seen import finished, holder, token_under

MakeWorld = Callable[..., World]
WatchedWorld = Callable[..., tuple[World, Invariants]]

REGION = "eu-west-1"


def replicated(world: World, invariants: Invariants) -> Replica:
    """Rotate twice, and once more with a replica; the token that is superseded then is what it may keep."""
    world.rotate()
    world.passed += DAY
    world.rotate()
    world.passed += DAY
    replica = world.aws.replicate(world.secret_arn, REGION)
    invariants.begin(world)
    return replica


def holds(world: World, replica: Replica) -> Any:
    """Return the token of Docker Hub that a consumer of a replica reads."""
    value = token_in(replica.value("AWSCURRENT", world.now()) or "")
    return next(token for token in world.hub.tokens.values() if token.value == value)


@pytest.mark.parametrize("grace", ["0", "5m", "3h"])
def test_a_secret_with_replicas_has_a_grace_of_an_hour_at_least(watched_world: WatchedWorld, grace: str) -> None:
    world, invariants = watched_world(Scene(grace=grace))
    replicated(world, invariants)
    world.rotate()
    superseded, lasts = of_version(world, holder(world, "AWSPREVIOUS")), max(HOUR, world.scene.grace_seconds)

    world.passed += lasts - 120
    world.care()
    early = superseded.active
    world.passed += 240
    world.care()

    assert (early, superseded.active) == (True, False)
    assert invariants.checked[REPLICAS_WORK] > 0
    assert invariants.broken == []


def test_a_limit_below_an_hour_does_not_make_it_shorter(make_world: MakeWorld) -> None:
    world = make_world(Scene(environment={"DOCKERHUB_GRACE_LIMIT": "1m"}))
    replicated(world, Invariants())
    world.rotate()

    world.passed += HOUR - 120
    world.care()

    assert of_version(world, holder(world, "AWSPREVIOUS")).active


def test_a_rollback_leaves_the_replaced_token_to_the_replicas_for_an_hour(watched_world: WatchedWorld) -> None:
    world, invariants = watched_world(Scene())
    replicated(world, invariants)
    world.rotate()
    world.passed += 2 * HOUR
    world.care()
    replaced = token_under(world)

    world.care("Rollback", SecretId=world.secret_arn, VersionId=holder(world, "AWSPREVIOUS"))

    early = replaced.active
    world.passed += HOUR + 120
    world.care()
    assert (early, replaced.active) == (True, False)
    assert invariants.broken == []


def test_without_replicas_the_grace_is_as_it_is_set(make_world: MakeWorld) -> None:
    world = make_world()
    world.rotate()
    world.rotate()

    assert not of_version(world, holder(world, "AWSPREVIOUS")).active


def test_a_rotation_does_not_wait_for_a_replica_however_slow_it_is(watched_world: WatchedWorld) -> None:
    world, invariants = watched_world(Scene())
    replica = replicated(world, invariants)
    replica.lag = 40 * 60
    before = token_under(world)

    assert world.rotate() == ["RotationStarted", "RotationSucceeded"]

    assert holds(world, replica) is before
    assert before.active
    assert "stays active until" in finished(world)[0]
    world.passed += HOUR + 60
    assert findings(world.care()) == []
    assert not before.active
    assert invariants.broken == []


def left_behind(world: World, invariants: Invariants, ails: Any) -> Replica:
    """Let a replica stop to follow, rotate, and let the grace of what it holds end."""
    replica = replicated(world, invariants)
    replica.ails = ails
    world.rotate()
    world.passed += HOUR + 60
    return replica


@pytest.mark.parametrize(
    ("ails", "said"),
    [("fails", f"in {REGION} is Failed, for which AWS gives a reason ("), ("hangs", f"in {REGION} is InProgress (")],
)
def test_after_its_deadline_a_token_stays_active_while_a_replica_is_behind_and_that_is_said_and_counted(
    watched_world: WatchedWorld, ails: str, said: str
) -> None:
    world, invariants = watched_world(Scene())
    replica = left_behind(world, invariants, ails)
    superseded = of_version(world, holder(world, "AWSPREVIOUS"))

    answer = world.care()

    assert superseded.active
    assert holds(world, replica) is superseded
    assert findings(answer) == ["ReplicaBehind"]
    assert said in messages(answer)
    assert "cannot be used" not in messages(answer)  # what AWS says may quote anything
    assert f"--remove-replica-regions {REGION} --region eu-central-1`" in messages(answer)
    assert (counts(answer), facts(answer)["left"]) == ((1, 0, 1), 1)
    world.passed += 3 * DAY
    assert findings(world.care()) == ["ReplicaBehind"]
    assert superseded.active
    assert invariants.broken == []


def test_it_ends_when_the_replica_is_mended(watched_world: WatchedWorld) -> None:
    world, invariants = watched_world(Scene())
    replica = left_behind(world, invariants, "fails")
    superseded = of_version(world, holder(world, "AWSPREVIOUS"))
    world.care()

    replica.mend(world.now())
    world.passed += 3  # under way
    world.care()
    still = superseded.active
    world.passed += HOUR

    assert findings(world.care()) == []
    assert (still, superseded.active) == (True, False)
    assert invariants.broken == []


def test_it_ends_when_the_replica_is_removed(watched_world: WatchedWorld) -> None:
    world, invariants = watched_world(Scene())
    left_behind(world, invariants, "hangs")
    world.care()

    world.aws.replicas.of(world.secret_arn).clear()

    assert findings(world.care()) == []
    assert not of_version(world, holder(world, "AWSPREVIOUS")).active
    assert invariants.broken == []


def test_it_ends_by_retire_which_waits_for_nobody(watched_world: WatchedWorld) -> None:
    world, invariants = watched_world(Scene())
    replica = left_behind(world, invariants, "fails")
    world.care()

    answer = world.care("Retire", SecretId=world.secret_arn)

    assert answer["Disabled"] == 1
    assert not holds(world, replica).active
    assert findings(world.care()) == []
    assert invariants.broken == []


@pytest.mark.parametrize("ails", [None, "hangs"])
def test_what_a_rollback_replaces_lives_on_for_replicas_too(watched_world: WatchedWorld, ails: Any) -> None:
    world, invariants = watched_world(Scene())
    replica = replicated(world, invariants)
    world.rotate()
    world.passed += HOUR + 60
    world.care()
    replica.lag, replica.ails = 600, ails
    replaced = token_under(world)

    answer = world.care("Rollback", SecretId=world.secret_arn, VersionId=holder(world, "AWSPREVIOUS"))

    assert answer["Moved"]
    assert holds(world, replica) is replaced
    assert replaced.active
    assert answer["ReplacedUntil"] is not None
    world.passed += HOUR + 60
    assert findings(world.care()) == (["ReplicaBehind"] if ails else [])
    assert replaced.active is bool(ails)
    assert invariants.broken == []


def test_all_tokens_that_wait_are_said_at_once_and_end_together(watched_world: WatchedWorld) -> None:
    world, invariants = watched_world(Scene())
    replica = left_behind(world, invariants, "fails")
    world.rotate()
    world.passed += DAY

    answer = world.care()

    assert findings(answer) == ["ReplicaBehind"]
    assert "Superseded tokens (2) stay active" in messages(answer)
    assert finished(world)[1]["left"] == 1  # of the rotation: the other was in its grace
    replica.mend(world.now())
    world.passed += HOUR
    assert findings(world.care()) == []
    assert facts(world.care())["left"] == 0
    assert invariants.broken == []


def test_right_after_a_label_has_moved_the_status_is_from_before_and_nothing_hangs_on_it(
    watched_world: WatchedWorld,
) -> None:
    world, invariants = watched_world(Scene())
    replica = replicated(world, invariants)
    replica.says_late = 10 * 60
    replica.lag = 20 * 60
    world.rotate()
    (status,) = world.client.describe_secret(SecretId=world.secret_arn)["ReplicationStatus"]
    superseded = of_version(world, holder(world, "AWSPREVIOUS"))

    world.care()

    assert status["Status"] == "InSync"
    assert holds(world, replica) is superseded
    assert superseded.active
    assert invariants.broken == []


def test_a_replica_that_is_behind_since_a_moment_ago_needs_nobody(watched_world: WatchedWorld) -> None:
    world, invariants = watched_world(Scene())
    replica = replicated(world, invariants)
    world.rotate()
    world.passed += HOUR + 60
    replica.lag = 600
    world.client.tag_resource(SecretId=world.secret_arn, Tags=[{"Key": "changed", "Value": "just now"}])
    world.passed += 60

    answer = world.care()

    assert findings(answer) == ["ReplicaBehind"]
    assert counts(answer) == (1, 0, 0)
    world.passed += HOUR
    assert findings(world.care()) == []
    assert invariants.broken == []


def test_a_hand_made_token_waits_too_once_it_is_labelled(watched_world: WatchedWorld) -> None:
    world, invariants = watched_world(Scene())
    replica = world.aws.replicate(world.secret_arn, REGION)
    invariants.begin(world)
    replica.ails = "hangs"
    first = token_under(world)
    world.rotate()
    world.passed += HOUR + 60

    assert findings(world.care()) == ["ReplicaBehind"]
    assert first.active
    world.rotate()
    assert first.active
    assert invariants.broken == []


@pytest.mark.parametrize("kind", [FaultKind.LOST_BEFORE, FaultKind.LOST_AFTER, FaultKind.HTML])
def test_a_fault_at_any_request_of_the_last_step_does_not_take_a_replicas_token(
    watched_world: WatchedWorld, clock: Any, kind: FaultKind
) -> None:
    world, invariants = watched_world(Scene())
    replica = replicated(world, invariants)
    replica.ails = "hangs"
    world.rotate()
    finish = [request.name for request in world.steps[-1].requests]
    for at in range(1, len(finish) + 1):
        world.passed += DAY
        world.hold_before = "finishSecret"
        world.rotate()
        world.hold_before = None
        world.wire.faults.append(Fault(len(world.wire.requests) + 8 + at, kind))
        world.aws.retry(world.secret_arn)
        world.aws.wait()
        world.wire.faults.clear()
        assert holds(world, replica).active, (at, names(world)[-20:])
    replica.mend(world.now())
    world.passed += HOUR + DAY
    world.care()

    assert [it for it in world.hub.tokens.values() if "rotation" in it.label and it.active] == [token_under(world)]
    assert invariants.broken == []
