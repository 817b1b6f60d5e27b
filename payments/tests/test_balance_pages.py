"""Paying with a balance's code on the order page and through the API, and what is said about a wrong one."""

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client

from cardshop.common.clock import db_now
from orders.models import Order
from orders.services.delivery import deliver_orders
from payments.ledger.codes import new_code
from payments.ledger.entries import set_frozen
from payments.models import PaymentAttempt
from payments.tasks import settle_receipts
from tests.balances import balance_channel, left_on, make_balance, pay_with
from tests.factories import make_channel, make_order, make_variant

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _nobody_has_tried() -> None:
    cache.clear()


@pytest.fixture
def order() -> Order:
    balance_channel()
    return make_order(make_variant(keys=1))


def link(order: Order, lang: str = "") -> str:
    return f"{lang}/o/{order.token}/"


def enter(client: Client, order: Order, code: str, lang: str = "/en"):
    return client.post(f"{link(order, lang)}pay/", {"method": "balance", "code": code})


@pytest.mark.parametrize(
    ("lang", "asks", "delivered"),
    [("", "余额卡密码", "卡密已送达"), ("/en", "Code of your balance", "Your keys are here")],
)
def test_by_pages(client, order, lang, asks, delivered):
    balance, code = make_balance()
    Order.objects.update(language="en" if lang else "zh-hans")
    page = client.get(link(order, lang))
    assert f"{link(order, lang)}?by=balance#code" in page.content.decode()
    assert asks not in page.content.decode()
    form = client.get(f"{link(order, lang)}?by=balance").content.decode()
    assert asks in form
    assert 'http-equiv="refresh"' not in form  # it would take the code from under the buyer's fingers

    paid = enter(client, order, code, lang)
    assert paid.status_code == 303
    back = client.get(paid["Location"])
    assert back["Location"] == link(order, lang)

    settle_receipts()
    deliver_orders([order.pk], db_now())
    assert delivered in client.get(link(order, lang)).content.decode()
    assert left_on(balance) == 4010


def test_by_api(client, order):
    balance, code = make_balance()

    started = client.post(
        f"/api/v1/orders/{order.token}/payments/", {"method": "balance", "code": code}, "application/json"
    )

    assert started.status_code == 201
    settle_receipts()
    assert client.get(f"/api/v1/orders/{order.token}/").json()["is_paid"]
    assert left_on(balance) == 4010


def test_a_form_sent_again_before_the_page_knows_is_no_refusal(client, order):
    balance, code = make_balance(990)

    first, again = enter(client, order, code), enter(client, order, code)

    assert (first.status_code, again.status_code) == (303, 303)
    assert left_on(balance) == 0
    assert PaymentAttempt.objects.count() == 1


def test_wrong_and_frozen_are_told_in_the_same_words_and_start_nothing(client, order):
    balance, code = make_balance()
    set_frozen(balance, True)

    frozen, wrong = enter(client, order, code), enter(client, order, new_code())

    assert (frozen.status_code, wrong.status_code) == (400, 400)
    for page in (frozen, wrong):
        assert "This code is not known here." in page.content.decode()
        assert "50.00" not in page.content.decode()
        assert 'http-equiv="refresh"' not in page.content.decode()
    assert not PaymentAttempt.objects.exists()


def test_who_has_the_code_hears_how_much_there_is(client, order):
    _balance, code = make_balance(150)

    poor = enter(client, order, code)
    said = client.post(
        f"/api/v1/orders/{order.token}/payments/", {"method": "balance", "code": code}, "application/json"
    )

    assert (poor.status_code, said.status_code) == (409, 409)
    assert "There is only ¥1.50 on it." in poor.content.decode()
    assert said.json()["code"] == "not_enough_balance"
    assert "code" in said.json()["fields"]
    assert not PaymentAttempt.objects.exists()


def test_who_is_overtaken_by_another_order_hears_that_too(client, order, monkeypatch):
    _balance, code = make_balance(1000)
    other = make_order(make_variant(keys=1))

    def overtaken(*_args, **_said):
        monkeypatch.undo()
        return pay_with(other, code) and None

    monkeypatch.setattr("payments.checkout.prepaid.require_money", overtaken)

    assert "There is only ¥0.10 on it." in enter(client, order, code).content.decode()


@pytest.mark.parametrize("code", ["", "x" * 65, "\0", "余额"])
def test_what_is_no_code_is_an_unknown_one(client, order, code):
    page = enter(client, order, code)

    assert page.status_code == 400
    assert "This code is not known here." in page.content.decode()


def test_who_tries_too_many_is_made_to_wait(client, order, settings):
    settings.CODE_TRIES_PER_ORDER, settings.CODE_TRIES_PER_ADDRESS = "3/1h", "5/1h"
    balance, code = make_balance()
    another = make_order(make_variant(keys=1))

    of_one = [enter(client, order, new_code()).status_code for _ in range(4)]
    of_both = [enter(client, another, new_code()).status_code for _ in range(2)]
    right = enter(client, another, code)

    assert (of_one, of_both) == ([400, 400, 400, 429], [400, 429])
    assert right.status_code == 429
    assert right["Retry-After"]
    assert "Too many codes were tried." in right.content.decode()
    assert left_on(balance) == 5000


def test_a_code_goes_to_no_other_provider(client, order, provider):
    make_channel()
    seen = []
    provider.broken = lambda request: seen.append(request.read().decode()) or provider.told(request)

    client.post(f"{link(order)}pay/", {"method": "alipay", "code": "CANARY7KD2M"})

    assert len(seen) == 1
    assert "CANARY7KD2M" not in seen[0]


def everything_stored() -> str:
    """Every row of every table, as text."""
    with connection.cursor() as cursor:
        text = []
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT string_agg(row::text, chr(10)) FROM "{table}" AS row')
            text.append(cursor.fetchone()[0] or "")
    return "\n".join(text)


def test_a_code_is_in_no_log_and_no_table(client, order, capfd, caplog):
    caplog.set_level("DEBUG")
    _balance, code = make_balance(150)
    wrong = new_code()
    _rich, good = make_balance()

    answers = [enter(client, order, said) for said in (code, wrong, good)]
    settle_receipts()

    assert [answer.status_code for answer in answers] == [409, 400, 303]
    kept = everything_stored() + caplog.text + "".join(capfd.readouterr())
    kept += "".join(str(answer.headers) + str(answer.cookies) for answer in answers)
    kept += "".join(answer.content.decode() for answer in answers)
    assert order.number in kept  # it has looked
    for said in (code, wrong, good):
        for written in (said, said.replace("-", ""), said[:11]):
            assert written not in kept
