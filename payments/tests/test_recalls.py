"""A bad batch: taken out of sale, its buyers found, and all of them helped in one action."""

import pytest
from django.core import mail

from cardshop.common.clock import db_now
from cardshop.outbox.models import OutboxMessage
from cardshop.shops.models import Shop
from inventory.card_keys import reveal
from inventory.models import CardKey, KeyAccess, KeyBatch
from inventory.tasks import void_batch
from orders.models import DeliveredKey, Order
from orders.selectors import revealed_keys
from orders.services.delivery import deliver_orders
from orders.tasks import mail_replacement
from payments.gateways.base import Ability
from payments.models import KeyRecall, Refund
from payments.services import recalls as subject
from payments.services.recalls import (
    NO_KEYS_LEFT,
    NO_REFUND,
    NobodyHasAny,
    RecallUnderWay,
    approve_recall,
    decline_recall,
    go_on_with,
    recall_batch,
)
from payments.services.refunds import OwnRequest, request_refund
from payments.tasks import cover_shortage, recall_keys, send_refunds
from payments.tests.refunder import refunding_channel
from tests.factories import (
    counters,
    make_attempt,
    make_order,
    make_variant,
    paid_evidence,
    settle_evidence,
    stock_up,
)
from tests.race.racing import broken_invariants
from tests.staff import logged_in, make_boss, make_clerk

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("refunder")]


def bought(variant, quantity=1, email="lin@example.org"):
    order = make_order(variant, quantity=quantity, contact_email=email)
    attempt = make_attempt(order, refunding_channel())
    settle_evidence(attempt.channel, paid_evidence(attempt))
    deliver_orders([order.pk], db_now())
    order.refresh_from_db()
    assert order.status == "delivered"
    return order


@pytest.fixture
def sold():
    """Three orders of one, two and one keys of a bad batch of five."""
    variant = make_variant(keys=5)
    batch = KeyBatch.objects.get()
    return batch, variant, [bought(variant, 1), bought(variant, 2, "mei@example.org"), bought(variant, 1)]


def keys_of(order):
    return [key for _item, keys in revealed_keys(order) for key in keys]


def recall(batch, way, **asked):
    asked = {"reason": "already used", "actor": "boss", "now": db_now(), **asked}
    return recall_batch(batch, way, **asked)


def at_its_end(batch):
    recalled = KeyRecall.objects.get(batch=batch)
    return recalled.status, recalled.done, recalled.failed


def test_all_buyers_get_new_keys_and_a_mail(sold):
    batch, variant, orders = sold
    before = [keys_of(order) for order in orders]
    fresh = stock_up(variant, 6)
    asked_at = db_now()

    recall(batch, "replace")
    recall_keys()
    mail_replacement()

    assert at_its_end(batch) == ("ended", 3, 0)
    assert [keys_of(order) for order in orders] == [fresh[:1], fresh[1:3], fresh[3:4]]
    assert not set(fresh) & {key for keys in before for key in keys}
    assert set(CardKey.objects.filter(batch=batch).values_list("status", "void_because")) == {
        ("void", "replaced"),
        ("void", "withdrawn"),
    }
    assert counters(variant) == (6, 6, 4)
    assert Order.objects.filter(delivered_at__gt=asked_at).count() == 3  # they may complain anew
    assert [sent.to for sent in mail.outbox] == [[order.contact_email] for order in orders]
    assert not any(key in sent.body for sent in mail.outbox for key in fresh)
    assert broken_invariants() == []


def test_all_buyers_get_their_money(sold, refunder):
    batch, variant, _orders = sold

    recall(batch, "refund")
    recall_keys()
    send_refunds()

    assert at_its_end(batch) == ("ended", 3, 0)
    assert sorted(refunder.refunds.values()) == [990, 990, 1980]
    assert set(Order.objects.values_list("status", flat=True)) == {"refunded"}
    assert counters(variant) == (4, 4, 4)
    assert broken_invariants() == []


def test_of_a_line_with_good_and_bad_keys_only_the_bad_are_replaced_or_refunded(refunder):
    variant = make_variant(keys=1)
    batch = KeyBatch.objects.get()
    (good,) = stock_up(variant, 1)
    order = bought(variant, 2)
    bad = keys_of(order)[0]

    recall(batch, "refund")
    recall_keys()
    send_refunds()
    assert list(refunder.refunds.values()) == [990]
    assert keys_of(order) == [bad, good]  # whatever was delivered stays theirs


def test_without_enough_keys_it_halts_and_goes_on_when_some_have_come(sold):
    batch, variant, _orders = sold
    stock_up(variant, 1)

    recall(batch, "replace")
    recall_keys()
    halted = KeyRecall.objects.get()
    assert (halted.status, halted.done, halted.halted) == ("running", 1, NO_KEYS_LEFT)
    stock_up(variant, 3)
    go_on_with(halted, now=db_now())
    recall_keys()

    assert at_its_end(batch) == ("ended", 3, 0)
    assert not DeliveredKey.objects.filter(card_key__batch=batch, replaced_by=None).exists()
    assert broken_invariants() == []


def test_whom_no_new_keys_are_left_for_can_be_refunded_instead(sold, refunder):
    batch, variant, orders = sold
    stock_up(variant, 1)
    recall(batch, "replace")
    with pytest.raises(RecallUnderWay):
        recall(batch, "refund")
    recall_keys()

    recall(batch, "refund")
    recall_keys()
    send_refunds()

    recalled = KeyRecall.objects.order_by("pk").values_list("way", "status", "done")
    assert list(recalled) == [("replace", "ended", 1), ("refund", "ended", 2)]
    assert sorted(refunder.refunds.values()) == [990, 1980]
    assert orders[0].items.get().status == "delivered"
    assert broken_invariants() == []


def test_broken_off_anywhere_it_is_taken_up_again_and_nobody_is_helped_twice(sold, monkeypatch, refunder):
    batch, _variant, _orders = sold

    class Crashed(Exception):
        pass

    def crash(*args, **kwargs):
        raise Crashed

    recalled = recall(batch, "refund")
    with monkeypatch.context() as broken:
        broken.setattr(subject, "_note_progress", crash)  # the first refund has been asked for by then
        with pytest.raises(Crashed):
            subject.work_on_recalls([recalled.pk], db_now())
    assert Refund.objects.count() == 1
    recall_keys()
    send_refunds()

    assert KeyRecall.objects.get().status == "ended"
    assert len(refunder.refunds) == Refund.objects.count() == 3


def test_it_stops_in_time_and_is_due_again_at_once(sold, monkeypatch):
    batch, variant, _orders = sold
    stock_up(variant, 4)
    recalled = recall(batch, "replace")
    monkeypatch.setattr(subject, "RUN", -1.0)

    assert set(subject.work_on_recalls([recalled.pk], db_now())) == {recalled.pk}
    monkeypatch.undo()
    recall_keys()

    assert at_its_end(batch) == ("ended", 3, 0)


def test_what_the_provider_cannot_refund_is_put_before_a_person(sold, refunder):
    batch, _variant, _orders = sold
    refunder.can -= {Ability.REFUND}

    recall(batch, "refund")
    recall_keys()

    assert at_its_end(batch) == ("ended", 0, 3)
    assert set(Order.objects.values_list("status", "attention")) == {("delivered", NO_REFUND)}


def test_where_the_shop_wants_two_the_second_approves_the_whole_of_it(sold, refunder):
    batch, _variant, _orders = sold
    Shop.objects.update(refunds_need_two=True)
    batch.refresh_from_db()
    recalled = recall(batch, "refund", actor="clerk")
    recall_keys()
    void_batch()
    assert not Refund.objects.exists()
    assert not CardKey.objects.filter(batch=batch, status="available").exists()  # that does not wait

    with pytest.raises(OwnRequest):
        approve_recall(recalled, actor="clerk", now=db_now())
    approve_recall(recalled, actor="boss", now=db_now())
    recall_keys()
    send_refunds()

    by_both = Refund.objects.filter(status="done", requested_by="clerk", approved_by="boss")
    assert by_both.count() == Refund.objects.count() == 3
    assert len(refunder.refunds) == 3


def test_somebody_elses_refund_that_still_waits_is_not_taken_for_help(sold, refunder):
    batch, _variant, (order, *_) = sold
    Shop.objects.update(refunds_need_two=True)
    batch.refresh_from_db()
    receipt = order.payment.attempts.get().receipts.get()
    asked = {"amount_minor": 990, "item": order.items.get(), "reason": "asked by mail"}
    request_refund(receipt, **asked, actor="mei", now=db_now())

    approve_recall(recall(batch, "refund", actor="clerk"), actor="boss", now=db_now())
    recall_keys()
    send_refunds()

    order.refresh_from_db()
    assert (at_its_end(batch), order.attention) == (("ended", 2, 1), NO_REFUND)
    assert len(refunder.refunds) == 2


def test_declined_it_does_not_happen(sold):
    batch, _variant, _orders = sold
    Shop.objects.update(refunds_need_two=True)
    batch.refresh_from_db()
    recalled = recall(batch, "refund")

    decline_recall(recalled, actor="boss", now=db_now())
    recall_keys()

    assert KeyRecall.objects.get().status == "declined"
    assert not Refund.objects.exists()
    assert recall(batch, "replace").status == "running"


def test_one_at_a_time_and_not_for_nobody(sold):
    batch, _variant, _orders = sold
    recall(batch, "replace")

    with pytest.raises(RecallUnderWay):
        recall(batch, "refund")
    stock_up(make_variant(), 1)
    with pytest.raises(NobodyHasAny):
        recall(KeyBatch.objects.first(), "refund")


def test_a_line_whose_money_is_going_back_gets_no_new_key(sold):
    batch, variant, (order, *_) = sold
    stock_up(variant, 6)
    request_refund(
        order.payment.attempts.get().receipts.get(),
        amount_minor=990,
        item=order.items.get(),
        reason="asked",
        actor="boss",
        now=db_now(),
    )
    before = keys_of(order)

    recall(batch, "replace")
    recall_keys()

    assert keys_of(order) == before
    assert KeyRecall.objects.get().status == "ended"
    assert broken_invariants() == []


def test_an_unpaid_order_makes_way_and_what_is_left_is_void(sold):
    batch, variant, _orders = sold
    held = make_order(variant)

    recall(batch, "refund")
    void_batch()
    cover_shortage()

    held.refresh_from_db()
    assert held.status == "closing"
    assert counters(variant) == (5, 5, 5)


# The page


def page(batch):
    return f"/admin/inventory/keybatch/{batch.pk}/change/"


def press(client, batch, button, **form):
    form = {"reason": "already used", **form}
    answer = client.post(f"/admin/inventory/keybatch/{batch.pk}/{button}/", form, follow=True)
    return answer.content.decode()


def test_the_page_shows_how_it_stands_and_has_the_buttons(sold):
    batch, variant, _orders = sold
    stock_up(variant, 4)
    boss = logged_in(make_boss())
    before = boss.get(page(batch)).content.decode()
    assert "Available: <strong>1</strong> · Sold: <strong>4</strong>" in before
    assert "New keys for all buyers" in before

    assert "getting new keys" in press(boss, batch, "replace")
    recall_keys()

    after = boss.get(page(batch)).content.decode()
    assert "3 of 3 lines, 0 need a person" in after
    assert "everybody was seen to" in after
    assert "already used" in after


def test_without_a_reason_or_the_right_nothing_happens(sold):
    batch, _variant, _orders = sold
    assert "Say in a few words why." in press(logged_in(make_boss()), batch, "withdraw", reason=" ")
    clerk = logged_in(make_clerk("inventory.view_keybatch", "inventory.change_keybatch"))
    for button in ("replace", "refund", "approve", "buyers-csv"):
        assert "You may not do that." in press(clerk, batch, button)

    assert not OutboxMessage.objects.filter(task="inventory.void_batch").exists()
    assert not KeyRecall.objects.exists()
    assert not KeyAccess.objects.exists()


def test_what_waits_for_the_second_person_is_listed_with_its_buttons(sold):
    batch, _variant, _orders = sold
    Shop.objects.update(refunds_need_two=True)
    press(logged_in(make_boss("asker")), batch, "refund")
    boss = logged_in(make_boss())

    listed = boss.get("/admin/orders/order/attention/").content.decode()
    assert "waiting for a second person" in listed
    boss.post(f"/admin/orders/order/attention/keyrecall/{KeyRecall.objects.get().pk}/approve/")

    assert KeyRecall.objects.get().approved_by == "boss"
    assert boss.get(f"/admin/payments/keyrecall/{KeyRecall.objects.get().pk}/change/").status_code == 200


def test_buyers_are_listed_without_their_keys_and_the_file_is_noted(sold):
    batch, _variant, orders = sold
    boss = logged_in(make_boss())

    listed = boss.get(f"/admin/inventory/keybatch/{batch.pk}/buyers/").content.decode()
    assert all(order.number in listed for order in orders)
    assert "mei@example.org" in listed
    assert not any(reveal(key) in listed for key in CardKey.objects.all())
    assert not KeyAccess.objects.exists()

    file = boss.post(f"/admin/inventory/keybatch/{batch.pk}/buyers-csv/", {"reason": "to write to them"})
    lines = b"".join(file.streaming_content).decode("utf-8-sig").splitlines()
    assert lines[1:] == [f"{order.number},{order.contact_email}" for order in orders]
    noted = KeyAccess.objects.get()
    assert (noted.kind, noted.who, noted.why, noted.count) == ("buyers", "boss", "to write to them", 3)
    assert noted.address == "127.0.0.1"
