"""What mends a failure is told as commands that can be typed as they stand, of this deployment and no other."""

import json
import shlex
from typing import Any, get_args

import pytest

from dockerhub_rotation import errors
from dockerhub_rotation.errors import RotationError, Verb
from dockerhub_rotation.remedies import Place, command, told

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:team-b/docker-hub-AbCdEf"
CARETAKER = "arn:aws:lambda:eu-west-1:123456789012:function:team-b-caretaker"
VERSION = "01805c78-0000-4000-8000-000000000001"
PLACE = Place("team-b", "eu-west-1", ARN, VERSION)
DROP, SHOW = "aws secretsmanager update-secret-version-stage", "aws lambda get-function-configuration"
TASK = """echo '{"Task": \""""
STORE = 'read -rs value && printf %s "$value" | aws ssm put-parameter --type SecureString --overwrite --value file:///dev/stdin'
TAG, PUT = (f"aws secretsmanager {it} --secret-id {ARN}" for it in ("tag-resource", "put-secret-value"))
ROLLING_BACK = Place("team-b", "eu-west-1", ARN, VERSION, "rollback")

# By intent, no command mends these: the message says what does.
WITHOUT = {"EventRefused"}


def plain_of(said: str) -> str:
    return said.partition("without a clone: `")[2].removesuffix("`)")


def kinds() -> list[type[RotationError]]:
    return [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, RotationError) and not kind.__subclasses__()
    ]


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:lambda:eu-west-1:123456789012:function:team-b",
        CARETAKER,
        "arn:aws-cn:lambda:eu-west-1:123456789012:function:team-b:live",
    ],
)
def test_a_functions_arn_names_its_project_and_region(arn: str) -> None:
    assert Place.of(arn, ARN, VERSION) == PLACE


@pytest.mark.parametrize("kind", kinds())
def test_every_error_names_the_command_that_mends_it(kind: type[RotationError]) -> None:
    said = str(told(kind("It failed."), PLACE))

    assert said.startswith("It failed.")
    assert ("`AWS_REGION=eu-west-1 make " in said) is (kind.__name__ not in WITHOUT)
    assert ("(without a clone: `" in said) is (kind.__name__ not in WITHOUT)
    assert said.count("make rotate ") <= 1


@pytest.mark.parametrize(
    ("verb", "typed", "plain"),
    [
        ("rotate", "make rotate PROJECT=team-b SECRET=team-b/docker-hub", "aws secretsmanager rotate-secret"),
        ("again", "make rotate PROJECT=team-b SECRET=team-b/docker-hub", DROP),
        (
            "unblock",
            "make unblock PROJECT=team-b SECRET=team-b/docker-hub",
            DROP,
        ),
        ("reconcile", "make reconcile PROJECT=team-b SECRET=team-b/docker-hub", TASK),
        ("retire", "make retire PROJECT=team-b SECRET=team-b/docker-hub", TASK),
        (
            "rollback",
            f"make rollback PROJECT=team-b SECRET=team-b/docker-hub VERSION={VERSION}",
            TASK,
        ),
        ("logs", f"make logs PROJECT=team-b SECRET=team-b/docker-hub VERSION={VERSION}", "aws logs filter-log-events"),
        ("preflight", "make preflight PROJECT=team-b DEPLOYED=1", TASK),
        ("credentials", "make credentials PROJECT=team-b", SHOW),
        ("deploy-function", "make deploy-function PROJECT=team-b", SHOW),
        (
            "set",
            "make deploy-function PROJECT=team-b FUNCTION_PARAMETERS='Name=value'",
            SHOW,
        ),
    ],
)
def test_a_command_is_whole_in_a_clone_and_without_one(verb: Verb, typed: str, plain: str) -> None:
    said = command(verb, PLACE)

    assert said.startswith(f"`AWS_REGION=eu-west-1 {typed}` (without a clone: `{plain}")
    assert said.endswith(" --region eu-west-1`)")


def test_a_task_comes_to_the_caretaker_as_it_is() -> None:
    """Through a pipe: what stands on the command line is base64 to one version of the AWS CLI, and not to the other."""
    echo, _, invoke = plain_of(command("rollback", PLACE)).partition(" | ")

    assert json.loads(shlex.split(echo)[1]) == {"Task": "Rollback", "SecretId": ARN, "VersionId": VERSION}
    assert invoke == (
        "aws lambda invoke --function-name team-b-caretaker --cli-read-timeout 960 --payload fileb:///dev/stdin "
        "answer.json --region eu-west-1"
    )


def test_every_verb_has_a_command() -> None:
    named = Place("team-b", "eu-west-1", ARN, VERSION, names=("a-name",))

    assert all(command(verb, named) for verb in get_args(Verb) if verb != "again")


@pytest.mark.parametrize("verb", ["unblock", "again"])
def test_what_is_pending_is_dropped_without_a_clone_before_another_rotation_begins(verb: Verb) -> None:
    drop, rotate = plain_of(command(verb, PLACE)).split("; ")

    assert shlex.split(drop)[1:] == [
        *("secretsmanager", "update-secret-version-stage", "--secret-id", ARN, "--version-stage", "AWSPENDING"),
        *("--remove-from-version-id", VERSION, "--region", "eu-west-1"),
    ]
    assert shlex.split(rotate)[1:] == ["secretsmanager", "rotate-secret", "--secret-id", ARN, "--region", "eu-west-1"]


def test_nothing_is_dropped_where_no_rotation_is_known_or_another_verb_is_repeated() -> None:
    unknown = Place("team-b", "eu-west-1", ARN)

    assert plain_of(command("again", unknown)).startswith("aws secretsmanager rotate-secret ")
    assert "Rollback" in plain_of(command("again", ROLLING_BACK))


@pytest.mark.parametrize(
    ("failure", "plain"),
    [
        (
            errors.CredentialRefused("Check.", names=("/b/NAME", "/b/PASSWORD")),
            f"{STORE} --name /b/NAME --region eu-west-1; {STORE} --name /b/PASSWORD --region eu-west-1",
        ),
        (
            errors.TagsInvalid("Mend them.", names=("ours:grace", "ours:expiry")),
            f"{TAG} --tags Key=ours:grace,Value=... Key=ours:expiry,Value=... --region eu-west-1",
        ),
        (
            errors.SecretUnusable("Store one."),
            f"{PUT} --secret-string file:///dev/stdin --region eu-west-1",
        ),
    ],
)
def test_what_is_to_be_mended_is_named(failure: RotationError, plain: str) -> None:
    assert f"`{plain}`" in str(told(failure, PLACE))


def test_doing_it_again_is_what_has_failed() -> None:
    retire = Place("team-b", "eu-west-1", ARN, again="retire")

    assert "make retire " in str(told(errors.RateLimited("Used up."), retire))
    assert "make rotate " in str(told(errors.RateLimited("Used up."), PLACE))


def test_only_a_rotation_is_repeated_by_itself() -> None:
    by_itself = "Secrets Manager tries again by itself."

    assert by_itself in str(told(errors.RateLimited("Used up."), PLACE))
    assert by_itself not in str(told(errors.RateLimited("Used up."), Place("b", "eu-west-1", ARN, again="retire")))
    assert by_itself not in str(told(errors.SettingsInvalid("Wrong."), PLACE))


def test_a_name_that_a_shell_or_make_would_take_apart_is_quoted() -> None:
    odd = Place("team-b", "eu-west-1", "it's $(here)")

    said = command("rotate", odd)

    typed, plain = (shlex.split(words) for words in said.split("`")[1::2])
    assert "SECRET=it's $$(here)" in typed
    assert "it's $(here)" in plain


def test_what_was_raised_stays_as_it_is_and_all_else_it_says_is_told() -> None:
    """A sandbox remembers a refusal, and quotes it in the next one."""
    cause = ValueError("a cause")
    failure: Any = errors.RetirementFailed("Promoted.")
    failure.consumers_affected, failure.retired, failure.__cause__ = True, {"disabled": 1}, cause

    said = told(failure, PLACE)

    assert str(failure) == "Promoted."
    assert type(said) is errors.RetirementFailed
    assert (said.consumers_affected, said.retired, said.__cause__) == (True, {"disabled": 1}, cause)


def test_the_place_that_raises_may_know_better_what_mends_it() -> None:
    said = str(told(errors.EventRefused("Old.", verbs=("unblock",)), PLACE))

    assert "make unblock " in said
    assert str(told(errors.EventRefused("Made by hand."), PLACE)) == "Made by hand."
