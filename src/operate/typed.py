"""Commands as they are typed where this runs: whole, so that they mean the same deployment in another shell.

What the command line or the environment says, and the defaults do not, goes with each: project, secret, bucket, Region
and profile, the package of a release. It is set once, for the run of a verb.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

from operate import IN_A_CLONE

_NOTHING: Mapping[str, str] = MappingProxyType({})
_ENVIRONMENT: ContextVar[Mapping[str, str]] = ContextVar("environment", default=_NOTHING)
_NAMES: ContextVar[Mapping[str, str]] = ContextVar("names", default=_NOTHING)

# The verbs, and steps of `deploy`, for which a name makes a difference.
_ABOUT_A_SECRET = (
    *("deploy", "deploy-function", "deploy-secret", "rotate", "preflight"),
    *("status", "unblock", "rollback", "reconcile", "retire", "logs"),
)
_ABOUT_A_BUCKET = ("deploy", "deploy-bucket", "deploy-package", "deploy-function", "preflight")
_ABOUT_A_PACKAGE = ("deploy", "deploy-package", "deploy-function", "deploy-caretaker")

_AS_VARIABLE: Mapping[str, str] = {
    "yes": "YES=1",
    "ask_token": "TOKEN=ask",
    "no_try": "TRY=no",
    "no_wait": "WAIT=no",
    "leaked": "LEAKED=1",
    "follow": "FOLLOW=1",
    "deployed": "DEPLOYED=1",
}


@contextmanager
def carrying(environment: Mapping[str, str], names: Mapping[str, str]) -> Iterator[None]:
    """Have every command that is shown say for which deployment it is.

    Args:
        environment: variables that stand before it: AWS_REGION, AWS_PROFILE.
        names: project, secret, bucket and release, as far as they are not the usual ones.
    """
    tokens = _ENVIRONMENT.set(environment), _NAMES.set(names)
    try:
        yield
    finally:
        _ENVIRONMENT.reset(tokens[0])
        _NAMES.reset(tokens[1])


def command(verb: str, **options: str) -> str:
    """Return the whole command that does something, as it is typed where this runs.

    Args:
        verb: one of the verbs; "package" only makes sense in a clone.
        options: of the verb, by the names of its arguments; the value "1" stands for a switch.
    """
    only = options.pop("only", "")
    step = f"{verb}-{only}" if only else verb
    if "version" in options:  # which whoever may store a value can choose, of any signs
        options["version"] = shlex.quote(options["version"].replace("$", "$$") if IN_A_CLONE else options["version"])
    given = {name: shlex.quote(value) for name, value in _names_for(step).items() if name not in options} | options
    if IN_A_CLONE:
        words = [f"make {step}"]
        words += [_AS_VARIABLE.get(name, f"{name.upper()}={value}") for name, value in given.items()]
    else:
        words = [f"dockerhub-rotation {verb}", *([f"--only {only}"] if only else [])]
        words += [
            f"--{name.replace('_', '-')}" + ("" if value == "1" else f" {value}") for name, value in given.items()
        ]
    return _in_environment(words, _ENVIRONMENT.get()) if verb != "package" else words[0]


def says(text: str, verb: str) -> bool:
    """Whether a text of the functions', which names commands as they are typed in a clone, has that of a verb."""
    return re.search(rf"\bmake {verb}(?![\w-])", text) is not None


# What the functions say last, as a rule: the commands that mend it, each with what is typed without a clone beside it.
_ITEM = r"`[^`]+`(?: \([^`]*`[^`]*`\)| \([^()]*\))?"
_LEAD = "To go on at once when that is over, run|Run"
_REMEDIES = re.compile(rf" (?P<lead>{_LEAD}) (?P<items>{_ITEM}(?:, then {_ITEM})*)\.")


def without_commands(text: str, *verbs: str) -> str:
    """Return a text of the functions' without the commands that mend it.

    Args:
        verbs: whose commands are left away, as who reads it is about to do just that; without any, all are.
    """

    def left(found: re.Match[str]) -> str:
        items = [it for it in re.findall(_ITEM, found["items"]) if verbs and not any(says(it, verb) for verb in verbs)]
        return f" {found['lead']} {', then '.join(items)}." if items else ""

    return _REMEDIES.sub(left, text)


def aws_command(words: str) -> str:
    """Return a command of the AWS CLI, which is typed as it is told here, for this Region and profile.

    Version 1 of the CLI reads no AWS_REGION.
    """
    variables = dict(_ENVIRONMENT.get())
    region = variables.pop("AWS_REGION", "")
    return _in_environment([f"aws {words}", *([f"--region {region}"] if region else [])], variables)


def _names_for(step: str) -> Mapping[str, str]:
    names = _NAMES.get()
    concerned = {"secret": _ABOUT_A_SECRET, "bucket": _ABOUT_A_BUCKET, "release": _ABOUT_A_PACKAGE}
    return {name: value for name, value in names.items() if step in concerned.get(name, (step,))}


def _in_environment(words: list[str], variables: Mapping[str, str]) -> str:
    return " ".join([*(f"{name}={shlex.quote(value)}" for name, value in variables.items()), *words])
