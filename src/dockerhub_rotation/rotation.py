"""The dispatcher: reads the staging labels once, decides whether there is anything to do, picks the step."""

import logging
from collections.abc import Callable
from dataclasses import replace

from dockerhub_rotation import tags
from dockerhub_rotation.errors import EventRefused, RetirementFailed, RotationError, TagsInvalid
from dockerhub_rotation.invocation import Invocation
from dockerhub_rotation.request import RotationRequest, Step
from dockerhub_rotation.secrets_manager import CURRENT, PENDING
from dockerhub_rotation.settings import SCOPES, Settings
from dockerhub_rotation.steps.create_secret import create_secret
from dockerhub_rotation.steps.finish_secret import finish_secret
from dockerhub_rotation.steps.set_secret import set_secret
from dockerhub_rotation.steps.step import Outcome, Rotation
from dockerhub_rotation.steps.test_secret import test_secret
from dockerhub_rotation.tags import Applied

logger = logging.getLogger(__name__)

_STEPS: dict[Step, Callable[[Rotation], Outcome]] = {
    Step.CREATE: create_secret,
    Step.SET: set_secret,
    Step.TEST: test_secret,
    Step.FINISH: finish_secret,
}


def rotate(request: RotationRequest, invocation: Invocation) -> Outcome:
    """Do one step of a rotation.

    1. The secret is none of those that this function serves: refused, before anything is asked.
    2. Rotation is not switched on for the secret: refused.
    3. The version has no staging label, or none of AWSPENDING and AWSCURRENT: refused.
    4. The version is AWSCURRENT already: the first three steps have nothing left to do. finishSecret goes on, for an
       earlier try may have died between promotion and retirement.
    5. The version is AWSPENDING: do the step.

    The secret's tags may change the settings. Wrong ones are refused by createSecret alone, before anything is made:
    what has begun by then is brought to its end. But where they do not tell of which kind the secret's tokens are, no
    step goes on: it would ask for the wrong ones.

    Raises:
        SecretNotServed: case 1; nothing was asked.
        EventRefused: cases 2 and 3; nothing was changed.
        TagsInvalid: the kind of token is not known; nothing was changed.
        RetirementFailed: nor is it in case 4.
        RotationError: of the step.
    """
    invocation.settings.require_served(request.secret_id)
    versions = invocation.secrets_manager.versions(request.secret_id)
    invocation.settings.require_served(versions.arn)  # an event made by hand may name it by a part of its ARN
    if not versions.rotation_enabled:
        raise EventRefused(
            f"Rotation is not switched on for {versions.arn}. Configure it: aws secretsmanager rotate-secret "
            f"--secret-id {versions.arn} --rotation-lambda-arn ... --rotation-rules ..."
        )
    labels = versions.labels.get(request.version_id, frozenset())
    if not labels & {CURRENT, PENDING}:
        raise EventRefused(
            f"Version {request.version_id} is not staged for rotation (AWSPENDING). The event is old or made by hand: "
            "start a new rotation.",
            verbs=("rotate",),
        )
    if CURRENT in labels and request.step is not Step.FINISH:
        return Outcome("The version is AWSCURRENT already: nothing left to do.")
    applied = tags.apply(versions.tags, invocation.settings)
    if not applied.kind_is_known and request.step is not Step.CREATE:
        raise _kind_unknown(applied, promoted=CURRENT in labels)
    if applied.problems and request.step is not Step.CREATE:
        logger.warning("This step goes by the function's own settings. %s", applied.error)
    invocation = invocation.going_by(_settings(applied, invocation.settings))
    return _STEPS[request.step](Rotation(**vars(invocation), request=request, versions=versions, tags=applied))


def _kind_unknown(applied: Applied, *, promoted: bool) -> RotationError:
    """Return the error for tags that do not tell of which kind the secret's tokens are, to be raised."""
    if promoted:
        return RetirementFailed(
            f"Promoted: AWSCURRENT is the new token, but an old token may still be active. {applied.error}",
            verbs=("tag", "reconcile"),
            names=applied.wrong,
        )
    return TagsInvalid(f"No step goes on without a kind of token: {applied.error}", names=applied.wrong)


def _settings(applied: Applied, own: Settings) -> Settings:
    """Return the settings by which a step goes: the function's own, if any tag is wrong.

    The staged token may then have been made with fewer scopes, by a tag that was right; so of these any will do.
    """
    settings = applied.instead(own)
    return replace(settings, scopes=SCOPES[:1]) if applied.problems else settings
