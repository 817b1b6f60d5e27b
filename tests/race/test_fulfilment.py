"""A thousand payments within seconds: settled by the hundred, each of them once."""

import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from cardshop.common.clock import db_now
from cardshop.outbox import services as outbox
from cardshop.outbox.models import OutboxMessage
from cardshop.outbox.services import Failures, drain
from inventory.models import CardKey, Variant
from orders.models import DeliveredKey, Order, OrderEvent, Reservation
from orders.services import transitions
from orders.services.transitions import SYSTEM
from orders.tasks import deliver
from payments.models import Payment, PaymentAttempt, Receipt
from payments.services import closing, evidence
from payments.services.evidence import (
    IN_TIME,
    LATE,
    OVER,
    SHORT,
    TWICE,
    UNKNOWN,
    WRONG_CURRENCY,
    News,
    record_receipts,
    settle_receipts,
)
from payments.tasks import settle_receipts as settle_task
from payments.tests.providers import Provider
from tests.factories import counters, make_attempt, make_channel, make_order, make_variant, paid_evidence
from tests.race.racing import broken_invariants, linger, race, race_all, read_unlocked

pytestmark = pytest.mark.django_db(transaction=True)

MANY = 150


def make_paid_for(count: int, *, variant: Variant | None = None) -> Variant:
    """`count` orders whose money is recorded and not settled yet."""
    variant = variant or make_variant(keys=count)
    attempts = [make_attempt(make_order(variant)) for _ in range(count)]
    record(*[(attempt, {}) for attempt in attempts])
    return variant


def record(*money: tuple[PaymentAttempt, dict[str, object]]) -> list[Receipt]:
    return record_receipts(
        [
            News(channel=attempt.channel, evidence=paid_evidence(attempt, **kwargs), source="poll")
            for attempt, kwargs in money
        ],
        now=db_now(),
    )


def recorded() -> list[int]:
    return list(Receipt.objects.filter(status="recorded").order_by("pk").values_list("pk", flat=True))


def open_promises(task: str) -> int:
    return OutboxMessage.objects.filter(task=task, done_at=None).count()


def histories() -> Counter[tuple[str, ...]]:
    chains: dict[int, list[str]] = {}
    for order, after in OrderEvent.objects.order_by("pk").values_list("order", "after"):
        chains.setdefault(order, []).append(after)
    return Counter(tuple(chain) for chain in chains.values())


def assert_all_paid_once(count: int) -> None:
    assert histories() == {("pending", "paid"): count}
    assert set(Receipt.objects.values_list("status", "attention")) == {("applied", "")}
    assert set(Payment.objects.values_list("status", flat=True)) == {"succeeded"}
    assert set(PaymentAttempt.objects.values_list("status", "next_query_at")) == {("succeeded", None)}
    assert set(Reservation.objects.values_list("status", flat=True)) == {"sold"}
    assert open_promises("orders.deliver") == count
    assert broken_invariants() == []


def test_many_payments_are_settled_and_delivered_in_a_handful_of_queries():
    variant = make_paid_for(MANY)

    with CaptureQueriesContext(
        connection,
    ) as settling:
        settle_task()
    with CaptureQueriesContext(connection) as delivering:
        deliver()

    assert (len(settling), len(delivering)) < (30, 30)
    assert sum(query["sql"] == "COMMIT" for query in settling) == 1
    assert histories() == {("pending", "paid", "delivered"): MANY}
    assert set(OrderEvent.objects.filter(after="paid").values_list("reason", flat=True)) == {IN_TIME}
    assert DeliveredKey.objects.count() == CardKey.objects.filter(status="sold").count() == MANY
    assert open_promises("orders.mail_delivery") == MANY
    assert counters(variant) == (MANY, MANY, MANY)
    assert broken_invariants() == []


def test_in_a_batch_odd_money_means_what_it_means_alone():
    variant = make_variant(keys=20, price_minor=1000)
    plain, short, over, foreign, parts, twice, late, too_late, closes = (
        make_attempt(make_order(variant)) for _ in range(9)
    )
    rest = variant.stocks.get().total - 9
    stranger = paid_evidence(plain, txn="nowhere")
    stranger = stranger.__class__(**{**stranger.__dict__, "out_trade_no": "nobody-knows-this"})
    dollars = paid_evidence(foreign)
    dollars = dollars.__class__(**{**dollars.__dict__, "currency": "USD"})
    for attempt in (late, too_late):
        end_unpaid(attempt.payment.order)
    for _ in range(rest + 1):
        make_order(variant)
    closing.begin_closing(closes.payment.order, "cancelled", reason="x", actor="buyer", now=db_now())
    record(
        (plain, {}),
        (short, {"amount_minor": 400}),
        (over, {"amount_minor": 1001}),
        (parts, {"txn": "p1", "amount_minor": 400}),
        (parts, {"txn": "p2", "amount_minor": 600}),
        (twice, {"txn": "t1"}),
        (twice, {"txn": "t2"}),
        (late, {}),
        (too_late, {}),
        (closes, {}),
    )
    record_receipts(
        [News(channel=plain.channel, evidence=said, source="poll") for said in (stranger, dollars)],
        now=db_now(),
    )

    settle_task()

    def became(attempt: PaymentAttempt) -> tuple[str, str, set[tuple[str, str]]]:
        order = Order.objects.get(payment=attempt.payment)
        return order.status, order.attention, set(attempt.receipts.values_list("status", "attention"))

    assert became(plain) == ("paid", "", {("applied", "")})
    assert became(short) == ("pending", SHORT, {("short", SHORT)})
    assert became(over) == ("paid", "", {("applied", OVER)})
    assert became(foreign) == ("pending", "", {("attention", WRONG_CURRENCY)})
    assert became(parts) == ("paid", "", {("applied", "")})
    assert became(twice) == ("paid", "", {("applied", ""), ("attention", TWICE)})
    assert became(closes) == ("paid", "", {("applied", "")})
    # One unit was left for two that came late.
    assert sorted([became(late), became(too_late)]) == [
        ("expired", LATE, {("attention", LATE)}),
        ("paid", "", {("applied", "")}),
    ]
    nowhere = Receipt.objects.get(provider_txn_id="nowhere")
    assert (nowhere.status, nowhere.attention) == ("attention", UNKNOWN)
    assert open_promises("payments.settle_receipts") == 0
    assert broken_invariants() == []


def end_unpaid(order: Order) -> None:
    now = db_now()
    assert closing.begin_closing(order, "expired", reason="not paid in time", actor=SYSTEM, now=now)
    assert closing.finish_closing([order.pk], now + closing.ASK_FOR) == {}


def settle_the_same_eight_times_at_once(count: int) -> list[object]:
    """As when leases ran out and every worker believes that the receipts are its own."""
    make_paid_for(count)
    ids = recorded()
    return race(8, lambda: settle_receipts(ids, db_now()))


def test_the_same_receipts_settled_eight_times_at_once_pay_once():
    assert settle_the_same_eight_times_at_once(40) == [{}] * 8

    assert_all_paid_once(40)


def test_control_without_the_locks_the_orders_are_promised_to_delivery_several_times(monkeypatch):
    """The orders' own compare-and-set stands behind the locks, so it goes as well."""

    def move_whatever_they_were(orders, to, *, reason, actor, now, **changes):
        Order.objects.filter(pk__in=[order.pk for order in orders]).update(status=to, **changes)
        OrderEvent.objects.bulk_create(
            OrderEvent(order=order, before=order.status, after=to, reason=reason, actor=actor, at=now)
            for order in orders
        )
        return len(orders)

    monkeypatch.setattr(evidence, "lock_rows", read_unlocked)
    monkeypatch.setattr("orders.services.paying.transition_all", move_whatever_they_were)
    linger(monkeypatch, "payments.services.evidence._settle_all")

    settle_the_same_eight_times_at_once(40)

    assert open_promises("orders.deliver") > 40
    assert max(Counter(OrderEvent.objects.filter(after="paid").values_list("order", flat=True)).values()) > 1


def test_where_the_locks_are_forgotten_the_compare_and_set_still_refuses(monkeypatch):
    monkeypatch.setattr(evidence, "lock_rows", read_unlocked)
    linger(monkeypatch, "payments.services.evidence._settle_all")

    outcomes = settle_the_same_eight_times_at_once(40)

    assert any(isinstance(outcome, transitions.IllegalTransition) for outcome in outcomes)
    assert_all_paid_once(40)


def test_eight_workers_at_once_share_what_is_due(monkeypatch):
    make_paid_for(80)

    drained = race(8, lambda: drain("payments.settle_receipts", settle_receipts, clock=db_now, batch=10))

    assert sum(drained) == 80
    assert_all_paid_once(80)


def settle_while_the_holds_end(count: int, *, pause: float) -> None:
    """Money is recorded, and the deadline has passed: settled `pause` seconds after the end begins."""
    variant = make_variant(keys=count)
    attempts = [make_attempt(make_order(variant, now=db_now() - timedelta(hours=1))) for _ in range(count)]
    record(*[(attempt, {}) for attempt in attempts])
    PaymentAttempt.objects.update(next_query_at=None)  # nobody is left to ask
    ids = list(Order.objects.values_list("pk", flat=True))

    def end() -> None:
        time.sleep(max(0.0, -pause))
        closing.close_due_orders(db_now())
        assert closing.finish_closing(ids, db_now()) == {}

    def settle() -> Failures:
        time.sleep(max(0.0, pause))
        return settle_receipts(recorded(), db_now())

    assert race_all(settle, end, end) == [{}, None, None]


PAUSES = [0.005 * number for number in range(-6, 6)]  # so that either side may come first


def settle_while_the_holds_end_until(met: Callable[[], bool]) -> None:
    """Once with every pause; again with longer ones where the machine has much else to do and one side
    always came first.
    """
    for slowness in (1, 4, 16):
        for pause in PAUSES:
            settle_while_the_holds_end(20, pause=slowness * pause)
        if met():
            break


def test_money_that_is_recorded_is_never_ended_unpaid_whoever_settles_it():
    settle_while_the_holds_end_until(lambda: len(histories()) == 2)

    assert set(Order.objects.values_list("status", "attention")) == {("paid", "")}
    assert histories().keys() == {("pending", "paid"), ("pending", "closing", "paid")}
    assert set(Reservation.objects.values_list("status", flat=True)) == {"sold"}
    assert broken_invariants() == []


def test_control_where_the_end_does_not_look_for_recorded_money_paid_orders_expire(monkeypatch):
    def end_without_a_look(order_ids: list[int], now: datetime) -> list[int]:
        with transaction.atomic():
            closing_ones = Order.objects.filter(pk__in=order_ids, status="closing").order_by("pk")
            ending = list(closing_ones.select_for_update())
            time.sleep(0.02)
            transitions.transition_all(ending, "expired", reason="no money came", actor=SYSTEM, now=now)
            closing.release_holds(ending)
        return []

    monkeypatch.setattr(closing, "_end_unpaid", end_without_a_look)

    def somebody_lost() -> bool:
        return any("expired" in chain for chain in histories())

    settle_while_the_holds_end_until(somebody_lost)

    assert somebody_lost()


def test_many_holds_end_together_and_the_stock_rows_are_written_once(provider: Provider):
    variant = make_variant(keys=MANY)
    for _ in range(MANY):
        make_order(variant, now=db_now() - timedelta(hours=1))
    before = variant.stocks.get().version

    assert closing.close_due_orders(db_now()) == MANY
    with CaptureQueriesContext(connection) as ending:
        drain("payments.finish_closing", closing.finish_closing, clock=db_now, batch=MANY)

    assert len(ending) < 30
    assert histories() == {("pending", "closing", "expired"): MANY}
    assert counters(variant) == (MANY, MANY, 0)
    assert variant.stocks.get().version == before + 1
    assert provider.calls == []
    assert broken_invariants() == []


def test_a_receipt_that_cannot_be_settled_holds_up_no_other(monkeypatch):
    make_paid_for(20)
    poison = Order.objects.order_by("pk")[7]
    mark_all_paid, mark_paid = evidence.mark_all_paid, evidence.mark_paid

    def refuse(orders, **kwargs):
        if poison in orders:
            raise ValueError("this one not")
        mark_all_paid(orders, **kwargs)

    monkeypatch.setattr(evidence, "mark_all_paid", refuse)
    monkeypatch.setattr(evidence, "mark_paid", lambda order, **kwargs: mark_paid(order, **kwargs))

    settle_task()

    assert Order.objects.filter(status="paid").count() == 19
    (left,) = OutboxMessage.objects.filter(task="payments.settle_receipts", done_at=None)
    assert Receipt.objects.get(pk=left.subject_id).attempt.payment.order_id == poison.pk
    assert left.due_at > db_now()


def test_odd_money_that_cannot_be_settled_holds_up_no_other_either(monkeypatch):
    make_paid_for(10)
    attempt = make_attempt(make_order(make_variant(keys=1)))
    (odd,) = record((attempt, {"amount_minor": 1}))

    def fall(*args, **kwargs):
        raise ValueError("this one not")

    monkeypatch.setattr(evidence, "ask_for_attention", fall)

    settle_task()

    assert Order.objects.filter(status="paid").count() == 10
    (left,) = OutboxMessage.objects.filter(task="payments.settle_receipts", done_at=None)
    assert left.subject_id == odd.pk


def test_the_same_money_heard_of_by_eight_at_once_is_recorded_and_promised_once():
    variant = make_variant(keys=30)
    attempts = [make_attempt(make_order(variant)) for _ in range(30)]
    news = [(attempt, {}) for attempt in attempts]

    def hear(turn: int) -> int:
        with transaction.atomic():
            return len(record(*news[turn:], *news[:turn]))

    heard = race_all(*[lambda turn=turn: hear(turn) for turn in range(8)])

    assert heard == [30] * 8
    assert Receipt.objects.count() == open_promises("payments.settle_receipts") == 30


def test_money_told_of_twice_in_one_batch_is_one_receipt():
    attempt = make_attempt(make_order(make_variant(keys=1)), make_channel())

    first, again = record((attempt, {}), (attempt, {}))

    assert first == again
    assert open_promises("payments.settle_receipts") == 1


@pytest.fixture
def sent(monkeypatch) -> list[str]:
    """The tasks that were really told."""
    told: list[str] = []
    monkeypatch.setattr(outbox, "_send", told.append)
    monkeypatch.setattr(outbox, "_told", {})
    return told


def test_the_first_wake_up_goes_out_at_once_and_a_thousand_more_are_one(sent):
    outbox.wake("t")
    assert sent == ["t"]

    for _ in range(1000):
        outbox.wake("t")
    time.sleep(3 * outbox.ONE_WAKE_UP_IN)

    assert 2 <= len(sent) <= 5


def test_the_last_wake_up_is_never_swallowed(sent):
    """The worker may have looked before the second piece of work was committed."""
    race(8, lambda: outbox.wake("t"))
    before = len(sent)
    outbox.wake("t")
    time.sleep(3 * outbox.ONE_WAKE_UP_IN)

    assert len(sent) > before


def test_one_task_does_not_keep_another_waiting(sent):
    outbox.wake("t")
    outbox.wake("another")

    assert sent == ["t", "another"]


def test_a_wake_up_for_later_goes_out_later_and_keeps_none_for_now_waiting(sent):
    outbox.wake("t", after=0.2)
    outbox.wake("t")
    assert sent == ["t"]

    time.sleep(0.4)

    assert sent == ["t", "t"]
