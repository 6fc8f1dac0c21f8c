"""What both AWS services share: one client configuration, and botocore's exceptions translated once."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError

from dockerhub_rotation.errors import AwsRefused, AwsUnavailable

# Secrets Manager and Parameter Store answer in milliseconds; three tries of these fit into half a minute.
CLIENT_CONFIG = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})

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


@contextmanager
def translated(action: str, remedy: str) -> Iterator[None]:
    """Turn whatever botocore raises inside into this function's errors.

    The cause is left out, and so is AWS's text: a validation error may quote the value it refuses.

    Args:
        action: what was asked of AWS, as in an IAM policy.
        remedy: a sentence for the case that a permission is missing.

    Raises:
        AwsRefused: AWS said no, at the first try: the call had no effect.
        AwsUnavailable: no answer, throttling, a 5xx, or a refusal after a try whose answer was lost: the call may
            have had its effect.
    """
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "an unnamed error")
        metadata = error.response.get("ResponseMetadata", {})
        status = metadata.get("HTTPStatusCode", 500)
        failure = f"{action} failed with {code} (request {metadata.get('RequestId', 'without an id')})"
        if _PERMISSION.search(code):
            advice = remedy
        elif code == "InvalidRequestException":
            advice = _INVALID_REQUEST
        else:
            advice = f"AWS's API reference explains that code under {action.partition(':')[2] or action}."
        if status >= 500 or code in _THROTTLING:
            raise AwsUnavailable(f"{failure}. Secrets Manager tries again by itself.") from None
        if metadata.get("RetryAttempts", 0) > 0:
            raise AwsUnavailable(f"{failure} after a try without an answer. {advice}") from None
        raise AwsRefused(f"{failure}. {advice}") from None
    except _NOT_ASKED as error:
        raise AwsRefused(
            f"{action} could not be asked ({type(error).__name__}). Check the role, AWS_REGION and the endpoints."
        ) from None
    except (BotoCoreError, ResponseParserError) as error:
        raise AwsUnavailable(
            f"{action} got no answer ({type(error).__name__}). Secrets Manager tries again by itself; in a VPC, check "
            "the route to the service's endpoint."
        ) from None
