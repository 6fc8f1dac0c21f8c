"""Slack hears of a failure once, learns nothing secret, and can't hide the failure by failing itself."""

import json
import logging
import socket
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.wrappers import Request, Response

from dockerhub_rotation import notifications
from dockerhub_rotation.errors import (
    AnswerUnknown,
    AwsRefused,
    AwsUnavailable,
    EventRefused,
    RetirementFailed,
    RotationError,
)
from dockerhub_rotation.notifications import Failure, message, notify
from rehearsal.wire import Server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:dockerhub-token-AbCdEf"
FAILURE = Failure(ARN, "createSecret", "CredentialRefused", "The password was refused. Check it.", False, "mend")
PATH = "/services/T0HIDDEN/B0HIDDEN/hidden"


@dataclass
class Slack:
    """A webhook that writes down what it is told."""

    url: str = ""
    status: int = 200
    says: str = "ok"
    headers: dict[str, str] = field(default_factory=dict)
    heard: list[Request] = field(default_factory=list)

    def app(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        request = Request(environ)
        request.get_data()
        self.heard.append(request)
        return Response(self.says, self.status, self.headers)(environ, start_response)


@pytest.fixture
def slack() -> Iterator[Slack]:
    slack = Slack()
    with Server(slack.app) as server:
        slack.url = server.url + PATH
        yield slack


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Serve one connection with raw bytes, which need not be HTTP; yield the webhook's URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                while b"}]}" not in connection.recv(65_536):  # the end of the message
                    pass
                connection.sendall(answer)

        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}{PATH}"
        thread.join(5)
        assert not thread.is_alive()


# Being told


def test_slack_is_told_once_and_in_json(slack: Slack, caplog: pytest.LogCaptureFixture) -> None:
    notify(slack.url, FAILURE)

    assert caplog.records == []

    [request] = slack.heard
    assert (request.method, request.path, request.content_type) == ("POST", PATH, "application/json")
    assert request.get_json() == json.loads(json.dumps(message(FAILURE)))


def test_no_word_is_lost_on_letters_beyond_ascii(slack: Slack) -> None:
    notify(slack.url, replace(FAILURE, message="Gr\u00fc\u00dfe \u2603"))

    assert "Gr\u00fc\u00dfe \u2603" in json.dumps(slack.heard[0].get_json(), ensure_ascii=False)


# Failing quietly


@pytest.mark.parametrize("status", [400, 403, 404, 410, 429, 500, 503])
def test_a_refusal_of_slack_raises_nothing(slack: Slack, status: int, caplog: pytest.LogCaptureFixture) -> None:
    slack.status = status

    notify(slack.url, FAILURE)

    assert len(slack.heard) == 1
    assert str(status) in caplog.text
    assert "HIDDEN" not in everything(caplog)


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (200, '{"ok":true}'),  # a workflow's trigger
        (200, ""),
        (200, "<html>HIDDEN, log in first"),
        (200, "ok, said HIDDEN"),
        (202, "ok"),
        (204, ""),
    ],
)
def test_slack_has_been_told_only_if_it_says_so(
    slack: Slack, caplog: pytest.LogCaptureFixture, status: int, says: str
) -> None:
    slack.status, slack.says = status, says

    notify(slack.url, FAILURE)

    assert f"but {status} and" in caplog.text
    assert "HIDDEN" not in everything(caplog)


@pytest.mark.parametrize(
    "webhook",
    [
        "https://hooks.slack.com/workflows/T0HIDDEN/A0/1/x",
        "https://hooks.slack.com/triggers/T0HIDDEN/1/x",
        "https://HOOKS.SLACK.COM:443/triggers/T0HIDDEN/1/x",
        "https://hooks.slack-gov.com/triggers/T0HIDDEN/1/x",
    ],
)
def test_a_workflow_of_slack_is_not_triggered_and_said_to_be_none(
    webhook: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("it was asked"))

    notify(webhook, FAILURE)

    assert "https://hooks.slack.com/services/..." in caplog.text
    assert "HIDDEN" not in everything(caplog)


@pytest.mark.parametrize("host", ["hooks.slack.com", "hooks.slack-gov.com"])
def test_an_incoming_webhook_is_told(
    host: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def answer(request: urllib.request.Request, **_: object) -> Any:
        asked.append(request.full_url)
        raise OSError

    monkeypatch.setattr("urllib.request.urlopen", answer)

    notify(f"https://{host}{PATH}", FAILURE)

    assert asked == [f"https://{host}{PATH}"]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"this is no HTTP\r\n\r\n", id="no HTTP"),
        pytest.param(b"HTTP/1.1 abc OK\r\n\r\n", id="no status"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", id="an endless header"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 200 + b"\r\n", id="too many headers"),
        pytest.param(b"HTTP/1.1 500 " + PATH.encode() + b"\r\n\r\n", id="the webhook itself"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", id="less than promised"),
    ],
)
def test_nonsense_from_slack_raises_nothing(answer: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with answering(answer) as webhook:
        notify(webhook, FAILURE)

    assert "HIDDEN" not in everything(caplog)


def test_a_slack_that_does_not_answer_is_waited_for_a_moment_only(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(notifications, "_TIMEOUT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        began = time.monotonic()
        notify(f"http://127.0.0.1:{deaf.getsockname()[1]}{PATH}", FAILURE)

    assert time.monotonic() - began < 3
    assert "HIDDEN" not in everything(caplog)
    assert caplog.records


def test_no_slack_at_all_raises_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    notify(f"http://127.0.0.1:{port}{PATH}", FAILURE)

    assert "HIDDEN" not in everything(caplog)
    assert caplog.records


@pytest.mark.parametrize(
    "webhook",
    [
        pytest.param("", id="nothing"),
        pytest.param("T0HIDDEN", id="no URL"),
        pytest.param(f"http://hooks.example.com{PATH}", id="no TLS"),
        pytest.param(f"ftp://127.0.0.1{PATH}", id="no HTTP"),
        pytest.param("file:///etc/HIDDEN", id="a file"),
        pytest.param("data:,HIDDEN", id="data"),
        pytest.param("http://127.0.0.1:9/services/T0HIDDEN/B0 HIDDEN", id="a space inside"),
        pytest.param("http://127.0.0.1:9/services/T0HIDDEN\x7f", id="a control character"),
        pytest.param("http://127.0.0.1:9/services/T0HIDDEN\nHost: HIDDEN", id="a line break inside"),
        pytest.param("http://127.0.0.1:9/services/T0HIDDEN/\u00e9", id="a letter beyond ASCII"),
        pytest.param("http://127.0.0.1:HIDDEN/services", id="a port that is no number"),
        pytest.param("http://127.0.0.1:99999/services/T0HIDDEN", id="a port that does not exist"),
        pytest.param("http://[::1/services/T0HIDDEN", id="half an address"),
        pytest.param("https://HIDDEN..example.com/services", id="a host that is no name"),
        pytest.param(f"https://{'HIDDEN' * 20}.example.com/services", id="a host that is too long"),
    ],
)
def test_a_webhook_that_is_none_raises_nothing_and_is_not_shown(
    webhook: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    notify(webhook, FAILURE)

    assert caplog.records
    assert "HIDDEN" not in everything(caplog)
    assert "HIDDEN" not in "".join(capfd.readouterr())


def everything(caplog: pytest.LogCaptureFixture) -> str:
    """Return all that a record could show, also to a formatter that shows more than its message."""
    formatter = logging.Formatter()
    return " ".join(f"{formatter.format(record)} {vars(record)}" for record in caplog.records)


# The message


def texts(node: Any) -> Iterator[str]:
    """Yield every text that Slack reads as markup."""
    if isinstance(node, dict):
        if node.get("type") == "mrkdwn":
            yield node["text"]
        for inner in node.values():
            yield from texts(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from texts(inner)


def test_the_message_says_what_failed_where_and_what_mends_it() -> None:
    shown = json.dumps(message(FAILURE))

    for fact in (ARN, "createSecret", "CredentialRefused", "The password was refused. Check it."):
        assert fact in shown


def test_the_message_says_whether_consumers_are_affected() -> None:
    affected, unaffected = (" ".join(texts(message(replace(FAILURE, consumers_affected=it)))) for it in (True, False))

    assert "AWSCURRENT does not work" in affected
    assert "AWSCURRENT does not work" not in unaffected


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (AwsRefused, "Mend what the message names"),
        (AwsUnavailable, "Wait: "),
        (RetirementFailed, "Look at it"),
        (AnswerUnknown, "Look at it"),
        (EventRefused, "Look at it"),
    ],
)
def test_the_message_says_what_the_errors_group_asks_of_the_reader(error: type[RotationError], told: str) -> None:
    shown = " ".join(texts(message(Failure.of(error("It failed."), ARN, "createSecret"))))

    assert f"*What to do*\n{told}" in shown
    assert error.__name__ in shown


def test_a_failure_can_call_nobody_and_link_nowhere() -> None:
    """https://api.slack.com/reference/surfaces/formatting#escaping."""
    told = "<https://evil.example|log in> & go"
    shown = message(Failure("<!channel>", "unknown step", "EventRefused", told, False, "look"))

    assert "<" not in json.dumps(shown)
    assert "&lt;https://evil.example|log in&gt; &amp; go" in json.dumps(shown)
    assert "&lt;!channel&gt;" in str(shown["text"])


def test_a_token_in_a_failure_does_not_reach_slack() -> None:
    shown = json.dumps(
        message(Failure("dckr_pat_secret", "testSecret", "E", "not dckr_pat_secret but dckr_oat_x", True, "look"))
    )

    assert "pat_secret" not in shown
    assert "oat_x" not in shown


@given(
    st.text(max_size=300) | st.sampled_from(["<", "&", "x"]).map(lambda letter: letter * 5_000),
    st.sampled_from(["createSecret", "unknown step"]),
    st.text(max_size=300) | st.sampled_from(["<", "&", "x"]).map(lambda letter: letter * 5_000),
    st.booleans(),
)
def test_any_message_keeps_slacks_limits(secret: str, step: str, told: str, affected: bool) -> None:
    """https://api.slack.com/reference/block-kit/blocks."""
    shown: Any = message(Failure(secret, step, "UnexpectedError", told or "x", affected, "look"))

    json.dumps(shown).encode()
    for text in [shown["text"], *texts(shown)]:
        assert "<" not in text
        assert ">" not in text
    for block in shown["blocks"]:
        match block["type"]:
            case "header":
                assert block["text"]["type"] == "plain_text"
                assert 1 <= len(block["text"]["text"]) <= 150
            case "section" if "fields" in block:
                assert len(block["fields"]) <= 10
                assert all(1 <= len(part["text"]) <= 2_000 for part in block["fields"])
            case "section":
                assert 1 <= len(block["text"]["text"]) <= 3_000
            case "context":
                assert 1 <= len(block["elements"]) <= 10
            case other:
                pytest.fail(f"Slack's limits of a {other} block are not checked here")
