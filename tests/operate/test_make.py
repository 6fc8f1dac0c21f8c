"""The make verbs, which are one line each over the same functions as the console script."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import werkzeug

from operate.arguments import assignments, parser
from rehearsal.wire import Server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ROOT = Path(__file__).parents[2]
PYTHON = """#!{python} -IS
import json, sys
print(json.dumps(sys.argv[1:]))
"""


def make(folder: Path, *arguments: str, **environment: str) -> list[Any]:
    """Run the Makefile with a Python that does nothing, and return what the last command line says, read as it is."""
    folder.mkdir(exist_ok=True)
    shutil.copy(ROOT / "Makefile", folder)
    shutil.copytree(ROOT / "requirements", folder / "requirements")
    python = folder / ".venv" / "operate" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON.format(python=sys.executable))
    python.chmod(0o755)
    (folder / ".venv" / "operate" / ".ready").touch()
    done = subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not (folder / ".venv" / ".ready").exists(), "deploying needs the development environment"
    if done.returncode != 0:
        return [done.stderr]
    ((switch, module, *words),) = map(json.loads, done.stdout.splitlines())
    assert (switch, module) == ("-m", "operate")
    return [parser().parse_args(words)]


def test_make_hands_every_value_over_as_it_is(tmp_path: Path) -> None:
    schedule = "cron(0 4 ? * 2#1 *)"
    (options,) = make(
        tmp_path,
        "deploy-secret",
        f"SECRET_PARAMETERS=RotationSchedule='{schedule}' Shape=plain",
        "PROJECT=acme",
        "BUCKET=a bucket",
        "FUNCTION_PARAMETERS=TokenScopes='repo:read repo:write' Cost=$$5",
        "TAGS=team=a cost='x y'",
        "SERVICE_ROLE=arn:aws:iam::123456789012:role/formation",
        "PROTECT=1",
        "WAIT=no",
    )

    assert (options.command, options.only, options.ask_token) == ("deploy", "secret", False)
    assert (options.project, options.secret, options.bucket) == ("acme", "dockerhub-token", "a bucket")
    assert assignments(options.secret_parameters) == {"RotationSchedule": schedule, "Shape": "plain"}
    assert assignments(options.tags) == {"team": "a", "cost": "x y"}
    assert options.service_role == "arn:aws:iam::123456789012:role/formation"
    assert (options.protect, options.no_wait) == (True, True)
    assert assignments(options.function_parameters) == {"TokenScopes": "repo:read repo:write", "Cost": "$5"}


VERBS = [
    *("preflight", "credentials", "deploy", "rotate", "destroy"),
    *("status", "logs", "unblock", "rollback", "reconcile", "retire"),
]
ASKING = ("destroy", "rotate", "credentials", "unblock", "rollback", "retire")


@pytest.mark.parametrize("verb", VERBS)
def test_what_the_environment_happens_to_hold_names_no_deployment(tmp_path: Path, verb: str) -> None:
    held = {"PROJECT": "theirs", "SECRET": "theirs", "BUCKET": "theirs", "FUNCTION_PARAMETERS": "Login=users-login"}
    held["ARGS"] = "--project theirs --yes" if verb in ASKING else "--project theirs"
    held |= {"VERSION": "x", "FOLLOW": "1", "DEPLOYED": "1"}
    (options,) = make(tmp_path, verb, **held, SECRET_PARAMETERS="Shape=ecs", TAGS="a=b", YES="1", TRY="no", WAIT="no")
    (usual,) = [parser().parse_args([verb])]

    assert vars(options) == vars(usual)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_can_answer_a_program(tmp_path: Path, verb: str) -> None:
    (options,) = make(tmp_path, verb, "ARGS=--json")

    assert (options.command, options.json) == (verb, True)


def test_what_deploys_is_fetched_from_the_mirror_that_pip_is_told(tmp_path: Path) -> None:
    asked = []

    def mirror(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        asked.append(environ["PATH_INFO"])
        return werkzeug.Response(status=404)(environ, start_response)

    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    with Server(mirror) as server:
        environment = {"PIP_INDEX_URL": f"{server.url}/simple", "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1"}
        done = subprocess.run(
            ["make", ".venv/operate/.ready", f"PYTHON={sys.executable}"],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], **environment},
            capture_output=True,
            check=False,
        )

    assert done.returncode != 0
    assert asked[0].startswith("/simple/")
    assert not (tmp_path / ".venv" / "operate" / ".ready").exists()
    assert not (tmp_path / ".venv" / "bin").exists()


@pytest.mark.parametrize("target", ["deploy", "deploy-secret"])
def test_make_asks_for_a_token_only_if_told_so_on_its_command_line(tmp_path: Path, target: str) -> None:
    (told,) = make(tmp_path / "told", target, "TOKEN=ask")
    (environment,) = make(tmp_path / "environment", target, TOKEN="ask")
    (refused,) = make(tmp_path / "refused", target, "TOKEN=dckr_pat_first")

    assert told.ask_token is True
    assert environment.ask_token is False
    assert "Only TOKEN=ask is understood" in refused
    assert "dckr_pat_first" not in refused


def test_make_rotates_after_a_leak_only_if_told_so_on_its_command_line(tmp_path: Path) -> None:
    (told,) = make(tmp_path / "told", "rotate", "LEAKED=1")
    (environment,) = make(tmp_path / "environment", "rotate", LEAKED="1")

    assert told.leaked is True
    assert environment.leaked is False


SWITCHES = [
    ("destroy", "YES", "yes", True),
    ("credentials", "YES", "yes", True),
    ("deploy", "PROTECT", "protect", True),
    ("rotate", "LEAKED", "leaked", True),
    ("rotate", "YES", "yes", True),
    ("unblock", "YES", "yes", True),
    ("rollback", "YES", "yes", True),
    ("retire", "YES", "yes", True),
    ("logs", "FOLLOW", "follow", True),
    ("preflight", "DEPLOYED", "deployed", True),
    ("credentials", "TRY", "no_try", False),
    ("deploy", "WAIT", "no_wait", False),
]


@pytest.mark.parametrize(("verb", "variable", "option", "set_by"), SWITCHES)
def test_only_a_clear_yes_is_a_yes_and_only_a_clear_no_is_a_no(
    tmp_path: Path, verb: str, variable: str, option: str, *, set_by: bool
) -> None:
    yes, no = ("1", "yes", "true", "y"), ("0", "no")
    for number, word in enumerate((*yes, *no, "")):
        (options,) = make(tmp_path / str(number), verb, f"{variable}={word}")
        assert getattr(options, option) is (word in (yes if set_by else no)), word
    for number, word in enumerate(("maybe", "no, never", "1 no", "NO")):
        (refused,) = make(tmp_path / f"refused-{number}", verb, f"{variable}={word}")
        assert f"{variable}={word} is neither yes (1, yes, true, y) nor no (0, no)" in refused


@pytest.mark.parametrize("verb", ["status", "reconcile"])
def test_all_secrets_are_meant_unless_one_is_named_on_the_command_line(tmp_path: Path, verb: str) -> None:
    (every,) = make(tmp_path / "every", verb, SECRET="theirs")
    (one,) = make(tmp_path / "one", verb, "SECRET=dockerhub-token")

    assert (every.secret, one.secret) == (None, "dockerhub-token")


@pytest.mark.parametrize("verb", ["logs", "rollback"])
def test_a_version_travels_as_it_is(tmp_path: Path, verb: str) -> None:
    (options,) = make(tmp_path, verb, 'VERSION=a b "$$c"')

    assert (options.version, options.secret) == ('a b "$c"', "dockerhub-token")


def test_make_destroys_without_asking_only_if_told_so_on_its_command_line(tmp_path: Path) -> None:
    (told,) = make(tmp_path / "told", "destroy", "YES=1")
    (environment,) = make(tmp_path / "environment", "destroy", YES="1")

    assert told.yes is True
    assert environment.yes is False
