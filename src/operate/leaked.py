"""`rotate --leaked`, the first answer to a leak: another token, then none of the superseded ones works any more."""

from __future__ import annotations

from collections.abc import Mapping

from operate.caretaker import Caretaker, retire_task, show_retired
from operate.names import Deployment
from operate.rotations import rotate
from operate.secret import Secret, again, require_rotating
from operate.session import Aws
from operate.show import Problem, Show
from operate.typed import command


def rotate_leaked(aws: Aws, show: Show, wanted: Deployment, seconds: float, *, sure: bool = False) -> dict[str, object]:
    """Rotate, then have the caretaker disable every superseded token of the secret, whatever grace it has.

    Args:
        seconds: how long to follow the rotation.
        sure: as for `rotate`.

    Returns:
        as `rotate`, with the caretaker's answer; `ok` says whether no token is left active but the one in use.

    Raises:
        Problem: there is no caretaker, and nothing is done; or the token could not be replaced, or not all be disabled.
    """
    secret = require_rotating(aws, wanted)
    caretaker = Caretaker(aws, show, f"{secret.function}-caretaker")
    caretaker.require_there(f"; or `{command('rotate')}`, and disable the older tokens at Docker Hub yourself")
    try:
        rotated: Mapping[str, object] = rotate(aws, show, wanted, seconds, sure=sure, leaked="1")
    except Problem as problem:
        rotated = _promoted(aws, show, secret, problem)
    task = retire_task(secret.arn)
    undone = "The secret has another token, but whether every superseded one is disabled is not known"
    answer = caretaker.send(task, "it disables every superseded token", undone, command("retire"))
    ok = show_retired(show, secret.arn, answer)
    show.line(
        "No token of the secret works any more but the one that is in use."
        if ok
        else "Not every token of the secret is known to be disabled. Mend what is said above, then do the rest with "
        f"`{command('retire')}`, or without these commands:\n  {caretaker.by_hand(task)}"
    )
    if rotated.get("joined"):
        show.line(
            "The rotation had begun before: if its value, then under AWSPENDING, may have leaked as well, run "
            f"`{_again()}` once more."
        )
    return {**rotated, "ok": ok, "retired": answer}


def _promoted(aws: Aws, show: Show, before: Secret, problem: Problem) -> Mapping[str, object]:
    """Go on where a rotation has failed after the promotion: the rest is the caretaker's.

    Raises:
        Problem: it has failed before.
    """
    current = again(aws, before).current
    if current == before.current:
        raise Problem(
            f"{problem}\nThe token under AWSCURRENT still works, and may be the one that leaked: run `{_again()}` "
            "once the rotation can succeed, or disable it at Docker Hub, which consumers will notice."
        )
    show.line(str(problem))
    return {"secret": before.arn, "version": current}


def _again() -> str:
    return command("rotate", leaked="1")
