"""Registering before the opening: once for each buyer, and nobody for somebody else."""

from datetime import timedelta

import pytest
import redis

from cardshop.common.clock import db_now
from cardshop.traffic.passes import BadPass, bind_pass, read_pass
from orders.admission.gate import Gate, connect
from orders.admission.joining import give_up, standing_of
from orders.admission.opening import in_order
from orders.admission.sales import pause_sale, resume_sale
from orders.errors import FormRegistered, NotOpenYet, TooManyTickets, UnknownTicket
from orders.models import Order, Registration, Sale, Ticket
from tests.factories import make_buyer
from tests.lines import click, make_sale, open_line, settle_all
from tests.race.racing import race

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]

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


def test_whether_an_address_is_registered_is_told_to_nobody_and_changes_nothing(sale):
    first = register(sale)

    second = register(sale, buyer=make_buyer(sale.variant), quantity=5)

    assert standing_of(sale.variant, second).status == standing_of(sale.variant, first).status == "registered"
    kept = Registration.objects.order_by("pk")
    assert [(r.ticket_id, r.quantity) for r in kept] == [(first, 1), (second, 5)]


def test_an_address_that_is_registered_twice_has_no_more_than_the_limit(sale):
    sale.variant.per_buyer_limit = 2
    sale.variant.save()
    for _ in range(2):
        register(sale, buyer=make_buyer(sale.variant), quantity=2)

    settle_all(open_line(opened(sale)))

    assert Order.objects.get().items.get().quantity == 2
    assert Ticket.objects.get().reason == "limit_reached"


def test_who_registered_an_address_first_has_nothing_of_it(sale):
    buyers = [make_buyer(sale.variant) for _ in range(4)]

    def drawn(registering):
        Registration.objects.all().delete()
        for buyer in registering:
            register(sale, buyer=buyer)
        return [click.ticket_id for click in in_order(sale, Gate(sale.variant_id))]

    assert drawn(buyers) == drawn(buyers[::-1])


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


def test_once_the_opening_has_begun_a_registration_stands(sale):
    """By the database's clock: nobody has been let in yet, and who is drawn may be so at any moment."""
    ticket_id = register(sale)
    Sale.objects.update(opens_at=db_now() - timedelta(seconds=1))

    assert give_up(sale.variant, ticket_id, now=db_now()).status == "registered"

    assert Registration.objects.exists()


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


@pytest.fixture
def lost(sale):
    """A registration that Redis lost on its way in; everybody is said to be in. The allocator with it."""
    ticket_id = register(sale)
    Sale.objects.update(registered_let_in=True, proof_of_work="always")
    return ticket_id, open_line(opened(sale))


def test_who_goes_in_late_needs_no_proof(sale, lost):
    ticket_id, allocator = lost

    assert standing_of(sale.variant, ticket_id).status == "queued"
    settle_all(allocator)

    assert standing_of(sale.variant, ticket_id).status == "held"


@pytest.mark.parametrize("why", ["full", "paused", "too many"])
def test_who_cannot_go_in_yet_stays_registered_and_goes_in_later(sale, lost, why):
    ticket_id, allocator = lost
    gate, buyer_key = allocator.gate, Registration.objects.get().buyer_key
    open_tickets = f"line:{{{sale.variant_id}}}:b:{buyer_key}"
    if why == "full":
        limit = connect().hget(gate.gate, "limit")
        connect().hset(gate.gate, "limit", 0)
    elif why == "paused":
        pause_sale(sale)
        settle_all(allocator)
    else:
        connect().sadd(open_tickets, 1, 2, 3)

    standing = standing_of(sale.variant, ticket_id)

    assert (standing.status, standing.reason) == ("registered", "")
    if why == "full":
        connect().hset(gate.gate, "limit", limit)
    elif why == "paused":
        resume_sale(sale)
        settle_all(allocator)
    else:
        connect().delete(open_tickets)
    assert standing_of(sale.variant, ticket_id).status == "queued"


@pytest.mark.parametrize(("why", "terms"), [("ended", {}), ("sold_out", {"over": "sold_out"})])
def test_who_would_go_in_after_the_end_is_told_so_and_it_is_written_down(sale, lost, why, terms):
    ticket_id, allocator = lost
    if terms:
        connect().hset(allocator.gate.gate, mapping=terms)
    else:
        Sale.objects.update(closes_at=db_now())

    standing = standing_of(sale.variant, ticket_id)

    assert (standing.status, standing.reason) == ("refused", why)
    assert (Ticket.objects.get().status, Ticket.objects.get().reason) == ("refused", why)


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


def test_the_same_form_from_elsewhere_counts_where_it_was_registered(sale, settings):
    settings.UNPAID_HOLDS_PER_ADDRESS = 1
    buyer = make_buyer(sale.variant)
    register(sale, buyer=buyer, address="8.8.8.8")

    register(sale, buyer=buyer, address="9.9.9.9")

    with pytest.raises(TooManyTickets):
        click(sale.variant, address="8.8.8.8")
    click(sale.variant, address="9.9.9.9")
