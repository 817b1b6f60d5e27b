"""The opening: those who registered come first, in an order that nobody could choose."""

import hmac
import math
import secrets
import time
from datetime import timedelta
from hashlib import sha256

import pytest
import redis

from cardshop.common.clock import db_now
from orders.admission.gate import Gate, Refusal, connect
from orders.admission.opening import Opening, in_order, lot
from orders.admission.sales import pause_sale, resume_sale
from orders.errors import NotOpenYet
from orders.models import Order, Registration, Sale, Ticket
from tests.factories import counters
from tests.lines import click, keep_house, make_sale, open_line, settle_all
from tests.race.racing import broken_invariants

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]


def make_opening(*, keys: int, line_cap: int | None = None, seconds: float = 60) -> Sale:
    sale = make_sale(keys=keys, line_cap=line_cap)
    sale.opens_at = db_now() + timedelta(seconds=seconds)
    sale.registration_opens_at = sale.opens_at - timedelta(days=1)
    sale.save()
    return sale


def enrol(sale: Sale, count: int, *, quantity: int = 1) -> list[Registration]:
    """So many registered buyers, the first one first."""
    return Registration.objects.bulk_create(
        Registration(
            sale=sale,
            ticket_id=secrets.token_hex(32),
            buyer_key=secrets.token_hex(32),
            contact_email=f"buyer-{secrets.token_hex(4)}@example.org",
            language="zh-hans",
            quantity=quantity,
            registered_at=db_now(),
        )
        for _ in range(count)
    )


def let_time_pass(sale: Sale) -> None:
    """The opening was a while ago, but no allocator noticed."""
    Sale.objects.filter(pk=sale.pk).update(
        opens_at=db_now() - timedelta(seconds=10), registration_opens_at=db_now() - timedelta(days=1)
    )


def go_through(allocator) -> None:
    for _ in range(5):
        settle_all(allocator)


def let_in(sale: Sale) -> list[str]:
    """Ticket ids as they were served: first those with an order, then the line, then the others."""
    orders = Order.objects.order_by("pk").values_list("ticket_id", flat=True)
    tickets = Ticket.objects.order_by("place").values_list("ticket_id", flat=True)
    return [*orders, *tickets]


def drawn(sale: Sale, registrations: list[Registration]) -> list[str]:
    """The order that anybody can work out who is told the secret."""

    def key(registration: Registration) -> bytes:
        return hmac.new(sale.secret.encode(), registration.buyer_key.encode(), sha256).digest()

    return [registration.ticket_id for registration in sorted(registrations, key=key)]


def test_the_registered_enter_in_the_order_that_the_secret_draws():
    sale = make_opening(keys=10, line_cap=20)
    registrations = enrol(sale, 40)
    allocator = open_line(sale)

    let_time_pass(sale)
    go_through(allocator)

    expected = drawn(sale, registrations)
    assert let_in(sale) == expected
    assert set(Order.objects.values_list("ticket_id", flat=True)) == set(expected[:10])
    line = Ticket.objects.filter(status="waiting").order_by("place")
    assert list(line.values_list("ticket_id", flat=True)) == expected[10:30]
    assert counters(sale.variant) == (10, 10, 10)
    assert broken_invariants() == []


def test_registering_early_changes_nothing_and_another_secret_everything():
    sale = make_opening(keys=0)
    registrations = enrol(sale, 30)
    order = [chosen.ticket_id for chosen in in_order(sale, Gate(sale.variant_id))]

    Registration.objects.all().delete()
    for registration in reversed(registrations):
        registration.pk = None
        registration.save()
    again = [chosen.ticket_id for chosen in in_order(sale, Gate(sale.variant_id))]
    sale.secret = "another"
    other = [chosen.ticket_id for chosen in in_order(sale, Gate(sale.variant_id))]

    assert order == again == drawn(Sale.objects.get(), registrations)
    assert other != order
    assert order != [registration.ticket_id for registration in registrations]


def test_the_draw_is_even():
    """Over many secrets each of ten buyers is first about as often as any other."""
    buyers = [f"buyer-{number}" for number in range(10)]
    first = [min(buyers, key=lambda buyer: lot(Sale(secret=f"{n}"), buyer)) for n in range(2000)]

    # 200 expected each; 5 standard deviations of a binomial are 67.
    assert all(abs(first.count(buyer) - 200) < 67 for buyer in buyers)


def test_who_is_looking_goes_before_who_is_not():
    sale = make_opening(keys=0)
    registrations = enrol(sale, 12)
    gate = Gate(sale.variant_id)
    present, gone, absent = registrations[:4], registrations[4:8], registrations[8:]
    for registration in present:
        gate.present(registration.ticket_id)
    for registration in gone:
        connect().set(f"line:{{{sale.variant_id}}}:r:{registration.ticket_id}", int(time.time()) - 90)

    order = [chosen.ticket_id for chosen in in_order(sale, gate)]

    assert order == drawn(sale, present) + drawn(sale, gone + absent)


def test_whom_the_line_has_no_place_for_hears_so_and_it_is_written_down():
    sale = make_opening(keys=2, line_cap=1)
    registrations = enrol(sale, 6)
    allocator = open_line(sale)
    let_time_pass(sale)

    go_through(allocator)

    refused = Ticket.objects.filter(status="refused").order_by("place")
    assert list(refused.values_list("ticket_id", flat=True)) == drawn(sale, registrations)[3:]
    assert set(refused.values_list("reason", flat=True)) == {"line_full"}
    standing = allocator.gate.look(refused[0].ticket_id)
    assert standing is not None
    assert (standing.status, standing.reason) == ("refused", "line_full")
    assert Sale.objects.get().registered_let_in


def test_places_that_come_free_because_somebody_was_refused_go_to_the_next(settings):
    settings.UNPAID_HOLDS_PER_ADDRESS = 1
    sale = make_opening(keys=2, line_cap=0)
    registrations = enrol(sale, 5)
    expected = drawn(sale, registrations)
    # The first two of the draw share an address that may have one unpaid order.
    Registration.objects.filter(ticket_id__in=expected[:2]).update(address_key="a" * 64)
    allocator = open_line(sale)
    let_time_pass(sale)

    go_through(allocator)

    assert list(Order.objects.order_by("pk").values_list("ticket_id", flat=True)) == [
        expected[0],
        expected[2],
    ]
    reasons = dict(Ticket.objects.values_list("ticket_id", "reason"))
    assert reasons == {
        expected[1]: "too_many_unpaid",
        expected[3]: "line_full",
        expected[4]: "line_full",
    }


def test_newcomers_wait_until_all_the_registered_are_in(monkeypatch):
    monkeypatch.setattr("orders.admission.opening.PORTION", 3)
    sale = make_opening(keys=10)
    registrations = enrol(sale, 8)
    allocator = open_line(sale)
    let_time_pass(sale)

    for _portion in range(2):
        keep_house(allocator)
        with pytest.raises(NotOpenYet) as refused:
            click(sale.variant)
        assert refused.value.retry_after == 1
    keep_house(allocator)
    newcomer = click(sale.variant)
    settle_all(allocator)

    assert let_in(sale) == [*drawn(sale, registrations), newcomer]


def test_newcomers_are_not_held_up_where_nobody_could_register():
    sale = make_sale(keys=1)
    sale.opens_at = db_now() + timedelta(seconds=60)
    sale.save()
    allocator = open_line(sale)
    assert allocator.gate.numbers()["barred"] == "0"

    let_time_pass(sale)
    Sale.objects.update(registration_opens_at=None)
    keep_house(allocator)

    assert Sale.objects.get().registered_let_in
    click(sale.variant)


def test_who_registered_in_the_last_moment_is_let_in_as_well():
    sale = make_opening(keys=5)
    first = enrol(sale, 1)
    allocator = open_line(sale)
    Sale.objects.update(
        opens_at=db_now() - timedelta(seconds=2), registration_opens_at=db_now() - timedelta(days=1)
    )
    go_through(allocator)
    newcomer = click(sale.variant)
    settle_all(allocator)

    straggler = enrol(sale, 1)
    go_through(allocator)

    assert let_in(sale) == [first[0].ticket_id, newcomer, straggler[0].ticket_id]
    assert not Sale.objects.get().registered_let_in
    let_time_pass(sale)
    go_through(allocator)
    assert Sale.objects.get().registered_let_in


def test_nobody_is_let_in_before_the_opening():
    sale = make_opening(keys=5)
    enrol(sale, 3)
    allocator = open_line(sale)

    go_through(allocator)

    assert let_in(sale) == []
    assert not Sale.objects.get().registered_let_in
    assert allocator.gate.admit(in_order(sale, allocator.gate)[0]) == Refusal(
        "not_open", opens_at=math.ceil(sale.opens_at.timestamp())
    )


def test_a_paused_sale_opens_when_it_goes_on():
    sale = make_opening(keys=5)
    registrations = enrol(sale, 3)
    allocator = open_line(sale)
    pause_sale(sale)
    let_time_pass(sale)

    go_through(allocator)
    assert let_in(sale) == []

    resume_sale(sale)
    go_through(allocator)
    assert let_in(sale) == drawn(sale, registrations)


@pytest.mark.parametrize("where", ["admit_registered", "note", "backlog"])
def test_an_allocator_that_dies_on_the_way_is_followed_by_one_that_goes_on(monkeypatch, where):
    monkeypatch.setattr("orders.admission.opening.PORTION", 2)
    sale = make_opening(keys=4, line_cap=2)
    registrations = enrol(sale, 9)
    allocator = open_line(sale)
    let_time_pass(sale)
    whole, calls = getattr(Gate, where), []

    def dies(gate, *args):
        calls.append(where)
        if len(calls) == (1 if where == "note" else 3):
            raise redis.ConnectionError
        return whole(gate, *args)

    monkeypatch.setattr(Gate, where, dies)
    with pytest.raises(redis.ConnectionError):
        go_through(allocator)
    assert not Sale.objects.get().registered_let_in

    go_through(open_line(sale))

    expected = drawn(sale, registrations)
    assert let_in(sale) == expected
    assert Order.objects.count() == 4
    assert Ticket.objects.filter(status="waiting").count() == 2
    assert Sale.objects.get().registered_let_in
    assert broken_invariants() == []


def test_a_redis_that_forgets_everything_in_the_middle_costs_nobody_their_turn(monkeypatch):
    monkeypatch.setattr("orders.admission.opening.PORTION", 2)
    sale = make_opening(keys=4, line_cap=2)
    registrations = enrol(sale, 9)
    allocator = open_line(sale)
    let_time_pass(sale)
    keep_house(allocator)
    keep_house(allocator)
    assert Order.objects.count() == 2
    assert allocator.gate.backlog() == 2  # in Redis, and nowhere else

    connect().flushdb()
    go_through(allocator)

    assert let_in(sale) == drawn(sale, registrations)
    assert Order.objects.count() == 4
    assert Sale.objects.get().registered_let_in


def test_two_allocators_at_once_let_everybody_in_once():
    sale = make_opening(keys=6)
    registrations = enrol(sale, 6)
    first, second = open_line(sale), open_line(sale)
    let_time_pass(sale)

    for _ in range(3):
        for allocator in (first, second):
            keep_house(allocator)

    assert let_in(sale) == drawn(sale, registrations)
    assert first.gate.numbers()["admitted"] == "6"


def test_ten_thousand_are_let_in_within_seconds():
    sale = make_opening(keys=1000, line_cap=1000)
    registrations = enrol(sale, 10_000)
    allocator = open_line(sale)
    let_time_pass(sale)

    began = time.monotonic()
    while not Sale.objects.get().registered_let_in:
        allocator.look_now()
        allocator.step(wait_ms=0)
    took = time.monotonic() - began

    assert let_in(sale) == drawn(sale, registrations)
    assert Order.objects.count() == 1000
    assert Ticket.objects.filter(status="waiting").count() == 1000
    assert took < 15  # 3 s on two cores; more would only be a slow machine


def test_what_an_opening_knows_does_not_outlive_its_round():
    sale = make_opening(keys=1)
    opening = Opening(Gate(sale.variant_id))
    opening._all_in = True
    opening._round = (sale.epoch, sale.opens_at, sale.secret)
    assert not opening.bars_newcomers(sale)

    sale.secret = "another"

    assert opening.bars_newcomers(sale)
