"""Events are forgotten after a month, with what became of telling them, and how much still waits is told."""

from datetime import timedelta

import pytest

from cardshop.common.clock import db_now
from resellers.models import Event, WebhookDelivery, WebhookEndpoint
from resellers.retention import RETENTIONS
from resellers.tests.receiving import make_webhook, tell
from resellers.webhooks.endpoints import remove
from resellers.webhooks.standing import Waiting, waiting

pytestmark = pytest.mark.django_db(transaction=True)


def prune() -> dict[str, int]:
    """What is forgotten of what was over a month ago, by rule."""
    moment = db_now() - timedelta(days=30)
    of_events = [rule for rule in RETENTIONS if rule.setting == "RETAIN_EVENTS_DAYS"]
    return {rule.name: rule.forget(rule.find(moment)) for rule in of_events}


def test_what_is_old_is_forgotten_and_a_removed_webhook_with_the_last_of_it():
    gone, _secret = make_webhook("https://a.example/")
    stays, _secret = make_webhook("https://b.example/")
    tell(gone, "old")
    Event.objects.update(at=db_now() - timedelta(days=31))
    tell(stays, "new")
    remove(gone, now=db_now())
    WebhookEndpoint.objects.filter(pk=gone.pk).update(removed_at=db_now() - timedelta(days=31))

    forgotten = prune()

    assert forgotten == {"deliveries to webhooks": 2, "events": 1, "removed webhooks": 0}
    assert list(Event.objects.values_list("subject", flat=True)) == ["new"]
    assert WebhookEndpoint.objects.count() == 2  # it was told of the younger one
    WebhookDelivery.objects.filter(endpoint=gone).delete()
    assert prune() == {"deliveries to webhooks": 0, "events": 0, "removed webhooks": 1}


def test_how_late_the_sending_is_does_not_count_who_does_not_answer():
    now = db_now()
    assert waiting(now) == Waiting()
    failing, _secret = make_webhook("https://a.example/", kinds=["order.paid"])
    WebhookEndpoint.objects.update(failures=1)
    tell(failing, "C1")
    WebhookDelivery.objects.update(promised_at=now - timedelta(hours=1), next_at=now - timedelta(minutes=9))
    assert waiting(now) == Waiting(open=1, age=3600.0, late=0.0)

    WebhookEndpoint.objects.update(failures=0)
    assert waiting(now) == Waiting(open=1, age=3600.0, late=540.0)
    WebhookEndpoint.objects.update(paused_at=now)
    assert waiting(now) == Waiting()
