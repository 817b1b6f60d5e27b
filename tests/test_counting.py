"""What happens is counted, each thing once, under labels that name no one."""

from contextlib import suppress
from smtplib import SMTPRecipientsRefused

import pytest
import redis
from celery import shared_task
from django.core.mail import EmailMessage
from django.db import OperationalError, transaction
from django.test import Client
from prometheus_client import REGISTRY

from cardshop.common.clock import db_now
from cardshop.outbox.services import drain, promise
from cardshop.traffic.breakers import Breaker, BreakerOpen
from cardshop.traffic.bulkheads import NoPlace
from cardshop.traffic.short_way import OutOfTheOrdinary, short_ways
from orders.errors import LineUnavailable
from orders.services.mail import post
from orders.services.transitions import transition
from payments.checkout.limits import count_code
from payments.errors import TooManyTries
from payments.gateways import guard
from payments.gateways.base import GatewayError, GatewayRefused, Unreachable
from payments.services.refund_sending import fail
from payments.services.refunds import request_refund
from tests.factories import make_order, make_variant, pay_order, the_shop
from tests.lines import click, make_sale, open_line

pytestmark = pytest.mark.django_db(transaction=True)


class Watch:
    """How much a series grew within the block."""

    def __init__(self, name: str, **labels: str) -> None:
        self._of = name, labels

    def __enter__(self) -> "Watch":
        self._before = self._now()
        return self

    def __exit__(self, *_: object) -> None:
        self.grew = self._now() - self._before

    def _now(self) -> float:
        return REGISTRY.get_sample_value(*self._of) or 0.0


@pytest.mark.parametrize(
    ("error", "outcome", "was_made"),
    [
        (None, "answered", 1),
        (GatewayRefused("no"), "refused", 1),
        (Unreachable("nobody"), "unreachable", 1),
        (GatewayError("odd"), "failed", 1),
        (BreakerOpen(1.0), "breaker_open", 0),
        (NoPlace("full"), "no_place", 0),
    ],
)
def test_a_call_to_a_provider_is_counted_by_what_came_of_it(error, outcome, was_made):
    labels = {"channel": "counted", "operation": "query"}

    with (
        Watch("cardshop_provider_calls_total", **labels, outcome=outcome) as calls,
        Watch("cardshop_provider_seconds_count", **labels) as made,
        suppress(GatewayError, GatewayRefused),
        guard(f"counted-{outcome}", "query", slug="counted"),
    ):
        if error:
            raise error

    assert (calls.grew, made.grew) == (1, was_made)


def test_a_breaker_is_counted_when_it_moves_and_not_when_it_stays(line):
    breaker = Breaker("of-a-count", failures=GatewayError, no_answer=Unreachable)

    with Watch("cardshop_breaker_moves_total", breaker="of-a-count", to="open") as moves:
        for _ in range(8):
            with pytest.raises((Unreachable, BreakerOpen)), breaker.around():
                raise Unreachable("nobody")

    assert moves.grew == 1


def test_an_order_is_counted_once_it_is_committed_and_not_before():
    order = make_order(make_variant(keys=1))
    closing = {"reason": "a test", "actor": "test", "now": db_now(), "closing_since": db_now()}

    with Watch("cardshop_orders_total", status="closing") as rolled_back, transaction.atomic():
        transition(order, "closing", closing_to="expired", **closing)
        transaction.set_rollback(True)
    order.refresh_from_db()
    with Watch("cardshop_orders_total", status="closing") as committed:
        transition(order, "closing", closing_to="expired", **closing)

    assert (rolled_back.grew, committed.grew) == (0, 1)


def test_a_promise_is_counted_when_it_is_kept_with_the_time_since_it_was_made():
    promise("tests.count", [1, 2], shop_id=the_shop().pk, now=db_now())

    with (
        Watch("cardshop_outbox_seconds_count", task="tests.count") as kept,
        Watch("cardshop_outbox_failures_total", task="tests.count", outcome="failed") as failed,
    ):
        drain("tests.count", lambda ids, now: {2: ValueError()} if 2 in ids else None, clock=db_now, batch=9)

    assert (kept.grew, failed.grew) == (1, 1)


def test_a_task_is_counted_by_how_it_ends():
    @shared_task(name="tests.counted")
    def counted(fails: bool) -> None:
        if fails:
            raise ValueError

    with (
        Watch("cardshop_tasks_total", task="tests.counted", outcome="success") as good,
        Watch("cardshop_tasks_total", task="tests.counted", outcome="failure") as bad,
        Watch("cardshop_task_seconds_count", task="tests.counted") as timed,
    ):
        for fails in (False, True):
            counted.apply([fails])

    assert (good.grew, bad.grew, timed.grew) == (1, 1, 2)


def test_mail_is_counted_by_what_the_server_says(monkeypatch):
    def say(self, messages):
        if "refused" in messages[0].subject:
            raise SMTPRecipientsRefused({})
        if "gone" in messages[0].subject:
            raise ConnectionError

    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", say)
    mails = [EmailMessage(subject=word) for word in ("good", "refused", "gone", "after")]

    with (
        Watch("cardshop_mails_total", outcome="sent") as sent,
        Watch("cardshop_mails_total", outcome="refused") as refused,
        Watch("cardshop_mails_total", outcome="failed") as failed,
    ):
        post(dict(enumerate(mails)), within=5)

    assert (sent.grew, refused.grew, failed.grew) == (1, 1, 2)


def test_a_request_without_postgresql_is_counted(monkeypatch):
    def gone(*_):
        raise OperationalError

    monkeypatch.setattr("cardshop.shops.middleware.shop_for_host", gone)

    with Watch("cardshop_database_errors_total") as errors:
        assert Client().get("/").status_code == 503

    assert errors.grew == 1


def test_a_short_answer_is_counted_and_what_is_left_to_django_is_not_counted_twice():
    def way(environ, language):
        if environ["QUERY_STRING"] == "":
            return 202, {}, b"{}"
        raise OutOfTheOrdinary

    application = short_ways(lambda environ, start: [b"by django"], {"/short/": way})

    with Watch(
        "cardshop_http_requests_total",
        pool="web",
        part="short",
        route="short/",
        method="POST",
        status="2xx",
    ) as short:
        for query in ("", "unusual"):
            environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/short/secret/", "QUERY_STRING": query}
            list(application(environ, lambda status, headers: None))

    assert short.grew == 1


def test_a_click_that_redis_does_not_answer_is_counted_as_such(line, monkeypatch):
    sale = make_sale(keys=1)
    open_line(sale)

    def gone(*_, **__):
        raise redis.ConnectionError

    with Watch("cardshop_admissions_total", variant=sale.variant.code, outcome="queued") as queued:
        click(sale.variant)
    monkeypatch.setattr("orders.admission.gate.Gate.admit", gone)
    with (
        Watch("cardshop_admissions_total", variant=sale.variant.code, outcome="unavailable") as unavailable,
        Watch("cardshop_redis_errors_total", use="line") as errors,
        pytest.raises(LineUnavailable),
    ):
        click(sale.variant)

    assert (queued.grew, unavailable.grew, errors.grew) == (1, 1, 1)


def test_a_refund_is_counted_from_its_request_to_its_end():
    order = make_order(make_variant(keys=1))
    attempt = pay_order(order)
    receipt = attempt.receipts.get()
    slug = receipt.channel.slug

    with (
        Watch("cardshop_refunds_total", channel=slug, outcome="requested") as requested,
        Watch("cardshop_refunds_total", channel=slug, outcome="failed") as failed,
    ):
        refund = request_refund(
            receipt,
            amount_minor=receipt.amount_minor,
            item=order.items.get(),
            reason="a test",
            actor="test",
            now=db_now(),
        )
        type(refund).objects.update(status="sent")
        assert fail(refund, "no", now=db_now())

    assert (requested.grew, failed.grew) == (1, 1)


def test_who_comes_too_often_is_counted(rf):
    order = make_order(make_variant(keys=1))
    request = rf.post("/", REMOTE_ADDR="192.0.2.1")

    with Watch("cardshop_rate_limited_total", limit="balance-order") as limited, suppress(TooManyTries):
        for _ in range(30):
            count_code(request, order)

    assert limited.grew == 1
