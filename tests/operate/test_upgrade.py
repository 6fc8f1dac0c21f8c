"""A deployment of the version before this one is brought up to date by `make deploy`, and loses nothing on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from operate import package

from .aws import Account, function_outputs
from .changes import evaluated
from .conftest import PROJECT, Command, template
from .storage import Bucket

RELEASED = Path(__file__).parents[1] / "infra" / "released"
BUCKET = f"{PROJECT}-lambda-archive-eu-central-1"
EARLIER = ("DOCKER_HUB_USERNAME", "DOCKER_HUB_PASSWORD", "DOCKER_HUB_TOTP")
LIVE = "dckr_pat_live"
OWN_KEY = {"OwnKey": "true", "RotationRoleArn": function_outputs(PROJECT)["RoleArn"]}


def released(name: str) -> str:
    return (RELEASED / f"{name}.yaml").read_text(encoding="utf-8")


def stand(aws: Account, name: str, kind: str, given: dict[str, str], outputs: dict[str, str]) -> None:
    """Have a stack that the version before has made."""
    text = released(kind)
    parameters = evaluated(text, {"ProjectName": PROJECT, **given}).parameters
    aws.formation.add(name, text, parameters=parameters, outputs=outputs)


@pytest.fixture
def before(aws: Account) -> Account:
    """Return an account with a deployment of the version before: a plain secret, one of ECS, one with a key."""
    outputs = {key: value for key, value in function_outputs(PROJECT).items() if key != "AlarmRoleArn"}
    attached = {"RotationFunctionArn": outputs["FunctionArn"], "RotationRoleArn": outputs["RoleArn"]}
    aws.buckets[BUCKET] = Bucket()
    aws.buckets[BUCKET].put(f"{PROJECT}/older.zip", b"older")
    for name in EARLIER:
        aws.parameters[name] = {"Name": name, "Value": f"value of {name}"}
    stand(aws, f"{PROJECT}-bucket", "bucket", {}, {"BucketName": BUCKET})
    made_with = {"ArtifactBucket": BUCKET, "ArtifactKey": f"{PROJECT}/older.zip", "TotpParameter": "DOCKER_HUB_TOTP"}
    stand(aws, f"{PROJECT}-function", "function", made_with, outputs)
    for ending, name, given in (
        ("", "dockerhub-token", {"AlarmTopicArn": outputs["AlarmTopicArn"]}),
        ("-team-a", "team/a", {"Shape": "ecs", "Username": "acme", "RotationSchedule": "rate(1 day)"}),
        ("-own", "own", {**OWN_KEY, "AlarmTopicArn": "arn:aws:sns:eu-central-1:123456789012:theirs"}),
    ):
        secret = aws.add_secret(name)
        secret.value = LIVE
        secret.labels = {"placeholder": ["AWSPREVIOUS"], "live": ["AWSCURRENT"]}
        more = {"SecretArn": secret.arn}
        stand(aws, f"{PROJECT}-secret{ending}", "secret", {"SecretName": name, **attached, **given}, more)
    return aws


def test_no_value_no_bucket_and_no_alarm_is_lost(before: Account, run: Command) -> None:
    formation, parameters = before.formation, dict(before.parameters)
    given = {name: dict(stack.parameters) for name, stack in formation.stacks.items()}
    names = set(formation.stacks)

    for secret in ("dockerhub-token", "team/a", "own"):
        done = run("deploy", "--secret", secret)
        assert done.status == 0, done.err

    assert set(formation.stacks) == names | {f"{PROJECT}-caretaker"}
    assert {stack.template for stack in formation.stacks.values()} == {template(it) for it in KINDS}
    assert {secret.name: secret.value for secret in before.secrets.values()} == dict.fromkeys(before.secrets, LIVE)
    assert before.parameters == parameters
    assert list(before.buckets) == [BUCKET]
    assert f"{PROJECT}/older.zip" in before.buckets[BUCKET].objects
    changed = {"ArtifactKey"}
    for name in names:
        stack = formation.stacks[name]
        kept = {key: value for key, value in given[name].items() if key not in changed}
        assert kept.items() <= stack.parameters.items(), name
    function = formation.stacks[f"{PROJECT}-function"]
    variables = evaluated(function.template, function.parameters).properties("Function")["Environment"]["Variables"]
    assert [variables[f"DOCKERHUB_{it}_PARAMETER"] for it in ("USERNAME", "PASSWORD", "TOTP")] == list(EARLIER)
    assert function.parameters["ArtifactKey"] == package.Package().key(PROJECT)


KINDS = ("bucket", "function", "caretaker", "secret")


def test_it_gets_a_caretaker_that_reads_what_the_function_reads(before: Account, run: Command) -> None:
    assert run("deploy").status == 0

    stacks = [before.formation.stacks[f"{PROJECT}-{kind}"] for kind in ("function", "caretaker")]
    function, caretaker = (evaluated(it.template, it.parameters).properties("Function") for it in stacks)
    assert caretaker["Code"] == function["Code"]
    variables, others = (it["Environment"]["Variables"] for it in (caretaker, function))
    assert variables["ROTATION_FUNCTION_ARN"] == function_outputs(PROJECT)["FunctionArn"]
    assert variables["DOCKERHUB_TOTP_PARAMETER"] == "DOCKER_HUB_TOTP"
    assert {key: value for key, value in variables.items() if key in others}.items() <= others.items()


def test_a_rule_that_publishes_to_our_topic_gets_the_role_for_it_and_no_other(before: Account, run: Command) -> None:
    for secret in ("dockerhub-token", "team/a", "own"):
        assert run("deploy", "--secret", secret).status == 0

    roles = {name: stack.parameters.get("AlarmRoleArn") for name, stack in before.formation.stacks.items()}
    assert roles[f"{PROJECT}-secret"] == function_outputs(PROJECT)["AlarmRoleArn"]
    assert roles[f"{PROJECT}-secret-team-a"] == ""
    assert roles[f"{PROJECT}-secret-own"] == ""
    topics = [it.parameters["AlarmTopicArn"] for it in before.formation.stacks.values() if "Shape" in it.parameters]
    assert "arn:aws:sns:eu-central-1:123456789012:theirs" in topics


def test_a_new_credential_goes_where_the_function_reads_it_after_a_yes(before: Account, run: Command) -> None:
    refused = run("credentials", stdin="acme\nbattery-staple\n")
    assert (refused.status, "DOCKER_HUB_PASSWORD (nobody's)" in refused.err) == (1, True)

    assert run("credentials", "--yes", stdin="acme\nbattery-staple\n").status == 0

    assert set(before.parameters) == set(EARLIER)
    assert before.parameters["DOCKER_HUB_PASSWORD"]["Value"] == "battery-staple"


def test_what_the_older_templates_made_is_destroyed_and_its_bucket_serves_again(before: Account, run: Command) -> None:
    for secret in ("dockerhub-token",):
        assert run("deploy", "--secret", secret).status == 0

    assert run("destroy", "--yes").status == 0
    assert before.formation.stacks == {}

    assert run("credentials", stdin="acme\ncorrect-horse\n").status == 0
    assert run("deploy").status == 0
    assert list(before.buckets) == [BUCKET]
