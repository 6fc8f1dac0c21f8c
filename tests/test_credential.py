"""A secret keeps its shape: only the token changes, and what can't be understood without a guess is refused."""

import base64
import json
import string
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockerhub_rotation import credential
from dockerhub_rotation.errors import SecretUnusable

OLD, NEW = "dckr_pat_old-Token_1", "dckr_pat_new-Token_2"

ALIASES = (
    "https://index.docker.io/v1/",
    "https://index.docker.io/v2/",
    "https://index.docker.io",
    "index.docker.io/v1/",
    "index.docker.io",
    "docker.io",
    "https://docker.io",
    "http://docker.io",
    "registry-1.docker.io",
    "https://registry-1.docker.io/v2/",
    "registry-1.docker.io:443",
    "registry.hub.docker.com",
    "https://registry.hub.docker.com/",
    "Docker.IO",
)


def auth(username: str, token: str) -> str:
    """Return what dockerconfigjson holds under `auth`."""
    return base64.b64encode(f"{username}:{token}".encode()).decode()


def docker_config(
    entry: object, server: str = "https://index.docker.io/v1/", others: Mapping[str, object] = MappingProxyType({})
) -> str:
    return json.dumps({"auths": {server: entry, **others}})


# Shapes that are understood


@pytest.mark.parametrize(
    ("value", "renewed"),
    [
        pytest.param(OLD, NEW, id="plain text is the token"),
        pytest.param(f"{OLD}\n", f"{NEW}\n", id="a line break after a plain token stays"),
        pytest.param(f" \t{OLD} \r\n", f" \t{NEW} \r\n", id="any whitespace around a plain token stays"),
        pytest.param("put-a-token-here", NEW, id="a plain placeholder is one word"),
        pytest.param("", NEW, id="an empty value is a placeholder"),
        pytest.param(" \n", f" \n{NEW}", id="whitespace alone is a placeholder and stays once"),
        pytest.param(
            f'{{"username": "alice", "password": "{OLD}"}}',
            f'{{"username": "alice", "password": "{NEW}"}}',
            id="ECS, Batch and CodeBuild read password",
        ),
        pytest.param(
            f'{{"username": "alice", "accessToken": "{OLD}"}}',
            f'{{"username": "alice", "accessToken": "{NEW}"}}',
            id="the ECR pull-through cache reads accessToken",
        ),
        pytest.param(f'{{"token": "{OLD}"}}', f'{{"token": "{NEW}"}}', id="token is enough"),
        pytest.param(
            f'{{"token": "{OLD}", "accessToken": "{OLD}", "password": "{OLD}"}}',
            f'{{"token": "{NEW}", "accessToken": "{NEW}", "password": "{NEW}"}}',
            id="several keys with the same token all change",
        ),
        pytest.param('{"password": ""}', f'{{"password": "{NEW}"}}', id="an empty text is a placeholder"),
        pytest.param(
            f'\n{{"password":"{OLD}"}}\n', f'{{"password": "{NEW}"}}', id="whitespace around and in JSON means nothing"
        ),
        pytest.param(
            f'{{"z": 1, "password": "{OLD}", "a": [true, null, 1.5, "x"], "m": {{"password": "other"}}}}',
            f'{{"z": 1, "password": "{NEW}", "a": [true, null, 1.5, "x"], "m": {{"password": "other"}}}}',
            id="other keys keep their order, types and depth",
        ),
        pytest.param(
            f'{{"big": 123456789012345678901234567890, "password": "{OLD}"}}',
            f'{{"big": 123456789012345678901234567890, "password": "{NEW}"}}',
            id="a large number keeps its digits",
        ),
        pytest.param(
            f'{{"n": [1.10, 1E5, -0, 0.12345678901234567890, 1e999], "password": "{OLD}"}}',
            f'{{"n": [1.10, 1E5, -0, 0.12345678901234567890, 1e999], "password": "{NEW}"}}',
            id="a number is kept as it is written",
        ),
        pytest.param(
            f'{{"note": "caf\u00e9 \u2603", "password": "{OLD}"}}',
            f'{{"note": "caf\u00e9 \u2603", "password": "{NEW}"}}',
            id="letters beyond ASCII stay as they are",
        ),
        pytest.param(
            f'{{"note": "caf\\u00e9 \\ud800", "password": "{OLD}"}}',
            f'{{"note": "caf\\u00e9 \\ud800", "password": "{NEW}"}}',
            id="escaped letters stay escaped, even those that can't be written otherwise",
        ),
        pytest.param(
            f'{{"password": "{OLD}", "auths": {{"docker.io": {{"password": "{OLD}"}}}}}}',
            f'{{"password": "{NEW}", "auths": {{"docker.io": {{"password": "{NEW}"}}}}}}',
            id="a key and auths may hold the same token",
        ),
        pytest.param(
            f'{{"password": "{OLD}", "auths": {{"ghcr.io": {{"password": "theirs"}}}}}}',
            f'{{"password": "{NEW}", "auths": {{"ghcr.io": {{"password": "theirs"}}}}}}',
            id="auths without Docker Hub may stand beside a key",
        ),
    ],
)
def test_only_the_token_changes(value: str, renewed: str) -> None:
    assert credential.parse(value).with_token(NEW) == renewed


@pytest.mark.parametrize(
    ("value", "token"),
    [
        pytest.param(OLD, OLD, id="plain text"),
        pytest.param(f"\n {OLD} \n", OLD, id="plain text without the whitespace around it"),
        pytest.param(f'{{"password": "{OLD}"}}', OLD, id="a key"),
        pytest.param('{"password": " inner "}', "inner", id="a key without the whitespace around it"),
        pytest.param(docker_config({"auth": auth("alice", OLD)}), OLD, id="auth"),
        pytest.param(docker_config({"password": OLD}), OLD, id="an entry's password"),
    ],
)
def test_the_token_is_found(value: str, token: str) -> None:
    assert credential.parse(value).token == token


@pytest.mark.parametrize(
    ("value", "username"),
    [
        pytest.param(OLD, None, id="plain text has none"),
        pytest.param(f'{{"password": "{OLD}"}}', None, id="a key alone has none"),
        pytest.param(f'{{"username": null, "password": "{OLD}"}}', None, id="null is none"),
        pytest.param(f'{{"username": "alice", "accessToken": "{OLD}"}}', "alice", id="username beside a key"),
        pytest.param(docker_config({"username": "alice", "password": OLD}), "alice", id="username in an entry"),
        pytest.param(docker_config({"auth": auth("alice", OLD)}), "alice", id="the name in auth"),
        pytest.param(
            docker_config({"username": "alice", "auth": auth("alice", OLD)}), "alice", id="the same name in both"
        ),
        pytest.param(
            docker_config({"password": OLD}, others={"ghcr.io": {"username": "bob", "password": "x"}}),
            None,
            id="another registry's name is not ours",
        ),
    ],
)
def test_the_user_name_is_found(value: str, username: str | None) -> None:
    assert credential.parse(value).username == username


ENTRIES: list[tuple[dict[str, str], dict[str, str]]] = [
    (
        {name: old for name, old, _ in chosen},
        {name: new for name, _, new in chosen},
    )
    for chosen in [
        [part for place, part in enumerate(parts) if bits >> place & 1]
        for parts in [
            (
                ("username", "alice", "alice"),
                ("password", OLD, NEW),
                ("email", "a@example.com", "a@example.com"),
                ("auth", auth("alice", OLD), auth("alice", NEW)),
            )
        ]
        for bits in range(16)
    ]
    if {"password", "auth"} & {name for name, _, _ in chosen}
]


@pytest.mark.parametrize("server", ALIASES)
@pytest.mark.parametrize(("entry", "renewed"), ENTRIES, ids=["+".join(old) for old, _ in ENTRIES])
def test_an_entry_of_docker_hub_is_found_under_any_of_its_names(
    entry: dict[str, str], renewed: dict[str, str], server: str
) -> None:
    theirs = {"ghcr.io": {"auth": auth("bob", "theirs")}, "docker.io.example.com": {"password": "theirs"}}
    value = json.dumps({"auths": theirs | {server: entry}, "credsStore": "none"})

    found = credential.parse(value)

    assert found.token == OLD
    assert found.with_token(NEW) == json.dumps({"auths": theirs | {server: renewed}, "credsStore": "none"})


def test_several_entries_of_docker_hub_change_together() -> None:
    value = json.dumps({"auths": {server: {"auth": auth("alice", OLD)} for server in ALIASES}})

    renewed = json.loads(credential.parse(value).with_token(NEW))

    assert renewed == {"auths": {server: {"auth": auth("alice", NEW)} for server in ALIASES}}


@pytest.mark.parametrize(
    "server",
    [
        "ghcr.io",
        "123456789012.dkr.ecr.eu-central-1.amazonaws.com",
        "https://docker.io.example.com/v1/",
        "notdocker.io",
        "example.com/docker.io",
        "https://example.com:443/index.docker.io",
        "",
    ],
)
def test_an_entry_of_another_registry_is_not_docker_hubs(server: str) -> None:
    with pytest.raises(SecretUnusable):
        credential.parse(docker_config({"password": OLD}, server))


# Byte stability


tokens = st.text(string.ascii_letters + string.digits + "_-", min_size=1).map("dckr_pat_".__add__) | st.uuids().map(str)
placeholders = st.text(string.ascii_letters + string.digits + "_.!?*#$<>()-", max_size=30)


@given(st.text(string.whitespace + "\ufeff"), tokens | placeholders, st.text(string.whitespace))
def test_plain_text_with_its_own_token_is_the_same_text(before: str, token: str, after: str) -> None:
    value = before + token + after

    found = credential.parse(value)

    assert found.token == token
    assert found.with_token(token) == value


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
other_keys = st.text().filter(lambda key: key not in ("username", "password", "accessToken", "token", "auths"))
token_keys = st.sets(st.sampled_from(["password", "accessToken", "token"]), min_size=1)


@given(
    st.dictionaries(other_keys, json_values, max_size=4),
    token_keys,
    tokens | placeholders,
    st.text(),
    st.booleans(),
    st.data(),
)
def test_any_object_keeps_everything_but_its_token(
    others: dict[str, Any], keys: set[str], old: str, new: str, escaped: bool, data: st.DataObject
) -> None:
    order = data.draw(st.permutations(sorted(others.keys() | keys)))
    document = {key: old if key in keys else others[key] for key in order}
    value = json.dumps(document, ensure_ascii=escaped)
    try:
        value.encode()
    except UnicodeEncodeError:  # no secret can hold this
        return

    try:
        found = credential.parse(value)
    except SecretUnusable:  # a lone surrogate, which can't be written back beside letters beyond ASCII
        assert "\\ud" in value
        return
    renewed = found.with_token(new)

    assert found.token == old
    assert list(json.loads(renewed).items()) == [(key, new if key in keys else others[key]) for key in order]
    assert repr(json.loads(found.with_token(old))) == repr(document)
    assert found.with_token(new) == renewed == credential.parse(value).with_token(new)


@given(
    st.text(alphabet=string.ascii_lowercase + string.digits, min_size=1),
    tokens | placeholders,
    st.text(alphabet=st.characters(codec="utf-8")),
    st.sampled_from(ALIASES),
)
def test_auth_always_says_what_password_says(username: str, old: str, new: str, server: str) -> None:
    value = docker_config({"password": old, "auth": auth(username, old)}, server)

    entry = json.loads(credential.parse(value).with_token(new))["auths"][server]

    assert entry["password"] == new
    assert base64.b64decode(entry["auth"]).decode() == f"{username}:{new}"


@pytest.mark.parametrize(
    "value",
    [
        OLD,
        f"{OLD}\n",
        f'{{"username":"alice","password":"{OLD}"}}',
        docker_config({"username": "alice", "password": OLD, "auth": auth("alice", OLD)}),
    ],
)
def test_a_renewed_value_can_be_renewed_again(value: str) -> None:
    once = credential.parse(value).with_token(NEW)

    again = credential.parse(once)

    assert again.token == NEW
    assert again.with_token(NEW) == once


# Refusals

SECRET = "dckr_pat_never-to-be-shown"
ALSO_SECRET = "hunter2-never-to-be-shown"

REFUSED = [
    pytest.param(
        f'{{"password": "{SECRET}", "token": "{ALSO_SECRET}"}}', "password, token", id="two keys with different tokens"
    ),
    pytest.param(
        f'{{"password": "{SECRET}", "auths": {{"docker.io": {{"password": "{ALSO_SECRET}"}}}}}}',
        "password, auths: password",
        id="a key and an entry with different tokens",
    ),
    pytest.param(
        docker_config({"password": SECRET, "auth": auth("alice", ALSO_SECRET)}),
        "auths: password, auths: auth",
        id="password and auth with different tokens",
    ),
    pytest.param(
        docker_config({"auth": auth("alice", SECRET)}, others={"docker.io": {"auth": auth("alice", ALSO_SECRET)}}),
        "different values",
        id="two entries of Docker Hub with different tokens",
    ),
    pytest.param(f'{{"apiKey": "{SECRET}"}}', "password, accessToken, token", id="no known key"),
    pytest.param(f'{{"Password": "{SECRET}"}}', "without a place", id="a known key in other letters"),
    pytest.param("{}", "without a place", id="an empty object"),
    pytest.param('{"auths": {}}', "without a place", id="no entry at all"),
    pytest.param(docker_config({"username": SECRET}), "without a place", id="an entry without a token"),
    pytest.param(
        docker_config({"password": SECRET}, "ghcr.io"), "without a place", id="an entry of another registry alone"
    ),
    pytest.param(f'["{SECRET}"]', "not an object", id="an array"),
    pytest.param(f'"{SECRET}"', "not an object", id="a JSON text"),
    pytest.param(f'{{"password": "{SECRET}"', "can't be read", id="broken JSON"),
    pytest.param(f"{{'password': '{SECRET}'}}", "can't be read", id="a Python dict"),
    pytest.param(f'{{"password": "{SECRET}",}}', "can't be read", id="a trailing comma"),
    pytest.param(f'{{"password": "{SECRET}"}} {{}}', "can't be read", id="something after the object"),
    pytest.param(f'{{"password": "{SECRET}", "n": NaN}}', "can't be read", id="a number that JSON does not have"),
    pytest.param(
        f'{{"password": "{SECRET}", "note": "caf\u00e9 \\ud800"}}',
        "can't be read",
        id="letters that can't be written back",
    ),
    pytest.param(f'{{"password": "{SECRET}", "password": "{SECRET}"}}', "a key twice", id="a key twice"),
    pytest.param(
        f'{{"password": "{SECRET}", "deep": {{"k": 1, "k": 2}}}}', "a key twice", id="a key twice, deep inside"
    ),
    pytest.param(f'{{"password": "{SECRET}", "deep": {"[" * 100_000}', "can't be read", id="endless depth"),
    pytest.param(f'{{"password": ["{SECRET}"]}}', "password is not a text", id="a token in an array"),
    pytest.param('{"password": null}', "password is not a text", id="null for a token"),
    pytest.param('{"accessToken": 12345}', "accessToken is not a text", id="a number for a token"),
    pytest.param(
        f'{{"username": ["{SECRET}"], "password": "x"}}', "username is not a text", id="a user name that is no text"
    ),
    pytest.param(f'{{"auths": "{SECRET}"}}', "auths is not an object", id="auths that is no object"),
    pytest.param(docker_config(SECRET), "not an object", id="an entry that is no object"),
    pytest.param(docker_config({"password": [SECRET]}), "not a text", id="an entry's password that is no text"),
    pytest.param(
        docker_config({"auth": f"alice:{SECRET}"}), "not base64 of username:token", id="auth that is not base64"
    ),
    pytest.param(docker_config({"auth": "!" + auth("alice", SECRET)}), "not base64", id="auth and a stray character"),
    pytest.param(docker_config({"auth": [SECRET]}), "not base64", id="auth that is no text"),
    pytest.param(docker_config({"auth": ""}), "not base64", id="empty auth"),
    pytest.param(
        docker_config({"auth": base64.b64encode(SECRET.encode()).decode()}), "username:token", id="auth without a colon"
    ),
    pytest.param(
        docker_config({"auth": base64.b64encode(b"alice:\xff\xfe").decode()}), "username:token", id="auth of no text"
    ),
    pytest.param(
        docker_config({"username": "bob", "auth": auth("alice", SECRET)}),
        "different user names",
        id="two user names in an entry",
    ),
    pytest.param(
        json.dumps({"username": "bob", "password": SECRET, "auths": {"docker.io": {"auth": auth("alice", SECRET)}}}),
        "different user names",
        id="two user names in a value",
    ),
    pytest.param(f"alice:{SECRET}", "more than a token", id="user name and token in plain text"),
    pytest.param("alice:3F2A9C1E-1111-4222-8333-444455556666", "more than a token", id="user name and an old token"),
    pytest.param(f"USER=alice\nTOKEN={ALSO_SECRET}", "more than a token", id="several lines"),
    pytest.param(docker_config({"auth": auth("alice", "a:b")}), "more than a token", id="auth with a second colon"),
    pytest.param(f'\'{{"password": "{SECRET}"}}\'', "more than a token", id="JSON in a shell's quotes"),
]


@pytest.mark.parametrize(("value", "reason"), REFUSED)
def test_what_would_need_a_guess_is_refused_without_quoting_it(value: str, reason: str) -> None:
    with pytest.raises(SecretUnusable) as refusal:
        credential.parse(value)

    shown = f"{refusal.value!s} {refusal.value!r} {refusal.value.__cause__!r}"
    assert reason in shown
    assert SECRET not in shown
    assert ALSO_SECRET not in shown
    assert refusal.value.__cause__ is None
    assert refusal.value.__context__ is None or refusal.value.__suppress_context__


@given(st.text() | json_values.map(json.dumps))
def test_any_value_is_taken_apart_or_refused(value: str) -> None:
    try:
        found = credential.parse(value)
    except SecretUnusable:
        return
    found.with_token(NEW).encode()


@pytest.mark.parametrize(
    "value",
    [SECRET, f'{{"username": "alice", "password": "{SECRET}"}}', docker_config({"auth": auth("alice", SECRET)})],
)
def test_a_credential_does_not_print_its_token(value: str) -> None:
    found = credential.parse(value)

    assert SECRET not in f"{found} {found!r} {[found]}"
    assert auth("alice", SECRET) not in repr(found)


# Tokens and placeholders


@pytest.mark.parametrize(
    ("text", "is_token"),
    [
        pytest.param(OLD, True, id="a token starts with dckr_pat_"),
        pytest.param("dckr_oat_x", True, id="an organization's token starts with dckr_oat_"),
        pytest.param("0f8fad5b-d9cb-469f-a165-70867728950e", True, id="an early token is a UUID"),
        pytest.param("0F8FAD5B-D9CB-469F-A165-70867728950E", True, id="an early token in capitals"),
        pytest.param("0f8fad5bd9cb469fa16570867728950e", False, id="a UUID without hyphens is none"),
        pytest.param("{0f8fad5b-d9cb-469f-a165-70867728950e}", False, id="a UUID in braces is none"),
        pytest.param("placeholder", False, id="a word is a placeholder"),
        pytest.param("hunter2", False, id="a password is none"),
        pytest.param("my dckr_pat_x", False, id="a token inside a text is none"),
        pytest.param("", False, id="nothing is none"),
    ],
)
def test_a_token_is_told_from_a_placeholder(text: str, is_token: bool) -> None:
    assert credential.looks_like_token(text) is is_token
