"""`/metrics`: what all processes have counted, and how things stand, as Prometheus reads it."""

import hmac
import shutil
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from cardshop.common.errors import NotHere
from cardshop.common.metrics import FOLDER, counted
from cardshop.operations.standing import Standing, standing

# In production no page is served without X-Forwarded-Proto, so a proxy that works sends that one at least.
SET_BY_PROXIES = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-Ip", "Forwarded", "Via")
# Name: what it says, and its labels.
GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "cardshop_up": ("1 while it answers.", ("part",)),
    "cardshop_outbox_open": ("Promises still to be kept.", ("task",)),
    "cardshop_outbox_age_seconds": ("Since the oldest open promise was made.", ("task",)),
    "cardshop_outbox_given_up": ("Promises that failed too often and wait for a person.", ("task",)),
    "cardshop_webhook_deliveries_open": ("Deliveries to webhooks still to be made.", ()),
    "cardshop_webhook_age_seconds": ("Since the oldest of them was promised.", ()),
    "cardshop_webhook_late_seconds": ("Since one was due to a webhook that answers.", ()),
    "cardshop_attention": ("What waits for a person.", ("kind",)),
    "cardshop_unpaid_orders": ("Orders that hold stock and are not paid yet.", ()),
    "cardshop_line_tickets": ("Tickets that wait in line.", ("variant",)),
    "cardshop_line_present": ("Of the first thousand in line, those whose page looks.", ("variant",)),
    "cardshop_line_backlog": ("Clicks let in and not settled yet.", ("variant",)),
    "cardshop_line_served": ("1 while an allocator serves the line.", ("variant",)),
    "cardshop_stock_units": ("Of a variant with a line: free, held or sold.", ("variant", "state")),
    "cardshop_breaker_open": (
        "1 while a channel is not asked for that.",
        ("shop", "method", "channel", "operation"),
    ),
    "cardshop_channel_success_ratio": (
        "Of those who begin to pay, the share that does, where it is known.",
        ("shop", "method", "channel"),
    ),
    "cardshop_metrics_bytes": ("Of the files in which processes count.", ()),
    "cardshop_metrics_disk_free_ratio": ("Of the disk that they are on.", ()),
}


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """For whom `may_read`; for all others there is no such page."""
    if not may_read(request):
        raise NotHere
    registry = CollectorRegistry(auto_describe=False)
    registry.register(counted())
    registry.register(StandingCollector())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def may_read(request: HttpRequest) -> bool:
    """With METRICS_TOKEN set, whoever shows it. Without, who calls from loopback or a private network and not
    through a proxy: of what comes through one the address may be the proxy's, and then all the world looks
    local.
    """
    if settings.METRICS_TOKEN:
        given = request.headers.get("Authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {settings.METRICS_TOKEN}".encode())
    if any(name in request.headers for name in SET_BY_PROXIES):
        return False
    try:
        return ip_address(request.META["REMOTE_ADDR"]).is_private
    except ValueError:  # a UNIX socket has none, and a proxy at its other end
        return False


class StandingCollector(Collector):
    """The gauges. They are read for each scrape, so none speaks of what is no more."""

    def collect(self) -> Iterator[Metric]:
        families = {
            name: GaugeMetricFamily(name, text, labels=labels) for name, (text, labels) in GAUGES.items()
        }
        for name, labels, value in (*_samples(standing()), *_files()):
            families[name].add_metric(labels, value)
        yield from families.values()


Sample = tuple[str, tuple[str, ...], float]


def _samples(now: Standing) -> Iterable[Sample]:
    yield "cardshop_up", ("postgresql",), now.has_postgresql
    yield "cardshop_up", ("redis",), now.has_redis
    if not now.has_postgresql:
        return
    yield "cardshop_unpaid_orders", (), now.unpaid
    for task, promises in now.outbox.items():
        yield "cardshop_outbox_open", (task,), promises.open
        yield "cardshop_outbox_age_seconds", (task,), promises.age
        yield "cardshop_outbox_given_up", (task,), promises.given_up
    yield "cardshop_webhook_deliveries_open", (), now.webhooks.open
    yield "cardshop_webhook_age_seconds", (), now.webhooks.age
    yield "cardshop_webhook_late_seconds", (), now.webhooks.late
    for kind, waiting in now.attention.items():
        yield "cardshop_attention", (kind,), waiting
    yield from _of_lines(now)
    yield from _of_channels(now)


def _of_lines(now: Standing) -> Iterable[Sample]:
    for code, line in now.lines.items():
        yield "cardshop_line_tickets", (code,), line.in_line
        yield "cardshop_line_served", (code,), line.is_served
        units = {"free": line.stand.free, "held": line.stand.unpaid, "sold": line.stand.sold}
        for state, count in units.items():
            yield "cardshop_stock_units", (code, state), count
        if line.gate:
            yield "cardshop_line_present", (code,), line.gate.present
            yield "cardshop_line_backlog", (code,), line.gate.in_stream


def _of_channels(now: Standing) -> Iterable[Sample]:
    for seen in now.channels:
        labels = (seen.channel.shop.slug, seen.channel.method, seen.channel.slug)
        for operation, is_open in seen.left_alone.items():
            yield "cardshop_breaker_open", (*labels, operation), is_open
        if seen.success is not None:
            yield "cardshop_channel_success_ratio", labels, seen.success


def _files() -> Iterable[Sample]:
    if FOLDER:
        usage = shutil.disk_usage(FOLDER)
        size = sum(path.stat().st_size for path in Path(FOLDER).iterdir())
        yield "cardshop_metrics_bytes", (), size
        yield "cardshop_metrics_disk_free_ratio", (), usage.free / usage.total
