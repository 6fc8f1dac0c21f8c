"""The command behind `make rehearse`, and the page and the picture that show what it prints."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from rehearsal import rehearse
from rehearsal.command_line import main
from rehearsal.served import show
from rehearsal.shown import saying, the_world
from rehearsal.wire import Fault, FaultKind
from rehearsal.world import Scene, Shape, World

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs/rehearsal.svg"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rehearsal", *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src")},
    )


def masked(text: str) -> str:
    """Leave out what differs from run to run: ids, times, how often the consumer came round, blanks."""
    text = " ".join(text.split())  # the picture's blanks are no-break spaces
    text = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})?\b", "<id>", text)
    text = re.sub(r"\d+ ms", "<time>", text)
    text = re.sub(r"\d+ logins with AWSCURRENT meanwhile(, \d+ after reading AWSCURRENT again)?", "<logins>", text)
    return "".join(text.split())


def in_the_picture() -> str:
    """Return the text of the picture: each part of a line is cut off where its line ends, which tells the line."""
    lines: dict[str, str] = {}
    for part in ET.fromstring(PICTURE.read_text(encoding="utf-8")).iter("{http://www.w3.org/2000/svg}text"):  # noqa: S314
        if line := part.get("clip-path"):
            lines[line] = lines.get(line, "") + (part.text or "")
    return "\n".join(lines.values())


def test_the_page_and_the_picture_show_what_the_first_command_prints() -> None:
    """Draw the picture anew with `make pictures`."""
    shown = re.search(r"```text\n(.*?)```", (ROOT / "docs/rehearsing.md").read_text(), re.DOTALL)
    assert shown

    done = run("rotate")

    assert done.returncode == 0
    assert masked(done.stdout) == masked(shown[1])
    assert masked(done.stdout) == masked(in_the_picture())
    assert done.stderr == ""


def test_the_picture_needs_nothing_from_elsewhere() -> None:
    drawn = PICTURE.read_text(encoding="utf-8").replace("https://www.textualize.io", "")

    assert set(re.findall(r"https?://[^\s\"]+", drawn)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"(href|url\([^#]|@import|@font-face|<script)", drawn)


@pytest.mark.parametrize("shape", [it for it in Shape if it is not Shape.PLAIN])
def test_what_a_shape_looks_like_is_shown_without_a_token(shape: Shape) -> None:
    with World(Scene(shape=shape)) as world:
        said = the_world(world).plain

        assert shape.compose("acme", "<token>") in said
        assert not world.leaked(said)


@pytest.fixture(scope="module")
def narrow() -> str:
    """Rehearse at the width that a terminal has at least; the first process dies after it has made a token."""
    console = Console(file=StringIO(), width=80)
    scene = Scene(faults=(Fault(0, FaultKind.KILLED_AFTER, "POST /v2/access-tokens"),))

    assert rehearse.rehearse(scene, 1, console)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


@pytest.mark.xdist_group("narrow")  # they share one rehearsal
def test_no_line_is_too_long_and_no_id_broken_where_a_terminal_is_narrow(narrow: str) -> None:
    steps = narrow.partition("Rotation:")[2].partition("rotated")[0]

    assert max(map(len, narrow.splitlines())) <= 80
    assert len(re.findall(r"\b[0-9a-f]{8}\b", steps)) == 6


@pytest.mark.xdist_group("narrow")  # they share one rehearsal
def test_a_token_that_was_made_and_deleted_meanwhile_is_shown(narrow: str) -> None:
    """It is an orphan, which the rotation's end deletes."""
    tokens = narrow.partition("Tokens at Docker Hub")[2].partition("Staging labels")[0]

    rows = [re.split(r"  +", line)[1:] for line in tokens.splitlines()[2:-1]]
    assert [row[0].split()[0] for row in rows] == ["made", "version", "version"]
    assert sorted(row[1:] for row in rows) == [["-", "active"], ["-", "deleted"], ["active", "disabled"]]


@pytest.mark.parametrize(
    "options",
    [
        "--shape dockerconfigjson --placeholder --rotations 2",
        "--two-factor --others 0",
        "--fault killed-after@7 --fault html@12 --rotations 2",
        "--fault rate-limited@6 --fault killed-after@PutSecretValue",
        "--grace 2h",
        "--organization --shape ecr --grace 2h --fault killed-before@PutSecretValue",
    ],
)
def test_every_scene_ends_with_status_0_and_no_invariant_broken(
    options: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rotate", *options.split()]) == 0

    printed = capsys.readouterr().out
    assert "0 failed" in printed
    assert "holds" in printed
    assert "BROKEN" not in printed


def test_what_is_being_done_is_said_beside_a_spinner_and_in_a_pipe_beside_the_result(
    capsys: pytest.CaptureFixture[str],
) -> None:
    terminal, pipe = Console(file=StringIO(), force_terminal=True), Console(file=StringIO())
    for console in (terminal, pipe):
        with saying(console) as say:
            say("1 of 5: cold starts")

    printed = [console.file.getvalue() for console in (terminal, pipe)]  # type: ignore[attr-defined]
    assert ("1 of 5: cold starts" in printed[0], printed[1]) == (True, "")
    assert capsys.readouterr().err == "1 of 5: cold starts\n"


def test_a_token_of_an_organization_is_rotated_and_what_is_left_of_it_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["rotate", "--organization"]) == 0

    printed = capsys.readouterr().out
    assert "manages the tokens of organization acme-inc" in printed
    assert "left      the token made by hand" in printed


@pytest.mark.parametrize("options", [[], ["--organization"]])
def test_a_heal_is_shown_from_the_deleted_token_to_consumers_that_work_again(
    capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    assert main(["rotate", "--heal", *options]) == 0

    printed = capsys.readouterr().out
    said = ["somebody deletes token", "consumers are refused", "HealStarted", "finishSecret", "consumers work"]
    assert sorted(said, key=printed.rindex) == said
    assert "BROKEN" not in printed


def test_a_heal_is_shown_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["rotate", "--heal", "--rotations", "2"])

    assert "neither --serve nor --rotations" in capsys.readouterr().err


def test_what_is_no_grace_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["rotate", "--grace", "forever"])

    assert "must be 0 or a number with s, m, h or d" in capsys.readouterr().err


def test_a_rotation_that_is_given_up_ends_with_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    always = [option for number in range(1, 41) for option in ("--fault", f"html@{number}")]

    assert main(["rotate", *always]) == 1

    assert "not rotated" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", ["explodes@7", "html", "html@", "html@first", "html@0", "html@-1"])
def test_a_fault_that_is_none_is_refused_with_those_there_are(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["rotate", "--fault", wrong])

    assert "killed-before" in capsys.readouterr().err


@pytest.fixture
def ctrl_c_works() -> Iterator[None]:
    """Let programs that a test starts hear Ctrl-C, also where the tests themselves run in a shell's background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_a_rehearsal_with_status_130_and_no_traceback(ctrl_c_works: None) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "rehearsal", "rotate", "--rotations", "1000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"},
        process_group=0,
    ) as rehearsing:
        assert rehearsing.stdout
        for line in iter(rehearsing.stdout.readline, ""):
            if line.startswith("Rotation 1"):
                break
        os.killpg(rehearsing.pid, signal.SIGINT)  # as a terminal does, to the function's process, too
        _, complaints = rehearsing.communicate()

    assert rehearsing.returncode == 130
    assert complaints == ""


@pytest.mark.parametrize("imported", ["argparse", "botocore.session"])
def test_ctrl_c_in_the_first_second_ends_it_with_no_traceback(ctrl_c_works: None, imported: str) -> None:
    """Python itself is up by then, and what is imported is not."""
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "rehearsal", "rotate"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src")},
        process_group=0,
    ) as rehearsing:
        assert rehearsing.stderr
        for line in iter(rehearsing.stderr.readline, ""):
            if line.rstrip().endswith(imported):
                break
        os.killpg(rehearsing.pid, signal.SIGINT)
        _, complaints = rehearsing.communicate()

    assert rehearsing.returncode == -signal.SIGINT  # which a shell calls 130
    assert "Traceback" not in complaints


@pytest.mark.parametrize(("path", "said"), [(os.devnull, True), (str(Path(sys.executable).parent), False)])
def test_serve_says_where_an_aws_is_if_there_is_none_on_the_path(
    path: str, said: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", path)
    monkeypatch.setattr(show, "_SERVE_SECONDS", 0)

    assert main(["rotate", "--serve"]) == 0

    assert (".venv/bin/aws" in capsys.readouterr().out) is said


def test_serve_prints_an_environment_in_which_the_aws_command_works() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "rehearsal", "rotate", "--serve"],
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"},
    ) as serving:
        assert serving.stdout
        environment = {}
        for line in iter(serving.stdout.readline, ""):
            if line.startswith("export "):
                name, _, value = line.removeprefix("export ").strip().partition("=")
                environment[name] = value
            if "Ctrl-C" in line:
                break
        described = subprocess.run(
            [
                Path(sys.executable).with_name("aws"),
                "secretsmanager",
                "describe-secret",
                "--secret-id",
                "dockerhub-token",
            ],
            env={"PATH": os.environ["PATH"], **environment},
            check=True,
            capture_output=True,
            text=True,
        )
        serving.terminate()
    assert "AWSCURRENT" in described.stdout


def test_a_fault_that_never_struck_is_said_and_ends_with_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rotate", "--fault", "killed-after@99"]) == 1

    printed = capsys.readouterr().out
    assert "missed    fault killed-after@99" in printed
    assert "1 DescribeSecret, 2 " in printed


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--shape flat", "'flat' is none of plain, ecs"),
        ("--others 5001", "must be between 0 and 5000"),
        ("--fast", 'usage: make rehearse ARGS="OPTIONS"\nmake rehearse: error: there is no --fast'),
    ],
)
def test_a_wrong_option_is_refused_with_what_there_is(
    options: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["rotate", *options.split()])

    assert said in capsys.readouterr().err


def test_neither_a_proxy_nor_a_profile_of_the_readers_has_a_part_in_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_PROFILE", "nobody")

    assert main(["rotate"]) == 0

    assert "consumer" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "can't be read: No such file"), ("{", "does not hold an event"), (b"\xff", "does not hold an event")],
    ids=["missing", "no JSON", "no text"],
)
def test_a_file_without_an_event_is_refused(
    tmp_path: Path, content: str | bytes | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "event.json"
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    with pytest.raises(SystemExit, match="2"):
        main(["replay", str(path)])

    assert said in capsys.readouterr().err


def test_an_event_of_another_secret_is_refused_with_the_arn_of_the_one_that_is_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "event.json"
    sample = (ROOT / "events" / "finish_secret.json").read_text()
    path.write_text(sample.replace("dockerhub-token-AbCdEf", "another-123456"))

    assert main(["replay", str(path)]) == 1

    assert "secret:dockerhub-token-AbCdEf: let SecretId name it" in capsys.readouterr().out.replace("\n", " ")


def test_make_says_how_an_event_is_named() -> None:
    done = subprocess.run(
        ["make", "replay", "events/finish_secret.json", "READY="], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert "make replay EVENT=events/finish_secret.json" in done.stderr


def test_a_refused_event_ends_with_status_1_and_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(ROOT / "events" / "unknown_step.json")]) == 1

    assert "EventRefused" in capsys.readouterr().out
