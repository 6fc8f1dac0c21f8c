"""The lists of tokens that a reconcile goes by: each is read once for all secrets of its owner."""

import time
from collections.abc import Callable, Iterable, Mapping

from dockerhub_rotation import changes, retirement, tags
from dockerhub_rotation.changes import Look
from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.errors import RotationError, TagsInvalid
from dockerhub_rotation.groups import grouped
from dockerhub_rotation.secrets_manager import CURRENT, SecretVersions
from dockerhub_rotation.settings import Settings
from dockerhub_rotation.tasks.task import Task

# A list of more tokens has several pages, between which one may move.
_ONE_PAGE = 100
# AWS tells the time in whole seconds, and an answer takes a while.
_CLOCKS_AGREE_SECONDS = 60


class TokenList:
    """An owner's tokens: read once for all secrets, and again where that may be too long ago.

    Attributes:
        task: the one that goes by the owner.
        tokens: every token of the owner.
        failure: why it could not be read, or None.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.tokens: list[Token] = []
        self.failure: RotationError | None = None
        self._read_at = 0.0
        self._read_twice = False

    def read(self) -> None:
        """Read the list, or remember what was in the way. Raises nothing."""
        try:
            self._read(self.task.docker_hub.tokens.listed)
        except RotationError as failure:
            self.failure = failure

    def look(self, arn: str) -> Look:
        """Return the staging labels of a secret as they are after the list was read, which shows what they speak of.

        A token that the list lacks may have been made since, or have moved from one of its pages to another meanwhile.
        One that is superseded may have got another deadline since.

        Raises:
            RotationError: the list could not be read, or of the client or the gateway.
        """
        if self.failure is not None:
            raise self.failure
        look = changes.look(self.task, arn)
        if not (self._may_lack(look.versions) or self._may_be_late(look.versions)):
            return look
        self._read_twice = True
        self._read(lambda: retirement.listed(self.task, look.versions))
        return changes.look(self.task, arn)

    def _read(self, listed: Callable[[], list[Token]]) -> None:
        self._read_at = time.monotonic()
        self.tokens = listed()

    def _may_lack(self, versions: SecretVersions) -> bool:
        current = versions.holder(CURRENT)
        if current is None or grouped(self.tokens, versions)[current].tokens:
            return False
        return self._is_older(versions) or (len(self.tokens) > _ONE_PAGE and not self._read_twice)

    def _may_be_late(self, versions: SecretVersions) -> bool:
        groups = grouped(self.tokens, versions).values()
        superseded = any(token.active and not group.in_use for group in groups for token in group.tokens)
        return superseded and self._is_older(versions)

    def _is_older(self, versions: SecretVersions) -> bool:
        """Tell whether the list may be older than the last change, whose age AWS tells, whatever Docker Hub's clock."""
        return versions.seen_at - versions.changed_at < time.monotonic() - self._read_at + _CLOCKS_AGREE_SECONDS


class TokenLists:
    """The lists of all owners whose tokens secrets get."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._lists: dict[Settings, TokenList] = {}

    def read(self, secrets: Iterable[Mapping[str, str]]) -> None:
        """Read every list that is needed. One that can't be read keeps the secrets of its owner alone from being seen.

        Args:
            secrets: the tags of each.

        Raises:
            RotationError: none could be read.
        """
        for secret in secrets:
            kind = self._kind_if_known(secret)
            if kind is not None:
                self._of(kind)
        failures = [one.failure for one in self._lists.values() if one.failure is not None]
        if failures and len(failures) == len(self._lists):
            raise failures[0]

    def look(self, arn: str, secret: Mapping[str, str]) -> tuple[TokenList, Look]:
        """Return the list to which a secret's tokens belong, and its staging labels as they are after that was read.

        Args:
            secret: its tags, as they were some time ago.

        Raises:
            TagsInvalid: they do not tell of which kind its tokens are.
            RotationError: that list could not be read, or of the client or the gateway.
        """
        kind = self._kind_if_known(secret)
        while True:
            listed = self._of(kind) if kind is not None else None
            look = listed.look(arn) if listed is not None else changes.look(self._task, arn)
            seen = tags.of_kind(look.versions.tags, self._task.settings)
            if listed is not None and seen == kind:
                return listed, look
            kind = seen

    def _of(self, kind: Settings) -> TokenList:
        if kind not in self._lists:
            self._lists[kind] = TokenList(self._task.going_by(kind))
            self._lists[kind].read()
        return self._lists[kind]

    def _kind_if_known(self, secret: Mapping[str, str]) -> Settings | None:
        try:
            return tags.of_kind(secret, self._task.settings)
        except TagsInvalid:
            return None
