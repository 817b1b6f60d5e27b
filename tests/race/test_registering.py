"""Many register from one network address at one moment."""

import time
from datetime import timedelta

import pytest

from cardshop.common.clock import db_now
from orders.admission import registering
from orders.errors import TooManyTickets
from orders.models import Registration
from tests.lines import click, make_sale
from tests.race.racing import race, read_unlocked

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]


def registered_from_one_address(monkeypatch, settings) -> tuple[int, list[object]]:
    """Eight of them, where three may."""
    settings.UNPAID_HOLDS_PER_ADDRESS = 3
    sale, now = make_sale(keys=1), db_now()
    sale.registration_opens_at, sale.opens_at = now - timedelta(minutes=1), now + timedelta(minutes=10)
    sale.save()
    create = Registration.objects.create

    def create_later(**row):
        time.sleep(0.05)  # everybody has counted by then
        return create(**row)

    monkeypatch.setattr(Registration.objects, "create", create_later)
    outcomes = race(8, lambda: click(sale.variant, address="8.8.8.8"))
    return Registration.objects.count(), outcomes


def test_no_more_register_from_an_address_than_may(monkeypatch, settings):
    registered, outcomes = registered_from_one_address(monkeypatch, settings)

    assert registered == 3
    assert sum(isinstance(outcome, TooManyTickets) for outcome in outcomes) == 5


def test_control_without_the_lock_more_of_them_register(monkeypatch, settings):
    monkeypatch.setattr(registering, "lock_rows", read_unlocked)

    registered, _outcomes = registered_from_one_address(monkeypatch, settings)

    assert registered > 3
