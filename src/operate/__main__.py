"""`python -m operate`, behind the make verbs that ask AWS for something; installed, `dockerhub-rotation`.

The verbs, their exit statuses, and how a problem is shown: 0 if all is done and well, 1 if something kept it from that,
is otherwise than assumed or needs somebody, 2 if the command line can't be read, 130 if it was interrupted.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from operate.arguments import assignments, parser, tags
from operate.credentials import credentials
from operate.deploy import STEPS, Options, deploy
from operate.destroy import destroy
from operate.leaked import rotate_leaked
from operate.logs import logs
from operate.names import PROJECT, SECRET, Deployment, check_names
from operate.preflight import Where, preflight
from operate.reconcile import reconcile
from operate.retire import retire
from operate.rollback import rollback
from operate.rotations import rotate
from operate.session import Aws, carried, connect
from operate.show import Problem, Show, shown
from operate.stacks import Ways
from operate.status import status
from operate.typed import carrying, command
from operate.unblock import unblock


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    try:
        return _main(parser().parse_args(arguments))
    except BrokenPipeError:
        # Whoever read it has gone, as in `make status | head -1`: nothing is written any more, not at the end either.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _main(options: argparse.Namespace) -> int:
    show = shown(as_json=options.json)
    try:
        with warnings.catch_warnings():
            # Without a terminal, getpass warns and reads standard input: what boto3 asks for would get our lines.
            warnings.simplefilter("error", getpass.GetPassWarning)
            result: dict[str, object] = {"ok": True, **run(options, show)}
        ended = 0 if result["ok"] else 1
    except getpass.GetPassWarning:
        said = "The role needs a one-time code, and there is no terminal to ask at: run it at one."
        result, ended = {"ok": False, "problem": show.problem(options.command, said)}, 1
    except Problem as problem:
        result, ended = {"ok": False, "problem": show.problem(options.command, str(problem))}, 1
    except (KeyboardInterrupt, EOFError):
        said = "stopped here; what AWS has begun goes on there."
        result, ended = {"ok": False, "problem": show.problem(f"\n{options.command}", said)}, 130
    except BrokenPipeError:
        raise
    except Exception as defect:  # noqa: BLE001 - whatever it is, a program gets its document
        result, ended = {"ok": False, "problem": show.problem(options.command, _defect(defect))}, 1
    if options.json:
        show.document({"command": options.command, **result})
    return ended


def _defect(defect: Exception) -> str:
    """Say where a defect is; its own text may quote anything."""
    places = [f"{Path(at.filename).name}:{at.lineno}" for at in traceback.extract_tb(defect.__traceback__)]
    return (
        f"A defect in these commands, or an answer of another form than is known: {type(defect).__name__} at "
        f"{' > '.join(places)}. `{command('status')}` shows what has come of it; please report it with this line."
    )


def run(options: argparse.Namespace, show: Show) -> dict[str, object]:
    """Do what the command line says, and return what has come of it.

    Raises:
        Problem: it could not be done.
    """
    usual = SECRET if options.secret is None else options.secret
    names = {"project": options.project, "secret": usual, "bucket": options.bucket}
    with carrying({}, _told(**names)):
        wanted = Deployment(
            **names,
            function_parameters=assignments(options.function_parameters),
            secret_parameters=assignments(options.secret_parameters),
        )
    # A prefix among the parameters is part of the secret's name: without it, a command would be about another secret.
    told = _told(**names | {"secret": wanted.secret_name}) | _released(options)
    with carrying({}, told):
        check_names(wanted)
        aws = connect()
    with carrying(carried(aws), told):
        return _do(options, show, aws, wanted)


def _told(**names: str) -> dict[str, str]:
    """Return the names that are not the usual ones."""
    usual = {"project": PROJECT, "secret": SECRET, "bucket": ""}
    return {name: value for name, value in names.items() if value != usual[name]}


def _released(options: argparse.Namespace) -> dict[str, str]:
    """Return the package of a release, if one is to be deployed, by a name that holds in every folder."""
    given = getattr(options, "release", "")
    if not given:
        return {}
    try:
        path = Path(given).expanduser()  # which not every shell does after RELEASE=
    except RuntimeError:
        path = Path(given)
    return {"release": str(path.resolve())}


def _do(options: argparse.Namespace, show: Show, aws: Aws, wanted: Deployment) -> dict[str, object]:
    verb = _VERBS[options.command]
    if options.command == "preflight":  # which says itself if nobody is known there
        return {"region": aws.region, **verb(options, aws, show, wanted)}
    if options.command == "deploy" and options.ask_token:
        options.token = _ask_token(show)
    show.line(f"Account {aws.account}, Region {aws.region}")
    return {"account": aws.account, "region": aws.region, **verb(options, aws, show, wanted)}


def _preflight(options: argparse.Namespace, aws: Aws, show: Show, wanted: Deployment) -> dict[str, object]:
    where: Where = "local" if options.local else "deployed" if options.deployed else ""
    return preflight(aws, show, wanted, docker_hub=where, try_both=options.try_both, organization=options.organization)


def _deploy(options: argparse.Namespace, aws: Aws, show: Show, wanted: Deployment) -> dict[str, object]:
    made = Options(
        token=options.token,
        wait=not options.no_wait,
        ways=Ways(tags(options.tags), options.service_role, options.protect),
        release=Path(_released(options)["release"]) if options.release else None,
    )
    return deploy(aws, show, wanted, [options.only] if options.only else STEPS, made)


def _rotate(options: argparse.Namespace, aws: Aws, show: Show, wanted: Deployment) -> dict[str, object]:
    return (rotate_leaked if options.leaked else rotate)(aws, show, wanted, options.seconds, sure=options.yes)


_VERBS: Mapping[str, Callable[[argparse.Namespace, Aws, Show, Deployment], dict[str, object]]] = {
    "preflight": _preflight,
    "deploy": _deploy,
    "destroy": lambda options, *place: destroy(*place, sure=options.yes),
    "credentials": lambda options, *place: credentials(*place, sure=options.yes, trying=not options.no_try),
    "rotate": _rotate,
    "status": lambda options, *place: status(*place, every=options.secret is None),
    "logs": lambda options, *place: logs(*place, version=options.version, follow=options.follow),
    "unblock": lambda options, *place: unblock(*place, sure=options.yes),
    "rollback": lambda options, *place: rollback(*place, version=options.version, sure=options.yes),
    "reconcile": lambda options, *place: reconcile(*place, every=options.secret is None),
    "retire": lambda options, *place: retire(*place, sure=options.yes),
}


def _ask_token(show: Show) -> str:
    token = getpass.getpass("Token: ") if sys.stdin.isatty() else sys.stdin.readline().strip()
    if not token:
        raise Problem("No token was entered: run it without asking for one, and the first rotation makes one.")
    show.hide(token)
    return token


if __name__ == "__main__":
    sys.exit(main())
