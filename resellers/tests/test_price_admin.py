"""The merchant's page of price lists, and who is given one."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cardshop.audit.models import AuditEntry
from resellers.models import PriceList, Reseller
from resellers.price_admin import TierInline
from resellers.tests.calling import make_reseller
from resellers.tests.prices import give_prices
from tests.factories import make_shop, make_variant, the_shop
from tests.staff import logged_in, make_boss

pytestmark = pytest.mark.django_db
LISTS = "/admin/resellers/pricelist/"


def form(tiers=(), onward=(), **fields) -> dict[str, object]:
    """`tiers` are (variant, from_quantity, price), `onward` (variant, price)."""
    sent = {"shop": the_shop().pk, "name": "Gold", "currency": "CNY", "discount": "12.5", **fields}
    for prefix, names, rows in (
        ("tiers", ("variant", "from_quantity", "unit_price_minor"), tiers),
        ("onward_prices", ("variant", "least_minor"), onward),
    ):
        sent |= {f"{prefix}-TOTAL_FORMS": len(rows), f"{prefix}-INITIAL_FORMS": 0}
        for at, row in enumerate(rows):
            sent |= {f"{prefix}-{at}-{name}": value for name, value in zip(names, row, strict=True)}
    return sent


def test_a_list_is_entered_as_people_write_prices_and_told_in_the_audit_log():
    variant = make_variant()

    answer = logged_in(make_boss()).post(
        f"{LISTS}add/", form([(variant.pk, 1, "9"), (variant.pk, 10, "8.50")], [(variant.pk, "9.50")])
    )

    assert answer.status_code == 302
    gold = PriceList.objects.get()
    assert gold.discount_basis_points == 1250
    assert list(gold.tiers.values_list("from_quantity", "unit_price_minor")) == [(1, 900), (10, 850)]
    assert gold.onward_prices.get().least_minor == 950
    noted = set(AuditEntry.objects.filter(shop=the_shop()).values_list("of", flat=True))
    assert {"resellers.pricelist", "resellers.pricetier", "resellers.onwardprice"} <= noted


def test_what_cannot_be_is_said_at_its_place():
    boss = logged_in(make_boss())
    variant, dollars = make_variant(), make_variant(currency="USD")
    foreign = make_variant(shop=make_shop("other"))

    for wrong, complaint in (
        (form([(dollars.pk, 1, "9")]), "It is sold in USD, and this list is in CNY."),
        (form([(foreign.pk, 1, "9")]), "This variant belongs to another shop."),
        (form([(variant.pk, 0, "9")]), "greater than or equal to 1"),
        (form([(variant.pk, 1, "0")]), "Enter an amount above zero."),
        (form([(variant.pk, 5, "9"), (variant.pk, 5, "8")]), "duplicate data"),
        (form(discount="100"), "less than or equal to 99.99"),
        (form(discount="1.255"), "no more than 2 decimal places"),
    ):
        page = boss.post(f"{LISTS}add/", wrong, headers={"accept-language": "en"}).content.decode()
        assert complaint in page
    assert not PriceList.objects.exists()


def test_a_change_of_a_line_moves_the_list_and_its_currency_stays():
    variant = make_variant()
    price_list = give_prices(make_reseller(), {variant: {1: 900}})
    tier, before = price_list.tiers.get(), PriceList.objects.get().changed_at
    sent = form([(variant.pk, 1, "7")], name="Gold", currency="USD", discount="0") | {
        "tiers-INITIAL_FORMS": 1,
        "tiers-0-id": tier.pk,
        "tiers-0-price_list": price_list.pk,
    }

    logged_in(make_boss()).post(f"{LISTS}{price_list.pk}/change/", sent)

    price_list.refresh_from_db()
    assert (price_list.tiers.get().unit_price_minor, price_list.currency) == (700, "CNY")
    assert price_list.changed_at > before


def test_a_long_list_is_edited_by_pages_that_cost_the_same_however_long_it_is(monkeypatch):
    monkeypatch.setattr(TierInline, "per_page", 2)
    boss, variant = logged_in(make_boss()), make_variant()
    page = f"{LISTS}{give_prices(make_reseller(), {variant: {n: 100 - n for n in range(1, 5)}}).pk}/change/"

    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert boss.get(page).status_code == 200
        return len(queries)

    few = asked()
    price_list = PriceList.objects.get()
    for quantity in range(5, 20):
        price_list.tiers.create(variant=variant, from_quantity=quantity, unit_price_minor=50)
    assert asked() == few
    third, fourth = price_list.tiers.filter(from_quantity__in=[3, 4])
    sent = form([(variant.pk, 3, "0.97"), (variant.pk, 4, "0.42")], discount="0") | {
        "tiers-INITIAL_FORMS": 2, "tiers-page": 2, "tiers-0-id": third.pk, "tiers-1-id": fourth.pk,
        "tiers-0-price_list": price_list.pk, "tiers-1-price_list": price_list.pk,
    }  # fmt: skip
    assert boss.post(page, sent).status_code == 302
    assert price_list.tiers.get(from_quantity=4).unit_price_minor == 42
    sent["tiers-1-from_quantity"] = 1  # stands on another page
    assert boss.post(page, sent).status_code == 200


def test_a_list_is_given_to_a_reseller_of_the_same_shop_and_currency():
    boss, reseller = logged_in(make_boss()), make_reseller()
    page = f"/admin/resellers/reseller/{reseller.pk}/change/"
    ours = give_prices(make_reseller("B"))
    dollars = give_prices(make_reseller("C"), currency="USD")
    foreign = give_prices(make_reseller("D"), shop=make_shop("other"))

    for price_list in (dollars, foreign):
        boss.post(page, {"name": "Partner", "contact_email": "p@example.org", "price_list": price_list.pk})
        assert Reseller.objects.get(pk=reseller.pk).price_list is None
    boss.post(page, {"name": "Partner", "contact_email": "p@example.org", "price_list": ours.pk})

    reseller.refresh_from_db()
    assert reseller.price_list == ours
    assert reseller.priced_since is not None


def test_a_list_that_somebody_has_is_not_deleted():
    price_list = give_prices(make_reseller())

    logged_in(make_boss()).post(f"{LISTS}{price_list.pk}/delete/", {"post": "yes"})

    assert PriceList.objects.count() == 1
