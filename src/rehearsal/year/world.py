"""The world of one secret: Docker Hub, AWS and Lambda without a network, on one virtual clock, and looked at."""

from __future__ import annotations

import logging
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

from rehearsal import docker_hub
from rehearsal.fleet.sandboxes import Killed, Lambda, aws_client, far_away
from rehearsal.fleet.scenes import Scene as LambdasScene
from rehearsal.invariants import NO_LEAK, Invariants
from rehearsal.replicas import Replica
from rehearsal.sandbox import FunctionError
from rehearsal.secrets_manager import Aws
from rehearsal.virtual_time import VirtualTime
from rehearsal.wire import Fault, Request, Wire
from rehearsal.world import FUNCTION_ARN, SECRET_NAME, Scene, State, state_of, token_in
from rehearsal.year.almanac import Flaw, Stretch
from rehearsal.year.chronicle import Chronicle, Mark, Span
from rehearsal.year.moments import REPLICA_LAGS
from rehearsal.year.people import SHAPE
from rehearsal.year.recorder import Recorder

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_BEGINS = 1_800_000_000.0  # a whole hour
_ATTEMPTS, _PAUSE_SECONDS = 5, 300.0  # assumed as for a fleet: see `rehearsal.fleet.scenes`
_JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.")  # of those that Docker Hub has issued there are too many to look for each
_TAG = "dockerhub-rotation:"
_WRONG_TAG = _TAG + "graze"
_REGION = "eu-west-1"
_SCOPES, _REPOSITORY = "repo:public_read", "library/alpine"


class YearsWorld:
    """A secret with its function and its caretaker, in an account with tokens of others.

    Attributes:
        time: everybody's clock.
        hub: Docker Hub.
        aws: Secrets Manager and Parameter Store.
        client: a Secrets Manager client of somebody else than the function.
        secret_arn: the secret.
        lambdas: Lambda.
        replica: of the secret, in another Region; None if it has none.
        invariants: what must hold.
        chronicle: what has happened so far.
        said: what the function and the caretaker have logged and answered.
        down: whether Docker Hub is.
        scene: as far as the invariants have to know.
        step: none, for more than one may be at work at once.
    """

    step: str | None = None

    def __init__(self, stretch: Stretch) -> None:
        self.scene = Scene(grace=stretch.grace)
        self.chronicle = Chronicle(stretch)
        self.time = VirtualTime(_BEGINS)
        self.invariants = Invariants()
        self.said: list[str] = []
        self.down = False
        self._seed = stretch.seed
        self._at_work: Counter[str] = Counter()
        self.hub = docker_hub.DockerHub(clock=self.now)
        self._wire = Wire(on_request=self._look, clock=self.now)
        self._wire.kill = _die
        self.aws = Aws(
            invoke=self._invoke,
            attempts=_ATTEMPTS,
            pause=lambda _: self.time.sleep(_PAUSE_SECONDS),
            clock=self.now,
            thread=self.time.thread,
        )
        self.client = aws_client("secretsmanager", self.aws.app)
        with self.time.everywhere():
            self.secret_arn = self._furnish(stretch)
        self._lot = random.Random(stretch.seed)  # noqa: S311 - chance, not cryptography
        self.lambdas = Lambda(
            LambdasScene(heals=True),
            self.time,
            self._lot,
            aws=far_away(self._wire.door(self.aws.app, "AWS"), self.time, self._lot),
            hub=far_away(self._wire.door(self.hub_app, "Docker Hub"), self.time, self._lot),
        )
        self._recorder = Recorder(self.chronicle, self.hub, self.aws, self.secret_arn, self.elapsed)

    def _furnish(self, stretch: Stretch) -> str:
        """Make what is there at the beginning, and return the secret's ARN."""
        for number in range(12):
            self.hub.add_token(f"build-farm-{number + 1}", active=number % 4 != 3)
        arn = self.aws.create_secret(
            SECRET_NAME, SHAPE.compose(self.hub.username, self.hub.add_token("made by hand").value)
        )
        tags = {"grace": stretch.grace, "expiry": stretch.expiry, "scopes": _SCOPES, "probe-repository": _REPOSITORY}
        self.client.tag_resource(
            SecretId=arn, Tags=[{"Key": _TAG + name, "Value": str(value)} for name, value in tags.items() if value]
        )
        self.aws.attach(arn, FUNCTION_ARN)
        self.replica: Replica | None = None
        if stretch.replica:
            self.replica = self.aws.replicate(arn, _REGION)
            self.replica.lag = self.replica.says_late = REPLICA_LAGS
        self.aws.put_parameter("DOCKER_HUB_USERNAME", self.hub.username)
        self.aws.put_parameter("DOCKER_HUB_PASSWORD", self.hub.password)
        self._passwords = {self.hub.password}
        return arn

    def now(self) -> float:
        """Return the time, in seconds since 1970."""
        return self.time.now

    def elapsed(self) -> float:
        """Return the time, in seconds since the beginning."""
        return self.time.now - _BEGINS

    def sleep_until(self, moment: float) -> None:
        """Let the others go on until then, in seconds since the beginning."""
        self.time.sleep(_BEGINS + moment - self.time.now)

    def state(self) -> State:
        """Return what is so now."""
        return state_of(self.hub, self.aws, self.secret_arn)

    def current_token(self) -> str:
        """Return the token under AWSCURRENT, read as a consumer reads it."""
        value = self.aws.value(self.secret_arn)
        assert value is not None
        return token_in(value)

    def replicas_token(self) -> str:
        """Return the token under AWSCURRENT, read as a consumer in the replica's Region reads it."""
        value = self.replica.value("AWSCURRENT", self.now()) if self.replica else None
        assert value is not None
        return token_in(value)

    def tag_wrongly(self) -> None:
        """Let somebody give the secret a tag that the function does not know."""
        self.client.tag_resource(SecretId=self.secret_arn, Tags=[{"Key": _WRONG_TAG, "Value": "12h"}])

    def take_wrong_tag_off(self) -> None:
        """Let somebody mend that."""
        self.client.untag_resource(SecretId=self.secret_arn, TagKeys=[_WRONG_TAG])

    def mend_replica(self) -> None:
        """Let somebody see to the replica."""
        assert self.replica is not None
        since = self.replica.behind_since
        self.replica.mend(self.now())
        if since is not None:
            begin, end = since - _BEGINS + REPLICA_LAGS, self.elapsed() + REPLICA_LAGS
            self.chronicle.behind.append(Span(begin, end, "the replica is behind"))

    def change_password(self) -> None:
        """Let somebody change the account's password, and tell Docker Hub alone."""
        self.hub.password = f"changed-after-{self.elapsed():.0f}-seconds"
        self._passwords.add(self.hub.password)

    def tell_password(self) -> None:
        """Let somebody tell Parameter Store."""
        self.aws.put_parameter("DOCKER_HUB_PASSWORD", self.hub.password)

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Let time pass: it is everybody's, the same lots are drawn each time, and what is logged is written down."""
        before = random.getstate()
        random.seed(self._seed)
        logger, handler = logging.getLogger("dockerhub_rotation"), logging.Handler()
        handler.emit = lambda record: self.said.append(record.getMessage())  # type: ignore[method-assign]
        logger.addHandler(handler)
        try:
            with self.time.everywhere():
                self.take_as_it_is()
                yield
                self.aws.wait()
        finally:
            logger.removeHandler(handler)
            random.setstate(before)
        if self.lambdas.crash:
            raise self.lambdas.crash
        self._look_at_the_end()

    # What is looked at

    def take_as_it_is(self) -> None:
        """Take the world as it is: at first, and whenever a person has changed it."""
        self.invariants.begin(self)
        self._recorder.look()

    def _look(self, request: Request) -> None:
        self.invariants.look(self, request)
        self._recorder.look()

    def _look_at_the_end(self) -> None:
        self._recorder.look()
        said = "\n".join([*self.said, *self.lambdas.said, *(it.label for it in self.hub.tokens.values())])
        if any(value in said for value in self._recorder.values | self._passwords) or _JWT.search(said):
            self.invariants.broken.append(NO_LEAK)
        wrong = {it.scopes for it in self.hub.tokens.values() if it.creator_ua.startswith(_TAG[:-1])} - {(_SCOPES,)}
        if wrong:
            self.invariants.broken.append(f"tokens were made with the scopes {sorted(wrong)}, and not by the tag")
        if self.hub.lockouts:
            self.invariants.broken.append(f"the user name was locked {self.hub.lockouts} times")
        self.chronicle.broken = self.invariants.broken

    # Who is at work

    @contextmanager
    def working(self, name: str) -> Iterator[None]:
        """Let the invariants know that a step or task is at work."""
        self._at_work[name] += 1
        self.invariants.at_work = frozenset(+self._at_work)
        try:
            yield
        finally:
            self._at_work[name] -= 1
            self.invariants.at_work = frozenset(+self._at_work)

    def _invoke(self, event: dict[str, str]) -> None:
        with self.working(event["Step"]):
            try:
                self.lambdas.invoke(event)
            except FunctionError as failure:
                self.chronicle.failures.append(Mark(self.elapsed(), f"{event['Step']}: {str(failure).split(':')[0]}"))
                raise

    # Requests

    def order(self, flaws: Iterable[Flaw]) -> None:
        """Let some of the next requests go wrong."""
        done = len(self._wire.requests)
        self._wire.faults[:] = [
            *(fault for fault in self._wire.faults if fault.at > done),
            *(Fault(done + flaw.at, flaw.kind) for flaw in flaws),
        ]

    def hub_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as Docker Hub does, or its load balancer while it is down."""
        if self.down:
            body = '{"message": "Service Unavailable"}'
            return Response(body, 503, content_type="application/json")(environ, start_response)
        return self.hub.app(environ, start_response)


def _die() -> None:
    raise Killed
