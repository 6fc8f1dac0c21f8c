"""No update takes a live value away: what a change set would do to a secret that is there, read before it is done.

CloudFormation stores a secret's value again whenever its text in the template changes, and the live token is gone then.
The templates are edited, and so is this: what AWS itself says of a change decides.
https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ResourceChange.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_SECRET = "AWS::SecretsManager::Secret"  # noqa: S105 - a type
_VALUE = ("SecretString", "GenerateSecretString")
_KEY = "KmsKeyId"
_NO_KEY = "the key would be deleted, and whatever is encrypted with it could be read by nobody"
# How AWS says that a property may change because another resource may.
_BY_ANOTHER = ("ResourceReference", "ResourceAttribute")


def losses(changes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what a change set would take away of the secrets that are there, a sentence each."""
    resources = [change["ResourceChange"] for change in changes if change.get("Type", "Resource") == "Resource"]
    moved = {it["LogicalResourceId"] for it in resources if _is_another(it)}
    secrets = [it for it in resources if it["ResourceType"] == _SECRET and it["Action"] not in ("Add", "Import")]
    lost = [f"{it['LogicalResourceId']}: {loss}" for it in secrets for loss in _losses(it, moved)]
    return lost + [f"{it['LogicalResourceId']}: {_NO_KEY}" for it in resources if _is_deleted_key(it)]


def _losses(secret: Mapping[str, Any], moved: set[str]) -> Iterator[str]:
    if secret["Action"] != "Modify":
        yield f"it would be taken out of the stack ({secret['Action']})"
        return
    if secret.get("Replacement", "False") != "False":
        yield f"another secret would take its place ({', '.join(_properties(secret)) or 'AWS does not say why'})"
        return
    changed = {it["Target"].get("Name") for it in secret.get("Details", ()) if _changes(it, moved)}
    if changed & set(_VALUE):
        yield "the text in the template would be stored in place of the live token"
    if _KEY in changed:
        yield "it would be encrypted with another key, which its consumers may not use"


def _changes(detail: Mapping[str, Any], moved: set[str]) -> bool:
    """Whether a property would change, as far as AWS can tell."""
    target = detail["Target"]
    if target.get("Name") in _VALUE:
        return True  # what must not be seen is told as the same before and after
    if detail.get("ChangeSource") in _BY_ANOTHER:
        # It is told as soon as that other resource is touched. A key's name and ARN change only with its replacement.
        return detail.get("CausingEntity", "").partition(".")[0] in moved
    before, after = target.get("BeforeValue"), target.get("AfterValue")
    return bool(before is None or before != after)


def _is_deleted_key(resource: Mapping[str, Any]) -> bool:
    """Whether a key is gone after the change, with its resource or because another takes its place."""
    if resource["ResourceType"] != "AWS::KMS::Key" or resource["Action"] in ("Add", "Import"):
        return False
    return _is_another(resource) and "Retain" not in resource.get("PolicyAction", "")


def _is_another(resource: Mapping[str, Any]) -> bool:
    """Whether a resource is not the same one after the change."""
    return bool(resource["Action"] != "Modify" or resource.get("Replacement", "False") != "False")


def _properties(resource: Mapping[str, Any]) -> list[str]:
    names = [detail["Target"].get("Name", "") for detail in resource.get("Details", ())]
    return list(dict.fromkeys(filter(None, names)))
