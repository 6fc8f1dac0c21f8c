"""`credentials`: the account's credential, asked for without echo and stored in Parameter Store."""

from __future__ import annotations

import base64
import binascii
import getpass
import re
import sys
from collections.abc import Mapping, Sequence

from operate.confirm import require_yes
from operate.hub import try_login
from operate.names import Deployment, check_parameter
from operate.session import Aws, Refused
from operate.settings import (
    ALWAYS_READ,
    PASSWORD,
    TOTP,
    USERNAME,
    WEBHOOK,
    function_settings,
    parameter_names,
)
from operate.show import Problem, Show
from operate.stacks import Stacks
from operate.typed import command

# Says whose a parameter is. The stacks tag what they make with it, too.
_TAG = "ProjectName"

_PROMPTS = {
    USERNAME: "Docker Hub user name: ",
    PASSWORD: "Docker Hub password: ",
    TOTP: "TOTP seed (the setup key of two-factor login; empty if the account has none): ",
    WEBHOOK: "Slack incoming-webhook URL (empty for none): ",
}


def credentials(aws: Aws, show: Show, wanted: Deployment, *, sure: bool, trying: bool) -> dict[str, object]:
    """Ask for the account's credential, try it, and store it in Parameter Store, encrypted.

    Args:
        sure: whether to overwrite what is not this project's without asking.
        trying: whether to log in at Docker Hub with it first, once.

    Returns:
        the names of the parameters, never a value.

    Raises:
        Problem: what was entered cannot be right, Docker Hub does not take it, or it could not be stored.
    """
    settings = function_settings(Stacks(aws, show), wanted)
    names = parameter_names(settings, wanted.project)
    for setting, name in names.items():
        check_parameter(setting, name, aws.region, aws.account)
    _require_names_of_their_own(names)
    entered = read_credentials(show)
    there = _there(aws, [names[setting] for setting in entered])
    _require_ours(show, wanted, there, sure=sure)
    if trying:
        lines = [entered.get(setting, "") for setting in (USERNAME, PASSWORD, TOTP)]
        # A seed's parameter has the function log in another way: it is named only where there is a seed.
        try_login(show, settings | {setting: names[setting] for setting in entered}, lines)
    key = {"KeyId": settings["ParametersKeyArn"]} if settings.get("ParametersKeyArn") else {}
    stored: list[str] = []
    for setting, value in entered.items():
        try:
            _store(aws, wanted.project, there, {"Name": names[setting], "Value": value, "Type": "SecureString", **key})
        except Problem as problem:
            raise _half(problem, stored, [names[it] for it in entered if names[it] not in stored]) from None
        stored.append(names[setting])
        show.step("stored", names[setting])
    unread = [
        f"{setting}={names[setting]}" for setting in entered if not settings.get(setting) and setting not in ALWAYS_READ
    ]
    if unread:
        now = command("deploy", function_parameters=f'"{" ".join(unread)}"')
        show.line(f"The function does not read all of them yet. Now: `{now}`")
    return {"stored": [names[setting] for setting in entered], "unread": unread}


def _require_names_of_their_own(names: Mapping[str, str]) -> None:
    """Look whether each setting names a parameter of its own: one value would take another's place.

    Raises:
        Problem: two name the same.
    """
    for name in names.values():
        # Parameter Store takes X and /X for one: their ARN is the same.
        same = [setting for setting, other in names.items() if other.lstrip("/") == name.lstrip("/")]
        if len(same) > 1:
            raise Problem(f"{' and '.join(same)} name the same parameter, {name}: give each one of its own.")


def _half(problem: Problem, stored: Sequence[str], missing: Sequence[str]) -> Problem:
    """Say what is stored of a credential that is not stored as a whole."""
    if not stored:
        return problem
    return Problem(
        f"{problem}\nThe credential is stored by half: {', '.join(stored)} is new, {', '.join(missing)} may not be. "
        f"With that mix the function can't log in: mend it, then run `{command('credentials')}` again with all of it."
    )


def _there(aws: Aws, names: Sequence[str]) -> dict[str, str]:
    """Return the project of each parameter that is there, by its name; empty, if it has none."""
    found = [it["Name"] for it in aws.ask("ssm", "get_parameters", Names=list(names))["Parameters"]]
    return {name: _project_of(aws, name) for name in found}


def _project_of(aws: Aws, name: str) -> str:
    tags = aws.ask("ssm", "list_tags_for_resource", ResourceType="Parameter", ResourceId=name)["TagList"]
    return next((str(tag["Value"]) for tag in tags if tag["Key"] == _TAG), "")


def _require_ours(show: Show, wanted: Deployment, there: Mapping[str, str], *, sure: bool) -> None:
    """Ask whether what is there, and not known as this project's, is to be overwritten.

    Raises:
        Problem: it is not, or nobody is there to ask.
    """
    foreign = [f"{name} ({project or 'nobody'}'s)" for name, project in there.items() if project != wanted.project]
    if not foreign:
        return
    said = f"These parameters are there, and not tagged as project {wanted.project}'s: {', '.join(foreign)}."
    question, confirmed = f"{said} Store others in their place?", command("credentials", yes="1")
    require_yes(show, question, f"{said} Nothing is stored", sure=sure, confirmed=confirmed)


def _store(aws: Aws, project: str, there: Mapping[str, str], stored: Mapping[str, str]) -> None:
    """Store a parameter, and have it tagged as the project's: AWS takes tags only with a new one."""
    name, tags = stored["Name"], [{"Key": _TAG, "Value": project}]
    try:
        if name not in there:
            aws.ask("ssm", "put_parameter", **stored, Tags=tags)
            return
        aws.ask("ssm", "put_parameter", **stored, Overwrite=True)
        if there[name] != project:
            aws.ask("ssm", "add_tags_to_resource", ResourceType="Parameter", ResourceId=name, Tags=tags)
    except Refused as refused:
        raise Problem(f"{name} is not stored, or not as this project's: {refused}") from None


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
