"""No token gets into a log, whoever logs it and however, and the talkative libraries stay quiet."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockerhub_rotation import logs

TOKEN = "dckr_pat_Never-to_be-shown27"
ORGANIZATION_TOKEN = "dckr_oat_Never-to_be-shown27"
LOGGERS = ["dockerhub_rotation", "dockerhub_rotation.docker_hub", "root", "somebody.else", "botocore.retries", "httpx"]


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Return what this process logs: set up anew, with a handler of the runtime at the root, as in Lambda."""
    stream = io.StringIO()
    levels = {name: logging.getLogger(name).level for name in ("boto3", "botocore", "urllib3", "httpx", "httpcore")}
    for name in levels:
        logging.getLogger(name).setLevel(logging.NOTSET)
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.StreamHandler(stream)])
    handler = logs.configure().registered_handler
    assert isinstance(handler, logging.StreamHandler)
    former = handler.setStream(stream)
    yield stream
    handler.setStream(former)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@dataclass
class Thing:
    """Something that prints its token."""

    token: str


def raise_with(token: str) -> None:
    raise RuntimeError(f"refused: {token}")


def log_a_traceback(logger: logging.Logger, token: str) -> None:
    try:
        raise_with(token)
    except RuntimeError:
        logger.exception("It failed")


def log_a_cause(logger: logging.Logger, token: str) -> None:
    try:
        try:
            raise_with(token)
        except RuntimeError as cause:
            raise ValueError("clean") from cause
    except ValueError:
        logger.warning("It failed", exc_info=True)


WAYS: dict[str, Callable[[logging.Logger, str], None]] = {
    "in the message": lambda logger, token: logger.error(f"made {token}, stored it"),  # noqa: G004
    "in an argument": lambda logger, token: logger.error("made %s, stored it", token),
    "in two arguments": lambda logger, token: logger.error("%s and %s", token, token),
    "in a named argument": lambda logger, token: logger.error("made %(token)s", {"token": token}),
    "inside an argument": lambda logger, token: logger.error("made %r", {"tokens": [token.encode()]}),
    "divided between message and argument": lambda logger, token: logger.error(
        token[:12] + "%s",  # noqa: G003
        token[12:],
    ),
    "as an object": lambda logger, token: logger.error(Thing(token)),
    "in an exception as the message": lambda logger, token: logger.error(RuntimeError(token)),
    "in a traceback": log_a_traceback,
    "in a cause": log_a_cause,
    "in a stack": lambda logger, token: logger.error("here", stack_info=True, extra={"note": token}),
    "in an extra field": lambda logger, token: logger.error("made it", extra={"note": token}),
    "inside an extra field": lambda logger, token: logger.error(
        "made it", extra={"note": {"deep": [{"er": (token, {token})}]}}
    ),
    "as a name inside an extra field": lambda logger, token: logger.error("made it", extra={"note": {token: 1}}),
    "in an object in an extra field": lambda logger, token: logger.error("made it", extra={"note": Thing(token)}),
    "in bytes in an extra field": lambda logger, token: logger.error("made it", extra={"note": token.encode()}),
    "in an exception in an extra field": lambda logger, token: logger.error(
        "made it", extra={"note": RuntimeError(token)}
    ),
    "in arguments that do not fit": lambda logger, token: logger.error("made %d of %d", token),
}


@pytest.mark.parametrize("token", [TOKEN, ORGANIZATION_TOKEN])
@pytest.mark.parametrize("name", LOGGERS)
@pytest.mark.parametrize("way", WAYS)
def test_no_logger_shows_a_token(output: io.StringIO, way: str, name: str, token: str) -> None:
    WAYS[way](logging.getLogger(name), token)

    shown = output.getvalue()
    assert shown
    assert "shown27" not in shown
    assert "Never" not in shown


def test_the_powertools_logger_itself_shows_no_token(output: io.StringIO) -> None:
    logs.configure().error("made %s", TOKEN, extra={"note": {"token": TOKEN}})

    assert "shown27" not in output.getvalue()


def test_a_record_that_nobody_handles_shows_no_token(
    output: io.StringIO, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python prints warnings on standard error if there is no handler at all."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])

    logging.getLogger("somebody.else").warning("made %s", TOKEN)

    shown = capsys.readouterr().err
    assert "made" in shown
    assert "shown27" not in shown


def last_line(output: io.StringIO) -> dict[str, Any]:
    """Return the JSON line of this function's own handler."""
    lines: list[dict[str, Any]] = [json.loads(line) for line in output.getvalue().splitlines() if line.startswith("{")]
    return lines[-1]


def test_what_is_no_token_is_shown_as_it_is(output: io.StringIO) -> None:
    facts = {
        "secret": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:dckr_pat-AbCdEf",
        "number": 7,
        "share": 0.5,
        "yes": True,
        "nothing": None,
        "deep": {"list": [1, "two", None]},
    }

    logging.getLogger("dockerhub_rotation.steps").warning("made %s of %d", "one", 2, extra=facts)

    line = last_line(output)
    assert line["message"] == "made one of 2"
    assert {name: line.get(name) for name in facts} == facts


def test_a_redacted_line_says_what_was_redacted(output: io.StringIO) -> None:
    logging.getLogger("dockerhub_rotation").warning("made %s, then %s.", TOKEN, ORGANIZATION_TOKEN)

    assert last_line(output)["message"] == "made dckr_pat_[redacted], then dckr_oat_[redacted]."


def test_a_traceback_is_still_told(output: io.StringIO) -> None:
    log_a_traceback(logging.getLogger("dockerhub_rotation"), TOKEN)

    message = last_line(output)["message"]
    assert message.startswith("It failed\nTraceback")
    assert "raise_with" in message
    assert "RuntimeError: refused: dckr_pat_[redacted]" in message


def test_a_log_call_that_is_wrong_does_not_break_its_caller(output: io.StringIO) -> None:
    logging.getLogger("somebody.else").error("%d apples", "no number")

    assert "apples" in output.getvalue()


@pytest.mark.parametrize(
    "name", ["boto3", "botocore", "botocore.parsers", "urllib3.connectionpool", "httpx", "httpcore.http11"]
)
def test_talkative_loggers_stay_quiet_even_if_everything_is_to_be_told(
    output: io.StringIO, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At DEBUG and INFO they print headers, bodies and URLs."""
    monkeypatch.setattr(logging.getLogger(), "level", logging.DEBUG)
    logger = logging.getLogger(name)
    logger.manager._clear_cache()  # type: ignore[attr-defined]

    logger.debug("Authorization: Basic c2VjcmV0")
    logger.info("HTTP Request: POST https://hooks.slack.com/services/secret")
    assert output.getvalue() == ""

    logger.warning("worth knowing")
    assert "worth knowing" in output.getvalue()


def test_setting_up_again_changes_nothing(output: io.StringIO) -> None:
    again = logs.configure()
    logs.configure()

    handlers = [again.registered_handler, *logging.getLogger().handlers]
    assert [len([one for one in handler.filters if isinstance(one, logs.RedactTokens)]) for handler in handlers] == [
        1 for _ in handlers
    ]
    assert len(logging.getLogger("dockerhub_rotation").handlers) == 1


@given(
    st.text(),
    st.sampled_from(["dckr_pat_", "dckr_oat_"]),
    st.from_regex(r"[A-Za-z0-9_-]{8,60}", fullmatch=True),
    st.text().filter(lambda text: not text or not (text[0].isalnum() or text[0] in "_-")),
)
def test_a_token_is_taken_out_of_any_text_and_the_rest_stays(before: str, prefix: str, token: str, after: str) -> None:
    assert logs.redact(f"{before}{prefix}{token}{after}") == f"{before}{prefix}[redacted]{after}"


@given(st.text())
def test_redacting_again_changes_nothing(text: str) -> None:
    assert logs.redact(logs.redact(text)) == logs.redact(text)


@pytest.mark.parametrize("text", ["", "dckr_pat", "dckr_pat_", "dckr_jti_x", "DCKR_PAT_X", "docker_pat|0f8fad5b"])
def test_a_text_without_a_token_stays(text: str) -> None:
    assert logs.redact(text) == text


def test_the_functions_name_tells_its_metrics_from_those_of_another_project(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "team-b")

    measured = logs.metrics()
    measured.add_metric("StepsFailed", "Count", 1)
    measured.flush_metrics()

    assert json.loads(capsys.readouterr().out)["service"] == "team-b"
