"""The report of an invocation: one log line, its metrics, and, if it failed, a message to Slack. It is written once."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from threading import Lock, Thread

from dockerhub_rotation import logs
from dockerhub_rotation.docker_hub.http import Http
from dockerhub_rotation.errors import RotationError
from dockerhub_rotation.notifications import Failure, notify
from dockerhub_rotation.parameters import Parameters
from dockerhub_rotation.request import Step
from dockerhub_rotation.steps.step import Outcome

logger = logging.getLogger(__name__)
metrics = logs.metrics()

# Out of what `Deadline` keeps for the report; the log line and the metrics, which come first, take next to nothing.
_SLACK_SECONDS = 4


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


class Report:
    """The report of one invocation, which begins now.

    Args:
        about: what the event is about.
        parameters: returns what knows the Slack webhook; not called unless Slack is to be told.

    Attributes:
        hub: the requests to Docker Hub, once there may be some.
    """

    def __init__(self, about: About, parameters: Callable[[], Parameters]) -> None:
        self.hub: Http | None = None
        self._about = about
        self._parameters = parameters
        self._began = time.monotonic()
        self._lock = Lock()
        self._said: Outcome | RotationError | None = None

    def write(self, result: Outcome | RotationError) -> Outcome | RotationError:
        """Write the report, unless it has been written, and return the result that stands in it.

        Whoever comes second waits for the first to have written it.
        """
        with self._lock:
            if self._said is None:
                self._said = result
                self._write(result)
            return self._said

    def _write(self, result: Outcome | RotationError) -> None:
        failure = result if isinstance(result, RotationError) else None
        counts = result.retired if isinstance(result, RotationError) else asdict(result.retired)
        milliseconds = round((time.monotonic() - self._began) * 1000)
        requests = self.hub.requests if self.hub else 0
        facts = {
            "step": self._about.step,
            "secret": self._about.secret,
            "milliseconds": milliseconds,
            "docker_hub_requests": requests,
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
        metrics.add_metric("Duration", "Milliseconds", milliseconds)
        metrics.add_metric("DockerHubRequests", "Count", requests)
        if self.hub and self.hub.requests_left is not None:
            metrics.add_metric("RateLimitRemaining", "Count", self.hub.requests_left)
        _count(counts)
        metrics.flush_metrics()
        if failure:
            self._tell_slack(failure)

    def _tell_slack(self, failure: RotationError) -> None:
        """Tell Slack, and wait no longer than the report may take: an answer that drips ends no timeout of a socket.

        What is left of it then goes on in the sandbox's next invocation.
        """
        telling = Thread(target=self._notify, args=(failure,), daemon=True)
        try:
            telling.start()
        except RuntimeError:  # no thread is to be had
            logger.warning("Slack was not told: no thread could be started.")
            return
        telling.join(_SLACK_SECONDS)
        if telling.is_alive():
            logger.warning("Slack may not have been told: it took more than %d s.", _SLACK_SECONDS)

    def _notify(self, failure: RotationError) -> None:
        try:
            parameters = self._parameters()
            if parameters.failure and parameters.failure in (failure, failure.__cause__):
                return  # it is Parameter Store that has failed, and it holds the webhook
            if webhook := parameters.webhook():
                notify(webhook, Failure.of(failure, self._about.secret, self._about.step))
        except Exception as trouble:  # noqa: BLE001 - whatever it is, it must not hide the failure
            text = str(trouble) if isinstance(trouble, RotationError) else type(trouble).__name__
            logger.warning("Slack was not told: %s", text)


def _count(counts: Mapping[str, int]) -> None:
    """Count what became of superseded tokens, if it came to that."""
    if counts:
        metrics.add_metric("TokensRetired", "Count", counts.get("disabled", 0) + counts.get("deleted", 0))
        metrics.add_metric("OrphansDeleted", "Count", counts.get("orphans", 0))
        metrics.add_metric("TokensUnidentified", "Count", counts.get("unidentified", 0))
        metrics.add_metric("TokensLeftActive", "Count", counts.get("left", 0))
        metrics.add_metric("SupersededTokensStillUsed", "Count", counts.get("still_used", 0))
