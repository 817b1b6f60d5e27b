"""What is one buyer's alone: however it is asked for, nobody is shown another's, and none of it is kept."""

import re
import time
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.gateway.buying import TICKETS, click_of, form_of
from tests.gateway.wire import answers, request
from tests.gateways import Gateway, replacing

pytestmark = pytest.mark.timeout(240)

# A cache that tells kinds of pages apart, and no buyers.
EVERYTHING_IS_KEPT = replacing(
    "proxy_http_version 1.1;",
    """proxy_http_version 1.1;
    proxy_cache catalogue;
    proxy_cache_key $told;
    proxy_cache_valid any 1m;
    proxy_ignore_headers Cache-Control Expires Vary Set-Cookie;""",
)


@dataclass(frozen=True, kw_only=True)
class Buyer:
    """The names in somebody's addresses, and what only he may read there."""

    order: str
    ticket: str
    trade: str  # at the provider
    email: str
    ticket_order: str

    def at(self, address: str) -> str:
        return address.format(order=self.order, ticket=self.ticket, trade=self.trade)

    def found_in(self, answer: httpx.Response) -> bool:
        told = answer.text + repr(answer.headers)
        return any(secret in told for secret in (self.order, self.ticket, self.email, self.ticket_order))


def make_buyer(gateway: Gateway, address: str) -> Buyer:
    with gateway.client(**{"X-Forwarded-For": address, "Accept-Language": "en"}) as client:
        form = form_of(client, "/en/buy/direct/")
        order = client.post("/en/buy/direct/", data=form).headers["Location"].split("/")[-2]
        paying = client.post(f"/o/{order}/pay/", data={"method": "alipay"})
        ticket = client.post(TICKETS, json=click_of(client, "quiet")).json()["ticket"]
        return Buyer(
            order=order,
            ticket=ticket,
            trade=re.search(r"Path=/pay/return/(\w+)/", paying.headers["Set-Cookie"])[1],
            email=form["contact_email"],
            ticket_order=order_of(client, ticket),
        )


def order_of(client: httpx.Client, ticket: str) -> str:
    """What the allocator makes of it."""
    for _ in range(100):
        told = client.get(f"{TICKETS}quiet/{ticket}/").json()
        if told["status"] == "held":
            return told["order"]["token"]
        time.sleep(0.1)
    raise AssertionError(told)


@pytest.fixture(scope="module")
def lin(gateway) -> Buyer:
    return make_buyer(gateway, "198.51.100.11")


@pytest.fixture(scope="module")
def mo(gateway) -> Buyer:
    return make_buyer(gateway, "198.51.100.12")


def seen_by(buyer: Buyer, gateway: Gateway, address: str, **how: Any) -> httpx.Response:
    headers = {"Cookie": f"order={buyer.order}", **how.pop("headers", {})}
    with gateway.client() as client:
        return client.get(buyer.at(address), headers=headers, **how)


PRIVATE = {
    "an order": "/o/{order}/",
    "an order in English": "/en/o/{order}/",
    "an order by the API": "/api/v1/orders/{order}/",
    "a place in the line": "/line/quiet/{ticket}/",
    "a ticket by the API": "/api/v1/tickets/quiet/{ticket}/",
    "the way back from paying": "/pay/return/{trade}/",
}
# With what another one has: the tag of his page, the name of his order.
ASKED = {
    "plainly": {},
    "for what has changed": {"headers": {"If-None-Match": "{etag}"}},
    "for what is there": {"headers": {"If-None-Match": "*"}},
    "for what is new": {"headers": {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}},
    "for a part": {"headers": {"Range": "bytes=0-99"}},
    "for the rest": {"headers": {"Range": "bytes=100-", "If-Range": "{etag}"}},
    "for what is kept": {"headers": {"Cache-Control": "only-if-cached, max-stale"}},
    "with another's name": {"params": {"order": "{order}"}},
}


@pytest.mark.parametrize("address", PRIVATE.values(), ids=PRIVATE)
@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_a_buyer_finds_his_own_whole_after_another_has_looked(gateway, lin, mo, address, asked):
    others = seen_by(lin, gateway, address)
    others_own = {"etag": others.headers.get("ETag", '"another"'), "order": lin.order}
    how = {
        kind: {name: value.format(**others_own) for name, value in said.items()}
        for kind, said in asked.items()
    }

    own = seen_by(mo, gateway, address, **how)

    assert own.status_code == others.status_code
    assert own.status_code in (200, 302, 303)
    assert (lin.found_in(others), mo.found_in(own), lin.found_in(own)) == (True, True, False)
    assert "no-store" in others.headers["Cache-Control"]
    assert "no-store" in own.headers["Cache-Control"]


@pytest.mark.parametrize("address", PRIVATE.values(), ids=PRIVATE)
def test_control_if_it_were_kept_a_buyer_would_find_anothers(changed, lin, mo, address):
    careless = changed(EVERYTHING_IS_KEPT)
    seen_by(lin, careless, address)

    assert lin.found_in(seen_by(mo, careless, address))


# Beside an address there is nothing: not even who has just looked at it has left anything there.
BESIDE = {
    "in the other case": lambda order: f"/o/{order.swapcase()}/",
    "one letter short": lambda order: f"/o/{order[:-1]}/",
    "one letter long": lambda order: f"/o/{order}A/",
    "without its first letter": lambda order: f"/o/{order[1:]}/",
    "in another folder": lambda order: f"/O/{order}/",
    "by the name of a file": lambda order: f"/o/{order}/x.css",
    "with a parameter": lambda order: f"/o/{order};x.css",
    "with a zero": lambda order: f"/o/{order}%00/",
    "with an end of line": lambda order: f"/o/{order}%0a/",
    "with a space": lambda order: f"/o/{order}%20/",
    "with a question mark": lambda order: f"/o/{order}%3f/",
    "with an encoded slash": lambda order: f"/o/{order}%2fx.css",
    "in the API": lambda order: f"/api/v1/orders/{order.swapcase()}/",
    "as a picture": lambda order: f"/media/products/..%2f..%2fo/{order}/",
    "as a page of goods": lambda order: f"/p/..%2fo%2f{order}/",
}


@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE)
def test_beside_a_buyers_address_there_is_nothing(gateway, lin, beside):
    seen_by(lin, gateway, "/o/{order}/")

    with gateway.client() as stranger:
        answer = stranger.get(beside(lin.order))

    assert answer.status_code in (400, 404)
    assert lin.email not in answer.text


def test_control_if_it_were_kept_it_would_be_found_beside(changed, lin):
    careless = changed(EVERYTHING_IS_KEPT)
    seen_by(lin, careless, "/o/{order}/")

    with careless.client() as stranger:
        found = {name for name, beside in BESIDE.items() if lin.email in stranger.get(beside(lin.order)).text}

    assert found >= {"in the other case", "one letter short", "one letter long", "by the name of a file"}


def test_the_way_back_from_paying_leads_to_the_order_by_its_buyers_cookie_alone(gateway, lin, mo):
    address = lin.at("/pay/return/{trade}/")
    with gateway.client() as client:
        own = client.get(address, headers={"Cookie": f"order={lin.order}"})
        others = [
            client.get(address, headers={"Cookie": said}) for said in (f"order={mo.order}", "", "order=")
        ]

    assert (own.status_code, own.headers["Location"]) == (302, f"/en/o/{lin.order}/")
    assert {answer.status_code for answer in others} == {200}
    assert not any(lin.found_in(answer) or mo.found_in(answer) for answer in others)


def passes_of(gateway: Gateway, path: str) -> set[str]:
    """Those that five buyers are given."""
    with gateway.client() as client:
        return {re.search(r'name="pass" value="([^"]+)"', client.get(path).text)[1] for _ in range(5)}


@pytest.mark.parametrize("path", ["/buy/direct/", "/en/buy/direct/", "/buy/open/"])
def test_each_buyer_is_given_a_pass_of_his_own(gateway, path):
    assert len(passes_of(gateway, path)) == 5


def test_control_if_it_were_kept_all_would_be_given_the_same_pass(changed):
    assert len(passes_of(changed(EVERYTHING_IS_KEPT), "/buy/direct/")) == 1


CONFUSED = [
    "/buy/direct/x.css",
    "/buy/direct/;x.css",
    "/buy/direct/%2e%2e/x.css",
    "/buy/direct%2fx.css",
    "/p/x%2f..%2f..%2fbuy/direct/",
    "/p/direct;a/",
    "/static/..%2f..%2fmanage.py",
    "/static/%2e%2e/manage.py",
    "/static../manage.py",
    "/media/products/..%2f..%2fmanage.py",
    "/form/buy/direct/",
    "/refused/403.en.html",
    "/metrics",
    "/metrics?x",
    "/metrics#x",
    "//metrics",
    "/./metrics",
    "/%6detrics",
    "/healthz/../metrics",
    "/pay/notify/..%2f..%2fmetrics",
]


@pytest.mark.parametrize("path", CONFUSED)
def test_an_address_in_disguise_shows_nobody_anything(gateway, path):
    assert answers(gateway, request(f"GET {path}", "Connection: close")) in ([400], [404])
