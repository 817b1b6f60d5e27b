"""A short share of `make soak-money`: notice against expiry, and two channels that both take the money."""

import os

import pytest

from cardshop.common.clock import db_now
from orders.models import DeliveredKey, Order, Reservation
from orders.services.transitions import SYSTEM
from orders.states import HoldStatus, OrderStatus
from payments.models import PaymentChannel, Receipt
from payments.services import closing
from payments.services import evidence as evidence_service
from payments.services.evidence import LATE, TWICE
from payments.tests.providers import Provider
from tests.factories import make_attempt, make_channel, make_order, make_variant
from tests.race.money import ROUNDS, MoneyRound, history, pay_with_notice, race_chunk, race_money
from tests.race.racing import broken_invariants, linger, read_unlocked
from tests.race.test_endings import end_unpaid_by_what_was_seen

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180 + 2 * ROUNDS)]


@pytest.fixture
def tell(capsys):
    """Says how often each outcome occurred, to who asked for so many rounds."""

    def say(name: str, outcomes: dict[str, int]) -> None:
        if "MONEY_ROUNDS" in os.environ:
            with capsys.disabled():
                for outcome, times in sorted(outcomes.items(), key=lambda each: -each[1]):
                    print(f"\n{name}: {times} × {outcome}", end="", flush=True)

    return say


def keys_of(order: Order) -> int:
    return DeliveredKey.objects.filter(item__order=order).count()


# Notice against expiry


def notice_against_expiry(provider: Provider, channel: PaymentChannel) -> MoneyRound:
    """One key, and a rival who takes whatever the hold gives back."""
    variant = make_variant(keys=1)
    attempt = make_attempt(make_order(variant), channel)
    order = attempt.payment.order

    def expire() -> None:
        now = db_now()
        closing.begin_closing(order, OrderStatus.EXPIRED, reason="not paid in time", actor=SYSTEM, now=now)
        assert closing.finish_closing([order.pk], now) == {}

    def outcome() -> str:
        order.refresh_from_db()
        receipt = Receipt.objects.get(attempt=attempt)
        rival = Order.objects.filter(items__variant=variant).exclude(pk=order.pk).count()
        if order.status == OrderStatus.DELIVERED:
            assert (receipt.status, receipt.attention) == ("applied", "")
            assert (keys_of(order), rival) == (1, 0)
            return f"delivered: {history(order)}"
        assert (order.status, receipt.status, receipt.attention) == ("expired", "attention", LATE)
        assert (keys_of(order), rival) == (0, 1)
        return "too late: a person is told, the rival has the key"

    return MoneyRound(
        (lambda: pay_with_notice(provider, attempt), expire, lambda: make_order(variant)), outcome
    )


def test_a_notice_against_expiry(tell, provider: Provider):
    channel = make_channel()

    outcomes = race_money(lambda: notice_against_expiry(provider, channel), jitter=0.1)

    tell("notice against expiry", outcomes)
    assert sum(outcomes.values()) == ROUNDS
    assert len(outcomes) > 1, "one side always won: nothing was raced"


def test_control_without_lock_and_second_look_a_paid_order_loses_its_key(monkeypatch, provider: Provider):
    monkeypatch.setattr(closing, "_end_unpaid", end_unpaid_by_what_was_seen)
    channel = make_channel()

    race_chunk(lambda: notice_against_expiry(provider, channel), 30)

    paid_for = Order.objects.filter(status__in=[OrderStatus.PAID, OrderStatus.DELIVERED])
    assert paid_for.exclude(items__reservations__status=HoldStatus.SOLD).exists()
    assert any("holds_are_the_unpaid_orders" in finding for finding in broken_invariants())


# Two channels, both paid


def two_channels_both_paid(provider: Provider, first: PaymentChannel, second: PaymentChannel) -> MoneyRound:
    order = make_order(make_variant(keys=2))
    attempts = [make_attempt(order, channel) for channel in (first, second)]

    def outcome() -> str:
        order.refresh_from_db()
        receipts = Receipt.objects.filter(attempt__payment__order=order).select_related("channel")
        by_status = {receipt.status: receipt for receipt in receipts}
        assert order.status == OrderStatus.DELIVERED
        assert len(receipts) == len(by_status) == 2
        assert (by_status["applied"].attention, by_status["attention"].attention) == ("", TWICE)
        assert keys_of(order) == Reservation.objects.filter(item__order=order, status="sold").count() == 1
        return f"{by_status['applied'].channel.slug} pays, the other is to be given back"

    return MoneyRound(
        tuple(lambda attempt=attempt: pay_with_notice(provider, attempt) for attempt in attempts), outcome
    )


def two_channels() -> tuple[PaymentChannel, PaymentChannel]:
    return make_channel(slug="first"), make_channel(slug="second", merchant_id="1002")


def test_two_channels_both_take_the_money(tell, provider: Provider):
    channels = two_channels()

    outcomes = race_money(lambda: two_channels_both_paid(provider, *channels))

    tell("two channels", outcomes)
    assert sum(outcomes.values()) == ROUNDS
    assert len(outcomes) == 2, "one side always won: nothing was raced"


def test_control_without_the_lock_both_pay_for_it_and_nobody_is_told(monkeypatch, provider: Provider):
    monkeypatch.setattr(evidence_service, "lock_rows", read_unlocked)
    linger(monkeypatch, "payments.services.evidence._settle")
    monkeypatch.setattr(evidence_service, "_is_plain", lambda *_: False)  # or they meet in a deadlock
    channels = two_channels()

    race_chunk(lambda: two_channels_both_paid(provider, *channels), 20)

    assert Receipt.objects.filter(status="applied", attention="").count() > 20
    assert any("surplus_is_flagged" in finding for finding in broken_invariants())
