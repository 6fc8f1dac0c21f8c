"""`rollback`: which version it is, what is said of it, and the task that the caretaker is sent; twice is once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from .aws import Secret
from .cloudformation import AwsError
from .conftest import Command
from .operated import CARETAKER, DONE, Operated

BACK = {"old": ["AWSCURRENT"], "new": ["AWSPREVIOUS"]}


@pytest.fixture
def secret(operated: Operated) -> Secret:
    """Return a secret whose caretaker rolls it back."""
    secret = operated.secret()

    def roll_back(name: str, event: Any) -> dict[str, Any]:
        assert name == CARETAKER
        operated.tasks.append(event)
        moved = "AWSCURRENT" not in secret.labels[event["VersionId"]]
        secret.labels = {it: [] for it in secret.labels} | dict(BACK)
        until = {"Replaced": "new", "ReplacedUntil": "20270116T080010Z"}
        return {"Task": "Rollback", "Message": "AWSCURRENT is version old again.", "Moved": moved, **until}

    operated.aws.invoked = roll_back
    return secret


def task(secret: Secret, version: str = "old") -> dict[str, str]:
    return {"Task": "Rollback", "SecretId": secret.arn, "VersionId": version}


def test_it_says_what_will_happen_asks_and_has_the_caretaker_do_it(
    operated: Operated, secret: Secret, run: Command
) -> None:
    done = run("rollback", stdin="y\n", at_a_terminal=True)

    assert (done.status, secret.labels, operated.tasks) == (0, BACK, [task(secret)])
    assert "from version new\n  to   version old (AWSPREVIOUS)" in done.out
    assert "If a token has leaked, this is not the way: `make rotate LEAKED=1`" in done.out
    assert "the deadline of the token of version new: 2027-01-16 08:00:10 UTC" in done.out


def test_twice_is_once(operated: Operated, secret: Secret, run: Command) -> None:
    """AWSPREVIOUS is on the newer version then, and to go back to that would undo it."""
    assert run("rollback", "--yes").status == 0
    done = run("rollback", "--yes")

    assert (done.status, secret.labels, len(operated.tasks)) == (0, BACK, 1)
    assert "has been rolled back already. To go forward again: `make rollback VERSION=new`" in done.out


def test_versions_of_the_same_second_are_not_taken_for_rolled_back(
    operated: Operated, secret: Secret, run: Command
) -> None:
    secret.made = dict.fromkeys(secret.made, 1.0)

    assert (run("rollback", "--yes").status, secret.labels) == (0, BACK)


def test_a_version_that_is_named_and_current_is_sent_again_without_a_question(
    operated: Operated, secret: Secret, run: Command
) -> None:
    """What has died after the move is brought to its end."""
    secret.labels = dict(BACK)

    done = run("rollback", "--version", "old", "--json")

    assert (done.status, operated.tasks) == (0, [task(secret)])
    assert (done.json["version"], done.json["rolled_back"]["Moved"]) == ("old", False)


def test_forward_again_is_possible_by_name(operated: Operated, secret: Secret, run: Command) -> None:
    secret.labels = dict(BACK)

    assert run("rollback", "--version", "new", "--yes").status == 0
    assert operated.tasks == [task(secret, "new")]


@pytest.mark.parametrize(
    ("labels", "arguments", "said"),
    [
        ({"new": ["AWSCURRENT"]}, (), "no version under AWSPREVIOUS: there is nothing to go back to. `make rotate`"),
        ({**DONE, "x": ["AWSPENDING"]}, (), "version x is AWSPENDING"),
        (DONE, ("--version", "x"), "no version x with a staging label. It has old (AWSPREVIOUS), new (AWSCURRENT)"),
        (DONE, ("--version", '"*"'), "is no id of a version"),
        (DONE, (), "nobody is there to confirm it. Run `make rollback VERSION=old YES=1`"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_has_changed(
    operated: Operated,
    secret: Secret,
    run: Command,
    labels: dict[str, list[str]],
    arguments: tuple[str, ...],
    said: str,
) -> None:
    secret.labels = dict(labels)

    done = run("rollback", *arguments)

    assert (done.status, operated.tasks, secret.labels) == (1, [], labels)
    assert said in done.err


# boto3 sends no shorter one.
NEW = f"new-{'0' * 32}"
LEFT = {"old": ["AWSPREVIOUS"], NEW: ["AWSCURRENT", "AWSPENDING"]}


@pytest.fixture
def left(operated: Operated, secret: Secret) -> Secret:
    """Return the secret after a rotation that ended three days ago, and has left AWSPENDING where it was."""
    secret.labels = dict(LEFT)
    secret.made = {"old": secret.made["old"], NEW: secret.made["new"]}
    return secret


def never_rotated(left: Secret, operated: Operated) -> None:
    left.described.pop("LastRotatedDate")


def rotated_before(left: Secret, operated: Operated) -> None:
    left.described["LastRotatedDate"] = left.made["old"]


def finished(left: Secret, operated: Operated) -> None:
    rotated_before(left, operated)
    operated.line(left, "finishSecret", "retired", version=NEW)


def failed(left: Secret, operated: Operated) -> None:
    rotated_before(left, operated)
    operated.line(left, "finishSecret", "not retired", version=NEW, error="RetirementFailed")


def at_work(left: Secret, operated: Operated) -> None:
    rotated_before(left, operated)
    operated.line(left, "testSecret", "it logs in", version=NEW)


def unknown(left: Secret, operated: Operated) -> None:
    operated.aws.refuse["secretsmanager:ListSecretVersionIds"] = AwsError("AccessDeniedException", "Not you")


@pytest.mark.parametrize("ended", [lambda *_: None, finished])
def test_awspending_that_a_rotation_has_left_is_taken_off_first(
    operated: Operated, left: Secret, run: Command, ended: Callable[[Secret, Operated], None]
) -> None:
    """The caretaker refuses while it is there."""
    ended(left, operated)
    sent = operated.aws.invoked

    def roll_back(name: str, event: Any) -> dict[str, Any] | bytes:
        assert not any("AWSPENDING" in labels for labels in left.labels.values())
        return sent(name, event)

    operated.aws.invoked = roll_back

    done = run("rollback", stdin="y\n", at_a_terminal=True)

    assert (done.status, operated.tasks) == (0, [task(left)])
    assert f"AWSPENDING stayed on version {NEW}, whose rotation has ended: it is taken off first." in done.out


@pytest.mark.parametrize("how", [{"stdin": "n\n", "at_a_terminal": True}, {}])
def test_without_a_yes_it_stays(operated: Operated, left: Secret, run: Command, how: dict[str, Any]) -> None:
    assert (run("rollback", **how).status, left.labels, operated.tasks) == (1, LEFT, [])


@pytest.mark.parametrize("not_ended", [never_rotated, rotated_before, failed, at_work, unknown])
def test_awspending_stays_unless_the_rotation_is_known_to_have_ended(
    operated: Operated, left: Secret, run: Command, not_ended: Callable[[Secret, Operated], None]
) -> None:
    not_ended(left, operated)

    done = run("rollback", "--yes")

    assert (done.status, left.labels, operated.tasks) == (1, LEFT, [])
    assert "has promoted it, but not ended" in done.err
    assert f"--version-stage AWSPENDING --remove-from-version-id {NEW}" in done.err


def test_a_rotation_that_begins_while_somebody_thinks_keeps_its_label(
    operated: Operated, left: Secret, run: Command, meanwhile: Callable[..., None]
) -> None:
    begun = {"old": ["AWSPREVIOUS"], NEW: ["AWSCURRENT"], "x": ["AWSPENDING"]}
    meanwhile(lambda: setattr(left, "labels", dict(begun)))

    operated.aws.invoked = lambda name, event: {"errorMessage": "Version x is AWSPENDING."}

    done = run("rollback", at_a_terminal=True)

    assert (done.status, left.labels) == (1, begun)


def test_a_no_is_a_no(operated: Operated, secret: Secret, run: Command) -> None:
    done = run("rollback", stdin="n\n", at_a_terminal=True)

    assert (done.status, operated.tasks, "Nothing is moved." in done.err) == (1, [], True)


def test_whether_it_has_been_done_is_not_guessed(operated: Operated, secret: Secret, run: Command) -> None:
    operated.aws.refuse["secretsmanager:ListSecretVersionIds"] = AwsError("AccessDeniedException", "Not you")

    done = run("rollback", "--yes")

    assert (done.status, operated.tasks) == (1, [])
    assert "name the version: `make rollback VERSION=old`" in done.err
    assert run("rollback", "--yes", "--version", "old").status == 0


def test_without_a_caretaker_nothing_is_asked(operated: Operated, secret: Secret, run: Command) -> None:
    operated.aws.functions.clear()

    done = run("rollback", "--yes")

    assert (done.status, "Run `make deploy-caretaker`, then this again." in done.err) == (1, True)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"errorMessage": "It has expired. Rotate."}, "It has expired. Rotate.\nMend what is said there"),
        (
            {"errorMessage": "The event's Task is none of Reconcile, Retire.", "errorType": "EventRefused"},
            "older than these commands: run `make deploy` first",
        ),
    ],
)
def test_an_error_of_the_caretakers_is_told_with_how_to_send_the_task_again(
    operated: Operated, secret: Secret, run: Command, answer: dict[str, Any], said: str
) -> None:
    operated.aws.invoked = lambda name, event: answer

    done = run("rollback", "--yes")

    assert (done.status, said in done.err) == (1, True)
    assert "`make rollback VERSION=old YES=1`, or without these commands:\n  echo " in done.err


REMEDY = "Run `AWS_REGION=eu-central-1 make rotate SECRET=dockerhub-token` (without a clone: `aws ...`)."


@pytest.mark.parametrize(("labels", "where"), [(DONE, "new"), (BACK, "old")], ids=["not moved", "moved"])
@pytest.mark.parametrize(
    "failure",
    [
        f"The token has expired, and nobody can bring it back. Nothing was changed. Make a new one. {REMEDY}",
        f"It is refused since. AWSCURRENT could not be moved back, so consumers may be refused. {REMEDY}",
        f"PATCH: Docker Hub did not answer. {REMEDY}",
    ],
)
def test_where_awscurrent_is_after_an_error_is_what_aws_says(
    operated: Operated,
    secret: Secret,
    run: Command,
    failure: str,
    labels: dict[str, list[str]],
    where: str,
) -> None:
    def fail(_: str, __: Any) -> dict[str, Any]:
        secret.labels = dict(labels)
        return {"errorMessage": failure}

    operated.aws.invoked = fail

    done = run("rollback", "--yes")

    assert (done.status, failure in done.err, "is not known" in done.err) == (1, True, False)
    assert f"AWSCURRENT is on version {where} now." in done.err
    assert "Mend what is said there" not in done.err


def test_where_awscurrent_is_that_may_not_be_read_after_an_error_is_not_known(
    operated: Operated, secret: Secret, run: Command
) -> None:
    def fail(_: str, __: Any) -> dict[str, Any]:
        operated.aws.refuse["secretsmanager:DescribeSecret"] = AwsError("AccessDeniedException", "Not you")
        return {"errorMessage": f"It has expired. {REMEDY}"}

    operated.aws.invoked = fail

    done = run("rollback", "--yes")

    assert (done.status, "Where AWSCURRENT is now is not known: " in done.err) == (1, True)


def test_an_answer_that_is_lost_is_asked_for_once(operated: Operated, secret: Secret, run: Command) -> None:
    operated.aws.broken["lambda:Invoke"] = ReadTimeoutError(endpoint_url="https://lambda")

    done = run("rollback", "--yes")

    assert (done.status, operated.aws.requests.count("lambda:Invoke")) == (1, 1)
    assert "It may go on for 15 minutes at most" in done.err
    assert "AWSCURRENT is on version new now." in done.err
