"""The replicas of the simulated Secrets Manager: late, stuck or failed, and slow to say so."""

from rehearsal.replicas import Replica

OLD, NEW = {"AWSCURRENT": "old"}, {"AWSCURRENT": "new", "AWSPREVIOUS": "old"}


def replica() -> Replica:
    """Return one that has had the old value for long; the secret gets another at 100."""
    one = Replica("eu-west-1", lag=30, says_late=10)
    one.change(0, OLD)
    return one


def statuses(one: Replica, *moments: float) -> list[str]:
    return [one.status(moment)["Status"] for moment in moments]


def test_a_change_gets_there_late_and_the_status_is_from_before_for_a_moment() -> None:
    one = replica()
    one.change(100, NEW)

    assert statuses(one, 99, 101, 111, 129, 131) == ["InSync", "InSync", "InProgress", "InProgress", "InSync"]
    assert [one.value("AWSCURRENT", moment) for moment in (129, 131)] == ["old", "new"]


def test_one_that_fails_keeps_what_it_has_and_gives_a_reason() -> None:
    """https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ReplicationStatusType.html."""
    one = replica()
    one.ails = "fails"
    one.change(100, NEW)

    assert statuses(one, 101, 111, 10_000) == ["InSync", "Failed", "Failed"]
    assert "StatusMessage" in one.status(111)
    assert one.value("AWSCURRENT", 10_000) == "old"


def test_one_that_hangs_is_in_progress_for_good() -> None:
    one = replica()
    one.ails = "hangs"
    one.change(100, NEW)

    assert statuses(one, 111, 10_000) == ["InProgress", "InProgress"]
    assert one.value("AWSCURRENT", 10_000) == "old"


def test_one_that_is_mended_gets_what_it_has_missed() -> None:
    one = replica()
    one.ails = "fails"
    one.change(100, NEW)
    one.mend(200)

    assert statuses(one, 211, 231) == ["InProgress", "InSync"]
    assert [one.value("AWSCURRENT", moment) for moment in (229, 231)] == ["old", "new"]
