"""Lambda: the two functions as they are deployed, with the requests that operators make of them."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from werkzeug.wrappers import Response

from rehearsal.sandbox import Function, FunctionError
from rehearsal.secret_descriptions import Refused

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# A name, part of an ARN or a whole one, each with or without a version:
# https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
_NAME = re.compile(r"(?:(?:arn:aws:lambda:[^:]*:)?[0-9]{12}:function:|function:)?(?P<name>[\w-]+)(?::\$?[\w-]+)?")
_PATH = re.compile(r"/2015-03-31/functions/(?P<function>[^/]+)(?P<what>/invocations|/configuration|)")
_LAST_OF_THE_LOG = 4096
_OF_THE_RUNTIME = {"PATH", "PYTHONPATH", "_HANDLER"}


@dataclass(frozen=True)
class Deployed:
    """A function that is deployed.

    Attributes:
        handler: its entrance.
        function: its process.
        invoke: calls it with an event and returns what it answers; raises FunctionError if it failed.
    """

    arn: str
    handler: str
    function: Function
    invoke: Callable[[Any], object]


class Functions:
    """Lambda, with the functions that are deployed.

    Args:
        deployed: by name.
    """

    def __init__(self, deployed: Mapping[str, Deployed]) -> None:
        self._deployed = deployed

    def answer(self, environ: WSGIEnvironment) -> Response:
        """Answer a request.

        Raises:
            Refused: Lambda refuses it, or this one does not know it.
        """
        asked = _PATH.fullmatch(unquote(environ["PATH_INFO"]).split("?")[0])
        if asked is None:
            raise Refused("UnknownOperationException", "Functions can be invoked here, and their configuration read.")
        name = _NAME.fullmatch(asked["function"])
        found = self._deployed.get(name["name"]) if name else None
        if found is None:
            raise Refused("ResourceNotFoundException", f"Function not found: {asked['function']}")
        match environ["REQUEST_METHOD"], asked["what"]:
            case "POST", "/invocations":
                return _invoke(found, environ)
            case "GET", "/configuration":
                return _json(_configuration(found))
            case "GET", "":
                return _json({"Configuration": _configuration(found), "Tags": {}})
        raise Refused("UnknownOperationException", "Functions can be invoked here, and their configuration read.")


def _invoke(found: Deployed, environ: WSGIEnvironment) -> Response:
    """Answer https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html."""
    body = environ["wsgi.input"].read()
    try:
        event = json.loads(body or b"null")
    except ValueError:
        raise Refused("InvalidRequestContentException", "Could not parse request body into json.") from None
    if environ.get("HTTP_X_AMZ_INVOCATION_TYPE", "RequestResponse") != "RequestResponse":
        raise Refused("InvalidParameterValueException", "The rehearsal invokes functions and waits, nothing else.")
    printed = len(found.function.log())
    headers = {"X-Amz-Executed-Version": "$LATEST"}
    try:
        said = found.invoke(event)
    except FunctionError as failed:
        kind, _, message = str(failed).partition(": ")
        said = {"errorMessage": message, "errorType": kind} if message else {"errorMessage": kind}
        headers["X-Amz-Function-Error"] = "Unhandled"
    if environ.get("HTTP_X_AMZ_LOG_TYPE") == "Tail":
        tail = found.function.log()[printed:].encode()[-_LAST_OF_THE_LOG:]
        headers["X-Amz-Log-Result"] = base64.b64encode(tail).decode()
    return Response(json.dumps(said), 200, headers, content_type="application/json")


def _configuration(found: Deployed) -> dict[str, Any]:
    """Answer https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionConfiguration.html."""
    name = found.arn.rpartition(":")[2]
    everything = found.function.environment.items()
    own = {key: value for key, value in everything if not (key.startswith("AWS_") or key in _OF_THE_RUNTIME)}
    return {
        "FunctionName": name,
        "FunctionArn": found.arn,
        "Runtime": "python3.13",
        "Handler": found.handler,
        "Timeout": round(found.function.timeout_seconds),
        "MemorySize": 128,
        "Version": "$LATEST",
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "PackageType": "Zip",
        "Environment": {"Variables": own},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"},
    }


def _json(body: dict[str, Any]) -> Response:
    return Response(json.dumps(body), 200, content_type="application/json")
