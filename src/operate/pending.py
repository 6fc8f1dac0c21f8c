"""AWSPENDING, taken off a version: of a rotation that can't end, or that has ended and left it there."""

from __future__ import annotations

import shlex

from operate.secret import PENDING, Secret, again
from operate.session import Aws, Refused
from operate.typed import aws_command


def by_hand(secret: Secret, version: str) -> str:
    """Return the command of the AWS CLI that takes AWSPENDING off a version."""
    return aws_command(
        f"secretsmanager update-secret-version-stage --secret-id {shlex.quote(secret.arn)} "
        f"--version-stage AWSPENDING --remove-from-version-id {shlex.quote(version)}"
    )


def take_off(aws: Aws, secret: Secret, version: str) -> None:
    """Take AWSPENDING off a version, which has it.

    Raises:
        Refused: it could not be done; or, which AWS refuses, another version has the label by now.
    """
    request = {"SecretId": secret.arn, "VersionStage": PENDING, "RemoveFromVersionId": version}
    try:
        aws.ask("secretsmanager", "update_secret_version_stage", **request)
    except Refused:
        # Sent again after an answer that was lost, it finds the label gone.
        if PENDING in again(aws, secret).labels.get(version, ()):
            raise
