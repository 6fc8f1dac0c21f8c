"""Real pulls while tokens rotate: skopeo, from a real registry that trusts the simulated Docker Hub.

A pull whose token was superseded between reading and logging in is overtaken: it reads again, and fails only if the
value is refused that is AWSCURRENT by then. A loop of pulls can't tell that from a token which was retired a moment too
early; the test in which the world stands still for a pull after every request can.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import re
import subprocess
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Condition, Thread

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from rehearsal.consumer import Consumer
from rehearsal.docker_hub import REGISTRY, Resource, Token
from rehearsal.wire import Fault, FaultKind, Request
from rehearsal.world import ORGANIZATION, Scene, World

SUCCEEDED = ["RotationStarted", "RotationSucceeded"]
KINDS = {"a personal token": None, "an organization's token": ORGANIZATION}
# What takes longest pulls with an organization's token only if asked: make e2e ARGS="-m long"
BOTH_KINDS = pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=[pytest.mark.long] if organization else []) for kind, organization in KINDS.items()],
    indirect=True,
)
REFUSALS = ("invalid username/password", "authentication required")  # by the token service, by the registry


class Registry:
    """A registry with a private repository, as its clients see it."""

    def __init__(self, host: str, repository: str, username: str, folder: Path) -> None:
        self._host = host
        self._image = f"docker://{host}/{repository}:latest"
        self._username = username
        self._folder = folder

    def push(self, image: Path, token: str) -> str:
        """Return why it was refused, or nothing."""
        return self._copy(f"dir:{image}", self._image, token)

    def pull(self, image: Path, token: str | None) -> str:
        """Return why it was refused, or nothing; without a token, pull as nobody."""
        return self._copy(self._image, f"dir:{image}", token)

    def _copy(self, source: str, destination: str, token: str | None) -> str:
        auth = base64.b64encode(f"{self._username}:{token}".encode()).decode()
        accounts = {self._host: {"auth": auth}} if token else {}
        with TemporaryDirectory(dir=self._folder) as home:
            authfile = Path(home, "auth.json")  # on the command line everybody could read the token
            authfile.write_text(json.dumps({"auths": accounts}))
            plain_http = ("--src-tls-verify=false", "--dest-tls-verify=false")
            done = subprocess.run(
                ["skopeo", "--insecure-policy", "copy", *plain_http, "--authfile", authfile, source, destination],
                env={"PATH": os.environ["PATH"], "HOME": home},
                check=False,
                capture_output=True,
                text=True,
                timeout=60,
            )
        if done.returncode == 0:
            return ""
        if not any(refusal in done.stderr for refusal in REFUSALS):
            raise RuntimeError(f"skopeo failed: {done.stderr}")
        return done.stderr


class Puller(Consumer):
    """Pulls the image without pause, each time with the token that it reads from AWSCURRENT."""

    def __init__(self, world: World, registry: Registry, folder: Path) -> None:
        super().__init__(world)
        self.pulls = 0
        self._pull = registry.pull
        self._folder = folder
        self._pulled = Condition()

    def accepts(self, token: str) -> bool:
        with TemporaryDirectory(dir=self._folder) as image:
            refused = self._pull(Path(image), token)
        with self._pulled:
            self.pulls += 1
            self._pulled.notify()
        return not refused

    def wait_for_a_pull(self) -> None:
        """Block until a pull has ended that began after this call."""
        with self._pulled:
            enough = self.pulls + 2  # the one under way began before
            self._pulled.wait_for(lambda: self.pulls >= enough or self._trouble)

    def _run(self) -> None:
        super()._run()
        with self._pulled:
            self._pulled.notify()  # nobody shall wait for pulls of a puller in trouble


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Return a folder with an image: one layer with one file."""
    folder = tmp_path / "image"
    folder.mkdir()

    def blob(media_type: str, content: bytes) -> dict[str, object]:
        digest = sha256(content).hexdigest()
        folder.joinpath(digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("hello"))
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{sha256(layer.getvalue()).hexdigest()}"]}
    settings = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs})
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob("application/vnd.oci.image.config.v1+json", settings.encode()),
        "layers": [blob("application/vnd.oci.image.layer.v1.tar+gzip", gzip.compress(layer.getvalue(), mtime=0))],
    }
    folder.joinpath("manifest.json").write_text(json.dumps(manifest))
    folder.joinpath("version").write_text("Directory Transport Version: 1.1\n")
    return folder


@contextmanager
def registry_for(world: World, folder: Path) -> Iterator[Registry]:
    """Run a registry that takes the tokens which the world's Docker Hub issues."""
    certificate, settings = folder / "certificate.pem", folder / "registry.json"
    certificate.write_bytes(world.hub.certificate.public_bytes(Encoding.PEM))
    token = {
        "realm": f"{world.hub_url}/token",
        "service": REGISTRY,
        "issuer": "auth.docker.io",
        "rootcertbundle": str(certificate),
    }
    configuration = {  # https://distribution.github.io/distribution/about/configuration/; all JSON is YAML
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}},
        "auth": {"token": token},
        "http": {"addr": "127.0.0.1:0"},
    }
    settings.write_text(json.dumps(configuration))
    with subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "docker-registry", "serve", settings],  # never outlives this process
        env={"PATH": os.environ["PATH"]},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        line = ""
        for line in process.stderr:
            if listening := re.search(r"listening on (127\.0\.0\.1:\d+)", line):
                break
        else:
            raise RuntimeError(f"the registry did not start: {line}")
        rest = Thread(target=process.stderr.read)  # lest the pipe fills up
        rest.start()
        try:
            yield Registry(listening[1], world.scene.repository, world.login_name, folder)
        finally:
            process.kill()
            rest.join()


LOUD = {"POWERTOOLS_LOG_LEVEL": "DEBUG", "POWERTOOLS_LOGGER_LOG_EVENT": "true"}

SetUp = Callable[..., tuple[World, Registry]]
Tally = dict[str, Counter[str]]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Return of what kind the secret's token is."""
    return str(request.param)


def with_scope(world: World, scope: str) -> Token:
    """Return a new token that may read or write images."""
    if world.scene.organization is None:
        return world.add_token(f"may {scope}", scopes=[f"repo:{scope}"])
    granted = {"read": "scope-image-pull", "write": "scope-image-push"}[scope]
    resources = [Resource("TYPE_REPO", world.scene.repository, (granted,))]
    return world.add_token(f"may {scope}", resources=resources)


@pytest.fixture
def set_up(tmp_path: Path, image: Path, kind: str) -> Iterator[SetUp]:
    """Return a function that sets up a world, and a registry for it with the image inside."""
    with ExitStack() as stack:

        def build(on_request: Callable[[Request], None] = lambda request: None) -> tuple[World, Registry]:
            scene = Scene(environment=LOUD, organization=KINDS[kind])
            world = stack.enter_context(World(scene, on_request=on_request))
            # Rotations are weeks apart, here moments: what Docker Hub counts by the minute must not add up.
            world.hub.lockout_after = world.hub.rate_limit_per_minute = 1_000_000
            registry = stack.enter_context(registry_for(world, tmp_path))
            assert registry.push(image, with_scope(world, "write").value) == ""
            return world, registry

        yield build


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_the_token_under_awscurrent_pulls_the_image_that_was_pushed(set_up: SetUp, image: Path, tmp_path: Path) -> None:
    world, registry = set_up()

    assert registry.pull(tmp_path / "pulled", world.current_token()) == ""

    assert contents(tmp_path / "pulled") == contents(image)


def test_a_token_that_may_only_read_does_not_push(set_up: SetUp, image: Path) -> None:
    world, registry = set_up()

    assert registry.push(image, with_scope(world, "read").value) != ""


@pytest.mark.parametrize("who", ["nobody", "a wrong token", "a disabled token", "a deleted token"])
def test_the_image_is_refused_to(set_up: SetUp, tmp_path: Path, who: str) -> None:
    world, registry = set_up()
    token = next(token for token in world.hub.tokens.values() if token.value == world.current_token())
    assert registry.pull(tmp_path / "before", token.value) == ""
    credential: str | None = token.value
    match who:
        case "nobody":
            credential = None
        case "a wrong token":
            credential = "dckr_pat_wrong"
        case "a disabled token":
            token.active = False
        case "a deleted token":
            del world.hub.tokens[token.uuid]

    assert registry.pull(tmp_path / "after", credential) != ""


def test_a_pull_fails_when_the_token_under_awscurrent_is_dead(set_up: SetUp, tmp_path: Path) -> None:
    world, registry = set_up()
    token = next(token for token in world.hub.tokens.values() if token.value == world.current_token())

    with Puller(world, registry, tmp_path) as puller:
        puller.wait_for_a_pull()
        assert (puller.failures, puller.overtaken) == (0, 0)
        token.active = False
        puller.wait_for_a_pull()

    assert puller.failures > 0


def test_a_pull_works_after_every_single_request_of_two_rotations(
    set_up: SetUp, tmp_path: Path, tally: Tally, kind: str
) -> None:
    refused: dict[str, str] = {}

    def pull(request: Request) -> None:
        if refusal := registry.pull(tmp_path / f"after-{request.number}", world.current_token()):
            refused[f"{request.number} {request.name}"] = refusal

    world, registry = set_up(pull)
    first_token = world.current_token()

    assert world.rotate() == SUCCEEDED
    second_token = world.current_token()
    assert world.rotate() == SUCCEEDED

    pulls = len(world.wire.requests)
    tally[f"{kind}: a pull after every request"].update({"rotations": 2, "pulls": pulls, "failed pulls": len(refused)})
    assert refused == {}
    assert registry.pull(tmp_path / "with-the-second", second_token) != ""
    # Of an organization's token that was made by hand no login tells which one it is.
    assert bool(registry.pull(tmp_path / "with-the-first", first_token)) is (world.scene.organization is None)


@BOTH_KINDS
def test_no_pull_fails_through_20_rotations(set_up: SetUp, tmp_path: Path, tally: Tally, kind: str) -> None:
    world, registry = set_up()

    with Puller(world, registry, tmp_path) as puller:
        for _ in range(20):
            assert world.rotate() == SUCCEEDED
            puller.wait_for_a_pull()

    tally[f"{kind}: pulls without pause"].update(counted(world, puller))
    assert puller.failures == 0
    assert world.leaked(world.function.log()) == []


@BOTH_KINDS
def test_no_pull_fails_through_rotations_in_which_any_change_meets_any_fault(
    set_up: SetUp, tmp_path: Path, tally: Tally, kind: str
) -> None:
    world, registry = set_up()
    tokens = world.tokens_path
    one = f"{tokens}/{{uuid}}"
    changes = (f"POST {tokens}", "PutSecretValue", "UpdateSecretVersionStage", f"PATCH {one}", f"DELETE {one}")

    with Puller(world, registry, tmp_path) as puller:
        assert [world.rotate(), world.rotate()] == [SUCCEEDED, SUCCEEDED]  # from now on each deletes a token, too
        # An answer that comes too late is one that is lost, after ten seconds.
        for fault, change in product([fault for fault in FaultKind if fault is not FaultKind.SLOW], changes):
            asked = len(world.wire.requests)
            world.wire.faults.append(Fault(0, fault, change, after=asked))

            assert world.rotate()[-1] == "RotationSucceeded"

            hurt = [(request.name, request.fault) for request in world.wire.requests[asked:] if request.fault]
            assert hurt == [(change, fault)]
            puller.wait_for_a_pull()

    tally[f"{kind}: the same, with faults"].update(counted(world, puller))
    assert puller.failures == 0
    assert world.leaked(world.function.log()) == []


def counted(world: World, puller: Puller) -> dict[str, int]:
    return {
        "rotations": sum(event.name == "RotationSucceeded" for event in world.aws.events),
        "pulls": puller.pulls,
        "failed pulls": puller.failures,
        "overtaken": puller.overtaken,
    }
