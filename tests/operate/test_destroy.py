"""`destroy`: every stack of the project and no other, and what is said of what stays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from .aws import Account
from .cloudformation import ACCOUNT, AwsError
from .conftest import PROJECT, Command, add_account, add_function, add_secret_stack
from .storage import Bucket

IN_ORDER = [f"{PROJECT}-{kind}" for kind in ("secret", "secret-second", "function", "bucket")]
THEIRS = ["keeper-secret-bucket", "dockerhub-rotation-secret-keeper-function", "dockerhub-rotation-website"]
DONE = {"old": ["AWSPREVIOUS"], "new": ["AWSCURRENT"]}


@pytest.fixture
def two(aws: Account) -> Account:
    """Return an account with two secrets, and stacks of other projects."""
    add_secret_stack(aws, f"{PROJECT}-secret-second", {"SecretName": "second"})
    add_function(aws)
    add_secret_stack(aws, f"{PROJECT}-secret", {"SecretName": "dockerhub-token"})
    aws.formation.add(f"{PROJECT}-bucket", parameters={"ProjectName": PROJECT}, outputs={"BucketName": "theirs"})
    aws.buckets["theirs"] = Bucket()
    for name in THEIRS:
        aws.formation.add(name, parameters={"ProjectName": "keeper"})
    return aws


def removed(aws: Account) -> list[str]:
    return [stack.name for stack in aws.formation.gone]


def test_destroy_deletes_every_stack_of_the_project_and_no_other(two: Account, run: Command) -> None:
    add_account(two)

    done = run("destroy", "--yes")

    assert done.status == 0
    assert removed(two) == IN_ORDER
    assert list(two.formation.stacks) == THEIRS
    assert "`aws secretsmanager cancel-rotate-secret --secret-id <name>`" in done.out
    assert "stays     the bucket theirs" in done.out
    assert f"stays     the parameter /{PROJECT}/DOCKER_HUB_PASSWORD" in done.out


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (DONE, "the token of {}: active until you disable it. If the function made it, its label ends in new"),
        ({"old": ["AWSCURRENT"]}, "the token that you gave {}, if you gave it one: active until you disable it\n"),
        (
            {"old": ["AWSCURRENT"], "new": ["AWSPENDING"]},
            "the token that you gave {}, if you gave it one: active until you disable it\n",
        ),
    ],
)
def test_destroy_says_which_token_stays_active(
    two: Account, run: Command, labels: Mapping[str, list[str]], said: str
) -> None:
    secret = two.secrets["second"]
    secret.labels = dict(labels)

    assert f"at Docker Hub {said.format(secret.arn)}" in run("destroy", "--yes").out


@pytest.mark.parametrize("bucket", [Bucket(owner="999999999999"), Bucket(region="us-east-1"), None])
def test_what_became_of_the_bucket_keeps_nothing_from_its_end(
    two: Account, run: Command, bucket: Bucket | None
) -> None:
    add_account(two)
    two.buckets = {"theirs": bucket} if bucket else {}

    done = run("destroy", "--yes")

    assert done.status == 0
    assert ("the bucket theirs" in done.out) is (bucket is not None and bucket.owner == ACCOUNT)
    assert f"the parameter /{PROJECT}/DOCKER_HUB_PASSWORD" in done.out


def test_what_stays_is_told_as_far_as_it_is_known_whatever_is_refused(two: Account, run: Command) -> None:
    two.refuse["ssm:GetParameters"] = AwsError("AccessDeniedException", "Not you")

    done = run("destroy", "--yes")

    assert (done.status, "Not you" in done.err) == (1, True)
    assert "at Docker Hub the token that you gave" in done.out
    assert "the bucket theirs" in done.out


def test_a_secret_that_was_deleted_behind_the_stacks_back_keeps_nothing(two: Account, run: Command) -> None:
    two.secrets.clear()

    done = run("destroy", "--yes")

    assert (done.status, "Docker Hub" in done.out) == (0, False)


def test_a_deletion_that_is_under_way_is_joined(two: Account, run: Command) -> None:
    """So it is after an interrupted `make destroy`, whose deletion carries a token that is forgotten."""
    bucket = two.formation.stacks[f"{PROJECT}-bucket"]
    two.formation.record(bucket, "CREATE_COMPLETE", "earlier", "Archive")
    two.formation.begin_deletion(bucket, "theirs")

    done = run("destroy", "--yes")

    assert done.status == 0
    assert f"{bucket.name}: is being deleted already" in done.out
    assert "DELETE_COMPLETE Resource" in done.out
    assert "CREATE_COMPLETE" not in done.out


def test_a_deletion_that_somebody_else_began_first_is_followed_to_its_end(two: Account, run: Command) -> None:
    """AWS then notes no event with our token."""
    bucket = two.formation.stacks[f"{PROJECT}-bucket"]
    delete = two.formation.delete_stack

    def after_them(asked: dict[str, Any]) -> dict[str, Any]:
        if asked["StackName"] == bucket.name:
            two.formation.begin_deletion(bucket, "theirs")
        return delete(asked)

    two.formation.delete_stack = after_them  # type: ignore[method-assign]

    assert run("destroy", "--yes").status == 0

    assert bucket.status == "DELETE_COMPLETE"


def test_a_stack_that_somebody_is_changing_keeps_all_from_being_deleted(two: Account, run: Command) -> None:
    two.formation.stacks[f"{PROJECT}-bucket"].status = "UPDATE_IN_PROGRESS"

    done = run("destroy", "--yes")

    assert (done.status, "wait until that has ended" in done.err) == (1, True)
    assert removed(two) == []


def test_what_an_interrupted_deployment_left_behind_is_deleted(aws: Account, run: Command) -> None:
    """A stack with nothing but a change set, which has no parameters yet."""
    names = [f"{PROJECT}-function", f"{PROJECT}-secret-keeper-function", f"{PROJECT}-secret-team-a-65f838a2"]
    for name in names:
        aws.formation.add(name, status="REVIEW_IN_PROGRESS")

    assert run("destroy", "--yes", "--secret", "team/a").status == 0

    assert list(aws.formation.stacks) == [names[1]]


def test_without_anything_there_it_says_so(aws: Account, run: Command) -> None:
    done = run("destroy")

    assert (done.status, f"There is no stack of project {PROJECT}." in done.out) == (0, True)


@pytest.mark.parametrize(("answer", "status", "gone"), [("y\n", 0, IN_ORDER), ("\n", 1, []), ("no\n", 1, [])])
def test_destroy_asks_whoever_is_at_the_terminal(
    two: Account, run: Command, answer: str, status: int, gone: list[str]
) -> None:
    done = run("destroy", stdin=answer, at_a_terminal=True)

    assert (done.status, removed(two)) == (status, gone)
    assert "second-AbCdEf, at once and for good" in done.out


def test_destroy_does_nothing_if_nobody_confirms_it(two: Account, run: Command) -> None:
    done = run("destroy", stdin="y\n")

    assert (done.status, removed(two)) == (1, [])
    assert "YES=1" in done.err
