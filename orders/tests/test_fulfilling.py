"""What a person fills in: promised, missing, filled in part by part, replaced, late, refunded."""

from datetime import timedelta

import pytest
from django.core import mail

from cardshop.common.clock import db_now
from cardshop.common.errors import Invalid
from cardshop.outbox.models import OutboxMessage
from inventory import stock
from inventory.models import CardKey, KeyBatch
from orders.errors import FilledInMeanwhile, NothingFilledIn, NotToBeReplaced
from orders.models import DeliveredKey, Order, OrderItem, Reservation
from orders.selectors import revealed_keys
from orders.services.delivery import deliver_orders
from orders.services.fulfilling import (
    OVERDUE,
    fill_in,
    missing_slots,
    put_overdue_before_person,
    replace,
    waiting_lines,
)
from orders.services.giving_back import begin_giving_back, finish_giving_back, keep_after_all
from orders.services.mail import mail_delivered_orders
from tests.factories import counters, make_by_hand, make_order, make_variant, pay_order
from tests.race.racing import broken_invariants

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _books_balance():
    """But for the money: these tests give lines back without asking a provider."""
    yield
    assert [found for found in broken_invariants() if "refunds_and_lines_agree" not in found] == []


def paid(variant=None, quantity=1, **kwargs):
    order = make_order(variant or make_by_hand(), quantity=quantity, **kwargs)
    pay_order(order)
    deliver_orders([order.pk], db_now())
    order.refresh_from_db()
    return order


def fill(order, *texts, actor="lin"):
    """The first missing slots of its first line."""
    ((line, slots),) = missing_slots(order).items()
    given = {(line, slot): text for slot, text in zip(slots, texts, strict=False)}
    return fill_in(order, given, actor=actor, now=db_now())


def keys_of(order):
    return [key for _item, keys in revealed_keys(order) for key in keys]


def status(order):
    order.refresh_from_db()
    return order.status, order.items.first().status


def mails(order):
    return OutboxMessage.objects.filter(task="orders.mail_delivery", subject_id=order.pk).count()


def reasons(order):
    return [event.reason for event in order.events.all()]


def test_a_paid_order_waits_for_a_person_until_the_promised_time():
    order = paid(make_by_hand(within=12))

    (line,) = waiting_lines()
    assert status(order) == ("paid", "open")
    assert line.order == order
    assert timedelta(hours=11) < line.due_at - db_now() < timedelta(hours=12)
    assert DeliveredKey.objects.count() == mails(order) == 0


def test_what_is_promised_is_frozen_with_the_order():
    variant = make_by_hand(within=12)
    order = make_order(variant)
    variant.fulfil_within_hours = 48
    variant.save()

    pay_order(order)

    assert order.items.get().due_at - db_now() < timedelta(hours=12)


def test_filled_in_it_is_delivered_and_its_buyer_told():
    order = paid(quantity=2)

    assert fill(order, "account A", "account B\npassword: b")

    assert status(order) == ("delivered", "delivered")
    assert keys_of(order) == ["account A", "account B\npassword: b"]
    assert mails(order) == 1
    assert not waiting_lines().exists()
    batch = KeyBatch.objects.get()
    assert (batch.origin, batch.imported, batch.note) == ("typed", 2, order.number)
    assert {key.status for key in CardKey.objects.all()} == {"sold"}
    assert b"account A" not in b"".join(bytes(key.sealed) for key in CardKey.objects.all())


def test_in_part_it_shows_what_is_missing_and_what_is_there_goes_out():
    order = paid(quantity=3)

    assert not fill(order, "one", "two")

    (slots,) = missing_slots(order).values()
    assert slots == [2]
    assert status(order) == ("paid", "open")
    assert keys_of(order) == ["one", "two"]
    mail_delivered_orders([order.pk], db_now())
    Order.objects.update(language="en")
    mail_delivered_orders([order.pk], db_now())
    assert "still being prepared" in mail.outbox[-1].body

    assert fill(order, "three")
    assert keys_of(order) == ["one", "two", "three"]
    assert mails(order) == 2


def test_the_same_words_may_go_to_many_buyers():
    for _ in range(2):
        fill(paid(), "done, enjoy")

    assert Order.objects.filter(status="delivered").count() == 2


@pytest.mark.parametrize("text", ["", "   ", "x" * 2001, "a\0b", "a\u202eb", "a\ud800"])
def test_what_cannot_be_shown_is_refused_and_nothing_changes(text):
    order = paid(quantity=2)

    with pytest.raises(Invalid) as refused:
        fill(order, "good", text)

    assert "good" not in str(refused.value)
    assert keys_of(order) == []


def test_nothing_entered_is_nothing_done():
    order = paid()
    with pytest.raises(NothingFilledIn):
        fill_in(order, {}, actor="lin", now=db_now())


def test_a_slot_that_is_filled_or_of_another_order_is_refused():
    order, other = paid(quantity=2), paid()
    fill(order, "one")
    item, others = order.items.get(), other.items.get()

    for given in (
        {(item.pk, 0): "again", (item.pk, 1): "x"},
        {(item.pk, 2): "beyond"},
        {(item.pk, -1): "before"},
        {(others.pk, 0): "a stranger's"},
    ):
        with pytest.raises(FilledInMeanwhile):
            fill_in(order, given, actor="lin", now=db_now())

    assert keys_of(order) == ["one"]
    assert keys_of(other) == []


def test_an_unpaid_order_and_one_of_card_keys_are_not_filled_in():
    unpaid, by_key = make_order(make_by_hand()), make_order(make_variant(keys=1))
    pay_order(by_key)
    for order in (unpaid, by_key):
        with pytest.raises(FilledInMeanwhile):
            fill_in(order, {(order.items.get().pk, 0): "x"}, actor="lin", now=db_now())


def test_replacing_mails_again_and_keeps_what_it_was():
    order = paid(quantity=2)
    fill(order, "wrong", "fine")
    wrong = DeliveredKey.objects.get(slot=0)

    replace(wrong, "right", actor="mei", now=db_now())

    assert keys_of(order) == ["right", "fine"]
    assert mails(order) == 2
    wrong.refresh_from_db()
    assert wrong.replaced_by.card_key.status == "sold"
    assert wrong.card_key.status == "void"
    with pytest.raises(NotToBeReplaced):
        replace(wrong, "left", actor="lin", now=db_now())


def test_a_card_key_from_an_import_is_not_replaced_by_typing():
    order = make_order(make_variant(keys=1))
    pay_order(order)
    deliver_orders([order.pk], db_now())

    with pytest.raises(NotToBeReplaced):
        replace(DeliveredKey.objects.get(), "typed", actor="lin", now=db_now())


def test_late_it_is_put_before_a_person_once_and_filled_in_it_is_fine_again():
    order = paid(make_by_hand(within=1))
    assert put_overdue_before_person(db_now()) == 0

    late = db_now() + timedelta(hours=1, minutes=1)
    assert put_overdue_before_person(late) == 1
    assert put_overdue_before_person(late) == 0

    order.refresh_from_db()
    assert order.attention == OVERDUE
    fill(order, "sorry, here it is")
    order.refresh_from_db()
    assert order.attention == ""


@pytest.fixture
def mixed():
    """Paid, with a line to fill in and one that has a card key."""
    order, other = make_order(make_by_hand()), make_variant(keys=1, price_minor=110)
    line = OrderItem.objects.create(
        order=order, variant=other, product_name="b", variant_name="b", unit_price_minor=110, quantity=1
    )
    held = stock.claim(variant_id=other.pk, quantity=1)
    Reservation.objects.create(item=line, stock_id=held, quantity=1)
    Order.objects.update(total_minor=1100)
    order.refresh_from_db()
    pay_order(order)
    return order


def test_of_a_mixed_order_the_key_does_not_wait_for_the_person(mixed):
    for _ in range(2):
        deliver_orders([mixed.pk], db_now())

    assert [item.status for item in mixed.items.order_by("pk")] == ["open", "delivered"]
    assert len(keys_of(mixed)) == 1
    assert mails(mixed) == 1

    assert fill(mixed, "by hand")
    assert status(mixed)[0] == "delivered"


def test_nor_the_person_for_the_key(mixed):
    assert not fill(mixed, "by hand")

    deliver_orders([mixed.pk], db_now())

    assert status(mixed)[0] == "delivered"
    assert reasons(mixed).count("keys handed over") == 1


def give_back(order, *, to_the_end):
    item = order.items.get()
    assert begin_giving_back(item)
    if to_the_end:
        finish_giving_back(order, item, actor="lin", now=db_now())
    else:
        keep_after_all(order, item, reason="refund declined", actor="lin", now=db_now())


def test_while_the_money_goes_back_nobody_fills_in():
    order = paid()
    begin_giving_back(order.items.get())

    with pytest.raises(FilledInMeanwhile):
        fill_in(order, {(order.items.get().pk, 0): "x"}, actor="lin", now=db_now())

    finish_giving_back(order, order.items.get(), actor="lin", now=db_now())


def test_refunded_before_anything_was_filled_in_the_unit_is_for_sale_again():
    variant = make_by_hand(free=1)
    order = paid(variant)

    give_back(order, to_the_end=True)

    assert status(order) == ("refunded", "refunded")
    assert counters(variant) == (1, 1, 0)


def test_refunded_in_the_middle_what_is_there_stays_the_buyers():
    variant = make_by_hand(free=3)
    order = paid(variant, quantity=3)
    fill(order, "one")

    give_back(order, to_the_end=True)

    assert keys_of(order) == ["one"]
    assert counters(variant) == (3, 3, 3)


def test_a_refund_that_fails_in_the_middle_leaves_the_rest_to_be_filled_in():
    order = paid(quantity=2)
    fill(order, "one")

    give_back(order, to_the_end=False)

    assert status(order) == ("paid", "open")
    assert fill(order, "two")
