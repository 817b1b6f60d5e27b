"""A statement of the account: what was on it, what happened, what is left."""

import csv
from datetime import datetime, timedelta
from io import StringIO
from zoneinfo import ZoneInfo

import pytest

from cardshop.common.clock import db_now
from payments.ledger.entries import correct, credit
from payments.models import BalanceEntry
from payments.services.refunds import request_refund
from payments.tasks import send_refunds
from resellers.models import Reseller, Scope
from resellers.orders.asking import Asked, order_now
from resellers.tests.calling import API, make_program, make_reseller
from tests.factories import make_variant

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]
STATEMENT = f"{API}account/statement.csv"
JUNE = "?from=2026-06-01&to=2026-06-30"


def at(day: int, month: int = 6, hour: int = 12) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=ZoneInfo("Asia/Shanghai"))


def book(reseller: Reseller, amount_minor: int, when: datetime, reason: str = "paid in") -> None:
    said = {"amount_minor": amount_minor, "reason": reason, "actor": "boss", "now": when}
    (credit if amount_minor > 0 else correct)(reseller.balance, **said)


def rows_of(answer) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(b"".join(answer.streaming_content).decode())))


def told(rows: list[dict[str, str]]) -> list[tuple[str, ...]]:
    return [(row["at"][:10], row["kind"], row["amount"], row["balance"]) for row in rows]


def test_it_begins_with_what_there_was_and_ends_with_what_is_left():
    reseller, other = make_reseller(), make_reseller("Other")
    book(other, 77, at(2))
    book(reseller, 100_000, at(31, month=5, hour=23))
    book(reseller, 990, at(1, hour=0))
    book(reseller, -5, at(30, hour=23))
    book(reseller, 1, at(1, month=7, hour=0))

    answer = make_program(reseller).call(f"{STATEMENT}{JUNE}")

    assert (answer.status_code, answer["Content-Type"]) == (200, "text/csv; charset=utf-8")
    rows = rows_of(answer)
    assert told(rows) == [
        ("2026-06-01", "opening", "", "1000.00"),
        ("2026-06-01", "credit", "9.90", "1009.90"),
        ("2026-06-30", "correction", "-0.05", "1009.85"),
        ("2026-07-01", "closing", "", "1009.85"),
    ]
    assert [(row["amount_minor"], row["balance_minor"]) for row in rows[1:3]] == [
        ("990", "100990"),
        ("-5", "100985"),
    ]
    assert {row["currency"] for row in rows} == {"CNY"}


def test_periods_that_follow_each_other_tell_every_entry_once_whenever_it_began():
    """The second was asked for before midnight, and booked after one that was asked for later."""
    reseller = make_reseller()
    book(reseller, 100, at(1, month=7, hour=0))
    book(reseller, 10, at(30, hour=23))
    program = make_program(reseller)

    june = rows_of(program.call(f"{STATEMENT}{JUNE}"))
    july = rows_of(program.call(f"{STATEMENT}?from=2026-07-01&to=2026-07-31"))

    assert [row["balance"] for row in june] == ["0.00", "0.00"]
    assert [row["balance"] for row in july] == ["0.00", "1.00", "1.10", "1.10"]


def test_what_was_paid_and_what_came_back_name_the_order():
    reseller, variant = make_reseller(), make_variant(keys=1)
    book(reseller, 5000, db_now())
    lines = [{"variant": variant.code, "quantity": 1}]
    fresh = Reseller.objects.select_related("balance", "shop").get(pk=reseller.pk)
    one = order_now(Asked(reseller=fresh, key="the-key-1", digest="0", lines=lines), now=db_now())
    receipt = one.order.payment.attempts.get().receipts.get()
    request_refund(receipt, amount_minor=400, reason="half a day late", actor="boss", now=db_now())
    send_refunds()
    today = f"{at(1):%Y-%m-%d}", (db_now() + timedelta(days=1)).date().isoformat()

    rows = rows_of(make_program(reseller).call(f"{STATEMENT}?from={today[0]}&to={today[1]}"))

    assert [(row["kind"], row["order"], row["amount"]) for row in rows[2:-1]] == [
        ("payment", one.number, "-9.90"),
        ("refund", one.number, "4.00"),
    ]
    references = list(BalanceEntry.objects.order_by("pk").values_list("reference", flat=True))
    assert [row["reference"] for row in rows[1:-1]] == references


@pytest.mark.parametrize("reason", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_no_entry_is_a_formula_to_a_spreadsheet(reason):
    reseller = make_reseller()
    book(reseller, 100, at(2), reason)

    rows = rows_of(make_program(reseller).call(f"{STATEMENT}{JUNE}"))

    assert rows[1]["reason"] == f"'{reason}"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "from"),
        ("?from=2026-06-01", "to"),
        ("?from=2026-02-30&to=2026-06-30", "from"),
        ("?from=2026-06-02&to=2026-06-01", "to"),
        ("?from=2025-06-01&to=2026-06-02", "to"),
        ("?from=0001-01-01&to=0001-01-02", "to"),
        ("?from=9999-12-31&to=9999-12-31", "to"),
        (f"{JUNE}&surprise=1", "surprise"),
    ],
)
@pytest.mark.parametrize("accept", ["*/*", "text/csv"])
def test_a_period_that_cannot_be_is_refused(query, field, accept):
    answer = make_program().call(f"{STATEMENT}{query}", headers={"Accept": accept})

    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert field in answer.json()["fields"]


def test_a_whole_leap_year_is_told():
    answer = make_program().call(f"{STATEMENT}?from=2024-01-01&to=2024-12-31", headers={"Accept": "text/csv"})

    assert [row["kind"] for row in rows_of(answer)] == ["opening", "closing"]


def test_it_takes_the_right_to_see_the_balance():
    answer = make_program(scopes=[Scope.ORDERS]).call(f"{STATEMENT}{JUNE}")

    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
