"""Staff see keys with a reason, a right, a fresh code and, where wanted, a second person; all is noted."""

import pytest
from django.db import IntegrityError, InternalError, connection, transaction

from cardshop.common.clock import db_now
from cardshop.shops.models import Shop
from inventory.accesses import Viewer
from inventory.card_keys import reveal
from inventory.key_requests import GOOD_FOR, NotGranted, ask_to_export, export_requested, grant
from inventory.models import CardKey, KeyAccess, KeyBatch, KeyRequest
from inventory.tasks import void_batch
from inventory.withdrawing import void_free_keys
from tests.factories import counters, make_variant, stock_up
from tests.staff import confirmed, let_code_age, logged_in, make_boss, make_clerk

pytestmark = pytest.mark.django_db(transaction=True)

MAY_SEE = ("inventory.view_cardkey", "inventory.view_keybatch", "inventory.view_keyrequest")
ME = Viewer("clerk", "127.0.0.1")


@pytest.fixture
def key():
    stock_up(make_variant(), 1)
    return CardKey.objects.get()


@pytest.fixture
def batch():
    make_variant(keys=3)
    return KeyBatch.objects.get()


def clerk(*permissions, username="clerk"):
    return confirmed(make_clerk(*MAY_SEE, *permissions, username=username))


def ask(client, key, why="the buyer says it is wrong"):
    return client.post(
        f"/admin/inventory/cardkey/{key.pk}/reveal/", {"why": why}, follow=True
    ).content.decode()


def press(client, button):
    asked = KeyRequest.objects.first()
    return client.post(f"/admin/inventory/keyrequest/{asked.pk}/{button}/", follow=True)


def ask_for_export(client, batch, **form):
    form = {"why": "back to the supplier", **form}
    return client.post(f"/admin/inventory/keybatch/{batch.pk}/export/", form, follow=True).content.decode()


def text_of(answer):
    return b"".join(answer.streaming_content).decode()


# Seeing one key


def test_a_key_is_shown_once_and_it_is_noted_who_saw_it(key):
    seer = clerk("inventory.reveal_cardkey")
    assert "See the key" in seer.get(f"/admin/inventory/cardkey/{key.pk}/change/").content.decode()
    assert "Show the key" in ask(seer, key)
    assert not KeyAccess.objects.exists()

    shown = press(seer, "use")

    assert reveal(key) in shown.content.decode()
    assert "no-store" in shown["Cache-Control"]
    noted = KeyAccess.objects.get()
    assert (noted.kind, noted.card_key, noted.who, noted.count) == ("revealed", key, "clerk", 1)
    assert (noted.why, noted.address) == ("the buyer says it is wrong", "127.0.0.1")
    again = press(seer, "use").content.decode()
    assert reveal(key) not in again
    assert "This cannot be used" in again
    assert KeyAccess.objects.count() == 1


def test_without_the_right_a_reason_or_a_fresh_code_nothing_is_shown(key):
    other = clerk()
    assert "See the key" not in other.get(f"/admin/inventory/cardkey/{key.pk}/change/").content.decode()
    assert "You may not do that." in ask(other, key)
    seer = clerk("inventory.reveal_cardkey", username="seer")
    assert "Say in a few words why." in ask(seer, key, why=" ")
    assert not KeyRequest.objects.exists()

    ask(seer, key)
    let_code_age(seer, 301)
    late = press(seer, "use")
    stranger = press(clerk("inventory.reveal_cardkey", username="stranger"), "use")
    revoked = press(other, "use")

    assert late.status_code == 403
    assert not any(reveal(key) in page.content.decode() for page in (late, stranger, revoked))
    assert not KeyAccess.objects.exists()


def test_after_an_hour_it_has_to_be_asked_for_again(key):
    seer = clerk("inventory.reveal_cardkey")
    ask(seer, key)
    KeyRequest.objects.update(decided_at=db_now() - GOOD_FOR)

    assert reveal(key) not in press(seer, "use").content.decode()


def test_where_the_shop_wants_two_nobody_sees_a_key_alone(key):
    Shop.objects.update(key_export_needs_two=True)
    seer, second = clerk("inventory.reveal_cardkey"), clerk("inventory.reveal_cardkey", username="second")

    assert "A second person has to approve this now." in ask(seer, key)
    assert "This cannot be used" in press(seer, "use").content.decode()
    assert "Somebody else has to approve" in press(seer, "grant").content.decode()
    assert "request for keys" in second.get("/admin/orders/order/attention/").content.decode()
    press(second, "grant")
    assert reveal(key) not in press(second, "use").content.decode()  # it was granted to another
    assert reveal(key) in press(seer, "use").content.decode()

    assert KeyAccess.objects.get().approved_by == "second"


def test_what_was_declined_is_not_granted_any_more(key):
    Shop.objects.update(key_export_needs_two=True)
    seer, second = clerk("inventory.reveal_cardkey"), clerk("inventory.reveal_cardkey", username="second")
    ask(seer, key)

    press(second, "decline")
    press(second, "grant")

    assert KeyRequest.objects.get().status == "declined"
    assert reveal(key) not in press(seer, "use").content.decode()


def test_the_database_itself_wants_two(key):
    asked = KeyRequest.objects.create(
        shop=key.shop,
        kind="revealed",
        batch=key.batch,
        card_key=key,
        why="w",
        status="awaited",
        asked_by="clerk",
        asked_at=db_now(),
    )
    with pytest.raises(IntegrityError):
        KeyRequest.objects.filter(pk=asked.pk).update(status="granted", decided_by="clerk")


# Exporting a batch


def test_what_is_for_sale_is_not_exported(batch):
    exporter = clerk("inventory.export_cardkey")

    assert "Keys of this batch are for sale." in ask_for_export(exporter, batch)

    assert not KeyRequest.objects.exists()
    assert counters(batch.variant) == (3, 3, 0)


def test_taken_out_of_sale_it_is_exported_and_noted(batch):
    exporter = clerk("inventory.export_cardkey", "inventory.change_keybatch")
    keys = [reveal(key) for key in CardKey.objects.order_by("pk")]

    assert "Download the keys" in ask_for_export(exporter, batch, withdraw="yes")
    assert "Keys of this batch are for sale." in press(exporter, "use").content.decode()  # not yet
    void_batch()
    answer = press(exporter, "use")

    assert text_of(answer).split("\r\n") == [*keys, ""]
    assert answer["Content-Disposition"] == f'attachment; filename="batch-{batch.pk}.txt"'
    assert counters(batch.variant) == (0, 0, 0)
    noted = KeyAccess.objects.get()
    assert (noted.kind, noted.batch, noted.count, noted.who) == ("exported", batch, 3, "clerk")


def test_taking_out_of_sale_is_a_right_of_its_own(batch):
    assert "You may not do that." in ask_for_export(clerk("inventory.export_cardkey"), batch, withdraw="yes")
    void_batch()

    assert counters(batch.variant) == (3, 3, 0)


def test_declined_or_not_yet_approved_nothing_leaves_the_stock(batch):
    Shop.objects.update(key_export_needs_two=True)
    exporter = clerk("inventory.export_cardkey", "inventory.change_keybatch")
    ask_for_export(exporter, batch, withdraw="yes")

    void_batch()
    assert counters(batch.variant) == (3, 3, 0)
    grant(KeyRequest.objects.get(), actor="boss", now=db_now())
    void_batch()

    assert counters(batch.variant) == (0, 0, 0)


def test_what_was_sold_or_does_not_open_is_not_in_the_file(batch):
    sold, closed, left = CardKey.objects.order_by("pk")
    CardKey.objects.filter(pk=sold.pk).update(status="void", void_because="replaced")
    CardKey.objects.filter(pk=closed.pk).update(sealed=b"\x01\x01k")
    connection.cursor().execute("UPDATE inventory_stock SET total = 2, released = 2")
    void_free_keys(batch, db_now())
    asked = ask_to_export(batch, withdraws=False, why="w", actor="clerk", now=db_now())

    assert list(export_requested(asked, ME, now=db_now())) == [f"{reveal(left)}\r\n"]


def test_the_file_is_sent_once(batch):
    void_free_keys(batch, db_now())
    asked = ask_to_export(batch, withdraws=False, why="w", actor="clerk", now=db_now())
    export_requested(asked, ME, now=db_now())

    with pytest.raises(NotGranted):
        export_requested(asked, ME, now=db_now())
    assert KeyAccess.objects.count() == 1


# The record


def test_the_record_cannot_be_changed_by_anybody(key):
    seer = clerk("inventory.reveal_cardkey")
    ask(seer, key)
    press(seer, "use")

    for change in (
        lambda: KeyAccess.objects.update(who="somebody else"),
        lambda: KeyAccess.objects.all().delete(),
        lambda: KeyAccess.objects.get().delete(),
    ):
        with pytest.raises(InternalError, match="never changed"), transaction.atomic():
            change()
    boss, row = logged_in(make_boss()), KeyAccess.objects.get()
    assert boss.post(f"/admin/inventory/keyaccess/{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert "clerk" in boss.get("/admin/inventory/keyaccess/").content.decode()
