"""The operator's commands: from a clone, or from the wheel, to a rotating secret and away again.

They ask AWS through boto3, for what somebody could as well type. What is secret travels in requests alone: no argument,
no file and no other program gets to see it.
"""

from pathlib import Path

__version__ = "0.1.0"

_HERE = Path(__file__).resolve().parent

# The wheel has the templates and the package in here, laid out as in a clone.
IN_A_CLONE = not (_HERE / "infra").is_dir()
ROOT = _HERE.parents[1] if IN_A_CLONE else _HERE
