"""Measures logins: with the password, with the token, and at the registry."""

from typing import Any

from dockerhub_rotation.docker_hub import answers, claims
from dockerhub_rotation.errors import CredentialRefused, DockerHubRefused, LoginRefused
from dockerhub_rotation.preflight.bench import Bench, after, not_seen
from dockerhub_rotation.preflight.findings import shape
from dockerhub_rotation.settings import SCOPES

# Shorter, and two steps of a rotation may need a login each.
_LOGIN_SECONDS = 300
# Anybody may pull it.
_REPOSITORY = "library/hello-world"


def configured_login(bench: Bench) -> None:
    """Log in with the password as the function does, and see what the answers say of themselves."""
    found = bench.findings
    with found.judging("configured-login"):
        try:
            page = bench.page(1)
        except CredentialRefused as refused:
            found.note("configured-login", False, f"{bench.settings.login}; {shape(bench.http.login)}: {refused}")
            return
        found.note("configured-login", page.success, f"{bench.settings.login}; the list answers {shape(page)}")
        found.note("requests-left", answers.requests_left(page) is not None, _rate_limit(page))
        ahead = round(bench.http.clock_ahead)
        differs = f"this machine's clock is {abs(ahead)} s {'behind' if ahead > 0 else 'ahead'}" if ahead else "told"
        has_date = answers.date(page) is not None
        found.note("date", has_date, differs if has_date else "not told")
    if not found.holds("configured-login"):
        return
    said = _claims(bench)
    name = claims.identity(said).username
    found.note("login-names-account", name is not None, "named" if name else "not named")  # another one is refused
    ends_at = said.get("exp")
    left = round(ends_at - bench.http.now()) if isinstance(ends_at, int | float) else None
    told = "not told" if left is None else f"in {left} s"
    found.note("login-ends", left is not None and left >= _LOGIN_SECONDS, told)


def other_login(bench: Bench) -> None:
    """Log in with the password as the function is not configured to, whatever that costs."""
    found = bench.findings
    login = bench.other_login()
    is_auth_token = bench.settings.login == "users-login"
    let_in = not (is_auth_token and bench.account.totp_seed)
    name = "auth-token" if is_auth_token else "users-login"
    with found.judging("other-login"):
        try:
            page = login.send("Listing the tokens", "GET", bench.path, params={"page": 1, "page_size": 1})
            found.note("other-login", page.success and let_in, f"{name} takes it; the list answers {shape(page)}")
        except CredentialRefused:
            found.note("other-login", not let_in, f"{name} refuses it: {shape(bench.http.login)}")


def token_login(bench: Bench) -> None:
    """Log in with the token at the Hub API."""
    found = bench.findings
    with found.judging("token-login"):
        try:
            identity = bench.login.identify(bench.username, bench.token.value)
        except LoginRefused:
            found.note("token-login", False, f"refused: {shape(bench.http.login)}")
            return
        found.note("token-login", True, shape(bench.http.login))
        uuid, name, scopes = identity.token_uuid, identity.username, identity.scopes
        same = uuid is not None and uuid.lower() == bench.token.uuid.lower()
        found.note("token-login-names-token", same, _named(uuid, same))
        ours = name is not None and bench.is_owner(name)
        found.note("token-login-names-account", ours, _named(name, ours))
        if "scopes" in bench.asked:
            found.note("token-login-names-scopes", scopes == frozenset(bench.settings.scopes), _scopes(scopes))
        else:
            found.skip("token-login-names-scopes", "Tokens of this kind have none.")
    if found.holds("token-login"):
        _manage_tokens(bench)


def _manage_tokens(bench: Bench) -> None:
    with bench.findings.judging("token-manages-no-tokens"):
        bearer = bench.http.login.text("access_token") if bench.http.login else ""
        answer = bench.http.send(
            "Listing the tokens with a token's login",
            "GET",
            bench.settings.api_url + bench.path,
            params={"page": 1, "page_size": 1},
            headers={"Authorization": f"Bearer {bearer}"},
        )
        known = answer.status == 403 and "token issued from" in answer.said()
        bench.findings.note("token-manages-no-tokens", known, shape(answer))


def last_used(bench: Bench) -> None:
    """See when the list shows that the token has logged in."""
    found = bench.findings
    with found.judging("last-used"):
        if bench.token.told.get("last_used"):
            found.note("last-used", False, "told before the token has logged in")
            return
        if not (found.holds("token-login") or found.holds("registry-login")):
            found.skip("last-used", "The token has not logged in.")
            return
        seconds = bench.seconds_until(lambda: bool((bench.listed() or {}).get("last_used")))
        if seconds is None:
            found.not_seen("last-used", not_seen("a last use"))
        else:
            found.note("last-used", True, after(seconds))


def registry_login(bench: Bench) -> None:
    """Log in with the token as docker login does, and ask for a pull that anybody is granted."""
    found = bench.findings
    with found.judging("registry-login"):
        try:
            bench.login.log_in_to_registry(bench.username, bench.token.value)
            found.note("registry-login", True, shape(bench.http.login))
        except LoginRefused:
            found.note("registry-login", False, f"refused: {shape(bench.http.login)}")
    if found.holds("registry-login"):
        with found.judging("registry-grants"):
            _pull(bench)


def _pull(bench: Bench) -> None:
    found, taken = bench.findings, False
    try:
        bench.login.log_in_to_registry(bench.username, bench.token.value, _REPOSITORY)
        taken = True
    except (DockerHubRefused, LoginRefused):
        pass  # of which of the two requests, the answer to the first tells
    granted = "pull" in claims.granted(_claims(bench), _REPOSITORY)
    said = f"pull on {_REPOSITORY} {'granted' if granted else 'not granted'}: {shape(bench.http.login)}"
    found.note("registry-grants", granted, said)
    if granted:
        found.note("registry-takes-its-token", taken, "taken" if taken else "refused")


def _claims(bench: Bench) -> dict[str, Any]:
    """Return the claims of the latest login's JWT."""
    login = bench.http.login
    jwt = login and next((login.says(key) for key in ("access_token", "token") if login.says(key)), None)
    return claims.read(jwt) if isinstance(jwt, str) else {}


def _named(what: str | None, same: bool) -> str:
    return "named" if same else "not named" if what is None else "another one is named"


def _scopes(scopes: frozenset[str] | None) -> str:
    known = [scope for scope in SCOPES if scope in (scopes or ())]
    others = len(scopes or ()) - len(known)
    return ", ".join(known + ([f"{others} unknown"] if others else [])) or "not named"


def _rate_limit(page: answers.Answer) -> str:
    told = sorted(name for name in page.headers if "ratelimit" in name)
    limit = page.headers.get("x-ratelimit-limit", "")
    named = ", ".join(told[:8]) or "no such header"
    return f"{named}; {limit} a minute" if limit.isdecimal() and len(limit) < 10 else named
