"""The way to Docker Hub, as the environment has it: proxies, certificate authorities, and what can go wrong.

The variables are those that curl, botocore and most others read. What is wrong with them is a setting's fault, to be
told by the variable's name: a proxy's URL may hold a password.
"""

import os
import re
import socket
import ssl
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment

from dockerhub_rotation.errors import DockerHubUnavailable, SettingsInvalid

# The first that is set counts. Python knows the first two, botocore the others.
_BUNDLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")

_CERTIFICATE_REFUSED = (
    "the certificate that came is of no authority that is trusted, or not for this host ({kind}). If a proxy or a "
    "firewall in between looks into TLS, name a file that holds its private certificate authority in AWS_CA_BUNDLE, or "
    "for Docker Hub alone in SSL_CERT_FILE. If one is named, see that it holds every authority that is needed: it "
    "stands in place of the usual ones."
)
# By the status with which a proxy refuses a tunnel.
_PROXY_REFUSES = {
    "403": (
        "the proxy in HTTPS_PROXY or ALL_PROXY does not let the function through ({kind} 403). Have it let through to "
        "the hosts of Docker Hub, or name them in NO_PROXY if there is another way."
    ),
    "407": (
        "the proxy in HTTPS_PROXY or ALL_PROXY does not take the function's login ({kind} 407). See to the user name "
        "and the password in its URL; what is special in them must be percent-encoded."
    ),
}
# What is at the root of a request without an answer, what that means, and what mends it if it lasts.
_CAUSES: tuple[tuple[type[OSError], str, str], ...] = (
    (
        ssl.SSLError,
        "TLS did not come about",
        "If HTTPS_PROXY begins with https://, see whether that proxy itself speaks TLS",
    ),
    (
        socket.gaierror,
        "no address for the host's name",
        "Check the name of the proxy in HTTPS_PROXY or those in the DOCKERHUB_ URLs and, in a VPC, its DNS",
    ),
    (
        ConnectionRefusedError,
        "the connection was refused",
        "Check host and port of the proxy in HTTPS_PROXY, those in the DOCKERHUB_ URLs, and any firewall",
    ),
    (
        TimeoutError,
        "it took too long",
        "In a VPC, check the security group and the route to the internet or to the proxy",
    ),
)


@dataclass(frozen=True)
class Proxy:
    """A proxy.

    Attributes:
        host: an IPv6 address without its brackets.
        port: None for the scheme's own.
        login: user name and password, if it asks for them.
    """

    scheme: str
    host: str
    port: int | None
    login: tuple[str, str] | None = field(repr=False)


@dataclass(frozen=True)
class Network:
    """How Docker Hub is reached.

    Attributes:
        authorities: whose certificates are trusted; None for the usual certificate authorities.
        proxy: what requests go through, if there is one.
        direct: the entries of NO_PROXY.
    """

    authorities: ssl.SSLContext | None
    proxy: Proxy | None
    direct: tuple[str, ...]

    def is_direct(self, scheme: str, host: str, port: int | None) -> bool:
        """Tell whether requests to a host go there directly.

        Those over http do. They go to this machine, and a proxy would see the credential in them.
        """
        host = host.lower().rstrip(".")
        return (
            self.proxy is None
            or scheme != "https"
            or any(_names(entry.lower(), host, 443 if port is None else port) for entry in self.direct)
        )


def read() -> Network:
    """Return the way that the environment describes.

    HTTPS_PROXY and ALL_PROXY are read in either case, https://curl.se/docs/manpage.html#ENVIRONMENT, by the rules of
    https://docs.python.org/3/library/urllib.request.html#urllib.request.getproxies, which are botocore's, too.

    Raises:
        SettingsInvalid: naming every variable that is wrong.
    """
    problems: list[str] = []
    proxies = getproxies_environment()
    network = Network(
        _authorities(problems),
        _proxy(proxies, problems),
        tuple(re.findall(r"[^\s,]+", proxies.get("no", ""))),
    )
    if problems:
        raise SettingsInvalid(f"The function's environment is wrong: {'; '.join(problems)}. Mend it.")
    return network


def _authorities(problems: list[str]) -> ssl.SSLContext | None:
    for variable in _BUNDLES:
        path = os.environ.get(variable)
        if not path:
            continue
        if variable == "SSL_CERT_DIR":
            # OpenSSL takes several, as PATH has them, and says nothing of those that are not there.
            if any(Path(directory).is_dir() for directory in path.split(os.pathsep)):
                return ssl.create_default_context(capath=path)
            problems.append(f"{variable} must name a directory of certificates, and there is none of that name")
            return None
        try:
            return ssl.create_default_context(cafile=path)
        except (OSError, ValueError):  # what is no certificate is an ssl.SSLError, which is an OSError
            problems.append(f"{variable} must name a file of certificates (PEM) that the function can read")
            return None
    return None


def _proxy(proxies: dict[str, str], problems: list[str]) -> Proxy | None:
    for kind in ("https", "all"):
        if text := proxies.get(kind, "").strip():
            try:
                return _proxy_of(text)
            except ValueError:
                problems.append(
                    f"{_variable(kind, proxies[kind])} must be a proxy's URL: http:// or https:// (SOCKS is not spoken "
                    "here), a host and a port number; what is special in a password must be percent-encoded"
                )
                return None
    return None


def _variable(kind: str, text: str) -> str:
    """Return in which case a proxy's variable is written."""
    names = (name for name, value in os.environ.items() if name.lower() == f"{kind}_proxy" and value == text)
    return next(names, f"{kind.upper()}_PROXY")


def _proxy_of(text: str) -> Proxy:
    """Read a proxy's URL, which may lack its scheme.

    Raises:
        ValueError: it is none. The message may hold the URL.
    """
    parts = urlsplit(text if "://" in text else f"http://{text.removeprefix('//')}")
    host, port = (parts.hostname or "").encode("idna").decode(), parts.port
    if parts.scheme not in ("http", "https") or not re.fullmatch(r"[a-z0-9._:-]+", host) or port == 0:
        raise ValueError("no proxy")
    login = None if parts.username is None else (unquote(parts.username), unquote(parts.password or ""))
    return Proxy(parts.scheme, host, port, login)


def _names(entry: str, host: str, port: int) -> bool:
    """Tell whether an entry of NO_PROXY, in lower case, names a host: its address, its network, its name or its domain.

    As https://curl.se/docs/manpage.html#--noproxy has it, and with a port or a leading asterisk, as others do.
    """
    if entry == "*":
        return True
    named, colon, number = entry.rpartition(":")
    if colon and number.isdecimal() and (":" not in named or named.endswith("]")):
        if int(number) != port:
            return False
        entry = named
    entry = entry.strip("[]")
    try:
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:  # either is a name
        domain = entry.removeprefix("*").strip(".")
        return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def no_answer(what: str, failure: Exception, refused_by_proxy: str = "") -> DockerHubUnavailable | SettingsInvalid:
    """Return the error for a request that got no answer, to be raised where its cause is not being handled.

    Its text is of our own: that of the cause may quote an answer, a header or a URL.

    Args:
        failure: what the request raised. What it is about tells the type of what is at its root.
        refused_by_proxy: the status with which the proxy has refused a tunnel.
    """
    kind = type(failure).__name__
    links = _chain(failure)
    lasting = _PROXY_REFUSES.get(refused_by_proxy)
    if any(isinstance(link, ssl.SSLCertVerificationError) for link in links):
        lasting = _CERTIFICATE_REFUSED
    if lasting:
        return SettingsInvalid(f"{what}: {lasting.format(kind=kind)}")
    if refused_by_proxy:
        told, remedy = f"{kind} {refused_by_proxy}", "Check whether the proxy reaches Docker Hub"
    else:
        causes = (cause for cause in _CAUSES if any(isinstance(link, cause[0]) for link in links))
        _, meaning, remedy = next(causes, (OSError, "", "In a VPC, check the route to the internet"))
        told = f"{kind}, {meaning}" if meaning else kind
    return DockerHubUnavailable(f"{what}: no answer from Docker Hub ({told}). {remedy}.")


def _chain(failure: BaseException | None) -> list[BaseException]:
    """Return an exception and what it came of, to the root. A chain may bite its own tail."""
    links: list[BaseException] = []
    while failure is not None and failure not in links:
        links.append(failure)
        failure = failure.__cause__ or failure.__context__
    return links
