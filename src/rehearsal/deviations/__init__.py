"""A Docker Hub that is otherwise than assumed, in one thing at a time: what preflight is to find.

`DEVIATIONS` has, by the name of the assumption (`dockerhub_rotation.preflight.assumptions`), the simulator that breaks
it and no other.
"""

from rehearsal.deviations import life, lists, logins
from rehearsal.deviations.kinds import DEVIATIONS

__all__ = ["DEVIATIONS", "life", "lists", "logins"]
