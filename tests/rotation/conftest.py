"""A whole world for each test: the real handler, over real HTTP, against the simulators."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from unittest import mock

import pytest

from dockerhub_rotation import handler
from rehearsal.sandbox import Context, Function, FunctionError
from rehearsal.wire import Request
from rehearsal.world import Scene, World


class FunctionHere(Function):
    """The function in this very process, which starts sooner than one of its own and shares the test's clock."""

    def __init__(self, environment: Mapping[str, str], *, cold: bool = False, timeout_seconds: float = 60) -> None:
        self._environment = dict(environment)
        self._cold = cold
        self._timeout_seconds = timeout_seconds

    def __enter__(self) -> FunctionHere:
        return self

    def __exit__(self, *_: object) -> None:
        self._discard()

    def invoke(self, event: object) -> None:
        try:
            with mock.patch.dict(os.environ, self._environment):
                handler.lambda_handler(event, Context(self._timeout_seconds))
        except Exception as raised:
            raise FunctionError(f"{type(raised).__name__}: {raised}") from raised
        finally:
            if self._cold:
                self._discard()

    def _discard(self) -> None:
        if handler.sandbox.cache_info().currsize:
            kept = handler.sandbox()
            kept.connection.http.close()
            kept.secrets_manager._client.close()
            kept.parameters._client.close()
        handler.sandbox.cache_clear()


@pytest.fixture
def make_world() -> Iterator[Callable[..., World]]:
    """Return a function that sets up a world; the function under test runs in this process unless told otherwise."""
    with ExitStack() as stack:

        def make(
            scene: Scene = Scene(),  # noqa: B008 - frozen
            *,
            on_request: Callable[[Request], None] = lambda request: None,
            run_function: Callable[..., Function] = FunctionHere,
        ) -> World:
            return stack.enter_context(World(scene, on_request=on_request, run_function=run_function))

        yield make
