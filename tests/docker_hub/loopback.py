"""Servers on this machine, for what only a real connection shows."""

import socket
import socketserver
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from dockerhub_rotation.deadline import Deadline
from dockerhub_rotation.docker_hub.answers import Answer
from dockerhub_rotation.docker_hub.http import Http, Pool

Talk = Callable[[socket.socket], None]

HUB = "hub.docker.com"


def ask(pool: Pool, url: str = f"https://{HUB}/v2/") -> Answer:
    """Ask once, with a minute left for it."""
    return Http(pool, Deadline(lambda: 65_000)).send("Asking", "GET", url, tries=1)


def asked_once(url: str = f"https://{HUB}/v2/") -> Answer:
    """Ask once, in the way that the environment describes now."""
    pool = Pool()
    try:
        return ask(pool, url)
    finally:
        pool.close()


@contextmanager
def listening(talk: Talk) -> Iterator[int]:
    """Hold one talk with everybody who connects, each in a thread that ends with it; yield the port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):  # the other side has heard enough
                talk(self.request)

    class Server(socketserver.ThreadingTCPServer):
        block_on_close = False  # a connection that is kept open may stay so until its other side is closed
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def heard(connection: socket.socket) -> bytes:
    """Return the head of a request, and what came with it."""
    request = b""
    while b"\r\n\r\n" not in request and (piece := connection.recv(65_536)):
        request += piece
    return request


def reply(body: bytes, *headers: str, status: int = 200) -> bytes:
    """Return an answer after which the connection stays open."""
    lines = (f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers)
    return "\r\n".join((*lines, "", "")).encode() + body


def answering(data: bytes) -> Talk:
    """Return a talk in which every request gets the same answer."""

    def talk(connection: socket.socket) -> None:
        while heard(connection):
            connection.sendall(data)

    return talk


FINE = answering(reply(b'{"results": []}'))


class Authority:
    """A private certificate authority, as a proxy that looks into TLS brings one.

    Attributes:
        bundle: the file with its certificate.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "A private authority")])
        self.bundle = directory / "bundle.pem"
        constraint = x509.BasicConstraints(ca=True, path_length=None)
        self.bundle.write_bytes(self._signed(self._name, self._key, constraint))

    def _signed(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType) -> bytes:
        ours, theirs = (x509.SubjectKeyIdentifier.from_public_key(it.public_key()) for it in (self._key, key))
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(self._name).public_key(key.public_key())
        builder = builder.not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        builder = builder.not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        builder = builder.serial_number(x509.random_serial_number()).add_extension(extension, critical=True)
        builder = builder.add_extension(theirs, critical=False).add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ours), critical=False
        )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def context(self, host: str) -> ssl.SSLContext:
        """Return what a server needs to speak TLS as a host."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._directory / f"{host}.pem"
        certificate.write_bytes(
            self._signed(x509.Name([]), key, x509.SubjectAlternativeName([x509.DNSName(host)]))
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        return context


def behind_tls(context: ssl.SSLContext, talk: Talk) -> Talk:
    """Return a talk that is held over TLS."""

    def over_tls(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            talk(secured)

    return over_tls


def through_tunnel(asked: list[bytes], talk: Talk) -> Talk:
    """Return a talk that is held with whoever has asked for a tunnel, whose requests for it are noted."""

    def tunneled(connection: socket.socket) -> None:
        asked.append(heard(connection))
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        talk(connection)

    return tunneled
