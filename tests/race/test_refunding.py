"""A short share of `make soak-money`: money that goes back while keys go out, or while more money comes."""

from threading import Event

import pytest

from cardshop.common.clock import db_now
from cardshop.common.errors import DomainError
from cardshop.shops.models import Shop
from orders.models import DeliveredKey, Order, OrderItem
from orders.services.delivery import deliver_orders
from payments.models import Receipt, Refund
from payments.services import evidence as evidence_service
from payments.services import refunds
from payments.services.refunds import (
    ASKED_FOR,
    NotRefundable,
    approve_refund,
    decline_refund,
    request_refund,
)
from payments.tasks import follow_refunds, send_refunds
from payments.tests.refunder import Refunder, refunding_channel
from tests.factories import make_attempt, make_order, make_variant, paid_evidence, settle_evidence
from tests.race.money import ROUNDS, MoneyRound, race_chunk, race_money
from tests.race.racing import PATIENCE, begin_with, broken_invariants, race, race_all, read_unlocked
from tests.race.test_money import tell

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180 + 2 * ROUNDS)]
__all__ = ["tell"]  # a fixture


def ask_for(receipt: Receipt, *, item: OrderItem | None = None) -> Refund:
    asked = request_refund(
        receipt, amount_minor=receipt.amount_minor, item=item, reason="", actor="lin", now=db_now()
    )
    send_refunds()
    return asked


def refunded(refunder: Refunder, receipt: Receipt) -> int:
    """What really went back of a receipt, which has to be what our books say."""
    numbers = list(receipt.refunds.filter(status="done").values_list("out_refund_no", flat=True))
    went_back = sum(refunder.refunds.get(number, 0) for number in numbers)
    receipt.refresh_from_db()
    assert receipt.refunded_minor == went_back
    return went_back


# Refund against delivery


def refund_against_delivery(refunder: Refunder) -> MoneyRound:
    attempt = make_attempt(make_order(make_variant(keys=1)), refunding_channel())
    refunder.paid[attempt.out_trade_no] = paid_evidence(attempt)
    receipt = settle_evidence(attempt.channel, paid_evidence(attempt))
    order = attempt.payment.order
    item = order.items.get()

    def outcome() -> str:
        follow_refunds()
        order.refresh_from_db()
        item.refresh_from_db()
        assert (order.status, item.status) == ("refunded", "refunded")
        assert refunded(refunder, receipt) == 990
        if not DeliveredKey.objects.filter(item=item).exists():
            return "refunded: the key is for others"
        told = [event.reason for event in order.events.order_by("pk")]
        asked = next(at for at, reason in enumerate(told) if reason.startswith(ASKED_FOR))
        assert told.index("keys handed over") < asked, "a key went out after its money was asked back"
        return "delivered, and then refunded"

    return MoneyRound(
        (lambda: ask_for(receipt, item=item), lambda: deliver_orders([order.pk], db_now())), outcome
    )


def test_a_refund_against_delivery(tell, refunder: Refunder):
    outcomes = race_money(lambda: refund_against_delivery(refunder), jitter=0.1)

    tell("refund against delivery", outcomes)
    assert sum(outcomes.values()) == ROUNDS
    assert len(outcomes) == 2, "one side always won: nothing was raced"


def test_control_without_the_compare_and_set_both_win(monkeypatch, refunder: Refunder):
    monkeypatch.setattr(refunds, "begin_giving_back", lambda item: True)

    race_chunk(lambda: refund_against_delivery(refunder), 20)

    both = Order.objects.filter(status="delivered", payment__refunds__status="done")
    assert both.exists()
    assert any("refunds_and_lines_agree" in finding for finding in broken_invariants())


# Approval against delivery


def approval_against_delivery(refunder: Refunder) -> MoneyRound:
    """A line was short of its keys when its refund was asked for; they come as the second person decides."""
    attempt = make_attempt(make_order(make_variant(keys=1)), refunding_channel())
    refunder.paid[attempt.out_trade_no] = paid_evidence(attempt)
    receipt = settle_evidence(attempt.channel, paid_evidence(attempt))
    order = attempt.payment.order
    Shop.objects.update(refunds_need_two=True)
    asked = ask_for(receipt, item=order.items.get())
    Shop.objects.update(refunds_need_two=False)

    def approve() -> None:
        approve_refund(asked, actor="mei", now=db_now())
        send_refunds()

    def outcome() -> str:
        follow_refunds()
        asked.refresh_from_db()
        order.refresh_from_db()
        if asked.status == "awaited":
            assert (order.status, asked.out_refund_no in refunder.refunds) == ("delivered", False)
            decline_refund(asked, actor="mei", now=db_now())
            return "delivered: the money stays"
        assert (asked.status, order.status, refunded(refunder, receipt)) == ("done", "refunded", 990)
        assert not DeliveredKey.objects.filter(item__order=order).exists()
        return "refunded: the key is for others"

    return MoneyRound((approve, lambda: deliver_orders([order.pk], db_now())), outcome)


def test_an_approval_against_delivery(tell, refunder: Refunder):
    outcomes = race_money(lambda: approval_against_delivery(refunder), jitter=0.1)

    tell("approval against delivery", outcomes)
    assert sum(outcomes.values()) == ROUNDS
    assert len(outcomes) == 2, "one side always won: nothing was raced"


def test_control_without_a_look_at_the_history_both_go(monkeypatch, refunder: Refunder):
    monkeypatch.setattr(refunds, "_was_delivered_meanwhile", lambda order, refund: False)
    made = approval_against_delivery(refunder)

    for act in reversed(made.acts):
        act()

    order = Order.objects.get()
    assert (order.status, DeliveredKey.objects.count(), len(refunder.refunds)) == ("refunded", 1, 1)


# Refund against a late notice


def refund_against_late_notice(refunder: Refunder) -> MoneyRound:
    """A part had come, and is being given back when the rest arrives."""
    order, channel = make_order(make_variant(keys=1)), refunding_channel()
    first, second = make_attempt(order, channel), make_attempt(order, channel)
    part, rest = paid_evidence(first, amount_minor=400), paid_evidence(second, amount_minor=590)
    refunder.paid |= {first.out_trade_no: part, second.out_trade_no: rest}
    receipt = settle_evidence(channel, part)

    def outcome() -> str:
        follow_refunds()
        order.refresh_from_db()
        came = Receipt.objects.get(attempt=second)
        if order.status in ("paid", "delivered"):
            assert (refunded(refunder, receipt), came.status) == (0, "applied")
            return "paid: nothing goes back"
        assert (order.status, came.status, came.resolved_at) == ("pending", "short", None)
        assert refunded(refunder, receipt) == 400
        return "refunded: the rest waits for a person"

    return MoneyRound((lambda: ask_for(receipt), lambda: settle_evidence(channel, rest)), outcome)


def test_a_refund_against_a_late_notice(tell, refunder: Refunder):
    outcomes = race_money(lambda: refund_against_late_notice(refunder), jitter=0.2)

    tell("refund against late notice", outcomes)
    assert sum(outcomes.values()) == ROUNDS
    assert len(outcomes) == 2, "one side always won: nothing was raced"


def test_control_without_the_lock_money_goes_back_that_pays_for_keys(monkeypatch, refunder: Refunder):
    """Settling has looked at the money, and goes on once it has gone back."""
    ask, settle = refund_against_late_notice(refunder).acts
    has_looked, has_gone_back = Event(), Event()

    def look_and_wait() -> None:
        has_looked.set()
        assert has_gone_back.wait(PATIENCE)

    def give_back() -> None:
        assert has_looked.wait(PATIENCE)
        ask()
        has_gone_back.set()

    monkeypatch.setattr(evidence_service, "lock_rows", read_unlocked)
    begin_with(monkeypatch, "payments.services.evidence._settle", look_and_wait)

    race_all(give_back, settle)

    assert any("who_waits_for_keys_has_paid" in finding for finding in broken_invariants())


# Refunds against each other


def test_a_receipt_is_never_refunded_beyond_itself(refunder: Refunder):
    attempt = make_attempt(make_order(make_variant(keys=1)), refunding_channel())
    receipt = settle_evidence(attempt.channel, paid_evidence(attempt))
    deliver_orders([attempt.payment.order_id], db_now())

    def ask() -> Refund:
        return request_refund(receipt, amount_minor=300, reason="", actor="lin", now=db_now())

    outcomes = race(10, ask)
    send_refunds()

    assert sum(isinstance(outcome, Refund) for outcome in outcomes) == 3
    assert all(isinstance(outcome, Refund | NotRefundable | DomainError) for outcome in outcomes)
    assert sum(refunder.refunds.values()) == 900
    assert broken_invariants() == []
