"""When a secret's versions were made, which DescribeSecret does not tell."""

from __future__ import annotations

from datetime import datetime

from operate.secret import Secret
from operate.session import Aws


def made(aws: Aws, secret: Secret) -> dict[str, datetime]:
    """Return when each version was made that has a staging label.

    Raises:
        Refused: AWS said no, or could not be asked.
    """
    # There are 20 staging labels at most, and what has none is not listed: one page holds all.
    told = aws.ask("secretsmanager", "list_secret_version_ids", SecretId=secret.arn, MaxResults=100)
    return {it["VersionId"]: it["CreatedDate"] for it in told["Versions"] if "CreatedDate" in it}
