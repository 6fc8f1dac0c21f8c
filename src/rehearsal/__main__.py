"""The command behind `make rehearse`, `make replay`, `make bench`, `make fleet` and `make year`."""

from __future__ import annotations

import signal
import sys


def run() -> int:
    """Run the command and return its exit status; 130 if it was interrupted, at whatever moment."""
    interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not in a shell's background
    if interruptible:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # there is nothing to clear up yet, and half a second of imports
    from rehearsal.command_line import main

    if interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return main(sys.argv[1:])
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends already
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(run())
