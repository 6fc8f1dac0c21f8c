"""A world for each test of the Docker Hub client."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import respx

from tests.docker_hub.loopback import FINE, HUB, Authority, Talk, behind_tls
from tests.docker_hub.wire import World

if TYPE_CHECKING:
    from tests.conftest import Clock


@pytest.fixture
def world(clock: "Clock") -> Iterator[World]:
    """A world in which nothing is asked but what a test has announced, and everything announced is asked."""
    with respx.mock(assert_all_called=True, assert_all_mocked=True) as router:
        yield World(router, clock)


@pytest.fixture(autouse=True)
def usual_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what this machine says; the programs of other tests may need it to reach a registry."""
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A private certificate authority."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def hub(authority: Authority) -> Talk:
    """Docker Hub, with a certificate of a private authority."""
    return behind_tls(authority.context(HUB), FINE)
