"""Stacks: change sets and their causes, operations followed to their end, and states that allow none."""

from __future__ import annotations

from typing import Any

import pytest

from .aws import Account
from .cloudformation import AwsError
from .conftest import PROJECT, Command, add_account, add_function, add_secret_stack, forget, template

BUCKET = f"{PROJECT}-bucket"


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        ("CREATE_FAILED", "aws cloudformation delete-stack --stack-name {}"),
        ("ROLLBACK_FAILED", "aws cloudformation delete-stack --stack-name {}"),
        ("DELETE_FAILED", "aws cloudformation delete-stack --stack-name {}"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback --stack-name {}"),
        ("UPDATE_IN_PROGRESS", "wait until that has ended"),
    ],
)
@pytest.mark.parametrize(
    ("step", "stack"), [("bucket", "bucket"), ("package", "bucket"), ("function", "bucket"), ("secret", "secret")]
)
def test_a_stack_that_cannot_be_changed_is_an_error_with_a_remedy(
    deployed: Account, run: Command, status: str, remedy: str, step: str, stack: str
) -> None:
    name = f"{PROJECT}-{stack}"
    deployed.formation.stacks[name].status = status
    deployed.formation.stacks[name].resources = {"First": "DELETE_COMPLETE", "Second": "DELETE_FAILED"}

    done = run("deploy", "--only", step)

    assert done.status == 1
    assert status in done.err
    assert remedy.format(name) in done.err
    assert "cloudformation:CreateChangeSet" not in deployed.requests


def test_a_failed_operation_is_told_with_its_causes_first_one_first(deployed: Account, run: Command) -> None:
    formation = deployed.formation
    formation.record(formation.stacks[BUCKET], "UPDATE_FAILED", "earlier", "First", "an old story")
    formation.stacks[BUCKET].template += "# of an older version"
    formation.failing = {
        "First": "the first cause",
        "Second": "the second cause",
        "Third": "Resource update cancelled",
        "Fourth": "the last cause",
    }

    done = run("deploy", "--only", "bucket")

    assert done.status == 1
    assert 0 < done.err.index("First (AWS::Some::Thing): the first cause") < done.err.index("the second cause")
    assert done.err.index("the second cause") < done.err.index("the last cause")
    assert "cancelled" not in done.err
    assert "an old story" not in done.err


FAILED = {
    "EventId": "1",
    "EventType": "VALIDATION_ERROR",
    "LogicalResourceId": "Archive",
    "ResourceType": "AWS::S3::Bucket",
    "ValidationPath": "/Resources/Archive/Properties/Tags",
    "ValidationStatus": "FAILED",
    "ValidationStatusReason": "#: extraneous key [Tagz] is not permitted",
}
MANY: list[dict[str, Any]] = [
    {**FAILED, "EventId": str(number), "LogicalResourceId": f"R{number}"} for number in range(7)
]


def test_what_early_validation_found_is_told_before_the_evidence_is_tidied_away(aws: Account, run: Command) -> None:
    aws.formation.early_validation = MANY

    done = run("deploy", "--only", "bucket")

    assert done.status == 1
    cause = "R{} (AWS::S3::Bucket) at /Resources/Archive/Properties/Tags: #: extraneous key [Tagz] is not permitted"
    assert [number for number in range(7) if cause.format(number) not in done.err] == []
    assert "EarlyValidation" in done.err
    assert aws.formation.change_sets == {}
    assert aws.formation.stacks == {}


@pytest.mark.parametrize("code", ["AccessDenied", "Throttling", "InternalFailure"])
def test_nothing_is_deleted_whose_cause_could_not_be_read(aws: Account, run: Command, code: str) -> None:
    aws.formation.early_validation = [FAILED]
    aws.refuse["cloudformation:DescribeEvents"] = AwsError(code, "No events for you")

    done = run("deploy", "--only", "bucket")

    assert done.status == 1
    assert "EarlyValidation" in done.err
    assert "No events for you" in done.err
    (change_set,) = aws.formation.change_sets
    assert f"aws cloudformation describe-events --change-set-name {change_set}" in done.err
    assert aws.formation.stacks[BUCKET].status == "REVIEW_IN_PROGRESS"


def test_nothing_is_deleted_whose_events_have_not_come_yet(aws: Account, run: Command) -> None:
    aws.formation.early_validation = []

    done = run("deploy", "--only", "bucket")

    assert (done.status, "no events yet" in done.err) == (1, True)
    assert len(aws.formation.change_sets) == 1


def test_a_change_that_aws_cannot_make_is_told_and_leaves_no_empty_stack(aws: Account, run: Command) -> None:
    aws.formation.refusal = "a rule is broken"

    done = run("deploy", "--only", "bucket")

    assert (done.status, "a rule is broken" in done.err) == (1, True)
    assert aws.formation.stacks == {}
    assert aws.formation.change_sets == {}


def test_a_cause_is_told_also_if_what_is_left_cannot_be_deleted(aws: Account, run: Command) -> None:
    aws.formation.refusal = "a rule is broken"
    aws.refuse["cloudformation:DeleteChangeSet"] = AwsError("AccessDenied", "Not you")

    done = run("deploy", "--only", "bucket")

    assert "a rule is broken" in done.err
    assert "Not you" in done.err


def test_a_stack_that_a_twin_has_begun_to_create_is_not_deleted_with_a_change_set_that_failed(
    aws: Account, run: Command
) -> None:
    aws.formation.refusal = "a rule is broken"

    def create() -> None:
        aws.formation.stacks[BUCKET].status = "CREATE_IN_PROGRESS"

    aws.later(2, create)

    assert run("deploy", "--only", "bucket").status == 1

    assert aws.formation.stacks[BUCKET].status == "CREATE_IN_PROGRESS"


@pytest.mark.parametrize(
    "said",
    [
        "The submitted information didn't contain changes. Submit different information to create a change set.",
        "The submitted information didn\u2019t contain changes. Submit different information to create a change set.",
        "No updates are to be performed.",
    ],
)
def test_nothing_to_change_is_no_failure_whichever_apostrophe_aws_takes(
    deployed: Account, run: Command, said: str
) -> None:
    deployed.formation.no_changes = said

    done = run("deploy")

    assert (done.status, done.out.count("is up to date")) == (0, 4)
    assert deployed.formation.change_sets == {}


def test_a_stack_that_has_only_a_change_set_is_still_created(aws: Account, run: Command) -> None:
    aws.formation.add(BUCKET, status="REVIEW_IN_PROGRESS")

    assert run("deploy", "--only", "bucket").status == 0

    assert aws.formation.stacks[BUCKET].status == "CREATE_COMPLETE"


def test_a_parameter_that_is_not_given_keeps_its_value(deployed: Account, run: Command) -> None:
    function = deployed.formation.stacks[f"{PROJECT}-function"]
    function.parameters |= {"MemorySize": "512", "LogLevel": "INFO", "GoneFromTheTemplate": "x"}
    del function.parameters["Timeout"]

    assert run("deploy", "--only", "function", "--function-parameters", "LogLevel=DEBUG").status == 0

    now = function.parameters
    assert (now["LogLevel"], now["MemorySize"]) == ("DEBUG", "512")
    assert "Timeout" in now
    assert "GoneFromTheTemplate" not in now


def test_a_long_operation_is_followed_over_every_page_of_events(aws: Account, run: Command) -> None:
    aws.formation.failing = {f"R{number}": f"cause {number}" for number in range(10)}

    done = run("deploy", "--only", "bucket")

    assert [number for number in range(10) if f"cause {number}\n" not in done.err] == []


@pytest.mark.parametrize("step", ["bucket", "package", "function"])
def test_a_stack_of_another_project_is_never_touched(aws: Account, run: Command, step: str) -> None:
    """Project a has a secret "bucket" where project a-secret has its bucket."""
    add_secret_stack(aws, "a-secret-bucket", {"SecretName": "bucket"}, project="a")
    add_account(aws)

    done = run("deploy", "--only", step, "--project", "a-secret")

    assert (done.status, "is not project a-secret's, but a's" in done.err) == (1, True)
    assert "cloudformation:CreateChangeSet" not in aws.requests


def test_what_is_there_without_a_change_is_left_as_it_is(deployed: Account, run: Command) -> None:
    before = {name: len(stack.events) for name, stack in deployed.formation.stacks.items()}
    versions = dict(deployed.buckets[f"{PROJECT}-123456789012-eu-central-1"].objects)
    forget(deployed)

    assert run("deploy").status == 0

    assert {name: len(stack.events) for name, stack in deployed.formation.stacks.items()} == before
    assert deployed.buckets[f"{PROJECT}-123456789012-eu-central-1"].objects == versions
    asked = [it for it in deployed.requests if it != "cloudformation:DescribeChangeSet"]
    assert len(asked) == len(asked_once()), asked


def asked_once() -> list[str]:
    """Return what a deployment that changes nothing has to ask for, beside looking how far four change sets are."""
    return [
        "sts:GetCallerIdentity",
        *["cloudformation:GetTemplateSummary"] * 4,
        *["cloudformation:DescribeStacks"] * 4,
        "ssm:GetParameters",
        "s3:HeadObject",
        *["lambda:GetFunctionConfiguration"] * 2,
        *["cloudformation:CreateChangeSet", "cloudformation:DeleteChangeSet"] * 4,
        "secretsmanager:DescribeSecret",
    ]


def test_a_template_is_small_enough_to_travel_in_the_request() -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html."""
    assert max(len(template(name).encode()) for name in ("bucket", "function", "caretaker", "secret")) <= 51_200


def test_the_functions_stack_is_needed_for_a_secret(aws: Account, run: Command) -> None:
    add_account(aws)

    done = run("deploy", "--only", "secret")

    assert "run `make deploy-function` first" in done.err
    add_function(aws)
    assert run("deploy", "--only", "secret").status == 0
