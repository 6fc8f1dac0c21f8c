"""README.ja.md has what README.md has, and the way over from the tutorial's stacks that docs/deploying.md has."""

import re
from pathlib import Path
from urllib.parse import unquote

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
ENGLISH = (ROOT / "README.md").read_text(encoding="utf-8")
JAPANESE = (ROOT / "README.ja.md").read_text(encoding="utf-8")
DEPLOYING = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")

MOVING_OVER = "チュートリアルのスタックから移行する"
# Where a page in Japanese leads to itself, and the one in English to another.
COUNTERPARTS = {
    "README.md": "README.ja.md",
    f"#{MOVING_OVER}": "docs/deploying.md#moving-over-from-stacks-deployed-by-hand",
}


def section(page: str, heading: str) -> str:
    """Return a page's section with its heading of the second level, which has to be there."""
    (found,) = re.findall(rf"^## {re.escape(heading)}\n.*?(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    return str(found)


def bones(diagram: str) -> str:
    """Return who calls whom in a diagram, without what is said of it."""
    return "\n".join(re.split(": | as ", line)[0].strip() for line in diagram.splitlines())


def pieces(page: str) -> list[list[str]]:
    """Return what has to be the same in every language, for each heading, each row of a table and what follows them.

    That is each link, picture, code block, text between backticks and decimal number, in any order within a piece.
    """
    found: list[list[str]] = [[]]
    for block in MarkdownIt("commonmark").enable("table").parse(page):
        if block.type in ("heading_open", "tr_open", "table_close"):
            found.append([block.tag])
        if block.type == "fence":
            found[-1].append(bones(block.content) if block.info == "mermaid" else block.content)
        for token in block.children or ():
            target = unquote(str(token.attrGet("href") or token.attrGet("src") or ""))
            code = f"`{token.content}`" if token.type == "code_inline" else ""
            decimals = re.findall(r"\d+\.\d+", token.content) if token.type == "text" else []
            found[-1] += [it for it in (COUNTERPARTS.get(target, target), code, *decimals) if it]
    return [sorted(it) for it in found]


def words_of_commands(*parts: str) -> set[str]:
    """Return each word of the commands and names that are shown as code; what a reader fills in counts as one."""
    tokens = [it for part in parts for block in MarkdownIt().parse(part) for it in (block, *(block.children or ()))]
    code = " ".join(it.content for it in tokens if it.type in ("fence", "code_inline"))
    return set(re.sub("<[^>]*>", "<>", code).translate(str.maketrans('"', " ")).split()) - {"$", "\\"}


def test_the_two_have_the_same_links_commands_diagram_tables_and_figures() -> None:
    japanese = JAPANESE.replace(section(JAPANESE, MOVING_OVER), "")

    assert pieces(japanese) == pieces(ENGLISH)
    assert len(japanese.splitlines()) <= 120


def test_each_leads_to_the_other_in_its_first_lines() -> None:
    assert "[日本語](README.ja.md)" in ENGLISH.splitlines()[:3]
    assert "[English](README.md)" in JAPANESE.splitlines()[:3]


def test_the_way_over_from_the_tutorials_stacks_is_the_same() -> None:
    """The step that attaches the function is shown on another page's section in English, for any secret."""
    attach = section(DEPLOYING, "An existing secret").partition("```console\n")[2].partition("```")[0]
    moving_over = section(DEPLOYING, "Moving over from stacks deployed by hand")

    assert words_of_commands(section(JAPANESE, MOVING_OVER)) == words_of_commands(
        moving_over, f"```console\n{attach.replace('my-secret', 'dockerhub-pat')}```"
    )
