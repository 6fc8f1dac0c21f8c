"""`deploy`: bucket, package, function, caretaker and secret, made or brought up to date."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from operate.bucket import find_bucket
from operate.caretaker_stack import caretaker_parameters, require_same_package
from operate.names import Deployment, check_new_secret, check_parameter, check_service_role
from operate.package import Package
from operate.rotation_windows import require_window_that_fits
from operate.rotations import follow_first
from operate.secret import Secret
from operate.secret_stacks import (
    find_secret_stack,
    new_secret_stack,
    require_free_secret,
    require_live_token_stays,
)
from operate.session import Aws, Refused
from operate.settings import SECRETS, TOTP, function_settings, new_function, read_parameters, require_served
from operate.show import Problem, Show
from operate.stack import Stack, never_was, require_changeable
from operate.stacks import Stacks, Ways
from operate.typed import aws_command, command

STEPS = ("bucket", "package", "function", "caretaker", "secret")


@dataclass(frozen=True)
class Options:
    """What is asked for beside the deployment itself.

    Attributes:
        token: the secret's first token; empty for a placeholder, or to leave the secret as it is.
        wait: whether to follow the first rotation of a secret that is made to its end.
        ways: how the stacks are made.
        release: the package of a release, in place of the one that was built.
    """

    token: str = ""
    wait: bool = True
    release: Path | None = None
    ways: Ways = field(default_factory=Ways)


@dataclass(frozen=True)
class _Site:
    """Where it is deployed, and what."""

    aws: Aws
    show: Show
    stacks: Stacks
    wanted: Deployment
    options: Options

    @cached_property
    def package(self) -> Package:
        """The package, read once."""
        return Package(self.options.release)


def deploy(aws: Aws, show: Show, wanted: Deployment, steps: Sequence[str], options: Options) -> dict[str, object]:
    """Do these steps, in their order, and show what came of them.

    Returns:
        what came of each step, by its name.

    Raises:
        Problem: a step failed; those before it are done. Or the first rotation failed.
    """
    site = _Site(aws, show, Stacks(aws, show), wanted, options)
    if "function" in steps and "caretaker" not in steps and site.stacks.find(wanted.caretaker_stack):
        steps = [*steps, "caretaker"]  # they run the same package, with the same settings
    _look_ahead(site, steps)
    do: Mapping[str, Callable[[], dict[str, object]]] = {
        "bucket": lambda: _deploy_bucket(site),
        "package": lambda: _deploy_package(site),
        "function": lambda: _deploy_function(site),
        "caretaker": lambda: _deploy_caretaker(site),
        "secret": lambda: _deploy_secret(site),
    }
    return {step: do[step]() for step in STEPS if step in steps}


def _look_ahead(site: _Site, steps: Sequence[str]) -> None:
    """Look at everything that can be known to be wrong before anything is made.

    Raises:
        Problem: saying what it is.
    """
    wanted, stacks = site.wanted, site.stacks
    if site.options.release and site.package.origin:
        site.show.step("release", site.package.origin)
    check_service_role(site.options.ways.service_role)
    if "secret" in steps:
        check_new_secret(wanted)
        stacks.require_declared("secret", wanted.secret_parameters)
    if "function" in steps:
        stacks.require_declared("function", wanted.function_parameters)
        _require_free_function(site, wanted.project, wanted.function_stack)
    if "caretaker" in steps:
        _require_free_function(site, wanted.caretaker, wanted.caretaker_stack)
    if "secret" in steps:
        settings = function_settings(stacks, wanted)
        require_served(wanted.secret_name, settings[SECRETS])
        _require_credentials(site, settings)
        stack = find_secret_stack(stacks, wanted)
        is_new = not stack or never_was(site.aws, stack)
        _require_window(site, None if is_new else stack, two_factor=bool(settings[TOTP]))
        if is_new:
            require_free_secret(site.aws, wanted)


def _require_free_function(site: _Site, name: str, made_by: str) -> None:
    """Look whether a function and its log group can be made, unless its stack has made them."""
    stack = site.stacks.find_ours(made_by, site.wanted.project)
    if stack and not never_was(site.aws, stack):
        return
    try:
        site.aws.ask("lambda", "get_function_configuration", FunctionName=name)
    except Refused as refused:
        if refused.code != "ResourceNotFoundException":
            raise
    else:
        raise Problem(f"There is a function {name} already, which no stack {made_by} has made: choose another PROJECT.")
    if _has_log_group(site.aws, group := f"/aws/lambda/{name}"):
        delete = aws_command(f"logs delete-log-group --log-group-name {group}")
        raise Problem(
            f"There is a log group {group} already, which no stack {made_by} has made. If nobody needs it, delete it, "
            f"then run this again (else choose another PROJECT):\n  {delete}"
        )


def _has_log_group(aws: Aws, name: str) -> bool:
    try:
        groups = aws.ask("logs", "describe_log_groups", logGroupNamePrefix=name)["logGroups"]  # its own is the first
    except Refused as refused:
        if refused.code != "AccessDeniedException":
            raise
        return False  # CloudFormation makes it in the end, and says whether it can
    return any(it["logGroupName"] == name for it in groups)


def _require_credentials(site: _Site, settings: Mapping[str, str]) -> None:
    """Look whether every parameter that the function will read is in Parameter Store."""
    names = read_parameters(settings, site.wanted.project)
    for setting, name in names.items():
        check_parameter(setting, name, site.aws.region, site.aws.account)
    missing = site.aws.ask("ssm", "get_parameters", Names=list(names.values())).get("InvalidParameters", [])
    if missing:
        raise Problem(
            f"Parameter Store in {site.aws.region} has no {' and no '.join(missing)}: run `{command('credentials')}` "
            "first."
        )


def _require_window(site: _Site, there: Stack | None, *, two_factor: bool) -> None:
    """Look whether the rotation window of a secret fits its schedule, if either is new."""
    given = site.wanted.secret_parameters
    if there and not {"RotationSchedule", "RotationWindow"} & set(given):
        return
    usual = {"RotationWindow": "1h"} if two_factor and not there else {}  # as the function's template puts it out
    declared = site.stacks.declared_parameters("secret")
    require_window_that_fits({**declared, **usual, **(there.parameters if there else {}), **given})


def _deploy_bucket(site: _Site) -> dict[str, object]:
    """Make the bucket of packages, or bring it up to date, unless it is there without a stack from an earlier time."""
    wanted = site.wanted
    stack = site.stacks.clear(site.stacks.find_ours(wanted.bucket_stack, wanted.project))
    if not stack and (name := find_bucket(site.aws, wanted)):
        site.show.step("bucket", f"{name} is there from an earlier deployment, and is used as it is")
        return {"bucket": name, "change": "up to date"}
    named = {"BucketName": wanted.bucket} if wanted.bucket else {}
    return _deploy_stack(site, wanted.bucket_stack, "bucket", {"ProjectName": wanted.project, **named})


def _deploy_stack(site: _Site, name: str, template: str, parameters: Mapping[str, str]) -> dict[str, object]:
    done = site.stacks.deploy(name, template, parameters, site.options.ways)
    return {"stack": done.stack.name, "change": done.change, "outputs": dict(done.stack.outputs)}


def _require_bucket(site: _Site) -> str:
    """Return the name of the bucket of packages."""
    if stack := site.stacks.clear(site.stacks.find_ours(site.wanted.bucket_stack, site.wanted.project)):
        require_changeable(stack)
        return stack.outputs["BucketName"]
    if name := find_bucket(site.aws, site.wanted):
        return name
    name = site.wanted.bucket_of(site.aws.account, site.aws.region)
    raise Problem(f"There is no bucket {name}: run `{command('deploy', only='bucket')}` first.")


def _deploy_package(site: _Site) -> dict[str, object]:
    """Upload the package under a name that says what is in it, unless it is there."""
    bucket, package, project = _require_bucket(site), site.package, site.wanted.project
    place = f"s3://{bucket}/{package.key(project)}"
    with site.show.waiting(f"{place}: uploading"):
        uploaded = package.upload(site.aws, bucket, project)
    site.show.step("package", f"{place} is {'uploaded' if uploaded.new else 'there already'}")
    return {"package": place, "change": "uploaded" if uploaded.new else "up to date"}


def _deploy_function(site: _Site) -> dict[str, object]:
    """Make the function, its role and its alarms, or bring them up to date, and look at what it runs then."""
    wanted, bucket, package = site.wanted, _require_bucket(site), site.package
    key = package.key(wanted.project)
    uploaded = package.find(site.aws, bucket, wanted.project)
    if not uploaded:
        raise Problem(f"s3://{bucket}/{key} is missing: run `{command('deploy', only='package')}` first.")
    there = site.stacks.clear(site.stacks.find_ours(wanted.function_stack, wanted.project))
    usual = {} if there else new_function(wanted)
    ours = {
        "ProjectName": wanted.project,
        "ArtifactBucket": bucket,
        "ArtifactKey": key,
        "ArtifactVersion": uploaded.version,
    }
    done = _deploy_stack(site, wanted.function_stack, "function", {**usual, **wanted.function_parameters, **ours})
    package.require_running(site.aws, wanted.project, bucket, wanted.project)
    return done


def _deploy_caretaker(site: _Site) -> dict[str, object]:
    """Make the caretaker, or bring it up to date: set as the function is, and with the same package."""
    wanted, package = site.wanted, site.package
    function = site.stacks.require(wanted.function_stack, wanted.project, "function")
    require_same_package(function, package.key(wanted.project))
    site.stacks.find_ours(wanted.caretaker_stack, wanted.project)
    done = _deploy_stack(site, wanted.caretaker_stack, "caretaker", caretaker_parameters(site.stacks, function))
    package.require_running(site.aws, wanted.caretaker, function.parameters["ArtifactBucket"], wanted.project)
    return done


def _deploy_secret(site: _Site) -> dict[str, object]:
    """Make the secret and its schedule, which starts the first rotation, or bring them up to date."""
    wanted, show, token = site.wanted, site.show, site.options.token
    function = site.stacks.require(wanted.function_stack, wanted.project, "function").outputs
    there = site.stacks.clear(find_secret_stack(site.stacks, wanted))
    window = {"RotationWindow": function["RotationWindow"]} if not there and "RotationWindow" in function else {}
    parameters = {
        **_alarms(there, function),
        **window,
        **wanted.secret_parameters,
        "ProjectName": wanted.project,
        "SecretName": wanted.secret_after_prefix,
        **({"NamePrefix": wanted.secret_prefix} if wanted.secret_prefix else {}),
        "RotationFunctionArn": function["FunctionArn"],
        "RotationRoleArn": function["RoleArn"],
        **({"Token": token} if token else {}),
    }
    if there:
        require_changeable(there)  # first, since one that was rolled back holds no token
        require_live_token_stays(there, parameters)
    name = there.name if there else new_secret_stack(site.stacks, wanted)
    done = _deploy_stack(site, name, "secret", parameters)
    made = site.stacks.find(name)
    if not (_is_unfinished(site, there) if there else made and made.parameters.get("RotateImmediately") == "true"):
        return done
    if not site.options.wait:
        state = "has not ended, or not begun" if there else "is under way"
        show.line(f"The {'' if there else 'first '}rotation {state}: `{command('rotate')}` follows it.")
        return done
    return done | {"first_rotation": follow_first(site.aws, show, wanted)}


def _is_unfinished(site: _Site, there: Stack) -> bool:
    """Whether a rotation of a secret that was there has not ended, or its first one never begun.

    An earlier run may have said so, but nobody may have heard it. Where rotation is turned off, somebody meant it.
    """
    try:
        secret = Secret(site.aws.ask("secretsmanager", "describe_secret", SecretId=site.wanted.secret_name))
    except Refused as refused:
        if refused.code != "ResourceNotFoundException":
            raise
        name = site.wanted.secret_name
        site.show.line(f"Somebody has deleted {name}: delete its stack {there.name}, then deploy it anew.")
        return False
    if "DeletedDate" in secret.described or not secret.rotates:
        return False
    never = secret.rotated_at is None and not secret.previous
    return bool(secret.pending) or (never and there.parameters.get("RotateImmediately") == "true")


def _alarms(there: Stack | None, function: Mapping[str, str]) -> dict[str, str]:
    """Return where the rule of a secret's stack publishes, and with which role.

    The topic is given at first only: later the stack keeps what it was given, which may be none. The role is given to
    the stacks of an older version, too.
    """
    topic, role = function["AlarmTopicArn"], function.get("AlarmRoleArn")
    given = {} if there else {"AlarmTopicArn": topic}
    is_ours = not there or there.parameters.get("AlarmTopicArn") == topic
    return given | ({"AlarmRoleArn": role} if role and is_ours else {})
