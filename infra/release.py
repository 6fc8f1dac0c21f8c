"""`make release-files`: what a release consists of, in dist/release, and its notes in dist/release-notes.md.

The tag's workflow publishes what this gathers and nothing else, so whoever runs it in the same clone can hold the two
against each other. In it are the package with its checksum and bill of materials, the templates, the wheel, and
SHA256SUMS over all of them. The package and what describes it are the same bytes on any machine. The wheel is the same
with the same Python and zlib, since a wheel's entries are compressed.

The notes are the changelog's section of the version. With --tag it has to be there, and the tag has to be `v` and the
project's version; without, the notes of a version that has no section yet are those of the unreleased changes.
"""

import argparse
import hashlib
import os
import re
import shutil
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ("dockerhub-rotation.zip", "dockerhub-rotation.zip.sha256", "dockerhub-rotation.cdx.json")
SUMS = "SHA256SUMS"


class Unreleasable(Exception):
    """Tag, version and changelog do not fit together, in a sentence that says what to do."""


def gather(dist: Path, version: str) -> list[Path]:
    """Put everything that a release publishes into dist/release, and nothing else, and return where it is.

    Args:
        dist: where the package and the wheel have been built.
    """
    release = dist / "release"
    shutil.rmtree(release, ignore_errors=True)
    release.mkdir()
    wheel = dist / f"dockerhub_rotation-{version}-py3-none-any.whl"
    for source in (*(dist / name for name in PACKAGE), wheel, *sorted((ROOT / "infra").glob("*.yaml"))):
        shutil.copyfile(source, release / source.name)
    files = sorted(release.iterdir())
    sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    (release / SUMS).write_text("".join(sums), encoding="utf-8")
    return [*files, release / SUMS]


def notes(changelog: str, version: str, *, tagged: bool) -> str:
    """Return the changelog's section of a version, without its heading.

    Raises:
        Unreleasable: the version is tagged and has none, or an empty one.
    """
    sections = dict(re.findall(r"^## \[([^\]]+)\][^\n]*\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL))
    usual = "" if tagged else sections.get("Unreleased", "")
    section = str(sections.get(version, usual)).strip()
    if not section:
        raise Unreleasable(
            f"CHANGELOG.md says nothing under [{version}]: move there what is under [Unreleased], with the date."
        )
    return f"{section}\n"


def leading_out(text: str, environment: Mapping[str, str], tag: str) -> str:
    """Return notes whose links within the repository lead there from a release's page, which has none of its files.

    Args:
        environment: of GitHub's runner; elsewhere, links stay as they are.
    """
    if not (repository := environment.get("GITHUB_REPOSITORY")) or not tag:
        return text
    place = f"{environment['GITHUB_SERVER_URL']}/{repository}/blob/{tag}"
    return re.sub(r"\]\((?![a-z]+:|#)", f"]({place}/", text)


def main(arguments: list[str]) -> None:
    """Gather the files, write the notes, and print where they are."""
    reader = argparse.ArgumentParser(description="Gather what a release publishes.")
    reader.add_argument("--tag", default="", help="the tag that is released")
    reader.add_argument("--dist", type=Path, default=ROOT / "dist", help="where package and wheel are")
    options = reader.parse_args(arguments)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    if options.tag not in ("", f"v{version}"):
        raise Unreleasable(f"The tag is {options.tag}, and the project's version is {version}: tag v{version}.")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    text = leading_out(notes(changelog, version, tagged=bool(options.tag)), os.environ, options.tag)
    for file in gather(options.dist, version):
        print(file)  # noqa: T201
    (options.dist / "release-notes.md").write_text(text, encoding="utf-8")
    print(options.dist / "release-notes.md")  # noqa: T201


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Unreleasable as refused:
        sys.exit(str(refused))
