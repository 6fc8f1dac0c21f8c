"""`preflight`: is everything as a deployment assumes it, at AWS and, if that is asked for, at Docker Hub?

It changes nothing at AWS. At Docker Hub it makes one token and deletes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from operate import hub
from operate.bucket import find_bucket
from operate.caretaker import Caretaker
from operate.counting import counted
from operate.names import Deployment, check_new_secret, check_parameter
from operate.preflight_aws import Wanted, measure
from operate.session import Aws, Refused
from operate.settings import function_settings, read_parameters
from operate.show import Problem, Show
from operate.stacks import Stacks
from operate.typed import command

Where = Literal["", "local", "deployed"]


def preflight(
    aws: Aws, show: Show, wanted: Deployment, *, docker_hub: Where, try_both: bool, organization: str = ""
) -> dict[str, object]:
    """Look at AWS, and at Docker Hub, and report what was assumed and what was seen.

    Args:
        docker_hub: who is to measure there, too: "local" for this machine, with an account that is asked for;
            "deployed" for the caretaker, with the one that is stored; empty for nobody.
        try_both: whether to try the login there that is not configured, too.
        organization: whose tokens this machine is to measure; empty for the account's own.

    Returns:
        the report; `ok` says whether all that is relied on is as assumed.

    Raises:
        Problem: there is nothing to report.
    """
    settings = _settings(Stacks(aws, show), wanted)
    with show.waiting("AWS: looking"):
        found = [finding.row() for finding in measure(aws.client, aws.region, _wanted(aws, wanted, settings))]
    holds = not any(row["relied_on"] and row["verdict"] == "otherwise" for row in found)
    report: dict[str, object] = {"aws": found}
    _show_rows(show, "AWS", found)
    if docker_hub:
        local = docker_hub == "local"
        measured = (
            hub.measure(settings, try_both=try_both, organization=organization)
            if local
            else _by_caretaker(aws, show, wanted)
        )
        holds = holds and measured["holds"]
        report["docker_hub"] = measured
        _show_rows(show, "Docker Hub", measured["measured"])
        _show_run(show, measured)
    else:
        show.line(
            "Docker Hub was not asked: --local measures there from here, with an account that it asks for; once it is "
            f"deployed, `{command('preflight', deployed='1')}` has the caretaker measure with the one that is stored."
        )
    later = ", but for what is not there yet" if any(row["verdict"] == "not there yet" for row in found) else ""
    show.line(f"What a deployment relies on is as assumed{later}." if holds else "Look at this before you deploy.")
    return {"ok": holds, **report}


def _by_caretaker(aws: Aws, show: Show, wanted: Deployment) -> dict[str, Any]:
    """Have the deployed caretaker measure, as it is set and with its way to Docker Hub, and return its report.

    Raises:
        Problem: it could not begin.
    """
    caretaker = Caretaker(aws, show, wanted.caretaker)
    undone = "Docker Hub is not measured, or not to the end"
    return caretaker.send(
        {"Task": "Preflight"}, "it measures at Docker Hub", undone, command("preflight", deployed="1")
    )


def _settings(stacks: Stacks, wanted: Deployment) -> Mapping[str, str]:
    """Return what the function is set to, or would be; only what was given, where AWS may not be asked.

    Raises:
        Problem: what is wanted can't be, as a deployment finds, too.
    """
    check_new_secret(wanted)
    try:
        stacks.require_declared("secret", wanted.secret_parameters)
        stacks.require_declared("function", wanted.function_parameters)
        return function_settings(stacks, wanted)
    except Refused:
        return wanted.function_parameters  # which permission is missing stands in the report


def _wanted(aws: Aws, wanted: Deployment, settings: Mapping[str, str]) -> Wanted:
    reserved = settings.get("ReservedConcurrency", "")
    return Wanted(
        project=wanted.project,
        secret=wanted.secret_name,
        bucket=_bucket(aws, wanted),
        parameters=_parameters(aws, wanted, settings),
        secret_stacks=(*wanted.secret_stacks, *wanted.earlier_secret_stacks),
        reserved_concurrency=int(reserved) if reserved.isdecimal() else None,
        layer=settings.get("ExtensionLayerArn", ""),
    )


def _parameters(aws: Aws, wanted: Deployment, settings: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the parameters that the function is to read.

    Raises:
        Problem: Parameter Store takes no such name.
    """
    names = read_parameters(settings, wanted.project)
    try:
        account = aws.account
    except Refused:
        account = ""  # for whom nobody vouches, of that the report tells
    for setting, name in names.items():
        check_parameter(setting, name, aws.region, account)
    return tuple(names.values())


def _bucket(aws: Aws, wanted: Deployment) -> str:
    """Return the name of the bucket that is used, or would be made."""
    try:
        usual = wanted.bucket_of(aws.account, aws.region)
    except Refused:
        return wanted.bucket  # for whom nobody vouches, nothing is looked at
    try:
        return find_bucket(aws, wanted) or usual
    except Problem:  # another account has it, or it may not be asked for: the report says so
        return usual


def _show_rows(show: Show, where: str, rows: Sequence[Mapping[str, Any]]) -> None:
    show.line(f"\n{where}")
    for together in _together(rows):
        row, names = together[0], ", ".join(it["name"] for it in together)
        differs = row["verdict"] in ("otherwise", "not seen")
        show.line(f"{row['verdict'].upper() if differs else row['verdict']}: {names}")
        for what in ("assumed", "seen", "means"):
            if row[what] and (what != "assumed" or len(together) == 1):
                show.entry(f"  {what:<9}", row[what])
    otherwise = sum(row["verdict"] in ("otherwise", "not seen") for row in rows)
    skipped = sum(row["verdict"] == "not measured" for row in rows)
    show.line(f"{counted(len(rows), 'assumption')}: {otherwise} otherwise, {skipped} not measured")


def _together(rows: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Return the rows in order, those that were not measured for one reason in the place of their first."""
    found: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        unmeasured = row["verdict"] == "not measured"
        found.setdefault((row["seen"], row["means"]) if unmeasured else (row["name"],), []).append(row)
    return list(found.values())


def _show_run(show: Show, report: Mapping[str, Any]) -> None:
    """Show what the measuring at Docker Hub has cost, and left."""
    about = report["preflight"]
    show.line(
        f"{counted(about['requests'], 'request')} in {about['seconds']} s, "
        f"{counted(about['refused_logins'], 'login')} refused"
    )
    for failure in report["failures"]:
        show.line(f"failed: {failure}")
    if report["swept"]:
        show.line(f"deleted: {counted(report['swept'], 'token')} that earlier runs had left")
    for label in report["left"]:
        show.line(f"left: the token with the label {label}, which the next run deletes")
