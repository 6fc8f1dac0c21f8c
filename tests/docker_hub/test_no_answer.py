"""What keeps an answer from coming is told apart, with its remedy, and without a word of anybody else's."""

import socket

import httpx
import pytest

from dockerhub_rotation.deadline import Deadline
from dockerhub_rotation.docker_hub import network
from dockerhub_rotation.docker_hub.http import Http, Pool
from dockerhub_rotation.errors import DockerHubUnavailable, SettingsInvalid
from tests.docker_hub.loopback import (
    FINE,
    HUB,
    Authority,
    Talk,
    answering,
    ask,
    asked_once,
    behind_tls,
    heard,
    listening,
    reply,
    through_tunnel,
)

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

    assert_told("no answer .*ConnectTimeout, it took too long.*In a VPC", DockerHubUnavailable)


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
