"""Lists of products and variants that several people edit at once, and what is done to many rows at once."""

import re
from typing import Any

import pytest
from django import forms

from cardshop.audit.models import AuditEntry
from cardshop.shops.models import Role
from inventory.models import Category, Product, Selling, Variant
from orders.models import Sale
from tests.edited_lists import sent_back
from tests.factories import make_shop, make_variant, the_shop
from tests.staff import logged_in, make_member

pytestmark = pytest.mark.django_db

VARIANTS, PRODUCTS = "/admin/inventory/variant/", "/admin/inventory/product/"


@pytest.fixture
def owner():
    return logged_in(make_member(the_shop()))


def three_variants() -> list[Variant]:
    made = [make_variant(code=code, price_minor=1000) for code in ("one", "two", "three")]
    for variant in made:
        Variant.objects.filter(pk=variant.pk).update(name=f"name of {variant.code}")
    return made


def prices() -> list[int]:
    return list(Variant.objects.order_by("pk").values_list("price_minor", flat=True))


def test_what_is_typed_is_saved_and_written_down_and_nothing_else(owner):
    one, two, _three = three_variants()
    page = owner.get(VARIANTS)
    typed = {f"price_minor_{one.pk}": "12.5", f"per_buyer_limit_{two.pk}": "3", f"is_active_{two.pk}": None}

    answer = owner.post(VARIANTS, sent_back(page, **typed))

    assert answer.status_code == 302, answer.content.decode()
    one.refresh_from_db()
    two.refresh_from_db()
    assert (prices(), two.per_buyer_limit, two.is_active) == ([1250, 1000, 1000], 3, False)
    changes = {entry.of_id: entry.changes for entry in AuditEntry.objects.all()}
    assert {pk: [change["field"] for change in those] for pk, those in changes.items()} == {
        str(one.pk): ["price_minor"],
        str(two.pk): ["per_buyer_limit", "is_active"],
    }


def test_what_somebody_else_has_changed_is_named_and_shown_and_nothing_typed_is_lost(owner):
    one, two, three = three_variants()
    page = owner.get(VARIANTS)
    Variant.objects.filter(pk=one.pk).update(price_minor=1100, position=9)
    Variant.objects.filter(pk=three.pk).update(position=4)
    typed = {f"price_minor_{one.pk}": "12", f"price_minor_{two.pk}": "13"}

    answer = owner.post(VARIANTS, sent_back(page, **typed))

    assert answer.status_code == 200
    assert prices() == [1100, 1000, 1000]
    text = answer.content.decode()
    assert f"Somebody else has changed meanwhile: {Variant.objects.get(pk=one.pk)}." in text
    assert "to: 11.00. Save again" in text
    again = sent_back(answer)
    assert {again[key] for key in again if re.fullmatch(r"form-\d-price_minor", key)} == {"12", "13", "10.00"}
    shown = {form.instance.pk: row.pk for row, form in zip(*shown_rows(answer), strict=True)}
    assert shown == {each.pk: each.pk for each in (one, two, three)}

    assert owner.post(VARIANTS, again).status_code == 302
    assert prices() == [1200, 1300, 1000]
    assert list(Variant.objects.order_by("pk").values_list("position", flat=True)) == [9, 0, 4]


def shown_rows(answer: Any) -> tuple[list[Any], list[Any]]:
    return list(answer.context["cl"].result_list), list(answer.context["cl"].formset.forms)


def test_control_a_form_that_does_not_say_what_was_shown_overwrites(owner, monkeypatch):
    """Django's own form of a row: if this one fails, the test above proves nothing."""
    one, _two, _three = three_variants()
    monkeypatch.setattr("inventory.admin.VariantAdmin.list_form", forms.ModelForm)
    page = owner.get(VARIANTS)
    Variant.objects.filter(pk=one.pk).update(position=9)

    assert owner.post(VARIANTS, sent_back(page, **{f"price_minor_{one.pk}": "1200"})).status_code == 302

    one.refresh_from_db()
    assert (one.price_minor, one.position) == (1200, 0)


def test_two_who_type_the_same_agree(owner):
    one, _two, _three = three_variants()
    page = owner.get(VARIANTS)
    Variant.objects.filter(pk=one.pk).update(price_minor=1200)
    assert owner.post(VARIANTS, sent_back(page, **{f"price_minor_{one.pk}": "12.00"})).status_code == 302
    assert prices()[0] == 1200


def test_a_page_that_says_nothing_of_what_it_showed_changes_nothing(owner):
    one, _two, _three = three_variants()
    sent = sent_back(owner.get(VARIANTS), **{f"price_minor_{one.pk}": "12"})
    old = {key: value for key, value in sent.items() if not key.startswith("initial-")}
    assert owner.post(VARIANTS, old).status_code == 200
    assert prices() == [1000, 1000, 1000]


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("price_minor", "9.999", "Enter an amount such as 9.90."),
        ("price_minor", "0", "Enter an amount above zero."),
        ("price_minor", "", "This field is required."),
        ("per_buyer_limit", "1", "nobody could buy"),
    ],
)
def test_what_makes_no_sense_is_refused_with_all_the_rest(owner, field, value, why):
    one, two, _three = three_variants()
    Variant.objects.filter(pk=one.pk).update(min_quantity=2)
    typed = {f"{field}_{one.pk}": value, f"price_minor_{two.pk}": "13"}
    answer = owner.post(VARIANTS, sent_back(owner.get(VARIANTS), **typed))
    assert (answer.status_code, why in answer.content.decode()) == (200, True)
    assert prices() == [1000, 1000, 1000]


def test_a_row_that_was_deleted_meanwhile_keeps_nobody_from_the_others(owner):
    made = [Category.objects.create(shop=the_shop(), slug=f"c{at}", name=f"C{at}") for at in range(3)]
    page = owner.get("/admin/inventory/category/")
    typed = sent_back(page, **{f"position_{made[2].pk}": "7", f"position_{made[0].pk}": "5"})
    made[0].delete()

    answer = owner.post("/admin/inventory/category/", typed, follow=True)

    assert list(Category.objects.order_by("pk").values_list("position", flat=True)) == [0, 7]
    assert "1 row was deleted meanwhile." in answer.content.decode()


def test_a_variant_that_is_sold_through_a_line_can_be_edited_in_the_list(owner):
    variant = make_variant(price_minor=1000, selling=Selling.QUEUED)
    sent = sent_back(owner.get(VARIANTS), **{f"price_minor_{variant.pk}": "12"})
    assert owner.post(VARIANTS, sent).status_code == 302
    assert (prices(), Sale.objects.filter(variant=variant).exists()) == ([1200], True)


def test_who_may_only_look_sees_prices_and_no_inputs():
    make_variant(price_minor=1000)
    viewer = logged_in(make_member(the_shop(), Role.VIEWER))
    page = viewer.get(VARIANTS).content.decode()
    assert "¥10.00" in page
    assert 'name="form-0-price_minor"' not in page
    assert viewer.post(VARIANTS, {"_save": "Save", "form-TOTAL_FORMS": 0}).status_code == 403
    chosen = {"action": "change_prices", "_selected_action": [1], "index": 0}
    viewer.post(VARIANTS, chosen)
    assert prices() == [1000]


# Many at once


def chosen(action: str, rows: list[Any], **more: Any) -> dict[str, Any]:
    return {"action": action, "_selected_action": [row.pk for row in rows], **more}


def test_many_are_put_on_sale_and_taken_off(owner):
    one, two, three = three_variants()
    Variant.objects.filter(pk=one.pk).update(is_active=False)
    assert owner.post(VARIANTS, chosen("take_off_sale", [one, two], index=0)).status_code == 302
    assert list(Variant.objects.order_by("pk").values_list("is_active", flat=True)) == [False, False, True]
    assert [entry.of_id for entry in AuditEntry.objects.all()] == [str(two.pk)]
    page = owner.post(VARIANTS, chosen("put_on_sale", [one, two, three], index=0), follow=True)
    assert "2 were changed." in page.content.decode()

    owner.post(PRODUCTS, chosen("unlist_selected", [one.product, two.product], index=0))
    assert list(Product.objects.order_by("pk").values_list("is_listed", flat=True)) == [False, False, True]
    owner.post(PRODUCTS, chosen("list_selected", [one.product], index=0))
    assert Product.objects.filter(is_listed=True).count() == 2


@pytest.mark.parametrize(
    ("way", "value", "expected"),
    [
        ("up_percent", "12.5", [1125, 1126, 1000]),  # half a minor unit goes up
        ("down_percent", "99.9", [1, 1, 1000]),
        ("up_amount", "0.50", [1050, 1051, 1000]),
        ("down_amount", "9", [100, 101, 1000]),
        ("to_amount", "7.77", [777, 777, 1000]),
    ],
)
def test_prices_are_changed_as_they_were_shown_beforehand(owner, way, value, expected):
    one, two, _three = three_variants()
    Variant.objects.filter(pk=two.pk).update(price_minor=1001)
    asked = owner.post(VARIANTS, chosen("change_prices", [one, two], index=0))
    assert "2 variants are selected." in asked.content.decode()
    said = {"way": way, "value": value}
    preview = owner.post(VARIANTS, chosen("change_prices", [one, two], step="preview", **said))
    lines = preview.context["lines"]
    assert prices() == [1000, 1001, 1000]

    shown = [line.shown for line in lines]
    saved = owner.post(VARIANTS, chosen("change_prices", [one, two], step="save", shown=shown, **said))

    assert (saved.status_code, prices()) == (302, expected)
    assert {entry.of_id for entry in AuditEntry.objects.all()} == {str(one.pk), str(two.pk)}


def test_prices_that_are_others_than_were_shown_are_shown_again(owner):
    one, two, _three = three_variants()
    said = {"way": "up_percent", "value": "10"}
    preview = owner.post(VARIANTS, chosen("change_prices", [one, two], step="preview", **said))
    shown = [line.shown for line in preview.context["lines"]]
    save = chosen("change_prices", [one, two], step="save", shown=shown, **said)

    other = owner.post(VARIANTS, {**save, "value": "20"})
    assert "look at the new prices first" in other.content.decode()
    Variant.objects.filter(pk=two.pk).update(price_minor=2000)
    met = owner.post(VARIANTS, save)

    assert f"Somebody else has changed meanwhile: {Variant.objects.get(pk=two.pk)}." in met.content.decode()
    assert [line.then for line in met.context["lines"]] == ["¥11.00", "¥22.00"]
    assert prices() == [1000, 2000, 1000]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"way": "down_percent", "value": "100"}, "No price would be left of: "),
        ({"way": "down_amount", "value": "10"}, "No price would be left of: "),
        ({"way": "up_percent", "value": "ten"}, "Enter a number such as 12.5."),
        ({"way": "up_percent", "value": "1000.01"}, "Enter a number such as 12.5."),
        ({"way": "to_amount", "value": "9.999"}, "Enter a number such as 12.5."),
        ({"way": "sideways", "value": "1"}, "Select a valid choice."),
        ({"way": "up_amount", "value": ""}, "This field is required."),
    ],
)
def test_no_other_change_of_prices_is_taken(owner, said, why):
    one, _two, _three = three_variants()
    answer = owner.post(VARIANTS, chosen("change_prices", [one], step="save", shown="", **said))
    assert (answer.status_code, why in answer.content.decode()) == (200, True)
    assert prices() == [1000, 1000, 1000]


def test_an_amount_fits_one_currency_only(owner):
    one, two, _three = three_variants()
    Variant.objects.filter(pk=two.pk).update(currency="JPY")
    said = {"way": "up_amount", "value": "1"}
    answer = owner.post(VARIANTS, chosen("change_prices", [one, two], step="preview", **said))
    assert "several currencies" in answer.content.decode()


def test_variants_of_another_shop_stay_as_they_are(owner):
    theirs = make_variant(shop=make_shop("beta"), price_minor=500)
    said = {"way": "to_amount", "value": "1", "shown": f"{theirs.pk}:500:100"}
    owner.post(VARIANTS, chosen("change_prices", [theirs], step="save", **said))
    owner.post(VARIANTS, chosen("take_off_sale", [theirs], index=0))
    theirs.refresh_from_db()
    assert (theirs.price_minor, theirs.is_active) == (500, True)
