"""What is set for organizations, and in which files of the package there is talk of them at all."""

import json
import re
from pathlib import Path

import pytest

from dockerhub_rotation import organization_settings, settings, tags
from dockerhub_rotation.errors import SettingsInvalid, TagsInvalid
from dockerhub_rotation.organization_settings import Resource
from dockerhub_rotation.settings import Settings
from dockerhub_rotation.token_kinds import ORGANIZATION, PERSONAL

PACKAGE = Path(__file__).parent.parent / "src/dockerhub_rotation"
# Every other file goes by what these tell, whosever the tokens are.
SPEAK_OF_ORGANIZATIONS = {
    "docker_hub/__init__.py",
    "docker_hub/claims.py",
    "docker_hub/management_login.py",
    "docker_hub/organization_tokens.py",
    "invocation.py",
    "organization_settings.py",
    "preflight/__main__.py",
    "preflight/bench.py",
    "preflight/run.py",
    "settings.py",
    "tags.py",
    "token_kinds.py",
}

PULL = {"type": "TYPE_REPO", "path": "acme/*", "scopes": ["scope-image-pull"]}
KNOWN = {"DOCKERHUB_ORGANIZATIONS": "acme, globex"}
OWN = Settings(organizations=("acme",), scopes=("repo:read", "repo:write"))


def tag(value: str) -> dict[str, str]:
    return {"dockerhub-rotation:organization": value}


def test_few_files_of_the_package_speak_of_organizations() -> None:
    speak = {
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.py")
        if re.search("organi[sz]ation", file.read_text(encoding="utf-8"), re.IGNORECASE)
    }

    assert speak == SPEAK_OF_ORGANIZATIONS


def test_everything_that_is_set() -> None:
    read = settings.read(
        KNOWN
        | {
            "DOCKERHUB_ORGANIZATION_RESOURCES": json.dumps([PULL, {**PULL, "path": "*/*/public"}]),
            "DOCKERHUB_ORGANIZATION_QUOTA": "100",
            "DOCKERHUB_SUPERSEDED": "delete",
        }
    )

    pull = frozenset({"scope-image-pull"})
    assert read.organizations == ("acme", "globex")
    assert read.organization_resources == (
        Resource("TYPE_REPO", "acme/*", pull),
        Resource("TYPE_REPO", "*/*/public", pull),
    )
    assert (read.organization_quota, read.superseded, read.organization) == (100, "delete", None)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DOCKERHUB_ORGANIZATIONS", "Acme"),
        ("DOCKERHUB_ORGANIZATIONS", "acme/app"),
        ("DOCKERHUB_ORGANIZATION_QUOTA", "0"),
        ("DOCKERHUB_ORGANIZATION_QUOTA", "ten"),
        ("DOCKERHUB_SUPERSEDED", "keep"),
        ("DOCKERHUB_ORGANIZATION_RESOURCES", "acme/*"),
        ("DOCKERHUB_ORGANIZATION_RESOURCES", "[]"),
        ("DOCKERHUB_ORGANIZATION_RESOURCES", "[" * 100_000),
        ("DOCKERHUB_ORGANIZATION_RESOURCES", json.dumps(PULL)),
        ("DOCKERHUB_ORGANIZATION_RESOURCES", json.dumps([7])),
        ("DOCKERHUB_ORGANIZATION_RESOURCES", json.dumps([PULL | {"type": "TYPE_TEAM"}])),
        ("DOCKERHUB_ORGANIZATION_RESOURCES", json.dumps([PULL | {"path": "acme"}])),
        ("DOCKERHUB_ORGANIZATION_RESOURCES", json.dumps([PULL | {"path": "acme/app:latest"}])),
        ("DOCKERHUB_ORGANIZATION_RESOURCES", json.dumps([PULL | {"scopes": []}])),
        ("DOCKERHUB_ORGANIZATION_RESOURCES", json.dumps([PULL | {"scopes": "scope-image-pull"}])),
        ("DOCKERHUB_ORGANIZATION_RESOURCES", json.dumps([PULL | {"scopes": ["repo:read"]}])),
        ("DOCKERHUB_ORGANIZATION_RESOURCES", json.dumps([PULL | {"scopes": [7]}])),
        ("DOCKERHUB_ORGANIZATION_RESOURCES", json.dumps([PULL | {"expires": "never"}])),
        ("DOCKERHUB_ORGANIZATION_RESOURCES", json.dumps([PULL | {"path": "initech/*"}])),
    ],
)
def test_what_is_wrong_is_refused(variable: str, value: str) -> None:
    with pytest.raises(SettingsInvalid, match=variable):
        settings.read(KNOWN | {variable: value})


def test_resources_of_no_organization_are_refused_where_none_is_set() -> None:
    with pytest.raises(SettingsInvalid, match="has paths of none of DOCKERHUB_ORGANIZATIONS: acme/\\*"):
        settings.read({"DOCKERHUB_ORGANIZATION_RESOURCES": json.dumps([PULL])})


def test_a_first_token_may_do_what_is_set_for_its_own_organization() -> None:
    mine, others = Resource("TYPE_REPO", "acme/app", frozenset({"a"})), Resource("TYPE_ORG", "globex", frozenset({"b"}))

    assert [mine.belongs_to(name) for name in ("acme", "globex", "acme2")] == [True, False, False]
    assert [others.belongs_to(name) for name in ("acme", "globex")] == [False, True]
    assert organization_settings.strangers([mine, others], ["acme"]) == ["globex"]


def test_the_tag_says_of_which_kind_the_tokens_are() -> None:
    plain, tagged = tags.of_kind({}, OWN), tags.of_kind(tag("acme"), OWN)

    assert plain == OWN
    assert (plain.token_kind, tagged.token_kind) == (PERSONAL, ORGANIZATION)
    assert (tagged.organization, tagged.scopes, tagged.compare_scopes) == ("acme", ("repo:public_read",), False)


@pytest.mark.parametrize("name", ["globex", "", "Acme", "acme globex"])
def test_a_tag_that_names_none_of_them_tells_nothing(name: str) -> None:
    applied = tags.apply(tag(name), OWN)

    assert not applied.kind_is_known
    assert str(applied.error).startswith("The secret's tags are wrong: dockerhub-rotation:organization is none of")
    with pytest.raises(TagsInvalid, match="none is touched"):
        tags.of_kind(tag(name), OWN)


def test_where_another_tag_is_wrong_the_kind_stays() -> None:
    applied = tags.apply(tag("acme") | {"dockerhub-rotation:grace": "a day"}, OWN)

    assert applied.kind_is_known
    assert applied.wrong == ("dockerhub-rotation:grace",)
    assert applied.instead(OWN) == tags.of_kind(tag("acme"), OWN)


def test_no_other_tag_is_looked_at_for_the_kind() -> None:
    assert tags.of_kind(tag("acme") | {"dockerhub-rotation:grace": "a day"}, OWN).organization == "acme"
