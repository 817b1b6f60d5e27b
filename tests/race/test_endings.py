"""Money against the end of the hold, and sweeps against each other."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from django.db import transaction
from django.db.models import QuerySet

from cardshop.common.clock import db_now
from cardshop.common.errors import DomainError
from cardshop.outbox.models import OutboxMessage
from inventory import stock
from inventory.models import Stock, Variant
from orders.models import Order, OrderEvent, Reservation
from orders.services import holds
from orders.services.transitions import SYSTEM, transition
from orders.states import HoldStatus, OrderStatus
from payments.checkout.cancelling import cancel_order
from payments.models import PaymentAttempt, Receipt
from payments.services import closing
from payments.services.evidence import SHORT, apply_evidence
from payments.tasks import finish_closing as finish_closing_task
from payments.tests.providers import Provider
from tests.factories import counters, make_attempt, make_order, make_variant, paid_evidence, settle_evidence
from tests.race.racing import broken_invariants, linger, race, read_unlocked, rounds, without_constraint

pytestmark = pytest.mark.django_db(transaction=True)

CHUNK = 50  # rounds between two looks at all invariants
JITTER = 0.02  # about as long as either side takes, so that either may come first


def pay(provider: Provider, attempt: PaymentAttempt) -> Receipt | None:
    """The buyer pays; the provider knows it first, and its notice follows."""
    provider.knows(attempt)
    return settle_evidence(attempt.channel, paid_evidence(attempt), source="notice")


def expire(order: Order) -> None:
    now = db_now()
    closing.begin_closing(order, OrderStatus.EXPIRED, reason="not paid in time", actor=SYSTEM, now=now)
    assert closing.finish_closing([order.pk], now) == {}


def cancel(order: Order) -> None:
    cancel_order(order, now=db_now())
    assert closing.finish_closing([order.pk], db_now()) == {}


def pay_while_it_ends(
    provider: Provider, end: Callable[[Order], None], *, chunk: int, jitter: float = JITTER
) -> tuple[Variant, list[object], list[object]]:
    """`chunk` orders, each paid for and ended in the same moment."""
    variant = make_variant(keys=chunk)
    attempts = [make_attempt(make_order(variant)) for _ in range(chunk)]
    paid, ended = rounds(
        chunk,
        lambda number: pay(provider, attempts[number]),
        lambda number: end(attempts[number].payment.order),
        jitter=jitter,
    )
    return variant, paid, ended


def histories() -> Counter[tuple[str, ...]]:
    """How often each history occurred."""
    chains: dict[int, list[str]] = {}
    for order, after in OrderEvent.objects.order_by("pk").values_list("order", "after"):
        chains.setdefault(order, []).append(after)
    return Counter(tuple(chain) for chain in chains.values())


def widening() -> Iterator[float]:
    """The jitter of each of the 200 / CHUNK chunks: wider as long as one side always won, which is how a
    machine that has much else to do looks.
    """
    jitter = JITTER
    for _ in range(200 // CHUNK):
        yield jitter
        if len(histories()) == 1:
            jitter *= 4


def assert_every_round_ended_in_one_truth(variant: Variant, paid: list[object], end: str) -> None:
    """With stock for everybody late money claims anew, so the one truth is: paid, and one hold sold."""
    assert all(isinstance(outcome, Receipt) for outcome in paid)
    assert set(Receipt.objects.values_list("status", "attention")) == {("applied", "")}
    assert set(Order.objects.values_list("status", "attention")) == {("paid", "")}
    assert histories().keys() <= {
        ("pending", "paid"),
        ("pending", "closing", "paid"),
        ("pending", "closing", end, "paid"),
    }
    sold = Reservation.objects.filter(stock__variant=variant, status=HoldStatus.SOLD)
    assert sold.count() == len(paid)
    assert counters(variant) == (len(paid), len(paid), len(paid))
    assert broken_invariants() == []


def test_money_against_expiry_two_hundred_rounds(provider: Provider):
    for jitter in widening():
        variant, paid, ended = pay_while_it_ends(provider, expire, chunk=CHUNK, jitter=jitter)

        assert ended == [None] * CHUNK
        assert_every_round_ended_in_one_truth(variant, paid, "expired")

    assert Order.objects.count() == 200
    assert len(histories()) > 1, "one side always won: nothing was raced"


def test_money_against_cancelling_two_hundred_rounds(provider: Provider):
    for jitter in widening():
        variant, paid, ended = pay_while_it_ends(provider, cancel, chunk=CHUNK, jitter=jitter)

        # "It can no longer be cancelled" is an honest answer to the one whose money was faster.
        assert all(outcome is None or isinstance(outcome, DomainError) for outcome in ended)
        assert_every_round_ended_in_one_truth(variant, paid, "cancelled")

    assert Order.objects.count() == 200
    assert len(histories()) > 1, "one side always won: nothing was raced"


def test_the_last_key_is_not_sold_again_while_its_buyer_pays(provider: Provider):
    """A rival takes whatever a hold gives back, so late money finds nothing and goes to a person."""
    variant = make_variant(keys=CHUNK)
    attempts = [make_attempt(make_order(variant)) for _ in range(CHUNK)]

    rounds(
        CHUNK,
        lambda number: pay(provider, attempts[number]),
        lambda number: expire(attempts[number].payment.order),
        lambda number: make_order(variant),
        jitter=JITTER,
    )

    assert counters(variant)[2] <= CHUNK
    unpaid = Order.objects.filter(payment__isnull=False).exclude(status=OrderStatus.PAID)
    assert Receipt.objects.count() == CHUNK
    assert Receipt.objects.filter(status="attention").count() == unpaid.count()
    assert not unpaid.filter(attention="").exists()
    assert broken_invariants() == []


@pytest.mark.parametrize(
    ("part", "history", "left"),
    [(1, ["pending", "closing", "paid"], (1, 1, 1)), (2, ["pending", "closing", "expired"], (1, 1, 0))],
    ids=["all of it", "half of it"],
)
def test_money_recorded_just_before_the_end_is_settled_before_it(
    monkeypatch, provider: Provider, part, history, left
):
    """Another worker recorded it and has not settled it yet. Half of it must not leave the order closing."""
    variant = make_variant(keys=1, price_minor=1000)
    order = make_order(variant)
    attempt = make_attempt(order)
    money = paid_evidence(attempt, amount_minor=1000 // part)
    end_unpaid = closing._end_unpaid

    def record_and_end(order_ids: list[int], now: datetime) -> list[int]:
        apply_evidence(attempt.channel, money, source="notice", now=now)
        return end_unpaid(order_ids, now)

    monkeypatch.setattr(closing, "_end_unpaid", record_and_end)

    expire(order)

    assert list(order.events.exclude(reason=SHORT).values_list("after", flat=True)) == history
    assert counters(variant) == left
    assert broken_invariants() == []


def end_unpaid_by_what_was_seen(order_ids: list[int], now: datetime) -> list[int]:
    """`_end_unpaid` as one would write it first: look, and a moment later act on what was seen."""
    order = Order.objects.get(pk__in=order_ids)
    if order.status != OrderStatus.CLOSING:
        return []
    time.sleep(JITTER)
    for hold in Reservation.objects.filter(item__order=order):
        stock.release(stock_id=hold.stock_id, quantity=hold.quantity)
        Reservation.objects.filter(pk=hold.pk).update(status=HoldStatus.RELEASED)
    transition(order, order.closing_to, reason="no money came", actor=SYSTEM, now=now)
    return []


def test_control_without_lock_and_second_look_the_key_of_a_paid_order_is_for_sale_again(
    monkeypatch, provider: Provider
):
    monkeypatch.setattr(closing, "_end_unpaid", end_unpaid_by_what_was_seen)

    variant, _paid, _ended = pay_while_it_ends(provider, expire, chunk=CHUNK)

    paid_for = Order.objects.filter(status=OrderStatus.PAID)
    robbed = paid_for.exclude(items__reservations__status=HoldStatus.SOLD)
    assert robbed.count() > 0
    assert paid_for.count() > counters(variant)[2]
    assert any("holds_are_the_unpaid_orders" in finding for finding in broken_invariants())


def make_due_orders(count: int) -> Variant:
    """Orders whose hold ended three quarters of an hour ago, unpaid."""
    variant = make_variant(keys=count)
    for _ in range(count):
        make_attempt(make_order(variant, now=db_now() - timedelta(hours=1)))
    return variant


def test_eight_sweeps_at_once_close_each_order_once(provider: Provider):
    variant = make_due_orders(40)

    begun = race(8, lambda: closing.close_due_orders(db_now()))
    drained = race(8, finish_closing_task)

    assert sum(begun) == 40
    assert drained == [None] * 8
    assert histories() == {("pending", "closing", "expired"): 40}
    assert OutboxMessage.objects.filter(task="payments.finish_closing").count() == 40
    assert not OutboxMessage.objects.filter(done_at=None).exists()
    assert sorted(provider.asked) == sorted(PaymentAttempt.objects.values_list("out_trade_no", flat=True))
    assert counters(variant) == (40, 40, 0)
    assert broken_invariants() == []


def test_control_without_lock_and_compare_and_set_the_sweeps_close_an_order_several_times(monkeypatch):
    def move_whatever_they_were(orders, to, *, reason, actor, now, **changes):
        Order.objects.filter(pk__in=[order.pk for order in orders]).update(status=to, **changes)
        OrderEvent.objects.bulk_create(
            OrderEvent(order=order, before=order.status, after=to, reason=reason, actor=actor, at=now)
            for order in orders
        )
        return len(orders)

    monkeypatch.setattr(closing, "lock_rows", read_unlocked)
    monkeypatch.setattr(closing, "transition_all", move_whatever_they_were)
    linger(monkeypatch, "payments.services.closing._begin")
    make_due_orders(40)

    begun = race(8, lambda: closing.close_due_orders(db_now()))

    assert sum(begun) > 40
    assert OutboxMessage.objects.filter(task="payments.finish_closing").count() > 40
    assert broken_invariants() != []


def end_each_eight_times_at_once(orders: int) -> Variant:
    """As when leases ran out and every worker believes that the order is its own."""
    variant = make_due_orders(orders)
    closing.close_due_orders(db_now())
    for order in Order.objects.all():
        outcomes = race(8, lambda order=order: closing.finish_closing([order.pk], db_now()))
        assert outcomes == [{}] * 8
    return variant


def test_an_order_ended_by_eight_workers_at_once_gives_its_stock_back_once(provider: Provider):
    variant = end_each_eight_times_at_once(10)

    assert histories() == {("pending", "closing", "expired"): 10}
    assert counters(variant) == (10, 10, 0)
    assert broken_invariants() == []


def holds_in_any_state(orders: list[Order]) -> QuerySet[Reservation]:
    return Reservation.objects.filter(item__order__in=orders)


def test_control_without_lock_and_status_test_the_stock_comes_back_several_times(
    monkeypatch, provider: Provider
):
    monkeypatch.setattr(closing, "lock_rows", read_unlocked)
    monkeypatch.setattr(holds, "_held", holds_in_any_state)

    with without_constraint(Stock, "stock_never_oversold"):
        variant = end_each_eight_times_at_once(10)

        assert counters(variant)[2] < 0


def release_a_hold_eight_times_at_once() -> Variant:
    """By callers who forgot the Order's lock: the hold's own status is the last that stands in the way."""
    variant = make_variant(keys=5)
    order = make_order(variant)

    def release() -> None:
        with transaction.atomic():
            holds.release_holds([order])

    outcomes = race(8, release)

    assert outcomes == [None] * 8
    return variant


def test_a_hold_released_eight_times_at_once_comes_back_once():
    assert counters(release_a_hold_eight_times_at_once()) == (5, 5, 0)


def test_control_without_the_holds_status_it_comes_back_eight_times(monkeypatch):
    monkeypatch.setattr(holds, "_held", holds_in_any_state)

    with without_constraint(Stock, "stock_never_oversold"):
        assert counters(release_a_hold_eight_times_at_once()) == (5, 5, -7)
