"""A message at a terminal: sentences wrapped, every command whole, on a line of its own."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from dockerhub_rotation import remedies
from dockerhub_rotation.errors import CredentialRefused, PendingTokenUnusable, RotationError, SecretUnusable
from dockerhub_rotation.remedies import Place
from operate.layout import laid_out

FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:dockerhub-rotation"
ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:dockerhub-token-AbCdEf"
PLACE = Place.of(FUNCTION, ARN, "687b0987-5ae9-4a80-9d8f-ed99a6b25023")
FAILURES: tuple[RotationError, ...] = (
    CredentialRefused(
        "Docker Hub refused the account's user name or password (a machine account).", names=("/a", "/b")
    ),
    PendingTokenUnusable("The pending version holds a token that Docker Hub does not let in."),
    SecretUnusable("The secret is empty."),
)


def words(text: str) -> list[str]:
    return [word for it in text.split() if (word := it.strip("().,:"))]


@pytest.mark.parametrize("width", [60, 80, 110])
@pytest.mark.parametrize("failure", FAILURES, ids=lambda it: type(it).__name__)
def test_of_every_remedy_the_commands_stand_alone_and_whole_and_the_sentences_are_wrapped(
    failure: RotationError, width: int
) -> None:
    message = str(remedies.told(failure, PLACE))
    commands = re.findall(r"`([^`]+)`", message)
    lines = laid_out(message, width, "ATTENTION ").split("\n")

    assert commands
    assert [line.strip() for line in lines if line.strip() in commands] == commands
    sentences = [line for line in lines if line.strip() not in commands]
    assert max(map(len, sentences)) <= width
    assert all(line.startswith((" " * 10, "ATTENTION ")) for line in lines)
    assert all(line.startswith(" " * 12) for line in lines if line.strip() in commands)
    told = [word for line in sentences for word in words(line.removeprefix("ATTENTION "))]
    assert told == words(re.sub(r"`[^`]+`", " ", message))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("Run `make rotate` (without a clone: `aws x y`), then `make logs`.",
         ["Run:", "  make rotate", "without a clone:", "  aws x y", "then:", "  make logs"]),
        ("`make unblock` drops it, `make logs` shows all.",
         ["  make unblock", "drops it,", "  make logs", "shows all."]),
        ("It has expired: log in again (`aws sso login`, `aws login`, or however you got it).",
         ["It has expired: log in again:", "  aws sso login", "  aws login", "or however you got it."]),
        ("Set `AWS_PROFILE='a b' make status` to it.", ["Set:", "  AWS_PROFILE='a b' make status", "to it."]),
        ("The word `ok` is none.", ["The word `ok` is none."]),
        ("Remove it:\n  aws s3api delete-object --key " + "x" * 90 + "\n  Bucket (AWS::S3::Bucket): " + "no " * 20,
         ["Remove it:", "  aws s3api delete-object --key " + "x" * 90,
          "  Bucket (AWS::S3::Bucket): " + " ".join(["no"] * 10), "  " + " ".join(["no"] * 10)]),
        ("a\n\nb", ["a", "", "b"]),
        (ARN + " is there", [ARN, "is there"]),
        ("an-id-that-is-of-parts " * 3, ["an-id-that-is-of-parts an-id-that-is-of-parts", "an-id-that-is-of-parts"]),
    ],
)  # fmt: skip
def test_a_text_is_laid_out(text: str, lines: list[str]) -> None:
    assert laid_out(text, 57).split("\n") == lines


def test_what_hangs_below_a_long_heading_is_indented_as_below_a_word() -> None:
    first, *rest = laid_out("one two three " * 9, 60, "2026-11-26 07:42:28 UTC  ERROR    createSecret  ").split("\n")

    assert first == "2026-11-26 07:42:28 UTC  ERROR    createSecret  one two"
    assert {len(line) - len(line.lstrip()) for line in rest} == {11}


@pytest.mark.parametrize("width", [0, 1, 29, 10_000])
def test_no_width_is_too_small_or_too_large(width: int) -> None:
    lines = laid_out("word " * 60, width, " " * 10).split("\n")

    assert max(map(len, lines)) <= 120
    assert all(len(before) + len(" word") > min(max(width, 30), 120) for before, _ in pairwise(lines))
