"""How many questions each page asks the database: so many, whether there is one row or there are many."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings
from django.urls import reverse

from cardshop.common.clock import db_now
from cardshop.shops.models import Shop
from orders.lookup.links import make_link
from orders.models import Order, Sale
from orders.services.delivery import deliver_orders
from payments.ledger.entries import credit
from payments.models import PaymentChannel
from resellers.keys import make_key
from resellers.members.joining import add_member
from resellers.members.sessions import begin
from resellers.models import Reseller, ResellerOrder
from resellers.orders.asking import Asked, order_now
from resellers.webhooks.endpoints import make_endpoint
from tests.factories import make_attempt, make_order, make_shop, make_variant, paid_evidence, settle_evidence
from tests.staff import logged_in, make_boss
from tests.two_shops import fill

pytestmark = pytest.mark.django_db

BUYERS = {
    "catalogue": 11,
    "category": 10,
    "product": 8,
    "search": 9,
    "buy": 6,
    "sitemap": 4,
    "order": 6,
    "keys": 5,
    "look-up": 2,
    "look-up by number": 3,
    "look-up by link": 4,
}
STAFF = {
    "dashboard": 26,
    "what needs you": 14,
    "admin: order": 24,
    "search for an order": 11,
    "sale": 14,
    "way to pay": 11,
}
MEMBERS = {
    "account": 6,
    "API keys": 5,
    "new API key": 4,
    "orders": 6,
    "an order": 6,
    "webhooks": 5,
    "team": 5,
}
LISTS = {
    "alerts.Alert": 10,
    "alerts.Destination": 10,
    "alerts.Message": 10,
    "audit.AuditEntry": 12,
    "auth.Group": 9,
    "auth.User": 10,
    "inventory.CardKey": 9,
    "inventory.Category": 10,
    "inventory.KeyAccess": 10,
    "inventory.KeyBatch": 10,
    "inventory.KeyRequest": 10,
    "inventory.Product": 11,
    "inventory.Stock": 11,
    "inventory.Variant": 10,
    "orders.Order": 10,
    "orders.OrderItem": 9,
    "orders.Registration": 9,
    "orders.Sale": 10,
    "orders.Ticket": 10,
    "otp_totp.TOTPDevice": 9,
    "outbox.OutboxMessage": 10,
    "payments.Balance": 10,
    "payments.KeyRecall": 10,
    "payments.Payment": 10,
    "payments.PaymentAttempt": 10,
    "payments.PaymentChannel": 10,
    "payments.Receipt": 10,
    "payments.Refund": 10,
    "payments.RefusedNotice": 10,
    "payments.Statement": 10,
    "payments.WebhookEvent": 10,
    "resellers.ApiKey": 11,
    "resellers.Claim": 10,
    "resellers.PriceList": 10,
    "resellers.Reseller": 11,
    "resellers.ResellerMember": 10,
    "resellers.ResellerOrder": 10,
    "resellers.WebhookDelivery": 10,
    "resellers.WebhookEndpoint": 11,
    "suppliers.SuppliedVariant": 10,
    "suppliers.Supplier": 10,
    "suppliers.SupplierOrder": 10,
    "shops.Membership": 10,
    "shops.Shop": 9,
}
Address = tuple[str, dict[str, str]]


@pytest.fixture(scope="module")
def shop(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: Any) -> Iterator[Shop]:
    """With a row of everything."""
    pictures = tmp_path_factory.mktemp("pictures")
    with django_db_blocker.unblock(), override_settings(MEDIA_ROOT=pictures):
        block = transaction.atomic()
        block._from_testcase = True
        with block:
            shop = fill("alpha")
            make_shop("other")  # a single shop answers to every name, which is not looked up
            make_boss()
            sell_more(shop)
            yield shop
            transaction.set_rollback(True)


def sell_more(shop: Shop) -> None:
    variant = make_variant(shop=shop, keys=2)
    order = make_order(variant, quantity=2, contact_email="more@example.org")
    channel = PaymentChannel.objects.filter(shop=shop).first()
    settle_evidence(channel, paid_evidence(make_attempt(order, channel)))
    deliver_orders([order.pk], db_now())


def delivered(shop: Shop) -> Order:
    return Order.objects.filter(shop=shop, contact_email="more@example.org").order_by("pk").first()


def of_buyers(shop: Shop) -> dict[str, Address]:
    order = delivered(shop)
    link = make_link(shop_id=shop.pk, contact_email=order.contact_email, now=db_now())
    return {
        "catalogue": ("/", {}),
        "category": ("/c/alpha-cards/", {}),
        "product": ("/p/alpha-coins/", {}),
        "search": ("/search/?q=alpha", {}),
        "buy": ("/buy/alpha-coins/", {}),
        "sitemap": ("/sitemap.xml", {}),
        "order": (f"/o/{order.token}/", {}),
        "keys": (f"/o/{order.token}/keys.txt", {}),
        "look-up": ("/orders/", {}),
        "look-up by number": (
            "/orders/",
            {"number": order.number, "contact_email": order.contact_email},
        ),
        "look-up by link": (f"/orders/mail/{link}/{order.number}/", {}),
    }


def of_staff(shop: Shop) -> dict[str, Address]:
    order = delivered(shop)
    sale, channel = Sale.objects.get(shop=shop), PaymentChannel.objects.filter(shop=shop).first()
    return {
        "dashboard": (f"/admin/?shop={shop.pk}", {}),
        "what needs you": ("/admin/orders/order/attention/", {}),
        "admin: order": (f"/admin/orders/order/{order.pk}/change/", {}),
        "search for an order": (f"/admin/orders/order/?q={order.number}", {}),
        "sale": (f"/admin/orders/sale/{sale.pk}/live/", {}),
        "way to pay": (f"/admin/payments/paymentchannel/{channel.pk}/health/", {}),
    }


def of_members(shop: Shop) -> dict[str, Address]:
    order = ResellerOrder.objects.filter(reseller__shop=shop).earliest("pk")
    return {
        "account": ("/reseller/", {}),
        "API keys": ("/reseller/keys/", {}),
        "new API key": ("/reseller/keys/new/", {}),
        "orders": ("/reseller/orders/", {}),
        "an order": (f"/reseller/orders/{order.number}/", {}),
        "webhooks": ("/reseller/webhooks/", {}),
        "team": ("/reseller/members/", {}),
    }


def have_more(reseller: Reseller) -> None:
    now, key = db_now(), {"proof": "signed", "scopes": ["balance"]}
    make_key(reseller, label="another", **key, now=now)
    add_member(reseller, email="another@example.org", role="viewer", now=now)
    make_endpoint(reseller.shop, reseller=reseller, url="https://p.example/", kinds=["order.paid"], now=now)
    credit(reseller.balance, amount_minor=1000, reason="paid in", actor="till", now=now)
    lines = [{"variant": "alpha-coins", "quantity": 1}]
    order_now(Asked(reseller=reseller, key="another-1", digest="0", lines=lines), now=now)


def lists() -> dict[str, Address]:
    return {
        model._meta.label: (
            reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"),
            {},
        )
        for model in admin.site._registry
    }


def counted(client: Client, addresses: dict[str, Address]) -> dict[str, int]:
    """By name, how many questions were asked."""
    counts = {}
    for name, (address, form) in addresses.items():
        with CaptureQueriesContext(connection) as asked:
            answer: Any = client.post(address, form) if form else client.get(address)
        assert answer.status_code in (200, 302, 303), address
        counts[name] = len(asked)
    return counts


def test_pages_ask_as_much_whether_there_is_one_row_or_there_are_many(shop):
    buyer = Client(headers={"host": shop.host})
    boss = logged_in(User.objects.get(username="boss"))

    reseller = Reseller.objects.get(shop=shop)
    member = Client(headers={"host": shop.host})
    member.cookies["cardshop_reseller_zh-hans"] = begin(reseller.members.get(), now=db_now())

    def pages() -> dict[str, int]:
        of_people = counted(member, of_members(shop)) | counted(buyer, of_buyers(shop))
        return of_people | counted(boss, of_staff(shop)) | counted(boss, lists())

    counted(boss, of_staff(shop))  # at first some things are not known yet
    few = pages()
    sell_more(shop)
    have_more(reseller)
    sell_more(fill("beta"))

    assert pages() == few
    assert few == MEMBERS | BUYERS | STAFF | LISTS
