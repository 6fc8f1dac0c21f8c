"""`python -m dockerhub_rotation.preflight`: preflight with the package alone, as the operator's commands run it.

It asks for an account without echo, or reads it from standard input: user name, password and, if the account has
two-factor login, its TOTP seed, a line each. What is asked, and how, is set by the DOCKERHUB_ variables, as in Lambda.
It prints a document without a secret, which may be pasted anywhere. It ends with 0 if what the function relies on is as
assumed, with 1 if it is not or could not be measured, with 2 if it was called wrongly, and with 130 if it was
interrupted.
"""

import argparse
import getpass
import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from dockerhub_rotation import organization_settings, settings
from dockerhub_rotation.docker_hub import Connection
from dockerhub_rotation.errors import RotationError
from dockerhub_rotation.parameters import Account, totp_seed
from dockerhub_rotation.preflight.run import COST_OF_A_LOCKOUT, Entered, measure

# More than everything takes if nothing that is waited for comes.
_SECONDS = 900
_PROMPTS = ("Docker Hub user name: ", "Docker Hub password: ", "TOTP seed (empty without two-factor login): ")


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
            replace(read, organization=options.organization),
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
    print(json.dumps(report.document(), indent=2), flush=True)
    return 0 if report.holds else 1


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="preflight", description="Measure at Docker Hub what the rotation function assumes of it."
    )
    made.add_argument("--try-both", action="store_true", help=COST_OF_A_LOCKOUT.replace("%", "%%"))
    made.add_argument(
        "--organization", type=_organization, help="measure this organization's access tokens, not the account's own"
    )
    made.add_argument("--login-only", action="store_true", help="try the login alone, and make no token")
    return made


def _organization(text: str) -> str:
    names: tuple[str, ...] = ()
    with suppress(ValueError):
        names = organization_settings.names(text)
    if len(names) != 1:
        raise argparse.ArgumentTypeError("must be the name of one, as the paths of its repositories begin")
    return names[0]


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


def _problem(text: str, status: int) -> int:
    print(f"preflight: {text}", file=sys.stderr, flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
