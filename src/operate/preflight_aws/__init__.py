"""Preflight at AWS, with the operator's credentials: what a deployment needs there, looked at before anything is made.

Each finding is a row as preflight at Docker Hub has them: assumed, seen, and what it means. What may not be looked at
is not measured, and says which permission that takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from operate.preflight_aws import checks, permissions
from operate.preflight_aws.look import DENIED, NOT_THERE, Finding, Look, Refused, Wanted

__all__ = ["Finding", "Wanted", "measure"]

# By the name of the finding that stands for it where it may not be looked at.
_CHECKS: tuple[tuple[str, str, Callable[[Look], Iterator[Finding]]], ...] = (
    ("identity", checks.IDENTITY, checks.identity),
    ("permissions", permissions.ASSUMED, permissions.permissions),
    ("parameters", checks.PARAMETERS, checks.parameters),
    ("parameter-readers", checks.READERS, checks.readers),
    ("secret-name", checks.SECRET_NAME, checks.secret),
    ("function-name", checks.FUNCTION, checks.function),
    ("bucket-name", checks.BUCKET, checks.bucket),
    ("concurrency", checks.QUOTA, checks.quota),
    ("trail", checks.TRAIL, checks.trail),
    ("layer-region", checks.LAYER, checks.layer),
)


def measure(client: Callable[[str], Any], region: str, wanted: Wanted) -> list[Finding]:
    """Look at everything, and return what was found; nothing is raised for what may not be looked at.

    Args:
        client: makes a boto3 client of a service, in that Region.
    """
    look = Look(client, region, wanted)
    found: list[Finding] = []
    for name, assumed, check in _CHECKS:
        try:
            found += check(look)
        except Refused as refused:
            found.append(Finding(name, assumed, "not measured", str(refused), _remedy(refused), relied_on=False))
            if name == "identity":
                return [Finding(name, assumed, "otherwise", str(refused), _TRY_AGAIN)]
    return found


def _remedy(refused: Refused) -> str:
    if refused.code in DENIED:
        return "Look at it with credentials that may."
    if refused.code == NOT_THERE:
        return "What is asked there does not have it, whoever asks: AWS has, without AWS_ENDPOINT_URL."
    return "Run it again: the code tells what was in the way." if refused.code else _NO_ANSWER


_NO_ANSWER = "Check the network and whether the Region has the service, and run it again."
_TRY_AGAIN = "Check the credentials, the Region's name and the network, and run it again."
