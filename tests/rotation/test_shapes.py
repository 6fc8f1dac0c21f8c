"""What becomes of a rotation, and of the old token, where the secret's value is odd."""

import base64
import json
from collections.abc import Callable

import pytest

from rehearsal.sandbox import FunctionError
from rehearsal.world import World

HUB = "https://index.docker.io/v1/"


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def version(world: World, label: str) -> str:
    return next(version for version, labels in world.aws.labels(world.secret_arn).items() if label in labels)


def store(world: World, value: str) -> None:
    world.client.put_secret_value(SecretId=world.secret_arn, SecretString=value)


@pytest.mark.parametrize(
    ("compose", "error"),
    [
        pytest.param(lambda token: "dckr_oat_x", "an organization access token", id="an organization's token"),
        pytest.param(lambda token: in_base64(f"acme:{token}"), "more than a token", id="base64"),
        pytest.param(lambda token: json.dumps({"token": f"acme:{token}"}), "more than a token", id="user and token"),
        pytest.param(lambda token: json.dumps({"password": token, "pat": token}), "once more, under pat", id="a copy"),
        pytest.param(
            lambda token: json.dumps({"auths": {HUB: {}}, "credsStore": "desktop"}), "credsStore", id="an empty entry"
        ),
    ],
)
def test_what_would_be_lost_is_refused_before_docker_hub_is_asked(
    make_world: Callable[..., World], compose: Callable[[str], str], error: str
) -> None:
    world = make_world()
    store(world, compose(world.current_token()))
    world.hold_before = "createSecret"
    world.rotate()
    before = world.state()

    with pytest.raises(FunctionError, match=f"SecretUnusable: .*{error}"):
        world.function.invoke(
            {
                "Step": "createSecret",
                "SecretId": world.secret_arn,
                "ClientRequestToken": version(world, "AWSPENDING"),
            }
        )

    assert world.state() == before
    assert world.hub.requests == []


def in_lines(text: str) -> str:
    return base64.encodebytes(text.encode()).decode()


@pytest.mark.parametrize(
    ("stored", "renewed"),
    [
        pytest.param(
            lambda token: f"\ufeff{token}\r\n",
            lambda token: f"\ufeff{token}\r\n",
            id="a byte order mark and a line break",
        ),
        pytest.param(
            lambda token: f'\ufeff{{"username": "acme\\n", "token": "{token} "}}',
            lambda token: f'{{"username": "acme\\n", "token": "{token} "}}',
            id="the same in JSON",
        ),
        pytest.param(
            lambda token: json.dumps({"auths": {HUB: {"auth": in_lines(f"acme:{token}\n")}}}),
            lambda token: json.dumps({"auths": {HUB: {"auth": in_base64(f"acme:{token}\n")}}}),
            id="line feeds in auth and behind the token",
        ),
        pytest.param(
            lambda token: json.dumps({"password": token, "auths": {"dhi.io": {"auth": in_base64(f"acme:{token}")}}}),
            lambda token: json.dumps({"password": token, "auths": {"dhi.io": {"auth": in_base64(f"acme:{token}")}}}),
            id="the same token for Docker Hardened Images",
        ),
    ],
)
def test_an_odd_value_rotates_and_its_token_is_found_and_disabled(
    make_world: Callable[..., World], stored: Callable[[str], str], renewed: Callable[[str], str]
) -> None:
    world = make_world()
    token = world.current_token()
    store(world, stored(token))

    assert world.rotate() == ["RotationStarted", "RotationSucceeded"]

    made = [it for it in world.hub.tokens.values() if it.label.startswith("dockerhub-rotation/") and it.active]
    assert [world.aws.value(world.secret_arn)] == [renewed(it.value) for it in made]
    assert not world.hub.authenticates(token)


def test_a_superseded_organizations_token_is_reported_and_costs_no_login(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.rotate()
    current = world.current_token()
    store(world, "dckr_oat_x")
    store(world, current)
    asked = len(world.hub.requests)

    world.function.invoke(
        {"Step": "finishSecret", "SecretId": world.secret_arn, "ClientRequestToken": version(world, "AWSCURRENT")}
    )

    line = next(line for line in reversed(world.function.log().splitlines()) if "TokensUnidentified" in line)
    assert json.loads(line)["TokensUnidentified"] == [1]
    assert world.hub.authenticates(current)
    assert [r.status for r in world.hub.requests[asked:] if r.path == "/v2/auth/token" and r.status != 200] == []
