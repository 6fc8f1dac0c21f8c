"""A whole world for each test: the real handler, over real HTTP, against the simulators."""

from __future__ import annotations

import io
import logging
import os
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from typing import Any
from unittest import mock

import pytest
from rich.console import Console, RenderableType

from dockerhub_rotation import handler
from rehearsal.fork_server import ForkServer
from rehearsal.invariants import Invariants
from rehearsal.sandbox import Context, Function, FunctionError
from rehearsal.wire import Request
from rehearsal.world import Scene, World


class FunctionHere(Function):
    """The function in this very process, which starts sooner than one of its own and shares the test's clock."""

    def __init__(self, environment: Mapping[str, str], *, cold: bool = False, timeout_seconds: float = 60) -> None:
        self._environment = dict(environment)
        self._cold = cold
        self._timeout_seconds = timeout_seconds
        self._printed = io.StringIO()
        self._stack = ExitStack()

    def __enter__(self) -> FunctionHere:
        """Take over what a process of its own would have read and opened when it started."""
        logger = handler.logger
        self._stack.callback(logger.setLevel, logger.log_level)
        logger.setLevel(self._environment.get("POWERTOOLS_LOG_LEVEL", "INFO"))
        output = logger.registered_handler
        assert isinstance(output, logging.StreamHandler)
        self._stack.callback(output.setStream, output.stream)
        output.setStream(self._printed)
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()
        self._stack.close()

    def invoke(self, event: object) -> None:
        try:
            with (
                mock.patch.dict(os.environ, self._environment),
                redirect_stdout(self._printed),
                redirect_stderr(self._printed),
            ):
                handle: Callable[..., object] = handler.lambda_handler
                assert handle(event, Context(self._timeout_seconds)) is None  # Lambda would log what it returns
        except Exception as raised:
            self._printed.write("".join(traceback.format_exception(raised)))
            self._printed.writelines(_chain(raised))
            raise FunctionError(f"{type(raised).__name__}: {raised}") from raised
        finally:
            if self._cold:
                self.discard()

    def log(self) -> str:
        return self._printed.getvalue()

    def discard(self) -> None:
        if handler.sandbox.cache_info().currsize:
            kept = handler.sandbox()
            kept.connection.pool.close()
            kept.secrets_manager._client.close()
            kept.parameters._client.close()
        handler.sandbox.cache_clear()


def _chain(error: BaseException | None) -> Iterator[str]:
    """Say all that the exceptions behind one hold, also those that a traceback leaves out."""
    if error is not None:
        yield f"{error!r} {error} {vars(error)}\n"
        yield from _chain(error.__cause__)
        yield from _chain(error.__context__)


REPORT = pytest.StashKey[list[RenderableType]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[REPORT] = []


def pytest_terminal_summary(config: pytest.Config) -> None:
    """Print what the tests have to report. Under xdist they run in other processes, and nothing is printed."""
    console = Console(width=160, highlight=False)
    for part in config.stash[REPORT]:
        console.print(part)


@pytest.fixture(scope="session")
def report(pytestconfig: pytest.Config) -> list[RenderableType]:
    """Return the list of what is printed at the end."""
    return pytestconfig.stash[REPORT]


@pytest.fixture(scope="session")
def process_of_its_own() -> Iterator[Callable[..., Function]]:
    """Return what runs the function in processes of its own, which start sooner than Python does."""
    with ForkServer() as server:
        yield server.function


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


@pytest.fixture
def watched_world(make_world: Callable[..., World]) -> Callable[..., tuple[World, Invariants]]:
    """Return a function that sets up a world in which every invariant is checked after every request."""

    def make(scene: Scene = Scene(), **how: Any) -> tuple[World, Invariants]:  # noqa: B008 - frozen
        invariants = Invariants()
        world: World | None = None

        def look(request: Request) -> None:
            assert world is not None
            invariants.look(world, request)

        world = make_world(scene, on_request=look, **how)
        invariants.begin(world)
        return world, invariants

    return make
