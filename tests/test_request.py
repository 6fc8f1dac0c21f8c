"""An event of Secrets Manager, or a task, becomes a checked value; anything else is refused and not quoted."""

import contextlib
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockerhub_rotation import request
from dockerhub_rotation.errors import EventRefused
from dockerhub_rotation.request import RotationRequest, Step, TaskName, TaskRequest

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:dockerhub-token-AbCdEf"
VERSION = "9c1d7a52-3f0e-4b8a-a6c4-5d2e8f7b1a90"
TOKEN = "6f1c0d3e-5a4b-4c7d-8e9f-0a1b2c3d4e5f"
EVENT = {"Step": "createSecret", "SecretId": ARN, "ClientRequestToken": VERSION, "RotationToken": TOKEN}

EVENTS = sorted((Path(__file__).parent.parent / "events").glob("*.json"))


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("createSecret", Step.CREATE),
        ("setSecret", Step.SET),
        ("testSecret", Step.TEST),
        ("finishSecret", Step.FINISH),
    ],
)
def test_each_of_the_four_steps_is_understood(name: str, step: Step) -> None:
    assert request.parse(EVENT | {"Step": name}) == RotationRequest(step, ARN, VERSION, TOKEN)


@pytest.mark.parametrize("absent", [{}, {"RotationToken": None}], ids=["absent", "null"])
def test_an_event_made_by_hand_needs_no_rotation_token(absent: dict[str, None]) -> None:
    event = {name: value for name, value in EVENT.items() if name != "RotationToken"} | absent

    assert request.parse(event).rotation_token is None


def test_fields_that_may_come_later_are_no_reason_to_refuse() -> None:
    assert request.parse(EVENT | {"Later": ["more"]}) == request.parse(EVENT)


def test_a_request_does_not_print_its_rotation_token() -> None:
    parsed = request.parse(EVENT)

    assert TOKEN not in f"{parsed} {parsed!r}"


def test_a_request_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        request.parse(EVENT).version_id = "another"  # type: ignore[misc]


@pytest.mark.parametrize("value", [None, "", " \n", 1, True, ["x"], {"x": "y"}], ids=repr)
@pytest.mark.parametrize("name", ["Step", "SecretId", "ClientRequestToken"])
def test_a_field_that_is_missing_is_named(name: str, value: object) -> None:
    with pytest.raises(EventRefused, match=f"no {name}"):
        request.parse(EVENT | {name: value})


def test_every_missing_field_is_named_at_once() -> None:
    with pytest.raises(EventRefused, match="no Step and no SecretId and no ClientRequestToken"):
        request.parse({})


@pytest.mark.parametrize(
    "step", ["create_secret", "CreateSecret", "createSecret ", "CREATE", "rotateSecret", "__class__"]
)
def test_a_step_is_taken_by_its_exact_name(step: str) -> None:
    with pytest.raises(EventRefused, match="createSecret, setSecret, testSecret, finishSecret"):
        request.parse(EVENT | {"Step": step})


@pytest.mark.parametrize("token", ["", " ", 7, False, [TOKEN], {"token": TOKEN}], ids=repr)
def test_a_rotation_token_that_is_no_text_is_refused_and_not_quoted(token: object) -> None:
    with pytest.raises(EventRefused) as refusal:
        request.parse(EVENT | {"RotationToken": token})

    assert TOKEN not in str(refusal.value)
    assert (refusal.value.__cause__, refusal.value.__context__) == (None, None)


@pytest.mark.parametrize("event", [None, [], [EVENT], json.dumps(EVENT), 4, True], ids=str)
def test_what_is_no_object_is_refused(event: object) -> None:
    with pytest.raises(EventRefused, match="not an object"):
        request.parse(event)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "Step": json_values | st.sampled_from([step.value for step in Step]),
            "SecretId": json_values,
            "ClientRequestToken": json_values,
            "RotationToken": json_values,
        },
    )
    | json_values
)
def test_any_event_is_a_request_or_is_refused(event: Any) -> None:
    try:
        parsed = request.parse(event)
    except EventRefused:
        return
    assert parsed.step.value == event["Step"]
    assert (parsed.secret_id, parsed.version_id) == (event["SecretId"], event["ClientRequestToken"])
    assert parsed.rotation_token == event.get("RotationToken")


def test_the_sample_events_are_understood_unless_they_show_what_is_refused() -> None:
    understood = set()
    for path in EVENTS:
        with contextlib.suppress(EventRefused):
            request.parse(json.loads(path.read_text(encoding="utf-8")))
            understood.add(path.stem)

    assert {path.stem for path in EVENTS} - understood == {"missing_field", "unknown_step"}


# Tasks

FIELDS = ["Task", "SecretId", "VersionId", "Step"]


def test_a_task_is_understood_for_all_secrets_or_for_one() -> None:
    assert request.parse_task({"Task": "Reconcile"}) == TaskRequest(TaskName.RECONCILE, None)
    assert request.parse_task({"Task": "Reconcile", "SecretId": ARN}) == TaskRequest(TaskName.RECONCILE, ARN)
    assert request.parse_task({"Task": "Retire", "SecretId": ARN}) == TaskRequest(TaskName.RETIRE, ARN)
    assert request.parse_task({"Task": "Preflight"}) == TaskRequest(TaskName.PREFLIGHT)


@pytest.mark.parametrize("version", ["9c1d7a52-3f0e-4b8a-a6c4-5d2e8f7b1a90", "v" * 32, "V+" * 32])
def test_a_rollback_names_secret_and_version(version: str) -> None:
    asked = {"Task": "Rollback", "SecretId": ARN, "VersionId": version}

    assert request.parse_task(asked) == TaskRequest(TaskName.ROLLBACK, ARN, version)


@pytest.mark.parametrize("task", [task.value for task in TaskName])
@pytest.mark.parametrize("fields", [{"SecretId": "dckr_pat_marker"}, {"SecretId": ARN, "VersionId": "dckr_pat_marker"}])
def test_what_was_pasted_into_a_wrong_field_is_not_quoted(task: str, fields: dict[str, str]) -> None:
    with pytest.raises(EventRefused) as refused:
        request.parse_task({"Task": task, **fields})

    assert "marker" not in str(refused.value)


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_a_secret_of_any_partition_may_be_named(partition: str) -> None:
    arn = ARN.replace("arn:aws:", f"arn:{partition}:")

    assert request.parse_task({"Task": "Retire", "SecretId": arn}).secret_arn == arn


@pytest.mark.parametrize("name", ["Retire", "Reconcile", "Rollback", "Preflight", "retire", "", None])
def test_a_step_asks_for_no_task(name: object) -> None:
    with pytest.raises(EventRefused, match="Send it to the caretaker"):
        request.parse(EVENT | {"Task": name})


@given(
    st.recursive(
        st.none() | st.booleans() | st.text() | st.integers(),
        lambda of: st.lists(of) | st.dictionaries(st.sampled_from(FIELDS) | st.text(), of),
    )
)
def test_whatever_is_no_task_is_refused_without_being_quoted(event: object) -> None:
    with pytest.raises(EventRefused) as refused:
        request.parse_task(event)

    assert len(str(refused.value)) < 300
