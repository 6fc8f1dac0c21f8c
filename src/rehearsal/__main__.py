"""The command behind `make rehearse` and `make replay`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from rehearsal import rehearse, replay
from rehearsal.wire import Fault, FaultKind
from rehearsal.world import Scene, Shape


def main(arguments: list[str]) -> int:
    """Run the command and return its exit status: 1 if a rotation failed or an invariant broke."""
    parser = argparse.ArgumentParser(prog="rehearsal", description="Docker Hub and AWS on one machine.")
    commands = parser.add_subparsers(dest="command", required=True)

    rotate = commands.add_parser("rotate", help="show rotations from start to end")
    rotate.add_argument(
        "--shape", type=Shape, choices=list(Shape), default=Shape.PLAIN, help="what the secret looks like"
    )
    rotate.add_argument("--two-factor", action="store_true", help="the account logs in with one-time codes")
    rotate.add_argument("--rotations", type=_natural, default=1, metavar="N", help="how many, one after the other")
    rotate.add_argument("--others", type=_natural, default=12, metavar="N", help="tokens of others in the account")
    rotate.add_argument("--placeholder", action="store_true", help="the secret holds no token yet")
    rotate.add_argument("--cold", action="store_true", help="a fresh process for each step")
    rotate.add_argument(
        "--fault",
        type=_fault,
        action="append",
        default=[],
        metavar="KIND@N",
        help=f"what befalls request N of the function; may be given again. KIND: {', '.join(FaultKind)}",
    )
    rotate.add_argument("--serve", action="store_true", help="keep the servers up for your own aws commands")

    events = commands.add_parser("replay", help="replay one event and show what it changed")
    events.add_argument("event", type=Path, help="a JSON file, as in events/")

    asked = parser.parse_args(arguments)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    if asked.command == "replay":
        replay.show(asked.event, console)
        return 0
    scene = Scene(
        shape=asked.shape,
        two_factor=asked.two_factor,
        others=asked.others,
        placeholder=asked.placeholder,
        faults=tuple(asked.fault),
        cold=asked.cold,
    )
    if asked.serve:
        rehearse.serve(scene, console)
        return 0
    return 0 if rehearse.rehearse(scene, asked.rotations, console) else 1


def _natural(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return number


def _fault(text: str) -> Fault:
    kind, at, number = text.partition("@")
    if not at or not number.isdigit() or kind not in list(FaultKind):
        raise argparse.ArgumentTypeError(f"{text!r} is not KIND@N, like killed-after@7; KIND: {', '.join(FaultKind)}")
    return Fault(int(number), FaultKind(kind))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
