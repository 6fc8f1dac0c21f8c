"""Consumers: read AWSCURRENT and log in to the registry with it, over and over, as image pulls do."""

from __future__ import annotations

from threading import Event, Thread
from types import TracebackType
from typing import Self

import httpx

from rehearsal.world import PLACEHOLDER, World, token_in

_FIVE_MINUTES, _HOUR = 300, 3600


class Consumer:
    """Logs in without pause for the length of a `with` block.

    A consumer whose token was superseded between reading and logging in reads again, as the ECS agent does when it
    starts a task again. That is counted apart, and fails only if the value is refused that is AWSCURRENT by then.

    Attributes:
        logins: how many logins there were.
        failures: how many were refused with the value that is AWSCURRENT.
        overtaken: how many had to read again.
    """

    def __init__(self, world: World) -> None:
        self.logins = self.failures = self.overtaken = 0
        self._world = world
        self._trouble: Exception | None = None
        self._stop = Event()
        self._registry = httpx.Client(trust_env=False)
        self._thread = Thread(target=self._run, name="consumer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._registry.close()
        if self._trouble and error is None:
            raise self._trouble

    def _run(self) -> None:
        try:
            self._log_in_without_pause()
        except Exception as trouble:  # noqa: BLE001 - whatever it is, it is raised at the end of the block
            self._trouble = trouble

    def _log_in_without_pause(self) -> None:
        while not self._stop.is_set():
            token = self._read()
            if token == PLACEHOLDER:
                continue
            self.logins += 1
            while not self.accepts(token):
                newer = self._read()
                if newer == token:
                    self.failures += 1
                    break
                self.overtaken += 1
                token = newer

    def _read(self) -> str:
        return token_in(self._world.client.get_secret_value(SecretId=self._world.secret_arn)["SecretString"])

    def accepts(self, token: str) -> bool:
        """Log in with a token and say whether that worked."""
        return _accepted(self._world, self._registry, token)


class Keeper:
    """Reads the secret once an hour, by the world's clock, and logs in with its copy meanwhile.

    Attributes:
        logins: how many logins there were.
        refused: how many of them were refused.
    """

    def __init__(self, world: World) -> None:
        self.logins = self.refused = 0
        self._world = world
        self._copy = world.current_token()
        self._read_at = world.now()

    def live(self, seconds: float) -> None:
        """Let so much time pass, and log in every five minutes."""
        with httpx.Client(trust_env=False) as registry:
            for _ in range(round(seconds / _FIVE_MINUTES)):
                self._world.passed += _FIVE_MINUTES
                if self._world.now() - self._read_at >= _HOUR:
                    self._copy, self._read_at = self._world.current_token(), self._world.now()
                if self._copy != PLACEHOLDER:
                    self.logins += 1
                    self.refused += not _accepted(self._world, registry, self._copy)


def _accepted(world: World, registry: httpx.Client, token: str) -> bool:
    answer = registry.get(
        f"{world.hub_url}/token", params={"service": "registry.docker.io"}, auth=(world.login_name, token)
    )
    return answer.status_code == 200
