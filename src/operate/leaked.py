"""`rotate --leaked`, the first answer to a leak: another token, then none of the superseded ones works any more."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from operate.names import Deployment, check_any_secret
from operate.rotations import labels_of, require_rotating, rotate
from operate.session import Aws, Refused
from operate.show import Problem, Show
from operate.typed import aws_command, command

# Lambda gives the caretaker 900.
_RETIRE_SECONDS = 960
_IN_USE = {"AWSCURRENT", "AWSPENDING"}


def rotate_leaked(aws: Aws, show: Show, wanted: Deployment, seconds: float) -> dict[str, object]:
    """Rotate, then have the caretaker disable every superseded token of the secret, whatever grace it has.

    Args:
        seconds: how long to follow the rotation.

    Returns:
        as `rotate`, with the caretaker's answer; `ok` says whether no token is left active but the one in use.

    Raises:
        Problem: there is no caretaker, and nothing is done; or the token could not be replaced, or not all be disabled.
    """
    name = wanted.secret_name
    check_any_secret(name)
    described = require_rotating(aws, name)
    secret = str(described["ARN"])
    caretaker = ":".join(described["RotationLambdaARN"].split(":")[:7]) + "-caretaker"
    _require_caretaker(aws, caretaker)
    rotated = _rotate(aws, show, wanted, described, seconds)
    answer = _retire(aws, show, secret, caretaker)
    show.step("retired", str(answer.get("Message")))
    for line in _still_active(secret, answer):
        show.detail(line)
    ok = not (answer.get("LeftActive") or answer.get("NotFound") or _pinned(answer))
    show.line(
        "No token of the secret works any more but the one that is in use."
        if ok
        else f"Not every token of the secret is known to be disabled. Mend what is said above, then do the rest with\n"
        f"  {_by_hand(secret, caretaker)}"
    )
    if rotated.get("joined"):
        show.line(
            "The rotation had begun before: if its value, then under AWSPENDING, may have leaked as well, run "
            f"`{_again()}` once more."
        )
    return {**rotated, "ok": ok, "retired": answer}


def _require_caretaker(aws: Aws, caretaker: str) -> None:
    try:
        aws.ask("lambda", "get_function_configuration", FunctionName=caretaker)
    except Refused as refused:
        if refused.code != "ResourceNotFoundException":
            raise
        raise Problem(
            f"There is no {caretaker}, which disables what a rotation leaves active. Nothing is done. Run "
            f"`{command('deploy', only='caretaker')}`, then this again; or `{command('rotate')}`, and disable the "
            "older tokens at Docker Hub yourself."
        ) from None


def _rotate(
    aws: Aws, show: Show, wanted: Deployment, before: Mapping[str, Any], seconds: float
) -> Mapping[str, object]:
    """Rotate. Where that has failed after the promotion, the rest is the caretaker's."""
    try:
        return rotate(aws, show, wanted, seconds)
    except Problem as problem:
        current = _current(aws.ask("secretsmanager", "describe_secret", SecretId=before["ARN"]))
        if current == _current(before):
            raise Problem(
                f"{problem}\nThe token under AWSCURRENT still works, and may be the one that leaked: run `{_again()}` "
                "once the rotation can succeed, or disable it at Docker Hub, which consumers will notice."
            ) from None
        show.line(str(problem))
        return {"secret": before["ARN"], "version": current}


def _current(described: Mapping[str, Any]) -> str:
    return next((version for version, labels in labels_of(described).items() if "AWSCURRENT" in labels), "")


def _retire(aws: Aws, show: Show, secret: str, caretaker: str) -> Mapping[str, Any]:
    """Have the caretaker disable them, and return its answer."""
    by_hand = _by_hand(secret, caretaker)
    try:
        with show.waiting(f"{secret}: the caretaker disables every superseded token"):
            answer = aws.invoke(caretaker, _task(secret), _RETIRE_SECONDS)
    except Refused as refused:
        raise Problem(
            f"The secret has another token, but whether the superseded ones are disabled is not known: {refused} Send "
            f"the task again:\n  {by_hand}"
        ) from None
    if "errorMessage" in answer:
        raise Problem(
            "The secret has another token, but not every superseded one is disabled: "
            f"{answer['errorMessage']}\nMend what is said there, then send the task again:\n  {by_hand}"
        )
    return answer


def _still_active(secret: str, answer: Mapping[str, Any]) -> Iterator[str]:
    """Yield what still works, a line each, and what lets go of those that people's own labels pin."""
    for token in answer.get("StillWork", ()):
        labels = " ".join(token["StagingLabels"]) or "no label"
        yield f"works     {token['Token']}, version {token['Version']}: {labels}"
        for label in token["PinnedBy"]:
            let_go = f"--secret-id {shlex.quote(secret)} --version-stage {label} --remove-from-version-id"
            yield f"          your label {label} keeps it; this takes the label off, if nobody needs the token:"
            yield "  " + aws_command(f"secretsmanager update-secret-version-stage {let_go} {token['Version']}")
    for token in answer.get("LeftActive", ()):
        yield f"left      {token['Token']}, version {token['Version']}: {token['Why']}"


def _pinned(answer: Mapping[str, Any]) -> Sequence[str]:
    """Return the tokens that work although their versions are not in use."""
    return [it["Token"] for it in answer.get("StillWork", ()) if not _IN_USE & set(it["StagingLabels"])]


def _task(secret: str) -> dict[str, str]:
    return {"Task": "Retire", "SecretId": secret}


def _by_hand(secret: str, caretaker: str) -> str:
    payload = shlex.quote(json.dumps(_task(secret)))
    return aws_command(
        f"lambda invoke --function-name {caretaker} --cli-binary-format raw-in-base64-out --cli-read-timeout "
        f"{_RETIRE_SECONDS} --payload {payload} answer.json"
    )


def _again() -> str:
    return command("rotate", leaked="1")
