"""`deploy`: what it makes, what it leaves alone, and what it refuses before anything has changed."""

from __future__ import annotations

import re

import pytest

from operate import package
from operate.arguments import assignments

from .aws import Account
from .conftest import PROJECT, Command, add_account, add_function, add_secret_stack, forget
from .storage import Bucket

BUCKET = f"{PROJECT}-123456789012-eu-central-1"
SECRET = f"{PROJECT}-secret"
USERNAME, PASSWORD = f"/{PROJECT}/DOCKER_HUB_USERNAME", f"/{PROJECT}/DOCKER_HUB_PASSWORD"


def changed(aws: Account) -> bool:
    """Whether anything was made, or begun to be made."""
    return bool({"cloudformation:CreateChangeSet", "s3:PutObject", "ssm:PutParameter"} & set(aws.requests))


def test_everything_is_made_from_nothing(deployed: Account) -> None:
    assert list(deployed.formation.stacks) == [
        f"{PROJECT}-{kind}" for kind in ("bucket", "function", "caretaker", "secret")
    ]
    (key,) = deployed.buckets[BUCKET].objects
    assert deployed.formation.stacks[f"{PROJECT}-function"].parameters["ArtifactKey"] == key
    assert list(deployed.secrets) == ["dockerhub-token"]


def test_a_second_deployment_says_of_everything_that_it_is_there(deployed: Account, run: Command) -> None:
    done = run("deploy")

    assert re.findall(r"^(\w+) .* is (?:up to date|there already)$", done.out, re.MULTILINE) == [
        *("bucket", "package", "function", "caretaker", "secret")
    ]


def test_what_is_shown_of_a_stack_is_shown_when_its_step_is_done(deployed: Account, run: Command) -> None:
    function = deployed.formation.stacks[f"{PROJECT}-function"]
    function.status = "UPDATE_ROLLBACK_FAILED"

    done = run("deploy")

    assert (done.status, "UPDATE_ROLLBACK_FAILED" in done.err) == (1, True)
    assert re.search(r"is up to date\n +BucketName +\S+\npackage", done.out)


# --- The caretaker ---

FUNCTION, CARETAKER = f"{PROJECT}-function", f"{PROJECT}-caretaker"


def test_the_caretaker_has_what_the_function_has_and_can_be_given_nothing_else(deployed: Account, run: Command) -> None:
    settings = "Login=users-login MemorySize=512 GraceLimit=7d Architecture=x86_64"
    assert run("deploy", "--only", "function", "--function-parameters", settings).status == 0

    function, caretaker = (deployed.formation.stacks[name] for name in (FUNCTION, CARETAKER))
    assert {"users-login", "512", "7d", "x86_64"} <= set(caretaker.parameters.values())
    own = {"RotationFunctionArn", "AlarmTopicArn"}
    assert {key: value for key, value in caretaker.parameters.items() if key not in own}.items() <= (
        function.parameters.items()
    )
    assert {caretaker.parameters[key] for key in own} <= set(function.outputs.values())


def test_a_new_package_reaches_both_also_if_the_function_alone_is_deployed(deployed: Account, run: Command) -> None:
    package.ARCHIVE.write_bytes(b"another package")
    assert run("deploy", "--only", "package").status == 0

    early = run("deploy", "--only", "caretaker")
    assert (early.status, "the caretaker runs what the function runs" in early.err) == (1, True)
    assert run("deploy", "--only", "function").status == 0

    assert deployed.functions[PROJECT] == deployed.functions[CARETAKER] == package.Package().checksum
    versions = {deployed.formation.stacks[name].parameters["ArtifactVersion"] for name in (FUNCTION, CARETAKER)}
    assert versions == {deployed.buckets[BUCKET].versions[package.Package().key(PROJECT)]}


def test_the_functions_step_alone_makes_no_caretaker(aws: Account, run: Command) -> None:
    for step in ("bucket", "package", "function"):
        assert run("deploy", "--only", step).status == 0

    assert list(aws.functions) == [PROJECT]
    assert run("deploy", "--only", "caretaker").status == 0
    assert list(aws.functions) == [PROJECT, CARETAKER]


def test_a_caretaker_with_other_code_is_told(deployed: Account, run: Command) -> None:
    deployed.functions[CARETAKER] = "of somebody"

    done = run("deploy", "--only", "caretaker")

    assert f"The function {CARETAKER} does not run the package that was built" in done.err


def test_somebody_elses_function_in_the_caretakers_place_keeps_all_from_being_made(aws: Account, run: Command) -> None:
    add_account(aws)
    aws.functions[CARETAKER] = "of somebody"

    done = run("deploy")

    assert f"There is a function {CARETAKER} already, which no stack {CARETAKER} has made" in done.err
    assert not changed(aws)


# --- The package and its bucket ---


def test_without_a_package_it_says_how_to_make_one(deployed: Account, run: Command) -> None:
    package.ARCHIVE.unlink()

    assert "run `make package` first" in run("deploy", "--only", "package").err


def test_the_function_is_not_given_a_package_that_is_not_there(deployed: Account, run: Command) -> None:
    package.ARCHIVE.write_bytes(b"another package")

    done = run("deploy", "--only", "function")

    assert "is missing: run `make deploy-package` first" in done.err
    assert not changed(deployed)


def test_a_bucket_without_a_stack_is_used_as_it_is(aws: Account, run: Command) -> None:
    aws.buckets[BUCKET] = Bucket()

    done = run("deploy", "--only", "bucket")

    assert "is there from an earlier deployment, and is used as it is" in done.out
    assert run("deploy", "--only", "package").status == 0
    assert len(aws.buckets[BUCKET].objects) == 1
    assert aws.formation.stacks == {}


@pytest.mark.parametrize("step", ["bucket", "package", "function"])
@pytest.mark.parametrize(
    ("bucket", "said"),
    [
        (Bucket(owner="999999999999"), "belongs to another account"),
        (Bucket(region="us-east-1"), "is in us-east-1, and Lambda takes a package only from its own Region"),
    ],
)
def test_a_bucket_that_does_not_serve_is_told_with_the_way_out(
    aws: Account, run: Command, step: str, bucket: Bucket, said: str
) -> None:
    aws.buckets[BUCKET] = bucket

    done = run("deploy", "--only", step)

    assert done.status == 1
    assert said in done.err
    assert f"`make deploy BUCKET={BUCKET}-<something of yours>`" in done.err
    assert not changed(aws)


# --- Parameters ---


def test_values_may_hold_spaces() -> None:
    assert assignments("A=1 Schedule='cron(0 4 ? * 2#1 *)' B=") == {
        "A": "1",
        "Schedule": "cron(0 4 ? * 2#1 *)",
        "B": "",
    }


@pytest.mark.parametrize(
    ("option", "parameters", "said"),
    [
        ("--function-parameters", "NoSuch=1", "infra/function.yaml has no parameter NoSuch: it has ProjectName"),
        ("--secret-parameters", "NoSuch=1", "infra/secret.yaml has no parameter NoSuch"),
        ("--function-parameters", "word", "Key=Value"),
        ("--function-parameters", "A='1", "quotation"),
        ("--function-parameters", "Login=a Login=b", "more than one Login"),
        (
            "--function-parameters",
            "ProjectName=other ArtifactKey=mine",
            "ProjectName is set by PROJECT=..., ArtifactKey is set by the package",
        ),
        (
            "--secret-parameters",
            "SecretName=foo Shape=plain RotationRoleArn=x",
            "SecretName is set by SECRET=..., RotationRoleArn is set by the function's stack",
        ),
    ],
)
def test_parameters_that_cannot_be_are_refused_before_anything_is_made(
    aws: Account, run: Command, option: str, parameters: str, said: str
) -> None:
    add_account(aws)

    done = run("deploy", option, parameters)

    assert (done.status, said in done.err) == (1, True), done.err
    assert not changed(aws)


@pytest.mark.parametrize("parameters", ["Token=dckr_pat_first", "Token='dckr_pat_first", "Shape Token=dckr_pat_first"])
def test_a_token_on_the_command_line_is_refused_and_not_repeated(aws: Account, run: Command, parameters: str) -> None:
    done = run("deploy", "--secret-parameters", parameters)

    assert done.status == 1
    assert "dckr_pat_first" not in done.out + done.err
    assert aws.requests == []


def test_without_the_parameters_nothing_is_made(aws: Account, run: Command) -> None:
    aws.parameters[PASSWORD] = {"Name": PASSWORD}

    done = run("deploy", "--function-parameters", "TotpParameter=DOCKER_HUB_TOTP")

    assert f"no {USERNAME} and no DOCKER_HUB_TOTP: run `make credentials` first" in done.err
    assert not changed(aws)


# --- The secret ---


def test_the_first_token_is_asked_for_and_stored(deployed: Account, run: Command) -> None:
    secret = ("--only", "secret", "--secret", "b", "--secret-parameters", "RotateImmediately=false")

    assert run("deploy", *secret, "--ask-token", stdin="dckr_pat_first\n").status == 0

    assert deployed.secrets["b"].value == "dckr_pat_first"


def test_an_error_does_not_quote_the_token_it_is_about(deployed: Account, run: Command) -> None:
    deployed.formation.refusal = "no: dckr_pat_first"

    done = run("deploy", "--only", "secret", "--secret", "b", "--ask-token", stdin="dckr_pat_first\n")

    assert "no: [hidden]" in done.err


def test_a_token_that_is_not_entered_is_no_placeholder(aws: Account, run: Command) -> None:
    done = run("deploy", "--ask-token", stdin="\n")

    assert "No token was entered" in done.err
    assert aws.requests == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--ask-token",), "Token"),
        (("--secret-parameters", "Shape=ecs Username=acme"), "Shape and Username"),
    ],
)
def test_an_update_that_would_lose_the_live_token_is_refused(
    deployed: Account, run: Command, arguments: tuple[str, ...], named: str
) -> None:
    done = run("deploy", "--only", "secret", *arguments, stdin="dckr_pat_first\n")

    assert f"a change of {named} would lose the token" in done.err
    assert not changed(deployed)


def test_only_a_new_secret_is_given_the_functions_topic(deployed: Account, run: Command) -> None:
    stack = deployed.formation.stacks[SECRET]
    assert stack.parameters["AlarmTopicArn"].endswith("-alarms")

    stack.parameters["AlarmTopicArn"] = ""
    assert run("deploy", "--only", "secret").status == 0

    assert stack.parameters["AlarmTopicArn"] == ""


@pytest.mark.parametrize(("at_once", "told"), [("true", True), ("false", False)])
def test_a_first_rotation_that_has_begun_is_told_with_how_to_follow_it(
    deployed: Account, run: Command, at_once: str, *, told: bool
) -> None:
    secret = ("--only", "secret", "--secret", "b", "--secret-parameters", f"RotateImmediately={at_once}", "--no-wait")

    first, second = run("deploy", *secret), run("deploy", *secret)

    assert ("`make rotate SECRET=b`" in first.out.splitlines()[-1]) is told
    assert "`make rotate" not in second.out


def test_a_secret_that_was_deleted_behind_its_stack_is_said_to_be(deployed: Account, run: Command) -> None:
    secret = ("--only", "secret", "--secret", "b", "--no-wait")
    run("deploy", *secret)
    del deployed.secrets["b"]

    again = run("deploy", *secret)

    assert again.status == 0
    assert "Somebody has deleted b: delete its stack dockerhub-rotation-secret-b" in again.out


# --- Whom the function serves ---


def test_a_new_function_serves_the_secret_that_is_asked_for_and_hears_rules_with_the_role_alone(
    aws: Account, run: Command
) -> None:
    add_account(aws)

    assert run("deploy", "--secret", "team/a").status == 0

    made = [aws.formation.stacks[name].parameters for name in (FUNCTION, CARETAKER)]
    assert [it["Secrets"] for it in made] == ["team/a", "team/a"]
    assert made[0]["RulesWithoutRole"] == "false"
    given = ("--function-parameters", "RulesWithoutRole=true Secrets=team/*")
    assert run("deploy", "--secret", "team/a", *given).status == 0
    assert run("deploy", "--secret", "team/a").status == 0
    assert (made[0]["Secrets"], made[0]["RulesWithoutRole"]) == ("team/a", "false")
    now = aws.formation.stacks[FUNCTION].parameters
    assert (now["Secrets"], now["RulesWithoutRole"]) == ("team/*", "true")


def test_a_secret_that_the_function_does_not_serve_is_refused_with_the_command_that_has_it_do_so(
    aws: Account, run: Command
) -> None:
    add_account(aws)
    assert run("deploy").status == 0
    forget(aws)

    for words in (("--only", "secret"), ()):
        done = run("deploy", *words, "--secret", "team/a")
        assert done.status == 1
        assert 'make deploy-function SECRET=team/a FUNCTION_PARAMETERS="Secrets=dockerhub-token,team/a"' in done.err
    assert not changed(aws)

    widened = ("--function-parameters", "Secrets=dockerhub-token,team/a")
    assert run("deploy", "--only", "function", "--secret", "team/a", *widened).status == 0
    assert run("deploy", "--only", "secret", "--secret", "team/a").status == 0
    assert "team/a" in aws.secrets


@pytest.mark.parametrize(
    ("served", "secret", "fits"),
    [
        ("*", "any", True),
        ("a,team/*", "team/a", True),
        ("a,team/*", "team", False),
        ("a,team/*", "ab", False),
        ("ecr-pullthroughcache/hub", "ecr-pullthroughcache/hub", True),
        ("hub", "ecr-pullthroughcache/hub", False),
    ],
)
def test_a_stack_that_is_there_is_held_against_the_names_too(
    deployed: Account, run: Command, served: str, secret: str, *, fits: bool
) -> None:
    deployed.formation.stacks[FUNCTION].parameters["Secrets"] = served
    ecr = ("--secret-parameters", "Shape=ecr Username=acme") if "ecr" in secret else ()

    done = run("deploy", "--only", "secret", "--secret", secret, *ecr)

    assert (done.status == 0) is fits, done.err
    assert ("would fail" in done.err) is not fits


# --- When a secret rotates ---


def test_with_two_factor_login_a_new_secret_has_a_window_of_an_hour(aws: Account, run: Command) -> None:
    add_account(aws)
    aws.parameters["/hub/totp"] = {"Name": "/hub/totp"}
    late = ("--secret-parameters", "RotationSchedule='cron(0 23 * * ? *)'")

    assert run("deploy", "--function-parameters", "TotpParameter=/hub/totp", *late).status == 0

    assert aws.formation.stacks[SECRET].parameters["RotationWindow"] == "1h"
    assert run("deploy", "--only", "secret", "--secret-parameters", "RotationWindow=2h").status == 1
    assert run("deploy", "--only", "secret").status == 0
    assert aws.formation.stacks[SECRET].parameters["RotationWindow"] == "1h"


@pytest.mark.parametrize(
    ("schedule", "window", "said"),
    [
        ("cron(0 20 * * ? *)", "4h", ""),
        ("cron(0 21 * * ? *)", "4h", "begins at 21 o'clock is not over by midnight"),
        ("cron(0 0,4,8 * * ? *)", "4h", ""),
        ("cron(0 4,0,8 * * ? *)", "5h", "the next one begins before it ends"),
        ("cron(0 /4 * * ? *)", "4h", ""),
        ("cron(0 /5 * * ? *)", "5h", "begins at 20 o'clock"),
        ("cron(0 2/4 * * ? *)", "3h", "begins at 22 o'clock"),
        ("cron(0 2-10/4 * * ? *)", "4h", ""),
        ("cron(0 */4 * * ? *)", "5h", "not over by midnight"),
        ("rate(10 hours)", "10h", ""),
        ("rate(10 hours)", "11h", "the next one begins before it ends"),
        ("rate(1 day)", "24h", ""),
    ],
)
def test_a_window_has_to_end_by_midnight_and_before_the_next(
    deployed: Account, run: Command, schedule: str, window: str, said: str
) -> None:
    given = f"RotationSchedule='{schedule}' RotationWindow={window}"

    new, there = (
        run("deploy", "--only", "secret", "--secret", name, "--secret-parameters", given)
        for name in ("b", "dockerhub-token")
    )

    assert [new.status, there.status] == [1 if said else 0] * 2, new.err + there.err
    assert said in new.err
    assert changed(deployed) is not bool(said)


# --- A name is an identity ---


def test_two_secrets_whose_names_differ_in_a_sign_have_a_stack_each(deployed: Account, run: Command) -> None:
    for secret in ("team/a", "team-a", "team.a"):
        assert run("deploy", "--only", "secret", "--secret", secret).status == 0

    assert set(deployed.secrets) >= {"team/a", "team-a", "team.a"}
    assert deployed.formation.stacks[f"{SECRET}-team-a"].parameters["SecretName"] == "team-a"


def test_a_stack_of_an_older_version_is_used_for_the_secret_it_holds_and_for_no_other(
    deployed: Account, run: Command
) -> None:
    old = add_secret_stack(deployed, f"{SECRET}-team-a", {"SecretName": "team/a"})
    stacks = len(deployed.formation.stacks)

    assert run("deploy", "--only", "secret", "--secret", "team/a").status == 0
    assert len(deployed.formation.stacks) == stacks
    assert old.status == "UPDATE_COMPLETE"

    assert run("deploy", "--only", "secret", "--secret", "team-a").status == 0
    assert old.parameters["SecretName"] == "team/a"
    assert set(deployed.secrets) >= {"team/a", "team-a"}
    assert run("deploy", "--only", "secret", "--secret", "team-a").status == 0
    assert len(deployed.formation.stacks) == stacks + 1


ECR = {"SecretName": "hub", "NamePrefix": "ecr-pullthroughcache/", "Shape": "ecr", "Username": "acme"}


@pytest.mark.parametrize(
    "named",
    [
        ("--secret", "ecr-pullthroughcache/hub"),
        ("--secret", "hub", "--secret-parameters", "NamePrefix=ecr-pullthroughcache/"),
        ("--secret", "ecr-pullthroughcache/hub", "--secret-parameters", "NamePrefix=ecr-pullthroughcache/"),
    ],
)
def test_a_pull_through_caches_secret_of_an_older_version_is_found_by_its_whole_name(
    deployed: Account, run: Command, named: tuple[str, ...]
) -> None:
    add_secret_stack(deployed, f"{SECRET}-hub", ECR)
    stacks, secrets = len(deployed.formation.stacks), len(deployed.secrets)

    assert run("deploy", "--only", "secret", *named).status == 0

    assert (len(deployed.formation.stacks), len(deployed.secrets)) == (stacks, secrets)


def test_a_forgotten_prefix_makes_no_second_secret_unless_it_is_said_that_there_is_none(
    deployed: Account, run: Command
) -> None:
    add_secret_stack(deployed, f"{SECRET}-hub", ECR)

    done = run("deploy", "--only", "secret", "--secret", "hub")
    assert f"Stack {SECRET}-hub has the secret ecr-pullthroughcache/hub, not hub" in done.err
    assert not changed(deployed)

    assert run("deploy", "--only", "secret", "--secret", "hub", "--secret-parameters", "NamePrefix=''").status == 0
    assert set(deployed.secrets) >= {"hub", "ecr-pullthroughcache/hub"}
    assert run("deploy", "--only", "secret", "--secret", "hub").status == 0
    assert len([name for name in deployed.secrets if name.endswith("hub")]) == 2


def test_a_prefix_in_the_name_is_given_to_the_template_as_such(deployed: Account, run: Command) -> None:
    named = ("--secret", "ecr-pullthroughcache/hub", "--secret-parameters", "Shape=ecr Username=acme")

    assert run("deploy", "--only", "secret", *named).status == 0

    assert "ecr-pullthroughcache/hub" in deployed.secrets


def test_a_secret_called_function_is_not_taken_for_another_projects_function(aws: Account, run: Command) -> None:
    add_account(aws, "a")
    add_function(aws, "a")
    theirs = add_function(aws, "a-secret")
    forget(aws)

    assert run("deploy", "--only", "secret", "--project", "a", "--secret", "function").status == 0

    assert theirs.status == "CREATE_COMPLETE"
    assert "SecretName" not in theirs.parameters
    assert "function" in aws.secrets


def test_a_stack_that_says_it_is_another_projects_is_not_changed(deployed: Account, run: Command) -> None:
    theirs = add_secret_stack(deployed, f"{SECRET}-b", {"SecretName": "b"}, project="keeper")

    run("deploy", "--only", "secret", "--secret", "b")

    assert theirs.status == "CREATE_COMPLETE"
