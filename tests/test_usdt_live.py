"""What only the USDT gateways do, against the sandbox, over real HTTP in both directions."""

import pytest

from payments.errors import ChannelUnavailable
from payments.gateways import left_alone
from payments.models import PaymentAttempt, PaymentChannel, Receipt, WebhookEvent
from payments.tasks import apply_notices
from sandbox.tests.actors import RunningSandbox, wait_until
from tests.factories import make_order, make_variant
from tests.live_channels import USDT_KEYS, make_live, trade_of
from tests.test_channels_live import begin, pay, poll, sandbox, settle, site

pytestmark = [pytest.mark.django_db(transaction=True)]
__all__ = ["sandbox", "site"]  # fixtures


@pytest.fixture(params=USDT_KEYS)
def channel(request: pytest.FixtureRequest, sandbox: RunningSandbox, site: None) -> PaymentChannel:
    return make_live(request.param, sandbox)


def test_notice_and_query_speak_of_one_payment(channel: PaymentChannel, sandbox: RunningSandbox):
    attempt = begin(channel)

    sandbox.pay(trade_of(attempt))
    wait_until(WebhookEvent.objects.exists)
    poll()
    apply_notices()

    assert settle(attempt).status == "delivered"
    receipt = Receipt.objects.get()
    assert (receipt.provider_txn_id, receipt.attention) == (trade_of(attempt), "")


@pytest.mark.parametrize("word", ["EXPIRED", "WAITING"])
def test_signed_news_that_is_no_money_moves_nothing(
    channel: PaymentChannel, sandbox: RunningSandbox, word: str
):
    attempt = begin(channel)
    sandbox.turn(notice_status=word)

    sandbox.pay(trade_of(attempt))
    wait_until(lambda: sandbox.outcomes(trade_of(attempt)) == ["acknowledged"])
    apply_notices()

    assert WebhookEvent.objects.get().outcome == "not_paid"
    assert settle(attempt).status == "pending"


def test_a_price_of_millions_is_signed_alike_on_both_sides(channel: PaymentChannel, sandbox: RunningSandbox):
    attempt = pay(make_order(make_variant(keys=1, price_minor=123_456_789)), channel)

    sandbox.pay(trade_of(attempt))
    wait_until(WebhookEvent.objects.exists)
    apply_notices()

    assert settle(attempt).status == "delivered"


def test_where_no_amount_is_free_the_next_try_is_another_trade(
    channel: PaymentChannel, sandbox: RunningSandbox
):
    order = make_order(make_variant(keys=1))
    sandbox.turn(usdt_full=1)
    with pytest.raises(ChannelUnavailable):
        pay(order, channel)

    attempt = pay(order, channel)

    refused = PaymentAttempt.objects.exclude(pk=attempt.pk).get()
    assert (refused.status, refused.next_query_at) == ("failed", None)
    assert left_alone(channel) == {}


def test_a_lost_answer_of_epusdt_is_followed_by_a_trade_under_another_number(
    sandbox: RunningSandbox, site: None
):
    channel = make_live("epusdt", sandbox)
    order = make_order(make_variant(keys=1))
    sandbox.turn(api_lost=1)
    for _ in ("lost", "refused, as the number has been seen"):
        with pytest.raises(ChannelUnavailable):
            pay(order, channel)

    attempt = pay(order, channel)
    sandbox.pay(trade_of(attempt))
    poll()

    assert settle(attempt).status == "delivered"
    assert PaymentAttempt.objects.count() == 2
