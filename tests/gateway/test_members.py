"""Members of resellers: their cookie reaches their pages and no others, and nothing of those is kept."""

import httpx
import pytest

from tests.gateway.upstream import headers_of
from tests.gateways import replacing

COOKIE = {"Cookie": "cardshop_reseller_en=secret"}
# A place for these pages as for all others: with them the cookie would be lost.
NO_PLACE = replacing('location ~ "^/(?:en/)?reseller/" {', 'location ~ "^/nowhere/" {')


@pytest.mark.parametrize("path", ["/reseller/", "/en/reseller/keys/", "/reseller/orders/2222/keys/"])
def test_each_request_reaches_the_shop_with_its_cookie_whatever_is_said_of_keeping(fronted, upstream, path):
    with fronted.client() as client:
        for _ in range(3):
            assert client.get(path, headers=COOKIE).status_code == 200
        client.post(path, headers=COOKIE)

    assert [headers_of(heard)["cookie"] for heard in upstream.heard] == [[COOKIE["Cookie"]]] * 4


def test_control_as_any_page_of_the_shop_it_would_come_without(before, upstream):
    with before(NO_PLACE).client() as client:
        client.get("/reseller/", headers=COOKIE)

    assert "cookie" not in headers_of(upstream.heard[0])


@pytest.mark.parametrize("path", ["/", "/p/coins/", "/o/token/", "/resellers/", "/xreseller/", "/orders/"])
def test_no_other_page_hears_of_it(fronted, upstream, path):
    with fronted.client() as client:
        client.get(path, headers=COOKIE)

    assert [headers_of(heard).get("cookie") for heard in upstream.heard] == [None]


def test_whoever_sends_too_much_is_told_so(fronted, upstream):
    with fronted.client(**{"X-Forwarded-For": "203.0.113.250"}) as client:
        told = {client.get("/reseller/", headers=COOKIE).status_code for _ in range(400)}

    assert told == {200, 429}


def test_what_is_no_form_is_refused(fronted):
    with fronted.client() as client:
        answer: httpx.Response = client.delete("/reseller/", headers=COOKIE)

    assert answer.status_code == 405
