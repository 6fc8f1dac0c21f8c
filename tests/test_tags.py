"""A secret's tags change the function's settings, within those; wrong ones are named all at once."""

from dataclasses import replace

import pytest

from dockerhub_rotation import tags
from dockerhub_rotation.settings import Settings
from dockerhub_rotation.tags import Applied

OWN = Settings(
    grace=3600,
    grace_limit=7 * 86_400,
    scopes=("repo:read", "repo:write"),
    expiry=90,
    probe_repositories=("acme/own",),
)


def applied(name: str, text: str, own: Settings = OWN) -> Applied:
    return tags.apply({f"dockerhub-rotation:{name}": text}, own)


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("45s", 45), ("24h", 86_400), (" 24h ", 86_400), ("7d", 604_800)]
)
def test_a_tag_makes_a_grace_shorter_or_longer_up_to_the_limit(text: str, seconds: int) -> None:
    assert applied("grace", text) == Applied(replace(OWN, grace=seconds))


@pytest.mark.parametrize(("text", "days"), [("90", 90), ("89", 89), (" 1 ", 1)])
def test_a_tag_makes_an_expiry_earlier(text: str, days: int) -> None:
    assert applied("expiry", text) == Applied(replace(OWN, expiry=days))


def test_a_tag_sets_an_expiry_where_the_function_has_none() -> None:
    own = replace(OWN, expiry=None)

    assert applied("expiry", "3650", own) == Applied(replace(own, expiry=3650))


@pytest.mark.parametrize(
    ("text", "scopes"),
    [
        ("repo:read", ("repo:read",)),
        ("repo:public_read", ("repo:public_read",)),
        ("repo:write", ("repo:write",)),  # which implies the other one
        ("repo:public_read  repo:read ", ("repo:public_read", "repo:read")),
    ],
)
def test_a_tag_makes_scopes_fewer(text: str, scopes: tuple[str, ...]) -> None:
    assert applied("scopes", text) == Applied(replace(OWN, scopes=scopes))


def test_a_tags_repository_is_asked_beside_the_functions_own() -> None:
    asked = applied("probe-repository", "acme/another").settings.probe_repositories
    the_same = applied("probe-repository", "acme/own").settings.probe_repositories
    alone = applied("probe-repository", "acme/another", Settings()).settings.probe_repositories

    assert (asked, the_same, alone) == (("acme/own", "acme/another"), ("acme/own",), ("acme/another",))


def test_tags_of_others_mean_nothing() -> None:
    others = {"team": "a", "grace": "1h", "dockerhub-rotation": "1h", "Dockerhub-Rotation:x": ""}

    assert tags.apply(others, OWN) == Applied(OWN)
    assert tags.apply(others, OWN).error is None


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        *(("grace", text, "must be 0 or a number with s, m, h or d") for text in ("", "24", "a day")),
        *(("grace", text, "is longer than DOCKERHUB_GRACE_LIMIT, the function's longest") for text in ("8d", "169h")),
        *(
            ("expiry", text, "must be a number of days from 1 to 3650, without a unit")
            for text in ("", "0", "-1", "90d", "3651", "1.5", "9999999999", "\u0663", "1 2")
        ),
        ("expiry", "91", "is later than DOCKERHUB_TOKEN_EXPIRY, the function's latest"),
        *(("scopes", text, "must be one or more of repo:public_read") for text in ("", "repo:all", "repo:read x")),
        *(
            ("scopes", text, "allows more than DOCKERHUB_TOKEN_SCOPES, the function's most")
            for text in ("repo:admin", "repo:read repo:admin")
        ),
        *(
            ("probe-repository", text, "must be a repository like namespace/name")
            for text in ("", "app", "acme/app:1", "acme/app acme/web")
        ),
        *((name, "1", "is no tag that this version of the function knows") for name in ("", "grase", "Grace")),
    ],
)
def test_a_wrong_tag_is_refused_and_changes_nothing(name: str, text: str, problem: str) -> None:
    wrong = applied(name, text)

    assert wrong.settings == OWN
    assert wrong.problems[0].startswith(f"dockerhub-rotation:{name} {problem}")


def test_every_wrong_tag_is_named_no_value_is_shown_and_the_right_ones_count() -> None:
    wrong = tags.apply(
        {
            "dockerhub-rotation:grace": "hunter2",
            "dockerhub-rotation:grase": "hunter3",
            "dockerhub-rotation:expiry": "30",
            "a": "b",
        },
        OWN,
    )

    assert wrong.settings == replace(OWN, expiry=30)
    assert str(wrong.error) == (
        "The secret's tags are wrong: dockerhub-rotation:grace must be 0 or a number with s, m, h or d, like 45s, 90m, "
        "24h or 7d, and at most 3650d; dockerhub-rotation:grase is no tag that this version of the function knows. "
        "Mend them."
    )
