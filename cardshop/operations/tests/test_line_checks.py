"""`verify` and the line: a line that goes on as it should is never red, and one that stands still is."""

from datetime import timedelta

import pytest

from cardshop.common.clock import db_now
from cardshop.operations.verify import verify
from inventory.models import KeyBatch, Selling, Variant
from orders.admission.gate import connect
from orders.admission.sales import pause_sale
from orders.admission.waves import release_wave
from orders.models import Order, OrderEvent, Registration, Sale, Ticket, Wave
from orders.services.transitions import SYSTEM
from orders.states import OrderStatus
from payments.services.closing import begin_closing, finish_closing
from tests.factories import make_order, pay_order, stock_up
from tests.lines import click, keep_house, make_sale, open_line, settle_all

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]


def findings(*, settled: bool = False) -> dict[str, list[str]]:
    looked = verify(settled=settled, sleep=lambda _: None)
    return {result.name: result.findings for result in looked if result.findings}


def waiting_sale(*, quantity: int = 1) -> Sale:
    """All of `quantity` are held by one each, and somebody who wants as many has waited for two minutes."""
    sale = make_sale(keys=quantity, line_cap=10)
    allocator = open_line(sale)
    for wanted in (*[1] * quantity, quantity):
        click(sale.variant, quantity=wanted)
    settle_all(allocator)
    a_while_ago()
    return sale


def a_while_ago() -> None:
    """Everything so far happened two minutes ago, and was seen to."""
    earlier = db_now() - timedelta(minutes=2)
    Ticket.objects.update(settled_at=earlier)
    KeyBatch.objects.update(imported_at=earlier)
    OrderEvent.objects.update(at=earlier)


def lapse(order: Order) -> None:
    begin_closing(order, OrderStatus.EXPIRED, reason="late", actor=SYSTEM, now=db_now())
    finish_closing([order.pk], now=db_now())


def test_a_line_that_waits_for_what_is_taken_is_in_order():
    waiting_sale()

    assert findings() == findings(settled=True) == {}


def test_a_line_that_is_passed_by_is_found():
    waiting_sale()
    lapse(Order.objects.earliest("pk"))

    assert findings() == {}  # a moment ago
    a_while_ago()

    ticket = Ticket.objects.get()
    (found,) = findings()["orders.the_line_is_served"]
    assert found.endswith(f"1 free, and ticket {ticket.pk} waits for 1")


def test_a_line_that_is_served_is_in_order_again():
    sale = waiting_sale()
    lapse(Order.objects.earliest("pk"))
    a_while_ago()

    keep_house(open_line(sale))

    assert findings() == {}


def test_one_who_wants_more_than_is_free_may_wait():
    waiting_sale(quantity=2)
    lapse(Order.objects.earliest("pk"))
    a_while_ago()

    assert findings() == {}


def test_one_who_wants_more_than_can_come_is_found_until_told():
    sale = waiting_sale(quantity=2)
    ticket = Ticket.objects.get()
    pay_order(Order.objects.earliest("pk"))

    assert "orders.nobody_waits_in_vain" not in findings()  # a moment ago
    a_while_ago()
    (found,) = findings()["orders.nobody_waits_in_vain"]
    assert found == f"ticket {ticket.pk} waits for 2, and 1 can still come"

    keep_house(open_line(sale))
    assert "orders.nobody_waits_in_vain" not in findings()


def test_one_behind_them_who_wants_less_may_not():
    sale = waiting_sale(quantity=2)
    click(sale.variant)
    settle_all(open_line(sale))
    lapse(Order.objects.earliest("pk"))
    a_while_ago()

    assert list(findings()) == ["orders.the_line_is_served"]


def test_an_absent_one_who_fits_is_served_although_a_present_one_does_not_fit():
    sale = waiting_sale(quantity=2)
    allocator = open_line(sale)
    small = click(sale.variant)
    settle_all(allocator)
    lapse(Order.objects.earliest("pk"))
    big = Ticket.objects.get(quantity=2)
    allocator.gate.look(big.ticket_id)
    connect().hset(f"line:{{{sale.variant_id}}}:t:{small}", "seen", 0)

    keep_house(allocator)

    assert Order.objects.filter(ticket_id=small).exists()


@pytest.mark.parametrize("why", ["paused", "not for sale", "shop closed"])
def test_a_line_that_may_not_be_served_is_in_order(why):
    sale = waiting_sale()
    lapse(Order.objects.earliest("pk"))
    a_while_ago()
    match why:
        case "paused":
            pause_sale(sale)
        case "not for sale":
            Variant.objects.update(is_active=False)
        case "shop closed":
            type(sale.shop).objects.update(is_open=False)

    assert findings() == {}


@pytest.mark.parametrize("what", ["wave", "keys"])
def test_what_has_just_come_is_given_a_minute(what):
    sale = waiting_sale()
    if what == "wave":
        Variant.objects.update(sells_in_waves=True)
        stock_up(sale.variant, 1)
        a_while_ago()
        release_wave(Wave.objects.create(sale=sale, quantity=1), now=db_now())
    else:
        stock_up(sale.variant, 1)
        KeyBatch.objects.update(imported_at=db_now())

    assert findings() == {}


def test_a_refused_ticket_whose_page_bought_directly_later_is_in_order():
    sale = waiting_sale()
    Ticket.objects.update(status="refused", ended_at=db_now())
    stock_up(sale.variant, 1)
    Variant.objects.update(selling=Selling.DIRECT)
    order = make_order(sale.variant, contact_email="other@example.org")
    Ticket.objects.update(ticket_id=order.ticket_id)

    assert findings() == {}


def test_the_registered_of_a_sale_that_has_lost_its_opening_are_found():
    sale, earlier = make_sale(), db_now() - timedelta(minutes=2)
    registration = Registration.objects.create(
        sale=sale, ticket_id="a" * 64, buyer_key="b", quantity=1, registered_at=earlier, language="en"
    )

    assert findings()["orders.the_registered_are_let_in"] == [
        f"registration {registration.pk} has no ticket and no order"
    ]


def test_a_line_without_terms_is_given_a_second_look():
    sale = make_sale()
    sale.delete()

    assert list(findings()) == ["orders.lines_have_their_terms"]
