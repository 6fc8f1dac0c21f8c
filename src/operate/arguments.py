"""The command line: verbs, their options, and what travels in one text, taken apart."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence

from operate.deploy import STEPS
from operate.names import PROJECT, SECRET
from operate.rotations import ROTATION_SECONDS
from operate.show import Problem
from operate.typed import command

STATUSES = """\
exit status: 0 if all is well, 1 if something needs somebody or has failed, 2 if the command line can't be read, 130 if
it was interrupted; under make, 2 for each of these but 0."""

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


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    made = argparse.ArgumentParser(
        prog="dockerhub-rotation",
        description="From nothing to a rotating Docker Hub token in AWS, what becomes of it there, and away again.",
        epilog=STATUSES,
    )
    commands = made.add_subparsers(dest="command", required=True)
    _deploying(_Verbs(commands, _common(SECRET)))
    _asking(_Verbs(commands, _common(SECRET)), _Verbs(commands, _common(None)))
    return made


class _Verbs:
    """Makes parsers of verbs that have the same options beside their own."""

    def __init__(self, commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser):
        self._commands, self._common = commands, common

    def add(self, verb: str, does: str, more: str = "") -> argparse.ArgumentParser:
        """Return the parser of a verb.

        Args:
            does: it, in half a sentence.
            more: what else there is to know of it.
        """
        about = f"{does[0].upper()}{does[1:]}. {more}".strip()
        return self._commands.add_parser(verb, parents=[self._common], help=does, description=about, epilog=STATUSES)


def _common(secret: str | None) -> argparse.ArgumentParser:
    """Return the options of every verb.

    Args:
        secret: the usual one; None, if that is all of them.
    """
    usual = "all of the project" if secret is None else "%(default)s"
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--project", default=PROJECT, help="first part of every name (%(default)s)")
    common.add_argument("--secret", default=secret, help=f"the secret's name ({usual})")
    common.add_argument("--bucket", default="", help="name of the bucket of packages, if the usual one is taken")
    common.add_argument("--function-parameters", default="", help='"Key=Value Key=Value" for function.yaml')
    common.add_argument("--secret-parameters", default="", help='"Key=Value Key=Value" for secret.yaml')
    common.add_argument("--json", action="store_true", help="on standard output, the result alone, as JSON")
    return common


def _deploying(verbs: _Verbs) -> None:
    """Add the verbs that bring it there, and away again."""
    looking = verbs.add("preflight", "look whether all is as a deployment assumes it")
    where = looking.add_mutually_exclusive_group()
    where.add_argument("--local", action="store_true", help="measure at Docker Hub, too, with an account it asks for")
    deployed = "have the deployed caretaker measure at Docker Hub, with the account that is stored"
    where.add_argument("--deployed", action="store_true", help=deployed)
    looking.add_argument("--organization", default="", help="with --local: measure this organization's access tokens")
    looking.add_argument("--try-both", action="store_true", help="with --local: try the other login as well")

    storing = verbs.add("credentials", "store the account's credential")
    storing.add_argument("--yes", action="store_true", help="overwrite what is not tagged as the project's, do not ask")
    storing.add_argument("--no-try", action="store_true", help="do not log in at Docker Hub with it first")

    making = verbs.add("deploy", "make everything, or bring it up to date")
    making.add_argument("--only", choices=STEPS, help="this step alone")
    making.add_argument("--release", default="", help="the package of a release, in place of the one that is here")
    making.add_argument("--ask-token", action="store_true", help="ask for the secret's first token, without echo")
    making.set_defaults(token="")
    making.add_argument("--no-wait", action="store_true", help="do not wait for a new secret's first rotation")
    making.add_argument("--tags", default="", help='"key=value key=value" for the stacks and what is in them')
    making.add_argument("--service-role", default="", help="ARN of a role for CloudFormation to do it with")
    making.add_argument("--protect", action="store_true", help="have AWS refuse to delete the stacks")

    removing = verbs.add("destroy", "remove everything, say what stays")
    removing.add_argument("--yes", action="store_true", help="do not ask")


def _asking(verbs: _Verbs, of_all: _Verbs) -> None:
    """Add the verbs that ask, or do something about, what is there.

    Args:
        of_all: adds those that are about all secrets, unless one is named.
    """
    of_all.add(
        "status",
        "say how all secrets are, or one: worst first",
        "It asks AWS with your credentials, and changes nothing. One line a secret; --secret shows all there is to "
        "say of one. Status 1 also if the caretaker has been silent for more than two hours.",
    )
    turning = verbs.add("rotate", "start a rotation and follow it to its end")
    turning.add_argument("--seconds", type=float, default=ROTATION_SECONDS, help="how long to follow it (%(default)s)")
    leaked = "then have the caretaker disable every superseded token at once"
    another = "begin another in place of one that has failed and has not ended, do not ask"
    turning.add_argument("--yes", action="store_true", help=another)
    turning.add_argument("--leaked", action="store_true", help=leaked)

    telling = verbs.add("logs", "show what one rotation has logged, across its steps and attempts")
    telling.add_argument("--version", default="", help="which one (the one under way, or else the current)")
    telling.add_argument("--follow", action="store_true", help="go on until that rotation has ended")

    dropping = verbs.add(
        "unblock",
        "drop a rotation that can't end, so that another can begin",
        "AWSCURRENT stays what it is. It says why the rotation hangs, asks, and takes AWSPENDING off. What was made "
        "for it is cleared away by the next rotation or by the caretaker.",
    )
    dropping.add_argument("--yes", action="store_true", help="do not ask")

    taking_back = verbs.add(
        "rollback",
        "have consumers get the token again that they had before",
        "It asks, then the caretaker tries that token and moves AWSCURRENT back to its version. Run again, it does "
        "nothing. After a leak it is the wrong verb: rotate --leaked is the right one.",
    )
    taking_back.add_argument("--version", default="", help="back to this one (the one under AWSPREVIOUS)")
    taking_back.add_argument("--yes", action="store_true", help="do not ask")

    of_all.add(
        "reconcile",
        "have the caretaker look at all secrets now, or at one, and take away what is due",
        "It does so every hour by itself.",
    )

    retiring = verbs.add(
        "retire",
        "have the caretaker disable every superseded token of a secret now, whatever its grace",
        "It asks first: consumers that have kept a copy are refused from then on. The token in use stays.",
    )
    retiring.add_argument("--yes", action="store_true", help="do not ask")


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
