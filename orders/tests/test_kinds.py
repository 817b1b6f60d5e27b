"""Changing what buyers get of a variant: not while anybody counts on it, and the books stay right."""

import pytest
from django.db import transaction

from cardshop.common.clock import db_now
from inventory.models import Fulfilment, Stock, Variant
from inventory.setting import change_text, set_free
from orders.errors import KindIsFixed
from orders.models import Ticket
from orders.services.delivery import deliver_orders
from orders.services.fulfilling import fill_in
from orders.services.kinds import change_kind
from tests.factories import (
    counters,
    make_by_hand,
    make_order,
    make_reusable,
    make_variant,
    pay_order,
    stock_up,
)
from tests.race.racing import broken_invariants

pytestmark = pytest.mark.django_db(transaction=True)

CARD_KEY, REUSABLE, MANUAL = Fulfilment.CARD_KEY, Fulfilment.REUSABLE, Fulfilment.MANUAL


def sold(variant, quantity=1):
    """One order, paid and delivered."""
    order = make_order(variant, quantity=quantity)
    pay_order(order)
    deliver_orders([order.pk], db_now())
    line = order.items.get()
    if line.due_at:
        given = {(line.pk, slot): f"text {slot}" for slot in range(quantity)}
        fill_in(order, given, actor="lin", now=db_now())
    order.refresh_from_db()
    assert order.status == "delivered"


def test_stock_holds_undelivered_orders_and_a_line_forbid_it():
    stocked, unlimited, held, unpaid_for = (
        make_variant(keys=1),
        make_reusable(),
        make_variant(keys=1),
        make_by_hand(free=1),
    )
    make_order(held)
    pay_order(make_order(unpaid_for))
    awaited = make_variant()
    Ticket.objects.create(
        shop=awaited.shop,
        variant=awaited,
        ticket_id="t",
        buyer_key="b",
        contact_email="lin@example.org",
        language="en",
        quantity=1,
        place=1,
        status="waiting",
        settled_at=db_now(),
    )

    for variant in (stocked, unlimited, held, unpaid_for, awaited):
        to = MANUAL if variant.fulfilment != MANUAL else CARD_KEY
        with pytest.raises(KindIsFixed):
            change_kind(variant, to, within_hours=5)
        assert Variant.objects.get(pk=variant.pk).fulfilment == variant.fulfilment


def test_from_one_kind_to_the_next_and_the_books_are_right():
    variant = make_variant(keys=2)
    sold(variant, quantity=2)

    change_kind(variant, REUSABLE)
    variant.refresh_from_db()
    change_text(variant, "for all", changed_by="lin", now=db_now())
    set_free(variant, 3)
    sold(variant, quantity=3)

    change_kind(variant, MANUAL, within_hours=5)
    variant.refresh_from_db()
    set_free(variant, 2)
    sold(variant, quantity=2)

    change_kind(variant, CARD_KEY)
    variant.refresh_from_db()
    stock_up(variant, 2)
    assert counters(variant) == (9, 9, 7)
    sold(variant)
    make_order(variant)

    assert counters(variant) == (9, 9, 9)
    assert broken_invariants() == []


def test_where_no_stock_was_yet_its_row_is_there_to_hold_whoever_imports_meanwhile():
    variant = make_variant()
    Stock.objects.all().delete()

    with transaction.atomic():
        change_kind(variant, REUSABLE)
        # From here to the commit, who wants to add keys waits for this row, and finds the new kind then.
        assert Stock.objects.filter(variant=variant, pool=Stock.PUBLIC).exists()


def test_a_save_by_who_read_it_before_does_not_change_it_back():
    variant = make_variant()
    before = Variant.objects.get(pk=variant.pk)
    change_kind(variant, REUSABLE)

    before.name = "another"
    before.save()

    variant.refresh_from_db()
    assert (variant.name, variant.fulfilment) == ("another", REUSABLE)
