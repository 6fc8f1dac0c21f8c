"""The dispatcher of tasks: refuses a secret that is not this project's, and picks the task."""

from dockerhub_rotation import tags
from dockerhub_rotation.errors import EventRefused, SettingsInvalid
from dockerhub_rotation.invocation import Invocation
from dockerhub_rotation.request import TaskName, TaskRequest
from dockerhub_rotation.tasks.preflight import preflight
from dockerhub_rotation.tasks.reconcile import reconcile
from dockerhub_rotation.tasks.retire import retire
from dockerhub_rotation.tasks.rollback import rollback
from dockerhub_rotation.tasks.task import Result, Task


def do(request: TaskRequest, invocation: Invocation) -> Result:
    """Do a task.

    1. The function does not know whose secrets it looks after: refused.
    2. A secret is named that is none of those that it serves: refused, before anything is asked.
    3. A secret is named that another function rotates, or none: refused, before anything else is asked.
    4. Its tags do not tell of which kind its tokens are: refused. No other tag is read by retire and rollback, nor
       does a wrong one keep reconcile from saying so.
    5. Do it.

    Raises:
        SettingsInvalid: case 1.
        SecretNotServed: case 2.
        EventRefused: case 3.
        TagsInvalid: case 4.
        RotationError: of the task.
    """
    function = invocation.settings.rotation_function
    if function is None:
        raise SettingsInvalid(
            "ROTATION_FUNCTION_ARN is not set: it names the function whose secrets the caretaker looks after. Set it "
            "to the ARN that the secrets name as their RotationLambdaARN."
        )
    task = Task(**vars(invocation), function=function, secret_arn=request.secret_arn)
    if request.secret_arn is None:
        return preflight(task) if request.task is TaskName.PREFLIGHT else reconcile(task)
    invocation.settings.require_served(request.secret_arn)
    versions = invocation.secrets_manager.versions(request.secret_arn)
    if versions.rotation_function != function:
        raise EventRefused(
            f"{request.secret_arn} does not name {function} as the function that rotates it, so it is none of this "
            "caretaker's. Send the task to the caretaker of its own project."
        )
    if request.task is TaskName.RECONCILE:
        return reconcile(task, versions)
    task = task.going_by(tags.of_kind(versions.tags, task.settings))
    return retire(task, versions) if request.version_id is None else rollback(task, versions, request.version_id)
