"""A stretch of time in a secret's life: everything that the almanac says happens, each in a thread of virtual time."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

from werkzeug.test import Client

from dockerhub_rotation.errors import RotationError
from dockerhub_rotation.findings import Kind
from rehearsal.fleet.sandboxes import Killed
from rehearsal.world import FUNCTION_ARN
from rehearsal.year import people
from rehearsal.year.almanac import Act, Almanac, Deed, Flaw, Rotation, Spell, Trouble
from rehearsal.year.chronicle import Chronicle, Mark, Span
from rehearsal.year.logins import Logins
from rehearsal.year.moments import MINUTE
from rehearsal.year.world import YearsWorld

# Secrets Manager goes on with a rotation in each of its windows. No spell lasts longer than some of them.
_MOST_WINDOWS = 8


class Life:
    """What happens.

    Attributes:
        world: in which it does.
    """

    def __init__(self, almanac: Almanac) -> None:
        self.world = YearsWorld(almanac.stretch)
        self._almanac = almanac
        self._chronicle = self.world.chronicle
        self._rotating = False
        self._flaws_of_a_heal: tuple[Flaw, ...] = ()

    def live(self) -> Chronicle:
        """Let it happen, and return what came of it."""
        thread = self.world.time.thread
        with self.world.passing():
            for task in (self._log_in, self._come_each_hour, self._do_deeds):
                thread(target=task, daemon=True).start()
            for rotation in self._almanac.rotations:
                thread(target=self._rotate, args=(rotation,), daemon=True).start()
            for spell in self._almanac.spells:
                thread(target=self._suffer, args=(spell,), daemon=True).start()
            self.world.time.run()
        return self._chronicle

    def _log_in(self) -> None:
        world = self.world
        logins = Logins(
            self._almanac.consumers,
            Client(world.hub_app),
            world.hub.username,
            lambda consumer: world.replicas_token() if consumer.far else world.current_token(),
        )
        self._chronicle.consumers = logins.met
        for at, act in logins.in_order():
            world.sleep_until(at)
            act()

    def _come_each_hour(self) -> None:
        for at, flaw in self._almanac.looks:
            self.world.sleep_until(at)
            self.world.order([flaw] if flaw else [])
            with self.world.working("Reconcile"):
                found, why = self._reconcile()
            if why:
                self._chronicle.in_vain.append(Mark(at, why))
            if Kind.HEAL_STARTED in found:
                self.world.order(self._flaws_of_a_heal)
                self.world.time.thread(target=self._heal, args=(at,), daemon=True).start()

    def _reconcile(self) -> tuple[list[str], str | None]:
        """Let the caretaker look, and return what it found, and why it could not see all, or None."""
        try:
            result = self.world.lambdas.care()
        except RotationError as failure:
            self.world.said.append(f"{failure!r} {failure}")
            return [], type(failure).__name__
        except Killed:
            return [], "killed"
        self.world.said.append(json.dumps(result.answer))
        found = [str(finding.kind) for care in result.cares for finding in care.findings]
        for kind in found:
            self._chronicle.findings[kind] = self._chronicle.findings.get(kind, 0) + 1
        if result.metrics["SecretsChecked"]:
            return found, None
        return found, ", ".join(found) or result.message.partition("attention. ")[2].partition(":")[0]

    def _rotate(self, planned: Rotation) -> None:
        """Begin a rotation as planned, and see it through."""
        world = self.world
        world.sleep_until(planned.at)
        self._wait_for_another()
        began = world.elapsed()
        world.order(planned.flaws)
        self._begin_or_go_on()
        if self._see_through():
            self._chronicle.rotations.append(Span(began, world.elapsed(), "rotated"))

    def _heal(self, looked_at: float) -> None:
        """See a rotation through that the caretaker has begun."""
        self._wait_for_another()
        if self._see_through():
            self._chronicle.heals.append(Span(looked_at, self.world.elapsed(), "healed"))

    def _wait_for_another(self) -> None:
        while self._rotating:
            self.world.time.sleep(MINUTE)
        self._rotating = True

    def _see_through(self) -> bool:
        """Go on with a rotation in one window after the other until it has succeeded; return False if it never does."""
        world, succeeded = self.world, False
        for _ in range(_MOST_WINDOWS):
            rotation = world.aws.engine.rotations[world.secret_arn]
            while rotation.state == "running":
                world.time.sleep(1)
            succeeded = rotation.state == "done"
            if succeeded:
                break
            world.time.sleep(self._almanac.stretch.window)
            self._begin_or_go_on()
        pinned, replica = world.state().holder(people.PIN), world.replica
        if (
            succeeded and pinned is None and (replica is None or replica.behind_since is None)
        ):  # which keep tokens active
            world.invariants.at_rest(world)
        self._rotating = False
        return succeeded

    def _begin_or_go_on(self) -> None:
        self.world.lambdas.end_idle()
        try:
            self.world.aws.retry(self.world.secret_arn)
        except LookupError:
            self.world.client.rotate_secret(SecretId=self.world.secret_arn, RotationLambdaARN=FUNCTION_ARN)

    def _do_deeds(self) -> None:
        for deed in self._almanac.deeds:
            self.world.sleep_until(deed.at)
            if not people.do(deed.act, self.world, self.world.client):
                continue
            self.world.take_as_it_is()
            self._write_down(deed)

    def _write_down(self, deed: Deed) -> None:
        chronicle, token = self._chronicle, self._chronicle.current[-1][1]
        chronicle.deeds.append(Mark(deed.at, deed.act))
        from_now_on = Span(deed.at, self._almanac.stretch.seconds, deed.act, token)
        match deed.act:
            case Act.PIN:
                chronicle.pins.append(from_now_on)
            case Act.TAKE_PIN_OFF:
                chronicle.pins[-1].end = deed.at
            case Act.DISABLE | Act.DELETE:
                chronicle.deaths.append(from_now_on)
                self._flaws_of_a_heal = deed.flaws
            case Act.MOVE_BACK:  # to one that was dead, but is enabled now
                for death in chronicle.deaths:
                    if death.token == token:
                        death.end = min(death.end, deed.at)

    def _suffer(self, spell: Spell) -> None:
        world = self.world
        acts: dict[Trouble, tuple[Callable[[], object], Callable[[], object]]] = {
            Trouble.OUTAGE: (partial(setattr, world, "down", True), partial(setattr, world, "down", False)),
            Trouble.PASSWORD: (world.change_password, world.tell_password),
            Trouble.TAG: (world.tag_wrongly, world.take_wrong_tag_off),
            Trouble.REPLICA_FAILS: (partial(setattr, world.replica, "ails", "fails"), world.mend_replica),
            Trouble.REPLICA_HANGS: (partial(setattr, world.replica, "ails", "hangs"), world.mend_replica),
        }
        begin, end = acts[spell.trouble]
        world.sleep_until(spell.begin)
        begin()
        world.sleep_until(spell.end)
        end()
        self._chronicle.troubles.append(Span(spell.begin, spell.end, spell.trouble))
