"""The secret's shape: find the token in a secret's value, replace it, keep the rest.

Three shapes are understood (https://docs.aws.amazon.com/AmazonECS/latest/developerguide/private-auth.html,
https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache-creating-secret.html,
https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/):

1. plain text: the whole value is the token
2. a JSON object with the token under `password`, `accessToken` or `token`, or the same token under several
3. a JSON object with `auths` (dockerconfigjson): the token is in Docker Hub's entry

A placeholder in the token's place is fine; anything ambiguous is refused.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from dockerhub_rotation.errors import SecretUnusable

_TOKEN_KEYS = ("password", "accessToken", "token")

# `docker login` writes https://index.docker.io/v1/; the others name the same registry.
_DOCKER_HUB_HOSTS = {"docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"}

# user:token, several lines, JSON in quotes or behind a byte order mark: nothing that could be put back as it was.
_MORE_THAN_A_TOKEN = re.compile(r".dckr_(pat|oat)_|:[0-9A-Fa-f-]{36}$|[\n\r\"\ufeff]", re.DOTALL)

# A number keeps the form in which it was written, which no float does (1.10, 1E5): until JSON is written again it is a
# text behind this mark, which no secret holds.
_MARK = uuid4().hex
_MARKED_NUMBER = re.compile(f'"{_MARK}([^"]*)"')


@dataclass(frozen=True)
class Credential:
    """A secret's value, taken apart.

    Attributes:
        token: the token, or the placeholder in its place.
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
    text = value.strip()
    if not text.startswith(("{", "[", '"')):
        if _MORE_THAN_A_TOKEN.search(text):
            raise SecretUnusable(
                "The secret holds more than a token, in a format that is not understood. Store the token (or a "
                "placeholder) alone, or a JSON object."
            )
        head, _, tail = value.partition(text) if text else (value, "", "")
        return Credential(text, None, lambda token: head + token + tail)

    document = _load(text)
    slots = list(_slots(document))
    tokens = {slot.token for slot in slots}
    usernames = {slot.username for slot in slots if slot.username is not None}
    if not slots:
        raise SecretUnusable(
            f"The secret is a JSON object without a place for a Docker Hub token. "
            f"Give it one of the keys {', '.join(_TOKEN_KEYS)}, or an entry of Docker Hub under auths."
        )
    if len(tokens) > 1:
        raise SecretUnusable(
            "The secret holds different values where the same Docker Hub token is expected "
            f"({', '.join(slot.name for slot in slots)}). Make them equal or remove those that are not Docker Hub's."
        )
    if len(usernames) > 1:
        raise _different_usernames()

    def render(token: str) -> str:
        copy = _load(text, number=lambda written: _MARK + written)
        for slot in _slots(copy):
            slot.put(token)
        return _MARKED_NUMBER.sub(r"\1", json.dumps(copy, ensure_ascii=text.isascii()))

    _load(render("a token"))  # what can't be written again is refused now, not when a token has been made for it
    return Credential(tokens.pop(), usernames.pop() if usernames else None, render)


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


@dataclass(frozen=True)
class _Slot:
    """One place in a document that holds the token."""

    name: str
    token: str = field(repr=False)
    username: str | None
    put: Callable[[str], None] = field(repr=False)


def _load(text: str, number: Callable[[str], object] | None = None) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError
        return dict(pairs)

    def refuse(_constant: str) -> None:
        raise ValueError

    try:
        document = json.loads(
            text, object_pairs_hook=unique, parse_constant=refuse, parse_float=number, parse_int=number
        )
        text.encode()
    except (ValueError, RecursionError):
        # The cause is left out: a JSONDecodeError carries the whole document.
        raise SecretUnusable(
            "The secret looks like JSON but can't be read as such (or has a key twice). Mend its current value."
        ) from None
    if not isinstance(document, dict):
        raise SecretUnusable("The secret is JSON but not an object. Store plain text or a JSON object.")
    return document


def _slots(document: dict[str, Any]) -> Iterator[_Slot]:
    username = _text_or_none(document, "username")
    for key in _TOKEN_KEYS:
        if key in document:
            yield _slot(document, key, key, username)
    if "auths" in document:
        yield from _auths_slots(document["auths"])


def _auths_slots(auths: Any) -> Iterator[_Slot]:
    if not isinstance(auths, dict):
        raise SecretUnusable("The secret's auths is not an object. Mend its current value.")
    for server, entry in auths.items():
        if _host(server) not in _DOCKER_HUB_HOSTS:
            continue
        if not isinstance(entry, dict):
            raise SecretUnusable("The secret's entry for Docker Hub under auths is not an object. Mend it.")
        if "password" in entry:
            yield _slot(entry, "password", "auths: password", _text_or_none(entry, "username"))
        if "auth" in entry:
            yield _auth_slot(entry)


def _slot(holder: dict[str, Any], key: str, name: str, username: str | None) -> _Slot:
    token = holder[key]
    if not isinstance(token, str):
        raise SecretUnusable(f"The secret's {name} is not a text. Put the token or a placeholder there.")

    def put(new: str) -> None:
        holder[key] = new

    return _Slot(name, token, username, put)


def _auth_slot(entry: dict[str, Any]) -> _Slot:
    """Return the slot of `auth`, which is base64 of `username:token`."""
    try:
        username, colon, token = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
    except (TypeError, ValueError, binascii.Error):
        colon = ""
    if not colon:
        raise SecretUnusable(
            "The secret's auth for Docker Hub is not base64 of username:token. Mend it, or remove it beside password."
        ) from None

    if _text_or_none(entry, "username") not in (None, username):
        raise _different_usernames()

    def put(new: str) -> None:
        entry["auth"] = base64.b64encode(f"{username}:{new}".encode()).decode()

    return _Slot("auths: auth", token, username, put)


def _different_usernames() -> SecretUnusable:
    return SecretUnusable("The secret holds different user names for Docker Hub. Make them equal.")


def _text_or_none(holder: dict[str, Any], key: str) -> str | None:
    value = holder.get(key)
    if value is not None and not isinstance(value, str):
        raise SecretUnusable(f"The secret's {key} is not a text. Mend its current value.")
    return value


def _host(server: str) -> str:
    return re.split(r"[/:]", server.removeprefix("https://").removeprefix("http://"), maxsplit=1)[0].lower()
