"""How a message is told at a terminal: sentences wrapped to its width, and each command whole, on a line of its own."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterator
from typing import TextIO

# Sentences of more signs in a line are hard to read, however wide the terminal is.
_WIDEST = 120
_NARROWEST = 30
_USUAL = 80
# How far below its beginning the rest of an entry begins, at most.
_HANGS = 11

_COMMAND = r"(?:\w+=(?:'[^']*'|[^\s'])* )*(?:aws|make|dockerhub-rotation|echo|read) [^`]+"
_QUOTED = re.compile(rf"`({_COMMAND})`")
_ALONE = re.compile(rf" +{_COMMAND}")


def columns(stream: TextIO) -> int:
    """Return how many signs a line of a terminal takes; what nobody can tell is the usual number."""
    try:
        return int(os.environ["COLUMNS"]) or _USUAL
    except (KeyError, ValueError):
        pass
    try:
        return os.get_terminal_size(stream.fileno()).columns or _USUAL
    except (OSError, ValueError, AttributeError):
        return _USUAL


def laid_out(text: str, width: int, beginning: str = "") -> str:
    """Return a text as it is told at a terminal.

    A command keeps to one line, however long: the terminal wraps it, and what is copied there has no line ends.

    Args:
        text: sentences, with commands in backticks, or lines of our own, with commands indented.
        width: of the terminal, in signs.
        beginning: stands before the first line, and the rest hangs below it.
    """
    width = max(_NARROWEST, min(width, _WIDEST))
    first, *rest = text.split("\n")
    hangs = " " * min(len(beginning), _HANGS)
    lines = [*_line(first, width, beginning, hangs)]
    for line in rest:
        lines += _line(line, width, hangs, hangs)
    return "\n".join(lines)


def _line(text: str, width: int, beginning: str, hangs: str) -> Iterator[str]:
    """Yield what becomes of one line."""
    said = text.lstrip(" ")
    indent = text[: len(text) - len(said)]
    if _ALONE.fullmatch(text) or not said:
        yield (beginning + text).rstrip()
        return
    beginning, hangs = beginning + indent, hangs + indent
    # Sentences and commands take turns.
    parts = _QUOTED.split(said)
    for number, part in enumerate(parts):
        if number % 2:
            if beginning.strip():
                yield beginning.rstrip()
            yield f"{hangs}  {part}"
            beginning = hangs
        elif sentence := _sentence(part, follows=number > 0, leads=number < len(parts) - 1):
            yield from _wrapped(sentence, width, beginning, hangs)
            beginning = hangs


def _sentence(part: str, *, follows: bool, leads: bool) -> str:
    """Return what stands before, between or after commands without the signs that held these in the sentence.

    Args:
        follows: whether it stands after a command.
        leads: whether a command comes after it.
    """
    if follows:
        part = part.lstrip(").,;: ")
    part = part.strip()
    if part.count("(") > part.count(")"):
        before, _, after = part.rpartition("(")
        part = f"{before}{after}"
    elif part.count(")") > part.count("("):
        part = part.replace(")", "", 1)
    part = part.strip()
    return f"{part}:" if leads and part[-1:].isalnum() else part


def _wrapped(sentence: str, width: int, beginning: str, hangs: str) -> list[str]:
    """Return lines of that width; a word of more, such as an ARN, stays whole."""
    return textwrap.wrap(
        sentence,
        width,
        initial_indent=beginning,
        subsequent_indent=hangs,
        break_long_words=False,
        break_on_hyphens=False,
    )
