"""`deploy`: bucket, package, function and secret, made or brought up to date."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from operate.names import ECR_PREFIX, Deployment, check_new_secret
from operate.package import Package, bucket_exists
from operate.session import Aws
from operate.settings import PARAMETER_NAMES, function_settings
from operate.show import Problem, Show, command
from operate.stack import Stack, require_changeable
from operate.stacks import Stacks

STEPS = ("bucket", "package", "function", "secret")

# Parameters of secret.yaml. To change the first two makes another secret; to change the others stores a new value in
# place of the live token, as does Token.
_FIXED = ("SecretName", "NamePrefix", "Shape", "Username")


@dataclass(frozen=True)
class _Site:
    """Where it is deployed, and what."""

    aws: Aws
    show: Show
    stacks: Stacks
    wanted: Deployment

    @cached_property
    def package(self) -> Package:
        """The package, read once."""
        return Package()


def deploy(aws: Aws, show: Show, wanted: Deployment, steps: Sequence[str], token: str = "") -> dict[str, object]:
    """Do these steps, in their order, and show what came of them.

    Args:
        token: the secret's first token; empty for a placeholder, or to leave the secret as it is.

    Returns:
        what came of each step, by its name.

    Raises:
        Problem: a step failed; those before it are done.
    """
    site = _Site(aws, show, Stacks(aws, show), wanted)
    _look_ahead(site, steps)
    do: Mapping[str, Callable[[], dict[str, object]]] = {
        "bucket": lambda: _deploy_bucket(site),
        "package": lambda: _deploy_package(site),
        "function": lambda: _deploy_function(site),
        "secret": lambda: _deploy_secret(site, token),
    }
    return {step: do[step]() for step in STEPS if step in steps}


def _look_ahead(site: _Site, steps: Sequence[str]) -> None:
    """Look at everything that can be known to be wrong before anything is made.

    Raises:
        Problem: saying what it is.
    """
    if "function" in steps:
        site.stacks.require_declared("function", site.wanted.function_parameters)
    if "secret" in steps:
        check_new_secret(site.wanted)
        site.stacks.require_declared("secret", site.wanted.secret_parameters)
        _require_credentials(site)


def _require_credentials(site: _Site) -> None:
    """Look whether every parameter that the function will read is in Parameter Store."""
    settings = function_settings(site.stacks, site.wanted)
    names = [settings[key] for key in PARAMETER_NAMES if settings.get(key)]
    missing = site.aws.ask("ssm", "get_parameters", Names=names).get("InvalidParameters", [])
    if missing:
        raise Problem(
            f"Parameter Store in {site.aws.region} has no {' and no '.join(missing)}: run `{command('credentials')}` "
            "first."
        )


def _deploy_bucket(site: _Site) -> dict[str, object]:
    """Make the bucket of packages, or bring it up to date, unless it is there without a stack from an earlier time."""
    wanted, name = site.wanted, site.wanted.bucket_in(site.aws.region)
    if not site.stacks.find_ours(wanted.bucket_stack, wanted.project) and bucket_exists(site.aws, name):
        site.show.step("bucket", f"{name} is there from an earlier deployment, and is used as it is")
        return {"bucket": name, "change": "up to date"}
    named = {"BucketName": wanted.bucket} if wanted.bucket else {}
    return _deploy_stack(site, wanted.bucket_stack, "bucket", {"ProjectName": wanted.project, **named})


def _deploy_stack(site: _Site, name: str, template: str, parameters: Mapping[str, str]) -> dict[str, object]:
    done = site.stacks.deploy(name, template, parameters)
    return {"stack": done.stack.name, "change": done.change, "outputs": dict(done.stack.outputs)}


def _find_bucket(site: _Site) -> str:
    """Return the name of the bucket of packages."""
    if stack := site.stacks.find_ours(site.wanted.bucket_stack, site.wanted.project):
        require_changeable(stack)
        return stack.outputs["BucketName"]
    name = site.wanted.bucket_in(site.aws.region)
    if not bucket_exists(site.aws, name):
        raise Problem(f"There is no bucket {name}: run `{command('deploy', only='bucket')}` first.")
    return name


def _deploy_package(site: _Site) -> dict[str, object]:
    """Upload the package under a name that says what is in it, unless it is there."""
    bucket, package, project = _find_bucket(site), site.package, site.wanted.project
    place = f"s3://{bucket}/{package.key(project)}"
    there = package.is_in(site.aws, bucket, project)
    if not there:
        with site.show.waiting(f"{place}: uploading"):
            package.upload(site.aws, bucket, project)
    site.show.step("package", f"{place} is {'there already' if there else 'uploaded'}")
    return {"package": place, "change": "up to date" if there else "uploaded"}


def _deploy_function(site: _Site) -> dict[str, object]:
    """Make the function, its role and its alarms, or bring them up to date."""
    wanted, bucket, package = site.wanted, _find_bucket(site), site.package
    key = package.key(wanted.project)
    if not package.is_in(site.aws, bucket, wanted.project):
        raise Problem(f"s3://{bucket}/{key} is missing: run `{command('deploy', only='package')}` first.")
    site.stacks.find_ours(wanted.function_stack, wanted.project)
    ours = {"ProjectName": wanted.project, "ArtifactBucket": bucket, "ArtifactKey": key}
    return _deploy_stack(site, wanted.function_stack, "function", {**wanted.function_parameters, **ours})


def _deploy_secret(site: _Site, token: str) -> dict[str, object]:
    """Make the secret and its schedule, which starts the first rotation, or bring them up to date."""
    wanted, show = site.wanted, site.show
    function = site.stacks.require(wanted.function_stack, wanted.project, "function").outputs
    there = find_secret_stack(site.stacks, wanted)
    parameters = {
        # At first only: later the stack keeps what it was given, which may be none.
        **({} if there else {"AlarmTopicArn": function["AlarmTopicArn"]}),
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
        _require_live_token_stays(there, parameters)
    name = there.name if there else _new_secret_stack(site.stacks, wanted)
    done = _deploy_stack(site, name, "secret", parameters)
    made = site.stacks.find(name)
    if not there and made and made.parameters.get("RotateImmediately") == "true":
        show.line(f"The first rotation is under way: `{command('rotate')}`, with the same variables, follows it.")
    return done


def find_secret_stack(stacks: Stacks, wanted: Deployment) -> Stack | None:
    """Return the stack that holds this very secret, under whichever of its names, or None."""
    for name in (*wanted.secret_stacks, *wanted.earlier_secret_stacks):
        if (stack := stacks.find(name)) and _holds(stack, wanted):
            return stack
    return None


def _holds(stack: Stack, wanted: Deployment) -> bool:
    named = stack.parameters
    return (
        named.get("ProjectName") == wanted.project
        and "SecretName" in named
        and named.get("NamePrefix", "") + named["SecretName"] == wanted.secret_name
    )


def _new_secret_stack(stacks: Stacks, wanted: Deployment) -> str:
    """Return a name that is free for the stack of a secret that has none.

    Raises:
        Problem: there is none, or a prefix may have been forgotten.
    """
    prefixed = replace(wanted, secret=ECR_PREFIX + wanted.secret)
    if "NamePrefix" not in wanted.secret_parameters and (there := find_secret_stack(stacks, prefixed)):
        raise Problem(
            f"Stack {there.name} has the secret {prefixed.secret_name}, not {wanted.secret_name}: if that is meant, "
            f"SECRET={prefixed.secret_name}; if not, SECRET_PARAMETERS=\"NamePrefix=''\" makes another secret."
        )
    for name in wanted.secret_stacks:
        if not stacks.find(name):
            return name
    raise Problem(f"{wanted.secret_stacks[-1]} is the stack of something else: choose another name, SECRET=...")


def _require_live_token_stays(stack: Stack, parameters: Mapping[str, str]) -> None:
    """Refuse an update that would replace the secret, or store something else in place of the token it holds.

    Raises:
        Problem: naming what must not change.
    """
    changed = [key for key in _FIXED if key in parameters and parameters[key] != stack.parameters.get(key)]
    if "Token" in parameters:
        changed.append("Token")
    if changed:
        raise Problem(
            f"Stack {stack.name} has a secret already, and a change of {' and '.join(changed)} would lose the token it "
            f"holds: leave that as it is (`{command('rotate')}` makes a new token), or name another secret with "
            "SECRET=..."
        )
