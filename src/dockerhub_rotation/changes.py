"""Making the changes that are planned, as long as the staging labels are those by which they were planned.

Somebody may move a staging label at any time, and the token that it then holds is in use. So whatever takes a token
away, and had to wait since the labels were read, or after anything that had to, is preceded by another look at them;
so it is where stored values were read since. What remains is the one request that is under way.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from dockerhub_rotation.deadline import Moment
from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.errors import RotationError
from dockerhub_rotation.invocation import Invocation
from dockerhub_rotation.plan import Change
from dockerhub_rotation.secrets_manager import SecretVersions

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Look:
    """The staging labels, and a moment at which they were so; None if that is too long ago to take anything away."""

    versions: SecretVersions
    at: Moment | None


@dataclass(frozen=True)
class Made:
    """What came of changes.

    Attributes:
        done: those that were made.
        failures: what others failed with.
        unlabelled: tokens that stay active and are said to have kept another label than they were to get.
        interrupted: the change before which the staging labels turned out to have changed, or None. It was not made,
            unless a try that came before has had its effect; it and those after it are to be planned anew.
    """

    done: list[Change]
    failures: list[RotationError]
    unlabelled: list[Token] = field(default_factory=list)
    interrupted: Change | None = None


class _LabelsMovedError(Exception):
    """The staging labels are not those by which a change was planned."""


def look(invocation: Invocation, arn: str) -> Look:
    """Return the staging labels as they are now. Raises what `SecretsManager.versions` raises."""
    at = invocation.deadline.moment()
    return Look(invocation.secrets_manager.versions(arn), at)


def make(invocation: Invocation, planned_by: Look, changes: list[Change]) -> Made:
    """Make changes, one after the other: one that fails must not keep the others.

    Args:
        planned_by: the staging labels by which they were planned.
    """
    confirmed = planned_by.at

    def require_unmoved() -> None:
        nonlocal confirmed
        if confirmed is not None and not invocation.deadline.has_waited_since(confirmed):
            return
        seen = look(invocation, planned_by.versions.arn)
        if seen.versions.labels != planned_by.versions.labels:
            raise _LabelsMovedError
        confirmed = seen.at

    done: list[Change] = []
    failures: list[RotationError] = []
    unlabelled: list[Token] = []
    for change in changes:
        try:
            if _make(invocation, change, require_unmoved):
                done.append(change)
            else:
                unlabelled.append(change.token)
        except _LabelsMovedError:
            logger.warning("Staging labels have changed meanwhile; what becomes of the tokens is planned anew")
            return Made(done, failures, unlabelled, interrupted=change)
        except RotationError as failure:
            if change.becomes == "disabled" and change.token.active is False:
                logger.warning("Token %s is disabled, but could not be labelled. %s", change.token.uuid, failure)
            else:
                failures.append(failure)
    return Made(done, failures, unlabelled)


def _make(invocation: Invocation, change: Change, before_taking_away: Callable[[], None]) -> bool:
    """Make a change, and return whether it was made: not where all it is, is a label that was not taken."""
    tokens = invocation.docker_hub.tokens
    match change.becomes:
        case "active" if change.enables:
            tokens.enable(change.token.uuid, change.label)
        case "active" if change.label is not None:
            if not tokens.relabel(change.token.uuid, change.label):
                logger.warning("Token %s did not take its label, %s", change.token.uuid, change.label)
                return False
        case "disabled":
            if not tokens.disable(change.token.uuid, change.label, before=before_taking_away):
                logger.warning(
                    "Token %s is disabled, but did not take its label, so no rotation deletes it: do that by hand",
                    change.token.uuid,
                )
        case "deleted":
            tokens.delete(change.token.uuid, before=before_taking_away)
    return True
