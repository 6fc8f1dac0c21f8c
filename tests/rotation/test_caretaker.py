"""The caretaker's entrance: one of the tasks and nothing else, for this project's secrets alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rehearsal.sandbox import Function, FunctionError
from rehearsal.wire import Server
from rehearsal.world import CARETAKER, FUNCTION_ARN, Scene, World
from tests.rotation.cared import DAY, HOUR, lines, metrics, names, rotated_secret
from tests.rotation.seen import token_under
from tests.rotation.test_reports import Slack

MakeWorld = Callable[..., World]

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:dockerhub-token-AbCdEf"
VERSION = "9c1d7a52-3f0e-4b8a-a6c4-5d2e8f7b1a90"
# Those that are about one secret, and what they are sent beside it.
OF_ONE: dict[str, dict[str, object]] = {"Reconcile": {}, "Retire": {}, "Rollback": {"VersionId": VERSION}}
LOUD = {"POWERTOOLS_LOG_LEVEL": "DEBUG", "POWERTOOLS_LOGGER_LOG_EVENT": "true"}


@pytest.fixture
def slack() -> Iterator[tuple[Slack, str]]:
    slack = Slack()
    with Server(slack.app) as server:
        yield slack, f"{server.url}/services/T0/B0/webhook-secret"


@pytest.fixture
def world_with_slack(make_world: MakeWorld, slack: tuple[Slack, str]) -> World:
    world = make_world(Scene(environment={"SLACK_WEBHOOK_PARAMETER": "SLACK"}))
    world.aws.put_parameter("SLACK", slack[1])
    world.rotate(RotationRules={"AutomaticallyAfterDays": 30})
    world.rotate()
    return world


def told(slack: tuple[Slack, str]) -> list[str]:
    return [json.dumps(message) for message in slack[0].messages]


REFUSED = {
    "no object": [],
    "no task": {},
    "an unknown task": {"Task": "Rotate"},
    "a task that is no text": {"Task": ["Reconcile"]},
    "a step": {"Step": "finishSecret", "SecretId": ARN, "ClientRequestToken": "v" * 32},
    "a step beside a task": {"Task": "Retire", "SecretId": ARN, "Step": "finishSecret"},
    "an unknown field": {"Task": "Reconcile", "Force": True},
    "a field that is no text": {"Task": "Reconcile", 1: 2},
    "a name instead of an ARN": {"Task": "Reconcile", "SecretId": "dockerhub-token"},
    "a part of an ARN": {"Task": "Reconcile", "SecretId": ARN[:-7]},
    "another service's ARN": {"Task": "Reconcile", "SecretId": FUNCTION_ARN},
    "null instead of an ARN": {"Task": "Reconcile", "SecretId": None},
    "several ARNs": {"Task": "Retire", "SecretId": [ARN]},
    "an ARN and more": {"Task": "Retire", "SecretId": f"{ARN}\n"},
    "nothing to retire": {"Task": "Retire"},
    "a version to retire": {"Task": "Retire", "SecretId": ARN, "VersionId": VERSION},
    "a version to reconcile": {"Task": "Reconcile", "VersionId": VERSION},
    "no secret to go back in": {"Task": "Rollback", "VersionId": VERSION},
    "nothing to go back to": {"Task": "Rollback", "SecretId": ARN},
    "a staging label to go back to": {"Task": "Rollback", "SecretId": ARN, "VersionId": "AWSPREVIOUS"},
    "too long a version": {"Task": "Rollback", "SecretId": ARN, "VersionId": "v" * 65},
    "a version and more": {"Task": "Rollback", "SecretId": ARN, "VersionId": f"{VERSION}\n"},
    "null instead of a version": {"Task": "Rollback", "SecretId": ARN, "VersionId": None},
    "several versions": {"Task": "Rollback", "SecretId": ARN, "VersionId": [VERSION]},
    "a preflight of a secret": {"Task": "Preflight", "SecretId": ARN},
    "a preflight of a version": {"Task": "Preflight", "VersionId": VERSION},
    "a preflight with an option": {"Task": "Preflight", "TryBoth": True},
}


@pytest.mark.parametrize("event", REFUSED.values(), ids=REFUSED)
def test_what_it_does_not_know_is_refused_before_anything_is_asked(make_world: MakeWorld, event: object) -> None:
    world = make_world()

    with pytest.raises(FunctionError, match="EventRefused"):
        world.caretaker.invoke(event)

    assert names(world) == []


@pytest.mark.parametrize("task", OF_ONE)
@pytest.mark.parametrize("function", [f"{FUNCTION_ARN}-of-others", None])
def test_a_secret_of_another_project_is_refused_before_anything_else_is_asked(
    make_world: MakeWorld, task: str, function: str | None
) -> None:
    world = make_world()
    arn = rotated_secret(world, "theirs/token")
    world.aws.attach(arn, function)
    before = world.state()

    with pytest.raises(FunctionError, match="EventRefused: .* does not name"):
        world.care(task, SecretId=arn, **OF_ONE[task])

    assert names(world) == ["DescribeSecret"]
    assert world.state() == before


@pytest.mark.parametrize("task", OF_ONE)
def test_a_secret_that_is_not_served_is_refused_before_anything_is_asked(make_world: MakeWorld, task: str) -> None:
    world = make_world(Scene(environment={"DOCKERHUB_SECRETS": "dockerhub-token"}))
    arn = rotated_secret(world, "a-strangers/token")

    with pytest.raises(FunctionError, match="SecretNotServed"):
        world.care(task, SecretId=arn, **OF_ONE[task])

    assert names(world) == []


def test_the_rotation_function_refuses_tasks(make_world: MakeWorld) -> None:
    world = make_world()
    world.rotate()
    asked = len(world.wire.requests)

    with pytest.raises(FunctionError, match="EventRefused: .*caretaker"):
        world.function.invoke({"Task": "Retire", "SecretId": world.secret_arn})

    assert names(world, asked) == []


def test_without_the_function_whose_secrets_are_looked_after_nothing_is_asked(
    make_world: MakeWorld, process_of_its_own: Callable[..., Function]
) -> None:
    world = make_world()
    environment = world.function_environment("http://127.0.0.1:9", "http://127.0.0.1:9")
    with (
        process_of_its_own({**environment, "_HANDLER": CARETAKER}) as caretaker,
        pytest.raises(FunctionError, match="SettingsInvalid: ROTATION_FUNCTION_ARN is not set"),
    ):
        caretaker.invoke({"Task": "Reconcile"})


def test_what_it_answers_is_plain_data_also_from_a_process_of_its_own(
    make_world: MakeWorld, process_of_its_own: Callable[..., Function]
) -> None:
    world = make_world(Scene(environment=LOUD), run_function=process_of_its_own)
    world.rotate()

    answer = world.care()

    assert (answer["Task"], answer["SecretsChecked"]) == ("Reconcile", 1)
    assert world.leaked(world.caretaker.log() + json.dumps(answer)) == []


def test_a_refused_task_is_reported_in_the_log_and_in_no_metric(make_world: MakeWorld) -> None:
    world = make_world()

    with pytest.raises(FunctionError):
        world.caretaker.invoke({"Task": "Rotate"})

    (line,) = lines(world)
    assert (line["level"], line["error"], line["task"]) == ("ERROR", "EventRefused", "unknown task")
    assert metrics(world) == []


# Slack


def test_slack_is_told_of_a_dead_current_token_every_time(world_with_slack: World, slack: tuple[Slack, str]) -> None:
    world = world_with_slack
    world.hub.tokens.pop(token_under(world).uuid)

    world.care()
    world.care()

    first, second = told(slack)
    for part in ("CurrentTokenDead", world.secret_arn, "Consumers are affected", "rotate-secret"):
        assert part in first
        assert part in second


def test_slack_is_told_once_of_a_schedule_that_has_stopped(
    clock: Any, world_with_slack: World, slack: tuple[Slack, str]
) -> None:
    world = world_with_slack
    clock.tick(30 * DAY + 17 * 60)
    for _ in range(72):
        world.care()
        clock.tick(HOUR)

    (message,) = told(slack)
    assert "RotationOverdue" in message
    assert "not known to be affected" in message


def test_one_message_tells_of_all_secrets(world_with_slack: World, slack: tuple[Slack, str]) -> None:
    world = world_with_slack
    for number in range(12):
        arn = rotated_secret(world, f"team-{number}/token")
        value = world.aws.value(arn)
        next(token for token in world.hub.tokens.values() if token.value == value).active = False

    world.care()

    (message,) = told(slack)
    assert "and 11 more" in message
    assert "12 findings; what is cut off here stands in the caretaker's log." in message


def test_a_failing_task_tells_slack_nothing_for_an_alarm_tells_it_once(
    world_with_slack: World, slack: tuple[Slack, str]
) -> None:
    world = world_with_slack
    world.aws.put_parameter("DOCKER_HUB_PASSWORD", "not the password")

    with pytest.raises(FunctionError, match="CredentialRefused"):
        world.care()

    assert told(slack) == []


def test_with_nothing_to_say_slack_is_not_told(world_with_slack: World, slack: tuple[Slack, str]) -> None:
    world_with_slack.care()

    assert told(slack) == []
