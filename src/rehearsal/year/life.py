"""A stretch of time in a secret's life: everything that the almanac says happens, each in a thread of virtual time."""

from __future__ import annotations

import json

from werkzeug.test import Client

from dockerhub_rotation.errors import RotationError
from rehearsal.fleet.sandboxes import Killed
from rehearsal.world import FUNCTION_ARN
from rehearsal.year import people
from rehearsal.year.almanac import Act, Almanac, Rotation, Spell, Trouble
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
        logins = Logins(self._almanac.consumers, Client(world.hub_app), world.hub.username, world.current_token)
        self._chronicle.consumers = logins.met
        for at, act in logins.in_order():
            world.sleep_until(at)
            act()

    def _come_each_hour(self) -> None:
        for at, flaw in self._almanac.looks:
            self.world.sleep_until(at)
            self.world.order([flaw] if flaw else [])
            with self.world.working("Reconcile"):
                why = self._reconcile()
            if why:
                self._chronicle.in_vain.append(Mark(at, why))

    def _reconcile(self) -> str | None:
        """Let the caretaker look, and return why it could not see all, or None."""
        try:
            result = self.world.lambdas.care()
        except RotationError as failure:
            self.world.said.append(f"{failure!r} {failure}")
            return type(failure).__name__
        except Killed:
            return "killed"
        self.world.said.append(json.dumps(result.answer))
        found = [str(finding.kind) for care in result.cares for finding in care.findings]
        for kind in found:
            self._chronicle.findings[kind] = self._chronicle.findings.get(kind, 0) + 1
        if result.metrics["SecretsChecked"]:
            return None
        return ", ".join(found) or result.message.partition("attention. ")[2].partition(":")[0]

    def _rotate(self, planned: Rotation) -> None:
        """Begin a rotation, and go on with it in one window after the other until it has succeeded."""
        world = self.world
        world.sleep_until(planned.at)
        while self._rotating:
            world.time.sleep(MINUTE)
        self._rotating, began = True, world.elapsed()
        world.order(planned.flaws)
        for _ in range(_MOST_WINDOWS):
            world.lambdas.end_idle()
            self._begin_or_go_on()
            rotation = world.aws.engine.rotations[world.secret_arn]
            while rotation.state == "running":
                world.time.sleep(1)
            if rotation.state == "done":
                self._chronicle.rotations.append(Span(began, world.elapsed(), "rotated"))
                if world.state().holder(people.PIN) is None:  # which keeps a token active
                    world.invariants.at_rest(world)
                break
            world.time.sleep(self._almanac.stretch.window)
        self._rotating = False

    def _begin_or_go_on(self) -> None:
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
            self._chronicle.deeds.append(Mark(deed.at, deed.act))
            if deed.act is Act.PIN:
                token = self._chronicle.current[-1][1]
                self._chronicle.pins.append(Span(deed.at, self._almanac.stretch.seconds, deed.act, token))
            elif deed.act is Act.TAKE_PIN_OFF:
                self._chronicle.pins[-1].end = deed.at

    def _suffer(self, spell: Spell) -> None:
        world, is_outage = self.world, spell.trouble is Trouble.OUTAGE
        world.sleep_until(spell.begin)
        if is_outage:
            world.down = True
        else:
            world.change_password()
        world.sleep_until(spell.end)
        if is_outage:
            world.down = False
        else:
            world.aws.put_parameter("DOCKER_HUB_PASSWORD", world.hub.password)
        self._chronicle.troubles.append(Span(spell.begin, spell.end, spell.trouble))
