"""What the operator's credentials may do, as IAM simulates it; where that is not allowed, what a missing one breaks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from operate.preflight_aws.look import NOT_THERE, Finding, Look, Refused

ASSUMED = "Whoever deploys may do what that takes."

_STACK = (
    "arn:{partition}:cloudformation:{region}:{account}:stack/{project}-function/00000000-0000-4000-8000-000000000000"
)
_BUCKET = "arn:{partition}:s3:::{bucket}"
_SECRET = "arn:{partition}:secretsmanager:{region}:{account}:secret:{secret}-AbCdEf"  # noqa: S105 - an ARN
_FUNCTION = "arn:{partition}:lambda:{region}:{account}:function:{project}"
_CARETAKER = _FUNCTION + "-caretaker"
_SCHEDULE = "arn:{partition}:scheduler:{region}:{account}:schedule/default/{project}-caretaker"
_LOGS = "arn:{partition}:logs:{region}:{account}:log-group:/aws/lambda/{project}"
_ROLE = "arn:{partition}:iam::{account}:role/{project}-function-FunctionRole"
_TOPIC = "arn:{partition}:sns:{region}:{account}:{project}-alarms"

# By what it is for: what breaks without it, and on what it has to be allowed. docs/permissions.md lists them, too.
GROUPS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "permissions-stacks": (
        "`make deploy` stops before anything is made",
        {
            "cloudformation:CreateChangeSet": _STACK,
            "cloudformation:DeleteChangeSet": _STACK,
            "cloudformation:DescribeChangeSet": _STACK,
            "cloudformation:DescribeStackEvents": _STACK,
            "cloudformation:DescribeStacks": _STACK,
            "cloudformation:ExecuteChangeSet": _STACK,
            "cloudformation:GetTemplateSummary": "*",
            "cloudformation:ListStackResources": _STACK,
        },
    ),
    "permissions-package": (
        "`make deploy` stops after the bucket, at the package",
        {
            "s3:ListBucket": _BUCKET,
            "s3:GetObject": _BUCKET + "/{project}/package.zip",
            "s3:GetObjectVersion": _BUCKET + "/{project}/package.zip",
            "s3:PutObject": _BUCKET + "/{project}/package.zip",
        },
    ),
    "permissions-making": (
        "CloudFormation takes back the stack that needs it",
        {
            "cloudwatch:PutDashboard": "arn:{partition}:cloudwatch::{account}:dashboard/{project}",
            "cloudwatch:PutMetricAlarm": "arn:{partition}:cloudwatch:{region}:{account}:alarm:{project}-errors",
            "events:PutRule": "arn:{partition}:events:{region}:{account}:rule/{project}-rotation-failed",
            "iam:CreateRole": _ROLE,
            "iam:PassRole": _ROLE,
            "iam:PutRolePolicy": _ROLE,
            "lambda:AddPermission": _FUNCTION,
            "lambda:CreateFunction": _FUNCTION,
            "lambda:GetFunctionConfiguration": _FUNCTION,
            "lambda:PutFunctionEventInvokeConfig": _CARETAKER,
            "logs:CreateLogGroup": _LOGS,
            "logs:PutRetentionPolicy": _LOGS,
            "s3:CreateBucket": _BUCKET,
            "scheduler:CreateSchedule": _SCHEDULE,
            "secretsmanager:CreateSecret": _SECRET,
            "sns:CreateTopic": _TOPIC,
        },
    ),
    "permissions-credentials": (
        "`make credentials` can't store the account, nor look whether it is there",
        {
            "ssm:AddTagsToResource": "{parameter}",
            "ssm:GetParameters": "{parameter}",
            "ssm:ListTagsForResource": "{parameter}",
            "ssm:PutParameter": "{parameter}",
        },
    ),
    "permissions-rotation": (
        "`make rotate` can't start a rotation, or not follow it",
        {
            "lambda:InvokeFunction": _FUNCTION,
            "logs:FilterLogEvents": _LOGS,
            "secretsmanager:DescribeSecret": _SECRET,
            "secretsmanager:RotateSecret": _SECRET,
        },
    ),
    "permissions-destroy": (
        "`make destroy` removes nothing",
        {
            "cloudformation:DeleteStack": _STACK,
            "cloudformation:GetTemplate": _STACK,
            "lambda:DeleteFunction": _FUNCTION,
            "scheduler:DeleteSchedule": _SCHEDULE,
            "secretsmanager:DeleteSecret": _SECRET,
        },
    ),
}


def permissions(look: Look) -> Iterator[Finding]:
    """Look for each purpose what is not allowed of what it takes."""
    refused: Refused | None = None
    for name, (breaks, actions) in GROUPS.items():
        assumed = f"Allowed are {', '.join(actions)}."
        denied: list[str] = []
        if refused is None:
            try:
                denied = _denied(look, actions)
            except Refused as failure:
                refused = failure
        if refused is not None:
            means = f"Without one of these, {breaks}. See whether they are allowed."
            means = "What is asked there knows no permissions: AWS does." if refused.code == NOT_THERE else means
            yield Finding(name, assumed, "not measured", str(refused), means, relied_on=False)
            continue
        seen = f"not allowed: {', '.join(denied)}" if denied else "allowed"
        means = f"Without it, {breaks}. Have it allowed; docs/permissions.md lists what deploying needs."
        yield Finding(name, assumed, "otherwise" if denied else "as assumed", seen, means)


def _denied(look: Look, actions: Mapping[str, str]) -> list[str]:
    """Return the actions that are not allowed.

    Raises:
        Refused: nothing may be simulated.
    """
    principal = _principal(look)
    if principal is None:
        return []
    by_resource: defaultdict[str, list[str]] = defaultdict(list)
    for action, resource in actions.items():
        by_resource[_arn(look, resource)].append(action)
    denied = []
    for resource, names in by_resource.items():
        request = {"PolicySourceArn": principal, "ActionNames": names, "ResourceArns": [resource]}
        results = look.ask("iam", "simulate_principal_policy", **request)["EvaluationResults"]
        denied += [result["EvalActionName"] for result in results if result["EvalDecision"] != "allowed"]
    return denied


def _principal(look: Look) -> str | None:
    """Return whose policies are to be simulated; None for the root user, whom none binds."""
    arn = look.identity["Arn"]
    kind, _, name = arn.split(":", 5)[5].partition("/")
    if kind == "root":
        return None
    if kind == "assumed-role":  # its ARN lacks the role's path
        return str(look.ask("iam", "get_role", RoleName=name.partition("/")[0])["Role"]["Arn"])
    return arn


def _arn(look: Look, resource: str) -> str:
    """Return an ARN of the kind that a deployment asks for: policies may be limited to such."""
    wanted = look.wanted
    partition = look.identity["Arn"].split(":")[1]
    parameter = wanted.parameters[0].removeprefix("/")
    return resource.format(
        partition=partition,
        region=look.region,
        account=look.identity["Account"],
        project=wanted.project,
        bucket=wanted.bucket,
        secret=wanted.secret,
        parameter=f"arn:{partition}:ssm:{look.region}:{look.identity['Account']}:parameter/{parameter}",
    )
