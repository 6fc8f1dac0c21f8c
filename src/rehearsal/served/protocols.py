"""AWS's refusals, each in a form that the client of its service reads.

https://smithy.io/2.0/aws/protocols/index.html has one page for each of these forms.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from werkzeug.wrappers import Response

from rehearsal.secret_descriptions import Refused

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_SIGNED_FOR = re.compile(r"Credential=[^/]+/[0-9]{8}/[^/]+/(?P<service>[^/]+)/aws4_request")
_REST_XML = {"s3", "s3express", "route53", "cloudfront"}


def service_of(environ: WSGIEnvironment) -> str:
    """Return for which service a request is signed, by the name that its signature gives it; empty if it is not."""
    signed = _SIGNED_FOR.search(environ.get("HTTP_AUTHORIZATION", ""))
    return signed["service"] if signed else ""


def operation_of(environ: WSGIEnvironment, form: Mapping[str, str]) -> str:
    """Return what is asked for, as far as a request says it before its service reads it."""
    target = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    return target or form.get("Action") or f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"


def answer(body: Mapping[str, Any], status: int = 200) -> Response:
    """Answer in JSON."""
    return Response(json.dumps(body), status, content_type="application/x-amz-json-1.1")


def refusal(environ: WSGIEnvironment, refused: Refused, status: int = 400) -> Response:
    """Refuse a request in the form of its protocol."""
    code, message = refused.code, refused.message
    sent, service = environ.get("CONTENT_TYPE", ""), service_of(environ)
    if "HTTP_X_AMZ_TARGET" not in environ and (service in _REST_XML or "x-www-form-urlencoded" in sent):
        return Response(_xml(service, escape(code), escape(message)), status, content_type="text/xml")
    refusing = answer({"__type": code, "message": message}, status)
    refusing.headers["x-amzn-errortype"] = code
    return refusing


def _xml(service: str, code: str, message: str) -> str:
    said = f"<Code>{code}</Code><Message>{message}</Message>"
    if service == "s3":
        return f"<Error>{said}</Error>"
    return f"<ErrorResponse><Error><Type>Sender</Type>{said}</Error></ErrorResponse>"
