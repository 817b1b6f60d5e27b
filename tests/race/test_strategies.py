"""Three ways to claim stock, and all of them at once, in the same races over the same row.

The controls take a strategy's protection away and let everybody look before anybody acts. So they do
not hope for a bad moment: they show the very number that is oversold.
"""

from collections.abc import Callable
from itertools import cycle
from threading import Barrier

import pytest
from django.db import IntegrityError
from django.db.models import F, QuerySet
from django.test import Client

from cardshop.common.clock import db_now
from inventory import stock
from inventory.models import Stock, Variant
from inventory.stock import counter, optimistic, pessimistic, prededuct
from orders.models import Order, OrderEvent, Reservation
from orders.services.transitions import SYSTEM
from orders.states import HoldStatus, OrderStatus
from payments.checkout.cancelling import cancel_order
from payments.models import PaymentAttempt, Receipt
from payments.services import closing
from payments.services.evidence import LATE, apply_evidence, settle_receipts
from payments.tests.providers import Provider
from tests.factories import counters, make_attempt, make_order, make_variant, paid_evidence, settle_evidence
from tests.race.racing import (
    PATIENCE,
    broken_invariants,
    cut,
    linger,
    race,
    race_all,
    read_unlocked,
    without_constraint,
)

pytestmark = pytest.mark.django_db(transaction=True)

# A try of the optimistic strategy is lost only to a write of the row. None of these races writes it as
# often as optimistic.TRIES, so nobody can lose them all and the outcomes are exact.
KEYS = 5
BUYERS = 12

CONDITION = "AND (released IS NULL OR claimed + %(quantity)s <= released)"
RAISES_VERSION = ", version = version + 1"


@pytest.fixture(params=[*stock.STRATEGIES, "by turns"])
def strategy(request, settings, monkeypatch) -> str:
    """Each alone; and by turns, as when the setting is changed in one process after the other."""
    turns = cycle(list(stock.STRATEGIES))
    monkeypatch.setitem(
        stock.STRATEGIES, "by turns", lambda **wanted: stock.STRATEGIES[next(turns)](**wanted)
    )
    settings.STOCK_STRATEGY = request.param
    return request.param


@pytest.fixture
def wide_open(monkeypatch) -> None:
    """Time enough between each look and its act for everybody else to come in between, if they can."""
    linger(monkeypatch, "inventory.stock.pessimistic.add")
    linger(monkeypatch, "inventory.stock.optimistic.add")


def unprotect(monkeypatch: pytest.MonkeyPatch, *, claims: int) -> None:
    """No condition, no lock, no version; and all of the `claims` have looked before one of them acts."""
    everybody_looked = Barrier(claims)

    def look(seen: Stock, quantity: int) -> bool:
        room = counter.has_room(seen, quantity)
        everybody_looked.wait(PATIENCE)
        return room

    def claim_without_a_look(**wanted) -> int:
        everybody_looked.wait(PATIENCE)
        return prededuct.claim(**wanted)

    monkeypatch.setattr(prededuct, "CLAIM", cut(prededuct.CLAIM, CONDITION))
    monkeypatch.setitem(stock.STRATEGIES, "prededuct", claim_without_a_look)
    monkeypatch.setattr(pessimistic, "lock_rows", read_unlocked)
    monkeypatch.setattr(pessimistic, "has_room", look)
    monkeypatch.setattr(optimistic, "unchanged", lambda seen: Stock.objects.filter(pk=seen.pk))
    monkeypatch.setattr(optimistic, "has_room", look)


def expire(order: Order) -> None:
    now = db_now()
    closing.begin_closing(order, OrderStatus.EXPIRED, reason="not paid in time", actor=SYSTEM, now=now)
    assert closing.finish_closing([order.pk], now) == {}


def cancel(order: Order) -> None:
    cancel_order(order, now=db_now())
    assert closing.finish_closing([order.pk], db_now()) == {}


def kinds(outcomes: list[object]) -> list[str]:
    return sorted(type(outcome).__name__ for outcome in outcomes)


def twelve_buyers_for_five_keys() -> tuple[Variant, list[object]]:
    variant = make_variant(keys=KEYS)
    return variant, race(BUYERS, lambda: make_order(variant))


@pytest.mark.usefixtures("strategy", "wide_open")
def test_of_twelve_buyers_for_five_keys_five_get_one_and_the_others_hear_so():
    variant, outcomes = twelve_buyers_for_five_keys()

    assert kinds(outcomes) == ["Order"] * 5 + ["OutOfStock"] * 7
    assert counters(variant) == (5, 5, 5)
    assert Order.objects.count() == Reservation.objects.count() == 5
    assert broken_invariants() == []


@pytest.mark.usefixtures("strategy")
def test_behind_every_strategy_stands_the_constraint(monkeypatch):
    unprotect(monkeypatch, claims=BUYERS)

    variant, outcomes = twelve_buyers_for_five_keys()

    assert kinds(outcomes) == ["IntegrityError"] * 7 + ["Order"] * 5
    refusals = [str(outcome) for outcome in outcomes if isinstance(outcome, IntegrityError)]
    assert all("stock_never_oversold" in refusal for refusal in refusals)
    assert counters(variant) == (5, 5, 5)


@pytest.mark.usefixtures("strategy")
def test_control_unprotected_all_twelve_buy_the_five_keys(monkeypatch):
    unprotect(monkeypatch, claims=BUYERS)

    with without_constraint(Stock, "stock_never_oversold"):
        variant, outcomes = twelve_buyers_for_five_keys()

        assert kinds(outcomes) == ["Order"] * 12
        assert counters(variant) == (5, 5, 12)


def expired_orders(variant: Variant, count: int) -> list[PaymentAttempt]:
    """One after the other held the same key, was sent to pay, and did not pay in time."""
    attempts = []
    for _ in range(count):
        attempts.append(make_attempt(make_order(variant)))
        expire(attempts[-1].payment.order)
    return attempts


def pay_all_at_once(provider: Provider, attempts: list[PaymentAttempt]) -> list[object]:
    def pay(attempt: PaymentAttempt) -> Receipt | None:
        provider.knows(attempt)
        return settle_evidence(attempt.channel, paid_evidence(attempt), source="notice")

    return race_all(*[lambda attempt=attempt: pay(attempt) for attempt in attempts])


@pytest.mark.usefixtures("strategy", "wide_open")
def test_late_money_claims_again_while_there_is_something_left(provider: Provider):
    variant = make_variant(keys=3)

    outcomes = pay_all_at_once(provider, expired_orders(variant, 6))

    assert kinds(outcomes) == ["Receipt"] * 6
    assert (
        sorted(Order.objects.values_list("status", "attention"))
        == [("expired", LATE)] * 3 + [("paid", "")] * 3
    )
    assert sorted(Receipt.objects.values_list("status", flat=True)) == ["applied"] * 3 + ["attention"] * 3
    assert counters(variant) == (3, 3, 3)
    assert broken_invariants() == []


@pytest.mark.usefixtures("strategy")
def test_control_unprotected_late_money_sells_three_keys_six_times(monkeypatch, provider: Provider):
    with without_constraint(Stock, "stock_never_oversold"):
        variant = make_variant(keys=3)
        attempts = expired_orders(variant, 6)
        unprotect(monkeypatch, claims=6)

        pay_all_at_once(provider, attempts)

        assert Order.objects.filter(status=OrderStatus.PAID).count() == 6
        assert counters(variant) == (3, 3, 6)


@pytest.mark.usefixtures("strategy", "wide_open", "provider")
@pytest.mark.parametrize("end", [expire, cancel])
def test_what_is_given_back_while_others_buy_is_sold_once_more(end: Callable[[Order], None]):
    variant = make_variant(keys=3)
    held = [make_order(variant) for _ in range(3)]

    outcomes = race_all(
        *[lambda order=order: end(order) for order in held],
        *[lambda: make_order(variant)] * 6,
    )
    at_once = sum(isinstance(outcome, Order) for outcome in outcomes)
    later = kinds(race(6, lambda: make_order(variant)))

    # Some came before anything was given back. What they did not get, the next ones do: no more, no less.
    assert set(kinds(outcomes)) <= {"NoneType", "Order", "OutOfStock"}
    assert later == ["Order"] * (3 - at_once) + ["OutOfStock"] * (3 + at_once)
    assert OrderEvent.objects.filter(after__in=["expired", "cancelled"]).count() == 3
    assert Reservation.objects.filter(status=HoldStatus.HELD).count() == 3
    assert counters(variant) == (3, 3, 3)
    assert broken_invariants() == []


@pytest.mark.usefixtures("provider")
def test_control_releases_that_write_what_they_saw_give_back_one_of_three(monkeypatch):
    """The relative write is what lets a release go without look, lock or version."""
    everybody_looked = Barrier(3)

    def release_by_what_was_seen(*, stock_id: int, quantity: int) -> None:
        seen = Stock.objects.get(pk=stock_id)
        everybody_looked.wait(PATIENCE)
        Stock.objects.filter(pk=stock_id).update(claimed=seen.claimed - quantity)

    monkeypatch.setattr(stock, "release", release_by_what_was_seen)
    variant = make_variant(keys=3)
    held = [make_order(variant) for _ in range(3)]

    race_all(*[lambda order=order: expire(order) for order in held])

    assert Reservation.objects.filter(status=HoldStatus.RELEASED).count() == 3
    assert counters(variant) == (3, 3, 2)
    assert any("claimed_counts_reservations" in finding for finding in broken_invariants())


def overtaken_at_the_last_key(monkeypatch: pytest.MonkeyPatch, settings, overtaker: str) -> list[object]:
    """An optimistic buyer has seen the last key; before they act, another strategy sells it."""
    variant = make_variant(keys=1)
    settings.STOCK_STRATEGY = "optimistic"
    unchanged = optimistic.unchanged
    outcomes = []

    def too_late(seen: Stock) -> QuerySet[Stock]:
        monkeypatch.setattr(optimistic, "unchanged", unchanged)
        settings.STOCK_STRATEGY = overtaker
        outcomes.extend(race(1, lambda: make_order(variant)))
        return unchanged(seen)

    monkeypatch.setattr(optimistic, "unchanged", too_late)
    outcomes.extend(race(1, lambda: make_order(variant)))
    return [type(outcome).__name__ for outcome in outcomes]


@pytest.mark.parametrize("overtaker", list(stock.STRATEGIES))
def test_the_optimistic_notice_what_any_other_strategy_sold_before_them(monkeypatch, settings, overtaker):
    assert overtaken_at_the_last_key(monkeypatch, settings, overtaker) == ["Order", "OutOfStock"]
    assert broken_invariants() == []


@pytest.mark.parametrize("overtaker", list(stock.STRATEGIES))
def test_control_a_strategy_that_leaves_the_version_alone_goes_unnoticed(monkeypatch, settings, overtaker):
    def add_silently(rows: QuerySet[Stock], quantity: int) -> bool:
        return rows.update(claimed=F("claimed") + quantity) == 1

    monkeypatch.setattr(prededuct, "CLAIM", cut(prededuct.CLAIM, RAISES_VERSION))
    monkeypatch.setattr(pessimistic, "add", add_silently)
    monkeypatch.setattr(optimistic, "add", add_silently)

    with without_constraint(Stock, "stock_never_oversold"):
        assert overtaken_at_the_last_key(monkeypatch, settings, overtaker) == ["Order", "Order"]


def test_late_money_that_finds_the_stock_busy_waits_for_its_next_try(
    monkeypatch, settings, provider: Provider
):
    settings.STOCK_STRATEGY = "optimistic"
    variant = make_variant(keys=1)
    (attempt,) = expired_orders(variant, 1)
    receipt = apply_evidence(attempt.channel, paid_evidence(attempt), source="notice", now=db_now())
    with monkeypatch.context() as rush:
        rush.setattr(optimistic, "unchanged", lambda seen: Stock.objects.none())

        failed = settle_receipts([receipt.pk], db_now())

    receipt.refresh_from_db()
    assert kinds(list(failed.values())) == ["StockBusy"]
    assert (receipt.status, receipt.attention) == ("recorded", "")
    assert counters(variant) == (1, 1, 0)
    assert settle_receipts([receipt.pk], db_now()) == {}
    assert Order.objects.get().status == OrderStatus.PAID
    assert counters(variant) == (1, 1, 1)


@pytest.fixture
def busy(monkeypatch, settings) -> Variant:
    """A variant whose every claim is overtaken, as often as it is tried."""
    settings.STOCK_STRATEGY = "optimistic"
    monkeypatch.setattr(optimistic, "unchanged", lambda seen: Stock.objects.none())
    return make_variant(keys=1)


def order_form(variant: Variant) -> dict[str, object]:
    minted = Client().post("/api/v1/passes/", {"variant": variant.code}, content_type="application/json")
    return {**minted.json(), "quantity": 1, "contact_email": "lin@example.org"}


@pytest.mark.parametrize(("language", "sentence"), [("en", "Nothing was ordered"), ("zh-hans", "未生成订单")])
def test_the_api_says_that_it_is_busy_and_orders_nothing(busy: Variant, language, sentence):
    answer = Client().post(
        "/api/v1/orders/",
        {**order_form(busy), "variant": busy.code},
        content_type="application/json",
        headers={"accept-language": language},
    )

    assert (answer.status_code, answer["Retry-After"]) == (503, "2")
    assert answer.json()["code"] == "stock_busy"
    assert sentence in answer.json()["message"]
    assert Order.objects.count() == 0
    assert counters(busy) == (1, 1, 0)


@pytest.mark.parametrize(("prefix", "sentence"), [("/en", "Nothing was ordered"), ("", "未生成订单")])
def test_the_page_says_that_it_is_busy_and_keeps_what_was_entered(busy: Variant, prefix, sentence):
    form = order_form(busy)

    answer = Client().post(f"{prefix}/buy/{busy.code}/", form)

    assert answer.status_code == 503
    assert sentence in answer.content.decode()
    assert form["idempotency_key"] in answer.content.decode()
    assert Order.objects.count() == 0
