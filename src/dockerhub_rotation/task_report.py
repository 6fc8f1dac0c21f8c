"""The report of a task: a log line for each secret and one for all, the heartbeat's metrics, and news for Slack."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from dockerhub_rotation import logs
from dockerhub_rotation.errors import RotationError, Verb
from dockerhub_rotation.findings import Finding, Kind
from dockerhub_rotation.parameters import Parameters
from dockerhub_rotation.remedies import Place
from dockerhub_rotation.report import Cost, Report
from dockerhub_rotation.request import TaskName
from dockerhub_rotation.tasks.task import Care, Result

logger = logging.getLogger(__name__)
metrics = logs.metrics()

# The verbs that send a task.
_AGAIN: dict[str, Verb] = {
    TaskName.RECONCILE.value: "reconcile",
    TaskName.RETIRE.value: "retire",
    TaskName.ROLLBACK.value: "rollback",
    TaskName.PREFLIGHT.value: "preflight",
}


class TaskReport(Report[Result]):
    """The report of one task, which begins now.

    Slack hears of findings alone. A task that fails hourly would tell it hourly; the alarm for a missing heartbeat
    tells that once, and whoever sends a task by hand gets the error as its answer.

    Args:
        event: what asks for it, before anything is checked.
        function_arn: which function this is.
        parameters: as for `Report`.
    """

    def __init__(self, event: object, function_arn: str, parameters: Callable[[], Parameters]) -> None:
        fields = event if isinstance(event, dict) else {}
        task, secret, version = (fields.get(name) for name in ("Task", "SecretId", "VersionId"))
        self._task = task if task in [known.value for known in TaskName] else "unknown task"
        super().__init__(
            Place.of(
                function_arn,
                secret if isinstance(secret, str) else None,
                version if isinstance(version, str) else None,
                again=_AGAIN.get(self._task, "reconcile"),
            ),
            parameters,
        )

    def _write(self, result: Result | RotationError, cost: Cost) -> None:
        facts = {"task": self._task, "milliseconds": cost.milliseconds, "docker_hub_requests": cost.requests}
        if isinstance(result, RotationError):
            about_failure = {
                "error": type(result).__name__,
                "to_do": result.to_do,
                "consumers_affected": result.consumers_affected,
                **result.retired,
            }
            logger.error(str(result), extra=facts | about_failure)
            return
        for care in result.cares:
            _log(care)
        logger.info(result.message, extra=facts | dict(result.metrics))
        for name, count in result.metrics.items():
            metrics.add_metric(name, "Count", count)
        if result.metrics:
            metrics.flush_metrics()

    def _notice(self, result: Result | RotationError) -> "News | None":
        if isinstance(result, RotationError):
            return None
        news = [(care, one) for care in result.cares for one in care.findings if one.is_news(result.at)]
        return News(tuple(news)) if news else None


def _log(care: Care) -> None:
    found = {
        "secret": care.arn,
        "findings": [str(one.kind) for one in care.findings],
        "needs_attention": care.needs_attention,
        "consumers_affected": any(one.consumers_affected for one in care.findings),
        **care.facts,
    }
    level = logging.WARNING if care.needs_attention or not care.checked else logging.INFO
    logger.log(level, care.said, extra=found)


@dataclass(frozen=True)
class News:
    """What was found just now, of which secrets."""

    found: tuple[tuple[Care, Finding], ...]

    @property
    def headline(self) -> str:
        """Whether it is urgent."""
        return "Docker Hub tokens that do not work" if self._urgent else "Docker Hub tokens that need attention"

    @property
    def secret(self) -> str:
        """Of which secrets."""
        arns = list(dict.fromkeys(care.arn for care, _ in self.found))
        return arns[0] if len(arns) == 1 else f"{arns[0]} and {len(arns) - 1} more"

    @property
    def kind(self) -> str:
        """What was found."""
        return ", ".join(dict.fromkeys(str(finding.kind) for _, finding in self.found))

    @property
    def message(self) -> str:
        """What was found, in sentences. Slack takes so many signs, and the rest is cut off."""
        lines = [f"{care.arn}: {finding.message}" for care, finding in self.found]
        many = f"{len(lines)} findings; what is cut off here stands in the caretaker's log."
        return "\n".join([*([many] if len(lines) > 1 else []), *lines])

    @property
    def advice(self) -> str:
        """What the reader is asked to do."""
        again = "Do what the message says. The caretaker looks again every hour"
        if any(finding.kind == Kind.HEAL_STARTED for _, finding in self.found):
            return f"{again}. Where it says that a rotation was started, wait for its end first."
        return f"{again}, and mends nothing of it by itself."

    @property
    def consumers(self) -> str:
        """Whether AWSCURRENT works."""
        if self._urgent:
            return "*Consumers are affected:* the value under AWSCURRENT does not work, as far as can be told."
        return "Consumers are not known to be affected."

    @property
    def _urgent(self) -> bool:
        return any(finding.consumers_affected for _, finding in self.found)
