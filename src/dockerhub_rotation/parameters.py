"""The account's credential and the Slack webhook, from Parameter Store."""

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aws_lambda_powertools.utilities.parameters import SSMProvider

from dockerhub_rotation.aws import translated
from dockerhub_rotation.errors import ParameterUnreadable
from dockerhub_rotation.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

# Long enough for the four steps of a rotation, short enough to notice a changed password.
_MAX_AGE_SECONDS = 300


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


class Parameters:
    """The parameters that the settings name, read decrypted in one request and remembered for five minutes."""

    def __init__(self, settings: Settings, client: "SSMClient") -> None:
        self._settings = settings
        self._provider = SSMProvider(boto3_client=client)

    def account(self) -> Account:
        """Return the account.

        Raises:
            ParameterUnreadable: naming each parameter that is missing, empty or malformed.
            AwsRefused, AwsUnavailable: Parameter Store could not be read.
        """
        values = self._values()
        names = [self._settings.username_parameter, self._settings.password_parameter]
        if self._settings.totp_parameter:
            names.append(self._settings.totp_parameter)
        missing = [name for name in names if not values.get(name)]
        if missing:
            raise ParameterUnreadable(
                f"Parameter Store has no readable value for {' and '.join(missing)}. "
                "Store it as a SecureString and let the function's role decrypt it."
            )
        seed = values[self._settings.totp_parameter] if self._settings.totp_parameter else None
        return Account(values[names[0]], values[names[1]], self._checked_seed(seed) if seed else None)

    def webhook(self) -> str | None:
        """Return the Slack webhook's URL, or None if none is configured or its parameter is missing.

        Raises:
            AwsRefused, AwsUnavailable: Parameter Store could not be read.
        """
        name = self._settings.webhook_parameter
        return self._values().get(name) if name else None

    def forget(self) -> None:
        """Read anew next time: what was read has been refused."""
        self._provider.clear_cache()  # type: ignore[no-untyped-call]

    def _values(self) -> dict[str, str]:
        names = [
            self._settings.username_parameter,
            self._settings.password_parameter,
            self._settings.totp_parameter,
            self._settings.webhook_parameter,
        ]
        with translated(
            "ssm:GetParameters",
            "Check that the function's role allows ssm:GetParameters on the parameters named in its settings "
            "(and kms:Decrypt on their key).",
        ):
            answer = self._provider.get_parameters_by_name(
                {name: {} for name in names if name},
                decrypt=True,
                max_age=_MAX_AGE_SECONDS,
                raise_on_error=False,
            )
        # A value put there from a file often ends in a line break, which no user name or password holds.
        return {name: value.strip("\r\n") for name, value in answer.items() if isinstance(value, str)}

    def _checked_seed(self, text: str) -> str:
        seed = text.replace(" ", "").replace("-", "").upper().rstrip("=")
        try:
            base64.b32decode(seed + "=" * (-len(seed) % 8))
        except binascii.Error:
            raise ParameterUnreadable(
                f"Parameter {self._settings.totp_parameter} is not a TOTP seed in base32. Store the setup key that "
                "Docker Hub shows beside the QR code, not a code."
            ) from None
        return seed
