"""The account's personal access tokens: making, listing, enabling, disabling and deleting them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dockerhub_rotation.docker_hub import answers
from dockerhub_rotation.docker_hub.answers import Answer, Token
from dockerhub_rotation.docker_hub.management_login import ManagementLogin
from dockerhub_rotation.errors import AnswerUnknown, RotationError
from dockerhub_rotation.settings import fall_short

_PATH = "/v2/access-tokens"
_PAGE_SIZE = 100
_SECONDS_TO_STORE_A_TOKEN = 10
_BY_HAND = "Do it by hand in the account settings."


@dataclass(frozen=True)
class NewToken:
    """A token just made. Its value is shown this once."""

    uuid: str
    value: str = field(repr=False)


class PersonalTokens:
    """The account's tokens, whoever made them. Every method raises what `ManagementLogin.send` raises.

    Args:
        scopes: of a new token.

    Attributes:
        shows_all: whether the list that was read last holds as many tokens as it counts, as far as it says. Nothing
            follows from what another list lacks.
    """

    def __init__(self, login: ManagementLogin, scopes: tuple[str, ...]) -> None:
        self.shows_all = False
        self._login = login
        self._scopes = scopes
        self._listed_again: set[str] | None = None

    def create(self, label: str, expires_at: datetime | None = None) -> NewToken:
        """Make a token.

        Never repeated unless it surely had no effect: after an error there may be a token with this label.

        Args:
            expires_at: when it is to expire, in whole seconds and in UTC; None if never. It can't be changed later
                (https://docs.docker.com/security/access-tokens/).

        Raises:
            DockerHubRefused: none is made.
            AnswerUnknown: what was made is not what was asked for, and is deleted again.
        """
        answer = self._login.send(
            "Creating a token",
            "POST",
            _PATH,
            repeatable=False,
            spare_seconds=_SECONDS_TO_STORE_A_TOKEN,
            json={"token_label": label, "scopes": list(self._scopes)} | _expiry(expires_at),
        )
        if not answer.success:
            may_not = "" if expires_at is None else f"or it may have no token that expires at {expires_at}, "
            raise answer.error(
                f"The account may have reached its number of tokens (delete those that nobody uses), {may_not}or its "
                "e-mail address may not be verified. Try it by hand in the account settings."
            )
        return self._made(answer, expires_at)

    def _made(self, answer: Answer, expires_at: datetime | None) -> NewToken:
        """Return the token that was made, or delete it again: one that can't be read is of use to nobody.

        Without a readable uuid its label remains, by which finishSecret finds it.
        """
        made = answers.token(answer, answer.object())
        self._listed_again = None  # that list does not show it
        value = answer.says("token")
        if not (isinstance(value, str) and value.startswith("dckr_pat_") and value.isascii() and value.isprintable()):
            wrong = (
                "no personal access token as it is known (dckr_pat_...). A newer version of this function may know it"
            )
        elif fall_short(made.scopes, self._scopes):
            wrong = "a token that may do less than DOCKERHUB_TOKEN_SCOPES asks for; see what the account may do"
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
        """Return every token of the account, whoever made it, in no particular order.

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
        """Tell whether the account has such a token, and read its list no further than to that."""
        return any(is_wanted(token) for page in self._pages() for token in page)

    def _pages(self) -> Iterator[list[Token]]:
        """Yield the pages of the list. A token that moves meanwhile may be on two of them."""
        self.shows_all, shown = False, 0
        for number in range(1, 1_000):
            page = self._page(number)
            if page.status == 404 and number > 1:
                # Tokens that were deleted meanwhile have left it empty; but so says a gateway that knows no better.
                before = self._page(number - 1)
                yield _read(before)
                if not before.says("next"):
                    self.shows_all = _counted(before, shown) <= shown
                    return
                page = self._page(number)
            yield _read(page)
            shown += len(page.says("results"))
            if not page.says("next"):
                self.shows_all = _counted(page, shown) <= shown
                return

    def _page(self, number: int) -> Answer:
        asked = {"page": number, "page_size": _PAGE_SIZE}
        return self._login.send("Listing the tokens", "GET", _PATH, params=asked)

    def find(self, uuid: str) -> Token | None:
        """Return a token by its uuid, or None if there is none. The list may lag behind a login that names it."""
        answer = self._login.send(f"Reading token {uuid}", "GET", f"{_PATH}/{uuid}")
        if answer.gone:
            return None
        if not answer.success:
            raise answer.error(_BY_HAND)
        return answers.token(answer, answer.object())

    def enable(self, uuid: str, label: str | None = None) -> None:
        """Enable a token and, if asked, label it anew."""
        relabel = {} if label is None else {"token_label": label}
        self._change(f"Enabling token {uuid}", uuid, {"is_active": True} | relabel)

    def relabel(self, uuid: str, label: str) -> bool:
        """Label a token anew, and leave it active or disabled as it is. Labelling one that is gone is done.

        Return False if it is said to have kept another label.
        """
        return self._change(f"Labelling token {uuid}", uuid, {"token_label": label}) in (None, label)

    def disable(self, uuid: str, label: str | None = None, *, before: Callable[[], None] = lambda: None) -> bool:
        """Disable a token and, if asked, label it anew. Disabling one that is gone is done.

        Return False if it is said to have kept another label than it was to get.

        Args:
            before: as for `Http.send`.
        """
        relabel = {} if label is None else {"token_label": label}
        kept = self._change(f"Disabling token {uuid}", uuid, {"is_active": False} | relabel, before=before)
        return label is None or kept in (None, label)

    def _change(self, what: str, uuid: str, change: dict[str, Any], **how: Any) -> object:
        """Make a change, and return the label that the token is said to have then, or None."""
        answer = self._login.send(what, "PATCH", f"{_PATH}/{uuid}", json=change, **how)
        if answer.status == 404 and not change.get("is_active"):
            if self._is_gone(answer, uuid):
                return None
            raise answer.unexpected()
        if not answer.success:
            raise answer.error(_BY_HAND)
        decisive = "is_active" if "is_active" in change else "token_label"
        told = type(answer.says(decisive)) is type(change[decisive])  # 200 with the token is documented, not the rest
        if not told:
            answer = self._login.send(what, "GET", f"{_PATH}/{uuid}")
        if answer.says(decisive) != change[decisive] and not (told and decisive == "token_label"):
            raise answer.unexpected()  # taken at its word, a proxy's page would leave a superseded token active
        return answer.says("token_label")

    def delete(self, uuid: str, *, before: Callable[[], None] = lambda: None) -> None:
        """Delete a token. Deleting one that is gone is done.

        Args:
            before: as for `Http.send`.
        """
        answer = self._login.send(f"Deleting token {uuid}", "DELETE", f"{_PATH}/{uuid}", before=before)
        if not answer.success and answer.status != 404:
            raise answer.error(_BY_HAND)
        if not self._is_gone(answer, uuid):
            raise answer.unexpected()

    def _is_gone(self, answer: Answer, uuid: str) -> bool:
        """Tell whether there is no such token any more, after an attempt to take it away.

        So say 204, which is documented, 202, which has been seen, both without a body, and a 404 in Docker Hub's own
        form. Whatever else claims it may be anybody's: then the list is read again, once an invocation.
        """
        if answer.gone or (answer.success and not answer.body):
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


def _read(page: Answer) -> list[Token]:
    if not page.success:
        raise page.error(answers.CHECK_URLS)
    return answers.tokens(page)


def _counted(page: Answer, shown: int) -> int:
    """Return how many tokens a list counts: https://docs.docker.com/reference/api/hub/latest/ has `count`.

    One that does not say so is believed, but for one that is empty: so answers a gateway that knows no better.

    Args:
        shown: how many tokens its pages have shown.

    Raises:
        DockerHubUnavailable: it is none of Docker Hub's.
    """
    count = page.says("count")
    if isinstance(count, int):
        return count
    if not shown:
        raise page.unexpected()
    return shown
