"""A refused credential is told by what mends it, remembered, and read anew before it is tried again."""

import re
import time

import httpx
import pytest

from dockerhub_rotation.errors import CredentialRefused, LockedOut, RotationError
from dockerhub_rotation.settings import Settings
from tests.docker_hub.wire import (
    AUTH_TOKEN,
    CREATE,
    DELETE,
    DISABLE,
    LEGACY,
    LIST,
    PASSWORD,
    PLAIN,
    SECOND_FACTOR_TOKEN,
    TOKEN,
    TOKENS,
    USERNAME,
    USERS_LOGIN,
    UUID,
    Deed,
    World,
    answer,
    each,
    page,
    refused,
    sent,
)

# A password that was changed meanwhile


def test_a_password_that_was_changed_since_it_was_read_is_read_anew_for_the_next_login(world: World) -> None:
    """A login with the old one would be refused, and count towards a lockout."""
    login = world.lets_in(seconds=100)
    world.holds_nothing()
    world.invoke().tokens.listed()

    world.store.values["/acme/password"] = "changed"
    world.clock.tick(45)  # the parameters may still be remembered, the login has less than a minute left
    world.invoke().tokens.listed()

    assert [body["secret"] for body in sent(login)] == [PASSWORD, "changed"]


def test_a_password_that_was_changed_since_its_login_is_read_anew_before_another(world: World) -> None:
    """Docker Hub ends a login with a change of its password."""
    login = world.lets_in()
    world.on("GET", TOKENS, page(), 401, page())
    world.invoke().tokens.listed()

    world.store.values["/acme/password"] = "changed"
    world.clock.tick(1)
    world.invoke().tokens.listed()

    assert [body["secret"] for body in sent(login)] == [PASSWORD, "changed"]


def test_parameters_are_read_once_for_a_login_and_not_at_all_for_one_that_serves(world: World) -> None:
    world.lets_in()
    world.holds_nothing()

    for _ in range(2):
        world.invoke().tokens.listed()
        world.clock.tick(1)

    assert world.store.reads == 1


# Refused credentials


@pytest.mark.parametrize(
    ("reply", "error", "seconds", "says"),
    [
        pytest.param(
            refused(401),
            CredentialRefused,
            900,
            "Not asked again until 08:16 UTC, because it was refused at 08:00, for they add up to a lockout. What was "
            "said then: Docker Hub refused the account's user name or password.",
            id="refused",
        ),
        pytest.param(
            answer(429, message="Too many login attempts"),
            LockedOut,
            600,
            "Not asked again until 08:11 UTC, because it was refused at 08:00, for they add up to a lockout. What was "
            "said then: Docker Hub has locked this user name",
            id="locked",
        ),
    ],
)
def test_a_refused_login_is_remembered_as_long_as_it_counts(
    reply: httpx.Response, error: type[RotationError], seconds: float, says: str, world: World
) -> None:
    """A lockout is over after ten minutes, and to go on for longer would make the rotation's next attempt fail, too."""
    login = world.on("POST", AUTH_TOKEN, reply, lambda: answer(200, access_token=world.bearer()))
    world.holds_nothing()
    until = world.clock.now + seconds
    with pytest.raises(error, match="^Docker Hub"):
        world.invoke().tokens.listed()

    for earlier in (seconds, 0.5):
        world.clock.now = until - earlier
        with pytest.raises(error, match=f"^{re.escape(says)}"):
            world.invoke().tokens.listed()
    assert len(login.calls) == 1

    world.clock.now = until
    world.invoke().tokens.listed()
    assert len(login.calls) == 2
    assert time.strftime("%H:%M", time.gmtime(until)) < says[len("Not asked again until ") :][:5]  # then it is over


def test_a_refused_password_is_not_tried_twice_in_an_invocation(world: World) -> None:
    """Every refused login counts towards locking the account for all its consumers."""
    world.on("POST", AUTH_TOKEN, 401)
    docker_hub = world.invoke()

    for deed in (LIST, CREATE, DELETE, LIST):
        with pytest.raises(CredentialRefused):
            deed.do(docker_hub)

    assert docker_hub.http.requests == 1


def test_a_refused_password_is_read_anew_by_the_next_invocation(world: World) -> None:
    login = world.on("POST", AUTH_TOKEN, 401, lambda: answer(200, access_token=world.bearer()))
    world.holds_nothing()
    with pytest.raises(CredentialRefused):
        world.invoke().tokens.listed()
    world.store.values["/acme/password"] = "mended"

    assert world.invoke().tokens.listed() == []
    assert [body["secret"] for body in sent(login)] == [PASSWORD, "mended"]


def test_a_password_that_no_longer_renews_its_login_is_tried_once(world: World) -> None:
    login = world.on("POST", AUTH_TOKEN, answer(200, access_token=world.bearer()), 401)
    world.on("GET", TOKENS, page(), 401)
    world.invoke().tokens.listed()
    docker_hub = world.invoke()

    for _ in range(2):
        with pytest.raises(CredentialRefused):
            docker_hub.tokens.listed()

    assert len(login.calls) == 2


WRONG_PASSWORD = (
    "Docker Hub refused the account's user name or password. Check parameters /acme/user and /acme/password."
)
TOKENS_MANAGE_NO_TOKENS = "Parameter /acme/password holds an access token, and Docker Hub lets no token make or change"
SSO_ENFORCED = "Docker Hub enforces single sign-on for this account"
ORGANIZATION = "Parameter /acme/user names an organization, and an organization has no password."
NO_SEED = "The account has two-factor login, and no seed for its codes is configured."
OTHER_ACCOUNT = "Parameter /acme/user is not the user name of the account that its password opens"


@pytest.mark.parametrize(
    ("settings", "url", "reply", "says"),
    [
        (PLAIN, AUTH_TOKEN, answer(401, message="unauthorized", errinfo={}), WRONG_PASSWORD),
        (PLAIN, AUTH_TOKEN, answer(400, message="body is invalid", errinfo={"secret": "at least 9"}), WRONG_PASSWORD),
        (LEGACY, USERS_LOGIN, answer(401, detail="Incorrect authentication credentials"), WRONG_PASSWORD),
        (LEGACY, USERS_LOGIN, answer(401, detail="Require secondary", login_2fa_token=SECOND_FACTOR_TOKEN), NO_SEED),
        (
            LEGACY,
            USERS_LOGIN,
            answer(401, detail="Please use personal access token to login when SSO is enforced"),
            SSO_ENFORCED,
        ),
        (PLAIN, AUTH_TOKEN, refused(403, "Single sign-on required"), SSO_ENFORCED),
        (LEGACY, USERS_LOGIN, answer(401, detail="Cannot log into an organization account"), ORGANIZATION),
    ],
    ids=["password", "too short", "password, users-login", "second factor", "SSO", "single sign-on", "organization"],
)
def test_a_refused_login_says_what_to_mend(
    settings: Settings, url: str, reply: httpx.Response, says: str, world: World
) -> None:
    world.on("POST", url, reply)
    docker_hub = world.invoke(settings)

    with pytest.raises(CredentialRefused, match=f"^{re.escape(says)}"):
        docker_hub.tokens.listed()
    with pytest.raises(CredentialRefused, match=f"^Not asked again until .* What was said then: {re.escape(says)}"):
        docker_hub.tokens.listed()


def test_single_sign_on_is_not_taken_for_an_organizations_name(world: World) -> None:
    world.on("POST", AUTH_TOKEN, refused(401, "SSO is enforced by your organization"))

    with pytest.raises(CredentialRefused, match=SSO_ENFORCED):
        world.invoke().tokens.listed()


@pytest.mark.parametrize("settings", [PLAIN, LEGACY], ids=["auth-token", "users-login"])
@pytest.mark.parametrize("password", [TOKEN, "dckr_oat_0123456789"])
def test_a_token_in_the_passwords_place_is_not_even_tried(settings: Settings, password: str, world: World) -> None:
    world.store.values["/acme/password"] = password
    docker_hub = world.invoke(settings)

    with pytest.raises(CredentialRefused, match=TOKENS_MANAGE_NO_TOKENS):
        docker_hub.tokens.listed()

    assert docker_hub.http.requests == 0


def test_a_token_in_the_passwords_place_is_told_by_its_login(world: World) -> None:
    """Tokens from before 2021 have no prefix."""
    world.on("POST", AUTH_TOKEN, answer(200, access_token=world.bearer(USERNAME, f"docker_pat|{UUID}")))
    docker_hub = world.invoke()

    for _ in range(2):
        with pytest.raises(CredentialRefused, match=TOKENS_MANAGE_NO_TOKENS):
            docker_hub.tokens.listed()


@pytest.mark.parametrize("allowed", [" is not allowed", ""])
@pytest.mark.parametrize("owner", ["personal", "organization"])
@each(CREATE, LIST, DISABLE, DELETE)
def test_a_token_in_the_passwords_place_is_told_by_what_it_may_not_do(
    deed: Deed, owner: str, allowed: str, world: World
) -> None:
    deed.replies(world, refused(403, f"token issued from {owner} access token{allowed}"))

    with pytest.raises(CredentialRefused, match=TOKENS_MANAGE_NO_TOKENS):
        deed.do(world.invoke())


def test_an_account_by_another_name_is_refused(world: World) -> None:
    """An e-mail address logs in, too; another account's name with a token did once."""
    world.on("POST", AUTH_TOKEN, answer(200, access_token=world.bearer("acme-other")))
    docker_hub = world.invoke()

    for _ in range(2):
        with pytest.raises(CredentialRefused, match=OTHER_ACCOUNT):
            docker_hub.tokens.listed()


def test_an_account_may_be_named_in_another_case(world: World) -> None:
    world.on("POST", AUTH_TOKEN, answer(200, access_token=world.bearer(USERNAME.upper())))
    world.holds_nothing()

    assert world.invoke().tokens.listed() == []
