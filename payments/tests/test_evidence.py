"""Money arriving, in every way it can."""

from dataclasses import replace
from datetime import timedelta

import pytest

from cardshop.common.clock import db_now
from inventory.models import CardKey
from orders.models import DeliveredKey, Order
from orders.selectors import revealed_keys
from orders.services.delivery import deliver_orders
from payments.gateways import seal_secrets
from payments.models import PaymentChannel, Receipt
from payments.selectors import sharing_account
from payments.services import evidence as subject
from payments.services.closing import ASK_FOR, begin_closing, close_due_orders, finish_closing
from payments.services.evidence import GONE_BACK
from payments.services.resolving import resolve_receipt
from tests.factories import (
    counters,
    make_attempt,
    make_channel,
    make_order,
    make_variant,
    paid_evidence,
    pay_order,
    settle_evidence,
    stock_up,
)

pytestmark = pytest.mark.django_db(transaction=True)


def apply(attempt, **kwargs):
    return settle_evidence(attempt.channel, paid_evidence(attempt, **kwargs))


def expire(order):
    """The order's hold ends; there is no provider to ask, so its attempts are set aside first."""
    now = order.reserved_until + timedelta(seconds=31)
    assert close_due_orders(now) == 1
    order.refresh_from_db()
    finish_closing([order.pk], now + ASK_FOR)
    order.refresh_from_db()
    assert order.status == "expired"


def test_money_pays_the_order_and_its_keys_are_delivered_once():
    variant = make_variant()
    secrets = stock_up(variant, 3)
    order = make_order(variant, quantity=2)

    pay_order(order)
    deliver_orders([order.pk], db_now())
    deliver_orders([order.pk], db_now())

    order.refresh_from_db()
    assert order.status == "delivered"
    ((_, keys),) = revealed_keys(order)
    assert keys == secrets[:2]
    assert counters(variant) == (3, 3, 2)
    assert DeliveredKey.objects.count() == 2
    assert CardKey.objects.filter(status="sold").count() == 2


def test_the_same_evidence_again_changes_nothing():
    order = make_order(make_variant(keys=3))
    attempt = pay_order(order)

    apply(attempt)
    apply(attempt)

    assert Receipt.objects.count() == 1
    assert Receipt.objects.get().status == "applied"
    assert [e.after for e in order.events.all()] == ["pending", "paid"]


def test_a_second_payment_is_recorded_and_put_before_a_person():
    order = make_order(make_variant(keys=3))
    attempt = pay_order(order)

    apply(attempt, txn="another")

    second = Receipt.objects.get(provider_txn_id="another")
    assert (second.status, second.attention) == ("attention", subject.TWICE)
    assert Order.objects.get().status == "paid"


def test_money_in_parts_pays_once_it_is_whole():
    order = make_order(make_variant(keys=3, price_minor=1000))
    attempt = make_attempt(order)

    apply(attempt, txn="a", amount_minor=400)
    order.refresh_from_db()
    assert (order.status, order.attention) == ("pending", subject.SHORT)

    apply(attempt, txn="b", amount_minor=600)
    order.refresh_from_db()
    assert (order.status, order.attention) == ("paid", "")
    assert set(Receipt.objects.values_list("status", "attention")) == {("applied", "")}


def test_too_much_money_pays_and_flags_the_difference():
    order = make_order(make_variant(keys=3, price_minor=1000))
    attempt = make_attempt(order)

    apply(attempt, amount_minor=1001)

    order.refresh_from_db()
    receipt = Receipt.objects.get()
    assert (order.status, receipt.status, receipt.attention) == ("paid", "applied", subject.OVER)


def test_late_money_claims_fresh_stock():
    variant = make_variant(keys=1)
    order = make_order(variant)
    attempt = make_attempt(order)
    expire(order)
    assert counters(variant) == (1, 1, 0)

    apply(attempt)

    order.refresh_from_db()
    assert (order.status, counters(variant)) == ("paid", (1, 1, 1))
    assert [e.after for e in order.events.all()] == ["pending", "closing", "expired", "paid"]


def test_late_money_for_more_than_a_buyer_may_have_is_put_before_a_person():
    variant = make_variant(keys=5, per_buyer_limit=1)
    late = make_order(variant, contact_email="lin@example.org")
    attempt = make_attempt(late)
    expire(late)
    make_order(variant, contact_email="lin@example.org")

    receipt = apply(attempt)

    late.refresh_from_db()
    receipt.refresh_from_db()
    assert (late.status, late.attention) == ("expired", subject.OVER_LIMIT)
    assert receipt.status == "attention"
    assert counters(variant) == (5, 5, 1)


def test_late_money_without_stock_is_recorded_and_put_before_a_person():
    variant = make_variant(keys=1)
    order = make_order(variant)
    attempt = make_attempt(order)
    expire(order)
    make_order(variant)

    apply(attempt)

    order.refresh_from_db()
    receipt = Receipt.objects.get()
    assert (order.status, order.attention) == ("expired", subject.LATE)
    assert (receipt.status, receipt.attention) == ("attention", subject.LATE)
    assert counters(variant) == (1, 1, 1)


def test_money_from_nowhere_is_recorded_and_put_before_a_person():
    attempt = make_attempt(make_order(make_variant(keys=1)))
    stranger = paid_evidence(attempt, txn="x")
    stranger = stranger.__class__(**{**stranger.__dict__, "out_trade_no": "nobody-knows-this"})

    settle_evidence(attempt.channel, stranger, source="notice")

    receipt = Receipt.objects.get()
    assert (receipt.attempt, receipt.status, receipt.attention) == (
        None,
        "attention",
        subject.UNKNOWN,
    )
    assert Order.objects.get().status == "pending"


def test_evidence_that_contradicts_the_receipt_is_flagged_and_changes_no_amount():
    order = make_order(make_variant(keys=1))
    attempt = pay_order(order)

    apply(attempt, amount_minor=1)

    receipt = Receipt.objects.get()
    assert (receipt.amount_minor, receipt.attention) == (990, subject.CONTRADICTS)


def test_unpaid_evidence_is_no_money():
    attempt = make_attempt(make_order(make_variant(keys=1)))
    unpaid = paid_evidence(attempt)
    unpaid = unpaid.__class__(**{**unpaid.__dict__, "paid": False})

    assert subject.apply_evidence(attempt.channel, unpaid, source="poll", now=db_now()) is None
    assert not Receipt.objects.exists()


def test_money_that_arrives_while_closing_pays_the_order():
    variant = make_variant(keys=1)
    order = make_order(variant)
    attempt = make_attempt(order)
    begin_closing(order, "cancelled", reason="test", actor="buyer", now=db_now())

    apply(attempt)
    finish_closing([order.pk], db_now() + timedelta(minutes=5))

    order.refresh_from_db()
    assert (order.status, counters(variant)) == ("paid", (1, 1, 1))


def test_a_part_that_a_person_has_dealt_with_pays_for_nothing_any_more():
    order = make_order(make_variant(keys=3, price_minor=1000))
    attempt = make_attempt(order)
    first = apply(attempt, txn="a", amount_minor=400)
    resolve_receipt(first, why=subject.SHORT, what="refunded by hand", actor="boss", now=db_now())

    apply(attempt, txn="b", amount_minor=600)

    order.refresh_from_db()
    assert (order.status, order.attention) == ("pending", subject.SHORT)


def test_money_that_was_refunded_elsewhere_before_we_heard_of_it_delivers_nothing():
    order = make_order(make_variant(keys=1))
    attempt = make_attempt(order)

    settle_evidence(attempt.channel, replace(paid_evidence(attempt), gone_back=True))

    receipt = Receipt.objects.get()
    assert (receipt.status, receipt.attention) == ("attention", GONE_BACK)
    assert Order.objects.get().status == "pending"


def test_money_that_goes_back_after_we_heard_of_it_changes_nothing():
    order = make_order(make_variant(keys=1))
    attempt = make_attempt(order)
    settle_evidence(attempt.channel, paid_evidence(attempt))

    settle_evidence(attempt.channel, replace(paid_evidence(attempt), gone_back=True))

    receipt = Receipt.objects.get()
    assert (receipt.status, receipt.attention) == ("applied", "")


def stripe_channel(slug, key):
    options = {"driver": "stripe_checkout", "base_url": "https://api.stripe.com/", "merchant_id": "acct_1"}
    channel = make_channel(slug=slug, **options)
    seal_secrets(channel, {"api_key": key, "webhook_secret": "whsec_x"})
    channel.save()
    return channel


def test_the_test_side_of_an_account_is_another_account():
    live, live_too = stripe_channel("live", "sk_live_a"), stripe_channel("live-too", "rk_live_b")
    test, test_too = stripe_channel("test", "sk_test_c"), stripe_channel("test-too", "rk_test_d")
    assert set(sharing_account(live)) == {live, live_too}
    assert set(sharing_account(test_too)) == {test, test_too}

    attempt = make_attempt(make_order(make_variant(keys=1)), live)
    told_by_twin = settle_evidence(live_too, paid_evidence(attempt, txn="txn-1"))
    told_by_test = settle_evidence(test, paid_evidence(attempt, txn="txn-2"))

    told_by_twin.refresh_from_db()
    assert (told_by_twin.channel, told_by_twin.attempt, told_by_twin.status) == (live, attempt, "applied")
    assert (told_by_test.channel, told_by_test.attempt) == (test, None)


def test_what_cannot_be_opened_keeps_no_money_from_being_recorded():
    channel = stripe_channel("live", "sk_live_a")
    PaymentChannel.objects.update(sealed_secret=b"another:" + bytes(60))
    channel.refresh_from_db()
    attempt = make_attempt(make_order(make_variant(keys=1)), channel)
    receipt = settle_evidence(channel, paid_evidence(attempt))
    receipt.refresh_from_db()
    assert receipt.status == "applied"
