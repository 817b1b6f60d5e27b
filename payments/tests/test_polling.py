"""Nothing depends on a notice arriving."""

from datetime import timedelta
from itertools import pairwise

import httpx
import pytest

from payments.models import PaymentAttempt, Receipt
from payments.services.evidence import settle_receipts
from payments.services.polling import EAGER_QUERIES, NOTICE_GOES_FIRST, ask_soon, poll_due_attempts
from tests.factories import make_attempt, make_channel, make_order, make_variant

pytestmark = pytest.mark.django_db(transaction=True)


def poll(at):
    """Ask, and settle what was heard."""
    polled = poll_due_attempts(clock=lambda: at)
    recorded = Receipt.objects.filter(status="recorded").values_list("pk", flat=True)
    assert settle_receipts(list(recorded), at) == {}
    return polled


def test_polling_finds_the_payment_whose_notice_never_came(provider):
    order = make_order(make_variant(keys=1))
    provider.knows(make_attempt(order))

    assert poll(order.placed_at) == 1

    order.refresh_from_db()
    assert order.status == "paid"
    assert PaymentAttempt.objects.get().next_query_at is None
    assert poll(order.placed_at + timedelta(hours=1)) == 0


def test_questions_grow_rarer_and_end_a_day_after_the_deadline(provider):
    order = make_order(make_variant(keys=1))
    provider.knows(make_attempt(order), paid=False)
    asked_at, at = [], order.placed_at

    while at is not None:
        assert poll(at) == 1
        asked_at.append(at - order.placed_at)
        at = PaymentAttempt.objects.get().next_query_at

    pauses = [after - before for before, after in pairwise(asked_at)]
    assert [pause.total_seconds() for pause in pauses[:5]] == [10, 20, 40, 60, 60]
    assert pauses[-1] == timedelta(hours=1)
    assert timedelta(hours=24) < asked_at[-1] < timedelta(hours=25, minutes=30)


def test_a_provider_that_fails_is_asked_again(provider):
    order = make_order(make_variant(keys=1))
    provider.knows(make_attempt(order))
    provider.broken = lambda request: httpx.Response(502)

    poll(order.placed_at)
    provider.broken = None
    poll(PaymentAttempt.objects.get().next_query_at)

    order.refresh_from_db()
    assert order.status == "paid"


def test_a_silent_channel_costs_one_time_out_a_run_and_not_one_for_every_buyer(provider):
    variant = make_variant(keys=4)
    dead, alive = make_channel(), make_channel(slug="wxpay", base_url="http://127.0.0.1:10/")
    silent = [make_attempt(make_order(variant), dead) for _ in range(3)]
    healthy = make_attempt(make_order(variant), alive)
    provider.knows(healthy)
    provider.broken = lambda request: httpx.Response(502) if request.url.port == 9 else provider.told(request)

    assert poll(healthy.payment.order.placed_at) == len(silent) + 1

    assert provider.calls == ["/api.php"] * 2
    assert healthy.receipts.exists()


def test_an_answer_nobody_thought_of_does_not_end_the_sweep(provider):
    variant = make_variant(keys=2)
    attempts = [make_attempt(make_order(variant)) for _ in range(2)]
    for attempt in attempts:
        provider.knows(attempt)
    provider.knows(attempts[0], txn="nul\0")

    assert poll(attempts[1].payment.order.placed_at) == 2

    assert attempts[1].receipts.exists()


def test_coming_back_from_the_provider_is_no_way_to_make_the_shop_ask_without_end(provider):
    attempt = make_attempt(make_order(make_variant(keys=1)))
    provider.knows(attempt, paid=False)
    at = attempt.payment.order.placed_at
    for _ in range(30):
        ask_soon(attempt.pk, at)
        poll(at + NOTICE_GOES_FIRST)

    assert len(provider.calls) == EAGER_QUERIES
