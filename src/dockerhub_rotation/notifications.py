"""The one message to Slack: a step has failed, or the caretaker has found what somebody has to see to."""

import http.client
import json
import logging
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from dockerhub_rotation.errors import RotationError, ToDo
from dockerhub_rotation.logs import redact
from dockerhub_rotation.settings import require_safe_url

logger = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 3
_SAYS_AT_MOST = 16

# https://docs.slack.dev/govslack for the second
_SLACK = {"hooks.slack.com", "hooks.slack-gov.com"}

_TO_DO: dict[ToDo, str] = {
    "mend": "Mend what the message names, then rotate again.",
    "wait": "Wait: Secrets Manager repeats the rotation by itself.",
    "look": "Look at it: the message says at what.",
}


class Notice(Protocol):
    """What is to be told."""

    @property
    def headline(self) -> str:
        """At most 150 characters."""

    @property
    def secret(self) -> str:
        """Of which secret."""

    @property
    def kind(self) -> str:
        """What it is, in a word."""

    @property
    def message(self) -> str:
        """What it is, in sentences."""

    @property
    def advice(self) -> str:
        """What the reader is asked to do."""

    @property
    def consumers(self) -> str:
        """Whether AWSCURRENT works."""


@dataclass(frozen=True)
class Failure:
    """A step that has failed.

    Attributes:
        secret: the secret's ARN or name.
        step: the step's name.
        kind: the error's class.
        message: what failed and what to do about it.
        consumers_affected: whether AWSCURRENT is known not to work.
        to_do: what the error's group asks of the reader.
    """

    secret: str
    step: str
    kind: str
    message: str
    consumers_affected: bool
    to_do: ToDo

    @classmethod
    def of(cls, error: RotationError, secret: str, step: str) -> "Failure":
        """Return what is to be told of an error."""
        return cls(secret, step, type(error).__name__, str(error), error.consumers_affected, error.to_do)

    @property
    def headline(self) -> str:
        """What has failed."""
        return f"Docker Hub token rotation failed in {self.step}"

    @property
    def advice(self) -> str:
        """What the error's group asks of the reader."""
        return _TO_DO[self.to_do]

    @property
    def consumers(self) -> str:
        """Whether AWSCURRENT works."""
        if self.consumers_affected:
            return "*Consumers are affected:* the value under AWSCURRENT does not work."
        return "Consumers are not known to be affected: AWSCURRENT moves only to a value that has logged in."


def notify(webhook: str, notice: Notice) -> None:
    """Post a notice to a Slack incoming webhook. Raises nothing: Slack must not hide what it is told of.

    It answers 200 and `ok`, as does what takes Slack's messages on other hosts, which may be any: Mattermost, or
    Discord under /slack. https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
    """
    if _takes_no_message(webhook):
        logger.warning(
            "Slack was not told: the webhook's parameter holds the URL of a workflow or another trigger. Store that of "
            "an incoming webhook, https://hooks.slack.com/services/..."
        )
        return
    try:
        require_safe_url(webhook)
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            webhook, json.dumps(message(notice)).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - the scheme was checked
            status, said = answer.status, answer.read(_SAYS_AT_MOST)
    except (OSError, ValueError, http.client.HTTPException) as error:
        # Its text may hold the webhook's URL, which is a credential.
        code = error.code if isinstance(error, urllib.error.HTTPError) else "no answer"
        logger.warning("Slack was not told (%s, %s). Check the webhook's parameter.", type(error).__name__, code)
        return
    if status != 200 or said.strip() != b"ok":
        logger.warning(
            "Slack may not have been told: the answer was not its 200 and ok, but %d and something else. Check the "
            "webhook's parameter.",
            status,
        )


def _takes_no_message(webhook: str) -> bool:
    """Tell whether a URL is one of Slack's, but no incoming webhook's: Slack takes anything else for a trigger."""
    try:
        parts = urlsplit(webhook)
        return parts.hostname in _SLACK and not parts.path.startswith("/services/")
    except ValueError:
        return False


def message(notice: Notice) -> dict[str, object]:
    """Return the message as Slack blocks, with a plain text for notifications.

    https://api.slack.com/reference/block-kit/blocks
    """
    return {
        "text": f"{notice.headline}: {_escaped(notice.secret)}",
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": notice.headline}},
            {
                "type": "section",
                "fields": [
                    {"type": "mrkdwn", "text": f"*Secret*\n`{_escaped(notice.secret)[:1900]}`"},
                    {"type": "mrkdwn", "text": f"*Error*\n{notice.kind}"},
                    {"type": "mrkdwn", "text": f"*What to do*\n{notice.advice}"},
                ],
            },
            {"type": "section", "text": {"type": "mrkdwn", "text": _escaped(notice.message)[:3000]}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": notice.consumers}]},
        ],
    }


def _escaped(text: str) -> str:
    """https://api.slack.com/reference/surfaces/formatting#escaping"""  # noqa: D415
    return redact(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
