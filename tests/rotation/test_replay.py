"""The sample events, each in the situation it belongs to, and the state of the world afterwards."""

import json
from pathlib import Path

import pytest

from rehearsal.replay import replay
from rehearsal.world import State, StepRun

EVENTS = Path(__file__).parents[2] / "events"
VERSION = "9c1d7a52-3f0e-4b8a-a6c4-5d2e8f7b1a90"


def active(state: State) -> set[str]:
    return {uuid for uuid, (_, is_active) in state.tokens.items() if is_active}


def replayed(name: str) -> StepRun:
    return replay(EVENTS / f"{name}.json")


def test_create_secret_makes_one_token_and_stages_it() -> None:
    shown = replayed("create_secret")

    (made,) = set(shown.after.tokens) - set(shown.before.tokens)
    assert shown.error is None
    assert made in active(shown.after)
    assert shown.after.tokens[made][0].endswith(VERSION)
    assert VERSION in shown.after.filled - shown.before.filled
    assert shown.after.labels == shown.before.labels


@pytest.mark.parametrize("name", ["create_secret_again", "set_secret", "test_secret", "test_secret_alone"])
def test_these_change_nothing(name: str) -> None:
    shown = replayed(name)

    assert shown.error is None
    assert shown.after == shown.before


def test_finish_secret_promotes_the_version_and_disables_what_it_supersedes() -> None:
    shown = replayed("finish_secret")

    assert shown.error is None
    assert shown.after.holder("AWSCURRENT") == VERSION
    assert shown.after.holder("AWSPREVIOUS") == shown.before.holder("AWSCURRENT")
    assert len(active(shown.before) - active(shown.after)) == 1
    assert set(shown.after.tokens) == set(shown.before.tokens)


def test_finish_secret_again_disables_what_the_first_try_left_active() -> None:
    shown = replayed("finish_secret_again")

    assert shown.error is None
    assert shown.before.holder("AWSCURRENT") == VERSION
    assert shown.after.labels == shown.before.labels
    assert len(active(shown.before) - active(shown.after)) == 1


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("unknown_step", "EventRefused: The event's Step is none of createSecret"),
        ("missing_field", "EventRefused: The event has no ClientRequestToken"),
    ],
)
def test_these_are_refused_and_change_nothing(name: str, error: str) -> None:
    shown = replayed(name)

    assert (shown.error or "").startswith(error)
    assert shown.after == shown.before


def test_every_sample_event_is_stated_here() -> None:
    stated = {
        "create_secret", "create_secret_again", "set_secret", "test_secret", "test_secret_alone",
        "finish_secret", "finish_secret_again", "unknown_step", "missing_field",
    }  # fmt: skip

    assert {path.stem for path in EVENTS.glob("*.json")} == stated
    assert all(isinstance(json.loads(path.read_text()), dict) for path in EVENTS.glob("*.json"))
