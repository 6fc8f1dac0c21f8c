"""Preflight by the caretaker: what the package measures by itself, with the credential that the function has."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from dockerhub_rotation.preflight.assumptions import ASSUMPTIONS
from rehearsal.deviations import DEVIATIONS
from rehearsal.docker_hub import Fault as HubFault
from rehearsal.sandbox import FunctionError
from rehearsal.wire import Fault, FaultKind, Request
from rehearsal.world import Scene, World
from tests.preflight.stage import state
from tests.rotation.cared import lines, metrics, names
from tests.rotation.conftest import FunctionHere
from tests.rotation.test_no_leaks import LOUD

MakeWorld = Callable[..., World]
# As the template gives it.
AS_DEPLOYED = partial(FunctionHere, timeout_seconds=900)


def preflight(world: World) -> Any:
    return world.care("Preflight")


def verdicts(answer: Any) -> dict[str, str]:
    return {row["name"]: row["verdict"] for row in answer["measured"]}


def otherwise(answer: Any) -> list[str]:
    return [name for name, verdict in verdicts(answer).items() if verdict in ("otherwise", "not seen")]


@pytest.mark.usefixtures("clock")
def test_it_answers_with_the_whole_document_and_leaves_nothing(make_world: MakeWorld) -> None:
    world = make_world(run_function=AS_DEPLOYED)
    world.rotate()
    before = world.state()

    answer = preflight(world)

    assert list(answer) == ["Task", "Message", "preflight", "holds", "measured", "failures", "swept", "left"]
    assert [row["name"] for row in answer["measured"]] == [it.name for it in ASSUMPTIONS]
    assert answer["Task"] == "Preflight"
    assert (answer["holds"], otherwise(answer), answer["failures"], answer["left"]) == (True, [], [], [])
    assert [name for name, verdict in verdicts(answer).items() if verdict == "not measured"] == ["other-login"]
    measured = len(ASSUMPTIONS) - 1
    assert answer["Message"] == f"{measured} of {len(ASSUMPTIONS)} assumptions measured; all are as assumed."
    assert world.state() == before


@pytest.mark.usefixtures("clock")
def test_it_writes_one_line_and_no_metric(make_world: MakeWorld) -> None:
    world = make_world(run_function=AS_DEPLOYED)

    answer = preflight(world)

    (line,) = lines(world)
    assert (line["level"], line["task"], line["message"]) == ("INFO", "Preflight", answer["Message"])
    assert line["docker_hub_requests"] == answer["preflight"]["requests"] > 20
    assert metrics(world) == []


@pytest.mark.usefixtures("clock")
def test_of_aws_it_asks_for_the_parameters_alone(make_world: MakeWorld) -> None:
    world = make_world(run_function=AS_DEPLOYED)

    preflight(world)

    assert {request.name for request in world.wire.requests if request.party == "AWS"} == {"GetParameters"}


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("name", ["list-shows-new-token", "registry-login", "last-used"])
def test_what_is_otherwise_is_a_result_and_no_error(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("rehearsal.world.DockerHub", DEVIATIONS[name])
    world = make_world(run_function=AS_DEPLOYED)

    answer = preflight(world)

    relied_on = {row["name"]: row["relied_on"] for row in answer["measured"]}[name]
    assert name in otherwise(answer)
    assert answer["holds"] is not relied_on
    measured = f"{sum(verdict != 'not measured' for verdict in verdicts(answer).values())} of {len(ASSUMPTIONS)}"
    assert answer["Message"] == (
        f"{measured} assumptions measured; otherwise than assumed: {', '.join(otherwise(answer))}."
        + ("" if relied_on else " No rotation relies on them.")
    )
    assert [line["level"] for line in lines(world) if "task" in line] == ["INFO"]


@pytest.mark.usefixtures("clock")
def test_all_that_is_otherwise_is_named(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    both = type("Both", (DEVIATIONS["registry-grants"], DEVIATIONS["last-used"]), {})
    monkeypatch.setattr("rehearsal.world.DockerHub", both)
    world = make_world(run_function=AS_DEPLOYED)

    answer = preflight(world)

    assert otherwise(answer) == ["last-used", "registry-grants"]
    assert "; otherwise than assumed: last-used, registry-grants." in answer["Message"]


@pytest.mark.usefixtures("clock")
def test_a_refused_password_is_the_result_is_tried_once_and_not_again_by_anything_in_this_sandbox(
    make_world: MakeWorld,
) -> None:
    world = make_world(run_function=AS_DEPLOYED)
    world.rotate()
    world.aws.put_parameter("DOCKER_HUB_PASSWORD", "not the password")

    answers = [preflight(world), preflight(world)]
    with pytest.raises(FunctionError, match="CredentialRefused: Not asked again until"):
        world.care()

    assert [otherwise(answer) for answer in answers] == [["configured-login"]] * 2
    assert [answer["preflight"]["refused_logins"] for answer in answers] == [1, 0]
    assert world.hub.refused_logins == 1


@pytest.mark.usefixtures("clock")
def test_with_one_time_codes_it_takes_one_and_refused_logins_stay_two(make_world: MakeWorld) -> None:
    world = make_world(Scene(two_factor=True), run_function=AS_DEPLOYED)

    answer = preflight(world)

    assert otherwise(answer) == []
    assert answer["preflight"]["login"] == "users-login"
    assert world.hub.refused_logins == answer["preflight"]["refused_logins"] == 2  # with the token that is disabled


def test_a_parameter_that_is_missing_is_an_error(make_world: MakeWorld) -> None:
    world = make_world(run_function=AS_DEPLOYED)
    world.aws.put_parameter("DOCKER_HUB_PASSWORD", "\n")

    with pytest.raises(FunctionError, match="ParameterUnreadable"):
        preflight(world)

    assert names(world) == ["GetParameters"]


def test_in_a_function_without_the_time_for_it_nothing_is_made(make_world: MakeWorld) -> None:
    world = make_world(run_function=partial(FunctionHere, timeout_seconds=60))
    before = state(world.hub)

    answer = preflight(world)

    assert answer["holds"] is False
    assert answer["Message"].startswith(f"0 of {len(ASSUMPTIONS)} assumptions measured. The management login: the inv")
    assert state(world.hub) == before
    assert set(names(world)) == {"GetParameters"}


@pytest.mark.parametrize("at", [6, 12, 20])
def test_when_time_gets_short_the_token_is_deleted_and_the_report_comes_in_time(
    make_world: MakeWorld, clock: Any, at: int
) -> None:
    def dawdle(request: Request) -> None:
        if request.number == at:
            clock.tick(840)

    world = make_world(on_request=dawdle, run_function=AS_DEPLOYED)
    before, began = state(world.hub), clock.now

    answer = preflight(world)

    assert "time is used up" in answer["Message"]
    assert (answer["holds"], answer["left"]) == (False, [])
    assert state(world.hub) == before
    assert clock.now - began < 895
    assert [line["level"] for line in lines(world) if "task" in line] == ["INFO"]


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("kind", [FaultKind.LOST_AFTER, FaultKind.UNAVAILABLE_AFTER, FaultKind.HTML])
@pytest.mark.parametrize("at", [2, 3, 5, 6, 9])
def test_a_fault_at_a_request_leaves_no_token(make_world: MakeWorld, at: int, kind: FaultKind) -> None:
    world = make_world(run_function=AS_DEPLOYED)
    before = state(world.hub)
    world.wire.faults.append(Fault(at, kind))

    answer = preflight(world)

    assert any(request.fault for request in world.wire.requests)
    assert state(world.hub) == before
    assert answer["left"] == []
    assert world.hub.refused_logins <= 2


@pytest.mark.usefixtures("clock")
def test_a_token_that_could_not_be_deleted_is_named_and_the_next_run_deletes_it(make_world: MakeWorld) -> None:
    world = make_world(run_function=AS_DEPLOYED)
    before = state(world.hub)
    world.hub.faults += [HubFault("DELETE", "/v2/access-tokens/*", 503, {})] * 20

    answer = preflight(world)

    (left,) = answer["left"]
    assert f"The token with the label {left} may be left at Docker Hub" in answer["Message"]
    world.hub.faults.clear()
    world.passed += 3700
    assert preflight(world)["swept"] == 1
    assert state(world.hub) == before


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("two_factor", [False, True])
def test_no_secret_value_is_in_anything_it_says(make_world: MakeWorld, two_factor: bool) -> None:
    world = make_world(Scene(environment=LOUD, two_factor=two_factor), run_function=AS_DEPLOYED)

    answer = preflight(world)

    assert len(world.secrets) > 14
    assert world.leaked(world.caretaker.log() + json.dumps(answer)) == []
