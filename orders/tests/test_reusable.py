"""What every buyer gets alike: sold, delivered, refunded, changed."""

import pytest
from django.db import IntegrityError, transaction

from cardshop.common.clock import db_now
from inventory.errors import CountedByKeys, NotByKeys, NoTextYet, NotReusable, OutOfStock
from inventory.imports import import_keys
from inventory.models import CardKey
from inventory.setting import change_text, set_free
from orders.models import DeliveredKey
from orders.selectors import revealed_keys
from orders.services.delivery import deliver_orders
from tests.factories import counters, make_by_hand, make_order, make_reusable, make_variant, pay_order
from tests.lines import click, keep_house, make_sale, open_line, settle_all, states
from tests.race.racing import broken_invariants

pytestmark = pytest.mark.django_db(transaction=True)

TEXT = "https://pan.example.org/s/7\npassword: 7k2m"


@pytest.fixture(autouse=True)
def _books_balance():
    yield
    assert broken_invariants() == []


def delivered(variant, quantity=1):
    order = make_order(variant, quantity=quantity)
    pay_order(order)
    deliver_orders([order.pk], db_now())
    order.refresh_from_db()
    assert order.status == "delivered"
    return order


def keys_of(order):
    return [key for _item, keys in revealed_keys(order) for key in keys]


def test_every_buyer_gets_it_however_many_there_are():
    variant = make_reusable(TEXT)

    orders = [delivered(variant), delivered(variant), delivered(variant, quantity=2)]

    assert [keys_of(order) for order in orders] == [[TEXT], [TEXT], [TEXT, TEXT]]
    assert counters(variant) == (None, None, 4)
    assert CardKey.objects.get().status == "available"


def test_a_cap_is_kept_and_an_unpaid_hold_gives_back():
    variant = make_reusable(TEXT, free=2)
    make_order(variant)
    delivered(variant)

    with pytest.raises(OutOfStock):
        make_order(variant)

    set_free(variant, 1)
    make_order(variant)
    assert counters(variant) == (3, 3, 3)


def test_who_has_bought_keeps_what_they_got_when_it_is_changed():
    variant = make_reusable("old")
    before = delivered(variant)

    change_text(variant, "new", changed_by="lin", now=db_now())

    assert keys_of(before) == ["old"]
    assert keys_of(delivered(variant)) == ["new"]
    assert CardKey.objects.filter(status="available").count() == 1


def test_it_is_sealed_and_stands_nowhere_in_clear():
    make_reusable(TEXT)

    assert TEXT.encode() not in bytes(CardKey.objects.get().sealed)


def test_there_is_one_at_a_time_and_only_it_is_delivered_twice():
    key = CardKey.objects.get(variant=make_reusable(TEXT))
    key.pk = None
    with pytest.raises(IntegrityError, match="one_reusable_key_at_a_time"), transaction.atomic():
        key.save(force_insert=True)

    row = DeliveredKey.objects.get(item__order=delivered(make_variant(keys=1)))
    row.pk, row.slot = None, 1
    with pytest.raises(IntegrityError, match="key_delivered_once"), transaction.atomic():
        row.save(force_insert=True)


def test_without_its_text_it_is_not_for_sale():
    variant = make_variant(fulfilment="reusable")

    with pytest.raises(NoTextYet):
        set_free(variant, None)
    with pytest.raises(OutOfStock):
        make_order(variant)


@pytest.mark.parametrize("act", ["set_free", "import", "text"])
def test_each_kind_takes_only_what_is_of_its_kind(act):
    if act == "set_free":
        with pytest.raises(CountedByKeys):
            set_free(make_variant(keys=1), 5)
    if act == "import":
        for variant in (make_reusable(TEXT), make_by_hand()):
            with pytest.raises(NotByKeys):
                import_keys(variant=variant, lines=["KEY"], imported_by="lin", now=db_now())
    if act == "text":
        with pytest.raises(NotReusable):
            change_text(make_by_hand(), TEXT, changed_by="lin", now=db_now())


@pytest.mark.usefixtures("line")
@pytest.mark.parametrize(("free", "outcomes"), [(2, ["held", "held", "waiting"]), (None, ["held"] * 3)])
def test_it_sells_through_a_line_too(free, outcomes):
    sale = make_sale(fulfilment="reusable")
    change_text(sale.variant, TEXT, changed_by="lin", now=db_now())
    set_free(sale.variant, free)
    allocator = open_line(sale)

    tickets = [click(sale.variant) for _ in range(3)]
    settle_all(allocator)

    assert states(sale.variant, tickets) == outcomes
    if free:  # more of it is for who waits
        set_free(sale.variant, 1)
        keep_house(allocator)
        assert states(sale.variant, tickets) == ["held"] * 3
