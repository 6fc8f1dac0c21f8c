"""The door of a served world: each request goes to its service, and what is not there is refused as AWS refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from werkzeug.wrappers import Response

from rehearsal.secret_descriptions import Refused
from rehearsal.served.protocols import answer, operation_of, refusal, service_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_QUERY = "<{operation}Response><{operation}Result>{result}</{operation}Result></{operation}Response>"

Asked = Callable[["WSGIEnvironment"], Response]


@dataclass
class Front:
    """The door.

    Args:
        services: what answers a request, by the name for which requests are signed. Raises Refused for what it refuses.

    Attributes:
        crashes: what went wrong in here, and was answered as an error of the service's own.
    """

    services: Mapping[str, Asked]
    crashes: list[Exception] = field(default_factory=list)

    def app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer any request: a WSGI application."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ = {**environ, "wsgi.input": BytesIO(body)}
        return self._answer(environ, body)(environ, start_response)

    def _answer(self, environ: WSGIEnvironment, body: bytes) -> Response:
        service = service_of(environ)
        try:
            _require_readable(environ, body)
            if not service:
                raise Refused("MissingAuthenticationToken", "The request is not signed.")
            if service not in self.services:
                there = ", ".join(sorted(self.services))
                raise Refused("NotImplemented", f"There is no {service} in this rehearsal, which has {there} alone.")
            return self.services[service](environ)
        except Refused as refused:
            return refusal(environ, refused, _STATUS.get(refused.code, 400))
        except NotImplementedError:  # moto does not have it
            return refusal(environ, _unknown(service, environ))
        except Exception as crash:  # noqa: BLE001 - whatever it is, whoever serves is told, and goes on
            self.crashes.append(crash)
            said = f"The rehearsal could not answer this: {type(crash).__name__}."
            return refusal(environ, Refused("InternalFailure", said), 500)


def _require_readable(environ: WSGIEnvironment, body: bytes) -> None:
    """Refuse a body that no service could read."""
    in_json = "HTTP_X_AMZ_TARGET" in environ
    try:
        if in_json and not isinstance(json.loads(body or b"{}"), dict):
            raise ValueError
        if "x-www-form-urlencoded" in environ.get("CONTENT_TYPE", ""):
            body.decode()
    except ValueError:
        raise Refused("SerializationException", "The request can't be read.") from None


# What is not here is no AccessDenied: nobody is to look for a permission. A client sends no 501 again.
_STATUS = {"ResourceNotFoundException": 404, "MissingAuthenticationToken": 403, "NotImplemented": 501}


def json_service(service: str, operations: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]) -> Asked:
    """Return what answers for a service that speaks JSON, with its operations."""

    def ask(environ: WSGIEnvironment) -> Response:
        operation = operation_of(environ, {})
        if operation not in operations:
            raise _unknown(service, environ)
        try:
            return answer(operations[operation](json.loads(environ["wsgi.input"].read() or b"{}")))
        except Refused as refused:  # in JSON every refusal is a 400
            return refusal(environ, refused)

    return ask


def query_service(service: str, operations: Mapping[str, Callable[[Mapping[str, str]], str]]) -> Asked:
    """Return what answers for a service that takes forms and answers in XML, with its operations."""

    def ask(environ: WSGIEnvironment) -> Response:
        form = dict(parse_qsl(environ["wsgi.input"].read().decode(), keep_blank_values=True))
        operation = operation_of(environ, form)
        if operation not in operations:
            raise Refused("InvalidAction", f"The rehearsal's {service} answers {', '.join(operations)} alone.")
        return Response(_QUERY.format(operation=operation, result=operations[operation](form)), content_type="text/xml")

    return ask


def wsgi_service(service: str, app: WSGIApplication) -> Asked:
    """Return what answers for a service that speaks JSON and is an application of its own."""

    def ask(environ: WSGIEnvironment) -> Response:
        if "HTTP_X_AMZ_TARGET" not in environ:
            raise _unknown(service, environ)
        return Response.from_app(app, environ, buffered=True)

    return ask


def _unknown(service: str, environ: WSGIEnvironment) -> Refused:
    return Refused("UnknownOperationException", f"The rehearsal's {service} knows no {operation_of(environ, {})}.")
