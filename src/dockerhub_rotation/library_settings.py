"""What libraries read from the function's environment, looked at with its own settings: they would stumble over it."""

import re
import ssl
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from logging import getLevelNamesMapping
from urllib.parse import urlsplit


def checks(environment: Mapping[str, str]) -> dict[str, Callable[[str], object]]:
    """Return what raises ValueError for a wrong value of a variable, for those that are in an environment, in order."""
    return {name: _READ_BY_LIBRARIES[name] for name in sorted(environment.keys() & _READ_BY_LIBRARIES.keys())}


def set_aside(environment: MutableMapping[str, str]) -> dict[str, str]:
    """Take out of an environment what Powertools can't read, and return it, for `settings.read` to report.

    Powertools reads these variables when it is imported, and again with every metric; what is none of its values raises
    there, so that nothing at all would be reported.
    """
    unreadable = {}
    for variable in environment.keys() & _READ_BY_POWERTOOLS.keys():
        text = environment.pop(variable).strip()
        try:
            _READ_BY_POWERTOOLS[variable](text)
            environment[variable] = text
        except ValueError:
            unreadable[variable] = text
    return unreadable


def _web_url(text: str) -> str:
    if not _is_web_url(text):
        raise ValueError("must be a URL like https://host or https://host:port")
    return text


def _proxy(text: str) -> str:
    # Without a scheme botocore, httpx and urllib all take it for http; none of them speaks SOCKS here.
    if not _is_web_url(text if "://" in text else f"http://{text}"):
        raise ValueError("must be an HTTP proxy, like http://host:port")
    return text


def _is_web_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0 and " " not in text
    except ValueError:
        return False


def _certificates(text: str) -> str:
    with suppress(OSError):  # about the file, and about what is in it
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(text)
        return text
    raise ValueError("must be a file of certificates in PEM, which the package or a layer brings")


def _log_level(text: str) -> str:
    if text.upper() not in getLevelNamesMapping():
        raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
    return text


def _share(text: str) -> float:
    if not re.fullmatch(r"(0|0?\.[0-9]+|1|1\.0+)", text):
        raise ValueError("must be a number from 0 to 1")
    return float(text)


def _yes_or_no(text: str) -> str:
    if text.lower() not in _YES_OR_NO:
        raise ValueError("must be true or false")
    return text


# https://github.com/aws-powertools/powertools-lambda-python/blob/develop/aws_lambda_powertools/shared/functions.py
_YES_OR_NO = {"1", "y", "yes", "t", "true", "on", "0", "n", "no", "f", "false", "off"}

# https://docs.aws.amazon.com/powertools/python/latest/#environment-variables
_READ_BY_POWERTOOLS: Mapping[str, Callable[[str], object]] = {
    "POWERTOOLS_LOG_LEVEL": _log_level,
    "LOG_LEVEL": _log_level,
    "POWERTOOLS_LOGGER_SAMPLE_RATE": _share,
    "POWERTOOLS_LOG_DEDUPLICATION_DISABLED": _yes_or_no,
    "POWERTOOLS_METRICS_DISABLED": _yes_or_no,
    "POWERTOOLS_DEV": _yes_or_no,
    "POWERTOOLS_DEBUG": _yes_or_no,
}

# They would stumble over it in the midst of a call, as over a failure.
_READ_BY_LIBRARIES: Mapping[str, Callable[[str], object]] = {
    **_READ_BY_POWERTOOLS,
    # https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html
    "AWS_ENDPOINT_URL": _web_url,
    "AWS_ENDPOINT_URL_SSM": _web_url,
    "AWS_ENDPOINT_URL_SECRETS_MANAGER": _web_url,
    "AWS_CA_BUNDLE": _certificates,
    "REQUESTS_CA_BUNDLE": _certificates,
    **dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"), _proxy),
}
