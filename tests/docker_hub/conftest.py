"""A world for each test of the Docker Hub client."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import respx

from tests.docker_hub.wire import World

if TYPE_CHECKING:
    from tests.conftest import Clock


@pytest.fixture
def world(clock: "Clock") -> Iterator[World]:
    """A world in which nothing is asked but what a test has announced, and everything announced is asked."""
    with respx.mock(assert_all_called=True, assert_all_mocked=True) as router:
        yield World(router, clock)
