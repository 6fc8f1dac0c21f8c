"""The bucket of packages: found under its name, and whose it is.

The names of buckets are the whole world's, so somebody may have made it to have us run their code: its owner is asked
for with every request.
"""

from __future__ import annotations

from operate.names import Deployment
from operate.session import Aws, Refused
from operate.show import Problem
from operate.typed import command


def find_bucket(aws: Aws, wanted: Deployment) -> str:
    """Return the name of a bucket of packages that this account has, without a look at stacks; empty if there is none.

    One of an older version goes on to be used.

    Raises:
        Problem: another account has it, or it is in another Region.
    """
    name = wanted.bucket_of(aws.account, aws.region)
    if bucket_exists(aws, name):
        return name
    earlier = wanted.earlier_bucket(aws.region)
    return earlier if not wanted.bucket and _is_ours(aws, earlier) else ""


def bucket_exists(aws: Aws, name: str) -> bool:
    """Whether this account has this bucket, in this Region.

    Raises:
        Problem: another account has it, or it is in another Region.
    """
    another = command("deploy", bucket=f"{name}-<something of yours>")
    try:
        found = aws.ask("s3", "head_bucket", Bucket=name, ExpectedBucketOwner=aws.account)
    except Refused as refused:
        if refused.code in ("404", "NoSuchBucket"):
            return False
        if refused.code == "403":
            raise Problem(
                f"The bucket {name} belongs to another account, or you may not see it: choose another name, "
                f"`{another}`. {refused}"
            ) from None
        raise
    if found.get("BucketRegion", aws.region) != aws.region:
        raise Problem(
            f"The bucket {name} is in {found['BucketRegion']}, and Lambda takes a package only from its own Region: "
            f"choose another name, `{another}`."
        )
    return True


def _is_ours(aws: Aws, name: str) -> bool:
    """Whether a bucket that need not be there is this account's, and of use."""
    try:
        return bucket_exists(aws, name)
    except Refused:
        raise
    except Problem:
        return False
