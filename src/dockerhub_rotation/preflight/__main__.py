"""`python -m dockerhub_rotation.preflight`: preflight at a terminal or in a pipe, for whoever has the package alone.

It asks for an account without echo, or reads it from standard input: user name, password and, if the account has
two-factor login, its TOTP seed, a line each. What is asked, and how, is set by the DOCKERHUB_ variables, as in Lambda.
It ends with 0 if what the function relies on is as assumed, with 1 if it is not or could not be measured, with 2 if it
was called wrongly, and with 130 if it was interrupted.
"""

import argparse
import getpass
import json
import logging
import os
import sys
import textwrap
import time
from collections.abc import Sequence

from dockerhub_rotation import settings
from dockerhub_rotation.docker_hub import Connection
from dockerhub_rotation.errors import RotationError
from dockerhub_rotation.parameters import Account, totp_seed
from dockerhub_rotation.preflight.findings import Finding
from dockerhub_rotation.preflight.run import COST_OF_A_LOCKOUT, Entered, Report, measure

# More than everything takes if nothing that is waited for comes.
_SECONDS = 900
_PROMPTS = ("Docker Hub user name: ", "Docker Hub password: ", "TOTP seed (empty without two-factor login): ")
_WIDTH = 110


def main(arguments: Sequence[str] | None = None) -> int:
    """Run preflight and return its exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(format="preflight: %(message)s")
    try:
        read = settings.read({name: value for name, value in os.environ.items() if name.startswith("DOCKERHUB_")})
        account = _ask()
        if account is None:
            return _problem("User name and password are both needed, and a TOTP seed is text in base32.", 2)
        if options.try_both:
            print(f"{COST_OF_A_LOCKOUT}\n", file=sys.stderr, flush=True)
        ends_at = time.monotonic() + _SECONDS
        report = measure(
            read,
            Entered(account),
            Connection(),
            lambda: round((ends_at - time.monotonic()) * 1000),
            try_both=options.try_both,
            login_only=options.login_only,
        )
    except RotationError as failure:
        return _problem(str(failure), 1)
    except (KeyboardInterrupt, EOFError):
        return _problem("stopped; what it had made is deleted, unless a line above says otherwise.", 130)
    print(json.dumps(report.document(), indent=2) if options.json else _table(report), flush=True)
    return 0 if report.holds else 1


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="preflight", description="Measure at Docker Hub what the rotation function assumes of it."
    )
    made.add_argument("--try-both", action="store_true", help=COST_OF_A_LOCKOUT.replace("%", "%%"))
    made.add_argument("--login-only", action="store_true", help="try the login alone, and make no token")
    made.add_argument("--json", action="store_true", help="a document without a secret, to be pasted as it is")
    return made


def _ask() -> Account | None:
    """Return the account that is entered, or None if it can't be one."""
    if sys.stdin.isatty():
        lines = [getpass.getpass(prompt) for prompt in _PROMPTS]
    else:
        lines = [line.rstrip("\r") for line in sys.stdin.read().split("\n")]
    username, password, seed = (*lines, "", "", "")[:3]
    known = totp_seed(seed) if seed else None
    if not username.strip() or not password or (seed and known is None):
        return None
    return Account(username.strip(), password, known)


def _table(report: Report) -> str:
    """Return the report for people: what is assumed, what was seen and, where it differs, what that means."""
    rows = [line for found in report.findings for line in _row(found)]
    differ = sum(found.differs for found in report.findings)
    skipped = sum(found.verdict == "not measured" for found in report.findings)
    about = report.about
    rows += [
        "",
        f"{len(report.findings)} assumptions: {differ} otherwise, {skipped} not measured",
        f"{about['requests']} requests in {about['seconds']} s, {about['refused_logins']} logins refused",
    ]
    rows += [f"failed: {failure}" for failure in report.failures]
    if report.swept:
        rows.append(f"deleted: {report.swept} tokens that earlier runs had left")
    rows += [f"left: the token with the label {label}, which the next run deletes" for label in report.left]
    holds = "What the function relies on is as assumed." if report.holds else "Look at this before you deploy."
    return "\n".join([*rows, holds])


def _row(found: Finding) -> list[str]:
    told = [("assumed", found.assumption.assumed), ("seen", found.seen)]
    if found.differs:
        told.append(("means", found.assumption.otherwise))
    lines = [f"{found.verdict.upper() if found.differs else found.verdict}: {found.assumption.name}"]
    for what, text in told:
        lines += textwrap.wrap(text, _WIDTH, initial_indent=f"  {what:<9}", subsequent_indent=" " * 11)
    return lines


def _problem(text: str, status: int) -> int:
    print(f"preflight: {text}", file=sys.stderr, flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
