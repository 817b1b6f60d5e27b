"""Events, answers and log-ins of long ago, what became of telling, and webhooks that nothing speaks of."""

from datetime import datetime

from django.db.models import Exists, OuterRef, QuerySet

from cardshop.common.retention import Retention, delete
from resellers.models import Event, IdempotentWrite, LogIn, MemberSession, WebhookDelivery, WebhookEndpoint


def _deliveries(moment: datetime) -> QuerySet[WebhookDelivery]:
    return WebhookDelivery.objects.filter(event__at__lt=moment)


def _events(moment: datetime) -> QuerySet[Event]:
    return Event.objects.filter(~Exists(WebhookDelivery.objects.filter(event=OuterRef("pk"))), at__lt=moment)


def _webhooks(moment: datetime) -> QuerySet[WebhookEndpoint]:
    """By then no order that moved when it was removed can promise it anything."""
    spoken_of = WebhookDelivery.objects.filter(endpoint=OuterRef("pk"))
    return WebhookEndpoint.objects.filter(~Exists(spoken_of), removed_at__lt=moment)


def _answers(moment: datetime) -> QuerySet[IdempotentWrite]:
    """By then their programs ask no more whether they were heard."""
    return IdempotentWrite.objects.filter(at__lt=moment)


def _log_ins(moment: datetime) -> QuerySet[LogIn]:
    return LogIn.objects.filter(asked_at__lt=moment)


def _sessions(moment: datetime) -> QuerySet[MemberSession]:
    return MemberSession.objects.filter(confirmed_at__lt=moment)


# In this order: a delivery refers to both of the others.
RETENTIONS = [
    Retention("deliveries to webhooks", "RETAIN_EVENTS_DAYS", _deliveries, delete),
    Retention("events", "RETAIN_EVENTS_DAYS", _events, delete),
    Retention("removed webhooks", "RETAIN_EVENTS_DAYS", _webhooks, delete),
    Retention("answers to programs", "RETAIN_OUTBOX_DAYS", _answers, delete),
    Retention("log-ins of resellers' members", "RETAIN_LOG_INS_DAYS", _log_ins, delete),
    Retention("sessions of resellers' members", "RETAIN_LOG_INS_DAYS", _sessions, delete),
]
