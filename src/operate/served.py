"""Which secrets the function serves: names, and beginnings of names, in the parameter Secrets of its stack."""

from __future__ import annotations

from operate.settings import SECRETS
from operate.show import Problem
from operate.typed import command


def require_served(secret: str, served: str) -> None:
    """Look whether the function gives a secret a token.

    Args:
        served: the parameter Secrets.

    Raises:
        Problem: it does not, with the command that has it do so.
    """
    if any(secret.startswith(name[:-1]) if name.endswith("*") else secret == name for name in served.split(",")):
        return
    widened = command("deploy", only="function", function_parameters=f'"{SECRETS}={served},{secret}"')
    raise Problem(
        f"The function serves no secret {secret}, but {served}: a rotation of it would fail. If it is to have a token, "
        f"run this first:\n  {widened}"
    )
