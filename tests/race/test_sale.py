"""A sale in the merchant's hands: pausing it, and opening more of it in waves, against everybody else."""

import secrets
import time
from threading import Event

import pytest

from cardshop.common.clock import db_now
from inventory.models import Selling, Variant
from orders.admission import sales, settling, waves
from orders.admission.sales import pause_sale, resume_sale
from orders.admission.settling import settle
from orders.admission.waves import release_due_waves, release_wave
from orders.errors import SalePaused
from orders.models import Order, Sale, Ticket, Wave
from orders.services.delivery import deliver_orders
from orders.services.transitions import SYSTEM
from orders.states import OrderStatus
from payments.services.closing import begin_closing, finish_closing
from tests.factories import counters, make_order, pay_order, stock_up
from tests.lines import click, keep_house, make_sale, open_line, settle_all, states
from tests.race.racing import PATIENCE, broken_invariants, linger, race, race_all, read_unlocked

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]


def make_waves_sale(*, keys: int, **terms: object) -> Sale:
    sale = make_sale(sells_in_waves=True, **terms)
    stock_up(sale.variant, keys)
    return sale


# Waves


def release_at_once(monkeypatch) -> tuple[Sale, Wave, list[object]]:
    """Three buttons pressed and a schedule that is due, all at one moment."""
    sale = make_waves_sale(keys=20)
    now = db_now()
    wave = Wave.objects.create(sale=sale, quantity=5, opens_at=now)
    linger(monkeypatch, "orders.admission.waves.release_more")
    outcomes = race_all(
        *[lambda: release_wave(Wave.objects.get(pk=wave.pk), now=now)] * 3,
        lambda: release_due_waves(sale, now=now),
    )
    wave.refresh_from_db()
    return sale, wave, outcomes


def test_a_wave_is_released_once_however_many_release_it(monkeypatch):
    sale, wave, outcomes = release_at_once(monkeypatch)

    assert counters(sale.variant) == (20, 5, 0)
    assert (wave.released, wave.released_at is not None) == (5, True)
    assert [count for count in outcomes if count] in ([5], [])  # empty if the schedule was first


def test_control_without_compare_and_set_a_wave_is_released_again_and_again(monkeypatch):
    monkeypatch.setattr(waves, "unreleased", lambda wave: Wave.objects.filter(pk=wave.pk))

    sale, _wave, _outcomes = release_at_once(monkeypatch)

    _total, released, _claimed = counters(sale.variant)
    assert released > 5


# Pause


def orders_at_the_pause_and_later(monkeypatch) -> tuple[int, int]:
    """A click is being settled, and has just been found to fit, when somebody pauses the sale."""
    sale = make_sale(keys=5)
    allocator = open_line(sale)
    click(sale.variant)
    (entry,) = allocator.gate.unsettled(10, wait_ms=0)
    judged, when_paused = Event(), []
    write = settling._Batch.write

    def write_later(batch):
        judged.set()
        time.sleep(0.5)
        return write(batch)

    def pause() -> None:
        assert judged.wait(PATIENCE)
        pause_sale(sale)
        when_paused.append(Order.objects.count())

    monkeypatch.setattr(settling._Batch, "write", write_later)
    race_all(lambda: settle(sale, [entry.click], now=db_now()), pause)
    return when_paused[0], Order.objects.count()


def test_once_the_pause_is_on_no_hold_appears_any_more(monkeypatch):
    when_paused, later = orders_at_the_pause_and_later(monkeypatch)

    assert when_paused == later == 1


def test_control_a_pause_without_the_lock_is_followed_by_a_hold(monkeypatch):
    monkeypatch.setattr(sales, "lock_rows", read_unlocked)

    when_paused, later = orders_at_the_pause_and_later(monkeypatch)

    assert (when_paused, later) == (0, 1)


def test_buyers_racing_with_a_pause_get_an_order_or_hear_of_it():
    sale = make_sale(keys=30)
    Variant.objects.filter(pk=sale.variant_id).update(selling=Selling.DIRECT)

    def buy() -> Order:
        return make_order(sale.variant, contact_email=f"{secrets.token_hex(6)}@example.org")

    def pause() -> int:
        pause_sale(sale)
        return Order.objects.count()

    *bought, when_paused = race_all(*[buy] * 16, pause)

    assert {type(outcome) for outcome in bought} <= {Order, SalePaused}
    assert when_paused == Order.objects.count()
    assert broken_invariants() == []


def test_the_line_and_the_gate_stand_still_while_the_sale_is_paused():
    sale = make_sale(keys=2, line_cap=10)
    allocator = open_line(sale)
    tickets = [click(sale.variant) for _ in range(4)]
    settle_all(allocator)
    tickets.append(click(sale.variant))  # in the stream when the pause comes

    pause_sale(sale)
    stock_up(sale.variant, 3)
    settle_all(allocator)

    assert states(sale.variant, tickets) == ["held", "held", "waiting", "waiting", "waiting"]
    assert list(Ticket.objects.order_by("place").values_list("ticket_id", flat=True)) == tickets[2:]
    with pytest.raises(SalePaused):
        click(sale.variant)

    assert resume_sale(sale)
    keep_house(allocator)
    assert states(sale.variant, tickets) == ["held"] * 5


def test_paying_expiring_and_delivering_go_on_while_the_sale_is_paused():
    sale = make_sale(keys=2)
    allocator = open_line(sale)
    for _ in range(3):
        click(sale.variant)
    settle_all(allocator)
    paid, lapsed = Order.objects.order_by("pk")

    pause_sale(sale)
    pay_order(paid)
    deliver_orders([paid.pk], now=db_now())
    begin_closing(lapsed, OrderStatus.EXPIRED, reason="late", actor=SYSTEM, now=db_now())
    finish_closing([lapsed.pk], now=db_now())
    keep_house(allocator)

    assert list(Order.objects.order_by("pk").values_list("status", flat=True)) == ["delivered", "expired"]
    assert counters(sale.variant) == (2, 2, 1)
    assert Ticket.objects.get().status == "waiting"
    assert broken_invariants() == []


def test_two_who_pause_at_once_pause_it_once():
    sale = make_sale(keys=1)

    assert sorted(race(4, lambda: pause_sale(sale))) == [False, False, False, True]
    assert sorted(race(4, lambda: resume_sale(sale))) == [False, False, False, True]
