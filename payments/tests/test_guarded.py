"""A provider that fails again and again is left alone, and only that one."""

import httpx
import pytest

from cardshop.common.clock import db_now
from payments.errors import ChannelUnavailable
from payments.gateways import gateway_for, left_alone
from payments.gateways.base import GatewayRefused, Unreachable
from payments.services.attempts import start_attempt
from payments.services.polling import poll_due_attempts
from payments.tests.wanted import A1
from tests.factories import make_attempt, make_channel, make_order, make_variant
from tests.staff import logged_in, make_boss

pytestmark = pytest.mark.django_db(transaction=True)


def away(request):
    raise httpx.ConnectTimeout("nobody there")


def start(order, channel):
    return start_attempt(
        order, channel, return_url="http://r/{attempt}/", client_ip="192.0.2.1", now=order.placed_at
    )


def let_it_fail(provider, channel, times=5):
    provider.broken = away
    for _ in range(times):
        with pytest.raises(Unreachable):
            gateway_for(channel).query(A1)


def test_who_does_not_answer_is_not_asked_any_more(provider):
    channel = make_channel()
    let_it_fail(provider, channel)
    asked = len(provider.calls)

    with pytest.raises(Unreachable, match="left alone"):
        gateway_for(channel).query(A1)

    assert len(provider.calls) == asked
    assert left_alone(channel).keys() == {"query"}


def test_another_operation_and_another_channel_are_asked_all_the_same(provider):
    channel, other = make_channel(), make_channel(slug="other")
    let_it_fail(provider, channel)
    provider.broken = None

    assert start(make_order(make_variant(keys=1)), channel).pay_url
    assert gateway_for(other).query(A1) is None


def test_a_clear_no_opens_nothing(provider):
    channel, order = make_channel(), make_order(make_variant(keys=1))
    provider.broken = lambda request: httpx.Response(200, json={"code": -1, "msg": "closed"})

    for _ in range(12):
        with pytest.raises(ChannelUnavailable):
            start(order, channel)

    assert left_alone(channel) == {}
    assert GatewayRefused not in Unreachable.__mro__


def test_a_buyer_hears_at_once_that_it_cannot_be_used_and_keeps_the_hold(provider):
    channel, other = make_channel(), make_channel(slug="other")
    provider.broken = away
    for _ in range(5):
        with pytest.raises(ChannelUnavailable):
            start(make_order(make_variant(keys=1)), channel)
    provider.calls.clear()
    order = make_order(make_variant(keys=1))

    with pytest.raises(ChannelUnavailable):
        start(order, channel)
    assert provider.calls == []

    provider.broken = None
    assert start(order, other).pay_url


def test_polling_goes_on_once_it_answers_again(provider):
    channel = make_channel()
    attempt = make_attempt(make_order(make_variant(keys=1)), channel)
    let_it_fail(provider, channel)
    poll_due_attempts(clock=db_now)
    attempt.refresh_from_db()

    assert attempt.next_query_at > db_now()


def test_the_merchant_sees_who_does_not_answer(provider):
    channel, boss = make_channel(), logged_in(make_boss())
    assert "again and again" not in boss.get("/admin/payments/paymentchannel/").content.decode()

    let_it_fail(provider, channel)

    assert "again and again" in boss.get("/admin/payments/paymentchannel/").content.decode()
