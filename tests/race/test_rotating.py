"""The encryption key is rotated while keys are imported and delivered, and credentials entered anew."""

import os
import time
from base64 import b64encode

import pytest
from django.db import transaction

from cardshop.common.clock import db_now
from cardshop.common.crypto import Keyring, keyring
from cardshop.operations import rotation
from cardshop.operations.rotation import Rotated, rotate
from cardshop.operations.sealed_values import COLUMNS, counts_by_key, findings
from inventory.models import CardKey, IndexKey
from inventory.picking import pick_keys
from orders.models import Order
from orders.selectors import revealed_keys
from orders.services.delivery import deliver_orders
from payments.models import PaymentChannel
from tests.factories import make_channel, make_order, make_variant, pay_order, stock_up
from tests.race.racing import broken_invariants, cut, race_all

pytestmark = pytest.mark.django_db(transaction=True)

OLD, NEW = (b64encode(os.urandom(32)).decode() for _ in range(2))


@pytest.fixture
def under_the_old_key(settings):
    settings.CARD_KEY_KEK = f"old:{OLD}"


def let_the_new_key_seal(settings) -> None:
    settings.CARD_KEY_KEK = f"new:{NEW},old:{OLD}"


def rotate_everything() -> list[Rotated]:
    return [rotate(column, keyring(), tell=lambda so_far: None) for column in COLUMNS]


def test_nobody_notices_a_rotation(under_the_old_key, settings, monkeypatch):
    monkeypatch.setattr(rotation, "AT_ONCE", 20)
    variant, other = make_variant(keys=120), make_variant(keys=60)
    orders = [make_order(variant, quantity=3) for _ in range(40)]
    for order in orders:
        pay_order(order)
    let_the_new_key_seal(settings)

    def deliver(part: list[Order]) -> None:
        for order in part:
            deliver_orders([order.pk], db_now())

    delivered = [lambda part=orders[at::4]: deliver(part) for at in range(4)]
    imported = [lambda: [stock_up(other, 10) for _ in range(4)]] * 2
    outcomes = race_all(*delivered, *imported, rotate_everything, rotate_everything)

    assert outcomes[:4] == [None] * 4
    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert set(Order.objects.values_list("status", "attention")) == {("delivered", "")}
    settings.CARD_KEY_KEK = f"new:{NEW}"
    stand_under = {column.model: set(counts_by_key(column)) for column in COLUMNS}
    assert [stand_under[model] for model in (CardKey, IndexKey, PaymentChannel)] == [{"new"}] * 3
    assert set().union(*stand_under.values()) == {"new"}
    assert list(findings()) == []
    assert sum(len(keys) for order in orders for _, keys in revealed_keys(order)) == 120
    assert broken_invariants() == []


def enter_a_credential_while_it_is_rewrapped(settings, monkeypatch) -> str:
    """The merchant enters a new secret between the read and the write of the rotation."""
    monkeypatch.setattr(rotation, "PASSES", 1)
    channel = make_channel()
    swap = rotation._swap

    def swap_too_late(column, changes):
        if column.model is PaymentChannel and changes:
            entered = PaymentChannel.objects.get(pk=channel.pk)
            entered.seal_secret("the new one")
            entered.save()
        return swap(column, changes)

    monkeypatch.setattr(rotation, "_swap", swap_too_late)
    let_the_new_key_seal(settings)
    (credentials,) = (column for column in COLUMNS if column.model is PaymentChannel)
    rotate(credentials, keyring(), tell=lambda so_far: None)
    return PaymentChannel.objects.get(pk=channel.pk).secret


def test_a_credential_entered_meanwhile_is_kept(under_the_old_key, settings, monkeypatch):
    assert enter_a_credential_while_it_is_rewrapped(settings, monkeypatch) == "the new one"


def test_control_without_comparing_the_rotation_brings_the_old_credential_back(
    under_the_old_key, settings, monkeypatch
):
    monkeypatch.setattr(rotation, "SWAP", cut(rotation.SWAP, "WHERE row.{column} = rewrapped.old"))

    assert enter_a_credential_while_it_is_rewrapped(settings, monkeypatch) != "the new one"


def deliver_while_the_rotation_holds_a_key(monkeypatch) -> float:
    """Seconds that a rotation takes whose rows are in a delivery's hands for half a second."""
    monkeypatch.setattr(rotation, "PASSES", 1)
    variant = make_variant(keys=2)

    def pick_slowly() -> None:
        with transaction.atomic():
            pick_keys(variant_id=variant.pk, quantity=2, now=db_now())
            time.sleep(0.5)

    def rotate_beside() -> float:
        time.sleep(0.2)  # by now the delivery has them
        began = time.monotonic()
        rotate(COLUMNS[0], Keyring.parse(f"new:{NEW},old:{OLD}"), tell=lambda so_far: None)
        return time.monotonic() - began

    _picked, seconds = race_all(pick_slowly, rotate_beside)
    return seconds


def test_the_rotation_waits_for_no_delivery(under_the_old_key, monkeypatch):
    assert deliver_while_the_rotation_holds_a_key(monkeypatch) < 0.2


def test_control_without_skipping_it_would_wait(under_the_old_key, monkeypatch):
    monkeypatch.setattr(rotation, "SWAP", cut(rotation.SWAP, "SKIP LOCKED"))

    assert deliver_while_the_rotation_holds_a_key(monkeypatch) > 0.2
