"""`make pictures`: what a rehearsal prints, as the picture that the README shows."""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console

from rehearsal.rehearse import rehearse
from rehearsal.world import Scene

# As wide as a page of GitHub shows it without making it too small to read.
_COLUMNS = 100
# GitHub loads no font into a picture. Each text has its length, so that columns stand in whatever font is there.
_FONTS = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)


def draw(path: Path) -> bool:
    """Draw the first rehearsal, and return whether all was as it must be; else nothing is written."""
    console = Console(
        file=io.StringIO(), record=True, width=_COLUMNS, color_system="truecolor", highlight=False, emoji=False
    )
    if not rehearse(Scene(), 1, console):
        return False
    picture = console.export_svg(title="make rehearse", unique_id="rehearsal")
    path.write_text(_FONTS.sub("", picture), encoding="utf-8")
    return True
