"""What a unit costs a reseller."""

import pytest
from django.db import IntegrityError, transaction

from resellers.models import PriceList
from resellers.pricing import discounted, unit_prices
from resellers.tests.calling import make_reseller
from resellers.tests.prices import give_prices
from tests.factories import make_variant

pytestmark = pytest.mark.django_db


def price(reseller, variant, quantity: int = 1) -> int:
    return unit_prices(reseller, {variant.pk: quantity}, {variant.pk: variant})[variant.pk]


def test_without_a_list_all_pay_what_the_variant_costs_and_nothing_is_asked(django_assert_num_queries):
    reseller, variant = make_reseller(), make_variant(price_minor=990)

    with django_assert_num_queries(0):
        assert price(reseller, variant) == 990


def test_the_highest_tier_that_the_quantity_reaches_holds():
    reseller, variant = make_reseller(), make_variant(price_minor=990)
    give_prices(reseller, {variant: {1: 900, 10: 800, 100: 700}}, discount=5000)

    assert [price(reseller, variant, quantity) for quantity in (1, 9, 10, 99, 100, 5000)] == [
        900, 900, 800, 800, 700, 700,
    ]  # fmt: skip


def test_what_no_tier_reaches_is_discounted():
    reseller, tiered, other = make_reseller(), make_variant(price_minor=990), make_variant(price_minor=999)
    give_prices(reseller, {tiered: {10: 800}}, discount=1250)

    assert price(reseller, tiered, 9) == 866  # 866.25
    assert price(reseller, tiered, 10) == 800
    assert price(reseller, other) == 874  # 874.125


@pytest.mark.parametrize(
    ("price_minor", "basis_points", "left"),
    [(990, 0, 990), (1, 5000, 1), (3, 5000, 2), (1, 9999, 1), (10**12, 1, 999_900_000_000), (101, 5000, 51)],
)
def test_halves_are_rounded_up_and_nothing_is_free(price_minor, basis_points, left):
    assert discounted(price_minor, basis_points) == left


def test_many_variants_are_priced_in_one_query_and_by_ones_own_list_only(django_assert_num_queries):
    reseller, rival = make_reseller(), make_reseller("Rival")
    variants = {variant.pk: variant for variant in (make_variant(price_minor=1000) for _ in range(5))}
    cheap = next(iter(variants.values()))
    give_prices(reseller, {cheap: {1: 500}})
    give_prices(rival, {variant: {1: 1} for variant in variants.values()}, discount=9999)

    with django_assert_num_queries(1):
        prices = unit_prices(reseller, dict.fromkeys(variants, 3), variants)

    assert prices == {**dict.fromkeys(variants, 1000), cheap.pk: 500}


def test_a_list_says_nothing_of_another_currency():
    reseller, variant = make_reseller(), make_variant(price_minor=990, currency="USD")
    give_prices(reseller, {variant: {1: 1}}, discount=9000)

    assert price(reseller, variant) == 990


def test_prices_are_those_of_now():
    reseller, variant = make_reseller(), make_variant(price_minor=1000)
    give_prices(reseller, discount=1000)

    PriceList.objects.update(discount_basis_points=2000)

    assert price(reseller, variant) == 800


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"from_quantity": 1, "unit_price_minor": 0}, "tier_price_is_positive"),
        ({"from_quantity": 0, "unit_price_minor": 1}, "tier_from_one"),
        ({"from_quantity": 10, "unit_price_minor": 1}, "one_tier_per_quantity"),
    ],
)
def test_the_database_takes_no_tier_that_cannot_be(row, name):
    variant = make_variant()
    price_list = give_prices(make_reseller(), {variant: {10: 1}})

    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        price_list.tiers.create(variant=variant, **row)
