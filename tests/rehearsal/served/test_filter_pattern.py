"""Which log events a filter pattern matches."""

from __future__ import annotations

import json

import pytest

from rehearsal.secret_descriptions import Refused
from rehearsal.served import filter_pattern

LINE = json.dumps(
    {
        "level": "ERROR",
        "correlation_id": "0180-5c78",
        "secret": "arn:aws:secretsmanager:eu-central-1:1:secret:a/b-AbCdEf",
        "milliseconds": 120,
        "consumers_affected": False,
        "nothing": None,
        "message": 'It said "no" (twice)',
        "findings": ["CopyInUse", "RotationOverdue"],
        "at": {"request": 7},
    }
)


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("", True),
        ("ERROR", True),
        ("error", False),
        ("ERROR -twice", False),
        ("ERROR WARNING", False),
        ("?WARNING ?ERROR", True),
        ("?WARNING ?INFO", False),
        ('"It said"', True),
        ('{ $.correlation_id = "0180-5c78" }', True),
        ('{$.correlation_id="0180-5c78"}', True),
        ("{ $.correlation_id = 0180-5c78 }", True),
        ('{ $.correlation_id = "0180" }', False),
        ('{ $.correlation_id = "0180*" }', True),
        ('{ $.correlation_id != "0180-5c78" }', False),
        ('{ $.correlation_id != "another" }', True),
        ('{ $.absent = "x" }', False),
        ('{ $.absent != "x" }', False),
        ("{ $.absent NOT EXISTS }", True),
        ("{ $.level NOT EXISTS }", False),
        ("{ $.nothing IS NULL }", True),
        ("{ $.consumers_affected IS FALSE }", True),
        ("{ $.consumers_affected IS TRUE }", False),
        ("{ $.milliseconds >= 120 }", True),
        ("{ $.milliseconds > 120 }", False),
        ("{ $.milliseconds = 120 }", True),
        ("{ $.milliseconds = 1.2e2 }", True),
        ("{ $.consumers_affected = 0 }", False),
        ('{ $.at.request = 7 && $.level = "ERROR" }', True),
        ('{ $.at.request = 8 && $.level = "ERROR" }', False),
        ('{ $.level = "INFO" || $.at.request = 7 }', True),
        ('{ $.level = "ERROR" || $.at.request = 8 && $.level = "INFO" }', True),
        ('{ ($.level = "ERROR" || $.at.request = 8) && $.milliseconds < 1 }', False),
        ('{ $.findings[1] = "RotationOverdue" }', True),
        ('{ $.findings[2] = "RotationOverdue" }', False),
        ('{ $.message = "It said \\"no\\" (twice)" }', True),
        ('{ $.secret = "arn:*:secret:a/b-??????" }', False),
        ('{ $.secret = "arn:*:secret:a/b-*" }', True),
    ],
)
def test_a_pattern_matches_what_it_says(pattern: str, matches: bool) -> None:
    assert filter_pattern.read(pattern)(LINE) is matches


@pytest.mark.parametrize("line", ["START RequestId: 1", "[]", '"text"', "{"])
def test_a_comparison_matches_nothing_that_is_no_object(line: str) -> None:
    assert not filter_pattern.read('{ $.level != "x" }')(line)


@pytest.mark.parametrize(
    "pattern",
    [
        *(
            "{ }",
            "{ $.a }",
            "{ $.a = }",
            '{ a = "b" }',
            '{ $.a = "b" && }',
            '{ ($.a = "b" }',
            '{ $.a = "b" $.c = "d" }',
        ),
        *('{ $.a = "b }', "{ $.a > many }", "{ $.a LIKE 1 }", '"open', "{ $.a IS EMPTY }"),
    ],
)
def test_what_is_no_pattern_is_refused_as_aws_refuses_it(pattern: str) -> None:
    with pytest.raises(Refused, match="InvalidParameterException: Invalid filter pattern"):
        filter_pattern.read(pattern)
