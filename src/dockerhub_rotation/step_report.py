"""The report of a step: one log line, its metrics, and, if it failed, a message to Slack."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from dockerhub_rotation import logs
from dockerhub_rotation.errors import RotationError
from dockerhub_rotation.notifications import Failure
from dockerhub_rotation.parameters import Parameters
from dockerhub_rotation.remedies import Place
from dockerhub_rotation.report import Cost, Report
from dockerhub_rotation.request import Step
from dockerhub_rotation.steps.step import Outcome

logger = logging.getLogger(__name__)
metrics = logs.metrics()


@dataclass(frozen=True)
class About:
    """What an event is about, as far as it says: for reports, before anything is checked."""

    step: str
    secret: str
    version: str | None

    @classmethod
    def of(cls, event: object) -> "About":
        """Take from an event what it says."""
        fields = event if isinstance(event, dict) else {}
        step, secret, version = (fields.get(name) for name in ("Step", "SecretId", "ClientRequestToken"))
        return cls(
            step=step if step in [known.value for known in Step] else "unknown step",
            secret=secret if isinstance(secret, str) else "unknown secret",
            version=version if isinstance(version, str) else None,
        )


class StepReport(Report[Outcome]):
    """The report of one step, which begins now.

    Args:
        about: what the event is about.
        function_arn: which function this is.
        parameters: as for `Report`.
    """

    def __init__(self, about: About, function_arn: str, parameters: Callable[[], Parameters]) -> None:
        super().__init__(Place.of(function_arn, about.secret, about.version), parameters)
        self._about = about

    def _write(self, result: Outcome | RotationError, cost: Cost) -> None:
        failure = result if isinstance(result, RotationError) else None
        counts = result.retired if isinstance(result, RotationError) else asdict(result.retired)
        facts = {
            "step": self._about.step,
            "secret": self._about.secret,
            "milliseconds": cost.milliseconds,
            "docker_hub_requests": cost.requests,
            **counts,
        }
        if failure:
            about_failure = {
                "error": type(failure).__name__,
                "to_do": failure.to_do,
                "consumers_affected": failure.consumers_affected,
            }
            logger.error(str(failure), extra=facts | about_failure)
        elif isinstance(result, Outcome):
            logger.info(result.message, extra=facts)

        metrics.add_dimension("step", self._about.step)
        metrics.add_metric("StepsFailed" if failure else "StepsSucceeded", "Count", 1)
        metrics.add_metric("Duration", "Milliseconds", cost.milliseconds)
        metrics.add_metric("DockerHubRequests", "Count", cost.requests)
        if cost.requests_left is not None:
            metrics.add_metric("RateLimitRemaining", "Count", cost.requests_left)
        _count(counts)
        metrics.flush_metrics()

    def _notice(self, result: Outcome | RotationError) -> Failure | None:
        if isinstance(result, RotationError):
            return Failure.of(result, self._about.secret, self._about.step)
        return None


def _count(counts: Mapping[str, int]) -> None:
    """Count what became of superseded tokens, if it came to that."""
    if counts:
        metrics.add_metric("TokensRetired", "Count", counts.get("disabled", 0) + counts.get("deleted", 0))
        metrics.add_metric("OrphansDeleted", "Count", counts.get("orphans", 0))
        metrics.add_metric("TokensUnidentified", "Count", counts.get("unidentified", 0))
        metrics.add_metric("TokensLeftActive", "Count", counts.get("left", 0))
        metrics.add_metric("SupersededTokensStillUsed", "Count", counts.get("still_used", 0))
