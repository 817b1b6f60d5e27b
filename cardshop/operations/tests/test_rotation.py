"""`manage.py rotate_keys`: everything under the new key, broken rows named and left alone."""

import os
from base64 import b64encode
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from cardshop.common.clock import db_now
from cardshop.common.crypto import Keyring, key_id_of
from cardshop.operations import rotation
from cardshop.operations.sealed_values import counts_by_key, findings
from inventory.card_keys import locked_blind_index, reveal
from inventory.imports.spool import SpoolWriter, read_upload
from inventory.models import CardKey, IndexKey, KeyUpload
from inventory.sealed import SEALED
from orders.answers import opened_answers
from orders.models import OrderItem
from payments.models import PaymentChannel
from tests.factories import (
    SECRET,
    make_by_hand,
    make_channel,
    make_order,
    make_variant,
    stock_up,
    the_shop,
)

pytestmark = pytest.mark.django_db(transaction=True)

OLD, NEW = (b64encode(os.urandom(32)).decode() for _ in range(2))
CARD_KEYS = SEALED[0]


@pytest.fixture
def rotating(settings):
    """Five keys, their index key and a channel under the old key; the new one is active by now."""
    settings.CARD_KEY_KEK = f"old:{OLD}"
    variant = make_variant()
    keys = stock_up(variant, 5)
    make_channel()
    settings.CARD_KEY_KEK = f"new:{NEW},old:{OLD}"
    return keys


def rotate(*arguments):
    out, err = StringIO(), StringIO()
    try:
        call_command("rotate_keys", *arguments, stdout=out, stderr=err)
    except CommandError as error:
        return str(error), out.getvalue(), err.getvalue()
    return "", out.getvalue(), err.getvalue()


def revealed():
    return [reveal(key) for key in CardKey.objects.order_by("pk")]


def test_everything_opens_with_the_new_key_alone(rotating, settings):
    fingerprint = CardKey.objects.first().fingerprint

    error, said, _ = rotate()

    assert error == ""
    assert "card keys: 5 rewrapped" in said
    assert "nothing is left under 'old': it may be taken out of CARD_KEY_KEK" in said
    settings.CARD_KEY_KEK = f"new:{NEW}"
    assert revealed() == rotating
    assert PaymentChannel.objects.get().secret == SECRET
    assert bytes(CardKey.objects.first().fingerprint) == bytes(fingerprint)
    assert list(findings()) == []


def test_what_buyers_answered_goes_along_and_who_was_asked_nothing_has_nothing(rotating, settings):
    settings.CARD_KEY_KEK = f"old:{OLD}"
    variant = make_by_hand(asks=[{"name": "角色编号"}])
    field = variant.buyer_fields.get()
    order = make_order(variant, answers={str(field.pk): "1234"})
    make_order(make_variant(keys=1))
    settings.CARD_KEY_KEK = f"new:{NEW},old:{OLD}"

    error, said, _ = rotate()

    assert error == ""
    assert "buyers' answers: 1 rewrapped" in said
    settings.CARD_KEY_KEK = f"new:{NEW}"
    assert [answer.value for answer in opened_answers(order, order.items.get())] == ["1234"]
    assert list(findings()) == []
    OrderItem.objects.exclude(answers=None).update(answers=b"x")
    assert [finding for finding in findings() if "answers" in finding] == [
        "buyers' answers: 1 are no sealed values"
    ]


def test_a_key_that_comes_again_is_still_known(rotating, settings):
    rotate()
    settings.CARD_KEY_KEK = f"new:{NEW}"

    with transaction.atomic():
        index = locked_blind_index(the_shop())

    assert index.fingerprint(rotating[0]) == bytes(CardKey.objects.order_by("pk").first().fingerprint)


def test_check_tells_what_stands_where_and_changes_nothing(rotating):
    before = list(CardKey.objects.values_list("pk", "sealed"))

    error, said, _ = rotate("--check")

    assert "card keys: 5 under 'old'" in said
    assert "may be taken out" not in said
    assert error == "7 values stand under other keys than the active one"
    assert [(pk, bytes(sealed)) for pk, sealed in CardKey.objects.values_list("pk", "sealed")] == [
        (pk, bytes(sealed)) for pk, sealed in before
    ]
    rotate()
    assert rotate("--check")[0] == ""


def test_broken_off_it_goes_on_where_it_was(rotating, monkeypatch):
    monkeypatch.setattr(rotation, "AT_ONCE", 2)

    class BrokenOff(Exception):
        pass

    def break_off(so_far):
        raise BrokenOff

    ring = Keyring.parse(f"new:{NEW},old:{OLD}")
    with pytest.raises(BrokenOff):
        rotation.rotate(CARD_KEYS, ring, tell=break_off)
    assert counts_by_key(CARD_KEYS) == {"old": 3, "new": 2}

    assert "card keys: 3 rewrapped" in rotate()[1]
    assert revealed() == rotating


def cut(sealed: bytes) -> bytes:
    return sealed[:-3]


def test_a_row_that_does_not_open_is_named_and_left_as_it_is(rotating):
    first, second, *_ = CardKey.objects.order_by("pk")
    damaged = cut(bytes(first.sealed))
    CardKey.objects.filter(pk=first.pk).update(sealed=damaged)
    CardKey.objects.filter(pk=second.pk).update(sealed=b"\x01\x03")

    error, said, complained = rotate()

    assert error == "2 values do not open and were left as they are"
    assert f"row {first.pk} does not open" in complained
    assert f"row {second.pk} does not open" in complained
    assert "may be taken out" not in said
    assert bytes(CardKey.objects.get(pk=first.pk).sealed) == damaged
    assert counts_by_key(CARD_KEYS) == {"new": 3, "old": 1, "": 1}


def test_a_key_that_the_ring_lacks_is_named(rotating, settings):
    settings.CARD_KEY_KEK = f"new:{NEW}"

    error, said, _ = rotate()

    assert error == "7 values do not open and were left as they are"
    assert "card keys: 5 under 'old', which CARD_KEY_KEK does not hold" in said
    assert "card keys: 5 stand under key 'old', which CARD_KEY_KEK does not hold" in list(findings())


def test_what_is_in_somebodys_hands_is_left_for_the_next_pass(rotating, monkeypatch):
    swap, times = rotation._swap, []

    def swap_all_but_the_first(column, changes):
        times.append(len(changes))
        return swap(column, changes if len(times) > 1 else changes[1:])

    monkeypatch.setattr(rotation, "_swap", swap_all_but_the_first)
    rotate()

    assert times[:2] == [5, 1]
    assert counts_by_key(CARD_KEYS) == {"new": 5}


def test_index_keys_are_rotated_too(rotating):
    rotate()

    assert key_id_of(bytes(IndexKey.objects.get().sealed)) == "new"


def test_so_are_uploads_that_are_still_to_be_read(rotating, settings):
    settings.CARD_KEY_KEK = f"old:{OLD}"
    spool = SpoolWriter(now=db_now())
    spool.write(b"KEY-1")
    upload = spool.close()
    settings.CARD_KEY_KEK = f"new:{NEW},old:{OLD}"

    assert rotate()[0] == ""

    settings.CARD_KEY_KEK = f"new:{NEW}"
    assert b"".join(read_upload(KeyUpload.objects.get(pk=upload.pk))) == b"KEY-1"
