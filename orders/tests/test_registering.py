"""Registering before the opening: once for each buyer, and nobody for somebody else."""

from datetime import timedelta

import pytest
import redis

from cardshop.common.clock import db_now
from cardshop.traffic.passes import BadPass, bind_pass, read_pass
from orders.admission.gate import Gate
from orders.admission.joining import give_up, standing_of
from orders.errors import AlreadyRegistered, FormRegistered, NotOpenYet, TooManyTickets, UnknownTicket
from orders.models import Order, Registration, Sale
from tests.factories import make_buyer
from tests.lines import click, make_sale, open_line, settle_all
from tests.race.racing import race

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "k" * 22


@pytest.fixture
def sale():
    """Registration is open; the sale opens in ten minutes. The gate is up."""
    sale, now = make_sale(keys=5), db_now()
    sale.registration_opens_at, sale.opens_at = now - timedelta(minutes=1), now + timedelta(minutes=10)
    sale.save()
    open_line(sale)
    return sale


def register(sale, **given):
    return click(sale.variant, **{"email": "lin@example.org", "key": KEY, **given})


def opened(sale):
    Sale.objects.update(opens_at=db_now() - timedelta(seconds=1), registration_opens_at=None)
    return Sale.objects.get(pk=sale.pk)


def test_a_click_before_the_opening_is_a_registration_and_no_order(sale):
    ticket_id = register(sale, quantity=2)

    kept = Registration.objects.get()
    assert (kept.ticket_id, kept.quantity, kept.contact_email) == (ticket_id, 2, "lin@example.org")
    standing = standing_of(sale.variant, ticket_id)
    assert standing.status == "registered"
    assert 590 <= standing.expected_wait <= 601
    assert not Order.objects.exists()


def test_the_same_form_again_is_the_same_registration_with_the_new_quantity(sale):
    buyer = make_buyer(sale.variant)
    first = register(sale, buyer=buyer, quantity=1)
    registered_at = Registration.objects.get().registered_at

    again = register(sale, buyer=buyer, quantity=3, email="LIN@example.org")

    kept = Registration.objects.get()
    assert again == first
    assert (kept.quantity, kept.contact_email, kept.registered_at) == (3, "LIN@example.org", registered_at)


def test_knowing_an_address_does_not_take_its_registration(sale):
    first = register(sale)

    with pytest.raises(AlreadyRegistered):
        register(sale, buyer=make_buyer(sale.variant), quantity=5)

    assert [(r.ticket_id, r.quantity) for r in Registration.objects.all()] == [(first, 1)]


def test_one_form_registers_one_address_until_that_is_withdrawn(sale):
    buyer = make_buyer(sale.variant)
    ticket_id = register(sale, buyer=buyer, email="lim@example.org")

    with pytest.raises(FormRegistered):
        register(sale, buyer=buyer)
    assert give_up(sale.variant, ticket_id, now=db_now()).status == "left"

    assert register(sale, buyer=buyer) == ticket_id
    assert Registration.objects.get().contact_email == "lin@example.org"


def test_a_withdrawn_registration_is_unknown(sale):
    ticket_id = register(sale)

    give_up(sale.variant, ticket_id, now=db_now())

    assert not Registration.objects.exists()
    with pytest.raises(UnknownTicket):
        standing_of(sale.variant, ticket_id)


def test_a_bound_pass_registers_nobody_else(sale):
    buyer, now = make_buyer(sale.variant), db_now()
    text = bind_pass(buyer, "lin@example.org", good_until=sale.opens_at)
    bound = read_pass(text, variant_code=sale.variant.code, now=now)

    with pytest.raises(BadPass):
        register(sale, buyer=bound, email="mallory@example.org")

    assert register(sale, buyer=bound) == register(sale, buyer=buyer)


def test_before_registration_opens_there_is_only_the_opening_to_wait_for(sale):
    Sale.objects.update(registration_opens_at=db_now() + timedelta(minutes=1))

    with pytest.raises(NotOpenYet):
        register(sale)

    assert not Registration.objects.exists()


def test_asking_counts_as_presence_and_needs_no_database(sale, django_assert_num_queries):
    ticket_id = register(sale)
    gate = Gate(sale.variant_id)

    with django_assert_num_queries(0):
        standing = standing_of(sale.variant, ticket_id)

    assert standing.status == "registered"
    assert abs(gate.registered_seen([ticket_id])[ticket_id] - gate.clock()) <= 2


def test_what_redis_forgot_of_a_registration_it_learns_when_the_page_asks(sale):
    ticket_id = register(sale)
    gate = Gate(sale.variant_id)
    gate.forget_registered(ticket_id)

    assert standing_of(sale.variant, ticket_id).status == "registered"

    assert gate.registered_seen([ticket_id])[ticket_id] > 0


def test_a_registration_stands_while_redis_is_away(sale, monkeypatch):
    def away(*_):
        raise redis.ConnectionError

    monkeypatch.setattr(Gate, "present", away)
    monkeypatch.setattr(Gate, "look", away)

    ticket_id = register(sale)

    assert standing_of(sale.variant, ticket_id).status == "registered"


def test_at_the_opening_the_registered_ticket_becomes_an_order(sale):
    ticket_id = register(sale)

    settle_all(open_line(opened(sale)))

    assert standing_of(sale.variant, ticket_id).status == "held"


def test_a_registration_that_was_lost_on_the_way_in_goes_in_when_its_page_asks(sale):
    """Everybody is said to be in, and neither Redis nor PostgreSQL knows the ticket."""
    ticket_id = register(sale)
    Sale.objects.update(registered_let_in=True)
    allocator = open_line(opened(sale))

    asked = standing_of(sale.variant, ticket_id)
    settle_all(allocator)

    assert asked.status == "queued"
    assert standing_of(sale.variant, ticket_id).status == "held"


def test_twins_of_one_request_are_one_registration(sale):
    buyer = make_buyer(sale.variant)

    outcomes = race(4, lambda: register(sale, buyer=buyer))

    assert outcomes == [Registration.objects.get().ticket_id] * 4


def test_one_address_cannot_register_without_end(sale, settings):
    settings.UNPAID_HOLDS_PER_ADDRESS = 2
    for _ in range(2):
        click(sale.variant, address="8.8.8.8")

    with pytest.raises(TooManyTickets):
        click(sale.variant, address="8.8.8.8")
    click(sale.variant, address="9.9.9.9")
    assert Registration.objects.count() == 3
