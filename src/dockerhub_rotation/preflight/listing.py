"""Measures the list of tokens: what it shows of the new one, its pages, its order and its end."""

import math
from datetime import datetime
from typing import Any

from dockerhub_rotation.counting import counted
from dockerhub_rotation.docker_hub.answers import Answer
from dockerhub_rotation.preflight.bench import PAGE_SIZE, Bench, after, items, not_seen, told
from dockerhub_rotation.preflight.findings import shape

_MAX_PAGE_BYTES = 1 << 20
# So many a page has if it is not asked for more.
_USUAL_PAGE_SIZE = 10


def new_token(bench: Bench) -> None:
    """See when the list shows the token, and what of it; then read it alone."""
    found = bench.findings
    with found.judging("list-shows-new-token"):
        seconds = bench.seconds_until(lambda: bench.listed() is not None)
        if seconds is None:
            found.not_seen("list-shows-new-token", not_seen("the token in the list"))
        else:
            found.note("list-shows-new-token", seconds == 0, after(seconds))
        shown = (bench.listed() or {}).get("token")
        if seconds is not None:
            found.note("value-shown-once", shown != bench.token.value, _hidden(shown, bench.token.value))
    with found.judging("single-token"):
        answer = bench.ask("Reading the token", "GET")
        found.note("single-token", answer.success and told(answer.json).get("uuid") == bench.token.uuid, shape(answer))


def pages(bench: Bench) -> None:
    """Read the list as the function does, twice, then in smaller pages, and at last beyond its end."""
    found = bench.findings
    with found.judging("page-size"):
        read = list(bench.pages())
        first = _uuids(read)
        _size(bench, read)
        heaviest = max(len(page.body) / len(items(page)) for page in read if items(page)) * PAGE_SIZE
        found.note("page-fits", heaviest < _MAX_PAGE_BYTES, f"{heaviest / 1024:.0f} KiB")
        with found.judging("list-order"):
            again = _uuids(list(bench.pages()))
            if set(again) == set(first):
                found.note("list-order", again == first, _order(read) if again == first else "another one each time")
            else:
                found.skip("list-order", "Somebody has made or deleted a token meanwhile.")
        if found.holds("list-order"):
            with found.judging("list-pages"):
                _smaller_pages(bench, first)
        with found.judging("list-beyond-its-end"):
            beyond = bench.page(len(read) + 1)
            ends = beyond.gone or (beyond.success and not items(beyond))
            found.note("list-beyond-its-end", ends, shape(beyond))


def _size(bench: Bench, read: list[Answer]) -> None:
    found, largest, total = bench.findings, len(items(read[0])), len(_uuids(read))
    if total <= _USUAL_PAGE_SIZE:
        found.skip("page-size", f"The account has {counted(total, 'token')}, which any page holds.")
    else:
        found.note("page-size", len(read) == 1 or largest >= PAGE_SIZE, f"{largest} of {total} tokens on the first")


def _smaller_pages(bench: Bench, uuids: list[str]) -> None:
    if len(uuids) == 1:
        bench.findings.skip("list-pages", "The account has no other token, and so no second page.")
        return
    size = min(PAGE_SIZE, math.ceil(len(uuids) / 2))
    read = list(bench.pages(size))
    several, together = len(read) > 1, _uuids(read)
    whole = sorted(together) == sorted(uuids)
    seen = f"{len(together)} of {len(uuids)} tokens on {counted(len(read), 'page')} of {size}"
    bench.findings.note("list-pages", several and whole, seen if several else f"{seen}: the first names no next")


def _uuids(read: list[Answer]) -> list[str]:
    return [item["uuid"] for page in read for item in items(page)]


def _order(read: list[Answer]) -> str:
    """Say in which order the tokens are: none that anything may rest on."""
    made = [_time(item) for page in read for item in items(page)]
    known = [moment for moment in made if moment is not None]
    if len(known) < 2:
        return "the same each time"
    order = "oldest first" if known == sorted(known) else "newest first" if known == sorted(known)[::-1] else "any"
    return f"the same each time: {order}"


def _time(item: dict[str, Any]) -> float | None:
    try:
        return datetime.fromisoformat(str(item.get("created_at"))).timestamp()
    except (ValueError, OverflowError):
        return None


def _hidden(shown: object, value: str) -> str:
    if shown == value:
        return "shown"
    return "missing" if shown is None else "empty" if shown == "" else "something in its place"
