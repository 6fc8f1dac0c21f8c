"""Writes down what becomes of the secret's tokens."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from rehearsal.docker_hub import DockerHub, Token
from rehearsal.secrets_manager import Aws
from rehearsal.world import token_in
from rehearsal.year.chronicle import Chronicle, Life, Phase, State

_UNTIL = re.compile(r"dockerhub-rotation/[0-9a-f]{16}/\S+ until ([0-9]{8}T[0-9]{6}Z)")
_FUNCTION = "dockerhub-rotation/"


class Recorder:
    """Looks at Docker Hub and at the staging labels, and writes down what has changed.

    Args:
        elapsed: tells the time, in seconds since the beginning.

    Attributes:
        values: of every token that there ever was.
    """

    def __init__(
        self, chronicle: Chronicle, hub: DockerHub, aws: Aws, secret_arn: str, elapsed: Callable[[], float]
    ) -> None:
        self.values: set[str] = set()
        self._chronicle = chronicle
        self._hub = hub
        self._aws = aws
        self._secret_arn = secret_arn
        self._elapsed = elapsed
        self._numbers: dict[str, int] = {}  # of the secret's tokens, by uuid
        self._been_current: set[str] = set()

    def look(self) -> None:
        """Write down what has changed since the last look."""
        now, value = self._elapsed(), self._token("AWSCURRENT")
        in_use = {value, self._token("AWSPENDING")}
        for token in self._hub.tokens.values():
            self.values.add(token.value)
            if token.value == value or token.creator_ua.startswith(_FUNCTION) or token.uuid in self._numbers:
                if token.value == value:
                    self._been_current.add(token.uuid)
                self._write(token, now, self._state(token, in_use))
        for uuid, number in self._numbers.items():
            if uuid not in self._hub.tokens:
                self._enter(number, Phase(now, State.GONE))
        current = next((self._numbers[it.uuid] for it in self._hub.tokens.values() if it.value == value), None)
        if current is not None and (not self._chronicle.current or self._chronicle.current[-1][1] != current):
            self._chronicle.current.append((now, current))

    def _token(self, label: str) -> str | None:
        value = self._aws.value(self._secret_arn, label)
        return token_in(value) if value else None

    def _state(self, token: Token, in_use: set[str | None]) -> State:
        if not token.active:
            return State.DISABLED
        if token.value in in_use:
            return State.ACTIVE
        return State.GRACE if token.uuid in self._been_current else State.ORPHAN

    def _write(self, token: Token, now: float, state: State) -> None:
        if token.uuid not in self._numbers:
            self._numbers[token.uuid] = len(self._chronicle.lives)
            by_rotation = token.creator_ua.startswith(_FUNCTION)
            self._chronicle.lives.append(Life("made by a rotation" if by_rotation else "made by hand", []))
        phase = self._enter(self._numbers[token.uuid], Phase(now, state))
        deadline = self._deadline(token)
        if state is State.GRACE and deadline is not None:
            phase.deadline = deadline

    def _enter(self, number: int, phase: Phase) -> Phase:
        """Begin a phase, unless the token is that already; return the phase in which it is."""
        phases = self._chronicle.lives[number].phases
        if not phases or phases[-1].state is not phase.state:
            phases.append(phase)
        return phases[-1]

    def _deadline(self, token: Token) -> float | None:
        """Return the time in a label, as docs/how-it-works.md has it, in seconds since the beginning."""
        written = _UNTIL.fullmatch(token.label)
        if written is None:
            return None
        moment = datetime.strptime(written[1], "%Y%m%dT%H%M%S%z").timestamp()
        return moment - (self._hub.clock() - self._elapsed())
