"""The labels of tokens at Docker Hub: each names the secret and the version for which its token was made.

Not to be mixed up with staging labels, which are Secrets Manager's.
"""

import hashlib
import re

from dockerhub_rotation.docker_hub.answers import Token

# 18 + 1 + 16 + 1 characters and a version id of at most 64: the Hub takes 100. Version ids have at least 32:
# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
_LABEL = re.compile(r"dockerhub-rotation/(?P<secret>[0-9a-f]{16})/(?P<version>[!-~]{32,64})")


def label_for(secret_arn: str, version_id: str) -> str:
    """Return the label of the token that is made for a version of a secret."""
    return f"dockerhub-rotation/{hashlib.sha256(secret_arn.encode()).hexdigest()[:16]}/{version_id}"


def version_of(token: Token, secret_arn: str) -> str | None:
    """Return the version of this secret for which a token was made, or None if it was not made for this secret."""
    parts = _LABEL.fullmatch(token.label)
    if parts and token.label == label_for(secret_arn, parts["version"]):
        return parts["version"]
    return None


def is_anothers(token: Token, secret_arn: str) -> bool:
    """Tell whether a token was made for another secret."""
    return _LABEL.fullmatch(token.label) is not None and version_of(token, secret_arn) is None
