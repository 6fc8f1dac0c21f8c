"""Texts inside texts: what a text says once its encodings are undone, one inside the other.

So a copy of a token is found in whatever it is wrapped. Undone are base64 and base64url, hexadecimal, the escapes of
JSON and percent-encoding, up to eight deep. Not undone are compression and encryption.
"""

import base64
import re
from collections.abc import Iterator
from urllib.parse import unquote

_DEEPEST = 8

# What may be base64 or hexadecimal; shorter ones hold nothing that would be looked for.
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}")
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]{16,}")

_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_WHITE_SPACE = {"b": " ", "f": " ", "n": "\n", "r": "\r", "t": "\t"}


def layers(text: str) -> Iterator[str]:
    """Return the text itself, and every text that may be encoded in it or in a part of it.

    Most of them say nothing: whatever looks like base64 is taken for it, from each of the four places where it may
    begin, because other characters may stand before it without a gap. Each byte that was encoded becomes one character
    (as in ISO 8859-1), but for zeros, which are left out: so UTF-16 can be read as well.
    """
    level = {text}
    for _ in range(_DEEPEST + 1):
        yield from level
        level = {inner for outer in level for inner in _decoded(outer)} - level


def _decoded(text: str) -> Iterator[str]:
    """Return what the text becomes if one kind of encoding is undone in all its parts."""
    yield _ESCAPE.sub(_unescaped, text)
    yield unquote(text)
    unbroken = "".join(text.split())  # base64 is often broken into lines
    for start in range(4):
        yield " ".join(_from_base64(run[start:]) for run in _BASE64.findall(unbroken))
    for start in range(2):
        yield " ".join(_from_hexadecimal(run[start:]) for run in _HEXADECIMAL.findall(unbroken))


def _unescaped(escape: re.Match[str]) -> str:
    if escape[1]:
        return chr(int(escape[1], base=16))
    return _WHITE_SPACE.get(escape[2], escape[2])


def _from_base64(run: str) -> str:
    if len(run) % 4 == 1:
        run = run[:-1]  # six bits of nothing
    return _text(base64.b64decode(run.replace("-", "+").replace("_", "/") + "=" * (-len(run) % 4)))


def _from_hexadecimal(run: str) -> str:
    return _text(bytes.fromhex(run[: len(run) // 2 * 2]))


def _text(content: bytes) -> str:
    return content.decode("latin-1").replace("\0", "")
