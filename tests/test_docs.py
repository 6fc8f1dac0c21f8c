"""What the documents say is there: links, commands, files and names."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from itertools import pairwise
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import botocore.session
import pytest
from botocore import xform_name
from markdown_it import MarkdownIt
from markdown_it.token import Token

from operate.arguments import parser

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "dockerhub_rotation"
DECISIONS = ROOT / "docs" / "decisions"

GENERATED = {".git", *(line.rstrip("/") for line in (ROOT / ".gitignore").read_text().splitlines())}


def _files() -> Iterator[PurePosixPath]:
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in GENERATED]
        for name in files:
            if name not in GENERATED:
                yield PurePosixPath((Path(folder) / name).relative_to(ROOT).as_posix())


FILES = sorted(_files())
PATHS = {str(path) for file in FILES for path in (file, *file.parents)}
TOP = {file.parts[0] for file in FILES}
SUFFIXES = {file.suffix for file in FILES} - {""}

DOCUMENTS = [ROOT / file for file in FILES if file.suffix == ".md"]
FOR_DEVELOPERS = [it for it in DOCUMENTS if it.name in ("CONTRIBUTING.md", "SECURITY.md") or DECISIONS in it.parents]

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda it: str(it.relative_to(ROOT)))


@cache
def tokens(document: Path) -> list[Token]:
    """Return what a document is made of, flat and in order."""
    blocks = MarkdownIt("commonmark").enable("table").parse(document.read_text(encoding="utf-8"))
    return [token for block in blocks for token in (block, *(block.children or ()))]


def spans(document: Path) -> list[str]:
    """Return what stands between backticks."""
    return [token.content for token in tokens(document) if token.type == "code_inline"]


def headings(document: Path, tag: str = "") -> list[str]:
    """Return a document's headings as plain text, of one level or of all."""
    found = tokens(document)
    return [
        "".join(part.content for part in text.children or ())
        for opening, text in pairwise(found)
        if opening.type == "heading_open" and opening.tag.startswith(tag)
    ]


def anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub gives a document's headings."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in headings(document):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def commands(document: Path) -> Iterator[str]:
    """Yield the commands that a document shows, in a block of the console or between backticks."""
    yield from spans(document)
    for token in tokens(document):
        if token.type == "fence" and token.info in ("console", "sh", "bash"):
            for line in token.content.replace("\\\n", " ").splitlines():
                yield line.removeprefix("$ ")


def made(command: str) -> Iterator[str]:
    """Yield the targets that a command makes."""
    for part in re.split(r"&&|;", command):
        words = part.split()
        if words[:1] == ["make"]:
            for word in words[1:]:
                if not re.fullmatch("[a-z][a-z0-9-]*", word):
                    break
                yield word


@each_document
def test_every_link_within_the_repository_leads_somewhere(document: Path) -> None:
    dead = []
    for token in tokens(document):
        target = str(token.attrGet("href" if token.type == "link_open" else "src") or "")
        if token.type not in ("link_open", "image") or urlsplit(target).scheme:
            continue
        path, _, anchor = unquote(target).partition("#")
        linked = (document.parent / path).resolve() if path else document
        there = linked.is_relative_to(ROOT) and linked.relative_to(ROOT).as_posix() in PATHS
        if not there or (anchor and anchor not in anchors(linked)):
            dead.append(target)

    assert dead == []


@each_document
def test_every_make_target_that_is_named_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))

    assert {target for command in commands(document) for target in made(command)} - targets == set()


@each_document
def test_every_variable_of_make_that_is_set_is_one(document: Path) -> None:
    known = set(re.findall(r"^([A-Z_]+) *[?:]?=", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    set_there = {
        name
        for command in commands(document)
        for part in re.findall(r"\bmake [a-z][^;&|]*", command)
        for name in re.findall(r"(?<=\s)([A-Z_]+)=", re.sub(r'"[^"]*"|\'[^\']*\'', "", part))
    }

    assert set_there - known == set()


# Verbs of the AWS CLI that are no operation of a service.
OF_THE_CLI_ITSELF = {"configure", "login", "sso"}
FOR_EVERY_OPERATION = {"--query", "--output", "--cli-input-json", "--cli-read-timeout", "--region", "--profile"}


@cache
def operations(service: str) -> dict[str, set[str]]:
    """Return a service's operations, each with its options, as the AWS CLI has them."""
    model = botocore.session.get_session().get_service_model(service)
    options = {}
    for name in model.operation_names:
        shape = model.operation_model(name).input_shape
        members = shape.members if shape else {}
        options[xform_name(name, "-")] = {f"--{xform_name(member, '-')}" for member in members}
    return options


def asked_of_the_aws_cli(document: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Yield service, operation and options of each command of the AWS CLI that a document shows."""
    for command in commands(document):
        for part in re.split(r"[|;]|&&", command):
            words = re.sub(r"'[^']*'|\"[^\"]*\"", "", part).split()
            program, service, operation, *rest = [*words, "", "", ""]
            if program == "aws" and service not in {"", *OF_THE_CLI_ITSELF} and operation:
                yield service, operation, [word for word in rest if word.startswith("--")]


@each_document
def test_every_command_of_the_aws_cli_that_is_shown_exists_and_has_its_options(document: Path) -> None:
    unknown = [
        (service, operation, option)
        for service, operation, options in asked_of_the_aws_cli(document)
        for option in options or [""]
        if operation not in operations(service)
        or (option and option not in operations(service)[operation] | FOR_EVERY_OPERATION)
    ]

    assert unknown == []


@each_document
def test_every_command_of_ours_that_is_shown_exists_and_has_its_options(document: Path) -> None:
    (verbs,) = (it.choices for it in parser()._actions if isinstance(it.choices, dict))
    unknown = []
    for command in commands(document):
        program, verb, *words = [*command.split(), "", ""]
        if program == "dockerhub-rotation" and verb:
            known = verbs[verb]._option_string_actions if verb in verbs else {}
            unknown += [(verb, word) for word in words if word.startswith("--") and word not in known]
            unknown += [] if verb in verbs else [(verb, "")]

    assert unknown == []


def test_no_sentence_stands_in_two_documents() -> None:
    """What is said twice is mended once."""
    where: dict[str, set[str]] = {}
    for document in DOCUMENTS:
        for token in tokens(document):
            if token.type == "inline":
                for sentence in re.split(r"(?<=[.:])\s+", token.content.replace("\n", " ")):
                    if len(sentence) > 60:
                        where.setdefault(sentence, set()).add(str(document.relative_to(ROOT)))

    assert {sentence: documents for sentence, documents in where.items() if len(documents) > 1} == {}


def test_the_readme_fits_on_a_screen_and_a_half_and_leads_to_eleven_answers() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.*\?|.*\.) \| (.*) \|$", readme.partition("## Find your answer")[2], re.MULTILINE)

    assert len(readme.splitlines()) <= 120
    assert len(rows) == 11
    assert [question for question, answer in rows if not re.search(r"\]\([^)]+\)", answer)] == []


def looks_like_a_file(span: str) -> bool:
    """Tell whether what stands between backticks is meant as a file or folder of this repository."""
    if not re.fullmatch(r"[\w.*-][\w./*-]*", span) or PurePosixPath(span).parts[0] in GENERATED | {"..."}:
        return False
    return PurePosixPath(span).suffix in SUFFIXES or ("/" in span and span.partition("/")[0] in TOP)


def is_there(span: str) -> bool:
    """Tell whether a path is there, from the root or, where it is unmistakable, from a folder further down."""
    wanted = span.rstrip("/")
    return any(fnmatch(path, wanted) or fnmatch(path, f"*/{wanted}") for path in PATHS)


@each_document
def test_every_file_that_is_named_is_there(document: Path) -> None:
    assert [span for span in spans(document) if looks_like_a_file(span) and not is_there(span)] == []


@pytest.mark.parametrize(
    ("span", "file"),
    [
        ("src/dockerhub_rotation/handler.py", True),
        ("handler.py", True),
        ("create_secret.json", True),
        (".ci/run", True),
        ("tests/rotation", True),
        ("requirements/*.txt", True),
        (".venv/bin/python", False),
        ("namespace/name", False),
        ("/v2/auth/token", False),
        ("kubernetes.io/dockerconfigjson", False),
        ("make test", False),
    ],
)
def test_a_file_is_told_from_what_only_looks_a_little_like_one(span: str, file: bool) -> None:
    assert looks_like_a_file(span) is file
    assert is_there(span) is file


@pytest.mark.parametrize("document", FOR_DEVELOPERS, ids=lambda it: str(it.relative_to(ROOT)))
def test_every_name_of_the_code_that_is_named_is_in_the_code(document: Path) -> None:
    code = "\n".join(
        (ROOT / file).read_text(encoding="utf-8")
        for file in FILES
        if file.suffix in (".py", ".yaml", ".toml") or file.name == "Makefile"
    )
    names = {span for span in spans(document) if re.fullmatch(r"[A-Za-z]\w*(_|[a-z][A-Z])\w*", span)}

    assert names - set(re.findall(r"\w+", code)) == set()


def test_the_picture_of_the_house_has_every_room_and_no_other() -> None:
    (picture,) = (it.content for it in tokens(ROOT / "CONTRIBUTING.md") if it.info == "mermaid")

    drawn = Counter(re.findall(r"\w+\.py", picture))

    assert drawn == Counter(file.name for file in PACKAGE.rglob("*.py") if file.name != "__init__.py")


def test_security_names_the_actions_that_the_functions_role_allows() -> None:
    action = re.compile(r"\b(?:secretsmanager|ssm|kms):[A-Z]\w+(?![\w:])")  # a condition's key ends in a colon
    template = (ROOT / "infra" / "function.yaml").read_text(encoding="utf-8")
    role = template.partition("\n  Permissions:\n")[2].partition("\n  Function:\n")[0]
    document = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    said = document.partition("The function's role may")[2].partition("\n\n")[0]

    assert set(action.findall(said)) == set(action.findall(role))


def test_every_decision_has_its_number_its_headings_and_its_row() -> None:
    pages = sorted(DECISIONS.glob("[0-9]*.md"))
    index = (DECISIONS / "README.md").read_text(encoding="utf-8")

    assert [page.name[:5] for page in pages] == [f"{number:04}-" for number in range(1, len(pages) + 1)]
    for page in pages:
        assert headings(page, "h2") == ["Decision", "Why", "Measured or found", "Given up", "Reconsider when"]
    assert re.findall(r"^\| \[(.+)\]\((.+)\) \|", index, re.MULTILINE) == [
        (headings(page, "h1")[0], page.name) for page in pages
    ]
