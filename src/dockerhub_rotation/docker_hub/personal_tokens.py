"""The account's personal access tokens: making, listing, enabling, disabling and deleting them."""

from dataclasses import dataclass, field
from typing import Any

from dockerhub_rotation.docker_hub import answers
from dockerhub_rotation.docker_hub.answers import Token
from dockerhub_rotation.docker_hub.management_login import ManagementLogin
from dockerhub_rotation.errors import DockerHubRefused

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
    """

    def __init__(self, login: ManagementLogin, scopes: tuple[str, ...]) -> None:
        self._login = login
        self._scopes = scopes

    def create(self, label: str) -> NewToken:
        """Make a token.

        Never repeated unless it surely had no effect: after an error there may be a token with this label.

        Raises:
            DockerHubRefused: none is made.
        """
        answer = self._login.send(
            "Creating a token",
            "POST",
            "/v2/access-tokens",
            repeatable=False,
            spare_seconds=_SECONDS_TO_STORE_A_TOKEN,
            json={"token_label": label, "scopes": list(self._scopes)},
        )
        if not answer.success:
            raise answer.error(
                "The account may have reached its number of tokens (delete those that nobody uses), or its e-mail "
                "address may not be verified. Try it by hand in the account settings."
            )
        token = NewToken(answers.uuid(answer, answer.object()), answer.text("token"))
        if not token.value.startswith("dckr_pat_"):
            self.delete(token.uuid)
            raise DockerHubRefused(
                f"{answer.what}: what Docker Hub made is no personal access token as it is known (dckr_pat_...), so it "
                "is deleted again. A newer version of this function may know it."
            )
        return token

    def listed(self, *expected: str) -> list[Token]:
        """Return every token of the account, whoever made it, in no particular order.

        A token that is deleted meanwhile moves those behind it forward, some of them to a page that has been read. So a
        list of several pages is read once more if it lacks a token that may have moved.

        Args:
            expected: labels that should be there.
        """
        tokens: dict[str, Token] = {}  # by uuid: a token that moves back is shown twice
        pages = self._read(tokens)
        if pages > 1 and not {token.label for token in tokens.values()}.issuperset(expected):
            self._read(tokens)
        return list(tokens.values())

    def _read(self, tokens: dict[str, Token]) -> int:
        """Add what the list shows; return how many pages were asked for."""
        for page in range(1, 1_000):
            asked = {"page": page, "page_size": _PAGE_SIZE}
            answer = self._login.send("Listing the tokens", "GET", "/v2/access-tokens", params=asked)
            if answer.status == 404 and page > 1:
                break  # tokens that were deleted meanwhile have left this page empty
            if not answer.success:
                raise answer.error("Try again later.")
            document = answer.object()
            results = document.get("results")
            if not isinstance(results, list):
                raise answer.unexpected()
            tokens |= {token.uuid: token for token in (answers.token(answer, item) for item in results)}
            if not document.get("next"):
                break
        return page

    def enable(self, uuid: str) -> None:
        """Enable a token."""
        self._change(f"Enabling token {uuid}", uuid, {"is_active": True})

    def disable(self, uuid: str, label: str | None = None) -> None:
        """Disable a token and, if asked, label it anew. Disabling one that is gone is done."""
        relabel = {} if label is None else {"token_label": label}
        self._change(f"Disabling token {uuid}", uuid, {"is_active": False} | relabel)

    def _change(self, what: str, uuid: str, change: dict[str, Any]) -> None:
        answer = self._login.send(what, "PATCH", f"/v2/access-tokens/{uuid}", json=change)
        if answer.status == 404 and not change["is_active"]:
            return
        if not answer.success:
            raise answer.error(_BY_HAND)
        if answer.object().get("is_active") is not change["is_active"]:
            raise answer.unexpected()  # taken at its word, a proxy's page would leave a superseded token active

    def delete(self, uuid: str) -> None:
        """Delete a token. Deleting one that is gone is done."""
        answer = self._login.send(f"Deleting token {uuid}", "DELETE", f"/v2/access-tokens/{uuid}")
        # 204 is documented; 202 has been seen.
        if not answer.success and answer.status != 404:
            raise answer.error(_BY_HAND)
