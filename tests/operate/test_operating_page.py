"""The operating page, followed word by word in one served world: what it shows is printed, what it says becomes so."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from dockerhub_rotation import errors, findings
from operate.arguments import parser
from rehearsal.fork_server import ForkServer
from rehearsal.served.broken import BROKEN
from rehearsal.served.world import Served
from rehearsal.world import Scene, State

from .typed_commands import ROOT, somebody_elses_shell, type_in

pytestmark = pytest.mark.xdist_group("operating page")  # they share one walk

PAGE = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
_SERVE = re.compile(r'make rehearse ARGS="--serve(?: --rotations (?P<rotations>\d+))?(?: --grace (?P<grace>\w+))?"')
_BREAK = re.compile(r'make rehearse ARGS="--serve --broken (?P<name>\w+)"')
_VERSION = r"[0-9a-f]{8}-(?:[0-9a-f-]{27}|\.\.\.)"


@dataclass(frozen=True)
class Shown:
    """A command of the page, and the lines that it shows of what is printed."""

    command: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Ran:
    """A command of the page that was run.

    Attributes:
        before, after: the world.
        current: whether the value under AWSCURRENT logs in afterwards.
        leaked: secret values in what was printed.
    """

    shown: Shown
    status: int
    printed: str
    before: State
    after: State
    current: bool
    leaked: list[str]


def shown() -> Iterator[Shown]:
    """Yield the commands of the page's console blocks, in order."""
    for token in MarkdownIt("commonmark").parse(PAGE):
        if token.type == "fence" and token.info == "console":
            for part in re.split(r"^\$ ", token.content, flags=re.MULTILINE)[1:]:
                command, *lines = part.splitlines()
                yield Shown(command, tuple(lines))


def run(served: Served, one: Shown, folder: Path) -> Ran:
    answers = re.findall(r"\[y/N\] (\w)$", "\n".join(one.lines), re.MULTILINE)
    before = served.world.state()
    typed = type_in(one.command, answers, folder)
    served.world.aws.wait()
    works = served.world.hub.authenticates(served.world.current_token())
    leaked = served.world.leaked(typed.printed)
    return Ran(one, typed.status, typed.printed, before, served.world.state(), works, leaked)


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> list[Ran]:
    """Run all that the page shows, in the world that it begins with, and return what came of each command."""
    first, *rest = shown()
    begun = _SERVE.fullmatch(first.command)
    assert begun, "the page begins with the world that it is followed in"
    scene, folder = Scene(grace=begun["grace"]), tmp_path_factory.mktemp("operate")
    ran: list[Ran] = []
    with (
        ForkServer() as processes,
        Served(scene, rotations=int(begun["rotations"]), run_function=processes.function) as served,
        somebody_elses_shell(served),
    ):
        for one in rest:
            if broken := _BREAK.fullmatch(one.command):
                BROKEN[broken["name"]].break_it(served)
            else:
                ran.append(run(served, one, folder))
    return ran


def pattern(line: str) -> str:
    """Return what a line of the page matches: ids, days and times are others each time, and `...` is any text."""
    return "".join(map(_part, re.split(rf"({_VERSION}|\d{{4}}-\d\d-\d\d(?: \d\d:\d\d:\d\d)?|\.\.\.)", line)))


def _part(part: str) -> str:
    if part == "...":
        return ".*"
    if re.fullmatch(_VERSION, part):
        return r"[0-9a-f]{8}-[0-9a-f-]{27}.*?" if part.endswith("...") else r"[0-9a-f]{8}-[0-9a-f-]{27}"
    return re.sub(r"\d", r"\\d", part) if re.fullmatch(r"\d{4}-.*", part) else re.escape(part)


def test_every_line_that_the_page_shows_is_printed_in_that_order(walk: list[Ran]) -> None:
    missing = []
    for ran in walk:
        printed = iter(ran.printed.splitlines())
        lines = [line for line in ran.shown.lines if line.strip() != "..."]
        missing += [
            (ran.shown.command, line, ran.printed)
            for line in lines
            if not any(re.fullmatch(pattern(line), it.rstrip()) for it in printed)
        ]

    assert missing == []


def test_the_status_is_0_unless_something_needs_somebody(walk: list[Ran]) -> None:
    expected = {ran.shown: int("ATTENTION" in "".join(ran.shown.lines)) for ran in walk}

    assert {ran.shown: ran.status for ran in walk} == expected
    assert 1 in expected.values()


def test_after_each_command_consumers_can_log_in_and_nothing_secret_was_printed(walk: list[Ran]) -> None:
    assert [ran.shown.command for ran in walk if ran.leaked or not ran.current] == []


def nothing(ran: Ran) -> bool:
    return ran.before == ran.after


def a_new_token(ran: Ran) -> bool:
    made = set(ran.after.tokens) - set(ran.before.tokens)
    promoted = ran.after.holder("AWSPREVIOUS") == ran.before.holder("AWSCURRENT")
    return promoted and len(made) == 1 and ours_active(ran.before) < ours_active(ran.after)


def the_earlier_token(ran: Ran) -> bool:
    before, after = ran.before, ran.after
    swapped = (before.holder("AWSCURRENT"), before.holder("AWSPREVIOUS"))
    return (after.holder("AWSPREVIOUS"), after.holder("AWSCURRENT")) == swapped and len(ours_active(after)) > 1


def a_rotation_dropped_and_another_made(ran: Ran) -> bool:
    dropped, after = ran.before.holder("AWSPENDING"), ran.after
    gone = dropped is not None and not after.labels.get(dropped)
    return (
        gone and after.holder("AWSPENDING") is None and after.holder("AWSPREVIOUS") == ran.before.holder("AWSCURRENT")
    )


def one_token_left(ran: Ran) -> bool:
    return len(ours_active(ran.after)) == 1


def a_new_one_alone(ran: Ran) -> bool:
    return one_token_left(ran) and not ours_active(ran.after) <= set(ran.before.tokens)


def ours_active(state: State) -> set[str]:
    return {
        uuid for uuid, (label, active) in state.tokens.items() if active and label.startswith("dockerhub-rotation/")
    }


CHANGES: Mapping[str, Callable[[Ran], bool]] = {
    "make status": nothing,
    "make status SECRET=dockerhub-token": nothing,
    "make logs": nothing,
    "make reconcile": nothing,
    "make preflight DEPLOYED=1": nothing,
    "make rotate": a_new_token,
    "make rollback": the_earlier_token,
    "make unblock": a_rotation_dropped_and_another_made,
    "make rotate LEAKED=1": a_new_one_alone,
    "make retire": one_token_left,
}


def test_each_command_changes_what_the_page_says_and_nothing_else(walk: list[Ran]) -> None:
    assert {ran.shown.command for ran in walk} == set(CHANGES)
    assert [ran.shown.command for ran in walk if not CHANGES[ran.shown.command](ran)] == []


def test_the_page_shows_every_verb_that_is_not_for_deploying() -> None:
    (verbs,) = (set(it.choices) for it in parser()._actions if isinstance(it.choices, dict))

    assert {command.split()[1] for command in CHANGES} == verbs - {"credentials", "deploy", "destroy"}


# As the table has a verb that is typed in another way.
TYPED: Mapping[errors.Verb, str] = {
    "again": "`make rotate`",
    "preflight": "`make preflight DEPLOYED=1`",
    "set": "`make deploy-function FUNCTION_PARAMETERS=",
    "store": "`aws secretsmanager put-secret-value`",
    "tag": "`aws secretsmanager tag-resource`",
}


def test_the_table_has_the_commands_that_each_error_prints() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*?)\|", PAGE, re.MULTILINE))
    kinds = [it for it in vars(errors).values() if isinstance(it, type) and issubclass(it, errors.RotationError)]
    printed = [(kind.__name__, TYPED.get(verb, f"`make {verb}`")) for kind in kinds for verb in kind.verbs]

    assert [(name, typed) for name, typed in printed if name in rows and typed not in rows[name]] == []
    assert len([name for name, _ in printed if name in rows]) > 20


def test_the_table_has_every_error_and_finding_and_says_which_are_served() -> None:
    leaves = {
        name
        for name, error in vars(errors).items()
        if isinstance(error, type) and issubclass(error, errors.RotationError) and not error.__subclasses__()
    }
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| ?(yes|) \|$", PAGE, re.MULTILINE))

    assert list(rows) == sorted(leaves | {str(kind) for kind in findings.Kind})
    assert {name for name, served in rows.items() if served} == set(BROKEN)
