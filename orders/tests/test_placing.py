"""Placing an order."""

import pytest

from inventory.errors import OutOfStock
from orders.errors import IdempotencyConflict, NotForSale, WrongQuantity
from orders.models import Order, OrderEvent
from tests.factories import counters, make_buyer, make_order, make_shop, make_variant

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_order_holds_stock_and_freezes_the_price():
    variant = make_variant(keys=3, price_minor=990)

    order = make_order(variant, quantity=2)

    assert counters(variant) == (3, 3, 2)
    assert (order.total_minor, order.currency, order.status) == (1980, "CNY", "pending")
    assert [(e.before, e.after) for e in OrderEvent.objects.all()] == [("", "pending")]


def test_an_order_for_more_than_there_is_leaves_nothing_behind():
    variant = make_variant(keys=2)

    with pytest.raises(OutOfStock):
        make_order(variant, quantity=3)

    assert counters(variant) == (2, 2, 0)
    assert not Order.objects.exists()


def test_the_same_request_twice_is_one_order():
    variant = make_variant(keys=5)
    buyer = make_buyer(variant)

    first = make_order(variant, buyer=buyer, idempotency_key="k" * 16)
    again = make_order(variant, buyer=buyer, idempotency_key="k" * 16)

    assert first == again
    assert counters(variant) == (5, 5, 1)


@pytest.mark.parametrize("changed", [{"quantity": 2}, {"contact_email": "other@example.org"}])
def test_the_same_key_with_another_body_is_a_conflict_that_names_the_order(changed):
    variant = make_variant(keys=5)
    buyer = make_buyer(variant)
    first = make_order(variant, buyer=buyer, idempotency_key="k" * 16)

    with pytest.raises(IdempotencyConflict) as conflict:
        make_order(variant, buyer=buyer, idempotency_key="k" * 16, **changed)

    assert conflict.value.order_token == first.token
    assert counters(variant) == (5, 5, 1)


def test_a_hidden_product_an_idle_variant_and_another_shop_are_not_for_sale():
    variant = make_variant(keys=5)
    buyer = make_buyer(variant)
    elsewhere = make_shop("elsewhere")

    for spoil in (
        lambda: variant.product.__class__.objects.update(is_listed=False),
        lambda: variant.__class__.objects.update(is_active=False, shop=variant.shop),
        lambda: variant.__class__.objects.update(shop=elsewhere),
    ):
        spoil()
        with pytest.raises(NotForSale):
            make_order(variant, buyer=buyer)
        variant.product.__class__.objects.update(is_listed=True)
        variant.__class__.objects.update(is_active=True, shop=variant.shop)


@pytest.mark.parametrize("quantity", [1, 6])
def test_quantity_outside_the_variants_bounds_is_refused(quantity):
    variant = make_variant(keys=10, min_quantity=2, max_quantity=5)

    with pytest.raises(WrongQuantity):
        make_order(variant, quantity=quantity)

    assert counters(variant) == (10, 10, 0)
