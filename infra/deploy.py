"""`make deploy`, `destroy`, `credentials`, `rotate`: from a clone to a rotating secret and away again, by the AWS CLI.

Everything is done by commands of the AWS CLI, version 1 or 2, that somebody could type. What is secret travels over a
command's standard input, never in its arguments, which every user of the machine can read.

A stack is changed by a change set, so that a second run finds nothing to change and says so.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import getpass
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

ROOT = Path(__file__).resolve().parent.parent
ARCHIVE = ROOT / "dist" / "dockerhub-rotation.zip"
TEMPLATES = ROOT / "infra"

PROJECT = "dockerhub-rotation"
SECRET = "dockerhub-token"  # noqa: S105 - the secret's name
STEPS = ("bucket", "package", "function", "secret")

# Parameters of secret.yaml. To change the first two makes another secret; to change the others stores a new value in
# place of the live token, as does Token.
FIXED = ("SecretName", "NamePrefix", "Shape", "Username")

# Parameters that the commands give a value, and what they take it from.
SET_BY = {
    "ProjectName": "PROJECT=...",
    "ArtifactBucket": "BUCKET=...",
    "ArtifactKey": "the package",
    "SecretName": "SECRET=...",
    "RotationFunctionArn": "the function's stack",
    "RotationRoleArn": "the function's stack",
}

# Parameters of function.yaml that name a parameter of Parameter Store, and the name it gets if they name none.
USERNAME, PASSWORD, TOTP, WEBHOOK = "UsernameParameter", "PasswordParameter", "TotpParameter", "SlackWebhookParameter"
PARAMETER_NAMES = {
    USERNAME: "DOCKER_HUB_USERNAME",
    PASSWORD: "DOCKER_HUB_PASSWORD",
    TOTP: "DOCKER_HUB_TOTP",
    WEBHOOK: "DOCKER_HUB_SLACK_WEBHOOK_URL",
}

PAUSE_SECONDS = 2
ROTATION_SECONDS = 600
# How long to wait for the last line of the log once the new version is current: lines arrive late, and superseded
# tokens are retired after that.
LOG_SECONDS = 20
# How far back to look for what kept a rotation from its end that is joined.
EARLIER_SECONDS = 24 * 60 * 60


class Problem(Exception):
    """What keeps a command from its end, in a sentence that names the remedy."""


class Refused(Problem):
    """AWS refused a request.

    Attributes:
        code: the error's code, as in the service's documentation; empty if the AWS CLI did not come that far.
        reason: AWS's own text.
    """

    def __init__(self, code: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


def say(text: str) -> None:
    """Tell how it goes, at once."""
    print(text, flush=True)  # noqa: T201 - this is what the command is for


# --- The AWS CLI ---


@dataclass(frozen=True)
class Aws:
    """The AWS CLI with an account and a Region.

    Attributes:
        command: its path.
        environment: of the command.
        region: of every request.
    """

    command: str
    environment: Mapping[str, str]
    region: str

    @cached_property
    def account(self) -> str:
        """The number of the account, asked for once."""
        return str(self.call("sts", "get-caller-identity")["Account"])

    def call(self, *command: str, stdin: str = "", hide: str = "") -> Any:
        """Run a command of the AWS CLI and return its answer.

        Args:
            stdin: what an argument `file:///dev/stdin` stands for. The AWS CLI reads such an argument once, but
                `--cli-input-json` twice, which a pipe does not survive.
            hide: a secret in there, which is taken out of an error's text, should that quote it.

        Raises:
            Refused: AWS said no, or the AWS CLI could not ask.
        """
        done = subprocess.run(  # noqa: S603 - the AWS CLI
            [self.command, *command, "--output", "json"],
            input=stdin,
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise _refused(" ".join(command[:2]), _without(hide, done.stderr))
        return json.loads(done.stdout or "{}")


def connect() -> Aws:
    """Find the AWS CLI, the Region and the account, and say which they are.

    Raises:
        Problem: one of them is missing.
    """
    command = _find_command()
    # Version 1 does not know AWS_REGION, which version 2 prefers: give both what one of them was given.
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or _configured_region(command)
    quiet = {"AWS_PAGER": "", "AWS_CLI_AUTO_PROMPT": "off"}
    aws = Aws(command, {**os.environ, **quiet, "AWS_REGION": region, "AWS_DEFAULT_REGION": region}, region)
    say(f"Account {aws.account}, Region {region}")
    return aws


def _find_command() -> str:
    """Return the path of the AWS CLI: the one that AWS_CLI names, else that on the PATH, else that in .venv."""
    if named := os.environ.get("AWS_CLI"):
        if found := shutil.which(named):
            return found
        raise Problem(f"AWS_CLI names {named}, which is not there: name an AWS CLI that is.")
    if (found := shutil.which("aws")) and _runs(found):
        return found
    if found := shutil.which(str(ROOT / ".venv" / "bin" / "aws")):
        return found
    raise Problem(
        "No aws command that runs is on the PATH, and none is in .venv: install the AWS CLI, or run `make setup`, "
        "which puts it into .venv."
    )


def _runs(command: str) -> bool:
    """Whether a command starts. What a version manager leaves on the PATH need not."""
    try:
        done = subprocess.run(  # noqa: S603 - the AWS CLI
            [command, "--version"], stdin=subprocess.DEVNULL, check=False, capture_output=True
        )
    except OSError:
        return False
    return done.returncode == 0


def _configured_region(command: str) -> str:
    done = subprocess.run(  # noqa: S603 - the AWS CLI
        [command, "configure", "get", "region"], check=False, capture_output=True, text=True
    )
    if not done.stdout.strip():
        if done.stderr.strip():
            raise _refused("configure get region", done.stderr)
        raise Problem("No Region is set: set AWS_REGION, or run `aws configure`.")
    return done.stdout.strip()


_ERROR = re.compile(
    r"An error occurred \((?P<code>[^)]+)\) when calling the \w+ operation(?: \(reached max retries: \d+\))?: "
    r"(?P<reason>.*)"
)
_REMEDIES = {
    r"Unable to locate credentials|Partial credentials": (
        "There are no AWS credentials: run `aws configure`, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY."
    ),
    r"config profile \(.*\) could not be found": (
        "The profile that AWS_PROFILE names does not exist: name another, or run `aws configure --profile <name>`."
    ),
    r"ExpiredToken|(SSO|session).*expired|Token has expired|Error loading SSO Token": (
        "The AWS session has expired: log in again (`aws sso login`, or however you got these credentials)."
    ),
    r"\((InvalidClientTokenId|UnrecognizedClientException|SignatureDoesNotMatch|AuthFailure)\)": (
        "AWS does not accept these credentials: look which are in use with `aws configure list`."
    ),
    r"Could not connect to the endpoint|Connect timeout|Could not resolve": (
        "AWS cannot be reached: check the network, the proxy and the Region's name."
    ),
}


def _refused(command: str, stderr: str) -> Refused:
    """Make of what the AWS CLI printed an error that names the remedy."""
    text = " ".join(stderr.split())
    known = _ERROR.search(text)
    code, reason = (known["code"], known["reason"]) if known else ("", text)
    for pattern, remedy in _REMEDIES.items():
        if re.search(pattern, text):
            return Refused(code, reason, remedy)
    if code.startswith("AccessDenied") or "not authorized to perform" in reason:
        return Refused(
            code, reason, f"AWS denies `aws {command}`: {reason} The README lists the permissions that deploying needs."
        )
    return Refused(code, reason, f"`aws {command}` failed: {reason or 'it did not say why'}")


def _without(secret: str, text: str) -> str:
    """Take a secret out of a text, as it is and as JSON writes it."""
    if not secret:
        return text
    return text.replace(json.dumps(secret)[1:-1], "[hidden]").replace(secret, "[hidden]")


# --- Stacks ---


@dataclass(frozen=True)
class Stack:
    """A stack as AWS describes it.

    Attributes:
        parameters: by name; a NoEcho parameter's value is asterisks.
        outputs: by name.
    """

    name: str
    id: str
    status: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]


def find_stacks(aws: Aws, name: str | None = None) -> list[Stack]:
    """Return the stack with this name or id, if it exists, or all stacks. A deleted one does not exist."""
    try:
        answer = aws.call("cloudformation", "describe-stacks", *(("--stack-name", name) if name else ()))
    except Refused as refused:
        if refused.code == "ValidationError" and "does not exist" in refused.reason:
            return []
        raise
    return [
        Stack(
            name=stack["StackName"],
            id=stack["StackId"],
            status=stack["StackStatus"],
            parameters={it["ParameterKey"]: it.get("ParameterValue", "") for it in stack.get("Parameters", [])},
            outputs={it["OutputKey"]: it["OutputValue"] for it in stack.get("Outputs", [])},
        )
        for stack in answer["Stacks"]
        if stack["StackStatus"] != "DELETE_COMPLETE"
    ]


def find_stack(aws: Aws, name: str) -> Stack | None:
    """Return the stack with this name, or None. One that has only a change set is still to be created."""
    return next((stack for stack in find_stacks(aws, name) if stack.status != "REVIEW_IN_PROGRESS"), None)


def require_stack(aws: Aws, name: str, step: str) -> Stack:
    """Return the stack that a step made.

    Raises:
        Problem: it is not there.
    """
    if stack := find_stack(aws, name):
        require_changeable(stack)
        return stack
    raise Problem(f"There is no stack {name} in {aws.region}: run `make deploy-{step}` first.")


def deploy_stack(aws: Aws, name: str, template: str, parameters: Mapping[str, str], hide: str = "") -> Stack:
    """Create a stack or bring it up to date, follow it to its end, show its outputs, and return it.

    A parameter that is not given keeps the value the stack has.

    Args:
        template: its file in infra/, without .yaml.
        hide: the parameter's value that must not show up anywhere, if there is one.

    Raises:
        Problem: the stack is in a state that allows no change, or the change failed.
    """
    stack = find_stack(aws, name)
    if stack:
        require_changeable(stack)
    declared = declared_parameters(aws, template)
    if unknown := sorted(set(parameters) - set(declared)):
        raise Problem(f"infra/{template}.yaml has no parameter {' or '.join(unknown)}: it has {', '.join(declared)}.")
    kept = set(declared).intersection(stack.parameters if stack else ()) - set(parameters)
    entries = [
        *({"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()),
        *({"ParameterKey": key, "UsePreviousValue": True} for key in sorted(kept)),
    ]
    changed = change(aws, name, template, json.dumps(entries), update=stack is not None, hide=hide)
    say(f"{template:<9} {name} is {('updated' if changed else 'up to date') if stack else 'created'}")
    if changed or not stack:
        stack = require_stack(aws, name, template)
    for key, value in sorted(stack.outputs.items()):
        say(f"          {key:<15} {value}")
    return stack


def declared_parameters(aws: Aws, template: str) -> dict[str, str]:
    """Return the parameters of a template in infra/, with their default values (empty if they have none)."""
    summary = aws.call("cloudformation", "get-template-summary", "--template-body", _body(template))
    return {it["ParameterKey"]: it.get("DefaultValue", "") for it in summary["Parameters"]}


def _body(template: str) -> str:
    return f"file://{TEMPLATES / template}.yaml"


def change(aws: Aws, stack: str, template: str, parameters: str, *, update: bool, hide: str = "") -> bool:
    """Make a change set, carry it out and follow it to its end; return whether there was anything to change.

    Args:
        parameters: as JSON.

    Raises:
        Problem: AWS cannot make the change set, or the change failed.
    """
    made = aws.call(
        *("cloudformation", "create-change-set", "--stack-name", stack, "--change-set-name", f"deploy-{uuid4()}"),
        *("--change-set-type", "UPDATE" if update else "CREATE", "--capabilities", "CAPABILITY_NAMED_IAM"),
        *("--template-body", _body(template), "--parameters", "file:///dev/stdin"),
        stdin=parameters,
        hide=hide,
    )
    this = ("--change-set-name", made["Id"])
    while True:
        found = aws.call("cloudformation", "describe-change-set", *this)
        if found["Status"] in ("CREATE_COMPLETE", "FAILED"):
            break
        time.sleep(PAUSE_SECONDS)
    if found["Status"] == "FAILED":
        aws.call("cloudformation", "delete-change-set", *this)
        reason = found.get("StatusReason", "AWS does not say why")
        if "didn't contain changes" in reason or "No updates are to be performed" in reason:
            return False
        if not update:
            aws.call("cloudformation", "delete-stack", "--stack-name", made["StackId"])  # the empty one it made
        raise Problem(f"AWS cannot change stack {stack}: {_without(hide, reason)}")
    say(f"          {stack}: {len(found.get('Changes', []))} changes")
    token = str(uuid4())
    aws.call("cloudformation", "execute-change-set", *this, "--client-request-token", token)
    follow(aws, stack, made["StackId"], token)
    return True


def delete_stack(aws: Aws, stack: Stack) -> None:
    """Delete a stack, unless that has begun already, and follow it to its end.

    Raises:
        Problem: something in it could not be deleted.
    """
    if stack.status == "DELETE_IN_PROGRESS":
        say(f"          {stack.name}: is being deleted already")
        follow(aws, stack.name, stack.id)
        return
    token = str(uuid4())
    say(f"          {stack.name}: deleting")
    aws.call("cloudformation", "delete-stack", "--stack-name", stack.name, "--client-request-token", token)
    if stack.status != "REVIEW_IN_PROGRESS":  # in that one there is nothing to delete
        follow(aws, stack.name, stack.id, token)


def follow(aws: Aws, name: str, stack_id: str, token: str = "") -> None:
    """Show what happens in a stack until an operation has ended.

    Args:
        token: of the operation; empty for the stack's deletion by whomever, whose token nobody may know.

    Raises:
        Problem: it failed; the reasons, first cause first.
    """
    shown: set[str] = set()
    while True:
        answer = aws.call("cloudformation", "describe-stack-events", "--stack-name", stack_id, "--max-items", "100")
        oldest_first = list(reversed(answer["StackEvents"]))
        if token:
            events = [it for it in oldest_first if it.get("ClientRequestToken") == token]
        else:
            events = _since_deletion(oldest_first, stack_id)
        for event in events:
            if event["EventId"] not in shown and not event["ResourceStatus"].endswith("_IN_PROGRESS"):
                say(f"          {event['ResourceStatus']:<15} {event['LogicalResourceId']}")
            shown.add(event["EventId"])
        ended = [it["ResourceStatus"] for it in events if it["PhysicalResourceId"] == stack_id]
        if ended and not ended[-1].endswith("_IN_PROGRESS"):
            break
        # Somebody else may have deleted it, with a token of theirs.
        if not find_stacks(aws, stack_id):
            return
        time.sleep(PAUSE_SECONDS)
    if ended[-1] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE"):
        raise Problem(f"Stack {name} failed ({ended[-1]}):{_causes(events)}\n{_way_out(name, ended[-1])}".rstrip())


def _since_deletion(events: list[dict[str, str]], stack_id: str) -> list[dict[str, str]]:
    """Return the events from the stack's last deletion on."""
    begun = [
        number
        for number, event in enumerate(events)
        if (event["PhysicalResourceId"], event["ResourceStatus"]) == (stack_id, "DELETE_IN_PROGRESS")
    ]
    return events[begun[-1] :] if begun else []


def _causes(events: Sequence[Mapping[str, str]]) -> str:
    """List why resources failed, oldest first; those that failed because another did are left out."""
    causes = [
        f"\n  {event['LogicalResourceId']} ({event['ResourceType']}): {event['ResourceStatusReason']}"
        for event in events
        if event["ResourceStatus"].endswith("_FAILED")
        and event.get("ResourceStatusReason")
        and "cancelled" not in event["ResourceStatusReason"]
    ]
    return "".join(causes) or "\n  no event says why"


def require_changeable(stack: Stack) -> None:
    """Refuse a stack that AWS would not let us change.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html

    Raises:
        Problem: saying what to do.
    """
    if way_out := _way_out(stack.name, stack.status):
        raise Problem(f"Stack {stack.name} is in state {stack.status}. {way_out}")


def _way_out(name: str, status: str) -> str:
    """Say what to do about a stack's state; nothing, if it can be changed as it is."""
    if status.endswith("_IN_PROGRESS"):
        return "Somebody is changing it: wait until that has ended, then run this again."
    if status == "UPDATE_ROLLBACK_FAILED":
        return (
            "Mend what its events name, bring it back with "
            f"`aws cloudformation continue-update-rollback --stack-name {name}`, then run this again."
        )
    if status in ("CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"):
        return (
            "Mend what its events name (`aws cloudformation describe-stack-events`), delete it with "
            f"`aws cloudformation delete-stack --stack-name {name}`, then run this again."
        )
    return ""


# --- deploy ---


@dataclass(frozen=True)
class Deployment:
    """What is deployed, as the command line says it.

    Attributes:
        project: the first part of every name.
        secret: the secret's name, without the template's prefix.
        bucket: the name of the bucket of packages; empty for the usual one.
        function_parameters: of function.yaml.
        secret_parameters: of secret.yaml.
    """

    project: str = PROJECT
    secret: str = SECRET
    bucket: str = ""
    function_parameters: Mapping[str, str] = field(default_factory=dict)
    secret_parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def bucket_stack(self) -> str:
        """The name of the stack with the bucket of packages."""
        return f"{self.project}-bucket"

    def bucket_in(self, region: str) -> str:
        """The name that the bucket of packages is given in a Region, as bucket.yaml does it."""
        return self.bucket or f"{self.project}-lambda-archive-{region}"

    @property
    def function_stack(self) -> str:
        """The name of the stack with the function."""
        return f"{self.project}-function"

    @property
    def secret_stack(self) -> str:
        """The name of the stack with the secret: one of its own for each."""
        return f"{self.project}-secret" + (
            "" if self.secret == SECRET else f"-{re.sub(r'[^A-Za-z0-9]', '-', self.secret)}"
        )


def deploy(wanted: Deployment, steps: Sequence[str], token: str = "") -> None:
    """Do these steps, in their order, and show what came of them.

    Args:
        token: the secret's first token; empty for a placeholder, or to leave the secret as it is.

    Raises:
        Problem: a step failed; those before it are done.
    """
    aws = connect()
    if "secret" in steps:
        require_credentials(aws, wanted)
    if "bucket" in steps:
        deploy_bucket(aws, wanted)
    if "package" in steps:
        deploy_package(aws, wanted)
    if "function" in steps:
        deploy_function(aws, wanted)
    if "secret" in steps:
        deploy_secret(aws, wanted, token)


def deploy_bucket(aws: Aws, wanted: Deployment) -> None:
    """Make the bucket of packages, or bring it up to date, unless it is there without a stack from an earlier time."""
    if not find_stack(aws, wanted.bucket_stack) and _bucket_exists(aws, wanted.bucket_in(aws.region)):
        say(f"bucket    {wanted.bucket_in(aws.region)} is there from an earlier deployment, and is used as it is")
        return
    named = {"BucketName": wanted.bucket} if wanted.bucket else {}
    deploy_stack(aws, wanted.bucket_stack, "bucket", {"ProjectName": wanted.project, **named})


def find_bucket(aws: Aws, wanted: Deployment) -> str:
    """Return the name of the bucket of packages.

    Raises:
        Problem: there is none.
    """
    if stack := find_stack(aws, wanted.bucket_stack):
        require_changeable(stack)
        return stack.outputs["BucketName"]
    name = wanted.bucket_in(aws.region)
    if not _bucket_exists(aws, name):
        raise Problem(f"There is no bucket {name}: run `make deploy-bucket` first.")
    return name


def _bucket_exists(aws: Aws, name: str) -> bool:
    """Whether this account has this bucket.

    The names of buckets are the whole world's, so somebody may have made it to have us run their code.

    Raises:
        Problem: another account has it.
    """
    try:
        aws.call("s3api", "head-bucket", "--bucket", name, "--expected-bucket-owner", aws.account)
    except Refused as refused:
        if refused.code in ("404", "NoSuchBucket"):
            return False
        if refused.code == "403":
            raise Problem(
                f"The bucket {name} belongs to another account, or you may not see it: choose another name, "
                f"`make deploy BUCKET={name}-<something of yours>`."
            ) from None
        raise
    return True


def deploy_package(aws: Aws, wanted: Deployment) -> None:
    """Upload the package under a name that says what is in it, unless it is there."""
    bucket = find_bucket(aws, wanted)
    key = package_key(wanted.project)
    if _package_exists(aws, bucket, key):
        say(f"package   s3://{bucket}/{key} is there already")
        return
    aws.call("s3api", "put-object", "--bucket", bucket, "--key", key, "--body", str(ARCHIVE))
    say(f"package   s3://{bucket}/{key} is uploaded")


def package_key(project: str) -> str:
    """Return the name of the package in its bucket.

    Raises:
        Problem: it has not been built.
    """
    if not ARCHIVE.exists():
        raise Problem(f"{ARCHIVE.relative_to(ROOT)} is missing: run `make package` first.")
    return f"{project}/{hashlib.sha256(ARCHIVE.read_bytes()).hexdigest()}.zip"


def _package_exists(aws: Aws, bucket: str, key: str) -> bool:
    try:
        aws.call("s3api", "head-object", "--bucket", bucket, "--key", key)
    except Refused as refused:
        if refused.code in ("404", "NoSuchKey"):
            return False
        raise
    return True


def deploy_function(aws: Aws, wanted: Deployment) -> None:
    """Make the function, its role and its alarms, or bring them up to date."""
    bucket = find_bucket(aws, wanted)
    key = package_key(wanted.project)
    if not _package_exists(aws, bucket, key):
        raise Problem(f"s3://{bucket}/{key} is missing: run `make deploy-package` first.")
    ours = {"ProjectName": wanted.project, "ArtifactBucket": bucket, "ArtifactKey": key}
    deploy_stack(aws, wanted.function_stack, "function", {**wanted.function_parameters, **ours})


def deploy_secret(aws: Aws, wanted: Deployment, token: str) -> None:
    """Make the secret and its schedule, which starts the first rotation, or bring them up to date."""
    function = require_stack(aws, wanted.function_stack, "function").outputs
    there = find_stack(aws, wanted.secret_stack)
    parameters = {
        # At first only: later the stack keeps what it was given, which may be none.
        **({} if there else {"AlarmTopicArn": function["AlarmTopicArn"]}),
        **wanted.secret_parameters,
        "ProjectName": wanted.project,
        "SecretName": wanted.secret,
        "RotationFunctionArn": function["FunctionArn"],
        "RotationRoleArn": function["RoleArn"],
        **({"Token": token} if token else {}),
    }
    if there:
        require_changeable(there)  # first, since one that was rolled back holds no token
        _require_live_token_stays(there, parameters)
    stack = deploy_stack(aws, wanted.secret_stack, "secret", parameters, hide=token)
    if not there and stack.parameters.get("RotateImmediately") == "true":
        say("The first rotation is under way: `make rotate`, with the same variables, follows it.")


def _require_live_token_stays(stack: Stack, parameters: Mapping[str, str]) -> None:
    """Refuse an update that would replace the secret, or store something else in place of the token it holds.

    Raises:
        Problem: naming what must not change.
    """
    changed = [key for key in FIXED if key in parameters and parameters[key] != stack.parameters.get(key)]
    if "Token" in parameters:
        changed.append("Token")
    if changed:
        raise Problem(
            f"Stack {stack.name} has a secret already, and a change of {' and '.join(changed)} would lose the token it "
            "holds: leave that as it is (`make rotate` makes a new token), or name another secret with SECRET=..."
        )


def require_credentials(aws: Aws, wanted: Deployment) -> None:
    """Look whether every parameter that the function will read is in Parameter Store.

    Raises:
        Problem: naming those that are missing.
    """
    settings = function_settings(aws, wanted)
    names = [settings[key] for key in PARAMETER_NAMES if settings.get(key)]
    missing = aws.call("ssm", "get-parameters", "--names", *names).get("InvalidParameters", [])
    if missing:
        raise Problem(
            f"Parameter Store in {aws.region} has no {' and no '.join(missing)}: run `make credentials` first."
        )


def function_settings(aws: Aws, wanted: Deployment) -> dict[str, str]:
    """Return the parameters of the function's stack: those given, else those it has, else what its template says."""
    stack = find_stack(aws, wanted.function_stack)
    defaults = declared_parameters(aws, "function")
    return {**defaults, **(stack.parameters if stack else {}), **wanted.function_parameters}


# --- credentials ---


def credentials(wanted: Deployment) -> None:
    """Ask for the account's credential and store it in Parameter Store, encrypted.

    Raises:
        Problem: what was entered cannot be right, or could not be stored.
    """
    aws = connect()
    settings = function_settings(aws, wanted)
    entered = read_credentials()
    key = ("--key-id", settings["ParametersKeyArn"]) if settings["ParametersKeyArn"] else ()
    for setting, value in entered.items():
        name = settings.get(setting) or PARAMETER_NAMES[setting]
        try:
            aws.call(
                *("ssm", "put-parameter", "--name", name, "--type", "SecureString", "--overwrite", *key),
                *("--value", "file:///dev/stdin"),
                stdin=value,
                hide=value,
            )
        except Refused as refused:
            raise Problem(f"{name} is not stored: {refused}") from None
        say(f"stored    {name}")
    unread = [f"{setting}={PARAMETER_NAMES[setting]}" for setting in entered if not settings.get(setting)]
    if unread:
        say(f'The function does not read all of them yet. Now: make deploy FUNCTION_PARAMETERS="{" ".join(unread)}"')


def read_credentials() -> dict[str, str]:
    """Ask for the credential without echo, or read it from standard input, a line each; return it by setting.

    Raises:
        Problem: what was entered cannot be right. The text does not quote it.
    """
    prompts = {
        USERNAME: "Docker Hub user name: ",
        PASSWORD: "Docker Hub password: ",
        TOTP: "TOTP seed (the setup key of two-factor login; empty if the account has none): ",
        WEBHOOK: "Slack incoming-webhook URL (empty for none): ",
    }
    if sys.stdin.isatty():
        lines = [getpass.getpass(prompt) for prompt in prompts.values()]
    else:
        lines = sys.stdin.read().removesuffix("\n").split("\n")
        if len(lines) > len(prompts):
            raise Problem("Standard input has too many lines: user name, password, TOTP seed, webhook, in this order.")
    entered = dict(zip(prompts, (line.strip("\r") for line in lines), strict=False))
    entered[USERNAME] = entered[USERNAME].strip()  # with a space it would be another account's
    _check_account(entered[USERNAME], entered.get(PASSWORD, ""))
    if entered.get(TOTP):
        _check_seed(entered[TOTP])
    _check_webhook(entered.get(WEBHOOK, ""))
    return {setting: value for setting, value in entered.items() if value}


def _check_account(username: str, password: str) -> None:
    if not username or not password:
        raise Problem("User name and password are both needed: run it again with both.")
    if "@" in username:
        raise Problem("That is an e-mail address: enter the account's user name (its Docker ID).")
    if password.startswith(("dckr_pat_", "dckr_oat_")):
        raise Problem(
            "That is an access token, with which Docker Hub lets nobody make or disable tokens: enter the password."
        )


def _check_seed(text: str) -> None:
    seed = text.replace(" ", "").replace("-", "").upper().rstrip("=")
    try:
        code = len(base64.b32decode(seed + "=" * (-len(seed) % 8))) < 10
    except binascii.Error:
        code = True
    if code:
        raise Problem(
            "That is no TOTP seed in base32: enter the setup key that Docker Hub shows beside the QR code, not a code."
        )


def _check_webhook(text: str) -> None:
    if text and not text.startswith("https://"):
        raise Problem("A Slack webhook begins with https://: copy it from the app's page Incoming Webhooks.")
    # GovSlack has the other one. On hosts that are not Slack's own something may listen that takes Slack's messages.
    if re.match(r"https://hooks\.slack(-gov)?\.com/(?!services/)", text, re.IGNORECASE):
        raise Problem(
            "That is the URL of a Slack workflow or another trigger, which takes no message of this function: enter an "
            "incoming webhook's, https://hooks.slack.com/services/..., from the app's page Incoming Webhooks."
        )


# --- rotate ---


@dataclass(frozen=True)
class Line:
    """One line of the function's log."""

    level: str
    step: str
    message: str


def rotate(wanted: Deployment, seconds: float) -> None:
    """Start a rotation, or join the one that is under way, and follow it to its end.

    Args:
        seconds: how long to follow it.

    Raises:
        Problem: it failed, or has not ended in time.
    """
    aws = connect()
    stack = find_stack(aws, wanted.secret_stack)
    secret = stack.outputs.get("SecretArn", wanted.secret) if stack else wanted.secret
    since = time.time() - 60  # this machine's clock may be fast
    version, group, joined = _start_rotation(aws, secret)
    labels: Mapping[str, Sequence[str]] = {}
    shown: set[str] = set()
    done: set[str] = set()
    past = _tell_past(aws, group, version, shown) if joined else ""
    ends_at, promoted_at = time.monotonic() + seconds, None
    while True:
        before, labels = labels, _labels(aws, secret)
        _show_labels(before, labels)
        for line in _new_lines(aws, group, version, since, shown):
            say(f"          {line.level:<8} {line.step:<13} {line.message}")
            if line.level == "ERROR":
                # The labels may have moved since they were read.
                raise _failure(secret, version, line, promoted="AWSCURRENT" in _labels(aws, secret).get(version, ()))
            done.add(line.step)
        ours = labels.get(version, ())
        now = time.monotonic()
        if "AWSCURRENT" in ours:
            promoted_at = promoted_at or now
            if "finishSecret" in done or now - promoted_at > LOG_SECONDS:
                say(f"rotated   {secret}: version {version} is current")
                return
        elif "AWSPENDING" not in ours:
            raise Problem(
                f"Secrets Manager has given version {version} up: meanwhile, somebody stored another value or removed "
                "its staging label. Run `make rotate` again."
            )
        if now > ends_at:
            raise Problem(
                f"The rotation has not ended in {seconds:g} seconds.{past} Look at the log group {group}; if it is "
                "empty, Secrets Manager may not invoke the function. `make rotate` follows it further, and this drops "
                "it:\n"
                f"  {_drop(secret, version)}"
            )
        time.sleep(PAUSE_SECONDS)


def _start_rotation(aws: Aws, secret: str) -> tuple[str, str, bool]:
    """Return the version that is being made, the function's log group, and whether the rotation is an earlier one."""
    try:
        described = aws.call("secretsmanager", "describe-secret", "--secret-id", secret)
    except Refused as refused:
        if refused.code == "ResourceNotFoundException":
            raise Problem(
                f"There is no secret {secret} in {aws.region}: run `make deploy`, or name it: SECRET=..."
            ) from None
        raise
    if not described.get("RotationEnabled"):
        raise Problem(
            f"Rotation is not configured for {secret}: run `make deploy`, or attach the function (see README)."
        )
    if "RotationLambdaARN" not in described:
        raise Problem(f"{secret} is rotated by AWS itself, not by this function: name another secret, SECRET=...")
    group = f"/aws/lambda/{described['RotationLambdaARN'].partition(':function:')[2].partition(':')[0]}"
    try:
        version = str(aws.call("secretsmanager", "rotate-secret", "--secret-id", secret)["VersionId"])
    except Refused as refused:
        if "previous rotation isn't complete" not in refused.reason:
            raise
        # Looked up now: it may have begun after the look above.
        pending = [key for key, labels in _labels(aws, secret).items() if "AWSPENDING" in labels]
        if not pending:
            raise
        say(f"rotation  {secret}: an earlier one has not ended; following that, version {pending[0]}")
        return pending[0], group, True
    say(f"rotation  {secret}: version {version}")
    return version, group, False


def _tell_past(aws: Aws, group: str, version: str, shown: set[str]) -> str:
    """Tell why the last attempt at a version failed, if one did, and return what to say should no other succeed."""
    lines = _new_lines(aws, group, version, time.time() - EARLIER_SECONDS, shown)
    failed = [f"An earlier attempt failed in {it.step}: {it.message}" for it in lines if it.level == "ERROR"][-1:]
    for last in failed:
        say(f"          {last}")
    return "\n".join(["", *failed, "The next attempt may wait for the next rotation window."])


def _labels(aws: Aws, secret: str) -> dict[str, list[str]]:
    """Return the staging labels by version id."""
    described = aws.call("secretsmanager", "describe-secret", "--secret-id", secret)
    return {version: sorted(labels) for version, labels in described["VersionIdsToStages"].items()}


def _show_labels(before: Mapping[str, Sequence[str]], after: Mapping[str, Sequence[str]]) -> None:
    for version, labels in sorted(after.items()):
        if labels != before.get(version):
            say(f"          version  {version} {' '.join(labels)}")


def _new_lines(aws: Aws, group: str, version: str, since: float, shown: set[str]) -> list[Line]:
    """Return the lines about a version that are not in `shown` yet, oldest first, and add them to it."""
    started = str(int(since * 1000))
    try:
        events = aws.call("logs", "filter-log-events", "--log-group-name", group, "--start-time", started)["events"]
    except Refused as refused:
        if refused.code == "ResourceNotFoundException":
            return []  # the group is made by the function's first line, if not by its stack
        raise
    lines = []
    for event in sorted(events, key=lambda it: int(it["timestamp"])):
        try:
            entry = json.loads(event["message"])
        except ValueError:
            continue  # of the Lambda service
        if isinstance(entry, dict) and entry.get("correlation_id") == version and event["message"] not in shown:
            shown.add(event["message"])
            lines.append(Line(entry.get("level", ""), entry.get("step", ""), entry.get("message", "")))
    return lines


def _failure(secret: str, version: str, line: Line, *, promoted: bool) -> Problem:
    if promoted:
        return Problem(
            f"{line.step} failed after the promotion: the new token is current and works, an old one is still active. "
            "Mend what the message names; Secrets Manager tries again by itself, and `make rotate` follows that."
        )
    return Problem(
        f"The rotation failed in {line.step}; AWSCURRENT is what it was. Mend what the message names; Secrets Manager "
        "tries again by itself while the rotation window is open, and `make rotate` follows that. This drops it:\n"
        f"  {_drop(secret, version)}"
    )


def _drop(secret: str, version: str) -> str:
    return (
        f"aws secretsmanager update-secret-version-stage --secret-id {shlex.quote(secret)} "
        f"--version-stage AWSPENDING --remove-from-version-id {version}"
    )


# --- destroy ---


def destroy(wanted: Deployment, *, sure: bool) -> None:
    """Delete every stack of the project, and say what stays and why.

    Args:
        sure: whether to do it without asking.

    Raises:
        Problem: nobody confirmed it, or something could not be deleted.
    """
    aws = connect()
    stacks = project_stacks(aws, wanted)
    outputs = {name: value for stack in stacks for name, value in stack.outputs.items()}
    bucket = outputs.get("BucketName", wanted.bucket_in(aws.region))
    settings = function_settings(aws, wanted)
    if stacks:
        for stack in stacks:
            require_deletable(stack)
        confirm(stacks, sure=sure)
        secrets = [stack.outputs["SecretArn"] for stack in stacks if "SecretArn" in stack.outputs]
        tokens = [_token_of(secret, _labels_if_there(aws, secret)) for secret in secrets]
        for stack in stacks:
            delete_stack(aws, stack)
        for token in filter(None, tokens):
            say(f"stays     at Docker Hub {token}")
        if any(stack.name == wanted.function_stack for stack in stacks):
            say(
                "stays     the rotation of secrets that you attached yourself, which fails from now on: cancel it with "
                "`aws secretsmanager cancel-rotate-secret --secret-id <name>`"
            )
    else:
        say(f"There is no stack of project {wanted.project}.")
    if _bucket_exists(aws, bucket):
        say(f"stays     the bucket {bucket}: an older package is the way back to an older function")
    names = [settings[key] or name for key, name in PARAMETER_NAMES.items()]
    for stored in aws.call("ssm", "get-parameters", "--names", *names)["Parameters"]:
        say(f"stays     the parameter {stored['Name']}: no stack made it, and other projects may read it")


def project_stacks(aws: Aws, wanted: Deployment) -> list[Stack]:
    """Return the project's stacks in the order in which they can be deleted."""
    secrets = f"{wanted.project}-secret"
    mine = {stack.name: stack for stack in find_stacks(aws) if _belongs(stack, wanted)}
    names = [name for name in sorted(mine) if name == secrets or name.startswith(f"{secrets}-")]
    return [mine[name] for name in [*names, wanted.function_stack, wanted.bucket_stack] if name in mine]


def _belongs(stack: Stack, wanted: Deployment) -> bool:
    if stack.status == "REVIEW_IN_PROGRESS":
        # A deployment that was interrupted left it. It has no parameters yet, so the whole name must do.
        return stack.name in (wanted.secret_stack, wanted.function_stack, wanted.bucket_stack)
    return stack.parameters.get("ProjectName") == wanted.project


def require_deletable(stack: Stack) -> None:
    """Refuse a stack in which something else is going on than its deletion.

    Raises:
        Problem: saying what to do.
    """
    if stack.status.endswith("_IN_PROGRESS") and stack.status not in ("DELETE_IN_PROGRESS", "REVIEW_IN_PROGRESS"):
        require_changeable(stack)


def confirm(stacks: Sequence[Stack], *, sure: bool) -> None:
    """Say what will be deleted, and ask whether that is meant.

    Raises:
        Problem: it is not, or nobody is there to ask.
    """
    say("These stacks will be deleted:")
    for stack in stacks:
        # CloudFormation leaves no recovery window:
        # https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/1999
        secret = stack.outputs.get("SecretArn")
        say(f"  {stack.name}{f', and with it {secret}, at once and for good' if secret else ''}")
    if sure:
        return
    if not sys.stdin.isatty():
        raise Problem("Nothing is deleted: nobody is there to confirm it. Run `make destroy YES=1` if it is meant.")
    if input("Delete them? [y/N] ").strip().lower() not in ("y", "yes"):
        raise Problem("Nothing is deleted.")


def _labels_if_there(aws: Aws, secret: str) -> dict[str, list[str]]:
    try:
        return _labels(aws, secret)
    except Refused as refused:
        if refused.code == "ResourceNotFoundException":
            return {}  # deleted behind the stack's back
        raise


def _token_of(secret: str, labels: Mapping[str, Sequence[str]]) -> str:
    """Say which token of a secret stays at Docker Hub; nothing if it has no version."""
    current = [version for version, held in labels.items() if "AWSCURRENT" in held]
    if not current:
        return ""
    if not any("AWSPREVIOUS" in held for held in labels.values()):  # never rotated
        return f"the token that you gave {secret}, if you gave it one: active until you disable it"
    return (
        f"the token of {secret}: active until you disable it. If the function made it, its label ends in {current[0]}"
    )


# --- The command line ---


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        run(options)
    except Problem as problem:
        print(f"{options.command}: {problem}", file=sys.stderr)  # noqa: T201
        return 1
    except (KeyboardInterrupt, EOFError):
        print(f"\n{options.command}: stopped here; what AWS has begun goes on there.", file=sys.stderr)  # noqa: T201
        return 130
    return 0


def run(options: argparse.Namespace) -> None:
    """Do what the command line says.

    Raises:
        Problem: it could not be done.
    """
    wanted = Deployment(
        project=options.project,
        secret=options.secret,
        bucket=options.bucket,
        function_parameters=_assignments(options.function_parameters),
        secret_parameters=_assignments(options.secret_parameters),
    )
    match options.command:
        case "deploy":
            token = _ask_token() if options.ask_token else ""
            deploy(wanted, [options.only] if options.only else STEPS, token)
        case "destroy":
            destroy(wanted, sure=options.yes)
        case "credentials":
            credentials(wanted)
        case "rotate":
            rotate(wanted, options.seconds)


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--project", default=PROJECT, help="first part of every name (%(default)s)")
    common.add_argument("--secret", default=SECRET, help="the secret's name (%(default)s)")
    common.add_argument("--bucket", default="", help="name of the bucket of packages, if the usual one is taken")
    common.add_argument("--function-parameters", default="", help='"Key=Value Key=Value" for infra/function.yaml')
    common.add_argument("--secret-parameters", default="", help='"Key=Value Key=Value" for infra/secret.yaml')
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("deploy", parents=[common], help="make everything, or bring it up to date")
    making.add_argument("--only", choices=STEPS, help="this step alone")
    making.add_argument("--ask-token", action="store_true", help="ask for the secret's first token, without echo")
    removing = commands.add_parser("destroy", parents=[common], help="remove everything, say what stays")
    removing.add_argument("--yes", action="store_true", help="do not ask")
    commands.add_parser("credentials", parents=[common], help="store the account's credential in Parameter Store")
    turning = commands.add_parser("rotate", parents=[common], help="start a rotation and follow it to its end")
    turning.add_argument("--seconds", type=float, default=ROTATION_SECONDS, help="how long to follow it (%(default)s)")
    return parser


def _assignments(text: str) -> dict[str, str]:
    """Take `Key=Value Key='a value'` apart.

    Raises:
        Problem: it is not of that form, holds a secret, or sets what the commands set themselves.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise Problem(f"A quotation mark is missing in {text}: {error}.") from None
    assignments = dict(word.partition("=")[::2] for word in words)
    if wrong := [word for word in words if "=" not in word]:
        raise Problem(f"Parameters are given as Key=Value, which {' '.join(wrong)} is not.")
    if "Token" in assignments:
        raise Problem("A token on a command line is there for all to read: say TOKEN=ask and enter it then.")
    if ours := [f"{key} is set by {SET_BY[key]}" for key in assignments if key in SET_BY]:
        raise Problem(f"{', '.join(ours)}: leave it out of the parameters.")
    return assignments


def _ask_token() -> str:
    token = getpass.getpass("Token: ") if sys.stdin.isatty() else sys.stdin.readline().strip()
    if not token:
        raise Problem("No token was entered: leave TOKEN=ask out, and the first rotation makes one.")
    return token


if __name__ == "__main__":
    sys.exit(main())
