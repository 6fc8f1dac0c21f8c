"""The account's credential and the Slack webhook, from Parameter Store."""

import base64
import http.client
import json
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from dockerhub_rotation.aws import ask
from dockerhub_rotation.errors import AwsRefused, AwsUnavailable, ParameterUnreadable, RotationError
from dockerhub_rotation.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

# Long enough for the four steps of a rotation, short enough to notice a changed password.
_MAX_AGE_SECONDS = 300

_EXTENSION_TIMEOUT_SECONDS = 5
# Between two tries while it answers 400 "not ready to serve traffic, please wait", in seconds.
_EXTENSION_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.5)
# What of AWS's own answers, or of none, it passes on for which waiting is the remedy.
_PASSING = re.compile(
    rb"Throttling|TooManyRequests|RequestLimitExceeded|Internal(Server|Service)|Unavailable|deadline|StatusCode: [05]"
)


@dataclass(frozen=True)
class Account:
    """What it takes to log in as the account's owner.

    Attributes:
        username: the account's name.
        password: its password.
        totp_seed: base32 seed of its one-time codes, or None.
    """

    username: str
    password: str = field(repr=False)
    totp_seed: str | None = field(default=None, repr=False)

    def may_be(self, username: str | None) -> bool:
        """Tell whether this account may be the one of a user name; none at all (None) speaks against no account."""
        return username is None or username.lower() == self.username.lower()


class Accounts(Protocol):
    """Where the account comes from."""

    def account(self, read_since: float = 0.0) -> Account:
        """Return the account, as it was read since a time (seconds since 1970)."""

    def forget(self) -> None:
        """Read anew next time: what was read has been refused."""


class Parameters:
    """The parameters that the settings name, read decrypted in one request and remembered for five minutes.

    An account that is missing or malformed is read anew the next time: whoever has mended it rotates at once.
    Where the AWS Parameters and Secrets Lambda Extension is attached they are read from its local endpoint instead.

    Attributes:
        failure: how the latest read that failed did so; None if none has.
    """

    def __init__(self, settings: Settings, client: "SSMClient") -> None:
        self.failure: RotationError | None = None
        self._settings = settings
        self._client = client
        self._read: dict[str, str] = {}
        self._read_at: float | None = None
        self._unusable = False

    def account(self, read_since: float = 0.0) -> Account:
        """Return the account.

        Args:
            read_since: read it anew if it was read before this time (seconds since 1970).

        Raises:
            ParameterUnreadable: naming each parameter that is missing, empty or malformed.
            AwsRefused, AwsUnavailable: Parameter Store could not be read.
        """
        if self._unusable or (self._read_at is not None and self._read_at < read_since):
            self.forget()
        values = self._values()
        self._unusable = True
        names = [self._settings.username_parameter, self._settings.password_parameter]
        if self._settings.totp_parameter:
            names.append(self._settings.totp_parameter)
        missing = [name for name in names if not values.get(name)]
        if missing:
            self._missing(*missing)
        seed = values[self._settings.totp_parameter] if self._settings.totp_parameter else None
        account = Account(values[names[0]], values[names[1]], self._checked_seed(seed) if seed else None)
        self._unusable = False
        return account

    def webhook(self) -> str | None:
        """Return the Slack webhook's URL, or None if none is configured.

        Raises:
            ParameterUnreadable: its parameter is missing or empty.
            AwsRefused, AwsUnavailable: Parameter Store could not be read.
        """
        name = self._settings.webhook_parameter
        if name is None:
            return None
        return self._values().get(name) or self._missing(name)

    def forget(self) -> None:
        """Read anew next time: what was read has been refused."""
        self._read_at = None

    def _missing(self, *names: str) -> NoReturn:
        raise ParameterUnreadable(
            f"Parameter Store has no value for {' and '.join(names)}. Store it as a SecureString under that name.",
            names=names,
        )

    def _values(self) -> dict[str, str]:
        if self._read_at is not None and 0 <= time.time() - self._read_at < _MAX_AGE_SECONDS:
            return self._read
        settings = self._settings
        names = {
            settings.username_parameter,
            settings.password_parameter,
            settings.totp_parameter,
            settings.webhook_parameter,
        }
        read = self._from_parameter_store if settings.extension_port is None else self._from_extension
        try:
            values = read(sorted(name for name in names if name))
        except RotationError as failure:
            self.failure = failure
            raise
        # A value put there from a file often ends in a line break, which no user name or password holds.
        self._read = {name: value.strip("\r\n") for name, value in values.items()}
        self._read_at = time.time()
        return self._read

    def _from_parameter_store(self, names: list[str]) -> dict[str, str]:
        # Not through Powertools, which remembers each parameter for itself: one that is missing would be asked for at
        # every look, and the account could be half an old one.
        action = "ssm:GetParameters"
        answer: Mapping[str, Any] = ask(
            action,
            f"Check that the function's role allows {action} on the parameters named in its settings "
            "(and kms:Decrypt on their key).",
            lambda: self._client.get_parameters(Names=names, WithDecryption=True),
        )
        read = answer.get("Parameters")  # botocore makes a dict even of a proxy's HTML page
        if read is None or not all({"Name", "Value"} <= found.keys() for found in read):
            raise AwsUnavailable(f"{action} was answered by something that is not Parameter Store. Check the proxy.")
        return {found["Name"]: found["Value"] for found in read}

    def _from_extension(self, names: list[str]) -> dict[str, str]:
        """https://docs.aws.amazon.com/systems-manager/latest/userguide/ps-integration-lambda-extensions.html."""
        found = {name: _from_extension(name, self._settings.extension_port) for name in names}
        return {name: value for name, value in found.items() if value is not None}

    def _checked_seed(self, text: str) -> str:
        seed = totp_seed(text)
        if seed is None:
            raise ParameterUnreadable(
                f"Parameter {self._settings.totp_parameter} is not a TOTP seed in base32. Store the setup key that "
                "Docker Hub shows beside the QR code, not a code.",
                names=(self._settings.totp_parameter or "",),
            )
        return seed


def totp_seed(text: str) -> str | None:
    """Return a TOTP seed as it is kept, or None if a text is none. It may be written in groups, as it is shown."""
    seed = text.replace(" ", "").replace("-", "").upper().rstrip("=")
    try:
        return seed if base64.b32decode(seed + "=" * (-len(seed) % 8)) else None
    except ValueError:
        return None


def _from_extension(name: str, port: int | None) -> str | None:
    """Return the value of one parameter, or None if there is no such parameter.

    Until the extension is ready it refuses; it then is asked again, for a few seconds.
    """
    query = urllib.parse.urlencode({"name": name, "withDecryption": "true"})
    request = urllib.request.Request(
        f"http://localhost:{port}/systemsmanager/parameters/get?{query}",
        headers={"X-Aws-Parameters-Secrets-Token": os.environ.get("AWS_SESSION_TOKEN", "")},
    )
    for pause in (*_EXTENSION_PAUSES, None):
        answer = _extensions_answer(request)
        if isinstance(answer, str):
            return answer
        if answer.says(b"ParameterNotFound"):
            return None
        if pause is None or not answer.says(b"not ready"):
            raise answer.error()
        time.sleep(pause)
    raise AssertionError("unreachable")


@dataclass(frozen=True)
class _ExtensionRefusal:
    """What the extension answered instead of a parameter.

    Attributes:
        status: of the answer.
        body: what it says, never to be shown; None if it broke off.
    """

    status: int
    body: bytes | None = field(repr=False)

    def says(self, what: bytes) -> bool:
        """Tell whether something stands in its body."""
        return self.body is not None and what in self.body

    @property
    def may_pass(self) -> bool:
        """Whether the next try may succeed; so too if it can't be told."""
        return self.body is None or _PASSING.search(self.body) is not None

    def error(self) -> RotationError:
        """Return what it means. Whatever Parameter Store has refused is a 400 here, and has to be told by the body."""
        failure = f"The parameters extension answered {self.status}"
        if self.says(b"not ready"):
            return AwsUnavailable(f"{failure}: it is not ready, also after {sum(_EXTENSION_PAUSES):.0f} s.")
        if self.status >= 500 or self.status == 429 or (self.status == 400 and self.may_pass):
            return AwsUnavailable(f"{failure}.")
        return AwsRefused(
            f"{failure}; its own line in the log says why. Check that the function's role allows ssm:GetParameter on "
            "the parameters named in its settings (and kms:Decrypt on their key), and that they exist."
        )


def _extensions_answer(request: urllib.request.Request) -> str | _ExtensionRefusal:
    local = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with local.open(request, timeout=_EXTENSION_TIMEOUT_SECONDS) as answer:
            return str(json.load(answer)["Parameter"]["Value"])
    except urllib.error.HTTPError as error:
        body = None
        with error, suppress(OSError, http.client.HTTPException):  # its body may break off
            body = error.read()
        return _ExtensionRefusal(error.code, body)
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError) as error:
        kind = type(error).__name__
    raise AwsUnavailable(
        f"The parameters extension gave no answer ({kind}). Check that its layer is attached, or unset "
        "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT."
    )
