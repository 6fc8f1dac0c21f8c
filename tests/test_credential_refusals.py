"""A refusal names the place and the remedy, and neither it nor what caused it holds a value."""

import base64
import json
import traceback
from collections.abc import Iterator

import pytest

from dockerhub_rotation import credential
from dockerhub_rotation.errors import SecretUnusable

SECRET, ALSO_SECRET = "dckr_pat_never-to-be-shown", "hunter2-never-to-be-shown"
HUB = "https://index.docker.io/v1/"


def auth(token: str, username: str = "acme") -> dict[str, str]:
    return {"auth": base64.b64encode(f"{username}:{token}".encode()).decode()}


def refused(value: object) -> str:
    with pytest.raises(SecretUnusable) as refusal:
        credential.parse(value if isinstance(value, str) else json.dumps(value))
    assert "never-to-be-shown" not in str(refusal.value)
    return str(refusal.value)


def test_the_servers_that_disagree_are_named() -> None:
    value = {"auths": {HUB: auth(SECRET), "ghcr.io": auth("x"), "docker.io": auth(ALSO_SECRET)}}

    assert f"(auths: auth of {HUB}, auths: auth of docker.io). Make them equal or remove" in refused(value)


def test_the_keys_that_disagree_are_named_with_their_server() -> None:
    value = {"password": SECRET, "auths": {HUB: {"password": SECRET} | auth(ALSO_SECRET)}}

    assert f"(password, auths: password, auths: auth of {HUB})" in refused(value)


def test_the_key_whose_dockerconfigjson_disagrees_is_named() -> None:
    value = {"password": SECRET, "config": json.dumps({"auths": {HUB: auth(ALSO_SECRET)}})}

    assert f"(password, auths: auth of {HUB} in config)" in refused(value)


def test_the_places_of_different_user_names_are_named() -> None:
    value = {"username": "acme", "password": SECRET, "auths": {HUB: auth(SECRET, "bob"), "docker.io": auth(SECRET)}}

    assert f"(beside password, auths: auth of {HUB}, auths: auth of docker.io)" in refused(value)


def test_two_user_names_in_an_entry_are_named_with_its_server() -> None:
    value = {"auths": {HUB: {"username": "bob"} | auth(SECRET)}}

    assert f"different user names in username and auth of {HUB}. Make them equal." in refused(value)


@pytest.mark.parametrize("entry", [auth(SECRET), {}], ids=["with a credential", "without one"])
@pytest.mark.parametrize("name", ["access-token", "refresh-token"])
def test_what_a_browser_login_has_written_is_to_be_removed_and_not_made_equal(name: str, entry: dict[str, str]) -> None:
    said = refused({"auths": {HUB: auth(SECRET), f"{HUB}{name}": entry}})

    assert f"an entry of {HUB}{name}, which docker login in a browser has written for itself. Remove it" in said
    assert "equal" not in said


@pytest.mark.parametrize("more", [{"credsStore": "desktop"}, {"credHelpers": {HUB: "pass"}}, {}])
@pytest.mark.parametrize("entry", [{}, {"email": "a@example.com"}])
def test_an_empty_entry_is_named_with_where_its_credential_is(entry: dict[str, str], more: dict[str, object]) -> None:
    said = refused({"auths": {HUB: entry}} | more)

    assert f"the entry of {HUB} has neither auth nor password" in said
    assert "in that store, on that machine. Put the token (or a placeholder) under auth" in said


def test_an_empty_entry_beside_one_with_a_token_is_no_place() -> None:
    value = {"auths": {HUB: {}, "docker.io": auth(SECRET)}}

    renewed = credential.parse(json.dumps(value)).with_token("dckr_pat_new")

    assert json.loads(renewed) == {"auths": {HUB: {}, "docker.io": auth("dckr_pat_new")}}


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"auths": {HUB: SECRET}}, f"entry {HUB} under auths is not an object"),
        ({"auths": {HUB: {"auth": "!"}}}, f"auth of {HUB} is not base64 of username:token"),
        ({"auths": {HUB: {"password": 5}}}, f"auths: password of {HUB} is not a text"),
        ({"config": json.dumps({"auths": {HUB: {"auth": 5}}})}, f"auth of {HUB} in config is not base64"),
    ],
)
def test_an_entry_that_is_not_understood_is_named(value: object, named: str) -> None:
    assert named in refused(value)


def test_a_name_is_shown_short_and_printable() -> None:
    server = f"docker.io/\n\x1b[1m{'x' * 100}"

    said = refused({"auths": {server: {"auth": "!"}}})

    assert f"auth of docker.io/??[1m{'x' * 45}... is not base64" in said


def test_a_name_of_sixty_signs_is_shown_whole() -> None:
    whole = f"docker.io/{'x' * 50}"

    assert f"auth of {whole} is" in refused({"auths": {whole: {"auth": "!"}}})
    assert f"auth of {whole}... is" in refused({"auths": {f"{whole}y": {"auth": "!"}}})


@pytest.mark.parametrize("auth", ["!!!!", "\u00e9", "YWNt=", "YWNtZ", "====", "YWNtZTp4\u200b"])
def test_auth_that_is_no_base64_is_refused(auth: str) -> None:
    right = base64.b64encode(f"acme:{SECRET}".encode()).decode()

    assert "is not base64 of username:token" in refused({"auths": {HUB: {"auth": auth + right}}})


@pytest.mark.parametrize(
    "name",
    [
        f"docker.io/{SECRET}",
        "docker.io/" + base64.b64encode(f"acme:{SECRET}".encode()).decode(),
        "docker.io/3f2a9c1e-1111-4222-8333-444455556666",
        f"docker.io/acme:{ALSO_SECRET}@x",
        "docker.io/Ab1-_xYz0Ab1-_xYz0Ab1-_xYz0",
    ],
    ids=["a token", "a token in base64", "an old token", "user name and password", "the rest of a token"],
)
def test_a_name_that_holds_a_secret_is_not_shown(name: str) -> None:
    said = refused({"auths": {name: {"auth": "!"}}})

    assert "auth of (a name that is not shown) is not base64" in said


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Return an error and all that it keeps alive, suppressed or not."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize(
    "value",
    [
        f'{{"password": "{SECRET}"',
        f'{{"password": "{SECRET}", "password": "{SECRET}"}}',
        f'{{"password": "{SECRET}", "n": NaN}}',
        f'{{"password": "{SECRET}", "note": "caf\u00e9 \\ud800"}}',
        f'{{"password": "{SECRET}", "deep": {"[" * 100_000}',
        f'{{"config": "{{\\"auths\\": {{}}, \\"x\\": {SECRET}"}}',
        json.dumps({"auths": {HUB: {"auth": f"{SECRET}!"}}}),
        json.dumps({"auths": {HUB: {"auth": f"{SECRET}\u00e9"}}}),
        json.dumps({"auths": {HUB: {"auth": base64.b64encode(SECRET.encode() + b":\xff").decode()}}}),
        json.dumps({"auths": {HUB: {"auth": base64.b64encode(SECRET.encode()).decode()}}}),
        json.dumps({"auths": {HUB: {"auth": [SECRET]}}}),
        json.dumps({"password": f'{{"x": "{SECRET}"'}),
        json.dumps({"password": f'{{"x": {ALSO_SECRET}'}),
        json.dumps({"password": SECRET, "copy": SECRET}),
        f"acme:{SECRET}",
        f'\'{{"password": {SECRET}',
    ],
)
def test_nothing_that_a_refusal_keeps_alive_holds_the_value(value: str) -> None:
    with pytest.raises(SecretUnusable) as refusal:
        credential.parse(value)

    kept = list(chain(refusal.value))
    assert kept == [refusal.value]
    assert "never-to-be-shown" not in "".join(traceback.format_exception(refusal.value))
    assert "never-to-be-shown" not in repr(vars(refusal.value))
