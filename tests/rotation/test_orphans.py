"""Orphans never keep a rotation from its new token: where making one is refused, this secret's are swept away first."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from dockerhub_rotation.token_labels import label_for
from rehearsal.docker_hub import Fault, Token, personal_tokens
from rehearsal.sandbox import FunctionError
from rehearsal.wire import Request
from rehearsal.world import World
from tests.rotation.seen import asked, event, holder, ours, token_under

UNSTAGED = [f"9999999{n}-2222-4333-8444-555555555555" for n in range(3)]
REMEDY = "Creating a token: Docker Hub answered 400. The account may have reached its number of tokens .delete those"


def orphan(world: World, version: str = UNSTAGED[0], *, secret: str = "", hours: float = 2) -> Token:
    """Give the account a token that was made for a version so many hours ago, and whose value nobody knows."""
    token = world.hub.add_token(label_for(secret or world.secret_arn, version))
    token.created_at -= timedelta(hours=hours)
    return token


def before_create(world: World) -> World:
    """Bring a world, which has rotated before, to where createSecret begins."""
    world.rotate()
    world.hold_before = "createSecret"
    world.rotate()
    return world


def fill(world: World) -> None:
    """Let the account have as many tokens as it may have."""
    world.hub.max_tokens = len(world.hub.tokens)


def creates(world: World, since: int) -> int:
    return asked(world, since).count("POST /v2/access-tokens")


def test_an_account_that_is_full_because_of_orphans_of_this_secret_is_swept_and_the_rotation_succeeds(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.rotate()
    orphans = [orphan(world, version) for version in UNSTAGED]
    others = {uuid for uuid, token in world.hub.tokens.items() if token not in orphans}
    fill(world)

    assert world.rotate() == ["RotationStarted", "RotationSucceeded"]

    assert not {token.uuid for token in orphans} & set(world.hub.tokens)
    assert [run.error for run in world.steps if run.error] == []
    made_later = next(run for run in reversed(world.steps) if run.step == "createSecret")
    assert others < set(made_later.after.tokens)  # finishSecret deletes what was disabled a rotation ago
    assert ours(world) == {holder(world, "AWSCURRENT"): True, holder(world, "AWSPREVIOUS"): False}
    assert world.hub.authenticates(world.current_token())


def test_an_account_that_is_full_of_other_peoples_tokens_is_refused_with_the_remedy_and_nothing_is_touched(
    make_world: Callable[..., World],
) -> None:
    world = before_create(make_world())
    fill(world)
    before, since = world.state(), len(world.wire.requests)

    with pytest.raises(FunctionError, match=f"^DockerHubRefused: {REMEDY}"):
        world.function.invoke(event(world, "createSecret"))

    assert world.state() == before
    assert creates(world, since) == 1
    assert {name.split()[0] for name in asked(world, since)} == {"GET", "POST"}


def test_sweeping_disables_and_enables_nothing_for_that_is_finish_secrets(make_world: Callable[..., World]) -> None:
    world = before_create(make_world())
    previous, current = token_under(world, "AWSPREVIOUS"), token_under(world)
    previous.active, current.active = True, False
    swept = orphan(world)
    fill(world)

    world.function.invoke(event(world, "createSecret"))

    assert swept.uuid not in world.hub.tokens
    assert (previous.active, current.active) == (True, False)


def test_neither_a_young_orphan_nor_another_secrets_is_swept(make_world: Callable[..., World]) -> None:
    """A rotation that has begun since the staging labels were read may be about to store it."""
    world = before_create(make_world())
    young = orphan(world, hours=0)
    others = orphan(world, secret=world.secret_arn + "2")
    renamed = orphan(world)
    renamed.label = renamed.label.upper()
    fill(world)
    before = world.state()

    with pytest.raises(FunctionError, match=REMEDY):
        world.function.invoke(event(world, "createSecret"))

    assert world.state() == before
    assert [token.active for token in (young, others, renamed)] == [True] * 3


@pytest.mark.parametrize("when", ["GET /v2/access-tokens", "POST /v2/access-tokens"])
def test_what_gets_a_staging_label_after_the_step_began_is_no_orphan_any_more(
    make_world: Callable[..., World], when: str
) -> None:
    def somebody_pins_it(request: Request) -> None:
        if due and request.name == when:
            due.clear()
            world.client.update_secret_version_stage(
                SecretId=world.secret_arn, VersionStage="blue", MoveToVersionId=version
            )

    due: list[bool] = []
    world = make_world(on_request=somebody_pins_it)
    version = holder(world, "AWSCURRENT")
    for _ in range(2):
        world.rotate()
    before_create(world)
    assert version not in world.state().labels or not world.state().labels[version]
    pinned = orphan(world, version)
    swept = orphan(world)
    fill(world)
    due.append(True)

    world.function.invoke(event(world, "createSecret"))

    assert not due
    assert pinned.uuid in world.hub.tokens
    assert swept.uuid not in world.hub.tokens


def test_beside_a_value_that_may_be_a_copy_of_an_older_one_only_what_was_made_for_the_empty_version_is_swept(
    make_world: Callable[..., World],
) -> None:
    """Nobody has the value of a token that was made for it; any other may be the one that was copied."""
    world = make_world()
    world.rotate()
    world.client.put_secret_value(SecretId=world.secret_arn, SecretString=world.hub.add_token("stored by hand").value)
    world.hold_before = "createSecret"
    world.rotate()
    swept, other = orphan(world, holder(world, "AWSPENDING")), orphan(world)
    fill(world)

    world.function.invoke(event(world, "createSecret"))

    assert swept.uuid not in world.hub.tokens
    assert other.active


def test_an_orphan_that_cannot_be_deleted_is_named_and_no_token_is_made(make_world: Callable[..., World]) -> None:
    world = before_create(make_world())
    stuck = orphan(world)
    fill(world)
    world.hub.faults.append(Fault("DELETE", "/v2/access-tokens/*", 400, {"message": "no", "errinfo": {}}))
    before = world.state()

    with pytest.raises(FunctionError, match=f"DockerHubRefused: Deleting token {stuck.uuid}: .*by hand"):
        world.function.invoke(event(world, "createSecret"))

    assert world.state() == before


# What is made and of no use


def make_it_unfit(monkeypatch: pytest.MonkeyPatch, **odd: object) -> None:
    """Let Docker Hub answer to the making of a token with something odd in it."""
    body = personal_tokens.token_body

    def odd_when_made(token: Token, value: str = "***") -> dict[str, object]:
        return body(token, value) | (odd if value != "***" else {})

    monkeypatch.setattr(personal_tokens, "token_body", odd_when_made)


@pytest.mark.parametrize("orphans", [0, 2])
@pytest.mark.parametrize(
    ("odd", "error"),
    [
        pytest.param({"token": None}, "no personal access token as it is known", id="no value"),
        pytest.param({"token": "***"}, "no personal access token as it is known", id="a value that is hidden"),
        pytest.param({"scopes": ["repo:public_read"]}, "may do less than DOCKERHUB_TOKEN_SCOPES", id="smaller scopes"),
    ],
)
def test_a_token_that_is_made_and_of_no_use_is_deleted_and_refused_and_no_second_one_is_made(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, odd: dict[str, object], error: str, orphans: int
) -> None:
    """What is the matter with it is not that there are too many."""
    world = before_create(make_world())
    left = [orphan(world, version) for version in UNSTAGED[:orphans]]
    make_it_unfit(monkeypatch, **odd)
    before, since = world.state(), len(world.wire.requests)

    with pytest.raises(FunctionError, match=f"Creating a token: .*{error}"):
        world.function.invoke(event(world, "createSecret"))

    assert world.state() == before
    assert all(token.active for token in left)
    assert creates(world, since) == 1


def test_a_token_of_no_use_that_cannot_be_deleted_either_does_not_bring_a_second_one(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its label remains, by which finishSecret finds it."""
    world = before_create(make_world())
    left = orphan(world)
    before, since = world.state(), len(world.wire.requests)
    world.hub.faults.append(Fault("DELETE", "/v2/access-tokens/*", 400, {"message": "no", "errinfo": {}}))
    with monkeypatch.context() as for_now:
        make_it_unfit(for_now, token=None)
        with pytest.raises(FunctionError, match="Deleting token .*by hand"):
            world.function.invoke(event(world, "createSecret"))

    assert creates(world, since) == 1
    assert left.uuid in world.hub.tokens
    assert len(world.hub.tokens) == len(before.tokens) + 1

    world.hold_before = None
    world.aws.retry(world.secret_arn)
    world.aws.wait()
    assert ours(world) == {holder(world, "AWSCURRENT"): True, holder(world, "AWSPREVIOUS"): False}


def test_a_made_token_without_a_readable_uuid_is_found_by_its_label_and_goes_with_the_next_attempt(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    world = before_create(make_world())
    since = len(world.wire.requests)
    with monkeypatch.context() as for_now:
        make_it_unfit(for_now, uuid=7)
        with pytest.raises(FunctionError, match="Creating a token"):
            world.function.invoke(event(world, "createSecret"))
    assert creates(world, since) == 1

    world.hold_before = None
    world.aws.retry(world.secret_arn)
    world.aws.wait()

    assert world.aws.events[-1].name == "RotationSucceeded"
    assert ours(world) == {holder(world, "AWSCURRENT"): True, holder(world, "AWSPREVIOUS"): False}
