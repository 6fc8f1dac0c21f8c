"""Whatever is asked of a served world gets an answer of AWS's form, and nothing brings it down."""

from __future__ import annotations

import http.client
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rehearsal.served.front import Front
from rehearsal.served.world import Served
from rehearsal.wire import Server

from .conftest import Client

SIGNED = "AWS4-HMAC-SHA256 Credential=rehearsal/20261126/eu-central-1/{}/aws4_request, SignedHeaders=host, Signature=0"
JSON = "application/x-amz-json-1.1"


def refused(client: Client, served: Served, service: str, operation: str, **request: Any) -> Any:
    with pytest.raises(ClientError) as raised:
        getattr(client(served, service), operation)(**request)
    return raised.value.response["Error"]


def test_a_service_that_is_not_there_says_so_in_the_form_of_its_protocol(served: Served, client: Client) -> None:
    asked = {
        "dynamodb": "list_tables",
        "s3": "list_buckets",
        "ec2": "describe_regions",
        "iam": "list_roles",
        "sns": "list_topics",
        "cloudwatch": "list_metrics",
        "scheduler": "list_schedules",
        "route53": "list_hosted_zones",
    }

    errors = {service: refused(client, served, service, operation) for service, operation in asked.items()}

    assert {error["Code"] for error in errors.values()} == {"NotImplemented"}
    assert all("rehearsal" in error["Message"] for error in errors.values())


@pytest.mark.parametrize(
    ("service", "operation", "request_", "code"),
    [
        ("secretsmanager", "validate_resource_policy", {"ResourcePolicy": "{}"}, "UnknownOperationException"),
        ("ssm", "list_nodes", {}, "UnknownOperationException"),
        ("logs", "start_query", {"startTime": 0, "endTime": 1, "queryString": "x"}, "UnknownOperationException"),
        ("logs", "filter_log_events", {"logGroupName": "none"}, "ResourceNotFoundException"),
        ("lambda", "list_functions", {}, "UnknownOperationException"),
        ("lambda", "get_function_configuration", {"FunctionName": "none"}, "ResourceNotFoundException"),
        ("lambda", "invoke", {"FunctionName": "none"}, "ResourceNotFoundException"),
        ("sts", "assume_role", {"RoleArn": "a" * 20, "RoleSessionName": "me"}, "InvalidAction"),
        ("cloudformation", "delete_stack", {"StackName": "dockerhub-rotation-function"}, "InvalidAction"),
        ("cloudformation", "describe_stacks", {"StackName": "none"}, "ValidationError"),
    ],
)
def test_what_a_service_does_not_know_is_refused(
    served: Served, client: Client, service: str, operation: str, request_: dict[str, Any], code: str
) -> None:

    assert refused(client, served, service, operation, **request_)["Code"] == code


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, b"", 403),
        ({"Authorization": "Basic x"}, b"\xff", 403),
        ({"Authorization": SIGNED.format("logs")}, b"{", 400),
        ({"Authorization": SIGNED.format("logs"), "X-Amz-Target": "Logs_20140328.FilterLogEvents"}, b"\xff{", 400),
        ({"Authorization": SIGNED.format("secretsmanager"), "X-Amz-Target": "x.DescribeSecret"}, b"{", 400),
        ({"Authorization": SIGNED.format("secretsmanager")}, b"Action=DescribeSecret", 400),
        ({"Authorization": SIGNED.format("sts"), "Content-Type": "application/x-www-form-urlencoded"}, b"\xff", 400),
        ({"Authorization": SIGNED.format("lambda")}, b"", 400),
    ],
)
def test_what_is_no_request_is_refused_and_the_next_is_answered(
    served: Served, client: Client, headers: dict[str, str], body: bytes, status: int
) -> None:
    connection = http.client.HTTPConnection(served.environment["AWS_ENDPOINT_URL"].removeprefix("http://"))
    for _ in range(2):
        connection.request("POST", "/", body, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
    connection.close()

    assert client(served, "sts").get_caller_identity()["Account"] == "123456789012"


def test_a_defect_in_here_is_answered_and_kept_for_whoever_serves() -> None:
    def stumble(_: object) -> Any:
        raise RuntimeError("a defect")

    front = Front({"logs": stumble})
    with Server(front.app) as server:
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
        connection.request("POST", "/", b"{}", {"Authorization": SIGNED.format("logs"), "Content-Type": JSON})
        answer = connection.getresponse()
        said = answer.read()
        connection.close()

    assert (answer.status, b"InternalFailure" in said) == (500, True)
    assert [str(crash) for crash in front.crashes] == ["a defect"]
