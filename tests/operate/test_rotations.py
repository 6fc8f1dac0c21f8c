"""`rotate`: which secret it is, a rotation that is started or joined, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from .aws import FUNCTION_ARN, Account, Secret
from .cloudformation import AwsError
from .conftest import PROJECT, Command, add_secret_stack, forget

GROUP = f"/aws/lambda/{PROJECT}"
BEFORE = {"old": ["AWSCURRENT"]}
STAGED = {"old": ["AWSCURRENT"], "new": ["AWSPENDING"]}
PROMOTED = {"old": ["AWSPREVIOUS"], "new": ["AWSCURRENT", "AWSPENDING"]}
DONE = {"old": ["AWSPREVIOUS"], "new": ["AWSCURRENT"]}
MADE = ("INFO", "createSecret", "made")
REFUSED = ("ERROR", "testSecret", "refused")
RETIRED = ("INFO", "finishSecret", "retired")

# boto3 sends no shorter one.
STUCK = f"stuck-{'0' * 32}"

Lines = list[tuple[str, str, str]]


class Rotation:
    """A rotation of a secret, as it goes on in AWS."""

    def __init__(self, aws: Account, clock: Any) -> None:
        self.aws = aws
        self.clock = clock
        self.secret = aws.add_secret("dockerhub-token")
        others = ["START RequestId: 1", json.dumps({"level": "ERROR", "correlation_id": "another"}), "[1]"]
        aws.log[GROUP] = [(clock.now, message) for message in others]

    def under_way(self) -> None:
        """Have one that somebody has begun."""
        self.secret.labels = STAGED

    def goes_on(self, *steps: tuple[float, Mapping[str, list[str]] | tuple[str, str, str]]) -> None:
        """Move labels and write log lines, each so many seconds after now."""
        for seconds, step in steps:
            self.aws.later(seconds, self._act(step))

    def log(self, line: tuple[str, str, str], ago: float = 0) -> None:
        """Write a line of the function's, now or some seconds ago."""
        entry = dict(zip(("level", "step", "message"), line, strict=True)) | {"correlation_id": "new", "at": ago}
        self.aws.log[GROUP].append((self.clock.now - ago, json.dumps(entry)))

    def _act(self, step: Mapping[str, list[str]] | tuple[str, str, str]) -> Callable[[], None]:
        def act() -> None:
            if isinstance(step, tuple):
                self.log(step)
            else:
                self.secret.labels = dict(step)

        return act


@pytest.fixture
def rotation(aws: Account, clock: Any) -> Rotation:
    return Rotation(aws, clock)


def test_a_rotation_is_followed_until_the_superseded_token_is_retired(rotation: Rotation, run: Command) -> None:
    rotation.goes_on((3, MADE), (5, PROMOTED), (9, RETIRED))

    done = run("rotate")

    assert done.status == 0
    assert done.out.count("made") == 1
    assert done.out.index("made") < done.out.index("new AWSCURRENT AWSPENDING") < done.out.index("retired")
    assert "version new is current" in done.out


@pytest.mark.parametrize("end", [PROMOTED, DONE])
def test_a_log_that_says_nothing_does_not_hold_a_rotation_up(
    rotation: Rotation, run: Command, end: Mapping[str, list[str]]
) -> None:
    rotation.goes_on((3, end))

    assert run("rotate").status == 0

    assert sum(rotation.clock.sleeps) < 60


def test_a_log_group_that_is_not_there_yet_is_an_empty_one(rotation: Rotation, run: Command) -> None:
    rotation.aws.log.clear()
    rotation.goes_on((3, DONE))

    assert run("rotate").status == 0


def test_a_line_is_seen_also_if_this_machines_clock_is_fast(rotation: Rotation, run: Command) -> None:
    rotation.goes_on((3, DONE))
    rotation.log(RETIRED, ago=200)

    assert "retired" in run("rotate").out


def test_a_failed_step_ends_it_with_what_to_do(rotation: Rotation, run: Command) -> None:
    rotation.goes_on((3, MADE), (5, REFUSED))

    done = run("rotate")

    assert done.status == 1
    assert "refused" in done.out
    assert "failed in testSecret; AWSCURRENT is what it was" in done.err
    assert "`make rotate` follows that, or begins another." in done.err


@pytest.mark.parametrize("named", ["`AWS_REGION=x make rotate SECRET=y`", "`make unblock`"])
@pytest.mark.parametrize("labels", [STAGED, PROMOTED])
def test_a_command_that_the_failure_names_is_not_said_again(
    rotation: Rotation, run: Command, labels: Mapping[str, list[str]], named: str
) -> None:
    rotation.goes_on((3, labels), (3, ("ERROR", "finishSecret", f"Refused. Run {named}.")))

    done = run("rotate")

    assert (done.status, done.out.count("make "), "make " in done.err) == (1, 1, False)


def test_a_failure_after_the_promotion_says_that_the_new_token_works(rotation: Rotation, run: Command) -> None:
    rotation.goes_on((3, PROMOTED), (3, ("ERROR", "finishSecret", "an old token is still active")))

    assert "the new token is current and works" in run("rotate").err


def test_a_rotation_that_does_not_end_is_left_after_a_while(rotation: Rotation, run: Command) -> None:
    done = run("rotate", "--seconds", "20")

    assert done.status == 1
    assert "has not ended in 20 seconds" in done.err
    assert GROUP in done.err


def test_a_rotation_that_was_given_up_is_told(rotation: Rotation, run: Command) -> None:
    rotation.goes_on((4, BEFORE))

    done = run("rotate")

    assert (done.status, "has given version new up" in done.err) == (1, True)


# --- One that is under way ---

SAID = (
    "A previous rotation isn't complete. That rotation will be reattempted.",
    "A previous rotation isn\u2019t complete. That rotation will be reattempted.",
    "Es ist noch eine andere unterwegs.",
)


@pytest.mark.parametrize("said", SAID)
def test_a_rotation_that_is_under_way_is_known_by_the_code_and_the_pending_version_whatever_aws_says(
    rotation: Rotation, run: Command, said: str
) -> None:
    rotation.under_way()
    rotation.aws.refuse["secretsmanager:RotateSecret"] = AwsError("InvalidRequestException", said)
    rotation.goes_on((6, DONE), (7, RETIRED))

    done = run("rotate")

    assert done.status == 0
    assert "an earlier one has not ended; following that, version new" in done.out
    assert "version new is current" in done.out


def test_another_refusal_with_that_code_is_told_as_it_is(rotation: Rotation, run: Command) -> None:
    """After a rotation, AWSPENDING may have stayed on the version that is current."""
    rotation.secret.labels = PROMOTED
    said = "You can't enable rotation: no Lambda function."
    rotation.aws.refuse["secretsmanager:RotateSecret"] = AwsError("InvalidRequestException", said)

    done = run("rotate")

    assert (done.status, said in done.err) == (1, True)


def test_a_label_that_stayed_on_the_current_version_is_no_rotation_under_way(rotation: Rotation, run: Command) -> None:
    rotation.secret.labels = {"old": ["AWSCURRENT", "AWSPENDING"]}
    rotation.goes_on((3, DONE))

    done = run("rotate", "--json")

    assert (done.status, done.json["joined"]) == (0, False)


@pytest.mark.parametrize("then", [STAGED, DONE])
def test_a_rotation_that_begins_or_ends_at_the_same_moment_is_joined(
    rotation: Rotation, run: Command, then: Mapping[str, list[str]]
) -> None:
    """Between the first look and the request, or between the request and the second look."""
    refused = AwsError("InvalidRequestException", SAID[0])

    def meanwhile(secret: Secret) -> str:
        secret.labels = dict(then)
        raise refused

    rotation.aws.rotate = meanwhile
    if then is DONE:
        rotation.under_way()
    else:
        rotation.goes_on((5, DONE))

    done = run("rotate")

    assert done.status == 0
    assert "following that, version new" in done.out


def test_what_kept_a_rotation_that_is_joined_is_told_once(rotation: Rotation, run: Command) -> None:
    rotation.under_way()
    for ago, line in ((3000, ("ERROR", "testSecret", "an old story")), (2000, ("ERROR", "testSecret", "this is why"))):
        rotation.log(line, ago)
    rotation.log(MADE, ago=10)
    rotation.goes_on((5, DONE), (6, RETIRED))

    done = run("rotate")

    assert done.status == 0
    out = done.out
    assert out.index("an earlier one has not ended") < out.index("An earlier attempt failed in testSecret, ")
    assert out.index("this is why") < out.index("retired")
    assert (out.count("this is why"), out.count("an old story")) == (1, 0)


def given_up(rotation: Rotation, **more: str) -> list[str]:
    """Have one that failed two days ago; return the versions that are begun after it."""
    begun: list[str] = []

    def rotate(secret: Secret) -> str:
        if STUCK in secret.labels:
            raise AwsError("InvalidRequestException", SAID[0])
        begun.append("new")
        secret.labels = dict(DONE)
        return "new"

    rotation.secret.labels = {"old": ["AWSCURRENT"], STUCK: ["AWSPENDING"]}
    rotation.aws.rotate = rotate
    said = {"level": "ERROR", "step": "testSecret", "message": "this is why", "correlation_id": STUCK, **more}
    rotation.aws.log[GROUP].append((rotation.clock.now - 2 * 86_400, json.dumps(said)))
    return begun


@pytest.mark.parametrize("how", [{"stdin": "y\n", "at_a_terminal": True}, {"arguments": ["--yes"]}])
def test_another_takes_the_place_of_one_that_has_failed_if_somebody_says_so(
    rotation: Rotation, run: Command, how: dict[str, Any]
) -> None:
    begun = given_up(rotation)

    done = run("rotate", *how.pop("arguments", ()), "--json", **how)

    assert (done.status, done.json["version"], done.json["joined"], begun) == (0, "new", False, ["new"])
    assert done.err.count("this is why") == 1
    assert f"version {STUCK} is not pending any more" in done.err


def test_what_has_failed_before_and_fails_again_is_told_once(rotation: Rotation, run: Command) -> None:
    why = "this is why. Run `make credentials` (without a clone: `aws ssm {0}`), then `make rotate` (or `aws {0}`)."
    given_up(rotation, message=why.format(STUCK))
    said = {"level": "ERROR", "step": "testSecret", "message": why.format("new"), "correlation_id": "new"}
    rotation.aws.log[GROUP].append((rotation.clock.now + 3, json.dumps(said)))
    rotation.aws.rotate = lambda secret: begin(secret)

    def begin(secret: Secret) -> str:
        if STUCK in secret.labels:
            raise AwsError("InvalidRequestException", SAID[0])
        secret.labels = dict(STAGED)
        return "new"

    done = run("rotate", stdin="y\n", at_a_terminal=True)

    assert (done.status, rotation.secret.labels) == (1, STAGED)
    told = done.out + done.err
    assert [told.count(it) for it in ("this is why", "make credentials", "make rotate")] == [1, 1, 1]
    assert "ERROR    testSecret    the same as before" in done.out
    assert "`make rotate` follows that, or begins another." in done.err


@pytest.mark.parametrize("how", [{"stdin": "n\n", "at_a_terminal": True}, {}])
def test_nobody_drops_one_that_has_failed_unless_told(rotation: Rotation, run: Command, how: dict[str, Any]) -> None:
    begun = given_up(rotation)
    after = {"old": ["AWSPREVIOUS"], STUCK: ["AWSCURRENT"]}
    rotation.goes_on((5, after))

    assert (run("rotate", **how).status, begun, rotation.secret.labels) == (0, [], after)


@pytest.mark.parametrize("to_do", ["mend", "look"])
@pytest.mark.parametrize(("verb", "typed"), [(["rotate"], "YES=1"), (["rotate", "--leaked"], "LEAKED=1 YES=1")])
def test_without_a_terminal_nobody_waits_for_what_does_not_mend_itself(
    rotation: Rotation, run: Command, to_do: str, verb: list[str], typed: str
) -> None:
    begun = given_up(rotation, to_do=to_do)
    rotation.aws.functions[f"{PROJECT}-caretaker"] = "package"
    before, began = dict(rotation.secret.labels), rotation.clock.now

    done = run(*verb)

    assert (done.status, begun, rotation.secret.labels) == (1, [], before)
    assert rotation.clock.now - began < 60
    assert f"run `make rotate {typed}`" in done.err
    assert (done.out + done.err).count("this is why") == 1


def test_without_a_terminal_one_is_waited_for_that_may_mend_itself(rotation: Rotation, run: Command) -> None:
    begun = given_up(rotation, to_do="wait")
    after = {"old": ["AWSPREVIOUS"], STUCK: ["AWSCURRENT"]}
    rotation.goes_on((5, after))

    assert (run("rotate").status, begun, rotation.secret.labels) == (0, [], after)


def test_one_that_failed_and_does_not_end_is_told_with_what_begins_another(rotation: Rotation, run: Command) -> None:
    given_up(rotation, to_do="wait")

    assert "make rotate YES=1` drops it, and begins another." in run("rotate").err


def test_one_that_is_promoted_while_somebody_thinks_is_not_dropped(
    rotation: Rotation, run: Command, meanwhile: Callable[..., None]
) -> None:
    begun = given_up(rotation)
    after = {"old": ["AWSPREVIOUS"], STUCK: ["AWSCURRENT", "AWSPENDING"]}
    meanwhile(lambda: setattr(rotation.secret, "labels", dict(after)))

    assert run("rotate", at_a_terminal=True).status == 0
    assert (begun, rotation.secret.labels) == ([], after)


def test_a_rotation_that_is_joined_and_fails_anew_ends_it(rotation: Rotation, run: Command) -> None:
    rotation.under_way()
    rotation.log(("ERROR", "testSecret", "this is why"), ago=100)
    rotation.goes_on((5, ("ERROR", "createSecret", "again")))

    assert "failed in createSecret" in run("rotate").err


@pytest.mark.parametrize("failed", [True, False])
def test_a_rotation_that_is_joined_and_does_not_end_says_what_it_waits_for(
    rotation: Rotation, run: Command, *, failed: bool
) -> None:
    rotation.under_way()
    if failed:
        rotation.log(("ERROR", "testSecret", "this is why"), ago=100)
    why = "testSecret has failed before, as is said above." if failed else "seconds."

    assert f"{why} The next attempt may wait for the next rotation window." in run("rotate", "--seconds", "6").err


# --- Which secret ---


@pytest.mark.parametrize(
    ("asked", "rotated"),
    [
        (("--secret", "team/a"), "team/a"),
        (("--secret", "team-a"), "team-a"),
        (("--secret", "hub"), "hub"),
        (("--secret", "ecr-pullthroughcache/hub"), "ecr-pullthroughcache/hub"),
        (
            ("--secret", "hub", "--secret-parameters", "NamePrefix=ecr-pullthroughcache/"),
            "ecr-pullthroughcache/hub",
        ),
    ],
)
def test_the_secret_that_is_asked_for_is_rotated_whatever_stacks_are_called(
    aws: Account, run: Command, asked: tuple[str, ...], rotated: str
) -> None:
    add_secret_stack(aws, f"{PROJECT}-secret-team-a", {"SecretName": "team/a"})
    add_secret_stack(aws, f"{PROJECT}-secret-hub", {"SecretName": "hub", "NamePrefix": "ecr-pullthroughcache/"})
    aws.add_secret("team-a")
    aws.add_secret("hub")

    run("rotate", *asked, "--seconds", "1")

    assert [secret.name for secret in aws.secrets.values() if "new" in secret.labels] == [rotated]


@pytest.mark.parametrize(("asked", "there"), [("team-a", "team/a"), ("hub", "ecr-pullthroughcache/hub")])
def test_no_other_secret_is_rotated_in_place_of_one_that_is_not_there(
    aws: Account, run: Command, asked: str, there: str
) -> None:
    prefix, name = ("ecr-pullthroughcache/", "hub") if "/hub" in there else ("", there)
    add_secret_stack(aws, f"{PROJECT}-secret-{asked}", {"SecretName": name, "NamePrefix": prefix})

    done = run("rotate", "--secret", asked)

    assert (done.status, f"There is no secret {asked}" in done.err) == (1, True)
    assert "secretsmanager:RotateSecret" not in aws.requests


def test_an_arn_names_a_secret_but_a_part_of_one_does_not(aws: Account, run: Command) -> None:
    secret = aws.add_secret("acme")

    run("rotate", "--secret", secret.arn[:-7], "--seconds", "1")
    assert secret.labels == BEFORE

    run("rotate", "--secret", secret.arn, "--seconds", "1")
    assert secret.labels == STAGED


@pytest.mark.parametrize(
    ("described", "said"),
    [
        ({"RotationEnabled": None, "RotationLambdaARN": None}, "Rotation is not configured"),
        ({"RotationLambdaARN": None}, "is rotated by AWS itself, not by this function"),
        ({"DeletedDate": 1}, "aws secretsmanager restore-secret --secret-id dockerhub-token"),
    ],
)
def test_what_cannot_be_rotated_is_told_with_the_way_out(
    aws: Account, run: Command, described: dict[str, Any], said: str
) -> None:
    aws.add_secret("dockerhub-token", **described)

    done = run("rotate")

    assert (done.status, said in done.err) == (1, True)
    assert "secretsmanager:RotateSecret" not in aws.requests


@pytest.mark.parametrize("leaked", [(), ("--leaked",)])
@pytest.mark.parametrize(
    ("described", "project"),
    [
        ({}, "team-b"),
        ({"RotationLambdaARN": f"{FUNCTION_ARN}-b"}, PROJECT),
        ({"RotationLambdaARN": f"{FUNCTION_ARN}-b", "RotationEnabled": None}, PROJECT),
        ({"RotationLambdaARN": FUNCTION_ARN.replace("eu-", "us-")}, PROJECT),
    ],
)
def test_a_secret_of_another_project_is_not_rotated(
    aws: Account, run: Command, described: dict[str, Any], project: str, leaked: tuple[str, ...]
) -> None:
    secret = aws.add_secret("dockerhub-token", **described)
    aws.functions |= {f"{name}-caretaker": "package" for name in (PROJECT, f"{PROJECT}-b", "team-b")}

    done = run("rotate", "--project", project, *leaked)

    assert (done.status, secret.labels) == (1, BEFORE)
    assert f"none of project {project}'s" in done.err


@pytest.mark.parametrize("qualifier", ["", ":live", ":7"])
def test_a_version_or_an_alias_of_the_projects_function_is_the_projects(
    aws: Account, run: Command, qualifier: str
) -> None:
    secret = aws.add_secret("dockerhub-token", RotationLambdaARN=f"{FUNCTION_ARN}{qualifier}")

    run("rotate", "--seconds", "1")

    assert secret.labels == STAGED


def test_a_secret_that_is_not_there_is_told_with_the_way_out(aws: Account, run: Command) -> None:
    said = run("rotate").err

    assert said.index("in another Region, AWS_REGION=...") < said.index("run `make deploy`")


def test_a_request_whose_answer_is_lost_starts_no_second_rotation(rotation: Rotation, run: Command) -> None:
    tokens = []

    def lose(secret: Secret) -> str:
        tokens.append(json.loads(rotation.aws.bodies[-1])["ClientRequestToken"])
        if len(tokens) == 1:
            raise AwsError("InternalServiceError", "lost", 500)
        secret.labels = STAGED
        return "new"

    rotation.aws.rotate = lose
    rotation.goes_on((8, DONE))
    forget(rotation.aws)

    assert run("rotate").status == 0

    assert len(tokens) == 2
    assert len(set(tokens)) == 1
