"""Everything the function prints, searched for every secret value that existed."""

import json
from collections.abc import Callable

import pytest

from rehearsal.docker_hub import Fault as HubFault
from rehearsal.sandbox import Function
from rehearsal.wire import Fault, FaultKind
from rehearsal.world import ORGANIZATION, Scene, World

LOUD = {
    "POWERTOOLS_LOG_LEVEL": "DEBUG",
    "AWS_LAMBDA_LOG_LEVEL": "DEBUG",
    "POWERTOOLS_LOGGER_LOG_EVENT": "true",
    "POWERTOOLS_DEBUG": "true",
    "POWERTOOLS_DEV": "true",
}


@pytest.fixture(params=[None, ORGANIZATION], ids=["a personal token", "an organization's token"])
def organization(request: pytest.FixtureRequest) -> str | None:
    """Return whose token the secret holds."""
    return request.param  # type: ignore[no-any-return]


def leaked(world: World) -> list[str]:
    said = world.function.log() + "".join(run.error or "" for run in world.steps)
    assert "createSecret" in said
    return world.leaked(said)


@pytest.mark.parametrize(
    ("level", "organization"),
    [("DEBUG", None), ("DEBUG", ORGANIZATION), ("INFO", None), ("WARNING", None), ("ERROR", None)],
)
def test_nothing_secret_is_printed_at_any_level(
    make_world: Callable[..., World], level: str, organization: str | None
) -> None:
    quiet = {"POWERTOOLS_LOG_LEVEL": level, "AWS_LAMBDA_LOG_LEVEL": level, "POWERTOOLS_LOGGER_LOG_EVENT": "true"}
    scene = Scene(environment=quiet, two_factor=True, organization=organization)
    world = make_world(scene, run_function=Function)

    world.rotate()

    assert len(world.secrets) > 14
    assert len(world.hub.issued) > 3
    assert len(world.hub.codes) == 1
    assert leaked(world) == []


@pytest.mark.parametrize("kind", [FaultKind.LOST_AFTER, FaultKind.HTML, FaultKind.UNAVAILABLE_AFTER])
def test_nothing_secret_is_printed_when_requests_fail(
    make_world: Callable[..., World], kind: FaultKind, organization: str | None
) -> None:
    faults = tuple(Fault(at, kind) for at in (3, 6, 9, 14, 20))
    world = make_world(Scene(environment=LOUD, faults=faults, organization=organization), run_function=Function)

    world.rotate()

    assert sum(request.fault is not None for request in world.wire.requests) == len(faults)
    assert leaked(world) == []


def test_nothing_secret_is_printed_when_docker_hub_and_aws_echo_what_they_were_sent(
    make_world: Callable[..., World], organization: str | None
) -> None:
    world = make_world(Scene(environment=LOUD, organization=organization), run_function=Function)
    secret = world.current_token()
    world.hub.faults += [HubFault("POST", world.tokens_path, 400, {"message": secret, "token": secret, "errinfo": {}})]
    world.aws.refuse["PutSecretValue"] = ("InvalidParameterException", f"Value {secret} is not valid")

    world.rotate()

    assert {run.error.partition(":")[0] for run in world.steps if run.error} == {"DockerHubRefused", "AwsRefused"}
    assert leaked(world) == []


def test_the_log_lines_of_a_rotation_carry_its_version_as_correlation_id(make_world: Callable[..., World]) -> None:
    world = make_world(run_function=Function)
    world.rotate()
    version = next(v for v, labels in world.aws.labels(world.secret_arn).items() if "AWSCURRENT" in labels)

    lines = [json.loads(line) for line in world.function.log().splitlines()]

    logged = [line for line in lines if "message" in line]
    assert [line["step"] for line in logged] == ["createSecret", "setSecret", "testSecret", "finishSecret"]
    assert {line["correlation_id"] for line in logged} == {version}
