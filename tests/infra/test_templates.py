"""The templates, read as data and evaluated as CloudFormation does, are held against the code that they deploy."""

import ast
import base64
import importlib
import json
import re
import runpy
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import boto3
import certifi
import pytest

from dockerhub_rotation import credential, duration, settings, tags
from dockerhub_rotation.docker_hub import network
from dockerhub_rotation.errors import SettingsInvalid
from dockerhub_rotation.organization_settings import Resource
from dockerhub_rotation.request import Step
from dockerhub_rotation.settings import Settings
from tests.infra.stacks import ACCOUNT, HERE, REGION, ROOT, TEMPLATES, RefusedByTemplate, Stack, checked

SOURCES = {
    path.stem: ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "src/dockerhub_rotation").glob("*.py")
}

KEY = f"arn:aws:kms:{HERE}:key/1"
OTHER_KEYS = [f"arn:aws:kms:{HERE}:key/2", f"arn:aws:kms:{HERE}:key/3"]
LAYER = f"arn:aws:lambda:{REGION}:187925254637:layer:AWS-Parameters-and-Secrets-Lambda-Extension-Arm64:21"
OTHER_LAYER = f"arn:aws:lambda:{HERE}:layer:certificates:3"
FUNCTION = f"arn:aws:lambda:{HERE}:function:dockerhub-rotation"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/rotation"
ALARM_ROLE = f"arn:aws:iam::{ACCOUNT}:role/alarms"
TOPIC = f"arn:aws:sns:{HERE}:dockerhub-rotation-alarms"

# With every option taken.
EVERYTHING: dict[str, dict[str, str]] = {
    "bucket": {"BucketName": "another-bucket"},
    "function": {
        "TotpParameter": "/hub/totp",
        "SlackWebhookParameter": "SLACK",
        "ParametersKeyArn": KEY,
        "SecretKeyArns": ",".join(OTHER_KEYS),
        "AlarmEmail": "on-call@example.com",
        "TopicKeyArn": KEY,
        "LogsKeyArn": KEY,
        "HttpsProxy": "http://proxy:3128",
        "NoProxy": "amazonaws.com",
        "CaBundle": "/opt/ca.pem",
        "CaLayerArn": OTHER_LAYER,
        "ReservedConcurrency": "10",
        "ExtensionLayerArn": LAYER,
        "PermissionsBoundaryArn": f"arn:aws:iam::{ACCOUNT}:policy/boundary",
        "SubnetIds": "subnet-0a,subnet-0b",
        "SecurityGroupIds": "sg-0a",
    },
    "secret": {
        "OwnKey": "true",
        "RotationRoleArn": ROLE,
        "AlarmTopicArn": TOPIC,
        "AlarmRoleArn": ALARM_ROLE,
        "Token": "dckr_pat_made-by-hand",
        "ResourcePolicy": '{"Version": "2012-10-17", "Statement": []}',
    },
}


def bucket(**values: str) -> Stack:
    return Stack(TEMPLATES["bucket"], values)


def function(**values: str) -> Stack:
    return Stack(TEMPLATES["function"], {"ArtifactBucket": "archive", "ArtifactKey": "package.zip", **values})


def secret(**values: str) -> Stack:
    return Stack(TEMPLATES["secret"], {"RotationFunctionArn": FUNCTION, **values})


DEPLOY = {"bucket": bucket, "function": function, "secret": secret}


# A secret's grace


@pytest.mark.parametrize(("values", "grace"), [({}, "24h"), ({"GracePeriod": "0"}, "0"), ({"GracePeriod": "7d"}, "7d")])
def test_a_secrets_tag_says_how_long_its_superseded_tokens_live(values: dict[str, str], grace: str) -> None:
    made = {tag["Key"]: tag["Value"] for tag in secret(**values).properties("Secret")["Tags"]}

    assert made["dockerhub-rotation:grace"] == grace
    assert tags.apply(made, Settings()).settings.grace == duration.parse(grace)


@pytest.mark.parametrize("grace", ["", "a day", "24", "1h30m", "1000d", "99999h"])
def test_what_is_no_grace_is_refused_by_the_template(grace: str) -> None:
    pattern = TEMPLATES["secret"]["Parameters"]["GracePeriod"]["AllowedPattern"]

    assert re.fullmatch(pattern, grace) is None


# What a secret's tags say of its new tokens

OF_NEW_TOKENS = {
    "TokenScopes": ("scopes", "repo:public_read repo:read"),
    "ProbeRepository": ("probe-repository", "acme/app"),
    "TokenExpiry": ("expiry", "90"),
}


def test_a_secret_of_an_organization_says_so_by_its_tag_and_another_by_none() -> None:
    tagged, plain = (
        {tag["Key"]: tag["Value"] for tag in it.properties("Secret")["Tags"]}
        for it in (secret(Organization="acme-inc"), secret())
    )

    assert tagged.items() - plain.items() == {("dockerhub-rotation:organization", "acme-inc")}
    assert tags.of_kind(tagged, Settings(organizations=("acme-inc",))).organization == "acme-inc"
    with pytest.raises(RefusedByTemplate, match="Organization"):
        secret(Organization="acme-inc/app")


def test_each_parameter_of_a_secrets_new_tokens_sets_its_tag_and_an_empty_one_sets_none() -> None:
    made = {tag["Key"]: tag["Value"] for tag in secret().properties("Secret")["Tags"]}
    chosen = secret(**{name: value for name, (_, value) in OF_NEW_TOKENS.items()}).properties("Secret")["Tags"]

    assert {tag["Key"]: tag["Value"] for tag in chosen} == made | {
        f"dockerhub-rotation:{name}": value for name, value in OF_NEW_TOKENS.values()
    }
    assert not made.keys() & {f"dockerhub-rotation:{name}" for name, _ in OF_NEW_TOKENS.values()}
    applied = tags.apply({tag["Key"]: tag["Value"] for tag in chosen}, Settings())
    assert applied.problems == ()
    assert (applied.settings.scopes, applied.settings.expiry) == (("repo:public_read", "repo:read"), 90)
    assert applied.settings.probe_repositories == ("acme/app",)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        *(("TokenScopes", text) for text in ("repo:all", "repo:read,repo:write", "repo:read ", "repo:read  repo:read")),
        *(("ProbeRepository", text) for text in ("app", "acme/app:1", "acme/app acme/web")),
        *(("TokenExpiry", text) for text in ("0", "90d", "3651", "9999", "1.5", "10000")),
    ],
)
def test_what_is_no_such_tag_is_refused_by_the_template(parameter: str, value: str) -> None:
    with pytest.raises(RefusedByTemplate, match=parameter):
        secret(**{parameter: value})


@pytest.mark.parametrize("days", ["1", "9", "10", "99", "100", "999", "1000", "1999", "2999", "3599", "3649", "3650"])
def test_every_expiry_that_the_settings_take_is_taken(days: str) -> None:
    assert settings.read(environment(TokenExpiry=days)).expiry == int(days)
    secret(TokenExpiry=days)


# The function's environment


class Asked(dict[str, str]):
    """An environment that is empty, and knows which variables somebody looked for."""

    def get(self, key: str, default: Any = None) -> Any:
        """Note the variable and say that it is not there."""
        self[key] = ""
        return default


def environment(**values: str) -> dict[str, str]:
    variables: dict[str, str] = function(**values).properties("Function")["Environment"]["Variables"]
    return variables


def test_every_variable_that_the_settings_read_can_be_set_and_no_other() -> None:
    asked = Asked()
    settings.read(asked)

    # The log level is for Powertools, the time to live for the extension.
    asked.pop("ROTATION_FUNCTION_ARN")  # is the caretaker's
    assert environment(ExtensionLayerArn=LAYER).keys() == {*asked, "POWERTOOLS_LOG_LEVEL", "SSM_PARAMETER_STORE_TTL"}


def test_a_proxy_and_a_file_of_authorities_reach_all_who_need_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(Path(certifi.where()).read_bytes())
    chosen = {
        "HttpsProxy": "http://proxy.example.com:3128",
        "NoProxy": "amazonaws.com,169.254.169.254",
        "CaBundle": "/opt/ca.pem",
        "CaLayerArn": OTHER_LAYER,
    }
    more = {key: value for key, value in environment(**chosen).items() if key not in environment()}

    assert more == {
        "HTTPS_PROXY": "http://proxy.example.com:3128",
        "NO_PROXY": "amazonaws.com,169.254.169.254",
        "AWS_CA_BUNDLE": "/opt/ca.pem",
        "SSL_CERT_FILE": "/opt/ca.pem",
    }
    for variable, value in more.items():
        monkeypatch.setenv(variable, value.replace("/opt/ca.pem", str(bundle)))
    read = network.read()
    assert read.proxy == network.Proxy("http", "proxy.example.com", 3128, None)
    assert read.authorities is not None
    assert read.is_direct("https", "ssm.eu-central-1.amazonaws.com", None)
    assert not read.is_direct("https", "hub.docker.com", None)
    assert function(**chosen).properties("Function")["Layers"] == [OTHER_LAYER]
    assert function(ExtensionLayerArn=LAYER, **chosen).properties("Function")["Layers"] == [LAYER, OTHER_LAYER]


def test_the_parameters_default_to_what_the_code_defaults_to_but_for_names_of_the_projects_own() -> None:
    assert settings.read(environment(ProjectName="team-b")) == Settings(
        username_parameter="/team-b/DOCKER_HUB_USERNAME", password_parameter="/team-b/DOCKER_HUB_PASSWORD"
    )


def test_the_parameters_reach_the_settings() -> None:
    chosen = environment(
        UsernameParameter="/hub/name",
        PasswordParameter="/hub/password",
        TotpParameter="HUB_TOTP",
        SlackWebhookParameter="/slack/hook",
        Secrets="hub,team-a/*",
        TokenScopes="repo:read, repo:write",
        CompareScopes="false",
        Login="users-login",
        ProbeRepository="acme/probe",
        TokenExpiry="90",
        Superseded="delete",
        Organizations="acme,globex-2",
        OrganizationResources='[{"type": "TYPE_REPO", "path": "acme/app", "scopes": ["scope-image-pull"]}]',
        OrganizationQuota="100",
        ApiUrl="http://127.0.0.1:8080/hub",
        AuthUrl="https://auth.example.com",
        RegistryUrl="https://registry.example.com",
        ExtensionLayerArn=LAYER,
    )

    assert settings.read(chosen) == Settings(
        username_parameter="/hub/name",
        password_parameter="/hub/password",
        totp_parameter="HUB_TOTP",
        webhook_parameter="/slack/hook",
        secrets=("hub", "team-a/*"),
        scopes=("repo:read", "repo:write"),
        compare_scopes=False,
        login="users-login",
        probe_repositories=("acme/probe",),
        expiry=90,
        superseded="delete",
        organizations=("acme", "globex-2"),
        organization_resources=(Resource("TYPE_REPO", "acme/app", frozenset({"scope-image-pull"})),),
        organization_quota=100,
        api_url="http://127.0.0.1:8080/hub",
        auth_url="https://auth.example.com",
        registry_url="https://registry.example.com",
        extension_port=2773,
    )


@pytest.mark.parametrize(
    ("parameter", "variable", "value"),
    [
        ("UsernameParameter", "DOCKERHUB_USERNAME_PARAMETER", "arn:aws:ssm:eu-central-1:123456789012:parameter/name"),
        ("PasswordParameter", "DOCKERHUB_PASSWORD_PARAMETER", "pass word"),
        ("TotpParameter", "DOCKERHUB_TOTP_PARAMETER", "otpauth://totp"),
        ("SlackWebhookParameter", "SLACK_WEBHOOK_PARAMETER", "https://hooks.slack.com/services/T0/B0/x"),
        ("Secrets", "DOCKERHUB_SECRETS", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:hub-AbCdEf"),
        ("Secrets", "DOCKERHUB_SECRETS", "hub,*hub"),
        ("Secrets", "DOCKERHUB_SECRETS", "hub,team-?"),
        ("TokenScopes", "DOCKERHUB_TOKEN_SCOPES", "repo:everything"),
        ("TokenScopes", "DOCKERHUB_TOKEN_SCOPES", "repo:read;repo:write"),
        ("CompareScopes", "DOCKERHUB_COMPARE_SCOPES", "sometimes"),
        ("Login", "DOCKERHUB_LOGIN", "password"),
        ("ProbeRepository", "DOCKERHUB_PROBE_REPOSITORY", "acme/probe:latest"),
        ("ProbeRepository", "DOCKERHUB_PROBE_REPOSITORY", "probe"),
        ("TokenExpiry", "DOCKERHUB_TOKEN_EXPIRY", "90d"),
        ("TokenExpiry", "DOCKERHUB_TOKEN_EXPIRY", "0"),
        ("TokenExpiry", "DOCKERHUB_TOKEN_EXPIRY", "3651"),
        ("Grace", "DOCKERHUB_GRACE", "a day"),
        ("Grace", "DOCKERHUB_GRACE", "99999h"),
        ("GraceLimit", "DOCKERHUB_GRACE_LIMIT", "30"),
        ("Heal", "DOCKERHUB_HEAL", "yes"),
        ("Superseded", "DOCKERHUB_SUPERSEDED", "keep"),
        ("Organizations", "DOCKERHUB_ORGANIZATIONS", "acme/app"),
        ("Organizations", "DOCKERHUB_ORGANIZATIONS", "Acme"),
        ("OrganizationResources", "DOCKERHUB_ORGANIZATION_RESOURCES", "acme/*"),
        ("OrganizationResources", "DOCKERHUB_ORGANIZATION_RESOURCES", "[]"),
        ("OrganizationQuota", "DOCKERHUB_ORGANIZATION_QUOTA", "0"),
        ("OrganizationQuota", "DOCKERHUB_ORGANIZATION_QUOTA", "ten"),
        ("ApiUrl", "DOCKERHUB_API_URL", "http://hub.docker.com"),
        ("ApiUrl", "DOCKERHUB_API_URL", "http://127.0.0.1.example.com"),
        ("AuthUrl", "DOCKERHUB_AUTH_URL", "https://me@auth.docker.io"),
        ("RegistryUrl", "DOCKERHUB_REGISTRY_URL", "registry-1.docker.io"),
    ],
)
def test_what_the_settings_refuse_is_refused_before_anything_is_deployed(
    parameter: str, variable: str, value: str
) -> None:
    with pytest.raises(SettingsInvalid):
        settings.read({variable: value})
    with pytest.raises(RefusedByTemplate, match=parameter):
        function(**{parameter: value})


def test_the_handler_is_there() -> None:
    module, _, name = function().properties("Function")["Handler"].rpartition(".")

    assert callable(getattr(importlib.import_module(module), name))


def test_the_runtimes_and_architectures_are_those_the_package_is_made_for() -> None:
    package = runpy.run_path(str(ROOT / "infra/package.py"))
    offered = {
        name: set(TEMPLATES["function"]["Parameters"][name]["AllowedValues"]) for name in ("Runtime", "Architecture")
    }

    assert offered == {
        "Runtime": {f"python{version}" for version in package["PYTHONS"]},
        "Architecture": {machine.replace("aarch64", "arm64") for machine in package["MACHINES"]},
    }


def test_the_log_level_can_not_silence_the_metrics() -> None:
    """Lambda's own filter takes a metrics line for INFO; it works in its JSON format alone."""
    stack = function(LogLevel="ERROR")

    assert stack.properties("Function")["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": "Logs"}
    assert environment(LogLevel="ERROR")["POWERTOOLS_LOG_LEVEL"] == "ERROR"


def test_what_is_not_chosen_is_not_configured() -> None:
    plain, full = function().properties("Function"), function(**EVERYTHING["function"]).properties("Function")

    assert full.keys() - plain.keys() == {"ReservedConcurrentExecutions", "Layers", "VpcConfig"}
    assert full["Layers"] == [LAYER, OTHER_LAYER]
    assert full["VpcConfig"] == {"SubnetIds": ["subnet-0a", "subnet-0b"], "SecurityGroupIds": ["sg-0a"]}
    for role in function().of_type("AWS::IAM::Role").values():
        assert "PermissionsBoundary" not in role
    for role in function(**EVERYTHING["function"]).of_type("AWS::IAM::Role").values():
        assert role["PermissionsBoundary"] == EVERYTHING["function"]["PermissionsBoundaryArn"]


def test_topic_and_logs_take_a_key_of_the_companys() -> None:
    plain, full = function(), function(TopicKeyArn=KEY, LogsKeyArn=OTHER_KEYS[0])

    assert "KmsMasterKeyId" not in plain.properties("AlarmTopic")
    assert "KmsKeyId" not in plain.properties("Logs")
    assert full.properties("AlarmTopic")["KmsMasterKeyId"] == KEY
    assert full.properties("Logs")["KmsKeyId"] == OTHER_KEYS[0]


# What the function may do


def strings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def asked_of_aws() -> set[str]:
    """Return the actions that the rotation function asks of AWS through the SDK, found in the source."""
    calls = [node for tree in SOURCES.values() for node in ast.walk(tree) if isinstance(node, ast.Call)]
    methods = [(call.func.attr, call.args) for call in calls if isinstance(call.func, ast.Attribute)]
    actions = set()
    (services,) = [arguments[1:] for name, arguments in methods if name == "clients"]
    for service in map(ast.literal_eval, services):
        operations = boto3.Session(region_name=REGION).client(service).meta.method_to_api_mapping
        actions |= {f"{service}:{operations[name]}" for name, _ in methods if name in operations}
    caretakers = {"secretsmanager:ListSecrets", "secretsmanager:RotateSecret"}
    assert caretakers <= actions
    return actions - caretakers


def asked_of_the_extension() -> set[str]:
    """Return the actions that the code asks of the AWS Parameters and Secrets Lambda Extension."""
    # https://docs.aws.amazon.com/systems-manager/latest/userguide/ps-integration-lambda-extensions.html
    endpoints = {
        "/systemsmanager/parameters/get?": "ssm:GetParameter",
        "/secretsmanager/get?": "secretsmanager:GetSecretValue",
    }
    texts = {text for tree in SOURCES.values() for text in strings(tree)}
    return {action for endpoint, action in endpoints.items() if endpoint in texts}


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every policy statement in a definition, with its actions and resources as lists."""
    if isinstance(node, dict):
        if "Effect" in node:
            yield node | {name: listed(node[name]) for name in ("Action", "Resource") if name in node}
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            yield from statements(part)


def permissions(stack: Stack) -> list[dict[str, Any]]:
    return list(statements(stack.properties("Permissions")))


def permission(stack: Stack, action: str) -> dict[str, Any]:
    found = [statement for statement in permissions(stack) if action in statement["Action"]]
    assert len(found) == 1
    return found[0]


LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
NETWORK_INTERFACES = {
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
}
KEYS_OF_SECRETS = {"kms:Decrypt", "kms:GenerateDataKey"}


@pytest.mark.parametrize(
    ("options", "more"),
    [
        ({}, set()),
        ({"ParametersKeyArn": KEY}, {"kms:Decrypt"}),
        ({"SecretKeyArns": KEY}, KEYS_OF_SECRETS),
        ({"SubnetIds": "subnet-0a", "SecurityGroupIds": "sg-0a"}, NETWORK_INTERFACES),
        ({"ReservedConcurrency": "10", "AlarmEmail": "on-call@example.com"}, set()),
    ],
)
def test_the_role_allows_what_the_code_asks_and_nothing_else(options: dict[str, str], more: set[str]) -> None:
    allowed = {action for statement in permissions(function(**options)) for action in statement["Action"]}

    assert allowed == asked_of_aws() | LOGS | more


def test_with_the_extension_the_role_allows_what_the_extension_asks_and_nothing_else() -> None:
    stack = function(ExtensionLayerArn=LAYER)
    allowed = {action for statement in permissions(stack) for action in statement["Action"]}
    by_the_function_itself = {action for action in asked_of_aws() if not action.startswith("ssm:")}

    assert allowed == by_the_function_itself | asked_of_the_extension() | LOGS


def test_four_actions_on_secrets_are_asked_and_no_more() -> None:
    assert {action for action in asked_of_aws() if action.startswith("secretsmanager:")} == {
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetSecretValue",
        "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecretVersionStage",
    }


def test_the_role_reaches_only_secrets_that_name_this_function() -> None:
    allowed = permission(function(ProjectName="acme"), "secretsmanager:PutSecretValue")

    assert allowed["Condition"]["StringEquals"] == {
        "secretsmanager:resource/AllowRotationLambdaArn": f"arn:aws:lambda:{HERE}:function:acme"
    }
    assert function(ProjectName="acme").properties("Function")["FunctionName"] == "acme"


ATTACHED = [
    "dockerhub-token",
    "team-a/hub",
    "team-a/x-abcdef",
    "team-b/hub",
    "dockerhub-token2",
    "dockerhub-token-abcdef",
]


@pytest.mark.parametrize("secrets", ["*", "dockerhub-token", "dockerhub-token,team-a/*", "team-b/*,team-a/x-abcdef"])
def test_role_and_function_serve_the_same_secrets(secrets: str) -> None:
    """Whoever may attach a secret to the function gets a token of the account with it."""
    stack = function(Secrets=secrets, SecretKeyArns=KEY)
    resource = permission(stack, "secretsmanager:PutSecretValue")["Resource"]
    arns = {name: f"arn:aws:secretsmanager:{HERE}:secret:{name}-x1Y2z3" for name in ATTACHED}
    served = settings.read(environment(Secrets=secrets))

    # In IAM and in a file's name an asterisk and a question mark mean the same.
    reached = [name for name, arn in arns.items() if any(fnmatchcase(arn, pattern) for pattern in resource)]

    assert reached == [name for name, arn in arns.items() if served.serves(arn)]
    assert reached
    assert (len(reached) == len(ATTACHED)) == (secrets == "*")
    keys = permission(stack, "kms:GenerateDataKey")
    assert keys["Condition"]["StringLike"] == {"kms:EncryptionContext:SecretARN": resource}


def test_the_guard_rail_of_the_page_lets_those_secrets_be_attached_that_the_command_beside_it_names() -> None:
    section = (ROOT / "docs/security.md").read_text(encoding="utf-8").partition("## Who gets a token")[2]
    (secrets,) = re.findall('FUNCTION_PARAMETERS="Secrets=(.*?)"', section)
    rail = json.loads(re.findall(r"```json\n(.*?)```", section, re.DOTALL)[0])
    arns = {name: f"arn:aws:secretsmanager:{HERE}:secret:{name}-x1Y2z3" for name in ATTACHED}

    let = [name for name, arn in arns.items() if any(fnmatchcase(arn, pattern) for pattern in rail["NotResource"])]

    assert let == [name for name in ATTACHED if settings.read(environment(Secrets=secrets)).serves(name)]
    assert (rail["Effect"], rail["Action"]) == ("Deny", "secretsmanager:RotateSecret")
    assert rail["Condition"] == {"ArnEquals": {"secretsmanager:RotationLambdaARN": "<FunctionArn>"}}


def test_the_role_is_of_no_use_in_another_function() -> None:
    """But for what Lambda does outside of the function, and KMS, for which the key is not documented."""
    stack = function(ProjectName="acme", **EVERYTHING["function"])
    bound: list[dict[str, Any]] = []
    free: list[dict[str, Any]] = []
    for statement in permissions(stack):
        only_here = {"lambda:SourceFunctionArn": f"arn:aws:lambda:{HERE}:function:acme"}
        (bound if statement["Condition"].get("ArnEquals") == only_here else free).append(statement)

    assert [it["Sid"] for it in bound] == ["RotateSecretsThatNameThisFunction", "ReadParameters", "WriteOwnLogs"]
    assert [it["Sid"] for it in free] == ["DecryptParameters", "UseKeysOfSecrets", "LetLambdaConnectToTheVpc"]
    assert all("kms:ViaService" in it["Condition"]["StringEquals"] for it in free[:2])
    assert free[2]["Condition"] == {"Null": {"lambda:SourceFunctionArn": "true"}}


PARAMETERS = {
    "UsernameParameter": "DOCKER_HUB_USERNAME",
    "PasswordParameter": "/docker-hub/password",
    "TotpParameter": "TOTP",
    "SlackWebhookParameter": "/slack/hook",
}


@pytest.mark.parametrize("options", [{}, {"ExtensionLayerArn": LAYER}])
def test_the_role_reads_the_named_parameters_and_no_others(options: dict[str, str]) -> None:
    stack = function(**PARAMETERS, **options)

    assert permission(stack, "ssm:GetParameter" if options else "ssm:GetParameters")["Resource"] == [
        f"arn:aws:ssm:{HERE}:parameter/DOCKER_HUB_USERNAME",
        f"arn:aws:ssm:{HERE}:parameter/docker-hub/password",
        f"arn:aws:ssm:{HERE}:parameter/TOTP",
        f"arn:aws:ssm:{HERE}:parameter/slack/hook",
    ]


def test_a_parameter_that_is_not_used_is_not_allowed() -> None:
    assert permission(function(ProjectName="team-b"), "ssm:GetParameters")["Resource"] == [
        f"arn:aws:ssm:{HERE}:parameter/team-b/DOCKER_HUB_USERNAME",
        f"arn:aws:ssm:{HERE}:parameter/team-b/DOCKER_HUB_PASSWORD",
    ]


@pytest.mark.parametrize("options", [{}, PARAMETERS])
def test_the_key_of_the_parameters_decrypts_the_named_parameters_and_nothing_else(options: dict[str, str]) -> None:
    stack = function(ParametersKeyArn=KEY, **options)
    allowed = permission(stack, "kms:Decrypt")

    assert allowed["Resource"] == [KEY]
    assert allowed["Condition"] == {
        "StringEquals": {
            "kms:ViaService": [f"ssm.{REGION}.amazonaws.com"] * 2,
            "kms:EncryptionContext:PARAMETER_ARN": permission(stack, "ssm:GetParameters")["Resource"],
        }
    }


def test_the_keys_of_existing_secrets_serve_only_these_secrets() -> None:
    allowed = permission(function(SecretKeyArns=",".join(OTHER_KEYS)), "kms:GenerateDataKey")

    assert allowed["Resource"] == OTHER_KEYS
    assert allowed["Condition"] == {
        "StringEquals": {"kms:ViaService": [f"secretsmanager.{REGION}.amazonaws.com"] * 2},
        "StringLike": {"kms:EncryptionContext:SecretARN": ["arn:*:secretsmanager:*:*:secret:*-??????"]},
    }


def test_network_interfaces_are_for_lambda_itself_and_not_for_the_function() -> None:
    stack = function(SubnetIds="subnet-0a", SecurityGroupIds="sg-0a")

    condition = permission(stack, "ec2:CreateNetworkInterface")["Condition"]
    assert condition == {"Null": {"lambda:SourceFunctionArn": "true"}}


def test_the_function_writes_to_its_own_log_group() -> None:
    stack = function(ProjectName="acme")
    group = stack.properties("Logs")["LogGroupName"]

    assert group == "/aws/lambda/acme"
    assert permission(stack, "logs:PutLogEvents")["Resource"] == [f"arn:aws:logs:{HERE}:log-group:{group}:*"]


def test_secrets_manager_may_invoke_the_function_for_this_account_alone() -> None:
    assert function().of_type("AWS::Lambda::Permission") == {
        "SecretsManagerMayInvoke": {
            "Action": "lambda:InvokeFunction",
            "FunctionName": "Function",
            "Principal": "secretsmanager.amazonaws.com",
            "SourceAccount": ACCOUNT,
        }
    }


# Nobody gets anything from it: it hands the decision on to the IAM policies of the account.
# https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
LEFT_TO_IAM = {
    "Sid": "LeaveItToIam",
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
    "Action": ["kms:*"],
    "Resource": ["*"],
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_nothing_is_allowed_by_a_wildcard(name: str) -> None:
    stack = DEPLOY[name](**EVERYTHING[name])
    allowed = [it for it in statements(stack.resources) if it["Effect"] == "Allow" and it != LEFT_TO_IAM]

    assert [it for it in allowed if any("*" in action for action in it["Action"])] == []
    assert [it for it in allowed if it.get("Principal") in ("*", {"AWS": "*"})] == []
    wide = [it for it in allowed if any("*" in resource for resource in it.get("Resource", []))]
    assert [it for it in wide if "Condition" not in it] == []
    assert not any("NotAction" in it or "NotResource" in it or "NotPrincipal" in it for it in allowed)


# Order


def references(definition: Any, names: set[str]) -> set[str]:
    """Return the resources that a definition waits for."""
    match definition:
        case {"Ref": str(name), **others} if not others:
            return {name} & names
        case {"Fn::GetAtt": [name, _]}:
            return {name} & names
        case {"Fn::Sub": argument}:
            text, variables = argument if isinstance(argument, list) else (argument, {})
            found = {name.partition(".")[0] for name in re.findall(r"\$\{([^}]+)\}", text)}
            return (found & names) | references(list(variables.values()), names)
        case dict():
            explicit = set(listed(definition.get("DependsOn", []))) & names
            return explicit.union(*(references(value, names) for value in definition.values()))
        case list():
            return set[str]().union(*(references(value, names) for value in definition))
        case _:
            return set()


def graph(name: str) -> dict[str, set[str]]:
    resources = TEMPLATES[name]["Resources"]
    return {it: references(definition, set(resources)) for it, definition in resources.items()}


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_resources_wait_for_one_another(name: str) -> None:
    assert set(TopologicalSorter(graph(name)).static_order()) == set(TEMPLATES[name]["Resources"])


@pytest.mark.parametrize(
    ("name", "first", "then"),
    [
        ("function", "Logs", "Function"),
        ("function", "Role", "Permissions"),
        ("function", "Permissions", "Function"),
        ("function", "Function", "SecretsManagerMayInvoke"),
        ("function", "AlarmTopic", "AlarmRole"),
        ("secret", "Key", "Secret"),
        ("secret", "Secret", "Rotation"),
        ("secret", "Secret", "FailedRotation"),
        ("secret", "FailedRotation", "Rotation"),
    ],
)
def test_what_is_needed_is_there_before_its_user(name: str, first: str, then: str) -> None:
    waits_for = graph(name)
    seen: set[str] = set()
    ahead = {then}
    while ahead:
        seen |= ahead
        ahead = set[str]().union(*(waits_for[it] for it in ahead)) - seen

    assert first in seen


# Metrics, alarms, dashboard


def metrics_handed_out() -> tuple[str, dict[str, set[str]], set[str]]:
    """Return the namespace, the dimensions with their values, and the names of the metrics that are emitted."""
    calls = [node for room in ("logs", "step_report") for node in ast.walk(SOURCES[room]) if isinstance(node, ast.Call)]
    (made,) = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Metrics"]
    about = {keyword.arg: keyword.value for keyword in made.keywords}
    first = [(call.func.attr, call.args[0]) for call in calls if isinstance(call.func, ast.Attribute) and call.args]
    (added,) = [ast.literal_eval(argument) for name, argument in first if name == "add_dimension"]
    names = {text for name, argument in first if name == "add_metric" for text in strings(argument)}
    # The service is the function's name: tests/test_logs.py.
    return ast.literal_eval(about["namespace"]), {"service": {"Function"}, added: {it.value for it in Step}}, names


NAMESPACE, DIMENSIONS, METRICS = metrics_handed_out()


def assert_exists(namespace: str, name: str, dimensions: Mapping[str, str]) -> None:
    if namespace == "AWS/Lambda":
        # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
        assert name in {"Errors", "Throttles"}
        assert dimensions == {"FunctionName": "Function"}
        return
    assert namespace == NAMESPACE
    assert name in METRICS
    assert dimensions.keys() == DIMENSIONS.keys()
    assert all(value in DIMENSIONS[dimension] for dimension, value in dimensions.items())


def widgets() -> list[dict[str, Any]]:
    body = json.loads(function().properties("Dashboard")["DashboardBody"])
    return [widget["properties"] | {"type": widget["type"]} for widget in body["widgets"]]


def shown() -> list[tuple[str, str, dict[str, str]]]:
    """Return namespace, name and dimensions of every metric on the dashboard."""
    found = []
    for widget in widgets():
        for namespace, name, *dimensions, _options in widget.get("metrics", []):
            found.append((namespace, name, dict(zip(dimensions[::2], dimensions[1::2], strict=True))))
    return found


def test_the_dashboard_shows_every_metric_there_is_and_no_other() -> None:
    for namespace, name, dimensions in shown():
        assert_exists(namespace, name, dimensions)
    assert {name for namespace, name, _ in shown() if namespace == NAMESPACE} == METRICS


@pytest.mark.parametrize("name", ["StepsFailed", "Duration"])
def test_the_dashboard_shows_failures_and_duration_of_every_step(name: str) -> None:
    assert {dimensions["step"] for _, metric, dimensions in shown() if metric == name} == {step.value for step in Step}


def test_the_dashboard_shows_the_alarms_and_what_the_log_says_of_failures() -> None:
    stack = function()
    (alarms,) = [widget["alarms"] for widget in widgets() if widget["type"] == "alarm"]
    (query,) = [widget["query"] for widget in widgets() if widget["type"] == "log"]
    logged = {"@timestamp", "level", "message", *strings(SOURCES["step_report"])}

    assert alarms == [f"{name}.Arn" for name in stack.of_type("AWS::CloudWatch::Alarm")]
    assert query.startswith("SOURCE 'Logs' |")
    assert set(query.rpartition("display ")[2].split(", ")) <= logged


def test_every_alarm_is_on_a_metric_that_exists_rings_at_the_first_and_tells_the_topic() -> None:
    alarms = function().of_type("AWS::CloudWatch::Alarm")

    assert {alarm["MetricName"] for alarm in alarms.values()} == {"Errors", "Throttles", "TokensUnidentified"}
    for alarm in alarms.values():
        dimensions = {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}
        assert_exists(alarm["Namespace"], alarm["MetricName"], dimensions)
        assert (alarm["Statistic"], alarm["ComparisonOperator"], alarm["Threshold"]) == (
            "Sum",
            "GreaterThanThreshold",
            0,
        )
        assert alarm["EvaluationPeriods"] == 1
        assert alarm["TreatMissingData"] == "notBreaching"
        assert alarm["AlarmActions"] == ["AlarmTopic"]


@pytest.mark.parametrize(("without_role", "events"), [("true", {"events.amazonaws.com": None}), ("false", {})])
def test_alarms_of_this_account_may_publish_to_the_topic_and_rules_without_the_role_as_long_as_they_have_to(
    without_role: str, events: dict[str, None]
) -> None:
    (policy,) = function(RulesWithoutRole=without_role).of_type("AWS::SNS::TopicPolicy").values()
    publishers = {it["Principal"]["Service"]: it.get("Condition") for it in statements(policy)}

    assert policy["Topics"] == ["AlarmTopic"]
    assert all(it["Action"] == ["sns:Publish"] and it["Resource"] == ["AlarmTopic"] for it in statements(policy))
    # With a condition EventBridge would deliver nothing:
    # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
    assert publishers == {"cloudwatch.amazonaws.com": {"StringEquals": {"aws:SourceAccount": ACCOUNT}}, **events}


@pytest.mark.parametrize("key", ["", KEY])
def test_rules_of_this_account_publish_with_a_role_that_may_do_nothing_else(key: str) -> None:
    stack = function(TopicKeyArn=key)
    role = stack.properties("AlarmRole")
    (trusted,) = statements(role["AssumeRolePolicyDocument"])
    publish, *decrypt = statements(role["Policies"])

    assert trusted["Principal"] == {"Service": "events.amazonaws.com"}
    assert trusted["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {"aws:SourceArn": f"arn:aws:events:{HERE}:rule/*"},
    }
    assert (publish["Action"], publish["Resource"]) == (["sns:Publish"], ["AlarmTopic"])
    assert [(it["Action"], it["Resource"]) for it in decrypt] == (
        [(["kms:Decrypt", "kms:GenerateDataKey"], [KEY])] if key else []
    )
    assert stack.outputs["AlarmRoleArn"] == "AlarmRole.Arn"
    (target,) = secret(AlarmTopicArn=TOPIC, AlarmRoleArn=ALARM_ROLE).properties("FailedRotation")["Targets"]
    assert (target["Arn"], target["RoleArn"]) == (TOPIC, ALARM_ROLE)
    (older,) = secret(AlarmTopicArn=TOPIC).properties("FailedRotation")["Targets"]
    assert "RoleArn" not in older


def test_an_address_is_subscribed_if_there_is_one() -> None:
    subscribed = function(AlarmEmail="on-call@example.com").of_type("AWS::SNS::Subscription")

    assert list(subscribed.values()) == [
        {"TopicArn": "AlarmTopic", "Protocol": "email", "Endpoint": "on-call@example.com"}
    ]
    assert function().of_type("AWS::SNS::Subscription") == {}


def test_a_failed_or_abandoned_rotation_of_this_secret_tells_the_topic() -> None:
    rule = secret(AlarmTopicArn=TOPIC).properties("FailedRotation")

    # https://docs.aws.amazon.com/secretsmanager/latest/userguide/cloudtrail_log_entries.html
    assert rule["EventPattern"] == {
        "source": ["aws.secretsmanager"],
        "detail-type": ["AWS Service Event via CloudTrail"],
        "detail": {
            "eventSource": ["secretsmanager.amazonaws.com"],
            "eventName": ["RotationFailed", "RotationAbandoned", "TestRotationFailed"],
            "$or": [
                {"additionalEventData": {"SecretId": ["Secret"]}},
                {"serviceEventDetails": {"SecretId": ["Secret"]}},
            ],
        },
    }
    (target,) = rule["Targets"]
    assert target["Arn"] == TOPIC
    assert set(re.findall("<(.+?)>", target["InputTransformer"]["InputTemplate"])) == set(
        target["InputTransformer"]["InputPathsMap"]
    )
    assert secret().of_type("AWS::Events::Rule") == {}


def test_the_page_gives_an_attached_secret_the_same_rule() -> None:
    section = (ROOT / "docs/deploying.md").read_text(encoding="utf-8").partition("## An existing secret")[2]
    pattern = json.loads(re.findall(r"--event-pattern '(.*?)'", section, re.DOTALL)[0])

    by_hand = json.loads(json.dumps(pattern).replace("<SecretArn>", "Secret"))

    assert by_hand != pattern
    assert by_hand == secret(AlarmTopicArn=TOPIC).properties("FailedRotation")["EventPattern"]


@pytest.mark.parametrize("place", ["additionalEventData", "serviceEventDetails"])
@pytest.mark.parametrize(("arn", "matches"), [("Secret", True), ("AnotherSecret", False)])
def test_the_rule_finds_the_secret_wherever_cloudtrail_names_it(place: str, arn: str, matches: bool) -> None:
    pattern = secret(AlarmTopicArn=TOPIC).properties("FailedRotation")["EventPattern"]
    detail = {"eventSource": "secretsmanager.amazonaws.com", "eventName": "RotationFailed", place: {"SecretId": arn}}
    event = {"source": "aws.secretsmanager", "detail-type": "AWS Service Event via CloudTrail", "detail": detail}

    assert matched(pattern, event) is matches


def matched(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Tell whether an event has what a pattern asks for.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
    """
    for key, asked in pattern.items():
        if key == "$or":
            found = any(matched(choice, event) for choice in asked)
        elif isinstance(asked, dict):
            found = matched(asked, event.get(key, {}))
        else:
            found = event.get(key) in asked
        if not found:
            return False
    return True


# The secret


@pytest.mark.parametrize("token", ["", "dckr_pat_made-by-hand"])
@pytest.mark.parametrize(
    ("shape", "prefix", "keys"),
    [
        ("plain", "", set()),
        ("ecs", "", {"username", "password"}),
        ("ecr", "ecr-pullthroughcache/", {"username", "accessToken"}),
        ("dockerconfigjson", "", {"auths"}),
    ],
)
def test_the_first_value_has_the_chosen_shape_and_a_place_for_the_token(
    shape: str, prefix: str, keys: set[str], token: str
) -> None:
    stack = secret(Shape=shape, NamePrefix=prefix, Username="" if shape == "plain" else "acme", Token=token)
    value = stack.properties("Secret")["SecretString"]
    first = credential.parse(value)

    assert first.username == (None if shape == "plain" else "acme")
    assert credential.looks_like_token(first.token) == bool(token)
    assert first.token == (token or "replaced-by-the-first-rotation")
    assert (set(json.loads(value)) if keys else set()) == keys
    assert credential.parse(first.with_token("dckr_pat_new")).token == "dckr_pat_new"


def test_the_docker_config_is_the_one_that_docker_login_writes() -> None:
    value = secret(Shape="dockerconfigjson", Username="acme", Token="dckr_pat_x").properties("Secret")["SecretString"]

    auth = base64.b64encode(b"acme:dckr_pat_x").decode()
    assert json.loads(value)["auths"] == {
        "https://index.docker.io/v1/": {"username": "acme", "password": "dckr_pat_x", "auth": auth}
    }


ECR = {"Shape": "ecr", "NamePrefix": "ecr-pullthroughcache/", "Username": "acme"}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, None),
        ({"OwnKey": "true", "RotationRoleArn": ROLE}, None),
        ({"OwnKey": "true"}, "set RotationRoleArn"),
        ({"Shape": "ecs", "Username": "acme", "OwnKey": "true", "RotationRoleArn": ROLE}, None),
        ({"Shape": "ecs"}, "set Username"),
        ({"Shape": "dockerconfigjson"}, "set Username"),
        (ECR, None),
        (ECR | {"Username": ""}, "set Username"),
        (ECR | {"NamePrefix": ""}, "set NamePrefix"),
        (ECR | {"Shape": "plain"}, "set Shape to ecr"),
        (ECR | {"Shape": "ecs", "OwnKey": "true", "RotationRoleArn": ROLE}, "set Shape to ecr"),
        (ECR | {"OwnKey": "true", "RotationRoleArn": ROLE}, "set OwnKey to false"),
        (ECR | {"SecretName": "ecr-pullthroughcache/token"}, "SecretName"),
        (ECR | {"NamePrefix": "", "SecretName": "ecr-pullthroughcache/token"}, "SecretName"),
        ({"Username": 'acme", "password": "'}, "Username"),
        ({"Token": 'dckr_pat_x"'}, "Token"),
        ({"KeyAlias": "alias/aws/secretsmanager"}, "KeyAlias"),
        ({"KeyDeletionDays": "6"}, "KeyDeletionDays"),
        ({"RotationSchedule": "rate(30 days)"}, None),
        ({"RotationSchedule": "cron(0 8 1W * ? *)"}, None),
        ({"RotationSchedule": "cron(0 /4 * * ? *)"}, None),
        ({"RotationSchedule": "cron(0 */12 ? * MON-FRI *)"}, None),
        ({"RotationSchedule": "cron(0 6-22/8 * * ? *)"}, None),
        ({"RotationSchedule": "cron(0 0,4,8,12,16,20 L * ? *)"}, None),
        ({"RotationSchedule": "cron(0 23 ? 1/3 SUN#1 *)"}, None),
        ({"RotationSchedule": "rate(4 hours)"}, None),
        ({"RotationSchedule": "rate(999 days)"}, None),
        ({"RotationSchedule": "cron(30 8 1 * ? *)"}, "RotationSchedule"),
        ({"RotationSchedule": "cron(0 * * * ? *)"}, "RotationSchedule"),
        ({"RotationSchedule": "cron(0 */3 * * ? *)"}, "RotationSchedule"),
        ({"RotationSchedule": "cron(0 0/1 * * ? *)"}, "RotationSchedule"),
        ({"RotationSchedule": "cron(0 8-20 * * ? *)"}, "RotationSchedule"),
        ({"RotationSchedule": "cron(0 0,3,6,9,12,15,18 * * ? *)"}, "RotationSchedule"),
        ({"RotationSchedule": "cron(0 24 1 * ? *)"}, "RotationSchedule"),
        ({"RotationSchedule": "cron(0 8 1 * MON *)"}, "RotationSchedule"),
        ({"RotationSchedule": "cron(0 8 1 * ? 2027)"}, "RotationSchedule"),
        ({"RotationSchedule": "rate(3 hours)"}, "RotationSchedule"),
        ({"RotationSchedule": "rate(1 hour)"}, "RotationSchedule"),
        ({"RotationSchedule": "rate(30 minutes)"}, "RotationSchedule"),
        ({"RotationSchedule": "rate(1000 days)"}, "RotationSchedule"),
        ({"RotationWindow": "30m"}, "RotationWindow"),
        ({"RotationWindow": "25h"}, "RotationWindow"),
        ({"ResourcePolicy": "arn:aws:iam::123456789012:policy/reader"}, "ResourcePolicy"),
    ],
)
def test_a_secret_that_can_not_work_is_refused(values: dict[str, str], told: str | None) -> None:
    assert_refused(secret, values, told)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, None),
        ({"SubnetIds": "subnet-0a"}, "needs both"),
        ({"SecurityGroupIds": "sg-0a"}, "needs both"),
        ({"SubnetIds": "subnet-0a", "SecurityGroupIds": "sg-0a,sg-0b"}, None),
        ({"CaBundle": "/opt/ca.pem"}, None),
        ({"CaLayerArn": OTHER_LAYER}, "set CaBundle"),
        ({"HttpsProxy": "http://user:password@proxy:3128"}, "HttpsProxy"),
        ({"HttpsProxy": "socks5://proxy:1080"}, "HttpsProxy"),
        ({"Secrets": ""}, "Secrets"),
        ({"Runtime": "python3.11"}, "Runtime"),
        ({"MemorySize": "64"}, "MemorySize"),
        ({"Timeout": "901"}, "Timeout"),
        ({"ReservedConcurrency": "1"}, "ReservedConcurrency"),
        ({"ProjectName": "Acme"}, "ProjectName"),
        ({"ProjectName": "a" * 33}, "ProjectName"),
        ({"ExtensionLayerArn": LAYER.rpartition(":")[0]}, "ExtensionLayerArn"),
        ({"ParametersKeyArn": "alias/aws/ssm"}, "ParametersKeyArn"),
    ],
)
def test_a_function_that_can_not_work_is_refused(values: dict[str, str], told: str | None) -> None:
    assert_refused(function, values, told)


def assert_refused(deploy: Callable[..., Stack], values: dict[str, str], told: str | None) -> None:
    if told is None:
        deploy(**values)
    else:
        with pytest.raises(RefusedByTemplate, match=told):
            deploy(**values)


def test_the_default_is_the_first_monday_of_the_month_with_room_for_repeats() -> None:
    assert secret().properties("Rotation") == {
        "SecretId": "Secret",
        "RotationLambdaARN": FUNCTION,
        "RotationRules": {"ScheduleExpression": "cron(0 0 ? * 2#1 *)", "Duration": "4h"},
        "RotateImmediatelyOnUpdate": "true",
    }


def test_the_secrets_own_key_serves_this_secret_alone() -> None:
    stack = secret(OwnKey="true", RotationRoleArn=ROLE, SecretName="hub/token")
    key = stack.properties("Key")
    to_iam, to_the_function = statements(key["KeyPolicy"])

    assert to_iam == LEFT_TO_IAM
    assert to_the_function["Principal"] == {"AWS": ROLE}
    assert set(to_the_function["Action"]) == KEYS_OF_SECRETS
    assert to_the_function["Condition"] == {
        "StringEquals": {"kms:ViaService": [f"secretsmanager.{REGION}.amazonaws.com"] * 2},
        "StringLike": {"kms:EncryptionContext:SecretARN": f"arn:aws:secretsmanager:{HERE}:secret:hub/token-??????"},
    }
    assert stack.properties("Secret")["Name"] == "hub/token"
    assert stack.properties("Secret")["KmsKeyId"] == "Key.Arn"
    assert key["EnableKeyRotation"] is True
    assert stack.properties("KeyAliasName") == {"AliasName": "alias/a-stack", "TargetKeyId": "Key"}


def test_without_an_own_key_there_is_none() -> None:
    stack = secret()

    assert {it["Type"] for it in stack.resources.values()} == {
        "AWS::SecretsManager::Secret",
        "AWS::SecretsManager::RotationSchedule",
    }
    assert "KmsKeyId" not in stack.properties("Secret")
    assert stack.outputs == {"SecretArn": "Secret"}


# CloudFormation stores the value again, over the live token, as soon as one byte of this is another.
FIRST_VALUES = {
    "plain": "replaced-by-the-first-rotation",
    "ecs": '{"username": "acme", "password": "replaced-by-the-first-rotation"}',
    "ecr": '{"username": "acme", "accessToken": "replaced-by-the-first-rotation"}',
    "dockerconfigjson": (
        '{"auths": {"https://index.docker.io/v1/": {"username": "acme", "password": "replaced-by-the-first-rotation", '
        '"auth": "YWNtZTpyZXBsYWNlZC1ieS10aGUtZmlyc3Qtcm90YXRpb24="}}}'
    ),
}


@pytest.mark.parametrize("token", ["", "dckr_pat_made-by-hand"])
@pytest.mark.parametrize("shape", FIRST_VALUES)
def test_not_one_byte_of_the_first_value_changes_from_version_to_version(shape: str, token: str) -> None:
    value = FIRST_VALUES[shape].replace("replaced-by-the-first-rotation", token or "replaced-by-the-first-rotation")
    if token:
        of_the_placeholder, ours = (
            base64.b64encode(f"acme:{it}".encode()).decode() for it in ("replaced-by-the-first-rotation", token)
        )
        value = value.replace(of_the_placeholder, ours)

    stack = secret(**(ECR if shape == "ecr" else {"Shape": shape, "Username": "acme"}), Token=token)

    assert stack.properties("Secret")["SecretString"] == value


def test_no_update_takes_the_secret_or_its_key_away_and_no_failed_creation_leaves_them() -> None:
    """What OwnKey=false takes out of the stack, DeletionPolicy speaks for."""
    stack = secret(OwnKey="true", RotationRoleArn=ROLE)
    policies = {
        name: (stack.resources[name]["DeletionPolicy"], stack.resources[name]["UpdateReplacePolicy"])
        for name in ("Secret", "Key")
    }

    assert policies == {"Secret": ("Delete", "Retain"), "Key": ("RetainExceptOnCreate", "Retain")}
    assert "Key" not in secret(OwnKey="false", RotationRoleArn=ROLE).resources


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_creation_that_fails_leaves_nothing(name: str) -> None:
    for resource in TEMPLATES[name]["Resources"].values():
        assert resource.get("DeletionPolicy", "Delete") in ("Delete", "RetainExceptOnCreate")


def test_a_resource_policy_is_put_on_the_secret_and_opens_it_to_nobody() -> None:
    policy = '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny"}]}'

    assert secret(ResourcePolicy=policy).properties("SecretPolicy") == {
        "SecretId": "Secret",
        "BlockPublicPolicy": True,
        "ResourcePolicy": policy,
    }
    assert "SecretPolicy" not in secret().resources


def test_with_two_factor_login_the_window_is_an_hour() -> None:
    assert function().outputs["RotationWindow"] == "4h"
    assert function(TotpParameter="/hub/totp").outputs["RotationWindow"] == "1h"
    assert secret(RotationWindow=function(TotpParameter="TOTP").outputs["RotationWindow"]).properties("Rotation")[
        "RotationRules"
    ] == {"ScheduleExpression": "cron(0 0 ? * 2#1 *)", "Duration": "1h"}


def test_the_token_that_is_handed_in_is_never_shown() -> None:
    assert TEMPLATES["secret"]["Parameters"]["Token"]["NoEcho"] is True
    assert not any("Token" in json.dumps(output) for output in TEMPLATES["secret"]["Outputs"].values())


# The bucket


def test_the_bucket_is_private_versioned_encrypted_and_stays() -> None:
    stack = bucket()
    archive = stack.properties("Archive")

    assert archive["BucketName"] == f"dockerhub-rotation-{ACCOUNT}-{REGION}"
    assert set(archive["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(archive["PublicAccessBlockConfiguration"]) == 4
    assert archive["VersioningConfiguration"] == {"Status": "Enabled"}
    (encryption,) = archive["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    (rule,) = archive["LifecycleConfiguration"]["Rules"]
    assert rule["Status"] == "Enabled"
    assert rule["NoncurrentVersionExpiration"] == {"NewerNoncurrentVersions": 3, "NoncurrentDays": 365}
    for resource in stack.resources.values():
        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mine", "mine"),
        ("", f"team-b-lambda-archive-{REGION}"),
        ("<project>-<account>-<Region>", f"team-b-{ACCOUNT}-{REGION}"),
    ],
)
def test_the_bucket_has_the_name_that_it_is_given_and_that_of_an_older_stack_stays(name: str, expected: str) -> None:
    assert bucket(ProjectName="team-b", BucketName=name).properties("Archive")["BucketName"] == expected


def test_the_bucket_is_reached_through_tls_only() -> None:
    (denied,) = statements(bucket().properties("ArchivePolicy"))

    assert (denied["Effect"], denied["Principal"], denied["Action"]) == ("Deny", "*", ["s3:*"])
    assert denied["Resource"] == ["arn:aws:s3:::Archive", "arn:aws:s3:::Archive/*"]
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_the_longest_project_name_fits_into_the_bucket_name() -> None:
    longest = "a" * TEMPLATES["bucket"]["Parameters"]["ProjectName"]["MaxLength"]

    assert len(bucket(ProjectName=longest).properties("Archive")["BucketName"].replace(REGION, "ap-southeast-2")) <= 63


# All three


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_command_line_can_deploy_it_without_a_bucket(name: str) -> None:
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
    assert (ROOT / f"infra/{name}.yaml").stat().st_size <= 51_200


PARTITIONS = {
    "aws": (REGION, "amazonaws.com", f"{REGION}.console.aws.amazon.com"),
    "aws-cn": ("cn-north-1", "amazonaws.com.cn", "cn-north-1.console.amazonaws.cn"),
    "aws-us-gov": ("us-gov-west-1", "amazonaws.com", "us-gov-west-1.console.amazonaws-us-gov.com"),
}


@pytest.mark.parametrize("partition", PARTITIONS)
@pytest.mark.parametrize("name", TEMPLATES)
def test_in_every_partition_arns_and_urls_are_its_own(name: str, partition: str) -> None:
    region, suffix, console = PARTITIONS[partition]
    pseudo = {"AWS::Partition": partition, "AWS::Region": region, "AWS::URLSuffix": suffix}
    given = {key: value.replace("arn:aws:", f"arn:{partition}:") for key, value in EVERYTHING[name].items()}
    needed = {
        "bucket": {},
        "function": {"ArtifactBucket": "archive", "ArtifactKey": "package.zip"},
        "secret": {"RotationFunctionArn": FUNCTION.replace("arn:aws:", f"arn:{partition}:")},
    }
    stack = Stack(TEMPLATES[name], given | needed[name], pseudo)
    texts = [*strings_in(stack.resources), *strings_in(stack.outputs)]

    assert {arn for text in texts for arn in re.findall(r"arn:([a-z*-]+):", text)} - {"*"} == {partition}
    assert [text for text in texts if REGION in text and region != REGION and "arn:" not in text] == []
    if name == "function":
        assert stack.outputs["DashboardUrl"].startswith(f"https://{console}/cloudwatch/home?region={region}#")
        assert permission(stack, "kms:GenerateDataKey")["Condition"]["StringEquals"]["kms:ViaService"] == [
            f"secretsmanager.{region}.amazonaws.com",
            f"secretsmanager.{region}.{suffix}",
        ]


def strings_in(node: Any) -> Iterator[str]:
    match node:
        case dict():
            yield from strings_in(list(node.values()))
        case list():
            for part in node:
                yield from strings_in(part)
        case str():
            yield node


def test_two_projects_and_two_regions_get_in_no_ones_way() -> None:
    """All that has a name of its own in the account, or in the world."""
    names = [
        name
        for project in ("team-a", "team-b")
        for region in ("eu-central-1", "us-east-1")
        for name in unique_names(project, region)
    ]

    assert len(names) == len(set(names))


def unique_names(project: str, region: str) -> Iterator[str]:
    given = {"ProjectName": project, "ArtifactBucket": "archive", "ArtifactKey": "package.zip"}
    made = Stack(TEMPLATES["function"], given, {"AWS::Region": region})
    archive = Stack(TEMPLATES["bucket"], {"ProjectName": project}, {"AWS::Region": region})
    variables = made.properties("Function")["Environment"]["Variables"]
    yield "dashboard " + made.properties("Dashboard")["DashboardName"]
    yield "bucket " + archive.properties("Archive")["BucketName"]
    # These have a Region each.
    yield f"{region} function " + made.properties("Function")["FunctionName"]
    yield f"{region} logs " + made.properties("Logs")["LogGroupName"]
    yield f"{region} topic " + made.properties("AlarmTopic")["TopicName"]
    yield from (f"{region} alarm {it['AlarmName']}" for it in made.of_type("AWS::CloudWatch::Alarm").values())
    yield f"{region} parameter " + variables["DOCKERHUB_USERNAME_PARAMETER"]
    yield f"{region} parameter " + variables["DOCKERHUB_PASSWORD_PARAMETER"]


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_parameter_is_explained_labelled_and_in_one_group(name: str) -> None:
    template = TEMPLATES[name]
    parameters = template["Parameters"]
    interface = template["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [parameter for group in interface["ParameterGroups"] for parameter in group["Parameters"]]

    assert sorted(grouped) == sorted(parameters)
    assert interface["ParameterLabels"].keys() == parameters.keys()
    assert all(it["Description"] for it in [template, *parameters.values(), *template["Outputs"].values()])
    assert all("ConstraintDescription" in it for it in parameters.values() if "AllowedPattern" in it)


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_default_is_allowed(name: str) -> None:
    for parameter, definition in TEMPLATES[name]["Parameters"].items():
        if "Default" in definition:
            checked(parameter, definition, None)


@pytest.mark.parametrize(
    ("name", "outputs"),
    [
        ("bucket", {"BucketName"}),
        (
            "function",
            {
                "FunctionArn",
                "RoleArn",
                "AlarmTopicArn",
                "AlarmRoleArn",
                "LogGroupName",
                "DashboardUrl",
                "RotationWindow",
            },
        ),
        ("secret", {"SecretArn", "KeyArn"}),
    ],
)
def test_the_stack_tells_what_the_next_one_needs(name: str, outputs: set[str]) -> None:
    assert DEPLOY[name](**EVERYTHING[name]).outputs.keys() == outputs


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_finding_that_is_passed_over_says_why(name: str) -> None:
    for resource in TEMPLATES[name]["Resources"].values():
        metadata = resource.get("Metadata", {})
        assert metadata.keys() <= {"checkov", "ComesAfter"}
        for skipped in metadata.get("checkov", {}).get("skip", []):
            assert len(skipped["comment"]) > 40
