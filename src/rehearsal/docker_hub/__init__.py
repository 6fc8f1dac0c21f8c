"""Docker Hub in memory: its API, the registry's token service and the registry's front door.

The paths of the three hosts do not collide, so one Flask app carries them all::

    hub.docker.com          POST /v2/users/login  /v2/users/2fa-login  /v2/auth/token
                            GET, POST /v2/access-tokens    GET, PATCH, DELETE /v2/access-tokens/<uuid>
                            GET, POST /v2/orgs/<name>/access-tokens
                            GET, PATCH, DELETE /v2/orgs/<name>/access-tokens/<id>
    auth.docker.io          GET /token
    registry-1.docker.io    GET /v2/

It behaves as Docker documents (https://docs.docker.com/reference/api/hub/latest/ and
https://docs.docker.com/reference/api/registry/auth/) and, where the documents are silent, as users have
reported of the real one; each such place names its report. Where nothing at all is known it takes the reading
that is harder on a client.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from email.utils import format_datetime
from typing import TYPE_CHECKING

import flask
from flask import Flask, Response, request

from rehearsal.docker_hub.account import Organization, Role
from rehearsal.docker_hub.answers import json_answer
from rehearsal.docker_hub.faults import Fault, Served
from rehearsal.docker_hub.logins import HUB, Standing
from rehearsal.docker_hub.organizations import OrganizationTokens
from rehearsal.docker_hub.personal_tokens import PersonalTokens
from rehearsal.docker_hub.registry import REGISTRY, Registry
from rehearsal.docker_hub.tokens import OrganizationToken, Resource, Token

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = [
    "HUB",
    "REGISTRY",
    "DockerHub",
    "Fault",
    "Organization",
    "OrganizationToken",
    "Resource",
    "Role",
    "Served",
    "Standing",
    "Token",
]

HUB_PATHS = ("/v2/users/", "/v2/auth/", "/v2/access-tokens", "/v2/orgs/")


class DockerHub(PersonalTokens, OrganizationTokens, Registry):
    """An in-memory Docker Hub that knows one account, and the organizations that it belongs to.

    It is made with what `Account` takes. Serve `app` over HTTP, or call it in-process through
    `httpx.WSGITransport(app=hub.app)`. Requests are served one at a time, under `lock`; another thread that walks
    through `tokens` meanwhile should hold it too.

    Attributes:
        app: The Flask application.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self.app = self._build_app()
        self._hub_requests: Counter[int] = Counter()  # by minute since the epoch

    def _build_app(self) -> Flask:
        app = Flask(__name__, static_folder=None)
        app.testing = True  # a mistake in here is an exception, not a 500 that looks like Docker Hub's
        app.before_request(self._before_request)
        app.after_request(self._after_request)
        app.post("/v2/auth/token")(self._auth_token)
        app.post("/v2/users/login")(self._users_login)
        app.post("/v2/users/2fa-login")(self._second_factor_login)
        app.post("/v2/access-tokens")(self._create_token)
        app.get("/v2/access-tokens")(self._list_tokens)
        app.get("/v2/access-tokens/<uuid>")(self._get_token)
        app.patch("/v2/access-tokens/<uuid>")(self._patch_token)
        app.delete("/v2/access-tokens/<uuid>")(self._delete_token)
        organization_tokens = "/v2/orgs/<organization>/access-tokens"
        app.post(organization_tokens)(self._create_organization_token)
        app.get(organization_tokens)(self._list_organization_tokens)
        app.get(f"{organization_tokens}/<uuid>")(self._get_organization_token)
        app.patch(f"{organization_tokens}/<uuid>")(self._patch_organization_token)
        app.delete(f"{organization_tokens}/<uuid>")(self._delete_organization_token)
        app.get("/token")(self._registry_token)
        app.get("/v2/")(self._registry)
        serve = app.wsgi_app

        def one_at_a_time(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            with self.lock:
                return serve(environ, start_response)

        app.wsgi_app = one_at_a_time  # type: ignore[method-assign]  # where Flask wants middleware
        return app

    def _before_request(self) -> Response | None:
        fault = next((fault for fault in self.faults if fault.matches(request.method, request.path)), None)
        flask.g.fault = fault
        if fault is not None:
            self.faults.remove(fault)
            if not fault.after_effect:
                return fault.answer()
        return self._rate_limit_refusal() if request.path.startswith(HUB_PATHS) else None

    def _after_request(self, response: Response) -> Response:
        fault: Fault | None = flask.g.fault
        if fault is not None:
            response = fault.answer()
        elif request.path.startswith(HUB_PATHS):
            minute = self._minute()
            remaining = max(0, self.rate_limit_per_minute - self._hub_requests[minute])
            response.headers["X-RateLimit-Limit"] = str(self.rate_limit_per_minute)
            response.headers["X-RateLimit-Remaining"] = str(remaining)
            response.headers["X-RateLimit-Reset"] = str((minute + 1) * 60)
        response.headers["Date"] = format_datetime(self._now(), usegmt=True)
        self.requests.append(Served(request.method, request.path, response.status_code))
        return response

    def _rate_limit_refusal(self) -> Response | None:
        minute = self._minute()
        self._hub_requests[minute] += 1
        if self._hub_requests[minute] <= self.rate_limit_per_minute:
            return None
        reset = (minute + 1) * 60
        wait = math.ceil(reset - self.clock()) if self.retry_after == "seconds" else reset
        response = json_answer(429, detail="Rate limit exceeded", error=False)
        response.headers["X-Retry-After" if self.retry_after == "x-header" else "Retry-After"] = str(wait)
        return response

    def _minute(self) -> int:
        return int(self.clock() // 60)
