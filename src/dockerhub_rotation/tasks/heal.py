"""Healing: where that is switched on, a current token that is dead has the secret rotated.

Whoever disables a token may have done so because it leaked. That is no reason against a new one: the old one stays as
it is, for nothing here enables it.
"""

from collections.abc import Iterable
from uuid import UUID, uuid5

from dockerhub_rotation import asking
from dockerhub_rotation.credential import Credential
from dockerhub_rotation.errors import LoginRefused, TagsInvalid
from dockerhub_rotation.findings import Finding, Kind, Known, pending_since, place
from dockerhub_rotation.remedies import command
from dockerhub_rotation.secrets_manager import CURRENT, PENDING, SecretVersions, StoredValue
from dockerhub_rotation.tasks.task import Task
from dockerhub_rotation.token_labels import said

_DAY = 86_400
# One look in an hour: what is this old was under way when the caretaker looked last, or has had as long as any
# rotation that ends. An invocation lives 15 minutes at most.
_HANGS_SECONDS = 1800

_DEAD = {Kind.CURRENT_TOKEN_DEAD, Kind.CURRENT_TOKEN_DISABLED}

# Of the ids of versions that healing makes; drawn once, for https://www.rfc-editor.org/rfc/rfc9562#section-5.5
_IDS = UUID("5f0b6f0e-6c62-4a6e-9a39-0f2f4a7d1c58")


def heal(
    task: Task, known: Known, found: Iterable[Finding], wrong_tags: TagsInvalid | None = None
) -> tuple[Finding, ...]:
    """Start a rotation if the token under AWSCURRENT is dead, and return what there is to say of it now.

    1. Healing is not switched on, or nothing is found dead, or it is not known whether it is the right account: what
       was found is all.
    2. A rotation is under way, which makes a token itself; if it hangs, no other can begin: said, with the command.
    3. Rotation is switched off for the secret, and starting one would switch it on: said. So it is where the list is
       not complete: what it lacks may be there. And where createSecret would refuse the secret's tags, or the user name
       in its value: the version that it leaves AWSPENDING would be in the way of the next one.
    4. The version is younger than a day: whatever has killed its token would kill the next one. Said.
    5. One login with the value, spent now. It works: the list is wrong, or was a moment ago. Said instead.
    6. The staging labels, or the function, have changed meanwhile: somebody sees to it. The next look tells.
    7. Start a rotation. Its version's id follows from what was seen: two caretakers that have seen the same start one.

    Args:
        found: what was found of the secret.
        wrong_tags: what is wrong with its tags, or None.

    Raises:
        RotationError: of the client or the gateway; what was found still holds.
    """
    found = tuple(found)
    if task.settings.heal == "report" or not any(one.kind in _DEAD for one in found):  # case 1
        return found
    versions = known.versions
    current = versions.holder(CURRENT)
    if versions.is_rotating:  # case 2
        return (*found, *_blocked_by_rotation(known))
    blocked = _blocked(task, known, wrong_tags)  # case 3
    stored = asking.stored_value(task, versions.arn, current) if current and not blocked else None
    if current is None or stored is None:
        return (*found, *blocked)
    value = task.parse(stored.text)
    against = _of_another(task, value) or _too_young(versions, stored)  # cases 3 and 4
    if against:
        return (*found, *against)
    task.docker_hub.management.leave_the_next_code()  # to the rotation, whose first step logs in at once
    if not _is_refused(task, value.token):  # case 5
        return (*(one for one in found if one.kind not in _DEAD), _list_is_wrong(versions))
    seen = task.secrets_manager.versions(versions.arn)
    unchanged = seen.labels == versions.labels and seen.rotation_function == task.function
    if not unchanged or not seen.rotation_enabled:  # case 6
        return found
    version = str(uuid5(_IDS, f"{seen.arn} {current} {seen.changed_at!r}"))
    started = task.secrets_manager.start_rotation(seen.arn, version)
    task.docker_hub.management.presume_code_used(task.docker_hub.http.now())
    return (*found, _started(version)) if started else found


def _is_refused(task: Task, token: str) -> bool:
    """Tell whether Docker Hub itself refuses a login with a token; if it did in this invocation, it is not asked again.

    A lockout, or an answer that nobody knows, is no refusal, and raised.
    """
    login = task.docker_hub.login
    if login.was_refused(token):
        return True
    try:
        login.identify(task.username, token)
    except LoginRefused:
        return True
    return False


def _blocked_by_rotation(known: Known) -> tuple[Finding, ...]:
    since, pending = pending_since(known), known.versions.holder(PENDING)
    if known.now - since <= _HANGS_SECONDS:
        return ()
    return (
        _blocking(
            f"version {pending} is AWSPENDING since {said(since)} or longer, and no other rotation can begin. Mend "
            "what the rotation function's log names, or drop the version and rotate again: "
            f"{command('unblock', place(known.versions, pending))}."
        ),
    )


def _blocked(task: Task, known: Known, wrong_tags: TagsInvalid | None) -> tuple[Finding, ...]:
    if wrong_tags is not None:
        return (_blocking("by the secret's tags none is made. Mend them, and the caretaker's next look starts one."),)
    if not known.versions.rotation_enabled:
        return (
            _blocking(
                "rotation is switched off for the secret, and to start one would switch it on. If that is what you "
                f"want, do it: {command('rotate', place(known.versions))}."
            ),
        )
    if known.current.token is None and not task.docker_hub.tokens.shows_all:
        return (
            _blocking(
                "the account's list counts more tokens than it shows, so the token may be there. Rotate by hand: "
                f"{command('rotate', place(known.versions))}."
            ),
        )
    return ()


def _blocking(why: str) -> Finding:
    return Finding(
        Kind.HEAL_BLOCKED,
        f"No rotation was started for the token under AWSCURRENT that does not work: {why}",
        consumers_affected=True,
    )


def _too_young(versions: SecretVersions, stored: StoredValue) -> tuple[Finding, ...]:
    # Where AWS does not say, it is as young as can be: else nothing would keep heals from following one another.
    since = max(stored.created_at, versions.rotated_at) or versions.seen_at
    if versions.seen_at - since >= _DAY:
        return ()
    return (
        Finding(
            Kind.HEAL_TOO_SOON,
            f"No rotation was started for the token under AWSCURRENT that does not work: its version is there since "
            f"{said(since)} only, and whatever has killed its token may kill the next one. Look who or what deletes or "
            f"disables tokens of the account, then make a new one: {command('rotate', place(versions))}.",
            consumers_affected=True,
        ),
    )


def _of_another(task: Task, value: Credential) -> tuple[Finding, ...]:
    if task.may_be(value.username):
        return ()
    return (
        _blocking(
            "the secret's value names another user than the account whose tokens are managed. Correct it, or "
            f"{task.settings.named_by}."
        ),
    )


def _list_is_wrong(versions: SecretVersions) -> Finding:
    return Finding(
        Kind.LIST_DOUBTFUL,
        "The account's list of tokens says that the token under AWSCURRENT does not work, but it logs in. Somebody may "
        "have mended it just now. If this lasts, the list can't be believed: "
        f"{command('preflight', place(versions))}.",
    )


def _started(version: str) -> Finding:
    return Finding(
        Kind.HEAL_STARTED,
        "Docker Hub has refused a login with the token under AWSCURRENT, so a rotation was started: version "
        f"{version}. If it ends well, consumers work again and there is nothing more to do; the rotation function "
        "tells if not.",
        consumers_affected=True,
    )
