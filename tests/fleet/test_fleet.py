"""Many secrets of one account, due at the same moment."""

from collections import Counter
from pathlib import Path

import pytest

from rehearsal.command_line import main
from rehearsal.docker_hub import OrganizationToken
from rehearsal.fleet.scenes import Past, Report, Scene
from rehearsal.fleet.world import NOT_LOCKED, Fleet
from rehearsal.invariants import NO_LEAK, NO_REMAINS, ONLY_OURS, WORKS

HELD = Counter({WORKS: 0, ONLY_OURS: 0, NOT_LOCKED: 0, NO_REMAINS: 0, NO_LEAK: 0})

LABELS = ("AWSCURRENT", "AWSPREVIOUS")

DOCS = Path(__file__).parents[2] / "docs"


def rotate(scene: Scene) -> Report:
    return Fleet(scene).rotate()


def test_200_secrets_are_rotated_at_once_by_a_function_that_can_never_wait_for_the_next_minute() -> None:
    """They begin with a minute. What is asked to wait for its end has not the time to: only later attempts get on."""
    report = rotate(Scene(secrets=200, per_minute=600, timeout=60))

    assert report.rotated == 200
    assert report.broken == HELD
    assert report.rate_limited > 0
    assert set(report.failed_attempts) <= {"RateLimited", "OutOfTime"}


@pytest.mark.parametrize("second", [0, 50])
def test_a_fleet_is_rotated_under_the_stricter_limit_whenever_in_a_minute_it_begins(second: float) -> None:
    """As 200 secrets at 180 requests a minute, with as many tokens."""
    report = rotate(Scene(secrets=40, per_minute=36, others=412, second=second))

    assert report.rotated == 40
    assert report.broken == HELD
    assert report.rate_limited > 0


def test_the_page_says_how_long_200_secrets_take() -> None:
    took = [round(rotate(Scene(secrets=200, per_minute=limit)).seconds / 60) for limit in (600, 180)]

    assert f"200 secrets take {took[0]} minutes, under 180 they take {took[1]}." in (DOCS / "accounts.md").read_text()


def test_a_fleet_whose_limit_is_not_met_needs_one_attempt_each() -> None:
    report = rotate(Scene(secrets=20))

    assert (report.rotated, report.retries, report.rate_limited, report.logins) == (20, 0, 0, 20)
    assert report.broken == HELD


@pytest.mark.parametrize("past", [past for past in Past if past is not Past.WATCHED])
def test_tokens_of_both_kinds_are_rotated_together(past: Past) -> None:
    fleet = Fleet(Scene(secrets=6, past=past, mixed=True))
    values = [fleet.aws.value(arn) or "" for arn in fleet.secrets]

    report = fleet.rotate()

    assert sum(value.startswith("dckr_oat_") for value in values) == (1 if past is Past.DUE_AT_ONCE else 2)
    new = [fleet.aws.value(arn) or "" for arn in fleet.secrets]
    assert [number for number, value in enumerate(new) if value.startswith("dckr_oat_")] == [0, 5]
    assert all(map(fleet.hub.authenticates, new))
    assert (report.rotated, report.refused_logins, report.retries) == (6, 0, 0)
    assert report.broken == HELD


def test_the_quota_of_a_business_organization_is_enough_for_one_more_token_of_each_of_its_secrets() -> None:
    """A fleet that it is too small for would show that alone."""
    scene = Scene(secrets=200, mixed=True)
    fleet = Fleet(scene)

    theirs = [token for token in fleet.hub.tokens.values() if isinstance(token, OrganizationToken)]
    assert 40 <= len(theirs) <= 100 - sum(map(scene.is_of_an_organization, range(200)))


def test_a_fleet_repeated_is_the_same_fleet() -> None:
    scene = Scene(secrets=12, per_minute=36, mixed=True)

    assert rotate(scene) == rotate(scene)


@pytest.mark.parametrize(
    ("past", "secrets"),
    [(Past.TIDIED_UP, 12), (Past.TIDIED_UP, 30), (Past.LEAKED, 12), (Past.LEAKED, 30), (Past.SHARED, 30)],
)
def test_a_token_that_is_gone_costs_no_login(past: Past, secrets: int) -> None:
    report = rotate(Scene(secrets=secrets, past=past))

    took = (report.rotated, report.refused_logins, report.lockouts, report.retries)
    assert took == (secrets, 0, 0, 0)
    assert report.broken == HELD


@pytest.mark.parametrize("past", [past for past in Past if past.rotations])
def test_what_happened_before_has_happened(past: Past) -> None:
    """Else a scene would show nothing."""
    fleet = Fleet(Scene(secrets=2, past=past))
    live = {token.value: token.active for token in fleet.hub.tokens.values()}
    current, previous = ([live.get(fleet.aws.value(arn, label) or "") for arn in fleet.secrets] for label in LABELS)

    assert (current, previous) == {
        Past.TIDIED_UP: ([True, True], [None, None]),
        Past.LEAKED: ([None, None], [False, False]),
        Past.SHARED: ([True, True], [False, False]),
    }[past]
    shared = len({fleet.aws.value(arn, "AWSPREVIOUS") for arn in fleet.secrets}) == 1
    assert shared is (past is Past.SHARED)


@pytest.mark.parametrize("seed", range(1, 4))
def test_four_secrets_of_a_two_factor_account_get_through_in_the_attempts_there_are(seed: int) -> None:
    report = rotate(Scene(secrets=4, two_factor=True, seed=seed))

    assert report.rotated == 4
    assert report.broken == HELD


@pytest.mark.parametrize("seed", range(1, 4))
def test_ten_secrets_of_a_two_factor_account_lock_nobody_out(seed: int) -> None:
    """All but one have sent a code that was used already; ten of those lock the user name."""
    report = rotate(Scene(secrets=10, two_factor=True, seed=seed, attempts=10))

    assert report.rotated == 10
    assert report.broken == HELD


def test_the_command_prints_what_it_took(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet", "--secrets", "8", "--per-minute", "600", "--per-minute", "24"]) == 0

    printed = capsys.readouterr().out
    rows = {line[:60].strip(): line[60:].split() for line in printed.splitlines()}
    assert rows["secrets rotated"] == ["8", "8"]
    assert rows["answered 429"][0] == "0" != rows["answered 429"][1]
    assert rows["logins with the password"] == ["8", "8"]
    assert printed.count("holds") == 10


def test_the_command_shows_a_scene(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet", "--scene", "leaked", "--secrets", "3"]) == 0

    printed = capsys.readouterr().out
    rows = {line[:60].strip(): line[60:].split() for line in printed.splitlines()}
    assert "tokens in use of 3 secrets" in printed
    assert (rows["secrets rotated"], rows["logins refused"], rows["lockouts of the user name"]) == (["3"], ["0"], ["0"])


def test_the_command_shows_both_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet", "--scene", "tidied-up", "--secrets", "6", "--organization"]) == 0

    assert "every fifth of them with a token of an organization" in capsys.readouterr().out


def test_the_command_fails_if_a_user_name_was_locked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet", "--secrets", "12", "--per-minute", "600", "--two-factor"]) == 1

    assert "broken" in capsys.readouterr().out


# The caretaker


@pytest.mark.parametrize(("secrets", "aws", "hub"), [(1, 3, 2), (12, 14, 2), (200, 203, 6)])
def test_the_caretaker_asks_for_one_thing_a_secret_and_little_more(secrets: int, aws: int, hub: int) -> None:
    """One login, a page for each hundred tokens, the parameters, a page for each hundred secrets; cold each time."""
    day = Fleet(Scene(secrets=secrets, past=Past.WATCHED)).watch(hours=2)

    assert [dict(hour) for hour in day.requests] == [{"AWS": aws, "Docker Hub": hub}] * 2
    assert (day.unknown, day.attention, day.lockouts) == ((0, 0), (0, 0), 0)


def test_the_page_says_what_a_look_at_200_secrets_takes() -> None:
    day = Fleet(Scene(secrets=200, past=Past.WATCHED)).watch(hours=1)

    assert f"200 secrets take {day.seconds[0]:.0f} seconds and {sum(day.requests[0].values())} requests" in " ".join(
        (DOCS / "how-it-works.md").read_text().split()
    )


def test_the_caretaker_asks_for_the_list_of_each_kind_once_and_finds_nothing() -> None:
    day = Fleet(Scene(secrets=12, past=Past.WATCHED, mixed=True)).watch(hours=2)

    assert [dict(hour) for hour in day.requests] == [{"AWS": 14, "Docker Hub": 3}] * 2
    assert (day.unknown, day.attention, day.lockouts) == ((0, 0), (0, 0), 0)


@pytest.mark.parametrize("two_factor", [False, True])
def test_a_wrong_password_for_a_day_costs_one_refused_login_an_hour_and_locks_nobody_out(two_factor: bool) -> None:
    fleet = Fleet(Scene(secrets=12, past=Past.WATCHED, two_factor=two_factor))
    fleet.aws.put_parameter("DOCKER_HUB_PASSWORD", "not the password")

    day = fleet.watch()

    assert day.refused_logins == (1,) * 24
    assert day.lockouts == 0
    assert set(day.failed) == {"CredentialRefused"}


def test_with_one_time_codes_a_day_costs_no_refused_login() -> None:
    day = Fleet(Scene(secrets=12, past=Past.WATCHED, two_factor=True)).watch()

    assert (sum(day.refused_logins), day.lockouts, set(day.unknown)) == (0, 0, {0})
