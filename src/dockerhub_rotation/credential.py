"""The secret's shape: find the token in a secret's value, replace it, keep the rest.

Plain text is the token itself; a JSON object has places for it (see `token_places`). A placeholder in the token's place
is fine; anything ambiguous is refused.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby
from uuid import UUID

from dockerhub_rotation.document import read, write
from dockerhub_rotation.errors import SecretUnusable
from dockerhub_rotation.token_places import Place, places, without_white_space

# user:token, several lines, JSON in quotes: nothing that could be put back as it was.
_MORE_THAN_A_TOKEN = re.compile(r".dckr_(pat|oat)_|:[0-9A-Fa-f-]{36}$|[\n\r\"\ufeff]", re.DOTALL)


@dataclass(frozen=True)
class Credential:
    """A secret's value, taken apart.

    Attributes:
        token: the token, or the placeholder in its place; without the white space around it.
        username: the user name that the value carries, or None.
    """

    token: str = field(repr=False)
    username: str | None
    _render: Callable[[str], str] = field(repr=False)

    def with_token(self, token: str) -> str:
        """Return the secret's value with another token; other keys keep their order, types and values.

        Plain text stays as it is around the token; JSON is written anew, its numbers as they were. The same value and
        token give the same bytes, so that storing them twice is harmless.
        """
        return self._render(token)


def parse(value: str) -> Credential:
    """Take a secret's value apart.

    Raises:
        SecretUnusable: the token's place can't be found without a guess. The message does not hold the value.
    """
    before, text, after = without_white_space(value)
    if not text.startswith(("{", "[", '"')):
        if _MORE_THAN_A_TOKEN.search(text):
            raise SecretUnusable(
                "The secret holds more than a token, in a format that is not understood. Store the token (or a "
                "placeholder) alone, or a JSON object."
            )
        return Credential(text, None, lambda token: before + token + after)

    document = read(text)
    found = places(document)
    if len({place.token for place in found}) > 1:
        raise SecretUnusable(
            "The secret holds different values where the same Docker Hub token is expected "
            f"({_named(found)}). Make them equal or remove those that are not Docker Hub's."
        )
    named = [place for place in found if place.username is not None]
    if len({place.username for place in named}) > 1:
        raise SecretUnusable(
            f"The secret holds different user names for Docker Hub (beside {_named(named)}). Make them equal."
        )

    def render(token: str) -> str:
        for place in found:
            place.put(token)
        return write(document, like=text)

    read(render("a token"))  # what can't be written again is refused now, not when a token has been made for it
    return Credential(found[0].token, named[0].username if named else None, render)


def looks_like_token(text: str) -> bool:
    """Tell an access token from a placeholder or a password, without asking anybody.

    Tokens start with `dckr_pat_`, an organization's with `dckr_oat_`; those from before 2021 are plain UUIDs
    (https://github.com/docker/hub-tool/pull/43).
    """
    if text.startswith(("dckr_pat_", "dckr_oat_")):
        return True
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _named(found: list[Place]) -> str:
    """Return the keys of some places, those of the same entry together."""
    entries = groupby(found, key=lambda place: place.entry)
    return ", ".join(", ".join(place.key for place in held) + entry for entry, held in entries)
