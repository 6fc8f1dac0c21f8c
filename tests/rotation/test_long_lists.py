"""A list of several pages while somebody deletes a token from a page that has been read: what is behind it moves up."""

from collections.abc import Callable
from typing import Any

import pytest

from rehearsal.docker_hub import Token, answers
from rehearsal.sandbox import FunctionError
from rehearsal.wire import Request
from rehearsal.world import World


@pytest.fixture
def make_long_list(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, bool], tuple[World, Token]]:
    """Return a function that brings a rotation to one of its steps and a token of its own to the top of page 2."""
    monkeypatch.setattr(answers, "shuffled", lambda token: token.created_at)

    def make(step: str, moves_up: bool) -> tuple[World, Token]:
        def somebody_deletes_a_token(request: Request) -> None:
            if due and request.name == "GET /v2/access-tokens":
                due.clear()
                del world.hub.tokens[next(iter(world.hub.tokens))]

        due: list[bool] = []
        world = make_world(on_request=somebody_deletes_a_token)
        world.rotate()
        world.hold_before = step
        world.rotate()
        label = {"testSecret": "AWSPENDING", "finishSecret": "AWSCURRENT"}[step]
        value = world.aws.value(world.secret_arn, label)
        token = next(token for token in world.hub.tokens.values() if token.value == value)
        world.hub.max_page_size = list(world.hub.tokens).index(token.uuid)
        if moves_up:
            due.append(True)
        return world, token

    return make


def event(world: World, step: str) -> dict[str, object]:
    return {"Step": step, "SecretId": world.secret_arn, "ClientRequestToken": world.state().holder("AWSPENDING")}


def lists(world: World, asked: int) -> int:
    return [request.name for request in world.wire.requests[asked:]].count("GET /v2/access-tokens")


@pytest.mark.parametrize(("moves_up", "pages"), [(True, 2 + 2), (False, 2)])
def test_a_superseded_token_that_moves_up_is_disabled_and_the_list_is_read_once_more_only_then(
    make_long_list: Callable[[str, bool], tuple[World, Token]], moves_up: bool, pages: int
) -> None:
    world, superseded = make_long_list("finishSecret", moves_up)
    asked = len(world.wire.requests)

    world.function.invoke(event(world, "finishSecret"))

    assert not superseded.active
    assert world.hub.authenticates(world.current_token())
    assert lists(world, asked) == pages


@pytest.mark.parametrize(("moves_up", "pages"), [(True, 2 + 1), (False, 2)])
def test_a_staged_token_that_moves_up_is_enabled_and_the_list_is_read_once_more_only_then(
    make_long_list: Callable[[str, bool], tuple[World, Token]], clock: Any, moves_up: bool, pages: int
) -> None:
    world, staged = make_long_list("testSecret", moves_up)
    staged.active = False
    asked = len(world.wire.requests)

    world.function.invoke(event(world, "testSecret"))

    assert staged.active
    assert lists(world, asked) == pages


@pytest.mark.parametrize(("moves_up", "pages"), [(True, 2 + 1), (False, 2)])
def test_a_staged_token_that_moves_up_is_held_against_the_scopes_and_the_list_is_read_once_more_only_then(
    make_long_list: Callable[[str, bool], tuple[World, Token]], moves_up: bool, pages: int
) -> None:
    world, staged = make_long_list("testSecret", moves_up)
    staged.scopes = ("repo:public_read",)
    asked = len(world.wire.requests)

    with pytest.raises(FunctionError, match="PendingTokenUnusable: .*may do less than DOCKERHUB_TOKEN_SCOPES"):
        world.function.invoke(event(world, "testSecret"))

    assert lists(world, asked) == pages
