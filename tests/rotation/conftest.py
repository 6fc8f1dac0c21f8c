"""A whole world for each test: the real handler, over real HTTP, against the simulators."""

from __future__ import annotations

import io
import json
import logging
import os
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from importlib import import_module
from typing import Any
from unittest import mock

import pytest
from rich.console import Console, RenderableType

from dockerhub_rotation import entrance, logs
from rehearsal.fork_server import ForkServer
from rehearsal.invariants import Invariants
from rehearsal.sandbox import HANDLER, Context, Function, FunctionError
from rehearsal.wire import Request
from rehearsal.world import Scene, World


class FunctionHere(Function):
    """The function in this very process, which starts sooner than one of its own and shares the test's clock."""

    def __init__(self, environment: Mapping[str, str], *, cold: bool = False, timeout_seconds: float = 60) -> None:
        self._environment = dict(environment)
        self._cold = cold
        self._timeout_seconds = timeout_seconds
        self._printed = io.StringIO()
        self._sandbox = cache(entrance.sandbox.__wrapped__)  # this function's own
        module, _, name = self._environment.get("_HANDLER", HANDLER).rpartition(".")
        self._handler: Callable[[object, Context], object] = getattr(import_module(module), name)

    def __enter__(self) -> FunctionHere:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    def invoke(self, event: object) -> object:
        try:
            with self._as_in_a_process_of_its_own():
                answer = self._handler(event, Context(self._timeout_seconds))
                return json.loads(json.dumps(answer))
        except Exception as raised:
            self._printed.write("".join(traceback.format_exception(raised)))
            self._printed.writelines(_chain(raised))
            raise FunctionError(f"{type(raised).__name__}: {raised}") from raised
        finally:
            if self._cold:
                self.discard()

    @contextmanager
    def _as_in_a_process_of_its_own(self) -> Iterator[None]:
        """Take over what a process of its own would have read and opened when it started."""
        logger = logs.configure()
        output = logger.registered_handler
        assert isinstance(output, logging.StreamHandler)
        level, stream = logger.log_level, output.stream
        logger.setLevel(self._environment.get("POWERTOOLS_LOG_LEVEL", "INFO"))
        output.setStream(self._printed)
        try:
            with (
                mock.patch.dict(os.environ, self._environment),
                mock.patch.object(entrance, "sandbox", self._sandbox),
                redirect_stdout(self._printed),
                redirect_stderr(self._printed),
            ):
                yield
        finally:
            logger.setLevel(level)
            output.setStream(stream)

    def log(self) -> str:
        return self._printed.getvalue()

    def discard(self) -> None:
        if self._sandbox.cache_info().currsize:
            kept = self._sandbox()
            kept.connection.pool.close()
            kept.secrets_manager._client.close()
            kept.parameters._client.close()
        self._sandbox.cache_clear()


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
