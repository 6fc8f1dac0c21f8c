"""The stack of one secret: found under whichever of its names, or a free one; and what must not change of it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace

from operate.names import ECR_PREFIX, Deployment
from operate.session import Aws, Refused
from operate.show import Problem
from operate.stack import Stack
from operate.stacks import Stacks
from operate.typed import aws_command, command

# Parameters of secret.yaml. To change the first two makes another secret; to change the others stores a new value in
# place of the live token, as does Token.
_FIXED = ("SecretName", "NamePrefix", "Shape", "Username")


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


def new_secret_stack(stacks: Stacks, wanted: Deployment) -> str:
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


def require_free_secret(aws: Aws, wanted: Deployment) -> None:
    """Look whether a secret that no stack holds can be made.

    Raises:
        Problem: its name is taken, or scheduled for deletion.
    """
    name = wanted.secret_name
    try:
        described = aws.ask("secretsmanager", "describe_secret", SecretId=name)
    except Refused as refused:
        if refused.code == "ResourceNotFoundException":
            return
        raise
    if described["Name"] != name:  # part of an ARN finds one, too
        return
    if "DeletedDate" in described:
        restore = aws_command(f"secretsmanager restore-secret --secret-id {shlex.quote(name)}")
        raise Problem(
            f"The name {name} is that of a secret that is scheduled for deletion, and is free when that is gone: what "
            f"a stack has deleted is gone in a minute. Wait, or take another name, SECRET=..., or bring it back with "
            f"`{restore}` and attach the function to it (see docs/deploying.md)."
        )
    raise Problem(
        f"There is a secret {name} already, which no stack of project {wanted.project} has made: attach the function "
        "to it (see docs/deploying.md), or take another name, SECRET=..."
    )


def require_live_token_stays(stack: Stack, parameters: Mapping[str, str]) -> None:
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
