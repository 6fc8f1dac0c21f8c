"""Measures a token's life: made, changed, disabled, enabled, deleted, and gone."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from dockerhub_rotation.docker_hub import answers
from dockerhub_rotation.docker_hub.answers import Answer
from dockerhub_rotation.errors import LoginRefused
from dockerhub_rotation.preflight.bench import Bench, Made, after, not_seen, told
from dockerhub_rotation.preflight.findings import shape

# A run that can delete nothing any more leaves a token that ends by itself.
_LIFETIME = timedelta(days=1)
# Docker Hub's clocks may differ a little among each other, and creation takes a moment.
_CLOCKS_AGREE_SECONDS = 60
_MAX_LABEL = 100
_SECONDS_TO_KEEP_A_TOKEN = 10


def make(bench: Bench) -> None:
    """Make the token, if possible one that expires."""
    found = bench.findings
    ends_at = (datetime.fromtimestamp(bench.http.now(), UTC) + _LIFETIME).replace(microsecond=0)
    with found.judging("creation"):
        answer = _create(bench, {"expires_at": ends_at.isoformat().replace("+00:00", "Z")})
        if 400 <= answer.status < 500:
            refused, answer = answer, _create(bench, {})
            if answer.success:
                found.note("expiry", False, f"refused: {shape(refused)}")
        made = told(answer.json) if answer.success else {}
        uuid, value = made.pop("uuid", None), made.pop("token", None)
        if not (isinstance(uuid, str) and isinstance(value, str)):
            found.note("creation", False, shape(answer))
            return
        read = answers.token(answer, {**made, "uuid": uuid}, answers.PERSONAL)
        bench.made = Made(read.uuid, value, made)
        is_known = value.startswith(bench.settings.token_kind.prefix) and value.isascii() and value.isprintable()
        found.note("creation", is_known, shape(answer) if is_known else "a value of another form")
        end = "the same" if read.expires_at == ends_at else "another time" if read.expires_at else "no time"
        found.note("expiry", read.expires_at == ends_at, end)
        same, some = bench.keeps_rights(made), made.get("scopes") or made.get("resources")
        found.note("scopes-kept", same, "the same" if same else "others" if some else "none")
        late = None if read.created_at is None else round(read.created_at.timestamp() - bench.http.now())
        is_now = late is not None and abs(late) <= _CLOCKS_AGREE_SECONDS
        found.note("creation-time", is_now, "no time with a zone" if late is None else f"{late} s from its Date")


def _create(bench: Bench, expiry: dict[str, str]) -> Answer:
    bench.begun = True
    return bench.management.send(
        "Creating a token",
        "POST",
        bench.path,
        repeatable=False,
        spare_seconds=_SECONDS_TO_KEEP_A_TOKEN,
        json=bench.asked | expiry,
    )


def change(bench: Bench) -> None:
    """Disable the token and give it the longest label, as a rotation does, and see what becomes of it."""
    found = bench.findings
    label = f"{bench.label}/".ljust(_MAX_LABEL, "x")
    wanted = {"is_active": False} | bench.labelled(label)
    with found.judging("change-answer"):
        before = bench.listed() or {}
        answer = bench.ask("Changing the token", "PATCH", json=wanted)
        found.note("change-answer", answer.success and answer.says("is_active") is False, shape(answer))
        now = bench.listed() or {}
        is_active = now.get("is_active")
        found.note("change-takes-effect", is_active is False, f"is_active is {is_active is True}")
        lengths = [len(str(it.get("token_label"))) for it in (bench.token.told, now)]
        kept = [bench.token.told.get("token_label"), now.get("token_label")] == [bench.label, label]
        found.note("label-kept", kept, f"{' and '.join(map(str, lengths))} characters{'' if kept else ', changed'}")
        lost = [key for key in ("scopes", "created_at", "expires_at") if before.get(key) != now.get(key)]
        found.note("change-keeps-the-rest", not lost, f"changed: {', '.join(lost)}" if lost else "unchanged")
    with found.judging("change-again"):
        answer = bench.ask("Changing the token again", "PATCH", json=wanted)
        found.note("change-again", answer.success, shape(answer))
    with found.judging("disabled-at-hub"):  # so that it can be disabled at a moment that is known
        bench.ask("Enabling the token", "PATCH", json={"is_active": True})


def disabled(bench: Bench) -> None:
    """Log in with the disabled token until it is refused, at the Hub API; enable it; then the same at the registry."""
    found, name, value = bench.findings, bench.username, bench.token.value
    if not found.holds("change-takes-effect"):
        return
    hub = _seconds_until_refused(bench, "disabled-at-hub", lambda: bench.login.identify(name, value))
    if hub is not None:
        _enable(bench)
    registry = _seconds_until_refused(
        bench, "disabled-at-registry", lambda: bench.login.log_in_to_registry(name, value)
    )
    known = {"the Hub API": hub, "the registry": registry}
    seen = ", ".join(f"{who} {after(seconds)}" for who, seconds in known.items() if seconds is not None)
    if hub or registry:
        found.note("disabled-at-once", False, seen)
    elif hub == registry == 0:
        found.note("disabled-at-once", True, seen)


def _seconds_until_refused(bench: Bench, name: str, log_in: Callable[[], object]) -> int | None:
    """Disable the token, and return after how many seconds a login was refused; None if not, or not as assumed."""

    def refused() -> bool:
        try:
            log_in()
        except LoginRefused:
            return True
        return False

    seconds = None
    with bench.findings.judging(name):
        bench.ask("Disabling the token", "PATCH", json={"is_active": False})
        seconds = bench.seconds_until(refused)
        if seconds is None:
            bench.findings.not_seen(name, not_seen("a refusal"))
        else:
            bench.findings.note(name, True, shape(bench.http.login))
    return seconds


def _enable(bench: Bench) -> None:
    """Enable the token and log in with it."""
    found = bench.findings
    with found.judging("enabled-again"):
        bench.ask("Enabling the token", "PATCH", json={"is_active": True})
        try:
            bench.login.identify(bench.username, bench.token.value)
            found.note("enabled-again", True, "it logs in")
        except LoginRefused:
            found.note("enabled-again", False, f"refused: {shape(bench.http.login)}")


def delete(bench: Bench) -> None:
    """Delete the token, and see how it is not there."""
    found = bench.findings
    with found.judging("deletion"):
        answer = bench.ask("Deleting the token", "DELETE")
        found.note("deletion", _is_done(answer), shape(answer))
        with found.judging("list-forgets"):
            seconds = bench.seconds_until(lambda: bench.listed() is None)
            if seconds is None:
                found.not_seen("list-forgets", not_seen("the list without it"))
                return
            bench.gone = True
            found.note("list-forgets", seconds == 0, after(seconds))
        requests: dict[str, tuple[str, dict[str, Any]]] = {
            "deletion-again": ("DELETE", {}),
            "change-of-gone": ("PATCH", {"json": {"is_active": False}}),
            "gone-token": ("GET", {}),
        }
        for name, (method, content) in requests.items():
            with found.judging(name):
                answer = bench.ask("Asking for the deleted token", method, **content)
                done = answer.gone or (method == "DELETE" and _is_done(answer))
                found.note(name, done, shape(answer))


def _is_done(answer: Answer) -> bool:
    return answer.success and not answer.body
