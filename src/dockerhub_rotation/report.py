"""The report of an invocation: one log line, its metrics, and a message to Slack where there is one. Written once."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Generic, TypeVar

from dockerhub_rotation import remedies
from dockerhub_rotation.docker_hub.http import Http
from dockerhub_rotation.errors import RotationError
from dockerhub_rotation.notifications import Notice, notify
from dockerhub_rotation.parameters import Parameters
from dockerhub_rotation.remedies import Place

logger = logging.getLogger(__name__)

# Out of what `Deadline` keeps for the report; the log line and the metrics, which come first, take next to nothing.
_SLACK_SECONDS = 4

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Cost:
    """What an invocation took.

    Attributes:
        requests: to Docker Hub.
        requests_left: what Docker Hub said last of its limit; None if it said nothing.
    """

    milliseconds: int
    requests: int
    requests_left: int | None


class Report(ABC, Generic[_Result]):
    """The report of one invocation, which begins now.

    Args:
        place: what the commands that mend a failure are about.
        parameters: returns what knows the Slack webhook; not called unless Slack is to be told.

    Attributes:
        hub: the requests to Docker Hub, once there may be some.
    """

    def __init__(self, place: Place, parameters: Callable[[], Parameters]) -> None:
        self.hub: Http | None = None
        self._place = place
        self._parameters = parameters
        self._began = time.monotonic()
        self._lock = Lock()
        self._said: _Result | RotationError | None = None

    def write(self, result: _Result | RotationError) -> _Result | RotationError:
        """Write the report, unless it has been written, and return the result as it stands there.

        Whoever comes second waits for the first to have written it.
        """
        with self._lock:
            if self._said is None:
                said = remedies.told(result, self._place) if isinstance(result, RotationError) else result
                self._said = said
                self._write(said, self._cost())
                notice = self._notice(said)
                if notice:
                    self._tell_slack(notice, result)
            return self._said

    @abstractmethod
    def _write(self, result: _Result | RotationError, cost: Cost) -> None:
        """Write log lines and metrics."""

    @abstractmethod
    def _notice(self, result: _Result | RotationError) -> Notice | None:
        """Return what Slack is to be told, or None."""

    def _cost(self) -> Cost:
        milliseconds = round((time.monotonic() - self._began) * 1000)
        if self.hub is None:
            return Cost(milliseconds, 0, None)
        return Cost(milliseconds, self.hub.requests, self.hub.requests_left)

    def _tell_slack(self, notice: Notice, result: _Result | RotationError) -> None:
        """Tell Slack, and wait no longer than the report may take: an answer that drips ends no timeout of a socket.

        What is left of it then goes on in the sandbox's next invocation.
        """
        telling = Thread(target=self._notify, args=(notice, result), daemon=True)
        try:
            telling.start()
        except RuntimeError:  # no thread is to be had
            logger.warning("Slack was not told: no thread could be started.")
            return
        telling.join(_SLACK_SECONDS)
        if telling.is_alive():
            logger.warning("Slack may not have been told: it took more than %d s.", _SLACK_SECONDS)

    def _notify(self, notice: Notice, result: _Result | RotationError) -> None:
        try:
            parameters = self._parameters()
            if parameters.failure and parameters.failure in (result, getattr(result, "__cause__", None)):
                return  # it is Parameter Store that has failed, and it holds the webhook
            if webhook := parameters.webhook():
                notify(webhook, notice)
        except Exception as trouble:  # noqa: BLE001 - whatever it is, it must not hide the failure
            text = str(trouble) if isinstance(trouble, RotationError) else type(trouble).__name__
            logger.warning("Slack was not told: %s", text)
