"""What was measured: plain values, fit to be shown and to be pasted, for they hold no secret and no value of a body."""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

from dockerhub_rotation.docker_hub.answers import Answer
from dockerhub_rotation.errors import DockerHubUnavailable, LoginsUsedUp, RotationError, TemporaryError
from dockerhub_rotation.preflight.assumptions import ASSUMPTIONS, Assumption

Verdict = Literal["as assumed", "otherwise", "not seen", "not measured"]


@dataclass(frozen=True)
class Finding:
    """One measurement.

    Attributes:
        seen: what Docker Hub did, or why that was not measured.
    """

    assumption: Assumption
    verdict: Verdict
    seen: str

    @property
    def differs(self) -> bool:
        """Whether Docker Hub is known to be other than assumed."""
        return self.verdict in ("otherwise", "not seen")

    def row(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "name": self.assumption.name,
            "verdict": self.verdict,
            "relied_on": self.assumption.relied_on,
            "assumed": self.assumption.assumed,
            "seen": self.seen,
            "means": self.assumption.otherwise if self.differs else "",
        }


class Findings:
    """What has been measured so far. The first word on an assumption is the last.

    Args:
        also_relied_on: assumptions on which the function relies as it is set, though not in general.
        not_relied_on: and those on which it does not.

    Attributes:
        failures: what kept something from being measured that should have been.
    """

    def __init__(self, also_relied_on: Collection[str] = (), not_relied_on: Collection[str] = ()) -> None:
        self.failures: list[str] = []
        self._also_relied_on = also_relied_on
        self._not_relied_on = not_relied_on
        self._told: dict[str, tuple[Verdict, str]] = {}

    def note(self, name: str, holds: bool, seen: str) -> None:
        """Note whether an assumption holds, and what was seen."""
        self._tell(name, "as assumed" if holds else "otherwise", seen)

    def not_seen(self, name: str, seen: str) -> None:
        """Note that what was waited for has not come."""
        self._tell(name, "not seen", seen)

    def skip(self, name: str, why: str) -> None:
        """Note why an assumption was not measured."""
        self._tell(name, "not measured", why)

    def fail(self, failure: RotationError) -> None:
        """Note a failure that says nothing of any assumption."""
        self.failures.append(str(failure))

    @contextmanager
    def judging(self, name: str) -> Iterator[None]:
        """Take what is raised in the block as what was seen of an assumption.

        What passes by itself says nothing of Docker Hub's ways: then it was not measured. What ends the whole run is
        raised.
        """
        try:
            yield
        except LoginsUsedUp as spared:
            self.skip(name, str(spared))
        except DockerHubUnavailable as failure:
            self.skip(name, str(failure))
            self.fail(failure)
        except TemporaryError:
            raise
        except RotationError as refused:
            self.note(name, False, str(refused))

    def holds(self, name: str) -> bool:
        """Tell whether an assumption was measured and holds."""
        return self._told.get(name, ("not measured",))[0] == "as assumed"

    def all(self) -> list[Finding]:
        """Return a finding for each assumption, in their order."""
        why = self.failures[-1] if self.failures else "It did not come to that."
        return [Finding(self._here(it), *self._told.get(it.name, ("not measured", why))) for it in ASSUMPTIONS]

    def _here(self, assumption: Assumption) -> Assumption:
        relied_on = assumption.relied_on and assumption.name not in self._not_relied_on
        return replace(assumption, relied_on=relied_on or assumption.name in self._also_relied_on)

    def _tell(self, name: str, verdict: Verdict, seen: str) -> None:
        self._told.setdefault(name, (verdict, seen))


def shape(answer: Answer | None) -> str:
    """Return an answer's status and the keys of its body. No value of it: whatever it may be, it is not shown."""
    if answer is None:
        return "no answer"
    if not answer.body:
        return f"{answer.status} without a body"
    said = answer.json
    if isinstance(said, dict):
        return f"{answer.status} with {_keys(said)}"
    return f"{answer.status} with {'other JSON' if said is not None else 'no JSON'}"


def _keys(said: dict[str, Any]) -> str:
    known = sorted(key for key in said if re.fullmatch("[A-Za-z_][A-Za-z0-9_-]{0,31}", key))[:16]
    return ", ".join(known) or "no key that could be shown"
