"""What can be seen of a world from outside: who holds a label, which tokens there are, what the function has said."""

import json
from typing import Any

from rehearsal.docker_hub import Token
from rehearsal.world import World, token_in

COUNTS = ("disabled", "deleted", "orphans", "unidentified", "left", "gone", "in_grace", "still_used")
METRICS = (
    *("TokensRetired", "OrphansDeleted", "TokensUnidentified"),
    *("TokensLeftActive", "SupersededTokensStillUsed"),
)


def holder(world: World, label: str) -> str:
    """Return the version that carries a staging label, which there must be."""
    version = world.state().holder(label)
    assert version is not None
    return version


def event(world: World, step: str, label: str = "AWSPENDING") -> dict[str, object]:
    """Return the event of a step for the version that carries a staging label."""
    return {"Step": step, "SecretId": world.secret_arn, "ClientRequestToken": holder(world, label)}


def token_under(world: World, label: str = "AWSCURRENT") -> Token:
    """Return the token whose value is stored under a staging label."""
    value = token_in(world.aws.value(world.secret_arn, label) or "")
    return next(token for token in world.hub.tokens.values() if token.value == value)


def hand_made(world: World) -> Token:
    """Return the token with which the secret began."""
    return next(token for token in world.hub.tokens.values() if token.label == "made by hand")


def ours(world: World) -> dict[str, bool]:
    """Return every token that is labelled as this product's: the version in the label, and whether it is active."""
    tokens = [token for token in world.hub.tokens.values() if token.label.startswith("dockerhub-rotation/")]
    versions = {token.label.rpartition("/")[2].partition(" ")[0]: token.active for token in tokens}
    assert len(versions) == len(tokens), "two tokens for one version"
    return versions


def lines(world: World) -> list[dict[str, Any]]:
    """Return what the function has logged, in order."""
    return [json.loads(line) for line in world.function.log().splitlines() if line.startswith("{")]


def finished(world: World) -> tuple[str, dict[str, int]]:
    """Return what the last step that counted tokens has said, and the counts: all but those that are 0.

    The metrics say the same, or it fails.
    """
    said = lines(world)
    line = next(line for line in reversed(said) if "unidentified" in line)
    counts = {name: int(line[name]) for name in COUNTS}
    metrics = next(line for line in reversed(said) if "TokensUnidentified" in line)
    retired = counts["disabled"] + counts["deleted"]
    numbers = (retired, counts["orphans"], counts["unidentified"], counts["left"], counts["still_used"])
    assert [metrics[name] for name in METRICS] == [[number] for number in numbers]
    return line["message"], {name: count for name, count in counts.items() if count}


def warnings(world: World) -> list[str]:
    """Return what the function has warned of so far."""
    return [line["message"] for line in lines(world) if line.get("level") == "WARNING"]


def asked(world: World, since: int = 0) -> list[str]:
    """Return the requests to Docker Hub since the ledger had a length, by name."""
    return [request.name for request in world.wire.requests[since:] if request.party == "Docker Hub"]
