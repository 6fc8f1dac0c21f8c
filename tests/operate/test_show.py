"""What is shown: colour and movement at a terminal, plain lines in a pipe, one document for a program, no secret."""

from __future__ import annotations

import io
import json
import logging
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from operate.deploy import STEPS
from operate.show import Show, Terminal, shown

from .aws import Account
from .cloudformation import AwsError
from .conftest import Command

PASSWORD, SEED, WEBHOOK = "correct-horse-battery", "JBSWY3DPEHPK3PXP", "https://hooks.slack.com/services/T0/B0/xyz"
TOKEN = "dckr_pat_abcdefghijklmnopqrstuvwxyz"
SECRETS = (PASSWORD, SEED, WEBHOOK, TOKEN)
ARN = f"arn:aws:lambda:eu-central-1:123456789012:function:{'x' * 200}"


class Screen(io.StringIO):
    """A terminal to look at."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Screen()


def test_a_terminal_gets_colour_and_progress_that_moves_and_nothing_is_wrapped(screen: Screen) -> None:
    with redirect_stdout(screen):
        show = shown(as_json=False)
        with show.waiting("AWS is at it"):
            show.step("function", f"{ARN} is updated")
            show.detail("CREATE_FAILED [Archive]")

    seen = screen.getvalue()
    assert "\x1b[1;36mfunction" in seen
    assert "\x1b[31mCREATE_FAILED" in seen
    assert "[Archive]" in seen
    assert ARN in seen
    assert "AWS is at it" in seen
    assert "\x1b[2K" in seen  # it is taken back


def test_a_table_has_a_line_for_each_row_and_what_needs_somebody_stands_out(screen: Screen) -> None:
    rows = [("STATE", "SECRET", "WHY"), ("BROKEN", "team/a", "x" * 200), ("well", "hub", "")]
    with redirect_stdout(screen):
        shown(as_json=False).table(rows)

    header, broken, well = screen.getvalue().splitlines()
    assert header == "STATE   SECRET  WHY"
    assert broken == f"\x1b[31mBROKEN\x1b[0m  team/a  {'x' * 200}"
    assert well == "well    hub"


def test_a_pipe_gets_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    show = shown(as_json=False)
    with show.waiting("AWS is at it"):
        show.step("function", f"{ARN} is updated")

    assert capsys.readouterr().out == f"function  {ARN} is updated\n"


SPOOF = "fine\x1b[2K\r\x1b]0;title\x07\x9b31m\u202eab\ud800\n2027-01-15 07:58:30 UTC  INFO     all is well"


@pytest.mark.parametrize("kind", [Show, Terminal])
def test_what_others_have_written_is_shown_and_never_obeyed_by_a_terminal(kind: type[Show], screen: Screen) -> None:
    show = kind(screen)
    show.step("found", SPOOF)
    show.detail(SPOOF)

    seen = screen.getvalue()
    assert set(seen) - set("\n\x1b") == {sign for sign in seen if sign.isprintable()}
    assert "fine\\x1b[2K" in seen
    assert "\\x07\\x9b31m\\u202eab\\ud800" in seen
    assert {line.replace("\x1b[1;36m", "")[:10] for line in seen.splitlines()} == {"found     ", " " * 10}


@pytest.mark.parametrize("kind", [Show, Terminal])
def test_a_secret_is_taken_out_of_everything_that_is_said(kind: type[Show], screen: Screen) -> None:
    show = kind(screen)
    secret = 'a"b\\c  d'
    for it in (secret, "", "  "):
        show.hide(it)
    for said in (secret, json.dumps(secret), repr(secret), "a%22b%5Cc%20%20d", " ".join(secret.split())):
        show.line(f"It is {said}!")

    assert screen.getvalue().count("[hidden]") == 5
    assert screen.getvalue().count("It is") == 5


VERBS = (("credentials",), ("deploy", "--ask-token"), ("deploy",), ("rotate",), ("destroy", "--yes"))


@pytest.fixture
def ran(aws: Account, run: Command) -> dict[str, object]:
    """Run every verb, one after the other, for programs; return what each answered."""
    stdin = {"credentials": f"acme\n{PASSWORD}\n{SEED}\n{WEBHOOK}\n", "deploy": f"{TOKEN}\n"}
    answers: dict[str, object] = {}
    for verb, *words in VERBS:
        if verb == "rotate":
            aws.later(3, lambda: aws.secrets["dockerhub-token"].labels.update(new=["AWSCURRENT"]))
        answers[" ".join([verb, *words])] = run(verb, *words, "--json", stdin=stdin.get(verb, "")).json
    return answers


def test_a_program_gets_the_result_of_each_verb_and_nothing_else(ran: dict[str, dict[str, object]]) -> None:
    assert [(answer["ok"], answer["account"], answer["region"]) for answer in ran.values()] == [
        (True, "123456789012", "eu-central-1")
    ] * len(VERBS)
    assert ran["credentials"]["stored"] == [
        f"/dockerhub-rotation/DOCKER_HUB_{it}" for it in ("USERNAME", "PASSWORD", "TOTP", "SLACK_WEBHOOK_URL")
    ]
    changes = [
        [ran[verb][step]["change"] for step in STEPS]  # type: ignore[index]
        for verb in ("deploy --ask-token", "deploy")
    ]
    assert changes == [["created", "uploaded", *["created"] * 3], ["up to date"] * 5]
    assert ran["rotate"]["version"] == "new"
    deleted = ("secret", "caretaker", "function", "bucket")
    assert ran["destroy --yes"]["deleted"] == [f"dockerhub-rotation-{it}" for it in deleted]


def test_a_program_is_told_of_a_problem_too(run: Command) -> None:
    done = run("rotate", "--json")

    assert (done.status, done.json["ok"]) == (1, False)
    assert "There is no secret dockerhub-token" in done.json["problem"]
    assert "There is no secret dockerhub-token" in done.err


@pytest.mark.parametrize("secret", ["true", "stored", "credentials", "ok", ":", '"', "created"])
def test_a_secret_that_is_a_word_of_ours_leaves_the_document_whole(
    secret: str, capsys: pytest.CaptureFixture[str]
) -> None:
    result = {"command": "credentials", "ok": True, "stored": [], "bucket": {"change": "created"}}
    show = shown(as_json=True)
    show.hide(secret)

    show.document({**result, "problem": f'It is "{secret}"'})

    told = json.loads(capsys.readouterr().out)
    assert "[hidden]" in told.pop("problem")
    assert told == result


def test_a_program_gets_its_document_whatever_happens_and_no_text_of_the_defect(
    run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(show: Show, text: str) -> None:
        raise KeyError(PASSWORD)

    monkeypatch.setattr(Show, "line", defect)

    done = run("status", "--json")

    assert (done.status, done.json["ok"], done.json["command"]) == (1, False, "status")
    assert "KeyError at __main__.py:" in done.json["problem"]
    assert PASSWORD not in done.out + done.err


def test_a_reader_that_has_gone_is_told_nothing_more(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(show: Show, text: str) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(Show, "line", gone)

    done = run("status")

    assert (done.status, done.out, done.err) == (1, "", "")


def test_progress_goes_beside_the_document(aws: Account, run: Command) -> None:
    assert "There is no stack of project" in run("destroy", "--json").err


def test_no_password_seed_or_token_is_in_any_file_argument_or_history(
    aws: Account,
    run: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nor in what is printed, also where AWS quotes it; and no program is started that might be told (see conftest)."""
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    (home / ".aws" / "config").write_text("[default]\ncli_history = enabled\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(home / ".aws" / "config"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.INFO)
    stdin = {"credentials": f"acme\n{PASSWORD}\n{SEED}\n{WEBHOOK}\n", "deploy": f"{TOKEN}\n"}
    said = []
    for verb, *words in VERBS:
        more = ("--seconds", "1") if verb == "rotate" else ()
        said.append(run(verb, *words, *more, stdin=stdin.get(verb, "")))
    aws.refuse["cloudformation:CreateChangeSet"] = AwsError("ValidationError", f"{TOKEN} is wrong")
    aws.refuse["ssm:PutParameter"] = AwsError("ValidationException", f"{PASSWORD} is wrong")
    said += [run(verb, *words, stdin=stdin[verb]) for verb, *words in VERBS[:2]]

    sent = "".join(aws.bodies)
    assert [secret for secret in SECRETS if secret.split(":")[-1].split("/")[-1] not in sent] == []
    printed = "".join(run.out + run.err for run in said) + caplog.text
    assert [secret for secret in SECRETS if secret in printed] == []
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files for secret in SECRETS if secret.encode() in path.read_bytes()] == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, EOFError])
def test_an_interruption_says_that_aws_goes_on(aws: Account, run: Command, error: type[BaseException]) -> None:
    def interrupt(request: object) -> None:
        raise error

    aws.send = interrupt  # type: ignore[method-assign,assignment]

    done = run("destroy")

    assert (done.status, "what AWS has begun goes on there" in done.err) == (130, True)
