"""Importing card keys."""

import pytest
from django.db import connection

from cardshop.common.errors import Invalid
from inventory.card_keys import reveal
from inventory.imports import MAX_SECRET_BYTES, import_keys
from inventory.models import CardKey, KeyBatch
from inventory.picking import pick_keys
from tests.factories import NOON, counters, make_shop, make_variant

pytestmark = pytest.mark.django_db(transaction=True)


def bring_in(variant, *lines):
    return import_keys(variant=variant, lines=lines, imported_by="lin", note="spring", now=NOON)


def test_keys_are_stored_sealed_and_open_for_sale():
    variant = make_variant()

    batch, report = bring_in(variant, "AAAA-1111", "  BBBB-2222\r\n", "", "卡密-三")

    assert report.imported == 3
    assert counters(variant) == (3, 3, 0)
    assert [reveal(key) for key in CardKey.objects.order_by("pk")] == ["AAAA-1111", "BBBB-2222", "卡密-三"]
    batch.refresh_from_db()
    assert (batch.imported, batch.imported_by, batch.note) == (3, "lin", "spring")


def test_no_column_holds_a_key_in_clear():
    bring_in(make_variant(), "CANARY-0001")

    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(k)::text, encode(sealed, 'escape') FROM inventory_cardkey k")
        row = cursor.fetchone()
    assert not any("CANARY" in column for column in row)


def test_duplicates_within_and_across_imports_are_left_out_and_named_by_line():
    variant, other = make_variant(), make_variant()
    bring_in(variant, "A", "B")

    _, report = bring_in(other, "C", "B", "C", "D")

    assert (report.imported, report.duplicate_lines) == (2, [2, 3])
    assert counters(other) == (2, 2, 0)


def test_a_void_key_may_come_again_and_another_shop_has_keys_of_its_own():
    variant = make_variant()
    bring_in(variant, "A")
    elsewhere = make_variant(shop=make_shop("elsewhere"))

    assert bring_in(elsewhere, "A")[1].imported == 1
    CardKey.objects.filter(variant=variant).update(status="void")
    assert bring_in(variant, "A")[1].imported == 1


def test_lines_that_no_key_can_be_are_refused_and_the_rest_is_imported():
    too_long = "x" * (MAX_SECRET_BYTES + 1)

    _, report = bring_in(make_variant(), too_long, "nul\0inside", "fine\tkey", "\ufeffbom")

    assert (report.imported, report.refused_lines) == (2, [1, 2])


def test_nothing_to_import_leaves_nothing_behind():
    with pytest.raises(Invalid):
        bring_in(make_variant(), "", "   ")

    assert not KeyBatch.objects.exists()


def test_a_key_copied_into_another_row_does_not_open():
    variant = make_variant()
    bring_in(variant, "A", "B")
    first, second = CardKey.objects.order_by("pk")
    CardKey.objects.filter(pk=second.pk).update(sealed=bytes(first.sealed))

    with pytest.raises(Exception, match="another row"):
        reveal(CardKey.objects.get(pk=second.pk))


def test_keys_are_picked_oldest_first():
    variant = make_variant()
    bring_in(variant, "C", "A", "B")

    picked = pick_keys(variant_id=variant.pk, quantity=2, now=NOON)

    assert [reveal(CardKey.objects.get(pk=pk)) for pk in picked] == ["C", "A"]
