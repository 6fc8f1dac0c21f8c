"""Run a function's first step in this fresh process and say what that took: `first_step.py MODULE EVENT`.

A program for the interpreter of a runtime, which has none of this project's modules but the function's.
"""

import importlib
import json
import sys
import time
from pathlib import Path


class Context:
    """What a function asks of Lambda's context object."""

    function_name = "dockerhub-rotation"
    memory_limit_in_mb = 128
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:dockerhub-rotation"
    aws_request_id = "00000000-0000-4000-8000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the service ends the invocation."""
        return 60_000


def _now() -> tuple[float, float]:
    return time.process_time(), time.perf_counter()


def _peak_megabytes() -> float:
    # getrusage would also count the parent's memory at the moment of the fork.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _main(module: str, event: str) -> None:
    began_cpu, began = _now()
    handler = importlib.import_module(module).lambda_handler
    loaded_cpu, _ = _now()
    handler(json.loads(event), Context())
    ended_cpu, ended = _now()
    print(  # noqa: T201 - the last line of its output
        json.dumps(
            {
                "cpu": ended_cpu - began_cpu,
                "cpu_of_invocation": ended_cpu - loaded_cpu,
                "seconds": ended - began,
                "megabytes": _peak_megabytes(),
            }
        )
    )


if __name__ == "__main__":
    _main(*sys.argv[1:])
