"""A key of one shop, at every address, with what is another's: it sees nothing, and changes nothing.

The addresses come from the resolver, so that one of tomorrow is tried too.
"""

import pytest
from django.test import override_settings

from cardshop.merchant_api.tests.calling import API, make_own, send_keys, write
from cardshop.merchant_api.urls import urlpatterns
from cardshop.shops.models import Shop
from inventory.models import CardKey, KeyBatch, KeyRequest
from orders.models import Order, OrderItem
from tests.factories import make_shop, make_variant
from tests.two_shops import fill, names_of, rows_of, snapshot

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("line")]

LISTS = {"products/", "variants/", "imports/", "orders/", "refunds/", "statistics/days/"}


def said_about(shop: Shop) -> dict[str, object]:
    """For each address that writes, what would be done there if the row were one's own."""
    line = OrderItem.objects.filter(order__shop=shop).first().pk
    text = {"line": line, "slot": 0, "text": "mine"}
    return {
        "variants/<slug:code>/": {"price_minor": 1},
        "variants/<slug:code>/stock/": {"free": 1},
        "orders/<slug:number>/fill-in/": {"texts": [text]},
        "orders/<slug:number>/corrections/": text,
        "orders/<slug:number>/replacements/": {"line": line, "slots": [0], "reason": "mine"},
        "orders/<slug:number>/refunds/": {"line": line, "reason": "mine"},
        "orders/<slug:number>/help/<slug:kind>/": None,
        "card-keys/<int:pk>/reveal/": {"why": "mine"},
        "key-requests/<int:pk>/reveal/": None,
    }


def filled(route: str, shop: Shop) -> str:
    numbered = {"imports": KeyBatch, "card-keys": CardKey, "key-requests": KeyRequest}
    model = numbered.get(route.partition("/")[0])
    number = "beta-refund" if route.startswith("refunds") else Order.objects.filter(shop=shop).first().number
    said = {
        "<slug:slug>": "beta-coins",
        "<slug:code>": "beta-coins",
        "<slug:number>": number,
        "<slug:kind>": "mail",
        "<int:pk>": str(model.objects.filter(shop=shop).first().pk) if model else "",
    }
    for name, value in said.items():
        route = route.replace(name, value)
    assert "<" not in route
    return route


def test_every_address_is_closed_to_another_shops_key(tmp_path):
    with override_settings(MEDIA_ROOT=tmp_path):
        theirs = fill("beta")
    mine = make_variant(shop=make_shop("alpha"), keys=1)
    own, before = make_own(mine.shop), snapshot(rows_of(theirs))
    names = names_of(theirs) - names_of(mine.shop)
    told, answers, said = {}, {}, said_about(theirs)
    for pattern in urlpatterns:
        route = str(pattern.pattern)
        path = filled(route, theirs)
        if "get" in pattern.callback.view_class.__dict__:
            told[route] = own.call(API + path)
        if route in said:
            methods = {"patch": "PATCH", "put": "PUT", "post": "POST"}
            (method,) = [methods[name] for name in methods if name in pattern.callback.view_class.__dict__]
            answers[route] = write(own, path, said[route], method)
        elif route == "variants/<slug:code>/imports/":
            answers[route] = send_keys(own, path, b"MINE-1")

    assert {route for route, answer in told.items() if answer.status_code == 200} == LISTS
    assert {answer.status_code for route, answer in told.items() if route not in LISTS} == {404}
    assert {route: answer.status_code for route, answer in answers.items()} == dict.fromkeys(
        [*said, "variants/<slug:code>/imports/"], 404
    )
    assert len({*told, *answers}) == len(urlpatterns)
    text = "".join(answer.content.decode() for answer in told.values())
    assert [name for name in names if name in text] == []
    assert mine.code in text
    assert snapshot(rows_of(theirs)) == before
