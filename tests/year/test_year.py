"""A stretch of time in one secret's life: nobody is refused who should not be, and nothing lingers."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from rehearsal.command_line import main
from rehearsal.year import almanac, chronicle, table
from rehearsal.year.almanac import Act, Almanac, Stretch
from rehearsal.year.chronicle import Chronicle, State
from rehearsal.year.expected import Expected
from rehearsal.year.life import Life
from rehearsal.year.moments import HOUR

ROOT = Path(__file__).parents[2]

# Of the stretches with deaths, those that have a heal, and an hour in which it was too soon for one; and of the days,
# some in which a token waits for the replica past the end of its grace.
HEALED, WAITED = (1, 3), (2, 4)


def stretch(seed: int) -> Stretch:
    """Return a day with three rotations, as full of events as a quarter of a year; every other with a replica.

    No version is old enough for a heal.
    """
    return Stretch(seed=seed, days=1, rotations=3, grace="3h", deaths=0, replica=seed % 2 == 0)


def with_deaths(seed: int) -> Stretch:
    """Return some days in which somebody takes the token in use away, once it is old enough for a heal, and before."""
    return Stretch(seed=seed, days=5, rotations=2, grace="10m", deaths=2)


def lived(seed: int) -> tuple[Almanac, Chronicle]:
    planned = almanac.draw(stretch(seed))
    return planned, Life(planned).live()


@pytest.mark.parametrize("seed", range(1, 21))
def test_every_consumer_is_refused_as_often_as_its_interval_says_and_nothing_lingers(seed: int) -> None:
    planned, happened = lived(seed)

    assert table.problems(planned, happened) == []
    assert any(met.refused for met in happened.consumers)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_consumer_whose_copy_expires_is_refused_from_then_on_and_what_has_expired_goes(seed: int) -> None:
    """Some expire under AWSCURRENT, where a rotation was late or somebody has moved it back."""
    planned = almanac.draw(Stretch(seed=seed, days=6, rotations=5, grace="3h", expiry=1, deaths=0, replica=False))
    happened = Life(planned).live()

    assert table.problems(planned, happened) == []
    assert happened.findings["ExpiresBeforeRotation"]
    assert happened.heals


@pytest.mark.parametrize("seed", HEALED)
def test_a_token_that_is_taken_away_in_use_is_replaced_by_the_first_look_that_may(seed: int) -> None:
    """The grace of ten minutes is an hour, for there is a replica."""
    planned = almanac.draw(with_deaths(seed))
    happened = Life(planned).live()

    assert table.problems(planned, happened) == []
    assert happened.heals
    assert happened.findings["HealTooSoon"]
    refused = {met.name: met.refused for met in happened.consumers}
    assert refused["ECS and Batch"] == len(Expected(planned, happened).whatever_the_grace(planned.consumers[0])) > 0


def test_a_token_stays_active_while_the_replica_does_not_follow_and_no_longer() -> None:
    """Its consumers are never refused; that nothing lingers past its mending is one of the problems."""
    lives = [lived(seed) for seed in WAITED]

    for planned, happened in lives:
        assert table.problems(planned, happened) == []
        assert happened.findings["ReplicaBehind"]
        assert [met.refused for met in happened.consumers if met.name == "ECS in another Region"] == [0]
    kept = [end - (phase.deadline or end) for _, one in lives for _, phase, end in one.phases(State.GRACE) if end]
    assert max(kept) > HOUR


def test_the_stretches_have_all_acts_and_troubles() -> None:
    planned = [almanac.draw(stretch(seed)) for seed in range(1, 21)] + [almanac.draw(with_deaths(it)) for it in HEALED]

    assert {deed.act for one in planned for deed in one.deeds} == set(Act)
    assert {spell.trouble for one in planned for spell in one.spells} == set(almanac.Trouble)


def test_a_stretch_repeated_is_the_same_stretch() -> None:
    assert chronicle.dump(lived(3)[1]) == chronicle.dump(lived(3)[1])


def test_a_token_that_somebody_disables_in_its_grace_is_noticed() -> None:
    """The figures are not those of the simulator: what it does beside the rules shows."""
    planned = almanac.draw(stretch(2))
    life = Life(planned)
    world = life.world

    def disable_what_is_in_grace() -> None:
        while not any(True for _ in world.chronicle.phases(State.GRACE)):
            world.time.sleep(60)
        token = next(it for it in world.hub.tokens.values() if it.active and " until " in it.label)
        token.active = False
        world.take_as_it_is()

    world.time.thread(target=disable_what_is_in_grace, daemon=True).start()
    problems = table.problems(planned, life.live())

    assert any("before its deadline" in problem for problem in problems)
    assert any("was refused" in problem and "should have been" in problem for problem in problems)


def test_a_token_that_nobody_retires_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dockerhub_rotation.tasks.reconcile.retirement.plan", lambda *_, **__: [])
    planned, happened = lived(2)

    problems = table.problems(planned, happened)

    assert any("lingered" in problem for problem in problems)


def test_a_consumer_that_keeps_its_copy_for_less_than_the_grace_must_never_be_refused() -> None:
    planned, happened = lived(1)
    happened.consumers[5].refusals.append(chronicle.Refusals(0, 0, 1))

    assert "External Secrets was refused, and keeps its copy no longer than the grace" in table.problems(
        planned, happened
    )


def test_what_was_dumped_is_loaded_as_it_was() -> None:
    text = chronicle.dump(lived(1)[1])

    assert chronicle.dump(chronicle.load(text)) == text


# The picture in docs


RECORDED = (ROOT / "docs/year.json").read_text()


def test_the_picture_in_docs_is_drawn_from_what_was_recorded() -> None:
    """Draw it anew with `make year ARGS="--to docs"` after a change of the drawing."""
    assert (ROOT / "docs/year.svg").read_text() == table.drawn(RECORDED)


def test_what_was_recorded_is_a_year_in_which_all_was_as_it_must_be() -> None:
    """Record it anew with `make year ARGS="--to docs"` after a change of what is drawn by lot."""
    happened = chronicle.load(RECORDED)
    planned = almanac.draw(happened.stretch)

    assert happened.stretch == Stretch()
    assert len(happened.heals) == len(happened.deaths) == Stretch().deaths
    assert happened.findings["ReplicaBehind"]
    assert table.problems(planned, happened) == []
    assert [len(consumer.uses) for consumer in planned.consumers] == [met.logins for met in happened.consumers]
    assert {round(deed.at) for deed in planned.deeds} >= {deed.at for deed in happened.deeds}


def test_the_picture_is_well_formed_needs_nothing_from_elsewhere_and_says_in_words_what_it_shows() -> None:
    text = (ROOT / "docs/year.svg").read_text()
    root = ET.fromstring(text)  # noqa: S314 - our own
    named = {element.get("id"): element.text for element in root.iter() if element.get("id")}

    assert not re.search(r"(href|url\(|@import|<script)", text)
    assert root.get("role") == "img"
    assert all(named[name] for name in (root.get("aria-labelledby") or "").split())


def test_each_token_and_each_consumer_has_a_line_of_its_own() -> None:
    happened = chronicle.load(RECORDED)
    root = ET.fromstring(table.drawn(RECORDED))  # noqa: S314 - our own
    texts = [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]

    for number, life in enumerate(happened.lives):
        assert f"{number + 1}, {life.origin}" in texts
    for met in happened.consumers:
        assert any(text.startswith(f"{met.name}: ") for text in texts)


def test_the_command_shows_a_table_draws_the_picture_and_ends_well(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rehearsal.command_line.Stretch", stretch)

    assert main(["year", "--seed", "7", "--to", str(tmp_path / "new")]) == 0

    printed = capsys.readouterr().out
    rows = {line[:26].strip(): line[26:].split() for line in printed.splitlines()}
    assert rows["docker login, weekly"][-1] == rows["docker login, weekly"][-2] != "0"
    assert (tmp_path / "new/year.svg").read_text().startswith("<svg")


def test_the_command_fails_if_a_consumer_was_refused_otherwise_than_expected(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rehearsal.command_line.Stretch", stretch)
    monkeypatch.setattr(Expected, "refusals", lambda *_: [])

    assert main(["year", "--to", str(tmp_path)]) == 1

    assert "WRONG  Argo CD Image Updater was refused" in capsys.readouterr().out


def test_the_grace_is_the_templates_default() -> None:
    template = (ROOT / "infra/secret.yaml").read_text()

    defaults = re.findall(r"^  GracePeriod:\n.*\n    Type: String\n    Default: (\S+)$", template, re.MULTILINE)
    assert defaults == [Stretch().grace]
