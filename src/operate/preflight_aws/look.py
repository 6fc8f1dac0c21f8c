"""How AWS is looked at: what is wanted there, who asks, and what comes of a look."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

# What a later command makes is not there yet, in an account in which nothing is deployed.
Verdict = Literal["as assumed", "otherwise", "not there yet", "not measured"]

# What is asked has no such service, or not all of it, as emulators: no permission mends that.
NOT_THERE = "NotThere"
_NOT_THERE = ("NotImplemented", "UnknownOperationException", "InvalidAction")
DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403", "Forbidden")


@dataclass(frozen=True)
class Wanted:
    """What is to be deployed.

    Attributes:
        parameters: names of the parameters that the function is to read.
        secret_stacks: the names that the stack of this secret may have.
        reserved_concurrency: of the function; None for none.
        layer: ARN of the AWS Parameters and Secrets Lambda Extension; empty for none.
    """

    project: str
    secret: str
    bucket: str
    parameters: tuple[str, ...]
    secret_stacks: tuple[str, ...] = ()
    reserved_concurrency: int | None = None
    layer: str = ""


@dataclass(frozen=True)
class Finding:
    """One look at AWS.

    Attributes:
        relied_on: whether a deployment fails without it, or what it promises does not hold.
        means: if it is otherwise, what that means and what to do.
    """

    name: str
    assumed: str
    verdict: Verdict
    seen: str
    means: str = ""
    relied_on: bool = True

    def row(self) -> dict[str, Any]:
        """Return it for JSON."""
        means = "" if self.verdict == "as assumed" else self.means
        names = {"name": self.name, "verdict": self.verdict, "relied_on": self.relied_on}
        return {**names, "assumed": self.assumed, "seen": self.seen, "means": means}


class Refused(Exception):
    """AWS said no, or gave no answer.

    Attributes:
        code: of the error, or NOT_THERE; empty if no answer came.
    """

    def __init__(self, code: str, said: str) -> None:
        super().__init__(said)
        self.code = code


class Look:
    """Looks at one account in one Region.

    Args:
        client: makes a boto3 client of a service, in that Region.
    """

    def __init__(self, client: Callable[[str], Any], region: str, wanted: Wanted) -> None:
        self.region = region
        self.wanted = wanted
        self._make = client
        self._clients: dict[str, Any] = {}

    def ask(self, service: str, operation: str, **request: Any) -> Any:
        """Send a request and return the answer.

        Raises:
            Refused: there is none.
        """
        try:
            if service not in self._clients:
                self._clients[service] = self._make(service)
            return getattr(self._clients[service], operation)(**request)
        except ClientError as error:
            code, action = error.response.get("Error", {}).get("Code", ""), f"{service}:{error.operation_name}"
            if code in _NOT_THERE:
                raise Refused(NOT_THERE, f"{action} is not to be had there ({code})") from None
            raise Refused(code, f"{action} is refused ({code})") from None
        except BotoCoreError as error:
            raise Refused("", f"{service} gave no answer ({type(error).__name__})") from None

    @cached_property
    def identity(self) -> Mapping[str, str]:
        """Who asks."""
        answer: Mapping[str, str] = self.ask("sts", "get_caller_identity")
        return answer

    def has_stack(self, name: str) -> bool:
        """Tell whether a stack is there and is the project's, so that what bears our names is ours.

        What has only a change set, or was rolled back when it was made, has made nothing.
        """
        try:
            (stack,) = self.ask("cloudformation", "describe_stacks", StackName=name)["Stacks"]
        except Refused as refused:
            if refused.code == "ValidationError":
                return False
            raise
        given = {it["ParameterKey"]: it.get("ParameterValue", "") for it in stack.get("Parameters", ())}
        made = stack["StackStatus"] not in ("REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE", "DELETE_COMPLETE")
        return made and given.get("ProjectName") == self.wanted.project
