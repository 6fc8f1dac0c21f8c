"""createSecret makes tokens only in the account whose token it replaces, and knows it without a login where it can."""

import io
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import pytest

from rehearsal.docker_hub import DockerHub, Fault
from rehearsal.world import Scene, Shape, World
from tests.rotation.seen import asked, hand_made, holder, ours, token_under

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

BOTH_PARAMETERS = "DOCKER_HUB_USERNAME and DOCKER_HUB_PASSWORD"
LOGIN, LIST, CREATE = "POST /v2/auth/token", "GET /v2/access-tokens", "POST /v2/access-tokens"
ONE = "GET /v2/access-tokens/{uuid}"


def another_account() -> DockerHub:
    other = DockerHub(username="globex", password="the-password-of-globex")
    other.add_token("their laptop")
    return other


def share_docker_hub(world: World, other: DockerHub, *, for_what: Callable[[bytes], bool]) -> None:
    """Let another account answer at Docker Hub, too: whatever has a body for which it is."""
    ours: WSGIApplication = world.hub.app.wsgi_app

    def either(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        account = other.app.wsgi_app if for_what(body) else ours
        return account(environ | {"wsgi.input": io.BytesIO(body)}, start_response)

    world.hub.app.wsgi_app = either  # type: ignore[method-assign]  # where Flask wants middleware


def store_parameters_of(world: World, other: DockerHub) -> None:
    """Do as a project that uses the same names: what is managed now is its account. Our tokens still log in as ours."""
    world.aws.put_parameter("DOCKER_HUB_USERNAME", other.username)
    world.aws.put_parameter("DOCKER_HUB_PASSWORD", other.password)
    share_docker_hub(
        world, other, for_what=lambda body: not any(t.value.encode() in body for t in world.hub.tokens.values())
    )
    world.function.discard()


def refused_in_create_secret(world: World) -> str:
    """Rotate, hold the world to having stayed as it was but for the empty pending version, and return the error."""
    before, ran, current = world.state(), len(world.steps), world.aws.value(world.secret_arn)

    assert world.rotate() == ["RotationStarted"] + ["RotationFailed"] * 5

    assert {run.step for run in world.steps[ran:]} == {"createSecret"}
    assert world.state().tokens == before.tokens
    assert world.state().holder("AWSCURRENT") == before.holder("AWSCURRENT")
    assert world.aws.value(world.secret_arn) == current
    assert world.aws.value(world.secret_arn, "AWSPENDING") is None
    (error,) = {run.error for run in world.steps[ran:]}
    return str(error)


def rotates(world: World) -> None:
    """Rotate, and hold the world to having a new current token that works."""
    former = world.current_token()
    assert world.rotate() == ["RotationStarted", "RotationSucceeded"]
    assert world.current_token() != former
    assert world.hub.authenticates(world.current_token())


# The parameters are another account's


@pytest.mark.parametrize("rotations", [0, 1, 2], ids=["never rotated", "rotated once", "rotated twice"])
def test_parameters_of_another_account_stop_it_before_anything_is_made_and_are_named(
    make_world: Callable[..., World], rotations: int
) -> None:
    """Consumers would get what that account may pull, and the old token would live on for ever."""
    world, other = make_world(), another_account()
    for _ in range(rotations):
        world.rotate()
    store_parameters_of(world, other)
    theirs = dict(other.tokens)

    error = refused_in_create_secret(world)

    assert error.startswith("SecretUnusable: The secret's current token is not one of the account")
    assert BOTH_PARAMETERS in error
    assert other.tokens == theirs
    assert [request for request in other.requests if request.method not in ("GET", "POST")] == []
    assert world.hub.authenticates(world.current_token())


@pytest.mark.parametrize("deleted", [False, True], ids=["disabled", "deleted"])
def test_parameters_of_another_account_stop_it_also_where_the_current_token_is_dead(
    make_world: Callable[..., World], deleted: bool
) -> None:
    """A dead token tells no account. That a rotation has made it, and nothing of that is listed, does."""
    world, other = make_world(), another_account()
    world.rotate()
    token_under(world).active = False
    if deleted:
        world.hub.tokens.pop(token_under(world).uuid)
    store_parameters_of(world, other)
    made = len(other.tokens)

    assert BOTH_PARAMETERS in refused_in_create_secret(world)

    assert len(other.tokens) == made


def test_parameters_of_another_account_are_noticed_by_the_user_name_in_the_secret_before_anything_is_asked(
    make_world: Callable[..., World],
) -> None:
    world, other = make_world(Scene(shape=Shape.ECS)), another_account()
    store_parameters_of(world, other)

    assert "The secret's username is not that of the account" in refused_in_create_secret(world)

    assert other.requests == []
    assert world.hub.requests == []


def test_a_secret_that_is_to_move_to_another_account_does_so_by_a_placeholder_as_the_message_says(
    make_world: Callable[..., World],
) -> None:
    world, other = make_world(), another_account()
    world.rotate()
    old = token_under(world)
    store_parameters_of(world, other)
    assert "store a placeholder as its value. Run `aws secretsmanager put-secret-value " in refused_in_create_secret(
        world
    )

    world.client.put_secret_value(SecretId=world.secret_arn, SecretString="placeholder")

    assert world.rotate() == ["RotationStarted", "RotationSucceeded"]
    assert other.authenticates(world.current_token())
    assert old.active  # it is not this account's to disable


# The token is another account's


@pytest.mark.parametrize("rotations", [0, 1], ids=["the first", "one put there later"])
def test_a_token_of_another_account_that_somebody_has_stored_stops_it(
    make_world: Callable[..., World], rotations: int
) -> None:
    world, other = make_world(), another_account()
    token = other.add_token("of a colleague's account")
    share_docker_hub(world, other, for_what=lambda body: token.value.encode() in body)
    for _ in range(rotations):
        world.rotate()
    world.client.put_secret_value(SecretId=world.secret_arn, SecretString=token.value)

    assert BOTH_PARAMETERS in refused_in_create_secret(world)

    assert world.current_token() == token.value
    assert other.authenticates(token.value)


# The account is right


@pytest.mark.parametrize("rotations", [0, 1], ids=["hand-made", "made by a rotation"])
@pytest.mark.parametrize("deleted", [False, True], ids=["disabled", "deleted"])
def test_a_dead_token_of_the_right_account_does_not_stop_it_for_rotating_is_the_cure(
    make_world: Callable[..., World], rotations: int, deleted: bool
) -> None:
    world = make_world()
    for _ in range(rotations):
        world.rotate()
    current = token_under(world)
    if deleted:
        world.hub.tokens.pop(current.uuid)
    current.active = False

    rotates(world)

    assert ours(world)[holder(world, "AWSCURRENT")]


def test_with_all_tokens_of_the_secret_deleted_by_hand_a_placeholder_gets_it_going_as_the_message_says(
    make_world: Callable[..., World],
) -> None:
    """It then can't be told from the secret of another account."""
    world = make_world()
    world.rotate()
    for token in [token for token in world.hub.tokens.values() if token.label.startswith("dockerhub-rotation/")]:
        del world.hub.tokens[token.uuid]
    assert "store a placeholder as its value. Run `aws secretsmanager put-secret-value " in refused_in_create_secret(
        world
    )

    world.client.put_secret_value(SecretId=world.secret_arn, SecretString="placeholder")

    rotates(world)


@pytest.mark.parametrize("rotations", [0, 1], ids=["never rotated", "rotated"])
def test_an_account_that_was_renamed_goes_on_where_the_value_holds_no_user_name(
    make_world: Callable[..., World], rotations: int
) -> None:
    world = make_world()
    for _ in range(rotations):
        world.rotate()
    world.hub.username = "acme-limited"
    world.aws.put_parameter("DOCKER_HUB_USERNAME", "acme-limited")
    world.function.discard()

    rotates(world)


def test_an_account_that_was_renamed_is_refused_where_the_value_holds_the_old_name(
    make_world: Callable[..., World],
) -> None:
    """The new token under the old name would log nobody in at the registry."""
    world = make_world(Scene(shape=Shape.ECS))
    world.rotate()
    world.hub.username = "acme-limited"
    world.aws.put_parameter("DOCKER_HUB_USERNAME", "acme-limited")
    world.function.discard()

    error = refused_in_create_secret(world)

    assert "username is not that of the account" in error
    assert "Correct the secret or parameter DOCKER_HUB_USERNAME" in error


# What it costs


def in_create_secret(world: World) -> list[str]:
    """Return what the latest createSecret asked of Docker Hub."""
    run = next(run for run in reversed(world.steps) if run.step == "createSecret")
    return [request.name for request in run.requests if request.party == "Docker Hub"]


def test_the_first_rotation_logs_in_once_with_the_token_and_later_ones_know_the_account_by_its_list(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.rotate()
    assert in_create_secret(world) == [LOGIN, LOGIN, CREATE]  # the second of them with the password

    world.rotate()
    assert in_create_secret(world) == [LIST, CREATE]

    world.function.discard()
    world.rotate()
    assert in_create_secret(world) == [LOGIN, LIST, CREATE]


def test_the_account_is_known_by_the_token_where_no_rotation_has_ended_well_yet(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.hub.faults += [Fault("PATCH", "/v2/access-tokens/*", 400, {"message": "no", "errinfo": {}})] * 5
    assert world.rotate() == ["RotationStarted"] + ["RotationFailed"] * 5

    world.rotate()

    assert in_create_secret(world) == [ONE, CREATE]  # the sandbox has met it before, so no login is spent on it

    world.function.discard()
    world.rotate()
    assert in_create_secret(world) == [LOGIN, LIST, CREATE]


def test_a_placeholder_is_logged_in_with_by_nobody(make_world: Callable[..., World]) -> None:
    world = make_world(Scene(placeholder=True))
    rotated = world.rotate()

    assert rotated == ["RotationStarted", "RotationSucceeded"]
    assert in_create_secret(world) == [LOGIN, CREATE]
    assert 401 not in {request.status for request in world.hub.requests}


def test_a_dead_token_costs_one_refused_login_and_no_more_once_a_new_one_is_staged(
    make_world: Callable[..., World],
) -> None:
    """Refused logins add up to a lockout of the user name, for every consumer too."""
    world = make_world()
    hand_made(world).active = False
    world.hold_before = "testSecret"
    world.rotate()
    asked_before = len(world.wire.requests)
    assert [r.status for r in world.hub.requests if r.path == "/v2/auth/token"].count(401) == 1

    world.function.invoke(
        {"Step": "createSecret", "SecretId": world.secret_arn, "ClientRequestToken": holder(world, "AWSPENDING")}
    )

    assert asked(world, asked_before) == []
