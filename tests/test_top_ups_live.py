"""An account topped up, and the money sent back, at every provider over real HTTP with real signatures."""

import pytest

from cardshop.common.clock import db_now
from orders.models import Order
from payments.gateways import gateway_for
from payments.gateways.base import Ability
from payments.ledger.entries import open_account
from payments.models import BalanceEntry, PaymentChannel, Receipt, WebhookEvent
from payments.services.refunds import request_refund
from payments.services.topping_up import ask_for_top_up
from payments.tasks import apply_notices, credit_accounts, send_refunds, settle_receipts
from sandbox.tests.actors import RunningSandbox, wait_until
from tests.balances import left_on
from tests.factories import the_shop
from tests.live_channels import LIVE, buyer_pays, make_live
from tests.race.racing import broken_invariants
from tests.test_channels_live import pay, sandbox, site
from tests.test_refunds_live import follow, given_back

pytestmark = [pytest.mark.django_db(transaction=True)]
__all__ = ["sandbox", "site"]  # fixtures


@pytest.fixture(params=LIVE)
def channel(request: pytest.FixtureRequest, sandbox: RunningSandbox, site: None) -> PaymentChannel:
    return make_live(request.param, sandbox)


def test_it_is_credited_once_and_goes_back_off_the_account(channel: PaymentChannel, sandbox: RunningSandbox):
    account = open_account(
        shop_id=the_shop().pk, holder="Partner", contact_email="p@example.org", currency="CNY", now=db_now()
    )
    top_up = ask_for_top_up(account, amount_minor=50_000, key="k", actor="boss", now=db_now())
    attempt = pay(top_up.order, channel)

    sandbox.turn(notice_copies=5)
    notices = buyer_pays(sandbox, attempt)
    wait_until(lambda: WebhookEvent.objects.count() >= notices)
    for _ in range(2):
        apply_notices()
        settle_receipts()
        credit_accounts()

    assert left_on(account) == 50_000
    assert BalanceEntry.objects.get().reference == top_up.order.number
    assert broken_invariants() == []
    if Ability.REFUND not in gateway_for(channel).can:
        return
    request_refund(Receipt.objects.get(), amount_minor=50_000, reason="x", actor="lin", now=db_now())
    assert left_on(account) == 0
    send_refunds()
    follow()

    assert given_back(sandbox, attempt) == [50_000]
    assert Order.objects.get().status == "refunded"
    assert broken_invariants() == []
