"""What the function's stack is set to, as far as the commands go by it: where it reads the account's credential."""

from __future__ import annotations

from operate.names import Deployment
from operate.stacks import Stacks

# Parameters of function.yaml that name a parameter of Parameter Store, and the name it gets if they name none.
USERNAME, PASSWORD, TOTP, WEBHOOK = "UsernameParameter", "PasswordParameter", "TotpParameter", "SlackWebhookParameter"
PARAMETER_NAMES = {
    USERNAME: "DOCKER_HUB_USERNAME",
    PASSWORD: "DOCKER_HUB_PASSWORD",
    TOTP: "DOCKER_HUB_TOTP",
    WEBHOOK: "DOCKER_HUB_SLACK_WEBHOOK_URL",
}


def function_settings(stacks: Stacks, wanted: Deployment) -> dict[str, str]:
    """Return the parameters of the function's stack: those given, else those it has, else what its template says."""
    stack = stacks.find_ours(wanted.function_stack, wanted.project)
    defaults = stacks.declared_parameters("function")
    return {**defaults, **(stack.parameters if stack else {}), **wanted.function_parameters}
