"""The caretaker function's entrance: one of the tasks, and nothing else. It looks after secrets between rotations.

It is a function of its own, because whoever may have one secret rotated must not be able to retire another's tokens.
"""

from typing import Any

from dockerhub_rotation import entrance, logs, request
from dockerhub_rotation.entrance import LambdaContext
from dockerhub_rotation.task_report import TaskReport
from dockerhub_rotation.tasks import dispatcher

logger = logs.configure()


@logger.inject_lambda_context(log_event=False, clear_state=True)
def lambda_handler(event: Any, context: LambdaContext) -> Any:
    """Do a task, and return what came of it as plain data without a secret value.

    Raises:
        RotationError: it was refused, or failed for want of a setting or by a defect.
    """
    report = TaskReport(event, context.invoked_function_arn, lambda: entrance.sandbox().parameters)
    return entrance.enter(event, context, report, request.parse_task, dispatcher.do).answer
