"""The package in its bucket: whose bucket it is, and under which name the package is there."""

from __future__ import annotations

import base64
import hashlib
from functools import cached_property

from operate import IN_A_CLONE, ROOT
from operate.session import Aws, Refused
from operate.show import Problem, command

ARCHIVE = ROOT / "dist" / "dockerhub-rotation.zip"


class Package:
    """The built package, read once.

    Raises:
        Problem: it has not been built.
    """

    def __init__(self) -> None:
        if not ARCHIVE.exists():
            mend = f"run `{command('package')}` first" if IN_A_CLONE else "install this distribution again"
            raise Problem(f"{ARCHIVE.relative_to(ROOT)} is missing: {mend}.")
        self._content = ARCHIVE.read_bytes()
        self._seen_in: set[str] = set()

    def key(self, project: str) -> str:
        """Return its name in the bucket, which says what is in it."""
        return f"{project}/{self._digest.hex()}.zip"

    @cached_property
    def _digest(self) -> bytes:
        return hashlib.sha256(self._content).digest()

    def is_in(self, aws: Aws, bucket: str, project: str) -> bool:
        """Whether it has been uploaded; asked until it has been seen there."""
        if bucket not in self._seen_in:
            try:
                aws.ask("s3", "head_object", Bucket=bucket, Key=self.key(project), ExpectedBucketOwner=aws.account)
            except Refused as refused:
                if refused.code in ("404", "NoSuchKey"):
                    return False
                raise
            self._seen_in.add(bucket)
        return True

    def upload(self, aws: Aws, bucket: str, project: str) -> None:
        """Upload it; S3 refuses what arrives otherwise than it was sent."""
        aws.ask(
            "s3",
            "put_object",
            Bucket=bucket,
            Key=self.key(project),
            Body=self._content,
            ChecksumSHA256=base64.b64encode(self._digest).decode(),
            ExpectedBucketOwner=aws.account,
        )
        self._seen_in.add(bucket)


def bucket_exists(aws: Aws, name: str) -> bool:
    """Whether this account has this bucket, in this Region.

    The names of buckets are the whole world's, so somebody may have made it to have us run their code.

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
