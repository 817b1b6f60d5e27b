"""Load shedding: a process that cannot keep up refuses what matters least, in front of Django.

The signal is how long requests wait for a thread, as in WeChat's overload control (DAGOR, SoCC 2018), and not
how busy anything is: a busy server that nobody waits for is a good one. Wherever requests wait anyhow for
longer than somebody who only looks round has patience for, nothing is lost by saying so at once. As CoDel
does it (RFC 8289; for servers: Maurer, "Fail at Scale", ACM Queue 2015), a burst is none: the queue must have
stood for a while, without a single request that hardly waited.

Each kind of request has its own patience. Refusing costs next to nothing, so the queue settles at the
patience of those who are refused, and all others wait no longer than that.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog
from csp.utils import build_policy
from django.template.loader import render_to_string
from django.utils import translation

from cardshop.traffic.errors import MESSAGES, try_again_in, was_sent
from cardshop.traffic.metrics import shed
from cardshop.traffic.middleware import language_of_path
from cardshop.traffic.short_way import JSON, language_accepted, request_id, security_headers
from cardshop.traffic.waiting import waited

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

logger = structlog.get_logger(__name__)

HARDLY = 0.01  # seconds; who waited no longer found a free thread
STANDS_AFTER = 1.0  # seconds without such a one
TOLD_EVERY = 10.0  # seconds, in the log

Patience = Callable[[str, str], float | None]
"""Method and path to the seconds that such a request may have waited; None: it is always served."""


class Shedder:
    """Whether this process refuses a request.

    `refused` counts, since the process began, by patience.
    """

    def __init__(self) -> None:
        self.refused: Counter[float] = Counter()
        self._last_hardly_waited = time.monotonic()
        self._told_at = 0.0

    def refuses(self, wait: float, patience: float | None) -> bool:
        """`wait` and `patience` in seconds. To be asked about every request: it learns from each."""
        now = time.monotonic()
        if wait <= HARDLY:
            self._last_hardly_waited = now
        if patience is None or wait <= patience or now - self._last_hardly_waited < STANDS_AFTER:
            return False
        self.refused[patience] += 1
        shed.labels(f"{patience:g}").inc()
        if now - self._told_at >= TOLD_EVERY:
            self._told_at = now
            logger.warning("shedding", waited=round(wait, 3), refused=dict(self.refused))
        return True


shedder = Shedder()


def shedding(inner: "WSGIApplication", patience_of: Patience) -> "WSGIApplication":
    """`inner`, in front of which a 503 with Retry-After answers what is too much."""

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if shedder.refuses(waited(), patience_of(environ["REQUEST_METHOD"], environ["PATH_INFO"])):
            return _refuse(environ, start_response)
        return inner(environ, start_response)

    return application


def _refuse(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    path, again_in = environ["PATH_INFO"], try_again_in()
    if path.startswith("/api/"):
        language = language_accepted(environ.get("HTTP_ACCEPT_LANGUAGE", ""))
        headers, body = [("Content-Type", JSON), ("Vary", "Accept-Language")], _json(language)
    else:
        language = language_of_path(path)
        headers = [("Content-Type", "text/html; charset=utf-8"), ("Content-Security-Policy", _policy())]
        body = _page(language, again_in, was_sent(environ["REQUEST_METHOD"]))
    start_response(
        f"503 {HTTPStatus(503).phrase}",
        [
            *headers,
            ("Content-Language", language),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("Retry-After", str(again_in)),
            ("X-Request-Id", request_id(environ)),
            *security_headers(),
        ],
    )
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


@lru_cache(maxsize=64)
def _page(language: str, again_in: int, sent: bool) -> bytes:
    with translation.override(language):
        said = {"status": 503, "message": MESSAGES["overloaded"], "again_in": again_in, "was_sent": sent}
        return render_to_string("error.html", said).encode()


@lru_cache(maxsize=8)
def _json(language: str) -> bytes:
    with translation.override(language):
        said = {"code": "overloaded", "message": str(MESSAGES["overloaded"]), "fields": {}}
    return json.dumps(said, ensure_ascii=False).encode()


@lru_cache(maxsize=1)
def _policy() -> str:
    return str(build_policy())
