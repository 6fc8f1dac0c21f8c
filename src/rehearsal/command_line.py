"""The command line of the rehearsal: what each command takes, and what it refuses."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import NoReturn, TypeVar

from rich.console import Console

from dockerhub_rotation import duration
from rehearsal import bench, picture, rehearse, replay
from rehearsal.fleet import table as fleet
from rehearsal.fleet.scenes import Past
from rehearsal.fleet.scenes import Scene as FleetScene
from rehearsal.heal import heal
from rehearsal.served import show as served
from rehearsal.served.broken import BROKEN
from rehearsal.wire import Fault, FaultKind
from rehearsal.world import ORGANIZATION, Scene, Shape
from rehearsal.year import table as year_table
from rehearsal.year.almanac import Stretch

# Of the year that docs/how-it-works.md shows.
_SEED = 1
# So many tokens take some seconds to make, and each list of them 50 requests.
_MOST_OTHERS = 5_000

_Kind = TypeVar("_Kind", bound=StrEnum)


def main(arguments: list[str]) -> int:
    """Run the command and return its exit status: 1 if a rotation failed or an invariant broke."""
    _forget_the_readers_environment()
    parser = argparse.ArgumentParser(prog="rehearsal", description="Docker Hub and AWS on one machine.")
    commands = parser.add_subparsers(dest="command", required=True)

    rotate = commands.add_parser(
        "rotate",
        prog="make rehearse",
        usage='make rehearse ARGS="OPTIONS"',
        description="Show rotations from start to end on this machine.",
        epilog="killed: the function's process dies. lost: the connection is dropped. unavailable: 503. Each before or "
        "after the request took effect. rate-limited: 429, for seconds or until a unix time. html: a web page with "
        "status 200. gateway: 404 with a gateway's JSON. firewall: 403 in plain text. slow: the answer comes too late. "
        "N counts all requests of the function, those that are repeated, too; or it is the name of a request, like "
        "PutSecretValue, and the first of that name is meant. A fault that never strikes has all of them listed.",
    )
    rotate.add_argument(
        "--shape",
        type=_one_of(Shape),
        default=Shape.PLAIN,
        metavar="SHAPE",
        help=f"what the secret looks like: {', '.join(Shape)}",
    )
    rotate.add_argument("--two-factor", action="store_true", help="the account logs in with one-time codes")
    rotate.add_argument(
        "--organization",
        action="store_true",
        help="the secret holds a token of an organization, in which the account has the role to manage those",
    )
    rotate.add_argument(
        "--rotations", type=_at_least(1), metavar="N", help="how many, one after the other (default: 1)"
    )
    rotate.add_argument(
        "--others",
        type=_number(0, _MOST_OTHERS),
        default=12,
        metavar="N",
        help=f"tokens of others in the account, at most {_MOST_OTHERS} (default: 12)",
    )
    rotate.add_argument("--placeholder", action="store_true", help="the secret holds no token yet")
    rotate.add_argument(
        "--grace",
        type=_duration,
        default="0",
        metavar="2h",
        help="how long a superseded token lives; rotates twice at least, and lets so much time pass after each",
    )
    rotate.add_argument("--cold", action="store_true", help="a fresh process for each step")
    rotate.add_argument(
        "--fault",
        type=_fault,
        action="append",
        default=[],
        metavar="KIND@N",
        help=f"what befalls request N of the function; may be given again. KIND: {', '.join(FaultKind)}",
    )
    rotate.add_argument(
        "--heal", action="store_true", help="delete the token at Docker Hub, and let the caretaker have it replaced"
    )
    rotate.add_argument(
        "--serve",
        action="store_true",
        help="keep the servers up for your own aws commands and for the verbs of docs/operating.md; with --rotations, "
        "the secret has been rotated so often before",
    )
    rotate.add_argument(
        "--broken",
        choices=list(BROKEN),
        metavar="NAME",
        help=f"with --serve: something is wrong, by the name of the error or finding that tells it: "
        f"{', '.join(BROKEN)}",
    )

    events = commands.add_parser(
        "replay",
        prog="make replay",
        usage="make replay EVENT=FILE",
        description="Replay one event on this machine and show what it changed.",
    )
    events.add_argument("event", type=Path, help="a JSON file, as in events/")

    drawn = commands.add_parser(
        "picture", prog="make pictures", description="Draw what the first rehearsal prints, for the README."
    )
    drawn.add_argument("path", type=Path, metavar="FILE", help="the SVG to write")

    commands.add_parser("bench", prog="make bench", description="Measure what a rotation costs on this machine.")
    many = commands.add_parser(
        "fleet",
        prog="make fleet",
        usage='make fleet ARGS="OPTIONS"',
        description="Rotate many secrets of one account at once, or look after them for a day, in virtual time, and "
        "show what it took.",
    )
    many.add_argument(
        "--scene",
        type=_one_of(Past),
        metavar="SCENE",
        help=f"what happened to the tokens before: {', '.join(Past)}; without any option, all of these are shown",
    )
    many.add_argument(
        "--secrets", type=_at_least(1), metavar="N", help="how many (default: 200 due at once or watched, else 12)"
    )
    many.add_argument(
        "--per-minute",
        type=_at_least(1),
        action="append",
        metavar="N",
        help="requests that Docker Hub answers in a minute; may be given again (default: 600, and 180 if due at once)",
    )
    many.add_argument("--timeout", type=_at_least(1), default=180, metavar="N", help="the function's (default: 180)")
    many.add_argument("--two-factor", action="store_true", help="the account logs in with one-time codes")
    many.add_argument("--organization", action="store_true", help="every fifth secret holds a token of an organization")
    many.add_argument("--seed", type=int, default=1, metavar="N", help="of everything random (default: 1)")

    year = commands.add_parser(
        "year",
        prog="make year",
        usage='make year ARGS="OPTIONS"',
        description="Let a year of one secret pass in virtual time, with twelve rotations, the caretaker's look each "
        "hour, consumers of every kind, and faults and people's acts drawn by lot. Shows how often each consumer was "
        "refused, and how often it should have been, and draws a picture. Takes a few minutes.",
    )
    year.add_argument("--seed", type=int, default=_SEED, metavar="N", help=f"of everything random (default: {_SEED})")
    year.add_argument(
        "--to",
        type=Path,
        default=Path("dist"),
        metavar="FOLDER",
        help="where year.svg and year.json go (default: dist); docs has those that a page shows",
    )

    asked, unknown = parser.parse_known_args(arguments)
    if unknown:
        commands.choices[asked.command].error(f"there is no {' '.join(unknown)}")
    console = Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else 140)
    if asked.command == "bench":
        bench.bench(console)
        return 0
    if asked.command == "picture":
        return 0 if picture.draw(asked.path) else 1
    if asked.command == "replay":
        try:
            return 0 if replay.show(asked.event, console) else 1
        except OSError as unreadable:
            events.error(f"{asked.event} can't be read: {unreadable.strerror}")
        except ValueError as unreadable:
            events.error(f"{asked.event} does not hold an event in JSON: {unreadable}")
    if asked.command == "fleet":
        pasts = list(Past) if len(arguments) == 1 else [asked.scene or Past.DUE_AT_ONCE]
        scenes = [scene for past in pasts if past is not Past.WATCHED for scene in _fleets(asked, past)]
        days = [scene for past in pasts if past is Past.WATCHED for scene in _fleets(asked, past)]
        held = [not scenes or fleet.show(scenes, console), not days or fleet.show_days(days, console)]
        return 0 if all(held) else 1
    if asked.command == "year":
        return 0 if year_table.show(Stretch(asked.seed), asked.to, console) else 1
    return _rehearse(asked, rotate.error, console)


def _rehearse(asked: argparse.Namespace, error: Callable[[str], NoReturn], console: Console) -> int:
    if asked.heal and (asked.serve or asked.rotations):
        error("--heal shows one rotation and one heal: it goes with neither --serve nor --rotations")
    if asked.broken and not asked.serve:
        error("--broken is for a world to work on: it needs --serve")
    scene = Scene(
        shape=asked.shape,
        two_factor=asked.two_factor,
        others=asked.others,
        placeholder=asked.placeholder,
        faults=tuple(asked.fault),
        cold=asked.cold,
        grace=asked.grace,
        organization=ORGANIZATION if asked.organization else None,
    )
    if asked.heal:
        return 0 if heal(scene, console) else 1
    if asked.serve:
        broken = BROKEN.get(asked.broken)
        served.serve(scene, asked.rotations or (broken.rotations_in(scene) if broken else 0), broken, console)
        return 0
    return 0 if rehearse.rehearse(scene, max(asked.rotations or 1, 2 if scene.grace_seconds else 1), console) else 1


def _fleets(asked: argparse.Namespace, past: Past) -> list[FleetScene]:
    due_at_once = past is Past.DUE_AT_ONCE
    return [
        FleetScene(
            secrets=asked.secrets or (200 if due_at_once or past is Past.WATCHED else 12),
            per_minute=limit,
            past=past,
            timeout=asked.timeout,
            two_factor=asked.two_factor,
            mixed=asked.organization,
            seed=asked.seed,
        )
        for limit in asked.per_minute or ((600, 180) if due_at_once else (600,))
    ]


def _duration(text: str) -> str:
    try:
        duration.parse(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None
    return text


def _forget_the_readers_environment() -> None:
    """Neither a proxy nor an AWS profile of the reader's has a part in the rehearsal."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.upper().endswith("_PROXY"):
            del os.environ[name]
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull


def _at_least(minimum: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if int(text) < minimum:
            raise argparse.ArgumentTypeError(f"must be at least {minimum}")
        return int(text)

    return number


def _number(minimum: int, maximum: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not minimum <= int(text) <= maximum:
            raise argparse.ArgumentTypeError(f"must be between {minimum} and {maximum}")
        return int(text)

    return number


def _one_of(kinds: type[_Kind]) -> Callable[[str], _Kind]:
    def kind(text: str) -> _Kind:
        if text not in list(kinds):
            raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(kinds)}")
        return kinds(text)

    return kind


def _fault(text: str) -> Fault:
    kind, _, at = text.partition("@")
    if kind not in list(FaultKind) or not re.fullmatch("[1-9][0-9]*|[A-Z].*", at):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not KIND@N, like killed-after@7 or killed-after@PutSecretValue; KIND: {', '.join(FaultKind)}"
        )
    return Fault(int(at), FaultKind(kind)) if at.isdigit() else Fault(0, FaultKind(kind), at)
