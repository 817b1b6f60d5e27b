"""A real nginx in front of the real shop, both started once for all tests of this folder."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from itertools import count
from threading import Thread

import httpx
import pytest

from tests.gateway.upstream import Upstream
from tests.gateways import MODULE, NGINX, Change, Gateway
from tests.prepared import prepared_var
from tests.stack import RunningShop

_ADDRESSES = count(1)


@pytest.fixture(scope="package")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    if not (NGINX and MODULE.exists()):
        if os.environ.get("CI"):
            pytest.fail("CI must have nginx: the gateway's tests are never skipped there")
        pytest.skip("no nginx with njs on this machine (apt install nginx-light libnginx-mod-http-js)")
    trusting = {"TRUSTED_PROXIES": "127.0.0.1/32"}
    with RunningShop(prepared_var(tmp_path_factory, "gateway"), environment=trusting) as shop:
        _sell_through_a_line(shop)
        with Gateway(shop) as running:
            yield running


@pytest.fixture(scope="package")
def changed(
    gateway: Gateway, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Change], Gateway]]:
    """Another gateway of the shop, whose configuration is changed; the same one for the same change."""
    with ExitStack() as running:

        @cache
        def start(change: Change) -> Gateway:
            var = tmp_path_factory.mktemp("changed")
            return running.enter_context(Gateway(gateway.shop, change=change, var=var))

        yield start


@pytest.fixture(scope="package")
def _upstream() -> Iterator[Upstream]:
    with Upstream() as upstream:
        Thread(target=upstream.serve_forever).start()
        yield upstream
        upstream.shutdown()


@pytest.fixture
def upstream(_upstream: Upstream) -> Upstream:
    """A server of the test's own, which has heard nothing yet."""
    _upstream.start_over()
    return _upstream


@pytest.fixture(scope="package")
def before(
    gateway: Gateway, _upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Gateway]]:
    """A gateway before that server instead of the shop, changed or not; the same one for the same change."""
    pools = {"PORT": str(_upstream.port), "HOT_PORT": str(_upstream.port), "API_PORT": str(_upstream.port)}
    with ExitStack() as running:

        @cache
        def start(change: Change | None = None) -> Gateway:
            var = tmp_path_factory.mktemp("before")
            return running.enter_context(Gateway(gateway.shop, environment=pools, change=change, var=var))

        yield start


@pytest.fixture
def fronted(before: Callable[..., Gateway]) -> Gateway:
    """The gateway as it is, before a server of the test's own."""
    return before()


def _sell_through_a_line(shop: RunningShop) -> None:
    """Variants of sales in every state that the gateway may tell of."""
    said = shop.manage("shell", "-c", _SALES)
    assert said.returncode == 0, said.stderr
    with httpx.Client(base_url=shop.hot_url, timeout=30) as somebody:
        for code in ("open", "quiet", "paused", "resumed", "unopened", "full", "roomy"):
            unknown = f"/api/v1/tickets/{code}/{'0' * 64}/"
            until = time.monotonic() + 60
            while somebody.get(unknown).status_code != 404:  # 503 until its allocator has come
                assert time.monotonic() < until, code
                time.sleep(0.1)


_SALES = """
from datetime import timedelta
from cardshop.common.clock import db_now
from tests.factories import make_variant
from tests.lines import make_sale
make_variant(code="direct", keys=50)
for code in ("open", "quiet", "paused", "resumed", "unopened"):
    sale = make_sale(code=code, keys=50)
    if code == "unopened":
        sale.opens_at = db_now() + timedelta(hours=1)
    sale.is_paused = code in ("paused", "resumed")
    sale.save()
make_sale(code="full", keys=1, line_cap=0)
make_sale(code="roomy", keys=1, line_cap=0, max_quantity=5)
"""


@pytest.fixture
def buyer(gateway: Gateway) -> Iterator[httpx.Client]:
    """Somebody whose address is nobody else's, so that limits count this test alone."""
    address = f"203.0.113.{next(_ADDRESSES)}"
    with gateway.client(**{"X-Forwarded-For": address, "Accept-Language": "en"}) as client:
        yield client
