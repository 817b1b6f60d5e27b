"""How a key is used: told to who has paid, by page and mail, as the merchant has it now."""

import pytest
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cardshop.common.clock import db_now
from inventory.models import Product
from orders.models import Order
from orders.services.delivery import deliver_orders
from orders.services.mail import mail_delivered_orders
from tests.factories import make_order, make_variant, pay_order

pytestmark = pytest.mark.django_db

CHINESE, ENGLISH = (
    "在「设置 → 兑换」**输入**卡密",
    "Enter it under [Redeem](https://a.example) <script>alert(1)</script>",
)


@pytest.fixture
def order() -> Order:
    variant = make_variant(keys=2)
    Product.objects.update(usage_notes=CHINESE, usage_notes_en=ENGLISH)
    return make_order(variant)


def page(client, order: Order, language: str = "/en") -> str:
    return client.get(f"{language}/o/{order.token}/").content.decode()


def test_nobody_reads_them_before_the_order_is_paid(client, order):
    assert "How to use" not in page(client, order)

    pay_order(order)

    assert "How to use Star coins" in page(client, order)


def test_they_stand_there_with_the_keys_in_the_page_s_language_and_sanitised(client, order):
    pay_order(order)
    deliver_orders([order.pk], db_now())

    chinese, english = page(client, order, ""), page(client, order)

    assert "<strong>输入</strong>" in chinese
    assert '<a href="https://a.example" rel="nofollow noopener noreferrer">Redeem</a>' in english
    assert "alert(1)" not in english


def test_what_the_merchant_puts_right_reaches_those_who_bought_before(client, order):
    pay_order(order)
    Product.objects.update(usage_notes_en="The new way")

    assert "The new way" in page(client, order)


def test_a_product_without_any_says_nothing(client, order):
    Product.objects.update(usage_notes="", usage_notes_en="")
    pay_order(order)

    assert "How to use" not in page(client, order)


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("zh-hans", "在「设置 → 兑换」输入卡密\n\n"),
        ("en", "How to use Star coins\nEnter it under Redeem (https://a.example)\n\n"),
    ],
)
def test_the_mail_has_them_as_text(order, language, words):
    Order.objects.update(language=language)
    pay_order(order)
    deliver_orders([order.pk], db_now())

    mail_delivered_orders([order.pk], db_now())

    body = mail.outbox[0].body
    assert words in body
    assert "<" not in body
    assert "alert" not in body


def test_an_order_that_is_not_paid_takes_no_query_for_them(client, order):
    with CaptureQueriesContext(connection) as asked:
        page(client, order)

    assert not any("usage_notes" in query["sql"] for query in asked)
