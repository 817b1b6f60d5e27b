"""One notice a hundred times at once, and money that comes twice in one moment."""

import pytest
from django.test import Client

from cardshop.common.clock import db_now
from cardshop.outbox.models import OutboxMessage
from inventory.models import CardKey
from orders.models import DeliveredKey, Order
from orders.tasks import deliver
from payments.gateways.base import RawCall
from payments.models import Receipt, WebhookEvent
from payments.services import evidence as evidence_service
from payments.services.evidence import TWICE, apply_evidence, settle_receipt
from payments.services.notices import apply_notices, receive_notice
from payments.tasks import settle_receipts
from payments.tests.providers import Provider
from tests.factories import (
    counters,
    make_attempt,
    make_order,
    make_variant,
    notice_query,
    paid_evidence,
    settle_evidence,
)
from tests.race.racing import broken_invariants, linger, race, race_all, read_unlocked, without_constraint

pytestmark = pytest.mark.django_db(transaction=True)


def apply_it_twenty_times() -> list[object]:
    event = WebhookEvent.objects.get()
    return race(20, lambda: apply_notices([event.pk], db_now()))


def open_promises(task: str) -> int:
    return OutboxMessage.objects.filter(task=task).count()


def test_a_hundred_notices_at_once_are_all_acknowledged_and_stored_once():
    attempt = make_attempt(make_order(make_variant(keys=3)))

    client = Client()
    client.get("/healthz")  # loads the middleware, once for all

    answers = race(100, lambda: client.get(f"/pay/notify/alipay/?{notice_query(attempt)}"))

    assert [answer.content for answer in answers] == [b"success"] * 100
    assert WebhookEvent.objects.count() == 1
    assert open_promises("payments.apply_notices") == 1


def test_control_without_the_unique_digest_a_notice_is_stored_several_times():
    variant = make_variant(keys=10)

    with without_constraint(WebhookEvent, "event_once_per_digest"):
        for _ in range(10):
            attempt = make_attempt(make_order(variant))
            call = RawCall("GET", notice_query(attempt), "")
            race(10, lambda a=attempt, c=call: receive_notice(a.channel, c, now=db_now()))

        assert WebhookEvent.objects.count() > 10
        assert open_promises("payments.apply_notices") > 10


def test_a_notice_applied_twenty_times_at_once_pays_and_delivers_once(provider: Provider):
    variant = make_variant(keys=3)
    order = make_order(variant, quantity=2)
    attempt = make_attempt(order)
    provider.knows(attempt)
    Client().get(f"/pay/notify/alipay/?{notice_query(attempt)}")

    applied = apply_it_twenty_times()
    settled = race(8, settle_receipts)
    delivered = race(8, deliver)

    assert applied == [{}] * 20
    assert settled == [None] * 8
    assert delivered == [None] * 8
    assert Receipt.objects.get().status == "applied"
    assert [e.after for e in order.events.all()] == ["pending", "paid", "delivered"]
    assert open_promises("orders.deliver") == open_promises("orders.mail_delivery") == 1
    assert DeliveredKey.objects.count() == CardKey.objects.filter(status="sold").count() == 2
    assert counters(variant) == (3, 3, 2)
    assert broken_invariants() == []


def test_control_without_the_unique_transaction_the_money_is_recorded_several_times():
    variant = make_variant(keys=10)

    with without_constraint(Receipt, "receipt_once_per_transaction"):
        for _ in range(10):
            attempt = make_attempt(make_order(variant))
            money = paid_evidence(attempt)
            race(10, lambda a=attempt, m=money: apply_evidence(a.channel, m, source="poll", now=db_now()))

        assert Receipt.objects.count() > 10


def settle_one_receipt_twenty_times() -> Order:
    order = make_order(make_variant(keys=3))
    attempt = make_attempt(order)
    receipt = apply_evidence(attempt.channel, paid_evidence(attempt), source="poll", now=db_now())
    assert receipt is not None
    race(20, lambda: settle_receipt(receipt.pk, now=db_now()))
    return order


def test_one_receipt_settled_twenty_times_at_once_promises_one_delivery():
    order = settle_one_receipt_twenty_times()

    assert [e.after for e in order.events.all()] == ["pending", "paid"]
    assert open_promises("orders.deliver") == 1


def test_control_without_the_lock_one_receipt_promises_several_deliveries(monkeypatch):
    monkeypatch.setattr(evidence_service, "lock_rows", read_unlocked)
    linger(monkeypatch, "payments.services.evidence._settle")

    settle_one_receipt_twenty_times()

    assert open_promises("orders.deliver") > 1


def pay_twice_in_one_moment(orders: int) -> list[object]:
    """Two transactions for each of `orders` orders; returns the outcomes."""
    variant = make_variant(keys=orders)
    outcomes: list[object] = []
    for _ in range(orders):
        attempt = make_attempt(make_order(variant))
        pays = [
            lambda txn=txn, attempt=attempt: settle_evidence(attempt.channel, paid_evidence(attempt, txn=txn))
            for txn in (f"{attempt.out_trade_no}-a", f"{attempt.out_trade_no}-b")
        ]
        outcomes += race_all(*pays)
    return outcomes


def test_of_two_payments_in_one_moment_one_pays_and_one_is_put_before_a_person():
    outcomes = pay_twice_in_one_moment(10)

    assert all(isinstance(outcome, Receipt) for outcome in outcomes)
    assert Receipt.objects.filter(status="applied", attention="").count() == 10
    assert Receipt.objects.filter(status="attention", attention=TWICE).count() == 10
    assert open_promises("orders.deliver") == 10
    assert broken_invariants() == []


def test_control_without_the_lock_the_buyer_pays_twice_and_nobody_is_told(monkeypatch):
    monkeypatch.setattr(evidence_service, "lock_rows", read_unlocked)
    linger(monkeypatch, "payments.services.evidence._settle")
    monkeypatch.setattr(evidence_service, "_is_plain", lambda *_: False)  # or they meet in a deadlock

    pay_twice_in_one_moment(20)

    assert Receipt.objects.filter(status="applied", attention="").count() > 20
    assert any("surplus_is_flagged" in finding for finding in broken_invariants())
