"""Consumers at work: each reads the secret, keeps a copy, and logs in at the registry with that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from werkzeug.test import Client

from rehearsal.year.chronicle import Met, Refusals
from rehearsal.year.consumers import Consumer


class Logins:
    """All readings and logins of some consumers.

    Args:
        registry: asks Docker Hub.
        username: the account's.
        read: returns the token under AWSCURRENT; for a consumer that is far, as the replica has it.

    Attributes:
        met: what each consumer has met so far.
    """

    def __init__(
        self, consumers: Sequence[Consumer], registry: Client, username: str, read: Callable[[Consumer], str]
    ) -> None:
        self.met = [Met(consumer.name) for consumer in consumers]
        self._consumers = consumers
        self._registry = registry
        self._username = username
        self._read = read
        self._copies = [""] * len(consumers)
        self._was_refused = [False] * len(consumers)

    def in_order(self) -> Iterator[tuple[float, Callable[[], None]]]:
        """Yield what is to be done and when, in seconds since the beginning. Who reads for a login does so first."""
        entries = []
        for number, consumer in enumerate(self._consumers):
            entries += [(read, 0, number) for read in {use.read for use in consumer.uses}]
            entries += [(use.login, 1, number) for use in consumer.uses]
        for at, logs_in, number in sorted(entries):
            yield at, partial(self._log_in, number, at) if logs_in else partial(self._take_a_copy, number)

    def _take_a_copy(self, number: int) -> None:
        self._copies[number] = self._read(self._consumers[number])

    def _log_in(self, number: int, at: float) -> None:
        met = self.met[number]
        answer = self._registry.get(
            "/token", query_string={"service": "registry.docker.io"}, auth=(self._username, self._copies[number])
        )
        met.logins += 1
        if answer.status_code == 503:
            met.unanswered += 1
            return
        refused = answer.status_code != 200
        if refused and self._was_refused[number]:
            met.refusals[-1].last = at
            met.refusals[-1].number += 1
        elif refused:
            met.refusals.append(Refusals(at, at, 1))
        self._was_refused[number] = refused
