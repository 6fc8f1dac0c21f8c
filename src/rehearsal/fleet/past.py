"""What happened before: the secrets as they were made, and what somebody has done to the tokens since."""

from __future__ import annotations

from typing import Any

from dockerhub_rotation import token_labels
from rehearsal.docker_hub import DockerHub
from rehearsal.fleet.scenes import Past, Scene
from rehearsal.secrets_manager import Aws
from rehearsal.world import FUNCTION_ARN, PLACEHOLDER

_OURS = "dockerhub-rotation/"


def furnish(scene: Scene, aws: Aws, hub: DockerHub, client: Any) -> list[str]:
    """Make the secrets as they were at first, and return their ARNs.

    Args:
        client: of Secrets Manager.
    """
    shared = hub.add_token("made by hand for all").value if scene.past is Past.SHARED else None

    def made(number: int) -> str:
        name = f"team-{number + 1}/dockerhub-token"
        if scene.past is Past.DUE_AT_ONCE and number % 4 == 1:
            return aws.create_secret(name, PLACEHOLDER)
        arn = aws.create_secret(name, shared or hub.add_token(f"made by hand for {name}").value)
        if scene.past is Past.WATCHED or (scene.past is Past.DUE_AT_ONCE and number % 4 > 1):
            _pretend_rotation(arn, aws, hub, client)
        if scene.past is Past.WATCHED:
            aws.attach(arn, FUNCTION_ARN)
        return arn

    return [made(number) for number in range(scene.secrets)]


def _pretend_rotation(arn: str, aws: Aws, hub: DockerHub, client: Any) -> None:
    """Leave everything as a rotation that ended well does, without the time that it takes."""
    (former,) = aws.labels(arn)
    superseded = next(token for token in hub.tokens.values() if token.value == aws.value(arn))
    superseded.label, superseded.active = token_labels.label_for(arn, former), False
    token = hub.add_token("to be labelled")
    answer = client.put_secret_value(SecretId=arn, SecretString=token.value)
    token.label = token_labels.label_for(arn, answer["VersionId"])
    aws.mark_rotated(arn)


def delete_by_hand(past: Past, hub: DockerHub) -> frozenset[str]:
    """Delete the tokens that somebody has deleted since, and return their values."""
    if past not in (Past.TIDIED_UP, Past.LEAKED):
        return frozenset()
    leaked = past is Past.LEAKED
    gone = {
        uuid: token.value
        for uuid, token in hub.tokens.items()
        if token.label.startswith(_OURS) and token.active is leaked
    }
    for uuid in gone:
        del hub.tokens[uuid]
    return frozenset(gone.values())
