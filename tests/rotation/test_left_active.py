"""What a rotation leaves active, or can't find, is said and counted; and its outcome does not claim the opposite."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dockerhub_rotation.token_labels import label_for
from rehearsal.docker_hub import Fault, Token, personal_tokens
from rehearsal.sandbox import FunctionError
from rehearsal.world import FUNCTION_ARN, PLACEHOLDER, Scene, World
from tests.rotation.seen import event, finished, hand_made, holder, lines, ours, token_under, warnings

ALL_RETIRED = "The new token is AWSCURRENT, and what it supersedes is retired."
NOT_ALL = "The new token is AWSCURRENT, but a token that no consumer needs may still be active."
UNSTAGED = "99999999-2222-4333-8444-555555555555"


def rotate(world: World, secret: str) -> str:
    """Rotate one of several secrets, and return the event with which that ended."""
    world.client.rotate_secret(SecretId=secret, RotationLambdaARN=FUNCTION_ARN)
    world.aws.wait()
    return world.aws.events[-1].name


def test_where_everything_is_retired_the_outcome_says_so_and_nothing_is_warned_of(
    make_world: Callable[..., World],
) -> None:
    world = make_world()

    world.rotate()

    assert finished(world) == (ALL_RETIRED, {"disabled": 1})
    assert warnings(world) == []


# A token that another secret's label names


def replica_of(world: World) -> tuple[str, Token]:
    """Return a secret that began as a replica, and the token of its origin that it holds."""
    world.rotate()
    origin = token_under(world)
    return world.aws.create_secret("promoted-replica", origin.value), origin


def test_a_superseded_token_that_is_another_secrets_stays_as_it_is_through_several_rotations_and_is_said_once(
    make_world: Callable[..., World],
) -> None:
    """Once a replica is promoted, its origin still needs the token with which both began."""
    world = make_world()
    replica, origin = replica_of(world)
    label = origin.label

    assert rotate(world, replica) == "RotationSucceeded"

    assert finished(world) == (NOT_ALL, {"left": 1})
    said = f"Token {origin.uuid} of version "
    assert [w for w in warnings(world) if w.startswith(said) and "made for another secret" in w] == warnings(world)
    for _ in range(2):
        assert rotate(world, replica) == "RotationSucceeded"
        assert finished(world)[0] == ALL_RETIRED
    assert len(warnings(world)) == 1
    assert (origin.active, origin.label) == (True, label)
    assert world.current_token() == origin.value

    assert rotate(world, world.secret_arn) == "RotationSucceeded"  # it is the origin's to retire, and is retired
    assert not origin.active


def test_a_superseded_token_that_is_another_secrets_is_counted_also_in_the_report_of_a_retirement_that_failed(
    make_world: Callable[..., World],
) -> None:
    """And an attempt that makes up for that leaves it alone, too."""
    world = make_world()
    replica, origin = replica_of(world)
    world.hub.add_token(label_for(replica, UNSTAGED)).created_at -= timedelta(days=1)
    world.hub.faults += [Fault("DELETE", "/v2/access-tokens/*", 400, {"message": "no", "errinfo": {}})] * 5

    assert rotate(world, replica) == "RotationFailed"

    message, counts = finished(world)
    assert message.startswith("Promoted: AWSCURRENT is the new token, but an old token may still be active.")
    assert counts == {"left": 1}
    assert rotate(world, replica) == "RotationSucceeded"
    assert world.hub.authenticates(origin.value)


# An age that can't be read


@pytest.mark.parametrize("created_at", [None, "2020-01-01T00:00:00", 1577836800, "0001-01-01T00:00:00Z", "yesterday"])
def test_an_orphan_of_unreadable_age_is_left_and_said_and_goes_once_it_can_be_read(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, created_at: object
) -> None:
    world = make_world()
    orphan = world.hub.add_token(label_for(world.secret_arn, UNSTAGED))
    body = personal_tokens.token_body

    def without_age(token: Token, *value: str) -> dict[str, object]:
        return body(token, *value) | ({"created_at": created_at} if token is orphan else {})

    with monkeypatch.context() as for_now:
        for_now.setattr(personal_tokens, "token_body", without_age)
        assert world.rotate() == ["RotationStarted", "RotationSucceeded"]

    assert finished(world) == (NOT_ALL, {"disabled": 1, "left": 1})
    assert warnings(world) == [f"Token {orphan.uuid} of version {UNSTAGED} is left active: its age can't be read"]
    assert world.hub.authenticates(orphan.value)

    world.rotate()
    assert orphan.uuid not in world.hub.tokens
    assert finished(world)[0] == ALL_RETIRED


def test_with_no_age_readable_at_all_the_superseded_token_is_disabled_and_nothing_is_deleted(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = personal_tokens.token_body
    monkeypatch.setattr(personal_tokens, "token_body", lambda *token: body(*token) | {"created_at": None})
    world = make_world()
    tokens = set(world.hub.tokens)

    for _ in range(3):
        assert world.rotate() == ["RotationStarted", "RotationSucceeded"]

    assert tokens < set(world.hub.tokens)
    assert sorted(ours(world).values()) == [False, False, False, True]
    assert world.hub.authenticates(world.current_token())
    assert finished(world) == (ALL_RETIRED, {"disabled": 1})  # what is left is disabled


# Values that somebody has stored


def test_a_placeholder_stored_by_hand_over_a_token_of_ours_is_said_and_the_token_does_not_live_on(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.rotate()
    covered = token_under(world)
    world.client.put_secret_value(SecretId=world.secret_arn, SecretString=PLACEHOLDER)
    placeholder = holder(world, "AWSCURRENT")
    assert covered.active

    assert world.rotate() == ["RotationStarted", "RotationSucceeded"]

    message, counts = finished(world)
    assert (message, counts["unidentified"]) == (NOT_ALL, 1)
    (warning,) = warnings(world)
    assert warning.startswith(f"The value under AWSPREVIOUS (version {placeholder}) is no token")
    assert "disable that by hand in the account settings" in warning
    assert not world.hub.authenticates(covered.value)
    assert PLACEHOLDER not in world.function.log()


def test_a_placeholder_stored_by_hand_over_a_hand_made_token_is_said_for_that_token_is_not_touched(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.rotate()
    covered = world.hub.add_token("put there by hand")
    for value in (covered.value, PLACEHOLDER):
        world.client.put_secret_value(SecretId=world.secret_arn, SecretString=value)

    assert world.rotate() == ["RotationStarted", "RotationSucceeded"]

    message, counts = finished(world)
    assert (message, counts["unidentified"]) == (NOT_ALL, 2)  # what was replaced by hand, and what it was replaced by
    assert (covered.active, covered.label) == (True, "put there by hand")


def test_the_placeholder_with_which_a_secret_began_is_nothing_to_be_said(make_world: Callable[..., World]) -> None:
    world = make_world()
    begun = world.aws.create_secret("begun-with-a-placeholder", PLACEHOLDER)

    assert rotate(world, begun) == "RotationSucceeded"

    assert finished(world) == (ALL_RETIRED, {})
    assert warnings(world) == []


def test_a_hand_made_token_that_was_replaced_by_hand_is_said_and_counted_and_left_alone(
    make_world: Callable[..., World],
) -> None:
    """As the README advises for secrets that share a token: give each its own before rotation is switched on."""
    world = make_world()
    shared, replaced = hand_made(world), holder(world, "AWSCURRENT")
    own = world.hub.add_token("of this secret alone")
    world.client.put_secret_value(SecretId=world.secret_arn, SecretString=own.value)

    world.rotate()

    assert finished(world) == (NOT_ALL, {"disabled": 1, "unidentified": 1})
    (warning,) = warnings(world)
    assert warning.startswith(f"Version {replaced} was replaced by hand, and not by a rotation")
    assert "disable it by hand in the account settings" in warning
    assert (shared.active, shared.label, own.active) == (True, "made by hand", False)

    world.rotate()
    assert finished(world)[0] == ALL_RETIRED
    assert shared.active


@pytest.mark.parametrize("value", [PLACEHOLDER, "acme:hunter2"], ids=["a placeholder", "no value that is understood"])
def test_where_no_token_was_replaced_by_hand_there_is_nothing_to_be_said(
    make_world: Callable[..., World], value: str
) -> None:
    world = make_world(Scene(placeholder=True))
    for stored in (value, world.hub.add_token("of this secret").value):
        world.client.put_secret_value(SecretId=world.secret_arn, SecretString=stored)

    world.rotate()

    assert finished(world) == (ALL_RETIRED, {"disabled": 1})
    assert warnings(world) == []


def test_a_superseded_token_that_cannot_be_found_is_said_and_counted(make_world: Callable[..., World]) -> None:
    world = make_world()
    superseded = holder(world, "AWSCURRENT")
    del world.hub.tokens[hand_made(world).uuid]

    assert world.rotate() == ["RotationStarted", "RotationSucceeded"]

    assert finished(world) == (NOT_ALL, {"unidentified": 1})
    assert [w for w in warnings(world) if f"AWSPREVIOUS (version {superseded}) is not one that the" in w] != []


# A token that the list does not show


def rotated_by_another_function(world: World) -> tuple[Token, str]:
    """Let another function rotate the secret, and return the token that it has made, and its version."""
    token = world.hub.add_token("made by another function")
    world.client.put_secret_value(SecretId=world.secret_arn, SecretString=token.value)
    world.aws.mark_rotated(world.secret_arn)
    return token, holder(world, "AWSCURRENT")


def test_what_another_function_has_made_between_two_rotations_of_ours_is_said_and_counted_and_costs_no_login(
    make_world: Callable[..., World],
) -> None:
    """Nothing tells it from a token of ours that was deleted by hand, and a login for each would lock the user name."""
    world = make_world()
    world.rotate()
    token, version = rotated_by_another_function(world)
    refused = world.hub.refused_logins

    assert world.rotate() == ["RotationStarted", "RotationSucceeded"]

    assert finished(world) == (NOT_ALL, {"deleted": 1, "orphans": 1, "gone": 1})
    (warning,) = warnings(world)
    assert warning.startswith(f"No token of version {version} is in the account's list; if a rotation of another func")
    assert warning.endswith("disable it by hand in the account settings")
    assert (token.active, token.label) == (True, "made by another function")
    assert world.hub.refused_logins == refused
    world.rotate()
    assert finished(world)[0] == ALL_RETIRED


def test_what_another_function_has_left_under_awsprevious_when_ours_is_attached_is_said_and_counted(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    (left, version), (current, _) = rotated_by_another_function(world), rotated_by_another_function(world)

    assert world.rotate() == ["RotationStarted", "RotationSucceeded"]

    assert finished(world) == (NOT_ALL, {"disabled": 1, "gone": 1})
    (warning,) = warnings(world)
    assert warning.startswith(f"No token of version {version} is in the account's list")
    assert (left.active, current.active) == (True, False)


def test_a_current_token_that_was_deleted_by_hand_is_said_and_counted_as_gone(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.rotate()
    world.rotate()
    version = holder(world, "AWSCURRENT")
    del world.hub.tokens[token_under(world).uuid]

    assert world.rotate() == ["RotationStarted", "RotationSucceeded"]

    assert finished(world) == (NOT_ALL, {"deleted": 1, "gone": 1})
    (warning,) = warnings(world)
    assert warning.startswith(f"No token of version {version} is in the account's list")


def test_a_disabled_token_that_was_deleted_by_hand_is_nothing_to_be_said(make_world: Callable[..., World]) -> None:
    """It was retired, and the rotation that did so has said it."""
    world = make_world()
    world.rotate()
    world.rotate()
    del world.hub.tokens[token_under(world, "AWSPREVIOUS").uuid]

    assert world.rotate() == ["RotationStarted", "RotationSucceeded"]

    assert finished(world) == (ALL_RETIRED, {"disabled": 1})
    assert warnings(world) == []


# A label that is not taken


@pytest.mark.parametrize(("says", "warned"), [("made by hand", True), (None, False), (7, True)])
def test_a_token_that_is_said_to_have_kept_its_label_is_warned_of_for_no_rotation_finds_it_again(
    make_world: Callable[..., World], says: object, warned: bool
) -> None:
    world = make_world()
    first = hand_made(world)
    answer = {"is_active": False, "token_label": says}
    world.hub.faults.append(Fault("PATCH", "/v2/access-tokens/*", 200, answer, after_effect=True))

    assert world.rotate() == ["RotationStarted", "RotationSucceeded"]

    assert not first.active
    said = f"Token {first.uuid} is disabled, but did not take its label, so no rotation deletes it: do that by hand"
    assert warnings(world) == [said] * warned


# A retirement that fails


def test_every_retirement_that_fails_is_named_and_what_was_done_all_the_same_is_counted(
    make_world: Callable[..., World], clock: Any
) -> None:
    world = make_world()
    first = hand_made(world)
    world.rotate()
    superseded, orphan = token_under(world), world.hub.add_token(label_for(world.secret_arn, UNSTAGED))
    orphan.created_at = datetime.fromtimestamp(clock.now - 86400, UTC)
    no = (400, {"message": "no", "errinfo": {}})
    world.hub.faults += [
        Fault("PATCH", f"/v2/access-tokens/{superseded.uuid}", *no),
        Fault("DELETE", f"/v2/access-tokens/{first.uuid}", *no),
    ]

    assert world.rotate() == ["RotationStarted", "RotationFailed", "RotationSucceeded"]

    failed = next(run for run in world.steps if run.error)
    assert failed.error is not None
    for token in (superseded, first):
        assert f"{token.uuid}: Docker Hub answered 400" in failed.error
    assert orphan.uuid not in failed.after.tokens
    line = next(line for line in lines(world) if line.get("error") == "RetirementFailed")
    assert [line[count] for count in ("disabled", "deleted", "orphans", "unidentified", "left")] == [0, 0, 1, 0, 0]
    assert not superseded.active


def test_a_retirement_that_goes_on_and_cannot_list_the_tokens_says_that_an_old_one_may_be_active(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.rotate()
    world.hub.faults.append(Fault("GET", "/v2/access-tokens", 400, {"message": "no", "errinfo": {}}))

    with pytest.raises(
        FunctionError, match="RetirementFailed: Promoted: .* Listing the tokens: Docker Hub answered 400"
    ):
        world.function.invoke(event(world, "finishSecret", "AWSCURRENT"))

    assert finished(world)[1] == {}
