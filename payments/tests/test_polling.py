"""Nothing depends on a notice arriving."""

from datetime import timedelta
from itertools import pairwise

import httpx
import pytest

from payments.models import PaymentAttempt
from payments.services.polling import poll_due_attempts
from tests.factories import make_attempt, make_order, make_variant

pytestmark = pytest.mark.django_db(transaction=True)


def poll(at):
    return poll_due_attempts(clock=lambda: at)


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
