"""What is for sale, read and changed by program as on its page in the administration."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest

from cardshop.audit.models import AuditEntry
from cardshop.common.clock import db_now
from cardshop.merchant_api.tests.calling import API, make_own, write
from inventory.models import Variant
from tests.factories import counters, make_by_hand, make_order, make_reusable, make_variant

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]


def test_variants_come_by_pages_with_their_stock():
    first, second = make_variant(keys=3), make_by_hand()
    own = make_own()
    make_order(first, quantity=2)

    page = own.call(f"{API}variants/?limit=1").json()
    rest = own.call(f"{API}variants/?limit=1&after={page['next']}").json()

    (one,) = page["variants"]
    assert (one["code"], one["total"], one["released"], one["claimed"]) == (first.code, 3, 3, 2)
    assert [other["code"] for other in rest["variants"]] == [second.code]
    assert (rest["next"], rest["variants"][0]["total"]) == (None, None)
    product = own.call(f"{API}products/{first.product.slug}/").json()
    assert product["variants"] == [one]
    assert [found["slug"] for found in own.call(f"{API}products/").json()["products"]] == [
        first.product.slug,
        second.product.slug,
    ]


def test_who_asks_what_has_changed_is_told_that_alone():
    variant, own = make_variant(), make_own()
    later = db_now() + timedelta(minutes=2)

    def told(since: datetime) -> list[str]:
        asked = urlencode({"updated_since": since.isoformat()})
        return [one["code"] for one in own.call(f"{API}variants/?{asked}").json()["variants"]]

    assert told(datetime(1, 1, 1, tzinfo=UTC)) == told(db_now()) == [variant.code]
    assert told(later) == []


def test_what_is_sent_is_changed_and_noted_with_the_name_of_the_key():
    variant, own = make_variant(price_minor=990, low_stock_at=5), make_own()
    told = own.call(f"{API}variants/{variant.code}/").json()
    said = {"version": told["version"], "price_minor": 1090, "is_active": False, "per_buyer_limit": 2}

    answer = write(own, f"variants/{variant.code}/", said, "PATCH")

    assert answer.status_code == 200, answer.content
    now = answer.json()
    assert (now["price_minor"], now["is_active"], now["per_buyer_limit"]) == (1090, False, 2)
    assert (now["low_stock_at"], now["name"]) == (5, told["name"])
    assert now["version"] != told["version"]
    entry = AuditEntry.objects.get()
    assert entry.who == f"ERP ({own.key.name})"
    assert {change["field"] for change in entry.changes} == {"price_minor", "is_active", "per_buyer_limit"}


def test_who_has_read_what_is_so_no_more_changes_nothing():
    variant, own = make_variant(price_minor=990), make_own()
    read = own.call(f"{API}variants/{variant.code}/").json()
    Variant.objects.filter(pk=variant.pk).update(price_minor=1200)

    said = {"version": read["version"], "price_minor": 1090}
    answer = write(own, f"variants/{variant.code}/", said, "PATCH")

    assert (answer.status_code, answer.json()["code"]) == (412, "changed_meanwhile")
    assert Variant.objects.get().price_minor == 1200


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"price_minor": 0}, "price_minor"),
        ({"min_quantity": 11}, "max_quantity"),
        ({"on_sale_from": "2026-03-02T00:00Z", "on_sale_until": "2026-03-01T00:00Z"}, "on_sale_until"),
        ({"fulfilment": "manual"}, "fulfilment"),
    ],
)
def test_what_the_administration_refuses_is_refused(said, field):
    variant = make_variant()

    answer = write(make_own(), f"variants/{variant.code}/", said, "PATCH")

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert list(answer.json()["fields"]) == [field]
    assert not AuditEntry.objects.exists()


def test_stock_is_set_where_no_keys_count_it():
    by_hand, by_keys, reusable, own = make_by_hand(), make_variant(keys=1), make_reusable(), make_own()

    assert write(own, f"variants/{by_hand.code}/stock/", {"free": 7}, "PUT").json()["total"] == 7
    text = {"free": None, "text": "CANARY-TEXT"}
    answer = write(own, f"variants/{reusable.code}/stock/", text, "PUT")
    refused = write(own, f"variants/{by_keys.code}/stock/", {"free": 7}, "PUT")

    assert (answer.status_code, refused.json()["code"]) == (200, "counted_by_keys")
    assert counters(by_keys) == (1, 1, 0)
    assert AuditEntry.objects.count() == 2
    assert "CANARY" not in str(list(AuditEntry.objects.values()))
