"""Every name that is given to something in AWS, and its length: checked before anything is made.

A name is an identity. The stack of a secret is named after it, with a short hash wherever that loses something, so that
no two secrets share one; and what a stack holds is told by its parameters, never by its name alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from operate.show import Problem

PROJECT = "dockerhub-rotation"
SECRET = "dockerhub-token"  # noqa: S105 - the secret's name
ECR_PREFIX = "ecr-pullthroughcache/"

# As in infra/*.yaml.
_PROJECT = re.compile("[a-z]([a-z0-9-]*[a-z0-9])?")
_PROJECT_LENGTH = 32
_BUCKET = re.compile("[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_PARAMETER = re.compile("[A-Za-z0-9_.-]+|(/[A-Za-z0-9_.-]+)+")
_SECRET_LENGTH = 256
# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
_SECRET = re.compile("[A-Za-z0-9/_+=.@-]+")
_ANY_SECRET_LENGTH = 512
# https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateChangeSet.html
_STACK_LENGTH = 128
# With the ARN around it: https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
_PARAMETER_ARN_LENGTH = 1011
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[!-~]+")
_RESERVED = ("aws", "ssm")  # in the same place


@dataclass(frozen=True)
class Deployment:
    """What is deployed, as the command line says it.

    Attributes:
        project: the first part of every name.
        secret: the secret's name; without the prefix that secret_parameters name, if it is in there.
        bucket: the name of the bucket of packages; empty for the usual one.
        function_parameters: of function.yaml.
        secret_parameters: of secret.yaml.
    """

    project: str = PROJECT
    secret: str = SECRET
    bucket: str = ""
    function_parameters: Mapping[str, str] = field(default_factory=dict)
    secret_parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def bucket_stack(self) -> str:
        """The name of the stack with the bucket of packages."""
        return f"{self.project}-bucket"

    def bucket_of(self, account: str, region: str) -> str:
        """The name that the bucket of packages is given, as bucket.yaml does it: names are the whole world's."""
        return self.bucket or f"{self.project}-{account}-{region}"

    def earlier_bucket(self, region: str) -> str:
        """The name under which an older version of these commands made it."""
        return f"{self.project}-lambda-archive-{region}"

    @property
    def function_stack(self) -> str:
        """The name of the stack with the function."""
        return f"{self.project}-function"

    @property
    def caretaker(self) -> str:
        """The name of the function that looks after the secrets between rotations."""
        return f"{self.project}-caretaker"

    @property
    def caretaker_stack(self) -> str:
        """The name of the stack with it."""
        return self.caretaker

    @property
    def secret_prefix(self) -> str:
        """What secret.yaml takes as NamePrefix."""
        if self.secret.startswith(ECR_PREFIX):
            return ECR_PREFIX
        return self.secret_parameters.get("NamePrefix", "")

    @property
    def secret_after_prefix(self) -> str:
        """What secret.yaml takes as SecretName."""
        return self.secret.removeprefix(ECR_PREFIX)

    @property
    def secret_name(self) -> str:
        """The secret's whole name, which is its identity."""
        return self.secret_prefix + self.secret_after_prefix

    @property
    def secret_stacks(self) -> Sequence[str]:
        """The names that the stack of this secret may have; a new one takes the first that is free.

        Another secret's stack may be there under each of them.
        """
        plain = re.fullmatch("[A-Za-z0-9-]+", self.secret_name) and len(self._unhashed_stack) <= _STACK_LENGTH
        return (self._unhashed_stack, self._hashed_stack) if plain else (self._hashed_stack,)

    @property
    def earlier_secret_stacks(self) -> Sequence[str]:
        """The names under which an older version of these commands may have made it."""
        earlier = self._unhashed_stack
        return () if earlier in self.secret_stacks or len(earlier) > _STACK_LENGTH else (earlier,)

    @property
    def _unhashed_stack(self) -> str:
        stack = f"{self.project}-secret"
        return stack if self.secret_after_prefix == SECRET else f"{stack}-{_as_letters(self.secret_after_prefix)}"

    @property
    def _hashed_stack(self) -> str:
        ending = f"-{hashlib.sha256(self.secret_name.encode()).hexdigest()[:8]}"
        return f"{self.project}-secret-{_as_letters(self.secret_name)}"[: _STACK_LENGTH - len(ending)] + ending


def _as_letters(name: str) -> str:
    return re.sub("[^A-Za-z0-9]", "-", name)


def check_names(wanted: Deployment) -> None:
    """Look at the names of what the commands make, as far as the command line gives them.

    Raises:
        Problem: one can't be.
    """
    if not _PROJECT.fullmatch(wanted.project) or len(wanted.project) > _PROJECT_LENGTH:
        raise Problem(
            f"PROJECT={wanted.project} can't be: at most {_PROJECT_LENGTH} lower-case letters, digits and hyphens, "
            "beginning with a letter and not ending in a hyphen."
        )
    if wanted.bucket and not _BUCKET.fullmatch(wanted.bucket):
        raise Problem(f"BUCKET={wanted.bucket} can't be: 3 to 63 lower-case letters, digits and hyphens.")


def check_service_role(arn: str) -> None:
    """Look at the role with which CloudFormation is to make things; empty for none.

    Raises:
        Problem: it is no role's ARN.
    """
    if arn and not _ROLE.fullmatch(arn):
        raise Problem(f"SERVICE_ROLE={arn} is no ARN of a role: arn:aws:iam::<account>:role/<name>.")


def check_new_secret(wanted: Deployment) -> None:
    """Look at the name of a secret that is to be made.

    Raises:
        Problem: it can't be.
    """
    if wanted.secret_parameters.get("NamePrefix", wanted.secret_prefix) != wanted.secret_prefix:
        raise Problem(f"SECRET={wanted.secret} has a prefix that NamePrefix does not name: leave one of them out.")
    name = wanted.secret_after_prefix
    if not _SECRET.fullmatch(name) or name.startswith(ECR_PREFIX) or len(name) > _SECRET_LENGTH:
        raise Problem(
            f"SECRET={wanted.secret} can't be: at most {_SECRET_LENGTH} letters, digits and / _ + = . @ -, beside the "
            f"prefix {ECR_PREFIX}."
        )


def check_any_secret(name: str) -> None:
    """Look at the name, or the ARN, of a secret that may have been made by others.

    Raises:
        Problem: no secret has such a name.
    """
    if name.startswith("arn:"):
        return
    if not _SECRET.fullmatch(name) or len(name) > _ANY_SECRET_LENGTH:
        raise Problem(f"SECRET={name} can't be: at most {_ANY_SECRET_LENGTH} letters, digits and / _ + = . @ -.")


def check_parameter(setting: str, name: str, region: str, account: str) -> None:
    """Look at the name of a parameter of Parameter Store.

    Args:
        setting: the parameter of function.yaml that names it.

    Raises:
        Problem: it can't be.
    """
    if not _PARAMETER.fullmatch(name):
        raise Problem(f"{setting}={name} is no name of a parameter: NAME or /path/to/name, not an ARN.")
    if name.lower().removeprefix("/").startswith(_RESERVED):
        raise Problem(
            f"Parameter Store takes no {name}, nor any name that begins with {' or '.join(_RESERVED)}: choose another "
            f'PROJECT=..., or another name, FUNCTION_PARAMETERS="{setting}=...".'
        )
    if len(f"arn:aws:ssm:{region}:{account}:parameter/{name}") > _PARAMETER_ARN_LENGTH:
        raise Problem(f"{setting}={name} is too long: an ARN with it has at most {_PARAMETER_ARN_LENGTH} characters.")
