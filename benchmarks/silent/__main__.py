"""python -m benchmarks.silent [--seconds 120]: the same sale twice, with routing and without. Exit code 1 if
a buyer who paid has no key, or the books are wrong. How many pay fails nothing: it is what is measured.
"""

import argparse
import asyncio
import json
import secrets
import shutil
import sys
import time

import httpx

from benchmarks.silent.buyers import GOODS, Sale, sale
from benchmarks.soak.judge import verify
from benchmarks.soak.stack import Stack
from tests.stack import REPOSITORY, RunningShop

PLACE = REPOSITORY / "var" / "silent"
ENVIRONMENT = {"TRUSTED_PROXIES": "127.0.0.0/8"}
RATE = 6.0  # buyers a second
WARM_UP = 45.0  # seconds in which both channels are well, and the router comes to know them
SETTLING = 90.0


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.silent", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="that the sale goes on after the death")
    options = parser.parse_args()
    shutil.rmtree(PLACE, ignore_errors=True)
    return asyncio.run(measure(options.seconds))


async def measure(seconds: float) -> int:
    with RunningShop(PLACE / "shop", environment=ENVIRONMENT) as shop:
        keys = int(2 * (WARM_UP + seconds) * RATE) + 100
        await asyncio.to_thread(furnish, shop, keys)
        sales = {}
        for name, routed in (("with routing", True), ("without", False)):
            await asyncio.to_thread(choose, shop, routed)
            say(f"{name}: {RATE:.0f} buyers a second; the best channel dies after {WARM_UP:.0f} s")
            sales[name] = await sale(shop, rate=RATE, dies_after=WARM_UP, seconds=WARM_UP + seconds)
            httpx.post(f"{shop.sandbox_url}/_sandbox/reset", trust_env=False).raise_for_status()
        found = await asyncio.to_thread(settle, Stack(shop))
    return report(sales, found)


def furnish(shop: RunningShop, count: int) -> None:
    _shell(shop, _GOODS)
    lines = [f"SILENT-{secrets.token_hex(10).upper()}" for _ in range(count)]
    imported = shop.manage("import_keys", GOODS, "-", text="\n".join(lines))
    say(imported.stdout.strip() or imported.stderr.strip())


def choose(shop: RunningShop, routed: bool) -> None:
    """Without routing everybody goes through the channel that was best."""
    _shell(
        shop,
        "from payments.models import PaymentChannel\n"
        f"PaymentChannel.objects.filter(slug='second').update(is_enabled={routed})",
    )
    time.sleep(2)  # longer than the shop believes what it has read


def _shell(shop: RunningShop, script: str) -> None:
    made = shop.manage("shell", text=script)
    if made.returncode or "Traceback" in made.stderr:
        raise RuntimeError(f"the shop could not be furnished:\n{made.stderr[-2000:]}")


_GOODS = f"""
from cardshop.shops.models import Shop
from inventory.models import Product, Stock, Variant
from payments.gateways import seal_secrets, secrets_of
from payments.models import PaymentChannel
shop = Shop.objects.get(slug="demo")
product = Product.objects.create(shop=shop, slug="{GOODS}", name="{GOODS}", is_listed=True)
variant = Variant.objects.create(shop=shop, product=product, code="{GOODS}", name="One", price_minor=100)
Stock.objects.create(shop=shop, variant=variant)
PaymentChannel.objects.filter(method="alipay").exclude(slug="alipay").update(is_enabled=False)
# Beside it a second one, of another protocol and dearer: the first is the best while it lives.
second = PaymentChannel.objects.get(slug="bank")
known = secrets_of(second)
second.pk, second.slug, second.method = None, "second", "alipay"
second.name, second.name_en, second.position, second.fee_basis_points = "第二通道", "Second", 50, 100
seal_secrets(second, known)
second.save()
"""


def settle(stack: Stack) -> list[str]:
    """What `verify` finds once nothing is on its way any more."""
    deadline = time.monotonic() + SETTLING
    found = verify(stack)
    while found and time.monotonic() < deadline:
        time.sleep(2)
        found = verify(stack)
    return found


def report(sales: dict[str, Sale], found: list[str]) -> int:
    figures = {name: each.figures(since=WARM_UP) for name, each in sales.items()}
    print(f"\n  {'after the death':<34}" + "".join(f"{name:>16}" for name in figures))
    for what in next(iter(figures.values())):
        cells = "".join(f"{figures[name][what]:>16}" for name in figures)
        print(f"  {what:<34}{cells}")
    print()
    whole = all(each.paid_without_key == 0 for each in sales.values())
    say(f"{'ok' if whole else 'FAILED':<7}everybody who paid has a key")
    say(f"{'ok' if not found else 'FAILED':<7}verify is clean")
    for line in found[:12]:
        say(f"  {line}")
    (PLACE / "results.json").write_text(json.dumps(figures, indent=1))
    return 0 if whole and not found else 1


def say(text: str) -> None:
    print(f"silent: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
