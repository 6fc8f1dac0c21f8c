"""What is done while Lambda loads the function, which it does with more processor than an invocation gets."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import dockerhub_rotation

SOURCES = Path(dockerhub_rotation.__file__).parents[1]


def clients_after_loading(**environment: str) -> str:
    """Load the handler in a process of its own, and return how many sets of clients it has then."""
    look = "from dockerhub_rotation import entrance, handler; print(entrance.sandbox.cache_info().currsize)"
    return subprocess.run(
        [sys.executable, "-c", look],
        check=True,
        env={**os.environ, "PYTHONPATH": str(SOURCES), **environment},
        capture_output=True,
        text=True,
    ).stdout.strip()


def test_lambda_has_the_clients_built_before_the_first_event() -> None:
    assert clients_after_loading(AWS_LAMBDA_INITIALIZATION_TYPE="on-demand") == "1"


def test_nobody_else_who_imports_the_handler_has_them_built() -> None:
    assert clients_after_loading() == "0"


@pytest.mark.parametrize("mistake", [{"DOCKERHUB_LOGIN": "by-mail"}, {"AWS_DEFAULT_REGION": ""}], ids=str)
def test_a_mistake_in_the_environment_is_left_to_the_invocation_to_report(mistake: dict[str, str]) -> None:
    assert clients_after_loading(AWS_LAMBDA_INITIALIZATION_TYPE="on-demand", **mistake) == "0"
