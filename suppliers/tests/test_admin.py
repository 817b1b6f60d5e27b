"""The merchant's pages of suppliers: a secret goes in and never comes out, and it is tried with a press."""

import pytest

from cardshop.audit.models import AuditEntry
from suppliers.models import SuppliedVariant, Supplier, SupplierOrder
from suppliers.tests.partners import supply_of
from tests.factories import make_by_hand, make_shop, make_variant
from tests.staff import confirmed, logged_in, make_boss, make_member

pytestmark = pytest.mark.django_db(transaction=True)
SUPPLIERS = "/admin/suppliers/supplier/"


def page_of(client, supplier):
    return client.get(f"{SUPPLIERS}{supplier.pk}/change/").content.decode()


def typed(supplier, **fields):
    kept = {"name": supplier.name, "base_url": supplier.base_url, "key_name": supplier.key_name}
    return {**kept, "secret": "", "is_enabled": "on", **fields}


def test_one_is_added_tried_and_its_secret_is_never_shown(partners):
    boss, known = confirmed(make_boss()), partners.supplier
    secret = known.secret
    SuppliedVariant.objects.all().delete()
    Supplier.objects.all().delete()
    said = typed(known, shop=known.shop_id, name="Another", secret=secret)

    assert boss.post(f"{SUPPLIERS}add/", {**said, "secret": ""}).status_code == 200
    assert boss.post(f"{SUPPLIERS}add/", said).status_code == 302

    supplier = Supplier.objects.get()
    assert supplier.secret == secret
    assert secret not in page_of(boss, supplier)
    assert secret not in str(list(AuditEntry.objects.values()))
    tried = boss.post(f"{SUPPLIERS}{supplier.pk}/try/", follow=True).content.decode()
    assert "you are “Partner” there, and have ¥1000.00." in tried


def test_whoever_changes_where_calls_go_enters_the_secret_again(partners):
    boss, supplier = confirmed(make_boss()), partners.supplier
    address = f"{SUPPLIERS}{supplier.pk}/change/"
    elsewhere = supplier.base_url.replace("localhost", "127.0.0.1")

    boss.post(address, typed(supplier, name="Renamed"))
    assert Supplier.objects.get().secret == partners.supplier.secret
    refused = boss.post(address, typed(supplier, base_url=elsewhere)).content.decode()
    assert "Enter it: calls are to go there with this key." in refused

    boss.post(address, typed(supplier, base_url=elsewhere, secret="a new one"))
    moved = Supplier.objects.get()
    assert (moved.name, moved.base_url, moved.secret) == ("Partner", elsewhere, "a new one")


def test_where_orders_are_under_way_the_address_stays(partners):
    partners.sell()
    supplier = partners.supplier
    said = typed(supplier, base_url="http://127.0.0.1:9/", secret="a new one")

    refused = confirmed(make_boss()).post(f"{SUPPLIERS}{supplier.pk}/change/", said)

    assert "Orders are under way there" in refused.content.decode()
    assert Supplier.objects.get().base_url == supplier.base_url


def test_a_try_that_fails_says_why_and_without_a_code_nothing_is_changed(partners):
    supplier = partners.supplier
    supplier.seal_secret("wrong")
    supplier.save()
    owner = make_member(supplier.shop)

    tried = confirmed(owner).post(f"{SUPPLIERS}{supplier.pk}/try/", follow=True).content.decode()
    changed = logged_in(owner).post(f"{SUPPLIERS}{supplier.pk}/change/", typed(supplier, name="Renamed"))

    assert "401 not_authenticated" in tried
    assert changed.url.startswith("/admin/code/")
    assert Supplier.objects.get().name == "Partner"


def test_only_what_a_person_fills_in_unasked_and_of_the_same_shop_is_supplied(partners):
    boss, shop, supplier = confirmed(make_boss()), partners.goods.shop, partners.supplier
    wrong = {
        "Let it be filled in by hand first": make_variant(shop=shop),
        "Its buyers are asked something": make_by_hand(shop=shop, asks=[{"name": "account"}]),
        "This supplier belongs to another shop": make_by_hand(shop=make_shop("third")),
    }
    for why, variant in wrong.items():
        said = {"variant": variant.pk, "supplier": supplier.pk, "their_code": "theirs", "most_minor": ""}
        page = boss.post("/admin/suppliers/suppliedvariant/add/", said).content.decode()
        assert why in page
    assert SuppliedVariant.objects.count() == 1


def test_an_order_that_waits_is_tried_again_at_once_under_its_key(partners):
    row = supply_of(partners.sell())
    SupplierOrder.objects.update(next_at=None)
    boss = confirmed(make_boss())
    said = {"action": "try_again", "_selected_action": [row.pk]}

    page = boss.post("/admin/suppliers/supplierorder/", said, follow=True).content.decode()

    assert "1 is being tried again." in page
    fresh = SupplierOrder.objects.get()
    assert fresh.next_at is not None
    assert fresh.idempotency_key == row.idempotency_key
