"""The way to Docker Hub, as the environment has it: proxies and certificate authorities.

The variables are those that curl, botocore and most others read. What is wrong with them is a setting's fault, to be
told by the variable's name: a proxy's URL may hold a password.
"""

import os
import re
import ssl
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment

from dockerhub_rotation.errors import SettingsInvalid

# The first that is set counts. Python knows the first two, botocore the others.
_BUNDLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")


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
        raise SettingsInvalid(f"The function's environment is wrong: {'; '.join(problems)}. Mend it and rotate again.")
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
