"""createSecret: stage a new token."""

import logging
from datetime import UTC, datetime, timedelta
from functools import partial
from math import ceil

from dockerhub_rotation import credential, retirement
from dockerhub_rotation.counting import counted
from dockerhub_rotation.credential import Credential
from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.docker_hub.tokens import NewToken
from dockerhub_rotation.errors import (
    AwsRefused,
    DockerHubRefused,
    ExpiryTooSoon,
    LoginRefused,
    RotationError,
    SecretUnusable,
    TagsInvalid,
    VersionAlreadyStored,
)
from dockerhub_rotation.plan import Grace
from dockerhub_rotation.secrets_manager import CURRENT, StoredValue
from dockerhub_rotation.steps import pending_value
from dockerhub_rotation.steps.step import Outcome, Rotation
from dockerhub_rotation.token_labels import version_of

logger = logging.getLogger(__name__)

_DAY = 86_400
# A rotation that fails is repeated in the next window, and somebody has to hear of it and to mend it before that.
_SPARE_DAYS = 7


def create_secret(rotation: Rotation) -> Outcome:
    """Stage a new token as the pending version's value.

    1. The pending version has a value: it is ours from an earlier try. Return.
    2. It has none: make sure of the tags, of the expiry and of the account, make a token that is labelled for this
       secret and version, and store it.
    3. Another value was stored meanwhile: a twin was faster. Delete our token, return.
    4. Storing is refused: delete our token, raise. If it is unknown whether it was stored, the token stays: it may be
       the stored one, and if it is not, finishSecret finds it by its label. So it is after a crash between the two.
       Once ours is stored, what such a try has left is deleted, where it is known: no version can come to hold it.
    5. The answer to making a token is lost: raise. A token that was made all the same carries our label.
    6. Making a token is refused: delete this secret's orphans, which may be what there are too many of, and try again.

    Raises:
        TagsInvalid: the secret's tags are wrong; nothing was changed.
        ExpiryTooSoon: the new token would expire too soon; nothing was changed.
        SecretUnusable: the current value can't be kept in shape, or is another account's; nothing was changed.
        RotationError: of the client or the gateway.
    """
    request = rotation.request
    if rotation.value_of(request.version_id) is not None:  # case 1
        return Outcome("The pending version has a value already, from an earlier try.")
    _require_settings(rotation)

    stored = rotation.stored(rotation.versions.holder(CURRENT))
    if stored is None:
        raise SecretUnusable("The secret has no current value. Store one; a placeholder will do.")
    current = pending_value.parse(stored.text, rotation)
    _require_our_account(rotation, stored, current)

    token = _make(rotation, current)  # cases 2, 5 and 6
    try:
        rotation.secrets_manager.store_pending(request, current.with_token(token.value))
    except VersionAlreadyStored:  # case 3
        _delete_unstored(token.uuid, rotation)
        return Outcome("A twin of this step has stored its token; ours is deleted.")
    except AwsRefused:  # case 4
        _delete_unstored(token.uuid, rotation)
        raise
    for abandoned in token.abandoned:
        _delete_unstored(abandoned, rotation)
    return Outcome(f"Token {token.uuid} is made and staged.")


def _require_settings(rotation: Rotation) -> None:
    """Refuse what is wrong with the secret's tags, and an expiry that comes too soon, all at once."""
    too_soon = _too_soon(rotation)
    if rotation.tags.error is not None:
        said = " ".join(filter(None, (str(rotation.tags.error), too_soon)))
        raise TagsInvalid(said, names=rotation.tags.wrong)
    if too_soon is not None:
        raise ExpiryTooSoon(too_soon)


def _too_soon(rotation: Rotation) -> str | None:
    """Return what is wrong with an expiry that leaves no time for the next rotation, its grace, and a failure.

    Where AWS does not tell how often the secret is rotated, it is not guessed: the caretaker holds a token's expiry
    against the date of the next rotation.
    """
    settings, every = rotation.tags.settings, rotation.versions.rotated_every_days
    if settings.expiry is None or not every:
        return None
    grace = Grace.of(settings, rotation.versions).seconds
    if settings.expiry * _DAY >= (every + _SPARE_DAYS) * _DAY + grace:
        return None
    least = every + _SPARE_DAYS + ceil(grace / _DAY)
    return (
        f"A new token would expire after {counted(settings.expiry, 'day')}, and has to live for {least}: {every} until "
        f"the next rotation, its grace, and {_SPARE_DAYS} to mend what may fail. Set DOCKERHUB_TOKEN_EXPIRY "
        "(TokenExpiry in infra/function.yaml) or the secret's tag dockerhub-rotation:expiry to more days, or "
        "rotate more often."
    )


def _require_our_account(rotation: Rotation, stored: StoredValue, current: Credential) -> None:
    """Refuse to replace the token of another account: its consumers would get what ours may pull, and it would live on.

    A token that a rotation has made is proven by the list, if that shows any token of this secret: then it is the right
    account, though this very token may be gone, which rotating cures. Where none is left to show, the user name in the
    value proves as much. A login for each secret whose token is gone would lock the user name. A value that somebody
    has stored is asked itself.

    Raises:
        SecretUnusable: the current token is another account's, or nothing speaks for ours.
    """
    by_rotation, token = rotation.versions.rotated_since(stored), current.token
    if not credential.looks_like_token(token):
        return
    tokens = rotation.docker_hub.tokens
    if by_rotation and tokens.any(lambda listed: version_of(listed, rotation.versions.arn) is not None):
        return
    if by_rotation and current.username is not None:  # another's has been refused
        return
    known = rotation.docker_hub.login.known(token)
    if known and tokens.find(known):
        return  # several secrets hold it, and one of them may have retired it
    try:
        identity = rotation.docker_hub.login.identify(rotation.username, token)
    except LoginRefused:
        # Under another name than its own, one that works is refused, too.
        doubtful = by_rotation or (current.username is None and rotation.settings.token_kind.needs_its_name)
    else:
        doubtful = not rotation.may_be(identity.username)
    if doubtful:
        raise SecretUnusable(
            "The secret's current token is not one of the account whose tokens this function makes. Look whether "
            f"{rotation.settings.set_by} another project's. If the secret is to move to this account, or all its "
            "tokens were deleted by hand, store a placeholder as its value."
        )


def _make(rotation: Rotation, current: Credential) -> NewToken:
    """Make a token; if that is refused, delete this secret's orphans and try once more."""
    create, superseded = rotation.docker_hub.tokens.create, partial(_superseded, rotation, current)
    try:
        return create(rotation.label, _expires_at(rotation), superseded)
    except DockerHubRefused as refusal:
        refused = refusal
    if not retirement.sweep(rotation, rotation.versions.arn, empty=rotation.request.version_id):
        raise refused
    return create(rotation.label, _expires_at(rotation), superseded)


def _superseded(rotation: Rotation, current: Credential, tokens: list[Token]) -> list[Token]:
    """Return the token that the new one supersedes, or several of which any may be it; none where that can't be told.

    One that is not listed any more may have been deleted by hand: then it is the latest that this secret had, for that
    may do what the deleted one could. A placeholder supersedes none.

    Args:
        tokens: every token there is.
    """
    if not credential.looks_like_token(current.token):
        return []
    arn, known = rotation.versions.arn, rotation.docker_hub.login.known(current.token)
    version = rotation.versions.holder(CURRENT)
    told = [token for token in tokens if known is not None and token.is_called(known)]
    made = [token for token in tokens if version_of(token, arn, rotation.versions.labels) == version]
    older = [token for token in tokens if version_of(token, arn) is not None and not rotation.is_for_pending(token)]
    older.sort(key=lambda token: token.created_at.timestamp() if token.created_at else 0.0)
    return told or made or older[-1:]


def _expires_at(rotation: Rotation) -> datetime | None:
    """Return when a token that is made now is to expire, if it is."""
    days = rotation.settings.expiry
    if days is None:
        return None
    return datetime.fromtimestamp(int(rotation.docker_hub.http.now()), UTC) + timedelta(days=days)


def _delete_unstored(uuid: str, rotation: Rotation) -> None:
    """Delete a token that no version holds. If that fails, a later finishSecret finds it by its label.

    Its value is stored nowhere, so whatever staging label somebody moves meanwhile, it can't come to hold it.
    """
    try:
        rotation.docker_hub.tokens.delete(uuid)
    except RotationError as failure:
        logger.warning("Token %s is not stored and could not be deleted; finishSecret will. %s", uuid, failure)
