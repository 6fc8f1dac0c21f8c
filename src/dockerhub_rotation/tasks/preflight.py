"""Preflight: measure at Docker Hub what the function assumes of it, with the credential that the function has."""

from dockerhub_rotation.preflight.run import Report, measure
from dockerhub_rotation.tasks.task import Result, Task


def preflight(task: Task) -> Result:
    """Measure all that `python -m dockerhub_rotation.preflight` does, where the function runs and as it is set.

    What is otherwise than assumed is the result, and so is what could not be measured. It makes one token, which it
    deletes; for that it keeps a minute of its time. The login that is not configured is not tried.

    Raises:
        RotationError: the account could not be read; nothing was done.
    """
    report = measure(
        task.settings,
        task.parameters,
        task.docker_hub.connection,
        lambda: round(task.deadline.seconds_left() * 1000),
    )
    task.docker_hub.http.requests += report.about["requests"]  # it has made them with a client of its own
    message = _message(report)
    answer = {"Task": "Preflight", "Message": message, **report.document()}
    return Result(message=message, answer=answer, at=task.docker_hub.http.now())


def _message(report: Report) -> str:
    differ = [found for found in report.findings if found.differs]
    measured = sum(found.verdict != "not measured" for found in report.findings)
    message = f"{measured} of {len(report.findings)} assumptions measured"
    if differ:
        message += f"; otherwise than assumed: {', '.join(found.assumption.name for found in differ)}."
        if not any(found.assumption.relied_on for found in differ):
            message += " No rotation relies on them."
    else:
        message += "; all are as assumed." if measured else "."
    left = [f"The token with the label {label} may be left at Docker Hub; delete it by hand." for label in report.left]
    return " ".join([message, *report.failures, *left])
