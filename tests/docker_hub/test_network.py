"""The way to Docker Hub is the environment's: its proxy, its exceptions, its certificate authorities."""

import base64
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from dockerhub_rotation import entrance
from dockerhub_rotation.docker_hub import network
from dockerhub_rotation.docker_hub.http import Pool
from dockerhub_rotation.docker_hub.network import Proxy
from dockerhub_rotation.errors import DockerHubUnavailable, SettingsInvalid
from tests.docker_hub.loopback import FINE, HUB, Authority, Talk, asked_once, behind_tls, listening, through_tunnel

# What is no way


SECRET = "hunter2"
NO_PROXY_URLS = [
    f"http://user:{SECRET}@proxy:port",
    f"http://user:{SECRET}@proxy:0",
    f"http://user:{SECRET}@proxy:65536",
    f"http://user:{SECRET}@",
    f"http://user:{SECRET}/with-a-slash@proxy:3128",
    f"http://user:{SECRET}@[::1:3128",
    f"http://user:{SECRET}@a..b:3128",
    f"http://user:{SECRET}@{'x' * 64}:3128",
    f"http://user:{SECRET}@two words:3128",
    f"socks5://user:{SECRET}@proxy:1080",
    f"socks5h://user:{SECRET}@proxy:1080",
    f"ftp://user:{SECRET}@proxy",
    f"user:{SECRET}@proxy:port",
    "://",
]


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("url", NO_PROXY_URLS)
def test_a_proxy_that_none_could_be_is_a_setting_to_mend(
    url: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, url)

    with pytest.raises(SettingsInvalid, match=f"wrong: {variable} must be a proxy's URL") as refusal:
        Pool()

    assert SECRET not in str(refusal.value)
    assert refusal.value.__context__ is None


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
@pytest.mark.parametrize("path", ["missing.pem", ".", "text.pem", "empty.pem"])
def test_a_bundle_that_holds_no_certificate_is_a_setting_to_mend(
    path: str, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.pem").write_text("no certificate")
    (tmp_path / "empty.pem").touch()
    monkeypatch.setenv(variable, str(tmp_path / path))

    with pytest.raises(SettingsInvalid, match=f"wrong: {variable} must name a file of certificates") as refusal:
        Pool()

    assert refusal.value.__context__ is None


def test_a_directory_of_certificates_that_is_not_there_is_a_setting_to_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL would trust nobody, and say nothing."""
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path / 'missing'}:{tmp_path / 'neither'}")

    with pytest.raises(SettingsInvalid, match="wrong: SSL_CERT_DIR must name a directory of certificates"):
        Pool()


def test_one_directory_of_several_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path / 'missing'}:{tmp_path}")

    Pool().close()


def test_whatever_is_wrong_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", "/missing.pem")
    monkeypatch.setenv("HTTPS_PROXY", "socks5://proxy:1080")

    with pytest.raises(SettingsInvalid, match="AWS_CA_BUNDLE .*; HTTPS_PROXY .* Mend it\\."):
        Pool()


@pytest.fixture
def no_sandbox() -> Iterator[None]:
    entrance.sandbox.cache_clear()
    yield
    entrance.sandbox.cache_clear()


@pytest.mark.parametrize(
    ("variable", "value"),
    [("HTTPS_PROXY", "http://proxy:port"), ("SSL_CERT_FILE", "/missing"), ("NO_PROXY", "fd00::/8")],
)
@pytest.mark.usefixtures("no_sandbox")
def test_a_sandbox_is_made_or_says_what_to_mend_and_then_is_made(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    if variable != "NO_PROXY":
        with pytest.raises(SettingsInvalid, match=variable):
            entrance.sandbox()
        monkeypatch.delenv(variable)

    assert isinstance(entrance.sandbox().connection.pool, Pool)


# Proxies


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, Proxy("http", "proxy", 3128, None)),
        ({"HTTPS_PROXY": "HTTP://Proxy.example.:3128/"}, Proxy("http", "proxy.example.", 3128, None)),
        ({"HTTPS_PROXY": "https://proxy"}, Proxy("https", "proxy", None, None)),
        ({"HTTPS_PROXY": "proxy:3128"}, Proxy("http", "proxy", 3128, None)),
        ({"HTTPS_PROXY": "//proxy:3128"}, Proxy("http", "proxy", 3128, None)),
        ({"HTTPS_PROXY": " proxy "}, Proxy("http", "proxy", None, None)),
        ({"HTTPS_PROXY": "[::1]:3128"}, Proxy("http", "::1", 3128, None)),
        ({"HTTPS_PROXY": "http://münchen.example"}, Proxy("http", "xn--mnchen-3ya.example", None, None)),
        ({"HTTPS_PROXY": "user:pass%40word@proxy"}, Proxy("http", "proxy", None, ("user", "pass@word"))),
        ({"HTTPS_PROXY": "user@proxy"}, Proxy("http", "proxy", None, ("user", ""))),
        ({"https_proxy": "lower", "HTTPS_PROXY": "upper"}, Proxy("http", "lower", None, None)),
        ({"https_proxy": "", "HTTPS_PROXY": "upper"}, None),
        ({"HTTPS_PROXY": "", "ALL_PROXY": "all"}, Proxy("http", "all", None, None)),
        ({"HTTPS_PROXY": "https-only", "ALL_PROXY": "all"}, Proxy("http", "https-only", None, None)),
        ({"HTTP_PROXY": "http://proxy:port"}, None),
    ],
    ids=str,
)
def test_the_proxy_is_the_one_that_the_environment_names(
    environment: dict[str, str], proxy: Proxy | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert network.read().proxy == proxy


def test_a_proxy_does_not_show_its_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"user:{SECRET}@proxy")

    assert SECRET not in repr(network.read())


@pytest.mark.parametrize(
    ("no_proxy", "host", "direct"),
    [
        ("", HUB, False),
        ("*", HUB, True),
        ("localhost, *", HUB, True),
        (HUB, HUB, True),
        ("Hub.Docker.COM.", HUB, True),
        ("docker.com", HUB, True),
        (".docker.com", HUB, True),
        ("*.docker.com", HUB, True),
        ("*docker.com", HUB, True),
        ("localhost docker.com", HUB, True),
        (",, docker.com ,", HUB, True),
        (f"{HUB}:443", HUB, True),
        (f"{HUB}:8443", HUB, False),
        (f"{HUB}:8443", f"{HUB}:8443", True),
        (f"{HUB}:https", HUB, False),
        ("ocker.com", HUB, False),
        ("com.", HUB, True),
        (".", HUB, False),
        ("[]", HUB, False),
        ("fd00::/8", HUB, False),
        ("10.0.0.0/8", HUB, False),
        ("[::1", HUB, False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.1.2.3/8", "10.200.0.1", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:8443", "10.1.2.3:8443", True),
        ("10.1.2.3:8443", "10.1.2.3", False),
        ("fd00::/8", "[fd12::1]", True),
        ("fd00::/8", "[fe80::1]", False),
        ("fd00::/8", "10.1.2.3", False),
        ("::1", "[::1]", True),
        ("[::1]", "[::1]", True),
        ("[::1]:8443", "[::1]:8443", True),
        ("[::1]:8443", "[::1]", False),
        ("0:0::1", "[::1]", True),
    ],
)
@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
def test_what_no_proxy_names_is_reached_directly(
    variable: str, no_proxy: str, host: str, direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv(variable, no_proxy)
    url = httpx.URL(f"https://{host}/")

    assert network.read().is_direct(url.scheme, url.host, url.port) is direct


def test_a_host_that_no_proxy_names_is_not_asked_for_at_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here, the host does not speak TLS, and the proxy is not there."""
    asked: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        asked.append(connection.recv(1))

    with listening(talk) as port:
        monkeypatch.setenv("HTTPS_PROXY", "http://192.0.2.1:3128")
        monkeypatch.setenv("NO_PROXY", f"127.0.0.0/8:{port},127.0.0.1/32")
        with pytest.raises(DockerHubUnavailable):
            asked_once(f"https://127.0.0.1:{port}/")

    assert asked == [b"\x16"]  # https://www.rfc-editor.org/rfc/rfc8446#section-5.1: a handshake


@pytest.mark.parametrize("login", [None, "user:pass%40word"])
def test_a_request_goes_through_the_proxy_with_its_login(
    login: str | None, hub: Talk, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
    asked: list[bytes] = []
    with listening(through_tunnel(asked, hub)) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"{login}@127.0.0.1:{port}" if login else f"127.0.0.1:{port}")
        assert asked_once().object() == {"results": []}

    assert [request.partition(b" HTTP")[0] for request in asked] == [b"CONNECT hub.docker.com:443"]
    shown = b"Proxy-Authorization: Basic " + base64.b64encode(b"user:pass@word")
    assert (shown in asked[0]) is (login is not None)


def test_a_proxy_may_itself_speak_tls(hub: Talk, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same authorities: whoever names a private one means every certificate."""
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
    asked: list[bytes] = []
    with listening(behind_tls(authority.context("localhost"), through_tunnel(asked, lambda _: None))) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"https://localhost:{port}")
        with pytest.raises(DockerHubUnavailable):
            asked_once()  # the tunnel leads nowhere

    assert len(asked) == 1


def test_what_goes_to_this_machine_in_the_clear_is_shown_to_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://192.0.2.1:3128")

    with listening(FINE) as port:
        assert asked_once(f"http://127.0.0.1:{port}/").object() == {"results": []}


# Certificate authorities


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_a_private_authority_is_trusted_where_one_variable_names_it(
    variable: str, hub: Talk, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(authority.bundle))
    with listening(through_tunnel([], hub)) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")

        assert asked_once().object() == {"results": []}


@pytest.mark.parametrize(
    ("variable", "over"), [("SSL_CERT_FILE", "SSL_CERT_DIR"), ("SSL_CERT_DIR", "AWS_CA_BUNDLE")], ids=str
)
def test_the_first_variable_that_is_set_counts(
    variable: str, over: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(authority.bundle.parent if variable == "SSL_CERT_DIR" else authority.bundle))
    monkeypatch.setenv(over, "/missing")

    Pool().close()


def test_whoever_names_no_authority_trusts_the_usual_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(variable, "")

    assert network.read().authorities is None
