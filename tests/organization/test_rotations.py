"""A secret gets an organization's token: made like the one before, proven, promoted, and the one before retired."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from rehearsal.docker_hub import OrganizationToken, Resource
from rehearsal.invariants import Invariants
from rehearsal.wire import Fault, FaultKind
from rehearsal.world import ORGANIZATION, Scene, Shape, World
from tests.organization.seen import (
    APP,
    PULL_ALL,
    PUSH_ALL,
    REFUSED,
    ROTATED,
    error_of,
    of,
    rights,
    scene,
    set_tag,
    tokens,
    under,
)
from tests.rotation.seen import asked, finished, ours, warnings

MakeWorld = Callable[..., World]
Watched = Callable[..., tuple[World, Invariants]]

# Of a rotation in a fresh sandbox, until the token is made.
REQUESTS = (
    *("DescribeSecret", "GetSecretValue", "GetSecretValue", "GetParameters", "POST /v2/auth/token"),
    *("GET TOKENS", "GET TOKENS", "GET TOKENS/{uuid}", "POST TOKENS"),
)


@pytest.mark.parametrize("shape", Shape)
def test_a_secret_of_every_shape_rotates_from_a_placeholder_on(watched_world: Watched, shape: Shape) -> None:
    world, invariants = watched_world(scene(shape=shape, others=4, placeholder=True))

    assert [world.rotate() for _ in range(3)] == [ROTATED] * 3

    invariants.at_rest(world)
    invariants.repeat_steps(world)
    invariants.search_output(world)
    assert invariants.broken == []
    assert under(world).organization == ORGANIZATION
    assert world.hub.authenticates(world.current_token())
    assert sorted(ours(world).values()) == [False, True]


def test_the_accounts_personal_tokens_are_not_even_listed(make_world: MakeWorld) -> None:
    world = make_world(scene(others=4))

    assert world.rotate() == ROTATED
    world.care()

    assert not any("/v2/access-tokens" in name for name in asked(world))
    assert {name for name in asked(world) if name.startswith("GET /v2/")} == {f"GET {world.tokens_path}"}


@pytest.mark.parametrize("resources", [(APP,), (PUSH_ALL, APP)], ids=["one repository", "two entries"])
def test_a_new_token_may_do_what_the_one_may_that_it_supersedes(
    watched_world: Watched, resources: tuple[Resource, ...]
) -> None:
    """Somebody has narrowed it, or widened it, by hand, after it was made."""
    world, invariants = watched_world(scene(placeholder=True))
    world.rotate()
    under(world).resources = resources
    invariants.begin(world)

    assert [world.rotate(), world.rotate()] == [ROTATED] * 2

    assert rights(under(world)) == of(resources)
    assert len({token.value for token in tokens(world)}) == 3 - 1  # the first is deleted by now


ONE = '[{"type": "TYPE_REPO", "path": "acme-inc/app", "scopes": ["scope-image-pull"]}]'


@pytest.mark.parametrize(
    ("environment", "may"), [({}, PULL_ALL), ({"DOCKERHUB_ORGANIZATION_RESOURCES": ONE}, APP)], ids=["default", "set"]
)
def test_a_first_token_may_pull_from_all_of_the_organizations_repositories_unless_it_is_set_otherwise(
    make_world: MakeWorld, environment: dict[str, str], may: Resource
) -> None:
    world = make_world(scene(placeholder=True, environment=environment))

    assert world.rotate() == ROTATED

    assert rights(under(world)) == of([may])


def test_a_deleted_token_is_replaced_by_one_that_may_not_do_more(make_world: MakeWorld) -> None:
    """The one before it still tells what it may have done."""
    world = make_world(scene(placeholder=True))
    world.rotate()
    under(world).resources = (APP,)
    world.rotate()
    del world.hub.tokens[under(world).uuid]

    assert world.rotate() == ROTATED

    assert rights(under(world)) == of([APP])


def test_a_hand_made_first_token_that_its_login_names_is_copied_and_disabled(make_world: MakeWorld) -> None:
    world = make_world(scene())
    world.hub.jwt_names_organization_token = True
    first = under(world)
    first.resources = (APP,)

    assert world.rotate() == ROTATED

    assert rights(under(world)) == of([APP])
    assert (first.active, first.label.startswith("dockerhub-rotation/")) == (False, True)


def test_a_hand_made_first_token_that_its_login_does_not_name_is_left_said_and_counted(make_world: MakeWorld) -> None:
    world = make_world(scene())
    first = under(world)

    assert world.rotate() == ROTATED

    assert (first.active, first.label) == (True, "made by hand")
    assert finished(world)[1] == {"unidentified": 1}
    (said,) = warnings(world)
    assert 'curl -X PATCH -H "Authorization: Bearer $LOGIN"' in said
    assert f"{world.tokens_path}/ID`" in said


@pytest.mark.parametrize("names", [True, False])
def test_a_login_that_names_the_organization_is_held_against_it(make_world: MakeWorld, names: bool) -> None:
    world = make_world(scene(placeholder=True))
    world.hub.jwt_names_organization = names

    assert world.rotate() == ROTATED


def test_an_expiry_is_asked_for_and_compared(make_world: MakeWorld) -> None:
    world = make_world(scene(placeholder=True, environment={"DOCKERHUB_TOKEN_EXPIRY": "90"}))

    assert world.rotate() == ROTATED

    expires_at = under(world).expires_at
    assert expires_at is not None
    assert timedelta(days=89) < expires_at - world.hub.moment <= timedelta(days=90)


def test_the_probe_is_asked_to_be_pulled_under_the_organizations_name(make_world: MakeWorld) -> None:
    world = make_world(scene(placeholder=True))
    set_tag(world, "acme-inc/app", "probe-repository")
    assert world.rotate() == ROTATED
    under(world).resources = (Resource("TYPE_REPO", "*/*/public", ("scope-image-pull",)),)

    assert world.rotate() == REFUSED

    assert "The token is not granted pull on acme-inc/app." in error_of(world)


def test_with_a_grace_the_superseded_token_lives_until_its_deadline(watched_world: Watched) -> None:
    world, invariants = watched_world(scene(placeholder=True, grace="1h"))
    world.rotate()
    superseded = under(world)
    world.rotate()
    assert superseded.active
    assert finished(world)[1] == {"in_grace": 1}

    world.passed += 3700
    world.care()

    assert superseded not in [token for token in tokens(world) if token.active]
    assert invariants.broken == []


@pytest.mark.parametrize("kind", [FaultKind.LOST_AFTER, FaultKind.UNAVAILABLE_AFTER])
def test_what_an_earlier_try_has_made_and_not_stored_goes_once_another_is(
    watched_world: Watched, kind: FaultKind
) -> None:
    """The login with it would not tell that it is another one."""
    world, invariants = watched_world(scene(placeholder=True))
    world.rotate()
    world.function.discard()
    made_at = REQUESTS.index("POST TOKENS") + 1
    world.wire.faults.append(Fault(len(world.wire.requests) + made_at, kind))

    assert world.rotate() == ["RotationStarted", "RotationFailed", "RotationSucceeded"]

    invariants.at_rest(world)
    assert invariants.broken == []
    assert sorted(ours(world).values()) == [False, True]


def made_once_more(world: World) -> list[OrganizationToken]:
    """Return the tokens of AWSCURRENT's version."""
    version = world.state().holder("AWSCURRENT")
    return [token for token in tokens(world) if token.label.endswith(f"/{version}")]


@pytest.mark.parametrize("names", [True, False], ids=["the login tells", "the login does not tell"])
def test_an_orphan_of_the_same_version_goes_at_once_or_with_the_next_rotation(
    make_world: MakeWorld, names: bool
) -> None:
    """A crash between making a token and storing it leaves one. Only a login could tell which of the two is stored."""
    world = make_world(scene(placeholder=True))
    world.rotate()
    world.hub.jwt_names_organization_token = names
    world.hold_before = "testSecret"
    world.rotate()
    pending = under(world, "AWSPENDING")
    world.hub.add_organization_token(ORGANIZATION, pending.label)
    world.hold_before = None

    world.aws.retry(world.secret_arn)
    world.aws.wait()

    assert world.aws.events[-1].name == "RotationSucceeded"
    assert pending.active
    assert len(made_once_more(world)) == (1 if names else 2)
    if not names:
        assert finished(world)[1] == {"disabled": 1, "unidentified": 1}
    assert world.rotate() == ROTATED
    assert [token.value for token in tokens(world) if token.active] == [world.current_token()]


def test_beside_a_personal_tokens_rotation_it_asks_what_the_superseded_one_may_do(make_world: MakeWorld) -> None:
    sent = []
    for kind in (Scene(placeholder=True, others=0), scene(placeholder=True)):
        world = make_world(kind)
        world.rotate()
        since = len(world.wire.requests)
        world.rotate()
        sent.append([name.replace(world.tokens_path, "TOKENS") for name in asked(world, since)])
    personal, organization = sent

    made = organization.index("POST TOKENS")
    assert personal[:2] == ["GET TOKENS", "POST TOKENS"]
    assert organization[:made] == ["GET TOKENS", "GET TOKENS", "GET TOKENS/{uuid}"]
    assert organization[made:] == personal[1:]
