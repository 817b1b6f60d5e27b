"""Redis: the one that pages are kept in, and the one that lets people into lines; often the same."""

import statistics
import time
from collections.abc import Iterator
from typing import Any

import redis
from django.conf import settings
from django.utils.translation import gettext as _

from cardshop.operations.doctor.findings import Finding, ok, problem, warning
from inventory.models import Selling, Variant
from orders.admission.gate import forgets

OLDEST_VERSION = (6, 2)
SLOW, TOO_SLOW = 0.01, 0.1  # seconds; a click is one call
TRIES = 15
NEARLY_FULL = 0.9


def look_at_cache() -> Iterator[Finding]:
    """Where pages are kept, limits counted and breakers remembered."""
    yield from _look_at(settings.CACHES["default"]["LOCATION"])


def look_at_admission() -> Iterator[Finding]:
    """Where lines live: it must not forget."""
    url = settings.ADMISSION_REDIS_URL
    try:
        memory, persistence = _connect(url).info("memory"), _connect(url).info("persistence")
    except redis.RedisError:
        yield _away()
        return
    if policy := forgets(memory):
        yield problem(
            _("The Redis that lines live in evicts what it has no room for (%(policy)s).")
            % {"policy": policy},
            _("Set maxmemory-policy noeviction there, or name another server in ADMISSION_REDIS_URL."),
        )
    saves = _connect(url).config_get("save").get("save") if not persistence["aof_enabled"] else "aof"
    if not saves and Variant.objects.filter(selling=Selling.QUEUED).exists():
        yield warning(
            _("The Redis that lines live in writes nothing to disk."),
            _("Set appendonly yes: after a restart, clicks of the last moment would have to be made again."),
        )
    if url == settings.CACHES["default"]["LOCATION"]:
        yield ok(_("Lines and pages share one Redis."))
    else:
        yield from _look_at(url)


def _look_at(url: str) -> Iterator[Finding]:
    client = _connect(url)
    try:
        version = str(client.info("server")["redis_version"])
    except redis.RedisError:
        yield _away()
        return
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_VERSION:
        yield problem(
            _("Redis %(version)s is too old: the shop needs 6.2 or newer.") % {"version": version},
            _("Upgrade it; it holds nothing that PostgreSQL could not give back."),
        )
    yield from _what_is_wrong(client)
    seconds = _latency(client)
    said = _("Redis %(version)s answers within %(ms).1f ms.") % {"version": version, "ms": seconds * 1000}
    if seconds > SLOW:
        say = problem if seconds > TOO_SLOW else warning
        yield say(said, _("Put it nearer, or see what keeps it busy (SLOWLOG GET, a swapping machine)."))
    else:
        yield ok(said)


def _away() -> Finding:
    return problem(
        _("Redis does not answer: nobody gets into a line, and nothing is counted or kept for display."),
        _(
            "Start it, and see that the address in REDIS_URL (ADMISSION_REDIS_URL) is right. Orders, "
            "payments and deliveries go on meanwhile."
        ),
    )


def _what_is_wrong(client: Any) -> Iterator[Finding]:
    persistence, memory = client.info("persistence"), client.info("memory")
    failed = [
        persistence["aof_enabled"] and persistence.get("aof_last_write_status") != "ok",
        persistence.get("rdb_last_bgsave_status") != "ok",
    ]
    if any(failed):
        yield problem(
            _("Redis cannot write to its disk, and takes no writes then."),
            _("Make room on its disk, and see that the folder belongs to it."),
        )
    most = memory.get("maxmemory", 0)
    if most and memory["maxmemory_policy"] == "noeviction" and memory["used_memory"] > NEARLY_FULL * most:
        yield problem(
            _("Redis has used %(share)d %% of its memory, and takes no writes beyond all of it.")
            % {"share": 100 * memory["used_memory"] / most},
            _("Raise maxmemory."),
        )


def _latency(client: Any) -> float:
    """The median of some tries, in seconds."""
    took = []
    for _try in range(TRIES):
        began = time.monotonic()
        client.ping()
        took.append(time.monotonic() - began)
    return statistics.median(took)


def _connect(url: str) -> Any:
    """A redis.Redis, untyped as in orders.admission.gate."""
    return redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=1)
