"""Preflight at AWS finds what a deployment would stumble over, in an account of which it only reads."""

import json
import re
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from operate.preflight_aws import Finding, Wanted, measure
from operate.preflight_aws.permissions import GROUPS

REGION = "eu-central-1"
ACCOUNT = "123456789012"
WANTED = Wanted(
    project="dockerhub-rotation",
    secret="dockerhub-token",
    bucket="dockerhub-rotation-lambda-archive-eu-central-1",
    parameters=("DOCKER_HUB_USERNAME", "DOCKER_HUB_PASSWORD"),
    secret_stacks=("dockerhub-rotation-secret", "dockerhub-rotation-secret-0badcafe"),
)
NAMED = {"Name": "dockerhub-token"}
VALUE = "marker-of-a-value"
READS = ("Get", "Describe", "Simulate", "Head", "List")


class No(Exception):
    """What AWS refuses, with its code."""


class Account:
    """An AWS account in which all is well. Whatever a test puts under an operation's name is what that answers.

    Attributes:
        answers: by operation, what makes an answer of a request, or raises No.
        asked: the operations that were asked for.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, Callable[[Any], Any]] = {
            "GetCallerIdentity": lambda _: {
                "Account": ACCOUNT,
                "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/Deployer/somebody@example.com",
            },
            "GetRole": lambda asked: {"Role": {"Arn": f"arn:aws:iam::{ACCOUNT}:role/sso/{asked['RoleName']}"}},
            "SimulatePrincipalPolicy": self.simulate,
            "GetParameters": lambda asked: {
                "Parameters": [{"Name": name, "Type": "SecureString", "Value": VALUE} for name in asked["Names"]]
            },
            "DescribeParameters": lambda _: {"Parameters": [{"KeyId": "alias/aws/ssm"}]},
            "DescribeSecret": self.no("ResourceNotFoundException"),
            "DescribeLogGroups": lambda _: {"logGroups": []},
            "GetFunctionConfiguration": self.no("ResourceNotFoundException"),
            "DescribeStacks": self.no("ValidationError"),
            "HeadBucket": self.no("404"),
            "GetAccountSettings": lambda _: {
                "AccountLimit": {"UnreservedConcurrentExecutions": 1000, "TotalCodeSize": 80 << 30},
                "AccountUsage": {"TotalCodeSize": 1 << 30},
            },
            "DescribeTrails": lambda _: {"trailList": [{"TrailARN": "arn:trail", "IsMultiRegionTrail": True}]},
            "GetTrailStatus": lambda _: {"IsLogging": True},
            "GetEventSelectors": lambda _: {
                "EventSelectors": [{"IncludeManagementEvents": True, "ReadWriteType": "All"}]
            },
        }
        self.denied: set[str] = set()
        self.simulated: dict[str, tuple[str, str]] = {}

    @staticmethod
    def no(code: str) -> Callable[[Any], Any]:
        def refuse(_: Any) -> Any:
            raise No(code)

        return refuse

    def simulate(self, asked: dict[str, Any]) -> Any:
        (resource,) = asked["ResourceArns"]
        self.simulated |= dict.fromkeys(asked["ActionNames"], (resource, asked["PolicySourceArn"]))
        decisions = {action: "implicitDeny" if action in self.denied else "allowed" for action in asked["ActionNames"]}
        results = [{"EvalActionName": action, "EvalDecision": decision} for action, decision in decisions.items()]
        return {"EvaluationResults": results}

    def client(self, service: str) -> Any:
        """Make a client of boto3, which looks at each request by AWS's model, and sends none."""
        made = boto3.client(service, region_name=REGION)  # type: ignore[call-overload]
        requests: list[Any] = []

        def answer(model: Any, **_: Any) -> tuple[AWSResponse, Any]:
            self.asked.append(model.name)
            try:
                said, status = self.answers[model.name](requests[-1]), 200
            except No as no:
                said, status = {"Error": {"Code": str(no), "Message": VALUE}}, 400
            return AWSResponse("", status, HTTPHeaders(), None), said

        made.meta.events.register("provide-client-params.*", lambda params, **_: requests.append(params))
        made.meta.events.register("before-call.*", answer)
        return made

    def look(self, wanted: Wanted = WANTED) -> dict[str, Finding]:
        found = measure(self.client, REGION, wanted)
        assert VALUE not in json.dumps([it.row() for it in found])
        assert all(operation.startswith(READS) for operation in self.asked)
        return {it.name: it for it in found}


@pytest.fixture
def account() -> Account:
    return Account()


def differing(found: dict[str, Finding]) -> set[str]:
    return {name for name, it in found.items() if it.verdict == "otherwise"}


def test_an_account_in_which_all_is_well_is_as_assumed(account: Account) -> None:
    found = account.look()

    assert {it.verdict for it in found.values()} == {"as assumed"}
    assert found["identity"].seen == f"assumed-role of account {ACCOUNT}, Region {REGION}"
    assert "somebody" not in json.dumps([it.row() for it in found.values()])


def test_credentials_that_do_not_serve_end_it_at_once(account: Account) -> None:
    account.answers["GetCallerIdentity"] = account.no("ExpiredToken")

    found = account.look()

    assert differing(found) == {"identity"} == set(found)
    assert account.asked == ["GetCallerIdentity"]


@pytest.mark.parametrize("group", GROUPS)
def test_a_permission_that_is_missing_is_named_with_what_it_breaks(account: Account, group: str) -> None:
    breaks, actions = GROUPS[group]
    account.denied = {max(actions)}

    found = account.look()

    assert differing(found) == {group}
    assert found[group].seen == f"not allowed: {max(actions)}"
    assert breaks in found[group].means


def test_each_permission_is_simulated_for_the_role_itself_on_what_would_be_made(account: Account) -> None:
    account.look()

    assert {role for _, role in account.simulated.values()} == {f"arn:aws:iam::{ACCOUNT}:role/sso/Deployer"}
    assert account.simulated.keys() == {action for _, actions in GROUPS.values() for action in actions}
    assert all("{" not in resource for resource, _ in account.simulated.values())
    assert account.simulated["s3:PutObject"][0].startswith(f"arn:aws:s3:::{WANTED.bucket}/")
    assert account.simulated["ssm:PutParameter"][0].endswith(":parameter/DOCKER_HUB_USERNAME")


def test_where_nothing_may_be_simulated_it_is_said_which_missing_permission_breaks_what(account: Account) -> None:
    account.answers["SimulatePrincipalPolicy"] = account.no("AccessDenied")

    found = account.look()

    assert differing(found) == set()
    for group, (breaks, actions) in GROUPS.items():
        assert found[group].verdict == "not measured"
        assert breaks in found[group].means
        assert all(action in found[group].assumed for action in actions)
    assert account.asked.count("SimulatePrincipalPolicy") == 1


def test_what_is_not_there_at_all_is_no_question_of_permissions(account: Account) -> None:
    for operation, code in {
        "SimulatePrincipalPolicy": "NotImplemented",
        "DescribeTrails": "InvalidAction",
        "GetAccountSettings": "UnknownOperationException",
    }.items():
        account.answers[operation] = account.no(code)

    found = account.look()

    assert differing(found) == set()
    for name in ("trail", "concurrency", *GROUPS):
        assert (found[name].verdict, "is not to be had there" in found[name].seen) == ("not measured", True)
        assert not re.search("credentials|allowed|that may", found[name].means)


@pytest.mark.parametrize(("code", "said"), [("ThrottlingException", "the code tells"), ("AccessDenied", "that may")])
def test_credentials_are_named_only_where_they_are_what_is_missing(account: Account, code: str, said: str) -> None:
    account.answers["DescribeTrails"] = account.no(code)

    assert said in account.look()["trail"].means


def test_the_root_user_may_do_everything(account: Account) -> None:
    account.answers["GetCallerIdentity"] = lambda _: {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:root"}

    assert differing(account.look()) == set()
    assert account.simulated == {}


@pytest.mark.parametrize(
    ("parameters", "seen"),
    [
        ([], "missing: DOCKER_HUB_USERNAME, DOCKER_HUB_PASSWORD"),
        ([{"Name": "DOCKER_HUB_USERNAME", "Type": "SecureString"}], "missing: DOCKER_HUB_PASSWORD"),
        (
            [
                {"Name": "DOCKER_HUB_USERNAME", "Type": "SecureString"},
                {"Name": "DOCKER_HUB_PASSWORD", "Type": "String", "Value": VALUE},
            ],
            "not encrypted: DOCKER_HUB_PASSWORD",
        ),
    ],
)
def test_parameters_that_are_missing_or_not_encrypted_are_named(
    account: Account, parameters: list[dict[str, str]], seen: str
) -> None:
    account.answers["GetParameters"] = lambda _: {"Parameters": parameters}
    account.answers["DescribeStacks"] = lambda _: stack("dockerhub-rotation")

    found = account.look()

    assert differing(found) == {"parameters"}
    assert found["parameters"].seen == seen


@pytest.mark.parametrize(
    ("parameters", "verdict"),
    [([], "not there yet"), ([{"Name": "DOCKER_HUB_PASSWORD", "Type": "String"}], "otherwise")],
)
def test_before_anything_is_deployed_missing_parameters_are_not_there_yet(
    account: Account, parameters: list[dict[str, str]], verdict: str
) -> None:
    account.answers["GetParameters"] = lambda _: {"Parameters": parameters}

    found = account.look()["parameters"]

    assert found.verdict == verdict
    assert "make credentials" in found.row()["means"]


@pytest.mark.parametrize(
    ("statements", "named"),
    [
        (
            [
                {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}},
                {"Principal": {"AWS": [f"arn:aws:iam::{ACCOUNT}:role/Reader"], "Service": "logs.amazonaws.com"}},
            ],
            ("role/Reader", "logs.amazonaws.com", "IAM decides"),
        ),
        ({"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}, ("IAM decides",)),
        ({"Principal": "*"}, ("*",)),
    ],
)
def test_who_may_decrypt_the_parameters_is_said(account: Account, statements: Any, named: tuple[str, ...]) -> None:
    account.answers |= {
        "DescribeParameters": lambda _: {"Parameters": [{"KeyId": "alias/ours"}, {"KeyId": "alias/ours"}]},
        "DescribeKey": lambda _: {"KeyMetadata": {"KeyId": "00000000-0000-4000-8000-000000000000"}},
        "GetKeyPolicy": lambda _: {"Policy": json.dumps({"Statement": statements})},
    }

    seen = account.look()["parameter-readers"].seen

    assert all(name in seen for name in named)


def stack(project: str, status: str = "CREATE_COMPLETE") -> dict[str, Any]:
    return {"Stacks": [{"StackStatus": status, "Parameters": [named("ProjectName", project, "Parameter")]}]}


def named(key: str, value: str, kind: str = "") -> dict[str, str]:
    return {f"{kind}Key": key, f"{kind}Value": value}


def made_by(name: str) -> dict[str, Any]:
    return {**NAMED, "Tags": [named("aws:cloudformation:stack-name", name)]}


@pytest.mark.parametrize(
    ("secret", "project", "verdict", "means"),
    [
        ({**NAMED, "DeletedDate": 1}, "", "otherwise", "restore-secret --secret-id dockerhub-token"),
        (NAMED, "", "otherwise", "Attach it"),
        (made_by("other"), "dockerhub-rotation", "otherwise", "Attach it"),
        (made_by("dockerhub-rotation-secret"), "dockerhub-rotation", "as assumed", ""),
        (made_by("dockerhub-rotation-secret-0badcafe"), "dockerhub-rotation", "as assumed", ""),
        # PROJECT=dockerhub-rotation-secret has stacks that begin as ours do.
        (made_by("dockerhub-rotation-secret-secret"), "dockerhub-rotation-secret", "otherwise", "Attach it"),
        (made_by("dockerhub-rotation-secret"), "another", "otherwise", "Attach it"),
        ({"Name": "dockerhub-token-AbCdEf"}, "", "as assumed", ""),  # found by a part of its ARN
    ],
)
def test_a_secret_of_that_name_is_told_by_who_made_it_and_whether_it_is_to_be_deleted(
    account: Account, secret: dict[str, Any], project: str, verdict: str, means: str
) -> None:
    account.answers |= {"DescribeSecret": lambda _: secret, "DescribeStacks": lambda _: stack(project)}

    found = account.look()["secret-name"]

    assert found.verdict == verdict
    assert means in found.row()["means"]


@pytest.mark.parametrize("name", ["dockerhub-rotation", "dockerhub-rotation-caretaker"])
@pytest.mark.parametrize(
    ("project", "status", "ours"),
    [
        ("dockerhub-rotation", "CREATE_COMPLETE", True),
        ("dockerhub-rotation", "REVIEW_IN_PROGRESS", False),
        ("dockerhub-rotation", "ROLLBACK_COMPLETE", False),
        ("another", "CREATE_COMPLETE", False),
        ("", "", False),
    ],
)
def test_a_function_or_a_log_group_of_that_name_is_in_the_way_unless_its_stack_has_made_it(
    account: Account, project: str, status: str, ours: bool, name: str
) -> None:
    group = f"/aws/lambda/{name}"
    account.answers["DescribeLogGroups"] = lambda _: {"logGroups": [{"logGroupName": group}]}
    if status:
        account.answers["DescribeStacks"] = lambda _: stack(project, status)

    found = account.look()

    assert differing(found) == (set() if ours else {"function-name"})
    assert group in found["function-name"].seen


@pytest.mark.parametrize(("region", "differs"), [(REGION, set()), ("us-east-1", {"bucket-name"})])
def test_a_bucket_in_another_region_is_in_the_way(account: Account, region: str, differs: set[str]) -> None:
    account.answers["HeadBucket"] = lambda _: {"BucketRegion": region}

    found = account.look()

    assert differing(found) == differs
    assert region in found["bucket-name"].seen


def test_a_bucket_of_somebody_else_is_in_the_way(account: Account) -> None:
    account.answers["HeadBucket"] = account.no("403")

    assert differing(account.look()) == {"bucket-name"}


@pytest.mark.parametrize(
    ("unreserved", "reserved", "enough"), [(10, None, True), (9, None, False), (110, 10, True), (109, 10, False)]
)
def test_concurrency_that_does_not_do_is_said(
    account: Account, unreserved: int, reserved: int | None, enough: bool
) -> None:
    told = account.answers["GetAccountSettings"](None)
    told["AccountLimit"]["UnreservedConcurrentExecutions"] = unreserved
    account.answers["GetAccountSettings"] = lambda _: told
    wanted = Wanted(WANTED.project, WANTED.secret, WANTED.bucket, WANTED.parameters, reserved_concurrency=reserved)

    assert differing(account.look(wanted)) == (set() if enough else {"concurrency"})


def advanced(*fields: dict[str, Any]) -> dict[str, Any]:
    category = {"Field": "eventCategory", "Equals": ["Management"]}
    return {"AdvancedEventSelectors": [{"FieldSelectors": [category, *fields]}]}


@pytest.mark.parametrize(
    "fields",
    [
        (),
        ({"Field": "readOnly", "Equals": ["false"]},),
        ({"Field": "eventSource", "NotEquals": ["kms.amazonaws.com", "rdsdata.amazonaws.com"]},),
        ({"Field": "eventName", "StartsWith": ["Rotation"]}, {"Field": "eventType", "Equals": ["AwsServiceEvent"]}),
    ],
)
def test_a_trail_that_selects_the_events_of_rotations_serves(account: Account, fields: tuple[dict[str, Any]]) -> None:
    account.answers["GetEventSelectors"] = lambda _: advanced(*fields)

    assert differing(account.look()) == set()


@pytest.mark.parametrize(
    ("operation", "answer"),
    [
        ("DescribeTrails", {"trailList": []}),
        ("DescribeTrails", {"trailList": [{"TrailARN": "arn:trail", "HomeRegion": "us-east-1"}]}),
        ("GetTrailStatus", {"IsLogging": False}),
        ("GetEventSelectors", {"EventSelectors": [{"IncludeManagementEvents": True, "ReadWriteType": "ReadOnly"}]}),
        ("GetEventSelectors", {"EventSelectors": [{"IncludeManagementEvents": False, "ReadWriteType": "All"}]}),
        (
            "GetEventSelectors",
            {"AdvancedEventSelectors": [{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Data"]}]}]},
        ),
        ("GetEventSelectors", advanced({"Field": "readOnly", "Equals": ["true"]})),
        ("GetEventSelectors", advanced({"Field": "eventSource", "NotEquals": ["secretsmanager.amazonaws.com"]})),
        ("GetEventSelectors", advanced({"Field": "eventSource", "Equals": ["kms.amazonaws.com"]})),
        ("GetEventSelectors", advanced({"Field": "eventName", "Equals": ["RotationFailed"]})),
        ("GetEventSelectors", advanced({"Field": "eventType", "NotStartsWith": ["AwsService"]})),
    ],
)
def test_without_a_trail_that_logs_what_changes_here_an_alarm_never_rings(
    account: Account, operation: str, answer: dict[str, Any]
) -> None:
    account.answers[operation] = lambda _: answer

    found = account.look()

    assert differing(found) == {"trail"}
    assert "RotationFailed" in found["trail"].means


@pytest.mark.parametrize(
    ("layer", "here"),
    [
        ("arn:aws:lambda:eu-central-1:187925254637:layer:AWS-Parameters-and-Secrets-Lambda-Extension:18", True),
        ("arn:aws:lambda:us-east-1:177933569100:layer:AWS-Parameters-and-Secrets-Lambda-Extension:21", False),
        ("AWS-Parameters-and-Secrets-Lambda-Extension", False),
    ],
)
def test_a_layer_of_another_region_is_told(account: Account, layer: str, here: bool) -> None:
    wanted = Wanted(WANTED.project, WANTED.secret, WANTED.bucket, WANTED.parameters, layer=layer)

    assert differing(account.look(wanted)) == (set() if here else {"layer-region"})


def test_what_may_not_be_looked_at_is_not_measured_and_the_rest_is(account: Account) -> None:
    whole = account.look()
    looks = {
        "GetParameters": "parameters",
        "DescribeParameters": "parameter-readers",
        "DescribeSecret": "secret-name",
        "DescribeLogGroups": "function-name",
        "GetAccountSettings": "concurrency",
        "DescribeTrails": "trail",
    }
    for operation, name in looks.items():
        denied = Account()
        denied.answers[operation] = denied.no("AccessDeniedException")

        found = denied.look()

        assert found[name].verdict == "not measured"
        assert operation in found[name].seen
        assert differing(found) == set()
        assert whole.keys() - found.keys() <= {"code-storage"}
