"""What is counted of requests, and of what protects them."""

import os

from cardshop.common.metrics import SECONDS, Counter, Histogram

# Of the processes that gunicorn runs for one purpose: the Procfile names them.
POOL = os.environ.get("WEB_POOL", "web")
NO_ROUTE = "-"
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_PARTS = {"api/": "api", "admin/": "admin", "pay/notify/": "notice", NO_ROUTE: "none"}

requests = Counter(
    "cardshop_http_requests",
    "Requests answered, by route. `-` is none of ours: static files, and what is not found.",
    ["pool", "part", "route", "method", "status"],
)
# Not by route, which would make a thousand series of each process: the log has the milliseconds of each.
request_seconds = Histogram(
    "cardshop_http_request_seconds", "How long answers took.", ["pool", "part"], buckets=SECONDS
)
database_errors = Counter(
    "cardshop_database_errors", "Requests answered with 503 because PostgreSQL did not answer."
)
redis_errors = Counter("cardshop_redis_errors", "Calls that Redis did not answer, by what for.", ["use"])
breaker_moves = Counter(
    "cardshop_breaker_moves", "Breakers that opened or closed, each by its name.", ["breaker", "to"]
)
rate_limited = Counter("cardshop_rate_limited", "What was refused for coming too often.", ["limit"])
shed = Counter(
    "cardshop_shed", "Requests turned away under load, by the seconds that they may wait.", ["patience"]
)
gone = Counter("cardshop_gone", "Requests not served because who sent them had hung up while they waited.")
cache_requests = Counter(
    "cardshop_cache_requests", "Looks into caches, by what came of them (hit, miss).", ["cache", "outcome"]
)


def count_request(*, route: str, method: str, status: int, seconds: float, part: str = "") -> None:
    """One answer. `part` is that of the route, unless it is given."""
    part = part or next((part for prefix, part in _PARTS.items() if route.startswith(prefix)), "page")
    known = method if method in _METHODS else "other"  # strangers choose it
    requests.labels(POOL, part, route, known, f"{status // 100}xx").inc()
    request_seconds.labels(POOL, part).observe(seconds)
