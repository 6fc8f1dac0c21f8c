"""What the caretaker's answers and log say, and worlds that it may find."""

import json
from typing import Any

from dockerhub_rotation.token_labels import label_for
from rehearsal.docker_hub import Token
from rehearsal.world import FUNCTION_ARN, World

HOUR, DAY = 3_600, 86_400


def findings(answer: Any, arn: str = "") -> list[str]:
    """Return the names of what was found: of one secret, or of the only one there is."""
    (secret,) = (it for it in answer["Secrets"] if arn in ("", it["SecretId"]))
    return [finding["Finding"] for finding in secret["Findings"]]


def messages(answer: Any) -> str:
    return " ".join(finding["Message"] for secret in answer["Secrets"] for finding in secret["Findings"])


def counts(answer: Any) -> tuple[int, int, int]:
    """Return how many secrets were checked, are unknown, and need attention."""
    return answer["SecretsChecked"], answer["SecretsUnknown"], answer["SecretsNeedAttention"]


def facts(answer: Any) -> dict[str, Any]:
    (secret,) = answer["Secrets"]
    return dict(secret["Facts"])


def lines(world: World) -> list[dict[str, Any]]:
    """Return what the caretaker has logged, in order."""
    return [json.loads(line) for line in world.caretaker.log().splitlines() if line.startswith("{")]


def metrics(world: World) -> list[dict[str, Any]]:
    return [line for line in lines(world) if "_aws" in line]


def names(world: World, since: int = 0) -> list[str]:
    """Return the requests since the ledger had a length, by name."""
    return [request.name for request in world.wire.requests[since:]]


def rotated_secret(world: World, name: str) -> str:
    """Make another secret that the function rotates, as a rotation that ended well leaves it; return its ARN."""
    token = world.hub.add_token("to be labelled")
    arn = world.aws.create_secret(name, token.value)
    (version,) = world.aws.labels(arn)
    token.label = label_for(arn, version)
    world.aws.attach(arn, FUNCTION_ARN)
    return arn


def of_version(world: World, version: str) -> Token:
    """Return the token that was made for a version of the secret."""
    label = label_for(world.secret_arn, version)
    return next(token for token in world.hub.tokens.values() if token.label.startswith(label))


def store_by_hand(world: World, arn: str, value: str) -> None:
    world.client.put_secret_value(SecretId=arn, SecretString=value)
