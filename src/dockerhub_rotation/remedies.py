"""What mends a failure or a finding, as commands that are typed as they stand, in a clone or with the AWS CLI alone."""

import json
import re
import shlex
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace

from dockerhub_rotation.errors import RotationError, ToDo, Verb

_CARETAKER = "-caretaker"

# https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot.html: six random signs after the name.
_SECRET = re.compile(r"arn:[^:]*:secretsmanager:[^:]*:[^:]*:secret:(?P<name>.+)-[A-Za-z0-9]{6}")

_LEAD: dict[ToDo, str] = {"mend": "Run", "wait": "To go on at once when that is over, run", "look": "Run"}
_BY_ITSELF = "Secrets Manager tries again by itself. "

# How a verb is typed where that is not its name alone, and of what it is.
_MORE: dict[Verb, str] = {"preflight": " DEPLOYED=1", "set": " FUNCTION_PARAMETERS='Name=value'"}
_TARGETS: dict[Verb, str] = {"set": "deploy-function"}
# No verb in a clone does these: a value, or what a tag should say, people know.
_PLAIN_ALONE: dict[Verb, str] = {"store": " (it reads the value that you enter, until Ctrl-D)", "tag": ""}
_ABOUT_A_SECRET = ("reconcile", "retire", "rollback", "rotate", "unblock", "logs")
_ABOUT_A_VERSION = ("rollback", "logs")


@dataclass(frozen=True)
class Place:
    """What the commands are about.

    Attributes:
        project: first part of every name; the rotation function's name.
        region: where it is.
        secret: ARN or name; None if it is about none, or about all.
        version: the version that is being rotated in, or that a task names.
        again: the verb that does once more what has failed.
        names: of the parameters or tags that are to be mended.
    """

    project: str
    region: str
    secret: str | None = None
    version: str | None = None
    again: Verb = "rotate"
    names: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, function_arn: str, secret: str | None = None, version: str | None = None, again: Verb = "rotate"
    ) -> "Place":
        """Return the place of a function, by its ARN: that of the rotation function or of its caretaker.

        https://docs.aws.amazon.com/lambda/latest/dg/lambda-api-permissions-ref.html: a qualifier may follow its name.
        """
        parts = [*function_arn.split(":"), *[""] * 7]
        return cls(parts[6].removesuffix(_CARETAKER), parts[3], secret, version, again)


def told(failure: RotationError, place: Place) -> RotationError:
    """Return a failure as it is told: its message, and then the commands that mend it.

    The one that was raised stays as it is: a sandbox may remember it, and quote it in another.
    """
    place = replace(place, names=failure.names)
    commands = [command(verb, place) for verb in failure.verbs]
    if not commands:
        return failure
    by_itself = _BY_ITSELF if failure.to_do == "wait" and place.again == "rotate" else ""
    whole = copy(failure)
    whole.args = (f"{failure} {by_itself}{_LEAD[failure.to_do]} {', then '.join(commands)}.",)
    whole.__cause__ = failure.__cause__
    return whole.with_traceback(failure.__traceback__)


def command(verb: Verb, place: Place) -> str:
    """Return a command as it is typed in a clone and, beside it, with the AWS CLI alone."""
    plainly = _PLAIN[verb if verb in _PLAIN else place.again]
    if verb == "again":
        verb = place.again
        plainly = _unblock if verb == "rotate" and place.version else plainly
    # One after the other, whatever came of the first: the version that it drops may not be pending any more.
    plain = "; ".join(f"{words} --region {place.region}" for words in plainly(place))
    if verb in _PLAIN_ALONE:
        return f"`{plain}`{_PLAIN_ALONE[verb]}"
    return f"`{_typed(verb, place)}` (without a clone: `{plain}`)"


def drop(place: Place) -> str:
    """Return the command that drops a rotation, both ways, with none after it that begins another."""
    return f"`{_typed('unblock', place)}` (without a clone: `{take_off(place)}`)"


def take_off(place: Place) -> str:
    """Return the command of the AWS CLI that takes AWSPENDING off a version, be it the current one."""
    return f"{_drop(place)} --region {place.region}"


def region_option(secret: str) -> str:
    """Return the option that names the Region of a secret's ARN, after a space; nothing for a name."""
    parts = secret.split(":")
    return f" --region {parts[3]}" if len(parts) > 3 else ""


def _typed(verb: Verb, place: Place) -> str:
    secret = _SECRET.fullmatch(place.secret) if place.secret else None
    given = {
        "PROJECT": place.project,
        "SECRET": (secret["name"] if secret else place.secret) if verb in _ABOUT_A_SECRET else None,
        "VERSION": place.version if verb in _ABOUT_A_VERSION else None,
    }
    # make expands a dollar sign, whatever the shell has made of quotation marks before.
    quoted = {variable: shlex.quote(value).replace("$", "$$") for variable, value in given.items() if value}
    variables = "".join(f" {variable}={value}" for variable, value in quoted.items())
    return f"AWS_REGION={place.region} make {_TARGETS.get(verb, verb)}{variables}{_MORE.get(verb, '')}"


def _rotate(place: Place) -> list[str]:
    return [f"aws secretsmanager rotate-secret --secret-id {_quoted(place.secret)}"]


def _unblock(place: Place) -> list[str]:
    """While a version is pending, no other rotation begins."""
    return [_drop(place), *_rotate(place)]


def _drop(place: Place) -> str:
    return (
        f"aws secretsmanager update-secret-version-stage --secret-id {_quoted(place.secret)} "
        f"--version-stage AWSPENDING --remove-from-version-id {_quoted(place.version)}"
    )


def _quoted(name: str | None) -> str:
    return shlex.quote(name) if name else "..."


def _task(name: str, *fields: str) -> Callable[[Place], list[str]]:
    """The caretaker answers after up to fifteen minutes.

    The task comes through a pipe, as bytes: on the command line, version 2 of the AWS CLI takes it for base64 unless
    told otherwise, by an option that version 1 does not know.
    https://docs.aws.amazon.com/cli/latest/userguide/cliv2-migration-changes.html
    """

    def plain(place: Place) -> list[str]:
        known = {"SecretId": place.secret, "VersionId": place.version}
        event = {"Task": name} | {field: known[field] for field in fields if known[field]}
        invoke = f"aws lambda invoke --function-name {place.project}{_CARETAKER} --cli-read-timeout 960"
        return [f"echo {shlex.quote(json.dumps(event))} | {invoke} --payload fileb:///dev/stdin answer.json"]

    return plain


def _logs(place: Place) -> list[str]:
    all_lines = f"aws logs filter-log-events --log-group-name /aws/lambda/{place.project}"
    if place.version is None:
        return [all_lines]
    pattern = shlex.quote(f'{{ $.correlation_id = "{place.version}" }}')
    return [f"{all_lines} --filter-pattern {pattern}"]


def _credentials(place: Place) -> list[str]:
    """Each value is typed unseen, or comes through a pipe: on a command line others would see it.

    Where it is not known which parameter it is, this shows which there are. bash and zsh have `read -s`.
    """
    put = 'read -rs value && printf %s "$value" | aws ssm put-parameter --type SecureString --overwrite --value'
    return [f"{put} file:///dev/stdin --name {_quoted(name)}" for name in place.names] or _settings(place)


def _store(place: Place) -> list[str]:
    return [
        f"aws secretsmanager put-secret-value --secret-id {_quoted(place.secret)} --secret-string file:///dev/stdin"
    ]


def _tag(place: Place) -> list[str]:
    """What it should say, people know: the dots are to be replaced."""
    tags = " ".join(shlex.quote(f"Key={name},Value=...") for name in place.names)
    return [f"aws secretsmanager tag-resource --secret-id {_quoted(place.secret)} --tags {tags}"]


def _settings(place: Place) -> list[str]:
    """It shows what is set; what it should be, people know."""
    return [f"aws lambda get-function-configuration --function-name {place.project}"]


_PLAIN: dict[Verb, Callable[[Place], list[str]]] = {
    "rotate": _rotate,
    "unblock": _unblock,
    "reconcile": _task("Reconcile", "SecretId"),
    "retire": _task("Retire", "SecretId"),
    "rollback": _task("Rollback", "SecretId", "VersionId"),
    "preflight": _task("Preflight"),
    "logs": _logs,
    "credentials": _credentials,
    "deploy-function": _settings,
    "set": _settings,
    "store": _store,
    "tag": _tag,
}
