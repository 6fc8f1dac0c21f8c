"""What people and programs get to see: progress at a terminal, lines in a pipe, one document for programs.

Everything that is said goes through here, so that what was entered in secret is taken out of it in one place.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TextIO
from urllib.parse import quote

from operate.layout import columns, laid_out

_COLOURS = {
    **dict.fromkeys(("ERROR", "FAILED", "BROKEN"), "red"),
    **dict.fromkeys(("WARNING", "ATTENTION", "UNKNOWN"), "yellow"),
    **dict.fromkeys(("COMPLETE", "INFO"), "green"),
}

# Of a result, what has words of the commands alone.
_OUR_WORDS = ("command", "change")


class Problem(Exception):
    """What keeps a command from its end, in a sentence that names the remedy."""


def printable(text: str) -> str:
    """Return a text in which everything that a terminal would obey, and not show, stands as in a program's source.

    What logs, labels and answers quote may be anybody's: it must not clear a line, colour it, or turn its direction.
    """
    return "".join(sign if sign.isprintable() or sign == "\n" else repr(sign)[1:-1] for sign in text)


def in_one_line(text: str) -> str:
    """Return a text without line breaks: who has written it must not add lines that look like others'."""
    return " ".join(text.splitlines())


class Show:
    """Plain lines, at once: for a pipe, a log, or whoever reads standard error.

    Args:
        stream: where to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._hidden: set[str] = set()

    def hide(self, secret: str) -> None:
        """Take a secret out of everything that is said from now on, in each form in which it may be quoted."""
        forms = {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], quote(secret, safe=""), " ".join(secret.split())}
        self._hidden |= forms - {""}

    def without_secrets(self, text: str) -> str:
        """Return a text in which nothing is left that was entered in secret."""
        for secret in sorted(self._hidden, key=len, reverse=True):
            text = text.replace(secret, "[hidden]")
        return text

    def line(self, text: str) -> None:
        """Say a sentence, or several lines of our own."""
        self._write("", text)

    def step(self, word: str, text: str) -> None:
        """Say what has come of a step, in one line."""
        self._write(f"{word:<9} ", in_one_line(text))

    def detail(self, text: str) -> None:
        """Say in one line something about the step that is under way, or has just been told."""
        self._write(" " * 10, in_one_line(text))

    def entry(self, heading: str, text: str) -> None:
        """Say in one line what has a heading: when and where it was, or what it is."""
        self._write(heading, in_one_line(text), colour="")

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Say one line for each row, its cells below each other."""
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            self._print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:  # noqa: ARG002 - what a terminal shows, and takes back
        """Say, where that can be taken back, what is waited for."""
        yield

    def ask(self, question: str) -> str:
        """Ask whoever is at the terminal, and return the answer."""
        print(self._laid_out(question, self._stream), end=" ", file=self._stream, flush=True)
        return input()

    def problem(self, command: str, text: str) -> str:
        """Say on standard error what kept a command from its end, and return what was said."""
        print(self._laid_out(f"{command}: {text}", sys.stderr), file=sys.stderr, flush=True)
        return self.without_secrets(text)

    def document(self, result: Mapping[str, object]) -> None:
        """Print a command's result, for a program, on standard output."""
        print(json.dumps({key: self._value(key, it) for key, it in result.items()}, indent=2), flush=True)

    def _value(self, key: str, value: object) -> object:
        """Return a value of the document without secrets. In keys and in our own words a secret is no secret."""
        match value:
            case str() if key not in _OUR_WORDS:
                return self.without_secrets(value)
            case Mapping():
                return {name: self._value(str(name), it) for name, it in value.items()}
            case list() | tuple():
                return [self._value(key, it) for it in value]
        return value

    def _laid_out(self, text: str, stream: TextIO, beginning: str = "") -> str:
        """Return a text as it may be shown: as one string, but at a terminal."""
        said = printable(self.without_secrets(text))
        return laid_out(said, columns(stream), beginning) if stream.isatty() else beginning + said

    def _write(self, beginning: str, text: str, colour: str = "bold cyan") -> None:
        self._print(self._laid_out(text, self._stream, beginning), (len(beginning), colour))

    def _print(self, said: str, beginning: tuple[int, str] = (0, "")) -> None:  # noqa: ARG002 - no colour in a pipe
        """Print what is laid out already, as a row of a table is.

        Args:
            beginning: how many signs are coloured at a terminal, and how.
        """
        print(said, file=self._stream, flush=True)


class Terminal(Show):
    """Colour, and progress that moves, for somebody who watches."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        from rich.console import Console  # in a pipe nobody waits for its import

        self._console = Console(file=stream, highlight=False)

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Show that it goes on, and for how long it has."""
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.table import Column

        # How long comes first: what does not fit a narrow terminal is cut off at the end.
        cut = Column(no_wrap=True, overflow="ellipsis")
        told = TextColumn("{task.description}", markup=False, table_column=cut)
        elapsed = TimeElapsedColumn(table_column=Column(no_wrap=True, min_width=7))
        with Progress(SpinnerColumn(), elapsed, told, console=self._console, transient=True) as progress:
            progress.add_task(printable(self.without_secrets(text)), total=None)
            yield

    def _print(self, said: str, beginning: tuple[int, str] = (0, "")) -> None:
        from rich.text import Text

        shown = Text(said)
        for word, colour in _COLOURS.items():
            shown.highlight_regex(rf"\b\w*{word}\b", style=colour)
        if beginning[1]:
            shown.stylize(beginning[1], 0, beginning[0])
        # Not wrapped once more: a command and an ARN are there to be copied.
        self._console.print(shown, soft_wrap=True)


def shown(*, as_json: bool) -> Show:
    """Return what suits standard output; with JSON there, everything else is said on standard error."""
    stream = sys.stderr if as_json else sys.stdout
    return Terminal(stream) if stream.isatty() else Show(stream)
