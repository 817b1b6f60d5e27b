"""How much waits to be sent, and for how long, read when somebody asks."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min, Q

from resellers.models import WebhookDelivery


@dataclass(frozen=True)
class Waiting:
    """`open` deliveries, seconds since the oldest was promised, and how `late` the sending is: seconds since
    one was due to a webhook that answers. What is paused is left out.
    """

    open: int = 0
    age: float = 0.0
    late: float = 0.0


def waiting(now: datetime) -> Waiting:
    undone = WebhookDelivery.objects.filter(
        next_at__isnull=False, endpoint__is_active=True, endpoint__paused_at=None
    ).exclude(endpoint__reseller__is_suspended=True)
    answers = Q(endpoint__failures=0)
    said = undone.aggregate(open=Count("pk"), oldest=Min("promised_at"), due=Min("next_at", filter=answers))
    return Waiting(said["open"], _since(said["oldest"], now), _since(said["due"], now))


def _since(moment: datetime | None, now: datetime) -> float:
    return max(0.0, (now - moment).total_seconds()) if moment else 0.0
