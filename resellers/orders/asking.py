"""Asking for an order: under a key that makes it happen once, at once or in the next batch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter

from django.db import transaction

from cardshop.common.errors import DomainError
from cardshop.common.inserts import insert_new
from cardshop.common.locks import lock_rows
from cardshop.outbox.services import promise
from inventory.errors import ShortPick
from resellers.errors import KeyReused, NotCancellable
from resellers.events.emitting import emit
from resellers.models import AskedStatus, Event, EventKind, Reseller, ResellerOrder
from resellers.orders.filling import fill

UNITS_TOGETHER = 2000  # keys handed over in one transaction


@dataclass(frozen=True, kw_only=True)
class Asked:
    """`lines` have a variant's code and a quantity each, every variant once. `digest` is of all of it."""

    reseller: Reseller
    key: str
    digest: str
    lines: Sequence[Mapping[str, object]]
    reference: str = ""
    most_minor: int | None = None


def order_now(asked: Asked, *, now: datetime) -> ResellerOrder:
    """The order, paid and with its keys, in one transaction; the same one however often it is asked for.

    Raises KeyReused, NotForSale, NotBuyable, NotOnSaleYet, NotOnSaleAnyMore, SoldThroughLine, SalePaused,
    OutOfStock, PriceRose or BalanceTooLow, and leaves nothing behind.
    """
    try:
        return _order_now(asked, now, deliver=True)
    except ShortPick:
        # Other deliveries hold the keys, or some do not open: paid now, and the workers see to the keys.
        return _order_now(asked, now, deliver=False)


@transaction.atomic(durable=True)
def _order_now(asked: Asked, now: datetime, *, deliver: bool) -> ResellerOrder:
    one, is_new = _enter(asked, now)
    if is_new and (refused := fill([one], now=now, deliver=deliver)):
        raise refused[one.pk]
    return one


@transaction.atomic(durable=True)
def order_later(asked: Asked, *, now: datetime) -> ResellerOrder:
    """Accepted: a worker fills it with the next batch, and whether it could is told as an event.

    Raises KeyReused.
    """
    one, is_new = _enter(asked, now)
    if is_new:
        promise("resellers.fill_orders", [one.pk], shop_id=asked.reseller.shop_id, now=now)
    return one


def fill_accepted(ids: Sequence[int], now: datetime) -> None:
    """Fill what was accepted, in the order in which it was; what could not be is refused, with the reason."""
    for together in _batches(ids):
        try:
            _fill_accepted(together, now, deliver=True)
        except ShortPick:
            _fill_accepted(together, now, deliver=False)


def _batches(ids: Sequence[int]) -> Iterator[list[int]]:
    """Of one shop each, and with so few keys that nobody waits long for the locks."""
    asked = ResellerOrder.objects.filter(pk__in=ids, status=AskedStatus.ACCEPTED)
    by_shop = asked.order_by("reseller__shop", "pk").values_list("reseller__shop", "pk", "lines")
    for _shop, those in groupby(by_shop, key=itemgetter(0)):
        batch: list[int] = []
        units = 0
        for _, pk, lines in those:
            batch.append(pk)
            units += sum(line["quantity"] for line in lines)
            if units >= UNITS_TOGETHER:
                yield batch
                batch, units = [], 0
        if batch:
            yield batch


@transaction.atomic(durable=True)
def _fill_accepted(ids: Sequence[int], now: datetime, *, deliver: bool) -> None:
    accepted = ResellerOrder.objects.filter(pk__in=ids, status=AskedStatus.ACCEPTED)
    (locked,) = lock_rows(accepted.select_related("reseller__balance", "reseller__shop"))
    if not locked:
        return
    refused = fill(locked, now=now, deliver=deliver)
    for one in locked:
        if no := refused.get(one.pk):
            one.status, one.problem, one.ended_at = AskedStatus.REFUSED, _told(no), now
    in_vain = [one for one in locked if one.pk in refused]
    ResellerOrder.objects.bulk_update(in_vain, ["status", "problem", "ended_at"])
    emit([_event(EventKind.REFUSED, one, now) for one in in_vain], now=now)


@transaction.atomic(durable=True)
def cancel(one: ResellerOrder, *, now: datetime) -> ResellerOrder:
    """While nobody has filled it. Cancelled already is no error. Raises NotCancellable."""
    locked: ResellerOrder
    ((locked,),) = lock_rows(ResellerOrder.objects.filter(pk=one.pk).select_related("reseller__balance"))
    if locked.status == AskedStatus.ACCEPTED:
        locked.status, locked.ended_at = AskedStatus.CANCELLED, now
        locked.save(update_fields=["status", "ended_at"])
        emit([_event(EventKind.CANCELLED, locked, now)], now=now)
    if locked.status != AskedStatus.CANCELLED:
        raise NotCancellable
    return locked


def _enter(asked: Asked, now: datetime) -> tuple[ResellerOrder, bool]:
    """The row of this key, and whether it is new. A twin waits here until the first has committed.

    Raises KeyReused.
    """
    draft = ResellerOrder(
        reseller=asked.reseller,
        idempotency_key=asked.key,
        request_digest=asked.digest,
        reference=asked.reference,
        lines=list(asked.lines),
        most_minor=asked.most_minor,
        asked_at=now,
    )
    if insert_new([draft], unique=["reseller", "idempotency_key"]):
        return draft, True
    before = ResellerOrder.objects.select_related("order").get(
        reseller=asked.reseller, idempotency_key=asked.key
    )
    if before.request_digest != asked.digest:
        raise KeyReused
    return before, False


def _event(kind: str, one: ResellerOrder, now: datetime) -> Event:
    """Of what never became an order."""
    return Event(
        shop_id=one.reseller.shop_id,
        reseller_id=one.reseller_id,
        kind=kind,
        subject=one.number,
        data={"order": one.number, "status": one.status, "reference": one.reference, **one.problem},
        at=now,
    )


def _told(no: DomainError) -> dict[str, object]:
    return {"code": no.code, **no.extra}
