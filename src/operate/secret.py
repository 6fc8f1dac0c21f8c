"""A secret as AWS describes it: its staging labels, and the function that rotates it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from operate.names import ECR_PREFIX, Deployment, check_any_secret
from operate.session import Aws, Refused
from operate.show import Problem
from operate.typed import aws_command, command

CURRENT, PENDING, PREVIOUS = "AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"


@dataclass(frozen=True)
class Secret:
    """What AWS said of a secret at one moment.

    Attributes:
        described: the answer of DescribeSecret.
    """

    described: Mapping[str, Any]

    @property
    def arn(self) -> str:
        """The ARN, which is its identity."""
        return str(self.described["ARN"])

    @property
    def name(self) -> str:
        """The whole name."""
        return str(self.described["Name"])

    @property
    def labels(self) -> dict[str, list[str]]:
        """Staging labels by version id."""
        held = self.described.get("VersionIdsToStages", {})
        return {version: sorted(labels) for version, labels in held.items()}

    @property
    def listed(self) -> str:
        """The versions that have a staging label, for a sentence."""
        return ", ".join(f"{version} ({' '.join(labels)})" for version, labels in self.labels.items()) or "none"

    @property
    def current(self) -> str:
        """The version that consumers get; empty if there is none."""
        return self._holder(CURRENT)

    @property
    def previous(self) -> str:
        """The version that AWS keeps as the last one before; empty if there is none."""
        return self._holder(PREVIOUS)

    @property
    def pending(self) -> str:
        """The version that a rotation is making, or empty. After it, the label may stay on the one that is current."""
        pending = self._holder(PENDING)
        return "" if pending == self.current else pending

    def _holder(self, label: str) -> str:
        return next((version for version, labels in self.labels.items() if label in labels), "")

    @property
    def function(self) -> str:
        """ARN of the function that rotates it, without a version or an alias; empty if there is none."""
        return ":".join(str(self.described.get("RotationLambdaARN") or "").split(":")[:7])

    @property
    def log_group(self) -> str:
        """The log group of that function."""
        return f"/aws/lambda/{self.function.rpartition(':')[2]}"

    @property
    def rotates(self) -> bool:
        """Whether rotation is on."""
        return bool(self.described.get("RotationEnabled"))

    @property
    def next_rotation(self) -> datetime | None:
        """By when AWS will have begun the next rotation."""
        return self.described.get("NextRotationDate")

    @property
    def rotated_at(self) -> datetime | None:
        """When a rotation last ended well."""
        return self.described.get("LastRotatedDate")


def find_secret(aws: Aws, name: str) -> Secret:
    """Return what AWS says of the secret with this name, or ARN.

    Raises:
        Problem: no secret can have that name, or none has; or it is to be deleted.
    """
    check_any_secret(name)
    try:
        secret = Secret(aws.ask("secretsmanager", "describe_secret", SecretId=name))
    except Refused as refused:
        if refused.code != "ResourceNotFoundException":
            raise
        raise Problem(
            f"There is no secret {name} in {aws.region}. Is it in another Region, AWS_REGION=..., or another one, "
            f"SECRET=..., with the prefix {ECR_PREFIX} if it has that? If it has still to be made, run "
            f"`{command('deploy')}`."
        ) from None
    # Part of an ARN finds a secret, too: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html
    if name not in (secret.name, secret.arn):
        raise Problem(f"There is no secret {name} in {aws.region}, but {secret.name}: is that meant? SECRET=...")
    if "DeletedDate" in secret.described:
        raise Problem(
            f"{name} is to be deleted: if it is still needed, run "
            f"`{aws_command(f'secretsmanager restore-secret --secret-id {shlex.quote(name)}')}` first."
        )
    return secret


def require_rotating(aws: Aws, wanted: Deployment) -> Secret:
    """Return what AWS says of the secret that is wanted, if the project's function rotates it.

    Raises:
        Problem: it does not, or its rotation is off; or as `find_secret`.
    """
    secret = find_secret(aws, wanted.secret_name)
    if secret.function:
        _refuse_others(aws, wanted, secret)
    if not secret.rotates:
        raise Problem(
            f"Rotation is not configured for {wanted.secret_name}: run `{command('deploy')}`, or attach the function "
            "(see docs/deploying.md)."
        )
    if not secret.function:
        raise Problem(
            f"{wanted.secret_name} is rotated by AWS itself, not by this function: name another secret, SECRET=..."
        )
    return secret


def require_ours(aws: Aws, wanted: Deployment) -> Secret:
    """Return what AWS says of the secret that is wanted, if it names the project's function, be its rotation on or off.

    Raises:
        Problem: it does not, or as `find_secret`.
    """
    secret = find_secret(aws, wanted.secret_name)
    _refuse_others(aws, wanted, secret)
    return secret


def _refuse_others(aws: Aws, wanted: Deployment, secret: Secret) -> None:
    if not is_ours(aws, wanted, secret.function):
        whose = f"names {secret.function}" if secret.function else "names no function"
        raise Problem(
            f"{secret.name} is none of project {wanted.project}'s: it {whose} to rotate it. Name the project it "
            "belongs to, PROJECT=..., or another secret, SECRET=..."
        )


def is_ours(aws: Aws, wanted: Deployment, function: str) -> bool:
    """Whether the ARN of a function, with or without a version, is that of the project's."""
    return function.split(":")[3:7] == [aws.region, aws.account, "function", wanted.project]


def again(aws: Aws, secret: Secret) -> Secret:
    """Return what AWS says of a secret now.

    Raises:
        Refused: AWS said no, or could not be asked.
    """
    return Secret(aws.ask("secretsmanager", "describe_secret", SecretId=secret.arn))


def about(secret: Secret) -> dict[str, str]:
    """Return what has a command that is typed be about this secret, whichever the others are about."""
    return {"secret": shlex.quote(secret.name)}
