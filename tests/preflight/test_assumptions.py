"""An assumption has a name, a row in the document, a measurement, and a simulator that is otherwise."""

import re
from pathlib import Path

import pytest

from dockerhub_rotation.preflight.assumptions import ASSUMPTIONS, Assumption
from dockerhub_rotation.preflight.findings import Findings, Verdict
from rehearsal.deviations import DEVIATIONS
from rehearsal.docker_hub import DockerHub
from tests.preflight.stage import furnished, run

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "assumptions.md").read_text(encoding="utf-8")
MEASURED, _, UNMEASURED = DOCUMENT.partition("## Assumed, and not measured")

each_assumption = pytest.mark.parametrize("assumption", ASSUMPTIONS, ids=lambda it: it.name)


def rows(text: str) -> list[list[str]]:
    """Return the cells of a table's rows, but for the head."""
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_document_has_a_row_for_each_assumption_that_is_measured_in_the_same_words() -> None:
    stated = [(name, needed, assumed.replace("&#124;", "|")) for name, needed, assumed, *_ in rows(MEASURED)]

    assert stated == [(it.name, "yes" if it.relied_on else "no", it.assumed) for it in ASSUMPTIONS]


def test_each_row_says_how_sure_it_is_what_covers_the_other_case_and_what_is_measured() -> None:
    assert {len(row) for row in rows(MEASURED)} == {6}
    assert {len(row) for row in rows(UNMEASURED)} == {5}
    assert all(cell for row in rows(DOCUMENT) for cell in row)


def test_no_name_is_given_twice() -> None:
    names = [row[0] for text in (MEASURED, UNMEASURED) for row in rows(text)]

    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z]+(-[a-z]+)*", name) for name in names)


def test_the_simulator_can_be_otherwise_in_each_assumption_and_in_nothing_else() -> None:
    assert set(DEVIATIONS) == {it.name for it in ASSUMPTIONS}
    assert all(issubclass(hub, DockerHub) for hub in DEVIATIONS.values())


@pytest.mark.usefixtures("clock")
def test_preflight_measures_each_assumption_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    told: set[str] = set()
    tell = Findings._tell

    def overheard(self: Findings, name: str, verdict: Verdict, seen: str) -> None:
        told.add(name)
        tell(self, name, verdict, seen)

    monkeypatch.setattr(Findings, "_tell", overheard)

    run(furnished(), try_both=True)

    assert told == {it.name for it in ASSUMPTIONS}


@each_assumption
def test_what_it_means_ends_with_something_to_set_to_do_or_to_look_at(assumption: Assumption) -> None:
    places = re.findall(r"\((\w+\.py)\)", assumption.otherwise)
    settings = set(re.findall(r"DOCKERHUB_\w+", assumption.otherwise))
    known = (ROOT / "src" / "dockerhub_rotation" / "settings.py").read_text()

    assert assumption.assumed.endswith(".")
    assert assumption.otherwise.endswith(".")
    assert all(list((ROOT / "src" / "dockerhub_rotation").rglob(place)) for place in places)
    assert all(setting in known for setting in settings)
