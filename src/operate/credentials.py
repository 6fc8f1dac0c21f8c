"""`credentials`: the account's credential, asked for without echo and stored in Parameter Store."""

from __future__ import annotations

import base64
import binascii
import getpass
import re
import sys

from operate.names import Deployment, check_parameter
from operate.session import Aws, Refused
from operate.settings import PARAMETER_NAMES, PASSWORD, TOTP, USERNAME, WEBHOOK, function_settings
from operate.show import Problem, Show, command
from operate.stacks import Stacks

_PROMPTS = {
    USERNAME: "Docker Hub user name: ",
    PASSWORD: "Docker Hub password: ",
    TOTP: "TOTP seed (the setup key of two-factor login; empty if the account has none): ",
    WEBHOOK: "Slack incoming-webhook URL (empty for none): ",
}


def credentials(aws: Aws, show: Show, wanted: Deployment) -> dict[str, object]:
    """Ask for the account's credential and store it in Parameter Store, encrypted.

    Returns:
        the names of the parameters, never a value.

    Raises:
        Problem: what was entered cannot be right, or could not be stored.
    """
    settings = function_settings(Stacks(aws, show), wanted)
    names = {setting: settings.get(setting) or name for setting, name in PARAMETER_NAMES.items()}
    for setting, name in names.items():
        check_parameter(setting, name, aws.region, aws.account)
    entered = read_credentials(show)
    key = {"KeyId": settings["ParametersKeyArn"]} if settings.get("ParametersKeyArn") else {}
    for setting, value in entered.items():
        try:
            stored = {"Name": names[setting], "Value": value, "Type": "SecureString", "Overwrite": True, **key}
            aws.ask("ssm", "put_parameter", **stored)
        except Refused as refused:
            raise Problem(f"{names[setting]} is not stored: {refused}") from None
        show.step("stored", names[setting])
    unread = [f"{setting}={names[setting]}" for setting in entered if not settings.get(setting)]
    if unread:
        now = command("deploy", function_parameters=f'"{" ".join(unread)}"')
        show.line(f"The function does not read all of them yet. Now: {now}")
    return {"stored": [names[setting] for setting in entered], "unread": unread}


def read_credentials(show: Show) -> dict[str, str]:
    """Ask for the credential without echo, or read it from standard input, a line each; return it by setting.

    Raises:
        Problem: what was entered cannot be right. The text does not quote it.
    """
    lines = [getpass.getpass(prompt) for prompt in _PROMPTS.values()] if sys.stdin.isatty() else _lines()
    entered = dict(zip(_PROMPTS, (line.strip("\r") for line in lines), strict=False))
    entered[USERNAME] = entered[USERNAME].strip()  # with a space it would be another account's
    for setting in (PASSWORD, TOTP, WEBHOOK):
        show.hide(entered.get(setting, ""))
    _check_account(entered[USERNAME], entered.get(PASSWORD, ""))
    if entered.get(TOTP):
        _check_seed(entered[TOTP])
    _check_webhook(entered.get(WEBHOOK, ""))
    return {setting: value for setting, value in entered.items() if value}


def _lines() -> list[str]:
    try:
        lines = sys.stdin.read().removesuffix("\n").split("\n")
        "".join(lines).encode()
    except UnicodeError:
        raise Problem("Standard input is not in UTF-8: convert it, or enter the credential at a terminal.") from None
    if len(lines) > len(_PROMPTS):
        raise Problem("Standard input has too many lines: user name, password, TOTP seed, webhook, in this order.")
    return lines


def _check_account(username: str, password: str) -> None:
    if not username or not password:
        raise Problem("User name and password are both needed: run it again with both.")
    if "@" in username:
        raise Problem("That is an e-mail address: enter the account's user name (its Docker ID).")
    if password.startswith(("dckr_pat_", "dckr_oat_")):
        raise Problem(
            "That is an access token, with which Docker Hub lets nobody make or disable tokens: enter the password."
        )


def _check_seed(text: str) -> None:
    seed = text.replace(" ", "").replace("-", "").upper().rstrip("=")
    try:
        code = len(base64.b32decode(seed + "=" * (-len(seed) % 8))) < 10
    except (binascii.Error, ValueError):
        code = True
    if code:
        raise Problem(
            "That is no TOTP seed in base32: enter the setup key that Docker Hub shows beside the QR code, not a code."
        )


def _check_webhook(text: str) -> None:
    if text and not text.startswith("https://"):
        raise Problem("A Slack webhook begins with https://: copy it from the app's page Incoming Webhooks.")
    # GovSlack has the other one. On hosts that are not Slack's own something may listen that takes Slack's messages.
    if re.match(r"https://hooks\.slack(-gov)?\.com/(?!services/)", text, re.IGNORECASE):
        raise Problem(
            "That is the URL of a Slack workflow or another trigger, which takes no message of this function: enter an "
            "incoming webhook's, https://hooks.slack.com/services/..., from the app's page Incoming Webhooks."
        )
