"""A list of tokens that is otherwise than assumed."""

from __future__ import annotations

from typing import Any

from flask import Response

from rehearsal.deviations.kinds import LATE_SECONDS, OfTokens, deviates, refusal
from rehearsal.docker_hub import DockerHub, Token


@deviates("list-shows-new-token")
class _ListIsBehind(OfTokens):
    def tell_page(self, page: dict[str, Any]) -> None:
        page["results"] = [token for token in page["results"] if not self.is_younger(token, LATE_SECONDS)]


@deviates("value-shown-once")
class _ListShowsValues(OfTokens):
    def tell(self, token: dict[str, Any]) -> None:
        token["token"] = self.tokens[token["uuid"]].value


@deviates("single-token")
class _NoTokenIsReadAlone(DockerHub):
    def _get_token(self, uuid: str) -> Response:
        self._require_manager()
        return refusal(404, "not found")


@deviates("page-size")
class _PagesAreShort(DockerHub):
    def __post_init__(self) -> None:
        super().__post_init__()
        self.max_page_size = 10


@deviates("page-fits")
class _TokensAreLong(OfTokens):
    def tell(self, token: dict[str, Any]) -> None:
        token["creator_ua"] = "x" * 12_000


@deviates("list-order")
class _OrderIsAnotherEachTime(OfTokens):
    def tell_page(self, page: dict[str, Any]) -> None:
        if len(self.requests) % 2:
            page["results"].reverse()


@deviates("list-pages")
class _NoPageNamesTheNext(OfTokens):
    def tell_page(self, page: dict[str, Any]) -> None:
        page["next"] = None


@deviates("list-beyond-its-end")
class _NoPageBeyondTheEnd(DockerHub):
    def _list_tokens(self) -> Response:
        answer = super()._list_tokens()
        return answer if answer.status_code != 404 else refusal(400, "bad request")


@deviates("list-forgets")
class _ListRemembers(OfTokens):
    def __post_init__(self) -> None:
        super().__post_init__()
        self._deleted: list[tuple[float, Token]] = []

    def _delete_token(self, uuid: str) -> Response:
        token = self.tokens.get(uuid)
        answer = super()._delete_token(uuid)
        if token is not None:
            self._deleted.append((self.clock(), token))
        return answer

    def _list_tokens(self) -> Response:
        late = {token.uuid: token for at, token in self._deleted if self.clock() - at < LATE_SECONDS}
        there, self.tokens = self.tokens, self.tokens | late
        try:
            return super()._list_tokens()
        finally:
            self.tokens = there


@deviates("last-used")
class _TellsNoUse(OfTokens):
    def tell(self, token: dict[str, Any]) -> None:
        token["last_used"] = None
