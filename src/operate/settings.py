"""What the function's stack is set to, as far as the commands go by it: where it reads the account's credential."""

from __future__ import annotations

from collections.abc import Mapping

from operate.names import Deployment
from operate.stacks import Stacks

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


def function_settings(stacks: Stacks, wanted: Deployment) -> dict[str, str]:
    """Return the parameters of the function's stack: those given, else those it has, else what its template says."""
    stack = stacks.find_ours(wanted.function_stack, wanted.project)
    defaults = stacks.declared_parameters("function")
    return {**defaults, **(stack.parameters if stack else {}), **wanted.function_parameters}


def parameter_names(settings: Mapping[str, str], project: str) -> dict[str, str]:
    """Return the names in Parameter Store by setting, those included that the function is not told to read."""
    return {setting: settings.get(setting) or f"/{project}/{name}" for setting, name in _PARAMETER_NAMES.items()}


def read_parameters(settings: Mapping[str, str], project: str) -> list[str]:
    """Return the names of the parameters that the function reads."""
    names = parameter_names(settings, project)
    return [name for setting, name in names.items() if setting in ALWAYS_READ or settings.get(setting)]
