"""The bench counts what it says it counts. What it times is for people to compare, not for a test."""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from rehearsal import bench
from rehearsal.bench import Sizes
from rehearsal.runtime import RUNNING, interpreter

SMALLEST = Sizes(pythons=(), starts=1, rotations=1, round_trips=(0.0,), tokens=(10,), secrets=(1,))


@pytest.mark.parametrize(
    ("kind", "requests", "connections"), [("kept", (10, 8), 0), ("fresh", (11, 9), 3), ("cold", (13, 10), 10)]
)
def test_a_rotation_in_the_steady_state_costs_these_requests(
    kind: str, requests: tuple[int, int], connections: int
) -> None:
    with bench.steady(kind) as world:
        rotation = bench.rotate(world, kind)

    assert (rotation.aws, rotation.docker_hub) == requests
    assert rotation.round_trips == rotation.requests + 2 * connections


@pytest.mark.parametrize(("tokens", "further"), [(100, 0), (102, 1), (1_000, 9)])
def test_each_further_hundred_tokens_cost_one_request_or_two_and_nothing_else_does(tokens: int, further: int) -> None:
    """CreateSecret reads the list no further than to a token of this secret, finishSecret reads it whole."""
    with bench.steady(tokens=tokens) as world:
        rotation = bench.rotate(world)

    assert rotation.aws == 10
    assert 8 + further <= rotation.docker_hub <= 8 + 2 * further


def test_secrets_that_rotate_at_once_cost_no_more_than_one_after_the_other() -> None:
    rotation = bench.rotate_at_once(3)

    assert rotation.requests <= 3 * 23


def test_a_start_ends_with_a_staged_token_and_leaves_no_bytecode(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("AWS publishes its runtime client for Linux only")
    python = interpreter(RUNNING, tmp_path / "runtime")
    assert python is not None
    codes = [bench.package(tmp_path), bench.plain_function(tmp_path, python)]
    tls = bench.Tls(tmp_path)

    starts = [bench.start(python, code, tls) for code in codes]  # raises if none is staged

    assert all(start.cpu > start.cpu_of_invocation > 0 for start in starts)
    assert not [path for code in codes for path in code.folder.rglob("*.pyc")]


def test_a_function_that_stages_nothing_is_not_measured(tmp_path: Path) -> None:
    (tmp_path / "idle.py").write_text("def lambda_handler(event, context): pass\n")

    with pytest.raises(RuntimeError, match="idle has staged no token"):
        bench.start(Path(sys.executable), bench.Code("idle", tmp_path), bench.Tls(tmp_path))


def test_everything_is_in_one_table() -> None:
    printed = StringIO()

    bench.bench(Console(file=printed, width=140), SMALLEST)

    for row in ("in a fresh sandbox for each step", "0 ms round trip", "10 tokens", "1 secret"):
        assert row in printed.getvalue()
