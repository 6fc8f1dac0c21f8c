"""What `make year` does: lets a stretch of time pass, shows what came of it, and draws the picture."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rehearsal.year import almanac, chronicle, picture
from rehearsal.year.almanac import Almanac, Stretch
from rehearsal.year.chronicle import Chronicle, State
from rehearsal.year.expected import Expected
from rehearsal.year.life import Life
from rehearsal.year.moments import HOUR, MINUTE
from rehearsal.year.words import interval_in_words


def show(stretch: Stretch, folder: Path, console: Console) -> bool:
    """Let it pass, show what came of it, and return whether all was as it must be.

    Args:
        folder: gets the picture, and what happened as JSON.
    """
    planned = almanac.draw(stretch)
    console.print(
        f"{stretch.days} days of one secret in virtual time: {stretch.rotations} rotations, {len(planned.looks)} looks "
        f"of the caretaker, a grace of {stretch.grace}, seed {stretch.seed}.\n"
    )
    lived = Life(planned).live()
    wrong = problems(planned, lived)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "year.json").write_text(chronicle.dump(lived))
    (folder / "year.svg").write_text(drawn(chronicle.dump(lived)))
    console.print(_table(planned, lived))
    console.print()
    for line in _told(planned, lived):
        console.print(line)
    for problem in wrong:
        console.print(Text(f"WRONG  {problem}", "red"))
    console.print(f"\nThe picture is {folder / 'year.svg'}.")
    return not wrong


def drawn(recorded: str) -> str:
    """Return the picture of what a chronicle, as it was dumped, has recorded."""
    lived = chronicle.load(recorded)
    planned = almanac.draw(lived.stretch)
    return picture.draw(lived, planned.consumers, _expected(planned, lived))


def problems(planned: Almanac, lived: Chronicle) -> list[str]:
    """Say all that is not as it must be."""
    worked_out = Expected(planned, lived)
    found = [*lived.broken, *worked_out.wrong()]
    if len(lived.rotations) != planned.stretch.rotations:
        found.append(f"{len(lived.rotations)} rotations succeeded, and {planned.stretch.rotations} should have")
    for consumer, met, expected in zip(planned.consumers, lived.consumers, _expected(planned, lived), strict=True):
        if met.refused != expected:
            found.append(f"{consumer.name} was refused {met.refused} times, and should have been {expected} times")
        patient = consumer.interval is not None and consumer.interval <= planned.stretch.grace_seconds
        if patient and met.refused > len(worked_out.whatever_the_grace(consumer)):
            found.append(f"{consumer.name} was refused, and keeps its copy no longer than the grace")
    return found


def _expected(planned: Almanac, lived: Chronicle) -> list[int]:
    expected = Expected(planned, lived)
    return [len(expected.refusals(consumer)) for consumer in planned.consumers]


def _table(planned: Almanac, lived: Chronicle) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("consumer")
    for name in ("keeps its copy", "grace", "logins", "unanswered", "refused", "expected"):
        table.add_column(name, justify="right")
    for consumer, met, expected in zip(planned.consumers, lived.consumers, _expected(planned, lived), strict=True):
        style = "green" if met.refused == expected else "red"
        table.add_row(
            consumer.name,
            interval_in_words(consumer.interval),
            planned.stretch.grace,
            str(met.logins),
            str(met.unanswered),
            Text(str(met.refused), style),
            str(expected),
        )
    return table


def _told(planned: Almanac, lived: Chronicle) -> Iterable[str]:
    longest = max((rotation.end - rotation.begin for rotation in lived.rotations), default=0.0) / HOUR
    yield (
        f"rotations          {len(lived.rotations)} succeeded, {len(lived.failures)} attempts failed; the longest took "
        f"{longest:.1f} hours"
    )
    yield f"in grace at once   {_most_in_grace(lived)} tokens at most"
    late = _late(lived)
    yield (
        f"past a deadline    {late} tokens for more than an hour, each pinned, or while the replica did not follow, "
        "the token in use was dead, or the caretaker looked in vain"
    )
    yield f"looks in vain      {len(lived.in_vain)}, each of them counted as unknown or as an error"
    said = ", ".join(f"{kind} {number}" for kind, number in sorted(lived.findings.items()))
    yield f"findings           {said or 'none'}, by the number of looks that had it"
    yield f"people             {len(lived.deeds)} acts by hand"
    refused_for = Expected(planned, lived).refused_for()
    yield (
        f"heals              {len(lived.heals)}, each begun by the first look that could; without a copy, nobody could "
        f"log in for {max(refused_for, default=0.0) / MINUTE:.0f} minutes at most"
    )


def _late(lived: Chronicle) -> int:
    spans = [(phase.deadline, end) for _, phase, end in lived.phases(State.GRACE) if phase.deadline is not None]
    last = lived.stretch.seconds
    return sum((last if end is None else end) > deadline + HOUR + 2 * MINUTE for deadline, end in spans)


def _most_in_grace(lived: Chronicle) -> int:
    ends = lived.stretch.seconds
    spans = [(phase.at, ends if end is None else end) for _, phase, end in lived.phases(State.GRACE)]
    return max((sum(begin <= at < end for begin, end in spans) for at, _ in spans), default=0)
