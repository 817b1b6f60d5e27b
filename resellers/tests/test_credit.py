"""What an account may owe: set by the merchant, told to its programs, never gone beyond."""

import json
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import IntegrityError, transaction

from cardshop.audit.models import AuditEntry
from cardshop.common.clock import db_now
from payments.errors import CreditInUse, NotEnoughBalance
from payments.ledger.entries import correct, credit, set_credit
from payments.models import Balance
from resellers.models import Reseller
from resellers.tests.calling import API, Program, make_program, make_reseller
from tests.balances import make_balance
from tests.factories import make_variant
from tests.race.racing import broken_invariants
from tests.staff import confirmed, let_code_age, logged_in, make_boss, make_clerk

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]


def make_debtor(money: int = 500, line: int = 1000) -> Reseller:
    reseller = make_reseller()
    if money:
        credit(reseller.balance, amount_minor=money, reason="paid in", actor="boss", now=db_now())
    set_credit(reseller.balance, line)
    return reseller


def buy(program: Program, quantity: int, key: str = "the-key-1") -> Any:
    body = {"lines": [{"variant": "coins", "quantity": quantity}]}
    headers = {"Idempotency-Key": key}
    return program.call(f"{API}orders/", "POST", json.dumps(body).encode(), headers=headers)


def account_of(program: Program) -> tuple[int, int, int]:
    said = program.call(f"{API}account/").json()
    return said["balance_minor"], said["credit_minor"], said["spendable_minor"]


def page_of(balance: Balance) -> str:
    return f"/admin/payments/balance/{balance.pk}/"


def test_an_account_goes_down_to_the_end_of_its_line_and_not_further():
    make_variant(code="coins", keys=20, price_minor=100)
    program = make_program(make_debtor(500, 1000))
    assert account_of(program) == (500, 1000, 1500)

    assert buy(program, 15).status_code == 201
    refused = buy(program, 1, "the-key-2")

    assert account_of(program) == (-1000, 1000, 0)
    said = refused.json()
    assert (refused.status_code, said["code"]) == (409, "not_enough_balance")
    assert (said["needed_minor"], said["balance_minor"], said["spendable_minor"]) == (100, -1000, 0)
    assert broken_invariants() == []


def test_what_is_paid_in_pays_what_is_owed_first():
    make_variant(code="coins", keys=20, price_minor=100)
    reseller = make_debtor(0, 1000)
    program = make_program(reseller)
    buy(program, 10)

    credit(reseller.balance, amount_minor=1300, reason="paid in", actor="boss", now=db_now())

    assert account_of(program) == (300, 1000, 1300)
    assert broken_invariants() == []


def test_a_quote_says_what_would_be_owed_and_what_would_be_missing():
    make_variant(code="coins", keys=20, price_minor=100)
    program = make_program(make_debtor(500, 1000))

    def left(quantity: int) -> tuple[int, int]:
        body = json.dumps({"lines": [{"variant": "coins", "quantity": quantity}]}).encode()
        said = program.call(f"{API}quotes/", "POST", body).json()
        return said["balance_after_minor"], said["spendable_after_minor"]

    assert (left(15), left(16)) == ((-1000, 0), (-1100, -100))


def test_a_correction_goes_no_further_either():
    reseller = make_debtor(500, 1000)
    said = {"reason": "counted twice", "actor": "boss", "now": db_now()}

    correct(reseller.balance, amount_minor=-1400, **said)
    with pytest.raises(NotEnoughBalance, match=r"¥1\.00"):
        correct(reseller.balance, amount_minor=-101, **said)


def test_the_line_is_not_cut_below_what_is_owed():
    reseller = make_debtor(0, 1000)
    correct(reseller.balance, amount_minor=-700, reason="owed before", actor="boss", now=db_now())

    with pytest.raises(CreditInUse, match=r"¥7\.00"):
        set_credit(reseller.balance, 699)

    assert set_credit(reseller.balance, 700) == 1000


def test_a_balance_that_a_code_opens_has_no_credit():
    balance, _code = make_balance(100)

    with pytest.raises(ValueError, match="only an account"):
        set_credit(balance, 1)
    with pytest.raises(IntegrityError, match="balance_credit_of_accounts_only"), transaction.atomic():
        Balance.objects.filter(pk=balance.pk).update(credit_minor=1)


def test_the_database_lets_no_account_beyond_its_line():
    reseller = make_debtor(0, 1000)

    with pytest.raises(IntegrityError, match="balance_within_credit"), transaction.atomic():
        Balance.objects.filter(pk=reseller.balance_id).update(amount_minor=-1001)
    with pytest.raises(IntegrityError, match="balance_credit_of_accounts_only"), transaction.atomic():
        Balance.objects.filter(pk=reseller.balance_id).update(amount_minor=1, credit_minor=-1)


def test_the_merchant_sets_it_and_that_is_written_down():
    reseller = make_debtor(0, 0)
    boss = confirmed(make_boss())
    assert 'id="credit-form"' in boss.get(f"{page_of(reseller.balance)}change/").content.decode()

    answer = boss.post(f"{page_of(reseller.balance)}credit/", {"line-amount": "250.50"})

    reseller.balance.refresh_from_db()
    assert (answer.status_code, reseller.balance.credit_minor) == (302, 25050)
    assert "¥0.00 → ¥250.50" in LogEntry.objects.latest("pk").change_message
    noted = AuditEntry.objects.filter(of="payments.balance", of_id=str(reseller.balance_id)).latest("pk")
    assert "¥250.50" in noted.said
    assert "¥250.50" in boss.get(f"/admin/resellers/reseller/{reseller.pk}/change/").content.decode()


@pytest.mark.parametrize("amount", ["", "-1", "x", "1.001", "99999999999999"])
def test_a_line_that_is_no_amount_is_refused_on_the_page(amount):
    reseller = make_debtor(0, 1000)

    confirmed(make_boss()).post(f"{page_of(reseller.balance)}credit/", {"line-amount": amount})

    reseller.balance.refresh_from_db()
    assert reseller.balance.credit_minor == 1000


def test_a_line_below_what_is_owed_is_refused_on_the_page():
    reseller = make_debtor(0, 1000)
    correct(reseller.balance, amount_minor=-700, reason="owed before", actor="boss", now=db_now())
    boss = confirmed(make_boss())

    page = boss.post(f"{page_of(reseller.balance)}credit/", {"line-amount": "6.99"}, follow=True)

    assert "¥7.00 of it is owed already" in page.content.decode()
    reseller.balance.refresh_from_db()
    assert reseller.balance.credit_minor == 1000


def test_it_takes_a_fresh_code_the_right_and_an_account():
    reseller, (with_code, _code) = make_debtor(0, 0), make_balance(100)
    boss = confirmed(make_boss())
    assert boss.post(f"{page_of(with_code)}credit/", {"line-amount": "1"}).status_code == 404
    assert 'id="credit-form"' not in boss.get(f"{page_of(with_code)}change/").content.decode()
    clerk = logged_in(make_clerk("payments.view_balance"))
    assert clerk.post(f"{page_of(reseller.balance)}credit/", {"line-amount": "1"}).status_code == 403
    let_code_age(boss, 301)

    assert boss.post(f"{page_of(reseller.balance)}credit/", {"line-amount": "1"}).status_code == 403
    reseller.balance.refresh_from_db()
    assert reseller.balance.credit_minor == 0
