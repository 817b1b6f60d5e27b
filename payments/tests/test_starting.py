"""A buyer chooses a method; the channel within it is the router's business, and no hold is lost over it."""

from collections import Counter
from datetime import timedelta

import httpx
import pytest

from cardshop.common.clock import db_now
from cardshop.outbox.models import OutboxMessage
from orders.models import Order
from payments.errors import ChannelUnavailable, UnknownMethod
from payments.models import PaymentAttempt
from payments.routing import router, state
from payments.selectors import ways_to_pay
from payments.services.attempts import SAME_PRESS
from payments.services.calling_off import call_off_attempts
from payments.services.starting import channels_in_order, start_payment
from tests.factories import make_channel, make_order, make_variant, paid_evidence, settle_evidence

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]
WAY = {
    "return_url": "http://127.0.0.1/{attempt}/",
    "client_ip": "192.0.2.1",
    "on_phone": False,
    "in_wechat": False,
    "payer": "",
}


@pytest.fixture
def channels(provider, monkeypatch):
    """Two of one method. The router would rather take the first one."""
    monkeypatch.setattr(router, "rank", lambda those, **_: sorted(those, key=lambda one: one.position))
    first = make_channel(slug="first", base_url="http://127.0.0.1:9/")
    return first, make_channel(slug="second", base_url="http://127.0.0.1:10/", position=1)


def dead(provider, *ports):
    def answer(request):
        if request.url.port in ports:
            raise httpx.ConnectTimeout("nobody there")
        return provider.told(request)

    provider.broken = answer


def start(order, method="alipay", *, now=None, **way):
    return start_payment(order, method, {**WAY, **way}, now=now or db_now())


def fresh_order(**fields):
    return make_order(make_variant(keys=1, **fields))


def test_the_best_channel_is_taken(channels):
    assert start(fresh_order()).channel == channels[0]


def test_one_that_does_not_answer_is_passed_over_at_once_and_still_asked_about(channels, provider):
    order = fresh_order()
    dead(provider, 9)

    attempt = start(order)

    assert attempt.channel == channels[1]
    failed = PaymentAttempt.objects.get(channel=channels[0])
    assert failed.status == "failed"
    assert OutboxMessage.objects.get(task="payments.call_off_attempts").subject_id == failed.pk
    assert Order.objects.get().status == "pending"


def test_one_that_refuses_is_passed_over(channels, provider):
    provider.broken = lambda request: (
        httpx.Response(200, json={"code": -1, "msg": "too much for today"})
        if request.url.port == 9
        else provider.told(request)
    )

    assert start(fresh_order()).channel == channels[1]


def test_when_none_answers_the_hold_stays_and_the_next_press_may_do_better(channels, provider):
    order = fresh_order()
    dead(provider, 9, 10)
    with pytest.raises(ChannelUnavailable):
        start(order)
    provider.broken = None

    assert start(order).channel == channels[0]
    assert PaymentAttempt.objects.count() == 2


def test_a_nervous_finger_continues_the_same_attempt(channels):
    order = fresh_order()

    assert start(order) == start(order)


def test_who_comes_back_unpaid_is_led_another_way_and_the_first_is_called_off(channels):
    order = fresh_order()
    first = start(order)

    second = start(order, now=db_now() + SAME_PRESS + timedelta(seconds=1))

    assert (first.channel, second.channel) == channels
    assert OutboxMessage.objects.get(task="payments.call_off_attempts").subject_id == first.pk


def test_with_a_single_channel_who_comes_back_finds_the_same_attempt(provider):
    make_channel()
    order = fresh_order()

    assert start(order) == start(order, now=db_now() + SAME_PRESS + timedelta(seconds=1))
    assert not OutboxMessage.objects.filter(task="payments.call_off_attempts").exists()


def test_an_order_of_channels_that_was_settled_before_is_kept(channels, monkeypatch):
    order, settled = fresh_order(), list(channels[::-1])
    monkeypatch.setattr(router, "rank", lambda *_, **__: pytest.fail("the router is asked once"))

    assert start_payment(order, "alipay", WAY, channels=settled, now=db_now()).channel == channels[1]


def test_one_that_was_begun_just_now_goes_first_and_those_tried_before_come_last(channels):
    order, third = fresh_order(), make_channel(slug="third", base_url="http://127.0.0.1:11/", position=2)
    start(order)
    now = db_now()

    assert channels_in_order(order, "alipay", now=now) == [*channels, third]
    assert channels_in_order(order, "alipay", now=now + 2 * SAME_PRESS) == [channels[1], third, channels[0]]


@pytest.fixture
def lone(channels, provider):
    """An order whose first press failed at the first channel, with no other to go to; some time ago."""
    order, now = fresh_order(), db_now()
    second = channels[1]
    type(second).objects.filter(pk=second.pk).update(is_enabled=False)
    dead(provider, 9)
    with pytest.raises(ChannelUnavailable):
        start(order, now=now)
    provider.broken = None
    type(second).objects.filter(pk=second.pk).update(is_enabled=True)
    return order, now + SAME_PRESS + timedelta(seconds=10)


def test_a_nervous_finger_after_a_failure_and_a_success_keeps_the_code_that_is_scanned(channels, lone):
    order, now = lone
    attempt = start_payment(order, "alipay", WAY, channels=[channels[0]], now=now)

    assert start(order, now=now + timedelta(seconds=2)) == attempt

    stored = PaymentAttempt.objects.get()
    assert (stored.status, stored.resumed_at) == ("open", now)
    assert stored.started_at < now - SAME_PRESS
    assert not OutboxMessage.objects.filter(task="payments.call_off_attempts").exists()


def test_another_tab_calls_off_nothing_that_the_provider_is_just_answering(channels, lone, provider):
    order, now = lone

    def meanwhile(request):
        provider.broken = None
        start_payment(order, "alipay", WAY, channels=[channels[1]], now=now)
        return provider.told(request)

    provider.broken = meanwhile
    start_payment(order, "alipay", WAY, channels=[channels[0]], now=now)

    assert PaymentAttempt.objects.filter(status="open").count() == 2
    assert not OutboxMessage.objects.filter(task="payments.call_off_attempts").exists()


def test_what_was_pressed_for_again_is_not_called_off_though_it_was_to_be(channels, lone, provider):
    order, now = lone
    start_payment(order, "alipay", WAY, channels=[channels[1]], now=now)
    left = OutboxMessage.objects.get(task="payments.call_off_attempts").subject_id
    attempt = start_payment(order, "alipay", WAY, channels=[channels[0]], now=now)
    assert attempt.pk == left
    asked = len(provider.calls)

    assert call_off_attempts([left], now, source="closing") == {}
    assert len(provider.calls) == asked
    call_off_attempts([left], now + 2 * SAME_PRESS, source="closing")
    assert len(provider.calls) == asked + 1


def test_channels_that_refused_come_after_one_that_was_not_reached(channels, provider):
    """Of a clear no the router hears nothing lasting, and without Redis it forgets everything."""
    order = fresh_order()
    for position in (2, 3):
        make_channel(slug=f"no-{position}", base_url=f"http://127.0.0.1:{9 + position}/", position=position)
    provider.broken = lambda request: (
        provider.told(request)
        if request.url.port == 12
        else httpx.Response(200, json={"code": -1, "msg": "too much for today"})
    )
    with pytest.raises(ChannelUnavailable):
        start(order)

    assert start(order).channel.position == 3


def test_after_too_many_attempts_a_press_continues_what_was_begun(channels, provider, monkeypatch):
    monkeypatch.setattr("payments.services.attempts.MOST_ATTEMPTS", 1)
    order = fresh_order()
    begun, later = start(order), db_now() + 2 * SAME_PRESS

    assert channels_in_order(order, "alipay", now=later)[0] != begun.channel
    assert start(order, now=later) == begun


def test_where_the_router_names_none_the_method_is_unknown(channels, monkeypatch):
    monkeypatch.setattr(router, "rank", lambda *_, **__: [])

    with pytest.raises(UnknownMethod):
        start(fresh_order())


def test_only_ways_that_take_the_amount_are_offered(provider):
    make_channel(slug="small", most_minor=989)
    make_channel(slug="large", method="wxpay", least_minor=990)
    order = fresh_order()

    assert ways_to_pay(order) == [("wxpay", "支付宝")]
    with pytest.raises(UnknownMethod):
        start(order)


def test_a_method_of_several_channels_is_offered_once(channels):
    assert ways_to_pay(fresh_order()) == [("alipay", "支付宝")]


@pytest.mark.parametrize("method", ["", "nobody", "wxpay"])
def test_a_method_that_is_not_offered_is_unknown(channels, method):
    with pytest.raises(UnknownMethod):
        start(fresh_order(), method)


def test_the_router_hears_what_was_sent_paid_and_failed(channels, provider):
    order, now = fresh_order(), db_now()
    dead(provider, 9)
    attempt = start(order)

    settle_evidence(attempt.channel, paid_evidence(attempt))

    told = Counter()
    for cohort in state.cohorts_of(router.place_of(channels[0]), at=now.timestamp() + 5):
        for channel, tally in cohort.tallies.items():
            told.update({(channel, "sent"): tally.sent, (channel, "paid"): tally.paid})
            told.update({(channel, "errors"): tally.errors})
    failed, sound = channels
    assert told[failed.pk, "errors"] > 0 == told[failed.pk, "sent"]
    assert told[sound.pk, "sent"] == told[sound.pk, "paid"] > 0
