"""Which lines the allocators serve: those that have something to do, and no others."""

import time
from collections.abc import Callable
from datetime import timedelta
from threading import Event, Thread

import pytest

from cardshop.common.clock import db_now
from inventory.models import Product, Selling, Variant
from orders.admission.directory import forget_listings
from orders.admission.gate import Gate
from orders.admission.sales import sales_to_serve
from orders.errors import LineUnavailable, NotOpenYet
from orders.management.commands.allocate import attend, end, sales
from orders.models import Order, Registration, Sale, Ticket, Wave
from tests.lines import click, keep_house, make_sale, open_line, settle_all, states

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]


def sell_directly(sale: Sale) -> None:
    Variant.objects.filter(pk=sale.variant_id).update(selling=Selling.DIRECT)


def sell_by_line(sale: Sale) -> None:
    Variant.objects.filter(pk=sale.variant_id).update(selling=Selling.QUEUED)
    forget_listings()


def is_served(sale: Sale) -> bool:
    return sale in sales_to_serve(isolated=False)


def wait_in_line(sale: Sale) -> None:
    Ticket.objects.create(
        shop=sale.shop,
        variant=sale.variant,
        ticket_id="a" * 64,
        buyer_key="b",
        contact_email="lin@example.org",
        language="en",
        quantity=1,
        place=1,
        status="waiting",
        settled_at=db_now(),
    )


def register(sale: Sale) -> None:
    Registration.objects.create(
        sale=sale, ticket_id="a" * 64, buyer_key="b", quantity=1, registered_at=db_now(), language="en"
    )


def test_a_variant_that_sells_through_its_line_is_served():
    sale = make_sale()

    assert is_served(sale)
    assert sales_to_serve(isolated=True) == []


@pytest.mark.parametrize("why", ["sold directly", "not for sale", "unlisted", "shop closed"])
def test_where_nobody_can_come_and_nothing_is_left_to_do_nobody_serves(why):
    sale = make_sale()
    match why:
        case "sold directly":
            sell_directly(sale)
        case "not for sale":
            Variant.objects.update(is_active=False)
        case "unlisted":
            Product.objects.update(is_listed=False)
        case "shop closed":
            type(sale.shop).objects.update(is_open=False)

    assert not is_served(sale)


@pytest.mark.parametrize(
    "leave_to_do",
    [
        wait_in_line,
        register,
        lambda sale: Wave.objects.create(sale=sale, quantity=1, opens_at=db_now() + timedelta(days=1)),
    ],
)
def test_what_is_left_to_do_is_done_however_the_variant_sells(leave_to_do):
    sale = make_sale()
    sell_directly(sale)
    leave_to_do(sale)

    assert is_served(sale)


def test_a_line_is_left_once_all_in_its_stream_are_settled_and_its_gate_is_shut():
    sale = make_sale(keys=1)
    allocator = open_line(sale)
    ticket = click(sale.variant)
    sell_directly(sale)

    assert not allocator.gate.shut()
    assert is_served(sale)

    settle_all(allocator)
    assert is_served(sale)
    keep_house(allocator)
    assert not is_served(sale)
    assert states(sale.variant, [ticket]) == ["held"]


def test_a_line_that_is_needed_again_is_served_again_in_another_epoch():
    sale = make_sale(keys=2)
    allocator = open_line(sale)
    click(sale.variant)
    settle_all(allocator)
    sell_directly(sale)
    keep_house(allocator)

    sell_by_line(sale)
    assert is_served(sale)
    keep_house(allocator)
    click(sale.variant)
    settle_all(allocator)

    assert Order.objects.count() == 2
    numbers = Gate(sale.variant_id).numbers()
    assert (numbers["epoch"], numbers["arrivals"]) == ("2", "2")


def test_nobody_comes_in_on_the_terms_of_last_time():
    """Between the choice to sell through the line again and the allocator that notices it."""
    sale = make_sale(keys=1)
    allocator = open_line(sale)
    sell_directly(sale)
    keep_house(allocator)

    Sale.objects.update(opens_at=db_now() + timedelta(days=1))
    sell_by_line(sale)

    with pytest.raises(LineUnavailable):
        click(sale.variant)
    keep_house(allocator)
    with pytest.raises(NotOpenYet):
        click(sale.variant)


def look_until(serving: dict[int, tuple[Thread, Event]], claim: Callable[[], bool]) -> bool:
    """Look for sales again and again, as `manage.py allocate` does, until that is so; at most 10 s."""
    until = time.monotonic() + 10
    while not (so := claim()) and time.monotonic() < until:
        attend(serving, sales(isolated=False))
        time.sleep(0.05)
    return so


def test_threads_come_and_go_with_the_need_for_them():
    sale, serving = make_sale(keys=1), {}

    try:
        assert look_until(serving, lambda: "epoch" in Gate(sale.variant_id).numbers())
        thread, _stop = serving[sale.pk]
        sell_directly(sale)
        assert look_until(serving, lambda: not serving and not thread.is_alive())
        assert Sale.objects.get().leased_until is None

        sell_by_line(sale)
        assert look_until(serving, lambda: "epoch" in Gate(sale.variant_id).numbers())
    finally:
        end(serving)
