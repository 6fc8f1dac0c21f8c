"""The gateway keeps Secrets Manager's contract, and promises only this function's errors."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import botocore.exceptions
import pytest
from botocore.config import Config
from botocore.stub import ANY, Stubber

from dockerhub_rotation.errors import (
    AwsRefused,
    AwsUnavailable,
    EventRefused,
    RotationError,
    SecretUnusable,
    VersionAlreadyStored,
)
from dockerhub_rotation.request import RotationRequest, Step, parse
from dockerhub_rotation.secrets_manager import CURRENT, PENDING, PREVIOUS, Listed, SecretsManager, SecretVersions
from rehearsal.secrets_manager import Aws
from rehearsal.wire import Fault, FaultKind, Server, Wire

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

REGION = "eu-central-1"
FUNCTION = f"arn:aws:lambda:{REGION}:123456789012:function:dockerhub-rotation"
SESSION = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
FIRST, SECOND, THIRD, NOBODY = (f"0000000{n}-0000-4000-8000-000000000000" for n in (1, 2, 3, 9))
SECRET = "dckr_pat_never-to-be-shown"


@dataclass
class World:
    """AWS behind a loopback server, with a secret whose current version is FIRST, and the gateway to it.

    Attributes:
        during: what the rotation function does when it is called.
    """

    aws: Aws
    wire: Wire
    client: "SecretsManagerClient"
    gateway: SecretsManager
    arn: str = ""
    during: list[Callable[[dict[str, str]], object]] = field(default_factory=list)

    def put(self, version_id: str, value: str, label: str = CURRENT) -> None:
        self.client.put_secret_value(
            SecretId="hub", ClientRequestToken=version_id, SecretString=value, VersionStages=[label]
        )

    def rotate(self, version_id: str = SECOND) -> None:
        """Start a rotation and wait for its end; unless `during` says otherwise, it leaves an empty pending version."""
        self.client.rotate_secret(SecretId="hub", ClientRequestToken=version_id, RotationLambdaARN=FUNCTION)
        self.aws.wait()

    def break_next(self, kind: FaultKind, times: int = 1) -> None:
        """Let the next requests go wrong."""
        done = len(self.wire.requests)
        self.wire.faults += [Fault(done + number, kind) for number in range(1, times + 1)]


@contextmanager
def a_world(tries: int = 1) -> Iterator[World]:
    retries: Any = {"mode": "standard", "total_max_attempts": tries}
    during: list[Callable[[dict[str, str]], object]] = []

    def invoke(event: dict[str, str]) -> None:
        for act in during:
            act(event)

    aws = Aws(invoke=invoke, region=REGION, attempts=1)
    wire = Wire()
    with (
        Server(wire.door(aws.app, "AWS")) as server,
        closing(SESSION.client("secretsmanager", endpoint_url=server.url, config=Config(retries=retries))) as client,
    ):
        world = World(aws, wire, client, SecretsManager(client), during=during)
        world.arn = client.create_secret(Name="hub", SecretString="first", ClientRequestToken=FIRST)["ARN"]
        yield world


@pytest.fixture
def world() -> Iterator[World]:
    with a_world() as world:
        yield world


def pending(version_id: str = SECOND, secret_id: str = "hub") -> RotationRequest:
    return RotationRequest(Step.CREATE, secret_id, version_id)


# Staging labels


def test_a_secret_that_was_never_rotated_says_so(world: World) -> None:
    """AWS leaves the field out instead of saying false."""
    versions = world.gateway.versions("hub")

    assert (versions.arn, versions.rotation_enabled) == (world.arn, False)
    assert versions.labels == {FIRST: {CURRENT}}


def test_a_rotation_that_was_switched_off_says_so(world: World) -> None:
    world.rotate()
    world.client.cancel_rotate_secret(SecretId="hub")

    assert world.gateway.versions("hub").rotation_enabled is False


def test_the_labels_of_a_rotation_under_way_are_read(world: World) -> None:
    world.put(SECOND, "second")
    world.rotate(THIRD)

    versions = world.gateway.versions("hub")

    assert versions.rotation_enabled is True
    assert versions.labels == {FIRST: {PREVIOUS}, SECOND: {CURRENT}, THIRD: {PENDING}}


def test_a_secret_is_found_by_its_arn_too(world: World) -> None:
    assert world.gateway.versions(world.arn) == world.gateway.versions("hub")


def test_a_secret_that_does_not_exist_is_the_events_mistake(world: World) -> None:
    with pytest.raises(EventRefused):
        world.gateway.versions("nobody's")


def test_the_time_of_the_last_change_is_told_in_seconds(world: World) -> None:
    told = world.client.describe_secret(SecretId="hub")["LastChangedDate"]

    assert world.gateway.versions("hub").changed_at == told.timestamp()


def test_the_date_of_the_next_rotation_is_told_in_seconds(world: World) -> None:
    world.client.rotate_secret(SecretId="hub", RotationLambdaARN=FUNCTION, RotationRules={"AutomaticallyAfterDays": 30})
    world.aws.wait()
    told = world.client.describe_secret(SecretId="hub")["NextRotationDate"]

    assert world.gateway.versions("hub").next_rotation_at == told.timestamp()


def test_the_days_between_two_rotations_are_told_once_aws_has_worked_them_out(world: World) -> None:
    assert world.gateway.versions("hub").rotated_every_days == 0
    world.client.rotate_secret(
        SecretId="hub", RotationLambdaARN=FUNCTION, RotationRules={"ScheduleExpression": "rate(30 days)"}
    )
    assert world.gateway.versions("hub").rotated_every_days == 0
    world.aws.wait()
    world.aws.mark_rotated("hub")

    assert world.gateway.versions("hub").rotated_every_days == 30


def test_a_secret_says_which_function_rotates_it(world: World) -> None:
    assert world.gateway.versions("hub").rotation_function is None
    assert world.gateway.versions("hub").next_rotation_at == 0
    world.rotate()

    assert world.gateway.versions("hub").rotation_function == FUNCTION


# All secrets of a function


def test_the_secrets_that_name_a_function_are_found_on_every_page(world: World) -> None:
    arns = [world.arn]
    world.rotate()
    for number in range(250):
        arn = world.client.create_secret(Name=f"team-{number}/hub", SecretString="x")["ARN"]
        if number % 2:
            world.aws.attach(arn, FUNCTION)
            arns.append(arn)
    asked = len(world.wire.requests)

    assert list(world.gateway.rotated_by(FUNCTION)) == sorted(arns)
    assert len(world.wire.requests) - asked == 3


def test_the_list_tells_when_a_secret_last_changed(world: World) -> None:
    world.rotate()

    versions = world.gateway.versions(world.arn)
    assert world.gateway.rotated_by(FUNCTION) == {world.arn: Listed(versions.changed_at, versions.tags)}


@pytest.mark.parametrize(
    ("headers", "seen_at"),
    [({"date": "Fri, 15 Jan 2027 08:00:00 GMT"}, 1_800_000_000), ({"date": "soon"}, 7), ({"date": None}, 7), ({}, 7)],
)
def test_the_labels_are_of_a_moment_by_the_clock_of_aws_where_it_tells_that(
    headers: dict[str, str], seen_at: float, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: Any = {"ARN": world.arn, "ResponseMetadata": {"HTTPHeaders": headers}}
    with Stubber(world.client) as stubber:
        stubber.add_response("describe_secret", told)
        monkeypatch.setattr(time, "time", lambda: 7.0)

        assert world.gateway.versions(world.arn).seen_at == seen_at


def test_a_function_that_rotates_nothing_has_no_secrets(world: World) -> None:
    world.rotate()

    assert world.gateway.rotated_by(f"{FUNCTION}-of-others") == {}


def test_a_list_that_is_not_secrets_managers_is_no_empty_list(world: World) -> None:
    world.break_next(FaultKind.HTML)

    with pytest.raises(AwsUnavailable):
        world.gateway.rotated_by(FUNCTION)


def test_a_page_that_fails_fails_the_list(world: World) -> None:
    for number in range(100):
        world.client.create_secret(Name=f"team-{number}/hub", SecretString="x")
    done = len(world.wire.requests)
    world.wire.faults.append(Fault(done + 2, FaultKind.UNAVAILABLE_BEFORE))

    with pytest.raises(AwsUnavailable):
        world.gateway.rotated_by(FUNCTION)


def test_a_version_is_found_by_its_label() -> None:
    versions = SecretVersions("arn", True, {FIRST: frozenset({CURRENT, PENDING}), SECOND: frozenset({PREVIOUS})}, 0)

    assert [versions.holder(label) for label in (CURRENT, PENDING, PREVIOUS, "mine")] == [FIRST, FIRST, SECOND, None]


@pytest.mark.parametrize("previous", [False, True], ids=["first rotation", "later rotation"])
def test_labels_move_as_secrets_manager_moves_them(world: World, previous: bool) -> None:
    if previous:
        world.put("0" * 32, "older")
        world.put("1" * 32, "old")
    world.rotate()
    world.put(SECOND, "second", PENDING)
    before = world.gateway.versions("hub")

    world.gateway.promote("hub", SECOND, before.holder(CURRENT))

    assert before.promoted(SECOND).labels == world.gateway.versions("hub").labels


def test_labels_of_somebodys_own_stay_where_they_are() -> None:
    versions = SecretVersions("arn", True, {FIRST: frozenset({CURRENT, "mine"}), SECOND: frozenset({PENDING})}, 0)

    assert versions.promoted(SECOND).labels == {FIRST: {PREVIOUS, "mine"}, SECOND: {PENDING, CURRENT}}
    assert versions.labels == {FIRST: {CURRENT, "mine"}, SECOND: {PENDING}}


def test_a_secret_without_a_current_version_can_be_promoted() -> None:
    versions = SecretVersions("arn", True, {SECOND: frozenset({PENDING})}, 0)

    assert versions.promoted(SECOND).labels == {SECOND: {PENDING, CURRENT}}


# Values


def test_a_value_is_read_by_version(world: World) -> None:
    world.put(SECOND, "second")

    values = [world.gateway.value("hub", version) for version in (FIRST, SECOND)]
    assert [value and value.text for value in values] == ["first", "second"]


def test_a_version_without_a_value_has_none(world: World) -> None:
    world.rotate()

    assert world.gateway.value("hub", SECOND) is None


def test_a_version_that_does_not_exist_has_none(world: World) -> None:
    assert world.gateway.value("hub", NOBODY) is None


def test_a_secret_that_is_scheduled_for_deletion_says_how_to_take_that_back(world: World) -> None:
    world.client.delete_secret(SecretId="hub")

    with pytest.raises(AwsRefused, match="restore-secret"):
        world.gateway.value("hub", FIRST)


def test_a_binary_value_is_refused(world: World) -> None:
    world.client.put_secret_value(SecretId="hub", ClientRequestToken=SECOND, SecretBinary=SECRET.encode())

    with pytest.raises(SecretUnusable) as refusal:
        world.gateway.value("hub", SECOND)

    assert SECRET not in str(refusal.value)


# Storing


def test_a_pending_version_gets_its_value_and_keeps_its_label(world: World) -> None:
    world.rotate()

    world.gateway.store_pending(pending(), "second")

    assert world.aws.value("hub", PENDING) == "second"
    assert world.aws.labels("hub") == {FIRST: {CURRENT}, SECOND: {PENDING}}


def test_storing_the_same_value_again_changes_nothing(world: World) -> None:
    world.rotate()
    world.gateway.store_pending(pending(), "second")
    before = world.aws.labels("hub")

    world.gateway.store_pending(pending(), "second")

    assert world.aws.value("hub", PENDING) == "second"
    assert world.aws.labels("hub") == before


def test_another_value_is_not_overwritten(world: World) -> None:
    world.rotate()
    world.gateway.store_pending(pending(), "a twin's")

    with pytest.raises(VersionAlreadyStored):
        world.gateway.store_pending(pending(), "ours")

    assert world.aws.value("hub", PENDING) == "a twin's"


def test_the_rotation_token_is_passed_on(world: World) -> None:
    """Without it, Secrets Manager takes no value for the version that it is rotating in."""

    def store(event: dict[str, str]) -> None:
        if event["Step"] == "createSecret":
            world.gateway.store_pending(parse(event), "second")

    world.during.append(store)

    world.rotate()

    assert world.aws.value("hub", PENDING) == "second"


def test_without_the_rotation_token_nothing_is_stored(world: World) -> None:
    refused = []

    def forget_it(event: dict[str, str]) -> None:
        try:
            world.gateway.store_pending(replace(parse(event), rotation_token=None), "second")
        except AwsRefused as refusal:
            refused.append(str(refusal))

    world.during.append(forget_it)
    world.rotate()

    assert world.aws.value("hub", PENDING) is None
    assert "secretsmanager:PutSecretValue" in refused[0]
    assert "the RotationToken is not the running attempt's" in refused[0]


def test_a_lost_answer_is_repeated_and_stores_once() -> None:
    with a_world(tries=2) as world:
        world.rotate()
        world.break_next(FaultKind.LOST_AFTER)

        world.gateway.store_pending(pending(), "second")

        assert world.aws.value("hub", PENDING) == "second"


# Promoting


def test_promoting_moves_the_current_label_and_the_previous_one_with_it(world: World) -> None:
    world.rotate()
    world.put(SECOND, "second", PENDING)

    world.gateway.promote("hub", SECOND, FIRST)

    assert world.aws.labels("hub") == {FIRST: {PREVIOUS}, SECOND: {CURRENT, PENDING}}


def test_promoting_again_is_done(world: World) -> None:
    world.rotate()
    world.put(SECOND, "second", PENDING)
    world.gateway.promote("hub", SECOND, FIRST)
    before = world.aws.labels("hub")

    world.gateway.promote("hub", SECOND, FIRST)

    assert world.aws.labels("hub") == before


def test_a_value_that_somebody_has_stored_meanwhile_is_not_swept_away(world: World) -> None:
    world.rotate()
    world.put(SECOND, "second", PENDING)
    world.put(THIRD, "by hand")

    with pytest.raises(EventRefused, match="moved to another version"):
        world.gateway.promote("hub", SECOND, FIRST)

    assert world.aws.value("hub") == "by hand"


def test_a_version_that_does_not_exist_is_not_promoted(world: World) -> None:
    with pytest.raises(RotationError):
        world.gateway.promote("hub", NOBODY, FIRST)

    assert world.aws.labels("hub") == {FIRST: {CURRENT}}


@pytest.mark.parametrize("kind", [FaultKind.LOST_AFTER, FaultKind.UNAVAILABLE_AFTER, FaultKind.HTML])
def test_a_promotion_is_looked_up_if_its_answer_is_lost(world: World, kind: FaultKind) -> None:
    world.rotate()
    world.put(SECOND, "second", PENDING)
    world.break_next(kind)

    if kind is FaultKind.HTML:  # the request never came to Secrets Manager
        with pytest.raises(AwsUnavailable):
            world.gateway.promote("hub", SECOND, FIRST)
    else:
        world.gateway.promote("hub", SECOND, FIRST)

    assert (world.aws.value("hub") == "second") is (kind is not FaultKind.HTML)


# Starting a rotation


def attached(world: World) -> World:
    """Let a rotation have ended well: what is current is SECOND, and the secret has its function and its schedule."""
    world.client.rotate_secret(
        SecretId="hub",
        ClientRequestToken=SECOND,
        RotationLambdaARN=FUNCTION,
        RotationRules={"ScheduleExpression": "rate(30 days)"},
        RotateImmediately=True,
    )
    world.aws.wait()
    world.put(SECOND, "second", PENDING)
    world.gateway.promote("hub", SECOND, FIRST)
    world.during.append(promoting(world))
    return world


def promoting(world: World) -> Callable[[dict[str, str]], object]:
    """Return a rotation function that does all there is to do in its last step."""

    def finish(event: dict[str, str]) -> None:
        if event["Step"] == "createSecret":
            world.client.put_secret_value(
                **{field: event[field] for field in ("SecretId", "ClientRequestToken", "RotationToken")},
                SecretString=event["ClientRequestToken"],
                VersionStages=[PENDING],
            )
        if event["Step"] == "finishSecret":
            world.gateway.promote("hub", event["ClientRequestToken"], world.gateway.versions("hub").holder(CURRENT))

    return finish


def rotations(world: World) -> int:
    world.aws.wait()
    return sum(event.name == "RotationStarted" for event in world.aws.events)


def test_a_rotation_is_started_by_the_function_and_the_schedule_that_the_secret_has(world: World) -> None:
    attached(world)
    asked: list[dict[str, Any]] = []
    world.client.meta.events.register("provide-client-params.*.RotateSecret", lambda params, **_: asked.append(params))

    assert world.gateway.start_rotation(world.arn, THIRD)

    assert asked == [{"SecretId": world.arn, "ClientRequestToken": THIRD}]
    assert rotations(world) == 2
    described = world.client.describe_secret(SecretId="hub")
    assert described["RotationLambdaARN"] == FUNCTION
    assert described["RotationRules"]["ScheduleExpression"] == "rate(30 days)"
    assert world.gateway.versions("hub").holder(CURRENT) == THIRD


def test_starting_the_same_rotation_again_is_done_also_once_it_has_ended(world: World) -> None:
    attached(world)
    world.gateway.start_rotation("hub", THIRD)
    world.aws.wait()

    assert world.gateway.start_rotation("hub", THIRD)

    assert rotations(world) == 2


@pytest.mark.parametrize("kind", [FaultKind.LOST_AFTER, FaultKind.UNAVAILABLE_AFTER])
def test_a_rotation_whose_answer_is_lost_is_looked_up_and_none_is_started_twice(world: World, kind: FaultKind) -> None:
    attached(world)
    world.break_next(kind)

    assert world.gateway.start_rotation("hub", THIRD)

    assert rotations(world) == 2


def test_beside_another_rotation_none_is_started(world: World) -> None:
    world.rotate()

    assert world.gateway.start_rotation("hub", THIRD) is False

    assert rotations(world) == 1
    assert world.gateway.versions("hub").is_rotating


# Every failure is one of this function's own

CALLS: dict[str, Callable[[SecretsManager], object]] = {
    "DescribeSecret": lambda gateway: gateway.versions("hub"),
    "GetSecretValue": lambda gateway: gateway.value("hub", FIRST),
    "PutSecretValue": lambda gateway: gateway.store_pending(pending(), SECRET),
    "UpdateSecretVersionStage": lambda gateway: gateway.promote("hub", SECOND, FIRST),
    "RotateSecret": lambda gateway: gateway.start_rotation("hub", SECOND),
}


@pytest.mark.parametrize(
    "kind", [FaultKind.LOST_BEFORE, FaultKind.UNAVAILABLE_BEFORE, FaultKind.RATE_LIMITED, FaultKind.HTML]
)
@pytest.mark.parametrize("action", CALLS)
def test_an_unreachable_secrets_manager_is_a_temporary_error(world: World, action: str, kind: FaultKind) -> None:
    world.break_next(kind)

    with pytest.raises(AwsUnavailable, match=f"secretsmanager:{action}") as failure:
        CALLS[action](world.gateway)

    assert SECRET not in str(failure.value)
    assert (failure.value.__cause__, failure.value.__context__) == (None, None)


@pytest.mark.parametrize(
    "code", ["AccessDeniedException", "DecryptionFailure", "LimitExceededException", "InvalidRequestException"]
)
@pytest.mark.parametrize("action", CALLS)
def test_a_refusal_names_the_permission_and_not_the_value(world: World, action: str, code: str) -> None:
    world.aws.refuse[action] = (code, f"Value '{SECRET}' failed to satisfy a constraint")

    with pytest.raises(AwsRefused, match=f"secretsmanager:{action} failed with {code}") as failure:
        CALLS[action](world.gateway)

    assert SECRET not in str(failure.value)
    assert (failure.value.__cause__, failure.value.__context__) == (None, None)


@pytest.mark.parametrize("code", ["InternalServiceError", "ServiceUnavailable"])
@pytest.mark.parametrize(("status", "error"), [(500, AwsUnavailable), (503, AwsUnavailable), (400, AwsRefused)])
def test_the_status_tells_a_failure_from_a_refusal(code: str, status: int, error: type[RotationError]) -> None:
    with stubbed() as (gateway, stub):
        stub.add_client_error("get_secret_value", code, SECRET, status)

        with pytest.raises(error):
            gateway.value("hub", FIRST)


@pytest.mark.parametrize("code", ["ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded"])
def test_throttling_is_a_temporary_error(code: str) -> None:
    with stubbed() as (gateway, stub):
        stub.add_client_error("describe_secret", code, SECRET, 400)

        with pytest.raises(AwsUnavailable, match=code):
            gateway.versions("hub")


def test_a_refusal_after_a_try_without_an_answer_may_have_had_its_effect() -> None:
    """The first try may have stored the value, and the refusal be about the second."""
    with stubbed() as (gateway, stub):
        stub.add_client_error(
            "put_secret_value", "AccessDeniedException", SECRET, 400, response_meta={"RetryAttempts": 1}
        )

        with pytest.raises(AwsUnavailable):
            gateway.store_pending(pending(), SECRET)


def test_a_promotion_that_fails_is_reported_for_what_it_was() -> None:
    with stubbed() as (gateway, stub):
        stub.add_client_error("update_secret_version_stage", "AccessDeniedException", "", 400)
        stub.add_response("describe_secret", description({FIRST: [CURRENT], SECOND: [PENDING]}), {"SecretId": "hub"})

        with pytest.raises(AwsRefused, match="UpdateSecretVersionStage"):
            gateway.promote("hub", SECOND, FIRST)


def test_a_promotion_that_a_twin_has_done_is_done() -> None:
    with stubbed() as (gateway, stub):
        stub.add_client_error("update_secret_version_stage", "InvalidParameterException", "", 400)
        stub.add_response("describe_secret", description({FIRST: [PREVIOUS], SECOND: [CURRENT]}), {"SecretId": "hub"})

        gateway.promote("hub", SECOND, FIRST)


def test_the_lock_on_the_former_version_is_left_out_only_if_there_is_none() -> None:
    with stubbed() as (gateway, stub):
        stub.add_response(
            "update_secret_version_stage",
            {"ARN": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:hub-AbCdEf"},
            {"SecretId": "hub", "VersionStage": CURRENT, "MoveToVersionId": SECOND},
        )

        gateway.promote("hub", SECOND, None)


@pytest.mark.parametrize("absent", ["RotationEnabled", "VersionIdsToStages", "LastChangedDate"])
def test_a_field_that_a_description_need_not_have_may_be_absent(absent: str) -> None:
    """https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html."""
    with stubbed() as (gateway, stub):
        described = description({FIRST: [CURRENT]})
        del described[absent]
        stub.add_response("describe_secret", described, {"SecretId": ANY})

        assert gateway.versions("hub").arn == described["ARN"]


EXCEPTIONS = sorted(
    (
        kind
        for kind in vars(botocore.exceptions).values()
        if isinstance(kind, type)
        and issubclass(kind, botocore.exceptions.BotoCoreError)
        and kind is not botocore.exceptions.BotoCoreError
    ),
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", EXCEPTIONS, ids=lambda kind: kind.__name__)
def test_whatever_botocore_raises_is_translated(kind: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    error = kind.__new__(kind)
    Exception.__init__(error, f"{kind.__name__} {SECRET}")
    with stubbed() as (gateway, _):

        def fail(**_: object) -> None:
            raise error

        monkeypatch.setattr(gateway._client, "describe_secret", fail)
        with pytest.raises(RotationError) as failure:
            gateway.versions("hub")

    assert isinstance(failure.value, AwsUnavailable | AwsRefused)
    assert kind.__name__ in str(failure.value)
    assert SECRET not in str(failure.value)
    assert (failure.value.__cause__, failure.value.__context__) == (None, None)


def test_without_credentials_nothing_was_asked() -> None:
    with closing(SESSION.client("secretsmanager")) as client:
        client._request_signer._credentials = None  # type: ignore[attr-defined]
        with pytest.raises(AwsRefused, match="NoCredentialsError"):
            SecretsManager(client).versions("hub")


@contextmanager
def stubbed() -> Iterator[tuple[SecretsManager, Stubber]]:
    with (
        closing(SESSION.client("secretsmanager", config=Config(retries={"total_max_attempts": 1}))) as client,
        Stubber(client) as stub,
    ):
        yield SecretsManager(client), stub


def description(labels: dict[str, list[str]]) -> dict[str, Any]:
    return {
        "ARN": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:hub-AbCdEf",
        "RotationEnabled": True,
        "VersionIdsToStages": labels,
        "LastChangedDate": datetime(2026, 1, 1, tzinfo=UTC),
    }
