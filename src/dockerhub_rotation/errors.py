"""Everything this function raises, grouped by what the operator can do: `to_do`, which the log and Slack tell.

* RotationError
  * EventRefused: the call itself is wrong, or the secret has moved on; start a rotation
  * ConfigurationError: mend a setting, a parameter, a permission or the secret, then rotate again
    * SettingsInvalid
    * TagsInvalid
    * ExpiryTooSoon
    * SecretNotServed
    * ParameterUnreadable
    * SecretUnusable
    * AwsRefused
    * CredentialRefused
    * DockerHubRefused
  * TemporaryError: wait; Secrets Manager repeats the rotation by itself
    * AwsUnavailable
    * DockerHubUnavailable
    * RateLimited
    * LockedOut
    * LoginsUsedUp
    * OutOfTime
  * AttentionNeeded: look at it by hand
    * AnswerUnknown
    * PendingTokenUnusable
    * RetirementFailed
    * RollbackFailed
    * UnexpectedError

Two more stay inside the function, because a step knows what to do about them:
VersionAlreadyStored (a twin was faster) and LoginRefused (the token under test does not log in).

A message says what failed and, in its last sentence, what mends it. It never holds a value of a secret nor a
response body: the exceptions of libraries, which may, are translated at the edge, where nothing keeps them.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

ToDo = Literal["mend", "wait", "look"]

# The operator's verbs that mend something; "again" stands for the one that does once more what has failed.
Verb = Literal[
    "again",
    "credentials",
    "deploy-function",
    "logs",
    "preflight",
    "reconcile",
    "retire",
    "rollback",
    "rotate",
    "set",
    "store",
    "tag",
    "unblock",
]


class RotationError(Exception):
    """Any failure of a rotation step or a task.

    Args:
        message: what failed and what mends it.
        verbs: where they are not those of the class.
        names: of the parameters or tags that are to be mended.

    Attributes:
        to_do: `mend` what the message names, and rotate again; `wait` for Secrets Manager to repeat the rotation, or
            for the caretaker's next look; or `look` at it, as neither helps by itself.
        consumers_affected: True if the value under AWSCURRENT is known not to work.
        retired: what had been done to superseded tokens before it failed, counted as in `retirement.Retired`; empty if
            it did not come to that.
        verbs: what mends it, in this order; the report says it in commands, for it knows what they are about.
    """

    to_do: ToDo = "look"
    consumers_affected = False
    retired: Mapping[str, int] = MappingProxyType({})
    verbs: tuple[Verb, ...] = ()

    def __init__(self, message: str, *, verbs: tuple[Verb, ...] | None = None, names: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.names = names
        if verbs is not None:
            self.verbs = verbs


class EventRefused(RotationError):
    """The event, or the secret's rotation state, does not allow this step.

    Nothing was changed, unless somebody has moved AWSCURRENT after this version was promoted.
    """


class ConfigurationError(RotationError):
    """Repeating helps only after a person has mended a setting, a parameter, a permission or the secret."""

    to_do = "mend"
    verbs: tuple[Verb, ...] = ("again",)


class SettingsInvalid(ConfigurationError):
    """Environment variables of the function are wrong; the message lists every one of them."""

    verbs: tuple[Verb, ...] = ("set", "again")


class TagsInvalid(ConfigurationError):
    """Tags of the secret that are meant for this function are wrong; the message lists every one of them."""

    verbs: tuple[Verb, ...] = ("tag", "again")


class ExpiryTooSoon(ConfigurationError):
    """A new token would expire before its successor is in every consumer's hands."""

    verbs: tuple[Verb, ...] = ("set", "again")


class SecretNotServed(ConfigurationError):
    """The secret is none of those that get a token; somebody has attached it to the function all the same."""

    verbs: tuple[Verb, ...] = ("set", "again")


class ParameterUnreadable(ConfigurationError):
    """A parameter in Parameter Store is missing, unreadable or unusable."""

    verbs: tuple[Verb, ...] = ("credentials", "again")


class SecretUnusable(ConfigurationError):
    """The current value has a shape in which the token can't be found, or belongs to another account."""

    verbs: tuple[Verb, ...] = ("store", "again")


class AwsRefused(ConfigurationError):
    """AWS refused a call: a permission, a key policy or a limit."""

    verbs: tuple[Verb, ...] = ("deploy-function", "again")


class CredentialRefused(ConfigurationError):
    """Docker Hub does not accept the account's credential for managing tokens."""

    verbs: tuple[Verb, ...] = ("credentials", "again")


class DockerHubRefused(ConfigurationError):
    """Docker Hub refused a request that this function believes to be right."""

    verbs: tuple[Verb, ...] = ("preflight", "again")


class TemporaryError(RotationError):
    """The outside world failed; Secrets Manager repeats the rotation while its window is open."""

    to_do = "wait"
    verbs: tuple[Verb, ...] = ("again",)


class AwsUnavailable(TemporaryError):
    """An AWS call got no answer, a 5xx or throttling; it may have taken effect."""


class DockerHubUnavailable(TemporaryError):
    """Docker Hub gave no answer, a 5xx or something that is not its API; the request may have taken effect."""


class RateLimited(TemporaryError):
    """Docker Hub's request limit is used up for longer than this invocation may wait."""


class LockedOut(TemporaryError):
    """Docker Hub has locked the user name after too many failed logins, by whomever."""

    consumers_affected = True


class LoginsUsedUp(TemporaryError):
    """So many logins were refused in this invocation that one more could help to lock the user name."""


class OutOfTime(TemporaryError):
    """The invocation's time is used up, or too short for one more request and a report."""


class AttentionNeeded(RotationError):
    """Neither repeating nor a setting helps: somebody has to look."""


class AnswerUnknown(AttentionNeeded):
    """Docker Hub, or something in front of it, answered in a way that this function does not know.

    It counts neither as dead nor as temporary. The message names the body's keys, never their values.
    """

    verbs: tuple[Verb, ...] = ("preflight", "again")


class PendingTokenUnusable(AttentionNeeded):
    """The staged value can't be made to work; the message holds the command that unblocks the rotation."""

    verbs: tuple[Verb, ...] = ("unblock",)


class RetirementFailed(AttentionNeeded):
    """Promoted, but old tokens could not all be retired; the next attempt or rotation goes on from here.

    So does the caretaker, which needs no other new token for that. A task says itself that it is sent again.
    """

    verbs: tuple[Verb, ...] = ("reconcile",)


class RollbackFailed(AttentionNeeded):
    """The version to go back to does not work, and the message says where AWSCURRENT is: as a rule, where it was."""

    verbs: tuple[Verb, ...] = ("rotate",)


class UnexpectedError(AttentionNeeded):
    """A defect in this function. Names the exception's type and place, not its text."""

    verbs: tuple[Verb, ...] = ("logs",)


class VersionAlreadyStored(Exception):
    """The version holds another value: a twin of this step was faster."""


class LoginRefused(Exception):
    """Docker Hub does not accept this token (now)."""
