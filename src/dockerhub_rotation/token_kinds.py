"""The two kinds of token: how their values begin, and what is said of one that stands where the other belongs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TokenKind:
    """A kind of token.

    Attributes:
        prefix: with which its values begin.
        other: with which those of the other kind begin.
        refusal: what there is to say, and to do, about one of these, after where it stands.
        takes_uuid: whether a plain UUID is one, too: so were personal tokens before 2021
            (https://github.com/docker/hub-tool/pull/43).
        needs_its_name: whether one may be refused under another name than its owner's; a personal one has been seen to
            log in under any (https://github.com/trufflesecurity/trufflehog/issues/4099).
    """

    prefix: str
    other: str
    refusal: str
    takes_uuid: bool
    needs_its_name: bool


PERSONAL = TokenKind(
    prefix="dckr_pat_",
    other="dckr_oat_",
    refusal=(
        "holds an organization access token, and this secret gets personal ones, with which the organization's name "
        "does not log in. If the organization's are meant, let the secret's tag dockerhub-rotation:organization name "
        "it, which must be one of DOCKERHUB_ORGANIZATIONS. Else store a personal access token (or a placeholder) and "
        "the account's user name, or leave the rotation of this secret off: aws secretsmanager cancel-rotate-secret."
    ),
    takes_uuid=True,
    needs_its_name=False,
)
ORGANIZATION = TokenKind(
    prefix="dckr_oat_",
    other="dckr_pat_",
    refusal=(
        "holds a personal access token, and by its tag dockerhub-rotation:organization the secret gets an "
        "organization's, with which the organization's name logs in. Store a placeholder, with that name as the user "
        "name where the value has one; the personal token stays active until somebody disables it by hand in the "
        "account settings. If the personal one is meant, remove the tag."
    ),
    takes_uuid=False,
    needs_its_name=True,
)
