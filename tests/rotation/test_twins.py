"""Two processes in the same step at the same time, in every order in which their requests can reach the world.

Secrets Manager may call a step again while an earlier call is still at work. Between two requests a process sees
nothing of the world, so the order of the requests is all that can differ from run to run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Thread
from typing import TYPE_CHECKING

import pytest
from rich.console import RenderableType

from rehearsal.invariants import Invariants
from rehearsal.sandbox import Function, FunctionError
from rehearsal.wire import Request, Server
from rehearsal.world import Scene, World

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"

# In how many orders the requests of two processes can arrive, by the step in which both are and by the first choices.
# The many are shared out by the first one, so that more than one worker has something to do.
ORDERS = {
    ("createSecret", (0,)): 17,
    ("createSecret", (1,)): 1,
    ("setSecret", ()): 1,
    ("testSecret", ()): 1,
    ("finishSecret", (0,)): 79,
    ("finishSecret", (1,)): 9,
}
# With a grace, only the last step is another.
ORDERS_IN_GRACE = {("finishSecret", (0,)): 33, ("finishSecret", (1,)): 1}
# Where the tokens before have expired, too.
ORDERS_EXPIRED = {("finishSecret", (0,)): 21, ("finishSecret", (1,)): 3}
DAYS = 60

LOUD = {"POWERTOOLS_LOG_LEVEL": "DEBUG", "POWERTOOLS_LOGGER_LOG_EVENT": "true"}


@dataclass(frozen=True)
class Asked:
    """A request, as far as its order may matter: of whom it asks, and whether it may change anything there."""

    party: str
    writes: bool

    @classmethod
    def by(cls, environ: WSGIEnvironment) -> Asked:
        """Read it off a request."""
        action = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        if action:
            return cls("AWS", action not in ("DescribeSecret", "GetSecretValue", "GetParameters", "ListSecrets"))
        login = environ["PATH_INFO"] == "/v2/auth/token"  # of tokens that work: it leaves nothing that anybody asks for
        return cls("Docker Hub", environ["REQUEST_METHOD"] != "GET" and not login)

    def matters_to(self, other: Asked) -> bool:
        """Tell whether it makes a difference which of two comes first."""
        return (self.writes and other.writes) or (self.party == other.party and (self.writes or other.writes))


class Turns:
    """Lets the requests of two twins through one at a time, in an order of the test's choice.

    Two requests that only read may come in either order: nothing and nobody can tell the difference, and neither can
    be told whether one twin reads at one party before or after the other writes at the other one. So where the second
    twin has been let through before such a request of the first one, that one sleeps until something has happened that
    makes a difference to it: to wake it earlier would only repeat an order that has been seen. (These are the sleep
    sets of https://doi.org/10.1007/3-540-60761-7.)

    Attributes:
        taken: which twin went first, at each point at which both had a request at the door and it may matter.
        repeated: whether this order has turned out to be one that has been seen.
    """

    def __init__(self) -> None:
        self._changed = Condition()
        self.begin([])

    def begin(self, choices: list[int]) -> None:
        """Begin anew: follow these choices, and let the first twin go first wherever they say nothing."""
        self._choices = choices
        self.taken: list[int] = []
        self.repeated = False
        self._at_the_door: dict[int, Asked] = {}
        self._first_sleeps = False
        self._ended: set[int] = set()
        self._turn: int | None = None

    def door(self, twin: int, app: WSGIApplication) -> WSGIApplication:
        """Return `app` behind a door at which a twin's requests wait for their turn."""

        def doorway(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            with self._changed:
                self._at_the_door[twin] = Asked.by(environ)
                self._choose()
                if not self._changed.wait_for(lambda: self._turn == twin, timeout=60):
                    raise TimeoutError("the other twin does not get on")
                del self._at_the_door[twin]
            return app(environ, start_response)

        return doorway

    def served(self) -> None:
        """Take note that the request whose turn it was has had its effect."""
        self._turn = None

    def ended(self, twin: int) -> None:
        """Take note that a twin is through with its step."""
        with self._changed:
            self._ended.add(twin)
            self._choose()

    def _choose(self) -> None:
        """Choose whose turn it is, once each twin has a request at the door or is through."""
        if self._turn is not None or len(self._at_the_door.keys() | self._ended) < 2 or not self._at_the_door:
            return
        if len(self._at_the_door) == 2:
            self._turn = self._choice(*(self._at_the_door[twin] for twin in range(2)))
        else:
            (self._turn,) = self._at_the_door
            self.repeated |= self._first_sleeps
        self._changed.notify_all()

    def _choice(self, first: Asked, second: Asked) -> int:
        if not self._first_sleeps:
            step = len(self.taken)
            self.taken.append(self._choices[step] if step < len(self._choices) else 0)
            if self.taken[-1] == 0:
                return 0
        self._first_sleeps = not first.matters_to(second)
        return 1


def every_order(run: Callable[[list[int]], list[int]], first: tuple[int, ...]) -> Iterator[list[int]]:
    """Run once for every sequence of choices there is that begins with the first ones, and yield each.

    Args:
        run: follows the choices it is given, makes the first one wherever they end, and returns all that it made.
    """
    choices: list[int] | None = [*first]
    while choices is not None:
        made = run(choices)
        assert made[: len(choices)] == choices
        yield made
        open_choice = max((step for step in range(len(first), len(made)) if made[step] == 0), default=None)
        choices = None if open_choice is None else [*made[:open_choice], 1]


class Pair:
    """Two processes of the package beside the world's own, whose requests take turns.

    Args:
        surroundings: what each has in its environment beside what the rotation function has.
    """

    def __init__(
        self,
        world: World,
        run_function: Callable[..., Function],
        turns: Turns,
        stack: ExitStack,
        surroundings: Sequence[Mapping[str, str]] = ({}, {}),
    ) -> None:
        self._turns = turns
        self.functions = []
        for one, more in enumerate(surroundings):
            aws = stack.enter_context(Server(world.wire.door(turns.door(one, world.aws.app), "AWS")))
            hub = stack.enter_context(Server(world.wire.door(turns.door(one, world.hub.app), "Docker Hub")))
            environment = {**world.function_environment(aws.url, hub.url), **more}
            self.functions.append(stack.enter_context(run_function(environment)))

    def warm_up(self, events: Sequence[Mapping[str, object]]) -> None:
        """Call one after the other, so that from now on both are logged in."""
        for one, event in enumerate(events):
            self._turns.begin([])
            self._turns.ended(1 - one)
            self.functions[one].invoke(event)

    def invoke(self, events: Sequence[Mapping[str, object]], choices: list[int]) -> tuple[list[int], list[str]]:
        """Call both at once, and return the choices that were made and what they raised."""
        self._turns.begin(choices)
        errors: list[str] = []

        def call(one: int) -> None:
            try:
                self.functions[one].invoke(events[one])
            except FunctionError as raised:
                errors.append(str(raised))
            finally:
                self._turns.ended(one)

        threads = [Thread(target=call, args=(one,)) for one in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self._turns.taken, errors


def event_of(step: str, world: World, version: str | None) -> dict[str, object]:
    """Return the event that asks for a step."""
    return {"Step": step, "SecretId": world.secret_arn, "ClientRequestToken": version}


def orders_of(
    step: str,
    first: tuple[int, ...],
    scene: Scene,
    make_world: Callable[..., World],
    process_of_its_own: Callable[..., Function],
) -> int:
    """Have twins do a step in every order, each of which must end as one process does; return how many there are."""
    invariants, turns = Invariants(), Turns()

    def look(request: Request) -> None:
        invariants.look(world, request)
        turns.served()

    with ExitStack() as stack:
        world = make_world(scene, on_request=look)
        world.hub.rate_limit_per_minute = 1_000_000  # there are hundreds of rotations in this minute
        twins = Pair(world, process_of_its_own, turns, stack)
        invariants.begin(world)
        world.rotate()
        twins.warm_up([event_of("finishSecret", world, world.state().holder("AWSCURRENT"))] * 2)

        def run(choices: list[int]) -> list[int]:
            if "DOCKERHUB_TOKEN_EXPIRY" in scene.environment:  # what was rotated in before has expired
                world.passed += DAYS * 86_400
                twins.warm_up([event_of("finishSecret", world, world.state().holder("AWSCURRENT"))] * 2)
            world.hold_before = step
            world.rotate()
            world.hold_before = None
            event = event_of(step, world, world.state().holder("AWSPENDING"))
            made, errors = twins.invoke([event] * 2, choices)
            assert errors == []
            world.aws.retry(world.secret_arn)
            world.aws.wait()
            assert world.aws.events[-1].name == "RotationSucceeded"
            invariants.at_rest(world)
            assert invariants.broken == []
            return made

        found = sum(not turns.repeated for _ in every_order(run, first))
        assert [world.leaked(twin.log()) for twin in twins.functions] == [[]] * len(twins.functions)
    return found


@pytest.fixture(scope="module")
def seen(report: list[RenderableType]) -> Iterator[Counter[str]]:
    """Return in how many orders the requests arrived, by step."""
    orders: Counter[str] = Counter()
    yield orders
    for step, count in orders.items():
        report.append(f"{count:3} orders of the requests of twins in {step}: each ended as one process does")
    report.append(f"{orders.total():3} orders of the requests of twins, in all")


@pytest.mark.parametrize(
    ("step", "first", "orders", "scene"),
    [
        *((*shared, orders, Scene(environment=LOUD)) for shared, orders in ORDERS.items()),
        *((*shared, orders, Scene(environment=LOUD, grace="1h")) for shared, orders in ORDERS_IN_GRACE.items()),
        *(
            (*shared, orders, Scene(environment=LOUD | {"DOCKERHUB_TOKEN_EXPIRY": str(DAYS)}))
            for shared, orders in ORDERS_EXPIRED.items()
        ),
    ],
    ids=lambda given: "" if isinstance(given, Scene) else str(given),
)
def test_twins_in_a_step_end_as_one_would_whatever_the_order_of_their_requests(
    make_world: Callable[..., World],
    process_of_its_own: Callable[..., Function],
    seen: Counter[str],
    step: str,
    first: tuple[int, ...],
    orders: int,
    scene: Scene,
) -> None:
    found = orders_of(step, first, scene, make_world, process_of_its_own)

    assert found == orders
    seen[step] += found


def test_the_page_says_how_many_orders_there_are() -> None:
    orders = sum(sum(each.values()) for each in (ORDERS, ORDERS_IN_GRACE, ORDERS_EXPIRED))
    assert f"in all {orders} orders" in PAGE.read_text()
