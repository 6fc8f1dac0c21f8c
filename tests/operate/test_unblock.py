"""`unblock`: why a rotation hangs, and AWSPENDING taken off a version that is not current."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from .aws import Secret
from .cloudformation import AwsError
from .conftest import Command
from .operated import GROUP, HOUR, Operated

# boto3 sends no shorter one.
NEW = f"new-{'0' * 32}"
OLD = {"old": ["AWSCURRENT"]}
STAGED = {"old": ["AWSCURRENT"], NEW: ["AWSPENDING"]}
PROMOTED = {"old": ["AWSPREVIOUS"], NEW: ["AWSCURRENT", "AWSPENDING"]}
DONE = {"old": ["AWSPREVIOUS"], NEW: ["AWSCURRENT"]}
REMOVES = "secretsmanager:UpdateSecretVersionStage"


@pytest.fixture
def secret(operated: Operated) -> Secret:
    secret = operated.secret()
    secret.labels = dict(STAGED)
    operated.line(secret, "createSecret", "made", version=NEW, ago=2 * HOUR)
    operated.line(secret, "testSecret", "Refused. Mend the parameter.", version=NEW, ago=HOUR, error="X")
    operated.line(secret, "testSecret", "of another version", ago=60, version="other", error="X")
    return secret


def test_it_says_why_asks_drops_it_and_offers_to_rotate_again(secret: Secret, run: Command) -> None:
    done = run("unblock", stdin="y\nn\n", at_a_terminal=True)

    assert (done.status, secret.labels) == (0, OLD)
    assert "in testSecret, 2027-01-15 07:00:10 UTC:\n  Refused. Mend the parameter." in done.out
    assert "of another version" not in done.out
    assert "cleared away by the next rotation, or by the caretaker" in done.out
    assert done.out.endswith("Once what kept it is mended: `make rotate`\n")


REMEDY = "Run `AWS_REGION=eu-central-1 make {0} PROJECT=dockerhub-rotation` (without a clone: `aws {0} x; aws {0} y`)"


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (f"Refused. {REMEDY.format('unblock')}.", "Refused."),
        (
            f"Refused. {REMEDY.format('credentials')}, then `make rotate` (without a clone: `aws rotate`).",
            f"Refused. {REMEDY.format('credentials')}.",
        ),
        ("Refused. Run `aws store` (it reads the value that you enter, until Ctrl-D), then `make rotate`.",
         "Refused. Run `aws store` (it reads the value that you enter, until Ctrl-D)."),
        ("It asked. To go on at once when that is over, run `make rotate`.", "It asked."),
        ("Run it by hand. Look.", "Run it by hand. Look."),
    ],
)  # fmt: skip
def test_what_is_asked_next_is_not_told_as_a_command_before(
    operated: Operated, secret: Secret, run: Command, message: str, told: str
) -> None:
    operated.line(secret, "testSecret", message, version=NEW, ago=60, error="X")

    done = run("unblock", stdin="n\n", at_a_terminal=True)

    assert f":\n  {told}\nAWSPENDING will be taken off" in done.out
    assert run("unblock", "--yes", "--json").json["failure"]["message"] == message


def test_a_time_that_has_passed_is_told_as_one_that_has(operated: Operated, secret: Secret, run: Command) -> None:
    said = "Not asked again until {} UTC, because it was refused at {}, for they add up to a lockout. Mend it."
    # It is 08:00 on the day; a line of shortly before midnight speaks of the next day.
    for ago, until, at, passed in (
        (60, "08:14", "07:59", False),
        (HOUR, "07:16", "07:01", True),
        (8 * HOUR + 300, "00:10", "23:55", True),
        (24 * HOUR, "08:14", "07:59", True),
    ):
        operated.aws.log[GROUP] = []
        operated.line(secret, "testSecret", said.format(until, at), version=NEW, ago=ago, error="X", to_do="mend")

        for verb in (("unblock",), ("status", "--secret", "dockerhub-token"), ("logs",)):
            out = run(*verb).out
            assert ("Not asked again" in out, f"again until {until} UTC, which has passed. Mend" in out) == (
                not passed,
                passed,
            ), (verb, ago)
        assert said.format(until, at) in run("logs", "--json").json["lines"][0]["message"]


def test_who_says_so_rotates_again_at_once(operated: Operated, secret: Secret, run: Command) -> None:
    def rotate(secret: Secret) -> str:
        assert secret.labels == OLD
        secret.labels = dict(DONE)
        return NEW

    operated.aws.rotate = rotate

    done = run("unblock", stdin="y\ny\n", at_a_terminal=True)

    assert (done.status, secret.labels) == (0, DONE)
    assert f"version {NEW} is current" in done.out


def test_awspending_goes_and_is_moved_nowhere(operated: Operated, secret: Secret, run: Command) -> None:
    """On the current version it would say that a rotation has just ended, and keep a rollback away."""
    assert run("unblock", "--yes").status == 0

    assert [json.loads(body) for body in operated.aws.bodies if "VersionStage" in body] == [
        {"SecretId": secret.arn, "VersionStage": "AWSPENDING", "RemoveFromVersionId": NEW}
    ]
    assert not any("AWSPENDING" in labels for labels in secret.labels.values())


@pytest.mark.parametrize("answer", ["n", "", "whatever"])
def test_without_a_clear_yes_nothing_is_dropped(secret: Secret, run: Command, answer: str) -> None:
    done = run("unblock", stdin=f"{answer}\n", at_a_terminal=True)

    assert (done.status, secret.labels, "Nothing is dropped." in done.err) == (1, STAGED, True)


def test_without_a_terminal_yes_has_to_be_said_beforehand(secret: Secret, run: Command) -> None:
    done = run("unblock")
    assert (done.status, secret.labels, "Run `make unblock YES=1`" in done.err) == (1, STAGED, True)

    done = run("unblock", "--yes", "--json")
    assert (done.status, secret.labels) == (0, OLD)
    assert (done.json["dropped"], done.json["failure"]["step"]) == (NEW, "testSecret")


@pytest.mark.parametrize("labels", [DONE, PROMOTED, OLD])
def test_what_is_not_pending_is_left_and_that_is_no_failure(
    operated: Operated, secret: Secret, run: Command, labels: dict[str, list[str]]
) -> None:
    secret.labels = dict(labels)

    done = run("unblock", "--yes")

    assert (done.status, secret.labels) == (0, labels)
    assert "nothing to unblock" in done.out
    assert REMOVES not in operated.aws.requests


@pytest.mark.parametrize("now", [PROMOTED, DONE, OLD])
def test_a_version_that_becomes_current_or_is_dropped_while_somebody_thinks_is_left(
    operated: Operated, secret: Secret, run: Command, meanwhile: Callable[..., None], now: dict[str, list[str]]
) -> None:
    meanwhile(lambda: setattr(secret, "labels", dict(now)))

    done = run("unblock", at_a_terminal=True)

    assert (done.status, secret.labels) == (0, now)
    assert f"Nothing is dropped: meanwhile version {NEW} is" in done.out
    assert REMOVES not in operated.aws.requests


def test_another_rotation_that_has_begun_while_somebody_thinks_is_not_dropped(
    secret: Secret, run: Command, meanwhile: Callable[..., None]
) -> None:
    another = {"old": ["AWSCURRENT"], "newer": ["AWSPENDING"]}
    meanwhile(lambda: setattr(secret, "labels", dict(another)))

    done = run("unblock", at_a_terminal=True)

    assert (done.status, secret.labels) == (1, another)
    assert "another rotation has begun, version newer" in done.err


def test_an_answer_that_is_lost_after_it_took_effect_is_no_failure(
    operated: Operated, secret: Secret, run: Command
) -> None:
    operated.aws.refuse[REMOVES] = AwsError("InternalServiceError", "lost", 500)

    done = run("unblock", "--yes")

    assert (done.status, secret.labels) == (0, OLD)


def test_a_refusal_is_told(operated: Operated, secret: Secret, run: Command) -> None:
    operated.aws.denied.add(REMOVES)

    done = run("unblock", "--yes")

    assert (done.status, secret.labels, "Not you" in done.err) == (1, STAGED, True)


def test_a_log_that_may_not_be_read_does_not_keep_it_from_its_end(
    operated: Operated, secret: Secret, run: Command
) -> None:
    operated.aws.refuse["logs:FilterLogEvents"] = AwsError("AccessDeniedException", "Not you")

    done = run("unblock", "--yes")

    assert (done.status, secret.labels) == (0, OLD)
    assert "Why it has not ended can't be told: " in done.out


def test_a_log_without_a_line_and_one_that_goes_on_are_told(operated: Operated, secret: Secret, run: Command) -> None:
    operated.aws.log[GROUP] = []
    assert "Secrets Manager may not invoke the function" in run("unblock").out

    operated.line(secret, "createSecret", "made", version=NEW, ago=20)
    assert "`make logs FOLLOW=1` shows how it goes on" in run("unblock").out


def test_a_secret_of_another_project_is_not_touched(operated: Operated, secret: Secret, run: Command) -> None:
    done = run("unblock", "--yes", "--project", "team-b")

    assert (done.status, secret.labels) == (1, STAGED)
    assert "none of project team-b's" in done.err
