"""A deployed world, worked on as an operator does."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from rehearsal.served.broken import BROKEN
from rehearsal.served.world import PROJECT, Served
from rehearsal.world import FUNCTION_ARN, ORGANIZATION, SECRET_NAME, Scene

from .conftest import Client, MakeServed

CARETAKER = f"{PROJECT}-caretaker"
DAY = 86_400


def invoked(client: Client, served: Served, function: str, event: object, **how: Any) -> Any:
    return client(served, "lambda").invoke(FunctionName=function, Payload=json.dumps(event), **how)


def told(served: Served) -> list[str]:
    """Return every error and finding that the two functions have logged."""
    said: list[str] = []
    for function in (PROJECT, CARETAKER):
        lines = [json.loads(line) for line in served.logs.messages(function) if line.startswith("{")]
        said += [line["error"] for line in lines if "error" in line]
        said += [finding for line in lines for finding in line.get("findings", [])]
    return said


def unblock(served: Served) -> None:
    """Drop a rotation that can't end, as an operator does."""
    pending = served.world.state().holder("AWSPENDING")
    if pending and pending != served.world.state().holder("AWSCURRENT"):
        served.world.client.update_secret_version_stage(
            SecretId=SECRET_NAME, VersionStage="AWSPENDING", RemoveFromVersionId=pending
        )


def is_healthy(served: Served) -> bool:
    (found,) = served.reconcile()["Secrets"]
    return served.world.hub.authenticates(served.world.current_token()) and not found["Findings"]


def test_the_secret_is_attached_and_rotates_as_the_headline_says(make_served: MakeServed, client: Client) -> None:
    served = make_served()
    described = served.world.client.describe_secret(SecretId=SECRET_NAME)
    assert (described["RotationEnabled"], described["RotationLambdaARN"]) == (True, FUNCTION_ARN)

    version = client(served, "secretsmanager").rotate_secret(SecretId=SECRET_NAME)["VersionId"]
    served.world.aws.wait()

    assert served.world.state().holder("AWSCURRENT") == version
    pattern = f'{{ $.correlation_id = "{version}" }}'
    pages = client(served, "logs").get_paginator("filter_log_events")
    lines = [
        json.loads(event["message"])
        for page in pages.paginate(logGroupName=f"/aws/lambda/{PROJECT}", filterPattern=pattern)
        for event in page["events"]
    ]
    assert [line["step"] for line in lines if "step" in line] == [
        *("createSecret", "setSecret", "testSecret", "finishSecret")
    ]


def test_what_the_secret_has_been_through_lies_in_the_past(make_served: MakeServed) -> None:
    served = make_served(rotations=2)
    described = served.world.client.describe_secret(SecretId=SECRET_NAME)
    token = next(it for it in served.world.hub.tokens.values() if it.value == served.world.current_token())

    ago = {
        "created": time.time() - described["CreatedDate"].timestamp(),
        "rotated": time.time() - described["LastRotatedDate"].timestamp(),
        "token": time.time() - token.created_at.timestamp(),
    }

    assert {name: round(seconds / DAY) for name, seconds in ago.items()} == {"created": 63, "rotated": 3, "token": 3}
    assert is_healthy(served)


def test_the_functions_are_the_real_ones_and_answer_as_lambda_does(make_served: MakeServed, client: Client) -> None:
    served = make_served(rotations=1)
    told_of = client(served, "lambda").get_function_configuration(FunctionName=f"{FUNCTION_ARN}-caretaker")

    task = {"Task": "Reconcile", "SecretId": served.world.secret_arn}
    found = json.loads(invoked(client, served, told_of["FunctionArn"], task)["Payload"].read())
    refused = invoked(client, served, FUNCTION_ARN, {"Task": "Reconcile"}, LogType="Tail")

    assert (found["SecretsChecked"], found["SecretsNeedAttention"]) == (1, 0)
    assert refused["FunctionError"] == "Unhandled"
    assert json.loads(refused["Payload"].read())["errorType"] == "EventRefused"
    assert refused["LogResult"]
    assert told_of["Environment"]["Variables"]["DOCKERHUB_SECRETS"] == SECRET_NAME
    assert told(served) == ["EventRefused"]


def test_other_ways_to_invoke_are_refused(make_served: MakeServed, client: Client) -> None:
    served = make_served()

    with pytest.raises(Exception, match="InvalidParameterValueException"):
        invoked(client, served, CARETAKER, {"Task": "Reconcile"}, InvocationType="Event")
    with pytest.raises(Exception, match="InvalidRequestContentException"):
        client(served, "lambda").invoke(FunctionName=CARETAKER, Payload=b"{")


OF_AN_ORGANIZATION = ("SecretUnusable", "DockerHubRefused", "RetirementFailed", "CurrentTokenDead")


@pytest.mark.parametrize(
    ("name", "organization"),
    [*((name, None) for name in BROKEN), *((name, ORGANIZATION) for name in OF_AN_ORGANIZATION)],
)
def test_a_broken_world_tells_its_name_and_is_whole_again_once_it_is_over(
    make_served: MakeServed, name: str, organization: str | None
) -> None:
    broken = BROKEN[name]
    scene = Scene(organization=organization)
    served = make_served(scene=scene, rotations=broken.rotations_in(scene))
    assert told(served) == []

    broken.break_it(served)
    assert name in told(served)
    if broken.end_it is None:
        return
    broken.end_it(served)
    unblock(served)
    served.configure({})  # Lambda has ended the sandboxes by then, which remember refused logins
    served.rotate()

    assert is_healthy(served)


def test_a_world_with_one_time_codes_and_a_grace_is_served_too(make_served: MakeServed) -> None:
    served = make_served(scene=Scene(two_factor=True, grace="24h"), rotations=1)

    assert is_healthy(served)
