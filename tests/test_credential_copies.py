"""No copy of the old token is left in the new value: it is replaced where its place is understood, else refused."""

import base64
import json
import string
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockerhub_rotation import credential
from dockerhub_rotation.errors import SecretUnusable

OLD, NEW = "dckr_pat_old-Token_1", "dckr_pat_new-Token_2"
UUID = "3f2a9c1e-1111-4222-8333-444455556666"
HUB, HARDENED = "https://index.docker.io/v1/", "dhi.io"


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def auth(token: str, username: str = "acme") -> dict[str, str]:
    return {"auth": in_base64(f"{username}:{token}")}


def traces(token: str, depth: int = 3) -> set[str]:
    """Return what a text has in it that holds a token, as it is or in base64 within base64.

    Base64 of a text that a token is part of has the same characters wherever the token begins at the same third byte,
    but for those that it shares with its neighbours.
    """
    found = level = {token}
    for _ in range(depth):
        level = {
            base64.b64encode(b"." * before + form.encode())[4 if before else 0 : -4].decode()
            for form in level
            for before in range(3)
        }
        found = found | level
    return found | {form.replace("+", "-").replace("/", "_") for form in found}


def has_trace(value: str, token: str) -> bool:
    plain = value.replace("\\n", "").replace("\\/", "/").replace("\\", "")
    return any(form in plain for form in traces(token))


# Where the place is understood


@pytest.mark.parametrize(
    ("value", "renewed"),
    [
        pytest.param(
            {"auths": {HUB: auth(OLD), HARDENED: auth(OLD)}},
            {"auths": {HUB: auth(NEW), HARDENED: auth(NEW)}},
            id="Docker Hardened Images take the same token",
        ),
        pytest.param(
            {"auths": {"https://dhi.io/v2/": {"password": OLD}, HUB: auth(OLD)}},
            {"auths": {"https://dhi.io/v2/": {"password": NEW}, HUB: auth(NEW)}},
            id="in whatever order and form",
        ),
        pytest.param(
            {"password": OLD, "auths": {HARDENED: auth(OLD)}},
            {"password": NEW, "auths": {HARDENED: auth(NEW)}},
            id="beside a key",
        ),
        pytest.param({"auths": {HARDENED: auth(OLD)}}, {"auths": {HARDENED: auth(NEW)}}, id="alone"),
        pytest.param(
            {"auths": {HUB: auth("word"), HARDENED: auth("word")}},
            {"auths": {HUB: auth(NEW), HARDENED: auth(NEW)}},
            id="a placeholder in both",
        ),
        pytest.param(
            {"auths": {HUB: auth(OLD), HARDENED: auth("dckr_pat_another", "bob")}},
            {"auths": {HUB: auth(NEW), HARDENED: auth("dckr_pat_another", "bob")}},
            id="another token for Docker Hardened Images is somebody else's",
        ),
        pytest.param(
            {"auths": {HUB: auth(OLD), HARDENED: auth("dckr_oat_another", "org")}},
            {"auths": {HUB: auth(NEW), HARDENED: auth("dckr_oat_another", "org")}},
            id="an organization's token for Docker Hardened Images is somebody else's",
        ),
        pytest.param(
            {"auths": {HUB: auth(OLD), HARDENED: {}}},
            {"auths": {HUB: auth(NEW), HARDENED: {}}},
            id="an empty entry for Docker Hardened Images is none",
        ),
        pytest.param(
            {"password": OLD, "pat": "dckr_pat_another"},
            {"password": NEW, "pat": "dckr_pat_another"},
            id="another token under another key is somebody else's",
        ),
        pytest.param(
            {"password": "word", "note": "a word is not looked for", "word": "word", "x": in_base64("word")},
            {"password": NEW, "note": "a word is not looked for", "word": "word", "x": in_base64("word")},
            id="a placeholder is not looked for",
        ),
        pytest.param({"password": "", "note": ""}, {"password": NEW, "note": ""}, id="nor is an empty one"),
    ],
)
def test_the_token_is_replaced_where_its_place_is_understood(value: dict[str, Any], renewed: dict[str, Any]) -> None:
    assert credential.parse(json.dumps(value)).with_token(NEW) == json.dumps(renewed)


# Where it is not

COPIES: list[tuple[str, Callable[[str], dict[str, Any]], str]] = [
    ("another key", lambda t: {"username": "acme", "password": t, "pat": t}, "pat"),
    ("another key in base64", lambda t: {"password": t, "auth": in_base64(f"acme:{t}")}, "auth"),
    ("without padding", lambda t: {"password": t, "auth": in_base64(f"acme:{t}").rstrip("=")}, "auth"),
    ("base64url", lambda t: {"password": t, "auth": base64.urlsafe_b64encode(f"??>:{t}".encode()).decode()}, "auth"),
    ("base64 in lines", lambda t: {"password": t, "a": base64.encodebytes(f"{t * 3}".encode()).decode()}, "a"),
    ("base64 in lines of 60", lambda t: {"password": t, "a": "\r\n".join(cut(in_base64(t * 3), 60))}, "a"),
    ("UTF-16 in base64", lambda t: {"password": t, "a": base64.b64encode(t.encode("utf-16")).decode()}, "a"),
    ("hexadecimal", lambda t: {"password": t, "a": f"acme:{t}".encode().hex()}, "a"),
    ("hexadecimal in capitals", lambda t: {"password": t, "a": "x" + t.encode().hex().upper()}, "a"),
    ("other letters", lambda t: {"password": t, "a": t.upper()}, "a"),
    ("an HTTP header", lambda t: {"password": t, "header": f"Basic {in_base64('acme:' + t)}"}, "header"),
    ("a form", lambda t: {"password": t, "form": quote(f"auth={in_base64('>>>:' + t)}", safe="")}, "form"),
    ("a URL", lambda t: {"password": t, "url": f"https://acme:{t}@index.docker.io/"}, "url"),
    ("JSON in a text", lambda t: {"password": t, "config": json.dumps({"password": t})}, "config"),
    ("JSON in JSON", lambda t: {"password": t, "config": json.dumps({"x": json.dumps([escaped(t)])})}, "config"),
    ("escapes in a text", lambda t: {"password": t, "config": escaped(t)}, "config"),
    ("a config in base64", lambda t: {"password": t, "c": in_base64(json.dumps({"auths": {HUB: auth(t)}}))}, "c"),
    ("base64, eight times", lambda t: {"password": t, "a": in_base64_times(t, 8)}, "a"),
    ("deep inside", lambda t: {"password": t, "a": [{"b": 1}, {"c": [{"d": {"e": {"f": t}}}]}]}, "a: c: d: e"),
    ("user name", lambda t: {"username": t, "password": t}, "username"),
    (
        "JSON for a user name",
        lambda t: {"username": f'{{"auths": {{"{HUB}": {{"password": "{t}"}}}}}}', "token": t},
        "username",
    ),
    ("user name in auth", lambda t: {"auths": {HUB: auth(t, username=t)}}, f"auths: {HUB}: auth"),
    ("another registry", lambda t: {"auths": {HUB: auth(t), "ghcr.io": auth(t)}}, "auths: ghcr.io: auth"),
    ("identitytoken", lambda t: {"auths": {HARDENED: auth(t) | {"identitytoken": t}}}, "auths: dhi.io: identitytoken"),
    ("another field", lambda t: {"auths": {HUB: auth(t) | {"email": t}}}, f"auths: {HUB}: email"),
    ("a key's name", lambda t: {"password": t, f"old {t}": 1}, "(a name that is not shown)"),
    ("a key's name in base64", lambda t: {"password": t, in_base64(f"acme:{t}"): 1}, "(a name that is not shown)"),
    (
        "a config's other entry",
        lambda t: {".dockerconfigjson": json.dumps({"auths": {HUB: auth(t), "ghcr.io": auth(t)}})},
        ".dockerconfigjson",
    ),
]


def cut(text: str, length: int) -> list[str]:
    return [text[at : at + length] for at in range(0, len(text), length)]


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(sign):04x}" for sign in text)


def in_base64_times(text: str, times: int) -> str:
    return in_base64(in_base64_times(text, times - 1)) if times else text


@pytest.mark.parametrize("token", [OLD, UUID])
@pytest.mark.parametrize(("copied", "where"), [pytest.param(*rest, id=name) for name, *rest in COPIES])
def test_a_copy_in_a_place_that_is_not_understood_is_refused_and_named(
    copied: Callable[[str], dict[str, Any]], where: str, token: str
) -> None:
    with pytest.raises(SecretUnusable) as refusal:
        credential.parse(json.dumps(copied(token)))

    assert f"holds its token once more, under {where}, where it would not be replaced" in str(refusal.value)
    assert not has_trace(str(refusal.value), token)


@pytest.mark.parametrize("key", ["identitytoken", "registrytoken"])
@pytest.mark.parametrize("held", [OLD, "somebody's"])
def test_what_docker_uses_in_place_of_the_token_is_refused_and_named(key: str, held: str) -> None:
    with pytest.raises(SecretUnusable) as refusal:
        credential.parse(json.dumps({"auths": {HUB: auth(OLD) | {key: held}}}))

    assert f"{key} of {HUB} under auths goes before the token" in str(refusal.value)
    assert held not in str(refusal.value)


def test_an_empty_identity_token_is_none() -> None:
    value = {"auths": {HUB: auth(OLD) | {"identitytoken": ""}}}

    renewed = json.loads(credential.parse(json.dumps(value)).with_token(NEW))

    assert renewed == {"auths": {HUB: auth(NEW) | {"identitytoken": ""}}}


# Any value

letters = string.ascii_letters + string.digits + "-_"
tokens = st.text(letters, min_size=10, max_size=40).map("dckr_pat_".__add__) | st.uuids().map(str)
spaces = st.text(" \n\r\t", max_size=2)
words = st.sampled_from(["", "acme", "{}", "Basic ", "a/b", "caf\u00e9", "\\", '"'])
WRAPS: list[Callable[[str], str]] = [
    in_base64,
    lambda text: in_base64(text).rstrip("="),
    lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    json.dumps,
    lambda text: json.dumps({"auth": text}),
    lambda text: json.dumps({"auth": text}).replace("/", "\\/"),
    lambda text: f"acme:{text}",
    lambda text: f"<{text}>",
]


@st.composite
def carried(draw: st.DrawFn, token: str) -> Any:
    """Draw something that may hold a token, at any depth, in any wrapping, or not at all."""
    text = draw(words) + (token if draw(st.integers(0, 3)) == 0 else draw(words))
    for wrap in draw(st.lists(st.sampled_from(WRAPS), max_size=3)):
        text = wrap(text)
    return draw(st.sampled_from([text, {"k": text}, [text, 1.10, None], {"k": [{"k": text}]}]))


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, str, Callable[[str], str]]:
    """Draw a token, a value that is understood, and that value with another token in its place."""
    token, before, after = draw(tokens), draw(spaces), draw(spaces)
    others = draw(st.dictionaries(st.sampled_from(["a", "b", "auth", "pat", "x y"]), carried(token), max_size=3))
    keys = draw(st.sets(st.sampled_from(["password", "accessToken", "token"])))
    servers = draw(st.lists(st.sampled_from([HUB, "docker.io", HARDENED]), unique=True, min_size=0 if keys else 1))
    fields = draw(st.sets(st.sampled_from(["password", "auth"]), min_size=1))
    under = draw(st.sampled_from([None, ".dockerconfigjson"]))
    foreign = draw(st.dictionaries(st.just("ghcr.io"), st.dictionaries(st.just("auth"), carried(token)), max_size=1))

    def with_token(new: str) -> str:
        text = before + new + after
        entry = {"password": text, "auth": in_base64(f"acme:{text}")}
        config = {"auths": {server: {key: entry[key] for key in sorted(fields)} for server in servers} | foreign}
        document = others | dict.fromkeys(sorted(keys), text)
        if servers:
            document |= {under: json.dumps(config)} if under else config
        return json.dumps(document)

    return token, with_token(token), with_token


@given(documents())
def test_nothing_is_left_of_the_old_token_and_nothing_else_changes(
    drawn: tuple[str, str, Callable[[str], str]],
) -> None:
    old, value, with_token = drawn
    if has_trace(with_token(NEW), old):
        with pytest.raises(SecretUnusable, match="holds its token once more"):
            credential.parse(value)
        return

    found = credential.parse(value)

    assert found.token == old
    assert found.with_token(NEW) == with_token(NEW)
    assert found.with_token(old) == value
    assert credential.parse(found.with_token(NEW)).token == NEW
