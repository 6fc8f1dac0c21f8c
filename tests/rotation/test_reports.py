"""What an operator gets to see: metrics, and one Slack message when a step fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.wrappers import Request, Response

from dockerhub_rotation import notifications, report
from dockerhub_rotation.deadline import Deadline
from dockerhub_rotation.errors import RetirementFailed
from dockerhub_rotation.retirement import Retired
from rehearsal.docker_hub import Fault as HubFault
from rehearsal.sandbox import Function, FunctionError
from rehearsal.wire import Request as WireRequest
from rehearsal.wire import Server
from rehearsal.world import Scene, World

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class Slack:
    """An incoming webhook that keeps what it gets.

    Attributes:
        on_message: called before it answers.
    """

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.status = 200
        self.on_message: Callable[[], object] = lambda: None

    def app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self.messages.append(json.loads(Request(environ).get_data()))
        self.on_message()
        return Response("ok", self.status)(environ, start_response)


@pytest.fixture
def slack() -> Iterator[tuple[Slack, str]]:
    """A Slack, and the URL of its webhook."""
    slack = Slack()
    with Server(slack.app) as server:
        yield slack, f"{server.url}/services/T0/B0/webhook-secret"


@pytest.fixture
def world_with_slack(make_world: Callable[..., World], slack: tuple[Slack, str]) -> World:
    """Return a world in which the function has that Slack's webhook."""
    world = make_world(Scene(environment={"SLACK_WEBHOOK_PARAMETER": "SLACK"}))
    world.aws.put_parameter("SLACK", slack[1])
    return world


def metrics(world: World) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in world.function.log().splitlines() if line.startswith("{")]
    return [line for line in lines if "_aws" in line]


def event(world: World, step: str = "createSecret", label: str = "AWSPENDING") -> dict[str, object]:
    version = next(v for v, labels in world.aws.labels(world.secret_arn).items() if label in labels)
    return {"Step": step, "SecretId": world.secret_arn, "ClientRequestToken": version}


def test_each_step_reports_its_metrics_under_one_namespace_with_few_dimensions(
    make_world: Callable[..., World],
) -> None:
    world = make_world(run_function=Function)
    world.rotate()

    reported = metrics(world)

    assert [m["step"] for m in reported] == ["createSecret", "setSecret", "testSecret", "finishSecret"]
    for metric in reported:
        (definition,) = metric["_aws"]["CloudWatchMetrics"]
        assert definition["Namespace"] == "DockerHubRotation"
        assert [set(names) for names in definition["Dimensions"]] == [{"step", "service"}]
        assert metric["StepsSucceeded"] == [1]
        assert metric["Duration"][0] > 0
    assert [m["DockerHubRequests"][0] for m in reported] == [3, 0, 2, 3]
    assert reported[-1]["TokensRetired"] == [1]
    assert reported[-1]["RateLimitRemaining"][0] > 0


def test_orphans_and_superseded_tokens_that_cannot_be_found_are_counted(make_world: Callable[..., World]) -> None:
    world = make_world(run_function=Function)
    hand_made = next(token for token in world.hub.tokens.values() if token.label == "made by hand")
    hand_made.active = False
    world.hub.faults.append(HubFault("POST", "/v2/access-tokens", 503, after_effect=True))
    world.rotate()

    finished = metrics(world)[-1]

    assert (finished["OrphansDeleted"], finished["TokensUnidentified"]) == ([1], [1])


def test_a_failed_step_is_reported_as_failed(make_world: Callable[..., World]) -> None:
    world = make_world(run_function=Function)
    world.aws.refuse["PutSecretValue"] = ("AccessDeniedException", "no")
    world.rotate()

    assert metrics(world)[0]["StepsFailed"] == [1]


def test_slack_gets_one_message_that_says_what_failed_what_to_do_and_whom_it_affects(
    world_with_slack: World, slack: tuple[Slack, str]
) -> None:
    world, (received, _) = world_with_slack, slack
    world.aws.put_parameter("DOCKER_HUB_PASSWORD", "wrong")
    world.hold_before = "createSecret"
    world.rotate()

    with pytest.raises(FunctionError, match="CredentialRefused"):
        world.function.invoke(event(world))

    (message,) = received.messages
    text = json.dumps(message)
    for part in ("createSecret", world.secret_arn, "CredentialRefused", "DOCKER_HUB_PASSWORD", "not known to be"):
        assert part in text


def test_slack_is_told_when_consumers_are_affected(world_with_slack: World, slack: tuple[Slack, str]) -> None:
    world, (received, _) = world_with_slack, slack
    next(token for token in world.hub.tokens.values() if token.label == "made by hand").active = False

    world.rotate(RotateImmediately=False)

    assert "Consumers are affected" in json.dumps(received.messages)


def test_everything_else_is_reported_before_slack_is_told(world_with_slack: World, slack: tuple[Slack, str]) -> None:
    world, (received, _) = world_with_slack, slack
    world.hold_before = "createSecret"
    world.rotate()
    world.aws.put_parameter("DOCKER_HUB_PASSWORD", "wrong")
    said: list[str] = []
    received.on_message = lambda: said.extend(world.function.log().splitlines())

    with pytest.raises(FunctionError, match="CredentialRefused"):
        world.function.invoke(event(world))

    line, measured = (json.loads(it) for it in said)
    assert (line["error"], line["to_do"]) == ("CredentialRefused", "mend")
    assert measured["StepsFailed"] == [1]


def test_a_slack_that_does_not_come_to_an_end_is_left_behind(
    world_with_slack: World, slack: tuple[Slack, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one does that drips, of which each byte starts the wait for the next one anew."""
    received, _ = slack
    asked, may_answer, answered = Event(), Event(), Event()

    def answer_late() -> None:
        asked.set()
        may_answer.wait(30)
        answered.set()

    received.on_message = answer_late
    monkeypatch.setattr(report, "_SLACK_SECONDS", 0.01)
    monkeypatch.setattr(notifications, "_TIMEOUT_SECONDS", 60)
    world = world_with_slack
    world.hold_before = "createSecret"
    world.rotate()
    world.aws.put_parameter("DOCKER_HUB_PASSWORD", "wrong")

    with pytest.raises(FunctionError, match="CredentialRefused"):
        world.function.invoke(event(world))

    assert not answered.is_set()
    assert asked.wait(30)
    may_answer.set()


class Mute:
    """A service that gets requests of one name and does not answer them until the test says so.

    Attributes:
        name: of the requests; None for a service that answers.
        may_answer: to be set before the world ends.
    """

    def __init__(self) -> None:
        self.name: str | None = None
        self.may_answer = Event()

    def look(self, request: WireRequest) -> None:
        if request.name == self.name:
            self.may_answer.wait(60)


def in_the_log(world: World) -> list[dict[str, Any]]:
    """Return the lines of failures, not those of metrics."""
    lines = [json.loads(line) for line in world.function.log().splitlines() if line.startswith("{")]
    return [line for line in lines if "error" in line]


def test_a_step_that_hangs_is_reported_once_and_as_it_is_reported_so_it_ends(
    make_world: Callable[..., World], slack: tuple[Slack, str]
) -> None:
    """It goes on as soon as Slack has been told, and would end well."""
    mute, (received, webhook) = Mute(), slack
    world = make_world(Scene(environment={"SLACK_WEBHOOK_PARAMETER": "SLACK"}), on_request=mute.look)
    world.aws.put_parameter("SLACK", webhook)
    world.hold_before = "setSecret"
    world.rotate()
    reported = len(metrics(world))
    mute.name = "DescribeSecret"
    received.on_message = mute.may_answer.set
    world.function._timeout_seconds = 2

    with pytest.raises(FunctionError, match="OutOfTime: The invocation's time is used up while .*secrets_manager.py:"):
        world.function.invoke(event(world, "setSecret"))

    assert [(line["error"], line["to_do"]) for line in in_the_log(world)] == [("OutOfTime", "wait")]
    assert in_the_log(world)[0]["correlation_id"] == event(world)["ClientRequestToken"]
    assert [set(measured) & {"StepsFailed", "StepsSucceeded"} for measured in metrics(world)[reported:]] == [
        {"StepsFailed"}
    ]
    assert len(received.messages) == 1


def test_a_parameter_store_that_is_mute_is_reported_before_lambda_ends_the_invocation(
    make_world: Callable[..., World],
) -> None:
    mute = Mute()
    world = make_world(on_request=mute.look, run_function=Function)
    world.hold_before = "createSecret"
    world.rotate()
    mute.name = "GetParameters"
    world.function._timeout_seconds = 6

    with pytest.raises(FunctionError, match="timed out"):
        world.function.invoke(event(world))

    mute.may_answer.set()
    (line,) = in_the_log(world)
    assert (line["error"], line["step"]) == ("OutOfTime", "createSecret")
    assert "parameters.py:" in line["message"]


@pytest.mark.parametrize(("timeout", "seconds"), [(120, 115), (60, 55), (10, 5), (3, 1.5)])
def test_the_report_is_due_early_enough_and_not_before_half_of_the_time_is_over(timeout: int, seconds: float) -> None:
    assert Deadline(lambda: timeout * 1000).seconds_until_report() == seconds


def test_what_was_done_before_a_failure_is_reported_with_it(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world()

    def fails(*_: object) -> None:
        error = RetirementFailed("Promoted.")
        error.retired = asdict(Retired(disabled=1, deleted=2, orphans=3, unidentified=4))
        raise error

    monkeypatch.setattr("dockerhub_rotation.rotation.rotate", fails)
    world.rotate()

    line, measured = in_the_log(world)[0], metrics(world)[0]
    assert [line[name] for name in ("disabled", "deleted", "orphans", "unidentified")] == [1, 2, 3, 4]
    counted = {name: measured.get(name) for name in ("TokensRetired", "OrphansDeleted", "TokensUnidentified")}
    assert counted == {"TokensRetired": [3], "OrphansDeleted": [3], "TokensUnidentified": [4]}
    assert measured["StepsFailed"] == [1]


@pytest.mark.parametrize(("step", "label"), [("createSecret", "AWSPENDING"), ("finishSecret", "AWSCURRENT")])
def test_a_parameter_store_that_has_just_failed_is_not_asked_for_the_webhook(
    world_with_slack: World, slack: tuple[Slack, str], step: str, label: str
) -> None:
    world, (received, _) = world_with_slack, slack
    world.hold_before = "createSecret"
    world.rotate()
    world.aws.refuse["GetParameters"] = ("AccessDeniedException", "no")

    with pytest.raises(FunctionError, match="ssm:GetParameters failed"):
        world.function.invoke(event(world, step, label))

    assert [request.name for request in world.wire.requests].count("GetParameters") == 1
    assert received.messages == []


def test_a_parameter_store_that_has_failed_in_an_earlier_invocation_is_asked_again(
    world_with_slack: World, slack: tuple[Slack, str]
) -> None:
    world, (received, _) = world_with_slack, slack
    world.hold_before = "createSecret"
    world.rotate()
    world.aws.refuse["GetParameters"] = ("AccessDeniedException", "no")
    with pytest.raises(FunctionError, match="AwsRefused"):
        world.function.invoke(event(world))
    world.aws.refuse.clear()

    with pytest.raises(FunctionError, match="EventRefused"):
        world.function.invoke(event(world) | {"ClientRequestToken": "another"})

    assert "EventRefused" in json.dumps(received.messages)


@pytest.mark.parametrize("trouble", ["it answers 500", "nobody answers", "its parameter is missing", "it is no URL"])
def test_a_failing_slack_never_hides_the_error(
    make_world: Callable[..., World], slack: tuple[Slack, str], trouble: str
) -> None:
    received, webhook = slack
    received.status = 500
    world = make_world(Scene(environment={"SLACK_WEBHOOK_PARAMETER": "SLACK"}), run_function=Function)
    urls = {
        "it answers 500": webhook,
        "nobody answers": "http://127.0.0.1:9/webhook-secret",
        "it is no URL": "webhook-secret",
    }
    if trouble in urls:
        world.aws.put_parameter("SLACK", urls[trouble])
    world.aws.put_parameter("DOCKER_HUB_PASSWORD", "wrong")

    world.rotate()

    assert "CredentialRefused" in (world.steps[0].error or "")
    assert "webhook-secret" not in world.function.log()


def test_without_a_webhook_a_failing_step_asks_no_slack(
    make_world: Callable[..., World], slack: tuple[Slack, str]
) -> None:
    received, _ = slack
    world = make_world()
    world.aws.put_parameter("DOCKER_HUB_PASSWORD", "wrong")

    world.rotate()

    assert received.messages == []


def test_wrong_settings_are_refused_all_at_once_and_before_anything_is_asked(make_world: Callable[..., World]) -> None:
    wrong = {"DOCKERHUB_API_URL": "http://hub.example.com", "DOCKERHUB_TOKEN_SCOPES": "everything"}
    world = make_world(Scene(environment=wrong))

    world.rotate()

    assert "DOCKERHUB_API_URL" in (world.steps[0].error or "")
    assert "DOCKERHUB_TOKEN_SCOPES" in (world.steps[0].error or "")
    assert world.wire.requests == []


def test_what_powertools_cannot_read_is_reported_by_it_as_a_wrong_setting(make_world: Callable[..., World]) -> None:
    """It raises while it is imported, and again with the metrics."""
    read_as_yes_or_no = ("LOG_DEDUPLICATION_DISABLED", "METRICS_DISABLED", "DEV", "DEBUG")
    wrong = {f"POWERTOOLS_{name}": "maybe" for name in (*read_as_yes_or_no, "LOG_LEVEL", "LOGGER_SAMPLE_RATE")}
    world = make_world(Scene(environment=wrong), run_function=Function)

    world.rotate()

    error = world.steps[0].error or ""
    assert error.startswith("SettingsInvalid: ")
    assert [name for name in wrong if name not in error] == []
    line, measured = [json.loads(it) for it in world.function.log().splitlines() if it.startswith("{")][:2]
    assert (line["level"], line["error"], measured["StepsFailed"]) == ("ERROR", "SettingsInvalid", [1])


def test_a_defect_is_reported_by_type_and_place_but_not_by_its_text(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world()

    def broken(*_: object) -> None:
        raise KeyError("dckr_pat_a-secret-in-an-exception")

    monkeypatch.setattr("dockerhub_rotation.rotation.rotate", broken)
    world.rotate()

    error = world.steps[0].error or ""
    assert error.startswith("UnexpectedError: A defect in the function: KeyError at ")
    assert "dckr_pat_" not in error
    assert "a-secret-in-an-exception" not in world.function.log()  # which holds all that the error holds on to
