"""A batch is exported while it is being bought, and what was granted once is used many times at once."""

import time
from datetime import datetime

import pytest

from cardshop.common.clock import db_now
from inventory import key_requests
from inventory.accesses import Viewer
from inventory.card_keys import reveal
from inventory.key_requests import (
    NotGranted,
    StillForSale,
    ask_to_export,
    ask_to_reveal,
    export_requested,
    reveal_requested,
)
from inventory.models import CardKey, KeyAccess, KeyBatch, KeyRequest
from inventory.withdrawing import void_free_keys
from orders.errors import DomainError
from orders.models import DeliveredKey
from orders.services.delivery import deliver_orders
from tests.factories import make_channel, make_order, make_variant, pay_order
from tests.race.racing import broken_invariants, race, race_all

pytestmark = pytest.mark.django_db(transaction=True)

ME = Viewer("clerk", None)


def export_while_it_is_sold() -> tuple[set[str], set[str]]:
    """What was sold, and what was exported, of a batch of thirty."""
    variant = make_variant(keys=30)
    batch = KeyBatch.objects.get()
    make_channel()

    def buy(at_most: int = 4) -> None:
        for _ in range(at_most):
            try:
                order = make_order(variant)
            except DomainError:
                return  # sold out
            pay_order(order)
            deliver_orders([order.pk], db_now())

    def export() -> list[str]:
        asked = ask_to_export(batch, withdraws=True, why="w", actor=ME.name, now=db_now())
        for _ in range(100):
            void_free_keys(batch, db_now())
            try:
                return [line.strip() for line in export_requested(asked, ME, now=db_now())]
            except StillForSale:
                continue  # a delivery has put one back
        raise AssertionError("it never left the stock")

    *_bought, exported = race_all(*[buy] * 4, export)
    assert isinstance(exported, list), exported
    buy(at_most=30)  # whatever is for sale still
    sold = CardKey.objects.filter(pk__in=DeliveredKey.objects.values("card_key"))
    return {reveal(key) for key in sold}, set(exported)


def test_no_key_is_both_sold_and_exported():
    sold, exported = export_while_it_is_sold()

    assert exported
    assert not sold & exported
    assert len(sold) + len(exported) == 30
    assert broken_invariants() == []


def test_control_exporting_what_is_for_sale_hands_it_out_twice(monkeypatch):
    monkeypatch.setattr(key_requests, "_is_for_sale", lambda batch: False)
    for_sale = CardKey.objects.filter(status="available")
    monkeypatch.setattr(key_requests, "exportable", lambda batch: for_sale.filter(batch=batch))
    monkeypatch.setattr("tests.race.test_exporting.void_free_keys", lambda batch, now: 0)

    sold, exported = export_while_it_is_sold()

    assert sold & exported


def show_eight_times_at_once() -> int:
    make_variant(keys=1)
    key = CardKey.objects.get()
    asked = ask_to_reveal(key, why="w", actor=ME.name, now=db_now())
    outcomes = race(8, lambda: reveal_requested(asked, key, ME, now=db_now()))
    assert all(isinstance(outcome, (str, NotGranted)) for outcome in outcomes)
    return sum(isinstance(outcome, str) for outcome in outcomes)


def test_what_was_granted_once_is_shown_once_and_noted_once():
    assert show_eight_times_at_once() == 1
    assert KeyAccess.objects.count() == 1


def use_after_a_look(request: KeyRequest, viewer: Viewer, *, count: int, now: datetime) -> None:
    if KeyRequest.objects.get(pk=request.pk).status != "granted":
        raise NotGranted
    time.sleep(0.05)  # by now everybody has looked
    KeyRequest.objects.filter(pk=request.pk).update(status="used")


def test_control_looking_first_it_is_shown_to_all_of_them(monkeypatch):
    monkeypatch.setattr(key_requests, "_use", use_after_a_look)

    assert show_eight_times_at_once() > 1
