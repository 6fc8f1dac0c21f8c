"""Preflight of an organization's tokens: the same measurements, of one token that may pull what anybody may."""

from typing import Any

import pytest

from rehearsal.docker_hub import DockerHub, Organization, OrganizationToken, Role
from tests.preflight.stage import OTHERS, USERNAME, differing, furnished, run, seed, unmeasured

pytestmark = pytest.mark.usefixtures("clock")

NAME = "acme-inc"
UNNAMED = {"token-login-names-token", "token-login-names-account"}


def hub_of(role: Role = Role.TOKEN_MANAGER, **options: Any) -> DockerHub:
    hub = furnished(organizations={NAME: Organization(members={USERNAME: role}, quota=100)}, **options)
    for number in range(3):
        hub.add_organization_token(NAME, f"build-{number}")
    return hub


@pytest.mark.parametrize("names", [True, False])
def test_everything_is_as_assumed_but_for_what_no_rotation_needs(names: bool) -> None:
    hub = hub_of(jwt_names_organization=names, jwt_names_organization_token=names)
    personal = dict(hub.tokens)

    report = run(hub, organization=NAME)

    assert set(differing(report)) == (set() if names else UNNAMED)
    assert unmeasured(report) == {"other-login", "page-size", "token-login-names-scopes"}
    assert report.holds
    assert hub.tokens == personal
    assert not any(request.path.startswith("/v2/access-tokens") for request in hub.requests)
    assert hub.refused_logins == 2


def test_its_token_may_do_the_least_there_is_and_logs_in_with_the_organizations_name() -> None:
    hub = hub_of()
    made: list[OrganizationToken] = []
    add = hub.add_organization_token

    def remembered(*given: object, **how: object) -> OrganizationToken:
        made.append(add(*given, **how))  # type: ignore[arg-type]
        return made[-1]

    hub.add_organization_token = remembered  # type: ignore[method-assign]

    report = run(hub, organization=NAME)

    (token,) = made
    assert [(it.type, it.path, list(it.scopes)) for it in token.resources] == [
        ("TYPE_REPO", "*/*/public", ["scope-image-pull"])
    ]
    assert token.expires_at is not None
    assert report.about["tokens"] == "of an organization"
    assert NAME not in str(report.document())


def test_with_two_factor_login_too() -> None:
    assert run(hub_of(totp_seed=seed()), organization=NAME).holds


def test_an_account_without_the_role_is_told_by_the_first_list() -> None:
    hub = hub_of(Role.MEMBER)

    report = run(hub, organization=NAME)

    assert "configured-login" in differing(report)
    assert not report.holds
    assert len(hub.tokens) == OTHERS + 3


def test_what_it_may_do_is_held_against_what_was_asked_for() -> None:
    hub = hub_of()
    add = hub.add_organization_token

    def wider(*given: object, **how: object) -> OrganizationToken:
        token = add(*given, **how)  # type: ignore[arg-type]
        token.resources = (*token.resources, *token.resources)
        return token

    hub.add_organization_token = wider  # type: ignore[method-assign]

    assert "scopes-kept" in differing(run(hub, organization=NAME))
