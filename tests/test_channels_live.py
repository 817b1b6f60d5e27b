"""Every driver against the sandbox, over real HTTP in both directions and with real signatures."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from cardshop.common.clock import db_now
from orders.models import Order
from orders.selectors import revealed_keys
from orders.tasks import deliver
from payments.errors import ChannelUnavailable
from payments.gateways.base import Evidence
from payments.gateways.epay_v2 import EpayV2Gateway
from payments.ledgers import ledger_differences
from payments.models import PaymentAttempt, PaymentChannel, Receipt, Statement, WebhookEvent
from payments.services.attempts import start_attempt
from payments.services.polling import poll_due_attempts
from payments.services.reconciling import read_due_statements
from payments.tasks import apply_notices, settle_receipts
from sandbox.tests.actors import RunningSandbox, free_port, wait_until
from tests.factories import make_order, make_variant, the_shop
from tests.live_channels import LIVE, USDT_KEYS, buyer_pays, make_live, sandbox_environment, trade_of

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    directory = tmp_path_factory.mktemp("sandbox")
    running = RunningSandbox(directory, port=free_port(), **sandbox_environment())
    yield running
    running.kill()


@pytest.fixture
def site(live_server, settings, sandbox: RunningSandbox) -> None:
    """Notices find the shop where it really listens, and none comes again in the next test."""
    settings.SITE_PORT = f":{live_server.url.rpartition(':')[2]}"
    the_shop()
    sandbox.http.post("/_sandbox/reset")
    sandbox.turn(time_scale=10)


@pytest.fixture(params=LIVE)
def channel(request: pytest.FixtureRequest, sandbox: RunningSandbox, site: None) -> PaymentChannel:
    return make_live(request.param, sandbox)


def begin(channel: PaymentChannel) -> PaymentAttempt:
    return pay(make_order(make_variant(keys=1)), channel)


def pay(order: Order, channel: PaymentChannel) -> PaymentAttempt:
    url = "http://127.0.0.1/pay/return/{attempt}/"
    return start_attempt(order, channel, return_url=url, client_ip="127.0.0.1", now=db_now())


def poll() -> None:
    """As if the next turn to ask had come."""
    PaymentAttempt.objects.filter(next_query_at__isnull=False).update(next_query_at=db_now())
    poll_due_attempts(clock=db_now)


def settle(attempt: PaymentAttempt) -> Order:
    settle_receipts()
    deliver()
    return Order.objects.get(payment=attempt.payment)


def test_a_notice_delivers(channel: PaymentChannel, sandbox: RunningSandbox):
    attempt = begin(channel)

    notices = buyer_pays(sandbox, attempt)
    wait_until(lambda: WebhookEvent.objects.count() == notices)
    apply_notices()

    order = settle(attempt)
    assert order.status == "delivered"
    assert len(revealed_keys(order)[0][1]) == 1
    wait_until(lambda: sandbox.outcomes(trade_of(attempt)) == ["acknowledged"] * notices)


def test_a_lost_notice_is_found_by_polling(channel: PaymentChannel, sandbox: RunningSandbox):
    attempt = begin(channel)
    sandbox.turn(notice_drop=-1)

    sandbox.pay(trade_of(attempt))
    poll()

    assert settle(attempt).status == "delivered"
    assert not WebhookEvent.objects.exists()


def test_an_unpaid_trade_is_no_money(channel: PaymentChannel):
    attempt = begin(channel)

    poll()

    assert settle(attempt).status == "pending"


def test_a_notice_with_a_wrong_signature_is_refused_and_polling_finds_the_money(
    channel: PaymentChannel, sandbox: RunningSandbox
):
    attempt = begin(channel)
    sandbox.turn(notice_corrupt=-1)

    notices = buyer_pays(sandbox, attempt)
    wait_until(lambda: sandbox.outcomes(trade_of(attempt)).count("refused") == notices)
    poll()

    assert not WebhookEvent.objects.exists()
    assert settle(attempt).status == "delivered"


# epusdt knows a payment by its amount: another one is none, and nothing is told of it. At PayPal a buyer
# agrees to just what was asked for.
@pytest.mark.parametrize("channel", sorted(LIVE.keys() - {"epusdt", "paypal"}), indirect=True)
@pytest.mark.parametrize("money", ["9.89", "9.91", "0.01"])
def test_another_amount_is_recorded_and_put_before_a_person_or_delivered(
    channel: PaymentChannel, sandbox: RunningSandbox, money: str
):
    attempt = begin(channel)
    sandbox.turn(notice_drop=-1)

    sandbox.pay(trade_of(attempt), money=money)
    poll()

    order, receipt = settle(attempt), Receipt.objects.get()
    assert receipt.amount_minor == round(float(money) * 100)
    assert receipt.attention
    assert order.status == ("delivered" if money == "9.91" else "pending")


# Of a second transfer the USDT gateways know nothing: what a trade waits for has come. PayPal takes it once.
@pytest.mark.parametrize("channel", sorted(LIVE.keys() - USDT_KEYS.keys() - {"paypal"}), indirect=True)
def test_a_second_payment_of_the_same_trade_is_recorded_for_a_refund(
    channel: PaymentChannel, sandbox: RunningSandbox
):
    attempt = begin(channel)

    sandbox.pay(trade_of(attempt))
    sandbox.pay(trade_of(attempt), again=True)
    wait_until(lambda: WebhookEvent.objects.count() == 2)
    apply_notices()

    assert settle(attempt).status == "delivered"
    assert sorted(receipt.status for receipt in Receipt.objects.all()) == ["applied", "attention"]


def test_the_same_notice_many_times_at_once_delivers_once(channel: PaymentChannel, sandbox: RunningSandbox):
    attempt = begin(channel)
    sandbox.turn(notice_copies=50)

    notices = buyer_pays(sandbox, attempt)
    wait_until(lambda: sandbox.outcomes(trade_of(attempt)).count("acknowledged") == 50 * notices)
    apply_notices()

    assert settle(attempt).status == "delivered"
    assert Receipt.objects.count() == 1


# Nobody is asked to make a page; and epusdt refuses a number that it has seen: see test_usdt_live.
@pytest.mark.parametrize("channel", sorted(LIVE.keys() - {"alipay_page", "epusdt"}), indirect=True)
@pytest.mark.parametrize("knob", [{"api_error": 1}, {"api_lost": 1}])
def test_a_failed_call_is_tried_again_as_the_same_trade(
    channel: PaymentChannel, sandbox: RunningSandbox, knob: dict[str, int]
):
    order = make_order(make_variant(keys=1))
    sandbox.turn(**knob)
    with pytest.raises(ChannelUnavailable):
        pay(order, channel)

    attempt = pay(order, channel)

    assert PaymentAttempt.objects.count() == 1
    notices = buyer_pays(sandbox, attempt)
    wait_until(lambda: WebhookEvent.objects.count() == notices)
    apply_notices()
    assert settle(attempt).status == "delivered"


@pytest.mark.parametrize("driver", ["epay_v2", "alipay_qr", "wechat"])
def test_an_answer_that_the_platform_has_not_signed_is_not_believed(
    sandbox: RunningSandbox, site: None, driver: str
):
    attempt = begin(make_live(driver, sandbox))
    sandbox.turn(notice_drop=-1)

    sandbox.pay(trade_of(attempt))
    sandbox.turn(answer_corrupt=1)
    poll()

    assert not Receipt.objects.exists()
    poll()
    assert Receipt.objects.exists()


def test_a_list_that_nobody_signed_is_a_reason_to_ask_and_no_money(
    sandbox: RunningSandbox, site: None, monkeypatch: pytest.MonkeyPatch
):
    channel = make_live("epay_v2", sandbox)
    forged, real = begin(channel), begin(channel)
    sandbox.turn(notice_drop=-1)
    sandbox.pay(trade_of(real))
    orders = EpayV2Gateway._orders

    def altered_on_the_way(gateway: EpayV2Gateway, limit: int, offset: int) -> list[Evidence]:
        return [replace(row, paid=True) for row in orders(gateway, limit, offset)]

    monkeypatch.setattr(EpayV2Gateway, "_orders", altered_on_the_way)

    PaymentAttempt.objects.update(started_at=db_now() - timedelta(days=3))
    read_due_statements(clock=db_now)

    assert settle(real).status == "delivered"
    assert settle(forged).status == "pending"
    # Trades of other tests, which the sandbox still has, are nobody's.
    assert Receipt.objects.get(attempt__isnull=False).attempt == real
    assert Statement.objects.latest("day").read_at


def test_the_ledgers_agree_row_by_row(channel: PaymentChannel, sandbox: RunningSandbox):
    attempt = begin(channel)
    sandbox.turn(notice_drop=-1)
    buyer_pays(sandbox, attempt)

    def differences() -> list[str]:
        return [row for row in ledger_differences(settled=True) if trade_of(attempt) in row]

    assert len(differences()) == 1
    poll()
    assert differences() == []
    Receipt.objects.update(amount_minor=1)
    assert len(differences()) == 1


def test_comparing_the_ledgers_takes_no_money(sandbox: RunningSandbox, site: None):
    attempt = begin(make_live("paypal", sandbox))
    sandbox.turn(notice_drop=-1)
    sandbox.pay(trade_of(attempt))  # the buyer agrees

    assert list(ledger_differences(settled=True)) == []

    assert sandbox.booked(trade_of(attempt))["paid_at"] is None
    poll()
    assert settle(attempt).status == "delivered"
