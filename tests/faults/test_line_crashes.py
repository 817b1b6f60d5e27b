"""The allocator is killed at each commit of its work. The next one finds everything whole, and once."""

from collections import Counter
from collections.abc import Callable
from threading import Event

import pytest

from cardshop.common.clock import db_now
from inventory.models import Variant
from orders.admission import gate
from orders.admission.allocator import Allocator
from orders.admission.gate import connect
from orders.admission.leases import LEASE, hold_lease
from orders.models import Order, Sale, Ticket
from payments.services.closing import begin_closing, finish_closing
from tests.factories import counters, make_channel, pay_order
from tests.faults.crashing import AFTER, BEFORE, die_at_every_commit
from tests.lines import click, keep_house, make_sale, open_line, settle_all, standings, states
from tests.race.racing import broken_invariants

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]
both_sides = pytest.mark.parametrize("when", [BEFORE, AFTER])


class Line:
    """A sale with its clicks; `work` is what an allocator does in the fork that dies."""

    def __init__(self, *, keys: int, clicks: int, later: int = 0, line_cap: int = 100) -> None:
        self.sale: Sale = make_sale(keys=keys, line_cap=line_cap)
        self.variant: Variant = self.sale.variant
        allocator = open_line(self.sale)
        self.tickets = [click(self.variant) for _ in range(clicks)]
        if clicks:
            settle_all(allocator)
        self.later = [click(self.variant) for _ in range(later)]

    def work(self) -> None:
        gate._local.__dict__.clear()  # the parent's connection must not be shared with a fork
        allocator = Allocator(self.sale, Event())
        assert allocator._has_lease()
        settle_all(allocator)

    def go_on(self) -> None:
        """The next allocator, once the dead one's lease is over."""
        following = Allocator(self.sale, Event())
        assert hold_lease(self.sale.pk, following.holder, now=db_now() + LEASE)
        settle_all(following)
        settle_all(following)

    @property
    def told(self) -> list[str]:
        return states(self.variant, [*self.tickets, *self.later])

    def order_of(self, ticket_id: str) -> Order:
        return Order.objects.get(ticket_id=ticket_id)

    @property
    def is_once(self) -> bool:
        """No ticket became two things, and every click became one."""
        ids = Counter(
            [
                *Order.objects.filter(items__variant=self.variant).values_list("ticket_id", flat=True),
                *Ticket.objects.filter(variant=self.variant)
                .exclude(status="ordered")
                .values_list("ticket_id", flat=True),
            ]
        )
        return ids == Counter([*self.tickets, *self.later])


def lapse(order: Order) -> None:
    begin_closing(order, "expired", reason="test", actor="test", now=db_now())
    finish_closing([order.pk], db_now())


def crash_everywhere(
    prepare: Callable[[], Line], *, when: str, told: list[str], claimed: int
) -> dict[int, list[str]]:
    """Kill the allocator at each commit, let the next one go on: what is wrong then, by commit."""
    line: Line

    def begin() -> None:
        nonlocal line
        line = prepare()

    wrong = {}
    for number in die_at_every_commit(lambda: line.work(), when=when, prepare=begin):
        line.go_on()
        claims = {
            f"told {told}, not {line.told}": line.told == told,
            "every click once": line.is_once,
            "stock counted once": counters(line.variant)[2] == claimed,
            "nothing left in the stream": connect().xlen(gate.Gate(line.variant.pk).stream) == 0,
        }
        wrong[number] = [claim for claim, holds in claims.items() if not holds] + broken_invariants()
    return wrong


def newcomers() -> Line:
    return Line(keys=3, clicks=0, later=6)


@both_sides
def test_a_crash_while_a_batch_is_settled_loses_nobody_and_sells_once(when):
    wrong = crash_everywhere(newcomers, when=when, told=["held"] * 3 + ["waiting"] * 3, claimed=3)

    assert {number: claims for number, claims in wrong.items() if claims} == {}
    assert len(wrong) >= 2  # the lease, the batch


def test_control_acknowledging_before_the_commit_loses_the_batch(monkeypatch):
    settle_batch = Allocator._settle_batch

    def acknowledge_first(self, sale, entries):
        self.gate.settle(epoch=sale.epoch, room=0, outcomes=[], entries=entries)
        settle_batch(self, sale, entries)

    monkeypatch.setattr(Allocator, "_settle_batch", acknowledge_first)

    wrong = crash_everywhere(newcomers, when=BEFORE, told=["held"] * 3 + ["waiting"] * 3, claimed=3)

    assert "every click once" in wrong[2]


@both_sides
def test_a_crash_while_the_line_is_served_leaves_nobody_waiting_for_what_they_hold(when):
    def a_hold_has_lapsed() -> Line:
        line = Line(keys=2, clicks=4)
        lapse(line.order_of(line.tickets[0]))
        return line

    wrong = crash_everywhere(
        a_hold_has_lapsed, when=when, told=["held", "held", "held", "waiting"], claimed=2
    )

    assert {number: claims for number, claims in wrong.items() if claims} == {}
    assert len(wrong) >= 2  # the lease, the orders from the line


@both_sides
def test_a_crash_while_the_line_is_sent_home_leaves_nobody_waiting_for_nothing(when):
    make_channel()

    def everything_is_paid_for() -> Line:
        line = Line(keys=1, clicks=3)
        pay_order(line.order_of(line.tickets[0]))
        return line

    wrong = crash_everywhere(
        everything_is_paid_for, when=when, told=["held", "refused", "refused"], claimed=1
    )

    assert {number: claims for number, claims in wrong.items() if claims} == {}
    assert len(wrong) >= 2


@both_sides
def test_a_crash_while_an_empty_redis_is_rebuilt_only_delays(when):
    def redis_has_forgotten() -> Line:
        line = Line(keys=2, clicks=4)
        connect().flushdb()
        return line

    wrong = crash_everywhere(redis_has_forgotten, when=when, told=["held"] * 2 + ["waiting"] * 2, claimed=2)

    assert {number: claims for number, claims in wrong.items() if claims} == {}
    assert len(wrong) >= 2  # the lease, the new epoch


def test_a_redis_a_moment_behind_tells_what_the_line_has_become():
    """It comes back as it was before the line was served, in the same epoch."""
    line = Line(keys=2, clicks=4)
    allocator = Allocator(line.sale, Event())
    kept = {key: connect().dump(key) for key in connect().keys("line:*")}
    lapse(line.order_of(line.tickets[0]))
    keep_house(allocator)
    assert line.told == ["held", "held", "held", "waiting"]
    connect().flushdb()
    for key, value in kept.items():
        connect().restore(key, 0, value)

    line.go_on()

    assert line.told == ["held", "held", "held", "waiting"]
    assert standings(line.variant, line.tickets[3:])[0].ahead == 0
    assert broken_invariants() == []
