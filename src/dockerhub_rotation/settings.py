"""The function's settings: one frozen value, read once from the environment."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from dockerhub_rotation import duration, library_settings, organization_settings, token_kinds
from dockerhub_rotation.errors import SecretNotServed, SettingsInvalid, Verb
from dockerhub_rotation.organization_settings import Resource
from dockerhub_rotation.remedies import region_option
from dockerhub_rotation.token_kinds import TokenKind

LoginKind = Literal["auth-token", "users-login"]
Heal = Literal["report", "rotate"]
Disposal = Literal["disable", "delete"]

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
        probe_repositories: `namespace/name` of those on which a new token must be granted what its scopes promise.
        expiry: days after which a new token expires; None if it does not.
        grace: how long a superseded token lives, in seconds; a secret's tag may say otherwise.
        grace_limit: ... and how long it may live at most, whatever a tag or a label says.
        superseded: whether a superseded token is left disabled, or deleted two days after that.
        organizations: those whose tokens a secret's tag may ask for.
        organization: the one whose tokens a secret gets, by its tag; None for the account's personal ones.
        organization_resources: what a first token of an organization may do; empty for pulling from its repositories.
        organization_quota: how many tokens an organization may have, disabled and expired ones among them.
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
    probe_repositories: tuple[str, ...] = ()
    expiry: int | None = None
    grace: int = 0
    grace_limit: int = 30 * 86_400
    superseded: Disposal = "disable"
    organizations: tuple[str, ...] = ()
    organization: str | None = None
    organization_resources: tuple[Resource, ...] = ()
    organization_quota: int = 10
    heal: Heal = "report"
    api_url: str = "https://hub.docker.com"
    auth_url: str = "https://auth.docker.io"
    registry_url: str = "https://registry-1.docker.io"
    rotation_function: str | None = None
    extension_port: int | None = None

    @property
    def token_kind(self) -> TokenKind:
        """The kind of token that is made."""
        return token_kinds.PERSONAL if self.organization is None else token_kinds.ORGANIZATION

    @property
    def named_by(self) -> str:
        """What names whose tokens are made."""
        if self.organization is None:
            return f"parameter {self.username_parameter}"
        return "the secret's tag dockerhub-rotation:organization"

    @property
    def set_by(self) -> str:
        """What says whose tokens are made, as the beginning of a sentence that goes on with what it should not be."""
        if self.organization is None:
            return f"parameters {self.username_parameter} and {self.password_parameter} are"
        return f"{self.named_by} is"

    @property
    def owner_mended_by(self) -> tuple[tuple[Verb, ...], tuple[str, ...]]:
        """What says anew whose tokens are made, and then does once more what has failed: verbs, and names for them."""
        if self.organization is None:
            return ("credentials", "again"), (self.username_parameter, self.password_parameter)
        return ("tag", "again"), ("dockerhub-rotation:organization",)

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
                f"{secret_id}{region_option(secret_id)}`. If it should, add its name to DOCKERHUB_SECRETS (Secrets in "
                "infra/function.yaml)."
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
        scopes=ask("DOCKERHUB_TOKEN_SCOPES", scopes, default.scopes),
        compare_scopes=ask("DOCKERHUB_COMPARE_SCOPES", _bool, default.compare_scopes),
        login="users-login" if totp_parameter else login,
        probe_repositories=ask(
            "DOCKERHUB_PROBE_REPOSITORY", lambda text: (repository(text),), default.probe_repositories
        ),
        expiry=ask("DOCKERHUB_TOKEN_EXPIRY", duration.days, default.expiry),
        grace=ask("DOCKERHUB_GRACE", duration.parse, default.grace),
        grace_limit=ask("DOCKERHUB_GRACE_LIMIT", duration.parse, default.grace_limit),
        superseded=ask("DOCKERHUB_SUPERSEDED", _disposal, default.superseded),
        organizations=ask("DOCKERHUB_ORGANIZATIONS", organization_settings.names, default.organizations),
        organization_resources=ask(
            "DOCKERHUB_ORGANIZATION_RESOURCES", organization_settings.resources, default.organization_resources
        ),
        organization_quota=ask("DOCKERHUB_ORGANIZATION_QUOTA", organization_settings.quota, default.organization_quota),
        heal=ask("DOCKERHUB_HEAL", _heal, default.heal),
        api_url=ask("DOCKERHUB_API_URL", _base_url, default.api_url),
        auth_url=ask("DOCKERHUB_AUTH_URL", _base_url, default.auth_url),
        registry_url=ask("DOCKERHUB_REGISTRY_URL", _base_url, default.registry_url),
        rotation_function=ask("ROTATION_FUNCTION_ARN", _function_arn, default.rotation_function),
        extension_port=ask("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", _port, default.extension_port),
    )
    for variable, check in library_settings.checks(environment).items():
        ask(variable, check, None)
    if settings.grace > settings.grace_limit:
        problems.append("DOCKERHUB_GRACE must not be longer than DOCKERHUB_GRACE_LIMIT")
    if strangers := organization_settings.strangers(settings.organization_resources, settings.organizations):
        problems.append(
            f"DOCKERHUB_ORGANIZATION_RESOURCES has paths of none of DOCKERHUB_ORGANIZATIONS: {', '.join(strangers)}"
        )
    if problems:
        raise SettingsInvalid(f"The function's environment is wrong: {'; '.join(problems)}. Mend it.")
    return settings


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


def scopes(text: str) -> tuple[str, ...]:
    """Return scopes, as they are written with commas or spaces between them.

    Raises:
        ValueError: they are none.
    """
    found = tuple(dict.fromkeys(text.replace(",", " ").split()))
    if not found or not set(found) <= set(SCOPES):
        raise ValueError(f"must be one or more of {', '.join(SCOPES)}")
    return found


def repository(text: str) -> str:
    """Return a repository.

    Raises:
        ValueError: it is none.
    """
    if not _REPOSITORY.fullmatch(text):
        raise ValueError("must be a repository like namespace/name (official images: library/name), without a tag")
    return text


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


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


def _disposal(text: str) -> Disposal:
    match text:
        case "disable" | "delete":
            return text
        case _:
            raise ValueError("must be disable or delete")


def _bool(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("must be true or false")
    return text.lower() == "true"
