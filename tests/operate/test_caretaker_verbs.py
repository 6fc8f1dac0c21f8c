"""`reconcile`, `retire`, `preflight --deployed`: what the caretaker is sent, and what becomes of its answer."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from operate import preflight
from operate.preflight_aws import Finding

from .aws import FUNCTION_ARN
from .cloudformation import AwsError
from .conftest import Command
from .operated import CARETAKER, Operated

NEW = {"Token": "new-token", "Version": "new", "StagingLabels": ["AWSCURRENT"], "PinnedBy": []}
RETIRED = {"Task": "Retire", "Message": "1 superseded token disabled.", "StillWork": [NEW]}


def care(secret: str, *findings: tuple[str, bool], checked: bool = True) -> dict[str, Any]:
    told = [{"Finding": kind, "NeedsAttention": needs, "Message": f"{kind} is so."} for kind, needs in findings]
    return {"SecretId": secret, "Checked": checked, "Findings": told, "Facts": {}}


def looked(*cares: dict[str, Any]) -> dict[str, Any]:
    attention = sum(any(it["NeedsAttention"] for it in care["Findings"]) for care in cares)
    unknown = sum(not care["Checked"] for care in cares)
    counts = {"SecretsNeedAttention": attention, "SecretsUnknown": unknown}
    return {"Task": "Reconcile", "Message": "2 secrets checked.", **counts, "Secrets": list(cares)}


def test_reconcile_looks_at_all_and_tells_the_worst_first(operated: Operated, run: Command) -> None:
    operated.answer = looked(
        care("a"), care("b", ("RateLimited", False), checked=False), care("c", ("CurrentTokenDead", True))
    )

    done = run("reconcile")

    assert (done.status, operated.tasks) == (1, [{"Task": "Reconcile"}])
    assert [line.split()[:2] for line in done.out.splitlines()[1:]] == [
        ["ATTENTION", "c:"],
        ["UNKNOWN", "b:"],
        ["well", "a"],
        ["2", "secrets"],
    ]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (looked(care("a"), care("b", ("TokenLeftActive", False))), 0),
        (looked(care("a", ("RateLimited", False), checked=False)), 1),
        (looked(care("a", ("CopyInUse", True))), 1),
    ],
)
def test_its_status_is_1_if_something_needs_somebody_or_is_not_known(
    operated: Operated, run: Command, answer: dict[str, Any], status: int
) -> None:
    operated.answer = answer

    done = run("reconcile", "--json")

    assert (done.status, done.json["ok"], done.json["reconciled"]) == (status, not status, answer)


def test_reconcile_looks_at_one_by_its_arn(operated: Operated, run: Command) -> None:
    secret = operated.secret("team/a")
    operated.answer = looked(care(secret.arn))

    assert run("reconcile", "--secret", "team/a").status == 0
    assert operated.tasks == [{"Task": "Reconcile", "SecretId": secret.arn}]


def test_retire_says_what_it_means_asks_and_tells_what_still_works(operated: Operated, run: Command) -> None:
    secret = operated.secret()
    operated.answer = RETIRED

    done = run("retire", stdin="y\n", at_a_terminal=True)

    assert (done.status, operated.tasks) == (0, [{"Task": "Retire", "SecretId": secret.arn}])
    assert "whoever has kept a copy is refused" in done.out
    assert "works     new-token, version new: AWSCURRENT" in done.out


@pytest.mark.parametrize(("stdin", "terminal"), [("n\n", True), ("", False)])
def test_without_a_yes_nothing_is_retired(operated: Operated, run: Command, stdin: str, *, terminal: bool) -> None:
    operated.secret()

    done = run("retire", stdin=stdin, at_a_terminal=terminal)

    assert (done.status, operated.tasks, "Nothing is disabled" in done.err) == (1, [], True)


def test_nobody_is_asked_what_no_caretaker_can_do(operated: Operated, run: Command) -> None:
    operated.secret()
    del operated.aws.functions[CARETAKER]

    assert "There is no" in run("retire").err


def test_what_is_left_active_is_no_success(operated: Operated, run: Command) -> None:
    operated.secret()
    operated.answer = {**RETIRED, "LeftActive": [{"Token": "x", "Version": "v", "Why": "its age can't be read"}]}

    done = run("retire", "--yes", "--json")

    assert (done.status, done.json["retired"]) == (1, operated.answer)
    assert "then run `make retire YES=1`" in done.err


@pytest.fixture
def nothing_to_measure_at_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Finding("trail", "A trail logs.", "as assumed", "1 of 1")
    monkeypatch.setattr(preflight, "measure", lambda client, region, wanted: [found])


MEASURED = {"name": "creation", "verdict": "as assumed", "relied_on": True, "assumed": "x", "seen": "y", "means": ""}


@pytest.mark.usefixtures("nothing_to_measure_at_aws")
@pytest.mark.parametrize("holds", [True, False])
def test_preflight_has_the_caretaker_measure(operated: Operated, run: Command, *, holds: bool) -> None:
    about = {"requests": 20, "seconds": 30.0, "refused_logins": 0}
    rest = {"failures": [], "swept": 0, "left": []}
    operated.answer = {
        "Task": "Preflight",
        "Message": "measured",
        "preflight": about,
        "holds": holds,
        "measured": [MEASURED],
        **rest,
    }

    done = run("preflight", "--deployed", "--json")

    assert operated.tasks == [{"Task": "Preflight"}]
    assert done.json["docker_hub"] == operated.answer
    assert "20 requests in 30.0 s, 0 logins refused" in done.err
    assert (done.json["ok"], done.status) == (holds, int(not holds))


def test_only_one_measures(operated: Operated, run: Command) -> None:
    with pytest.raises(SystemExit) as ended:
        run("preflight", "--deployed", "--local")

    assert ended.value.code == 2


@pytest.mark.usefixtures("nothing_to_measure_at_aws")
@pytest.mark.parametrize(
    ("verb", "task"),
    [
        (("reconcile",), "Reconcile"),
        (("reconcile", "--secret", "dockerhub-token"), "Reconcile"),
        (("retire", "--yes"), "Retire"),
        (("preflight", "--deployed"), "Preflight"),
    ],
)
def test_an_error_a_lost_answer_and_a_missing_caretaker_are_told_and_nothing_is_sent_twice(
    operated: Operated, run: Command, verb: tuple[str, ...], task: str
) -> None:
    operated.secret()
    operated.answer = {"errorMessage": "Docker Hub did not answer."}
    done = run(*verb)
    assert (done.status, "Docker Hub did not answer.\nMend what is said there" in done.err) == (1, True)
    assert f"`make {verb[0]}" in done.err
    assert f'echo \'{{"Task": "{task}"' in done.err

    operated.aws.broken["lambda:Invoke"] = ReadTimeoutError(endpoint_url="https://lambda")
    before = operated.aws.requests.count("lambda:Invoke")
    done = run(*verb)
    assert (done.status, operated.aws.requests.count("lambda:Invoke")) == (1, before + 1)
    assert "is not known" in done.err or "is not measured" in done.err

    operated.aws.broken.clear()
    del operated.aws.functions[CARETAKER]
    done = run(*verb)
    assert (done.status, "Run `make deploy-caretaker`, then this again" in done.err) == (1, True)


def test_an_answer_that_is_no_caretakers_is_no_success(operated: Operated, run: Command) -> None:
    operated.secret()
    operated.answer = {"StillWork": []}

    done = run("retire", "--yes")

    assert (done.status, "something that is no caretaker's" in done.err) == (1, True)


@pytest.mark.parametrize("answer", [b"", b"<html>", b"null", b"[]", b"\xff"])
def test_an_answer_that_is_no_object_is_no_fault_of_the_credentials(
    operated: Operated, run: Command, answer: bytes
) -> None:
    operated.aws.invoked = lambda name, event: answer

    done = run("reconcile")

    assert (done.status, "has answered something that is no caretaker's. Is it one?" in done.err) == (1, True)


HOSTILE = "x'; touch pwned; $(touch pwned) #"


def test_a_label_of_any_signs_runs_nothing_where_the_command_that_takes_it_off_is_pasted(
    operated: Operated, run: Command
) -> None:
    secret = operated.secret()
    works = {"Token": "t", "Version": HOSTILE, "StagingLabels": [HOSTILE], "PinnedBy": [HOSTILE]}
    operated.answer = {**RETIRED, "StillWork": [works]}

    done = run("retire", "--yes")

    (pasted,) = (line for line in done.out.splitlines() if "--version-stage" in line)
    assert shlex.split(pasted)[3:9] == [
        *("--secret-id", secret.arn, "--version-stage", HOSTILE, "--remove-from-version-id", HOSTILE)
    ]


def test_who_may_not_invoke_it_is_told_so(operated: Operated, run: Command) -> None:
    operated.aws.refuse["lambda:Invoke"] = AwsError("AccessDeniedException", "Not you", 403)

    done = run("reconcile")

    assert (done.status, "Mend that, then send the task: `make reconcile`" in done.err) == (1, True)


def test_another_projects_secret_is_sent_to_nobody(operated: Operated, run: Command) -> None:
    operated.secret(RotationLambdaARN=f"{FUNCTION_ARN}-b")

    for verb in (("retire", "--yes"), ("reconcile", "--secret", "dockerhub-token")):
        assert "none of project dockerhub-rotation's" in run(*verb).err

    assert operated.tasks == []
