"""Tokens at Docker Hub, whosever they are: listing, enabling, disabling and deleting them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dockerhub_rotation.docker_hub import answers
from dockerhub_rotation.docker_hub.answers import Answer, Names, Token
from dockerhub_rotation.docker_hub.management_login import ManagementLogin
from dockerhub_rotation.errors import AnswerUnknown, RotationError

_PAGE_SIZE = 100
_SECONDS_TO_STORE_A_TOKEN = 10


@dataclass(frozen=True)
class NewToken:
    """A token just made. Its value is shown this once.

    Attributes:
        abandoned: the uuids of those that an earlier try has made under the same label, as far as they are known.
    """

    uuid: str
    value: str = field(repr=False)
    abandoned: tuple[str, ...] = ()


# Picks, of every token there is, the one that a new one supersedes, or several of which any may be it.
Superseded = Callable[[list[Token]], list[Token]]


def no_token(_: list[Token]) -> list[Token]:
    """Return none: a first token supersedes no other."""
    return []


class Tokens(ABC):
    """Every token of an owner, whoever made it. Every method raises what `ManagementLogin.send` raises.

    Attributes:
        not_found: what is said of a token that a stored value holds and that could not be found, and what ends it.
        shows_all: whether the list that was read last holds as many tokens as it counts, as far as it says. Nothing
            follows from what another list lacks.
    """

    # What a kind of token has of its own: its place in the API, how that calls things, how a value begins, what mends
    # a refusal to list or to change, and whether a 404 for a token speaks of that token for sure.
    not_found: str
    _path: str
    _names: Names
    _prefix: str
    _called: str
    _by_hand: str
    _if_not_listed = answers.CHECK_URLS
    _missing_is_gone = True

    def __init__(self, login: ManagementLogin) -> None:
        self.shows_all = False
        self._login = login
        self._listed_again: set[str] | None = None

    @abstractmethod
    def create(self, label: str, expires_at: datetime | None = None, superseded: Superseded = no_token) -> NewToken:
        """Make a token.

        Never repeated unless it surely had no effect: after an error there may be a token with this label.

        Args:
            expires_at: when it is to expire, in whole seconds and in UTC; None if never. It can't be changed later
                (https://docs.docker.com/security/access-tokens/).
            superseded: asked where Docker Hub tells of each token what it may do: the new one may do the same.

        Raises:
            DockerHubRefused: none is made.
            AnswerUnknown: what was made is not what was asked for, and is deleted again.
        """

    def _create(self, asked: dict[str, Any], expires_at: datetime | None) -> Answer:
        return self._login.send(
            "Creating a token",
            "POST",
            self._path,
            repeatable=False,
            spare_seconds=_SECONDS_TO_STORE_A_TOKEN,
            json=asked | _expiry(expires_at),
        )

    def _made(
        self, answer: Answer, expires_at: datetime | None, falls_short: Callable[[Token], str | None]
    ) -> NewToken:
        """Return the token that was made, or delete it again: one that can't be read is of use to nobody.

        Without a readable uuid its label remains, by which finishSecret finds it.

        Args:
            falls_short: says what is wrong with what it may do, or None.
        """
        made = answers.token(answer, answer.object(), self._names)
        self._listed_again = None  # that list does not show it
        value = answer.says("token")
        if not (isinstance(value, str) and value.startswith(self._prefix) and value.isascii() and value.isprintable()):
            wrong = (
                f"no {self._called} as it is known ({self._prefix}...). A newer version of this function may know it"
            )
        elif (short := falls_short(made)) is not None:
            wrong = short
        elif expires_at is not None and made.expires_at != expires_at:
            wrong = "a token that does not expire when it was to (DOCKERHUB_TOKEN_EXPIRY, or the secret's tag)"
        else:
            return NewToken(made.uuid, value)
        then = "It is deleted again."
        try:
            self.delete(made.uuid)
        except RotationError as failure:
            then = f"It could not be deleted again. {failure}"
        raise AnswerUnknown(f"{answer.what}: Docker Hub made {wrong}. {then}")

    def listed(self, is_complete: Callable[[list[Token]], bool] = lambda tokens: True) -> list[Token]:  # noqa: ARG005
        """Return every token, whoever made it, in no particular order.

        A token that is deleted meanwhile moves those behind it forward, some of them to a page that has been read. So a
        list of several pages is read once more if it lacks a token that may have moved. So is one that counts more
        tokens than it shows.

        Args:
            is_complete: tells whether all are there that should be.
        """
        pages = list(self._pages())
        if not self.shows_all or (len(pages) > 1 and not is_complete([token for page in pages for token in page])):
            pages += self._pages()
        return list({token.uuid: token for page in pages for token in page}.values())

    def any(self, is_wanted: Callable[[Token], bool]) -> bool:
        """Tell whether there is such a token, and read its list no further than to that."""
        return any(is_wanted(token) for page in self._pages() for token in page)

    def _pages(self) -> Iterator[list[Token]]:
        """Yield the pages of the list. A token that moves meanwhile may be on two of them."""
        self.shows_all, shown = False, 0
        for number in range(1, 1_000):
            page = self._page(number)
            if page.status == 404 and number > 1:
                # Tokens that were deleted meanwhile have left it empty; but so says a gateway that knows no better.
                before = self._page(number - 1)
                yield self._read(before)
                if not before.says("next"):
                    self.shows_all = self._counted(before, shown) <= shown
                    return
                page = self._page(number)
            yield self._read(page)
            shown += len(page.says("results"))
            if not page.says("next"):
                self.shows_all = self._counted(page, shown) <= shown
                return

    def _page(self, number: int) -> Answer:
        asked = {"page": number, "page_size": _PAGE_SIZE}
        return self._login.send("Listing the tokens", "GET", self._path, params=asked)

    def _read(self, page: Answer) -> list[Token]:
        if not page.success:
            raise page.error(self._if_not_listed)
        return answers.tokens(page, self._names)

    def _counted(self, page: Answer, shown: int) -> int:
        """Return how many tokens a list counts: https://docs.docker.com/reference/api/hub/latest/ names it.

        One that does not say so is believed, but for one that is empty: so answers a gateway that knows no better.

        Args:
            shown: how many tokens its pages have shown.

        Raises:
            DockerHubUnavailable: it is none of Docker Hub's.
        """
        count = page.says(self._names.count)
        if isinstance(count, int):
            return count
        if not shown:
            raise page.unexpected()
        return shown

    def find(self, uuid: str) -> Token | None:
        """Return a token by its uuid, or None if there is none. The list may lag behind a login that names it."""
        answer = self._login.send(f"Reading token {uuid}", "GET", f"{self._path}/{uuid}")
        if answer.gone:
            return None
        if not answer.success:
            raise answer.error(self._by_hand)
        return answers.token(answer, answer.object(), self._names)

    def enable(self, uuid: str, label: str | None = None) -> None:
        """Enable a token and, if asked, label it anew."""
        relabel = {} if label is None else {self._names.label: label}
        self._change(f"Enabling token {uuid}", uuid, {"is_active": True} | relabel)

    def relabel(self, uuid: str, label: str) -> bool:
        """Label a token anew, and leave it active or disabled as it is. Labelling one that is gone is done.

        Return False if it is said to have kept another label.
        """
        return self._change(f"Labelling token {uuid}", uuid, {self._names.label: label}) in (None, label)

    def disable(self, uuid: str, label: str | None = None, *, before: Callable[[], None] = lambda: None) -> bool:
        """Disable a token and, if asked, label it anew. Disabling one that is gone is done.

        Return False if it is said to have kept another label than it was to get.

        Args:
            before: as for `Http.send`.
        """
        relabel = {} if label is None else {self._names.label: label}
        kept = self._change(f"Disabling token {uuid}", uuid, {"is_active": False} | relabel, before=before)
        return label is None or kept in (None, label)

    def _change(self, what: str, uuid: str, change: dict[str, Any], **how: Any) -> object:
        """Make a change, and return the label that the token is said to have then, or None."""
        answer = self._login.send(what, "PATCH", f"{self._path}/{uuid}", json=change, **how)
        if answer.status == 404 and not change.get("is_active"):
            if self._is_gone(answer, uuid):
                return None
            raise answer.unexpected()
        if not answer.success:
            raise answer.error(self._by_hand)
        decisive = "is_active" if "is_active" in change else self._names.label
        told = type(answer.says(decisive)) is type(change[decisive])  # 200 with the token is documented, not the rest
        if not told:
            answer = self._login.send(what, "GET", f"{self._path}/{uuid}")
        if answer.says(decisive) != change[decisive] and not (told and decisive == self._names.label):
            raise answer.unexpected()  # taken at its word, a proxy's page would leave a superseded token active
        return answer.says(self._names.label)

    def delete(self, uuid: str, *, before: Callable[[], None] = lambda: None) -> None:
        """Delete a token. Deleting one that is gone is done.

        Args:
            before: as for `Http.send`.
        """
        answer = self._login.send(f"Deleting token {uuid}", "DELETE", f"{self._path}/{uuid}", before=before)
        if not answer.success and answer.status != 404:
            raise answer.error(self._by_hand)
        if not self._is_gone(answer, uuid):
            raise answer.unexpected()

    def _is_gone(self, answer: Answer, uuid: str) -> bool:
        """Tell whether there is no such token any more, after an attempt to take it away.

        So say 204, which is documented, 202, which has been seen, both without a body, and a 404 in Docker Hub's own
        form. Whatever else claims it may be anybody's: then the list is read again, once an invocation.
        """
        if (answer.gone and self._missing_is_gone) or (answer.success and not answer.body):
            return True
        if self._listed_again is None:
            listed = {token.uuid.lower() for token in self.listed()}
            if not self.shows_all:
                return False
            self._listed_again = listed
        return uuid.lower() not in self._listed_again


def _expiry(expires_at: datetime | None) -> dict[str, str]:
    """Return the field as it has been seen to come back unchanged: https://github.com/docker/terraform-provider-docker."""
    return {} if expires_at is None else {"expires_at": expires_at.isoformat().replace("+00:00", "Z")}
