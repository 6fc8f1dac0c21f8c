"""A value is read as leniently as by its consumers, the same in every shape; what stands around the token stays."""

import base64
import json
from collections.abc import Callable

import pytest

from dockerhub_rotation import credential

OLD, NEW = "dckr_pat_old-Token_1", "dckr_pat_new-Token_2"
HUB = "https://index.docker.io/v1/"


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def config(entry: dict[str, str]) -> str:
    return json.dumps({"auths": {HUB: entry}})


SHAPES: dict[str, Callable[[str], str]] = {
    "plain text": lambda text: text,
    "password": lambda text: json.dumps({"username": "acme", "password": text}),
    "accessToken": lambda text: json.dumps({"username": "acme", "accessToken": text}),
    "token": lambda text: json.dumps({"token": text}),
    "auth": lambda text: config({"auth": in_base64(f"acme:{text}")}),
    "an entry's password": lambda text: config({"password": text}),
    "a dockerconfigjson under a key": lambda text: json.dumps(
        {".dockerconfigjson": config({"auth": in_base64(f"acme:{text}")})}
    ),
}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("", "\n", id="a line feed"),
        pytest.param("", "\r\n", id="a carriage return and a line feed"),
        pytest.param(" \t", " ", id="spaces and a tab"),
        pytest.param("", "\xa0", id="a space that does not break"),
        pytest.param("\ufeff", "\n", id="a byte order mark"),
        pytest.param("\n\ufeff\n", "\ufeff", id="marks and line feeds"),
        pytest.param("", "\0\0", id="zeros, which Docker cuts off"),
    ],
)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("old", [OLD, "3f2a9c1e-1111-4222-8333-444455556666", "placeholder"])
def test_what_stands_around_the_token_is_not_the_token_and_stays(before: str, after: str, shape: str, old: str) -> None:
    value = SHAPES[shape](before + old + after)

    found = credential.parse(value)

    assert found.token == old
    assert found.with_token(NEW) == SHAPES[shape](before + NEW + after)


@pytest.mark.parametrize("space", [" ", "\r\n", "\ufeff"])
@pytest.mark.parametrize("shape", SHAPES)
def test_white_space_alone_is_an_empty_placeholder_and_stays_once(space: str, shape: str) -> None:
    found = credential.parse(SHAPES[shape](space))

    assert found.token == ""
    assert found.with_token(NEW) == SHAPES[shape](space + NEW)


def test_what_stands_around_the_token_may_differ_from_place_to_place() -> None:
    entry = {"password": f"{OLD}\n", "auth": in_base64(f"acme:{OLD}\r\n")}
    value = json.dumps({"password": f" {OLD}", "token": OLD, "auths": {HUB: entry}})

    renewed = credential.parse(value).with_token(NEW)

    entry = {"password": f"{NEW}\n", "auth": in_base64(f"acme:{NEW}\r\n")}
    assert renewed == json.dumps({"password": f" {NEW}", "token": NEW, "auths": {HUB: entry}})


@pytest.mark.parametrize(
    ("value", "renewed"),
    [
        pytest.param(
            json.dumps({"username": "acme\n", "password": OLD}),
            json.dumps({"username": "acme\n", "password": NEW}),
            id="username",
        ),
        pytest.param(
            config({"auth": in_base64(f" acme\r\n:{OLD}")}),
            config({"auth": in_base64(f" acme\r\n:{NEW}")}),
            id="the name in auth",
        ),
        pytest.param(
            config({"username": "acme ", "auth": in_base64(f"acme:{OLD}")}),
            config({"username": "acme ", "auth": in_base64(f"acme:{NEW}")}),
            id="one of two names",
        ),
        pytest.param(
            config({"auth": in_base64(f"\ufeffacme:{OLD}")}),
            config({"auth": in_base64(f"\ufeffacme:{NEW}")}),
            id="a byte order mark before the name in auth",
        ),
    ],
)
def test_what_stands_around_a_user_name_is_not_the_name_and_stays(value: str, renewed: str) -> None:
    found = credential.parse(value)

    assert found.username == "acme"
    assert found.with_token(NEW) == renewed


AUTH = in_base64(f"acme:{OLD}")


@pytest.mark.parametrize(
    "auth",
    [
        pytest.param(AUTH.rstrip("="), id="without padding"),
        pytest.param(f"{AUTH}\n", id="a line feed behind it"),
        pytest.param(f" {AUTH}\r\n", id="white space around it"),
        pytest.param(f"{AUTH[:20]}\n{AUTH[20:]}\n", id="line feeds in it"),
        pytest.param(f"{AUTH[:7]}\r\n{AUTH[7:]}".rstrip("="), id="a line break in it, and without padding"),
    ],
)
def test_auth_is_read_with_line_breaks_and_without_padding_and_written_plainly(auth: str) -> None:
    found = credential.parse(config({"auth": auth}))

    assert (found.username, found.token) == ("acme", OLD)
    assert found.with_token(NEW) == config({"auth": in_base64(f"acme:{NEW}")})


@pytest.mark.parametrize("username", ["acm", "acme", "acme-"])
def test_auth_may_lack_any_padding(username: str) -> None:
    auth = in_base64(f"{username}:{OLD}").rstrip("=")

    assert credential.parse(config({"auth": auth})).username == username


@pytest.mark.parametrize("before", ["\ufeff", "\ufeff\n", "\n\ufeff "])
def test_json_behind_a_byte_order_mark_is_read_and_written_without_it(before: str) -> None:
    assert credential.parse(f'{before}{{"password": "{OLD}"}}\n').with_token(NEW) == f'{{"password": "{NEW}"}}'


# A dockerconfigjson as a text under a key, as the console's key/value form stores it


@pytest.mark.parametrize(
    ("value", "renewed"),
    [
        pytest.param(
            {".dockerconfigjson": config({"auth": in_base64(f"acme:{OLD}")})},
            {".dockerconfigjson": config({"auth": in_base64(f"acme:{NEW}")})},
            id="under the key of Kubernetes",
        ),
        pytest.param(
            {"n": 1, "docker": f"\n{config({'password': OLD})}\n", "z": [None]},
            {"n": 1, "docker": f"\n{config({'password': NEW})}\n", "z": [None]},
            id="under any key, between others, with what stands around it",
        ),
        pytest.param(
            {"username": "acme", "password": OLD, "config": config({"auth": in_base64(f"acme:{OLD}")})},
            {"username": "acme", "password": NEW, "config": config({"auth": in_base64(f"acme:{NEW}")})},
            id="beside a key with the same token",
        ),
        pytest.param(
            {"a": config({"password": OLD}), "b": config({"password": OLD})},
            {"a": config({"password": NEW}), "b": config({"password": NEW})},
            id="twice",
        ),
        pytest.param(
            {"auths": {HUB: {"password": OLD}}, "b": config({"password": OLD})},
            {"auths": {HUB: {"password": NEW}}, "b": config({"password": NEW})},
            id="beside the same as an object",
        ),
        pytest.param(
            {"password": OLD, "other": '{"auths": {"ghcr.io":{"auth":"x"}}}', "none": '{"auths": 5}', "no": '{"auths"'},
            {"password": NEW, "other": '{"auths": {"ghcr.io":{"auth":"x"}}}', "none": '{"auths": 5}', "no": '{"auths"'},
            id="one without Docker Hub, and what is none, stay as they are written",
        ),
    ],
)
def test_a_dockerconfigjson_under_a_key_is_renewed_where_it_stands(
    value: dict[str, object], renewed: dict[str, object]
) -> None:
    found = credential.parse(json.dumps(value))

    assert found.token == OLD
    assert found.with_token(NEW) == json.dumps(renewed)


def test_the_letters_and_numbers_of_a_dockerconfigjson_under_a_key_stay_as_they_are_written() -> None:
    inner = f'{{"n": [1.10, 1E5], "note": "caf\u00e9", "auths": {{"docker.io": {{"password": "{OLD}"}}}}}}'
    escaped = inner.replace("\u00e9", "\\u00e9")
    value = json.dumps({"raw": inner, "escaped": escaped}, ensure_ascii=False)

    assert credential.parse(value).with_token(NEW) == value.replace(OLD, NEW)


def test_a_dockerconfigjson_is_looked_for_one_text_deep() -> None:
    """What is deeper is nobody's way to store one; a copy there is refused like any other."""
    deeper = json.dumps({"config": config({"password": "dckr_pat_another"})})

    renewed = credential.parse(json.dumps({"password": OLD, "deeper": deeper})).with_token(NEW)

    assert json.loads(renewed) == {"password": NEW, "deeper": deeper}
