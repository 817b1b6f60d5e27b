"""WeChat Pay against the sandbox over real HTTP: closing, refunds, bills, phones, paying inside WeChat."""

import secrets
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from django.core.cache import cache
from django.test import Client

from cardshop.common.clock import db_now
from cardshop.traffic.breakers import Breaker
from payments.gateways import gateway_for, left_alone, seal_secrets
from payments.gateways.base import (
    Evidence,
    GatewayError,
    GatewayRefused,
    RefundEvidence,
    RefundRequest,
    RefundState,
    Trade,
    Unreachable,
)
from payments.gateways.guarded import guard
from payments.models import PaymentAttempt, PaymentChannel, WebhookEvent
from payments.routing import router
from payments.services.polling import trade_of as as_asked
from payments.tasks import apply_notices
from sandbox.tests.actors import RunningSandbox, wait_until
from tests.factories import make_order, make_variant
from tests.live_channels import LIVE, WECHAT, make_live, trade_of
from tests.staff import logged_in, make_boss
from tests.test_channels_live import begin, poll, sandbox, settle, site  # noqa: F401  fixtures

pytestmark = [pytest.mark.django_db(transaction=True)]

BEIJING = timezone(timedelta(hours=8))
PHONE = "Mozilla/5.0 (Linux; Android 14; Pixel 8) Mobile Safari/537.36"
IN_WECHAT = f"{PHONE} MicroMessenger/8.0.50"


def browser() -> Client:
    return Client(HTTP_HOST="demo.localhost")


@pytest.fixture
def client() -> Client:
    return browser()


@pytest.fixture
def channel(site: None, sandbox: RunningSandbox) -> PaymentChannel:  # noqa: F811
    return make_live("wechat", sandbox)


@pytest.fixture
def in_app(channel: PaymentChannel, sandbox: RunningSandbox) -> PaymentChannel:  # noqa: F811
    """The channel of a merchant who has an official account, and H5."""
    channel.options = {**channel.options, "login_url": sandbox.base_url, "h5": "yes"}
    seal_secrets(channel, {**LIVE["wechat"].secrets, "app_secret": WECHAT["app_secret"]})
    channel.save()
    return channel


def known(attempt: PaymentAttempt) -> Trade:
    return as_asked(attempt)


def paid(channel: PaymentChannel, sandbox: RunningSandbox) -> PaymentAttempt:  # noqa: F811
    attempt = begin(channel)
    sandbox.turn(notice_drop=-1)
    sandbox.pay(trade_of(attempt))
    return attempt


def give_back(attempt: PaymentAttempt, fen: int, number: str = "") -> RefundRequest:
    return RefundRequest(
        out_refund_no=number or f"R{secrets.token_hex(12)}",
        trade=replace(known(attempt), provider_txn_id=trade_of(attempt)),
        paid_minor=990,
        amount_minor=fen,
        currency="CNY",
        reason="测试退款",
        requested_at=db_now(),
    )


def booked_refunds(sandbox: RunningSandbox, attempt: PaymentAttempt) -> list[int]:  # noqa: F811
    rows = sandbox.http.get("/_sandbox/refunds").json()
    return [row["money_fen"] for row in rows if row["trade_no"] == trade_of(attempt)]


# ---- closing


def test_what_is_closed_takes_no_money(channel, sandbox):  # noqa: F811
    attempt = begin(channel)

    assert gateway_for(channel).close(known(attempt))

    assert not sandbox.pay(trade_of(attempt)).json()["captured"]
    assert not gateway_for(channel).query(known(attempt)).paid
    assert gateway_for(channel).close(known(attempt))


def test_what_is_paid_is_not_closed(channel, sandbox):  # noqa: F811
    attempt = paid(channel, sandbox)

    with pytest.raises(GatewayRefused):
        gateway_for(channel).close(known(attempt))
    assert gateway_for(channel).query(known(attempt)).paid


def test_nobody_knows_of_a_trade_that_was_never_begun(channel):
    never = Trade(out_trade_no="260301never")
    assert gateway_for(channel).query(never) is None
    assert gateway_for(channel).close(never)  # as the original says it


# ---- refunds


def test_a_refund_asked_for_twice_is_made_once_and_can_be_asked_about(channel, sandbox):  # noqa: F811
    attempt, gateway = paid(channel, sandbox), gateway_for(channel)
    wanted = give_back(attempt, 990)
    assert gateway.ask_refund(wanted) is None

    states = [gateway.refund(wanted), gateway.refund(wanted), gateway.ask_refund(wanted)]

    assert states == [RefundState.UNDER_WAY, RefundState.UNDER_WAY, RefundState.DONE]
    assert booked_refunds(sandbox, attempt) == [990]


def test_an_answer_that_is_lost_does_not_refund_twice(channel, sandbox):  # noqa: F811
    attempt, gateway = paid(channel, sandbox), gateway_for(channel)
    wanted = give_back(attempt, 500)
    sandbox.turn(api_lost=1)
    with pytest.raises(GatewayError):
        gateway.refund(wanted)

    assert gateway.ask_refund(wanted) is RefundState.DONE
    gateway.refund(wanted)

    assert booked_refunds(sandbox, attempt) == [500]


def test_parts_are_refunded_until_nothing_is_left(channel, sandbox):  # noqa: F811
    attempt, gateway = paid(channel, sandbox), gateway_for(channel)
    gateway.refund(give_back(attempt, 400))
    gateway.refund(give_back(attempt, 590))

    with pytest.raises(GatewayRefused):
        gateway.refund(give_back(attempt, 1))

    assert booked_refunds(sandbox, attempt) == [400, 590]


def test_a_number_brought_again_with_another_amount_is_refused(channel, sandbox):  # noqa: F811
    attempt, gateway = paid(channel, sandbox), gateway_for(channel)
    first = give_back(attempt, 400)
    gateway.refund(first)

    with pytest.raises(GatewayRefused):
        gateway.refund(give_back(attempt, 500, number=first.out_refund_no))


def test_what_was_refunded_by_hand_before_we_heard_of_it_is_no_money(channel, sandbox):  # noqa: F811
    attempt = paid(channel, sandbox)
    gateway_for(channel).refund(give_back(attempt, 990))

    poll()

    assert settle(attempt).status == "pending"


# ---- the bill


def test_the_bill_says_what_the_sandbox_has_booked(channel, sandbox):  # noqa: F811
    attempt, gateway = paid(channel, sandbox), gateway_for(channel)
    wanted = give_back(attempt, 300)
    gateway.refund(wanted)
    begin_unpaid = begin(channel)

    today = datetime.now(UTC).astimezone(BEIJING).date()
    rows = list(gateway.statement(today))

    ledger = sandbox.http.get("/_sandbox/ledger").json()
    trades = [trade for trade in ledger if trade["protocol"] == "wechat" and trade["paid_at"]]
    assert {(t["out_trade_no"], t["trade_no"], t["money_fen"]) for t in trades} == {
        (row.out_trade_no, row.provider_txn_id, row.amount_minor) for row in rows if isinstance(row, Evidence)
    }
    refunds = sandbox.http.get("/_sandbox/refunds").json()
    assert {(r["out_refund_no"], r["trade_no"], r["money_fen"]) for r in refunds} == {
        (row.out_refund_no, row.provider_txn_id, row.amount_minor)
        for row in rows
        if isinstance(row, RefundEvidence)
    }
    assert wanted.out_refund_no in {row.out_refund_no for row in rows if isinstance(row, RefundEvidence)}
    assert begin_unpaid.out_trade_no not in str(rows)


def test_a_day_without_trades_has_no_bill(channel):
    assert list(gateway_for(channel).statement(datetime(2020, 1, 1, tzinfo=UTC).date())) == []


# ---- phones, and inside WeChat


def press(client, order, channel, agent):
    return client.post(f"/o/{order.token}/pay/", {"method": channel.method}, headers={"User-Agent": agent})


def order_of(client):
    """An order, and its page as a browser sees it."""
    order = make_order(make_variant(keys=1))

    def page(agent):
        return client.get(f"/o/{order.token}/", headers={"User-Agent": agent}).content.decode()

    return order, page


def test_a_phone_is_led_to_wechat_with_the_way_back(client, in_app, sandbox):  # noqa: F811
    order, _ = order_of(client)

    pressed = press(client, order, in_app, PHONE)

    attempt = PaymentAttempt.objects.get()
    assert (pressed.status_code, pressed["Location"]) == (303, attempt.pay_url)
    back = dict(parse_qsl(urlsplit(attempt.pay_url).query))["redirect_url"]
    assert back == f"http://demo.localhost/pay/return/{attempt.out_trade_no}/"
    # WeChat lets nobody pass who comes from nowhere; the order's address is none of its business.
    assert pressed["Referrer-Policy"] == "strict-origin"
    assert httpx.get(attempt.pay_url).status_code == 403
    led = httpx.get(attempt.pay_url, headers={"Referer": "http://demo.localhost/"})
    assert led.headers["Location"].endswith(f"/pay/{trade_of(attempt)}")
    sandbox.pay(trade_of(attempt))
    wait_until(WebhookEvent.objects.exists)
    apply_notices()
    assert settle(attempt).status == "delivered"


def test_a_page_for_phones_that_is_over_is_asked_for_anew(client, in_app):
    order, _ = order_of(client)
    first = press(client, order, in_app, PHONE)["Location"]
    assert press(client, order, in_app, PHONE)["Location"] == first

    PaymentAttempt.objects.update(started_at=db_now() - timedelta(minutes=4))

    assert press(client, order, in_app, PHONE)["Location"] != first
    assert PaymentAttempt.objects.count() == 2


def to_login(client, order, channel):
    """The buyer presses inside WeChat, and comes back from its login."""
    pressed = press(client, order, channel, IN_WECHAT)
    assert pressed.status_code == 303
    return httpx.get(pressed["Location"]).headers["Location"].removeprefix("http://demo.localhost")


def come_back(client, address):
    return client.get(address, headers={"User-Agent": IN_WECHAT})


def test_inside_wechat_the_page_hands_the_order_to_the_app(client, in_app, sandbox):  # noqa: F811
    order, page = order_of(client)

    back = come_back(client, to_login(client, order, in_app))

    assert (back.status_code, back["Location"]) == (303, f"/o/{order.token}/#in-app")
    attempt = PaymentAttempt.objects.get()
    assert attempt.app_call["package"] == f"prepay_id=wx{trade_of(attempt)}"
    assert attempt.app_call["paySign"] in page(IN_WECHAT)
    assert 'id="app-call"' not in page(PHONE)
    assert "o-sandbox-buyer" not in str(PaymentAttempt.objects.values())
    sandbox.pay(trade_of(attempt))
    wait_until(WebhookEvent.objects.exists)
    apply_notices()
    assert settle(attempt).status == "delivered"


def test_pressing_again_inside_wechat_continues_the_same_trade(client, in_app):
    order, _ = order_of(client)
    come_back(client, to_login(client, order, in_app))
    come_back(client, to_login(client, order, in_app))

    assert PaymentAttempt.objects.count() == 1


def test_what_was_begun_elsewhere_is_begun_anew_inside_and_the_other_way_round(client, in_app):
    order, page = order_of(client)
    press(client, order, in_app, "Mozilla/5.0 (X11; Linux x86_64)")
    assert "scan-code" in page(PHONE)

    come_back(client, to_login(client, order, in_app))
    assert 'id="app-call"' in page(IN_WECHAT)
    press(client, order, in_app, "Mozilla/5.0 (X11; Linux x86_64)")

    assert [bool(attempt.app_call) for attempt in PaymentAttempt.objects.order_by("pk")] == [False, True]
    assert "scan-code" in page(PHONE)


def test_the_login_is_believed_from_the_browser_that_was_sent_there_and_once(client, in_app):
    order, _ = order_of(client)
    address = to_login(client, order, in_app)

    assert come_back(browser(), address).status_code == 400  # another browser
    assert come_back(client, address.replace("state=", "state=0")).status_code == 400
    assert come_back(client, address.partition("?")[0]).status_code == 400
    assert not PaymentAttempt.objects.exists()
    assert come_back(client, address).status_code == 303
    assert come_back(client, address).status_code == 400


def test_a_visit_ends_once_also_for_who_keeps_its_cookie(client, in_app):
    order, _ = order_of(client)
    address = to_login(client, order, in_app)
    kept = client.cookies["payer"].value
    assert come_back(client, address.replace("code=", "code=0")).status_code == 400

    client.cookies["payer"] = kept

    assert come_back(client, address).status_code == 400
    assert not PaymentAttempt.objects.exists()


def test_who_presses_too_often_is_made_to_wait_before_anybody_is_asked(client, in_app, settings):
    settings.PRESSES_PER_ORDER, settings.PRESSES_PER_ADDRESS = "2/1h", "3/1h"
    cache.clear()
    (order, _), (another, _) = order_of(client), order_of(client)

    of_one = [press(client, order, in_app, PHONE).status_code for _ in range(3)]
    back = come_back(client, to_login(client, another, in_app))

    assert of_one == [303, 303, 429]
    assert (back.status_code, back["Retry-After"]) == (429, "60")
    assert PaymentAttempt.objects.count() == 1


def test_a_cookie_that_is_not_ours_is_none(client, in_app):
    order, _ = order_of(client)
    address = to_login(client, order, in_app)
    client.cookies["payer"] = client.cookies["payer"].value[:-2] + "xx"

    assert come_back(client, address).status_code == 400


def test_a_code_that_wechat_does_not_know_begins_nothing(client, in_app):
    order, _ = order_of(client)
    address = to_login(client, order, in_app)

    refused = come_back(client, address.replace("code=", "code=0"))

    assert refused.status_code == 400
    assert "微信没有告诉我们" in refused.content.decode()
    assert not PaymentAttempt.objects.exists()


@pytest.fixture
def other(in_app: PaymentChannel, sandbox: RunningSandbox) -> PaymentChannel:  # noqa: F811
    """The method's second channel, of a driver whose page opens anywhere."""
    made = make_live("epay_v1", sandbox, slug="other")
    made.method, made.position = in_app.method, 1
    made.save()
    return made


@pytest.fixture
def ranked(monkeypatch):
    """In the merchant's order, and every time the other way round."""
    times = count()

    def rank(channels, **_):
        return sorted(channels, key=lambda one: one.position, reverse=next(times) % 2 == 1)

    monkeypatch.setattr(router, "rank", rank)


@pytest.mark.usefixtures("ranked")
def test_the_router_is_asked_once_for_a_press_inside_wechat(client, in_app, other):
    router.rank([])  # so that the other one is the best at first, and the second best if asked again
    order, _ = order_of(client)

    press(client, order, in_app, IN_WECHAT)

    assert PaymentAttempt.objects.first().channel == other


@pytest.fixture
def merchants_order(monkeypatch):
    monkeypatch.setattr(router, "rank", lambda those, **_: sorted(those, key=lambda one: one.position))


@pytest.mark.usefixtures("other", "merchants_order")
@pytest.mark.parametrize("change", [{"is_enabled": False}, {"most_minor": 1}])
def test_a_channel_that_may_not_take_the_payment_any_more_does_not(client, in_app, change, settings):
    settings.SHOP_FRESH_SECONDS = 0
    order, _ = order_of(client)
    address = to_login(client, order, in_app)
    PaymentChannel.objects.filter(pk=in_app.pk).update(**change)

    assert come_back(client, address).status_code == 400
    assert not PaymentAttempt.objects.exists()


def test_a_login_that_does_not_answer_leaves_a_code_to_scan(client, in_app, sandbox):  # noqa: F811
    order, page = order_of(client)
    address = to_login(client, order, in_app)
    sandbox.turn(api_error=1)

    assert come_back(client, address)["Location"].startswith(f"/o/{order.token}/")
    assert "scan-code" in page(IN_WECHAT)
    assert 'id="app-call"' not in page(IN_WECHAT)


def test_a_login_that_refuses_our_secret_leaves_a_code_to_scan(client, in_app):
    order, page = order_of(client)
    address = to_login(client, order, in_app)
    seal_secrets(in_app, {**LIVE["wechat"].secrets, "app_secret": "mistyped"})
    in_app.save()

    assert come_back(client, address)["Location"].startswith(f"/o/{order.token}/")
    assert "scan-code" in page(IN_WECHAT)


@pytest.mark.usefixtures("merchants_order")
def test_a_login_that_does_not_answer_leads_to_another_channel_if_there_is_one(
    client,
    in_app,
    other,
    sandbox,  # noqa: F811
):
    order, _ = order_of(client)
    address = to_login(client, order, in_app)
    sandbox.turn(api_error=1)

    back = come_back(client, address)

    attempt = PaymentAttempt.objects.get()
    assert (attempt.channel, back["Location"]) == (other, attempt.pay_url)


def test_a_login_that_is_left_alone_is_passed_by_and_the_merchant_sees_it(client, in_app):
    for _ in range(5):
        with suppress(Unreachable), guard(f"channel:{in_app.pk}", "login", slug=in_app.slug):
            raise Unreachable("nobody there")
    order, page = order_of(client)

    assert press(client, order, in_app, IN_WECHAT)["Location"] == f"/o/{order.token}/"
    assert "scan-code" in page(IN_WECHAT)
    assert left_alone(in_app).keys() == {"login"}
    health = logged_in(make_boss()).get(
        f"/admin/payments/paymentchannel/{in_app.pk}/health/", headers={"accept-language": "en"}
    )
    assert health.content.decode().count("Asking WeChat who is paying") == 2


def test_a_login_is_tried_again_once_it_may_be(client, in_app, monkeypatch):
    monkeypatch.setattr(Breaker, "open_for", lambda _: 0.0)
    order, _ = order_of(client)

    assert come_back(client, to_login(client, order, in_app)).status_code == 303
    assert PaymentAttempt.objects.get().app_call


def test_without_an_account_there_is_a_code_and_the_plain_truth(client, channel):
    order, page = order_of(client)

    pressed = press(client, order, channel, IN_WECHAT)

    assert pressed["Location"] == f"/o/{order.token}/"
    assert "scan-code" in page(IN_WECHAT)
    assert "往往无法付款" in page(IN_WECHAT)
    assert "往往无法付款" not in page(PHONE)


def test_alipay_inside_wechat_is_said_to_need_another_browser(client, channel, sandbox):  # noqa: F811
    make_live("alipay_qr", sandbox, slug="ali")
    _, page = order_of(client)

    assert "微信里打不开支付宝" in page(IN_WECHAT)
    assert "微信里打不开支付宝" not in page(PHONE)
