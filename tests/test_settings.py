"""Settings are read once, checked whole, and never shown."""

import dataclasses

import certifi
import pytest

from dockerhub_rotation import library_settings, settings
from dockerhub_rotation.errors import SettingsInvalid
from dockerhub_rotation.settings import Settings

MARK = "hunter2"
FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:dockerhub-rotation"


def test_an_empty_environment_gives_the_defaults() -> None:
    assert settings.read({}) == Settings(
        username_parameter="DOCKER_HUB_USERNAME",
        password_parameter="DOCKER_HUB_PASSWORD",
        totp_parameter=None,
        webhook_parameter=None,
        secrets=("*",),
        scopes=("repo:read",),
        login="auth-token",
        probe_repositories=(),
        api_url="https://hub.docker.com",
        auth_url="https://auth.docker.io",
        registry_url="https://registry-1.docker.io",
    )


@pytest.mark.parametrize("blank", ["", " ", "\n\t"])
def test_an_empty_variable_counts_as_unset(blank: str) -> None:
    assert settings.read(dict.fromkeys(VARIABLES, blank)) == Settings()


def test_variables_of_others_mean_nothing() -> None:
    assert settings.read({"PATH": "/bin", "DOCKERHUB_SOMETHING": "else", "dockerhub_login": "?"}) == Settings()


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("DOCKERHUB_USERNAME_PARAMETER", "/team-a/hub.user", {"username_parameter": "/team-a/hub.user"}),
        ("DOCKERHUB_USERNAME_PARAMETER", " padded ", {"username_parameter": "padded"}),
        ("DOCKERHUB_PASSWORD_PARAMETER", "/hub/pass_word-1.2", {"password_parameter": "/hub/pass_word-1.2"}),
        ("DOCKERHUB_PASSWORD_PARAMETER", "p" * 1011, {"password_parameter": "p" * 1011}),
        ("SLACK_WEBHOOK_PARAMETER", "/slack/hook", {"webhook_parameter": "/slack/hook"}),
        ("DOCKERHUB_TOTP_PARAMETER", "/hub/totp", {"totp_parameter": "/hub/totp", "login": "users-login"}),
        ("DOCKERHUB_LOGIN", "auth-token", {"login": "auth-token"}),
        ("DOCKERHUB_LOGIN", "users-login", {"login": "users-login"}),
        ("DOCKERHUB_SECRETS", "hub", {"secrets": ("hub",)}),
        ("DOCKERHUB_SECRETS", "*", {"secrets": ("*",)}),
        ("DOCKERHUB_SECRETS", "team-a/*, hub_+=.@-,hub_+=.@-", {"secrets": ("team-a/*", "hub_+=.@-")}),
        ("DOCKERHUB_TOKEN_SCOPES", "repo:admin", {"scopes": ("repo:admin",)}),
        ("DOCKERHUB_TOKEN_SCOPES", "repo:write,repo:read", {"scopes": ("repo:write", "repo:read")}),
        ("DOCKERHUB_TOKEN_SCOPES", " repo:write  repo:read,", {"scopes": ("repo:write", "repo:read")}),
        ("DOCKERHUB_TOKEN_SCOPES", "repo:read repo:read", {"scopes": ("repo:read",)}),
        ("DOCKERHUB_TOKEN_SCOPES", "repo:public_read", {"scopes": ("repo:public_read",)}),
        ("DOCKERHUB_PROBE_REPOSITORY", "acme/web", {"probe_repositories": ("acme/web",)}),
        ("DOCKERHUB_PROBE_REPOSITORY", "library/alpine", {"probe_repositories": ("library/alpine",)}),
        ("DOCKERHUB_PROBE_REPOSITORY", "a1/b__c.d-e", {"probe_repositories": ("a1/b__c.d-e",)}),
        ("DOCKERHUB_TOKEN_EXPIRY", "1", {"expiry": 1}),
        ("DOCKERHUB_TOKEN_EXPIRY", " 3650 ", {"expiry": 3650}),
        ("DOCKERHUB_GRACE", "0", {"grace": 0}),
        ("DOCKERHUB_GRACE", "90m", {"grace": 5400}),
        ("DOCKERHUB_GRACE", "30d", {"grace": 2_592_000}),
        ("DOCKERHUB_GRACE_LIMIT", "0", {"grace_limit": 0}),
        ("DOCKERHUB_HEAL", "report", {"heal": "report"}),
        ("DOCKERHUB_HEAL", "rotate", {"heal": "rotate"}),
        ("DOCKERHUB_GRACE_LIMIT", "365d", {"grace_limit": 31_536_000}),
        ("DOCKERHUB_API_URL", "https://hub.example.com/", {"api_url": "https://hub.example.com"}),
        ("DOCKERHUB_API_URL", "https://example.com:8443/hub//", {"api_url": "https://example.com:8443/hub"}),
        ("DOCKERHUB_AUTH_URL", "http://127.0.0.1:8080", {"auth_url": "http://127.0.0.1:8080"}),
        ("DOCKERHUB_REGISTRY_URL", "http://localhost:1", {"registry_url": "http://localhost:1"}),
        ("DOCKERHUB_REGISTRY_URL", "http://[::1]:5000", {"registry_url": "http://[::1]:5000"}),
        ("ROTATION_FUNCTION_ARN", FUNCTION, {"rotation_function": FUNCTION}),
        ("ROTATION_FUNCTION_ARN", f"{FUNCTION}:live", {"rotation_function": f"{FUNCTION}:live"}),
    ],
)
def test_a_variable_is_understood(variable: str, text: str, expected: dict[str, object]) -> None:
    assert settings.read({variable: text}) == dataclasses.replace(Settings(), **expected)  # type: ignore[arg-type]


def test_a_grace_beyond_its_own_limit_is_refused() -> None:
    with pytest.raises(SettingsInvalid, match="DOCKERHUB_GRACE must not be longer than DOCKERHUB_GRACE_LIMIT"):
        settings.read({"DOCKERHUB_GRACE": "25h", "DOCKERHUB_GRACE_LIMIT": "1d"})
    with pytest.raises(SettingsInvalid, match="DOCKERHUB_GRACE must not be longer than DOCKERHUB_GRACE_LIMIT"):
        settings.read({"DOCKERHUB_GRACE": "31d"})


SERVED = [
    (("*",), "anything", True),
    (("hub",), "hub", True),
    (("hub",), "hub2", False),
    (("hub",), "hu", False),
    (("hub",), "team/hub", False),
    (("hub",), "hub-abcdef", False),  # its ARN begins like that of hub
    (("other", "team-a/*"), "team-a/hub", True),
    (("other", "team-a/*"), "other", True),
    (("other", "team-a/*"), "team-b/hub", False),
    (("other", "team-a/*"), "x/team-a/hub", False),
    (("team-a/*",), "team-a", False),
]


@pytest.mark.parametrize(("secrets", "name", "expected"), SERVED)
def test_a_secret_is_served_by_its_name_or_the_beginning_of_its_name(
    secrets: tuple[str, ...], name: str, expected: bool
) -> None:
    read = Settings(secrets=secrets)

    assert read.serves(f"arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:{name}-x1Y2z3") is expected
    assert read.serves(name) is expected


def test_a_totp_seed_needs_the_login_that_takes_a_code() -> None:
    read = settings.read({"DOCKERHUB_TOTP_PARAMETER": "totp", "DOCKERHUB_LOGIN": "auth-token"})

    assert read.login == "users-login"


PARAMETERS = (
    "DOCKERHUB_USERNAME_PARAMETER",
    "DOCKERHUB_PASSWORD_PARAMETER",
    "DOCKERHUB_TOTP_PARAMETER",
    "SLACK_WEBHOOK_PARAMETER",
)
URLS = ("DOCKERHUB_API_URL", "DOCKERHUB_AUTH_URL", "DOCKERHUB_REGISTRY_URL")
DURATIONS = ("DOCKERHUB_GRACE", "DOCKERHUB_GRACE_LIMIT")
VARIABLES = (
    *(*PARAMETERS, *URLS, *DURATIONS),
    *(
        "DOCKERHUB_SECRETS",
        "DOCKERHUB_TOKEN_SCOPES",
        "DOCKERHUB_LOGIN",
        "DOCKERHUB_PROBE_REPOSITORY",
        "DOCKERHUB_TOKEN_EXPIRY",
        "ROTATION_FUNCTION_ARN",
    ),
)

WRONG = [
    *((variable, text) for variable in DURATIONS for text in (MARK, "24", "1h30m", "-1h", "3651d", "1.5h")),
    *(
        (variable, text)
        for variable in PARAMETERS
        for text in (
            f"arn:aws:ssm:eu-central-1:123456789012:parameter/{MARK}",
            f"{MARK} {MARK}",
            f"{MARK}!",
            f"{MARK}\n{MARK}",
            f"https://hooks.slack.com/services/{MARK}",
            MARK + "x" * 1011,
        )
    ),
    *(
        (variable, text)
        for variable in URLS
        for text in (
            f"{MARK}.example.com",
            f"http://{MARK}.example.com",
            f"http://127.0.0.1.{MARK}.example.com",
            f"http://localhost.{MARK}.example.com",
            f"http://0.0.0.0/{MARK}",
            f"ftp://{MARK}.example.com",
            f"file:///{MARK}",
            f"https:///{MARK}",
            f"//{MARK}.example.com",
            f"https://alice:{MARK}@example.com",
            f"https://@example.com/{MARK}",
            f"https://127.0.0.1@{MARK}.example.com",
            f"http://127.0.0.1\\@{MARK}.example.com",
            f"https://example.com/?{MARK}",
            f"https://example.com/{MARK}?",
            f"https://example.com/#{MARK}",
            f"https://example.com/{MARK}#",
            f"https://example.com/ {MARK}",
            f"https://[::1/{MARK}",
            f"https://alice:{MARK}@ex\u2100mple.com",
            f"https://example.com:99999/{MARK}",
            f"https://example.com:{MARK}",
        )
    ),
    *(
        ("DOCKERHUB_SECRETS", text)
        for text in (
            f"arn:aws:secretsmanager:eu-central-1:123456789012:secret:{MARK}-AbCdEf",
            f"hub,{MARK}?",
            f"*{MARK}",
            f"{MARK}**",
            ",",
        )
    ),
    *(("DOCKERHUB_TOKEN_EXPIRY", text) for text in (MARK, "0", "-1", "90d", "3651", "1.5")),
    ("DOCKERHUB_TOKEN_SCOPES", "repo:delete"),
    ("DOCKERHUB_TOKEN_SCOPES", f"repo:read {MARK}"),
    ("DOCKERHUB_TOKEN_SCOPES", "REPO:READ"),
    ("DOCKERHUB_TOKEN_SCOPES", ","),
    ("DOCKERHUB_LOGIN", MARK),
    ("DOCKERHUB_LOGIN", "Auth-Token"),
    ("DOCKERHUB_PROBE_REPOSITORY", MARK),
    ("DOCKERHUB_PROBE_REPOSITORY", f"acme/{MARK}:latest"),
    ("DOCKERHUB_PROBE_REPOSITORY", f"acme/{MARK}@sha256:00"),
    ("DOCKERHUB_PROBE_REPOSITORY", f"acme/{MARK}/deeper"),
    ("DOCKERHUB_PROBE_REPOSITORY", f"docker.io/acme/{MARK}"),
    ("DOCKERHUB_PROBE_REPOSITORY", "Acme/web"),
    ("DOCKERHUB_PROBE_REPOSITORY", f"acme/{MARK}-"),
    ("DOCKERHUB_PROBE_REPOSITORY", f"/{MARK}"),
    ("ROTATION_FUNCTION_ARN", MARK),
    ("ROTATION_FUNCTION_ARN", f"arn:aws:iam::123456789012:role/{MARK}"),
    ("ROTATION_FUNCTION_ARN", f"arn:aws:lambda:eu-central-1:123456789012:function:{MARK}!"),
]


@pytest.mark.parametrize(("variable", "text"), WRONG)
def test_a_wrong_variable_is_named_and_not_quoted(variable: str, text: str) -> None:
    with pytest.raises(SettingsInvalid) as refusal:
        settings.read({variable: text})

    assert variable in str(refusal.value)
    assert MARK not in str(refusal.value)
    assert (refusal.value.__cause__, refusal.value.__context__) == (None, None)


# What others read from the same environment

PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
YES_OR_NO = tuple(f"POWERTOOLS_{name}" for name in ("LOG_DEDUPLICATION_DISABLED", "METRICS_DISABLED", "DEV", "DEBUG"))
ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SSM", "AWS_ENDPOINT_URL_SECRETS_MANAGER")
WRONG_FOR_OTHERS = [
    *((variable, f"http://{MARK}:port") for variable in (*PROXIES, *ENDPOINTS)),
    *((variable, f"socks5://user:{MARK}@127.0.0.1:1080") for variable in PROXIES),
    ("HTTPS_PROXY", f"http://{MARK}:99999"),
    ("HTTPS_PROXY", f"http://user:{MARK}/@proxy.example.com:3128"),  # the slash ends the host
    ("HTTPS_PROXY", "http://[::1"),
    ("HTTPS_PROXY", "http://"),
    ("AWS_ENDPOINT_URL", MARK),
    ("AWS_ENDPOINT_URL_SSM", f"ftp://{MARK}"),
    ("AWS_CA_BUNDLE", f"/nowhere/{MARK}.pem"),
    ("AWS_CA_BUNDLE", "/"),
    ("AWS_CA_BUNDLE", __file__),
    ("REQUESTS_CA_BUNDLE", f"/nowhere/{MARK}.pem"),
    *((variable, text) for variable in ("POWERTOOLS_LOG_LEVEL", "LOG_LEVEL") for text in (MARK, "10", "TRACE")),
    *(("POWERTOOLS_LOGGER_SAMPLE_RATE", text) for text in (MARK, "2", "-1", "1.5", "nan")),
    *((variable, MARK) for variable in YES_OR_NO),
]
RIGHT_FOR_OTHERS = [
    *((variable, text) for variable in PROXIES for text in ("http://proxy.example.com:3128", "proxy:3128", "")),
    ("HTTPS_PROXY", "https://user:p%40ss@proxy.example.com"),
    *((variable, "http://127.0.0.1:5000") for variable in ENDPOINTS),
    ("AWS_CA_BUNDLE", certifi.where()),
    *(("POWERTOOLS_LOG_LEVEL", text) for text in ("debug", "INFO", "WARN", "CRITICAL", " ERROR ", "")),
    *(("POWERTOOLS_LOGGER_SAMPLE_RATE", text) for text in ("0", "0.1", ".5", "1", "1.0", "")),
    *((variable, text) for variable in YES_OR_NO for text in ("true", "False", "1", "")),
    ("NO_PROXY", "["),  # takes anything
]


@pytest.mark.parametrize(("variable", "text"), WRONG_FOR_OTHERS)
def test_a_variable_over_which_others_would_stumble_in_a_call_is_a_setting_that_is_wrong(
    variable: str, text: str
) -> None:
    with pytest.raises(SettingsInvalid, match=f" {variable} must be ") as refusal:
        settings.read({variable: text})

    assert MARK not in str(refusal.value)


@pytest.mark.parametrize(("variable", "text"), RIGHT_FOR_OTHERS)
def test_a_variable_that_others_can_read_is_left_to_them(variable: str, text: str) -> None:
    assert settings.read({variable: text}) == Settings()


def test_what_powertools_cannot_read_is_kept_from_it_and_the_rest_is_left() -> None:
    right = {"POWERTOOLS_LOGGER_SAMPLE_RATE": "0.5", "POWERTOOLS_SERVICE_NAME": "mine", "AWS_CA_BUNDLE": "/nowhere"}
    environment = {"POWERTOOLS_LOG_LEVEL": "loud", "POWERTOOLS_DEBUG": "", **right}

    assert library_settings.set_aside(environment) == {"POWERTOOLS_LOG_LEVEL": "loud", "POWERTOOLS_DEBUG": ""}
    assert environment == right


def test_what_surrounds_a_level_is_taken_off_for_powertools() -> None:
    environment = {"POWERTOOLS_LOG_LEVEL": " DEBUG "}

    assert library_settings.set_aside(environment) == {}
    assert environment == {"POWERTOOLS_LOG_LEVEL": "DEBUG"}


def test_every_wrong_variable_is_reported_at_once() -> None:
    with pytest.raises(SettingsInvalid) as refusal:
        settings.read(dict.fromkeys(VARIABLES, "?!"))

    assert [variable for variable in VARIABLES if variable not in str(refusal.value)] == []


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().login = "users-login"  # type: ignore[misc]


@pytest.mark.parametrize("url", ["https://example.com", "http://127.8.9.1/", "http://LOCALHOST", "http://[::1]/x?y#z"])
def test_a_credential_may_travel_over_https_and_to_loopback(url: str) -> None:
    settings.require_safe_url(url)


@pytest.mark.parametrize("url", ["http://example.com", "http://10.0.0.1", "http://169.254.169.254", "", "x", "http://"])
def test_a_credential_may_not_travel_over_anything_else(url: str) -> None:
    with pytest.raises(ValueError, match="https://"):
        settings.require_safe_url(url)


@pytest.mark.parametrize("url", ["https://hub..docker.com", "https://.docker.com", f"https://{'a' * 64}.com"])
def test_a_host_that_no_resolver_takes_is_refused(url: str) -> None:
    with pytest.raises(SettingsInvalid, match="DOCKERHUB_API_URL"):
        settings.read({"DOCKERHUB_API_URL": url})
