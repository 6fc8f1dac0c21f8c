"""What DescribeSecret says of replicas, and why a superseded token waits for one."""

import pytest

from dockerhub_rotation.replicas import Replica, behind, read, why_waiting

IN_SYNC, FAILED = Replica("eu-west-1", "InSync"), Replica("us-east-1", "Failed", explained=True)


def test_a_secret_without_replicas_has_none_and_nothing_waits() -> None:
    """AWS leaves the field out."""
    assert read({}) == ()
    assert why_waiting(()) is None


def test_replicas_are_read_in_the_order_of_their_regions_and_without_what_aws_says_of_them() -> None:
    reason = "Key arn:aws:kms:us-east-1:123456789012:key/1 quotes anything"
    shown = [
        {"Region": "us-east-1", "Status": "Failed", "StatusMessage": reason, "KmsKeyId": "alias/aws/secretsmanager"},
        {"Region": "eu-west-1", "Status": "InSync"},
    ]

    assert read({"ReplicationStatus": shown}) == (IN_SYNC, FAILED)
    assert "quotes" not in str(why_waiting(read({"ReplicationStatus": shown})))


@pytest.mark.parametrize("status", ["InProgress", "Failed", "SomethingNew", ""])
def test_whatever_is_not_in_sync_is_behind(status: str) -> None:
    late = Replica("eu-west-1", status)

    assert behind([IN_SYNC, late]) == (late,)
    assert why_waiting([IN_SYNC, late]) == f"the replica in eu-west-1 is {status}"


def test_a_replica_of_which_nothing_is_said_is_behind() -> None:
    assert why_waiting(read({"ReplicationStatus": [{}]})) == ("the replica in an unknown Region is in an unknown state")


def test_all_that_are_behind_are_named() -> None:
    assert why_waiting([FAILED, Replica("eu-north-1", "InProgress"), IN_SYNC]) == (
        "the replica in us-east-1 is Failed, for which AWS gives a reason and the replica in eu-north-1 is InProgress"
    )


def test_one_that_is_in_sync_keeps_nothing() -> None:
    assert behind([IN_SYNC]) == ()
    assert why_waiting([IN_SYNC]) is None
