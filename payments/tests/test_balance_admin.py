"""The merchant's pages of balances."""

import csv
import re
from io import StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.utils.timezone import localdate

from payments.ledger.entries import balance_of
from payments.models import Balance
from tests.balances import left_on, make_balance
from tests.factories import the_shop
from tests.staff import confirmed, let_code_age, logged_in, make_boss, make_clerk

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/payments/balance/"


@pytest.fixture
def boss():
    the_shop()
    return confirmed(make_boss())


def page_of(balance: Balance) -> str:
    return f"{LIST}{balance.pk}/change/"


def opening(**changes: str) -> dict[str, str]:
    return {
        "shop": str(the_shop().pk),
        "holder": "Lin",
        "contact_email": "lin@example.org",
        "currency": "CNY",
        "amount": "50",
        "reason": "paid in cash",
        "reference": "form-1",
        **changes,
    }


def code_on(page) -> str:
    return re.search(r'id="balance-code">([A-Z0-9-]{23})<', page.content.decode()).group(1)


def test_one_is_opened_and_its_code_is_shown_once(boss):
    assert boss.get(f"{LIST}add/").status_code == 200

    page = boss.post(f"{LIST}add/", opening())

    code = code_on(page)
    assert "no-store" in page["Cache-Control"]
    balance = Balance.objects.get()
    assert balance_of(code, shop_id=the_shop().pk) == balance
    assert (balance.holder, balance.amount_minor, balance.contact_email) == ("Lin", 5000, "lin@example.org")
    entry = balance.entries.get()
    assert (entry.kind, entry.amount_minor, entry.reason, entry.actor) == (
        "credit",
        5000,
        "paid in cash",
        "boss",
    )
    for later in (boss.get(page_of(balance)), boss.get(LIST)):
        assert code not in later.content.decode()
    assert code not in str([session.get_decoded() for session in Session.objects.all()])
    assert "¥50.00: paid in cash" in str(LogEntry.objects.get()) + LogEntry.objects.get().change_message


def test_the_same_form_opens_one(boss):
    boss.post(f"{LIST}add/", opening())

    again = boss.post(f"{LIST}add/", opening())

    assert again.status_code == 302
    assert Balance.objects.count() == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": "0"},
        {"amount": "-5"},
        {"amount": "1.234"},
        {"amount": "9999999999999"},
        {"reason": ""},
        {"holder": ""},
        {"currency": "XXX"},
        {"contact_email": "no"},
    ],
)
def test_what_makes_no_sense_opens_nothing(boss, wrong):
    page = boss.post(f"{LIST}add/", opening(**wrong))

    assert page.status_code == 200
    assert not Balance.objects.exists()


def move(boss, balance: Balance, kind: str, amount: str, reference: str = "form-2") -> str:
    said = {"kind": kind, "amount": amount, "reason": "as agreed", "reference": reference}
    return boss.post(f"{LIST}{balance.pk}/move/", said, follow=True).content.decode()


@pytest.mark.parametrize(
    ("kind", "amount", "left"),
    [
        ("credit", "12.5", 6250),
        ("credit", "-1", 5000),
        ("credit", "x", 5000),
        ("correction", "-50", 0),
        ("correction", "-50.01", 5000),
        ("correction", "1", 5100),
        ("correction", "0", 5000),
        ("correction", "--1", 5000),
    ],
)
def test_paying_in_and_putting_right(boss, kind, amount, left):
    balance, _code = make_balance(5000)

    page = move(boss, balance, kind, amount)

    assert left_on(balance) == left
    assert balance.entries.count() == (1 if left == 5000 else 2)
    assert ("has been booked" in page) == (left != 5000)
    assert LogEntry.objects.count() == (0 if left == 5000 else 1)


def test_the_same_form_books_once(boss):
    balance, _code = make_balance(5000)
    move(boss, balance, "credit", "1")

    assert "booked, before" in move(boss, balance, "credit", "1")
    assert left_on(balance) == 5100


def test_its_page_tells_every_entry_and_corrects_a_name(boss):
    balance, _code = make_balance(5000)
    move(boss, balance, "correction", "-12.34")

    page = boss.get(page_of(balance)).content.decode()
    assert "¥37.66" in page
    assert "-¥12.34" in page
    assert "paid in cash" in page
    boss.post(
        page_of(balance), {"holder": "Wang", "contact_email": "", "amount_minor": "1", "is_frozen": "on"}
    )

    balance.refresh_from_db()
    assert (balance.holder, balance.amount_minor, balance.is_frozen) == ("Wang", 3766, False)
    assert boss.get(f"{LIST}{balance.pk}/delete/").status_code == 403


def test_freezing_and_a_new_code(boss):
    balance, code = make_balance()

    for said, frozen in (("yes", True), ("no", False)):
        boss.post(f"{LIST}{balance.pk}/freeze/", {"frozen": said})
        balance.refresh_from_db()
        assert balance.is_frozen == frozen
    fresh = code_on(boss.post(f"{LIST}{balance.pk}/new-code/"))

    assert fresh != code
    assert balance_of(fresh, shop_id=balance.shop_id) == balance
    assert LogEntry.objects.count() == 3


def test_who_may_only_look_changes_nothing():
    balance, _code = make_balance()
    clerk = logged_in(make_clerk("payments.view_balance"))

    page = clerk.get(page_of(balance))
    assert page.status_code == 200
    assert "move-form" not in page.content.decode()
    assert clerk.get(f"{LIST}add/").status_code == 403
    for what in ("move", "freeze", "new-code"):
        assert clerk.post(f"{LIST}{balance.pk}/{what}/", {"frozen": "yes"}).status_code == 403
    balance.refresh_from_db()
    assert not balance.is_frozen


def test_an_open_session_makes_no_money_and_reads_no_code(boss):
    balance, code = make_balance(5000)
    Balance.objects.update(is_frozen=True)
    let_code_age(boss, 301)

    assert boss.get(f"{LIST}add/").headers["Location"] == f"/admin/confirm/?next={LIST}add/"
    refused = [
        boss.post(f"{LIST}add/", opening()),
        boss.post(
            f"{LIST}{balance.pk}/move/", {"kind": "credit", "amount": "9", "reason": "x", "reference": "r"}
        ),
        boss.post(f"{LIST}{balance.pk}/new-code/"),
        boss.post(f"{LIST}{balance.pk}/freeze/", {"frozen": "no"}),
    ]

    assert [answer.status_code for answer in refused] == [403] * 4
    for answer in refused[1:]:
        assert f"/admin/confirm/?next={page_of(balance)}" in answer.content.decode()
    balance.refresh_from_db()
    assert (balance.amount_minor, balance.is_frozen, Balance.objects.count()) == (5000, True, 1)
    Balance.objects.update(is_frozen=False)
    assert balance_of(code, shop_id=balance.shop_id) == balance


def test_freezing_takes_no_code(boss):
    balance, _code = make_balance()
    let_code_age(boss, 301)

    assert boss.get(page_of(balance)).status_code == 200
    boss.post(f"{LIST}{balance.pk}/freeze/", {"frozen": "yes"})

    balance.refresh_from_db()
    assert balance.is_frozen


def test_a_statement_is_downloaded_with_the_names_that_people_know(boss):
    balance, _code = make_balance(5000, reason="=cash")
    assert 'id="statement-form"' in boss.get(page_of(balance)).content.decode()
    today = localdate().isoformat()

    answer = boss.get(f"{LIST}{balance.pk}/statement.csv", {"from": today, "to": today})

    text = b"".join(answer.streaming_content).decode()
    assert text.startswith("\ufeff")
    _head, opening_row, entry, closing = csv.reader(StringIO(text))
    assert [opening_row[1], entry[1], closing[1]] == ["opening balance", "paid in", "closing balance"]
    assert (entry[4], entry[5], entry[6], closing[6]) == ("'=cash", "50.00", "50.00", "50.00")
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize("days", [{}, {"from": "2026-02-01", "to": "2026-01-01"}, {"from": "x", "to": "y"}])
def test_a_statement_of_no_period_is_refused_on_the_page(boss, days):
    balance, _code = make_balance()

    answer = boss.get(f"{LIST}{balance.pk}/statement.csv", days)

    assert (answer.status_code, answer.url) == (302, page_of(balance))


def test_nobody_who_may_not_see_balances_downloads_one():
    balance, _code = make_balance()
    clerk = logged_in(make_clerk())

    assert clerk.get(f"{LIST}{balance.pk}/statement.csv").status_code == 403
