"""The dispatcher: reads the staging labels once, decides whether there is anything to do, picks the step."""

from collections.abc import Callable

from dockerhub_rotation import steps
from dockerhub_rotation.docker_hub import DockerHub
from dockerhub_rotation.errors import EventRefused
from dockerhub_rotation.request import RotationRequest, Step
from dockerhub_rotation.secrets_manager import CURRENT, PENDING, SecretsManager
from dockerhub_rotation.settings import Settings
from dockerhub_rotation.steps import Outcome, Rotation

_STEPS: dict[Step, Callable[[Rotation], Outcome]] = {
    Step.CREATE: steps.create_secret,
    Step.SET: steps.set_secret,
    Step.TEST: steps.test_secret,
    Step.FINISH: steps.finish_secret,
}


def rotate(
    request: RotationRequest, secrets_manager: SecretsManager, docker_hub: DockerHub, settings: Settings
) -> Outcome:
    """Do one step of a rotation.

    1. Rotation is not switched on for the secret: refused.
    2. The version has no staging label, or none of AWSPENDING and AWSCURRENT: refused.
    3. The version is AWSCURRENT already: the first three steps have nothing left to do. finishSecret goes on, for an
       earlier try may have died between promotion and retirement.
    4. The version is AWSPENDING: do the step.

    Raises:
        EventRefused: cases 1 and 2; nothing was changed.
        RotationError: of the step.
    """
    versions = secrets_manager.versions(request.secret_id)
    if not versions.rotation_enabled:
        raise EventRefused(
            f"Rotation is not switched on for {versions.arn}. Configure it: aws secretsmanager rotate-secret "
            f"--secret-id {versions.arn} --rotation-lambda-arn ... --rotation-rules ..."
        )
    labels = versions.labels.get(request.version_id, frozenset())
    if not labels & {CURRENT, PENDING}:
        raise EventRefused(
            f"Version {request.version_id} is not staged for rotation (AWSPENDING). The event is old or made by hand; "
            f"start a new rotation: aws secretsmanager rotate-secret --secret-id {versions.arn}"
        )
    if CURRENT in labels and request.step is not Step.FINISH:
        return Outcome("The version is AWSCURRENT already: nothing left to do.")
    return _STEPS[request.step](Rotation(request, versions, secrets_manager, docker_hub, settings))
