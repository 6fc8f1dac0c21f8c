"""The rehearsal's AWS behaves like AWS where it matters for a rotation, and moto still needs the help it gets."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event as Signal
from typing import TYPE_CHECKING, Any
from unittest import mock

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws

from rehearsal.secrets_manager import Aws
from rehearsal.wire import Server

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_ssm import SSMClient

REGION = "eu-central-1"
FUNCTION = f"arn:aws:lambda:{REGION}:123456789012:function:rotation"
FIRST, SECOND, THIRD = (f"0000000{n}-0000-4000-8000-000000000000" for n in (1, 2, 3))
SESSION = boto3.Session(aws_access_key_id="rehearsal", aws_secret_access_key="rehearsal", region_name=REGION)
ONCE = Config(retries={"total_max_attempts": 1})

Event = dict[str, str]


def succeed(_event: Event) -> None:
    """Do nothing."""


def fail(event: Event) -> None:
    raise RuntimeError(event["Step"])


class Function:
    """A rotation function that does its duty, unless a test puts something else in place of a step."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.instead: dict[str, Callable[[Event], object]] = {}
        self.secrets: SecretsManagerClient

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        duty = {"createSecret": self.create, "finishSecret": self.finish}.get(event["Step"], succeed)
        self.instead.get(event["Step"], duty)(event)

    def create(self, event: Event) -> None:
        self.secrets.put_secret_value(
            SecretId=event["SecretId"],
            ClientRequestToken=event["ClientRequestToken"],
            SecretString=f"value of {event['ClientRequestToken']}",
            VersionStages=["AWSPENDING"],
            RotationToken=event["RotationToken"],
        )

    def finish(self, event: Event) -> None:
        labels = self.secrets.describe_secret(SecretId=event["SecretId"])["VersionIdsToStages"]
        current = next(version_id for version_id, stages in labels.items() if "AWSCURRENT" in stages)
        if current != event["ClientRequestToken"]:
            self.secrets.update_secret_version_stage(
                SecretId=event["SecretId"],
                VersionStage="AWSCURRENT",
                MoveToVersionId=event["ClientRequestToken"],
                RemoveFromVersionId=current,
            )

    @property
    def steps(self) -> list[str]:
        return [event["Step"] for event in self.events]


class World:
    """AWS behind a loopback server, with one secret whose current version is FIRST."""

    def __init__(self, aws: Aws, function: Function, url: str) -> None:
        self.aws, self.function, self.url = aws, function, url
        self.secrets: SecretsManagerClient = SESSION.client("secretsmanager", endpoint_url=url, config=ONCE)
        self.ssm: SSMClient = SESSION.client("ssm", endpoint_url=url, config=ONCE)
        function.secrets = self.secrets
        self.arn = self.secrets.create_secret(Name="hub", SecretString="seed", ClientRequestToken=FIRST)["ARN"]

    def put(self, version_id: str, value: str, **more: Any) -> Any:
        return self.secrets.put_secret_value(SecretId="hub", ClientRequestToken=version_id, SecretString=value, **more)

    def start(self, version_id: str = SECOND, **more: Any) -> Any:
        """Ask for a rotation and return the answer."""
        return self.secrets.rotate_secret(
            SecretId="hub", ClientRequestToken=version_id, RotationLambdaARN=FUNCTION, **more
        )

    def rotate(self, version_id: str = SECOND, **more: Any) -> None:
        """Ask for a rotation and wait for its end."""
        self.start(version_id, **more)
        self.aws.wait()

    @property
    def labels(self) -> dict[str, set[str]]:
        return self.aws.labels("hub")

    @property
    def events(self) -> list[str]:
        return [event.name for event in self.aws.events]


@contextmanager
def a_world(**options: Any) -> Iterator[World]:
    function = Function()
    aws = Aws(invoke=function, region=REGION, **options)
    with Server(aws.app) as server:
        world = World(aws, function, server.url)
        with closing(world.secrets), closing(world.ssm):
            yield world
            aws.wait()


@pytest.fixture
def world() -> Iterator[World]:
    with a_world() as world:
        yield world


@contextmanager
def refused(code: str, message: str | None = None) -> Iterator[None]:
    with pytest.raises(ClientError, match=message) as caught:
        yield
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def move(world: World, label: str, *, source: str | None = None, target: str | None = None) -> None:
    versions = {"RemoveFromVersionId": source, "MoveToVersionId": target}
    named: Any = {key: version_id for key, version_id in versions.items() if version_id}
    world.secrets.update_secret_version_stage(SecretId="hub", VersionStage=label, **named)


# RotateSecret


def test_rotate_secret_makes_an_empty_pending_version_and_answers_before_the_rotation_has_run(world: World) -> None:
    answered = Signal()
    world.function.instead["createSecret"] = lambda _: answered.wait(10)

    answer = world.start()

    assert (answer["ARN"], answer["Name"], answer["VersionId"]) == (world.arn, "hub", SECOND)
    assert world.labels == {FIRST: {"AWSCURRENT"}, SECOND: {"AWSPENDING"}}
    assert world.aws.value("hub", "AWSPENDING") is None
    answered.set()


def test_rotation_is_configured_by_its_first_call_and_remembered(world: World) -> None:
    assert "RotationEnabled" not in world.secrets.describe_secret(SecretId="hub")

    world.rotate(RotationRules={"ScheduleExpression": "rate(10 days)", "Duration": "2h"})
    world.secrets.rotate_secret(SecretId="hub", ClientRequestToken=THIRD)
    world.aws.wait()

    description = world.secrets.describe_secret(SecretId="hub")
    assert description["RotationEnabled"] is True
    assert description["RotationLambdaARN"] == FUNCTION
    assert description["RotationRules"] == {
        "ScheduleExpression": "rate(10 days)",
        "Duration": "2h",
        "AutomaticallyAfterDays": 10,  # worked out by AWS, after the first rotation
    }
    assert world.aws.value("hub") == f"value of {THIRD}"


def test_rotation_without_a_function_is_refused(world: World) -> None:
    with refused("InvalidRequestException", "No Lambda rotation function ARN"):
        world.secrets.rotate_secret(SecretId="hub", ClientRequestToken=SECOND)

    assert world.labels == {FIRST: {"AWSCURRENT"}}


def test_rotation_is_refused_while_an_earlier_one_is_pending(world: World) -> None:
    world.function.instead["setSecret"] = fail
    world.rotate(SECOND)

    with refused("InvalidRequestException", "A previous rotation isn't complete"):
        world.rotate(THIRD)

    assert world.labels == {FIRST: {"AWSCURRENT"}, SECOND: {"AWSPENDING"}}


def test_rotation_is_refused_while_the_promoted_version_is_still_at_its_last_step(world: World) -> None:
    promoted, go_on = Signal(), Signal()

    def finish(event: Event) -> None:
        world.function.finish(event)
        promoted.set()
        assert go_on.wait(10)

    world.function.instead["finishSecret"] = finish
    world.start(SECOND)
    assert promoted.wait(10)

    with refused("InvalidRequestException", "A previous rotation isn't complete"):
        world.start(THIRD)

    assert world.labels == {FIRST: {"AWSPREVIOUS"}, SECOND: {"AWSPENDING", "AWSCURRENT"}}
    go_on.set()


def test_rotation_into_a_version_that_exists_is_refused(world: World) -> None:
    with refused("ResourceExistsException"):
        world.start(FIRST)


def test_rotating_what_does_not_exist_is_refused(world: World) -> None:
    with refused("ResourceNotFoundException"):
        world.secrets.rotate_secret(SecretId="nothing", RotationLambdaARN=FUNCTION)


def test_the_aws_command_line_can_rotate(world: World) -> None:
    subprocess.run(
        [
            *(Path(sys.executable).with_name("aws"), "secretsmanager", "rotate-secret", "--secret-id", "hub"),
            *("--rotation-lambda-arn", FUNCTION, "--client-request-token", SECOND, "--endpoint-url", world.url),
        ],
        env={
            "PATH": os.environ["PATH"],
            "AWS_ACCESS_KEY_ID": "rehearsal",
            "AWS_SECRET_ACCESS_KEY": "rehearsal",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
        },
        check=True,
        capture_output=True,
        timeout=30,
    )
    world.aws.wait()

    assert world.labels == {FIRST: {"AWSPREVIOUS"}, SECOND: {"AWSCURRENT"}}


# The rotation


def test_a_rotation_runs_the_four_steps_and_takes_the_pending_label_away_itself(world: World) -> None:
    world.rotate()

    assert world.function.steps == ["createSecret", "setSecret", "testSecret", "finishSecret"]
    assert {event["SecretId"] for event in world.function.events} == {world.arn}
    assert {event["ClientRequestToken"] for event in world.function.events} == {SECOND}
    assert world.labels == {FIRST: {"AWSPREVIOUS"}, SECOND: {"AWSCURRENT"}}
    assert world.aws.value("hub") == f"value of {SECOND}"
    assert world.events == ["RotationStarted", "RotationSucceeded"]


def test_a_rotation_token_is_good_for_one_attempt(world: World) -> None:
    world.function.instead["setSecret"] = fail

    world.rotate()

    tokens = [event["RotationToken"] for event in world.function.events]
    assert len(set(tokens)) == 5
    assert tokens[0::2] == tokens[1::2]
    assert all(len(token) >= 36 and set(token) <= set("0123456789abcdef-") for token in tokens)


def test_a_failed_step_ends_the_attempt_and_the_next_begins_at_the_first_step_with_the_same_version(
    world: World,
) -> None:
    def fail_once(event: Event) -> None:
        del world.function.instead["testSecret"]
        fail(event)

    world.function.instead["testSecret"] = fail_once

    world.rotate()

    assert world.function.steps[:4] == ["createSecret", "setSecret", "testSecret", "createSecret"]
    assert world.labels == {FIRST: {"AWSPREVIOUS"}, SECOND: {"AWSCURRENT"}}
    assert world.events == ["RotationStarted", "RotationFailed", "RotationSucceeded"]
    assert world.aws.events[1].secret == world.arn
    assert world.aws.events[1].message == f"Error when executing lambda {FUNCTION} during testSecret step"


def test_a_rotation_that_keeps_failing_stays_behind_as_pending_until_the_next_window() -> None:
    pauses: list[int] = []
    with a_world(attempts=3, pause=pauses.append) as world:
        world.function.instead["finishSecret"] = fail
        world.rotate()
        assert world.labels == {FIRST: {"AWSCURRENT"}, SECOND: {"AWSPENDING"}}
        assert world.events == ["RotationStarted"] + ["RotationFailed"] * 3
        assert pauses == [2, 3]

        world.function.instead.clear()
        world.aws.retry("hub")
        world.aws.wait()

        assert world.labels == {FIRST: {"AWSPREVIOUS"}, SECOND: {"AWSCURRENT"}}
        assert world.events[-2:] == ["RotationStarted", "RotationSucceeded"]


def test_a_failure_after_promotion_is_repeated_too_and_does_not_block_the_next_rotation(world: World) -> None:
    def promote_and_fail(event: Event) -> None:
        world.function.finish(event)
        fail(event)

    world.function.instead["finishSecret"] = promote_and_fail
    world.rotate(SECOND)
    assert world.labels == {FIRST: {"AWSPREVIOUS"}, SECOND: {"AWSCURRENT", "AWSPENDING"}}
    assert world.function.steps.count("finishSecret") == 5

    def create(event: Event) -> None:
        assert world.labels == {FIRST: {"AWSPREVIOUS"}, SECOND: {"AWSCURRENT"}, THIRD: {"AWSPENDING"}}
        world.function.create(event)

    world.function.instead = {"createSecret": create}
    world.rotate(THIRD)

    assert world.labels == {FIRST: set(), SECOND: {"AWSPREVIOUS"}, THIRD: {"AWSCURRENT"}}


def test_a_rotation_that_promotes_nothing_has_failed(world: World) -> None:
    world.function.instead["finishSecret"] = succeed

    world.rotate()

    assert world.events == ["RotationStarted"] + ["RotationFailed"] * 5
    assert world.labels == {FIRST: {"AWSCURRENT"}, SECOND: {"AWSPENDING"}}


def test_a_rotation_that_leaves_the_pending_label_on_another_version_has_failed(world: World) -> None:
    def promote_and_misplace(event: Event) -> None:
        world.function.finish(event)
        move(world, "AWSPENDING", source=SECOND, target=FIRST)

    world.function.instead["finishSecret"] = promote_and_misplace

    world.rotate()

    assert "RotationSucceeded" not in world.events
    assert world.labels == {FIRST: {"AWSPREVIOUS", "AWSPENDING"}, SECOND: {"AWSCURRENT"}}


@pytest.mark.parametrize("failures", [0, 1])
def test_a_function_that_removes_the_pending_label_after_promotion_may_still_succeed(
    world: World, failures: int
) -> None:
    def tidy_once(event: Event) -> None:
        del world.function.instead["finishSecret"]
        world.function.finish(event)
        move(world, "AWSPENDING", source=SECOND)
        if failures:
            fail(event)

    world.function.instead["finishSecret"] = tidy_once

    world.rotate()

    assert world.events == ["RotationStarted", *["RotationFailed"] * failures, "RotationSucceeded"]
    assert world.labels == {FIRST: {"AWSPREVIOUS"}, SECOND: {"AWSCURRENT"}}


def test_a_rotation_whose_pending_label_is_removed_is_not_tried_again(world: World) -> None:
    def unblock(event: Event) -> None:
        move(world, "AWSPENDING", source=SECOND)
        fail(event)

    world.function.instead["testSecret"] = unblock

    world.rotate()

    assert world.labels == {FIRST: {"AWSCURRENT"}, SECOND: set()}
    assert world.events == ["RotationStarted", "RotationFailed", "RotationAbandoned"]


def test_a_rotation_that_was_unblocked_by_hand_cannot_be_retried(world: World) -> None:
    world.function.instead["testSecret"] = fail
    world.rotate()
    move(world, "AWSPENDING", source=SECOND)

    with pytest.raises(LookupError):
        world.aws.retry("hub")


def test_a_rotation_that_succeeded_cannot_be_retried(world: World) -> None:
    world.rotate()

    with pytest.raises(LookupError):
        world.aws.retry("hub")


# A test rotation: RotateImmediately is false


def test_a_test_rotation_runs_test_secret_alone_on_a_copy_of_the_current_value(world: World) -> None:
    seen: list[str | None] = []
    world.function.instead["testSecret"] = lambda _: seen.append(world.aws.value("hub", "AWSPENDING"))

    world.rotate(RotateImmediately=False)

    assert world.function.steps == ["testSecret"]
    assert seen == ["seed"]
    assert world.labels == {FIRST: {"AWSCURRENT"}}
    assert world.events == ["TestRotationStarted", "TestRotationSucceeded"]
    assert world.secrets.describe_secret(SecretId="hub")["RotationEnabled"] is True


def test_a_test_rotation_can_have_an_empty_version() -> None:
    with a_world(empty_test_version=True) as world:
        seen: list[set[str]] = []

        def read(event: Event) -> None:
            seen.append(world.labels[event["ClientRequestToken"]])
            assert world.aws.value("hub", "AWSPENDING") is None

        world.function.instead["testSecret"] = read

        world.rotate(RotateImmediately=False)

        assert seen == [{"AWSPENDING"}]
        assert world.events == ["TestRotationStarted", "TestRotationSucceeded"]


def test_a_failed_test_rotation_is_not_repeated_and_blocks_nothing(world: World) -> None:
    world.function.instead["testSecret"] = fail
    world.rotate(RotateImmediately=False)
    assert world.events == ["TestRotationStarted", "TestRotationFailed"]
    assert world.labels == {FIRST: {"AWSCURRENT"}}

    world.function.instead.clear()
    world.rotate(THIRD)

    assert world.labels == {FIRST: {"AWSPREVIOUS"}, THIRD: {"AWSCURRENT"}}


# PutSecretValue and UpdateSecret


def test_putting_the_same_value_again_changes_nothing(world: World) -> None:
    world.put(SECOND, "new", VersionStages=["AWSPENDING"])

    answer = world.put(SECOND, "new", VersionStages=["AWSPENDING"])

    assert (answer["ARN"], answer["VersionId"], answer["VersionStages"]) == (world.arn, SECOND, ["AWSPENDING"])
    assert world.labels == {FIRST: {"AWSCURRENT"}, SECOND: {"AWSPENDING"}}


def test_putting_the_same_value_late_does_not_take_the_current_label_away(world: World) -> None:
    def finish_and_put_again(event: Event) -> None:
        world.function.finish(event)
        world.function.create(event)

    world.function.instead["finishSecret"] = finish_and_put_again

    world.rotate()

    assert world.labels == {FIRST: {"AWSPREVIOUS"}, SECOND: {"AWSCURRENT"}}
    assert world.events == ["RotationStarted", "RotationSucceeded"]


def test_a_value_that_is_there_cannot_be_changed(world: World) -> None:
    world.put(SECOND, "new", VersionStages=["AWSPENDING"])

    with refused("ResourceExistsException"):
        world.put(SECOND, "newer", VersionStages=["AWSPENDING"])

    assert world.aws.value("hub", "AWSPENDING") == "new"


def test_a_put_without_labels_becomes_current_at_once(world: World) -> None:
    world.put(SECOND, "new")

    assert world.labels == {FIRST: {"AWSPREVIOUS"}, SECOND: {"AWSCURRENT"}}


@pytest.mark.parametrize("token", [{}, {"RotationToken": "0" * 36}], ids=["without a token", "with another token"])
def test_only_the_running_attempt_can_fill_its_version(world: World, token: dict[str, str]) -> None:
    def create(event: Event) -> None:
        with refused("InvalidRequestException", "was not created by Lambda"):
            world.put(event["ClientRequestToken"], "stranger", VersionStages=["AWSPENDING"], **token)
        world.function.create(event)

    world.function.instead["createSecret"] = create

    world.rotate()

    assert world.aws.value("hub") == f"value of {SECOND}"


def test_the_empty_version_of_a_rotation_that_was_given_up_can_be_filled_by_hand(world: World) -> None:
    world.function.instead["createSecret"] = fail
    world.rotate()

    world.put(SECOND, "by hand", VersionStages=["AWSPENDING"])
    world.function.instead["createSecret"] = succeed
    world.aws.retry("hub")
    world.aws.wait()

    assert world.labels == {FIRST: {"AWSPREVIOUS"}, SECOND: {"AWSCURRENT"}}
    assert world.aws.value("hub") == "by hand"


def test_what_an_earlier_attempt_still_sends_is_refused(world: World) -> None:
    def create(event: Event) -> None:
        zombie = world.function.events[0]
        if event is zombie:
            fail(event)
        with refused("InvalidRequestException", "was not created by Lambda"):
            world.put(SECOND, "late", VersionStages=["AWSPENDING"], RotationToken=zombie["RotationToken"])
        world.function.create(event)

    world.function.instead["createSecret"] = create

    world.rotate()

    assert world.aws.value("hub") == f"value of {SECOND}"


@pytest.mark.parametrize("stages", [["AWSCURRENT"], ["AWSPENDING"], ["MINE"]])
def test_a_version_put_beside_the_pending_one_abandons_the_rotation(world: World, stages: list[str]) -> None:
    world.function.instead["setSecret"] = lambda _: world.put(THIRD, "by hand", VersionStages=stages)

    world.rotate(SECOND)

    assert world.function.steps == ["createSecret", "setSecret"]
    assert world.events == ["RotationStarted", "RotationAbandoned"]
    assert world.labels[SECOND] == set()
    assert world.labels[THIRD] == set(stages)


def test_a_secret_updated_during_its_rotation_abandons_the_rotation(world: World) -> None:
    def update(event: Event) -> None:
        world.secrets.update_secret(SecretId="hub", SecretString="by hand")
        fail(event)

    world.function.instead["setSecret"] = update

    world.rotate(SECOND)

    assert world.events == ["RotationStarted", "RotationAbandoned"]
    assert world.labels[SECOND] == set()
    assert world.aws.value("hub") == "by hand"


def test_a_new_value_unblocks_a_rotation_that_was_given_up(world: World) -> None:
    world.function.instead["testSecret"] = fail
    world.rotate(SECOND)
    world.function.instead.clear()

    world.secrets.update_secret(SecretId="hub", SecretString="by hand", ClientRequestToken=FIRST[::-1])
    assert world.events[-1] == "RotationAbandoned"
    world.rotate(THIRD)

    assert world.aws.value("hub") == f"value of {THIRD}"


def test_what_an_abandoned_rotation_still_sends_is_refused(world: World) -> None:
    def create(event: Event) -> None:
        world.put(THIRD, "by hand")
        world.function.create(event)

    world.function.instead["createSecret"] = create

    world.rotate(SECOND)

    assert world.labels == {FIRST: {"AWSPREVIOUS"}, SECOND: set(), THIRD: {"AWSCURRENT"}}
    assert world.events == ["RotationStarted", "RotationAbandoned"]


def test_a_description_can_change_during_a_rotation(world: World) -> None:
    world.function.instead["setSecret"] = lambda _: world.secrets.update_secret(
        SecretId="hub", Description="for the build"
    )

    world.rotate()

    assert world.events == ["RotationStarted", "RotationSucceeded"]
    assert world.secrets.describe_secret(SecretId="hub")["Description"] == "for the build"


def test_update_secret_refuses_a_version_that_exists_even_with_the_same_value(world: World) -> None:
    with refused("ResourceExistsException"):
        world.secrets.update_secret(SecretId="hub", SecretString="seed", ClientRequestToken=FIRST)


# GetSecretValue and DescribeSecret


def test_the_empty_pending_version_is_described_and_cannot_be_read(world: World) -> None:
    def create(event: Event) -> None:
        assert world.secrets.describe_secret(SecretId="hub")["VersionIdsToStages"] == {
            FIRST: ["AWSCURRENT"],
            SECOND: ["AWSPENDING"],
        }
        for version in ({}, {"VersionId": SECOND}):
            with refused("ResourceNotFoundException", "secret value for staging label: AWSPENDING"):
                world.secrets.get_secret_value(SecretId="hub", VersionStage="AWSPENDING", **version)
        world.function.create(event)

    world.function.instead["createSecret"] = create

    world.rotate()

    assert world.events == ["RotationStarted", "RotationSucceeded"]


def test_a_label_that_is_not_on_the_version_asked_for_is_refused(world: World) -> None:
    with refused("InvalidRequestException", "VersionStage that is not associated"):
        world.secrets.get_secret_value(SecretId="hub", VersionId=FIRST, VersionStage="AWSPENDING")


def test_a_version_that_does_not_exist_is_refused(world: World) -> None:
    with refused("ResourceNotFoundException"):
        world.secrets.get_secret_value(SecretId="hub", VersionId=SECOND, VersionStage="AWSPENDING")


def test_a_read_without_a_label_follows_the_current_one(world: World) -> None:
    world.rotate()

    assert world.secrets.get_secret_value(SecretId="hub")["SecretString"] == f"value of {SECOND}"


def test_a_deprecated_version_is_not_described_and_stays_readable(world: World) -> None:
    world.rotate(SECOND)
    world.rotate(THIRD)

    described = world.secrets.describe_secret(SecretId="hub")["VersionIdsToStages"]
    deprecated = world.secrets.get_secret_value(SecretId="hub", VersionId=FIRST)

    assert described == {SECOND: ["AWSPREVIOUS"], THIRD: ["AWSCURRENT"]}
    assert deprecated["SecretString"] == "seed"


# UpdateSecretVersionStage


@pytest.fixture
def three(world: World) -> World:
    """Three versions: previous, current, pending."""
    world.put(SECOND, "second")
    world.put(THIRD, "third", VersionStages=["AWSPENDING"])
    return world


BEFORE = {FIRST: {"AWSPREVIOUS"}, SECOND: {"AWSCURRENT"}, THIRD: {"AWSPENDING"}}


def test_moving_the_current_label_moves_the_previous_one_and_leaves_the_pending_one(three: World) -> None:
    assert three.labels == BEFORE

    move(three, "AWSCURRENT", source=SECOND, target=THIRD)

    assert three.labels == {FIRST: set(), SECOND: {"AWSPREVIOUS"}, THIRD: {"AWSCURRENT", "AWSPENDING"}}


def test_moving_the_current_label_back_makes_the_failed_version_the_previous_one(three: World) -> None:
    move(three, "AWSCURRENT", source=SECOND, target=FIRST)

    assert three.labels == {FIRST: {"AWSCURRENT"}, SECOND: {"AWSPREVIOUS"}, THIRD: {"AWSPENDING"}}


def test_repeating_a_move_that_has_happened_is_refused(three: World) -> None:
    move(three, "AWSCURRENT", source=SECOND, target=THIRD)
    after = three.labels

    with refused("InvalidParameterException"):
        move(three, "AWSCURRENT", source=SECOND, target=THIRD)

    assert three.labels == after


@pytest.mark.parametrize("label", ["AWSCURRENT", "AWSPENDING"])
def test_a_label_only_leaves_the_version_that_is_named(three: World, label: str) -> None:
    for source in (None, FIRST):
        with refused("InvalidParameterException"):
            move(three, label, source=source, target=FIRST)

    assert three.labels == BEFORE


def test_a_move_to_a_version_that_does_not_exist_changes_nothing(three: World) -> None:
    with refused("InvalidParameterException", "Not a valid version"):
        move(three, "AWSCURRENT", source=SECOND, target="4" * 32)

    assert three.labels == BEFORE


def test_a_label_can_be_dropped(three: World) -> None:
    move(three, "AWSPENDING", source=THIRD)

    assert three.labels == BEFORE | {THIRD: set()}


def test_a_label_that_nobody_has_can_be_attached(three: World) -> None:
    move(three, "MINE", target=FIRST)

    assert three.labels == BEFORE | {FIRST: {"AWSPREVIOUS", "MINE"}}


# The rest


def test_an_action_is_refused_until_it_is_taken_out_again(world: World) -> None:
    world.aws.refuse["PutSecretValue"] = ("AccessDeniedException", "Access to KMS is not allowed")
    for _ in range(2):
        with refused("AccessDeniedException", "Access to KMS is not allowed"):
            world.put(SECOND, "new")
    assert world.labels == {FIRST: {"AWSCURRENT"}}

    del world.aws.refuse["PutSecretValue"]
    world.put(SECOND, "new")

    assert world.aws.value("hub") == "new"


def test_parameters_are_decrypted_through_the_same_door(world: World) -> None:
    world.aws.put_parameter("DOCKER_HUB_PASSWORD", "first")
    world.aws.put_parameter("DOCKER_HUB_PASSWORD", "second")

    answer = world.ssm.get_parameters(Names=["DOCKER_HUB_PASSWORD", "NOBODY"], WithDecryption=True)

    assert [(p["Name"], p["Type"], p["Value"]) for p in answer["Parameters"]] == [
        ("DOCKER_HUB_PASSWORD", "SecureString", "second")
    ]
    assert answer["InvalidParameters"] == ["NOBODY"]


def test_a_secret_made_without_a_request_is_there_for_requests(world: World) -> None:
    arn = world.aws.create_secret("another", "value")

    assert world.secrets.get_secret_value(SecretId=arn)["SecretString"] == "value"


def test_every_request_is_in_the_account_of_this_aws() -> None:
    with a_world(account_id="111122223333") as world:
        assert ":111122223333:" in world.arn
        assert world.aws.value("hub") == "seed"


def test_the_date_of_a_rotation_comes_from_the_clock() -> None:
    with a_world(clock=lambda: 1_700_000_000.0) as world:
        world.rotate()

        assert world.secrets.describe_secret(SecretId="hub")["LastRotatedDate"].timestamp() == pytest.approx(
            1_700_000_000, abs=1
        )


def test_every_change_of_a_secret_dates_it(world: World) -> None:
    def changed() -> float:
        return world.secrets.describe_secret(SecretId="hub")["LastChangedDate"].timestamp()

    def move_on() -> None:
        world.secrets.update_secret_version_stage(
            SecretId="hub", VersionStage="AWSCURRENT", MoveToVersionId=SECOND, RemoveFromVersionId=FIRST
        )

    moments = [changed()]
    for change in (
        lambda: world.put(SECOND, "new", VersionStages=["AWSPENDING"]),
        move_on,
        lambda: world.secrets.tag_resource(SecretId="hub", Tags=[{"Key": "team", "Value": "a"}]),
        lambda: world.secrets.untag_resource(SecretId="hub", TagKeys=["team"]),
        lambda: world.secrets.update_secret(SecretId="hub", Description="for pulls"),
        lambda: world.rotate(THIRD),
        lambda: world.secrets.cancel_rotate_secret(SecretId="hub"),
    ):
        change()
        moments.append(changed())

    assert moments == sorted(set(moments))


def test_what_changes_nothing_does_not_date_a_secret(world: World) -> None:
    before = world.secrets.describe_secret(SecretId="hub")["LastChangedDate"]

    world.put(FIRST, "seed")
    world.secrets.get_secret_value(SecretId="hub")
    with refused("InvalidParameterException"):
        move(world, "AWSCURRENT", target=SECOND)

    assert world.secrets.describe_secret(SecretId="hub")["LastChangedDate"] == before


NOON = 1_800_014_400.0  # 2027-01-15 12:00 UTC
MIDNIGHT = 1_799_971_200.0


@pytest.mark.parametrize(
    ("rules", "next_rotation"),
    [
        ({"AutomaticallyAfterDays": 30}, MIDNIGHT + 31 * 86400 - 1),
        ({"AutomaticallyAfterDays": 30, "Duration": "4h"}, MIDNIGHT + 30 * 86400 + 4 * 3600),
        ({"ScheduleExpression": "rate(10 days)"}, MIDNIGHT + 11 * 86400 - 1),
        ({"ScheduleExpression": "rate(1 day)", "Duration": "2h"}, MIDNIGHT + 86400 + 2 * 3600),
        ({"ScheduleExpression": "rate(8 hours)", "Duration": "1h"}, NOON + 9 * 3600),
    ],
)
def test_the_next_rotation_is_due_by_the_end_of_its_window(rules: dict[str, Any], next_rotation: float) -> None:
    with a_world(clock=lambda: NOON) as world:
        world.rotate(RotationRules=rules)

        assert world.secrets.describe_secret(SecretId="hub")["NextRotationDate"].timestamp() == next_rotation


def test_the_date_of_the_next_rotation_stays_behind_when_none_comes() -> None:
    moment = [NOON]
    with a_world(clock=lambda: moment[0]) as world:
        world.rotate(RotationRules={"AutomaticallyAfterDays": 1})
        due = world.secrets.describe_secret(SecretId="hub")["NextRotationDate"]
        moment[0] += 10 * 86400
        world.secrets.tag_resource(SecretId="hub", Tags=[{"Key": "team", "Value": "a"}])

        assert world.secrets.describe_secret(SecretId="hub")["NextRotationDate"] == due


def test_where_rotation_is_off_no_date_of_one_is_shown(world: World) -> None:
    world.rotate(RotationRules={"AutomaticallyAfterDays": 1})
    world.secrets.cancel_rotate_secret(SecretId="hub")

    described = world.secrets.describe_secret(SecretId="hub")
    assert described["RotationEnabled"] is False
    assert not {"LastRotatedDate", "NextRotationDate"} & described.keys()


def test_tags_are_shown_and_absent_if_there_are_none(world: World) -> None:
    assert "Tags" not in world.secrets.describe_secret(SecretId="hub")

    world.secrets.tag_resource(SecretId="hub", Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}])
    world.secrets.tag_resource(SecretId=world.arn, Tags=[{"Key": "a", "Value": "2"}])
    assert world.secrets.describe_secret(SecretId="hub")["Tags"] == [
        {"Key": "a", "Value": "2"},
        {"Key": "b", "Value": ""},
    ]

    world.secrets.untag_resource(SecretId="hub", TagKeys=["a", "b", "never set"])
    assert "Tags" not in world.secrets.describe_secret(SecretId="hub")


@pytest.mark.parametrize(
    ("key", "value"),
    [("a,b", ""), ("a", "*"), ("a", '"'), ("a", "{}"), ("a" * 129, ""), ("a", "b" * 257), ("aws:a", "b")],
)
def test_tags_that_aws_does_not_take_are_refused_all_at_once(world: World, key: str, value: str) -> None:
    with refused("InvalidParameterException"):
        world.secrets.tag_resource(SecretId="hub", Tags=[{"Key": "fine", "Value": ""}, {"Key": key, "Value": value}])
    with refused("InvalidParameterException"):
        world.secrets.create_secret(Name="other", Tags=[{"Key": key, "Value": value}])

    assert "Tags" not in world.secrets.describe_secret(SecretId="hub")


def test_a_secret_has_fifty_tags_at_most(world: World) -> None:
    world.secrets.tag_resource(
        SecretId="hub", Tags=[{"Key": f"key-{n}", "Value": "ü + - = . _ : / @"} for n in range(50)]
    )

    world.secrets.tag_resource(SecretId="hub", Tags=[{"Key": "key-1", "Value": "another"}])
    with refused("InvalidParameterException"):
        world.secrets.tag_resource(SecretId="hub", Tags=[{"Key": "one more", "Value": ""}])


def test_secrets_are_listed_by_the_page_with_what_rotates_them(world: World) -> None:
    for number in range(120):
        world.aws.create_secret(f"secret-{number:03}", "value")
    world.secrets.tag_resource(SecretId="hub", Tags=[{"Key": "team", "Value": "a"}])
    world.rotate(RotationRules={"AutomaticallyAfterDays": 30})

    first = world.secrets.list_secrets()
    second = world.secrets.list_secrets(NextToken=first["NextToken"])
    assert [len(first["SecretList"]), len(second["SecretList"])] == [100, 21]
    assert "NextToken" not in second
    listed = first["SecretList"] + second["SecretList"]
    assert len({secret["ARN"] for secret in listed}) == 121

    rotated = [secret for secret in listed if "RotationLambdaARN" in secret]
    described: dict[str, Any] = {**world.secrets.describe_secret(SecretId="hub")}
    labels = described.pop("VersionIdsToStages")
    del described["ResponseMetadata"]
    assert rotated == [{**described, "SecretVersionsToStages": labels}]


def test_versions_are_listed_with_the_moment_of_their_making_and_without_those_that_carry_no_label(
    world: World,
) -> None:
    world.rotate(SECOND)
    world.rotate(THIRD)

    told = world.secrets.list_secret_version_ids(SecretId="hub")
    everything = world.secrets.list_secret_version_ids(SecretId="hub", IncludeDeprecated=True, MaxResults=2)
    rest = world.secrets.list_secret_version_ids(
        SecretId="hub", IncludeDeprecated=True, NextToken=everything["NextToken"]
    )

    assert (told["ARN"], told["Name"]) == (world.arn, "hub")
    labels = {it["VersionId"]: it.get("VersionStages") for it in told["Versions"]}
    assert labels == {SECOND: ["AWSPREVIOUS"], THIRD: ["AWSCURRENT"]}
    made = [*everything["Versions"], *rest["Versions"]]
    assert [it["VersionId"] for it in sorted(made, key=lambda it: it["CreatedDate"])] == [FIRST, SECOND, THIRD]
    assert "NextToken" not in rest


def test_a_page_may_be_smaller_and_never_larger(world: World) -> None:
    world.aws.create_secret("other", "value")

    first = world.secrets.list_secrets(MaxResults=1)
    assert len(first["SecretList"]) == 1
    assert world.secrets.list_secrets(MaxResults=1, NextToken=first["NextToken"])["SecretList"] != first["SecretList"]
    with refused("InvalidParameterException"):
        world.secrets.list_secrets(MaxResults=101)
    with refused("InvalidNextTokenException"):
        world.secrets.list_secrets(NextToken="page-of-another-list")


def test_a_list_can_be_filtered_by_name(world: World) -> None:
    world.aws.create_secret("other", "value")

    [found] = world.secrets.list_secrets(Filters=[{"Key": "name", "Values": ["other"]}])["SecretList"]
    assert found["Name"] == "other"


def test_a_new_world_is_empty(world: World) -> None:
    world.aws.put_parameter("DOCKER_HUB_PASSWORD", "first")
    world.rotate()

    world.aws.reset()

    assert world.events == []
    assert world.secrets.list_secrets()["SecretList"] == []
    assert world.ssm.get_parameters(Names=["DOCKER_HUB_PASSWORD"])["Parameters"] == []


def test_waiting_for_a_rotation_ends(world: World) -> None:
    go_on = Signal()
    world.function.instead["createSecret"] = lambda _: go_on.wait(10)
    world.start()

    with pytest.raises(TimeoutError):
        world.aws.wait(timeout=0)

    go_on.set()


# moto's traps: when one of these fails, moto has changed its mind and the rule above it may go.


@pytest.fixture
def moto() -> Iterator["SecretsManagerClient"]:
    with mock_aws():
        client = SESSION.client("secretsmanager", config=ONCE)
        client.create_secret(Name="hub", SecretString="seed", ClientRequestToken=FIRST)
        with closing(client):
            yield client


def put(moto: "SecretsManagerClient", version_id: str, value: str, stage: str) -> None:
    moto.put_secret_value(SecretId="hub", ClientRequestToken=version_id, SecretString=value, VersionStages=[stage])


def described(moto: "SecretsManagerClient") -> dict[str, list[str]]:
    return moto.describe_secret(SecretId="hub")["VersionIdsToStages"]


def test_moto_overwrites_a_pending_value(moto: "SecretsManagerClient") -> None:
    put(moto, SECOND, "new", "AWSPENDING")
    put(moto, SECOND, "newer", "AWSPENDING")

    assert moto.get_secret_value(SecretId="hub", VersionId=SECOND)["SecretString"] == "newer"


def test_moto_takes_the_current_label_away_when_a_put_is_repeated_late(moto: "SecretsManagerClient") -> None:
    put(moto, SECOND, "new", "AWSPENDING")
    moto.update_secret_version_stage(
        SecretId="hub", VersionStage="AWSCURRENT", MoveToVersionId=SECOND, RemoveFromVersionId=FIRST
    )
    put(moto, SECOND, "new", "AWSPENDING")

    assert described(moto)[SECOND] == ["AWSPENDING"]


def test_moto_lets_update_secret_repeat_a_version(moto: "SecretsManagerClient") -> None:
    moto.update_secret(SecretId="hub", SecretString="seed", ClientRequestToken=FIRST)


def test_moto_rotates_without_a_function_and_at_once(moto: "SecretsManagerClient") -> None:
    moto.rotate_secret(SecretId="hub", ClientRequestToken=SECOND)

    assert described(moto)[SECOND] == ["AWSCURRENT"]


def test_moto_starts_a_rotation_while_another_is_pending(moto: "SecretsManagerClient") -> None:
    put(moto, SECOND, "new", "AWSPENDING")
    moto.rotate_secret(SecretId="hub", ClientRequestToken=THIRD)

    assert described(moto)[THIRD] == ["AWSCURRENT"]


def test_moto_refuses_a_rotation_after_one_that_is_complete(moto: "SecretsManagerClient") -> None:
    put(moto, SECOND, "new", "AWSPENDING")
    moto.update_secret_version_stage(
        SecretId="hub", VersionStage="AWSCURRENT", MoveToVersionId=SECOND, RemoveFromVersionId=FIRST
    )

    with pytest.raises(ClientError, match="Previous rotation request is still in progress"):
        moto.rotate_secret(SecretId="hub", ClientRequestToken=THIRD)


def test_moto_forgets_a_schedule_expression(moto: "SecretsManagerClient") -> None:
    moto.rotate_secret(SecretId="hub", RotationRules={"ScheduleExpression": "rate(10 days)"})

    assert moto.describe_secret(SecretId="hub")["RotationRules"] == {"AutomaticallyAfterDays": 0}


def test_moto_reads_the_old_value_after_the_current_label_has_moved(moto: "SecretsManagerClient") -> None:
    put(moto, SECOND, "new", "AWSPENDING")
    moto.update_secret_version_stage(
        SecretId="hub", VersionStage="AWSCURRENT", MoveToVersionId=SECOND, RemoveFromVersionId=FIRST
    )

    assert moto.get_secret_value(SecretId="hub")["SecretString"] == "seed"


def test_moto_attaches_one_label_to_two_versions(moto: "SecretsManagerClient") -> None:
    put(moto, SECOND, "new", "AWSPENDING")
    moto.update_secret_version_stage(SecretId="hub", VersionStage="AWSPENDING", MoveToVersionId=FIRST)

    assert described(moto) == {FIRST: ["AWSCURRENT", "AWSPENDING"], SECOND: ["AWSPENDING"]}


def test_moto_takes_a_label_off_before_it_refuses_the_move(moto: "SecretsManagerClient") -> None:
    with pytest.raises(ClientError, match="Not a valid version"):
        moto.update_secret_version_stage(
            SecretId="hub", VersionStage="AWSCURRENT", MoveToVersionId=SECOND, RemoveFromVersionId=FIRST
        )

    assert described(moto) == {FIRST: []}


def test_moto_describes_deprecated_versions(moto: "SecretsManagerClient") -> None:
    put(moto, SECOND, "second", "AWSCURRENT")
    put(moto, THIRD, "third", "AWSCURRENT")

    assert described(moto)[FIRST] == []


def test_moto_says_of_every_version_that_it_was_made_just_now(moto: "SecretsManagerClient") -> None:
    with mock.patch("moto.secretsmanager.models.time.time", return_value=2_000_000_000):
        told = moto.list_secret_version_ids(SecretId="hub")

    assert told["Versions"][0]["CreatedDate"].timestamp() == 2_000_000_000
    assert told["NextToken"] == ""


def test_moto_takes_any_tag_and_shows_that_there_are_none(moto: "SecretsManagerClient") -> None:
    moto.tag_resource(SecretId="hub", Tags=[{"Key": "a,*", "Value": "{}"}])
    moto.untag_resource(SecretId="hub", TagKeys=["a,*"])

    assert moto.describe_secret(SecretId="hub")["Tags"] == []


def test_moto_dates_no_move_of_a_label_and_no_tag(moto: "SecretsManagerClient") -> None:
    with mock.patch("moto.secretsmanager.models.time.time", return_value=NOON):
        moto.tag_resource(SecretId="hub", Tags=[{"Key": "a", "Value": "b"}])

    assert moto.describe_secret(SecretId="hub")["LastChangedDate"].timestamp() != NOON


def test_moto_lists_more_than_a_page(moto: "SecretsManagerClient") -> None:
    moto.list_secrets(MaxResults=1000)


def test_moto_says_not_found_with_a_404(moto: "SecretsManagerClient") -> None:
    with pytest.raises(ClientError) as caught:
        moto.get_secret_value(SecretId="nothing")

    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
