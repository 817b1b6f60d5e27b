"""Changing what buyers get of a variant: only while nobody counts on it, and nothing of it is for sale."""

from django.db import transaction
from django.db.models import F, Q
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from cardshop.common.locks import lock_rows
from cardshop.traffic.display_cache import forget_on_commit
from inventory.models import Fulfilment, Stock, Variant
from inventory.setting import retire_text
from orders.errors import KindIsFixed
from orders.models import OrderItem, Reservation, Ticket
from orders.states import HoldStatus, ItemStatus, TicketStatus


@transaction.atomic
def change_kind(variant: Variant, to: Fulfilment, *, within_hours: int | None = None) -> None:
    """Change what buyers get; its stock begins with nothing. `within_hours` is the promise, if one is made.

    Whoever claims or adds takes the Stock's lock, so nobody can hold a unit of the kind that was, and no key
    can come in meanwhile, be it the first. Raises KindIsFixed.
    """
    Stock.objects.get_or_create(variant=variant, pool=Stock.PUBLIC, defaults={"shop_id": variant.shop_id})
    lock_rows(Stock.objects.filter(variant=variant))
    if why_not := why_kind_is_fixed(variant):
        raise KindIsFixed(why_not)
    retire_text(variant)
    # What was sold stays counted.
    rows = Stock.objects.filter(variant=variant)
    rows.update(total=F("claimed"), released=F("claimed"), version=F("version") + 1)
    Variant.objects.filter(pk=variant.pk).update(fulfilment=to, fulfil_within_hours=within_hours)
    forget_on_commit(variant.shop_id)


def why_kind_is_fixed(variant: Variant) -> str | Promise:
    """Empty when it may be changed. To be believed only under the Stock's lock."""
    stocks = Stock.objects.filter(variant=variant)
    if stocks.exclude(pool=Stock.PUBLIC).filter(total__gt=F("claimed")).exists():
        return _("Some of it is set aside for a reseller. Take it back first.")
    if stocks.filter(Q(total=None) | Q(total__gt=F("claimed"))).exists():
        return _("There is stock of it. Set its stock to 0, or void its keys, first.")
    if Reservation.objects.filter(stock__in=stocks, status=HoldStatus.HELD).exists():
        return _("It is held for buyers who may still pay.")
    undelivered = OrderItem.objects.filter(
        variant=variant,
        status__in=[ItemStatus.OPEN, ItemStatus.REFUNDING],
        reservations__status=HoldStatus.SOLD,
    )
    if undelivered.exists():
        return _("There are paid orders of it that have not been delivered.")
    if Ticket.objects.filter(variant=variant, status=TicketStatus.WAITING).exists():
        return _("Buyers are waiting in line for it.")
    return ""
