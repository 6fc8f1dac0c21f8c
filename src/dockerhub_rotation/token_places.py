"""Where in a JSON object the token stands.

The places (https://docs.aws.amazon.com/AmazonECS/latest/developerguide/private-auth.html,
https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache-creating-secret.html,
https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/):

1. `password`, `accessToken` and `token`
2. Docker Hub's entries under `auths` (dockerconfigjson): their `password`, and `auth`, which is base64 of
   `username:token`
3. the same in a dockerconfigjson that is a text under a key, as the console stores it when it is pasted there
"""

import base64
import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from dockerhub_rotation.document import is_text, read_or_none, shown, write
from dockerhub_rotation.errors import SecretUnusable

TOKEN_KEYS = ("password", "accessToken", "token")

# `docker login` writes https://index.docker.io/v1/; the others name the same registry.
_DOCKER_HUB_HOSTS = {"docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"}

# Docker Hardened Images: a registry of its own that takes Docker Hub's tokens (https://docs.docker.com/dhi/how-to/use/).
_GUEST_HOSTS = {"dhi.io"}

# What `docker login` in a browser writes beside Docker Hub's own entry, for itself:
# https://github.com/docker/cli/blob/master/cli/internal/oauth/manager/manager.go
_BROWSER_LOGIN = re.compile(r"/(access|refresh)-token/?$")

# What Docker uses in place of a token, if it is there:
# https://github.com/docker/cli/blob/master/cli/config/types/authconfig.go
_INSTEAD = ("identitytoken", "registrytoken")

# Consumers read past white space around a token, Docker past zeros as well. A byte order mark is what some editors
# put before a text, to no effect.
_AROUND = string.whitespace + "\xa0\0\ufeff"


@dataclass(frozen=True)
class Place:
    """One place in a document that holds the token.

    Attributes:
        key: where it stands, such as `password` or `auths: auth`.
        entry: whose key that is, such as ` of docker.io`; empty for the object's own.
        token: what stands there, without the white space around it.
        username: the user name that goes with it, or None.
        put: writes another token into the document; the white space stays.
    """

    key: str
    entry: str
    token: str = field(repr=False)
    username: str | None
    put: Callable[[str], None] = field(repr=False)


def places(document: dict[str, Any]) -> list[Place]:
    """Return every place that holds the token.

    An entry of a registry that takes Docker Hub's tokens, too, is one if it holds the same token, or no other place is
    there; what else it may hold is somebody else's.

    Raises:
        SecretUnusable: there is none, or one can't be understood.
    """
    username = _text_or_none(document, "username")
    found = [_place(document, key, key, "", username) for key in TOKEN_KEYS if key in document]
    guests: list[Place] = []
    bare = []
    for config, inside, keep in _configs(document):
        for server, entry in _entries(config):
            of, is_guest = f" of {shown(server)}{inside}", _host(server) in _GUEST_HOSTS
            if not is_guest:
                _refuse_what_goes_before_a_token(server, entry, of)
            held = [_kept(place, keep) for place in _entry_places(entry, of)]
            (guests if is_guest else found).extend(held)
            if not held:
                bare.append(of)
    if not found or {place.token for place in found} & {place.token for place in guests}:
        found += guests
    if not found:
        raise _no_place(bare)
    return found


def without_white_space(text: str) -> tuple[str, str, str]:
    """Return what stands before a token, the token, and what stands after it."""
    token = text.strip(_AROUND)
    before, _, after = text.partition(token) if token else (text, "", "")
    return before, token, after


def _configs(document: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, Callable[[], None]]]:
    """Return every dockerconfigjson: the object itself and texts under its keys, where each is, and how it is kept."""
    if "auths" in document:
        yield document, "", lambda: None
    for key, text in document.items():
        if key in (*TOKEN_KEYS, "username") or not is_text(text):
            continue
        before, inner, after = without_white_space(text)
        config = read_or_none(inner)
        if isinstance(config, dict) and isinstance(config.get("auths"), dict):
            yield config, f" in {shown(key)}", _keeper(document, key, config, (before, inner, after))


def _keeper(
    document: dict[str, Any], key: str, config: dict[str, Any], text: tuple[str, str, str]
) -> Callable[[], None]:
    before, inner, after = text

    def keep() -> None:
        document[key] = before + write(config, like=inner) + after

    return keep


def _kept(place: Place, keep: Callable[[], None]) -> Place:
    def put(token: str) -> None:
        place.put(token)
        keep()

    return replace(place, put=put)


def _entries(config: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return the entries of the registries that take Docker Hub's tokens."""
    auths = config["auths"]
    if not isinstance(auths, dict):
        raise SecretUnusable("The secret's auths is not an object. Mend its current value.")
    for server, entry in auths.items():
        if _host(server) not in _DOCKER_HUB_HOSTS | _GUEST_HOSTS:
            continue
        if not isinstance(entry, dict):
            raise SecretUnusable(f"The secret's entry {shown(server)} under auths is not an object. Mend it.")
        yield server, entry


def _entry_places(entry: dict[str, Any], of: str) -> Iterator[Place]:
    if "password" in entry:
        yield _place(entry, "password", "auths: password", of, _text_or_none(entry, "username"))
    if "auth" in entry:
        yield _auth_place(entry, of)


def _place(holder: dict[str, Any], key: str, name: str, of: str, username: str | None) -> Place:
    text = holder[key]
    if not is_text(text):
        raise SecretUnusable(f"The secret's {name}{of} is not a text. Put the token or a placeholder there.")
    before, token, after = without_white_space(text)

    def put(new: str) -> None:
        holder[key] = before + new + after

    return Place(name, of, token, username, put)


def _auth_place(entry: dict[str, Any], of: str) -> Place:
    """Return the place in `auth`, which is base64 of `username:token`.

    Line breaks and missing padding are read as consumers do, and not written again:
    https://github.com/docker/cli/blob/master/cli/config/configfile/file.go,
    https://github.com/kubernetes/kubernetes/blob/master/pkg/credentialprovider/config.go
    """
    decoded = _from_base64_or_none(entry["auth"])
    username, colon, text = (decoded or "").partition(":")
    if not colon:
        raise SecretUnusable(
            f"The secret's auth{of} is not base64 of username:token. Mend it, or remove it beside password."
        )
    before, token, after = without_white_space(text)
    name = without_white_space(username)[1]
    if _text_or_none(entry, "username") not in (None, name):
        raise SecretUnusable(f"The secret holds different user names in username and auth{of}. Make them equal.")

    def put(new: str) -> None:
        entry["auth"] = base64.b64encode(f"{username}:{before}{new}{after}".encode()).decode()

    return Place("auths: auth", of, token, name, put)


def _from_base64_or_none(text: object) -> str | None:
    if not is_text(text):
        return None
    unbroken = "".join(text.split())
    try:
        return base64.b64decode(unbroken + "=" * (-len(unbroken) % 4), validate=True).decode()
    except ValueError:
        return None


def _refuse_what_goes_before_a_token(server: str, entry: dict[str, Any], of: str) -> None:
    if _BROWSER_LOGIN.search(server):
        raise SecretUnusable(
            f"The secret's auths has an entry{of}, which docker login in a browser has written for itself. Remove it "
            "and its like (access-token and refresh-token); the entry of Docker Hub itself is enough."
        )
    for key in _INSTEAD:
        if entry.get(key):
            raise SecretUnusable(
                f"The secret's {key}{of} under auths goes before the token, and is not rotated. Remove it, and put the "
                "token (or a placeholder) under auth, as base64 of username:token."
            )


def _no_place(bare: list[str]) -> SecretUnusable:
    """Return the error for a document without a token's place.

    Args:
        bare: the entries of Docker Hub, which have no credential.
    """
    if bare:
        return SecretUnusable(
            f"The secret is a JSON object without a place for a Docker Hub token: under auths the entry{bare[0]} has "
            "neither auth nor password. After docker login with a credential store (credsStore, credHelpers) they are "
            "in that store, on that machine. Put the token (or a placeholder) under auth, as base64 of username:token."
        )
    return SecretUnusable(
        f"The secret is a JSON object without a place for a Docker Hub token. Give it one of the keys "
        f"{', '.join(TOKEN_KEYS)}, or an entry of Docker Hub under auths."
    )


def _text_or_none(holder: dict[str, Any], key: str) -> str | None:
    value = holder.get(key)
    if value is None:
        return None
    if not is_text(value):
        raise SecretUnusable(f"The secret's {key} is not a text. Mend its current value.")
    return without_white_space(value)[1]


def _host(server: str) -> str:
    return re.split(r"[/:]", server.removeprefix("https://").removeprefix("http://"), maxsplit=1)[0].lower()
