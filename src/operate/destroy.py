"""`destroy`: every stack of the project deleted, and what stays, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from operate.bucket import find_bucket
from operate.confirm import require_yes
from operate.names import Deployment
from operate.secret import Secret
from operate.session import Aws, Refused
from operate.settings import function_settings, parameter_names
from operate.show import Problem, Show
from operate.stack import Stack, require_changeable
from operate.stacks import Stacks
from operate.typed import aws_command, command


def destroy(aws: Aws, show: Show, wanted: Deployment, *, sure: bool) -> dict[str, object]:
    """Delete every stack of the project, and say what stays and why.

    Args:
        sure: whether to do it without asking.

    Returns:
        the stacks that are deleted, and what stays.

    Raises:
        Problem: nobody confirmed it, or something could not be deleted.
    """
    known = Stacks(aws, show)
    stacks = project_stacks(known.all(), wanted)
    outputs = {name: value for stack in stacks for name, value in stack.outputs.items()}
    bucket = outputs.get("BucketName") or _bucket_left(aws, wanted)
    parameters = parameter_names(function_settings(known, wanted), wanted.project)
    stays: list[str] = []
    if stacks:
        for stack in stacks:
            _require_deletable(stack)
        _confirm(show, stacks, sure=sure)
        secrets = [stack.outputs["SecretArn"] for stack in stacks if "SecretArn" in stack.outputs]
        stays += filter(None, [_token_of(secret, _labels_if_there(aws, secret)) for secret in secrets])
        stays += [_key_of(stack) for stack in stacks if "KeyArn" in stack.outputs and known.keeps_keys(stack)]
        if any(stack.name == wanted.function_stack for stack in stacks):
            cancel = aws_command("secretsmanager cancel-rotate-secret --secret-id <name>")
            stays.append(f"{_ATTACHED}: cancel it with `{cancel}`")
        for stack in stacks:
            known.delete(stack)
    else:
        show.line(f"There is no stack of project {wanted.project}.")
    for it in stays:
        show.step("stays", it)
    for it in _left(aws, bucket, list(parameters.values())):
        show.step("stays", it)
        stays.append(it)
    return {"deleted": [stack.name for stack in stacks], "stays": stays}


_ATTACHED = "the rotation of secrets that you attached yourself, which fails from now on"


def _bucket_left(aws: Aws, wanted: Deployment) -> str:
    """Return the name that the bucket has without a stack."""
    try:
        return find_bucket(aws, wanted) or wanted.bucket_of(aws.account, aws.region)
    except Refused:
        raise
    except Problem:
        return wanted.bucket_of(aws.account, aws.region)  # another account's, or in another Region


def _left(aws: Aws, bucket: str, parameters: Sequence[str]) -> Iterator[str]:
    """Yield what is there of what no stack deletes."""
    try:
        aws.ask("s3", "head_bucket", Bucket=bucket, ExpectedBucketOwner=aws.account)
        yield f"the bucket {bucket}: an older package is the way back to an older function"
    except Refused as refused:
        if refused.code not in ("403", "404", "NoSuchBucket"):  # another account's is none of ours
            raise
    for stored in aws.ask("ssm", "get_parameters", Names=list(parameters))["Parameters"]:
        yield f"the parameter {stored['Name']}: no stack made it, and other projects may read it"


def project_stacks(stacks: Sequence[Stack], wanted: Deployment) -> list[Stack]:
    """Return the project's stacks in the order in which they can be deleted."""
    secrets = f"{wanted.project}-secret"
    mine = {stack.name: stack for stack in stacks if _belongs(stack, wanted)}
    names = [name for name in sorted(mine) if name == secrets or name.startswith(f"{secrets}-")]
    return [
        mine[name]
        for name in [*names, wanted.caretaker_stack, wanted.function_stack, wanted.bucket_stack]
        if name in mine
    ]


def _belongs(stack: Stack, wanted: Deployment) -> bool:
    if stack.status == "REVIEW_IN_PROGRESS":
        # A deployment that was interrupted left it. It has no parameters yet, so the whole name must do.
        secrets = (*wanted.secret_stacks, *wanted.earlier_secret_stacks)
        return stack.name in (*secrets, wanted.caretaker_stack, wanted.function_stack, wanted.bucket_stack)
    return stack.parameters.get("ProjectName") == wanted.project


def _require_deletable(stack: Stack) -> None:
    """Refuse a stack in which something else is going on than its deletion, or that AWS was told to keep.

    Raises:
        Problem: saying what to do.
    """
    if stack.protected:
        lift = f"update-termination-protection --stack-name {stack.name} --no-enable-termination-protection"
        raise Problem(
            f"Nothing is deleted: somebody has protected stack {stack.name} from that. Lift it first, if it is meant:\n"
            f"  {aws_command(f'cloudformation {lift}')}"
        )
    if stack.status.endswith("_IN_PROGRESS") and stack.status not in ("DELETE_IN_PROGRESS", "REVIEW_IN_PROGRESS"):
        require_changeable(stack)


def _confirm(show: Show, stacks: Sequence[Stack], *, sure: bool) -> None:
    """Say what will be deleted, and ask whether that is meant.

    Raises:
        Problem: it is not, or nobody is there to ask.
    """
    show.line("These stacks will be deleted:")
    for stack in stacks:
        # CloudFormation leaves no recovery window:
        # https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/1999
        secret = stack.outputs.get("SecretArn")
        show.line(f"  {stack.name}{f', and with it {secret}, at once and for good' if secret else ''}")
    require_yes(show, "Delete them?", "Nothing is deleted", sure=sure, confirmed=command("destroy", yes="1"))


def _labels_if_there(aws: Aws, secret: str) -> dict[str, list[str]]:
    try:
        return Secret(aws.ask("secretsmanager", "describe_secret", SecretId=secret)).labels
    except Refused as refused:
        if refused.code == "ResourceNotFoundException":
            return {}  # deleted behind the stack's back
        raise


def _key_of(stack: Stack) -> str:
    key, days = stack.outputs["KeyArn"], stack.parameters.get("KeyDeletionDays", "30")
    schedule = aws_command(f"kms schedule-key-deletion --key-id {key} --pending-window-in-days {days}")
    return f"the key {key}: copies of what it encrypted can't be read without it. If nobody needs it: `{schedule}`"


def _token_of(secret: str, labels: Mapping[str, Sequence[str]]) -> str:
    """Say which token of a secret stays at Docker Hub; nothing if it has no version."""
    current = [version for version, held in labels.items() if "AWSCURRENT" in held]
    if not current:
        return ""
    if not any("AWSPREVIOUS" in held for held in labels.values()):  # never rotated
        return f"at Docker Hub the token that you gave {secret}, if you gave it one: active until you disable it"
    return (
        f"at Docker Hub the token of {secret}: active until you disable it. If the function made it, its label ends in "
        f"{current[0]}"
    )
