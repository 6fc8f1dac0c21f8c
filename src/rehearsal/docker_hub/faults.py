"""Wrong answers on order, and what was asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import NamedTuple

import flask
from flask import Response


@dataclass(frozen=True)
class Fault:
    """A wrong answer for the next request that matches, once.

    Args:
        method: HTTP method; `*` stands for any.
        path: Path without the query, exact or with the wildcards of `fnmatch`: `/v2/access-tokens/*`.
        status: HTTP status to answer with.
        body: What to answer: a string is sent as HTML, anything else as JSON.
        headers: Headers to add.
        after_effect: Whether the request is served first, so that only its answer is lost.
    """

    method: str
    path: str
    status: int
    body: object = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    after_effect: bool = False

    def matches(self, method: str, path: str) -> bool:
        """Whether a request with this method and path is the one to spoil."""
        return fnmatchcase(method, self.method) and fnmatchcase(path, self.path)

    def answer(self) -> Response:
        """Build the wrong answer, inside Flask's application context."""
        as_html = isinstance(self.body, str)
        response = Response(str(self.body), mimetype="text/html") if as_html else flask.jsonify(self.body)
        response.status_code = self.status
        response.headers.update(self.headers)
        return response


class Served(NamedTuple):
    """One line of the ledger: what was asked for, without query or body, and the status the client saw."""

    method: str
    path: str
    status: int
