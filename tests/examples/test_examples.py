"""Every example is what its consumer takes: by the consumer's own client or schema where there is one, or run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml
from botocore import xform_name
from botocore.model import ListShape, Shape, StringShape, StructureShape
from botocore.validate import ParamValidator
from jsonschema import Draft202012Validator

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
HOST = EXAMPLES / "host"
PAGE = (EXAMPLES / "README.md").read_text(encoding="utf-8")
REQUESTS = re.findall(r"`aws (\S+) (\S+) --cli-input-json file://examples/(\S+)`", PAGE)
# Not sourced from anybody's token: what the helper and the login are to pass on.
TOKEN = "dckr_pat_" + "x" * 27


def asked(service: str, command: str) -> StructureShape:
    """Return what an operation is asked with, as AWS describes it to its own clients, by its name in the AWS CLI."""
    described = botocore.session.Session().get_service_model(service)
    (name,) = [it for it in described.operation_names if xform_name(it, "-") == command]
    shape = described.operation_model(name).input_shape
    assert shape
    return shape


def written(value: Any, shape: Shape | None) -> Iterator[tuple[str, StringShape]]:
    """Yield each text in a request with its shape."""
    if isinstance(shape, StructureShape):
        for name, part in value.items():
            yield from written(part, shape.members[name])
    elif isinstance(shape, ListShape):
        for part in value:
            yield from written(part, shape.member)
    elif isinstance(shape, StringShape):
        yield value, shape


@pytest.mark.parametrize(("service", "command", "name"), REQUESTS)
def test_aws_own_client_takes_the_request(service: str, command: str, name: str) -> None:
    request = json.loads((EXAMPLES / name).read_text(encoding="utf-8"))
    shape = asked(service, command)

    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()
    assert [text for text, it in written(request, shape) if it.enum and text not in it.enum] == []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda it: it["containerDefinitions"][0]["repositoryCredentials"].clear(), "Missing required parameter"),
        (lambda it: it["containerDefinitions"][0].update(repositoryCredential={}), "Unknown parameter"),
        (lambda it: it.update(cpu=256), "Invalid type"),
    ],
)
def test_a_mistake_in_a_request_is_noticed(spoil: Any, said: str) -> None:
    request = json.loads((EXAMPLES / "ecs-task-definition.json").read_text(encoding="utf-8"))
    spoil(request)

    report = ParamValidator().validate(request, asked("ecs", "register-task-definition"))

    assert said in report.generate_report()


def test_a_pull_through_cache_is_given_a_secret_that_it_finds_and_everybody_else_one_that_may_be_read() -> None:
    named = {
        name: re.findall(r"arn:aws:secretsmanager:[^\"]+", (EXAMPLES / name).read_text()) for _, _, name in REQUESTS
    }
    (statement,) = json.loads((EXAMPLES / "read-secret-policy.json").read_text())["Statement"]
    allowed = re.compile(re.escape(statement["Resource"]).replace(r"\?", "."))
    service, _, action = statement["Action"].partition(":")

    (cached,) = named.pop("ecr-pull-through-cache-rule.json")
    assert ":secret:ecr-pullthroughcache/" in cached
    assert {len(arns) for arns in named.values()} == {1}
    assert [arn for arns in named.values() for arn in arns if not allowed.fullmatch(arn)] == []
    assert action in botocore.session.Session().get_service_model(service).operation_names


def closed(schema: Any) -> Any:
    """Return a schema in which an object has no fields but those that are named: Kubernetes drops others silently."""
    if isinstance(schema, list):
        return [closed(it) for it in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(it) for key, it in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        inner.setdefault("additionalProperties", False)
    return inner


def kubernetes() -> dict[str, Any]:
    documents = yaml.safe_load_all((EXAMPLES / "external-secret.yaml").read_text(encoding="utf-8"))
    return {it["kind"]: it for it in documents}


def schema(kind: str) -> Draft202012Validator:
    """Return what checks one kind of the operator's objects, as its own definition of that kind says."""
    told = closed(json.loads(Path(__file__).with_name("external_secrets.json").read_text())[kind])
    told["properties"]["metadata"] = {"type": "object"}  # Kubernetes' own
    return Draft202012Validator(told)


@pytest.mark.parametrize("kind", ["ClusterSecretStore", "ExternalSecret"])
def test_the_operators_schema_takes_what_is_given_to_it(kind: str) -> None:
    given = kubernetes()[kind]

    assert given["apiVersion"] == "external-secrets.io/v1"
    assert [f"{it.json_path}: {it.message}" for it in schema(kind).iter_errors(given)] == []

    given["spec"]["refreshIntervall"] = "1h"
    assert [it.json_path for it in schema(kind).iter_errors(given)] == ["$.spec"]


def test_the_secret_that_a_pod_pulls_with_is_the_one_that_the_operator_makes() -> None:
    given = kubernetes()
    made, pod = given["ExternalSecret"], given["Pod"]

    assert pod["spec"]["imagePullSecrets"] == [{"name": made["spec"]["target"]["name"]}]
    assert pod["metadata"]["namespace"] == made["metadata"]["namespace"]
    store = {"kind": "ClusterSecretStore", "name": given["ClusterSecretStore"]["metadata"]["name"]}
    assert made["spec"]["secretStoreRef"] == store
    assert [it["secretKey"] for it in made["spec"]["data"]] == [".dockerconfigjson"]


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Return a folder with an `aws` that tells a token and a `docker` that notes what it is told."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, does in (
        ("aws", f'echo "aws $*" >> "{tmp_path}/told"; [ ! -e "{tmp_path}/denied" ] || exit 254; echo {TOKEN}'),
        ("docker", f'echo "docker $*" >> "{tmp_path}/told"; cat > "{tmp_path}/entered"'),
    ):
        (folder / name).write_text(f"#!/bin/sh\n{does}\n")
        (folder / name).chmod(0o755)
    return folder


def run(programs: Path, name: str, *words: str, entered: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [HOST / name, *words],
        env={
            "PATH": f"{programs}:{os.environ['PATH']}",
            "DOCKERHUB_SECRET": "dockerhub-token",
            "DOCKERHUB_USERNAME": "acme",
        },
        input=entered,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_login_hands_the_token_over_in_no_argument(programs: Path, tmp_path: Path) -> None:
    assert run(programs, "dockerhub-login").returncode == 0

    assert (tmp_path / "entered").read_text() == TOKEN
    assert (tmp_path / "told").read_text().splitlines() == [
        "aws secretsmanager get-secret-value --secret-id dockerhub-token --query SecretString --output text",
        "docker login --username acme --password-stdin",
    ]


def test_a_login_that_is_there_stays_if_the_token_can_not_be_read(programs: Path, tmp_path: Path) -> None:
    (tmp_path / "denied").touch()

    assert run(programs, "dockerhub-login").returncode == 254
    assert not (tmp_path / "entered").exists()


@pytest.mark.parametrize("end", ["", "\n"])
def test_the_helper_answers_as_docker_asks(programs: Path, end: str) -> None:
    """https://github.com/docker/docker-credential-helpers#development."""
    done = run(programs, HELPER, "get", entered=f"https://index.docker.io/v1/{end}")

    assert json.loads(done.stdout) == {"ServerURL": "https://index.docker.io/v1/", "Username": "acme", "Secret": TOKEN}


def test_the_helper_says_nothing_if_the_token_can_not_be_read(programs: Path, tmp_path: Path) -> None:
    (tmp_path / "denied").touch()

    done = run(programs, HELPER, "get", entered="https://index.docker.io/v1/")

    assert (done.returncode, done.stdout) == (254, "")


@pytest.mark.parametrize("verb", [(), ("store",), ("erase",), ("list",)])
def test_the_helper_stores_nothing(programs: Path, tmp_path: Path, verb: tuple[str, ...]) -> None:
    assert run(programs, HELPER, *verb).returncode == 1
    assert not (tmp_path / "told").exists()


HELPER = "docker-credential-dockerhub-rotation"


def test_docker_is_told_of_the_helper_by_its_name() -> None:
    told = json.loads((HOST / "docker-config.json").read_text())["credHelpers"]

    assert [f"docker-credential-{name}" for name in told.values()] == [HELPER]
    assert list(told) == ["https://index.docker.io/v1/"]


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze here")
    for unit in ("dockerhub-login.service", "dockerhub-login.timer"):
        text = (HOST / unit).read_text().replace("/usr/local/bin/dockerhub-login", str(HOST / "dockerhub-login"))
        (tmp_path / unit).write_text(text)

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *sorted(tmp_path.glob("dockerhub-login.*"))],
        env={"PATH": os.environ["PATH"], "SYSTEMD_LOG_LEVEL": "warning"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, [line for line in done.stderr.splitlines() if "dockerhub-login" in line]) == (0, [])


def test_every_example_is_on_the_page() -> None:
    linked = set(re.findall(r"\]\(([\w./-]+)\)", PAGE))
    units = {f"host/{name}" for name in re.findall(r"examples/host/(\S+)", PAGE)}
    there = {it.relative_to(EXAMPLES).as_posix() for it in EXAMPLES.rglob("*") if it.is_file()} - {"README.md"}

    assert there == {it for it in linked if not it.startswith("..")} | units
    assert len(REQUESTS) == 4
