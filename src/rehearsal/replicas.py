"""Replicas of secrets in other Regions: each has what the secret held a while ago, and says how it is, a little late.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/create-manage-multi-region-secrets.html. moto's say at once
and always that they are in sync. What is not documented is hard on the function: how long a change takes is up to the
test, and right after one the status is from before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from moto.secretsmanager.models import FakeSecret

_REASON = "Replication failed: the key of the replica cannot be used."


@dataclass
class Replica:
    """A replica.

    Attributes:
        lag: how many seconds a change takes to get there.
        says_late: how many seconds it takes until the status tells of a change.
        ails: None while changes get there; `fails` or `hangs` from now on, until it is mended.
        behind_since: when the first change was made that has not got there, before it is mended; None if all do.
    """

    region: str
    lag: float = 5.0
    says_late: float = 2.0
    ails: Literal["fails", "hangs"] | None = None
    behind_since: float | None = None
    _changes: list[tuple[float, Mapping[str, str | None], bool]] = field(default_factory=list)

    def change(self, now: float, values: Mapping[str, str | None]) -> None:
        """Take note of what the secret holds from now on, by staging label."""
        self._changes.append((now, values, self.ails is None))
        if self.ails is not None and self.behind_since is None:
            self.behind_since = now

    def mend(self, now: float) -> None:
        """Let what the secret holds get there after all."""
        self.ails = self.behind_since = None
        self._changes.append((now, self._changes[-1][1], True))

    def value(self, label: str, now: float) -> str | None:
        """Return what a consumer in that Region reads."""
        arrived = [values for at, values, gets_there in self._changes if gets_there and at + self.lag <= now]
        return (arrived or [self._changes[0][1]])[-1].get(label)

    def status(self, now: float) -> dict[str, Any]:
        """Return an entry of ReplicationStatus."""
        told = [change for change in self._changes if change[0] + self.says_late <= now]
        status, reason = "InSync", {}
        if told and not told[-1][2]:
            status = "Failed" if self.ails == "fails" else "InProgress"
            reason = {"StatusMessage": _REASON} if self.ails == "fails" else {}
        elif told and told[-1][0] + self.lag > now:
            status = "InProgress"
        return {"Region": self.region, "KmsKeyId": "alias/aws/secretsmanager", "Status": status, **reason}


class Replicas:
    """The replicas of all secrets, by the secrets' ARNs."""

    def __init__(self) -> None:
        self._of: dict[str, list[Replica]] = {}

    def of(self, arn: str) -> list[Replica]:
        """Return those of a secret; to be added to and taken from."""
        return self._of.setdefault(arn, [])

    def clear(self) -> None:
        """Forget all."""
        self._of.clear()

    def changed(self, secret: FakeSecret, now: float) -> None:
        """Take note that a secret has changed."""
        for replica in self.of(secret.arn):
            replica.change(now, values(secret))

    def described(self, arn: str, now: float) -> dict[str, Any]:
        """Return what DescribeSecret says of them; nothing where there are none."""
        entries = [replica.status(now) for replica in self.of(arn)]
        return {"ReplicationStatus": entries} if entries else {}


def values(secret: FakeSecret) -> dict[str, str | None]:
    """Return what a secret holds now, by staging label."""
    return {
        label: version.get("secret_string")
        for version in secret.versions.values()
        for label in version["version_stages"]
    }
