"""What the rooms share in reading requests and writing answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, TypeVar

import flask
from flask import Response, request

from rehearsal.docker_hub.tokens import Token

BODY_IS_INVALID = "body is invalid"

_Token = TypeVar("_Token", bound=Token)


def json_answer(status: int, /, **body: object) -> Response:
    """Answer with a JSON object."""
    response = flask.jsonify(body)
    response.status_code = status
    return response


def json_body() -> dict[str, Any]:
    """Return the JSON object of the request, an empty one if it is none."""
    body = request.get_json(silent=True)
    return body if isinstance(body, dict) else {}


def text(body: Mapping[str, Any], name: str) -> str:
    """Return a text of the body, an empty one if it is none."""
    value = body.get(name)
    return value if isinstance(value, str) else ""


def expiry(value: object, now: datetime) -> datetime | None:
    """Read an expiry date.

    Raises:
        ValueError: it is none, or not in the future.
    """
    if value is None:
        return None
    expires_at = datetime.fromisoformat(str(value))
    if expires_at.tzinfo is None or expires_at <= now:
        raise ValueError
    return expires_at.astimezone(UTC)


def rfc3339(moment: datetime, timespec: str = "auto") -> str:
    """Write a time as Docker Hub does."""
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")


def not_found() -> Response:
    """Answer that there is no such thing."""
    return json_answer(404, message="not found", errinfo={})


def page_of(
    tokens: Sequence[_Token], body: Callable[[_Token], object], largest: int, counted: Mapping[str, object]
) -> Response:
    """Answer with the page of the list that the request asks for.

    Args:
        tokens: all of them.
        body: what is told of each.
        largest: how many a page has at most.
        counted: what else is told on each page.
    """
    page, size = request.args.get("page", "1"), request.args.get("page_size", "10")
    if not (page.isdecimal() and size.isdecimal() and int(page) and int(size)):
        return json_answer(400, message="bad request", errinfo={})
    number, length = int(page), min(int(size), largest)
    ordered, end = sorted(tokens, key=shuffled), number * length
    if number > 1 and end - length >= len(ordered):
        return not_found()  # not published; an empty page is the easier case
    address = f"{request.base_url}?page_size={length}&page="
    return json_answer(
        200,
        next=f"{address}{number + 1}" if end < len(ordered) else None,
        previous=f"{address}{number - 1}" if number > 1 else None,
        results=[body(token) for token in ordered[end - length : end]],
        **counted,
    )


def shuffled(token: Token) -> bytes:
    """Sort key of the token list, whose order Docker leaves open: stable, and not that of creation."""
    return sha256(token.created_at.isoformat().encode()).digest()
