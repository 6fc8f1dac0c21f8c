"""`status`: every secret of the project, worst first, from AWS and both logs; what could not be read is said."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from .aws import FUNCTION_ARN
from .cloudformation import AwsError
from .conftest import Command
from .operated import CARETAKER, CARETAKER_GROUP, DAY, GROUP, HOUR, STAGED, Operated

REFUSED = AwsError("AccessDeniedException", "Not you")
MEND = {"error": "ParameterUnreadable", "to_do": "mend"}
WAIT = {"error": "DockerHubUnavailable", "to_do": "wait"}
LOCKED = {"error": "LockedOut", "to_do": "wait", "consumers_affected": True}
READS = {
    "sts:GetCallerIdentity",
    "secretsmanager:ListSecrets",
    "secretsmanager:DescribeSecret",
    "logs:FilterLogEvents",
    "lambda:GetFunctionConfiguration",
}


def row(done: Any, name: str = "dockerhub-token") -> dict[str, Any]:
    (found,) = [it for it in done.json["secrets"] if it["name"] == name]
    return dict(found)


def test_all_is_well_and_only_reads_were_made(operated: Operated, run: Command) -> None:
    secrets = [operated.secret(name) for name in ("a", "b", "c")]
    for secret in secrets:
        operated.care(secret)
    operated.heartbeat()

    done = run("status")

    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert [line.split()[:4] for line in lines[-3:]] == [["well", name, "3", "d"] for name in "abc"]
    assert set(operated.aws.requests) == READS


def test_the_worst_comes_first_and_each_has_one_line(operated: Operated, run: Command) -> None:
    names = ("a-well", "b-off", "c-rotating", "d-unknown", "e-attention", "f-broken")
    made = {name: operated.secret(name) for name in names}
    made["b-off"].described["RotationEnabled"] = False
    made["c-rotating"].labels = dict(STAGED)
    operated.line(made["c-rotating"], "createSecret", "made")
    operated.care(made["d-unknown"], "DockerHubUnavailable", needs_attention=False)
    operated.care(made["e-attention"], "CopyInUse")
    operated.care(made["f-broken"], "CurrentTokenDead", consumers_affected=True)
    operated.heartbeat()

    done = run("status")

    rows = [line.split()[:2] for line in done.out.splitlines()[2:8]]
    states = ("well", "off", "rotating", "UNKNOWN", "ATTENTION", "BROKEN")
    assert rows == [[state, name] for state, name in reversed(list(zip(states, names, strict=True)))]
    assert done.status == 1
    assert "`make status SECRET=f-broken` says all of the first" in done.out


@pytest.mark.parametrize(
    ("findings", "more", "state", "status"),
    [
        (("CurrentTokenDead",), {"consumers_affected": True}, "broken", 1),
        (("TokenLeftActive",), {}, "attention", 1),
        (("RateLimited",), {"needs_attention": False}, "unknown", 1),
        (("TokenLeftActive",), {"needs_attention": False, "level": "INFO"}, "well", 0),  # somebody has pinned it
        ((), {}, "well", 0),
    ],
)
def test_what_the_caretaker_has_found_decides(
    operated: Operated, run: Command, findings: tuple[str, ...], more: dict[str, Any], state: str, status: int
) -> None:
    operated.care(operated.secret(), *findings, **more)
    operated.heartbeat()

    done = run("status", "--json")

    assert (row(done)["state"], done.status) == (state, status)
    assert row(done)["found"]["findings"] == list(findings)


def test_what_was_found_before_the_last_rotation_says_nothing_any_more(operated: Operated, run: Command) -> None:
    secret = operated.secret(LastRotatedDate=time.time() - 100)
    secret.made["new"] = time.time() - 110
    operated.care(secret, "CurrentTokenDead", ago=600, consumers_affected=True)
    operated.heartbeat()

    done = run("status", "--json")

    assert (row(done)["state"], row(done)["token_age_days"], row(done)["superseded"]) == ("well", 0, None)


@pytest.mark.parametrize("looked_ago", [600, 50], ids=["before the rotation", "between rotation and rollback"])
def test_after_a_rollback_the_token_is_as_old_as_its_version_and_what_was_seen_before_is_over(
    operated: Operated, run: Command, looked_ago: float
) -> None:
    secret = operated.secret(LastRotatedDate=time.time() - 100)
    secret.labels = {"old": ["AWSCURRENT"], "new": ["AWSPREVIOUS"]}
    secret.made = {"old": time.time() - 33 * DAY, "new": time.time() - 110}
    seen = "new" if looked_ago < 100 else "old"
    operated.care(secret, "CurrentTokenDead", ago=looked_ago, current_version=seen, token_age_days=0, superseded=[])
    operated.heartbeat()

    told, shown = run("status", "--json"), run("status", "--secret", secret.name)

    assert (row(told)["state"], row(told)["token_age_days"], row(told)["superseded"]) == ("well", 33, None)
    assert "which superseded tokens still work is not known" in shown.out
    assert f"make reconcile SECRET={secret.name}` has it look now" in shown.out


def test_after_awscurrent_was_moved_from_what_did_not_work_it_is_not_said_to_be_well(
    operated: Operated, run: Command
) -> None:
    secret = operated.secret(LastRotatedDate=time.time() - DAY)
    operated.care(secret, "CurrentTokenDead", ago=600, current_version="another", consumers_affected=True)
    operated.heartbeat()

    done = run("status", "--json")

    (reason,) = row(done)["reasons"]
    assert (row(done)["state"], done.status) == ("unknown", 1)
    assert f"make reconcile SECRET={secret.name}` tells" in reason["text"]


def test_an_age_that_may_not_be_read_is_unknown_and_said(operated: Operated, run: Command) -> None:
    operated.secret()
    operated.heartbeat()
    operated.aws.refuse["secretsmanager:ListSecretVersionIds"] = REFUSED

    done = run("status", "--json")

    assert (done.status, row(done)["token_age_days"]) == (1, None)
    assert "the age of dockerhub-token's token" in str(done.json["unread"])


# --- A rotation that is under way, or hangs ---


@pytest.mark.parametrize(
    ("lines", "state", "says"),
    [
        ([("testSecret", 60, MEND)], "attention", "stuck in testSecret"),
        ([("testSecret", 60, MEND), ("", 59, {})], "attention", "stuck in testSecret"),  # Slack was not told of it
        ([("testSecret", 60, WAIT)], "rotating", "tries again"),
        ([("testSecret", 60, LOCKED)], "broken", "tries again"),
        ([("testSecret", 20 * 60, LOCKED)], "rotating", "tries again"),  # no lock lasts for so long
        ([("createSecret", 25 * HOUR, {}), ("testSecret", 60, WAIT)], "attention", "stuck in testSecret"),
        ([("testSecret", 2 * HOUR, MEND), ("createSecret", 60, {})], "rotating", "createSecret since"),
        ([("createSecret", HOUR, {})], "attention", "stuck after createSecret"),
        ([("createSecret", 20 * 60, {}), ("", 60, {})], "rotating", "createSecret since"),
        ([("", 60, {})], "rotating", "begins since"),
        ([], "attention", "no line in the log"),
    ],
)
def test_a_pending_version_is_judged_by_the_last_that_is_heard_of_it(
    operated: Operated, run: Command, lines: list[tuple[str, float, dict[str, Any]]], state: str, says: str
) -> None:
    secret = operated.secret()
    secret.labels = dict(STAGED)
    for step, ago, more in lines:
        operated.line(secret, step, "what it says", ago=ago, **more)
    operated.line(secret, "createSecret", "of another version", version="older")
    operated.care(secret)
    operated.heartbeat()

    done = run("status", "--json")

    assert (row(done)["state"], done.status) == (state, int(state != "rotating"))
    assert says in row(done)["reasons"][0]["short"]
    assert row(done)["pending"] == "new"


def test_a_version_that_has_just_become_pending_is_being_made(operated: Operated, run: Command) -> None:
    secret = operated.secret(LastChangedDate=time.time() - 20)
    secret.labels = dict(STAGED)
    operated.heartbeat()

    assert row(run("status", "--json"))["state"] == "rotating"


def test_one_secret_is_told_in_full_with_the_remedy(operated: Operated, run: Command) -> None:
    secret = operated.secret("team/a")
    secret.labels = dict(STAGED)
    operated.line(secret, "createSecret", "made", ago=2 * HOUR)
    operated.line(secret, "testSecret", "Refused. Mend the parameter.", ago=HOUR, **MEND)
    token = {"token": "t-1", "version": "older", "until": "20270116T080010Z", "last_used": "20270115T070000Z"}
    operated.care(secret, superseded=[token])
    operated.heartbeat()
    operated.secret("another")

    done = run("status", "--secret", "team/a")

    assert done.status == 1
    assert (
        "pending since 2027-01-15 06:00:10 UTC. testSecret failed, 2027-01-15 07:00:10 UTC: Refused. Mend" in done.out
    )
    assert "`make unblock SECRET=team/a` drops it" in done.out
    assert "token t-1 of version older: works until 2027-01-16 08:00:10 UTC; last used: 2027-01-15 07:00:00" in done.out
    assert "another" not in done.out


def test_a_failure_after_the_promotion_counts_until_the_caretaker_has_looked(operated: Operated, run: Command) -> None:
    secret = operated.secret()
    operated.line(secret, "finishSecret", "An old token is active.", ago=1000, error="RetirementFailed", to_do="look")
    operated.heartbeat(ago=1200)

    assert row(run("status", "--json"))["state"] == "attention"

    operated.care(secret, ago=600)
    operated.heartbeat(ago=590)
    done = run("status", "--json")
    assert (row(done)["state"], row(done)["last_failure"]["error"]) == ("well", "RetirementFailed")


def test_an_attempt_that_failed_before_the_one_that_ended_well_is_history(operated: Operated, run: Command) -> None:
    """Also before the caretaker has looked."""
    secret = operated.secret()
    operated.line(secret, "testSecret", "Docker Hub did not answer.", ago=900, **WAIT)
    operated.line(secret, "finishSecret", "retired", ago=300)
    operated.heartbeat(ago=1200)

    done = run("status", "--json")

    assert (row(done)["state"], row(done)["last_failure"]["at"]) == ("well", "2027-01-15 07:45:10 UTC")


def test_a_failure_of_a_version_that_was_dropped_is_history(operated: Operated, run: Command) -> None:
    secret = operated.secret()
    operated.line(secret, "testSecret", "It was the settings.", version="dropped", ago=DAY, **MEND)
    operated.care(secret)
    operated.heartbeat()

    done = run("status", "--secret", secret.name)

    assert done.status == 0
    assert "An earlier rotation failed in testSecret" in done.out


@pytest.mark.parametrize("found", [(), ("RotationOverdue",)])
def test_a_rotation_that_is_overdue_needs_somebody_and_is_told_once(
    operated: Operated, run: Command, found: tuple[str, ...]
) -> None:
    operated.care(operated.secret(NextRotationDate=time.time() - 2 * DAY), *found)
    operated.heartbeat()

    (reason,) = row(run("status", "--json"))["reasons"]
    assert (reason["state"], reason["short"]) == ("attention", "RotationOverdue")


def test_a_rotation_that_is_off_is_told_with_what_turns_it_on(operated: Operated, run: Command) -> None:
    secret = operated.secret(RotationEnabled=False, NextRotationDate=time.time() - 2 * DAY)
    operated.heartbeat()

    done = run("status", "--secret", secret.name)

    assert (done.status, f"aws secretsmanager rotate-secret --secret-id {secret.arn}" in done.out) == (0, True)


# --- The caretaker ---


@pytest.mark.parametrize(
    ("ago", "modified", "status", "says"),
    [
        (7100, "", 0, None),
        (7300, "", 1, "its last look was 2027-01-15 05:58:30 UTC. `make reconcile`"),
        (None, "", 1, "shows no look at all"),
        (None, "2027-01-15T07:30:00.000+0000", 0, None),
        (None, "2027-01-15T05:30:00.000+0000", 1, "silent for more than two hours"),
    ],
)
def test_a_caretaker_that_is_silent_for_more_than_two_hours_needs_somebody(
    operated: Operated, run: Command, ago: float | None, modified: str, status: int, says: str | None
) -> None:
    operated.care(operated.secret(), ago=60)  # somebody has asked for one secret, which is no heartbeat
    operated.log_task(60, level="INFO", message="1 secret checked")
    if ago:
        operated.heartbeat(ago=ago)
    if modified:
        operated.aws.modified[CARETAKER] = modified

    done = run("status")

    assert (done.status, (says or "well") in done.out) == (status, True), done.out


def test_a_caretaker_that_fails_is_told_by_what_it_says_until_it_has_looked_again(
    operated: Operated, run: Command
) -> None:
    operated.secret()
    operated.heartbeat(ago=5000)
    operated.log_task(1000, level="ERROR", message="SettingsInvalid: set it.", error="SettingsInvalid")

    done = run("status", "--json")
    assert done.status == 1
    assert done.json["caretaker"]["troubles"] == [
        "The caretaker's look failed, 2027-01-15 07:43:30 UTC: SettingsInvalid: set it."
    ]

    operated.heartbeat(ago=900)
    operated.log_task(800, level="ERROR", message="none of this caretaker's", error="EventRefused")  # sent by hand
    assert run("status").status == 0


def test_a_caretaker_that_is_missing_needs_somebody(operated: Operated, run: Command) -> None:
    operated.secret()
    del operated.aws.functions[CARETAKER]

    done = run("status", "--project", "dockerhub-rotation")

    assert (done.status, "Run `make deploy-caretaker`" in done.out) == (1, True)


# --- Which secrets ---


def test_two_projects_in_an_account_do_not_meet(operated: Operated, run: Command) -> None:
    operated.secret("ours")
    operated.secret("by-alias", RotationLambdaARN=f"{FUNCTION_ARN}:live")
    theirs = operated.secret("theirs", RotationLambdaARN=f"{FUNCTION_ARN}-b")
    operated.secret("nobodys", RotationLambdaARN=None, RotationEnabled=None)
    operated.secret("deleted", DeletedDate=1)
    operated.secret("deleted-just-now", DeletedDate=1)
    operated.aws.listed_late.add("deleted-just-now")
    operated.care(theirs, "CurrentTokenDead", consumers_affected=True)
    operated.heartbeat()

    assert [it["name"] for it in run("status", "--json").json["secrets"]] == ["by-alias", "ours"]
    assert not any(theirs.arn in body for body in operated.aws.bodies)
    refused = run("status", "--secret", "theirs")
    assert (refused.status, "none of project dockerhub-rotation's" in refused.err) == (1, True)


def test_without_any_secret_nothing_is_proven(operated: Operated, run: Command) -> None:
    operated.heartbeat()

    done = run("status", "--project", "dockerhub-rotation")

    assert (done.status, "No secret here names the function dockerhub-rotation" in done.out) == (1, True)


def test_one_that_is_scheduled_for_deletion_is_told_with_the_way_back(operated: Operated, run: Command) -> None:
    operated.secret(DeletedDate=1)

    assert "restore-secret --secret-id dockerhub-token" in run("status", "--secret", "dockerhub-token").err


# --- What can't be read ---


@pytest.mark.parametrize("refused", ["logs:FilterLogEvents", "lambda:GetFunctionConfiguration"])
def test_what_could_not_be_read_is_said_the_rest_is_told_and_nothing_is_called_well(
    operated: Operated, run: Command, refused: str
) -> None:
    secret = operated.secret()
    secret.labels = dict(STAGED)
    operated.line(secret, "createSecret", "made")
    operated.heartbeat()
    operated.aws.refuse[refused] = REFUSED

    done = run("status", "--json")

    assert done.status == 1
    assert all("Not you" in it for it in done.json["unread"])
    assert (row(done)["state"], row(done)["current"]) == ("unknown" if "Filter" in refused else "rotating", "old")


def test_a_secret_that_may_not_be_described_is_named(operated: Operated, run: Command) -> None:
    operated.secret("team/a")
    operated.heartbeat()
    operated.aws.denied.add("secretsmanager:DescribeSecret")

    done = run("status")

    assert (done.status, "could not be read: team/a: AWS refused DescribeSecret" in done.out) == (1, True)
    assert "No secret here" not in done.out


def test_a_log_group_that_is_not_there_is_an_empty_one(operated: Operated, run: Command) -> None:
    operated.secret()
    del operated.aws.log[GROUP], operated.aws.log[CARETAKER_GROUP]

    done = run("status", "--json")

    assert (done.json["unread"], row(done)["state"]) == ([], "well")
    assert "shows no look at all" in done.json["caretaker"]["troubles"][0]


def test_a_list_that_is_refused_names_the_way_on(operated: Operated, run: Command) -> None:
    operated.secret()
    operated.aws.refuse["secretsmanager:ListSecrets"] = REFUSED

    done = run("status")

    assert (done.status, "One whose name you know is shown: SECRET=..." in done.err) == (1, True)


def test_times_are_said_in_utc(operated: Operated, run: Command) -> None:
    operated.secret(NextRotationDate=datetime(2027, 2, 1, 23, 30, tzinfo=UTC).timestamp())
    operated.heartbeat()

    assert "by 2027-02-01" in run("status").out
