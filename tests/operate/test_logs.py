"""`logs`: one rotation's lines, filtered on the server, in order, and followed to its end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from operate.show import Show

from . import aws
from .aws import Secret
from .cloudformation import AwsError
from .conftest import Command, forget
from .operated import DONE, GROUP, HOUR, PROMOTED, STAGED, Operated


@pytest.fixture
def secret(operated: Operated) -> Secret:
    secret = operated.secret()
    operated.line(secret, "finishSecret", "retired", ago=100)
    operated.line(secret, "testSecret", "refused", ago=HOUR, error="CredentialRefused", to_do="mend")
    operated.line(secret, "createSecret", "made", ago=2 * HOUR)
    operated.line(secret, "createSecret", "of before", ago=50, version="old")
    return secret


def told(done: Any) -> list[str]:
    return [line["message"] for line in done.json["lines"]]


def test_the_current_version_s_rotation_is_shown_in_order_across_steps_and_attempts(
    operated: Operated, secret: Secret, run: Command
) -> None:
    operated.aws.log[GROUP].reverse()

    done = run("logs")

    assert done.status == 0
    assert done.out.splitlines()[1:] == [
        f"{secret.arn}: version new (AWSCURRENT)",
        "2027-01-15 06:00:10 UTC  INFO     createSecret  made",
        "2027-01-15 07:00:10 UTC  ERROR    testSecret    refused",
        "2027-01-15 07:58:30 UTC  INFO     finishSecret  retired",
    ]


def test_the_server_filters(operated: Operated, secret: Secret, run: Command) -> None:
    forget(operated.aws)
    run("logs")

    asked = [json.loads(it) for it in operated.aws.bodies if "logGroupName" in it]
    assert {it["filterPattern"] for it in asked} == {'{ $.correlation_id = "new" }'}
    assert {it["logGroupName"] for it in asked} == {GROUP}


def test_the_one_under_way_comes_before_the_current_and_any_can_be_named(
    operated: Operated, secret: Secret, run: Command
) -> None:
    assert told(run("logs", "--json", "--version", "old")) == ["of before"]

    secret.labels = dict(STAGED)
    done = run("logs", "--json")
    assert (done.json["version"], done.json["staging_labels"]) == ("new", ["AWSPENDING"])
    assert done.json["lines"][1].items() >= {"error": "CredentialRefused", "to_do": "mend"}.items()


@pytest.mark.parametrize("version", ['x" }', "*", "a b", "a" * 65])
def test_a_version_that_would_be_another_pattern_is_refused(
    operated: Operated, secret: Secret, run: Command, version: str
) -> None:
    done = run("logs", "--version", version)

    assert (done.status, "is no id of a version" in done.err) == (1, True)
    assert "logs:FilterLogEvents" not in operated.aws.requests


def test_a_server_that_filters_nothing_shows_no_other_rotation(
    secret: Secret, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As emulators do with a pattern that they do not know."""
    monkeypatch.setattr(aws, "_lets_through", lambda pattern, message: True)

    assert told(run("logs", "--json")) == ["made", "refused", "retired"]


def test_it_is_followed_until_it_has_ended(operated: Operated, secret: Secret, run: Command, clock: Any) -> None:
    secret.labels = dict(STAGED)
    operated.aws.log[GROUP] = []
    operated.aws.later(3, lambda: operated.line(secret, "testSecret", "refused", ago=0, error="X"))
    operated.aws.later(9, lambda: operated.line(secret, "testSecret", "tried again", ago=0))
    operated.aws.later(12, lambda: setattr(secret, "labels", dict(PROMOTED)))
    operated.aws.later(14, lambda: operated.line(secret, "finishSecret", "retired", ago=0))

    done = run("logs", "--follow", "--json")

    assert (done.status, told(done)) == (0, ["refused", "tried again", "retired"])
    assert done.err.count("tried again") == 1
    assert sum(clock.sleeps) < 20
    assert done.json["staging_labels"] == ["AWSCURRENT", "AWSPENDING"]


def test_a_line_of_an_earlier_step_that_arrives_late_is_shown_and_told_in_order(
    operated: Operated, secret: Secret, run: Command
) -> None:
    secret.labels = dict(STAGED)
    operated.aws.later(3, lambda: operated.line(secret, "testSecret", "late", ago=HOUR))
    operated.aws.later(6, lambda: setattr(secret, "labels", dict(DONE)))

    done = run("logs", "--follow", "--json")

    assert told(done) == ["made", "refused", "late", "retired"]
    assert done.err.count("late") == 1


def test_one_that_is_given_up_ends_too_and_is_no_success(operated: Operated, secret: Secret, run: Command) -> None:
    secret.labels = dict(STAGED)
    operated.aws.later(5, lambda: setattr(secret, "labels", {"old": ["AWSCURRENT"]}))

    done = run("logs", "--follow")

    assert (done.status, "version new was given up" in done.out) == (1, True)


def test_one_whose_last_line_never_comes_ends_after_a_while(
    operated: Operated, secret: Secret, run: Command, clock: Any
) -> None:
    secret.labels = dict(STAGED)
    operated.aws.log[GROUP] = operated.aws.log[GROUP][:1]
    operated.line(secret, "createSecret", "made")
    operated.aws.later(5, lambda: setattr(secret, "labels", dict(DONE)))

    assert run("logs", "--follow").status == 0
    assert sum(clock.sleeps) < 40


def test_one_that_is_promoted_and_has_not_retired_is_followed_too(
    operated: Operated, secret: Secret, run: Command, clock: Any
) -> None:
    secret.labels = dict(PROMOTED)
    operated.aws.log[GROUP] = []
    operated.line(secret, "finishSecret", "an old token is active", error="RetirementFailed")

    assert run("logs", "--follow").status == 1

    operated.aws.later(6, lambda: operated.line(secret, "finishSecret", "retired", ago=0))
    assert run("logs", "--follow").status == 0


def test_one_that_has_ended_is_not_waited_for(secret: Secret, run: Command, clock: Any) -> None:
    assert run("logs", "--follow").status == 0
    assert clock.sleeps == []


def test_who_stops_it_is_told_that_it_goes_on(secret: Secret, run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    secret.labels = dict(STAGED)

    def stop(show: Show, text: str) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(Show, "waiting", stop)

    done = run("logs", "--follow")

    assert (done.status, "what AWS has begun goes on there" in done.err) == (130, True)


def test_no_line_looks_like_another_or_moves_the_cursor(operated: Operated, secret: Secret, run: Command) -> None:
    """A message may quote what is somebody else's."""
    others = "bad\n2027-01-15 07:58:30 UTC  INFO     finishSecret  retired\r\x1b[1A\x1b[2K\ud800"
    operated.line(secret, "testSecret", others, ago=10, error="X")

    shown = run("logs").out.splitlines()

    assert len(shown) == 2 + 4
    quoted = "bad 2027-01-15 07:58:30 UTC  INFO     finishSecret  retired \\x1b[1A\\x1b[2K\\ud800"
    assert shown[-1].endswith(f"ERROR    testSecret    {quoted}")
    assert run("logs", "--json").json["lines"][-1]["step"] == "testSecret"


def test_a_log_without_a_line_and_one_that_is_not_there_prove_nothing(
    operated: Operated, secret: Secret, run: Command
) -> None:
    del operated.aws.log[GROUP]

    done = run("logs")

    assert (done.status, f"{GROUP} has no line about it" in done.out) == (1, True)


def test_a_version_that_there_is_none_of_is_told_with_those_that_there_are(secret: Secret, run: Command) -> None:
    done = run("logs", "--version", "nope")

    assert done.status == 1
    assert "Nor has the secret a version of that id with a staging label. It has " in done.out
    assert all(version in done.out for version in secret.labels)
    assert "LogRetentionDays" not in done.out


def test_a_log_that_may_not_be_read_is_told(operated: Operated, secret: Secret, run: Command) -> None:
    operated.aws.refuse["logs:FilterLogEvents"] = AwsError("AccessDeniedException", "Not you")

    done = run("logs")

    assert (done.status, "Not you" in done.err, "docs/permissions.md lists the perm" in done.err) == (1, True, True)


def test_a_secret_without_a_version_has_no_rotation(operated: Operated, secret: Secret, run: Command) -> None:
    secret.labels = {}

    assert "`make rotate` starts one" in run("logs").err
