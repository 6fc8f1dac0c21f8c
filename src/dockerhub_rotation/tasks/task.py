"""What a task works with, and what it reports."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dockerhub_rotation.findings import Finding
from dockerhub_rotation.invocation import Invocation


@dataclass(frozen=True)
class Task(Invocation):
    """An invocation of the caretaker.

    Attributes:
        function: ARN of the rotation function, whose secrets it looks after.
        secret_arn: the secret that the task is about; None for all of them.
    """

    function: str
    secret_arn: str | None


@dataclass(frozen=True)
class Care:
    """What came of looking after one secret.

    Attributes:
        checked: whether all of it could be looked at.
        findings: what was found, or why it could not be looked at.
        facts: what else is to be known of it, as plain data without a secret value.
    """

    arn: str
    checked: bool
    findings: tuple[Finding, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)

    @property
    def needs_attention(self) -> bool:
        """Whether somebody has to see to it."""
        return any(finding.needs_attention for finding in self.findings)

    @property
    def said(self) -> str:
        """It in sentences."""
        return " ".join(finding.message for finding in self.findings) or "All is as it should be."


@dataclass(frozen=True)
class Result:
    """What a task has to report.

    Attributes:
        message: one sentence.
        answer: what the caller gets, as plain data without a secret value.
        cares: what came of each secret, for the log and for Slack.
        metrics: what is counted.
        at: when it was, in seconds since 1970.
    """

    message: str
    answer: Mapping[str, object]
    at: float
    cares: tuple[Care, ...] = ()
    metrics: Mapping[str, int] = field(default_factory=dict)
