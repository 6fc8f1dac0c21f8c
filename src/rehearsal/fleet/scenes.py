"""What a fleet is like, what happened before its rotations, and what they took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Past(StrEnum):
    """What happened to the secrets before they are rotated together."""

    DUE_AT_ONCE = "due-at-once"  # a quarter hold a hand-made token, a quarter a placeholder, the others were rotated
    TIDIED_UP = "tidied-up"  # each was rotated twice, then somebody deleted the disabled tokens
    LEAKED = "leaked"  # each was rotated twice, then somebody deleted the tokens in use, because they leaked
    WATCHED = "watched"  # each was rotated long ago, and is not due: the caretaker looks after them
    SHARED = "shared-token"  # all began with one hand-made token, and each was rotated once, at an hour of its own

    @property
    def rotations(self) -> int:
        """How many rotations each secret has behind it, all of which the function has done."""
        return {Past.DUE_AT_ONCE: 0, Past.WATCHED: 0, Past.SHARED: 1}.get(self, 2)


@dataclass(frozen=True)
class Scene:
    """What a fleet is like.

    Attributes:
        secrets: how many.
        per_minute: Docker Hub's limit of requests. 600 were seen with a login, 180 without
            (https://github.com/badges/shields/issues/9342, https://github.com/goodwithtech/dockertags/issues/28).
        past: what happened to the secrets before.
        timeout: seconds that Lambda gives an invocation.
        attempts: how often Secrets Manager tries a rotation. This and the next are assumptions: AWS says "multiple
            times" (https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda.html).
        pause: seconds between two attempts; the same for all, so that those that failed together come together.
        two_factor: whether the account logs in with one-time codes.
        others: tokens of other people and programs.
        heals: whether the caretaker has a dead token replaced.
        mixed: whether every fifth secret holds a token of an organization: of 200, as many as its quota allows.
        second: of the minute, at which all rotations start.
        seed: of everything random.
    """

    secrets: int = 200
    per_minute: int = 600
    past: Past = Past.DUE_AT_ONCE
    timeout: float = 180
    attempts: int = 5
    pause: float = 300
    two_factor: bool = False
    others: int = 12
    heals: bool = False
    mixed: bool = False
    second: float = 0
    seed: int = 1

    def is_of_an_organization(self, number: int) -> bool:
        """Tell whether a secret, by its number, holds a token of the organization."""
        return self.mixed and number % 5 == 0


@dataclass(frozen=True)
class Report:
    """What it took.

    Attributes:
        rotated: how many rotations succeeded.
        requests: to each party.
        logins: successful logins with the account's password.
        refused_logins: those that Docker Hub refused, with a token, the password or a code.
        lockouts: how often that locked the user name.
        rate_limited: answers 429.
        sandboxes: how many Lambda made.
        failed_attempts: attempts of Secrets Manager that failed, by the error.
        retries: attempts that it made after a failed one.
        seconds: from the start to the last end.
        broken: how often each invariant was found broken.
    """

    rotated: int
    requests: Mapping[str, int]
    logins: int
    refused_logins: int
    lockouts: int
    rate_limited: int
    sandboxes: int
    failed_attempts: Mapping[str, int]
    retries: int
    seconds: float
    broken: Mapping[str, int]


@dataclass(frozen=True)
class Day:
    """What the caretaker took in a day, hour by hour.

    Attributes:
        requests: to each party.
        refused_logins: with the password, a code or a token.
        lockouts: how often they locked the user name.
        unknown: how many secrets could not be looked at.
        attention: how many need attention.
        failed: the error with which it ended, or None.
        seconds: how long it took.
    """

    requests: tuple[Mapping[str, int], ...]
    refused_logins: tuple[int, ...]
    lockouts: int
    unknown: tuple[int, ...]
    attention: tuple[int, ...]
    failed: tuple[str | None, ...]
    seconds: tuple[float, ...]
