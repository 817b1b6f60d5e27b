"""What is rolled up is what the rows say, whatever happens to orders, in whatever order, how often ever."""

import random
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.utils.timezone import localtime

from cardshop.reports import rolling_up
from cardshop.reports.models import DailyAttempts, DailyDeliveries, DailyOrders, DailySales, RollUp
from cardshop.reports.reading import one_moment, profit_by_day, rolled_up_to, sales_by_day
from cardshop.reports.rolling_up import roll_up
from inventory.models import KeyBatch
from orders.models import DeliveredKey, Order
from orders.services.delivery import deliver_orders
from orders.services.transitions import transition
from payments.models import Payment, PaymentAttempt, Receipt, Refund
from payments.services.refund_sending import send_refunds
from payments.services.refunds import refundable_minor, request_refund
from payments.tests.refunder import refunding_channel
from tests.factories import (
    make_attempt,
    make_channel,
    make_order,
    make_shop,
    make_variant,
    pay_order,
    settle_evidence,
)
from tests.factories import paid_evidence as evidence

pytestmark = pytest.mark.django_db(transaction=True)

BEGIN = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


def day_of(moment):
    return localtime(moment).date()


def sales_in_rows(before=None):
    """`{(shop, day, variant, currency): [orders, units, revenue, refunded]}`, by hand."""
    sums = defaultdict(lambda: [0, 0, 0, 0])
    for payment in Payment.objects.filter(succeeded_at__isnull=False):
        if before and payment.succeeded_at >= before:
            continue
        for place, item in enumerate(payment.order.items.order_by("pk")):
            row = sums[payment.shop_id, day_of(payment.succeeded_at), item.variant_id, payment.currency]
            row[0] += place == 0
            row[1] += item.quantity
            row[2] += item.quantity * item.unit_price_minor
        came = Receipt.objects.filter(attempt__payment=payment, status="applied")
        surplus = sum(receipt.amount_minor for receipt in came) - payment.amount_minor
        for refund in payment.refunds.filter(status="done", receipt__in=came).order_by("ended_at", "pk"):
            item, amount = refund.item, refund.amount_minor
            if item is None:
                item = payment.order.items.order_by("pk").first()
                amount, surplus = max(0, amount - surplus), max(0, surplus - amount)
            row = sums[payment.shop_id, day_of(refund.ended_at), item.variant_id, refund.currency]
            row[3] += amount
    return dict(sums)


def deliveries_in_rows():
    sums = defaultdict(lambda: [0, 0])
    for delivered in DeliveredKey.objects.select_related("item__order", "card_key"):
        order = delivered.item.order
        batch = delivered.card_key.batch_id
        row = sums[order.shop_id, day_of(delivered.delivered_at), batch, order.currency]
        row[0] += 1
        row[1] += delivered.item.unit_price_minor
    return dict(sums)


def orders_in_rows():
    return Counter((each.shop_id, day_of(each.placed_at), each.status) for each in Order.objects.all())


def attempts_in_rows():
    sums = defaultdict(lambda: [0, 0])
    for attempt in PaymentAttempt.objects.select_related("channel"):
        row = sums[attempt.channel.shop_id, day_of(attempt.started_at), attempt.channel_id]
        row[0] += 1
        row[1] += attempt.receipts.filter(status="applied").exists()
    return dict(sums)


def rolled_up(model, key, values):
    return {row[:key]: list(row[key:]) for row in model.objects.values_list(*values)}


def assert_it_is_what_the_rows_say():
    figures = ["orders", "units", "revenue_minor", "refunded_minor"]
    assert rolled_up(DailySales, 4, ["shop", "day", "variant", "currency", *figures]) == sales_in_rows()
    handed_over = {
        key: values[:2]
        for key, values in rolled_up(
            DailyDeliveries, 4, ["shop", "day", "batch", "currency", "units", "revenue_minor"]
        ).items()
        if values[0]
    }
    assert handed_over == deliveries_in_rows()
    assert {
        key: count for key, (count,) in rolled_up(DailyOrders, 3, ["shop", "day", "status", "orders"]).items()
    } == orders_in_rows()
    assert rolled_up(DailyAttempts, 3, ["shop", "day", "channel", "attempts", "paid"]) == attempts_in_rows()


class Trade:
    """A shop's life by the dice: orders, money in time, late and too much, deliveries, refunds."""

    def __init__(self, seed: int) -> None:
        self.dice, self.now = random.Random(seed), BEGIN
        self.channel = refunding_channel()
        self.variants = [make_variant(keys=300, price_minor=price) for price in (990, 1500)]
        other = make_shop("other", currency="USD")
        self.channels = {self.channel.shop_id: self.channel, other.pk: make_channel(shop=other)}
        self.variants.append(make_variant(keys=300, shop=other, currency="USD"))

    def live(self) -> None:
        self.now += timedelta(minutes=self.dice.choice([0, 1, 7, 40, 300]))
        self.dice.choice(
            [self.order, self.order, self.pay, self.pay, self.deliver, self.refund, self.expire]
        )()

    def order(self) -> None:
        variant = self.dice.choice(self.variants)
        make_order(variant, quantity=self.dice.randint(1, 3), now=self.now)

    def pay(self) -> None:
        """Also orders that have expired since, and sometimes a little more than the price."""
        if order := self._one_of(status__in=["pending", "expired"]):
            attempt = make_attempt(order, self.channels[order.shop_id])
            PaymentAttempt.objects.filter(pk=attempt.pk).update(started_at=self.now - timedelta(minutes=3))
            more = self.dice.choice([0, 0, 0, 250])
            said = evidence(attempt, amount_minor=attempt.amount_minor + more)
            settle_evidence(attempt.channel, said, now=self.now)

    def deliver(self) -> None:
        deliver_orders(list(Order.objects.filter(status="paid").values_list("pk", flat=True)), self.now)

    def expire(self) -> None:
        if order := self._one_of(status="pending"):
            closing = {"closing_to": "expired", "closing_since": self.now}
            transition(order, "closing", reason="test", actor="test", now=self.now, **closing)

    def refund(self) -> None:
        applied = Receipt.objects.filter(status="applied", channel=self.channel)
        receipts = [receipt for receipt in applied if refundable_minor(receipt)]
        if not receipts:
            return
        receipt = self.dice.choice(receipts)
        order = receipt.attempt.payment.order
        if order.status not in ("delivered", "completed"):
            return
        item, left = order.items.get(), refundable_minor(receipt)
        whole = item.status == "delivered" and self.dice.random() < 0.5
        amount = min(left, item.unit_price_minor) if whole else min(left, 300)
        refund = request_refund(
            receipt,
            amount_minor=amount,
            item=item if whole else None,
            reason="test",
            actor="test",
            now=self.now,
        )
        send_refunds([refund.pk], self.now)

    def _one_of(self, **those):
        return self.dice.choice(list(Order.objects.filter(**those)) or [None])


@pytest.mark.parametrize("seed", range(2))
def test_it_is_what_the_rows_say_whenever_it_is_made(refunder, seed):
    trade = Trade(seed)
    for _ in range(45):
        trade.live()
        if trade.dice.random() < 0.2:
            roll_up(trade.now)
            assert_nothing_is_missing_at(trade.now)

    roll_up(trade.now + timedelta(minutes=2))

    assert Refund.objects.filter(status="done").exists()
    assert_it_is_what_the_rows_say()


def assert_nothing_is_missing_at(now):
    """The rolled-up part and the live one are together all that came, at every moment."""
    shops = set(Payment.objects.values_list("shop", flat=True))
    with one_moment():
        shown = sales_by_day(shops, since=day_of(BEGIN), now=now, up_to=rolled_up_to())
    expected = defaultdict(int)
    for (_shop, _day, _variant, currency), (_orders, _units, revenue, _back) in sales_in_rows().items():
        expected[currency] += revenue
    assert {
        currency: sum(sold.revenue_minor for sold in days.values()) for currency, days in shown.items()
    } == expected


def test_a_second_time_changes_nothing(refunder):
    trade = Trade(7)
    for _ in range(30):
        trade.live()
    roll_up(trade.now)
    once = list(DailySales.objects.order_by("day", "variant").values("day", "units", "revenue_minor"))

    roll_up(trade.now + timedelta(seconds=30))

    assert list(DailySales.objects.order_by("day", "variant").values("day", "units", "revenue_minor")) == once


def end_late(order):
    """What becomes of yesterday's order commits after the roll-up of a moment later has gone by."""
    next_day = BEGIN + timedelta(days=1)
    roll_up(next_day + timedelta(minutes=2))
    closing = {"closing_to": "expired", "closing_since": next_day}
    transition(order, "closing", reason="test", actor="test", now=next_day, **closing)
    return next_day + timedelta(minutes=4)


def test_what_commits_late_is_counted_the_next_time():
    order = make_order(make_variant(keys=1), now=BEGIN)
    roll_up(end_late(order))

    assert list(DailyOrders.objects.values_list("day", "status")) == [(day_of(BEGIN), "closing")]


def test_control_what_has_been_followed_past_is_lost():
    """As it would be without the margin: its event got its number before, and was seen after."""
    order = make_order(make_variant(keys=1), now=BEGIN)
    later = end_late(order)
    RollUp.objects.update(event_id=order.events.latest("pk").pk)
    roll_up(later)

    assert list(DailyOrders.objects.values_list("day", "status")) == [(day_of(BEGIN), "pending")]


def test_a_slow_twin_takes_nothing_back():
    variant = make_variant(keys=2)
    pay_order(make_order(variant, now=BEGIN), now=BEGIN)
    roll_up(BEGIN + timedelta(minutes=2))
    seen = RollUp.objects.get()
    pay_order(make_order(variant, now=BEGIN), now=BEGIN + timedelta(minutes=3))
    roll_up(BEGIN + timedelta(minutes=5))

    rolling_up._count([day_of(BEGIN)], until=BEGIN, seen=seen, up_to=BEGIN)

    assert DailySales.objects.get().orders == 2
    assert rolled_up_to() == BEGIN + timedelta(minutes=4)


def test_another_time_zone_makes_all_days_anew(settings):
    at_night = datetime(2026, 3, 1, 20, 0, tzinfo=UTC)  # the next morning in Shanghai
    pay_order(make_order(make_variant(keys=1), now=at_night), now=at_night)
    roll_up(at_night + timedelta(minutes=5))
    assert DailySales.objects.get().day == day_of(at_night)

    settings.TIME_ZONE = "UTC"
    roll_up(at_night + timedelta(minutes=6))

    assert DailySales.objects.get().day == at_night.date()
    assert RollUp.objects.get().zone == settings.TIME_ZONE


def test_profit_takes_what_a_batch_cost_and_says_what_is_unknown():
    variant = make_variant(keys=3)
    batch = KeyBatch.objects.get()
    orders = [make_order(variant, now=BEGIN) for _ in range(3)]
    for order in orders:
        pay_order(order, now=BEGIN)
    deliver_orders([order.pk for order in orders], BEGIN)
    roll_up(BEGIN + timedelta(minutes=2))
    shops = [variant.shop_id]
    (unknown,) = profit_by_day(shops, since=day_of(BEGIN))["CNY"].values()
    assert (unknown.units, unknown.unknown_units, unknown.unknown_minor) == (0, 3, 2970)
    assert unknown.profit_minor == 0

    # Entered afterwards: no day has to be counted anew.
    KeyBatch.objects.filter(pk=batch.pk).update(unit_cost_minor=400, cost_currency="CNY")

    (known,) = profit_by_day(shops, since=day_of(BEGIN))["CNY"].values()
    assert (known.units, known.profit_minor, known.unknown_units) == (3, 2970 - 1200, 0)
    KeyBatch.objects.filter(pk=batch.pk).update(cost_currency="USD")
    (elsewhere,) = profit_by_day(shops, since=day_of(BEGIN))["CNY"].values()
    assert (elsewhere.units, elsewhere.unknown_units) == (0, 3)


def test_the_beat_makes_it():
    assert settings.CELERY_BEAT_SCHEDULE["reports.roll_up"]["schedule"] == 60
