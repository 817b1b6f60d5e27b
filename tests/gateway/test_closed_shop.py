"""A merchant closes the shop: no page of it is left in the cache, not even for a crowd that keeps asking."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from tests.gateways import Gateway

pytestmark = pytest.mark.timeout(240)

PAGES = ("/en/", "/en/p/direct/", "/api/v1/products/", "/api/v1/products/direct/")
# Django knows a shop for one second, nginx a page for up to two.
SHOWN = 3.1


@contextmanager
def closed(gateway: Gateway) -> Iterator[None]:
    _set_open(gateway, is_open=False)
    try:
        yield
    finally:
        _set_open(gateway, is_open=True)
        time.sleep(SHOWN)


def _set_open(gateway: Gateway, *, is_open: bool) -> None:
    lines = f"from cardshop.shops.models import Shop; Shop.objects.update(is_open={is_open})"
    assert gateway.shop.manage("shell", "-c", lines).returncode == 0


def told_to_a_crowd(gateway: Gateway, path: str) -> set[tuple[int, str]]:
    """After the first one, for whom Django is asked anew."""

    def ask(_number: int) -> tuple[int, str]:
        with gateway.client(**{"Accept-Language": "en"}) as somebody:
            answer = somebody.get(path)
        return answer.status_code, "closed" if "shop is closed" in answer.text else ""

    ask(0)
    with ThreadPoolExecutor(8) as crowd:
        return set(crowd.map(ask, range(100)))


def test_a_shop_that_closes_is_closed_for_everybody(gateway: Gateway, buyer: httpx.Client):
    before = [buyer.get(path).status_code for path in PAGES]
    with closed(gateway):
        time.sleep(SHOWN)
        meanwhile = [told_to_a_crowd(gateway, path) for path in PAGES]
    after = [buyer.get(path).status_code for path in PAGES]

    assert before == [200] * len(PAGES)
    assert meanwhile == [{(404, "closed")}] * len(PAGES)
    assert after == [200] * len(PAGES)
