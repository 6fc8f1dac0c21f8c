"""Every failure is one of ours: the tree is what its module draws, and no library's exception passes the edge."""

import ast
import inspect
import socket
import string
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import botocore.exceptions
import httpx
import pytest
import respx
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.parsers import ResponseParserError
from botocore.session import Session

from dockerhub_rotation import errors
from dockerhub_rotation.aws import CLIENT_CONFIG, ask, clients
from dockerhub_rotation.deadline import Deadline
from dockerhub_rotation.docker_hub.http import Http, Pool
from dockerhub_rotation.docker_hub.token_login import TokenLogin
from dockerhub_rotation.errors import AwsRefused, AwsUnavailable, DockerHubUnavailable, RotationError, SettingsInvalid
from dockerhub_rotation.parameters import Parameters
from dockerhub_rotation.settings import Settings

MARKER = "text-of-the-library"


# The tree


def drawn() -> dict[str, str]:
    """Return what the module's docstring draws: each class, and the one it is indented under."""
    bases: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if line.lstrip().startswith("* "):
            depth = (len(line) - len(line.lstrip())) // 2
            name = line.split()[1].rstrip(":")
            path[depth:] = [name]
            bases[name] = path[depth - 1] if depth else "Exception"
    return bases


def ours() -> dict[str, type[Exception]]:
    return {name: it for name, it in vars(errors).items() if isinstance(it, type) and issubclass(it, Exception)}


def test_the_tree_is_the_one_that_is_drawn() -> None:
    inside = {"VersionAlreadyStored", "LoginRefused"}  # named in the sentence below the drawing
    real = {name: " ".join(base.__name__ for base in kind.__bases__) for name, kind in ours().items()}

    assert real == drawn() | dict.fromkeys(inside, "Exception")
    assert all(name in (errors.__doc__ or "").partition("Two more stay inside")[2] for name in inside)


def test_every_error_says_what_it_means() -> None:
    """And belongs to one of the groups that tell an operator what to do."""
    groups: dict[type[RotationError], str] = {
        errors.EventRefused: "look",
        errors.ConfigurationError: "mend",
        errors.TemporaryError: "wait",
        errors.AttentionNeeded: "look",
    }

    for kind in ours().values():
        assert kind.__doc__
        if issubclass(kind, RotationError) and kind is not RotationError:
            assert [to_do for group, to_do in groups.items() if issubclass(kind, group)] == [kind.to_do]


# What libraries raise


# About botocore's own description of AWS, which is read when a client is made and not by a call.
NOT_BY_A_CALL = botocore.exceptions.UndefinedModelAttributeError


def family(root: type[Exception]) -> Iterator[type[Exception]]:
    """Yield an exception and all that inherits from it in its library."""
    yield root
    for kind in root.__subclasses__():
        if kind.__module__.partition(".")[0] == root.__module__.partition(".")[0]:
            yield from family(kind)


def exceptions_of(module: ModuleType) -> list[type[Exception]]:
    """Return every exception a module names, with its family; warnings are none."""
    named = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    return list(dict.fromkeys(kind for root in named if not issubclass(root, Warning) for kind in family(root)))


def made(kind: type[Exception]) -> Exception:
    """Return an exception that holds the marker wherever it takes a text."""
    request = httpx.Request("GET", "https://hub.docker.com")
    known: dict[str, object] = {
        "request": request,
        "response": httpx.Response(500, request=request, text=MARKER),
        "error_response": {"Error": {"Code": "AccessDenied", "Message": MARKER}},
        "operation_name": "GetSecretValue",
    }
    if not issubclass(kind, httpx.HTTPError):
        known = known | {"request": None, "response": None}  # botocore has its own
    if issubclass(kind, ResponseParserError):
        return kind(MARKER)
    asked = [field for _, field, _, _ in string.Formatter().parse(getattr(kind, "fmt", "")) if field]
    parameters = inspect.signature(kind).parameters.values()
    asked += [p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    return kind(**{name: known.get(name, MARKER) for name in asked})


def failing(error: Exception) -> Callable[[], None]:
    """Return a call that fails with an exception."""

    def call() -> None:
        raise error

    return call


def assert_hidden(failure: RotationError) -> None:
    """Refuse a failure that holds on to the exception that it stands for: an error tracker follows the context too."""
    assert failure.__cause__ is None
    assert failure.__context__ is None
    assert MARKER not in repr(failure) + str(failure) + repr(vars(failure))


HTTPX = exceptions_of(httpx)
BOTOCORE = [
    *(kind for kind in exceptions_of(botocore.exceptions) if not issubclass(kind, NOT_BY_A_CALL)),
    *family(ResponseParserError),
]


def test_the_exceptions_of_the_libraries_are_found() -> None:
    assert {httpx.ReadTimeout, httpx.InvalidURL, httpx.CookieConflict, httpx.ResponseNotRead} <= set(HTTPX)
    assert {
        botocore.exceptions.ClientError,
        botocore.exceptions.EndpointConnectionError,
        botocore.exceptions.NoCredentialsError,
        botocore.exceptions.SSLError,
    } <= set(BOTOCORE)


@cache
def pool() -> Pool:
    return Pool()


@pytest.fixture
def registry() -> Iterator[respx.Route]:
    with respx.mock() as router:
        yield router.get("https://auth.docker.io/token")


@pytest.mark.parametrize("kind", HTTPX, ids=lambda kind: kind.__name__)
def test_whatever_httpx_raises_is_docker_hub_unavailable(
    kind: type[Exception], registry: respx.Route, clock: object
) -> None:
    registry.mock(side_effect=made(kind))
    login = TokenLogin(Settings(), Http(pool(), Deadline(lambda: 60_000)), known={})

    with pytest.raises(DockerHubUnavailable, match=f"no answer from Docker Hub .{kind.__name__}.") as failure:
        login.log_in_to_registry("acme-bot", "dckr_pat_0123456789")

    assert_hidden(failure.value)


@pytest.mark.parametrize("kind", BOTOCORE, ids=lambda kind: kind.__name__)
def test_whatever_botocore_raises_is_one_of_ours(kind: type[Exception]) -> None:
    action = "secretsmanager:GetSecretValue"

    with pytest.raises((AwsRefused, AwsUnavailable), match=f"^{action}") as failure:
        ask(action, "A remedy.", failing(made(kind)))

    assert_hidden(failure.value)


@pytest.mark.parametrize(
    ("error", "status", "attempts", "translation"),
    [
        pytest.param("AccessDeniedException", 400, 0, AwsRefused, id="refused"),
        pytest.param("ResourceNotFoundException", 400, 0, AwsRefused, id="not there"),
        pytest.param("AccessDeniedException", 400, 1, AwsUnavailable, id="refused after a lost answer"),
        pytest.param("InternalServiceError", 500, 0, AwsUnavailable, id="out of order"),
        pytest.param("ThrottlingException", 400, 2, AwsUnavailable, id="throttled"),
        pytest.param("ThrottlingException", 400, 0, AwsUnavailable, id="throttled at once"),
        pytest.param("TooManyRequestsException", 429, 0, AwsUnavailable, id="too many requests"),
    ],
)
def test_a_refusal_is_one_only_if_nothing_was_done(
    error: str, status: int, attempts: int, translation: type[RotationError]
) -> None:
    metadata = {"HTTPStatusCode": status, "RetryAttempts": attempts, "RequestId": "request-id"}
    response = {"Error": {"Code": error, "Message": MARKER}, "ResponseMetadata": metadata}

    refused = botocore.exceptions.ClientError(response, "Get")  # type: ignore[arg-type]
    with pytest.raises(translation, match=f"{error} .request request-id.") as failure:
        ask("ssm:Get", "A remedy.", failing(refused))

    assert_hidden(failure.value)
    assert failure.type is translation


@pytest.mark.parametrize(
    "kind",
    [
        botocore.exceptions.NoCredentialsError,
        botocore.exceptions.PartialCredentialsError,
        botocore.exceptions.NoRegionError,
        botocore.exceptions.ParamValidationError,
    ],
)
def test_what_was_never_sent_has_had_no_effect(kind: type[Exception]) -> None:
    with pytest.raises(AwsRefused):
        ask("ssm:Get", "A remedy.", failing(made(kind)))


@pytest.mark.parametrize(
    "kind",
    [
        botocore.exceptions.ConnectTimeoutError,
        botocore.exceptions.ReadTimeoutError,
        botocore.exceptions.EndpointConnectionError,
        botocore.exceptions.ConnectionClosedError,
        botocore.exceptions.ProxyConnectionError,
        ResponseParserError,
    ],
)
def test_what_may_have_been_received_may_have_had_its_effect(kind: type[Exception]) -> None:
    with pytest.raises(AwsUnavailable):
        ask("ssm:Get", "A remedy.", failing(made(kind)))


@pytest.fixture(scope="module")
def ssm() -> Iterator[Any]:
    keys: Any = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
    client = Session().create_client("ssm", "eu-central-1", config=Config(retries={"total_max_attempts": 1}), **keys)
    with closing(client):
        yield client


BODIES = ["null", "[]", '"text"', "7", '{"Parameters": 7}', '{"Parameters": ["x"]}', "caf\u00e9"]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("status", [200, 400])
def test_an_answer_that_makes_botocore_itself_stumble_is_no_defect_of_ours(ssm: Any, status: int, body: str) -> None:
    """As one may that is not AWS's, and comes from whatever stands in between."""
    answer: Any = AWSResponse("https://ssm", status, HTTPHeaders(), None)
    answer._content = body.encode("latin-1")
    ssm.meta.events.register("before-send.ssm", lambda **_: answer, "answer")
    try:
        with pytest.raises(RotationError) as failure:
            Parameters(Settings(), ssm).account()
    finally:
        ssm.meta.events.unregister("before-send.ssm", unique_id="answer")

    assert failure.type is AwsUnavailable
    assert_hidden(failure.value)


def test_a_refusal_without_one_of_awss_codes_is_not_awss_and_what_stands_in_its_place_is_not_quoted() -> None:
    response = {"Error": {"Code": f"{MARKER} dckr_pat_secret"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    refused = botocore.exceptions.ClientError(response, "Get")  # type: ignore[arg-type]

    with pytest.raises(AwsUnavailable, match="ssm:Get was answered 400, .* proxy") as failure:
        ask("ssm:Get", "A remedy.", failing(refused))

    assert_hidden(failure.value)


def test_eight_addresses_of_aws_that_swallow_everything_cost_less_than_half_a_minute(
    monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    """So an invocation of one minute survives it, and has the time for a report and for what has to be undone."""

    def addresses(*_: object, **__: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"10.0.0.{last}", 443)) for last in range(8)]

    def swallow(self: socket.socket, _: object) -> None:
        clock.tick(self.gettimeout() or 0)
        raise TimeoutError

    monkeypatch.setattr(socket, "getaddrinfo", addresses)
    monkeypatch.setattr(socket.socket, "connect", swallow)
    (client,) = clients(CLIENT_CONFIG, "ssm")
    began = clock.now

    with closing(client), pytest.raises(AwsUnavailable, match="ConnectTimeoutError"):
        Parameters(Settings(), client).account()

    assert 24 <= clock.now - began < 30


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("AWS_DEFAULT_REGION", ""),
        ("AWS_DEFAULT_REGION", f"no region {MARKER}"),
        ("AWS_DEFAULTS_MODE", MARKER),
        ("AWS_ACCOUNT_ID_ENDPOINT_MODE", MARKER),
        ("AWS_METADATA_SERVICE_TIMEOUT", MARKER),
        ("AWS_PROFILE", MARKER),
        ("SSLKEYLOGFILE", f"/nowhere/{MARKER}"),
    ],
)
def test_what_keeps_botocore_from_making_clients_is_a_setting_and_named(
    variable: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, text)

    with pytest.raises(SettingsInvalid, match=variable) as failure:
        clients(CLIENT_CONFIG, "ssm")

    assert "KEY_ID" not in str(failure.value)
    assert_hidden(failure.value)


# What is raised, and where

SOURCES = sorted(Path(errors.__file__).parent.rglob("*.py"))

# Raises one of ours from one of ours, which holds nothing that must not be seen.
OURS_FROM_OURS = {"steps/finish_secret.py: raise error from failure"}


def raised_inside_an_except(source: Path) -> Iterator[str]:
    """Yield every `raise` of something that stands inside an except: it keeps what was caught as its context."""
    for handler in (node for node in ast.walk(ast.parse(source.read_text())) if isinstance(node, ast.ExceptHandler)):
        for node in ast.walk(handler):
            if isinstance(node, ast.Raise) and node.exc is not None:
                yield ast.unparse(node)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: str(source.relative_to(SOURCES[0].parent)))
def test_no_error_is_raised_while_another_is_handled(source: Path) -> None:
    """`from None` hides the other one from a traceback, and keeps it: it may hold a document, a token or an answer."""
    name = str(source.relative_to(SOURCES[0].parent))
    raised = [f"{name}: {statement}" for statement in raised_inside_an_except(source)]

    assert set(raised) <= OURS_FROM_OURS
