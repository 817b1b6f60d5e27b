"""Topping an account up: asked for by program or by the merchant, paid by anybody, credited once."""

import json
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import localdate

from cardshop.audit.models import AuditEntry
from cardshop.common.clock import db_now
from orders.models import Order
from orders.services.delivery import deliver_orders
from orders.tasks import deliver
from payments.ledger.entries import set_frozen
from payments.models import Balance, BalanceEntry, PaymentAttempt, Receipt, TopUp
from payments.services.topping_up import MOST_UNPAID
from payments.tasks import apply_notices, close_due_orders, credit_accounts, finish_closing, settle_receipts
from payments.tests.providers import Provider
from resellers.models import Reseller, Scope
from resellers.tests.calling import API, Program, make_program, make_reseller
from tests.balances import balance_channel, make_balance
from tests.factories import make_channel, notice_query
from tests.race.racing import broken_invariants
from tests.staff import confirmed, logged_in, make_boss, make_clerk

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]
TOP_UPS = f"{API}account/top-ups/"


def ask(program: Program, amount_minor: Any = 50_000, key: str = "the-key-1") -> Any:
    body = json.dumps({"amount_minor": amount_minor}).encode()
    return program.call(TOP_UPS, "POST", body, headers={"Idempotency-Key": key})


def path_of(said: dict[str, Any]) -> str:
    return "/o/" + said["url"].partition("/o/")[2]


def begin_to_pay(said: dict[str, Any]) -> PaymentAttempt:
    """As whoever has the link does on its page."""
    away = Client(headers={"host": "demo.localhost"}).post(f"{path_of(said)}pay/", {"method": "alipay"})
    assert away.status_code == 303, away.content
    return PaymentAttempt.objects.get(payment__order__number=said["number"])


def notify(attempt: PaymentAttempt) -> None:
    """The provider's signed notice, and what the workers do with it."""
    answer = Client(headers={"host": "demo.localhost"}).get(f"/pay/notify/alipay/?{notice_query(attempt)}")
    assert answer.content == b"success"
    work()


def work() -> None:
    apply_notices()
    settle_receipts()
    credit_accounts()
    deliver()


def page_at(said: dict[str, Any]) -> str:
    page = Client(headers={"host": "demo.localhost", "accept-language": "en"}).get(f"/en{path_of(said)}")
    assert page.status_code == 200
    return page.content.decode()


def left_on(reseller: Reseller) -> int:
    return Balance.objects.get(pk=reseller.balance_id).amount_minor


@pytest.fixture(autouse=True)
def _books_balance():
    yield
    assert broken_invariants() == []


def test_it_is_paid_at_its_page_and_credited_once_however_often_the_notice_comes(provider: Provider):
    reseller, _channel = make_reseller(), make_channel()
    program = make_program(reseller)

    asked = ask(program)
    said = asked.json()
    assert (asked.status_code, said["status"], said["amount_minor"], said["credited_at"]) == (
        201,
        "open",
        50_000,
        None,
    )
    assert "Waiting for your payment" in page_at(said)
    attempt = begin_to_pay(said)
    provider.knows(attempt)
    for _ in range(3):
        notify(attempt)

    told = program.call(f"{TOP_UPS}{said['number']}/").json()
    assert (told["status"], told["credited_at"] is None) == ("credited", False)
    assert program.call(TOP_UPS).json() == {"top_ups": [told], "next": None}
    assert left_on(reseller) == 50_000
    entry = BalanceEntry.objects.get()
    assert (entry.kind, entry.amount_minor, entry.reference) == ("credit", 50_000, said["number"])
    page = page_at(said)
    assert "The account has been credited" in page
    assert "Your keys" not in page
    today = localdate().isoformat()
    rows = b"".join(
        program.call(f"{API}account/statement.csv?from={today}&to={today}").streaming_content
    ).decode()
    assert f",credit,{said['number']},{said['number']}," in rows


def test_the_same_key_is_the_same_top_up_and_another_amount_is_refused():
    reseller, other = make_reseller(), make_reseller("Other")
    program = make_program(reseller)

    first, again = ask(program), ask(program)
    another = ask(program, 60_000)

    assert first.json() == again.json()
    assert (another.status_code, another.json()["code"]) == (422, "idempotency_key_reused")
    theirs = ask(make_program(other)).json()
    assert theirs["number"] != first.json()["number"]
    assert program.call(f"{TOP_UPS}{theirs['number']}/").status_code == 404
    assert TopUp.objects.count() == 2


@pytest.mark.parametrize("amount", [99, 0, -1, 10**12 + 1, "x", 1.5, None])
def test_an_amount_out_of_range_is_refused(amount):
    answer = ask(make_program(), amount)

    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == ["amount_minor"]
    assert not Order.objects.exists()


def test_one_unit_and_the_most_of_all_may_be_asked_for():
    program = make_program()

    assert [ask(program, amount, f"key-number-{amount}").status_code for amount in (100, 10**12)] == [201] * 2


def test_it_takes_a_key_that_may_buy_and_an_idempotency_key():
    reseller = make_reseller()
    reading = make_program(reseller, scopes=[Scope.BALANCE])

    assert ask(reading).json()["code"] == "scope_missing"
    assert reading.call(TOP_UPS).status_code == 200
    missing = make_program(reseller).call(TOP_UPS, "POST", b'{"amount_minor": 100}')
    assert missing.json()["code"] == "idempotency_key_missing"


def test_so_many_at_most_wait_to_be_paid():
    reseller = make_reseller()
    program = make_program(reseller)
    for number in range(MOST_UNPAID):
        assert ask(program, key=f"key-number-{number}").status_code == 201

    assert ask(program, key="one-too-many").json()["code"] == "too_many_unpaid"
    assert ask(program, key="key-number-0").status_code == 201  # that one is there already
    there = path_of(ask(program, key="key-number-0").json())
    Client(headers={"host": "demo.localhost"}).post(f"{there}cancel/")
    finish_closing()
    assert ask(program, key="one-too-many").status_code == 201


def test_none_is_made_for_a_frozen_account():
    reseller = make_reseller()
    set_frozen(reseller.balance, True)

    assert ask(make_program(reseller)).json()["code"] == "suspended"


def test_money_that_comes_late_is_credited_all_the_same(provider: Provider):
    reseller, _channel = make_reseller(), make_channel()
    said = ask(make_program(reseller)).json()
    attempt = begin_to_pay(said)
    Order.objects.update(reserved_until=db_now())
    close_due_orders()
    finish_closing()
    assert Order.objects.get().status == "expired"
    assert "The time to pay is over" in page_at(said)

    provider.knows(attempt)
    notify(attempt)

    assert left_on(reseller) == 50_000
    assert "The account has been credited" in page_at(said)


def test_money_on_a_frozen_account_is_the_holders_all_the_same(provider: Provider):
    reseller, _channel = make_reseller(), make_channel()
    attempt = begin_to_pay(ask(make_program(reseller)).json())
    set_frozen(reseller.balance, True)

    provider.knows(attempt)
    notify(attempt)

    assert left_on(reseller) == 50_000


def test_too_little_credits_nothing_and_waits_for_a_person(provider: Provider):
    reseller, _channel = make_reseller(), make_channel()
    said = ask(make_program(reseller)).json()
    attempt = begin_to_pay(said)

    provider.knows(attempt, amount_minor=49_999)
    notify(attempt)

    assert left_on(reseller) == 0
    assert Receipt.objects.get().attention
    assert "a person is looking at it" in page_at(said)


def test_delivering_goods_does_not_end_a_top_up(provider: Provider):
    """Somebody presses "deliver" before it is credited."""
    reseller, _channel = make_reseller(), make_channel()
    attempt = begin_to_pay(ask(make_program(reseller)).json())
    provider.knows(attempt)
    Client(headers={"host": "demo.localhost"}).get(f"/pay/notify/alipay/?{notice_query(attempt)}")
    apply_notices()
    settle_receipts()

    deliver_orders([Order.objects.get().pk], db_now())

    assert Order.objects.get().status == "paid"
    credit_accounts()
    assert (Order.objects.get().status, left_on(reseller)) == ("delivered", 50_000)


def test_a_balance_is_no_way_to_pay_it():
    make_channel(), balance_channel(), make_balance(100_000)
    said = ask(make_program()).json()

    page = page_at(said)
    refused = Client(headers={"host": "demo.localhost"}).post(
        f"{path_of(said)}pay/", {"method": "balance", "code": "A" * 20}
    )

    assert 'value="alipay"' in page
    assert "?by=balance" not in page
    assert refused.status_code == 400
    assert not PaymentAttempt.objects.exists()


def page_of(balance: Balance) -> str:
    return f"/admin/payments/balance/{balance.pk}/"


def test_the_merchant_makes_a_link_and_sees_what_becomes_of_it():
    reseller = make_reseller()
    boss = confirmed(make_boss())
    form = {"top-up-amount": "500", "top-up-reference": "form-number-1"}
    assert 'id="top-up-form"' in boss.get(f"{page_of(reseller.balance)}change/").content.decode()

    pages = [
        boss.post(f"{page_of(reseller.balance)}top-up/", form, follow=True).content.decode() for _ in range(2)
    ]

    order = Order.objects.get()
    assert (order.total_minor, order.is_top_up, TopUp.objects.get().asked_by) == (50_000, True, "boss")
    assert all(f"/o/{order.token}/" in page for page in pages)
    noted = AuditEntry.objects.filter(of="payments.balance", of_id=str(reseller.balance_id))
    assert order.number in noted.latest("pk").said
    assert "Partner" in boss.get(f"/admin/orders/order/{order.pk}/change/").content.decode()


@pytest.mark.parametrize("amount", ["", "0", "0.99", "x", "-5"])
def test_a_link_for_no_amount_is_refused_on_the_page(amount):
    reseller = make_reseller()

    confirmed(make_boss()).post(
        f"{page_of(reseller.balance)}top-up/", {"top-up-amount": amount, "top-up-reference": "form-1"}
    )

    assert not Order.objects.exists()


def test_a_link_takes_the_right_to_change_balances_and_an_account():
    reseller, (with_code, _code) = make_reseller(), make_balance(100)
    form = {"top-up-amount": "5", "top-up-reference": "form-1"}
    clerk = logged_in(make_clerk("payments.view_balance"))

    assert clerk.post(f"{page_of(reseller.balance)}top-up/", form).status_code == 403
    assert confirmed(make_boss()).post(f"{page_of(with_code)}top-up/", form).status_code == 404
    assert not Order.objects.exists()
