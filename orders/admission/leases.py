"""One active allocator per variant; others stand by. Two at once would waste work and harm nothing."""

from datetime import datetime, timedelta

from django.db.models import Q

from orders.models import Sale

LEASE = timedelta(seconds=5)


def hold_lease(sale_id: int, holder: str, *, now: datetime) -> bool:
    """Take or keep the lease until LEASE from `now`; False while another one has it."""
    free = Q(leased_by=holder) | Q(leased_until=None) | Q(leased_until__lte=now)
    return Sale.objects.filter(free, pk=sale_id).update(leased_by=holder, leased_until=now + LEASE) == 1


def give_up_lease(sale_id: int, holder: str) -> None:
    Sale.objects.filter(pk=sale_id, leased_by=holder).update(leased_until=None)
