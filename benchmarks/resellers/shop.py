"""Our shop with one product and one reseller, as it serves by default: two web processes and a worker."""

import http.client
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

from django.db import connection

import benchmarks.ready  # noqa: F401  models come after it
from benchmarks.own_servers import RESULTS
from benchmarks.strategies.stage import open_shop
from cardshop.common.clock import db_now
from inventory.imports import import_keys
from inventory.models import Product, Stock, Variant
from payments.ledger.entries import credit
from resellers.accounts import open_reseller
from resellers.keys import make_key
from resellers.models import AskedStatus, Proof, ResellerOrder, Scope
from resellers.signing import SCHEME, sign
from tests.stack import REPOSITORY, free_ports

ORDERS = "/api/reseller/v1/orders/"
START_TIMEOUT = 120
GOODS = "coins"
ONE = {"lines": [{"variant": GOODS, "quantity": 1}]}
IN_BATCH = 20


class OurShop:
    """Answers on `port`; what it is sent are orders of one key each, signed a moment before."""

    def __init__(self, keys: int) -> None:
        (self.port,) = free_ports(1)
        shop, now = open_shop(), db_now()
        product = Product.objects.create(shop=shop, slug=GOODS, name="Coins", is_listed=True)
        variant = Variant.objects.create(
            shop=shop, product=product, code=GOODS, name="100", price_minor=500, currency=shop.currency
        )
        Stock.objects.create(shop=shop, variant=variant)
        self.stock_up(variant, keys)
        reseller = open_reseller(shop, name="Reseller", contact_email="program@example.org", now=now)
        credit(reseller.balance, amount_minor=500 * keys, reason="paid in", actor="bench", now=now)
        scopes = [Scope.BUY, Scope.KEYS]
        self._key, self._secret = make_key(
            reseller, label="bench", proof=Proof.SIGNED, scopes=scopes, now=now
        )

    @staticmethod
    def stock_up(variant: Variant, keys: int) -> None:
        for at in range(0, keys, 10_000):
            fresh = [f"KEY-{secrets.token_hex(12)}" for _ in range(min(10_000, keys - at))]
            import_keys(variant=variant, lines=fresh, imported_by="bench", now=db_now())
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE inventory_cardkey")  # as autovacuum does within a minute

    @contextmanager
    def running(self, workers: int) -> Iterator[None]:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "benchmarks.resellers.settings",
            "WEB_BIND": f"127.0.0.1:{self.port}",
            "WEB_WORKERS": str(workers),
        }
        celery = ["celery", "--app", "cardshop", "--quiet", "worker", "--loglevel", "WARNING"]
        commands = [
            ["gunicorn", "--config", "deploy/gunicorn.conf.py", "cardshop.wsgi"],
            [*celery, "--pool", "threads", "--concurrency", "2"],
        ]
        with (RESULTS / "resellers.log").open("ab") as log:
            processes = [
                subprocess.Popen(  # noqa: S603  our own programs
                    [sys.executable, "-m", *command], cwd=REPOSITORY, env=environment, stdout=log, stderr=log
                )
                for command in commands
            ]
        try:
            self._wait()
            yield
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait()

    def orders_at_once(self, count: int) -> Iterator[bytes]:
        return (self._request(ORDERS, ONE, key=_new_key()) for _ in range(count))

    def orders_for_later(self, count: int) -> Iterator[bytes]:
        later = "Prefer: respond-async\r\n"
        return (self._request(ORDERS, ONE, key=_new_key(), more=later) for _ in range(count))

    def batches(self, count: int) -> Iterator[bytes]:
        for _ in range(count):
            orders = [{"idempotency_key": _new_key(), **ONE} for _ in range(IN_BATCH)]
            yield self._request(f"{ORDERS}batch/", {"orders": orders})

    def _request(self, path: str, said: dict[str, Any], *, key: str = "", more: str = "") -> bytes:
        body, now, nonce = json.dumps(said).encode(), int(time.time()), _new_key()
        digest = sha256(body).hexdigest()
        signature = sign(
            self._secret, method="POST", path=path, timestamp=now, nonce=nonce, body_digest=digest
        )
        once = f"Idempotency-Key: {key}\r\n" if key else ""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            f"Authorization: {SCHEME} key={self._key.name}, timestamp={now}, nonce={nonce},"
            f" signature={signature}\r\n{once}{more}"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def orders(self) -> int:
        """That were paid and are with the reseller."""
        return ResellerOrder.objects.filter(order__status="delivered").count()

    def wait_until_filled(self) -> None:
        while ResellerOrder.objects.filter(status=AskedStatus.ACCEPTED).exists():
            time.sleep(0.02)

    def _wait(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                line.request("GET", "/readyz")
                if line.getresponse().status == 200:
                    return
            except OSError:
                pass
            finally:
                line.close()
            time.sleep(0.2)
        raise RuntimeError("the shop does not answer")


def _new_key() -> str:
    return secrets.token_urlsafe(12)
