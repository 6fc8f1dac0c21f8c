"""The secret's shape: find the token in a secret's value, replace it, keep the rest.

Plain text is the token itself; a JSON object has places for it (see `token_places`). A placeholder in the token's place
is fine. Anything ambiguous is refused, and so is what would leave the old token somewhere, in this value or alive and
forgotten.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any
from uuid import UUID

from dockerhub_rotation.document import TOKEN_WITHIN, read, shown, texts, write
from dockerhub_rotation.encodings import layers
from dockerhub_rotation.errors import SecretUnusable
from dockerhub_rotation.token_kinds import PERSONAL, TokenKind
from dockerhub_rotation.token_places import TOKEN_KEYS, Place, places, without_white_space

# A token's alphabet is not documented. These are the signs that a credential may have in an HTTP header:
# https://datatracker.ietf.org/doc/html/rfc7235#section-2.1 (token68)
_NOTHING_BUT_A_TOKEN = re.compile(r"(?!.+dckr_)[A-Za-z0-9._~+/-]+=*")

# One word without the signs that divide or quote, and shorter than any token of Docker Hub is in base64 (48).
_LONGEST_PLACEHOLDER = 47
_PLACEHOLDER = re.compile(r"[\w.!?*#$<>()\[\]{}-]*")

_USERNAME_AND_MORE = re.compile(r"[\w.-]{4,}:[!-~]{4,}")


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


def parse(value: str, kind: TokenKind = PERSONAL) -> Credential:
    """Take a secret's value apart.

    Args:
        kind: of token that it may hold.

    Raises:
        SecretUnusable: the token's place can't be found without a guess, what stands there is neither a token of this
            account nor a placeholder, or the token would stay in the value elsewhere. The message does not hold the
            value.
    """
    before, text, after = without_white_space(value)
    if not text.startswith(("{", "[", '"')):
        _refuse_what_is_no_token("", text, kind)
        return Credential(text, None, lambda token: before + token + after)

    document = read(text)
    found = places(document)
    for place in found:
        _refuse_what_is_no_token(f"'s {place.key}{place.entry}", place.token, kind)
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

    # What can't be written again, or would keep the old token, is refused now, not when a token has been made for it.
    _refuse_copies(found[0].token, read(render("a token")))
    return Credential(found[0].token, named[0].username if named else None, render)


def looks_like_token(text: str) -> bool:
    """Tell an access token from a placeholder or a password, without asking anybody.

    Tokens start with `dckr_pat_` or `dckr_oat_`; those from before 2021 are plain UUIDs
    (https://github.com/docker/hub-tool/pull/43).
    """
    if text.startswith(("dckr_pat_", "dckr_oat_")):
        return True
    return _is_uuid(text)


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _refuse_what_is_no_token(where: str, text: str, kind: TokenKind) -> None:
    """Refuse what is neither a token of the kind that is made nor a placeholder.

    Args:
        where: where it stands, as in "The secret's password"; empty for plain text.
        text: what stands there, without the white space around it.
    """
    inside = list(layers(text))
    if any(kind.other in layer for layer in inside) or (_is_uuid(text) and not kind.takes_uuid):
        raise SecretUnusable(f"The secret{where} {kind.refusal}")
    if looks_like_token(text) and _NOTHING_BUT_A_TOKEN.fullmatch(text):
        return
    if odd := _what_no_placeholder_has(text, inside):
        raise SecretUnusable(
            f"The secret{where} holds more than a token, in a format that is not understood: it has {odd}. Store the "
            f"token (or a placeholder) alone there{', or a JSON object' * (not where)}."
        )


def _what_no_placeholder_has(text: str, inside: list[str]) -> str | None:
    """Return what keeps a text from being a placeholder, or None. In doubt it is not: its token would be forgotten."""
    if any(TOKEN_WITHIN.search(layer) for layer in inside):
        return "a token in it, and something around that"
    if any(_is_json(layer) for layer in inside):
        return "JSON in it"
    if any(_USERNAME_AND_MORE.fullmatch(layer) for layer in inside):
        return "a user name in it"
    if len(text) > _LONGEST_PLACEHOLDER:
        return f"{len(text)} characters, and a placeholder at most {_LONGEST_PLACEHOLDER}"
    if not _PLACEHOLDER.fullmatch(text):
        return "signs that no placeholder has, which is one word of letters, digits and _.!?*#$<>()[]{}-"
    return None


def _is_json(text: str) -> bool:
    if not text.lstrip().startswith(("{", "[", '"')):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse_copies(token: str, document: dict[str, Any]) -> None:
    """Refuse a document in which a token would stay, in whatever encoding.

    A placeholder is not looked for: it is nothing that could stay alive, and may be a word that stands anywhere.

    Args:
        token: the old token.
        document: with another token in every place that is understood.
    """
    if not looks_like_token(token):
        return
    for path, text in texts(document):
        if any(token.lower() in layer.lower() for layer in layers(text)):
            raise SecretUnusable(
                f"The secret holds its token once more, under {': '.join(map(shown, path))}, where it would not be "
                f"replaced. Remove it there, or keep it under {', '.join(TOKEN_KEYS)} or in Docker Hub's entry of "
                "auths."
            )


def _named(found: list[Place]) -> str:
    """Return the keys of some places, those of the same entry together."""
    entries = groupby(found, key=lambda place: place.entry)
    return ", ".join(", ".join(place.key for place in held) + entry for entry, held in entries)
