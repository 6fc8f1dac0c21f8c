"""What is looked at: parameters, names, quotas, trails, the layer. Only reads."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from operate.preflight_aws.look import DENIED, Finding, Look, Refused
from operate.typed import aws_command, command

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html: so much stays unreserved.
_UNRESERVED = 100
# Fewer at once, and rotations of several secrets throttle each other.
_CONCURRENCY = 10
_PACKAGE_BYTES = 30 << 20
_OUR_LAYER = re.compile(r"arn:aws[a-z-]*:lambda:([a-z0-9-]+):\d+:layer:([A-Za-z0-9_-]+):\d+")

# What Secrets Manager has a trail log of a rotation that fails, as far as a trail selects by it.
# https://docs.aws.amazon.com/secretsmanager/latest/userguide/cloudtrail_log_entries.html
_ROTATION = {"eventCategory": "Management", "readOnly": "false", "eventSource": "secretsmanager.amazonaws.com"}
_EVENTS = tuple(
    {**_ROTATION, "eventType": "AwsServiceEvent", "eventName": name} for name in ("RotationFailed", "RotationAbandoned")
)

IDENTITY = "The credentials are valid in this Region."
PARAMETERS = "The parameters of the account are there, as SecureStrings."
READERS = "It is known who may decrypt them."
SECRET_NAME = "No secret has this name, or this project's stack has made it."  # noqa: S105 - a sentence
FUNCTION = "No function and no log group has the project's name, or its caretaker's, or its stack has made them."
BUCKET = "The bucket's name is free, or the bucket is this account's, and of this Region."
QUOTA = "The function finds the concurrency that it is to have, and room for its package."
TRAIL = "A trail logs management events in this Region, for the events of rotations that fail."
LAYER = "The extension's layer is of this Region."


def identity(look: Look) -> Iterator[Finding]:
    """Say whose credentials these are."""
    arn = look.identity["Arn"].split(":")
    kind = arn[5].partition("/")[0]
    yield Finding("identity", IDENTITY, "as assumed", f"{kind} of account {arn[4]}, Region {look.region}")


def parameters(look: Look) -> Iterator[Finding]:
    """Look whether the account's parameters are there, without reading them."""
    answer = look.ask("ssm", "get_parameters", Names=list(look.wanted.parameters), WithDecryption=False)
    kinds = {found["Name"]: found["Type"] for found in answer["Parameters"]}
    missing = [name for name in look.wanted.parameters if name not in kinds]
    plain = [name for name, kind in kinds.items() if kind != "SecureString"]
    seen = [f"missing: {', '.join(missing)}"] if missing else []
    seen += [f"not encrypted: {', '.join(plain)}"] if plain else []
    store = f"`{command('credentials')}` stores them."
    if missing and not plain and not look.has_stack(f"{look.wanted.project}-function"):
        yield Finding("parameters", PARAMETERS, "not there yet", seen[0], f"Before you deploy, {store}")
        return
    yield Finding(
        "parameters",
        PARAMETERS,
        "otherwise" if seen else "as assumed",
        "; ".join(seen) or ", ".join(kinds),
        f"The function can't log in, or a password lies open. {store}",
    )


def readers(look: Look) -> Iterator[Finding]:
    """Say who may decrypt them."""
    filters = [{"Key": "Name", "Option": "Equals", "Values": list(look.wanted.parameters)}]
    told = look.ask("ssm", "describe_parameters", ParameterFilters=filters)["Parameters"]
    keys = sorted({found["KeyId"] for found in told if found.get("KeyId")})
    for key in keys:
        if key == "alias/aws/ssm":
            seen = "with AWS's own key: whoever in the account may ssm:GetParameters on them"
        else:
            key_id = look.ask("kms", "describe_key", KeyId=key)["KeyMetadata"]["KeyId"]
            policy = look.ask("kms", "get_key_policy", KeyId=key_id, PolicyName="default")["Policy"]
            seen = f"with a key of their own, whose policy names {', '.join(_principals(policy))}"
        yield Finding("parameter-readers", READERS, "as assumed", seen, relied_on=False)


def _principals(policy: str) -> list[str]:
    """Return whom a key's policy names, as far as it can be shown: the account, or the last part of an ARN."""
    named: set[str] = set()
    statements = json.loads(policy)["Statement"]
    for statement in [statements] if isinstance(statements, dict) else statements:  # a single one needs no list
        principal = statement.get("Principal", {})
        for names in principal.values() if isinstance(principal, dict) else [principal]:
            named |= {names} if isinstance(names, str) else set(names)
    return sorted("the account, so that IAM decides" if it.endswith(":root") else it.split(":")[-1] for it in named)


def secret(look: Look) -> Iterator[Finding]:
    """Look whether the secret can be made."""
    wanted = look.wanted
    try:
        there = look.ask("secretsmanager", "describe_secret", SecretId=wanted.secret)
    except Refused as refused:
        if refused.code != "ResourceNotFoundException":
            raise
        there = {}
    if there.get("Name") != wanted.secret:  # part of an ARN finds one, too
        yield Finding("secret-name", SECRET_NAME, "as assumed", "free")
        return
    made_by = {tag["Key"]: tag["Value"] for tag in there.get("Tags", ())}.get("aws:cloudformation:stack-name", "")
    if "DeletedDate" in there:
        restore = aws_command(f"secretsmanager restore-secret --secret-id {shlex.quote(wanted.secret)}")
        yield Finding(
            "secret-name",
            SECRET_NAME,
            "otherwise",
            "taken by a secret that is scheduled for deletion",
            f"`make deploy` fails until it is gone. `{restore}` brings it back; another SECRET=... is another secret.",
        )
        return
    ours = made_by in wanted.secret_stacks and look.has_stack(made_by)
    yield Finding(
        "secret-name",
        SECRET_NAME,
        "as assumed" if ours else "otherwise",
        f"made by the stack {made_by}" if made_by else "made by somebody",
        "`make deploy` can't make it. Attach it as it is (see docs/deploying.md), or take another SECRET=...",
    )


def function(look: Look) -> Iterator[Finding]:
    """Look whether the function, its caretaker and their log groups can be made."""
    project = look.wanted.project
    names = {project: f"{project}-function", f"{project}-caretaker": f"{project}-caretaker"}
    taken = {name: _taken(look, name) for name in names}
    there = [it for those in taken.values() for it in those]
    foreign = any(those and not look.has_stack(names[name]) for name, those in taken.items())
    whose = "" if foreign else ", with its stack"
    yield Finding(
        "function-name",
        FUNCTION,
        "otherwise" if foreign else "as assumed",
        f"there: {' and '.join(there)}{whose}" if there else "free",
        "`make deploy` fails, because it is there already. Delete it if nobody needs it, or take another PROJECT=...",
    )


def _taken(look: Look, name: str) -> list[str]:
    """Return what is there of a function of this name."""
    group = f"/aws/lambda/{name}"
    groups = look.ask("logs", "describe_log_groups", logGroupNamePrefix=group)["logGroups"]
    taken = [f"the log group {group}"] if any(it["logGroupName"] == group for it in groups) else []
    try:
        look.ask("lambda", "get_function_configuration", FunctionName=name)
        taken.insert(0, f"the function {name}")
    except Refused as refused:
        if refused.code != "ResourceNotFoundException":
            raise
    return taken


def bucket(look: Look) -> Iterator[Finding]:
    """Look whether the bucket can be made."""
    try:
        owner = look.identity["Account"]
        there = look.ask("s3", "head_bucket", Bucket=look.wanted.bucket, ExpectedBucketOwner=owner)
        region = there.get("BucketRegion", look.region)
        here = region == look.region
        means = "`make deploy` fails: Lambda takes a package only from its own Region. Take another name: BUCKET=..."
        yield Finding(
            "bucket-name", BUCKET, "as assumed" if here else "otherwise", f"this account's, in {region}", means
        )
    except Refused as refused:
        if refused.code in ("404", "NoSuchBucket", "NotFound"):
            yield Finding("bucket-name", BUCKET, "as assumed", "free")
        elif refused.code in DENIED:
            seen = "taken by another account, or not to be looked at"
            means = "`make deploy` fails: somebody has a bucket of that name. Take another: BUCKET=..."
            yield Finding("bucket-name", BUCKET, "otherwise", seen, means)
        else:
            raise


def quota(look: Look) -> Iterator[Finding]:
    """Look at Lambda's limits."""
    told = look.ask("lambda", "get_account_settings")
    unreserved = told["AccountLimit"]["UnreservedConcurrentExecutions"]
    reserved = look.wanted.reserved_concurrency
    enough = unreserved - reserved >= _UNRESERVED if reserved else unreserved >= _CONCURRENCY
    yield Finding(
        "concurrency",
        QUOTA,
        "as assumed" if enough else "otherwise",
        f"{unreserved} unreserved, {reserved or 'none'} to be reserved",
        "Leave ReservedConcurrency empty, or `make deploy` fails; with less than "
        f"{_CONCURRENCY} have the quota raised (Service Quotas, Lambda, concurrent executions), or rotations throttle.",
    )
    left = told["AccountLimit"]["TotalCodeSize"] - told["AccountUsage"]["TotalCodeSize"]
    yield Finding(
        "code-storage",
        QUOTA,
        "as assumed" if left > _PACKAGE_BYTES else "otherwise",
        f"{left >> 20} MiB left",
        "`make deploy` fails. Delete old versions of functions.",
    )


def trail(look: Look) -> Iterator[Finding]:
    """Look for a trail."""
    trails = look.ask("cloudtrail", "describe_trails", includeShadowTrails=True)["trailList"]
    logging = [trail for trail in trails if _logs(look, trail)]
    yield Finding(
        "trail",
        TRAIL,
        "as assumed" if logging else "otherwise",
        f"{len(logging)} of {len(trails)} trails",
        "The alarm for RotationFailed and RotationAbandoned never rings; that for the function's errors does. Make a "
        "trail for management events (`aws cloudtrail create-trail`, then `start-logging`).",
    )


def _logs(look: Look, trail: Mapping[str, Any]) -> bool:
    """Tell whether a trail logs what changes something, here and now."""
    if not (trail.get("IsMultiRegionTrail") or trail.get("HomeRegion") == look.region):
        return False
    arn = trail["TrailARN"]
    if not look.ask("cloudtrail", "get_trail_status", Name=arn)["IsLogging"]:
        return False
    selectors = look.ask("cloudtrail", "get_event_selectors", TrailName=arn)
    basic, advanced = selectors.get("EventSelectors") or [], selectors.get("AdvancedEventSelectors") or []
    return any(it.get("IncludeManagementEvents") and it.get("ReadWriteType") != "ReadOnly" for it in basic) or any(
        all(all(_selects(field, event) for field in it["FieldSelectors"]) for event in _EVENTS) for it in advanced
    )


def _selects(selector: Mapping[str, Any], event: Mapping[str, str]) -> bool:
    """Tell whether a field of an advanced selector lets an event through.

    https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_AdvancedFieldSelector.html
    """
    value = event.get(selector["Field"], "")
    wanted = (
        ("Equals", value.__eq__),
        ("StartsWith", value.startswith),
        ("EndsWith", value.endswith),
    )
    return all(
        (not selector.get(name) or any(holds(it) for it in selector[name]))
        and not any(holds(it) for it in selector.get(f"Not{name}") or ())
        for name, holds in wanted
    )


def layer(look: Look) -> Iterator[Finding]:
    """Look at the layer's ARN, if there is one."""
    if not look.wanted.layer:
        return
    parts = _OUR_LAYER.fullmatch(look.wanted.layer)
    here = parts is not None and parts[1] == look.region
    yield Finding(
        "layer-region",
        LAYER,
        "as assumed" if here else "otherwise",
        f"of {parts[1]}" if parts else "no ARN of a layer's version",
        "`make deploy` fails. Take the ARN for this Region and architecture: "
        "https://docs.aws.amazon.com/systems-manager/latest/userguide/ps-integration-lambda-extensions.html.",
    )
