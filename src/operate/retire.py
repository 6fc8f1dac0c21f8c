"""`retire`: the caretaker disables every superseded token of one secret now."""

from __future__ import annotations

from operate.caretaker import Caretaker, retire_task, show_retired
from operate.confirm import require_yes
from operate.names import Deployment
from operate.secret import require_ours
from operate.session import Aws
from operate.show import Show
from operate.typed import command


def retire(aws: Aws, show: Show, wanted: Deployment, *, sure: bool) -> dict[str, object]:
    """Have the caretaker disable every superseded token of a secret, whatever is left of a grace.

    Args:
        sure: whether to do it without asking.

    Returns:
        the caretaker's answer; `ok` says whether no token is left active but the one in use.

    Raises:
        Problem: nobody confirmed it, or not every token could be disabled.
    """
    secret = require_ours(aws, wanted)
    caretaker = Caretaker(aws, show, f"{secret.function}-caretaker")
    caretaker.require_there()
    show.line(
        f"Every superseded token of {secret.arn} will be disabled now, whatever is left of its grace: whoever has kept "
        "a copy is refused until it reads the secret again. The token under AWSCURRENT stays as it is. If that one has "
        f"leaked, `{command('rotate', leaked='1')}` is what you want."
    )
    confirmed = command("retire", yes="1")
    require_yes(show, "Disable them?", "Nothing is disabled", sure=sure, confirmed=confirmed)
    undone = "Whether every superseded token is disabled is not known"
    answer = caretaker.send(retire_task(secret.arn), "it disables every superseded token", undone, confirmed)
    ok = show_retired(show, secret.arn, answer)
    show.line(
        "No superseded token of the secret works any more."
        if ok
        else f"Not every superseded token is known to be disabled: mend what is said above, then run `{confirmed}`."
    )
    return {"secret": secret.arn, "ok": ok, "retired": answer}
