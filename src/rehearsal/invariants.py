"""What must hold: after every single request of the function, and at the end of a rotation."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from rehearsal.docker_hub import DockerHub, OrganizationToken, Token
from rehearsal.secrets_manager import Aws
from rehearsal.wire import Request
from rehearsal.world import PLACEHOLDER, Scene, State, World, token_in

WORKS = "AWSCURRENT logs in at Docker Hub"
RETIRE_LAST = "no token is retired while AWSCURRENT holds it"
DELETE_LATER = "no token is deleted by the rotation that disabled it"
ONLY_OURS = "no token of anybody else is touched"
SAME_RIGHTS = "an organization's token may do just what the one that it supersedes may"
NO_REMAINS = "one active token of ours, the previous one disabled, nothing else"
GRACE_KEPT = "no superseded token is disabled before its deadline, and each has one within its limit"
REPLICAS_WORK = "what a replica in another Region holds logs in at Docker Hub, until Retire"
REPEATABLE = "every step once more changes nothing"
NO_LEAK = "no secret value in anything the function printed"
CONTRACT = "the function asks of AWS only what the contract allows"

_CLOCKS_AGREE_SECONDS = 10
# The time at which a token was disabled is known to the second: one made within it may be older or younger.
_LABELS_TELL_SECONDS = 1
# So long a rollback keeps what it enables, for its own invocation.
_HELD_SECONDS = 1200
_LEAST_WITH_REPLICAS_SECONDS = 3600  # of a grace, as docs/how-it-works.md has it

_Right = tuple[str, str, str]  # type, path and scope

_EVERY_STEP = {"createSecret", "setSecret", "testSecret", "finishSecret", "Reconcile", "Retire", "Rollback"}
_ALLOWED = {
    "DescribeSecret": _EVERY_STEP,
    "GetSecretValue": _EVERY_STEP,
    "GetParameters": _EVERY_STEP | {"Preflight"},
    "ListSecrets": {"Reconcile"},
    "RotateSecret": {"Reconcile"},
    "PutSecretValue": {"createSecret"},
    "UpdateSecretVersionStage": {"finishSecret", "Rollback"},
}


class Watched(Protocol):
    """A world, as far as it is looked at after each request."""

    @property
    def scene(self) -> Scene:
        """What it is like."""

    @property
    def hub(self) -> DockerHub:
        """Docker Hub."""

    @property
    def aws(self) -> Aws:
        """Secrets Manager."""

    @property
    def secret_arn(self) -> str:
        """The secret."""

    @property
    def step(self) -> str | None:
        """The step or task that is under way, or None."""

    def now(self) -> float:
        """Return the time at Docker Hub and AWS, in seconds since 1970."""

    def state(self) -> State:
        """Return what is so now."""

    def current_token(self) -> str:
        """Return the token under AWSCURRENT."""


@dataclass
class Invariants:
    """Looks at the world, counts how often it looked, and writes down what it found broken.

    Attributes:
        others: the tokens that are not ours, with label and whether each is active.
        at_work: tasks and steps that are at work beside the world's own.
    """

    checked: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    _last: State | None = None
    _values: dict[str, str] = field(default_factory=dict, repr=False)
    _dead_by_hand: set[str] = field(default_factory=set, repr=False)
    _expired: set[str] = field(default_factory=set, repr=False)
    _longest_grace: int = 0
    _given_up: set[str] = field(default_factory=set, repr=False)
    _disabled_lately: set[str] = field(default_factory=set, repr=False)
    _rolled_back: bool = False
    _brought_back: set[str] = field(default_factory=set, repr=False)
    _may: dict[str, frozenset[_Right]] = field(default_factory=dict, repr=False)
    others: Mapping[str, tuple[str, bool]] | None = None
    at_work: frozenset[str] = frozenset()

    def begin(self, world: Watched) -> None:
        """Take the world as it is: at the beginning, and whenever a person has changed it by hand.

        Ours is what the function has made or labelled as superseded, and the token under AWSCURRENT while it works. If
        the function has made that, then the one under AWSPREVIOUS as well, which was superseded by a rotation.
        """
        last, state, current = self._last, world.state(), world.current_token()
        held = {current}
        if last is not None:
            self._forget_the_last_rotation(last, state)
            dead = (_active(last) - _active(state)) | (last.tokens.keys() - state.tokens.keys())
            self._dead_by_hand |= {self._values[uuid] for uuid in dead}
        if not world.hub.authenticates(current):
            self._dead_by_hand.add(current)
        else:
            held |= _superseded_by_a_rotation(world, current)
        self._remember(world, state)
        ours = {label for version in state.labels for label in _labels(world, version)}
        self.others = {
            token.uuid: (token.label, token.active)
            for token in world.hub.tokens.values()
            if not (token.value in held and token.active)
            and _without_time(token.label) not in ours
            and not _made_by_the_function(token)
        }

    def look(self, world: Watched, request: Request) -> None:
        """Check what must hold at any time. To be called after each request, before the function hears of it."""
        assert self._last is not None
        assert self.others is not None
        where = f"after request {request.number} ({request.name})"
        state, token = world.state(), world.current_token()
        works = world.hub.authenticates(token)
        self._expired |= {it.value for it in world.hub.tokens.values() if it.expired(world.hub.moment)}
        promoted = state.holder("AWSCURRENT") != self._last.holder("AWSCURRENT")
        excused = not promoted and (token == PLACEHOLDER or token in self._dead_by_hand | self._expired)
        self._check(WORKS, works or excused, where)
        retired = {self._values[uuid] for uuid in _active(self._last) - _active(state)}
        self._check(RETIRE_LAST, token not in retired, where)
        self._forget_the_last_rotation(self._last, state)
        gone = self._last.tokens.keys() - state.tokens.keys()
        of_use = {uuid for uuid in gone & self._disabled_lately if self._values[uuid] not in self._expired}
        self._check(DELETE_LATER, not of_use, where)
        self._disabled_lately |= (_active(self._last) - _active(state)) & state.tokens.keys()
        self._look_at_rights(world, token, where)
        self._look_at_graces(world, self._last, state, where)
        self._look_at_replicas(world, retired)
        self._check(ONLY_OURS, all(state.tokens.get(uuid) == was for uuid, was in self.others.items()), where)
        if request.party == "AWS":
            allowed = bool({world.step, *self.at_work} & ({None} | _ALLOWED.get(request.name, set())))
            kept = state.holder("AWSPENDING") == self._last.holder("AWSPENDING")
            changes = request.name in ("PutSecretValue", "UpdateSecretVersionStage")
            same_versions = state.labels.keys() == self._last.labels.keys()
            self._check(CONTRACT, allowed and (not changes or (kept and same_versions)), where)
        self._remember(world, state)

    def _forget_the_last_rotation(self, last: State, state: State) -> None:
        """Forget which tokens it has disabled, once another rotation has begun."""
        if state.holder("AWSPENDING") not in {None, last.holder("AWSPENDING")}:
            self._disabled_lately.clear()

    def _look_at_rights(self, world: Watched, current: str, where: str) -> None:
        """Check what tokens of an organization may do: new ones what the current one may, if there is one."""
        tokens = [token for token in world.hub.tokens.values() if isinstance(token, OrganizationToken)]
        superseded = next((_rights(token) for token in tokens if token.value == current), None)
        for token in tokens:
            copied = superseded if superseded is not None and _made_by_the_function(token) else _rights(token)
            self._check(SAME_RIGHTS, _rights(token) == self._may.get(token.uuid, copied), where)

    def _look_at_graces(self, world: Watched, last: State, state: State, where: str) -> None:
        """Check that nothing in grace has lost it but by Retire, and that no grace is longer than it may be."""
        now, grace = world.now() + _CLOCKS_AGREE_SECONDS, world.scene.grace_seconds
        self._rolled_back |= "Rollback" in {world.step, *self.at_work}
        if world.aws.replicas.of(world.secret_arn):
            grace = max(grace, _LEAST_WITH_REPLICAS_SECONDS)
        self._longest_grace = longest = max(self._longest_grace, grace)
        values = (world.aws.value(world.secret_arn, label) for label in ("AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"))
        stored = {token_in(value) for value in values if value}  # others are twins, which nobody can hold
        cut_short = [
            uuid
            for uuid in _active(last) - _active(state)
            if uuid not in self._brought_back
            and self._values[uuid] not in self._expired
            and (
                _time_in(last.tokens[uuid][0]) > now
                or (grace and self._values[uuid] in stored and _was_staged(last, last.tokens[uuid][0], world))
            )
        ]
        # Consumers have no token that a rollback enables before AWSCURRENT holds it.
        self._brought_back |= (_active(state) - _active(last)) & last.tokens.keys()
        self._brought_back -= {uuid for uuid in self._brought_back if self._values[uuid] == world.current_token()}
        may_be = max(longest, _HELD_SECONDS) if self._rolled_back else longest
        endless = [label for label, active in state.tokens.values() if active and _time_in(label) > now + may_be]
        self._check(GRACE_KEPT, not endless and (not cut_short or "Retire" in {world.step, *self.at_work}), where)

    def _look_at_replicas(self, world: Watched, retired: set[str]) -> None:
        if "Retire" in {world.step, *self.at_work}:
            self._given_up |= retired
        for replica in world.aws.replicas.of(world.secret_arn):
            token = token_in(replica.value("AWSCURRENT", world.now()) or PLACEHOLDER)
            works = world.hub.authenticates(token) or token in {
                PLACEHOLDER,
                *self._dead_by_hand,
                *self._given_up,
            }
            self._check(REPLICAS_WORK, works, f"in {replica.region}")

    def at_rest(self, world: Watched) -> None:
        """Check what must hold after a rotation that succeeded."""
        state, works = world.state(), world.hub.authenticates(world.current_token())
        self._check(NO_REMAINS, works and not self.remains(world) and self._way_back(world), "after the rotation")
        pending = [v for v, labels in state.labels.items() if "AWSPENDING" in labels and "AWSCURRENT" not in labels]
        self._check(CONTRACT, not pending, "after the rotation")

    def remains(self, world: Watched) -> list[str]:
        """Return the labels of our tokens that are neither current and active, nor previous and disabled, nor in grace.

        A disabled one stays for one more rotation after the one that has disabled it; one that has expired only as long
        as it is the previous one.
        """
        assert self.others is not None
        state, current = world.state(), world.current_token()
        born = max(token.created_at.timestamp() for token in world.hub.tokens.values() if token.value == current)
        previous = state.holder("AWSPREVIOUS")
        kept = _labels(world, previous) if previous else set()
        remains = []
        for token in world.hub.tokens.values():
            label, time = _without_time(token.label), _time_in(token.label)
            expired = token.expired(world.hub.moment)
            if token.uuid in self.others or (token.value == current and token.active and label == token.label):
                continue
            if _is_told_by_no_login(world, token):
                continue
            if token.active and not expired and time > world.now():
                continue  # in grace
            if label in kept and (expired or not token.active):
                kept.clear()  # a second one is too many
                continue
            lately = time + _LABELS_TELL_SECONDS >= born or token.uuid in self._disabled_lately
            if token.active or expired or not lately:
                remains.append(token.label)
        return remains

    def _way_back(self, world: Watched) -> bool:
        """Tell whether AWSPREVIOUS holds a token of ours, disabled or in grace, unless somebody has taken it away."""
        previous = world.state().holder("AWSPREVIOUS")
        if previous is None:
            return True
        token = token_in(world.aws.value(world.secret_arn, "AWSPREVIOUS") or "")
        return token in {PLACEHOLDER, *self._dead_by_hand} or any(
            _is_told_by_no_login(world, it)
            or (
                _without_time(it.label) in _labels(world, previous)
                and (not it.active or it.expired(world.hub.moment) or _time_in(it.label) > world.now())
            )
            for it in world.hub.tokens.values()
            if it.value == token
        )

    def repeat_steps(self, world: World) -> None:
        """Do every step of the last rotation once more, and check that nothing changes."""
        before = world.state()
        version = before.holder("AWSCURRENT")
        for step in ("createSecret", "setSecret", "testSecret", "finishSecret"):
            world.function.invoke({"Step": step, "SecretId": world.secret_arn, "ClientRequestToken": version})
            self._check(REPEATABLE, world.state() == before, f"after {step} once more")

    def search_output(self, world: World) -> None:
        """Look for every secret value that ever existed in everything the function printed, and in its labels."""
        labels = (label for label, _ in world.state().tokens.values())
        answers = map(json.dumps, world.answers)
        said = "\n".join([world.function.log(), world.caretaker.log(), *answers, *labels])
        self._check(NO_LEAK, not world.leaked(said), "in a function's log, an answer or a token's label")

    def _remember(self, world: Watched, state: State) -> None:
        self._last = state
        for token in world.hub.tokens.values():
            self._values[token.uuid] = token.value
            if isinstance(token, OrganizationToken):
                self._may[token.uuid] = _rights(token)

    def _check(self, invariant: str, holds: bool, where: str) -> None:
        self.checked[invariant] += 1
        if not holds:
            self.broken.append(f"{invariant}: broken {where}")


def _superseded_by_a_rotation(world: Watched, current: str) -> set[str]:
    """Return the token under AWSPREVIOUS, unless a person has stored it after the current one, and moved it away."""
    tokens = {token.value: token for token in world.hub.tokens.values()}
    previous = tokens.get(token_in(world.aws.value(world.secret_arn, "AWSPREVIOUS") or ""))
    new = tokens.get(current)
    if previous is None or new is None or not _made_by_the_function(new) or previous.created_at > new.created_at:
        return set()
    return {previous.value}


def _rights(token: OrganizationToken) -> frozenset[_Right]:
    """Return what a token may do, one thing with one path each."""
    return frozenset((it.type, it.path, scope) for it in token.resources for scope in it.scopes)


def _without_time(label: str) -> str:
    return label.partition(" until ")[0]


def _time_in(label: str) -> float:
    """Return the time in a label, as docs/how-it-works.md has it, or 0."""
    written = re.fullmatch(r"dockerhub-rotation/[0-9a-f]{16}/\S+ until ([0-9]{8}T[0-9]{6}Z)", label)
    return datetime.strptime(written[1], "%Y%m%dT%H%M%S%z").timestamp() if written else 0.0


def _was_staged(state: State, label: str, world: Watched) -> bool:
    """Tell whether a token without a deadline was that of a version with a staging label: then it was to get one."""
    return any(label in _labels(world, version) for version, labels in state.labels.items() if labels)


def _active(state: State) -> set[str]:
    return {uuid for uuid, (_, active) in state.tokens.items() if active}


def _labels(world: Watched, version: str) -> set[str]:
    """Return the labels that a token of a version of the secret may have by docs/how-it-works.md, without a time.

    Beside a time, a long version id is shortened.
    """
    secret = f"dockerhub-rotation/{_digest(world.secret_arn)[:16]}"
    return {f"{secret}/{version}"} | ({f"{secret}/{_digest(version)[:40]}"} if len(version) > 40 else set())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _is_told_by_no_login(world: Watched, token: Token) -> bool:
    """Tell whether neither a label nor a login with its value tells that it is the secret's: then it is left alone."""
    unlabelled = isinstance(token, OrganizationToken) and not token.label.startswith("dockerhub-rotation/")
    return unlabelled and not world.hub.jwt_names_organization_token


def _made_by_the_function(token: Token) -> bool:
    return token.creator_ua.startswith("dockerhub-rotation/")
