"""A secret's value as a JSON object: read it, write it back as it was, and name what is in it without showing it."""

import json
import re
from collections.abc import Iterator
from typing import Any, TypeGuard
from uuid import uuid4

from dockerhub_rotation.encodings import layers
from dockerhub_rotation.errors import SecretUnusable

# What a token can't be without: one from before 2021 is a UUID (https://github.com/docker/hub-tool/pull/43).
TOKEN_WITHIN = re.compile(r"dckr_|[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)

# A number keeps the form in which it was written, which no float does (1.10, 1E5): until JSON is written again it is a
# text behind this mark, which no secret holds.
_MARK = uuid4().hex
_MARKED_NUMBER = re.compile(f'"{_MARK}([^"]*)"')

# The rest of a token, without what it begins with: so many signs of all kinds in a row are no word.
_RANDOM = re.compile(r"(?<![\w-])(?=[\w-]*[0-9])(?=[\w-]*[a-z])(?=[\w-]*[A-Z])[\w-]{20,}")

_STEPS_SHOWN = 4  # of the way to a text; the first ones are what people know it by


class _Number(str):
    """A number as it was written, behind the mark."""

    __slots__ = ()


def read(text: str) -> dict[str, Any]:
    """Return the JSON object that a text is.

    Raises:
        SecretUnusable: it is none, or has a key twice, or could not be written again.
    """
    document = read_or_none(text)
    if document is None:
        raise SecretUnusable(
            "The secret looks like JSON but can't be read as such (or has a key twice). Mend its current value."
        )
    if not isinstance(document, dict):
        raise SecretUnusable("The secret is JSON but not an object. Store plain text or a JSON object.")
    return document


def write(document: dict[str, Any], like: str) -> str:
    """Return a document as JSON: numbers as they were read, and letters beyond ASCII escaped if the old text did so."""
    return _MARKED_NUMBER.sub(r"\1", json.dumps(document, ensure_ascii=like.isascii()))


def read_or_none(text: str) -> object:
    """Return what a JSON text says, or None if it can't be read: JSON's own errors carry the whole text."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError
        return dict(pairs)

    def refuse(_constant: str) -> None:
        raise ValueError

    def number(written: str) -> _Number:
        return _Number(_MARK + written)

    try:
        document = json.loads(
            text, object_pairs_hook=unique, parse_constant=refuse, parse_float=number, parse_int=number
        )
        text.encode()
    except (ValueError, RecursionError):
        return None
    return document


def texts(document: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Return every text in a document, keys included, each with the first keys of those that lead to it."""
    waiting: list[tuple[tuple[str, ...], object]] = [
        ((), document)
    ]  # no recursion: JSON may be deeper than Python goes
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            yield from (((*path, key)[:_STEPS_SHOWN], key) for key in value)
            waiting += [((*path, key)[:_STEPS_SHOWN], inner) for key, inner in value.items()]
        elif isinstance(value, list):
            waiting += [(path, inner) for inner in value]
        elif is_text(value):
            yield path, value


def shown(name: str) -> str:
    """Return a key or a server's name as it may be shown: short, printable, and nothing that holds a secret."""
    if "@" in name or _RANDOM.search(name) or any(TOKEN_WITHIN.search(layer) for layer in layers(name)):
        return "(a name that is not shown)"
    return "".join(sign if sign.isprintable() else "?" for sign in name[:60]) + "..." * (len(name) > 60)


def is_text(value: object) -> TypeGuard[str]:
    """Tell a text from anything else, numbers too, which are kept as texts behind a mark."""
    return isinstance(value, str) and not isinstance(value, _Number)
