"""A balance's statement: what was on it, every entry of some days as it was booked, and what was left."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import Case, CharField, F, Min, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.http import StreamingHttpResponse
from django.utils.timezone import localtime, make_aware
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cardshop.common.csv_files import csv_file, harmless
from cardshop.common.errors import DomainError
from cardshop.common.money import to_text
from payments.models import Balance, BalanceEntry, Refund
from payments.states import EntryKind

MOST_DAYS = 366
COLUMNS = (
    "at",
    "kind",
    "order",
    "reference",
    "reason",
    "amount",
    "balance",
    "amount_minor",
    "balance_minor",
    "currency",
)
OPENING, CLOSING = "opening", "closing"


class NoPeriod(DomainError):
    code = "no_period"
    http_status = 400
    message = gettext_lazy("A statement is of at most 366 days, and its last day is not before its first.")
    field = "to"


@dataclass(frozen=True)
class Period:
    """From the first moment of a day to the last of another, by the clock of the installation. Raises
    NoPeriod.
    """

    first: date
    last: date

    def __post_init__(self) -> None:
        if not timedelta(0) <= self.last - self.first < timedelta(days=MOST_DAYS):
            raise NoPeriod
        if self.last == date.max or self.first <= date.min + timedelta(days=1):
            raise NoPeriod  # nothing was booked then, and no moment of it can be told in UTC

    @property
    def begins(self) -> datetime:
        return make_aware(datetime.combine(self.first, time.min))

    @property
    def ends(self) -> datetime:
        return make_aware(datetime.combine(self.last + timedelta(days=1), time.min))


def statement_rows(
    balance: Balance, period: Period, *, kind_of: Callable[[str], str] = str
) -> Iterator[list[str]]:
    """A row as COLUMNS say for the opening balance, for each entry, and for the closing balance.

    Entries stand as they were booked, so each balance follows from the one before; periods that follow each
    other tell every entry once. At midnight one may be told with the day beside its own: entries that wait
    for the balance's lock have the time at which they began. `kind_of` is how kinds are called.
    """
    of_balance = BalanceEntry.objects.filter(balance=balance)
    since, until = _first_from(of_balance, period.begins), _first_from(of_balance, period.ends)
    before = of_balance if since is None else of_balance.filter(pk__lt=since)
    left = before.order_by("-pk").values_list("after_minor", flat=True).first() or 0

    def row(at: datetime, kind: str, said: list[str], amount_minor: int | None) -> list[str]:
        money = ["", ""] if amount_minor is None else [to_text(amount_minor, currency), str(amount_minor)]
        amount, minor = money
        when = localtime(at).isoformat(sep=" ", timespec="seconds")
        return [when, kind_of(kind), *said, amount, to_text(left, currency), minor, str(left), currency]

    currency = balance.currency
    yield row(period.begins, OPENING, ["", "", ""], None)
    if since is not None:
        within = of_balance.filter(pk__gte=since)
        for entry in _with_orders(within if until is None else within.filter(pk__lt=until)):
            left = entry["after_minor"]
            said = [harmless(entry[name]) for name in ("order_number", "reference", "reason")]
            yield row(entry["at"], entry["kind"], said, entry["amount_minor"])
    yield row(period.ends, CLOSING, ["", "", ""], None)


def statement_in_words(balance: Balance, period: Period) -> StreamingHttpResponse:
    """As a file for people, in the language that they read."""
    headings = [
        _("at"),
        _("kind"),
        _("order"),
        _("our number"),
        _("reason"),
        _("amount"),
        _("balance afterwards"),
        _("amount in minor units"),
        _("balance afterwards, in minor units"),
        _("currency"),
    ]
    kinds = {kind.value: str(kind.label) for kind in EntryKind}
    kinds |= {OPENING: _("opening balance"), CLOSING: _("closing balance")}
    rows = statement_rows(balance, period, kind_of=kinds.__getitem__)
    return csv_file(f"statement-{balance.pk}-{period.first}-{period.last}.csv", headings, rows)


def _first_from(entries: QuerySet[BalanceEntry], moment: datetime) -> int | None:
    """The first that was booked at or after it. Numbers are in the order in which a balance's entries were
    booked, since they are drawn under its lock.
    """
    first: int | None = entries.filter(at__gte=moment).aggregate(first=Min("pk"))["first"]
    return first


def _with_orders(entries: QuerySet[BalanceEntry]) -> Iterator[Any]:
    """As mappings. `order_number` is of the order that was paid for, whose money came back, or which was to
    top the balance up.
    """
    refunded = Refund.objects.filter(out_refund_no=OuterRef("reference")).values("payment__order__number")
    number = Case(
        When(Q(kind=EntryKind.PAYMENT) | Q(kind=EntryKind.CREDIT, reference=F("reason")), then=F("reason")),
        When(~Q(kind=EntryKind.CREDIT), then=Coalesce(Subquery(refunded[:1]), Value(""))),
        default=Value(""),
        output_field=CharField(),
    )
    return entries.annotate(order_number=number).order_by("pk").values().iterator(1000)
