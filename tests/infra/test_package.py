"""The package: the same bytes wherever it is built, and all that Lambda needs to rotate a secret."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import werkzeug
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from rehearsal import runtime
from rehearsal.invariants import Invariants
from rehearsal.runtime import RUNNING, UV
from rehearsal.sandbox import Function, FunctionError
from rehearsal.wire import Request, Server
from rehearsal.world import FUNCTION_ARN, Scene, World

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

pytestmark = pytest.mark.xdist_group("package")  # they share what is built once

ROOT = Path(__file__).parents[2]

# Lambda's current runtimes and those this project is developed with; at least the one that runs this test is there.
PYTHONS = ("3.11", "3.12", "3.13", "3.14")

OF_THE_SDK = {"boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3"}


def program() -> Any:
    """Return infra/package.py as a module."""
    spec = importlib.util.spec_from_file_location("package", ROOT / "infra" / "package.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PACKAGE = program()


def build(archive: Path, *, root: Path = ROOT, **circumstances: Any) -> bytes:
    """Build the package as `make package` does and return it."""
    subprocess.run([sys.executable, root / "infra" / "package.py", archive], check=True, **circumstances)
    return archive.read_bytes()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "dockerhub-rotation.zip"
    build(path)
    return path


@pytest.fixture(scope="module")
def contents(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as package:
        return {name: package.read(name) for name in package.namelist()}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return another clone of the repository, as far as the package is made of it."""
    root = tmp_path / "clone"
    for name in ("infra", "requirements", "src"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("LICENSE", "pyproject.toml"):
        shutil.copy(ROOT / name, root)
    return root


def test_xdist_keeps_what_is_built_once_on_one_worker(request: pytest.FixtureRequest) -> None:
    """It knows a group by the end of a test's id, and says nothing where it finds none."""
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("there is one worker only")

    assert request.node.nodeid.endswith("@package")


def pinned(lock: str) -> dict[str, str]:
    """Return the versions in a lock file by name."""
    return dict(
        re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements" / lock).read_text(encoding="utf-8"), re.MULTILINE)
    )


@pytest.mark.parametrize(
    "circumstances",
    [
        {"umask": 0o077},
        {"cwd": "/"},
        {"env": {"TZ": "Pacific/Kiritimati"}},
        {"env": {"SOURCE_DATE_EPOCH": "1"}},
        {"env": {"UV_COMPILE_BYTECODE": "1", "PYTHONHASHSEED": "1"}},
        {"env": {"LC_ALL": "C", "UV_LINK_MODE": "copy"}},
    ],
    ids=str,
)
def test_two_builds_are_byte_identical_whatever_is_different_around_them(
    archive: Path, tmp_path: Path, circumstances: dict[str, Any]
) -> None:
    env = {**os.environ, **circumstances.pop("env", {})}

    assert build(tmp_path / "again.zip", env=env, **circumstances) == archive.read_bytes()


def test_another_clone_builds_the_same_whatever_lies_about_in_it(archive: Path, clone: Path, tmp_path: Path) -> None:
    function = clone / "src" / "dockerhub_rotation"
    (function / "__pycache__").mkdir()
    for litter in ("__pycache__/handler.cpython-313.pyc", ".env", "handler.py.orig", "notes.txt"):
        (function / litter).write_text("dckr_pat_" + "x" * 27)
    for number, file in enumerate(sorted(clone.rglob("*.py"))):
        file.chmod(0o600)
        os.utime(file, (number, number))

    assert build(tmp_path / "again.zip", root=clone) == archive.read_bytes()


@pytest.mark.parametrize("machine", PACKAGE.MACHINES)
@pytest.mark.parametrize("python", PACKAGE.PYTHONS)
def test_one_package_fits_every_runtime_and_architecture(contents: dict[str, bytes], python: str, machine: str) -> None:
    ours = {name: content for name, content in contents.items() if name.startswith("dockerhub_rotation/")}

    assert {**PACKAGE.dependencies(python, machine), **ours, "LICENSE": contents["LICENSE"]} == contents


def test_the_package_holds_the_function_its_dependencies_and_nothing_else(contents: dict[str, bytes]) -> None:
    top = {name.partition("/")[0] for name in contents}

    assert {name for name in top if not name.endswith(".dist-info")} == {
        "LICENSE",
        "anyio",
        "aws_lambda_powertools",
        "certifi",
        "dockerhub_rotation",
        "h11",
        "httpcore",
        "httpx",
        "idna",
        "typing_extensions.py",
    }
    package = ROOT / "src" / "dockerhub_rotation"
    sources = {str(path.relative_to(package)): path.read_bytes() for path in package.rglob("*.py")}
    packed = {name: content for name, content in contents.items() if name.startswith("dockerhub_rotation/")}
    assert packed == {f"dockerhub_rotation/{name}": content for name, content in sources.items()} | {
        "dockerhub_rotation/py.typed": b""
    }
    assert contents["LICENSE"] == (ROOT / "LICENSE").read_bytes()


def test_each_dependency_is_the_locked_one_and_the_sdk_is_left_to_the_runtime(contents: dict[str, bytes]) -> None:
    packed = {
        name.replace("_", "-"): version
        for name, version in re.findall(r"^(\w+)-([^/]+)\.dist-info/METADATA$", "\n".join(contents), re.MULTILINE)
    }

    locked = pinned("runtime.txt")
    assert packed == {name: version for name, version in locked.items() if name not in OF_THE_SDK}
    assert not OF_THE_SDK - set(pinned("lambda.txt"))


def sbom(archive: Path, folder: Path, **circumstances: Any) -> dict[str, bytes]:
    """Return what is written beside a package, by name."""
    copy = Path(shutil.copy(archive, folder))
    subprocess.run([sys.executable, ROOT / "infra" / "sbom.py", copy], check=True, **circumstances)
    return {path.name: path.read_bytes() for path in folder.iterdir() if path != copy}


def test_beside_the_package_lie_its_checksum_and_a_bill_of_all_that_is_in_it(
    archive: Path, contents: dict[str, bytes], tmp_path: Path
) -> None:
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    written = sbom(archive, tmp_path)
    text = written["dockerhub-rotation.cdx.json"].decode()
    bill = json.loads(text)
    installed = {
        match[1].replace("_", "-"): match[2]
        for match in (re.match(r"([^/]+)-([^/-]+)\.dist-info/METADATA$", name) for name in contents)
        if match
    }

    assert written.keys() == {"dockerhub-rotation.zip.sha256", "dockerhub-rotation.cdx.json"}
    assert written["dockerhub-rotation.zip.sha256"].decode() == f"{digest}  dockerhub-rotation.zip\n"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert bill["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": digest}]
    assert {it["purl"] for it in bill["components"]} == {f"pkg:pypi/{name}@{it}" for name, it in installed.items()}
    assert installed.items() <= pinned("runtime.txt").items()
    assert all(it["licenses"] for it in [bill["metadata"]["component"], *bill["components"]])
    (function, *_) = [it for it in bill["dependencies"] if it["ref"] == "dockerhub-rotation"]
    assert set(function["dependsOn"]) == {it["bom-ref"] for it in bill["components"]}


def test_checksum_and_bill_are_the_same_bytes_at_any_time_and_place(archive: Path, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    elsewhere = {**os.environ, "TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "1", "LC_ALL": "C"}

    assert sbom(archive, here) == sbom(archive, there, env=elsewhere, cwd="/")


def test_each_dependency_brings_its_licence(contents: dict[str, bytes]) -> None:
    folders = {name.partition("/")[0] for name in contents if ".dist-info/" in name}

    assert folders == {name.partition("/")[0] for name in contents if re.search(r"\.dist-info/.*LICEN[CS]E", name)}


def test_nothing_in_the_package_is_tied_to_a_machine(contents: dict[str, bytes]) -> None:
    suffixes = {Path(name).suffix for name in contents}
    parts = {part for name in contents for part in Path(name).parts}

    assert not suffixes & {".dll", ".dylib", ".pyc", ".pyd", ".pyo", ".so"}
    assert not parts & {"__pycache__", "bin", "direct_url.json", "INSTALLER", "RECORD", "tests"}
    assert not [name for name, content in contents.items() if str(ROOT).encode() in content]


def test_nothing_in_the_package_looks_like_a_secret(contents: dict[str, bytes]) -> None:
    secret = re.compile(
        rb"dckr_[po]at_[\w-]{20,}|\bA[KS]IA[0-9A-Z]{16}\b|PRIVATE KEY-----|hooks\.slack\.com/services/T\w+/"
    )

    assert not [name for name, content in contents.items() if secret.search(content)]


def test_every_entry_is_readable_by_all_and_written_as_any_machine_would(archive: Path) -> None:
    """Lambda's user is not the owner; dates, order and compression are what machines differ in."""
    with zipfile.ZipFile(archive) as package:
        entries = package.infolist()

    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}
    assert {(entry.date_time, entry.compress_type) for entry in entries} == {
        ((1980, 1, 1, 0, 0, 0), zipfile.ZIP_STORED)
    }
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)


def refused(clone: Path) -> str:
    """Try to build the package of a clone, and return what is said about why it can't be."""
    archive = clone / "dist" / "dockerhub-rotation.zip"
    done = subprocess.run(
        [sys.executable, clone / "infra" / "package.py"], check=False, cwd=clone, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert not archive.exists()
    return done.stderr


def test_a_dependency_with_compiled_parts_is_refused(clone: Path) -> None:
    (clone / "pyproject.toml").write_text('[project]\nname = "it"\nversion = "1"\ndependencies = ["simplejson"]\n')
    shutil.copy(clone / "requirements" / "lambda.txt", clone / "requirements" / "runtime.txt")

    assert re.fullmatch(r"simplejson-\S+ is not in pure Python\..*\n", refused(clone))


def test_a_dependency_that_is_not_the_locked_one_is_refused(clone: Path) -> None:
    lock = clone / "requirements" / "runtime.txt"
    lock.write_text(re.sub(r"sha256:\w+", f"sha256:{'0' * 64}", lock.read_text()))

    assert "Hash mismatch" in refused(clone)


def test_a_dependency_that_is_not_locked_is_refused(clone: Path) -> None:
    lock = clone / "requirements" / "runtime.txt"
    lock.write_text(re.sub(r"(?m)^idna==(.*\n)+?(?=\S)", "", lock.read_text()))

    assert "idna" in refused(clone)


class Answer(NamedTuple):
    """What the runtime said of an invocation: the function's error, if any, and whether the process goes on."""

    error: str | None
    alive: bool


class RuntimeApi:
    """Lambda's side of one runtime process: it is asked for events and told how they went.

    https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html

    Attributes:
        events: what is to be handed out, with the second since 1970 at which it must be done; None ends it all.
        answers: what came back.
        init_error: why the function could not be loaded.
    """

    def __init__(self) -> None:
        self.events: Queue[tuple[object, float] | None] = Queue()
        self.answers: Queue[Answer] = Queue()
        self.init_error: str | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        asked = werkzeug.Request(environ)
        answer = werkzeug.Response(status=202)
        match asked.method, asked.path.removeprefix("/2018-06-01/runtime/").split("/"):
            case "GET", ["invocation", "next"]:
                answer = self._next()
            case "POST", ["invocation", _, "response"]:
                self.answers.put(Answer(None, alive=True))
            case "POST", ["invocation", _, "error"]:
                self.answers.put(Answer(_told(asked), alive=True))
            case "POST", ["init", "error"]:
                self.init_error = _told(asked)
            case _:
                answer.status_code = 404
        return answer(environ, start_response)

    def _next(self) -> werkzeug.Response:
        handed_out = self.events.get()
        if handed_out is None:
            return werkzeug.Response(status=410)
        event, deadline = handed_out
        headers = {
            "Lambda-Runtime-Aws-Request-Id": "00000000-0000-4000-8000-000000000000",
            "Lambda-Runtime-Deadline-Ms": str(round(deadline * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": FUNCTION_ARN,
        }
        return werkzeug.Response(json.dumps(event), headers=headers, content_type="application/json")


def _told(asked: werkzeug.Request) -> str:
    error = asked.get_json(force=True)
    return f"{error['errorType']}: {error['errorMessage']}"


class PackagedFunction(Function):
    """The unpacked package, run as Lambda runs it: by AWS's own runtime client, which fetches events over HTTP.

    Args:
        python: the runtime's interpreter.
        folder: where the package is unpacked.
        environment: the function's environment variables.
        cold: whether every invocation gets a fresh process.
        timeout_seconds: when the service ends an invocation.
    """

    def __init__(
        self,
        python: Path,
        folder: Path,
        environment: Mapping[str, str],
        *,
        cold: bool = False,
        timeout_seconds: float = 60,
    ) -> None:
        super().__init__(environment, cold=cold, timeout_seconds=timeout_seconds)
        self._environment = {
            **environment,
            "AWS_LAMBDA_FUNCTION_NAME": "dockerhub-rotation",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        }
        self._python = python
        self._folder = folder
        self._api = RuntimeApi()
        self._running = ExitStack()

    def invoke(self, event: object) -> None:
        if self._process is None:
            self._start()
        self._api.events.put((event, time.time() + self._timeout_seconds))
        try:
            answer = self._api.answers.get(timeout=self._timeout_seconds)
        except Empty:
            answer = Answer(f"timed out after {self._timeout_seconds:g} seconds", alive=False)
        if self._cold or not answer.alive:
            self.discard()
        if answer.error:
            raise FunctionError(answer.error)

    def _start(self) -> None:
        api = self._api = RuntimeApi()
        server = self._running.enter_context(Server(api))
        self._running.callback(api.events.put, None)
        process = self._process = subprocess.Popen(
            [self._python, "-m", "awslambdaric", "dockerhub_rotation.handler.lambda_handler"],
            cwd=self._folder,
            env={**self._environment, "AWS_LAMBDA_RUNTIME_API": server.url.removeprefix("http://")},
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

        def await_end() -> None:
            process.wait()
            api.answers.put(Answer(api.init_error or "the process of the function died", alive=False))

        watcher = Thread(target=await_end)
        watcher.start()
        self._running.callback(watcher.join)
        self._running.callback(process.kill)

    def discard(self) -> None:
        self._running.close()
        self._process = None


@pytest.fixture
def make_function(archive: Path, tmp_path: Path) -> Callable[..., Callable[..., PackagedFunction]]:
    """Return a function that unpacks the package, beside an interpreter that has what Lambda's has."""
    if sys.platform != "linux":
        pytest.skip("AWS publishes its runtime client for Linux only")

    def make(version: str, *, without: str | None = None) -> Callable[..., PackagedFunction]:
        task = tmp_path / "task"
        with zipfile.ZipFile(archive) as package:
            package.extractall(task, [name for name in package.namelist() if name.partition("/")[0] != without])
        return partial(PackagedFunction, interpreter(version, tmp_path / "runtime"), task)

    return make


def interpreter(version: str, folder: Path) -> Path:
    """Make an interpreter that has the AWS SDK and Lambda's runtime client; skip the test if there is none to make."""
    python = runtime.interpreter(version, folder)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    has = subprocess.run([UV, "pip", "freeze", "--python", python], check=True, capture_output=True, text=True).stdout
    assert dict(line.split("==") for line in has.splitlines()) == pinned("lambda.txt")
    return python


@pytest.mark.parametrize("version", PYTHONS)
def test_the_package_rotates_a_secret_on_an_interpreter_that_has_only_the_sdk(
    make_function: Callable[..., Callable[..., PackagedFunction]], version: str
) -> None:
    invariants = Invariants()

    def on_request(request: Request) -> None:
        invariants.look(world, request)

    with World(Scene(), on_request=on_request, run_function=make_function(version)) as world:
        invariants.begin(world)
        made_by_hand = world.current_token()

        assert world.rotate() == ["RotationStarted", "RotationSucceeded"]

        assert [run.step for run in world.steps] == ["createSecret", "setSecret", "testSecret", "finishSecret"]
        assert world.hub.authenticates(world.current_token())
        assert not world.hub.authenticates(made_by_hand)
        invariants.at_rest(world)
        invariants.search_output(world)
        assert invariants.broken == []


def test_lambda_hears_of_a_failed_step_what_the_function_raised(
    make_function: Callable[..., Callable[..., PackagedFunction]],
) -> None:
    with World(Scene(environment={"DOCKERHUB_LOGIN": "by-mail"}), run_function=make_function(RUNNING)) as world:
        events = world.rotate()

        assert set(events) == {"RotationStarted", "RotationFailed"}
        assert (world.steps[0].error or "").startswith("SettingsInvalid: The function's environment is wrong")


def test_without_a_dependency_the_function_does_not_start(
    make_function: Callable[..., Callable[..., PackagedFunction]],
) -> None:
    """So the interpreter has none of them, and what the function imports in these tests is the package's."""
    with World(Scene(), run_function=make_function(RUNNING, without="httpx")) as world:
        world.rotate()

        assert "No module named 'httpx'" in (world.steps[0].error or "")
