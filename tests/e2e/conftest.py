"""What the tests need before they begin, and what they counted at the end."""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict

import pytest

Tally = defaultdict[str, Counter[str]]
TALLY = pytest.StashKey[Tally]()
COLUMNS = ("rotations", "pulls", "failed pulls", "overtaken")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TALLY] = Tally(Counter)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash[TALLY]
    if rows:
        terminalreporter.write_line(" " * 50 + "".join(f"{column:>14}" for column in COLUMNS))
    for title, counts in rows.items():
        terminalreporter.write_line(f"{title:50}" + "".join(f"{counts[column]:>14}" for column in COLUMNS))


@pytest.fixture
def tally(pytestconfig: pytest.Config) -> Tally:
    """Return the rows of the table at the end, by title."""
    return pytestconfig.stash[TALLY]


@pytest.fixture(autouse=True, scope="session")
def programs() -> None:
    if missing := [name for name in ("docker-registry", "skopeo", "setpriv") if shutil.which(name) is None]:
        pytest.exit(f"not on the PATH: {', '.join(missing)}; `make e2e` brings them", returncode=1)
