"""Stock that runs low or comes back and prices that change are told once, where somebody may hear of it."""

import pytest

from cardshop.common.clock import db_now
from inventory.models import Product, Stock, Variant
from resellers.events.of_catalogue import tell_changes
from resellers.models import Event, Reseller, Told, WebhookDelivery
from resellers.tests.calling import make_reseller
from resellers.tests.receiving import make_webhook
from tests.factories import make_order, make_reusable, make_variant, stock_up
from tests.race.racing import linger, race

pytestmark = pytest.mark.django_db(transaction=True)


def told(how: str = "level") -> list[tuple[str, object]]:
    """What is told now, and not before."""
    before = set(Event.objects.values_list("pk", flat=True))
    tell_changes(db_now())
    new = Event.objects.exclude(pk__in=before).order_by("pk")
    return [(event.kind, event.data.get(how)) for event in new]


def test_each_step_down_and_up_is_told_once():
    make_reseller()
    variant = make_variant(keys=3, low_stock_at=1)
    assert told() == []  # seen for the first time

    make_order(variant, quantity=2)
    assert [told(), told()] == [[("stock.low", "low")], []]
    make_order(variant)
    assert told() == [("stock.low", "out")]
    stock_up(variant, 1)
    assert told() == [("stock.back", "low")]
    stock_up(variant, 5)
    assert told("available") == [("stock.back", 6)]
    event = Event.objects.latest("pk")
    assert (event.subject, event.reseller) == (variant.code, None)


def test_a_price_is_told_with_the_one_before():
    make_reseller()
    variant = make_variant(price_minor=990)
    told()
    Variant.objects.update(price_minor=880)

    tell_changes(db_now())

    event = Event.objects.get()
    assert (event.kind, event.subject) == ("price.changed", variant.code)
    prices = {"currency": "CNY", "price_minor": 880, "before_minor": 990}
    assert event.data == {"variant": variant.code, **prices}


def test_what_is_not_offered_or_heard_by_nobody_is_not_looked_at():
    variant, endless = make_variant(keys=1), make_reusable()
    told()
    assert not Told.objects.exists()

    make_webhook("https://a.example/", kinds=["stock.low"])
    told()
    assert Told.objects.count() == 2
    Product.objects.filter(pk=variant.product_id).update(is_listed=False)
    Stock.objects.filter(variant=variant).update(claimed=1)
    assert told() == []
    Product.objects.filter(pk=variant.product_id).update(is_listed=True)
    assert told() == [("stock.low", "out")]
    assert WebhookDelivery.objects.count() == 1
    assert Told.objects.get(variant=endless).level == "plenty"
    assert not Reseller.objects.exists()


def events_of_three_who_look_at_once(monkeypatch) -> int:
    make_reseller()
    make_variant(keys=1)
    told()
    Variant.objects.update(price_minor=1)
    linger(monkeypatch, "resellers.events.of_catalogue._tell")
    race(3, lambda: tell_changes(db_now()))
    return Event.objects.count()


def test_of_twins_one_tells_it(monkeypatch):
    assert events_of_three_who_look_at_once(monkeypatch) == 1


def test_control_whoever_does_not_ask_what_was_told_tells_it_again(monkeypatch):
    monkeypatch.setattr(
        "resellers.events.of_catalogue.Told.objects.filter",
        lambda **asked: Told.objects.all(),
    )

    assert events_of_three_who_look_at_once(monkeypatch) > 1
