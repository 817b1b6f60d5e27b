"""A provider that fails again and again is left alone, and only that one."""

import time
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from cardshop.common.clock import db_now
from cardshop.common.deadline import within
from cardshop.traffic import breakers, bulkheads
from cardshop.traffic.bulkheads import bulkhead_of
from orders.models import Order
from payments.errors import ChannelUnavailable
from payments.gateways import gateway_for, left_alone
from payments.gateways.base import GatewayRefused, RawCall, Unreachable
from payments.gateways.guarded import GuardedGateway
from payments.models import Receipt
from payments.services.attempts import start_attempt
from payments.services.closing import close_due_orders, finish_closing
from payments.services.notices import apply_notices, receive_notice
from payments.services.polling import poll_due_attempts
from payments.tests.wanted import A1
from tests.factories import make_attempt, make_channel, make_order, make_variant, notice_query
from tests.staff import logged_in, make_boss, make_clerk

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


def health_page(channel, language="en"):
    boss = logged_in(make_boss())
    page = boss.get(
        f"/admin/payments/paymentchannel/{channel.pk}/health/", headers={"accept-language": language}
    )
    return page.status_code, page.content.decode()


def test_the_merchant_sees_when_and_why_it_was_left_alone(provider):
    channel = make_channel()
    let_it_fail(provider, channel)

    status, page = health_page(channel)

    assert status == 200
    for words in (
        "left alone for another",
        "Left alone for 5 seconds.",
        "Five calls in a row had no answer.",
    ):
        assert words in page
    assert page.count("Asking about a payment") == 2
    assert page.count("is asked as usual") == 3


def test_the_merchant_reads_it_in_chinese(provider):
    channel = make_channel()
    let_it_fail(provider, channel)

    assert "连续五次调用无应答。" in health_page(channel, "zh-hans")[1]


def test_a_channel_that_never_failed_has_no_history(provider):
    assert "it was never left alone" in health_page(make_channel())[1]


def test_nobody_sees_it_who_may_not_see_channels(client):
    channel, clerk = make_channel(), logged_in(make_clerk("orders.view_order"))

    assert clerk.get(f"/admin/payments/paymentchannel/{channel.pk}/health/").status_code == 403


# While Redis is away


@pytest.fixture
def _no_redis(settings, monkeypatch):
    settings.ADMISSION_REDIS_URL = "redis://127.0.0.1:9/0"
    for attribute in ("client", "rests_until"):
        monkeypatch.delattr(breakers._here, attribute, raising=False)
    yield
    for attribute in ("client", "rests_until"):
        if hasattr(breakers._here, attribute):
            delattr(breakers._here, attribute)


@pytest.mark.usefixtures("_no_redis")
def test_without_redis_a_channel_that_does_not_answer_is_left_alone_by_the_process_and_asked_again(
    provider, monkeypatch
):
    channel, other = make_channel(), make_channel(slug="other")
    let_it_fail(provider, channel)
    asked = len(provider.calls)
    with pytest.raises(Unreachable, match="left alone"):
        gateway_for(channel).query(A1)
    assert len(provider.calls) == asked

    provider.broken = None
    assert gateway_for(other).query(A1) is None
    assert start(make_order(make_variant(keys=1)), channel).pay_url
    breakers._seen_of(f"channel:{channel.pk}:query").open_until = 0.0
    assert gateway_for(channel).query(A1) is None


@pytest.mark.usefixtures("_no_redis")
def test_without_redis_the_merchant_is_told_that_nobody_knows(provider):
    assert "Redis does not answer" in health_page(make_channel())[1]


# The bulkhead


@contextmanager
def without_a_place(channel):
    """All of the channel's places are taken, by calls that take long."""
    bulkhead = bulkhead_of(f"channel:{channel.pk}")
    bulkhead._last_took = 60.0
    with ExitStack() as stack:
        for _ in range(bulkhead._places()):
            stack.enter_context(bulkhead.place())
        yield


def test_a_call_for_which_there_is_no_place_is_not_made_and_is_no_failure_of_the_provider(provider):
    channel = make_channel()

    with without_a_place(channel):
        for _ in range(12):
            with pytest.raises(Unreachable, match="too many"):
                gateway_for(channel).query(A1)

    assert provider.calls == []
    assert left_alone(channel) == {}
    assert gateway_for(channel).query(A1) is None


def test_a_buyer_hears_so_at_once_and_pays_by_another_channel(provider, monkeypatch):
    monkeypatch.setattr(bulkheads, "PATIENCE", 1e6)
    channel, other, order = make_channel(), make_channel(slug="other"), make_order(make_variant(keys=1))

    with without_a_place(channel):
        with pytest.raises(ChannelUnavailable):
            start(order, channel)

        assert start(order, other).pay_url


def test_polling_goes_on_with_the_other_channels(provider):
    slow, other, variant = make_channel(), make_channel(slug="other"), make_variant(keys=3)
    waiting = [make_attempt(make_order(variant), slow) for _ in range(2)]
    paid = make_attempt(make_order(variant), other)
    provider.knows(paid)

    with without_a_place(slow):
        assert poll_due_attempts(clock=db_now) == 3

    assert provider.asked == [paid.out_trade_no]
    assert Receipt.objects.get().attempt == paid
    for attempt in waiting:
        attempt.refresh_from_db()
        assert attempt.next_query_at > db_now()


def slow_and_quick(provider):
    """Two channels and an attempt at each, the slow one's first. Told to the list when the slow one is asked:
    how many receipts there are.
    """
    slow, quick = make_channel(base_url="http://127.0.0.1:7/"), make_channel(slug="quick")
    bulkhead_of(f"channel:{slow.pk}")._last_took = 60.0
    variant, known = make_variant(keys=2), []
    attempts = [
        make_attempt(make_order(variant, now=db_now().replace(microsecond=0)), channel)
        for channel in (slow, quick)
    ]
    provider.knows(attempts[1])

    def answer(request):
        if request.url.port == 7:
            known.append((Receipt.objects.count(), Order.objects.filter(status="expired").count()))
        return provider.told(request)

    provider.broken = answer
    return attempts, known


def test_a_notice_is_applied_before_a_slow_channel_is_asked_about_another(provider):
    attempts, known = slow_and_quick(provider)
    events = []
    for attempt in attempts:
        receive_notice(attempt.channel, RawCall("GET", notice_query(attempt), ""), now=db_now())
        events.append(attempt.channel.events.get().pk)

    apply_notices(events, db_now())

    assert known == [(1, 0)]


def test_an_order_ends_before_a_slow_channel_is_asked_about_another(provider):
    attempts, known = slow_and_quick(provider)
    provider.trades.clear()
    orders = [attempt.payment.order for attempt in attempts]
    later = max(order.reserved_until for order in orders)
    close_due_orders(later)

    assert finish_closing([order.pk for order in orders], later) == {}

    assert known == [(0, 1)]
    assert {order.status for order in Order.objects.all()} == {"expired"}


def test_an_operation_of_several_calls_has_one_deadline(settings):
    settings.PROVIDER_TOTAL_TIMEOUT = 5.0

    class Asking:
        notice_is_proof, list_is_proof, acknowledgement, can = False, False, "", frozenset()

        def query(self, trade):
            with within(60.0) as call:
                return call.ends - time.monotonic()

    assert GuardedGateway(Asking(), name="several", slug="several").query(A1) <= 5.0
