"""The session with AWS: credentials, Region and account, and its errors with what mends them.

Whatever boto3 knows how to find serves: the environment, profiles, single sign-on, `aws login`, the roles of containers
and machines. AWS_REGION is read here, because boto3 does not know it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from botocore import exceptions
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.utils import JSONFileCache

from operate.show import Problem

_CONFIG = Config(connect_timeout=10, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 5})


class Refused(Problem):
    """AWS refused a request, or could not be asked.

    Attributes:
        code: the error's code, as in the service's documentation; empty if no answer came.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Aws:
    """AWS, with an account and a Region.

    Attributes:
        region: of every request.
    """

    session: boto3.Session
    region: str

    @cached_property
    def account(self) -> str:
        """The number of the account, asked for once."""
        return str(self.ask("sts", "get_caller_identity")["Account"])

    @cached_property
    def _clients(self) -> dict[str, Any]:
        return {}

    def ask(self, service: str, operation: str, **request: Any) -> Any:
        """Send a request, once more if it is worth it, and return the answer.

        Raises:
            Refused: AWS said no, or could not be asked.
        """
        with self._telling():
            return getattr(self.client(service), operation)(**request)

    def pages(self, service: str, operation: str, **request: Any) -> Iterator[Any]:
        """Send a request for each page of an answer that has several, as they are taken.

        Raises:
            Refused: AWS said no, or could not be asked.
        """
        with self._telling():
            yield from self.client(service).get_paginator(operation).paginate(**request)

    def download(self, **request: Any) -> bytes:
        """Return the content of an object of S3, whose body comes after the answer.

        Raises:
            Refused: AWS said no, or not all of it came.
        """
        with self._telling():
            content: bytes = self.client("s3").get_object(**request)["Body"].read()
            return content

    def invoke(self, function: str, event: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Have a function do something that takes long, once, and return its answer, or its error as Lambda tells it.

        An answer that is no object, or not there, is returned as an empty one.

        Args:
            seconds: how long to wait for it.

        Raises:
            Refused: AWS said no, or no answer came; the function may go on.
        """
        # Repeated, it would begin a second time beside the first. What is silent for long is kept open.
        patient = _CONFIG.merge(
            Config(read_timeout=seconds, retries={"mode": "standard", "total_max_attempts": 1}, tcp_keepalive=True)
        )
        with self._telling():
            client = self._make("lambda", patient)
            told = client.invoke(FunctionName=function, Payload=json.dumps(event))
            said = told["Payload"].read()
        try:
            answer = json.loads(said)
        except ValueError:  # nothing is wrong with our own credentials, where the others of this class come from
            return {}
        return answer if isinstance(answer, dict) else {}

    def client(self, service: str) -> Any:
        """Return boto3's client of a service, in the Region.

        Raises:
            BotoCoreError: there are no credentials where the configuration says, or it can't be read.
        """
        if service not in self._clients:
            self._clients[service] = self._make(service, _CONFIG)
        return self._clients[service]

    def _make(self, service: str, config: Config) -> Any:
        self._fetched  # noqa: B018 - first, so that what fails later is no fault of theirs
        try:
            return self.session.client(service, region_name=self.region, config=config)  # type: ignore[call-overload]
        except ValueError as error:
            raise exceptions.InvalidConfigError(error_msg=f"{error} ({_ENDPOINT})") from None

    @cached_property
    def _fetched(self) -> bool:
        """Whether there are credentials, fetched before anything is asked: whatever they come from may fail in its way.

        Its errors are no classes of botocore's: a program that is not there, an answer that is no JSON or no object.
        """
        try:
            found = self.session.get_credentials()
            return bool(found and found.get_frozen_credentials())
        except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
            raise exceptions.CredentialRetrievalError(provider="the configuration", error_msg=_kind(error)) from None

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Tell whatever a request fails with; that may be credentials which are fetched again, too.

        Raises:
            Refused: it has failed.
        """
        try:
            yield
        except (BotoCoreError, ClientError, OSError, ValueError) as error:
            raise refused(error, self.region) from None


def connect() -> Aws:
    """Find credentials and Region; nothing is asked of AWS yet.

    Raises:
        Problem: the configuration can't be read, or no Region is set.
    """
    try:
        inner = botocore.session.Session()
        _share_roles(inner)
        session = boto3.Session(botocore_session=inner)
        region = os.environ.get("AWS_REGION") or session.region_name
    except BotoCoreError as error:
        raise refused(error, "") from None
    if not region:
        raise Problem("No Region is set: set AWS_REGION, or run `aws configure`.")
    if not re.fullmatch("[a-z]+(-[a-z]+)+-[0-9]+", region):
        raise Problem(f"{region} is no Region: set AWS_REGION to the name of one, as in eu-central-1.")
    return Aws(session, region)


def carried(aws: Aws) -> dict[str, str]:
    """Return the variables that a command needs in another shell, to ask the same account and Region as here."""
    profile = os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE")
    try:
        configured = botocore.session.Session(profile=profile).get_scoped_config().get("region")
    except BotoCoreError:
        configured = None
    region = {"AWS_REGION": aws.region} if aws.region != configured else {}
    return region | ({"AWS_PROFILE": profile} if profile else {})


def _share_roles(session: botocore.session.Session) -> None:
    """Keep the sessions of roles where the AWS CLI keeps them, so that nobody enters a second one-time code for one."""
    providers = session.get_component("credential_provider")
    for name in ("assume-role", "assume-role-with-web-identity"):
        providers.get_provider(name).cache = JSONFileCache(str(Path.home() / ".aws" / "cli" / "cache"))


# --- What mends AWS's errors ---

_NOBODY = (
    "There are no AWS credentials: run `aws configure`, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY."
)
_EXPIRED = "The AWS session has expired: log in again (`aws sso login`, `aws login`, or however you got it)."
_NO_ANSWER = "No credentials came from where the configuration says: look with `aws configure list`."
_WRONG = "AWS does not accept these credentials: look which are in use with `aws configure list`."
_CONFIGURATION = "Mend ~/.aws/config or ~/.aws/credentials, or name another profile with AWS_PROFILE."
_NETWORK = "AWS cannot be reached: check the network, the proxy and the Region's name."
_CERTIFICATE = "The certificate is not trusted: name your proxy's certificate authority in AWS_CA_BUNDLE."
_ENDPOINT = "look at AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_<service> and endpoint_url in ~/.aws/config"
_PERMISSION = "docs/permissions.md lists the permissions that the commands need."
_CLOCK = "This machine's clock is wrong: set it by a time server, then run this again."

# The more special class first.
_BY_CLASS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    ((exceptions.NoCredentialsError, exceptions.PartialCredentialsError, exceptions.NoAuthTokenError), _NOBODY),
    (exceptions.ProfileNotFound, "Name another profile with AWS_PROFILE, or run `aws configure --profile <name>`."),
    (
        (
            *(exceptions.SSOError, exceptions.TokenRetrievalError, exceptions.LoginRefreshRequired),
            *(exceptions.LoginTokenLoadError, exceptions.LoginAuthorizationCodeError),
            exceptions.RefreshWithMFAUnsupportedError,
        ),
        _EXPIRED,
    ),
    (exceptions.MissingDependencyException, "A part of this environment is missing: remove it, and make it anew."),
    (
        (exceptions.ConfigParseError, exceptions.ConfigNotFound, exceptions.InvalidConfigError),
        _CONFIGURATION,
    ),
    (
        (exceptions.MetadataRetrievalError, exceptions.CredentialRetrievalError, exceptions.LoginError),
        _NO_ANSWER,
    ),
    (exceptions.SSLError, _CERTIFICATE),
    (
        (
            *(exceptions.HTTPClientError, exceptions.ConnectionError, exceptions.InvalidRegionError),
            *(exceptions.EndpointProviderError, exceptions.BaseEndpointResolverError),
        ),
        _NETWORK,
    ),
)

_SKEWED = {"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"}
# A signature that is too old or too young has the code of a wrong one.
_SIGNATURE = {"SignatureDoesNotMatch", "InvalidSignatureException"}
_SESSION_OVER = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"}
_UNKNOWN = {"InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure", "InvalidAccessKeyId"}
_NOT_ENABLED = {"OptInRequired", "RegionDisabledException", "SubscriptionRequiredException"}
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403", "Forbidden"}

# No Region has been added to these since 2019: every younger one has to be enabled for the account, and until then
# knows none of its credentials. https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html
_ENABLED_FOR_ALL = {
    *("us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1"),
    *("eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3"),
    *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2"),
}

# China, the governments' clouds and the sovereign one have accounts of their own.
_OF_ANOTHER_PARTITION = re.compile("(cn|us-gov|us-iso[a-z]?|eu-iso[a-z]?|eusc)-")

# More than this, and AWS takes no signature.
_SKEW_SECONDS = 5 * 60


def refused(error: Exception, region: str) -> Refused:
    """Make of a library's error one that says AWS's own reason, and then what mends it."""
    if not isinstance(error, BotoCoreError | ClientError):
        return Refused("", f"AWS cannot be asked: {_sentence(_kind(error))} {_NO_ANSWER}")
    if not isinstance(error, ClientError):
        remedy = next((remedy for kind, remedy in _BY_CLASS if isinstance(error, kind)), "")
        return Refused("", f"{_sentence(str(error))} {remedy}".rstrip())
    told = error.response.get("Error", {})
    code = str(told.get("Code", ""))
    reason = _sentence(str(told.get("Message") or "it does not say why"))
    remedy = _remedy(code, reason, region, _seconds_apart(error))
    return Refused(code, f"AWS refused {error.operation_name} ({code}): {reason} {remedy}".rstrip())


def _remedy(code: str, reason: str, region: str, apart: float) -> str:
    clock_is_wrong = apart > _SKEW_SECONDS or "Signature expired" in reason or "Signature not yet current" in reason
    if code in _SKEWED or (code in _SIGNATURE and clock_is_wrong):
        return _CLOCK
    if code in _SESSION_OVER:
        return _EXPIRED
    enable = f"enable the Region for this account, `aws account enable-region --region-name {region}`"
    if code in _NOT_ENABLED:
        return f"Where it is the Region that is not enabled, {enable}, and wait some minutes."
    if code in _UNKNOWN and region not in _ENABLED_FOR_ALL and not _OF_ANOTHER_PARTITION.match(region):
        return f"{region} is a Region that knows no account's credentials until it is enabled: {enable}. Else: {_WRONG}"
    if code in _UNKNOWN | _SIGNATURE:
        return _WRONG
    return _PERMISSION if code in _DENIED else ""


def _seconds_apart(error: ClientError) -> float:
    """Return by how much this machine's clock differs from AWS's, as far as the answer tells."""
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        theirs = parsedate_to_datetime(str(headers["date"]))
    except (KeyError, ValueError):
        return 0
    return abs((datetime.now(UTC) - theirs.astimezone(UTC)).total_seconds())


def _kind(error: Exception) -> str:
    """Return what is told of an error that is not botocore's: no content of a file or an answer stands in it."""
    reason = str(error) if isinstance(error, OSError | ValueError) else "it answered something of another form"
    return f"{type(error).__name__}: {reason}"


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith((".", "!", "?")) else f"{text}."
