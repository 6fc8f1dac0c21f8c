"""What must hold: after every single request of the function, and at the end of a rotation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from rehearsal.wire import Request
from rehearsal.world import PLACEHOLDER, State, World

WORKS = "AWSCURRENT logs in at Docker Hub"
RETIRE_LAST = "no token is retired while AWSCURRENT holds it"
ONLY_OURS = "no token of anybody else is touched"
NO_REMAINS = "one active token of ours, the previous one disabled, nothing else"
REPEATABLE = "every step once more changes nothing"
NO_LEAK = "no secret value in anything the function printed"
CONTRACT = "the function asks of AWS only what the contract allows"

_ALLOWED = {"DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage", "GetParameters"}


@dataclass
class Invariants:
    """Looks at the world, counts how often it looked, and writes down what it found broken.

    Attributes:
        others: the tokens that are not ours: all but the one that the secret held at the beginning.
    """

    checked: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    _last: State | None = None
    others: Mapping[str, tuple[str, bool]] | None = None

    def begin(self, world: World) -> None:
        """Remember what is not ours: every token but the one that the secret holds."""
        self._last = world.state()
        held = {token.uuid for token in world.hub.tokens.values() if token.value == world.current_token()}
        self.others = {uuid: token for uuid, token in self._last.tokens.items() if uuid not in held}

    def look(self, world: World, request: Request) -> None:
        """Check what must hold at any time. To be called after each request, before the function hears of it."""
        assert self._last is not None
        assert self.others is not None
        where = f"after request {request.number} ({request.name})"
        state, token = world.state(), world.current_token()
        if token != PLACEHOLDER:
            self._check(WORKS, world.hub.authenticates(token), where)
        retired = {uuid for uuid, (_, active) in self._last.tokens.items() if active} - {
            uuid for uuid, (_, active) in state.tokens.items() if active
        }
        values = {t.uuid: t.value for t in world.hub.tokens.values()}
        self._check(RETIRE_LAST, all(values.get(uuid) != token for uuid in retired), where)
        self._check(ONLY_OURS, all(state.tokens.get(uuid) == was for uuid, was in self.others.items()), where)
        if request.party == "AWS":
            self._check(CONTRACT, request.name in _ALLOWED, where)
        self._last = state

    def at_rest(self, world: World) -> None:
        """Check what must hold after a rotation that succeeded."""
        assert self.others is not None
        state = world.state()
        ours = {uuid: active for uuid, (_, active) in state.tokens.items() if uuid not in self.others}
        current = next((t.uuid for t in world.hub.tokens.values() if t.value == world.current_token()), None)
        alone = [uuid for uuid, active in ours.items() if active] == [current]
        previous = next((v for v, labels in state.labels.items() if "AWSPREVIOUS" in labels), None)
        disabled = [state.tokens[uuid][0] for uuid, active in ours.items() if not active]
        expected = all(label.endswith(f"/{previous}") for label in disabled) and len(disabled) <= 1
        self._check(NO_REMAINS, alone and expected, "after the rotation")
        pending = [v for v, labels in state.labels.items() if "AWSPENDING" in labels and "AWSCURRENT" not in labels]
        self._check(CONTRACT, not pending, "after the rotation")

    def repeat_steps(self, world: World) -> None:
        """Do every step of the last rotation once more, and check that nothing changes."""
        version = next(v for v, labels in world.state().labels.items() if "AWSCURRENT" in labels)
        before = world.state()
        for step in ("createSecret", "setSecret", "testSecret", "finishSecret"):
            world.function.invoke({"Step": step, "SecretId": world.secret_arn, "ClientRequestToken": version})
            self._check(REPEATABLE, world.state() == before, f"after {step} once more")

    def search_output(self, world: World) -> None:
        """Look for every secret value that ever existed in everything the function printed."""
        log = world.function.log()
        self._check(NO_LEAK, not any(secret in log for secret in world.secrets), "in the function's log")

    def _check(self, invariant: str, holds: bool, where: str) -> None:
        self.checked[invariant] += 1
        if not holds:
            self.broken.append(f"{invariant}: broken {where}")
