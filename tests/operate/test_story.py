"""The whole story, in processes of their own, against an emulator: from a clone to a rotating secret and away again.

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

import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Any

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
BUCKET = f"{PROJECT}-{ACCOUNT}-{REGION}"
USERNAME, PASSWORD = f"/{PROJECT}/DOCKER_HUB_USERNAME", f"/{PROJECT}/DOCKER_HUB_PASSWORD"
FUNCTION_ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{PROJECT}"
SECRET = "acme/token"


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
    """A command that has ended, and the processor time that it took."""

    status: int
    out: str
    err: str
    processor_seconds: float


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
        runs: the verbs, by what they were for.
        looks: the world before any rotation, after the first, after that of `rotate`, after a leak, and after one in
            vain.
        stored: type and value of each parameter in Parameter Store.
        changes: how many events the stacks and versions the bucket had, before and after the second deployment.
        left: what is there at the end, by service.
        files: in the clone and at home, at the end.
    """

    account: tuple[str, str]
    runs: dict[str, Run] = field(default_factory=dict)
    looks: list[Look] = field(default_factory=list)
    stored: dict[str, tuple[str, str]] = field(default_factory=dict)
    changes: list[tuple[int, int]] = field(default_factory=list)
    left: dict[str, list[str]] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class World:
    """A clone, an account at Docker Hub and one at AWS, and somebody at the command line.

    Attributes:
        secrets_manager: the rehearsal's, which calls the function that is deployed in the emulator.
        client: returns boto3's client of a service of the emulator.
        environment: of the commands.
        home: where they run; AWS CLIs keep a history of what they are told there.
    """

    clone: Path
    hub: DockerHub
    hub_url: str
    secrets_manager: Aws
    client: Callable[[str], Any]
    environment: Mapping[str, str]
    home: Path

    def run(self, *arguments: str, stdin: str = "") -> Run:
        """Run a verb."""
        began = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-m", "operate", *arguments, "--project", PROJECT],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime
        return Run(done.returncode, done.stdout, done.stderr, seconds)

    def enter_credentials(self) -> Run:
        return self.run("credentials", stdin=f"{self.hub.username}\n{self.hub.password}\n")

    def stored(self) -> dict[str, tuple[str, str]]:
        """Return type and value of each parameter in Parameter Store."""
        found = self.client("ssm").get_parameters(Names=[USERNAME, PASSWORD], WithDecryption=True)["Parameters"]
        return {it["Name"]: (it["Type"], it["Value"]) for it in found}

    def deploy_function(self) -> Run:
        urls = f"ApiUrl={self.hub_url} AuthUrl={self.hub_url} RegistryUrl={self.hub_url}"
        settings = f"{urls} Secrets={SECRET},dockerhub-token"
        return self.run("deploy", "--only", "function", "--function-parameters", settings)

    def attach(self) -> None:
        """Attach the function to the secret, as the README says."""
        attach = (*("--secret-id", SECRET, "--rotation-lambda-arn", FUNCTION_ARN), *("--rotation-rules", RULES))
        subprocess.run(
            [AWS_CLI, "secretsmanager", "rotate-secret", *attach, "--region", REGION],
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
def world(folders: pytest.TempPathFactory) -> Iterator[World]:
    with ExitStack() as stack:
        clone, folder, home = (folders.mktemp(name) for name in ("clone", "emulator", "home"))
        make_clone(clone)
        (home / ".aws").mkdir()
        (home / ".aws" / "config").write_text("[default]\ncli_history = enabled\n")
        hub = DockerHub()
        hub_url = stack.enter_context(Server(hub.app)).url
        secrets_manager = Aws(invoke=lambda event: invoke(client("lambda"), event), account_id=ACCOUNT, attempts=1)
        secrets_url = stack.enter_context(Server(secrets_manager.app)).url
        to_secrets = {"AWS_ENDPOINT_URL_SECRETS_MANAGER": secrets_url}
        url = stack.enter_context(emulator(folder, to_secrets))
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PYTHONPATH": str(clone / "src"),
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": url,
            **{f"DOCKERHUB_{name}_URL": hub_url for name in ("API", "AUTH", "REGISTRY")},
            **to_secrets,
        }

        @cache
        def client(service: str) -> Any:
            session = boto3.Session(ACCOUNT, "test", region_name=REGION)
            return stack.enter_context(closing(session.client(service, endpoint_url=url)))  # type: ignore[call-overload]

        yield World(clone, hub, hub_url, secrets_manager, client, environment, home)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with world(tmp_path_factory) as there:
        told = tell(there)
        told.files = [path for path in (*there.home.rglob("*"), *there.clone.rglob("*")) if path.is_file()]
        yield told


def tell(world: World) -> Story:
    """Deploy from a clone, rotate, deploy again and destroy, as the README says."""
    hub, story = world.hub, Story((world.hub.username, world.hub.password))

    def count() -> None:
        stacks = [f"{PROJECT}-{kind}" for kind in ("bucket", "function", "caretaker", "secret")]
        formation, storage = world.client("cloudformation"), world.client("s3")
        events = [formation.describe_stack_events(StackName=stack)["StackEvents"] for stack in stacks]
        story.changes.append((sum(map(len, events)), len(storage.list_object_versions(Bucket=BUCKET)["Versions"])))

    story.runs["credentials"] = world.enter_credentials()
    story.stored = world.stored()
    story.runs["bucket"] = world.run("deploy", "--only", "bucket")
    story.runs["package"] = world.run("deploy", "--only", "package")
    story.runs["function"] = world.deploy_function()
    story.runs["caretaker"] = world.run("deploy", "--only", "caretaker")

    world.secrets_manager.create_secret(SECRET, hub.add_token("made by hand").value)
    story.looks.append(world.look())
    world.attach()
    story.looks.append(world.look())
    story.runs["rotate"] = world.run("rotate", "--secret", SECRET)
    story.looks.append(world.look())
    story.runs["grace"] = world.run("deploy", "--only", "function", "--function-parameters", "Grace=1h")
    story.runs["rotate after a leak"] = world.run("rotate", "--secret", SECRET, "--leaked")
    story.looks.append(world.look())
    hub.max_tokens = len(hub.tokens)
    story.runs["rotate in vain"] = world.run("rotate", "--secret", SECRET)
    story.looks.append(world.look())

    story.runs["secret"] = world.run("deploy", "--only", "secret", "--no-wait")  # nothing here begins a rotation
    count()
    story.runs["deploy again"] = world.run("deploy")
    count()

    story.runs["destroy"] = world.run("destroy", "--yes")
    story.left = world.left()
    story.runs["bucket once more"] = world.run("deploy", "--only", "bucket")
    return story


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
    ("scheduler", "list_schedules", "Schedules"),
)


def make_clone(folder: Path) -> None:
    """Make a clone of the repository, as far as it is deployed, with the package built.

    The third template loses what the emulator does not know.
    """
    for place in ("infra", "src/operate"):
        shutil.copytree(ROOT / place, folder / place, ignore=shutil.ignore_patterns("__pycache__"))
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


def test_the_credential_is_tried_with_the_package_that_is_deployed_and_stored_encrypted(story: Story) -> None:
    assert re.search(r"^tried +Docker Hub takes it$", story.runs["credentials"].out, re.MULTILINE)
    assert story.stored == {
        USERNAME: ("SecureString", story.account[0]),
        PASSWORD: ("SecureString", story.account[1]),
    }


def test_the_deployed_function_rotates_a_secret_that_is_attached_to_it(story: Story) -> None:
    before, after = story.looks[:2]

    assert before.current != after.current
    assert after.tokens == {before.current: False, after.current: True}
    assert sorted(map(sorted, after.labels.values())) == [["AWSCURRENT"], ["AWSPREVIOUS"]]


def test_rotate_rotates_and_follows_it_to_the_end(story: Story) -> None:
    before, after = story.looks[1:3]

    # What was disabled less than two seconds before the next rotation stays for one more.
    assert {token for token, active in after.tokens.items() if active} == {after.current}
    assert after.tokens[before.current] is False
    (version,) = after.labels.keys() - before.labels.keys()
    assert "AWSCURRENT" in after.labels[version]
    out = story.runs["rotate"].out
    assert f"version {version} is current" in out
    assert f"version  {version} AWSCURRENT" in out
    assert re.findall(r"INFO +(\w+)", out) == ["createSecret", "setSecret", "testSecret", "finishSecret"]


def test_after_a_leak_the_deployed_caretaker_leaves_the_new_token_alone(story: Story) -> None:
    before, after = story.looks[2:4]

    assert [token for token, active in after.tokens.items() if active] == [after.current]
    assert after.current != before.current
    out = story.runs["rotate after a leak"].out
    assert f"{PROJECT}-caretaker is updated" in story.runs["grace"].out
    assert re.search(r"^retired +1 superseded token disabled", out, re.MULTILINE)
    assert out.endswith("No token of the secret works any more but the one that is in use.\n")


def test_a_rotation_in_vain_says_why_and_what_mends_it(story: Story) -> None:
    before, after = story.looks[3:5]
    run = story.runs["rotate in vain"]

    assert run.status == 1
    assert before.current == after.current
    assert after.tokens == before.tokens
    assert re.search(r"ERROR +createSecret", run.out)
    assert "failed in createSecret" in run.err
    assert f"`AWS_REGION={REGION} make preflight PROJECT={PROJECT} DEPLOYED=1`" in run.out + run.err


def test_a_second_deployment_changes_nothing_and_says_so(story: Story) -> None:
    assert story.changes[0] == story.changes[1]
    again = story.runs["deploy again"].out
    assert re.findall(r"^(\w+) .* is (?:up to date|there already)$", again, re.MULTILINE) == [
        "bucket",
        "package",
        "function",
        "caretaker",
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
        f"the parameter {USERNAME}",
        f"the parameter {PASSWORD}",
    ]


def test_what_destroy_leaves_behind_serves_the_next_deployment(story: Story) -> None:
    assert "is used as it is" in story.runs["bucket once more"].out


def test_a_deployment_that_changes_nothing_takes_less_than_two_seconds_of_our_own(story: Story) -> None:
    assert story.runs["deploy again"].processor_seconds < 2


def test_no_secret_is_printed_or_left_in_a_file(story: Story) -> None:
    """Among them is the AWS CLI's history, if one was written."""
    secrets = {story.account[1], *(token for look in story.looks for token in look.tokens)}
    said = "".join(run.out + run.err for run in story.runs.values())

    assert [secret for secret in secrets if secret in said] == []
    assert [path for path in story.files for secret in secrets if secret.encode() in path.read_bytes()] == []
