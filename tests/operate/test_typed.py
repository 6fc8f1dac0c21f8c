"""What is shown to be typed says for which deployment it is: project, secret, bucket, Region and profile."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from operate import typed
from operate.typed import aws_command, carrying, command

from .aws import Account
from .cloudformation import AwsError
from .conftest import PROJECT, Command, add_account, forget

ASKING = ("status", "unblock", "rollback", "reconcile", "retire", "logs")
NAMES = {"project": "team-b", "secret": "team-b/hub", "bucket": "packages"}


@pytest.mark.parametrize(
    ("verb", "options", "words"),
    [
        ("credentials", {}, "make credentials PROJECT=team-b"),
        ("deploy", {}, "make deploy PROJECT=team-b SECRET=team-b/hub BUCKET=packages"),
        ("deploy", {"only": "function"}, "make deploy-function PROJECT=team-b SECRET=team-b/hub BUCKET=packages"),
        ("deploy", {"only": "secret"}, "make deploy-secret PROJECT=team-b SECRET=team-b/hub"),
        ("deploy", {"bucket": "other"}, "make deploy PROJECT=team-b SECRET=team-b/hub BUCKET=other"),
        ("rotate", {}, "make rotate PROJECT=team-b SECRET=team-b/hub"),
        ("destroy", {"yes": "1"}, "make destroy PROJECT=team-b YES=1"),
        *((verb, {}, f"make {verb} PROJECT=team-b SECRET=team-b/hub") for verb in ASKING),
        ("status", {"secret": "'a b'"}, "make status PROJECT=team-b SECRET='a b'"),
        ("logs", {"follow": "1"}, "make logs PROJECT=team-b SECRET=team-b/hub FOLLOW=1"),
        ("rollback", {"version": "x", "yes": "1"}, "make rollback PROJECT=team-b SECRET=team-b/hub VERSION=x YES=1"),
        # make expands what the shell does not
        ("logs", {"version": "$(x);'"}, "make logs PROJECT=team-b SECRET=team-b/hub VERSION='$$(x);'\"'\"''"),
        (
            "preflight",
            {"deployed": "1"},
            "make preflight PROJECT=team-b SECRET=team-b/hub BUCKET=packages DEPLOYED=1",
        ),
        ("credentials", {"no_try": "1"}, "make credentials PROJECT=team-b TRY=no"),
    ],
)
def test_a_command_names_what_it_is_about(verb: str, options: dict[str, str], words: str) -> None:
    with carrying({"AWS_REGION": "us-east-1", "AWS_PROFILE": "team b"}, NAMES):
        assert command(verb, **options) == f"AWS_REGION=us-east-1 AWS_PROFILE='team b' {words}"
        assert aws_command("sts x") == "AWS_PROFILE='team b' aws sts x --region us-east-1"
    assert command("rotate") == "make rotate"


def test_the_installed_command_does_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typed, "IN_A_CLONE", False)

    with carrying({}, NAMES):
        assert command("deploy", only="secret", no_wait="1") == (
            "dockerhub-rotation deploy --only secret --project team-b --secret team-b/hub --no-wait"
        )


def test_a_hint_is_for_the_deployment_that_was_asked_for(
    aws: Account, run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "configured").write_text("[default]\nregion = eu-central-1\n[profile b]\nregion = eu-west-1\n")
    monkeypatch.setenv("AWS_PROFILE", "b")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")

    done = run("deploy", "--project", "team-b", "--secret", "team-b/hub")

    assert "run `AWS_REGION=eu-central-1 AWS_PROFILE=b make credentials PROJECT=team-b` first" in done.err


def test_the_commands_of_the_aws_cli_are_for_the_region_that_was_asked(
    aws: Account, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    aws.formation.add(f"{PROJECT}-bucket", status="DELETE_FAILED", parameters={"ProjectName": PROJECT})

    said = run("deploy", "--only", "bucket").err

    assert f"`aws cloudformation delete-stack --stack-name {PROJECT}-bucket --region eu-west-1`" in said


@pytest.mark.parametrize("secret", ["hub", "dockerhub-token"])
def test_a_hint_is_for_the_secret_with_its_prefix_also_where_the_parameters_name_that(
    deployed: Account, run: Command, secret: str
) -> None:
    parameters = "NamePrefix=ecr-pullthroughcache/ Shape=ecr Username=acme"
    deploying = ("deploy", "--only", "secret", "--secret", secret, "--secret-parameters", parameters)

    done = run(*deploying, "--no-wait")

    assert f"ecr-pullthroughcache/{secret}" in deployed.secrets
    assert f"`make rotate SECRET=ecr-pullthroughcache/{secret}` follows it" in done.out
    forbidden = run(*deploying[:-1], parameters.replace("acme", "other"))
    assert f"`make rotate SECRET=ecr-pullthroughcache/{secret}` makes a new token" in forbidden.err


# --- How stacks are made ---


def test_tags_a_role_and_protection_are_passed_on_and_kept(aws: Account, run: Command) -> None:
    add_account(aws)
    role = "arn:aws:iam::123456789012:role/formation"
    asked = ("--tags", "team=a cost='x y'", "--service-role", role, "--protect")

    assert run("deploy", *asked).status == 0
    assert run("deploy").status == 0
    assert run("deploy", "--tags", "team=b").status == 0

    for stack in aws.formation.stacks.values():
        assert {it["Key"]: it["Value"] for it in stack.tags} == {"team": "b", "cost": "x y"}
        assert (stack.role, stack.protected) == (role, True)


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ("a", "Tags are given as key=value, which a is not"),
        ("=b", "Tags are given as key=value, which =b is not"),
        ("a='b", "A quotation mark is missing in the tags"),
        ("a=b a=c", "Tags are given once each, but there is more than one a"),
    ],
)
def test_tags_that_cannot_be_are_refused_as_tags(aws: Account, run: Command, tags: str, said: str) -> None:
    add_account(aws)

    done = run("deploy", "--tags", tags)

    assert (done.status, said in done.err, aws.formation.stacks) == (1, True, {})


def test_a_tag_may_be_named_as_a_parameter_of_a_template_is(aws: Account, run: Command) -> None:
    assert run("deploy", "--only", "bucket", "--tags", "Token=x SecretName=y").status == 0

    (stack,) = aws.formation.stacks.values()
    assert {it["Key"]: it["Value"] for it in stack.tags} == {"Token": "x", "SecretName": "y"}


def test_destroy_lifts_no_protection_and_deletes_nothing_beside_it(deployed: Account, run: Command) -> None:
    deployed.formation.stacks[f"{PROJECT}-bucket"].protected = True

    done = run("destroy", "--yes")

    assert (done.status, deployed.formation.gone) == (1, [])
    assert f"update-termination-protection --stack-name {PROJECT}-bucket --no-enable" in done.err
    assert deployed.formation.stacks[f"{PROJECT}-bucket"].protected


# --- The first rotation ---


def test_deploy_ends_when_the_first_rotation_has(aws: Account, run: Command) -> None:
    add_account(aws)
    done = run("deploy", "--json")

    assert (done.status, done.json["secret"]["first_rotation"]) == (0, {"version": "first"})


def test_deploy_follows_a_first_rotation_that_takes_its_time(aws: Account, run: Command) -> None:
    add_account(aws)

    def begin(secret: object) -> None:
        aws.later(20, lambda: aws.secrets["dockerhub-token"].labels.update(first=["AWSPENDING"]))
        ended = {"old": ["AWSPREVIOUS"], "first": ["AWSCURRENT"]}
        aws.later(60, lambda: aws.secrets["dockerhub-token"].labels.update(ended))

    aws.first_rotation = begin

    done = run("deploy")

    assert (done.status, "version first is current" in done.out) == (0, True)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({}, "It has not begun in 60 seconds: `make rotate` starts one"),
        ({"first": ["AWSPENDING"]}, "The rotation has not ended in 600 seconds"),
    ],
)
def test_a_first_rotation_that_does_not_succeed_ends_deploy_with_another_status(
    aws: Account, run: Command, labels: dict[str, list[str]], said: str
) -> None:
    add_account(aws)
    aws.first_rotation = lambda secret: secret.labels.update(labels)

    done = run("deploy")

    assert done.status == 1
    assert f"All is deployed, but the secret's rotation has not succeeded. {said}" in done.err
    forget(aws)
    again, unfollowed = run("deploy", "--json"), run("deploy", "--no-wait")
    assert (again.status, again.json["ok"], said in again.err) == (1, False, True)
    assert "The rotation has not ended, or not begun: `make rotate` follows it" in unfollowed.out
    aws.secrets["dockerhub-token"].described["RotationEnabled"] = False
    assert run("deploy").status == 0, "somebody has turned rotation off"


def test_a_second_deployment_says_at_once_that_the_first_rotation_has_failed_meanwhile(
    aws: Account, run: Command
) -> None:
    add_account(aws)
    aws.first_rotation = lambda secret: secret.labels.update(first=["AWSPENDING"])
    assert run("deploy", "--no-wait").status == 0
    line = {"level": "ERROR", "step": "testSecret", "message": "TokenRefused", "correlation_id": "first"}
    aws.log["/aws/lambda/dockerhub-rotation"] = [(time.time(), json.dumps(line))]
    time.sleep(3600)

    began, done = time.time(), run("deploy")

    assert (done.status, time.time() - began < 60) == (1, True)
    assert "TokenRefused" in done.out
    assert "The rotation failed in testSecret; AWSCURRENT is what it was" in done.err
    assert "`make rotate` follows that" in done.err


def test_a_second_deployment_follows_a_rotation_that_is_under_way(aws: Account, run: Command) -> None:
    add_account(aws)
    aws.first_rotation = lambda secret: secret.labels.update(first=["AWSPENDING"])
    assert run("deploy", "--no-wait").status == 0
    ended = {"old": ["AWSPREVIOUS"], "first": ["AWSCURRENT"]}
    aws.later(60, lambda: aws.secrets["dockerhub-token"].labels.update(ended))

    done = run("deploy", "--json")

    assert (done.status, done.json["secret"]["first_rotation"]) == (0, {"version": "first"})


def test_a_first_rotation_that_may_not_be_looked_at_is_no_success(aws: Account, run: Command) -> None:
    add_account(aws)

    def begin(secret: object) -> None:
        aws.refuse["secretsmanager:DescribeSecret"] = AwsError("AccessDeniedException", "Not you")

    aws.first_rotation = begin

    assert "has not succeeded. AWS refused DescribeSecret" in run("deploy").err
