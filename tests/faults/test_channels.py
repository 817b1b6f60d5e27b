"""One channel whose secret cannot be opened, as after a lost key, must not take the others with it."""

from datetime import timedelta

import pytest

from cardshop.common.clock import db_now
from orders.models import Order
from payments.errors import ChannelUnavailable
from payments.gateways.base import GatewayError
from payments.models import PaymentChannel
from payments.services.attempts import start_attempt
from payments.services.closing import ASK_FOR, close_due_orders, finish_closing
from payments.services.polling import poll_due_attempts
from payments.tasks import settle_receipts
from payments.tests.providers import Provider
from tests.factories import counters, make_attempt, make_channel, make_order, make_variant

pytestmark = pytest.mark.django_db(transaction=True)


def make_sealed_off_channel() -> PaymentChannel:
    channel = make_channel(slug="lost")
    PaymentChannel.objects.filter(pk=channel.pk).update(sealed_secret=b"another:" + bytes(60))
    channel.refresh_from_db()
    return channel


def test_polling_goes_on_with_the_next_attempt(provider: Provider):
    variant, lost, sound = make_variant(keys=2), make_sealed_off_channel(), make_channel()
    make_attempt(make_order(variant), lost)
    paid = make_attempt(make_order(variant), sound)
    provider.knows(paid)

    assert poll_due_attempts(clock=db_now) == 2
    settle_receipts()

    assert Order.objects.get(payment=paid.payment).status == "paid"


def test_a_hold_ends_although_its_provider_cannot_be_asked():
    variant = make_variant(keys=1)
    order = make_order(variant, now=db_now() - timedelta(hours=1))
    make_attempt(order, make_sealed_off_channel())
    close_due_orders(db_now())

    assert finish_closing([order.pk], db_now() + ASK_FOR) == {}

    order.refresh_from_db()
    assert (order.status, counters(variant)) == ("expired", (1, 1, 0))


def test_a_channel_that_is_down_does_not_hide_money_at_another(provider: Provider):
    order = make_order(make_variant(keys=1), now=db_now() - timedelta(hours=1))
    make_attempt(order, make_sealed_off_channel())
    provider.knows(make_attempt(order, make_channel()))
    close_due_orders(db_now())

    failed = finish_closing([order.pk], db_now())
    settle_receipts()

    assert isinstance(failed[order.pk], GatewayError)
    order.refresh_from_db()
    assert order.status == "paid"


def test_a_buyer_who_chooses_it_hears_that_it_does_not_answer():
    order, lost = make_order(make_variant(keys=1)), make_sealed_off_channel()

    with pytest.raises(ChannelUnavailable):
        start_attempt(order, lost, return_url="", client_ip="127.0.0.1", now=db_now())
