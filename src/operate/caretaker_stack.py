"""The caretaker's stack: what it is given of the function's, so that the two can't be configured apart."""

from __future__ import annotations

from operate.show import Problem
from operate.stack import Stack
from operate.stacks import Stacks
from operate.typed import command

# Outputs of the function's stack that are parameters of the caretaker's, by their names there.
_OUTPUTS = {"RotationFunctionArn": "FunctionArn", "AlarmTopicArn": "AlarmTopicArn"}


def caretaker_parameters(stacks: Stacks, function: Stack) -> dict[str, str]:
    """Return the parameters of the caretaker's stack, all of which it has of the function's."""
    same = {
        key: function.parameters[key] for key in stacks.declared_parameters("caretaker") if key in function.parameters
    }
    return same | {key: function.outputs[output] for key, output in _OUTPUTS.items()}


def require_same_package(function: Stack, key: str) -> None:
    """Look whether the function has been given the package that was built.

    Args:
        key: of the package that was built.

    Raises:
        Problem: it has another, and both are to run the same.
    """
    if function.parameters["ArtifactKey"] != key:
        raise Problem(
            f"Stack {function.name} has another package than the one that was built, and the caretaker runs what the "
            f"function runs: run `{command('deploy', only='package')}` and "
            f"`{command('deploy', only='function')}` first."
        )
