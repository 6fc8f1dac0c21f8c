"""`preflight`: AWS and Docker Hub in one report, with a status that says whether all is as assumed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from operate import hub, preflight
from operate.preflight_aws import Finding, Wanted

from .aws import Account
from .cloudformation import AwsError
from .conftest import PROJECT, Command, add_function
from .storage import Bucket

AS_ASSUMED = Finding("trail", "A trail logs.", "as assumed", "1 of 1", "Make a trail.")
OTHERWISE = Finding("bucket-name", "The name is free.", "otherwise", "taken", "Take another: BUCKET=...")
NOT_RELIED_ON = Finding("readers", "It is known.", "otherwise", "unknown", "Look.", relied_on=False)
NOT_YET = Finding("parameters", "They are there.", "not there yet", "missing: x", "Before you deploy, store them.")
DOCKER_HUB = {
    "preflight": {"requests": 31, "seconds": 2.5, "refused_logins": 0},
    "holds": True,
    "measured": [
        {
            "name": "gone",
            "verdict": "as assumed",
            "relied_on": True,
            "assumed": "It is gone.",
            "seen": "404",
            "means": "",
        }
    ],
    "failures": [],
    "swept": 1,
    "left": [],
}


class Measured:
    """What both parts answer, and what they were asked."""

    def __init__(self) -> None:
        self.aws: list[Finding] = [AS_ASSUMED]
        self.docker_hub: dict[str, Any] = dict(DOCKER_HUB)
        self.wanted: list[Wanted] = []
        self.settings: list[tuple[dict[str, str], bool]] = []
        self.organizations: list[str] = []


@pytest.fixture
def measured(aws: Account, monkeypatch: pytest.MonkeyPatch) -> Measured:
    found = Measured()

    def look(client: object, region: str, wanted: Wanted) -> list[Finding]:
        found.wanted.append(wanted)
        return found.aws

    def measure(settings: dict[str, str], *, try_both: bool, organization: str) -> dict[str, Any]:
        found.settings.append((settings, try_both))
        found.organizations.append(organization)
        return found.docker_hub

    monkeypatch.setattr(preflight, "measure", look)
    monkeypatch.setattr(hub, "measure", measure)
    return found


def test_it_looks_at_aws_and_asks_docker_hub_only_if_told(measured: Measured, run: Command) -> None:
    done = run("preflight")

    assert (done.status, measured.settings) == (0, [])
    assert "as assumed: trail\n  assumed  A trail logs.\n  seen     1 of 1\n" in done.out
    assert "1 assumption: 0 otherwise, 0 not measured" in done.out
    assert "Docker Hub was not asked" in done.out


def test_what_was_not_measured_for_one_reason_is_told_together(measured: Measured, run: Command) -> None:
    """Whatever is otherwise is not to scroll away among them; a program gets all."""
    why = ("It did not come to that.", "It did not come to that.", "Only if asked for.")
    unmeasured = [Finding(f"look-{number}", "So it is.", "not measured", it) for number, it in enumerate(why)]
    measured.aws = [unmeasured[0], AS_ASSUMED, *unmeasured[1:]]

    done = run("preflight")

    together = "not measured: look-0, look-1\n  seen     It did not come to that.\nas assumed: trail\n"
    assert together in done.out
    assert "not measured: look-2\n  assumed  So it is.\n  seen     Only if asked for.\n4 assumptions" in done.out
    assert [it["name"] for it in run("preflight", "--json").json["aws"]] == ["look-0", "trail", "look-1", "look-2"]


def test_both_are_one_report(measured: Measured, run: Command) -> None:
    done = run("preflight", "--local", "--try-both")

    assert done.status == 0
    assert done.out.index("trail") < done.out.index("as assumed: gone")
    assert "31 requests in 2.5 s, 0 logins refused" in done.out
    assert "deleted: 1 token that earlier runs had left" in done.out
    assert done.out.endswith("What a deployment relies on is as assumed.\n")
    assert [both for _, both in measured.settings] == [True]


def test_an_organizations_tokens_are_measured_if_it_is_named(measured: Measured, run: Command) -> None:
    run("preflight", "--local")
    run("preflight", "--local", "--organization", "acme")

    assert measured.organizations == ["", "acme"]


def test_a_program_gets_one_document(measured: Measured, run: Command) -> None:
    document = run("preflight", "--local", "--json").json

    assert document["ok"] is True
    assert document["aws"] == [json.loads(json.dumps(AS_ASSUMED.row()))]
    assert document["docker_hub"] == DOCKER_HUB


def said_of(finding: Finding) -> str:
    return "OTHERWISE" if finding.verdict == "otherwise" else finding.verdict


@pytest.mark.parametrize(
    ("at_aws", "at_docker_hub", "status"),
    [
        ([OTHERWISE], {}, 1),
        ([NOT_RELIED_ON], {}, 0),
        ([NOT_YET], {}, 0),
        ([AS_ASSUMED], {"holds": False, "failures": ["no answer"], "left": ["a-label"]}, 1),
    ],
)
def test_the_status_says_whether_what_is_relied_on_is_as_assumed(
    measured: Measured, run: Command, at_aws: list[Finding], at_docker_hub: dict[str, Any], status: int
) -> None:
    measured.aws, measured.docker_hub = at_aws, DOCKER_HUB | at_docker_hub

    table, document = run("preflight", "--local"), run("preflight", "--local", "--json")

    assert (table.status, document.status, document.json["ok"]) == (status, status, status == 0)
    assert ("Look at this before you deploy." in table.out) is (status == 1)
    if at_aws != [AS_ASSUMED]:
        assert f"{said_of(at_aws[0])}: {at_aws[0].name}" in table.out
        assert f"means    {at_aws[0].means}" in table.out
    else:
        assert "failed: no answer" in table.out
        assert "left: the token with the label a-label" in table.out


def test_what_would_be_made_is_looked_for_under_its_names(measured: Measured, run: Command) -> None:
    more = ("--function-parameters", "TotpParameter=/x/totp ReservedConcurrency=10")
    assert run("preflight", "--project", "team-b", "--secret", "b", *more).status == 0

    (wanted,) = measured.wanted
    assert (wanted.project, wanted.secret, wanted.bucket) == ("team-b", "b", "team-b-123456789012-eu-central-1")
    names = ("/team-b/DOCKER_HUB_USERNAME", "/team-b/DOCKER_HUB_PASSWORD", "/x/totp")
    assert (wanted.parameters, wanted.reserved_concurrency) == (names, 10)


def test_what_an_older_version_has_made_is_looked_for_under_its_names(
    measured: Measured, aws: Account, run: Command
) -> None:
    aws.buckets[f"{PROJECT}-lambda-archive-eu-central-1"] = Bucket()
    add_function(aws, parameters={"UsernameParameter": "NAME", "PasswordParameter": "WORD", "Login": "users-login"})

    assert run("preflight", "--local").status == 0

    (wanted,) = measured.wanted
    assert (wanted.bucket, wanted.parameters) == (f"{PROJECT}-lambda-archive-eu-central-1", ("NAME", "WORD"))
    assert measured.settings[0][0]["Login"] == "users-login"


@pytest.mark.parametrize("refused", ["cloudformation:DescribeStacks", "s3:HeadBucket", "sts:GetCallerIdentity"])
def test_what_may_not_be_asked_is_in_the_report_and_does_not_end_it(
    measured: Measured, aws: Account, run: Command, refused: str
) -> None:
    aws.refuse[refused] = AwsError("AccessDenied", "Not you", 403)

    assert run("preflight", "--local").status == 0

    assert len(measured.wanted) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--secret", "a b"), "SECRET=a b can't be"),
        (("--function-parameters", "Nope=1"), "infra/function.yaml has no parameter Nope"),
        (("--secret-parameters", "Nope=1"), "infra/secret.yaml has no parameter Nope"),
        (("--function-parameters", "UsernameParameter=ssm-name"), "Parameter Store takes no ssm-name"),
    ],
)
def test_what_a_deployment_refuses_at_once_is_refused_here_too(
    measured: Measured, run: Command, arguments: tuple[str, str], said: str
) -> None:
    done = run("preflight", *arguments)

    assert (done.status, said in done.err, measured.wanted) == (1, True, []), done.err


def test_nothing_is_changed_at_aws(aws: Account, run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "measure", lambda client, region, wanted: [AS_ASSUMED])

    assert run("preflight").status == 0

    assert {it.partition(":")[2] for it in aws.requests} <= {
        *("GetCallerIdentity", "DescribeStacks", "GetTemplateSummary", "HeadBucket")
    }
