"""python -m benchmarks.trickle [--minutes 1]: exit code 1 if somebody did not get their key, or the books are
wrong. Slowness fails nothing: machines differ.
"""

import argparse
import asyncio
import json
import secrets
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.results import Bar
from benchmarks.soak.judge import verify
from benchmarks.soak.stack import Stack
from benchmarks.storm.results import percentile
from benchmarks.trickle.crowd import (
    BOUGHT,
    GOODS,
    PAGE,
    PRESSED,
    RATES,
    TRICKLING,
    TRICKLING_METHOD,
    TURNED_AWAY,
    Crowd,
    Records,
)
from benchmarks.trickle.provider import TricklingProvider
from tests.stack import REPOSITORY, RunningShop

PLACE = REPOSITORY / "var" / "trickle"
ENVIRONMENT = {"DJANGO_SETTINGS_MODULE": "benchmarks.trickle.settings", "TRUSTED_PROXIES": "127.0.0.0/8"}
WARM_UP, LONGEST_BEFORE = 10.0, 120.0  # seconds
WITHIN = 1.5  # times of what it was before
SETTLING = 150.0  # seconds for the last holds to end


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.trickle", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="that the provider trickles")
    options = parser.parse_args()
    shutil.rmtree(PLACE, ignore_errors=True)
    return asyncio.run(measure(60 * options.minutes))


async def measure(seconds: float) -> int:
    before_seconds = min(seconds, LONGEST_BEFORE)
    async with TricklingProvider() as provider:
        with RunningShop(PLACE / "shop", environment=ENVIRONMENT) as shop:
            stack = Stack(shop)
            orders = (WARM_UP + before_seconds + seconds) * (RATES["buy"] + RATES["leave"] + RATES["try"])
            await asyncio.to_thread(furnish, shop, provider.port, keys=int(orders) + 100)
            say(f"{before_seconds:.0f} s with a sound provider, then {seconds:.0f} s of one byte per second")
            crowd = Crowd(shop.url)
            await crowd.come(WARM_UP)
            before = await crowd.come(before_seconds)
            turned = await asyncio.to_thread(stack.query, "SELECT clock_timestamp()")
            provider.trickles = True
            during = await crowd.come(seconds)
            provider.trickles = False
            await crowd.close()
            late = await asyncio.to_thread(ended_late, stack, turned[0][0])
            found = await asyncio.to_thread(settle, stack)
    return report(before, during, provider, late, found)


def furnish(shop: RunningShop, port: int, *, keys: int) -> None:
    made = shop.manage("shell", text=_GOODS.format(port=port))
    if made.returncode or "Traceback" in made.stderr:
        raise RuntimeError(f"the goods could not be made:\n{made.stderr[-2000:]}")
    lines = [f"TRICKLE-{secrets.token_hex(10).upper()}" for _ in range(keys)]
    imported = shop.manage("import_keys", GOODS, "-", text="\n".join(lines))
    say(imported.stdout.strip() or imported.stderr.strip())


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
channel = PaymentChannel(
    shop=shop, slug="{TRICKLING}", name="Trickle", driver="epay_v1", method="{TRICKLING_METHOD}",
    merchant_id="1", base_url="http://127.0.0.1:{{port}}/", position=99)
channel.seal_secret("never-checked-by-it")
channel.save()
"""


def ended_late(stack: Stack, turned: object) -> dict[str, list[float]]:
    """Seconds from the end of its hold to the end of an order that nobody tried to pay there."""
    found = stack.query(_ENDS, slug=TRICKLING, turned=turned)
    return {
        when: [float(late) for is_during, late in found if is_during == (when == "during")]
        for when in ("before", "during")
    }


_ENDS = """
    SELECT "order".reserved_until > %(turned)s, extract(epoch FROM event.at - "order".reserved_until)
    FROM orders_order AS "order" JOIN orders_orderevent AS event ON event.order_id = "order".id
    WHERE event.after = 'expired' AND NOT EXISTS (
        SELECT 1 FROM payments_paymentattempt AS attempt
        JOIN payments_payment AS payment ON payment.id = attempt.payment_id
        JOIN payments_paymentchannel AS channel ON channel.id = attempt.channel_id
        WHERE payment.order_id = "order".id AND channel.slug = %(slug)s)"""


def settle(stack: Stack) -> list[str]:
    """What `verify --settled` finds once the last hold has ended, or should have."""
    deadline = time.monotonic() + SETTLING
    while time.monotonic() < deadline and stack.query(_OPEN)[0][0]:
        time.sleep(1)
    found = verify(stack)
    while found and time.monotonic() < deadline:
        time.sleep(2)
        found = verify(stack)
    return found


_OPEN = """
    SELECT (SELECT count(*) FROM orders_order WHERE status IN ('pending', 'closing', 'paid'))
         + (SELECT count(*) FROM outbox_outboxmessage WHERE done_at IS NULL AND attention = '')"""


def report(
    before: Records,
    during: Records,
    provider: TricklingProvider,
    late: dict[str, list[float]],
    found: list[str],
) -> int:
    figures: dict[str, Any] = {}
    head = [f"{point} {when}" for point in ("p50", "p95") for when in ("before", "during", "ratio")]
    print(f"\n  {'seconds':<36}" + "".join(f"{name:>12}" for name in head))
    for what in (PAGE, PRESSED, BOUGHT, TURNED_AWAY):
        figures[what] = _row(what, before.seconds[what], during.seconds[what])
    figures["hold ended late by"] = _row("hold ended late by", late["before"], late["during"])
    print(
        f"\n  {'answers there':<28}before {dict(before.answers)}, during {dict(during.answers)}"
        f"\n  {'calls it kept waiting':<28}{provider.calls}, at most {provider.most_held} at one moment\n"
    )
    bars = [
        Bar(f"{what}: {name} within {WITHIN} of before ({ratio:.2f})", ratio <= WITHIN)
        for what in (PAGE, PRESSED, BOUGHT)
        for name, ratio in figures[what]["ratio"].items()
    ]
    wrong = before.wrong + during.wrong
    received = before.keys + during.keys
    sound = {
        f"every buyer elsewhere has a key ({len(received)})": not wrong
        and len(set(received)) == before.bought + during.bought,
        "verify --settled is clean": not found,
    }
    for bar in [*bars, *(Bar(claim, holds) for claim, holds in sound.items())]:
        say(str(bar))
    for line in [*(f"{times} × {what}" for what, times in wrong.items()), *found[:12]]:
        say(f"  {line}")
    saved = {"figures": figures, "calls": provider.calls, "most_held": provider.most_held, "rates": RATES}
    _save(PLACE / "results.json", saved)
    return 0 if all(sound.values()) else 1


def _row(what: str, before: list[float], during: list[float]) -> dict[str, dict[str, float]]:
    points = {"p50": 50.0, "p95": 95.0}
    figures = {
        name: {point: percentile(values, percent) for point, percent in points.items()}
        for name, values in (("before", before), ("during", during))
    }
    figures["ratio"] = {point: figures["during"][point] / figures["before"][point] for point in points}
    cells = [f"{figures[when][point]:>12.3f}" for point in points for when in figures]
    print(f"  {f'{what} ({len(before)}, {len(during)})':<36}" + "".join(cells))
    return figures


def _save(path: Path, figures: dict[str, Any]) -> None:
    path.write_text(json.dumps(figures, indent=1))
    say(f"saved in {path.relative_to(REPOSITORY)}")


def say(text: str) -> None:
    print(f"trickle: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
