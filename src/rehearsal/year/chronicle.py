"""What happened: written down while it does, and kept as JSON for the picture."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from rehearsal.year.almanac import Stretch


class State(StrEnum):
    """What a token is."""

    ACTIVE = "active"  # under AWSCURRENT or AWSPENDING
    GRACE = "in grace"  # active, and under AWSCURRENT no more
    ORPHAN = "left over"  # active, and never under either
    DISABLED = "disabled"
    GONE = "gone"


@dataclass
class Phase:
    """A token is something, from a moment on. Times are seconds since the beginning.

    Attributes:
        deadline: what its label said last, in this phase.
    """

    at: float
    state: State
    deadline: float | None = None


@dataclass
class Life:
    """A token of the secret's.

    Attributes:
        origin: "made by hand" or "made by a rotation".
    """

    origin: str
    phases: list[Phase]


@dataclass
class Mark:
    """Something happened."""

    at: float
    what: str


@dataclass
class Span:
    """Something lasted. `token` is the number of the one that it was about, if any."""

    begin: float
    end: float
    what: str
    token: int | None = None


@dataclass
class Refusals:
    """Logins that were refused, one after the other."""

    first: float
    last: float
    number: int


@dataclass
class Met:
    """What a consumer has met.

    Attributes:
        logins: how many were tried.
        unanswered: those on which Docker Hub, being down, gave no word.
    """

    name: str
    logins: int = 0
    unanswered: int = 0
    refusals: list[Refusals] = field(default_factory=list)

    @property
    def refused(self) -> int:
        """How many logins were refused."""
        return sum(run.number for run in self.refusals)


@dataclass
class Chronicle:
    """All that happened.

    Attributes:
        rotations: each that has succeeded, from the first attempt to its end.
        heals: those of them that the caretaker has begun, from its look on; they are not among the others.
        failures: attempts of rotations that failed.
        deeds: what people did.
        troubles: what lasted for hours.
        pins: from when to when which token's version was pinned.
        deaths: from when to when somebody had taken which token away that was under AWSCURRENT.
        behind: from when to when the replica says that it does not follow.
        current: which token was under AWSCURRENT from when on.
        lives: of each token of the secret's; its number is its place.
        in_vain: looks of the caretaker after which it could not say that it had seen all, and why.
        findings: how many looks had something to say, by its kind.
        broken: what must hold, and did not.
    """

    stretch: Stretch
    rotations: list[Span] = field(default_factory=list)
    heals: list[Span] = field(default_factory=list)
    failures: list[Mark] = field(default_factory=list)
    deeds: list[Mark] = field(default_factory=list)
    troubles: list[Span] = field(default_factory=list)
    pins: list[Span] = field(default_factory=list)
    deaths: list[Span] = field(default_factory=list)
    behind: list[Span] = field(default_factory=list)
    current: list[tuple[float, int]] = field(default_factory=list)
    lives: list[Life] = field(default_factory=list)
    in_vain: list[Mark] = field(default_factory=list)
    findings: dict[str, int] = field(default_factory=dict)
    consumers: list[Met] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def phases(self, state: State) -> Iterator[tuple[int, Phase, float | None]]:
        """Yield the number of each token that was this, the phase, and when that ended, if it has."""
        for number, life in enumerate(self.lives):
            ends = [phase.at for phase in life.phases[1:]]
            for phase, end in zip(life.phases, [*ends, None], strict=True):
                if phase.state is state:
                    yield number, phase, end


def dump(chronicle: Chronicle) -> str:
    """Return it as JSON, an entry a line, in whole seconds."""
    lines = []
    for name, value in asdict(chronicle).items():
        entries = [f"\n  {json.dumps(_rounded(entry))}" for entry in value] if isinstance(value, list) else []
        text = f"[{','.join(entries)}\n ]" if entries else json.dumps(value)
        lines.append(f" {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def load(text: str) -> Chronicle:
    """Return what was dumped."""
    read = json.loads(text)
    return Chronicle(
        stretch=Stretch(**read["stretch"]),
        rotations=[Span(**one) for one in read["rotations"]],
        heals=[Span(**one) for one in read["heals"]],
        failures=[Mark(**one) for one in read["failures"]],
        deeds=[Mark(**one) for one in read["deeds"]],
        troubles=[Span(**one) for one in read["troubles"]],
        pins=[Span(**one) for one in read["pins"]],
        deaths=[Span(**one) for one in read["deaths"]],
        behind=[Span(**one) for one in read["behind"]],
        current=[(at, token) for at, token in read["current"]],
        lives=[
            Life(one["origin"], [Phase(it["at"], State(it["state"]), it["deadline"]) for it in one["phases"]])
            for one in read["lives"]
        ],
        in_vain=[Mark(**one) for one in read["in_vain"]],
        findings=read["findings"],
        consumers=[
            Met(one["name"], one["logins"], one["unanswered"], [Refusals(**run) for run in one["refusals"]])
            for one in read["consumers"]
        ],
        broken=read["broken"],
    )


def _rounded(value: Any) -> Any:
    match value:
        case float():
            return round(value)
        case dict():
            return {key: _rounded(entry) for key, entry in value.items()}
        case list() | tuple():
            return [_rounded(entry) for entry in value]
        case _:
            return value
