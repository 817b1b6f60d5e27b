"""Asking for an order: under a key that makes it happen once, at once or in the next batch."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter

from django.db import DEFAULT_DB_ALIAS, OperationalError, transaction

from cardshop.common.errors import DomainError
from cardshop.common.inserts import insert_new
from cardshop.common.locks import lock_rows
from cardshop.outbox.services import promise_all
from inventory.errors import ShortPick
from resellers.errors import KeyReused, NotCancellable
from resellers.events.emitting import emit
from resellers.models import AskedStatus, Event, EventKind, Reseller, ResellerOrder
from resellers.orders.filling import fill
from resellers.orders.together import Together

UNITS_TOGETHER = 2000  # keys handed over in one transaction
ORDERS_TOGETHER = 50  # at once: each has at most a hundred keys
ACCEPTED_TOGETHER = 200
Outcome = ResellerOrder | Exception


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

    What this process is asked for at the same moment goes into the same transaction. Raises KeyReused,
    NotForSale, NotBuyable, NotOnSaleYet, NotOnSaleAnyMore, SoldThroughLine, SalePaused, OutOfStock,
    PriceRose, BalanceTooLow or Suspended, and leaves nothing behind.
    """
    return _ORDERS.do((asked, now))


def _order_all(asked: Sequence[tuple[Asked, datetime]]) -> list[Outcome]:
    now = max(moment for _, moment in asked)
    outcomes: dict[int, Outcome] = {}
    by_shop = sorted(enumerate(one for one, _ in asked), key=lambda each: each[1].reseller.shop_id)
    for _shop, those in groupby(by_shop, key=lambda each: each[1].reseller.shop_id):
        places, together = zip(*those, strict=True)
        outcomes.update(zip(places, _order_of_one_shop(together, now), strict=True))
    return [outcomes[place] for place in range(len(asked))]


def _order_of_one_shop(asked: Sequence[Asked], now: datetime) -> Sequence[Outcome]:
    return _each_or_together(asked, now, _order_and_deliver)


def _order_and_deliver(asked: Sequence[Asked], now: datetime) -> Sequence[Outcome]:
    try:
        return _order_together(asked, now, deliver=True)
    except ShortPick:
        # Other deliveries hold the keys, or some do not open: paid now, and the workers see to the keys.
        return _order_together(asked, now, deliver=False)


def _each_or_together(
    asked: Sequence[Asked], now: datetime, work: Callable[[Sequence[Asked], datetime], Sequence[Outcome]]
) -> Sequence[Outcome]:
    """Together, or else one by one: whatever is odd about one keeps no other from being served. But for the
    database, which is odd to all alike: one by one, they would only wait for it one after the other.
    """
    try:
        return work(asked, now)
    except OperationalError as away:
        return [away] * len(asked)
    except Exception as error:  # noqa: BLE001  the outcome of whoever it is odd about
        if len(asked) == 1:
            return [error]
        return [outcome for one in asked for outcome in _each_or_together([one], now, work)]


@transaction.atomic(durable=True)
def _order_together(asked: Sequence[Asked], now: datetime, *, deliver: bool) -> list[Outcome]:
    rows, new = _enter(asked, now)
    refused = fill(new, now=now, deliver=deliver) if new else {}
    if refused:
        ResellerOrder.objects.filter(pk__in=refused)._raw_delete(using=DEFAULT_DB_ALIAS)
    return [
        KeyReused() if row.request_digest != one.digest else refused.get(row.pk, row)
        for one, row in zip(asked, rows, strict=True)
    ]


def order_later(asked: Asked, *, now: datetime) -> ResellerOrder:
    """Accepted: a worker fills it with the next batch, and whether it could is told as an event.

    What this process accepts at the same moment goes into the same transaction. Raises KeyReused.
    """
    return _ACCEPTED.do((asked, now))


def accept(asked: Sequence[Asked], *, now: datetime) -> Sequence[Outcome]:
    """The same for many: the row of each, or KeyReused, or whatever else went wrong with it."""
    return _each_or_together(asked, now, _accept_together)


def _accept_all(asked: Sequence[tuple[Asked, datetime]]) -> Sequence[Outcome]:
    return accept([one for one, _ in asked], now=max(moment for _, moment in asked))


@transaction.atomic(durable=True)
def _accept_together(asked: Sequence[Asked], now: datetime) -> list[Outcome]:
    rows, new = _enter(asked, now)
    promise_all("resellers.fill_orders", {row.pk: row.reseller.shop_id for row in new}, now=now)
    return [
        row if row.request_digest == one.digest else KeyReused() for one, row in zip(asked, rows, strict=True)
    ]


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


def _enter(asked: Sequence[Asked], now: datetime) -> tuple[list[ResellerOrder], list[ResellerOrder]]:
    """The row of each key, and those of them that are new. A twin elsewhere waits here until the first has
    committed; one beside it gets the same row.
    """
    drafts = [
        ResellerOrder(
            reseller=one.reseller,
            idempotency_key=one.key,
            request_digest=one.digest,
            reference=one.reference,
            lines=list(one.lines),
            most_minor=one.most_minor,
            asked_at=now,
        )
        for one in asked
    ]
    drafts.sort(key=_who_and_which)
    new = insert_new(drafts, unique=["reseller", "idempotency_key"])
    rows = {_who_and_which(row): row for row in new}
    for one in asked:
        key = one.reseller.pk, one.key
        if key not in rows:
            rows[key] = ResellerOrder.objects.select_related("order", "reseller__balance").get(
                reseller=one.reseller, idempotency_key=one.key
            )
    return [rows[one.reseller.pk, one.key] for one in asked], sorted(new, key=lambda row: row.pk)


def _who_and_which(row: ResellerOrder) -> tuple[int, str]:
    return row.reseller_id, row.idempotency_key


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


_ORDERS = Together(_order_all, most=ORDERS_TOGETHER)
_ACCEPTED = Together(_accept_all, most=ACCEPTED_TOGETHER)
