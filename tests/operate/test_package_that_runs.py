"""What runs is what was built: the package is held against what is in the bucket, and against what Lambda runs."""

from __future__ import annotations

import pytest

from operate import package

from .aws import Account
from .conftest import PROJECT, Command, add_account
from .storage import Bucket, checksum

BUCKET = f"{PROJECT}-123456789012-eu-central-1"
FUNCTION = f"{PROJECT}-function"


def key() -> str:
    return package.Package().key(PROJECT)


def test_the_version_that_was_uploaded_is_pinned(deployed: Account) -> None:
    bucket, function = deployed.buckets[BUCKET], deployed.formation.stacks[FUNCTION]

    assert function.parameters["ArtifactVersion"] == bucket.versions[key()]
    assert deployed.functions[PROJECT] == checksum(b"package")


def test_a_bucket_that_keeps_no_versions_serves_too(aws: Account, run: Command) -> None:
    add_account(aws)
    aws.buckets[BUCKET] = Bucket(versioned=False)

    assert run("deploy").status == 0

    assert aws.formation.stacks[FUNCTION].parameters["ArtifactVersion"] == ""


@pytest.mark.parametrize("digest", ["", checksum(b"theirs")])
@pytest.mark.parametrize("step", ["package", "function"])
def test_what_somebody_has_put_in_the_packages_place_does_not_run(
    aws: Account, run: Command, step: str, digest: str
) -> None:
    aws.buckets[BUCKET] = Bucket()
    aws.buckets[BUCKET].put(key(), b"theirs", digest)

    done = run("deploy", "--only", step)

    assert (done.status, "is not the package, though it has its name" in done.err) == (1, True), done.err
    assert f"aws s3api delete-object --bucket {BUCKET} --key {key()} --version-id version-1" in done.err
    assert aws.buckets[BUCKET].objects[key()] == b"theirs"
    assert aws.formation.stacks == {}


@pytest.mark.parametrize("content", [b"package", b"theirs"])
def test_what_is_put_there_between_the_look_and_the_upload_is_not_overwritten(
    aws: Account, run: Command, content: bytes
) -> None:
    aws.buckets[BUCKET] = bucket = Bucket()
    send = aws.send

    def faster(request: object) -> object:
        if getattr(request, "method", "") == "PUT" and not bucket.objects:
            bucket.put(key(), content)
        return send(request)  # type: ignore[arg-type]

    aws.send = faster  # type: ignore[method-assign,assignment]

    done = run("deploy", "--only", "package")

    assert done.status == (0 if content == b"package" else 1)
    assert bucket.objects[key()] == content


def test_a_package_that_was_uploaded_without_a_checksum_is_read_and_serves(aws: Account, run: Command) -> None:
    aws.buckets[BUCKET] = Bucket()
    aws.buckets[BUCKET].put(key(), b"package")

    assert "is there already" in run("deploy", "--only", "package").out


def test_a_function_that_was_given_other_code_is_told_with_what_mends_it(deployed: Account, run: Command) -> None:
    deployed.functions[PROJECT] = checksum(b"theirs")

    done = run("deploy")

    assert (done.status, "does not run the package that was built" in done.err) == (1, True), done.err
    assert f"--s3-key {key()} --s3-object-version version-1" in done.err
    assert deployed.requests[-1] == "lambda:GetFunctionConfiguration"


def test_every_request_to_the_bucket_says_whose_it_is(deployed: Account, run: Command) -> None:
    deployed.buckets[BUCKET].owner = "999999999999"

    for step in ("package", "function"):
        assert run("deploy", "--only", step).status == 1

    assert {"s3:PutObject", "s3:GetObject"}.isdisjoint(deployed.requests)
