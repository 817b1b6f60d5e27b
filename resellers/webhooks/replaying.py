"""Sending again what was sent, or given up: under the same name, with a whole new series of tries."""

from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet

from cardshop.common.locks import lock_rows
from cardshop.outbox.services import wake
from resellers.events.emitting import SEND
from resellers.models import WebhookDelivery, WebhookEndpoint


@transaction.atomic
def replay(deliveries: QuerySet[WebhookDelivery], *, now: datetime) -> int:
    """Returns how many. What is being sent at this moment is left to that, and so is whose webhook is off."""
    _endpoints, locked = lock_rows(
        WebhookEndpoint.objects.filter(pk__in=deliveries.order_by().values("endpoint")), deliveries
    )
    idle = WebhookDelivery.objects.filter(Q(leased_until=None) | Q(leased_until__lte=now))
    again = idle.filter(pk__in=[delivery.pk for delivery in locked], endpoint__is_active=True)
    count = again.update(
        promised_at=now, next_at=now, leased_until=None, attempts=0, delivered_at=None, gave_up_at=None
    )
    if count:
        transaction.on_commit(lambda: wake(SEND), robust=True)
    return count
