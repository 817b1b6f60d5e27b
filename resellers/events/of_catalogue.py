"""Looks how stock and prices are, and tells what is no longer as it was told last."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet, Value
from django.db.models.functions import Coalesce

from cardshop.shops.models import Shop
from inventory.models import Stock
from resellers.events.emitting import emit
from resellers.models import Event, EventKind, Reseller, Told, WebhookEndpoint

_RISING = [Told.Level.OUT, Told.Level.LOW, Told.Level.PLENTY]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Of one variant, how it is, and what was told of it before: an empty level where nothing was. `free` is
    None where there is no limit.
    """

    shop_id: int
    variant_id: int
    code: str
    currency: str
    price_minor: int
    free: int | None
    low_at: int | None
    told_price_minor: int
    told_level: str

    @property
    def level(self) -> Told.Level:
        if self.free is None:
            return Told.Level.PLENTY
        if self.free <= 0:
            return Told.Level.OUT
        is_low = self.low_at is not None and self.free <= self.low_at
        return Told.Level.LOW if is_low else Told.Level.PLENTY


def tell_changes(now: datetime) -> int:
    """Returns of how many variants something was told. Has twins: each change is told by one of them.

    Of what is seen for the first time nothing is told. Only where somebody may hear of it.
    """
    told, new = 0, []
    for seen in _look():
        if not seen.told_level:
            new.append(Told(variant_id=seen.variant_id, price_minor=seen.price_minor, level=seen.level))
        elif (seen.price_minor, seen.level) != (seen.told_price_minor, seen.told_level):
            told += _tell(seen, now)
    Told.objects.bulk_create(new, ignore_conflicts=True)
    return told


def _look() -> Iterator[Seen]:
    """What is and what was told are read in one statement: nobody takes what a twin has told for older."""
    offered = Stock.objects.filter(
        shop__in=_shops_in_which_somebody_hears(),
        pool=Stock.PUBLIC,
        variant__is_active=True,
        variant__product__is_listed=True,
    ).annotate(
        told_price_minor=Coalesce("variant__told__price_minor", 0),
        told_level=Coalesce("variant__told__level", Value("")),
    )
    for stock in offered.select_related("variant").order_by("variant"):
        variant = stock.variant
        yield Seen(
            shop_id=stock.shop_id,
            variant_id=variant.pk,
            code=variant.code,
            currency=variant.currency,
            price_minor=variant.price_minor,
            free=None if stock.released is None else stock.released - stock.claimed,
            low_at=variant.low_stock_at,
            told_price_minor=stock.told_price_minor,
            told_level=stock.told_level,
        )


def _shops_in_which_somebody_hears() -> QuerySet[Shop]:
    listening = WebhookEndpoint.objects.filter(is_active=True).values("shop")
    return Shop.objects.filter(pk__in=listening.union(Reseller.objects.values("shop")))


@transaction.atomic(durable=True)
def _tell(seen: Seen, now: datetime) -> bool:
    """False where a twin has told it."""
    before = Told.objects.filter(
        variant=seen.variant_id, price_minor=seen.told_price_minor, level=seen.told_level
    )
    won = before.update(price_minor=seen.price_minor, level=seen.level) == 1
    if won:
        emit(list(_events(seen, now)), now=now)
    return won


def _events(seen: Seen, now: datetime) -> Iterator[Event]:
    if seen.level != seen.told_level:
        has_risen = _RISING.index(seen.level) > _RISING.index(Told.Level(seen.told_level))
        kind = EventKind.STOCK_BACK if has_risen else EventKind.STOCK_LOW
        yield _event(seen, kind, now, level=seen.level, available=seen.free)
    if seen.price_minor != seen.told_price_minor:
        prices = {"price_minor": seen.price_minor, "before_minor": seen.told_price_minor}
        yield _event(seen, EventKind.PRICE, now, currency=seen.currency, **prices)


def _event(seen: Seen, kind: EventKind, now: datetime, **said: object) -> Event:
    data = {"variant": seen.code, **said}
    return Event(shop_id=seen.shop_id, kind=kind, subject=seen.code, data=data, at=now)
