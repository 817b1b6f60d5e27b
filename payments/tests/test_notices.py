"""The webhook inbox, by HTTP."""

from urllib.parse import urlencode

import httpx
import pytest
from django.db import OperationalError

from cardshop.common.clock import db_now
from cardshop.outbox.models import OutboxMessage
from cardshop.outbox.services import NotReached
from payments.gateways.base import GatewayError, Unreachable
from payments.gateways.epay import sign
from payments.models import Receipt, WebhookEvent
from payments.services import notices
from payments.services.evidence import settle_receipts
from payments.services.notices import BENEFIT_OF_DOUBT, apply_notices
from payments.tests.providers import dead_at
from tests.factories import SECRET, make_attempt, make_channel, make_order, make_variant

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def attempt():
    return make_attempt(make_order(make_variant(keys=3)), make_channel())


def notice(attempt, secret=SECRET, **changes):
    params = {
        "pid": "1001",
        "trade_no": f"T{attempt.out_trade_no}",
        "out_trade_no": attempt.out_trade_no,
        "type": "alipay",
        "name": "x",
        "money": "9.9",
        "trade_status": "TRADE_SUCCESS",
        **changes,
    }
    return "?" + urlencode({**params, "sign": sign(params, secret), "sign_type": "MD5"})


def apply(event_id):
    """What the workers do with a notice, and with the money that it brought."""
    assert apply_notices([event_id], db_now()) == {}
    recorded = Receipt.objects.filter(status="recorded").values_list("pk", flat=True)
    assert settle_receipts(list(recorded), db_now()) == {}


def send(client, query, channel="alipay"):
    return client.get(f"/pay/notify/{channel}/{query}")


def test_a_notice_is_stored_acknowledged_and_only_then_applied(client, provider, attempt):
    provider.knows(attempt)

    response = send(client, notice(attempt))

    assert (response.status_code, response.content) == (200, b"success")
    event = WebhookEvent.objects.get()
    assert OutboxMessage.objects.get(task="payments.apply_notices").subject_id == event.pk
    assert not Receipt.objects.exists()
    apply(event.pk)
    event.refresh_from_db()
    assert event.outcome == "applied"
    assert Receipt.objects.get().source == "notice"


def test_a_repeated_notice_is_acknowledged_and_kept_once(client, provider, attempt):
    for _ in range(3):
        assert send(client, notice(attempt)).content == b"success"

    assert WebhookEvent.objects.count() == OutboxMessage.objects.count() == 1


def test_a_signed_claim_that_the_provider_denies_moves_nothing(client, provider, attempt):
    """The buyer's browser holds validly signed notices; only the provider's own word is money."""
    provider.knows(attempt, paid=False)
    send(client, notice(attempt))
    event = WebhookEvent.objects.get()

    # It may lag behind itself, so it is asked again for a while.
    failed = apply_notices([event.pk], event.received_at)
    assert isinstance(failed[event.pk], GatewayError)
    assert apply_notices([event.pk], event.received_at + BENEFIT_OF_DOUBT) == {}

    assert WebhookEvent.objects.get().outcome == "denied"
    assert not Receipt.objects.exists()


@pytest.mark.parametrize("addition", ["&empty=", "&param=", "&sign_type=", "&z=%20"])
def test_what_is_not_signed_makes_no_new_notice(client, provider, attempt, addition):
    query = notice(attempt).replace("&sign_type=MD5", "")
    send(client, query)

    assert send(client, query + addition).content == b"success"
    assert WebhookEvent.objects.count() == 1


def test_a_notice_sent_to_another_channel_of_the_same_account_is_the_same_money(client, provider, attempt):
    """Both channels verify it, since they share the key; it must not look like money from nowhere."""
    make_channel(slug="wxpay")
    provider.knows(attempt)
    for channel in ("wxpay", "alipay"):
        send(client, notice(attempt), channel=channel)

    for event in WebhookEvent.objects.all():
        apply(event.pk)

    receipt = Receipt.objects.get()
    assert (receipt.channel.slug, receipt.attempt, receipt.status) == ("alipay", attempt, "applied")


def test_a_signed_notice_that_says_unpaid_is_acknowledged_and_moves_nothing(client, provider, attempt):
    provider.knows(attempt)

    assert send(client, notice(attempt, trade_status="WAIT_BUYER_PAY")).content == b"success"
    apply(WebhookEvent.objects.get().pk)

    assert WebhookEvent.objects.get().outcome == "not_paid"
    assert not Receipt.objects.exists()
    assert provider.calls == []


def test_the_amount_comes_from_the_provider_and_not_from_the_notice(client, provider, attempt):
    provider.knows(attempt, amount_minor=1)
    send(client, notice(attempt, money="9.9"))

    apply(WebhookEvent.objects.get().pk)

    assert (Receipt.objects.get().amount_minor, Receipt.objects.get().status) == (1, "short")


def test_while_the_provider_cannot_be_asked_the_notice_waits(client, provider, attempt):
    send(client, notice(attempt))
    provider.broken = lambda request: httpx.Response(502)

    (error,) = apply_notices([WebhookEvent.objects.get().pk], db_now()).values()

    assert isinstance(error, GatewayError)
    assert WebhookEvent.objects.get().outcome == "waiting"


def test_a_second_payment_of_one_attempt_is_asked_about_by_its_own_number(client, provider, attempt):
    provider.knows(attempt)
    send(client, notice(attempt))
    apply(WebhookEvent.objects.get().pk)
    provider.knows(attempt, txn="second")

    send(client, notice(attempt, trade_no="second"))
    apply(WebhookEvent.objects.order_by("pk").last().pk)

    assert Receipt.objects.filter(status="attention").count() == 1


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?garbage",
        "?a=%00&b=%ff",
        "?" + "a=1&" * 100,
        "?sign=%C3%A9&pid=1001",
        "?" + urlencode({"pid": "1001", "sign": "0" * 32, "money": "9.9"}),
    ],
)
def test_malformed_and_unsigned_notices_are_refused_and_fill_no_table(client, attempt, query):
    response = send(client, query)

    assert (response.status_code, response.content) == (400, b"fail")
    assert not WebhookEvent.objects.exists()


def test_a_notice_signed_for_another_secret_merchant_or_channel_is_refused(client, attempt):
    assert send(client, notice(attempt, secret="other")).status_code == 400
    assert send(client, notice(attempt, pid="1002")).status_code == 400
    assert send(client, notice(attempt), channel="nobody").status_code == 404


def test_an_oversized_notice_is_refused(client, attempt):
    response = client.post("/pay/notify/alipay/", data="x" * 100_000, content_type="text/plain")

    assert response.status_code == 413


def test_it_is_not_acknowledged_before_it_is_stored(client, attempt, monkeypatch):
    def fall(*args, **kwargs):
        raise OperationalError("the database is gone")

    monkeypatch.setattr("payments.services.notices.promise", fall)

    response = send(client, notice(attempt))

    assert (response.status_code, "Retry-After" in response) == (503, True)
    assert b"success" not in response.content
    assert not WebhookEvent.objects.exists()


def test_a_notice_costs_five_queries_and_a_commit(client, attempt, django_assert_num_queries):
    """The shop, the channel, the clock; the notice and its promise."""
    with django_assert_num_queries(5 + len(["BEGIN", "COMMIT"])):
        assert send(client, notice(attempt)).content == b"success"


def stored(client, provider, count):
    variant = make_variant(keys=count)
    attempts = [make_attempt(make_order(variant)) for _ in range(count)]
    for each in attempts:
        provider.knows(each)
        send(client, notice(each))
    return attempts, list(WebhookEvent.objects.order_by("pk").values_list("pk", flat=True))


def test_many_notices_are_recorded_in_as_many_queries_as_one(client, provider, django_assert_num_queries):
    make_channel()
    attempts, ids = stored(client, provider, 20)
    now = db_now()

    with django_assert_num_queries(5 + len(["BEGIN", "COMMIT"])):
        assert apply_notices(ids, now) == {}

    assert Receipt.objects.count() == len(attempts)
    promised = OutboxMessage.objects.filter(task="payments.settle_receipts").values_list("subject_id")
    assert set(promised) == set(Receipt.objects.values_list("pk"))
    assert set(WebhookEvent.objects.values_list("outcome", flat=True)) == {"applied"}


def test_a_notice_that_cannot_be_asked_about_keeps_no_other_waiting(client, provider):
    make_channel()
    attempts, ids = stored(client, provider, 3)
    del provider.trades[attempts[1].out_trade_no]

    assert list(apply_notices(ids, db_now())) == [ids[1]]

    assert WebhookEvent.objects.filter(outcome="applied").count() == 2


def test_whoever_was_asked_about_does_not_wait_for_all_the_others(client, provider, monkeypatch):
    make_channel()
    _attempts, ids = stored(client, provider, 3)
    monkeypatch.setattr(notices, "ASKING", 0.0)

    left = apply_notices(ids, db_now())

    assert {type(why) for why in left.values()} == {NotReached}
    assert WebhookEvent.objects.filter(outcome="applied").count() + len(left) == 3


def test_a_silent_channel_costs_one_time_out_and_nothing_of_the_time_for_another(
    client, provider, monkeypatch
):
    make_channel()
    _attempts, silent = stored(client, provider, 2)
    healthy = make_attempt(
        make_order(make_variant(keys=1)), make_channel(slug="wxpay", base_url="http://127.0.0.1:10/")
    )
    provider.knows(healthy)
    send(client, notice(healthy), channel="wxpay")
    monkeypatch.setattr(notices, "ASKING", 0.2)
    provider.broken = dead_at(9, provider, after=0.3)

    failed = apply_notices([*silent, WebhookEvent.objects.latest("pk").pk], db_now())

    assert {pk: type(why) for pk, why in failed.items()} == dict.fromkeys(silent, Unreachable)
    assert Receipt.objects.get().attempt == healthy
    assert len(provider.calls) == 2
