"""A world whose secret holds an organization's token, and what must hold there."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest

from dockerhub_rotation.token_labels import label_for
from rehearsal.docker_hub import OrganizationToken, Resource, Role
from rehearsal.invariants import NO_REMAINS, ONLY_OURS, RETIRE_LAST, SAME_RIGHTS, WORKS, Invariants
from rehearsal.wire import Request
from rehearsal.world import MADE_BY_HAND, ORGANIZATION, PLACEHOLDER, Scene, Shape, World
from tests.rehearsal.asked import auth_token, granted, manager, registry_token

REQUEST = Request(1, "Docker Hub", "PATCH /v2/orgs/acme-inc/access-tokens/{uuid}", 200, 0.0)
PUSH = Resource("TYPE_REPO", "acme-inc/*", ("scope-image-push",))


@pytest.fixture
def world() -> World:
    return World(Scene(organization=ORGANIZATION))


def watched(world: World) -> Invariants:
    invariants = Invariants()
    invariants.begin(world)
    return invariants


def current(world: World) -> OrganizationToken:
    value = world.current_token()
    token = next(token for token in world.hub.tokens.values() if token.value == value)
    assert isinstance(token, OrganizationToken)
    return token


def tags_of(world: World) -> object:
    return world.aws._secrets_manager.describe_secret(world.secret_arn).tags


def made_by_the_function(world: World, **how: Any) -> OrganizationToken:
    token = world.add_token("dockerhub-rotation/whatever", **how)
    assert isinstance(token, OrganizationToken)
    token.creator_ua = "dockerhub-rotation/1.0"
    return token


@pytest.mark.parametrize("shape", Shape)
def test_the_secret_holds_a_token_that_logs_in_under_the_organizations_name_and_may_pull(shape: Shape) -> None:
    world = World(Scene(shape=shape, organization=ORGANIZATION))

    token = world.current_token()

    assert world.hub.authenticates(token)
    assert auth_token(world.hub, world.login_name, token).status_code == 200
    wanted = "repository:acme-inc/app:pull,push"
    answer = registry_token(world.hub, wanted, auth=(world.login_name, token))
    assert granted(answer) == {world.scene.repository: ["pull"]}
    value = world.aws.value(world.secret_arn) or ""
    if shape in (Shape.ECS, Shape.ECR, Shape.MIXED):
        assert json.loads(value)["username"] == ORGANIZATION


def test_the_secret_is_tagged_and_the_function_is_told_of_the_organization(world: World) -> None:
    environment = world.function_environment("http://127.0.0.1:1", "http://127.0.0.1:2")

    assert tags_of(world) == [{"Key": "dockerhub-rotation:organization", "Value": ORGANIZATION}]
    assert environment["DOCKERHUB_ORGANIZATIONS"] == ORGANIZATION


def test_the_account_has_the_role_and_nothing_more_and_tokens_of_its_own(world: World) -> None:
    client = manager(world.hub)

    assert world.hub.organizations[ORGANIZATION].members[world.hub.username] is Role.TOKEN_MANAGER
    assert client.get(world.tokens_path).json()["total"] == 10
    assert client.get("/v2/access-tokens").json()["count"] == 3


def test_a_placeholder_stands_where_the_token_will() -> None:
    world = World(Scene(organization=ORGANIZATION, placeholder=True, others=0))

    assert world.current_token() == PLACEHOLDER
    assert not world.hub.tokens


def test_a_world_without_an_organization_knows_none() -> None:
    world = World(Scene())

    assert not world.hub.organizations
    assert not any(isinstance(token, OrganizationToken) for token in world.hub.tokens.values())
    assert "DOCKERHUB_ORGANIZATIONS" not in world.function_environment("", "")
    assert (world.login_name, world.tokens_path, world.scene.repository) == ("acme", "/v2/access-tokens", "acme/app")
    assert not tags_of(world)


@pytest.mark.parametrize("disguise", [str, lambda value: value.removeprefix("dckr_oat_")])
def test_the_value_of_an_organizations_token_is_found_where_it_leaks(
    world: World, disguise: Callable[[str], str]
) -> None:
    assert world.leaked(f"say {disguise(world.current_token())} here") == [world.current_token()]


def disable(world: World, token: OrganizationToken) -> None:
    token.active = False


def touch_a_strangers(world: World, token: OrganizationToken) -> None:
    next(it for it in world.hub.tokens.values() if it.label == "ci-runner-1").active = False


def touch_the_accounts_own(world: World, token: OrganizationToken) -> None:
    world.hub.tokens = {uuid: it for uuid, it in world.hub.tokens.items() if it.label != "laptop-2"}


def widen_it(world: World, token: OrganizationToken) -> None:
    token.resources = (*token.resources, PUSH)


def narrow_it(world: World, token: OrganizationToken) -> None:
    token.resources = ()


def make_a_wider_one(world: World, token: OrganizationToken) -> None:
    made_by_the_function(world, resources=[*token.resources, PUSH])


def make_a_narrower_one(world: World, token: OrganizationToken) -> None:
    made_by_the_function(world, resources=[])


def lock_the_organizations_name(world: World, token: OrganizationToken) -> None:
    for _ in range(world.hub.lockout_after):
        registry_token(world.hub, auth=(ORGANIZATION, "dckr_oat_no-such-token"))


@pytest.mark.parametrize(
    ("act", "broken"),
    [
        (disable, {WORKS, RETIRE_LAST}),
        (touch_a_strangers, {ONLY_OURS}),
        (touch_the_accounts_own, {ONLY_OURS}),
        (widen_it, {SAME_RIGHTS}),
        (narrow_it, {SAME_RIGHTS}),
        (make_a_wider_one, {SAME_RIGHTS}),
        (make_a_narrower_one, {SAME_RIGHTS}),
        (lock_the_organizations_name, {WORKS}),
    ],
)
def test_what_breaks_is_seen(world: World, act: Callable[[World, OrganizationToken], None], broken: set[str]) -> None:
    invariants = watched(world)

    act(world, current(world))
    invariants.look(world, REQUEST)

    assert {said.partition(": broken")[0] for said in invariants.broken} == broken


def test_a_token_that_may_do_the_same_and_one_that_a_person_makes_break_nothing(world: World) -> None:
    invariants = watched(world)

    made_by_the_function(world, resources=current(world).resources)
    world.add_token("by hand", resources=[PUSH])
    invariants.look(world, REQUEST)

    assert not invariants.broken
    assert invariants.checked[SAME_RIGHTS] == 12


def without_a_function(*_: object, **__: object) -> Any:
    return nullcontext()


@pytest.mark.parametrize("named", [False, True])
def test_the_first_token_may_be_left_where_no_login_tells_which_one_it_is(named: bool) -> None:
    with World(Scene(organization=ORGANIZATION), run_function=without_a_function) as world:
        world.hub.jwt_names_organization_token = named
        invariants = watched(world)
        first, new = current(world), made_by_the_function(world)
        answer = world.client.put_secret_value(SecretId=world.secret_arn, SecretString=new.value)
        new.label = label_for(world.secret_arn, answer["VersionId"])

        invariants.at_rest(world)

        assert first.active
        assert bool(invariants.broken) is named
        assert invariants.remains(world) == ([MADE_BY_HAND] if named else [])


@pytest.mark.parametrize("named", [False, True])
def test_a_second_token_for_one_version_is_seen_whether_or_not_a_login_tells_them_apart(named: bool) -> None:
    scene = Scene(organization=ORGANIZATION, placeholder=True)
    with World(scene, run_function=without_a_function) as world:
        world.hub.jwt_names_organization_token = named
        invariants = watched(world)
        for _ in range(2):
            superseded = [token for token in world.hub.tokens.values() if token.label.startswith("dockerhub-rotation/")]
            new = made_by_the_function(world)
            twin = made_by_the_function(world)
            answer = world.client.put_secret_value(SecretId=world.secret_arn, SecretString=new.value)
            new.label = twin.label = label_for(world.secret_arn, answer["VersionId"])
            for token in superseded:
                token.active = False

        assert len(invariants.remains(world)) == 2  # one of each version


def test_what_a_rotation_leaves_behind_is_seen(world: World) -> None:
    invariants = watched(world)
    invariants.at_rest(world)
    assert not invariants.broken

    made_by_the_function(world)
    invariants.at_rest(world)

    assert invariants.remains(world) == ["dockerhub-rotation/whatever"]
    assert invariants.broken == [f"{NO_REMAINS}: broken after the rotation"]
