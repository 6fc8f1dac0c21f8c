"""The labels of tokens at Docker Hub: each names the secret and the version for which its token was made.

That of a superseded token also says until when it lives, and that of a disabled one since when it does not:
`dockerhub-rotation/<secret>/<version> until 20261125T200000Z`. Older versions of this function take such a label for a
stranger's: for them a space is no part of a version id.

Not to be mixed up with staging labels, which are Secrets Manager's.
"""

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from math import ceil

from dockerhub_rotation.docker_hub.answers import Token

# 18 + 1 + 16 + 1 characters and a version id of at most 64: the Hub takes 100. Version ids have at least 32:
# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
_LABEL = re.compile(r"dockerhub-rotation/(?P<secret>[0-9a-f]{16})/(?P<version>[!-~]{32,64})(?P<until> until .*)?")
_UNTIL = " until %Y%m%dT%H%M%SZ"
_READABLE = re.compile(r" until ([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z")
# 23 characters for a time leave 41 for a version.
_LONGEST_VERSION = 40


def label_for(secret_arn: str, version_id: str, until: float | None = None) -> str:
    """Return the label of the token that is made for a version of a secret.

    With a time, a long version id is shortened, to fit. Without one it is not: the versions of this function that knew
    no times would take the token for one of a version that is gone.

    Args:
        until: the time it is to carry, in seconds since 1970; a fraction of a second is rounded up.
    """
    if until is None:
        return f"{_secret(secret_arn)}/{version_id}"
    return f"{_secret(secret_arn)}/{_short(version_id)}{datetime.fromtimestamp(ceil(until), UTC).strftime(_UNTIL)}"


def version_of(token: Token, secret_arn: str, known: Iterable[str] = ()) -> str | None:
    """Return the version of this secret for which a token was made, or None if it was not made for this secret.

    Args:
        known: versions of the secret. A long id that is shortened in the label is told by them; one that is not among
            them is returned as it stands there.
    """
    parts = _LABEL.fullmatch(token.label)
    if not parts or not token.label.startswith(f"{_secret(secret_arn)}/"):
        return None
    version = parts["version"]
    return next((one for one in known if version in (one, _short(one))), version)


def is_anothers(token: Token, secret_arn: str) -> bool:
    """Tell whether a token was made for another secret."""
    return _LABEL.fullmatch(token.label) is not None and version_of(token, secret_arn) is None


def names(token: Token, version_id: str) -> bool:
    """Tell whether a token was made for a version, of whichever secret: a replica has the versions of its origin."""
    parts = _LABEL.fullmatch(token.label)
    return parts is not None and parts["version"] in (version_id, _short(version_id))


def carries_time(token: Token) -> bool:
    """Tell whether a label says until when its token lives, or lived, be it readable or not."""
    parts = _LABEL.fullmatch(token.label)
    return parts is not None and parts["until"] is not None


def until(token: Token) -> float | None:
    """Return the time in a label, in seconds since 1970, or None if there is none that can be read."""
    parts = _LABEL.fullmatch(token.label)
    written = _READABLE.fullmatch(parts["until"] or "") if parts else None
    if written is None:
        return None
    year, month, day, hour, minute, second = map(int, written.groups())
    try:
        read = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return read.timestamp() if year > 1 else None  # the year 1 stands for no time at all


def said(moment: float) -> str:
    """Return a time as messages say it."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def written(moment: float) -> str:
    """Return a time as programs read it: ISO 8601, in UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _secret(arn: str) -> str:
    return f"dockerhub-rotation/{hashlib.sha256(arn.encode()).hexdigest()[:16]}"


def _short(version_id: str) -> str:
    if len(version_id) <= _LONGEST_VERSION:
        return version_id
    return hashlib.sha256(version_id.encode()).hexdigest()[:_LONGEST_VERSION]
