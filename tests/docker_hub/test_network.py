"""The way to Docker Hub is the environment's: its proxy, its exceptions, its certificate authorities."""

import base64
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from dockerhub_rotation import handler
from dockerhub_rotation.deadline import Deadline
from dockerhub_rotation.docker_hub import network
from dockerhub_rotation.docker_hub.answers import Answer
from dockerhub_rotation.docker_hub.http import Http, Pool
from dockerhub_rotation.docker_hub.network import Proxy
from dockerhub_rotation.errors import DockerHubUnavailable, SettingsInvalid
from tests.docker_hub.loopback import Authority, Talk, answering, behind_tls, heard, listening, reply, through_tunnel

HUB = "hub.docker.com"
FINE = answering(reply(b'{"results": []}'))


@pytest.fixture(autouse=True)
def usual_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what this machine says; the programs of other tests may need it to reach a registry."""
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def hub(authority: Authority) -> Talk:
    """Docker Hub, with a certificate of a private authority."""
    return behind_tls(authority.context(HUB), FINE)


def ask(pool: Pool, url: str = f"https://{HUB}/v2/") -> Answer:
    return Http(pool, Deadline(lambda: 65_000)).send("Asking", "GET", url, tries=1)


def asked_once(url: str = f"https://{HUB}/v2/") -> Answer:
    pool = Pool()
    try:
        return ask(pool, url)
    finally:
        pool.close()


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

    with pytest.raises(SettingsInvalid, match="AWS_CA_BUNDLE .*; HTTPS_PROXY .* Mend it and rotate again"):
        Pool()


@pytest.fixture
def no_sandbox() -> Iterator[None]:
    handler.sandbox.cache_clear()
    yield
    handler.sandbox.cache_clear()


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
            handler.sandbox()
        monkeypatch.delenv(variable)

    assert isinstance(handler.sandbox().connection.pool, Pool)


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


# What goes wrong on the way


MARKER = "text-of-somebody-else"


def refusing(status: int) -> Talk:
    """Return a proxy that makes no tunnel."""
    return answering(reply(MARKER.encode(), f"X-Header: {MARKER}", status=status).replace(b"Whatever", MARKER.encode()))


def chain(failure: BaseException | None) -> list[type[BaseException]]:
    """Return the types of an exception and of whatever hangs on it, to the end."""
    kinds = []
    while failure is not None:
        kinds.append(type(failure))
        assert MARKER not in str(failure)
        failure = failure.__cause__ or failure.__context__
    return kinds


def assert_told(message: str, kind: type[Exception], url: str = f"https://{HUB}/v2/") -> None:
    """Refuse any other error, and one on which somebody else's exception hangs."""
    with pytest.raises(kind, match=f"^Asking: {message}") as failure:
        asked_once(url)

    assert chain(failure.value) == [kind]
    assert str(failure.value).endswith(".")


def test_a_certificate_of_an_unknown_authority_is_told_as_such(authority: Authority) -> None:
    with listening(behind_tls(authority.context("localhost"), FINE)) as port:
        assert_told("the certificate .* AWS_CA_BUNDLE.* SSL_CERT_FILE", SettingsInvalid, f"https://localhost:{port}/")


def test_a_certificate_for_another_host_is_told_as_such(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.bundle))
    with listening(behind_tls(authority.context(HUB), FINE)) as port:
        assert_told("the certificate .* not for this host", SettingsInvalid, f"https://localhost:{port}/")


def test_an_untrusted_certificate_behind_a_proxy_is_told_as_such(hub: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(through_tunnel([], hub)) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        assert_told("the certificate .* looks into TLS", SettingsInvalid)


@pytest.mark.parametrize(
    ("status", "message"),
    [(407, "the proxy in HTTPS_PROXY .* user name and the password"), (403, "the proxy in HTTPS_PROXY .* let through")],
)
def test_what_a_proxy_refuses_lastingly_is_a_setting_to_mend(
    status: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening(refusing(status)) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:{MARKER}@127.0.0.1:{port}")
        assert_told(message, SettingsInvalid)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_a_proxy_cannot_reach_now_is_unavailable(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(refusing(status)) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        assert_told(f"no answer .*ProxyError {status}.*whether the proxy reaches", DockerHubUnavailable)


def test_a_proxy_without_a_name_that_resolves_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, MARKER)

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    assert_told("no answer .*ConnectError, no address for the host's name.*HTTPS_PROXY.*DNS", DockerHubUnavailable)


def test_a_refused_connection_is_told_as_such() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    assert_told(
        "no answer .*ConnectError, the connection was refused.*port", DockerHubUnavailable, f"https://127.0.0.1:{port}"
    )


def test_a_connection_that_takes_too_long_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_slow(*_: object, **__: object) -> None:
        raise TimeoutError(MARKER)

    monkeypatch.setattr(socket, "create_connection", too_slow)

    assert_told("no answer .*ConnectTimeout, it took too long.*in a VPC", DockerHubUnavailable)


def test_a_server_that_does_not_speak_tls_is_told_as_such() -> None:
    def talk(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(MARKER.encode())

    with listening(talk) as port:
        assert_told(
            "no answer .*ConnectError, TLS did not.*https://.*speaks TLS",
            DockerHubUnavailable,
            f"https://127.0.0.1:{port}",
        )


def test_a_body_that_breaks_off_leaves_nothing_of_it(authority: Authority) -> None:
    def talk(connection: socket.socket) -> None:
        heard(connection)
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{MARKER}".encode())

    with listening(talk) as port:
        assert_told(
            r"no answer from Docker Hub \(RemoteProtocolError\)", DockerHubUnavailable, f"http://127.0.0.1:{port}"
        )


def test_a_chain_of_causes_that_bites_its_own_tail_is_walked_once() -> None:
    failure = httpx.ReadTimeout(MARKER)
    failure.__cause__ = failure

    assert "(ReadTimeout)" in str(network.no_answer("Asking", failure))


@pytest.mark.parametrize("refusal", [403, 407, "certificate"])
@pytest.mark.usefixtures("clock")
def test_what_lasts_is_not_repeated(refusal: int | str, hub: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    talks: list[Talk] = []

    def talk(connection: socket.socket) -> None:
        talks.append(refusing(refusal) if isinstance(refusal, int) else through_tunnel([], hub))
        talks[-1](connection)

    with listening(talk) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        pool = Pool()
        with pytest.raises(SettingsInvalid):
            Http(pool, Deadline(lambda: 65_000)).send("Asking", "GET", f"https://{HUB}/")
        pool.close()

    assert len(talks) == 1


@pytest.mark.parametrize("status", [502, 503])
@pytest.mark.usefixtures("clock")
def test_what_cannot_be_repeated_is_repeated_if_the_proxy_did_not_let_it_out(
    status: int, hub: Talk, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
    talks = iter([refusing(status), through_tunnel([], hub)])
    with listening(lambda connection: next(talks)(connection)) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        pool = Pool()
        answer = Http(pool, Deadline(lambda: 65_000)).send("Asking", "POST", f"https://{HUB}/", repeatable=False)
        pool.close()

    assert answer.status == 200


def test_no_tunnel_that_leads_nowhere_takes_a_connection_out_of_the_pool(
    hub: Talk, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a hundred."""
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
    talks = iter([*[through_tunnel([], lambda _: None)] * 101, through_tunnel([], hub)])
    with listening(lambda connection: next(talks)(connection)) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        pool = Pool()
        for _ in range(101):
            with pytest.raises(DockerHubUnavailable, match="ConnectError"):
                ask(pool)

        assert ask(pool).object() == {"results": []}
        pool.close()
