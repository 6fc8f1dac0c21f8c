"""The rotation function's entrance: one of the four steps, and nothing else. The caretaker has one of its own."""

from typing import Any

from dockerhub_rotation import entrance, logs, request, rotation
from dockerhub_rotation.entrance import LambdaContext
from dockerhub_rotation.step_report import About, StepReport

logger = logs.configure()


# An explicit log_event=False also wins over POWERTOOLS_LOGGER_LOG_EVENT: the event holds the RotationToken.
@logger.inject_lambda_context(log_event=False, clear_state=True)
def lambda_handler(event: Any, context: LambdaContext) -> None:
    """Do one step of a rotation, as Secrets Manager asks for it.

    https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda.html

    Raises:
        RotationError: the step failed, which is how Secrets Manager learns of it.
    """
    about = About.of(event)
    logger.set_correlation_id(about.version)
    report = StepReport(about, context.invoked_function_arn, lambda: entrance.sandbox().parameters)
    entrance.enter(event, context, report, request.parse, rotation.rotate)
