"""The worlds of the rotation's tests, in which the secret gets an organization's token."""

from tests.rotation.conftest import make_world, process_of_its_own, watched_world

__all__ = ["make_world", "process_of_its_own", "watched_world"]
