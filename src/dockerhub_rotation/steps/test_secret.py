"""testSecret: prove that the staged token works."""

import logging
from collections.abc import Iterable

from dockerhub_rotation import credential
from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.errors import LoginRefused, PendingTokenUnusable
from dockerhub_rotation.settings import fall_short
from dockerhub_rotation.steps import pending_value
from dockerhub_rotation.steps.pending_value import NOT_LET_IN
from dockerhub_rotation.steps.step import Outcome, Rotation

logger = logging.getLogger(__name__)

# A token made a moment ago may need one until it is known everywhere. Few tries, and slow ones, for refused logins add
# up to a lockout of the user name. Secrets Manager repeats the whole rotation: once the first attempt has paused, the
# token is not fresh any more, so each further attempt tries it once.
_PAUSES_SECONDS = (3, 9)
_FRESH_SECONDS = 10


def test_secret(rotation: Rotation) -> Outcome:
    """Prove that the pending value works, by using it as its consumers will. Stores nothing.

    1. It logs in at the Hub API and at the registry: proven.
    2. It was made for this version and is disabled: enable it, then as 1.
    3. It was made for this version a moment ago: it may be too fresh. Try again a few times, slowly.
    4. It is refused for any other reason: it was deleted or has expired, which nothing takes back. The error holds the
       command that unblocks the rotation.
    5. The pending value is a copy of the current one: Secrets Manager calls this step alone when rotation is
       configured with RotateImmediately=false. Then a refusal means that consumers are refused, too.
    6. The pending version is empty: createSecret has to run first.

    Raises:
        PendingTokenUnusable: cases 4 to 6; or the token may do less than the settings ask for, and only another could.
        DockerHubRefused: the token is not granted what is asked for on the probe repository.
        RotationError: of the client or the gateway.
    """
    value = rotation.value_of(rotation.request.version_id)
    if value is None:  # case 6
        raise PendingTokenUnusable(
            f"Version {rotation.request.version_id} is staged but empty, so there is nothing to test. createSecret "
            "gives it its value: rotate the secret, without RotateImmediately=false.",
            verbs=("rotate",),
        )
    token = pending_value.parse(value, rotation).token
    if not credential.looks_like_token(token):
        raise pending_value.unusable(rotation, value, "a placeholder or something else that is no token")

    if not _works(rotation, value, token):
        if pending_value.is_copy_of_current(rotation, value):  # case 5
            raise pending_value.unusable(rotation, value, NOT_LET_IN, refused=True)
        if not _works_in_the_end(rotation, value, token):  # case 4
            raise pending_value.unusable(rotation, value, NOT_LET_IN)
    return Outcome("The pending token logs in at Docker Hub and at its registry.")


def _works(rotation: Rotation, value: str, token: str) -> bool:
    """Log in as consumers do, and compare what the login says of itself."""
    try:
        _prove(rotation, value, token)
    except LoginRefused:
        return False
    return True


def _prove(rotation: Rotation, value: str, token: str) -> None:
    """Log in as consumers do, and refuse a token that may do too little.

    A copy of the current value, which may be a hand-made token, need not do what new tokens are asked for.
    """
    settings = rotation.settings
    identity = pending_value.identify(rotation, value, token)
    in_question = settings.compare_scopes and fall_short(identity.scopes, settings.scopes)
    copy = (in_question or bool(settings.probe_repositories)) and pending_value.is_copy_of_current(rotation, value)
    if in_question and not copy:
        _require_scopes(rotation, value)
    probes = () if copy else settings.probe_repositories
    rotation.docker_hub.login.log_in_to_registry(rotation.username, token, *probes)


def _require_scopes(rotation: Rotation, value: str) -> None:
    """Refuse the staged token if it was made with less than the settings ask for.

    Its login has told less. If the list tells more, or nothing, then the login is not to be believed: dropping the
    token would bring another one like it, for ever.

    Raises:
        PendingTokenUnusable: it was made before the settings were changed, and only another token helps.
    """
    asked = rotation.settings.scopes
    made = [token for token in _listed(rotation) if rotation.is_for_pending(token)]
    if any(fall_short(token.scopes, asked) for token in made):
        what = f"a token that may do less than DOCKERHUB_TOKEN_SCOPES asks for ({', '.join(asked)})"
        raise pending_value.unusable(rotation, value, what)
    logger.warning(
        "The staged token's login tells smaller scopes than %s, with which it was made; that is believed. "
        "DOCKERHUB_COMPARE_SCOPES=false keeps it from being looked at",
        ", ".join(asked),
    )


def _works_in_the_end(rotation: Rotation, value: str, token: str) -> bool:
    """Enable the refused token if it was disabled, and give it a moment if it may need one."""
    refused_at = rotation.docker_hub.http.now()  # the list may have to wait for a one-time code
    rotation.docker_hub.management.presume_code_used(rotation.versions.changed_at)
    listed = _listed(rotation)
    made = [token for token in listed if rotation.is_for_pending(token)]
    made = [token for token in made if not token.expired(refused_at)]
    disabled, fresh = [token for token in made if not token.active], _fresh(made, refused_at)
    for staged in disabled:  # case 2
        logger.warning("Token %s is staged but was disabled; enabling it", staged.uuid)
        rotation.docker_hub.tokens.enable(staged.uuid)
    pauses = _PAUSES_SECONDS if fresh else _PAUSES_SECONDS[:1] if disabled else ()
    for pause in pauses:  # case 3
        rotation.deadline.wait(pause, "Docker Hub refuses the new token, which may be too fresh")
        if _works(rotation, value, token):
            return True
    return False


def _listed(rotation: Rotation) -> list[Token]:
    return rotation.docker_hub.tokens.listed(lambda tokens: any(map(rotation.is_for_pending, tokens)))


def _fresh(tokens: Iterable[Token], at: float) -> bool:
    """Tell whether one of them was made in the seconds before a moment (since 1970)."""
    return any(
        token.created_at is not None and abs(at - token.created_at.timestamp()) < _FRESH_SECONDS for token in tokens
    )
