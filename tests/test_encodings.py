"""What a text says once its encodings are undone."""

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockerhub_rotation.encodings import layers

SECRET = "dckr_pat_X?>?>~~?>>"  # so that base64 of it has both signs that are others in base64url
IN_BASE64 = base64.b64encode(f"acme:{SECRET}".encode()).decode()


def test_the_example_has_both_signs() -> None:
    assert {"+", "/"} <= set(IN_BASE64)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(SECRET, id="as it is"),
        pytest.param(IN_BASE64, id="base64"),
        pytest.param(IN_BASE64.rstrip("="), id="base64 without padding"),
        pytest.param(IN_BASE64.replace("+", "-").replace("/", "_"), id="base64url"),
        pytest.param("\r\n".join(IN_BASE64), id="base64 in lines"),
        pytest.param(json.dumps("\n".join(IN_BASE64)), id="base64 in lines in JSON"),
        pytest.param(base64.b64encode(SECRET.encode("utf-16")).decode(), id="base64 of UTF-16"),
        pytest.param(f"{SECRET.encode().hex()}", id="hexadecimal"),
        pytest.param(f"f{SECRET.encode().hex()}f", id="hexadecimal that begins one digit later"),
        pytest.param(quote(SECRET, safe=""), id="percent-encoding"),
        pytest.param("".join(f"\\u{ord(sign):04X}" for sign in SECRET), id="escapes"),
        pytest.param(json.dumps({"a": [json.dumps(SECRET)]}).replace("/", "\\/"), id="JSON in JSON"),
    ],
)
def test_what_is_encoded_is_found(text: str) -> None:
    assert any(SECRET in layer for layer in layers(text))


@pytest.mark.parametrize("before", ["", "x", "xx", "xxx", "Basic ", "auth=", "\u00e9"])
@pytest.mark.parametrize("after", ["", "x", "=x", " and more"])
def test_base64_is_found_wherever_it_begins(before: str, after: str) -> None:
    assert any(SECRET in layer for layer in layers(before + IN_BASE64.rstrip("=") + after))


@given(st.binary(max_size=30), st.text(max_size=10), st.text(max_size=10))
def test_any_bytes_beside_a_text_do_not_hide_it(beside: bytes, before: str, after: str) -> None:
    text = base64.b64encode(beside + SECRET.encode() + beside).decode()

    assert any(SECRET in layer for layer in layers(f"{before} {text} {after}"))


@pytest.mark.parametrize(("deep", "found"), [(8, True), (9, False)])
def test_encodings_are_undone_eight_deep(deep: int, found: bool) -> None:
    text = SECRET
    for _ in range(deep):
        text = base64.b64encode(text.encode()).decode()

    assert any(SECRET in layer for layer in layers(text)) is found


@pytest.mark.parametrize("text", ["", "word", "several words", "\\", "%", "\u00e9\ud800", "\0", "=", "12345678"])
def test_the_text_itself_comes_first(text: str) -> None:
    assert next(layers(text)) == text


@pytest.mark.parametrize(
    "text",
    ["\\", "%25", "V", "U", "A", "ab", "Zm9v", "12", "\u00e9", "\\u005c", '"{'],
)
def test_the_longest_secret_does_not_unfold_without_end(text: str) -> None:
    """https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html"""  # noqa: D415
    longest = text * (65_536 // len(text))

    assert sum(len(layer) for layer in layers(longest)) < 65_536 * 64
