"""Replicas of a secret in other Regions: which of them may still hand out a superseded value."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# How soon a replica has a new value is not documented, and right after a change its status may be from before.
LEAST_GRACE_SECONDS = 3600


@dataclass(frozen=True)
class Replica:
    """A replica as DescribeSecret shows it.

    Attributes:
        status: in AWS's words: InSync, InProgress, Failed, or what AWS may add.
        explained: whether AWS says why. Its text is not kept: it may quote anything.
    """

    region: str
    status: str
    explained: bool = False

    def __str__(self) -> str:
        """Say how it is."""
        why = ", for which AWS gives a reason" if self.explained else ""
        return f"the replica in {self.region} is {self.status}{why}"


def read(description: Mapping[str, Any]) -> tuple[Replica, ...]:
    """Return the replicas that a description of a secret shows, in the order of their Regions; it need show none.

    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ReplicationStatusType.html promises no field.
    """
    shown = [
        Replica(
            one.get("Region", "an unknown Region"), one.get("Status", "in an unknown state"), "StatusMessage" in one
        )
        for one in description.get("ReplicationStatus", [])
    ]
    return tuple(sorted(shown, key=lambda one: one.region))


def behind(replicas: Iterable[Replica]) -> tuple[Replica, ...]:
    """Return those that may hold another value than the secret."""
    return tuple(one for one in replicas if one.status != "InSync")


def why_waiting(replicas: Iterable[Replica]) -> str | None:
    """Return why a superseded token stays active although its grace is over, or None if no replica keeps it."""
    return " and ".join(map(str, behind(replicas))) or None
