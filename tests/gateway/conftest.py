"""A real nginx in front of the real shop, both started once for all tests of this folder."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Self

import httpx
import pytest

from tests.stack import REPOSITORY, RunningShop, free_ports

_ADDRESSES = count(1)
MODULE = Path("/usr/lib/nginx/modules/ngx_http_js_module.so")


class Gateway:
    """nginx by `manage.py gateway`. `log` is what it says of requests, `errors` what it complains of.

    Requests from 127.0.0.1 come through a proxy that is trusted; from 127.0.0.2 and so on they do not.
    """

    def __init__(self, shop: RunningShop, *, environment: Mapping[str, str] | None = None) -> None:
        (self.port,) = free_ports(1)
        self.shop = shop
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = {**shop.environment, "GATEWAY_PORT": str(self.port), **(environment or {})}
        var = Path(self._environment["CARDSHOP_VAR"])
        self.folder = var / "gateway"
        self.log = var / "log" / "gateway.log"
        self.errors = var / "nginx.log"

    def __enter__(self) -> Self:
        with self.errors.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "manage.py", "gateway"],
                cwd=REPOSITORY,
                env=self._environment,
                stdout=errors,
                stderr=errors,
            )
        for _ in range(300):
            if self._process.poll() is not None:
                raise RuntimeError("nginx did not start:\n" + self.errors.read_text())
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.1)
        raise RuntimeError("nginx does not listen")

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(timeout=30)

    def client(self, *, address: str = "127.0.0.1", **headers: str) -> httpx.Client:
        """Somebody at that address of loopback."""
        return httpx.Client(
            base_url=self.url,
            headers=headers,
            timeout=20,
            transport=httpx.HTTPTransport(local_address=address),
        )


@pytest.fixture(scope="package")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    if not (shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") and MODULE.exists()):
        if os.environ.get("CI"):
            pytest.fail("CI must have nginx: the gateway's tests are never skipped there")
        pytest.skip("no nginx with njs on this machine (apt install nginx-light libnginx-mod-http-js)")
    trusting = {"TRUSTED_PROXIES": "127.0.0.1/32"}
    with RunningShop(tmp_path_factory.mktemp("gateway"), environment=trusting) as shop:
        _sell_through_a_line(shop)
        with Gateway(shop) as running:
            yield running


def _sell_through_a_line(shop: RunningShop) -> None:
    """Variants of sales in every state that the gateway may tell of."""
    said = shop.manage("shell", "-c", _SALES)
    assert said.returncode == 0, said.stderr
    for code in ("open", "paused", "resumed", "unopened", "full", "roomy"):
        unknown = f"{shop.hot_url}/api/v1/tickets/{code}/{'0' * 64}/"
        until = time.monotonic() + 60
        while httpx.get(unknown).status_code != 404:  # 503 until its allocator has come
            assert time.monotonic() < until, code
            time.sleep(0.1)


_SALES = """
from datetime import timedelta
from cardshop.common.clock import db_now
from tests.factories import make_variant
from tests.lines import make_sale
make_variant(code="direct", keys=50)
for code in ("open", "paused", "resumed", "unopened"):
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
