"""What people do by hand, between any two requests and in any order with rotations, faults and retries."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from rich.console import RenderableType

from rehearsal.docker_hub import Fault as HubFault
from rehearsal.docker_hub import Token
from rehearsal.invariants import Invariants
from rehearsal.sandbox import FunctionError
from rehearsal.wire import Fault, FaultKind, Request
from rehearsal.world import PLACEHOLDER, REPOSITORY, Scene, Shape, World

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"

WatchedWorld = Callable[..., tuple[World, Invariants]]

LOUD = {"POWERTOOLS_LOG_LEVEL": "DEBUG", "POWERTOOLS_LOGGER_LOG_EVENT": "true"}
LABEL_OF_OURS = "dockerhub-rotation/"
STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")


# What people do


def token_under(world: World, label: str) -> Token | None:
    """Return the token whose value a staging label holds."""
    value = world.aws.value(world.secret_arn, label) or ""
    return next((token for token in world.hub.tokens.values() if token.value in value), None)


def overwrite_the_secret(world: World) -> None:
    value = world.scene.shape.compose(world.hub.username, world.hub.add_token("stored by hand").value)
    world.client.put_secret_value(SecretId=world.secret_arn, SecretString=value)


def move_awscurrent_back(world: World) -> None:
    previous, current = world.state().holder("AWSPREVIOUS"), world.state().holder("AWSCURRENT")
    if previous and current:
        world.client.update_secret_version_stage(
            SecretId=world.secret_arn,
            VersionStage="AWSCURRENT",
            MoveToVersionId=previous,
            RemoveFromVersionId=current,
        )


def store_a_placeholder(world: World) -> None:
    value = world.scene.shape.compose(world.hub.username, PLACEHOLDER)
    world.client.put_secret_value(SecretId=world.secret_arn, SecretString=value)


def drop_awspending(world: World) -> None:
    """Do as the error about a pending token that is gone says."""
    if pending := world.state().holder("AWSPENDING"):
        world.client.update_secret_version_stage(
            SecretId=world.secret_arn, VersionStage="AWSPENDING", RemoveFromVersionId=pending
        )


def disable(label: str) -> Callable[[World], None]:
    def act(world: World) -> None:
        if token := token_under(world, label):
            token.active = False

    return act


def delete(label: str) -> Callable[[World], None]:
    def act(world: World) -> None:
        if token := token_under(world, label):
            del world.hub.tokens[token.uuid]

    return act


def make_tokens_with_labels_like_ours(world: World) -> None:
    ours = f"dockerhub-rotation/{hashlib.sha256(world.secret_arn.encode()).hexdigest()[:16]}"
    version = world.state().holder("AWSCURRENT")
    for label in (
        f"dockerhub-rotation/0123456789abcdef/{version}",  # of another secret
        f"{ours.upper()}/{version}",
        f"{ours}/{version} (copy)",
        f"copy of {ours}/{version}",
        f"{ours}/laptop",
        ours,
    ):
        world.hub.add_token(label)


ACTS: dict[str, Callable[[World], None]] = {
    "the secret is overwritten": overwrite_the_secret,
    "AWSCURRENT is moved back": move_awscurrent_back,
    "AWSPENDING is dropped": drop_awspending,
    "the current token is disabled": disable("AWSCURRENT"),
    "the current token is deleted": delete("AWSCURRENT"),
    "the pending token is disabled": disable("AWSPENDING"),
    "the pending token is deleted": delete("AWSPENDING"),
    "the previous token is deleted": delete("AWSPREVIOUS"),
    "tokens with labels like ours are made": make_tokens_with_labels_like_ours,
}


@pytest.fixture(scope="module")
def acts(report: list[RenderableType]) -> Iterator[Counter[str]]:
    done: Counter[str] = Counter()
    yield done
    for act, times in done.items():
        report.append(f"{times:3} requests at which {act}: the next rotation puts it right")
    report.append(f"{done.total():3} requests at which somebody does something by hand, in all")


# A grace is the scene's.
TAGS = {
    "scopes": ("repo:public_read", "repo:admin"),
    "probe-repository": (REPOSITORY, "globex/app"),
    "expiry": ("1", "3651"),
    "typo": ("",),
}


def set_tag(world: World, name: str, value: str) -> None:
    world.client.tag_resource(SecretId=world.secret_arn, Tags=[{"Key": f"dockerhub-rotation:{name}", "Value": value}])


def take_tags_off(world: World) -> None:
    world.client.untag_resource(SecretId=world.secret_arn, TagKeys=[f"dockerhub-rotation:{name}" for name in TAGS])


def put_right(world: World, invariants: Invariants) -> None:
    """Do what the pages and error messages say, and rotate once more: then everything is as it should be."""
    take_tags_off(world)
    world.hold_before = None
    world.wire.faults.clear()
    if world.state().holder("AWSPENDING") != world.state().holder("AWSCURRENT"):
        drop_awspending(world)
    if not any(token.label.startswith(LABEL_OF_OURS) for token in world.hub.tokens.values()):
        store_a_placeholder(world)  # all were deleted by hand: the error says so
        world.passed += 900  # the dead ones may have locked the user name
        world.function.discard()
    invariants.begin(world)
    assert world.rotate() == ["RotationStarted", "RotationSucceeded"]
    invariants.at_rest(world)
    invariants.search_output(world)
    assert invariants.broken == []


# With a grace, the deadline is written before the login. What else is new comes after the promotion.
LOGIN, PROMOTION = 17, 18
IN_GRACE = Scene(environment=LOUD, grace="1h")
# Nothing stops the function from promoting what has just logged in, and from retiring what it has just superseded.
UNPREVENTABLE = {
    ("AWSCURRENT is moved back", PROMOTION),
    ("the pending token is disabled", LOGIN),
    ("the pending token is deleted", LOGIN),
}
# Before the eighth request, which stores it, there is no pending token.
BEGIN_AT = {"the pending token is disabled": 8, "the pending token is deleted": 8}
CASES = [
    (Scene(environment=LOUD), act, at)
    for act in ACTS
    for at in range(BEGIN_AT.get(act, 1), 21)
    if (act, at) not in UNPREVENTABLE
] + [
    (IN_GRACE, act, at)
    for act in ACTS
    for at in range(15, 22)  # from the list of tokens on
    if (act, at - 1) not in UNPREVENTABLE
]


@pytest.mark.parametrize(
    ("scene", "act", "at"), [pytest.param(*case, id=f"{case[1]} at {case[2]}, grace {case[0].grace}") for case in CASES]
)
def test_what_somebody_does_by_hand_at_any_request_breaks_nothing_that_the_next_rotation_does_not_mend(
    make_world: Callable[..., World], acts: Counter[str], clock: Any, scene: Scene, act: str, at: int
) -> None:
    invariants, due = Invariants(), 0

    def look(request: Request) -> None:
        invariants.look(world, request)
        if request.number == due:
            ACTS[act](world)
            invariants.begin(world)

    world = make_world(scene, on_request=look)
    invariants.begin(world)
    for _ in range(3 if scene is IN_GRACE else 2):
        world.rotate()
        world.passed += 2 * scene.grace_seconds
    world.function.discard()
    due = len(world.wire.requests) + at

    events = world.rotate()

    assert len(world.wire.requests) >= due
    if act == "the secret is overwritten":
        assert events[-1] == "RotationAbandoned"
    put_right(world, invariants)
    acts[act] += 1


def test_the_page_says_how_many_acts_there_are() -> None:
    assert f"at every request: {len(CASES)} rotations" in PAGE.read_text()


class Histories(RuleBasedStateMachine):
    """A secret's life, in which anything may happen in any order."""

    def __init__(self, watched_world: WatchedWorld, clock: Any) -> None:
        super().__init__()
        self._watched_world, self._clock = watched_world, clock

    @initialize(
        shape=st.sampled_from(Shape),
        placeholder=st.booleans(),
        grace=st.sampled_from(["0", "1h", "1m"]),
        expiry=st.sampled_from(["", "2"]),
        heal=st.sampled_from(["report", "rotate"]),
        replicated=st.booleans(),
    )
    def begin(self, shape: Shape, placeholder: bool, grace: str, expiry: str, heal: str, replicated: bool) -> None:
        environment = LOUD | {"DOCKERHUB_TOKEN_EXPIRY": expiry, "DOCKERHUB_HEAL": heal}
        scene = Scene(shape=shape, placeholder=placeholder, others=3, environment=environment, grace=grace)
        self.world, self.watch = self._watched_world(scene)
        if replicated:
            self.world.aws.replicate(self.world.secret_arn, "eu-west-1")

    @rule()
    def a_rotation(self) -> None:
        self.rotate()

    @rule(
        at=st.integers(1, 21),
        kind=st.sampled_from([kind for kind in FaultKind if "killed" not in kind and kind is not FaultKind.SLOW]),
    )
    def a_rotation_with_a_fault(self, at: int, kind: FaultKind) -> None:
        self.world.wire.faults.append(Fault(len(self.world.wire.requests) + at, kind))
        self.rotate()
        self.world.wire.faults.clear()

    @rule()
    def a_rotation_that_may_change_no_token(self) -> None:
        self.world.hub.faults += [HubFault("PATCH", "/v2/access-tokens/*", 400, {"message": "no", "errinfo": {}})] * 5
        self.rotate()
        self.world.hub.faults.clear()

    @rule(step=st.sampled_from(STEPS))
    def a_rotation_that_is_given_up(self, step: str) -> None:
        self.world.hold_before = step
        self.rotate()
        self.world.hold_before = None

    @rule(step=st.sampled_from(STEPS), label=st.sampled_from(["AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"]))
    def a_step_by_itself(self, step: str, label: str) -> None:
        if version := self.world.state().holder(label):
            with suppress(FunctionError):
                self.world.invoke({"Step": step, "SecretId": self.world.secret_arn, "ClientRequestToken": version})

    @rule()
    def a_look_of_the_caretaker(self) -> None:
        with suppress(FunctionError):
            self.world.care()
        self.world.aws.wait()

    @rule()
    def superseded_tokens_are_retired(self) -> None:
        with suppress(FunctionError):
            self.world.care("Retire", SecretId=self.world.secret_arn)

    @rule()
    def awscurrent_is_taken_back(self) -> None:
        if version := self.world.state().holder("AWSPREVIOUS"):
            with suppress(FunctionError):
                self.world.care("Rollback", SecretId=self.world.secret_arn, VersionId=version)

    @rule(act=st.sampled_from(sorted(ACTS)))
    def an_act_of_somebody(self, act: str) -> None:
        ACTS[act](self.world)
        self.watch.begin(self.world)

    @rule(tag=st.sampled_from([(name, value) for name, values in TAGS.items() for value in values]))
    def a_tag_of_somebody(self, tag: tuple[str, str]) -> None:
        """Some are wrong, and some ask for what the account may not do."""
        set_tag(self.world, *tag)

    @rule()
    def no_tags(self) -> None:
        take_tags_off(self.world)

    @rule(active=st.booleans())
    def a_token_of_somebody(self, active: bool) -> None:
        self.world.hub.add_token("laptop", active=active)
        self.watch.begin(self.world)

    @rule(ails=st.sampled_from(["fails", "hangs", None]))
    def a_replica_that_ails_or_is_mended(self, ails: Literal["fails", "hangs"] | None) -> None:
        for replica in self.world.aws.replicas.of(self.world.secret_arn):
            replica.ails = ails
            if ails is None:
                replica.mend(self.world.now())

    @rule(hours=st.sampled_from([0.5, 2.0, 48.0]))
    def a_while(self, hours: float) -> None:
        self._clock.tick(hours * 3600)

    @rule()
    def a_fresh_sandbox(self) -> None:
        self.world.function.discard()

    @invariant()
    def nothing_is_broken(self) -> None:
        if hasattr(self, "world"):
            assert self.watch.broken == []

    def rotate(self) -> None:
        """Rotate, or let Secrets Manager go on with the rotation that it has given up."""
        try:
            self.world.aws.retry(self.world.secret_arn)
            self.world.aws.wait()
        except LookupError:
            with suppress(self.world.client.exceptions.InvalidRequestException):
                self.world.rotate()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            try:
                self.world.aws.replicas.clear()  # as people remove one that can't be mended
                put_right(self.world, self.watch)
            finally:
                self.world.__exit__(None, None, None)


def test_any_history_keeps_the_invariants_and_can_be_put_right(
    watched_world: WatchedWorld, report: list[RenderableType], clock: Any
) -> None:
    histories = itertools.count()

    class InThisTest(Histories):
        def __init__(self) -> None:
            super().__init__(watched_world, clock)
            next(histories)

    run_state_machine_as_test(
        InThisTest,
        settings=hypothesis.settings(
            max_examples=25, stateful_step_count=10, suppress_health_check=list(hypothesis.HealthCheck)
        ),
    )
    report.append(f"{next(histories):3} histories drawn by lot: no invariant was broken, and all could be put right")
