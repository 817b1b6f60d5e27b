"""What one reseller has is nobody else's: every address of the page is tried with another's member."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpResponse
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import translation

from cardshop.common.clock import db_now
from cardshop.shops.models import Shop
from payments.models import TopUp
from resellers.members.joining import remove_member
from resellers.members.sessions import begin
from resellers.models import (
    ApiKey,
    MemberSession,
    Reseller,
    ResellerMember,
    ResellerOrder,
    WebhookDelivery,
    WebhookEndpoint,
)
from resellers.tests.calling import make_reseller
from resellers.tests.people import PAGE, TOKEN, Person, browser, make_person
from tests.factories import make_shop
from tests.two_shops import fill

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]
# What anybody may open: there is nothing of a reseller's there.
BEFORE_THE_DOOR = {"log-in/", "enter/", "enter/<slug:code>/"}
ENDS_IT = "log-out/"


def routes() -> list[str]:
    """Of the page, without what they begin with."""
    with translation.override("en"):
        found = [route for route in _all(get_resolver().url_patterns) if route.startswith(PAGE.lstrip("/"))]
    return [f"/{route}".removeprefix(PAGE) for route in found]


def _all(patterns: list[URLPattern | URLResolver], before: str = "") -> Iterator[str]:
    for pattern in patterns:
        route = before + str(pattern.pattern)
        yield from _all(pattern.url_patterns, route) if isinstance(pattern, URLResolver) else [route]


def address_of(route: str, names: dict[str, str]) -> str:
    """The address with somebody's names in it: a new one has to be told what to put there."""
    return re.sub(r"<\w+:(\w+)>", lambda found: names[f"{route.split('/')[0]}:{found[1]}"], route)


def state_of(reseller: Reseller) -> str:
    rows = [
        Reseller.objects.filter(pk=reseller.pk),
        *[reseller.orders.all(), reseller.api_keys.all(), reseller.members.all()],
        MemberSession.objects.filter(member__reseller=reseller),
        WebhookEndpoint.objects.filter(reseller=reseller),
        WebhookDelivery.objects.all(),
        TopUp.objects.filter(balance=reseller.balance_id),
    ]
    return json.dumps([list(those.order_by("pk").values()) for those in rows], default=_plain)


def _plain(value: object) -> str:
    return bytes(value).hex() if isinstance(value, memoryview) else str(value)


class Filled:
    """A shop with a reseller that has a row of everything, and what another one may never read."""

    def __init__(self) -> None:
        self.shop: Shop = fill("alpha")
        make_shop("beta")  # so that hosts are told apart
        self.reseller = Reseller.objects.get(shop=self.shop)
        WebhookEndpoint.objects.update(reseller=self.reseller)
        self.member = ResellerMember.objects.get()
        self.delivery = WebhookDelivery.objects.get()
        self.names = {
            "enter:code": "2222222222",
            "keys:name": ApiKey.objects.get(reseller=self.reseller).name,
            "orders:number": ResellerOrder.objects.get().number,
            "webhooks:name": WebhookEndpoint.objects.get().name,
            "webhooks:uid": str(self.delivery.uid),
            "members:pk": str(make_person(self.reseller, email="second@alpha.example").pk),
        }

    def marks(self) -> list[str]:
        told = {name for kind, name in self.names.items() if kind not in ("members:pk", "enter:code")}
        return [
            *["alpha-reseller", "alpha-prepaid", "alpha-program", "alpha-their-number", "alpha-member"],
            *["https://alpha.example/hook", "alpha-subject", "@alpha.example", *told],
        ]


@pytest.fixture
def filled() -> Filled:
    return Filled()


def asked_by(person: Person, token: str, path: str) -> list[HttpResponse]:
    form = {"form_token": token, "label": "x", "proof": "signed", "scopes": "orders", "form": path}
    form |= {"url": "https://p.example/", "kinds": "order.paid", "email": "new@example.org", "role": "viewer"}
    form |= {"amount": "50"}
    days = {"from": "2026-01-01", "to": "2026-12-31"}
    return [person.client.get(f"{PAGE}{path}", days), person.client.post(f"{PAGE}{path}", form)]


def text_of(answer: Any) -> str:
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return str(content.decode())


def let_in(member: ResellerMember, shop: Shop) -> Person:
    person = Person(member, browser(shop))
    person.client.cookies["cardshop_reseller_en"] = begin(member, now=db_now())
    return person


def test_nothing_of_another_reseller_is_told_or_changed(filled):
    person = let_in(make_person(make_reseller("another", filled.shop)), filled.shop)
    token = TOKEN.search(person.get().content.decode())[1]
    before, told = state_of(filled.reseller), {}

    for route in routes():
        if route == ENDS_IT:
            continue
        path = address_of(route, filled.names)
        for answer in asked_by(person, token, path):
            said = re.sub(r"help@alpha.example", "", text_of(answer)).replace(path, "")
            assert [mark for mark in filled.marks() if mark in said] == [], path
            told[answer.wsgi_request.method, route] = answer.status_code
            if "<" in route and route not in BEFORE_THE_DOOR:
                assert answer.status_code in (404, 405), (path, answer.status_code)

    assert state_of(filled.reseller) == before
    assert len(told) > 40
    assert 200 in told.values()


def test_control_the_same_addresses_open_all_of_it_for_their_own_member(filled):
    """If this one fails, the test above proves nothing."""
    person = let_in(filled.member, filled.shop)
    token = TOKEN.search(person.get().content.decode())[1]
    before, seen = state_of(filled.reseller), ""

    for route in sorted(routes(), key=lambda route: "remove" in route):
        if route == ENDS_IT:
            continue
        answers: list[Any] = asked_by(person, token, address_of(route, filled.names))
        if route not in BEFORE_THE_DOOR:
            assert {answer.status_code for answer in answers} <= {200, 303, 405}, route
        seen += "".join(map(text_of, answers))

    assert state_of(filled.reseller) != before
    assert [mark for mark in filled.marks() if mark not in seen] == []


@pytest.mark.parametrize("why", ["nobody", "removed", "suspended", "another shop", "made up"])
def test_who_is_no_member_gets_nowhere(filled, why):
    person = let_in(filled.member, filled.shop)
    token = TOKEN.search(person.get().content.decode())[1]
    match why:
        case "nobody":
            person.client.cookies.clear()
        case "removed":
            remove_member(filled.member)
        case "suspended":
            Reseller.objects.update(is_suspended=True)
        case "another shop":
            person.client = browser(Shop.objects.get(slug="beta"))
            person.client.cookies["cardshop_reseller_en"] = begin(filled.member, now=db_now())
        case "made up":
            person.client.cookies["cardshop_reseller_en"] = "0" * 43
    before, shown = state_of(filled.reseller), person.client.cookies.copy()

    for route in routes():
        if route in BEFORE_THE_DOOR:
            continue
        path = address_of(route, filled.names)
        person.client.cookies = shown.copy()  # which the answers take away
        for answer in asked_by(person, token, path):
            if answer.status_code == 303:
                assert answer["Location"].startswith(f"{PAGE}log-in/?next="), path
            else:
                assert answer.status_code in (403, 405), (path, answer.status_code)
            said = re.sub(r"help@alpha.example", "", text_of(answer)).replace(path, "")
            assert [mark for mark in filled.marks() if mark in said] == [], path
    assert state_of(filled.reseller) == before
