"""S3 as the commands meet it: buckets that are somebody's, and objects with checksums and versions."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.awsrequest import AWSPreparedRequest

from .cloudformation import ACCOUNT, REGION

# A status, headers and a body.
Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Bucket:
    """A bucket of S3.

    Attributes:
        checksums: of the objects that were uploaded with one.
        versions: of the objects; none in a bucket that keeps none.
    """

    owner: str = ACCOUNT
    region: str = REGION
    objects: dict[str, bytes] = field(default_factory=dict)
    checksums: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    versioned: bool = True

    def put(self, key: str, content: bytes, digest: str = "") -> None:
        """Have an object."""
        self.objects[key] = content
        self.checksums.pop(key, None)
        if digest:
            self.checksums[key] = digest
        if self.versioned:
            self.versions[key] = f"version-{len(self.versions) + 1}"


def operation(request: AWSPreparedRequest, key: str) -> str:
    """Return what a request asks of S3."""
    return {"HEAD": "HeadObject" if key else "HeadBucket", "PUT": "PutObject", "GET": "GetObject"}[request.method]


def answer(buckets: Mapping[str, Bucket], request: AWSPreparedRequest, name: str, key: str, body: bytes) -> Answer:
    """Answer a request of S3."""
    bucket, owner = buckets.get(name), header(request, "x-amz-expected-bucket-owner")
    assert owner, "a request does not say whose bucket it means"
    if not bucket:
        return 404, {}, b""
    if owner != bucket.owner:
        return 403, {}, b""
    headers = {"x-amz-bucket-region": bucket.region}
    if request.method == "PUT":
        sent = _unchunked(request, body)
        if header(request, "x-amz-checksum-sha256") not in ("", checksum(sent)):
            return 400, {}, b"<Error><Code>BadDigest</Code></Error>"
        if header(request, "If-None-Match") == "*" and key in bucket.objects:
            return 412, {}, b"<Error><Code>PreconditionFailed</Code></Error>"
        bucket.put(key, sent, header(request, "x-amz-checksum-sha256"))
    elif key and key not in bucket.objects:
        return 404, {}, b""
    if key in bucket.versions:
        headers["x-amz-version-id"] = bucket.versions[key]
    if key in bucket.checksums and header(request, "x-amz-checksum-mode") == "ENABLED":
        headers["x-amz-checksum-sha256"] = bucket.checksums[key]
    return 200, headers, bucket.objects[key] if request.method == "GET" else b""


def checksum(content: bytes) -> str:
    """Return a SHA-256 as S3 and Lambda tell it."""
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def _unchunked(request: AWSPreparedRequest, body: bytes) -> bytes:
    """Return what was sent, without the frames that botocore may put around it."""
    if "aws-chunked" not in header(request, "Content-Encoding"):
        return body
    stream, parts = io.BytesIO(body), []
    while size := int(stream.readline().split(b";")[0], 16):
        parts.append(stream.read(size))
        stream.readline()
    return b"".join(parts)


def header(request: AWSPreparedRequest, name: str) -> str:
    """Return a header of a request, or nothing."""
    value: Any = request.headers.get(name, "")
    return value.decode() if isinstance(value, bytes) else str(value)
