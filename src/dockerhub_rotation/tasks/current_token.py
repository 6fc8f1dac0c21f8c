"""What became of the token under AWSCURRENT: from the list as far as that tells, else from one login with the value.

Refused logins lock the user name for consumers, too. So none is tried with a value whose token a rotation has made and
the list does not show, and never a second time.
"""

from dataclasses import replace

from dockerhub_rotation import asking, credential
from dockerhub_rotation.asking import Asked
from dockerhub_rotation.credential import Credential
from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.errors import LoginRefused, LoginsUsedUp, SecretUnusable
from dockerhub_rotation.findings import Current, Standing
from dockerhub_rotation.groups import grouped
from dockerhub_rotation.secrets_manager import CURRENT, PREVIOUS, SecretVersions
from dockerhub_rotation.tasks.task import Task


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
            value = credential.parse(stored.text) if stored else None
        except SecretUnusable:
            value = None
        if value is None or not credential.looks_like_token(value.token):
            return Current(Standing.PLACEHOLDER)
        names_account = value.username is not None and self._task.account.may_be(value.username)
        known = self._task.docker_hub.login.known(value.token)
        listed = next((token for token in tokens if known and token.is_called(known)), None)
        if listed is not None:
            return replace(self._of_list([listed]), names_account=names_account)
        if versions.rotated_since(stored):
            return Current(Standing.GONE, names_account=names_account)
        return replace(self._by_login(value, tokens), names_account=names_account)

    def _by_login(self, value: Credential, tokens: list[Token]) -> Current:
        account = self._task.account
        try:
            identity = self._task.docker_hub.login.identify(account.username, value.token)
        except LoginRefused:
            return Current(Standing.REFUSED)
        except LoginsUsedUp as used_up:
            self.not_asked = used_up
            return Current(Standing.UNKNOWN)
        if not account.may_be(identity.username):
            return Current(Standing.OTHER_ACCOUNT)
        uuid = identity.token_uuid
        return Current(Standing.WORKS, next((token for token in tokens if uuid and token.is_called(uuid)), None))
