"""`reconcile`: the caretaker looks at all secrets now, or at one, takes away what is due, and says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from operate.caretaker import Caretaker
from operate.names import Deployment
from operate.secret import require_ours
from operate.session import Aws
from operate.show import Show
from operate.typed import command


def reconcile(aws: Aws, show: Show, wanted: Deployment, *, every: bool) -> dict[str, object]:
    """Have the caretaker look.

    Args:
        every: whether it is to look at all secrets of the project.

    Returns:
        the caretaker's answer; `ok` says whether all could be looked at, and nothing needs somebody.

    Raises:
        Problem: it could not be asked, or it failed.
    """
    task = {"Task": "Reconcile"}
    function = wanted.caretaker
    if not every:
        secret = require_ours(aws, wanted)
        task["SecretId"] = secret.arn
        function = f"{secret.function}-caretaker"
    undone = "Whether all could be looked at is not known"
    answer = Caretaker(aws, show, function).send(task, "it looks", undone, command("reconcile"))
    for care in sorted(answer.get("Secrets", ()), key=_urgency):
        for word, text in _told(care):
            show.step(word, text)
    ok = not (answer.get("SecretsNeedAttention") or answer.get("SecretsUnknown"))
    show.line(str(answer.get("Message")))
    return {"ok": ok, "reconciled": answer}


def _urgency(care: Mapping[str, Any]) -> tuple[int, str]:
    needed = any(it["NeedsAttention"] for it in care["Findings"])
    return (0 if needed else 2 if care["Checked"] else 1), care["SecretId"]


def _told(care: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what was found of a secret, a word and a sentence each."""
    secret = care["SecretId"]
    for found in care["Findings"]:
        word = "ATTENTION" if found["NeedsAttention"] else "noted" if care["Checked"] else "UNKNOWN"
        yield word, f"{secret}: {found['Finding']}: {found['Message']}"
    if not care["Findings"]:
        yield ("well" if care["Checked"] else "UNKNOWN"), secret
