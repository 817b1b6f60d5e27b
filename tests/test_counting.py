"""What happens is counted, each thing once, under labels that name no one."""

from contextlib import suppress
from smtplib import SMTPRecipientsRefused

import pytest
from celery import shared_task
from django.core.mail import EmailMessage
from django.db import OperationalError, transaction
from django.test import Client
from prometheus_client import REGISTRY

from cardshop.common.clock import db_now
from cardshop.outbox.services import drain, promise
from cardshop.traffic.breakers import Breaker, BreakerOpen
from cardshop.traffic.bulkheads import NoPlace
from orders.services.mail import post
from orders.services.transitions import transition
from payments.gateways import guard
from payments.gateways.base import GatewayError, GatewayRefused, Unreachable
from tests.factories import make_order, make_variant, the_shop

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
