"""Nothing is taken away, or moved, unless somebody has said yes to it."""

from __future__ import annotations

import sys

from operate.show import Problem, Show


def require_yes(show: Show, question: str, nothing: str, *, sure: bool, confirmed: str) -> None:
    """Ask whether it is meant.

    Args:
        nothing: what is so if it is not, as in "Nothing is deleted".
        sure: whether to do it without asking.
        confirmed: the command that says so.

    Raises:
        Problem: it is not, or nobody is there to ask.
    """
    if sure:
        return
    if not sys.stdin.isatty():
        raise Problem(f"{nothing}: nobody is there to confirm it. Run `{confirmed}` if it is meant.")
    if show.ask(f"{question} [y/N]").strip().lower() not in ("y", "yes"):
        raise Problem(f"{nothing}.")
