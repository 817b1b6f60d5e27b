"""What was done so long ago that nobody asks any more."""

from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from cardshop.audit.models import AuditEntry
from cardshop.common.retention import Retention, delete


def _done_by(moment: datetime) -> QuerySet[AuditEntry]:
    return AuditEntry.objects.filter(at__lt=moment)


def _forget(entries: QuerySet[Any]) -> int:
    """The trigger lets nobody else, and only until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL cardshop.pruning = 'on'")
    return delete(entries)


RETENTIONS = [Retention("what staff did", "RETAIN_AUDIT_DAYS", _done_by, _forget)]
