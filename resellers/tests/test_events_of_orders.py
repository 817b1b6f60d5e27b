"""What becomes of an order is told to its reseller and the merchant, and costs nothing where nobody hears."""

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from cardshop.common.clock import db_now
from orders.models import Order
from orders.services.delivery import deliver_orders
from orders.services.selling_at_once import Line, sell_at_once
from orders.services.transitions import SYSTEM, transition
from orders.states import OrderStatus
from payments.models import Receipt
from payments.services.closing import begin_closing, finish_closing
from payments.services.refunds import request_refund
from payments.tasks import send_refunds
from payments.tests.refunder import refunding_channel
from resellers.events import listeners
from resellers.models import Event, WebhookDelivery
from resellers.tests.calling import make_reseller
from resellers.tests.receiving import make_webhook
from tests.factories import make_attempt, make_order, make_shop, make_variant, paid_evidence, settle_evidence

pytestmark = pytest.mark.django_db(transaction=True)


def make_order_of(reseller, **fields) -> Order:
    order = make_order(make_variant(keys=1), **fields)
    if reseller:
        Order.objects.filter(pk=order.pk).update(buyer_key=f"reseller-{reseller.pk}")
        order.refresh_from_db()
    return order


def pay(order, channel=None) -> None:
    attempt = make_attempt(order, channel)
    settle_evidence(attempt.channel, paid_evidence(attempt))


def told(endpoint) -> list[tuple[str, str]]:
    deliveries = WebhookDelivery.objects.filter(endpoint=endpoint).order_by("pk")
    return list(deliveries.values_list("event__kind", "event__subject"))


def test_a_reseller_hears_of_its_own_orders_and_the_merchant_of_all():
    reseller = make_reseller()
    theirs, _secret = make_webhook("https://a.example/", reseller=reseller)
    ours, _secret = make_webhook("https://b.example/")
    elsewhere, _secret = make_webhook("https://c.example/", shop=make_shop("elsewhere"))
    order, other = make_order_of(reseller, contact_email="lin@example.org"), make_order_of(None)

    for each in (order, other):
        pay(each)
    deliver_orders([order.pk], db_now())

    paid, delivered = ("order.paid", order.number), ("order.delivered", order.number)
    assert told(theirs) == [paid, delivered]
    assert told(ours) == [paid, ("order.paid", other.number), delivered]
    assert told(elsewhere) == []
    event = Event.objects.get(kind="order.delivered")
    assert event.data == {
        "order": order.number,
        "status": "delivered",
        "total_minor": 990,
        "currency": "CNY",
        "contact_email": "l***@example.org",
    }


def test_an_unpaid_order_that_ends_is_cancelled():
    order = make_order_of(make_reseller())
    begin_closing(order, OrderStatus.EXPIRED, reason="r", actor=SYSTEM, now=db_now())

    finish_closing([order.pk], db_now())

    event = Event.objects.get()
    assert (event.kind, event.data["status"]) == ("order.cancelled", "expired")


def test_money_that_goes_back_is_told_with_how_much_and_of_what(refunder):
    order = make_order_of(make_reseller())
    pay(order, refunding_channel())
    item = order.items.get()
    request_refund(Receipt.objects.get(), amount_minor=990, item=item, reason="r", actor="lin", now=db_now())

    send_refunds()

    event = Event.objects.get(kind="order.refunded")
    said = {name: event.data[name] for name in ("amount_minor", "variant", "status")}
    assert said == {"amount_minor": 990, "variant": item.variant.code, "status": "refunded"}


def test_what_is_rolled_back_has_not_happened():
    order = make_order_of(make_reseller())
    make_webhook("https://b.example/")

    with transaction.atomic():
        transition(order, OrderStatus.PAID, reason="r", actor=SYSTEM, now=db_now())
        assert (Event.objects.count(), WebhookDelivery.objects.count()) == (1, 1)
        transaction.set_rollback(True)

    assert (Event.objects.count(), WebhookDelivery.objects.count()) == (0, 0)


def queries_of_ours(order: Order) -> list[str]:
    """When it moves."""
    with CaptureQueriesContext(connection) as queries:
        transition(order, OrderStatus.PAID, reason="r", actor=SYSTEM, now=db_now())
    return [query["sql"][:30] for query in queries if "resellers_" in query["sql"]]


def test_where_nobody_listens_an_order_that_moves_costs_no_query_more(settings, monkeypatch):
    monkeypatch.setattr(listeners, "_known", None)
    settings.SHOP_FRESH_SECONDS = 60
    make_webhook("https://d.example/", kinds=["order.cancelled"])
    make_webhook("https://c.example/", shop=make_shop("elsewhere"))
    listeners.listeners()

    assert queries_of_ours(make_order_of(None)) == []
    assert queries_of_ours(make_order_of(make_reseller())) == ['INSERT INTO "resellers_event" ']
    assert not WebhookDelivery.objects.exists()


def test_a_new_webhook_is_heard_of_within_a_second(settings, monkeypatch):
    monkeypatch.setattr(listeners, "_known", None)
    settings.SHOP_FRESH_SECONDS = 60
    assert listeners.listeners() == {}
    endpoint, _secret = make_webhook("https://c.example/")

    assert listeners.listeners() == {}
    passed = listeners.time.monotonic() + 61
    monkeypatch.setattr(listeners.time, "monotonic", lambda: passed)
    assert list(listeners.listeners()) == [endpoint.shop_id]


def test_what_is_paid_as_it_is_placed_is_told_step_by_step():
    reseller = make_reseller()
    order, line = _paid_at_once(make_variant(keys=1), reseller)

    with transaction.atomic():
        sell_at_once([(order, [line])], actor=SYSTEM, now=db_now(), deliver=True)

    kinds = Event.objects.filter(reseller=reseller).order_by("pk").values_list("kind", "data__status")
    assert list(kinds) == [("order.paid", "delivered"), ("order.delivered", "delivered")]


def _paid_at_once(variant, reseller) -> tuple[Order, Line]:
    order = Order(
        shop=variant.shop,
        ticket_id="t",
        buyer_key=f"reseller-{reseller.pk}",
        contact_email="p@example.org",
        language="en",
        currency="CNY",
        total_minor=990,
        placed_at=db_now(),
        reserved_until=db_now(),
    )
    stock = variant.stocks.get()
    return order, Line(variant=variant, stock_id=stock.pk, quantity=1, unit_price_minor=990)
