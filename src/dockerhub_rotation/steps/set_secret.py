"""setSecret: nothing to do."""

from dockerhub_rotation.steps.step import Outcome, Rotation


def set_secret(_rotation: Rotation) -> Outcome:
    """Do nothing: Docker Hub knows a token from the moment it is made, so there is no place to set it."""
    return Outcome("Nothing to set: a Docker Hub token works from the moment it is made.")
