"""Names: every secret has a stack of its own, and a name that can't be is refused before anything is made."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operate.names import Deployment

from .aws import Account
from .conftest import Command

NAMES = st.text("ab/_+=.@-", min_size=1, max_size=256)


@given(NAMES, NAMES)
def test_no_two_secrets_are_given_the_same_stack(one: str, other: str) -> None:
    stacks = [Deployment(secret=name).secret_stacks[0] for name in (one, other)]

    assert (stacks[0] == stacks[1]) is (one == other)


@given(NAMES, st.text("ab-", max_size=30))
def test_every_stack_has_a_name_that_cloudformation_takes(secret: str, project: str) -> None:
    wanted = Deployment(project=f"p{project}", secret=secret)

    for name in (*wanted.secret_stacks, *wanted.earlier_secret_stacks):
        assert re.fullmatch("[a-zA-Z][-a-zA-Z0-9]{0,127}", name)


@pytest.mark.parametrize(
    ("secret", "parameters", "stacks"),
    [
        ("dockerhub-token", {}, ["p-secret"]),
        ("team-a", {}, ["p-secret-team-a"]),
        ("team/a", {}, ["p-secret-team-a-65f838a2", "p-secret-team-a"]),
        ("ecr-pullthroughcache/hub", {}, ["p-secret-ecr-pullthroughcache-hub-b38fbbb6", "p-secret-hub"]),
        (
            "hub",
            {"NamePrefix": "ecr-pullthroughcache/"},
            ["p-secret-ecr-pullthroughcache-hub-b38fbbb6", "p-secret-hub"],
        ),
        ("dockerhub-token", {"NamePrefix": "ecr-pullthroughcache/"}, [None, "p-secret"]),
    ],
)
def test_a_stack_is_looked_for_where_an_older_version_made_it_too(
    secret: str, parameters: dict[str, str], stacks: list[str | None]
) -> None:
    wanted = Deployment("p", secret, secret_parameters=parameters)

    named = [wanted.secret_stacks[0], *wanted.earlier_secret_stacks]

    assert [name for name, expected in zip(named, stacks, strict=True) if expected not in (None, name)] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--project", "Acme"), "PROJECT=Acme can't be: at most 32 lower-case"),
        (("--project", "a" * 33), "can't be: at most 32"),
        (("--project", "acme-"), "not ending in a hyphen"),
        (("--bucket", "My_Bucket"), "BUCKET=My_Bucket can't be"),
        (("--bucket", "b" * 64), "can't be: 3 to 63"),
        (("--secret", "my secret"), "SECRET=my secret can't be"),
        (("--secret", "s" * 257), "at most 256 letters"),
        (("--secret", "ecr-pullthroughcache/ecr-pullthroughcache/hub"), "can't be"),
        (
            ("--secret", "ecr-pullthroughcache/hub", "--secret-parameters", "NamePrefix=''"),
            "has a prefix that NamePrefix does not name",
        ),
    ],
)
def test_a_name_that_cannot_be_is_refused_and_nothing_is_made(
    aws: Account, run: Command, arguments: tuple[str, ...], said: str
) -> None:
    done = run("deploy", *arguments)

    assert (done.status, said in done.err) == (1, True), done.err
    assert aws.formation.stacks == {}
    assert not {it for it in aws.requests if not it.startswith(("sts:", "cloudformation:Get"))}


def test_the_longest_project_leaves_room_for_every_name_with_it() -> None:
    """https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html and others' pages."""
    wanted = Deployment(project="p" * 32)

    assert len(wanted.caretaker) <= 64  # of a function; of a schedule, too
    assert len(wanted.bucket_of("123456789012", "ap-southeast-1")) <= 63


@pytest.mark.parametrize("project", ["aws-hub", "awsome", "ssm"])
@pytest.mark.parametrize("verb", ["deploy", "credentials"])
def test_a_project_whose_parameters_aws_keeps_for_itself_is_refused_unless_they_are_named_otherwise(
    aws: Account, run: Command, project: str, verb: str
) -> None:
    done = run(verb, "--project", project, stdin="acme\ncorrect-horse\n")

    assert f"Parameter Store takes no /{project}/DOCKER_HUB_USERNAME" in done.err
    assert (aws.formation.stacks, aws.parameters) == ({}, {})
    names = "UsernameParameter=/hub/U PasswordParameter=/hub/P TotpParameter=/hub/T SlackWebhookParameter=/hub/S"
    named = ("--project", project, "--function-parameters", names)
    assert run("credentials", *named, stdin="acme\ncorrect-horse\n").status == 0
