"""The caretaker, sent a task by hand: once, with patience, and with what to do if no answer comes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from operate.session import Aws, Refused
from operate.show import Problem, Show
from operate.typed import aws_command, command, without_commands

# Lambda gives it 900.
_SECONDS = 960
_IN_USE = {"AWSCURRENT", "AWSPENDING"}


@dataclass(frozen=True)
class Caretaker:
    """The function that looks after secrets between their rotations.

    Attributes:
        function: its name or its ARN.
    """

    aws: Aws
    show: Show
    function: str

    def require_there(self, instead: str = "") -> None:
        """Look whether it is there, before anything is done that needs it.

        Args:
            instead: what else can be done, if it is not.

        Raises:
            Problem: it is not.
        """
        try:
            self.aws.ask("lambda", "get_function_configuration", FunctionName=self.function)
        except Refused as refused:
            if refused.code != "ResourceNotFoundException":
                raise
            raise Problem(self._missing(instead)) from None

    def _missing(self, instead: str) -> str:
        deploy = command("deploy", only="caretaker")
        return f"There is no {self.function}, so nothing is done. Run `{deploy}`, then this again{instead}."

    def send(self, task: Mapping[str, str], doing: str, undone: str, again: str) -> dict[str, Any]:
        """Have it do a task, and return its answer.

        Args:
            doing: what it does, for somebody who waits.
            undone: what is not known, or not done, if no good answer comes.
            again: the command that sends it again.

        Raises:
            Problem: no answer came, or it is an error.
        """
        send_again = f"`{again}`, or without these commands:\n  {self.by_hand(task)}"
        try:
            with self.show.waiting(f"{self.function.rpartition(':')[2]}: {doing}"):
                answer = self.aws.invoke(self.function, task, _SECONDS)
        except Refused as refused:
            if refused.code == "ResourceNotFoundException":
                raise Problem(self._missing("")) from None
            goes_on = "" if refused.code else " It may go on for 15 minutes at most; then send the task again:"
            raise Problem(f"{undone}: {refused}{goes_on or ' Mend that, then send the task:'} {send_again}") from None
        if "errorMessage" in answer:
            failure = str(answer["errorMessage"])
            older = "is none of" in failure and "Task" in failure
            more = f" The deployed caretaker is older than these commands: run `{command('deploy')}` first." * older
            # As a rule the message has said it, with the command beside it, or that another one is the way out.
            then = f"\nMend what is said there, then send the task again: {send_again}"
            then = "" if without_commands(failure) != failure else then
            raise Problem(f"{undone}: {failure}{more}{then}")
        if "Message" not in answer:
            raise Problem(f"{undone}: {self.function} has answered something that is no caretaker's. Is it one?")
        return answer

    def by_hand(self, task: Mapping[str, str]) -> str:
        """Return the command of the AWS CLI that sends a task."""
        # Both versions of the CLI take bytes as they are.
        invoke = f"lambda invoke --function-name {self.function} --cli-read-timeout {_SECONDS}"
        return f"echo {shlex.quote(json.dumps(task))} | " + aws_command(
            f"{invoke} --payload fileb:///dev/stdin answer.json"
        )


def retire_task(secret: str) -> dict[str, str]:
    """Return the task that disables every superseded token of a secret."""
    return {"Task": "Retire", "SecretId": secret}


def show_retired(show: Show, secret: str, answer: Mapping[str, Any]) -> bool:
    """Show what a retirement has done, and return whether no token is left active but the one in use."""
    show.step("retired", str(answer.get("Message")))
    for line in _still_active(secret, answer):
        show.detail(line)
    return not (answer.get("LeftActive") or answer.get("NotFound") or _pinned(answer))


def _still_active(secret: str, answer: Mapping[str, Any]) -> Iterator[str]:
    """Yield what still works, a line each, and what lets go of those that people's own labels pin."""
    for token in answer.get("StillWork", ()):
        labels = " ".join(token["StagingLabels"]) or "no label"
        yield f"works     {token['Token']}, version {token['Version']}: {labels}"
        for label in token["PinnedBy"]:
            # A label of people's own may be of any signs.
            words = ["--secret-id", secret, "--version-stage", label, "--remove-from-version-id", token["Version"]]
            yield f"          your label {label} keeps it; this takes the label off, if nobody needs the token:"
            yield "  " + aws_command(shlex.join(["secretsmanager", "update-secret-version-stage", *words]))
    for token in answer.get("LeftActive", ()):
        yield f"left      {token['Token']}, version {token['Version']}: {token['Why']}"


def _pinned(answer: Mapping[str, Any]) -> Sequence[str]:
    """Return the tokens that work although their versions are not in use."""
    return [it["Token"] for it in answer.get("StillWork", ()) if not _IN_USE & set(it["StagingLabels"])]
