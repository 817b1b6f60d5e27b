"""`make demo-load`: a complete sale with real processes, and then the books are checked.

10,000 generated keys go through the importer; 200 buyers at once browse, order, pay at the sandbox
and collect their keys over HTTP. Afterwards everything must agree: what the buyers hold, the import
file, the shop's invariants, the provider's ledger, and no key may stand in clear anywhere on disk.
"""

import json
import re
import secrets
import shutil
import statistics
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from threading import Barrier

import httpx

from tests.stack import REPOSITORY, RunningShop

KEYS = 10_000
BUYERS = 200
PATIENCE = 120.0
VARIANT = "demo-load"


@dataclass
class Purchase:
    """What one buyer did: the keys received, and the seconds from click to key."""

    keys: list[str] = field(default_factory=list)
    seconds: float = 0.0
    answers: Counter[int] = field(default_factory=Counter)


class Buyer:
    """One person with a phone: presses once, waits, pays, collects."""

    def __init__(self, shop_url: str, number: int) -> None:
        self.purchase = Purchase()
        self._number = number
        self._http = httpx.Client(base_url=shop_url, timeout=PATIENCE, trust_env=False)

    def buy(self, start: Barrier) -> Purchase:
        with self._http:
            self._call("GET", f"/p/{VARIANT}/")
            minted = self._call("POST", "/api/v1/passes/", {"variant": VARIANT})
            start.wait()
            began = time.monotonic()
            order = self._call("POST", "/api/v1/orders/", self._form(minted))
            path = f"/api/v1/orders/{order['token']}/"
            attempt = self._call("POST", f"{path}payments/", {"method": "alipay"})
            self._press_pay(attempt["pay_url"])
            self._wait_for_keys(path)
            for line in self._call("GET", f"{path}keys/")["lines"]:
                self.purchase.keys += line["keys"]
            self.purchase.seconds = time.monotonic() - began
        return self.purchase

    def _form(self, minted: dict[str, str]) -> dict[str, object]:
        contact = f"buyer{self._number}@example.org"
        return {"variant": VARIANT, "quantity": 1, "contact_email": contact, **minted}

    def _press_pay(self, pay_url: str) -> None:
        """The provider's page, and back to the shop as the browser would go."""
        returned = self._http.post(pay_url, data={"action": "pay"})
        self.purchase.answers[returned.status_code] += 1
        self._http.get(returned.headers["Location"], follow_redirects=False)

    def _wait_for_keys(self, path: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not (state := self._call("GET", path))["has_keys"]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"order is {state['status']}")
            time.sleep(state["next_look"] or 1)

    def _call(self, method: str, path: str, body: object = None) -> dict:  # type: ignore[type-arg]
        answer = self._http.request(method, path, json=body)
        self.purchase.answers[answer.status_code] += 1
        if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:  # as a browser does, and a patient program
            time.sleep(int(answer.headers["Retry-After"]))
            return self._call(method, path, body)
        answer.raise_for_status()
        is_json = answer.headers["Content-Type"].startswith("application/json")
        return answer.json() if is_json else {}


def main() -> int:
    var = REPOSITORY / "var" / "demo-load"
    shutil.rmtree(var, ignore_errors=True)
    keys = [f"LOAD-{secrets.token_hex(10).upper()}" for _ in range(KEYS)]
    with RunningShop(var) as shop:
        say(f"shop ready at {shop.url}")
        _import(shop, keys)
        purchases = _storm(shop)
        verified = shop.manage("verify", "--settled", "--json")
        ledger = httpx.get(f"{shop.sandbox_url}/_sandbox/ledger", trust_env=False).json()
    results = _judge(var, keys, purchases, verified.stdout, ledger)
    for name, holds in results.items():
        say(f"{'ok' if holds else 'FAILED':<7}{name}")
    return 0 if all(results.values()) else 1


def _import(shop: RunningShop, keys: list[str]) -> None:
    made = shop.manage("shell", text=_MAKE_VARIANT)
    imported = shop.manage("import_keys", VARIANT, "-", text="\n".join(keys))
    say(f"importer: {imported.stdout.strip() or imported.stderr.strip() or made.stderr.strip()}")


_MAKE_VARIANT = f"""
from cardshop.shops.models import Shop
from inventory.models import Product, Stock, Variant
from payments.models import PaymentChannel
# Everybody pays through one provider, whose pages these buyers know.
PaymentChannel.objects.filter(method="alipay").exclude(slug="alipay").update(is_enabled=False)
shop = Shop.objects.get(slug="demo")
product = Product.objects.create(shop=shop, slug="{VARIANT}", name="Load", is_listed=True)
variant = Variant.objects.create(shop=shop, product=product, code="{VARIANT}", name="One", price_minor=100)
Stock.objects.create(shop=shop, variant=variant)
"""


def _storm(shop: RunningShop) -> list[Purchase]:
    start = Barrier(BUYERS)
    with ThreadPoolExecutor(BUYERS) as pool:
        purchases = list(pool.map(lambda n: Buyer(shop.url, n).buy(start), range(BUYERS)))
    seconds = sorted(purchase.seconds for purchase in purchases)
    answers = sum((purchase.answers for purchase in purchases), Counter[int]())
    say(
        f"{BUYERS} buyers: click to key {statistics.median(seconds):.1f} s in the middle, "
        f"{seconds[-1]:.1f} s at most; answers {dict(sorted(answers.items()))}"
    )
    return purchases


def _judge(
    var: Path,
    keys: list[str],
    purchases: list[Purchase],
    verified: str,
    ledger: list[dict],  # type: ignore[type-arg]
) -> dict[str, bool]:
    received = [key for purchase in purchases for key in purchase.keys]
    checks = json.loads(verified)
    paid = [trade for trade in ledger if trade["paid_at"]]
    found = _files_holding(var, re.compile(rb"LOAD-[0-9A-F]{20}"), set(keys))
    for path in found:
        say(f"       a key in clear: {path}")
    for name, findings in checks.items():
        for finding in findings:
            say(f"       {name}: {finding}")
    return {
        f"every buyer received one key ({len(received)})": len(received) == BUYERS,
        "the keys received are distinct": len(set(received)) == BUYERS,
        "the keys received are from the import file": set(received) <= set(keys),
        f"verify --settled is clean ({len(checks)} checks)": not any(checks.values()),
        f"the provider captured {len(paid)} payments": len(paid) == BUYERS,
        "no answer was an error, but for a 503 to come again": all(
            status < 400 or status == HTTPStatus.SERVICE_UNAVAILABLE
            for p in purchases
            for status in p.answers
        ),
        "no key stands in clear in any file of the shop": not found,
    }


def _files_holding(root: Path, pattern: re.Pattern[bytes], keys: set[str]) -> list[Path]:
    """Every file below `root`, the database's and Redis's own included."""
    return [
        path
        for path in root.rglob("*")
        if path.is_file() and any(m.decode() in keys for m in pattern.findall(path.read_bytes()))
    ]


def say(text: str) -> None:
    print(f"demo-load: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
