"""What people do by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from rehearsal.docker_hub import Token
from rehearsal.invariants import Watched
from rehearsal.world import Shape, token_in
from rehearsal.year.almanac import Act

OURS = "dockerhub-rotation/"
PIN = "known-good"
SHAPE = Shape.ECS  # of the secret: it names the account, so it is the right one even where no token of it is left


def do(act: Act, world: Watched, client: Any) -> bool:
    """Do something; return False if there is nothing that it could be done to.

    Args:
        client: of Secrets Manager.
    """
    return _ACTS[act](world, client)


def _move_back(world: Watched, client: Any) -> bool:
    """As docs/how-it-works.md says: enable the previous token if it has not expired, and move AWSCURRENT."""
    labels = world.state()
    previous, current = labels.holder("AWSPREVIOUS"), labels.holder("AWSCURRENT")
    token = _token_under(world, "AWSPREVIOUS")
    if previous is None or current is None or token is None or token.expired(world.hub.moment):
        return False
    token.active = True
    client.update_secret_version_stage(
        SecretId=world.secret_arn, VersionStage="AWSCURRENT", MoveToVersionId=previous, RemoveFromVersionId=current
    )
    return True


def _overwrite(world: Watched, client: Any) -> bool:
    """Unless that is what somebody did last: of two stored by hand, one after the other, the first is left alone."""
    if not _is_ours(_token_under(world, "AWSCURRENT")):
        return False
    token = world.hub.add_token("stored by hand")
    value = SHAPE.compose(world.hub.username, token.value)
    client.put_secret_value(SecretId=world.secret_arn, SecretString=value)
    return True


def _pin(world: Watched, client: Any) -> bool:
    """Pin the current version, if its token's label names it."""
    current, token = world.state().holder("AWSCURRENT"), _token_under(world, "AWSCURRENT")
    if current is None or not _is_ours(token):
        return False
    client.update_secret_version_stage(SecretId=world.secret_arn, VersionStage=PIN, MoveToVersionId=current)
    return True


def _take_pin_off(world: Watched, client: Any) -> bool:
    pinned = world.state().holder(PIN)
    if pinned is None:
        return False
    client.update_secret_version_stage(SecretId=world.secret_arn, VersionStage=PIN, RemoveFromVersionId=pinned)
    return True


def _tidy_up(world: Watched, _client: Any) -> bool:
    disabled = [it.uuid for it in world.hub.tokens.values() if it.label.startswith(OURS) and not it.active]
    for uuid in disabled:
        del world.hub.tokens[uuid]
    return bool(disabled)


def _imitate(world: Watched, _client: Any) -> bool:
    secret = hashlib.sha256(world.secret_arn.encode()).hexdigest()[:16]
    world.hub.add_token(f"{OURS}{secret}/{world.state().holder('AWSCURRENT')} (copy)")
    return True


def _disable(world: Watched, _client: Any) -> bool:
    token = _ours_in_use(world)
    if token is None:
        return False
    token.active = False
    return True


def _delete(world: Watched, _client: Any) -> bool:
    token = _ours_in_use(world)
    if token is None:
        return False
    del world.hub.tokens[token.uuid]
    return True


def _ours_in_use(world: Watched) -> Token | None:
    """Return the token under AWSCURRENT, if it works and its label names its version.

    Where it does not, nobody can tell which token is dead, and all that it may be are left active, which is reported:
    see `tests/rotation/test_left_active.py`.
    """
    token = _token_under(world, "AWSCURRENT")
    return token if token and token.active and _is_ours(token) else None


def _is_ours(token: Token | None) -> bool:
    return token is not None and token.label.startswith(OURS)


def _token_under(world: Watched, label: str) -> Token | None:
    value = world.aws.value(world.secret_arn, label)
    return next((token for token in world.hub.tokens.values() if value and token.value == token_in(value)), None)


_ACTS: dict[Act, Callable[[Watched, Any], bool]] = {
    Act.MOVE_BACK: _move_back,
    Act.OVERWRITE: _overwrite,
    Act.PIN: _pin,
    Act.TAKE_PIN_OFF: _take_pin_off,
    Act.TIDY_UP: _tidy_up,
    Act.IMITATE: _imitate,
    Act.DISABLE: _disable,
    Act.DELETE: _delete,
}
