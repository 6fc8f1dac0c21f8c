"""Between rotations: one login for all kinds of tokens, a list for each owner, and nothing touched in doubt."""

from collections.abc import Callable

import pytest

from rehearsal.docker_hub import Role
from rehearsal.sandbox import FunctionError
from rehearsal.wire import Request
from rehearsal.world import ORGANIZATION, Shape, World
from tests.organization.seen import APP, ROTATED, of, remove_tag, rights, scene, set_tag, tokens, under
from tests.rotation.cared import DAY, HOUR, counts, facts, findings, messages, names, of_version, rotated_secret
from tests.rotation.seen import holder

MakeWorld = Callable[..., World]
PERSONAL_LIST, LOGIN = "GET /v2/access-tokens", "POST /v2/auth/token"
LIST = f"GET /v2/orgs/{ORGANIZATION}/access-tokens"


def test_secrets_of_both_kinds_cost_one_login_and_a_list_each(make_world: MakeWorld) -> None:
    world = make_world(scene(placeholder=True))
    world.rotate()
    personal = rotated_secret(world, "personal")
    since = len(world.wire.requests)

    answer = world.care()

    sent = names(world, since)
    assert [sent.count(name) for name in (LOGIN, LIST, PERSONAL_LIST, "DescribeSecret")] == [1, 1, 1, 2]
    assert counts(answer) == (2, 0, 0)
    assert findings(answer, world.secret_arn) == findings(answer, personal) == []


def test_the_accounts_own_list_is_not_read_where_no_secret_needs_it(make_world: MakeWorld) -> None:
    world = make_world(scene(placeholder=True))
    world.rotate()
    since = len(world.wire.requests)

    world.care()
    world.care(SecretId=world.secret_arn)

    assert names(world, since).count(LIST) == 2
    assert PERSONAL_LIST not in names(world, since)


def test_what_is_due_is_taken_away_and_orphans_are_deleted(make_world: MakeWorld) -> None:
    world = make_world(scene(placeholder=True, others=4, grace="1h"))
    world.rotate()
    superseded = under(world)
    world.rotate()
    label = under(world).label
    orphan = world.add_token(f"{label.rpartition('/')[0]}/0b1f2c9e-5d6f-4c1b-9b57-2f6f0c7a1d11")
    others = {token.uuid: token.active for token in world.hub.tokens.values() if "-rotation/" not in token.label}
    world.passed += 2 * HOUR

    answer = world.care()

    assert (superseded.active, orphan.uuid in world.hub.tokens, under(world).active) == (False, False, True)
    assert (facts(answer)["disabled"], facts(answer)["orphans"]) == (1, 1)
    assert all(world.hub.tokens[uuid].active == active for uuid, active in others.items())


def test_a_hand_made_token_that_its_login_does_not_name_works_as_far_as_can_be_told(make_world: MakeWorld) -> None:
    world = make_world(scene())
    world.aws.attach(world.secret_arn, "arn:aws:lambda:eu-central-1:123456789012:function:dockerhub-rotation")

    assert facts(world.care())["current_token"] == "works"


@pytest.mark.parametrize("wrong", ["another", ""])
def test_a_tag_that_does_not_tell_is_said_and_nothing_is_touched(make_world: MakeWorld, wrong: str) -> None:
    """The account's own list has none of the secret's tokens, and by it the current one would be dead."""
    environment = {"DOCKERHUB_HEAL": "rotate"}
    world = make_world(scene(placeholder=True, grace="1h", environment=environment))
    world.rotate()
    world.rotate()
    set_tag(world, wrong)
    world.passed += 2 * DAY
    before, since = world.state(), len(world.wire.requests)

    answer = world.care()

    assert world.state() == before
    assert findings(answer) == ["TagsInvalid"]
    assert counts(answer) == (0, 1, 1)
    assert "none is touched" in messages(answer)
    assert names(world, since) == ["ListSecrets", "DescribeSecret"]


def test_it_is_told_of_a_tag_that_was_mended_since_the_list_of_secrets(make_world: MakeWorld) -> None:
    """That may lag behind; and it counts what the secret itself says."""
    changed: list[Callable[[World], None]] = []

    def meanwhile(request: Request) -> None:
        if request.name == "ListSecrets" and changed:
            changed.pop()(world)

    world = make_world(scene(placeholder=True), on_request=meanwhile)
    world.rotate()
    for before in (lambda it: set_tag(it, "another"), remove_tag):
        before(world)
        changed.append(lambda it: set_tag(it, ORGANIZATION))

        answer = world.care()

        assert (findings(answer), facts(answer)["current_token"]) == ([], "works")


def test_a_list_that_is_refused_keeps_no_other_owners_secret_from_being_seen(make_world: MakeWorld) -> None:
    world = make_world(scene(placeholder=True))
    world.rotate()
    personal = rotated_secret(world, "personal")
    world.hub.organizations[ORGANIZATION].members = {"the-owner": Role.OWNER, world.hub.username: Role.MEMBER}

    answer = world.care()

    assert (findings(answer, world.secret_arn), findings(answer, personal)) == (["DockerHubRefused"], [])
    assert counts(answer) == (1, 1, 1)
    assert "with the role to manage its access tokens" in messages(answer)


def test_a_refused_list_is_the_failure_where_there_is_no_other(make_world: MakeWorld) -> None:
    world = make_world(scene(placeholder=True))
    world.rotate()
    world.hub.organizations[ORGANIZATION].members = {}

    with pytest.raises(FunctionError, match="with the role to manage its access tokens"):
        world.care()


@pytest.mark.parametrize("task", ["Retire", "Rollback"])
def test_no_task_goes_on_with_a_tag_that_does_not_tell(make_world: MakeWorld, task: str) -> None:
    world = make_world(scene(placeholder=True, grace="1h"))
    world.rotate()
    world.rotate()
    set_tag(world, "another")
    before = world.state()
    version = {"VersionId": before.holder("AWSPREVIOUS")} if task == "Rollback" else {}

    with pytest.raises(FunctionError, match="TagsInvalid.*none is touched"):
        world.care(task, SecretId=world.secret_arn, **version)

    assert world.state() == before


def test_retire_disables_what_is_in_grace_whatever_other_tags_say(make_world: MakeWorld) -> None:
    world = make_world(scene(placeholder=True, grace="1h"))
    world.rotate()
    superseded = under(world)
    world.rotate()
    set_tag(world, "typo", "grace")

    answer = world.care("Retire", SecretId=world.secret_arn)

    assert (answer["Disabled"], superseded.active) == (1, False)
    assert world.hub.authenticates(world.current_token())


def test_a_rollback_goes_back_to_the_token_before(make_world: MakeWorld) -> None:
    world = make_world(scene(placeholder=True))
    world.rotate()
    back = under(world)
    world.rotate()
    replaced = under(world)

    answer = world.care("Rollback", SecretId=world.secret_arn, VersionId=world.state().holder("AWSPREVIOUS"))

    assert answer["Moved"]
    assert (under(world), back.active, replaced.active) == (back, True, False)
    assert world.hub.authenticates(world.current_token())


def test_a_rollback_to_a_value_of_another_name_prints_what_sets_the_organization(make_world: MakeWorld) -> None:
    world = make_world(scene(placeholder=True, shape=Shape.ECS))
    world.rotate()
    former = holder(world, "AWSCURRENT")
    world.client.put_secret_value(
        SecretId=world.secret_arn, SecretString=Shape.ECS.compose("somebody-else", world.current_token())
    )
    other = holder(world, "AWSCURRENT")
    world.client.update_secret_version_stage(
        SecretId=world.secret_arn, VersionStage="AWSCURRENT", MoveToVersionId=former, RemoveFromVersionId=other
    )

    with pytest.raises(
        FunctionError, match="tag-resource .*Key=dockerhub-rotation:organization.* make rollback "
    ) as it:
        world.care("Rollback", SecretId=world.secret_arn, VersionId=other)

    assert "make credentials" not in str(it.value)


def test_a_dead_token_is_healed_by_one_that_may_do_the_same(make_world: MakeWorld) -> None:
    world = make_world(scene(placeholder=True, environment={"DOCKERHUB_HEAL": "rotate"}))
    world.rotate()
    under(world).resources = (APP,)
    world.rotate()
    world.passed += 2 * DAY
    under(world).active = False

    answer = world.care()
    world.aws.wait()

    assert "HealStarted" in findings(answer)
    assert world.hub.authenticates(world.current_token())
    assert rights(under(world)) == of([APP])


def test_where_superseded_tokens_are_deleted_that_is_two_days_after_they_were_disabled(make_world: MakeWorld) -> None:
    """Then they do not count any more, and the way back is gone."""
    world = make_world(scene(placeholder=True, grace="1h", environment={"DOCKERHUB_SUPERSEDED": "delete"}))
    world.rotate()
    superseded, version = under(world), world.state().holder("AWSCURRENT") or ""
    world.rotate()
    assert of_version(world, version) is superseded
    world.passed += HOUR + 60
    world.care()
    world.passed += 2 * DAY - 60
    world.care()
    assert (superseded.active, len(tokens(world))) == (False, 2)

    world.passed += 120
    answer = world.care()

    assert facts(answer)["deleted"] == 1
    assert [token.value for token in tokens(world)] == [world.current_token()]
    assert findings(world.care()) == []
    with pytest.raises(FunctionError, match="RollbackFailed.*it was deleted"):
        world.care("Rollback", SecretId=world.secret_arn, VersionId=version)
    assert world.rotate() == ROTATED
