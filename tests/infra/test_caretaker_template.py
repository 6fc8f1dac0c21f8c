"""The caretaker's template: it may read, retire and go back, is called every hour and once, and its silence rings."""

import importlib
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from dockerhub_rotation import request, settings
from tests.infra.stacks import HERE, ROOT, TEMPLATES, Stack, load

TEMPLATE = load(ROOT / "infra/caretaker.yaml")
FUNCTION = f"arn:aws:lambda:{HERE}:function:acme"
TOPIC = f"arn:aws:sns:{HERE}:acme-alarms"
KEY = f"arn:aws:kms:{HERE}:key/1"

EVERYTHING = {
    "Heal": "rotate",
    "ParametersKeyArn": KEY,
    "SecretKeyArns": KEY,
    "SubnetIds": "subnet-0a",
    "SecurityGroupIds": "sg-0a",
    "TotpParameter": "/hub/totp",
    "SlackWebhookParameter": "SLACK",
    "ExtensionLayerArn": f"arn:aws:lambda:{HERE}:layer:extension:1",
}


def caretaker(**values: str) -> Stack:
    given = {"ArtifactBucket": "archive", "ArtifactKey": "package.zip", "AlarmTopicArn": TOPIC}
    return Stack(TEMPLATE, {**given, "ProjectName": "acme", "RotationFunctionArn": FUNCTION, **values})


def statements(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if "Effect" in node:
            yield node | {name: _listed(node[name]) for name in ("Action", "Resource") if name in node}
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            yield from statements(part)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def permissions(**values: str) -> list[dict[str, Any]]:
    return list(statements(caretaker(**values).properties("Permissions")))


# What it is given


def test_what_has_the_name_of_one_of_the_functions_parameters_has_its_default() -> None:
    """A deployment hands on what the function's stack has."""
    own = {"RotationFunctionArn", "AlarmTopicArn", "ArtifactBucket", "ArtifactKey"}
    functions = TEMPLATES["function"]["Parameters"]

    assert TEMPLATE["Parameters"].keys() - functions.keys() == own - functions.keys()
    for name, parameter in TEMPLATE["Parameters"].items():
        if name not in own:
            assert (parameter["Default"], parameter["Type"]) == (functions[name]["Default"], functions[name]["Type"])


def test_it_reads_the_same_settings_as_the_function_but_for_those_that_limit_no_tag() -> None:
    """Without the function's scopes and expiry, it would call a tag wrong that the function takes."""
    variables = caretaker(**EVERYTHING).properties("Function")["Environment"]["Variables"]
    functions = TEMPLATES["function"]["Resources"]["Function"]["Properties"]["Environment"]["Variables"]

    new_tokens = {"DOCKERHUB_COMPARE_SCOPES", "DOCKERHUB_PROBE_REPOSITORY"}
    for_proxies = {"HTTPS_PROXY", "NO_PROXY", "AWS_CA_BUNDLE", "SSL_CERT_FILE"}
    assert variables.keys() == functions.keys() - new_tokens - for_proxies | {"ROTATION_FUNCTION_ARN"}
    read = settings.read(variables)
    assert read.rotation_function == FUNCTION
    assert (read.totp_parameter, read.login, read.webhook_parameter) == ("/hub/totp", "users-login", "SLACK")
    assert (read.heal, settings.read(caretaker().properties("Function")["Environment"]["Variables"]).heal) == (
        "rotate",
        "report",
    )


def test_its_handler_is_there_and_it_has_as_long_as_lambda_gives() -> None:
    function = caretaker().properties("Function")
    module, _, name = function["Handler"].rpartition(".")

    assert callable(getattr(importlib.import_module(module), name))
    assert (function["FunctionName"], function["Timeout"]) == ("acme-caretaker", 900)
    assert caretaker().properties("Logs")["LogGroupName"] == "/aws/lambda/acme-caretaker"


# What it may do


def test_of_secrets_it_may_find_and_read_those_that_name_the_function_and_move_awscurrent_alone() -> None:
    on_secrets = [it for it in permissions() if any(action.startswith("secretsmanager:") for action in it["Action"])]

    assert [(it["Sid"], it["Action"]) for it in on_secrets] == [
        (
            "ReadSecretsThatNameTheRotationFunction",
            ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"],
        ),
        ("MoveCurrentBack", ["secretsmanager:UpdateSecretVersionStage"]),
        ("FindSecrets", ["secretsmanager:ListSecrets"]),
    ]
    ours = {"secretsmanager:resource/AllowRotationLambdaArn": FUNCTION}
    assert on_secrets[0]["Condition"]["StringEquals"] == ours
    assert on_secrets[1]["Condition"]["StringEquals"] == ours | {"secretsmanager:VersionStage": "AWSCURRENT"}


def test_where_it_heals_it_may_start_rotations_as_they_are_configured_and_nothing_else_is_added() -> None:
    secrets, own = "team-a/*,hub", f"{FUNCTION}-caretaker"
    without, healing = permissions(Secrets=secrets), permissions(Secrets=secrets, Heal="rotate")

    assert permissions(Secrets=secrets, Heal="report") == without
    assert [it for it in healing if it not in without] == [
        {
            "Sid": "StartRotationsAsTheyAreConfigured",
            "Effect": "Allow",
            "Action": ["secretsmanager:RotateSecret"],
            "Resource": [f"arn:*:secretsmanager:*:*:secret:{name}-??????" for name in secrets.split(",")],
            "Condition": {
                "StringEquals": {"secretsmanager:resource/AllowRotationLambdaArn": FUNCTION},
                "ArnEquals": {"lambda:SourceFunctionArn": own},
                "ArnEqualsIfExists": {"secretsmanager:RotationLambdaARN": FUNCTION},
                "BoolIfExists": {"secretsmanager:ModifyRotationRules": "false"},
                "Null": {"secretsmanager:ExternalSecretRotationRoleArn": "true"},
            },
        },
        {
            "Sid": "LetSecretsManagerInvokeTheRotationFunction",
            "Effect": "Allow",
            "Action": ["lambda:InvokeFunction"],
            "Resource": [FUNCTION],
            "Condition": {"ArnEqualsIfExists": {"lambda:SourceFunctionArn": own}},
        },
    ]
    assert len(healing) == len(without) + 2


@pytest.mark.parametrize("secrets", ["*", "team-a/*,hub"])
def test_it_reads_changes_and_decrypts_no_other_secrets_than_are_served(secrets: str) -> None:
    names = [f"arn:*:secretsmanager:*:*:secret:{name}-??????" for name in secrets.split(",")]
    read, move, decrypt = (
        next(it for it in permissions(Secrets=secrets) if it["Sid"] == sid)
        for sid in ("ReadSecretsThatNameTheRotationFunction", "MoveCurrentBack", "UseKeysOfSecretsOfThisAccount")
    )

    assert read["Resource"] == move["Resource"] == names
    assert decrypt["Action"] == ["kms:Decrypt"]
    assert decrypt["Condition"]["StringLike"] == {"kms:EncryptionContext:SecretARN": names}
    assert "kms:ViaService" in decrypt["Condition"]["StringEquals"]


def test_its_role_is_of_no_use_in_another_function() -> None:
    only_here = {"lambda:SourceFunctionArn": f"{FUNCTION}-caretaker"}
    free = [it["Sid"] for it in permissions(**EVERYTHING) if it["Condition"].get("ArnEquals") != only_here]

    assert free == [
        "LetSecretsManagerInvokeTheRotationFunction",  # there too, as far as that is said
        "DecryptParameters",
        "UseKeysOfSecretsOfThisAccount",
        "UseKeysOfSecrets",
        "LetLambdaConnectToTheVpc",
    ]


def test_nothing_is_allowed_without_a_condition_but_to_call_it() -> None:
    allowed = list(statements(caretaker(**EVERYTHING).resources))

    assert [it for it in allowed if any("*" in action for action in it["Action"])] == []
    assert [it for it in allowed if "Condition" not in it and "Principal" not in it] == [
        {"Effect": "Allow", "Action": ["lambda:InvokeFunction"], "Resource": ["Function.Arn"]}
    ]


# Its schedule


def test_it_is_called_every_hour_with_a_task_that_it_knows() -> None:
    schedule = caretaker().properties("Schedule")
    (hourly,) = re.fullmatch(r"cron\((\d+) \* \* \* \? \*\)", schedule["ScheduleExpression"]).groups()  # type: ignore[union-attr]

    assert 5 < int(hourly) < 55  # not when rotation windows begin
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert request.parse_task(json.loads(schedule["Target"]["Input"])).secret_arn is None
    assert (schedule["Target"]["Arn"], schedule["Target"]["RoleArn"]) == ("Function.Arn", "ScheduleRole.Arn")


def test_nobody_repeats_what_failed() -> None:
    stack = caretaker()

    assert stack.properties("Schedule")["Target"]["RetryPolicy"] == {"MaximumRetryAttempts": 0}
    assert stack.properties("NoRetries")["MaximumRetryAttempts"] == 0
    assert (stack.properties("NoRetries")["FunctionName"], stack.properties("NoRetries")["Qualifier"]) == (
        "Function",
        "$LATEST",
    )


def test_schedules_of_this_account_alone_take_the_role_that_calls_it() -> None:
    (trust, allowed) = statements(caretaker().properties("ScheduleRole"))

    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert trust["Condition"]["StringEquals"]["aws:SourceAccount"] == "123456789012"
    assert allowed["Resource"] == ["Function.Arn"]


# Its alarms


def alarms() -> dict[str, dict[str, Any]]:
    found = caretaker().of_type("AWS::CloudWatch::Alarm")
    return {alarm["MetricName"]: alarm for alarm in found.values()}


def test_each_alarm_is_on_a_metric_of_the_heartbeat_and_tells_the_topic() -> None:
    source = (ROOT / "src/dockerhub_rotation/tasks/reconcile.py").read_text(encoding="utf-8")

    for name, alarm in alarms().items():
        assert f'"{name}"' in source
        assert alarm["Namespace"] == "DockerHubRotation"
        assert alarm["Dimensions"] == [{"Name": "service", "Value": "Function"}]
        assert alarm["AlarmActions"] == [TOPIC]
        assert alarm["Period"] == 3600


def test_silence_rings_after_three_hours_and_an_outage_does_not() -> None:
    """Each look is a point, also one that could look at nothing."""
    alarm = alarms()["SecretsChecked"]

    assert (alarm["Statistic"], alarm["ComparisonOperator"], alarm["Threshold"]) == (
        "SampleCount",
        "LessThanThreshold",
        1,
    )
    assert (alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == (3, 3)
    assert alarm["TreatMissingData"] == "breaching"


@pytest.mark.parametrize(("name", "hours"), [("SecretsNeedAttention", 2), ("SecretsUnknown", 6)])
def test_what_lasts_rings(name: str, hours: int) -> None:
    alarm = alarms()[name]

    assert (alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == (hours, hours)
    assert (alarm["Statistic"], alarm["ComparisonOperator"], alarm["Threshold"]) == (
        "Maximum",
        "GreaterThanThreshold",
        0,
    )
    assert alarm["TreatMissingData"] == "notBreaching"


def test_it_can_be_deployed_without_a_bucket() -> None:
    assert (ROOT / "infra/caretaker.yaml").stat().st_size <= 51_200


def test_what_a_scanner_finds_is_passed_over_for_a_reason() -> None:
    for resource in TEMPLATE["Resources"].values():
        for skipped in resource.get("Metadata", {}).get("checkov", {}).get("skip", []):
            assert len(skipped["comment"]) > 40
