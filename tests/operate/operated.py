"""A deployment in operation: secrets, what both functions have logged of them, and a caretaker that does tasks."""

from __future__ import annotations

import json
import time
from typing import Any

from .aws import FUNCTION_ARN, Account, Secret

PROJECT = FUNCTION_ARN.rpartition(":")[2]
GROUP = f"/aws/lambda/{PROJECT}"
CARETAKER = f"{PROJECT}-caretaker"
CARETAKER_GROUP = f"/aws/lambda/{CARETAKER}"
HOUR = 3600
DAY = 24 * HOUR

STAGED = {"old": ["AWSCURRENT"], "new": ["AWSPENDING"]}
PROMOTED = {"old": ["AWSPREVIOUS"], "new": ["AWSCURRENT", "AWSPENDING"]}
DONE = {"old": ["AWSPREVIOUS"], "new": ["AWSCURRENT"]}

WHAT_OTHERS_SAY = ("START RequestId: 1", "[1]", '{"_aws": {}, "StepsFailed": [1], "step": "testSecret"}')


class Operated:
    """It, with lines in the logs that are nobody's.

    Attributes:
        tasks: what the caretaker was sent.
        answer: what it answers.
    """

    def __init__(self, aws: Account) -> None:
        self.aws = aws
        self.tasks: list[Any] = []
        self.answer: dict[str, Any] = {}
        aws.functions |= {PROJECT: "package", CARETAKER: "package"}
        aws.invoked = self._invoked
        now = time.time()
        aws.log = {group: [(now - HOUR, said) for said in WHAT_OTHERS_SAY] for group in (GROUP, CARETAKER_GROUP)}

    def secret(self, name: str = "dockerhub-token", **described: Any) -> Secret:
        """Have a secret that was rotated three days ago, and will be in four weeks."""
        now = time.time()
        dates = {"LastRotatedDate": now - 3 * DAY, "LastChangedDate": now - 3 * DAY, "NextRotationDate": now + 28 * DAY}
        secret = self.aws.add_secret(name, **{**dates, **described})
        secret.labels = dict(DONE)
        secret.made = {"old": now - 33 * DAY, "new": now - 3 * DAY}
        return secret

    def heartbeat(self, ago: float = 600) -> None:
        """Have the caretaker have gone through all secrets."""
        self._log(CARETAKER_GROUP, ago, level="INFO", task="Reconcile", message="checked", SecretsChecked=1)

    def care(self, secret: Secret, *findings: str, ago: float = 610, level: str = "", **more: Any) -> None:
        """Have the caretaker have said something of a secret."""
        said = {"needs_attention": bool(findings), "consumers_affected": False, "token_age_days": 3, **more}
        level = level or ("WARNING" if findings else "INFO")
        message = f"{' '.join(findings)} is so." if findings else "All is as it should be."
        self._log(
            CARETAKER_GROUP, ago, level=level, secret=secret.arn, findings=list(findings), message=message, **said
        )

    def line(
        self, secret: Secret, step: str, message: str, *, ago: float = 60, version: str = "new", **more: Any
    ) -> None:
        """Have the rotation function have said something."""
        level = "ERROR" if "error" in more else "INFO" if step else "WARNING"
        told = {"level": level, "step": step, "message": message, "secret": secret.arn, "correlation_id": version}
        self._log(GROUP, ago, **told, **more)

    def log_task(self, ago: float, **said: Any) -> None:
        """Have a line of any kind in the caretaker's log."""
        self._log(CARETAKER_GROUP, ago, task="Reconcile", **said)

    def _log(self, group: str, ago: float, **said: Any) -> None:
        self.aws.log[group] = sorted([*self.aws.log[group], (time.time() - ago, json.dumps(said))])

    def _invoked(self, name: str, event: Any) -> dict[str, Any]:
        assert name == CARETAKER
        self.tasks.append(event)
        return self.answer
