"""What happened before: the secrets as they were made, and what somebody has done to the tokens since."""

from __future__ import annotations

from typing import Any

from dockerhub_rotation import token_labels
from rehearsal.docker_hub import DockerHub, Token
from rehearsal.fleet.scenes import Past, Scene
from rehearsal.secrets_manager import Aws
from rehearsal.world import FUNCTION_ARN, ORGANIZATION, PLACEHOLDER, organization_tags

_OURS = "dockerhub-rotation/"


def furnish(scene: Scene, aws: Aws, hub: DockerHub, client: Any) -> list[str]:
    """Make the secrets as they were at first, and return their ARNs.

    Args:
        client: of Secrets Manager.
    """
    shared = {kind: _add(hub, "made by hand for all", kind).value for kind in _kinds(scene)}

    def made(number: int) -> str:
        name = f"team-{number + 1}/dockerhub-token"
        kind = ORGANIZATION if scene.is_of_an_organization(number) else None
        tags = organization_tags(kind)
        if scene.past is Past.DUE_AT_ONCE and number % 4 == 1:
            return aws.create_secret(name, PLACEHOLDER, tags)
        arn = aws.create_secret(name, shared.get(kind) or _add(hub, f"made by hand for {name}", kind).value, tags)
        if scene.past is Past.WATCHED or (scene.past is Past.DUE_AT_ONCE and number % 4 > 1):
            _pretend_rotation(arn, aws, hub, client, kind)
        if scene.past is Past.WATCHED:
            aws.attach(arn, FUNCTION_ARN)
        return arn

    return [made(number) for number in range(scene.secrets)]


def _kinds(scene: Scene) -> list[str | None]:
    """Return the kinds of token that secrets share."""
    return [*([ORGANIZATION] if scene.mixed else []), None] if scene.past is Past.SHARED else []


def _add(hub: DockerHub, label: str, organization: str | None) -> Token:
    return hub.add_organization_token(organization, label) if organization else hub.add_token(label)


def _pretend_rotation(arn: str, aws: Aws, hub: DockerHub, client: Any, organization: str | None) -> None:
    """Leave everything as a rotation that ended well does, without the time that it takes."""
    (former,) = aws.labels(arn)
    superseded = next(token for token in hub.tokens.values() if token.value == aws.value(arn))
    superseded.label, superseded.active = token_labels.label_for(arn, former), False
    token = _add(hub, "to be labelled", organization)
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
