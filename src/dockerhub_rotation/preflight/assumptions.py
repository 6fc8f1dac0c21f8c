"""What the function assumes of Docker Hub and can measure there: each assumption has a name.

`docs/assumptions.md` has for each its source, how sure it is, and what covers the other case; the simulator can be made
to behave otherwise in each. Tests hold all three together.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Assumption:
    """Something that is so at Docker Hub, as far as is known.

    Attributes:
        assumed: the assumption, as a sentence.
        otherwise: what it means for whoever runs the function if it is not so, and what to set or to look at.
        relied_on: whether a rotation needs it; else the function has another way, or only shows it.
    """

    name: str
    assumed: str
    otherwise: str
    relied_on: bool = True


_REPORT = "Please report this document"

ASSUMPTIONS = (
    Assumption(
        "configured-login",
        "The login that DOCKERHUB_LOGIN names takes the account's password, and opens the list of its tokens.",
        "No token can be made. Check user name and password; with two-factor login enter the TOTP seed, too. If they "
        "are right, set DOCKERHUB_LOGIN to the other login; --try-both tells beforehand whether that works.",
    ),
    Assumption(
        "other-login",
        "The other login takes the password, too; with two-factor login, only users-login does.",
        "Do not change DOCKERHUB_LOGIN, or do if it is the configured login that is refused.",
        relied_on=False,
    ),
    Assumption(
        "login-names-account",
        "The JWT of the password's login names the account's user name.",
        "A password that opens another account than the user name's is noticed late or never. Look twice at "
        f"DOCKERHUB_USERNAME_PARAMETER and DOCKERHUB_PASSWORD_PARAMETER. {_REPORT} (management_login.py).",
    ),
    Assumption(
        "login-ends",
        "That JWT says under exp when it ends, in five minutes at least.",
        "The function logs in more often: with two-factor login, rotations at the same hour wait for codes. Let the "
        "secrets rotate in different hours.",
        relied_on=False,
    ),
    Assumption(
        "date",
        "Each answer tells Docker Hub's time under Date.",
        "One-time codes and ages go by the clock of Lambda. With two-factor login see that codes are taken. "
        f"{_REPORT} (http.py).",
    ),
    Assumption(
        "requests-left",
        "An answer of the Hub API tells under X-RateLimit-Remaining how many requests are left.",
        "The log and the metrics do not tell how near the request limit is. Nothing to set.",
        relied_on=False,
    ),
    Assumption(
        "creation",
        "A token is made with a label and scopes; the answer shows its uuid, and its value that begins with dckr_pat_.",
        "No rotation gets past createSecret. See whether the account may have one more token, and whether its e-mail "
        f"address is verified. {_REPORT} (personal_tokens.py).",
    ),
    Assumption(
        "scopes-kept",
        "The token is told with the scopes that were asked for.",
        "createSecret may take a good token for one that may do too little, or the other way round. See what the "
        f"account may do, and set DOCKERHUB_TOKEN_SCOPES accordingly. {_REPORT} (personal_tokens.py).",
    ),
    Assumption(
        "creation-time",
        "A token's created_at has a time zone, and is Docker Hub's time of its making.",
        "Orphans are kept longer or deleted too early, for their age is not what it seems. Do not rotate several "
        f"secrets at once. {_REPORT} (plan.py).",
    ),
    Assumption(
        "expiry",
        "A token made with expires_at is told with the same time.",
        "Do not let tokens expire: leave DOCKERHUB_TOKEN_EXPIRY unset, or createSecret deletes each token again.",
        relied_on=False,
    ),
    Assumption(
        "list-shows-new-token",
        "The list shows a new token at once.",
        "A rotation that looks for its token a moment after it has made it does not find it; a retirement is put off "
        f"to the next rotation. {_REPORT} (retirement.py).",
    ),
    Assumption(
        "value-shown-once",
        "The list does not show a token's value.",
        "Whoever may read the list has every token. The function prints no answer, but see who knows the password.",
        relied_on=False,
    ),
    Assumption(
        "single-token",
        "A single token can be read by its uuid.",
        "A secret whose token has logged in in the same sandbox before is not rotated by it. "
        f"{_REPORT} (personal_tokens.py).",
    ),
    Assumption(
        "page-size",
        "A page of the list holds a hundred tokens if asked to.",
        "Each rotation takes more requests, one more for each page. Delete tokens that nobody uses.",
        relied_on=False,
    ),
    Assumption(
        "page-fits",
        "A page of a hundred tokens has less than a mebibyte.",
        f"The list can't be read, and nothing is rotated. Delete tokens that nobody uses. {_REPORT} (http.py).",
    ),
    Assumption(
        "list-order",
        "The list has some order, which stays the same from one request to the next.",
        "A token may be missed between two pages. With more tokens than fit on a page, delete those that nobody uses. "
        f"{_REPORT} (personal_tokens.py).",
    ),
    Assumption(
        "list-pages",
        "Each page but the last names a next one, and the pages together hold every token once.",
        "Tokens on later pages are not found: superseded ones stay active. Keep the account below a page of tokens. "
        f"{_REPORT} (personal_tokens.py).",
    ),
    Assumption(
        "list-beyond-its-end",
        "A page beyond the end of the list is a 404 in Docker Hub's form, or is empty.",
        "A rotation during which somebody deletes tokens may fail once. Nothing to set; the next attempt goes on. "
        f"{_REPORT} (personal_tokens.py).",
    ),
    Assumption(
        "token-login",
        "A new token logs in at once at the Hub API's /v2/auth/token.",
        "testSecret waits and tries twice more; if that is not enough, it fails. See whether the token logs in a "
        f"minute later. {_REPORT} (test_secret.py).",
    ),
    Assumption(
        "token-login-names-token",
        "The JWT of a token's login names the token, as docker_pat|uuid under source.",
        "A hand-made token that is superseded can't be told from the others, and is not disabled; nor can twins be. "
        f"Put a placeholder into each new secret. {_REPORT} (claims.py).",
    ),
    Assumption(
        "token-login-names-account",
        "The JWT of a token's login names the account's user name.",
        "A token of another account in the secret is not noticed by its login. Look at the secret's user name. "
        f"{_REPORT} (claims.py).",
    ),
    Assumption(
        "token-login-names-scopes",
        "The JWT of a token's login names its scopes.",
        "testSecret can't tell by the login what a token may do. Set DOCKERHUB_COMPARE_SCOPES=false if it warns; with "
        "DOCKERHUB_PROBE_REPOSITORY the registry is asked instead.",
        relied_on=False,
    ),
    Assumption(
        "token-manages-no-tokens",
        "A token's login may not list tokens: 403, in words that the function knows.",
        "If it may, the account's password is not needed any more. If the words are others, a token in place of the "
        f"password is told as a refused login. {_REPORT} (management_login.py).",
        relied_on=False,
    ),
    Assumption(
        "last-used",
        "The list shows under last_used that a token has logged in, some time within a minute.",
        "What a token's last use says of its consumers is older than that, or nothing. Do not go by it when you delete "
        "tokens by hand.",
        relied_on=False,
    ),
    Assumption(
        "registry-login",
        "The registry's token service takes a token as docker login shows it.",
        "testSecret fails, and no token is promoted. Check DOCKERHUB_AUTH_URL and any mirror. "
        f"{_REPORT} (token_login.py).",
    ),
    Assumption(
        "registry-grants",
        "The token service's JWT names under access what it grants.",
        f"Leave DOCKERHUB_PROBE_REPOSITORY unset, or testSecret fails. {_REPORT} (claims.py).",
        relied_on=False,
    ),
    Assumption(
        "registry-takes-its-token",
        "The registry takes the token service's JWT.",
        "Leave DOCKERHUB_PROBE_REPOSITORY unset, or testSecret fails. Check DOCKERHUB_REGISTRY_URL.",
        relied_on=False,
    ),
    Assumption(
        "change-answer",
        "A PATCH answers with the token, and is_active is as asked for.",
        "Each disabling takes one request more, to look. Nothing to set.",
        relied_on=False,
    ),
    Assumption(
        "change-takes-effect",
        "A PATCH of is_active is what the list shows from then on.",
        f"A superseded token stays active. Disable it by hand after each rotation. {_REPORT} (personal_tokens.py).",
    ),
    Assumption(
        "change-keeps-the-rest",
        "A PATCH leaves scopes, creation and expiry as they are.",
        "A token that is disabled or labelled is not the same any more. Look at its scopes in the account settings "
        f"before you enable one again. {_REPORT} (personal_tokens.py).",
    ),
    Assumption(
        "label-kept",
        "A label of up to 100 characters is kept as it is.",
        "A token is not found by its label, and a superseded one stays active. With version ids of your own "
        f"(--client-request-token), keep them at 36 characters. {_REPORT} (token_labels.py).",
    ),
    Assumption(
        "change-again",
        "A PATCH that changes nothing is granted.",
        "A step that is repeated fails. Nothing to set: the next rotation goes on from there. "
        f"{_REPORT} (personal_tokens.py).",
    ),
    Assumption(
        "disabled-at-hub",
        "The Hub API refuses a disabled token's login with 400 or 401 in Docker Hub's form.",
        "A disabled token is not recognized: the step ends with AnswerUnknown instead of mending it, or the token goes "
        f"on working. {_REPORT} (answers.py).",
    ),
    Assumption(
        "disabled-at-registry",
        "The registry's token service refuses a disabled token with 401 or 403 in Docker Hub's form.",
        "A disabled token may go on pulling, or testSecret ends with AnswerUnknown. If a token has leaked, delete it "
        f"instead. {_REPORT} (answers.py).",
    ),
    Assumption(
        "disabled-at-once",
        "Both refuse it from the moment it is disabled.",
        "A leaked token lives so much longer after its rotation; count that in. Nothing to set.",
        relied_on=False,
    ),
    Assumption(
        "enabled-again",
        "A disabled token that is enabled logs in again at once.",
        "testSecret can't mend a pending token that was disabled by hand. In place of a rollback, make a new "
        f"rotation. {_REPORT} (test_secret.py).",
    ),
    Assumption(
        "deletion",
        "A DELETE answers with a success and no body.",
        "Each deletion takes a look at the list more. Nothing to set.",
        relied_on=False,
    ),
    Assumption(
        "list-forgets",
        "The list does not show a deleted token any more.",
        "A token that is gone is counted as there: a retirement says that it failed. The next rotation puts it right. "
        f"{_REPORT} (personal_tokens.py).",
    ),
    Assumption(
        "deletion-again",
        "A second DELETE answers 404 in Docker Hub's form, or as the first.",
        f"A step that is repeated fails where a token is gone already. Nothing to set. {_REPORT} (personal_tokens.py).",
    ),
    Assumption(
        "change-of-gone",
        "A PATCH of a token that is gone answers 404 in Docker Hub's form.",
        "Disabling a token that somebody has deleted fails, and the rotation is repeated. Nothing to set. "
        f"{_REPORT} (personal_tokens.py).",
    ),
    Assumption(
        "gone-token",
        "Reading a token that is gone answers 404 in Docker Hub's form.",
        "A secret whose token was deleted is not rotated by the sandbox that knew it. Invoke the function anew, or "
        f"wait an hour. {_REPORT} (personal_tokens.py).",
    ),
)
