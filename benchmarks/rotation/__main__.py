"""`make bench-rotation`: every key is wrapped anew while buyers come at a fixed rate. Exit code 1 if one of
them goes without, or the books are wrong.

The shop first runs under the old key alone. Then it is started again with a new key in front, as docs/keys.md
says, and after a quiet while `rotate_keys` runs beside the sale. At last it is started without the old key.
"""

import argparse
import asyncio
import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import time
from base64 import b64encode
from threading import Event, Thread
from typing import Any

from benchmarks.results import Bar, save
from benchmarks.rotation.buyers import GOODS, Buyer, serve
from tests.stack import REPOSITORY, RunningShop

PLACE = REPOSITORY / "var" / "rotation"
LAST = 5.0  # seconds of sale after the rotation, and without the old key
_GOODS = f"""
from cardshop.shops.models import Shop
from inventory.models import Product, Stock, Variant
from payments.models import PaymentChannel
# Everybody pays through one provider, whose pages these buyers know.
PaymentChannel.objects.filter(method="alipay").exclude(slug="alipay").update(is_enabled=False)
shop = Shop.objects.get(slug="demo")
product = Product.objects.create(shop=shop, slug="{GOODS}", name="{GOODS}", is_listed=True)
variant = Variant.objects.create(shop=shop, product=product, code="{GOODS}", name="One", price_minor=100)
Stock.objects.create(shop=shop, variant=variant)
"""


class Rotation(Thread):
    """`rotate_keys`, begun `after` seconds of the sale. `began` and `ended` in seconds of the sale."""

    def __init__(self, shop: RunningShop, *, after: float) -> None:
        super().__init__(daemon=True)
        self._shop, self._after = shop, after
        self.began = self.ended = 0.0
        self.said: subprocess.CompletedProcess[str] | None = None
        self._is_over = Event()

    def run(self) -> None:
        sale = time.monotonic()
        time.sleep(self._after)
        self.began = time.monotonic() - sale
        self.said = self._shop.manage("rotate_keys")
        self.ended = time.monotonic() - sale
        self._is_over.set()

    def go_on(self, seconds: float) -> bool:
        return not self._is_over.is_set() or seconds < self.ended + LAST


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.rotation", description=__doc__)
    add = parser.add_argument
    add("--rate", type=float, default=8.0, help="buyers a second")
    add("--one-pays-of", type=int, default=1, help="the others order and leave")
    add("--keys", type=int, default=100_000, help="that are wrapped anew")
    add("--seconds", type=float, default=20.0, help="of sale before the rotation, which it is compared with")
    options = parser.parse_args()
    shutil.rmtree(PLACE, ignore_errors=True)
    return measure(options.rate, options.one_pays_of, keys=options.keys, calm=options.seconds)


def measure(rate: float, one_pays_of: int, *, keys: int, calm: float) -> int:
    old, new = (f"{name}:{b64encode(os.urandom(32)).decode()}" for name in ("old", "new"))
    with _shop_under(old) as shop:
        _furnish(shop, keys)
    with _shop_under(f"{new},{old}") as shop:
        say(f"{rate:.0f} buyers a second, one of {one_pays_of} pays; after {calm:.0f} s the rotation begins")
        rotation = Rotation(shop, after=calm)
        rotation.start()
        buyers = asyncio.run(serve(shop, rate=rate, one_pays_of=one_pays_of, go_on=rotation.go_on))
        assert rotation.said is not None
        say((rotation.said.stdout + rotation.said.stderr).strip())
        checks = json.loads(shop.manage("verify", "--settled", "--json").stdout)
    with _shop_under(new) as shop:
        later = asyncio.run(serve(shop, rate=2, one_pays_of=1, go_on=lambda seconds: seconds < LAST))
        checks_later = json.loads(shop.manage("verify", "--settled", "--json").stdout)

    phases = {
        "before": [buyer for buyer in buyers if buyer.came < rotation.began],
        "during": [buyer for buyer in buyers if rotation.began <= buyer.came < rotation.ended],
        "after": [buyer for buyer in buyers if rotation.ended <= buyer.came],
        "without the old key": later,
    }
    rows = [
        {"phase": phase, "who": who, **_figures([buyer for buyer in some if buyer.pays == pays])}
        for phase, some in phases.items()
        for who, pays in (("pay", True), ("order and leave", False))
        if any(buyer.pays == pays for buyer in some)
    ]
    for row in rows:
        say(", ".join(f"{name} {value}" for name, value in row.items()))
    everybody = buyers + later
    for buyer in [buyer for buyer in everybody if buyer.trouble][:10]:
        say(f"buyer {buyer.number}: {buyer.trouble}")
    for name, findings in {**checks, **checks_later}.items():
        for finding in findings:
            say(f"{name}: {finding}")
    received = [key for buyer in everybody for key in buyer.keys]
    paying = sum(buyer.pays for buyer in everybody)
    one_each = len(set(received)) == len(received) == paying
    took = rotation.ended - rotation.began
    bars = [
        Bar(f"{paying} who paid each have one key of their own", one_each),
        Bar(f"none of {len(everybody)} buyers met a failure", not any(buyer.trouble for buyer in everybody)),
        Bar(f"{keys:,} keys were wrapped anew in {took:.0f} s", rotation.said.returncode == 0),
        Bar("verify --settled is clean", not any(checks.values())),
        Bar("and so it is without the old key", not any(checks_later.values())),
    ]
    for bar in bars:
        say(str(bar))
    save("rotation", {"rate": rate, "keys": keys, "bars": {bar.claim: bar.holds for bar in bars}}, rows)
    return 0 if all(bar.holds for bar in bars) else 1


def _shop_under(keys: str) -> RunningShop:
    return RunningShop(PLACE / "shop", environment={"CARD_KEY_KEK": keys, "TRUSTED_PROXIES": "127.0.0.0/8"})


def _furnish(shop: RunningShop, count: int) -> None:
    made = shop.manage("shell", text=_GOODS)
    lines = "\n".join(f"ROTATED-{secrets.token_hex(10).upper()}" for _ in range(count))
    imported = shop.manage("import_keys", GOODS, "-", text=lines)
    say(imported.stdout.strip() or imported.stderr.strip() or made.stderr.strip())


def _figures(buyers: list[Buyer]) -> dict[str, Any]:
    """Seconds from the click to the end, in the middle and of all but one in twenty."""
    took = sorted(buyer.took for buyer in buyers) or [0.0]
    return {
        "buyers": len(buyers),
        "in trouble": sum(bool(buyer.trouble) for buyer in buyers),
        "came again": sum(buyer.came_again for buyer in buyers),
        "median": round(statistics.median(took), 2),
        "p95": round(took[int(0.95 * (len(took) - 1))], 2),
    }


def say(text: str) -> None:
    print(f"rotation: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
