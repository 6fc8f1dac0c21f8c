"""The package: uploaded under a name that says what is in it, held against what is there, and against what runs."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from operate import IN_A_CLONE, ROOT
from operate.released import read_released
from operate.session import Aws, Refused
from operate.show import Problem
from operate.typed import aws_command, command

ARCHIVE = ROOT / "dist" / "dockerhub-rotation.zip"


@dataclass(frozen=True)
class Uploaded:
    """The package in its bucket.

    Attributes:
        version: of the object, which is what Lambda is told to run; empty where the bucket keeps none.
        new: whether it was not there before.
    """

    version: str
    new: bool = False


class Package:
    """The built package, or a released one, read once.

    Args:
        released: where the released one is; None for the one that was built.

    Attributes:
        origin: where it comes from, and what was looked at; empty for the one that was built.

    Raises:
        Problem: it has not been built, or is not what was released.
    """

    def __init__(self, released: Path | None = None) -> None:
        self.origin = ""
        if released:
            looked_at = read_released(released)
            beside = "as its checksum says" if looked_at.checked else "no checksum is beside it"
            self.origin = f"{released}, SHA-256 {looked_at.digest}, {beside}"
            self._content = looked_at.content
        else:
            self._content = _built()
        self._seen_in: dict[str, Uploaded] = {}

    def key(self, project: str) -> str:
        """Return its name in the bucket, which says what is in it."""
        return f"{project}/{self._digest.hex()}.zip"

    @cached_property
    def _digest(self) -> bytes:
        return hashlib.sha256(self._content).digest()

    @property
    def checksum(self) -> str:
        """Its SHA-256 in base64, as S3 and Lambda tell it."""
        return base64.b64encode(self._digest).decode()

    def find(self, aws: Aws, bucket: str, project: str) -> Uploaded | None:
        """Return it as it is in the bucket, or None; asked until it has been seen there.

        Its name is easily guessed, so what has it is held against the package.

        Raises:
            Problem: something else has its name.
        """
        if bucket not in self._seen_in:
            place = {"Bucket": bucket, "Key": self.key(project), "ExpectedBucketOwner": aws.account}
            try:
                told = aws.ask("s3", "head_object", **place, ChecksumMode="ENABLED")
            except Refused as refused:
                if refused.code in ("404", "NoSuchKey"):
                    return None
                raise
            version = {"VersionId": told["VersionId"]} if told.get("VersionId") else {}
            checksum = told.get("ChecksumSHA256")
            if checksum is None:  # whoever uploaded it, did it without
                content = aws.download(**place, **version)
                checksum = base64.b64encode(hashlib.sha256(content).digest()).decode()
            if checksum != self.checksum:
                raise Problem(_foreign(bucket, place["Key"], version.get("VersionId", "")))
            self._seen_in[bucket] = Uploaded(version.get("VersionId", ""))
        return self._seen_in[bucket]

    def upload(self, aws: Aws, bucket: str, project: str) -> Uploaded:
        """Upload it, unless it is there; S3 refuses what arrives otherwise than it was sent.

        Raises:
            Problem: something else has its name, or had it for a moment.
        """
        if there := self.find(aws, bucket, project):
            return there
        try:
            told = aws.ask(
                "s3",
                "put_object",
                Bucket=bucket,
                Key=self.key(project),
                Body=self._content,
                ChecksumSHA256=self.checksum,
                IfNoneMatch="*",
                ExpectedBucketOwner=aws.account,
            )
        except Refused as refused:
            if refused.code not in ("412", "PreconditionFailed", "ConditionalRequestConflict"):
                raise
            # Somebody was faster, or it arrived and the answer did not.
            if there := self.find(aws, bucket, project):
                return there
            raise Problem(
                f"S3 did not take s3://{bucket}/{self.key(project)}, for something was in its place, and nothing is "
                f"there now: somebody uploads or removes it at the same time. Run this again. {refused}"
            ) from None
        self._seen_in[bucket] = Uploaded(told.get("VersionId", ""))
        return Uploaded(told.get("VersionId", ""), new=True)

    def require_running(self, aws: Aws, function: str, bucket: str, project: str) -> None:
        """Look whether a function runs this package and nothing else.

        Raises:
            Problem: it runs something else.
        """
        runs = aws.ask("lambda", "get_function_configuration", FunctionName=function)["CodeSha256"]
        if runs == self.checksum:
            return
        version = self._seen_in[bucket].version if bucket in self._seen_in else ""
        place = f"--s3-bucket {bucket} --s3-key {self.key(project)}" + (
            f" --s3-object-version {version}" * bool(version)
        )
        raise Problem(
            f"The function {function} does not run the package that was built: somebody has given it other code (look "
            f"for UpdateFunctionCode in CloudTrail). Its code's SHA-256 is {runs}, the package's {self.checksum}. This "
            f"gives it the package:\n  {aws_command(f'lambda update-function-code --function-name {function} {place}')}"
        )


def _built() -> bytes:
    if not ARCHIVE.exists():
        mend = f"run `{command('package')}` first" if IN_A_CLONE else "install this distribution again"
        raise Problem(f"{ARCHIVE.relative_to(ROOT)} is missing: {mend}.")
    return ARCHIVE.read_bytes()


def _foreign(bucket: str, key: str, version: str) -> str:
    which = f" --version-id {version}" if version else ""
    remove = aws_command(f"s3api delete-object --bucket {bucket} --key {key}{which}")
    return (
        f"s3://{bucket}/{key} is not the package, though it has its name: somebody who may put objects there has done "
        f"so (look who, and what runs). If nobody needs it, remove it, then run this again:\n  {remove}"
    )
