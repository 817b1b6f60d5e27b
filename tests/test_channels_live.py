"""Every driver against the sandbox, over real HTTP in both directions and with real signatures."""

from collections.abc import Iterator
from functools import lru_cache

import httpx
import pytest

from cardshop.common.clock import db_now
from orders.models import Order
from orders.selectors import revealed_keys
from orders.tasks import deliver
from payments.errors import ChannelUnavailable
from payments.gateways.rsa import new_key, public_of
from payments.ledgers import ledger_differences
from payments.models import PaymentAttempt, PaymentChannel, Receipt, WebhookEvent
from payments.services.attempts import start_attempt
from payments.services.polling import poll_due_attempts
from payments.tasks import apply_notices, settle_receipts
from sandbox.tests.actors import KEY, PID, RunningSandbox, free_port, wait_until
from tests.factories import make_order, make_variant, the_shop

OURS, THEIRS = new_key(), new_key()
APP_ID = "2021001"
RSA = {"secret": OURS, "provider_key": public_of(THEIRS)}
DRIVERS = {
    "epay_v1": {"method": "alipay", "secret": KEY},
    "epay_v2": {"method": "bank", **RSA},
    "alipay_qr": {"merchant_id": APP_ID, **RSA},
    "alipay_page": {"merchant_id": APP_ID, **RSA},
}
pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    running = RunningSandbox(
        tmp_path_factory.mktemp("sandbox"),
        port=free_port(),
        SANDBOX_PLATFORM_KEY=THEIRS,
        SANDBOX_RSA_MERCHANTS=f"{PID}:{public_of(OURS)},{APP_ID}:{public_of(OURS)}",
    )
    yield running
    running.kill()


@pytest.fixture
def site(live_server, settings, sandbox: RunningSandbox) -> None:
    """Notices find the shop where it really listens."""
    settings.SITE_PORT = f":{live_server.url.rpartition(':')[2]}"
    the_shop()
    sandbox.http.post("/_sandbox/reset")


@pytest.fixture(params=DRIVERS)
def channel(request: pytest.FixtureRequest, sandbox: RunningSandbox, site: None) -> PaymentChannel:
    return make_live(request.param, sandbox)


def make_live(driver: str, sandbox: RunningSandbox) -> PaymentChannel:
    described = {"merchant_id": PID, **DRIVERS[driver]}
    secret = described.pop("secret")
    path = "alipay/gateway.do" if driver.startswith("alipay") else ""
    made = PaymentChannel(
        shop=the_shop(),
        slug="paid",
        name="付款",
        driver=driver,
        base_url=f"{sandbox.base_url}/{path}",
        **described,
    )
    made.seal_secret(secret)
    made.save()
    return made


def begin(channel: PaymentChannel) -> PaymentAttempt:
    return pay(make_order(make_variant(keys=1)), channel)


def pay(order: Order, channel: PaymentChannel) -> PaymentAttempt:
    url = "http://127.0.0.1/pay/return/{attempt}/"
    return start_attempt(order, channel, return_url=url, client_ip="127.0.0.1", now=db_now())


def trade_of(attempt: PaymentAttempt) -> str:
    """The number of the trade that the buyer comes to by page or code."""
    place = attempt.qr or attempt.pay_url
    if "gateway.do" in place:
        place = bring(place)
    assert "/pay/" in place
    return place.rpartition("/")[2]


@lru_cache
def bring(signed_order: str) -> str:
    """Where the provider leads a browser that comes with it; once, as what is paid is not opened again."""
    return httpx.get(signed_order, trust_env=False).headers["Location"]


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

    sandbox.pay(trade_of(attempt))
    wait_until(WebhookEvent.objects.exists)
    apply_notices()

    order = settle(attempt)
    assert order.status == "delivered"
    assert len(revealed_keys(order)[0][1]) == 1
    wait_until(lambda: sandbox.outcomes(trade_of(attempt)) == ["acknowledged"])


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
    sandbox.turn(notice_corrupt=1)

    sandbox.pay(trade_of(attempt))
    wait_until(lambda: sandbox.outcomes(trade_of(attempt))[:1] == ["refused"])
    poll()

    assert not WebhookEvent.objects.exists()
    assert settle(attempt).status == "delivered"


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

    sandbox.pay(trade_of(attempt))
    wait_until(lambda: sandbox.outcomes(trade_of(attempt)).count("acknowledged") == 50)
    apply_notices()

    assert settle(attempt).status == "delivered"
    assert Receipt.objects.count() == 1


# Nobody is asked to make a page.
@pytest.mark.parametrize("channel", sorted(DRIVERS.keys() - {"alipay_page"}), indirect=True)
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
    sandbox.pay(trade_of(attempt))
    wait_until(WebhookEvent.objects.exists)
    apply_notices()
    assert settle(attempt).status == "delivered"


@pytest.mark.parametrize("driver", ["epay_v2", "alipay_qr"])
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


def test_the_ledgers_agree_row_by_row(channel: PaymentChannel, sandbox: RunningSandbox):
    attempt = begin(channel)
    sandbox.turn(notice_drop=-1)
    sandbox.pay(trade_of(attempt))

    def differences() -> list[str]:
        return [row for row in ledger_differences(settled=True) if trade_of(attempt) in row]

    assert len(differences()) == 1
    poll()
    assert differences() == []
    Receipt.objects.update(amount_minor=1)
    assert len(differences()) == 1
