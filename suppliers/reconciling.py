"""Whether the ledgers of suppliers and our books of what was bought there agree."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Min, Q, QuerySet, Sum

from orders.states import ItemStatus
from suppliers.drivers import upstream_of
from suppliers.drivers.base import Entry, NotNow, Unclear
from suppliers.models import Supplier, SupplierEntry, SupplierOrder, SupplyStatus
from suppliers.saying import AND_MORE, GIVEN_BACK, NOT_GIVEN_BACK, NOT_OURS, PAID_OTHERWISE

EVERY = timedelta(hours=24)
PAYMENT, REFUND = "payment", "refund"
MOST_TOLD = 20


def reconcile_due(*, clock: Callable[[], datetime]) -> None:
    """Each enabled supplier once in EVERY. Who does not answer is asked at the next turn."""
    due = Q(compared_at=None) | Q(compared_at__lte=clock() - EVERY)
    for supplier in Supplier.objects.filter(due, is_enabled=True).order_by("pk"):
        try:
            reconcile(supplier, clock=clock)
        except (NotNow, Unclear) as error:
            Supplier.objects.filter(pk=supplier.pk).update(last_error=str(error)[:200])


def reconcile(supplier: Supplier, *, clock: Callable[[], datetime]) -> list[str]:
    """Read on in its ledger, and note where it differs from our books. Raises NotNow, Unclear."""
    began = clock()
    _read_on(supplier)
    found = list(_differences(supplier, before=began))
    told = found[:MOST_TOLD]
    if more := len(found) - len(told):
        told.append(AND_MORE % {"count": more})
    Supplier.objects.filter(pk=supplier.pk).update(compared_at=began, differences="\n".join(told))
    return found


def _read_on(supplier: Supplier) -> None:
    """An entry that is read twice is written once."""
    for entries, behind in upstream_of(supplier).entries(supplier.entries_after):
        with transaction.atomic(durable=True):
            SupplierEntry.objects.bulk_create(
                (_kept(supplier, entry) for entry in entries if entry.kind in (PAYMENT, REFUND)),
                ignore_conflicts=True,
            )
            Supplier.objects.filter(pk=supplier.pk).update(entries_after=behind)


def _kept(supplier: Supplier, entry: Entry) -> SupplierEntry:
    return SupplierEntry(
        supplier=supplier,
        number=entry.number,
        kind=entry.kind,
        amount_minor=entry.amount_minor,
        their_number=entry.order_number[:120],
        at=entry.at,
    )


def _differences(supplier: Supplier, *, before: datetime) -> Iterator[str]:
    """Of what was asked for `before` the ledger was read."""
    paid, returned = _sums(supplier, PAYMENT), _sums(supplier, REFUND)
    rows = SupplierOrder.objects.filter(supplier=supplier).exclude(their_number="")
    known = set(rows.values_list("their_number", flat=True))
    not_filled_yet = Q(status=SupplyStatus.ASKED, cost_minor=None)
    for row in rows.filter(asked_at__lt=before).exclude(not_filled_yet).select_related("item").order_by("pk"):
        there, back = -paid.get(row.their_number, 0), returned.get(row.their_number, 0)
        name = f"{row.reference} ({row.their_number})"
        if there != (row.cost_minor or 0):
            yield PAID_OTHERWISE % {"order": name, "ours": row.cost_minor or 0, "theirs": there}
        if row.status == SupplyStatus.FAILED and back != there:
            yield NOT_GIVEN_BACK % {"order": name, "theirs": there, "back": back}
        if row.status == SupplyStatus.FILLED and back and row.item.status == ItemStatus.DELIVERED:
            yield GIVEN_BACK % {"order": name, "back": back}
    for number in sorted(_unknown(supplier, known)):
        yield NOT_OURS % {"order": number, "theirs": -paid[number]}


def _unknown(supplier: Supplier, known: set[str]) -> set[str]:
    """Orders that nobody here has asked for. What was sent and not answered may still turn out to be one."""
    payments = _since(supplier).filter(kind=PAYMENT)
    unanswered = SupplierOrder.objects.filter(supplier=supplier, unanswered_at__isnull=False)
    if oldest := unanswered.aggregate(oldest=Min("made_at"))["oldest"]:
        payments = payments.filter(at__lt=oldest)
    return set(payments.values_list("their_number", flat=True)) - known


def _sums(supplier: Supplier, kind: str) -> dict[str, int]:
    """By their number of the order."""
    entries = _since(supplier).filter(kind=kind).order_by()
    return dict(entries.values_list("their_number").annotate(Sum("amount_minor")))


def _since(supplier: Supplier) -> QuerySet[SupplierEntry]:
    """What the account did before is no business of ours."""
    return SupplierEntry.objects.filter(supplier=supplier, at__gte=supplier.since)
