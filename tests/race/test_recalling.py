"""A bad key is replaced twice at once, and replaced while its money goes back."""

import pytest

from cardshop.common.clock import db_now
from inventory.models import CardKey, KeyBatch
from orders.models import DeliveredKey, OrderItem
from orders.services import replacing
from orders.services.delivery import deliver_orders
from orders.services.replacing import NotReplaceable, replace_keys
from payments.models import Refund
from payments.services.recalls import recall_batch, work_on_recalls
from payments.services.refunds import NotRefundable, request_refund
from payments.tests.refunder import refunding_channel
from tests.factories import (
    counters,
    make_attempt,
    make_order,
    make_variant,
    paid_evidence,
    settle_evidence,
    stock_up,
)
from tests.race.racing import broken_invariants, linger, race, race_all, read_unlocked, without_constraint

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("refunder")]


def sold_line(fresh: int = 10) -> OrderItem:
    """A line with a key of a bad batch, and good keys to replace it with."""
    variant = make_variant(keys=1)
    order = make_order(variant)
    attempt = make_attempt(order, refunding_channel())
    settle_evidence(attempt.channel, paid_evidence(attempt))
    deliver_orders([order.pk], db_now())
    stock_up(variant, fresh)
    return order.items.get()


def bad_batch(item: OrderItem) -> KeyBatch:
    return KeyBatch.objects.filter(variant=item.variant_id).earliest("pk")


def replace(item: OrderItem) -> int:
    bad = CardKey.objects.filter(batch=bad_batch(item)).values_list("pk", flat=True)
    return replace_keys(item, bad=list(bad), reason="used", actor="boss", now=db_now())


def test_replaced_eight_times_at_once_there_is_one_new_key():
    item = sold_line()

    outcomes = race(8, lambda: replace(item))

    assert sorted(outcomes) == [0] * 7 + [1]
    assert DeliveredKey.objects.filter(item=item).count() == 2
    assert counters(item.variant) == (10, 10, 1)
    assert broken_invariants() == []


def test_control_without_the_lock_the_buyer_gets_several(monkeypatch):
    item = sold_line()
    monkeypatch.setattr(replacing, "lock_rows", read_unlocked)
    linger(monkeypatch, "orders.services.replacing._put_into_slots")

    with without_constraint(DeliveredKey, "one_current_key_per_slot"):
        race(8, lambda: replace(item))

        assert DeliveredKey.objects.filter(item=item).count() > 2
        assert broken_invariants() != []


def refund(item: OrderItem) -> None:
    """As a recall asks: only while the bad key is in the slot."""
    bad = DeliveredKey.objects.filter(item=item, card_key__batch=bad_batch(item), replaced_by=None)
    request_refund(
        item.order.payment.attempts.get().receipts.get(),
        amount_minor=990,
        item=item,
        reason="used",
        actor="boss",
        now=db_now(),
        still=bad.exists,
    )


def what_the_buyer_got(item: OrderItem) -> set[str]:
    has_new_key = DeliveredKey.objects.filter(item=item, replaced_by__isnull=False).exists()
    has_money = Refund.objects.filter(item=item).exists()
    return {got for got, has in {"key": has_new_key, "money": has_money}.items() if has}


def test_of_a_new_key_and_the_money_a_buyer_gets_one():
    for _ in range(8):
        item = sold_line()
        outcomes = race_all(lambda item=item: replace(item), lambda item=item: refund(item))
        assert len(what_the_buyer_got(item)) == 1
        assert sum(isinstance(outcome, (NotReplaceable, NotRefundable)) for outcome in outcomes) == 1
    assert broken_invariants() == []


def test_control_without_the_lock_a_buyer_gets_both(monkeypatch):
    item = sold_line()
    monkeypatch.setattr(replacing, "lock_rows", read_unlocked)
    linger(monkeypatch, "orders.services.replacing._put_into_slots", 0.3)

    race_all(lambda: replace(item), lambda: refund(item))

    assert what_the_buyer_got(item) == {"key", "money"}


def test_four_workers_at_one_recall_help_every_line_once():
    variant = make_variant(keys=12)
    batch = KeyBatch.objects.get()
    for _ in range(6):
        order = make_order(variant, quantity=2)
        attempt = make_attempt(order, refunding_channel())
        settle_evidence(attempt.channel, paid_evidence(attempt))
        deliver_orders([order.pk], db_now())
    stock_up(variant, 20)
    recall = recall_batch(batch, "replace", reason="used", actor="boss", now=db_now())

    race(4, lambda: work_on_recalls([recall.pk], db_now()))

    recall.refresh_from_db()
    assert (recall.status, recall.done, recall.failed) == ("ended", 6, 0)
    assert DeliveredKey.objects.count() == 24
    assert counters(variant) == (20, 20, 12)
    assert broken_invariants() == []
