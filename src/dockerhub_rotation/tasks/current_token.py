"""What became of the token under AWSCURRENT: from the list as far as that tells, else from one login with the value.

Refused logins lock the user name for consumers, too. So none is tried with a value whose token a rotation has made and
the list lacks for sure, and never a second time. It is not sure while the list may lag behind, or shows less than it
counts, or shows a token that may be the one although its label does not say so.
"""

from dataclasses import replace

from dockerhub_rotation import asking, credential
from dockerhub_rotation.asking import Asked
from dockerhub_rotation.credential import Credential
from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.errors import LoginRefused, LoginsUsedUp, SecretUnusable
from dockerhub_rotation.findings import Current, Standing
from dockerhub_rotation.groups import NOTHING, grouped
from dockerhub_rotation.secrets_manager import CURRENT, PREVIOUS, SecretVersions, StoredValue
from dockerhub_rotation.tasks.task import Task
from dockerhub_rotation.token_labels import carries_time, is_anothers, names, version_of

# How far a list may lag behind what has changed is not documented.
_LIST_LAGS_SECONDS = 300
# A rotation makes a token and stores it in one invocation, which lives 15 minutes at most:
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_STORED_WITHIN_SECONDS = 900
# Docker Hub dates a token, and AWS a version.
_CLOCKS_AGREE_SECONDS = 300


class CurrentToken:
    """Asks what a plan has to know, and remembers what that told of the token under AWSCURRENT.

    Attributes:
        seen: what it is, once asked.
        not_asked: why a login was not tried, or None.
    """

    def __init__(self, task: Task) -> None:
        self.seen = Current(Standing.UNKNOWN)
        self.not_asked: LoginsUsedUp | None = None
        self._task = task

    def ask(self, versions: SecretVersions, tokens: list[Token]) -> Asked:
        """Return what stored values tell. AWSPREVIOUS is not asked: its token is of no use to anybody.

        Raises:
            RotationError: of the client or the gateway.
        """
        current, previous = versions.holder(CURRENT), versions.holder(PREVIOUS)
        groups = grouped(tokens, versions)
        alone = current is None or not groups[current].tokens
        leave_out = {previous, current} if alone else {previous}
        asked = asking.ask(self._task, versions, tokens, leave_out={v for v in leave_out if v is not None})
        if current is None:
            self.seen = Current(Standing.PLACEHOLDER)
        elif alone:
            self.seen = self._of_value(current, versions, tokens)
            asked = replace(asked, values_read=True)
            if self.seen.token is not None:
                asked.stored[current] = self.seen.token.uuid
                if self.seen.token not in asked.tokens:
                    asked.tokens.append(self.seen.token)
        else:
            group = grouped(tokens, versions, asked.stored)[current]
            self.seen = self._of_list([token for token in group.tokens if not group.is_twin(token)])
        return asked

    def _of_list(self, tokens: list[Token]) -> Current:
        """Several, of which it is not known which is stored, are looked at as the best of them."""
        now = self._task.docker_hub.http.now()
        for token in tokens:
            if token.active and not token.expired(now):
                return Current(Standing.WORKS, token)
        for token in tokens:
            if token.active or token.expired(now):  # which nobody can enable
                return Current(Standing.EXPIRED, token)
        return Current(Standing.DISABLED, tokens[0]) if tokens else Current(Standing.UNKNOWN)

    def _of_value(self, current: str, versions: SecretVersions, tokens: list[Token]) -> Current:
        stored = asking.stored_value(self._task, versions.arn, current)
        try:
            value = self._task.parse(stored.text) if stored else None
        except SecretUnusable:
            value = None
        if value is None or not credential.looks_like_token(value.token):
            return Current(Standing.PLACEHOLDER)
        known = self._task.docker_hub.login.known(value.token)
        listed = next((token for token in tokens if known and token.is_called(known)), None)
        if listed is not None:
            return self._of_list([listed])
        if not self._task.may_be(value.username):
            return Current(Standing.OTHER_NAME)  # it may be refused as ours, and work as theirs
        names_account = value.username is not None
        if stored and versions.rotated_since(stored) and self._list_lacks(current, stored, versions, tokens):
            return Current(Standing.GONE, names_account=names_account)
        return replace(self._by_login(value, tokens), names_account=names_account)

    def _list_lacks(self, current: str, stored: StoredValue, versions: SecretVersions, tokens: list[Token]) -> bool:
        """Tell whether the list lacks the token of a value for sure that a rotation has made."""
        if not self._task.docker_hub.tokens.shows_all or versions.seen_at - versions.rotated_at < _LIST_LAGS_SECONDS:
            return False
        groups = grouped(tokens, versions)
        previous = groups.get(versions.holder(PREVIOUS) or "", NOTHING).born
        if previous is not None and previous.timestamp() > stored.created_at:
            return False  # AWSCURRENT was moved back, perhaps to what somebody had stored, with any token
        of_ours = any(group.tokens for group in groups.values())
        return not any(_may_be(token, current, stored, versions, of_ours=of_ours) for token in tokens)

    def _by_login(self, value: Credential, tokens: list[Token]) -> Current:
        login = self._task.docker_hub.login
        if login.was_refused(value.token):  # several secrets hold it
            return Current(Standing.REFUSED)
        try:
            identity = login.identify(self._task.username, value.token)
        except LoginRefused:
            return Current(Standing.REFUSED)
        except LoginsUsedUp as used_up:
            self.not_asked = used_up
            return Current(Standing.UNKNOWN)
        if not self._task.may_be(identity.username):
            return Current(Standing.OTHER_ACCOUNT)
        uuid = identity.token_uuid
        if uuid is None:
            return Current(Standing.WORKS)
        listed = next((token for token in tokens if token.is_called(uuid)), None)
        return Current(Standing.WORKS, listed or self._task.docker_hub.tokens.find(uuid))


def _may_be(token: Token, current: str, stored: StoredValue, versions: SecretVersions, *, of_ours: bool) -> bool:
    """Tell whether a token may be the one that a rotation has stored, although its label does not say so.

    A promoted replica holds a token that was made for the same version of its origin. Several secrets may hold the
    same token, which the first of them to be rotated has labelled and given a grace. Somebody may have changed a label;
    then the token is as old as the version. Where no token of the secret is listed, another function may have made it.

    Args:
        of_ours: whether any token of the secret is listed.
    """
    if not token.active or version_of(token, versions.arn) is not None:
        return False
    if is_anothers(token, versions.arn):
        return names(token, current) or carries_time(token)
    if token.created_at is None or not of_ours:
        return True
    earliest = stored.created_at - _STORED_WITHIN_SECONDS - _CLOCKS_AGREE_SECONDS
    return earliest <= token.created_at.timestamp() <= versions.rotated_at + _CLOCKS_AGREE_SECONDS
