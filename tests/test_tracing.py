"""Traces as a collector receives them, over OpenTelemetry's own protocol."""

import secrets
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from cardshop.common.clock import db_now
from cardshop.common.tracing import here, span, start_tracing
from cardshop.outbox.models import OutboxMessage
from cardshop.outbox.services import promise
from cardshop.traffic.tracing import traced
from cardshop.wsgi import application
from orders.models import Order
from orders.selectors import revealed_keys
from orders.tasks import deliver
from payments.models import PaymentAttempt
from payments.tasks import apply_notices, settle_receipts
from tests.factories import SECRET, make_channel, make_order, make_variant, notice_query, the_shop

pytestmark = pytest.mark.django_db(transaction=True)


class Collector:
    """Keeps the bytes of whatever it is sent."""

    def __init__(self) -> None:
        received = self.received = []

        class Receive(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                received.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Receive)
        Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def spans(self) -> dict[str, list]:
        """All spans so far, by the hexadecimal digits of their trace."""
        trace.get_tracer_provider().force_flush()
        by_trace: dict[str, list] = {}
        for body in self.received:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    for one in scope.spans:
                        by_trace.setdefault(one.trace_id.hex(), []).append(one)
        return by_trace

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """OpenTelemetry takes one provider per process, for good; after this module its spans go nowhere."""
    running = Collector()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.url)
        start_tracing("test")
        yield running
    trace.get_tracer_provider().shutdown()
    running.close()


@pytest.fixture
def shop(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    the_shop()
    transport = httpx.WSGITransport(app=traced(application))
    with httpx.Client(transport=transport, base_url="http://localhost") as client:
        yield client


def request_id() -> str:
    return secrets.token_hex(16)


def pressed(shop: httpx.Client, order: Order, request: str) -> PaymentAttempt:
    answer = shop.post(
        f"/api/v1/orders/{order.token}/payments/",
        json={"method": "alipay"},
        headers={"X-Request-Id": request},
    )
    assert answer.status_code == 201, answer.text
    return PaymentAttempt.objects.get(payment__order=order)


def names(spans: list) -> list[str]:
    return sorted(one.name for one in spans)


def test_from_the_request_to_the_provider_and_from_the_notice_to_the_key(collector, shop, provider):
    channel, order = make_channel(), make_order(make_variant(keys=1), contact_email="lin@example.org")
    pressing, noticing = request_id(), request_id()

    attempt = pressed(shop, order, pressing)
    provider.knows(attempt)
    notice = f"/pay/notify/{channel.slug}/?{notice_query(attempt)}"
    assert shop.get(notice, headers={"X-Request-Id": noticing}).text == "success"
    apply_notices()
    settle_receipts()
    deliver()

    spans = collector.spans()
    by_press, asking = sorted(spans[pressing], key=lambda one: one.name)
    assert by_press.name == "POST api/v1/orders/<slug:token>/payments/"
    assert (asking.name, asking.parent_span_id) == ("provider create", by_press.span_id)
    order.refresh_from_db()
    assert order.status == "delivered"
    assert names(spans[noticing]) == [
        "GET pay/notify/<slug:channel_slug>/",
        "orders.deliver",
        "payments.apply_notices",
        "payments.settle_receipts",
        "provider query",
    ]
    ((_item, (key,)),) = revealed_keys(order)
    told = b"".join(collector.received)
    for secret in (order.token, order.contact_email, attempt.out_trade_no, SECRET, key):
        assert secret.encode() not in told
    assert b"payments.apply_notices" in told


def test_a_batch_is_a_trace_of_its_own_that_names_its_causes(collector, shop, provider):
    make_channel()
    orders = [make_order(make_variant(keys=1)) for _ in range(2)]
    causes = []
    for order in orders:
        with span("a cause"):
            causes.append(here().split("-")[1])
            promise("orders.deliver", [order.pk], shop_id=order.shop_id, now=db_now())

    deliver()

    batches = [one for spans in collector.spans().values() for one in spans if one.name == "orders.deliver"]
    batch = max(batches, key=lambda one: one.start_time_unix_nano)
    assert sorted(link.trace_id.hex() for link in batch.links) == sorted(causes)
    assert batch.trace_id.hex() not in causes


def test_a_strangers_traceparent_is_not_followed(collector, shop):
    stranger = request_id()

    answer = shop.get("/healthz", headers={"traceparent": f"00-{stranger}-{secrets.token_hex(8)}-01"})

    spans = collector.spans()
    assert stranger not in spans
    assert names(spans[answer.headers["X-Request-Id"]]) == ["GET healthz"]


def test_of_an_error_only_its_class_is_told(collector):
    with pytest.raises(ValueError, match="hunter2"), span("that fails"):
        raise ValueError("hunter2")

    (failed,) = [one for spans in collector.spans().values() for one in spans if one.name == "that fails"]
    assert failed.status.message == "ValueError"
    assert b"hunter2" not in b"".join(collector.received)


def test_without_a_collector_nothing_is_in_the_way(monkeypatch):
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)

    assert traced(application) is application
    promise("orders.deliver", [1], shop_id=the_shop().pk, now=db_now())
    assert OutboxMessage.objects.get().cause == ""
