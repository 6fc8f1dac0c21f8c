"""What both AWS services share: one client configuration, and botocore's exceptions translated once."""

import os
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
)
from botocore.session import get_session

from dockerhub_rotation.errors import AwsRefused, AwsUnavailable, RotationError, SettingsInvalid

# Secrets Manager and Parameter Store answer in milliseconds. A host's addresses are tried one after the other, each for
# so long: three tries of eight that swallow everything take 24 seconds, and the pauses between them up to three.
CLIENT_CONFIG = Config(connect_timeout=1, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})

# Raised before anything is sent; after any other exception the call may have had its effect.
_NOT_ASKED = (NoCredentialsError, NoRegionError, ParamValidationError, PartialCredentialsError)

# Codes for which a permission is the remedy; KMS refuses on behalf of the secret's or the parameter's key.
_PERMISSION = re.compile("AccessDenied|Decryption|Encryption|KMS|NotAuthorized|InvalidKeyId")

# https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot_rotation.html for the second
_INVALID_REQUEST = (
    "The secret may be scheduled for deletion: aws secretsmanager restore-secret takes that back. Or the RotationToken "
    "is not the running attempt's: the next attempt brings its own; if that fails too, drop the pending version (aws "
    "secretsmanager update-secret-version-stage --version-stage AWSPENDING --remove-from-version-id) and rotate again."
)

_THROTTLING = {"ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded"}

# Set by Lambda itself, for every function.
_BY_LAMBDA = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_EXECUTION_ENV"}

_CODE = re.compile("[A-Za-z][A-Za-z0-9.]{0,63}")

_T = TypeVar("_T")


def clients(config: Config, *services: str) -> list[Any]:
    """Make clients of AWS's services. Nothing is asked of them yet.

    Raises:
        SettingsInvalid: the environment does not allow it; names the variables of which one must be wrong.
    """
    try:
        session: Any = get_session()  # boto3 would make the same clients, and cost the import of its resources
        return [session.create_client(service, config=config) for service in services]
    except Exception as error:  # noqa: BLE001 - nothing is asked yet: whatever it is, it comes from what is set
        kind = type(error).__name__
    suspects = {"AWS_REGION", *(name for name in os.environ if re.match("(AWS|SSL)(?!_LAMBDA_)", name))}
    raise SettingsInvalid(
        f"The clients of AWS can't be made ({kind}). One of these variables is wrong: "
        f"{', '.join(sorted(suspects - _BY_LAMBDA))}. Mend it and rotate again."
    )


def ask(action: str, remedy: str, call: Callable[[], _T]) -> _T:
    """Make a call of AWS and return its answer; whatever botocore raises becomes one of this function's errors.

    What botocore has raised is left out of them, also as their context, and so is AWS's text: a validation error may
    quote the value it refuses.

    Args:
        action: what is asked of AWS, as in an IAM policy.
        remedy: a sentence for the case that a permission is missing.
        call: the call, and nothing else: all that it raises counts as botocore's.

    Raises:
        AwsRefused: AWS said no, at the first try: the call had no effect.
        AwsUnavailable: no answer, throttling, a 5xx, or a refusal after a try whose answer was lost: the call may
            have had its effect.
    """
    failure: RotationError
    try:
        return call()
    except ClientError as error:
        failure = _refusal(action, remedy, error.response)
    except _NOT_ASKED as error:
        failure = AwsRefused(
            f"{action} could not be asked ({type(error).__name__}). Check the role, AWS_REGION and the endpoints."
        )
    except Exception as error:  # noqa: BLE001 - an answer that is not AWS's makes botocore stumble in many ways
        failure = AwsUnavailable(
            f"{action} got no answer ({type(error).__name__}). A later try may get through; in a VPC, check "
            "the route to the service's endpoint."
        )
    raise failure


def _refusal(action: str, remedy: str, answer: Mapping[str, Any]) -> RotationError:
    """Return the error for an answer with which AWS refuses."""
    code = str(answer.get("Error", {}).get("Code", ""))
    metadata = answer.get("ResponseMetadata", {})
    status = metadata.get("HTTPStatusCode", 500)
    if not _CODE.fullmatch(code):  # nor is it quoted: whatever answered may have put anything in its place
        return AwsUnavailable(
            f"{action} was answered {status}, perhaps not by AWS. A later try may get through; if it stays "
            "so, check the proxy and the endpoint."
        )
    failure = f"{action} failed with {code} (request {metadata.get('RequestId', 'without an id')})"
    if _PERMISSION.search(code):
        advice = remedy
    elif code == "InvalidRequestException":
        advice = _INVALID_REQUEST
    else:
        advice = f"AWS's API reference explains that code under {action.partition(':')[2] or action}."
    if status >= 500 or code in _THROTTLING:
        return AwsUnavailable(f"{failure}. A later try may get through.")
    if metadata.get("RetryAttempts", 0) > 0:
        return AwsUnavailable(f"{failure} after a try without an answer. {advice}")
    return AwsRefused(f"{failure}. {advice}")
