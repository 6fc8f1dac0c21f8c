"""What is refused before anything is made, and says what to do; and what is made otherwise than asked for."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from rehearsal.docker_hub import Fault, Role
from rehearsal.world import ORGANIZATION, PLACEHOLDER, Scene, World
from tests.organization.seen import (
    REFUSED,
    ROTATED,
    error_of,
    remove_tag,
    scene,
    set_tag,
    tokens,
    under,
)
from tests.rotation.seen import asked

MakeWorld = Callable[..., World]
UUID = "0b1f2c9e-5d6f-4c1b-9b57-2f6f0c7a1d11"


def rotate_in_vain(world: World, since: int = 0) -> list[str]:
    """Have a rotation refused that changes nothing, and return what it has asked of Docker Hub."""
    before, since = world.state(), len(world.wire.requests)
    assert world.rotate() == REFUSED
    after = world.state()
    assert after.tokens == before.tokens
    assert after.holder("AWSCURRENT") == before.holder("AWSCURRENT")
    return asked(world, since)


def store(world: World, value: str) -> None:
    world.client.put_secret_value(SecretId=world.secret_arn, SecretString=value)


@pytest.mark.parametrize("name", ["acme", "acme-inc2", "", "ACME-INC"])
def test_an_organization_that_the_function_is_not_told_of(make_world: MakeWorld, name: str) -> None:
    """Whoever may tag must not choose who makes the tokens."""
    world = make_world(scene())
    set_tag(world, name)

    assert rotate_in_vain(world) == []

    assert "dockerhub-rotation:organization is none of DOCKERHUB_ORGANIZATIONS" in error_of(world)


def test_the_tag_where_the_function_is_told_of_none(make_world: MakeWorld) -> None:
    world = make_world(Scene(others=0))
    set_tag(world, ORGANIZATION)

    assert rotate_in_vain(world) == []


def test_scopes_are_of_personal_tokens(make_world: MakeWorld) -> None:
    world = make_world(scene())
    set_tag(world, "repo:read", "scopes")

    assert rotate_in_vain(world) == []

    assert "dockerhub-rotation:scopes is for personal tokens" in error_of(world)


@pytest.mark.parametrize("held", ["dckr_pat_x", UUID, json.dumps({"username": ORGANIZATION, "password": "dckr_pat_x"})])
def test_a_personal_token_in_an_organizations_secret(make_world: MakeWorld, held: str) -> None:
    world = make_world(scene())
    store(world, held)

    assert rotate_in_vain(world) == []

    assert "holds a personal access token" in error_of(world)
    assert "Store a placeholder" in error_of(world)


def test_an_organizations_token_in_a_secret_without_the_tag(make_world: MakeWorld) -> None:
    world = make_world(scene())
    remove_tag(world)

    assert rotate_in_vain(world) == []

    assert "holds an organization access token" in error_of(world)
    assert "let the secret's tag dockerhub-rotation:organization name it" in error_of(world)


def test_a_value_that_names_another_user_than_the_organization(make_world: MakeWorld) -> None:
    world = make_world(scene())
    store(world, json.dumps({"username": world.hub.username, "password": PLACEHOLDER}))

    assert rotate_in_vain(world) == []

    assert "Correct the secret or the secret's tag dockerhub-rotation:organization." in error_of(world)


@pytest.mark.parametrize("plain", [True, False])
def test_a_token_of_another_organization(make_world: MakeWorld, plain: bool) -> None:
    """Under another name than its own it is refused though it works, so a refusal says nothing of it."""
    world = make_world(scene())
    theirs = world.hub.add_organization_token("globex", "theirs").value
    store(world, theirs)
    if not plain:
        world.hub.jwt_names_organization = True

    assert "PATCH" not in " ".join(rotate_in_vain(world))

    assert "not one of the account whose tokens this function makes" in error_of(world)
    assert world.hub.authenticates(theirs)


@pytest.mark.parametrize("role", [Role.MEMBER, None])
def test_an_account_without_the_role_or_the_membership(make_world: MakeWorld, role: Role | None) -> None:
    world = make_world(scene(placeholder=True))
    others = {"the-owner": Role.OWNER}
    world.hub.organizations[ORGANIZATION].members = others | ({world.hub.username: role} if role else {})

    rotate_in_vain(world)

    assert f"has to be a member of organization {ORGANIZATION} with the role to manage its access tokens" in error_of(
        world
    )


def test_one_token_more_than_the_quota_is_not_asked_for(make_world: MakeWorld) -> None:
    """Disabled ones and those of others count."""
    world = make_world(scene(placeholder=True, environment={"DOCKERHUB_ORGANIZATION_QUOTA": "4"}))
    idle = [world.add_token(f"idle {number}", active=number > 0) for number in range(2)]
    assert [world.rotate() for _ in range(2)] == [ROTATED] * 2

    assert not any(name.startswith("POST") and "/orgs/" in name for name in rotate_in_vain(world))

    said = error_of(world)
    assert f"Organization {ORGANIZATION} has 4 access tokens, and DOCKERHUB_ORGANIZATION_QUOTA is 4" in said
    assert "2 of them are this function's" in said
    assert {uuid for uuid in world.hub.tokens if uuid in said} == {
        token.uuid for token in tokens(world) if not token.active
    }
    del world.hub.tokens[idle[1].uuid]
    world.aws.retry(world.secret_arn)
    world.aws.wait()
    assert world.aws.events[-1].name == "RotationSucceeded"


def test_an_orphan_of_the_secret_makes_room(make_world: MakeWorld) -> None:
    world = make_world(scene(placeholder=True, environment={"DOCKERHUB_ORGANIZATION_QUOTA": "3"}))
    world.rotate()
    world.rotate()
    label = under(world).label
    orphan = world.add_token(f"{label.rpartition('/')[0]}/{UUID}")
    world.passed += 3700

    assert world.rotate() == ROTATED

    assert orphan.uuid not in world.hub.tokens


def test_a_refusal_of_docker_hubs_own_says_what_it_may_be(make_world: MakeWorld) -> None:
    world = make_world(scene(placeholder=True))
    world.hub.organizations[ORGANIZATION].quota = 0

    rotate_in_vain(world)

    assert "may have reached its number of tokens (disabled and expired ones count)" in error_of(world)


def test_a_repository_that_there_is_not(make_world: MakeWorld) -> None:
    told = '[{"type": "TYPE_REPO", "path": "acme-inc/typo", "scopes": ["scope-image-pull"]}]'
    world = make_world(scene(placeholder=True, environment={"DOCKERHUB_ORGANIZATION_RESOURCES": told}))

    rotate_in_vain(world)

    assert "or have none of the repositories acme-inc/typo" in error_of(world)


OTHERWISE: dict[str, dict[str, Any]] = {
    "wider": {"resources": [{"type": "TYPE_REPO", "path": "acme-inc/*", "scopes": ["scope-image-push"]}]},
    "narrower": {"resources": []},
    "not said": {"resources": None},
    "unreadable": {"resources": [7]},
    "another kind": {"token": "dckr_pat_never-to-be-shown"},
}


@pytest.mark.parametrize("said", OTHERWISE.values(), ids=OTHERWISE)
def test_a_token_that_is_not_what_was_asked_for_is_deleted_again(make_world: MakeWorld, said: dict[str, Any]) -> None:
    world = make_world(scene(placeholder=True))
    create = world.hub._create_organization_token

    def otherwise(organization: str) -> Any:
        answer = create(organization)
        answer.set_data(json.dumps(json.loads(answer.get_data()) | said))
        return answer

    world.hub.app.view_functions["_create_organization_token"] = otherwise

    assert world.rotate() == REFUSED

    assert tokens(world) == []
    assert "It is deleted again." in error_of(world)
    assert "never-to-be-shown" not in world.function.log()


def test_the_order_of_what_it_may_do_does_not_matter(make_world: MakeWorld) -> None:
    both = [
        {"type": "TYPE_REPO", "path": "acme-inc/*", "scopes": ["scope-image-pull", "scope-repository-read"]},
        {"type": "TYPE_REPO", "path": "*/*/public", "scopes": ["scope-image-pull"]},
    ]
    environment = {"DOCKERHUB_ORGANIZATION_RESOURCES": json.dumps(both)}
    world = make_world(scene(placeholder=True, environment=environment))
    create = world.hub._create_organization_token

    def reversed_(organization: str) -> Any:
        answer = create(organization)
        body = json.loads(answer.get_data())
        body["resources"] = [it | {"scopes": it["scopes"][::-1]} for it in body["resources"][::-1]]
        answer.set_data(json.dumps(body))
        return answer

    world.hub.app.view_functions["_create_organization_token"] = reversed_

    assert [world.rotate(), world.rotate()] == [ROTATED] * 2


@pytest.mark.parametrize("wrong", ["another", None], ids=["another name", "no tag"])
@pytest.mark.parametrize("step", ["testSecret", "finishSecret"])
def test_no_step_goes_on_once_the_tag_does_not_tell(make_world: MakeWorld, step: str, wrong: str | None) -> None:
    """The function's own settings would mean the account's personal tokens."""
    world = make_world(scene(placeholder=True))
    world.rotate()
    world.hold_before = step
    world.rotate()
    world.hold_before = None
    before, since = world.state(), len(world.wire.requests)
    if wrong:
        set_tag(world, wrong)
    else:
        remove_tag(world)

    world.aws.retry(world.secret_arn)
    world.aws.wait()

    assert world.aws.events[-1].name == "RotationFailed"
    assert world.state() == before
    assert not any(name.startswith(("PATCH", "DELETE")) for name in asked(world, since))
    set_tag(world, ORGANIZATION)
    world.aws.retry(world.secret_arn)
    world.aws.wait()
    assert world.aws.events[-1].name == "RotationSucceeded"


def test_a_promotion_whose_tag_does_not_tell_says_that_the_old_token_may_be_active(make_world: MakeWorld) -> None:
    world = make_world(scene(placeholder=True))
    world.rotate()
    world.rotate()
    under(world, "AWSPREVIOUS").active = True
    set_tag(world, "another")
    before = world.state()

    with pytest.raises(Exception, match="Promoted: AWSCURRENT is the new token, but an old token may still be active"):
        world.function.invoke(
            {
                "Step": "finishSecret",
                "SecretId": world.secret_arn,
                "ClientRequestToken": world.state().holder("AWSCURRENT"),
            }
        )

    assert world.state() == before


@pytest.mark.parametrize("status", [404, 403])
def test_a_404_for_a_token_is_looked_up_for_it_may_speak_of_the_organization(
    make_world: MakeWorld, status: int
) -> None:
    world = make_world(scene(placeholder=True))
    world.rotate()
    superseded = under(world)
    body = {"message": "object not found", "errinfo": {}}
    world.hub.faults += [Fault("PATCH", f"{world.tokens_path}/{superseded.uuid}", status=status, body=body)] * 6

    assert "RotationSucceeded" not in world.rotate()

    assert superseded.active
    assert "Promoted: AWSCURRENT is the new token" in error_of(world)
