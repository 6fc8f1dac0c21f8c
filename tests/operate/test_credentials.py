"""`credentials`: what is entered goes into Parameter Store, and nowhere else."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Mapping

import pytest

from .aws import Account
from .cloudformation import AwsError
from .conftest import PROJECT, Command, Run, add_function

CREDENTIAL = ("acme", "correct-horse", "JBSW Y3DP EHPK 3PXP", "https://hooks.slack.com/services/T0/B0/x")
NAMES = tuple(f"/{PROJECT}/DOCKER_HUB_{name}" for name in ("USERNAME", "PASSWORD", "TOTP", "SLACK_WEBHOOK_URL"))


def enter(run: Command, monkeypatch: pytest.MonkeyPatch, *lines: str, at_a_terminal: bool) -> Run:
    """Enter something, and return what has come of it."""
    entered = iter(lines)
    monkeypatch.setattr(getpass, "getpass", lambda prompt: next(entered))
    return run("credentials", stdin="\n".join(lines) + "\n", at_a_terminal=at_a_terminal)


def values(aws: Account) -> dict[str, str]:
    return {name: it["Value"] for name, it in aws.parameters.items()}


@pytest.mark.parametrize("at_a_terminal", [True, False])
def test_the_credential_is_stored_and_not_repeated(
    aws: Account, run: Command, monkeypatch: pytest.MonkeyPatch, *, at_a_terminal: bool
) -> None:
    done = enter(run, monkeypatch, *CREDENTIAL, at_a_terminal=at_a_terminal)

    assert values(aws) == dict(zip(NAMES, CREDENTIAL, strict=True))
    assert {it["Type"] for it in aws.parameters.values()} == {"SecureString"}
    said = done.out + done.err
    assert f'make deploy FUNCTION_PARAMETERS="TotpParameter={NAMES[2]} SlackWebhookParameter={NAMES[3]}"' in said
    assert [secret for secret in CREDENTIAL[1:] if secret in said] == []


def test_what_is_optional_may_be_left_out(aws: Account, run: Command) -> None:
    assert run("credentials", stdin="acme\ncorrect-horse\n\n").status == 0

    assert list(values(aws).values()) == ["acme", "correct-horse"]


@pytest.mark.parametrize("at_a_terminal", [True, False])
def test_a_password_is_stored_as_it_is_and_a_name_without_what_surrounds_it(
    aws: Account, run: Command, monkeypatch: pytest.MonkeyPatch, *, at_a_terminal: bool
) -> None:
    password = " correct\x0bhorse\x85battery\u2028staple "

    assert enter(run, monkeypatch, " acme ", password, "", "", at_a_terminal=at_a_terminal).status == 0

    assert list(values(aws).values()) == ["acme", password]


def test_the_credential_goes_where_the_function_reads_it(aws: Account, run: Command) -> None:
    there = {"UsernameParameter": "/hub/user", "PasswordParameter": "/hub/password", "ParametersKeyArn": "arn:key"}
    add_function(aws, parameters=there)

    assert run("credentials", stdin="acme\ncorrect-horse\n").status == 0

    assert values(aws) == {"/hub/user": "acme", "/hub/password": "correct-horse"}
    assert {it["KeyId"] for it in aws.parameters.values()} == {"arn:key"}


OTHERS = "These parameters are there, and not tagged as project dockerhub-rotation's"


@pytest.mark.parametrize("tags", [{}, {"ProjectName": "team-b"}])
@pytest.mark.parametrize(
    ("words", "answer", "stored"),
    [
        (("--yes",), None, True),
        ((), None, False),
        ((), "y", True),
        ((), "n", False),
        ((), "", False),
    ],
)
def test_what_is_not_tagged_as_this_projects_is_overwritten_only_with_a_yes(
    aws: Account,
    run: Command,
    monkeypatch: pytest.MonkeyPatch,
    tags: dict[str, str],
    words: tuple[str, ...],
    answer: str | None,
    *,
    stored: bool,
) -> None:
    aws.parameters[NAMES[1]] = theirs = {"Name": NAMES[1], "Value": "theirs"}
    aws.parameter_tags[NAMES[1]] = dict(tags)
    lines = iter(("acme", "correct-horse", "", ""))
    monkeypatch.setattr(getpass, "getpass", lambda prompt: next(lines))
    entered = "acme\ncorrect-horse\n" if answer is None else f"{answer}\n"

    done = run("credentials", *words, stdin=entered, at_a_terminal=answer is not None)

    assert done.status == (0 if stored else 1), done.err
    if stored:
        assert values(aws) == {NAMES[0]: "acme", NAMES[1]: "correct-horse"}
        assert run("credentials", stdin="acme\nbattery-staple\n").status == 0, "it is this project's now"
    else:
        assert aws.parameters == {NAMES[1]: theirs}
        assert aws.tried == []
        assert f"{OTHERS}: {NAMES[1]} ({tags.get('ProjectName', 'nobody')}'s)" in done.out + done.err
        assert "`make credentials YES=1`" in done.err or answer is not None


def test_two_projects_in_an_account_do_not_meet(aws: Account, run: Command) -> None:
    for project in ("team-a", "team-b"):
        assert run("credentials", "--project", project, stdin=f"{project}\ncorrect-horse\n").status == 0

    assert values(aws)["/team-a/DOCKER_HUB_USERNAME"] == "team-a"
    assert values(aws)["/team-b/DOCKER_HUB_USERNAME"] == "team-b"


def test_what_somebody_stores_at_the_same_moment_is_not_overwritten(aws: Account, run: Command) -> None:
    theirs = {"Name": NAMES[0], "Value": "theirs"}
    aws.tried = Racing(lambda: aws.parameters.update({NAMES[0]: theirs}))

    done = run("credentials", stdin="acme\ncorrect-horse\n")

    assert (done.status, "ParameterAlreadyExists" in done.err) == (1, True)
    assert aws.parameters == {NAMES[0]: theirs}


class Racing(list[tuple[str, ...]]):
    """What was tried, while something happens."""

    def __init__(self, happens: Callable[[], None]) -> None:
        super().__init__()
        self.append = lambda tried: happens()  # type: ignore[method-assign]


def test_what_is_entered_is_tried_once_before_it_is_stored_unless_that_is_not_wanted(
    aws: Account, run: Command
) -> None:
    assert run("credentials", stdin="acme\ncorrect-horse\nJBSWY3DPEHPK3PXP\n").status == 0
    assert aws.tried == [("acme", "correct-horse", "JBSWY3DPEHPK3PXP")]

    assert run("credentials", "--no-try", stdin="acme\ncorrect-horse\n").status == 0
    assert len(aws.tried) == 1


@pytest.mark.parametrize("seed", ["JBSWY3DPEHPK3PXP", ""])
def test_it_is_tried_with_a_seed_only_if_one_was_entered(
    aws: Account, run: Command, monkeypatch: pytest.MonkeyPatch, seed: str
) -> None:
    """A seed's parameter has the function log in at another place, which is not its place without one."""
    told: list[Mapping[str, str]] = []
    monkeypatch.setattr("operate.credentials.try_login", lambda show, settings, lines: told.append(settings))

    assert run("credentials", stdin=f"acme\ncorrect-horse\n{seed}\n").status == 0
    assert [bool(settings.get("TotpParameter")) for settings in told] == [bool(seed)]


def test_a_second_credential_takes_the_place_of_the_first(aws: Account, run: Command) -> None:
    for password in ("correct-horse", "battery-staple"):
        assert run("credentials", stdin=f"acme\n{password}\n").status == 0

    assert values(aws)[NAMES[1]] == "battery-staple"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("acme",), "both needed"),
        (("", "correct-horse"), "both needed"),
        (("acme@example.com", "correct-horse"), "user name"),
        (("acme", "dckr_pat_abc"), "access token"),
        (("acme", "dckr_oat_abc"), "access token"),
        (("acme", "correct-horse", "no base32!"), "TOTP seed"),
        (("acme", "correct-horse", "\u00e4\u00e4"), "TOTP seed"),
        (("acme", "correct-horse", "234567"), "not a code"),
        (("acme", "correct-horse", "23456723"), "not a code"),
        (("acme", "correct-\udcff"), "not in UTF-8"),
        (("acme", "correct-horse", "", "http://hooks.slack.com/x"), "https://"),
        (("acme", "correct-horse", "", "https://hooks.slack.com/workflows/T0/A0/1/x"), "hooks.slack.com/services/"),
        (("acme", "correct-horse", "", "https://hooks.slack.com/triggers/T0/1/x"), "hooks.slack.com/services/"),
        (("acme", "correct-horse", "", "https://Hooks.Slack-Gov.com/triggers/T0/1/x"), "hooks.slack.com/services/"),
        (("acme", "correct-horse", "", "", "more"), "too many lines"),
    ],
)
def test_what_cannot_be_right_is_refused_and_nothing_stored(
    aws: Account, run: Command, lines: tuple[str, ...], said: str
) -> None:
    done = run("credentials", stdin="\n".join(lines))

    assert (done.status, said in done.err) == (1, True), done.err
    assert aws.parameters == {}


@pytest.mark.parametrize(
    "webhook",
    [
        "https://hooks.slack-gov.com/services/T0/B0/x",
        "https://discord.com/api/webhooks/1/x/slack",
        "https://mattermost.example.com/hooks/x",
        "https://hooks.slack.com.example.com/triggers/x",
    ],
)
def test_what_takes_slacks_messages_elsewhere_is_taken_for_a_webhook(aws: Account, run: Command, webhook: str) -> None:
    assert run("credentials", stdin=f"acme\ncorrect-horse\n\n{webhook}\n").status == 0

    assert list(values(aws).values()) == ["acme", "correct-horse", webhook]


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ("PasswordParameter=arn:aws:ssm:eu-central-1:123456789012:parameter/x", "is no name of a parameter"),
        ("TotpParameter=//x", "is no name of a parameter"),
        (f"PasswordParameter={'p' * 980}", "is too long"),
        (
            "UsernameParameter=X PasswordParameter=/X",
            "UsernameParameter and PasswordParameter name the same parameter, X",
        ),
        (f"TotpParameter={NAMES[1]}", "PasswordParameter and TotpParameter name the same parameter"),
    ],
)
def test_a_name_that_cannot_be_is_refused_before_the_first_value_is_stored(
    aws: Account, run: Command, parameters: str, said: str
) -> None:
    done = run("credentials", "--function-parameters", parameters, stdin="acme\ncorrect-horse\n")

    assert (done.status, said in done.err) == (1, True), done.err
    assert aws.parameters == {}


def test_an_error_does_not_quote_the_secret_it_is_about(aws: Account, run: Command) -> None:
    password = "correct-\"horse\\' & more"
    wrong = f"Value {json.dumps(password)} or {password!r} or {password} is wrong"
    aws.refuse["ssm:PutParameter"] = AwsError("ValidationException", wrong)

    done = run("credentials", stdin=f"acme\n{password}\n")

    assert done.status == 1
    assert "is not stored, or not as this project's: AWS refused PutParameter (ValidationException)" in done.err
    assert done.err.count("[hidden]") == 3
    assert "horse" not in done.err


def test_a_credential_that_is_stored_by_half_is_told_as_that(
    aws: Account, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = aws._put_parameter

    def refuse_the_second(asked: dict[str, str]) -> object:
        if aws.parameters:
            raise AwsError("AccessDeniedException", "Not you")
        return put(asked)

    monkeypatch.setattr(aws, "_put_parameter", refuse_the_second)

    done = run("credentials", stdin="acme\ncorrect-horse\n")

    assert (done.status, values(aws)) == (1, {NAMES[0]: "acme"})
    assert f"stored by half: {NAMES[0]} is new, {NAMES[1]} may not be" in done.err
    assert "the function can't log in: mend it, then run `make credentials` again" in done.err
