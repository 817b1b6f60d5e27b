"""So much can be sold here as there is there."""

from datetime import timedelta

import pytest
from django.utils.translation import override

from cardshop.common.clock import db_now
from cardshop.common.outgoing import NoAnswer
from inventory.models import Stock
from suppliers.drivers import cardshop
from suppliers.models import SuppliedVariant, Supplier
from suppliers.stock import look_at_stock
from suppliers.tests.partners import forward
from tests.factories import make_order, make_reusable, stock_up

pytestmark = pytest.mark.django_db(transaction=True)


def free(partners):
    stock = Stock.objects.get(variant=partners.goods, pool=Stock.PUBLIC)
    return None if stock.total is None else stock.total - stock.claimed


def look(**later):
    look_at_stock(clock=lambda: db_now() + timedelta(**later))


def test_what_they_have_can_be_sold_less_what_is_promised_here(partners):
    look()
    assert free(partners) == 5

    partners.sell(quantity=2)
    make_order(partners.goods)  # held
    look()
    assert free(partners) == 2

    forward()
    look()
    assert free(partners) == 2
    stock_up(partners.source, 4)
    look()
    assert free(partners) == 6
    assert Supplier.objects.get().answered_at is not None


def test_what_is_unlimited_there_is_here_and_what_is_unknown_is_sold_out(partners):
    make_reusable(shop=partners.source.shop, code="endless", price_minor=1)
    SuppliedVariant.objects.update(their_code="endless")
    look()
    assert free(partners) is None

    SuppliedVariant.objects.update(their_code="gone")
    look()
    assert free(partners) == 0


def test_who_does_not_answer_is_believed_for_five_minutes(partners, monkeypatch):
    look()
    monkeypatch.setattr(cardshop, "get", _silent)

    look(minutes=4)
    assert (free(partners), Supplier.objects.get().last_error) == (5, "no answer in time")
    look(minutes=6)
    assert free(partners) == 0

    monkeypatch.undo()
    look()
    assert (free(partners), Supplier.objects.get().last_error) == (5, "")


def _silent(*_args, **_kwargs):
    raise NoAnswer("no answer in time")


def test_nobody_is_called_in_our_network_unless_that_is_allowed(partners, settings):
    settings.SUPPLIERS_PRIVATE_ADDRESSES = False

    with override("en"):
        look()

    assert Supplier.objects.get().last_error == "It has to begin with https://."
