"""A deployment of the version before this one is brought up to date: nothing that it holds is lost on the way.

CloudFormation is told to keep the value of every parameter that the stack has. Those that are new get their default.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.infra.stacks import ACCOUNT, HERE, RELEASED, REPLACED_BY, TEMPLATES, Stack

KEY = f"arn:aws:kms:{HERE}:key/1"
PACKAGE = {"ArtifactBucket": "archive", "ArtifactKey": "package.zip"}
ATTACHED = {"RotationFunctionArn": f"arn:aws:lambda:{HERE}:function:dockerhub-rotation"}
OWN_KEY = {"OwnKey": "true", "RotationRoleArn": f"arn:aws:iam::{ACCOUNT}:role/rotation"}

# What stacks were made with.
MADE_WITH: list[tuple[str, dict[str, str]]] = [
    ("bucket", {}),
    ("bucket", {"ProjectName": "team-b"}),
    ("bucket", {"BucketName": "one-of-ours"}),
    ("function", PACKAGE),
    ("function", PACKAGE | {"ProjectName": "team-b", "UsernameParameter": "/hub/name", "PasswordParameter": "HUB"}),
    ("function", PACKAGE | {"TotpParameter": "TOTP", "SlackWebhookParameter": "/slack", "ParametersKeyArn": KEY}),
    ("function", PACKAGE | {"SecretKeyArns": KEY, "AlarmEmail": "ops@example.com", "ReservedConcurrency": "10"}),
    ("function", PACKAGE | {"SubnetIds": "subnet-0a", "SecurityGroupIds": "sg-0a", "LogRetentionDays": "30"}),
    ("secret", ATTACHED),
    ("secret", ATTACHED | OWN_KEY | {"SecretName": "team-a/hub", "KeyAlias": "alias/hub", "KeyDeletionDays": "7"}),
    ("secret", ATTACHED | {"Shape": "ecs", "Username": "acme", "Token": "dckr_pat_by-hand"}),
    ("secret", ATTACHED | {"Shape": "ecr", "Username": "acme", "NamePrefix": "ecr-pullthroughcache/"}),
    ("secret", ATTACHED | OWN_KEY | {"Shape": "dockerconfigjson", "Username": "acme"}),
    ("secret", ATTACHED | {"AlarmTopicArn": f"arn:aws:sns:{HERE}:alarms", "RotationSchedule": "rate(30 days)"}),
    ("secret", ATTACHED | {"RotationSchedule": "cron(0 8 1W * ? *)", "RotationWindow": "16h"}),
    ("secret", ATTACHED | {"RotationSchedule": "cron(0 /4 * * ? *)", "RotationWindow": "1h"}),
]

# It holds nothing but what the template says, and gets the name of its Region.
REPLACED = {"AWS::CloudWatch::Dashboard"}

each_stack = pytest.mark.parametrize(("name", "made_with"), MADE_WITH)


def before_and_after(name: str, made_with: Mapping[str, str]) -> tuple[Stack, Stack]:
    before = Stack(RELEASED[name], made_with)
    kept = {key: value for key, value in before.parameters.items() if key in TEMPLATES[name]["Parameters"]}
    return before, Stack(TEMPLATES[name], kept)


@each_stack
def test_every_parameter_that_a_stack_has_is_still_there_with_a_value_that_is_still_allowed(
    name: str, made_with: dict[str, str]
) -> None:
    before, after = before_and_after(name, made_with)

    assert before.parameters.items() <= after.parameters.items()


@each_stack
def test_no_resource_is_replaced_or_taken_away_but_the_dashboard(name: str, made_with: dict[str, str]) -> None:
    before, after = before_and_after(name, made_with)

    for logical, was in before.resources.items():
        becomes = after.resources[logical]
        assert becomes["Type"] == was["Type"]
        if was["Type"] not in REPLACED:
            for key in REPLACED_BY[was["Type"]]:
                assert becomes["Properties"].get(key) == was["Properties"].get(key), (logical, key)


@each_stack
def test_what_others_have_from_a_stack_it_still_gives(name: str, made_with: dict[str, str]) -> None:
    before, after = before_and_after(name, made_with)

    # The console's address names the dashboard.
    assert before.outputs.items() - {("DashboardUrl", before.outputs.get("DashboardUrl"))} <= after.outputs.items()


@pytest.mark.parametrize("made_with", [made_with for name, made_with in MADE_WITH if name == "secret"])
def test_the_live_token_and_its_key_stay_and_no_rotation_is_started(made_with: dict[str, str]) -> None:
    before, after = before_and_after("secret", made_with)

    for key in ("SecretString", "KmsKeyId"):
        assert after.properties("Secret").get(key) == before.properties("Secret").get(key)
    assert after.properties("Rotation") == before.properties("Rotation")
    assert after.of_type("AWS::KMS::Key").keys() == before.of_type("AWS::KMS::Key").keys()


FUNCTIONS = [made_with for name, made_with in MADE_WITH if name == "function"]


@pytest.mark.parametrize("made_with", FUNCTIONS)
def test_the_function_reads_the_account_where_it_is_and_may_do_so(made_with: dict[str, str]) -> None:
    before, after = before_and_after("function", made_with)
    was, becomes = (it.properties("Function")["Environment"]["Variables"] for it in (before, after))

    assert was.items() <= becomes.items()
    new = {
        "DOCKERHUB_SECRETS": "*",
        "DOCKERHUB_TOKEN_EXPIRY": "",
        "DOCKERHUB_GRACE": "0",
        "DOCKERHUB_GRACE_LIMIT": "30d",
        "DOCKERHUB_SUPERSEDED": "disable",
        "DOCKERHUB_HEAL": "report",
        "DOCKERHUB_ORGANIZATIONS": "",
        "DOCKERHUB_ORGANIZATION_RESOURCES": "",
        "DOCKERHUB_ORGANIZATION_QUOTA": "10",
    }
    assert {name: value for name, value in becomes.items() if name not in was} == new
    assert resources(after, "ReadParameters") == resources(before, "ReadParameters")


@pytest.mark.parametrize("made_with", FUNCTIONS)
def test_every_secret_that_was_attached_is_still_served(made_with: dict[str, str]) -> None:
    _, after = before_and_after("function", made_with)
    arn = f"arn:aws:secretsmanager:{HERE}:secret:any/name_of-theirs-x1Y2z3"

    (reached,) = resources(after, "RotateSecretsThatNameThisFunction")

    assert fnmatchcase(arn, reached)
    assert after.properties("Function")["Environment"]["Variables"]["DOCKERHUB_SECRETS"] == "*"


@pytest.mark.parametrize("made_with", FUNCTIONS)
def test_every_alarm_still_rings_and_rules_that_are_there_still_publish(made_with: dict[str, str]) -> None:
    before, after = before_and_after("function", made_with)
    was, becomes = ({key: watched(it, key) for key in it.of_type("AWS::CloudWatch::Alarm")} for it in (before, after))

    if made_with.get("ProjectName"):  # its metrics were those of the usual project's function, and are its own now
        was["TokensUnidentifiedAlarm"]["service"] = made_with["ProjectName"]
    assert becomes == was
    publishers = [it["Principal"]["Service"] for it in policy(after, "AlarmTopicPolicy")]
    assert publishers == [it["Principal"]["Service"] for it in policy(before, "AlarmTopicPolicy")]


def watched(stack: Stack, alarm: str) -> dict[str, Any]:
    """Return what an alarm watches and whom it tells, with the function by its name."""
    properties = stack.properties(alarm)
    name = stack.properties("Function")["FunctionName"]
    dimensions = {it["Name"]: it["Value"].replace("Function", name) for it in properties["Dimensions"]}
    return properties | dimensions | {"Dimensions": None}


def policy(stack: Stack, logical: str) -> list[dict[str, Any]]:
    statements: list[dict[str, Any]] = stack.properties(logical)["PolicyDocument"]["Statement"]
    return statements


def resources(stack: Stack, sid: str) -> list[str]:
    (found,) = [it["Resource"] for it in policy(stack, "Permissions") if it["Sid"] == sid]
    return found if isinstance(found, list) else [found]
