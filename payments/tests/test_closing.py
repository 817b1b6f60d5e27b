"""How an unpaid order ends."""

from datetime import timedelta

import httpx
import pytest

from cardshop.outbox.models import OutboxMessage
from cardshop.outbox.services import NotReached
from orders.services.delivery import deliver_orders
from payments.checkout.cancelling import cancel_order
from payments.errors import NotCancellable
from payments.gateways.base import GatewayError, Unreachable
from payments.models import Payment
from payments.services import closing
from payments.services.closing import ASK_FOR, close_due_orders, finish_closing
from payments.tests.providers import dead_at
from tests.factories import counters, make_attempt, make_channel, make_order, make_variant, pay_order

pytestmark = pytest.mark.django_db(transaction=True)
SECOND = timedelta(seconds=1)


def states(order):
    return [event.after for event in order.events.all()]


def test_an_unpaid_order_expires_at_its_deadline_and_not_before(provider):
    variant = make_variant(keys=2)
    order = make_order(variant)

    assert close_due_orders(order.reserved_until - SECOND) == 0
    assert close_due_orders(order.reserved_until) == 1
    finish_closing([order.pk], order.reserved_until)

    assert states(order) == ["pending", "closing", "expired"]
    assert counters(variant) == (2, 2, 0)
    assert provider.calls == []


def test_closing_asks_the_provider_and_finds_the_money_whose_notice_never_came(provider):
    variant = make_variant(keys=2)
    order = make_order(variant)
    provider.knows(make_attempt(order))
    close_due_orders(order.reserved_until)

    finish_closing([order.pk], order.reserved_until)

    assert states(order) == ["pending", "closing", "paid"]
    assert counters(variant) == (2, 2, 1)


def test_while_the_provider_does_not_answer_the_hold_stays_but_not_for_ever(provider):
    variant = make_variant(keys=2)
    order = make_order(variant)
    make_attempt(order)
    close_due_orders(order.reserved_until)
    provider.broken = lambda request: httpx.Response(502)

    failed = finish_closing([order.pk], order.reserved_until + ASK_FOR - SECOND)
    assert isinstance(failed[order.pk], GatewayError)
    assert counters(variant) == (2, 2, 1)
    finish_closing([order.pk], order.reserved_until + ASK_FOR)

    assert states(order) == ["pending", "closing", "expired"]
    assert counters(variant) == (2, 2, 0)
    assert Payment.objects.get().status == "cancelled"


def test_finishing_twice_releases_once(provider):
    variant = make_variant(keys=2)
    order, _other = make_order(variant), make_order(variant)
    close_due_orders(order.reserved_until)

    finish_closing([order.pk], order.reserved_until)
    finish_closing([order.pk], order.reserved_until)

    assert counters(variant)[2] == 1


def test_cancelling_without_an_attempt_is_done_at_once(provider):
    variant = make_variant(keys=2)
    order = make_order(variant)

    cancel_order(order, now=order.placed_at)
    cancel_order(order, now=order.placed_at)

    assert states(order) == ["pending", "closing", "cancelled"]
    assert counters(variant) == (2, 2, 0)


def test_cancelling_with_an_attempt_waits_for_the_provider(provider):
    order = make_order(make_variant(keys=2))
    provider.knows(make_attempt(order), paid=False)

    cancel_order(order, now=order.placed_at)

    assert order.status == "closing"
    assert OutboxMessage.objects.filter(task="payments.finish_closing", done_at=None).count() == 1
    finish_closing([order.pk], order.placed_at)
    assert states(order)[-1] == "cancelled"


def test_a_paid_order_cannot_be_cancelled():
    order = make_order(make_variant(keys=2))
    pay_order(order)
    order.refresh_from_db()

    with pytest.raises(NotCancellable):
        cancel_order(order, now=order.placed_at)

    deliver_orders([order.pk], order.placed_at)
    assert states(order) == ["pending", "paid", "delivered"]


def test_where_the_time_to_ask_is_over_nobody_waits_for_those_still_to_be_asked_about(provider, monkeypatch):
    variant = make_variant(keys=2)
    order, untried = make_order(variant), make_order(variant)
    make_attempt(order)
    close_due_orders(untried.reserved_until)
    monkeypatch.setattr(closing, "ASKING", -1.0)
    ids = [order.pk, untried.pk]

    left = finish_closing(ids, order.reserved_until)

    assert {pk: type(why) for pk, why in left.items()} == {order.pk: NotReached}
    assert states(untried)[-1] == "expired"
    assert finish_closing(ids, untried.reserved_until + ASK_FOR) == {}
    assert states(order)[-1] == "expired"
    assert provider.calls == []


def orders_of_a_dead_and_a_healthy_channel(provider):
    """Two orders of a channel that does not answer, and behind them one of a channel that does."""
    variant = make_variant(keys=3)
    dead, alive = make_channel(), make_channel(slug="wxpay", base_url="http://127.0.0.1:10/")
    orders = [make_order(variant) for _ in range(3)]
    for order, channel in zip(orders, [dead, dead, alive], strict=True):
        provider.knows(make_attempt(order, channel))
    close_due_orders(orders[-1].reserved_until)
    return orders


def test_a_silent_channel_costs_one_time_out_and_nothing_of_the_time_for_another(provider, monkeypatch):
    *silent, healthy = orders_of_a_dead_and_a_healthy_channel(provider)
    monkeypatch.setattr(closing, "ASKING", 0.2)
    provider.broken = dead_at(9, provider, after=0.3)

    failed = finish_closing([order.pk for order in [*silent, healthy]], healthy.reserved_until)

    assert {pk: type(why) for pk, why in failed.items()} == {order.pk: Unreachable for order in silent}
    assert states(healthy)[-1] == "paid"
    assert len(provider.calls) == 2


def test_a_channel_that_was_silent_is_left_alone_for_the_rest_of_the_run(provider):
    first, second, _healthy = orders_of_a_dead_and_a_healthy_channel(provider)
    provider.broken = dead_at(9, provider)
    silent = set()

    for order in (first, second):
        assert finish_closing([order.pk], order.reserved_until, silent=silent).keys() == {order.pk}

    assert len(provider.calls) == 1


def test_a_slow_channel_uses_up_its_own_time(provider, monkeypatch):
    *slow, healthy = orders_of_a_dead_and_a_healthy_channel(provider)
    monkeypatch.setattr(closing, "ASKING", 0.0)

    failed = finish_closing([order.pk for order in [*slow, healthy]], healthy.reserved_until)

    assert {pk: type(why) for pk, why in failed.items()} == {slow[1].pk: NotReached}
    assert [states(order)[-1] for order in (slow[0], healthy)] == ["paid", "paid"]


def test_an_odd_answer_about_one_trade_keeps_nobody_from_being_asked_about(provider):
    odd, *others = orders_of_a_dead_and_a_healthy_channel(provider)
    about_it = odd.payment.attempts.get().out_trade_no

    def odd_about_one(request):
        if request.url.params.get("out_trade_no") == about_it:
            return httpx.Response(500)
        return provider.told(request)

    provider.broken = odd_about_one

    failed = finish_closing([order.pk for order in [odd, *others]], odd.reserved_until)

    assert failed.keys() == {odd.pk}
    assert [states(order)[-1] for order in others] == ["paid", "paid"]
