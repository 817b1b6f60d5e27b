"""Pressing "pay" ten times, and pressing it as the hold ends."""

import pytest

from cardshop.common.clock import db_now
from orders.models import Order
from orders.services.transitions import SYSTEM
from orders.states import OrderStatus
from payments.errors import NotPayable
from payments.models import Payment, PaymentAttempt, PaymentChannel
from payments.services import attempts, closing, polling
from payments.services.attempts import start_attempt
from payments.services.polling import poll_due_attempts
from payments.tests.providers import Provider
from tests.factories import make_attempt, make_channel, make_order, make_variant
from tests.race.racing import broken_invariants, cut, linger, race, read_unlocked, rounds

pytestmark = pytest.mark.django_db(transaction=True)


def press_pay(order: Order, channel: PaymentChannel) -> PaymentAttempt:
    return start_attempt(
        order,
        channel,
        return_url="http://127.0.0.1:9/return/{attempt}",
        client_ip="127.0.0.1",
        now=db_now(),
    )


def test_pay_pressed_ten_times_at_once_is_one_attempt(provider: Provider):
    order, channel = make_order(make_variant(keys=1)), make_channel()

    outcomes = race(10, lambda: press_pay(order, channel))

    attempt = PaymentAttempt.objects.get()
    assert outcomes == [attempt] * 10
    assert {outcome.pay_url for outcome in outcomes} == {attempt.pay_url}
    assert attempt.status == "open"
    assert Payment.objects.count() == 1
    assert broken_invariants() == []


def press_pay_ten_times_at_a_second_channel(monkeypatch: pytest.MonkeyPatch) -> int:
    """Returns the attempts there. The first channel has made the Payment: nobody waits to insert it."""
    linger(monkeypatch, "payments.services.attempts.last_call")
    order = make_order(make_variant(keys=1))
    make_attempt(order, make_channel(slug="first"))
    second = make_channel(slug="second")
    race(10, lambda: press_pay(order, second))
    return second.attempts.count()


def test_pay_pressed_ten_times_at_a_second_channel_is_one_attempt_there(monkeypatch, provider: Provider):
    assert press_pay_ten_times_at_a_second_channel(monkeypatch) == 1


def test_control_without_the_lock_it_becomes_several(monkeypatch, provider: Provider):
    monkeypatch.setattr(attempts, "lock_rows", read_unlocked)

    assert press_pay_ten_times_at_a_second_channel(monkeypatch) > 1


def press_pay_at_ten_channels(monkeypatch: pytest.MonkeyPatch) -> int:
    """Returns the attempts of an order that may have three."""
    monkeypatch.setattr(attempts, "MOST_ATTEMPTS", 3)
    linger(monkeypatch, "secrets.token_hex")  # between the count and the insert
    order = make_order(make_variant(keys=1))
    make_attempt(order, make_channel(slug="first"))
    channels = [make_channel(slug=f"channel-{number}") for number in range(10)]
    race(10, lambda: press_pay(order, channels.pop()))
    return PaymentAttempt.objects.count()


def test_an_order_has_no_more_attempts_than_it_may_have(monkeypatch, provider: Provider):
    assert press_pay_at_ten_channels(monkeypatch) == 3


def test_control_without_the_lock_it_has_more(monkeypatch, provider: Provider):
    monkeypatch.setattr(attempts, "lock_rows", read_unlocked)

    assert press_pay_at_ten_channels(monkeypatch) > 3


def attempts_that_closing_never_saw(monkeypatch: pytest.MonkeyPatch, provider: Provider) -> int:
    """Pays while the hold ends, fifty times; counts the attempts that nobody asked the provider about.

    Money paid there would be late money, found by chance.
    """
    linger(monkeypatch, "payments.services.attempts.last_call", 0.01)
    variant, channel = make_variant(keys=50), make_channel()
    orders = [make_order(variant) for _ in range(50)]

    def end(number: int) -> None:
        order, now = orders[number], db_now()
        closing.begin_closing(order, OrderStatus.EXPIRED, reason="test", actor=SYSTEM, now=now)
        assert closing.finish_closing([order.pk], now) == {}

    pressed, ended = rounds(50, lambda number: press_pay(orders[number], channel), end, jitter=0.015)

    assert ended == [None] * 50
    assert {type(outcome) for outcome in pressed} == {PaymentAttempt, NotPayable}
    unseen = PaymentAttempt.objects.exclude(out_trade_no__in=provider.asked)
    return unseen.count()


def test_no_attempt_begins_once_closing_has(monkeypatch, provider: Provider):
    unseen = attempts_that_closing_never_saw(monkeypatch, provider)

    assert unseen == 0
    assert broken_invariants() == []


def test_control_without_the_lock_an_attempt_begins_behind_closings_back(monkeypatch, provider: Provider):
    monkeypatch.setattr(attempts, "lock_rows", read_unlocked)

    unseen = attempts_that_closing_never_saw(monkeypatch, provider)

    assert unseen > 0


def poll_with_eight_at_once() -> int:
    """Forty attempts are due; returns how many were asked about, one counted as often as it was."""
    variant = make_variant(keys=40)
    for _ in range(40):
        make_attempt(make_order(variant))
    return sum(race(8, lambda: poll_due_attempts(clock=db_now)))


def test_eight_pollers_at_once_ask_about_each_attempt_once(provider: Provider):
    assert poll_with_eight_at_once() == 40
    assert len(set(provider.asked)) == len(provider.asked) == 40


def test_control_without_the_lease_lock_the_provider_is_asked_twice(monkeypatch, provider: Provider):
    monkeypatch.setattr(polling, "LEASE_ONE", cut(polling.LEASE_ONE, "FOR NO KEY UPDATE SKIP LOCKED"))

    assert poll_with_eight_at_once() > 40
