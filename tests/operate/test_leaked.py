"""`rotate --leaked`: another token, then every superseded one is disabled, and what still works is said."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from .aws import Account, Secret
from .cloudformation import AwsError
from .conftest import PROJECT, Command

CARETAKER = f"{PROJECT}-caretaker"
NEW = {"Token": "new-token", "Version": "new", "StagingLabels": ["AWSCURRENT", "AWSPENDING"], "PinnedBy": []}


class Tokens:
    """A caretaker, and the tokens at Docker Hub that it disables: those of versions without a label of people's own."""

    def __init__(self, aws: Account, secret: Secret) -> None:
        self.aws, self.secret = aws, secret
        self.active = {"older", "old"}
        self.tasks: list[Any] = []
        aws.functions[CARETAKER] = "package"
        aws.invoked = self.retire
        aws.rotate = self.rotate

    def rotate(self, secret: Secret) -> str:
        secret.labels = {**secret.labels, "new": ["AWSPENDING"]}
        self.aws.later(3, self.promote)
        return "new"

    def promote(self) -> None:
        self.active.add("new")
        kept = {version: [it for it in labels if it != "AWSCURRENT"] for version, labels in self.labels.items()}
        self.secret.labels = {**kept, "old": ["AWSPREVIOUS"], "new": ["AWSCURRENT", "AWSPENDING"]}

    @property
    def labels(self) -> Mapping[str, list[str]]:
        return self.secret.labels

    def retire(self, name: str, event: Any) -> dict[str, Any]:
        assert name == CARETAKER
        self.tasks.append(event)
        in_use = {"AWSCURRENT", "AWSPENDING"}
        pins = {version: set(it) - in_use - {"AWSPREVIOUS"} for version, it in self.labels.items()}
        works = {it for it in self.active if in_use & set(self.labels.get(it, ())) or pins.get(it)}
        disabled, self.active = len(self.active - works), works
        return {
            "Message": f"{disabled} superseded tokens disabled.",
            "Disabled": disabled,
            "StillWork": [
                {
                    "Token": f"{it}-token",
                    "Version": it,
                    "StagingLabels": sorted(self.labels[it]),
                    "PinnedBy": sorted(pins[it]),
                }
                for it in sorted(works)
            ],
            "LeftActive": [],
            "NotFound": [],
        }


@pytest.fixture
def tokens(aws: Account) -> Tokens:
    secret = aws.add_secret("dockerhub-token")
    secret.labels = {"older": ["AWSPREVIOUS"], "old": ["AWSCURRENT"]}
    return Tokens(aws, secret)


def test_after_a_leak_only_the_new_token_works(tokens: Tokens, run: Command) -> None:
    done = run("rotate", "--leaked")

    assert (done.status, tokens.active) == (0, {"new"}), done.err
    assert tokens.tasks == [{"Task": "Retire", "SecretId": tokens.secret.arn}]
    assert "2 superseded tokens disabled" in done.out
    assert "works     new-token, version new: AWSCURRENT AWSPENDING" in done.out
    assert done.out.endswith("No token of the secret works any more but the one that is in use.\n")


def test_without_the_switch_nothing_is_retired(tokens: Tokens, run: Command) -> None:
    assert run("rotate").status == 0

    assert (tokens.tasks, tokens.active) == ([], {"older", "old", "new"})


def test_a_token_that_somebodys_label_pins_is_told_with_what_lets_go_of_it(tokens: Tokens, run: Command) -> None:
    tokens.secret.labels = {"older": ["last-year"], "old": ["AWSCURRENT"]}

    done = run("rotate", "--leaked")

    assert (done.status, tokens.active) == (1, {"older", "new"})
    assert "works     older-token, version older: last-year" in done.out
    stage = "--version-stage last-year --remove-from-version-id older"
    assert f"aws secretsmanager update-secret-version-stage --secret-id {tokens.secret.arn} {stage}" in done.out
    by_hand = done.out.splitlines()[-1]
    task = {"Task": "Retire", "SecretId": tokens.secret.arn}
    assert by_hand.startswith(f"  echo '{json.dumps(task)}' | aws lambda invoke --function-name ")
    assert f":function:{CARETAKER} " in by_hand


@pytest.mark.parametrize(
    ("left", "said"),
    [
        ({"LeftActive": [{"Token": "x", "Version": "v", "Why": "its age can't be read"}]}, "its age can't be read"),
        ({"Message": "One was not found.", "NotFound": ["v was replaced."]}, "One was not found."),
        ({"StillWork": [{**NEW, "StagingLabels": ["AWSPREVIOUS"]}]}, "works     new-token"),
    ],
)
def test_whatever_may_still_be_active_is_no_success(
    tokens: Tokens, run: Command, left: dict[str, Any], said: str
) -> None:
    tokens.aws.invoked = lambda name, event: {"Message": "done", "StillWork": [NEW], **left}

    done = run("rotate", "--leaked", "--json")

    assert (done.status, done.json["ok"]) == (1, False)
    assert said in done.err
    assert done.json["retired"].items() >= left.items()


def test_a_rotation_that_fails_before_the_promotion_leaves_the_leaked_token_and_says_so(
    tokens: Tokens, run: Command
) -> None:
    tokens.aws.refuse["secretsmanager:RotateSecret"] = AwsError("AccessDeniedException", "Not you")

    done = run("rotate", "--leaked")

    assert (done.status, tokens.tasks) == (1, [])
    assert "Not you" in done.err
    assert "may be the one that leaked: run `make rotate LEAKED=1`" in done.err


def test_what_a_rotation_leaves_undone_after_the_promotion_the_caretaker_does(tokens: Tokens, run: Command) -> None:
    failed = '{"level": "ERROR", "step": "finishSecret", "message": "no", "correlation_id": "new"}'
    tokens.aws.later(4, lambda: tokens.aws.log.update({f"/aws/lambda/{PROJECT}": [(time.time(), failed)]}))

    done = run("rotate", "--leaked")

    assert "the new token is current and works, an old one is still active" in done.out
    assert (done.status, tokens.active) == (0, {"new"})


def test_a_rotation_that_was_under_way_may_have_made_the_token_that_leaked(tokens: Tokens, run: Command) -> None:
    tokens.secret.labels = {"old": ["AWSCURRENT"], "new": ["AWSPENDING"]}
    tokens.aws.rotate = tokens.aws._pending
    tokens.aws.later(3, tokens.promote)

    done = run("rotate", "--leaked")

    assert (done.status, tokens.active) == (0, {"new"})
    assert "may have leaked as well, run `make rotate LEAKED=1` once more" in done.out


def test_without_a_caretaker_nothing_is_done_and_the_way_is_told(tokens: Tokens, run: Command) -> None:
    tokens.aws.functions.clear()

    done = run("rotate", "--leaked")

    assert (done.status, tokens.labels["old"]) == (1, ["AWSCURRENT"])
    assert "Run `make deploy-caretaker`, then this again; or `make rotate`" in done.err


def test_an_error_of_the_caretakers_is_told_with_how_to_send_the_task_again(tokens: Tokens, run: Command) -> None:
    tokens.aws.invoked = lambda name, event: {"errorMessage": "Docker Hub did not answer.", "errorType": "X"}

    done = run("rotate", "--leaked")

    assert (done.status, "every superseded one is disabled is not known: Docker Hub did not answer." in done.err) == (
        1,
        True,
    )
    assert 'echo \'{"Task": "Retire", "SecretId": "' in done.err


def test_an_answer_that_is_lost_is_not_asked_for_a_second_time(tokens: Tokens, run: Command) -> None:
    """It would run a second time, beside the first."""
    tokens.aws.broken["lambda:Invoke"] = ReadTimeoutError(endpoint_url="https://lambda")

    done = run("rotate", "--leaked")

    assert (done.status, tokens.aws.requests.count("lambda:Invoke")) == (1, 1)
    assert "whether every superseded one is disabled is not known" in done.err
    assert "send the task again: `make retire`, or without these commands:\n  echo " in done.err
