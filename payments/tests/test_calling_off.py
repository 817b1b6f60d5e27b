"""Trades that are not wanted any more: closed at their provider, or else asked about."""

import pytest

from cardshop.common.clock import db_now
from cardshop.outbox.models import OutboxMessage
from orders.models import Order
from payments.gateways.base import GatewayError, GatewayRefused
from payments.models import PaymentAttempt, Receipt
from payments.services.closing import close_due_orders, finish_closing
from payments.tasks import call_off_attempts
from payments.tests.refunder import refunding_channel
from tests.factories import make_attempt, make_order, make_variant, paid_evidence, settle_evidence

pytestmark = pytest.mark.django_db(transaction=True)


def expiring():
    order = make_order(make_variant(keys=1))
    attempt = make_attempt(order, refunding_channel())
    close_due_orders(order.reserved_until)
    return order, attempt


def status_of(order):
    return Order.objects.get(pk=order.pk).status


def test_an_order_that_ends_closes_its_trade_and_need_not_ask(refunder):
    order, attempt = expiring()
    refunder.closing = True

    assert finish_closing([order.pk], order.reserved_until) == {}

    attempt.refresh_from_db()
    assert refunder.closed == [attempt.out_trade_no]
    assert (attempt.status, attempt.next_query_at) == ("closed", None)
    assert status_of(order) == "expired"


def test_what_is_paid_already_cannot_be_closed_and_is_found(refunder):
    order, attempt = expiring()
    refunder.closing = GatewayRefused("ORDERPAID")
    refunder.paid[attempt.out_trade_no] = paid_evidence(attempt)

    finish_closing([order.pk], order.reserved_until)

    assert status_of(order) == "paid"


def test_where_nothing_is_promised_the_trade_is_asked_about_and_still_polled(refunder):
    order, attempt = expiring()
    refunder.closing = False

    finish_closing([order.pk], order.reserved_until)

    attempt.refresh_from_db()
    assert attempt.next_query_at is not None
    assert status_of(order) == "expired"


def test_a_provider_that_does_not_answer_is_asked_to_close_again(refunder):
    order, _attempt = expiring()
    refunder.closing = GatewayError("no answer")

    assert order.pk in finish_closing([order.pk], order.reserved_until)
    assert status_of(order) == "closing"


def test_once_paid_the_other_attempts_are_called_off(refunder):
    refunder.closing = True
    order = make_order(make_variant(keys=1))
    paid, other = make_attempt(order, refunding_channel()), make_attempt(order, refunding_channel())

    settle_evidence(paid.channel, paid_evidence(paid))
    assert OutboxMessage.objects.get(task="payments.call_off_attempts").subject_id == other.pk
    call_off_attempts()

    assert refunder.closed == [other.out_trade_no]
    assert sorted(PaymentAttempt.objects.values_list("status", flat=True)) == ["closed", "succeeded"]


def test_what_was_paid_through_the_other_attempt_all_the_same_is_recorded(refunder):
    refunder.closing = GatewayRefused("ORDERPAID")
    order = make_order(make_variant(keys=1))
    paid, other = make_attempt(order, refunding_channel()), make_attempt(order, refunding_channel())
    settle_evidence(paid.channel, paid_evidence(paid))
    refunder.paid[other.out_trade_no] = paid_evidence(other)

    call_off_attempts()

    assert Receipt.objects.filter(attempt=other).exists()


def test_money_that_was_told_of_first_keeps_the_attempt_paid(refunder):
    refunder.closing = True
    order, attempt = expiring()
    settle_evidence(attempt.channel, paid_evidence(attempt), now=db_now())

    finish_closing([order.pk], order.reserved_until)

    attempt.refresh_from_db()
    assert (attempt.status, status_of(order)) == ("succeeded", "paid")
