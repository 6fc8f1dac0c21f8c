"""The account's personal access tokens."""

from datetime import datetime

from dockerhub_rotation.docker_hub.answers import PERSONAL, Token
from dockerhub_rotation.docker_hub.management_login import ManagementLogin
from dockerhub_rotation.docker_hub.tokens import NewToken, Superseded, Tokens, no_token
from dockerhub_rotation.settings import fall_short


class PersonalTokens(Tokens):
    """The account's tokens.

    Args:
        scopes: of a new token.
    """

    not_found = "not one that the account's list shows; if it still works, disable it by hand in the account settings"
    _path = "/v2/access-tokens"
    _names = PERSONAL
    _prefix = "dckr_pat_"
    _called = "personal access token"
    _by_hand = "Do it by hand in the account settings."

    def __init__(self, login: ManagementLogin, scopes: tuple[str, ...]) -> None:
        super().__init__(login)
        self._scopes = scopes

    def create(
        self,
        label: str,
        expires_at: datetime | None = None,
        superseded: Superseded = no_token,  # noqa: ARG002 - all of the account's tokens may do what their scopes say
    ) -> NewToken:
        """Make a token with the scopes of the settings. Arguments and errors as for every kind."""
        answer = self._create({"token_label": label, "scopes": list(self._scopes)}, expires_at)
        if not answer.success:
            may_not = "" if expires_at is None else f"or it may have no token that expires at {expires_at}, "
            raise answer.error(
                f"The account may have reached its number of tokens (delete those that nobody uses), {may_not}or its "
                "e-mail address may not be verified. Try it by hand in the account settings."
            )
        return self._made(answer, expires_at, self._falls_short)

    def _falls_short(self, made: Token) -> str | None:
        if fall_short(made.scopes, self._scopes):
            return "a token that may do less than DOCKERHUB_TOKEN_SCOPES asks for; see what the account may do"
        return None
