"""The merchant's pages of what is filled in by hand, its stock, and the text for every buyer."""

import re

import pytest

from cardshop.common.clock import db_now
from inventory.models import CardKey, Fulfilment, Variant
from orders.models import DeliveredKey, OrderItem
from orders.selectors import revealed_keys
from orders.services.fulfilling import fill_in
from tests.factories import (
    counters,
    make_by_hand,
    make_order,
    make_reusable,
    make_variant,
    pay_order,
)
from tests.staff import logged_in, make_boss, make_clerk

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/orders/orderitem/"


@pytest.fixture
def boss():
    return logged_in(make_boss())


def paid(variant=None, quantity=1, **kwargs):
    order = make_order(variant or make_by_hand(), quantity=quantity, **kwargs)
    pay_order(order)
    return order


def page_of(order):
    return f"{LIST}order/{order.pk}/"


def keys_of(order):
    return [key for _item, keys in revealed_keys(order) for key in keys]


def status(order):
    order.refresh_from_db()
    return order.status


def post(client, order, seen, follow=True, **typed):
    item = order.items.get()
    fields = {name.replace("ITEM", str(item.pk)).replace("_", "-"): text for name, text in typed.items()}
    return client.post(page_of(order), {"seen": f"{item.pk}:{seen}", **fields}, follow=follow)


def test_what_waits_is_listed_the_most_urgent_first_and_counted(boss, django_assert_max_num_queries):
    later, sooner = paid(make_by_hand(within=48)), paid(make_by_hand(within=2))
    paid(make_variant(keys=1))

    with django_assert_max_num_queries(16):
        page = boss.get(LIST).content.decode()

    assert page.index(sooner.number) < page.index(later.number)
    assert "1 of 1" in page
    today = boss.get("/admin/").content.decode()
    assert "To be filled in" in today
    assert "none is overdue" in today


def test_the_sidebar_counts_what_waits_and_says_nothing_of_nothing(boss):
    def counted() -> list[str]:
        _, _, entry = boss.get("/admin/").content.decode().partition(f'href="{LIST}"')
        return re.findall(r"<span[^>]*bg-red-100[^>]*>\s*(\S*)\s*</span>", entry.partition("</a>")[0])

    assert counted() == []
    paid()
    assert counted() == ["1"]


def test_what_is_overdue_says_so(boss):
    paid()
    OrderItem.objects.update(due_at="2026-01-01T00:00:00Z")

    assert "overdue" in boss.get(LIST).content.decode()
    assert "1 overdue" in boss.get("/admin/").content.decode()


def test_filled_in_slot_by_slot_and_by_pasted_lines(boss):
    variant = make_by_hand(asks=[{"name": "角色编号", "max_length": 20}])
    order = paid(variant, quantity=3, answers={str(variant.buyer_fields.get().pk): "hero-0071"})
    page = boss.get(page_of(order)).content.decode()
    assert "hero-0071" in page
    item = order.items.get()
    assert f'value="{item.pk}:0,1,2"' in page

    answer = post(boss, order, "0,1,2", slot_ITEM_1="two\nlines", lines_ITEM="first\r\n\r\nthird\r\n")

    assert "its buyer is told" in answer.content.decode()
    assert answer.redirect_chain[-1][0] == LIST
    assert keys_of(order) == ["first", "two\nlines", "third"]
    assert status(order) == "delivered"
    assert boss.get(page_of(order)).status_code == 200


def test_in_part_it_says_how_many_are_missing(boss):
    order = paid(quantity=3)

    page = post(boss, order, "0,1,2", lines_ITEM="word 1").content.decode()

    assert "2 are missing" in page
    assert "word 1" not in page
    assert (status(order), keys_of(order)) == ("paid", ["word 1"])


def test_the_second_of_two_people_is_told_and_nothing_of_theirs_is_taken(boss):
    order = paid(quantity=2)
    post(boss, order, "0,1", lines_ITEM="mine")

    page = post(boss, order, "0,1", lines_ITEM="yours\nyours too").content.decode()

    assert "somebody has filled in some of this meanwhile" in page
    assert "yours" not in page
    assert keys_of(order) == ["mine"]


@pytest.mark.parametrize(
    "change",
    [
        {"seen": ""},
        {"seen": "x:y"},
        {"seen": "1:2:3"},
        {"seen": f"{2**70}:0"},
        {"lines-ITEM": "a\nb\nc"},
        {"slot-ITEM-0": "a\0b"},
        {"slot-ITEM-0": "x" * 10_240},
    ],
)
def test_a_form_of_another_shape_changes_nothing(boss, change):
    order = paid(quantity=2)
    item = order.items.get()
    change = {name.replace("ITEM", str(item.pk)): value for name, value in change.items()}

    answer = boss.post(page_of(order), {"seen": f"{item.pk}:0,1", **change}, follow=True)

    assert answer.status_code == 200
    assert keys_of(order) == []


def test_it_is_replaced_on_the_same_page(boss):
    order = paid()
    fill_in(order, {(order.items.get().pk, 0): "wrong"}, actor="lin", now=db_now())
    delivered = DeliveredKey.objects.get()
    page = boss.get(page_of(order)).content.decode()
    assert f'name="delivered" value="{delivered.pk}"' in page
    assert "wrong" not in page

    for text, said in (("right", "It is replaced"), ("left", "Nothing was replaced")):
        answer = boss.post(page_of(order), {"delivered": delivered.pk, "text": text}, follow=True)
        assert said in answer.content.decode()
    boss.post(page_of(order), {"delivered": 2**70, "text": "x"}, follow=True)
    boss.post(page_of(order), {"delivered": "", "text": "x"}, follow=True)

    assert keys_of(order) == ["right"]


def test_who_may_only_look_fills_in_nothing_and_who_may_not_sees_nothing():
    order = paid()
    looker = logged_in(make_clerk("orders.view_order"))
    stranger = logged_in(make_clerk("inventory.view_product", username="other"))

    assert looker.get(page_of(order)).status_code == 200
    assert post(looker, order, "0", slot_ITEM_0="x").status_code == 403
    for address in (LIST, page_of(order)):
        assert stranger.get(address).status_code == 403
    assert keys_of(order) == []


def test_the_orders_page_leads_there(boss):
    order, other = paid(), paid(make_variant(keys=1))

    assert page_of(order) in boss.get(f"/admin/orders/order/{order.pk}/change/").content.decode()
    assert LIST + "order/" not in boss.get(f"/admin/orders/order/{other.pk}/change/").content.decode()
    assert boss.get(page_of(other)).status_code == 404
    line = boss.get(f"{LIST}{order.items.get().pk}/change/")
    assert line.headers["Location"] == page_of(order)


def stock_page(variant):
    return f"/admin/inventory/variant/{variant.pk}/stock/"


def test_stock_of_what_is_filled_in_is_set_on_its_page(boss):
    variant = make_by_hand(free=0)
    pay_order(make_order_of(variant))

    boss.post(stock_page(variant), {"free": "7"})
    assert counters(variant) == (8, 8, 1)
    boss.post(stock_page(variant), {"is_unlimited": "on", "free": ""})
    assert counters(variant) == (None, None, 1)
    for bad in ("", "-1", "x", str(2**70)):
        assert boss.post(stock_page(variant), {"free": bad}).status_code == 200
    assert counters(variant) == (None, None, 1)


def make_order_of(variant):
    from inventory.setting import set_free

    set_free(variant, 1)
    return make_order(variant)


def test_the_text_for_every_buyer_is_entered_there_and_never_shown(boss):
    variant = make_variant(fulfilment=Fulfilment.REUSABLE)
    missing = boss.post(stock_page(variant), {"is_unlimited": "on"})
    assert missing.status_code == 200
    assert counters(variant) == (0, 0, 0)

    boss.post(stock_page(variant), {"text": "link 1\r\npassword", "free": "3"})
    assert counters(variant) == (3, 3, 0)
    boss.post(stock_page(variant), {"text": "", "free": "4"})

    assert counters(variant) == (4, 4, 0)
    assert CardKey.objects.count() == 1
    assert "link 1" not in boss.get(stock_page(variant)).content.decode()
    refused = boss.post(stock_page(variant), {"text": "link 2\0", "free": "4"})
    assert refused.status_code == 200
    assert "link 2" not in refused.content.decode()


def test_stock_of_card_keys_is_its_keys(boss):
    answer = boss.get(stock_page(make_variant(keys=1)))
    assert answer.headers["Location"] == "/admin/inventory/keybatch/import/"


def variant_form(variant, **changes):
    return {
        "name": variant.name,
        "code": variant.code,
        "price": "9.90",
        "currency": "CNY",
        "min_quantity": 1,
        "max_quantity": 10,
        "selling": variant.selling,
        "fulfilment": variant.fulfilment,
        "is_active": "on",
        "position": 0,
        "buyer_fields-TOTAL_FORMS": 0,
        "buyer_fields-INITIAL_FORMS": 0,
        **changes,
    }


def change(boss, variant, **changes):
    address = f"/admin/inventory/variant/{variant.pk}/change/"
    answer = boss.post(address, variant_form(variant, **changes))
    return answer, Variant.objects.get(pk=variant.pk)


def test_the_kind_is_chosen_on_the_variants_page_while_it_can_be(boss):
    variant = make_variant()

    answer, _ = change(boss, variant, fulfilment="manual")
    assert "within how many hours" in answer.content.decode()
    _, changed = change(boss, variant, fulfilment="manual", fulfil_within_hours="8")
    assert (changed.fulfilment, changed.promised_hours) == ("manual", 8)

    stocked = make_reusable(code="link")
    answer, changed = change(boss, stocked, fulfilment="card_key")
    assert "There is stock of it" in answer.content.decode()
    assert changed.fulfilment == "reusable"


def test_questions_are_set_on_the_variants_page_and_not_for_a_line(boss):
    variant = make_by_hand(free=1)

    def asking(count, **changes):
        fields = {"buyer_fields-TOTAL_FORMS": count}
        for at in range(count):
            name = f"buyer_fields-{at}"
            fields |= {f"{name}-position": at + 1, f"{name}-name": f"第{at}问", f"{name}-kind": "text"}
            fields |= {f"{name}-max_length": 20, f"{name}-is_required": "on"}
        return change(boss, variant, fulfil_within_hours="8", **fields, **changes)

    answer, _ = asking(2, selling="queued")
    assert "cannot be asked anything" in answer.content.decode()
    assert asking(6)[0].status_code == 200
    assert not variant.buyer_fields.exists()
    assert asking(5)[0].status_code == 302
    assert variant.buyer_fields.count() == 5
