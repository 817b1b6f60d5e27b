"""Orders read, filled in, put right and paid back by program, by the rules of the administration."""

import pytest

from cardshop.common.clock import db_now
from cardshop.merchant_api.tests.calling import API, make_own, write
from cardshop.outbox.models import OutboxMessage
from cardshop.shops.models import Shop
from inventory.key_requests import grant
from inventory.models import CardKey, KeyAccess, KeyRequest
from orders.models import DeliveredKey, OrderEvent
from orders.selectors import revealed_keys
from orders.services.delivery import deliver_orders
from payments.models import Refund
from resellers.models import IdempotentWrite
from tests.factories import make_by_hand, make_order, make_variant, pay_order

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]


def delivered(keys: int = 2, **terms):
    order = make_order(make_variant(keys=keys + 2), quantity=keys, **terms)
    pay_order(order)
    deliver_orders([order.pk], db_now())
    order.refresh_from_db()
    return order


def to_fill_in(quantity: int = 2):
    variant = make_by_hand(asks=[{"name": "账号"}])
    field = variant.buyer_fields.get()
    order = make_order(variant, quantity=quantity, answers={str(field.pk): "lin-7"})
    pay_order(order)
    return order


def in_clear(order) -> list[str]:
    return [key for _item, keys in revealed_keys(order) for key in keys]


def test_orders_are_found_by_what_is_known_of_them():
    order, own = delivered(contact_email="Lin@example.org"), make_own()
    make_order(make_variant(keys=1))

    for asked in (
        *(f"number={order.number.lower()}", "contact_email=lin@EXAMPLE.org"),
        *("status=delivered", "limit=1"),
    ):
        (found,) = own.call(f"{API}orders/?{asked}").json()["orders"]
        assert found["number"] == order.number
    assert own.call(f"{API}orders/?needs_attention=true").json()["orders"] == []


def test_an_order_is_told_in_full_and_without_its_keys():
    order = delivered()

    answer = make_own().call(f"{API}orders/{order.number}/")

    (line,) = answer.json()["lines"]
    assert [slot["slot"] for slot in line["delivered"]] == [0, 1]
    assert (line["missing"], line["answers"]) == ([], [])
    (money,) = answer.json()["money"]
    assert (money["amount_minor"], money["refundable_minor"]) == (order.total_minor, order.total_minor)
    assert not any(key in answer.content.decode() for key in in_clear(order))


def test_what_was_made_by_hand_is_handed_over_once():
    order, own = to_fill_in(), make_own()
    (line,) = own.call(f"{API}orders/{order.number}/").json()["lines"]
    assert (line["missing"], line["answers"]) == ([0, 1], [{"name": "账号", "value": "lin-7"}])
    texts = [{"line": line["id"], "slot": slot, "text": f"CANARY-{slot}"} for slot in (0, 1)]

    first = write(own, f"orders/{order.number}/fill-in/", {"texts": texts[:1]}, key="fill-in-1")
    again = write(own, f"orders/{order.number}/fill-in/", {"texts": texts[:1]}, key="fill-in-1")
    anew = write(own, f"orders/{order.number}/fill-in/", {"texts": texts[:1]}, key="fill-in-2")
    rest = write(own, f"orders/{order.number}/fill-in/", {"texts": texts[1:]}, key="fill-in-3")

    assert (first.status_code, first.json()["lines"][0]["missing"]) == (200, [1])
    assert again.json() == first.json()
    assert (anew.status_code, anew.json()["code"]) == (409, "filled_in_meanwhile")
    assert rest.json()["status"] == "delivered"
    assert in_clear(order) == ["CANARY-0", "CANARY-1"]
    assert OrderEvent.objects.filter(order=order, actor=f"ERP ({own.key.name})").count() == 2
    assert "CANARY" not in first.content.decode() + str(list(IdempotentWrite.objects.values()))


def test_a_text_that_was_wrong_gives_way_to_another():
    order, own = to_fill_in(quantity=1), make_own()
    line = order.items.get().pk
    said = {"line": line, "slot": 0, "text": "wrong"}
    write(own, f"orders/{order.number}/fill-in/", {"texts": [said]})

    answer = write(own, f"orders/{order.number}/corrections/", {**said, "text": "right"})
    elsewhere = write(own, f"orders/{order.number}/corrections/", {**said, "slot": 1})

    assert (answer.status_code, elsewhere.json()["code"]) == (200, "not_to_be_replaced")
    assert in_clear(order) == ["right"]


def test_bad_keys_are_replaced_once():
    order, own = delivered(), make_own()
    before = in_clear(order)
    said = {"line": order.items.get().pk, "slots": [1], "reason": "used already"}

    answer = write(own, f"orders/{order.number}/replacements/", said, key="replace-1")
    again = write(own, f"orders/{order.number}/replacements/", said, key="replace-1")

    assert (answer.json(), again.json()) == ({"replaced": 1}, {"replaced": 1})
    now = in_clear(order)
    assert (now[0], now[1] != before[1]) == (before[0], True)
    assert CardKey.objects.filter(status="void").count() == 1
    beyond = write(own, f"orders/{order.number}/replacements/", {**said, "slots": [0, 2]})
    assert beyond.json()["code"] == "not_replaceable"


def test_the_buttons_of_an_orders_page():
    order, own = delivered(), make_own()
    OutboxMessage.objects.all().delete()

    assert write(own, f"orders/{order.number}/help/mail/").status_code == 200
    assert write(own, f"orders/{order.number}/help/deliver/").json()["code"] == "nothing_to_do"
    assert write(own, f"orders/{order.number}/help/dance/").status_code == 404

    assert list(OutboxMessage.objects.values_list("task", flat=True)) == ["orders.mail_delivery"]


def test_a_refund_is_asked_for_once_and_waits_where_two_are_wanted():
    order, own = delivered(), make_own()
    Shop.objects.update(refunds_need_two=True)
    said = {"line": order.items.get().pk, "reason": "does not work"}

    first = write(own, f"orders/{order.number}/refunds/", said, key="refund-1")
    again = write(own, f"orders/{order.number}/refunds/", said, key="refund-1")
    anew = write(own, f"orders/{order.number}/refunds/", said, key="refund-2")

    assert first.status_code == 202, first.content
    assert (first.json()["status"], first.json()["amount_minor"]) == ("awaited", order.total_minor)
    assert again.json() == first.json()
    assert (anew.status_code, anew.json()["code"]) == (409, "not_refundable")
    refund = Refund.objects.get()
    assert refund.requested_by == f"ERP ({own.key.name})"
    assert own.call(f"{API}refunds/{refund.out_refund_no}/").json() == first.json()
    assert own.call(f"{API}refunds/?status=awaited").json()["refunds"] == [first.json()]


def test_a_part_of_the_money_goes_back_without_a_line():
    order, own = delivered(), make_own()
    (money,) = own.call(f"{API}orders/{order.number}/").json()["money"]
    said = {"money": money["id"], "amount_minor": 100, "reason": "late"}

    answer = write(own, f"orders/{order.number}/refunds/", said)

    assert (answer.json()["status"], answer.json()["amount_minor"], answer.json()["line"]) == (
        *("requested", 100),
        None,
    )
    neither = write(own, f"orders/{order.number}/refunds/", {"reason": "late"})
    foreign = write(own, f"orders/{order.number}/refunds/", {"line": 1, "reason": "late"})
    assert (neither.json()["code"], foreign.json()["code"]) == ("invalid", "not_refundable")


def test_a_key_is_shown_after_it_was_noted():
    order, own = delivered(keys=1), make_own()
    slot = DeliveredKey.objects.get()

    answer = write(own, f"card-keys/{slot.card_key_id}/reveal/", {"why": "the buyer's mail is lost"})

    assert (answer.status_code, [answer.json()["secret"]]) == (200, in_clear(order))
    access = KeyAccess.objects.get()
    assert (access.who, access.why) == (f"ERP ({own.key.name})", "the buyer's mail is lost")
    again = write(own, f"key-requests/{answer.json()['request']}/reveal/")
    assert (again.status_code, again.json()["code"]) == (409, "not_granted")


def test_where_two_are_wanted_a_key_is_shown_once_somebody_has_approved():
    order, own, other = delivered(keys=1), make_own(), make_own(label="ERP")
    Shop.objects.update(key_export_needs_two=True)
    slot = DeliveredKey.objects.get()

    answer = write(own, f"card-keys/{slot.card_key_id}/reveal/", {"why": "a complaint"})

    assert (answer.status_code, answer.json()["secret"], answer.json()["status"]) == (202, None, "awaited")
    use = f"key-requests/{answer.json()['request']}/reveal/"
    assert write(own, use).json()["code"] == "not_granted"
    grant(KeyRequest.objects.get(), actor="boss", now=db_now())
    assert write(other, use).json()["code"] == "not_granted"
    assert write(own, use).json()["secret"] == in_clear(order)[0]


def test_figures_by_day():
    order, own = delivered(), make_own()

    said = own.call(f"{API}statistics/days/?days=2").json()

    (day,) = said["days"]
    assert (day["currency"], day["orders"], day["revenue_minor"]) == ("CNY", 1, order.total_minor)
    assert own.call(f"{API}statistics/days/?days=0").status_code == 400
