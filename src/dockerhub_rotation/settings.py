"""The function's settings: one frozen value, read once from the environment."""

import re
import ssl
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from logging import getLevelNamesMapping
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from dockerhub_rotation import duration
from dockerhub_rotation.errors import SecretNotServed, SettingsInvalid

LoginKind = Literal["auth-token", "users-login"]
Heal = Literal["report", "rotate"]

# Weakest first, each implies those before it: https://docs.docker.com/reference/api/hub/latest/
SCOPES = ("repo:public_read", "repo:read", "repo:write", "repo:admin")


def fall_short(held: Iterable[str] | None, asked: Iterable[str]) -> bool:
    """Tell whether a token's scopes are known to allow less than is asked for.

    Args:
        held: what Docker Hub says of the token; None, or scopes of which none is known, tell nothing.
        asked: one or more of SCOPES.
    """
    known = [SCOPES.index(scope) for scope in held or () if scope in SCOPES]
    return bool(known) and max(known) < max(SCOPES.index(scope) for scope in asked)


# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
_PARAMETER_NAME = re.compile(r"[A-Za-z0-9_./-]{1,1011}")
# https://github.com/distribution/reference/blob/main/reference.go
_REPOSITORY = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*/[a-z0-9]+(?:[._-]+[a-z0-9]+)*")

# https://docs.aws.amazon.com/lambda/latest/api/API_GetFunction.html
_FUNCTION_ARN = re.compile(
    r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:[A-Za-z0-9_-]{1,64}(:[A-Za-z0-9$_-]+)?"
)

# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
_SECRETS = re.compile(r"(?:\*|[A-Za-z0-9/_+=.@-]+\*?)")

_T = TypeVar("_T")


@dataclass(frozen=True)
class Settings:
    """What can be set, with its defaults.

    Attributes:
        username_parameter: name of the SSM parameter that holds the account's user name.
        password_parameter: ... its password.
        totp_parameter: ... its TOTP seed in base32, or None for an account without two-factor login.
        webhook_parameter: ... a Slack incoming-webhook URL, or None for no notification.
        secrets: names of the secrets that get a token; one that ends in * stands for all that begin so.
        scopes: scopes of a new token.
        compare_scopes: whether a new token's login is held against them.
        login: the management login; a TOTP parameter implies `users-login`, the only one that takes a code.
        probe_repository: `namespace/name` on which a new token must be granted what its scopes promise, or None.
        grace: how long a superseded token lives, in seconds; a secret's tag may say otherwise.
        grace_limit: ... and how long it may live at most, whatever a tag or a label says.
        heal: what the caretaker does about a token under AWSCURRENT that is dead: `report` it, or `rotate` the secret.
        api_url: Hub API, without a slash at the end.
        auth_url: registry token service, asked at `/token`.
        registry_url: registry.
        rotation_function: ARN of the function whose secrets the caretaker looks after; None for that function itself.
        extension_port: where the AWS Parameters and Secrets Lambda Extension listens, or None to read parameters from
            Parameter Store itself.
    """

    username_parameter: str = "DOCKER_HUB_USERNAME"
    password_parameter: str = "DOCKER_HUB_PASSWORD"  # noqa: S105 - the parameter's name
    totp_parameter: str | None = None
    webhook_parameter: str | None = None
    secrets: tuple[str, ...] = ("*",)
    scopes: tuple[str, ...] = ("repo:read",)
    compare_scopes: bool = True
    login: LoginKind = "auth-token"
    probe_repository: str | None = None
    grace: int = 0
    grace_limit: int = 30 * 86_400
    heal: Heal = "report"
    api_url: str = "https://hub.docker.com"
    auth_url: str = "https://auth.docker.io"
    registry_url: str = "https://registry-1.docker.io"
    rotation_function: str | None = None
    extension_port: int | None = None

    def serves(self, secret_id: str) -> bool:
        """Tell whether a secret, by its ARN or its name, is one of those that get a token."""
        _, is_arn, name = secret_id.partition(":secret:")
        # https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html
        name = name[: -len("-AbCdEf")] if is_arn else secret_id
        return any(name.startswith(entry[:-1]) if entry.endswith("*") else name == entry for entry in self.secrets)

    def require_served(self, secret_id: str) -> None:
        """Refuse a secret that is none of those that get a token.

        Raises:
            SecretNotServed: naming the commands that mend it.
        """
        if not self.serves(secret_id):
            raise SecretNotServed(
                f"{secret_id} is none of the secrets that this function gives a token of the account. If it "
                "should get none, take the function from it: `aws secretsmanager cancel-rotate-secret --secret-id "
                f"{secret_id}`. If it should, add its name to DOCKERHUB_SECRETS (Secrets in infra/function.yaml)."
            )


def read(environment: Mapping[str, str]) -> Settings:
    """Return the settings of an environment. An empty variable counts as unset.

    Raises:
        SettingsInvalid: naming every variable that is wrong, not only the first.
    """
    problems: list[str] = []

    def ask(variable: str, parse: Callable[[str], _T], default: _T) -> _T:
        text = environment.get(variable, "").strip()
        if not text:
            return default
        try:
            return parse(text)
        except ValueError as problem:
            problems.append(f"{variable} {problem}")
            return default

    default = Settings()
    totp_parameter = ask("DOCKERHUB_TOTP_PARAMETER", _parameter_name, default.totp_parameter)
    login = ask("DOCKERHUB_LOGIN", _login, default.login)
    settings = Settings(
        username_parameter=ask("DOCKERHUB_USERNAME_PARAMETER", _parameter_name, default.username_parameter),
        password_parameter=ask("DOCKERHUB_PASSWORD_PARAMETER", _parameter_name, default.password_parameter),
        totp_parameter=totp_parameter,
        webhook_parameter=ask("SLACK_WEBHOOK_PARAMETER", _parameter_name, default.webhook_parameter),
        secrets=ask("DOCKERHUB_SECRETS", _secrets, default.secrets),
        scopes=ask("DOCKERHUB_TOKEN_SCOPES", _scopes, default.scopes),
        compare_scopes=ask("DOCKERHUB_COMPARE_SCOPES", _bool, default.compare_scopes),
        login="users-login" if totp_parameter else login,
        probe_repository=ask("DOCKERHUB_PROBE_REPOSITORY", _repository, default.probe_repository),
        grace=ask("DOCKERHUB_GRACE", duration.parse, default.grace),
        grace_limit=ask("DOCKERHUB_GRACE_LIMIT", duration.parse, default.grace_limit),
        heal=ask("DOCKERHUB_HEAL", _heal, default.heal),
        api_url=ask("DOCKERHUB_API_URL", _base_url, default.api_url),
        auth_url=ask("DOCKERHUB_AUTH_URL", _base_url, default.auth_url),
        registry_url=ask("DOCKERHUB_REGISTRY_URL", _base_url, default.registry_url),
        rotation_function=ask("ROTATION_FUNCTION_ARN", _function_arn, default.rotation_function),
        extension_port=ask("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", _port, default.extension_port),
    )
    for variable in sorted(environment.keys() & _READ_BY_OTHERS.keys()):
        ask(variable, _READ_BY_OTHERS[variable], None)
    if settings.grace > settings.grace_limit:
        problems.append("DOCKERHUB_GRACE must not be longer than DOCKERHUB_GRACE_LIMIT")
    if problems:
        raise SettingsInvalid(f"The function's environment is wrong: {'; '.join(problems)}. Mend it.")
    return settings


def set_aside(environment: MutableMapping[str, str]) -> dict[str, str]:
    """Take out of an environment what Powertools can't read, and return it, for `read` to report.

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


def require_safe_url(url: str) -> None:
    """Refuse a URL over which a credential must not travel.

    Raises:
        ValueError: unless it is https, or http to a loopback address. The message does not hold the URL.
    """
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:  # its text quotes the URL
        scheme, host, port = "", None, None
    labels = (host or "").removesuffix(".").split(".")
    if any(not 0 < len(label) < 64 for label in labels) or scheme not in ("https", "http") or port == 0:
        raise ValueError("must be a URL that starts with https://")
    if scheme == "http" and not _is_loopback(str(host)):
        raise ValueError("must start with https:// (http:// is for loopback addresses only)")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


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


def _base_url(text: str) -> str:
    require_safe_url(text)
    if set("?#@ ") & set(text):
        raise ValueError("must have no user, query, fragment or space")
    return text.rstrip("/")


def _parameter_name(text: str) -> str:
    if not _PARAMETER_NAME.fullmatch(text):
        raise ValueError("must be the name of an SSM parameter (letters, digits and . - _ /), not an ARN or a value")
    return text


def _function_arn(text: str) -> str:
    if not _FUNCTION_ARN.fullmatch(text):
        raise ValueError("must be the ARN of a Lambda function, as the secrets name it")
    return text


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise ValueError("must be a port number")
    return int(text)


def _secrets(text: str) -> tuple[str, ...]:
    secrets = tuple(dict.fromkeys(text.replace(",", " ").split()))
    if not secrets or not all(map(_SECRETS.fullmatch, secrets)):
        raise ValueError("must be names of secrets, not ARNs; * at the end of one stands for all that begin so")
    return secrets


def _scopes(text: str) -> tuple[str, ...]:
    scopes = tuple(dict.fromkeys(text.replace(",", " ").split()))
    if not scopes or not set(scopes) <= set(SCOPES):
        raise ValueError(f"must be one or more of {', '.join(SCOPES)}")
    return scopes


def _login(text: str) -> LoginKind:
    match text:
        case "auth-token" | "users-login":
            return text
        case _:
            raise ValueError("must be auth-token or users-login")


def _heal(text: str) -> Heal:
    match text:
        case "report" | "rotate":
            return text
        case _:
            raise ValueError("must be report or rotate")


def _repository(text: str) -> str:
    if not _REPOSITORY.fullmatch(text):
        raise ValueError("must be a repository like namespace/name (official images: library/name), without a tag")
    return text


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


def _bool(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("must be true or false")
    return text.lower() == "true"


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

# What others read from the same environment. They would stumble over it in the midst of a call, as over a failure.
_READ_BY_OTHERS: Mapping[str, Callable[[str], object]] = {
    **_READ_BY_POWERTOOLS,
    # https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html
    "AWS_ENDPOINT_URL": _web_url,
    "AWS_ENDPOINT_URL_SSM": _web_url,
    "AWS_ENDPOINT_URL_SECRETS_MANAGER": _web_url,
    "AWS_CA_BUNDLE": _certificates,
    "REQUESTS_CA_BUNDLE": _certificates,
    **dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"), _proxy),
}
