"""A served world whose functions run in this process, and the clients of those who work on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import boto3
import pytest
from botocore.config import Config

from rehearsal.served.world import Served
from tests.rotation.conftest import FunctionHere

MakeServed = Callable[..., Served]
Client = Callable[[Served, str], Any]


@pytest.fixture
def make_served() -> Iterator[MakeServed]:
    """Return a function that sets up a served world."""
    with ExitStack() as stack:

        def make(**how: Any) -> Served:
            return stack.enter_context(Served(run_function=FunctionHere, **how))

        yield make


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """Return a served world for all tests of a module, which change nothing in it."""
    with Served(run_function=FunctionHere) as served:
        yield served


@pytest.fixture
def client() -> Iterator[Client]:
    """Return a function that makes boto3's client of a service, for a served world."""
    session: Any = boto3.session.Session()
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    keys = {"aws_access_key_id": "rehearsal", "aws_secret_access_key": "rehearsal", "region_name": "eu-central-1"}
    with ExitStack() as stack:

        def make(served: Served, service: str) -> Any:
            url = served.environment["AWS_ENDPOINT_URL"]
            return stack.enter_context(closing(session.client(service, endpoint_url=url, config=config, **keys)))

        yield make
