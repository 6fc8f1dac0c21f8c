"""The account and the webhook come from Parameter Store: decrypted, in one request, remembered for five minutes."""

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber
from werkzeug.wrappers import Request, Response

from dockerhub_rotation.errors import AwsRefused, AwsUnavailable, ParameterUnreadable, RotationError
from dockerhub_rotation.parameters import Account, Parameters
from dockerhub_rotation.settings import Settings
from rehearsal.secrets_manager import Aws
from rehearsal.wire import Fault, FaultKind, Server, Wire

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from mypy_boto3_ssm import SSMClient

SESSION = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-central-1")
ONCE: Any = {"total_max_attempts": 1}
SEED = "JBSWY3DPEHPK3PXP"
WEBHOOK = "https://hooks.slack.com/services/T0/B0/x"
ALL = Settings(
    username_parameter="/hub/name",
    password_parameter="/hub/password",
    totp_parameter="/hub/totp",
    webhook_parameter="/slack/hook",
)
PLAIN = Settings()


@dataclass
class Store:
    """Parameter Store behind a loopback server."""

    aws: Aws
    wire: Wire
    client: "SSMClient"

    def put(self, **values: str) -> None:
        """Store the parameters that `ALL` names: `put(name=..., password=..., totp=..., hook=...)`."""
        for name, value in values.items():
            self.aws.put_parameter(f"/slack/{name}" if name == "hook" else f"/hub/{name}", value)

    @property
    def asked(self) -> list[str]:
        return [request.name for request in self.wire.requests]


@pytest.fixture
def store() -> Iterator[Store]:
    aws, wire = Aws(invoke=lambda event: None), Wire()
    with (
        Server(wire.door(aws.app, "AWS")) as server,
        closing(SESSION.client("ssm", endpoint_url=server.url, config=Config(retries=ONCE))) as client,
    ):
        yield Store(aws, wire, client)


@dataclass
class Later:
    """The time, moved on by hand."""

    seconds: float = 0.0


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    later, began = Later(), time.time()

    monkeypatch.setattr(time, "time", lambda: began + later.seconds)
    return later


def test_the_account_is_read_decrypted(store: Store) -> None:
    store.put(name="alice", password="hunter2", totp=SEED)

    assert Parameters(replace(ALL, webhook_parameter=None), store.client).account() == Account("alice", "hunter2", SEED)


def test_the_default_names_are_read(store: Store) -> None:
    store.aws.put_parameter("DOCKER_HUB_USERNAME", "alice")
    store.aws.put_parameter("DOCKER_HUB_PASSWORD", "hunter2")

    assert Parameters(PLAIN, store.client).account() == Account("alice", "hunter2", None)


def test_everything_is_read_in_one_request(store: Store) -> None:
    store.put(name="alice", password="hunter2", totp=SEED, hook=WEBHOOK)
    parameters = Parameters(ALL, store.client)

    assert (parameters.account().username, parameters.webhook()) == ("alice", WEBHOOK)
    assert store.asked == ["GetParameters"]


def test_nothing_is_read_before_it_is_needed(store: Store) -> None:
    Parameters(ALL, store.client)

    assert store.asked == []


def test_no_request_is_made_for_a_webhook_that_is_not_configured(store: Store) -> None:
    assert Parameters(PLAIN, store.client).webhook() is None
    assert store.asked == []


def test_one_parameter_may_serve_two_purposes(store: Store) -> None:
    store.put(name="alice")
    parameters = Parameters(Settings(username_parameter="/hub/name", password_parameter="/hub/name"), store.client)

    assert parameters.account() == Account("alice", "alice")


# Remembered for five minutes


@pytest.mark.parametrize(("seconds", "known"), [(0, "old"), (299, "old"), (301, "new"), (86_400, "new")])
def test_what_was_read_is_remembered_for_five_minutes(store: Store, later: Later, seconds: int, known: str) -> None:
    store.put(name="alice", password="old", totp=SEED, hook=WEBHOOK)
    parameters = Parameters(ALL, store.client)
    parameters.account()
    store.put(password="new")

    later.seconds = seconds

    assert parameters.account().password == known


def test_what_was_refused_is_read_anew(store: Store) -> None:
    store.put(name="alice", password="old", totp=SEED, hook=WEBHOOK)
    parameters = Parameters(ALL, store.client)
    parameters.account()
    store.put(password="new")

    parameters.forget()

    assert parameters.account().password == "new"


def test_forgetting_what_was_never_read_does_no_harm(store: Store) -> None:
    store.put(name="alice", password="hunter2", totp=SEED)
    parameters = Parameters(ALL, store.client)

    parameters.forget()

    assert parameters.account().username == "alice"


def test_a_webhook_that_is_missing_is_not_asked_for_again_and_again(store: Store) -> None:
    """The account is looked at before every request to Docker Hub."""
    store.put(name="alice", password="hunter2", totp=SEED)
    parameters = Parameters(ALL, store.client)

    for _ in range(20):
        parameters.account()

    with pytest.raises(ParameterUnreadable):
        parameters.webhook()
    assert store.asked == ["GetParameters"]


@pytest.mark.parametrize("wrong", [{}, {"totp": "123456"}])
def test_an_account_that_could_not_be_used_is_read_anew_once_somebody_has_mended_it(
    store: Store, wrong: dict[str, str]
) -> None:
    store.put(name="acme", password="secret", hook=WEBHOOK, **wrong)
    parameters = Parameters(ALL, store.client)
    with pytest.raises(ParameterUnreadable):
        parameters.account()
    assert parameters.webhook() == WEBHOOK  # for the report, which needs no second look
    assert len(store.asked) == 1

    store.put(totp=SEED)

    assert parameters.account() == Account("acme", "secret", SEED)
    assert parameters.account() == Account("acme", "secret", SEED)
    assert len(store.asked) == 2


def test_a_failure_is_not_remembered(store: Store) -> None:
    store.put(name="alice", password="hunter2", totp=SEED)
    parameters = Parameters(ALL, store.client)
    store.wire.faults.append(Fault(1, FaultKind.UNAVAILABLE_BEFORE))
    with pytest.raises(AwsUnavailable):
        parameters.account()

    assert parameters.account().username == "alice"


# Values that need mending, and those that don't


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_a_line_break_at_the_end_is_taken_away(store: Store, end: str) -> None:
    store.put(name=f"alice{end}", password=f"hunter2{end}", totp=f"{SEED}{end}", hook=f"{WEBHOOK}{end}")
    parameters = Parameters(ALL, store.client)

    assert parameters.account() == Account("alice", "hunter2", SEED)
    assert parameters.webhook() == WEBHOOK


def test_a_space_belongs_to_a_password(store: Store) -> None:
    store.put(name="alice", password=" correct horse ", totp=SEED)

    assert Parameters(ALL, store.client).account().password == " correct horse "


@pytest.mark.parametrize("written", [SEED, SEED.lower(), "JBSW Y3DP EHPK 3PXP", "JBSW-Y3DP-EHPK-3PXP", f"{SEED}======"])
def test_a_seed_may_be_written_as_it_is_shown(store: Store, written: str) -> None:
    store.put(name="alice", password="hunter2", totp=written)

    assert Parameters(ALL, store.client).account().totp_seed == SEED


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("918273", id="a code"),
        pytest.param("otpauth://totp/Docker:alice?secret=JBSWY3DPEHPK3PXP", id="the text in the QR code"),
        pytest.param("JBSWY3DPEHPK3PX1", id="a letter that base32 does not have"),
        pytest.param("JBS", id="a part of a seed"),
        pytest.param("JBSWY3DP\u00a0EHPK3PXP", id="a space that is not one"),
        pytest.param("\ufeffJBSWY3DPEHPK3PXP", id="a byte order mark"),
        pytest.param("gehe\u00eem", id="letters beyond ASCII"),
        pytest.param("---", id="nothing but dividers"),
        pytest.param("====", id="nothing but padding"),
    ],
)
def test_a_seed_that_is_none_is_refused_and_not_quoted(store: Store, written: str) -> None:
    store.put(name="alice", password="hunter2", totp=written)

    with pytest.raises(ParameterUnreadable, match="/hub/totp") as refusal:
        Parameters(ALL, store.client).account()

    assert written not in str(refusal.value)
    assert (refusal.value.__cause__, refusal.value.__context__) == (None, None)


@pytest.mark.parametrize(
    ("stored", "missing"),
    [
        pytest.param({}, ["/hub/name", "/hub/password", "/hub/totp"], id="none of them"),
        pytest.param({"password": "hunter2", "totp": SEED}, ["/hub/name"], id="no user name"),
        pytest.param({"name": "alice", "totp": SEED}, ["/hub/password"], id="no password"),
        pytest.param({"name": "alice", "password": "hunter2"}, ["/hub/totp"], id="no seed"),
        pytest.param({"name": "\n", "password": "hunter2", "totp": SEED}, ["/hub/name"], id="a line break alone"),
    ],
)
def test_every_parameter_that_is_missing_is_named(store: Store, stored: dict[str, str], missing: list[str]) -> None:
    store.put(**stored)

    with pytest.raises(ParameterUnreadable) as refusal:
        Parameters(ALL, store.client).account()

    named = [name for name in ("/hub/name", "/hub/password", "/hub/totp", "/slack/hook") if name in str(refusal.value)]
    assert named == missing
    assert "hunter2" not in str(refusal.value)


def test_a_missing_webhook_is_said_by_name_and_no_reason_not_to_rotate(store: Store) -> None:
    store.put(name="alice", password="hunter2", totp=SEED)
    parameters = Parameters(ALL, store.client)

    with pytest.raises(ParameterUnreadable, match="/slack/hook"):
        parameters.webhook()
    assert parameters.account().username == "alice"


def test_an_account_does_not_print_its_password_nor_its_seed() -> None:
    account = Account("alice", "hunter2", SEED)

    assert "hunter2" not in f"{account} {account!r}"
    assert SEED not in f"{account} {account!r}"


# Every failure is one of this function's own


@pytest.mark.parametrize(
    "kind", [FaultKind.LOST_BEFORE, FaultKind.UNAVAILABLE_BEFORE, FaultKind.RATE_LIMITED, FaultKind.HTML]
)
def test_an_unreachable_parameter_store_is_a_temporary_error(store: Store, kind: FaultKind) -> None:
    store.wire.faults += [Fault(1, kind), Fault(2, kind)]
    parameters = Parameters(ALL, store.client)

    for call in (parameters.account, parameters.webhook):
        with pytest.raises(AwsUnavailable, match="ssm:GetParameters"):
            call()


def test_a_refusal_names_the_permission(store: Store) -> None:
    store.aws.refuse["GetParameters"] = ("AccessDeniedException", "hunter2")

    with pytest.raises(AwsRefused, match="ssm:GetParameters") as refusal:
        Parameters(ALL, store.client).account()

    assert "hunter2" not in str(refusal.value)
    assert (refusal.value.__cause__, refusal.value.__context__) == (None, None)


@pytest.mark.parametrize(
    ("code", "status", "error"), [("InternalServerError", 500, AwsUnavailable), ("InvalidKeyId", 400, AwsRefused)]
)
def test_a_failure_of_parameter_store_is_not_taken_for_a_missing_parameter(
    code: str, status: int, error: type[Exception]
) -> None:
    with closing(SESSION.client("ssm", config=Config(retries=ONCE))) as client, Stubber(client) as stub:
        stub.add_client_error("get_parameters", code, "", status)

        with pytest.raises(error, match=code):
            Parameters(ALL, client).account()


# The AWS Parameters and Secrets Lambda Extension


class Extension:
    """The extension's local endpoint, which asks Parameter Store for one parameter at a time.

    Attributes:
        status: with which it refuses, if it is not 200, so many `times`.
        says: the body then.
        breaks_off: whether that body does.
        tokens: what it was shown.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.status = 200
        self.says = "a body with hunter2"
        self.times = 1_000
        self.breaks_off = False
        self.tokens: list[str | None] = []

    def app(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        request = Request(environ)
        self.tokens.append(request.headers.get("X-Aws-Parameters-Secrets-Token"))
        assert request.path == "/systemsmanager/parameters/get"
        if self.status != 200 and len(self.tokens) <= self.times:
            promised = {"Content-Length": str(len(self.says) + self.breaks_off)}
            return Response(iter([self.says]), self.status, promised)(environ, start_response)
        try:
            found = self.store.client.get_parameter(
                Name=request.args["name"], WithDecryption=request.args["withDecryption"] == "true"
            )
        except self.store.client.exceptions.ParameterNotFound:
            return Response("unexpected error: ParameterNotFound", 400)(environ, start_response)
        body = {"Parameter": {"Name": found["Parameter"]["Name"], "Value": found["Parameter"]["Value"]}}
        return Response(json.dumps(body))(environ, start_response)


@pytest.fixture
def extension(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Extension, Parameters]]:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session")
    extension = Extension(store)
    with Server(extension.app) as server:
        settings = replace(ALL, extension_port=int(server.url.rpartition(":")[2]))
        yield extension, Parameters(settings, store.client)


def test_the_extension_gives_the_same_account_and_webhook(
    extension: tuple[Extension, Parameters], store: Store
) -> None:
    store.put(name="alice", password="hunter2\n", totp=SEED, hook="https://hooks.example.com/x")
    local, parameters = extension

    assert parameters.account() == Account("alice", "hunter2", SEED)
    assert parameters.webhook() == "https://hooks.example.com/x"
    assert set(store.asked) == {"GetParameter"}
    assert local.tokens == ["session"] * 4


def test_what_the_extension_does_not_find_is_said_by_name(
    extension: tuple[Extension, Parameters], store: Store
) -> None:
    store.put(name="alice", totp=SEED)

    with pytest.raises(ParameterUnreadable, match="/hub/password"):
        extension[1].account()


NOT_READY = "not ready to serve traffic, please wait"


@pytest.mark.parametrize(
    ("status", "says", "error"),
    [
        (500, "hunter2", AwsUnavailable),
        (429, "hunter2", AwsUnavailable),
        (401, "hunter2", AwsRefused),
        (403, "AccessDenied hunter2", AwsRefused),
        (404, "hunter2", AwsRefused),
        (400, "hunter2", AwsRefused),
        # It answers 400 also for what AWS has answered with another status.
        (400, "StatusCode: 400, RequestID: 1, AccessDeniedException: hunter2", AwsRefused),
        (400, "StatusCode: 400, RequestID: 1, ThrottlingException: hunter2", AwsUnavailable),
        (400, "StatusCode: 500, RequestID: 1, InternalServerError: hunter2", AwsUnavailable),
        (400, "StatusCode: 0, RequestID: , request send failed, hunter2", AwsUnavailable),
        (400, "context deadline exceeded hunter2", AwsUnavailable),
    ],
)
def test_an_extension_that_refuses_is_told_apart_and_its_body_not_shown(
    extension: tuple[Extension, Parameters], status: int, says: str, error: type[RotationError]
) -> None:
    local, parameters = extension
    local.status, local.says = status, says

    with pytest.raises(error, match=f"answered {status}") as raised:
        parameters.account()

    assert "hunter2" not in str(raised.value)
    assert (raised.value.__cause__, raised.value.__context__) == (None, None)
    assert len(local.tokens) == 1


@pytest.mark.parametrize(("status", "error"), [(500, AwsUnavailable), (400, AwsUnavailable), (403, AwsRefused)])
def test_a_400_of_the_extension_that_breaks_off_may_have_been_any_and_other_refusals_are_what_they_are(
    extension: tuple[Extension, Parameters], status: int, error: type[RotationError]
) -> None:
    local, parameters = extension
    local.status, local.breaks_off = status, True

    with pytest.raises(error, match=f"answered {status}"):
        parameters.account()


def test_an_extension_that_is_not_ready_yet_is_asked_again(
    extension: tuple[Extension, Parameters], store: Store, clock: Any
) -> None:
    store.put(name="alice", password="hunter2", totp=SEED, hook=WEBHOOK)
    local, parameters = extension
    local.status, local.says, local.times = 400, NOT_READY, 3

    assert parameters.account() == Account("alice", "hunter2", SEED)
    assert clock.sleeps == [0.1, 0.2, 0.4]


def test_an_extension_that_never_gets_ready_is_waited_for_a_few_seconds_and_is_no_matter_of_a_permission(
    extension: tuple[Extension, Parameters], clock: Any
) -> None:
    local, parameters = extension
    local.status, local.says = 400, NOT_READY

    with pytest.raises(AwsUnavailable, match="answered 400: it is not ready"):
        parameters.account()

    assert sum(clock.sleeps) == pytest.approx(3)
    assert len(local.tokens) == 6


def test_an_extension_that_is_not_attached_is_said_so(store: Store) -> None:
    with pytest.raises(AwsUnavailable, match="layer is attached"):
        Parameters(replace(ALL, extension_port=9), store.client).account()
