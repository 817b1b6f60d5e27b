"""Lists of the administration that are longer than anybody reads."""

import pytest

from cardshop.common import long_lists
from orders.models import Order
from payments.checkout.admin import OrderAdmin
from payments.models import Receipt
from tests.factories import make_order, make_variant, pay_order
from tests.staff import logged_in, make_boss

pytestmark = pytest.mark.django_db

ORDERS = "/admin/orders/order/"


@pytest.fixture
def boss():
    return logged_in(make_boss())


def test_a_list_counts_and_pages_through_its_first_rows_only(boss, monkeypatch):
    monkeypatch.setattr(long_lists, "MOST_LISTED", 2)
    monkeypatch.setattr(OrderAdmin, "list_per_page", 1)
    variant = make_variant(keys=3)
    first, second, third = (make_order(variant) for _ in range(3))

    page = boss.get(ORDERS, {"p": 2}).content.decode()

    assert second.number in page
    assert "More than 2: search or filter" in page
    assert boss.get(ORDERS, {"p": 3}).status_code == 302
    assert first.number in boss.get(ORDERS, {"q": first.number}).content.decode()
    Order.objects.filter(pk=third.pk).update(status="completed")
    assert "More than" not in boss.get(ORDERS, {"status__exact": "pending"}).content.decode()


def test_an_order_is_found_by_any_of_its_numbers_and_by_its_address(boss):
    variant = make_variant(keys=2)
    order = make_order(variant, contact_email="Lin@example.org")
    attempt = pay_order(order)
    other = make_order(variant, contact_email="other@example.org")
    receipt = Receipt.objects.get()

    for asked in (
        order.number,
        order.number.lower(),
        f" {order.number} ",
        "lin@EXAMPLE.org",
        attempt.out_trade_no,
        receipt.provider_txn_id,
    ):
        page = boss.get(ORDERS, {"q": asked}).content.decode()
        assert order.number in page, asked
        assert other.number not in page, asked
    for asked in ("example.org", order.number[:5], "0", "9" * 30):
        page = boss.get(ORDERS, {"q": asked}).content.decode()
        assert order.number not in page, asked


def test_a_message_is_found_by_the_number_of_what_it_is_about(boss):
    order = make_order(make_variant(keys=1))
    pay_order(order)

    page = boss.get("/admin/outbox/outboxmessage/", {"q": order.pk}).content.decode()
    assert "orders.deliver" in page
    for asked in (order.pk + 1, "9" * 30, "0" * 20 + "9" * 5000, "x", "²"):
        page = boss.get("/admin/outbox/outboxmessage/", {"q": asked}).content.decode()
        assert "orders.deliver" not in page.partition("result_list")[2], asked
