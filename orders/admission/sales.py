"""The terms of a sale: they come with the choice to sell through a line, and a pause is final at once."""

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from cardshop.common.locks import lock_rows
from cardshop.traffic.display_cache import forget_on_commit
from inventory.models import Selling, Stock, Variant
from orders.admission.gate import gates_in_use
from orders.models import Registration, Sale, Ticket, Wave
from orders.models.line import new_secret
from orders.states import TicketStatus

_NEEDS_SERVING = (
    Q(
        variant__selling=Selling.QUEUED,
        variant__is_active=True,
        variant__product__is_listed=True,
        variant__shop__is_open=True,
    )
    | Exists(Ticket.objects.filter(variant=OuterRef("variant"), status=TicketStatus.WAITING))
    | Exists(Wave.objects.filter(sale=OuterRef("pk"), released_at=None, opens_at__isnull=False))
    | Q(registered_let_in=False) & Exists(Registration.objects.filter(sale=OuterRef("pk")))
)


def ensure_sale(variant: Variant) -> Sale:
    """The variant's Sale, on the usual terms if there was none."""
    sale, _created = Sale.objects.get_or_create(variant=variant, defaults={"shop_id": variant.shop_id})
    return sale


def ensure_sales() -> None:
    """Give every variant that is sold through a line its Sale, however the choice was made."""
    for variant in Variant.objects.filter(selling=Selling.QUEUED).exclude(
        pk__in=Sale.objects.values("variant")
    ):
        ensure_sale(variant)


def needs_serving(sale: Sale) -> bool:
    """Whether buyers may come, somebody waits, or a wave or those registered have their time to come."""
    return Sale.objects.filter(_NEEDS_SERVING, pk=sale.pk).exists()


def sales_to_serve(*, isolated: bool) -> list[Sale]:
    """Those that need serving, and those whose gate has yet to be shut: a line that nobody serves lets
    nobody in, and surely not on the terms of last time. Raises redis.RedisError.
    """
    sales = list(Sale.objects.filter(variant__is_isolated=isolated).annotate(is_needed=_NEEDS_SERVING))
    in_use = gates_in_use([sale.variant_id for sale in sales if not sale.is_needed])
    return [sale for sale in sales if sale.is_needed or sale.variant_id in in_use]


def pause_sale(sale: Sale) -> bool:
    """Once this returns nobody gets anything new. False if it was paused already."""
    return _set_paused(sale, True)


def resume_sale(sale: Sale) -> bool:
    """False if it was not paused."""
    return _set_paused(sale, False)


@transaction.atomic
def _set_paused(sale: Sale, is_paused: bool) -> bool:
    """Whoever holds or claims looks at the pause under the Stock's lock; so it is written under it."""
    lock_rows(Stock.objects.filter(variant=sale.variant_id, pool=Stock.PUBLIC))
    forget_on_commit(sale.shop_id)
    rows = Sale.objects.filter(pk=sale.pk, is_paused=not is_paused)
    return rows.update(is_paused=is_paused) == 1


@transaction.atomic
def open_anew(sale: Sale) -> None:
    """Those registered have been let in, and the sale is to open once more: nobody is registered for that.

    Drawn anew, the secret gives everybody another place.
    """
    Registration.objects.filter(sale=sale).delete()
    Sale.objects.filter(pk=sale.pk).update(registered_let_in=False, secret=new_secret())
