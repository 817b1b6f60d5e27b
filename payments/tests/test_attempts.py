"""Starting to pay."""

from contextlib import suppress
from datetime import timedelta
from threading import BoundedSemaphore

import httpx
import pytest

from payments.errors import ChannelUnavailable, NotPayable, TooLate, TooManyAttempts
from payments.gateways import guarded
from payments.models import PaymentAttempt
from payments.services.attempts import LAST_CALL, start_attempt
from payments.services.closing import close_due_orders
from tests.factories import make_channel, make_order, make_variant, pay_order

pytestmark = pytest.mark.django_db(transaction=True)


def start(order, channel, *, now=None):
    return start_attempt(
        order, channel, return_url="http://r/{attempt}/", client_ip="192.0.2.1", now=now or order.placed_at
    )


def test_the_buyer_is_sent_to_the_provider(provider):
    order, channel = make_order(make_variant(keys=1)), make_channel()

    attempt = start(order, channel)

    assert attempt.pay_url == "http://127.0.0.1:9/pay/1"
    stored = PaymentAttempt.objects.get()
    assert (stored.status, stored.amount_minor) == ("open", order.total_minor)
    assert stored.next_query_at == order.placed_at + timedelta(seconds=5)


def test_pressing_twice_continues_the_same_attempt(provider):
    order, channel = make_order(make_variant(keys=1)), make_channel()

    assert start(order, channel).out_trade_no == start(order, channel).out_trade_no
    assert provider.calls == ["/mapi.php"]


def test_another_channel_is_another_attempt_of_the_same_payment(provider):
    order = make_order(make_variant(keys=1))

    first, second = start(order, make_channel()), start(order, make_channel(slug="wxpay"))

    assert first.payment == second.payment
    assert first.out_trade_no != second.out_trade_no


def test_a_provider_that_fails_costs_no_hold_and_is_asked_later_all_the_same(provider):
    order, channel = make_order(make_variant(keys=1)), make_channel()
    provider.broken = lambda request: httpx.Response(500)

    with pytest.raises(ChannelUnavailable):
        start(order, channel)

    failed = PaymentAttempt.objects.get()
    order.refresh_from_db()
    assert (failed.status, order.status) == ("failed", "pending")
    assert failed.next_query_at is not None
    provider.broken = None
    assert start(order, channel).out_trade_no == failed.out_trade_no


def test_after_a_clear_refusal_another_try_has_another_number_and_nobody_asks_about_the_old(provider):
    order, channel = make_order(make_variant(keys=1)), make_channel()
    provider.broken = lambda request: httpx.Response(200, json={"code": -1, "msg": "limit"})

    with pytest.raises(ChannelUnavailable):
        start(order, channel)

    refused = PaymentAttempt.objects.get()
    assert (refused.status, refused.next_query_at, refused.last_error) == ("failed", None, "limit")
    provider.broken = None
    assert start(order, channel).out_trade_no != refused.out_trade_no


@pytest.mark.parametrize("second", [{"code": -1, "msg": "duplicate"}, None], ids=["refused", "failed"])
@pytest.mark.parametrize("first_ends", ["before", "after"])
def test_a_second_press_that_fails_takes_nothing_from_the_first(provider, second, first_ends):
    """Two tabs press at once and share the attempt: whichever way it ends, the paid one is polled."""
    order, channel = make_order(make_variant(keys=1)), make_channel()
    fails = httpx.Response(200, json=second) if second else httpx.Response(500)

    def press_again(request):
        provider.broken = provider.told if first_ends == "before" else (lambda request: fails)
        with suppress(ChannelUnavailable):
            start(order, channel)
        return fails if first_ends == "before" else provider.told(request)

    provider.broken = press_again
    with suppress(ChannelUnavailable):
        start(order, channel)

    attempt = PaymentAttempt.objects.get()
    assert (attempt.status, attempt.pay_url) == ("open", "http://127.0.0.1:9/pay/1")
    assert attempt.next_query_at is not None


@pytest.mark.parametrize("fails", [False, True])
def test_what_was_called_off_meanwhile_is_not_opened_again(provider, fails):
    order, channel = make_order(make_variant(keys=1)), make_channel()

    def closed_meanwhile(request):
        PaymentAttempt.objects.update(status="closed", next_query_at=None)
        return httpx.Response(500) if fails else provider.told(request)

    provider.broken = closed_meanwhile
    with pytest.raises(ChannelUnavailable):
        start(order, channel)

    attempt = PaymentAttempt.objects.get()
    assert (attempt.status, attempt.pay_url, attempt.next_query_at) == ("closed", "", None)


def test_a_provider_that_keeps_failing_does_not_pile_up_attempts(provider):
    order, channel = make_order(make_variant(keys=1)), make_channel()
    provider.broken = lambda request: httpx.Response(500)

    for _ in range(5):
        with pytest.raises(ChannelUnavailable):
            start(order, channel)

    assert PaymentAttempt.objects.count() == 1


def test_an_order_has_so_many_attempts_and_what_was_begun_can_still_be_paid(provider, monkeypatch):
    monkeypatch.setattr("payments.services.attempts.MOST_ATTEMPTS", 3)
    order, channel, other = make_order(make_variant(keys=1)), make_channel(), make_channel(slug="other")
    begun = start(order, other)
    provider.broken = lambda request: httpx.Response(200, json={"code": -1, "msg": "limit"})
    for _ in range(2):
        with pytest.raises(ChannelUnavailable):
            start(order, channel)
    asked = len(provider.calls)

    with pytest.raises(TooManyAttempts):
        start(order, channel)

    assert (PaymentAttempt.objects.count(), len(provider.calls)) == (3, asked)
    assert start(order, other) == begun


def test_when_too_many_wait_for_providers_the_next_one_hears_so_at_once(provider, monkeypatch):
    order, channel = make_order(make_variant(keys=1)), make_channel()
    monkeypatch.setattr("payments.gateways.guarded._COUNTER", BoundedSemaphore(1))
    monkeypatch.setattr("payments.gateways.guarded.COUNTER_PATIENCE", 0.01)

    with guarded._place_at_the_counter(), pytest.raises(ChannelUnavailable):
        start(order, channel)

    assert provider.calls == []
    assert start(order, channel).pay_url


def test_no_new_attempt_when_the_hold_is_about_to_end(provider):
    order, channel = make_order(make_variant(keys=1)), make_channel()

    with pytest.raises(TooLate):
        start(order, channel, now=order.reserved_until - LAST_CALL)
    assert start(order, channel, now=order.reserved_until - LAST_CALL - timedelta(seconds=1))


def test_neither_a_closing_nor_a_paid_order_can_be_paid(provider):
    channel = make_channel()
    closing, paid = make_order(make_variant(keys=1)), make_order(make_variant(keys=1))
    pay_order(paid)
    close_due_orders(closing.reserved_until)

    for order in (closing, paid):
        with pytest.raises(NotPayable):
            start(order, channel)
    assert provider.calls == []


def test_a_first_press_costs_four_queries_and_a_commit(provider, django_assert_num_queries):
    """The payment, the order's lock, the attempt; and what the provider said."""
    order, channel = make_order(make_variant(keys=1)), make_channel()

    with django_assert_num_queries(4 + len(["BEGIN", "COMMIT"])):
        start(order, channel)
