"""What stands in the token's place is a token of this account or a placeholder; whatever wraps a token is neither."""

import base64
import json
import string
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockerhub_rotation import credential
from dockerhub_rotation.errors import SecretUnusable

TOKEN, OLD_TOKEN = "dckr_pat_never-to-be-shown", "3f2a9c1e-1111-4222-8333-444455556666"
ORGANIZATIONS = "dckr_oat_never-to-be-shown"
HUB = "https://index.docker.io/v1/"


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def config(token: str) -> str:
    return json.dumps({"auths": {HUB: {"auth": in_base64(f"acme:{token}")}}})


SHAPES: dict[str, Callable[[str], str]] = {
    "plain text": lambda text: text,
    "password": lambda text: json.dumps({"username": "acme", "password": text}),
    "accessToken": lambda text: json.dumps({"username": "acme", "accessToken": text}),
    "token": lambda text: json.dumps({"token": text}),
    "auth": lambda text: json.dumps({"auths": {HUB: {"auth": in_base64(f"acme:{text}")}}}),
    "an entry's password": lambda text: json.dumps({"auths": {HUB: {"password": text}}}),
    "a dockerconfigjson under a key": lambda text: json.dumps(
        {".dockerconfigjson": json.dumps({"auths": {HUB: {"auth": in_base64(f"acme:{text}")}}})}
    ),
}

WRAPPED = [
    pytest.param(in_base64(config(TOKEN)), id="base64 of a dockerconfigjson"),
    pytest.param(in_base64(config("hunter2")), id="base64 of a dockerconfigjson with a password"),
    pytest.param(in_base64('{"a":"b"}'), id="base64 of JSON"),
    pytest.param(in_base64('\n {"a":"bc"}'), id="base64 of JSON behind white space"),
    pytest.param(in_base64('["hunter2"]'), id="base64 of a JSON array"),
    pytest.param(in_base64('"hunter2"'), id="base64 of a JSON text"),
    pytest.param(in_base64(f"acme:{TOKEN}"), id="base64 of user name and token"),
    pytest.param(in_base64(f"acme:{TOKEN}").rstrip("="), id="base64 without padding"),
    pytest.param(in_base64(in_base64(f"acme:{TOKEN}")), id="base64 of base64"),
    pytest.param(base64.encodebytes(f"acme:{TOKEN}".encode() * 3).decode(), id="base64 in lines"),
    pytest.param(base64.urlsafe_b64encode(f"\xfb\xff:{TOKEN}".encode("latin-1")).decode(), id="base64url"),
    pytest.param(in_base64(TOKEN), id="base64 of a token"),
    pytest.param(in_base64("dckr_pat_x"), id="base64 of a short token"),
    pytest.param(in_base64(OLD_TOKEN), id="base64 of an old token"),
    pytest.param(in_base64(f"acme:{OLD_TOKEN}"), id="base64 of user name and old token"),
    pytest.param(base64.b64encode(TOKEN.encode("utf-16")).decode(), id="base64 of UTF-16"),
    pytest.param(in_base64("acme:hunter2"), id="base64 of user name and password"),
    pytest.param(b"dckr_pat_x".hex(), id="hexadecimal"),
    pytest.param(f"acme:{TOKEN}", id="user name and token"),
    pytest.param(f"acme:{OLD_TOKEN}", id="user name and old token"),
    pytest.param(f"acme%3A{OLD_TOKEN}", id="user name and old token, percent-encoded"),
    pytest.param(quote(in_base64(f"acme>>>:{OLD_TOKEN}")), id="base64, percent-encoded"),
    pytest.param(f"Bearer {TOKEN}", id="an HTTP header"),
    pytest.param(f"Basic {in_base64('acme:' + TOKEN)}", id="an HTTP header in base64"),
    pytest.param("acme:hunter2", id="user name and password"),
    pytest.param("acme hunter2", id="user name and password with a space"),
    pytest.param("username=acme&password=x", id="a form"),
    pytest.param("TOKEN=x", id="an assignment"),
    pytest.param("machine docker.io login acme password hunter2", id="a netrc line"),
    pytest.param("put a token here", id="several words"),
    pytest.param(f"'{TOKEN}'", id="a token in quotes"),
    pytest.param(f"{{{OLD_TOKEN}}}", id="an old token in braces"),
    pytest.param(f"{TOKEN}:latest", id="a token and something behind a colon"),
    pytest.param(f"{TOKEN}\nhunter2", id="a token and another line"),
    pytest.param(f"{TOKEN},dckr_pat_another", id="two tokens"),
    pytest.param(f"{TOKEN}dckr_pat_another", id="two tokens without a gap"),
    pytest.param(f"{OLD_TOKEN}{OLD_TOKEN}", id="two old tokens"),
    pytest.param(f"{TOKEN}\u200b", id="a token and a space of no width"),
    pytest.param(f"dckr\x00_pat_x{TOKEN}", id="a zero in a token"),
    pytest.param("dckr_sat_x", id="a token of a kind that is not known"),
    pytest.param("x" * 48, id="a text as long as a token in base64"),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("text", WRAPPED)
def test_what_is_neither_a_token_nor_a_placeholder_is_refused_in_every_place(text: str, shape: str) -> None:
    with pytest.raises(SecretUnusable, match="more than a token|can't be read|not an object") as refusal:
        credential.parse(SHAPES[shape](text))

    assert "never-to-be-shown" not in str(refusal.value)
    assert "hunter2" not in str(refusal.value)
    assert OLD_TOKEN not in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "placeholder",
        "placeholder-until-the-first-rotation",
        "replaced-by-the-first-rotation",
        "CHANGE_ME!",
        "<token>",
        "${DOCKER_TOKEN}",
        "(none)",
        "sp\u00e4ter",
        "12345",
        "0f8fad5bd9cb469fa16570867728950e",
        "Qm9QeFk3cVd6TjJkUjVtVGpLOHZMd0g0",
        "x" * 47,
    ],
)
@pytest.mark.parametrize("shape", SHAPES)
def test_one_short_word_is_a_placeholder_in_every_place(text: str, shape: str) -> None:
    value = SHAPES[shape](text)

    assert credential.parse(value).token == text
    assert credential.parse(value).with_token("dckr_pat_new") == SHAPES[shape]("dckr_pat_new")


@pytest.mark.parametrize("text", ["{token}", "[token]", "{{token}}"])
@pytest.mark.parametrize("key", ["password", "accessToken", "token"])
def test_a_placeholder_under_a_key_may_be_in_brackets(text: str, key: str) -> None:
    """As plain text it would be taken for JSON."""
    assert credential.parse(json.dumps({key: text})).token == text


@pytest.mark.parametrize(
    "token", [TOKEN, OLD_TOKEN, OLD_TOKEN.upper(), "dckr_pat_a.b~c+d/e==", "dckr_pat_" + "x" * 100, "dckr_pat_"]
)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_token_may_have_any_signs_that_a_credential_has_in_an_http_header(token: str, shape: str) -> None:
    assert credential.parse(SHAPES[shape](token)).token == token


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (f'{{"token": "acme:{TOKEN}"}}', "The secret's token holds more than a token"),
        (f'{{"password": "Bearer {TOKEN}"}}', "The secret's password holds more than a token"),
        (SHAPES["auth"](f"{TOKEN}:x"), f"The secret's auths: auth of {HUB} holds more than a token"),
        (
            SHAPES["a dockerconfigjson under a key"](f"{TOKEN}:x"),
            f"The secret's auths: auth of {HUB} in .dockerconfigjson holds more than a token",
        ),
        (f"acme:{TOKEN}", "The secret holds more than a token"),
    ],
)
def test_the_refusal_names_the_place(value: str, place: str) -> None:
    with pytest.raises(SecretUnusable) as refusal:
        credential.parse(value)

    assert str(refusal.value).startswith(place)


@pytest.mark.parametrize(
    ("text", "odd"),
    [
        (in_base64(f"acme:{TOKEN}"), "it has a token in it, and something around that"),
        ("[{}]", "it has JSON in it"),
        (in_base64("acme:hunter2"), "it has a user name in it"),
        ("x" * 48, "it has 48 characters, and a placeholder at most 47"),
        ("two words", "it has signs that no placeholder has"),
    ],
)
def test_the_refusal_says_what_is_odd(text: str, odd: str) -> None:
    with pytest.raises(SecretUnusable, match=odd):
        credential.parse(SHAPES["password"](text))


@pytest.mark.parametrize(
    "text",
    [ORGANIZATIONS, f"acme:{ORGANIZATIONS}", in_base64(ORGANIZATIONS), in_base64(config(ORGANIZATIONS))],
    ids=["alone", "behind the organization's name", "in base64", "in a dockerconfigjson in base64"],
)
@pytest.mark.parametrize("shape", SHAPES)
def test_an_organizations_token_is_refused_in_every_place_with_what_to_do(text: str, shape: str) -> None:
    with pytest.raises(SecretUnusable, match="organization access token") as refusal:
        credential.parse(SHAPES[shape](text))

    assert "dockerhub-rotation:organization" in str(refusal.value)
    assert "cancel-rotate-secret" in str(refusal.value)
    assert "never-to-be-shown" not in str(refusal.value)


def test_an_organizations_token_under_a_key_that_is_no_place_is_left_alone() -> None:
    value = json.dumps({"password": TOKEN, "organization": ORGANIZATIONS})

    renewed = credential.parse(value).with_token("dckr_pat_new")

    assert json.loads(renewed) == {"password": "dckr_pat_new", "organization": ORGANIZATIONS}


WRAPS: list[Callable[[str], str]] = [
    in_base64,
    lambda text: in_base64(text).rstrip("="),
    lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    lambda text: base64.b64encode(text.encode("utf-16-le")).decode(),
    lambda text: base64.encodebytes(text.encode()).decode(),
    lambda text: text.encode().hex(),
    lambda text: quote(text, safe=""),
    lambda text: json.dumps({"auth": text}),
    lambda text: f"acme:{text}",
    lambda text: f"Basic {text}",
    lambda text: f"x-{text}",
]
signs = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=40)


@given(
    signs.map("dckr_pat_".__add__) | st.uuids().map(str),
    st.lists(st.sampled_from(WRAPS), min_size=1, max_size=6),
    st.data(),
)
def test_no_wrapping_of_a_token_is_taken_for_a_placeholder(
    token: str, layers: list[Callable[[str], str]], data: st.DataObject
) -> None:
    text = token
    for wrap in layers:
        text = wrap(text)
    shape = SHAPES[data.draw(st.sampled_from(sorted(SHAPES)))]
    if text != token:  # a token in percent-encoding is the token
        with pytest.raises(SecretUnusable):
            credential.parse(shape(text))
