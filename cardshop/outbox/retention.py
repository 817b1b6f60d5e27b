"""Promises that were kept long ago."""

from datetime import datetime

from django.db.models import QuerySet

from cardshop.common.retention import Retention, delete
from cardshop.outbox.models import OutboxMessage


def _kept_by(moment: datetime) -> QuerySet[OutboxMessage]:
    return OutboxMessage.objects.filter(done_at__lt=moment)


RETENTIONS = [Retention("promises that were kept", "RETAIN_OUTBOX_DAYS", _kept_by, delete)]
