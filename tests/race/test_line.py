"""The line: exactly the stock is sold, however often, however parallel and however late it is told."""

import math
from functools import partial

import pytest
import redis

from cardshop.common.clock import db_now
from inventory.models import Stock
from orders.admission import line, settling
from orders.admission.gate import Gate, Outcome, connect
from orders.admission.joining import give_up
from orders.admission.line import Stand, stand
from orders.admission.settling import settle
from orders.models import Order, Reservation, Sale, Ticket, Wave
from tests.factories import counters, make_buyer, make_channel, make_order, pay_order, stock_up
from tests.lines import click, keep_house, make_sale, open_line, settle_all, standings, states
from tests.race.racing import (
    broken_invariants,
    linger,
    race,
    race_all,
    read_unlocked,
    unique_constraint_of,
    without_constraint,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]


def test_sixty_clicks_at_once_for_twenty_keys():
    sale = make_sale(keys=20)
    variant = sale.variant
    allocator = open_line(sale)

    outcomes = race(60, lambda: click(variant))
    settle_all(allocator)

    tickets = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert len(tickets) == 40  # the line holds as many as were released
    assert {type(outcome).__name__ for outcome in outcomes} == {"str", "LineFull"}
    assert sorted(states(variant, tickets)) == ["held"] * 20 + ["waiting"] * 20
    assert sorted(s.ahead for s in standings(variant, tickets) if s.status == "waiting") == list(range(20))
    assert counters(variant) == (20, 20, 20)
    assert Order.objects.count() == Reservation.objects.count() == 20
    assert broken_invariants() == []


def test_one_click_sent_twenty_times_is_one_ticket_and_one_order():
    sale = make_sale(keys=5)
    buyer, allocator = make_buyer(sale.variant), open_line(sale)

    tickets = race(20, lambda: click(sale.variant, email="lin@example.org", buyer=buyer, key="k" * 16))
    settle_all(allocator)

    assert len(set(tickets)) == 1
    assert Order.objects.get().ticket_id == tickets[0]
    assert allocator.gate.numbers()["admitted"] == "1"


def a_batch_settled_twice() -> tuple[Sale, list[str]]:
    """As when an allocator dies between its commit and the acknowledgement."""
    sale = make_sale(keys=5)
    gate = open_line(sale).gate
    tickets = [click(sale.variant) for _ in range(5)]
    entries = gate.unsettled(500, wait_ms=0)
    for _ in range(2):
        settle(sale, [entry.click for entry in entries], now=db_now())
    return sale, tickets


def test_a_batch_that_comes_again_changes_nothing():
    sale, tickets = a_batch_settled_twice()

    assert counters(sale.variant) == (5, 5, 5)
    assert set(Order.objects.values_list("ticket_id", flat=True)) == set(tickets)
    assert Order.objects.count() == 5
    assert broken_invariants() == []


def test_control_without_unique_tickets_a_batch_that_comes_again_is_sold_twice(monkeypatch):
    monkeypatch.setattr(settling._Batch, "recognize", lambda batch, clicks: list(clicks))

    with (
        without_constraint(Order, unique_constraint_of(Order, "ticket_id")),
        without_constraint(Stock, "stock_never_oversold"),
    ):
        sale = make_sale(keys=10)
        gate = open_line(sale).gate
        for _ in range(5):
            click(sale.variant)
        entries = gate.unsettled(500, wait_ms=0)
        for _ in range(2):
            settle(sale, [entry.click for entry in entries], now=db_now())

        assert counters(sale.variant)[2] == 10  # five people hold two each, having clicked once


def two_allocators_settle_the_same_stream() -> tuple[Sale, list[str]]:
    """A lease was lost and its holder does not know it yet."""
    sale = make_sale(keys=30)
    one, other = open_line(sale), open_line(sale)
    tickets = [click(sale.variant) for _ in range(50)]
    race_all(lambda: settle_all(one), lambda: settle_all(other))
    return sale, tickets


def test_two_allocators_at_once_sell_what_there_is_and_count_it_once():
    sale, tickets = two_allocators_settle_the_same_stream()

    assert sorted(states(sale.variant, tickets)) == ["held"] * 30 + ["waiting"] * 20
    assert counters(sale.variant) == (30, 30, 30)
    numbers = Gate(sale.variant_id).numbers()
    assert (numbers["settled"], numbers["done"]) == ("50", "50")
    assert broken_invariants() == []


def test_control_without_the_stock_lock_two_allocators_sell_the_same_units(monkeypatch):
    """Different clicks for the same last units, each looked at before the other's commit."""
    monkeypatch.setattr(settling, "lock_rows", read_unlocked)
    linger(monkeypatch, "orders.admission.settling.allowance", 0.3)

    with without_constraint(Stock, "stock_never_oversold"):
        sale = make_sale(keys=5)
        gate = open_line(sale).gate
        for _ in range(10):
            click(sale.variant)
        entries = gate.unsettled(500, wait_ms=0)
        halves = entries[:5], entries[5:]
        race_all(*(lambda half=half: settle(sale, [e.click for e in half], now=db_now()) for half in halves))

        assert counters(sale.variant) == (5, 5, 10)


def test_the_same_halves_with_the_lock_sell_five():
    sale = make_sale(keys=5)
    gate = open_line(sale).gate
    for _ in range(10):
        click(sale.variant)
    entries = gate.unsettled(500, wait_ms=0)
    halves = entries[:5], entries[5:]

    race_all(*(lambda half=half: settle(sale, [e.click for e in half], now=db_now()) for half in halves))

    assert counters(sale.variant) == (5, 5, 5)
    assert stand(sale).waiting == 5
    assert broken_invariants() == []


def test_a_click_by_the_line_and_directly_at_once_is_one_order():
    """As when a page is sent again just when the merchant changes how the variant is sold."""
    for _ in range(10):
        sale = make_sale(keys=3)
        variant, buyer, allocator = sale.variant, make_buyer(sale.variant), open_line(sale)
        click(variant, email="lin@example.org", buyer=buyer, key="k" * 16)
        type(variant).objects.filter(pk=variant.pk).update(selling="direct")
        before = Order.objects.count()

        outcomes = race_all(
            partial(settle_all, allocator),
            partial(
                make_order,
                variant,
                contact_email="lin@example.org",
                buyer=buyer,
                idempotency_key="k" * 16,
            ),
        )

        assert Order.objects.count() == before + 1
        assert isinstance(outcomes[1], Order)
        assert counters(variant)[2] == 1
    assert broken_invariants() == []


# Redis is not believed


def test_redis_forgets_everything_between_commit_and_acknowledgement(monkeypatch):
    sale = make_sale(keys=3)
    variant, allocator = sale.variant, open_line(sale)
    tickets = [click(variant) for _ in range(6)]
    tell = allocator._tell

    def forget_and_tell(*args: object, **kwargs: object) -> bool:
        connect().flushdb()
        return tell(*args, **kwargs)

    monkeypatch.setattr(allocator, "_tell", forget_and_tell)
    settle_all(allocator)

    assert states(variant, tickets) == ["held"] * 3 + ["waiting"] * 3
    assert Sale.objects.get(pk=sale.pk).epoch == 2
    assert [s.ahead for s in standings(variant, tickets[3:])] == [0, 1, 2]
    assert broken_invariants() == []


def test_while_redis_has_forgotten_clicks_are_told_to_come_again_and_are_the_same_ticket():
    from orders.errors import LineUnavailable

    sale = make_sale(keys=3)
    variant, buyer, allocator = sale.variant, make_buyer(sale.variant), open_line(sale)
    first = click(variant, email="lin@example.org", buyer=buyer, key="k" * 16)
    connect().flushdb()  # admitted, never settled

    with pytest.raises(LineUnavailable):
        click(variant, email="lin@example.org", buyer=buyer, key="k" * 16)
    keep_house(allocator)
    again = click(variant, email="lin@example.org", buyer=buyer, key="k" * 16)
    settle_all(allocator)

    assert again == first
    assert states(variant, [first]) == ["held"]
    assert Order.objects.count() == 1


def a_redis_a_moment_behind() -> tuple[Sale, list[str]]:
    """It comes back as it was before the batch was acknowledged, though PostgreSQL has committed it."""
    sale = make_sale(keys=5, line_cap=100)
    variant, allocator = sale.variant, open_line(sale)
    tickets = [click(variant) for _ in range(8)]
    gate = allocator.gate
    kept = {key: connect().dump(key) for key in connect().keys("line:*")}
    settle_all(allocator)
    connect().flushdb()
    for key, value in kept.items():
        connect().restore(key, 0, value)
    assert gate.numbers()["settled"] == "0"
    settle_all(allocator)
    return sale, tickets


def test_a_redis_a_moment_behind_sells_nothing_twice():
    sale, tickets = a_redis_a_moment_behind()

    assert states(sale.variant, tickets) == ["held"] * 5 + ["waiting"] * 3
    assert counters(sale.variant) == (5, 5, 5)
    assert broken_invariants() == []


def test_a_redis_from_an_earlier_epoch_is_rebuilt():
    sale = make_sale(keys=5)
    variant, allocator = sale.variant, open_line(sale)
    tickets = [click(variant) for _ in range(5)]
    old = {key: connect().dump(key) for key in connect().keys("line:*")}
    connect().flushdb()
    keep_house(allocator)  # a new epoch
    assert allocator.gate.numbers()["epoch"] == "2"
    connect().flushdb()
    for key, value in old.items():
        connect().restore(key, 0, value)

    settle_all(allocator)
    settle_all(allocator)

    assert allocator.gate.numbers()["epoch"] == "3"
    assert states(variant, tickets) == ["held"] * 5
    assert broken_invariants() == []


def test_control_where_redis_is_believed_it_oversells(monkeypatch):
    """What was admitted is sold without a look at the counter, and Redis admits too many."""
    monkeypatch.setattr(settling._Batch, "_fits", lambda batch, quantity: True)

    with without_constraint(Stock, "stock_never_oversold"):
        sale = make_sale(keys=5)
        allocator = open_line(sale)
        connect().hset(allocator.gate.gate, "limit", 1000)
        for _ in range(20):
            click(sale.variant)
        settle_all(allocator)

        assert counters(sale.variant) == (5, 5, 20)


def test_a_gate_that_admits_too_many_sells_no_more_than_there_is():
    sale = make_sale(keys=5)
    allocator = open_line(sale)
    connect().hset(allocator.gate.gate, "limit", 1000)
    tickets = [click(sale.variant) for _ in range(20)]

    settle_all(allocator)

    assert states(sale.variant, tickets) == ["held"] * 5 + ["waiting"] * 5 + ["refused"] * 10
    assert broken_invariants() == []


def test_control_acknowledging_before_the_commit_loses_clicks(monkeypatch):
    """The allocator dies in between; nobody ever settles them."""
    sale = make_sale(keys=5)
    variant, allocator = sale.variant, open_line(sale)
    tickets = [click(variant) for _ in range(5)]
    entries = allocator.gate.unsettled(500, wait_ms=0)
    sale.refresh_from_db()
    allocator.gate.settle(epoch=sale.epoch, room=0, outcomes=[], entries=entries)

    settle_all(open_line(sale))

    assert states(variant, tickets) == ["queued"] * 5  # for ever
    assert Order.objects.count() == 0


def test_an_allocator_that_dies_leaves_its_batch_to_the_next(monkeypatch):
    sale = make_sale(keys=5)
    variant, dying = sale.variant, open_line(sale)
    tickets = [click(variant) for _ in range(5)]

    def die(*args: object, **kwargs: object) -> None:
        raise redis.ConnectionError

    monkeypatch.setattr(dying.gate, "settle", die)
    with pytest.raises(redis.ConnectionError):
        settle_all(dying)
    assert states(variant, tickets) == ["queued"] * 5  # though PostgreSQL has them

    settle_all(open_line(sale))

    assert states(variant, tickets) == ["held"] * 5
    assert Order.objects.count() == 5


def test_a_late_word_never_moves_a_ticket_backwards():
    sale = make_sale(keys=1)
    variant, allocator = sale.variant, open_line(sale)
    ticket = click(variant)
    settle_all(allocator)

    allocator.gate.note([Outcome(ticket, "someone", "", "waiting", place=1)])

    assert states(variant, [ticket]) == ["held"]
    assert connect().zcard(allocator.gate.line) == 0


# The line is served


def lapse(order: Order) -> None:
    from payments.services.closing import begin_closing, finish_closing

    begin_closing(order, "expired", reason="test", actor="test", now=db_now())
    finish_closing([order.pk], db_now())


def test_a_hold_that_lapses_passes_to_the_first_who_is_present():
    sale = make_sale(keys=2)
    variant, allocator = sale.variant, open_line(sale)
    holders = [click(variant) for _ in range(2)]
    waiting = [click(variant) for _ in range(2)]
    settle_all(allocator)
    connect().hset(allocator.gate._ticket + waiting[0], "seen", 1)  # its page is closed long since

    lapse(Order.objects.get(ticket_id=holders[0]))
    keep_house(allocator)

    assert states(variant, waiting) == ["waiting", "held"]
    assert broken_invariants() == []


def test_whoever_is_present_is_found_however_far_down_the_line(monkeypatch):
    monkeypatch.setattr(line, "PORTION", 2)
    sale = make_sale(keys=1, line_cap=10)
    variant, allocator = sale.variant, open_line(sale)
    holder, *waiting = (click(variant) for _ in range(6))
    settle_all(allocator)
    for gone in waiting[:4]:
        connect().hset(allocator.gate._ticket + gone, "seen", 1)

    lapse(Order.objects.get(ticket_id=holder))
    keep_house(allocator)

    assert states(variant, waiting) == ["waiting"] * 4 + ["held"]


def test_a_hold_that_lapses_while_nobody_looks_goes_to_the_first_by_mail():
    from cardshop.outbox.models import OutboxMessage

    sale = make_sale(keys=1)
    variant, allocator = sale.variant, open_line(sale)
    holder = click(variant)
    settle_all(allocator)
    first = click(variant)
    settle_all(allocator)
    connect().hset(allocator.gate._ticket + first, "seen", 1)

    lapse(Order.objects.get(ticket_id=holder))
    keep_house(allocator)

    order = Order.objects.get(ticket_id=first)
    assert OutboxMessage.objects.get(task="orders.mail_turn").subject_id == order.pk


def test_newcomers_stand_behind_the_line():
    sale = make_sale(keys=1, line_cap=10)
    variant, allocator = sale.variant, open_line(sale)
    holder = click(variant)
    waiting = [click(variant) for _ in range(2)]
    settle_all(allocator)

    lapse(Order.objects.get(ticket_id=holder))
    newcomer = click(variant)
    settle_all(allocator)
    settle_all(allocator)

    assert states(variant, [*waiting, newcomer]) == ["held", "waiting", "waiting"]


def test_who_wants_more_than_has_come_back_is_passed_over_and_keeps_the_place():
    sale = make_sale(keys=3, line_cap=10)
    variant, allocator = sale.variant, open_line(sale)
    holders = [click(variant) for _ in range(3)]
    settle_all(allocator)
    three, one = click(variant, quantity=3), click(variant)
    settle_all(allocator)

    lapse(Order.objects.get(ticket_id=holders[0]))
    keep_house(allocator)
    assert states(variant, [three, one]) == ["waiting", "held"]
    assert standings(variant, [three])[0].ahead == 0

    stock_up(variant, 3)
    keep_house(allocator)
    assert states(variant, [three]) == ["held"]
    assert broken_invariants() == []


def test_when_everything_is_paid_for_the_line_is_told():
    sale = make_sale(keys=1)
    variant, allocator = sale.variant, open_line(sale)
    holder, waiting = click(variant), click(variant)
    settle_all(allocator)
    make_channel()
    pay_order(Order.objects.get(ticket_id=holder))
    keep_house(allocator)

    (standing,) = standings(variant, [waiting])
    assert (standing.status, standing.reason) == ("refused", "sold_out")
    from orders.errors import SoldOut

    with pytest.raises(SoldOut):
        click(variant)


def test_who_wants_more_than_can_still_come_is_told_as_soon_as_that_is_certain():
    sale = make_sale(keys=4, line_cap=10)
    variant, allocator = sale.variant, open_line(sale)
    three, one = click(variant, quantity=3), click(variant)
    settle_all(allocator)
    four, two = click(variant, quantity=4), click(variant, quantity=2)
    settle_all(allocator)
    holder_of_three, holder_of_one = (Order.objects.get(ticket_id=ticket) for ticket in (three, one))

    pay_order(holder_of_one)
    keep_house(allocator)
    assert [(s.status, s.reason) for s in standings(variant, [four, two])] == [
        ("refused", "out_of_stock"),  # three at most come back
        ("waiting", ""),
    ]

    pay_order(holder_of_three)
    keep_house(allocator)
    (standing,) = standings(variant, [two])
    assert (standing.status, standing.reason) == ("refused", "sold_out")
    assert broken_invariants() == []


def test_what_is_left_and_fits_nobody_in_line_goes_to_newcomers():
    sale = make_sale(keys=3, line_cap=10)
    variant, allocator = sale.variant, open_line(sale)
    paid, lapsed = click(variant, quantity=2), click(variant)
    settle_all(allocator)
    waiting = [click(variant, quantity=2), click(variant, quantity=3)]
    settle_all(allocator)
    pay_order(Order.objects.get(ticket_id=paid))
    lapse(Order.objects.get(ticket_id=lapsed))

    keep_house(allocator)
    newcomer = click(variant)
    settle_all(allocator)

    assert states(variant, [*waiting, newcomer]) == ["refused", "refused", "held"]
    assert broken_invariants() == []


def test_a_wave_to_come_keeps_those_in_line_whom_it_may_serve():
    sale = make_sale(sells_in_waves=True, line_cap=10)
    variant = sale.variant
    stock_up(variant, 3)
    variant.stocks.update(released=1)
    allocator = open_line(sale)
    holder, two = click(variant), click(variant, quantity=2)
    settle_all(allocator)
    wave = Wave.objects.create(sale=sale, quantity=2)
    pay_order(Order.objects.get(ticket_id=holder))
    keep_house(allocator)
    assert states(variant, [two]) == ["waiting"]

    wave.delete()
    keep_house(allocator)
    assert states(variant, [two]) == ["refused"]


def sold_out_while_keys_are_imported(monkeypatch) -> list[str]:
    """Everything is paid for; while the line is about to be told, somebody imports two keys."""
    sale = make_sale(keys=1, line_cap=10)
    allocator = open_line(sale)
    holder, *waiting = click(sale.variant), click(sale.variant), click(sale.variant)
    settle_all(allocator)
    pay_order(Order.objects.get(ticket_id=holder))
    look = line.stand

    def imported_meanwhile(sale: Sale) -> Stand:
        seen = look(sale)
        if seen.somebody_waits_in_vain:
            stock_up(sale.variant, 2)
        return seen

    monkeypatch.setattr("orders.admission.allocator.stand", imported_meanwhile)
    keep_house(allocator)
    monkeypatch.undo()
    keep_house(allocator)
    return states(sale.variant, waiting)


def test_nobody_is_sent_home_while_keys_are_imported(monkeypatch):
    assert sold_out_while_keys_are_imported(monkeypatch) == ["held", "held"]


def test_a_long_line_is_told_in_portions(monkeypatch):
    sale = make_sale(keys=1, line_cap=10)
    allocator = open_line(sale)
    holder, *waiting = (click(sale.variant) for _ in range(6))
    settle_all(allocator)
    pay_order(Order.objects.get(ticket_id=holder))
    note, portions = Gate.note, []

    def noted(gate: Gate, outcomes: list[Outcome]) -> None:
        portions.append(len(outcomes))
        note(gate, outcomes)

    monkeypatch.setattr(Gate, "note", noted)
    monkeypatch.setattr(line, "PORTION", 2)
    allocator._compare_at = math.inf  # that tells nothing here
    keep_house(allocator)

    assert portions == [2, 2, 1]
    assert states(sale.variant, waiting) == ["refused"] * 5


# What Redis has let go


@pytest.mark.parametrize("is_rebuilt", [False, True])
def test_what_redis_has_let_go_it_is_told_by_the_first_who_asks(is_rebuilt, django_assert_num_queries):
    sale = make_sale(keys=1, line_cap=10)
    variant, allocator = sale.variant, open_line(sale)
    held, gone, first, second = (click(variant) for _ in range(4))
    settle_all(allocator)
    give_up(variant, gone, now=db_now())
    tickets = [held, gone, first, second]
    before = standings(variant, tickets)
    assert [(s.status, s.ahead) for s in before] == [("held", 0), ("left", 0), ("waiting", 0), ("waiting", 1)]

    if is_rebuilt:
        connect().flushdb()
        keep_house(allocator)
    gate = allocator.gate
    connect().delete(gate.line, *(gate._ticket + ticket for ticket in tickets))
    by_database = standings(variant, tickets)

    assert [(s.status, s.ahead, s.order_token) for s in by_database] == [
        (s.status, s.ahead, s.order_token) for s in before
    ]
    with django_assert_num_queries(0):
        by_redis = standings(variant, tickets)
    assert [(s.status, s.ahead) for s in by_redis] == [(s.status, s.ahead) for s in before]
    assert gate.in_line() == [first, second]
    assert gate.last_seen([first])[first] > 0


def test_a_redis_that_is_away_is_not_told_and_not_waited_for_twice(monkeypatch):
    sale = make_sale(keys=1)
    allocator, ticket = open_line(sale), click(sale.variant)
    settle_all(allocator)
    calls = []

    def away(*_args: object) -> None:
        calls.append("")
        raise redis.TimeoutError

    monkeypatch.setattr(Gate, "look", away)
    monkeypatch.setattr(Gate, "note", away)

    assert states(sale.variant, [ticket]) == ["held"]
    assert len(calls) == 1


# Limits


def test_a_buyer_gets_no_more_than_the_limit_however_parallel():
    sale = make_sale(keys=10, per_buyer_limit=2)
    variant, allocator = sale.variant, open_line(sale)

    race(3, lambda: click(variant, email="lin@example.org"))
    settle_all(allocator)

    assert sorted(Ticket.objects.values_list("status", "reason")) == [("refused", "limit_reached")]
    assert Order.objects.count() == 2


def eight_direct_orders_of_one_buyer() -> tuple[list[object], int]:
    from tests.factories import make_variant

    variant = make_variant(keys=10, per_buyer_limit=1)
    outcomes = race(8, lambda: make_order(variant, contact_email="lin@example.org"))
    return outcomes, Order.objects.count()


def test_a_buyer_who_orders_eight_times_at_once_gets_the_limit():
    outcomes, orders = eight_direct_orders_of_one_buyer()

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["LimitReached"] * 7 + ["Order"]
    assert orders == 1
    assert broken_invariants() == []


def test_control_counting_before_the_stock_is_locked_lets_more_through(monkeypatch):
    from inventory import stock
    from orders.services import placing
    from orders.services.limits import require_allowed as judge

    claim = stock.claim

    def judge_then_claim(**wanted: object) -> int:
        order = Order.objects.latest("pk")
        judge(order.items.get().variant, buyer_key=order.buyer_key, address_key="", quantity=1)
        import time

        time.sleep(0.3)
        return claim(**wanted)

    monkeypatch.setattr(stock, "claim", judge_then_claim)
    monkeypatch.setattr(placing, "require_allowed", lambda *args, **kwargs: None)

    _outcomes, orders = eight_direct_orders_of_one_buyer()

    assert orders > 1


def test_unpaid_holds_from_one_address_have_a_budget(settings):
    settings.UNPAID_HOLDS_PER_ADDRESS = 2
    sale = make_sale(keys=10)
    variant, allocator = sale.variant, open_line(sale)

    tickets = [click(variant, address="8.8.8.8") for _ in range(2)]
    settle_all(allocator)
    tickets += [click(variant, address="::ffff:8.8.8.8")]  # the same, told by another socket
    elsewhere = click(variant, address="9.9.9.9")
    settle_all(allocator)

    assert states(variant, tickets) == ["held", "held", "refused"]
    assert states(variant, [elsewhere]) == ["held"]


def test_one_address_cannot_fill_the_line(settings):
    from orders.errors import TooManyTickets

    settings.UNPAID_HOLDS_PER_ADDRESS = 2
    sale = make_sale(keys=1, line_cap=10)
    variant, allocator = sale.variant, open_line(sale)
    click(variant, address="9.9.9.9")
    settle_all(allocator)
    waiting = [click(variant, address="8.8.8.8") for _ in range(2)]
    settle_all(allocator)

    with pytest.raises(TooManyTickets):
        click(variant, address="8.8.8.8")
    give_up(variant, waiting[0], now=db_now())

    assert states(variant, waiting) == ["left", "waiting"]
    click(variant, address="8.8.8.8")
