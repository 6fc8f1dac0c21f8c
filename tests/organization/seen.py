"""Worlds in which the secret gets an organization's token, and what can be seen of them."""

from collections.abc import Iterable
from typing import Any

from rehearsal.docker_hub import OrganizationToken, Resource
from rehearsal.world import ORGANIZATION, Scene, World, token_in

ROTATED = ["RotationStarted", "RotationSucceeded"]
REFUSED = ["RotationStarted"] + ["RotationFailed"] * 5
# The simulated organization may have as many; four in five of the other tokens are its own.
ROOM = {"DOCKERHUB_ORGANIZATION_QUOTA": "100"}

APP = Resource("TYPE_REPO", f"{ORGANIZATION}/app", ("scope-image-pull",))
PULL_ALL = Resource("TYPE_REPO", f"{ORGANIZATION}/*", ("scope-image-pull",))
PUSH_ALL = Resource("TYPE_REPO", f"{ORGANIZATION}/*", ("scope-image-pull", "scope-image-push"))


def scene(*, others: int = 0, environment: dict[str, str] | None = None, **how: Any) -> Scene:
    """Return a scene with an organization. Arguments as for `Scene`."""
    return Scene(organization=ORGANIZATION, others=others, environment=ROOM | (environment or {}), **how)


def tokens(world: World) -> list[OrganizationToken]:
    return [token for token in world.hub.tokens.values() if isinstance(token, OrganizationToken)]


def under(world: World, label: str = "AWSCURRENT") -> OrganizationToken:
    """Return the token whose value is stored under a staging label."""
    value = token_in(world.aws.value(world.secret_arn, label) or "")
    return next(token for token in tokens(world) if token.value == value)


def set_tag(world: World, value: str, name: str = "organization") -> None:
    world.client.tag_resource(SecretId=world.secret_arn, Tags=[{"Key": f"dockerhub-rotation:{name}", "Value": value}])


def remove_tag(world: World) -> None:
    world.client.untag_resource(SecretId=world.secret_arn, TagKeys=["dockerhub-rotation:organization"])


def error_of(world: World) -> str:
    return next(run.error for run in reversed(world.steps) if run.error) or ""


def rights(token: OrganizationToken) -> set[tuple[str, str, frozenset[str]]]:
    return {(it.type, it.path, frozenset(it.scopes)) for it in token.resources}


def of(resources: Iterable[Resource]) -> set[tuple[str, str, frozenset[str]]]:
    return {(it.type, it.path, frozenset(it.scopes)) for it in resources}
