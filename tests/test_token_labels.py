"""A label names the secret and the version of a token, and only what is exactly one of ours is taken for one."""

import hashlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.plan import plan
from dockerhub_rotation.secrets_manager import CURRENT, PREVIOUS, SecretVersions
from dockerhub_rotation.token_labels import (
    carries_time,
    is_anothers,
    label_for,
    names,
    said,
    until,
    version_of,
    written,
)

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:docker-hub-AbCdEf"
OTHER_ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:docker-hub-GhIjKl"
OLD, NOW = (f"0000000{n}-0000-4000-8000-000000000000" for n in (2, 3))
ROTATED = SecretVersions(
    ARN,
    rotation_enabled=True,
    labels={NOW: frozenset({CURRENT}), OLD: frozenset({PREVIOUS})},
    changed_at=0.0,
)


def labelled(label: str, *, year: int = 2020) -> Token:
    """Return an active token with a label, made long ago unless told otherwise."""
    return Token(f"the token {label}", label, active=True, created_at=datetime(year, 1, 1, tzinfo=UTC))


def test_a_label_names_the_secret_by_a_hash_and_the_version_by_its_id() -> None:
    digest = hashlib.sha256(ARN.encode()).hexdigest()[:16]

    assert label_for(ARN, NOW) == f"dockerhub-rotation/{digest}/{NOW}"


version_ids = st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=32, max_size=64)


@given(st.text(min_size=20, max_size=2048), version_ids)
def test_a_label_fits_and_is_read_back_for_its_secret_alone(arn: str, version: str) -> None:
    token = labelled(label_for(arn, version))

    assert 1 <= len(token.label) <= 100
    assert version_of(token, arn) == version
    assert version_of(token, arn + "x") is None


@pytest.mark.parametrize(
    "label",
    [
        pytest.param("", id="no label"),
        pytest.param("laptop", id="a label of somebody's own"),
        pytest.param(label_for(ARN, ""), id="our label without a version"),
        pytest.param(label_for(ARN, NOW).removesuffix(NOW).removesuffix("/"), id="our label cut off"),
        pytest.param(" " + label_for(ARN, NOW), id="our label behind a space"),
        pytest.param("old " + label_for(ARN, NOW), id="our label behind a word"),
        pytest.param(label_for(ARN, NOW).upper(), id="our label in capitals"),
        pytest.param(label_for(ARN, NOW).replace("dockerhub", "docker-hub"), id="another program's label"),
        pytest.param(label_for(ARN, NOW).replace("/", "-"), id="our label with other dividers"),
        pytest.param(label_for(ARN, NOW) + "\n", id="our label with a line break"),
        pytest.param(label_for(ARN, "x" * 65), id="our label with more than a version id"),
        pytest.param(label_for(ARN, "x" * 31), id="our label with less than a version id"),
        pytest.param(label_for(ARN, "my laptop"), id="our label on somebody's own token"),
        pytest.param(label_for(OTHER_ARN, NOW), id="another secret's label"),
        pytest.param(label_for(OTHER_ARN, NOW) + " until 20200101T000000Z", id="another secret's, with a time"),
        pytest.param(label_for(ARN, NOW) + " (copy)", id="our label with a remark behind it"),
        pytest.param(label_for(ARN, NOW) + "  until 20200101T000000Z", id="our label with a space too many"),
        pytest.param(label_for(ARN, NOW) + " until 20200101T000000Z\n", id="a time with a line break"),
        pytest.param(f"dockerhub-rotation/{hashlib.sha256(ARN.encode()).hexdigest()[:15]}/{NOW}", id="a shorter hash"),
        pytest.param(f"dockerhub-rotation/{'0' * 16}/{NOW}", id="a hash of nothing"),
    ],
)
def test_a_label_that_is_nearly_ours_is_foreign(label: str) -> None:
    token = labelled(label)

    assert version_of(token, ARN) is None
    assert plan([labelled(label_for(ARN, NOW), year=2026), token], ROTATED, {}, now=2e9) == []


TIME = datetime(2026, 11, 25, 20, 0, tzinfo=UTC).timestamp()
LONG = "a-version-id-of-64-characters-" + "x" * 34


def test_a_label_says_until_when_its_token_lives() -> None:
    label = label_for(ARN, OLD, TIME)

    assert label == f"{label_for(ARN, OLD)} until 20261125T200000Z"
    assert until(labelled(label)) == TIME
    assert version_of(labelled(label), ARN) == OLD
    assert version_of(labelled(label), OTHER_ARN) is None
    assert is_anothers(labelled(label), OTHER_ARN)


@pytest.mark.parametrize("arn", [ARN, OTHER_ARN])
@pytest.mark.parametrize("version", [OLD, LONG])
def test_a_label_names_its_version_of_whichever_secret(arn: str, version: str) -> None:
    for label in (label_for(arn, version), label_for(arn, version, TIME)):
        assert names(labelled(label), version)
        assert not names(labelled(label), NOW)
    assert not names(labelled(version), version)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this process live five hours behind UTC."""
    with monkeypatch.context() as environment:
        environment.setenv("TZ", "EST5")
        time.tzset()
        yield
    time.tzset()


def test_a_time_is_said_and_read_in_utc_whatever_the_time_zone_of_the_function(elsewhere: None) -> None:
    assert said(TIME) == "2026-11-25 20:00:00 UTC"
    assert written(TIME) == "2026-11-25T20:00:00Z"
    assert label_for(ARN, OLD, TIME).endswith(" until 20261125T200000Z")
    assert until(labelled(label_for(ARN, OLD, TIME))) == TIME


@given(version_ids, st.floats(min_value=0, max_value=4e9))
def test_a_label_with_a_time_fits_and_is_read_back_never_earlier(version: str, moment: float) -> None:
    token = labelled(label_for(ARN, version, moment))

    assert len(token.label) <= 100
    assert version_of(token, ARN, [OLD, version]) == version
    read = until(token)
    assert read is not None
    assert 0 <= read - moment <= 1


def test_a_long_version_id_is_shortened_beside_a_time_and_nowhere_else() -> None:
    short = hashlib.sha256(LONG.encode()).hexdigest()[:40]

    assert label_for(ARN, LONG) == f"{label_for(ARN, '')}{LONG}"  # older versions of this function read it whole
    assert label_for(ARN, LONG, TIME) == f"{label_for(ARN, short)} until 20261125T200000Z"
    assert label_for(ARN, "x" * 40, TIME) == f"{label_for(ARN, 'x' * 40)} until 20261125T200000Z"
    assert version_of(labelled(label_for(ARN, LONG)), ARN, [LONG]) == LONG
    assert version_of(labelled(label_for(ARN, LONG, TIME)), ARN, [OLD, LONG]) == LONG
    assert version_of(labelled(label_for(ARN, LONG, TIME)), ARN) == short
    assert version_of(labelled(label_for(ARN, LONG, TIME)), ARN, [OLD]) == short
    assert version_of(labelled(label_for(ARN, hashlib.sha256(OLD.encode()).hexdigest()[:40])), ARN, [OLD]) != OLD


@pytest.mark.parametrize(
    "garbled",
    [
        *(" until ", " until friday", " until 20261125", " until 20261125T200000", " until 20261125T200000Z "),
        *(" until 20261325T200000Z", " until 00000000T000000Z", " until 20261125T250000Z", " until 2026112T5200000Z"),
        " until 20261125T200000Z (copy)",
    ],
)
def test_a_time_that_can_not_be_read_is_none_and_the_token_stays_ours(garbled: str) -> None:
    token = labelled(label_for(ARN, OLD) + garbled)

    assert version_of(token, ARN) == OLD
    assert carries_time(token)
    assert until(token) is None


@pytest.mark.parametrize("label", [label_for(ARN, OLD), "laptop", "laptop until 20261125T200000Z"])
def test_a_label_without_a_time_says_none(label: str) -> None:
    assert not carries_time(labelled(label))
    assert until(labelled(label)) is None
