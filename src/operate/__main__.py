"""`python -m operate`, behind the make verbs that ask AWS for something; installed, `dockerhub-rotation`.

The verbs, their exit statuses, and how a problem is shown: 0 if all is done, 1 if something kept it from that or is
otherwise than assumed, 2 if the command line can't be read, 130 if it was interrupted.
"""

from __future__ import annotations

import argparse
import getpass
import shlex
import sys
import warnings
from collections.abc import Mapping, Sequence

from operate.credentials import credentials
from operate.deploy import STEPS, Options, deploy
from operate.destroy import destroy
from operate.leaked import rotate_leaked
from operate.names import PROJECT, SECRET, Deployment, check_names
from operate.preflight import preflight
from operate.rotations import ROTATION_SECONDS, rotate
from operate.session import Aws, carried, connect
from operate.show import Problem, Show, shown
from operate.stacks import Ways
from operate.typed import carrying, command

# Parameters that the commands give a value, and what they take it from.
_SET_BY = {
    "ProjectName": "PROJECT=...",
    "ArtifactBucket": "BUCKET=...",
    "ArtifactKey": "the package",
    "ArtifactVersion": "the package",
    "SecretName": "SECRET=...",
    "RotationFunctionArn": "the function's stack",
    "RotationRoleArn": "the function's stack",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    options = parser().parse_args(arguments)
    show = shown(as_json=options.json)
    try:
        with warnings.catch_warnings():
            # Without a terminal, getpass warns and reads standard input: what boto3 asks for would get our lines.
            warnings.simplefilter("error", getpass.GetPassWarning)
            result: dict[str, object] = {"ok": True, **run(options, show)}
        status = 0 if result["ok"] else 1
    except getpass.GetPassWarning:
        said = "The role needs a one-time code, and there is no terminal to ask at: run it at one."
        result, status = {"ok": False, "problem": show.problem(options.command, said)}, 1
    except Problem as problem:
        result, status = {"ok": False, "problem": show.problem(options.command, str(problem))}, 1
    except (KeyboardInterrupt, EOFError):
        said = "stopped here; what AWS has begun goes on there."
        result, status = {"ok": False, "problem": show.problem(f"\n{options.command}", said)}, 130
    if options.json:
        show.document({"command": options.command, **result})
    return status


def run(options: argparse.Namespace, show: Show) -> dict[str, object]:
    """Do what the command line says, and return what has come of it.

    Raises:
        Problem: it could not be done.
    """
    names = {"project": options.project, "secret": options.secret, "bucket": options.bucket}
    with carrying({}, _told(**names)):
        wanted = Deployment(
            **names,
            function_parameters=assignments(options.function_parameters),
            secret_parameters=assignments(options.secret_parameters),
        )
    # A prefix among the parameters is part of the secret's name: without it, a command would be about another secret.
    told = _told(**names | {"secret": wanted.secret_name})
    with carrying({}, told):
        check_names(wanted)
        aws = connect()
    with carrying(carried(aws), told):
        return _do(options, show, aws, wanted)


def _told(**names: str) -> dict[str, str]:
    """Return the names that are not the usual ones."""
    usual = {"project": PROJECT, "secret": SECRET, "bucket": ""}
    return {name: value for name, value in names.items() if value != usual[name]}


def _do(options: argparse.Namespace, show: Show, aws: Aws, wanted: Deployment) -> dict[str, object]:
    if options.command == "preflight":  # which says itself if nobody is known there
        found = preflight(aws, show, wanted, local=options.local, try_both=options.try_both)
        return {"region": aws.region, **found}
    made = _options(options, show) if options.command == "deploy" else Options()
    show.line(f"Account {aws.account}, Region {aws.region}")
    match options.command:
        case "deploy":
            result = deploy(aws, show, wanted, [options.only] if options.only else STEPS, made)
        case "destroy":
            result = destroy(aws, show, wanted, sure=options.yes)
        case "credentials":
            result = credentials(aws, show, wanted, sure=options.yes, trying=not options.no_try)
        case _ if options.leaked:
            result = rotate_leaked(aws, show, wanted, options.seconds)
        case _:
            result = rotate(aws, show, wanted, options.seconds)
    return {"account": aws.account, "region": aws.region, **result}


def _options(options: argparse.Namespace, show: Show) -> Options:
    return Options(
        token=_ask_token(show) if options.ask_token else "",
        wait=not options.no_wait,
        ways=Ways(tags(options.tags), options.service_role, options.protect),
    )


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--project", default=PROJECT, help="first part of every name (%(default)s)")
    common.add_argument("--secret", default=SECRET, help="the secret's name (%(default)s)")
    common.add_argument("--bucket", default="", help="name of the bucket of packages, if the usual one is taken")
    common.add_argument("--function-parameters", default="", help='"Key=Value Key=Value" for function.yaml')
    common.add_argument("--secret-parameters", default="", help='"Key=Value Key=Value" for secret.yaml')
    common.add_argument("--json", action="store_true", help="on standard output, the result alone, as JSON")
    made = argparse.ArgumentParser(
        prog="dockerhub-rotation", description="From nothing to a rotating Docker Hub token in AWS, and away again."
    )
    commands = made.add_subparsers(dest="command", required=True)

    looking = commands.add_parser("preflight", parents=[common], help="look whether all is as a deployment assumes it")
    looking.add_argument("--local", action="store_true", help="measure at Docker Hub, too, with an account it asks for")
    looking.add_argument("--try-both", action="store_true", help="with --local: try the other login as well")

    storing = commands.add_parser("credentials", parents=[common], help="store the account's credential")
    storing.add_argument("--yes", action="store_true", help="overwrite what is not tagged as the project's, do not ask")
    storing.add_argument("--no-try", action="store_true", help="do not log in at Docker Hub with it first")

    making = commands.add_parser("deploy", parents=[common], help="make everything, or bring it up to date")
    making.add_argument("--only", choices=STEPS, help="this step alone")
    making.add_argument("--ask-token", action="store_true", help="ask for the secret's first token, without echo")
    making.add_argument("--no-wait", action="store_true", help="do not wait for a new secret's first rotation")
    making.add_argument("--tags", default="", help='"key=value key=value" for the stacks and what is in them')
    making.add_argument("--service-role", default="", help="ARN of a role for CloudFormation to do it with")
    making.add_argument("--protect", action="store_true", help="have AWS refuse to delete the stacks")

    turning = commands.add_parser("rotate", parents=[common], help="start a rotation and follow it to its end")
    turning.add_argument("--seconds", type=float, default=ROTATION_SECONDS, help="how long to follow it (%(default)s)")

    leaked = "then have the caretaker disable every superseded token at once"
    turning.add_argument("--leaked", action="store_true", help=leaked)

    removing = commands.add_parser("destroy", parents=[common], help="remove everything, say what stays")
    removing.add_argument("--yes", action="store_true", help="do not ask")
    return made


def assignments(text: str) -> Mapping[str, str]:
    """Take `Key=Value Key='a value'` apart.

    Raises:
        Problem: it is not of that form, holds a secret, says something twice, or sets what the commands set themselves.
    """
    words = _words(text, "parameters")
    given = dict(word.partition("=")[::2] for word in words)
    if "Token" in given:
        ask = command("deploy", ask_token="1")  # noqa: S106 - a switch
        raise Problem(f"A token on a command line is there for all to read: run `{ask}` and enter it then.")
    _require_pairs(words, "Parameters", "Key=Value")
    if ours := [f"{key} is set by {_SET_BY[key]}" for key in given if key in _SET_BY]:
        raise Problem(f"{', '.join(ours)}: leave it out of the parameters.")
    return given


def tags(text: str) -> Mapping[str, str]:
    """Take `key=value key='a value'` apart, which are tags.

    Raises:
        Problem: it is not of that form.
    """
    words = _words(text, "tags")
    _require_pairs(words, "Tags", "key=value")
    return dict(word.partition("=")[::2] for word in words)


def _words(text: str, kind: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise Problem(f"A quotation mark is missing in the {kind}: {error}.") from None


def _require_pairs(words: Sequence[str], kind: str, form: str) -> None:
    if wrong := [word for word in words if not word.partition("=")[0] or "=" not in word]:
        raise Problem(f"{kind} are given as {form}, which {' '.join(wrong)} is not.")
    keys = [word.partition("=")[0] for word in words]
    if twice := [key for key in dict.fromkeys(keys) if keys.count(key) > 1]:
        raise Problem(f"{kind} are given once each, but there is more than one {' and '.join(twice)}.")


def _ask_token(show: Show) -> str:
    token = getpass.getpass("Token: ") if sys.stdin.isatty() else sys.stdin.readline().strip()
    if not token:
        raise Problem("No token was entered: run it without asking for one, and the first rotation makes one.")
    show.hide(token)
    return token


if __name__ == "__main__":
    sys.exit(main())
