"""One request to Docker Hub, with its timeouts, its repetitions and its counters. The only importer of httpx."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from itertools import count
from typing import Any

import httpx

from dockerhub_rotation import __version__
from dockerhub_rotation.deadline import Deadline, jitter
from dockerhub_rotation.docker_hub import answers, network
from dockerhub_rotation.docker_hub.answers import Answer
from dockerhub_rotation.docker_hub.network import Network
from dockerhub_rotation.errors import DockerHubUnavailable, LockedOut, RateLimited, SettingsInvalid

_CONNECT_SECONDS = 5.0
# A host's addresses are tried one after the other, each for so long: this many fit into half of the time left.
_ADDRESSES = 8
_READ_SECONDS = 10.0
# The largest answer of Docker Hub, a page of a hundred tokens, has a twentieth of it.
_MAX_BODY = 1 << 20
_TRIES = 4
# Docker Hub tells its time in whole seconds, and an answer takes a moment.
_CLOCKS_AGREE_SECONDS = 3
# Those who wait for the request limit are spread over this at most.
_MAX_SPREAD_SECONDS = 60

# Raised before the request was sent. A proxy refuses the tunnel through which it would have gone.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)

_LOCKED_OUT = (
    "Docker Hub has locked this user name for 10 to 15 minutes after too many failed logins, for every consumer too. "
    "Look for whoever still logs in with an old token or password."
)


class _Transport(httpx.BaseTransport):
    """Sends each request directly, or through the proxy."""

    def __init__(self, way: Network) -> None:
        self._way = way
        # One for all: each takes as long to make as the rest of the client. The usual authorities are httpx's own.
        context = httpx.create_ssl_context(way.authorities or True, trust_env=False)
        self._direct = self._through_proxy = httpx.HTTPTransport(context)
        if way.proxy:
            proxy = httpx.Proxy(
                httpx.URL(scheme=way.proxy.scheme, host=way.proxy.host, port=way.proxy.port),
                auth=way.proxy.login,
                ssl_context=context if way.proxy.scheme == "https" else None,
            )
            self._through_proxy = httpx.HTTPTransport(context, proxy=proxy)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self._way.is_direct(request.url.scheme, request.url.host, request.url.port):
            return self._direct.handle_request(request)
        try:
            return self._through_proxy.handle_request(request)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            # A tunnel in which TLS fails is never given back: https://github.com/encode/httpcore/issues/1023
            self._through_proxy.close()
            raise

    def close(self) -> None:
        self._direct.close()
        self._through_proxy.close()


class Pool:
    """What outlives an invocation: the open connections, and how full Docker Hub was.

    Args:
        transport: how requests travel; None for the way that the environment describes. A rehearsal of many sandboxes
            needs another.

    Raises:
        SettingsInvalid: the environment describes none.

    Attributes:
        client: open connections.
        spread: since the request limit was used up here, over how many seconds to spread those who wait for it.
    """

    def __init__(self, transport: httpx.BaseTransport | None = None) -> None:
        self.client = httpx.Client(
            transport=transport or _Transport(network.read()),
            trust_env=False,
            # Packed, a small answer may stand for one that fills the memory.
            headers={"User-Agent": f"dockerhub-rotation/{__version__}", "Accept-Encoding": "identity"},
            # One login must not speak for another: no cookie is kept.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
        )
        self.spread = 0.0

    def close(self) -> None:
        """Close the open connections."""
        self.client.close()


@dataclass(frozen=True)
class _Failure:
    """Why a try was in vain, and how to go on.

    Attributes:
        error: what is raised if there is no further try.
        had_no_effect: whether it is sure that nothing was done.
        pause: seconds that the next try must wait at least.
        spread: over how many seconds more to spread those who wait.
    """

    error: DockerHubUnavailable | RateLimited
    had_no_effect: bool
    pause: float
    spread: float = 0.0


class Http:
    """Requests to Docker Hub, for one invocation.

    Attributes:
        requests: how many were made.
        requests_left: in the current minute, as Docker Hub last said; None if it has not.
        clock_ahead: by how many seconds Docker Hub's clock is ahead of this machine's; 0 if they agree.
    """

    def __init__(self, pool: Pool, deadline: Deadline) -> None:
        self.requests = 0
        self.requests_left: int | None = None
        self.clock_ahead = 0.0
        self._pool = pool
        self._deadline = deadline

    def now(self) -> float:
        """Return the time by Docker Hub's clock, in seconds since 1970, as far as it has told."""
        return time.time() + self.clock_ahead

    def send(
        self,
        what: str,
        method: str,
        url: str,
        *,
        repeatable: bool = True,
        tries: int = _TRIES,
        spare_seconds: float = 1,
        before: Callable[[], None] = lambda: None,
        **content: Any,
    ) -> Answer:
        """Make a request and return its answer: anything below 500 but 429.

        Transport errors, 5xx and 429 are repeated with jittered back-off, as long as the invocation has time. What is
        not repeatable is repeated only if it surely had no effect: no connection was made, or the answer is 429.
        Nothing is repeated that lasts until somebody mends it, such as a certificate that is not trusted.

        Args:
            what: what is asked for, as messages call it.
            spare_seconds: no try begins with less time left.
            before: called directly before each try; what it raises ends them.
            content: headers, params, json and auth, as httpx takes them.

        Raises:
            DockerHubUnavailable: no answer, or a 5xx; it may have had its effect.
            SettingsInvalid: there is no way to Docker Hub without a change of the environment; it was not made.
            RateLimited: the request limit lasts longer than this invocation.
            LockedOut: the user name is locked.
            OutOfTime: there is no time for it; it was not made.
        """
        self._begin_at_a_moment_of_its_own()
        for attempt in count(1):
            before()
            self._deadline.require(spare_seconds, what)
            result = self._try(what, method, url, content, pause=jitter(0.5, at_least=0.1) * 2**attempt)
            if isinstance(result, Answer):
                return result
            may_repeat = attempt < tries and (repeatable or result.had_no_effect)
            if not may_repeat or not self._deadline.pause(result.pause, spread=result.spread, spare=spare_seconds):
                raise result.error
        raise AssertionError("unreachable")

    def _begin_at_a_moment_of_its_own(self) -> None:
        """Wait a little, if a step failed here that could not wait for the request limit.

        The rotation's next attempt may begin when those of the others do that failed with it. Without this, they would
        use the limit up together once more, and none would get to its end.
        """
        if self.requests == 0 and self._pool.spread:
            self._deadline.pause(0, spread=self._pool.spread, spare=0)

    def _try(self, what: str, method: str, url: str, content: Mapping[str, Any], *, pause: float) -> Answer | _Failure:
        """Make a request once.

        What bounds it: each phase its timeout, the body its size and the time left. Nothing here bounds what takes its
        time between the two: the resolution of a name, and headers of which each piece comes within the timeout.
        """
        seconds_left = self._deadline.seconds_left()
        timeout = httpx.Timeout(
            min(_READ_SECONDS, seconds_left / 2), connect=min(_CONNECT_SECONDS, seconds_left / 2 / _ADDRESSES)
        )
        self.requests += 1
        try:
            with self._pool.client.stream(method, url, timeout=timeout, **content) as response:
                body = self._body(response)
                answer = Answer(what, response.status_code, dict(response.headers), body or b"")
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict, TimeoutError) as cause:
            # httpx has the status in its text alone.
            refused_by_proxy = re.match("[0-9]{3}", str(cause)) if isinstance(cause, httpx.ProxyError) else None
            failure = network.no_answer(what, cause, refused_by_proxy[0] if refused_by_proxy else "")
            had_no_effect = isinstance(cause, _NOT_SENT)
        else:
            return self._judged(answer, pause) if body is not None else _Failure(answer.unexpected(), False, pause)
        # Out here it is raised without a context: a library's exception holds the request, and may quote the answer.
        if isinstance(failure, SettingsInvalid):
            raise failure
        return _Failure(failure, had_no_effect, pause)

    def _body(self, response: httpx.Response) -> bytes | None:
        """Return the body, or None for one that can't be Docker Hub's: it is too large, or packed against our wish.

        Raises:
            httpx.HTTPError: it breaks off.
            TimeoutError: it drips, and would not end before the time that is left does.
        """
        # For each piece of it; httpcore looks here again when the body begins.
        patience = response.request.extensions["timeout"]["read"] = max(
            0.1, min(_READ_SECONDS, self._deadline.seconds_left() / 2)
        )
        body = bytearray()
        for piece in response.iter_raw():
            body += piece
            if len(body) > _MAX_BODY:
                return None
            if self._deadline.seconds_left() < patience:
                raise TimeoutError
        packed = response.headers.get("content-encoding", "identity").strip().lower() != "identity"
        return None if body and packed else bytes(body)

    def _judged(self, answer: Answer, pause: float) -> Answer | _Failure:
        """Return an answer that is worth one, or why the request was in vain."""
        self._note(answer)
        if answer.status in (401, 403, 429) and re.search("too many (failed )?login", answer.said()):
            raise LockedOut(_LOCKED_OUT)
        if answer.status == 429:
            # The earlier in a minute its requests are used up, the longer is the wait, and the more wait.
            told = answers.seconds_to_wait(answer, now=self.now())
            spread = self._pool.spread = min(told / 4, _MAX_SPREAD_SECONDS)
            pause = max(pause, told)
            limited = RateLimited(
                f"{answer.what}: Docker Hub's request limit is used up, for {pause:.0f} s more. Spread "
                "the rotations of an account over the day."
            )
            return _Failure(limited, True, pause, spread)
        if answer.status >= 500:
            unavailable = DockerHubUnavailable(
                f"{answer.what}: Docker Hub answered {answer.status}. See https://www.dockerstatus.com."
            )
            return _Failure(unavailable, False, pause)
        self._pool.spread = 0.0
        return answer

    def _note(self, answer: Answer) -> None:
        """Keep what any answer may tell beside what was asked for. One that does not tell it takes nothing back."""
        left, date = answers.requests_left(answer), answers.date(answer)
        if left is not None:
            self.requests_left = left
        if date is not None:
            ahead = date - time.time()
            self.clock_ahead = ahead if abs(ahead) > _CLOCKS_AGREE_SECONDS else 0.0
