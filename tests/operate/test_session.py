"""The session: whose credentials, which Region, and AWS's errors with what mends them."""

from __future__ import annotations

import getpass
import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore import exceptions
from botocore.credentials import AssumeRoleProvider

from .aws import Account
from .cloudformation import AwsError
from .conftest import Command

# The account's own fixture lets no program start.
_START = subprocess.Popen.__init__
CALLER = "sts:GetCallerIdentity"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of somebody whose credentials are in files, not in the environment."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    folder = tmp_path / "home"
    (folder / ".aws").mkdir(parents=True)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / ".aws" / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / ".aws" / "credentials"))
    return folder


def configure(home: Path, text: str) -> None:
    (home / ".aws" / "config").write_text(f"[default]\nregion = eu-west-3\n{text}")


def test_without_a_region_it_says_how_to_set_one(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)

    done = run("deploy")

    assert (done.status, "set AWS_REGION, or run `aws configure`" in done.err) == (1, True)


@pytest.mark.parametrize(
    ("variables", "region"),
    [
        ({}, "eu-west-3"),
        ({"AWS_DEFAULT_REGION": "eu-north-1"}, "eu-north-1"),
        ({"AWS_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-north-1", "AWS_REGION": "eu-west-1"}, "eu-west-1"),
    ],
)
def test_the_region_is_that_of_the_environment_else_that_of_the_profile(
    aws: Account,
    run: Command,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    region: str,
) -> None:
    configure(home, "aws_access_key_id = AKIAPROFILE\naws_secret_access_key = x\n")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert run("destroy").status == 0

    assert aws.regions == {region}


MFA = """aws_access_key_id = AKIAPERSON
aws_secret_access_key = x
[profile admin]
region = eu-central-1
role_arn = arn:aws:iam::123456789012:role/admin
source_profile = default
mfa_serial = arn:aws:iam::123456789012:mfa/person
"""


def test_a_one_time_code_is_asked_for_once_and_the_role_is_kept_where_the_aws_cli_keeps_it(
    aws: Account, run: Command, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(home, MFA)
    monkeypatch.setenv("AWS_PROFILE", "admin")
    defaults = AssumeRoleProvider.__init__.__defaults__ or ()
    enter = [(lambda prompt: "123456") if it is getpass.getpass else it for it in defaults]
    monkeypatch.setattr(AssumeRoleProvider.__init__, "__defaults__", tuple(enter))

    assert [run("destroy").status, run("destroy").status] == [0, 0]

    assert aws.requests.count("sts:AssumeRole") == 1
    assert aws.signed_with[-1] == "ASIAROLE"
    (kept,) = (home / ".aws" / "cli" / "cache").iterdir()
    assert json.loads(kept.read_text())["Credentials"]["AccessKeyId"] == "ASIAROLE"


def test_a_one_time_code_is_not_taken_from_the_lines_of_a_credential(
    aws: Account, run: Command, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(home, MFA)
    monkeypatch.setenv("AWS_PROFILE", "admin")

    done = run("credentials", stdin="acme\ncorrect-horse\n")

    assert (done.status, "run it at one" in done.err) == (1, True)
    assert aws.requests == []


def test_the_role_of_a_container_serves(
    aws: Account, run: Command, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(home, "")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/role")

    assert run("destroy").status == 0

    assert aws.signed_with[-1] == "ASIACONTAINER"


SSO = """sso_session = company
sso_account_id = 123456789012
sso_role_name = admin
[sso-session company]
sso_region = eu-central-1
sso_start_url = https://company.awsapps.com/start
"""


@pytest.mark.parametrize(
    ("configuration", "profile", "reason", "remedy"),
    [
        ("", "", "Unable to locate credentials", "run `aws configure`"),
        ("", "nope", "profile (nope) could not be found", "Name another profile with AWS_PROFILE"),
        (SSO, "", "Error loading SSO Token", "log in again (`aws sso login`"),
        ("login_session = arn:aws:iam::123456789012:user/it\n", "", "", "log in again"),
        ("[nonsense\n", "", "Unable to parse config file", "Mend ~/.aws/config"),
    ],
)
def test_credentials_that_are_not_there_are_told_with_the_reason_and_the_remedy(
    run: Command,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    configuration: str,
    profile: str,
    reason: str,
    remedy: str,
) -> None:
    configure(home, configuration)
    if profile:
        monkeypatch.setenv("AWS_PROFILE", profile)

    done = run("deploy")

    assert done.status == 1
    assert reason in done.err
    assert remedy in done.err


@pytest.mark.parametrize(
    ("code", "reason", "region", "remedy"),
    [
        ("ExpiredToken", "The security token included in the request is expired", "eu-central-1", "log in again"),
        (
            "ExpiredTokenException",
            "The security token included in the request is expired",
            "eu-south-2",
            "log in again",
        ),
        ("RequestExpired", "Request has expired", "eu-central-1", "clock is wrong"),
        ("RequestTimeTooSkewed", "The difference is too large", "eu-central-1", "clock is wrong"),
        ("SignatureDoesNotMatch", "Signature not yet current: 1 is later than 2", "eu-central-1", "clock is wrong"),
        ("SignatureDoesNotMatch", "Signature expired: 1 is now earlier than 2", "eu-central-1", "clock is wrong"),
        ("SignatureDoesNotMatch", "The signature we calculated differs", "eu-central-1", "aws configure list"),
        ("InvalidClientTokenId", "The security token is invalid", "eu-central-1", "does not accept these"),
        (
            "InvalidClientTokenId",
            "The security token is invalid",
            "eu-south-2",
            "enable-region --region-name eu-south-2",
        ),
        ("UnrecognizedClientException", "The security token is invalid", "ap-east-1", "enable-region"),
        ("InvalidClientTokenId", "The security token is invalid", "us-gov-west-1", "does not accept these"),
        ("OptInRequired", "You are not subscribed", "eu-south-2", "enable-region --region-name eu-south-2"),
        ("AccessDenied", "User x is not authorized to perform: y", "eu-central-1", "docs/permissions.md lists"),
        ("SomethingNew", "Nobody has seen this", "eu-central-1", ""),
    ],
)
def test_what_aws_says_is_told_as_it_is_and_followed_by_what_mends_it(
    aws: Account, run: Command, monkeypatch: pytest.MonkeyPatch, code: str, reason: str, region: str, remedy: str
) -> None:
    monkeypatch.setenv("AWS_REGION", region)
    aws.refuse[CALLER] = AwsError(code, reason, 403)

    done = run("deploy")

    assert done.status == 1
    assert f"({code}): {reason}" in done.err
    assert done.err.index(reason) < done.err.index(remedy) if remedy else done.err.endswith(f"{reason}.\n")
    others = {"log in again", "clock is wrong", "enable-region", "does not accept these"} - {remedy}
    if remedy in ("log in again", "clock is wrong"):
        assert [other for other in others if other in done.err] == []


@pytest.mark.parametrize("verb", ["deploy", "preflight"])
@pytest.mark.parametrize(
    ("configuration", "variables", "said"),
    [
        ("credential_process = /nope/x", {}, "/nope/x"),
        ("credential_process = echo hi", {}, "JSONDecodeError"),
        ("credential_process = echo 1", {}, "another form"),
        ("credential_process = echo 'hi", {}, "No closing quotation"),
        ("role_arn = arn:aws:iam::123456789012:role/a\nweb_identity_token_file = /nope", {}, "/nope"),
        ("", {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://evil.example/"}, "evil.example"),
        ("aws_access_key_id = a\naws_secret_access_key = x", {"AWS_ENDPOINT_URL": "foo"}, "AWS_ENDPOINT_URL"),
    ],
)
def test_whatever_credentials_come_from_its_failure_is_told_with_what_mends_it(
    run: Command,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    configuration: str,
    variables: dict[str, str],
    said: str,
    verb: str,
) -> None:
    monkeypatch.setattr(subprocess.Popen, "__init__", _START)
    configure(home, configuration + "\n")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    done = run(verb)

    assert done.status == 1
    if verb == "preflight":
        assert "OTHERWISE: identity" in done.out
        return
    assert said in done.err
    assert "`aws configure list`" in done.err or "Mend ~/.aws/config" in done.err


def test_credentials_that_cannot_be_fetched_again_are_told(
    aws: Account, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.broken[CALLER] = FileNotFoundError(2, "No such file or directory", "/run/token")

    done = run("deploy")

    assert (done.status, "/run/token" in done.err, "`aws configure list`" in done.err) == (1, True, True)


@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_wrong_clock_is_told_by_the_date_of_the_answer_whatever_aws_calls_it(
    aws: Account, run: Command, minutes: int
) -> None:
    aws.date = datetime.now(UTC) + timedelta(minutes=minutes)
    aws.refuse[CALLER] = AwsError("InvalidSignatureException", "Something about the signature", 403)

    assert "clock is wrong" in run("deploy").err


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (exceptions.EndpointConnectionError(endpoint_url="https://sts"), "check the network"),
        (exceptions.ConnectTimeoutError(endpoint_url="https://sts"), "check the network"),
        (exceptions.ReadTimeoutError(endpoint_url="https://sts"), "check the network"),
        (exceptions.ProxyConnectionError(proxy_url="http://proxy"), "check the network"),
        (exceptions.SSLError(endpoint_url="https://sts", error=OSError("self-signed")), "AWS_CA_BUNDLE"),
    ],
)
def test_what_is_in_the_way_to_aws_is_told(aws: Account, run: Command, error: Exception, remedy: str) -> None:
    aws.broken[CALLER] = error

    done = run("deploy")

    assert (done.status, remedy in done.err) == (1, True), done.err
    assert str(error).split(":")[0] in done.err


def test_a_region_that_is_no_name_is_told(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "not a region")

    assert "not a region is no Region: set AWS_REGION" in run("rotate").err


def test_a_request_that_is_throttled_is_sent_again(aws: Account, run: Command) -> None:
    aws.refuse[CALLER] = AwsError("Throttling", "Rate exceeded")
    aws.later(1, lambda: aws.refuse.clear())

    assert run("destroy").status == 0

    assert aws.requests.count(CALLER) > 1


def test_nobody_is_asked_for_anything_beside_what_is_said(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getpass", lambda prompt: pytest.fail(prompt))

    assert run("deploy").status == 1
