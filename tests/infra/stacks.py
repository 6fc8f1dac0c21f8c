"""CloudFormation on this machine, as far as templates need it: reads them, and says what they make of the values."""

import base64
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]

ACCOUNT, REGION = "123456789012", "eu-central-1"
HERE = f"{REGION}:{ACCOUNT}"
PSEUDO_PARAMETERS = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackName": "a-stack",
    "AWS::URLSuffix": "amazonaws.com",
}
NO_VALUE = object()


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's YAML: short forms of functions become long ones, and a date stays a text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as PyYAML declares it
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _short_form(loader: Loader, name: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    match node:
        case yaml.ScalarNode():
            value = loader.construct_scalar(node)
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case _:
            assert isinstance(node, yaml.MappingNode)
            value = loader.construct_mapping(node, deep=True)
    if name == "GetAtt":
        value = value.split(".", 1)
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


Loader.add_multi_constructor("!", _short_form)


def read(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the three templates in a folder by their names."""
    return {name: load(folder / f"{name}.yaml") for name in ("bucket", "function", "secret")}


def load(path: Path) -> dict[str, Any]:
    """Return one template."""
    template: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader)  # noqa: S506 - a SafeLoader
    return template


TEMPLATES = read(ROOT / "infra")
RELEASED = read(ROOT / "tests/infra/released")  # those of the version before


# What can't change without another resource in place of this one, of the types that the released templates use:
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/introduction.html
REPLACED_BY = {
    "AWS::CloudWatch::Alarm": ("AlarmName",),
    "AWS::Events::Rule": ("Name", "EventBusName"),
    "AWS::IAM::Policy": ("PolicyName",),
    "AWS::IAM::Role": ("RoleName", "Path"),
    "AWS::KMS::Alias": ("AliasName",),
    "AWS::KMS::Key": ("KeySpec", "KeyUsage", "MultiRegion", "Origin"),
    "AWS::Lambda::Function": ("FunctionName", "PackageType"),
    "AWS::Lambda::Permission": ("Action", "FunctionName", "Principal", "SourceAccount", "SourceArn"),
    "AWS::Logs::LogGroup": ("LogGroupName",),
    "AWS::S3::Bucket": ("BucketName",),
    "AWS::S3::BucketPolicy": ("Bucket",),
    "AWS::SNS::Subscription": ("TopicArn", "Protocol", "Endpoint"),
    "AWS::SNS::Topic": ("TopicName", "FifoTopic"),
    "AWS::SNS::TopicPolicy": (),
    "AWS::SecretsManager::RotationSchedule": ("SecretId",),
    "AWS::SecretsManager::Secret": ("Name",),
}


class RefusedByTemplate(Exception):
    """A parameter's constraint or a rule does not hold."""


class Stack:
    """What CloudFormation makes of a template and the parameters' values.

    A reference to a resource becomes the resource's logical name, and an attribute of it `name.attribute`.

    Args:
        template: one of TEMPLATES or RELEASED.
        given: values of parameters; one that is not given has its default.
        pseudo: pseudo parameters that are not as usual.

    Attributes:
        parameters: all values that the stack has.
        resources: what is deployed: logical names to their evaluated definitions.
        outputs: names to values.

    Raises:
        RefusedByTemplate: naming the parameter, or telling what the rule tells.
    """

    def __init__(
        self, template: Mapping[str, Any], given: Mapping[str, str], pseudo: Mapping[str, str] | None = None
    ) -> None:
        values = dict(given)
        self._pseudo = PSEUDO_PARAMETERS | dict(pseudo or {})
        self.parameters = {
            name: checked(name, definition, values.pop(name, None))
            for name, definition in template["Parameters"].items()
        }
        assert not values, f"there are no such parameters: {values}"
        self._conditions: dict[str, Any] = template.get("Conditions", {})
        self._definitions: dict[str, Any] = template["Resources"]
        for rule in template.get("Rules", {}).values():
            if self._value(rule.get("RuleCondition", True)):
                for assertion in rule["Assertions"]:
                    if not self._value(assertion["Assert"]):
                        raise RefusedByTemplate(assertion["AssertDescription"])
        self.resources: dict[str, Any] = {
            name: self._value(definition) for name, definition in self._definitions.items() if self._exists(definition)
        }
        self.outputs: dict[str, Any] = {
            name: self._value(definition["Value"])
            for name, definition in template["Outputs"].items()
            if self._exists(definition)
        }

    def properties(self, name: str) -> dict[str, Any]:
        """Return the properties of a resource."""
        properties: dict[str, Any] = self.resources[name]["Properties"]
        return properties

    def of_type(self, resource_type: str) -> dict[str, dict[str, Any]]:
        """Return the properties of every resource of a type."""
        return {name: it["Properties"] for name, it in self.resources.items() if it["Type"] == resource_type}

    def _exists(self, definition: Mapping[str, Any]) -> bool:
        return "Condition" not in definition or self._condition(definition["Condition"])

    def _condition(self, name: str) -> bool:
        return bool(self._value(self._conditions[name]))

    def _value(self, node: Any) -> Any:
        match node:
            case {"Ref": str(name), **others} if not others:
                return NO_VALUE if name == "AWS::NoValue" else self._named(name)
            case {"Condition": str(name), **others} if not others:
                return self._condition(name)
            case {"Fn::If": [name, yes, no]}:
                return self._value(yes if self._condition(name) else no)
            case dict() if len(node) == 1 and (function := next(iter(node))).startswith("Fn::"):
                return self._function(function, node[function])
            case dict():
                evaluated = {key: self._value(value) for key, value in node.items()}
                return {key: value for key, value in evaluated.items() if value is not NO_VALUE}
            case list():
                return [value for value in map(self._value, node) if value is not NO_VALUE]
            case _:
                return node

    def _function(self, name: str, argument: Any) -> Any:
        if name == "Fn::Sub":
            text, variables = argument if isinstance(argument, list) else (argument, {})
            known = {key: self._value(value) for key, value in variables.items()}
            return re.sub(
                r"\$\{([^}]+)\}", lambda it: str(known[it[1]] if it[1] in known else self._named(it[1])), text
            )
        value = self._value(argument)
        functions: dict[str, Callable[[], Any]] = {
            "Fn::And": lambda: all(value),
            "Fn::Base64": lambda: base64.b64encode(value.encode()).decode(),
            "Fn::Equals": lambda: value[0] == value[1],
            "Fn::GetAtt": lambda: self._named(".".join(value)),
            "Fn::Join": lambda: value[0].join(value[1]),
            "Fn::Not": lambda: not value[0],
            "Fn::Or": lambda: any(value),
            "Fn::Split": lambda: value[1].split(value[0]),
        }
        return functions[name]()

    def _named(self, name: str) -> str:
        if name in self._pseudo:
            return self._pseudo[name]
        if name in self.parameters:
            return self.parameters[name]
        assert self._exists(self._definitions[name.partition(".")[0]]), f"{name} is not there"
        return name


def checked(name: str, definition: Mapping[str, Any], value: str | None) -> str:
    """Return a parameter's value, or its default if it is None.

    Raises:
        RefusedByTemplate: the parameter does not allow it.
    """
    if value is None:
        if "Default" not in definition:
            raise RefusedByTemplate(f"{name} has no default")
        value = str(definition["Default"])
    refused = (
        not re.fullmatch(definition.get("AllowedPattern", ".*"), value)
        or ("AllowedValues" in definition and value not in map(str, definition["AllowedValues"]))
        or not definition.get("MinLength", 0) <= len(value) <= definition.get("MaxLength", 4096)
        or ("MinValue" in definition and int(value) < definition["MinValue"])
        or ("MaxValue" in definition and int(value) > definition["MaxValue"])
    )
    if refused:
        raise RefusedByTemplate(name)
    return value
