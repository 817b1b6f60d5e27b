"""What is paid for and supplied is noted with the payment; whoever has no suppliers pays nothing for it."""

import pytest

from cardshop.common.clock import db_now
from suppliers import noticing
from suppliers.models import SuppliedVariant, Supplier, SupplierOrder
from tests.factories import make_by_hand, make_order, make_variant, pay_order, the_shop

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch):
    monkeypatch.setattr(noticing, "_known", None)


def supply(variant, **more):
    fields = {"name": "Partner", "base_url": "https://p.example/", "key_name": "ck"}
    supplier = Supplier(shop=variant.shop, **fields, **more)
    supplier.seal_secret("secret")
    supplier.save()
    return SuppliedVariant.objects.create(
        variant=variant, supplier=supplier, their_code="theirs", most_minor=500
    )


def test_what_is_asked_for_is_frozen_with_the_payment():
    variant = make_by_hand()
    supply(variant)
    order = make_order(variant, quantity=3)
    assert not SupplierOrder.objects.exists()

    pay_order(order)

    row = SupplierOrder.objects.get()
    assert (row.their_code, row.quantity, row.most_minor) == ("theirs", 3, 1500)
    assert row.reference == f"{order.number}-{order.items.get().pk}"
    assert row.next_at is not None
    assert len(row.idempotency_key) == 32


def test_of_a_supplier_that_is_off_and_of_other_goods_nothing_is():
    off = make_by_hand()
    supply(off, is_enabled=False)
    pay_order(make_order(off))
    pay_order(make_order(make_variant(keys=1)))

    assert not SupplierOrder.objects.exists()


def test_what_the_buyer_has_answered_is_for_a_person_to_read():
    variant = make_by_hand(asks=[{"name": "account"}])
    supply(variant)
    pay_order(make_order(variant, answers={str(variant.buyer_fields.get().pk): "lin"}))

    assert not SupplierOrder.objects.exists()


def test_where_nobody_supplies_anything_it_costs_no_query(django_assert_num_queries, settings):
    settings.SHOP_FRESH_SECONDS = 60.0
    order = make_order(make_variant(shop=the_shop(), keys=1))
    noticing.shops_with_suppliers()
    now = db_now()

    with django_assert_num_queries(0):
        noticing.note_what_was_paid(orders=[order], after="paid", now=now)
        noticing.note_what_was_paid(orders=[order], after="delivered", now=now)
