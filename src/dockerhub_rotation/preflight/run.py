"""One run: sweep what an earlier one has left, measure, delete the token whatever happens, and report.

The caretaker calls it with the function's own parameters; an operator's command calls it with an account that was asked
for, and may have the other login tried, too. Apart from that it needs nothing that the function does not have.
"""

import logging
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import FrameType
from typing import Any

from dockerhub_rotation import __version__
from dockerhub_rotation.deadline import Deadline
from dockerhub_rotation.docker_hub import Connection
from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.errors import RotationError
from dockerhub_rotation.parameters import Account, Accounts
from dockerhub_rotation.preflight import life, listing, logins
from dockerhub_rotation.preflight.bench import LABEL, Bench
from dockerhub_rotation.preflight.findings import Finding
from dockerhub_rotation.settings import Settings

logger = logging.getLogger(__name__)

# To be said before `try_both`.
COST_OF_A_LOCKOUT = (
    "If the other login refuses the password, that is one more refused login of the account. Too many of them lock its "
    "user name for 10 to 15 minutes, for everybody who logs in with it: no pull that needs a login works meanwhile, "
    "also with the right token. How many that takes is not published; preflight stops after two."
)

_CLEANUP_SECONDS = 60
_SWEPT_AFTER_SECONDS = 3600
_STARTED = re.compile(re.escape(LABEL) + r"(\d{8}T\d{6})")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Entered:
    """An account that somebody has entered, for this once."""

    entered: Account

    def account(self, read_since: float = 0.0) -> Account:  # noqa: ARG002 - there is nothing to read anew
        """Return the account."""
        return self.entered

    def forget(self) -> None:
        """Do nothing: there is no other."""


@dataclass(frozen=True)
class Report:
    """What a run has found.

    Attributes:
        about: the version, when it began, how long it took, where Docker Hub was asked, what it cost.
        findings: a measurement for each assumption, in their order.
        failures: what kept something from being measured.
        swept: how many tokens of earlier runs were deleted.
        left: labels of tokens of this run that could not be deleted; the next run does it.
    """

    about: dict[str, Any]
    findings: list[Finding]
    failures: list[str]
    swept: int
    left: list[str]

    @property
    def holds(self) -> bool:
        """Whether everything that the function relies on is as assumed, as far as it was measured, and nothing is left.

        It is not if something failed: then too little was measured.
        """
        differ = any(found.differs and found.assumption.relied_on for found in self.findings)
        return not (differ or self.failures or self.left)

    def document(self) -> dict[str, Any]:
        """Return it for JSON, as it may be pasted anywhere: it has no secret, no user name and no value of a body."""
        return {
            "preflight": self.about,
            "holds": self.holds,
            "measured": [found.row() for found in self.findings],
            "failures": self.failures,
            "swept": self.swept,
            "left": self.left,
        }


def measure(
    settings: Settings,
    accounts: Accounts,
    connection: Connection,
    remaining_milliseconds: Callable[[], int],
    *,
    try_both: bool = False,
    login_only: bool = False,
) -> Report:
    """Measure at Docker Hub what the function assumes of it. Takes a minute, or a few if something does not come.

    Makes one token, and deletes it also if it is interrupted; for that a minute of the time is kept. At most two logins
    are refused.

    Args:
        accounts: `Parameters`, or what was entered.
        connection: of the sandbox, or a new one. Its management login is made anew.
        remaining_milliseconds: as for `Deadline`.
        try_both: whether the login that is not configured is tried, too: see COST_OF_A_LOCKOUT.
        login_only: whether to stop after the logins: then no token is made.

    Raises:
        RotationError: the account could not be read; nothing was done.
    """
    kept = [_CLEANUP_SECONDS * 1000]
    bench = Bench(settings, accounts, connection, Deadline(lambda: remaining_milliseconds() - sum(kept)))
    began, swept, left = time.time(), 0, []
    with _interruptible():
        try:
            swept = _measure(bench, try_both=try_both, login_only=login_only)
        except RotationError as failure:
            bench.findings.fail(failure)
        finally:
            _ignore_signals()
            kept.clear()
            left = _clean_up(bench)
    about = {
        "version": __version__,
        "began": f"{datetime.fromtimestamp(began, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "seconds": round(time.time() - began, 1),
        "api_url": settings.api_url,
        "auth_url": settings.auth_url,
        "registry_url": settings.registry_url,
        "login": bench.settings.login,
        "requests": bench.http.requests,
        "refused_logins": bench.http.refused_logins,
    }
    if bench.settings.organization is not None:
        about["tokens"] = "of an organization"
    return Report(about, bench.findings.all(), bench.findings.failures, swept, left)


def _measure(bench: Bench, *, try_both: bool, login_only: bool) -> int:
    """Measure everything, and return how many tokens of earlier runs were deleted."""
    found = bench.findings
    logins.configured_login(bench)
    if try_both:
        logins.other_login(bench)
    else:
        found.skip("other-login", "Only if asked for: a refused login counts towards a lockout.")
    if login_only or not found.holds("configured-login"):
        return 0
    bench.http.password_is_taken = True
    swept = _sweep(bench)
    life.make(bench)
    if not found.holds("creation"):
        return swept
    listing.new_token(bench)
    listing.pages(bench)
    logins.token_login(bench)
    logins.registry_login(bench)
    logins.last_used(bench)
    life.change(bench)
    life.disabled(bench)
    life.delete(bench)
    return swept


def _sweep(bench: Bench) -> int:
    """Delete what earlier runs have left. What is younger than an hour may belong to one that goes on."""
    swept = 0
    try:
        for token in bench.tokens.listed():
            if _is_left_over(token, bench.http.now()):
                bench.tokens.delete(token.uuid)
                swept += 1
    except RotationError as failure:
        bench.findings.fail(failure)
    return swept


def _is_left_over(token: Token, now: float) -> bool:
    started = _STARTED.match(token.label)
    if started is None:
        return False
    try:
        begun = datetime.strptime(f"{started[1]}Z", "%Y%m%dT%H%M%S%z")
    except ValueError:
        return False
    return now - (token.created_at or begun).timestamp() > _SWEPT_AFTER_SECONDS


def _clean_up(bench: Bench) -> list[str]:
    """Delete the token of this run, if there may be one, and return its label if that fails."""
    if not bench.begun or bench.gone:
        return []
    try:
        if bench.made is not None:
            bench.tokens.delete(bench.made.uuid)
        else:  # the answer to its making was lost
            for token in bench.tokens.listed():
                if token.label.startswith(bench.label):
                    bench.tokens.delete(token.uuid)
    except RotationError as failure:
        logger.warning(
            "The token with the label %s may be left at Docker Hub: %s Delete it by hand, or leave it to the next "
            "preflight, after an hour",
            bench.label,
            failure,
        )
        return [bench.label]
    return []


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let what ends a process raise once, so that the token is deleted, and nothing disturb that.

    Not in another thread than the main one, where signals do not come.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _: FrameType | None) -> None:
        _ignore_signals()
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignore_signals() -> None:
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
