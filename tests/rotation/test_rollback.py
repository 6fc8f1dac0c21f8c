"""Rollback: AWSCURRENT goes back to the version before, which is made to work and proven first."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dockerhub_rotation.plan import HELD_SECONDS
from dockerhub_rotation.token_labels import label_for, said
from rehearsal.docker_hub import Fault as HubFault
from rehearsal.invariants import Invariants
from rehearsal.sandbox import Function, FunctionError
from rehearsal.wire import Request
from rehearsal.world import CARETAKER, FUNCTION_ARN, PLACEHOLDER, Scene, Shape, World
from tests.rotation.cared import (
    DAY,
    HOUR,
    findings,
    lines,
    metrics,
    names,
    of_version,
    rotated_secret,
    store_by_hand,
)
from tests.rotation.seen import hand_made, holder, token_under
from tests.rotation.test_histories import move_awscurrent_back
from tests.rotation.test_no_false_alarm import list_otherwise
from tests.rotation.test_no_leaks import LOUD
from tests.rotation.test_pins import pin
from tests.rotation.test_retire import _seconds
from tests.rotation.test_right_account import another_account, share_docker_hub

MakeWorld = Callable[..., World]
WatchedWorld = Callable[..., tuple[World, Invariants]]

GRACE = Scene(grace="24h")
NO = (400, {"message": "no", "errinfo": {}})
MOVE, PATCH = "UpdateSecretVersionStage", "PATCH /v2/access-tokens/{uuid}"
NOBODY = "ffffffff-ffff-4fff-8fff-ffffffffffff"


def roll_back(world: World, version: str | None = None) -> Any:
    return world.care("Rollback", SecretId=world.secret_arn, VersionId=version or holder(world, "AWSPREVIOUS"))


def rotated(world: World) -> tuple[str, str]:
    """Rotate twice, and return the version that was replaced and the current one."""
    world.rotate()
    world.rotate()
    return holder(world, "AWSPREVIOUS"), holder(world, "AWSCURRENT")


def is_refused(world: World, why: str, version: str | None = None) -> None:
    """Ask for a rollback, which is refused, and leaves labels and tokens as they were."""
    before = world.state()
    with pytest.raises(FunctionError, match=why):
        roll_back(world, version)
    assert world.state() == before


@dataclass
class Meddler:
    """Somebody who acts right after a rollback's request of a name, the first or a later one."""

    name: str
    act: Callable[[World], object]
    number: int = 1
    world: World | None = None

    def __call__(self, request: Request) -> None:
        if self.world is not None and self.world.step == "Rollback" and request.name == self.name:
            self.number -= 1
            if self.number == 0:
                self.act(self.world)


def with_a_meddler(make_world: MakeWorld, meddler: Meddler, scene: Scene = Scene()) -> World:  # noqa: B008 - frozen
    meddler.world = make_world(scene, on_request=meddler)
    return meddler.world


# What becomes of the world


def test_awscurrent_is_the_version_before_which_works_and_the_replaced_token_is_disabled(
    watched_world: WatchedWorld,
) -> None:
    world, invariants = watched_world()
    former, replaced = rotated(world)
    invariants.begin(world)

    answer = roll_back(world)

    assert (holder(world, "AWSCURRENT"), holder(world, "AWSPREVIOUS")) == (former, replaced)
    back, gone = of_version(world, former), of_version(world, replaced)
    assert (back.active, gone.active) == (True, False)
    assert " until " not in back.label
    assert answer["Moved"] is True
    assert invariants.broken == []


def test_with_a_grace_the_replaced_token_gets_its_deadline_and_its_consumers_have_until_then(
    watched_world: WatchedWorld,
) -> None:
    world, invariants = watched_world(GRACE)
    former, replaced = rotated(world)
    invariants.begin(world)

    answer = roll_back(world)

    until = datetime.strptime(answer["ReplacedUntil"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    assert abs(until - world.now() - DAY) < 60
    token = of_version(world, replaced)
    assert token.active
    assert answer["Message"].endswith(f", whose token stays active until {said(until)}.")
    assert token.label.endswith(datetime.fromtimestamp(until, UTC).strftime(" until %Y%m%dT%H%M%SZ"))
    assert of_version(world, former).active
    assert " until " not in of_version(world, former).label
    assert invariants.broken == []


@pytest.mark.parametrize("shape", Shape)
def test_a_secret_of_any_shape_goes_back(watched_world: WatchedWorld, shape: Shape) -> None:
    world, invariants = watched_world(Scene(shape=shape))
    former, _ = rotated(world)
    value = world.aws.value(world.secret_arn, "AWSPREVIOUS")

    roll_back(world)

    assert world.aws.value(world.secret_arn) == value
    assert world.hub.authenticates(world.current_token())
    assert holder(world, "AWSCURRENT") == former
    assert invariants.broken == []


def test_the_first_hand_made_token_is_a_way_back_too(watched_world: WatchedWorld) -> None:
    world, invariants = watched_world()
    first = hand_made(world)
    world.rotate()
    invariants.begin(world)

    roll_back(world)

    assert token_under(world) is first
    assert first.active
    assert invariants.broken == []


def test_what_was_replaced_is_the_way_back_from_there(watched_world: WatchedWorld) -> None:
    world, invariants = watched_world()
    former, replaced = rotated(world)
    invariants.begin(world)

    roll_back(world)
    roll_back(world)

    assert (holder(world, "AWSCURRENT"), holder(world, "AWSPREVIOUS")) == (replaced, former)
    assert (of_version(world, replaced).active, of_version(world, former).active) == (True, False)
    assert invariants.broken == []


def test_the_next_rotation_takes_it_for_any_previous_version_and_reconcile_ends_its_grace(
    watched_world: WatchedWorld,
) -> None:
    world, invariants = watched_world(Scene(grace="2h"))
    former, replaced = rotated(world)
    invariants.begin(world)
    roll_back(world)
    world.passed += HOUR

    world.rotate()

    assert holder(world, "AWSPREVIOUS") == former
    back, gone = of_version(world, former), of_version(world, replaced)
    assert (back.active, gone.active) == (True, True)
    world.passed += HOUR + 60
    assert world.care()["SecretsNeedAttention"] == 0
    assert (back.active, gone.active) == (True, False)  # what was replaced first has had its grace
    world.passed += HOUR
    world.care()
    assert not back.active
    world.rotate()
    assert gone.uuid not in world.hub.tokens
    invariants.at_rest(world)
    assert invariants.broken == []


def test_without_a_grace_the_next_rotations_leave_one_current_and_one_way_back(watched_world: WatchedWorld) -> None:
    world, invariants = watched_world()
    _, replaced = rotated(world)
    invariants.begin(world)
    gone = of_version(world, replaced)
    roll_back(world)

    for _ in range(2):
        assert world.rotate() == ["RotationStarted", "RotationSucceeded"]
        invariants.at_rest(world)

    assert gone.uuid not in world.hub.tokens
    assert invariants.broken == []


def test_consumers_have_half_of_the_grace_to_read_the_value_that_came_back(make_world: MakeWorld) -> None:
    """The current token is older than what it replaces, and so is no measure of when that was superseded."""
    world = make_world(GRACE)
    world.rotate()
    world.passed += 30 * DAY
    world.rotate()
    replaced = token_under(world)
    roll_back(world)
    found = []

    for hours in (1, 10, 2):
        world.passed += hours * HOUR
        replaced.last_used = datetime.fromtimestamp(world.now(), UTC)
        found.append(findings(world.care()))

    assert found == [[], [], ["CopyInUse"]]


def test_no_tag_changes_the_grace_of_what_is_replaced(make_world: MakeWorld) -> None:
    world = make_world(GRACE)
    world.client.tag_resource(SecretId=world.secret_arn, Tags=[{"Key": "dockerhub-rotation:grace", "Value": "1h"}])
    _, replaced = rotated(world)

    roll_back(world)

    token = of_version(world, replaced)
    until = _seconds(token.label.rpartition(" until ")[2])
    assert abs(until - world.now() - DAY) < 60


def test_a_replaced_token_that_somebody_has_stored_is_found_by_its_value(make_world: MakeWorld) -> None:
    world = make_world()
    rotated(world)
    by_hand = world.hub.add_token("by hand")
    store_by_hand(world, world.secret_arn, by_hand.value)
    replaced = holder(world, "AWSCURRENT")

    answer = roll_back(world)

    assert not by_hand.active
    assert replaced in by_hand.label
    assert answer["Replaced"] == replaced


def test_a_copy_of_the_value_keeps_its_token_at_work(watched_world: WatchedWorld) -> None:
    world, invariants = watched_world()
    rotated(world)
    token = token_under(world)
    store_by_hand(world, world.secret_arn, token.value)
    invariants.begin(world)

    roll_back(world)

    assert token.active
    assert world.hub.authenticates(world.current_token())
    assert invariants.broken == []


def test_until_when_a_replaced_token_lives_is_said_where_its_label_names_another_version_too(
    make_world: MakeWorld,
) -> None:
    """Somebody has stored a superseded token again, before the rollback."""
    world = make_world(GRACE)
    former, _ = rotated(world)
    token = of_version(world, former)
    store_by_hand(world, world.secret_arn, token.value)

    answer = roll_back(world)

    assert token.active
    until = datetime.fromtimestamp(_seconds(token.label.rpartition(" until ")[2]), UTC)
    assert answer["ReplacedUntil"] == until.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_pinned_replaced_version_is_left_and_said(make_world: MakeWorld) -> None:
    world = make_world(GRACE)
    former, replaced = rotated(world)
    pin(world, replaced)

    answer = roll_back(world)

    token = of_version(world, replaced)
    assert token.active
    assert answer["ReplacedUntil"] is None
    assert answer["Message"].startswith(
        f"AWSCURRENT is version {former} again, in place of {replaced}. Token {token.uuid} of version {replaced} is "
        f"left active: its version is pinned by the staging label blue"
    )


def test_it_goes_back_from_a_token_that_is_dead(make_world: MakeWorld) -> None:
    world = make_world()
    former, replaced = rotated(world)
    world.hub.tokens.pop(of_version(world, replaced).uuid)

    answer = roll_back(world)

    assert holder(world, "AWSCURRENT") == former
    assert world.hub.authenticates(world.current_token())
    assert answer["ReplacedUntil"] is None


def test_a_label_without_a_deadline_is_what_a_token_has_in_the_end_that_people_have_disabled(
    watched_world: WatchedWorld,
) -> None:
    """While it is held, it has one; that the list was read before does not keep it there."""
    world, invariants = watched_world()
    former, _ = rotated(world)
    token = of_version(world, former)
    token.label = token.label.partition(" ")[0]
    invariants.begin(world)

    roll_back(world)

    assert token.active
    assert " until " not in token.label
    assert invariants.broken == []


def test_of_two_tokens_that_were_made_for_the_version_the_stored_one_stays(make_world: MakeWorld) -> None:
    world = make_world()
    former, _ = rotated(world)
    real = of_version(world, former)
    twin = world.hub.add_token(real.label, active=False)

    roll_back(world)

    assert real.active
    assert twin.uuid not in world.hub.tokens


def test_other_secrets_tokens_stay_as_they_are(watched_world: WatchedWorld) -> None:
    world, invariants = watched_world(GRACE)
    rotated(world)
    rotated_secret(world, "another/token")
    invariants.begin(world)

    roll_back(world)

    assert invariants.broken == []


# Again


def test_doing_it_again_changes_nothing(make_world: MakeWorld) -> None:
    world = make_world(GRACE)
    former, replaced = rotated(world)
    first = roll_back(world)
    before = world.state()

    second = roll_back(world, former)

    assert world.state() == before
    assert second == first | {"Moved": False, "Message": second["Message"]}
    assert second["Message"].startswith(f"AWSCURRENT was version {former} already, in place of {replaced}, whose token")


def test_after_it_was_moved_by_hand_the_replaced_token_is_seen_to(make_world: MakeWorld) -> None:
    """An earlier attempt may have died after the move."""
    world = make_world()
    former, replaced = rotated(world)
    of_version(world, former).active = True
    move_awscurrent_back(world)

    answer = roll_back(world, former)

    assert not of_version(world, replaced).active
    assert (answer["Moved"], answer["Replaced"]) == (False, replaced)


def test_a_current_version_that_does_not_work_is_said_and_nothing_is_taken_away(make_world: MakeWorld) -> None:
    world = make_world()
    former, _ = rotated(world)
    move_awscurrent_back(world)

    is_refused(world, "RollbackFailed: AWSCURRENT is on version .* already", former)

    assert world.hub.refused_logins == 1
    assert lines(world)[-1]["consumers_affected"] is True


def test_what_is_current_already_is_no_reason_to_touch_a_rotation_that_has_not_ended(make_world: MakeWorld) -> None:
    world = make_world()
    rotated(world)
    world.hold_before = "finishSecret"
    world.rotate()
    token_under(world, "AWSPENDING").active = False
    before = world.state()

    answer = roll_back(world, holder(world, "AWSCURRENT"))

    assert answer["Moved"] is False
    assert world.state() == before


# What it says


def test_the_whole_answer_is_plain_data(make_world: MakeWorld) -> None:
    world = make_world()
    former, replaced = rotated(world)

    answer = roll_back(world)

    until = of_version(world, replaced).label.rpartition(" until ")[2]
    assert answer == {
        "Task": "Rollback",
        "SecretId": world.secret_arn,
        "VersionId": former,
        "Message": f"AWSCURRENT is version {former} again, in place of {replaced}, whose token is disabled.",
        "Moved": True,
        "Replaced": replaced,
        "ReplacedUntil": datetime.fromtimestamp(_seconds(until), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    (line,) = lines(world)
    assert (line["message"], line["task"], line["level"]) == (answer["Message"], "Rollback", "INFO")
    assert metrics(world) == []


def test_it_asks_for_little(make_world: MakeWorld) -> None:
    world = make_world(GRACE)
    rotated(world)
    world.passed += DAY + HOUR
    world.care()
    asked = len(world.wire.requests)

    roll_back(world)

    assert names(world, asked) == [
        "DescribeSecret",
        "GetSecretValue",
        "GET /v2/access-tokens",
        PATCH,  # enabled, and held
        "POST /v2/auth/token",
        "GET /token",
        PATCH,  # the deadline of what is to be replaced
        "DescribeSecret",
        MOVE,
        "POST /v2/auth/token",
        PATCH,  # held no more
    ]


def test_what_is_disabled_at_once_takes_no_other_look_at_the_labels(make_world: MakeWorld) -> None:
    world = make_world()
    rotated(world)
    asked = len(world.wire.requests)

    roll_back(world)

    assert names(world, asked)[names(world, asked).index(MOVE) :] == [MOVE, "POST /v2/auth/token", PATCH, PATCH]


@pytest.mark.parametrize(("left", "holds"), [(899, True), (900, False), (DAY - HOUR, False)])
def test_a_token_that_is_in_use_is_held_where_its_grace_may_end_before_this_invocation_does(
    make_world: MakeWorld, clock: Any, left: int, holds: bool
) -> None:
    world = make_world(GRACE)
    former, _ = rotated(world)
    token = of_version(world, former)
    token.label = label_for(world.secret_arn, former, world.now() + left)
    asked = len(world.wire.requests)

    roll_back(world)

    before_the_login = names(world, asked)[: names(world, asked).index("GET /token")]
    assert (PATCH in before_the_login) is holds
    assert " until " not in token.label


@pytest.mark.parametrize("left", [0, HOUR])
def test_a_disabled_token_is_enabled_whatever_its_label_says_and_held_until_after_this_invocation(
    make_world: MakeWorld, clock: Any, left: int
) -> None:
    """Then neither does a reconcile take it away before the move, nor does it stay if there is none."""
    held: list[float] = []

    def note(world: World) -> None:
        token = of_version(world, former)
        held.append(_seconds(token.label.partition(" until ")[2]) - world.now() if token.active else 0)

    meddler = Meddler("GET /token", note)
    world = with_a_meddler(make_world, meddler)
    former, _ = rotated(world)
    of_version(world, former).label = label_for(world.secret_arn, former, world.now() + left)

    roll_back(world)

    assert held == [pytest.approx(HELD_SECONDS, abs=2)]
    assert HELD_SECONDS > 900


def test_no_secret_value_is_in_anything_it_says(
    make_world: MakeWorld, process_of_its_own: Callable[..., Function]
) -> None:
    world = make_world(Scene(environment=LOUD, two_factor=True, grace="1h"), run_function=process_of_its_own)
    rotated(world)

    answers = [roll_back(world), roll_back(world)]
    with pytest.raises(FunctionError) as refused:
        roll_back(world, world.current_token()[:64])

    assert world.leaked(world.caretaker.log() + json.dumps(answers) + str(refused.value)) == []


def test_with_one_time_codes_it_does_not_burn_the_code_that_the_rotation_has_used(
    make_world: MakeWorld, clock: Any
) -> None:
    world = make_world(Scene(two_factor=True))
    rotated(world)

    roll_back(world)

    assert world.hub.refused_logins == 0


# What is refused


def test_a_version_that_is_not_the_one_before_is_refused_and_not_quoted(make_world: MakeWorld) -> None:
    world = make_world()
    world.rotate()
    older, back = holder(world, "AWSPREVIOUS"), holder(world, "AWSCURRENT")
    world.rotate()
    asked = len(world.wire.requests)

    for version in (older, NOBODY, world.current_token()):
        is_refused(
            world, f"EventRefused: .* neither .* nor that of AWSPREVIOUS, .*: that is version {back}. Not", version
        )

    assert set(names(world, asked)) == {"DescribeSecret"}
    assert world.leaked(world.caretaker.log()) == []
    assert NOBODY not in world.caretaker.log()


def test_a_secret_that_was_never_rotated_has_no_way_back(make_world: MakeWorld) -> None:
    world = make_world()
    world.aws.attach(world.secret_arn, FUNCTION_ARN)

    is_refused(world, r"which alone is a way back: there is none\. Nothing was changed\.$", NOBODY)


@pytest.mark.parametrize("promoted", [False, True])
def test_a_rotation_that_has_not_ended_is_said_to_be_pending_or_promoted(make_world: MakeWorld, promoted: bool) -> None:
    world = make_world()
    rotated(world)
    if promoted:
        world.hub.faults += [HubFault("PATCH", "/v2/access-tokens/*", *NO)] * 5
    else:
        world.hold_before = "testSecret"
    world.rotate()
    pending = holder(world, "AWSPENDING")

    is_refused(
        world, f"EventRefused: Version {pending} is {'promoted' if promoted else 'AWSPENDING'}, but its rotation"
    )


def commanded(world: World, refused: str) -> None:
    """Run the command in a message as it is printed."""
    command = refused.partition("send the task again: ")[2].partition("`aws ")[2].partition("`")[0]
    assert "--region eu-central-1" in command
    world.aws_cli(*command.split())


@pytest.mark.parametrize("step", ["createSecret", "testSecret", "finishSecret"])
def test_while_a_rotation_has_not_ended_it_is_refused_and_the_command_unblocks_it(
    make_world: MakeWorld, step: str
) -> None:
    world = make_world()
    former, _ = rotated(world)
    world.hold_before = step
    world.rotate()

    with pytest.raises(
        FunctionError, match="EventRefused: .* has not ended, .*`AWS_REGION=[^`]* make unblock "
    ) as refused:
        roll_back(world)
    commanded(world, str(refused.value))
    roll_back(world)

    assert holder(world, "AWSCURRENT") == former
    assert world.hub.authenticates(world.current_token())


def test_a_promoted_version_whose_rotation_has_not_ended_would_be_promoted_again(make_world: MakeWorld) -> None:
    world = make_world()
    rotated(world)
    world.hub.faults += [HubFault("PATCH", "/v2/access-tokens/*", *NO)] * 5
    assert world.rotate()[-1] == "RotationFailed"
    former = holder(world, "AWSPREVIOUS")
    assert holder(world, "AWSPENDING") == holder(world, "AWSCURRENT")

    with pytest.raises(FunctionError, match="EventRefused: .* is promoted, but its rotation has not ended") as refused:
        roll_back(world)
    commanded(world, str(refused.value))
    roll_back(world)

    with pytest.raises(LookupError):
        world.aws.retry(world.secret_arn)
    assert world.rotate() == ["RotationStarted", "RotationSucceeded"]
    assert holder(world, "AWSPREVIOUS") == former


def test_a_token_that_is_gone_cannot_be_brought_back(make_world: MakeWorld) -> None:
    world = make_world()
    former, _ = rotated(world)
    world.hub.tokens.pop(of_version(world, former).uuid)

    is_refused(world, "RollbackFailed: .* nobody can bring it back, .* rotate-secret")

    assert world.hub.refused_logins == 1


def test_a_token_that_has_expired_cannot_be_brought_back_and_no_login_is_tried(make_world: MakeWorld) -> None:
    world = make_world()
    former, _ = rotated(world)
    of_version(world, former).expires_at = datetime.fromtimestamp(world.now(), UTC) - timedelta(days=1)

    is_refused(world, "RollbackFailed: .* has expired")

    assert world.hub.refused_logins == 0


def test_a_placeholder_is_nothing_to_go_back_to(make_world: MakeWorld) -> None:
    world = make_world(Scene(placeholder=True))
    world.rotate()
    assert PLACEHOLDER in (world.aws.value(world.secret_arn, "AWSPREVIOUS") or "")
    asked = len(world.wire.requests)

    is_refused(world, "RollbackFailed: .* holds no token")

    assert names(world, asked) == ["DescribeSecret", "GetSecretValue"]


def test_a_value_that_names_another_account_is_refused(make_world: MakeWorld) -> None:
    world = make_world(Scene(shape=Shape.ECS))
    rotated(world)
    store_by_hand(world, world.secret_arn, Shape.ECS.compose("somebody-else", token_under(world).value))
    world.rotate()
    store_by_hand(world, world.secret_arn, Shape.ECS.compose(world.hub.username, token_under(world).value))

    is_refused(
        world,
        "SecretUnusable: Nothing was changed: the user name in version .* make credentials .*"
        "--name DOCKER_HUB_USERNAME .*make rollback ",
    )


def test_a_token_of_another_account_is_refused(make_world: MakeWorld) -> None:
    """The value does not say whose it is; its login does."""
    world, other = make_world(), another_account()
    world.rotate()
    theirs, token = other.add_token("theirs").value, token_under(world)
    share_docker_hub(world, other, for_what=lambda body: theirs.encode() in body)
    store_by_hand(world, world.secret_arn, theirs)
    store_by_hand(world, world.secret_arn, token.value)

    is_refused(
        world, "SecretUnusable: Version .* holds a token of another account than .* make credentials .* make rollback "
    )


def test_where_nothing_shows_that_it_is_the_right_account_it_is_refused(make_world: MakeWorld) -> None:
    world = make_world()
    rotated(world)
    for token in list(world.hub.tokens.values()):
        if token.label.startswith("dockerhub-rotation/"):
            del world.hub.tokens[token.uuid]

    is_refused(
        world,
        "SecretUnusable: Nothing shows that this account has made the secret's tokens.* make credentials .*"
        "--name DOCKER_HUB_USERNAME .*--name DOCKER_HUB_PASSWORD .*make rollback ",
    )

    assert world.hub.refused_logins == 0


def cut_short(world: World) -> None:
    """Let a gateway cut the list of tokens short: it counts more than it shows."""
    body: dict[str, Any] = {"count": len(world.hub.tokens), "next": None, "previous": None, "results": []}
    world.hub.faults += [HubFault("GET", "/v2/access-tokens", 200, body)] * 2


@pytest.mark.parametrize("shape", [Shape.PLAIN, Shape.ECS], ids=["no user name", "a user name"])
def test_nothing_follows_from_a_list_that_is_cut_short(make_world: MakeWorld, shape: Shape) -> None:
    """Neither that it is another account, nor that nobody can bring the token back."""
    world = make_world(Scene(shape=shape))
    former, _ = rotated(world)
    cut_short(world)

    is_refused(world, "DockerHubUnavailable: .* counts more than it shows")

    assert roll_back(world)["Moved"] is True
    assert of_version(world, former).active


def test_a_shared_token_that_another_secret_s_rotation_is_about_to_disable_is_nothing_to_go_back_to(
    make_world: MakeWorld,
) -> None:
    world = make_world(GRACE)
    world.rotate()
    other = rotated_secret(world, "another/token")
    store_by_hand(world, world.secret_arn, world.aws.value(other) or "")
    world.rotate()
    shared = token_under(world, "AWSPREVIOUS")
    assert roll_back(world)["Moved"] is True  # that secret still uses it
    roll_back(world)
    world.client.rotate_secret(SecretId=other)
    world.aws.wait()
    assert (shared.active, " until " in shared.label) == (True, True)

    is_refused(world, "RollbackFailed: .* is superseded there: it is disabled at 20.* UTC, whoever holds it")


def test_a_pinned_token_that_does_not_work_is_not_said_to_be_disabled_again(make_world: MakeWorld, clock: Any) -> None:
    world = with_a_meddler(make_world, Meddler(PATCH, lambda world: take(world, "disabled")))
    former, _ = rotated(world)
    pin(world, former)
    world.client.update_secret_version_stage(SecretId=world.secret_arn, VersionStage="green", MoveToVersionId=former)

    with pytest.raises(FunctionError, match="disable it by hand, for your staging label blue and green keeps it"):
        roll_back(world)


def test_a_token_that_the_registry_alone_refuses_is_nothing_to_go_back_to(make_world: MakeWorld, clock: Any) -> None:
    world = make_world()
    _, current = rotated(world)
    world.hub.faults += [HubFault("GET", "/token", 401, {"details": "no"})] * 2

    with pytest.raises(FunctionError, match="RollbackFailed: .* does not let it in all the same"):
        roll_back(world)

    assert holder(world, "AWSCURRENT") == current


def test_a_token_that_the_list_lacks_and_that_works_is_a_way_back(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(GRACE)
    first = hand_made(world)
    store_by_hand(world, world.secret_arn, first.value)
    world.rotate()
    list_otherwise(monkeypatch, lambda listed: [one for one in listed if one.uuid != first.uuid])

    assert roll_back(world)["Moved"] is True
    assert token_under(world) is first


def test_a_value_that_names_the_account_needs_no_other_proof(make_world: MakeWorld) -> None:
    world = make_world(Scene(shape=Shape.ECS, placeholder=True))
    world.aws.attach(world.secret_arn, FUNCTION_ARN)
    first, second = world.hub.add_token("one"), world.hub.add_token("two")
    for token in (first, second):
        store_by_hand(world, world.secret_arn, Shape.ECS.compose(world.hub.username, token.value))

    roll_back(world)

    assert token_under(world) is first


# What others do meanwhile


@pytest.mark.parametrize(
    ("act", "name"),
    [
        ("moved", "GET /token"),
        ("overwritten", "GET /token"),
        ("rotating", "GET /token"),
        ("moved", "DescribeSecret"),
        ("overwritten", "DescribeSecret"),
    ],
)
def test_where_somebody_else_moves_a_label_before_the_move_it_is_left_there(
    make_world: MakeWorld, act: str, name: str
) -> None:
    def others(world: World) -> None:
        if act == "overwritten":
            store_by_hand(world, world.secret_arn, world.hub.add_token("by hand").value)
        elif act == "moved":
            world.client.update_secret_version_stage(
                SecretId=world.secret_arn,
                VersionStage="AWSCURRENT",
                MoveToVersionId=older,
                RemoveFromVersionId=holder(world, "AWSCURRENT"),
            )
        else:
            world.hold_before = "createSecret"
            world.client.rotate_secret(SecretId=world.secret_arn)
            world.aws.wait()

    world = with_a_meddler(make_world, Meddler(name, others, 2 if name == "DescribeSecret" else 1))
    world.rotate()
    older = holder(world, "AWSCURRENT")
    pin(world, older)
    world.rotate()
    world.rotate()

    with pytest.raises(FunctionError, match="EventRefused") as refused:
        roll_back(world)

    assert "Nothing was changed" not in str(refused.value)  # its token was enabled
    expected = {"moved": older, "overwritten": holder(world, "AWSCURRENT"), "rotating": holder(world, "AWSCURRENT")}
    assert holder(world, "AWSCURRENT") == expected[act]
    assert MOVE not in [request.name for request in world.wire.requests[-3:] if request.status == 200]
    assert world.hub.authenticates(world.current_token())


@pytest.mark.parametrize("taken", ["disabled", "deleted"])
def test_a_token_that_is_taken_away_before_the_move_keeps_awscurrent_where_it_is(
    make_world: MakeWorld, clock: Any, taken: str
) -> None:
    world = with_a_meddler(make_world, Meddler(PATCH, lambda world: take(world, taken)))
    _, current = rotated(world)

    with pytest.raises(
        FunctionError,
        match="RollbackFailed: .* does not let it in all the same; the caretaker disables it again. AWSCURRENT is ",
    ):
        roll_back(world)

    assert holder(world, "AWSCURRENT") == current
    assert world.hub.authenticates(world.current_token())
    assert world.hub.refused_logins == 2
    assert lines(world)[-1]["consumers_affected"] is False


def take(world: World, how: str) -> None:
    token = token_under(world, "AWSPREVIOUS")
    if how == "deleted":
        del world.hub.tokens[token.uuid]
    else:
        token.active = False


@pytest.mark.parametrize("taken", ["disabled", "deleted"])
@pytest.mark.parametrize("scene", [Scene(), GRACE], ids=["no grace", "a grace"])
def test_a_token_that_is_taken_away_between_login_and_move_brings_awscurrent_back_where_it_was(
    make_world: MakeWorld, scene: Scene, taken: str
) -> None:
    world = with_a_meddler(make_world, Meddler("GET /token", lambda world: take(world, taken)), scene)
    _, current = rotated(world)

    with pytest.raises(FunctionError, match="RollbackFailed: .* AWSCURRENT is moved back to version"):
        roll_back(world)

    assert holder(world, "AWSCURRENT") == current
    assert world.hub.authenticates(world.current_token())
    assert world.hub.refused_logins == 1
    world.care()
    assert token_under(world).label == f"{token_under(world).label.partition(' ')[0]}"  # without a deadline


def test_where_it_cannot_be_moved_back_it_is_said_that_consumers_are_refused(make_world: MakeWorld) -> None:
    def taken(world: World) -> None:
        world.aws.refuse[MOVE] = ("AccessDeniedException", "no")
        token_under(world).active = False

    world = with_a_meddler(make_world, Meddler(MOVE, taken))
    former, _ = rotated(world)

    with pytest.raises(
        FunctionError,
        match=r"RollbackFailed: .* could not be moved back, so consumers may be refused\. Make a new token\. Run `",
    ):
        roll_back(world)

    assert holder(world, "AWSCURRENT") == former
    assert lines(world)[-1]["consumers_affected"] is True


def test_where_the_second_login_gets_no_answer_nothing_is_taken_away_and_the_next_try_goes_on(
    make_world: MakeWorld, clock: Any
) -> None:
    def down(world: World) -> None:
        world.hub.faults += [HubFault("POST", "/v2/auth/token", 503, {})] * 4

    world = with_a_meddler(make_world, Meddler(MOVE, down))
    former, replaced = rotated(world)

    with pytest.raises(FunctionError, match="RetirementFailed: AWSCURRENT is version .* make rollback "):
        roll_back(world)

    assert holder(world, "AWSCURRENT") == former
    assert of_version(world, replaced).active
    assert roll_back(world, former)["Moved"] is False
    assert not of_version(world, replaced).active


def test_what_could_not_be_disabled_is_an_error_and_the_next_try_goes_on(make_world: MakeWorld) -> None:
    no_change = HubFault("PATCH", "/v2/access-tokens/*", *NO)
    world = with_a_meddler(make_world, Meddler(MOVE, lambda world: world.hub.faults.append(no_change)))
    former, replaced = rotated(world)

    with pytest.raises(FunctionError, match="RetirementFailed: AWSCURRENT is version"):
        roll_back(world)
    assert roll_back(world, former)["Replaced"] == replaced

    assert not of_version(world, replaced).active
    assert " until " not in of_version(world, former).label


# A reconcile, or a twin, at every point of it


POINTS = 11
IN_GRACE = Scene(grace="2h")
NO_GRACE_FOR_TAGS = Scene(environment={"DOCKERHUB_GRACE_LIMIT": "0"})


@pytest.mark.parametrize(
    ("scene", "task"),
    [(NO_GRACE_FOR_TAGS, "Reconcile"), (IN_GRACE, "Reconcile"), (IN_GRACE, "Rollback")],
    ids=["Reconcile, a limit of 0", "Reconcile, in grace", "Rollback, in grace"],
)
@pytest.mark.parametrize("point", range(1, POINTS + 1))
def test_a_reconcile_or_a_twin_between_any_two_requests_breaks_nothing(
    make_world: MakeWorld, process_of_its_own: Callable[..., Function], scene: Scene, task: str, point: int
) -> None:
    """One that begins and ends there; `test_caretaker_twins` has those that do not."""
    invariants, due = Invariants(), 0
    event: dict[str, object] = {"Task": "Reconcile"}

    def look(request: Request) -> None:
        invariants.look(world, request)
        if request.number == due:
            beside.invoke(event)

    world = make_world(scene, on_request=look)
    environment = world.function_environment(world.environment["AWS_ENDPOINT_URL"], world.hub_url)
    with process_of_its_own({**environment, "_HANDLER": CARETAKER, "ROTATION_FUNCTION_ARN": FUNCTION_ARN}) as beside:
        invariants.begin(world)
        former, replaced = rotated(world)
        world.passed += 3 * HOUR
        beside.invoke({"Task": "Reconcile"})
        world.care()
        invariants.begin(world)
        invariants.at_work = frozenset({"Reconcile", "Rollback"})
        due = len(world.wire.requests) + point
        if task == "Rollback":
            event |= {"Task": task, "SecretId": world.secret_arn, "VersionId": former}

        roll_back(world)

    assert (holder(world, "AWSCURRENT"), holder(world, "AWSPREVIOUS")) == (former, replaced)
    assert of_version(world, former).active
    assert of_version(world, replaced).active == bool(scene.grace_seconds)
    assert invariants.broken == []
    world.care()
    assert " until " not in of_version(world, former).label


# A rotation that begins at any point of it


@pytest.mark.parametrize(
    ("scene", "held_before"), [(Scene(), None), (IN_GRACE, "finishSecret")], ids=["whole", "held up, in grace"]
)
@pytest.mark.parametrize("point", range(1, POINTS + 1))
def test_a_rotation_between_any_two_requests_breaks_nothing(
    make_world: MakeWorld, clock: Any, scene: Scene, held_before: str | None, point: int
) -> None:
    """One that ends there, and one that is held up before its last step and goes on afterwards."""
    invariants, due = Invariants(), 0

    def look(request: Request) -> None:
        invariants.look(world, request)
        if request.number == due:
            world.hold_before = held_before
            world.client.rotate_secret(SecretId=world.secret_arn)
            world.aws.wait()
            world.hold_before = None
            invariants.begin(world)  # Secrets Manager takes AWSPENDING away by itself

    world = make_world(scene, on_request=look)
    invariants.begin(world)
    former, _ = rotated(world)
    world.passed += 3 * HOUR
    world.care()
    due = len(world.wire.requests) + point
    invariants.at_work = frozenset({"Rollback", "createSecret", "testSecret", "finishSecret"})

    try:
        assert roll_back(world)["Moved"] is True
    except FunctionError as refused:
        assert str(refused).startswith(("EventRefused: ", "RollbackFailed: ", "DockerHubRefused: "))  # noqa: PT017
    if held_before:
        world.aws.retry(world.secret_arn)
        world.aws.wait()

    assert world.aws.events[-1].name == "RotationSucceeded"
    assert world.hub.authenticates(world.current_token())
    assert holder(world, "AWSCURRENT") != former
    world.passed += 3 * HOUR
    world.care()
    assert invariants.broken == []
    world.rotate()
    invariants.at_rest(world)
    assert invariants.broken == []
