"""No update takes a live value away: what a change set would do to a secret decides, not what was meant."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from operate import stacks
from operate.guard import losses

from .aws import Account
from .cloudformation import AwsError
from .conftest import PROJECT, Command, template

SECRET = f"{PROJECT}-secret"


@pytest.fixture
def edit(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Return what edits secret.yaml, as somebody does in a clone."""

    def edit(pattern: str, by: str) -> None:
        text, found = re.subn(pattern, by, template("secret"))
        assert found
        bodies = {"bucket": template("bucket"), "function": template("function"), "secret": text}
        monkeypatch.setattr(stacks, "_body", bodies.__getitem__)

    return edit


@pytest.mark.parametrize(
    ("pattern", "by", "loss"),
    [
        (r"replaced-by-the-first-rotation", "a-placeholder", "stored in place of the live token"),
        (
            r"Name: !Sub \"\$\{NamePrefix\}\$\{SecretName\}\"\n      Desc",
            "Name: another\n      Desc",
            "take its place (Name",
        ),
        (r"KmsKeyId: .*", "KmsKeyId: alias/of-others", "encrypted with another key"),
        (
            r"(?<=\n  )Secret(?=:\n    Type)|(?<=!Ref )Secret\b|(?<=\$\{)Secret(?=\})",
            "SecretOfOurs",
            "taken out of the stack",
        ),
    ],
)
def test_a_template_edited_by_mistake_takes_nothing_away(
    deployed: Account, run: Command, edit: Callable[[str, str], None], pattern: str, by: str, loss: str
) -> None:
    edit(pattern, by)
    stack, live = deployed.formation.stacks[SECRET], deployed.secrets["dockerhub-token"].value
    events = len(stack.events)

    done = run("deploy", "--only", "secret")

    assert (done.status, loss in done.err) == (1, True), done.err
    assert deployed.secrets["dockerhub-token"].value == live
    assert (stack.status, len(stack.events)) == ("CREATE_COMPLETE", events)
    assert deployed.formation.change_sets == {}


def test_the_secrets_own_key_is_neither_given_nor_taken_by_an_update(deployed: Account, run: Command) -> None:
    own = ("deploy", "--only", "secret", "--secret", "b", "--secret-parameters")
    assert run(*own, "OwnKey=true").status == 0

    for secret, own_key in (("b", "false"), ("dockerhub-token", "true")):
        done = run("deploy", "--only", "secret", "--secret", secret, "--secret-parameters", f"OwnKey={own_key}")
        assert (done.status, "encrypted with another key" in done.err) == (1, True), done.err
        assert deployed.secrets[secret].value == "dckr_pat_made-by-the-first-rotation"


def test_what_touches_the_key_or_the_tags_alone_is_carried_out(deployed: Account, run: Command) -> None:
    """AWS tells of the secret that its key's ARN may change, as soon as anything of the key does."""
    own = ("deploy", "--only", "secret", "--secret", "b", "--secret-parameters")
    assert run(*own, "OwnKey=true").status == 0

    assert run(*own, "KeyDeletionDays=7").status == 0
    assert run("deploy", "--only", "secret", "--secret", "b", "--tags", "team=a").status == 0

    assert deployed.formation.stacks[f"{SECRET}-b"].status == "UPDATE_COMPLETE"


def test_a_change_set_that_cannot_be_deleted_is_named_as_dangerous(
    deployed: Account, run: Command, edit: Callable[[str, str], None]
) -> None:
    edit("replaced-by-the-first-rotation", "a-placeholder")
    deployed.refuse["cloudformation:DeleteChangeSet"] = AwsError("AccessDenied", "Not you")

    done = run("deploy", "--only", "secret")

    assert "do not carry it out: AWS refused DeleteChangeSet" in done.err


def test_only_the_change_set_of_this_run_is_deleted(
    deployed: Account, run: Command, edit: Callable[[str, str], None]
) -> None:
    formation = deployed.formation
    body = template("secret")
    asked = {"StackName": SECRET, "ChangeSetName": "theirs", "ChangeSetType": "UPDATE", "TemplateBody": body}
    given = [{"ParameterKey": key, "UsePreviousValue": True} for key in formation.stacks[SECRET].parameters]
    theirs = formation.create_change_set(asked | {"Capabilities": ["CAPABILITY_NAMED_IAM"], "Parameters": given})
    edit("replaced-by-the-first-rotation", "a-placeholder")

    assert run("deploy", "--only", "secret").status == 1

    assert list(formation.change_sets) == [theirs["Id"]]


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        ({"Action": "Remove"}, "taken out"),
        ({"Action": "Dynamic"}, "taken out"),
        ({"Action": "Modify", "Replacement": "Conditional"}, "does not say why"),
        ({"Action": "Modify", "Details": [{"Target": {"Name": "GenerateSecretString"}}]}, "in place of the live token"),
        ({"Action": "Modify", "Details": [{"Target": {"Name": "KmsKeyId"}}]}, "another key"),
    ],
)
def test_what_aws_is_not_sure_of_counts_as_a_loss(change: dict[str, object], lost: str) -> None:
    secret = {"LogicalResourceId": "Secret", "ResourceType": "AWS::SecretsManager::Secret", **change}

    (said,) = losses([{"Type": "Resource", "ResourceChange": secret}])

    assert lost in said


def test_a_value_that_refers_to_a_resource_that_is_touched_would_be_stored_again() -> None:
    """The other resource stays what it is, but what the value takes from it may have changed."""
    target = {"Attribute": "Properties", "Name": "SecretString"}
    detail = {"Target": target, "ChangeSource": "ResourceAttribute", "CausingEntity": "Random.Value"}
    random = {"LogicalResourceId": "Random", "ResourceType": "Custom::Random", "Action": "Modify"}
    secret = {"LogicalResourceId": "Secret", "ResourceType": "AWS::SecretsManager::Secret", "Action": "Modify"}

    (said,) = losses([{"ResourceChange": random}, {"ResourceChange": secret | {"Details": [detail]}}])

    assert "stored in place of the live token" in said


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        ({"Action": "Remove", "PolicyAction": "Delete"}, True),
        ({"Action": "Remove"}, True),
        ({"Action": "Remove", "PolicyAction": "Retain"}, False),
        ({"Action": "Modify", "Replacement": "Conditional", "PolicyAction": "ReplaceAndDelete"}, True),
        ({"Action": "Modify", "Replacement": "True", "PolicyAction": "ReplaceAndRetain"}, False),
        ({"Action": "Modify", "Replacement": "False"}, False),
        ({"Action": "Add"}, False),
    ],
)
def test_no_key_is_deleted_by_an_update(change: dict[str, str], lost: bool) -> None:
    key = {"LogicalResourceId": "Key", "ResourceType": "AWS::KMS::Key", **change}

    said = losses([{"Type": "Resource", "ResourceChange": key}])

    assert ["Key: the key would be deleted" in it for it in said] == [True] * lost


@pytest.mark.parametrize("change", [{"Action": "Add"}, {"Action": "Import"}, {"Action": "Modify", "Details": []}])
def test_what_loses_nothing_is_let_pass(change: dict[str, object]) -> None:
    secret = {"LogicalResourceId": "Secret", "ResourceType": "AWS::SecretsManager::Secret", **change}

    assert losses([{"Type": "Hook"}, {"Type": "Resource", "ResourceChange": secret}]) == []
