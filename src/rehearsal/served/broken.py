"""Worlds in which something is wrong, one for each error and finding that an operator has to deal with.

In each of them the error has been met: a rotation was given up over it, or the caretaker has found it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rehearsal.docker_hub import Fault, OrganizationToken, Token
from rehearsal.sandbox import FunctionError
from rehearsal.served.world import PASSWORD, Served
from rehearsal.world import FUNCTION_ARN, QUOTA, SECRET_NAME, Scene

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager.type_defs import TagTypeDef

_HOUR = 3600
# More requests than anybody makes before it is over.
_LASTING = 1000
_BLOCKED = {"error": "blocked by policy"}


@dataclass(frozen=True)
class Broken:
    """A way in which a world is broken.

    Attributes:
        name: of the error or the finding that tells it.
        what: is wrong, in a sentence.
        break_it: breaks a world that is whole, and lets the error be met.
        end_it: what ends it that no command of an operator's does here: an outage is over, somebody has given a
            permission, the function is deployed with other settings. None if commands are enough.
        rotations: how many the secret needs to have had.
    """

    name: str
    what: str
    break_it: Callable[[Served], None]
    end_it: Callable[[Served], None] | None = None
    rotations: int = 1

    def rotations_in(self, scene: Scene) -> int:
        """Return how many the secret needs to have had; one more where its first token does not show to be its own."""
        return self.rotations + (1 if scene.organization else 0)


def _rotating(act: Callable[[Served], object]) -> Callable[[Served], None]:
    """Do something, and let a rotation meet it."""

    def break_it(served: Served) -> None:
        act(served)
        served.rotate()

    return break_it


def _looking(act: Callable[[Served], object]) -> Callable[[Served], None]:
    """Do something, and let the caretaker find it."""

    def break_it(served: Served) -> None:
        act(served)
        served.reconcile()

    return break_it


def _set(variable: str, value: str) -> Callable[[Served], None]:
    return lambda served: served.configure({variable: value})


def _answers(method: str, path: str, status: int, body: object, **headers: str) -> Callable[[Served], None]:
    """Let Docker Hub, or something in front of it, answer so from now on."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda served: served.world.hub.faults.extend([Fault(method, path, status, body, named)] * _LASTING)


def _use_up_the_limit(served: Served) -> None:
    _answers("*", "/v2/*", 429, {"detail": "Rate limit exceeded"}, Retry_After="3600")(served)
    # The attempts are so long apart that Lambda has ended the sandbox, which remembers the limit and waits.
    served.world.aws.engine.pause = lambda _attempt: served.world.function.discard()


def _answers_again(served: Served) -> None:
    served.world.hub.faults.clear()


def _aws_refuses(action: str, code: str, message: str) -> Callable[[Served], None]:
    return lambda served: served.world.aws.refuse.update({action: (code, message)})


def _aws_answers_again(served: Served) -> None:
    served.world.aws.refuse.clear()


def _store(served: Served, value: str) -> None:
    served.world.client.put_secret_value(SecretId=SECRET_NAME, SecretString=value)


def _tag(served: Served) -> None:
    tags: list[TagTypeDef] = [{"Key": "dockerhub-rotation:grace", "Value": "forever"}]
    served.world.client.tag_resource(SecretId=SECRET_NAME, Tags=tags)


def _change_password(served: Served) -> None:
    served.world.hub.password = "changed-at-docker-hub-alone"
    served.world.secrets.add(served.world.hub.password)


def _limit_tokens(served: Served) -> None:
    """Let there be no more tokens than there are, of the account or of the organization."""
    hub, organization = served.world.hub, served.world.scene.organization
    if organization:
        theirs = [it for it in hub.tokens.values() if isinstance(it, OrganizationToken)]
        hub.organizations[organization].quota = len(theirs)
    else:
        hub.max_tokens = len(hub.tokens)


def _limit_no_more(served: Served) -> None:
    served.world.hub.max_tokens = None
    for organization in served.world.hub.organizations.values():
        organization.quota = QUOTA


def _block_changes(served: Served) -> None:
    _answers("PATCH", f"{served.world.tokens_path}/*", 403, _BLOCKED)(served)


def _lock(served: Served) -> None:
    hub = served.world.hub
    wrong = {"username": hub.username, "password": "guessed by somebody"}
    while not hub.locked:
        hub.app.test_client().post("/v2/users/login", json=wrong)


def _wait_for_the_lock(served: Served) -> None:
    served.world.passed += served.world.hub.lockout_seconds + 1
    served.configure({})  # Lambda has ended the sandboxes by then


def _current(served: Served) -> Token:
    hub, value = served.world.hub, served.world.current_token()
    return next(token for token in hub.tokens.values() if token.value == value)


def _forget_ours(served: Served) -> None:
    hub = served.world.hub
    for token in [it for it in hub.tokens.values() if it.label.startswith("dockerhub-rotation/")]:
        del hub.tokens[token.uuid]


def _lose_the_pending_token(served: Served) -> None:
    """Let a rotation be given up before its token was tried, and somebody delete that token; then it is repeated."""
    world, known = served.world, set(served.world.hub.tokens)
    _answers("GET", "/token", 403, _BLOCKED)(served)
    served.rotate()
    _answers_again(served)
    for made in set(world.hub.tokens) - known:
        del world.hub.tokens[made]
    world.aws.retry(world.secret_arn)
    world.aws.wait()


def _go_back_in_vain(served: Served) -> None:
    """Let somebody delete the token that consumers had before, and somebody else go back to it."""
    world, previous = served.world, served.world.state().holder("AWSPREVIOUS") or ""
    superseded = [token.uuid for token in world.hub.tokens.values() if f"/{previous}" in token.label]
    for uuid in superseded:
        del world.hub.tokens[uuid]
    with suppress(FunctionError):  # it is in the log
        served.send({"Task": "Rollback", "SecretId": world.secret_arn, "VersionId": previous})


def _hang_since_yesterday(served: Served) -> None:
    with served.ago(26 * _HOUR):
        _answers("GET", "/token", 403, _BLOCKED)(served)
        served.rotate()
        _answers_again(served)


def _stop_the_schedule(served: Served) -> None:
    served.world.aws.attach(served.world.secret_arn, FUNCTION_ARN, {"AutomaticallyAfterDays": 1})


_ALL = (
    Broken(
        "SettingsInvalid",
        "the function was deployed with a scope that Docker Hub does not have.",
        _rotating(_set("DOCKERHUB_TOKEN_SCOPES", "repo:everything")),
        _set("DOCKERHUB_TOKEN_SCOPES", "repo:read"),
    ),
    Broken("TagsInvalid", "somebody has tagged the secret with a grace that is none.", _rotating(_tag)),
    Broken(
        "SecretNotServed",
        "the function was deployed to serve the secrets of another team alone.",
        _rotating(_set("DOCKERHUB_SECRETS", "team-a/*")),
        _set("DOCKERHUB_SECRETS", SECRET_NAME),
    ),
    Broken(
        "ParameterUnreadable",
        "somebody has deleted the parameter with the account's password.",
        _rotating(lambda served: served.world.aws.drop_parameter(PASSWORD)),
    ),
    Broken(
        "SecretUnusable",
        "somebody has stored user name and token where the token alone belongs.",
        _rotating(lambda served: _store(served, f"{served.world.login_name}:{_current(served).value}")),
    ),
    Broken(
        "AwsRefused",
        "the function's role may not store a value.",
        _rotating(_aws_refuses("PutSecretValue", "AccessDeniedException", "no identity-based policy allows it")),
        _aws_answers_again,
    ),
    Broken("CredentialRefused", "the account's password was changed at Docker Hub alone.", _rotating(_change_password)),
    Broken(
        "DockerHubRefused",
        "the account has as many tokens as it may have.",
        _rotating(_limit_tokens),
        _limit_no_more,
    ),
    Broken(
        "AwsUnavailable",
        "something on the way to Secrets Manager answers in its place when a value is read.",
        _rotating(_aws_refuses("GetSecretValue", "Bad Gateway", "try again later")),
        _aws_answers_again,
    ),
    Broken(
        "DockerHubUnavailable",
        "Docker Hub shows a page that it is being maintained.",
        _rotating(_answers("*", "*", 200, "<!doctype html><title>Be right back</title>")),
        _answers_again,
    ),
    Broken(
        "RateLimited",
        "the account has used up Docker Hub's request limit for an hour.",
        _rotating(_use_up_the_limit),
        _answers_again,
    ),
    Broken("LockedOut", "somebody has guessed at the account's password.", _rotating(_lock), _wait_for_the_lock),
    Broken(
        "OutOfTime",
        "the function was deployed with a timeout of six seconds.",
        _rotating(lambda served: served.configure({}, timeout_seconds=6)),
        lambda served: served.configure({}, timeout_seconds=60),
    ),
    Broken(
        "AnswerUnknown",
        "a firewall answers logins in Docker Hub's place.",
        _rotating(_answers("POST", "/v2/auth/token", 403, _BLOCKED)),
        _answers_again,
    ),
    Broken(
        "PendingTokenUnusable",
        "somebody has deleted the token of a rotation that had not ended.",
        _lose_the_pending_token,
    ),
    Broken(
        "RetirementFailed",
        "a firewall lets no token be changed.",
        _rotating(_block_changes),
        _answers_again,
    ),
    Broken("RollbackFailed", "somebody has deleted the token that consumers had before.", _go_back_in_vain),
    Broken(
        "CurrentTokenDead",
        "somebody has deleted the token that consumers use.",
        _looking(lambda served: served.world.hub.tokens.pop(_current(served).uuid)),
    ),
    Broken(
        "CurrentTokenDisabled",
        "somebody has disabled the token that consumers use.",
        _looking(lambda served: setattr(_current(served), "active", False)),
    ),
    Broken("AccountDoubtful", "somebody has deleted all tokens of the secret.", _looking(_forget_ours)),
    Broken("PendingTooLong", "a rotation has not ended since yesterday.", _looking(_hang_since_yesterday)),
    Broken(
        "RotationOverdue", "the schedule should have rotated the secret, and has not.", _looking(_stop_the_schedule)
    ),
)

BROKEN: Mapping[str, Broken] = {broken.name: broken for broken in _ALL}
