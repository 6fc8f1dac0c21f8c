"""Filter patterns of CloudWatch Logs, as far as people and programs write them for a log in JSON.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html: terms (`ERROR "no answer" -DEBUG`,
and `?a ?b`, of which one is enough), and comparisons of fields (`{ $.secret = "arn:*" && $.milliseconds > 100 }`).
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any

from rehearsal.secret_descriptions import Refused

Matches = Callable[[str], bool]
_Condition = Callable[[Any], bool]

_TERM = re.compile(r'\s*(?P<sign>[?-]?)(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<word>[^\s"?{}-][^\s"{}]*))')
_TOKEN = re.compile(
    r'\s*(?P<token>\(|\)|&&|\|\||!=|>=|<=|=|>|<|\$(?:\.[\w@-]+|\[[0-9]+\])+|"(?:[^"\\]|\\.)*"|[^\s()"=<>!&|{}]+)'
)
_PLACE = re.compile(r"\.([\w@-]+)|\[([0-9]+)\]")
_ORDER = {">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le}
_ABSENT = object()


def read(pattern: str) -> Matches:
    """Return what tells whether a log event matches a pattern.

    Raises:
        Refused: it is none.
    """
    text = pattern.strip()
    if not text:
        return lambda _: True
    if text.startswith("{") and text.endswith("}"):
        condition = _Fields(text[1:-1]).whole()
        return lambda message: _holds(condition, message)
    return _terms(text)


def _terms(text: str) -> Matches:
    wanted: dict[str, list[str]] = {"": [], "?": [], "-": []}
    at = 0
    while at < len(text):
        found = _TERM.match(text, at)
        if found is None:
            raise _invalid()
        quoted = found["quoted"]
        wanted[found["sign"]].append(found["word"] if quoted is None else _unescaped(quoted))
        at = found.end()
    all_of, any_of, none_of = wanted[""], wanted["?"], wanted["-"]

    def matches(message: str) -> bool:
        # Beside a term that has to be there, one that may be there makes no difference.
        return (
            all(term in message for term in all_of)
            and (bool(all_of) or not any_of or any(term in message for term in any_of))
            and not any(term in message for term in none_of)
        )

    return matches


def _holds(condition: _Condition, message: str) -> bool:
    try:
        document = json.loads(message)
    except ValueError:
        return False
    return isinstance(document, dict) and condition(document)


class _Fields:
    """The comparisons between braces: `&&` binds closer than `||`."""

    def __init__(self, text: str) -> None:
        self._tokens = []
        at, end = 0, len(text.rstrip())
        while at < end:
            found = _TOKEN.match(text, at)
            if found is None:
                raise _invalid()
            self._tokens.append(found["token"])
            at = found.end()

    def whole(self) -> _Condition:
        condition = self._any_of()
        if self._tokens:
            raise _invalid()
        return condition

    def _any_of(self) -> _Condition:
        parts = [self._all_of()]
        while self._next_is("||"):
            parts.append(self._all_of())
        return lambda document: any(part(document) for part in parts)

    def _all_of(self) -> _Condition:
        parts = [self._one()]
        while self._next_is("&&"):
            parts.append(self._one())
        return lambda document: all(part(document) for part in parts)

    def _one(self) -> _Condition:
        if self._next_is("("):
            condition = self._any_of()
            if not self._next_is(")"):
                raise _invalid()
            return condition
        place = self._take()
        if not place.startswith("$"):
            raise _invalid()
        places = [int(index) if index else name for name, index in _PLACE.findall(place)]
        return _compared(places, self._take(), self._take())

    def _next_is(self, token: str) -> bool:
        if self._tokens[:1] == [token]:
            del self._tokens[0]
            return True
        return False

    def _take(self) -> str:
        if not self._tokens:
            raise _invalid()
        return self._tokens.pop(0)


def _compared(places: Iterable[str | int], how: str, value: str) -> _Condition:
    match how.upper(), value.upper():
        case "IS", "NULL":
            return lambda document: _at(document, places) is None
        case "IS", "TRUE":
            return lambda document: _at(document, places) is True
        case "IS", "FALSE":
            return lambda document: _at(document, places) is False
        case "NOT", "EXISTS":
            return lambda document: _at(document, places) is _ABSENT
        case (("=" | "!="), _):
            # A field that is not there is not different either.
            return lambda document: (
                _at(document, places) is not _ABSENT and _is(_at(document, places), value) is (how == "=")
            )
        case ((">" | "<" | ">=" | "<="), _):
            number = _number(value)
            if number is None:
                raise _invalid()
            return lambda document: (
                _is_number(_at(document, places)) and bool(_ORDER[how](_at(document, places), number))
            )
    raise _invalid()


def _at(document: Any, places: Iterable[str | int]) -> Any:
    for place in places:
        named = isinstance(document, dict) and place in document
        numbered = isinstance(document, list) and isinstance(place, int) and place < len(document)
        if not (named or numbered):
            return _ABSENT
        document = document[place]
    return document


def _is(found: Any, value: str) -> bool:
    """Tell whether a field has a value, in which an asterisk stands for any text, also between quotation marks."""
    if _is_number(found) and (number := _number(value)) is not None:
        return bool(found == number)
    wanted = _unescaped(value[1:-1]) if value.startswith('"') else value
    return isinstance(found, str) and fnmatchcase(found, re.sub(r"([\[?])", r"[\1]", wanted))


def _is_number(found: Any) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool)


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _unescaped(quoted: str) -> str:
    return re.sub(r"\\(.)", r"\1", quoted)


def _invalid() -> Refused:
    return Refused("InvalidParameterException", "Invalid filter pattern")
