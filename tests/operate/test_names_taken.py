"""Names that are taken or scheduled for deletion are found before anything is made; what never was needs no hand."""

from __future__ import annotations

import pytest

from .aws import Account
from .cloudformation import AwsError
from .conftest import PROJECT, Command, add_account
from .storage import Bucket

SECRET = f"{PROJECT}-secret"


def made(aws: Account) -> bool:
    return bool({"cloudformation:CreateChangeSet", "s3:PutObject"} & set(aws.requests))


@pytest.mark.parametrize(
    ("described", "said"),
    [
        ({"DeletedDate": 1}, "scheduled for deletion"),
        ({"DeletedDate": 1}, "`aws secretsmanager restore-secret --secret-id dockerhub-token`"),
        ({}, "attach the function to it"),
    ],
)
def test_a_secrets_name_that_is_not_free_is_told_before_anything_is_made(
    aws: Account, run: Command, described: dict[str, object], said: str
) -> None:
    add_account(aws)
    aws.add_secret("dockerhub-token", **described)

    done = run("deploy")

    assert (done.status, said in done.err) == (1, True), done.err
    assert not made(aws)


def test_part_of_another_secrets_arn_is_no_name_that_is_taken(aws: Account, run: Command) -> None:
    add_account(aws)
    aws.secrets["x"] = aws.add_secret("dockerhub-token-AbCdEf")
    aws.secrets["x"].arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:dockerhub-token-AbCdEf-GhIjKl"

    assert run("deploy").status == 0


def test_a_function_of_somebody_elses_is_told_before_anything_is_made(aws: Account, run: Command) -> None:
    add_account(aws)
    aws.functions[PROJECT] = "theirs"

    done = run("deploy")

    assert (done.status, "choose another PROJECT" in done.err) == (1, True), done.err
    assert not made(aws)


@pytest.mark.parametrize(
    ("group", "said"),
    [
        (f"/aws/lambda/{PROJECT}", f"aws logs delete-log-group --log-group-name /aws/lambda/{PROJECT}"),
        (f"/aws/lambda/{PROJECT}-caretaker", "delete-log-group"),
        (f"/aws/lambda/{PROJECT}-of-others", ""),
    ],
)
def test_a_log_group_without_its_stack_is_told_before_anything_is_made(
    aws: Account, run: Command, group: str, said: str
) -> None:
    add_account(aws)
    aws.log[group] = []

    done = run("deploy")

    assert (done.status, said in done.err) == (1 if said else 0, True), done.err
    assert made(aws) is (not said)


def test_who_may_not_look_at_log_groups_deploys_without_a_look(aws: Account, run: Command) -> None:
    add_account(aws)
    aws.refuse["logs:DescribeLogGroups"] = AwsError("AccessDeniedException", "Not you")

    assert run("deploy").status == 0


@pytest.mark.parametrize("role", ["x", "role/x", "arn:aws:iam::123456789012:user/x", "arn:aws:iam::1:role/x"])
def test_a_service_role_that_is_no_roles_arn_is_refused_before_anything_is_asked(
    aws: Account, run: Command, role: str
) -> None:
    done = run("deploy", "--service-role", role)

    assert (done.status, f"SERVICE_ROLE={role} is no ARN of a role" in done.err) == (1, True), done.err
    assert set(aws.requests) <= {"sts:GetCallerIdentity"}


def test_a_package_that_comes_and_goes_while_it_is_uploaded_is_uploaded_by_another_run(
    aws: Account, run: Command
) -> None:
    add_account(aws)
    aws.refuse["s3:PutObject"] = AwsError("PreconditionFailed", "", 412)

    done = run("deploy")

    assert (done.status, "Run this again." in done.err) == (1, True), done.err


def test_a_bucket_has_the_account_in_its_name_and_one_of_an_older_version_keeps_its_own(
    aws: Account, run: Command
) -> None:
    add_account(aws)
    earlier = f"{PROJECT}-lambda-archive-eu-central-1"
    aws.buckets[earlier] = Bucket()

    assert run("deploy").status == 0
    assert list(aws.buckets) == [earlier]
    assert f"stays     the bucket {earlier}" in run("destroy", "--yes").out

    aws.buckets = {earlier: Bucket(owner="999999999999")}
    assert run("deploy").status == 0
    assert list(aws.buckets) == [earlier, f"{PROJECT}-123456789012-eu-central-1"]


def test_a_first_creation_that_failed_needs_no_hand(aws: Account, run: Command) -> None:
    add_account(aws)
    for step in ("bucket", "package", "function", "secret"):
        if step != "package":
            aws.formation.failing = {"Resource": "no permission"}
            failed = run("deploy", "--only", step)
            assert (failed.status, "run this again: what is left of the stack is deleted then" in failed.err) == (
                1,
                True,
            )
        assert run("deploy", "--only", step).status == 0

    assert {stack.status for stack in aws.formation.stacks.values()} == {"CREATE_COMPLETE"}
    assert [stack.name for stack in aws.formation.gone] == [
        f"{PROJECT}-{it}" for it in ("bucket", "function", "secret")
    ]


@pytest.mark.parametrize("status", ["CREATE_FAILED", "ROLLBACK_FAILED"])
@pytest.mark.parametrize(
    "left", [{}, {"First": "DELETE_COMPLETE"}, {"First": "DELETE_COMPLETE", "Second": "CREATE_COMPLETE"}]
)
def test_what_never_was_is_deleted_only_if_nothing_is_in_it(
    aws: Account, run: Command, status: str, left: dict[str, str]
) -> None:
    husk = aws.formation.add(f"{PROJECT}-bucket", status=status, parameters={"ProjectName": PROJECT})
    husk.resources = left

    done = run("deploy", "--only", "bucket")

    assert done.status == (1 if "Second" in left else 0)
    assert (husk in aws.formation.gone) is ("Second" not in left)


def test_the_husk_of_another_project_is_not_deleted(aws: Account, run: Command) -> None:
    husk = aws.formation.add(f"{PROJECT}-bucket", status="ROLLBACK_COMPLETE", parameters={"ProjectName": "theirs"})

    assert run("deploy", "--only", "bucket").status == 1

    assert husk.status == "ROLLBACK_COMPLETE"


def test_a_live_stack_whose_update_was_rolled_back_is_updated_and_not_deleted(deployed: Account, run: Command) -> None:
    deployed.formation.stacks[SECRET].status = "UPDATE_ROLLBACK_COMPLETE"

    assert run("deploy").status == 0

    assert deployed.formation.gone == []
