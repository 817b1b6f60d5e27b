"""Buying, and seeing what was bought."""

import csv
import uuid
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from cardshop_client import Cardshop, OutOfStock, Refused


def test_an_order_is_paid_and_delivered_and_stands_in_the_account(shop: Cardshop, variant: str, key: str):
    before = shop.account().balance_minor

    order = shop.order({variant: 2}, idempotency_key=key, reference=key[:20])

    assert (order.status, len(set(order.keys[variant]))) == ("delivered", 2)
    assert shop.account().balance_minor == before - (order.total_minor or 0)
    *_, last = shop.entries()
    assert (last.kind, last.amount_minor, last.after_minor) == (
        "payment",
        -(order.total_minor or 0),
        shop.account().balance_minor,
    )
    assert shop.order_with_keys(order.number).keys == order.keys
    assert [found.number for found in shop.orders(reference=key[:20])] == [order.number]
    assert shop.order_called(order.number).lines[0].keys is None


def test_the_same_key_is_the_same_order(shop: Cardshop, variant: str, key: str):
    first = shop.order({variant: 1}, idempotency_key=key)

    assert shop.order({variant: 1}, idempotency_key=key) == first
    with pytest.raises(Refused) as refused:
        shop.order({variant: 2}, idempotency_key=key)
    assert (refused.value.status, refused.value.code) == (422, "idempotency_key_reused")


def test_accepted_orders_are_filled_a_moment_later_and_told_as_events(shop: Cardshop, variant: str):
    keys = [str(uuid.uuid4()) for _ in range(3)]
    accepted = shop.order_many({key: {variant: 1} for key in keys[:2]})
    accepted[keys[2]] = shop.order({variant: 1}, idempotency_key=keys[2], later=True)
    numbers = [order.number for order in accepted.values() if order]

    orders = [shop.wait_for(number) for number in numbers]

    assert [(order.status, len(order.keys[variant])) for order in orders] == [("delivered", 1)] * 3
    assert shop.order_many({keys[2]: {variant: 2}}) == {keys[2]: None}
    events = list(shop.events())
    delivered = {event.subject for event in events if event.kind == "order.delivered"}
    assert set(numbers) <= delivered
    assert list(shop.events(after=events[-1].cursor)) == []


def test_what_cannot_be_had_says_why(shop: Cardshop, variant: str, key: str):
    with pytest.raises(Refused) as unknown:
        shop.order({"no-such-variant": 1}, idempotency_key=key)
    with pytest.raises(Refused) as dear:
        shop.order({variant: 1}, idempotency_key=key, most_minor=1)
    too_many = (shop.stock([variant])[variant].available or 0) + 1
    try:  # at once, or with a large order a moment later
        in_vain = shop.wait_for(shop.order({variant: too_many}, idempotency_key=key).number)
    except OutOfStock as refused:
        why = refused.code
    else:
        why = in_vain.problem["code"] if in_vain.problem else ""

    assert (unknown.value.status, unknown.value.code) == (404, "not_for_sale")
    assert dear.value.code == "price_rose"
    assert why == "out_of_stock"


def test_the_catalogue_tells_what_a_quote_and_an_order_come_to(shop: Cardshop, variant: str, key: str):
    products = {product.slug: product for product in shop.products()}
    (mine,) = (each for product in products.values() for each in product.variants if each.code == variant)
    quote = shop.quote({variant: 1})
    available = shop.stock([variant, "no-such-variant"])

    assert quote.total_minor == mine.unit_price_minor
    assert list(available) == [variant]
    assert shop.order({variant: 1}, idempotency_key=key).total_minor == quote.total_minor
    left = shop.stock([variant])[variant].available
    assert left is None or left == (available[variant].available or 0) - 1


def test_a_cancelled_order_is_not_filled_or_says_that_it_was(shop: Cardshop, variant: str, key: str):
    number = shop.order({variant: 1}, idempotency_key=key, later=True).number

    try:
        shop.cancel(number)
    except Refused:
        assert shop.wait_for(number).status == "delivered"
    else:
        ended = shop.wait_for(number)
        assert (ended.status, ended.keys) == ("cancelled", {})


def test_a_statement_ends_with_the_balance(shop: Cardshop):
    days = datetime.now(UTC).date() - timedelta(days=1), datetime.now(UTC).date() + timedelta(days=1)

    rows = list(csv.DictReader(StringIO(shop.statement(*days))))

    assert (rows[0]["kind"], rows[-1]["kind"]) == ("opening", "closing")
    assert int(rows[-1]["balance_minor"]) == shop.account().balance_minor


def test_a_top_up_is_a_page_to_pay_at_and_one_for_each_key(shop: Cardshop, key: str):
    top_up = shop.top_up(12300, idempotency_key=key)

    assert (top_up.status, top_up.amount_minor, top_up.credited_at) == ("open", 12300, None)
    assert "/o/" in top_up.url
    assert top_up.asked_at < top_up.pay_until
    assert shop.top_up(12300, idempotency_key=key) == shop.top_up_called(top_up.number) == top_up
    assert top_up in list(shop.top_ups())
    with pytest.raises(Refused) as refused:
        shop.top_up(12400, idempotency_key=key)
    assert refused.value.code == "idempotency_key_reused"
