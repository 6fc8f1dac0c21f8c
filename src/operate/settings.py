"""What the function's stack is set to, as far as the commands go by it: whom it serves, and what it reads for that."""

from __future__ import annotations

from collections.abc import Mapping

from operate.names import Deployment
from operate.show import Problem
from operate.stacks import Stacks
from operate.typed import command

# Parameters of function.yaml that name a parameter of Parameter Store, and the name it gets if they name none: under
# /<project>/, so that two projects do not meet. A stack that an older version made has names of its own.
USERNAME, PASSWORD, TOTP, WEBHOOK = "UsernameParameter", "PasswordParameter", "TotpParameter", "SlackWebhookParameter"
_PARAMETER_NAMES = {
    USERNAME: "DOCKER_HUB_USERNAME",
    PASSWORD: "DOCKER_HUB_PASSWORD",
    TOTP: "DOCKER_HUB_TOTP",
    WEBHOOK: "DOCKER_HUB_SLACK_WEBHOOK_URL",
}
# Read also if the template is told no name.
ALWAYS_READ = (USERNAME, PASSWORD)
# Which secrets the function serves.
SECRETS = "Secrets"


def new_function(wanted: Deployment) -> dict[str, str]:
    """Return what a function's stack is made with that its template leaves open, for the sake of older stacks."""
    return {SECRETS: wanted.secret_name, "RulesWithoutRole": "false"}


def function_settings(stacks: Stacks, wanted: Deployment) -> dict[str, str]:
    """Return the parameters of the function's stack: those given, else those it has, else what it will be made with."""
    stack = stacks.find_ours(wanted.function_stack, wanted.project)
    defaults = stacks.declared_parameters("function")
    return {**defaults, **(stack.parameters if stack else new_function(wanted)), **wanted.function_parameters}


def parameter_names(settings: Mapping[str, str], project: str) -> dict[str, str]:
    """Return the names in Parameter Store by setting, those included that the function is not told to read."""
    return {setting: settings.get(setting) or f"/{project}/{name}" for setting, name in _PARAMETER_NAMES.items()}


def read_parameters(settings: Mapping[str, str], project: str) -> dict[str, str]:
    """Return the names of the parameters that the function reads, by setting."""
    names = parameter_names(settings, project)
    return {setting: name for setting, name in names.items() if setting in ALWAYS_READ or settings.get(setting)}


def require_served(secret: str, served: str) -> None:
    """Look whether the function gives a secret a token.

    Args:
        served: the parameter Secrets.

    Raises:
        Problem: it does not, with the command that has it do so.
    """
    if any(secret.startswith(name[:-1]) if name.endswith("*") else secret == name for name in served.split(",")):
        return
    widened = command("deploy", only="function", function_parameters=f'"{SECRETS}={served},{secret}"')
    raise Problem(
        f"The function serves no secret {secret}, but {served}: a rotation of it would fail. If it is to have a token, "
        f"run this first:\n  {widened}"
    )
