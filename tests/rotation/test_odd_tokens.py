"""What the list says oddly of a stranger's token is nobody's concern; of one of ours it is named, and waited for."""

from collections.abc import Callable

import pytest

from rehearsal.docker_hub import Token, personal_tokens
from rehearsal.world import World
from tests.rotation.seen import hand_made, holder, ours, token_under

ODD = [
    pytest.param({"is_active": None}, id="is_active null"),
    pytest.param({"is_active": "yes"}, id="is_active a text"),
    pytest.param({"uuid": None}, id="no uuid"),
    pytest.param({"uuid": "../../v2/users"}, id="a uuid that is a path"),
    pytest.param({"token_label": None}, id="no label"),
    pytest.param({"created_at": "soon", "expires_at": 7, "scopes": {}}, id="the rest"),
]


def let_the_list_say_oddly(
    monkeypatch: pytest.MonkeyPatch, odd: dict[str, object], of: Callable[[Token], bool]
) -> None:
    body = personal_tokens.token_body
    monkeypatch.setattr(
        personal_tokens, "token_body", lambda token, *value: body(token, *value) | (odd if of(token) else {})
    )


@pytest.mark.parametrize("odd", ODD)
def test_a_strangers_odd_token_keeps_no_rotation_from_its_end_and_is_not_touched(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, odd: dict[str, object]
) -> None:
    world = make_world()
    first = hand_made(world)
    strangers = {token.uuid: (token.label, token.active) for token in world.hub.tokens.values() if token is not first}
    let_the_list_say_oddly(monkeypatch, odd, of=lambda token: token.uuid in strangers)

    for _ in range(2):
        assert world.rotate() == ["RotationStarted", "RotationSucceeded"]

    assert {u: (t.label, t.active) for u, t in world.hub.tokens.items() if u in strangers} == strangers
    assert first.uuid not in world.hub.tokens
    assert ours(world) == {holder(world, "AWSCURRENT"): True, holder(world, "AWSPREVIOUS"): False}


@pytest.mark.parametrize("label", ["AWSCURRENT", "AWSPREVIOUS"])
def test_a_token_of_ours_that_is_not_said_to_be_active_or_not_is_named_and_retired_once_it_is(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, label: str
) -> None:
    """Taken for disabled, an active one would be left alone for ever."""
    world = make_world()
    world.rotate()
    odd = token_under(world, label)
    world.hold_before = "finishSecret"
    world.rotate()
    world.hold_before = None
    with monkeypatch.context() as for_now:
        let_the_list_say_oddly(for_now, {"is_active": None}, of=lambda token: token is odd)
        world.aws.retry(world.secret_arn)
        world.aws.wait()

    assert world.aws.events[-1].name == "RotationFailed"
    error = next(run.error for run in reversed(world.steps) if run.error) or ""
    assert f"Docker Hub does not say whether token {odd.uuid} is active" in error
    assert "delete the token by hand in the account settings" in error
    assert world.hub.authenticates(world.current_token())

    world.aws.retry(world.secret_arn)
    world.aws.wait()
    assert world.aws.events[-1].name == "RotationSucceeded"
    assert not world.hub.authenticates(odd.value)
    world.rotate()
    assert ours(world) == {holder(world, "AWSCURRENT"): True, holder(world, "AWSPREVIOUS"): False}
    assert odd.uuid not in world.hub.tokens


def test_a_superseded_token_made_by_hand_that_is_not_said_to_be_active_or_not_is_named(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only its value names it, so that it is looked at after it has told which it is."""
    world = make_world()
    first = hand_made(world)
    with monkeypatch.context() as for_now:
        let_the_list_say_oddly(for_now, {"is_active": None}, of=lambda token: token is first)
        assert world.rotate() == ["RotationStarted"] + ["RotationFailed"] * 5

    error = next(run.error for run in reversed(world.steps) if run.error) or ""
    assert error.startswith("RetirementFailed: Promoted")
    assert f"whether token {first.uuid} is active" in error
    assert first.active

    world.rotate()
    assert not first.active
