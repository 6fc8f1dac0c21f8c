"""A process that the fork server starts is the function's own: its environment, its output, its death."""

from collections.abc import Callable, Iterator

import pytest

from rehearsal.fork_server import ForkServer
from rehearsal.sandbox import Function, FunctionError
from rehearsal.wire import Server

ACCOUNT = {
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "rehearsal",
    "AWS_SECRET_ACCESS_KEY": "rehearsal",
}
EVENT = {
    "Step": "createSecret",
    "SecretId": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:token-AbCdEf",
    "ClientRequestToken": "11111111-2222-4333-8444-555555555555",
}


@pytest.fixture(scope="module")
def run_function() -> Iterator[Callable[..., Function]]:
    with ForkServer() as server:
        yield server.function


def test_each_has_the_environment_that_it_was_given_and_writes_its_own_log(
    run_function: Callable[..., Function],
) -> None:
    with (
        run_function({**ACCOUNT, "DOCKERHUB_LOGIN": "by-mail"}) as one,
        run_function(ACCOUNT) as other,
    ):
        with pytest.raises(FunctionError, match="SettingsInvalid: .*DOCKERHUB_LOGIN"):
            one.invoke(EVENT)
        with pytest.raises(FunctionError, match="EventRefused"):
            other.invoke({})

        assert "SettingsInvalid" in one.log()
        assert "EventRefused" not in one.log()
        assert "EventRefused" in other.log()
        assert "SettingsInvalid" not in other.log()


def test_one_that_is_killed_is_dead_and_the_next_invocation_has_another(run_function: Callable[..., Function]) -> None:
    with run_function(ACCOUNT) as function:

        def kill(environ: object, start_response: object) -> list[bytes]:
            function.kill()
            raise ConnectionAbortedError

        with Server(kill) as aws:
            function._environment["AWS_ENDPOINT_URL"] = aws.url
            with pytest.raises(FunctionError, match="the process of the function died"):
                function.invoke(EVENT)
        with pytest.raises(FunctionError, match="EventRefused"):
            function.invoke({})
