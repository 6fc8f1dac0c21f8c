"""The deployment: with the real AWS CLI against an emulator, and with one that answers from a table.

The emulator, ministack, is not AWS. What is different, and what is done about it:

- It knows no `AWS::SecretsManager::RotationSchedule`. The third template goes without it, and rotation is attached to
  a secret by `aws secretsmanager rotate-secret`, as the README says for an existing one.
- Its `RotateSecret` calls no function, but makes a copy of the current version current; its pending versions have a
  value from the start, and `PutSecretValue` overwrites it. So the secret that is rotated is in the rehearsal's Secrets
  Manager, which rotates as AWS does and calls the function that is deployed in the emulator.
- To a template, `!Ref` of a secret is its name, not its ARN.
- It enforces no policy, so nothing here tells whether the function's role may do what it does. It runs every function
  with its own Python, on this machine's processor.
- A log event has no id, and a stack operation has ended as soon as it has begun.
"""

from __future__ import annotations

import getpass
import importlib.util
import io
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Thread
from types import MappingProxyType
from typing import Any
from unittest import mock

import boto3
import pytest

from rehearsal.docker_hub import DockerHub
from rehearsal.secrets_manager import Aws
from rehearsal.wire import Server

pytestmark = pytest.mark.xdist_group("deploy")  # they share what is built once

ROOT = Path(__file__).parents[2]
EMULATOR = ROOT / ".venv" / "emulator" / "bin" / "python"
AWS_CLI = Path(sys.executable).with_name("aws")

REGION = "eu-central-1"
ACCOUNT = "123456789012"
PROJECT = "acme-rotation"
BUCKET = f"{PROJECT}-lambda-archive-{REGION}"
FUNCTION_ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{PROJECT}"
SECRET = "acme/token"


# --- With the real AWS CLI, against the emulator ---


@contextmanager
def emulator(folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Run ministack on a free loopback port and return its URL; its functions inherit the environment."""
    assert EMULATOR.exists(), "`make test` sets up .venv/emulator"
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [EMULATOR, "-m", "ministack"],
        env={
            "PATH": os.environ["PATH"],
            "TMPDIR": str(folder),
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "MINISTACK_REGION": REGION,
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout
    try:
        assert any("Running on http" in line for line in process.stdout), "it did not start"
        reader = Thread(target=process.stdout.read, daemon=True)  # a full pipe would stop it
        reader.start()
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # and with it the processes of its functions
        process.wait()
        reader.join()
        process.stdout.close()


@dataclass(frozen=True)
class Run:
    """A command that has ended."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Look:
    """What is so at one moment.

    Attributes:
        current: the value under AWSCURRENT.
        labels: version id to staging labels.
        tokens: every token at Docker Hub, by its value, and whether it is active.
    """

    current: str
    labels: Mapping[str, set[str]]
    tokens: Mapping[str, bool]


@dataclass
class Story:
    """A deployment from beginning to end, and what was so after each chapter.

    Attributes:
        account: the user name and the password that were entered.
        runs: the commands of infra/deploy.py, by what they were for.
        looks: the world before any rotation, after the first, after that of `rotate`, and after one in vain.
        stored: type and value of each parameter in Parameter Store.
        changes: how many events the stacks and versions the bucket had, before and after the second deployment.
        left: what is there at the end, by service.
    """

    account: tuple[str, str]
    runs: dict[str, Run] = field(default_factory=dict)
    looks: list[Look] = field(default_factory=list)
    stored: dict[str, tuple[str, str]] = field(default_factory=dict)
    changes: list[tuple[int, int]] = field(default_factory=list)
    left: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class World:
    """A clone, an account at Docker Hub and one at AWS, and somebody at the command line.

    Attributes:
        secrets_manager: the rehearsal's, which calls the function that is deployed in the emulator.
        client: returns boto3's client of a service of the emulator.
        environment: of the commands.
        aws_cli: the AWS CLI that they take.
    """

    clone: Path
    hub: DockerHub
    hub_url: str
    secrets_manager: Aws
    client: Callable[[str], Any]
    environment: Mapping[str, str]
    aws_cli: Path

    def run(self, *arguments: str, stdin: str = "") -> Run:
        """Run a command of infra/deploy.py."""
        done = subprocess.run(
            [sys.executable, self.clone / "infra" / "deploy.py", *arguments, "--project", PROJECT],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def enter_credentials(self) -> Run:
        return self.run("credentials", stdin=f"{self.hub.username}\n{self.hub.password}\n")

    def stored(self) -> dict[str, tuple[str, str]]:
        """Return type and value of each parameter in Parameter Store."""
        names = ["DOCKER_HUB_USERNAME", "DOCKER_HUB_PASSWORD"]
        found = self.client("ssm").get_parameters(Names=names, WithDecryption=True)["Parameters"]
        return {it["Name"]: (it["Type"], it["Value"]) for it in found}

    def deploy_function(self) -> Run:
        urls = f"ApiUrl={self.hub_url} AuthUrl={self.hub_url} RegistryUrl={self.hub_url}"
        return self.run("deploy", "--only", "function", "--function-parameters", urls)

    def attach(self) -> None:
        """Attach the function to the secret, as the README says."""
        attach = (*("--secret-id", SECRET, "--rotation-lambda-arn", FUNCTION_ARN), *("--rotation-rules", RULES))
        subprocess.run(
            [self.aws_cli, "secretsmanager", "rotate-secret", *attach, "--region", REGION],
            env=self.environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        self.secrets_manager.wait()

    def look(self) -> Look:
        self.secrets_manager.wait()
        labels = {version: labels for version, labels in self.secrets_manager.labels(SECRET).items() if labels}
        tokens = {token.value: token.active for token in self.hub.tokens.values()}
        return Look(self.secrets_manager.value(SECRET) or "", labels, tokens)

    def left(self) -> dict[str, list[str]]:
        """Return what is there, by service."""
        found = {service: getattr(self.client(service), operation)()[answer] for service, operation, answer in LISTS}
        return {service: [str(it) for it in those] for service, those in found.items() if those}


@contextmanager
def world(aws_cli: Path, folders: pytest.TempPathFactory) -> Iterator[World]:
    with ExitStack() as stack:
        clone, folder = folders.mktemp("clone"), folders.mktemp("emulator")
        make_clone(clone)
        hub = DockerHub()
        hub_url = stack.enter_context(Server(hub.app)).url
        secrets_manager = Aws(invoke=lambda event: invoke(client("lambda"), event), account_id=ACCOUNT, attempts=1)
        secrets_url = stack.enter_context(Server(secrets_manager.app)).url
        to_secrets = {"AWS_ENDPOINT_URL_SECRETS_MANAGER": secrets_url}
        url = stack.enter_context(emulator(folder, to_secrets))
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "AWS_CLI": str(aws_cli),
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": url,
            **to_secrets,
        }

        @cache
        def client(service: str) -> Any:
            session = boto3.Session(ACCOUNT, "test", region_name=REGION)
            return stack.enter_context(closing(session.client(service, endpoint_url=url)))  # type: ignore[call-overload]

        yield World(clone, hub, hub_url, secrets_manager, client, environment, aws_cli)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with world(AWS_CLI, tmp_path_factory) as there:
        yield tell(there)


def tell(world: World) -> Story:
    """Deploy from a clone, rotate, deploy again and destroy, as the README says."""
    hub, story = world.hub, Story((world.hub.username, world.hub.password))

    def count() -> None:
        stacks = [f"{PROJECT}-{kind}" for kind in ("bucket", "function", "secret")]
        formation, storage = world.client("cloudformation"), world.client("s3")
        events = [formation.describe_stack_events(StackName=stack)["StackEvents"] for stack in stacks]
        story.changes.append((sum(map(len, events)), len(storage.list_object_versions(Bucket=BUCKET)["Versions"])))

    story.runs["credentials"] = world.enter_credentials()
    story.stored = world.stored()
    story.runs["bucket"] = world.run("deploy", "--only", "bucket")
    story.runs["package"] = world.run("deploy", "--only", "package")
    story.runs["function"] = world.deploy_function()

    world.secrets_manager.create_secret(SECRET, hub.add_token("made by hand").value)
    story.looks.append(world.look())
    world.attach()
    story.looks.append(world.look())
    story.runs["rotate"] = world.run("rotate", "--secret", SECRET)
    story.looks.append(world.look())
    hub.max_tokens = len(hub.tokens)
    story.runs["rotate in vain"] = world.run("rotate", "--secret", SECRET)
    story.looks.append(world.look())

    story.runs["secret"] = world.run("deploy", "--only", "secret")
    count()
    story.runs["deploy again"] = world.run("deploy")
    count()

    story.runs["destroy"] = world.run("destroy", "--yes")
    story.left = world.left()
    story.runs["bucket once more"] = world.run("deploy", "--only", "bucket")
    return story


def version_2() -> str | None:
    """Return the path of an AWS CLI of version 2, if there is one."""
    for place in [*os.environ["PATH"].split(os.pathsep), "/usr/local/bin", "/usr/bin", "/opt/homebrew/bin"]:
        found = shutil.which("aws", path=place)
        if found and subprocess.run([found, "--version"], capture_output=True).stdout.startswith(b"aws-cli/2"):
            return found
    return None


# The first releases of version 2 do not know AWS_ENDPOINT_URL.
SAYS_WHERE = """#!/bin/sh
case $1 in
    secretsmanager) url=$AWS_ENDPOINT_URL_SECRETS_MANAGER ;;
    *) url=$AWS_ENDPOINT_URL ;;
esac
exec {} "$@" --endpoint-url "$url"
"""


def test_with_version_2_of_the_cli_it_is_the_same(tmp_path_factory: pytest.TempPathFactory) -> None:
    aws = version_2()
    if not aws:
        pytest.skip("there is no AWS CLI version 2 here; Debian's package awscli is one")
    wrapper = tmp_path_factory.mktemp("aws") / "aws"
    wrapper.write_text(SAYS_WHERE.format(shlex.quote(aws)))
    wrapper.chmod(0o755)

    with world(wrapper, tmp_path_factory) as there:
        runs = [there.enter_credentials(), there.run("deploy", "--only", "bucket")]
        runs += [there.run("deploy", "--only", "package"), there.deploy_function()]
        there.secrets_manager.create_secret(SECRET, there.hub.add_token("made by hand").value)
        before = there.look()
        there.attach()
        between = there.look()
        rotation, again = there.run("rotate", "--secret", SECRET), there.run("deploy", "--only", "bucket")
        after, stored = there.look(), there.stored()
        runs += [rotation, again, there.run("destroy", "--yes")]

        assert [run.err for run in runs if run.status != 0] == []
        assert [value for _, value in stored.values()] == [there.hub.username, there.hub.password]
        assert between.tokens == {before.current: False, between.current: True}
        assert after.tokens == {between.current: False, after.current: True}
        assert re.findall(r"INFO +(\w+)", rotation.out) == ["createSecret", "setSecret", "testSecret", "finishSecret"]
        assert "is up to date" in again.out
        assert list(there.left()) == ["s3"]


RULES = "AutomaticallyAfterDays=30"
LISTS = (
    ("s3", "list_buckets", "Buckets"),
    ("lambda", "list_functions", "Functions"),
    ("iam", "list_roles", "Roles"),
    ("secretsmanager", "list_secrets", "SecretList"),
    ("sns", "list_topics", "Topics"),
    ("events", "list_rules", "Rules"),
    ("cloudwatch", "describe_alarms", "MetricAlarms"),
    ("cloudwatch", "list_dashboards", "DashboardEntries"),
    ("logs", "describe_log_groups", "logGroups"),
)


def make_clone(folder: Path) -> None:
    """Make a clone of the repository, as far as it is deployed, with the package built.

    The third template loses what the emulator does not know.
    """
    shutil.copytree(ROOT / "infra", folder / "infra", ignore=shutil.ignore_patterns("__pycache__"))
    template = folder / "infra" / "secret.yaml"
    text, found = re.subn(r"\n  Rotation:\n.*?(?=\n\S)", "", template.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert found == 1
    template.write_text(text, encoding="utf-8")
    archive = folder / "dist" / "dockerhub-rotation.zip"
    subprocess.run([sys.executable, ROOT / "infra" / "package.py", archive], check=True, stdout=subprocess.DEVNULL)


def invoke(functions: Any, event: Mapping[str, str]) -> None:
    """Call the deployed function as Secrets Manager does."""
    answer = functions.invoke(FunctionName=FUNCTION_ARN, Payload=json.dumps(event))
    body = answer["Payload"].read().decode()
    assert "FunctionError" not in answer, body


def test_every_command_succeeds_but_the_rotation_that_cannot(story: Story) -> None:
    failed = {purpose: run.err for purpose, run in story.runs.items() if run.status != 0}

    assert list(failed) == ["rotate in vain"], failed


def test_the_credential_is_stored_encrypted(story: Story) -> None:
    assert story.stored == {
        "DOCKER_HUB_USERNAME": ("SecureString", story.account[0]),
        "DOCKER_HUB_PASSWORD": ("SecureString", story.account[1]),
    }


def test_the_deployed_function_rotates_a_secret_that_is_attached_to_it(story: Story) -> None:
    before, after = story.looks[:2]

    assert before.current != after.current
    assert after.tokens == {before.current: False, after.current: True}
    assert sorted(map(sorted, after.labels.values())) == [["AWSCURRENT"], ["AWSPREVIOUS"]]


def test_rotate_rotates_and_follows_it_to_the_end(story: Story) -> None:
    before, after = story.looks[1:3]

    assert after.tokens == {before.current: False, after.current: True}
    (version,) = after.labels.keys() - before.labels.keys()
    assert "AWSCURRENT" in after.labels[version]
    out = story.runs["rotate"].out
    assert f"version {version} is current" in out
    assert f"version  {version} AWSCURRENT" in out
    assert re.findall(r"INFO +(\w+)", out) == ["createSecret", "setSecret", "testSecret", "finishSecret"]


def test_a_rotation_in_vain_says_why_and_how_to_drop_it(story: Story) -> None:
    before, after = story.looks[2:4]
    run = story.runs["rotate in vain"]

    assert run.status == 1
    assert before.current == after.current
    assert after.tokens == before.tokens
    (version,) = after.labels.keys() - before.labels.keys()
    assert re.search(r"ERROR +createSecret", run.out)
    assert "failed in createSecret" in run.err
    assert f"--version-stage AWSPENDING --remove-from-version-id {version}" in run.err


def test_a_second_deployment_changes_nothing_and_says_so(story: Story) -> None:
    assert story.changes[0] == story.changes[1]
    again = story.runs["deploy again"].out
    assert re.findall(r"^(\w+) .* is (?:up to date|there already)$", again, re.MULTILINE) == [
        "bucket",
        "package",
        "function",
        "secret",
    ]


def test_the_outputs_are_shown(story: Story) -> None:
    assert re.search(rf"FunctionArn +{FUNCTION_ARN}\n", story.runs["function"].out)
    assert re.search(r"SecretArn +\S*dockerhub-token", story.runs["secret"].out)


def test_destroy_leaves_nothing_but_the_bucket_and_says_so(story: Story) -> None:
    assert list(story.left) == ["s3"]
    assert BUCKET in story.left["s3"][0]
    stays = re.findall(r"^stays +(.*?):", story.runs["destroy"].out, re.MULTILINE)
    assert stays == [
        "the rotation of secrets that you attached yourself, which fails from now on",
        f"the bucket {BUCKET}",
        "the parameter DOCKER_HUB_USERNAME",
        "the parameter DOCKER_HUB_PASSWORD",
    ]


def test_what_destroy_leaves_behind_serves_the_next_deployment(story: Story) -> None:
    assert "is used as it is" in story.runs["bucket once more"].out


def test_no_secret_is_printed(story: Story) -> None:
    secrets = {story.account[1], *(token for look in story.looks for token in look.tokens)}
    said = "".join(run.out + run.err for run in story.runs.values())

    assert [secret for secret in secrets if secret in said] == []


# --- With an AWS CLI that answers from a table ---


def program() -> Any:
    """Return infra/deploy.py as a module."""
    spec = importlib.util.spec_from_file_location("deploy", ROOT / "infra" / "deploy.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["deploy"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


DEPLOY = program()

FAKE = """#!{python} -IS
import json, os, pathlib, sys
here = pathlib.Path({here!r})
command, stdin = " ".join(sys.argv[1:]), sys.stdin.read()
with (here / "calls").open("a") as calls:
    regions = [os.environ.get("AWS_REGION"), os.environ.get("AWS_DEFAULT_REGION")]
    calls.write(json.dumps([command, stdin, regions]) + "\\n")
answers = json.loads((here / "answers").read_text())
key = max((key for key in answers if command.startswith(key)), key=len)
earlier = [json.loads(line)[0] for line in (here / "calls").read_text().splitlines()]
number = sum(call.startswith(key) for call in earlier) - 1
if number > 100:
    sys.exit("asked for ever")
answer = answers[key][min(number, len(answers[key]) - 1)]
if isinstance(answer, str):
    sys.exit(answer)
print(*answer if isinstance(answer, list) else [json.dumps(answer)])
"""


class FakeCli:
    """An aws command that answers from a table, and remembers what it was asked.

    Attributes:
        answers: what to answer to a command that begins so (the longest beginning that fits counts), one answer after
            the other, the last for ever. A string is an error, a list plain text.
    """

    def __init__(self, folder: Path) -> None:
        self.answers: dict[str, list[Any]] = {
            "--version": [["aws-cli/2.0"]],
            "sts get-caller-identity": [{"Account": ACCOUNT}],
            "configure get region": [""],
            "cloudformation describe-stacks": [error("ValidationError", "Stack with id x does not exist")],
            "cloudformation describe-stacks --output": [{"Stacks": []}],
            "cloudformation describe-stacks --stack-name stack-id": [stacks(a_stack())],
            "cloudformation get-template-summary": [{"Parameters": FUNCTION}],
            "cloudformation create-change-set": [{"Id": "change", "StackId": "stack-id"}],
            "cloudformation describe-change-set": [{"Status": "FAILED", "StatusReason": "didn't contain changes"}],
            "cloudformation": [{}],
            "s3api": [{}],
            "ssm get-parameters": [{"Parameters": [], "InvalidParameters": []}],
            "ssm": [{}],
        }
        self._folder = folder
        program = folder / "aws"
        program.write_text(FAKE.format(python=sys.executable, here=str(folder)))
        program.chmod(0o755)

    def run(self, *arguments: str) -> int:
        (self._folder / "answers").write_text(json.dumps(self.answers))
        status = DEPLOY.main(arguments)
        assert isinstance(status, int)
        return status

    def calls(self, beginning: str = "") -> list[tuple[str, str]]:
        """Return the commands that begin so, and their standard input."""
        return [(command, stdin) for command, stdin, _ in self._calls() if command.startswith(beginning)]

    def regions(self) -> list[list[str | None]]:
        """Return the Regions that the commands were told, each in two ways."""
        return [regions for _, _, regions in self._calls()]

    def _calls(self) -> list[Any]:
        calls = self._folder / "calls"
        return [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []


FUNCTION = [
    {"ParameterKey": "UsernameParameter", "DefaultValue": "DOCKER_HUB_USERNAME"},
    {"ParameterKey": "PasswordParameter", "DefaultValue": "DOCKER_HUB_PASSWORD"},
    {"ParameterKey": "TotpParameter", "DefaultValue": ""},
    {"ParameterKey": "SlackWebhookParameter", "DefaultValue": ""},
    {"ParameterKey": "ParametersKeyArn", "DefaultValue": ""},
    *({"ParameterKey": key} for key in ("ProjectName", "ArtifactBucket", "ArtifactKey")),
]
BUCKET_STACK = "cloudformation describe-stacks --stack-name dockerhub-rotation-bucket"
FUNCTION_STACK = "cloudformation describe-stacks --stack-name dockerhub-rotation-function"
SECRET_STACK = "cloudformation describe-stacks --stack-name dockerhub-rotation-secret"


def error(code: str, message: str) -> str:
    return f"\nAn error occurred ({code}) when calling the SomeThing operation: {message}"


NONE: Mapping[str, str] = MappingProxyType({})


def a_stack(
    name: str = "dockerhub-rotation-bucket",
    status: str = "CREATE_COMPLETE",
    parameters: Mapping[str, str] = NONE,
    outputs: Mapping[str, str] = NONE,
) -> dict[str, Any]:
    return {
        "StackName": name,
        "StackId": "stack-id",
        "StackStatus": status,
        "Parameters": [
            {"ParameterKey": key, "ParameterValue": value}
            for key, value in {"ProjectName": "dockerhub-rotation", **parameters}.items()
        ],
        "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
    }


def stacks(*those: dict[str, Any]) -> dict[str, Any]:
    return {"Stacks": list(those)}


def event(status: str, token: str, resource: str = "it", reason: str = "") -> dict[str, str]:
    """Return what happened to a resource, or to the stack itself."""
    return {
        "EventId": f"{resource} {status} {token}",
        "LogicalResourceId": resource,
        "PhysicalResourceId": "stack-id" if resource == "it" else resource,
        "ResourceType": "AWS::S3::Bucket",
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
        "ClientRequestToken": token,
    }


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: object) -> FakeCli:
    """Return the only aws command there is; nobody is at the terminal, and nobody waits."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(DEPLOY, "ROOT", tmp_path)
    monkeypatch.setattr(DEPLOY, "ARCHIVE", tmp_path / "dockerhub-rotation.zip")
    (tmp_path / "dockerhub-rotation.zip").write_bytes(b"package")
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    return FakeCli(tmp_path)


def test_without_an_aws_command_it_says_where_to_get_one(
    cli: FakeCli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    assert cli.run("deploy") == 1

    assert "install the AWS CLI, or run `make setup`" in capsys.readouterr().err


def test_without_one_on_the_path_it_takes_that_of_the_environment(
    cli: FakeCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / "aws").rename(tmp_path / ".venv" / "bin" / "aws")

    assert cli.run("destroy") == 0


@pytest.mark.parametrize("broken", ["#!/bin/sh\nexit 127\n", "#!/nowhere/python\n"])
def test_instead_of_one_that_does_not_run_it_takes_that_of_the_environment(
    cli: FakeCli, tmp_path: Path, broken: str
) -> None:
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / "aws").rename(tmp_path / ".venv" / "bin" / "aws")
    (tmp_path / "aws").write_text(broken)
    (tmp_path / "aws").chmod(0o755)

    assert cli.run("destroy") == 0


def test_the_one_that_is_named_is_taken(
    cli: FakeCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "aws").rename(tmp_path / "aws-of-mine")

    monkeypatch.setenv("AWS_CLI", str(tmp_path / "aws-of-mine"))
    assert cli.run("destroy") == 0

    monkeypatch.setenv("AWS_CLI", "aws-of-yours")
    assert cli.run("destroy") == 1
    assert "AWS_CLI names aws-of-yours" in capsys.readouterr().err


def test_the_account_is_asked_for_once(cli: FakeCli) -> None:
    cli.answers["s3api head-bucket"] = [{}]

    for number, step in enumerate(("bucket", "package", "function"), start=1):
        cli.run("deploy", "--only", step)
        assert len(cli.calls("sts")) == number


def test_without_a_region_it_says_how_to_set_one(
    cli: FakeCli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    cli.answers["configure get region"] = [""]

    assert cli.run("deploy") == 1

    assert "set AWS_REGION, or run `aws configure`" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["AWS_REGION", "AWS_DEFAULT_REGION", "the configuration"])
def test_both_versions_of_the_cli_are_told_the_region(
    cli: FakeCli, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    if where == "the configuration":
        cli.answers["configure get region"] = [["eu-west-3"]]
    else:
        monkeypatch.setenv(where, "eu-west-3")

    assert cli.run("destroy") == 0

    assert cli.regions()[-1] == ["eu-west-3", "eu-west-3"]


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ('Unable to locate credentials. You can configure credentials by running "aws configure".', "aws configure"),
        ("The config profile (nope) could not be found", "AWS_PROFILE"),
        (error("ExpiredToken", "The security token included in the request is expired"), "log in again"),
        ("Error when retrieving token from sso: Token has expired and refresh failed", "log in again"),
        (error("InvalidClientTokenId", "The security token is invalid."), "aws configure list"),
        ('Could not connect to the endpoint URL: "https://sts.nowhere.amazonaws.com/"', "check the network"),
        (
            error("Throttling", "Rate exceeded").replace(" operation", " operation (reached max retries: 4)"),
            ": Rate ex",
        ),
        (error("AccessDenied", "User x is not authorized to perform: y"), "README lists the permissions"),
    ],
)
def test_credentials_that_do_not_serve_are_an_error_with_a_remedy(
    cli: FakeCli, capsys: pytest.CaptureFixture[str], said: str, remedy: str
) -> None:
    cli.answers["sts get-caller-identity"] = [said]

    assert cli.run("deploy") == 1

    assert remedy in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        ("ROLLBACK_COMPLETE", "aws cloudformation delete-stack --stack-name {}"),
        ("CREATE_FAILED", "aws cloudformation delete-stack --stack-name {}"),
        ("DELETE_FAILED", "aws cloudformation delete-stack --stack-name {}"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback --stack-name {}"),
        ("UPDATE_IN_PROGRESS", "wait until that has ended"),
    ],
)
@pytest.mark.parametrize(
    ("step", "stack"), [("bucket", "bucket"), ("package", "bucket"), ("function", "bucket"), ("secret", "secret")]
)
def test_a_stack_that_cannot_be_changed_is_an_error_with_a_remedy(
    with_function: FakeCli, capsys: pytest.CaptureFixture[str], status: str, remedy: str, step: str, stack: str
) -> None:
    cli = with_function
    name = f"dockerhub-rotation-{stack}"
    cli.answers[f"cloudformation describe-stacks --stack-name {name}"] = [stacks(a_stack(name, status=status))]

    assert cli.run("deploy", "--only", step) == 1

    said = capsys.readouterr().err
    assert status in said
    assert remedy.format(name) in said
    assert not cli.calls("cloudformation create-change-set")


def test_a_failed_operation_is_told_with_its_causes_first_one_first(
    cli: FakeCli, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = "mine"
    cli.answers[BUCKET_STACK] = [stacks(a_stack())]
    cli.answers["cloudformation get-template-summary"] = [{"Parameters": [{"ParameterKey": "ProjectName"}]}]
    cli.answers["cloudformation describe-change-set"] = [{"Status": "CREATE_PENDING"}, {"Status": "CREATE_COMPLETE"}]
    newest_first = [
        event("UPDATE_ROLLBACK_COMPLETE", mine),
        event("UPDATE_FAILED", mine, "Third", "Resource update cancelled"),
        event("UPDATE_FAILED", mine, "Second", "the second cause"),
        event("UPDATE_FAILED", mine, "First", "the first cause"),
        event("UPDATE_FAILED", "earlier", "First", "an old story"),
    ]
    cli.answers["cloudformation describe-stack-events"] = [
        {"StackEvents": newest_first[2:]},
        {"StackEvents": newest_first},
    ]

    with mock.patch.object(DEPLOY, "uuid4", return_value=mine):
        assert cli.run("deploy", "--only", "bucket") == 1

    said = capsys.readouterr().err
    assert 0 < said.index("the first cause") < said.index("the second cause")
    assert "cancelled" not in said
    assert "an old story" not in said


def test_a_change_that_aws_cannot_make_is_told_and_leaves_no_empty_stack(
    cli: FakeCli, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.answers["s3api head-bucket"] = [error("404", "Not Found")]
    cli.answers["cloudformation describe-change-set"] = [{"Status": "FAILED", "StatusReason": "a rule is broken"}]

    assert cli.run("deploy", "--only", "bucket") == 1

    assert "a rule is broken" in capsys.readouterr().err
    assert cli.calls("cloudformation delete-stack --stack-name stack-id")


def test_a_second_deployment_carries_nothing_out(cli: FakeCli, capsys: pytest.CaptureFixture[str]) -> None:
    cli.answers[BUCKET_STACK] = [stacks(a_stack(outputs={"BucketName": "a-bucket"}))]
    cli.answers[FUNCTION_STACK] = [stacks(a_stack("dockerhub-rotation-function"))]

    for step in ("bucket", "package", "function"):
        assert cli.run("deploy", "--only", step) == 0

    assert not cli.calls("cloudformation execute-change-set")
    assert not cli.calls("s3api put-object")


def test_a_parameter_that_is_not_given_keeps_its_value(cli: FakeCli) -> None:
    cli.answers[BUCKET_STACK] = [stacks(a_stack(outputs={"BucketName": "a-bucket"}))]
    there = {"MemorySize": "512", "LogLevel": "INFO", "GoneFromTheTemplate": "x"}
    cli.answers[FUNCTION_STACK] = [stacks(a_stack("dockerhub-rotation-function", parameters=there))]
    declared = ("ProjectName", "ArtifactBucket", "ArtifactKey", "MemorySize", "LogLevel", "NewInTheTemplate")
    cli.answers["cloudformation get-template-summary"] = [{"Parameters": [{"ParameterKey": key} for key in declared]}]

    assert cli.run("deploy", "--only", "function", "--function-parameters", "LogLevel=DEBUG") == 0

    ((_, stdin),) = cli.calls("cloudformation create-change-set")
    given = {it.pop("ParameterKey"): it for it in json.loads(stdin)}
    assert given["LogLevel"] == {"ParameterValue": "DEBUG"}
    assert given["MemorySize"] == {"UsePreviousValue": True}
    assert given.keys() == {"ProjectName", "ArtifactBucket", "ArtifactKey", "MemorySize", "LogLevel"}


def test_what_is_shown_of_a_stack_is_shown_when_its_step_is_done(
    cli: FakeCli, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.answers[BUCKET_STACK] = [stacks(a_stack(outputs={"BucketName": "a-bucket"}))]
    cli.answers["cloudformation describe-change-set"] = [
        {"Status": "FAILED", "StatusReason": "didn't contain changes"},
        {"Status": "FAILED", "StatusReason": "a rule is broken"},
    ]

    assert cli.run("deploy") == 1

    said = capsys.readouterr()
    assert "a rule is broken" in said.err
    assert re.search(r"is up to date\n +BucketName +a-bucket\n", said.out)


def test_values_may_hold_spaces(cli: FakeCli) -> None:
    assert DEPLOY._assignments("A=1 Schedule='cron(0 4 ? * 2#1 *)' B=") == {
        "A": "1",
        "Schedule": "cron(0 4 ? * 2#1 *)",
        "B": "",
    }


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ("NoSuch=1", "no parameter NoSuch"),
        ("word", "Key=Value"),
        ("A='1", "quotation"),
        ("ProjectName=other ArtifactKey=mine", "ProjectName is set by PROJECT=..., ArtifactKey is set by the package"),
    ],
)
def test_parameters_that_cannot_be_are_refused(
    cli: FakeCli, capsys: pytest.CaptureFixture[str], parameters: str, said: str
) -> None:
    cli.answers[BUCKET_STACK] = [stacks(a_stack(outputs={"BucketName": "a-bucket"}))]

    assert cli.run("deploy", "--only", "function", "--function-parameters", parameters) == 1

    assert said in capsys.readouterr().err


def test_without_a_package_it_says_how_to_make_one(cli: FakeCli, capsys: pytest.CaptureFixture[str]) -> None:
    DEPLOY.ARCHIVE.unlink()
    cli.answers[BUCKET_STACK] = [stacks(a_stack(outputs={"BucketName": "a-bucket"}))]

    assert cli.run("deploy", "--only", "package") == 1

    assert "run `make package` first" in capsys.readouterr().err


def test_without_the_parameters_nothing_is_made(cli: FakeCli, capsys: pytest.CaptureFixture[str]) -> None:
    asked = "ssm get-parameters --names DOCKER_HUB_USERNAME DOCKER_HUB_PASSWORD DOCKER_HUB_TOTP --output"
    cli.answers[asked] = [{"InvalidParameters": ["DOCKER_HUB_USERNAME", "DOCKER_HUB_TOTP"]}]

    assert cli.run("deploy", "--function-parameters", "TotpParameter=DOCKER_HUB_TOTP") == 1

    said = capsys.readouterr().err
    assert "no DOCKER_HUB_USERNAME and no DOCKER_HUB_TOTP: run `make credentials` first" in said
    assert not cli.calls("cloudformation create-change-set")


@pytest.mark.parametrize("step", ["bucket", "package", "function"])
def test_a_bucket_of_somebody_else_is_told_with_the_way_out(
    cli: FakeCli, capsys: pytest.CaptureFixture[str], step: str
) -> None:
    ours = f"s3api head-bucket --bucket dockerhub-rotation-lambda-archive-{REGION} --expected-bucket-owner {ACCOUNT}"
    cli.answers["s3api head-bucket"] = [{}]  # everybody may look at it
    cli.answers[ours] = [error("403", "Forbidden")]

    assert cli.run("deploy", "--only", step) == 1

    assert "make deploy BUCKET=" in capsys.readouterr().err
    assert not cli.calls("s3api put-object")
    assert not cli.calls("cloudformation create-change-set")


def test_a_secrets_name_is_no_parameter(cli: FakeCli, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run("deploy", "--secret-parameters", "SecretName=foo Shape=plain RotationRoleArn=x") == 1

    said = capsys.readouterr().err
    assert "SecretName is set by SECRET=..., RotationRoleArn is set by the function's stack" in said
    assert not cli.calls()


CREDENTIAL = ("acme", "correct-horse", "JBSW Y3DP EHPK 3PXP", "https://hooks.slack.com/services/T0/B0/x")


@pytest.mark.parametrize("at_a_terminal", [True, False])
def test_the_credential_is_stored_and_in_no_argument(
    cli: FakeCli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, at_a_terminal: bool
) -> None:
    entered = iter(CREDENTIAL)
    if at_a_terminal:
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
        monkeypatch.setattr(getpass, "getpass", lambda prompt: next(entered))
    else:
        monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(CREDENTIAL) + "\n"))

    assert cli.run("credentials") == 0

    names = ("DOCKER_HUB_USERNAME", "DOCKER_HUB_PASSWORD", "DOCKER_HUB_TOTP", "DOCKER_HUB_SLACK_WEBHOOK_URL")
    stored = {command.split("--name ")[1].split()[0]: stdin for command, stdin in cli.calls("ssm put-parameter")}
    assert stored == dict(zip(names, CREDENTIAL, strict=True))
    assert all("--type SecureString" in command for command, _ in cli.calls("ssm put-parameter"))
    commands = "\n".join(command for command, _ in cli.calls())
    assert [secret for secret in CREDENTIAL[1:] if secret in commands] == []
    said = capsys.readouterr()
    assert "TotpParameter=DOCKER_HUB_TOTP SlackWebhookParameter=DOCKER_HUB_SLACK_WEBHOOK_URL" in said.out
    assert [secret for secret in CREDENTIAL[1:] if secret in said.out + said.err] == []


def test_what_is_optional_may_be_left_out(cli: FakeCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("acme\ncorrect-horse\n\n"))

    assert cli.run("credentials") == 0

    assert [stdin for _, stdin in cli.calls("ssm put-parameter")] == ["acme", "correct-horse"]


@pytest.mark.parametrize("at_a_terminal", [True, False])
def test_a_password_is_stored_as_it_is_and_a_name_without_what_surrounds_it(
    cli: FakeCli, monkeypatch: pytest.MonkeyPatch, *, at_a_terminal: bool
) -> None:
    password = " correct\x0bhorse\x85battery\u2028staple "
    entered = iter((" acme ", password, "", ""))
    if at_a_terminal:
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
        monkeypatch.setattr(getpass, "getpass", lambda prompt: next(entered))
    else:
        monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(entered) + "\n"))

    assert cli.run("credentials") == 0

    assert [stdin for _, stdin in cli.calls("ssm put-parameter")] == ["acme", password]


def test_the_credential_goes_where_the_function_reads_it(cli: FakeCli, monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"UsernameParameter": "/hub/user", "PasswordParameter": "/hub/password", "ParametersKeyArn": "arn:key"}
    cli.answers[FUNCTION_STACK] = [stacks(a_stack("dockerhub-rotation-function", parameters=there))]
    monkeypatch.setattr(sys, "stdin", io.StringIO("acme\ncorrect-horse\n"))

    assert cli.run("credentials") == 0

    calls = [command for command, _ in cli.calls("ssm put-parameter")]
    assert ["--name /hub/user " in calls[0], "--name /hub/password " in calls[1]] == [True, True]
    assert all("--key-id arn:key " in call for call in calls)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("acme",), "both needed"),
        (("", "correct-horse"), "both needed"),
        (("acme@example.com", "correct-horse"), "user name"),
        (("acme", "dckr_pat_abc"), "access token"),
        (("acme", "dckr_oat_abc"), "access token"),
        (("acme", "correct-horse", "no base32!"), "TOTP seed"),
        (("acme", "correct-horse", "234567"), "not a code"),
        (("acme", "correct-horse", "23456723"), "not a code"),
        (("acme", "correct-horse", "", "http://hooks.slack.com/x"), "https://"),
        (("acme", "correct-horse", "", "https://hooks.slack.com/workflows/T0/A0/1/x"), "hooks.slack.com/services/"),
        (("acme", "correct-horse", "", "https://hooks.slack.com/triggers/T0/1/x"), "hooks.slack.com/services/"),
        (("acme", "correct-horse", "", "https://Hooks.Slack-Gov.com/triggers/T0/1/x"), "hooks.slack.com/services/"),
        (("acme", "correct-horse", "", "", "more"), "too many lines"),
    ],
)
def test_what_cannot_be_right_is_refused_and_nothing_stored(
    cli: FakeCli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lines: tuple[str, ...], said: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(lines)))

    assert cli.run("credentials") == 1

    assert said in capsys.readouterr().err
    assert not cli.calls("ssm put-parameter")


@pytest.mark.parametrize(
    "webhook",
    [
        "https://hooks.slack-gov.com/services/T0/B0/x",
        "https://discord.com/api/webhooks/1/x/slack",
        "https://mattermost.example.com/hooks/x",
        "https://hooks.slack.com.example.com/triggers/x",
    ],
)
def test_what_takes_slacks_messages_elsewhere_is_taken_for_a_webhook(
    cli: FakeCli, monkeypatch: pytest.MonkeyPatch, webhook: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"acme\ncorrect-horse\n\n{webhook}\n"))

    assert cli.run("credentials") == 0

    assert [stdin for _, stdin in cli.calls("ssm put-parameter")] == ["acme", "correct-horse", webhook]


def test_an_error_does_not_quote_the_secret_it_is_about(
    cli: FakeCli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.answers["ssm put-parameter"] = [{}, error("ValidationException", "Value 'correct-\\\"horse' is wrong")]
    monkeypatch.setattr(sys, "stdin", io.StringIO('acme\ncorrect-"horse\n'))

    assert cli.run("credentials") == 1

    said = capsys.readouterr()
    assert "[hidden]' is wrong" in said.err
    assert "DOCKER_HUB_PASSWORD is not stored" in said.err
    assert "stored    DOCKER_HUB_USERNAME" in said.out


@pytest.fixture
def with_function(cli: FakeCli) -> FakeCli:
    """Return the command line when everything is deployed but the secret."""
    outputs = {"FunctionArn": FUNCTION_ARN, "RoleArn": "arn:role", "AlarmTopicArn": "arn:topic"}
    cli.answers[FUNCTION_STACK] = [stacks(a_stack("dockerhub-rotation-function", outputs=outputs))]
    declared = ("AlarmTopicArn", "NamePrefix", "ProjectName", "RotationFunctionArn", "RotationRoleArn", "SecretName")
    secret = [{"ParameterKey": key} for key in (*declared, "Shape", "Token", "Username")]
    template = f"cloudformation get-template-summary --template-body file://{ROOT}/infra"
    cli.answers[f"{template}/secret.yaml"] = [{"Parameters": secret}]
    return cli


def test_the_first_token_is_asked_for_and_in_no_argument(
    with_function: FakeCli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cli = with_function
    monkeypatch.setattr(sys, "stdin", io.StringIO("dckr_pat_first\n"))
    cli.answers["cloudformation describe-change-set"] = [{"Status": "FAILED", "StatusReason": "no: dckr_pat_first"}]

    assert cli.run("deploy", "--only", "secret", "--ask-token") == 1

    ((_, stdin),) = cli.calls("cloudformation create-change-set")
    assert {"ParameterKey": "Token", "ParameterValue": "dckr_pat_first"} in json.loads(stdin)
    assert [command for command, _ in cli.calls() if "dckr_pat_first" in command] == []
    assert "no: [hidden]" in capsys.readouterr().err


def test_a_token_on_the_command_line_is_refused(cli: FakeCli, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run("deploy", "--secret-parameters", "Token=dckr_pat_first") == 1

    said = capsys.readouterr().err
    assert "TOKEN=ask" in said
    assert "dckr_pat_first" not in said
    assert not cli.calls()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--ask-token",), "Token"),
        (("--secret-parameters", "Shape=ecs Username=acme"), "Shape and Username"),
        (("--secret-parameters", "NamePrefix=ecr-pullthroughcache/"), "NamePrefix"),
    ],
)
def test_an_update_that_would_lose_the_live_token_is_refused(
    with_function: FakeCli,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    named: str,
) -> None:
    cli = with_function
    there = {"SecretName": "dockerhub-token", "NamePrefix": "", "Shape": "plain", "Username": "", "Token": "****"}
    cli.answers[SECRET_STACK] = [stacks(a_stack("dockerhub-rotation-secret", parameters=there))]
    monkeypatch.setattr(sys, "stdin", io.StringIO("dckr_pat_first\n"))

    assert cli.run("deploy", "--only", "secret", *arguments) == 1

    assert f"a change of {named} would lose the token" in capsys.readouterr().err
    assert not cli.calls("cloudformation create-change-set")


def given(cli: FakeCli) -> dict[str, dict[str, Any]]:
    """Return the parameters that the last change set was made with, by name."""
    return {it.pop("ParameterKey"): it for it in json.loads(cli.calls("cloudformation create-change-set")[-1][1])}


def test_only_a_new_secret_is_given_the_functions_topic(with_function: FakeCli) -> None:
    cli = with_function

    cli.answers[SECRET_STACK] = [error("ValidationError", "Stack with id x does not exist")]
    assert cli.run("deploy", "--only", "secret") == 1
    assert given(cli)["AlarmTopicArn"] == {"ParameterValue": "arn:topic"}

    there = {"SecretName": "dockerhub-token", "AlarmTopicArn": ""}
    cli.answers[SECRET_STACK] = [stacks(a_stack("dockerhub-rotation-secret", parameters=there))]
    assert cli.run("deploy", "--only", "secret") == 0
    assert given(cli)["AlarmTopicArn"] == {"UsePreviousValue": True}


@pytest.mark.parametrize(("at_once", "told"), [("true", True), ("false", False)])
def test_a_first_rotation_that_has_begun_is_told_with_how_to_follow_it(
    with_function: FakeCli, capsys: pytest.CaptureFixture[str], at_once: str, *, told: bool
) -> None:
    cli = with_function
    parameters = {"SecretName": "dockerhub-token", "RotateImmediately": at_once}
    made = stacks(a_stack("dockerhub-rotation-secret", parameters=parameters, outputs={"SecretArn": "arn:secret"}))
    missing = error("ValidationError", "Stack with id x does not exist")
    cli.answers[SECRET_STACK] = [missing, missing, made]
    cli.answers["cloudformation describe-change-set"] = [{"Status": "CREATE_COMPLETE"}]
    cli.answers["cloudformation describe-stack-events"] = [{"StackEvents": [event("CREATE_COMPLETE", "mine")]}]

    with mock.patch.object(DEPLOY, "uuid4", return_value="mine"):
        assert cli.run("deploy", "--only", "secret") == 0
    assert ("`make rotate`" in capsys.readouterr().out.splitlines()[-1]) is told

    cli.answers["cloudformation describe-change-set"] = [{"Status": "FAILED", "StatusReason": "didn't contain changes"}]
    cli.answers[SECRET_STACK] = [made]
    assert cli.run("deploy", "--only", "secret") == 0
    assert "`make rotate`" not in capsys.readouterr().out


def test_two_secrets_do_not_share_a_stack(with_function: FakeCli, capsys: pytest.CaptureFixture[str]) -> None:
    cli = with_function
    name = "dockerhub-rotation-secret-team-a"
    there = a_stack(name, parameters={"SecretName": "team/a"})
    cli.answers[f"cloudformation describe-stacks --stack-name {name}"] = [stacks(there)]

    assert cli.run("deploy", "--only", "secret", "--secret", "team/a") == 0
    assert cli.run("deploy", "--only", "secret", "--secret", "team-a") == 1

    assert "a change of SecretName" in capsys.readouterr().err


class Rotation:
    """A rotation as the AWS CLI shows it, look by look."""

    def __init__(self, cli: FakeCli) -> None:
        self.cli = cli
        cli.answers["secretsmanager rotate-secret"] = [{"VersionId": "new"}]
        self.labels({"old": ["AWSCURRENT"]})
        self.log()

    def labels(self, *looks: Mapping[str, list[str]]) -> None:
        self.cli.answers["secretsmanager describe-secret"] = [
            {"RotationEnabled": True, "RotationLambdaARN": FUNCTION_ARN, "VersionIdsToStages": look} for look in looks
        ]

    def log(self, *looks: list[tuple[str, str, str]]) -> None:
        self._answer("", looks or ([],))

    def log_from(self, began: float, *looks: list[tuple[str, str, str]]) -> None:
        self._answer(f"--start-time {began * 1000:.0f}", looks)

    def _answer(self, more: str, looks: Iterable[list[tuple[str, str, str]]]) -> None:
        of_others = ["START RequestId: 1", json.dumps({"level": "ERROR", "correlation_id": "another"})]
        self.cli.answers[f"logs filter-log-events --log-group-name /aws/lambda/{PROJECT} {more}"] = [
            {"events": [{"timestamp": 1, "message": message} for message in [*of_others, *map(self._line, look)]]}
            for look in looks
        ]

    def _line(self, facts: tuple[str, str, str]) -> str:
        return json.dumps(dict(zip(("level", "step", "message"), facts, strict=True)) | {"correlation_id": "new"})


@pytest.fixture
def rotation(cli: FakeCli) -> Rotation:
    return Rotation(cli)


BEFORE = {"old": ["AWSCURRENT"]}
STAGED = {"old": ["AWSCURRENT"], "new": ["AWSPENDING"]}
PROMOTED = {"old": ["AWSPREVIOUS"], "new": ["AWSCURRENT", "AWSPENDING"]}
DONE = {"old": ["AWSPREVIOUS"], "new": ["AWSCURRENT"]}
MADE = ("INFO", "createSecret", "made")
RETIRED = ("INFO", "finishSecret", "retired")


def test_a_rotation_is_followed_until_the_superseded_token_is_retired(
    rotation: Rotation, capsys: pytest.CaptureFixture[str]
) -> None:
    rotation.labels(BEFORE, STAGED, STAGED, PROMOTED)
    rotation.log([], [MADE], [MADE], [MADE, RETIRED])

    assert rotation.cli.run("rotate") == 0

    out = capsys.readouterr().out
    assert out.count("made") == 1
    assert out.index("made") < out.index("new AWSCURRENT AWSPENDING") < out.index("retired")


@pytest.mark.parametrize("end", [PROMOTED, DONE])
def test_a_log_that_says_nothing_does_not_hold_a_rotation_up(
    rotation: Rotation, clock: Any, end: Mapping[str, list[str]]
) -> None:
    rotation.labels(BEFORE, STAGED, end)

    assert rotation.cli.run("rotate") == 0

    assert sum(clock.sleeps) < 60


def test_a_failed_step_ends_it_with_what_to_do(rotation: Rotation, capsys: pytest.CaptureFixture[str]) -> None:
    rotation.labels(BEFORE, STAGED)
    rotation.log([MADE], [MADE, ("ERROR", "testSecret", "refused")])

    assert rotation.cli.run("rotate") == 1

    said = capsys.readouterr()
    assert "refused" in said.out
    assert "failed in testSecret; AWSCURRENT is what it was" in said.err
    assert "--version-stage AWSPENDING --remove-from-version-id new" in said.err


def test_a_failure_after_the_promotion_says_that_the_new_token_works(
    rotation: Rotation, capsys: pytest.CaptureFixture[str]
) -> None:
    rotation.labels(BEFORE, STAGED, PROMOTED)
    rotation.log([("ERROR", "finishSecret", "an old token is still active")])

    assert rotation.cli.run("rotate") == 1

    assert "the new token is current and works" in capsys.readouterr().err


def test_a_rotation_that_does_not_end_is_left_after_a_while(
    rotation: Rotation, capsys: pytest.CaptureFixture[str]
) -> None:
    rotation.labels(BEFORE, STAGED)

    assert rotation.cli.run("rotate", "--seconds", "20") == 1

    said = capsys.readouterr().err
    assert "has not ended in 20 seconds" in said
    assert f"/aws/lambda/{PROJECT}" in said


def test_a_rotation_that_was_given_up_is_told(rotation: Rotation, capsys: pytest.CaptureFixture[str]) -> None:
    rotation.labels(BEFORE, STAGED, BEFORE)

    assert rotation.cli.run("rotate") == 1

    assert "has given version new up" in capsys.readouterr().err


BUSY = error("InvalidRequestException", "A previous rotation isn't complete. That rotation will be reattempted.")
PAST = [MADE, ("ERROR", "testSecret", "an old story"), ("ERROR", "testSecret", "this is why"), MADE]


def test_a_rotation_that_is_under_way_is_joined_and_what_kept_it_is_told(
    rotation: Rotation, clock: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    rotation.cli.answers["secretsmanager rotate-secret"] = [BUSY]
    rotation.labels(STAGED, STAGED, STAGED, DONE)
    rotation.log_from(clock.now - 24 * 60 * 60, PAST)
    rotation.log_from(clock.now - 60, PAST, [*PAST, RETIRED])

    assert rotation.cli.run("rotate") == 0

    out = capsys.readouterr().out
    assert out.index("an earlier one has not ended") < out.index("An earlier attempt failed in testSecret: this is why")
    assert out.index("this is why") < out.index("retired")
    assert (out.count("this is why"), out.count("an old story")) == (1, 0)


def test_a_rotation_that_is_joined_and_fails_anew_ends_it(
    rotation: Rotation, clock: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    rotation.cli.answers["secretsmanager rotate-secret"] = [BUSY]
    rotation.labels(STAGED)
    rotation.log_from(clock.now - 24 * 60 * 60, PAST)
    rotation.log_from(clock.now - 60, PAST, [*PAST, ("ERROR", "createSecret", "again")])

    assert rotation.cli.run("rotate") == 1

    assert "failed in createSecret" in capsys.readouterr().err


@pytest.mark.parametrize(("past", "why"), [(PAST, "failed in testSecret: this is why\n"), ([], "seconds.\n")])
def test_a_rotation_that_is_joined_and_does_not_end_says_what_it_waits_for(
    rotation: Rotation, capsys: pytest.CaptureFixture[str], past: list[tuple[str, str, str]], why: str
) -> None:
    rotation.cli.answers["secretsmanager rotate-secret"] = [BUSY]
    rotation.labels(STAGED)
    rotation.log(past)

    assert rotation.cli.run("rotate", "--seconds", "6") == 1

    assert f"{why}The next attempt may wait for the next rotation window." in capsys.readouterr().err


def test_a_rotation_that_begins_at_the_same_moment_is_joined(
    rotation: Rotation, capsys: pytest.CaptureFixture[str]
) -> None:
    rotation.cli.answers["secretsmanager rotate-secret"] = [BUSY]
    rotation.labels(BEFORE, STAGED, DONE)

    assert rotation.cli.run("rotate") == 0

    assert "following that, version new" in capsys.readouterr().out


def test_a_secret_whose_stack_has_no_outputs_yet_goes_by_its_name(rotation: Rotation) -> None:
    stack = a_stack("dockerhub-rotation-secret", status="CREATE_IN_PROGRESS")
    rotation.cli.answers[SECRET_STACK] = [stacks(stack)]
    rotation.labels(BEFORE, DONE)

    assert rotation.cli.run("rotate") == 0

    assert rotation.cli.calls("secretsmanager rotate-secret --secret-id dockerhub-token ")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (error("ResourceNotFoundException", "can't find it"), "run `make deploy`, or name it"),
        ({"VersionIdsToStages": BEFORE}, "Rotation is not configured"),
        ({"VersionIdsToStages": BEFORE, "RotationEnabled": True}, "is rotated by AWS itself, not by this function"),
    ],
)
def test_what_cannot_be_rotated_is_told_with_the_way_out(
    rotation: Rotation, capsys: pytest.CaptureFixture[str], answer: object, said: str
) -> None:
    rotation.cli.answers["secretsmanager describe-secret"] = [answer]

    assert rotation.cli.run("rotate") == 1

    assert said in capsys.readouterr().err


@pytest.fixture
def deployed(cli: FakeCli) -> FakeCli:
    """Return the command line when there are two secrets, and stacks of other projects."""
    ours = ("bucket", "secret-second", "function", "secret")
    theirs = a_stack("dockerhub-rotation-secret-keeper-function", parameters={"ProjectName": "keeper"})
    arn = {"SecretArn": "arn:secret"}
    cli.answers["cloudformation describe-stacks --output"] = [
        stacks(
            theirs,
            *(a_stack(f"dockerhub-rotation-{kind}", outputs=arn if "secret" in kind else NONE) for kind in ours),
            a_stack("dockerhub-rotation-website", parameters={"ProjectName": "website"}),
        )
    ]
    cli.answers["secretsmanager describe-secret"] = [{"VersionIdsToStages": DONE}]
    cli.answers["cloudformation describe-stack-events"] = [{"StackEvents": [event("DELETE_COMPLETE", "mine")]}]
    return cli


def removed(cli: FakeCli) -> list[str]:
    return [command.split()[3] for command, _ in cli.calls("cloudformation delete-stack")]


IN_ORDER = [f"dockerhub-rotation-{kind}" for kind in ("secret", "secret-second", "function", "bucket")]


def test_destroy_deletes_every_stack_of_the_project_and_no_other(
    deployed: FakeCli, capsys: pytest.CaptureFixture[str]
) -> None:
    with mock.patch.object(DEPLOY, "uuid4", return_value="mine"):
        assert deployed.run("destroy", "--yes") == 0

    assert removed(deployed) == IN_ORDER
    assert "`aws secretsmanager cancel-rotate-secret --secret-id <name>`" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (DONE, "the token of arn:secret: active until you disable it. If the function made it, its label ends in new"),
        (BEFORE, "the token that you gave arn:secret, if you gave it one: active until you disable it\n"),
        (STAGED, "the token that you gave arn:secret, if you gave it one: active until you disable it\n"),
    ],
)
def test_destroy_says_which_token_stays_active(
    deployed: FakeCli, capsys: pytest.CaptureFixture[str], labels: Mapping[str, list[str]], said: str
) -> None:
    deployed.answers["secretsmanager describe-secret"] = [{"VersionIdsToStages": labels}]

    with mock.patch.object(DEPLOY, "uuid4", return_value="mine"):
        assert deployed.run("destroy", "--yes") == 0

    assert f"at Docker Hub {said}" in capsys.readouterr().out


THEIR_DELETION = [event("DELETE_COMPLETE", "theirs", "Archive"), event("DELETE_IN_PROGRESS", "theirs")]
LONG_AGO = [event("DELETE_FAILED", "1"), event("DELETE_IN_PROGRESS", "1"), event("CREATE_COMPLETE", "0", "Archive")]


@pytest.mark.parametrize("told_by", ["an event", "the stack"])
def test_a_deletion_that_is_under_way_is_joined(cli: FakeCli, capsys: pytest.CaptureFixture[str], told_by: str) -> None:
    """So it is after an interrupted `make destroy`, whose deletion carries a token that is forgotten."""
    leaving = a_stack(status="DELETE_IN_PROGRESS")
    cli.answers["cloudformation describe-stacks --output"] = [stacks(leaving)]
    looks = [{"StackEvents": [*THEIR_DELETION, *LONG_AGO]}]
    if told_by == "an event":
        looks.append({"StackEvents": [event("DELETE_COMPLETE", "theirs"), *THEIR_DELETION, *LONG_AGO]})
    cli.answers["cloudformation describe-stack-events"] = looks
    gone = a_stack(status="DELETE_COMPLETE")
    cli.answers["cloudformation describe-stacks --stack-name stack-id"] = [
        stacks(leaving),
        *([] if told_by == "an event" else [stacks(gone)]),
    ]

    assert cli.run("destroy", "--yes") == 0

    assert removed(cli) == []
    out = capsys.readouterr().out
    assert "DELETE_COMPLETE Archive" in out
    assert "CREATE_COMPLETE" not in out


def test_a_deletion_that_somebody_else_began_first_is_followed_to_its_end(deployed: FakeCli) -> None:
    deployed.answers["cloudformation describe-stack-events"] = [
        {"StackEvents": [event("DELETE_COMPLETE", "theirs"), *THEIR_DELETION]}
    ]
    deployed.answers["cloudformation describe-stacks --stack-name stack-id"] = [
        stacks(a_stack(status="DELETE_IN_PROGRESS")),
        stacks(a_stack(status="DELETE_COMPLETE")),
    ]

    with mock.patch.object(DEPLOY, "uuid4", return_value="mine"):
        assert deployed.run("destroy", "--yes") == 0


def test_a_stack_that_somebody_is_changing_keeps_all_from_being_deleted(
    cli: FakeCli, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.answers["cloudformation describe-stacks --output"] = [
        stacks(a_stack("dockerhub-rotation-function"), a_stack(status="UPDATE_IN_PROGRESS"))
    ]

    assert cli.run("destroy", "--yes") == 1

    assert "wait until that has ended" in capsys.readouterr().err
    assert removed(cli) == []


def test_what_an_interrupted_deployment_left_behind_is_deleted(cli: FakeCli) -> None:
    """A stack with nothing but a change set, which has no parameters yet."""
    names = ("dockerhub-rotation-function", "dockerhub-rotation-secret-keeper-function")
    left = [a_stack(name, status="REVIEW_IN_PROGRESS") | {"Parameters": []} for name in names]
    cli.answers["cloudformation describe-stacks --output"] = [stacks(*left)]

    assert cli.run("destroy", "--yes") == 0

    assert removed(cli) == ["dockerhub-rotation-function"]


def test_a_stack_that_has_only_a_change_set_is_still_created(cli: FakeCli) -> None:
    cli.answers[BUCKET_STACK] = [stacks(a_stack(status="REVIEW_IN_PROGRESS"))]
    cli.answers["s3api head-bucket"] = [error("404", "Not Found")]

    cli.run("deploy", "--only", "bucket")

    assert cli.calls("cloudformation create-change-set")[0][0].count("--change-set-type CREATE") == 1


@pytest.mark.parametrize(("answer", "status", "gone"), [("y", 0, IN_ORDER), ("", 1, []), ("no", 1, [])])
def test_destroy_asks_whoever_is_at_the_terminal(
    deployed: FakeCli, monkeypatch: pytest.MonkeyPatch, answer: str, status: int, gone: list[str]
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda prompt: answer)

    with mock.patch.object(DEPLOY, "uuid4", return_value="mine"):
        assert deployed.run("destroy") == status

    assert removed(deployed) == gone


def test_destroy_does_nothing_if_nobody_confirms_it(deployed: FakeCli, capsys: pytest.CaptureFixture[str]) -> None:
    assert deployed.run("destroy") == 1

    assert removed(deployed) == []
    assert "YES=1" in capsys.readouterr().err


# --- Through make ---


MAKE_FAKE = """#!{python} -IS
import json, sys
print(json.dumps(sys.argv[1:]))
"""


def make(folder: Path, *arguments: str, **environment: str) -> list[Any]:
    """Run the Makefile with a Python that does nothing, and return what the last command line says, read as it is."""
    folder.mkdir(exist_ok=True)
    shutil.copy(ROOT / "Makefile", folder)
    shutil.copytree(ROOT / "requirements", folder / "requirements")
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(MAKE_FAKE.format(python=sys.executable))
    python.chmod(0o755)
    (folder / ".venv" / ".ready").touch()
    done = subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        return [done.stderr]
    *_, (program, *words) = map(json.loads, done.stdout.splitlines())
    assert program == "infra/deploy.py"
    return [DEPLOY._parser().parse_args(words)]


def test_make_hands_every_value_over_as_it_is(tmp_path: Path) -> None:
    schedule = "cron(0 4 ? * 2#1 *)"
    (options,) = make(
        tmp_path,
        "deploy-secret",
        f"SECRET_PARAMETERS=RotationSchedule='{schedule}' Shape=plain",
        "PROJECT=acme",
        BUCKET="a bucket",
        FUNCTION_PARAMETERS="TokenScopes='repo:read repo:write' Cost=$5",
    )

    assert (options.command, options.only, options.ask_token) == ("deploy", "secret", False)
    assert (options.project, options.secret, options.bucket) == ("acme", "dockerhub-token", "a bucket")
    assert DEPLOY._assignments(options.secret_parameters) == {"RotationSchedule": schedule, "Shape": "plain"}
    assert DEPLOY._assignments(options.function_parameters) == {"TokenScopes": "repo:read repo:write", "Cost": "$5"}


@pytest.mark.parametrize("target", ["deploy", "deploy-secret"])
def test_make_asks_for_a_token_only_if_told_so_on_its_command_line(tmp_path: Path, target: str) -> None:
    (told,) = make(tmp_path / "told", target, "TOKEN=ask")
    (environment,) = make(tmp_path / "environment", target, TOKEN="ask")
    (refused,) = make(tmp_path / "refused", target, "TOKEN=dckr_pat_first")

    assert told.ask_token is True
    assert environment.ask_token is False
    assert "Only TOKEN=ask is understood" in refused
    assert "dckr_pat_first" not in refused


def test_make_destroys_without_asking_only_if_told_so_on_its_command_line(tmp_path: Path) -> None:
    (told,) = make(tmp_path / "told", "destroy", "YES=1")
    (environment,) = make(tmp_path / "environment", "destroy", YES="1")

    assert told.yes is True
    assert environment.yes is False
